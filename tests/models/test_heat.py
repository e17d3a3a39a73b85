"""Where the bits went: what is measured of the samples adds up to the file."""

from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.file.container import parse
from densezip.models.heat import Detail, heat_of
from densezip.models.photo import encode_tile, known_models, measure_bits, model_for_effort, tile
from densezip.models.photo.measure import measure_tile
from leaves import dead_leaves
from numpy.typing import NDArray
from PIL import Image
from samples import array, file_of, model_only, picture


def leaves(channels: int, depth: int) -> NDArray[Any]:
    made: NDArray[Any] = dead_leaves(40, 56, channels, 7, depth)
    return made


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_bits_of_the_samples_are_what_the_tile_takes(channels: int, depth: int) -> None:
    model, pixels = model_for_effort(1), leaves(channels, depth)
    data = encode_tile(model, pixels, depth)
    bits = measure_tile(model, data, pixels.shape, depth)
    assert bits.shape == pixels.shape
    assert bits.min() >= 0
    assert float(bits.sum(dtype=float)) == pytest.approx(measure_bits(model, pixels, depth), rel=1e-5)
    tables = sum(len(tile._values(pixels[:, :, own], depth)[0]) for _, own in tile._groups(channels))
    assert -8 <= 8 * len(data) - float(bits.sum(dtype=float)) <= 8 * (tables + 12)


@pytest.mark.parametrize("orientation", range(8))
def test_bits_lie_where_the_samples_do_in_every_orientation(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile, "_best_orientation", lambda *_: orientation)
    model = model_for_effort(9)
    pixels = np.full((24, 40, 1), 90, np.uint8)
    pixels[3:9, 25:38] = np.random.default_rng(0).integers(0, 256, (6, 13, 1))
    data = encode_tile(model, pixels, 8)
    assert data[0] >> tile.KIND_BITS == orientation
    bits = measure_tile(model, data, pixels.shape, 8)[:, :, 0]
    assert bits[3:9, 25:38].sum() > 0.8 * bits.sum()
    assert bits[3:9, 25:38].min() > 1


def test_sparse_values_and_constant_alpha_are_measured() -> None:
    model = model_for_effort(1)
    pixels = leaves(4, 16) // 4096 * 4096
    pixels[:, :, 3] = 65535
    data = encode_tile(model, pixels, 16)
    assert data[0] & 3 == tile.SPARSE
    bits = measure_tile(model, data, pixels.shape, 16)
    assert not bits[:, :, 3].any()
    assert float(bits.sum()) == pytest.approx(measure_bits(model, pixels, 16), rel=1e-5)


def test_every_model_is_measured_and_progress_is_counted_once() -> None:
    pixels = leaves(4, 8)
    for model in known_models():
        done: list[int] = []
        data = encode_tile(model, pixels, 8)
        bits = measure_tile(model, data, pixels.shape, 8, done.append)
        assert float(bits.sum()) == pytest.approx(measure_bits(model, pixels, 8), rel=1e-5)
        assert 0.99 * 40 * 56 <= sum(done) <= 40 * 56


def test_a_heat_map_of_tiles_is_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    model_only(monkeypatch)
    monkeypatch.setattr(tile, "TILE_PIXELS", 1000)
    data = densezip.compress(leaves(3, 8), effort=1)
    assert densezip.info(data).tiles > 1
    whole, channels = densezip.heatmap(data), densezip.heatmap(data, by_channel=True)
    assert whole.dtype == np.float32
    assert (whole.shape, channels.shape) == ((40, 56), (40, 56, 3))
    assert np.array_equal(whole, channels.sum(axis=2))
    assert float(whole.sum()) == pytest.approx(8 * len(data), rel=0.05)
    assert np.array_equal(whole, densezip.heatmap(data, threads=1))


def test_rows_of_few_colours_add_up() -> None:
    rng = np.random.default_rng(0)
    pixels = (rng.integers(0, 5, (90, 70)) * (np.arange(90)[:, None] > 40) * 50).astype(np.uint8)
    image = Image.fromarray(pixels)
    data = densezip.compress(image, effort=1)
    assert densezip.info(data).model == "indexed"
    heat = heat_of(parse(data))
    assert heat.detail is Detail.ROW
    assert float(heat.bits.sum()) == pytest.approx(8 * len(parse(data).tile(0)), abs=200, rel=0.01)
    assert heat.bits[:40].sum() < 0.02 * heat.bits.sum()
    assert np.ptp(heat.bits, axis=1).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_has_no_model_is_spread(kind: str) -> None:
    image = picture("RGB") if kind == "JPEG" else Image.fromarray(np.tile(array(3, height=32, width=32), (8, 8, 1)))
    data = densezip.compress(file_of(image, kind), effort=1)
    container = parse(data)
    heat = heat_of(container)
    assert heat.detail is Detail.TILE
    assert np.ptp(heat.bits) == 0
    tiles = sum(len(container.tile(number)) for number in range(container.header.tiles))
    assert float(heat.bits.sum(dtype=float)) == pytest.approx(8 * tiles, rel=1e-5)


def test_a_file_that_was_not_looked_into_has_no_heat_map() -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (1, 200)]
    data = densezip.compress(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with pytest.raises(densezip.UnsupportedImageError, match="a GIF file that was kept whole"):
        densezip.heatmap(data)


def test_a_damaged_file_is_an_error_and_a_large_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model_only(monkeypatch)
    data = bytearray(densezip.compress(array(3), effort=1))
    with pytest.raises(densezip.LimitError):
        densezip.heatmap(bytes(data), max_pixels=100)
    data[-9] ^= 1
    with pytest.raises(densezip.ChecksumError):
        densezip.heatmap(bytes(data))
