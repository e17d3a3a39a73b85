"""A log-density along one number, which a network makes of what is known: smooth kinks, and a logarithm for the tails.

    s(z) = Σ_j a_j / w_j sqrt(1 + (w_j (z - m_j))²) + t z - u log(1 + z²)

with slopes a, places m and widths 1 / w of J kinks, tilt t and tail u, of z that is first moved and scaled. It is
smooth, and its derivatives are as cheap as its values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Kinks", "Network", "Shape"]


class Shape(NamedTuple):
    """A log-density along z, but for a constant: what the network says of a pixel's channel, each [n, J] or [n, 1].

    Attributes:
        slopes: a, of the kinks.
        places: m.
        widths: w, inverse.
        centre: what z is moved by, before all else.
        gain: what it is multiplied by then.
        tilt: of the whole.
        tail: of the logarithm.
        height: of the whole; matters to the joint density only.
    """

    slopes: Tensor
    places: Tensor
    widths: Tensor
    centre: Tensor
    gain: Tensor
    tilt: Tensor
    tail: Tensor
    height: Tensor

    def part(self, first: int, stop: int) -> Shape:
        """That of rows first to stop - 1."""
        return Shape(*(values[first:stop] for values in self))

    def value(self, z: Tensor, twice: bool = False) -> Tensor:
        """Of s at some values of each pixel, [n, V] -> [n, V]; `twice` where derivatives of few will be derived."""
        z = (z - self.centre) * self.gain
        total = each_kink if twice else Kinks.apply
        kinks: Tensor = total(z, self.slopes / self.widths, self.places, self.widths)
        return kinks + self.tilt * z - self.tail * torch.log1p(z * z) + self.height

    def slopes_at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives s' and s'' by z at some values of each pixel, [n, V] -> [n, V] twice."""
        z = (z - self.centre) * self.gain
        q = self.widths[:, None] * (z[..., None] - self.places[:, None])
        root, square = torch.rsqrt(1 + q * q), z * z
        slope = (self.slopes[:, None] * q * root).sum(-1) + self.tilt - 2 * self.tail * z / (1 + square)
        curvature = ((self.slopes * self.widths)[:, None] * root**3).sum(-1)
        curvature = curvature - 2 * self.tail * (1 - square) / (1 + square) ** 2
        return self.gain * slope, self.gain**2 * curvature


def each_kink(z: Tensor, heights: Tensor, places: Tensor, widths: Tensor) -> Tensor:
    """What `Kinks` computes, at once."""
    q = widths[:, None] * (z[..., None] - places[:, None])
    return (heights[:, None] * torch.sqrt(1 + q * q)).sum(-1)


class Kinks(torch.autograd.Function):
    """Σ_j b_j sqrt(1 + (w_j (z - m_j))²), of z [n, V] and b, m and w [n, J]: [n, V].

    What autograd would keep is J times as large as the result: one kink after the other stays in a processor's cache.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, heights: Tensor, places: Tensor, widths: Tensor) -> Tensor:
        """See the class."""
        ctx.save_for_backward(z, heights, places, widths)
        total = torch.zeros_like(z)
        for b, m, w in zip(*(torch.split(v, 1, 1) for v in (heights, places, widths)), strict=True):
            q = (z - m).mul_(w)
            total.addcmul_(b, torch.addcmul(torch.ones_like(q), q, q).sqrt_())
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        z, heights, places, widths = ctx.saved_tensors
        by_z, found = torch.zeros_like(z), []
        for b, m, w in zip(*(torch.split(v, 1, 1) for v in (heights, places, widths)), strict=True):
            apart = z - m
            q = apart * w
            root = torch.addcmul(torch.ones_like(q), q, q).sqrt_()
            by_height = (grad * root).sum(1)
            q.div_(root).mul_(grad)  # by w (z - m), but for b
            by_z.addcmul_(b * w, q)
            found.append((by_height, q.sum(1), (q * apart).sum(1)))
        by_heights, by_places, by_widths = (torch.stack(part, 1) for part in zip(*found, strict=True))
        return by_z, by_heights, -heights * widths * by_places, heights * by_widths


class Network(nn.Module):
    """From what is known of a pixel to the shape of its log-density.

    Args:
        inputs: numbers.
        filters: features.
        layers: residual.
        kinks: J.
    """

    def __init__(self, inputs: int, filters: int, layers: int, kinks: int) -> None:
        super().__init__()
        self.kinks = kinks
        self.first = nn.Linear(inputs, filters)
        self.layers = nn.ModuleList(nn.Linear(filters, filters) for _ in range(layers))
        self.last = nn.Linear(filters + inputs, 3 * kinks + 5)
        with torch.no_grad():
            self.last.weight.mul_(0.2)
            places = torch.linspace(-3, 3, kinks)
            widths = torch.linspace(-0.3, 1.2, 4).repeat(-(-kinks // 4))[:kinks]  # as logarithms
            self.last.bias.copy_(torch.cat([torch.zeros(kinks), places, widths, torch.zeros(5)]))

    def forward(self, x: Tensor) -> Shape:
        """[n, inputs] -> shapes of n rows."""
        y = nn.functional.silu(self.first(x))
        for layer in self.layers:
            y = y + nn.functional.silu(layer(y))
        parts = self.last(torch.cat([y, x], 1)).split([self.kinks] * 3 + [1] * 5, 1)
        slopes, places, widths, centre, gain, tilt, tail, height = parts
        return Shape(slopes, places, soft_exp(widths), centre, soft_exp(gain), tilt, soft_exp(tail), height)


def soft_exp(x: Tensor) -> Tensor:
    """The exponential, within e^-4 and e^4."""
    return torch.exp(4 * torch.tanh(x / 4))
