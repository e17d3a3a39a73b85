"""TIFF files: exact samples, or the reason why not.

The file is taken apart here, strip by strip or tile by tile; libraries only undo the compression of each. JPEG in TIFF,
which is lossy, is left to Pillow.
"""

import struct
from io import BytesIO

from PIL import Image

from ...errors import UnreadableImageError
from ..modes import Chunk
from ..picture import Array, Picture, from_pil
from .dirs import Tiff, parse
from .layout import JPEG, layout
from .meta import ORIENTATION, chunks, lost_of_exif
from .remainder import join, skeleton, split
from .samples import gather, interpret
from .unheld import beyond
from .write import write

__all__ = ["beyond", "join", "lost_of_exif", "metadata", "read", "skeleton", "split", "write"]


def read(data: bytes, max_pixels: int) -> tuple[Picture, bool]:
    """Read a TIFF file.

    Args:
        data: the bytes of the file.
        max_pixels: refuse larger images before decoding them.

    Returns:
        the picture, its samples as they are stored whatever the orientation, and whether their coding is a lossy one.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: samples that cannot be had exactly, or more than one picture.
        LimitError: more than `max_pixels` pixels.
    """
    tiff = parse(data)
    found = layout(tiff, max_pixels)
    if found.compression == JPEG:
        pixels, mode = _read_jpeg(tiff)
        return Picture(pixels, mode, found.bits, chunks(tiff)), True
    return Picture(interpret(gather(tiff, found), found), found.mode, found.bits, chunks(tiff)), False


def metadata(data: bytes) -> tuple[Chunk, ...]:
    """The palette and metadata of a TIFF file, without a look at its pixels.

    Raises:
        UnreadableImageError: damaged or cut short.
    """
    return chunks(parse(data))


def _read_jpeg(tiff: Tiff) -> tuple[Array, str]:
    """Pillow reads it, and would turn the pixels: it gets a copy that says that they are upright."""
    data = tiff.data
    entry = tiff.find(ORIENTATION)
    if entry is not None and tiff.number(ORIENTATION, 1) != 1:
        upright = bytearray(data)
        upright[entry.place : entry.place + entry.length] = struct.pack(tiff.order + "H", 1).ljust(entry.length, b"\0")
        data = bytes(upright)
    with Image.open(BytesIO(data), formats=["TIFF"]) as image:
        picture = from_pil(image)
    if picture.pixels.dtype.itemsize != 1:
        raise UnreadableImageError("a TIFF file with JPEG of more than 8 bits")
    return picture.pixels, picture.mode
