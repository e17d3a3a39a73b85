"""Alphabets of samples: which values occur at all, as tiles list them."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ..codec.errors import CorruptPayloadError

__all__ = ["listed_values"]


def listed_values(bitmap: bytes, channels: int, depth: int) -> list[NDArray[np.int64]]:
    """The values that each channel takes, from a compressed bitmap with a bit for each value of the depth.

    Raises:
        CorruptPayloadError: it does not inflate to just that, or leaves a channel without any value.
    """
    size = (1 << depth) // 8
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(bitmap, channels * size + 1)
    except zlib.error as error:
        raise CorruptPayloadError(f"the list of used values is damaged: {error}") from error
    if len(raw) != channels * size or not unpacker.eof or unpacker.unused_data:
        raise CorruptPayloadError(f"the list of used values does not inflate to just {channels * size} bytes")
    mask = np.unpackbits(np.frombuffer(raw, np.uint8)).reshape(channels, 8 * size)
    values = [np.flatnonzero(row) for row in mask]
    if min(v.size for v in values) == 0:
        raise CorruptPayloadError("a channel without any value")
    return values
