"""A TIFF file's metadata as PNG chunks, and PNG chunks as tags of a TIFF file.

EXIF in a PNG file is a small TIFF file: the tags that describe the picture, with the EXIF and GPS directories, go from
one to the other as they are, whatever their types and values.
"""

import struct
import zlib
from fractions import Fraction

from PIL import Image

from ...errors import InputError
from ..exif import EXIF_PREFIX
from ..info import METRES_PER_INCH, XMP_KEYWORD, chunks_of_info
from ..modes import Chunk
from .dirs import EXIF, GPS, Field, Tiff, parse, serialise, tree

__all__ = [
    "ICC",
    "KNOWN",
    "UNIT",
    "XMP",
    "X_RESOLUTION",
    "Y_RESOLUTION",
    "chunks",
    "fields_of_chunks",
    "inches",
    "resolution",
]

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, UNIT, XMP, ICC = 274, 282, 283, 296, 700, 34675
# Description, make, model, orientation, software, date, artist, copyright; the EXIF and GPS directories.
KEPT = (270, 271, 272, ORIENTATION, 305, 306, 315, 33432, EXIF, GPS)
COLOUR_MAP, PHOTOMETRIC, PALETTE = 320, 262, 3
BYTE, SHORT, RATIONAL, UNDEFINED = 1, 3, 5, 7
INCH, CENTIMETRE = 2, 3
CENTIMETRES_PER_INCH = 2.54
# More pixels to the inch are not read.
MAX_INCH = 10**7
# No profile and no XMP is larger.
MAX_UNPACKED = 2**28
# Tags of EXIF's first directory that say how a thumbnail or the compressed image lies in the file, or where more is.
OF_THE_FILE = frozenset([
    254, 255, *range(256, 267), 273, *range(277, 282), 284, 288, 289, 317, *range(320, 326), 330, 332, 334, 338, 339,
    *range(340, 348), 400, *range(512, 522), *range(529, 533), XMP, 33421, 33422, ICC, 40965, *range(50706, 50980),
])  # fmt: skip

# Tags that say nothing more than a picture and its chunks do.
KNOWN = frozenset([*KEPT, X_RESOLUTION, Y_RESOLUTION, UNIT, *OF_THE_FILE]) - frozenset([32, *range(50706, 50980)])


def chunks(tiff: Tiff) -> tuple[Chunk, ...]:
    """The palette and metadata; tags on the layout of the file, and those of no meaning to a PNG file, are left out.

    Raises:
        UnreadableImageError: the palette is no palette.
    """
    probe = Image.new("L", (1, 1))
    probe.info = {"dpi": resolution(tiff), "icc_profile": tiff.raw(ICC) or None, "xmp": tiff.raw(XMP) or None}
    kept = tree(tiff.data, tiff.order, tiff.big, tuple(entry for entry in tiff.first.entries if entry.tag in KEPT))
    if kept:
        head = (b"II*\0" if tiff.order == "<" else b"MM\0*") + struct.pack(tiff.order + "I", 8)
        probe.info["exif"] = head + serialise(kept, tiff.order)
    found = chunks_of_info(probe)
    if tiff.number(PHOTOMETRIC, 1) == PALETTE:
        colours = tiff.numbers(COLOUR_MAP)
        third = len(colours) // 3
        planes = (bytes(value >> 8 for value in colours[third * plane : third * (plane + 1)]) for plane in range(3))
        table = bytes(value for colour in zip(*planes, strict=True) for value in colour)
        found = (("PLTE", table), *found)
    return found


def resolution(tiff: Tiff) -> tuple[float, float] | None:
    """Pixels per inch, across and down."""
    values = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        entry = tiff.find(tag)
        if entry is None or entry.kind != RATIONAL or entry.count != 1:
            return None
        above, below = struct.unpack_from(tiff.order + "II", tiff.data, entry.place)
        if not below:
            return None
        values.append(above / below)
    entry = tiff.find(UNIT)
    unit = INCH
    if entry is not None and entry.kind == SHORT and entry.count == 1:
        unit = tiff.number(UNIT, INCH)
    if unit not in (INCH, CENTIMETRE):
        return None
    factor = CENTIMETRES_PER_INCH if unit == CENTIMETRE else 1
    return values[0] * factor, values[1] * factor


def fields_of_chunks(held: tuple[Chunk, ...]) -> tuple[tuple[Field, ...], str]:
    """The tags that hold a picture's metadata.

    Returns:
        the tags, and the order of their bytes.
    """
    order = "<"
    fields: dict[int, Field] = {}
    for name, body in held:
        if name == "eXIf":
            try:
                exif = parse(body.removeprefix(EXIF_PREFIX))
            except InputError:
                continue
            order = exif.order
            found = tree(exif.data, order, exif.big, exif.first.entries)
            fields |= {field.tag: field for field in found if field.tag not in OF_THE_FILE}
    for name, body in held:
        more = {"iCCP": _profile, "iTXt": _xmp, "pHYs": inches}.get(name, _nothing)(body, order)
        fields |= {field.tag: field for field in more}
    return tuple(sorted(fields.values(), key=lambda field: field.tag)), order


def _nothing(_: bytes, __: str) -> tuple[Field, ...]:
    return ()


def _inflate(stream: bytes) -> bytes:
    """A zlib stream's content; nothing if it is damaged or out of all proportion."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(stream, MAX_UNPACKED)
    except zlib.error:
        return b""
    return found if inflater.eof else b""


def _profile(body: bytes, _: str) -> tuple[Field, ...]:
    """An iCCP chunk's profile."""
    found = _inflate(body.partition(b"\0")[2][1:])
    return (Field(ICC, UNDEFINED, found),) if found else ()


def _xmp(body: bytes, _: str) -> tuple[Field, ...]:
    """An iTXt chunk's XMP, if it is that."""
    keyword, __, rest = body.partition(b"\0")
    if keyword != XMP_KEYWORD or len(rest) < 4 or rest[0] > 1 or rest[1]:
        return ()
    # Behind the language and the translated keyword.
    packet = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    packet = _inflate(packet) if rest[0] else packet
    return (Field(XMP, BYTE, packet),) if packet else ()


def inches(body: bytes, order: str) -> tuple[Field, ...]:
    """A pHYs chunk's resolution, if it is one and no mere ratio."""
    if len(body) != 9 or body[8] != 1 or 0 in (sizes := struct.unpack_from(">II", body)):
        return ()
    fields = []
    for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), sizes, strict=True):
        # A whole number to the inch if that is what it was before it was rounded to a whole number to the metre.
        inch = round(value * METRES_PER_INCH)
        whole = round(inch / METRES_PER_INCH) == value
        if inch >= MAX_INCH:
            return ()
        # Both numbers fit into 32 bits; what is left out is less than half a pixel to the metre.
        ratio = (
            Fraction(inch) if whole else Fraction(value * 254, 10000).limit_denominator(min(5000, 2**32 // (inch + 2)))
        )
        fields.append(Field(tag, RATIONAL, struct.pack(order + "II", ratio.numerator, ratio.denominator)))
    return (*fields, Field(UNIT, SHORT, struct.pack(order + "H", INCH)))
