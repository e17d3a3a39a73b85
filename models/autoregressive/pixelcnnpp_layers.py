"""Layers of a PixelCNN++: convolutions that look up and left only, gated residual blocks, two streams of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pixelcnnpp_config import PixelCNNPPConfig

__all__ = ["Block", "Conv", "Grow", "Stream", "above", "concat_elu", "down", "gated", "left", "right"]


LEAST_DEVIATION = 0.01
"""Outputs that vary less on the first batch are not magnified to full size: nothing is known of their scale. Usually
they vary by about 1, as inputs do."""


class Conv(nn.Module):
    """A convolution with weight normalisation, on an input padded so that its output looks up and left only.

    Args:
        inputs: features.
        outputs: features.
        kernel: rows, columns.
        pad: zeros added left, right, above and below; negative ones cut.
        stride: of rows and columns.
        scale: of the outputs at first: their standard deviation on the batch that `initialize` sees.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        pad: tuple[int, int, int, int] = (0, 0, 0, 0),
        stride: int = 1,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel, self.pad, self.stride, self.scale = kernel, pad, stride, scale
        self.initializing = False
        self.direction = nn.Parameter(torch.randn(outputs, inputs, *kernel) * 0.05)
        self.gain = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def weight(self) -> Tensor:
        """The direction at the length of the gain. [outputs, inputs, *kernel]."""
        # One operation, where norm, ratio and product with their gradients are fifteen: a third of a GPU's step.
        weight: Tensor = torch._weight_norm(self.direction, self.gain[:, None, None, None])
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, ceil(H / stride), ceil(W / stride)]."""
        if any(self.pad):
            x = F.pad(x, self.pad)
        if self.initializing:
            with torch.no_grad():
                self.gain.fill_(1.0)
                first = F.conv2d(x, self.weight(), None, self.stride)
                deviation = first.var((0, 2, 3), correction=0).sqrt()
                self.gain.copy_(self.scale / torch.where(deviation < LEAST_DEVIATION, 1.0, deviation))
                self.bias.copy_(-first.mean((0, 2, 3)) * self.gain)
        return F.conv2d(x, self.weight(), self.bias, self.stride)


def down(inputs: int, outputs: int, stride: int = 1, scale: float = 1.0) -> Conv:
    """A convolution of the down stream: this row and the one above, one column to either side."""
    return Conv(inputs, outputs, (2, 3), (1, 1, 1, 0), stride, scale)


def right(inputs: int, outputs: int, stride: int = 1, scale: float = 1.0) -> Conv:
    """A convolution of the right stream: this pixel, left, above, above left."""
    return Conv(inputs, outputs, (2, 2), (1, 0, 1, 0), stride, scale)


def above(inputs: int, outputs: int, reach: int) -> Conv:
    """Sees `reach` rows, without this one."""
    return Conv(inputs, outputs, (reach, 2 * reach + 1), (reach, reach, reach, -1))


def left(inputs: int, outputs: int, reach: int) -> Conv:
    """Sees `reach` pixels of this row, without this one."""
    return Conv(inputs, outputs, (1, reach), (reach, -1, 0, 0))


def concat_elu(x: Tensor) -> Tensor:
    """[..., C, H, W] -> [..., 2 C, H, W]."""
    return F.elu(torch.cat([x, -x], 1))


def gated(x: Tensor, y: Tensor) -> Tensor:
    """The end of a block: [B, C, ...] and [B, 2 C, ...] -> [B, C, ...]."""
    value, gate = torch.chunk(y, 2, 1)
    return x + value * torch.sigmoid(gate)


class Block(nn.Module):
    """A gated residual block.

    Args:
        conv: `down` or `right`.
        filters: of the stream.
        beside: features of the other stream and of skips that the block also sees, at the same place; 0 for none.
        features: extra feature maps; 0 for none.
        dropout: probability.
    """

    def __init__(self, conv: Callable[..., Conv], filters: int, beside: int, features: int, dropout: float) -> None:
        super().__init__()
        self.first = conv(2 * filters, filters)
        self.second = conv(2 * filters, 2 * filters, scale=0.1)
        self.beside = Conv(2 * beside, filters) if beside else None
        self.features = Conv(features, 2 * filters, scale=0.1) if features else None
        self.dropout = dropout

    def forward(self, x: Tensor, beside: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """[B, filters, H, W] -> the same."""
        y = self.first(concat_elu(x))
        if self.beside is not None and beside is not None:
            y = y + self.beside(concat_elu(beside))
        y = concat_elu(y)
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        y = self.second(y)
        if self.features is not None and features is not None:
            y = y + self.features(features)
        return gated(x, y)


class Grow(nn.Module):
    """A 2x2 transposed convolution: every place becomes four."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv = Conv(filters, 4 * filters)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """[B, C, ceil(H / 2), ceil(W / 2)] -> [B, C, H, W]."""
        return F.pixel_shuffle(self.conv(x), 2)[:, :, :height, :width]


class Stream(nn.Module):
    """The layers of one stream: blocks of the shrinking half, of the growing half, and what is between sizes."""

    shrinking: Any  # ModuleLists of Block for each size
    growing: Any
    shrink: Any  # ModuleList of Conv, and of Grow
    grow: Any

    def __init__(self, config: PixelCNNPPConfig, conv: Callable[..., Conv], beside: int) -> None:
        super().__init__()
        n, f = config.blocks, config.filters

        def blocks(count: int, width: int) -> nn.ModuleList:
            return nn.ModuleList(Block(conv, f, width, config.features, config.dropout) for _ in range(count))

        self.shrinking = nn.ModuleList(blocks(n, beside) for _ in range(3))
        self.shrink = nn.ModuleList(conv(f, f, stride=2) for _ in range(2))
        self.growing = nn.ModuleList(blocks(n + (level < 2), beside + f) for level in range(3))
        self.grow = nn.ModuleList(Grow(f) for _ in range(2))
