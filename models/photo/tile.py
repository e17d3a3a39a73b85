"""Tiles of samples to the bytes of the photo payload and back; the layout is described in codec/FORMAT.md."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy import rangecoder
from ...codec.errors import CorruptPayloadError
from ..alphabets import listed_values
from .engine import SAMPLE_BYTES, Session, new_alphabet
from .weights import CODING_ORDER, ModelId, PhotoWeights, load_weights

__all__ = ["decode_tile", "encode_tile", "measure_bits", "tile_shape"]

TILE_PIXELS = 2**20
"""An image is cut into strips of about this many pixels. Each learns anew: cut in two, photographs of 0.4 megapixels
took 0.3 % more at effort 1. Larger ones would leave processors idle."""

WIDEST = 2**15
"""Most columns of a tile: the buffers of the last rows take up to 2 KB for each."""

CHUNK_PIXELS = 1 << 14
"""Pixels coded between two reports of progress, in which the work can be interrupted."""

CONSTANT, FULL, SPARSE = 0, 1, 2
"""How a group of channels is stored: every channel one value; coded over all values; coded over the listed values."""

KIND_BITS = 2
"""Bits of that in a group's first byte; above them stands the orientation."""

ORIENTATIONS = 8
"""Ways to turn a tile before it is coded: +1 its columns reversed, +2 its rows, and then +4 rows for columns."""

FASTEST = "photo-1"
"""The model by which orientations are tried."""

TRIAL_SIDE = 256
"""Height and width, at most, of the middle of a tile on which the orientations are tried."""

