"""What is expected of a TIFF file's directory, given its picture and who wrote it. Standard library only.

A file that one of these writers makes, without metadata, is described by a few bytes; whatever differs is written down.
"""

import struct
from dataclasses import dataclass

from .dirs import LETTERS, SIZES
from .layout import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    DESCRIPTION,
    EXTRA,
    FILL_ORDER,
    FORMAT,
    HEIGHT,
    PALETTE,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    UNASSOCIATED_ALPHA,
    WIDTH,
    Layout,
)

__all__ = ["WRITERS", "Writer", "colour_map", "default_count", "default_kind", "next_tag", "rank", "values"]

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, UNIT, PAGE, SOFTWARE, WHITE_POINT, PRIMARIES = (
    274, 282, 283, 296, 297, 305, 318, 319
)  # fmt: skip
XMP, ICC, IPTC, PHOTOSHOP, EXIF, GPS = 700, 34675, 33723, 34377, 34665, 34853
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
KINDS = {
    DESCRIPTION: ASCII, 269: ASCII, 271: ASCII, 272: ASCII, SOFTWARE: ASCII, 306: ASCII, 315: ASCII, 316: ASCII,
    33432: ASCII,
    X_RESOLUTION: RATIONAL, Y_RESOLUTION: RATIONAL, WHITE_POINT: RATIONAL, PRIMARIES: RATIONAL, XMP: BYTE,
    ICC: UNDEFINED, PHOTOSHOP: UNDEFINED, IPTC: UNDEFINED, EXIF: LONG, GPS: LONG, 254: LONG,
}  # fmt: skip
# Primaries of sRGB as single-precision numbers, cut short to fractions, as ImageMagick has libtiff write them.
SRGB_WHITE = (10492471, 33554432, 689963, 2097152)
SRGB_PRIMARIES = (
    5368709, 8388608, 11072963, 33554432, 5033165, 16777216, 5033165, 8388608, 5033165, 33554432, 16106127, 268435456,
)  # fmt: skip
# The order in which libtiff puts down the values that do not fit into an entry; others follow by tag.
ORDER = (
    X_RESOLUTION, Y_RESOLUTION, BITS, STRIP_COUNTS, TILE_COUNTS, STRIP_OFFSETS, TILE_OFFSETS, COLOUR_MAP, EXTRA, FORMAT,
    PRIMARIES,
)  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """Habits of a program that writes TIFF files.

    Attributes:
        ahead: whether the directory stands before the pixels.
        wide: whether sizes are 32-bit numbers even if they are small.
        spare: whether tags are left out whose default value is right.
        align: of the first pixel.
        ranked: whether values are put down in libtiff's order.
        tags: those that it writes beside the indispensable ones.
        resolution: the numerator of both resolutions.
        unit: of the resolution.
    """

    ahead: bool
    wide: bool
    spare: bool
    align: int
    ranked: bool
    tags: tuple[int, ...]
    resolution: int = 1
    unit: int = 2


# Pillow alone and with libtiff, imagecodecs, ImageMagick, tiffcp, OpenCV, tifffile.
WRITERS = (
    Writer(True, True, True, 2, False, (PLANAR,)),
    Writer(False, False, True, 2, True, (PLANAR,)),
    Writer(False, False, False, 2, True, (PLANAR, X_RESOLUTION, Y_RESOLUTION, UNIT), 1, 1),
    Writer(False, False, False, 2, True, (FILL_ORDER, ORIENTATION, PLANAR, PAGE, WHITE_POINT, PRIMARIES)),
    Writer(False, False, True, 2, True, (ORIENTATION, PLANAR)),
    Writer(False, False, False, 2, True, (PLANAR, FORMAT)),
    Writer(True, True, False, 16, False, (DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, PLANAR, UNIT, SOFTWARE), 1, 1),
)


def next_tag(writer: Writer, layout: Layout, tag: int) -> int:
    """The tag that is expected after another; 0 at the end."""
    tags = {WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, *writer.tags}
    tags |= {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS} if layout.tiled else {
        STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_COUNTS
    }  # fmt: skip
    if layout.bits > 1 or not writer.spare:
        tags.add(BITS)
    if layout.channels > 1 or not writer.spare:
        tags.add(SAMPLES)
    if layout.channels == 1 and writer.unit == 1:
        tags.discard(PLANAR)
    if layout.channels == 1 and PRIMARIES in tags and layout.photometric != PALETTE:
        tags -= {WHITE_POINT, PRIMARIES}
    if layout.predictor == 2:
        tags.add(PREDICTOR)
    if layout.photometric == PALETTE:
        tags.add(COLOUR_MAP)
    if layout.channels in (2, 4):
        tags.add(EXTRA)
    return min((other for other in tags if other > tag), default=0)


