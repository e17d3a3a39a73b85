"""PNG files: read one, take a file apart into pixels and everything else, and put it together again.

The remainder of a file holds every chunk but IDAT with its exact bytes and place, and what stands behind the end. Its
first byte says the depth and colour type, and which of the other fields there are:

- `CHUNKS`: the number of chunks between IHDR and IDAT, these chunks; the same for those between IDAT and IEND. A chunk
  is its name, twice its length plus one where its CRC is wrong, its data, and that wrong CRC.
- `END`: what IEND holds, and what follows it, each after its length.
- `STREAM`: the choices of the writer, as in `pngstream`; without it they were ours.

Source: PNG, third edition, W3C, sections 5 (chunks), 9 (filters) and 11.3 (ancillary chunks).
"""

import zlib
from dataclasses import dataclass, field

from ...errors import CorruptPayloadError, HeaderError, InputError
from ...fields import Reader, varint
from ..modes import CHANNELS
from ..picture import Picture
from ..split import BEHIND, Split
from .chunks import (
    CHANNELS_OF_COLOUR_TYPE,
    COLOUR_TYPE_OF_CHANNELS,
    DEPTHS,
    SIGNATURE,
    STRUCTURAL,
    PngFile,
    RawChunk,
    chunk_bytes,
    header_bytes,
    parse,
    raw_chunks,
    shown,
)
from .read import mode_of, read_pixels
from .stream import chunks_of, explain, standard
from .write import write

__all__ = [
    "CHANNELS_OF_COLOUR_TYPE",
    "SIGNATURE",
    "STRUCTURAL",
    "PngFile",
    "beyond",
    "chunk_bytes",
    "join",
    "parse",
    "raw_chunks",
    "read",
    "skeleton",
    "split",
    "write",
]

KINDS = tuple((colour, depth) for colour, depths in DEPTHS.items() for depth in depths)
INTERLACED, CHUNKS, END, STREAM = 16, 32, 64, 128
# Bytes of notes on a writer's choices that are worth it: so many, or one in so many of the file.
NOTES_ANYHOW, NOTES_PART = 64, 200
CRC_BYTES = 4


@dataclass
class _Parts:
    """A remainder, taken apart."""

    colour: int
    depth: int
    interlaced: bool = False
    before: list[bytes] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)
    end: bytes = b""
    behind: bytes = b""
    choices: Reader | None = None


