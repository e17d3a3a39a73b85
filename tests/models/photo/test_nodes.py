"""The mixture along the binary tree of 8-bit samples, in binary32, beside the intervals in binary64."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Any

import numpy as np
import pytest
from densezip.codec.native import kernel
from densezip.models.photo.engine import BATCH, Session, new_alphabet
from densezip.models.photo.shape import PRECISION
from densezip.models.photo.weights import MODELS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
ALPHABETS = {
    "all": np.arange(256),
    "sparse": np.flatnonzero(np.random.default_rng(1).random(256) < 0.2),
    "two": np.array([3, 250]),
    "neighbours": np.array([127, 128]),
    "one": np.array([200]),
}
numbers = st.floats(-1e4, 1e4, width=32) | st.floats(-8, 8, width=32)
heads = st.integers(1, 7).flatmap(lambda j: st.lists(numbers, min_size=3 * j, max_size=3 * j))
activities = st.floats(0.4, 255)


def _along(head: Array, centre: float, activity: float, values: Array) -> tuple[Array, Array, Array, Array]:
    """Of all symbols: probability and gradient along the tree, and those of the intervals."""
    spec = dataclasses.replace(MODELS["photo-1"], components=len(head) // 3)
    session = Session(spec, spec.shape(1), None, new_alphabet([values]), 1, 8)
    arrays, engine = session.arrays, ctypes.addressof(session._engine)
    arrays["out"][0, :, : len(head)] = head
    arrays["centre"][0], arrays["activity"][0] = centre, activity
    found: list[list[Array]] = [[], [], [], []]
    for first in range(0, values.size, BATCH):
        symbols = np.arange(first, min(first + BATCH, values.size))
        n = symbols.size
        arrays["symbol"][0, :n] = symbols
        kernel("dz_photo_slope", None, ctypes.c_void_p, *(ctypes.c_int64,) * 3)(engine, 0, 0, n)
        bits = values[symbols] >> np.arange(7, -1, -1)[:, None] & 1
        part = arrays["part"][0, :, :n] / 2**16
        found[0].append(np.where(bits, part, 1 - part).prod(0))
        found[1].append(arrays["out_gradient"][0, :n, : len(head)].copy())
        kernel("dz_photo_intervals", None, ctypes.c_void_p, *(ctypes.c_int64,) * 3)(engine, 0, 0, n)
        found[2].append((arrays["upper"] - arrays["lower"])[0, :n] / 2**PRECISION)
        found[3].append(arrays["out_gradient"][0, :n, : len(head)].copy())
    one, two, three, four = (np.concatenate(part) for part in found)
    return one, two, three, four


@settings(max_examples=60, deadline=None)
@given(heads, st.floats(-50, 300), activities, st.sampled_from(sorted(ALPHABETS)))
def test_every_value_has_a_way_and_they_sum_to_one(
    head: list[float], centre: float, activity: float, name: str
) -> None:
    probability, gradient, _, _ = _along(np.array(head), centre, activity, ALPHABETS[name])
    assert (probability > 0).all()
    assert probability.sum() == pytest.approx(1, abs=1e-9)
    assert np.isfinite(gradient).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 255), activities, st.sampled_from(sorted(ALPHABETS)))
def test_the_tree_has_the_probabilities_and_the_gradient_of_the_intervals(
    seed: int, centre: float, activity: float, name: str
) -> None:
    head = np.random.default_rng(seed).normal(size=15)
    probability, gradient, interval, exact = _along(head, centre, activity, ALPHABETS[name])
    # Each of eight bits is rounded to 2^-16, and each value gets 2^-20 of its own.
    assert np.abs(probability - interval).max() < 8 * 2.0**-16 + 256 * 2.0**-20
    likely = interval > 1e-3
    assert np.abs(gradient - exact)[likely].max(initial=0) < 0.01 * max(1, np.abs(exact[likely]).max(initial=0))
