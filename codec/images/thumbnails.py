"""Small pictures of images, as people see them: of 8 bits, and upright if need be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL import Image

    from .picture import Picture

__all__ = ["shrunk", "thumbnail_of"]


def thumbnail_of(picture: Picture, largest: int, *, upright: bool = True) -> Image.Image:
    """A picture with its metadata, made small.

    Args:
        picture: of any mode.
        largest: height and width in pixels, at most; smaller pictures stay as large as they are.
        upright: turn it as its metadata say.

    Returns:
        RGB, or RGBA where something is transparent.
    """
    import numpy as np

    from .picture import to_image

    if picture.pixels.itemsize > 1:
        eight = (picture.pixels >> 8).astype(np.uint8)
        kept = tuple(chunk for chunk in picture.chunks if chunk[0] != "tRNS")
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[eight.shape[2]]
        picture = replace(picture, pixels=eight, mode=mode, bits=8, chunks=kept)
    return shrunk(cast("Image.Image", to_image(replace(picture, array_ndim=0))), largest, upright=upright)


def shrunk(image: Image.Image, largest: int, *, upright: bool = True) -> Image.Image:
    """The same of a PIL image."""
    from PIL import Image, ImageOps

    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    small = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    small.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    if not upright:
        return small
    small.info["exif"] = image.info.get("exif", b"")
    return ImageOps.exif_transpose(small)
