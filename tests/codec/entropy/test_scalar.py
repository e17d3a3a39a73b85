"""Coders of another library, on the same distributions: as large, and each decodes what it coded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from densezip.codec.entropy import pmf
from densezip.codec.entropy.rans import Message
from densezip.codec.entropy.scalar import QueueDecoder, QueueEncoder, Stack
from densezip.codec.errors import SymbolError, TruncatedError

COUNT = 400


def _one(*values: float) -> Any:
    return torch.tensor([values], dtype=torch.float64)


MAKERS: dict[str, Callable[[int], Any]] = {
    "uniform": lambda i: pmf.Uniform(1 + i % 300, 20),
    "categorical": lambda i: pmf.Categorical(_one(0.1, 0.0, 0.6, 0.3 + i % 5)),
    "logistic mixture": lambda i: pmf.LogisticMixture(_one(0, 1), _one(i % 256, 128), _one(3, 0.3 + i % 9), 256),
    "gaussian": lambda i: pmf.GaussianMixture(_one(0), _one(i % 1000), _one(0.01 + i % 100), 1000),
    "gaussian bins": lambda i: pmf.GaussianBins(_one(0.01 * i - 2)[0], _one(0.05)[0], 4096),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_distributions_take_as_many_bits_in_every_coder(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    made = [MAKERS[kind](i) for i in range(COUNT)]
    slots = [torch.randint(0, 1 << p.precision, (1,), generator=generator) for p in made]
    symbols = [int(p.locate(slot)) for p, slot in zip(made, slots, strict=True)]
    message, stack, queue = Message(1), Stack(), QueueEncoder()
    for p, symbol in zip(made, symbols, strict=True):
        start, freq = p.interval(torch.tensor([symbol]))
        message.push(start, freq, p.precision)
        stack.push(p, symbol)
        queue.encode(p, symbol)
    assert stack.bits == pytest.approx(message.bits, abs=64)
    assert 8 * len(queue.to_bytes()) == pytest.approx(message.bits, abs=64)
    stack, reader = Stack(stack.to_bytes()), QueueDecoder(queue.to_bytes())
    assert [stack.pop(p) for p in reversed(made)] == symbols[::-1]
    assert [reader.decode(p) for p in made] == symbols
    assert stack.bits == 0


def test_what_cannot_be_coded_or_read_is_refused() -> None:
    stack, queue = Stack(), QueueEncoder()
    for code in (stack.push, queue.encode):
        for symbol in (-1, 10):
            with pytest.raises(SymbolError, match="the alphabet is 0 to 9"):
                code(pmf.Uniform(10), symbol)
    assert stack.to_bytes() == queue.to_bytes() == b""
    for make in (Stack, QueueDecoder):
        with pytest.raises(TruncatedError, match="5 bytes"):
            make(bytes(5))
