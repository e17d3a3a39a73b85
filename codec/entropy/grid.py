"""Continuous values on a fixed fine grid, as codecs: Gaussian, logistic and uniform.

The grid has steps of 2^-bits. Index i stands for the cell from i · 2^-bits to (i + 1) · 2^-bits and for the value in
its middle, which float64 holds exactly while |i| < 2^52; indices are int64 and nothing is lost between them and values.

A cell of a grid that is fine has a probability far below what one interval of a coder can be. So an index is coded in
parts: the *bin* of 2^r cells that holds it, by the cumulative distribution, and its place in the bin, uniformly. r is
such that a bin is at most 1/32 of a standard deviation wide, or one cell. The bins are a window of at most 1024 about
the mean, fewer where all scales are a few cells; it reaches
to eight standard deviations at least, and one beyond each end. Those two are cut into parts of
widths that grow by a factor of four each, whose probabilities halve: every index has a code, however far from the mean.

What it costs over the ideal, which is -log2 of the mass of the cell:

- The place in the bin is uniform, the density is not. By the logarithmic Sobolev inequality for the uniform
  distribution on an interval of width w, whose constant is w² / π², the relative entropy is at most w² / (2 π²) times
  the Fisher information of the density: 1 / scale² for a Gaussian, 1 / (3 scale²) for a logistic. A Gaussian's bins of
  1/32 cost at most 7.2e-5 bits a value; a logistic's, of 1/16 so that the window holds its longer tails, 9.6e-5.
- Rounding to integers of 26 bits, see `pmf`: -log2(1 - 2 · 1026 / 2^26), 4.5e-5 bits.
- Beyond the window are 2e-15 of a Gaussian and 3e-7 of a logistic. With less than a hundred bits for each such value
  that is 3e-5 bits at most.

From the same parameters all bits are the same on every machine, see `portable`.

So `GaussianGrid` costs at most 1.2e-4 bits a value over the ideal on average, and `LogisticGrid` 1.8e-4. More precision
would not help: a head of a message that takes 31 bits at a time has none to spare and loses 5e-3 bits a value.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import DistributionError, SymbolError
from . import portable
from .codecs import Codec, FromPmf, spans
from .halves import intervals
from .numbers import Halving, Number, Spread
from .pmf import CumulativePmf, GaussianMixture, LogisticMixture
from .rans import Message

__all__ = [
    "MAX_BITS",
    "Coarser",
    "GaussianGrid",
    "LogisticGrid",
    "Spread",
    "UniformGrid",
    "indices_of",
    "standard_log_density",
    "values_of",
]

MAX_BITS = 48
"""Most bits of a step. Values below 16 then have indices below 2^52, which is as far as a mean may be."""

_WINDOW_BITS, _LEAST_BITS = 10, 5
"""log2 of the bins of a window; of fewer where all scales are a few cells, down to so many."""

_WINDOW = 1 << _WINDOW_BITS
_PRECISION = 26
"""Bins of a window and bits of their distribution: what rounding costs is about what the width of the bins does."""

_NEAR = 1 << 52
"""Means are nearer to 0 than this, in steps: float64 still tells half steps."""

_FAR = 1 << 56
"""Indices are nearer to 0 than this."""

_GROWTH = [(4**k - 1) // 3 for k in range(26)]
"""Where the parts beyond a window begin, in windows from its end: 0, 1, 5, 21, ..."""


def values_of(indices: Tensor, bits: int) -> Tensor:
    """The values in the middle of the cells, float64."""
    return (indices.double() + 0.5) * 2.0**-bits


def indices_of(values: Tensor, bits: int) -> Tensor:
    """The cells that hold values, int64; raises DistributionError where the grid does not reach."""
    return torch.floor(_in_steps(values, bits)).long()


def _in_steps(values: Tensor, bits: int) -> Tensor:
    if not 0 <= bits <= MAX_BITS:
        raise DistributionError(f"a grid of {bits} bits; it may have 0 to {MAX_BITS}")
    steps: Tensor = values.double() * 2.0**bits  # exact
    wrong = ~(steps.abs() < _NEAR)  # NaN is wrong too
    if bool(wrong.any()):
        place = [int(i) for i in wrong.nonzero()[0]]
        raise DistributionError(
            f"value {float(values[tuple(place)])} at {place} is not on the grid of {bits} bits, which ends at 2^52"
        )
    return steps


class _OnGrid:
    """Independent values of one family, on a grid, as int64 indices of the parameters' shape.

    Args:
        means: of any shape [...].
        scales: above 0, of the same shape or one that is expanded to it.
        bits: the step of the grid is 2^-bits.
        bounds: the first index and the one after the last, of a distribution that is cut off there. At least 2^12
            indices, and 32 scales; means outside are moved to the ends.

    Raises:
        DistributionError: parameters are not finite, a scale is not positive, a mean is 2^52 steps from 0 or further,
            the bounds are too near.
    """

    kind: ClassVar[int]
    """Of the family, in `portable`."""

    mixture: ClassVar[type[GaussianMixture | LogisticMixture]]
    """Of the family, in `pmf`."""

    per_scale: ClassVar[int]
    """log2 of the least number of bins in a scale."""

    def __init__(self, means: Tensor, scales: Tensor, bits: int, bounds: tuple[int, int] | None = None) -> None:
        self._shape = means.shape
        scales = scales.double().expand(means.shape)
        wrong = ~((scales > 0) & torch.isfinite(scales))
        if bool(wrong.any()):
            place = [int(i) for i in wrong.nonzero()[0]]
            raise DistributionError(f"scale {float(scales[tuple(place)])} at {place}; it has to be above 0 and finite")
        self._means, self._scales = _in_steps(means, bits).reshape(-1), (scales * 2.0**bits).reshape(-1)
        self._bounds = bounds
        if bounds is not None:
            self._check_bounds(*bounds)
            self._means = self._means.clamp(*bounds)
        if self._scales.numel() and float(self._scales.max()) >= _NEAR:
            raise DistributionError(f"a scale of {float(self._scales.max())} steps; the most is 2^52")

    def _check_bounds(self, low: int, high: int) -> None:
        room = high - low
        if room < 4 * _WINDOW or low < -_NEAR or high > _NEAR:
            raise DistributionError(
                f"bounds {low} and {high}: at least {4 * _WINDOW} steps apart, and at most 2^52 from 0"
            )
        widest = float(self._scales.max()) if self._scales.numel() else 0.0
        if widest * 32 > room:
            raise DistributionError(f"a scale of {widest:.6g} steps in bounds that are {room} apart; the most is 1/32")

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`. Raises SymbolError for indices outside the bounds, or 2^56 and more from 0."""
        if symbols.shape != self._shape:
            raise SymbolError(f"indices {list(symbols.shape)} for a distribution over {list(self._shape)}")
        flat = symbols.reshape(-1)
        _check_range(flat, *(self._bounds or (-_FAR, _FAR)))
        codec = _OnLanes(_Window(type(self), self._means, self._scales, self._bounds))
        inside, pushes = codec.pushes(flat)
        for first, stop in reversed(spans(len(flat), message.lanes)):
            part = message.part(0, stop - first)
            if bool(inside[first:stop].all()):
                for start, freq, precision in pushes:
                    part.push(start[first:stop], freq[first:stop], precision)
            else:
                codec.some(first, stop).push(part, flat[first:stop])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        codec = _OnLanes(_Window(type(self), self._means, self._scales, self._bounds))
        found = Spread(codec.some, len(self._means)).pop(message)
        return found.reshape(self._shape)


