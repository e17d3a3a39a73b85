"""Photographs as other formats and cameras would have left them, made from clean ones, to train the photo models on.

A picture's history leaves traces in its colours and in its positions: chroma that was stored at half resolution, steps
of a coarse scale of luma, JPEG's blocks, the pattern of a sensor's colour filters. A photograph is first averaged over
2x2 pixels, which takes the traces away that it had itself; then one history, drawn at random with all its settings, is
put on it; and at last it is cut at a random place, so that traces come at every phase.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["halved", "with_history"]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

LUMA = {"BT.601": (0.299, 0.587, 0.114), "BT.709": (0.2126, 0.7152, 0.0722)}
"""Weights of red, green and blue in luma."""

COARSEST = 8
"""Largest period of the traces, JPEG's: phases are drawn below it."""


def halved(pixels: Bytes) -> Bytes:
    """Means of 2x2 pixels, rounded; [H, W, C] to [H // 2, W // 2, C]."""
    height, width, channels = pixels.shape
    blocks = pixels[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, channels)
    means: Bytes = ((blocks.sum((1, 3), dtype=np.uint16) + 2) >> 2).astype(np.uint8)
    return means


def with_history(pixels: Bytes, rng: np.random.Generator) -> Bytes:
    """A photograph at half its size with a random history, or with none.

    Args:
        pixels: RGB, [H, W, 3], at least 64x64.
        rng: all randomness.

    Returns:
        RGB, up to 8 pixels smaller each way than half of `pixels`.
    """
    small = halved(pixels)
    kind = rng.choice(["none", "video", "jpeg", "sensor"], p=[0.2, 0.35, 0.2, 0.25])
    if kind == "video":
        small = subsampled(
            small,
            matrix=str(rng.choice(list(LUMA))),
            limited=bool(rng.random() < 0.5),
            rows=bool(rng.random() < 0.7),
            upsampling=str(rng.choice(["nearest", "linear", "centred"])),
            scale=float(rng.choice([1.0, 1.36])),
        )
    elif kind == "jpeg":
        small = through_jpeg(small, int(rng.integers(50, 99)), str(rng.choice(["4:4:4", "4:2:2", "4:2:0"])))
    elif kind == "sensor":
        small = through_sensor(small, rng, corrected=bool(rng.random() < 0.5), noise=float(rng.choice([0, 1e-4, 1e-3])))
    top, left = rng.integers(0, COARSEST, 2)
    return np.ascontiguousarray(small[top:, left:])


def subsampled(pixels: Bytes, *, matrix: str, limited: bool, rows: bool, upsampling: str, scale: float) -> Bytes:
    """RGB after storage as 8-bit luma and chroma, the chroma at half resolution, as in video and on photo discs.

    Args:
        pixels: [H, W, 3].
        matrix: "BT.601" or "BT.709".
        limited: luma from 16 to 235 and chroma from 16 to 240, else from 0 to 255.
        rows: chroma at half of the rows, too (4:2:0), else of the columns only (4:2:2).
        upsampling: of chroma; "nearest", or linear between samples that lie on the first of two pixels ("linear") or
            between the two ("centred").
        scale: of luma when it is shown: the steps in which it is stored are that much coarser.
    """
    red, green, blue = LUMA[matrix]
    image = pixels.astype(np.float64)
    luma = image @ np.array([red, green, blue])
    chroma = [(image[:, :, c] - luma) / (2 - 2 * part) for c, part in ((2, blue), (0, red))]
    reach, swing, floor = (219 / 255, 224 / 255, 16.0) if limited else (1.0, 1.0, 0.0)
    luma = (np.clip(np.rint(luma / scale * reach + floor), 0, 255) - floor) / reach * scale
    cb, cr = (
        (_resampled(plane * swing + 128, rows=rows, upsampling=upsampling) - 128) / swing for plane in chroma
    )  # kept in 8 bits at half resolution
    r, b = luma + (2 - 2 * red) * cr, luma + (2 - 2 * blue) * cb
    g = (luma - red * r - blue * b) / green
    return _to_bytes(np.stack([r, g, b], 2))


