"""Distributions of samples, as torch's likelihoods and as integers: what latent models say of a picture.

Samples are independent given the latents, or all pixels are, and the channels of one come in turn (`MixtureFamily`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..codec.entropy import portable
from ..codec.entropy.codecs import Codec, Independent
from ..codec.entropy.pmf import Bernoulli, GaussianMixture, LogisticMixture, Pmf
from ..codec.entropy.rans import Message
from ..codec.errors import SymbolError

__all__ = ["BernoulliFamily", "Family", "GaussianFamily", "LogisticFamily", "MixtureFamily"]


class Family(ABC):
    """Distributions of one sample, by rows of parameters.

    Attributes:
        parameters: P, numbers in a row.
        levels: values of a sample.
    """

    levels: int

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P, numbers in a row."""

    @property
    @abstractmethod
    def grid(self) -> Tensor:
        """Rounding steps of the parameters. [P] float64."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats of samples [B, C, H, W] by parameters [B, C, H, W, P], of the shape of the samples; differentiable."""

    @abstractmethod
    def pmf(self, rows: Tensor) -> Pmf:
        """Distributions on m lanes, from parameters [m, P] that are rounded to the grid."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected sample, in levels. [...]."""

    def codec(self, parameters: Tensor) -> Codec[Tensor]:
        """Of all samples of images, flat, from parameters [B, C, H, W, P] float64 that are rounded to the grid."""
        rows = parameters.flatten(0, -2)
        return Independent(lambda first, stop: self.pmf(rows[first:stop]), len(rows))

    def draw(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """Images drawn by parameters [B, C, H, W, P], uint8 [B, C, H, W] on the CPU."""
        return self._drawn(parameters.cpu().double(), random)

    def _drawn(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        pmf = self.pmf(parameters.flatten(0, -2))
        slots = torch.randint(0, 1 << pmf.precision, (parameters[..., 0].numel(),), generator=random)
        return pmf.locate(slots).view(parameters.shape[:-1]).to(torch.uint8)


LEAST, MOST = -7.0, 7.0
"""Of log-scales of logistics, in half ranges: one bin is nearly all of the mass, or every bin still a number."""


def _log_mass(mean: Tensor, log_scale: Tensor, x: Tensor, levels: int) -> Tensor:
    """Nats of a logistic's mass on the bins of samples, the outermost bins taking the tails.

    σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b - a)): no difference of nearly equal numbers.
    """
    inverse = torch.exp(-log_scale.clamp(LEAST, MOST))
    centre = (x.to(mean.dtype) * (2 / (levels - 1)) - 1 - mean) * inverse
    half = inverse / (levels - 1)
    lowest, highest = x == 0, x == levels - 1
    above = torch.where(lowest, 0.0, -F.softplus(centre - half))
    below = torch.where(highest, 0.0, -F.softplus(-centre - half))
    return above + below + torch.where(lowest | highest, 0.0, torch.log(-torch.expm1(-2 * half)))


@dataclass(frozen=True)
class LogisticFamily(Family):
    """A logistic's mass on the bin of each sample, the outermost bins taking the tails. Rows: mean, log-scale.

    Both are in units of half the range: samples are 2 x / (levels - 1) - 1.

    Source: Kingma, Salimans et al., *Improved variational inference with inverse autoregressive flow* (2016), 5.2.
    """

    levels: int = 256

    @property
    def parameters(self) -> int:
        """See `Family`."""
        return 2

    @property
    def grid(self) -> Tensor:
        """See `Family`. A sixteenth of the narrowest scale, at most: 2e-4 bits there, nothing on wider ones."""
        return torch.tensor([2.0**-14, 2.0**-8], dtype=torch.float64)

    @property
    def half(self) -> float:
        """Levels in a unit."""
        return (self.levels - 1) / 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`."""
        return _log_mass(parameters[..., 0], parameters[..., 1], x, self.levels)

    def pmf(self, rows: Tensor) -> Pmf:
        """See `Family`."""
        scales = portable.exp(rows[:, 1:].clamp(LEAST, MOST)) * self.half
        return LogisticMixture(torch.zeros_like(scales), (rows[:, :1] + 1) * self.half, scales, self.levels)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Family`."""
        return ((parameters[..., 0] + 1) * self.half).clamp(0, self.levels - 1)


@dataclass(frozen=True)
class GaussianFamily(LogisticFamily):
    """The same with normal distributions: what is left of noise that was normal. Rows: mean, log-deviation."""

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`."""
        inverse = torch.exp(-parameters[..., 1].clamp(LEAST, MOST))
        centre = (x.to(inverse.dtype) * (2 / (self.levels - 1)) - 1 - parameters[..., 0]) * inverse
        half = inverse / (self.levels - 1)
        lowest, highest = x == 0, x == self.levels - 1
        # In the lower tail, to which the upper one is turned, logarithms of both ends are good to their last bits.
        turned = torch.where(highest | ((centre > 0) & ~lowest), -centre, centre)
        above, below = (torch.special.log_ndtr(turned + side) for side in (half, -half))
        share = torch.where(lowest | highest, -1.0, (below - above).clamp(max=-1e-6))
        nats: Tensor = above + torch.where(lowest | highest, 0.0, torch.log(-torch.expm1(share)))
        return nats

    def pmf(self, rows: Tensor) -> Pmf:
        """See `Family`."""
        deviations = portable.exp(rows[:, 1:].clamp(LEAST, MOST)) * self.half
        return GaussianMixture(torch.zeros_like(deviations), (rows[:, :1] + 1) * self.half, deviations, self.levels)


@dataclass(frozen=True)
class MixtureFamily(Family):
    """A mixture of logistics for each sample, whose means know the channels of the pixel before it.

    Rows: J logits, J means, J log-scales, then for each channel but the last J coefficients: what a unit of that
    channel adds to the means, in those after it. Units are half ranges, as in `LogisticFamily`.

    Source: Salimans et al., *PixelCNN++* (2017), 2.1 and 2.2; here each channel has weights of its own.
    """

    levels: int = 256
    channels: int = 3
    components: int = 5

    @property
    def parameters(self) -> int:
        """See `Family`."""
        return self.components * (2 + self.channels)

    @property
    def grid(self) -> Tensor:
        """See `Family`. Nothing is lost on logits and log-scales by 2^-8; means are as in `LogisticFamily`."""
        fine, coarse = [2.0**-14] * self.components, [2.0**-8] * self.components
        return torch.tensor([*coarse, *fine, *coarse, *fine * (self.channels - 1)], dtype=torch.float64)

    def given(self, parameters: Tensor, earlier: Sequence[Tensor]) -> Tensor:
        """The logits, means and log-scales of a channel [..., 3 J], given the samples [...] of those before it.

        In float64, from rounded parameters, it is the same bits on every machine: products and sums one by one.
        """
        logits, means, log_scales, *rest = torch.split(parameters, self.components, -1)
        for samples, coefficients in zip(earlier, rest, strict=False):
            unit = samples.to(parameters.dtype) * (2 / (self.levels - 1)) - 1
            means = means + coefficients * unit[..., None]
        return torch.cat([logits, means, log_scales], -1)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`."""
        rows = [self.given(parameters[:, c], list(x[:, :c].unbind(1))) for c in range(self.channels)]
        logits, means, log_scales = torch.split(torch.stack(rows, 1), self.components, -1)
        return torch.logsumexp(F.log_softmax(logits, -1) + _log_mass(means, log_scales, x[..., None], self.levels), -1)

    def pmf(self, rows: Tensor) -> Pmf:
        """See `Family`; rows as of `given`, [m, 3 J]."""
        half = (self.levels - 1) / 2
        logits, means, log_scales = torch.split(rows, self.components, -1)
        return LogisticMixture(
            logits, (means + 1) * half, portable.exp(log_scales.clamp(LEAST, MOST)) * half, self.levels
        )

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Family`; each channel given the means of those before it."""
        found = list[Tensor]()
        for c in range(self.channels):
            logits, means, _ = torch.split(self.given(parameters[:, c], found), self.components, -1)
            unit = (torch.softmax(logits, -1) * means.clamp(-1, 1)).sum(-1)
            found.append((unit + 1) * ((self.levels - 1) / 2))
        return torch.stack(found, 1)

    def codec(self, parameters: Tensor) -> Codec[Tensor]:
        """See `Family`: one channel after the other."""
        return _InTurn(self, parameters)

    def draw(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """See `Family`."""
        exact, found = parameters.cpu().double(), list[Tensor]()
        for c in range(self.channels):
            found.append(self._drawn(self.given(exact[:, c], found), random))
        return torch.stack(found, 1)


@dataclass(frozen=True)
class _InTurn:
    """The samples of images, flat, by channels: each knows those before it."""

    family: MixtureFamily
    parameters: Tensor

    def _channel(self, earlier: Sequence[Tensor]) -> Codec[Tensor]:
        rows = self.family.given(self.parameters[:, len(earlier)], earlier).flatten(0, -2)
        return Independent(lambda first, stop: self.family.pmf(rows[first:stop]), len(rows))

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        wrong = (symbols < 0) | (symbols >= self.family.levels)
        if bool(wrong.any()):  # before the first push: an error leaves no half
            raise SymbolError(f"symbol {int(symbols[wrong][0])}; the alphabet is 0 to {self.family.levels - 1}")
        channels = symbols.view(self.parameters.shape[:-1]).unbind(1)
        for c in reversed(range(len(channels))):
            self._channel(channels[:c]).push(message, channels[c].flatten())

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        found, shape = list[Tensor](), self.parameters[:, 0, ..., 0].shape
        for _ in range(self.family.channels):
            found.append(self._channel(found).pop(message).view(shape))
        return torch.stack(found, 1).flatten()


@dataclass(frozen=True)
class BernoulliFamily(Family):
    """Samples of 0 and 1. Rows: the logit of a 1."""

    levels: int = 2

    @property
    def parameters(self) -> int:
        """See `Family`."""
        return 1

    @property
    def grid(self) -> Tensor:
        """See `Family`."""
        return torch.full((1,), 2.0**-8, dtype=torch.float64)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`."""
        logits = parameters[..., 0]
        return -F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none")

    def pmf(self, rows: Tensor) -> Pmf:
        """See `Family`."""
        return Bernoulli(rows[:, 0])

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Family`."""
        return torch.sigmoid(parameters[..., 0])
