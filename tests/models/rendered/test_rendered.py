"""The coder of what programs made: decode inverts encode, on everything, and the files are small."""

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import second_rendered  # type: ignore[import-not-found]
from densezip.codec import native
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.native import LEVELS
from densezip.models.rendered import engine
from densezip.models.rendered import tile as rendered
from densezip.models.rendered.colours import best_order
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import array

Samples = npt.NDArray[Any]


def encode(samples: Samples) -> bytes:
    return rendered.encode_tile(samples, lambda _: None)


def decode(data: bytes, like: Samples) -> Samples:
    return rendered.decode_tile(data, like.shape, 8 * like.itemsize, lambda _: None)


def check(samples: Samples) -> bytes:
    data = encode(samples)
    again = decode(data, samples)
    assert again.dtype == samples.dtype
    assert np.array_equal(again, samples)
    return data


def wave(height: int, width: int, top: int) -> Samples:
    """A smooth field of 0 to `top`."""
    y, x = np.mgrid[0:height, 0:width]
    return np.asarray((np.sin(x / 17) * np.cos(y / 23) + 1) / 2 * top)


def false_colours(height: int = 90, width: int = 110) -> Samples:
    """Colours along a path through the cube, whose brightness goes up and down. [H, W, 3]"""
    t = np.linspace(0, 1, 200)
    table = np.stack([np.sin(9 * t) * 100 + 120, np.cos(7 * t) * 100 + 120, 250 * t], -1).astype(np.uint8)
    return np.asarray(table[wave(height, width, 199).round().astype(int)])


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 10),
    width=st.integers(1, 10),
    channels=st.integers(1, 4),
    deep=st.booleans(),
    values=st.sampled_from([1, 2, 3, 17, 256, 65536]),
    seed=st.integers(0, 2**32 - 1),
)
def test_decode_inverts_encode(height: int, width: int, channels: int, deep: bool, values: int, seed: int) -> None:
    kind = np.uint16 if deep else np.uint8
    check(
        np.random.default_rng(seed).integers(0, min(values, 2 ** (16 if deep else 8)), (height, width, channels), kind)
    )


@pytest.mark.parametrize("shape", [(1, 700), (700, 1), (2, 300), (300, 2), (1, 1)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_thin_pictures_come_back(shape: tuple[int, int], channels: int) -> None:
    check(array(channels, "u1", *shape))
    check(array(channels, "u2", *shape))


@pytest.mark.parametrize("extreme", [0, 65535])
def test_the_ends_of_the_range_come_back(extreme: int) -> None:
    rng = np.random.default_rng(1)
    samples = np.where(rng.random((40, 50, 3)) < 0.5, extreme, rng.integers(0, 65536, (40, 50, 3))).astype(np.uint16)
    check(samples)
    check((samples >> 8).astype(np.uint8))


def test_one_colour_takes_a_table_alone() -> None:
    for kind in (np.uint8, np.uint16):
        assert len(check(np.full((200, 300, 4), 199, kind))) < 24


def test_bytes_do_not_depend_on_how_many_rows_are_coded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = (wave(50, 60, 60000)[:, :, None] + array(3, "u1", 50, 60)).astype(np.uint16)
    data = check(samples)
    monkeypatch.setattr(rendered, "CHUNK_SAMPLES", 1)
    assert check(samples) == data


def test_false_colours_cost_about_what_the_amounts_behind_them_do() -> None:
    amounts = wave(90, 110, 199).round().astype(np.uint8)[:, :, None]
    assert len(check(false_colours())) < len(check(amounts)) + 500


def test_the_order_of_colours_is_found_again_whatever_they_were_called() -> None:
    amounts = wave(120, 130, 99).round().astype(np.uint8)
    names = np.random.default_rng(3).permutation(100).astype(np.uint8)
    order = best_order(names[amounts], np.random.default_rng(4).integers(0, 256, (100, 3)).astype(np.uint16))
    steps = np.diff(np.argsort(names)[order])
    assert (np.abs(steps) == 1).mean() > 0.9


@pytest.mark.parametrize("scale", [16, 257])
def test_a_scale_factor_of_16_bit_samples_costs_little(scale: int) -> None:
    rng = np.random.default_rng(0)
    samples = (wave(100, 100, 200) + 6 * rng.random((100, 100))).astype(np.uint16)[:, :, None]
    assert len(check(samples * np.uint16(scale))) < len(check(samples.astype(np.uint8))) + 100


def test_a_sum_of_waves_costs_less_than_its_rounding_hides() -> None:
    # 16 bits of a field that two terms foretell: what is left is near the noise of rounding, about 2 bits.
    assert 8 * len(check(wave(100, 120, 65535).astype(np.uint16)[:, :, None])) < 4.5 * 100 * 120


def test_what_stands_again_is_copied() -> None:
    stamp = array(3, "u1", 24, 24)
    once, often = len(check(stamp)), len(check(np.tile(stamp, (4, 4, 1))))
    assert often < 2.5 * once


def test_noise_costs_no_more_than_itself() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (60, 60, 1)).astype(np.uint16)
    assert len(check(samples)) < 1.05 * samples.nbytes


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"\x03" + data[1:],
        lambda data: data[:1],
        lambda data: data[:3],
        lambda data: data[:12],
        lambda data: data[: len(data) // 2],
    ],
)
def test_a_damaged_tile_is_refused_or_another_picture(damage: Any) -> None:
    rng = np.random.default_rng(0)
    listed = (rng.integers(0, 300, (64, 64, 3)) * 200).astype(np.uint16)
    for samples, kind in ((false_colours(), 1), (array(3, "u1", 64, 64), 0), (listed, 2)):
        data = encode(samples)
        assert data[0] == kind
        with contextlib.suppress(CorruptPayloadError):
            assert not np.array_equal(decode(damage(data), samples), samples)


