"""GIF of one picture: palette indices in LZW codes, between blocks that are kept as they are.

The file comes back byte for byte if its encoder always took the longest string of its table, as nearly all do.

Remainder: the screen (varint: the number of its colours; a patch; the colours), the blocks before the picture, the
picture's descriptor (a patch, its colours, the bits of an index), how the codes are made (varint: 0 as our own encoder
makes them; else 1, plus 1 if other bits than an end code are behind the last index, plus 2 if each index is a code of
its own; then when the table is cleared, those bits, and the sizes of the blocks), and the bytes behind the codes.
"""

import ctypes
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import native
from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from ..limits import check_pixels
from ..modes import Chunk
from ..picture import Picture
from ..split import BEHIND, Split
from .gifblocks import DESCRIPTOR, IMAGE, SCREEN, TABLE, Frame, Gif, colours_of, parse
from .rawrows import Bytes, blob, patch, patched, reader, remaking, take_blob

__all__ = ["beyond", "join", "read", "skeleton", "split"]

Counts = npt.NDArray[np.int32]

PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))
BLOCK, MOST_CODES, MOST_LITERAL_BITS, MOST_COUNT = 255, 4096, 8, 2**31 - 1
OWN, LISTED, WITH_TAIL, SINGLE = 0, 1, 1, 2
NO_CLEARS = np.zeros(1, np.int32)
# An index takes at least 1/4096 of a code of at least 2 bits: what a stream may grow to.
MOST_INDICES = MOST_CODES * 4


@lru_cache(maxsize=1)
def _functions() -> tuple[Any, Any]:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    decode = native.function("dz_gif_unlzw", number, pointer, size, number, pointer, size, pointer, size, pointer)
    encode = native.function(
        "dz_gif_lzw", size, pointer, size, number, pointer, size, number, number, number, pointer, size, pointer
    )
    return decode, encode


