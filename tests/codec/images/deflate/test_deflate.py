"""Replaying zlib streams: the same bytes come out, whoever wrote them, or the stream is given up."""

import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from densezip.codec.errors import DensezipError
from densezip.codec.images.deflate import deflate
from hypothesis import given
from hypothesis import strategies as st

RNG = np.random.default_rng(7)
SMOOTH = np.cumsum(RNG.integers(-2, 3, 50_000)).astype("u1").tobytes()
WORDS = b" ".join(RNG.choice([b"row", b"column", b"pixel", b"palette", b"filter", b"\x00\x01\x02"], 9000).tolist())
DATA = {
    "nothing": b"",
    "a byte": b"\x07",
    "two bytes": b"ab",
    "zeros": bytes(70_000),
    "words": WORDS,
    "smooth": SMOOTH,
    "noise": RNG.bytes(40_000),
    "a far repetition": SMOOTH[:9000] + RNG.bytes(23_000) + SMOOTH[:9000],
    "few values": RNG.integers(0, 3, 12_000, dtype="u1").tobytes(),
}
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)
# Bits, the lowest first: a number and how many bits it takes.
Bits = list[tuple[int, int]]


def zlib_stream(data: bytes, level: int, strategy: int = 0, memory: int = 8, window: int = 15, piece: int = 0) -> bytes:
    coder = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)] if piece else [data]
    return b"".join([*map(coder.compress, pieces), coder.flush()])


def check(stream: bytes, most: int | None = None, **options: int) -> bytes:
    found = deflate.analyse(stream, **options)
    assert found is not None
    data, recipe = found
    assert data == zlib.decompress(stream)
    assert deflate.replay(data, recipe) == stream
    assert most is None or len(recipe) <= most, len(recipe)
    return recipe


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("level", range(1, 10))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_zlib_is_imitated_at_every_level_and_strategy(name: str, level: int, strategy: int) -> None:
    # Blocks of noise are stored, of any length: each is noted.
    check(zlib_stream(DATA[name], level, strategy), 40 if name == "noise" else 12)


@pytest.mark.parametrize("name", ["words", "smooth", "zeros"])
@pytest.mark.parametrize("level", [1, 4, 6, 9])
@pytest.mark.parametrize("memory", range(1, 10))
def test_zlib_is_imitated_at_every_memory_level(name: str, level: int, memory: int) -> None:
    check(zlib_stream(DATA[name], level, memory=memory), 12)


@pytest.mark.parametrize("name", ["words", "smooth", "few values"])
@pytest.mark.parametrize("level", [1, 4, 6, 9])
@pytest.mark.parametrize("window", range(9, 16))
def test_zlib_is_imitated_with_every_window(name: str, level: int, window: int) -> None:
    check(zlib_stream(DATA[name], level, window=window), 20)


@pytest.mark.parametrize("name", DATA)
def test_stored_streams_are_imitated(name: str) -> None:
    check(zlib_stream(DATA[name], 0), 40)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("level", range(1, 10))
def test_zlib_ng_is_imitated_at_every_level(name: str, level: int) -> None:
    check(bytes(imagecodecs.zlibng_encode(DATA[name], level)), 40 if name == "noise" else 12)


@pytest.mark.parametrize("piece", [1, 100, 4096])
def test_how_the_coder_was_fed_makes_no_difference_to_zlib(piece: int) -> None:
    assert zlib_stream(SMOOTH, 6, piece=piece) == zlib_stream(SMOOTH, 6)
    check(zlib_stream(SMOOTH, 6, piece=piece), 12, feed=piece)


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH])
def test_flushes_between_are_noted(level: int, mode: int) -> None:
    coder = zlib.compressobj(level)
    parts = [coder.compress(WORDS[at : at + 9000]) + coder.flush(mode) for at in range(0, len(WORDS), 9000)]
    check(b"".join([*parts, coder.flush()]), room=10_000)


def test_a_change_of_level_on_the_way_is_noted_or_given_up() -> None:
    coder = zlib.compressobj(9)
    first = coder.compress(WORDS[:20_000]) + coder.flush(zlib.Z_BLOCK) if hasattr(zlib, "Z_BLOCK") else b""
    if not first:
        pytest.skip("this Python has no Z_BLOCK")
    check(first + coder.compress(WORDS[20_000:]) + coder.flush(), room=10_000)


