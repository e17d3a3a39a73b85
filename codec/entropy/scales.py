"""Flows of several scales for local bits-back coding: some latents leave early, others go through more layers.

part    more layers for the first of an array's channels: the others are latents already
split   a prior of two parts, where the second depends on the first
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .codecs import Chain, Codec
from .localbitsback import Bijection, Grid, Relabelled
from .rans import Message

__all__ = ["part", "split"]


@dataclass(frozen=True)
class _Part(Bijection):
    """See `part`."""

    inner: Bijection
    size: int

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return torch.cat([self.inner.forward(x[:, : self.size]), x[:, self.size :]], 1)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return torch.cat([self.inner.inverse(z[:, : self.size]), z[:, self.size :]], 1)

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`."""
        return _Beside(self, prior, grid)


@dataclass(frozen=True)
class _Beside:
    """Codec of a part, that carries the rest to the prior and back."""

    whole: _Part
    prior: Codec[Tensor]
    grid: Grid

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        size, rest = self.whole.size, symbols[:, self.whole.size :]
        inward = Relabelled(self.prior, lambda z: torch.cat([z, rest], 1), lambda z: z[:, :size])
        self.whole.inner.codec(inward, self.grid).push(message, symbols[:, :size])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        size, rest = self.whole.size, list[Tensor]()

        def outward(z: Tensor) -> Tensor:
            rest.append(z[:, size:])
            return z[:, :size]

        first = self.whole.inner.codec(Relabelled(self.prior, _never, outward), self.grid).pop(message)
        return torch.cat([first, *rest], 1)


def _never(z: Tensor) -> Tensor:
    raise AssertionError("a prior is popped when what is before it is")


def part(inner: Bijection, size: int) -> Bijection:
    """The first channels by a bijection that keeps their shape, the others as they are.

    Args:
        inner: of arrays [B, size, ...].
        size: how many along axis 1.
    """
    return _Part(inner, size)


def split(first: Codec[Tensor], second: Callable[[Tensor], Codec[Tensor]], size: int, axis: int = 1) -> Codec[Tensor]:
    """Prior of an array whose parts have codecs of their own: of a flow of several scales, one of which ends here.

    Args:
        first: codec of the indices of the first `size` along the axis; `flow.codec(prior, grid)` if more layers follow.
        second: from those indices to the codec of the rest.
        size: of the first part.
        axis: along which to cut.
    """
    chain = Chain([lambda items: first, lambda items: second(items[0])])
    return Relabelled(
        chain,
        lambda z: [z.narrow(axis, 0, size), z.narrow(axis, size, z.shape[axis] - size)],
        lambda parts: torch.cat(parts, axis),
    )