Progress = Callable[[int], None]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def tile_shape(model: ModelId, height: int, width: int) -> tuple[int, int]:
    """(height, width) of the tiles for an image: strips as wide as the image, if that is at most `WIDEST`."""
    tile_width = -(-width // -(-width // WIDEST))
    count = max(1, round(height * tile_width / TILE_PIXELS))
    return -(-height // count), tile_width


@lru_cache(maxsize=8)
def _weights(name: str, group: str) -> PhotoWeights:
    return load_weights(name, group)


def _groups(channels: int) -> list[tuple[str, list[int]]]:
    """Which channels are coded together, in which order, by which network: colour or grey first, then alpha."""
    groups = [("colour", list(CODING_ORDER))] if channels >= 3 else [("grey", [0])]
    return groups + ([("grey", [channels - 1])] if channels in (2, 4) else [])


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes(result + bytes([number]))


def _turn(samples: Any, orientation: int) -> Any:
    """A view of samples [H, W, ...] in an orientation; [W, H, ...] from 4 on."""
    samples = samples[:, ::-1] if orientation & 1 else samples
    samples = samples[::-1] if orientation & 2 else samples
    return samples.swapaxes(0, 1) if orientation & 4 else samples


def _turn_back(samples: Any, orientation: int) -> Any:
    """Inverse of `_turn`."""
    samples = samples.swapaxes(0, 1) if orientation & 4 else samples
    return _turn(samples, orientation & 3)


class _Reader:
    """Takes a payload apart; reading past its end is an error."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise CorruptPayloadError(f"the tile ends after {len(self._data)} bytes where {self._at + size} are needed")
        self._at += size
        return part

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128 and (byte > 0 or shift == 7):
                return number
            if byte == 0 or shift == 63:
                raise CorruptPayloadError("a length in the tile is longer than it needs to be, or than 9 bytes")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)


def _values(samples: Pixels, depth: int) -> tuple[bytes, list[NDArray[np.int64]]]:
    """The values that each channel may take, and how they are described: b"" for all values of the depth."""
    everything = np.arange(1 << depth)
    used, bitmaps, gain = [], [], 0.0
    for c in range(samples.shape[2]):
        mask = np.bincount(samples[:, :, c].ravel(), minlength=1 << depth) > 0
        values = np.flatnonzero(mask)
        used.append(values)
        bitmaps.append(np.packbits(mask))
        spread = int(values[-1] - values[0]) + 1
        # A value that is used a few times only says more about the picture than about its histogram.
        if values.size * 4 < samples.shape[0] * samples.shape[1]:
            gain += 0.5 * samples.shape[0] * samples.shape[1] * float(np.log2(spread / values.size))
    bitmap = zlib.compress(np.concatenate(bitmaps).tobytes(), 9)
    if gain > 8 * len(bitmap):
        return bitmap, used
    return b"", [everything] * samples.shape[2]


def _encode_rows(
    session: Session, symbols: NDArray[np.uint16], progress: Progress | None, measure: bool
) -> tuple[NDArray[np.uint8], float]:
    """Encode all rows; returns the buffer and, to measure, the model's own bits."""
    height, width, channels = symbols.shape
    rows = max(1, CHUNK_PIXELS // width)
    data, bits = np.zeros(0, np.uint8), 0.0
    probability = np.zeros(rows * width * channels) if measure else None
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        samples = (bottom - top) * width * channels
        needed = int(session.coder[rangecoder.POSITION]) + samples * SAMPLE_BYTES + rangecoder.FLUSH_BYTES
        if data.size < needed:
            grown = np.zeros(needed * 2, np.uint8)
            grown[: data.size] = data
            data = grown
        session.encode(symbols, top, bottom, data, probability)
        if probability is not None:
            bits -= float(np.log2(probability[:samples]).sum())
        if progress is not None:
            progress((bottom - top) * width)
    return data, bits


def _decode_rows(
    session: Session, symbols: NDArray[np.uint16], data: NDArray[np.uint8], progress: Progress | None
) -> None:
    """Decode all rows."""
    height, width, _ = symbols.shape
    rows = max(1, CHUNK_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        session.decode(symbols, top, bottom, data)
        beyond = int(session.coder[rangecoder.POSITION]) - data.size
        if beyond > 2 * rangecoder.FLUSH_BYTES:  # what was not written at the end, and what was read ahead
            raise CorruptPayloadError(f"the coded samples go on {beyond} bytes past the end of the tile")
        if progress is not None:
            progress((bottom - top) * width)


def _share(progress: Progress | None, parts: int) -> Progress | None:
    """Progress of one of several groups, so that all together count each pixel once."""
    if progress is None or parts == 1:
        return progress
    left = [0]

    def report(pixels: int) -> None:
        left[0] += pixels
        whole, left[0] = divmod(left[0], parts)
        progress(whole)

    return report


def _best_orientation(group: str, samples: Pixels, depth: int) -> int:
    """The orientation in which the middle of a tile is smallest at effort 1, which is right mostly at others too.

    The model predicts from the left and from above: shadows, gradients and the paths of sharpening filters make that
    easier from one corner than from another.
    """
    height, width = samples.shape[:2]
    top, left = max(0, height - TRIAL_SIDE) // 2, max(0, width - TRIAL_SIDE) // 2
    middle = samples[top : top + TRIAL_SIDE, left : left + TRIAL_SIDE]
    weights = _weights(FASTEST, group)

    def size(orientation: int) -> int:
        turned = np.ascontiguousarray(_turn(middle, orientation))
        return len(_encode_group(weights, turned, depth, None, measure=False)[2])

    return min(range(ORIENTATIONS if height <= WIDEST else 4), key=size)


def _encode_group(
    weights: PhotoWeights, samples: Pixels, depth: int, progress: Progress | None, measure: bool
) -> tuple[int, bytes, bytes, float]:
    """(kind, description, coded bytes, the model's own bits) of the channels [H, W, C]."""
    bitmap, values = _values(samples, depth)
    symbols = samples.astype(np.uint16)
    if bitmap:
        for c, v in enumerate(values):
            symbols[:, :, c] = np.searchsorted(v, symbols[:, :, c])
    height, width, _ = symbols.shape
    session = Session(weights.spec, weights.shape, weights, new_alphabet(values), width, depth, height)
    data, bits = _encode_rows(session, symbols, progress, measure)
    coded = data[: rangecoder.finish(session.coder, data)].tobytes()
    return (SPARSE if bitmap else FULL), bitmap, coded, bits


def _encode(
    model: ModelId, pixels: Pixels, depth: int, progress: Progress | None, measure: bool
) -> tuple[bytes, float]:
    if pixels.shape[1] > WIDEST:
        raise ValueError(f"a tile of {pixels.shape[1]} columns; the widest has {WIDEST}")
    result, bits = bytearray(), 0.0
    groups = _groups(pixels.shape[2])
    share = _share(progress, len(groups))
    for number, (group, channels) in enumerate(groups):
        samples: Any = np.ascontiguousarray(pixels[:, :, channels])
        first = samples[0, 0]
        if (samples == first).all():
            result += bytes([CONSTANT]) + first.astype("<u2" if depth > 8 else "<u1").tobytes()
            if share is not None:
                share(samples.shape[0] * samples.shape[1])
            continue
        weights = _weights(model.name, group)
        orientation = _best_orientation(group, samples, depth) if weights.spec.turned else 0
        turned = np.ascontiguousarray(_turn(samples, orientation))
        kind, bitmap, coded, own = _encode_group(weights, turned, depth, share, measure)
        bits += own
        result.append(kind | orientation << KIND_BITS)
        if kind == SPARSE:
            result += _varint(len(bitmap)) + bitmap
        if number < len(groups) - 1:
            result += _varint(len(coded))
        result += coded
    return bytes(result), bits


def encode_tile(model: ModelId, pixels: Pixels, depth: int, progress: Progress | None = None) -> bytes:
    """Code a tile.

    Args:
        model: one of `known_models()`.
        pixels: samples. [H, W, C], C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA)
        depth: bits per sample, 8 or 16.
        progress: called with the number of pixels done since the last call.
    """
    return _encode(model, pixels, depth, progress, measure=False)[0]


def measure_bits(model: ModelId, pixels: Pixels, depth: int) -> float:
    """The model's own code length of a tile in bits, -log2 p summed over all coded samples."""
    return _encode(model, pixels, depth, None, measure=True)[1]


def decode_tile(
    model: ModelId, data: bytes, shape: tuple[int, int, int], depth: int, progress: Progress | None = None
) -> Pixels:
    """Decode a tile of a known shape [H, W, C].

    Raises:
        CorruptPayloadError: no encoder wrote this.
    """
    height, width, count = shape
    if width > WIDEST:
        raise CorruptPayloadError(f"a tile of {width} columns; the widest has {WIDEST}")
    sample: Any = np.uint16 if depth > 8 else np.uint8
    pixels = np.zeros(shape, sample)
    reader = _Reader(data)
    groups = _groups(count)
    share = _share(progress, len(groups))
    for number, (group, channels) in enumerate(groups):
        first = reader.take(1)[0]
        orientation, kind = first >> KIND_BITS, first & (1 << KIND_BITS) - 1
        if kind not in (CONSTANT, FULL, SPARSE) or orientation >= (1 if kind == CONSTANT else ORIENTATIONS):
            raise CorruptPayloadError(f"a group of channels that begins with the byte {first}")
        if kind == CONSTANT:
            raw = reader.take(len(channels) * (2 if depth > 8 else 1))
            pixels[:, :, channels] = np.frombuffer(raw, "<u2" if depth > 8 else "<u1")
            if share is not None:
                share(height * width)
            continue
        values = [np.arange(1 << depth)] * len(channels)
        if kind == SPARSE:
            values = listed_values(reader.take(reader.varint()), len(channels), depth)
        coded = reader.take(reader.varint()) if number < len(groups) - 1 else reader.rest()
        lines, columns = (width, height) if orientation & 4 else (height, width)
        if columns > WIDEST:
            raise CorruptPayloadError(f"a tile turned to {columns} columns; the widest has {WIDEST}")
        weights = _weights(model.name, group)
        session = Session(weights.spec, weights.shape, weights, new_alphabet(values), columns, depth, lines)
        stream = np.frombuffer(coded, np.uint8)
        symbols = np.zeros((lines, columns, len(channels)), np.uint16)
        rangecoder.start_decoding(session.coder, stream)
        _decode_rows(session, symbols, stream, share)
        upright = _turn_back(symbols, orientation)
        for place, (c, v) in enumerate(zip(channels, values, strict=True)):
            pixels[:, :, c] = v[upright[:, :, place]] if kind == SPARSE else upright[:, :, place]
    if reader.rest():
        raise CorruptPayloadError("bytes after the end of the tile's samples")
    return pixels
