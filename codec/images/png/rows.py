"""The rows of a PNG file: samples packed to bytes, the passes of interlacing, and the filters.

Source: PNG, third edition, W3C, sections 7 (packing), 8 (Adam7) and 9 (filters).
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..modes import CHANNELS

__all__ = ["ADAM7", "Array", "Bytes", "bytes_of_row", "filter_rows", "filter_step", "pack_rows", "passes"]

Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Bytes: TypeAlias = npt.NDArray[np.uint8]

# The first row, the first column, and the steps of both, of each pass.
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def passes(pixels: Array, *, interlaced: bool) -> Iterator[Array]:
    """The pictures [h, w, C] that are coded one after the other: the whole, or those passes that are not empty."""
    if not interlaced:
        yield pixels
        return
    for top, left, down, right in ADAM7:
        part = pixels[top::down, left::right]
        if part.size:
            yield part


def filter_step(mode: str, bits: int) -> int:
    """The distance in bytes to the sample that filters call left."""
    return max(1, CHANNELS[mode] * bits // 8)


def bytes_of_row(width: int, mode: str, bits: int) -> int:
    """The bytes of a packed row."""
    return -(-width * CHANNELS[mode] * bits // 8)


def pack_rows(pixels: Array, mode: str, bits: int) -> Bytes:
    """Rows of samples as PNG packs them: [H, bytes of a row]."""
    height, width = pixels.shape[:2]
    if bits == 16:
        return pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    samples = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, -1)
    if bits == 8:
        return samples
    if mode == "L":
        samples = samples // np.uint8(255 // (2**bits - 1))
    per_byte = 8 // bits
    padded = np.zeros((height, -(-width // per_byte) * per_byte), np.uint8)
    padded[:, :width] = samples
    groups = padded.reshape(height, -1, per_byte)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    packed: Bytes = np.bitwise_or.reduce(groups << shifts, axis=2).astype(np.uint8)
    return packed


def filter_rows(rows: Bytes, above: Bytes, step: int, *, adaptive: bool) -> Bytes:
    """Prefix each row with its filter type; adaptive: the filter with the least sum of absolute values."""
    height, width = rows.shape
    out = np.zeros((height, 1 + width), np.uint8)
    if not adaptive:
        out[:, 1:] = rows
        return out
    up = np.concatenate([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    corner = np.zeros_like(rows)
    corner[:, step:] = up[:, :-step]
    best = np.full(height, np.iinfo(np.int64).max)
    for kind in range(5):
        filtered = rows - _prediction(kind, left, up, corner)
        cost = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        better = cost < best
        best[better] = cost[better]
        out[better, 0] = kind
        out[better, 1:] = filtered[better]
    return out


def _prediction(kind: int, left: Bytes, up: Bytes, corner: Bytes) -> Bytes:
    if kind == 0:
        return np.zeros_like(left)
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth: Bytes = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
    return paeth
