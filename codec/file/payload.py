"""Coders of tiles that are image formats: WebP for 8-bit samples, PNG for any; and what runs any coder.

Both formats have settings, none of which is always the smallest: a coder tries several for every tile.

A model's coder has the same shape, so that every way to code an image is one candidate among others.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar, cast

import numpy as np
from PIL import Image

from ..errors import CorruptPayloadError, InputError
from ..images.formats import webp
from ..images.limits import STRICT_PILLOW
from ..images.modes import CHANNELS
from ..images.picture import Array
from ..images.png import png
from ..images.png import read as pngread
from .container import Box, Container, Payload, boxes
from .region import tiles_in

__all__ = [
    "PNG_SETTINGS",
    "WEBP_QUICKEST",
    "WEBP_SETTINGS",
    "WEBP_SLOWEST",
    "Coder",
    "Progress",
    "decode_tiles",
    "encode_tiles",
    "gain_of_search",
    "png_coder",
    "png_size",
    "run_jobs",
    "webp_coder",
    "webp_size",
]

WEBP_MAX_SIDE = 16383
# (method, quality) of lossless WebP. The slowest tries all of its transforms, and takes three quarters of the time of
# all together; yet the first is 7 % smaller on repeated pictures, and others are on enlarged and on tiny ones.
WEBP_QUICKEST, WEBP_SLOWEST = (0, 100), (6, 100)
WEBP_SETTINGS = (
    WEBP_QUICKEST,
    (1, 100),
    (2, 80),
    (2, 100),
    (3, 100),
    (4, 75),
    (4, 100),
    (5, 75),
    (5, 100),
    WEBP_SLOWEST,
)
# One that is a hundred times faster and, on photographs, up to 10 % larger than the best; and two that take two and six
# times its time because they search longer, by which they gain little there.
WEBP_FAST = (2, 20)
WEBP_KEEN = ((2, 80), (4, 75))
# libwebp takes some 36 bytes a pixel: an image of more pixels than the first is coded in tiles of the second.
WEBP_WHOLE_PIXELS = 2**23
WEBP_TILE_PIXELS = 2**22
# (strategy, filters) of deflate and libpng, all at this level.
PNG_LEVEL = 9
PNG_SETTINGS = (("DEFAULT", "ALL"), ("FILTERED", "ALL"), ("DEFAULT", "NO"), ("DEFAULT", "FAST"), ("RLE", "ALL"))
PNG_FAST = ("FILTERED", "ALL")
PNG_FAST_LEVEL = 6

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
        lesser: coders of lower efforts, which may be the smaller ones on pictures too small to learn from.
    """

    payload: Payload
    tile_height: int
    tile_width: int
    encode: Callable[[Array, TileProgress], bytes]
    decode: Callable[[bytes, tuple[int, int, int], TileProgress], Array]
    model: str = ""
    digest: bytes = b""
    lesser: tuple["Coder", ...] = ()


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

    return list(run_jobs(encode, grid, threads, progress))


def decode_tiles(
    coder: Coder, container: Container, threads: int, progress: Progress, window: Box | None = None
) -> Array:
    """Decode all tiles of a file, or those of a window.

    Args:
        coder: that wrote them.
        container: the file.
        threads: number of tiles decoded at once; 0 for all processors.
        progress: counts the pixels of the tiles that are decoded.
        window: (top, left, bottom, right) of the part that is wanted; None for the whole.

    Returns:
        The samples of the part, [h, w, C].

    Raises:
        ChecksumError: a tile is damaged.
        CorruptPayloadError: a tile cannot be what the encoder wrote.
    """
    header = container.header
    sample = np.uint16 if header.sample_bytes == 2 else np.uint8
    y, x, end_y, end_x = window or (0, 0, header.height, header.width)
    pixels = cast(Array, np.empty((end_y - y, end_x - x, header.channels), sample))

    def decode(job: tuple[int, Box]) -> None:
        index, (top, left, bottom, right) = job
        advance, finish = progress.of_tile((bottom - top) * (right - left))
        shape = (bottom - top, right - left, header.channels)
        tile = coder.decode(bytes(container.tile(index)), shape, advance)
        if tile.shape != shape or tile.dtype != sample:
            raise CorruptPayloadError(f"tile {index + 1}: {tile.dtype} {tile.shape} where {shape} was announced")
        up, start, low, end = max(top, y), max(left, x), min(bottom, end_y), min(right, end_x)
        pixels[up - y : low - y, start - x : end - x] = tile[up - top : low - top, start - left : end - left]
        finish()

    wanted = tiles_in(header.boxes(), (y, x, end_y, end_x))
    for _ in run_jobs(decode, wanted, threads, progress):
        pass
    return pixels


