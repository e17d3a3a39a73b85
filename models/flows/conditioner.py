"""The networks of couplings: residual, with normalized weights."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conditioner"]


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
