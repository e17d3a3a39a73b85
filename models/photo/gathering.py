"""Which images a training learns from, and their features, gathered by passing a strip of each through the experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...codec.errors import InputError
from .histories import with_history
from .observe import Observations, observe
from .shape import ModelSpec
from .weights import CODING_ORDER

__all__ = ["Report", "Source", "gather", "image_files", "planes", "sources_of", "strip_of"]

Report = Callable[[str], None]

SMALLEST = 64
"""Height and width, at least, of an image from which others are made."""


class Source(NamedTuple):
    """An image to learn from: a file's, or what `with_history` makes of it, and about how many pixels that has."""

    file: Path
    remade: bool
    pixels: int


def image_files(folders: Sequence[Path]) -> list[Path]:
    """All image files of some folders, those of a folder that is named twice two times."""
    suffixes = {".png", ".webp", ".tif", ".tiff", ".ppm", ".bmp", ".jpg", ".jpeg"}
    files = []
    for folder in folders:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes)
        if not found:
            raise InputError(f"no PNG, WebP, TIFF, PPM, BMP or JPEG images in {folder}")
        files += found
    return files


def sources_of(files: list[Path], histories: bool) -> list[Source]:
    """The images of `files`, and if told as many that are made from them."""
    sources = []
    for file in files:
        with Image.open(file) as image:
            sources.append(Source(file, False, image.width * image.height))
            if histories and min(image.size) >= SMALLEST:
                sources.append(Source(file, True, image.width * image.height // 4))
    return sources


def planes(source: Source, channels: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image in coding order, [H, W, C]."""
    with Image.open(source.file) as image:
        pixels = np.asarray(image.convert("RGB"))
    if source.remade:
        pixels = with_history(pixels, rng)
    if channels == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
    return pixels[:, :, list(CODING_ORDER)]


def _turned(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of the mirrored and transposed forms; upright ones more often."""
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.25:
        pixels = pixels.transpose(1, 0, 2)
    return pixels


def strip_of(source: Source, channels: int, strip: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Whole rows of an image, turned, of about `strip` pixels; in coding order, [H, W, C]."""
    pixels = _turned(planes(source, channels, rng), rng)
    height, width, _ = pixels.shape
    rows = max(8, round(min(height, strip / width)))
    top = int(rng.integers(0, max(1, height - rows + 1)))
    return np.ascontiguousarray(pixels[top : top + rows])


def gather(
    sources: list[Source],
    spec: ModelSpec,
    channels: int,
    samples: int,
    strip: float,
    rng: np.random.Generator,
    report: Report,
) -> Observations:
    """About `samples` pixels from all images, in runs of four rows."""
    parts: list[Observations] = []
    area = 0.0
    share = min(1.0, samples / sum(min(strip, source.pixels) for source in sources))
    for number, source in enumerate(sources):
        pixels = strip_of(source, channels, strip, rng)
        keep = np.repeat(rng.random(-(-pixels.shape[0] // 4)) < share, 4)[: pixels.shape[0]]
        parts.append(observe(pixels, spec, keep))
        area += pixels.shape[0] * pixels.shape[1]
        if number % 20 == 19 or number == len(sources) - 1:
            report(f"features: {number + 1} of {len(sources)} images, {area / 1e6:.1f} megapixels seen")
    return Observations(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
