"""The head of a BMP file, coded as what is unlike a usual one: for `bmp`, which says what the head means."""

import struct
from dataclasses import dataclass

from ...errors import CorruptPayloadError
from ...fields import Reader, varint
from .rawrows import patched

__all__ = ["Shape", "read_shape", "row_stride", "take_head", "unheld", "usual_head", "write_shape"]

FILE_HEADER = 14
CORE, INFO, V2, V3, V4, V5 = 12, 40, 52, 56, 108, 124
HEADERS = (CORE, 16, INFO, V2, V3, 64, V4, V5)
RGB, RLE8, RLE4, BITFIELDS, JPEG, PNG, ALPHA_BITFIELDS = range(7)
# Where in the file the fields stand: masks, colour space and the profile of a header of 124 bytes.
MASKS, COLOUR_SPACE, PROFILE = 54, FILE_HEADER + 56, FILE_HEADER + 112
EMBEDDED = b"DEBM"
# Where else fields stand whose values follow from others or are a picture's metadata; and what colour space a picture
# without a word on it is taken to have.
FILE_SIZE, SIZE, RESOLUTION, COLOURS, INTENT = 2, 34, 38, 46, FILE_HEADER + 108
USUAL_SPACES = (EMBEDDED, b"BGRs", b" niW", bytes(4))
# An intent that is not told, and the one for pictures.
USUAL_INTENTS = (0, 4)
SMALLEST_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 24: (0xFF0000, 0xFF00, 0xFF, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
PAD_8, PAD_32 = 0xFF000000, 0xFFFFFFFF
# 96 dots an inch: what most writers say. Others are patched in.
DOTS_A_METRE = 3780
MAX_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Shape:
    """What a head says of the layout of its file, beside the size of the picture.

    Attributes:
        header: bytes of the header behind the file header: it is known by its length.
        bits: of a pixel.
        compression: how the pixels are kept.
        offset: of the rows in the file.
        top_down: whether the first row is the upper one.
        short: bytes of padding that are missing behind the last row.
        profile: where the ICC profile begins behind the rows, plus 1; 0 if it is not there.
    """

    header: int
    bits: int
    compression: int
    offset: int
    top_down: bool = False
    short: int = 0
    profile: int = 0

    @property
    def meant(self) -> int:
        """Those of them that have a meaning."""
        palette = (3 if self.header == CORE else 4) * 2**self.bits if self.bits <= 8 else 0
        masks = {BITFIELDS: 12, ALPHA_BITFIELDS: 16}.get(self.compression, 0) if self.header == INFO else 0
        return min(self.known, FILE_HEADER + self.header + masks + palette)

    @property
    def known(self) -> int:
        """Bytes at the file's beginning of which something is known: header, masks and palette."""
        palette = 4 * 2**self.bits if self.bits <= 8 else 0
        return min(self.offset, FILE_HEADER + self.header + 16 + palette)


# What is written most often, by its number in a remainder.
PRESETS = (
    (INFO, 24, RGB, 54), (INFO, 32, RGB, 54), (INFO, 8, RGB, 1078), (INFO, 4, RGB, 118), (INFO, 1, RGB, 62),
    (INFO, 16, RGB, 54), (INFO, 16, BITFIELDS, 66), (INFO, 32, BITFIELDS, 66), (V3, 16, BITFIELDS, 70),
    (V4, 24, RGB, 122), (V4, 32, BITFIELDS, 122), (V5, 24, RGB, 138), (V5, 32, BITFIELDS, 138), (V4, 8, RGB, 1146),
    (V5, 8, RGB, 1162), (CORE, 24, RGB, 26), (CORE, 8, RGB, 794),
)  # fmt: skip
OTHER_SHAPE = len(PRESETS)


def take_head(fields: Reader, shape: Shape, width: int, height: int) -> bytes:
    """The bytes before the rows, of a remainder."""
    head = patched(usual_head(shape, width, height), fields, "the head of a BMP file")
    return head + bytes(fields.take(shape.offset - shape.known, "the gap before the rows"))


def row_stride(width: int, bits: int) -> int:
    """Bytes of a row with its padding."""
    return -(-width * bits // 32) * 4


def usual_head(shape: Shape, width: int, height: int) -> bytes:
    """The known bytes before the rows, as a usual writer of this shape has them."""
    out = bytearray(shape.known)
    rows = row_stride(width, shape.bits) * height
    end = shape.offset + rows - shape.short
    struct.pack_into("<2sIHHII", out, 0, b"BM", end & PAD_32, 0, 0, shape.offset, shape.header)
    signed = -height if shape.top_down else height
    if shape.header == CORE:
        if max(width, height) > 0xFFFF:
            raise CorruptPayloadError(f"{width}x{height} pixels in a header of {CORE} bytes")
        struct.pack_into("<HHHH", out, 18, width, height, 1, shape.bits)
    else:
        struct.pack_into("<iiHH", out, 18, width, signed, 1, shape.bits)
    if shape.header >= INFO:
        dots = DOTS_A_METRE
        struct.pack_into("<IIiiII", out, 30, shape.compression, rows & PAD_32, dots, dots, 0, 0)
    if shape.compression and shape.known >= MASKS + 12:
        masks = (0xF800, 0x07E0, 0x001F, 0) if shape.bits == 16 else (*SMALLEST_MASKS[32][:3], PAD_8)
        count = 4 if shape.header >= V3 and shape.known >= MASKS + 16 else 3
        struct.pack_into(f"<{count}I", out, MASKS, *masks[:count])
    if shape.profile:
        out[COLOUR_SPACE : COLOUR_SPACE + 4] = EMBEDDED
        struct.pack_into("<I", out, PROFILE, end + shape.profile - 1 - FILE_HEADER & PAD_32)
    if shape.bits <= 8:
        levels = 2**shape.bits
        step = 3 if shape.header == CORE else 4
        start = FILE_HEADER + shape.header
        entries = b"".join(bytes([255 * level // (levels - 1)] * 3).ljust(step, b"\0") for level in range(levels))
        out[start:] = entries[: len(out) - start].ljust(len(out) - start, b"\0")
    return bytes(out)


def unheld(head: bytes, shape: Shape, width: int, height: int, colours: bytes) -> tuple[str, ...]:
    """What the known part of a head says that is neither the layout of its file nor metadata of its picture.

    Args:
        head: the file, or the beginning of it.
        shape: of the head.
        width: in pixels.
        height: in pixels.
        colours: of the palette, 3 bytes each.
    """
    names = []
    found, usual = bytearray(head[: shape.meant]), bytearray(usual_head(shape, width, height)[: shape.meant])
    derived = [(FILE_SIZE, FILE_SIZE + 4)]
    if shape.header >= INFO:
        across, down, used, important = struct.unpack_from("<iiII", head, RESOLUTION)
        if (across or down) and not (across > 0 and down > 0):
            names.append("resolution")
        # Colours beyond the first ones are important or not: who calls all of them so says nothing.
        indexed = shape.bits <= 8
        whole = indexed and important >= (used or 2**shape.bits)
        derived.append((SIZE, COLOURS + 4 * indexed + 4 * whole))
    if shape.compression:
        derived.append((MASKS, MASKS + (16 if shape.header >= V3 or shape.compression == ALPHA_BITFIELDS else 12)))
    if shape.header in (V4, V5):
        space = bytes(head[COLOUR_SPACE : COLOUR_SPACE + 4])
        if space not in USUAL_SPACES or any(head[COLOUR_SPACE + 4 : INTENT]):
            names.append("colour space")
        derived.append((COLOUR_SPACE, INTENT))
    if shape.header == V5:
        if struct.unpack_from("<I", head, INTENT)[0] not in USUAL_INTENTS:
            names.append("rendering intent")
        derived.append((INTENT, PROFILE + 8 if head[COLOUR_SPACE : COLOUR_SPACE + 4] == EMBEDDED else PROFILE))
    for start, end in derived:
        found[start:end] = usual[start:end]
    step, start = 3 if shape.header == CORE else 4, FILE_HEADER + shape.header
    for index in range(min(len(colours) // 3, (shape.meant - start) // step)):
        place = start + step * index
        usual[place : place + 3] = colours[3 * index : 3 * index + 3][::-1]
    return (*names, "header fields") if found != usual else tuple(names)


def write_shape(shape: Shape) -> bytes:
    """A shape in a remainder."""
    numbers = (shape.header, shape.bits, shape.compression, shape.offset)
    flags = shape.top_down | (shape.short > 0) << 1 | (shape.profile > 0) << 2
    out = varint(PRESETS.index(numbers)) if numbers in PRESETS else varint(OTHER_SHAPE)
    if numbers not in PRESETS:
        out += b"".join(varint(number) for number in numbers)
    out += varint(flags)
    return out + b"".join(varint(number) for number in (shape.short, shape.profile) if number)


def read_shape(fields: Reader) -> Shape:
    """The shape of a remainder.

    Raises:
        CorruptPayloadError: no file has this shape.
    """
    what = "the shape of a BMP file"
    preset = fields.varint(what)
    if preset < OTHER_SHAPE:
        numbers = PRESETS[preset]
    else:
        header, bits, compression, offset = (fields.varint(what) for _ in range(4))
        if header not in HEADERS or bits not in (1, 2, 4, 8, 16, 24, 32) or compression > ALPHA_BITFIELDS:
            raise CorruptPayloadError(f"{what}: a header of {header} bytes, {bits} bits, compression {compression}")
        if not FILE_HEADER + header <= offset <= MAX_FIELD:
            raise CorruptPayloadError(f"{what}: pixels at byte {offset}")
        numbers = (header, bits, compression, offset)
    flags = fields.varint(what)
    short = fields.varint(what) if flags & 2 else 0
    profile = fields.varint(what) if flags & 4 else 0
    if flags > 7 or short > 3 or profile > MAX_FIELD or (profile and numbers[0] != V5):
        raise CorruptPayloadError(f"{what}: flags {flags}, {short} bytes missing, a profile {profile} bytes behind")
    return Shape(*numbers, bool(flags & 1), short, profile)
