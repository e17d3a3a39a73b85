"""Searches of the encoder, in fit.kernels.c and chroma.kernels.c: the exact decoder checks whatever they find."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...native import kernel
from .decoder import BLOCK, Bytes, Canvas

__all__ = ["Planes", "coarsen", "descend", "mend", "round_off", "shift"]

Floats = NDArray[np.float32]

ROUNDS = 6
"""Of the descent, and of rounding again, at most."""


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return {
        "round": kernel("dz_history_round", None, *(pointer,) * 3, number, number, pointer, number, pointer, pointer),
        "shift": kernel("dz_history_shift", None, *(pointer,) * 3, number, number, *(pointer,) * 3),
        "mend": kernel("dz_history_mend", None, pointer, pointer, number, number, *(pointer,) * 3, number),
        "down": kernel("dz_history_solve_down", None, pointer, number, number, *(pointer,) * 4),
        "along": kernel("dz_history_solve_along", None, pointer, number, number, *(pointer,) * 4),
        "descend": kernel(
            "dz_history_descend", None, pointer, *(number,) * 4, pointer, pointer, *(number,) * 5, pointer, pointer
        ),
    }


class Planes:
    """Bounds of the samples of whole blocks, and coefficients of these.

    Attributes:
        least: of each sample, [8 * rows, 8 * columns]; 0 is open, for the decoder makes that of all that is less.
        most: likewise; 255 is open.
        blocks: coefficients [rows * columns, 64].
        out: the squares by which samples of each block are out of bounds [rows * columns].
    """

    def __init__(self, least: Bytes, most: Bytes) -> None:
        self.rows, self.columns = least.shape[0] // BLOCK, least.shape[1] // BLOCK
        self.blocks = np.zeros((self.rows * self.columns, 64), np.int16)
        self.out = np.zeros(len(self.blocks), np.float32)
        self.bound(least, most)

    def bound(self, least: Bytes, most: Bytes) -> None:
        """Set the bounds."""
        for plane in (least, most):
            if plane.dtype != np.uint8 or not plane.flags.c_contiguous or plane.shape != self.shape:
                raise ValueError(f"bounds {plane.dtype} {plane.shape}, not {self.shape}")
        self.least, self.most = least, most

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of samples."""
        return BLOCK * self.rows, BLOCK * self.columns


def _steps(steps: NDArray[np.int32]) -> NDArray[np.int32]:
    if steps.shape != (64,):
        raise ValueError(f"steps {steps.shape}")
    return np.ascontiguousarray(steps, np.int32)


def round_off(planes: Planes, guess: Bytes, steps: NDArray[np.int32]) -> None:
    """Find the coefficients by rounding those of a guess; where samples are open, again from what that gives.

    Args:
        planes: whose coefficients are replaced.
        guess: at the samples, of the same shape.
        steps: of quantization, in rows [64].
    """
    if guess.dtype != np.uint8 or guess.shape != planes.shape or not guess.flags.c_contiguous:
        raise ValueError(f"a guess {guess.dtype} {guess.shape} within {planes.shape}")
    steps = _steps(steps)
    _functions()["round"](
        *(plane.ctypes.data for plane in (planes.least, planes.most, guess)),
        planes.rows,
        planes.columns,
        steps.ctypes.data,
        ROUNDS,
        planes.blocks.ctypes.data,
        planes.out.ctypes.data,
    )


def shift(planes: Planes, change: Floats, steps: NDArray[np.int32]) -> None:
    """Move samples by a change [8 * rows, 8 * columns] from what the coefficients give, within bounds, and round."""
    if change.dtype != np.float32 or change.shape != planes.shape or not change.flags.c_contiguous:
        raise ValueError(f"a change {change.dtype} {change.shape} of {planes.shape}")
    steps = _steps(steps)
    _functions()["shift"](
        *(plane.ctypes.data for plane in (planes.least, planes.most, change)),
        planes.rows,
        planes.columns,
        steps.ctypes.data,
        planes.blocks.ctypes.data,
        planes.out.ctypes.data,
    )


def mend(planes: Planes, steps: NDArray[np.int32], tries: int) -> None:
    """Look for coefficients whose samples lie within bounds, from those that there are, where they do not yet.

    Args:
        planes: whose coefficients are moved.
        steps: of quantization, in rows [64].
        tries: moves of one coefficient that are tried for each block. Each takes some 0.3 microseconds.
    """
    steps = _steps(steps)
    _functions()["mend"](
        planes.least.ctypes.data,
        planes.most.ctypes.data,
        planes.rows,
        planes.columns,
        steps.ctypes.data,
        planes.blocks.ctypes.data,
        planes.out.ctypes.data,
        tries,
    )


