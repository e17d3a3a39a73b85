"""What is behind the pixels of a TGA file: a footer, and the areas that it points to. Standard library only.

Source: Truevision TGA File Format Specification, version 2.0.
"""

import struct

from ...errors import CorruptPayloadError
from ...fields import Reader, varint
from ..split import BEHIND

__all__ = ["beyond", "extension", "is_signed", "moved", "take_tail", "texts", "write_tail"]

FOOTER, SIGNATURE = 26, b"TRUEVISION-XFILE.\0"
DEVELOPER = 4
# In a remainder: anything, a footer that points nowhere, or (with where it begins added) an extension area.
ANY_TAIL, PLAIN_FOOTER, EXTENSION_AREA = range(3)
# The extension area: its size, and where in it the author's name and four lines of comments stand.
EXTENSION, AUTHOR, COMMENTS, LINE, LINES = 495, 2, 43, 81, 4


def is_signed(data: bytes) -> bool:
    """Whether the end of a file says that it is a TGA file."""
    return data.endswith(SIGNATURE)


def extension(data: bytes) -> int | None:
    """Where the extension area begins, if a footer says so."""
    if len(data) < FOOTER + EXTENSION or not is_signed(data):
        return None
    (start,) = struct.unpack_from("<I", data, len(data) - FOOTER)
    return start if data[start : start + 2] == struct.pack("<H", EXTENSION) else None


def texts(data: bytes, area: int) -> tuple[bytes, list[bytes]]:
    """The author and the lines of the comment in an extension area."""
    author = data[area + AUTHOR : area + COMMENTS].split(b"\0")[0].rstrip()
    places = range(area + COMMENTS, area + COMMENTS + LINES * LINE, LINE)
    return author, [data[place : place + LINE].split(b"\0")[0].rstrip() for place in places]


def beyond(data: bytes, end: int) -> tuple[str, ...]:
    """What is behind the pixels, which end there, besides an author and a comment."""
    tail, names = data[end:], []
    if is_signed(tail) and len(tail) >= FOOTER:
        area, foot = extension(data), len(data) - FOOTER
        if area is not None and end <= area <= foot - EXTENSION:
            if data[area : area + EXTENSION] != _texts_alone(data, area):
                names.append("extension area")
            tail = data[end:area] + data[area + EXTENSION : foot]
        else:
            tail = data[end:foot]
            if any(data[foot : foot + DEVELOPER]):
                names.append("extension area")
        if any(data[foot + DEVELOPER : foot + 2 * DEVELOPER]):
            return (*names, "developer area")
    return (*names, BEHIND) if tail else tuple(names)


def _texts_alone(data: bytes, area: int) -> bytes:
    """An extension area with the author and the comments of another one and nothing else."""
    out = bytearray(EXTENSION)
    out[:2] = struct.pack("<H", EXTENSION)
    author, lines = texts(data, area)
    for place, text in ((AUTHOR, author), *((COMMENTS + LINE * index, line) for index, line in enumerate(lines))):
        out[place : place + len(text)] = text
    return bytes(out)


def write_tail(data: bytes, end: int) -> bytes:
    """What is behind the pixels, which end there, in a remainder."""
    area, tail = extension(data), data[end:]
    if tail == bytes(8) + SIGNATURE:
        return varint(PLAIN_FOOTER)
    return varint(EXTENSION_AREA + area - end if area is not None and area >= end else ANY_TAIL) + tail


def take_tail(fields: Reader) -> tuple[bytes, int | None]:
    """What is behind the pixels, and where in it an extension area begins."""
    kind = fields.varint("the extension area")
    tail = bytes(fields.take(fields.left, "the tail"))
    if kind != PLAIN_FOOTER:
        return tail, kind - EXTENSION_AREA if kind >= EXTENSION_AREA else None
    if tail:
        raise CorruptPayloadError(f"{len(tail)} bytes behind the end")
    return bytes(8) + SIGNATURE, None


def moved(tail: bytes, area: int | None, end: int) -> bytes:
    """A tail with an extension area in it, in a file whose pixels end elsewhere: the footer says where it begins."""
    if area is None or len(tail) < FOOTER or area > len(tail):
        return tail
    return tail[:-FOOTER] + struct.pack("<I", end + area) + tail[DEVELOPER - FOOTER :]
