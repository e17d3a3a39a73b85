"""numcodecs, and so zarr of format 2: a codec named `densezip`, which numcodecs finds by itself.

>>> import zarr
>>> from densezip.plugins.numcodecs import Densezip
>>> zarr.create_array("scan.zarr", shape=(4096, 4096, 3), chunks=(1024, 1024, 3), dtype="uint8",
...                   zarr_format=2, filters=None, compressors=Densezip(effort=5))

A chunk is one image: uint8 or uint16, [H, W] or [H, W, C] with at most four channels, or such with further axes of
length 1 before it. Chunks of other shapes and types are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray_like, ndarray_copy
from numcodecs.registry import register_codec

from .. import UnsupportedImageError
from .chunks import decode_chunk, encode_chunk

__all__ = ["Densezip"]


class Densezip(Codec):  # type: ignore[misc]
    """Chunks of images as `.dz` files.

    Args:
        effort: 1 (fast), 5 or 9 (small).
        threads: number of tiles of a chunk coded at once; chunks are coded side by side by whoever calls.
    """

    codec_id = "densezip"

    def __init__(self, effort: int = 5, threads: int = 1) -> None:
        self.effort, self.threads = effort, threads

    def encode(self, buf: Any) -> bytes:
        """The bytes of a chunk.

        Raises:
            UnsupportedImageError: see `check_chunks`; or the numbers are in the other order of bytes, which `decode`
                could not give back, for it is not told the type.
        """
        chunk = np.asarray(buf)
        if not chunk.dtype.isnative:
            raise UnsupportedImageError(
                f"chunks of {chunk.dtype.str}: make an array of {chunk.dtype.newbyteorder().str}"
            )
        return encode_chunk(chunk, self.effort, self.threads)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The chunk, into `out` where that is given."""
        pixels: npt.NDArray[Any] = decode_chunk(ensure_bytes(buf), self.threads)
        return pixels if out is None else ndarray_copy(pixels, ensure_contiguous_ndarray_like(out))


register_codec(Densezip)
