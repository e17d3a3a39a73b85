"""Tiles of samples to the bytes of the rendered payload and back; the layout is described in codec/FORMAT.md."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt

from ...codec.errors import CorruptPayloadError
from ...codec.file.probes import distinct
from ...codec.images.picture import Array
from ..alphabets import listed_values
from .colours import best_order
from .engine import POSITION, Session

__all__ = ["DIGEST", "NAME", "decode_tile", "encode_tile", "tile_shape"]

NAME = "rendered"
DIGEST = b"\0\0\0\1"
"""Nothing is trained: these four bytes stand for the arithmetic, and change with it."""

TILE_PIXELS = 2**21
CHUNK_SAMPLES = 2**14
"""Samples coded between two reports of progress."""

PLAIN, NAMED, LISTED = 0, 1, 2
"""How samples are held: as they are; as indices of colours; as ranks among the values that occur in their channel."""

MOST_COLOURS = 256
READ_AHEAD = 8
"""Bytes that a sound tile is read past its end, and some."""

Progress = Callable[[int], None]
Samples = npt.NDArray[np.uint16]


def tile_shape(height: int, width: int) -> tuple[int, int]:
    """Tiles (height, width) for an image: whole, or in bands."""
    return min(height, max(1, TILE_PIXELS // width)), width


def encode_tile(pixels: Array, progress: Progress) -> bytes:
    """Code a tile. 1 to 5 microseconds a sample.

    Args:
        pixels: [h, w, C], 8 or 16 bits.
        progress: called with numbers of pixels done.
    """
    depth = 8 * pixels.itemsize
    samples = pixels.astype(np.uint16)
    named = _name_colours(samples, depth)
    if named is not None:
        colours, indices = named
        table = _encode_samples(colours[None], (1 << depth) - 1, lambda _: None)
        head = bytes([NAMED, len(colours) - 1]) + _part(table)
        if len(colours) == 1:
            progress(indices.size)
            return head
        return head + _encode_samples(indices[:, :, None], len(colours) - 1, progress)
    bitmap, ranks, most = _list_values(samples, depth)
    if bitmap:
        return bytes([LISTED]) + _part(bitmap) + _encode_samples(ranks, most, progress)
    return bytes([PLAIN]) + _encode_samples(samples, (1 << depth) - 1, progress)


def decode_tile(data: bytes, shape: tuple[int, int, int], depth: int, progress: Progress) -> Array:
    """Decode a tile.

    Args:
        data: what `encode_tile` wrote.
        shape: (h, w, C) of the tile.
        depth: bits of a sample, 8 or 16.
        progress: called with numbers of pixels done.

    Raises:
        CorruptPayloadError: `encode_tile` cannot have written it.
    """
    height, width, channels = shape
    sample = np.dtype(np.uint8 if depth == 8 else np.uint16)
    kind = data[0] if data else -1
    if kind == PLAIN:
        return _decode_samples(data[1:], shape, (1 << depth) - 1, progress).astype(sample)
    if kind == NAMED:
        count = 1 + int.from_bytes(data[1:2])
        table, rest = _taken(data[2:])
        colours = _decode_samples(table, (1, count, channels), (1 << depth) - 1, lambda _: None)[0]
        colours = colours.astype(sample)
        if count == 1:
            progress(height * width)
            return np.broadcast_to(colours[0], shape)
        return cast(Array, colours[_decode_samples(rest, (height, width, 1), count - 1, progress)[:, :, 0]])
    if kind == LISTED:
        bitmap, rest = _taken(data[1:])
        values = listed_values(bitmap, channels, depth)
        most = max(map(len, values)) - 1
        if most == 0:
            raise CorruptPayloadError("one value in every channel, which is no list")
        ranks = _decode_samples(rest, shape, most, progress)
        samples = np.empty(shape, sample)
        for c, known in enumerate(values):
            if int(ranks[:, :, c].max()) >= len(known):
                raise CorruptPayloadError(f"value {ranks[:, :, c].max()} in a channel of {len(known)}")
            samples[:, :, c] = known[ranks[:, :, c]]
        return samples
    raise CorruptPayloadError(f"a tile of kind {kind}; there are 0 to {LISTED}")


def _part(data: bytes) -> bytes:
    """Bytes after their number, which is below 2^16: of a table or a bitmap."""
    return len(data).to_bytes(2, "little") + data


def _taken(data: bytes) -> tuple[bytes, bytes]:
    """Inverse of `_part`, and what follows."""
    end = 2 + int.from_bytes(data[:2], "little")
    if end > len(data):
        raise CorruptPayloadError(f"a part of {end} bytes where the tile has {len(data)} left")
    return data[2:end], data[end:]


def _encode_samples(samples: Samples, most: int, progress: Progress) -> bytes:
    """Code samples [h, w, C] of 0 to `most`."""
    height, width, channels = samples.shape
    session = Session(height, width, channels, most)
    session.inside[:] = samples
    rows = max(1, CHUNK_SAMPLES // (width * channels))
    parts = []
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        parts.append(session.code(top, bottom))
        progress((bottom - top) * width)
    return b"".join([*parts, session.finish()])


def _decode_samples(data: bytes, shape: tuple[int, int, int], most: int, progress: Progress) -> Samples:
    """Inverse of `_encode_samples`."""
    height, width, channels = shape
    session = Session(height, width, channels, most, np.frombuffer(data, np.uint8))
    rows = max(1, CHUNK_SAMPLES // (width * channels))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        session.code(top, bottom)
        beyond = int(session.registers[POSITION]) - len(data)
        if beyond > READ_AHEAD:
            raise CorruptPayloadError(f"the coded samples go on {beyond} bytes past the end of the tile")
        progress((bottom - top) * width)
    return session.inside


def _name_colours(samples: Samples, depth: int) -> tuple[Samples, Samples] | None:
    """The colours [n, C] of a tile of few, and its indices [h, w]; None where there are more or naming is no use."""
    height, channels = samples.shape[0], samples.shape[2]
    packed = samples[:, :, 0].astype(np.uint64)
    for c in range(1, channels):
        packed = packed << np.uint64(16) | samples[:, :, c]
    found = distinct(packed[:: max(1, height // 64)])
    if len(found) > MOST_COLOURS:
        return None
    found = distinct(packed)
    if len(found) > MOST_COLOURS:
        return None
    shifts = np.arange(16 * channels - 16, -16, -16, dtype=np.uint64)
    colours = (found[:, None] >> shifts & np.uint64(0xFFFF)).astype(np.uint16)
    indices = np.searchsorted(found, packed).astype(np.uint8)
    bright = np.argsort(colours[:, :3].astype(int).sum(axis=1), kind="stable")
    place = np.empty(len(bright), np.uint8)
    place[bright] = np.arange(len(bright), dtype=np.uint8)
    colours, indices = colours[bright], place[indices]
    order = best_order(indices, colours)
    if depth == 8 and channels == 1 and (np.diff(order) == 1).all() and 2 * len(order) > int(np.ptp(colours)):
        return None  # grey in its own order, nearly all of it
    place[order] = np.arange(len(order), dtype=np.uint8)
    return colours[order], place[indices].astype(np.uint16)


def _list_values(samples: Samples, depth: int) -> tuple[bytes, Samples, int]:
    """A deflated bitmap of each channel's values, the samples' ranks, the highest of these; b"" where it is no use."""
    height, width, channels = samples.shape
    masks, ranks, gain, most = [], np.empty_like(samples), 0.0, 0
    for c in range(channels):
        mask = np.bincount(samples[:, :, c].ravel(), minlength=1 << depth) > 0
        values = np.flatnonzero(mask)
        masks.append(np.packbits(mask))
        ranks[:, :, c] = (np.cumsum(mask) - 1)[samples[:, :, c]]
        most = max(most, len(values) - 1)
        # A value that is used a few times only says more about the picture than about its histogram.
        if 4 * len(values) < height * width:
            gain += 0.5 * height * width * float(np.log2((int(np.ptp(values)) + 1) / len(values)))
    bitmap = zlib.compress(np.concatenate(masks).tobytes(), 9)
    return (bitmap, ranks, most) if most and gain > 8 * len(bitmap) else (b"", samples, 0)
