"""Gated PixelCNN: masked convolutions in a vertical and a horizontal stack, and a probability for every level.

The vertical stack at a pixel has seen the rows above it, the horizontal stack these and what is left of it;
together they have no blind spot. The channels of a pixel come in turn: features are in groups, one for each channel,
and a group sees the earlier groups of its own pixel. Masks of kind A hide a group's own sample from it, those of kind
B do not.

Source: van den Oord, Kalchbrenner, Vinyals et al., *Conditional image generation with PixelCNN decoders* (2016),
section 2 and figure 2; the masks over channels are those of *Pixel recurrent neural networks* (2016), section 3.4. What
differs: the vertical convolutions are cut to the rows that they see, and not masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.pmf import Categorical, Pmf
from ...codec.errors import UsageError
from .density import AutoregressiveModel, Scan

__all__ = ["PixelCNN", "PixelCNNConfig"]

STEP = 2.0**-8
"""Rounding of logits: a divergence of at most half the variance of the error, STEP² / 24 = 6e-7 nats."""


@dataclass(frozen=True)
class PixelCNNConfig:
    """What a gated PixelCNN is.

    Attributes:
        channels: of the images: 1 or 3, or any number of maps of codes.
        filters: features of each stack, a multiple of `channels`.
        layers: gated layers after the first.
        first: side of the first layer's kernel, odd.
        kernel: side of the other kernels, odd.
        levels: values of a sample.
        embedding: numbers that stand for each value of a sample, where values are codes and not amounts; 0 for amounts.
    """

    channels: int = 1
    filters: int = 36
    layers: int = 5
    first: int = 7
    kernel: int = 3
    levels: int = 256
    embedding: int = 0


class Masked(nn.Conv2d):
    """A convolution along a row, over what is left and, at the pixel itself, over the channels before.

    Args:
        inputs: features, in `groups` equal groups.
        outputs: features, in `parts` times `groups` groups: the groups of each part stand side by side.
        reach: pixels to the left that it sees.
        groups: channels of the image.
        strict: mask A: a group does not see the same group at its own pixel.
        parts: see `outputs`; 2 for a value and a gate.
    """

    mask: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int, reach: int, groups: int, strict: bool, parts: int = 1) -> None:
        super().__init__(inputs, outputs, (1, reach + 1))
        self.reach = reach
        source = torch.arange(inputs) * groups // inputs
        target = (torch.arange(outputs) * groups * parts // outputs) % groups
        own = target[:, None] > source if strict else target[:, None] >= source
        mask = torch.ones(outputs, inputs, 1, reach + 1)
        mask[:, :, 0, -1] = own
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        return F.conv2d(F.pad(x, (self.reach, 0)), self.weight * self.mask, self.bias)

    def matrix(self) -> Tensor:
        """For one place: from the last columns of the inputs, side by side. [inputs · (reach + 1), outputs]."""
        return (self.weight * self.mask).flatten(1).T


class Layer(nn.Module):
    """A gated layer of both stacks.

    Args:
        inputs: features of both stacks before.
        filters: features after.
        kernel: side of the square that the two stacks see half of.
        groups: channels of the image.
        first: the first layer: the pixel itself is hidden, and there is no residual.
    """

    def __init__(self, inputs: int, filters: int, kernel: int, groups: int, first: bool) -> None:
        super().__init__()
        self.first, self.side = first, kernel // 2
        # The first layer sees `half` rows above the pixel's. Those features have not seen the row they stand in, so the
        # later layers may look at it.
        self.vertical = nn.Conv2d(inputs, 2 * filters, (self.side + (not first), kernel))
        self.across = nn.Conv2d(2 * filters, 2 * filters, 1)
        self.horizontal = Masked(inputs, 2 * filters, self.side, groups, first, parts=2)
        self.out = Masked(filters, filters, 0, groups, strict=False)

    def down(self, v: Tensor) -> Tensor:
        """The vertical stack before its gate. [B, inputs, H, W] -> [B, 2 filters, H, W]."""
        below: Tensor = self.vertical(F.pad(v, (self.side, self.side, self.side, -1 if self.first else 0)))
        return below

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """[B, inputs, H, W] twice -> [B, filters, H, W] twice."""
        below = self.down(v)
        step = self.out(gate(self.horizontal(h) + self.across(below)))
        return gate(below), step if self.first else h + step


def gate(x: Tensor) -> Tensor:
    """[B, 2 C, ...] -> [B, C, ...]."""
    value, by = x.chunk(2, 1)
    return torch.tanh(value) * torch.sigmoid(by)


class PixelCNN(AutoregressiveModel):
    """The network and its density. See the module."""

    layers: Any  # ModuleList of Layer

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        c, f = config.channels, config.filters
        if f % c:
            raise UsageError(f"{f} filters for {c} channels: a multiple is needed")
        self.config, self.channels, self.levels = config, c, config.levels
        self.table = nn.Embedding(config.levels, config.embedding) if config.embedding else None
        self.layers = nn.ModuleList(
            Layer(
                f if number else c * max(1, config.embedding),
                f,
                config.kernel if number else config.first,
                c,
                not number,
            )
            for number in range(config.layers + 1)
        )
        self.hidden = Masked(f, f, 0, c, strict=False)
        self.head = Masked(f, config.levels * c, 0, c, strict=False)

    def logits(self, x: Tensor) -> Tensor:
        """Of every sample, given those before. [B, C, H, W] samples -> [B, C, levels, H, W]."""
        v = h = self.real(x)
        for layer in self.layers:
            v, h = layer(v, h)
        out: Tensor = self.head(F.relu(self.hidden(F.relu(h))))
        return out.view(len(out), self.config.channels, self.levels, *out.shape[2:])

    def real(self, x: Tensor) -> Tensor:
        """Samples [B, C, ...] in [-1, 1], or what stands for codes, by channels. [B, inputs, ...]."""
        if self.table is None:
            return x.to(self.head.weight.dtype) * (2 / (self.levels - 1)) - 1
        found: Tensor = self.table(x.long()).movedim(-1, 2).flatten(1, 2)
        return found

    def log_prob(self, x: Tensor) -> Tensor:
        """See `AutoregressiveModel`."""
        logits = self.logits(x)
        if logits.dtype in {torch.bfloat16, torch.float16}:
            logits = logits.float()
        return -F.cross_entropy(logits.transpose(1, 2), x.long(), reduction="none").sum((1, 2, 3))

    def scan(self, batch: int, height: int, width: int) -> Scan:
        """See `AutoregressiveModel`."""
        return PixelCNNScan(self, batch, height, width)


class PixelCNNScan(Scan):
    """The incremental evaluation: the vertical stack a row at a time, the horizontal stack a sample at a time.

    Each activation of the vertical stack is computed once. The horizontal stack at a pixel is computed once for each of
    its channels, since a group of features knows one channel more than the group before; what lies to the left is kept.
    """

    def __init__(self, model: PixelCNN, batch: int, height: int, width: int) -> None:
        self.model, self.batch, self.height, self.width = model, batch, height, width
        device, area = model.head.weight.device, height * width
        self.steps = [
            torch.tensor([channel * area + pixel], device=device)
            for pixel in range(area)
            for channel in range(model.config.channels)
        ]
        self.grid = torch.full((model.levels,), STEP, dtype=torch.float64, device=device)

    def _start(self) -> None:
        new, layers = self.model.head.weight.new_zeros, self.model.layers
        # Of each layer the rows of its vertical inputs, and its horizontal inputs of this row, after zeros to the left.
        self.above = [
            new(self.batch, layer.vertical.in_channels, layer.vertical.kernel_size[0], self.width) for layer in layers
        ]
        self.left = [new(self.batch, layer.horizontal.in_channels, layer.side + self.width) for layer in layers]
        self.matrices = [(layer.horizontal.matrix(), layer.out.matrix()) for layer in layers]
        self.hidden, self.head = self.model.hidden.matrix(), self.model.head.matrix()

    def _new_row(self, known: Tensor, y: int) -> None:
        """The vertical stack at row y, which has seen the rows above."""
        v = self.model.real(known[:, :, y - 1]) if y else self.model.head.weight.new_zeros(())
        self.given = []
        for layer, above in zip(self.model.layers, self.above, strict=True):
            above[:, :, :-1] = above[:, :, 1:].clone()
            above[:, :, -1] = v
            below = layer.vertical(F.pad(above, (layer.side, layer.side)))
            self.given.append(layer.across(below)[:, :, 0])
            v = gate(below)[:, :, 0]
        for left in self.left:
            left.zero_()

    @torch.no_grad()
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`. Logits of the levels."""
        pixel, channel = divmod(step, self.model.config.channels)
        y, x = divmod(pixel, self.width)
        if step == 0:
            self._start()
        if channel == 0:
            if x == 0:
                self._new_row(known, y)
            else:
                self._pixel(known, y, x - 1)  # its last channel was not known when it was computed
        h = self._pixel(known, y, x)
        levels = slice(channel * self.model.levels, (channel + 1) * self.model.levels)
        h = F.relu(torch.addmm(self.model.hidden.bias, F.relu(h), self.hidden))
        return torch.addmm(self.model.head.bias[levels], h, self.head[:, levels])

    def _pixel(self, known: Tensor, y: int, x: int) -> Tensor:
        """The horizontal stack at a pixel, with what is known of it. [B, filters]."""
        h = self.model.real(known[:, :, y, x])
        for layer, left, given, (across, out) in zip(
            self.model.layers, self.left, self.given, self.matrices, strict=True
        ):
            left[:, :, layer.side + x] = h
            seen = left[:, :, x : x + layer.side + 1].flatten(1)
            step = gate(torch.addmm(layer.horizontal.bias, seen, across) + given[:, :, x])
            step = torch.addmm(layer.out.bias, step, out)
            h = step if layer.first else h + step
        return h

    @torch.no_grad()
    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """See `Scan`: one pass of the network."""
        logits = self.model.logits(x).flatten(3)  # [B, C, levels, H · W]
        for step in range(len(self.steps)):
            pixel, channel = divmod(step, self.model.config.channels)
            yield logits[:, channel, :, pixel]

    def pmf(self, parameters: Tensor) -> Pmf:
        """See `Scan`."""
        return Categorical.from_logits(parameters)
