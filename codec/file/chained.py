"""One picture by a model that the reader has: all its tiles in one message, so that it pays for one beginning.

Bits-back coding borrows from what the message holds, and what it does not hold is lent, and stays in the file. So
tiles are pushed in groups, and grow with the message: where a model needs as many bits as n times its own tile brings,
a group has an n-th of the pixels before it. The first tiles are halved until they are that small, or as small as the
model takes them. Small tiles cost some tenths of their rate, large ones at the beginning several times theirs: a flow
borrows some ten times what it brings. The very first are coded without the model, by their neighbours, which takes less
than lending. Models that borrow nothing have groups as large as memory allows.

The tile of the file (numbers as in `FORMAT.md`): a byte that says how samples were changed; height and width of a tile;
n, and scales for the first ones; the planes beside grey or colour, packed; the exceptions of calibrated coding; the
message.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..entropy.calibrated import FLOAT64_BAND, Calibration
from ..entropy.codecs import Codec
from ..entropy.neighbours import ByNeighbours, step_for
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
from .chainparts import (
    HALVED,
    LEAST_STEP,
    MOST_NEED,
    MOST_STEP,
    NEED_UNIT,
    ChainParts,
    is_sound,
    other_planes,
    split_chain,
)
from .container import DIGEST_BYTES, Box, Container, Header, Payload, boxes, serialise
from .packing import pack, unpack
from .planes import change_for, from_planes, to_planes

__all__ = ["ChainCost", "ImageCoder", "decode_chained", "encode_chained", "group_sizes", "groups_of", "lanes_for"]

GROUP_PIXELS = 2**19
"""Of the tiles that are coded at once, unless one alone has more. Part of the format, as are the numbers below."""

BORROWED = 8
"""Times its own rate is what an image of a batch is taken to need, and a tile of a file that does not say."""

LEAST_SIDE = 8
"""Of tiles that are parts of others, in pixels; the model may take only larger ones."""

PROBES, MARGIN = 5, 1.5
"""Tiles by which the need is found, and by how much more is taken: a picture may begin with what brings little."""

BEGUN = 8
"""The first tiles are coded without the model while they are at most so small a part of the picture; the smallest ones
are as large as that allows."""

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


class Group(NamedTuple):
    """Tiles that are coded together, of one size.

    Attributes:
        boxes: of the tiles.
        direct: whether without the model, so that it has something to borrow.
    """

    boxes: list[Box]
    direct: bool


def groups_of(parts: Sequence[Box], need: int, least: int | None) -> list[Group]:
    """All groups, in the order of pushing.

    Args:
        parts: the tiles of a picture.
        need: what one borrows over what it brings, in units of 1 / NEED_UNIT; 0 if it borrows nothing.
        least: at multiples of so many pixels tiles are halved, and some are direct; None if neither is so.
    """
    sizes = list(dict.fromkeys((bottom - top, right - left) for top, left, bottom, right in parts))
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    left = deque(sorted(parts, key=lambda box: by_area.index((box[2] - box[0], box[3] - box[1]))))
    groups: list[Group] = []
    pushed, begun = 0, sum(_area(box) for box in parts) // BEGUN
    while left:
        room = min(GROUP_PIXELS, pushed * NEED_UNIT // need) if need else GROUP_PIXELS
        box = left.popleft()
        while least and _area(box) > room and len(halves := _halves(box, least)) > 1:
            box = halves[0]
            left.appendleft(halves[1])
        group = [box]
        while left and _sides(left[0]) == _sides(box) and (len(group) + 1) * _area(box) <= room:
            group.append(left.popleft())
        area = len(group) * _area(box)
        groups.append(Group(group, least is not None and area > room and pushed + area <= begun))
        pushed += area
    return groups


def _sides(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _halves(box: Box, least: int) -> list[Box]:
    """The longer side cut at the multiple of `least` at its half, or the next after it; a short one is left whole."""
    top, left, bottom, right = box
    height, width = _sides(box)
    half = -(-max(height, width) // (2 * least)) * least
    if half >= max(height, width):
        return [box]
    if height > width:
        return [(top, left, top + half, right), (top + half, left, bottom, right)]
    return [(top, left, bottom, left + half), (top, left + half, bottom, right)]


def group_sizes(count: int, area: int, *, borrows: bool) -> list[int]:
    """How many of `count` images of so many pixels are coded at a time."""
    sizes: list[int] = []
    pushed = 0
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


def _codec_of(
    group: Group, coder: ImageCoder, calibration: Calibration, steps: tuple[int, int], advance: Callable[[int], None]
) -> Codec[Tensor]:
    top, left, bottom, right = group.boxes[0]
    shape = (len(group.boxes), coder.channels, bottom - top, right - left)
    if not group.direct:
        return _codec(coder, calibration, shape, advance)
    advance(shape[0] * shape[2] * shape[3])
    return ByNeighbours(shape, coder.levels, steps)


def _groups(coder: ImageCoder, parts: Sequence[Box], need: int | None) -> list[Group]:
    """Of a file that says or does not say what tiles borrow."""
    if need is None:
        return groups_of(parts, BORROWED * NEED_UNIT if coder.borrows else 0, None)
    least = max(LEAST_SIDE, *coder.fitted(1, 1))
    while 4 * least**2 * need * BEGUN <= NEED_UNIT * sum(_area(box) for box in parts):
        least *= 2
    return groups_of(parts, need, least if need >= HALVED else None)


def _tiles(planes: NDArray[np.uint8], group: Group) -> Tensor:
    """Of a group: int64 [B, C, H, W]."""
    tiles = np.stack([planes[top:bottom, left:right] for top, left, bottom, right in group.boxes])
    return torch.from_numpy(tiles.astype(np.int64)).permute(0, 3, 1, 2).contiguous()


def _need(coder: ImageCoder, planes: NDArray[np.uint8], parts: Sequence[Box]) -> int | None:
    """What tiles borrow over what they bring, by coding some small ones; None if the model borrows nothing."""
    if not coder.borrows:
        return None
    tall, wide = _sides(_groups(coder, parts, MOST_NEED)[0].boxes[0])
    height, width = planes.shape[:2]
    lent, brought = 0.0, 1.0
    for number in range(PROBES):  # along the diagonal
        top, left = (height - tall) * number // (PROBES - 1), (width - wide) * number // (PROBES - 1)
        tile = _tiles(planes, Group([(top, left, top + tall, left + wide)], direct=False))
        message = Message.lending(1)
        _codec(coder, Calibration(coder.band), (1, *tile.shape[1:]), lambda pixels: None).push(message, tile)
        lent, brought = lent + message.lent, brought + max(0.0, message.bits - message.lent)
    return min(max(1, math.ceil(MARGIN * NEED_UNIT * lent / brought)), MOST_NEED)


def _steps(coder: ImageCoder, planes: NDArray[np.uint8], groups: Sequence[Group]) -> tuple[int, int]:
    """Of the scales that fit the tiles that are coded without the model."""
    found: list[tuple[Tensor, Tensor]] = []
    for group in groups:
        if group.direct:
            tiles = _tiles(planes, group)
            found.append(ByNeighbours((len(tiles), *tiles.shape[1:]), coder.levels, (0, 0)).distances(tiles))
    both = [torch.cat(part) for part in zip(*found, strict=True)] if found else [torch.zeros(0)] * 2
    steps = range(LEAST_STEP, MOST_STEP + 1)
    first, others = (step_for(float(part.mean()) if part.numel() else 0.0, steps) for part in both)
    return first, others


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
    need = _need(coder, planes, parts)
    groups = _groups(coder, parts, need)
    steps = _steps(coder, planes, groups)
    for group in groups:
        _codec_of(group, coder, calibration, steps, advance).push(message, _tiles(planes, group))
    side = calibration.to_bytes() if calibration.parameters else b""
    others = pack(rest) if rest else None
    body = ChainParts(change, (tall, wide), need, steps, others, side, message.to_bytes()).to_bytes()
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
        grown=need is not None,
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
    for group in reversed(_groups(coder, boxes(height, width, *parts.tile), parts.need)):
        try:
            symbols = _codec_of(group, coder, calibration, parts.steps, advance).pop(message)
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
