"""Pictures in which rows and columns repeat the one before: enlargements by the nearest pixel, and flat margins.

What repeats is left out, and what is left is coded as a picture of its own, by any coder; the tile says which rows and
columns are missing.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ..errors import CorruptPayloadError, FormatError, HeaderError
from ..fields import Reader, text, varint
from ..images.picture import Array
from .container import DIGEST_BYTES, Container, Header, Payload
from .packing import METHODS, pack, unpack

__all__ = ["DIGEST", "NAME", "Shrunk", "shrink", "unwrap", "wrap"]

NAME = "enlarged"
# These four bytes stand for the layout of a tile.
DIGEST = b"\0\0\0\1"
# It is tried where so many pixels are left, as a share of all.
WORTHWHILE = 0.75
# What nearly all pictures show in their first rows: that no column repeats another.
FIRST_LOOK = 16
MOST_REPEATS = 255
# No longer sides are looked at, so that lists of rows take little memory.
LONGEST_SIDE = 2**24

Mask = npt.NDArray[np.bool_]


class Shrunk(NamedTuple):
    """A picture without what repeats.

    Attributes:
        pixels: what is left. [h, w, C]
        rows: which rows of the picture are left. [H]
        columns: which columns. [W]
    """

    pixels: Array
    rows: Mask
    columns: Mask

    @property
    def even(self) -> bool:
        """Whether all rows and columns repeat about as often: an enlargement, not a picture with margins."""
        return all(np.diff(np.flatnonzero(mask)).max(initial=0) <= 2 * mask.size / mask.sum() for mask in self.masks)

    @property
    def masks(self) -> tuple[Mask, Mask]:
        """Of rows, of columns."""
        return self.rows, self.columns


def shrink(pixels: Array) -> Shrunk | None:
    """Leave out every row and column that repeats the one before; None where that is not worth it. Fast on photographs.

    Args:
        pixels: [H, W, C].
    """
    if max(pixels.shape[:2]) > LONGEST_SIDE:
        return None
    rows, columns = _news(pixels), _news(pixels.swapaxes(0, 1))
    if rows.sum() * columns.sum() > WORTHWHILE * rows.size * columns.size:
        return None
    return Shrunk(cast(Array, np.ascontiguousarray(pixels[rows][:, columns])), rows, columns)


def _news(pixels: Array) -> Mask:
    """Which rows [H] differ from the one before."""
    height, width = pixels.shape[:2]
    news = np.ones(height, bool)
    step = max(1, width // FIRST_LOOK)
    news[1:] = (pixels[1:, ::step] != pixels[:-1, ::step]).any(axis=(1, 2))
    for y in np.flatnonzero(~news):
        news[y] = bool((pixels[y] != pixels[y - 1]).any())
    return news


def wrap(shrunk: Shrunk, inner: Header, tiles: Sequence[bytes]) -> bytes:
    """The tile of a picture.

    Args:
        shrunk: what is left of it, and of which rows and columns.
        inner: how that was coded; only payload, model, digest and the size of tiles count.
        tiles: the coded bytes.
    """
    factors = [_factor(mask) for mask in shrunk.masks]
    head = bytes(factors)
    for mask, factor in zip(shrunk.masks, factors, strict=True):
        if not factor:
            method, packed = pack(np.packbits(mask).tobytes())
            head += bytes([method]) + varint(len(packed)) + packed
    head += bytes([inner.payload])
    if inner.payload is Payload.MODEL:
        head += text(inner.model) + inner.digest
    head += varint(inner.tile_width) + varint(inner.tile_height)
    return b"".join([head, *(varint(len(tile)) for tile in tiles), *tiles])


def _factor(mask: Mask) -> int:
    """How often each row stands, the last one perhaps less often; or 0."""
    factor = int(np.argmax(mask[1:])) + 1 if mask[1:].any() else mask.size
    return factor if factor <= MOST_REPEATS and (mask == (np.arange(mask.size) % factor == 0)).all() else 0


def unwrap(container: Container) -> tuple[Container, Mask, Mask]:
    """What is coded in the tile of an enlarged picture, as a container, and which rows and columns it holds.

    Raises:
        ChecksumError: the tile is damaged.
        CorruptPayloadError: `wrap` cannot have written it.
    """
    header = container.header
    if header.tiles != 1:
        raise CorruptPayloadError(f"an enlarged picture in {header.tiles} tiles")
    tile = container.tile(0)
    try:
        return _unwrapped(header, Reader(tile, 0, HeaderError))
    except FormatError as error:
        raise CorruptPayloadError(f"the tile of an enlarged picture: {error}") from None


def _unwrapped(header: Header, reader: Reader) -> tuple[Container, Mask, Mask]:
    if max(header.height, header.width) > LONGEST_SIDE:
        raise CorruptPayloadError(f"an enlarged picture of {header.width}x{header.height}; sides end at {LONGEST_SIDE}")
    factors = bytes(reader.take(2, "factors"))
    sides = header.height, header.width
    rows, columns = (_read_mask(reader, side, factor) for factor, side in zip(factors, sides, strict=True))
    kind = reader.take(1, "payload kind")[0]
    model, digest = "", b""
    if kind == Payload.MODEL:
        model, digest = reader.text("model"), bytes(reader.take(DIGEST_BYTES, "digest"))
    if kind not in (Payload.MODEL, Payload.WEBP, Payload.PNG) or model == NAME:
        raise CorruptPayloadError(f"payload kind {kind} {model} in an enlarged picture")
    height, width = int(rows.sum()), int(columns.sum())
    tile_width, tile_height = reader.varint("tile width"), reader.varint("tile height")
    if not (1 <= tile_width <= width and 1 <= tile_height <= height):
        raise CorruptPayloadError(f"tiles of {tile_width}x{tile_height} in a picture of {width}x{height}")
    inner = replace(
        header,
        payload=Payload(kind),
        model=model,
        digest=digest,
        height=height,
        width=width,
        tile_height=tile_height,
        tile_width=tile_width,
    )
    if inner.tiles > reader.left:
        raise CorruptPayloadError(f"{inner.tiles} tiles in {reader.left} bytes")
    lengths = [reader.varint("length of a tile") for _ in range(inner.tiles)]
    parts = tuple(reader.take(length, "tile") for length in lengths)
    if reader.left:
        raise CorruptPayloadError(f"{reader.left} bytes behind the last tile")
    # The outer tile's CRC has been checked already.
    return Container(inner, 0, 0, tuple((part, zlib.crc32(part)) for part in parts)), rows, columns


def _read_mask(reader: Reader, side: int, factor: int) -> Mask:
    if factor:
        mask = np.zeros(side, np.bool_)
        mask[::factor] = True
        return mask
    method = reader.take(1, "packing")[0]
    packed = reader.take(reader.varint("packed length"), "packed rows or columns")
    if method >= METHODS:
        raise CorruptPayloadError(f"packing {method}")
    bits = unpack(method, packed, -(-side // 8), CorruptPayloadError)
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=side).astype(np.bool_)
    if not mask[0]:
        raise CorruptPayloadError("a first row or column that repeats another")
    return mask
