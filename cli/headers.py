"""Width and height of an image from the first bytes of its file, without a decoder: what its work will take.

This is an estimate and nobody relies on it: of a file that is not understood, nothing is said.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

__all__ = ["dimensions"]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

TIFF_WIDTH, TIFF_HEIGHT = 256, 257
MOST_TAGS = 4096
PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")
PAM = re.compile(rb"P7\s.*?WIDTH\s+(\d{1,9})\s", re.DOTALL)
PAM_HEIGHT = re.compile(rb"HEIGHT\s+(\d{1,9})\s")
# Frames of JPEG, by their markers.
JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})

Size = tuple[int, int]


def dimensions(head: bytes) -> Size | None:
    """(width, height) in pixels, or `None` where the file does not say so near its beginning.

    Args:
        head: The first bytes of an image file, or all of them.
    """
    for magic, read in READERS:
        if head.startswith(magic):
            try:
                size = read(head)
            except (struct.error, IndexError, ValueError):
                return None
            return size if size is not None and min(size) > 0 else None
    return None


def _png(head: bytes) -> Size:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _bmp(head: bytes) -> Size:
    if struct.unpack_from("<I", head, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", head, 18)
    else:
        width, height = struct.unpack_from("<ii", head, 18)
    return width, abs(height)


def _gif(head: bytes) -> Size:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _qoi(head: bytes) -> Size:
    width, height = struct.unpack_from(">II", head, 4)
    return width, height


def _webp(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X":
        wide, high = struct.unpack_from("<HB", head, 24), struct.unpack_from("<HB", head, 27)
        return 1 + wide[0] + (wide[1] << 16), 1 + high[0] + (high[1] << 16)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _pnm(head: bytes) -> Size | None:
    if found := PNM.match(head):
        return int(found[1]), int(found[2])
    wide, high = PAM.match(head), PAM_HEIGHT.search(head)
    return (int(wide[1]), int(high[1])) if wide and high else None


def _tiff(head: bytes) -> Size | None:
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), head, start)
    sides: dict[int, int] = {}
    for index in range(min(count, MOST_TAGS)):
        entry = start + (8 + 20 * index if big else 2 + 12 * index)
        tag, kind = struct.unpack_from(order + "HH", head, entry)
        if tag in (TIFF_WIDTH, TIFF_HEIGHT):
            width = {3: "H", 4: "I", 16: "Q"}.get(kind, "I")
            (sides[tag],) = struct.unpack_from(order + width, head, entry + (12 if big else 8))
    return (sides[TIFF_WIDTH], sides[TIFF_HEIGHT]) if len(sides) == 2 else None


def _jpeg(head: bytes) -> Size | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] == 0xFF:  # padding
            at += 1
        elif head[at + 1] in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


READERS: tuple[tuple[bytes, Callable[[bytes], Size | None]], ...] = (
    (PNG_MAGIC, _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"II", _tiff),
    (b"MM", _tiff),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"qoif", _qoi),
    (b"RIFF", _webp),
    (b"P", _pnm),
)
