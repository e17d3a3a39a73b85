"""Dead leaves: grey discs of all sizes that hide one another, the simplest images with edges at every scale.

Source: Lee, Mumford and Huang, *Occlusion models for natural images* (2001); radii follow the density r^-3, for which
the statistics are the same at every scale, between `SMALLEST` and the side of the image.
"""

from __future__ import annotations

from ctypes import c_int64, c_void_p

import numpy as np
from numpy.typing import NDArray

from ...codec import native

__all__ = ["dead_leaves"]

SMALLEST = 1.5
"""Smallest radius, pixels: the law has no finite area without one."""

CHUNK = 4096

UNIFORMS = 12
"""Uniform numbers whose sum is the noise: nearly normal, and of variance 1."""

_lay = native.function("dz_lay_leaves", c_int64, c_int64, c_void_p, c_void_p, c_int64, *[c_void_p] * 3, c_int64)


def dead_leaves(count: int, size: int, seed: int, noise: int = 0) -> NDArray[np.uint8]:
    """Images of dead leaves [count, 1, size, size].

    Leaves are laid from the front to the back, each only where nothing lies yet, until no pixel is free: an exact draw
    of the infinite pile. Centres fall on the image and a margin of the largest radius.

    Args:
        count: number of images.
        size: side, pixels.
        seed: the same seed, count and size give the same images on every machine: the random numbers are integers, and
            the arithmetic on them is that of IEEE 754, division and square root included.
        noise: deviation of what is added to every pixel, in levels, before it is rounded.
    """
    images = np.zeros((count, 1, size, size), np.uint8)
    largest = float(size)
    for number, image in enumerate(images):
        rng = np.random.default_rng((seed, number, size))
        free = np.ones((size, size), np.bool_)
        left = size * size
        while left:
            draws = rng.integers(0, 1 << 32, (CHUNK, 4)) / float(1 << 32)
            # The distribution function of r^-3 on [a, b] turned round: u = (a^-2 - r^-2) / (a^-2 - b^-2).
            radii = 1 / np.sqrt(SMALLEST**-2 - draws[:, 0] * (SMALLEST**-2 - largest**-2))
            centres = np.ascontiguousarray(draws[:, 1:3] * (size + 2 * largest) - largest)
            greys = (draws[:, 3] * 256).astype(np.uint8)
            arrays = (radii.ctypes.data, centres.ctypes.data, greys.ctypes.data)
            left = _lay(size, image.ctypes.data, free.ctypes.data, CHUNK, *arrays, left)
        if noise:
            drawn = rng.integers(0, 1 << 32, (UNIFORMS, 1, size, size)).sum(0) / float(1 << 32) - UNIFORMS / 2
            image[:] = np.clip(np.rint(image + noise * drawn), 0, 255)
    return images
