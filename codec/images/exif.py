"""The one fact of an EXIF block that changes how a picture looks: its orientation. Standard library only."""

import struct

__all__ = ["EXIF_PREFIX", "only_orientation"]

# Before an EXIF block in a JPEG file, and in what Pillow has of it; not in PNG and WebP.
EXIF_PREFIX = b"Exif\0\0"
ORIENTATION, SHORT = 274, 3
UPRIGHT = 1
ENTRY = struct.Struct(">HHIHH")


def only_orientation(exif: bytes) -> bytes:
    """An EXIF block that has the orientation of another one and nothing else; empty where a picture is upright.

    Args:
        exif: a block, without its prefix. A damaged one has no orientation.
    """
    value = _orientation(exif)
    if not UPRIGHT < value <= 8:
        return b""
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + ENTRY.pack(ORIENTATION, SHORT, 1, value, 0) + bytes(4)


def _orientation(exif: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return UPRIGHT
    (count,) = struct.unpack_from(order + "H", exif, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, number, value = struct.unpack_from(order + "HHIH", exif, entry)
        if (tag, kind, number) == (ORIENTATION, SHORT, 1):
            return int(value)
    return UPRIGHT
