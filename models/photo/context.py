"""What the network sees of a pixel: its causal neighbourhood, the experts' predictions and how wrong they were near by.

`Context` holds ring buffers of the last rows. For every pixel, `look` gathers the trunk's inputs; then for each
channel in turn `condition` corrects the experts by what is known of the channels before, and `reveal` takes the true
value. Everything is divided by the local activity, so the network is blind to contrast and to the bit depth except
through a few saturating inputs.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy.compiled import inlined
from .experts import PAD, ROWS, Experts, learn, new_experts, predict, regressors
from .shape import ERROR_PLACES, EXPERT_PLACES, SEEN_PLACES, ExpertSpec

__all__ = ["Context", "adapt_experts", "begin_row", "condition", "end_row", "look", "new_context", "reveal"]

ACTIVITY_FLOOR = 0.4
"""Added to the mean absolute error near by, in sample values: below it, differences are rounding noise."""

INPUT_LIMIT = 8.0
"""Inputs of the network are clamped to ± this many activities."""

_PLACES = np.array(ERROR_PLACES)
_SEEN = np.array(SEEN_PLACES)

ERROR_WEIGHTS = np.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0])
"""Weights of `ERROR_PLACES` in the local activity and in the experts' recent energies."""


class Context(NamedTuple):
    """Ring buffers [ROWS, width + 2 PAD, ...] and scratch space of one tile. C channels, K experts."""

    experts: Experts
    reach: int  # neighbours that the network sees
    values: NDArray[np.float64]  # [ROWS, S, C] samples
    variances: NDArray[np.float64]  # [ROWS, S] of the noise, for the experts: the mean activity to the power 3/2
    blended: NDArray[np.float64]  # [ROWS, S, C] error of the blend
    absolute: NDArray[np.float64]  # [ROWS, S, C] mean absolute error of the experts
    failed: NDArray[np.float64]  # [ROWS, S, K, C] error of each expert
    raw: NDArray[np.float64]  # [K, C] prediction before conditioning, relative to the west pixel
    errors: NDArray[np.float64]  # [K * C] error of `raw`, once revealed
    centre: NDArray[np.float64]  # [C, K + 1] conditioned predictions in sample values; the last is their blend
    trust: NDArray[np.float64]  # [K, C] weight of an expert in the blend
    activity: NDArray[np.float64]  # [C]
    wide: NDArray[np.float64]  # [C] activity of a wider surrounding
    scratch: NDArray[np.float64]  # [C]


def new_context(specs: tuple[ExpertSpec, ...], channels: int, reach: int, width: int) -> Context:
    """Empty buffers for a tile `width` pixels wide."""
    span, k = width + 2 * PAD, len(specs)

    def ring(*shape: int) -> NDArray[np.float64]:
        return np.zeros((ROWS, span, *shape))

    return Context(
        new_experts(specs, channels, reach),
        reach,
        ring(channels),
        np.ones((ROWS, span)),
        ring(channels),
        ring(channels),
        ring(k, channels),
        np.zeros((k, channels)),
        np.zeros(k * channels),
        np.zeros((channels, k + 1)),
        np.zeros((k, channels)),
        np.zeros(channels),
        np.zeros(channels),
        np.zeros(channels),
    )


@inlined
def begin_row(context, y, middle):
    """Fill the left margin of row y with the first pixel of the row above, or with the `middle` of the sample range."""
    row = y & (ROWS - 1)
    above = (y - 1) & (ROWS - 1)
    for x in range(PAD):
        for c in range(context.experts.channels):
            context.values[row, x, c] = middle if y == 0 else context.values[above, PAD, c]
        _copy_errors(context, above, PAD, row, x)


@inlined
def end_row(context, y, width):
    """Fill the right margin of row y with its last pixel."""
    row = y & (ROWS - 1)
    last = PAD + width - 1
    for x in range(last + 1, last + 1 + PAD):
        for c in range(context.experts.channels):
            context.values[row, x, c] = context.values[row, last, c]
        _copy_errors(context, row, last, row, x)


@inlined
def _copy_errors(context, from_row, from_x, row, x):
    for c in range(context.experts.channels):
        context.blended[row, x, c] = context.blended[from_row, from_x, c]
        context.absolute[row, x, c] = context.absolute[from_row, from_x, c]
        for k in range(context.experts.count.size):
            context.failed[row, x, k, c] = context.failed[from_row, from_x, k, c]


@inlined
def _clamp(value):
    return min(max(value, -INPUT_LIMIT), INPUT_LIMIT)


