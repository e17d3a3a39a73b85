"""Codecs made of codecs: each keeps the law, and costs what the model's own code length is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from densezip.codec.entropy import codecs, pmf
from densezip.codec.entropy.codecs import Codec, FromPmf
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import MessageExhaustedError, SymbolError
from laws import check_codec
from torch import Tensor

LANES = 6


def _draw(seed: int, high: int, *shape: int) -> Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def _logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _categorical(seed: int, size: int) -> FromPmf:
    return FromPmf(pmf.Categorical.from_logits(_logits(seed, LANES, size)))


TABLE = _logits(5, 8, 8)


def _given(first: Tensor) -> FromPmf:
    return FromPmf(pmf.Categorical.from_logits(TABLE[first]))


def _independent(count: int) -> codecs.Independent:
    logits = _logits(3, count, 16)
    return codecs.Independent(lambda first, stop: pmf.Categorical.from_logits(logits[first:stop]), count)


def _image_pmf(height: int, width: int, steps: list[Tensor]) -> Callable[[int, Tensor], Callable[[int, int], Any]]:
    """Each pixel about as bright as its west and north-east neighbours: a context of slope 2."""

    def make(number: int, known: Tensor) -> Callable[[int, int], Any]:
        y, x = torch.div(steps[number], width, rounding_mode="floor"), steps[number] % width
        padded = torch.nn.functional.pad(known.view(height, width), (1, 1, 1, 0))
        mean = (padded[y + 1, x] + padded[y, x + 2]).double()[:, None] / 2
        one = torch.ones_like(mean)
        return lambda first, stop: pmf.LogisticMixture(one[first:stop], mean[first:stop], one[first:stop] * 4, 256)

    return make


CODECS: dict[str, tuple[Codec[Any], Any]] = {
    "pmf": (_categorical(0, 10), _draw(0, 10, LANES)),
    "fewer symbols than lanes": (_independent(4), _draw(1, 16, 4)),
    "more symbols than lanes": (_independent(45), _draw(1, 16, 45)),
    "no symbols": (_independent(0), _draw(1, 16, 0)),
    "items in turn": (
        codecs.Chain([lambda _: _categorical(1, 3), lambda _: _independent(9)]),
        [_draw(2, 3, LANES), _draw(3, 16, 9)],
    ),
    "lanes": (codecs.Substack(FromPmf(pmf.Uniform(1000)), 2, 5), _draw(4, 1000, 3)),
    "items that depend on those before": (
        codecs.Chain([lambda _: _categorical(2, 8), lambda items: _given(items[0]), lambda items: _given(items[1])]),
        [_draw(5, 8, LANES), _draw(6, 8, LANES), _draw(10, 8, LANES)],
    ),
    "autoregressive in raster order": (
        codecs.Autoregressive(
            (5, 7), list(torch.arange(35)[:, None]), _image_pmf(5, 7, list(torch.arange(35)[:, None]))
        ),
        _draw(7, 256, 5, 7),
    ),
    "autoregressive in wavefronts": (
        codecs.Autoregressive((5, 7), codecs.wavefront(5, 7, 2), _image_pmf(5, 7, codecs.wavefront(5, 7, 2))),
        _draw(7, 256, 5, 7),
    ),
    "bits back": (codecs.BitsBack(_categorical(3, 8), _given, _given), _draw(8, 8, LANES)),
    "scrambled": (codecs.Scrambled(_categorical(11, 16), LANES, seed=1), _draw(11, 16, LANES)),
    "bit swap": (codecs.BitSwap(_categorical(4, 8), [_given] * 3, [_given] * 3), _draw(9, 8, LANES)),
}


@pytest.mark.parametrize("name", CODECS)
def test_codecs_keep_the_law(name: str) -> None:
    codec, symbols = CODECS[name]
    check_codec(codec, symbols, LANES)


def test_behind_a_scrambled_codec_other_values_are_popped_than_were_pushed() -> None:
    lanes, zero = 512, torch.zeros(512, dtype=torch.int64)
    uniform = FromPmf(pmf.Categorical(torch.ones(lanes, 16, dtype=torch.float64)))
    plain, scrambled = Message.random(lanes, 4096), Message.random(lanes, 4096)
    uniform.push(plain, zero)
    codecs.Scrambled(uniform, lanes, seed=1).push(scrambled, zero)
    assert torch.equal(uniform.pop(plain), zero)
    counts = torch.bincount(uniform.pop(scrambled), minlength=16)
    assert counts.min() > 10
    assert abs(scrambled.bits - plain.bits) < 64


def test_orders_of_an_image_cost_the_same() -> None:
    raster, wavefront = (
        check_codec(*CODECS[f"autoregressive in {order}"], LANES) for order in ("raster order", "wavefronts")
    )
    assert wavefront == pytest.approx(raster, abs=0.1)


@pytest.mark.parametrize(("height", "width", "slope"), [(1, 1, 1), (4, 9, 2), (9, 4, 1), (5, 5, 7)])
def test_wavefronts_visit_every_pixel_after_its_context(height: int, width: int, slope: int) -> None:
    steps = codecs.wavefront(height, width, slope)
    assert len(steps) <= width + slope * (height - 1)
    assert torch.equal(torch.cat(steps).sort().values, torch.arange(height * width))
    when = torch.zeros(height * width, dtype=torch.int64)
    for number, places in enumerate(steps):
        when[places] = number
    when = when.view(height, width)
    assert (when[:, 1:] > when[:, :-1]).all()
    reach = min(slope, width) - 1
    assert (when[1:, : width - reach] > when[:-1, reach:]).all()


def test_markov_chain_costs_its_entropy() -> None:
    """A chain over three states, whose ideal code length is known: the sum of -log2 of its own transitions."""
    transition = torch.tensor([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.01, 0.01, 0.98]], dtype=torch.float64)
    lanes, length = 10, 1000
    generator = torch.Generator().manual_seed(0)
    chain = torch.zeros(length, lanes, dtype=torch.int64)
    for t in range(1, length):
        chain[t] = torch.multinomial(transition[chain[t - 1]], 1, generator=generator)[:, 0]
    ideal = -float(torch.log2(transition[chain[:-1], chain[1:]]).sum()) + lanes * math.log2(3)

    def make(step: int, known: Tensor) -> Callable[[int, int], pmf.Categorical]:
        weights = transition[known[step - 1]] if step else torch.ones(lanes, 3)
        return lambda first, stop: pmf.Categorical(weights[first:stop])

    steps = list(torch.arange(length * lanes).view(length, lanes))
    net = check_codec(codecs.Autoregressive((length, lanes), steps, make), chain, lanes)
    assert net == pytest.approx(ideal, rel=1e-3, abs=64)


BINS = 1 << 12
SPREAD, NOISE = 8.0, 2.0
"""x = 128 + SPREAD z + noise, rounded, with z ~ N(0, 1): a posterior in closed form; the bound is the likelihood."""

STEP = 0.8
"""Correlation of latents that are neighbours in a chain, each standard normal."""

PRIOR = FromPmf(pmf.Uniform(BINS, 24))


def _normal(mean: Tensor, variance: float) -> FromPmf:
    return FromPmf(pmf.GaussianBins(mean, torch.full_like(mean, math.sqrt(variance)), BINS))


def _value(symbols: Tensor) -> Tensor:
    return pmf.GaussianBins.values(symbols, BINS)


def _data_of(latent: Tensor) -> FromPmf:
    mean = (128 + SPREAD * _value(latent))[:, None]
    return FromPmf(pmf.GaussianMixture(torch.zeros_like(mean), mean, torch.full_like(mean, NOISE), 256))


def _posterior(symbols: Tensor, slope: float, noise: float, mean: Tensor | float, variance: float) -> FromPmf:
    """Of z ~ N(mean, variance), where the data are 128 + slope z and noise of a variance."""
    gain = variance * slope / (slope**2 * variance + noise)
    return _normal(mean + gain * (symbols.double() - 128 - slope * mean), variance * (1 - gain * slope))


def _step(latent: Tensor) -> FromPmf:  # the chain is reversible: up and down are alike
    return _normal(STEP * _value(latent), 1 - STEP**2)


def _linear_gaussian(layers: int) -> Codec[Any]:
    """A Markov chain of latents by Bit-Swap."""

    def of_lowest(symbols: Tensor) -> FromPmf:
        return _posterior(symbols, SPREAD, NOISE**2, 0.0, 1.0)

    return codecs.BitSwap(PRIOR, [_data_of, *[_step] * (layers - 1)], [of_lowest, *[_step] * (layers - 1)])


def _from_the_top() -> Codec[Any]:
    """Two latents, of which the upper is inferred from the data first, and the lower from both."""

    def posterior(symbols: Tensor) -> Codec[Any]:
        def lower(items: list[Any]) -> FromPmf:
            return _posterior(symbols, SPREAD, NOISE**2, STEP * _value(items[0]), 1 - STEP**2)

        upper = _posterior(symbols, SPREAD * STEP, SPREAD**2 * (1 - STEP**2) + NOISE**2, 0.0, 1.0)
        return codecs.Chain([lambda _: upper, lower])

    prior = codecs.Chain([lambda _: PRIOR, lambda items: _step(items[0])])
    return codecs.BitsBack(prior, lambda items: _data_of(items[1]), posterior)


LATENT = {
    "one layer": _linear_gaussian(1),
    "a chain of two": _linear_gaussian(2),
    "a chain of three": _linear_gaussian(3),
    "two from the top down": _from_the_top(),
}


@pytest.mark.parametrize("name", LATENT)
def test_bits_back_costs_the_likelihood_where_the_posterior_is_exact(name: str) -> None:
    lanes, pushes = 100, 100
    codec, scale = LATENT[name], math.hypot(SPREAD, NOISE)
    generator = torch.Generator().manual_seed(1)
    data = 128 + scale * torch.randn(pushes, lanes, generator=generator, dtype=torch.float64)
    data = data.round().clamp(0, 255).long()
    edges = (torch.arange(257).double() - 0.5 - 128) / scale
    cdf = torch.special.ndtr(edges)
    cdf[0], cdf[-1] = 0.0, 1.0
    ideal = -float(torch.log2(torch.diff(cdf))[data].sum())
    message = Message.random(lanes, 40 * lanes)
    before = message.bits
    for symbols in data:
        codec.push(message, symbols)
    # The posterior is that of the data before they were rounded, and coded in bins: both cost less than the tolerance.
    assert message.bits - before == pytest.approx(ideal, rel=1e-3, abs=64)
    for symbols in reversed(data):
        assert torch.equal(codec.pop(message), symbols)
    assert message.to_bytes() == Message.random(lanes, 40 * lanes).to_bytes()


def test_a_chain_takes_as_many_items_as_it_has_links() -> None:
    with pytest.raises(SymbolError, match="1 items for a chain of 2"):
        codecs.Chain([lambda _: PRIOR] * 2).push(Message(1), [torch.zeros(1, dtype=torch.int64)])


def test_chained_latents_borrow_the_initial_bits_of_one_layer() -> None:
    def least(codec: Codec[Tensor]) -> int:
        """Words on the tail that the first push needs."""
        data = torch.full((100,), 130)
        for words in range(0, 4000, 10):
            try:
                codec.push(Message.random(100, words), data)
            except MessageExhaustedError:
                continue
            return words
        raise AssertionError

    assert least(_linear_gaussian(4)) <= least(_linear_gaussian(1)) + 50


def test_items_sent_directly_supply_the_initial_bits() -> None:
    """Tiles of one image: a file of its own costs the net bits and a poorer rate of a few tiles, not a loan."""
    lanes, tiles = 50, 30
    latent = _linear_gaussian(2)
    direct = codecs.Independent(lambda a, b: pmf.Uniform(256), lanes)
    generator = torch.Generator().manual_seed(4)
    data = 128 + math.hypot(SPREAD, NOISE) * torch.randn(tiles, lanes, generator=generator, dtype=torch.float64)
    items = list(data.round().clamp(0, 255).long())
    few = codecs.least_direct(latent, direct, items, lanes)
    assert 1 <= few < tiles // 2
    with pytest.raises(MessageExhaustedError):
        codecs.supplied(latent, direct, tiles, few - 1).push(Message.lending(lanes, words=False), items)
    codec = codecs.supplied(latent, direct, tiles, few)
    message = Message.lending(lanes, words=False)
    codec.push(message, items)
    # Without them a file has the loan in it, beside the net bits.
    lending = Message.lending(lanes)
    codecs.supplied(latent, direct, tiles - few, 0).push(lending, items[: tiles - few])
    assert lending.lent > 0
    assert message.bits - message.lent == pytest.approx(lending.bits - lending.lent + few * 8 * lanes, rel=5e-3)
    for found, item in zip(codec.pop(message), items, strict=True):
        assert torch.equal(found, item)
    assert message.is_lent_only
    with pytest.raises(SymbolError, match="31 of 30 items"):
        codecs.supplied(latent, direct, tiles, 31)
