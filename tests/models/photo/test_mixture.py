"""Logistic mixtures: integer intervals for the coder, gradients for the learning."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from densezip.codec.native import kernel
from densezip.models.photo.engine import BATCH, Alphabet, Session, new_alphabet
from densezip.models.photo.shape import LOG_SCALE_RANGE, MINIMUM_PROBABILITY, PRECISION, ExpertSpec
from densezip.models.photo.weights import MODELS
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import check_pmf
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
NUMBER, POINTER = ctypes.c_int64, ctypes.c_void_p


class _Mixture:
    """One mixture, a head's output [3 J] around `centre` [K + 1], at all pixels of a batch; as `laws.Pmf`."""

    precision = PRECISION

    def __init__(self, head: list[float] | Floats, centre: list[float], activity: float, alphabet: Alphabet) -> None:
        experts = (ExpertSpec(5, 0.99, 0),) * (len(centre) - 1)
        spec = dataclasses.replace(MODELS["photo-1"], experts=experts, components=len(head) // 3)
        self.session = Session(spec, spec.shape(1), None, alphabet, 1, 8)
        self.arrays = self.session.arrays
        self.arrays["out"][0, :, : len(head)] = head
        self.arrays["centre"][0] = np.array(centre)[:, None]
        self.arrays["activity"][0] = activity
        self._engine = ctypes.addressof(self.session._engine)
        self._intervals = kernel("dz_photo_intervals", None, POINTER, NUMBER, NUMBER, NUMBER)
        self._find = kernel("dz_photo_find", NUMBER, POINTER, NUMBER, NUMBER, NUMBER, POINTER)

    def code(self, symbols: Integers) -> None:
        """Compute all about up to BATCH symbols."""
        self.arrays["symbol"][0, : symbols.size] = symbols
        self._intervals(self._engine, 0, 0, symbols.size)

    def interval(self, symbols: Integers) -> tuple[Integers, Integers]:
        ends = np.zeros((2, symbols.size), np.int64)
        for first in range(0, symbols.size, BATCH):
            part = symbols[first : first + BATCH]
            self.code(part)
            ends[:, first : first + part.size] = [self.arrays[name][0, : part.size] for name in ("lower", "upper")]
        return ends[0], ends[1] - ends[0]

    def locate(self, slots: Integers) -> Integers:
        found, intervals = np.zeros_like(slots), np.zeros((slots.size, 2), np.int64)
        address, step = intervals.ctypes.data, intervals.strides[0]
        for i, slot in enumerate(slots.tolist()):
            found[i] = self._find(self._engine, 0, i % BATCH, slot, address + i * step)
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
    return new_alphabet([values])


numbers = st.floats(-1e4, 1e4, width=32) | st.floats(-8, 8, width=32)
heads = st.integers(1, 7).flatmap(lambda j: st.lists(numbers, min_size=3 * j, max_size=3 * j))


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "sparse", "two", "one"])
@given(heads, st.lists(st.floats(-70000, 140000) | st.floats(0, 255), min_size=2, max_size=3), st.floats(0.4, 70000))
@settings(max_examples=8, deadline=None)
def test_intervals_fill_the_range_and_are_found_again(
    kind: str, head: list[float], centre: list[float], activity: float
) -> None:
    alphabet = _alphabet(kind)
    check_pmf(_Mixture(head, centre, activity, alphabet), int(alphabet.size[0]))


def _reference(head: Floats, centre: list[float], activity: float, alphabet: Alphabet, index: int) -> float:
    """Probability of a symbol with the exact exponential function, floor included."""
    logits, offsets, log_scales = np.asarray(head, np.float64).reshape(3, -1)
    weight = np.exp(logits - logits.max())
    weight /= weight.sum()
    mean = np.array(centre)[np.arange(logits.size) % len(centre)] + activity * offsets
    sharpness = np.exp(-np.clip(log_scales, -LOG_SCALE_RANGE, LOG_SCALE_RANGE)) / activity

    def cdf(edge: float) -> float:
        return float((weight / (1 + np.exp(np.minimum(700.0, (mean - edge) * sharpness)))).sum())

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
        head[10] = 9.0  # beyond LOG_SCALE_RANGE
        centre = list(value + rng.normal(0, spread, 3))
        coded = _Mixture(head, centre, spread, alphabet)
        _, freq = coded.interval(np.array([symbol]))
        exact = _reference(head, centre, spread, alphabet, symbol)
        assert coded.arrays["probability"][0, 0] == pytest.approx(exact, rel=1e-6, abs=3e-9)
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
            return -math.log(_reference(head, centre, activity, alphabet, index))

        head = head.astype(np.float32).astype(np.float64)
        coded = _Mixture(head, centre, activity, alphabet)
        coded.code(np.array([index]))
        grad = coded.arrays["out_gradient"][0, 0]
        step = 1e-3
        for i in range(12):
            plus, minus = head.copy(), head.copy()
            plus[i] += step
            minus[i] -= step
            assert grad[i] == pytest.approx((loss(plus) - loss(minus)) / (2 * step), abs=2e-4, rel=1e-3)
