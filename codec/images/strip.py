"""Drop the metadata from the bytes of an image file, without touching its pixels."""

import struct

from . import pngchunks

__all__ = ["strip"]

# WebP (RIFF container, Google): the chunks that make the picture, and the flags of VP8X that announce the others.
WEBP_KEPT = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH"])
WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC profile, EXIF, XMP
# JPEG (T.81, table B.1) markers.
SOI, EOI, SOS, APP0, APP14, APP15, COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE, 0xEF, 0xFE


def strip(data: bytes, kind: str, *, everything: bool = False) -> bytes | None:
    """The same image file without metadata.

    Args:
        data: bytes of a sound image file.
        kind: a key of `imagefile.FORMATS`.
        everything: whether what alters how the pixels look goes too: orientation, colour profile, gamma.

    Returns:
        The bytes of the smaller file; None where that is not known for its format.
    """
    if kind == "PNG":
        return pngchunks.strip(data, everything=everything)
    if kind == "JPEG":
        return _strip_jpeg(data)
    if kind == "WebP":
        return _strip_webp(data)
    return data if kind == "QOI" else None


def _strip_jpeg(data: bytes) -> bytes | None:
    """Keeps JFIF's APP0 and Adobe's APP14, which say how to read the samples."""
    out = bytearray(data[:2])
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == EOI:
            return bytes(out) + data[position : position + 2]
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        body = data[position + 4 : end]
        keep = (marker == APP0 and body.startswith(b"JFIF\0")) or (marker == APP14 and body.startswith(b"Adobe"))
        if keep or not (APP0 <= marker <= APP15 or marker == COM):
            out += data[position:end]
        position = end
        if marker == SOS:
            end = _end_of_scan(data, position)
            out += data[position:end]
            position = end
    return bytes(out) + data[position:] if data[position:] == bytes([0xFF, EOI]) else None


def _end_of_scan(data: bytes, position: int) -> int:
    """Where the entropy-coded data ends: at the first marker that is neither a stuffed byte nor a restart."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            return len(data)
        following = data[position + 1]
        if following == 0xFF:
            position += 1
        elif following == 0 or 0xD0 <= following <= 0xD7:
            position += 2
        else:
            return position


def _strip_webp(data: bytes) -> bytes:
    out = bytearray(data[:12])
    position = 12
    while position + 8 <= len(data):
        length = struct.unpack_from("<I", data, position + 4)[0]
        end = position + 8 + length + length % 2
        if data[position : position + 4] in WEBP_KEPT:
            out += data[position:end]
            if data[position : position + 4] == b"VP8X":
                out[-(end - position) + 8] &= ~WEBP_METADATA_FLAGS
        position = end
    struct.pack_into("<I", out, 4, len(out) - 8)
    return bytes(out)
