"""A second decoder of the JPEG payload, written from codec/FORMAT.md and ITU-T T.81.

In plain Python, slow and short. It shares the dictionary of outlines with the first, and the shipped weights of the
model; `second_coefficients.py` decodes the coefficients.
"""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from densezip.codec.images.jpeg.habits import DICTIONARY
from numpy.typing import NDArray
from second_coefficients import ZIGZAG, Component, Segment

__all__ = ["decode", "varint"]

Array = NDArray[Any]


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


@dataclass
class _Leftover:
    padding: int = 1
    pads: bytes = b""
    runs: int = 1
    broken: list[int] = field(default_factory=list)
    tail: bytes = b""


@dataclass
class _Scan:
    place: int  # in the skeleton
    parts: list[tuple[int, int, int]]  # component, tables of DC and AC
    first: int
    last: int
    high: int
    low: int
    interval: int
    tables: dict[int, dict[int, tuple[int, int]]]


@dataclass
class _Image:
    start: int
    lost: int
    width: int = 0
    height: int = 0
    progressive: bool = False
    shapes: list[tuple[int, int, int, int]] = field(default_factory=list)  # name, across, down, table of steps
    steps: dict[int, list[int]] = field(default_factory=dict)  # of each component
    scans: list[_Scan] = field(default_factory=list)
    leftovers: list[_Leftover] = field(default_factory=list)
    planes: list[Array] = field(default_factory=list)

    def mcu(self) -> tuple[int, int]:
        return 8 * max(shape[1] for shape in self.shapes), 8 * max(shape[2] for shape in self.shapes)

    def grid(self) -> tuple[int, int]:
        """Rows and columns of MCUs."""
        across, down = self.mcu()
        return -(-self.height // down), -(-self.width // across)

    def used(self, component: int) -> tuple[int, int]:
        """Rows and columns of blocks that hold pixels."""
        (_, x, y, _), (across, down) = self.shapes[component], self.mcu()
        return -(-self.height * y // down), -(-self.width * x // across)

    def blocks(self, component: int) -> tuple[int, int]:
        with_it = [scan for scan in self.scans if any(part[0] == component for part in scan.parts)]
        if all(len(scan.parts) == 1 for scan in with_it):
            return self.used(component)
        (rows, columns), (_, x, y, _) = self.grid(), self.shapes[component]
        return rows * y, columns * x

    def count(self) -> int:
        return sum(rows * columns for rows, columns in map(self.blocks, range(len(self.shapes))))


def _unpacked(tile: bytes) -> bytes:
    number, at = varint(tile, 0)
    method, packed = number & 3, tile[at:]
    if method == 0:
        return packed
    if method == 2:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**23}]
        return lzma.decompress(packed, lzma.FORMAT_RAW, filters=filters)
    inflater = zlib.decompressobj(-15, zdict=DICTIONARY) if method == 3 else zlib.decompressobj(-15)
    return inflater.decompress(packed)


def _leftover(data: bytes, at: int) -> tuple[_Leftover, int]:
    flags, at = data[at], at + 1
    left = _Leftover(flags & 3, runs=flags >> 2 & 3)
    if left.padding == 2:
        size, at = varint(data, at)
        left.pads, at = data[at : at + size], at + size
    if left.runs == 0:
        count, at = varint(data, at)
        last = 0
        for _ in range(count):
            more, at = varint(data, at)
            last += more
            left.broken.append(last)
    if flags & 16:
        size, at = varint(data, at)
        left.tail, at = data[at : at + size], at + size
    return left, at


def _outline(data: bytes) -> tuple[list[_Image], bytes]:
    count, at = varint(data, 0)
    images, start = [], 0
    for number in range(count):
        image = _Image(0, 0)
        if number:
            more, at = varint(data, at)
            start += more
            lost, at = varint(data, at)
            image = _Image(start, lost)
        scans, at = varint(data, at)
        for _ in range(scans):
            left, at = _leftover(data, at)
            image.leftovers.append(left)
        images.append(image)
    skeleton = data[at:]
    for image in images:
        _follow(image, images, skeleton)
        image.leftovers = image.leftovers or [_Leftover() for _ in image.scans]
        image.planes = [np.zeros((*image.blocks(i), 64), np.int64) for i in range(len(image.shapes))]
    return images, skeleton


