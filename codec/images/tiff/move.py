"""A TIFF file with other streams for its strips or tiles: all that points behind them is moved along.

For files whose compression cannot be made again byte for byte. Every other byte stays as it is and in its order, save
the offsets, and a file in which there may be offsets that we do not know is left alone.
"""

import struct
from bisect import bisect_right

from .dirs import LETTERS, SUB_DIRECTORIES, Directory, Entry, Tiff, directory
from .layout import STRIP_COUNTS, STRIP_OFFSETS, TILE_COUNTS, TILE_OFFSETS

__all__ = ["CannotMoveError", "with_streams"]

MAKER_NOTE = 37500
WIDE = (4, 13, 16, 18)
# 32-bit and 64-bit numbers that are no offsets: sizes, versions, sensitivities, IPTC, lengths in ImageJ's metadata.
NO_OFFSETS = frozenset(
    [254, 256, 257, 278, 322, 323, 33723, 34865, 34866, 34867, 34868, 34869, 37393, 40962, 40963, 50838]
)


class CannotMoveError(ValueError):
    """A file that may hold offsets which we would not find."""


class _Moved:
    """Where bytes of the old file are in the new one."""

    def __init__(self, places: list[tuple[int, int]], streams: list[bytes]) -> None:
        order = sorted(range(len(places)), key=lambda index: places[index])
        self.order = order
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.shifts = [0]
        for index in order:
            start, length = places[index]
            if self.ends and start < self.ends[-1]:
                raise CannotMoveError("strips or tiles that share bytes")
            self.starts.append(start)
            self.ends.append(start + length)
            self.shifts.append(self.shifts[-1] + len(streams[index]) - length)

    def __call__(self, position: int) -> int:
        """The new place of a byte that belongs to no stream.

        Raises:
            CannotMoveError: it does.
        """
        at = bisect_right(self.starts, position)
        if at and position < self.ends[at - 1]:
            raise CannotMoveError(f"something other than pixels among the pixels at byte {position}")
        return position + self.shifts[at]

    def start(self, rank: int) -> int:
        """The new place of a stream, counted in the order of their places."""
        return self.starts[rank] + self.shifts[rank]


def with_streams(tiff: Tiff, offsets: tuple[int, ...], counts: tuple[int, ...], streams: list[bytes]) -> bytes:
    """The file with these streams in the place of its own.

    Raises:
        CannotMoveError: it may hold offsets which we would not find, or has no room for the new ones.
    """
    places = list(zip(offsets, counts, strict=True))
    streams = _even(places, streams)
    moved = _Moved(places, streams)
    parts, position = [], 0
    starts = [0] * len(places)
    for rank, index in enumerate(moved.order):
        start, length = places[index]
        parts += [tiff.data[position:start], streams[index]]
        position = start + length
        starts[index] = moved.start(rank)
    out = bytearray(b"".join([*parts, tiff.data[position:]]))
    word = tiff.order + ("Q" if tiff.big else "I")
    _put(out, 8 if tiff.big else 4, word, [moved(tiff.first.position)])
    lengths = [len(stream) for stream in streams]
    numbers = {STRIP_OFFSETS: starts, TILE_OFFSETS: starts, STRIP_COUNTS: lengths, TILE_COUNTS: lengths}
    _move_directory(tiff, tiff.first, moved, out, numbers, 3)
    return bytes(out)


def _even(places: list[tuple[int, int]], streams: list[bytes]) -> list[bytes]:
    """Streams with a zero byte behind some, so that what is at even places stays there."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    ends = [sum(places[index]) for index in order]
    gaps = any(end != places[index][0] for end, index in zip(ends, order[1:], strict=False))
    out, odd = list(streams), 0
    for at, index in enumerate(order):
        odd ^= (len(out[index]) - places[index][1]) % 2
        if odd and (gaps or at == len(order) - 1):
            out[index] += b"\0"
            odd = 0
    return out


def _put(out: bytearray, position: int, form: str, numbers: list[int]) -> None:
    try:
        struct.pack_into(f"{form[0]}{len(numbers)}{form[1:]}", out, position, *numbers)
    except struct.error:
        raise CannotMoveError(f"no room for {max(numbers)} in a field of the file") from None


def _move_directory(
    tiff: Tiff, found: Directory, moved: _Moved, out: bytearray, numbers: dict[int, list[int]], depth: int
) -> None:
    word = tiff.order + ("Q" if tiff.big else "I")
    if found.following:
        raise CannotMoveError("a directory behind a sub-directory")
    moved(found.end - 1)
    for index, entry in enumerate(found.entries):
        field = found.position + (8 + 20 * index + 12 if tiff.big else 2 + 12 * index + 8)
        new = moved(entry.place)
        if not entry.inline:
            moved(entry.place + entry.length - 1)
            _put(out, moved(field), word, [new])
        if entry.tag == MAKER_NOTE and new != entry.place:
            raise CannotMoveError("a maker's note, in which there may be offsets")
        if entry.tag in numbers and depth == 3:
            _put(out, new, tiff.order + LETTERS[entry.kind], numbers[entry.tag])
        elif entry.kind in WIDE and entry.tag not in NO_OFFSETS:
            _move_pointers(tiff, entry, moved, out, new, depth)


def _move_pointers(tiff: Tiff, entry: Entry, moved: _Moved, out: bytearray, new: int, depth: int) -> None:
    """Numbers that are the place of a sub-directory, or that might be of something."""
    letter = tiff.order + LETTERS[entry.kind]
    raw = tiff.data[entry.place : entry.place + entry.length]
    values = struct.unpack(f"{letter[0]}{entry.count}{letter[1:]}", raw)
    if entry.tag in SUB_DIRECTORIES and entry.count == 1 and depth > 1:
        below = directory(tiff.data, tiff.order, tiff.big, values[0])
        _move_directory(tiff, below, moved, out, {}, depth - 1)
        _put(out, new, letter, [moved(values[0])])
    elif any(value < len(tiff.data) and moved.starts[0] <= value for value in values):
        raise CannotMoveError(f"tag {entry.tag}, whose numbers may be offsets")
