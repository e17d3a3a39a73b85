"""Distributions as integers: where floats become intervals that a coder can use, and nowhere else.

A distribution holds parameters for every lane. For a symbol on each lane it gives the interval [start, start + freq) of
2^precision, and for a slot on each lane the symbol whose interval holds it. Nothing is tabulated where a cumulative
distribution can be evaluated instead: intervals take two evaluations, searches a few.

How a cumulative distribution F over n symbols becomes integers: symbol i starts at floor(F(i) · (2^precision - 2 n)) +
2 i, the first at 0, and the last ends at 2^precision. Whatever the last bits of F, starts rise by one at least with
each symbol, so every symbol can be coded. Rounding takes less than one unit from a symbol, which was given two: a
symbol of probability p has at least p (1 - 2 n / 2^precision) of the range. The cost over the ideal is at most
-log2(1 - 2 n / 2^precision) bits a symbol, 4.4e-5 for 256 symbols at the default of 24 bits.

The evaluations are those of torch: the same bits on the same machine and library, not more. A stream that another
machine is to read takes its parameters through calibrated coding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from .errors import DistributionError, SymbolError
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
"""Bits of a distribution: 256 symbols lose 4.4e-5 bits each, and a head keeps 7 bits to spare."""


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
    if len(symbols) and (int(symbols.min()) < 0 or int(symbols.max()) >= size):
        lane = int(((symbols < 0) | (symbols >= size)).nonzero()[0])
        raise SymbolError(f"lane {lane} has symbol {int(symbols[lane])}; the alphabet is 0 to {size - 1}")


def _finite(name: str, values: Tensor) -> Tensor:
    """The parameters in float64."""
    if not bool(torch.isfinite(values).all()):
        place = [int(i) for i in (~torch.isfinite(values)).nonzero()[0]]
        raise DistributionError(f"{name} at {place} is {float(values[tuple(place)])}")
    return values.double()


def _positive(name: str, values: Tensor) -> Tensor:
    values = _finite(name, values)
    if values.numel() and float(values.min()) <= 0:
        place = [int(i) for i in (values <= 0).nonzero()[0]]
        raise DistributionError(f"{name} at {place} is {float(values[tuple(place)])}; it has to be above 0")
    return values


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
        precision: bits.

    Raises:
        DistributionError: the precision is too small for the alphabet: two units are needed for each symbol.
    """

    def __init__(self, size: int, precision: int = DEFAULT_PRECISION) -> None:
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

    def guess(self, quantiles: Tensor) -> Tensor | None:
        """Symbols at about these values of the cdf, from which to search, or None where halving is as good.

        Args:
            quantiles: inside (0, 1). [lanes] float64
        """
        return None

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
        """See `Pmf`. From `guess` where there is one, by doubling steps and halving; else by halving alone."""
        low = torch.zeros_like(slots)  # the symbol is at least this
        high = torch.full_like(slots, self.size)  # and below this
        guess = self.guess((slots.double() + 0.5) / (1 << self.precision))
        if guess is not None:
            low, high = self._bracket(slots, guess.clamp(0, self.size - 1))
        while bool((high - low > 1).any()):
            middle = (low + high) >> 1
            below = self._start(middle) <= slots
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low

    def _bracket(self, slots: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds [low, high) of the symbols, widened from the guess `at` until they hold."""
        step = 1
        low, high = at, at + 1
        while True:
            start, stop = self._start(torch.stack([low, high]))
            above, below = start > slots, stop <= slots
            if not bool((above | below).any()):
                return low, high
            low, high = (
                torch.where(above, low - step, torch.where(below, high, low)).clamp(min=0),
                torch.where(below, high + step, torch.where(above, low, high)).clamp(max=self.size),
            )
            step *= 2


class Categorical:
    """Any probabilities over up to 2^16 symbols, from logits or from anything proportional to them.

    Args:
        weights: not negative, not all zero. [lanes, size]
        precision: bits.
    """

    def __init__(self, weights: Tensor, precision: int = DEFAULT_PRECISION) -> None:
        weights = _finite("weight", weights)
        self.size, self.precision = int(weights.shape[-1]), precision
        _check_precision(precision)
        if 2 * self.size > 1 << precision:
            raise DistributionError(
                f"{self.size} symbols at a precision of {precision} bits; it holds {1 << precision >> 1}"
            )
        total = weights.cumsum(-1)
        if weights.numel() and (float(weights.min()) < 0 or float(total[:, -1].min()) <= 0):
            raise DistributionError("weights of a categorical distribution are negative, or all zero")
        free = (1 << precision) - 2 * self.size
        inner = (total[:, :-1] / total[:, -1:] * free).long()
        steps = 2 * torch.arange(self.size + 1, device=weights.device)
        self._starts = torch.nn.functional.pad(inner, (1, 1)) + steps  # [lanes, size + 1]
        self._starts[:, -1] = 1 << precision

    @classmethod
    def from_logits(cls, logits: Tensor, precision: int = DEFAULT_PRECISION) -> Categorical:
        """From logarithms of the weights [lanes, size]."""
        return cls(torch.softmax(_finite("logit", logits), -1), precision)

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        _check_symbols(symbols, self.size)
        ends = self._starts.gather(1, torch.stack([symbols, symbols + 1], 1))
        return ends[:, 0], ends[:, 1] - ends[:, 0]

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        return torch.searchsorted(self._starts, slots[:, None].contiguous(), right=True)[:, 0] - 1


class Bernoulli(CumulativePmf):
    """0 or 1, from the logit of 1 [lanes]."""

    def __init__(self, logits: Tensor, precision: int = DEFAULT_PRECISION) -> None:
        super().__init__(2, precision)
        self._zero = torch.sigmoid(-_finite("logit", logits))

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        return self._zero.expand(edges.shape)


class _Mixture(CumulativePmf):
    """A mixture of one family on the integers 0 to size - 1.

    Bins reach half way to the neighbours; the end bins take the tails.

    Args:
        logits: of the components. [lanes, J]
        means: [lanes, J]
        scales: above 0. [lanes, J]
        size: values, 256 or 65,536 for samples of images.
        precision: bits.
    """

    def __init__(
        self, logits: Tensor, means: Tensor, scales: Tensor, size: int, precision: int = DEFAULT_PRECISION
    ) -> None:
        super().__init__(size, precision)
        self._weights = torch.softmax(_finite("logit", logits), -1)
        self._means, self._scales = _finite("mean", means), _positive("scale", scales)

    @staticmethod
    @abstractmethod
    def _standard(distance: Tensor) -> Tensor:
        """The family's cdf with mean 0 and scale 1."""

    @staticmethod
    @abstractmethod
    def _quantile(probability: Tensor) -> Tensor:
        """Its inverse."""

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        distance = (edges[..., None].double() - 0.5 - self._means) / self._scales  # [..., lanes, J]
        return (self._weights * self._standard(distance)).sum(-1)

    def guess(self, quantiles: Tensor) -> Tensor | None:
        """See `CumulativePmf`."""
        if self._means.shape[-1] > 1:
            return None
        value = self._means[:, 0] + self._scales[:, 0] * self._quantile(quantiles)
        return torch.nan_to_num(value).clamp(0, self.size - 1).add(0.5).long()


class LogisticMixture(_Mixture):
    """A discretized mixture of logistic distributions."""

    @staticmethod
    def _standard(distance: Tensor) -> Tensor:
        return torch.sigmoid(distance)

    @staticmethod
    def _quantile(probability: Tensor) -> Tensor:
        return torch.logit(probability)


class GaussianMixture(_Mixture):
    """A discretized mixture of normal distributions, which have standard deviations for scales."""

    @staticmethod
    def _standard(distance: Tensor) -> Tensor:
        return _ndtr(distance)

    @staticmethod
    def _quantile(probability: Tensor) -> Tensor:
        return _ndtri(probability)


class GaussianBins(CumulativePmf):
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

    def __init__(self, means: Tensor, scales: Tensor, size: int, precision: int = DEFAULT_PRECISION) -> None:
        super().__init__(size, precision)
        self._means, self._scales = _finite("mean", means), _positive("scale", scales)

    @staticmethod
    def values(symbols: Tensor, size: int) -> Tensor:
        """The latents in the middle of the bins' mass, float64."""
        return _ndtri((symbols.double() + 0.5) / size)

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        edge = _ndtri(edges.double() / self.size)
        return _ndtr((edge - self._means) / self._scales)

    def guess(self, quantiles: Tensor) -> Tensor | None:
        """See `CumulativePmf`."""
        value = self._means + self._scales * _ndtri(quantiles)
        return (_ndtr(value) * self.size).long().clamp(0, self.size - 1)


def _ndtr(x: Tensor) -> Tensor:
    """Cumulative distribution of the standard normal."""
    result: Tensor = torch.special.ndtr(x)
    return result


def _ndtri(p: Tensor) -> Tensor:
    """Its inverse."""
    result: Tensor = torch.special.ndtri(p)
    return result
