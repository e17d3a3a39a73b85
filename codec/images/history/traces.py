"""Whether a picture may be a decoded JPEG file: cheap looks at a part of it."""

from __future__ import annotations

import numpy as np

from .decoder import BLOCK, Bytes, on_lattice
from .search import to_frequencies

__all__ = ["grid_of", "may_be_decoded"]

# Pixels whose colours are looked at; of a picture that was none more than this share are nowhere on the lattice.
COLOURS, MOST_NOWHERE = 2**14, 0.005
# Blocks whose frequencies are looked at; the share of small ones is so much greater on the grid than off it.
BLOCKS, SMALL, MORE_SMALL = 400, 0.9, 0.02
LIVELY = 4
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
    offsets = [(y, x) for y in range(BLOCK) for x in range(BLOCK)]
    shares = np.array([_small(grey, *offset) for offset in offsets])
    best = int(shares.argmax())
    if shares[best] <= shares[0] + MORE_SMALL:
        best = 0  # most pictures were not cut; of fine steps the grid hardly shows
    return offsets[best] if shares[best] > np.median(shares) + MORE_SMALL else None


def _small(grey: Bytes, top: int, left: int) -> float:
    """The share of small frequencies in blocks of a grid that begins at some row and column, where there is detail."""
    rows, columns = (grey.shape[0] - top) // BLOCK, (grey.shape[1] - left) // BLOCK
    count = min(BLOCKS, rows * columns)
    if not count:
        return 0.0
    chosen = np.arange(count) * (rows * columns) // count
    inside = np.arange(BLOCK)
    y = top + BLOCK * (chosen // columns)[:, None, None] + inside[:, None]
    x = left + BLOCK * (chosen % columns)[:, None, None] + inside
    found = np.abs(to_frequencies(grey[y, x].reshape(count, 64).astype(np.float32)))[:, 1:]
    lively = found.max(1) > LIVELY
    return float((found[lively] < SMALL).mean()) if lively.sum() >= min(16, count) else 0.0