def run_jobs(work: Callable[[T], R], jobs: Sequence[T], threads: int, progress: Progress) -> Iterator[R]:
    """The results of all jobs in order; on a failure the others are told to stop."""
    workers = min(threads or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            progress.cancelled = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def webp_coder(height: int, width: int, settings: Sequence[tuple[int, int]] = WEBP_SETTINGS) -> Coder:
    """Lossless WebP by the best of some settings, as one tile unless it is large. All take 10 to 60 s a megapixel.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        settings: (method, quality) to try.
    """
    tile_width = min(width, WEBP_MAX_SIDE)
    whole = height * width <= WEBP_WHOLE_PIXELS
    return Coder(
        Payload.WEBP,
        min(height, WEBP_MAX_SIDE if whole else max(1, WEBP_TILE_PIXELS // tile_width)),
        tile_width,
        lambda tile, _: min((_encode_webp(tile, *setting) for setting in settings), key=len),
        lambda data, shape, _: _decode_webp(data, shape),
    )


def webp_size(pixels: Array) -> int:
    """The size of a small image as lossless WebP by a fast setting, in bytes. 0.1 to 0.2 s a megapixel."""
    return len(_encode_webp(pixels, *WEBP_FAST))


def gain_of_search(pixels: Array) -> float:
    """The size of a small image as lossless WebP by settings that search longer, over that by a fast one."""
    return min(len(_encode_webp(pixels, *setting)) for setting in WEBP_KEEN) / webp_size(pixels)


def _encode_webp(tile: Array, method: int, quality: int) -> bytes:
    channels = tile.shape[2]
    image = Image.fromarray(tile[:, :, 0] if channels == 1 else tile, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels])
    return webp.encode(image, method, quality)


def _decode_webp(data: bytes, shape: tuple[int, int, int]) -> Array:
    height, width, channels = shape
    try:
        with STRICT_PILLOW, Image.open(BytesIO(data), formats=["WEBP"]) as image:
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


def png_coder(
    mode: str, bits: int, height: int, width: int, settings: Sequence[tuple[str, str]] = PNG_SETTINGS
) -> Coder:
    """PNG of the samples by the best of some settings, as one tile. All take up to 10 s a megapixel of 16-bit RGB.

    Args:
        mode: of the image.
        bits: per sample. Below 8 the samples are packed, and there is but one setting.
        height: of the image, in pixels.
        width: of the image, in pixels.
        settings: (strategy, filters) to try.
    """

    def encode(tile: Array, _: TileProgress) -> bytes:
        if bits < 8:
            return png.write(_as_grey(tile, mode, bits), "L", bits, (), PNG_LEVEL)
        return min((_encode_png(tile, *setting, PNG_LEVEL) for setting in settings), key=len)

    return Coder(Payload.PNG, height, width, encode, lambda data, shape, _: _decode_png(data, shape, mode, bits))


def png_size(pixels: Array) -> int:
    """The size of a small image as PNG by a fast setting, in bytes. Some 0.5 s a megapixel of 16-bit grey."""
    return len(_encode_png(pixels, *PNG_FAST, PNG_FAST_LEVEL))


def _encode_png(tile: Array, strategy: str, filters: str, level: int) -> bytes:
    import imagecodecs

    tile = tile.copy()  # of a side of 1 the stride may be anything, which this encoder does not take
    return bytes(
        imagecodecs.png_encode(
            tile[:, :, 0] if tile.shape[2] == 1 else tile,
            level,
            strategy=getattr(imagecodecs.PNG.STRATEGY, strategy),
            filter=getattr(imagecodecs.PNG.FILTER, filters),
            out=2 * tile.nbytes + 2 * tile.shape[0] + 4096,  # its own estimate is too low for columns of noise
        )
    )


def _as_grey(tile: Array, mode: str, bits: int) -> Array:
    """Samples of less than 8 bits from 0 to 255, as grey ones are held already."""
    return tile if mode == "L" else cast(Array, tile * np.uint8(255 // (2**bits - 1)))


def _decode_png(data: bytes, shape: tuple[int, int, int], mode: str, bits: int) -> Array:
    try:
        if not data.startswith(png.SIGNATURE):
            raise CorruptPayloadError("a PNG tile that does not begin like one")
        file = png.parse(data)
        found = (file.height, file.width, png.CHANNELS_OF_COLOUR_TYPE[file.colour_type])
        if found != shape or file.depth != bits or CHANNELS[mode] != shape[2] or file.colour_type == 3:
            raise CorruptPayloadError(f"a PNG tile of {found}, {file.depth} bits, where {shape}, {bits} were announced")
        samples = pngread.read_pixels(data, file)
    except InputError as error:
        raise CorruptPayloadError(f"a PNG tile that does not decode: {error}") from error
    # Grey samples of 2 and 4 bits come widened to 0 to 255; of the mode L they are held so.
    return samples if mode == "L" or bits in (1, 8, 16) else cast(Array, samples // np.uint8(255 // (2**bits - 1)))
