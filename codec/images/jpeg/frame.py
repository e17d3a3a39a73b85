"""The markers of a JPEG image: its frame, its tables and its scans, as they stand when each scan begins.

Source: ITU-T T.81, annex B. Standard library only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...errors import UnsupportedImageError

__all__ = ["Component", "Cuts", "Frame", "Part", "Rows", "Scan", "follow"]

FILL, SOI, EOI, SOS, DQT, DHT, DRI, DNL, APP0, APP15 = 0xFF, 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC, 0xE0, 0xEF
COM, TEM, BASELINE, EXTENDED, PROGRESSIVE = 0xFE, 0x01, 0xC0, 0xC1, 0xC2
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
BLOCK = 8
MOST_SCANS = 1000
# More bits of a coefficient cannot be left for later scans.
MOST_LOW = 11

# Place and number of missing bytes of each image, ascending.
Cuts = Sequence[tuple[int, int]]
# Four tables for DC and four for AC: the 16 counts and the symbols of each, b"" where there is none.
Tables = tuple[bytes, ...]


@dataclass(frozen=True)
class Component:
    """One component of a frame.

    Attributes:
        name: the number that it has in the file.
        across: blocks of it in an MCU, side by side.
        down: blocks of it in an MCU, below one another.
        table: number of its quantization table.
    """

    name: int
    across: int
    down: int
    table: int


@dataclass(frozen=True)
class Part:
    """One component in a scan: its place in the frame, and the numbers of its Huffman tables."""

    component: int
    dc: int
    ac: int


class Rows(NamedTuple):
    """Rows of MCUs of all components, of one of a file's images."""

    image: int
    first: int
    last: int


@dataclass(frozen=True)
class Scan:
    """One scan.

    Attributes:
        parts: of the components in it.
        first: of its coefficients, in zigzag order.
        last: likewise.
        high: bits of approximation before it.
        low: bits that are left after it.
        interval: MCUs between two restarts; 0 for none.
        tables: Huffman tables as they stand now.
        start: where its entropy-coded bytes begin.
        end: where the next marker begins.
    """

    parts: tuple[Part, ...]
    first: int
    last: int
    high: int
    low: int
    interval: int
    tables: Tables
    start: int
    end: int


