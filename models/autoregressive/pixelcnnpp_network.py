"""The network of a PixelCNN++, its likelihood, and how it starts. See `pixelcnnpp.py`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .density import AutoregressiveModel
from .pixelcnnpp_config import HALF_RANGE, PixelCNNPPConfig
from .pixelcnnpp_layers import Conv, Stream, above, down, left, right

__all__ = ["Network", "filtered", "log_masses"]

MIN_LOG_SCALE = -7.0
"""Of a logistic on samples in [-1, 1], as in the paper: 0.12 levels."""

MAX_LOG_SCALE = 5.0
"""A logistic of so many times the range is flat; the logarithm of its masses would lose its digits soon after."""

MAGNIFIED = 8.0
"""Residuals of a spread over this are where the scale of `innovations` turns from linear to logarithmic."""

FITTED = 50_000
"""Pixels whose surroundings are looked at together when the linear prediction is fitted, for memory's sake."""


def log_masses(x: Tensor, real: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Logarithm of each component's mass on the bin of each sample.

    The mass is σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b - a)) for the ends a > b of the bin, the last factor of which does
    not depend on the sample: no difference of nearly equal numbers, in any precision.

    Args:
        x: samples, 0 to 255. [B, C, ...]
        real: the same in [-1, 1]. [B, C, ...]
        means: [B, C, K, ...]
        log_scales: [B, C, K, ...]

    Returns:
        [B, C, K, ...]
    """
    inverse = torch.exp(-log_scales)
    centre = (real[:, :, None] - means) * inverse
    half = inverse / (2 * HALF_RANGE)
    lowest, highest = x[:, :, None] == 0, x[:, :, None] == 255
    log_above = torch.where(lowest, 0.0, -F.softplus(centre - half))  # log σ(-b); b is -∞ at 0
    log_below = torch.where(highest, 0.0, -F.softplus(-centre - half))  # log σ(a); a is ∞ at 255
    return log_above + log_below + torch.where(lowest | highest, 0.0, torch.log(-torch.expm1(-2 * half)))


def filtered(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`conv2d`, of no channels too: then zeros, or the bias."""
    if weight.shape[1]:
        return F.conv2d(x, weight, bias)
    height, width = (size - kernel + 1 for size, kernel in zip(x.shape[2:], weight.shape[2:], strict=True))
    zeros = x.new_zeros(len(x), len(weight), height, width)
    return zeros if bias is None else zeros + bias[:, None, None]


