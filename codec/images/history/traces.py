"""Whether a picture may be a decoded JPEG file: cheap looks at a part of it."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from ...native import kernel
from .colours import on_lattice
from .decoder import BLOCK, Bytes

__all__ = ["grid_of", "may_be_decoded"]

# Pixels whose colours are looked at; of a picture that was none more than this share are nowhere on the lattice.
COLOURS, MOST_NOWHERE = 2**14, 0.005
# Blocks whose frequencies are looked at; the share of small ones is so much greater on the grid than off it.
BLOCKS, SMALL, MORE_SMALL = 400, 0.9, 0.02
LIVELY, FEWEST_LIVELY = 4, 16
SMALLEST_SIDE = 32


def may_be_decoded(pixels: Bytes) -> bool:
    """Whether it is worth trying to undo the decoding of a picture [h, w, 1 or 3]. A few milliseconds."""
    height, width, channels = pixels.shape
    if min(height, width) < SMALLEST_SIDE:
        return False
    if channels == 1:
        return grid_of(pixels[:, :, 0]) is not None
    rows = max(1, COLOURS // width)
    if rows < height:
        pixels = pixels[np.arange(rows) * height // rows]
    known = on_lattice(np.ascontiguousarray(pixels))[3]
    return bool((known == 2).mean() <= MOST_NOWHERE)


def grid_of(grey: Bytes) -> tuple[int, int] | None:
    """Where the first row and column of a grid of blocks are, 0 to 7, by their small frequencies; None for no grid."""
    grey = np.ascontiguousarray(grey)
    found = np.zeros((BLOCK * BLOCK, 2), np.int64)
    _function()(grey.ctypes.data, *grey.shape, BLOCKS, SMALL, LIVELY, found.ctypes.data)
    # In a block all frequencies but the mean count.
    shares = np.where(found[:, 1] >= FEWEST_LIVELY, found[:, 0] / np.maximum(63 * found[:, 1], 1), 0.0)
    best = int(shares.argmax())
    if shares[best] <= shares[0] + MORE_SMALL:
        best = 0  # most pictures were not cut; of fine steps the grid hardly shows
    return divmod(best, BLOCK) if shares[best] > np.median(shares) + MORE_SMALL else None


@lru_cache(maxsize=1)
def _function() -> Any:
    pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    return kernel("dz_history_grids", None, pointer, number, number, number, real, real, pointer)
