"""Searches of the encoder, in search.kernels.c: whatever they find is checked by the exact decoder."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...native import kernel
from .decoder import BLOCK, Bytes, Canvas

__all__ = ["BASIS", "coarsen", "descend", "mend", "to_frequencies", "to_samples"]

Floats = NDArray[np.float32]

ROUNDS = 6
"""Of the descent, at most."""


def _cosines() -> Floats:
    """The transform of 8 samples, [frequency, sample]; orthonormal."""
    frequency, at = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    waves = np.cos((2 * at + 1) * frequency * np.pi / 16) / 2
    waves[0] = np.sqrt(1 / 8)
    return waves.astype(np.float32)


COSINES = _cosines()
BASIS = np.ascontiguousarray(np.einsum("uy,vx->uvyx", COSINES, COSINES).reshape(64, 64))
"""What one unit of each coefficient adds to the samples, [coefficient, sample]."""


def to_frequencies(blocks: Floats) -> Floats:
    """Samples of blocks [n, 64], less 128, to coefficients before quantization."""
    found: Floats = (blocks - np.float32(128)) @ BASIS.T
    return found


def to_samples(coefficients: Floats) -> Floats:
    """Inverse, as real numbers."""
    found: Floats = coefficients @ BASIS + np.float32(128)
    return found


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return {
        "descend": kernel(
            "dz_history_descend", number, pointer, *(number,) * 4, pointer, pointer, number, number, number
        ),
        "mend": kernel("dz_history_mend", None, pointer, number, *(pointer,) * 4, number, pointer),
    }


def mend(plane: NDArray[np.int16], steps: NDArray[np.int32], low: Floats, high: Floats, tries: int) -> Floats:
    """Look for coefficients whose samples lie within bounds, from given ones on, which are replaced.

    Args:
        plane: coefficients of blocks [n, 64].
        steps: of quantization [64].
        low: bounds of samples [n, 64].
        high: likewise.
        tries: moves of one coefficient that are tried for each block. Each takes some 3 microseconds.

    Returns:
        The squares by which samples are out of bounds, of each block [n].
    """
    count = len(plane)
    if not plane.shape == low.shape == high.shape == (count, 64) or plane.dtype != np.int16 or steps.shape != (64,):
        raise ValueError(f"{plane.dtype} {plane.shape} within {low.shape}, {high.shape}")
    left = np.zeros(count, np.float32)
    bounds = [np.ascontiguousarray(bound, np.float32) for bound in (low, high)]
    known = np.ascontiguousarray(steps, np.int32)
    if not plane.flags.c_contiguous:
        raise ValueError("blocks with gaps")
    _functions()["mend"](
        plane.ctypes.data,
        count,
        known.ctypes.data,
        BASIS.ctypes.data,
        *(bound.ctypes.data for bound in bounds),
        tries,
        left.ctypes.data,
    )
    return left


def coarsen(fine: Bytes, known: Bytes, canvas: Canvas, rounds: int = ROUNDS) -> Bytes:
    """Coarse chroma samples that give the fine ones where these are known, or nearly.

    The least squares of the triangle filter, rounded, then a descent.

    Args:
        fine: [height, width] of the canvas.
        known: 1 where they are, likewise.
        canvas: says how coarse.
        rounds: of the descent, at most.
    """
    solved = fine.astype(np.float32)
    if canvas.across == 2:
        solved = _solved(solved.T).T
    if canvas.down == 2:
        solved = _solved(solved)
    coarse = np.ascontiguousarray(np.clip(np.rint(solved), 0, 255).astype(np.uint8))
    return descend(coarse, fine, known, canvas, rounds)


def descend(coarse: Bytes, fine: Bytes, known: Bytes, canvas: Canvas, rounds: int = ROUNDS) -> Bytes:
    """Move coarse chroma samples one by one while that brings the fine ones nearer, where these are known.

    Args:
        coarse: to begin with; it is changed. [rows, columns]
        fine: [height, width] of the canvas.
        known: 1 where they are, likewise.
        canvas: says how coarse.
        rounds: of the descent, at most.
    """
    rows, columns = canvas.coarse()
    if coarse.shape != (rows, columns) or fine.shape != known.shape or fine.shape != (canvas.height, canvas.width):
        raise ValueError(f"{coarse.shape} of {fine.shape} and {known.shape} for {canvas}")
    if canvas.across * canvas.down == 1:
        return np.where(known == 1, fine, coarse)
    if canvas.across == 2 and columns < 3:
        return np.ascontiguousarray(fine[:: canvas.down, ::2])
    coarse, fine, known = np.ascontiguousarray(coarse), np.ascontiguousarray(fine), np.ascontiguousarray(known)
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
    )
    return coarse


def _solved(fine: Floats) -> Floats:
    """Least squares of the filter along the first axis: 2i and 2i + 1 have 3/4 of i and 1/4 of its neighbour.

    Source: the normal equations are tridiagonal; elimination by Thomas.
    """
    high = fine.shape[0]
    rows = -(-high // 2)
    index = np.arange(high)
    near, far = index // 2, index // 2 + np.where(index % 2 == 0, -1, 1)
    far = np.clip(far, 0, rows - 1)
    same = near == far
    diagonal = np.bincount(near, np.where(same, 1.0, 0.5625), rows) + np.bincount(far, np.where(same, 0, 0.0625), rows)
    beside = np.bincount(np.minimum(near, far)[~same], np.full((~same).sum(), 0.1875), rows)
    right = np.zeros((rows, fine.shape[1]), np.float32)
    np.add.at(right, near, fine * np.where(same, 1, 0.75).astype(np.float32)[:, None])
    np.add.at(right, far[~same], fine[~same] * np.float32(0.25))
    for i in range(1, rows):
        factor = beside[i - 1] / diagonal[i - 1]
        diagonal[i] -= factor * beside[i - 1]
        right[i] -= np.float32(factor) * right[i - 1]
    right[-1] /= np.float32(diagonal[-1])
    for i in range(rows - 2, -1, -1):
        right[i] = (right[i] - np.float32(beside[i]) * right[i + 1]) / np.float32(diagonal[i])
    return right
