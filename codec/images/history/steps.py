"""The quantization steps of a component, from the coefficients that its samples have after rounding."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from math import gcd
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...native import kernel
from ..jpeg.habits import CHROMA_STEPS, LUMA_STEPS, standard_steps
from .search import Planes

__all__ = ["ZIGZAG", "find_steps"]

# Samples are rounded to integers: that is noise of this deviation in every coefficient, and somewhat more for clipping.
NOISE = 0.30
# Below this a coefficient may be noise alone.
FAINT = 1.3
LARGEST = 255
# Chance of a coefficient that no step explains.
STRAY = 0.02
# Coefficients kept for each frequency, looked at, and of one rounded value, which are at most so many.
MOST_KEPT, MOST, MOST_ALIKE, SIZES = 2048, 400, 12, 2048
# Blocks without which nothing can be said.
FEWEST_BLOCKS = 16
# A step is sure if it explains that much more than noughts would, in nats.
SURE = 4.0
# What a step is worth beforehand that a scaled standard table has, and one beside it.
USUAL, NEARLY = 3.0, 1.5


def _in_rows(table: bytes) -> NDArray[np.float64]:
    """A table in zigzag order, in rows."""
    rows = np.zeros(64)
    rows[ZIGZAG] = np.frombuffer(table, np.uint8)
    return rows


@lru_cache(maxsize=2)
def _standard_steps(chroma: bool) -> NDArray[np.int32]:
    """The steps as libjpeg scales them for each quality from 1 to 100, in rows [100, 64]."""
    return np.array([_in_rows(standard_steps(quality, chroma=chroma)) for quality in range(1, 101)]).astype(np.int32)


def _along(at: int) -> int:
    """Where a frequency stands in its diagonal of the zigzag."""
    row, column = divmod(at, 8)
    return row if (row + column) % 2 else column


ZIGZAG = sorted(range(64), key=lambda at: (at // 8 + at % 8, _along(at)))
"""Places in rows of the coefficients in the order of T.81, figure A.6."""


class Sizes:
    """Magnitudes of coefficients, of which there is enough to tell the steps by.

    Args:
        inner: only those of blocks with detail beside the first row and column count.
    """

    def __init__(self, *, inner: bool) -> None:
        self.inner = inner
        self.values = np.zeros((64, MOST_KEPT), np.float32)
        self.counts = np.zeros(64, np.int64)
        self.seen = np.zeros((64, SIZES), np.uint8)
        self.blocks = np.zeros(2, np.int64)

    def add(self, planes: Planes) -> None:
        """Look at the blocks whose samples are all known."""
        total = planes.rows * planes.columns
        _functions()["sizes"](
            planes.least.ctypes.data,
            planes.most.ctypes.data,
            planes.rows,
            planes.columns,
            _stride(total),
            FAINT,
            int(self.inner),
            MOST_KEPT,
            MOST_ALIKE,
            *(array.ctypes.data for array in (self.values, self.counts, self.seen, self.blocks)),
        )

    def scores(self) -> NDArray[np.float64]:
        """How well each step from 1 to `LARGEST` explains those of each frequency, in nats [64, `LARGEST`]."""
        found = np.zeros((64, LARGEST))
        power, rest = np.zeros(LARGEST + 1, np.int32), np.ones(LARGEST + 1, np.float32)
        for at in np.flatnonzero(self.counts):
            values = self.values[at, : self.counts[at]]
            if len(values) > MOST:
                values = values[np.linspace(0, len(values) - 1, MOST).astype(int)]
            # A step that is larger than all explains nothing.
            steps = min(LARGEST, int(values.max()) + 2) + 7 & ~7
            values = np.ascontiguousarray(values)
            _functions()["scores"](
                values.ctypes.data, len(values), NOISE, STRAY, steps, power.ctypes.data, rest.ctypes.data
            )
            found[at] = len(values) * np.log(STRAY)
            known = slice(min(steps, LARGEST))
            found[at, known] = (power[known] + np.log2(rest[known])) * np.log(2)
        return found


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    return {
        "sizes": kernel(
            "dz_history_sizes",
            None,
            *(pointer, pointer, *(number,) * 3, real, *(number,) * 3, *(pointer,) * 4),
        ),
        "scores": kernel("dz_history_scores", None, pointer, number, real, real, number, pointer, pointer),
    }


def _stride(blocks: int) -> int:
    """How far apart to look at blocks one after the other, so that the first are from everywhere and all are met."""
    stride = int(blocks * 0.618) | 1
    while gcd(stride, blocks) > 1:
        stride += 2
    return stride


def find_steps(parts: Sequence[Planes], *, chroma: bool) -> NDArray[np.int32] | None:
    """The steps of quantization of components that share them, in rows [64]; None where too few blocks are known.

    Args:
        parts: bounds of samples of each.
        chroma: which standard table is likely.
    """
    # In a block without detail all rows are rounded alike, and noise piles up in the first row and column.
    for inner in (True, False):
        sizes = Sizes(inner=inner)
        for planes in parts:
            sizes.add(planes)
        known, detailed = sizes.blocks
        if known < FEWEST_BLOCKS:
            return None
        if detailed >= FEWEST_BLOCKS:
            break
    scores, counts = sizes.scores(), np.minimum(sizes.counts, MOST)
    best = scores.argmax(1)
    ordered = np.sort(scores, 1)
    sure = (counts >= 3) & (ordered[:, -1] > SURE) & (ordered[:, -1] - ordered[:, -2] > 1)
    standard = _standard_steps(chroma)
    if sure.any():
        alike = np.flatnonzero((standard[:, sure] == best[sure] + 1).all(1))
        if len(alike):
            return cast("NDArray[np.int32]", standard[alike[0]])
    table = _in_rows(CHROMA_STEPS if chroma else LUMA_STEPS)
    steps = np.arange(1, LARGEST + 1)
    scale = float(np.median((best[sure] + 1) / table[sure])) if sure.any() else 1.0
    usual = np.clip(np.floor(table * scale + 0.5), 1, LARGEST).astype(int)
    bonus = np.where(steps == usual[:, None], USUAL, np.where(np.abs(steps - usual[:, None]) == 1, NEARLY, 0.0))
    # What is rarely met, and only finer than is usual, is noise.
    bonus[steps < usual[:, None] / 2] = -np.inf
    found = np.where(counts > 1, (scores + bonus).argmax(1) + 1, usual)
    return np.where(sure, best + 1, found).astype(np.int32)
