"""Replays zlib streams: what a coder wrote comes out again byte for byte, from the data and a short recipe.

Most streams are the work of zlib or of zlib-ng at one of a few settings. `analyse` finds the settings with which our
own imitation of these coders makes the same choices, and notes where it does not; `replay` follows the recipe. So the
same bytes come out wherever densezip runs, whatever library is installed there.

A recipe holds: library + 3 * level, with flags for what follows; strategy + 5 * (memory level - 1), with a flag for a
coder that forgets what it has seen at empty stored blocks; with `HEADER` the two bytes of the stream's header, where
they are not those of the coder; with `WINDOW` the bits of the window, else 15; with `FEED` the bytes that the coder was
given at a time; for the store of level 0 the bytes of a block; with `NOTES` the most tokens in a block, the bytes of
the notes on tokens, these, and the notes on blocks (see notes.h).

What a recipe can cost is bounded by its data alone: a search looks at 4096 places at most, as in the libraries that it
imitates. The dearest data found, two symbols at random at level 9, takes 4.7 s a megabyte, 1.8 times the time of zlib
itself (photographs 0.1 s); an honest file of such pixels costs the same.

Source: RFC 1950 and RFC 1951.
"""

import ctypes
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import CorruptPayloadError, HeaderError
from ...fields import Reader, varint
from ...native import function

__all__ = ["Method", "analyse", "deflate", "recipe_of", "replay", "size_of", "standard"]

STORE, ZLIB, ZLIB_NG = range(3)
DEFAULT, FILTERED, HUFFMAN, RUNS, FIXED = range(5)
FIXED_BLOCKS = 1
WINDOW, FEED, NOTES = 32, 64, 128
FORGETS, HEADER = 64, 128
HEADER_BYTES, ADLER_BYTES = 2, 4
DEFLATED = 8
# A coder is tried on so many bytes first, and on the whole only if it does well there.
PROBE = 200_000
PROBE_NOTES = 2048
# Notes of fewer bytes than this are not worth another try.
FEW_NOTES = 16
# By the two highest bits of a stream's header: the levels that write them.
LEVELS = {0: (1,), 1: (5, 4, 3, 2), 2: (6,), 3: (9, 7, 8)}
# What a recipe can make of its data at most, by the bytes of both: a block is no larger than under the static tree,
# with codes of up to 9 bits for a byte, but for what notes tell of its trees.
MOST_PER_BYTE, MOST_PER_NOTE, MOST_ANYHOW = 2, 700, 4096
HIGHEST, MAX_WINDOW = 9, 15
MAX_DATA = 2**31 - 1

Bytes = npt.NDArray[np.uint8]


class Method(NamedTuple):
    """What is to be known of a coder: the arguments of `deflateInit2`, and how it was called.

    `stored` is for the library `STORE` the most bytes of a block, for others whether there were full flushes.
    """

    library: int
    level: int
    strategy: int
    window: int
    memory: int
    feed: int = 0
    stored: int = 0


class _Followed(NamedTuple):
    """How a coder differs from the stream: notes, the most tokens of a block, and the stream's bytes."""

    tokens: bytes
    blocks: bytes
    most: int
    size: int


@lru_cache(maxsize=1)
def _native() -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], int]:
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    state = int(function("dz_deflate_state", number)())
    survey = function("dz_deflate_survey", ctypes.c_int, pointer, pointer, number, pointer, number, number, pointer)
    follow = function(
        "dz_deflate_analyse", ctypes.c_int,
        pointer, pointer, number, pointer, number, pointer, number, pointer, number, pointer, number, pointer,
    )  # fmt: skip
    again = function(
        "dz_deflate_replay", ctypes.c_int64,
        pointer, pointer, number, pointer, pointer, number, pointer, number, pointer, number, pointer, number,
    )  # fmt: skip
    return survey, follow, again, state


def _bytes(data: bytes | memoryview) -> Bytes:
    # An array of no bytes has no address that C may be given.
    return np.frombuffer(data or b"\0", np.uint8)