@dataclass
class Frame:
    """A JPEG image that this room can take apart.

    Attributes:
        width: in pixels.
        height: in pixels.
        progressive: whether its scans are.
        components: of it.
        steps: of each component the quantization steps, in zigzag order.
        scans: of it.
        end: where its last marker ends.
        adobe: the colour transform that an Adobe marker names, or None.
        several: whether an index of several pictures is in it.
    """

    width: int = 0
    height: int = 0
    progressive: bool = False
    components: tuple[Component, ...] = ()
    steps: list[tuple[int, ...]] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    end: int = 0
    adobe: int | None = None
    several: bool = False

    @property
    def mcu(self) -> tuple[int, int]:
        """Width and height of an MCU of all components, in pixels."""
        return (
            BLOCK * max(part.across for part in self.components),
            BLOCK * max(part.down for part in self.components),
        )

    def used(self, component: int) -> tuple[int, int]:
        """Columns and rows of blocks that hold pixels of a component."""
        part, (width, height) = self.components[component], self.mcu
        return -(-self.width * part.across // width), -(-self.height * part.down // height)

    def padded(self, component: int) -> tuple[int, int]:
        """Columns and rows of blocks where whole MCUs are coded."""
        part, (width, height) = self.components[component], self.mcu
        return -(-self.width // width) * part.across, -(-self.height // height) * part.down

    def blocks(self, component: int) -> tuple[int, int]:
        """Columns and rows of blocks of a component that its scans speak of."""
        alone = all(len(scan.parts) == 1 for scan in self.scans if any(p.component == component for p in scan.parts))
        return self.used(component) if alone else self.padded(component)


def follow(data: bytes, start: int, cuts: Cuts | None = None) -> Frame:  # noqa: PLR0915 (one case for each marker)
    """Follow the markers of an image to its end.

    Args:
        data: a file.
        start: where the image's SOI stands.
        cuts: None for a whole file. Else the entropy-coded bytes are missing, so that a marker follows the head of each
            scan, and for each image of the file this has its place and how many bytes it lost: segments are that much
            shorter than they say.

    Raises:
        UnsupportedImageError: not of the kinds that are taken apart, or damaged; the message says why.
    """
    frame, tables, interval, position = Frame(), [b""] * 8, 0, start + 2
    steps: list[tuple[int, ...]] = [()] * 4
    quantized: dict[int, tuple[int, ...]] = {}
    while True:
        if position + 2 > len(data):
            raise UnsupportedImageError("its end is missing")
        if data[position] != FILL:
            raise UnsupportedImageError(f"no marker at byte {position}")
        marker = data[position + 1]
        if marker == FILL:
            position += 1
            continue
        position += 2
        if marker == EOI:
            break
        if marker == TEM or 0xD0 <= marker <= 0xD7:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        for place, lost in cuts or ():
            if position < place < position + length:
                length -= lost
        if marker in (0, SOI) or length < 2 or position + length > len(data):
            raise UnsupportedImageError(f"a damaged marker {marker:02X} at byte {position - 2}")
        body = bytes(data[position + 2 : position + length])
        position += length
        if marker in FRAMES:
            if frame.components:
                raise UnsupportedImageError("two frames")
            _read_frame(frame, marker, body)
        elif marker == DQT:
            _read_steps(steps, body)
        elif marker == DHT:
            _read_tables(tables, body)
        elif marker == DRI:
            interval = int.from_bytes(body[:2], "big")
        elif marker == SOS:
            end = position
            if cuts is None:
                found = END_OF_SCAN.search(data, position)
                if found is None:
                    raise UnsupportedImageError("its end is missing")
                end = found.start()
            scan = _read_scan(frame, body, interval, tuple(tables), position, end)
            for part in scan.parts:
                quantized.setdefault(part.component, steps[frame.components[part.component].table])
            frame.scans.append(scan)
            if len(frame.scans) > MOST_SCANS:
                raise UnsupportedImageError(f"more than {MOST_SCANS} scans")
            position = end
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            frame.adobe = body[11]
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            frame.several = True
        elif not (APP0 <= marker <= APP15 or marker == COM):
            raise UnsupportedImageError(f"a marker {marker:02X}")
    if not frame.scans:
        raise UnsupportedImageError("no scan")
    frame.end = position
    frame.steps = [quantized.get(i, ()) or (1,) * 64 for i in range(len(frame.components))]
    return frame


def _read_frame(frame: Frame, marker: int, body: bytes) -> None:
    if marker not in (BASELINE, EXTENDED, PROGRESSIVE):
        kind = "arithmetic-coded" if marker in (0xC9, 0xCA) else "lossless or hierarchical"
        raise UnsupportedImageError(f"a frame {marker:02X}: {kind}")
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise UnsupportedImageError(f"a frame of {len(body)} bytes")
    if body[0] != 8:
        raise UnsupportedImageError(f"{body[0]} bits per sample")
    if not 1 <= body[5] <= 4:
        raise UnsupportedImageError(f"{body[5]} components")
    frame.height, frame.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not frame.height or not frame.width:
        raise UnsupportedImageError(f"a frame of {frame.width}x{frame.height} pixels")
    frame.progressive = marker == PROGRESSIVE
    parts = []
    for at in range(6, len(body), 3):
        across, down = body[at + 1] >> 4, body[at + 1] & 15
        if not (1 <= across <= 4 and 1 <= down <= 4 and body[at + 2] <= 3):
            raise UnsupportedImageError(f"a component of {across}x{down} blocks with the table {body[at + 2]}")
        parts.append(Component(body[at], across, down, body[at + 2]))
    if len({part.name for part in parts}) < len(parts):
        raise UnsupportedImageError("two components of one name")
    frame.components = tuple(parts)


def _read_steps(steps: list[tuple[int, ...]], body: bytes) -> None:
    at = 0
    while at < len(body):
        size, number = 1 + (body[at] >> 4), body[at] & 15
        values = body[at + 1 : at + 1 + 64 * size]
        if size > 2 or number > 3 or len(values) < 64 * size:
            raise UnsupportedImageError("a damaged quantization table")
        steps[number] = tuple(int.from_bytes(values[i : i + size], "big") for i in range(0, len(values), size))
        at += 1 + 64 * size


def _read_tables(tables: list[bytes], body: bytes) -> None:
    at = 0
    while at < len(body):
        kind, number, counts = body[at] >> 4, body[at] & 15, body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        if kind > 1 or number > 3 or len(counts) < 16 or sum(counts) > 256 or len(symbols) < sum(counts):
            raise UnsupportedImageError("a damaged Huffman table")
        tables[4 * kind + number] = counts + symbols
        at += 17 + len(symbols)


def _read_scan(frame: Frame, body: bytes, interval: int, tables: Tables, start: int, end: int) -> Scan:
    if not frame.components:
        raise UnsupportedImageError("a scan before the frame")
    count = body[0] if body else 0
    if not 1 <= count <= len(frame.components) or len(body) != 4 + 2 * count:
        raise UnsupportedImageError(f"a scan of {count} components with a head of {len(body)} bytes")
    names = [part.name for part in frame.components]
    parts = []
    for at in range(1, 1 + 2 * count, 2):
        dc, ac = body[at + 1] >> 4, body[at + 1] & 15
        if body[at] not in names or dc > 3 or ac > 3:
            raise UnsupportedImageError(f"component {body[at]} with the tables {dc} and {ac} in a scan")
        parts.append(Part(names.index(body[at]), dc, 4 + ac))
    if len({part.component for part in parts}) < count:
        raise UnsupportedImageError("a component twice in a scan")
    first, last, high, low = body[-3], body[-2], body[-1] >> 4, body[-1] & 15
    if not frame.progressive:
        first, last, high, low = 0, 63, 0, 0
    elif not (first <= last <= 63 and low <= MOST_LOW and (high == 0 or high == low + 1)):
        raise UnsupportedImageError(f"a progressive scan {first}-{last} {high} {low}")
    elif (first == 0 and last) or (first and count > 1):
        raise UnsupportedImageError(f"a progressive scan {first}-{last} of {count} components")
    for part in parts:
        if (first == 0 and not high and not tables[part.dc]) or (last and not tables[part.ac]):
            raise UnsupportedImageError("a scan whose Huffman table is missing")
    return Scan(tuple(parts), first, last, high, low, interval, tables, start, end)
