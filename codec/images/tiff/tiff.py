"""TIFF files: exact samples, or the reason why not.

The file is taken apart here, strip by strip or tile by tile; libraries only undo the compression of each.
"""

from ..modes import Chunk
from ..picture import Picture
from .dirs import parse
from .layout import JPEG, layout
from .meta import chunks
from .remainder import join, skeleton, split
from .samples import gather, interpret
from .unheld import beyond, lost_of_exif
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
    picture = Picture(interpret(gather(tiff, found), found), found.mode, found.bits, chunks(tiff))
    return picture, found.compression == JPEG


def metadata(data: bytes) -> tuple[Chunk, ...]:
    """The palette and metadata of a TIFF file, without a look at its pixels.

    Raises:
        UnreadableImageError: damaged or cut short.
    """
    return chunks(parse(data))
