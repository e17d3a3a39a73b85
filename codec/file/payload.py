"""Coders of tiles that are image formats: WebP for 8-bit samples, PNG for 16-bit ones; and what runs any coder.

A model's coder has the same shape, so that every way to code an image is one candidate among others.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar, cast

import numpy as np
from PIL import Image

from ..errors import CorruptPayloadError, InputError
from ..images import png
from ..images.modes import CHANNELS
from ..images.picture import Array
from .container import Box, Container, Payload, boxes

__all__ = ["Coder", "Progress", "decode_tiles", "encode_tiles", "png_coder", "webp_coder", "webp_size"]

WEBP_MAX_SIDE = 16383
# The slowest setting, which the guarantee is about, and one that is some fifty times faster and 1 to 5 % larger on
# photographs. Quality above 75 gives both the widest window for repetitions.
WEBP_BEST = (6, 100)
WEBP_FAST = (2, 80)
# libwebp takes some 36 bytes a pixel: an estimate goes by bands of this many pixels, each coded on its own, and so many
# at once, which keeps it below 160 MB. A band is as large as WebP's window for repetitions.
ESTIMATE_PIXELS = 2**20
ESTIMATE_THREADS = 4
PNG_LEVEL = 9

TileProgress = Callable[[int], None]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Coder:
    """One way to code the tiles of an image.

    Attributes:
        payload: kind of payload.
        tile_height: in pixels.
        tile_width: in pixels.
        encode: (tile [h, w, C], progress) -> bytes.
        decode: (bytes, shape (h, w, C), progress) -> tile; raises CorruptPayloadError.
        model: name of the model; empty for a format.
        digest: of the model's weights; empty for a format.
    """

    payload: Payload
    tile_height: int
    tile_width: int
    encode: Callable[[Array, TileProgress], bytes]
    decode: Callable[[bytes, tuple[int, int, int], TileProgress], Array]
    model: str = ""
    digest: bytes = b""


class Progress:
    """Adds up the pixels done by several threads; stops them when one fails.

    Args:
        total: number of pixels.
        report: called with the fraction done, one call at a time.
    """

    class Cancelled(BaseException):
        """Raised in workers whose result nobody waits for."""

    def __init__(self, total: int, report: Callable[[float], None] | None) -> None:
        self.total = total
        self.report = report
        self.done = 0
        self.cancelled = False
        self.lock = threading.Lock()

    def advance(self, pixels: int) -> None:
        """Count pixels as done.

        Raises:
            Cancelled: the work is no longer wanted.
        """
        if self.cancelled:
            raise self.Cancelled
        with self.lock:
            self.done += pixels
            if self.report is not None:
                self.report(min(1.0, self.done / self.total))

    def of_tile(self, pixels: int) -> tuple[TileProgress, Callable[[], None]]:
        """A counter for one tile that never counts more than its pixels, and what to call when the tile is done."""
        left = pixels

        def advance(count: int) -> None:
            nonlocal left
            count = min(count, left)
            left -= count
            self.advance(count)

        return advance, lambda: advance(left)


def encode_tiles(coder: Coder, pixels: Array, threads: int, progress: Progress) -> list[bytes]:
    """Code all tiles of an image, row by row. A copy is made of the tiles at work only."""
    grid = boxes(pixels.shape[0], pixels.shape[1], coder.tile_height, coder.tile_width)

    def encode(box: Box) -> bytes:
        top, left, bottom, right = box
        advance, finish = progress.of_tile((bottom - top) * (right - left))
        tile = cast(Array, np.ascontiguousarray(pixels[top:bottom, left:right]))
        data = coder.encode(tile, advance)
        finish()
        return data

    return list(_run(encode, grid, threads, progress))


def decode_tiles(coder: Coder, container: Container, threads: int, progress: Progress) -> Array:
    """Decode all tiles of a file.

    Raises:
        ChecksumError: a tile is damaged.
        CorruptPayloadError: a tile cannot be what the encoder wrote.
    """
    header = container.header
    sample = np.uint16 if header.sample_bytes == 2 else np.uint8
    pixels = cast(Array, np.empty((header.height, header.width, header.channels), sample))

    def decode(job: tuple[int, Box]) -> None:
        index, (top, left, bottom, right) = job
        advance, finish = progress.of_tile((bottom - top) * (right - left))
        shape = (bottom - top, right - left, header.channels)
        tile = coder.decode(bytes(container.tile(index)), shape, advance)
        if tile.shape != shape or tile.dtype != sample:
            raise CorruptPayloadError(f"tile {index + 1}: {tile.dtype} {tile.shape} where {shape} was announced")
        pixels[top:bottom, left:right] = tile
        finish()

    for _ in _run(decode, list(enumerate(header.boxes())), threads, progress):
        pass
    return pixels


def _run(work: Callable[[T], R], jobs: Sequence[T], threads: int, progress: Progress) -> Iterator[R]:
    """The results of all jobs in order; on a failure the others are told to stop."""
    workers = min(threads or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            progress.cancelled = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def webp_coder(height: int, width: int) -> Coder:
    """Lossless WebP at its best, as one tile unless the image is larger than WebP allows. 7 to 30 s a megapixel."""
    return Coder(
        Payload.WEBP,
        min(height, WEBP_MAX_SIDE),
        min(width, WEBP_MAX_SIDE),
        lambda tile, _: _encode_webp(tile, *WEBP_BEST),
        lambda data, shape, _: _decode_webp(data, shape),
    )


def webp_size(pixels: Array, threads: int) -> int:
    """An estimate from above of the size of the image as lossless WebP, in bytes. About 0.4 s a megapixel."""
    height, width = pixels.shape[:2]
    band = Coder(
        Payload.WEBP,
        max(1, min(ESTIMATE_PIXELS // min(width, WEBP_MAX_SIDE), WEBP_MAX_SIDE)),
        min(width, WEBP_MAX_SIDE),
        lambda tile, _: _encode_webp(tile, *WEBP_FAST),
        lambda data, shape, _: _decode_webp(data, shape),
    )
    workers = min(threads or os.cpu_count() or 1, ESTIMATE_THREADS)
    return sum(map(len, encode_tiles(band, pixels, workers, Progress(height * width, None))))


def _encode_webp(tile: Array, method: int, quality: int) -> bytes:
    channels = tile.shape[2]
    image = Image.fromarray(tile[:, :, 0] if channels == 1 else tile, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels])
    file = BytesIO()
    image.save(file, "WEBP", lossless=True, method=method, quality=quality, exact=True)
    return file.getvalue()


def _decode_webp(data: bytes, shape: tuple[int, int, int]) -> Array:
    height, width, channels = shape
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as image:
            if image.size != (width, height) or getattr(image, "n_frames", 1) != 1:
                raise CorruptPayloadError(f"a WebP tile of {image.width}x{image.height} pixels, not {width}x{height}")
            samples = np.asarray(image.convert("RGBA") if channels in (2, 4) else image.convert("RGB"))
    except CorruptPayloadError:
        raise
    except Exception as error:  # Pillow raises whatever damaged data leads it to.
        raise CorruptPayloadError(f"a WebP tile that does not decode: {error}") from error
    if channels == 1:
        return samples[:, :, :1]
    return samples[:, :, (0, 3)] if channels == 2 else samples


def png_coder(mode: str, height: int, width: int) -> Coder:
    """PNG of the samples, as one tile. About 2 s a megapixel of 16-bit RGB."""
    return Coder(
        Payload.PNG,
        height,
        width,
        lambda tile, _: _encode_png(tile),
        lambda data, shape, _: _decode_png(data, shape, mode),
    )


def _encode_png(tile: Array) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_encode(tile[:, :, 0] if tile.shape[2] == 1 else tile, PNG_LEVEL))


def _decode_png(data: bytes, shape: tuple[int, int, int], mode: str) -> Array:
    try:
        if not data.startswith(png.SIGNATURE):
            raise CorruptPayloadError("a PNG tile that does not begin like one")
        file = png.parse(data)
        found = (file.height, file.width, png.CHANNELS_OF_COLOUR_TYPE[file.colour_type])
        if found != shape or file.depth != 16 or CHANNELS[mode] != shape[2]:
            raise CorruptPayloadError(f"a PNG tile of {found}, {file.depth} bits, where {shape} was announced")
        return png.decode16(data)
    except InputError as error:
        raise CorruptPayloadError(f"a PNG tile that does not decode: {error}") from error
