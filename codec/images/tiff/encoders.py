"""Encoders that decide as those did that wrote a file: LZW, PackBits and fax, in C, whatever library is installed."""

import ctypes
import lzma
from collections.abc import Callable
from functools import cache

import numpy as np

from ... import native
from .layout import CCITT_FAX_3, CCITT_FAX_4, CCITT_ROWS, LZMA, LZW, PACKBITS, ZSTD, Layout

__all__ = ["ENCODERS", "FOREIGN", "encode", "habit_of"]

# The code at which the table is cleared, whether by the ratio as well, whether the end has room for one more string:
# libtiff; encoders without its look at the ratio.
LZW_HABITS = ((4094, 1, 1), (4094, 0, 1), (4094, 0, 0), (4095, 0, 1), (4095, 0, 0), (4096, 0, 1), (4096, 0, 0))
# Row by row; all of a segment at once.
PACKBITS_HABITS = (0, 1)
# As fax.c numbers them: rows filled up to a byte; with the ends of lines, or these filled up to a byte; with or without
# the end of the block.
FAX_HABITS = {CCITT_ROWS: (0,), CCITT_FAX_3: (1, 2), CCITT_FAX_4: (3, 4)}


@cache
def _functions() -> tuple[Callable[..., int], Callable[..., int], Callable[..., int]]:
    """The functions of codecs.c and fax.c."""
    data, out, length, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    return (
        native.function("dz_tiff_lzw", length, data, length, out, length, number, number, number),
        native.function("dz_packbits_encode", length, data, length, length, out, length),
        native.function("dz_fax_encode", length, data, length, length, length, number, out, length),
    )


def _lzw(raw: bytes, _: Layout, habit: int) -> bytes:
    # At most a code of 12 bits for a byte, one to clear the table for every 254, and those of the start and the end.
    room = 2 * len(raw) + 16
    out = np.empty(room, np.uint8)
    return out[: _functions()[0](raw, len(raw), out.ctypes.data, room, *LZW_HABITS[habit])].tobytes()


def _packbits(raw: bytes, layout: Layout, habit: int) -> bytes:
    width = len(raw) if PACKBITS_HABITS[habit] else layout.row_bytes
    rows = len(raw) // width
    room = 2 * len(raw) + 2 * rows + 2
    out = np.empty(room, np.uint8)
    return out[: _functions()[1](raw, rows, width, out.ctypes.data, room)].tobytes()


def _fax(raw: bytes, layout: Layout, habit: int) -> bytes:
    stride = layout.row_bytes
    room = len(raw) + 1024
    while True:
        out = np.empty(room, np.uint8)
        way = FAX_HABITS[layout.compression][habit]
        length = _functions()[2](raw, len(raw) // stride, layout.across, stride, way, out.ctypes.data, room)
        if length <= room:
            return out[:length].tobytes()
        room = length


def _zstd(raw: bytes, _: Layout, __: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.zstd_encode(raw, level=9))


def _lzma(raw: bytes, _: Layout, __: int) -> bytes:
    return lzma.compress(raw, lzma.FORMAT_XZ, lzma.CHECK_NONE, 6)


# By compression: how many habits there are, and the encoder.
ENCODERS: dict[int, tuple[int, Callable[[bytes, Layout, int], bytes]]] = {
    LZW: (len(LZW_HABITS), _lzw),
    PACKBITS: (len(PACKBITS_HABITS), _packbits),
    **{kind: (len(habits), _fax) for kind, habits in FAX_HABITS.items()},
    ZSTD: (1, _zstd),
    LZMA: (1, _lzma),
}


# Encoders of libraries, which another version may give other streams: good for a picture, not for a file byte for byte.
FOREIGN = frozenset([ZSTD, LZMA])


def encode(raw: bytes, layout: Layout, habit: int) -> bytes:
    """A segment's bytes as a stream of the layout's compression."""
    return ENCODERS[layout.compression][1](raw, layout, habit)


def habit_of(raw: bytes, stream: bytes, layout: Layout, first: int = 0) -> tuple[int, int] | None:
    """The habit with which a segment's bytes become a stream, or the beginning of it, and how long that is.

    Args:
        raw: the segment's bytes.
        stream: what an encoder made of them.
        layout: the file's.
        first: the habit to be tried first.
    """
    habits = ENCODERS[layout.compression][0]
    for habit in (first, *(other for other in range(habits) if other != first)):
        made = encode(raw, layout, habit)
        if stream.startswith(made):
            return habit, len(made)
    return None
