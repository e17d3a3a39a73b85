"""The range coder alone, on intervals that no model would make."""

from typing import Any

import numpy as np
import pytest
from densezip.codec.entropy import rangecoder
from densezip.codec.errors import IntervalError
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_range_coder

symbols = st.integers(1, 32).flatmap(
    lambda precision: st.tuples(
        st.just(precision), st.integers(0, (1 << precision) - 1), st.integers(1, 1 << 32), st.integers(1, 40)
    )
)


@given(st.lists(symbols, max_size=60))
@settings(max_examples=100, deadline=None)
def test_decoding_inverts_encoding_of_any_intervals(runs: list[tuple[int, int, int, int]]) -> None:
    # The freq drawn is cut to what is left above start; every symbol is repeated.
    table = [(p, start, min(freq, (1 << p) - start)) for p, start, freq, count in runs for _ in range(count)]
    precision, start, freq = np.array(table, np.int64).reshape(-1, 3).T.copy()
    check_range_coder(start, freq, precision)


def test_likely_symbols_cost_next_to_nothing() -> None:
    n = 100_000
    precision = np.full(n, 28)
    data = check_range_coder(np.full(n, 1), np.full(n, (1 << 28) - 2), precision)
    assert len(data) < 16


def test_nothing_is_one_byte_at_most() -> None:
    empty = np.zeros(0, np.int64)
    assert len(check_range_coder(empty, empty, empty)) <= 1


def test_a_carry_runs_through_long_rows_of_full_bytes() -> None:
    # After the first symbol the boundary between 7F FF FF... and 80 00 00... lies inside the range; every further one
    # holds the boundary, so that nothing but FF is written, until the last one lies above it.
    for length in (1, 2, 50, 1000):
        state, out = rangecoder.new_state(), np.zeros((length + 2) * rangecoder.FLUSH_BYTES, np.uint8)
        table = [((1 << 31) - 1, 2)]

        def encode(interval: tuple[int, int], state: Any = state, out: Any = out) -> None:
            rangecoder.encode(state, out, *np.array([*interval, 32])[:, None])

        encode(table[0])
        for _ in range(length):
            unit = int(state[rangecoder.RANGE]) >> 32
            boundary = ((1 << 64) - int(state[rangecoder.LOW])) // unit
            table.append((boundary, 1))
            encode(table[-1])
        full = out[: int(state[rangecoder.POSITION])].tobytes()
        assert full.endswith(b"\xff" * 3 * length)
        for last in (0, (1 << 32) - 1):
            start, freq = np.array([*table, (last, 1)], np.int64).T.copy()
            data = check_range_coder(start, freq, np.full(start.size, 32))
            carried = data[0] == 0x80
            assert carried == (last > 0)


@given(st.binary(max_size=40), st.integers(1, 32), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_any_bytes_decode_to_slots_in_range(data: bytes, precision: int, pick: int) -> None:
    state = rangecoder.new_state()
    stream = np.frombuffer(data, np.uint8).copy()
    rangecoder.start_decoding(state, stream)
    for _ in range(30):
        slot = int(rangecoder.slot(state, precision))
        assert 0 <= slot < 1 << precision
        start = max(0, slot - pick % 5)
        freq = min((1 << precision) - start, slot - start + 1 + pick % 7)
        rangecoder.consume(state, stream, start, freq, precision)


@pytest.mark.parametrize("interval", [(0, 0, 8), (-1, 2, 8), (250, 7, 8), (0, 1, 0), (0, 1, 33)])
def test_intervals_that_are_none_are_refused(interval: tuple[int, int, int]) -> None:
    out = np.zeros(99, np.uint8)
    start, freq, precision = np.array([(5, 6, 8), interval], np.int64).T
    with pytest.raises(IntervalError, match="cannot be coded"):
        rangecoder.encode(rangecoder.new_state(), out, start, freq, precision)
    with pytest.raises(IntervalError, match="cannot be coded"):
        rangecoder.consume(rangecoder.new_state(), out, *interval)


def test_a_buffer_that_is_too_small_is_not_overrun() -> None:
    room = np.full(40, 0xEE, np.uint8)
    unlikely = np.ones(50, np.int64)
    with pytest.raises(ValueError, match="30 bytes are too few for 50 symbols"):
        rangecoder.encode(rangecoder.new_state(), room[:30], unlikely, unlikely, unlikely * 32)
    assert (room[30:] == 0xEE).all()
