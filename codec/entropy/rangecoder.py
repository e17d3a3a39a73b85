"""A byte-wise range coder with carry, as compiled functions over plain arrays.

For queues of symbols with adaptive probabilities, where the decoder must follow the encoder symbol by symbol.
Probabilities are intervals [start, start + freq) of 2^precision, precision at most 32 bits. The range is kept at 2^56
or above, so the rounding of `range >> precision` costs less than 2^-24 bits a symbol.

Source: Martin, *Range encoding* (1979), with carries propagated into the bytes already written.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import cached, inlined

__all__ = [
    "CODE",
    "FLUSH_BYTES",
    "LOW",
    "POSITION",
    "RANGE",
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

_TOP = np.uint64(1 << 56)
_MASK = np.uint64((1 << 56) - 1)
_EIGHT = np.uint64(8)
_SHIFT = np.uint64(56)
_ONE = np.uint64(1)


def new_state() -> NDArray[np.uint64]:
    """State of a coder that has coded nothing."""
    state = np.zeros(4, np.uint64)
    state[RANGE] = np.iinfo(np.uint64).max
    return state


@inlined
def _carry(out, position):
    """Add one to the number written so far."""
    at = np.int64(position) - 1
    while out[at] == 255:
        out[at] = 0
        at -= 1
    out[at] += 1


@inlined
def _shift(state, out):
    """Write the top byte of `low`."""
    out[np.int64(state[POSITION])] = state[LOW] >> _SHIFT
    state[POSITION] += _ONE
    state[LOW] = (state[LOW] & _MASK) << _EIGHT


@inlined
def encode(state, out, start, freq, precision):
    """Append the symbol with the interval [start, start + freq) of 2^precision to the bytes in `out`."""
    unit = state[RANGE] >> np.uint64(precision)
    step = unit * np.uint64(start)
    before = state[LOW]
    # Wrapping addition without numpy's warning when run uncompiled: what is left below 2^64.
    room = ~before
    if step > room:
        state[LOW] = step - room - _ONE
        _carry(out, state[POSITION])
    else:
        state[LOW] = before + step
    state[RANGE] = unit * np.uint64(freq)
    while state[RANGE] < _TOP:
        _shift(state, out)
        state[RANGE] = state[RANGE] << _EIGHT


@cached
def finish(state, out):
    """Write the last byte and drop up to eight zeros, which the decoder supplies; returns the number of bytes."""
    if state[LOW] & _MASK:
        if state[LOW] >> _SHIFT == np.uint64(255):
            _carry(out, state[POSITION])
            state[LOW] = np.uint64(0)
        else:
            state[LOW] = ((state[LOW] >> _SHIFT) + _ONE) << _SHIFT
    _shift(state, out)
    length = np.int64(state[POSITION])
    least = length - 8 if length > 8 else 0
    while length > least and out[length - 1] == 0:
        length -= 1
    return length


@inlined
def _next_byte(state, data):
    at = np.int64(state[POSITION])
    state[POSITION] += _ONE
    return np.uint64(data[at]) if at < data.size else np.uint64(0)


@cached
def start_decoding(state, data):
    """Read the first bytes of `data` into a new state."""
    for _ in range(8):
        state[CODE] = (state[CODE] << _EIGHT) | _next_byte(state, data)


@inlined
def slot(state, precision):
    """The number below 2^precision whose interval the decoder is to find."""
    unit = state[RANGE] >> np.uint64(precision)
    return min(np.int64(state[CODE] // unit), (1 << precision) - 1)


@inlined
def consume(state, data, start, freq, precision):
    """Remove the symbol with the interval [start, start + freq), which holds `slot`."""
    unit = state[RANGE] >> np.uint64(precision)
    state[CODE] -= unit * np.uint64(start)
    state[RANGE] = unit * np.uint64(freq)
    while state[RANGE] < _TOP:
        state[CODE] = (state[CODE] << _EIGHT) | _next_byte(state, data)
        state[RANGE] = state[RANGE] << _EIGHT
