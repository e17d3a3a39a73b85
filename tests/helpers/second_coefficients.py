"""A second decoder of a segment of JPEG coefficients, written from codec/FORMAT.md and the C headers that it names.

With numpy's scalars and small arrays, slow and short. It shares the shipped files of weights and taps and nothing else
with the engine; tables are computed anew.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import densezip.models.jpeg
import numpy as np
from numpy.typing import NDArray
from second_mixing import FAST, Mixer, clip, length, scale_level, signed_level, sum8

__all__ = ["ZIGZAG", "Component", "Segment"]

F = np.float32
Array = NDArray[Any]
INTERIOR, ROW, COLUMN, DIRECT = range(4)
ZERO, MORE, MUCH_MORE, SIGN, TOP_BIT, BITS_OF_COUNT = range(6)
LARGEST = 2047
ZIGZAG = sorted(range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8))
INNER = [at for at in ZIGZAG if at // 8 and at % 8]
FILES = Path(densezip.models.jpeg.__file__).parent


class Component(NamedTuple):
    """A component: its steps in rows [64], blocks of it in an MCU, and the plane to fill [rows, columns, 64]."""

    steps: Array
    across: int
    down: int
    plane: Array


@cache
def _taps() -> Array:
    taps: Array = np.load(BytesIO((FILES / "taps.npy").read_bytes())).astype(F)
    return taps


def _basis() -> Array:
    def rounded(x: float) -> float:
        return round(x * 2**20) / 2**20

    rows = [[rounded(math.sqrt(1 / 8))] * 8]
    rows += [[rounded(math.cos((2 * x + 1) * u * math.pi / 16) / 2) for x in range(8)] for u in range(1, 8)]
    return np.array([*rows, [1.5 * row[0] - 0.5 * row[1] for row in rows]], F)


BASIS = _basis()


class _Block:
    """A block as its neighbours see it."""

    def __init__(self) -> None:
        self.value, self.number = np.zeros((8, 8), F), np.zeros(64, int)
        self.right, self.below = np.zeros(8, F), np.zeros(8, F)
        self.dc, self.error, self.count, self.edges, self.present = F(0), 0, 0, [0, 0], False


class _Filled(NamedTuple):
    inner: int
    edges: tuple[int, int]


def _filled(block: Array | None) -> _Filled:
    if block is None:
        return _Filled(0, (0, 0))
    some = block.reshape(8, 8) != 0
    return _Filled(int(some[1:, 1:].sum()), (int(some[0, 1:].sum()), int(some[1:, 0].sum())))


def _edge(value: Array, far: bool) -> Array:
    """The pixels half a pixel outside a block, of value [frequency across the edge, frequency along it]."""
    along = pixels = np.zeros(8, F)
    for u in range(8):
        along = along + value[u] * (-BASIS[8, u] if far and u % 2 else BASIS[8, u])
    for v in range(8):
        pixels = pixels + BASIS[v] * along[v]
    return pixels


class Segment:
    """Decodes the parts of a segment, one after the other.

    Args:
        model: its name.
        blocks: number of blocks of whole MCUs in it.
        data: of it.
    """

    def __init__(self, model: str, blocks: int, data: bytes) -> None:
        self.inputs, most = {"jpeg-1": (FAST, 2**14), "jpeg-5": (16, 2**16), "jpeg-9": (24, 2**17)}[model]
        packed = np.frombuffer(zlib.decompress((FILES / f"{model}.weights").read_bytes()), np.int8)
        self.mixer = Mixer(self.inputs, min(most, max(2**10, 1 << (4 * blocks).bit_length())), packed, data)

    def part(self, components: Sequence[Component], first: int, last: int) -> None:
        """Fill rows of MCUs of an image's planes."""
        self.components = components
        for number, component in enumerate(components):
            self.number, self.own_steps = number, component.steps.astype(F)
            self.inverse = F(1) / self.own_steps
            self.kind = min(number, 2)
            second = components[1].plane if number >= 2 and components[1].plane.shape == component.plane.shape else None
            rows, columns, _ = component.plane.shape
            absent = _Block()
            seen: dict[tuple[int, int], _Block] = {}
            for y in range(min(first * component.down, rows), min(last * component.down, rows)):
                for x in range(columns):
                    near = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
                    self.left, self.above, self.corner, self.ahead, self.left2, self.above2 = (
                        seen.get((y + dy, x + dx), absent) for dy, dx in near
                    )
                    self.own = seen[y, x] = _Block()
                    self.luma = self.first_block(component, y, x) if number else None
                    self.chroma = None if second is None else second[y, x]
                    self.filled = _filled(self.luma), _filled(self.chroma)
                    self.block(component.plane[y, x])

    def first_block(self, component: Component, y: int, x: int) -> Array:
        """The block of the first component at this place."""
        luma = self.components[0]
        rows, columns, _ = luma.plane.shape
        self.fine = int(luma.across >= 2 * component.across), int(luma.down >= 2 * component.down)
        found: Array = luma.plane[
            min(y * luma.down // component.down, rows - 1), min(x * luma.across // component.across, columns - 1)
        ]
        return found

    def luma_size(self, row: int, column: int) -> Any:
        if self.luma is None:
            return F(0)
        at = (row >> self.fine[1]) * 8 + (column >> self.fine[0])
        return F(abs(int(self.luma[at]))) * F(self.components[0].steps[at])

    def block(self, block: Array) -> None:
        own = self.own
        own.present = True
        own.count = count = self.interior_count()
        self.counted, self.places, self.largest, self.last, self.sum = count, 49, 0, [0, 0, 0], 0
        self.to_come, reach = count, [0, 0]
        for at in INNER:
            if not self.to_come:
                break
            row, column = divmod(at, 8)
            if self.coefficient(block, INTERIOR, row, column):
                reach = [max(reach[0], column), max(reach[1], row)]
        for edge in (0, 1):
            own.edges[edge] = self.to_come = self.edge_count(edge, reach[edge])
            self.places, self.last = 7, [0, 0, 0]
            for i in range(1, 8):
                if self.to_come:
                    self.coefficient(block, COLUMN if edge else ROW, i * edge, i * (1 - edge))
        self.direct(block)

    def value(self, may_be_zero: bool, most: int, tail: int, expected: int) -> int:
        bit, directly, fast = self.mixer.bit, self.mixer.directly, self.inputs == FAST
        if may_be_zero and not bit(0, ZERO):
            return 0
        # Behind the counters of each coefficient of three components stand those of lengths, by kind and level.
        kind, level = divmod(self.mixer.chosen[1], 48)
        lengths, size = (3 * 64 + kind) * 1024 + level, 1
        if bit(1, MORE):
            size = 2
            while size < most and (directly(lengths + size * 64) if fast else bit(min(size, 9), MUCH_MORE)):
                size += 1
        negative = directly(tail + expected + 16 + 32 * (size > 1)) if fast else bit(10 + min(size - 1, 2), SIGN)
        found = 1
        for place in range(size - 2, -1, -1):
            if place == size - 2 and not fast:
                found = 2 + bit(13 + min(size - 2, 2), TOP_BIT)
            else:
                found = 2 * found + directly(tail + size * 64 + (found if found < 64 else place))
        return -found if negative else found

    def number_of(self, key: list[int], kind: int, bits: int) -> int:
        node, found = 1, 0
        for place in range(bits - 1, -1, -1):
            if place == 3 and bits > 4:
                key = [(k + found + 1) * 0x2545F491 for k in key]
                self.mixer.find(key, kind)
                node = 1
            bit = self.mixer.by_two(node) if self.inputs == FAST else self.mixer.bit(node, BITS_OF_COUNT)
            node, found = 2 * node + bit, 2 * found + bit
        return found

    def forecast(self, row: int, column: int) -> tuple[Any, Any, Any, Any]:
        """What is expected of a coefficient times its step: from the left, from above, all in all, and its size."""
        at, own = row * 8 + column, self.own
        t = _taps()[self.kind, at].reshape(12, 8)
        left, above, r, c = self.left.value[row], self.above.value[:, column], own.value[row], own.value[:, column]
        chroma = F(0)
        if self.chroma is not None:
            chroma = F(self.chroma[at]) * F(self.components[1].steps[at])
        beside = [each.value[row, column] for each in (self.corner, self.ahead, self.left2, self.above2)]
        steps = [self.left.dc - self.corner.dc, self.above.dc - self.corner.dc, self.ahead.dc - self.above.dc]
        around = np.array([*steps, *beside, chroma], F)
        from_left, from_above = sum8(left * t[0]), sum8(above * t[1])
        mean = (from_left + from_above) + sum8((r * t[2] + c * t[3]) + around * t[4])
        sizes = [*beside, self.luma_size(row, column), chroma, mean, self.own_steps[at]]
        total = np.abs(left) * t[5] + np.abs(above) * t[6]
        total = total + (np.abs(r) * t[7] + np.abs(c) * t[8])
        total = total + np.abs(self.left.value[:, column]) * t[9]
        total = total + np.abs(self.above.value[row]) * t[10]
        return from_left, from_above, mean, sum8(total + np.abs(np.array(sizes, F)) * t[11])

    def keys(self, kind: int, row: int, column: int, level: int, mean: int, ends: tuple[int, int]) -> list[int]:
        """The contexts of a coefficient."""
        at, c, own, left, scale = row * 8 + column, self.kind, self.own.number, self.to_come, level
        k, kinds, places, m = at | c << 6, c << 2 | kind, self.places, mean + 16
        west, north, ahead, corner, west2, north2 = (
            int(each.number[at]) for each in (self.left, self.above, self.ahead, self.corner, self.left2, self.above2)
        )
        big, sizes = min(length(self.largest), 4), abs(west) + abs(north)
        beside = column and int(own[at - 1]), row and int(own[at - 8])
        further = int(own[at - 2]) if column > 1 else 0, int(own[at - 16]) if row > 1 else 0
        back = 0 if kind == INTERIOR else int(own[at + 8] if kind == ROW else own[at + 1])
        luma = scale_level(self.luma_size(row, column) * self.inverse[at])

        def small(x: int, limit: int, middle: int) -> int:
            return int(clip(x, limit)) + middle

        return [
            k << 6 | scale,
            ((kinds << 6 | scale) << 6 | left) << 6 | places,
            (k << 5 | m) << 4 | scale >> 2,
            (k << 6 | left) << 3 | big,
            (k << 5 | small(west, 7, 8)) << 5 | small(north, 7, 8),
            (k << 6 | min(2 * sizes, 31)) << 5 | left // 2,
            ((kinds << 5 | m) << 6 | left) << 4 | scale >> 2,
            ((k << 4 | small(self.last[0], 3, 4)) << 4 | small(self.last[1], 3, 4)) << 4 | small(self.last[2], 3, 4),
            ((k << 4 | small(beside[0], 4, 4)) << 4 | small(beside[1], 4, 4)) << 4 | small(back, 4, 4),
            (k << 5 | small(west2, 7, 8)) << 5 | small(north2, 7, 8)
            if self.luma is None
            else (k << 6 | luma) << 5 | scale >> 1,
            (k << 5 | small(ahead, 7, 8)) << 5 | small(corner, 7, 8)
            if self.chroma is None
            else (k << 5 | small(int(self.chroma[at]), 15, 16)) << 4 | scale >> 2,
            (k << 5 | ends[0] + 16) << 5 | ends[1] + 16,
            (k << 4 | min(length(self.sum), 10)) << 6 | left,
            ((min(int(self.own_steps[at]), 127) << 6 | scale) << 2 | kind) << 5 | m,
            (((k << 5 | m) << 2 | small(west, 1, 1)) << 2 | small(north, 1, 1)) << 3 | big,
            (k << 6 | scale) << 5 | m,
            (k << 6 | self.counted) << 4 | (self.left.count + self.above.count) // 4,
            ((kinds << 6 | scale) << 6 | left) << 5 | min(sizes, 31),
            ((kinds << 6 | scale) << 6 | places) << 3 | big,
            (((k << 4 | small(beside[0], 3, 4)) << 4 | small(further[0], 3, 4)) << 4 | small(beside[1], 3, 4)) << 4
            | small(further[1], 3, 4),
            ((kinds << 6 | luma) << 6 | scale) << 6 | left,
            (k << 5 | m) << 8 | min(length(west), 7) << 4 | min(length(north), 7),
            ((k << 6 | left) << 5 | m) << 4 | scale >> 2,
        ]

    def coefficient(self, block: Array, kind: int, row: int, column: int) -> bool:
        at, c = row * 8 + column, self.kind
        from_left, from_above, mean, scale = self.forecast(row, column)
        unit = self.inverse[at]
        level, expected = scale_level(scale * unit), signed_level(mean * unit)
        ends = signed_level(from_left * unit), signed_level(from_above * unit)
        self.mixer.find(self.keys(kind, row, column, level, expected, ends), 1)
        third = (int(c > 0) * 4 + min(length(self.largest), 3)) * 64 + min(self.to_come, 63)
        self.mixer.select((c * 64 + at, (c * 4 + kind) * 48 + level, third), (c * 32 + expected + 16) * 12 + level // 4)
        value = self.value(self.to_come < self.places, 11, (c * 64 + at) * 1024, expected)
        block[at] = self.own.number[at] = value
        self.own.value[row, column] = F(value) * self.own_steps[at]
        self.places -= 1
        self.to_come -= value != 0
        self.sum += abs(value)
        self.largest = max(self.largest, abs(value))
        self.last = [value, *self.last[:2]]
        return value != 0

    def interior_count(self) -> int:
        west, north, corner, ahead = (each.count for each in (self.left, self.above, self.corner, self.ahead))
        luma, chroma, both = self.filled[0].inner, self.filled[1].inner, west + north
        kind = self.kind << 1 | (self.chroma is not None)
        key = [
            kind << 8 | both,
            (kind << 6 | west) << 6 | north,
            kind << 10 | 2 * both + corner + ahead,
            (kind << 6 | luma) << 6 | both // 4,
            (kind << 6 | ahead) << 6 | north,
            (kind << 6 | corner) << 6 | west,
            (kind << 6 | chroma) << 6 | luma // 2,
            (kind << 6 | (self.left2.count + self.above2.count) // 2) << 7 | both,
            (kind << 6 | chroma) << 6 | both // 2,
            kind << 6 | luma,
            (kind << 6 | west // 3) << 12 | north // 3 << 6 | ahead // 3,
            (kind << 6 | sum(self.left.edges)) << 6 | west,
            (kind << 6 | sum(self.above.edges)) << 6 | north,
            kind,
            ((kind << 6 | corner // 4) << 6 | ahead // 4) << 8 | both // 4,
        ]
        key += [0] * 8
        self.mixer.find(key, 2)
        mean, c = (both + 1) // 2, self.kind
        self.mixer.select((192 + c, 12 * 48 + mean * 3 // 4, 512 + c), 96 * 12 + mean // 4)
        return min(49, self.number_of(key, 3, 6))

    def edge_count(self, edge: int, reach: int) -> int:
        kind, own = self.kind << 1 | edge, self.own
        luma, chroma, inner = self.filled[0].edges[edge], self.filled[1].edges[edge], own.count
        west, north, corner, ahead, west2, north2 = (
            each.edges[edge] for each in (self.left, self.above, self.corner, self.ahead, self.left2, self.above2)
        )
        other = own.edges[0] if edge else 8
        key = [
            (kind << 6 | inner) << 4 | reach,
            ((kind << 3 | west) << 3 | north) << 4 | other,
            (kind << 6 | inner) << 6 | west + north,
            ((kind << 3 | luma) << 4 | other) << 4 | reach,
            ((kind << 3 | (west if edge else north)) << 4 | reach) << 4 | other,
            ((kind << 3 | chroma) << 3 | luma) << 4 | west + north,
            (((kind << 3 | west) << 3 | north) << 4 | reach) << 4 | inner // 4,
            ((kind << 3 | ahead) << 3 | north) << 3 | corner,
            kind << 6 | inner,
            ((kind << 3 | west2) << 3 | west) << 4 | other,
            ((kind << 3 | north2) << 3 | north) << 4 | other,
            (kind << 6 | inner) << 4 | other,
            (kind << 4 | reach) << 6 | 2 * west + 2 * north + corner + ahead,
            kind,
            ((kind << 3 | chroma) << 6 | inner) << 4 | other,
        ]
        key += [0] * 8
        self.mixer.find(key, 4)
        self.mixer.select((195 + kind, 12 * 48 + 40 + reach, 515 + kind), 97 * 12 + reach)
        return self.number_of(key, 4, 3)

    def direct(self, block: Array) -> None:
        """DC."""
        own, unit, step, sides, c = self.own, self.inverse[0], self.own_steps[0], 0, self.kind
        mean, spread, ends = F(0), F(64), [F(0), F(0)]
        for side, other in enumerate((self.left, self.above)):
            if not other.present:
                continue
            edge = other.below if side else other.right
            gap = (edge - _edge(own.value if side else own.value.T, far=False)) * F(8)
            ends[side] = sum8(gap) * F(0.125)
            width = sum8(np.abs(gap - ends[side])) * F(0.125)
            if not sides:
                mean, spread = ends[side], width
            else:
                a, b = spread + step, width + step
                mean = (ends[0] * b * b + ends[1] * a * a) / (a * a + b * b)
                spread = min(spread, width)
            sides += 1
        guess = min(max(mean * unit, F(-LARGEST)), F(LARGEST))
        expected = int(guess - F(0.5) if guess < 0 else guess + F(0.5))
        apart = (ends[0] - ends[1]) * unit if sides == 2 else F(0)
        width, kind = scale_level(spread * unit * F(0.25)), c << 2 | sides
        differ = signed_level(apart * F(0.25)) + 16
        west, north = self.left.error, self.above.error
        errors = min(length(2 * abs(west) + 2 * abs(north)), 12)
        west, north = clip(west, 15) + 16, clip(north, 15) + 16
        nearest = int((self.left.dc + self.above.dc) * F(0.5) * unit)
        plain = signed_level(F(nearest - expected) * F(0.25)) + 16
        part = int(((guess - F(expected)) + F(0.5)) * F(7.99)) & 7
        ahead, diagonal = clip(self.ahead.error, 7) + 8, clip(self.corner.error, 7) + 8
        key = [
            kind << 6 | width,
            (kind << 5 | differ) << 6 | width,
            (kind << 5 | west) << 5 | north,
            (kind << 4 | errors) << 6 | width,
            (kind << 5 | plain) << 5 | differ,
            (kind << 6 | own.count) << 4 | errors,
            (kind << 3 | part) << 6 | width,
            (kind << 4 | ahead) << 4 | diagonal,
            (kind << 6 | own.count) << 6 | width,
            (kind << 5 | differ) << 4 | errors,
            (kind << 5 | plain) << 6 | width,
            kind,
            ((kind << 5 | west) << 4 | diagonal) << 4 | width // 4,
            ((kind << 5 | north) << 4 | ahead) << 4 | width // 4,
            (min(int(step), 127) << 6 | width) << 5 | differ,
        ]
        self.mixer.find([*key, *[0] * 8], 5)
        sets = c * 64, (c * 4 + DIRECT) * 48 + width, 521 + errors
        self.mixer.select(sets, c * 32 * 12 + width // 4)
        own.error = self.value(True, 12, c * 64 * 1024, differ - 16)
        block[0] = clip(expected + own.error, LARGEST)
        own.dc = F(block[0]) * step
        own.right = _edge(own.value.T, far=True) + own.dc * F(0.125)
        own.below = _edge(own.value, far=True) + own.dc * F(0.125)
