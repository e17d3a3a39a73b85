"""The compiled model of JPEG coefficients, seen from Python: memory, sizes and calls. The work is in the C files.

A `Session` codes the parts of one segment, one after the other, with counters and weights that it keeps between them.
Calls release the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import math
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codec.entropy import rangecoder
from ...codec.errors import CorruptPayloadError
from ...codec.native import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...codec.images.jpeg.frame import Frame, Rows
    from ...codec.images.jpeg.scans import Planes

__all__ = ["REGRESSED", "SCALED", "ZIGZAG", "Session", "in_rows", "pack_weights", "read_weights"]

# As in engine.h, where these are explained.
NODES, GROUPS, SETS, SCALES, KNOTS, TAIL = 16, 6, 3, 48, 25, 64
REGRESSED, SCALED = 40, 56
SELECTIONS = (201, 624, 534)
CORRECTIONS = (201, 1200)
SEEN_BYTES = 4 * 150 + 128
LIMIT = 255
ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
)  # fmt: skip
WEIGHT_UNIT = 64
"""Weights to begin with are multiples of the inverse."""

ROOM = 2**16
BAND = 2**12
"""Blocks between two looks at the progress."""

PACE, SECOND_PACE = 0.012, 0.003
"""How fast weights learn."""

FIRST_WEIGHT = 0.3


class _Engine(ctypes.Structure):
    """`Engine` of engine.h, member for member."""

    _fields_ = (
        ("plane", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("columns", "first", "last", "next", "component")),
        ("luma", ctypes.c_void_p),
        *(
            (name, ctypes.c_int64)
            for name in ("luma_columns", "luma_rows", "luma_across", "luma_down", "across", "down")
        ),
        ("chroma", ctypes.c_void_p),
        ("step", ctypes.c_void_p),
        ("inputs", ctypes.c_int64),
        ("pace", ctypes.c_float),
        ("second_pace", ctypes.c_float),
        ("lines", ctypes.c_int64),
        ("counter", ctypes.c_void_p),
        ("weight", ctypes.c_void_p * SETS),
        ("second", ctypes.c_void_p),
        ("correction", ctypes.c_void_p * 2),
        *((name, ctypes.c_void_p) for name in ("tail", "stretch", "squash", "trust", "basis", "rate")),
        ("limit", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("taps", "seen", "coder", "out")),
        ("capacity", ctypes.c_uint64),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_uint64),
    )


@lru_cache(maxsize=1)
def _function() -> Any:
    return kernel("dz_jpeg_code", None, ctypes.c_void_p)


def _coarse(x: float, bits: int) -> float:
    """Rounded, so that no library's functions can make a difference."""
    scale = float(2**bits)
    return round(x * scale) / scale


