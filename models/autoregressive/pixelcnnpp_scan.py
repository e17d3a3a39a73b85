"""PixelCNN++ pixel by pixel: what a decoder runs.

The down stream has seen whole rows only, so a row of it is computed at once, when the row above is complete; with it
whatever the right stream takes from it. The right stream is computed a pixel at a time. Each convolution keeps the one
row of inputs above that it will look at again, at its own size; the sizes of a half and a quarter have something to do
in every second and fourth row and column only. So every activation of every layer is computed once, and what is kept of
the activations grows with the width of the image, not with its area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.entropy.pmf import LogisticMixture, Pmf
from ...codec.entropy.portable import exp
from .density import Scan
from .pixelcnnpp_config import HALF_RANGE
from .pixelcnnpp_layers import Block, Conv, Stream, concat_elu, gated
from .pixelcnnpp_network import Network, filtered, log_masses

__all__ = ["PixelCNNPPScan"]

STEP = 2.0**-8
"""Rounding of logits, means (levels) and log-scales. The divergence of a logistic that is moved by δ is δ² / (6 s²)
nats, and of one whose log-scale is, about 0.7 δ². With δ² of STEP² / 12 and s >= 0.12 levels: 2e-5 and 1e-6 bits."""


LEAST_LOGIT = -40.0
"""A component of less than e^-40 has no part in distributions of 24 bits."""


class _Row:
    """A convolution of the down stream, a row at a time.

    Attributes:
        held: the rows of inputs that it looks at, with the zeros to either side. [B, inputs, rows, W]
    """

    def __init__(self, conv: Conv, batch: int, width: int) -> None:
        self.weight, self.bias, self.stride = conv.weight(), conv.bias, conv.stride
        self.left, right = conv.pad[:2]
        self.width = width
        self.held = self.weight.new_zeros(batch, self.weight.shape[1], conv.kernel[0], width + self.left + right)

    def push(self, row: Tensor) -> None:
        """The next row of inputs. [B, inputs, W]."""
        self.held[:, :, :-1] = self.held[:, :, 1:].clone()
        self.held[:, :, -1, self.left : self.left + self.width] = row

    def value(self) -> Tensor:
        """Outputs at the last row. [B, outputs, ceil(W / stride)]."""
        return F.conv2d(self.held, self.weight, self.bias, (1, self.stride))[:, :, 0]


class _Point:
    """A 2x2 convolution of the right stream, a pixel at a time.

    Attributes:
        held: inputs above and here; columns begin with the zeros to the left. [B, W + 1, 2, inputs]
    """

    def __init__(self, conv: Conv, batch: int, width: int) -> None:
        weight = conv.weight()  # [outputs, inputs, rows, columns]
        self.matrix = weight.permute(3, 2, 1, 0).flatten(0, 2).contiguous()  # [columns · rows · inputs, outputs]
        self.bias = conv.bias
        self.held = weight.new_zeros(batch, width + 1, 2, weight.shape[1])

    def new_row(self) -> None:
        """Here becomes above."""
        self.held[:, :, 0] = self.held[:, :, 1]

    def push(self, column: int, inputs: Tensor) -> None:
        """The inputs at a column. [B, inputs]."""
        self.held[:, column + 1, 1] = inputs

    def value(self, column: int) -> Tensor:
        """Outputs at a column. [B, outputs]."""
        return torch.addmm(self.bias, self.held[:, column : column + 2].flatten(1), self.matrix)


def _matrix(conv: Conv) -> Tensor:
    """Weights of a 1x1 convolution. [inputs, outputs]."""
    return conv.weight()[:, :, 0, 0].T


class _DownBlock:
    """A block of the down stream."""

    def __init__(self, block: Block, batch: int, width: int) -> None:
        self.first, self.second = _Row(block.first, batch, width), _Row(block.second, batch, width)
        self.beside, self.features = block.beside, block.features

    def row(self, x: Tensor, beside: Tensor | None, features: Tensor | None) -> Tensor:
        """[B, C, W] -> [B, C, W]."""
        self.first.push(concat_elu(x))
        y = self.first.value()
        if self.beside is not None and beside is not None:
            y = y + self.beside(concat_elu(beside)[:, :, None])[:, :, 0]
        self.second.push(concat_elu(y))
        y = self.second.value()
        if self.features is not None and features is not None:
            y = y + self.features(features[:, :, None])[:, :, 0]
        return gated(x, y)


class _RightBlock:
    """A block of the right stream; what it takes from the down stream and from features is computed a row at once."""

    def __init__(self, block: Block, batch: int, width: int, filters: int) -> None:
        assert block.beside is not None
        self.first, self.second = _Point(block.first, batch, width), _Point(block.second, batch, width)
        self.features = block.features
        weight = _matrix(block.beside)  # inputs: x, -x of (down, skip), down and skip having `filters` each
        parts = weight.reshape(2, -1, weight.shape[1])  # [2, filters or 2 filters, outputs]
        self.from_down = parts[:, :filters].flatten(0, 1)
        self.from_skip = parts[:, filters:].flatten(0, 1) if parts.shape[1] > filters else None
        self.bias = block.beside.bias
        self.given: Tensor = self.bias
        self.added: Tensor = self.bias

    def new_row(self, down: Tensor, features: Tensor | None) -> None:
        """The down stream [B, C, W] and features [B, F, W] of the row that begins."""
        self.first.new_row()
        self.second.new_row()
        self.given = concat_elu(down).permute(2, 0, 1) @ self.from_down + self.bias  # [W, B, C]
        if self.features is not None and features is not None:
            self.added = self.features(features[:, :, None])[:, :, 0].permute(2, 0, 1)

    def point(self, column: int, x: Tensor, skip: Tensor | None) -> Tensor:
        """[B, C] -> [B, C]."""
        self.first.push(column, concat_elu(x))
        y = self.first.value(column) + self.given[column]
        if self.from_skip is not None and skip is not None:
            y = torch.addmm(y, concat_elu(skip), self.from_skip)
        self.second.push(column, concat_elu(y))
        y = self.second.value(column)
        if self.features is not None:
            y = y + self.added[column]
        return gated(x, y)


class PixelCNNPPScan(Scan):
    """The incremental evaluation of a `PixelCNNPP`. See the module and `Scan`; a step is a channel of a pixel.

    Args:
        model: the network; its weights are taken now.
        batch: images.
        height: of the images, pixels.
        width: of the images, pixels.
        features: extra feature maps [B, F, H, W] of a model that is conditional on them.
    """

    def __init__(self, model: Network, batch: int, height: int, width: int, features: Tensor | None = None) -> None:
        model.check_features(features)
        config = model.config
        self.model, self.batch, self.height, self.width = model, batch, height, width
        self.features = features
        device = model.direct.device
        area, channels = height * width, config.channels
        self.steps = [
            torch.tensor([channel * area + pixel], device=device)
            for pixel in range(area)
            for channel in range(channels)
        ]
        self.grid = torch.full((3 * config.mixtures,), STEP, dtype=torch.float64, device=device)
        self.out = self.straight = model.center

    @torch.no_grad()
    def _start(self) -> None:
        model, batch, reach = self.model, self.batch, self.model.config.reach
        filters, channels = model.config.filters, model.config.channels
        widths = [self.width, -(-self.width // 2), -(-self.width // 4)]
        new = model.direct.new_zeros

        def downs(stream: Stream) -> Iterator[list[list[_DownBlock]]]:
            for half in (stream.shrinking, stream.growing):
                yield [[_DownBlock(b, batch, w) for b in blocks] for blocks, w in zip(half, widths, strict=True)]

        def rights(stream: Stream) -> Iterator[list[list[_RightBlock]]]:
            for half in (stream.shrinking, stream.growing):
                yield [
                    [_RightBlock(b, batch, w, filters) for b in blocks] for blocks, w in zip(half, widths, strict=True)
                ]

        self.down_shrinking, self.down_growing = downs(model.down)
        self.right_shrinking, self.right_growing = rights(model.right)
        self.down_shrink = [_Row(conv, batch, w) for conv, w in zip(model.down.shrink, widths[:2], strict=True)]
        self.right_shrink = [_Point(conv, batch, w) for conv, w in zip(model.right.shrink, widths[:2], strict=True)]
        self.right_grow = [(_matrix(grow.conv), grow.conv.bias) for grow in model.right.grow]
        self.down_grown = [new(0), new(0)]  # [B, filters, 2, W] of the two larger sizes
        self.right_grown = [new(batch, 2, w + 1, filters) for w in widths[:2]]
        self.head = _matrix(model.head)
        self.left = model.right_left.weight()[:, :, 0].flatten(1).T  # [(3 C + 1) · reach, filters]
        # Prediction of the samples, then what is added to the outputs by the innovations.
        filters_around = [weight * model.causal for weight in (model.prediction, model.direct)]
        self.around_above = [weight[:, :, :reach] for weight in filters_around]
        self.around_left = [weight[:, :, reach, :reach].flatten(1).T for weight in filters_around]  # [C · reach, ...]
        # Samples in [-1, 1], innovations and a plane of ones, zeros outside the image.
        self.widths_of_inputs = [channels, model.planes]
        self.canvas = new(batch, channels + model.planes + 1, self.height + reach, self.width + 2 * reach)
        self.canvas[:, -1, reach:, reach : reach + self.width] = 1
        self.pyramid = [self.features]
        for _ in range(2):
            before = self.pyramid[-1]
            self.pyramid.append(None if before is None else F.avg_pool2d(before, 2, ceil_mode=True))

    def _new_row(self, y: int) -> None:
        """Everything that depends on the rows above y only."""
        model, reach = self.model, self.model.config.reach
        strip = self.canvas[:, :, y : y + reach]
        d = F.conv2d(strip, model.down_above.weight(), model.down_above.bias)[:, :, 0]
        self.row_above = F.conv2d(strip, model.right_above.weight(), model.right_above.bias)[:, :, 0]
        self.row_above = (self.row_above + model.right_left.bias[:, None]).permute(2, 0, 1)  # [W, B, filters]
        parts = torch.split(strip[:, :-1], self.widths_of_inputs, 1)
        constants = (model.center, model.head.bias)
        self.row_around = [
            filtered(part, weight, bias)[:, :, 0].permute(2, 0, 1)  # [W, B, C or O]
            for part, weight, bias in zip(parts, self.around_above, constants, strict=True)
        ]
        top = 2 if y % 4 == 0 else 1 if y % 2 == 0 else 0
        features = [None if p is None else p[:, :, y >> level] for level, p in enumerate(self.pyramid)]
        skips: list[list[Tensor]] = []
        for level in range(top + 1):
            if level:
                d = self.down_shrink[level - 1].value()
            skips.append([d])
            blocks = zip(self.down_shrinking[level], self.right_shrinking[level], strict=True)
            for one, other in blocks:
                d = one.row(d, None, features[level])
                other.new_row(d, features[level])
                skips[level].append(d)
            if level < 2:
                self.right_shrink[level].new_row()
                self.down_shrink[level].push(d)
        for level in range(top, -1, -1):
            d = skips[2].pop() if level == 2 else self.down_grown[level][:, :, (y >> level) % 2]
            blocks = zip(self.down_growing[level], self.right_growing[level], strict=True)
            for one, other in blocks:
                d = one.row(d, skips[level].pop(), features[level])
                other.new_row(d, features[level])
            if level:
                width = -(-self.width // (1 << (level - 1)))
                self.down_grown[level - 1] = self.model.down.grow[level - 1](d[:, :, None], 2, width)

    def _pixel(self, y: int, x: int) -> None:
        """The network's outputs for one pixel of every image."""
        reach = self.model.config.reach
        near = self.canvas[:, :, y + reach, x : x + reach]
        r = torch.addmm(self.row_above[x], near.flatten(1), self.left)
        self.straight, direct = (
            torch.addmm(row[x], part.flatten(1), weight)
            for row, part, weight in zip(
                self.row_around, torch.split(near[:, :-1], self.widths_of_inputs, 1), self.around_left, strict=True
            )
        )
        top = 2 if y % 4 == 0 and x % 4 == 0 else 1 if y % 2 == 0 and x % 2 == 0 else 0
        skips: list[list[Tensor]] = []
        for level in range(top + 1):
            column = x >> level
            if level:
                r = self.right_shrink[level - 1].value(x >> (level - 1))
            skips.append([r])
            for block in self.right_shrinking[level]:
                r = block.point(column, r, None)
                skips[level].append(r)
            if level < 2:
                self.right_shrink[level].push(column, r)
        for level in range(top, -1, -1):
            column = x >> level
            r = skips[2].pop() if level == 2 else self.right_grown[level][:, (y >> level) % 2, column]
            for block in self.right_growing[level]:
                r = block.point(column, r, skips[level].pop())
            if level:
                matrix, bias = self.right_grow[level - 1]
                four = torch.addmm(bias, r, matrix).view(len(r), -1, 2, 2).permute(0, 2, 3, 1)  # [B, 2, 2, C]
                place = self.right_grown[level - 1][:, :, 2 * column : 2 * column + 2]
                place.copy_(four[:, :, : place.shape[2]])
        self.out = torch.addmm(direct, F.elu(r), self.head)

    @torch.no_grad()
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`. Logits, means and log-scales, in levels; 3 K of them."""
        channels, reach = self.model.config.channels, self.model.config.reach
        pixel, channel = divmod(step, channels)
        y, x = divmod(pixel, self.width)
        if channel == 0:
            if step == 0:
                self._start()
            else:
                v, u = divmod(pixel - 1, self.width)
                real = self._real(known[:, :, v, u])
                place = self.canvas[:, :-1, v + reach, u + reach]
                place[:, :channels], place[:, channels:] = real, self.model.innovations(real - self.straight)
            if x == 0:
                self._new_row(y)
            self._pixel(y, x)
        parameters: Tensor = self._parameters(self.out, self.straight, known[:, :, y, x])[channel]
        return parameters

    @torch.no_grad()
    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """See `Scan`: one pass of the network."""
        real = self._real(x)
        was = self.model.training
        self.model.eval()
        out, straight = self.model.network(real, self.features)
        self.model.train(was)
        for y in range(self.height):
            row = [part[:, :, y].permute(0, 2, 1).flatten(0, 1) for part in (out, straight, x)]  # [B · W, ...]
            channels = self._parameters(*row)
            for column in range(self.width):
                for channel in channels:
                    yield channel[column :: self.width]

    def pmf(self, parameters: Tensor) -> Pmf:
        """See `Scan`."""
        logits, means, log_scales = parameters.chunk(3, 1)
        return LogisticMixture(logits, means, exp(log_scales), self.model.levels)

    def _parameters(self, out: Tensor, straight: Tensor, x: Tensor) -> list[Tensor]:
        """Those of each channel, in levels: logits, means, log-scales; for channels after unknown ones without meaning.

        A pixel is of one component in all its channels: those that are known say which it may be.

        Args:
            out: of the head. [m, O]
            straight: linear prediction. [m, C]
            x: samples. [m, C]

        Returns:
            For each channel [m, 3 K].
        """
        real = self._real(x)
        logits, means, log_scales = self.model.mixture(out, straight, real)
        masses = log_masses(x, real, means, log_scales)  # [m, C, K]
        found = []
        for channel in range(masses.shape[1]):
            posterior = F.log_softmax(logits + masses[:, :channel].sum(1), 1).clamp(min=LEAST_LOGIT)
            levels = (means[:, channel] + 1) * HALF_RANGE
            found.append(torch.cat([posterior, levels, log_scales[:, channel] + math.log(HALF_RANGE)], 1))
        return found

    def _real(self, x: Tensor) -> Tensor:
        real: Tensor = x.to(self.model.direct.dtype) / HALF_RANGE - 1
        return real
