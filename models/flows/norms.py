"""Layers that shift and scale: by statistics of the data, of a batch, or by numbers that are learned."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ...codec.entropy.bijections import Affine, conv1x1, elementwise
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.localbitsback import Bijection
from .bijective import UNIT_BITS
from .layers import Layer, Pending, Shape, composed

__all__ = ["BatchNorm", "Scale", "Standardize", "Whiten"]

LEAST_VARIANCE = 1e-5
"""Added to variances and deviations, so that none is 0."""


class Standardize(Layer):
    """From levels to about mean 0 and variance 1, fitted to the first images of a training."""

    center: Tensor
    spread: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.full((channels, 1, 1), 128.0))
        self.register_buffer("spread", torch.full((channels, 1, 1), 64.0))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`: the moments."""
        values = x.double()
        self.center.copy_(values.mean((0, 2, 3))[:, None, None])
        self.spread.copy_(values.std((0, 2, 3))[:, None, None].clamp(min=0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        area = x.shape[2] * x.shape[3]
        return (x - self.center) / self.spread, (-self.spread.log().sum() * area).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return z * self.spread + self.center

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        scale = (1 / self.spread.cpu().double()).expand(shape[1:]).flatten()
        return elementwise(
            Affine(-self.center.cpu().double().expand(shape[1:]).flatten() * scale, scale * 2.0**UNIT_BITS)
        )


class Whiten(Layer):
    """From levels to values of mean 0 whose differences between neighbours are uncorrelated, as colours are not.

    A matrix at every pixel, fitted to the first images of a training; values have variances of about 1.
    """

    center: Tensor
    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.full((channels,), 128.0))
        self.register_buffer("matrix", torch.eye(channels) / 64)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        values = x.double().movedim(1, -1)
        steps = (values[:, :, 1:] - values[:, :, :-1]).flatten(0, -2)
        _, vectors = torch.linalg.eigh(steps.T @ steps / len(steps))
        rows = values.flatten(0, -2)
        spread = (rows @ vectors).std(0).clamp(min=0.5)
        self.center.copy_(rows.mean(0))
        self.matrix.copy_(vectors.T / spread[:, None])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        area = x.shape[2] * x.shape[3]
        found = _at_every_pixel(self.matrix, x - self.center[:, None, None])
        return found, (torch.linalg.slogdet(self.matrix)[1] * area).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return _at_every_pixel(torch.linalg.inv(self.matrix), z) + self.center[:, None, None]

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        matrix, center = self.matrix.cpu().double(), self.center.cpu().double()
        return conv1x1(matrix * 2.0**UNIT_BITS, -matrix @ center)


def _at_every_pixel(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix [C, C] times each pixel of x [B, C, H, W], in the precision of x under autocast, too."""
    return (matrix[:, :, None, None] * x[:, None]).sum(2)


class _Affine(Layer):
    """Each channel by one shift and one scale."""

    @abstractmethod
    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shift and log-scale [C] for z = x exp(log-scale) + shift; x where they may depend on it, in training."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        shift, log_scale = self._given(x)
        z = x * torch.exp(log_scale)[:, None, None] + shift[:, None, None]
        return z, (log_scale.sum() * (x.shape[2] * x.shape[3])).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        shift, log_scale = self._given(None)
        return (z - shift[:, None, None]) * torch.exp(-log_scale)[:, None, None]

    def affine(self) -> Pending:
        """See `Layer`."""
        shift, log_scale = (part.detach().cpu().double() for part in self._given(None))
        return shift, torch.exp(log_scale)

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        return composed([self], calibration, shape)


class BatchNorm(_Affine):
    """Each channel to mean 0 and variance 1: in training those of the batch, otherwise running averages.

    Source: Dinh et al. (2017), 3.7.

    Args:
        channels: C.
        momentum: share of the running averages that stays at each step.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.98) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        self.mean.copy_(x.mean((0, 2, 3)))
        self.variance.copy_(x.var((0, 2, 3)))

    def refit(self, x: Tensor) -> None:
        """See `Layer`."""
        self.fit(x)

    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, variance = self.mean, self.variance
        if self.training and x is not None:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            with torch.no_grad():
                self.mean.lerp_(mean, 1 - self.momentum)
                self.variance.lerp_(variance, 1 - self.momentum)
        log_scale = -0.5 * torch.log(variance + LEAST_VARIANCE)
        return -mean * torch.exp(log_scale), log_scale


class Scale(_Affine):
    """Each channel times a number that is learned, and shifted: where nothing else gives latents their variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift, self.log_scale = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        self.log_scale.copy_(-torch.log(x.std((0, 2, 3)) + LEAST_VARIANCE))
        self.shift.copy_(-x.mean((0, 2, 3)) * torch.exp(self.log_scale))

    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.shift, self.log_scale
