"""Images of every kind, made in memory, for the tests."""

import struct
import zlib
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.file import candidates
from PIL import Image

__all__ = ["MODES", "array", "file_of", "model_only", "picture", "png16", "png_of", "raw_png", "tiff16"]

MODES = ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")


def array(channels: int, dtype: str = "u1", height: int = 23, width: int = 31, seed: int = 0) -> npt.NDArray[Any]:
    """Smooth ramps with noise, [H, W, C]; every byte of a 16-bit sample counts."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-3, 4, (height, width, channels))
    values = 100 + np.cumsum(steps, axis=1) + np.arange(height)[:, None, None]
    return (values * 251 + steps).astype("u2") if dtype == "u2" else values.astype("u1")


def model_only(patch: pytest.MonkeyPatch) -> None:
    """The photo model codes whatever comes, and nothing else is tried."""
    patch.setattr(candidates, "SPARSE_COLOURS", 0)
    patch.setattr(candidates, "estimated_webp", lambda *_: 1e6)
    patch.setattr(candidates, "is_photograph", lambda *_: True)
    patch.setattr(candidates, "gained_by_search", lambda *_: 1.0)


def picture(mode: str, height: int = 23, width: int = 31, seed: int = 0) -> Image.Image:
    """A PIL image of one of `MODES`."""
    if mode == "I;16":
        return Image.fromarray(array(1, "u2", height, width, seed)[:, :, 0])
    if mode == "P":
        return Image.fromarray(array(3, "u1", height, width, seed)).quantize(11)
    return Image.fromarray(array(4, "u1", height, width, seed), "RGBA").convert(mode)


def png16(samples: npt.NDArray[Any]) -> bytes:
    """A PNG file of an array, as libpng writes it."""
    return bytes(imagecodecs.png_encode(samples.squeeze()))


def tiff16(samples: npt.NDArray[Any], **options: Any) -> bytes:
    """A TIFF file of an array, as libtiff writes it."""
    # A copy: for the other byte order libtiff swaps the bytes where they lie.
    return bytes(imagecodecs.tiff_encode(samples.squeeze().copy(), **options))


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file that Pillow writes."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of(mode: str, **options: Any) -> bytes:
    """A PNG file of one of `MODES`, as Pillow writes it."""
    return file_of(picture(mode), "PNG", **options)


def raw_png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: bytes,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
    *,
    interlace: int = 0,
    after: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """A PNG file laid out by hand: `rows` are the filtered rows, uncompressed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)
