"""Pictures that were JPEG files to the bytes of the history payload and back; codec/FORMAT.md describes the layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...codec.errors import CorruptPayloadError, HeaderError
from ...codec.fields import Reader, varint
from ...codec.file.history import DIGEST, NAME, Head, colours_of, frame_of, pack_head, take_head
from ...codec.images.history.decoder import samples_of
from ...codec.images.history.undo import History, decode
from ...codec.images.jpeg.frame import Rows
from ..rendered import tile as rendered
from .coder import coder_of_header
from .differences import Differences

if TYPE_CHECKING:
    from ...codec.file.recoding import SegmentCoder
    from ...codec.images.history.decoder import Bytes

__all__ = ["DIGEST", "NAME", "decode_tile", "encode_tile"]

MCU_ROWS = 2**16
"""More than a picture has."""

Progress = Callable[[int], None]


def encode_tile(pixels: Bytes, history: History, coder: SegmentCoder, progress: Progress) -> bytes:
    """Code a picture by its history.

    Args:
        pixels: [h, w, C]; the last of two channels, and of four, is alpha.
        history: of its colours, or of one channel where these are alike.
        coder: the model of coefficients.
        progress: called with numbers of pixels done.
    """
    height, width, channels = pixels.shape
    colours = pixels[:, :, : colours_of(channels)]
    alpha = b""
    if colours.shape[2] < channels:
        alpha = rendered.encode_tile(pixels[:, :, -1:], _ignored)
        alpha = varint(len(alpha)) + alpha
    canvas = history.canvas
    head = Head(canvas, history.steps, coder.model, coder.digest)
    frame = frame_of(head)
    blocks = sum(plane.shape[0] * plane.shape[1] for plane in history.planes)
    share = _Share(progress, height * width, blocks)
    segment = coder.encode([frame], [list(history.planes)], [Rows(0, 0, MCU_ROWS)], share.advance)
    stream = Differences()
    for plane, steps, wanted in zip(history.planes, history.steps, history.samples, strict=True):
        samples, fraction = samples_of(plane, steps)
        stream.code(wanted.astype(np.int16) - samples, fraction)
    shown = decode(canvas, history.samples, height, width)
    _code_pixels(stream, shown, colours[:, :, : shown.shape[2]])
    return pack_head(head, colours.shape) + alpha + varint(len(segment)) + segment + stream.finish()


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
    colours = colours_of(channels)
    reader = Reader(memoryview(data), 0, HeaderError)
    try:
        head = take_head(reader, (height, width, colours))
        alpha = bytes(reader.take(reader.varint("length of alpha"), "alpha")) if colours < channels else b""
        segment = bytes(reader.take(reader.varint("length of the coefficients"), "coefficients"))
        rest = bytes(reader.take(reader.left, "differences"))
    except HeaderError as error:
        raise CorruptPayloadError(f"a picture that was a JPEG file: {error}") from None
    frame, coder, (canvas, steps) = frame_of(head), coder_of_header(head.model, head.digest), head[:2]
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
    if shown.shape[2] < colours:
        shown = np.ascontiguousarray(np.broadcast_to(shown, (height, width, colours)))
    if colours < channels:
        shown = np.concatenate([shown, rendered.decode_tile(alpha, (height, width, 1), 8, _ignored)], axis=2)
    return shown


def _ignored(_: int) -> None:
    """Progress that is not counted."""


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
