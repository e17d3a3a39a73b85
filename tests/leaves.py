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
    y, x = np.mgrid[:height, :width]
    top = (1 << depth) - 1
    image = np.zeros((height, width, channels), np.int64)
    for _ in range(6 * (height + width)):
        radius = int(3 / np.sqrt(rng.random() + 9 / (max(height, width) + 4) ** 2))
        cy, cx = int(rng.integers(height)), int(rng.integers(width))
        light = int(rng.integers(top))
        colour = np.clip(light + rng.integers(-top // 5, top // 5 + 1, channels), 0, top)
        slope = rng.integers(-2, 3, 2) << (depth - 8)
        inside = (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
        shade = (slope[0] * (y - cy) + slope[1] * (x - cx)) // 2
        image[inside] = colour + shade[inside][:, None]
    noise = rng.integers(-1 << (depth - 7), (1 << (depth - 7)) + 1, (height, width, 1)) + rng.integers(
        -1, 2, image.shape
    )
    return np.clip(image + noise, 0, top).astype(np.uint8 if depth == 8 else np.uint16)


def gradient(height: int, width: int, channels: int, depth: int = 8) -> NDArray[Any]:
    """A smooth ramp over all values [H, W, C]."""
    y, x, c = np.mgrid[:height, :width, :channels]
    top = (1 << depth) - 1
    ramp = (x * 3 + y * 2 + c * 5) * top // (3 * width + 2 * height + 5 * channels)
    return np.asarray(ramp, np.uint8 if depth == 8 else np.uint16)