def read(data: bytes, file: PngFile) -> Picture:
    """The picture of a PNG file with the metadata that is sound.

    Args:
        data: the bytes of the file.
        file: what `parse` gave for it.

    Raises:
        UnreadableImageError: the pixels are damaged or cut short.
    """
    return Picture(read_pixels(data, file), mode_of(file), file.depth, file.chunks)


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything in a PNG file but its pixels.

    Args:
        data: the bytes of the file.
        picture: what the reader gave for it.

    Returns:
        None for a file whose structure is not that of a single picture.
    """
    try:
        file = parse(data)
        chunks = list(raw_chunks(data))
    except InputError:
        return None
    if picture.pixels.shape[:2] != (file.height, file.width) or _kind(picture) != (file.colour_type, file.depth):
        return None
    stream = [index for index, chunk in enumerate(chunks) if chunk.kind == b"IDAT"]
    first, last = stream[0], stream[-1]
    if last - first + 1 != len(stream):
        return None
    before, after = chunks[1:first], chunks[last + 1 : -1]
    end, behind = bytes(chunks[-1].body), data[chunks[-1].end :]
    flags = INTERLACED * file.interlaced + CHUNKS * bool(before or after) + END * bool(end or behind)
    out = []
    if before or after:
        for group in (before, after):
            out += [varint(len(group)), *map(_packed, group)]
    if end or behind:
        out += [varint(len(end)), end, varint(len(behind)), behind]
    start = KINDS.index((file.colour_type, file.depth)) | flags
    choices = explain(
        [chunks[index].body for index in stream],
        picture.pixels,
        picture.mode,
        picture.bits,
        interlaced=file.interlaced,
        room=max(NOTES_ANYHOW, len(data) // NOTES_PART),
    )
    if choices is not None:
        remainder = b"".join([bytes([start | STREAM * bool(choices)]), *out, choices])
        if join(picture, remainder) == data:
            return Split(remainder, exact=True, proved=True)
    return Split(b"".join([bytes([start]), *out]), exact=False)


def _kind(picture: Picture) -> tuple[int, int]:
    colour = 3 if picture.mode == "P" else COLOUR_TYPE_OF_CHANNELS[CHANNELS[picture.mode]]
    return colour, picture.bits


def _packed(chunk: RawChunk) -> bytes:
    code = len(chunk.body) << 1 | (not chunk.sound)
    return b"".join([chunk.kind, varint(code), chunk.body, b"" if chunk.sound else chunk.crc])


def _unpack(remainder: bytes) -> _Parts:
    reader = Reader(memoryview(remainder), 0, HeaderError)
    flags = reader.take(1, "kind of PNG")[0]
    if flags & 15 >= len(KINDS):
        raise CorruptPayloadError(f"the remainder of a PNG file of kind {flags}")
    parts = _Parts(*KINDS[flags & 15], bool(flags & INTERLACED))
    if flags & CHUNKS:
        for group in (parts.before, parts.after):
            for _ in range(reader.varint("number of chunks")):
                group.append(_unpack_chunk(reader))
    if flags & END:
        parts.end = bytes(reader.take(reader.varint("length of IEND"), "IEND"))
        parts.behind = bytes(reader.take(reader.varint("bytes behind the end"), "bytes behind the end"))
    if flags & STREAM:
        parts.choices = reader
    elif reader.left:
        raise CorruptPayloadError(f"{reader.left} bytes too many in the remainder of a PNG file")
    return parts


def _unpack_chunk(reader: Reader) -> bytes:
    kind = bytes(reader.take(4, "name of a chunk"))
    code = reader.varint(f"length of {shown(kind)}")
    whole = chunk_bytes(kind, bytes(reader.take(code >> 1, f"chunk {shown(kind)}")))
    return whole[:-CRC_BYTES] + reader.take(CRC_BYTES, f"CRC of {shown(kind)}") if code & 1 else whole


def join(picture: Picture, remainder: bytes) -> bytes:
    """The PNG file again.

    Args:
        picture: its pixels.
        remainder: what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not that of such a picture.
        HeaderError: the remainder is damaged.
    """
    parts = _unpack(remainder)
    if _kind(picture) != (parts.colour, parts.depth):
        raise CorruptPayloadError(f"{picture.bits} bits of mode {picture.mode} in a PNG file of type {parts.colour}")
    height, width = picture.pixels.shape[:2]
    pixels, mode, bits = picture.pixels, picture.mode, picture.bits
    if parts.choices is None:
        bodies = [standard(pixels, mode, bits, interlaced=parts.interlaced)]
    else:
        bodies = chunks_of(parts.choices, pixels, mode, bits, interlaced=parts.interlaced)
        if parts.choices.left:
            raise CorruptPayloadError(f"{parts.choices.left} bytes too many in the remainder of a PNG file")
    return _laid_out(parts, width, height, [chunk_bytes(b"IDAT", body) for body in bodies])


def skeleton(remainder: bytes) -> bytes:
    """A PNG file of one pixel with the metadata of a remainder.

    Raises:
        CorruptPayloadError: the remainder makes no sense.
        HeaderError: it is damaged.
    """
    parts = _unpack(remainder)
    row = bytes(1 + -(-CHANNELS_OF_COLOUR_TYPE[parts.colour] * parts.depth // 8))
    parts.interlaced = False
    return _laid_out(parts, 1, 1, [chunk_bytes(b"IDAT", zlib.compress(row))])


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    chunks = list(raw_chunks(data))
    names = [f"chunk {shown(chunk.kind)}" for chunk in chunks if not chunk.sound]
    behind = len(chunks[-1].body) > 0 or chunks[-1].end < len(data)
    return tuple(dict.fromkeys((*names, *([BEHIND] if behind else []))))


def _laid_out(parts: _Parts, width: int, height: int, stream: list[bytes]) -> bytes:
    header = header_bytes(width, height, parts.depth, parts.colour, interlaced=parts.interlaced)
    end = chunk_bytes(b"IEND", parts.end)
    return b"".join([SIGNATURE, header, *parts.before, *stream, *parts.after, end, parts.behind])
