"""Bytes that are no pixels, made smaller by what the standard library has: deflate and LZMA. Standard library only."""

import lzma
import zlib

from ..errors import FormatError, HeaderError, LimitError
from ..fields import Reader, varint
from .metadata import MAX_METADATA

__all__ = ["METHODS", "METHOD_SHIFT", "PLAIN", "pack", "pack_remainder", "take_packing", "unpack", "unpack_remainder"]

METHODS = 3
PLAIN, DEFLATE, LZMA = range(METHODS)
# A length and the method of packing share a number.
METHOD_SHIFT = 2
# Both without a header of their own: what frames them says how long they are, and guards them by a CRC.
WINDOW_BITS = -15
LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**23}]
# LZMA takes a megabyte a second: it is tried on what deflate, which takes ten, makes smaller by a sixteenth at least.
WORTH_LZMA = 15 / 16
LARGEST_LZMA = 2**26
# Nothing is gained on less.
SMALLEST = 8
SMALLEST_LZMA = 256


def pack(data: bytes) -> tuple[int, bytes]:
    """The smallest form: its method, and its bytes. About 1 s a megabyte, 0.1 s where nothing can be gained."""
    found = PLAIN, data
    if len(data) >= SMALLEST:
        deflater = zlib.compressobj(9, zlib.DEFLATED, WINDOW_BITS, 9)
        found = min(found, (DEFLATE, deflater.compress(data) + deflater.flush()), key=_length)
    if SMALLEST_LZMA <= len(data) <= LARGEST_LZMA and _length(found) < WORTH_LZMA * len(data):
        found = min(found, (LZMA, lzma.compress(data, lzma.FORMAT_RAW, filters=LZMA_FILTERS)), key=_length)
    return found


def unpack(method: int, packed: bytes | memoryview, length: int, error: type[FormatError]) -> bytes:
    """What was packed; allocates `length` bytes, and up to 9 MiB on the way.

    Args:
        method: as `pack` gave it.
        packed: likewise.
        length: of the result.
        error: raised for what is nothing that `pack` makes.
    """
    if method == PLAIN:
        data, ended = bytes(packed), True
    else:
        try:
            # One byte more than announced, so that a longer stream shows.
            if method == DEFLATE:
                inflater = zlib.decompressobj(WINDOW_BITS)
                data = inflater.decompress(packed, length + 1)
                ended = inflater.eof and not inflater.unused_data
            else:
                decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=LZMA_FILTERS)
                data = decoder.decompress(packed, length + 1)
                ended = decoder.eof and not decoder.unused_data
        except (zlib.error, lzma.LZMAError) as problem:
            raise error(f"{len(packed)} packed bytes that cannot be unpacked: {problem}") from None
    if len(data) != length or not ended:
        raise error(f"{len(packed)} packed bytes do not give the {length} announced")
    return data


def pack_remainder(remainder: bytes) -> bytes:
    """What is beside the pixels, in a header.

    Raises:
        LimitError: more than `MAX_METADATA` bytes.
    """
    if len(remainder) > MAX_METADATA:
        raise LimitError(f"{len(remainder)} bytes beside the pixels: the limit is {MAX_METADATA}")
    method, packed = pack(remainder)
    number = varint(len(remainder) << METHOD_SHIFT | method)
    return number + (varint(len(packed)) if method else b"") + packed


def unpack_remainder(reader: Reader) -> bytes:
    """What `pack_remainder` was given, from a cursor; raises HeaderError."""
    length, method = take_packing(reader, "what is beside the pixels")
    if length > MAX_METADATA:
        raise HeaderError(f"{length} bytes beside the pixels: the limit is {MAX_METADATA}")
    size = reader.varint("length of what is beside the pixels") if method else length
    return unpack(method, reader.take(size, "what is beside the pixels"), length, HeaderError)


def take_packing(reader: Reader, what: str) -> tuple[int, int]:
    """A length, and the method of packing."""
    number = reader.varint(f"length of {what}")
    length, method = number >> METHOD_SHIFT, number & (1 << METHOD_SHIFT) - 1
    if method >= METHODS:
        raise HeaderError(f"{what}: method of packing {method} is not one of 0 to {METHODS - 1}")
    return length, method


def _length(found: tuple[int, bytes]) -> int:
    return len(found[1])
