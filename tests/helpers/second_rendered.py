"""A second decoder of the rendered payload, written from codec/FORMAT.md, in plain Python, slow and short.

It shares the parts that the indexed payload has too with the second decoder of that.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict

import numpy as np
from second_indexed import SQUASH, STRETCH, _Bits, _clamp, _Counter, _Row, mix  # type: ignore[import-not-found]

__all__ = ["decode"]

Place = tuple[int, int, int]
FEW = [(-1, 0), (-1, -1), (-1, 1)]
REST = [(-2, 1), (-1, -2), (-1, 2), (-2, -1), (0, -3), (-1, 3), (-3, 0), (-2, 2), (-2, -2), (-1, -3), (0, -4), (-3, 1)]
REST += [(-3, -1), (-2, 3), (-2, -3), (-3, 2), (-3, -2), (-1, 4), (-2, 4)]
SINGLE = np.float32


def _med(w: int, n: int, nw: int) -> int:
    return min(w, n) if nw >= max(w, n) else max(w, n) if nw <= min(w, n) else w + n - nw


def _coarse(d: int) -> int:
    if abs(d) < 12:
        return 128 + d
    o = abs(d).bit_length() - 1
    level = 2 * o + 6 + (abs(d) >> (o - 1)) % 2
    return 128 + level if d > 0 else 128 - level


def _rough(d: int) -> int:
    level = abs(d) if abs(d) < 3 else abs(d).bit_length() - 1 + 3
    return 32 + level if d >= 0 else 32 - level


class _Fit:
    def __init__(self, n: int, memory: float, pause: int) -> None:
        self.n, self.memory, self.pause = n, memory, pause
        self.a = [[0.0] * n for _ in range(n)]
        self.b, self.u = [0.0] * n, [0.0] * n

    def guess(self, z: list[int]) -> float:
        total = 0.0
        for u, value in zip(self.u, z[: self.n], strict=True):
            total += u * value
        return total

    def learn(self, z: list[int], target: int, pixel: int) -> None:
        n = self.n
        for i in range(n):
            self.a[i] = [old * self.memory + z[i] * z[j] for j, old in enumerate(self.a[i])]
            self.b[i] = self.b[i] * self.memory + z[i] * target
        if not (pixel < 256 or pixel % self.pause == 0):
            return
        a, b, d, trace = [row.copy() for row in self.a], self.b.copy(), [0.0] * n, 0.0
        for i in range(n):
            trace += a[i][i]
        rho = 0.03 + 1e-10 * trace
        for k in range(n):
            pivot = a[k][k] + rho
            d[k] = 1 / pivot if pivot > 0.5 * rho else 0.0
            for i in range(k + 1, n):
                f = a[k][i] * d[k]
                for j in range(i, n):
                    a[i][j] -= f * a[k][j]
                b[i] -= f * b[k]
        for k in reversed(range(n)):
            self.u[k] = b[k] * d[k]
            for i in range(k):
                b[i] -= a[i][k] * self.u[k]


class _Samples:
    """Decodes one picture of coded samples."""

    def __init__(self, data: bytes, height: int, width: int, channels: int, most: int) -> None:
        self.H, self.W, self.C, self.M = height, width, channels, most
        self.bits = _Bits(data)
        self.x: dict[Place, int] = {}
        self.r: dict[Place, int] = defaultdict(int)
        self.e: dict[Place, list[np.float32]] = defaultdict(lambda: [SINGLE(0)] * 16)
        self.fits = [[_Fit(24, 0.9998, 8), _Fit(12, 0.998, 2), _Fit(6, 0.97, 1)] for _ in range(channels)]
        self.records = [[0.0] * 3 for _ in range(channels)]
        self.lines = 1 << min(16, max(8, (height * width * channels // 2).bit_length()))
        self.counters: dict[tuple[int, int, int], _Counter] = defaultdict(_Counter)
        self.matches: dict[int, _Counter] = defaultdict(_Counter)
        self.plain: dict[int, _Counter] = defaultdict(_Counter)
        self.places: dict[int, int] = defaultdict(int)
        self.weights: list[dict[tuple[int, int], list[int]]] = [defaultdict(lambda: [5000] * 52) for _ in range(3)]
        self.last: dict[int, list[int]] = defaultdict(lambda: [21845] * 3)
        self.corrections: list[dict[int, _Row]] = [defaultdict(_Row), defaultdict(_Row)]
        self.at = self.length = 0

    def sample(self, y: int, x: int, c: int) -> int:
        if y < 0:
            return 0
        if x < 0:
            return self.sample(y - 1, 0, c)
        return self.x[y, min(x, self.W - 1), c]

    def decode(self) -> np.ndarray:
        for y in range(self.H):
            self.runs = [0] * self.C
            for x in range(self.W):
                self._pixel(y, x)
        flat = [self.x[y, x, c] for y in range(self.H) for x in range(self.W) for c in range(self.C)]
        return np.array(flat).reshape(self.H, self.W, self.C)

    def _pixel(self, y: int, x: int) -> None:
        hashed = 5
        for dy, dx in ((0, -1), (0, -2), (-1, 0), (-1, -1), (-1, 1), (-2, 0), (-1, 2)):
            hashed = mix(hashed, *(self.sample(y + dy, x + dx, c) for c in range(self.C)))
        if self.length == 0:
            self.at = self.places[hashed % self.lines]
            self.length = int(self.at != 0)
        self.places[hashed % self.lines] = y * self.W + x
        for c in range(self.C):
            told = self.x[self.at // self.W, self.at % self.W, c] if self.length else None
            found = self._sample(y, x, c, told)
            if self.length and found != told:
                self.length = 0
        if self.length:
            self.length, self.at = self.length + 1, self.at + 1

    def _guesses(self, y: int, x: int, c: int, z: list[int]) -> list[np.float32]:
        def at(dy: int, dx: int, channel: int = c) -> int:
            return self.sample(y + dy, x + dx, channel)

        def bounded(value: float) -> np.float32:
            return SINGLE(min(max(float(value), 0.0), float(self.M)))

        w, n, nw, ne, ww, nn = at(0, -1), at(-1, 0), at(-1, -1), at(-1, 1), at(0, -2), at(-2, 0)
        found = [SINGLE(w), SINGLE(n), SINGLE(_med(w, n, nw)), bounded(w + n - nw), bounded(2 * w - ww)]
        found += [bounded(2 * n - nn), bounded(n + ne - at(-2, 1)), bounded(w + ne - n)]
        found += [bounded(w + fit.guess(z)) for fit in self.fits[c]]
        found += [SINGLE(ne), bounded(3 * w - 3 * ww + at(0, -3))]
        if c == 0:
            return [*found, bounded(3 * n - 3 * nn + at(-3, 0)), SINGLE(w + n) * SINGLE(0.5), SINGLE(nw)]
        v, vw, vn, vnw = at(0, 0, c - 1), at(0, -1, c - 1), at(-1, 0, c - 1), at(-1, -1, c - 1)
        return [*found, bounded(w + v - vw), bounded(n + v - vn), bounded(v + _med(w - vw, n - vn, nw - vnw))]

    def _next(self, y: int, x: int, c: int) -> int:
        """Columns to the next change in row y."""
        for column in range(max(1, x), min(self.W, x + 40)):
            if self.sample(y, column, c) != self.sample(y, column - 1, c):
                return column - x
        return 40

    def _sample(self, y: int, x: int, c: int, told: int | None) -> int:
        C = self.C
        w0 = [self.sample(y, x - 1, channel) for channel in range(C)]
        places: list[Place] = [(0, 0, channel) for channel in range(c)]
        places += [(dy, dx, c) for dy, dx in [*FEW, (0, -2), (-2, 0)]]
        places += [(dy, dx, channel) for channel in range(C) if channel != c for dy, dx in FEW]
        places += [(dy, dx, c) for dy, dx in REST]
        z = [self.sample(y + dy, x + dx, channel) - w0[channel] for dy, dx, channel in places[:24]]
        guesses = self._guesses(y, x, c, z)
        total = weighed = SINGLE(0)
        errors = [self.e[y + dy, x + dx, c] for dy, dx in ((0, -1), (-1, 0), (0, -2), (-1, -1), (-1, 1))]
        for k, guess in enumerate(guesses):
            e = [error[k] for error in errors]
            s = SINGLE(2) * (e[0] + e[1]) + (e[2] + (e[3] + e[4])) + SINGLE(0.3)
            share = SINGLE(1) / ((s * s) * (s * s))
            total, weighed = total + share, weighed + share * guess
        rivals = [float(weighed / total), float(guesses[8]), float(guesses[9])]
        R = self.records[c]
        best = int(R[1] < R[0])
        best = 2 if R[2] < R[best] else best
        sixteenths = min(max(int(rivals[best] * 16 + 8), 0), 16 * self.M + 15)
        P, F = sixteenths >> 4, sixteenths % 16
        if self.length >= 24 and told is not None:
            P, F = told, 8
        self._look(y, x, c, P, F, guesses, told)
        residual = self._residual(told, P)
        value = min(max(P + residual, 0), self.M)
        self.x[y, x, c], self.r[y, x, c] = value, residual
        for fit in self.fits[c]:
            fit.learn(z, value - w0[c], y * self.W + x)
        self.e[y, x, c] = [abs(SINGLE(value) - guess) for guess in guesses]
        self.records[c] = [old * 0.98 + abs(value - rival) for old, rival in zip(R, rivals, strict=True)]
        self.runs[c] = min(self.runs[c] + 1, 40) if value == w0[c] else 0
        return value

    def _look(self, y: int, x: int, c: int, P: int, F: int, guesses: list[np.float32], told: int | None) -> None:
        def less(dy: int, dx: int) -> int:
            return self.sample(y + dy, x + dx, c) - P

        def whole(start: int, dy: int, dx: int) -> int:
            return int(mix(start, *(self.sample(y + dy, x + dx, channel) for channel in range(self.C))))

        w, n, nw, ne, ww, nn = less(0, -1), less(-1, 0), less(-1, -1), less(-1, 1), less(0, -2), less(-2, 0)
        nee = less(-1, 2)
        rw, rn, rnw, rne, rww, rnn = (
            self.r[y + dy, x + dx, c] for dy, dx in ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
        )
        before, older = (self.r[y, x, c - back] if c >= back else 0 for back in (1, 2))
        E = 2 * (abs(rw) + abs(rn)) + abs(rnw) + abs(rne) + abs(rww) + abs(rnn) + 2 * abs(before)
        o = math.floor(math.log2(E)) if E else 0
        level = E if E < 8 else min(79, 4 * o - 4 + (E >> (o - 2)) % 4)
        octave = level >> 1
        alike = (w == n, n == nw, w == nw, n == ne, w == ww, n == nn, ne == nee)
        D = [math.floor(guess * SINGLE(2) + SINGLE(0.5)) - 2 * P for guess in guesses]
        coming = self._next(y - 1, x, c) if y else 40
        drift = coming - (self._next(y - 2, x, c) if y > 1 else 40 if y else 0)
        values = mix(0, *(self.x[y, x, channel] for channel in range(c))) if c else 0
        west, north = whole(1, 0, -1), whole(2, -1, 0)
        cross = mix(w, n, c)
        four = mix(cross, nw, ne)
        six = mix(four, ww, nn)
        nine = mix(west, north, values, P)
        hashes = [mix(level, F), mix(octave, _rough(rw), _rough(rn), _rough(before)), mix(F, _coarse(D[8]), octave)]
        hashes += [mix(octave, _coarse(D[10]), _coarse(D[9]), _coarse(D[2])), cross, four, six]
        hashes += [mix(six, less(-2, 1), less(-1, -2), nee), mix(cross, P), nine]
        hashes += [mix(nine, whole(3, -1, -1), whole(4, -1, 1), 0, 0), mix(cross, self.runs[c], coming)]
        hashes += [mix(cross, coming, drift), mix(before, older, _coarse(D[13]), F), mix(values, P, 0)]
        hashes += [mix(values, west, P), mix(_coarse(D[13]), _coarse(D[14]), _coarse(D[15]), F >> 2)]
        hashes += [mix(cross, x % 8, y % 8), mix(_coarse(D[8]), F, x % 4, y % 4, 0)]
        hashes.append(0 if told is None else mix(told - P, min(self.length, 15), 0))
        hashes += [mix(_coarse(D[2]), _coarse(D[3]), _rough(D[4]), _rough(D[5]))]
        hashes += [mix(_coarse(D[6]), _coarse(D[7]), _rough(before), F >> 2)]
        hashes += [mix(mix(octave, _coarse(before)), mix(_coarse(older), F >> 1)), mix(rw, rn, rww, rnw)]
        self.hashes = [mix(h, number, c) for number, h in enumerate(hashes)]
        self.channel, self.level, self.F, self.pixel = c, level, F, y * self.W + x
        self.pattern = sum(1 << number for number, same in enumerate(alike) if same)

    def _enter(self, salt: int) -> None:
        hashes = [mix(h, salt) for h in self.hashes] if salt else self.hashes
        self.entered = [(h * 0x9E3779B1 % 2**32 >> 7) % self.lines for h in hashes]

    def _residual(self, told: int | None, P: int) -> int:
        def decisions(r: int) -> list[int]:
            """What would be coded for a residual."""
            if r == 0:
                return [1]
            k = (abs(r) - 1).bit_length()
            place = abs(r) - 2 ** (k - 1) - 1 if k else 0
            bits = [place >> i & 1 for i in reversed(range(k - 1))] if k else []
            return [0, int(r < 0), *[0] * k, *([1] if k < classes else []), *bits]

        classes = 16 if self.M > 255 else 8
        foretold = None if told is None else decisions(told - P)
        known: list[int] = []

        def ask(slot: int, node: int) -> int:
            agrees = foretold is not None and foretold[: len(known)] == known and len(foretold) > len(known)
            bit = self._decide(slot, node, foretold[len(known)] if foretold is not None and agrees else None)
            known.append(bit)
            return bit

        self._enter(0)
        if ask(0, 0):
            return 0
        if P in (0, self.M):
            known.append(int(P != 0))
        else:
            ask(1, 1)
        sign, k = known[1], 0
        while k < classes:
            if k == 7:
                self._enter(1)
            if ask(2 + 2 * k + sign, 2 + 2 * k + sign) if k < 7 else ask(k - 7, 16 + k - 7):
                break
            k += 1
        size, place = 1, 0
        for i in range(k - 1):
            a, j = (1 << i) + place, i % 3
            if k > 8 and i >= 4:
                counter = self.plain[16 * k + i]
                bit = self.bits.take(min(max((counter.p << 10) >> 16, 64), 65472))
                counter.learn(bit)
            else:
                if j == 0:
                    self._enter(2 + 2 * k + sign + 64 * a)
                bit = ask((1 << j) + place % (1 << j), 32 + 4 * min(k, 7) + min(i, 3))
            place = 2 * place + bit
        if k:
            size = 2 ** (k - 1) + 1 + place
        return -size if sign else size

    def _decide(self, slot: int, node: int, told: int | None) -> int:
        used = [self.counters[i, line, slot] for i, line in enumerate(self.entered)]
        match = None if told is None else self.matches[2 * min(self.length, 31) + told]
        inputs = [STRETCH[counter.top] if counter.n else 0 for counter in used]
        inputs += [0 if match is None else STRETCH[match.top], 256]
        inputs += [(counter.top - 2048) * min(counter.n, 16) >> 6 for counter in used] + [0, 0]
        names = (node, self.channel), (node, self.level), (node, self.pattern)
        weights = [table[name] for table, name in zip(self.weights, names, strict=True)]
        logits = [_clamp(sum(x * w for x, w in zip(inputs, row, strict=True)) >> 16) for row in weights]
        last = self.last[node]
        together = _clamp(sum(x * w for x, w in zip(logits, last, strict=True)) >> 16) + 2048
        k, r = together >> 7, together % 128
        rows = [
            self.corrections[0][1024 * (self.level >> 1) + 128 * (self.F >> 1) + node],
            self.corrections[1][(self.hashes[5] + 0x9E37 * node) % 2**16],
        ]
        chance = (2 * SQUASH[together - 2048] + sum(row.value(k, r) for row in rows)) >> 2
        bit: int = self.bits.take(min(max(chance, 1), 65535))
        pace = 2 + 2600 // (200 + self.pixel)
        for row, logit in zip(weights, logits, strict=True):
            error = (bit * 2**16 - SQUASH[logit]) * pace
            row[:] = [
                min(max(w + (x * error + 2**15 >> 16), -(2**22)), 2**22) for w, x in zip(row, inputs, strict=True)
            ]
        error = 2 * (bit * 2**16 - SQUASH[together - 2048])
        last[:] = [min(max(w + (x * error + 2**15 >> 16), -(2**18)), 2**18) for w, x in zip(last, logits, strict=True)]
        for counter in used + ([] if match is None else [match]):
            counter.learn(bit)
        for corrected in rows:
            corrected.learn(k + (r >= 64), bit)
        return bit


def decode(data: bytes, height: int, width: int, channels: int, depth: int) -> np.ndarray:
    """Samples [height, width, channels] of the bytes of a tile."""
    most, length = 2**depth - 1, int.from_bytes(data[2 - data[0] // 2 : 4 - data[0] // 2], "little")
    if data[0] == 0:
        return _Samples(data[1:], height, width, channels, most).decode()
    if data[0] == 1:
        count, table, rest = data[1] + 1, data[4 : 4 + length], data[4 + length :]
        colours = _Samples(table, 1, count, channels, most).decode()[0]
        if count == 1:
            return np.broadcast_to(colours[0], (height, width, channels))
        return np.asarray(colours[_Samples(rest, height, width, 1, count - 1).decode()[:, :, 0]])
    bitmap, rest = zlib.decompress(data[3 : 3 + length]), data[3 + length :]
    mask = np.unpackbits(np.frombuffer(bitmap, np.uint8)).reshape(channels, 2**depth)
    values = [np.flatnonzero(row) for row in mask]
    ranks = _Samples(rest, height, width, channels, max(map(len, values)) - 1).decode()
    return np.stack([known[ranks[:, :, c]] for c, known in enumerate(values)], axis=-1)
