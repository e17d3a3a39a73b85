"""Calibrated coding: parameters that differ in their last bits give the same integers, or an error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from densezip.codec.entropy import pmf
from densezip.codec.entropy.calibrated import GRID, Calibration, Forward, autoregressive
from densezip.codec.entropy.codecs import BitsBack, Chain, FromPmf
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import CalibrationError, CorruptPayloadError, DistributionError, FormatError, TruncatedError
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

BAND = 2.0**-6
"""Wide, so that exceptions are many."""


def _values(seed: int, *shape: int) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _shaken(values: Tensor, seed: int, by: float) -> Tensor:
    """What another machine makes of them: up to `by` steps off."""
    noise = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values + (2 * noise - 1) * by * GRID


@given(st.lists(st.integers(0, 300), max_size=6), st.floats(1e-5, 0.2), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_values_within_the_band_round_alike(sizes: list[int], band: float, seed: int) -> None:
    writer = Calibration(band)
    blocks = [_values(seed + n, size) for n, size in enumerate(sizes)]
    rounded = [writer.round(block) for block in blocks]
    reader = Calibration.from_bytes(writer.to_bytes())
    for block, expected in zip(reversed(blocks), reversed(rounded), strict=True):
        assert torch.equal(reader.round(_shaken(block, seed, 0.49 * band)), expected)
        assert ((expected - block).abs() <= GRID / 2).all()
    reader.finish()


def test_side_information_is_what_its_docstring_says() -> None:
    writer = Calibration(2.0**-8)
    writer.round(_values(0, 200_000))
    gap = writer.parameters / writer.exceptions
    assert writer.exceptions == pytest.approx(200_000 * 2 * 2.0**-8, rel=0.1)
    assert len(writer.to_bytes()) * 8 / writer.exceptions <= torch.log2(torch.tensor(gap)) + 2.7


def test_arithmetic_outside_the_band_is_noticed() -> None:
    values = _values(1, 20_000)
    writer = Calibration(BAND)
    writer.round(values)
    reader = Calibration.from_bytes(writer.to_bytes())
    with pytest.raises(CalibrationError, match="differs from the encoder's by more than the guard band"):
        reader.round(_shaken(values, 2, 10 * BAND))


def test_reading_more_or_less_than_was_written_is_an_error() -> None:
    writer = Calibration()
    writer.round(_values(2, 10))
    reader = Calibration.from_bytes(writer.to_bytes())
    with pytest.raises(CalibrationError, match="11 parameters are rounded where the file has 10 left"):
        reader.round(_values(2, 11))
    with pytest.raises(CorruptPayloadError, match="10 parameters of the file were not asked for"):
        reader.finish()


def test_damaged_exceptions_are_refused_or_others() -> None:
    writer = Calibration(BAND)
    writer.round(_values(3, 400))
    data = writer.to_bytes()
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            Calibration.from_bytes(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            Calibration.from_bytes(bytes(damaged))
        except FormatError:
            continue


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_cannot_be_rounded_is_refused_by_place(value: float) -> None:
    values = torch.zeros(3, 2)
    values[1, 1] = value
    with pytest.raises(DistributionError, match=r"parameter at \[1, 1\]"):
        Calibration().round(values)
    with pytest.raises(DistributionError, match="guard band"):
        Calibration(0.5)


def _logistic(parameters: Tensor) -> pmf.LogisticMixture:
    mean, log_scale = parameters[:, :1], parameters[:, 1:]
    return pmf.LogisticMixture(torch.zeros_like(mean), 128 + 20 * mean, torch.exp(log_scale), 256)


def _model(calibration: Calibration, shake: float) -> Any:
    """Bits-back over a latent whose prior is autoregressive, and data in two parts; every parameter passes the grid."""
    lanes = 40

    def shaken(values: Tensor) -> Tensor:
        return _shaken(values, 7, shake)

    def step(number: int, known: Tensor) -> Tensor:
        before = known[number - 1].double() if number else torch.zeros(lanes, dtype=torch.float64)
        return shaken(torch.stack([before / 100, before / 300], 1))

    steps = list(torch.arange(3 * lanes).view(3, lanes))
    prior = autoregressive((3, lanes), steps, step, _logistic, calibration)

    def of_latent(latent: Tensor) -> Any:
        mean = latent.double().mean(0) / 64

        def second(items: list[Any]) -> Any:
            return calibration.codec(shaken(torch.stack([items[0].double() / 99, mean], 1)), _logistic)

        return Chain([lambda _: calibration.codec(shaken(torch.stack([mean, mean], 1)), _logistic), second])

    def posterior(data: list[Tensor]) -> Any:
        def latent(number: int, known: Tensor) -> Tensor:
            before = known[number - 1].double() if number else data[1].double()
            return shaken(torch.stack([data[0].double() / 128 - 1, before / 256], 1))

        return autoregressive((3, lanes), steps, latent, _logistic, calibration)

    return Chain([lambda _: BitsBack(prior, of_latent, posterior)] * 5)


@pytest.mark.parametrize("shake", [0.0, 0.45])
def test_any_composition_of_codecs_decodes_with_other_last_bits(shake: float) -> None:
    writer, message = Calibration(BAND), Message.lending(16)
    generator = torch.Generator().manual_seed(3)
    data = [[torch.randint(100, 150, (40,), generator=generator) for _ in range(2)] for _ in range(5)]
    _model(writer, 0.0).push(message, data)
    assert writer.exceptions > 10
    reader, message = Calibration.from_bytes(writer.to_bytes()), Message.from_bytes(message.to_bytes())
    found = _model(reader, shake * BAND).pop(message)
    for item, expected in zip(found, data, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(item, expected, strict=True))
    reader.finish()
    assert message.is_lent_only


def test_forward_keeps_order_for_codecs_that_pop_too() -> None:
    writer, message = Calibration(BAND), Message.random(4, 100)

    class Twice:
        """Makes two distributions, first and second, whichever way it goes."""

        def __init__(self, calibration: Calibration) -> None:
            self.made = [calibration.round(_values(seed, 4, 3)) for seed in (1, 2)]

        def push(self, message: Message, symbols: Tensor) -> None:
            for logits, part in zip(reversed(self.made), reversed(symbols), strict=True):
                FromPmf(pmf.Categorical.from_logits(logits)).push(message, part)

        def pop(self, message: Message) -> Tensor:
            return torch.stack([FromPmf(pmf.Categorical.from_logits(logits)).pop(message) for logits in self.made])

    class Lazy:
        """Makes them when it is used."""

        def __init__(self, calibration: Calibration) -> None:
            self.calibration = calibration

        def push(self, message: Message, symbols: Tensor) -> None:
            Twice(self.calibration).push(message, symbols)

        def pop(self, message: Message) -> Tensor:
            return Twice(self.calibration).pop(message)

    before = message.to_bytes()
    popped = Forward(writer, Lazy(writer)).pop(message)
    reader = Calibration.from_bytes(writer.to_bytes())
    Forward(reader, Lazy(reader)).push(message, popped)
    reader.finish()
    assert message.to_bytes() == before


def test_forward_inside_forward_reads_what_it_wrote() -> None:
    lanes, steps = 40, list(torch.arange(120).view(3, 40))

    def codec(calibration: Calibration) -> Any:
        def step(number: int, known: Tensor) -> Tensor:
            before = known[number - 1].double() if number else torch.zeros(lanes, dtype=torch.float64)
            return torch.stack([before / 100, before / 300], 1)

        return Forward(calibration, autoregressive((3, lanes), steps, step, _logistic, calibration))

    writer, message = Calibration(BAND), Message(lanes)
    symbols = torch.randint(100, 150, (3, lanes), generator=torch.Generator().manual_seed(0))
    codec(writer).push(message, symbols)
    assert writer.exceptions > 0
    reader = Calibration.from_bytes(writer.to_bytes())
    assert torch.equal(codec(reader).pop(message), symbols)


def test_grids_that_are_none_are_refused() -> None:
    for grid, words in (
        (0.0, "above 0"),
        (-1.0, "above 0"),
        (float("nan"), "above 0"),
        (torch.ones(4, 1), "a grid of"),
    ):
        with pytest.raises(DistributionError, match=words):
            Calibration().round(torch.zeros(3), grid)
    with pytest.raises(DistributionError, match="guard band"):
        Calibration(1e-50)
