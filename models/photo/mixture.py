"""Discretized logistic mixtures: integer intervals for the coder, gradients for the learning, from the same parameters.

No function of the C library is used: `exp` is a polynomial in a fixed order, so every processor gets the same bits.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .shape import LOG_SCALE_RANGE, MINIMUM_PROBABILITY, PRECISION

__all__ = ["Alphabet", "Mixture", "cumulative", "gradient", "new_alphabet", "new_mixture", "prepare"]

_LOG2_E = 1.4426950408889634
_LN2 = 0.6931471805599453
_TWO_TO = 2.0 ** np.arange(-64, 65)
"""Powers of two; arguments of `exp` are clamped to ± 44, which 2^±64 contains."""

_ARGUMENT_LIMIT = 44.0


class Alphabet(NamedTuple):
    """The values that each of C channels can take, and the edges of their bins; L values in the largest alphabet."""

    size: NDArray[np.int64]  # [C]
    values: NDArray[np.int64]  # [C, L], ascending
    edges: NDArray[np.float64]  # [C, L + 1]; the outermost two are not used: the end bins take the tails


class Mixture(NamedTuple):
    """Parameters of one channel's mixture of J components, in sample values."""

    weight: NDArray[np.float64]  # [J]
    mean: NDArray[np.float64]  # [J]
    sharpness: NDArray[np.float64]  # [J] 1 / scale


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
    return Mixture(np.zeros(components), np.zeros(components), np.zeros(components))


@njit(error_model="numpy", forceinline=True)
def _exp(x):
    """e^x to 8e-9 of its value, for |x| clamped to 44."""
    x = min(max(x, -_ARGUMENT_LIMIT), _ARGUMENT_LIMIT)
    n = int(x * _LOG2_E + 64.5) - 64
    r = x - n * _LN2
    p = 1.0 + r * (1.0 + r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))))))
    return p * _TWO_TO[n + 64]


@njit(error_model="numpy", forceinline=True)
def prepare(mixture, out, centre, activity):
    """Turn a head's output [3 J] (logits, offsets, log scales) into a mixture around the predictions `centre`."""
    components = mixture.weight.size
    largest = np.float64(out[0])
    for j in range(1, components):
        largest = max(largest, np.float64(out[j]))
    total = 0.0
    inverse = 1.0 / activity
    for j in range(components):
        w = _exp(np.float64(out[j]) - largest)
        mixture.weight[j] = w
        total += w
        log_scale = min(max(np.float64(out[2 * components + j]), -LOG_SCALE_RANGE), LOG_SCALE_RANGE)
        mixture.sharpness[j] = _exp(-log_scale) * inverse
        mixture.mean[j] = centre[j % centre.size] + activity * np.float64(out[components + j])
    inverse = 1.0 / total
    for j in range(components):
        mixture.weight[j] *= inverse


@njit(error_model="numpy", forceinline=True)
def cumulative(mixture, alphabet, c, index):
    """Where the interval of symbol `index` of channel c starts, of 2^PRECISION; strictly increasing in `index`."""
    size = alphabet.size[c]
    if index == 0:
        return 0
    if index == size:
        return 1 << PRECISION
    edge = alphabet.edges[c, index]
    total = 0.0
    for j in range(mixture.weight.size):
        total += mixture.weight[j] / (1.0 + _exp((mixture.mean[j] - edge) * mixture.sharpness[j]))
    # Two units a symbol: one would be lost where rounding makes the sum of sigmoids fall by its last bit.
    free = float((1 << PRECISION) - 2 * size)
    return int(min(total, 1.0) * free) + 2 * index


@njit(error_model="numpy", forceinline=True)
def gradient(mixture, alphabet, c, index, out, activity, grad):
    """Write the gradient of -ln p of a symbol by the head's output to `grad` [3 J], as float32, and return p."""
    components = mixture.weight.size
    size = alphabet.size[c]
    lower = alphabet.edges[c, index]
    upper = alphabet.edges[c, index + 1]
    p = MINIMUM_PROBABILITY
    for j in range(components):
        below = 0.0
        slope_below = 0.0
        pull_below = 0.0
        above = 1.0
        slope_above = 0.0
        pull_above = 0.0
        if index > 0:
            t = (lower - mixture.mean[j]) * mixture.sharpness[j]
            below = 1.0 / (1.0 + _exp(-t))
            slope_below = below * (1.0 - below)
            pull_below = t * slope_below
        if index < size - 1:
            t = (upper - mixture.mean[j]) * mixture.sharpness[j]
            above = 1.0 / (1.0 + _exp(-t))
            slope_above = above * (1.0 - above)
            pull_above = t * slope_above
        w = mixture.weight[j]
        share = w * (above - below)
        p += share
        grad[j] = share
        grad[components + j] = w * (slope_above - slope_below) * (mixture.sharpness[j] * activity)
        log_scale = np.float64(out[2 * components + j])
        inside = log_scale > -LOG_SCALE_RANGE and log_scale < LOG_SCALE_RANGE
        grad[2 * components + j] = w * (pull_above - pull_below) if inside else 0.0
    inverse = 1.0 / p
    # The floor of the probability counts as a share that no logit moves.
    inside_share = (p - MINIMUM_PROBABILITY) * inverse
    for j in range(components):
        grad[j] = mixture.weight[j] * inside_share - np.float64(grad[j]) * inverse
        grad[components + j] = np.float64(grad[components + j]) * inverse
        grad[2 * components + j] = np.float64(grad[2 * components + j]) * inverse
    return p
