"""Tiles to bytes and back: any size, any number of channels, any depth, any damage."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.file.container import boxes
from densezip.models.photo import (
    decode_tile,
    encode_tile,
    known_models,
    measure_bits,
    model_for_effort,
    tile,
    tile_shape,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import dead_leaves, gradient
from numpy.typing import NDArray

FAST = model_for_effort(1)
BEST = model_for_effort(9)


def _noise(height: int, width: int, channels: int, depth: int) -> NDArray[Any]:
    noise = np.random.default_rng(height * width).integers(0, 1 << depth, (height, width, channels))
    return noise.astype(np.uint8 if depth == 8 else np.uint16)


PICTURES = {
    "leaves": lambda h, w, c, depth: dead_leaves(h, w, c, 7, depth),
    "ramp": gradient,
    "noise": _noise,
    "constant": lambda h, w, c, depth: np.full_like(_noise(h, w, c, depth), 200),
    "black and white": lambda h, w, c, depth: (_noise(h, w, c, depth) & 1) * np.iinfo(_noise(1, 1, 1, depth).dtype).max,
    "few values": lambda h, w, c, depth: _noise(h, w, c, depth) // 40 * 40,
    "constant but for one": lambda h, w, c, depth: (
        np.eye(h, w, dtype=np.uint8 if depth == 8 else np.uint16)[:, :, None] * np.ones(c, np.uint8)
    ),
}

sizes = st.one_of(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.just(1), st.integers(1, 90)),
    st.tuples(st.integers(1, 90), st.just(1)),
)


@given(st.sampled_from(sorted(PICTURES)), sizes, st.integers(1, 4), st.sampled_from([8, 16]))
@settings(max_examples=80, deadline=None)
def test_decoding_inverts_encoding(kind: str, size: tuple[int, int], channels: int, depth: int) -> None:
    pixels = PICTURES[kind](*size, channels, depth)
    parts: list[int] = []
    data = encode_tile(FAST, pixels, depth, parts.append)
    assert sum(parts) == size[0] * size[1]
    parts.clear()
    decoded = decode_tile(FAST, data, pixels.shape, depth, parts.append)
    assert sum(parts) == size[0] * size[1]
    assert decoded.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.name)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_model_decodes_what_it_encodes_in_the_bits_it_says(model: Any, channels: int) -> None:
    pixels = dead_leaves(41, 53, channels, 3)
    data = encode_tile(model, pixels, 8)
    np.testing.assert_array_equal(decode_tile(model, data, pixels.shape, 8), pixels)
    bits = measure_bits(model, pixels, 8)
    lists = 8 * 40 * channels  # at most that much for the lists of used values
    assert bits * 0.999 <= 8 * len(data) <= bits * 1.001 + lists + 200
    raw = 8 * pixels.size
    assert bits < 0.95 * raw


def test_constant_planes_cost_a_few_bytes() -> None:
    pixels = dead_leaves(30, 40, 4, 1)
    opaque = pixels.copy()
    opaque[:, :, 3] = 255
    assert len(encode_tile(FAST, opaque, 8)) == len(encode_tile(FAST, opaque[:, :, :3], 8)) + 4
    assert len(encode_tile(FAST, np.full((99, 99, 4), 9, np.uint16), 16)) == 10


def test_samples_of_few_values_use_only_those() -> None:
    pixels = dead_leaves(60, 60, 1, 2) // 32 * 36
    sparse = encode_tile(FAST, pixels, 8)
    assert sparse[0] == tile.SPARSE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile, "_values", lambda samples, depth: (b"", [np.arange(256)]))
        full = encode_tile(FAST, pixels, 8)
    assert len(sparse) < 0.9 * len(full)
    np.testing.assert_array_equal(decode_tile(FAST, sparse, pixels.shape, 8), pixels)


def _decodes_or_refuses(data: bytes, shape: tuple[int, int, int], depth: int) -> None:
    try:
        pixels = decode_tile(FAST, data, shape, depth)
    except CorruptPayloadError:
        return
    assert pixels.shape == shape


@given(st.binary(max_size=200), st.integers(1, 4), st.sampled_from([8, 16]), sizes)
@settings(max_examples=100, deadline=None)
def test_any_bytes_decode_or_are_refused(data: bytes, channels: int, depth: int, size: tuple[int, int]) -> None:
    for kind in (b"", b"\x00", b"\x01", b"\x02\x09"):
        _decodes_or_refuses(kind + data, (*size, channels), depth)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_truncation_decodes_or_is_refused(channels: int) -> None:
    pixels = dead_leaves(9, 11, channels, 4) // 32 * 36
    data = encode_tile(FAST, pixels, 8)
    for length in range(len(data)):
        _decodes_or_refuses(data[:length], pixels.shape, 8)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_flipped_bit_decodes_or_is_refused(draw: st.DataObject) -> None:
    pixels = dead_leaves(9, 11, 4, 4) // 32 * 36
    data = bytearray(encode_tile(FAST, pixels, 8))
    data[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    _decodes_or_refuses(bytes(data), pixels.shape, 8)


def test_a_decoder_stops_soon_after_the_data() -> None:
    # Two bytes for 4096 x 4096 pixels: minutes of work if all of them were decoded before a look at the data's end.
    done: list[int] = []
    with pytest.raises(CorruptPayloadError, match="past the end"):
        decode_tile(FAST, b"\x01\x80", (4096, 4096, 1), 8, done.append)
    assert sum(done) < 4096 * 4096 / 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x03", "the byte 3"),
        (b"\x00\x07\x07", "after the end"),
        (b"\x02\x80\x00", "longer than it needs"),
        (b"\x02" + b"\xff" * 12, "longer than it needs"),
        (b"\x02\x05abc", "ends after 5 bytes"),
        (b"\x02\x03abc", "damaged"),
        (b"\x02\x08" + bytes.fromhex("789c030000000001"), "just 32 bytes"),
        (b"\x02\x0c" + bytes.fromhex("789c63608000000020000100"), "damaged|just 32 bytes"),
    ],
)
def test_malformed_tiles_are_named(data: bytes, message: str) -> None:
    with pytest.raises(CorruptPayloadError) as caught:
        decode_tile(FAST, data, (1, 1, 1), 8)
    assert re.search(message, str(caught.value))


def test_a_list_of_no_values_is_refused() -> None:
    empty = zlib.compress(bytes(32))
    for extra, message in ((b"", "without any value"), (b"x", "just 32 bytes")):
        listed = empty + extra
        with pytest.raises(CorruptPayloadError, match=message):
            decode_tile(FAST, bytes([2, len(listed)]) + listed, (1, 1, 1), 8)
    with pytest.raises(CorruptPayloadError, match="just 32 bytes"):
        decode_tile(FAST, bytes([2, len(empty) - 1]) + empty[:-1], (1, 1, 1), 8)


@pytest.mark.parametrize("orientation", range(tile.ORIENTATIONS))
@pytest.mark.parametrize("channels", [1, 4])
def test_every_orientation_decodes(orientation: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile, "_best_orientation", lambda *_: orientation)
    pixels = dead_leaves(9, 14, channels, 6)
    data = encode_tile(BEST, pixels, 8)
    assert data[0] >> tile.KIND_BITS == orientation
    np.testing.assert_array_equal(decode_tile(BEST, data, pixels.shape, 8), pixels)
    corner = tile._turn(pixels, orientation)[0, 0]
    y, x = (-1 if orientation & 2 else 0), (-1 if orientation & 1 else 0)
    np.testing.assert_array_equal(corner, pixels[y, x])


def test_an_image_costs_the_same_however_it_lies() -> None:
    """Shadows that fall to one side: from some corners they come as a surprise."""
    pixels = dead_leaves(60, 90, 3, 8)
    pixels = np.ascontiguousarray(np.maximum(pixels, np.roll(pixels, 1, 1) // 8 * 7))
    sizes = [len(encode_tile(BEST, np.ascontiguousarray(tile._turn(pixels, o)), 8)) for o in range(tile.ORIENTATIONS)]
    assert max(sizes) == min(sizes)


def test_tiles_too_high_to_be_turned_are_not() -> None:
    pixels = np.tile(dead_leaves(50, 2, 1, 3), (tile.WIDEST // 50 + 1, 1, 1))
    assert tile._best_orientation("grey", pixels, 8) < 4
    turned = bytes([tile.FULL | 4 << tile.KIND_BITS, 0])
    with pytest.raises(CorruptPayloadError, match="turned to 32800 columns"):
        decode_tile(FAST, turned, (32800, 1, 1), 8)


@pytest.mark.parametrize("first", [3, 4, 32 + 1, 128])
def test_impossible_first_bytes_are_refused(first: int) -> None:
    with pytest.raises(CorruptPayloadError, match=f"the byte {first}"):
        decode_tile(FAST, bytes([first]) + bytes(20), (2, 2, 1), 8)


@given(st.integers(1, 2**20), st.integers(1, 2**20))
def test_tiles_cover_the_image(height: int, width: int) -> None:
    tile_height, tile_width = tile_shape(FAST, height, width)
    assert 1 <= tile_height <= height
    assert 1 <= tile_width <= min(width, tile.WIDEST)
    assert tile_height * tile_width <= 2 * tile.TILE_PIXELS
    if height * width < 2**28:
        parts = boxes(height, width, tile_height, tile_width)
        assert sum((bottom - top) * (right - left) for top, left, bottom, right in parts) == height * width


def test_wider_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="32769 columns"):
        encode_tile(FAST, np.zeros((1, tile.WIDEST + 1, 1), np.uint8), 8)
    with pytest.raises(CorruptPayloadError, match="32769 columns"):
        decode_tile(FAST, b"\0\0", (1, tile.WIDEST + 1, 1), 8)
