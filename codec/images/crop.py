"""What of a picture's metadata is still true of a part of it. Standard library only."""

import struct
from collections.abc import Iterator

from .modes import Chunk

__all__ = ["chunks_of_part", "exif_of_part"]

# Counts the pixels of the whole for each colour of its palette.
OF_THE_WHOLE = frozenset(["hIST"])

EXIF_FIELDS = 34665
WIDTHS, HEIGHTS = (256, 40962), (257, 40963)
THUMBNAIL, THUMBNAIL_SIZE = 513, 514
SHORT, LONG = 3, 4


def chunks_of_part(chunks: tuple[Chunk, ...], width: int, height: int) -> tuple[Chunk, ...]:
    """The metadata of a part of a picture: profile, orientation, palette, text and the rest stay as they are.

    Args:
        chunks: of the whole.
        width: of the part, in pixels.
        height: likewise.
    """
    return tuple(
        (name, exif_of_part(data, width, height) if name == "eXIf" else data)
        for name, data in chunks
        if name not in OF_THE_WHOLE
    )


def exif_of_part(exif: bytes, width: int, height: int) -> bytes:
    """An EXIF block with the size of a part in the place of the whole's, and without the thumbnail, which shows all.

    No other byte changes, so that what points into the block, such as a camera's own notes, still does. Fields that
    make no sense stay as they are.

    Args:
        exif: a block, with or without its prefix.
        width: of the part, in pixels.
        height: likewise.
    """
    skip = 6 if exif.startswith(b"Exif\0\0") else 0
    block = bytearray(exif[skip:])
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None or len(block) < 8:
        return exif
    (first,) = struct.unpack_from(order + "I", block, 4)
    for start in (first, _number(block, order, first, EXIF_FIELDS)):
        for at, tag, kind in _entries(block, order, start):
            if tag in WIDTHS + HEIGHTS:
                value = width if tag in WIDTHS else height
                if kind == SHORT and value < 2**16:
                    struct.pack_into(order + "HH", block, at, value, 0)
                elif kind == LONG:
                    struct.pack_into(order + "I", block, at, value)
    _forget_thumbnail(block, order, first)
    return exif[:skip] + bytes(block)


def _entries(block: bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Of a directory, the entries of one number: where that stands, the tag, and the type."""
    if not 8 <= start <= len(block) - 2:
        return
    (count,) = struct.unpack_from(order + "H", block, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, entry)
        if number == 1:
            yield entry + 8, tag, kind


def _number(block: bytearray, order: str, start: int, wanted: int) -> int:
    """The value of a field of one number of 4 bytes; 0 if there is none."""
    for at, tag, kind in _entries(block, order, start):
        if tag == wanted and kind == LONG:
            return int(struct.unpack_from(order + "I", block, at)[0])
    return 0


def _forget_thumbnail(block: bytearray, order: str, first: int) -> None:
    """Zero the thumbnail, and the link to the directory that describes it."""
    if not 8 <= first <= len(block) - 2:
        return
    (count,) = struct.unpack_from(order + "H", block, first)
    link = first + 2 + 12 * count
    if link + 4 > len(block):
        return
    (second,) = struct.unpack_from(order + "I", block, link)
    at, size = (_number(block, order, second, tag) for tag in (THUMBNAIL, THUMBNAIL_SIZE))
    struct.pack_into(order + "I", block, link, 0)
    end = min(at + size, len(block))
    if 8 <= at < end:
        block[at:end] = bytes(end - at)
