"""Parameters from a network, made the same integers on every machine: rounding to a grid, with a guard.

A network's outputs differ in their last bits between processors, libraries and sizes of a batch. Here each parameter is
rounded to a multiple of its grid's step before a distribution is made of it. Where a value is so close to the boundary
between two multiples that another machine might fall on the other side, inside the *guard band*, the encoder writes an
*exception*: the place, and the side. A decoder whose arithmetic stays within the band gets the same multiples, and one
that does not is noticed, in most cases here and in all by the checksum of what is decoded.

Exceptions are a stack beside the message: whoever writes appends them with every distribution that is made, whether
symbols are then pushed or popped, and whoever reads takes them in the opposite order, as it undoes those steps. So any
composition of codecs can be calibrated, bits-back too. A codec that makes its distributions in the same order both ways
is wrapped in `Forward`.

In float64 exceptions are rare enough to cost nothing; float32 needs a wide band and pays for it (`benchmarks/coding.py`
measures both).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from .. import native
from ..errors import CalibrationError, CorruptPayloadError, DistributionError, TruncatedError
from ..fields import Reader, varint
from .codecs import Autoregressive, Codec, Independent
from .lanes import SMALLEST
from .pmf import Pmf
from .rans import Message

__all__ = ["FLOAT32_BAND", "FLOAT64_BAND", "GRID", "Calibration", "Forward", "autoregressive"]

GRID = 2.0**-8
"""Default step of parameters: logits, logarithms of scales, and means in units of their scale lose nothing by it."""

FLOAT64_BAND = 2.0**-24
"""Half the guard band of networks in float64, in steps: 2e-10 at the default step, far above float64's last bits."""

FLOAT32_BAND = 2.0**-8
"""The same for float32: 1.5e-5 at the default step; it costs about a bit a dimension of a mixture of five."""

_MOST_STEPS = 2.0**50
"""Parameters are below so many steps, so that multiples and their halves are exact numbers."""

_RICE_BITS = 5

_read_gaps = native.function("dz_read_gaps", c_int64, c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p)

S = TypeVar("S")


