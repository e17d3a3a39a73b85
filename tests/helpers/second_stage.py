"""The last stage and the range coder of the second decoder of the photo payload, written from codec/FORMAT.md."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RangeDecoder", "Stage", "mix"]

F = np.float32


class RangeDecoder:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.r = data, 8, 2**64 - 1
        self.v = int.from_bytes(data[:8].ljust(8, b"\0"))

    def bit(self, part: int) -> int:
        one = self.v < (self.r >> 28) * part
        self.take(0 if one else part, part if one else 2**28)
        return int(one)

    def take(self, start: int, stop: int) -> None:
        unit = self.r >> 28
        self.v, self.r = self.v - unit * start, unit * (stop - start)
        while self.r < 2**56:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.v, self.r, self.at = self.v * 256 + byte, self.r * 256, self.at + 1


def mix(*numbers: int) -> int:
    h = 0
    for k, number in enumerate(numbers):
        h = (h + number + 1) * 0x2C1B3C6D % 2**32 if k else number
        h ^= h >> 15 if k else 0
    return h


class Stage:
    """The last stage: contexts' counters and three sets of weights."""

    def __init__(self, contexts: int, channels: int, pixels: int) -> None:
        self.contexts, self.lines = contexts, 64
        while self.lines < min(pixels / 2, 2**18):
            self.lines *= 2
        self.counters: dict[tuple[int, int], list[int]] = {}
        first = np.array([1, 0, *[0.1] * contexts, *[0] * (6 - contexts)], F)
        sizes = ((256,), (4, 8, 16), (8, 16))
        self.weights = [np.tile(first, (channels, *size, 1)) for size in sizes]

    def squash(self, x: Any) -> Any:
        place = int((min(max(x, F(-11.99)), F(11.99)) + F(12)) * F(32))
        return F(round(2**24 / (1 + np.exp(12 - (place + 0.5) / 32))) / 2**24)

    def stretch(self, place: int) -> Any:
        return F(round(4096 * np.log((2 * place + 1) / (8191 - 2 * place))) / 4096)

    def begin(self, hashes: list[int], c: int, phase: int, spread: int) -> None:
        self.hashes, self.c, self.phase, self.spread = hashes, c, phase, spread

    def bit(self, coder: RangeDecoder, node: int, depth: int, chance: float) -> int:
        found = []
        for k in range(self.contexts):
            high, low = (0, node) if depth < 4 else (node >> depth - 4, node % 2 ** (depth - 4) + 2 ** (depth - 4))
            h = mix(self.hashes[k], high) * 0x9E3779B1 % 2**32
            cell = (k, (h >> 4) % self.lines * 16 + ((h >> 28) ^ low))
            found.append(self.counters.setdefault(cell, [2**21, 0]))
        logit = self.stretch(int(chance * 4096))
        x = np.array([logit, 0.3, *(self.stretch(p >> 10) for p, _ in found), *[0] * (6 - self.contexts)], F)
        ambiguity = int(abs(logit) * 2)
        sets = zip(self.weights, ((node,), (self.phase, self.spread, ambiguity), (depth, ambiguity)), strict=True)
        total, parts = F(0), []
        for weights, place in sets:
            own = weights[(self.c, *place)]
            half = (own * x)[:4] + (own * x)[4:]
            value = (half[0] + half[2]) + (half[1] + half[3])
            total += value
            parts.append((own, self.squash(value)))
        bit = coder.bit(int(float(self.squash(total * F(1 / 3))) * 2**28))
        for own, p in parts:
            own[...] = own + (F(bit) - p) * F(0.018) * x
        for counter in found:
            p, n = counter
            counter[:] = [p + ((bit * (2**22 - 1) - p) * (655360 // (10 * n + 13)) >> 16), min(n + 1, 60)]
        return bit
