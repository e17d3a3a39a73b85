"""Metadata of other formats as PNG chunks. Standard library only."""

import zlib

from ..modes import Chunk

__all__ = ["icc_chunk", "text_chunk", "xmp_chunk"]

XMP_KEYWORD = b"XML:com.adobe.xmp"


def icc_chunk(profile: bytes) -> Chunk:
    """An ICC profile."""
    return "iCCP", b"ICC Profile\0\0" + zlib.compress(profile, 9)


def xmp_chunk(packet: bytes) -> Chunk:
    """An XMP packet."""
    return "iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + packet


def text_chunk(keyword: str, text: bytes) -> Chunk:
    """A text under one of PNG's registered keywords: "Comment", "Author", ...; without the zeros behind it."""
    text = text.rstrip(b"\0")
    if text.isascii() and b"\0" not in text:
        return "tEXt", keyword.encode("ascii") + b"\0" + text
    try:
        text.decode()
    except UnicodeDecodeError:
        return "tEXt", keyword.encode("ascii") + b"\0" + text.replace(b"\0", b" ")
    return "iTXt", keyword.encode("ascii") + b"\0\0\0\0\0" + text.replace(b"\0", b" ")
