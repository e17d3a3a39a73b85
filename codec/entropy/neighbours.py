"""Images without a model: each sample is expected about its neighbours, which is enough to begin a message with.

Bits-back coding borrows bits that are in the message already. Lending them costs as many; samples that have to be sent
anyway cost only what this takes for them beyond the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .codecs import Autoregressive, Codec, wavefront
from .pmf import LogisticMixture, Pmf
from .rans import Message

__all__ = ["ByNeighbours", "scale_of", "step_for"]

PER_LEVEL = 2 * 0.6931471805599453
"""Mean distance of a logistic variable of scale 1 from its mean: 2 log 2."""

FIRST = 8
"""The first sample is expected in the middle of the levels, with a scale that is so much smaller than their number."""


def scale_of(step: int) -> float:
    """Scales in eight equal steps to each octave, exact in binary."""
    octave, place = divmod(step, 8)
    return (8 + place) * 2.0 ** (octave - 6)


def step_for(distance: float, steps: Iterable[int]) -> int:
    """Among steps the one of the scale of samples that are so far from what was expected, on average, in levels."""
    return min(steps, key=lambda step: abs(scale_of(step) - distance / PER_LEVEL))


@dataclass(frozen=True)
class ByNeighbours:
    """Codec of images int64 [B, C, H, W].

    A sample is about the median of those to its left and above it, and of the plane through these and the one between
    them (as in JPEG-LS); in channels after the first, by as much beside that as the sample of the channel before is.
    Distributions are logistic.

    Attributes:
        shape: (B, C, H, W)
        levels: values of a sample, 512 at most.
        steps: of the scale in the first channel and in the others, in levels; see `scale_of`.
    """

    shape: tuple[int, int, int, int]
    levels: int
    steps: tuple[int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self._codec().push(message, symbols)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self._codec().pop(message)

    def distances(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """How far samples are from what is expected, in levels; float64, each [n].

        Returns:
            Of the first channel, but for its first sample; of the others.
        """
        apart = (x - self._expected(x)).abs()
        return apart[:, 0].flatten(1)[:, 1:].reshape(-1), apart[:, 1:].reshape(-1)

    def _expected(self, x: Tensor) -> Tensor:
        """Of all samples, from those of `x` before each. Float64, whole or half numbers."""
        values = x.double()
        around = torch.full_like(values, (self.levels - 1) / 2)
        around[..., 0, 1:] = values[..., 0, :-1]
        around[..., 1:, 0] = values[..., :-1, 0]
        above, left = values[..., :-1, 1:], values[..., 1:, :-1]
        plane = above + left - values[..., :-1, :-1]
        around[..., 1:, 1:] = torch.stack([above, left, plane]).median(0).values
        beside = values[:, :-1] - around[:, :-1]
        return torch.cat([around[:, :1], around[:, 1:] + beside], 1)

    def _codec(self) -> Codec[Tensor]:
        batch, channels, height, width = self.shape
        image = channels * height * width
        steps = [
            (torch.arange(batch)[:, None] * image + channel * height * width + places).reshape(-1)
            for places in wavefront(height, width, 1)
            for channel in range(channels)
        ]
        scales = torch.full((channels, height, width), scale_of(self.steps[1]), dtype=torch.float64)
        scales[0] = scale_of(self.steps[0])
        scales[0, 0, 0] = self.levels / FIRST
        flat = scales.expand(self.shape).reshape(-1)

        def pmf(number: int, known: Tensor) -> Callable[[int, int], Pmf]:
            places = steps[number]
            means, widths = self._expected(known).reshape(-1)[places, None], flat[places, None]
            zeros = torch.zeros_like(means)
            return lambda a, b: LogisticMixture(zeros[a:b], means[a:b], widths[a:b], self.levels)

        return Autoregressive(self.shape, steps, pmf)