def default_kind(writer: Writer, layout: Layout, big: bool, tag: int, lengths: list[int], last: int) -> int:
    """The type that is expected of a tag."""
    if tag in (STRIP_OFFSETS, TILE_OFFSETS):
        return LONG8 if big and (last > 0xFFFFFFFF or len(lengths) == 1) else LONG
    if tag in (STRIP_COUNTS, TILE_COUNTS):
        if len(lengths) == 1:
            return LONG8 if big else LONG
        return SHORT if max(lengths) < 2**16 else LONG
    if tag in (WIDTH, HEIGHT, ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT):
        size = {WIDTH: layout.width, HEIGHT: layout.height, TILE_WIDTH: layout.across}.get(tag, layout.down)
        return LONG if writer.wide or size >= 2**16 else SHORT
    return KINDS.get(tag, SHORT)


def default_count(layout: Layout, tag: int, lengths: list[int]) -> int:
    """How many values are expected of a tag."""
    if tag in (STRIP_OFFSETS, TILE_OFFSETS, STRIP_COUNTS, TILE_COUNTS):
        return len(lengths)
    if tag == COLOUR_MAP:
        return 3 << layout.bits
    if tag == DESCRIPTION:
        return len(_shape(layout))
    fixed = {BITS: layout.channels, FORMAT: layout.channels, PAGE: 2, WHITE_POINT: 2, PRIMARIES: 6}
    return fixed.get(tag, len(SOFTWARE_NAME) if tag == SOFTWARE else 1)


SOFTWARE_NAME = b"tifffile.py\0"


def _shape(layout: Layout) -> bytes:
    """What tifffile writes as the description."""
    shape = [layout.height, layout.width]
    if layout.channels > 1:
        shape = [layout.channels, *shape] if layout.planar == 2 else [*shape, layout.channels]
    return f'{{"shape": {shape}}}'.encode() + b"\0"


def rank(writer: Writer, tag: int) -> int:
    """Where among the values that stand outside their entries those of a tag are expected."""
    return ORDER.index(tag) if writer.ranked and tag in ORDER else len(ORDER) + tag


def values(
    writer: Writer, layout: Layout, tag: int, kind: int, count: int, offsets: list[int], counts: list[int],
    before: dict[int, bytes],
) -> bytes | None:  # fmt: skip
    """The bytes that are expected of a tag's values; None if nothing is known of them.

    Args:
        writer: who wrote the file.
        layout: of the picture.
        tag: the tag.
        kind: the type of its values.
        count: how many there are.
        offsets: the places of the segments.
        counts: their lengths as the file says.
        before: values of the tags that came before.
    """
    if tag == DESCRIPTION:
        return _shape(layout)
    if tag == SOFTWARE:
        return SOFTWARE_NAME
    if tag == Y_RESOLUTION and X_RESOLUTION in before:
        return before[X_RESOLUTION]
    numbers = _numbers(writer, layout, tag, count, offsets, counts)
    letter = "II" if kind == RATIONAL else LETTERS.get(kind, "")
    if numbers is None or not letter or len(numbers) != count * len(letter):
        return None
    top = 2 ** (8 * SIZES[kind] // len(letter))
    if any(number >= top for number in numbers):
        return None
    return struct.pack(f"{layout.order}{len(numbers)}{letter[0]}", *numbers)


def _numbers(
    writer: Writer, layout: Layout, tag: int, count: int, offsets: list[int], counts: list[int]
) -> "tuple[int, ...] | list[int] | None":
    if tag in (STRIP_OFFSETS, TILE_OFFSETS):
        return offsets
    if tag in (STRIP_COUNTS, TILE_COUNTS):
        return counts
    if tag in (BITS, FORMAT):
        return (layout.bits if tag == BITS else 1,) * min(count, 4)
    one = {
        WIDTH: layout.width,
        HEIGHT: layout.height,
        COMPRESSION: layout.compression,
        PHOTOMETRIC: layout.photometric,
        FILL_ORDER: 2 if layout.reversed_bits else 1,
        ORIENTATION: 1,
        SAMPLES: layout.channels,
        ROWS_PER_STRIP: layout.down,
        PLANAR: layout.planar,
        UNIT: writer.unit,
        PREDICTOR: layout.predictor,
        TILE_WIDTH: layout.across,
        TILE_HEIGHT: layout.down,
        EXTRA: UNASSOCIATED_ALPHA,
    }
    if tag in one:
        return (one[tag],)
    return {
        X_RESOLUTION: (writer.resolution, 1),
        Y_RESOLUTION: (writer.resolution, 1),
        PAGE: (0, 1),
        WHITE_POINT: SRGB_WHITE,
        PRIMARIES: SRGB_PRIMARIES,
    }.get(tag)


def colour_map(triples: bytes, factor: int, order: str) -> bytes:
    """The values of a colour map, made of 8-bit RGB: times 257, or times 256."""
    planes = [value * factor for plane in range(3) for value in triples[plane::3]]
    return struct.pack(f"{order}{len(planes)}H", *planes)
