"""The metadata block of a .dz file's header: a list of named chunks. Standard library only."""

import zlib
from collections.abc import Sequence

from ..errors import HeaderError, LimitError
from ..fields import Reader, text, varint
from ..images.modes import Chunk

__all__ = ["MAX_METADATA", "pack_chunks", "unpack_chunks"]

# Metadata larger than this is refused on both sides, so that a small file cannot ask for much memory.
MAX_METADATA = 2**26


def pack_chunks(chunks: Sequence[Chunk]) -> bytes:
    """The block; raises LimitError where it would be too long."""
    raw = b"".join(text(name) + varint(len(data)) + data for name, data in chunks)
    if len(raw) > MAX_METADATA:
        raise LimitError(f"{len(raw)} bytes of metadata: the limit is {MAX_METADATA}; strip it to compress the image")
    deflated = zlib.compress(raw, 9)
    if len(deflated) < len(raw):
        return varint(len(raw) << 1 | 1) + varint(len(deflated)) + deflated
    return varint(len(raw) << 1) + raw


def unpack_chunks(reader: Reader) -> tuple[Chunk, ...]:
    """The chunks, from a cursor at the block; raises HeaderError."""
    code = reader.varint("metadata length")
    length = code >> 1
    if length > MAX_METADATA:
        raise HeaderError(f"{length} bytes of metadata: the limit is {MAX_METADATA}")
    if code & 1:
        deflated = reader.take(reader.varint("compressed metadata length"), "metadata")
        inflater = zlib.decompressobj()
        try:
            # One byte more than announced, so that a longer stream shows.
            raw = inflater.decompress(deflated, length + 1)
        except zlib.error as error:
            raise HeaderError(f"the metadata does not inflate: {error}") from None
        if len(raw) != length or not inflater.eof or inflater.unused_data:
            raise HeaderError(f"the metadata does not inflate to the {length} bytes announced")
    else:
        raw = bytes(reader.take(length, "metadata"))
    inner = Reader(memoryview(raw), 0, HeaderError)
    chunks = []
    while inner.left:
        name = inner.text("metadata name")
        if not _is_chunk_name(name):
            raise HeaderError(f"metadata called {name[:16]!r}, which is no ancillary PNG chunk, nor PLTE")
        chunks.append((name, bytes(inner.take(inner.varint(f"length of {name}"), name))))
    if not chunks:
        raise HeaderError("an empty list of metadata")
    return tuple(chunks)


def _is_chunk_name(name: str) -> bool:
    """Four letters, the first of which is small but in PLTE: no chunk that would make or end a PNG file."""
    return len(name) == 4 and name.isalpha() and (name[0].islower() or name == "PLTE")