def _check_range(flat: Tensor, low: int, high: int) -> None:
    if len(flat) and (int(flat.min()) < low or int(flat.max()) >= high):
        place = int(((flat < low) | (flat >= high)).nonzero()[0])
        raise SymbolError(f"index {int(flat[place])} at {place} is outside the grid: {low} to {high - 1}")


class GaussianGrid(_OnGrid):
    """Normal distributions on a grid; scales are standard deviations. At most 1.2e-4 bits a value over the ideal."""

    kind, mixture, per_scale = portable.GAUSSIAN, GaussianMixture, 5


def standard_log_density(values: Tensor) -> Tensor:
    """Log-density of what `GaussianGrid` codes with mean 0 and scale 1, but for the width of its bins. Nats, [...].

    Its integers give two units of 2^26 to every bin of 1/32, above what the normal distribution has there, and to each
    of the two ends beyond 16. So it is the normal density to 5.1 deviations, and farther out 2^-20, with 2e-5 of all;
    beyond the window parts four times as wide are half as likely each.
    """
    unit, reach = 2.0**-_PRECISION, _WINDOW * 2.0 ** -(GaussianGrid.per_scale + 1)
    normal = -0.5 * (values.square() + math.log(2 * math.pi)) + math.log1p(-2 * (_WINDOW + 2) * unit)
    even = torch.full_like(normal, math.log(2 * unit * 2**GaussianGrid.per_scale))
    beyond = (values.detach().abs() - reach).clamp(min=0) / (2 * reach)
    part = torch.floor(0.5 * torch.log2(3 * beyond + 1))
    far = math.log(unit / (2 * reach)) - 3 * math.log(2) * part
    return torch.where(beyond > 0, far, torch.logaddexp(normal, even))


