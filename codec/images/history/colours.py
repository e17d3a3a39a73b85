"""Searches of the encoder among colours, in colours.kernels.c: for luma and chroma that give pixels."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...native import kernel
from .decoder import Bytes, Canvas, address_of

__all__ = ["lacks", "luma_range", "on_lattice"]


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return {
        "luma": kernel("dz_history_luma", None, *(pointer,) * 3, number, pointer, pointer),
        "lattice": kernel("dz_history_lattice", None, pointer, number, *(pointer,) * 4),
        "lacks": kernel(
            "dz_history_lacks", None, *(pointer,) * 3, number, *(pointer,) * 2, *(number,) * 5, *(pointer,) * 3
        ),
    }


def luma_range(rgb: Bytes, blue: Bytes, red: Bytes) -> tuple[Bytes, Bytes]:
    """The lowest and the highest luma [h, w] that give pixels [h, w, 3] with their chroma; 255, 0 where none does."""
    low, high = np.empty(blue.shape, np.uint8), np.empty(blue.shape, np.uint8)
    if not (rgb.shape == (*blue.shape, 3) and blue.shape == red.shape):
        raise ValueError(f"planes of {rgb.shape}, {blue.shape}, {red.shape}")
    _functions()["luma"](
        address_of(rgb), address_of(blue), address_of(red), blue.size, low.ctypes.data, high.ctypes.data
    )
    return low, high


def on_lattice(rgb: Bytes) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Luma and chroma of pixels [h, w, 3], and whether they are sure, [h, w] each.

    Of the last, 1: they are known. 0: a channel ends at 0 or 255, and the three are a guess. 2: the pixel is nowhere
    on the lattice of colours that such integers give.
    """
    planes = [np.empty(rgb.shape[:2], np.uint8) for _ in range(4)]
    _functions()["lattice"](address_of(rgb), planes[0].size, *(plane.ctypes.data for plane in planes))
    return planes[0], planes[1], planes[2], planes[3]


def lacks(
    pixels: Bytes, known: Bytes, luma: Bytes, chroma: tuple[Bytes, Bytes], canvas: Canvas, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """By how much samples of both chromas have to be moved so that pixels that reach an end of a channel are right.

    Args:
        pixels: [h, w, 3].
        known: of each pixel, as of `on_lattice`; what is 0 is looked at.
        luma: [h or more, w or more].
        chroma: of each pixel, [h, w] each.
        canvas: which ends with the pixels, and says how coarse chroma is.
        shape: of the planes that are returned, at least what the canvas has of chroma.

    Returns:
        Two planes.
    """
    height, width, _ = pixels.shape
    rows, columns = canvas.coarse()
    fit = luma.shape[0] >= height and luma.shape[1] >= width and (canvas.height, canvas.width) == (height, width)
    if not fit or any(plane.shape != (height, width) for plane in (known, *chroma)):
        raise ValueError(f"{pixels.shape} pixels with luma of {luma.shape} on {canvas}")
    if shape[0] < rows or shape[1] < columns:
        raise ValueError(f"{shape} for {rows} rows and {columns} columns")
    sums = np.zeros((3, *shape), np.float32)
    _functions()["lacks"](
        *(address_of(array) for array in (pixels, known, luma)),
        luma.shape[1],
        *(address_of(plane) for plane in chroma),
        height,
        width,
        canvas.down - 1,
        canvas.across - 1,
        shape[1],
        *(address_of(plane) for plane in sums),
    )
    means: NDArray[np.float32] = sums[:2] / np.maximum(sums[2], 1)
    return means
