"""The pixels of a PNG file as the bytes of its IDAT chunks: what a writer chose, found out and chosen again.

A writer chooses a filter for each row, how the rows are deflated, and how much of that goes into one chunk. The choices
are coded as: the size of the chunks (0 for a single one, 1 for a list that follows: how many different ones come one
after the other, then each size and how often), a recipe of `deflate` after its length, the rule by which filters are
chosen, and the rows that do not follow it: their number, then for each five times the rows since the last one, plus the
filter. The rule `LISTED` is followed by the filter of each row. With `TAIL` added to the rule come the bytes that the
chunks hold behind the deflated data, after their number.

Source: PNG, third edition, W3C, sections 9.2 and 12.7 (filters).
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import CorruptPayloadError
from ...fields import Reader, varint
from ...native import function
from ..deflate import deflate
from .rows import Array, Bytes, filter_step, pack_rows, passes

__all__ = ["chunks_of", "explain", "standard"]

FILTERS = 5
# The first rules take one filter for all rows, the others the one with the least sum, in the order in which equal ones
# are preferred: as libpng does, as Pillow does, and as Pillow does with `optimize`.
ORDERS = ((0, 1, 2, 3, 4), (0, 2, 1, 4), (0, 2, 1, 3, 4))
LIBPNG = FILTERS
LISTED = FILTERS + len(ORDERS)
TAIL = 16
SINGLE, RUNS = 0, 1
# More exceptions than one in so many rows are listed instead.
FEW = 4
ADLER_BYTES = 4

Kinds = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def _native() -> tuple[Callable[..., Any], Callable[..., Any]]:
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    arguments = (pointer, pointer, number, number, number, pointer, pointer)
    return function("dz_png_filter", None, *arguments), function("dz_png_sums", None, *arguments)


class _Rows:
    """The packed rows of a picture, pass by pass."""

    def __init__(self, pixels: Array, mode: str, bits: int, *, interlaced: bool) -> None:
        self.parts = [
            np.ascontiguousarray(pack_rows(part, mode, bits)) for part in passes(pixels, interlaced=interlaced)
        ]
        self.step = filter_step(mode, bits)
        self.count = sum(len(part) for part in self.parts)
        self.size = sum(len(part) * (1 + part.shape[1]) for part in self.parts)
        self.feed = 0 if interlaced else 1 + self.parts[0].shape[1]

    def _spans(self) -> Iterator[tuple[Bytes, int]]:
        first = 0
        for part in self.parts:
            yield part, first
            first += len(part)

    def kinds_in(self, raw: bytes) -> Kinds | None:
        """The filters that deflated rows name; None where one does not exist."""
        data, kinds, position = np.frombuffer(raw, np.uint8), np.empty(self.count, np.uint8), 0
        for part, first in self._spans():
            width = 1 + part.shape[1]
            kinds[first : first + len(part)] = data[position : position + len(part) * width : width]
            position += len(part) * width
        return kinds if kinds.max() < FILTERS else None

    def filtered(self, kinds: Kinds) -> bytes:
        """The rows, each filtered as asked for and after the number of its filter."""
        run, out, position = _native()[0], np.empty(self.size, np.uint8), 0
        for part, first in self._spans():
            height, width = part.shape
            zeros, here = np.zeros(width, np.uint8), kinds[first : first + height]
            target = out[position : position + height * (1 + width)]
            run(
                part.ctypes.data, zeros.ctypes.data, height, width, self.step, here.ctypes.data, target.ctypes.data
            )  # fmt: skip
            position += height * (1 + width)
        return out.tobytes()

    def sums(self) -> npt.NDArray[np.uint64]:
        """For every row [H, 5] the sum of the absolute values that each filter gives."""
        run, out = _native()[1], np.empty((self.count, FILTERS), np.uint64)
        for part, first in self._spans():
            height, width = part.shape
            zeros, room, here = np.zeros(width, np.uint8), np.empty(width, np.uint8), out[first : first + height]
            run(part.ctypes.data, zeros.ctypes.data, height, width, self.step, room.ctypes.data, here.ctypes.data)
        return out


class _Rules:
    """What the rules say for the rows of one picture."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows
        self.sums: npt.NDArray[np.uint64] | None = None

    def kinds(self, rule: int) -> Kinds:
        """The filter of every row."""
        if rule < FILTERS:
            return np.full(self.rows.count, rule, np.uint8)
        if self.sums is None:
            self.sums = self.rows.sums()
        order = ORDERS[rule - FILTERS]
        chosen: Kinds = np.array(order, np.uint8)[self.sums[:, order].argmin(axis=1)]
        return chosen


def _usual_rule(mode: str, bits: int) -> int:
    return LIBPNG if bits >= 8 and mode != "P" else 0


def standard(pixels: Array, mode: str, bits: int, *, interlaced: bool) -> bytes:
    """The deflated pixels as we write them when the writer's choices are not known."""
    rows = _Rows(pixels, mode, bits, interlaced=interlaced)
    return deflate.deflate(rows.filtered(_Rules(rows).kinds(_usual_rule(mode, bits))), deflate.standard())