class Calibration:
    """Rounds parameters, and keeps the exceptions: written by one side, read by the other.

    Args:
        band: half the guard band, in steps; one side chooses it, the other reads it.
    """

    def __init__(self, band: float = FLOAT64_BAND) -> None:
        self.band = float(np.float32(band))
        if not 0 < self.band < 0.25:
            raise DistributionError(f"a guard band of {band} steps; it is above 0 and below 1/4")
        self._blocks: list[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []  # size, places, sides
        self._reading = False

    @property
    def parameters(self) -> int:
        """Parameters that this side has rounded for writing."""
        return sum(size for size, _, _ in self._blocks)

    @property
    def exceptions(self) -> int:
        """Exceptions among them."""
        return sum(len(places) for _, places, _ in self._blocks)

    def round(self, values: Tensor, grid: Tensor | float = GRID) -> Tensor:
        """The multiples of the grid's steps that both sides agree on.

        Args:
            values: float32 or float64, of any shape.
            grid: steps, powers of two; broadcasts to the values.

        Returns:
            float64, of the same shape.

        Raises:
            DistributionError: a value is not finite, or has more than 2^50 steps.
            CalibrationError: reading, a value is not near the boundary on which the encoder saw it, or none is left.
        """
        steps = torch.as_tensor(grid, dtype=torch.float64, device=values.device)
        if not bool(((steps >= SMALLEST) & torch.isfinite(steps)).all()):
            raise DistributionError("steps of a grid are powers of two, finite and above 0")
        try:
            steps = steps.expand(values.shape)
        except RuntimeError:
            wide, shape = list(steps.shape), list(values.shape)
            raise DistributionError(f"a grid of shape {wide} for parameters of shape {shape}") from None
        ratio = values.detach().double().contiguous() * steps.reciprocal() + 0.5
        if not bool((ratio.abs() < _MOST_STEPS).all()):
            wrong = ~(ratio.abs() < _MOST_STEPS)
            place = [int(i) for i in wrong.nonzero()[0]]
            raise DistributionError(f"parameter at {place} is {float(values[tuple(place)])}; it cannot be rounded")
        down, boundary = ratio.floor(), ratio.round()
        distance = (ratio - boundary).abs()
        if self._reading:
            self._take(values.numel(), distance.reshape(-1), boundary.reshape(-1), down.view(-1))
        else:
            places = (distance.reshape(-1) < self.band).nonzero()[:, 0]
            sides = down.reshape(-1)[places] == boundary.reshape(-1)[places]
            self._blocks.append((values.numel(), places.cpu().numpy(), sides.cpu().numpy()))
        return down * steps

    def _take(self, size: int, distance: Tensor, boundary: Tensor, down: Tensor) -> None:
        """Read the exceptions of `size` parameters and set their multiples in `down`."""
        if self._left < size:
            raise CalibrationError(f"{size} parameters are rounded where the file has {self._left} left")
        end = self._next + size
        last = int(np.searchsorted(self._places, end, "left"))
        places = torch.from_numpy(self._places[self._at : last] - self._next).to(down.device)
        above = torch.from_numpy(self._sides[self._at : last]).to(down.device)
        self._at, self._next, self._left = last, end, self._left - size
        doubtful = distance < self.band / 2
        doubtful[places] = False
        strange = distance[places] > 2 * self.band
        if bool(doubtful.any()) or bool(strange.any()):
            off = float(distance[doubtful].min() if bool(doubtful.any()) else distance[places].max())
            raise CalibrationError(
                f"this machine's arithmetic differs from the encoder's by more than the guard band of {self.band:.3g} "
                f"steps allows: a parameter is {off:.3g} steps from a boundary"
            )
        down[places] = boundary[places] - (~above).double()

    def codec(self, parameters: Tensor, pmf: Callable[[Tensor], Pmf], grid: Tensor | float = GRID) -> Codec[Tensor]:
        """A codec of n independent symbols, [n] int64.

        Args:
            parameters: of each symbol's distribution. [n, P]
            pmf: rounded parameters [m, P] -> the distributions of m lanes.
            grid: steps of the parameters, [P] or one for all.
        """
        return _Calibrated(self, parameters, pmf, grid)

    def mark(self) -> int:
        """Where the stack of exceptions stands, for `turn`."""
        return len(self._blocks)

    def turn(self, mark: int) -> None:
        """What was written since the mark is read in the order of writing."""
        size, places, sides = 0, [np.zeros(0, np.int64)], [np.zeros(0, bool)]
        for count, inside, side in self._blocks[mark:]:
            places.append(inside + size)
            sides.append(side)
            size += count
        if size:  # one block, so that what is turned again with others stays as it is
            self._blocks[mark:] = [(size, np.concatenate(places), np.concatenate(sides))]

    def apart(self) -> Calibration:
        """One that writes what `join` lays on top of this one's exceptions; a reader has them in that order already."""
        return self if self._reading else Calibration(self.band)

    def join(self, other: Calibration) -> None:
        """Lay the exceptions that were written `apart` on top."""
        if other is not self:
            self._blocks += other._blocks

    def to_bytes(self) -> bytes:
        """The exceptions: a head of 13 bytes; each takes about 2.7 bits and log2 of the mean distance between them."""
        places, sides, first = [], [], 0
        for size, inside, side in reversed(self._blocks):
            places.append(inside + first)
            sides.append(side)
            first += size
        gaps = np.diff(np.concatenate([np.zeros(1, np.int64), *places]), prepend=0)[1:]
        gaps[1:] -= 1  # places differ
        count = len(gaps)
        shift = min(int(max(np.log2(gaps.mean() + 1) - 0.5, 0)), (1 << _RICE_BITS) - 1) if count else 0
        # A gap is written as its upper part in ones and a zero, then its lowest bits; last the side.
        width = (gaps >> shift) + 1 + shift + 1
        ends = np.cumsum(width)
        bits = np.zeros(int(ends[-1]) if count else 0, np.uint8)
        starts = ends - width
        ones = np.repeat(starts, gaps >> shift) + _ranges(gaps >> shift)
        bits[ones] = 1
        for k in range(shift):
            bits[ends - 2 - k] = (gaps >> k) & 1
        bits[ends - 1] = np.concatenate([*sides, np.zeros(0, bool)])
        head = np.array([first], "<u8").tobytes()[:7] + bytes([shift]) + np.array([self.band], "<f4").tobytes()
        return head + varint(count) + np.packbits(bits).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """The reader of what `to_bytes` wrote.

        Raises:
            TruncatedError: the data end too early.
            CorruptPayloadError: nothing is written like this.
        """
        if len(data) < 13:
            raise TruncatedError(f"exceptions of {len(data)} bytes; their head alone takes 13")
        size, shift = int.from_bytes(data[:7], "little"), data[7]
        band = float(np.frombuffer(data, "<f4", 1, 8)[0])
        if not 0 < band < 0.25 or shift >= 1 << _RICE_BITS:
            raise CorruptPayloadError(f"exceptions with a guard band of {band} and a shift of {shift}")
        calibration = cls(band)
        reader = Reader(memoryview(data), 12, TruncatedError)
        count = reader.varint("number of exceptions")
        bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=reader.position))
        if count * (shift + 2) > len(bits):
            raise TruncatedError(f"{len(data)} bytes cannot hold {count} exceptions")
        gaps, sides = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        position = _read_gaps(bits.ctypes.data, len(bits), shift, count, gaps.ctypes.data, sides.ctypes.data)
        if position < 0:
            raise TruncatedError(f"{len(data)} bytes end inside one of {count} exceptions")
        if len(bits) - position > 7 or bits[position:].any():
            raise CorruptPayloadError(f"{len(bits) - position} bits follow the last exception")
        gaps[1:] += 1
        calibration._places, calibration._sides = np.cumsum(gaps), sides
        if count and calibration._places[-1] >= size:
            raise CorruptPayloadError(f"an exception at {calibration._places[-1]} of {size} parameters")
        calibration._reading, calibration._at, calibration._next, calibration._left = True, 0, 0, size
        return calibration

    _places: np.ndarray[Any, Any]
    _sides: np.ndarray[Any, Any]
    _at: int
    _next: int
    _left: int = 0

    def finish(self) -> None:
        """Reading, check that every parameter was rounded; raises CorruptPayloadError."""
        if self._left:
            raise CorruptPayloadError(f"{self._left} parameters of the file were not asked for")