class Network(AutoregressiveModel):
    """The network and its density; how it is scanned comes on top (`PixelCNNPP`).

    Attributes:
        first_images: how many a training shows to `initialize`, for their statistics.
        causal: 1 where a filter of a pixel's surroundings may look. [reach + 1, 2 reach + 1]
        prediction: the filter of the best linear prediction. [C, C, reach + 1, 2 reach + 1]
        center: its constant. [C]
        factor: Cholesky factor of the covariance of what it leaves over, in units of half the range. [C, C]
        inverse: of the factor. [C, C]
    """

    first_images = 500
    causal: Tensor
    prediction: Tensor
    center: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, config: PixelCNNPPConfig) -> None:
        super().__init__()
        if config.channels not in {1, 3}:
            raise UsageError(f"a PixelCNN++ of {config.channels} channels; 1 or 3 are modelled")
        self.config, self.channels = config, config.channels
        c, f, k, reach = config.channels, config.filters, config.mixtures, config.reach
        self.planes = 2 * c if config.innovations else 0
        inputs = c + self.planes + 1
        self.down_above = above(inputs, f, reach)
        self.right_above = above(inputs, f, reach)
        self.right_left = left(inputs, f, reach)
        self.down = Stream(config, down, 0)
        self.right = Stream(config, right, f)
        outputs = k * (10 if c == 3 else 3)
        self.head = Conv(f, outputs, scale=0.1)
        window = (reach + 1, 2 * reach + 1)
        self.direct = nn.Parameter(torch.randn(outputs, self.planes, *window) * 0.01)
        causal = torch.ones(window)
        causal[-1, reach:] = 0
        self.register_buffer("causal", causal, persistent=False)
        plane = torch.zeros(c, c, *window)
        for i in range(c if config.innovations else 0):
            plane[i, i, -1, reach - 1], plane[i, i, -2, reach], plane[i, i, -2, reach - 1] = 0.75, 0.75, -0.5
        self.register_buffer("prediction", plane)
        self.register_buffer("center", torch.zeros(c))
        self.register_buffer("factor", torch.eye(c) / 16)
        self.register_buffer("inverse", torch.eye(c) * 16)

    def check_features(self, features: Tensor | None) -> None:
        """Raises UsageError unless there are extra feature maps [B, F, H, W] just where the model takes them."""
        count = 0 if features is None else features.shape[1]
        if count != self.config.features:
            raise UsageError(f"{count} feature maps for a model that is conditional on {self.config.features}")

    def around(self, x: Tensor, weight: Tensor) -> Tensor:
        """A filter [outputs, inputs, reach + 1, 2 reach + 1] of the surroundings of pixels [B, inputs, H, W]."""
        reach = self.config.reach
        return filtered(F.pad(x, (reach, reach, reach, 0)), weight * self.causal)

    def predict(self, x: Tensor) -> Tensor:
        """The linear prediction of each pixel of images in [-1, 1]: [B, C, H, W]."""
        return self.around(x, self.prediction) + self.center[:, None, None]

    def innovations(self, residual: Tensor) -> Tensor:
        """What the network sees of what the prediction left over: whitened, then its magnitude on a logarithmic scale.

        The logarithm keeps apart the residuals of flat regions, which are a small part of the spread.

        Args:
            residual: [B, C, ...]

        Returns:
            [B, 2 C, ...], or of a plain network [B, 0, ...]
        """
        if not self.planes:
            return residual[:, :0]
        white = torch.einsum("ij,bj...->bi...", self.inverse, residual)
        return torch.cat([white, 0.5 * torch.log1p(MAGNIFIED * white.abs())], 1)

    def network(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two ends of the network: the outputs and the linear prediction.

        Args:
            x: samples in [-1, 1]. [B, C, H, W]
            features: extra feature maps, [B, F, H, W] or None.

        Returns:
            [B, O, H, W], O = 10 K or 3 K; and [B, C, H, W].
        """
        self.check_features(features)
        with torch.autocast(x.device.type, enabled=False):  # what is left over is small beside what is predicted
            straight = self.predict(x)
            innovations = self.innovations(x - straight)
            direct = self.around(innovations, self.direct)
        inputs = torch.cat([x, innovations, torch.ones_like(x[:, :1])], 1)  # the ones tell the border from grey
        pyramid = [features]
        for _ in range(2):
            before = pyramid[-1]
            pyramid.append(None if before is None else F.avg_pool2d(before, 2, ceil_mode=True))
        d = self.down_above(inputs)
        r = self.right_above(inputs) + self.right_left(inputs)
        skips = [(d, r)]
        for level in range(3):
            if level:
                d, r = self.down.shrink[level - 1](d), self.right.shrink[level - 1](r)
                skips.append((d, r))
            for one, other in zip(self.down.shrinking[level], self.right.shrinking[level], strict=True):
                d = one(d, None, pyramid[level])
                r = other(r, d, pyramid[level])
                skips.append((d, r))
        d, r = skips.pop()
        for level in (2, 1, 0):
            for one, other in zip(self.down.growing[level], self.right.growing[level], strict=True):
                skip_d, skip_r = skips.pop()
                d = one(d, skip_d, pyramid[level])
                r = other(r, torch.cat([d, skip_r], 1), pyramid[level])
            if level:
                height, width = skips[-1][0].shape[2:]
                d = self.down.grow[level - 1](d, height, width)
                r = self.right.grow[level - 1](r, height, width)
        return self.head(F.elu(r)).to(x.dtype) + direct, straight

    def mixture(self, out: Tensor, straight: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logistics of each channel, given the channels before it.

        Args:
            out: of the network. [B, O, ...]
            straight: linear prediction. [B, C, ...]
            x: samples in [-1, 1]; a channel's own and later ones are not looked at. [B, C, ...]

        Returns:
            logits [B, K, ...], means and log-scales [B, C, K, ...], in units of half the range.
        """
        k, c = self.config.mixtures, self.config.channels
        logits, rest = out[:, :k], out[:, k:]
        rest = rest.reshape(len(rest), -1, k, *rest.shape[2:])  # [B, C + C (+ 3), K, ...]
        spread = self.factor.diagonal().view(c, *[1] * (rest.dim() - 2))
        plain = straight[:, :, None] + spread * rest[:, :c]
        log_scales = (spread.log() + rest[:, c : 2 * c]).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        if c == 1:
            return logits, plain, log_scales
        coupling = torch.tanh(rest[:, 2 * c :])
        residual = x[:, :2, None] - plain[:, :2]  # [B, 2, K, ...]
        means = [
            plain[:, 0],
            plain[:, 1] + coupling[:, 0] * residual[:, 0],
            plain[:, 2] + coupling[:, 1] * residual[:, 0] + coupling[:, 2] * residual[:, 1],
        ]
        return logits, torch.stack(means, 1), log_scales

    def log_prob(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Log-likelihood of each image, in nats [B]; see `AutoregressiveModel`, and `log_probs`."""
        return self.log_probs(x, features).sum((1, 2))

    def log_probs(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Log-likelihood of each pixel given those before it, in nats [B, H, W].

        A pixel is of one component in all its channels, as in the paper's code.

        Args:
            x: uint8 or int64. [B, C, H, W]
            features: extra feature maps [B, F, H, W] of a model that is conditional on them.
        """
        real = x.to(self.direct.dtype) / HALF_RANGE - 1
        out, straight = self.network(real, features)
        logits, means, log_scales = self.mixture(out, straight, real)
        joint = F.log_softmax(logits, 1) + log_masses(x, real, means, log_scales).sum(1)  # [B, K, H, W]
        return torch.logsumexp(joint, 1)

    @torch.no_grad()
    def initialize(self, x: Tensor, features: Tensor | None = None) -> None:
        """Fits the linear prediction, and lets every layer's outputs have mean 0 and a deviation of its `scale`.

        The prediction of a plain network is the mean of the samples.

        Source of the latter: Salimans and Kingma, *Weight normalization* (2016), section 3.

        Args:
            x: some of the data; the layers see the first 50 of them. [B, C, H, W]
            features: as for `log_prob`.
        """
        self._fit(x.to(self.direct.dtype) / HALF_RANGE - 1)
        convs = [module for module in self.modules() if isinstance(module, Conv)]
        for conv in convs:
            conv.initializing = True
        self.log_prob(x[:50], None if features is None else features[:50])
        for conv in convs:
            conv.initializing = False
        c, k = self.config.channels, self.config.mixtures
        bias = self.head.bias.view(-1, k)
        # Scales around that of a logistic with the spread of the prediction, from a third of it to twice.
        bias[1 + c : 1 + 2 * c] += math.log(math.sqrt(3) / math.pi) + torch.linspace(-1.1, 0.7, k, device=bias.device)
        if c == 3:
            on_red, on_both = self.factor[1:2, :1], self.factor[2:, :2]
            coupling = [
                on_red @ torch.linalg.inv(self.factor[:1, :1]),
                on_both @ torch.linalg.inv(self.factor[:2, :2]),
            ]
            bias[1 + 2 * c :] += torch.atanh(torch.cat(coupling, 1).clamp(-0.95, 0.95)).T

    def _fit(self, x: Tensor) -> None:
        """The best linear prediction in images [B, C, H, W], by least squares, and the covariance of its errors."""
        c, reach = self.config.channels, self.config.reach
        seen = self.causal.flatten().nonzero()[:, 0]
        moments = torch.zeros(1 + c * (len(seen) + 1), 1 + c * (len(seen) + 1), dtype=torch.float64, device=x.device)
        for part in torch.split(x, max(1, FITTED // (x.shape[-2] * x.shape[-1]))):
            found = F.unfold(F.pad(part, (reach, reach, reach, 0)), self.causal.shape)  # [B, C · window, H · W]
            found = found.view(len(part), c, -1, found.shape[-1])[:, :, seen]
            own = part.flatten(2)[:, :, None]
            values = torch.cat([found, own], 2).movedim(1, 2).flatten(1, 2).transpose(1, 2).flatten(0, 1).double()
            values = torch.cat([torch.ones_like(values[:, :1]), values], 1)
            moments += values.T @ values
        moments /= x.numel() // c
        # Rounding to integers is noise of variance 1 / 12, which bounds from below what can be known of a direction.
        moments[1:, 1:].diagonal().add_(1 / 12 / HALF_RANGE**2)
        if not self.planes:
            seen, moments = seen[:0], moments[[0, *range(len(moments) - c, len(moments))]]
            moments = moments[:, [0, *range(moments.shape[1] - c, moments.shape[1])]]
        cause, effect = moments[:-c, :-c], moments[:-c, -c:]
        solution = torch.linalg.solve(cause, effect)  # [1 + window · C, C]
        self.center.copy_(solution[0])
        weight = torch.zeros(c, c, self.causal.numel(), dtype=solution.dtype, device=x.device)
        weight[:, :, seen] = solution[1:].view(len(seen), c, c).permute(2, 1, 0)
        self.prediction.copy_(weight.view(self.prediction.shape))
        factor = torch.linalg.cholesky(moments[-c:, -c:] - effect.T @ solution)
        self.factor.copy_(factor)
        self.inverse.copy_(torch.linalg.inv(factor))
