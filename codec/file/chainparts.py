"""The tile of a file whose payload is chained: its fields, apart and together. Standard library only."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import frexp

from ..errors import CorruptPayloadError, TruncatedError, UsageError
from ..fields import Reader, varint
from ..images.modes import CHANNELS
from .container import Container
from .packing import METHODS

__all__ = [
    "LEAST_STEP",
    "MOST_DIRECT",
    "MOST_NEED",
    "MOST_STEP",
    "MOST_WORTH",
    "SIDES",
    "TILE_PIXELS",
    "UNIT",
    "ChainParts",
    "Growth",
    "is_sound",
    "split_chain",
]

TILE_PIXELS = 2**18
"""Of the largest tile: a model's memory is a multiple of it."""

COUNTS, SIDE_HEAD = 8, 12
"""Bytes before a message, and before exceptions, as they are written elsewhere; here they are shorter."""

UNIT = 16
"""Of a need and a worth, as they are in the file."""

MOST_NEED, MOST_WORTH, MOST_DIRECT = 64 * UNIT, 255, 255
"""The last: tiles without the model."""

SIDES = (2, 9)
"""log2 of the least and of the largest side of the smallest tiles."""

LEAST_STEP, MOST_STEP = 8, 95
"""Of a scale; see `entropy.neighbours`."""

GROWN = 16
"""Bit of the first byte: tiles grow with the message. Since version 9."""

MOST_TILES = 2**22
"""Of a picture: 2^28 pixels in tiles of 8x8."""


@dataclass(frozen=True)
class Growth:
    """How tiles grow with the message.

    Attributes:
        need: what a tile borrows over what it brings, in units of 1 / UNIT.
        side: at multiples of so many pixels tiles are halved, a power of 2; 0 if they are whole.
        direct: of halved tiles, how many of the first are coded without the model.
        worth: what one of these brings over what the model would, in units of 1 / UNIT.
        steps: of the scales by which they are coded, see `entropy.neighbours`.
    """

    need: int
    side: int = 0
    direct: int = 0
    worth: int = UNIT
    steps: tuple[int, int] = (LEAST_STEP, LEAST_STEP)

    def to_bytes(self) -> bytes:
        """As in the file."""
        head = varint(self.need) + bytes([max(0, self.side.bit_length() - 1)])
        if not self.side:
            return head
        return head + bytes([self.direct]) + (bytes([self.worth, *self.steps]) if self.direct else b"")

    @staticmethod
    def read(reader: Reader) -> Growth:
        """From the file."""
        need, log = reader.varint("what tiles borrow"), reader.take(1, "side of the smallest tiles")[0]
        if not 1 <= need <= MOST_NEED:
            raise CorruptPayloadError(f"tiles that borrow {need}/{UNIT} of what they bring")
        if not log:
            return Growth(need)
        if not SIDES[0] <= log <= SIDES[1]:
            raise CorruptPayloadError(f"smallest tiles with sides of 2^{log}; the exponent is {SIDES[0]} to {SIDES[1]}")
        direct = reader.take(1, "number of direct tiles")[0]
        if not direct:
            return Growth(need, 1 << log)
        worth, first, second = reader.take(3, "worth and scales of direct tiles")
        if not worth or not all(LEAST_STEP <= step <= MOST_STEP for step in (first, second)):
            raise CorruptPayloadError(
                f"direct tiles of worth {worth}, which is not 0, and scales {first} and {second}, which are "
                f"{LEAST_STEP} to {MOST_STEP}"
            )
        return Growth(need, 1 << log, direct, worth, (first, second))


