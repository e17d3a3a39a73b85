"""Images of few colours: screenshots, icons, drawings, scanned text, palettes.

The index of each pixel's colour is coded bit by bit. Thirteen contexts of causal neighbours, and a search for the last
place that looked the same, each give a probability that adapts to the image; logistic mixing weighs them, and two
tables correct the result by what happened before at the same estimate. Nothing is trained, and nothing is a float:
the file decodes to the same pixels everywhere.

Source: Mahoney, *Adaptive weighing of context models for lossless data compression* (2005), and lpaq1 (2007), whose
`stretch`, `squash`, state counters and APM stages these are, with two-dimensional contexts. Their p (12 bits) is our
`slot >> 20`; their weights (16.16) are our `depth_weights` and `pattern_weights`, two sets whose outputs are averaged.
"""

import zlib
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

from ..codec.entropy.compiled import cached
from ..codec.errors import CorruptPayloadError
from ..codec.images.picture import Array
from .firstuse import FirstUse

__all__ = ["DIGEST", "MAX_COLOURS", "NAME", "decode_tile", "encode_tile", "tile_shape"]

NAME = "indexed"
# Nothing is trained: these four bytes stand for the arithmetic below, and change with it.
DIGEST = b"\0\0\0\1"
MAX_COLOURS = 256
# Tiles of so many pixels: counters for each take up to 110 MB.
TILE_PIXELS = 2**22
MAX_TABLE_BITS = 21

CONTEXTS = 13
MATCH, BIAS = CONTEXTS * 2, CONTEXTS * 2 + 1
INPUTS = CONTEXTS * 2 + 2
FIRST_WEIGHT = 7000
LEARNING_RATE = 3
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

COMPILING = "densezip: compiling the coder of drawings for this processor (once; some seconds)"

X1, X2, CODE, POSITION, MATCH_AT, MATCH_LENGTH = range(6)  # places in `registers`


def _squash_table() -> npt.NDArray[np.int64]:
    """Probability of 16 bits, 1 to 65535, for a logit d of -2048 to 2047."""
    logits = np.arange(2048)
    knots = np.array(LOGISTIC, np.int64)
    step = logits // 64
    upper = knots[step] + (knots[step + 1] - knots[step]) * (logits % 64) // 64
    table = np.empty(4096, np.int64)
    table[2048:] = upper
    table[1:2048] = 65536 - upper[:0:-1]
    table[0] = table[1]
    return np.clip(table, 1, 65535)


