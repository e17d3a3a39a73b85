"""Numbers below a bound on each lane: uniform ones of any size, and those with halving probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .codecs import Codec, FromPmf, spans
from .halves import intervals
from .pmf import DEFAULT_PRECISION
from .rans import Message

__all__ = ["Halving", "Number", "Spread"]

DIGIT = DEFAULT_PRECISION
"""Bits of a digit, in which large numbers are pushed."""


@dataclass(frozen=True)
class Spread:
    """Values of independent codecs, [count] int64, as many at a time as there are lanes: `Independent` for codecs.

    Attributes:
        codec: (first, stop) -> the codec of the values first to stop - 1, one on each lane.
        count: number of values; the last ones take the first lanes only.
    """

    codec: Callable[[int, int], Codec[Tensor]]
    count: int

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        for first, stop in reversed(spans(self.count, message.lanes)):
            self.codec(first, stop).push(message.part(0, stop - first), symbols[first:stop])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        parts = [self.codec(a, b).pop(message.part(0, b - a)) for a, b in spans(self.count, message.lanes)]
        return torch.cat([torch.zeros(0, dtype=torch.int64, device=message.device), *parts])


class Uniforms:
    """All of `sizes` numbers alike, with a size of its own, at most 2^24, for each lane."""

    precision = DIGIT

    def __init__(self, sizes: Tensor) -> None:
        self._sizes = sizes  # [lanes] int64
        self.size = int(sizes.max())

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        ends = torch.stack([symbols, symbols + 1]) << self.precision
        start, stop = torch.div(ends, self._sizes, rounding_mode="floor")
        return start, stop - start

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        return ((slots + 1) * self._sizes - 1) >> self.precision


@dataclass(frozen=True)
class Number:
    """A number from 0 to `sizes` - 1 on each lane, all alike; of a size of 1 it costs nothing and changes nothing.

    In digits of 24 bits from the highest down, as many as the largest size has.
    """

    sizes: Tensor  # [lanes] int64

    def _places(self) -> list[int]:
        return list(range(0, (int(self.sizes.max()) - 1).bit_length(), DIGIT))[::-1]

    def _digit(self, higher: Tensor, place: int) -> FromPmf:
        """Of the digit at a place, given the number that those before it make."""
        left = (self.sizes - (higher << place << DIGIT) - 1 >> place) + 1
        return FromPmf(Uniforms(left.clamp(max=1 << DIGIT)))

    def intervals(self, symbols: Tensor) -> list[tuple[Tensor, Tensor, int]]:
        """Start, freq [lanes] and precision of each digit, in the order of pushing."""
        found = []
        for place in reversed(self._places()):
            higher = symbols >> place >> DIGIT
            found += intervals(self._digit(higher, place).pmf, (symbols >> place) - (higher << DIGIT))
        return found

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        for interval in self.intervals(symbols):
            message.push(*interval)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        number = torch.zeros_like(self.sizes)
        for place in self._places():
            number = (number << DIGIT) + self._digit(number, place).pop(message)
        return number


class Halving:
    """0, 1, 2, ... with probabilities 1/2, 1/4, ..., where the last of `counts` numbers takes what is left."""

    precision = 26

    def __init__(self, counts: Tensor) -> None:
        self._last = counts - 1  # [lanes] int64
        self.size = int(counts.max())

    def interval(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pmf`."""
        left = 1 << (self.precision - symbols)
        return (1 << self.precision) - left, torch.where(symbols == self._last, left, left >> 1)

    def locate(self, slots: Tensor) -> Tensor:
        """See `Pmf`."""
        starts = (1 << self.precision) - (1 << (self.precision - torch.arange(self.size, device=slots.device)))
        return torch.minimum(torch.searchsorted(starts, slots, right=True) - 1, self._last)
