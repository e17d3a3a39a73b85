"""The walk over all of a TIFF file but the samples: where its parts lie, its directory, its values, what is between."""

import struct
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import CorruptPayloadError, UnreadableImageError
from .dirs import MAX_ENTRIES, SIZES, Entry, Tiff
from .layout import COLOUR_MAP, Layout
from .predicted import OddNumberError, Script
from .rules import SHORT, Writer, colour_map, default_count, default_kind, next_tag, rank, values
from .streams import Streams

__all__ = ["Whole", "walk"]

# As many bytes that belong to nothing may be zero without being written down.
MAX_ZEROS = 2**16
# Bytes of a colour map of 256 colours.
MAX_COLOURS = 1536


@dataclass(frozen=True)
class Whole:
    """A file in pieces, in their order: where each begins, its length and its bytes, if these are at hand.

    In the gaps lie bytes that nothing in the first directory speaks for. A slice of it is that of the file, if it lies
    in one piece or in adjoining ones.
    """

    entries: tuple[Entry, ...]
    pieces: list[tuple[int, int, bytes | None]]
    length: int
    gaps: tuple[tuple[int, int], ...] = ()

    def assemble(self) -> bytes:
        """The file.

        Raises:
            CorruptPayloadError: pieces lie over each other.
        """
        parts, position = [], 0
        for start, _, body in self.pieces:
            if start != position or body is None:
                raise CorruptPayloadError(f"a remainder whose parts do not fit together at byte {start}")
            parts.append(body)
            position += len(body)
        if position != self.length:
            raise CorruptPayloadError(f"a remainder for {position} of {self.length} bytes")
        return b"".join(parts)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: slice) -> bytes:
        start, stop = int(index.start or 0), int(index.stop or 0)
        at = bisect_right(self.pieces, start, key=lambda piece: piece[0]) - 1
        out = b""
        while start < stop:
            first, length, body = self.pieces[at] if 0 <= at < len(self.pieces) else (0, 0, None)
            if body is None or not first <= start < first + length:
                raise UnreadableImageError(f"a TIFF file with metadata among the pixels at byte {start}")
            out += body[start - first : stop - first]
            start, at = first + length, at + 1
        return out


def walk(
    script: Script,
    writer: Writer,
    layout: Layout,
    big: bool,
    made: Streams,
    known: tuple[Tiff, tuple[int, ...], tuple[int, ...]] | None,
) -> Whole:
    """Write down, or read, the structure of a file.

    Args:
        script: a recorder if the file is known, else a player.
        writer: whose habits are expected.
        layout: of the samples.
        big: whether it is a BigTIFF file.
        made: its strips or tiles.
        known: the file, and where its strips or tiles are and how long it says that they are.

    Raises:
        OddNumberError: the file cannot be described so.
        CorruptPayloadError: what is read makes no sense.
    """
    return _Walk(script, writer, layout, big, made, known).run()


@dataclass
class _Value:
    """An entry of the directory on its way: its tag, type and count; where its value is, if not in the entry."""

    tag: int
    kind: int
    count: int
    place: int | None = None
    here: bool = True

    @property
    def length(self) -> int:
        return self.count * SIZES.get(self.kind, 0)


_UNKNOWN: tuple[Tiff | None, tuple[int, ...], tuple[int, ...]] = (None, (), ())


