"""The laws that every coder and every distribution keeps, stated once."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from densezip.codec import rangecoder
from numba import njit
from numpy.typing import NDArray

__all__ = ["Pmf", "check_pmf", "check_range_coder"]

Integers = NDArray[np.int64]


class Pmf(Protocol):
    """A distribution in integers: symbol i has the interval [start, start + freq) of 2^precision."""

    @property
    def precision(self) -> int:
        """Bits."""
        ...

    def interval(self, symbols: Integers) -> tuple[Integers, Integers]:
        """(start, freq) of each symbol."""
        ...

    def locate(self, slots: Integers) -> Integers:
        """The symbol whose interval holds each slot."""
        ...


def check_pmf(pmf: Pmf, size: int, seed: int = 0) -> None:
    """Intervals of the symbols 0 to size - 1 fill 2^precision without gaps, and `locate` inverts `interval`."""
    symbols = np.arange(size)
    start, freq = pmf.interval(symbols)
    assert start[0] == 0
    assert freq.min() >= 1
    assert (start[1:] == start[:-1] + freq[:-1]).all()
    assert start[-1] + freq[-1] == 1 << pmf.precision
    if pmf.precision <= 16:
        assert (pmf.locate(np.arange(1 << pmf.precision)) == np.repeat(symbols, freq)).all()
        return
    inside = start + np.random.default_rng(seed).integers(0, freq)
    for slots in (start, start + freq - 1, inside):
        assert (pmf.locate(slots) == symbols).all()


@njit(error_model="numpy")
def _encode(start: Any, freq: Any, precision: Any, state: Any, out: Any) -> Any:
    for i in range(start.size):
        rangecoder.encode(state, out, start[i], freq[i], precision[i])
    return rangecoder.finish(state, out)


@njit(error_model="numpy")
def _decode(start: Any, freq: Any, precision: Any, state: Any, data: Any) -> Any:
    """The number of symbols until the first whose slot is outside its interval."""
    rangecoder.start_decoding(state, data)
    for i in range(start.size):
        slot = rangecoder.slot(state, precision[i])
        if slot < start[i] or slot >= start[i] + freq[i]:
            return i
        rangecoder.consume(state, data, start[i], freq[i], precision[i])
    return start.size


def check_range_coder(start: Integers, freq: Integers, precision: Integers) -> bytes:
    """Every symbol is found again, in as few bytes as the probabilities allow; returns the bytes."""
    out = np.zeros((start.size + 1) * rangecoder.FLUSH_BYTES, np.uint8)
    length = _encode(start, freq, precision, rangecoder.new_state(), out)
    ideal = float((precision - np.log2(freq)).sum())
    assert length * 8 <= ideal * 1.001 + 64
    state, data = rangecoder.new_state(), out[:length].copy()
    assert _decode(start, freq, precision, state, data) == start.size
    assert int(state[rangecoder.POSITION]) - length <= 2 * rangecoder.FLUSH_BYTES
    return data.tobytes()
