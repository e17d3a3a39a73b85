"""Distributions of independent samples, as torch's likelihoods and as integers: what latent models say of a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..codec.entropy import portable
from ..codec.entropy.pmf import Bernoulli, LogisticMixture, Pmf

__all__ = ["BernoulliFamily", "Family", "LogisticFamily"]


class Family(ABC):
    """Distributions of one sample, by rows of parameters.

    Attributes:
        parameters: P, numbers in a row.
        levels: values of a sample.
    """

    parameters: ClassVar[int]
    levels: int

    @property
    @abstractmethod
    def grid(self) -> Tensor:
        """Rounding steps of the parameters. [P] float64."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats of samples [...] by parameters [..., P], of the shape of the samples; differentiable."""

    @abstractmethod
    def pmf(self, rows: Tensor) -> Pmf:
        """Distributions on m lanes, from parameters [m, P] that are rounded to the grid."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected sample, in levels. [...]."""


@dataclass(frozen=True)
class LogisticFamily(Family):
    """A logistic's mass on the bin of each sample, the outermost bins taking the tails. Rows: mean, log-scale.

    Both are in units of half the range: samples are 2 x / (levels - 1) - 1.

    Source: Kingma, Salimans et al., *Improved variational inference with inverse autoregressive flow* (2016), 5.2.
    """

    levels: int = 256
    parameters: ClassVar[int] = 2
    least: ClassVar[float] = -7.0
    """Of log-scales: the bin is then nearly all of the mass."""

    @property
    def grid(self) -> Tensor:
        """See `Family`. A sixteenth of the narrowest scale, at most: 2e-4 bits there, nothing on wider ones."""
        return torch.tensor([2.0**-14, 2.0**-8], dtype=torch.float64)

    @property
    def half(self) -> float:
        """Levels in a unit."""
        return (self.levels - 1) / 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`: σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b - a)), no difference of nearly equal numbers."""
        mean, log_scale = parameters[..., 0], parameters[..., 1].clamp(min=self.least)
        inverse = torch.exp(-log_scale)
        centre = (x.to(mean.dtype) / self.half - 1 - mean) * inverse
        half = inverse / (2 * self.half)
        lowest, highest = x == 0, x == self.levels - 1
        above = torch.where(lowest, 0.0, -F.softplus(centre - half))
        below = torch.where(highest, 0.0, -F.softplus(-centre - half))
        return above + below + torch.where(lowest | highest, 0.0, torch.log(-torch.expm1(-2 * half)))

    def pmf(self, rows: Tensor) -> Pmf:
        """See `Family`."""
        scales = portable.exp(rows[:, 1:].clamp(min=self.least)) * self.half
        return LogisticMixture(torch.zeros_like(scales), (rows[:, :1] + 1) * self.half, scales, self.levels)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Family`."""
        return ((parameters[..., 0] + 1) * self.half).clamp(0, self.levels - 1)


@dataclass(frozen=True)
class BernoulliFamily(Family):
    """Samples of 0 and 1. Rows: the logit of a 1."""

    levels: int = 2
    parameters: ClassVar[int] = 1

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
