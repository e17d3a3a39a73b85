"""Distributions as integers: where floats become intervals that a coder can use, and nowhere else.

A distribution holds parameters for every lane. For a symbol on each lane it gives the interval [start, start + freq) of
2^precision, and for a slot on each lane the symbol whose interval holds it. Nothing is tabulated where a cumulative
distribution can be evaluated instead: intervals take two evaluations, searches a few.

How a cumulative distribution F over n symbols becomes integers: symbol i starts at floor(F(i) · (2^precision - 2 n)) +
2 i, the first at 0, and the last ends at 2^precision. Whatever the last bits of F, starts rise by one at least with
each symbol, so every symbol can be coded. Rounding takes less than one unit from a symbol, which was given two: a
symbol of probability p has at least p (1 - 2 n / 2^precision) of the range. The cost over the ideal is at most
-log2(1 - 2 n / 2^precision) bits a symbol: by default 4.4e-5 for 256 symbols (24 bits). Codecs take a
`CumulativePmf` of more than 512 in two parts unless a precision is asked for (`halves`), for 9.9e-5 at most. Whole, as
a `Categorical` always is, it loses 8.8e-5 up to 16,384 and 3.5e-4 for 65,536 (29 bits), and as much again in the heads
of a message.

From the same parameters all evaluations give the same bits on every machine and device (`portable`). Parameters that
come from a network are not the same everywhere: a stream that another machine is to read takes them through
`calibrated` coding.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DistributionError, SymbolError
from . import lanes as compiled_lanes
from . import portable
from .rans import MAX_PRECISION

__all__ = [
    "DEFAULT_PRECISION",
    "Bernoulli",
    "Categorical",
    "CumulativePmf",
    "GaussianBins",
    "GaussianMixture",
    "LogisticMixture",
    "Pmf",
    "Uniform",
]

DEFAULT_PRECISION = 24
"""Bits of a distribution of up to 512 symbols: 256 lose 4.4e-5 bits each, and a head keeps 7 bits to spare."""

_SPARE_BITS = 14
"""log2 of the least range over twice the symbols, by default: they lose 8.8e-5 bits each at most."""

_MOST_BY_DEFAULT = 29
"""Beyond this the heads of a message, which have 31 bits to spare at least, lose more than the distribution gains."""


def default_precision(size: int) -> int:
    """Bits of a distribution where none are asked for: 24, and up to 29 for large alphabets."""
    return min(max(DEFAULT_PRECISION, (2 * size - 1).bit_length() + _SPARE_BITS), _MOST_BY_DEFAULT)


_MOST_SYMBOLS = 1 << 16

_WAYS, _FEW_LANES = 16, 256
"""Parts that a search tells apart in one evaluation, and for how many lanes: a call costs more than its arithmetic."""

_WEIGHT_BITS = 44
"""Weights of a categorical distribution are integers of so many bits, whose sum over 2^16 symbols is below 2^62."""


class Pmf(Protocol):
    """A distribution in integers on every lane.

    Law: `locate` inverts `interval` on all slots, and every symbol of the alphabet has a freq of at least 1.
    """

    @property
    def size(self) -> int:
        """Symbols of the alphabet, which are 0 to size - 1."""
        ...

    @property
    def precision(self) -> int:
        """Bits: the intervals fill 2^precision."""
        ...

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """(start, freq) of a symbol on each lane, int64 [lanes]; raises SymbolError for one that is not there."""
        ...

    def locate(self, slots: Tensor) -> Tensor:
        """The symbol on each lane whose interval holds its slot, int64 [lanes]."""
        ...


def _check_precision(precision: int) -> None:
    if not 0 <= precision <= MAX_PRECISION:
        raise DistributionError(f"a precision of {precision} bits; coders take 0 to {MAX_PRECISION}")


def _check_symbols(symbols: Tensor, size: int) -> None:
    if symbols.dtype != torch.int64:
        raise SymbolError(f"symbols are {symbols.dtype}; int64 is needed")
    if len(symbols) and (int(symbols.min()) < 0 or int(symbols.max()) >= size):
        raise _no_symbol(symbols, size)


def _no_symbol(symbols: Tensor, size: int) -> SymbolError:
    lane = int(((symbols < 0) | (symbols >= size)).nonzero()[0])
    return SymbolError(f"lane {lane} has symbol {int(symbols[lane])}; the alphabet is 0 to {size - 1}")


def _checked(
    name: str, values: Tensor, sound: Callable[[Tensor], Tensor], first: Callable[[Tensor], int], words: str
) -> Tensor:
    values = values.detach().double().contiguous()
    if compiled_lanes.served(values):
        place = first(values)
    else:
        wrong = ~sound(values).reshape(-1)
        place = int(wrong.nonzero()[0]) if bool(wrong.any()) else -1
    if place >= 0:
        index = [int(i) for i in np.unravel_index(place, tuple(values.shape))]
        raise DistributionError(f"{name} at {index} is {float(values.reshape(-1)[place])}{words}")
    return values


def _finite(name: str, values: Tensor) -> Tensor:
    """The parameters in float64."""
    return _checked(name, values, torch.isfinite, compiled_lanes.first_not_finite, "")


def _positive(name: str, values: Tensor) -> Tensor:
    def sound(values: Tensor) -> Tensor:
        return torch.isfinite(values) & (values >= compiled_lanes.SMALLEST)

    return _checked(name, values, sound, compiled_lanes.first_not_positive, "; it has to be finite and above 0")


class Uniform:
    """Every one of `size` symbols alike; any size up to 2^precision. Exact integers: the same bits on every machine."""

    def __init__(self, size: int, precision: int | None = None) -> None:
        self.size = size
        self.precision = max(size - 1, 0).bit_length() if precision is None else precision
        _check_precision(self.precision)
        if not 1 <= size <= 1 << self.precision:
            raise DistributionError(f"{size} symbols at a precision of {self.precision} bits")

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        _check_symbols(symbols, self.size)
        start = torch.div(symbols << self.precision, self.size, rounding_mode="floor")
        return start, torch.div((symbols + 1) << self.precision, self.size, rounding_mode="floor") - start

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        return ((slots + 1) * self.size - 1) >> self.precision


class CumulativePmf(ABC):
    """A distribution over 0 to size - 1 by its cumulative distribution function, for subclasses and for your own.

    Args:
        size: symbols of the alphabet.
        precision: bits; see `default_precision`.

    Attributes:
        is_default: whether no precision was asked for.

    Raises:
        DistributionError: the precision is too small for the alphabet: two units are needed for each symbol.
    """

    def __init__(self, size: int, precision: int | None = None) -> None:
        self.is_default = precision is None
        precision = default_precision(size) if precision is None else precision
        self.size, self.precision = size, precision
        _check_precision(precision)
        if size < 1 or 2 * size > 1 << precision:
            raise DistributionError(
                f"{size} symbols at a precision of {precision} bits; it holds {1 << precision >> 1}"
            )

    @abstractmethod
    def cdf(self, edges: Tensor) -> Tensor:
        """Probability of all symbols below an edge, on each lane; monotone but for the last bits.

        Args:
            edges: 1 to size - 1, one or more on each lane. [..., lanes] int64

        Returns:
            [..., lanes] float64
        """

    def check(self, symbols: Tensor) -> None:
        """Raises SymbolError for symbols that are not in the alphabet, or not int64."""
        _check_symbols(symbols, self.size)

    def _start(self, edges: Tensor) -> Tensor:
        free = (1 << self.precision) - 2 * self.size
        inner = (self.cdf(edges.clamp(1, max(1, self.size - 1))).clamp(0.0, 1.0) * free).long() + 2 * edges
        inner = torch.where(edges <= 0, 0, inner)
        return torch.where(edges >= self.size, 1 << self.precision, inner)

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        _check_symbols(symbols, self.size)
        start, stop = self._start(torch.stack([symbols, symbols + 1]))
        return start, stop - start

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`. By halving, log2(size) evaluations for all lanes at once; by sixteenths where lanes are few."""
        ways = _WAYS if slots.numel() <= _FEW_LANES else 2
        cuts = torch.arange(1, ways, device=slots.device).view(-1, *[1] * slots.ndim)
        low = torch.zeros_like(slots)  # the symbol is at least this
        high = torch.full_like(slots, self.size)  # and below this
        most = self.size
        while most > 1:
            most = -(-most // ways)
            edges = torch.minimum(low + most * cuts, high)  # [ways - 1, lanes]
            passed = ((self._start(edges) <= slots) & (edges < high)).sum(0)
            low, high = low + most * passed, torch.minimum(low + most * (passed + 1), high)
        return low


class Categorical:
    """Any probabilities over up to 2^16 symbols, from logits or from anything proportional to them.

    Args:
        weights: not negative, not all zero. [lanes, size]
        precision: bits; see `default_precision`.
    """

    def __init__(self, weights: Tensor, precision: int | None = None) -> None:
        weights = _finite("weight", weights)
        if weights.ndim != 2 or not 1 <= weights.shape[1] <= _MOST_SYMBOLS:
            raise DistributionError(
                f"weights are {list(weights.shape)}; [lanes, 1 to {_MOST_SYMBOLS} symbols] is needed"
            )
        self.size = int(weights.shape[-1])
        self.precision = precision = default_precision(self.size) if precision is None else precision
        _check_precision(precision)
        if 2 * self.size > 1 << precision:
            raise DistributionError(
                f"{self.size} symbols at a precision of {precision} bits; it holds {1 << precision >> 1}"
            )
        top = weights.amax(-1, keepdim=True)
        if weights.numel() and (float(weights.min()) < 0 or float(top.min()) <= 0):
            raise DistributionError("weights of a categorical distribution are negative, or all zero")
        # Sums of integers are the same in any order.
        total = (weights / top * (1 << _WEIGHT_BITS)).long().cumsum(-1).double()
        free = (1 << precision) - 2 * self.size
        inner = (total[:, :-1] / total[:, -1:] * free).long()
        steps = 2 * torch.arange(self.size + 1, device=weights.device)
        self._starts = torch.nn.functional.pad(inner, (1, 1)) + steps  # [lanes, size + 1]
        self._starts[:, -1] = 1 << precision

    @classmethod
    def from_logits(cls, logits: Tensor, precision: int | None = None) -> Categorical:
        """From logarithms of the weights [lanes, size]."""
        logits = _finite("logit", logits)
        return cls(portable.exp(logits - logits.amax(-1, keepdim=True)), precision)

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        _check_symbols(symbols, self.size)
        if symbols.shape != self._starts.shape[:1]:
            raise SymbolError(f"{list(symbols.shape)} symbols for {len(self._starts)} lanes")
        ends = self._starts.gather(1, torch.stack([symbols, symbols + 1], 1))
        return ends[:, 0], ends[:, 1] - ends[:, 0]

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        return torch.searchsorted(self._starts, slots[:, None].contiguous(), right=True)[:, 0] - 1


class Bernoulli(CumulativePmf):
    """0 or 1, from the logit of 1 [lanes]."""

    def __init__(self, logits: Tensor, precision: int | None = None) -> None:
        super().__init__(2, precision)
        self._zero = portable.sigmoid(-_finite("logit", logits))

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        zero: Tensor = self._zero.expand(edges.shape)
        return zero


class _Family(CumulativePmf):
    """Mixtures of a family of `portable`: compiled on the CPU, by torch elsewhere, with the same bits."""

    _kind: ClassVar[int]

    def __init__(self, logits: Tensor, means: Tensor, scales: Tensor, size: int, precision: int | None = None) -> None:
        super().__init__(size, precision)
        if not (logits.shape == means.shape == scales.shape and means.ndim == 2 and means.shape[1]):
            shapes = ", ".join(str(list(values.shape)) for values in (logits, means, scales))
            raise DistributionError(f"logits, means and scales are {shapes}; one shape [lanes, components] is needed")
        self._logits, self._means = _finite("logit", logits), _finite("mean", means)
        self._scales = _positive("scale", scales)

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        at, top = portable.edge(self._kind, edges, self.size), self._logits.amax(-1)
        below = total = torch.zeros_like(top)
        for j in range(self._means.shape[1]):  # in this order on every device
            weight = portable.exp(self._logits[:, j] - top)
            distance = (at - self._means[:, j]) * self._scales[:, j].reciprocal()
            below, total = below + weight * portable.standard(self._kind, distance), total + weight
        return below / total

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        if not compiled_lanes.served(symbols):
            return super().interval(symbols)
        self._check_lanes(symbols)
        found = self._mixture.intervals(symbols)
        if found is None:
            raise _no_symbol(symbols, self.size)
        return found

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        if not compiled_lanes.served(slots):
            return super().locate(slots)
        self._check_lanes(slots)
        symbols = self._mixture.find(slots)
        if symbols is None:
            raise SymbolError(f"slots from {int(slots.min())} to {int(slots.max())} of 2^{self.precision}")
        return symbols

    def _check_lanes(self, lanes: Tensor) -> None:
        if lanes.dtype != torch.int64:
            raise SymbolError(f"symbols or slots are {lanes.dtype}; int64 is needed")
        if lanes.shape != self._means.shape[:1]:
            raise SymbolError(f"{list(lanes.shape)} symbols for {len(self._means)} lanes")

    def some(self, first: int, stop: int) -> Self:
        """That of the lanes first to stop - 1."""
        found = copy.copy(self)
        found._logits, found._means, found._scales = (v[first:stop] for v in (self._logits, self._means, self._scales))
        if compiled_lanes.served(self._means):
            found.__dict__["_mixture"] = self._mixture.some(first, stop)
        return found

    @cached_property
    def _mixture(self) -> portable.Mixture:
        return portable.Mixture(self._kind, self._logits, self._means, self._scales, self.size, self.precision)


class LogisticMixture(_Family):
    """A discretized mixture of logistic distributions on the integers 0 to size - 1.

    Bins reach half way to the neighbours; the end bins take the tails.

    Args:
        logits: of the components. [lanes, J]
        means: [lanes, J]
        scales: above 0. [lanes, J]
        size: values, 256 or 65,536 for samples of images.
        precision: bits; see `default_precision`.
    """

    _kind = portable.LOGISTIC


class GaussianMixture(_Family):
    """A discretized mixture of normal distributions, with standard deviations for scales; see `LogisticMixture`."""

    _kind = portable.GAUSSIAN


class GaussianBins(_Family):
    """A normal distribution on bins of equal mass under the standard normal: a latent and its posterior.

    Under the prior the bins are uniform (`Uniform(size)`), which costs nothing to code; `values` gives the latents that
    the bins stand for.

    Source: Townsend, Bird, Barber, *Practical lossless compression with latent variables* (2019), section 3.2.

    Args:
        means: [lanes]
        scales: standard deviations. [lanes]
        size: bins, a power of two or any other number.
        precision: bits; at least log2(size) + 1.
    """

    _kind = portable.BINS

    def __init__(self, means: Tensor, scales: Tensor, size: int, precision: int | None = None) -> None:
        means, scales = _finite("mean", means)[:, None], _positive("scale", scales)[:, None]
        super().__init__(torch.zeros_like(means), means, scales, size, precision)

    def coarser(self, size: int, precision: int) -> GaussianBins:
        """The same normal distribution on fewer bins."""
        return GaussianBins(self._means[:, 0], self._scales[:, 0], size, precision)

    @staticmethod
    def values(symbols: Tensor, size: int) -> Tensor:
        """The latents in the middle of the bins' mass, float64, the same bits on every machine."""
        values: Tensor = portable.ndtri((symbols.double() + 0.5) / torch.full_like(symbols, size).double())
        return values
