"""One picture by a model that the reader has: all its tiles in one message, so that it pays for one beginning.

Bits-back coding borrows from what the message holds. So tiles are pushed in groups, the first of one tile, each group
at most an eighth as large as what is in the message already: a tile may need as many initial bits as eight tiles bring
in, before more than those of the first are lent. Models that borrow nothing have groups as large as memory allows.

The tile of the file (numbers as in `FORMAT.md`): a byte that says how samples were changed; height and width of a tile;
the planes beside grey or colour, packed; the exceptions of calibrated coding; the message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..entropy.calibrated import FLOAT64_BAND, Calibration
from ..entropy.codecs import Codec
from ..entropy.padding import padded
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
from .chainparts import ChainParts, is_sound, other_planes, split_chain
from .container import DIGEST_BYTES, Box, Container, Header, Payload, boxes, serialise
from .packing import pack, unpack
from .planes import change_for, from_planes, to_planes

__all__ = ["ChainCost", "ImageCoder", "decode_chained", "encode_chained", "group_sizes", "groups_of", "lanes_for"]

GROUP_PIXELS = 2**19
"""Of the tiles that are coded at once, unless one alone has more. Part of the format, as is the eighth."""

BORROWED = 8

LANE_SAMPLES, LEAST_LANES, MOST_LANES = 20_000, 1, 64
BORROWING_LANE_SAMPLES, BORROWING_LEAST_LANES = 8_000, 8
"""Samples for each lane of a message: more are faster, and each costs 38 bits. Borrowing makes many small pushes."""

Shape = tuple[int, int, int, int]
Codecs = Callable[[Calibration, Shape, Callable[[int], None]], Codec[Tensor]]


@dataclass(frozen=True)
class ImageCoder:
    """A model as what codes a picture.

    Attributes:
        name: by which a reader finds it, ASCII.
        digest: of its weights, 4 bytes at least.
        channels: of its images, 1 or 3.
        levels: of its samples.
        borrows: whether a push pops first.
        tile: (height, width) of a picture -> of the tiles that it is cut into.
        fitted: (height, width) of a tile -> of the images that the model takes for it, no smaller.
        codec: (calibration, (B, C, H, W), called with pixels done) -> codec of so many images of a size that it takes.
        band: half the guard band of calibrated coding.
    """

    name: str
    digest: bytes
    channels: int
    levels: int
    borrows: bool
    tile: Callable[[int, int], tuple[int, int]]
    fitted: Callable[[int, int], tuple[int, int]]
    codec: Codecs
    band: float = FLOAT64_BAND


@dataclass(frozen=True)
class ChainCost:
    """What a message holds, in bits.

    Attributes:
        net: information that was added to it.
        initial: lent for bits-back coding.
        side: exceptions of calibrated coding.
    """

    net: float
    initial: float
    side: int


def lanes_for(samples: int, *, borrows: bool, levels: int = 256) -> int:
    """Lanes of a message for so many samples; of few levels each counts for less, by its bits."""
    least, each = (BORROWING_LEAST_LANES, BORROWING_LANE_SAMPLES) if borrows else (LEAST_LANES, LANE_SAMPLES)
    return min(max(least, samples * min(8, (levels - 1).bit_length()) // (8 * each)), MOST_LANES)


def groups_of(parts: Sequence[Box], *, borrows: bool) -> list[list[Box]]:
    """Tiles that are coded together, of one size each, in the order of pushing: the smallest first."""
    found: list[list[Box]] = []
    by_size: dict[tuple[int, int], list[Box]] = {}
    for box in parts:
        by_size.setdefault((box[2] - box[0], box[3] - box[1]), []).append(box)
    pushed = 0
    for (height, width), same in sorted(by_size.items(), key=lambda item: item[0][0] * item[0][1]):
        first = 0
        for count in group_sizes(len(same), height * width, pushed, borrows=borrows):
            found.append(same[first : first + count])
            first += count
        pushed += len(same) * height * width
    return found


def group_sizes(count: int, area: int, pushed: int = 0, *, borrows: bool) -> list[int]:
    """How many of `count` tiles of so many pixels are coded at a time, after so many pixels in the message."""
    sizes: list[int] = []
    while count:
        size = max(1, GROUP_PIXELS // area)
        if borrows:
            size = min(size, max(1, pushed // (BORROWED * area)))
        sizes.append(min(size, count))
        count -= sizes[-1]
        pushed += area * sizes[-1]
    return sizes


def _codec(coder: ImageCoder, calibration: Calibration, shape: Shape, advance: Callable[[int], None]) -> Codec[Tensor]:
    """Of tiles of any size."""
    size = coder.fitted(*shape[2:])
    inner = coder.codec(calibration, (*shape[:2], *size), advance)
    return padded(inner, shape, size, coder.levels)


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
    for group in groups_of(boxes(height, width, tall, wide), borrows=coder.borrows):
        tiles = np.stack([planes[top:bottom, left:right] for top, left, bottom, right in group])
        symbols = torch.from_numpy(tiles.astype(np.int64)).permute(0, 3, 1, 2).contiguous()
        shape = (len(group), *symbols.shape[1:])
        _codec(coder, calibration, shape, advance).push(message, symbols)
    side = calibration.to_bytes() if calibration.parameters else b""
    body = ChainParts(change, (tall, wide), pack(rest) if rest else None, side, message.to_bytes()).to_bytes()
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
        chunks=picture.chunks if source is None or source.remainder is None else (),
        source_format=source.format if source else "",
        source_checksum=source.checksum if source else b"",
        remainder=source.remainder if source else None,
    )
    cost = ChainCost(message.bits - message.lent, message.lent, 8 * len(side))
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
    for group in reversed(groups_of(boxes(height, width, *parts.tile), borrows=coder.borrows)):
        top, left, bottom, right = group[0]
        shape = (len(group), coder.channels, bottom - top, right - left)
        try:
            symbols = _codec(coder, calibration, shape, advance).pop(message)
        except (DistributionError, IntervalError, MessageExhaustedError, SymbolError, UnsupportedImageError) as error:
            raise CorruptPayloadError(f"the message cannot be what the encoder wrote: {error}") from error
        if int(symbols.min()) < 0 or int(symbols.max()) >= coder.levels:
            raise CorruptPayloadError(f"samples from {int(symbols.min())} to {int(symbols.max())}")
        tiles = symbols.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
        for tile, (top, left, bottom, right) in zip(tiles, group, strict=True):
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
