"""One image through several lossless coders: sizes, times, and where densezip's bits went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .. import DEFAULT_MAX_PIXELS, Info, compress, decompress, export, info
from ..codec.file.container import MAGIC, parse
from .api import Named, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..codec.images.picture import Picture
    from ..models.heat import Heat

    Samples = NDArray[np.uint8] | NDArray[np.uint16]

__all__ = ["PEERS", "Comparison", "Figure", "channel_names", "compare"]

PNG_LEVEL, WEBP_METHOD, JPEGXL_EFFORT = 9, 4, 7
PEERS = (f"PNG {PNG_LEVEL}", f"WebP {WEBP_METHOD}", f"JPEG XL {JPEGXL_EFFORT}")
"""The other coders, each with its setting."""

# Shares of the progress of one image.
CODED, PEERS_DONE = 0.3, 0.7


@dataclass(frozen=True)
class Figure:
    """What one coder made of an image, with one thread.

    Attributes:
        size: In bytes; `None` where the coder does not take such samples.
        encode: Seconds; `None` where nothing was encoded.
        decode: Seconds, after which the samples were compared.
    """

    size: int | None = None
    encode: float | None = None
    decode: float | None = None


@dataclass(frozen=True)
class Comparison:
    """All that a report says of an image.

    Attributes:
        name: Of the input, to print.
        info: Of the .dz file.
        source_size: Of the image file, in bytes.
        figures: By the name of the coder, densezip's first.
        picture: The pixels.
        heat: Where the bits of the .dz file went.
        tiles: Bytes of the .dz file that are tiles.
    """

    name: str
    info: Info
    source_size: int
    picture: Picture
    heat: Heat
    tiles: int
    figures: dict[str, Figure] = field(default_factory=dict)


def compare(data: bytes, name: str, shown: str, effort: int, progress: Progress) -> Comparison:
    """Codes an image with every coder.

    Args:
        data: An image file, or a .dz file, which is taken as it is.
        name: Its name, whose suffix tells formats apart.
        shown: Its name to print.
        effort: Of densezip.
        progress: Hears of it.

    Raises:
        DensezipError: It is no image, or one whose pixels are not read.
    """
    from ..codec.images.imagefile import read
    from ..models.heat import heat_of

    coded, encode = data, None
    if not data.startswith(MAGIC):
        start = time.perf_counter()
        coded = compress(Named(data, name), effort=effort, threads=1, progress=lambda done: progress(CODED * done))
        encode = time.perf_counter() - start
    start = time.perf_counter()
    decompress(coded, threads=1)
    decode = time.perf_counter() - start
    header = info(coded)
    source = export(coded).data if data.startswith(MAGIC) else data
    picture = read(source, DEFAULT_MAX_PIXELS).picture
    label = f"densezip ({header.model or header.stored_format or header.payload})"
    figures = {label: Figure(len(coded), encode, decode)}
    for number, (peer, run) in enumerate(zip(PEERS, (_png, _webp, _jpegxl), strict=True)):
        figures[peer] = run(picture)
        progress(CODED + (PEERS_DONE - CODED) * (number + 1) / len(PEERS))
    container = parse(coded)
    heat = heat_of(container, 1, lambda done: progress(PEERS_DONE + (1 - PEERS_DONE) * done))
    tiles = sum(len(container.tile(number)) for number in range(header.tiles))
    return Comparison(shown, header, len(source), picture, heat, tiles, figures)


def channel_names(mode: str) -> tuple[str, ...]:
    """What the channels of a mode are called."""
    names = {"L": "grey", "R": "red", "G": "green", "B": "blue", "A": "alpha", "I": "grey", "1": "black and white"}
    return ("palette index",) if mode == "P" else tuple(names[letter] for letter in mode.partition(";")[0])


def _timed(samples: Samples, encode: Callable[[], bytes], decode: Callable[[bytes], Any]) -> Figure:
    """Encodes, decodes and compares."""
    import numpy as np

    start = time.perf_counter()
    data = encode()
    middle = time.perf_counter()
    back = decode(data)
    end = time.perf_counter()
    if not np.array_equal(np.asarray(back).reshape(samples.shape), samples):
        return Figure()
    return Figure(len(data), middle - start, end - middle)


def _plain(picture: Picture) -> Samples:
    """Samples that every format knows: colours in the place of palette indices, 255 for white. [H, W, C]."""
    import numpy as np

    if picture.mode == "1":
        return picture.pixels * np.uint8(255)
    if picture.mode != "P":
        return picture.pixels
    palette = np.zeros((256, 3), np.uint8)
    listed = np.frombuffer(dict(picture.chunks).get("PLTE", b""), np.uint8).reshape(-1, 3)
    palette[: len(listed)] = listed
    return palette[picture.pixels[:, :, 0]]


def _png(picture: Picture) -> Figure:
    from ..codec.images.imagefile import read
    from ..codec.images.png.write import write

    chunks = tuple(chunk for chunk in picture.chunks if chunk[0] == "PLTE")
    return _timed(
        picture.pixels,
        lambda: write(picture.pixels, picture.mode, picture.bits, chunks, PNG_LEVEL),
        lambda data: read(data, picture.pixels.size).picture.pixels,
    )


def _webp(picture: Picture) -> Figure:
    import numpy as np
    from PIL import Image

    samples = _plain(picture)
    height, width, channels = samples.shape
    if samples.itemsize > 1 or max(height, width) > 16383:
        return Figure()
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    image = Image.fromarray(np.ascontiguousarray(samples[:, :, 0] if channels == 1 else samples), mode)

    def encode() -> bytes:
        file = BytesIO()
        image.save(file, "WEBP", lossless=True, quality=100, method=WEBP_METHOD, exact=True)
        return file.getvalue()

    def decode(data: bytes) -> Any:
        with Image.open(BytesIO(data)) as found:
            wide = np.asarray(found.convert("RGBA" if channels in (2, 4) else "RGB"))
        return wide[:, :, {1: [0], 2: [0, 3]}.get(channels, list(range(channels)))]

    return _timed(samples, encode, decode)


def _jpegxl(picture: Picture) -> Figure:
    import imagecodecs
    import numpy as np

    samples = _plain(picture)
    plain = np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    try:
        return _timed(
            samples,
            lambda: bytes(imagecodecs.jpegxl_encode(plain, lossless=True, effort=JPEGXL_EFFORT, numthreads=1)),
            lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
        )
    except (RuntimeError, ValueError):  # imagecodecs' own errors are RuntimeErrors: it may be built without libjxl
        return Figure()
