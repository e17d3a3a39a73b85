"""The last stage: bits of a sample, mixed from the network's distribution and counters of the image's own values."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from densezip.models.photo import known_models, tile
from densezip.models.photo.adaptive import MOST_LINES, counter_lines
from densezip.models.photo.engine import SAMPLE_BYTES, Session, new_alphabet
from densezip.models.photo.tile import _weights, decode_tile, encode_tile
from densezip.models.photo.weights import PhotoWeights
from leaves import dead_leaves
from numpy.typing import NDArray

Array = NDArray[Any]
FAST = known_models()[0]


def _session(weights: PhotoWeights, values: list[Array], shape: tuple[int, ...]) -> Session:
    alphabet = new_alphabet([v.astype(np.int64) for v in values])
    return Session(weights.spec, weights.shape, weights, alphabet, shape[1], 8, shape[0])


def _bits(weights: PhotoWeights, symbols: Array, values: list[Array] | None = None) -> Array:
    """The bits that each sample takes, [H, W, C]."""
    session = _session(weights, values or [np.arange(256)] * symbols.shape[2], symbols.shape)
    probability = np.zeros(symbols.size)
    data = np.zeros(symbols.size * SAMPLE_BYTES + 9, np.uint8)
    session.encode(np.ascontiguousarray(symbols, np.uint16), 0, symbols.shape[0], data, probability)
    return -np.log2(probability).reshape(symbols.shape)


def _without(weights: PhotoWeights) -> PhotoWeights:
    """The same model without the last stage."""
    return weights._replace(spec=replace(weights.spec, histories=0))


def _from_ycc(height: int, width: int) -> Array:
    """A picture as it comes from luma and chroma of 8 bits, with chroma at half resolution; green, red, blue."""
    rgb = dead_leaves(height, width, 3, 8).astype(float)
    luma = rgb @ [0.299, 0.587, 0.114]
    stored = np.round(luma / 1.36) * 1.36
    chroma = [np.round((rgb[::2, ::2, c] - luma[::2, ::2]) / 2).repeat(2, 0).repeat(2, 1) * 2 for c in (0, 2)]
    red, blue = (stored + c for c in chroma)
    green = (stored - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.round(np.stack([green, red, blue], 2)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("group", ["grey", "colour"])
@pytest.mark.parametrize("last", [0, 2])
def test_the_probabilities_of_all_values_sum_to_one(group: str, last: int) -> None:
    weights = _weights("photo-5", group)
    picture = dead_leaves(5, 9, weights.shape.channels, 2)
    channel = min(last, weights.shape.channels - 1)
    values = [np.arange(256), np.arange(0, 256, 3), np.array([7, 200, 201])]
    picture[:, :, channel] //= 100  # symbols of any alphabet below
    for own in values:
        total, alphabets = 0.0, [np.arange(256)] * weights.shape.channels
        alphabets[channel] = own
        for symbol in range(own.size):
            picture[-1, -1, channel] = symbol
            bits = _bits(weights, picture, alphabets)[-1, -1, channel]
            assert 0 < bits < 8 * 28
            total += 2.0**-bits
        assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.name)
def test_colours_that_a_conversion_left_out_are_learnt(model: Any) -> None:
    picture = _from_ycc(96, 128)
    weights = _weights(model.name, "colour")
    before, after = (_bits(w, picture).sum() for w in (_without(weights), weights))
    assert after < 0.92 * before


def test_a_picture_without_a_history_loses_little() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (80, 90, 3)).astype(np.uint8)
    weights = _weights("photo-1", "colour")
    before, after = (_bits(w, picture).sum() for w in (_without(weights), weights))
    assert after < 1.015 * before


def test_a_surprise_after_much_of_the_same_is_coded() -> None:
    for value in (0, 127, 128, 255):
        picture = np.full((70, 64, 3), value, np.uint8)
        picture[60, 30] = 255 - value, value ^ 128, value ^ 1
        picture[69, 63] = (255 - value, 77, value ^ 64)
        data = encode_tile(FAST, picture, 8)
        assert len(data) < 400
        np.testing.assert_array_equal(decode_tile(FAST, data, picture.shape, 8), picture)


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (2, 150), (129, 3)])
def test_pixels_without_a_neighbour_decode(size: tuple[int, int]) -> None:
    pixels = _from_ycc(300, 300)[: size[0], : size[1]]
    for depth, samples in ((8, pixels), (16, pixels.astype(np.uint16))):
        data = encode_tile(FAST, samples, depth)
        np.testing.assert_array_equal(decode_tile(FAST, data, samples.shape, depth), samples)


def test_values_that_a_curve_left_out_are_never_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = (np.round((dead_leaves(64, 60, 3, 4) / 255.0) ** 0.5 * 120) * 2).astype(np.uint8)
    data = encode_tile(FAST, pixels, 8)
    assert data[0] & 3 == tile.SPARSE
    np.testing.assert_array_equal(decode_tile(FAST, data, pixels.shape, 8), pixels)
    monkeypatch.setattr(tile, "_values", lambda samples, depth: (b"", [np.arange(256)] * 3))
    assert len(data) < len(encode_tile(FAST, pixels, 8))


def test_cells_stay_inside_the_tables() -> None:
    weights = _weights("photo-9", "colour")
    picture = dead_leaves(40, 50, 3, 3)
    session = _session(weights, [np.arange(256)] * 3, picture.shape)
    data = np.zeros(picture.size * SAMPLE_BYTES + 9, np.uint8)
    session.encode(picture.astype(np.uint16), 0, 40, data)
    cells = session.arrays["cell"]
    assert cells.min() >= 0
    assert cells.max() < session.arrays["counter"].size
    used = session.arrays["counter"].reshape(weights.spec.histories, -1)
    assert ((used != 0).sum(1) > 100).all()


@pytest.mark.parametrize("pixels", [1, 2, 127, 128, 129, 200_704, 2**20])
def test_there_is_a_line_of_counters_for_two_pixels(pixels: int) -> None:
    lines = counter_lines(pixels)
    assert lines & (lines - 1) == 0
    assert lines >= min(pixels / 2, MOST_LINES)
    assert lines == 64 or lines / 2 < pixels / 2


def test_no_entry_of_a_table_is_near_to_a_tie() -> None:
    tables = _session(_weights("photo-1", "grey"), [np.arange(256)], (1, 1)).arrays
    with localcontext() as context:
        context.prec = 30
        exact = {
            "stretch": [(Decimal(2 * (i ^ 128) + 1) / Decimal(511 - 2 * (i ^ 128))).ln() * 4096 for i in range(256)],
            "squash": [2**16 / (1 + (12 - (i + Decimal("0.5")) / 32).exp()) for i in range(768)],
        }
    exact["squash"] = [min(max(x, Decimal(1)), Decimal(2**16 - 1)) for x in exact["squash"]]
    for name, scale in (("stretch", 2**12), ("squash", 1)):
        found = tables[name].astype(float) * scale
        off = np.array([abs(float(x - int(y))) for x, y in zip(exact[name], found, strict=True)])
        assert (found == np.round(found)).all()
        assert off.max() < 0.5 - 6e-5
