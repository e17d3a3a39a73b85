"""Drop the metadata from the bytes of an image file, without touching its pixels."""

import struct
import zlib

from .exif import EXIF_PREFIX, only_orientation
from .modes import LOOK
from .png import chunks as pngchunks

__all__ = ["strip"]

# WebP (RIFF container, Google): the chunks that make the picture, and the flags of VP8X that announce the others.
WEBP_KEPT = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH"])
WEBP_ICC, WEBP_EXIF, WEBP_XMP = 0x20, 0x08, 0x04
# JPEG (T.81, table B.1) markers.
SOI, EOI, SOS, APP0, APP1, APP2, APP14, APP15, COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE


def strip(data: bytes, kind: str, *, look: bool = False) -> bytes | None:
    """The same image file without metadata.

    Args:
        data: bytes of a sound image file.
        kind: the name that `imagefile` has for its format.
        look: keep what changes how the image looks: orientation, colour profile, gamma.

    Returns:
        The bytes of the smaller file; None where that is not known for its format.
    """
    if kind == "PNG":
        return _strip_png(data, look)
    if kind == "JPEG":
        return _strip_jpeg(data, look)
    if kind == "WebP":
        return _strip_webp(data, look)
    return data if kind == "QOI" else None


def _strip_png(data: bytes, look: bool) -> bytes | None:
    """Goes through the chunks up to IEND. The frames of an animation are no metadata, and are not known here."""
    out, position, kind = bytearray(pngchunks.SIGNATURE), len(pngchunks.SIGNATURE), ""
    while position < len(data) and kind != "IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8].decode("latin-1")
        if kind == "acTL":
            return None
        end = position + 12 + length
        if kind in ("IHDR", "IDAT", "IEND") or kind in pngchunks.STRUCTURAL or (look and kind in LOOK):
            out += data[position:end]
        elif look and kind == "eXIf":
            exif = only_orientation(data[position + 8 : end - 4])
            if exif:
                body = b"eXIf" + exif
                out += len(exif).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        position = end
    return bytes(out)


def _strip_jpeg(data: bytes, look: bool) -> bytes | None:
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
        if marker == APP2 and body.startswith(b"MPF\0"):
            return None  # further pictures stand behind the first
        keep = (marker == APP0 and body.startswith(b"JFIF\0")) or (marker == APP14 and body.startswith(b"Adobe"))
        keep = keep or (look and marker == APP2 and body.startswith(b"ICC_PROFILE\0"))
        if keep or not (APP0 <= marker <= APP15 or marker == COM):
            out += data[position:end]
        elif look and marker == APP1 and body.startswith(EXIF_PREFIX):
            exif = only_orientation(body.removeprefix(EXIF_PREFIX))
            if exif:
                out += struct.pack(">BBH", 0xFF, APP1, 2 + len(EXIF_PREFIX) + len(exif)) + EXIF_PREFIX + exif
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


def _strip_webp(data: bytes, look: bool) -> bytes | None:
    """Drops what follows the RIFF container, too. The frames of an animation are not known here."""
    out, extended, flags = bytearray(data[:12]), 0, 0
    position, last = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while position + 8 <= last:
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        chunk = data[position:end]
        if kind in (b"ANIM", b"ANMF"):
            return None
        if kind == b"VP8X":
            extended = len(out)
        if kind in WEBP_KEPT or (look and kind == b"ICCP"):
            out += chunk
            flags |= WEBP_ICC if kind == b"ICCP" else 0
        elif look and kind == b"EXIF":
            exif = only_orientation(chunk[8 : 8 + length].removeprefix(EXIF_PREFIX))
            if exif:
                out += struct.pack("<4sI", b"EXIF", len(exif)) + exif
                flags |= WEBP_EXIF
        position = end
    if extended:
        out[extended + 8] = out[extended + 8] & ~(WEBP_ICC | WEBP_EXIF | WEBP_XMP) | flags
    struct.pack_into("<I", out, 4, len(out) - 8)
    return bytes(out)
