"""Pictures that were JPEG files to the bytes of the history payload and back; codec/FORMAT.md describes the layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...codec.errors import CorruptPayloadError, HeaderError
from ...codec.fields import Reader, text, varint
from ...codec.images.history.decoder import Canvas, samples_of
from ...codec.images.history.steps import ZIGZAG
from ...codec.images.history.undo import History, decode
from ...codec.images.jpeg.frame import Component, Frame, Rows
from ...codec.images.jpeg.habits import standard_steps
from .coder import coder_of_header
from .differences import Differences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...codec.file.recoding import SegmentCoder
    from ...codec.images.history.decoder import Bytes

__all__ = ["DIGEST", "NAME", "decode_tile", "described", "encode_tile"]

NAME = "history"
DIGEST = b"\0\0\0\1"
"""These four bytes stand for the layout of a tile and for the arithmetic of the decoder, and change with them."""

BROAD, TALL, SINGLE = 1, 2, 4
"""Chroma has half the columns, half the rows; there is luma only, which is every channel."""

OWN_STEPS = 0
MOST_MARGIN = 32
MCU_ROWS = 2**16
DIGEST_BYTES = 4

Progress = Callable[[int], None]


def _frame(canvas: Canvas, steps: list[NDArray[np.int32]]) -> Frame:
    """What the model of coefficients has to know."""
    parts = [Component(0, canvas.across, canvas.down, 0)] + [Component(i, 1, 1, 1) for i in range(1, len(steps))]
    if len(steps) == 1:
        parts = [Component(0, 1, 1, 0)]
    tables = [tuple(int(step) for step in table[ZIGZAG]) for table in steps]
    return Frame(width=canvas.width, height=canvas.height, components=tuple(parts), steps=tables)


def encode_tile(pixels: Bytes, history: History, coder: SegmentCoder, progress: Progress) -> bytes:
    """Code a picture by its history.

    Args:
        pixels: [h, w, C].
        history: of it, or of its one channel where all are alike.
        coder: the model of coefficients.
        progress: called with numbers of pixels done.
    """
    height, width, channels = pixels.shape
    canvas, single = history.canvas, len(history.planes) == 1
    flags = (canvas.across == 2) * BROAD | (canvas.down == 2) * TALL | (single and channels > 1) * SINGLE
    margins = canvas.top, canvas.left, canvas.height - canvas.top - height, canvas.width - canvas.left - width
    head = bytes([flags, *margins]) + text(coder.model) + coder.digest
    for table in history.steps[:2]:
        head += _packed_steps(table)
    frame = _frame(canvas, list(history.steps))
    blocks = sum(plane.shape[0] * plane.shape[1] for plane in history.planes)
    share = _Share(progress, height * width, blocks)
    segment = coder.encode([frame], [list(history.planes)], [Rows(0, 0, MCU_ROWS)], share.advance)
    stream = Differences()
    for plane, steps, wanted in zip(history.planes, history.steps, history.samples, strict=True):
        samples, fraction = samples_of(plane, steps)
        stream.code(wanted.astype(np.int16) - samples, fraction)
    shown = decode(canvas, history.samples, height, width)
    _code_pixels(stream, shown, pixels[:, :, : shown.shape[2]])
    return head + varint(len(segment)) + segment + stream.finish()


def decode_tile(data: bytes, shape: tuple[int, int, int], progress: Progress) -> Bytes:
    """Decode a tile.

    Args:
        data: what `encode_tile` wrote.
        shape: (h, w, C) of the picture.
        progress: called with numbers of pixels done.

    Raises:
        CorruptPayloadError: `encode_tile` cannot have written it.
        UnknownModelError: the model of coefficients is not here.
    """
    height, width, channels = shape
    reader = Reader(memoryview(data), 0, HeaderError)
    try:
        canvas, steps, coder = _head(reader, shape)
        segment = bytes(reader.take(reader.varint("length of the coefficients"), "coefficients"))
        rest = bytes(reader.take(reader.left, "differences"))
    except HeaderError as error:
        raise CorruptPayloadError(f"a picture that was a JPEG file: {error}") from None
    frame = _frame(canvas, steps)
    planes = []
    for number in range(len(steps)):
        columns, rows = frame.blocks(number)
        planes.append(np.zeros((rows, columns, 64), np.int16))
    share = _Share(progress, height * width, sum(plane.shape[0] * plane.shape[1] for plane in planes))
    coder.decode(segment, [frame], [planes], [Rows(0, 0, MCU_ROWS)], share.advance)
    stream, corrected = Differences(rest), []
    for plane, table in zip(planes, steps, strict=True):
        samples, fraction = samples_of(plane, table)
        difference = np.zeros(samples.shape, np.int16)
        stream.code(difference, fraction)
        corrected.append((samples + difference).astype(np.uint8))
    shown = decode(canvas, corrected, height, width)
    _code_pixels(stream, shown, None)
    stream.finish()
    if shown.shape[2] < channels:
        shown = np.ascontiguousarray(np.broadcast_to(shown, shape))
    return shown


def _code_pixels(stream: Differences, shown: Bytes, wanted: Bytes | None) -> None:
    """Code what pixels differ from those shown, or for the decoder take it into these."""
    ends = ((shown == 0) | (shown == 255)).any(2).astype(np.uint8)
    before = np.zeros_like(ends)
    for channel in range(shown.shape[2]):
        plane = shown[:, :, channel]
        difference = np.zeros(plane.shape, np.int16)
        if wanted is not None:
            difference = np.ascontiguousarray(wanted[:, :, channel].astype(np.int16) - plane)
        stream.code(difference, np.ascontiguousarray(8 * ends + 2 * channel + before))
        before = (difference != 0).astype(np.uint8)
        if wanted is None:
            shown[:, :, channel] = (plane + difference).astype(np.uint8)


class _Share:
    """Progress in blocks as progress in pixels."""

    def __init__(self, progress: Progress, pixels: int, blocks: int) -> None:
        self.progress, self.pixels, self.blocks = progress, pixels, blocks
        self.done = 0

    def advance(self, blocks: int) -> None:
        before = self.done
        self.done += blocks
        self.progress(self.pixels * self.done // self.blocks - self.pixels * before // self.blocks)


def _packed_steps(table: NDArray[np.int32]) -> bytes:
    """A table of steps: the quality by which libjpeg has it, or all of it."""
    listed = bytes(int(step) for step in table[ZIGZAG])
    for quality in range(1, 101):
        for chroma in (False, True):
            if standard_steps(quality, chroma=chroma) == listed:
                return bytes([2 * quality + chroma])
    return bytes([OWN_STEPS]) + listed


def _take_steps(reader: Reader) -> NDArray[np.int32]:
    code = reader.take(1, "steps")[0]
    if code == OWN_STEPS:
        listed = bytes(reader.take(64, "steps"))
    elif 2 <= code <= 201:
        listed = standard_steps(code >> 1, chroma=bool(code & 1))
    else:
        raise HeaderError(f"steps of kind {code}")
    if 0 in listed:
        raise HeaderError("a step of 0")
    table = np.zeros(64, np.int32)
    table[ZIGZAG] = np.frombuffer(listed, np.uint8)
    return table


def _head(reader: Reader, shape: tuple[int, int, int]) -> tuple[Canvas, list[NDArray[np.int32]], SegmentCoder]:
    height, width, channels = shape
    flags, top, left, below, right = bytes(reader.take(5, "canvas"))
    if flags > (BROAD | TALL | SINGLE) or max(top, left, below, right) >= MOST_MARGIN:
        raise HeaderError(f"flags {flags} and margins {top}, {left}, {below}, {right}")
    single = bool(flags & SINGLE)
    if channels not in (1, 3) or (channels == 1 and flags) or (single and flags != SINGLE):
        raise HeaderError(f"flags {flags} of {channels} channels")
    canvas = Canvas(top + height + below, left + width + right, top, left, 1 + (flags & 1), 1 + (flags >> 1 & 1))
    coder = coder_of_header(reader.text("model name"), bytes(reader.take(DIGEST_BYTES, "model digest")))
    steps = [_take_steps(reader)]
    if channels == 3 and not single:
        steps += [_take_steps(reader)] * 2
    return canvas, steps, coder


def described(data: bytes | memoryview, shape: tuple[int, int, int]) -> str:
    """`quality 92, 4:2:0`: what a tile says that the picture was; raises CorruptPayloadError."""
    from ...codec.images.jpeg.describe import quality, sampling

    try:
        canvas, steps, _ = _head(Reader(memoryview(data), 0, HeaderError), shape)
    except HeaderError as error:
        raise CorruptPayloadError(f"a picture that was a JPEG file: {error}") from None
    frame = _frame(canvas, steps)
    return f"quality {quality(frame.steps[0])}, {sampling(frame)}"