@lru_cache(maxsize=1)
def tables() -> dict[str, NDArray[Any]]:
    """The functions that the engine looks up."""
    basis = [
        [_coarse(math.sqrt(1 / 8) if u == 0 else math.cos((2 * x + 1) * u * math.pi / 16) / 2, 20) for x in range(8)]
        for u in range(8)
    ]
    outside = [1.5 * row[0] - 0.5 * row[1] for row in basis]
    return {
        "stretch": np.array([_coarse(math.log((2 * i + 1) / (8191 - 2 * i)), 12) for i in range(4096)], np.float32),
        "squash": np.array([_coarse(1 / (1 + math.exp(12 - (i + 0.5) / 64)), 24) for i in range(1536)], np.float32),
        "trust": np.array([_coarse(n / (n + 0.7), 16) for n in range(1024)], np.float32),
        "basis": np.array([*basis, outside], np.float32),
        "rate": np.array([655360 // (10 * n + 16) for n in range(1024)], np.int64),
    }


class Session:
    """What codes one segment.

    Args:
        inputs: contexts and a bias: 4, 16 or 24.
        lines: of counters of each context, a power of two.
        taps: of the predictors, float32 [3, 64, REGRESSED + SCALED].
        data: None for the encoder; else the bytes to decode.
        first: the weights to begin with, as `read_weights` gives them; None for the same everywhere.
    """

    def __init__(
        self,
        inputs: int,
        lines: int,
        taps: NDArray[np.float32],
        data: bytes | None = None,
        first: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        weights = np.full(inputs, FIRST_WEIGHT * 8 / inputs + 0.1, np.float32)
        arrays: dict[str, NDArray[Any]] = {
            "counter": np.zeros((inputs - 1, lines, NODES), np.uint32),
            "tail": np.zeros((4, 64, 16, TAIL), np.uint32),
            "taps": np.ascontiguousarray(taps, np.float32),
            "coder": rangecoder.new_state(),
            **tables(),
        }
        if first is None:
            first = [np.tile(weights, (n, GROUPS, 1)) for n in SELECTIONS]
            first.append(np.full((SELECTIONS[0], NODES, SETS), 1 / 3, np.float32))
        *self.weights, self.second = [array.copy() for array in first]
        arrays["second"] = self.second
        knots = np.array([tables()["squash"][min(1535, 64 * i)] for i in range(KNOTS)], np.float32)
        self.corrections = [np.tile(knots, (n, NODES, 1)) for n in CORRECTIONS]
        self.arrays = arrays
        self.decoding = data is not None
        self.engine = engine = _Engine()
        for name, array in arrays.items():
            setattr(engine, name, array.ctypes.data)
        for i, array in enumerate(self.weights):
            engine.weight[i] = array.ctypes.data
        for i, array in enumerate(self.corrections):
            engine.correction[i] = array.ctypes.data
        engine.inputs, engine.lines, engine.limit = inputs, lines, LIMIT
        engine.pace, engine.second_pace = PACE, SECOND_PACE
        self.out = np.zeros(0, np.uint8)
        self.data = np.frombuffer(data or b"", np.uint8)
        if data is not None:
            engine.data, engine.size = self.data.ctypes.data, self.data.size
            rangecoder.start_decoding(arrays["coder"], self.data)

    def code(self, frame: Frame, planes: Planes, part: Rows, progress: Callable[[int], None]) -> None:
        """Code rows of MCUs of one image: read them from `planes`, or for the decoder write them there.

        Args:
            frame: of the image.
            planes: its coefficients.
            part: which rows.
            progress: called with numbers of blocks, after a few rows each.

        Raises:
            CorruptPayloadError: the decoder has come past the end of its bytes.
        """
        engine, steps = self.engine, [in_rows(step) for step in frame.steps]
        for number, (plane, component) in enumerate(zip(planes, frame.components, strict=True)):
            chroma = 1 if number >= 2 and planes[1].shape == plane.shape else number
            step = np.stack([steps[number], steps[0], steps[chroma], np.float32(1) / steps[number]])
            seen = np.zeros((3, plane.shape[1] + 4, SEEN_BYTES), np.uint8)
            engine.plane, engine.columns, engine.component = plane.ctypes.data, plane.shape[1], number
            engine.next = 0
            engine.first = min(part.first * component.down, plane.shape[0])
            engine.last = min(part.last * component.down, plane.shape[0])
            engine.luma = planes[0].ctypes.data if number else None
            engine.luma_rows, engine.luma_columns = planes[0].shape[:2]
            engine.luma_across, engine.luma_down = frame.components[0].across, frame.components[0].down
            engine.across, engine.down = component.across, component.down
            engine.chroma = planes[1].ctypes.data if chroma != number else None
            engine.step, engine.seen = step.ctypes.data, seen.ctypes.data
            self._run(progress)

    def _run(self, progress: Callable[[int], None]) -> None:
        engine, coder, last = self.engine, self.arrays["coder"], self.engine.last
        while engine.first < last:
            if not self.decoding and self.out.size < int(coder[rangecoder.POSITION]) + ROOM:
                grown = np.zeros(2 * self.out.size + 4 * ROOM, np.uint8)
                grown[: self.out.size] = self.out
                self.out = grown
                engine.out, engine.capacity = grown.ctypes.data, grown.size
            before = engine.first
            engine.last = min(last, before + max(1, BAND // engine.columns))
            _function()(ctypes.addressof(engine))
            progress((engine.first - before) * engine.columns)
            if self.decoding and int(coder[rangecoder.POSITION]) > self.data.size + rangecoder.READ_AHEAD:
                raise CorruptPayloadError(f"a segment that goes on behind its {self.data.size} bytes")

    def finish(self) -> bytes:
        """The bytes of the segment.

        Raises:
            CorruptPayloadError: the decoder has not come to the end of its bytes.
        """
        coder = self.arrays["coder"]
        if self.decoding:
            if int(coder[rangecoder.POSITION]) < self.data.size:
                raise CorruptPayloadError(f"a segment of {self.data.size} bytes that ends earlier")
            return self.data.tobytes()
        if self.out.size == 0:
            self.out = np.zeros(ROOM, np.uint8)
        return self.out[: rangecoder.finish(coder, self.out)].tobytes()


def pack_weights(arrays: Sequence[NDArray[np.float32]]) -> bytes:
    """Weights to begin with as bytes: eighths of eighths, of one byte each."""
    scaled = [np.clip(np.rint(array * WEIGHT_UNIT), -127, 127).astype(np.int8).ravel() for array in arrays]
    return zlib.compress(np.concatenate(scaled).tobytes(), 9)


def read_weights(packed: bytes, inputs: int) -> list[NDArray[np.float32]]:
    """Inverse, for a number of inputs: those of the three sets, and those that mix them."""
    values = np.frombuffer(zlib.decompress(packed), np.int8).astype(np.float32) / np.float32(WEIGHT_UNIT)
    shapes = [*((n, GROUPS, inputs) for n in SELECTIONS), (SELECTIONS[0], NODES, SETS)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True)]


def in_rows(steps: tuple[int, ...]) -> NDArray[np.float32]:
    """Quantization steps of a table in the order of a block's coefficients, at least 1, float32 [64]."""
    found = np.zeros(64, np.float32)
    found[list(ZIGZAG)] = np.maximum(steps, 1)
    return found
