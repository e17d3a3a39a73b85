"""What the network would see of an image: the engine's own features, written out as training data.

The experts, and with them every input of the network, depend on the image alone and not on the network's weights, so
that one pass of the compiled code over an image yields the inputs for any number of training steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .engine import Session, new_alphabet
from .shape import ModelSpec

__all__ = ["Observations", "observe"]


class Observations(NamedTuple):
    """Training data of n pixels; C channels, J components, D inputs of the trunk, E extra inputs of all heads."""

    trunk: NDArray[Any]  # [n, D] float16
    extras: NDArray[Any]  # [n, E] float16
    distance: NDArray[Any]  # [n, C, J] float32, (value - centre) / activity for each component's centre
    activity: NDArray[Any]  # [n, C] float32
    end: NDArray[Any]  # [n, C] int8: -1 where the value is the lowest there is, 1 where it is the highest


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
    session = Session(spec, shape, None, new_alphabet([np.arange(256)] * channels), width, 8)
    session.observe(np.ascontiguousarray(pixels, np.uint16), keep, 255, trunk, beside, distance, activity, end)
    return Observations(trunk.astype(np.float16), beside.astype(np.float16), distance, activity, end)