def explain(
    bodies: Sequence[memoryview], pixels: Array, mode: str, bits: int, *, interlaced: bool, room: int
) -> bytes | None:
    """The choices of a writer.

    Args:
        bodies: what the IDAT chunks hold.
        pixels: [H, W, C], the picture.
        mode: its mode.
        bits: its bits per sample.
        interlaced: whether the file is.
        room: how many bytes of notes on deflate are worth it.

    Returns:
        What `chunks_of` takes; nothing (no bytes) where they are our own, None where they were not found out.
    """
    rows = _Rows(pixels, mode, bits, interlaced=interlaced)
    whole = b"".join(bodies)
    size = deflate.size_of(whole, rows.size)
    if size is None:
        return None
    tail = whole[size:]
    found = deflate.analyse(memoryview(whole)[:size], feed=rows.feed, most=rows.size, room=room)
    if found is None or len(found[0]) != rows.size:
        return None
    raw, recipe = found
    kinds = rows.kinds_in(raw)
    if kinds is None or rows.filtered(kinds) != raw:
        return None
    usual = _usual_rule(mode, bits)
    rule, exceptions = _best_rule(_Rules(rows), kinds, usual)
    if (
        rule == usual
        and not len(exceptions)
        and not tail
        and len(bodies) == 1
        and recipe == deflate.recipe_of(deflate.standard())
    ):
        return b""
    out = [_pack_sizes([len(body) for body in bodies]), varint(len(recipe)), recipe]
    if len(exceptions) * FEW > rows.count:
        out += [bytes([LISTED | TAIL * bool(tail)]), kinds.tobytes()]
    else:
        gaps = np.diff(exceptions, prepend=-1) - 1
        out += [bytes([rule | TAIL * bool(tail)]), varint(len(exceptions))]
        out += [varint(FILTERS * int(gap) + int(kinds[at])) for gap, at in zip(gaps, exceptions, strict=True)]
    return b"".join([*out, *([varint(len(tail)), tail] if tail else [])])


def _best_rule(rules: _Rules, kinds: Kinds, usual: int) -> tuple[int, npt.NDArray[np.intp]]:
    """The rule with the fewest exceptions, and the rows that are these. Of fixed filters the commonest is tried."""
    common = int(np.bincount(kinds, minlength=FILTERS).argmax())
    best: tuple[int, npt.NDArray[np.intp]] | None = None
    for rule in (usual, common, *range(LIBPNG, LISTED)):
        exceptions = np.flatnonzero(rules.kinds(rule) != kinds)
        if best is None or len(exceptions) < len(best[1]):
            best = rule, exceptions
        if not len(exceptions):
            break
    assert best is not None
    return best


def _pack_sizes(sizes: list[int]) -> bytes:
    if len(sizes) == 1:
        return varint(SINGLE)
    if sizes[0] > RUNS and all(size == sizes[0] for size in sizes[:-1]) and 0 < sizes[-1] <= sizes[0]:
        return varint(sizes[0])
    runs = [(size, sum(1 for _ in group)) for size, group in groupby(sizes)]
    return b"".join([varint(RUNS), varint(len(runs)), *(varint(size) + varint(count) for size, count in runs)])


def _unpack_sizes(reader: Reader) -> tuple[int, list[tuple[int, int]]]:
    size = reader.varint("size of IDAT")
    if size != RUNS:
        return size, []
    runs = []
    for _ in range(reader.varint("number of sizes")):
        runs.append((reader.varint("size of IDAT"), reader.varint("number of IDAT")))
    return size, runs


def _pieces(stream: bytes, size: int, runs: list[tuple[int, int]]) -> Iterator[bytes]:
    if size == SINGLE:
        yield stream
    elif size != RUNS:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]
    else:
        total, count = sum(size * count for size, count in runs), sum(count for _, count in runs)
        # Chunks without a byte are legal; more of them than bytes are not believed.
        if total != len(stream) or count > 2 * len(stream) + 1:
            raise CorruptPayloadError(f"{count} chunks of {total} bytes for {len(stream)} bytes of deflated pixels")
        start = 0
        for length, times in runs:
            for _ in range(times):
                yield stream[start : start + length]
                start += length


def chunks_of(choices: Reader, pixels: Array, mode: str, bits: int, *, interlaced: bool) -> list[bytes]:
    """What the IDAT chunks of a file hold.

    Args:
        choices: what `explain` gave; read to its end.
        pixels: [H, W, C], the picture.
        mode: its mode.
        bits: its bits per sample.
        interlaced: whether the file is.

    Raises:
        CorruptPayloadError: the choices are not those for this picture.
        HeaderError: they are damaged.
    """
    rows = _Rows(pixels, mode, bits, interlaced=interlaced)
    size, runs = _unpack_sizes(choices)
    recipe = bytes(choices.take(choices.varint("bytes of a recipe"), "recipe"))
    rule = choices.take(1, "rule of filters")[0]
    if rule & ~TAIL > LISTED:
        raise CorruptPayloadError(f"a rule of PNG filters of number {rule}")
    if rule & ~TAIL == LISTED:
        kinds = np.frombuffer(choices.take(rows.count, "filters"), np.uint8)
    else:
        kinds = _Rules(rows).kinds(rule & ~TAIL)
        at = -1
        for _ in range(choices.varint("number of filters")):
            gap, kind = divmod(choices.varint("filter"), FILTERS)
            at += gap + 1
            if at >= rows.count:
                raise CorruptPayloadError(f"the filter of row {at} of {rows.count}")
            kinds[at] = kind
    if kinds.max() >= FILTERS:
        raise CorruptPayloadError(f"a PNG filter of number {kinds.max()}")
    tail = bytes(choices.take(choices.varint("bytes behind the pixels"), "bytes behind")) if rule & TAIL else b""
    stream = deflate.replay(rows.filtered(np.ascontiguousarray(kinds)), recipe) + tail
    return list(_pieces(stream, size, runs))
