"""Pictures out of files that were kept whole, and parts of pictures."""

from dataclasses import replace

from ..errors import CorruptPayloadError, InputError, UnsupportedImageError
from ..images.crop import chunks_of_part
from ..images.imagefile import read
from ..images.modes import file_of_format
from ..images.picture import Picture
from .container import Header, Payload
from .region import region_of

__all__ = ["described_as_part", "part_of", "stored_picture"]


def part_of(picture: Picture, given: object) -> Picture:
    """A part of a picture; the whole where none is given.

    Raises:
        UsageError: it is not inside of the picture.
    """
    region = region_of(given, picture.pixels.shape[1], picture.pixels.shape[0])
    return picture if region is None else described_as_part(replace(picture, pixels=region.of(picture.pixels)))


def described_as_part(picture: Picture) -> Picture:
    """The pixels of a part with the metadata of the whole, of which that is kept which is true of the part."""
    height, width = picture.pixels.shape[:2]
    return replace(picture, chunks=chunks_of_part(picture.chunks, width, height))


def stored_picture(header: Header, data: bytes, max_pixels: int) -> Picture:
    """The picture in a file that was kept whole.

    Args:
        header: of the .dz file.
        data: the file.
        max_pixels: refuse larger images.

    Raises:
        UnsupportedImageError: its pixels cannot be read.
        CorruptPayloadError: it is not what the header says.
    """
    try:
        picture = read(data, max_pixels).picture
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"{file_of_format(header.stored_format)} that was kept whole: {error}") from None
    except InputError as error:
        raise CorruptPayloadError(f"the stored {header.stored_format} file: {error}") from error
    found = f"{picture.mode} {picture.pixels.shape[1]}x{picture.pixels.shape[0]}"
    said = f"{header.mode} {header.width}x{header.height}"
    if header.payload is not Payload.FILE and header.mode and found != said:
        raise CorruptPayloadError(f"the stored {header.stored_format} file is {found}, the header says {said}")
    return picture
