"""What is in a text or a profile of a PNG file, however it is packed. Standard library only."""

import zlib

from ..modes import Chunk

__all__ = ["TEXTS", "profile_of", "text_of"]

TEXTS = frozenset(["tEXt", "zTXt", "iTXt"])
MAX_UNPACKED = 2**26


def profile_of(body: bytes) -> bytes:
    """The ICC profile of an iCCP chunk; nothing if it does not inflate."""
    return _inflate(body.partition(b"\0")[2][1:])


def text_of(chunk: Chunk) -> tuple[str, str]:
    """The keyword and the text of a chunk; both empty if it is no text, the text if it cannot be read."""
    name, body = chunk
    if name not in TEXTS:
        return "", ""
    keyword, _, rest = body.partition(b"\0")
    packed = name == "zTXt"
    if name == "iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[1:2] + rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    text = _inflate(rest[1:]) if packed else rest[1:] if name == "iTXt" else rest
    return keyword.decode("latin-1"), text.decode("utf-8" if name == "iTXt" else "latin-1", "replace")


def _inflate(stream: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(stream, MAX_UNPACKED)
    except zlib.error:
        return b""
    return found if inflater.eof else b""
