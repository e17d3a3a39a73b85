"""The chunks of a PNG file: which there are, which can be understood, and how they are laid out.

Only what the pixels need is judged strictly. An ancillary chunk that is malformed, or whose CRC is wrong, is no reason
to refuse a picture.

Source: PNG, third edition, W3C, sections 5 (chunks) and 11 (their contents).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import UnreadableImageError, UnsupportedImageError
from ..modes import CHANNELS, Chunk

__all__ = [
    "BEFORE_PLTE",
    "CHANNELS_OF_COLOUR_TYPE",
    "COLOUR_TYPE_OF_CHANNELS",
    "DEPTHS",
    "PALETTE",
    "SIGNATURE",
    "STRUCTURAL",
    "PngFile",
    "RawChunk",
    "chunk_bytes",
    "header_bytes",
    "legal_transparency",
    "parse",
    "raw_chunks",
    "shown",
    "sound_chunks",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
COLOUR_TYPE_OF_CHANNELS = {1: 0, 2: 4, 3: 2, 4: 6}
CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PALETTE = 3
PALETTE_ENTRIES = 256
HEADER_BYTES = 13
# Chunks that must stand before PLTE (PNG, table 7).
BEFORE_PLTE = frozenset(["cHRM", "cICP", "gAMA", "iCCP", "mDCV", "cLLI", "sBIT", "sRGB"])
# Chunks that alter pixels: never stripped.
STRUCTURAL = frozenset(["PLTE", "tRNS"])
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# Ancillary chunks of one length.
LENGTHS = {"gAMA": 4, "cHRM": 32, "pHYs": 9, "sRGB": 1, "tIME": 7, "cICP": 4, "mDCV": 24, "cLLI": 8}
MAX_KEYWORD = 79


class RawChunk(NamedTuple):
    """A chunk where it stands: `kind`, the `body`, the CRC that the file gives, whether it is right, and its place."""

    kind: bytes
    body: memoryview
    crc: bytes
    sound: bool
    start: int
    end: int


class PngFile(NamedTuple):
    """What a PNG file holds besides its pixels.

    Attributes:
        width: in pixels.
        height: in pixels.
        depth: bits per sample.
        colour_type: as in IHDR.
        chunks: (name, data) of every chunk with a right CRC but IHDR, IDAT and IEND, in the file's order.
        interlaced: whether the pixels come in the seven passes of Adam7.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    chunks: tuple[Chunk, ...]
    interlaced: bool = False


def shown(kind: bytes) -> str:
    """The name of a chunk for people, whatever bytes it has."""
    return kind.decode("ascii") if kind.isalnum() else kind.hex(" ")


def raw_chunks(data: bytes) -> Iterator[RawChunk]:
    """Every chunk of a PNG file up to IEND.

    Raises:
        UnreadableImageError: cut short.
    """
    view = memoryview(data)
    position = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(view):
            raise UnreadableImageError(f"a PNG file that is cut short after {len(view)} bytes")
        length = int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        end = position + 8 + length
        if end + 4 > len(view):
            raise UnreadableImageError(f"a PNG file that is cut short after {len(view)} bytes, in chunk {shown(kind)}")
        crc = bytes(view[end : end + 4])
        sound = zlib.crc32(view[position + 4 : end]) == int.from_bytes(crc, "big")
        yield RawChunk(kind, view[position + 8 : end], crc, sound, position, end + 4)
        position = end + 4


