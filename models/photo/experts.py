"""Linear experts that learn inside the image: weighted recursive least squares (RLS) over causal neighbours.

One expert predicts all channels of a pixel from the same regressors, so one inverse covariance serves all of them;
what a channel already decoded in this pixel says about the next one is added by a small regression on the experts'
errors, which equals having had it among the regressors. Every sample is weighted by the inverse of the local error to
the power 3/2: without weights edges would drown all else, and with the inverse of the squared error, which
maximum likelihood asks for, they would say too little. *Local* experts are fed samples of the rows above to the right
of the pixel again, so that what they forget along the row they regain across rows.

All in float64 in a fixed order; see `kernels`. Cost of an expert with N regressors: about 2 N² multiply-adds a sample.

Source: the mixture of conditional experts is that of MCGSM and RIDE (Theis and Bethge 2015); RLS as in Haykin,
*Adaptive Filter Theory*, chapter 10, with the symmetric update that keeps it stable in floating point.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy.compiled import inlined
from .kernels import affine, dot, downdate
from .shape import ExpertSpec, padded

__all__ = ["PAD", "ROWS", "Experts", "learn", "neighbours", "new_experts", "predict", "regressors"]

PAD = 10
"""Columns kept to the left and right of every row; no neighbour and no fed sample reaches farther."""

ROWS = 8
"""Rows of the image kept in the ring buffers; a power of two."""

FEED = np.array([[-1, 6], [-2, 5], [-3, 4]])
"""(dy, dx) of the samples that a local expert learns from again at each pixel, as many of the first as it is fed."""

PRIOR_VARIANCE = 0.01
"""Variance of a regression weight before anything was seen."""

PAUSE_VARIANCE = 1.0
"""Mean variance at which forgetting pauses: where nothing varies there is nothing to forget."""

COUPLING_MEMORY = 0.998
"""Forgetting factor of the regression between the channels' errors."""

_COUPLING_PRIOR = 0.9
"""Correlation of the channels' errors before anything was seen."""


class Experts(NamedTuple):
    """Arrays of K experts for C channels; N is the padded number of regressors, different for each expert."""

    channels: int
    offsets: NDArray[np.int64]  # [neighbours, 2] (dy, dx), nearest first, without the west pixel
    count: NDArray[np.int64]  # type: ignore[assignment]  # [K] padded number of regressors (hides tuple.count)
    used: NDArray[np.int64]  # [K] regressors
    start: NDArray[np.int64]  # [K + 1] first element of an expert's covariance in `covariance`
    memory: NDArray[np.float64]  # [K]
    fed: NDArray[np.int64]  # [K] fed samples
    fed_count: int  # regressors of the largest expert that is fed
    seen: int  # regressors of the largest expert, or neighbours' samples that the network sees
    covariance: NDArray[np.float64]  # flat, K matrices [N, N]
    diagonal: NDArray[np.float64]  # [K, N] of each covariance, to the same bits
    weight: NDArray[np.float64]  # [K, C, N] of the largest N
    coupling: NDArray[np.float64]  # [K, C, C] decayed sums of products of the channels' errors
    z: NDArray[np.float64]  # [N] regressors of the present pixel
    z_fed: NDArray[np.float64]  # [N] regressors of a fed sample
    gain: NDArray[np.float64]  # [N] scratch
    zero: NDArray[np.float64]  # [N]
    one: NDArray[np.float64]  # [N]


def neighbours(count: int) -> NDArray[np.int64]:
    """The `count` nearest causal neighbours as (dy, dx), nearest first, without the west pixel, their reference."""
    places = [(dy, dx) for dy in range(-6, 1) for dx in range(-6, 7) if dy < 0 or dx < 0]
    places.sort(key=lambda p: (p[0] ** 2 + p[1] ** 2, p[1] > 0, -p[0], p[1]))
    return np.array(places[1 : count + 1], np.int64)


