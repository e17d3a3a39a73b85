"""How the tiles of a picture grow with its message: by what takes least, of some ways, by an estimate.

The estimate is from a few tiles that are coded and thrown away. Only the encoder knows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..entropy.calibrated import Calibration
from ..entropy.neighbours import ByNeighbours, scale_of, step_for
from ..entropy.rans import Message
from .chainparts import LEAST_STEP, MOST_DIRECT, MOST_NEED, MOST_STEP, MOST_WORTH, SIDES, UNIT, Growth
from .container import Box
from .groups import Group, area, groups_of, sides
from .imagecoder import ImageCoder, tile_codec

__all__ = ["growth_for", "tiles_of"]

PROBED_SIDES = 8, 32
"""Of tiles that are coded for an estimate, where the model takes them."""

MARGIN = 1.2
"""How much less may be brought elsewhere in a picture of several tiles."""

LEAST_RATE = 0.1
"""Bits of a sample or pixel, for estimates."""

BEGUN, PARTS = 3, 8
"""The tiles that are coded without the model are at most so small a part of the picture; and how many numbers of them
are tried."""


def tiles_of(planes: NDArray[np.uint8], group: Group) -> Tensor:
    """Of a group: int64 [B, C, H, W]."""
    tiles = np.stack([planes[top:bottom, left:right] for top, left, bottom, right in group.boxes])
    return torch.from_numpy(tiles.astype(np.int64)).permute(0, 3, 1, 2).contiguous()


class _Rates(NamedTuple):
    """What a picture's tiles take by the model, in bits a pixel.

    Attributes:
        borrowed: from the message.
        large: brought to it, by a large tile.
        border: what smaller ones bring beyond that, for each pixel of border that they have more.
        share: of the pixels of the large one, how many are its border.
    """

    borrowed: float
    large: float
    border: float
    share: float

    def brought(self, box: Box) -> float:
        """By a tile, in bits."""
        pixels = area(box)
        more = 2 * sum(sides(box)) - self.share * pixels
        return max(self.large * pixels + self.border * more, LEAST_RATE * pixels)


def _rates(coder: ImageCoder, planes: NDArray[np.uint8], own: Box) -> _Rates:
    """From a tile in the middle of the picture, another in the middle of `own`, and small ones in the first.

    What is brought is the less of the two: a message is short where little is.
    """
    large = min(PROBED_SIDES[1], *sides(own))
    small = min(max(PROBED_SIDES[0], *coder.fitted(1, 1)), large)
    height, width = planes.shape[:2]
    middle, first = _middle((0, 0, height, width), large), _middle(own, large)
    top, left = middle[:2]
    corners = range(0, large - small + 1, max(1, (large - small) // 2))
    parts, more = _probed(coder, planes, [(top + i, left + i, top + i + small, left + i + small) for i in corners])
    whole, brought = _probed(coder, planes, [middle])
    border = max(0.0, more - brought) / (4 / small - 4 / large) if small < large else 0.0
    if first != middle:
        again, other = _probed(coder, planes, [first])
        whole, brought = max(whole, again), min(brought, other) / MARGIN
    return _Rates(max(whole, parts), brought, border, 4 / large)


def _middle(box: Box, side: int) -> Box:
    """The square in the middle of a box."""
    top, left = (box[0] + box[2] - side) // 2, (box[1] + box[3] - side) // 2
    return top, left, top + side, left + side


def _probed(coder: ImageCoder, planes: NDArray[np.uint8], boxes: Sequence[Box]) -> tuple[float, float]:
    """Bits for each pixel that tiles borrow, and that they bring."""
    lent, brought = 0.0, 0.0
    for box in boxes:
        tile, message = tiles_of(planes, Group([box], direct=False)), Message.lending(1)
        tile_codec(coder, Calibration(coder.band), (1, *tile.shape[1:])).push(message, tile)
        lent, brought = lent + message.lent, brought + message.bits - message.lent
    pixels = sum(map(area, boxes))
    return lent / pixels, max(brought / pixels, LEAST_RATE)


def _bits(coder: ImageCoder, groups: Sequence[Group], rates: _Rates, direct: float) -> float:
    """What a message takes, about; `direct` for each pixel of tiles without the model, but no less than by the model.

    So there are no more of these than it takes to begin with, where neighbours know more than the model does.
    """
    held, beside = 0.0, 0.0
    for group in groups:
        pixels, one = sum(map(area, group.boxes)), group.boxes[0]
        if group.direct:
            held += direct * pixels
            beside += max(0.0, rates.large - direct) * pixels
        else:
            borrowed = rates.borrowed * len(group.boxes) * math.prod(coder.fitted(*sides(one)))
            held = max(held, borrowed) + len(group.boxes) * rates.brought(one)
    return held + beside


def _steps(coder: ImageCoder, planes: NDArray[np.uint8], groups: Sequence[Group]) -> tuple[int, int]:
    """Of the scales that fit the tiles that are coded without the model."""
    found: list[tuple[Tensor, Tensor]] = []
    for group in groups:
        if group.direct:
            tiles = tiles_of(planes, group)
            found.append(ByNeighbours((len(tiles), *tiles.shape[1:]), coder.levels, (0, 0)).distances(tiles))
    both = [torch.cat(part) for part in zip(*found, strict=True)] if found else [torch.zeros(0)] * 2
    steps = range(LEAST_STEP, MOST_STEP + 1)
    first, others = (step_for(float(part.mean()) if part.numel() else 0.0, steps) for part in both)
    return first, others


def growth_for(coder: ImageCoder, planes: NDArray[np.uint8], parts: Sequence[Box]) -> Growth | None:
    """By which the file of a picture is smallest, about; None if the model borrows nothing.

    No more is coded without the model than its largest tile borrows.

    Args:
        coder: the model.
        planes: samples of the model. [H, W, C]
        parts: the tiles.
    """
    if not coder.borrows:
        return None
    own = max(parts, key=area)
    rates = _rates(coder, planes, own)
    scales = map(scale_of, _steps(coder, planes, [Group([own], direct=True)]))
    first, others = (max(LEAST_RATE, math.log2(scale * math.e**2)) for scale in scales)
    direct = first + (coder.channels - 1) * others
    whole = rates.brought(own) / area(own)
    need = min(max(1, math.ceil(UNIT * rates.borrowed / whole)), MOST_NEED)
    worth = min(max(1, int(UNIT * direct / whole)), MOST_WORTH)
    most = min(sum(map(area, parts)) // BEGUN, need * area(own) // worth)
    found = [Growth(need)]
    for log in range(max(SIDES[0], (max(coder.fitted(1, 1)) - 1).bit_length()), SIDES[1] + 1):
        tiles = min(MOST_DIRECT, most >> 2 * log)
        found += [Growth(need, 1 << log, tiles * part // PARTS, worth) for part in range(PARTS + 1)]

    def bits(growth: Growth) -> float:
        return _bits(coder, groups_of(parts, growth, coder.fitted), rates, direct)

    best = min(dict.fromkeys(found), key=bits)
    return replace(best, steps=_steps(coder, planes, groups_of(parts, best, coder.fitted)))
