"""A TIFF file without its pixels: all its bytes outside the strips and tiles, mostly foretold.

`split` walks over the file in a fixed order and writes what is not as expected; `join` walks the same way and makes the
file again. What no entry points to (EXIF and other sub-directories, gaps, bytes behind the end) is kept as it is.

A remainder is: a varint, the writer's number in `tiffrules.WRITERS` times the number of `KINDS`, plus that of the kind;
the width and the height, varints; and a script as in `predicted`, whose numbers and bytes are, in this order:

1. The layout: byte order, BigTIFF, photometric interpretation, coding (`CODINGS`, or compression and predictor), planar
   configuration, order of bits, tiled or not, the width of a tile, rows of a strip or tile (`_layout`).
2. The streams: what fills up tiles and rows; for each deflated one its recipe, for each of LZW, PackBits or fax the
   habit of its encoder; data beyond the picture's, bytes behind the stream's end (`streams`).
3. Whether the lengths of compressed streams follow, and these: `skeleton` needs them if something lies behind.
4. The lengths that the file states, the places of the streams (now, or where the directory comes first after 5), the
   place of the directory, for each entry its tag, type and count, 0 at the end (`walk`).
5. For each value outside its entry, in the order of their places: which it is, its place, whether its bytes belong to
   something else.
6. The values, in the order of the entries; the length of the file; the bytes that belong to nothing.
"""

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...errors import CorruptPayloadError, DensezipError, TruncatedError, UnreadableImageError
from ...fields import Reader, varint
from ..modes import CHANNELS
from ..picture import Picture
from ..split import Split
from . import streams as tiffstreams
from .dirs import SUB_DIRECTORIES, Entry, Field, Tiff, omitted, parse, serialise, tree
from .encoders import FOREIGN
from .layout import (
    BITS,
    CCITT_FAX_3,
    CCITT_FAX_4,
    COMPRESSION,
    FILL_ORDER,
    FORMAT,
    HEIGHT,
    JPEG,
    LZW,
    NONE,
    PACKBITS,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    ZIP,
    Layout,
    check_size,
    layout,
)
from .meta import chunks
from .move import with_streams
from .predicted import OddNumberError, Player, Recorder, Script
from .rules import SHORT, WRITERS, Writer
from .samples import decode, from_picture, places, raw_bytes
from .streams import Streams
from .unheld import unclaimed
from .walk import Whole, walk

__all__ = ["join", "skeleton", "split"]

# Modes and bits of a sample; their number is part of the remainder's first byte.
KINDS = (
    ("1", 1), ("L", 2), ("L", 4), ("L", 8), ("P", 1), ("P", 2), ("P", 4), ("P", 8), ("LA", 8), ("RGB", 8), ("RGBA", 8),
    ("I;16", 16), ("LA;16", 16), ("RGB;16", 16), ("RGBA;16", 16),
)  # fmt: skip
# Compressions with predictors, and bytes of a strip, that are usual.
CODINGS = ((NONE, 1), (ZIP, 1), (ZIP, 2), (LZW, 1), (LZW, 2), (PACKBITS, 1), (CCITT_FAX_4, 1), (CCITT_FAX_3, 1))
STRIP_SIZES = (2**13, 2**16, 2**18)
# Tags that say how the pixels lie in the file.
CUT_UP = frozenset([TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, FILL_ORDER, PREDICTOR, FORMAT, 292, 293])