def test_mutated_tiles_raise_nothing_but_named_errors() -> None:
    rng = np.random.default_rng(7)
    sources = [
        false_colours(20, 24),
        array(4, "u1", 12, 9),
        (array(3, "u1", 20, 20) * np.uint16(257)).astype(np.uint16),
    ]
    tiles = [(encode(samples), samples) for samples in sources]
    refused = 0
    for number in range(100):
        data, samples = tiles[number % len(tiles)]
        broken = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            broken[int(rng.integers(0, min(len(broken), 400)))] = int(rng.integers(0, 256))
        try:
            assert decode(bytes(broken), samples).shape == samples.shape
        except CorruptPayloadError:
            refused += 1
    assert refused > 2


def listed() -> Samples:
    """Few values in each channel, with gaps between them, and many colours."""
    return (np.random.default_rng(2).integers(0, 12, (17, 19, 3)) * (23, 21, 9)).astype(np.uint8)


SECOND: dict[str, Samples] = {
    "grey": (wave(13, 25, 255)[:, :, None] + array(1, "u1", 13, 25) // 8).clip(0, 255).astype(np.uint8),
    "colour": np.tile(array(3, "u1", 11, 8), (1, 3, 1)),
    "colour and alpha": array(4, "u1", 9, 10),
    "false colours": false_colours(12, 20),
    "deep": array(2, "u2", 8, 9),
    "deep, smooth": wave(20, 30, 60000)[:, :, None].astype(np.uint16),
    "listed": listed(),
    "copies": np.tile(array(1, "u1", 8, 40), (3, 1, 1)),
    "one colour": np.full((3, 4, 3), 77, np.uint8),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_second_decoder_gives_the_same_samples(name: str) -> None:
    samples = SECOND[name]
    data = encode(samples)
    assert data[0] == {"false colours": 1, "one colour": 1, "listed": 2}.get(name, data[0])
    assert np.array_equal(second_rendered.decode(data, *samples.shape, 8 * samples.itemsize), samples)


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_every_generation_of_processors_gives_the_same_bytes(level: str) -> None:
    if LEVELS[level] > native.level():
        pytest.skip("this processor is older")
    with pytest.MonkeyPatch.context() as patch:
        rows = native.function(f"dz_rendered_rows_{LEVELS[level]}", *engine.ROWS)
        patch.setattr(engine, "_code_rows", rows)
        data = [encode(samples) for samples in SECOND.values()]
    assert data == [encode(samples) for samples in SECOND.values()]
