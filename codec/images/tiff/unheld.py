"""What a TIFF file holds that is neither pixels nor metadata of its picture."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ...errors import InputError, UnreadableImageError
from ..exif import EXIF_PREFIX
from ..info import METRES_PER_INCH
from ..modes import Chunk
from .dirs import LETTERS, MAX_DEPTH, SUB_DIRECTORIES, Entry, Source, Tiff, directory, omitted, parse
from .layout import NONE, layout
from .meta import ICC, KNOWN, UNIT, X_RESOLUTION, XMP, Y_RESOLUTION, inches, resolution
from .samples import places, raw_bytes

__all__ = ["beyond", "lost_of_exif", "unclaimed"]

IDLE = "bytes that no tag speaks for"
SUBFILE = 254
MAX_PIXELS = 2**64
# Tags of EXIF that say more than how a file is laid out, though no other file has them from there: further pictures, a
# profile, XMP, what a raw file is made of.
OF_MORE = frozenset([330, XMP, ICC, 33421, 33422, *range(50706, 50980)])
Spans = Iterable[tuple[int, int]]


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    tiff = parse(data)
    seen = {entry.tag for entry in tiff.first.entries}
    lost = omitted(data, tiff.order, tiff.big, tiff.first.entries) | (seen - KNOWN)
    if any(tiff.raw(SUBFILE)):
        lost.add(SUBFILE)
    if resolution(tiff) is None and not _says_nothing(tiff):
        lost |= seen & {X_RESOLUTION, Y_RESOLUTION}
    idle = _is_idle(tiff, _segments(tiff))
    return (*(f"TIFF tag {tag}" for tag in sorted(lost)), *([IDLE] if idle else []))


def lost_of_exif(body: bytes, held: Iterable[Chunk]) -> tuple[str, ...]:
    """What of an EXIF block a TIFF file of ours leaves out, though it says more than how a file is laid out.

    Args:
        body: the block.
        held: it and the other chunks of the picture.
    """
    try:
        exif = parse(body.removeprefix(EXIF_PREFIX))
    except InputError:
        return ("EXIF",)
    seen = {entry.tag for entry in exif.first.entries}
    lost = omitted(exif.data, exif.order, exif.big, exif.first.entries) | (seen & OF_MORE)
    # The file has the resolution of a pHYs chunk, if there is one.
    for chunk in held:
        if chunk[0] == "pHYs" and inches(chunk[1], exif.order) and not _agree(chunk[1], exif):
            lost |= seen & {X_RESOLUTION, Y_RESOLUTION}
    names = [f"EXIF tag {tag}" for tag in sorted(lost)]
    if exif.first.following:
        return ("EXIF thumbnail", *names)
    return (*names, *(["bytes of EXIF that no tag speaks for"] if _is_idle(exif, ()) else []))


def _agree(density: bytes, exif: Tiff) -> bool:
    """Whether a pHYs chunk has the resolution that an EXIF block has, but for rounding."""
    found = resolution(exif)
    wanted = struct.unpack(">II", density[:8])
    return found is not None and all(
        abs(inch / METRES_PER_INCH - metre) <= 1 for inch, metre in zip(found, wanted, strict=True)
    )


def _is_idle(tiff: Tiff, segments: Spans) -> bool:
    """Whether there are bytes that belong to no tag, and are not of the picture's segments."""
    first = tiff.first
    claimed = [(0, 16 if tiff.big else 8), (first.position, first.end), *segments]
    claimed += [(entry.place, entry.place + entry.length) for entry in first.entries if not entry.inline]
    return bool(unclaimed(tiff.data, tiff.order, tiff.big, first.entries, _gaps(claimed, len(tiff.data))))


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
