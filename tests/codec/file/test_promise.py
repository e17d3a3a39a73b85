"""The promise of size: no picture takes 64 bytes more than the best of WebP and PNG, at any effort.

The pictures are those that a model of photographs is bad at: colours that come again, and parts that are copies.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import densezip
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.file import candidates, payload
from densezip.codec.file.payload import PNG_SETTINGS, WEBP_SETTINGS, webp_coder
from leaves import dead_leaves
from PIL import Image, ImageDraw
from samples import file_of

Pixels = npt.NDArray[np.uint8]
PROMISE = 64
# WebP by other settings than those that are tried: what a user would take for its best.
USUAL = ((6, 100), (4, 100), (2, 100), (0, 100), (4, 75), (6, 75))


def relief(side: int, noise: float, seed: int = 0) -> npt.NDArray[np.float64]:
    """Hills in [0, 1] with noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.normal(size=(6, 6)).astype(np.float32))
    hills: npt.NDArray[np.float64] = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    rough = (hills - hills.min()) / np.ptp(hills) + noise * rng.normal(size=hills.shape)
    clipped: npt.NDArray[np.float64] = np.minimum(np.maximum(rough, 0), 1)
    return clipped


def coloured(values: npt.NDArray[np.float64], steps: int = 256) -> Pixels:
    """Values in false colours, blue over green to red."""
    place = np.round(values * (steps - 1)) / (steps - 1)
    parts = [1.5 - np.abs(4 * place - centre) for centre in (3, 2, 1)]
    return (np.clip(np.stack(parts, 2), 0, 1) * 255 + 0.5).astype(np.uint8)


def photo(side: int, seed: int = 3) -> Pixels:
    return np.asarray(dead_leaves(side, side, 3, seed), np.uint8)


