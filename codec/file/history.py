"""The head of a picture that is coded as the JPEG file that it was: what that was, and by which model it is coded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import CorruptPayloadError, HeaderError
from ..fields import Reader, text
from .container import DIGEST_BYTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..images.history.decoder import Canvas
    from ..images.jpeg.frame import Frame

__all__ = [
    "DIGEST",
    "MODES",
    "NAME",
    "Head",
    "colours_of",
    "described",
    "frame_of",
    "is_bounded",
    "pack_head",
    "take_head",
]

NAME = "history"
DIGEST = b"\0\0\0\1"
"""These four bytes stand for the layout of a tile and for the arithmetic of the decoder, and change with them."""

MODES = ("L", "LA", "RGB", "RGBA")
"""Alpha is coded apart."""

BROAD, TALL, SINGLE = 1, 2, 4
"""Chroma has half the columns, half the rows; there is luma only, which is every channel."""

OWN_STEPS = 0
LARGEST_QUALITY = 100
MOST_MARGIN = 32
MOST_SIDE = 2**16 - 1
MOST_BESIDE = 2**16
"""Samples that the canvas may have beyond four times those of the picture, so that a small file bounds the memory."""


class Head(NamedTuple):
    """What stands before the coefficients.

    Attributes:
        canvas: the picture that the JPEG file held.
        steps: of quantization of each component, in rows [64].
        model: name of the model of coefficients.
        digest: of that.
    """

    canvas: Canvas
    steps: tuple[NDArray[np.int32], ...]
    model: str
    digest: bytes


def colours_of(channels: int) -> int:
    """How many channels are not alpha."""
    return channels - (channels % 2 == 0)


def is_bounded(canvas: Canvas, height: int, width: int) -> bool:
    """Whether a canvas is that of a JPEG file, and not much larger than the picture in it."""
    area = canvas.height * canvas.width
    return max(canvas.height, canvas.width) <= MOST_SIDE and area <= 4 * height * width + MOST_BESIDE


def frame_of(head: Head) -> Frame:
    """What the model of coefficients has to know."""
    from ..images.history.steps import ZIGZAG
    from ..images.jpeg.frame import Component, Frame

    canvas, steps = head.canvas, head.steps
    parts = [Component(0, canvas.across, canvas.down, 0), *(Component(i, 1, 1, 1) for i in range(1, len(steps)))]
    tables = [tuple(int(step) for step in table[ZIGZAG]) for table in steps]
    return Frame(width=canvas.width, height=canvas.height, components=tuple(parts), steps=tables)


def pack_head(head: Head, shape: tuple[int, ...]) -> bytes:
    """The bytes of a head, for a picture (h, w, C) without alpha."""
    canvas, (height, width, channels) = head.canvas, shape
    single = len(head.steps) == 1 and channels > 1
    flags = (canvas.across == 2) * BROAD | (canvas.down == 2) * TALL | single * SINGLE
    margins = canvas.top, canvas.left, canvas.height - canvas.top - height, canvas.width - canvas.left - width
    packed = bytes([flags, *margins]) + text(head.model) + head.digest
    return packed + b"".join(_packed_steps(table) for table in head.steps[:2])


def _packed_steps(table: NDArray[np.int32]) -> bytes:
    """A table of steps: the quality by which libjpeg has it, or all of it."""
    from ..images.history.steps import ZIGZAG
    from ..images.jpeg.habits import standard_quality

    listed = bytes(int(step) for step in table[ZIGZAG])
    for chroma in (False, True):
        if found := standard_quality(listed, chroma=chroma):
            return bytes([2 * found + chroma])
    return bytes([OWN_STEPS]) + listed


def _take_steps(reader: Reader) -> NDArray[np.int32]:
    import numpy as np

    from ..images.history.steps import ZIGZAG
    from ..images.jpeg.habits import standard_steps

    code = reader.take(1, "steps")[0]
    if code == OWN_STEPS:
        listed = bytes(reader.take(64, "steps"))
    elif 2 <= code <= 2 * LARGEST_QUALITY + 1:
        listed = standard_steps(code >> 1, chroma=bool(code & 1))
    else:
        raise HeaderError(f"steps of kind {code}")
    if 0 in listed:
        raise HeaderError("a step of 0")
    table = np.zeros(64, np.int32)
    table[ZIGZAG] = np.frombuffer(listed, np.uint8)
    return table


def take_head(reader: Reader, shape: tuple[int, int, int]) -> Head:
    """The head of a picture (h, w, C) without alpha; raises HeaderError."""
    from ..images.history.decoder import Canvas

    height, width, channels = shape
    flags, top, left, below, right = bytes(reader.take(5, "canvas"))
    if flags > (BROAD | TALL | SINGLE) or max(top, left, below, right) >= MOST_MARGIN:
        raise HeaderError(f"flags {flags} and margins {top}, {left}, {below}, {right}")
    single = bool(flags & SINGLE)
    if channels not in (1, 3) or (channels == 1 and flags) or (single and flags != SINGLE):
        raise HeaderError(f"flags {flags} of {channels} channels")
    canvas = Canvas(top + height + below, left + width + right, top, left, 1 + (flags & 1), 1 + (flags >> 1 & 1))
    if not is_bounded(canvas, height, width):
        raise HeaderError(f"a picture of {width}x{height} in a JPEG file of {canvas.width}x{canvas.height}")
    model, digest = reader.text("model name"), bytes(reader.take(DIGEST_BYTES, "model digest"))
    steps = [_take_steps(reader)]
    if channels == 3 and not single:
        steps += [_take_steps(reader)] * 2
    return Head(canvas, tuple(steps), model, digest)


def described(data: bytes | memoryview, shape: tuple[int, int, int]) -> str:
    """`quality 92, 4:2:0`: what a tile says that the picture was; raises CorruptPayloadError."""
    from ..images.jpeg.describe import quality, sampling

    try:
        head = take_head(Reader(memoryview(data), 0, HeaderError), (*shape[:2], colours_of(shape[2])))
    except HeaderError as error:
        raise CorruptPayloadError(f"a picture that was a JPEG file: {error}") from None
    frame = frame_of(head)
    return f"quality {quality(frame.steps[0])}, {sampling(frame)}"
