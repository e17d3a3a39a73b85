"""Linear experts: the conditional Gaussian scale mixtures of a pixel's channels, given whatever is known of the pixel.

p(y | x) is a mixture of Gaussians over components c and scales s,

    p(c, s | x) ∝ exp(η_cs − ½ e^{α_cs} Q_c(x) + w_c · x),    p(y | x, c, s) = N(y; a_c · x + m_c, e^{−α_cs}),

with a quadratic form of its own for each component, Q_c(x) = |L_c x|², or in the factorized form with features that all
share, Q_c(x) = Σ_n β_cn² (b_n · x)². Channels come in turn: the x of a channel holds the earlier channels too. Scales
are relative to the spread of the best linear prediction, so that experts are alike for every channel and data set.

Source: Theis, Hosseini, Bethge, *Mixtures of conditional Gaussian scale mixtures applied to multiscale image
representations* (2012); factorized: Theis and Bethge, *Generative image modeling using spatial LSTMs*
(2015). The linear terms w_c and m_c come on top. α here is −2 · log_scales, β is shares, η is priors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .causal import Whitening
from .gaussians import mixture_log_prob

__all__ = ["Experts"]

LEAST_LOG_SCALE = -2.5
"""Of a component, in log levels: the half width of a bin is six such deviations, so less changes no mass."""


class Experts(nn.Module):
    """The conditional distributions of a pixel's channels in turn, given inputs and the earlier channels.

    Args:
        inputs: D, numbers that all channels see, of variance about 1.
        channels: C.
        components: K.
        scales: S.
        features: N, or 0 for the full form.
    """

    earlier: Tensor

    def __init__(self, inputs: int, channels: int, components: int, scales: int, features: int) -> None:
        super().__init__()
        C, K, S, D = channels, components, scales, inputs + channels - 1
        self.shape = (C, K, S)
        self.features = features
        self.rows = (K, K, features or K * D)  # of predictions, linear gates, features
        scale = [torch.full((n,), s) for n, s in zip(self.rows, (0.05, 0.02, max(D, 1) ** -0.5), strict=True)]
        self.weight = nn.Parameter(torch.randn(C, sum(self.rows), D) * torch.cat(scale)[:, None])
        self.means = nn.Parameter(0.1 * torch.randn(C, K))
        self.priors = nn.Parameter(0.1 * torch.randn(C, K, S))
        if features:
            self.shares = nn.Parameter((torch.randn(C, K, features).abs() + 0.1) * (0.3 / features) ** 0.5)
        else:
            with torch.no_grad():
                self.weight[:, 2 * K :] *= (0.3 / max(D, 1)) ** 0.5
        # Scales from a tenth of the spread of linear prediction to twice that.
        spread = torch.linspace(math.log(0.1), math.log(2.0), S) if S > 1 else torch.zeros(1)
        self.log_scales = nn.Parameter(spread + 0.2 * torch.randn(C, K, S))
        earlier = torch.ones(C, D)
        for channel in range(C):
            earlier[channel, inputs + channel :] = 0
        self.register_buffer("earlier", earlier, persistent=False)  # which inputs a channel sees

    @torch.no_grad()
    def start_at(self, factor: Tensor) -> None:
        """Let every expert begin at the best linear prediction, with what makes it differ from the others added.

        Args:
            factor: rows of the Cholesky factor of the channels, over all inputs and the channels. [C, D + C]
        """
        C, K, _ = self.shape
        inputs = factor.shape[1] - C
        spread = factor[:, inputs:].diagonal()[:, None]
        self.weight[:, :K] += (factor[:, :-1] / spread)[:, None]
        self.weight.mul_(self.earlier[:, None])

    @torch.no_grad()
    def grow_from(self, smaller: Experts, change: Tensor, ratio: Tensor) -> None:
        """Take over factorized experts of fewer inputs.

        Args:
            smaller: of as many channels, components, scales and features.
            change: their inputs, and the earlier channels, from those here. [D' + C - 1, D + C - 1]
            ratio: their spread of each channel, of that here: means and scales are in units of it. [C, 1]
        """
        rows = ratio.new_ones(self.shape[0], sum(self.rows), 1)
        predictions, gates, _ = self.rows
        rows[:, :predictions] = rows[:, predictions + gates :] = ratio[..., None]
        self.weight.copy_(rows * ((smaller.weight * smaller.earlier[:, None]) @ change))
        self.means.copy_(ratio * smaller.means)
        self.priors.copy_(smaller.priors)
        self.log_scales.copy_(smaller.log_scales + ratio[..., None].log())
        self.shares.copy_(smaller.shares)

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
        return (x @ weight.flatten(0, 1).T).view(len(x), self.shape[0], -1)

    def mixture(self, linear: Tensor, channel: int, whitening: Whitening) -> tuple[Tensor, Tensor, Tensor]:
        """Of one channel, from its linear functions.

        Args:
            linear: [n, 2 K + N]
            channel: which.
            whitening: for center and spread of the channel.

        Returns:
            Logits [n, K, S], means [n, K] and log-scales [K, S], the last two in levels.
        """
        channels, K, _ = self.shape
        center, spread = whitening.center[channel - channels], whitening.spread[channel]
        predictions, gates, features = torch.split(linear, list(self.rows), -1)
        squares = features.square()
        form = squares @ self.shares[channel].square().T if self.features else squares.view(len(squares), K, -1).sum(-1)
        log_scales = self.log_scales[channel]
        logits = gates[..., None] + self.priors[channel] - 0.5 * torch.exp(-2 * log_scales) * form[..., None]
        means = center + spread * (predictions + self.means[channel])
        return logits, means, (log_scales + spread.log()).clamp(min=LEAST_LOG_SCALE)

    def log_probs(self, inputs: Tensor, own: Tensor, whitening: Whitening, levels: int) -> Tensor:
        """Log-probability of samples, each channel given the earlier ones.

        Args:
            inputs: of the pixels, and the earlier channels, whitened. [P, B, D + C - 1]
            own: samples of these pixels. [P, B, C]
            whitening: for center and spread of the channels.
            levels: values of a sample.

        Returns:
            Nats. [P, B, C]
        """
        linear = self(inputs.flatten(0, 1)).unbind(1)  # of each channel [P · B, 2 K + N]
        found = [
            mixture_log_prob(own[..., channel].flatten(), *self.mixture(linear[channel], channel, whitening), levels)
            for channel in range(self.shape[0])
        ]
        return torch.stack(found, 1).view(own.shape)
