"""A second decoder of the history payload, written from codec/FORMAT.md.

In numpy and plain Python, slow and short. It shares the tables of annex K with the first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import second_rendered  # type: ignore[import-not-found]
from densezip.codec.images.jpeg.habits import CHROMA_STEPS, LUMA_STEPS
from numpy.typing import NDArray
from second_coefficients import ZIGZAG, Component, Segment
from second_jpeg import varint
from second_stage import RangeDecoder

__all__ = ["decode"]

Array = NDArray[Any]
LIMIT = 2**22 - 1
ROWS = 2**16  # of MCUs, as if so many were coded


class _Counter:
    def __init__(self) -> None:
        self.chance, self.events = 2**21, 0

    def after(self, bit: int) -> None:
        change = (LIMIT * bit - self.chance) * 2
        size = abs(change) // (2 * self.events + 3)
        self.chance += size if change >= 0 else -size
        self.events = min(self.events + 1, 250)


class _Plane:
    """Decodes the differences of a plane, of whose samples the classes are known."""

    def __init__(self, coder: RangeDecoder, classes: Array) -> None:
        self.coder, self.classes = coder, classes
        self.counters: dict[tuple[Any, ...], _Counter] = {}

    def bit(self, *context: Any) -> int:
        counter = self.counters.setdefault(context, _Counter())
        bit = int(self.coder.bit(min(max(counter.chance >> 6, 1), 65535)))
        counter.after(bit)
        return bit

    def decode(self) -> Array:
        height, width = self.classes.shape
        found = np.zeros((height, width), int)
        marks: dict[tuple[int, int], int] = {}
        for top in range(0, height, 8):
            for left in range(0, width, 8):
                beside = 4 * marks.get((top, left - 8), 0) + marks.get((top - 8, left), 0)
                count = 0
                if self.bit("square", beside):
                    for y in range(top, min(top + 8, height)):
                        for x in range(left, min(left + 8, width)):
                            count += self.sample(found, y, x, count)
                marks[top, left] = 0 if count == 0 else 1 if count < 3 else 2 if count < 12 else 3
        return found

    def sample(self, found: Array, y: int, x: int, count: int) -> bool:
        near = int(x > 0 and found[y, x - 1] != 0) + int(y > 0 and found[y - 1, x] != 0)
        kind, crowd = int(self.classes[y, x]), min(count, 1) if count < 2 else 2 if count < 8 else 3
        if not self.bit("zero", kind, near, crowd):
            return False
        negative, bits = self.bit("sign", kind, near), 0
        while bits < 7 and self.bit("size", near, bits):
            bits += 1
        size = 1
        for i in range(bits - 1, -1, -1):
            size = 2 * size + self.bit("low", bits, i)
        found[y, x] = -size if negative else size
        return True


class _Canvas(NamedTuple):
    height: int
    width: int
    top: int
    left: int
    across: int
    down: int

    def coarse(self) -> tuple[int, int]:
        return -(-self.height // self.down), -(-self.width // self.across)


def _wrapped(x: Array) -> Array:
    """Modulo 2^32, from -2^31 on."""
    return (x + 2**31) % 2**32 - 2**31


def _kept(x: Array) -> Array:
    return np.clip(x, -32768, 32767)


def _pass(x: Array) -> tuple[Array, ...]:
    """One pass over the first axis."""
    t = 4433 * (x[2] + x[6])
    low, high = t - 15137 * x[6], t + 6270 * x[2]
    a, b, w = 7373 * (x[7] + x[1]), 20995 * (x[5] + x[3]), 9633 * (x[7] + x[3] + x[5] + x[1])
    c, d = w - 16069 * (x[7] + x[3]), w - 3196 * (x[5] + x[1])
    e = 2**13 * (x[0] + x[4]) + high, 2**13 * (x[0] - x[4]) + low, 2**13 * (x[0] - x[4]) - low
    e4 = (*e, 2**13 * (x[0] + x[4]) - high)
    o = 12299 * x[1] - a + d, 25172 * x[3] - b + c, 16819 * x[5] - b + d, 2446 * x[7] - a + c
    return (*(p + q for p, q in zip(e4, o, strict=True)), *reversed([p - q for p, q in zip(e4, o, strict=True)]))


def _block(coefficients: Array, steps: Array) -> tuple[Array, Array]:
    """Samples of a block [8, 8], and their classes."""
    x = _kept(coefficients.astype(np.int64) * steps).reshape(8, 8)
    x = _kept(np.array([_wrapped(each + 2**10) >> 11 for each in _pass(x)]))
    v = np.array([_wrapped(each) >> 14 for each in _pass(x.T)]).T + 8
    return np.clip((v >> 4) + 128, 0, 255), v % 16


def _samples(plane: Array, steps: Array) -> tuple[Array, Array]:
    rows, columns, _ = plane.shape
    samples, classes = np.zeros((2, 8 * rows, 8 * columns), int)
    for y in range(rows):
        for x in range(columns):
            at = slice(8 * y, 8 * y + 8), slice(8 * x, 8 * x + 8)
            samples[at], classes[at] = _block(plane[y, x], steps)
    return samples, classes


def _fine(samples: Array, canvas: _Canvas) -> Array:
    """Chroma of the canvas's pixels."""
    rows, columns = canvas.coarse()
    s = samples[:rows, :columns]
    if canvas.across == 2 and columns < 3:
        return s.repeat(2, 1).repeat(canvas.down, 0)[: canvas.height, : canvas.width]
    fine = np.zeros((canvas.height, canvas.width), int)
    for y in range(canvas.height):
        row = pair = s[y // canvas.down]
        if canvas.down == 2:
            other = y // 2 + (1 if y % 2 else -1)
            beside = s[other] if 0 <= other < rows else row
            pair = 3 * row + beside
        for x in range(canvas.width):
            at = x // canvas.across
            if canvas.across == 1:
                fine[y, x] = (pair[x] + 1 + y % 2) >> 2 if canvas.down == 2 else row[x]
                continue
            next_to = at + (1 if x % 2 else -1)
            inside = 0 <= next_to < columns
            if canvas.down == 1:
                fine[y, x] = (3 * row[at] + row[next_to] + 1 + x % 2) >> 2 if inside else row[at]
            else:
                fine[y, x] = (3 * pair[at] + pair[next_to if inside else at] + 8 - x % 2) >> 4
    return fine


def _steps(data: bytes, at: int) -> tuple[Array, int]:
    code, found = data[at], np.zeros(64, int)
    if code == 0:
        found[ZIGZAG] = list(data[at + 1 : at + 65])
        return found, at + 65
    q, table = code // 2, np.array(list(CHROMA_STEPS if code % 2 else LUMA_STEPS))
    f = 5000 // q if q < 50 else 200 - 2 * q
    found[ZIGZAG] = np.clip((table * f + 50) // 100, 1, 255)
    return found, at + 1


def decode(data: bytes, height: int, width: int, channels: int) -> Array:
    """The pixels of a tile. [H, W, C]"""
    alpha, channels = channels % 2 == 0, channels - (channels % 2 == 0)
    flags, (top, left, below, right) = data[0], data[1:5]
    canvas = _Canvas(top + height + below, left + width + right, top, left, 1 + (flags & 1), 1 + (flags >> 1 & 1))
    size, at = varint(data, 5)
    model, at = data[at : at + size].decode(), at + size + 4
    colour = channels == 3 and not flags & 4
    luma, at = _steps(data, at)
    tables = [luma]
    if colour:
        chroma, at = _steps(data, at)
        tables += [chroma, chroma]
    size, at = varint(data, at)
    if alpha:
        opacity = second_rendered.decode(data[at : at + size], height, width, 1, 8)
        size, at = varint(data, at + size)
    components = []
    for number, table in enumerate(tables):
        rows, columns = canvas.coarse() if number else (canvas.height, canvas.width)
        shape = (1, 1) if number else (canvas.across, canvas.down)
        components.append(Component(table, *shape, np.zeros((-(-rows // 8), -(-columns // 8), 64), int)))
    blocks = ROWS * -(-canvas.width // (8 * canvas.across)) * sum(each.across * each.down for each in components)
    Segment(model, blocks, data[at : at + size]).part(components, 0, ROWS)
    coder, samples = RangeDecoder(data[at + size :]), []
    for component in components:
        made, classes = _samples(component.plane, component.steps)
        samples.append((made + _Plane(coder, classes).decode()) % 256)
    y = samples[0][: canvas.height, : canvas.width]
    whole = y[:, :, None]
    if colour:
        b, r = (_fine(each, canvas) - 128 for each in samples[1:])
        red, green = y + ((91881 * r + 2**15) >> 16), y + ((-22554 * b - 46802 * r + 2**15) >> 16)
        whole = np.stack([red, green, y + ((116130 * b + 2**15) >> 16)], -1).clip(0, 255)
    shown = whole[top : top + height, left : left + width].copy()
    ends = ((shown == 0) | (shown == 255)).any(-1)
    before = np.zeros((height, width), int)
    for k in range(shown.shape[2]):
        change = _Plane(coder, 8 * ends + 2 * k + before).decode()
        shown[:, :, k] = (shown[:, :, k] + change) % 256
        before = (change != 0).astype(int)
    whole = np.broadcast_to(shown, (height, width, channels)).astype(np.uint8)
    return np.concatenate([whole, opacity.astype(np.uint8)], -1) if alpha else whole
