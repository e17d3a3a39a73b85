"""Images of few colours: screenshots, icons, drawings, scanned text, palettes.

The index of each pixel's colour is coded bit by bit. Thirteen contexts of causal neighbours, and a search for the last
place that looked the same, each give a probability that adapts to the image; logistic mixing weighs them, and two
tables correct the result by what happened before at the same estimate. Nothing is trained, and nothing is a float:
the file decodes to the same pixels everywhere.

Source: Mahoney, *Adaptive weighing of context models for lossless data compression* (2005), and lpaq1 (2007), whose
`stretch`, `squash`, state counters and APM stages these are, with two-dimensional contexts. Their p (12 bits) is our
`slot >> 20`; their weights (16.16) are our `depth_weights` and `pattern_weights`, two sets whose outputs are averaged.
The loop over pixels is in indexed.kernels.c; here are its tables, the colours, and what is read from a file.
"""

import zlib
from collections.abc import Callable
from ctypes import c_int64, c_void_p

import numpy as np
import numpy.typing as npt

from ..codec import native
from ..codec.errors import CorruptPayloadError
from ..codec.file.probes import distinct
from ..codec.images.picture import Array

__all__ = ["DIGEST", "MAX_COLOURS", "NAME", "decode_tile", "encode_tile", "measure_rows", "tile_shape"]

NAME = "indexed"
# Nothing is trained: these four bytes stand for the arithmetic, and change with it.
DIGEST = b"\0\0\0\1"
MAX_COLOURS = 256
# Tiles of so many pixels: counters for each take up to 110 MB.
TILE_PIXELS = 2**22
MAX_TABLE_BITS = 21

CONTEXTS = 13
INPUTS = 32  # two of each context, the match and the bias, and four that are always 0
KNOTS = 33  # of each correction, between which lie straight lines
FIRST_WEIGHT = 7000
COUNT_LIMIT = 100
FRESH = 1 << 31  # a counter: probability 1/2 in the upper 22 bits, 0 events in the lower 10
LONGEST_MATCH = 31
MARGIN = 4  # columns beside the image, and rows above it, that contexts may touch
BLOCK_PIXELS = 2**16
# A decision of probability 2^-16, the least there is, takes 16 bits; and a few bytes are pending.
BYTES_PER_DECISION = 17 / 8
SPARE_BYTES = 64

# 65536 / (1 + exp(-d / 170)) for d = 0, 64, ..., 2048; between them straight lines.
LOGISTIC = (
    32768, 38864, 44553, 49528, 53638, 56877, 59337, 61152, 62463, 63395, 64052, 64510, 64828, 65049, 65201, 65306,
    65378, 65427, 65461, 65485, 65501, 65512, 65519, 65525, 65528, 65531, 65532, 65533, 65534, 65535, 65535, 65535,
    65536,
)  # fmt: skip

X1, X2, CODE, POSITION, MATCH_AT, MATCH_LENGTH = range(6)  # places in `registers`


def _squash_table() -> npt.NDArray[np.int32]:
    """Probability of 16 bits, 1 to 65535, for a logit d of -2048 to 2047."""
    logits = np.arange(2048)
    knots = np.array(LOGISTIC, np.int32)
    step = logits // 64
    upper = knots[step] + (knots[step + 1] - knots[step]) * (logits % 64) // 64
    table = np.empty(4096, np.int32)
    table[2048:] = upper
    table[1:2048] = 65536 - upper[:0:-1]
    table[0] = table[1]
    return np.clip(table, 1, 65535)


