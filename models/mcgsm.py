"""Mixtures of conditional Gaussian scale mixtures (MCGSM): a pixel given its causal neighbourhood, by linear experts.

p(y | x) is a mixture of Gaussians over components c and scales s,

    p(c, s | x) ∝ exp(η_cs − ½ e^{α_cs} Q_c(x) + w_c · x),    p(y | x, c, s) = N(y; a_c · x + m_c, e^{−α_cs}),

with a quadratic form of its own for each component, Q_c(x) = |L_c x|², or in the factorized form with features that all
share, Q_c(x) = Σ_n β_cn² (b_n · x)². Channels come in turn: the x of a channel is the causal neighbourhood in all
channels, and the earlier channels of the pixel.

Source: Theis, Hosseini, Bethge, *Mixtures of conditional Gaussian scale mixtures applied to multiscale image
representations* (2012), equations 5 to 7; factorized: Theis and Bethge, *Generative image modeling using spatial LSTMs*
(2015), equations 5 and 6. The linear terms w_c and m_c come on top.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from ..codec.codecs import wavefront
from ..codec.pmf import GaussianMixture
from .causal import Neighbourhoods, Whitening, neighbours
from .density import AutoregressiveModel, Scan
from .gaussians import mixture_log_prob

__all__ = ["Experts", "Mcgsm", "McgsmConfig", "PixelScan", "pixel_steps"]

LEAST_LOG_SCALE = -2.5
"""Of a component, in log levels: a fifth of a bin's half width, below which masses do not change any more."""

GRIDS = {"logits": 2.0**-10, "means": 2.0**-10, "log_scales": 2.0**-12}
"""Rounding steps of the parameters: a rounded mixture costs less than 1e-5 bits a sample more."""


@dataclass(frozen=True)
class McgsmConfig:
    """What an MCGSM is made of.

    Attributes:
        channels: 1 or 3.
        radius: of the causal neighbourhood: `radius` rows above and as many pixels to each side.
        components: K, linear experts.
        scales: S, scales of each expert.
        features: N, shared features of the factorized form; 0 for the full form, a matrix for each component.
    """

    channels: int = 3
    radius: int = 3
    components: int = 16
    scales: int = 4
    features: int = 48


