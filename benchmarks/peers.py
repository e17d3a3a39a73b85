"""The coders that are compared: peers by their libraries, and densezip."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = [
    "Coder",
    "Pixels",
    "best_jpegxl",
    "coders",
    "densezip_coder",
    "jpegxl",
    "pillow_decode",
    "pillow_encode",
    "webp_like",
]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Coder:
    """A way to make bytes of pixels [H, W] or [H, W, C] and back."""

    name: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], Pixels]
    effort: int | None = None
    threads: int = 1


def pillow_encode(pixels: Pixels, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def pillow_decode(data: bytes) -> Pixels:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


def webp_like(again: Pixels, pixels: Pixels) -> Pixels:
    """What WebP cannot say: that an image is grey, and that it has an alpha channel which is opaque everywhere."""
    if pixels.ndim == 2 and again.ndim == 3 and (again == again[..., :1]).all():
        return again[..., 0]
    if pixels.shape[2:] == (4,) and again.shape[2:] == (3,):
        return np.dstack([again, np.full_like(again[..., 0], 255)])
    return again


def subtract_green(pixels: Pixels, sign: int) -> Pixels:
    """JPEG-LS's own reversible colour transform (HP1), which its library leaves to the caller; modulo 256."""
    if pixels.ndim < 3 or pixels.shape[-1] < 3:
        return pixels
    changed = pixels.copy()
    shift = (pixels[..., 1] - np.uint8(128)) * np.uint8(sign % 256)
    changed[..., 0] -= shift
    changed[..., 2] -= shift
    return changed


def jpegxl(effort: int) -> Coder:
    return Coder(
        f"JPEG XL {effort}",
        lambda pixels: bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=effort, numthreads=1)),
        lambda data: np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1)),
    )


def best_jpegxl() -> Coder:
    """JPEG XL by libjxl's own program (Debian's libjxl-tools) with settings that imagecodecs does not offer.

    The whole picture teaches the trees, and these see the three channels before their own. The time is the program's,
    with its start.
    """

    def encode(pixels: Pixels) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder, "picture.png"), Path(folder, "picture.jxl")
            Image.fromarray(pixels).save(source, compress_level=1)
            settings = ["-d", "0", "-e", "9", "-I", "100", "-E", "3", "--num_threads=0"]
            subprocess.run(["cjxl", str(source), str(output), *settings], check=True, capture_output=True)
            return output.read_bytes()

    return Coder("JPEG XL, best", encode, jpegxl(9).decode)


def densezip_coder(effort: int, threads: int) -> Coder:
    return Coder(
        f"densezip {effort}" if threads == 1 else f"densezip {effort}, {threads or os.cpu_count()} threads",
        lambda pixels: densezip.compress(pixels, effort=effort, threads=threads),
        lambda data: np.asarray(densezip.decompress(data, threads=threads)),
        effort,
        threads,
    )


def coders(efforts: Iterable[int], threads: Iterable[int], *, best: bool = False) -> list[Coder]:
    """All of them; with `best` the slow one of libjxl's own settings, too."""
    return [
        Coder("PNG", lambda pixels: pillow_encode(pixels, format="PNG", optimize=True), pillow_decode),
        Coder(
            "JPEG 2000",
            lambda pixels: bytes(
                imagecodecs.jpeg2k_encode(pixels, 0, codecformat="J2K", reversible=True, numthreads=1)
            ),
            lambda data: np.asarray(imagecodecs.jpeg2k_decode(data, numthreads=1)),
        ),
        Coder(
            "JPEG-LS",
            lambda pixels: bytes(imagecodecs.jpegls_encode(subtract_green(pixels, 1), 0)),
            lambda data: subtract_green(np.asarray(imagecodecs.jpegls_decode(data)), -1),
        ),
        Coder(
            "WebP",
            lambda pixels: pillow_encode(pixels, format="WEBP", lossless=True, quality=100, method=6, exact=True),
            pillow_decode,
        ),
        jpegxl(7),
        jpegxl(9),
        *([best_jpegxl()] if best else []),
        *(densezip_coder(effort, count) for count in threads for effort in efforts),
    ]