class LogisticGrid(_OnGrid):
    """Logistic distributions on a grid. At most 1.8e-4 bits a value over the ideal."""

    kind, mixture, per_scale = portable.LOGISTIC, LogisticMixture, 4


class _Window:
    """The bins about each mean. Symbols: 0 is below the window, then come its bins, and last what is above it.

    Positions are in bins from its first, so that no digits are lost far from 0.
    """

    def __init__(
        self, kind: type[_OnGrid], means: Tensor, scales: Tensor, bounds: tuple[int, int] | None
    ) -> None:  # means and scales in steps, [lanes]
        self.low, self.high = (-_FAR, _FAR) if bounds is None else bounds
        widest = float(scales.max()) if scales.numel() else 1.0
        bits = math.frexp(widest)[1] + _WINDOW_BITS - kind.per_scale
        self.bits = min(max(_LEAST_BITS, bits), _WINDOW_BITS)
        self.bins = 1 << self.bits
        _, exponent = torch.frexp(scales)  # 2^(exponent - 1) <= scale < 2^exponent
        most = (self.high - self.low).bit_length() - self.bits - 2
        self.shift = (exponent.long() - 1 - kind.per_scale).clamp(0, most)  # [lanes] log2 of the steps of a bin
        floor = torch.floor(means)
        centre = floor.long()
        first = (((centre >> self.shift) - self.bins // 2) << self.shift).clamp(min=self.low + 1)
        # Some indices are beyond each end, so that every symbol stands for one.
        self.first = torch.minimum(first, self.high - 1 - (self.bins << self.shift))  # [lanes] index
        self.stop = self.first + (self.bins << self.shift)
        self.kind, self.cut = kind, bounds is not None
        self.mean = torch.ldexp((means - floor) + (centre - self.first), -self.shift)
        self.scale = torch.ldexp(scales, -self.shift)

    @cached_property
    def pmf(self) -> GaussianMixture | LogisticMixture | _CutOff:
        """Of the symbols."""
        if not self.cut:
            one = self.mean[:, None] + 0.5  # a mixture's symbol 1 is from 1/2 to 3/2
            return self.kind.mixture(torch.zeros_like(one), one, self.scale[:, None], self.bins + 2, _PRECISION)
        ends = torch.stack([self.low - self.first, self.high - self.first]).double()
        return _CutOff(self.bins, self.kind.kind, self.mean, self.scale, torch.ldexp(ends, -self.shift))

    def some(self, first: int, stop: int) -> _Window:
        """That of the lanes first to stop - 1."""
        pmf = None if self.cut else self.pmf
        found = copy.copy(self)
        found.__dict__.pop("pmf", None)
        if not isinstance(pmf, _CutOff | None):
            found.__dict__["pmf"] = pmf.some(first, stop)
        for name in ("shift", "first", "stop", "mean", "scale"):
            setattr(found, name, getattr(self, name)[first:stop])
        return found


class _CutOff(CumulativePmf):
    """The bins of a distribution that ends in the first and in the last of them."""

    def __init__(self, bins: int, kind: int, means: Tensor, scales: Tensor, ends: Tensor) -> None:
        super().__init__(bins + 2, _PRECISION)
        self._kind, self._means, self._scales = kind, means, scales
        self._ends: Tensor = portable.standard(kind, (ends - means) / scales)  # [2, lanes]

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        mass = portable.standard(self._kind, (edges.double() - 1 - self._means) / self._scales)
        cut: Tensor = (mass - self._ends[0]) / (self._ends[1] - self._ends[0])
        return cut


@dataclass(frozen=True)
class _OnLanes:
    """One index on each lane: its bin, which part of what is beyond, and the place there."""

    window: _Window

    def _beyond(self, bins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which lanes are below and which above the window; and how many indices there are, 1 for the others."""
        window = self.window
        below, above = bins == 0, bins == self.window.bins + 1
        room = torch.where(below, window.first - window.low, torch.where(above, window.high - window.stop, 1))
        return below, above, room

    def _part(self, distance: Tensor) -> Tensor:
        """The part that is so far beyond the end."""
        starts = torch.tensor(_GROWTH, device=distance.device)
        return torch.searchsorted(starts, distance >> (self.window.shift + self.window.bits), right=True) - 1

    def _parts(self, room: Tensor) -> FromPmf:
        return FromPmf(Halving(self._part(room - 1) + 1))

    def _extent(self, part: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
        """Where a part starts, counted from the window's end, and its size."""
        shift = self.window.shift + self.window.bits
        start = torch.tensor(_GROWTH, device=part.device)[part] << shift
        return start, torch.minimum(room - start, 1 << (shift + 2 * part))

    def some(self, first: int, stop: int) -> _OnLanes:
        """That of the lanes first to stop - 1."""
        return _OnLanes(self.window.some(first, stop))

    def pushes(self, symbols: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor, int]]]:
        """Which lanes' symbols are in the window, and start, freq and precision of what is then pushed, in turn."""
        window = self.window
        offset = symbols - window.first
        bins = ((offset >> window.shift) + 1).clamp(0, window.bins + 1)
        place, size = offset & ((1 << window.shift) - 1), 1 << window.shift
        found = [*Number(size).intervals(place), *intervals(window.pmf, bins)]
        return (bins > 0) & (bins <= window.bins), found

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        window = self.window
        offset = symbols - window.first
        bins = ((offset >> window.shift) + 1).clamp(0, window.bins + 1)
        below, above, room = self._beyond(bins)
        outside = below | above
        place, size = offset & ((1 << window.shift) - 1), 1 << window.shift
        if bool(outside.any()):
            distance = torch.where(below, window.first - 1 - symbols, symbols - window.stop)
            distance = torch.where(outside, distance, 0)
            part = self._part(distance)
            start, extent = self._extent(part, room)
            place, size = torch.where(outside, distance - start, place), torch.where(outside, extent, size)
            Number(size).push(message, place)
            self._parts(room).push(message, part)
        else:
            Number(size).push(message, place)
        FromPmf(window.pmf).push(message, bins)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        window = self.window
        bins = FromPmf(window.pmf).pop(message)
        below, above, room = self._beyond(bins)
        outside = below | above
        if not bool(outside.any()):
            return window.first + ((bins - 1) << window.shift) + Number(1 << window.shift).pop(message)
        part = self._parts(room).pop(message)
        start, extent = self._extent(part, room)
        place = Number(torch.where(outside, extent, 1 << window.shift)).pop(message)
        inside = window.first + ((bins - 1) << window.shift) + place
        return torch.where(
            below, window.first - 1 - start - place, torch.where(above, window.stop + start + place, inside)
        )


@dataclass(frozen=True)
class UniformGrid:
    """Values that are uniform on [0, 1), as indices of a shape: `bits` bits each, exactly."""

    shape: tuple[int, ...]
    bits: int

    def _on_lanes(self, device: torch.device) -> Callable[[int, int], Codec[Tensor]]:
        def codec(first: int, stop: int) -> Codec[Tensor]:
            return Number(torch.full((stop - first,), 1 << self.bits, device=device))

        return codec

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        flat = symbols.reshape(-1)
        _check_range(flat, 0, 1 << self.bits)
        Spread(self._on_lanes(message.device), len(flat)).push(message, flat)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        count = int(torch.Size(self.shape).numel())
        return Spread(self._on_lanes(message.device), count).pop(message).reshape(self.shape)


@dataclass(frozen=True)
class Coarser:
    """Indices of a fine grid by those of a coarser one, and uniform places in its cells.

    The places are pushed first. So what the coarse indices borrow, as a latent variable model does, is there already.

    Attributes:
        coarse: codec of indices of steps that are 2^bits as wide.
        bits: of a place.
    """

    coarse: Codec[Tensor]
    bits: int

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        cells = symbols >> self.bits
        UniformGrid(tuple(symbols.shape), self.bits).push(message, symbols - (cells << self.bits))
        self.coarse.push(message, cells)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        cells = self.coarse.pop(message)
        return (cells << self.bits) + UniformGrid(tuple(cells.shape), self.bits).pop(message)
