"""A TIFF file's metadata as PNG chunks, and PNG chunks as tags of a TIFF file.

EXIF in a PNG file is a small TIFF file: the tags that describe the picture, with the EXIF and GPS directories, go from
one to the other as they are, whatever their types and values.
"""

import struct
import zlib
from fractions import Fraction

from PIL import Image

from ..errors import InputError
from .modes import Chunk
from .picture import METRES_PER_INCH, XMP_KEYWORD, chunks_of_info
from .tiffdirs import EXIF, GPS, Field, Tiff, parse, serialise, tree

__all__ = ["KEPT", "chunks", "fields_of_chunks"]

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, UNIT, XMP, ICC = 274, 282, 283, 296, 700, 34675
# Description, make, model, orientation, software, date, artist, copyright; the EXIF and GPS directories.
KEPT = (270, 271, 272, ORIENTATION, 305, 306, 315, 33432, EXIF, GPS)
COLOUR_MAP, PHOTOMETRIC, PALETTE = 320, 262, 3
BYTE, ASCII, SHORT, RATIONAL, UNDEFINED = 1, 2, 3, 5, 7
INCH, CENTIMETRE = 2, 3
CENTIMETRES_PER_INCH = 2.54
# No profile is larger; what claims to be unpacks to at most this.
MAX_PROFILE = 2**28


def chunks(tiff: Tiff) -> tuple[Chunk, ...]:
    """The palette and metadata; tags on the layout of the file, and those of no meaning to a PNG file, are left out.

    Raises:
        UnreadableImageError: the palette is no palette.
    """
    probe = Image.new("L", (1, 1))
    probe.info = {"dpi": _resolution(tiff), "icc_profile": tiff.raw(ICC) or None, "xmp": tiff.raw(XMP) or None}
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


def _resolution(tiff: Tiff) -> tuple[float, float] | None:
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


def fields_of_chunks(held: tuple[Chunk, ...]) -> tuple[tuple[Field, ...], str, tuple[str, ...]]:
    """The tags that hold a picture's metadata.

    Returns:
        the tags, the order of their bytes, and the names of the chunks that no tag can hold.
    """
    order, lost = "<", []
    fields: dict[int, Field] = {}
    for name, body in held:
        if name == "eXIf":
            try:
                exif = parse(body)
            except InputError:
                lost.append(name)
                continue
            order = exif.order
            fields |= {
                field.tag: field for field in tree(body, exif.order, exif.big, exif.first.entries) if field.tag in KEPT
            }
    for name, body in held:
        if name == "iCCP" and (profile := _profile(body)):
            fields[ICC] = Field(ICC, UNDEFINED, profile)
        elif name == "iTXt" and body.startswith(XMP_KEYWORD + b"\0\0"):
            fields[XMP] = Field(XMP, BYTE, body[len(XMP_KEYWORD) + 5 :])
        elif name == "pHYs" and len(body) == 9 and body[8] == 1:
            across, down = struct.unpack_from(">II", body)
            for tag, value in ((X_RESOLUTION, across), (Y_RESOLUTION, down)):
                # Whole numbers to the inch come back as they were; others to a hundredth of a centimetre.
                inch = round(value * METRES_PER_INCH)
                exact = round(inch / METRES_PER_INCH) == value
                ratio = Fraction(inch) if exact else Fraction(value) * Fraction(254, 10000)
                ratio = ratio.limit_denominator(2**31) if ratio else Fraction(0)
                fields[tag] = Field(tag, RATIONAL, struct.pack(order + "II", ratio.numerator, ratio.denominator))
            fields[UNIT] = Field(UNIT, SHORT, struct.pack(order + "H", INCH))
        elif name not in ("eXIf", "PLTE"):
            lost.append(name)
    return tuple(sorted(fields.values(), key=lambda field: field.tag)), order, tuple(lost)


def _profile(body: bytes) -> bytes:
    """The ICC profile in an iCCP chunk; nothing if there is none to be had."""
    stream = body.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(stream, MAX_PROFILE)
    except zlib.error:
        return b""
