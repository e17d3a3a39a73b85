"""Local bits-back coding: continuous data under an invertible map, at the density that the map gives them.

A flow says log p(x) = log p(z) + log |det J(x)| for z = f(x) with the Jacobian J. Rounding f(x) alone would lose x.
Local bits-back makes z a latent variable that is close to f(x):

    posterior     z | x ~ N(f(x), σ² J Jᵀ)      popped: it takes -log2 of its density out of the message
    likelihood    x | z ~ N(f⁻¹(z), σ² I)       pushed
    prior         p(z)                          pushed, or coded by the next layer in the same way

With x and z on a grid of steps δ in every dimension, a push changes the message by

    -log2 p(z) δ^D  -  log2 N(x; f⁻¹(z), σ² I) δ^D  +  log2 N(z; f(x), σ² J Jᵀ) δ^D .

Where f is linear over distances of σ, J⁻¹ (z - f(x)) = f⁻¹(z) - x, the exponents of both Gaussians are the same and the
last two terms leave -log2 |det J|: the flow's own code length, and -D log2 δ of which continuous data never get rid.
Curvature costs in the order of σ². The grid costs where a Gaussian is as narrow as a step: σ, and σ times the slope of
each layer, should be several δ.

A composition is coded layer by layer, each with its own z for the x of the next. As a layer pushes its x before the
next one pops, the initial bits are those of one layer, about D log2(4 σ / δ). With layers that are element-wise, in
coupling, autoregressive or linear in small blocks the cost of all is linear in the dimension: see `bijections`.

Every Gaussian is made by `Grid.gaussian`, which may be replaced: any mean and scale that both sides agree on decode,
and those that are nearly the right ones cost nearly nothing more.

Source: Ho, Lohn, Abbeel, *Compression with flows via local bits-back coding* (2019), arXiv 1905.08500, section 3;
section 3.4.2 and 3.4.3 are `Stepwise` and `Composition`, section 3.5 `Dequantized`; algorithm 1 is `linear.BlackBox`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from ..errors import SymbolError
from .codecs import BitsBack, Codec, Scrambled
from .grid import GaussianGrid, UniformGrid, values_of
from .rans import Message

__all__ = [
    "Bijection",
    "Composition",
    "Dequantized",
    "Gaussian",
    "Grid",
    "LocalBijection",
    "LocalBitsBack",
    "Rearrange",
    "Relabelled",
]

SEED = 1
"""Of what scrambles a message between layers: see `Scrambled`. Else a value far out in a prior, whose bits are pushed
last, is where the noise that is popped next lies in its own distribution."""

S = TypeVar("S")
T = TypeVar("T")


class Gaussian(Protocol):
    """Makes the codec of independent normal values on a grid, as `GaussianGrid` does."""

    def __call__(
        self, means: Tensor, scales: Tensor, bits: int, bounds: tuple[int, int] | None = None
    ) -> Codec[Tensor]:
        """Codec of int64 indices of the shape of means [...], with standard deviations [...]."""
        ...


@dataclass(frozen=True)
class Grid:
    """How finely a flow is coded.

    Measured: where layers work on values of about 1, noise of 2^-10 costs 8e-4 bits a dimension by their curvature, for
    two autoregressive layers with slopes from 1/7 to 7 whose shifts turn over distances of 1/10. Noise of 2^-8 costs
    fifteen times that, and of 2^-12 nothing that shows. Noise as wide as a step costs 2e-3 bits, as half a step 0.03,
    as a quarter 0.4. So noise before a layer that is less steep is made wider, until it has two steps beyond it. Finer
    grids cost nothing but initial bits. A black box sees the curvature of all its layers at once: it needs less noise,
    and a grid on which that has a step beyond all of them.

    Attributes:
        bits: the steps of data and latents are δ = 2^-bits.
        sigma: standard deviation of the noise, in the units of the data.
        gaussian: makes the codec of every noise. Its parameters are what two machines have to agree on.
    """

    bits: int = 24
    sigma: float = 2.0**-10
    gaussian: Gaussian = GaussianGrid

    def values(self, indices: Tensor) -> Tensor:
        """The values of indices, float64."""
        return values_of(indices, self.bits)

    @property
    def least(self) -> float:
        """What noise beyond a layer has at least, over sigma: two steps."""
        return 2.0 * 2.0**-self.bits / self.sigma

    def noise(
        self, means: Tensor, scales: Tensor | float, interval: tuple[float, float] | None = None
    ) -> Codec[Tensor]:
        """Codec of indices about means, with noise of scales times sigma, inside an interval if there is one.

        Noise is never narrower than a step, however steep a layer is somewhere.
        """
        scales = (self.sigma * torch.as_tensor(scales, dtype=torch.float64, device=means.device)).expand(means.shape)
        scales = scales.clamp(min=2.0**-self.bits)
        if interval is None:
            return self.gaussian(means, scales, self.bits)
        low, high = (int(end * 2.0**self.bits) for end in interval)
        return self.gaussian(means, scales, self.bits, (low, high))


class Bijection(ABC):
    """An invertible map z = f(x) between arrays of the same number of elements, in float64."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Z = f(x), of values."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """X = f⁻¹(z), of values."""

    @abstractmethod
    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """Codec of indices of x, from one of indices of z."""