def grey(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def enlarged(pixels: Pixels, factor: int) -> Pixels:
    return pixels.repeat(factor, 0).repeat(factor, 1)


def stickers(side: int) -> Pixels:
    """One picture at many places, on a flat ground and over a border of photograph."""
    sheet, sticker = np.full((side, side, 3), 240, np.uint8), photo(32, 7)
    sheet[: side // 3] = photo(side, 8)[: side // 3]
    for top in range(0, side - 32, 37):
        for left in range(top % 5, side - 32, 35):
            sheet[top : top + 32, left : left + 32] = sticker
    return sheet


def twice(pixels: Pixels, axis: int) -> Pixels:
    return np.concatenate([pixels, pixels], axis)


def mandelbrot(side: int) -> Pixels:
    across = np.linspace(-0.8, -0.7, side)[None] + 1j * np.linspace(0.05, 0.15, side)[:, None]
    z, steps = np.zeros_like(across), np.zeros(across.shape)
    for _ in range(120):
        inside = np.abs(z) < 4
        z = np.where(inside, z * z + across, z)
        steps += inside
    return coloured(steps / 120)


def gradient(side: int) -> Pixels:
    down, across = np.mgrid[0:side, 0:side]
    return np.stack([down * 255 // side, across * 255 // side, (down + across) * 127 // side], 2).astype(np.uint8)


def text(side: int) -> Pixels:
    page = Image.new("RGB", (side, side), "white")
    for line in range(side // 11):
        ImageDraw.Draw(page).text((2, 11 * line), f"{line * 7919} quick brown foxes", (20, 5 * line, 60))
    return np.asarray(page)


PICTURES: dict[str, Callable[[], npt.NDArray[Any]]] = {
    "false colours": lambda: coloured(relief(72, 0)),
    "false colours, noise": lambda: coloured(relief(72, 0.04)),
    "thousands of false colours, noise": lambda: coloured(relief(64, 0.02), 4096),
    "false colours, bilinear": lambda: np.asarray(
        Image.fromarray(coloured(relief(24, 0.1))).resize((72, 72), Image.Resampling.BILINEAR)
    ),
    "stickers": lambda: stickers(108),
    "twice, side by side": lambda: twice(photo(52), 1),
    "twice, one below the other": lambda: twice(photo(52), 0),
    "twice, grey": lambda: twice(grey(photo(72)), 0),
    "enlarged twice": lambda: enlarged(photo(36), 2),
    "enlarged four times": lambda: enlarged(photo(24), 4),
    "enlarged, grey": lambda: enlarged(grey(photo(40)), 2),
    "enlarged by one and a half": lambda: np.asarray(
        Image.fromarray(photo(48)).resize((72, 72), Image.Resampling.NEAREST)
    ),
    "Mandelbrot": lambda: mandelbrot(80),
    "gradient": lambda: gradient(80),
    "dithered": lambda: np.asarray(Image.fromarray(photo(80)).quantize(200).convert("RGB")),
    "posterised": lambda: photo(80) & np.uint8(0xC0),
    "text": lambda: text(88),
    "noise": lambda: np.random.default_rng(1).integers(0, 256, (50, 60, 4), dtype=np.uint8),
    "noise of 500 colours": lambda: np.random.default_rng(1).integers(0, 256, (500, 3), dtype=np.uint8)[
        np.random.default_rng(2).integers(0, 500, (50, 60))
    ],
    "radiograph": lambda: (relief(80, 0.006) * 200 + 30).astype(np.uint8),
    "photograph": lambda: photo(80),
}


@cache
def made(name: str) -> tuple[npt.NDArray[Any], int]:
    """A picture, and the least that WebP and PNG make of it."""
    pixels = PICTURES[name]()
    return pixels, best_of_others(pixels)


def best_of_others(pixels: Pixels, settings: tuple[tuple[int, int], ...] = USUAL) -> int:
    image = Image.fromarray(pixels)
    sizes = [
        len(file_of(image, "WEBP", lossless=True, method=method, quality=quality, exact=True))
        for method, quality in settings
    ]
    sizes += [len(file_of(image, "PNG", optimize=True)), len(imagecodecs.png_encode(pixels, 9))]
    return min(sizes)


@pytest.mark.parametrize("name", PICTURES)
def test_no_effort_is_larger_than_the_best_of_webp_and_png_nor_than_a_lower_effort(name: str) -> None:
    pixels, best = made(name)
    sizes = []
    for effort in (1, 5, 9):
        data = densezip.compress(pixels, effort=effort)
        assert len(data) <= best + PROMISE, f"effort {effort}: {len(data)} bytes, others take {best}"
        sizes.append(len(data))
    for lower, higher in ((0, 1), (1, 2), (0, 2)):
        assert sizes[higher] <= 1.005 * sizes[lower], sizes


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["photograph", "noise"])
def test_tiny_pictures_keep_the_promise_and_the_order_of_efforts(channels: int, kind: str) -> None:
    rng = np.random.default_rng(5)
    for height, width in ((1, 1), (1, 2), (3, 3), (5, 8), (12, 12), (40, 1), (1, 90), (24, 24)):
        pixels: Pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
        if kind == "photograph":
            pixels = np.asarray(dead_leaves(90, 90, channels, 6), np.uint8)[:height, :width].copy()
        pixels = pixels[:, :, 0] if channels == 1 else pixels
        sizes = [len(densezip.compress(pixels, effort=effort)) for effort in (1, 5, 9)]
        assert max(sizes) <= best_of_others(pixels) + PROMISE
        assert sizes[2] <= 1.005 * sizes[1] <= 1.005**2 * sizes[0]


@pytest.mark.parametrize("effort", [1, 9])
@pytest.mark.parametrize("kind", ["noise", "few values", "copies", "ramp"])
def test_16_bit_pictures_are_no_larger_than_the_best_png(kind: str, effort: int) -> None:
    rng = np.random.default_rng(0)
    samples = {
        "noise": rng.integers(0, 2**16, (40, 50)),
        "few values": rng.integers(0, 2, (60, 50)) * 40000,
        "copies": np.tile(rng.integers(0, 2**16, (20, 25)), (3, 3)),
        "ramp": np.add.outer(np.arange(60) * 900, np.arange(50) * 3),
    }[kind].astype(np.uint16)
    sizes = []
    for strategy, filters in PNG_SETTINGS:
        options = {
            "strategy": getattr(imagecodecs.PNG.STRATEGY, strategy),
            "filter": getattr(imagecodecs.PNG.FILTER, filters),
        }
        sizes.append(len(imagecodecs.png_encode(samples, 9, **options)))
    data = densezip.compress(samples, effort=effort)
    assert len(data) <= min(sizes) + PROMISE
    assert np.array_equal(np.asarray(densezip.decompress(data)), samples)


def test_every_setting_that_is_tried_counts() -> None:
    for name in ("twice, side by side", "enlarged four times", "Mandelbrot"):
        pixels, _ = made(name)
        best = best_of_others(pixels, WEBP_SETTINGS)
        assert len(densezip.compress(pixels, effort=1)) <= best + PROMISE


def test_webp_is_spared_for_a_photograph_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def webp(height: int, width: int, *rest: Any) -> Any:
        asked.append("webp")
        return webp_coder(height, width, *rest)

    monkeypatch.setattr(candidates, "webp_coder", webp)
    for pixels in (photo(160), grey(photo(160)), np.repeat(grey(photo(160))[:, :, None], 3, 2)):
        assert np.array_equal(np.asarray(densezip.decompress(densezip.compress(pixels, effort=1))), pixels)
    assert not asked
    for pixels in (twice(photo(80), 1), enlarged(photo(36), 2), coloured(relief(72, 0.04))):
        asked.clear()
        densezip.compress(pixels, effort=1)
        assert asked


LARGE: dict[str, Callable[[], Any]] = {
    "false colours": lambda: coloured(relief(72, 0.04)),
    "stickers": lambda: stickers(90),
    "page": lambda: Image.fromarray(text(88)).convert("1"),
    "palette": lambda: Image.fromarray(photo(60)).quantize(9),
    "16-bit copies": lambda: np.tile(np.random.default_rng(0).integers(0, 2**16, (20, 25)).astype(np.uint16), (3, 3)),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_picture_gets_what_is_best_on_a_sample(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = LARGE[name]()
    usual = len(densezip.compress(image, effort=1))
    for limit in ("FULL_PIXELS", "FULL_GRAPHIC_PIXELS"):
        monkeypatch.setattr(candidates, limit, 1000)
    monkeypatch.setattr(candidates, "TRIAL_PIXELS", 2000)
    monkeypatch.setattr(candidates, "TRIAL_ROWS", 8)
    monkeypatch.setattr(payload, "WEBP_WHOLE_PIXELS", 2500)
    monkeypatch.setattr(payload, "WEBP_TILE_PIXELS", 2500)
    data = densezip.compress(image, effort=1)
    assert data == densezip.compress(image, effort=1, threads=3)
    assert usual <= len(data) <= 2 * usual + PROMISE
    assert np.array_equal(np.asarray(densezip.decompress(data)), np.asarray(image))


def test_a_large_picture_is_not_tried_by_the_slowest_setting_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("FULL_PIXELS", "FULL_GRAPHIC_PIXELS"):
        monkeypatch.setattr(candidates, limit, 1000)
    monkeypatch.setattr(candidates, "TRIAL_PIXELS", 1500)
    monkeypatch.setattr(candidates, "TRIAL_ROWS", 8)
    monkeypatch.setattr(candidates, "WORTH_THE_TIME", 0.0)
    monkeypatch.setattr(candidates, "MANY_REPEATS", 1.0)
    asked: list[tuple[tuple[int, ...], Any]] = []
    encode = payload._encode_webp

    def noted(tile: Any, *setting: int) -> bytes:
        asked.append((tile.shape, setting))
        return encode(tile, *setting)

    monkeypatch.setattr(payload, "_encode_webp", noted)
    densezip.compress(stickers(90), effort=1)
    whole = [setting for shape, setting in asked if shape == (90, 90, 3) and setting in WEBP_SETTINGS]
    assert len(whole) == 2
    assert whole[1] == payload.WEBP_QUICKEST
    assert payload.WEBP_SLOWEST not in whole
    monkeypatch.setattr(candidates, "MANY_REPEATS", 1 / 16)
    densezip.compress(stickers(90), effort=1)
    assert asked[-1][1] == payload.WEBP_SLOWEST
