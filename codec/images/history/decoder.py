"""The exact decoder: coefficients to samples, samples to pixels, as libjpeg-turbo computes them by default.

The arithmetic is that of integers, in decode.kernels.c; FORMAT.md describes it.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...native import kernel

__all__ = ["Bytes", "Canvas", "address_of", "samples_of", "to_rgb", "upsample"]

Bytes = NDArray[np.uint8]

BLOCK = 8


class Canvas(NamedTuple):
    """The picture that a JPEG file held, of which ours is a part.

    Attributes:
        height: in pixels.
        width: in pixels.
        top: rows above ours.
        left: columns to the left of ours.
        across: 2 where chroma has half the columns, else 1.
        down: 2 where chroma has half the rows, else 1.
    """

    height: int
    width: int
    top: int
    left: int
    across: int
    down: int

    def coarse(self) -> tuple[int, int]:
        """Rows and columns of chroma samples."""
        return -(-self.height // self.down), -(-self.width // self.across)


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return {
        "samples": kernel("dz_history_samples", None, pointer, pointer, *(number,) * 3, pointer, pointer),
        "upsample": kernel("dz_history_upsample", None, pointer, *(number,) * 5, pointer, number, number),
        "colours": kernel("dz_history_colours", None, *(pointer,) * 3, number, pointer),
    }


def address_of(array: NDArray[Any]) -> int:
    """Where an array begins; raises ValueError for one with gaps."""
    if not array.flags.c_contiguous:
        raise ValueError("an array with gaps")
    return int(array.ctypes.data)


def samples_of(plane: NDArray[np.int16], steps: NDArray[np.int32]) -> tuple[Bytes, Bytes]:
    """Samples of a component, and of each the sixteenths by which it was rounded down from half a unit more.

    Args:
        plane: coefficients [rows, columns, 64], of a block in rows.
        steps: of quantization, in rows [64].

    Returns:
        Two arrays [8 * rows, 8 * columns].
    """
    rows, columns, _ = plane.shape
    samples = np.empty((BLOCK * rows, BLOCK * columns), np.uint8)
    fraction = np.empty_like(samples)
    steps = np.ascontiguousarray(steps, np.int32)
    if plane.dtype != np.int16 or plane.shape[2:] != (64,) or steps.shape != (64,):
        raise ValueError(f"coefficients {plane.dtype} {plane.shape} and steps {steps.shape}")
    _functions()["samples"](
        address_of(plane), address_of(steps), columns, 0, rows, samples.ctypes.data, fraction.ctypes.data
    )
    return samples, fraction


def upsample(coarse: Bytes, canvas: Canvas) -> Bytes:
    """Chroma of every pixel of a canvas [height, width], of samples that begin where it does [rows or more, ...]."""
    rows, columns = canvas.coarse()
    if coarse.shape[0] < rows or coarse.shape[1] < columns:
        raise ValueError(f"{coarse.shape} samples for a canvas of {canvas}")
    fine = np.empty((canvas.height, canvas.width), np.uint8)
    _functions()["upsample"](
        address_of(coarse),
        coarse.shape[1],
        columns,
        rows,
        canvas.across - 1,
        canvas.down - 1,
        fine.ctypes.data,
        canvas.width,
        canvas.height,
    )
    return fine


def to_rgb(luma: Bytes, blue: Bytes, red: Bytes) -> Bytes:
    """Pixels [h, w, 3] of luma and the two chromas [h, w]."""
    rgb = np.empty((*luma.shape, 3), np.uint8)
    if not luma.shape == blue.shape == red.shape:
        raise ValueError(f"planes of {luma.shape}, {blue.shape}, {red.shape}")
    _functions()["colours"](address_of(luma), address_of(blue), address_of(red), luma.size, rgb.ctypes.data)
    return rgb
