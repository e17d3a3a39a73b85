"""Memory and tables of the last stage, which learns an image's values bit by bit: see adaptive.kernels.c."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LINE", "MOST_HISTORIES", "counter_lines", "ranks", "stage_arrays"]

# As in engine.h and adaptive.kernels.c, where these are explained.
LINE = 16
MOST_HISTORIES = 4
_INPUTS = 8
_DEPTHS, _PHASES, _SPREADS, _AMBIGUITIES = 8, 4, 8, 16
_MOST_EVENTS = 60

FIRST_WEIGHT = 0.1
"""Weight of each context before anything was seen; the mixture's is 1."""

FEWEST_LINES, MOST_LINES = 2**6, 2**18
"""Of a context's counters: 16 MB for the largest tiles."""


def counter_lines(pixels: int) -> int:
    """Lines of counters for each context: a power of two, one for two pixels or more, where that is not too many."""
    return min(MOST_LINES, max(FEWEST_LINES, 1 << max(0, (pixels - 1) // 2).bit_length()))


def ranks(values: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of each channel's `values`, of which the first `size` count, are below 0, 1, ... and 256, [C, 257]."""
    return np.array([np.searchsorted(v[:n], np.arange(257)) for v, n in zip(values, size, strict=True)])


def _logit(place: int) -> float:
    """Logit of the middle of one of 4096 parts of probability, of 12 bits behind the point."""
    return round(4096 * math.log((2 * place + 1) / (8191 - 2 * place))) / 4096


def _probability(place: int) -> float:
    """Inverse: of logits between -12 and 12 in steps of 1/32, at the middle of a step; 24 bits behind the point."""
    return round(2**24 / (1 + math.exp(12 - (place + 0.5) / 32))) / 2**24


@lru_cache(maxsize=1)
def _tables() -> dict[str, NDArray[Any]]:
    # Rounded so coarsely that no library's logarithm or exponential function can make a difference: none of the exact
    # numbers is nearer than 6e-5 of a step to the middle between two steps.
    return {
        "stretch": np.array([_logit(i) for i in range(4096)], np.float32),
        "squash": np.array([_probability(i) for i in range(768)], np.float32),
        # 2^16 / (events + 1.3)
        "step": np.array([655360 // (10 * n + 13) for n in range(_MOST_EVENTS + 1)], np.int64),
    }


def stage_arrays(channels: int, histories: int, rows: int) -> dict[str, NDArray[Any]]:
    """Everything but the counters for `histories` contexts, and batches of `rows` pixels."""
    weights = np.zeros(_INPUTS, np.float32)
    weights[0] = 1.0
    weights[2 : 2 + histories] = FIRST_WEIGHT

    def sets(*size: int) -> NDArray[np.float32]:
        return np.broadcast_to(weights, (channels, *size, _INPUTS))

    return {
        "split": np.zeros((channels, _DEPTHS, rows)),
        "spread": np.zeros((channels, rows), np.int64),
        "cell": np.zeros((channels, rows, 2, MOST_HISTORIES), np.int64),
        "by_node": sets(256),
        "by_spread": sets(_PHASES, _SPREADS, _AMBIGUITIES),
        "by_depth": sets(_DEPTHS, _AMBIGUITIES),
        **_tables(),
    }
