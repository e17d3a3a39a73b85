"""The state of the coder of rendered pictures: memory that Python owns, and the calls of its C code."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p

import numpy as np
import numpy.typing as npt

from ...codec import native
from ..indexed import FRESH, KNOTS, LONGEST_MATCH, RATE, SQUASH, STRETCH

__all__ = ["POSITION", "SPARE_BYTES", "Session", "most_bytes"]

MARGIN = 4
CONTEXTS, LINE = 24, 16
INPUTS = 52
PREDICTORS, REGRESSORS, FITS, RIVALS = 16, 24, 3, 3
NODES, ENERGIES, PATTERNS, MOST_CHANNELS = 64, 80, 128, 4
PLAIN_BITS = 17 * 16
FIRST_WEIGHT = 5000
LEAST_LINE_BITS, MOST_LINE_BITS = 8, 16
"""Counters take up to 100 MB."""

X1, X2, CODE, POSITION = range(4)  # places in `registers`; then the match's place and length
# A sample takes up to 41 decisions, and each of those up to 16 bits.
BYTES_PER_SAMPLE = 2 * 41
SPARE_BYTES = 64

# (dy, dx) of the neighbours of which the differences to the one in the west are regressors: first those of the
# sample's own channel, then those of the other channels, then again its own.
NEAREST = ((-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
OTHERS = ((-1, 0), (-1, -1), (-1, 1))
FARTHER = (
    (-2, 1), (-1, -2), (-1, 2), (-2, -1), (0, -3), (-1, 3), (-3, 0), (-2, 2), (-2, -2), (-1, -3), (0, -4), (-3, 1),
    (-3, -1), (-2, 3), (-2, -3), (-3, 2), (-3, -2), (-1, 4), (-2, 4),
)  # fmt: skip


class _State(ctypes.Structure):
    """`State` of rendered.h."""

    _fields_ = (
        *((name, c_int64) for name in ("height", "width", "channels", "maximum", "decoding", "lines", "size", "seen")),
        *(
            (name, c_void_p)
            for name in (
                "canvas", "residuals", "errors", "changes", "offsets", "squares", "rivals", "counters",
                "match_counters", "plain", "places", "node_weights", "energy_weights", "pattern_weights",
                "final_weights", "corrections", "squash", "stretch", "rate", "data", "registers",
            )
        ),
    )  # fmt: skip


ROWS = (c_int64, ctypes.POINTER(_State), c_int64, c_int64)  # result and arguments of the kernel
_code_rows = native.kernel("dz_rendered_rows", *ROWS)


def most_bytes(samples: int) -> int:
    """Bytes that so many samples take at most."""
    return samples * BYTES_PER_SAMPLE + SPARE_BYTES


def _offsets(channels: int, width: int) -> npt.NDArray[np.int32]:
    """Places [C, R, 2] of the regressors in the canvas, relative to the sample: minuends, and what is subtracted."""
    stride = (width + 2 * MARGIN) * channels
    result = np.zeros((channels, REGRESSORS, 2), np.int32)
    for c in range(channels):
        places: list[tuple[int, int, int]] = [(0, 0, other) for other in range(c)]
        places += [(dy, dx, c) for dy, dx in NEAREST]
        places += [(dy, dx, other) for other in range(channels) if other != c for dy, dx in OTHERS]
        places += [(dy, dx, c) for dy, dx in FARTHER]
        for number, (dy, dx, other) in enumerate(places[:REGRESSORS]):
            result[c, number] = dy * stride + dx * channels + other - c, other - c - channels
    return result


class Session:
    """Codes one tile, from the first row to the last.

    Args:
        height: of the tile.
        width: of the tile.
        channels: samples of a pixel, 1 to 4.
        maximum: the largest sample, 1 to 65535.
        coded: the bytes to decode; None to encode.
    """

    def __init__(
        self, height: int, width: int, channels: int, maximum: int, coded: npt.NDArray[np.uint8] | None = None
    ) -> None:
        samples = height * width * channels
        lines = 1 << min(MOST_LINE_BITS, max(LEAST_LINE_BITS, (samples // 2).bit_length()))
        shape = (height + MARGIN, width + 2 * MARGIN, channels)
        self.samples = np.zeros(shape, np.uint16)
        self.registers = np.array([0, 0xFFFFFFFF, 0, 0, 0, 0], np.int64)
        self._decoding = coded is not None
        if coded is not None:
            first = coded[:4].tobytes().ljust(4, b"\0")
            self.registers[CODE], self.registers[POSITION] = int.from_bytes(first, "big"), 4
        knots = SQUASH[np.minimum(np.arange(KNOTS) * 128, 4095)]
        self._arrays: dict[str, npt.NDArray[np.generic]] = {
            "canvas": self.samples,
            "residuals": np.zeros(shape, np.int32),
            "errors": np.zeros((2, shape[1], channels, PREDICTORS), np.float32),
            "changes": np.zeros((2, width, channels), np.int32),
            "offsets": _offsets(channels, width),
            "squares": np.zeros((channels, FITS, REGRESSORS * (REGRESSORS + 2))),
            "rivals": np.zeros((channels, RIVALS)),
            "counters": np.full((CONTEXTS, lines, LINE), FRESH, np.uint32),
            "match_counters": np.full(2 * LONGEST_MATCH + 2, FRESH, np.uint32),
            "plain": np.full(PLAIN_BITS, FRESH, np.uint32),
            "places": np.zeros(lines, np.int32),
            "node_weights": np.full((NODES * MOST_CHANNELS, INPUTS), FIRST_WEIGHT, np.int32),
            "energy_weights": np.full((NODES * ENERGIES, INPUTS), FIRST_WEIGHT, np.int32),
            "pattern_weights": np.full((NODES * PATTERNS, INPUTS), FIRST_WEIGHT, np.int32),
            "final_weights": np.full((NODES, 4), 21845, np.int32),
            "corrections": np.broadcast_to(knots, (2, 1 << 16, KNOTS)).astype(np.uint16, "C"),
            "squash": SQUASH,
            "stretch": STRETCH,
            "rate": RATE,
            "registers": self.registers,
        }
        pointers = {name: array.ctypes.data for name, array in self._arrays.items()}
        self._state = _State(height, width, channels, maximum, int(self._decoding), lines, 0, 0, **pointers)
        self._coded = coded
        if coded is not None:
            self._point_to(coded)

    @property
    def inside(self) -> npt.NDArray[np.uint16]:
        """The samples [height, width, channels] without their margins."""
        return self.samples[MARGIN:, MARGIN:-MARGIN]

    def _point_to(self, data: npt.NDArray[np.uint8]) -> None:
        self._state.data, self._state.size = data.ctypes.data, data.size

    def code(self, top: int, bottom: int) -> bytes:
        """Code rows top to bottom; what the encoder wrote of them."""
        data = np.zeros(0, np.uint8)
        if not self._decoding:
            data = np.empty(most_bytes((bottom - top) * self._state.width * self._state.channels), np.uint8)
            self.registers[POSITION] = 0
            self._point_to(data)
        if _code_rows(self._state, top, bottom):
            raise RuntimeError(f"rows {top} to {bottom} of a tile of {self.inside.shape} do not fit")
        return b"" if self._decoding else data[: self.registers[POSITION]].tobytes()

    def finish(self) -> bytes:
        """The last byte: one more than the first of x1, which is below that of x2; zeros behind it are not written."""
        return bytes([(int(self.registers[X1]) >> 24) + 1])
