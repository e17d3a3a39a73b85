"""The distribution, the last stage and the range coder of the second decoder, written from codec/FORMAT.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture", "RangeDecoder", "Stage"]

F = np.float32
Array = NDArray[Any]
TINY = F(2.0**-20)


def _exp(x: Array) -> Array:
    x = np.minimum(np.maximum(x, F(-44)), F(44))
    k = np.rint(x * F(1.442695)).astype(F)
    r = (x - k * F(0.693359375)) - k * F(-2.121944e-4)
    r2 = r * r
    low, high = (F(1) + r) + r2 * (F(0.5) + r * F(1 / 6)), (F(1 / 24) + r * F(1 / 120)) + r2 * F(1 / 720)
    result: Array = np.ldexp(low + (r2 * r2) * high, k.astype(int)).astype(F)
    return result


def _sigma(x: Array) -> Array:
    return F(1) / (F(1) + _exp(-x))


def _sum(terms: Array) -> Any:
    return np.add.accumulate(np.concatenate([[F(0)], terms]), dtype=F)[-1]


class Mixture:
    """A sample's distribution by the network, in binary32."""

    def __init__(self, out: Array, components: int, centre: Array, activity: float, alphabet: Array) -> None:
        o, self.n, self.alphabet, self.activity = out[: 3 * components], components, alphabet, F(activity)
        logits, offsets, self.scales = o.reshape(3, components)
        self.weight = _exp(logits - logits.max())
        self.total = _sum(self.weight)
        centres = centre.astype(F)[np.arange(components) % centre.size]
        self.mean = centres + self.activity * offsets
        self.sharp = _exp(-np.minimum(np.maximum(self.scales, F(-6)), F(6))) * (F(1) / self.activity)

    def edge(self, i: int) -> Any:
        v = self.alphabet
        return F(-(2**30) if i == 0 else 2**30 if i == v.size else (v[i - 1] + v[i]) / 2)

    def below(self, value: int) -> Any:
        """G of the values below `value`."""
        i = int(np.searchsorted(self.alphabet, value))
        cdf = _sigma((self.edge(i) - self.mean) * self.sharp)
        return _sum(self.weight * cdf) + F(i * TINY) * self.total

    def spread(self) -> int:
        mean = _sum(self.weight * self.sharp) / self.total
        return min(max((int(np.frexp(mean)[1]) - 1 + 9) >> 1, 0), 7)

    def slope(self, symbol: int, size: int) -> Array:
        """The derivatives of -ln p by the outputs."""
        weight = self.weight * (F(1) / self.total)
        x, y = ((self.edge(i) - self.mean) * self.sharp for i in (symbol, symbol + 1))
        low, high = _sigma(x), _sigma(y)
        down, up = low * (F(1) - low), high * (F(1) - high)
        share = weight * (high - low)
        p = TINY
        for one in share:
            p = p + one
        inverse = F(1) / p
        free = (self.scales > F(-6)) & (self.scales < F(6))
        gradient = np.zeros(size, F)
        gradient[: self.n] = weight * ((p - TINY) * inverse) - share * inverse
        gradient[self.n : 2 * self.n] = (weight * (up - down) * (self.sharp * self.activity)) * inverse
        gradient[2 * self.n : 3 * self.n] = np.where(free, weight * (y * up - x * down), F(0)) * inverse
        return gradient


class RangeDecoder:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.r = data, 8, 2**64 - 1
        self.v = int.from_bytes(data[:8].ljust(8, b"\0"))

    def bit(self, part: int) -> int:
        one = (self.r >> 16) * part
        bit = self.v < one
        if bit:
            self.r = one
        else:
            self.v, self.r = self.v - one, self.r - one
        while self.r < 2**56:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.v, self.r, self.at = self.v * 256 + byte, self.r * 256, self.at + 1
        return int(bit)


class Stage:
    """The last stage: contexts' counters and three sets of weights."""

    def __init__(self, contexts: int, channels: int, pixels: int) -> None:
        self.contexts, self.lines = contexts, 64
        while self.lines < min(pixels / 2, 2**18):
            self.lines *= 2
        self.counters: dict[tuple[int, int], list[int]] = {}
        first = np.array([1, 0, *[0.1] * contexts, *[0] * (6 - contexts)], F) / F(3)
        sizes = ((256,), (4, 8, 5), (256,))
        self.weights = [np.tile(first, (channels, *size, 1)) for size in sizes]

    def squash(self, x: Any) -> int:
        place = int(min(max(x, F(-11.99)), F(11.99)) * F(32) + F(384))
        return min(max(round(2**16 / (1 + float(np.exp(12 - (place + 0.5) / 32)))), 1), 2**16 - 1)

    def stretch(self, place: int) -> Any:
        return F(round(4096 * np.log((2 * place + 1) / (511 - 2 * place))) / 4096)

    def value(self, coder: RangeDecoder, mixture: Mixture, c: int, numbers: list[int], phase: int) -> int:
        """Decode a sample of channel c, whose contexts have these numbers."""
        low, node, learnt, spread = 0, 1, [], mixture.spread()
        for depth in range(8):
            half = 128 >> depth
            start, middle, end = (mixture.below(low + h) for h in (0, half, 2 * half))
            one, zero = end - middle, middle - start
            part = int(max(min(one / (one + zero) * F(65536), F(65535)), F(1)))
            if one == 0 or zero == 0:
                bit = int(zero == 0)
            else:
                m, e = np.frexp(one / zero)
                f = F(2 * m - 1)
                logit = (F(e - 1) + (f + (f * (F(1) - f)) * (F(0.4229) - F(0.1592) * f))) * F(0.6931472)
                if abs(logit) < F(4.15):
                    bit, lesson = self.bit(coder, logit, numbers, c, node, depth, phase, spread)
                    learnt.append(lesson)
                else:
                    bit = coder.bit(part)
            low, node = low + bit * half, 2 * node + bit
        for own, change in learnt:
            for weights in own:
                weights[...] = weights + change
        return low

    def bit(
        self, coder: RangeDecoder, logit: Any, numbers: list[int], c: int, node: int, *rest: int
    ) -> tuple[int, Any]:
        """A bit, and the weights that are to learn, with their change."""
        (depth, phase, spread), found, known = rest, [], 0
        for k in range(self.contexts):
            high, low = (0, node) if depth < 4 else (node >> depth - 4, node % 2 ** (depth - 4) + 2 ** (depth - 4))
            h = (c + 4 * high + 128 * numbers[k]) * 0x9E3779B97F4A7C15 % 2**64
            cell = (k, (h >> 42) % self.lines * 16 + ((h >> 60) ^ low))
            found.append(self.counters.setdefault(cell, [2**11, 0]))
            known = known * 4 + found[-1][1] // 4
        x = np.array([logit, 1, *(self.stretch(p >> 4) for p, _ in found), *[0] * (6 - self.contexts)], F)
        places = ((node,), (phase, spread, int(abs(logit))), (known,))
        own = [weights[(c, *place)] for weights, place in zip(self.weights, places, strict=True)]
        products = (own[0] + own[1] + own[2]) * x
        half = products[:4] + products[4:]
        part = self.squash((half[0] + half[2]) + (half[1] + half[3]))
        bit = coder.bit(part)
        for counter in found:
            p, n = counter
            move = F(bit * 4095 - p) / (F(n) + F(1.3))
            counter[:] = [p + int(np.rint(move)), min(n + 1, 15)]
        step = F(bit * 2**16 - part) * F(F(0.0015) * F(2.0**-16))
        return bit, (own, step * x)
