"""Where the bits of a .dz file went: for each sample, as exactly as its coding lets one know."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codec.errors import UnsupportedImageError
from ..codec.file.container import Container, Payload
from ..codec.file.payload import Progress, run_jobs
from ..codec.images.modes import file_of_format
from .coders import coder_of_header

__all__ = ["Detail", "Heat", "heat_of"]


class Detail(Enum):
    """What the figures were known for; what is finer is an even spread."""

    SAMPLE = "measured for every sample"
    ROW = "measured for every row, spread evenly within it"
    TILE = "known for every tile, spread evenly within it"


class Heat(NamedTuple):
    """Bits of the samples of an image.

    Attributes:
        bits: [H, W, C] float32. Headers, metadata and tables are not in them, but for payloads that are spread.
        detail: what they were known for.
    """

    bits: NDArray[np.float32]
    detail: Detail


def heat_of(container: Container, threads: int = 0, report: Callable[[float], None] | None = None) -> Heat:
    """The bits of each sample of a file.

    What the photo model coded is decoded and coded again, with all probabilities written down: about the time of both.
    Of images of few colours each row is measured. Of all others the tiles' sizes are spread over their samples,
    and nothing is decoded.

    Args:
        container: a parsed file, of a size that was checked.
        threads: number of tiles at work at once; 0 for all processors.
        report: called with the fraction done.

    Raises:
        UnsupportedImageError: the file was kept without a look at its pixels.
        FormatError: it is damaged.
    """
    from . import indexed
    from .photo import ModelId, known_models
    from .photo.measure import measure_tile

    header = container.header
    if header.payload is Payload.FILE:
        kept = file_of_format(header.stored_format)
        raise UnsupportedImageError(f"{kept} that was kept whole: its pixels were not looked at, nor what they take")
    model = ModelId(header.model, header.digest)
    photo, few = model in known_models(), model == (indexed.NAME, indexed.DIGEST)
    if header.payload is not Payload.MODEL or not (photo or few):
        return Heat(_spread(container), Detail.TILE)
    bits = np.zeros((header.height, header.width, header.channels), np.float32)
    boxes, coder = header.boxes(), coder_of_header(header)
    progress = Progress(header.width * header.height, report)

    def measure(number: int) -> None:
        top, left, bottom, right = boxes[number]
        part = bits[top:bottom, left:right]
        advance, finish = progress.of_tile(part.shape[0] * part.shape[1])
        data = bytes(container.tile(number))
        if few:
            tile = coder.decode(data, part.shape, lambda _: None)
            part[:] = (indexed.measure_rows(tile, advance) / part[0].size)[:, None, None]
        else:
            part[:] = measure_tile(model, data, part.shape, 8 * header.sample_bytes, advance)
        finish()

    for _ in run_jobs(measure, range(len(boxes)), threads, progress):
        pass
    return Heat(bits, Detail.ROW if few else Detail.SAMPLE)


def _spread(container: Container) -> NDArray[np.float32]:
    """The bits of each tile over its samples; those of all over the image where tiles are no parts of it."""
    header = container.header
    bits = np.zeros((header.height, header.width, header.channels or 1), np.float32)
    boxes, sizes = header.boxes(), [len(container.tile(number)) for number in range(header.tiles)]
    if len(sizes) != len(boxes):
        boxes, sizes = [(0, 0, header.height, header.width)], [sum(sizes)]
    for (top, left, bottom, right), size in zip(boxes, sizes, strict=True):
        part = bits[top:bottom, left:right]
        part[:] = 8 * size / part.size
    return bits
