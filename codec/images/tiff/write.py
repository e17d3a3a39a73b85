"""A plain writer of TIFF files: every mode and depth of a picture, with its metadata, in deflated strips."""

import struct
import zlib
from dataclasses import replace

from ...errors import OutputFormatError
from ..modes import CHANNELS
from ..picture import Picture
from .dirs import Field, serialise
from .layout import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    EXTRA,
    HEIGHT,
    PALETTE,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    UNASSOCIATED_ALPHA,
    WIDTH,
    ZIP,
    Layout,
)
from .meta import fields_of_chunks
from .rules import LONG, SHORT, colour_map
from .samples import ZEROS, blocks, from_picture, pack

__all__ = ["write"]

STRIP_BYTES = 2**18
LEVEL = 6
MAX_FILE = 2**32 - 2**20


def write(picture: Picture) -> bytes:
    """A TIFF file of a picture.

    Its palette, EXIF, ICC profile, XMP and resolution are in it. Other chunks have no place in a TIFF file.

    Raises:
        OutputFormatError: more than 4 GB, or samples of more bits than the picture says.
    """
    fields, order = fields_of_chunks(picture.chunks)
    height, width, channels = picture.pixels.shape
    palette = picture.mode == "P"
    bits = picture.bits if CHANNELS[picture.mode] == 1 else 8 * picture.pixels.itemsize
    photometric = PALETTE if palette else 2 if channels > 2 else 1
    predictor = 2 if bits >= 8 and not palette else 1
    row = (width * channels * bits + 7) // 8
    layout = Layout(
        width, height, channels, bits, photometric, ZIP, predictor, 1, False, False, width,
        min(height, max(1, STRIP_BYTES // row)), order,
    )  # fmt: skip
    try:
        samples = from_picture(picture.pixels, layout)
    except ValueError as error:
        raise OutputFormatError(f"TIFF cannot hold this image of mode {picture.mode}: {error}") from None
    strips = []
    for top in range(0, height, layout.down):
        part = samples[top : top + layout.down]
        one = replace(layout, height=len(part), down=len(part))
        strips.append(zlib.compress(pack(blocks(part, one, ZEROS)[0], one), LEVEL))
    offsets, position = [], 8
    for strip in strips:
        offsets.append(position)
        position += len(strip)
    position += position % 2
    if position > MAX_FILE:
        raise OutputFormatError(f"TIFF of {position} bytes: more than 4 GB are not written")

    def field(tag: int, kind: int, *numbers: int) -> Field:
        return Field(tag, kind, struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers))

    own = [
        field(WIDTH, LONG, width), field(HEIGHT, LONG, height), field(BITS, SHORT, *[bits] * channels),
        field(COMPRESSION, SHORT, ZIP), field(PHOTOMETRIC, SHORT, photometric), field(STRIP_OFFSETS, LONG, *offsets),
        field(SAMPLES, SHORT, channels), field(ROWS_PER_STRIP, LONG, layout.down), field(PLANAR, SHORT, 1),
        field(STRIP_COUNTS, LONG, *[len(strip) for strip in strips]), field(PREDICTOR, SHORT, predictor),
    ]  # fmt: skip
    if channels in (2, 4):
        own.append(field(EXTRA, SHORT, UNASSOCIATED_ALPHA))
    if palette:
        table = dict(picture.chunks).get("PLTE", b"")[: 3 << bits].ljust(3 << bits, b"\0")
        own.append(Field(COLOUR_MAP, SHORT, colour_map(table, 257, order)))
    everything = {item.tag: item for item in (*fields, *own)}
    directory = serialise(tuple(everything[tag] for tag in sorted(everything)), order, position)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", position)
    body = b"".join([head, *strips])
    return body.ljust(position, b"\0") + directory
