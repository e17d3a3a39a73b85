"""The quantization steps of a component, from the coefficients that its samples have after rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..jpeg.habits import CHROMA_STEPS, LUMA_STEPS, standard_steps
from .search import Floats

__all__ = ["ZIGZAG", "find_steps"]

# Samples are rounded to integers: that is noise of this deviation in every coefficient, and somewhat more for clipping.
NOISE = 0.30
# Below this a coefficient may be noise alone.
FAINT = 1.3
LARGEST = 255
# Chance of a coefficient that no step explains.
STRAY = 0.02
# Coefficients looked at for each frequency, and of one rounded value.
MOST, MOST_ALIKE = 400, 12
# A step is sure if it explains that much more than noughts would, in nats.
SURE = 4.0
# What a step is worth beforehand that a scaled standard table has, and one beside it.
USUAL, NEARLY = 3.0, 1.5


def _in_rows(table: bytes) -> NDArray[np.float64]:
    """A table in zigzag order, in rows."""
    rows = np.zeros(64)
    rows[ZIGZAG] = np.frombuffer(table, np.uint8)
    return rows


def _along(at: int) -> int:
    """Where a frequency stands in its diagonal of the zigzag."""
    row, column = divmod(at, 8)
    return row if (row + column) % 2 else column


ZIGZAG = sorted(range(64), key=lambda at: (at // 8 + at % 8, _along(at)))
"""Places in rows of the coefficients in the order of T.81, figure A.6."""


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well each step from 1 to `LARGEST` explains magnitudes, in nats."""
    steps = np.arange(1, LARGEST + 1.0)
    rest = values[:, None] - steps * np.maximum(1, np.rint(values[:, None] / steps))
    density = np.exp(-0.5 * (rest / NOISE) ** 2) / (NOISE * np.sqrt(2 * np.pi))
    found: NDArray[np.float64] = np.log((1 - STRAY) * steps * density + STRAY).sum(0)
    return found


def find_steps(coefficients: Floats, *, chroma: bool) -> NDArray[np.int32]:
    """The steps of quantization, in rows [64].

    Args:
        coefficients: of blocks all of whose samples are known, [n, 64], in rows.
        chroma: which standard table is likely.
    """
    sizes = np.abs(coefficients)
    # In a block without detail all rows are rounded alike, and noise piles up in the first row and column.
    inner = sizes.reshape(-1, 8, 8)[:, 1:, 1:].max(axis=(1, 2)) > FAINT
    if inner.sum() >= 16:
        sizes = sizes[inner]
    scores, counts = np.zeros((64, LARGEST)), np.zeros(64, int)
    for at in range(64):
        values = np.sort(sizes[sizes[:, at] > FAINT, at])
        rounded = np.rint(values)
        first = np.searchsorted(rounded, rounded, "left")
        values = values[np.arange(len(values)) - first < MOST_ALIKE].astype(np.float64)
        if len(values) > MOST:
            values = values[np.linspace(0, len(values) - 1, MOST).astype(int)]
        counts[at] = len(values)
        if len(values):
            scores[at] = _scores(values)
    best = scores.argmax(1)
    ordered = np.sort(scores, 1)
    sure = (counts >= 3) & (ordered[:, -1] > SURE) & (ordered[:, -1] - ordered[:, -2] > 1)
    for quality in range(1, 101):
        standard = _in_rows(standard_steps(quality, chroma=chroma))
        if sure.any() and (standard[sure] == best[sure] + 1).all():
            return standard.astype(np.int32)
    table = _in_rows(CHROMA_STEPS if chroma else LUMA_STEPS)
    steps = np.arange(1, LARGEST + 1)
    scale = float(np.median((best[sure] + 1) / table[sure])) if sure.any() else 1.0
    usual = np.clip(np.floor(table * scale + 0.5), 1, LARGEST).astype(int)
    bonus = np.where(steps == usual[:, None], USUAL, np.where(np.abs(steps - usual[:, None]) == 1, NEARLY, 0.0))
    # What is rarely met, and only finer than is usual, is noise.
    bonus[steps < usual[:, None] / 2] = -np.inf
    found = np.where(counts > 1, (scores + bonus).argmax(1) + 1, usual)
    return np.where(sure, best + 1, found).astype(np.int32)
