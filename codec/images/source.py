"""The file that a picture came from: taken apart into pixels and everything else, and put together again."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import ChecksumError, CorruptPayloadError, DensezipError, InputError
from . import jpegscan
from .imagefile import InputImage, module_of, read, recognise
from .modes import SOURCE_CHECKSUM_BYTES, Chunk
from .picture import Picture

__all__ = [
    "Source",
    "beyond",
    "beyond_whole",
    "format_name",
    "gives_back",
    "metadata",
    "put_together",
    "same_pixels",
    "take_apart",
    "with_metadata",
]

# The reader's name of a format, by the name that a header has for it.
_FORMATS = {
    "png": "PNG",
    "tif": "TIFF",
    "bmp": "BMP",
    "gif": "GIF",
    "webp": "WebP",
    "pnm": "PNM",
    "tga": "TGA",
    "qoi": "QOI",
}
# A file without its pixels still has some: few.
MAX_SKELETON = 2**16


class Source(NamedTuple):
    """An image file without its pixels.

    Attributes:
        format: one of `modes.SOURCE_FORMATS`.
        remainder: all but the pixels; None where that was left out on purpose.
        checksum: of the whole file, if it comes back byte for byte; else empty.
    """

    format: str
    remainder: bytes | None = None
    checksum: bytes = b""


def format_name(kind: str) -> str:
    """The name that a header has for a format of the reader's; empty for one that is not taken apart."""
    return next((name for name, known in _FORMATS.items() if known == kind), "")


def take_apart(data: bytes, found: InputImage) -> Source | None:
    """Everything but the pixels of a file, proved to be enough: the file was put together from it.

    Args:
        data: the file.
        found: what `read` made of it.

    Returns:
        None where the format does not take this file apart: it can only be kept whole.
    """
    name = format_name(found.format)
    if not name:
        return None
    module = module_of(found.format)
    picture = _bare(found.picture)
    split = module.split(data, found.picture)
    if split is None:
        return None
    if split.proved:
        return Source(name, split.remainder, _checksum(data))
    try:
        again = module.join(picture, split.remainder)
        # The same bytes are no promise where a library made them: its next version may make others.
        if split.exact:
            return Source(name, split.remainder, _checksum(data)) if again == data else None
        if not _same(again, name, picture, split.remainder):
            return None
    except DensezipError:
        return None
    return Source(name, split.remainder)


def put_together(source: Source, picture: Picture) -> bytes:
    """The file again.

    Args:
        source: with a remainder.
        picture: the pixels.

    Raises:
        CorruptPayloadError: the remainder makes no sense.
        ChecksumError: the file came out wrong.
    """
    if source.remainder is None:
        raise ValueError("a source whose remainder was left out")
    data: bytes = module_of(_FORMATS[source.format]).join(_bare(picture), source.remainder)
    if source.checksum and _checksum(data) != source.checksum:
        raise ChecksumError(
            f"the {source.format} file came out wrong: its checksum is {_checksum(data).hex()}, "
            f"not {source.checksum.hex()}"
        )
    return data


def metadata(source: Source) -> tuple[Chunk, ...]:
    """What a remainder says about the picture, as PNG chunks, its palette among them."""
    if source.remainder is None:
        return ()
    with _believing(source):
        return read(module_of(_FORMATS[source.format]).skeleton(source.remainder), MAX_SKELETON).picture.chunks


def beyond(source: Source) -> tuple[str, ...]:
    """What a source's file holds that is neither pixels nor metadata of its picture: lost in other formats."""
    if source.remainder is None:
        return ()
    module = module_of(_FORMATS[source.format])
    with _believing(source):
        names: tuple[str, ...] = module.beyond(module.skeleton(source.remainder))
    return names


@contextmanager
def _believing(source: Source) -> Iterator[None]:
    """A remainder was made of a sound file: what a reader refuses in it, a damaged .dz file says."""
    try:
        yield
    except InputError as error:
        raise CorruptPayloadError(f"what lies around the pixels of a {source.format} file: {error}") from error


def beyond_whole(data: bytes) -> tuple[str, ...]:
    """The same of a file that was kept whole."""
    kind = recognise(data)
    module = jpegscan if kind and kind.name == "JPEG" else module_of(kind.name if kind else "")
    names: tuple[str, ...] = module.beyond(data)
    return names


def gives_back(source: Source, picture: Picture, original: bytes) -> bool:
    """Whether a source and its pixels make this file: the same bytes, or the pixels and every byte outside them."""
    again = put_together(source, picture)
    if again == original:
        return True
    if source.checksum or source.remainder is None:
        return False
    return _same(original, source.format, picture, source.remainder)


def with_metadata(source: Source, picture: Picture) -> Picture:
    """A picture with what its source's remainder says about it, its palette included.

    Raises:
        CorruptPayloadError: the remainder makes no sense.
    """
    return replace(picture, chunks=metadata(source))


def same_pixels(picture: Picture, data: bytes) -> bool:
    """Whether an image file has these pixels."""
    height, width = picture.pixels.shape[:2]
    found = read(data, height * width).picture
    return (found.mode, found.bits) == (picture.mode, picture.bits) and np.array_equal(found.pixels, picture.pixels)


def _same(data: bytes, name: str, picture: Picture, remainder: bytes) -> bool:
    """Whether a file has these pixels, and this remainder."""
    kind = _FORMATS[name]
    height, width = picture.pixels.shape[:2]
    found = read(data, height * width)
    if found.format != kind or (found.picture.mode, found.picture.bits) != (picture.mode, picture.bits):
        return False
    if not np.array_equal(found.picture.pixels, picture.pixels):
        return False
    split = module_of(kind).split(data, found.picture)
    return split is not None and split.remainder == remainder


def _bare(picture: Picture) -> Picture:
    return Picture(picture.pixels, picture.mode, picture.bits)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=SOURCE_CHECKSUM_BYTES).digest()
