"""Pictures that are no photographs, made from a seed: what programs draw, plot, compute, enlarge and fade.

The same seed gives the same pictures wherever numpy rounds alike, so that a figure can be measured again.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = ["pictures"]

Field = npt.NDArray[np.float64]
Pixels = npt.NDArray[Any]

# Colours, 0 to 255, at even distances along three well-known kinds of colour map.
MAPS = {
    "violet": ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)),
    "rainbow": ((0, 0, 131), (0, 60, 170), (5, 255, 255), (255, 255, 0), (250, 0, 0), (128, 0, 0)),
    "terrain": ((51, 51, 153), (0, 153, 255), (0, 204, 102), (255, 255, 153), (128, 92, 84), (255, 255, 255)),
}
# The order in which an ordered dither raises its pixels.
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16


def unit(field: Field) -> Field:
    """A field scaled to 0 to 1."""
    return np.asarray((field - field.min()) / max(1e-12, float(np.ptp(field))))


def blurred(rng: np.random.Generator, height: int, width: int, radius: float) -> Field:
    """Noise under a Gaussian window, 0 to 1, the same on opposite edges."""
    v, u = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    window = np.exp(-2 * (np.pi * radius) ** 2 * (u * u + v * v))
    return unit(np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) * window).real)


def fractal(rng: np.random.Generator, height: int, width: int, slope: float = 2.0) -> Field:
    """Noise with a spectrum that falls as 1 / frequency^slope, 0 to 1: a landscape."""
    v, u = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    falls = np.maximum(np.hypot(u, v), 0.5 / max(height, width)) ** -slope
    return unit(np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) * falls).real)


def colour_map(name: str, steps: int) -> npt.NDArray[np.uint8]:
    """A table of colours [steps, 3]."""
    knots = np.array(MAPS[name], float)
    at = np.linspace(0, len(knots) - 1, steps)
    return np.stack([np.interp(at, np.arange(len(knots)), knots[:, c]) for c in range(3)], -1).round().astype(np.uint8)


def false_colour(field: Field, name: str, steps: int) -> Pixels:
    """A field in the colours of a map."""
    return np.asarray(colour_map(name, steps)[np.minimum(steps - 1, (unit(field) * steps).astype(int))])


def ramp(kind: str, height: int, width: int, angle: float = 0.3) -> Field:
    """0 to 1 along a line, outwards, or around."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    dy, dx = y - 0.45 * height, x - 0.55 * width
    if kind == "linear":
        return unit(np.cos(angle) * x + np.sin(angle) * y)
    if kind == "radial":
        return unit(np.hypot(dy, dx))
    return unit(np.arctan2(dy, dx))


def faded(at: Field, stops: tuple[tuple[int, ...], ...], dither: Field | float = 0.5) -> Pixels:
    """Colours between stops along a ramp, rounded; a dither of 0 to 1 in place of 0.5 decides which way."""
    knots = np.linspace(0, 1, len(stops))
    channels = [np.interp(at, knots, [stop[c] for stop in stops]) for c in range(len(stops[0]))]
    samples = np.floor(np.stack(channels, -1) + (dither if isinstance(dither, float) else dither[..., None]))
    return np.clip(samples, 0, 255).astype(np.uint8)


def bayer(height: int, width: int) -> Field:
    """An ordered dither."""
    return np.tile(BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width] + 1 / 32


def texture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Something like a photograph: a lit relief in three tones with a camera's noise, [H, W, 3]."""
    relief = fractal(rng, height, width, 1.6)
    light = unit(np.gradient(relief)[0] - 0.5 * np.gradient(relief)[1])
    tone = fractal(rng, height, width, 2.2)
    colour = np.stack([light * (0.5 + 0.5 * tone), light * 0.8, light * (1 - 0.6 * tone)], -1)
    return np.clip(colour * 230 + rng.normal(0, 1.5, colour.shape) + 10, 0, 255).astype(np.uint8)