def through_jpeg(pixels: Bytes, quality: int, subsampling: str) -> Bytes:
    """RGB [H, W, 3] after a JPEG file of quality 1 to 100 with chroma "4:4:4", "4:2:2" or "4:2:0"."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def through_sensor(pixels: Bytes, rng: np.random.Generator, *, corrected: bool, noise: float) -> Bytes:
    """RGB [H, W, 3] seen through a lens and the colour filters of a sensor, RGGB, and interpolated in linear light.

    Args:
        pixels: what is photographed.
        rng: of the noise.
        corrected: interpolate with the gradients of the other colours, too.
        noise: variance of white's noise, of which darker light has less in proportion; white is 1.
    """
    light = (pixels / 255.0) ** 2.2
    for axis in (0, 1):  # the lens, and the glass before the sensor, blur about as much as one pixel
        around = np.concatenate([light.take([0], axis), light, light.take([-1], axis)], axis)
        before, after = (np.take(around, np.arange(light.shape[axis]) + place, axis) for place in (0, 2))
        light = (before + 2 * light + after) / 4
    light += rng.standard_normal(light.shape) * np.sqrt(light * noise)
    y, x = np.indices(light.shape[:2])
    own = (y + x) % 2 == 1, (y % 2 == 0) & (x % 2 == 0), (y % 2 == 1) & (x % 2 == 1)  # green, red, blue
    raw = np.where(own[0], light[:, :, 1], np.where(own[1], light[:, :, 0], light[:, :, 2]))
    return _to_bytes(255 * np.clip(_demosaiced(raw, corrected=corrected), 0, 1) ** (1 / 2.2))


def _demosaiced(raw: Floats, *, corrected: bool) -> Floats:
    """RGB [H, W, 3] of a sensor's values [H, W], whose first pixel is red.

    A colour that a pixel lacks is the mean of the nearest ones that have it; the correction adds what the pixel's own
    colour differs from its surroundings, by the gains that Malvar, He and Cutler (2004) fitted to photographs.
    """
    height, width = raw.shape
    padded = np.pad(raw, 2, "reflect")

    def moved(dy: int, dx: int) -> Floats:
        return padded[2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]

    def mean(*places: tuple[int, int]) -> Floats:
        total: Floats = sum((moved(*place) for place in places), np.zeros_like(raw))
        return total / len(places)

    far = mean((0, 2), (2, 0), (0, -2), (-2, 0))
    corners = mean((1, 1), (1, -1), (-1, 1), (-1, -1))
    gain = float(corrected)
    cross = mean((0, 1), (1, 0), (0, -1), (-1, 0)) + gain * (raw - far) / 2
    diagonal = corners + gain * 3 / 4 * (raw - far)
    beside = mean((0, 1), (0, -1))
    above = mean((1, 0), (-1, 0))
    wide, tall = mean((0, 2), (0, -2)), mean((2, 0), (-2, 0))
    beside = beside + gain * (5 * raw - 4 * corners - 2 * wide + tall) / 8
    above = above + gain * (5 * raw - 4 * corners - 2 * tall + wide) / 8
    y, x = np.indices(raw.shape)
    red_row, red_column = y % 2 == 0, x % 2 == 0
    green = np.where(red_row == red_column, cross, raw)
    red, blue = (
        np.where(row, np.where(column, raw, beside), np.where(column, above, diagonal))
        for row, column in ((red_row, red_column), (~red_row, ~red_column))
    )
    return np.stack([red, green, blue], 2)


def _resampled(plane: Floats, *, rows: bool, upsampling: str) -> Floats:
    """A plane [H, W] after storage at half of the columns, and of the rows if told, in 8 bits."""
    height, width = plane.shape
    ways = [1, 0] if rows else [1]
    for axis in ways:
        plane = _half(plane, axis, centred=upsampling != "linear")
    plane = np.clip(np.rint(plane), 0, 255)
    for axis in ways:
        plane = _double(plane, axis, upsampling)
    return plane[:height, :width]


def _half(plane: Floats, axis: int, *, centred: bool) -> Floats:
    """Every second place along an axis: the mean of two, or of three about the first of two with weights 1, 2, 1."""
    lines = np.moveaxis(plane, axis, 0)
    if len(lines) % 2:
        lines = np.concatenate([lines, lines[-1:]])
    here, after = lines[::2], lines[1::2]
    before = np.concatenate([here[:1], after[:-1]])
    return np.moveaxis((here + after) / 2 if centred else (before + 2 * here + after) / 4, 0, axis)


def _double(plane: Floats, axis: int, upsampling: str) -> Floats:
    """Twice as many places along an axis."""
    lines = np.moveaxis(plane, axis, 0)
    before, after = np.concatenate([lines[:1], lines[:-1]]), np.concatenate([lines[1:], lines[-1:]])
    first, second = {
        "nearest": (lines, lines),
        "linear": (lines, (lines + after) / 2),
        "centred": ((3 * lines + before) / 4, (3 * lines + after) / 4),
    }[upsampling]
    both = np.stack([first, second], 1).reshape(-1, *lines.shape[1:])
    return np.moveaxis(both, 0, axis)


def _to_bytes(image: Any) -> Bytes:
    result: Bytes = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return result
