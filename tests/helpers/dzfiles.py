"""Files of every payload that decodes without torch, made in memory, and the samples that Python finds in them."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
from densezip.codec.file import payload
from densezip.codec.file.container import Header, serialise
from densezip.codec.file.payload import Coder, Progress, encode_tiles
from densezip.codec.images.picture import Array, digest
from densezip.models.coders import coder_for_effort, indexed_coder, rendered_coder
from leaves import dead_leaves
from PIL import Image, ImageDraw
from samples import file_of

__all__ = ["GOLDEN_FILES", "animation", "coded", "drawing", "every_payload", "samples_of"]

GOLDEN_FILES = sorted((Path(__file__).parent.parent / "golden").glob("*.dz"))


def coded(coder: Coder, pixels: npt.NDArray[Any], mode: str, bits: int) -> bytes:
    """A file of samples [H, W, C], by one coder."""
    height, width, _ = pixels.shape
    array: Array = np.ascontiguousarray(pixels)
    tiles = encode_tiles(coder, array, 1, Progress(height * width, None))
    header = Header(
        coder.payload,
        mode,
        width,
        height,
        digest(array.tobytes()),
        coder.tile_width,
        coder.tile_height,
        bits,
        model=coder.model,
        digest=coder.digest,
    )
    return serialise(header, tiles)


def drawing(width: int = 60, height: int = 44) -> Image.Image:
    """Lines and letters of few colours."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for i in range(6):
        draw.line((0, i * 8, width, height - i * 5), fill=(i * 40, 100, 200 - i * 20))
    draw.text((8, 6), "hello", fill="black")
    return image


@lru_cache(maxsize=1)
def every_payload() -> dict[str, bytes]:
    """Files by what is in them."""
    leaves = dead_leaves(36, 50, 3, 5)
    four = np.concatenate([leaves, leaves[:, :, :1] // 3 * 2], 2)
    grey = leaves[:, :, :1]
    height, width, _ = leaves.shape
    lines = np.asarray(drawing())
    size = lines.shape[0], lines.shape[1]
    found = {}
    for number, setting in enumerate(payload.WEBP_SETTINGS):
        coder = payload.webp_coder(height, width, [setting])
        found[f"webp rgba {number}"] = coded(coder, four, "RGBA", 8)
        found[f"webp few {number}"] = coded(coder, grey // (5, 20, 60, 100)[number % 4], "L", 8)
        found[f"webp drawn {number}"] = coded(payload.webp_coder(*size, [setting]), lines, "RGB", 8)
    found["webp la"] = coded(payload.webp_coder(height, width), four[:, :, [0, 3]], "LA", 8)
    for mode, pixels in {"L": grey, "LA": four[:, :, [0, 3]], "RGB": leaves, "RGBA": four}.items():
        wide = pixels.astype(np.uint16) * 251 + 3
        found[f"png {mode}"] = coded(payload.png_coder(mode, 8, height, width), pixels, mode, 8)
        deep = "I;16" if mode == "L" else f"{mode};16"
        found[f"png {deep}"] = coded(payload.png_coder(deep, 16, height, width), wide, deep, 16)
        found[f"rendered {deep}"] = coded(rendered_coder(height, width, 16), wide, deep, 16)
        found[f"rendered {mode}"] = coded(rendered_coder(height, width, 8), pixels, mode, 8)
        found[f"photo {deep}"] = coded(coder_for_effort(1, height, width, 16), wide, deep, 16)
    for bits in (2, 4):
        few = (grey >> (8 - bits)) * np.uint8(255 // (2**bits - 1))
        found[f"png of {bits} bits"] = coded(payload.png_coder("L", bits, height, width), few, "L", bits)
    found["png of 1 bit"] = coded(payload.png_coder("1", 1, height, width), grey >> 7, "1", 1)
    found["indexed"] = coded(indexed_coder(*size), lines, "RGB", 8)
    found["indexed grey"] = coded(indexed_coder(height, width), grey, "L", 8)
    found["one colour"] = densezip.compress(Image.new("RGB", (20, 9), (1, 2, 3)))
    found["enlarged"] = densezip.compress(Image.fromarray(leaves.repeat(3, 0).repeat(3, 1)))
    found["enlarged unevenly"] = densezip.compress(drawing(50, 20).resize((130, 71), Image.Resampling.NEAREST))
    found["palette"] = densezip.compress(drawing().quantize(8))
    found["palette of a png"] = densezip.compress(file_of(drawing().quantize(8), "PNG"))
    found["palette of a gif"] = densezip.compress(file_of(drawing().quantize(8), "GIF", transparency=3))
    found["several tiles"] = _in_tiles(leaves)
    return found


def _in_tiles(pixels: npt.NDArray[Any]) -> bytes:
    whole = payload.webp_coder(pixels.shape[0], pixels.shape[1])
    tiles = Coder(whole.payload, 13, 17, whole.encode, whole.decode)
    return coded(tiles, pixels, "RGB", 8)


def samples_of(data: bytes) -> bytes:
    """The bytes of all samples of a file, as its checksum is over them; of a file that was kept, the file's."""
    if densezip.info(data).payload in ("stored", "file", "jpeg"):
        return densezip.export(data).data
    found = densezip.decompress(data)
    array = np.asarray(found)
    return (array.astype(np.uint8) if array.dtype == bool else array).astype(array.dtype.newbyteorder("<")).tobytes()


def animation() -> bytes:
    """A file that is kept without a look at its pixels."""
    file = BytesIO()
    drawing().save(file, "GIF", save_all=True, append_images=[drawing(50, 40)])
    return file.getvalue()
