"""What a TIFF file holds that is neither pixels nor metadata of its picture."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ...errors import UnreadableImageError
from .dirs import LETTERS, MAX_DEPTH, SUB_DIRECTORIES, Entry, Source, Tiff, directory, parse, tree
from .layout import NONE, layout
from .meta import KEPT, KNOWN, UNIT, X_RESOLUTION, Y_RESOLUTION, resolution
from .samples import places, raw_bytes

__all__ = ["beyond", "unclaimed"]

IDLE = "bytes that no tag speaks for"
SUBFILE = 254
MAX_PIXELS = 2**64
Spans = Iterable[tuple[int, int]]


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    tiff = parse(data)
    kept = {field.tag for field in tree(data, tiff.order, tiff.big, tiff.first.entries)}
    names: dict[int, None] = {}
    seen: set[int] = set()
    for entry in tiff.first.entries:
        lost = entry.tag not in KNOWN or entry.tag in seen or (entry.tag in KEPT and entry.tag not in kept)
        if lost or (entry.tag == SUBFILE and any(tiff.raw(SUBFILE))):
            names[entry.tag] = None
        seen.add(entry.tag)
    if resolution(tiff) is None and not _says_nothing(tiff):
        names |= dict.fromkeys(tag for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in seen)
    head, first = 16 if tiff.big else 8, tiff.first
    claimed = [(0, head), (first.position, first.end), *_segments(tiff)]
    claimed += [(entry.place, entry.place + entry.length) for entry in first.entries if not entry.inline]
    gaps = _gaps(claimed, len(data))
    idle = unclaimed(data, tiff.order, tiff.big, first.entries, gaps)
    return (*(f"TIFF tag {tag}" for tag in sorted(names)), *([IDLE] if idle else []))


def unclaimed(
    data: Source, order: str, big: bool, entries: tuple[Entry, ...], gaps: tuple[tuple[int, int], ...]
) -> bytes:
    """The bytes in the gaps of a file that belong to no sub-directory; zeros only behind the end."""
    below = list(_below(data, order, big, entries, MAX_DEPTH))
    out = b""
    for start, end in gaps:
        for first, last in _gaps([*below, (0, start)], end):
            found = data[first:last]
            # Zeros before another part are there to bring it to an even place.
            if any(found) or (last == len(data) and last - first > 1):
                out += found
    return out


def _says_nothing(tiff: Tiff) -> bool:
    """Whether a resolution without a unit is that of one pixel to whatever."""
    with suppress(UnreadableImageError):
        one = tiff.raw(X_RESOLUTION)
        return one == tiff.raw(Y_RESOLUTION) and one[:4] == one[4:] and tiff.number(UNIT, 2) == 1
    return False


def _segments(tiff: Tiff) -> Iterator[tuple[int, int]]:
    found = layout(tiff, MAX_PIXELS)
    for index, (start, size) in enumerate(zip(*places(tiff, found), strict=True)):
        yield start, start + (min(size, raw_bytes(found, index)) if found.compression == NONE else size)


def _below(data: Source, order: str, big: bool, entries: tuple[Entry, ...], depth: int) -> Iterator[tuple[int, int]]:
    """The sub-directories that hold metadata, and the values of their entries."""
    for entry in entries:
        if depth == 1 or entry.tag not in SUB_DIRECTORIES or entry.count != 1 or entry.kind not in LETTERS:
            continue
        with suppress(UnreadableImageError):
            value = data[entry.place : entry.place + entry.length]
            found = directory(data, order, big, int.from_bytes(value, "little" if order == "<" else "big"))
            yield found.position, found.end
            yield from ((each.place, each.place + each.length) for each in found.entries if not each.inline)
            yield from _below(data, order, big, found.entries, depth - 1)


def _gaps(claimed: Spans, size: int) -> tuple[tuple[int, int], ...]:
    """The stretches that no span covers."""
    out, cursor = [], 0
    for start, end in sorted(claimed):
        if min(start, size) > cursor:
            out.append((cursor, min(start, size)))
        cursor = max(cursor, end)
    return (*out, *([(cursor, size)] if cursor < size else []))
