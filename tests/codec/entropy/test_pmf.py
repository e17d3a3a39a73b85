"""Distributions as integers: they keep the law on every lane, cost what they promise, and refuse what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from densezip.codec.entropy import pmf
from densezip.codec.entropy.codecs import FromPmf
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import DistributionError, SymbolError
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_tensor_pmf
from torch import Tensor

LANES = 3


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _mixture(kind: Any, size: int, components: int, precision: int, seed: int, spread: float) -> Any:
    means = size * (0.5 + 0.4 * _normal(seed, LANES, components))
    scales = torch.exp(spread * _normal(seed + 1, LANES, components))
    return kind(_normal(seed + 2, LANES, components), means, scales, size, precision)


MAKERS: dict[str, Callable[[int, int, int], Any]] = {
    "uniform": lambda size, precision, seed: pmf.Uniform(size, precision),
    "categorical": lambda size, precision, seed: pmf.Categorical.from_logits(5 * _normal(seed, LANES, size), precision),
    "logistic": lambda size, precision, seed: _mixture(pmf.LogisticMixture, size, 1, precision, seed, 3.0),
    "logistic mixture": lambda size, precision, seed: _mixture(pmf.LogisticMixture, size, 5, precision, seed, 3.0),
    "gaussian": lambda size, precision, seed: _mixture(pmf.GaussianMixture, size, 1, precision, seed, 3.0),
    "gaussian mixture": lambda size, precision, seed: _mixture(pmf.GaussianMixture, size, 4, precision, seed, 3.0),
    "gaussian bins": lambda size, precision, seed: pmf.GaussianBins(
        2 * _normal(seed, LANES), torch.exp(2 * _normal(seed + 1, LANES)), size, precision
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
@given(st.integers(1, 30), st.integers(0, 3), st.integers(0, 1000))
@settings(max_examples=6, deadline=None)
def test_intervals_fill_the_range_and_are_found_again(kind: str, size: int, spare: int, seed: int) -> None:
    precision = size.bit_length() + 1 + 4 * spare  # from just enough on
    check_tensor_pmf(MAKERS[kind](size, precision, seed), size, LANES)


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if "mixture" in kind])
@pytest.mark.parametrize("slot", [-1, 1 << 12, -(1 << 63), (1 << 63) - 1])
def test_a_slot_outside_the_range_is_refused(kind: str, slot: int) -> None:
    made = MAKERS[kind](16, 12, 0)
    with pytest.raises(SymbolError, match="slots from"):
        made.locate(torch.tensor([5, slot, 6]))


@pytest.mark.parametrize("kind", MAKERS)
def test_symbols_of_sixteen_bits_are_found_again(kind: str) -> None:
    size, precision = 1 << 16, 28
    made, generator = MAKERS[kind](size, precision, 7), torch.Generator().manual_seed(1)
    for _ in range(200):
        slots = torch.randint(0, 1 << precision, (LANES,), generator=generator)
        symbols = made.locate(slots)
        start, freq = made.interval(symbols)
        assert ((start <= slots) & (slots < start + freq)).all()
    for symbols in (torch.zeros(LANES, dtype=torch.int64), torch.full((LANES,), size - 1)):
        start, freq = made.interval(symbols)
        assert torch.equal(made.locate(start), symbols)
        assert torch.equal(made.locate(start + freq - 1), symbols)


def test_bernoulli_keeps_the_law() -> None:
    check_tensor_pmf(pmf.Bernoulli(torch.tensor([-50.0, 0.3, 50.0]), 12), 2, LANES)


@pytest.mark.parametrize("kind", [pmf.LogisticMixture, pmf.GaussianMixture])
def test_mixtures_cost_at_most_the_derived_bound_over_the_ideal(kind: Any) -> None:
    size, components = 256, 5
    logits, means = _normal(0, 1, components), 128 + 30 * _normal(1, 1, components)
    scales = torch.exp(1 + _normal(2, 1, components))
    weights, symbols = torch.softmax(logits, -1), torch.arange(size)
    edges = (symbols[:, None].double() - 0.5 - means) / scales
    cdf = (weights * (torch.sigmoid(edges) if kind is pmf.LogisticMixture else torch.special.ndtr(edges))).sum(-1)
    cdf[0] = 0.0
    ideal = torch.diff(torch.cat([cdf, torch.ones(1, dtype=torch.float64)]))
    lanes = (logits.expand(size, -1), means.expand(size, -1), scales.expand(size, -1))
    _, freq = kind(*lanes, size).interval(symbols)
    coded = freq.double() / 2**pmf.DEFAULT_PRECISION
    cost = (ideal * (torch.log2(ideal.clamp(min=1e-300)) - torch.log2(coded))).sum()
    assert 0 <= float(cost) <= 4.5e-5
    # Each symbol alone stays within the bound, too.
    assert (coded >= ideal * (1 - 2 * size / 2**pmf.DEFAULT_PRECISION) * (1 - 1e-12)).all()


def test_bins_have_equal_mass_and_values_inside_them() -> None:
    size = 1024
    values = pmf.GaussianBins.values(torch.arange(size), size)
    edges = torch.special.ndtri(torch.arange(1, size).double() / size)
    assert (values[:-1] < edges).all()
    assert (values[1:] > edges).all()
    standard = pmf.GaussianBins(torch.zeros(size), torch.ones(size), size, 20)
    _, freq = standard.interval(torch.arange(size))
    assert int(freq.max() - freq.min()) <= 2  # each end of a bin is rounded


LANE = torch.zeros(2, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pmf.LogisticMixture(LANE, LANE, LANE, 256), r"scale at \[0, 0\] is 0"),
        (lambda: pmf.LogisticMixture(LANE, LANE, LANE - 1, 256), "scale"),
        (lambda: pmf.GaussianMixture(LANE, LANE / 0, LANE + 1, 256), "mean at .* nan"),
        (lambda: pmf.GaussianMixture(LANE + torch.inf, LANE, LANE + 1, 256), "logit at .* inf"),
        (lambda: pmf.LogisticMixture(LANE, LANE, LANE + 1, 65536, 16), "65536 symbols at a precision of 16 bits"),
        (lambda: pmf.Categorical(torch.zeros(2, 5)), "all zero"),
        (lambda: pmf.Categorical(torch.tensor([[1.0, -0.5]])), "negative"),
        (lambda: pmf.Categorical(torch.ones(1, 300), 8), "300 symbols at a precision of 8 bits"),
        (lambda: pmf.Uniform(300, 8), "300 symbols at a precision of 8 bits"),
        (lambda: pmf.Uniform(0), "0 symbols"),
        (lambda: pmf.Bernoulli(torch.tensor([torch.nan])), r"logit at \[0\] is nan"),
        (lambda: pmf.GaussianBins(torch.zeros(1), torch.ones(1), 64, 32), "precision of 32 bits"),
    ],
)
def test_what_is_no_distribution_is_refused_by_name(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(DistributionError, match=words):
        make()


@pytest.mark.parametrize("kind", MAKERS)
def test_symbols_outside_the_alphabet_are_refused(kind: str) -> None:
    made = MAKERS[kind](10, 12, 0)
    for symbols in ([0, -1, 3], [0, 1, 10]):
        with pytest.raises(SymbolError, match="the alphabet is 0 to 9"):
            made.interval(torch.tensor(symbols))


@pytest.mark.parametrize("kind", [pmf.LogisticMixture, pmf.GaussianMixture])
@pytest.mark.parametrize("mean", [-1e300, 0.0, 200.0, 1e300])
@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e300])
def test_extreme_parameters_keep_the_law(kind: Any, mean: float, scale: float) -> None:
    means = torch.tensor([[mean, 5.0]], dtype=torch.float64)
    logits = torch.tensor([[1e308, -1e308]], dtype=torch.float64)
    check_tensor_pmf(kind(logits, means, torch.full_like(means, scale), 256), 256, 1)


def test_symbols_are_of_64_bits_and_one_for_each_lane() -> None:
    for made in (pmf.Uniform(8), pmf.Categorical(torch.ones(3, 8)), _mixture(pmf.LogisticMixture, 8, 1, 12, 0, 1.0)):
        with pytest.raises(SymbolError, match="int64 is needed"):
            made.interval(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(SymbolError, match="for 3 lanes"):
        pmf.Categorical(torch.ones(3, 8)).interval(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DistributionError, match="symbols"):
        pmf.Categorical(torch.ones(1, (1 << 16) + 1))
    with pytest.raises(DistributionError, match="scale"):
        pmf.LogisticMixture(LANE, LANE, LANE + 1e-310, 256)


@pytest.mark.parametrize(("size", "most"), [(256, 1e-4), (4096, 1e-4), (1 << 16, 1e-4)])
def test_alphabets_cost_what_is_stated_by_default(size: int, most: float) -> None:
    """Measured on a message, with what its heads lose, of symbols drawn from the distribution."""
    lanes, pushes, generator = 64, 2000, torch.Generator().manual_seed(0)
    scale = torch.full((lanes, 1), size / 40, dtype=torch.float64)
    mean, zero = torch.full_like(scale, size / 2.1), torch.zeros_like(scale)
    made = pmf.LogisticMixture(zero, mean, scale, size)
    message, ideal = Message(lanes), 0.0
    for _ in range(pushes):
        noise = torch.logit(torch.rand(lanes, generator=generator, dtype=torch.float64).clamp(1e-9, 1 - 1e-9))
        symbols = (mean[:, 0] + scale[:, 0] * noise).round().clamp(1, size - 2).long()
        edges = (torch.stack([symbols, symbols + 1]) - 0.5 - mean[:, 0]) / scale[:, 0]
        ideal -= float(torch.log2(torch.diff(torch.sigmoid(edges), dim=0)).sum())
        FromPmf(made).push(message, symbols)
    assert -1e-4 <= (message.bits - ideal) / (lanes * pushes) <= most
