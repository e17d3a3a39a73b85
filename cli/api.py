"""What the command line asks of the package: its public functions, and what little there is beyond them.

Formats are looked up in modules that take time to import, each when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Literal, TypeAlias

from .. import DEFAULT_MAX_PIXELS, Info, LimitError, OutputFormatError, compress, export, info, verify
from ..codec.file.container import parse

if TYPE_CHECKING:
    from .heatpicture import Pixels

__all__ = [
    "Named",
    "Progress",
    "Strip",
    "check_head",
    "check_target",
    "compress",
    "draw_heatmap",
    "export",
    "image_suffixes",
    "info",
    "is_always_kept",
    "same_format",
    "source_format",
    "verify",
]

Progress = Callable[[float], None]
Strip: TypeAlias = bool | Literal["all"]


class Named(BytesIO):
    """The content of a file, with its name, whose suffix tells formats apart that begin alike."""

    def __init__(self, data: bytes, name: str) -> None:
        """Wraps them."""
        super().__init__(data)
        self.name = name


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


def check_head(head: bytes) -> None:
    """Refuses what is no image, from the first bytes of a file.

    Raises:
        UnreadableImageError: No format that is known begins like this.
    """
    from ..codec.images.imagefile import check_head

    check_head(head)


def is_always_kept(head: bytes) -> bool:
    """Whether the first bytes of an image file say that it is stored as it is: lossy and no JPEG, or not decoded."""
    from ..codec.images.imagefile import recognise

    kind = recognise(head)
    return kind is not None and (kind.opaque or (kind.lossy and kind.name != "JPEG"))


def draw_heatmap(data: bytes, progress: Progress) -> Pixels:
    """A picture of where the bits of a .dz file went, RGB [H, W, 3].

    Raises:
        LimitError: it has more than `DEFAULT_MAX_PIXELS` pixels.
        DensezipError: whatever else is wrong with it.
    """
    from ..models.heat import heat_of
    from .heatpicture import draw

    container = parse(data)
    width, height = container.header.width, container.header.height
    if width * height > DEFAULT_MAX_PIXELS:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {DEFAULT_MAX_PIXELS}")
    heat = heat_of(container, report=progress)
    return draw(heat.bits.sum(axis=2), heat.detail.value)
