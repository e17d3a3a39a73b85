"""Large alphabets in two parts: the law of both, the cost, and whole codecs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from densezip.codec.entropy import halves, pmf
from densezip.codec.entropy.codecs import Autoregressive, FromPmf, Independent
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import SymbolError
from hypothesis import given, settings
from hypothesis import strategies as st

MIXTURES = [pmf.LogisticMixture, pmf.GaussianMixture]


def mixture(kind: Any, size: int, seed: int, lanes: int = 1, components: int = 4) -> Any:
    """Means inside and outside the alphabet, scales from far below a symbol to far above the alphabet."""
    generator = torch.Generator().manual_seed(seed)
    logits, places, widths = (torch.randn(lanes, components, generator=generator).double() for _ in range(3))
    return kind(3 * logits, size * (0.5 + places), torch.exp(0.25 * size.bit_length() * (1 + 2 * widths)), size)


@pytest.mark.parametrize("kind", MIXTURES)
@given(st.integers(513, 1 << 16), st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_intervals_of_both_parts_fill_the_range(kind: Any, size: int, seed: int, where: float) -> None:
    made = mixture(kind, size, seed, lanes=3)
    high = halves._High(made)
    digits = torch.tensor([0, int(where * (high.size - 1)), high.size - 1])
    for part in (high, halves._Low(made, digits)):
        starts = part._start(torch.arange(part.size + 1)[:, None].expand(-1, 3))
        there = torch.arange(part.size)[:, None] < getattr(part, "_count", part.size)  # symbols, on each lane
        assert (starts[0] == 0).all()
        assert (starts[-1] == 1 << part.precision).all()
        assert ((torch.diff(starts, dim=0) >= 1) == there).all()


@pytest.mark.parametrize("kind", MIXTURES)
@pytest.mark.parametrize("size", [513, 1000, 4096, 1 << 16])
def test_the_cost_is_below_the_bound(kind: Any, size: int) -> None:
    symbols = torch.arange(size)
    for seed in range(20):
        one = mixture(kind, size, seed)
        made = kind(*(getattr(one, name).expand(size, -1) for name in ("_logits", "_means", "_scales")), size)
        edges = torch.cat([torch.zeros(1), one.cdf(symbols[1:, None])[:, 0], torch.ones(1)]).double()
        mass = torch.diff(edges).clamp(min=0)
        parts = halves.intervals(made, symbols)
        assert len(parts) == 2
        bits = sum(precision - torch.log2(freq.double()) for _, freq, precision in parts)
        assert 0 <= float((mass * bits + torch.special.xlogy(mass, mass) / torch.log(torch.tensor(2.0))).sum()) <= 1e-4


@pytest.mark.parametrize("kind", MIXTURES)
def test_symbols_of_sixteen_bits_come_back(kind: Any) -> None:
    lanes, size = 97, 1 << 16
    generator = torch.Generator().manual_seed(3)
    for seed in range(5):
        codec, message = FromPmf(mixture(kind, size, seed, lanes)), Message(lanes)
        pushed = [torch.randint(0, size, (lanes,), generator=generator) for _ in range(4)]
        pushed += [torch.zeros(lanes, dtype=torch.int64), torch.full((lanes,), size - 1)]
        before = message.to_bytes()
        for symbols in pushed:
            codec.push(message, symbols)
        for symbols in reversed(pushed):
            assert torch.equal(codec.pop(message), symbols)
        assert message.to_bytes() == before


@pytest.mark.parametrize("size", [513, 1000])
def test_no_bits_at_all_make_a_symbol_that_is_not_there(size: int) -> None:
    lanes = 200_000
    one = torch.ones(lanes, 1, dtype=torch.float64)
    codec, message = (
        FromPmf(pmf.LogisticMixture(one, one * 1.2 * size, 3 * one, size)),
        Message.random(lanes, 2 * lanes),
    )
    kept = message.to_bytes()
    symbols = codec.pop(message)
    assert int(symbols.max()) < size
    codec.push(message, symbols)
    assert message.to_bytes() == kept


def test_pop_then_push_restores_the_message() -> None:
    message = Message.lending(50)
    codec = FromPmf(mixture(pmf.LogisticMixture, 1 << 16, 1, 50))
    codec.push(message, torch.arange(50) * 1000)
    kept = message.to_bytes()
    codec.push(message, codec.pop(message))
    assert message.to_bytes() == kept


def test_codecs_of_many_symbols_take_them_in_two_parts() -> None:
    size, count = 4096, 70
    made = mixture(pmf.GaussianMixture, size, 5, count)

    def of(first: int, stop: int) -> Any:
        logits, means, scales = (v[first:stop] for v in (made._logits, made._means, made._scales))
        return pmf.GaussianMixture(logits, means, scales, size)

    symbols = torch.arange(count) * 58
    for codec in (Independent(of, count), Autoregressive((count,), [torch.arange(count)], lambda step, known: of)):
        message = Message(16)
        codec.push(message, symbols)
        assert torch.equal(codec.pop(message), symbols)


def test_a_precision_that_was_asked_for_is_kept() -> None:
    one = torch.zeros(2, 1, dtype=torch.float64)
    assert len(halves.intervals(pmf.LogisticMixture(one, one, one + 1, 4096, 24), torch.tensor([0, 1]))) == 1
    assert len(halves.intervals(pmf.LogisticMixture(one, one, one + 1, 512), torch.tensor([0, 1]))) == 1


@pytest.mark.parametrize("wrong", [-1, 4096])
def test_a_symbol_outside_is_named(wrong: int) -> None:
    one = torch.zeros(2, 1, dtype=torch.float64)
    message = Message(2)
    before = message.to_bytes()
    with pytest.raises(SymbolError, match=f"lane 1 has symbol {wrong}"):
        FromPmf(pmf.LogisticMixture(one, one, one + 1, 4096)).push(message, torch.tensor([5, wrong]))
    assert message.to_bytes() == before


@pytest.mark.parametrize("size", [1024, 513 * 256, 1 << 16])
@pytest.mark.parametrize("scale", [1e-4, 0.03, 2.0])
def test_the_high_part_of_bins_is_that_of_fewer_bins_to_the_last_bit(size: int, scale: float) -> None:
    torch.manual_seed(size)
    bins = pmf.GaussianBins(3 * torch.randn(300), scale * (0.5 + torch.rand(300)), size)
    coarse, high = halves._high(bins), halves._High(bins)
    assert isinstance(coarse, pmf.GaussianBins)
    slots, digits = torch.randint(1 << 24, (300,)), torch.randint(size >> 8, (300,))
    assert torch.equal(coarse.locate(slots), high.locate(slots))
    for ours, theirs in zip(coarse.interval(digits), high.interval(digits), strict=True):
        assert torch.equal(ours, theirs)


@given(st.integers(2, 700), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_few_lanes_find_the_symbols_that_many_find(size: int, seed: int) -> None:
    made = mixture(pmf.GaussianMixture, size, seed, lanes=300)
    slots = torch.randint(1 << made.precision, (300,), generator=torch.Generator().manual_seed(seed))
    many = pmf.CumulativePmf.locate(made, slots)
    few = torch.cat([pmf.CumulativePmf.locate(made.some(n, n + 50), slots[n : n + 50]) for n in range(0, 300, 50)])
    assert torch.equal(few, many)
    assert torch.equal(made.locate(slots), many)
