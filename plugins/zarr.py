"""zarr of format 3: a codec named `densezip`, which zarr finds by itself.

>>> import zarr
>>> from densezip.plugins.zarr import DensezipCodec
>>> zarr.create_array("scan.zarr", shape=(4096, 4096, 3), chunks=(1024, 1024, 3), dtype="uint8",
...                   serializer=DensezipCodec(effort=5), compressors=None)

A chunk is one image, as for `densezip.plugins.numcodecs`, which serves zarr's format 2. It stands in the place of the
serializer, since it needs the shape of the chunk; no compressor belongs behind it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.registry import register_codec

from .. import UnsupportedImageError
from .chunks import check_chunks, decode_chunk, encode_chunk

__all__ = ["DensezipCodec"]

NAME = "densezip"


@dataclass(frozen=True)
class DensezipCodec(ArrayBytesCodec):
    """Chunks of images as `.dz` files.

    Args:
        effort: 1 (fast), 5 or 9 (small).
        threads: number of tiles of a chunk coded at once; zarr codes several chunks side by side.
    """

    is_fixed_size = False

    effort: int = 5
    threads: int = 1

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """From the JSON of an array's metadata."""
        if data.get("name") != NAME:
            raise ValueError(f"a codec named {data.get('name')!r} where {NAME!r} is expected")
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """For the JSON of an array's metadata."""
        return {"name": NAME, "configuration": {"effort": self.effort, "threads": self.threads}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array whose chunks cannot be coded, when it is made.

        Raises:
            ValueError: they have fewer than two dimensions, or numbers of a kind that is not coded.
        """
        try:
            check_chunks(tuple(getattr(chunk_grid, "chunk_shape", shape)), dtype.to_native_dtype())
        except UnsupportedImageError as error:
            raise ValueError(str(error)) from error

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before the work."""
        raise NotImplementedError

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        chunk = np.asarray(chunk_data.as_numpy_array())
        packed = await asyncio.to_thread(encode_chunk, chunk, self.effort, self.threads)
        return chunk_spec.prototype.buffer.from_bytes(packed)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        pixels = await asyncio.to_thread(decode_chunk, chunk_data.to_bytes(), self.threads)
        wanted: Any = chunk_spec.dtype.to_native_dtype()
        chunk: Any = pixels.astype(wanted, copy=False).reshape(chunk_spec.shape)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(chunk)


register_codec(NAME, DensezipCodec)
