"""The noise of local bits-back coding for another machine: `Grid.gaussian` with calibrated parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import portable
from .calibrated import Calibration
from .codecs import Codec
from .grid import GaussianGrid
from .rans import Message

__all__ = ["FLOW_BAND", "CalibratedGaussian"]

FLOW_BAND = 2.0**-20
"""Half the guard band, in steps, for flows in float64 on the default grid, or a coarser one.

A mean of up to 2^8 with noise of 2^-10 has 2^22 steps, so that an error of 2^-52 of it is 2^-30 steps: a thousand times
below the band. An exception takes some 20 bits, which makes 4e-5 bits for each parameter.
"""

_PER_SCALE = 4
"""log2 of the least number of steps of a mean in its scale. A mean that is off by a part of its scale costs half the
square of that part, at most 1/24 of 2^-8 nats on average: 2.4e-4 bits."""

BETWEEN = 0.3819660112501051
"""By what part of a step multiples of steps are moved: as far from short binary fractions as a number can be."""

_LOG_STEP = 2.0**-6
"""Step of log2 of a scale; what it costs is the square of ln 2 of it, 1e-5 bits on average."""


@dataclass(frozen=True)
class CalibratedGaussian:
    """Makes normal distributions on a grid, see `GaussianGrid`, whose parameters are rounded when they are used.

    `Grid(gaussian=CalibratedGaussian(calibration))` is all that a flow needs. Every layer codes in one direction what
    it coded in the other, in the opposite order, and parameters are rounded in the order of coding.

    Attributes:
        calibration: where exceptions are written, or read; with a band of `FLOW_BAND`.
    """

    calibration: Calibration

    def __call__(
        self, means: Tensor, scales: Tensor, bits: int, bounds: tuple[int, int] | None = None
    ) -> Codec[Tensor]:
        """See `localbitsback.Gaussian`."""
        return _Rounded(self.calibration, means, scales, bits, bounds)


@dataclass(frozen=True)
class _Rounded:
    calibration: Calibration
    means: Tensor
    scales: Tensor
    bits: int
    bounds: tuple[int, int] | None

    def _codec(self) -> GaussianGrid:
        mark = self.calibration.mark()
        logs = self.calibration.round(torch.log2(self.scales), _LOG_STEP)
        steps = torch.ldexp(torch.ones_like(logs), logs.floor() - _PER_SCALE)
        # Of layers with short numbers many a mean of values on the grid lies exactly between two steps.
        apart = BETWEEN * steps
        means = self.calibration.round(self.means + apart, steps) - apart
        self.calibration.turn(mark)  # the means are rounded second in both directions
        return GaussianGrid(means, portable.exp(logs * math.log(2)), self.bits, self.bounds)

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self._codec().push(message, symbols)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self._codec().pop(message)