def parse(data: bytes) -> PngFile:
    """Check a PNG file's structure, and the CRC of every chunk that the pixels need.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: an animation.
    """
    chunks: list[Chunk] = []
    header: tuple[int, int, int, int, bool] | None = None
    pixels = False
    for kind, body, _, sound, start, _ in raw_chunks(data):
        critical = kind[0] < ord("a")
        if not sound and (critical or not kind.isalpha()):
            raise UnreadableImageError(f"a damaged PNG file: wrong CRC in chunk {shown(kind)} at byte {start}")
        if (kind == b"IHDR") != (header is None):
            raise UnreadableImageError(f"a damaged PNG file: chunk {shown(kind)} at byte {start}")
        if header is None:
            header = _header(body)
        elif kind == b"IEND":
            break
        elif kind == b"IDAT":
            pixels = True
        elif kind in ANIMATION:
            raise UnsupportedImageError("an animated PNG: animations are not coded")
        elif kind == b"PLTE":
            if header[3] == PALETTE:
                _check_palette(body, again=any(name == "PLTE" for name, _ in chunks), late=pixels)
            chunks.append(("PLTE", bytes(body)))
        elif critical:
            raise UnsupportedImageError(f"a PNG file with an unknown critical chunk {shown(kind)}")
        elif not kind.isalpha():
            raise UnreadableImageError(f"a damaged PNG file: chunk {shown(kind)} at byte {start}")
        elif sound:
            chunks.append((kind.decode("ascii"), bytes(body)))
    if header is None or not pixels:
        raise UnreadableImageError("a damaged PNG file: no pixels")
    if header[3] == PALETTE and not any(name == "PLTE" for name, _ in chunks):
        raise UnreadableImageError("a damaged PNG file: pixels of a palette, and no palette (PLTE)")
    return PngFile(*header[:4], tuple(chunks), header[4])


def _header(body: memoryview) -> tuple[int, int, int, int, bool]:
    if len(body) != HEADER_BYTES:
        raise UnreadableImageError(f"a damaged PNG file: an IHDR of {len(body)} bytes")
    width, height, depth, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if not (width and height) or depth not in DEPTHS.get(colour, ()) or method or filtering or interlace > 1:
        raise UnreadableImageError(
            f"a damaged PNG file: {width}x{height} pixels, depth {depth}, colour type {colour}, "
            f"compression {method}, filter {filtering}, interlace {interlace}"
        )
    return width, height, depth, colour, bool(interlace)


def _check_palette(body: memoryview, *, again: bool, late: bool) -> None:
    if again or late:
        raise UnreadableImageError(f"a damaged PNG file: {'a second palette' if again else 'a palette behind pixels'}")
    if len(body) % 3 or not 0 < len(body) <= 3 * PALETTE_ENTRIES:
        raise UnreadableImageError(f"a damaged PNG file: a palette (PLTE) of {len(body)} bytes")


def chunk_bytes(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and CRC."""
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))])


def header_bytes(width: int, height: int, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    """The IHDR chunk."""
    return chunk_bytes(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def legal_transparency(body: bytes, mode: str, palette: bytes = b"") -> bool:
    """Whether a tRNS chunk may stand in a PNG file of this mode: one alpha an entry of the palette, or one colour."""
    if mode == "P":
        return 0 < len(body) <= len(palette) // 3
    return CHANNELS[mode] in (1, 3) and len(body) == 2 * CHANNELS[mode]


def sound_chunks(chunks: tuple[Chunk, ...], mode: str) -> tuple[Chunk, ...]:
    """The chunks without those that are malformed: what a reader of metadata can make something of."""
    palette = dict(chunks).get("PLTE", b"")
    return tuple(chunk for chunk in chunks if _is_sound(*chunk, mode, palette))


def _is_sound(name: str, body: bytes, mode: str, palette: bytes) -> bool:
    if name in LENGTHS:
        return len(body) == LENGTHS[name]
    if name == "tRNS":
        return legal_transparency(body, mode, palette)
    if name in ("iCCP", "tEXt", "zTXt", "iTXt"):
        keyword, separator, rest = body.partition(b"\0")
        if not separator or not 0 < len(keyword) <= MAX_KEYWORD:
            return False
        if name == "iTXt":
            return len(rest) >= 4 and rest[0] < 2 and rest[1] == 0 and rest[2:].count(b"\0") >= 2
        return name == "tEXt" or rest[:1] == b"\0"  # the method: deflate is the only one
    return True
