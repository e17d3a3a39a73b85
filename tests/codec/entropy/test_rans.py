"""The stack of bits: what is pushed is popped, at the cost that the intervals say."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from densezip.codec.entropy.rans import MAX_PRECISION, Message
from densezip.codec.errors import CorruptPayloadError, FormatError, IntervalError, MessageExhaustedError, TruncatedError
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor


def _intervals(rng: np.random.Generator, lanes: int, precision: int) -> tuple[Tensor, Tensor]:
    """Intervals of all widths, with narrow and full ones among them."""
    freq = np.minimum(2 ** rng.uniform(0, precision, lanes), 2**precision).astype(np.int64).clip(1)
    freq[rng.random(lanes) < 0.1] = 1
    freq[rng.random(lanes) < 0.1] = 1 << precision
    start = rng.integers(0, (1 << precision) - freq + 1)
    return torch.from_numpy(start), torch.from_numpy(freq)


@given(st.integers(1, 70), st.integers(0, 60), st.integers(0, MAX_PRECISION), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_pop_undoes_push(lanes: int, count: int, precision: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    message, ideal = Message(lanes), 0.0
    pushed = [_intervals(rng, lanes, precision) for _ in range(count)]
    for start, freq in pushed:
        message.push(start, freq, precision)
        ideal += float((precision - torch.log2(freq.double())).sum())
    assert message.bits == pytest.approx(ideal, rel=2e-2, abs=1)
    message = Message.from_bytes(message.to_bytes())
    for start, freq in reversed(pushed):
        slots = message.peek(precision)
        assert ((start <= slots) & (slots < start + freq)).all()
        message.pop(start, freq, precision)
    assert message.bits == 0
    assert message.to_bytes() == Message(lanes).to_bytes()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, MAX_PRECISION), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_push_undoes_pop(lanes: int, count: int, precision: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    message = Message.random(lanes, lanes * count, seed)
    before = message.to_bytes()
    popped = []
    for _ in range(count):
        slots = message.peek(precision)
        start = torch.from_numpy(rng.integers(0, slots.numpy() + 1))
        freq = torch.from_numpy(rng.integers(slots.numpy() - start.numpy() + 1, (1 << precision) - start.numpy() + 1))
        message.pop(start, freq, precision)
        popped.append((start, freq))
    for start, freq in reversed(popped):
        message.push(start, freq, precision)
    assert message.to_bytes() == before


def test_message_grows_by_the_information_of_its_symbols() -> None:
    rng = np.random.default_rng(0)
    message, ideal = Message(64), 0.0
    start, freq = torch.from_numpy(np.array([0, 3, 1000, 1 << 23])), torch.from_numpy(np.array([3, 997, 7, 1 << 23]))
    for _ in range(2000):
        drawn = torch.from_numpy(rng.integers(0, 4, 64))
        message.push(start[drawn], freq[drawn], 24)
        ideal += float((24 - torch.log2(freq[drawn].double())).sum())
    assert message.bits == pytest.approx(ideal, rel=2e-5)
    # Written down it costs at most 38 bits more a lane, and 8 bytes.
    assert len(message.to_bytes()) * 8 <= message.bits + 64 * 38 + 72


def test_empty_message_costs_what_is_promised() -> None:
    assert len(Message(1024).to_bytes()) == 8 + 1024 // 8
    assert Message(1024).bits == 0


def test_popping_more_than_there_is_is_an_error_and_changes_nothing() -> None:
    message = Message(3)
    start, freq = torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])
    message.push(start, freq, 20)
    message.push(start, freq, 20)
    data = message.to_bytes()
    for _ in range(2):
        message.pop(start, freq, 20)
    empty = message.to_bytes()
    with pytest.raises(MessageExhaustedError, match="3 words are to be popped where 0 are left"):
        message.pop(start, freq, 20)
    assert message.to_bytes() == empty
    assert data != empty


@pytest.mark.parametrize(
    ("start", "freq", "precision", "words"),
    [
        ([0, -1], [1, 1], 8, "lane 1: start -1"),
        ([0, 0], [0, 1], 8, "lane 0: start 0, freq 0"),
        ([0, 200], [1, 57], 8, "lane 1: start 200, freq 57"),
        ([0], [1], 8, r"\[1\] .* for 2 lanes"),
        ([0, 0], [1, 1], 32, "precision of 32"),
    ],
)
def test_bad_intervals_are_refused_before_anything_is_written(
    start: list[int], freq: list[int], precision: int, words: str
) -> None:
    message = Message(2)
    for move in (message.push, message.pop):
        with pytest.raises(IntervalError, match=words):
            move(torch.tensor(start), torch.tensor(freq), precision)
    with pytest.raises(IntervalError, match="int64 is needed"):
        message.push(torch.zeros(2), torch.ones(2), 8)
    assert message.to_bytes() == Message(2).to_bytes()


def test_popping_another_interval_than_the_one_on_top_is_an_error() -> None:
    message = Message(2)
    message.push(torch.tensor([10, 20]), torch.tensor([5, 5]), 8)
    with pytest.raises(IntervalError, match="lane 1 holds slot"):
        message.pop(torch.tensor([10, 50]), torch.tensor([5, 5]), 8)


def test_parts_share_heads_and_tail() -> None:
    message = Message(5)
    part = message.part(1, 3)
    start, freq = torch.tensor([1, 2]), torch.tensor([1, 1])
    for _ in range(5):
        part.push(start, freq, 16)
    assert message.bits == pytest.approx(5 * 2 * 16)
    for _ in range(5):
        part.pop(start, freq, 16)
    assert message.to_bytes() == Message(5).to_bytes()
    for first, stop in ((-1, 2), (2, 2), (3, 6)):
        with pytest.raises(ValueError, match="of a message of 5"):
            message.part(first, stop)


def test_every_truncation_and_every_flipped_bit_of_a_written_message_is_noticed_or_another_message() -> None:
    message = Message(5)
    for _ in range(4):
        message.push(torch.arange(5), torch.ones(5, dtype=torch.int64), 20)
    data = message.to_bytes()
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            Message.from_bytes(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            other = Message.from_bytes(bytes(damaged))
        except FormatError:
            continue
        assert other.to_bytes() == bytes(damaged)
    with pytest.raises(CorruptPayloadError):
        Message.from_bytes(Message(9).to_bytes()[:-1] + b"\1")


def test_a_head_of_too_many_bits_is_refused() -> None:
    """One lane, used, with 63 digits below the topmost: beyond what a head can be."""
    data = bytes([1, 0, 0, 0, 0, 0, 0, 0]) + bytes([0b11111110]) + bytes(8)
    with pytest.raises(CorruptPayloadError, match="beyond 2\\^63"):
        Message.from_bytes(data)


def test_random_messages_are_those_of_their_seed() -> None:
    assert Message.random(7, 20, 3).to_bytes() == Message.random(7, 20, 3).to_bytes()
    assert Message.random(7, 20, 3).to_bytes() != Message.random(7, 20, 4).to_bytes()
    assert Message.random(8, 64).bits == pytest.approx(64 * 32 + 8 * (32 - 1 / math.log(2)), abs=30)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda message: pickle.loads(pickle.dumps(message))])
def test_a_copy_of_a_message_lives_alone(copied: Any) -> None:
    message = Message.random(20, 50)
    kept, twin = message.to_bytes(), copied(message)
    start, freq = torch.arange(20), torch.full((20,), 3)
    twin.push(start, freq, 8)
    assert message.to_bytes() == kept
    twin.pop(start, freq, 8)
    assert twin.to_bytes() == kept
    for _ in range(40):  # the tail grows
        twin.push(start, freq, 8)
    for _ in range(40):
        twin.pop(start, freq, 8)
    assert twin.to_bytes() == kept
