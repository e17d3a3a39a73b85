"""A second decoder of the indexed payload, written from codec/FORMAT.md, for tables of colours in form 0.

In plain Python, slow and short. It shares the numbers of the logistic function with the coder and nothing else.
"""

from __future__ import annotations

from collections import defaultdict

from densezip.models.indexed import LOGISTIC

__all__ = ["decode"]

NEAR = {"W": (0, -1), "WW": (0, -2), "WWW": (0, -3), "N": (-1, 0), "NW": (-1, -1), "NWW": (-1, -2), "NE": (-1, 1)}
FAR = {"NEE": (-1, 2), "NEEE": (-1, 3), "NN": (-2, 0), "NNW": (-2, -1), "NNWW": (-2, -2), "NNE": (-2, 1)}
FARTHEST = {"NNEE": (-2, 2), "NNN": (-3, 0)}
INPUTS = 28


def _logistic(d: int) -> int:
    if d < 0:
        return max(1, 65536 - _logistic(min(-d, 2047)))
    return min(65535, LOGISTIC[d // 64] + (LOGISTIC[d // 64 + 1] - LOGISTIC[d // 64]) * (d % 64) // 64)


SQUASH = {d: _logistic(d) for d in range(-2048, 2048)}


def _stretch(p: int) -> int:
    return _clamp(next((d for d in range(-2048, 2048) if SQUASH[d] >= 16 * p + 8), 2047))


def _clamp(x: int) -> int:
    return min(max(x, -2047), 2047)


STRETCH = [_stretch(p) for p in range(4096)]


def mix(state: int, *values: int) -> int:
    for value in values:
        m = (state + value + 1) * 0x2C1B3C6D % 2**32
        state = m ^ m >> 15
    return state


class _Counter:
    def __init__(self) -> None:
        self.p, self.n = 2**21, 0

    def learn(self, bit: int) -> None:
        self.p += (bit * 2**22 - self.p) * (131072 // (2 * self.n + 3)) >> 16
        self.p, self.n = min(max(self.p, 0), 2**22 - 1), min(self.n + 1, 100)

    @property
    def top(self) -> int:
        return self.p >> 10


class _Row:
    """A row of a correction."""

    def __init__(self) -> None:
        self.at = [SQUASH[128 * i - 2048] for i in range(32)] + [SQUASH[2047]]

    def value(self, k: int, r: int) -> int:
        return (self.at[k] * (128 - r) + self.at[k + 1] * r) >> 7

    def learn(self, k: int, bit: int) -> None:
        self.at[k] += (65535 * bit - self.at[k]) >> 6


class _Bits:
    """The arithmetic decoder."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 4
        self.x1, self.x2, self.v = 0, 2**32 - 1, int.from_bytes(data[:4].ljust(4, b"\0"))

    def take(self, chance: int) -> int:
        g = self.x2 - self.x1
        middle = self.x1 + (g >> 16) * chance + ((g % 2**16) * chance >> 16)
        bit = int(self.v <= middle)
        self.x1, self.x2 = (self.x1, middle) if bit else (middle + 1, self.x2)
        while self.x1 >> 24 == self.x2 >> 24:
            new = self.data[self.place] if self.place < len(self.data) else 0
            self.place += 1
            self.x1 = self.x1 * 256 % 2**32
            self.x2 = self.x2 * 256 % 2**32 + 255
            self.v = self.v * 256 % 2**32 + new
        return bit


class _Model:
    def __init__(self, data: bytes, bits: int, slots: int) -> None:
        self.bits, self.slots, self.coder = bits, slots, _Bits(data)
        self.counters = defaultdict[tuple[int, int], _Counter](_Counter)
        self.matches = defaultdict[int, _Counter](_Counter)
        self.depths = defaultdict[tuple[int, int, int], list[int]](lambda: [7000] * INPUTS)
        self.patterns = defaultdict[int, list[int]](lambda: [7000] * INPUTS)
        self.corrections = [defaultdict[int, _Row](_Row), defaultdict[int, _Row](_Row)]

    def index(self, hashes: list[int], pattern: int, expected: int | None, length: int, west: int, north: int) -> int:
        node = 1
        for depth in range(self.bits):
            told = None
            if expected is not None and (expected + (1 << self.bits)) >> (self.bits - depth) == node:
                told = 2 * min(length, 31) + (expected >> (self.bits - 1 - depth) & 1)
            node = 2 * node + self._bit(hashes, pattern, told, length, west, north, node, depth)
        return node - (1 << self.bits)

    def _bit(
        self,
        hashes: list[int],
        pattern: int,
        told: int | None,
        length: int,
        west: int,
        north: int,
        node: int,
        depth: int,
    ) -> int:
        slots = [mix(hashed, node * 0x9E3779B1 % 2**32) % self.slots for hashed in hashes]
        used = [self.counters[i, slot] for i, slot in enumerate(slots)]
        inputs = [STRETCH[counter.top] if counter.n else 0 for counter in used]
        inputs += [(counter.top - 2048) * min(counter.n, 16) >> 6 for counter in used]
        inputs += [0 if told is None else STRETCH[self.matches[told].top], 256]
        known = sum(counter.n > 0 for counter in used[3:7])
        match = 0 if told is None else 5 if length >= 16 else 1 + min(length, 7) // 2
        weights = self.depths[depth, match, known], self.patterns[pattern]
        logits = [_clamp(sum(x * w for x, w in zip(inputs, row, strict=True)) >> 16) for row in weights]
        together = (sum(logits) >> 1) + 2048
        k, r = together >> 7, together % 128
        names = 256 * west + node, (mix(77, west, north) + node * 0x9E37) % 2**16
        rows = [table[name] for table, name in zip(self.corrections, names, strict=True)]
        chance = (2 * SQUASH[together - 2048] + sum(row.value(k, r) for row in rows)) >> 2
        bit = self.coder.take(min(max(chance, 1), 65535))
        for row, logit in zip(weights, logits, strict=True):
            error = 3 * (bit * 2**16 - SQUASH[logit])
            row[:] = [w + (x * error + 2**15 >> 16) for w, x in zip(row, inputs, strict=True)]
        for counter in used + ([] if told is None else [self.matches[told]]):
            counter.learn(bit)
        for corrected in rows:
            corrected.learn(k + (r >= 64), bit)
        return bit


def decode(data: bytes, height: int, width: int) -> list[list[int]]:
    """Indices [height][width] of the bytes of a tile."""
    bits = data[0].bit_length()
    slots = 1 << min(max((height * width * bits).bit_length(), 14), 21)
    model = _Model(data[2:], bits, slots)
    image = [[0] * width for _ in range(height)]
    places = defaultdict[int, int](int)
    at = length = 0
    for y in range(height):
        for x in range(width):
            near = {
                name: image[y + dy][x + dx] if y + dy >= 0 and 0 <= x + dx < width else 0
                for name, (dy, dx) in (NEAR | FAR | FARTHEST).items()
            }
            W, N, NW, NE, WW, NN, NEE = (near[name] for name in ("W", "N", "NW", "NE", "WW", "NN", "NEE"))
            close = mix(0, W, N, NE, NW)
            six = mix(close, WW, NN)
            ten = mix(six, NEE, near["NWW"], near["NNE"], near["NNW"])
            wide = mix(ten, near["WWW"], near["NEEE"], near["NNN"], near["NNEE"], near["NNWW"])
            hashes = [1, mix(2, W, N), mix(3, W, N, NW), mix(4, close), mix(5, six), mix(6, ten), mix(7, wide)]
            hashes += [mix(8, W, WW, near["WWW"]), mix(9, N, NN, near["NNN"]), mix(10, NE, W, NEE)]
            hashes += [mix(11, W + N - NW + 512), mix(12, W + NE, N - NW + 512)]
            hashes += [mix(13, (W + N) >> 1, (NE + NW) >> 1)]
            alike = (W == N, N == NW, W == NW, N == NE, W == WW, N == NN, NE == NEE)
            pattern = sum(1 << number for number, same in enumerate(alike) if same)
            if not length:
                at = places[wide % slots]
                length = int(at > 0)
            places[wide % slots] = y * width + x
            expected = image[at // width][at % width] if length else None
            image[y][x] = found = model.index(hashes, pattern, expected, length, W, N)
            if length:
                length, at = length + 1 if found == expected else 0, at + 1
    return image
