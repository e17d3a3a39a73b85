"""The preview of a .dz file: a small picture in its header, for those who show many files without decoding them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from .container import MOST_PREVIEW, Header, parse, serialise

if TYPE_CHECKING:
    from PIL import Image

    from ..images.picture import Picture

__all__ = ["LEAST_PIXELS", "SIDE", "preview_of", "takes_preview", "with_preview"]

LEAST_PIXELS = 10**6
"""Smaller pictures have none: decoding them takes no longer than people wait for a folder to be shown."""
SIDE = 256
# Sides and qualities, of which the first is taken that fits: below some quality a smaller picture shows more. At the
# last of them even noise with transparency fits.
SETTINGS = (
    *((SIDE, quality) for quality in (80, 65, 50, 40, 30)),
    *((3 * SIDE // 4, quality) for quality in (50, 40, 30, 20)),
    *((SIDE // 2, quality) for quality in (60, 45, 30, 20, 10)),
)
# Of a preview that another program wrote: what is larger is none.
MOST_SIDE = 1024


def takes_preview(header: Header) -> bool:
    """Whether a picture is large enough to have one, of colours that are read, and no array's planes."""
    return header.width * header.height >= LEAST_PIXELS and bool(header.mode) and not header.is_sheet


def with_preview(data: bytes, picture: Picture) -> bytes:
    """A .dz file with a preview of its picture.

    Args:
        data: the file.
        picture: what it holds, with the metadata that turn it.

    Returns:
        The file as it was where the picture has fewer than `LEAST_PIXELS`, or is the planes of an array. Else it is
        longer by the preview, at most `MOST_PREVIEW` bytes, and by its length.
    """
    container = parse(data)
    header = container.header
    if not takes_preview(header):
        return data
    tiles = [bytes(container.tile(number)) for number in range(header.tiles)]
    return serialise(replace(header, preview=_small(picture)), tiles)


def _small(picture: Picture) -> bytes:
    """A WebP file of at most `MOST_PREVIEW` bytes; empty where that cannot be."""
    from ..images.thumbnails import shrunk, thumbnail_of

    largest = thumbnail_of(picture, SIDE)
    for side, quality in SETTINGS:
        file = BytesIO()
        shrunk(largest, side, upright=False).save(file, "WEBP", quality=quality, alpha_quality=quality, method=4)
        if file.tell() <= MOST_PREVIEW:
            return file.getvalue()
    return b""


def preview_of(header: Header) -> Image.Image | None:
    """The preview in a header, decoded: upright, RGB or RGBA. None where there is none that makes sense."""
    from PIL import Image

    if not header.preview:
        return None
    # It is nothing that pixels depend on: a damaged one is as good as none.
    unsound = contextlib.suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError)
    with unsound, Image.open(BytesIO(header.preview), formats=["WEBP", "JPEG"]) as image:
        if max(image.size) <= MOST_SIDE:
            return image.convert("RGBA" if "A" in image.mode else "RGB")
    return None
