"""One picture by a model that the reader has: all its tiles in one message, so that it pays for one beginning.

Bits-back coding borrows from what the message holds, and what it does not hold is lent, and stays in the file. So
tiles are pushed in groups, and grow with the message: where a model needs as many bits as n times its own tile brings,
a group has an n-th of the pixels before it. The first tiles are halved until they are that small. Small tiles cost some
tenths of their rate, large ones at the beginning several times theirs: a flow borrows some four times what it brings.
The very first are coded without the model, by their neighbours, which takes less than lending. How small and how many
these are is what takes least by an estimate, from some tiles that are coded and thrown away. Models that borrow nothing
have groups as large as memory allows.

The tile of the file (numbers as in `FORMAT.md`): a byte that says how samples were changed; height and width of a tile;
how tiles grow; the planes beside grey or colour, packed; the exceptions of calibrated coding; the message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..entropy.calibrated import Calibration
from ..entropy.codecs import Codec
from ..entropy.neighbours import ByNeighbours
from ..entropy.rans import Message
from ..errors import (
    ChecksumError,
    CorruptPayloadError,
    DistributionError,
    IntervalError,
    LimitError,
    MessageExhaustedError,
    SymbolError,
    UnsupportedImageError,
)
from ..images.picture import Picture, checksum
from ..images.source import Source
from .chainparts import UNIT, ChainParts, Growth, is_sound, other_planes, split_chain
from .container import DIGEST_BYTES, Box, Container, Header, Payload, boxes, serialise
from .groups import BORROWED, Group, area, groups_of, sides
from .growth import growth_for, tiles_of
from .imagecoder import ImageCoder, tile_codec
from .packing import pack, unpack
from .planes import change_for, from_planes, to_planes

__all__ = ["ChainCost", "decode_chained", "encode_chained", "lanes_for"]

LANE_SAMPLES, LEAST_LANES, MOST_LANES = 20_000, 1, 64
BORROWING_LANE_SAMPLES, BORROWING_LEAST_LANES = 8_000, 8
"""Samples for each lane of a message: more are faster, and each costs 38 bits. Borrowing makes many small pushes."""


@dataclass(frozen=True)
class ChainCost:
    """What a message holds, in bits, but for the last.

    Attributes:
        net: information that was added to it.
        initial: lent for bits-back coding.
        side: exceptions of calibrated coding.
        direct: pixels of the picture that are coded without the model.
    """

    net: float
    initial: float
    side: int
    direct: int


def lanes_for(samples: int, *, borrows: bool, levels: int = 256) -> int:
    """Lanes of a message for so many samples; of few levels each counts for less, by its bits."""
    least, each = (BORROWING_LEAST_LANES, BORROWING_LANE_SAMPLES) if borrows else (LEAST_LANES, LANE_SAMPLES)
    return min(max(least, samples * min(8, (levels - 1).bit_length()) // (8 * each)), MOST_LANES)


def _codec_of(
    group: Group, coder: ImageCoder, calibration: Calibration, growth: Growth | None, advance: Callable[[int], None]
) -> Codec[Tensor]:
    shape = (len(group.boxes), coder.channels, *sides(group.boxes[0]))
    if growth is None or not group.direct:
        return tile_codec(coder, calibration, shape, advance)
    advance(shape[0] * shape[2] * shape[3])
    return ByNeighbours(shape, coder.levels, growth.steps)


def _groups(coder: ImageCoder, parts: Sequence[Box], growth: Growth | None) -> list[Group]:
    """Of a file that says or does not say how tiles grow."""
    return groups_of(parts, growth or (Growth(BORROWED * UNIT) if coder.borrows else None), coder.fitted)


def encode_chained(
    picture: Picture,
    coder: ImageCoder,
    report: Callable[[float], None] | None = None,
    source: Source | None = None,
) -> tuple[bytes, ChainCost]:
    """The .dz file of a picture, and what is in its message.

    Args:
        picture: what to code.
        coder: the model.
        report: called with the fraction done.
        source: the file that the picture came from. With its remainder, the picture's metadata is in that.

    Raises:
        UnsupportedImageError: samples that do not become those of the model without loss.
        CodingError: the model cannot code them; see its subclasses.
    """
    pixels, mode = picture.pixels, picture.mode
    height, width = pixels.shape[:2]
    change = change_for(pixels, mode, picture.bits, coder.channels, coder.levels)
    planes, rest = to_planes(pixels, mode, change, coder.channels)
    tall, wide = coder.tile(height, width)
    if not is_sound(height, width, tall, wide):
        raise LimitError(f"an image of {width}x{height} pixels in tiles of {wide}x{tall}")
    calibration = Calibration(coder.band)
    message = Message.lending(lanes_for(planes.size, borrows=coder.borrows, levels=coder.levels))
    advance = _advance(height * width, report)
    parts = boxes(height, width, tall, wide)
    growth = growth_for(coder, planes, parts)
    groups = _groups(coder, parts, growth)
    for group in groups:
        _codec_of(group, coder, calibration, growth, advance).push(message, tiles_of(planes, group))
    side = calibration.to_bytes() if calibration.parameters else b""
    others = pack(rest) if rest else None
    body = ChainParts(change, (tall, wide), growth, others, side, message.to_bytes()).to_bytes()
    header = Header(
        payload=Payload.CHAINED,
        mode=mode,
        width=width,
        height=height,
        checksum=checksum(pixels),
        tile_width=width,
        tile_height=height,
        bits=picture.bits,
        array_ndim=picture.array_ndim,
        model=coder.name,
        digest=coder.digest[:DIGEST_BYTES],
        grown=growth is not None,
        chunks=picture.chunks if source is None or source.remainder is None else (),
        source_format=source.format if source else "",
        source_checksum=source.checksum if source else b"",
        remainder=source.remainder if source else None,
    )
    direct = sum(area(box) for group in groups if group.direct for box in group.boxes)
    cost = ChainCost(message.bits - message.lent, message.lent, 8 * len(side), direct)
    return serialise(header, [body]), cost


def decode_chained(container: Container, coder: ImageCoder, report: Callable[[float], None] | None = None) -> Picture:
    """The picture of a chained file.

    Raises:
        CalibrationError: this machine's arithmetic is outside the guard band.
        ChecksumError: the tile is damaged, or the pixels came out wrong.
        CorruptPayloadError: the message cannot be what the encoder wrote.
        HeaderError: it says something impossible.
        TruncatedError: it ends too early.
    """
    header = container.header
    height, width = header.height, header.width
    parts = split_chain(container)
    rest = b""
    if parts.others is not None:
        rest = unpack(*parts.others, height * width * other_planes(header.mode), CorruptPayloadError)
    message = Message.from_bytes(parts.message)
    calibration = Calibration.from_bytes(parts.side or Calibration(coder.band).to_bytes())
    planes = np.empty((height, width, coder.channels), np.uint8)
    advance = _advance(height * width, report)
    for group in reversed(_groups(coder, boxes(height, width, *parts.tile), parts.growth)):
        try:
            symbols = _codec_of(group, coder, calibration, parts.growth, advance).pop(message)
        except (DistributionError, IntervalError, MessageExhaustedError, SymbolError, UnsupportedImageError) as error:
            raise CorruptPayloadError(f"the message cannot be what the encoder wrote: {error}") from error
        if int(symbols.min()) < 0 or int(symbols.max()) >= coder.levels:
            raise CorruptPayloadError(f"samples from {int(symbols.min())} to {int(symbols.max())}")
        tiles = symbols.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
        for tile, (top, left, bottom, right) in zip(tiles, group.boxes, strict=True):
            planes[top:bottom, left:right] = tile
    calibration.finish()
    if not message.is_lent_only:
        raise CorruptPayloadError(f"{message.bits:.0f} bits are left in the message that no encoder began with")
    pixels = from_planes(planes, rest, header.mode, parts.change)
    if (found := checksum(pixels)) != header.checksum:
        raise ChecksumError(f"the pixels are wrong: their checksum is {found.hex()}, not {header.checksum.hex()}")
    return Picture(pixels, header.mode, header.bits, header.chunks, header.array_ndim)


def _advance(total: int, report: Callable[[float], None] | None) -> Callable[[int], None]:
    done = 0

    def advance(pixels: int) -> None:
        nonlocal done
        done += pixels
        if report is not None:
            report(min(1.0, done / total))

    return advance
