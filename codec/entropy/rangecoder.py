"""A byte-wise range coder with carry: the compiled functions of rangecoder.c over plain arrays.

For queues of symbols with adaptive probabilities, where the decoder must follow the encoder symbol by symbol.
Probabilities are intervals [start, start + freq) of 2^precision, precision at most 32 bits. The range is kept at 2^56
or above, so the rounding of `range >> precision` costs less than 2^-24 bits a symbol. Models that are compiled include
rangecoder.h; the functions here are for all others.

Source: Martin, *Range encoding* (1979), with carries propagated into the bytes already written.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IntervalError
from ..native import function

__all__ = [
    "CODE",
    "FLUSH_BYTES",
    "LOW",
    "POSITION",
    "RANGE",
    "READ_AHEAD",
    "consume",
    "encode",
    "finish",
    "new_state",
    "slot",
    "start_decoding",
]

LOW, RANGE, CODE, POSITION = 0, 1, 2, 3
"""Places in a coder's state: lower end (encoder), width, offset into the interval (decoder), bytes written or read."""

FLUSH_BYTES = 9
"""Most bytes that one symbol or `finish` can add."""

READ_AHEAD = 16
"""Bytes that a decoder may have read past the end: the first eight, and zeros that `finish` leaves out."""

State = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, size, number, bits = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_uint
    return {
        "encode": function("dz_range_encode", number, *(pointer, pointer, size), *(pointer,) * 3, number),
        "finish": function("dz_range_finish", number, pointer, pointer, size),
        "start": function("dz_range_start", None, pointer, pointer, size),
        "slot": function("dz_range_slot", size, pointer, bits),
        "consume": function("dz_range_consume", None, pointer, pointer, size, size, size, bits),
    }


def new_state() -> State:
    """State of a coder that has coded nothing."""
    state = np.zeros(4, np.uint64)
    state[RANGE] = np.iinfo(np.uint64).max
    return state


def _check(start: int, freq: int, precision: int) -> None:
    if not (1 <= precision <= 32 and start >= 0 and freq >= 1 and start + freq <= 1 << precision):
        raise IntervalError(f"the interval [{start}, {start + freq}) of 2^{precision} cannot be coded")


def encode(state: State, out: Bytes, start: Integers, freq: Integers, precision: Integers) -> None:
    """Append the symbols with the intervals [start, start + freq) of 2^precision to the bytes in `out`, n of each.

    Raises:
        IntervalError: an interval is empty or outside the range.
        ValueError: there is no room for `FLUSH_BYTES` a symbol.
    """
    intervals = [np.ascontiguousarray(part, np.int64) for part in (start, freq, precision)]
    first, width, bits = intervals
    bad = (bits < 1) | (bits > 32) | (first < 0) | (width < 1) | (first + width > 1 << np.clip(bits, 1, 32))
    if bad.any():
        at = int(np.argmax(bad))
        _check(int(first[at]), int(width[at]), int(bits[at]))
    done = _functions()["encode"](
        state.ctypes.data, out.ctypes.data, out.size, *(part.ctypes.data for part in intervals), first.size
    )
    if done < first.size:
        raise ValueError(f"{out.size} bytes are too few for {first.size} symbols")


def finish(state: State, out: Bytes) -> int:
    """Write the last byte and drop up to eight zeros, which the decoder supplies; returns the number of bytes."""
    length = int(_functions()["finish"](state.ctypes.data, out.ctypes.data, out.size))
    if length < 0:
        raise ValueError(f"{out.size} bytes are too few for the last byte")
    return length


def start_decoding(state: State, data: Bytes) -> None:
    """Read the first bytes of `data` into a new state."""
    _functions()["start"](state.ctypes.data, data.ctypes.data, data.size)


def slot(state: State, precision: int) -> int:
    """The number below 2^precision whose interval the decoder is to find."""
    return int(_functions()["slot"](state.ctypes.data, precision))


def consume(state: State, data: Bytes, start: int, freq: int, precision: int) -> None:
    """Remove the symbol with the interval [start, start + freq), which holds `slot`.

    Raises:
        IntervalError: it is empty or outside the range.
    """
    _check(start, freq, precision)
    _functions()["consume"](state.ctypes.data, data.ctypes.data, data.size, start, freq, precision)
