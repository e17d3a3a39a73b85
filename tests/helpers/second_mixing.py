"""The decisions of the second decoder of JPEG coefficients: counters under contexts, and what mixes them.

Written from codec/FORMAT.md and `models/jpeg/mixing.h`, in numpy with binary32 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from second_stage import RangeDecoder

__all__ = ["FAST", "Mixer", "clip", "length", "scale_level", "signed_level", "sum8"]

F = np.float32
Array = NDArray[Any]
FAST = 4
MASK, HALF, ONES = 2**32 - 1, 2**31, 2**22 - 1
SELECTIONS, CORRECTIONS = (201, 624, 534), (201, 1200)
LOGIT_LIMIT = F(11.99)
LEARNT, LEARNT_LATER, CORRECTING = F(0.012), F(0.003), F(0.02)
MOST_EVENTS = 255

STRETCH = np.array([round(math.log((2 * i + 1) / (8191 - 2 * i)) * 2**12) / 2**12 for i in range(4096)], F)
SQUASH = np.array([round(2**24 / (1 + math.exp(12 - (i + 0.5) / 64))) / 2**24 for i in range(1536)], F)
TRUST = np.array([round(n / (n + 0.7) * 2**16) / 2**16 for n in range(1024)], F)


def sum8(x: Array) -> Any:
    """The sum of eight numbers, in the order of the format."""
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))


def length(x: int) -> int:
    """Bits of a magnitude."""
    return abs(x).bit_length()


def clip(x: int, limit: int) -> int:
    """A number kept within ± a limit."""
    return min(max(x, -limit), limit)


def _bits(x: Any) -> int:
    return int(np.asarray(x, F).view(np.uint32))


def scale_level(x: Any) -> int:
    """Quarters of octaves from 2^-6 on."""
    return min(max((_bits(x if x > 0 else F(0)) >> 21) - 121 * 4, 0), 47)


def signed_level(x: Any) -> int:
    """Halves of octaves from 2^-3 on, with a sign."""
    bits = _bits(x)
    level = min(max(((bits & 0x7FFFFFFF) >> 22) - 124 * 2 + 1, 0), 15)
    return -level if bits >> 31 else level


def _limited(x: Any) -> Any:
    return min(max(x, -LOGIT_LIMIT), LOGIT_LIMIT)


def _squash(x: Any) -> Any:
    return SQUASH[int((_limited(x) + F(12)) * F(64))]


def _log2(x: Array) -> Array:
    bits = x.view(np.int32)
    part = ((bits & 0x7FFFFF) | 0x3F800000).view(F)
    found: Array = ((bits >> 23) - 127).astype(F) + part * (F(2) - part * F(1 / 3))
    return found


class Mixer:
    """Counters, weights and the range decoder of a segment.

    Args:
        inputs: contexts and a bias.
        lines: of counters of each context.
        packed: the weights to begin with, times 64.
        data: the segment.
    """

    def __init__(self, inputs: int, lines: int, packed: Array, data: bytes) -> None:
        self.inputs, self.lines, self.coder = inputs, lines, RangeDecoder(data)
        sizes = [n * 6 * inputs for n in SELECTIONS]
        *sets, second = np.split(packed.astype(F) / F(64), np.cumsum(sizes))
        self.weights = [each.reshape(-1, 6, inputs) for each in sets]
        self.second = second.reshape(201, 16, 3)
        knots = np.array([SQUASH[min(1535, 64 * i)] for i in range(25)], F)
        self.corrections = [np.tile(knots, (n, 16, 1)) for n in CORRECTIONS]
        # Of each counter its probability of 22 bits and the number of its events.
        self.counters: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.own: dict[int, tuple[int, int]] = {}

    def find(self, keys: Sequence[int], kind: int) -> None:
        """Find the lines of the contexts."""
        # Of each kind of symbol the fast model has the same three of the others' contexts.
        chosen = [keys[i] for i in (0, 3, 5)] if self.inputs == FAST else keys[: self.inputs - 1]
        self.line = []
        for i, key in enumerate(chosen):
            h = (((key & MASK) ^ (kind * 0x85EBCA6B & MASK)) * 0x9E3779B1) & MASK
            h = ((h ^ h >> 15) * 0x2C1B3C6D) & MASK
            self.line.append((i, (h ^ h >> 14) % self.lines))

    def select(self, sets: tuple[int, int, int], correction: int) -> None:
        """Choose weights; the first set's number is that of the weights behind them, and of the first correction."""
        self.chosen, self.correction = sets, (sets[0], correction)

    def _take(self, chance: Any) -> int:
        """A bit by its chance, a float, in 28 bits."""
        part = min(max(int(chance * F(2**28)), 64), 2**28 - 64)
        coder = self.coder
        unit = coder.r >> 28
        bit = int(coder.v < unit * part)
        coder.v, coder.r = (coder.v, unit * part) if bit else (coder.v - unit * part, unit * (2**28 - part))
        while coder.r < 2**56:
            byte = coder.data[coder.at] if coder.at < len(coder.data) else 0
            coder.v, coder.r, coder.at = coder.v * 256 + byte, coder.r * 256, coder.at + 1
        return bit

    def _take_coarse(self, part: int) -> int:
        return int(self.coder.bit(min(max(part, 1), 65535)))

    @staticmethod
    def _after(counter: tuple[int, int], bit: int) -> tuple[int, int]:
        chance, events = counter
        chance += ((bit * ONES - chance) * (655360 // (10 * events + 16))) >> 16
        return chance, min(events + 1, MOST_EVENTS)

    def directly(self, place: int) -> int:
        """A bit by a counter of its own."""
        counter = self.own.get(place, (HALF >> 10, 0))
        chance = counter[0]
        bit = self._take_coarse(chance >> 6) if self.inputs == FAST else self._take(F(chance) * F(2.0**-22))
        self.own[place] = self._after(counter, bit)
        return bit

    def by_two(self, node: int) -> int:
        """A bit by the mean of the counters of the first two contexts, in the fast model."""
        places = [(*line, node) for line in self.line[:2]]
        counters = [self.counters.get(place, (HALF >> 10, 0)) for place in places]
        # The numbers of events stand below the chances, and two of them add up to less than a unit of these.
        bit = self._take_coarse(sum(chance for chance, _ in counters) >> 7)
        after = [self._after(counter, bit) for counter in counters]
        self.counters.update(zip(places, after, strict=True))
        return bit

    def bit(self, node: int, group: int) -> int:
        """A decision of the present symbol."""
        places = [(*line, node) for line in self.line]
        counters = [self.counters.get(place, (HALF >> 10, 0)) for place in places]
        if self.inputs == FAST:
            bit, after = self._fast(counters, group)
        else:
            bit = self._mixed(counters, node, group)
            after = [self._after(counter, bit) for counter in counters]
        self.counters.update(zip(places, after, strict=True))
        return bit

    def _mixed(self, counters: list[tuple[int, int]], node: int, group: int) -> int:
        x = np.array([*(STRETCH[chance >> 10] * TRUST[events] for chance, events in counters), 0.3], F)
        second, logits, chances, total = self.second[self.chosen[0], node], [], [], F(0)
        rows = [weights[number, group] for weights, number in zip(self.weights, self.chosen, strict=True)]
        for row, later in zip(rows, second, strict=True):
            products = (x * row).reshape(-1, 8)
            sums = products[0]
            for more in products[1:]:
                sums = sums + more
            logits.append(_limited(sum8(sums)))
            chances.append(_squash(logits[-1]))
            total = total + logits[-1] * later
        total = _limited(total)
        mixed, place = _squash(total), total + F(12)
        knot = int(place)
        part = place - F(knot)
        final = F(0.5) * mixed
        pairs = [table[number, node, knot:] for table, number in zip(self.corrections, self.correction, strict=True)]
        for pair in pairs:
            final = final + F(0.25) * (pair[0] * (F(1) - part) + pair[1] * part)
        bit = self._take(final)
        truth = F(bit)
        for i, chance in enumerate(chances):
            rows[i] += (truth - chance) * LEARNT * x
        second += (truth - mixed) * LEARNT_LATER * np.array(logits, F)
        for pair in pairs:
            pair[0] += (truth - pair[0]) * (CORRECTING * (F(1) - part))
            pair[1] += (truth - pair[1]) * (CORRECTING * part)
        return bit

    def _fast(self, counters: list[tuple[int, int]], group: int) -> tuple[int, list[tuple[int, int]]]:
        ones = np.array([chance for chance, _ in counters], F)
        events = np.array([n for _, n in counters], F)
        rate, most = F(1) / (events + F(1.6)), F(ONES)
        logits = (_log2(ones + F(0.5)) - _log2(most + F(0.5) - ones)) * (events * rate * F(0.6931472))
        x = np.array([*logits, 0.3], F)
        row = self.weights[1][self.chosen[1], group]
        product = x * row
        chance = _squash((product[0] + product[2]) + (product[1] + product[3]))
        bit = self._take_coarse(int(chance * F(2**16)))
        row += (F(bit) - chance) * LEARNT * x
        moved = ones + (F(bit) * most - ones) * rate
        return bit, [(int(m), min(n + 1, MOST_EVENTS)) for m, (_, n) in zip(moved, counters, strict=True)]