class Experts(nn.Module):
    """The conditional distributions of a pixel's channels in turn, given inputs and the earlier channels.

    Args:
        inputs: D, numbers that all channels see, of variance about 1.
        channels: C.
        components: K.
        scales: S.
        features: N, or 0 for the full form.
    """

    def __init__(self, inputs: int, channels: int, components: int, scales: int, features: int) -> None:
        super().__init__()
        C, K, S, D = channels, components, scales, inputs + channels - 1
        self.shape = (C, K, S)
        self.features = features
        self.rows = (K, K, features or K * D)  # of predictions, linear gates, features
        weight = torch.randn(C, sum(self.rows), D)
        scale = [torch.full((n,), s) for n, s in zip(self.rows, (0.05, 0.02, D**-0.5), strict=True)]
        self.weight = nn.Parameter(weight * torch.cat(scale)[:, None])
        self.means = nn.Parameter(0.1 * torch.randn(C, K))
        self.priors = nn.Parameter(0.1 * torch.randn(C, K, S))
        if features:
            self.shares = nn.Parameter((torch.randn(C, K, features).abs() + 0.1) * (0.3 / features) ** 0.5)
        else:
            with torch.no_grad():
                self.weight[:, 2 * K :] *= (0.3 / D) ** 0.5
        # Scales from a tenth of the spread of linear prediction to twice that.
        scales_of = torch.linspace(math.log(0.1), math.log(2.0), S) if S > 1 else torch.zeros(1)
        self.log_scales = nn.Parameter(scales_of + 0.2 * torch.randn(C, K, S))
        earlier = torch.ones(C, D)
        for channel in range(C):
            earlier[channel, inputs + channel :] = 0
        self.register_buffer("earlier", earlier, persistent=False)  # which inputs a channel sees

    @torch.no_grad()
    def start_at(self, factor: Tensor) -> None:
        """Let every expert begin at the best linear prediction, with what makes it differ from the others added.

        Args:
            factor: rows of the Cholesky factor of the channels over what is whitened. [C, M + C]
        """
        C, K, _ = self.shape
        inputs = factor.shape[1] - C
        spread = torch.stack([factor[c, inputs + c] for c in range(C)])[:, None]
        self.weight[:, :K, :inputs] += (factor[:, :inputs] / spread)[:, None]
        if C > 1:
            self.weight[:, :K, 1 - C :] += (factor[:, inputs:-1] / spread)[:, None]
        self.weight *= self.earlier[:, None]

    def forward(self, x: Tensor, channel: int | None = None) -> Tensor:
        """All linear functions of the inputs.

        Args:
            x: inputs, then the earlier channels, whitened. [n, D + C - 1]
            channel: only of this one.

        Returns:
            [n, C, 2 K + N], or [n, 2 K + N] of one channel; see `mixture`.
        """
        weight = self.weight * self.earlier[:, None]
        if channel is not None:
            return x @ weight[channel].T
        return (x @ weight.flatten(0, 1).T).unflatten(1, (self.shape[0], -1))

    def mixture(self, linear: Tensor, channel: int, center: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of one channel, from its linear functions [n, 2 K + N].

        Returns:
            Logits [n, K, S], means [n, K] and log-scales [K, S], the last two in levels.
        """
        K = self.shape[1]
        predictions, gates, features = linear.split(list(self.rows), -1)
        squares = features.square()
        form = squares @ self.shares[channel].square().T if self.features else squares.unflatten(1, (K, -1)).sum(-1)
        log_scales = self.log_scales[channel]
        logits = gates[..., None] + self.priors[channel] - 0.5 * torch.exp(-2 * log_scales) * form[..., None]
        means = center + spread * (predictions + self.means[channel])
        return logits, means, (log_scales + spread.log()).clamp(min=LEAST_LOG_SCALE)


class Mcgsm(AutoregressiveModel):
    """A mixture of conditional Gaussian scale mixtures, full or factorized; see the head of this file."""

    def __init__(self, config: McgsmConfig) -> None:
        super().__init__()
        self.config = config
        inputs = neighbours(config.radius) * config.channels
        self.whitening = Whitening(inputs, config.channels)
        self.experts = Experts(inputs, config.channels, config.components, config.scales, config.features)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training: some hundred images are enough. x int [B, C, H, W]"""
        values = patches(x, self.config.radius, torch.float32)
        self.whitening.fit(values)
        self.experts.start_at(self.whitening.factor[-self.config.channels :])

    def log_prob(self, x: Tensor) -> Tensor:
        """See `AutoregressiveModel`."""
        values = self.whitening(patches(x, self.config.radius, self.whitening.center.dtype))
        own = x.flatten(2).permute(2, 0, 1)
        return channels_log_prob(self.experts, self.whitening, values[..., :-1], own, self.levels)

    def scan(self, batch: int, height: int, width: int) -> Scan:
        """See `AutoregressiveModel`."""
        return _McgsmScan(self, height, width)


def patches(x: Tensor, radius: int, dtype: torch.dtype) -> Tensor:
    """Neighbourhood and pixel for all pixels. [H · W, B, M · C + C]"""
    height, width = x.shape[-2:]
    return _neighbourhoods(height, width, radius).at(x, torch.arange(height * width), dtype)


@lru_cache(8)
def _neighbourhoods(height: int, width: int, radius: int) -> Neighbourhoods:
    return Neighbourhoods(height, width, radius)


def channels_log_prob(experts: Experts, whitening: Whitening, inputs: Tensor, own: Tensor, levels: int) -> Tensor:
    """Log-probability of images by the experts.

    Args:
        experts: of all channels.
        whitening: for the center and spread of a channel.
        inputs: of the experts, for all pixels in any order. [P, B, D + C - 1]
        own: samples of these pixels. [P, B, C]
        levels: values of a sample.

    Returns:
        Nats. [B]
    """
    pixels, batch, channels = own.shape
    linear = experts(inputs.flatten(0, 1))  # [P · B, C, 2 K + N]
    total = inputs.new_zeros(pixels, batch)
    for channel in range(channels):
        center, spread = whitening.center[channel - channels], whitening.spread[channel]
        mixture = experts.mixture(linear[:, channel], channel, center, spread)
        total = total + mixture_log_prob(own[..., channel].flatten(), *mixture, levels).view(pixels, batch)
    return total.sum(0)


def pixel_steps(channels: int, height: int, width: int, slope: int) -> list[Tensor]:
    """Steps of a wavefront of pixels, the channels of each in turn: flat indices into [C, H, W]."""
    fronts = wavefront(height, width, slope)
    return [channel * height * width + places for places in fronts for channel in range(channels)]


class PixelScan(Scan):
    """A scan in the order of `pixel_steps`, whose distributions are mixtures of K · S Gaussians.

    Parameters of an element are K · S logits, K means and K · S log-scales.
    """

    def __init__(self, experts: Experts, channels: int, height: int, width: int, radius: int) -> None:
        self.experts, self.channels, self.area = experts, channels, height * width
        self.steps = pixel_steps(channels, height, width, radius + 1)
        self.neighbourhoods = _neighbourhoods(height, width, radius)
        _, K, S = experts.shape
        sizes = {"logits": K * S, "means": K, "log_scales": K * S}
        self.grid = torch.cat([torch.full((sizes[name],), GRIDS[name], dtype=torch.float64) for name in sizes])

    def rows(self, step: int, linear: Tensor, whitening: Whitening) -> Tensor:
        """Parameters from the linear functions of a step's elements [n, B, 2 K + N]."""
        channel = step % self.channels
        center, spread = whitening.center[channel - self.channels], whitening.spread[channel]
        logits, means, log_scales = self.experts.mixture(
            linear.transpose(0, 1).flatten(0, 1), channel, center, spread
        )
        logits = torch.log_softmax(logits.flatten(1), -1).clamp(min=-40.0)
        return torch.cat([logits, means, log_scales.flatten().expand(len(means), -1)], 1)

    def pmf(self, parameters: Tensor) -> GaussianMixture:
        """See `Scan`."""
        _, K, S = self.experts.shape
        logits, means, log_scales = parameters.split([K * S, K, K * S], -1)
        return GaussianMixture(logits, means.repeat_interleave(S, -1), torch.exp(log_scales), 256)


class _McgsmScan(PixelScan):
    """What is new in every step is the neighbourhoods of its pixels."""

    def __init__(self, model: Mcgsm, height: int, width: int) -> None:
        super().__init__(model.experts, model.config.channels, height, width, model.config.radius)
        self.model = model

    @torch.no_grad()
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`."""
        whitening = self.model.whitening
        places = self.steps[step] % self.area
        values = whitening(self.neighbourhoods.at(known, places, whitening.center.dtype))[..., :-1]
        linear = self.experts(values.flatten(0, 1), step % self.channels)
        return self.rows(step, linear.unflatten(0, values.shape[:2]), whitening)

    @torch.no_grad()
    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """See `Scan`."""
        for step in range(len(self.steps)):
            yield self.parameters(step, x)
