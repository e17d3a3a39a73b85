"""Enlargements: what repeats is left out and comes back."""

from dataclasses import replace
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.file.container import parse, serialise
from densezip.codec.file.enlarged import NAME, shrink
from PIL import Image
from samples import array, model_only, picture

Pixels = npt.NDArray[Any]


def enlarged(pixels: Pixels, rows: float, columns: float) -> Pixels:
    y, x = (np.arange(int(side * f)) / f for side, f in zip(pixels.shape[:2], (rows, columns), strict=True))
    return np.ascontiguousarray(pixels[y.astype(int)][:, x.astype(int)])


@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (1, 4), (5, 1), (1.5, 1.5), (2.5, 1.7), (300, 1)])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_an_enlargement_costs_little_more_than_what_was_enlarged(factors: tuple[float, float], kind: str) -> None:
    small = array(3, kind, 24, 30)
    large = enlarged(small, *factors)
    data = densezip.compress(large, effort=1)
    assert np.array_equal(np.asarray(densezip.decompress(data)), large)
    assert densezip.info(data).model == NAME
    assert len(data) < len(densezip.compress(small, effort=1)) + 64


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_enlarged_images_of_every_mode_come_back(mode: str) -> None:
    small = picture(mode)
    large = small.resize((3 * small.width, 2 * small.height), Image.Resampling.NEAREST)
    again = densezip.decompress(densezip.compress(large, effort=1))
    assert isinstance(again, Image.Image)
    assert again.mode == large.mode
    assert np.array_equal(np.asarray(again), np.asarray(large))


def test_the_last_row_and_column_may_stand_less_often() -> None:
    large = enlarged(array(1, "u1", 20, 20), 3, 3)[:59, :58]
    data = densezip.compress(large, effort=1)
    assert parse(data).header.model == NAME
    assert bytes(parse(data).tile(0))[:2] == b"\x03\x03"
    assert np.array_equal(np.asarray(densezip.decompress(data)), large)


def test_a_picture_without_repeats_is_left_as_it_is() -> None:
    assert shrink(array(3)) is None
    assert shrink(array(1, "u2", 1, 9)) is None
    assert shrink(array(1, "u1", 1, 1)) is None


def test_only_rows_that_are_alike_everywhere_are_left_out() -> None:
    pixels = np.repeat(array(1, "u1", 30, 100), 2, axis=0)
    pixels[31, 97] ^= 1
    shrunk = shrink(pixels)
    assert shrunk is not None
    assert shrunk.pixels.shape == (31, 100, 1)
    assert np.array_equal(np.flatnonzero(shrunk.rows), [*range(0, 31, 2), 31, *range(32, 60, 2)])


def damaged(change: Any) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        model_only(patch)
        data = densezip.compress(enlarged(array(3, "u1", 20, 20), 2, 1.5), effort=1)
    container = parse(data)
    assert container.header.model == NAME
    return serialise(container.header, [change(bytes(container.tile(0)))])


@pytest.mark.parametrize(
    "change",
    [
        lambda tile: b"",
        lambda tile: tile[:5],
        lambda tile: tile + b"\0",
        lambda tile: b"\0" + tile[1:],
        lambda tile: b"\xff" + tile[1:],
        lambda tile: tile[:2] + b"\x07" + tile[3:],
        lambda tile: tile.replace(b"photo-1", b"photo-\0"),
        lambda tile: tile.replace(b"\x07photo-1", b"\x08enlarged"),
    ],
)
def test_a_damaged_tile_is_named(change: Any) -> None:
    with pytest.raises(CorruptPayloadError):
        densezip.decompress(damaged(change))


def test_an_enlarged_picture_has_one_tile() -> None:
    container = parse(densezip.compress(enlarged(array(3, "u1", 20, 20), 2, 2), effort=1))
    header = replace(container.header, tile_height=20)
    tile = bytes(container.tile(0))
    with pytest.raises(CorruptPayloadError):
        densezip.decompress(serialise(header, [tile, tile]))
