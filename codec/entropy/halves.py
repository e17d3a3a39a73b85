"""Large alphabets in two parts: a symbol's high digits, then its low eight bits given these.

One interval for each of 65,536 symbols would need more bits of precision than a message has to spare. In two parts both
have the default precision of small alphabets. The low part is the conditional distribution

    (F(edge) - F(low end) + ε · share) / (F(high end) - F(low end) + ε),    ε = 2^-25,

whose little uniform share keeps the last bits of F from showing where the symbols of a part are rare: differences of F
are good to some 2^-50 then, half a unit of 2^-24 after the division. It costs at most n ε / ln 2 bits a symbol for n
high parts. With two times 4.4e-5 for the two roundings (see `pmf`) that is 9.9e-5 bits a symbol at most for 16 bits.

A cumulative distribution of your own has to rise but for 1e-10, as any in float64 does; `interval` and `locate` of your
own are not asked for large alphabets, unless a precision is given.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor

from .pmf import DEFAULT_PRECISION, CumulativePmf, GaussianBins, Pmf
from .rans import Message

__all__ = ["intervals", "pop"]

LARGEST_WHOLE = 512
"""Symbols of an alphabet that is coded in one part."""

LOW_BITS = 8
SHARE = 2.0**-25


def intervals(pmf: Pmf, symbols: Tensor) -> list[tuple[Tensor, Tensor, int]]:
    """Start, freq [lanes] and precision of what codes a symbol on each lane, in the order of popping: one or two.

    Raises:
        SymbolError: a symbol outside the alphabet.
    """
    if not _in_two(pmf):
        return [(*pmf.interval(symbols), pmf.precision)]
    pmf.check(symbols)
    high = symbols >> LOW_BITS
    parts = ((_high(pmf), high), (_Low(pmf, high), symbols - (high << LOW_BITS)))
    return [(*part.interval(digits), part.precision) for part, digits in parts]


def pop(message: Message, pmf: Pmf) -> Tensor:
    """The symbol on each lane [lanes] int64, from what `intervals` gave."""
    if not _in_two(pmf):
        return _pop(message, pmf)
    high = _pop(message, _high(pmf))
    return (high << LOW_BITS) + _pop(message, _Low(pmf, high))


def _in_two(pmf: Pmf) -> TypeGuard[CumulativePmf]:
    return isinstance(pmf, CumulativePmf) and pmf.is_default and pmf.size > LARGEST_WHOLE


def _pop(message: Message, pmf: Pmf) -> Tensor:
    symbols = pmf.locate(message.peek(pmf.precision))
    message.pop(*pmf.interval(symbols), pmf.precision)
    return symbols


def _below(pmf: CumulativePmf, edges: Tensor) -> Tensor:
    """The cumulative distribution at any edge, 0 and 1 at the ends."""
    inner = pmf.cdf(edges.clamp(1, pmf.size - 1)).clamp(0.0, 1.0)
    return torch.where(edges <= 0, 0.0, torch.where(edges >= pmf.size, 1.0, inner))


def _high(pmf: CumulativePmf) -> CumulativePmf:
    """The distribution of the high part; that of bins of equal mass is on bins of equal mass, to the last bit."""
    if isinstance(pmf, GaussianBins) and pmf.size % (1 << LOW_BITS) == 0:
        return pmf.coarser(pmf.size >> LOW_BITS, DEFAULT_PRECISION)
    return _High(pmf)


class _High(CumulativePmf):
    """The high part."""

    def __init__(self, pmf: CumulativePmf) -> None:
        super().__init__((pmf.size - 1 >> LOW_BITS) + 1, DEFAULT_PRECISION)
        self._pmf = pmf

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        return self._pmf.cdf(edges << LOW_BITS)


class _Low(CumulativePmf):
    """The low part, given the high part on each lane [lanes]; the last high part may have fewer than all."""

    def __init__(self, pmf: CumulativePmf, high: Tensor) -> None:
        super().__init__(1 << LOW_BITS, DEFAULT_PRECISION)
        self._pmf, self._first = pmf, high << LOW_BITS
        self._count = pmf.size - self._first  # of symbols on each lane, where below the size
        self._ends = _below(pmf, torch.stack([self._first, self._first + self.size]))  # [2, lanes]

    def _start(self, edges: Tensor) -> Tensor:
        # The last of the symbols that there are takes what those beyond would have.
        return torch.where(edges >= self._count, 1 << self.precision, super()._start(edges))

    def cdf(self, edges: Tensor) -> Tensor:
        """See `CumulativePmf`."""
        mass = _below(self._pmf, self._first + edges) - self._ends[0]
        below: Tensor = (mass + edges * (SHARE / self.size)) / (self._ends[1] - self._ends[0] + SHARE)
        return below
