"""Layers of flows for local bits-back coding whose cost is linear in the dimension.

    elementwise       one function for every element
    logit             from (0, 1) to the line, element by element
    coupling          some elements, by a function that depends on the others
    shifted           the same where the function adds: on the grid itself, exact and free
    autoregressive    element by element, each by a function that depends on those before
    conv1x1           a small full matrix at every position
    permute, reshape, squeeze, unsqueeze

The first four are `Stepwise`; matrices are `linear.Linear`. Networks are callables: whatever they compute from
the same numbers twice must be the same bits twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..errors import DistributionError
from .codecs import Codec
from .linear import Linear
from .localbitsback import Bijection, Composition, Grid, LocalBijection, Rearrange, Relabelled
from .rans import Message

__all__ = [
    "Affine",
    "Function",
    "Scalar",
    "Stepwise",
    "autoregressive",
    "conv1x1",
    "coupling",
    "elementwise",
    "logit",
    "permute",
    "reshape",
    "shifted",
    "squeeze",
    "unsqueeze",
]

_SHIFT_STEP = 2.0**-16
"""Of what is added by `shifted`: fine beside any noise, and coarse enough for calibration of float64."""


class Scalar(Protocol):
    """An invertible function of every element, float64, whose parameters may differ between elements."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(z, slope dz/dx), each of the shape of x; slopes are not 0."""
        ...

    def inverse(self, z: Tensor) -> Tensor:
        """X, of the shape of z."""
        ...


@dataclass(frozen=True)
class Affine:
    """z = scale · x + shift.

    Attributes:
        shift: [..., n]
        scale: not 0. [..., n]
    """

    shift: Tensor
    scale: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Scalar`."""
        return self.scale * x + self.shift, self.scale.expand(x.shape)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Scalar`."""
        return (z - self.shift) / self.scale


@dataclass(frozen=True)
class Function:
    """Any invertible function of each element, with its slope by automatic differentiation.

    Attributes:
        there: from x to z.
        back: from z to x.
    """

    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Scalar`."""
        outputs = torch.func.jvp(self.there, (x,), (torch.ones_like(x),))
        return outputs[0], outputs[1]

    def inverse(self, z: Tensor) -> Tensor:
        """See `Scalar`."""
        return self.back(z)


