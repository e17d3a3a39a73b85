"""Chunks of arrays as `.dz` files, for the libraries that keep arrays in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import compress, decompress
from ..codec.images.sheets import check_kind

__all__ = ["check_chunks", "decode_chunk", "encode_chunk"]


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what is in a chunk: [H, W] or [H, W, C] where it is an image after axes of length 1."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def check_chunks(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse chunks that cannot be coded.

    Raises:
        UnsupportedImageError: they have fewer than two dimensions, or numbers of a kind that is not coded.
    """
    check_kind(shape, dtype)


def encode_chunk(chunk: npt.NDArray[Any], effort: int, threads: int) -> bytes:
    """The `.dz` file of a chunk.

    Raises:
        UnsupportedImageError: see `check_chunks`.
    """
    check_chunks(chunk.shape, chunk.dtype)
    return compress(chunk.reshape(image_shape(chunk.shape)), effort=effort, threads=threads)


def decode_chunk(packed: bytes, threads: int) -> npt.NDArray[Any]:
    """The array in the `.dz` file of a chunk, without axes of length 1 before it.

    Raises:
        FormatError: damaged.
    """
    return np.ascontiguousarray(decompress(packed, threads=threads))