def packed(bits: Bits) -> bytes:
    number = position = 0
    for value, count in bits:
        number |= value << position
        position += count
    return number.to_bytes((position + 7) // 8, "little")


def literal(byte: int) -> tuple[int, int]:
    """A literal under the static tree."""
    code, count = (0x30 + byte, 8) if byte < 144 else (0x190 + byte - 144, 9)
    return int(f"{code:0{count}b}"[::-1], 2), count


def length_3(distance: int) -> Bits:
    """A match of three bytes at a distance from 1 to 4, under the static tree."""
    return [(0b1000000, 7), (int(f"{distance - 1:05b}"[::-1], 2), 5)]


def wrapped(data: bytes, bits: Bits) -> bytes:
    return b"\x78\x9c" + packed(bits) + struct.pack(">I", zlib.adler32(data))


FOREIGN: dict[str, tuple[bytes, Bits]] = {
    "literals where there are matches": (
        b"a" * 40,
        [(1, 1), (1, 2), *[literal(97)] * 40, (0, 7)],
    ),
    "short matches where there are long ones": (
        b"a" * 40,
        [(1, 1), (1, 2), literal(97), *length_3(1) * 13, (0, 7)],
    ),
    "another distance than the nearest": (
        b"a" * 40,
        [(1, 1), (1, 2), *[literal(97)] * 4, *length_3(4) * 12, (0, 7)],
    ),
    "an empty block at the start": (b"abc", [(0, 1), (1, 2), (0, 7), (1, 1), (1, 2), *map(literal, b"abc"), (0, 7)]),
    "empty blocks at the end": (
        b"abc",
        [(0, 1), (1, 2), *map(literal, b"abc"), (0, 7), (0, 1), (1, 2), (0, 7), (1, 1), (1, 2), (0, 7)],
    ),
    "a stored block with other bits than zeros before it": (
        b"abc",
        [(1, 1), (0, 2), (21, 5), (3, 16), (0xFFFC, 16), *((byte, 8) for byte in b"abc")],
    ),
    "an empty stored block last": (
        b"abc",
        [(0, 1), (1, 2), *map(literal, b"abc"), (0, 7), (1, 1), (0, 2), (0, 3), (0, 16), (0xFFFF, 16)],
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_stream_of_no_known_coder_is_noted(name: str) -> None:
    data, bits = FOREIGN[name]
    stream = wrapped(data, bits)
    assert zlib.decompress(stream) == data
    check(stream)


def test_trees_of_another_making_are_noted() -> None:
    # zlib would code lengths in another way: here each code of 257 has a length of its own, and the last is repeated.
    lengths = [8] * 255 + [9, 9]
    bits: Bits = [(1, 1), (2, 2), (0, 5), (0, 5), (14, 4)]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits += [({8: 1, 9: 2, 1: 2}.get(symbol, 0), 3) for symbol in order]
    coded = {8: (0, 1), 1: (0b01, 2), 9: (0b11, 2)}
    bits += [coded[length] for length in [*lengths, 1]]
    bits += [(int(f"{byte:08b}"[::-1], 2), 8) for byte in b"hello"] + [(0b111111111, 9)]
    stream = wrapped(b"hello", bits)
    assert zlib.decompress(stream) == b"hello"
    check(stream, room=400)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "is empty": lambda _: b"",
    "is cut short": lambda stream: stream[:-1],
    "has no checksum": lambda stream: stream[:-4],
    "has a wrong checksum": lambda stream: stream[:-1] + bytes([stream[-1] ^ 1]),
    "goes on behind its end": lambda stream: stream + b"\0",
    "has another method": lambda stream: b"\x77\x85" + stream[2:],
    "has a dictionary": lambda stream: b"\x78\xbb" + stream[2:],
    "is damaged": lambda stream: stream[:20] + b"\xff\xff\xff" + stream[23:],
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_stream_is_given_up(how: str) -> None:
    assert deflate.analyse(BROKEN[how](zlib_stream(WORDS, 6))) is None


def test_bits_behind_the_last_block_are_given_up() -> None:
    bits: Bits = [(1, 1), (1, 2), *map(literal, b"abc"), (0, 7), (1, 1)]
    stream = wrapped(b"abc", bits)
    assert zlib.decompress(stream) == b"abc"
    assert deflate.analyse(stream) is None


def test_more_data_or_notes_than_wanted_are_given_up() -> None:
    stream = zlib_stream(WORDS, 6)
    assert deflate.analyse(stream, most=len(WORDS)) is not None
    assert deflate.analyse(stream, most=len(WORDS) - 1) is None
    assert deflate.analyse(bytes(imagecodecs.deflate_encode(SMOOTH, 12)), room=64) is None


def test_a_zlib_stream_is_told_from_what_follows() -> None:
    stream = zlib_stream(WORDS, 6)
    assert deflate.size_of(stream + b"more", len(WORDS)) == len(stream)
    assert deflate.size_of(stream, len(WORDS) - 1) is None
    assert deflate.size_of(stream[:-1], len(WORDS)) is None
    assert deflate.size_of(b"no stream", 9) is None


@pytest.mark.parametrize("name", DATA)
def test_our_own_streams_inflate_and_need_no_notes(name: str) -> None:
    stream = deflate.deflate(DATA[name], deflate.standard())
    assert zlib.decompress(stream) == DATA[name]
    assert check(stream, 12) == deflate.recipe_of(deflate.standard())
    assert len(stream) <= len(zlib_stream(DATA[name], 6, zlib.Z_FILTERED, 9))


@given(st.binary(max_size=3000), st.integers(0, 9), st.sampled_from(STRATEGIES), st.integers(1, 9), st.integers(9, 15))
def test_any_data_is_replayed(data: bytes, level: int, strategy: int, memory: int, window: int) -> None:
    check(zlib_stream(data, level, strategy, memory, window), room=1000)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 400)), max_size=60),
    st.integers(1, 9),
    st.sampled_from(STRATEGIES),
)
def test_any_repetition_is_replayed(copies: list[tuple[int, int]], level: int, strategy: int) -> None:
    data = bytearray(b"0123456789")
    for back, count in copies:
        for _ in range(count):
            data.append(data[-1 - back % len(data)] if back else len(data) % 251)
    check(zlib_stream(bytes(data), level, strategy), room=1000)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_recipe_is_a_named_error_or_another_stream(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coder = zlib.compressobj(1 + seed)
    stream = coder.compress(WORDS[:5000]) + coder.flush(zlib.Z_FULL_FLUSH) + coder.compress(WORDS) + coder.flush()
    recipe = check(stream, room=20_000)
    for _ in range(150):
        damaged = bytearray(recipe)
        for _ in range(int(rng.integers(1, 4))):
            damaged[rng.integers(min(len(damaged), 40) if rng.integers(2) else len(damaged))] = rng.integers(256)
        data = WORDS[:5000] + WORDS if rng.integers(2) else RNG.bytes(int(rng.integers(3000)))
        try:
            made = deflate.replay(data, bytes(damaged[: rng.integers(len(damaged) + 1)]))
        except DensezipError:
            continue
        assert len(made) <= 2 * len(data) + 700 * len(damaged) + 4096 + 6


@pytest.mark.parametrize("what", ["tokens", "notes", "level", "window"])
def test_a_recipe_that_asks_for_the_impossible_is_refused_before_memory_is_taken(what: str) -> None:
    huge = b"\xff" * 7 + b"\x01"
    recipe = {
        "tokens": bytes([19 | 128, 35]) + huge + b"\0" + b"\0\1" + huge,
        "notes": bytes([19 | 128, 35]) + b"\x09" + huge,
        "level": bytes([31, 35]),
        "window": bytes([19 | 32, 35, 99]),
    }[what]
    with pytest.raises(DensezipError):
        deflate.replay(b"abc", recipe)


def test_a_recipe_without_notes_takes_two_bytes() -> None:
    for level in range(1, 10):
        assert len(check(zlib_stream(SMOOTH, level))) == 2