class _Stream:
    """A stream whose data is known, and how coders do on it."""

    def __init__(self, raw: bytes, body: bytes | memoryview) -> None:
        self.raw, self.body, self.size, self.body_size = _bytes(raw), _bytes(body), len(raw), len(body)
        self.survey, self.follow_, _, state = _native()
        self.state = np.empty(state, np.uint8)

    def seen(self) -> list[int] | None:
        """What the first blocks betray, in the order of the C file's S_..."""
        out = np.zeros(10, np.uint64)
        error = self.survey(
            self.state.ctypes.data, self.raw.ctypes.data, self.size, self.body.ctypes.data, self.body_size,
            PROBE, out.ctypes.data,
        )  # fmt: skip
        return None if error else [int(value) for value in out]

    def follow(self, method: Method, stop: int, room: int) -> _Followed | None:
        """None where the notes take more than `room` bytes, or the stream is none."""
        tokens, blocks = np.empty(room + 1, np.uint8), np.empty(room + 1, np.uint8)
        result, numbers = np.zeros(4, np.uint64), np.array(method, np.uint32)
        error = self.follow_(
            self.state.ctypes.data, self.raw.ctypes.data, self.size, self.body.ctypes.data, self.body_size,
            numbers.ctypes.data, stop,
            tokens.ctypes.data, room, blocks.ctypes.data, room, result.ctypes.data,
        )  # fmt: skip
        if error or int(result[0] + result[1]) > room:
            return None
        return _Followed(
            tokens[: int(result[0])].tobytes(), blocks[: int(result[1])].tobytes(), int(result[2]), int(result[3])
        )