class _Walk:
    def __init__(
        self,
        script: Script,
        writer: Writer,
        layout: Layout,
        big: bool,
        made: Streams,
        known: tuple[Tiff, tuple[int, ...], tuple[int, ...]] | None,
    ) -> None:
        self.script, self.writer, self.layout, self.big, self.made = script, writer, layout, big, made
        self.tiff, self.real_offsets, self.real_counts = known or _UNKNOWN
        self.room = 8 if big else 4
        self.word = layout.order + ("Q" if big else "I")
        self.offsets: list[int] = []
        self.counts: list[int] = []
        self.pieces: list[tuple[int, int, bytes | None]] = []

    def run(self) -> Whole:
        """The whole walk: the order of the steps is that of the bytes in the remainder."""
        tiff, number = self.tiff, self.script.number
        for index, length in enumerate(self.made.lengths):
            self.counts.append(number(length, lambda index=index: self.real_counts[index]))  # type: ignore[misc]
        head = 16 if self.big else 8
        ends = [head]
        if not self.writer.ahead:
            self._place_segments(head)
            ends += [at + length for at, length in zip(self.offsets, self.made.lengths, strict=True)]
        expected = max(ends)
        position = number(expected + expected % 2, lambda: tiff.first.position if tiff else 0)
        items = self._shapes()
        end = position + (16 if self.big else 6) + len(items) * (20 if self.big else 12)
        last = self._place_values(items, [(0, head), (position, end)], end)
        if self.writer.ahead:
            self._place_segments(-(-last // self.writer.align) * self.writer.align)
        bodies: Sequence[bytes | None] = self.made.bodies or [None] * len(self.offsets)
        self.pieces += zip(self.offsets, self.made.lengths, bodies, strict=True)
        version = struct.pack(self.layout.order + "HHHQ", 43, 8, 0, position) if self.big else struct.pack(
            self.layout.order + "HI", 42, self._fits(position)
        )  # fmt: skip
        self.pieces.append((0, head, (b"II" if self.layout.order == "<" else b"MM") + version))
        self.pieces.append((position, end - position, self._directory(items)))
        return self._close(position, items)

    def _place_segments(self, expected: int) -> None:
        for index, length in enumerate(self.made.lengths):
            at = self.script.number(expected, lambda index=index: self.real_offsets[index])  # type: ignore[misc]
            self.offsets.append(at)
            expected = at + length

    def _fits(self, number: int, top: int | None = None) -> int:
        """A number that fits into a field of the file."""
        if number >= (top or 256**self.room):
            raise CorruptPayloadError(f"a remainder with {number} in a field of {top or 256**self.room} values")
        return number

    def _shapes(self) -> list[_Value]:
        """Tags, types and counts."""
        items: list[_Value] = []
        real = self.tiff.first.entries if self.tiff else ()
        tag = 0
        while True:
            at = len(items)
            entry = real[at] if at < len(real) else None
            expected = next_tag(self.writer, self.layout, tag)
            tag = self._fits(self.script.number(expected, lambda entry=entry: entry.tag if entry else 0), 2**16)  # type: ignore[misc]
            if not tag:
                break
            if at == MAX_ENTRIES:
                raise CorruptPayloadError(f"a remainder with more than {MAX_ENTRIES} entries")
            last = self.offsets[-1] if self.offsets else 0
            kind = default_kind(self.writer, self.layout, self.big, tag, self.counts, last)
            kind = self._fits(self.script.number(kind, lambda entry=entry: entry.kind if entry else 0), 2**16)  # type: ignore[misc]
            count = default_count(self.layout, tag, self.counts)
            count = self._fits(self.script.number(count, lambda entry=entry: entry.count if entry else 0))  # type: ignore[misc]
            items.append(_Value(tag, kind, count))
        if not items or any(entry.tag == 0 for entry in real):
            raise OddNumberError("a directory with tag 0, or with nothing in it")
        return items

    def _place_values(self, items: list[_Value], taken: list[tuple[int, int]], cursor: int) -> int:
        """Where the values are that do not stand in their entries; returns where the last of them ends."""
        number, real = self.script.number, self.tiff.first.entries if self.tiff else ()
        waiting = [at for at, item in enumerate(items) if item.length > self.room]
        waiting.sort(key=lambda at: rank(self.writer, items[at].tag))
        segments = [
            (at, at + length) for at, length in zip(self.real_offsets, self.made.lengths, strict=True) if length
        ] if real else []  # fmt: skip
        taken = sorted(taken + segments)
        order = sorted(waiting, key=lambda at: real[at].place, reverse=True) if real else []
        while waiting:
            chosen = waiting.index(order.pop()) if order else 0
            chosen = number(0, lambda chosen=chosen: chosen)  # type: ignore[misc]
            if chosen >= len(waiting):
                raise CorruptPayloadError(f"a remainder with value {chosen} of {len(waiting)}")
            at = waiting.pop(chosen)
            item = items[at]
            cursor += cursor % 2
            place = item.place = self._fits(number(cursor, lambda at=at: real[at].place))  # type: ignore[misc]
            end = place + item.length
            free = bool(real) and _is_free(place, end, taken)
            item.here = not number(0, lambda free=free: int(not free))  # type: ignore[misc]
            if item.here:
                insort(taken, (place, end))
                cursor = end
        return cursor

    def _directory(self, items: list[_Value]) -> bytes:
        """The directory, with the values that are in it; the others become pieces of their own."""
        order, real = self.layout.order, self.tiff.first.entries if self.tiff else ()
        out = struct.pack(order + ("Q" if self.big else "H"), len(items))
        before: dict[int, bytes] = {}
        for at, item in enumerate(items):
            out += struct.pack(order + ("HHQ" if self.big else "HHI"), item.tag, item.kind, item.count)
            expected = values(
                self.writer, self.layout, item.tag, item.kind, item.count, self.offsets, self.counts, before
            )
            length = self.room if item.place is None else item.length
            if item.place is None:
                expected = (expected or b"").ljust(self.room, b"\0")
            else:
                out += struct.pack(self.word, item.place)
                if not item.here:
                    continue
            start = real[at].place if real else 0
            body = self._value(item, length, expected, self.tiff.data[start : start + length] if self.tiff else b"")
            before[item.tag] = body[: item.length]
            if item.place is None:
                out += body
            else:
                self.pieces.append((item.place, length, body))
        return out + bytes(self.room)

    def _value(self, item: _Value, length: int, expected: bytes | None, actual: bytes) -> bytes:
        if item.tag != COLOUR_MAP or item.kind != SHORT or length % 6 or length > MAX_COLOURS:
            return self.script.data(length, expected, lambda: actual)
        # Colours of 8 bits in fields of 16: most writers repeat the byte, some leave the lower one zero.
        order = self.layout.order
        high = actual[1::2] if order == "<" else actual[::2]
        third = length // 6
        planes = (high[third * plane : third * plane + third] for plane in range(3))
        triples = bytes(value for colour in zip(*planes, strict=True) for value in colour)
        forms = {0: 257, 1: 256}
        form = next((key for key, factor in forms.items() if colour_map(triples, factor, order) == actual), 2)
        form = self.script.number(0, lambda: form)
        if form not in forms:
            return self.script.data(length, None, lambda: actual)
        return colour_map(self.script.data(length // 2, None, lambda: triples), forms[form], order)

    def _close(self, position: int, items: list[_Value]) -> Whole:
        """Fill the gaps between the pieces."""
        data = self.tiff.data if self.tiff else b""
        self.pieces = sorted((piece for piece in self.pieces if piece[1]), key=lambda piece: piece[0])
        gaps, cursor = [], 0
        for start, length, _ in self.pieces:
            if start > cursor:
                gaps.append((cursor, start))
            cursor = max(cursor, start + length)
        if not self.made.measured:
            # Nothing that is wanted lies in the gaps: see `remainder`.
            return Whole(self._entries(position, items), self.pieces, cursor)
        total = self.script.number(cursor, lambda: len(data))
        if total < cursor:
            raise CorruptPayloadError(f"a remainder for {total} bytes, {cursor} of which are spoken for")
        if total > cursor:
            gaps.append((cursor, total))
        missing = sum(end - start for start, end in gaps)
        if missing:
            zeros = bytes(missing) if missing <= MAX_ZEROS else None
            filling = self.script.data(missing, zeros, lambda: b"".join(data[start:end] for start, end in gaps))
            used = 0
            for start, end in gaps:
                self.pieces.append((start, end - start, filling[used : used + end - start]))
                used += end - start
            self.pieces.sort(key=lambda piece: piece[0])
        return Whole(self._entries(position, items), self.pieces, total, tuple(gaps))

    def _entries(self, position: int, items: list[_Value]) -> tuple[Entry, ...]:
        first = position + (8 if self.big else 2)
        width, inside = (20, 12) if self.big else (12, 8)
        return tuple(
            Entry(
                item.tag, item.kind, item.count, first + width * at + inside if item.place is None else item.place,
                item.length, item.place is None,
            )
            for at, item in enumerate(items)
        )  # fmt: skip


def _is_free(start: int, end: int, taken: list[tuple[int, int]]) -> bool:
    """Whether a stretch overlaps none of others, which are in their order."""
    at = bisect_right(taken, (start, end))
    return (at == 0 or taken[at - 1][1] <= start) and (at == len(taken) or taken[at][0] >= end)
