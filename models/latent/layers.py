"""Layers of the networks of this room: residual blocks of convolutions, and what ends in the parameters of samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..likelihoods import BernoulliFamily, Family, LogisticFamily, MixtureFamily

__all__ = ["Block", "Conv", "Ends", "family_of", "growing", "shrinking", "to_unit"]

FIRST_LOG_SCALE = -2.0
"""Of logistics before training, in half ranges: a seventh of one."""


def to_unit(x: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
    """Samples in units of half their range: -1 to 1."""
    return x.to(dtype) * (2 / (levels - 1)) - 1


def family_of(levels: int, channels: int, components: int) -> Family:
    """The distribution of a sample by latents: Bernoulli for two levels, one logistic, or a mixture of more.

    Args:
        levels: values of a sample.
        channels: of an image.
        components: logistics of a sample; where there are more than one, channels know those before them.
    """
    if levels == 2:
        return BernoulliFamily()
    return LogisticFamily(levels) if components == 1 else MixtureFamily(levels, channels, components)


class Conv(nn.Conv2d):
    """A convolution that keeps the size, or halves it; `gain` scales its first weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        with torch.no_grad():
            self.weight.normal_(0, gain / (inputs * kernel**2) ** 0.5)
            if self.bias is not None:
                self.bias.zero_()


class Block(nn.Module):
    """Two convolutions beside the identity, which it is before training but for a little."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.first, self.second = Conv(filters, filters), Conv(filters, filters, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, F, H, W]."""
        found: Tensor = x + self.second(F.elu(self.first(F.elu(x))))
        return found


def shrinking(channels: int, filters: int, blocks: int) -> nn.Sequential:
    """From values [B, C, H, W], of which 2x2 are together (`pixel_unshuffle`), to features at a quarter of the side.

    Args:
        channels: of the images.
        filters: features, at a half and at a quarter of the side.
        blocks: residual blocks at each of these.
    """
    return nn.Sequential(
        Conv(4 * channels, filters),
        *(Block(filters) for _ in range(blocks)),
        Conv(filters, filters, stride=2),
        *(Block(filters) for _ in range(blocks)),
        nn.ELU(),
    )


def growing(filters: int, blocks: int) -> nn.Sequential:
    """From features at a quarter of the side to those at a half; the other way of `shrinking`."""
    return nn.Sequential(
        *(Block(filters) for _ in range(blocks)),
        Conv(filters, 4 * filters, 1),
        nn.PixelShuffle(2),
        *(Block(filters) for _ in range(blocks)),
    )


class Ends(nn.Module):
    """From features at half the image's size to the parameters of its samples.

    Args:
        filters: features.
        channels: of the image.
        family: whose parameters.
        scales: "pixel" where log-scales depend on the features, "channel" where each channel has its own.
    """

    def __init__(self, filters: int, channels: int, family: Family, scales: str) -> None:
        super().__init__()
        self.channels, self.parameters_each = channels, family.parameters
        self.out = Conv(filters, 4 * channels * family.parameters, gain=0.1)
        first, seen = torch.zeros(channels, family.parameters), torch.ones(family.parameters)
        log_scales = slice(0, 0)
        if isinstance(family, MixtureFamily):
            j = family.components
            first[:, j : 2 * j], log_scales = torch.linspace(-0.9, 0.9, j), slice(2 * j, 3 * j)
        elif isinstance(family, LogisticFamily):
            log_scales = slice(1, 2)
        first[:, log_scales] = FIRST_LOG_SCALE
        seen[log_scales] = float(scales == "pixel")
        self.first = nn.Parameter(first)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Of features [B, F, H / 2, W / 2]: [B, C, H, W, P], in the precision of the weights."""
        found = F.pixel_shuffle(self.out(F.elu(features)).to(self.first.dtype), 2)
        rows = torch.unflatten(found, 1, (self.channels, self.parameters_each)).permute(0, 1, 3, 4, 2)
        return rows * self.seen + self.first[:, None, None]

    seen: Tensor