SQUASH = _squash_table()
STRETCH = np.clip(np.searchsorted(SQUASH, np.arange(4096) * 16 + 8) - 2048, -2047, 2047).astype(np.int64)
RATE = np.array([2 * 65536 // (2 * count + 3) for count in range(COUNT_LIMIT + 1)], np.int64)


@numba.njit(inline="always")
def _mix(state, value):  # type: ignore[no-untyped-def]
    """One step of a 32-bit hash, in non-negative 64-bit integers that never overflow."""
    state = ((state + value + 1) * 0x2C1B3C6D) & 0xFFFFFFFF
    return state ^ (state >> 15)


@numba.njit(inline="always")
def _learn(counter, bit, rate):  # type: ignore[no-untyped-def]
    """A counter after one more event: its probability moves by 1 / (events + 1.5) of the way."""
    count = counter & 1023
    probability = counter >> 10
    probability += (((bit << 22) - probability) * rate[count]) >> 16
    return min((1 << 22) - 1, max(0, probability)) << 10 | min(count + 1, COUNT_LIMIT)


@cached
def _code_rows(  # type: ignore[no-untyped-def] # noqa: PLR0915
    top, bottom, canvas, bits, decoding, data, registers,
    counters, match_counters, places, depth_weights, pattern_weights, corrections, squash, stretch, rate,
    hashes, slots, inputs,
):  # fmt: skip
    """Code rows of `canvas`, [MARGIN + H, MARGIN + W + MARGIN] uint8 indices, from or into `data`.

    One function for both directions: the decoder cannot compute another probability than the encoder. Everything that
    adapts is in the arrays; `registers` holds the arithmetic coder and the match.
    """
    width = canvas.shape[1] - 2 * MARGIN
    slot_mask = counters.shape[1] - 1
    place_mask = places.shape[0] - 1
    x1, x2, code = registers[X1], registers[X2], registers[CODE]
    position, match_at, match_length = registers[POSITION], registers[MATCH_AT], registers[MATCH_LENGTH]
    for y in range(top + MARGIN, bottom + MARGIN):
        for x in range(MARGIN, width + MARGIN):
            w, ww, www = np.int64(canvas[y, x - 1]), np.int64(canvas[y, x - 2]), np.int64(canvas[y, x - 3])
            n, nw, ne = np.int64(canvas[y - 1, x]), np.int64(canvas[y - 1, x - 1]), np.int64(canvas[y - 1, x + 1])
            nww, nee, neee = canvas[y - 1, x - 2], np.int64(canvas[y - 1, x + 2]), canvas[y - 1, x + 3]
            nn, nnw, nne = canvas[y - 2, x], canvas[y - 2, x - 1], canvas[y - 2, x + 1]
            near = _mix(_mix(_mix(_mix(0, w), n), ne), nw)
            six = _mix(_mix(near, ww), nn)
            ten = _mix(_mix(_mix(_mix(six, nee), nww), nne), nnw)
            wide = _mix(_mix(_mix(ten, www), neee), canvas[y - 3, x])
            wide = _mix(_mix(wide, canvas[y - 2, x + 2]), canvas[y - 2, x - 2])
            hashes[0] = 1
            hashes[1] = _mix(_mix(2, w), n)
            hashes[2] = _mix(_mix(_mix(3, w), n), nw)
            hashes[3] = _mix(4, near)
            hashes[4] = _mix(5, six)
            hashes[5] = _mix(6, ten)
            hashes[6] = _mix(7, wide)
            hashes[7] = _mix(_mix(_mix(8, w), ww), www)
            hashes[8] = _mix(_mix(_mix(9, n), nn), canvas[y - 3, x])
            hashes[9] = _mix(_mix(_mix(10, ne), w), nee)
            # Indices in an order of brightness are amounts too: a plane, a slope and two means.
            hashes[10] = _mix(11, w + n - nw + 512)
            hashes[11] = _mix(_mix(12, w + ne), n - nw + 512)
            hashes[12] = _mix(_mix(13, (w + n) >> 1), (ne + nw) >> 1)
            pattern = (w == n) | (n == nw) << 1 | (w == nw) << 2 | (n == ne) << 3
            pattern |= (w == ww) << 4 | (n == nn) << 5 | (ne == nee) << 6
            here = (y - MARGIN) * width + x - MARGIN
            place = wide & place_mask
            if match_length == 0:
                match_at = places[place]
                match_length = 1 if match_at else 0
            places[place] = here
            expected = np.int64(-1)
            if match_length:
                expected = np.int64(canvas[match_at // width + MARGIN, match_at % width + MARGIN])
            length = min(match_length, LONGEST_MATCH)
            by_two = _mix(_mix(77, w), n)
            index = np.int64(canvas[y, x])
            node = 1
            for depth in range(bits):
                # What each context says.
                known = 0
                for i in range(CONTEXTS):
                    slot = _mix(hashes[i], node * 0x9E3779B1 & 0xFFFFFFFF) & slot_mask
                    slots[i] = slot
                    counter = np.int64(counters[i, slot])
                    count = counter & 1023
                    inputs[2 * i] = stretch[counter >> 20] if count else 0
                    inputs[2 * i + 1] = ((counter >> 20) - 2048) * (count if count < 16 else 16) >> 6
                    if 3 <= i <= 6 and count:
                        known += 1
                matching, match_slot = 0, -1
                inputs[MATCH] = 0
                if expected >= 0 and (expected | 1 << bits) >> (bits - depth) == node:
                    match_slot = length * 2 + (expected >> (bits - 1 - depth) & 1)
                    inputs[MATCH] = stretch[np.int64(match_counters[match_slot]) >> 20]
                    matching = 5 if length >= 16 else 1 + min(length, 7) // 2
                inputs[BIAS] = 256
                # Two weighted sums of logits, averaged, and corrected by two tables.
                row = depth << 8 | matching << 5 | known
                sum_a, sum_b = 0, 0
                for i in range(INPUTS):
                    sum_a += inputs[i] * depth_weights[row, i]
                    sum_b += inputs[i] * pattern_weights[pattern, i]
                logit_a = min(2047, max(-2047, sum_a >> 16))
                logit_b = min(2047, max(-2047, sum_b >> 16))
                logit = ((logit_a + logit_b) >> 1) + 2048
                at, part = logit >> 7, logit & 127
                row_a, row_b = w << 8 | node, (by_two + node * 0x9E37) & 0xFFFF
                chance = 2 * squash[logit]
                chance += (corrections[0, row_a, at] * (128 - part) + corrections[0, row_a, at + 1] * part) >> 7
                chance += (corrections[1, row_b, at] * (128 - part) + corrections[1, row_b, at + 1] * part) >> 7
                chance = min(65535, max(1, chance >> 2))
                # A binary arithmetic coder of 32 bits.
                middle = x1 + ((x2 - x1) >> 16) * chance + (((x2 - x1) & 0xFFFF) * chance >> 16)
                bit = (1 if code <= middle else 0) if decoding else index >> (bits - 1 - depth) & 1
                if bit:
                    x2 = middle
                else:
                    x1 = middle + 1
                while (x1 ^ x2) & 0xFF000000 == 0:
                    if decoding:
                        code = (code << 8 & 0xFFFFFFFF) | (np.int64(data[position]) if position < len(data) else 0)
                    else:
                        data[position] = x2 >> 24
                    position += 1
                    x1 = x1 << 8 & 0xFFFFFFFF
                    x2 = (x2 << 8 & 0xFFFFFFFF) | 255
                # Learn.
                error_a = ((bit << 16) - squash[logit_a + 2048]) * LEARNING_RATE
                error_b = ((bit << 16) - squash[logit_b + 2048]) * LEARNING_RATE
                for i in range(INPUTS):
                    depth_weights[row, i] += (inputs[i] * error_a + 32768) >> 16
                    pattern_weights[pattern, i] += (inputs[i] * error_b + 32768) >> 16
                for i in range(CONTEXTS):
                    counters[i, slots[i]] = _learn(np.int64(counters[i, slots[i]]), bit, rate)
                if match_slot >= 0:
                    match_counters[match_slot] = _learn(np.int64(match_counters[match_slot]), bit, rate)
                nearest = at + (1 if part >= 64 else 0)
                target = 65535 if bit else 0
                corrections[0, row_a, nearest] += (target - corrections[0, row_a, nearest]) >> 6
                corrections[1, row_b, nearest] += (target - corrections[1, row_b, nearest]) >> 6
                node = node << 1 | bit
            found = node - (1 << bits)
            canvas[y, x] = found
            if match_length:
                match_length = match_length + 1 if found == expected else 0
                match_at += 1
    registers[X1], registers[X2], registers[CODE] = x1, x2, code
    registers[POSITION], registers[MATCH_AT], registers[MATCH_LENGTH] = position, match_at, match_length


class _State:
    """Everything that adapts while a tile is coded."""

    def __init__(self, height: int, width: int, bits: int) -> None:
        table_bits = min(MAX_TABLE_BITS, max(14, (height * width * bits).bit_length()))
        self.bits = bits
        self.canvas = np.zeros((height + MARGIN, width + 2 * MARGIN), np.uint8)
        self.registers = np.array([0, 0xFFFFFFFF, 0, 0, 0, 0], np.int64)
        self.arrays = (
            np.full((CONTEXTS, 1 << table_bits), FRESH, np.uint32),
            np.full(2 * LONGEST_MATCH + 2, FRESH, np.uint32),
            np.zeros(1 << table_bits, np.int32),
            np.full((8 << 8, INPUTS), FIRST_WEIGHT, np.int64),
            np.full((1 << 7, INPUTS), FIRST_WEIGHT, np.int64),
            np.broadcast_to(SQUASH[np.minimum(np.arange(33) * 128, 4095)], (2, 1 << 16, 33)).astype(np.int32),
            SQUASH,
            STRETCH,
            RATE,
            np.zeros(CONTEXTS, np.int64),
            np.zeros(CONTEXTS, np.int64),
            np.zeros(INPUTS, np.int64),
        )

    def run(self, top: int, bottom: int, data: npt.NDArray[np.uint8], *, decoding: bool) -> None:
        """Code rows top to bottom."""
        _code_rows(top, bottom, self.canvas, self.bits, decoding, data, self.registers, *self.arrays)


def _load() -> None:
    _State(1, 1, 1).run(0, 1, np.zeros(SPARE_BYTES, np.uint8), decoding=False)


_coder = FirstUse(COMPILING, _load)


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
    _coder.wait()
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
        colours = np.union1d(colours, keys(top))
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
    _coder.wait()
    state = _State(height, width, bits)
    coded = np.frombuffer(bytearray(data), np.uint8, offset=offset)  # writable: one compiled function for both ways
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