def read(data: bytes, max_pixels: int) -> Picture:
    """The palette indices, the palette and the comments of a GIF file of one picture.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: an animation, or a picture that does not fill the screen.
        LimitError: more than `max_pixels` pixels.
    """
    gif = parse(data)
    frame = gif.frames[0]
    width, height = frame.box[2:]
    check_pixels(max(gif.width, width), max(gif.height, height), max_pixels)
    if len(gif.frames) > 1:
        raise UnsupportedImageError("several frames: animations are not coded")
    if not width or not height:
        raise UnreadableImageError(f"a damaged GIF file: {width}x{height} pixels")
    if frame.box != (0, 0, gif.width, gif.height):
        raise UnsupportedImageError(
            f"a GIF file whose picture of {width}x{height} at {frame.box[:2]} does not fill {gif.width}x{gif.height}"
        )
    if not 0 < frame.literal_bits <= MOST_LITERAL_BITS:
        raise UnreadableImageError(f"a damaged GIF file: indices of {frame.literal_bits} bits")
    if not (gif.table or frame.table):
        raise UnsupportedImageError("a GIF file without colours")
    indices, _, _ = _decode(frame.stream(data), frame.literal_bits, width * height)
    pixels = _in_order(indices.reshape(height, width), interlaced=frame.interlaced)
    return Picture(pixels[:, :, None], _mode(gif), 8, _chunks(gif))


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a GIF file but its pixels."""
    gif = parse(data)
    frame = gif.frames[0]
    height, width = picture.pixels.shape[:2]
    start, end = SCREEN.size + len(gif.table), frame.place + DESCRIPTOR.size
    parts = [
        varint(len(gif.table) // 3),
        patch(data[: SCREEN.size], _screen(len(gif.table), width, height)),
        gif.table,
        blob(data[start : frame.place]),
        patch(data[frame.place : end], _descriptor(width, height)),
        frame.table,
        varint(frame.literal_bits),
    ]
    stream = frame.stream(data)
    indices = _in_passes(picture.pixels[:, :, 0], interlaced=frame.interlaced)
    usual = frame.sizes == _usual_sizes(len(stream), BLOCK)
    codes, exact = _codes(indices, frame.literal_bits, stream, usual=usual)
    sizes = b"" if codes == varint(OWN) else _write_sizes(frame.sizes)
    return Split(b"".join([*parts, codes, sizes, data[frame.end :]]), exact)


@remaking("GIF")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A GIF file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    height, width = picture.pixels.shape[:2]
    fields = reader(remainder)
    head, frame = _read_head(fields, width, height)
    if picture.mode not in ("L", "P") or max(width, height) > 0xFFFF:
        raise CorruptPayloadError(f"a GIF file around {width}x{height} pixels of mode {picture.mode}")
    indices = _in_passes(picture.pixels[:, :, 0], interlaced=frame.interlaced)
    stream, sizes = _read_codes(fields, indices, frame.literal_bits)
    parts = [head]
    position = 0
    for size in sizes:
        parts += [bytes([size]), stream[position : position + size]]
        position += size
    return b"".join([*parts, fields.take(fields.left, "the tail")])


@remaking("GIF")
def skeleton(remainder: bytes) -> bytes:
    """A GIF file of one pixel with the colours and comments of the file of a remainder."""
    fields = reader(remainder)
    head, frame = _read_head(fields, 1, 1)
    kind = fields.varint("codes")
    if kind != OWN:
        _read_pairs(fields)
        if kind > LISTED + WITH_TAIL + SINGLE:
            raise CorruptPayloadError(f"codes of kind {kind}")
        if (kind - LISTED) % SINGLE:
            take_blob(fields, "the bits behind the codes")
        if not fields.varint("blocks"):
            _read_pairs(fields)
    stream = _encode(np.zeros(1, np.uint8), frame.literal_bits, None, end_code=True)[0]
    return head + blob(stream) + bytes(fields.take(fields.left, "the tail"))


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    gif = parse(data)
    return tuple(dict.fromkeys((*gif.others, *([BEHIND] if gif.end < len(data) else []))))


def _mode(gif: Gif) -> str:
    table = gif.frames[0].table or gif.table
    return "L" if table == np.arange(256, dtype=np.uint8).repeat(3).tobytes() else "P"


def _chunks(gif: Gif) -> tuple[Chunk, ...]:
    """The palette, with a colour for each index that the codes can give, the transparent index, and the rest."""
    frame = gif.frames[0]
    chunks: list[Chunk] = []
    grey = _mode(gif) == "L"
    if not grey:
        chunks.append(("PLTE", (frame.table or gif.table).ljust(3 << frame.literal_bits, b"\0")))
    if gif.transparent is not None:
        key = gif.transparent
        chunks.append(("tRNS", bytes([0, key]) if grey else b"\xff" * key + b"\0"))
    return (*chunks, *gif.chunks)


def _in_order(rows: Bytes, *, interlaced: bool) -> Bytes:
    """Rows of four passes, or of one, from the top."""
    if not interlaced:
        return rows
    out = np.empty_like(rows)
    done = 0
    for first, step in PASSES:
        count = len(range(first, len(rows), step))
        out[first::step] = rows[done : done + count]
        done += count
    return out


def _in_passes(rows: npt.NDArray[Any], *, interlaced: bool) -> Bytes:
    """The indices as they are coded."""
    rows = rows.astype(np.uint8, copy=False)
    if interlaced:
        rows = np.concatenate([rows[first::step] for first, step in PASSES])
    return np.ascontiguousarray(rows).reshape(-1)


def _screen(table: int, width: int, height: int) -> bytes:
    size = max(0, (table // 3).bit_length() - 2)
    return SCREEN.pack(b"GIF89a", width, height, (TABLE | size if table else 0) | 0x70, 0, 0)


def _descriptor(width: int, height: int) -> bytes:
    return DESCRIPTOR.pack(IMAGE, 0, 0, width, height, 0)


def _read_head(fields: Reader, width: int, height: int) -> tuple[bytes, Frame]:
    """The bytes before the data blocks."""
    what = "the head of a GIF file"
    table = 3 * fields.varint(what)
    if table > 3 * 256 or max(width, height) > 0xFFFF:
        raise CorruptPayloadError(f"{what}: {table} bytes of colours, {width}x{height} pixels")
    screen = patched(_screen(table, width, height), fields, what)
    colours = bytes(fields.take(table, what))
    before = take_blob(fields, what)
    descriptor = patched(_descriptor(width, height), fields, what)
    own = bytes(fields.take(colours_of(descriptor[-1]), what))
    bits = fields.varint(what)
    if not 0 < bits <= MOST_LITERAL_BITS:
        raise CorruptPayloadError(f"{what}: indices of {bits} bits")
    head = b"".join([screen, colours, before, descriptor, own, bytes([bits])])
    gif = parse(head + b"\0")
    if gif.frames[0].box != (0, 0, width, height) or gif.frames[0].blocks != len(head):
        raise CorruptPayloadError(f"{what}: a picture in the box {gif.frames[0].box}, its blocks elsewhere")
    return head, replace(gif.frames[0], literal_bits=bits)


def _decode(stream: bytes, literal_bits: int, count: int) -> tuple[Bytes, Counts, int]:
    """The indices, after how many codes each clear code stands, and the bits up to the last index."""
    if count > MOST_INDICES * len(stream):
        raise UnreadableImageError(f"a GIF file that is cut short: {count} pixels in {len(stream)} bytes")
    source = np.frombuffer(stream, np.uint8)
    out = np.empty(count, np.uint8)
    clears = np.empty(8 * len(stream) // (literal_bits + 1) + 1, np.int32)
    found = np.zeros(4, np.int64)
    error = _functions()[0](
        source.ctypes.data, len(stream), literal_bits, out.ctypes.data, count, clears.ctypes.data, len(clears),
        found.ctypes.data,
    )  # fmt: skip
    if error == -3:
        raise UnsupportedImageError("a GIF file with more indices than its picture has pixels")
    if error == -1:
        raise UnreadableImageError(f"a GIF file that is cut short: {len(stream)} bytes do not hold {count} pixels")
    if error:
        raise UnreadableImageError("a damaged GIF file: an impossible code")
    return out, clears[: found[0]], int(found[1])


def _encode(
    indices: Bytes, literal_bits: int, clears: Counts | None, *, end_code: bool, single: bool = False
) -> tuple[bytes, int]:
    """The codes of indices and their number of bits; cleared as told, else whenever the table is full."""
    if int(indices.max()) >> literal_bits:
        raise CorruptPayloadError(f"an index of {indices.max()} in {literal_bits} bits")
    listed = NO_CLEARS if clears is None else np.ascontiguousarray(clears)
    # No code is wider than 12 bits, and each index takes one code at most.
    out = np.empty(2 * (len(indices) + len(listed) + len(indices) // 2**10 + 4), np.uint8)
    bits = np.zeros(1, np.int64)
    size = _functions()[1](
        indices.ctypes.data, len(indices), literal_bits, listed.ctypes.data, len(listed),
        MOST_CODES if clears is None else 0, int(single), int(end_code), out.ctypes.data, len(out), bits.ctypes.data,
    )  # fmt: skip
    return out[:size].tobytes(), int(bits[0])


def _codes(indices: Bytes, literal_bits: int, stream: bytes, *, usual: bool) -> tuple[bytes, bool]:
    """How a stream of codes is made of its indices, in a remainder, and whether it is.

    `usual`: whether its blocks are those of our own encoder.
    """
    if usual and _encode(indices, literal_bits, None, end_code=True)[0] == stream:
        return varint(OWN), True
    _, clears, end = _decode(stream, literal_bits, len(indices))
    if len(clears) <= len(indices) + 1:
        for single in (False, True):
            kind = LISTED + SINGLE * single
            if _encode(indices, literal_bits, clears, end_code=True, single=single)[0] == stream:
                return varint(kind) + _write_counts(clears), True
            made, bits = _encode(indices, literal_bits, clears, end_code=False, single=single)
            whole, low = bits // 8, (1 << bits % 8) - 1
            if bits == end and made[:whole] == stream[:whole] and not (low and (made[whole] ^ stream[whole]) & low):
                tail = bytearray(stream[whole:])
                if low:
                    tail[0] &= 0xFF ^ low
                return varint(kind + WITH_TAIL) + _write_counts(clears) + blob(bytes(tail)), True
    return varint(OWN), False


def _read_codes(fields: Reader, indices: Bytes, literal_bits: int) -> tuple[bytes, tuple[int, ...]]:
    """A stream of codes and the sizes of its blocks."""
    kind = fields.varint("codes")
    if kind == OWN:
        stream = _encode(indices, literal_bits, None, end_code=True)[0]
        return stream, _usual_sizes(len(stream), BLOCK)
    if kind > LISTED + WITH_TAIL + SINGLE:
        raise CorruptPayloadError(f"codes of kind {kind}")
    clears = _read_counts(fields, len(indices) + 1)
    single, with_tail = divmod(kind - LISTED, SINGLE)
    stream, bits = _encode(indices, literal_bits, clears, end_code=not with_tail, single=bool(single))
    if with_tail:
        tail = take_blob(fields, "the bits behind the codes")
        if bits % 8:
            if not tail:
                raise CorruptPayloadError("no bits behind the codes")
            tail = bytes([stream[-1] | tail[0]]) + tail[1:]
        stream = stream[: bits // 8] + tail
    usual = fields.varint("blocks")
    if usual:
        if usual > BLOCK:
            raise CorruptPayloadError(f"blocks of {usual} bytes")
        return stream, _usual_sizes(len(stream), usual)
    sizes = tuple(_read_counts(fields, len(stream)).tolist())
    if sum(sizes) != len(stream) or any(not 0 < size <= BLOCK for size in sizes):
        raise CorruptPayloadError(f"blocks of {sum(sizes)} bytes in all around {len(stream)}")
    return stream, sizes


def _usual_sizes(length: int, size: int) -> tuple[int, ...]:
    return (size,) * (length // size) + ((length % size,) if length % size else ())


def _write_sizes(sizes: tuple[int, ...]) -> bytes:
    """The size of all blocks but a last shorter one; or 0 and each size."""
    if sizes and sizes == _usual_sizes(sum(sizes), sizes[0]):
        return varint(sizes[0])
    return varint(0) + _write_counts(np.array(sizes, np.int32))


def _write_counts(counts: Counts) -> bytes:
    """Numbers, each with how often it comes one after the other."""
    starts = np.flatnonzero(np.diff(counts, prepend=-1))
    repeats = np.diff(starts, append=len(counts)).tolist()
    parts = [varint(len(starts))]
    for value, repeat in zip(counts[starts].tolist(), repeats, strict=True):
        parts += [varint(value), varint(repeat)]
    return b"".join(parts)


def _read_pairs(fields: Reader) -> list[tuple[int, int]]:
    number = fields.varint("counts")
    if 2 * number > fields.left:
        raise CorruptPayloadError(f"{number} counts in {fields.left} bytes")
    return [(fields.varint("counts"), fields.varint("counts")) for _ in range(number)]


def _read_counts(fields: Reader, most: int) -> Counts:
    """What `_write_counts` wrote; at most so many numbers."""
    pairs = _read_pairs(fields)
    if sum(repeat for _, repeat in pairs) > most or any(value > MOST_COUNT for value, _ in pairs):
        raise CorruptPayloadError(f"more than {most} counts, or one above {MOST_COUNT}")
    values = np.array([value for value, _ in pairs], np.int32)
    return np.repeat(values, np.array([repeat for _, repeat in pairs], np.int64))
