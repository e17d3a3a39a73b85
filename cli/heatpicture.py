"""Bits per pixel as a picture: a scale of colours that look evenly spaced, and a legend that says what they stand for.

The colours go from dark to light by equal steps of lightness in OKLab, so that twice the bits do not look like ten
times as many, and the picture reads the same in grey and for those who do not tell red from green.

Source: Ottosson, *A perceptual color space for image processing* (2020), for OKLab and its matrices.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Bits = NDArray[np.float32]
    Pixels = NDArray[np.uint8]

__all__ = ["colours", "draw", "picture_of", "scale_of", "steps_of"]

STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
CHROMA = (0.05, 0.15, 0.17, 0.14, 0.06)
HUE = (270.0, 295.0, 365.0, 415.0, 460.0)
"""Of the colours at the stops, in degrees: night blue, violet, red, orange, a pale yellow."""
DARKEST, LIGHTEST = 0.17, 0.97

# From OKLab to the cube roots of cone responses, and from those to linear sRGB.
TO_ROOTS = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)

SMALLEST = 320
"""Columns of a picture at least: its legend has to fit below it."""
QUANTILE = 0.998
"""Of the pixels that the scale has room for; those above have the last colour."""
PAPER, INK = (255, 255, 255), (24, 24, 32)


@lru_cache(maxsize=1)
def colours() -> Pixels:
    """256 colours from few bits to many, [256, 3] sRGB."""
    import numpy as np

    t = np.linspace(0, 1, 256)
    chroma, hue = np.interp(t, STOPS, CHROMA), np.radians(np.interp(t, STOPS, HUE))
    lab = np.stack([DARKEST + (LIGHTEST - DARKEST) * t, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    linear = np.clip((lab @ np.array(TO_ROOTS).T) ** 3 @ np.array(TO_RGB).T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: Pixels = np.round(255 * encoded).astype(np.uint8)
    return table


def scale_of(bits: Bits) -> float:
    """The bits at the end of the scale: a round number that few pixels exceed."""
    import numpy as np

    top = float(np.quantile(bits, QUANTILE)) or 1.0
    unit = 10.0 ** math.floor(math.log10(top))
    return next(step * unit for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * unit >= top * 0.999)


def steps_of(bits: Bits, scale: float) -> Pixels:
    """Which of `colours` stands for bits, [H, W] of both."""
    import numpy as np

    steps: Pixels = np.clip(bits * (255.999 / scale), 0, 255).astype(np.uint8)
    return steps


def picture_of(bits: Bits, scale: float) -> Pixels:
    """The colours of bits [H, W], [H, W, 3]."""
    return colours()[steps_of(bits, scale)]


def draw(bits: Bits, detail: str) -> Pixels:
    """A heat map with its legend below.

    Args:
        bits: of each pixel. [H, W]
        detail: what is known of them, as a sentence without its full stop.

    Returns:
        RGB, [h, w, 3]: small images are enlarged, each pixel to a square.
    """
    import numpy as np

    scale = scale_of(bits)
    pixels = picture_of(bits, scale)
    enlarged = -(-SMALLEST // bits.shape[1]) if bits.shape[1] < SMALLEST else 1
    pixels = pixels.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    width = pixels.shape[1]
    mean = float(bits.mean(dtype=np.float64))
    legend = _legend(width, scale, f"bits per pixel, mean {mean:.4g}", f"{detail}.")
    return np.concatenate([pixels, np.asarray(legend)])


def _legend(width: int, scale: float, title: str, note: str) -> Image.Image:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    size = max(11, min(width // 60, 64))
    font, margin = ImageFont.load_default(size), size
    bar, line = 2 * size, round(1.5 * size)
    image = Image.new("RGB", (width, 2 * margin + 3 * line + bar + size // 2), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((margin, margin // 2), title, INK, font)
    length, top = width - 2 * margin, margin // 2 + line
    ramp = colours()[np.arange(length) * 256 // length]
    image.paste(Image.fromarray(np.ascontiguousarray(np.broadcast_to(ramp, (bar, length, 3)))), (margin, top))
    for tick in range(5):
        at = margin + tick * (length - 1) // 4
        pen.line([(at, top + bar), (at, top + bar + size // 3)], INK, max(1, size // 12))
        anchor = "la" if tick == 0 else "ra" if tick == 4 else "ma"
        text = f"{tick * scale / 4:.4g}" + (" and more" if tick == 4 else "")
        pen.text((at, top + bar + size // 2), text, INK, font, anchor=anchor)
    pen.text((margin, top + bar + size // 2 + line), note, INK, font)
    return image