class LocalBijection(Bijection):
    """A bijection that is coded by a noise of its own."""

    @abstractmethod
    def posterior(self, x: Tensor, grid: Grid) -> Codec[Tensor]:
        """Codec of z near f(x), for indices x."""

    @abstractmethod
    def likelihood(self, z: Tensor, grid: Grid) -> Codec[Tensor]:
        """Codec of x near f⁻¹(z), for indices z."""

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`."""
        return BitsBack(
            prior, lambda z: Scrambled(self.likelihood(z, grid), z.numel(), SEED), lambda x: self.posterior(x, grid)
        )


@dataclass(frozen=True)
class LocalBitsBack:
    """Continuous data under a flow, as int64 indices on a grid; the net cost is -log2 p(x) - D log2 δ.

    The first push needs initial bits, as `BitsBack` says. A push that raises leaves a message that is good for nothing.

    Attributes:
        flow: from data to latents.
        prior: codec of the indices of z, as `GaussianGrid(zeros, ones, grid.bits)` is for a standard normal.
        grid: the same for both.

    Raises:
        DistributionError: f(x), f⁻¹(z) or the Jacobian is not finite, is singular, or leaves the grid.
    """

    flow: Bijection
    prior: Codec[Tensor]
    grid: Grid

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self.flow.codec(self.prior, self.grid).push(message, symbols)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self.flow.codec(self.prior, self.grid).pop(message)


@dataclass(frozen=True)
class Relabelled(Generic[S, T]):
    """A codec of other names for the same symbols.

    Attributes:
        codec: of the inner symbols.
        inward: from symbols to inner ones, exactly invertible.
        outward: back.
    """

    codec: Codec[T]
    inward: Callable[[S], T]
    outward: Callable[[T], S]

    def push(self, message: Message, symbols: S) -> None:
        """See `Codec`."""
        self.codec.push(message, self.inward(symbols))

    def pop(self, message: Message) -> S:
        """See `Codec`."""
        return self.outward(self.codec.pop(message))


@dataclass(frozen=True)
class Rearrange(Bijection):
    """Elements in another order or shape: exact, and free. The functions take integers and floats alike.

    Attributes:
        there: from x to z.
        back: from z to x.
    """

    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.there(x)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.back(z)

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`."""
        return Relabelled(prior, self.there, self.back)


@dataclass(frozen=True)
class Composition(Bijection):
    """Layers one after the other, from the data to the latents; each borrows what the one before has pushed."""

    layers: Sequence[Bijection]

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`."""
        for layer in reversed(self.layers):
            prior = layer.codec(prior, grid)
        return prior


@dataclass(frozen=True)
class _Whole:
    """The integers below given indices, which cost nothing."""

    indices: Tensor
    bits: int

    def push(self, message: Message, symbols: Tensor) -> None:
        if not torch.equal(self.indices >> self.bits, symbols):
            raise SymbolError("dequantization noise that is not in [0, 1)")

    def pop(self, message: Message) -> Tensor:
        return self.indices >> self.bits


def Dequantized(  # noqa: N802 (a codec like the others, that happens to be made of two)
    flow: Codec[Tensor], bits: int, noise: Callable[[Tensor], Codec[Tensor]] | None = None
) -> Codec[Tensor]:
    """Integers x under a continuous model, by noise u in [0, 1) that comes out of the message: codes y = x + u.

    The net cost is -log2 p(x + u) + log2 q(u | x): the dequantized bound, or rather a sample of it.

    Args:
        flow: codec of indices of y, as `LocalBitsBack` is. Values from 0 to 255 are its data, not from 0 to 1.
        bits: of its grid.
        noise: x -> codec of indices of u, all from 0 to 2^bits - 1; uniform where it is None. It may be a flow by local
            bits-back too, whose first layer is a `bijections.logit`.

    Raises:
        SymbolError: the noise is not in [0, 1).
    """

    def of(x: Tensor) -> Codec[Any]:
        codec = UniformGrid(tuple(x.shape), bits) if noise is None else noise(x)
        return Relabelled(codec, lambda y: y - (x << bits), lambda u: (x << bits) + u)

    return BitsBack(flow, lambda y: _Whole(y, bits), of)
