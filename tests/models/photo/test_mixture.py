"""Logistic mixtures: integer intervals for the coder, gradients for the learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from densezip.models.photo import engine, mixture
from densezip.models.photo.mixture import Alphabet, Mixture
from densezip.models.photo.shape import LOG_SCALE_RANGE, MINIMUM_PROBABILITY, PRECISION
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_pmf
from numba import njit
from numpy.typing import NDArray

find: Any = engine._find
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@njit(error_model="numpy")
def _starts(parameters: Any, alphabet: Any, symbols: Any, out: Any) -> None:
    for i in range(symbols.size):
        out[i] = mixture.cumulative(parameters, alphabet, 0, symbols[i])


@njit(error_model="numpy")
def _locate(parameters: Any, alphabet: Any, slots: Any, found: Any, intervals: Any, interval: Any) -> None:
    for i in range(slots.size):
        found[i] = find(parameters, alphabet, 0, slots[i], interval)
        intervals[i, 0] = interval[0]
        intervals[i, 1] = interval[1]


class _MixturePmf:
    """The compiled functions in the shape of `laws.Pmf`."""

    precision = PRECISION

    def __init__(self, parameters: Mixture, alphabet: Alphabet) -> None:
        self._parameters, self._alphabet = parameters, alphabet

    def interval(self, symbols: Integers) -> tuple[Integers, Integers]:
        ends = np.zeros((2, symbols.size), np.int64)
        _starts(self._parameters, self._alphabet, symbols, ends[0])
        _starts(self._parameters, self._alphabet, symbols + 1, ends[1])
        return ends[0], ends[1] - ends[0]

    def locate(self, slots: Integers) -> Integers:
        found, intervals = np.zeros_like(slots), np.zeros((slots.size, 2), np.int64)
        _locate(self._parameters, self._alphabet, slots, found, intervals, np.zeros(2, np.int64))
        start, freq = self.interval(found)
        assert (intervals[:, 0] == start).all()
        assert (intervals[:, 1] == start + freq).all()
        return found


def _alphabet(kind: str) -> Alphabet:
    rng = np.random.default_rng(1)
    values = {
        "8 bits": np.arange(256),
        "16 bits": np.arange(65536),
        "sparse": np.flatnonzero(rng.random(65536) < 0.01),
        "two": np.array([3, 65000]),
        "one": np.array([200]),
    }[kind]
    return mixture.new_alphabet([values])


def _mixture(head: list[float] | NDArray[Any], centre: list[float], activity: float) -> Mixture:
    parameters = mixture.new_mixture(len(head) // 3)
    mixture.prepare(parameters, np.array(head, np.float32), np.array(centre), activity)
    return parameters


numbers = st.floats(-1e4, 1e4, width=32) | st.floats(-8, 8, width=32)
heads = st.integers(1, 7).flatmap(lambda j: st.lists(numbers, min_size=3 * j, max_size=3 * j))


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "sparse", "two", "one"])
@given(heads, st.lists(st.floats(-70000, 140000) | st.floats(0, 255), min_size=2, max_size=3), st.floats(0.4, 70000))
@settings(max_examples=8, deadline=None)
def test_intervals_fill_the_range_and_are_found_again(
    kind: str, head: list[float], centre: list[float], activity: float
) -> None:
    alphabet = _alphabet(kind)
    check_pmf(_MixturePmf(_mixture(head, centre, activity), alphabet), int(alphabet.size[0]))


def test_prepare_is_a_softmax_around_the_centres() -> None:
    rng = np.random.default_rng(2)
    head, centre, activity = rng.normal(0, 2, 15).astype(np.float32), [100.0, 104.0, 90.0], 3.5
    head[10] = 9.0  # beyond LOG_SCALE_RANGE
    result = _mixture(head, centre, activity)
    logits, offsets, log_scales = head.astype(np.float64).reshape(3, 5)
    weight = np.exp(logits - logits.max())
    np.testing.assert_allclose(result.weight[:5], weight / weight.sum(), rtol=1e-8)
    np.testing.assert_array_equal(result.mean[:5], np.array(centre)[np.arange(5) % 3] + activity * offsets)
    scale = np.exp(np.clip(log_scales, -LOG_SCALE_RANGE, LOG_SCALE_RANGE)) * activity
    np.testing.assert_allclose(result.sharpness[:5], 1 / scale, rtol=1e-8)


def _reference(parameters: Mixture, alphabet: Alphabet, index: int) -> float:
    """Probability of a symbol with the exact logistic function, floor included."""

    def cdf(edge: float) -> float:
        parts = zip(*(values[: parameters.components] for values in parameters[1:4]), strict=True)
        return float(sum(w / (1 + math.exp(min(700.0, (m - edge) * s))) for w, m, s in parts))

    upper = 1.0 if index == alphabet.size[0] - 1 else cdf(alphabet.edges[0, index + 1])
    lower = 0.0 if index == 0 else cdf(alphabet.edges[0, index])
    return upper - lower + MINIMUM_PROBABILITY


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "sparse"])
@pytest.mark.parametrize("spread", [0.5, 3.0, 40.0])
def test_probabilities_are_those_of_the_exact_mixture(kind: str, spread: float) -> None:
    alphabet, rng = _alphabet(kind), np.random.default_rng(3)
    size = int(alphabet.size[0])
    for symbol in (0, 1, size // 3, size - 2, size - 1):
        value = float(alphabet.values[0, symbol])
        head = rng.normal(0, 1, 15).astype(np.float32)
        parameters = _mixture(head, list(value + rng.normal(0, spread, 3)), spread)
        _, freq = _MixturePmf(parameters, alphabet).interval(np.array([symbol]))
        exact = _reference(parameters, alphabet, symbol)
        p = mixture.gradient(parameters, alphabet, 0, symbol, head, spread, np.zeros(15, np.float32))
        assert p == pytest.approx(exact, rel=1e-6, abs=3e-9)
        # The coder's probability gives each symbol of the alphabet two units, and loses less than two to rounding.
        free = 1 - 2 * size / 2**PRECISION
        assert freq[0] / 2**PRECISION == pytest.approx(exact * free, rel=1e-6, abs=6 / 2**PRECISION)


@pytest.mark.parametrize("index", [0, 1, 100, 255])
def test_gradient_equals_finite_differences(index: int) -> None:
    alphabet, rng = _alphabet("8 bits"), np.random.default_rng(4)
    for _ in range(5):
        activity = float(rng.uniform(0.5, 20))
        centre = list(index + rng.normal(0, 2 * activity, 3))
        head = rng.normal(0, 1, 12)
        head[-1] = 7.0  # a clamped log scale has no gradient

        def loss(head: Floats, centre: list[float] = centre, activity: float = activity) -> float:
            # In float64, as `prepare` takes what it gets.
            parameters = mixture.new_mixture(4)
            mixture.prepare(parameters, head, np.array(centre), activity)
            return -math.log(_reference(parameters, alphabet, index))

        head = head.astype(np.float32).astype(np.float64)
        grad = np.zeros(12, np.float32)
        parameters = _mixture(head, centre, activity)
        mixture.gradient(parameters, alphabet, 0, index, head.astype(np.float32), activity, grad)
        step = 1e-3
        for i in range(12):
            plus, minus = head.copy(), head.copy()
            plus[i] += step
            minus[i] -= step
            assert grad[i] == pytest.approx((loss(plus) - loss(minus)) / (2 * step), abs=2e-4, rel=1e-3)
