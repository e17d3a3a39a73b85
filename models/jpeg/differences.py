"""Planes of differences that are nearly all zero, as bytes and back: corrections of what a decoder makes."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy import rangecoder
from ...codec.errors import CorruptPayloadError
from ...codec.native import kernel

__all__ = ["Differences"]

# Those of differences.kernels.c.
SIDE = 8
COUNTERS = 16 + 16 * 3 * 4 + 16 * 3 + 3 * 9 + 9 * 9
EVEN = 1 << 31
# Bytes that a sample takes at most: bits for zero and its sign, seven for its size, seven below, three bytes each.
SAMPLE_BYTES = 48


@lru_cache(maxsize=1)
def _function() -> Any:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return kernel(
        "dz_history_differences",
        None,
        *(pointer, pointer, number, number, number),
        *(pointer,) * 5,
        ctypes.c_uint64,
    )


class Differences:
    """What codes planes, one after the other.

    Args:
        data: None for the encoder; else the bytes to decode.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self.coder = rangecoder.new_state()
        self.decoding = data is not None
        self.data = np.frombuffer(data or b"", np.uint8)
        self.out = np.zeros(0, np.uint8)
        if self.decoding:
            rangecoder.start_decoding(self.coder, self.data)

    def code(self, plane: NDArray[np.int16], classes: NDArray[np.uint8]) -> None:
        """Code a plane, or for the decoder fill it.

        Args:
            plane: from -255 to 255, [h, w].
            classes: of each sample what is known beforehand, 0 to 15, likewise.

        Raises:
            CorruptPayloadError: the decoder has come past the end of its bytes.
        """
        if plane.shape != classes.shape or not (plane.flags.c_contiguous and classes.flags.c_contiguous):
            raise ValueError(f"differences {plane.shape} of classes {classes.shape}")
        if plane.dtype != np.int16 or classes.dtype != np.uint8:
            raise ValueError(f"differences {plane.dtype} of classes {classes.dtype}")
        height, width = plane.shape
        marks = np.zeros(2 + width // SIDE, np.uint8)
        counters = np.full(COUNTERS, EVEN, np.uint32)
        for top in range(0, height, SIDE):
            used = int(self.coder[rangecoder.POSITION])
            if self.decoding:
                if used > self.data.size + rangecoder.READ_AHEAD:
                    raise CorruptPayloadError(f"differences that go on behind their {self.data.size} bytes")
            elif self.out.size < used + SAMPLE_BYTES * SIDE * width + rangecoder.FLUSH_BYTES:
                self.out = np.concatenate(
                    [self.out, np.zeros(self.out.size + 2 * SAMPLE_BYTES * SIDE * width, np.uint8)]
                )
            _function()(
                plane.ctypes.data,
                classes.ctypes.data,
                width,
                top,
                min(top + SIDE, height),
                marks.ctypes.data,
                counters.ctypes.data,
                self.coder.ctypes.data,
                None if self.decoding else self.out.ctypes.data,
                self.data.ctypes.data,
                self.data.size,
            )

    def finish(self) -> bytes:
        """The bytes of all planes.

        Raises:
            CorruptPayloadError: the decoder has not come to the end of its bytes, or past it.
        """
        used = int(self.coder[rangecoder.POSITION])
        if self.decoding:
            if not self.data.size <= used <= self.data.size + rangecoder.READ_AHEAD:
                raise CorruptPayloadError(f"differences of {used} bytes in {self.data.size}")
            return self.data.tobytes()
        if self.out.size < used + rangecoder.FLUSH_BYTES:
            self.out = np.concatenate([self.out, np.zeros(rangecoder.FLUSH_BYTES, np.uint8)])
        return self.out[: rangecoder.finish(self.coder, self.out)].tobytes()