def sprites(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Pixel art: small mirrored figures of a few colours on tiles of a ground, [H, W, 3]."""
    table = rng.integers(0, 256, (12, 3), dtype=np.uint8)
    ground = rng.integers(0, 2, (8, 8))
    image = np.tile(ground, (height // 8 + 1, width // 8 + 1))[:height, :width]
    kinds = []
    for _ in range(5):
        half = rng.integers(2, 12, (14, 6)) * (rng.random((14, 6)) < 0.7)
        kinds.append(np.hstack([half, half[:, ::-1]]))
    for _ in range(height * width // 500):
        top, left = int(rng.integers(0, height - 14)), int(rng.integers(0, width - 12))
        figure = kinds[int(rng.integers(5))]
        part = image[top : top + 14, left : left + 12]
        part[figure > 0] = figure[figure > 0]
    return table[image]


def enlarged(pixels: Pixels, factor: float) -> Pixels:
    """Each pixel repeated, by the nearest one where the factor is no integer."""
    rows, columns = (np.arange(int(side * factor)) / factor for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[rows.astype(int)][:, columns.astype(int)])


def stamps(rng: np.random.Generator, height: int, width: int, *, on_texture: bool) -> Pixels:
    """A small picture put down again and again."""
    image = texture(rng, height, width) if on_texture else np.full((height, width, 3), 240, np.uint8)
    stamp = texture(rng, 40, 48)
    for _ in range(height * width // 4000):
        top, left = int(rng.integers(0, height - 40)), int(rng.integers(0, width - 48))
        image[top : top + 40, left : left + 48] = stamp
    return image


def mandelbrot(height: int, width: int, limit: int) -> npt.NDArray[np.int64]:
    """How soon the numbers of a part of the plane run away."""
    y, x = np.mgrid[-1.2 : 1.2 : height * 1j, -2.1 : 0.7 : width * 1j]
    start = x + 1j * y
    z, count = np.zeros_like(start), np.zeros(start.shape, np.int64)
    for _ in range(limit):
        inside = np.abs(z) < 2
        z[inside] = z[inside] ** 2 + start[inside]
        count += inside
    return count


def plot(rng: np.random.Generator, height: int, width: int, scale: int) -> Pixels:
    """Axes, curves and text; smoothed for a scale above 1, [H, W, 3]."""
    image = Image.new("RGB", (width * scale, height * scale), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for number in range(1, 9):
        draw.line([(0, number * height * scale // 9), (width * scale, number * height * scale // 9)], (220,) * 3, scale)
    for _ in range(4):
        values = np.cumsum(rng.normal(0, 0.02, 80)) + 0.5
        points = [(i * width * scale / 79, (1 - v) * height * scale) for i, v in enumerate(values)]
        colour = tuple(rng.integers(0, 200, 3).tolist())
        for pair in pairwise(points):
            draw.line(list(pair), colour, 2 * scale)
    image = image.resize((width, height), Image.Resampling.BOX)
    draw = ImageDraw.Draw(image)
    for number in range(14):
        draw.text((8 + 6 * number, 4 + number * (height - 16) // 14), f"{rng.random():.4f} at {number}", (30, 30, 30))
    return np.asarray(image)


def wide(field: Field, bits: int = 16) -> Pixels:
    """A field of 0 to 1 in samples of so many bits."""
    return np.asarray((unit(field) * (2**bits - 1)).round().astype(np.uint16))


def waves(rng: np.random.Generator, height: int, width: int) -> Field:
    """A sum of sinusoids."""
    y, x = np.mgrid[0:height, 0:width]
    return np.asarray(sum(np.sin(x * u + y * v + p) for u, v, p in rng.uniform(-0.12, 0.12, (7, 3)) * (1, 1, 30)))


def repeated(samples: Pixels) -> Pixels:
    """12 bits in 16, the upper ones again below."""
    return np.asarray(samples << np.uint16(4) | samples >> np.uint16(8))


def _maps(rng: np.random.Generator) -> dict[str, Callable[[], Pixels]]:
    noise = 0.02 * rng.standard_normal((240, 300))
    return {
        "map-violet-256-smooth": lambda: false_colour(blurred(rng, 240, 320, 12), "violet", 256),
        "map-violet-256-landscape": lambda: false_colour(fractal(rng, 256, 256), "violet", 256),
        "map-rainbow-256-smooth": lambda: false_colour(blurred(rng, 200, 280, 9), "rainbow", 256),
        "map-rainbow-256-noise": lambda: false_colour(blurred(rng, 240, 300, 12) + noise, "rainbow", 256),
        "map-rainbow-64-landscape": lambda: false_colour(fractal(rng, 300, 300, 2.4), "rainbow", 64),
        "map-terrain-256-landscape": lambda: false_colour(fractal(rng, 256, 384, 2.2), "terrain", 256),
        "map-terrain-64-smooth": lambda: false_colour(blurred(rng, 280, 280, 15), "terrain", 64),
        "map-terrain-64-noise": lambda: false_colour(fractal(rng, 240, 300) + noise, "terrain", 64),
        "map-violet-256-waves": lambda: false_colour(waves(rng, 256, 256), "violet", 256),
        "map-violet-256-small": lambda: false_colour(blurred(rng, 64, 80, 6), "violet", 256),
        "map-violet-shaded": lambda: shaded(fractal(rng, 240, 320, 2.2)),
    }


def shaded(field: Field) -> Pixels:
    """A map with the light of a relief, which gives many colours."""
    light = 0.6 + 0.4 * unit(np.gradient(field)[0])
    return (false_colour(field, "terrain", 256) * light[..., None]).round().astype(np.uint8)


def _gradients(rng: np.random.Generator) -> dict[str, Callable[[], Pixels]]:
    blue, warm, grey = ((10, 20, 60), (90, 160, 255)), ((255, 90, 20), (60, 0, 90), (10, 200, 180)), ((0,), (255,))
    alpha = ((30, 90, 200, 255), (250, 220, 40, 0))
    return {
        "linear-grey": lambda: faded(ramp("linear", 256, 320), grey)[..., 0],
        "linear-grey-upright": lambda: faded(ramp("linear", 256, 320, 0.0), grey)[..., 0],
        "linear-rgb": lambda: faded(ramp("linear", 240, 400), blue),
        "linear-rgb-bayer": lambda: faded(ramp("linear", 240, 320), blue, bayer(240, 320)),
        "linear-grey-noise": lambda: faded(ramp("linear", 200, 256), grey, rng.random((200, 256)))[..., 0],
        "linear-rgb-noise": lambda: faded(ramp("linear", 200, 256), warm, rng.random((200, 256))),
        "radial-grey": lambda: faded(ramp("radial", 300, 300), grey)[..., 0],
        "radial-rgb": lambda: faded(ramp("radial", 256, 256), warm),
        "radial-rgba": lambda: faded(ramp("radial", 256, 256), alpha),
        "conic-grey": lambda: faded(ramp("conic", 256, 256), grey)[..., 0],
        "conic-rgb": lambda: faded(ramp("conic", 240, 300), warm),
        "linear-rgba": lambda: faded(ramp("linear", 200, 300, 1.1), alpha),
        "blended-rgb": lambda: (
            faded(ramp("linear", 256, 256), warm) // 2 + faded(ramp("radial", 256, 256), blue[::-1]) // 2
        ),
        "linear-rgb-small": lambda: faded(ramp("linear", 48, 64), blue),
    }


def _deep(rng: np.random.Generator) -> dict[str, Callable[[], Pixels]]:
    def rgb(*fields: Field) -> Pixels:
        return np.stack([wide(field) for field in fields], -1)

    return {
        "deep-waves-grey": lambda: wide(waves(rng, 192, 256)),
        "deep-waves-rgb": lambda: rgb(*(waves(rng, 160, 200) for _ in range(3))),
        "deep-landscape": lambda: wide(fractal(rng, 256, 256, 2.4)),
        "deep-blurred": lambda: wide(blurred(rng, 240, 240, 5)),
        "deep-blurred-rgb": lambda: rgb(*(blurred(rng, 160, 200, 6) for _ in range(3))),
        "deep-12-times-16": lambda: wide(fractal(rng, 220, 260, 2.0), 12) * np.uint16(16),
        "deep-12-repeated": lambda: repeated(wide(blurred(rng, 220, 260, 4), 12)),
        "deep-8-times-257": lambda: wide(fractal(rng, 256, 256, 2.2), 8) * np.uint16(257),
        "deep-gradient": lambda: wide(ramp("radial", 256, 256)),
        "deep-linear": lambda: wide(ramp("linear", 200, 300)),
        "deep-noise": lambda: wide(blurred(rng, 200, 240, 8) + 0.003 * rng.standard_normal((200, 240))),
    }


def _drawn(rng: np.random.Generator) -> dict[str, Callable[[], Pixels]]:
    table = np.vstack([colour_map("rainbow", 255), np.zeros((1, 3), np.uint8)])
    return {
        "enlarged-photo-2": lambda: enlarged(texture(rng, 120, 160), 2),
        "enlarged-photo-3": lambda: enlarged(texture(rng, 90, 110), 3),
        "enlarged-photo-1.5": lambda: enlarged(texture(rng, 160, 200), 1.5),
        "enlarged-grey-2": lambda: enlarged(texture(rng, 140, 150)[..., 1], 2),
        "enlarged-deep-2": lambda: enlarged(wide(fractal(rng, 110, 130)), 2),
        "enlarged-art-4": lambda: enlarged(sprites(rng, 96, 96), 4),
        "enlarged-art-3": lambda: enlarged(sprites(rng, 80, 120), 3),
        "enlarged-art-1.5": lambda: enlarged(sprites(rng, 160, 200), 1.5),
        "art": lambda: sprites(rng, 240, 240),
        "stamps-on-white": lambda: stamps(rng, 240, 320, on_texture=False),
        "stamps-on-texture": lambda: stamps(rng, 240, 320, on_texture=True),
        "mandelbrot-255": lambda: table[np.minimum(255, mandelbrot(240, 280, 255))],
        "mandelbrot-32": lambda: table[8 * np.minimum(31, mandelbrot(240, 280, 32))],
        "plot": lambda: plot(rng, 240, 320, 1),
        "plot-smoothed": lambda: plot(rng, 240, 320, 4),
    }


def pictures(seed: int = 0) -> dict[str, Pixels]:
    """All pictures by name, [H, W] or [H, W, C], 8 or 16 bits; each has a seed of its own."""
    made: dict[str, Pixels] = {}
    for group, kind in enumerate((_maps, _gradients, _deep, _drawn)):
        for number, name in enumerate(kind(np.random.default_rng(seed))):
            rng = np.random.default_rng((seed, group, number))
            made[name] = kind(rng)[name]()
    return made