def analyse(
    stream: bytes | memoryview, *, feed: int = 0, most: int = MAX_DATA, room: int | None = None
) -> tuple[bytes, bytes] | None:
    """Take a zlib stream apart.

    Args:
        stream: the whole of it, with its header and checksum.
        feed: how many bytes the coder may have been given at a time.
        most: give up on more bytes of data than this.
        room: give up on more bytes of notes than this; by default the larger of 64 and 1/200 of the stream.

    Returns:
        The data, and the recipe by which `replay` makes the same stream of it; None for a stream that is damaged, has
        bytes behind its end, or was written by a coder that we do not know. About 0.1 s a megabyte.
    """
    view = memoryview(stream)
    if len(view) < HEADER_BYTES + ADLER_BYTES or view[0] & 15 != DEFLATED or view[1] & 32:
        return None
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(view, min(most, MAX_DATA) + 1)
    except zlib.error:
        return None
    if len(raw) > min(most, MAX_DATA) or not inflater.eof or inflater.unused_data:
        return None
    body = view[HEADER_BYTES : len(view) - ADLER_BYTES]
    found = _find(_Stream(raw, body), bytes(view[:HEADER_BYTES]), feed, room or max(64, len(view) // 200))
    if found is None or found[1].size != len(body):
        return None
    return raw, _recipe(*found, bytes(view[:HEADER_BYTES]))


def size_of(data: bytes | memoryview, most: int) -> int | None:
    """The bytes of the zlib stream that data begins with; None where it is none, or gives more than `most` bytes."""
    inflater = zlib.decompressobj()
    try:
        if len(inflater.decompress(data, most + 1)) > most or not inflater.eof:
            return None
    except zlib.error:
        return None
    return len(data) - len(inflater.unused_data)


def _find(stream: _Stream, header: bytes, feed: int, room: int) -> tuple[Method, _Followed] | None:
    """The coder with the fewest notes. One that does without is looked for no further."""
    seen = stream.seen()
    if seen is None:
        return None
    tried: list[tuple[int, int, Method]] = []
    probe_room = PROBE_NOTES
    for method in dict.fromkeys(_candidates(header, seen, feed)):
        probe = stream.follow(method, PROBE, probe_room)
        if probe is None:
            continue
        notes = len(probe.tokens) + len(probe.blocks)
        tried.append((notes, len(tried), method))
        probe_room = min(probe_room, notes + FEW_NOTES)
        if notes == 0 or (method.library == STORE and notes <= room):
            whole = stream.follow(method, stream.size, room)
            if whole is not None and (method.library == STORE or len(whole.tokens) + len(whole.blocks) <= FEW_NOTES):
                return method, whole
    best = None
    for _, _, method in sorted(tried)[:3]:
        whole = stream.follow(method, stream.size, room)
        if whole is not None:
            best = method, whole
            room = len(whole.tokens) + len(whole.blocks) - 1
            if room < FEW_NOTES:
                break
    return best


def _candidates(header: bytes, seen: list[int], feed: int) -> Iterator[Method]:
    """Coders that may have written a stream, the likely ones first."""
    _, tokens, more, _, fixed, dynamic, matches, near, empty, length = seen
    if header == _header(standard()):
        yield standard()
    window = max(9, (header[0] >> 4) + 8)
    windows = (window,) if window == 15 else (window, 15)
    memories: tuple[int, ...] = (8, 9)
    if more:
        # The coder ends a block when its buffer is full, zlib-ng up to two tokens later.
        memories = tuple(memory for memory in range(1, 10) if 0 <= tokens - (2 ** (memory + 6) - 1) <= 2) or memories
    if not fixed and not dynamic:
        yield Method(STORE, 1, DEFAULT, 15, 8, 0, length)
    first = LEVELS[header[1] >> 6]
    for levels in (first, tuple(level for level in range(9, 0, -1) if level not in first)):
        strategies: list[tuple[int, tuple[int, ...]]] = []
        if not matches:
            strategies.append((HUFFMAN, (6,)))
        elif near == matches:
            strategies.append((RUNS, (6,)))
        strategies += [(DEFAULT, levels), (FILTERED, levels)]
        if not dynamic:
            strategies.append((FIXED, tuple(range(9, 0, -1)) if header[1] < 64 else levels))
        for bits in windows:
            for strategy, some in strategies:
                for level in some:
                    for memory in memories:
                        # At the highest level both often agree, and zlib-ng's search is the faster one.
                        for library in (ZLIB, ZLIB_NG) if level < HIGHEST else (ZLIB_NG, ZLIB):
                            for stored in (0, 1) if empty else (0,):
                                yield Method(library, level, strategy, bits, memory, 0, stored)
                        if feed:
                            yield Method(ZLIB_NG, level, strategy, bits, memory, feed)


def recipe_of(method: Method) -> bytes:
    """The recipe of a stream that `deflate` makes."""
    return _recipe(method, _Followed(b"", b"", 0, 0), _header(method))


def _recipe(method: Method, followed: _Followed, header: bytes) -> bytes:
    noted, told = bool(followed.tokens or followed.blocks), header != _header(method)
    flags = WINDOW * (method.window != MAX_WINDOW) | FEED * bool(method.feed) | NOTES * noted
    more = FORGETS * (method.library != STORE and method.stored) | HEADER * told
    parts = [bytes([method.library + 3 * method.level | flags, method.strategy + 5 * (method.memory - 1) | more])]
    if told:
        parts.append(header)
    if flags & WINDOW:
        parts.append(bytes([method.window]))
    if flags & FEED:
        parts.append(varint(method.feed))
    if method.library == STORE:
        parts.append(varint(method.stored))
    if noted:
        parts += [varint(followed.most), varint(len(followed.tokens)), followed.tokens, followed.blocks]
    return b"".join(parts)


def _read_recipe(recipe: bytes) -> tuple[bytes, Method, _Followed]:
    reader = Reader(memoryview(recipe), 0, HeaderError)
    first, second = reader.take(2, "deflate method")
    header = bytes(reader.take(HEADER_BYTES, "zlib header")) if second & HEADER else b""
    window = reader.take(1, "window")[0] if first & WINDOW else MAX_WINDOW
    feed = reader.varint("bytes at a time") if first & FEED else 0
    level, library = divmod(first & 31, 3)
    memory, strategy = divmod(second & 63, 5)
    stored = reader.varint("bytes of a block") if library == STORE else bool(second & FORGETS)
    if feed > MAX_DATA or stored > 0xFFFF or not 8 <= window <= MAX_WINDOW or level > HIGHEST:
        raise CorruptPayloadError(f"a zlib stream of level {level}, window {window}, coded by {feed} bytes, {stored}")
    method = Method(library, level, strategy, window, memory + 1, feed, stored)
    if not first & NOTES:
        if reader.left:
            raise CorruptPayloadError(f"{reader.left} bytes too many in the recipe of a zlib stream")
        return header or _header(method), method, _Followed(b"", b"", 0, 0)
    most = reader.varint("tokens in a block")
    tokens = bytes(reader.take(reader.varint("bytes of notes"), "notes on tokens"))
    blocks = bytes(reader.take(reader.left, "notes on blocks"))
    return header or _header(method), method, _Followed(tokens, blocks, most, 0)


def standard(level: int = 6, memory: int = 9, strategy: int = FILTERED) -> Method:
    """A method of our own choice: zlib's, with the largest window."""
    return Method(ZLIB, level, strategy, 15, memory)


def replay(raw: bytes | memoryview, recipe: bytes) -> bytes:
    """Make a zlib stream again.

    Args:
        raw: its data.
        recipe: what `analyse` gave.

    Raises:
        CorruptPayloadError: the recipe cannot be that of this data.
        HeaderError: the recipe is damaged.
    """
    header, method, followed = _read_recipe(recipe)
    body = _deflate(raw, method, followed, len(recipe))
    return b"".join([header, body, zlib.adler32(raw).to_bytes(ADLER_BYTES, "big")])


def deflate(raw: bytes | memoryview, method: Method) -> bytes:
    """A zlib stream by our own imitation of a coder."""
    body = _deflate(raw, method, _Followed(b"", b"", 0, 0), 0)
    return b"".join([_header(method), body, zlib.adler32(raw).to_bytes(ADLER_BYTES, "big")])


def _header(method: Method) -> bytes:
    """The two bytes that the coder begins a stream with."""
    window = (method.window - 8) << 4 | DEFLATED
    fastest = method.strategy >= HUFFMAN or method.level < 2
    flags = (0 if fastest else {2: 1, 3: 1, 4: 1, 5: 1, 6: 2}.get(method.level, 3)) << 6
    return bytes([window, flags + (-(window << 8 | flags)) % 31])


def _deflate(raw: bytes | memoryview, method: Method, followed: _Followed, noted: int) -> bytes:
    if len(raw) > MAX_DATA:
        raise CorruptPayloadError(f"{len(raw)} bytes of data in a zlib stream: the limit is {MAX_DATA}")
    again, state = _native()[2:]
    # Without notes no block is longer than the coder's buffer, but for two tokens of zlib-ng, whose fastest level has
    # blocks of any length.
    full = 2 ** (method.memory + 6) + 2
    most = len(raw) if (method.library, method.level) == (ZLIB_NG, 1) else full
    room = min(max(most, followed.most), len(raw)) + 1
    size = MOST_PER_BYTE * len(raw) + MOST_PER_NOTE * noted + MOST_ANYHOW
    buffer, out = np.empty(room, np.uint32), np.empty(size + 1, np.uint8)
    tokens, blocks, data = _bytes(followed.tokens), _bytes(followed.blocks), _bytes(raw)
    memory, numbers = np.empty(state, np.uint8), np.array(method, np.uint32)
    made = again(
        memory.ctypes.data, data.ctypes.data, len(raw), numbers.ctypes.data,
        tokens.ctypes.data, len(followed.tokens), blocks.ctypes.data, len(followed.blocks),
        buffer.ctypes.data, room, out.ctypes.data, size,
    )  # fmt: skip
    if made < 0:
        raise CorruptPayloadError(f"the recipe of a zlib stream makes no sense for {len(raw)} bytes of data ({made})")
    return out[:made].tobytes()