@dataclass(frozen=True)
class _Known:
    """The file that is taken apart."""

    tiff: Tiff
    layout: Layout
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    streams: list[bytes]


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything in a TIFF file but its pixels; None if it cannot be kept so.

    Args:
        data: the file.
        picture: what `tiff.read` gave for it.
    """
    try:
        tiff = parse(data)
        height, width = picture.pixels.shape[:2]
        found = layout(tiff, height * width)
        if found.compression == JPEG or (found.height, found.width, found.mode) != (height, width, picture.mode):
            return None
        offsets, counts = places(tiff, found)
    except DensezipError:
        return None
    foreign = found.compression in FOREIGN
    if foreign and any(entry.tag in SUB_DIRECTORIES for entry in tiff.first.entries):
        # Streams of other lengths, by another version of the library, would not leave their places right.
        return None
    if not foreign:
        with suppress(DensezipError, OddNumberError, ValueError):
            return Split(_remainder(tiff, found, offsets, counts, picture), exact=True)
    try:
        streams = _streams(tiff, found, offsets, counts)
        raws = [decode(stream, found, index) for index, stream in enumerate(streams)]
        others = tiffstreams.remade(found, raws)
        if others is None:
            return None
        # The same picture in streams that can be made again; what lies behind them is moved along.
        moved = parse(with_streams(tiff, offsets, counts, others))
        if layout(moved, height * width) != found or chunks(moved) != chunks(tiff):
            return None
        return Split(_remainder(moved, found, *places(moved, found), picture), exact=False)
    except (DensezipError, OddNumberError, ValueError):
        return None


def _remainder(tiff: Tiff, found: Layout, offsets: tuple[int, ...], counts: tuple[int, ...], picture: Picture) -> bytes:
    """The remainder of a file.

    Raises:
        OddNumberError: there is none.
    """
    kind = KINDS.index((found.mode, found.bits))
    known = _Known(tiff, found, offsets, counts, _streams(tiff, found, offsets, counts))
    recorder = Recorder()
    _layout(recorder, found.width, found.height, kind, known)
    made = tiffstreams.record(recorder, found, from_picture(picture.pixels, found), known.streams)
    below = any(entry.tag in SUB_DIRECTORIES for entry in tiff.first.entries)
    for measured in (True,) if below else (False,) if found.compression in FOREIGN else (False, True):
        before = recorder.fork()
        _lengths(before, found, made, measured)
        best = b""
        for number, writer in enumerate(WRITERS):
            fork = before.fork()
            whole = walk(fork, writer, found, tiff.big, made, (tiff, offsets, counts))
            remainder = varint(number * len(KINDS) + kind) + varint(found.width) + varint(found.height) + fork.finish()
            if not best or len(remainder) < len(best):
                best = remainder
        if whole.assemble() != tiff.data:
            raise OddNumberError("a file that comes out different")
        with suppress(DensezipError):
            if chunks(parse(skeleton(best))) == chunks(tiff):
                return best
    raise OddNumberError("metadata among the pixels, which nobody finds without them")


def join(picture: Picture, remainder: bytes) -> bytes:
    """The file again.

    Args:
        picture: its pixels, mode and bits.
        remainder: what `split` gave.

    Raises:
        CorruptPayloadError: the remainder makes no sense.
    """
    writer, width, height, kind, player = _open(remainder)
    if (height, width) != picture.pixels.shape[:2] or KINDS[kind] != (picture.mode, picture.bits):
        raise CorruptPayloadError(
            f"a remainder of {width}x{height} pixels of mode {KINDS[kind]} "
            f"for {picture.pixels.shape[1]}x{picture.pixels.shape[0]} of {(picture.mode, picture.bits)}"
        )
    found, big = _layout(player, width, height, kind, None)
    try:
        samples = from_picture(picture.pixels, found)
    except ValueError as error:
        raise CorruptPayloadError(f"a remainder for other pixels: {error}") from None
    made = _lengths(player, found, tiffstreams.play(player, found, samples))
    whole = walk(player, writer, found, big, made, None)
    player.finish()
    return whole.assemble()


def skeleton(remainder: bytes) -> bytes:
    """A TIFF file of one pixel with all the metadata of the whole one.

    Args:
        remainder: what `split` gave.

    Raises:
        CorruptPayloadError: the remainder makes no sense.
    """
    writer, width, height, kind, player = _open(remainder)
    found, big = _layout(player, width, height, kind, None)
    made = _lengths(player, found, tiffstreams.skip(player, found))
    whole = walk(player, writer, found, big, made, None)
    # A sub-directory that is damaged is not in the tree: its entry is kept as it is.
    fields = {entry.tag: Field(entry.tag, entry.kind, _value(whole, entry)) for entry in whole.entries if entry.length}
    fields |= {field.tag: field for field in tree(whole, found.order, big, whole.entries)}
    fields = {tag: field for tag, field in fields.items() if tag not in CUT_UP and field.content}
    # What lies at no known place, as the lengths of the streams are not told, is what is left of the script.
    idle = unclaimed(whole, found.order, big, whole.entries, whole.gaps) if made.measured else player.rest()
    small = one_pixel(found, fields)
    again = parse(small)
    left = omitted(whole, found.order, big, whole.entries) - omitted(small, again.order, False, again.first.entries)
    # What the tree cannot hold, such as entries of an unknown type, is told by a byte that belongs to no tag.
    return small + idle + (b"\xff" if left else b"")


def one_pixel(found: Layout, fields: dict[int, Field]) -> bytes:
    """A file of one black or white pixel with these tags beside those of its layout."""
    order = found.order

    def short(tag: int, *numbers: int) -> Field:
        return Field(tag, SHORT, struct.pack(f"{order}{len(numbers)}H", *numbers))

    size = (found.channels * found.bits + 7) // 8
    own = [short(WIDTH, 1), short(HEIGHT, 1), short(BITS, *[found.bits] * found.channels), short(COMPRESSION, NONE)]
    own += [short(PHOTOMETRIC, found.photometric), short(STRIP_OFFSETS, 8), short(SAMPLES, found.channels)]
    own += [short(ROWS_PER_STRIP, 1), short(STRIP_COUNTS, size), short(PLANAR, 1)]
    everything = {**fields, **{field.tag: field for field in own}}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 16) + bytes(8)
    return head + serialise(tuple(everything[tag] for tag in sorted(everything)), order, 16)


def _value(whole: Whole, entry: Entry) -> bytes:
    try:
        return whole[entry.place : entry.place + entry.length]
    except UnreadableImageError:
        return b""


def _open(remainder: bytes) -> tuple[Writer, int, int, int, Player]:
    head = Reader(memoryview(remainder), 0, TruncatedError)
    try:
        first, width, height = (head.varint(what) for what in ("writer", "width", "height"))
    except DensezipError as error:
        raise CorruptPayloadError(f"a remainder that is cut short: {error}") from None
    number, kind = divmod(first, len(KINDS))
    if number >= len(WRITERS) or not 0 < width < 2**32 or not 0 < height < 2**32:
        raise CorruptPayloadError(f"a remainder with writer {number} of {len(WRITERS)}, {width}x{height} pixels")
    return WRITERS[number], width, height, kind, Player(memoryview(remainder)[head.position :])


def _streams(tiff: Tiff, found: Layout, offsets: tuple[int, ...], counts: tuple[int, ...]) -> list[bytes]:
    """The bytes of the segments; of uncompressed ones only as many as there should be."""
    lengths = [
        min(count, raw_bytes(found, index)) if found.compression == NONE else count
        for index, count in enumerate(counts)
    ]
    return [tiff.data[offset : offset + length] for offset, length in zip(offsets, lengths, strict=True)]


def _layout(script: Script, width: int, height: int, kind: int, known: _Known | None) -> tuple[Layout, bool]:
    """How the samples lie, and whether it is a BigTIFF file."""
    mode, bits = KINDS[kind]
    real = known.layout if known else None
    number = _asker(script, real)
    order = number(0, lambda it: int(it.order == ">"))
    big = script.number(0, lambda: int(known is not None and known.tiff.big))
    photometric = number({"P": 3, "RGB": 2, "RGBA": 2}.get(mode.partition(";")[0], 1), lambda it: it.photometric)
    coding = number(0, lambda it: _index(CODINGS, (it.compression, it.predictor)))
    if coding < len(CODINGS):
        compression, predictor = CODINGS[coding]
    else:
        compression, predictor = number(NONE, lambda it: it.compression), number(1, lambda it: it.predictor)
    planar, reverse = number(1, lambda it: it.planar), number(0, lambda it: int(it.reversed_bits))
    tiled = number(0, lambda it: int(it.tiled))
    across = number(256, lambda it: it.across) if tiled else width
    channels = CHANNELS[mode]
    row = (width * bits * (channels if planar == 1 else 1) + 7) // 8
    usual = [256] if tiled else [height, *(min(height, max(1, size // row)) for size in STRIP_SIZES)]
    form = number(0, lambda it: _index(usual, it.down))
    down = usual[form] if form < len(usual) else number(height, lambda it: it.down)
    if (
        max(order, big, reverse, tiled) > 1
        or photometric > 3
        or (photometric == 3) != (mode == "P")
        or (photometric == 2) != (channels > 2)
        or predictor not in (1, 2)
        or planar not in ((1, 2) if channels > 1 else (1,))
        or (predictor == 2 and bits < 8)
        or not 0 < across < 2**31
        or not 0 < down < 2**31
        or (not tiled and down > height)
    ):
        raise CorruptPayloadError(f"a remainder with a layout that is none: {mode}, {across}x{down}, {photometric}")
    found = Layout(
        width, height, channels, bits, photometric, compression, predictor, planar, bool(reverse), bool(tiled),
        across, down, ">" if order else "<",
    )  # fmt: skip
    if real is None:
        check_size(found, CorruptPayloadError)
    return found, bool(big)


def _index(choices: Sequence[object], wanted: object) -> int:
    """Where something is among choices; behind them if it is not."""
    return choices.index(wanted) if wanted in choices else len(choices)


def _asker(script: Script, real: Layout | None) -> Callable[[int, Callable[[Layout], int]], int]:
    """Numbers of a layout: written if there is a real one, read if not."""

    def ask(expected: int, actual: Callable[[Layout], int]) -> int:
        return script.number(expected, lambda: actual(real) if real else 0)

    return ask


def _lengths(script: Script, found: Layout, made: Streams, measured: bool = False) -> Streams:
    """The lengths of compressed streams, if they are written down: then all is found without the pixels."""
    if found.compression == NONE or not script.number(0, lambda: int(measured)):
        return made
    lengths, last = [], 0
    for index in range(found.segments):
        last = script.number(last, lambda index=index: made.lengths[index])  # type: ignore[misc]
        lengths.append(last)
    if made.bodies is not None and made.lengths != lengths:
        raise CorruptPayloadError("a remainder with other lengths of the strips or tiles than they have")
    return Streams(lengths, made.bodies)
