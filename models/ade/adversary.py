"""Who tells images from those that a model draws: a residual discriminator, and what it learns by.

An adversary is trained beside a model (`..training.adversary`), and is no part of it: coding needs none.

Source: Lucas, Shmelkov, Alahari, Schmid, Verbeek, *Adaptive density estimation for generative models* (2019), (5) and
appendix; the penalty of gradients: Gulrajani et al. (2017); spectral norm: Miyato et al. (2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .batches import BatchStatistics, mix, share_loss

__all__ = ["Adversary", "Discriminator", "MixedAdversary", "frozen"]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """What is computed meanwhile gives its parameters no gradient."""
    learned = [p for p in module.parameters() if p.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


class _Layers:
    """Makes the linear layers of a discriminator."""

    def __init__(self, spectral: bool, statistics: bool) -> None:
        self.spectral, self.statistics = spectral, statistics

    def _bounded(self, layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if self.spectral else layer

    def conv(self, inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
        def one(bias: bool) -> nn.Module:
            return self._bounded(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias))

        return BatchStatistics(one(False), one(False), outputs, 0, 2) if self.statistics else one(True)

    def linear(self, inputs: int) -> nn.Module:
        def one(bias: bool) -> nn.Module:
            return self._bounded(nn.Linear(inputs, 1, bias=bias))

        return BatchStatistics(one(False), one(False), 1, 0, 0) if self.statistics else one(True)


class _Block(nn.Module):
    """Two convolutions beside a linear way, at half the resolution where it shrinks."""

    def __init__(self, layers: _Layers, inputs: int, outputs: int, shrink: bool) -> None:
        super().__init__()
        self.first, self.second = layers.conv(inputs, outputs), layers.conv(outputs, outputs)
        self.beside, self.shrink = layers.conv(inputs, outputs, 1), shrink

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(F.relu(self.first(F.relu(x)))) + self.beside(x)
        return F.avg_pool2d(found, 2, ceil_mode=True) if self.shrink else found


class Discriminator(nn.Module):
    """A residual network from images to logits of being real.

    Args:
        channels: of the images.
        filters: features of the first block; the last has eight times as many.
        spectral: divide each layer's weights by their largest singular value.
        statistics: let layers see the mean of the batch, too.
    """

    def __init__(self, channels: int, filters: int, spectral: bool = False, statistics: bool = False) -> None:
        super().__init__()
        layers = _Layers(spectral, statistics)
        self.first = layers.conv(channels, filters // 2)
        wide = [filters // 2, filters, 2 * filters, 4 * filters, 8 * filters]
        blocks = [_Block(layers, wide[i], wide[i + 1], i > 0) for i in range(4)]
        self.blocks, self.last = nn.Sequential(*blocks), layers.linear(wide[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Of images [B, C, H, W], about -1 to 1: [B]."""
        found: Tensor = self.last(F.relu(self.blocks(self.first(x))).mean((2, 3)))
        return found[:, 0]


class Adversary(nn.Module):
    """A discriminator that judges each sample by itself.

    Args:
        discriminator: from samples to logits.
        penalty: of slopes other than 1 between real and generated samples; 0 for none.
    """

    def __init__(self, discriminator: nn.Module, penalty: float = 0.0) -> None:
        super().__init__()
        self.discriminator, self.penalty = discriminator, penalty

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """What it learns by: nats, and the penalty."""
        return self._classified(real, fake) + self._penalized(real, fake)

    def _classified(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean()

    def _penalized(self, real: Tensor, fake: Tensor) -> Tensor:
        if not self.penalty:
            return real.new_zeros(())
        share = torch.rand(len(real), device=real.device, dtype=real.dtype).view(-1, *[1] * (real.dim() - 1))
        between = torch.lerp(real, fake, share).detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        length = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()  # the root of 0 has no slope
        return self.penalty * (length - 1).square().mean()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The divergence of the generator's density from that of images, in nats: log D - log(1 - D) is a logit."""
        found: Tensor = -self.discriminator(fake).mean()
        return found


class MixedAdversary(Adversary):
    """A discriminator that judges mixed batches; see `batches.py`.

    Args:
        discriminator: from samples [..., B, ...] to logits, which may each depend on all of a batch. [..., B]
        gamma: see `batches.mix`.
        each: see `batches.share_loss`.
        penalty: see `Adversary`.
        axis: see `batches.mix`.
    """

    def __init__(self, discriminator: nn.Module, gamma: float, each: bool, penalty: float = 0.0, axis: int = 0) -> None:
        super().__init__(discriminator, penalty)
        self.gamma, self.each, self.axis = gamma, each, axis

    def _classified(self, real: Tensor, fake: Tensor) -> Tensor:
        mixed = mix(real, fake, self.gamma, self.axis)
        return torch.stack([share_loss(self.discriminator(y), share, self.each) for y, share in mixed]).mean()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """- log D of mixed batches, in nats."""
        outputs = torch.stack([self.discriminator(y) for y, _ in mix(real, fake, self.gamma, self.axis)])
        return F.softplus(-(outputs if self.each else outputs.mean(-1))).mean()
