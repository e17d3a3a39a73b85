"""Recursive least squares: it learns, and stays sound where there is nothing to learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from densezip.codec.entropy.rangecoder import FLUSH_BYTES, POSITION
from densezip.models.photo import experts
from densezip.models.photo.engine import ENCODE, Session, advance, new_session
from densezip.models.photo.mixture import new_alphabet
from densezip.models.photo.shape import ExpertSpec
from densezip.models.photo.tile import _weights
from leaves import dead_leaves
from numba import njit
from numpy.typing import NDArray

NOISE = 0.01


@njit(error_model="numpy")
def _learn_all(e: Any, samples: Any, targets: Any, errors: Any) -> None:
    for i in range(samples.shape[0]):
        for c in range(targets.shape[1]):
            errors[c] = targets[i, c]
            for n in range(samples.shape[1]):
                errors[c] -= e.weight[0, c, n] * samples[i, n]
        experts._update(e, 0, samples[i], errors, 0, NOISE * NOISE)


def _covariance(e: experts.Experts, k: int) -> NDArray[np.float64]:
    n = int(e.count[k])
    return e.covariance[e.start[k] : e.start[k + 1]].reshape(n, n)


def _session(width: int, channels: int = 3, name: str = "photo-5") -> Session:
    weights = _weights(name, "colour" if channels == 3 else "grey")
    return new_session(weights, new_alphabet([np.arange(256)] * channels), width, 8)


def _code(session: Session, pixels: NDArray[Any], first_row: int = 0) -> None:
    data = np.zeros(int(session.coder[POSITION]) + pixels.size * FLUSH_BYTES, np.uint8)
    advance(session, ENCODE, pixels.astype(np.uint16), first_row, pixels.shape[0], data, False)


def test_neighbours_are_causal_distinct_and_nearest_first() -> None:
    places = experts.neighbours(29)
    assert len({tuple(p) for p in places}) == 29
    assert (0, -1) not in {tuple(p) for p in places}
    distance = (places**2).sum(1)
    assert (np.diff(distance) >= 0).all()
    assert all(dy < 0 or (dy == 0 and dx < 0) for dy, dx in places)
    # The fed samples lie up to 6 columns to the right and 2 rows up, and have neighbours too.
    assert np.abs(places[:, 1]).max() + experts.FEED[:, 1].max() <= experts.PAD
    assert -places[:, 0].min() - experts.FEED[:, 0].min() < experts.ROWS


def test_an_expert_converges_to_a_linear_model() -> None:
    rng = np.random.default_rng(0)
    e = experts.new_experts((ExpertSpec(5, 0.999, 0),), 2, 5)
    true = rng.normal(0, 0.5, (2, 10))
    samples = np.zeros((3000, e.z.size))
    samples[:, :10] = rng.normal(0, 5, (3000, 10)) @ rng.normal(0, 1, (10, 10))
    targets = samples[:, :10] @ true.T + rng.normal(0, NOISE, (3000, 2))
    _learn_all(e, samples, targets, np.zeros(2))
    np.testing.assert_allclose(e.weight[0, :, :10], true, atol=2e-3)
    assert (e.weight[0, :, 10:] == 0).all()


def test_covariances_stay_symmetric_and_positive_on_a_picture() -> None:
    session = _session(70)
    _code(session, dead_leaves(60, 70, 3, 5))
    e = session.context.experts
    for k in range(e.count.size):
        matrix, used = _covariance(e, k), int(e.used[k])
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (matrix[used:] == 0).all()
        assert np.linalg.eigvalsh(matrix[:used, :used]).min() > 0
    assert np.abs(e.weight).max() < 10


def test_covariances_stay_bounded_where_nothing_varies() -> None:
    # 10^5 equal pixels: a forgetting factor of 0.98 alone would multiply the covariance by 10^877.
    session = _session(320, 1)
    flat = np.full((320, 320, 1), 77)
    _code(session, flat)
    e = session.context.experts
    for k in range(e.count.size):
        trace = np.trace(_covariance(e, k))
        assert 0 < trace <= experts.PAUSE_VARIANCE * e.used[k] / e.memory[k] * 1.000001
        np.testing.assert_array_equal(e.diagonal[k, : e.count[k]], _covariance(e, k).diagonal())
        np.testing.assert_array_equal(_covariance(e, k), _covariance(e, k).T)
    assert np.isfinite(session.context.centre).all()


def test_experts_recover_from_a_covariance_that_is_not_positive() -> None:
    picture = dead_leaves(60, 70, 3, 5)
    session = _session(70)
    _code(session, picture[:30])
    e = session.context.experts
    for broken in (-e.covariance, np.full_like(e.covariance, np.nan)):
        e.covariance[:] = broken
        _code(session, picture, 30)
        assert np.isfinite(e.covariance).all()
        assert np.isfinite(e.weight).all()
        for k in range(e.count.size):
            used = int(e.used[k])
            assert np.linalg.eigvalsh(_covariance(e, k)[:used, :used]).min() > 0
