"""The model of images of few colours: decode inverts encode, and the file is small."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import second_indexed  # type: ignore[import-not-found]
from densezip.codec.errors import CorruptPayloadError
from densezip.models import indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from samples import array, file_of


def encode(tile: npt.NDArray[Any]) -> bytes:
    return indexed.encode_tile(tile, lambda _: None)


def decode(data: bytes, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    return indexed.decode_tile(data, shape, lambda _: None)


def screen(colours: int = 12) -> npt.NDArray[np.uint8]:
    """Boxes with text, [H, W, 3]."""
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (colours, 3))
    image = Image.new("RGB", (240, 160), (240, 240, 240))
    draw = ImageDraw.Draw(image)
    for number in range(40):
        left, top = rng.integers(0, (200, 140)).tolist()
        draw.rectangle([left, top, left + 60, top + 14], fill=tuple(int(value) for value in table[number % colours]))
        draw.text((left + 3, top + 2), "densezip", fill=(0, 0, 0))
    # The font is smoothed: as many colours as asked for.
    return np.asarray(image.quantize(colours, dither=Image.Dither.NONE).convert("RGB"))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.integers(1, 4),
    colours=st.integers(1, 256),
    seed=st.integers(0, 2**32 - 1),
)
def test_decode_inverts_encode(height: int, width: int, channels: int, colours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 256, (colours, channels), dtype=np.uint8)
    tile = table[rng.integers(0, colours, (height, width))]
    assert np.array_equal(decode(encode(tile), tile.shape), tile)


@pytest.mark.parametrize("tile", [screen(), screen(200), array(1), np.tile(array(3, height=9, width=9), (9, 8, 1))])
def test_larger_tiles_come_back(tile: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(tile)
    assert np.array_equal(decode(data, tile.shape), tile)
    # Neither way depends on how many rows are coded at once.
    monkeypatch.setattr(indexed, "BLOCK_PIXELS", 1)
    assert encode(tile) == data
    assert np.array_equal(decode(data, tile.shape), tile)


@pytest.mark.parametrize("colours", [2, 16, 200])
def test_a_screenshot_is_smaller_than_webp(colours: int) -> None:
    tile = screen(colours)
    webp = file_of(Image.fromarray(tile), "WEBP", lossless=True, method=6, quality=100)
    assert len(encode(tile)) < 0.85 * len(webp)


def test_one_colour_takes_no_coding() -> None:
    tile = np.full((50, 60, 3), 7, np.uint8)
    assert len(encode(tile)) == 5
    assert np.array_equal(decode(encode(tile), tile.shape), tile)


def test_noise_costs_its_entropy() -> None:
    tile = np.random.default_rng(0).integers(0, 2, (200, 200, 1), dtype=np.uint8)
    assert 5000 <= len(encode(tile)) <= 1.03 * 5000


def test_progress_adds_up_to_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "BLOCK_PIXELS", 500)
    heard: list[int] = []
    indexed.encode_tile(screen(), heard.append)
    assert sum(heard) == 160 * 240
    assert len(heard) == 80


def test_probabilities_are_symmetric_and_rise() -> None:
    assert (np.diff(indexed.SQUASH) >= 0).all()
    assert (indexed.SQUASH[2049:] + indexed.SQUASH[2047:0:-1] == 65536).all()
    assert (np.abs(indexed.SQUASH[indexed.STRETCH + 2048] - np.arange(4096) * 16 - 8)[64:-64] < 200).all()


@pytest.mark.parametrize("colours", [2, 5, 200])
def test_a_second_decoder_reads_the_first_ones_tiles(colours: int) -> None:
    """It is written from the description of the format, in plain Python."""
    values = screen(colours)[20:52, 30:90].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    indices = np.unique(values, return_inverse=True)[1].reshape(32, 60, 1).astype(np.uint8)
    assert indices.max() >= 1
    data = encode(indices)
    assert data[1] == 0
    assert np.array_equal(second_indexed.decode(data, 32, 60), indices[..., 0])


@pytest.mark.parametrize(
    "data",
    [b"", b"\5", b"\5\0", b"\5\3abc", b"\5\1abc", b"\5\2\xff\xffabc", b"\5\2\3\0abc", b"\xff\1" + bytes(9)],
)
def test_an_impossible_table_of_colours_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptPayloadError):
        decode(data, (4, 4, 3))


def test_a_colour_beyond_the_table_is_corrupt() -> None:
    data = encode(np.arange(200, dtype=np.uint8).reshape(10, 20, 1))
    with pytest.raises(CorruptPayloadError, match="in a tile of 129 colours"):
        decode(bytes([128]) + data[1:], (10, 20, 1))
