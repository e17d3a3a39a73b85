"""The exact decoder makes what Pillow's libjpeg-turbo makes; each searching stage inverts one of its stages."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from densezip.codec.images.history.colours import lacks, luma_range, on_lattice
from densezip.codec.images.history.decoder import Canvas, samples_of, to_rgb, upsample
from densezip.codec.images.history.search import Planes, coarsen, descend, mend, round_off, shift
from densezip.codec.images.history.steps import ZIGZAG, find_steps
from densezip.codec.images.jpeg.apart import take_apart
from densezip.codec.images.jpeg.habits import standard_steps
from jpegs import jpeg
from PIL import Image

SAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}


def in_rows(table: Any) -> Any:
    steps = np.zeros(64, np.int32)
    steps[ZIGZAG] = list(table)
    return steps


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("quality", [3, 75, 100])
@pytest.mark.parametrize("size", [(45, 61), (16, 5), (1, 1), (64, 64)])
def test_colour_is_decoded_as_libjpeg_turbo_does(sampling: str, quality: int, size: tuple[int, int]) -> None:
    data = jpeg("RGB", *size, quality=quality, subsampling=sampling)
    outline, planes = take_apart(data, 2**20)
    frame = outline.images[0].frame
    parts = [
        samples_of(plane, in_rows(steps))[0][:, : 8 * plane.shape[1]]
        for plane, steps in zip(planes[0], frame.steps, strict=True)
    ]
    canvas = Canvas(*size, 0, 0, *SAMPLINGS[sampling])
    luma = np.ascontiguousarray(parts[0][: size[0], : size[1]])
    found = to_rgb(luma, upsample(parts[1], canvas), upsample(parts[2], canvas))
    assert np.array_equal(found, np.asarray(Image.open(BytesIO(data))))


def test_grey_is_decoded_as_libjpeg_turbo_does() -> None:
    data = jpeg("L", 45, 61, quality=60)
    outline, planes = take_apart(data, 2**20)
    samples, fraction = samples_of(planes[0][0], in_rows(outline.images[0].frame.steps[0]))
    assert np.array_equal(samples[:45, :61], np.asarray(Image.open(BytesIO(data))))
    assert fraction.max() < 16


def test_huge_coefficients_are_kept_within_bounds() -> None:
    plane = np.full((1, 1, 64), -2047, np.int16)
    plane[0, 0, ::2] = 2047
    samples, _ = samples_of(plane, np.full(64, 255, np.int32))
    assert samples.shape == (8, 8)


def test_colours_of_the_lattice_are_found_again() -> None:
    rng = np.random.default_rng(1)
    luma, blue, red = (rng.integers(low, 256 - low, (40, 50)).astype(np.uint8) for low in (60, 100, 100))
    rgb = to_rgb(luma, blue, red)
    found = on_lattice(rgb)
    inside = ((rgb > 0) & (rgb < 255)).all(2)
    assert inside.mean() > 0.9
    assert (found[3][inside] == 1).all()
    for plane, wanted in zip(found, (luma, blue, red), strict=False):
        assert np.array_equal(plane[inside], wanted[inside])


def test_a_quarter_of_random_colours_is_on_the_lattice() -> None:
    rgb = np.random.default_rng(2).integers(1, 255, (200, 200, 3)).astype(np.uint8)
    assert 0.7 < (on_lattice(rgb)[3] == 2).mean() < 0.83


def test_every_luma_of_a_range_gives_the_pixel_and_no_other_does() -> None:
    rng = np.random.default_rng(3)
    blue, red = (rng.integers(0, 256, (20, 20)).astype(np.uint8) for _ in range(2))
    rgb = to_rgb(rng.integers(0, 256, (20, 20)).astype(np.uint8), blue, red)
    low, high = luma_range(rgb, blue, red)
    for value in range(256):
        same = (to_rgb(np.full_like(blue, value), blue, red) == rgb).all(2)
        assert np.array_equal(same, (low <= value) & (value <= high))


@pytest.mark.parametrize("sampling", ["4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(41, 53), (40, 64)])
def test_coarse_chroma_is_found_again(sampling: str, size: tuple[int, int]) -> None:
    canvas = Canvas(*size, 0, 0, *SAMPLINGS[sampling])
    rows, columns = canvas.coarse()
    y, x = np.mgrid[:rows, :columns]
    coarse = (128 + 60 * np.sin(x / 3) + 50 * np.cos(y / 4)).astype(np.uint8)
    fine = upsample(coarse, canvas)
    found = coarsen(fine, np.ones_like(fine), canvas)
    assert (upsample(found, canvas) == fine).mean() > 0.97


@pytest.mark.parametrize("chroma", [False, True])
@pytest.mark.parametrize("quality", [50, 83, 92])
def test_steps_are_found_from_rounded_samples(quality: int, chroma: bool) -> None:
    rng = np.random.default_rng(quality)
    steps = in_rows(standard_steps(quality, chroma=chroma))
    plane = np.rint(rng.laplace(0, 12, (20, 20, 64)) * 8 / (1 + np.arange(64)) / steps).astype(np.int16)
    samples, _ = samples_of(plane, steps)
    found = find_steps([Planes(samples, samples)], chroma=chroma)
    assert found is not None
    assert np.array_equal(found, steps)


def test_of_too_few_blocks_no_steps_are_found() -> None:
    samples = np.full((24, 40), 9, np.uint8)
    assert find_steps([Planes(samples, samples)], chroma=False) is None


def drawn(steps: Any, seed: int) -> tuple[Any, Any]:
    """Coefficients of 5 x 10 blocks, and their samples, none of which reaches an end."""
    plane = np.rint(np.random.default_rng(seed).laplace(0, 2, (5, 10, 64))).astype(np.int16)
    samples, _ = samples_of(plane, steps)
    assert samples.min() > 0
    assert samples.max() < 255
    return plane.reshape(-1, 64), samples


def test_coefficients_are_found_by_rounding_samples_of_coarse_steps() -> None:
    steps = np.full(64, 8, np.int32)
    true, samples = drawn(steps, 6)
    planes = Planes(samples, samples)
    round_off(planes, samples, steps)
    assert np.array_equal(planes.blocks, true)
    assert (planes.out < 0.1).all()


def test_what_is_open_is_rounded_to_what_fits() -> None:
    steps = np.full(64, 8, np.int32)
    true, samples = drawn(steps, 7)
    least, most = samples.copy(), samples.copy()
    least[3::8, 2::8], most[3::8, 2::8] = 0, 255
    guess = samples.copy()
    guess[3::8, 2::8] += 9
    planes = Planes(least, most)
    round_off(planes, guess, steps)
    assert (planes.blocks == true).all(1).mean() > 0.8


def test_a_shift_is_rounded_to_coefficients() -> None:
    steps = np.full(64, 8, np.int32)
    true, samples = drawn(steps, 8)
    planes = Planes(np.zeros_like(samples), np.full_like(samples, 255))
    round_off(planes, samples, steps)
    change = np.zeros(samples.shape, np.float32)
    change[:8, :8] = 16
    shift(planes, change, steps)
    true[0, 0] += 16
    assert np.array_equal(planes.blocks, true)


def test_mending_finds_coefficients_that_give_the_samples() -> None:
    steps = np.full(64, 8, np.int32)
    true, samples = drawn(steps, 5)
    planes = Planes(samples, samples)
    round_off(planes, samples, steps)
    planes.blocks[np.arange(50), np.random.default_rng(5).integers(0, 64, 50)] += 1
    planes.out[:] = 1
    mend(planes, steps, 40)
    assert (planes.out < 0.1).mean() > 0.9
    assert (planes.blocks == true).all(1).mean() > 0.9


@pytest.mark.parametrize("sampling", ["4:2:2", "4:2:0", "4:4:0"])
@pytest.mark.parametrize("size", [(7, 9), (8, 6), (1, 12), (12, 5)])
def test_a_descent_brings_fine_chroma_nearer(sampling: str, size: tuple[int, int]) -> None:
    canvas = Canvas(*size, 0, 0, *{**SAMPLINGS, "4:4:0": (1, 2)}[sampling])
    rng = np.random.default_rng(9)
    true = rng.integers(0, 256, canvas.coarse()).astype(np.uint8)
    fine = upsample(true, canvas)
    known = (rng.random(size) < 0.9).astype(np.uint8)
    start = np.clip(true.astype(int) + rng.integers(-1, 2, true.shape), 0, 255).astype(np.uint8)
    before = start.copy()

    def cost(coarse: Any) -> int:
        return int((((upsample(coarse, canvas).astype(int) - fine) ** 2) * known).sum())

    found = descend(start, fine, known, canvas)
    assert np.array_equal(start, before)
    assert cost(found) <= cost(start) / 2


def test_what_clipped_pixels_lack_moves_chroma_towards_it() -> None:
    canvas = Canvas(4, 6, 0, 0, 2, 2)
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 2] = 255
    luma, chroma = np.full((8, 8), 20, np.uint8), np.full((4, 6), 128, np.uint8)
    known = np.zeros((4, 6), np.uint8)
    blue, red = lacks(pixels, known, luma, (chroma, chroma), canvas, (8, 8))
    assert (blue[:2, :3] > 100).all()
    assert not blue[2:].any()
    assert not lacks(pixels, known + 1, luma, (chroma, chroma), canvas, (8, 8)).any()
    assert red.shape == (8, 8)


def test_arrays_that_do_not_fit_are_refused() -> None:
    canvas = Canvas(8, 8, 0, 0, 2, 2)
    with pytest.raises(ValueError, match="samples for a canvas"):
        upsample(np.zeros((3, 4), np.uint8), canvas)
    with pytest.raises(ValueError, match="steps"):
        samples_of(np.zeros((1, 1, 64), np.int16), np.ones(63, np.int32))
    with pytest.raises(ValueError, match="gaps"):
        on_lattice(np.zeros((4, 8, 3), np.uint8)[:, ::2])
