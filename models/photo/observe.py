"""What the network would see of an image: the engine's own features, written out as training data.

The experts, and with them every input of the network, depend on the image alone and not on the network's weights, so
that one pass of the compiled code over an image yields the inputs for any number of training steps.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy.compiled import cached
from .context import adapt_experts, begin_row, condition, end_row, look, new_context, reveal
from .engine import source_digest
from .shape import ModelSpec

__all__ = ["Observations", "observe"]


class Observations(NamedTuple):
    """Training data of n pixels; C channels, J components, D inputs of the trunk, E extra inputs of all heads."""

    trunk: NDArray[Any]  # [n, D] float16
    extras: NDArray[Any]  # [n, E] float16
    distance: NDArray[Any]  # [n, C, J] float32, (value - centre) / activity for each component's centre
    activity: NDArray[Any]  # [n, C] float32
    end: NDArray[Any]  # [n, C] int8: -1 where the value is the lowest there is, 1 where it is the highest


def _build(source: int) -> Any:
    """Declare the compiled loop, which `source` identifies in numba's cache: see `engine`. It is never negative."""

    def _observe(context, pixels, keep, inputs, extras, highest, trunk, beside, distance, activity, end):
        if source < 0:
            return
        height, width, channels = pixels.shape
        components = distance.shape[2]
        n = 0
        for y in range(height):
            begin_row(context, y, (highest + 1) / 2)
            for x in range(width):
                look(context, y, x, inputs)
                first = 0
                for c in range(channels):
                    condition(context, y, x, c, extras)
                    value = float(pixels[y, x, c])
                    if keep[y]:
                        experts = context.experts.count.size
                        size = experts + (experts + 2) * c if c > 0 else 0
                        for i in range(size):
                            beside[n, first + i] = extras[i]
                        first += size
                        for j in range(components):
                            distance[n, c, j] = (value - context.centre[c, j % (experts + 1)]) / context.activity[c]
                        activity[n, c] = context.activity[c]
                        end[n, c] = -1 if value == 0 else 1 if value == highest else 0
                    reveal(context, y, x, c, value)
                if keep[y]:
                    for i in range(inputs.size):
                        trunk[n, i] = inputs[i]
                    n += 1
                adapt_experts(context, y, x, width)
            end_row(context, y, width)

    return cached(_observe)


_observe: Any = _build(source_digest())


def observe(pixels: NDArray[np.uint8], spec: ModelSpec, keep: NDArray[np.bool_]) -> Observations:
    """Features of the rows of `pixels` [H, W, C] (colours in coding order) for which `keep` [H] is true.

    About as slow as coding without the network.
    """
    _, width, channels = pixels.shape
    shape = spec.shape(channels)
    n = int(keep.sum()) * width
    trunk = np.zeros((n, shape.inputs), np.float32)
    beside = np.zeros((n, sum(shape.extras)), np.float32)
    distance = np.zeros((n, channels, shape.components), np.float32)
    activity = np.zeros((n, channels), np.float32)
    end = np.zeros((n, channels), np.int8)
    context = new_context(spec.experts, channels, spec.reach, width)
    inputs, extras = np.zeros(shape.inputs), np.zeros(max(1, *shape.extras))
    _observe(context, pixels, keep, inputs, extras, 255, trunk, beside, distance, activity, end)
    return Observations(trunk.astype(np.float16), beside.astype(np.float16), distance, activity, end)