def new_experts(specs: tuple[ExpertSpec, ...], channels: int, reach: int) -> Experts:
    """Fresh experts for an image of `channels`, with room for the `reach` neighbours that the network sees."""
    used = np.array([s.neighbours * channels for s in specs], np.int64)
    count = np.array([padded(int(n), 8) for n in used], np.int64)
    start = np.zeros(len(specs) + 1, np.int64)
    start[1:] = np.cumsum(count**2)
    largest = padded(max(reach * channels, int(used.max())), 8)
    covariance, diagonal = np.zeros(int(start[-1])), np.zeros((len(specs), largest))
    for k, n in enumerate(count):
        # The rows of the padding are zero and stay so: whatever stands in `z` there has no influence.
        covariance[start[k] : start[k + 1]].reshape(n, n)[np.diag_indices(used[k])] = PRIOR_VARIANCE
        diagonal[k, : used[k]] = PRIOR_VARIANCE
    coupling = np.full((len(specs), channels, channels), _COUPLING_PRIOR) + (1 - _COUPLING_PRIOR) * np.eye(channels)
    return Experts(
        channels,
        neighbours(max(reach, *(s.neighbours for s in specs))),
        count,
        used,
        start,
        np.array([s.memory for s in specs]),
        np.array([s.fed for s in specs], np.int64),
        max((s.neighbours * channels for s in specs if s.fed), default=0),
        max(reach * channels, int(used.max())),
        covariance,
        diagonal,
        np.zeros((len(specs), channels, largest)),
        coupling,
        np.zeros(largest),
        np.zeros(largest),
        np.zeros(largest),
        np.zeros(largest),
        np.ones(largest),
    )


@inlined
def regressors(values, y, x, offsets, channels, count, z):
    """Write `count` differences, of the neighbours to the west pixel, to `z`; above the image they are zero."""
    row = y & (ROWS - 1)
    west = x + PAD - 1
    i = 0
    n = 0
    while i < count:
        dy = offsets[n, 0]
        source = (y + dy) & (ROWS - 1)
        at = x + PAD + offsets[n, 1]
        for c in range(channels):
            z[i + c] = values[source, at, c] - values[row, west, c] if y + dy >= 0 else 0.0
        i += channels
        n += 1


@inlined
def predict(e, prediction):
    """Every expert's prediction [K, C] of the pixel whose regressors are in `e.z`, as differences to the west pixel."""
    stride = e.weight.shape[2]
    for k in range(e.count.size):
        for c in range(e.channels):
            prediction[k, c] = dot(e.weight, (k * e.channels + c) * stride, e.z, 0, e.count[k])


@inlined
def _update(e, k, z, errors, first_error, variance):
    """One RLS step of expert k on a sample with C a priori errors from `first_error` on and noise `variance`."""
    n = e.count[k]
    first = e.start[k]
    matrix, gain = e.covariance, e.gain
    affine(matrix, first, n, n, z, 0, e.zero, 0, gain, 0)
    power = dot(gain, 0, z, 0, n)
    if not power >= 0.0:  # lost to rounding (or not a number): start this covariance again
        for i in range(n * n):
            matrix[first + i] = 0.0
        for i in range(e.used[k]):
            matrix[first + i * (n + 1)] = PRIOR_VARIANCE
            e.diagonal[k, i] = PRIOR_VARIANCE
        return
    memory = e.memory[k]
    inverse = 1.0 / (memory * variance + power)
    for c in range(e.channels):
        step = errors[first_error + c] * inverse
        for i in range(n):
            e.weight[k, c, i] += step * gain[i]
    trace = dot(e.diagonal, k * e.diagonal.shape[1], e.one, 0, n)
    scale = 1.0 / memory if trace < PAUSE_VARIANCE * e.used[k] else 1.0
    root = np.sqrt(inverse)
    for i in range(n):
        gain[i] *= root
        e.diagonal[k, i] = (e.diagonal[k, i] - gain[i] * gain[i]) * scale
    downdate(matrix, first, n, gain, scale)


@inlined
def learn(e, values, variances, y, x, width, errors, scratch):
    """Let every expert learn the pixel (y, x), whose raw errors are `errors` [K * C] and noise `variances[y, x]`."""
    channels = e.channels
    variance = variances[y & (ROWS - 1), x + PAD]
    confidence = 1.0 / variance
    for k in range(e.count.size):
        _update(e, k, e.z, errors, k * channels, variance)
        for a in range(channels):
            for b in range(channels):
                product = errors[k * channels + a] * errors[k * channels + b] * confidence
                e.coupling[k, a, b] = COUPLING_MEMORY * e.coupling[k, a, b] + product
            e.coupling[k, a, a] += 1e-4
    for f in range(FEED.shape[0] if e.fed_count > 0 else 0):
        fy = y + FEED[f, 0]
        fx = x + FEED[f, 1]
        if fy < 0 or fx >= width:
            continue
        regressors(values, fy, fx, e.offsets, channels, e.fed_count, e.z_fed)
        row = fy & (ROWS - 1)
        for k in range(e.count.size):
            if e.fed[k] > f:
                for c in range(channels):
                    target = values[row, fx + PAD, c] - values[row, fx + PAD - 1, c]
                    scratch[c] = target - dot(e.weight, (k * channels + c) * e.weight.shape[2], e.z_fed, 0, e.count[k])
                _update(e, k, e.z_fed, scratch, 0, variances[row, fx + PAD])
