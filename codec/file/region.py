"""A part of an image: which tiles it lies in, and what is checked of it. Standard library only."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from .container import Box

__all__ = ["Region", "region_of", "tiles_in"]


class Region(NamedTuple):
    """A rectangle of pixels, as they lie in the file: an orientation in the metadata is not applied.

    Attributes:
        x: columns to the left of it.
        y: rows above it.
        width: in pixels.
        height: in pixels.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        """(top, left, bottom, right)."""
        return self.y, self.x, self.y + self.height, self.x + self.width

    def of(self, pixels: Any) -> Any:
        """A copy of this part of samples [H, W, ...]: the whole is not kept for it."""
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width].copy()


def region_of(given: object, width: int, height: int) -> Region | None:
    """What was asked for of an image; None for the whole.

    Args:
        given: (x, y, width, height) in pixels, or None.
        width: of the image, in pixels.
        height: likewise.

    Raises:
        UsageError: it is no such four numbers, is empty, or is not inside of the image.
    """
    if given is None:
        return None
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else []
    if len(numbers) != 4 or any(isinstance(n, bool) or not hasattr(n, "__index__") for n in numbers):
        raise UsageError(f"region={given!r}: four integers are wanted, (x, y, width, height)")
    region = Region(*(n.__index__() for n in numbers))
    said = f"a region of {region.width}x{region.height} pixels at ({region.x}, {region.y})"
    if region.width < 1 or region.height < 1:
        raise UsageError(f"{said} has no pixels")
    if min(region[:2]) < 0 or region.x + region.width > width or region.y + region.height > height:
        raise UsageError(f"{said} is not inside of the image of {width}x{height}")
    return region


def tiles_in(boxes: Sequence[Box], window: Box) -> list[tuple[int, Box]]:
    """The tiles that have pixels in a window, each with its number from 0."""
    top, left, bottom, right = window
    return [
        (number, box)
        for number, box in enumerate(boxes)
        if box[0] < bottom and top < box[2] and box[1] < right and left < box[3]
    ]