def coarsen(fine: Bytes, known: Bytes, canvas: Canvas, rounds: int = ROUNDS, *, pairs: bool = True) -> Bytes:
    """Coarse chroma samples that give the fine ones where these are known, or nearly.

    The least squares of the triangle filter, rounded, then a descent.

    Args:
        fine: [height, width] of the canvas.
        known: 1 where they are, likewise.
        canvas: says how coarse.
        rounds: of the descent, at most.
        pairs: as of `descend`.
    """
    solved = fine.astype(np.float32)
    if canvas.across == 2:
        solved = _solved(solved, "along")
    if canvas.down == 2:
        solved = _solved(solved, "down")
    coarse = np.clip(np.rint(solved), 0, 255).astype(np.uint8)
    return descend(coarse, fine, known, canvas, rounds, pairs=pairs, ties=True)


def descend(
    coarse: Bytes,
    fine: Bytes,
    known: Bytes,
    canvas: Canvas,
    rounds: int = ROUNDS,
    *,
    pairs: bool = True,
    ties: bool = False,
) -> Bytes:
    """Move coarse chroma samples while that brings the fine ones nearer, where these are known.

    Args:
        coarse: to begin with. [rows, columns]
        fine: [height, width] of the canvas.
        known: 1 where they are, likewise.
        canvas: says how coarse.
        rounds: of the descent, at most.
        pairs: move two at once where one does not help.
        ties: move one where that makes no difference, if nothing helps: from there others may get nearer.
    """
    rows, columns = canvas.coarse()
    if coarse.shape != (rows, columns) or fine.shape != known.shape or fine.shape != (canvas.height, canvas.width):
        raise ValueError(f"{coarse.shape} of {fine.shape} and {known.shape} for {canvas}")
    if canvas.across * canvas.down == 1:
        return np.where(known == 1, fine, coarse)
    if canvas.across == 2 and columns < 3:
        return np.ascontiguousarray(fine[:: canvas.down, ::2])
    coarse, fine, known = np.array(coarse, order="C"), np.ascontiguousarray(fine), np.ascontiguousarray(known)
    space = np.zeros((3, canvas.height + 3, canvas.width + 3), np.int16)
    fresh = np.empty_like(coarse)
    _functions()["descend"](
        coarse.ctypes.data,
        columns,
        rows,
        canvas.across - 1,
        canvas.down - 1,
        fine.ctypes.data,
        known.ctypes.data,
        canvas.width,
        canvas.height,
        rounds,
        int(pairs),
        int(ties),
        space.ctypes.data,
        fresh.ctypes.data,
    )
    return coarse


def _solved(fine: Floats, direction: str) -> Floats:
    """Least squares of the filter down the columns or along the rows.

    Of the fine samples 2i and 2i + 1 have 3/4 of the coarse sample i and 1/4 of one beside it.

    Source: the normal equations are tridiagonal; elimination by Thomas.
    """
    down = direction == "down"
    factor, inverse, beside = _elimination(fine.shape[0 if down else 1])
    coarse = np.empty((len(factor), fine.shape[1]) if down else (fine.shape[0], len(factor)), np.float32)
    _functions()[direction](
        fine.ctypes.data,
        *fine.shape,
        *(each.ctypes.data for each in (factor, inverse, beside)),
        coarse.ctypes.data,
    )
    return coarse


def _elimination(high: int) -> tuple[Floats, Floats, Floats]:
    """Of the normal equations of so many fine samples: factors, the inverse diagonal, and the entries beside it."""
    rows = -(-high // 2)
    index = np.arange(high)
    near, far = index // 2, np.clip(index // 2 + np.where(index % 2 == 0, -1, 1), 0, rows - 1)
    same = near == far
    diagonal = np.bincount(near, np.where(same, 1.0, 0.5625), rows) + np.bincount(far, np.where(same, 0, 0.0625), rows)
    beside = np.bincount(np.minimum(near, far)[~same], np.full((~same).sum(), 0.1875), rows)
    pivots, factors = diagonal.tolist(), [0.0] * rows
    for i in range(1, rows):
        factors[i] = beside[i - 1] / pivots[i - 1]
        pivots[i] -= factors[i] * beside[i - 1]
    return np.array(factors, np.float32), (1 / np.array(pivots)).astype(np.float32), beside.astype(np.float32)
