"""Formats as coders of tiles: every mode and depth comes back, and the smallest setting is what is kept."""

from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.file.payload import PNG_SETTINGS, WEBP_SETTINGS, png_coder, webp_coder
from densezip.codec.images.modes import CHANNELS
from samples import array

KINDS = [("1", 1), ("L", 2), ("L", 4), ("P", 1), ("P", 2), ("P", 4), ("L", 8), ("P", 8), ("LA", 8), ("RGB", 8)]
KINDS += [("RGBA", 8), ("I;16", 16), ("LA;16", 16), ("RGB;16", 16), ("RGBA;16", 16)]


def tile_of(mode: str, bits: int) -> Any:
    samples = array(CHANNELS[mode], "u2" if bits == 16 else "u1", 13, 21)
    if bits >= 8:
        return samples
    few = samples % 2**bits
    return few * (255 // (2**bits - 1)) if mode == "L" else few


def no_progress(_: int) -> None:
    pass


@pytest.mark.parametrize(("mode", "bits"), KINDS)
def test_png_gives_a_tile_of_any_mode_and_depth_back(mode: str, bits: int) -> None:
    tile = tile_of(mode, bits)
    coder = png_coder(mode, bits, 13, 21)
    data = coder.encode(tile, no_progress)
    assert data[24] == bits
    found = coder.decode(data, tile.shape, no_progress)
    assert (found.dtype, found.shape) == (tile.dtype, tile.shape)
    assert np.array_equal(found, tile)
    with pytest.raises(CorruptPayloadError):
        coder.decode(data, (13, 20, tile.shape[2]), no_progress)
    with pytest.raises(CorruptPayloadError):
        coder.decode(data[:-20], tile.shape, no_progress)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_the_best_setting_is_kept(mode: str) -> None:
    tile = tile_of(mode, 8)
    pngs = [len(png_coder(mode, 8, 13, 21, [each]).encode(tile, no_progress)) for each in PNG_SETTINGS]
    assert len(png_coder(mode, 8, 13, 21).encode(tile, no_progress)) == min(pngs)
    webps = [len(webp_coder(13, 21, [each]).encode(tile, no_progress)) for each in WEBP_SETTINGS]
    assert len(webp_coder(13, 21).encode(tile, no_progress)) == min(webps)


def test_webp_is_cut_into_tiles_where_it_would_take_much_memory() -> None:
    for height, width in ((16000, 16000), (2**16, 2**10), (3, 2**20), (2**20, 3), (2**11, 2**12 + 1)):
        coder = webp_coder(height, width)
        assert coder.tile_height * coder.tile_width <= 2**22
        assert max(coder.tile_height, coder.tile_width) <= 16383
    whole = webp_coder(2**11, 2**12)
    assert (whole.tile_height, whole.tile_width) == (2**11, 2**12)


@pytest.mark.parametrize("shape", [(17000, 1, 3), (17000, 4, 1), (1, 1, 3), (1, 1, 4)])
def test_columns_of_noise_are_coded_whatever_their_height(shape: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = densezip.compress(samples, effort=1)
    found = densezip.decompress(data)
    assert np.array_equal(np.asarray(found), samples)
