"""A component of a picture at work: between what its samples may be and the coefficients that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .decoder import BLOCK, Bytes, Canvas, samples_of
from .search import Floats, Planes, mend, round_off, shift
from .steps import find_steps

__all__ = ["Component", "find_common_steps"]

# What a wrong sample takes, in bits.
WRONG_BITS = 6
# Moves for each block: of few that are wrong, and of many.
TRIES, FEW_TRIES = 60, 12
MANY = 0.25


class Component:
    """A component at work.

    Args:
        low: the least that each sample may be [h, w].
        high: the most; where that is less than the least nothing is known.
        canvas: on which they lie.
        guess: at the samples; None for the least.
    """

    def __init__(self, low: Bytes, high: Bytes, canvas: Canvas, guess: Bytes | None = None) -> None:
        self.canvas = canvas
        self.steps = np.ones(64, np.int32)
        self.guess = self._whole(low if guess is None else guess, "edge")
        self.planes = Planes(*self._bounds(low, high))

    def bound(self, low: Bytes, high: Bytes) -> None:
        """Set the bounds."""
        self.planes.bound(*self._bounds(low, high))

    def _bounds(self, low: Bytes, high: Bytes) -> tuple[Bytes, Bytes]:
        """Bounds of whole blocks, which are open outside and where nothing is known."""
        self.low, self.high = low, high
        free = low > high
        if free.any():
            low, high = np.where(free, np.uint8(0), low), np.where(free, np.uint8(255), high)
        return self._whole(low, "constant"), self._whole(high, "constant", constant_values=255)

    def _whole(self, samples: NDArray[np.generic], mode: str, **options: int) -> Bytes:
        """Samples of whole blocks."""
        top, left = self.canvas.top, self.canvas.left
        height, width = top + samples.shape[0], left + samples.shape[1]
        margins = (top, -height % BLOCK), (left, -width % BLOCK)
        return cast(Bytes, np.ascontiguousarray(np.pad(samples, margins, mode, **options)))  # type: ignore[call-overload]

    def round_off(self) -> None:
        """Coefficients by rounding."""
        round_off(self.planes, self.guess, self.steps)

    def misfit(self) -> float:
        """The share of blocks whose samples are out of bounds."""
        return float((self.planes.out > 0).mean())

    def bits(self) -> float:
        """About what the coefficients take, and the samples that they make wrong."""
        blocks = self.planes.blocks
        sizes = np.abs(blocks[blocks != 0].astype(np.float32))
        samples, _ = samples_of(self.plane, self.steps)
        wrong = np.count_nonzero((samples < self.planes.least) | (samples > self.planes.most))
        return float((2 * np.log2(1 + sizes) + 2).sum()) + WRONG_BITS * wrong

    def move(self, change: Floats) -> None:
        """Move samples of whole blocks from what the coefficients give, where they are open, and round again."""
        shift(self.planes, change, self.steps)

    def finish(self) -> None:
        """Search where samples are out of bounds."""
        misfit = self.misfit()
        if misfit:
            mend(self.planes, self.steps, TRIES if misfit < MANY else FEW_TRIES)

    @property
    def plane(self) -> NDArray[np.int16]:
        """The coefficients, [rows, columns, 64]."""
        return self.planes.blocks.reshape(self.planes.rows, self.planes.columns, 64)

    def corrected(self) -> Bytes:
        """The samples of the coefficients, moved inside the bounds where there are any."""
        samples, _ = samples_of(self.plane, self.steps)
        return cast(Bytes, np.clip(samples, self.planes.least, self.planes.most))


def find_common_steps(alike: Sequence[Component], *, chroma: bool) -> bool:
    """Find the steps of components that share them, by the blocks that are known; False where these are too few."""
    steps = find_steps([part.planes for part in alike], chroma=chroma)
    for part in alike:
        part.steps = part.steps if steps is None else steps
    return steps is not None
