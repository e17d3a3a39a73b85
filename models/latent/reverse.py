"""Networks of a diffusion's way back: from x^t and t to numbers of each sample, which are 0 before training.

    RadialBasis   a normalized radial basis for a few samples
    Layered       a perceptron
    Residual      convolutions at a half and at a quarter of the side

Outputs of all are mixed by functions of t, for each sample.

Source: the diffusion paper, appendix D: the first two are those of D.1.1 and D.1.2; functions of t and the mix are
(62) and (63). Its multi-scale convolutions are residual blocks at two resolutions here, which know t too.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .layers import Block, Conv

__all__ = ["Bumps", "Layered", "RadialBasis", "Residual", "network_for"]


class Bumps(nn.Module):
    """Overlapping functions of t that sum to 1: by distances from so many places; one for each t where that is T."""

    def __init__(self, steps: int, count: int) -> None:
        super().__init__()
        places = torch.linspace(1, steps, count)
        width = (steps - 1) / max(1, count - 1)
        t = torch.arange(steps + 1, dtype=torch.float32)[:, None]
        shares = torch.softmax(-0.5 * ((t - places) / width).square(), 1) if count < steps else (t == places).float()
        self.register_buffer("shares", shares, persistent=False)

    shares: Tensor

    def forward(self, t: Tensor) -> Tensor:
        """[B, count]."""
        return self.shares[t]


class Readout(nn.Module):
    """Linear maps from features, mixed by functions of t."""

    def __init__(self, steps: int, features: int, outputs: int, bumps: int) -> None:
        super().__init__()
        self.count, self.bumps = outputs, Bumps(steps, min(bumps, steps))
        self.map = nn.Linear(features, outputs * min(bumps, steps))
        with torch.no_grad():
            self.map.weight.zero_()
            self.map.bias.zero_()

    def forward(self, features: Tensor, t: Tensor) -> Tensor:
        """Of [B, F]: [B, outputs]."""
        time = self.bumps(t).to(features.dtype)
        found: Tensor = torch.bmm(time[:, None], self.map(features).view(len(features), -1, self.count))[:, 0]
        return found


class RadialBasis(nn.Module):
    """Units that share out one activation by their distances from x^t."""

    def __init__(self, dimensions: int, outputs: int, steps: int, units: int, bumps: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(1.5 * torch.randn(units, dimensions))
        self.log_widths = nn.Parameter(torch.full((units,), math.log(0.5)))
        self.readout = Readout(steps, units, outputs, bumps)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Of [B, D]: [B, outputs]."""
        distance = (x[:, None] - self.centres).square().sum(2) * torch.exp(-2 * self.log_widths)
        found: Tensor = self.readout(torch.softmax(-0.5 * distance, 1), t)
        return found


class Layered(nn.Module):
    """Layers of units in turn, with sigmoids."""

    def __init__(self, dimensions: int, outputs: int, steps: int, units: int, layers: int, bumps: int) -> None:
        super().__init__()
        wide = [dimensions] + [units] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(wide))
        self.readout = Readout(steps, units, outputs, bumps)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Of [B, D]: [B, outputs]."""
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        found: Tensor = self.readout(x, t)
        return found


class Flat(nn.Module):
    """One of the two before for the samples of small images."""

    def __init__(self, inner: nn.Module, outputs: int) -> None:
        super().__init__()
        self.inner, self.outputs = inner, outputs

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Of [B, C, H, W]: [B, outputs, C, H, W]."""
        found: Tensor = self.inner(x.flatten(1), t)
        return found.view(len(x), self.outputs, *x.shape[1:])


class _Timed(nn.Module):
    """A residual block whose features are moved and scaled by t."""

    def __init__(self, filters: int, bumps: int) -> None:
        super().__init__()
        self.block = Block(filters)
        self.by_time = nn.Linear(bumps, 2 * filters, bias=False)
        with torch.no_grad():
            self.by_time.weight.normal_(0, 0.1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale = self.by_time(time)[:, :, None, None].chunk(2, 1)
        moved = x * (1 + scale) + shift
        found: Tensor = x + self.block(moved) - moved
        return found


class Residual(nn.Module):
    """Residual blocks at half the side, at a quarter, and at half again."""

    def __init__(self, channels: int, outputs: int, steps: int, filters: int, blocks: int, bumps: int) -> None:
        super().__init__()
        self.channels, self.outputs, self.count = channels, outputs, bumps
        self.bumps = Bumps(steps, bumps)
        self.first = Conv(4 * channels, filters)
        self.shrink, self.grow = Conv(filters, filters, stride=2), Conv(filters, 4 * filters, 1)
        self.before, self.inside, self.after = (
            nn.ModuleList(_Timed(filters, bumps) for _ in range(blocks)) for _ in range(3)
        )
        self.last = nn.Conv2d(filters, 4 * channels * outputs * bumps, 1)
        with torch.no_grad():
            self.last.weight.zero_()
            assert self.last.bias is not None
            self.last.bias.zero_()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Of [B, C, H, W]: [B, outputs, C, H, W]."""
        time = self.bumps(t).to(x.dtype)
        found = self.first(F.pixel_unshuffle(x, 2))
        for block in self.before:
            found = block(found, time)
        small = self.shrink(F.elu(found))
        for block in self.inside:
            small = block(small, time)
        found = found + F.pixel_shuffle(self.grow(small), 2)
        for block in self.after:
            found = block(found, time)
        outputs = torch.unflatten(self.last(F.elu(found)).to(x.dtype), 1, (self.count, -1))
        mixed = torch.einsum("bjchw,bj->bchw", outputs, time)
        shuffled: Tensor = torch.unflatten(F.pixel_shuffle(mixed, 2), 1, (self.outputs, self.channels))
        return shuffled


def network_for(
    name: str, outputs: int, channels: int, size: tuple[int, int] | None, steps: int, units: int, depth: int, bumps: int
) -> nn.Module:
    """A network by name, for images [B, C, H, W] and steps [B]: so many numbers of each sample.

    Args:
        name: "residual", or for few samples "radial" or "layered".
        outputs: numbers of each sample.
        channels: of the images.
        size: of the images; needed for the latter two.
        steps: T.
        units: features, or hidden units.
        depth: residual blocks at each resolution, or layers.
        bumps: functions of t that outputs are mixed by; from T on, each t has outputs of its own.

    Raises:
        UsageError: an unknown name, or one for a few samples where the size of the images is not said.
    """
    if name == "residual":
        return Residual(channels, outputs, steps, units, depth, bumps)
    if name not in ("radial", "layered") or size is None:
        raise UsageError(f"network = {name!r}, size = {size}: residual, or radial or layered with a size")
    samples = channels * size[0] * size[1]
    if name == "radial":
        return Flat(RadialBasis(samples, outputs * samples, steps, units, bumps), outputs)
    return Flat(Layered(samples, outputs * samples, steps, units, depth, bumps), outputs)
