"""What is made of photographs for the training carries the traces that its history leaves, at every phase."""

from typing import Any

import numpy as np
import pytest
from densezip.models.photo.histories import (
    LUMA,
    halved,
    subsampled,
    through_jpeg,
    through_sensor,
    with_history,
)
from leaves import dead_leaves
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def scene(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture with some noise, [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 5 + c / 3) * np.cos(y / (6 + c / 3)) for c in range(3)], 2)
    noise = np.random.default_rng(4).normal(0, 2, waves.shape)
    return np.clip(np.rint(125 + 70 * waves + noise), 0, 255).astype(np.uint8)


def chroma(pixels: NDArray[Any], matrix: str) -> Floats:
    """Blue minus luma, [H, W]."""
    image = pixels.astype(np.float64)
    result: Floats = image[:, :, 2] - image @ np.array(LUMA[matrix])
    return result


def test_halving_takes_means_and_rounds_them() -> None:
    pixels = np.array([[[0], [1], [9]], [[1], [0], [9]], [[7], [7], [7]]], np.uint8)
    np.testing.assert_array_equal(halved(pixels), [[[1]]])  # of 0, 1, 1, 0: 0.5
    assert halved(dead_leaves(11, 8, 3, 1)).shape == (5, 4, 3)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("matrix", list(LUMA))
def test_nearest_chroma_is_the_same_in_each_block(matrix: str, rows: bool) -> None:
    pixels = subsampled(scene(31, 33), matrix=matrix, limited=False, rows=rows, upsampling="nearest", scale=1.0)
    found = chroma(pixels, matrix)
    assert np.abs(found[:, 0:32:2] - found[:, 1:32:2]).max() < 1.5  # of rounding
    down = np.abs(found[0:30:2] - found[1:30:2])
    assert down.max() < 1.5 if rows else down.mean() > 1.5


@pytest.mark.parametrize("upsampling", ["linear", "centred"])
def test_linear_chroma_is_true_on_a_slope(upsampling: str) -> None:
    slope = np.arange(40.0)[None, :, None] * np.array([2.0, 1.0, 4.0]) + np.zeros((12, 1, 1))
    pixels = np.rint(slope).astype(np.uint8)
    found = subsampled(pixels, matrix="BT.601", limited=False, rows=True, upsampling=upsampling, scale=1.0)
    assert np.abs(found.astype(int) - pixels)[:, 4:-4].max() <= 2


@pytest.mark.parametrize("limited", [False, True])
def test_a_coarse_scale_leaves_fewer_greys(limited: bool) -> None:
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    counts = [
        len(
            np.unique(subsampled(greys, matrix="BT.709", limited=limited, rows=False, upsampling="linear", scale=scale))
        )
        for scale in (1.0, 1.36)
    ]
    full = 220 if limited else 256
    assert counts[0] == full
    assert abs(counts[1] - full / 1.36) <= 2


def test_jpeg_of_lower_quality_changes_more() -> None:
    pixels = scene(64, 64)
    changes = [np.abs(through_jpeg(pixels, quality, "4:2:0").astype(int) - pixels).mean() for quality in (50, 95)]
    assert 0 < changes[1] < changes[0]


@pytest.mark.parametrize("corrected", [False, True])
def test_a_sensor_measures_one_colour_at_each_pixel_and_interpolates_the_others(corrected: bool) -> None:
    flat = np.full((12, 14, 3), [40, 120, 200], np.uint8)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(through_sensor(flat, rng, corrected=corrected, noise=0), flat)
    noisy = through_sensor(flat, rng, corrected=corrected, noise=1e-3).astype(float) - flat
    measured, between = noisy[0::2, 1::2, 1].std(), noisy[0::2, 0::2, 1].std()
    assert between < 0.9 * measured  # a mean of four has less noise


def test_the_corrected_interpolation_is_closer_to_the_scene() -> None:
    pixels = scene(60, 60)
    errors = [
        np.abs(through_sensor(pixels, np.random.default_rng(0), corrected=corrected, noise=0).astype(int) - pixels)[
            4:-4, 4:-4
        ].mean()
        for corrected in (False, True)
    ]
    assert errors[1] < errors[0] < 6


def test_a_history_is_drawn_from_the_seed_and_cut_at_any_phase() -> None:
    pixels = scene(80, 96)
    made = [with_history(pixels, np.random.default_rng(seed)) for seed in range(40)]
    again = with_history(pixels, np.random.default_rng(7))
    np.testing.assert_array_equal(made[7], again)
    assert {image.shape[0] for image in made} == set(range(33, 41))
    assert {image.shape[1] for image in made} == set(range(41, 49))
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in made)
    smooth = halved(pixels)
    places = [(top, left) for top in range(8) for left in range(8)]
    clean = sum(any(np.array_equal(smooth[top:, left:], image) for top, left in places) for image in made)
    assert 2 <= clean < 20  # some have no history
