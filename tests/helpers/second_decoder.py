"""A second decoder of the photo payload, written from codec/FORMAT.md, for 8-bit tiles of one group.

In numpy with plain Python loops, slow and short. It shares the weights, their list of sizes and nothing else with the
engine; if the two disagree, one of them is not what the format says.
"""

from __future__ import annotations

import copy
import zlib
from typing import Any

import numpy as np
from densezip.models.photo.weights import PhotoWeights
from numpy.typing import NDArray
from second_stage import Mixture, RangeDecoder, Stage

__all__ = ["decode", "tile_of"]

Array = NDArray[Any]
F = np.float32
MARGIN, BATCH = 10, 128
PLACES = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)]
MORE = [(-1, 2), (-1, -2), (-2, -1), (-2, 1), (0, -3), (-2, 2), (-2, -2), (-3, 0)]
OMEGA = [2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
FED = [(-1, 6), (-2, 5), (-3, 4)]


def tile_of(data: bytes) -> tuple[str, bytes]:
    """The model's name and the tile of a file of one tile without metadata and source; a preview is passed over."""
    version, at = data[4], 5

    def number() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            at, byte = at + 1, data[at]
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    start = number() + at + 4
    assert data[at] & 0x1F == 0  # payload kind 0, not tiled, no metadata
    at += 2
    if version >= 4:
        assert data[at] == 0
        at += 1
    number(), number()
    length = number()
    model, at = data[at : at + length].decode(), at + length + 4 + 8
    size = number()
    at += 4
    if version >= 7:
        length = number()
        at += length
    assert at + 4 == start
    assert start + size == len(data)
    return model, data[start:]


def _clamp(x: float) -> float:
    return min(max(x, -8.0), 8.0)


def _sixteen(products: Array) -> Any:
    parts = np.zeros((-(-products.size // 16), 16), F)
    parts.ravel()[: products.size] = products
    sums = np.zeros(16, F)
    for part in parts:
        sums += part
    while sums.size > 1:
        sums = sums[: sums.size // 2] + sums[sums.size // 2 :]
    return sums[0]


def _whole(x: Array, places: int) -> Array:
    """The integers of 16 bits nearest to so many binary places of x."""
    whole: Array = np.rint(np.clip(x.astype(F) * F(2.0**places), F(-32767), F(32767))).astype(np.int32)
    return whole


def _shorter(x: Array, places: int) -> Array:
    short: Array = np.clip((x + (1 << (places - 1))) >> places, -32767, 32767)
    return short


class _Network:
    def __init__(self, weights: PhotoWeights) -> None:
        self.shape, self.rho = weights.shape, weights.spec.schedule
        self.layers: dict[str, list[Array]] = {}
        self.moments: dict[str, list[list[Array]]] = {}
        at = 0
        for name, (rows, columns) in self.shape.matrices().items():
            for size, shape in ((-(-rows // 4) * 4 * columns, (rows, columns)), (columns, (columns,))):
                used = slice(at, at + rows * columns if len(shape) == 2 else at + columns)
                self.layers.setdefault(name, []).append(weights.parameters[used].reshape(shape).copy())
                y = weights.square[used].reshape(shape).copy()
                self.moments.setdefault(name, []).append([np.zeros_like(y), y])
                at += size
        self.round()
        self.batch: list[dict[str, Array]] = []
        self.pixels = 0

    def round(self) -> None:
        self.rounded = {
            name: (
                _whole(w, 12).astype(np.int64),
                np.trunc(np.clip(b * F(2.0**22), -(2.0**30), 2.0**30)).astype(np.int64),
            )
            for name, (w, b) in self.layers.items()
        }

    def sums(self, name: str, x: Array) -> Array:
        weight, bias = self.rounded[name]
        return (bias + x @ weight).astype(np.int32)

    def units(self, name: str, x: Array) -> Array:
        return _shorter(np.maximum(self.sums(name, x), 0).astype(np.int64), 12)

    def trunk(self, inputs: Array) -> Array:
        seen = {"x0": _whole(inputs, 10).astype(np.int64)}
        self.batch.append(seen)
        h = np.zeros(0, np.int64)
        for layer in range(self.shape.layers):
            seen[f"r{layer}"] = self.units(f"trunk.{layer}", seen[f"x{layer}"])
            h = seen[f"r{layer}"] if layer == 0 else np.minimum(h + seen[f"r{layer}"], 32767)
            seen[f"x{layer + 1}"] = h
        return h

    def head(self, c: int, h: Array, extras: Array) -> Array:
        seen = self.batch[-1]
        seen[f"u{c}"] = np.concatenate([h, _whole(extras, 10)])
        seen[f"v{c}"] = self.units(f"head.{c}.hidden", seen[f"u{c}"])
        return self.sums(f"head.{c}.out", seen[f"v{c}"]).astype(F) * F(2.0**-22)

    def learn(self) -> None:
        self.pixels += 1
        if self.pixels % BATCH:
            return
        shape, total = self.shape, {name: [np.zeros_like(p) for p in pair] for name, pair in self.rounded.items()}

        def add(name: str, x: Array, g: Array) -> None:
            total[name][0] += x[:, None] * g
            total[name][1] += g

        for seen in self.batch:
            stream = np.zeros(shape.width, np.int64)
            for c in range(shape.channels):
                out = _whole(seen[f"g{c}"], 11).astype(np.int64)
                add(f"head.{c}.out", seen[f"v{c}"], out)
                g = _shorter(self.rounded[f"head.{c}.out"][0] @ out, 12) * (seen[f"v{c}"] > 0)
                add(f"head.{c}.hidden", seen[f"u{c}"], g)
                stream += self.rounded[f"head.{c}.hidden"][0][: shape.width] @ g
            for layer in range(shape.layers - 1, -1, -1):
                g = _shorter(stream, 12) * (seen[f"r{layer}"] > 0)
                add(f"trunk.{layer}", seen[f"x{layer}"], g)
                stream = stream + self.rounded[f"trunk.{layer}"][0] @ g if layer else stream
        start, end, half = self.rho
        rho = F(end + (start - end) * half / (half + self.pixels))
        for name, pair in self.layers.items():
            for number, (theta, gamma, (m, y)) in enumerate(zip(pair, total[name], self.moments[name], strict=True)):
                mean = gamma.astype(np.int32).astype(F) * F(2.0 ** (-18 if number else -28))
                m[...] = m * F(0.9) + mean * F(1 - 0.9) + F(1e-30)
                y[...] = y * F(0.99) + mean * mean * F(1 - 0.99) + F(1e-30)
                theta[...] = theta - rho * m / (np.sqrt(y) + F(1e-7))
        self.batch.clear()
        self.round()


class _Rls:
    """Weights and covariance of an expert, or of one of its phases."""

    def __init__(self, mu: float, channels: int, n: int) -> None:
        self.mu, self.u = mu, np.zeros((channels, n), F)
        self.p = F(0.01) * np.eye(n, dtype=F)

    def predict(self, z: Array) -> Array:
        return np.array([float(_sixteen(u * z)) for u in self.u])

    def learn(self, z: Array, errors: Array, v: float) -> None:
        g = np.zeros(z.size, F)
        for zi, row in zip(z, self.p, strict=True):
            g += zi * row
        q = _sixteen(g * z)
        if not q >= 0:
            self.p = F(0.01) * np.eye(z.size, dtype=F)
            return
        h = 1 / (self.mu * v + float(q))
        self.u += (errors * h).astype(F)[:, None] * g
        s = F(1 / self.mu) if _sixteen(self.p.diagonal()) < z.size else F(1)
        g *= F(np.sqrt(h))
        self.p = (self.p - g[:, None] * g) * s


class _Expert:
    def __init__(self, spec: Any, channels: int, places: list[tuple[int, int]]) -> None:
        self.places, self.fed, self.spec = places[: spec.neighbours], spec.fed, spec
        self.states = [_Rls(spec.memory, channels, spec.neighbours * channels)]
        self.s = np.full((5, channels, channels), 0.9)
        self.s[:, range(channels), range(channels)] = 1.0

    def state(self, phase: int, direction: int) -> _Rls:
        return self.states[(phase + 4 * direction) % len(self.states)]

    def couple(self, phase: int, errors: Array, v: float) -> None:
        for s in (self.s[0], self.s[1 + phase]):
            s[...] = 0.998 * s + errors[:, None] * errors * (1 / v)
            s[np.diag_indices_from(s)] += 0.0001

    def part(self, pixels: int) -> None:
        if pixels == self.spec.parting:
            self.states = [copy.deepcopy(self.states[0]) for _ in range(self.spec.states)]


class _Decoder:
    def __init__(self, weights: PhotoWeights, data: bytes, height: int, width: int) -> None:
        self.spec, self.channels = weights.spec, weights.shape.channels
        self.height, self.width, self.count = height, width, len(weights.spec.experts)
        self.net, self.alphabets = _Network(weights), [np.arange(256)] * self.channels
        kind, rest = data[0] & 3, data[1:]
        assert kind in (1, 2)
        if kind == 2:
            length, rest = rest[0] & 127 | (rest[1] << 7 if rest[0] > 127 else 0), rest[1 + (rest[0] > 127) :]
            bits = np.unpackbits(np.frombuffer(zlib.decompress(rest[:length]), np.uint8)).reshape(self.channels, 256)
            self.alphabets, rest = [np.flatnonzero(row) for row in bits], rest[length:]
        self.coder = RangeDecoder(rest)
        places = [(dy, dx) for dy in range(-6, 1) for dx in range(-6, 7) if dy < 0 or dx < 0]
        self.places = sorted(places, key=lambda p: (p[0] ** 2 + p[1] ** 2, p[1] > 0, -p[0], p[1]))[1:]
        self.experts = [_Expert(s, self.channels, self.places) for s in self.spec.experts]
        # [rows above too, columns and margins, channel, (sample, error of the blend, mean |error|, experts' errors)]
        self.stage = Stage(self.spec.histories, self.channels, height * width)
        self.seen = np.zeros((height + 3, width + 2 * MARGIN, self.channels, 3 + self.count))
        self.variance, self.level = np.zeros((height, width)), np.ones((4, self.channels))

    def at(self, y: int, x: int) -> Array:
        place: Array = self.seen[y + 3, x + MARGIN]
        return place

    def regressors(self, y: int, x: int, places: list[tuple[int, int]]) -> Array:
        west = self.at(y, x - 1)[:, 0]
        parts = [self.at(y + dy, x + dx)[:, 0] - west if y + dy >= 0 else np.zeros(self.channels) for dy, dx in places]
        return np.concatenate(parts).astype(F)

    def direction(self, y: int, x: int) -> int:
        if y < 2:
            return 0

        def change(a: tuple[int, int], b: tuple[int, int]) -> float:
            return float(np.abs(self.at(y + a[0], x + a[1])[:, 0] - self.at(y + b[0], x + b[1])[:, 0]).sum())

        down = change((0, -1), (-1, -1)) + change((-1, 0), (-2, 0)) + change((-1, 1), (-2, 1))
        across = change((0, -1), (0, -2)) + change((-1, 0), (-1, -1)) + change((-1, 0), (-1, 1))
        return 1 if down > 1.5 * across else 2 if across > 1.5 * down else 0

    def look(self, y: int, x: int) -> Array:
        phase, direction = x % 2 + 2 * (y % 2), self.direction(y, x)
        raw = np.array([e.state(phase, direction).predict(self.regressors(y, x, e.places)) for e in self.experts])
        near = np.array([self.at(y + dy, x + dx) for dy, dx in PLACES])
        more = [self.at(y + dy, x + dx) for dy, dx in MORE]
        z = self.regressors(y, x, self.places[: self.spec.reach]).astype(float).reshape(-1, self.channels)
        self.ratio = self.level[phase] / (np.add.accumulate(self.level)[-1] * 0.25)
        self.raw, self.a, self.trust = raw, np.zeros(self.channels), np.zeros_like(raw)
        inputs: list[float] = []
        for c in range(self.channels):
            a = b = 0.0
            for omega, place in zip(OMEGA, near, strict=True):
                a += omega * place[c, 2]
            a = (0.125 * a + 0.4) * self.ratio[c]
            for d in range(-4, 5):
                b += self.at(y - 1, x + d)[c, 2] + self.at(y - 2, x + d)[c, 2]
            for d in range(1, 5):
                b += self.at(y, x - d)[c, 2]
            b = ((1 / 22) * b + 0.4) * self.ratio[c]
            total = beta = 0.0
            for k in range(self.count):
                energy = 0.4 * 0.4
                for omega, place in zip(OMEGA, near, strict=True):
                    energy += omega * (place[c, 3 + k] * place[c, 3 + k])
                self.trust[k, c] = 1 / (energy * energy)
                total += self.trust[k, c]
            for k in range(self.count):
                self.trust[k, c] *= 1 / total
                beta += self.trust[k, c] * raw[k, c]
            scaled = [-beta, *(z[:, c] - beta), *(raw[:, c] - beta)]
            for number, place in enumerate([*near, *more]):
                scaled += [place[c, 1], *(place[c, 3:] if number < 2 else [])]
            inputs += [_clamp(value * (1 / a)) for value in scaled] + list(self.trust[:, c])
            inputs += [a / (a + 1), a / (a + 4), a / (a + 16), 2 * a / (a + b) - 1]
            self.a[c] = a
        mean = float(np.add.accumulate(self.a)[-1]) / self.channels
        self.variance[y, x] = mean * np.sqrt(mean)
        return np.array(inputs)

    def condition(self, y: int, x: int, c: int, errors: Array) -> tuple[Array, list[float]]:
        west, here = self.at(y, x - 1), self.at(y, x)
        centres, blend = [], 0.0
        for k, e in enumerate(self.experts):
            s, shift = 0.25 * e.s[0] + e.s[1 + x % 2 + 2 * (y % 2)], 0.0
            if c == 1:
                shift = s[0, 1] / s[0, 0] * errors[k, 0]
            elif c == 2:
                first = s[0, 2] * s[1, 1] - s[1, 2] * s[0, 1]
                second = s[1, 2] * s[0, 0] - s[0, 2] * s[0, 1]
                shift = (first * errors[k, 0] + second * errors[k, 1]) / (s[0, 0] * s[1, 1] - s[0, 1] * s[0, 1])
            centres.append(west[c, 0] + self.raw[k, c] + shift)
            blend += self.trust[k, c] * centres[-1]
        extras = [_clamp((centre - blend) * (1 / self.a[c])) for centre in centres] if c else []
        for q in range(c):
            own = [*errors[:, q], here[q, 1], here[q, 0] - west[q, 0]]
            extras += [_clamp(value * (1 / self.a[q])) for value in own]
        return np.array([*centres, blend]), extras

    def numbers(self, y: int, x: int, c: int) -> list[int]:
        """The numbers of the contexts."""
        nothing = np.zeros(self.channels, int)
        north = self.at(y - 1, x)[:, 0].astype(int) if y else nothing
        west = self.at(y, x - 1)[:, 0].astype(int) if x else north
        north = north if y else west
        here = self.at(y, x)[:, 0].astype(int)
        first, second = (int(here[0]) if c else 0), (int(here[1]) if c > 1 else 0)
        from_west, from_north = (int(p[c] + 512 + (first - p[0] if c else 0)) for p in (west, north))
        known = first + 256 * second
        wests = sum(int(w) << 8 * i for i, w in enumerate(west))
        return [known, from_west + 2**10 * (x % 2 + 2 * (y % 2)), from_west + 2**10 * from_north, wests + 2**24 * known]

    def pixel(self, y: int, x: int) -> None:
        h = self.net.trunk(self.look(y, x))
        errors, here = np.zeros((self.count, self.channels)), self.at(y, x)
        for c in range(self.channels):
            centre, extras = self.condition(y, x, c, errors)
            out, phase = self.net.head(c, h, np.array(extras)), x % 2 + 2 * (y % 2)
            mixture = Mixture(out, self.spec.components, centre, self.a[c], self.alphabets[c])
            here[c, 0] = self.stage.value(self.coder, mixture, c, self.numbers(y, x, c), phase)
            symbol = int(np.searchsorted(self.alphabets[c], here[c, 0]))
            self.net.batch[-1][f"g{c}"] = mixture.slope(symbol, out.size)
            errors[:, c] = here[c, 0] - self.at(y, x - 1)[c, 0] - self.raw[:, c]
            here[c, 3:] = here[c, 0] - centre[:-1]
            here[c, 1] = here[c, 0] - centre[-1]
            size, level = np.add.accumulate(np.abs(here[c, 3:]))[-1] / self.count, self.level[phase]
            here[c, 2] = size / self.ratio[c]
            level[c] += (min(size * self.ratio[c] / self.a[c], 2.0) + 0.0625 - level[c]) * 2.0**-12
        v = self.variance[y, x]
        for e, error in zip(self.experts, errors, strict=True):
            e.state(phase, self.direction(y, x)).learn(self.regressors(y, x, e.places), error, v)
            e.couple(phase, error, v)
        for number, (dy, dx) in enumerate(FED):
            fy, fx = y + dy, x + dx
            for e in self.experts if fy >= 0 and fx < self.width else []:
                if e.fed > number:
                    z, fed = self.regressors(fy, fx, e.places), (fx % 2 + 2 * (fy % 2), self.direction(fy, fx))
                    state = e.state(*fed)
                    target = self.at(fy, fx)[:, 0] - self.at(fy, fx - 1)[:, 0]
                    state.learn(z, target - state.predict(z), self.variance[fy, fx])
        for e in self.experts:
            e.part(y * self.width + x + 1)
        self.net.learn()

    def run(self) -> Array:
        for y in range(self.height):
            self.seen[y + 3, :MARGIN] = self.at(y - 1, 0)
            if y == 0:
                self.seen[3, :MARGIN, :, 0] = 128
            for x in range(self.width):
                self.pixel(y, x)
            self.seen[y + 3, MARGIN + self.width :] = self.at(y, self.width - 1)
        return self.seen[3:, MARGIN : MARGIN + self.width, :, 0].astype(np.uint8)


def decode(weights: PhotoWeights, data: bytes, height: int, width: int) -> Array:
    """The samples of a tile of one group, channels in coding order. [H, W, C]"""
    orientation = data[0] >> 2
    if orientation & 4:
        height, width = width, height
    samples = _Decoder(weights, data, height, width).run()
    if orientation & 4:
        samples = samples.transpose(1, 0, 2)
    return samples[:: -1 if orientation & 2 else 1, :: -1 if orientation & 1 else 1]
