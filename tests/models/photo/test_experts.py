"""Recursive least squares: it learns, and stays sound where there is nothing to learn."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from densezip.codec.entropy.rangecoder import POSITION
from densezip.codec.native import kernel
from densezip.models.photo import engine
from densezip.models.photo.engine import SAMPLE_BYTES, Session, new_alphabet
from densezip.models.photo.shape import ExpertSpec
from densezip.models.photo.tile import _weights
from densezip.models.photo.weights import MODELS
from leaves import dead_leaves
from numpy.typing import NDArray

NOISE = 0.01
FEED = np.array([[-1, 6], [-2, 5], [-3, 4]])


def _covariance(session: Session, k: int, phase: int) -> NDArray[np.float32]:
    """A state's covariance, with what is pending."""
    arrays = session.arrays
    n = int(arrays["count"][k])
    start = int(arrays["start"][k]) + phase * n * n
    gain = arrays["gain"][k, phase, :n]
    matrix = arrays["covariance"][start : start + n * n].reshape(n, n)
    result: NDArray[np.float32] = (matrix - gain[:, None] * gain) * arrays["scale"][k, phase]
    return result


def _states(session: Session) -> Iterator[tuple[int, int, NDArray[np.float32], int]]:
    """Of every state in use its expert, number, covariance, and the regressors that are used."""
    for k, used in enumerate(session.arrays["used"]):
        for phase in range(session.arrays["states"][k] if session.arrays["parted"][k] else 1):
            yield k, phase, _covariance(session, k, phase), int(used)


def _session(width: int, channels: int = 3, name: str = "photo-5") -> Session:
    weights = _weights(name, "colour" if channels == 3 else "grey")
    return Session(weights.spec, weights.shape, weights, new_alphabet([np.arange(256)] * channels), width, 8)


def _code(session: Session, pixels: NDArray[Any], first_row: int = 0) -> None:
    data = np.zeros(int(session.coder[POSITION]) + pixels.size * SAMPLE_BYTES, np.uint8)
    session.encode(pixels.astype(np.uint16), first_row, pixels.shape[0], data)


def test_neighbours_are_causal_distinct_and_nearest_first() -> None:
    places = engine.neighbours(29)
    assert len({tuple(p) for p in places}) == 29
    assert (0, -1) not in {tuple(p) for p in places}
    distance = (places**2).sum(1)
    assert (np.diff(distance) >= 0).all()
    assert all(dy < 0 or (dy == 0 and dx < 0) for dy, dx in places)
    # The fed samples lie up to 6 columns to the right and 2 rows up, and have neighbours too.
    assert np.abs(places[:, 1]).max() + FEED[:, 1].max() <= engine.PAD
    assert -places[:, 0].min() - FEED[:, 0].min() < engine._ROWS


def test_an_expert_converges_to_a_linear_model() -> None:
    rng = np.random.default_rng(0)
    spec = dataclasses.replace(MODELS["photo-1"], experts=(ExpertSpec(4, 0.999, 0),), reach=4)
    session = Session(spec, spec.shape(3), None, new_alphabet([np.arange(256)] * 3), 9, 8)
    true = rng.normal(0, 0.5, (3, 12))
    samples = np.zeros((3000, session.arrays["regressor"].size), np.float32)
    samples[:, :12] = rng.normal(0, 5, (3000, 12)) @ rng.normal(0, 1, (12, 12))
    targets = samples[:, :12] @ true.T + rng.normal(0, NOISE, (3000, 3))
    pointer = ctypes.c_void_p
    fit = kernel("dz_photo_fit", None, pointer, pointer, pointer, ctypes.c_int64, ctypes.c_double)
    engine_state = ctypes.addressof(session._engine)
    fit(engine_state, samples.ctypes.data, targets.ctypes.data, samples.shape[0], NOISE * NOISE)
    weight = session.arrays["weight"][0, 0]
    np.testing.assert_allclose(weight[:, :12], true, atol=2e-3)
    assert (weight[:, 12:] == 0).all()


def test_covariances_stay_symmetric_and_positive_on_a_picture() -> None:
    session = _session(70)
    _code(session, dead_leaves(60, 70, 3, 5))
    arrays = session.arrays
    assert (arrays["parted"] > 0).any()
    for _, _, matrix, used in _states(session):
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (matrix[used:] == 0).all()
        assert np.linalg.eigvalsh(matrix[:used, :used]).min() > 0
    assert np.abs(arrays["weight"]).max() < 10


def test_covariances_stay_bounded_where_nothing_varies() -> None:
    # 10^5 equal pixels: a forgetting factor of 0.98 alone would multiply the covariance by 10^877.
    session = _session(320, 1)
    flat = np.full((320, 320, 1), 77)
    _code(session, flat)
    arrays = session.arrays
    for k, phase, matrix, used in _states(session):
        # A mean variance of 1 is where forgetting pauses.
        assert 0 < np.trace(matrix) <= used / arrays["memory"][k] * 1.000001
        np.testing.assert_array_equal(arrays["diagonal"][k, phase, : matrix.shape[0]], matrix.diagonal())
        np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isfinite(arrays["centre"]).all()


def test_experts_recover_from_a_covariance_that_is_not_positive() -> None:
    picture = dead_leaves(60, 70, 3, 5)
    session = _session(70)
    _code(session, picture[:30])
    arrays = session.arrays
    covariance = arrays["covariance"]
    for broken in (-covariance, np.full_like(covariance, np.nan)):
        covariance[:] = broken
        arrays["gain"][:] = np.sign(broken[0]) * 1e3  # and what is pending
        _code(session, picture, 30)
        assert np.isfinite(arrays["weight"]).all()
        for _, _, matrix, used in _states(session):
            assert np.isfinite(matrix).all()
            assert np.linalg.eigvalsh(matrix[:used, :used]).min() > 0


def _coded_size(picture: NDArray[Any], states: int) -> int:
    weights = _weights("photo-1", "colour")
    experts = tuple(s._replace(states=min(s.states, states)) for s in weights.spec.experts)
    session = Session(
        dataclasses.replace(weights.spec, experts=experts),
        weights.shape,
        weights,
        new_alphabet([np.arange(256)] * 3),
        picture.shape[1],
        8,
    )
    _code(session, picture)
    return int(session.coder[POSITION])


def test_phases_pay_where_colours_were_stored_at_half_resolution() -> None:
    picture = dead_leaves(160, 160, 3, 5).astype(np.float64)
    luma = picture.mean(2, keepdims=True)
    noise = np.random.default_rng(0).normal(0, 3, luma.shape)
    colour = (picture - luma).reshape(80, 2, 80, 2, 3).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    converted = np.clip(np.round(luma + noise + colour), 0, 255)
    assert _coded_size(converted, 4) < 0.98 * _coded_size(converted, 1)


def test_pictures_of_few_pixels_do_not_pay_for_phases() -> None:
    picture = dead_leaves(40, 50, 3, 5)
    assert _coded_size(picture, 12) == _coded_size(picture, 1)


def test_only_experts_of_single_planes_of_16_bits_stay_one() -> None:
    plane = dead_leaves(48, 64, 1, 3, 16)
    for name, channels, depth, parts in (("grey", 1, 16, False), ("grey", 1, 8, True), ("colour", 3, 16, True)):
        weights = _weights("photo-1", name)
        alphabet = new_alphabet([np.arange(1 << depth)] * channels)
        session = Session(weights.spec, weights.shape, weights, alphabet, plane.shape[1], depth, plane.shape[0])
        _code(session, np.repeat(plane >> (16 - depth), channels, 2))
        assert bool(session.arrays["parted"].any()) is parts
