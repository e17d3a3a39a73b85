"""Chunks of arrays as `.dz` files, for the libraries that keep arrays in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import UnsupportedImageError, compress, decompress

__all__ = ["check_chunks", "decode_chunk", "encode_chunk"]

MOST_CHANNELS = 4


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape [H, W] or [H, W, C] of the image in a chunk, which may have axes of length 1 before it.

    Raises:
        UnsupportedImageError: it is no image.
    """
    if len(shape) >= 3 and shape[-1] <= MOST_CHANNELS and all(axis == 1 for axis in shape[:-3]):
        return shape[-3:]
    if len(shape) >= 2 and all(axis == 1 for axis in shape[:-2]):
        return shape[-2:]
    raise UnsupportedImageError(
        f"chunks of shape {list(shape)}: densezip takes images [H, W] or [H, W, C], C at most {MOST_CHANNELS}, "
        "and axes of length 1 before them"
    )


def check_chunks(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse chunks that cannot be coded.

    Raises:
        UnsupportedImageError: they are no images, or their samples are neither uint8 nor uint16.
    """
    if dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise UnsupportedImageError(f"chunks of {dtype}: densezip takes uint8 and uint16")
    image_shape(shape)


def encode_chunk(chunk: npt.NDArray[Any], effort: int, threads: int) -> bytes:
    """The `.dz` file of a chunk.

    Raises:
        UnsupportedImageError: see `check_chunks`.
    """
    check_chunks(chunk.shape, chunk.dtype)
    return compress(chunk.reshape(image_shape(chunk.shape)), effort=effort, threads=threads)


def decode_chunk(packed: bytes, threads: int) -> npt.NDArray[Any]:
    """The image [H, W] or [H, W, C] in the `.dz` file of a chunk.

    Raises:
        FormatError: damaged.
    """
    return np.ascontiguousarray(decompress(packed, threads=threads))
