"""What the command line asks of the public API, in one place.

Commands call `api.compress` and so on, and never the package itself: what they need beyond it is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Literal, TypeAlias

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
Strip: TypeAlias = bool | Literal["all"]


class Named(BytesIO):
    """The content of a file, with its name, whose suffix tells formats apart that begin alike."""

    def __init__(self, data: bytes, name: str) -> None:
        """Wraps them."""
        super().__init__(data)
        self.name = name


def compress(
    data: bytes,
    *,
    name: str,
    effort: int,
    threads: int,
    strip: Strip,
    model: str | None,
    device: str,
    max_pixels: int,
    progress: Progress,
    notice: Callable[[str], None],
) -> bytes:
    """The bytes of a .dz file for the content of a file of some name."""
    return _compress(
        Named(data, name),
        effort=effort,
        threads=threads,
        strip=strip,
        model=model,
        device=device,
        max_pixels=max_pixels,
        progress=progress,
        notice=notice,
    )


def export(
    data: bytes,
    extension: str | None,
    *,
    threads: int,
    model: str | None,
    device: str,
    max_pixels: int,
    progress: Progress,
) -> Exported:
    """An image file; without an extension the source's own."""
    return _export(
        data, extension, threads=threads, model=model, device=device, max_pixels=max_pixels, progress=progress
    )


def info(data: bytes) -> Info:
    """What the header of a .dz file says."""
    return _info(data)


def verify(
    data: bytes,
    *,
    original: bytes | None = None,
    threads: int,
    model: str | None,
    device: str,
    max_pixels: int,
    progress: Progress | None = None,
) -> Info:
    """Decodes a .dz file and checks every checksum, and that all of `original` comes back.

    Raises:
        ChecksumError: Something else comes back, or only the pixels do.
        FormatError: It is damaged.
    """
    return _verify(
        data,
        original=original,
        threads=threads,
        model=model,
        device=device,
        max_pixels=max_pixels,
        progress=progress,
    )


def verify_stripped(
    data: bytes,
    original: bytes,
    *,
    threads: int,
    model: str | None,
    device: str,
    max_pixels: int,
    progress: Progress | None = None,
) -> None:
    """Decodes a .dz file made without metadata, and compares its pixels with those of `original`.

    Raises:
        ChecksumError: They differ, or cannot be compared.
        FormatError: It is damaged.
    """
    _verify(
        data,
        original=original,
        pixels_only=True,
        threads=threads,
        model=model,
        device=device,
        max_pixels=max_pixels,
        progress=progress,
    )


def source_format(header: Info) -> str:
    """The extension, without a dot, of what comes out: the source's, and PNG for what was no file."""
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

    if format_of_extension(extension) == "JPEG":
        raise OutputFormatError("JPEG is lossy: it cannot hold this image")


def probe(head: bytes) -> None:
    """Refuses what is no image, from the first bytes of a file.

    Raises:
        UnreadableImageError: No format that is known begins like this.
    """
    from ..codec.images.imagefile import recognise

    if recognise(head) is None:
        raise UnreadableImageError("an empty file" if not head else "not an image file that densezip knows")
