"""The bytes of a .dz file: parse and serialise, nothing else. `FORMAT.md` is this file in prose.

Standard library only, so that reading a header needs no other import.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from ..errors import (
    BadMagicError,
    ChecksumError,
    HeaderError,
    LimitError,
    TrailingDataError,
    TruncatedError,
    UnsupportedVersionError,
)
from ..fields import Reader, text, varint
from ..images.modes import (
    ARRAY_CHUNK,
    CHANNELS,
    CHECKSUM_BYTES,
    MODES,
    NATURAL_BITS,
    SOURCE_CHECKSUM_BYTES,
    SOURCE_FORMATS,
    SUB_BITS,
    Chunk,
)
from .metadata import pack_chunks, unpack_chunks
from .packing import METHOD_SHIFT, pack_remainder, take_packing, unpack_remainder

__all__ = [
    "FORMAT_VERSION",
    "MAGIC",
    "MOST_PREVIEW",
    "Box",
    "Container",
    "Header",
    "Payload",
    "boxes",
    "check_magic",
    "parse",
    "serialise",
]

MAGIC = b"\x89DZ\n"
FORMAT_VERSION = 9
OLDEST_VERSION = 2
# A file has the oldest version that says what it says: coded batches came with version 3, with version 4 the file that
# an image came from, with version 5 recoded JPEG files and chained tiles, with version 6 arrays of other kinds, with
# version 7 previews, with version 9 chained tiles that grow: in version 8, which no release wrote, in another way.
BATCH_VERSION = 3
SOURCE_VERSION = 4
RECODED_VERSION = 5
ARRAY_VERSION = 6
PREVIEW_VERSION = 7
UNREAD_VERSION = 8
GROWN_VERSION = 9

CRC_BYTES = 4
DIGEST_BYTES = 4
# A tile's entry in the header takes at least one byte of length and four of CRC.
MIN_TILE_ENTRY = 1 + CRC_BYTES
MAX_SIDE = 2**32 - 1
MAX_JPEG_SIDE = 2**16 - 1
MOST_PREVIEW = 4096
"""Bytes of a preview."""

KIND_MASK = 0x07
# The mode of a JPEG file that is neither grey nor of three colours.
NO_MODE = 15
FLAG_TILED = 0x08
FLAG_METADATA = 0x10
FLAG_LOSSY = 0x20
ARRAY_SHIFT = 6
# Of the byte that says what file an image came from.
FORMAT_MASK = 0x1F
FLAG_EXACT = 0x20
FLAG_REMAINDER = 0x40

Box = tuple[int, int, int, int]  # top, left, bottom, right


class Payload(IntEnum):
    """What the tiles are."""

    MODEL = 0  # coded by a portable model
    WEBP = 1  # lossless WebP
    PNG = 2  # PNG, pixels only
    STORED = 3  # the bytes of the input file
    BATCH = 4  # images of one size below one another, coded together by a model that runs elsewhere
    FILE = 5  # the bytes of an input file whose pixels were not looked at, packed
    JPEG = 6  # a JPEG file: its outline, and segments of its coefficients, coded by a portable model
    CHAINED = 7  # tiles in one message, coded by a model that the reader finds by its name and digest


NAMING = (Payload.MODEL, Payload.BATCH, Payload.CHAINED)
"""Those that say by which model they were coded."""


@dataclass(frozen=True)
class Header:
    """Everything in a .dz file that is not a tile.

    Attributes:
        payload: what the tiles are.
        mode: one of `MODES`; empty for a FILE, and for a JPEG of other colours than grey and RGB.
        width: in pixels; 0 for a FILE.
        height: in pixels; 0 for a FILE.
        checksum: BLAKE2b with 8 bytes of output, over the samples (over the input file for STORED, FILE and JPEG).
        tile_width: in pixels; the right-most tiles may be narrower.
        tile_height: in pixels; the lowest tiles may be lower.
        bits: bits per sample of the source.
        array_ndim: 0 where an image went in, 2 or 3 for an array [H, W] or [H, W, C].
        lossy: the input file was lossy, and is stored.
        model: name of the model; empty unless the payload is a model's, or JPEG.
        digest: 4 bytes that name the model's weights; empty unless the payload is a model's.
        stored_format: extension of the input file without a dot; empty unless the payload is STORED, FILE or JPEG.
        chunks: metadata, as (name, data) of PNG chunks. That of a file is in its remainder, not here.
        source_format: one of `SOURCE_FORMATS`: that of the file that the image came from; empty for images and arrays.
        source_checksum: BLAKE2b with 4 bytes of output over that file, if it comes back byte for byte; else empty.
        remainder: all of that file but its pixels; None if it is not kept.
        packing: how a FILE is packed, and its length unpacked.
        length: of the input file, if the payload is JPEG.
        segments: of a JPEG; its first tile is the outline, which those follow.
        preview: a small WebP or JPEG file of the picture, upright; empty where there is none.
        grown: whether the tiles of a chained file grow with its message.
    """

    payload: Payload
    mode: str
    width: int
    height: int
    checksum: bytes
    tile_width: int
    tile_height: int
    bits: int
    array_ndim: int = 0
    lossy: bool = False
    model: str = ""
    digest: bytes = b""
    stored_format: str = ""
    chunks: tuple[Chunk, ...] = ()
    source_format: str = ""
    source_checksum: bytes = b""
    remainder: bytes | None = None
    packing: tuple[int, int] = (0, 0)
    length: int = 0
    segments: int = 0
    preview: bytes = b""
    grown: bool = False

    @property
    def channels(self) -> int:
        """Samples per pixel."""
        return CHANNELS.get(self.mode, 0)

    @property
    def sample_bytes(self) -> int:
        """1 or 2."""
        return 2 if self.mode.endswith(";16") else 1

    @property
    def is_sheet(self) -> bool:
        """Whether the picture is the planes of an array that is no image."""
        return bool(self.array_ndim) and any(name == ARRAY_CHUNK for name, _ in self.chunks)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        if self.payload is Payload.FILE:
            return 1
        if self.payload is Payload.JPEG:
            return 1 + self.segments
        return -(-self.width // self.tile_width) * -(-self.height // self.tile_height)

    def boxes(self) -> list[Box]:
        """The tiles, row by row."""
        return boxes(self.height, self.width, self.tile_height, self.tile_width)


@dataclass(frozen=True)
class Container:
    """A parsed .dz file.

    Attributes:
        header: its header.
        version: its format version.
        size: of the whole file in bytes.
    """

    header: Header
    version: int
    size: int
    _parts: tuple[tuple[memoryview, int], ...]

    def tile(self, index: int) -> memoryview:
        """The bytes of one tile, after its CRC has been checked.

        Raises:
            ChecksumError: the tile is damaged.
        """
        data, expected = self._parts[index]
        found = zlib.crc32(data)
        if found != expected:
            raise ChecksumError(
                f"tile {index + 1} of {len(self._parts)} is damaged: "
                f"its CRC is {found:08x}, the header says {expected:08x}"
            )
        return data


def boxes(height: int, width: int, tile_height: int, tile_width: int) -> list[Box]:
    """The tiles of an image, row by row; the last of each row and column may be smaller."""
    return [
        (top, left, min(top + tile_height, height), min(left + tile_width, width))
        for top in range(0, height, tile_height)
        for left in range(0, width, tile_width)
    ]


def serialise(header: Header, tiles: Sequence[bytes]) -> bytes:
    """Lay out a .dz file.

    Raises:
        LimitError: a side, the metadata or the preview is larger than the format allows.
    """
    if max(header.width, header.height) > MAX_SIDE:
        raise LimitError(f"an image of {header.width}x{header.height} pixels: sides end at {MAX_SIDE}")
    if len(header.preview) > MOST_PREVIEW:
        raise LimitError(f"a preview of {len(header.preview)} bytes: the limit is {MOST_PREVIEW}")
    if header.tiles != len(tiles):
        raise ValueError(f"{len(tiles)} tiles for a grid of {header.tiles}")
    if header.payload is Payload.FILE:
        body = _file_fields(header)
    elif header.payload is Payload.JPEG:
        body = _jpeg_fields(header)
    else:
        body = _image_fields(header, len(tiles) > 1)
    for tile in tiles:
        body += varint(len(tile)) + zlib.crc32(tile).to_bytes(CRC_BYTES, "little")
    if header.chunks:
        body += pack_chunks(header.chunks)
    if header.remainder is not None:
        body += pack_remainder(header.remainder)
    if _version(header) >= PREVIEW_VERSION:
        body += varint(len(header.preview)) + header.preview
    head = MAGIC + bytes([_version(header)]) + varint(len(body)) + body
    return b"".join([head, zlib.crc32(head).to_bytes(CRC_BYTES, "little"), *tiles])


def _version(header: Header) -> int:
    if header.grown:
        return GROWN_VERSION
    if header.preview:
        return PREVIEW_VERSION
    if header.is_sheet:
        return ARRAY_VERSION
    small_png = header.payload is Payload.PNG and header.sample_bytes == 1
    if header.payload in (Payload.JPEG, Payload.CHAINED):
        return RECODED_VERSION
    if header.source_format or header.payload is Payload.FILE or small_png:
        return SOURCE_VERSION
    return BATCH_VERSION if header.payload is Payload.BATCH else OLDEST_VERSION


def _file_fields(header: Header) -> bytes:
    method, length = header.packing
    flags = bytes([header.payload | (FLAG_LOSSY if header.lossy else 0)])
    return flags + text(header.stored_format) + varint(length << METHOD_SHIFT | method) + header.checksum


def _jpeg_fields(header: Header) -> bytes:
    mode = MODES.index(header.mode) if header.mode else NO_MODE
    body = bytes([header.payload | (FLAG_LOSSY if header.lossy else 0), mode]) + text(header.stored_format)
    body += varint(header.width) + varint(header.height) + text(header.model) + header.digest
    return body + varint(header.length) + varint(header.segments) + header.checksum


def _image_fields(header: Header, tiled: bool) -> bytes:
    body = bytearray()
    body.append(
        header.payload
        | (FLAG_TILED if tiled else 0)
        | (FLAG_METADATA if header.chunks else 0)
        | (FLAG_LOSSY if header.lossy else 0)
        | (max(0, header.array_ndim - 1) << ARRAY_SHIFT)
    )
    natural = NATURAL_BITS.get(header.mode, 16)
    body.append(MODES.index(header.mode) | (0 if header.bits == natural else header.bits) << 4)
    if _version(header) >= SOURCE_VERSION:
        body.append(
            SOURCE_FORMATS.index(header.source_format)
            | (FLAG_EXACT if header.source_checksum else 0)
            | (0 if header.remainder is None else FLAG_REMAINDER)
        )
    body += varint(header.width) + varint(header.height)
    if header.payload in NAMING:
        body += text(header.model) + header.digest
    if header.payload is Payload.STORED:
        body += text(header.stored_format)
    if tiled:
        body += varint(header.tile_width) + varint(header.tile_height)
    return bytes(body + header.checksum + header.source_checksum)


def check_magic(head: bytes | memoryview) -> None:
    """Refuse what is no .dz file from its first bytes.

    Raises:
        BadMagicError: no .dz file begins like this.
    """
    magic = bytes(head[: len(MAGIC)])
    if magic != MAGIC[: len(magic)]:
        raise BadMagicError(f"not a densezip file: it begins with {magic.hex(' ')}, not {MAGIC.hex(' ')}")


def parse(data: bytes | bytearray | memoryview) -> Container:
    """Read a .dz file's header and find its tiles, whose CRCs are checked when they are taken.

    Allocates no more than the header's own length, and `MAX_METADATA` bytes of metadata.

    Raises:
        BadMagicError: not a .dz file.
        UnsupportedVersionError: a version that this reader does not know.
        TruncatedError: the data ends too early.
        TrailingDataError: the data goes on after the last tile.
        ChecksumError: the header is damaged.
        HeaderError: the header says something impossible.
    """
    view = memoryview(data).cast("B")
    check_magic(view)
    if len(view) <= len(MAGIC):
        raise TruncatedError(f"the file ends after {len(view)} bytes, inside its first field")
    version = view[len(MAGIC)]
    if not OLDEST_VERSION <= version <= FORMAT_VERSION or version == UNREAD_VERSION:
        known = f"{OLDEST_VERSION} to {UNREAD_VERSION - 1} and {FORMAT_VERSION}"
        raise UnsupportedVersionError(f"format version {version}; this program reads versions {known}")
    outer = Reader(view, len(MAGIC) + 1, TruncatedError)
    length = outer.varint("header length")
    body = outer.take(length, "header")
    crc = zlib.crc32(view[: outer.position])
    expected = int.from_bytes(outer.take(CRC_BYTES, "header CRC"), "little")
    if crc != expected:
        raise ChecksumError(f"the header is damaged: its CRC is {crc:08x}, the file says {expected:08x}")
    header, entries = _parse_body(Reader(body, 0, HeaderError), version)
    if version < _version(header):
        raise HeaderError(f"format version {version} for what came with version {_version(header)}")
    parts = []
    for number, (size, tile_crc) in enumerate(entries, 1):
        parts.append((outer.take(size, f"tile {number} of {len(entries)}"), tile_crc))
    if outer.position != len(view):
        raise TrailingDataError(f"{len(view) - outer.position} bytes follow the end of the file's last part")
    return Container(header, version, len(view), tuple(parts))


def _parse_body(reader: Reader, version: int) -> tuple[Header, list[tuple[int, int]]]:
    flags = reader.take(1, "flags")[0]
    try:
        payload = Payload(flags & KIND_MASK)
    except ValueError:
        raise HeaderError(f"payload kind {flags & KIND_MASK} is not one of 0 to {max(Payload)}") from None
    if payload is Payload.FILE:
        header = _parse_file(reader, flags)
    elif payload is Payload.JPEG:
        header = _parse_jpeg(reader, flags)
    else:
        header = _parse_image(reader, flags, payload, version)
    count = header.tiles
    if count * MIN_TILE_ENTRY > reader.left:
        raise HeaderError(f"{count} tiles announced in the last {reader.left} bytes of a header")
    entries = []
    for number in range(1, count + 1):
        size = reader.varint(f"length of tile {number}")
        entries.append((size, int.from_bytes(reader.take(CRC_BYTES, f"CRC of tile {number}"), "little")))
    if flags & FLAG_METADATA:
        header = replace(header, chunks=unpack_chunks(reader))
    if header.remainder is not None:
        header = replace(header, remainder=unpack_remainder(reader))
    palette = dict(header.chunks).get("PLTE", b"")
    whole = payload is Payload.STORED or header.remainder is not None
    if header.mode == "P" and not whole and (len(palette) % 3 or not 3 <= len(palette) <= 768):
        raise HeaderError(f"a palette of {len(palette)} bytes in mode P")
    if version >= PREVIEW_VERSION:
        size = reader.varint("length of the preview")
        if size > MOST_PREVIEW:
            raise HeaderError(f"a preview of {size} bytes: the limit is {MOST_PREVIEW}")
        header = replace(header, preview=bytes(reader.take(size, "preview")))
    header = replace(header, grown=version >= GROWN_VERSION and payload is Payload.CHAINED)
    if reader.left:
        raise HeaderError(f"{reader.left} bytes follow the header's last field")
    return header, entries


def _parse_file(reader: Reader, flags: int) -> Header:
    if flags & ~(KIND_MASK | FLAG_LOSSY):
        raise HeaderError(f"flags {flags:#04x} of a file that was not looked into")
    extension = reader.text("stored format")
    if not extension.isalnum():
        raise HeaderError(f"a stored file with the extension {extension!r}")
    length, method = take_packing(reader, "the file")
    checksum = bytes(reader.take(CHECKSUM_BYTES, "checksum of the file"))
    header = Header(Payload.FILE, "", 0, 0, checksum, 0, 0, 0, lossy=bool(flags & FLAG_LOSSY))
    return replace(header, stored_format=extension, packing=(method, length))


def _parse_jpeg(reader: Reader, flags: int) -> Header:
    if flags != Payload.JPEG | FLAG_LOSSY:
        raise HeaderError(f"flags {flags:#04x} of a JPEG file")
    code = reader.take(1, "mode")[0]
    if code != NO_MODE and (code >= len(MODES) or MODES[code] not in ("L", "RGB")):
        raise HeaderError(f"pixel mode {code} of a JPEG file")
    mode = MODES[code] if code != NO_MODE else ""
    extension = reader.text("stored format")
    if not extension.isalnum():
        raise HeaderError(f"a stored file with the extension {extension!r}")
    width, height = reader.varint("width"), reader.varint("height")
    if not (1 <= width <= MAX_JPEG_SIDE and 1 <= height <= MAX_JPEG_SIDE):
        raise HeaderError(f"a JPEG file of {width}x{height} pixels: sides are 1 to {MAX_JPEG_SIDE}")
    model, digest = reader.text("model name"), bytes(reader.take(DIGEST_BYTES, "model digest"))
    length = reader.varint("length of the file")
    segments = reader.varint("number of segments")
    checksum = bytes(reader.take(CHECKSUM_BYTES, "checksum of the file"))
    header = Header(Payload.JPEG, mode, width, height, checksum, width, height, 8, lossy=True, model=model)
    return replace(header, digest=digest, stored_format=extension, length=length, segments=segments)


def _parse_source(reader: Reader, payload: Payload, flags: int) -> tuple[str, bool, bool]:
    """The format of the source, whether it comes back byte for byte, and whether there is a remainder."""
    code = reader.take(1, "source")[0]
    number, exact, remainder = code & FORMAT_MASK, bool(code & FLAG_EXACT), bool(code & FLAG_REMAINDER)
    if not code:
        return "", False, False
    if not 1 <= number < len(SOURCE_FORMATS) or code > (FORMAT_MASK | FLAG_EXACT | FLAG_REMAINDER):
        raise HeaderError(f"a source of kind {code:#04x}")
    if payload in (Payload.STORED, Payload.BATCH) or flags >> ARRAY_SHIFT:
        raise HeaderError(f"a source of kind {code:#04x} with a payload of kind {payload}, or with an array")
    if exact and not remainder:
        raise HeaderError("a file that comes back byte for byte, of which nothing but the pixels is there")
    return SOURCE_FORMATS[number], exact, remainder


def _parse_image(reader: Reader, flags: int, payload: Payload, version: int) -> Header:
    """The header up to its list of tiles. A remainder that will follow them stands in it as b""."""
    code = reader.take(1, "mode")[0]
    if code & 15 >= len(MODES):
        raise HeaderError(f"pixel mode {code & 15} is not one of 0 to {len(MODES) - 1}")
    mode = MODES[code & 15]
    if code >> 4 not in SUB_BITS.get(mode, (0,)):
        raise HeaderError(f"{code >> 4} bits per sample in mode {mode}")
    source = _parse_source(reader, payload, flags) if version >= SOURCE_VERSION else ("", False, False)
    source_format, exact, remainder = source
    width, height = reader.varint("width"), reader.varint("height")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise HeaderError(f"an image of {width}x{height} pixels: sides are 1 to {MAX_SIDE}")
    lossy = bool(flags & FLAG_LOSSY)
    if lossy and payload is not Payload.STORED:
        raise HeaderError(f"a lossy source with a payload of kind {payload}: its file would have been stored")
    model, digest = "", b""
    if payload in NAMING:
        model = reader.text("model name")
        digest = bytes(reader.take(DIGEST_BYTES, "model digest"))
    stored_format = reader.text("stored format") if payload is Payload.STORED else ""
    if payload is Payload.STORED and not stored_format.isalnum():
        raise HeaderError(f"a stored file with the extension {stored_format!r}")
    tile_width, tile_height = width, height
    if flags & FLAG_TILED:
        tile_width, tile_height = reader.varint("tile width"), reader.varint("tile height")
    if not (1 <= tile_width <= width and 1 <= tile_height <= height):
        raise HeaderError(f"tiles of {tile_width}x{tile_height} pixels in an image of {width}x{height}")
    ndim = (flags >> ARRAY_SHIFT) + 1 if flags >> ARRAY_SHIFT else 0
    if ndim > 3 or (ndim == 2 and CHANNELS[mode] > 1) or (ndim and mode in ("1", "P")):
        raise HeaderError(f"an array of {ndim} dimensions in mode {mode}")
    checksum = bytes(reader.take(CHECKSUM_BYTES, "pixel checksum"))
    bits = code >> 4 or NATURAL_BITS.get(mode, 16)
    header = Header(payload, mode, width, height, checksum, tile_width, tile_height, bits, ndim)
    header = replace(header, lossy=lossy, model=model, digest=digest, stored_format=stored_format)
    if source_format:
        source_checksum = bytes(reader.take(SOURCE_CHECKSUM_BYTES, "checksum of the source")) if exact else b""
        header = replace(header, source_format=source_format, source_checksum=source_checksum)
        header = replace(header, remainder=b"" if remainder else None)
    count = header.tiles
    whole = payload in (Payload.STORED, Payload.BATCH, Payload.CHAINED)
    if bool(flags & FLAG_TILED) != (count > 1) or (whole and count > 1):
        raise HeaderError(f"{count} tiles of {tile_width}x{tile_height} pixels where the flags say otherwise")
    return header
