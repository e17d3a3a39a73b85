"""QOI: an encoder has no choices by its specification, so that the file comes back byte for byte if it made none.

Source: The Quite OK Image Format, specification 1.0.

Remainder: varint, twice the colour space, plus 1 if what follows are the bytes behind the pixels; else these are the
end marker alone.
"""

import ctypes
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from ... import native
from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import varint
from ..limits import check_pixels
from ..picture import Picture
from ..split import BEHIND, Split
from .rawrows import Bytes, reader, remaking

__all__ = ["beyond", "join", "read", "skeleton", "split"]

MAGIC, HEADER = b"qoif", struct.Struct(">4sIIBB")
END = bytes(7) + b"\1"
MODES = {3: "RGB", 4: "RGBA"}
LONGEST_RUN = 62
# Above what an operation takes, so that its room is checked once.
SLACK = 8


@lru_cache(maxsize=1)
def _functions() -> tuple[Any, Any]:
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    decode = native.function("dz_qoi_decode", size, pointer, size, pointer, size, ctypes.c_int)
    encode = native.function("dz_qoi_encode", size, pointer, size, ctypes.c_int, pointer, size)
    return decode, encode


def read(data: bytes, max_pixels: int) -> Picture:
    """The pixels of a QOI file.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: operations that no specified encoder writes.
        LimitError: more than `max_pixels` pixels.
    """
    width, height, channels, _ = _header(data)
    check_pixels(width, height, max_pixels)
    return Picture(_decode(data, width, height, channels)[0], MODES[channels], 8)


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a QOI file but its pixels; None if its encoder did not do as specified."""
    space = _header(data)[3]
    operations = _encode(picture.pixels.astype(np.uint8, copy=False))
    end = HEADER.size + len(operations)
    if data[HEADER.size : end] != operations:
        return None
    tail = data[end:]
    return Split(varint(2 * space + (tail != END)) + (tail if tail != END else b""), exact=True)


@remaking("QOI")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A QOI file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    if picture.mode not in MODES.values():
        raise CorruptPayloadError(f"a QOI file around a picture of mode {picture.mode}")
    space, tail = _parse(remainder)
    height, width, channels = picture.pixels.shape
    header = HEADER.pack(MAGIC, width, height, channels, space)
    return header + _encode(picture.pixels.astype(np.uint8, copy=False)) + tail


@remaking("QOI")
def skeleton(remainder: bytes) -> bytes:
    """A QOI file of one black pixel, with what is behind the pixels of the file of a remainder."""
    space, tail = _parse(remainder)
    return HEADER.pack(MAGIC, 1, 1, 3, space) + b"\xc0" + tail


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    width, height, channels, space = _header(data)
    end = HEADER.size + _decode(data, width, height, channels)[1]
    return (*(["colour space"] if space else []), *([BEHIND] if data[end:] != END else []))


def _parse(remainder: bytes) -> tuple[int, bytes]:
    """The colour space, and what stands behind the pixels."""
    fields = reader(remainder)
    number = fields.varint("the colour space")
    tail = bytes(fields.take(fields.left, "the tail"))
    if number > 2 * 255 + 1 or (tail and not number & 1):
        raise CorruptPayloadError(f"colour space and flag {number}, then {len(tail)} bytes")
    return number >> 1, tail if number & 1 else END


def _header(data: bytes) -> tuple[int, int, int, int]:
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise UnreadableImageError(f"a QOI file that is cut short: {len(data)} bytes")
    _, width, height, channels, space = HEADER.unpack_from(data)
    if not width or not height or channels not in MODES:
        raise UnreadableImageError(f"a damaged QOI file: {width}x{height} pixels of {channels} channels")
    return width, height, channels, space


def _decode(data: bytes, width: int, height: int, channels: int) -> tuple[Bytes, int]:
    """The pixels, and how many bytes they took."""
    count, size = width * height, len(data) - HEADER.size
    if count > LONGEST_RUN * size:
        raise UnreadableImageError(f"a QOI file that is cut short: {count} pixels in {size} bytes")
    source = np.frombuffer(data, np.uint8, size, HEADER.size)
    out = np.empty((height, width, channels), np.uint8)
    taken = int(_functions()[0](source.ctypes.data, size, out.ctypes.data, count, channels))
    if taken == -1:
        raise UnreadableImageError(f"a QOI file that is cut short: {len(data)} bytes do not hold {count} pixels")
    if taken < 0:
        raise UnsupportedImageError("a QOI file with a run that goes on behind its last pixel")
    return out, taken


def _encode(pixels: Bytes) -> bytes:
    height, width, channels = pixels.shape
    source = np.ascontiguousarray(pixels)
    out = np.empty(height * width * (channels + 1) + SLACK, np.uint8)
    size = int(_functions()[1](source.ctypes.data, height * width, channels, out.ctypes.data, len(out)))
    return out[:size].tobytes()
