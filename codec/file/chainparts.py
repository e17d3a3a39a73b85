"""The tile of a file whose payload is chained: its fields, apart and together. Standard library only."""

from dataclasses import dataclass

from ..errors import CorruptPayloadError, TruncatedError
from ..fields import Reader, varint
from ..images.modes import CHANNELS
from .container import Container
from .packing import METHODS

__all__ = ["TILE_PIXELS", "ChainParts", "is_sound", "split_chain"]

TILE_PIXELS = 2**18
"""Of the largest tile: a model's memory is a multiple of it."""

MOST_TILES = 2**22
"""Of a picture: 2^28 pixels in tiles of 8x8."""


@dataclass(frozen=True)
class ChainParts:
    """The fields.

    Attributes:
        change: what was done to the samples, see `planes.Change`.
        tile: height and width of a tile, in pixels.
        others: how the planes beside grey or colour are packed, and their bytes; None where the mode has none.
        side: exceptions of calibrated coding; empty for none.
        message: as written down.
    """

    change: int
    tile: tuple[int, int]
    others: tuple[int, bytes] | None
    side: bytes
    message: bytes

    def to_bytes(self) -> bytes:
        """The tile of the file."""
        others = b""
        if self.others is not None:
            method, data = self.others
            others = varint(len(data) * METHODS + method) + data
        head = bytes([self.change]) + varint(self.tile[0]) + varint(self.tile[1])
        return head + others + varint(len(self.side)) + self.side + self.message


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
    others = None
    if other_planes(header.mode):
        number = reader.varint("length of the other planes")
        others = number % METHODS, bytes(reader.take(number // METHODS, "other planes"))
    side = bytes(reader.take(reader.varint("length of the exceptions"), "exceptions"))
    return ChainParts(change, (tall, wide), others, side, bytes(reader.take(reader.left, "message")))


def is_sound(height: int, width: int, tall: int, wide: int) -> bool:
    """Whether there are such tiles, and neither one nor the list of all takes more memory than the picture warrants."""
    if not (1 <= tall <= height and 1 <= wide <= width):
        return False
    return tall * wide <= TILE_PIXELS and -(-height // tall) * -(-width // wide) <= MOST_TILES
