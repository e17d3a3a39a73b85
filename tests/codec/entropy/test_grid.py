"""Values on a fixed fine grid: codecs that keep the law for every index, and cost what their docstring derives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from densezip.codec.entropy.grid import (
    Coarser,
    GaussianGrid,
    LogisticGrid,
    UniformGrid,
    indices_of,
    standard_log_density,
    values_of,
)
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import DistributionError, SymbolError
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_codec
from torch import Tensor

FAMILIES = {"gaussian": GaussianGrid, "logistic": LogisticGrid}
CDF: dict[str, Any] = {"gaussian": torch.special.ndtr, "logistic": torch.sigmoid}
QUANTILE: dict[str, Any] = {"gaussian": torch.special.ndtri, "logistic": torch.logit}
BOUND = {"gaussian": 1.2e-4, "logistic": 1.8e-4}


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", FAMILIES)
@given(st.integers(0, 44), st.floats(-60, 3), st.integers(0, 1000), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_grids_keep_the_law(name: str, bits: int, log_scale: float, seed: int, lanes: int) -> None:
    family: Any = FAMILIES[name]
    means, scales = 5 * _normal(seed, 3, 5), torch.exp2(log_scale + _normal(seed + 1, 3, 5))
    values = means + scales * QUANTILE[name](_uniform(seed + 2, 3, 5))
    check_codec(family(means, scales, bits), indices_of(values, bits), lanes)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_index_has_a_code(name: str) -> None:
    far = torch.tensor([sign * (1 << k) for k in range(56) for sign in (1, -1)])
    family: Any = FAMILIES[name]
    for bits in (0, 20, 40):
        codec = family(torch.zeros(len(far)), torch.ones(len(far)), bits)
        assert check_codec(codec, far, len(far)) < 110 * len(far)


@pytest.mark.parametrize("bounds", [(0, 1 << 20), (-5000, 5000)])
def test_a_distribution_that_is_cut_off_keeps_the_law_and_its_bounds(bounds: tuple[int, int]) -> None:
    low, high = bounds
    steps = torch.tensor(
        [low, low + 0.3, (low + high) / 2, high - 2.0, high, high + 9e9, low - 9e9], dtype=torch.float64
    )
    scales = torch.tensor([1e-9, 300, 5, 40, 1, 0.1, 1], dtype=torch.float64)
    codec = GaussianGrid(steps * 2.0**-20, scales * 2.0**-20, 20, bounds)
    for symbols in ([low] * 7, [high - 1] * 7, [low, high - 1, low + 1, high - 2, low, high - 1, low]):
        check_codec(codec, torch.tensor(symbols), 7)
    message = Message.random(7, 10**5)
    for _ in range(300):
        drawn = codec.pop(message)
        assert (drawn >= low).all()
        assert (drawn < high).all()


def test_a_cut_off_gaussian_costs_its_own_mass() -> None:
    """Half of the mass is outside, so an index inside has twice the density, which is half a bit each way."""
    n, bits, scale = 20000, 30, 2.0**-8
    values = scale * _normal(0, n).abs()
    codec = GaussianGrid(torch.zeros(n), torch.full((n,), scale), bits, (0, 1 << bits))
    distance = values_of(indices_of(values, bits), bits) / scale
    density = -0.5 * distance**2 - 0.5 * math.log(2 * math.pi) - math.log(scale) + math.log(2)
    net = check_codec(codec, indices_of(values, bits), 1000, 20 * n)
    assert net == pytest.approx(n * bits - float(density.sum()) / math.log(2), abs=3e-4 * n)


@pytest.mark.parametrize("steps", [0.3, 5.0, 31.9, 100.0, 2.0**15 * 1.001, 2.0**34 * 1.999])
@pytest.mark.parametrize("name", FAMILIES)
def test_grids_cost_at_most_the_derived_bound_over_the_ideal(name: str, steps: float) -> None:
    """Over a sample, for bins from the narrowest to the widest. The mean of many is known to 3e-5 bits."""
    n, bits = 100_000, 40
    family: Any = FAMILIES[name]
    means, scales = 0.001 * _normal(0, n), torch.full((n,), steps * 2.0**-bits, dtype=torch.float64)
    symbols = indices_of(means + scales * QUANTILE[name](_uniform(1, n)), bits)
    centre = torch.floor(means * 2.0**bits)
    edges = (torch.stack([symbols, symbols + 1]) - centre.long()).double() - (means * 2.0**bits - centre)
    edges = edges / steps
    edges = torch.where(edges[0] > 0, -edges.flip(0), edges)  # the lower tail has more digits
    mass = CDF[name](edges[1]) - CDF[name](edges[0])
    if steps > 1e6:  # the difference of two cdfs loses digits where the density does not
        middle = edges.mean(0)
        density = torch.exp(-0.5 * middle**2) / math.sqrt(2 * math.pi)
        if name == "logistic":
            density = torch.sigmoid(middle) * torch.sigmoid(-middle)
        mass = density / steps
    ideal = -float(torch.log2(mass).sum())
    message = Message.random(20_000, 0)  # the first symbols on an empty one cost more
    before = message.bits
    family(means, scales, bits).push(message, symbols)
    over = (message.bits - before - ideal) / n
    assert -1e-4 < over < BOUND[name] + 1e-4


@pytest.mark.parametrize("steps", [1.0, 3.0, 15.0])
def test_scales_of_a_few_steps_draw_no_outliers(steps: float) -> None:
    """Every bin has two units of 2^26: in a window of 1024 that would be 3e-5 of all, up to hundreds of scales away."""
    n = 200_000
    codec = GaussianGrid(torch.zeros(n), torch.full((n,), steps), 0)
    assert int(codec.pop(Message.random(1000, 10**6)).abs().max()) < 40 * steps


def test_coarse_indices_find_the_places_of_fine_ones_in_the_message() -> None:
    fine = indices_of(_normal(0, 40), 12)
    coarse = GaussianGrid(torch.zeros(40), torch.ones(40), 5)
    whole = check_codec(GaussianGrid(torch.zeros(40), torch.ones(40), 12), fine, 4)
    assert check_codec(Coarser(coarse, 7), fine, 4) == pytest.approx(whole, abs=0.5)

    class Borrowing:
        def push(self, message: Message, symbols: Tensor) -> None:
            assert message.bits > 40 * 7 - 1
            coarse.push(message, symbols)

    Coarser(Borrowing(), 7).push(Message(4), fine)  # type: ignore[arg-type]


def test_uniform_values_cost_their_bits() -> None:
    for bits in (1, 24, 32, 48):
        high = 1 << bits
        symbols = torch.tensor([0, high - 1, high // 2, high // 3, high // 5, 1])
        assert check_codec(UniformGrid((2, 3), bits), symbols.view(2, 3), 4) == pytest.approx(6 * bits, abs=0.02)


def test_values_are_in_the_middle_of_their_cells() -> None:
    indices = torch.tensor([0, 1, -1, (1 << 51) - 1, -(1 << 51)])
    assert torch.equal(indices_of(values_of(indices, 30), 30), indices)
    assert values_of(torch.tensor([0]), 1).tolist() == [0.25]


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianGrid(ONE, ONE * 0, 20), r"scale 0.0 at \[0\]"),
        (lambda: GaussianGrid(ONE, -ONE, 20), "above 0"),
        (lambda: GaussianGrid(ONE, ONE * torch.inf, 20), "scale inf"),
        (lambda: LogisticGrid(torch.tensor([0, torch.nan]), ONE, 20), r"value nan at \[1\]"),
        (lambda: GaussianGrid(ONE * 1e10, ONE, 20), "ends at 2"),
        (lambda: GaussianGrid(ONE, ONE * 1e12, 20), "a scale of .* steps"),
        (lambda: GaussianGrid(ONE, ONE, 49), "49 bits"),
        (lambda: GaussianGrid(ONE, ONE, 20, (0, 100)), "bounds 0 and 100"),
        (lambda: GaussianGrid(ONE, ONE, 20, (0, 1 << 20)), "the most is 1/32"),
        (lambda: indices_of(torch.tensor([torch.inf]), 20), "value inf"),
    ],
)
def test_what_is_no_distribution_on_a_grid_is_refused_by_name(make: Any, words: str) -> None:
    with pytest.raises(DistributionError, match=words):
        make()


@pytest.mark.parametrize(
    ("codec", "symbols", "words"),
    [
        (GaussianGrid(ONE, ONE, 20), torch.tensor([0, 1 << 57]), "index .* at 1"),
        (GaussianGrid(ONE, ONE / 1000, 20, (0, 1 << 20)), torch.tensor([-1, 5]), "index -1 at 0"),
        (GaussianGrid(ONE, ONE, 20), torch.zeros(3, dtype=torch.int64), r"indices \[3\]"),
        (UniformGrid((2,), 20), torch.tensor([3, 1 << 20]), "index 1048576 at 1"),
    ],
)
def test_indices_off_the_grid_are_refused_before_anything_is_written(codec: Any, symbols: Tensor, words: str) -> None:
    message = Message(2)
    with pytest.raises(SymbolError, match=words):
        codec.push(message, symbols)
    assert message.bits == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 4.0, 6.0, -8.0, 15.5, 16.5, -40.0, 50.0, -150.0, 200.0, 3000.0])
def test_the_standard_log_density_is_what_a_value_takes(value: float) -> None:
    values = torch.full((1000,), value + 1 / 64, dtype=torch.float64)  # in the middle of a bin
    codec, message = GaussianGrid(torch.zeros_like(values), torch.ones_like(values), 24), Message.lending(8)
    codec.push(message, indices_of(torch.zeros_like(values), 24))
    before = message.bits
    codec.push(message, indices_of(values, 24))
    density = float(standard_log_density(values[:1])) / math.log(2)
    assert (message.bits - before) / len(values) - 24 == pytest.approx(-density, abs=1e-2)


def test_the_standard_log_density_is_a_density() -> None:
    middles = (torch.arange(-(1 << 14), 1 << 14, dtype=torch.float64) + 0.5) / 1024
    inside = float(standard_log_density(middles).exp().sum()) / 1024
    starts = torch.tensor([16 + 32 * (4**k - 1) / 3 for k in range(16)], dtype=torch.float64)
    beyond = 2 * float((standard_log_density(starts[:-1] + 1).exp() * starts.diff()).sum())
    assert inside + beyond == pytest.approx(1, abs=1e-6)
    assert beyond > 2.0**-25
