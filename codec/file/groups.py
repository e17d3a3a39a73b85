"""Which tiles of a picture, or images of a batch, are coded together, and in which order: part of the format."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from .chainparts import UNIT, Growth
from .container import Box
from .imagecoder import Fitted

__all__ = ["BORROWED", "Group", "area", "group_sizes", "groups_of", "sides"]

GROUP_PIXELS = 2**19
"""Of the tiles that are coded at once, unless one alone has more. Part of the format, as is the number below."""

BORROWED = 8
"""Times its own rate is what an image of a batch is taken to need, and a tile of a file that does not say."""


class Group(NamedTuple):
    """Tiles that are coded together, of one size.

    Attributes:
        boxes: of the tiles.
        direct: whether without the model, so that it has something to borrow.
    """

    boxes: list[Box]
    direct: bool


def groups_of(parts: Sequence[Box], growth: Growth | None, fitted: Fitted) -> list[Group]:
    """All groups, in the order of pushing.

    Args:
        parts: the tiles of a picture.
        growth: how they grow; None if they borrow nothing.
        fitted: sides of a tile -> those of the image that the model takes for it: that is what borrows.
    """

    def borrowing(box: Box) -> int:
        return math.prod(fitted(*sides(box)))

    sizes = list(dict.fromkeys((bottom - top, right - left) for top, left, bottom, right in parts))
    byarea = sorted(sizes, key=lambda size: size[0] * size[1])
    left = deque(sorted(parts, key=lambda box: byarea.index((box[2] - box[0], box[3] - box[1]))))
    groups: list[Group] = []
    brought, begun = 0, growth.direct * growth.side**2 if growth else 0
    while left:
        direct = growth is not None and begun >= growth.side**2 > 0
        room = begun if direct else min(GROUP_PIXELS, brought // growth.need) if growth else GROUP_PIXELS
        size = area if direct or not growth else borrowing
        box = left.popleft()
        while growth and growth.side and size(box) > room and len(halves := _halves(box, growth.side)) > 1:
            box = halves[0]
            left.appendleft(halves[1])
        group = [box]
        while left and sides(left[0]) == sides(box) and (len(group) + 1) * size(box) <= room:
            group.append(left.popleft())
        pixels = sum(map(area, group))
        groups.append(Group(group, direct))
        begun -= pixels if direct else 0
        brought += pixels * (growth.worth if growth and direct else UNIT)  # each pixel of the model's is UNIT
    return groups


def sides(box: Box) -> tuple[int, int]:
    """Height and width."""
    return box[2] - box[0], box[3] - box[1]


def area(box: Box) -> int:
    """Pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _halves(box: Box, least: int) -> list[Box]:
    """The longer side cut at the multiple of `least` at its half, or the next after it; a short one is left whole."""
    top, left, bottom, right = box
    height, width = sides(box)
    half = -(-max(height, width) // (2 * least)) * least
    if half >= max(height, width):
        return [box]
    if height > width:
        return [(top, left, top + half, right), (top + half, left, bottom, right)]
    return [(top, left, bottom, left + half), (top, left + half, bottom, right)]


def group_sizes(count: int, area: int, *, borrows: bool) -> list[int]:
    """How many of `count` images of so many pixels are coded at a time."""
    sizes: list[int] = []
    pushed = 0
    while count:
        size = max(1, GROUP_PIXELS // area)
        if borrows:
            size = min(size, max(1, pushed // (BORROWED * area)))
        sizes.append(min(size, count))
        count -= sizes[-1]
        pushed += area * sizes[-1]
    return sizes
