"""Synthetic images with the statistics of photographs, for tests: dead leaves.

Source: Lee, Mumford and Huang, *Occlusion models for natural images* (2001): discs whose radii follow a cubic law hide
one another, so that edges and areas of every size occur.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dead_leaves", "gradient"]


def dead_leaves(height: int, width: int, channels: int, seed: int, depth: int = 8) -> NDArray[Any]:
    """An image [H, W, C] of `depth` bits; the same on every machine, for it is drawn in integers."""
    rng = np.random.default_rng(seed)
    top = (1 << depth) - 1
    # Drawn at twice the size with a margin, then blurred as by a lens, so that edges are as soft as in a photograph.
    rows, columns = 2 * height + 4, 2 * width + 4
    y, x = np.mgrid[:rows, :columns]
    image = np.full((rows, columns, channels), top // 2)
    for _ in range(2 * (height + width)):
        radius = int(8 / np.sqrt(rng.random() + 64 / (max(rows, columns) + 9) ** 2))
        cy, cx = int(rng.integers(rows)), int(rng.integers(columns))
        colour = int(rng.integers(top)) + rng.integers(-top // 12, top // 12 + 1, channels)
        slope = rng.integers(-2, 3, 2) << (depth - 8)
        inside = (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
        shade = (slope[0] * (y - cy) + slope[1] * (x - cx)) // 4
        image[inside] = colour + shade[inside][:, None]
    image = np.sum([image[k : rows - 3 + k : 2] for k in range(4)], 0)
    image = np.sum([image[:, k : columns - 3 + k : 2] for k in range(4)], 0)[:height, :width]
    grain = rng.integers(-1 << (depth - 3), (1 << (depth - 3)) + 1, (2, height, width, channels)).sum(0)
    return np.asarray(np.clip((image + grain) // 16, 0, top), np.uint8 if depth == 8 else np.uint16)


def gradient(height: int, width: int, channels: int, depth: int = 8) -> NDArray[Any]:
    """A smooth ramp over all values [H, W, C]."""
    y, x, c = np.mgrid[:height, :width, :channels]
    top = (1 << depth) - 1
    ramp = (x * 3 + y * 2 + c * 5) * top // (3 * width + 2 * height + 5 * channels)
    return np.asarray(ramp, np.uint8 if depth == 8 else np.uint16)