@dataclass(frozen=True)
class _Calibrated:
    calibration: Calibration
    parameters: Tensor
    pmf: Callable[[Tensor], Pmf]
    grid: Tensor | float

    def _codec(self) -> Codec[Tensor]:
        rounded = self.calibration.round(self.parameters, self.grid)
        return Independent(lambda first, stop: self.pmf(rounded[first:stop]), len(rounded))

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self._codec().push(message, symbols)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self._codec().pop(message)


@dataclass(frozen=True)
class Forward(Generic[S]):
    """A codec that makes its distributions in the same order when it pushes and when it pops."""

    calibration: Calibration
    codec: Codec[S]

    def push(self, message: Message, symbols: S) -> None:
        """See `Codec`."""
        mark = self.calibration.mark()
        self.codec.push(message, symbols)
        self.calibration.turn(mark)

    def pop(self, message: Message) -> S:
        """See `Codec`."""
        mark = self.calibration.mark()
        symbols = self.codec.pop(message)
        self.calibration.turn(mark)
        return symbols


def autoregressive(
    shape: tuple[int, ...],
    steps: Sequence[Tensor],
    parameters: Callable[[int, Tensor], Tensor],
    pmf: Callable[[Tensor], Pmf],
    calibration: Calibration,
    grid: Tensor | float = GRID,
) -> Codec[Tensor]:
    """The codec of a model that predicts an array in steps.

    Args:
        shape: of the array.
        steps: for each step the flat indices of its elements, each [n] int64.
        parameters: (step, array) -> parameters of the distributions of the step's elements, [n, P], given the elements
            of the steps before; called for step 0, 1, ... in turn, so it may keep what it computed. Later ones are 0.
        pmf: rounded parameters [m, P] -> distributions on m lanes.
        calibration: where exceptions are written, or read.
        grid: steps of the parameters, [P] or one for all.
    """

    def make(step: int, known: Tensor) -> Callable[[int, int], Pmf]:
        rounded = calibration.round(parameters(step, known), grid)
        return lambda first, stop: pmf(rounded[first:stop])

    return Forward(calibration, Autoregressive(shape, steps, make))


def _ranges(lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """0 to n - 1 for each length n, one after the other."""
    firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    counted: np.ndarray[Any, Any] = np.arange(len(firsts)) - firsts
    return counted
