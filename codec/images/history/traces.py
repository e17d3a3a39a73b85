"""Whether a picture may be a decoded JPEG file: cheap looks at a part of it."""

from __future__ import annotations

import numpy as np

from .decoder import BLOCK, Bytes, on_lattice
from .search import to_frequencies

__all__ = ["may_be_decoded"]

# Pixels whose colours are looked at; more of them than this share are nowhere on the lattice of a picture that was none.
COLOURS, MOST_NOWHERE = 2**14, 0.005
# Blocks whose frequencies are looked at; the share of small ones is so much greater on the grid than off it.
BLOCKS, SMALL, MORE_SMALL = 400, 0.9, 0.02
SMALLEST_SIDE = 32


def may_be_decoded(pixels: Bytes) -> bool:
    """Whether it is worth trying to undo the decoding of a picture [h, w, 1 or 3]. A few milliseconds."""
    height, width, channels = pixels.shape
    if min(height, width) < SMALLEST_SIDE:
        return False
    if channels == 1:
        return _has_grid(pixels[:, :, 0])
    rows = max(1, COLOURS // width)
    if rows < height:
        pixels = pixels[np.arange(rows) * height // rows]
    known = on_lattice(np.ascontiguousarray(pixels))[3]
    return bool((known == 2).mean() <= MOST_NOWHERE)


def _has_grid(grey: Bytes) -> bool:
    shares = [_small(grey, offset) for offset in (0, 2, 5)]
    return shares[0] > max(shares[1:]) + MORE_SMALL


def _small(grey: Bytes, offset: int) -> float:
    """The share of small frequencies in blocks of a grid that begins at some row and column, where there is detail."""
    rows, columns = ((side - offset) // BLOCK for side in grey.shape)
    count = min(BLOCKS, rows * columns)
    chosen = np.arange(count) * (rows * columns) // count
    inside = np.arange(BLOCK)
    y = offset + BLOCK * (chosen // columns)[:, None, None] + inside[:, None]
    x = offset + BLOCK * (chosen % columns)[:, None, None] + inside
    found = np.abs(to_frequencies(grey[y, x].reshape(count, 64).astype(np.float32)))[:, 1:]
    lively = found.max(1) > 4
    return float((found[lively] < SMALL).mean()) if lively.sum() >= min(16, count) else 0.0
