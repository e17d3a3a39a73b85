"""The run-length packets of TGA files: unpacked, and packed again in the same packets.

A packet's first byte says how many pixels it holds and whether these are all the same; with these bytes and the pixels
the packets are known. Encoders nearly all choose the same: what is alike is one packet, what is not is another.
"""

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from ... import native
from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from .rawrows import Bytes, blob, take_blob

__all__ = ["pack", "read_heads", "skip_heads", "unpack", "usual_heads", "write_heads"]

LONGEST = 128
# How the packets are known: by the first bytes as they are; or a row is packed by itself, or the whole picture at once,
# where an encoder may look behind the last pixel of a packet or not.
LISTED = 4


@lru_cache(maxsize=1)
def _functions() -> tuple[Any, Any, Any]:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    unpack = native.function("dz_tga_unpack", number, pointer, size, pointer, size, number, pointer, size, pointer)
    pack = native.function("dz_tga_pack", size, pointer, size, number, pointer, size, pointer, size)
    return unpack, pack, native.function("dz_tga_heads", size, pointer, size, number, size, number, pointer)


def unpack(data: bytes, offset: int, count: int, pixel: int) -> tuple[Bytes, bytes, int]:
    """The pixels [count, bytes of a pixel], the first bytes of the packets, and where they end.

    Raises:
        UnreadableImageError: the data ends too early.
        UnsupportedImageError: a packet goes on behind the last pixel.
    """
    size = len(data) - offset
    if count > LONGEST * size:
        raise UnreadableImageError(f"a TGA file that is cut short: {count} pixels in {size} bytes")
    source = np.frombuffer(data, np.uint8, size, offset)
    out = np.empty((count, pixel), np.uint8)
    heads = np.empty(min(count, size), np.uint8)
    found = np.zeros(2, np.int64)
    error = _functions()[0](
        source.ctypes.data, size, out.ctypes.data, count, pixel, heads.ctypes.data, len(heads), found.ctypes.data
    )
    if error == -2:
        raise UnsupportedImageError(f"a TGA file with a packet that goes on behind the last of {count} pixels")
    if error:
        raise UnreadableImageError(f"a TGA file that is cut short: {size} bytes do not hold {count} pixels")
    return out, heads[: found[0]].tobytes(), offset + int(found[1])


def pack(pixels: Bytes, heads: bytes) -> bytes:
    """The packets of pixels [count, bytes of a pixel].

    Raises:
        CorruptPayloadError: the packets hold another number of pixels.
    """
    count, pixel = pixels.shape
    source, first = np.ascontiguousarray(pixels), np.frombuffer(heads, np.uint8)
    out = np.empty(len(heads) + count * pixel, np.uint8)
    size = int(
        _functions()[1](source.ctypes.data, count, pixel, first.ctypes.data, len(heads), out.ctypes.data, len(out))
    )
    if size < 0:
        raise CorruptPayloadError(f"{len(heads)} packets that do not hold {count} pixels")
    return out[:size].tobytes()


def usual_heads(pixels: Bytes, width: int, kind: int) -> bytes:
    """The first bytes of the packets of a usual encoder.

    Two alike pixels begin a packet of such, and end one of unlike pixels; both have up to 128.

    Args:
        pixels: [count, bytes of a pixel].
        width: of the picture.
        kind: 0 to 3: packets end with a row, or (2) do not; and alike pixels always end a packet of unlike ones, or (1)
            not behind its 127th.
    """
    count, pixel = pixels.shape
    source = np.ascontiguousarray(pixels)
    heads = np.empty(count, np.uint8)
    row = count if kind & 2 else width
    packets = int(_functions()[2](source.ctypes.data, count, pixel, row, kind & 1, heads.ctypes.data))
    return heads[:packets].tobytes()


def write_heads(heads: bytes, pixels: Bytes, width: int) -> bytes:
    """The first bytes of the packets in a remainder."""
    for kind in range(LISTED):
        if usual_heads(pixels, width, kind) == heads:
            return varint(kind)
    return varint(LISTED) + blob(heads)


def read_heads(fields: Reader, pixels: Bytes, width: int) -> bytes:
    """What `write_heads` was given.

    Raises:
        CorruptPayloadError: it is not known how.
    """
    kind = fields.varint("packets")
    if kind < LISTED:
        return usual_heads(pixels, width, kind)
    if kind != LISTED:
        raise CorruptPayloadError(f"packets of kind {kind}")
    return take_blob(fields, "packets")


def skip_heads(fields: Reader) -> None:
    """Pass over what `write_heads` wrote."""
    if fields.varint("packets") == LISTED:
        take_blob(fields, "packets")
