"""What the command line asks of the public API, in one place.

Commands call `api.compress` and so on, and never the package itself: what they need beyond it is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .. import Exported, Info, OutputFormatError, UnreadableImageError
from .. import compress as _compress
from .. import export as _export
from .. import info as _info
from .. import verify as _verify

__all__ = [
    "Exported",
    "Progress",
    "Strip",
    "check_target",
    "compress",
    "exact",
    "export",
    "image_suffixes",
    "info",
    "probe",
    "same_format",
    "source_format",
    "verify",
    "verify_stripped",
]

Progress = Callable[[float], None]
Strip: TypeAlias = bool | str


def compress(data: bytes, *, effort: int, threads: int, strip: Strip, max_pixels: int, progress: Progress) -> bytes:
    """The bytes of a .dz file."""
    return _compress(data, effort=effort, threads=threads, strip=strip, max_pixels=max_pixels, progress=progress)


def export(data: bytes, extension: str | None, *, threads: int, max_pixels: int, progress: Progress) -> Exported:
    """The bytes of an image file; without an extension the source's own format."""
    return _export(data, extension, threads=threads, max_pixels=max_pixels, progress=progress)


def info(data: bytes) -> Info:
    """What the header of a .dz file says."""
    return _info(data)


def verify(
    data: bytes,
    *,
    original: bytes | None = None,
    threads: int,
    max_pixels: int,
    progress: Progress | None = None,
) -> Info:
    """Decodes a .dz file and checks every checksum, and that it gives back `original`.

    Raises:
        ChecksumError: It gives back something else.
        FormatError: It is damaged.
    """
    return _verify(data, original=original, threads=threads, max_pixels=max_pixels, progress=progress)


def verify_stripped(
    data: bytes, original: bytes, *, threads: int, max_pixels: int, progress: Progress | None = None
) -> None:
    """Decodes a .dz file made without metadata, and compares its pixels with those of `original`.

    Raises:
        ChecksumError: They differ.
        FormatError: It is damaged.
    """
    _verify(data, original=original, pixels_only=True, threads=threads, max_pixels=max_pixels, progress=progress)


def exact(header: Info) -> str | None:
    """Says "file" where the source comes back byte for byte, "picture" where its pixels and all else do; or nothing."""
    return header.exact


def source_format(header: Info) -> str:
    """The extension, without a dot, of the format that went in; PNG for what was no file."""
    return header.source_format or "png"


def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of image files, each with its dot."""
    from ..codec.images.imagefile import extensions

    return frozenset(f".{extension}" for extension in extensions())


def same_format(first: str, second: str) -> bool:
    """Whether two extensions, with or without a dot, are of one format: "tif" and "tiff" are."""
    from ..codec.images.imagewrite import own_format

    return own_format(first, second)


def check_target(extension: str, header: Info) -> None:
    """Refuses an output format for a .dz file before anything is decoded.

    Raises:
        OutputFormatError: It is unknown, or lossy and not the source's own.
    """
    if same_format(extension, source_format(header)):
        return
    from ..codec.images.imagewrite import format_of_extension

    kind = format_of_extension(extension)
    if kind == "JPEG":
        raise OutputFormatError("JPEG is lossy: it cannot hold this image")


def probe(head: bytes) -> None:
    """Refuses what is no image, from the first bytes of a file.

    Raises:
        InputError: No format begins like this.
    """
    from ..codec.images.imagefile import recognise

    if recognise(head) is None:
        raise UnreadableImageError("no image file that densezip knows")
