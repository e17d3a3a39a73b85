"""Real NVP and NICE: couplings between the two colours of a checkerboard, and between channels, at several scales.

A scale squeezes blocks of 2 x 2 pixels to channels, where a checkerboard is a choice of channels: networks see half of
the pixels, and no place that is masked. Couplings change one half by the other, in turn; first halves of checkerboards,
then channels. Then half of the values leave as latents, and the others go on to the next scale.

Where couplings scale, batch normalization follows each. Where they only add (NICE), latents are scaled at the end, and
all couplings are coded on the grid itself, without noise.

Source: Dinh, Sohl-Dickstein, Bengio, *Density estimation using real NVP* (2017), 3; Dinh, Krueger, Bengio, *NICE*
(2015). Ours whiten colours first, and begin with a linear prediction beside the residual network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .layers import Coupling, Flow, Layer, Part, Permute, Squeeze, Unsqueeze
from .norms import BatchNorm, Scale, Whiten

__all__ = ["Conditioner", "RealNvp", "RealNvpConfig", "scales"]


@dataclass(frozen=True)
class RealNvpConfig:
    """What a real NVP is.

    Attributes:
        channels: of the images: 1 or 3.
        scales: how often blocks of 2 x 2 pixels become channels.
        checkerboards: couplings between the halves of a checkerboard, at each scale.
        couplings: between channels, at each scale.
        filters: features of a network.
        blocks: residual blocks of a network.
        additive: couplings only shift: NICE.
    """

    channels: int = 3
    scales: int = 3
    checkerboards: int = 3
    couplings: int = 3
    filters: int = 32
    blocks: int = 1
    additive: bool = False


class _Conv(nn.Module):
    """A convolution of 3 x 3 with normalized weights: a length and a direction for each output."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.length = nn.Parameter(torch.full((outputs, 1, 1, 1), gain))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        norm = self.direction.square().sum((1, 2, 3), keepdim=True).rsqrt()
        return F.conv2d(x, self.direction * (norm * self.length), self.bias, padding=1)


class _Block(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.first, self.second = _Conv(filters, filters), _Conv(filters, filters, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(F.relu(self.first(F.relu(x))))
        return found


class Conditioner(nn.Module):
    """A residual network, and a linear one beside it, both 0 before training.

    The linear one is in the precision of the weights, also where the other is in bfloat16: pixels have more digits.

    Args:
        inputs: channels.
        outputs: channels.
        filters: features.
        blocks: residual ones.
    """

    def __init__(self, inputs: int, outputs: int, filters: int, blocks: int) -> None:
        super().__init__()
        self.direct = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.first, self.last = _Conv(inputs, filters, 1.5), nn.Conv2d(filters, outputs, 1, bias=False)
        self.blocks = nn.Sequential(*(_Block(filters) for _ in range(blocks)))
        for zero in (self.last.weight, self.direct.weight, cast(Tensor, self.direct.bias)):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Of x [B, inputs, H, W]: [B, outputs, H, W]."""
        with torch.autocast(x.device.type, enabled=False):
            direct = self.direct(x)
        found: Tensor = direct + self.last(F.relu(self.blocks(self.first(x))))
        return found


def _coupling(config: RealNvpConfig, channels: int, filters: int, first: bool, changed: int) -> list[Layer]:
    outputs = changed * (1 if config.additive else 2)
    network = Conditioner(channels - changed, outputs, filters, config.blocks)
    found: list[Layer] = [Coupling(network, channels, first, config.additive, changed)]
    return found if config.additive else [*found, BatchNorm(channels)]


def scales(config: RealNvpConfig, channels: int, number: int = 0) -> list[Layer]:
    """The layers of a scale and of those after it, for so many channels; they keep the shape."""
    wide, filters = 4 * channels, config.filters
    # Of the four pixels of a block, the first and the last have one colour of the checkerboard.
    board = [4 * c + place for places in ((0, 3), (1, 2)) for c in range(channels) for place in places]
    found: list[Layer] = [Squeeze(), Permute(board)]
    for turn in range(config.checkerboards):
        found += _coupling(config, wide, filters, turn % 2 == 0, wide // 2)
    colours = channels == config.channels == 3
    if colours:  # each in turn, by the two others
        by_place = [board.index(4 * c + place) for c in range(channels) for place in range(4)]
        found.append(Permute(by_place))
        for _ in range(config.couplings):
            found += _coupling(config, wide, filters, True, 4)
            found.append(Permute([*range(4, wide), *range(4)]))
        back = 4 * config.couplings
        found.append(Permute([(by_place.index(i) - back) % wide for i in range(wide)]))
    else:
        mixed = [half + i for i in range(0, wide // 2) for half in (0, wide // 2)]
        found.append(Permute(mixed))
        for turn in range(config.couplings):
            found += _coupling(config, wide, filters, turn % 2 == 0, wide // 2)
        found.append(Permute([mixed.index(i) for i in range(wide)]))
    if config.additive:
        found.append(Scale(wide))
    if number + 1 < config.scales:
        found.append(Part(scales(config, wide // 2, number + 1), wide // 2))
    return [*found, Unsqueeze()]


class RealNvp(Flow):
    """See the module."""

    def __init__(self, config: RealNvpConfig) -> None:
        least = min(config.scales, config.checkerboards + config.couplings, config.filters)
        if least < 1 or min(config.checkerboards, config.couplings, config.blocks) < 0:
            raise UsageError(
                f"scales = {config.scales}, checkerboards = {config.checkerboards}, couplings = {config.couplings}, "
                f"filters = {config.filters}, blocks = {config.blocks}: above 0"
            )
        super().__init__(config, config.channels, [Whiten(config.channels), *scales(config, config.channels)])
