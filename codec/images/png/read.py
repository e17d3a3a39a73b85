"""The pixels of a PNG file, of every depth, colour type and order of rows.

Source: PNG, third edition, W3C, sections 7 (packing), 8 (Adam7), 9 (filters) and 10 (compression).
"""

import ctypes
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import numpy as np

from ...errors import UnreadableImageError
from ...native import function
from .chunks import CHANNELS_OF_COLOUR_TYPE, PALETTE, PngFile, raw_chunks
from .rows import ADAM7, Array, Bytes

__all__ = ["mode_of", "read_pixels"]

# Modes by the number of channels; grey of one bit and palettes have others.
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MODES_16 = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}


@lru_cache(maxsize=1)
def _unfilter() -> Callable[..., Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    return function("dz_png_unfilter", number, pointer, pointer, number, number, number, pointer)


def mode_of(file: PngFile) -> str:
    """The mode of a picture of this file, one of `modes.MODES`."""
    if file.colour_type == PALETTE:
        return "P"
    if file.depth == 1:
        return "1"
    return (MODES_16 if file.depth == 16 else MODES)[CHANNELS_OF_COLOUR_TYPE[file.colour_type]]


def read_pixels(data: bytes, file: PngFile) -> Array:
    """The samples of a file, [H, W, C]; grey ones of 2 and 4 bits are scaled to 0..255.

    Args:
        data: the bytes of the file.
        file: what `chunks.parse` gave for it.

    Raises:
        UnreadableImageError: the pixels are damaged or cut short.
    """
    channels = CHANNELS_OF_COLOUR_TYPE[file.colour_type]
    steps = ADAM7 if file.interlaced else ((0, 0, 1, 1),)
    sizes = []
    for top, left, down, right in steps:
        height, width = -(-(file.height - top) // down), -(-(file.width - left) // right)
        if height > 0 and width > 0:
            sizes.append((top, left, down, right, height, -(-width * channels * file.depth // 8)))
    raw = _inflate(data, sum(height * (1 + row) for *_, height, row in sizes))
    out = cast(Array, np.empty((file.height, file.width, channels), np.uint16 if file.depth == 16 else np.uint8))
    step, position = max(1, channels * file.depth // 8), 0
    for top, left, down, right, height, row in sizes:
        filtered = raw[position : position + height * (1 + row)]
        position += height * (1 + row)
        rows, zeros = np.empty((height, row), np.uint8), np.zeros(row, np.uint8)
        done = _unfilter()(filtered.ctypes.data, zeros.ctypes.data, height, row, step, rows.ctypes.data)
        if done < height:
            raise UnreadableImageError(f"a damaged PNG file: a filter of number {filtered[done * (1 + row)]}")
        part = out[top::down, left::right]
        part[...] = _unpack(rows, file.depth, part.shape)
    if file.depth in (2, 4) and file.colour_type != PALETTE:
        out *= np.uint8(255 // (2**file.depth - 1))
    return out


def _inflate(data: bytes, size: int) -> Bytes:
    """The filtered rows. What follows them in the stream is not looked at, as in other readers."""
    inflater = zlib.decompressobj()
    parts, found = [], 0
    try:
        for chunk in raw_chunks(data):
            if chunk.kind == b"IDAT" and found <= size and not inflater.eof:
                parts.append(inflater.decompress(chunk.body, size - found + 1))
                found += len(parts[-1])
    except zlib.error as error:
        raise UnreadableImageError(f"a damaged PNG file: {error}") from None
    if found < size:
        raise UnreadableImageError(f"a PNG file that is cut short: {found} of {size} bytes of pixels")
    return np.frombuffer(b"".join(parts), np.uint8, size)


def _unpack(rows: Bytes, depth: int, shape: tuple[int, ...]) -> Array:
    height, width, channels = shape
    if depth == 16:
        return rows.view(">u2").reshape(shape).astype(np.uint16)
    if depth == 8:
        return rows.reshape(shape)
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    samples: Bytes = (rows[:, :, None] >> shifts & np.uint8(2**depth - 1)).reshape(height, -1)
    return samples[:, : width * channels].reshape(shape)