def _follow(image: _Image, images: list[_Image], skeleton: bytes) -> None:
    """Read the markers of an image. Behind the head of a scan comes the next marker."""
    at, interval = image.start + 2, 0
    tables: dict[int, dict[int, tuple[int, int]]] = {}
    steps: dict[int, list[int]] = {}
    while True:
        marker = skeleton[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            break
        if marker == 1 or 0xD0 <= marker <= 0xD7:
            continue
        length = int.from_bytes(skeleton[at : at + 2])
        length -= sum(each.lost for each in images[1:] if at < each.start < at + length)
        body, at = skeleton[at + 2 : at + length], at + length
        if marker in (0xC0, 0xC1, 0xC2):
            image.progressive = marker == 0xC2
            image.height, image.width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
            image.shapes = [(n, s >> 4, s & 15, t) for n, s, t in zip(body[6::3], body[7::3], body[8::3], strict=True)]
        elif marker == 0xDB:
            while body:
                size = 1 + (body[0] >> 4)
                steps[body[0] & 15] = [int.from_bytes(body[1 + size * i : 1 + size * (i + 1)]) for i in range(64)]
                body = body[1 + 64 * size :]
        elif marker == 0xC4:
            while body:
                counts, symbols = body[1:17], body[17 : 17 + sum(body[1:17])]
                tables[body[0]] = _codes(counts, symbols)
                body = body[17 + len(symbols) :]
        elif marker == 0xDD:
            interval = int.from_bytes(body)
        elif marker == 0xDA:
            names = [shape[0] for shape in image.shapes]
            pairs = zip(body[1 : 1 + 2 * body[0] : 2], body[2 : 2 + 2 * body[0] : 2], strict=True)
            parts = [(names.index(name), both >> 4, 16 + (both & 15)) for name, both in pairs]
            first, last, high, low = (body[-3], body[-2], body[-1] >> 4, body[-1] & 15)
            if not image.progressive:
                first, last, high, low = 0, 63, 0, 0
            image.scans.append(_Scan(at, parts, first, last, high, low, interval, dict(tables)))
            for part in parts:
                image.steps.setdefault(part[0], steps[image.shapes[part[0]][3]])


def _codes(counts: bytes, symbols: bytes) -> dict[int, tuple[int, int]]:
    """Code and length of each symbol."""
    code, found, rest = 0, {}, iter(symbols)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            found[next(rest)] = code, length
            code += 1
        code *= 2
    return found


class _Writer:
    """Writes a scan."""

    def __init__(self, image: _Image, scan: _Scan, left: _Leftover) -> None:
        self.image, self.scan, self.left = image, scan, left
        self.out, self.bits = bytearray(), ""
        self.run: list[tuple[Array, int]] = []  # blocks whose rest, from a coefficient on, is empty but for corrections

    def put(self, value: int, size: int) -> None:
        self.bits += format(value & (1 << size) - 1, f"0{size}b") if size else ""

    def symbol(self, table: int, symbol: int) -> None:
        self.put(*self.scan.tables[table][symbol])

    def number(self, value: int) -> None:
        self.put(value if value > 0 else value - 1, abs(value).bit_length())

    def flush(self, interval: int) -> None:
        """Fill the last byte."""
        missing = -len(self.bits) % 8
        self.put({0: 0, 1: 255}.get(self.left.padding, (self.left.pads or b"\0" * (interval + 1))[interval]), missing)
        for at in range(0, len(self.bits), 8):
            byte = int(self.bits[at : at + 8], 2)
            self.out += bytes([byte, 0] if byte == 255 else [byte])
        self.bits = ""

    def write(self) -> bytes:
        image, scan = self.image, self.scan
        alone = len(scan.parts) == 1
        rows, columns = image.used(scan.parts[0][0]) if alone else image.grid()
        last = [0] * 4
        for index in range(rows * columns):
            if scan.interval and index and index % scan.interval == 0:
                self.end_run()
                number = index // scan.interval - 1
                self.flush(number)
                self.out += bytes([0xFF, 0xD0 + number % 8])
                last = [0] * 4
            if self.left.runs == 0 and index in self.left.broken:
                self.end_run()
            row, column = divmod(index, columns)
            for component, dc, ac in scan.parts:
                _, across, down, _ = image.shapes[component] if not alone else (0, 1, 1, 0)
                for y in range(down):
                    for x in range(across):
                        block = image.planes[component][row * down + y, column * across + x][ZIGZAG]
                        if scan.first == 0:
                            self.direct(block, component, dc, last)
                        if not image.progressive:
                            self.rest(block, ac)
                        elif scan.first:
                            (self.refine if scan.high else self.begin)(block, ac)
        self.end_run()
        self.flush((rows * columns - 1) // scan.interval if scan.interval else 0)
        return bytes(self.out) + self.left.tail

    def direct(self, block: Array, component: int, table: int, last: list[int]) -> None:
        value = int(block[0]) >> self.scan.low
        if self.scan.high:
            self.put(value, 1)
            return
        change, last[component] = value - last[component], value
        self.symbol(table, abs(change).bit_length())
        self.number(change)

    def rest(self, block: Array, table: int) -> None:
        zeros = 0
        for value in map(int, block[1:]):
            if not value:
                zeros += 1
                continue
            for _ in range(zeros // 16):
                self.symbol(table, 0xF0)
            self.symbol(table, zeros % 16 << 4 | abs(value).bit_length())
            self.number(value)
            zeros = 0
        if zeros:
            self.symbol(table, 0)

    def sizes(self, block: Array) -> list[int]:
        """Magnitudes so far, of the scan's coefficients; the numbers before them are 0."""
        scan = self.scan
        return [abs(int(v)) >> scan.low if scan.first <= i <= scan.last else 0 for i, v in enumerate(block)]

    def begin(self, block: Array, table: int) -> None:
        sizes, zeros, scan = self.sizes(block), 0, self.scan
        for i in range(scan.first, scan.last + 1):
            if not sizes[i]:
                zeros += 1
                continue
            self.end_run()
            for _ in range(zeros // 16):
                self.symbol(table, 0xF0)
            self.symbol(table, zeros % 16 << 4 | sizes[i].bit_length())
            self.number(sizes[i] if block[i] > 0 else -sizes[i])
            zeros = 0
        if zeros:
            self.extend_run(block, scan.last + 1 - zeros)

    def refine(self, block: Array, table: int) -> None:
        sizes, scan = self.sizes(block), self.scan
        new = [i for i, size in enumerate(sizes) if size == 1]
        zeros, done = 0, scan.first
        for i in range(scan.first, (new[-1] if new else -1) + 1):
            if sizes[i] > 1:
                continue
            if not sizes[i]:
                zeros += 1
                if zeros < 16:
                    continue
            self.end_run()
            self.symbol(table, zeros << 4 | 1 if sizes[i] else 0xF0)
            if sizes[i]:
                self.put(int(block[i] > 0), 1)
            self.correct(block, done, i)
            zeros, done = 0, i + 1
        if done <= scan.last:
            self.extend_run(block, done)

    def correct(self, block: Array, first: int, end: int) -> None:
        for size in self.sizes(block)[first:end]:
            if size > 1:
                self.put(size, 1)

    def extend_run(self, block: Array, first: int) -> None:
        self.run.append((block, first))
        corrections = 0
        if self.scan.high:
            corrections = sum(size > 1 for each, start in self.run for size in self.sizes(each)[start:])
        usual = self.left.runs == 1 and corrections > 937
        if len(self.run) == 0x7FFF or self.left.runs == 2 or usual:
            self.end_run()

    def end_run(self) -> None:
        if not self.run:
            return
        size = len(self.run).bit_length() - 1
        self.symbol(self.scan.parts[0][2], size << 4)
        self.put(len(self.run), size)
        if self.scan.high:
            for block, first in self.run:
                self.correct(block, first, self.scan.last + 1)
        self.run = []


def _segments(images: list[_Image], count: int) -> list[list[tuple[_Image, int, int]]]:
    """Of each segment the images, and rows of MCUs, that it has."""
    total, before = sum(image.count() for image in images), 0
    parts: list[list[tuple[_Image, int, int]]] = [[] for _ in range(count)]
    for image in images:
        rows, blocks = image.grid()[0], image.count()
        starts = [-(-(s * total - before * count) * rows // (blocks * count)) for s in range(count)]
        starts = [min(max(start, 0), rows) for start in starts] + [rows]
        for s in range(count):
            if starts[s] < starts[s + 1]:
                parts[s].append((image, starts[s], starts[s + 1]))
        before += blocks
    return parts


def decode(model: str, tiles: list[bytes]) -> bytes:
    """The file that the tiles of a file with the JPEG payload hold."""
    images, skeleton = _outline(_unpacked(tiles[0]))
    for parts, data in zip(_segments(images, len(tiles) - 1), tiles[1:], strict=True):
        blocks = 0
        for image, first, last in parts:
            mcu = sum(across * down for _, across, down, _ in image.shapes)
            blocks += (last - first) * image.grid()[1] * mcu
        segment = Segment(model, blocks, data)
        for image, first, last in parts:
            components = []
            for number, (shape, plane) in enumerate(zip(image.shapes, image.planes, strict=True)):
                steps = np.ones(64, int)
                steps[ZIGZAG] = np.maximum(image.steps.get(number, [1] * 64), 1)
                components.append(Component(steps, shape[1], shape[2], plane))
            segment.part(components, first, last)
    written = [
        (scan.place, _Writer(image, scan, left).write())
        for image in images
        for scan, left in zip(image.scans, image.leftovers, strict=True)
    ]
    out, last = b"", 0
    for place, data in sorted(written):
        out, last = out + skeleton[last:place] + data, place
    return out + skeleton[last:]