@dataclass(frozen=True)
class ChainParts:
    """The fields.

    Attributes:
        change: what was done to the samples, see `planes.Change`.
        tile: height and width of a tile, in pixels.
        growth: how tiles grow; None if the file does not say, as where they borrow nothing.
        others: how the planes beside grey or colour are packed, and their bytes; None where the mode has none.
        side: exceptions of calibrated coding, as `Calibration.to_bytes` has them; empty for none.
        message: as `Message.to_bytes` has it.
    """

    change: int
    tile: tuple[int, int]
    growth: Growth | None
    others: tuple[int, bytes] | None
    side: bytes
    message: bytes

    def to_bytes(self) -> bytes:
        """The tile of the file."""
        others = b""
        if self.others is not None:
            method, data = self.others
            others = varint(len(data) * METHODS + method) + data
        head = bytes([self.change | GROWN * (self.growth is not None)]) + varint(self.tile[0]) + varint(self.tile[1])
        if self.growth is not None:
            head += self.growth.to_bytes()
        side = _short_side(self.side) if self.side else b""
        lanes, words = struct.unpack_from("<II", self.message)
        return head + others + varint(len(side)) + side + varint(lanes) + varint(words) + self.message[COUNTS:]


def other_planes(mode: str) -> int:
    """Channels beside those of grey or colour: 1 for alpha."""
    return CHANNELS[mode] - colours(mode)


def colours(mode: str) -> int:
    """Channels of grey or colour."""
    return 3 if CHANNELS[mode] >= 3 else 1


def split_chain(container: Container) -> ChainParts:
    """The fields of a chained file.

    Raises:
        ChecksumError: the tile is damaged.
        CorruptPayloadError: tiles that no encoder makes.
        TruncatedError: it ends too early.
    """
    header, reader = container.header, Reader(container.tile(0), 0, TruncatedError)
    change = reader.take(1, "change of samples")[0]
    tall, wide = reader.varint("height of a tile"), reader.varint("width of a tile")
    if not is_sound(header.height, header.width, tall, wide):
        raise CorruptPayloadError(f"tiles of {wide}x{tall} pixels in an image of {header.width}x{header.height}")
    if bool(change & GROWN) != header.grown:
        raise CorruptPayloadError(f"a first byte of {change} in a file of version {container.version}")
    growth = Growth.read(reader) if header.grown else None
    others = None
    if other_planes(header.mode):
        number = reader.varint("length of the other planes")
        others = number % METHODS, bytes(reader.take(number // METHODS, "other planes"))
    short = reader.take(reader.varint("length of the exceptions"), "exceptions")
    side = _whole_side(short) if len(short) else b""
    lanes, words = reader.varint("number of lanes"), reader.varint("number of words")
    if max(lanes, words) >= 2**32:
        raise CorruptPayloadError(f"a message of {lanes} lanes and {words} words")
    message = struct.pack("<II", lanes, words) + bytes(reader.take(reader.left, "message"))
    return ChainParts(change & ~GROWN, (tall, wide), growth, others, side, message)


def _short_side(side: bytes) -> bytes:
    """Exceptions with a head of some 5 bytes, from those with one of 12."""
    size, shift, band = int.from_bytes(side[:7], "little"), side[7], struct.unpack_from("<f", side, 8)[0]
    digits, exponent = frexp(band)
    if digits != 0.5:
        raise UsageError(f"a guard band of {band}, which is no power of two")
    return varint(size) + bytes([shift, 1 - exponent]) + side[SIDE_HEAD:]


def _whole_side(short: memoryview) -> bytes:
    """The inverse."""
    reader = Reader(short, 0, TruncatedError)
    size = reader.varint("number of parameters")
    shift, exponent = reader.take(2, "shift and guard band")
    if size >= 2**56:
        raise CorruptPayloadError(f"exceptions of {size} parameters")
    band = struct.pack("<f", 2.0**-exponent)
    return size.to_bytes(7, "little") + bytes([shift]) + band + bytes(reader.take(reader.left, "exceptions"))


def is_sound(height: int, width: int, tall: int, wide: int) -> bool:
    """Whether there are such tiles, and neither one nor the list of all takes more memory than the picture warrants."""
    if not (1 <= tall <= height and 1 <= wide <= width):
        return False
    return tall * wide <= TILE_PIXELS and -(-height // tall) * -(-width // wide) <= MOST_TILES