SQUASH = _squash_table()
STRETCH = np.clip(np.searchsorted(SQUASH, np.arange(4096) * 16 + 8) - 2048, -2047, 2047).astype(np.int32)
RATE = np.array([2 * 65536 // (2 * count + 3) for count in range(COUNT_LIMIT + 1)], np.int32)


_code_rows = native.kernel(
    "dz_indexed_rows", c_int64, *[c_int64] * 6, c_void_p, c_void_p, c_int64, c_void_p, c_int64, *[c_void_p] * 9
)


class _State:
    """Everything that adapts while a tile is coded."""

    def __init__(self, height: int, width: int, bits: int) -> None:
        slots = 1 << min(MAX_TABLE_BITS, max(14, (height * width * bits).bit_length()))
        self.shape, self.bits, self.slots = (height, width), bits, slots
        self.canvas = np.zeros((height + MARGIN, width + 2 * MARGIN), np.uint8)
        self.registers = np.array([0, 0xFFFFFFFF, 0, 0, 0, 0], np.int64)
        self.tables = (  # in the order of `Tables` in indexed.kernels.c
            np.full((CONTEXTS, slots), FRESH, np.uint32),
            np.full(2 * LONGEST_MATCH + 2, FRESH, np.uint32),
            np.zeros(slots, np.int32),
            np.full((8 << 8, INPUTS), FIRST_WEIGHT, np.int32),
            np.full((1 << 7, INPUTS), FIRST_WEIGHT, np.int32),
            np.broadcast_to(SQUASH[np.minimum(np.arange(KNOTS) * 128, 4095)], (2, 1 << 16, KNOTS)).astype(
                np.uint16, "C"
            ),
            SQUASH,
            STRETCH,
            RATE,
        )

    def run(self, top: int, bottom: int, data: npt.NDArray[np.uint8], *, decoding: bool) -> None:
        """Code rows top to bottom."""
        arrays = (self.canvas.ctypes.data, data.ctypes.data, data.size, self.registers.ctypes.data)
        tables = [table.ctypes.data for table in self.tables]
        if _code_rows(top, bottom, *self.shape, self.bits, decoding, *arrays, self.slots, *tables):
            raise RuntimeError(f"rows {top} to {bottom} of a tile of {self.shape} do not fit into {data.size} bytes")


def tile_shape(height: int, width: int) -> tuple[int, int]:
    """Tiles (height, width) for an image: whole, or in bands."""
    return min(height, max(1, TILE_PIXELS // width)), width


def encode_tile(pixels: Array, progress: Callable[[int], None]) -> bytes:
    """Code a tile of at most `MAX_COLOURS` colours. 1 to 8 microseconds a pixel, the more the more colours.

    Args:
        pixels: [h, w, C] uint8.
        progress: called with numbers of pixels done.
    """
    height, width, channels = pixels.shape
    colours, indices = _named(pixels)
    shifts = np.arange(8 * channels - 8, -8, -8, dtype=np.uint64)
    table = (colours[:, None] >> shifts & np.uint64(255)).astype(np.uint8)
    head = _pack_table(table)
    bits = (len(colours) - 1).bit_length()
    if not bits:
        progress(height * width)
        return head
    state = _State(height, width, bits)
    state.canvas[MARGIN:, MARGIN:-MARGIN] = indices
    parts = [head]
    rows = max(1, BLOCK_PIXELS // width)
    data = np.zeros(int(rows * width * bits * BYTES_PER_DECISION) + SPARE_BYTES, np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        state.registers[POSITION] = 0
        state.run(top, bottom, data, decoding=False)
        parts.append(data[: state.registers[POSITION]].tobytes())
        progress((bottom - top) * width)
    # The first byte of x1 is below that of x2: one more than it, and zeros that need not be written, lie between them.
    parts.append(bytes([(int(state.registers[X1]) >> 24) + 1]))
    return b"".join(parts)


def measure_rows(pixels: Array, progress: Callable[[int], None]) -> npt.NDArray[np.float64]:
    """Bits of each row of a tile, [h], when it is coded; its table of colours is not in them.

    Args:
        pixels: [h, w, C] uint8.
        progress: called with numbers of pixels done.
    """
    height, width, _ = pixels.shape
    colours, indices = _named(pixels)
    bits = (len(colours) - 1).bit_length()
    spent = np.zeros(height + 1)
    if bits:
        state = _State(height, width, bits)
        state.canvas[MARGIN:, MARGIN:-MARGIN] = indices
        data = np.zeros(int(width * bits * BYTES_PER_DECISION) + SPARE_BYTES, np.uint8)
        written = 0
        for row in range(height):
            state.registers[POSITION] = 0
            state.run(row, row + 1, data, decoding=False)
            written += int(state.registers[POSITION])
            # What the interval has shrunk by since the last byte was written is spent, too.
            spent[row + 1] = 8 * written + 32 - np.log2(float(state.registers[X2] - state.registers[X1]) + 1)
            progress(width)
    return np.diff(spent)


def _named(pixels: Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """The colours of a tile in the order of brightness, so that indices of like ones are near, and its indices [h, w].

    A colour is its brightness << 32 | its samples. In bands of rows, which spares hundreds of megabytes.
    """
    height, width, channels = pixels.shape
    rows = max(1, BLOCK_PIXELS // width)

    def keys(top: int) -> npt.NDArray[np.uint64]:
        band = pixels[top : top + rows].astype(np.uint64)
        packed = band[:, :, 0]
        for channel in range(1, channels):
            packed = packed << np.uint64(8) | band[:, :, channel]
        return band[:, :, :3].sum(axis=2, dtype=np.uint64) << np.uint64(32) | packed if channels >= 3 else packed

    colours = np.zeros(0, np.uint64)
    for top in range(0, height, rows):
        colours = distinct(np.concatenate([colours, keys(top).ravel()]))
        if len(colours) > MAX_COLOURS:
            raise ValueError(f"more than {MAX_COLOURS} colours in a tile")
    indices = np.empty((height, width), np.uint8)
    for top in range(0, height, rows):
        indices[top : top + rows] = np.searchsorted(colours, keys(top))
    return colours, indices


def decode_tile(data: bytes, shape: tuple[int, int, int], progress: Callable[[int], None]) -> Array:
    """Decode a tile.

    Args:
        data: what `encode_tile` wrote.
        shape: (h, w, C) of the tile.
        progress: called with numbers of pixels done.

    Raises:
        CorruptPayloadError: `encode_tile` cannot have written it.
    """
    height, width, channels = shape
    table, offset = _unpack_table(data, channels)
    bits = (len(table) - 1).bit_length()
    if not bits:
        progress(height * width)
        return np.broadcast_to(table[0], shape)
    state = _State(height, width, bits)
    coded = np.frombuffer(data, np.uint8, offset=offset)
    first = data[offset : offset + 4].ljust(4, b"\0")
    state.registers[CODE], state.registers[POSITION] = int.from_bytes(first, "big"), 4
    rows = max(1, BLOCK_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        state.run(top, bottom, coded, decoding=True)
        progress((bottom - top) * width)
    indices = state.canvas[MARGIN:, MARGIN:-MARGIN]
    if int(indices.max()) >= len(table):
        raise CorruptPayloadError(f"colour {indices.max()} in a tile of {len(table)} colours")
    return table[indices]


def _pack_table(table: npt.NDArray[np.uint8]) -> bytes:
    """The colours: their number less one; 0 for 0, 1, 2, ...; else 1 and the table, or 2, a length and it deflated."""
    count, channels = table.shape
    if channels == 1 and np.array_equal(table[:, 0], np.arange(count)):
        return bytes([count - 1, 0])
    planes = np.diff(table, axis=0, prepend=np.zeros((1, channels), np.uint8)).T.tobytes()
    deflated = zlib.compress(planes, 9)
    if len(deflated) + 2 < len(planes):
        return bytes([count - 1, 2]) + len(deflated).to_bytes(2, "little") + deflated
    return bytes([count - 1, 1]) + planes


def _unpack_table(data: bytes, channels: int) -> tuple[npt.NDArray[np.uint8], int]:
    """The colours [n, C], and where they end."""
    if len(data) < 2 or data[1] > 2 or (data[1] == 0 and channels != 1):
        raise CorruptPayloadError(f"a table of colours that begins with {data[:2].hex()}")
    count, end = data[0] + 1, 2
    if data[1] == 0:
        return np.arange(count, dtype=np.uint8)[:, None], end
    size = count * channels
    planes = data[2 : 2 + size]
    end = 2 + size
    if data[1] == 2:
        end = 4 + int.from_bytes(data[2:4], "little")
        inflater = zlib.decompressobj()
        try:
            planes = inflater.decompress(data[4:end], size)
        except zlib.error as error:
            raise CorruptPayloadError(f"a table of colours that does not inflate: {error}") from None
    if len(planes) != size or end > len(data):
        raise CorruptPayloadError(f"a table of {len(planes)} bytes for {count} colours of {channels} samples")
    differences = np.frombuffer(planes, np.uint8).reshape(channels, count)
    return np.cumsum(differences, axis=1, dtype=np.uint8).T, end