@dataclass(frozen=True)
class Stepwise(LocalBijection):
    """Elements in steps, each step by a function of one variable that depends on the elements of the steps before.

    What no step names is copied, exactly and at no cost, and known to all steps. So a coupling layer is one step, an
    element-wise layer is one step that names all, and an autoregressive layer has a step for each element. The Jacobian
    is triangular; as the elements before are known exactly where one is coded, only its diagonal is needed.

    Attributes:
        steps: what each step takes of one item's elements, flat: indices [n] int64, or a slice.
        scalar: (step, values) -> the function of the step's elements [B, n]. The values are those of the array
            [B, ...], of x or of z as `given` says; elements of this step and of later ones are 0.
        given: the side that the functions depend on: "x" makes f parallel and its inverse sequential, "z" the reverse.
        noise: the side where the noise has a standard deviation of sigma, and of sigma times the slope on the other.
            That side should be the one where the function is smooth over distances of sigma.
        domain: the interval in which the x of the steps lie, if it is not the line; ends are whole steps of the grid.
        codomain: the same for z.
    """

    steps: Sequence[Tensor | slice]
    scalar: Callable[[int, Tensor], Scalar]
    given: Literal["x", "z"] = "x"
    noise: Literal["x", "z"] = "x"
    domain: tuple[float, float] | None = None
    codomain: tuple[float, float] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._map(x, "x")

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._map(z, "z")

    def posterior(self, x: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        return _Steps(self, grid, x, "x")

    def likelihood(self, z: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        return _Steps(self, grid, z, "z")

    def places(self, size: int) -> list[Tensor]:
        """The indices of each step in an item of a size; raises DistributionError if one comes twice."""
        places = [torch.arange(size)[step] if isinstance(step, slice) else step for step in self.steps]
        if int(torch.bincount(torch.cat(places), minlength=1).max()) > 1:
            raise DistributionError("an element is in two steps of a layer")
        return places

    def _map(self, values: Tensor, side: str) -> Tensor:
        """The other side's values."""
        places = self.places(values[0].numel())
        known, other = known_at_first(values, places), known_at_first(values, places)
        context = known if side == self.given else other
        for number, place in enumerate(places):
            scalar, here = self.scalar(number, context.view(values.shape)), flat(values)[:, place]
            other[:, place] = scalar.forward(here)[0] if side == "x" else scalar.inverse(here)
            known[:, place] = here
        return other.view(values.shape)


def flat(x: Tensor) -> Tensor:
    """[B, D] of [B, ...]."""
    return x.reshape(len(x), -1)


def known_at_first(x: Tensor, places: Sequence[Tensor]) -> Tensor:
    """A copy [B, D] of the elements that no step names, and 0 for the others."""
    known = flat(x).clone()
    for place in places:
        known[:, place] = 0
    return known


@dataclass(frozen=True)
class _Steps:
    """Codec of one side of a stepwise bijection, given the other side's indices.

    Attributes:
        layer: the bijection.
        grid: for both sides.
        other: indices of the side that is known. [B, ...]
        side: which that is, "x" or "z".
    """

    layer: Stepwise
    grid: Grid
    other: Tensor
    side: Literal["x", "z"]

    def _codec(self, scalar: Scalar, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale, in units of sigma, of elements whose values on the other side are known."""
        if self.side == "x":
            mean, slope = scalar.forward(values)
        else:
            mean = scalar.inverse(values)
            slope = scalar.forward(mean)[1]
        slope = slope.abs() if self.layer.noise == "x" else 1 / slope.abs()
        beyond = torch.hypot(slope, torch.full_like(slope, self.grid.least))
        return mean, beyond if self.side == self.layer.noise else beyond / slope

    def _noise(self, means: Tensor, scales: Tensor) -> Codec[Tensor]:
        interval = self.layer.codomain if self.side == "x" else self.layer.domain
        return self.grid.noise(means, scales, interval)

    def _all(self, places: list[Tensor]) -> Codec[Tensor]:
        """The codec of the elements of all steps [B, n], where they depend on the side that is known only."""
        values = self.grid.values(flat(self.other))
        known, parts = known_at_first(values, places), []
        for number, place in enumerate(places):
            scalar = self.layer.scalar(number, known.view(self.other.shape))
            parts.append(self._codec(scalar, values[:, place]))
            known[:, place] = values[:, place]
        means, scales = (torch.cat(side, 1) for side in zip(*parts, strict=True))
        return self._noise(means, scales)

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        places, array = self.layer.places(self.other[0].numel()), flat(symbols)
        self._check(places, array)
        if self.side == self.layer.given:
            self._all(places).push(message, array[:, torch.cat(places)])
            return
        codecs, known = [], known_at_first(self.grid.values(array), places)
        for number, place in enumerate(places):
            codecs.append(self._next(number, place, known))
            known[:, place] = self.grid.values(array[:, place])
        for place, codec in reversed(list(zip(places, codecs, strict=True))):
            codec.push(message, array[:, place])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        places, array = self.layer.places(self.other[0].numel()), flat(self.other).clone()
        if self.side == self.layer.given:
            array[:, torch.cat(places)] = self._all(places).pop(message)
            return array.view(self.other.shape)
        known = known_at_first(self.grid.values(array), places)
        for number, place in enumerate(places):
            array[:, place] = self._next(number, place, known).pop(message)
            known[:, place] = self.grid.values(array[:, place])
        return array.view(self.other.shape)

    def _next(self, number: int, place: Tensor, known: Tensor) -> Codec[Tensor]:
        """The codec of a step's elements, from the values of those before on the side that is coded."""
        scalar = self.layer.scalar(number, known.view(self.other.shape))
        return self._noise(*self._codec(scalar, self.grid.values(flat(self.other)[:, place])))

    def _check(self, places: list[Tensor], array: Tensor) -> None:
        """Copied elements cannot be coded: they have to be those of the other side."""
        named = torch.zeros(array.shape[1], dtype=torch.bool)
        for place in places:
            named[place] = True
        if not torch.equal(array[:, ~named], flat(self.other)[:, ~named]):
            raise DistributionError("elements that a layer copies are not the same on its two sides")


def elementwise(scalar: Scalar, noise: Literal["x", "z"] = "x") -> Stepwise:
    """One function of every element; its parameters are of the shape [n] of a flat item, or [1]."""
    return Stepwise([slice(None)], lambda step, known: scalar, noise=noise)


def logit() -> Stepwise:
    """Z = log(x / (1 - x)), from (0, 1) to the line. The noise is even in z: that of x shrinks towards the ends."""
    return Stepwise(
        [slice(None)], lambda step, known: Function(torch.logit, torch.sigmoid), noise="z", domain=(0.0, 1.0)
    )


def coupling(place: Tensor | slice, conditioner: Callable[[Tensor], Scalar]) -> Stepwise:
    """Some elements of an item, by a function that depends on the others.

    Args:
        place: the elements, flat: indices [n] int64 or a slice.
        conditioner: from values [B, ...] where those elements are 0, to their function, as an `Affine` of [B, n].
    """
    return Stepwise([place], lambda step, known: conditioner(known))


@dataclass(frozen=True)
class _Shifted(Bijection):
    """See `shifted`."""

    place: Tensor | slice
    shift: Callable[[Tensor], Tensor]
    rounded: Callable[[Tensor, float], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._moved(x, self._shift(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._moved(z, -self._shift(z))

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`. No noise, no initial bits."""

        def steps(indices: Tensor) -> Tensor:
            shift = self.rounded(self._shift(grid.values(indices)), max(_SHIFT_STEP, 2.0**-grid.bits))
            return torch.ldexp(shift, torch.tensor(grid.bits)).long()

        return Relabelled(prior, lambda x: self._moved(x, steps(x)), lambda z: self._moved(z, -steps(z)))

    def _shift(self, values: Tensor) -> Tensor:
        known = known_at_first(values, [torch.arange(values[0].numel())[self.place]])
        return self.shift(known.view(values.shape))

    def _moved(self, values: Tensor, by: Tensor) -> Tensor:
        moved = flat(values).clone()
        moved[:, self.place] += by
        return moved.view(values.shape)


def _nearest(values: Tensor, step: float) -> Tensor:
    return torch.round(values / step) * step


def shifted(
    place: Tensor | slice,
    shift: Callable[[Tensor], Tensor],
    rounded: Callable[[Tensor, float], Tensor] = _nearest,
) -> Bijection:
    """Some elements of an item, plus what depends on the others: z = x + shift, whole steps of the grid.

    The volume stays, so integers are added to integers: nothing is lost, and no bits are needed to begin with.

    Args:
        place: the elements, flat: indices [n] int64 or a slice.
        shift: from values [B, ...] where those elements are 0, to what is added [B, n].
        rounded: (values, step) -> multiples of the step; `Calibration.round` where another machine is to read them.
    """
    return _Shifted(place, shift, rounded)


def autoregressive(
    steps: Sequence[Tensor | slice], conditioner: Callable[[int, Tensor], Scalar], given: Literal["x", "z"] = "x"
) -> Stepwise:
    """Elements in turn, each by a function that depends on those before: masked flows, or inverse ones with given="z".

    Args:
        steps: flat indices of one item's elements: each step [n], n = 1 for one after the other.
        conditioner: (step, values [B, ...] where this step's elements and later ones are 0) -> the step's function.
        given: the side of the values.
    """
    return Stepwise(steps, conditioner, given)


def permute(order: Tensor, axis: int = -1) -> Rearrange:
    """Elements in another order along an axis: z[i] = x[order[i]]."""
    back = torch.argsort(order)
    return Rearrange(lambda x: x.index_select(axis, order), lambda z: z.index_select(axis, back))


def reshape(before: Sequence[int], after: Sequence[int]) -> Rearrange:
    """Items of one shape to items of another; the first axis, of the batch, stays."""
    return Rearrange(lambda x: x.reshape(len(x), *after), lambda z: z.reshape(len(z), *before))


def squeeze(factor: int = 2) -> Rearrange:
    """Blocks of factor x factor pixels to channels: [B, C, H, W] to [B, C factor², H / factor, W / factor]."""
    return Rearrange(
        lambda x: torch.nn.functional.pixel_unshuffle(x, factor), lambda z: torch.nn.functional.pixel_shuffle(z, factor)
    )


def unsqueeze(factor: int = 2) -> Rearrange:
    """The inverse of `squeeze`."""
    there = squeeze(factor)
    return Rearrange(there.back, there.there)


def conv1x1(weight: Tensor, bias: Tensor | None = None) -> Bijection:
    """A convolution of images [B, C, H, W] with a full matrix [C, C] at every position, and a bias [C]."""
    last = Rearrange(lambda x: x.movedim(1, -1), lambda z: z.movedim(-1, 1))
    first = Rearrange(lambda x: x.movedim(-1, 1), lambda z: z.movedim(1, -1))
    return Composition([last, Linear(weight, bias), first])