@inlined
def look(context, y, x, out):  # noqa: PLR0915 (one pass over the pixel, every input once)
    """Predict the pixel (y, x) and write the trunk's inputs, as float32, to the front of `out`."""
    e = context.experts
    channels, experts = e.channels, e.count.size
    regressors(context.values, y, x, e.offsets, channels, e.seen, e.z)
    predict(e, context.raw)
    row = y & (ROWS - 1)
    above = (y - 1) & (ROWS - 1)
    above2 = (y - 2) & (ROWS - 1)
    at = x + PAD
    noise = 0.0
    i = 0
    for c in range(channels):
        near = 0.0
        for p in range(_PLACES.shape[0]):
            near += ERROR_WEIGHTS[p] * context.absolute[(y + _PLACES[p, 0]) & (ROWS - 1), at + _PLACES[p, 1], c]
        activity = near * 0.125 + ACTIVITY_FLOOR
        far = 0.0
        for d in range(-4, 5):
            far += context.absolute[above, at + d, c] + context.absolute[above2, at + d, c]
        for d in range(1, 5):
            far += context.absolute[row, at - d, c]
        wide = far * (1.0 / 22.0) + ACTIVITY_FLOOR
        context.activity[c] = activity
        context.wide[c] = wide
        noise += activity
        total = 0.0
        for k in range(experts):
            energy = ACTIVITY_FLOOR * ACTIVITY_FLOOR
            for p in range(_PLACES.shape[0]):
                error = context.failed[(y + _PLACES[p, 0]) & (ROWS - 1), at + _PLACES[p, 1], k, c]
                energy += ERROR_WEIGHTS[p] * (error * error)
            trust = 1.0 / (energy * energy)
            context.trust[k, c] = trust
            total += trust
        blend = 0.0
        inverse = 1.0 / total
        for k in range(experts):
            context.trust[k, c] *= inverse
            blend += context.trust[k, c] * context.raw[k, c]
        scale = 1.0 / activity
        out[i] = _clamp(-blend * scale)
        i += 1
        for n in range(context.reach):
            out[i] = _clamp((e.z[n * channels + c] - blend) * scale)
            i += 1
        for k in range(experts):
            out[i] = _clamp((context.raw[k, c] - blend) * scale)
            i += 1
        for p in range(_SEEN.shape[0]):
            r = (y + _SEEN[p, 0]) & (ROWS - 1)
            s = at + _SEEN[p, 1]
            out[i] = _clamp(context.blended[r, s, c] * scale)
            i += 1
            if p < EXPERT_PLACES:
                for k in range(experts):
                    out[i] = _clamp(context.failed[r, s, k, c] * scale)
                    i += 1
        for k in range(experts):
            out[i] = context.trust[k, c]
            i += 1
        out[i] = activity / (activity + 1.0)
        out[i + 1] = activity / (activity + 4.0)
        out[i + 2] = activity / (activity + 16.0)
        out[i + 3] = 2.0 * activity / (activity + wide) - 1.0
        i += 4
    noise /= channels
    context.variances[row, at] = noise * np.sqrt(noise)


@inlined
def condition(context, y, x, c, out):
    """Condition the predictions of channel c on the channels before it; its head's extra inputs go to `out`.

    Returns:
        The number of extra inputs.
    """
    e = context.experts
    channels, experts = e.channels, e.count.size
    west = context.values[y & (ROWS - 1), x + PAD - 1, c]
    s = e.coupling
    row = y & (ROWS - 1)
    at = x + PAD
    blend = 0.0
    for k in range(experts):
        shift = 0.0
        if c == 1:
            shift = s[k, 0, 1] / s[k, 0, 0] * context.errors[k * channels]
        elif c == 2:
            determinant = s[k, 0, 0] * s[k, 1, 1] - s[k, 0, 1] * s[k, 0, 1]
            first = s[k, 0, 2] * s[k, 1, 1] - s[k, 1, 2] * s[k, 0, 1]
            second = s[k, 1, 2] * s[k, 0, 0] - s[k, 0, 2] * s[k, 0, 1]
            shift = (first * context.errors[k * channels] + second * context.errors[k * channels + 1]) / determinant
        prediction = west + context.raw[k, c] + shift
        context.centre[c, k] = prediction
        blend += context.trust[k, c] * prediction
    context.centre[c, experts] = blend
    i = 0
    if c > 0:
        scale = 1.0 / context.activity[c]
        for k in range(experts):
            out[k] = _clamp((context.centre[c, k] - blend) * scale)
        i = experts
        for q in range(c):
            scale = 1.0 / context.activity[q]
            for k in range(experts):
                out[i] = _clamp(context.errors[k * channels + q] * scale)
                i += 1
            value = context.values[row, at, q]
            out[i] = _clamp((value - context.centre[q, experts]) * scale)
            out[i + 1] = _clamp((value - context.values[row, at - 1, q]) * scale)
            i += 2
    return i


@inlined
def reveal(context, y, x, c, value):
    """Take the true value of channel c of pixel (y, x)."""
    experts = context.experts.count.size
    row = y & (ROWS - 1)
    at = x + PAD
    relative = value - context.values[row, at - 1, c]
    total = 0.0
    for k in range(experts):
        context.errors[k * context.experts.channels + c] = relative - context.raw[k, c]
        error = value - context.centre[c, k]
        context.failed[row, at, k, c] = error
        total += abs(error)
    context.values[row, at, c] = value
    context.absolute[row, at, c] = total / experts
    context.blended[row, at, c] = value - context.centre[c, experts]


@inlined
def adapt_experts(context, y, x, width):
    """Let the experts learn from the pixel whose channels have all been revealed."""
    learn(context.experts, context.values, context.variances, y, x, width, context.errors, context.scratch)
