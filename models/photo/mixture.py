"""Discretized logistic mixtures: integer intervals for the coder, and gradients for the learning, from one model."""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy.compiled import inlined
from .logistic import exponential, logistic
from .shape import LOG_SCALE_RANGE, MINIMUM_PROBABILITY, PRECISION, padded

__all__ = [
    "Alphabet",
    "Mixture",
    "cumulative",
    "density",
    "expectation",
    "gradient",
    "nearest",
    "new_alphabet",
    "new_mixture",
    "prepare",
]

_LANES = 8
"""Values of float64 in 64 bytes."""


class Alphabet(NamedTuple):
    """The values that each of C channels can take, and the edges of their bins; L values in the largest alphabet."""

    size: NDArray[np.int64]  # [C]
    values: NDArray[np.int64]  # [C, L], ascending
    edges: NDArray[np.float64]  # [C, L + 1]; the outermost two are not used: the end bins take the tails


class Mixture(NamedTuple):
    """Parameters of one channel's mixture of J components, in sample values; P is J padded to `_LANES`."""

    components: int
    weight: NDArray[np.float64]  # [P]; as in the next ones, J count
    mean: NDArray[np.float64]  # [P]
    sharpness: NDArray[np.float64]  # [P] 1 / scale
    edge: NDArray[np.int64]  # [2] the symbols at whose lower edges the next two hold: an even and an odd one, or -1
    distance: NDArray[np.float64]  # [2, P] from the mean to the edge, in scales
    cdf: NDArray[np.float64]  # [2, P] of each component at the edge
    scratch: NDArray[np.float64]  # [P]


def new_alphabet(values: list[NDArray[np.int64]]) -> Alphabet:
    """The alphabet of each channel from its ascending values: the bins of neighbours meet half way."""
    size = np.array([v.size for v in values], np.int64)
    table = np.zeros((len(values), int(size.max())), np.int64)
    edges = np.zeros((len(values), int(size.max()) + 1))
    for c, v in enumerate(values):
        table[c, : v.size] = v
        edges[c, 1 : v.size] = (v[1:] + v[:-1]) * 0.5
    return Alphabet(size, table, edges)


def new_mixture(components: int) -> Mixture:
    """Room for the parameters."""
    size = padded(components, _LANES)

    def zeros(*shape: int) -> NDArray[np.float64]:
        return np.zeros(shape)

    edge = np.full(2, -1)
    return Mixture(components, zeros(size), zeros(size), zeros(size), edge, zeros(2, size), zeros(2, size), zeros(size))


@inlined
def prepare(mixture, out, centre, activity):
    """Turn a head's output [3 J] (logits, offsets, log scales) into a mixture around the predictions `centre`."""
    components, size = mixture.components, mixture.scratch.size
    scratch, weight, sharpness = mixture.scratch, mixture.weight, mixture.sharpness
    largest = np.float64(out[0])
    for j in range(1, components):
        largest = max(largest, np.float64(out[j]))
    for j in range(components):
        scratch[j] = np.float64(out[j]) - largest
    exponential(scratch, weight, size)
    total = 0.0
    for j in range(components):
        total += weight[j]
        scratch[j] = -min(max(np.float64(out[2 * components + j]), -LOG_SCALE_RANGE), LOG_SCALE_RANGE)
    exponential(scratch, sharpness, size)
    to_weight = 1.0 / total
    to_sharpness = 1.0 / activity
    place = 0
    for j in range(components):
        weight[j] *= to_weight
        sharpness[j] *= to_sharpness
        mixture.mean[j] = centre[place] + activity * np.float64(out[components + j])
        place = place + 1 if place + 1 < centre.size else 0
    mixture.edge[0] = -1
    mixture.edge[1] = -1


@inlined
def _evaluate(mixture, alphabet, c, index):
    """The row of `mixture.cdf` and `mixture.distance` that holds them at the lower edge of symbol `index`."""
    row = index & 1
    if mixture.edge[row] != index:
        mixture.edge[row] = index
        size = mixture.scratch.size
        logistic(
            alphabet.edges[c, index], mixture.mean, mixture.sharpness, mixture.distance, mixture.cdf, row * size, size
        )
        if index == 0 or index == alphabet.size[c]:
            for j in range(mixture.components):
                mixture.cdf[row, j] = 0.0 if index == 0 else 1.0
    return row


@inlined
def cumulative(mixture, alphabet, c, index):
    """Where the interval of symbol `index` of channel c starts, of 2^PRECISION; strictly increasing in `index`."""
    size = alphabet.size[c]
    if index == 0:
        return 0
    if index == size:
        return 1 << PRECISION
    row = _evaluate(mixture, alphabet, c, index)
    total = 0.0
    for j in range(mixture.components):
        total += mixture.weight[j] * mixture.cdf[row, j]
    # Two units a symbol: one would be lost where rounding makes the sum of sigmoids fall by its last bit.
    free = float((1 << PRECISION) - 2 * size)
    return int(min(total, 1.0) * free) + 2 * index


@inlined
def expectation(mixture):
    """The mixture's mean, in sample values."""
    total = 0.0
    for j in range(mixture.components):
        total += mixture.weight[j] * mixture.mean[j]
    return total


@inlined
def density(mixture, index):
    """About how much `cumulative` rises for each sample value, where it was evaluated last for an `index`; above 0."""
    row = index & 1
    total = MINIMUM_PROBABILITY
    for j in range(mixture.components):
        below = mixture.cdf[row, j]
        total += mixture.weight[j] * mixture.sharpness[j] * (below * (1.0 - below))
    return total * (1 << PRECISION)


@inlined
def nearest(alphabet, c, value):
    """The symbol of channel c whose value is nearest to `value`."""
    last = alphabet.size[c] - 1
    first = float(alphabet.values[c, 0])
    value = max(first, min(float(alphabet.values[c, last]), value))
    if alphabet.values[c, last] - alphabet.values[c, 0] == last:  # no value is missing
        return int(value - first + 0.5)
    low, high = 0, last
    while low < high:
        at = (low + high + 1) >> 1
        if alphabet.edges[c, at] <= value:
            low = at
        else:
            high = at - 1
    return low


@inlined
def gradient(mixture, alphabet, c, index, out, activity, grad):
    """Write the gradient of -ln p of a symbol by the head's output to `grad` [3 J], as float32, and return p."""
    components = mixture.components
    lower = _evaluate(mixture, alphabet, c, index)
    upper = _evaluate(mixture, alphabet, c, index + 1)
    cdf, distance = mixture.cdf, mixture.distance
    p = MINIMUM_PROBABILITY
    for j in range(components):
        mixture.scratch[j] = mixture.weight[j] * (cdf[upper, j] - cdf[lower, j])
        p += mixture.scratch[j]
    inverse = 1.0 / p
    # The floor of the probability counts as a share that no logit moves.
    inside_share = (p - MINIMUM_PROBABILITY) * inverse
    for j in range(components):
        below, above = cdf[lower, j], cdf[upper, j]
        slope_below, slope_above = below * (1.0 - below), above * (1.0 - above)
        w = mixture.weight[j]
        grad[j] = w * inside_share - mixture.scratch[j] * inverse
        grad[components + j] = w * (slope_above - slope_below) * (mixture.sharpness[j] * activity) * inverse
        log_scale = np.float64(out[2 * components + j])
        inside = log_scale > -LOG_SCALE_RANGE and log_scale < LOG_SCALE_RANGE
        pull = distance[upper, j] * slope_above - distance[lower, j] * slope_below
        grad[2 * components + j] = w * pull * inverse if inside else 0.0
    return p
