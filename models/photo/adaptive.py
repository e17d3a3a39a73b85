"""Memory and tables of the last stage, which learns an image's values bit by bit: see adaptive.kernels.c."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LINE", "MOST_HISTORIES", "counter_lines", "node_arrays", "ranks", "stage_arrays"]

# As in engine.h, adaptive.kernels.c and nodes.kernels.c, where these are explained.
LINE = 16
MOST_HISTORIES = 4
_INPUTS = 8
_DEPTHS, _PHASES, _SPREADS, _AMBIGUITIES = 8, 4, 8, 8
_KNOWN = 256
_LEAST, _OUTSIDE = 2.0**-20, 2.0**30

FIRST_WEIGHT = 0.1
"""Weight of each context before anything was seen; the mixture's is 1."""

FEWEST_LINES, MOST_LINES = 2**6, 2**18
"""Of a context's counters: 8 MB for the largest tiles."""


def counter_lines(pixels: int) -> int:
    """Lines of counters for each context: a power of two, one for two pixels or more, where that is not too many."""
    return min(MOST_LINES, max(FEWEST_LINES, 1 << max(0, (pixels - 1) // 2).bit_length()))


def ranks(values: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of each channel's `values`, of which the first `size` count, are below 0, 1, ... and 256, [C, 257]."""
    return np.array([np.searchsorted(v[:n], np.arange(257)) for v, n in zip(values, size, strict=True)])


def node_arrays(
    edges: NDArray[np.float64], size: NDArray[np.int64], rank: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Where each node of the tree of 8-bit samples halves its range, and what all values below that have at least."""
    depth = np.arange(1, 16)  # in a row: nodes from the root of sixteen values down
    depth = np.floor(np.log2(depth)).astype(int)
    halves = np.concatenate([[0], (2 * (np.arange(1, 16) - 2**depth) + 1) * (8 >> depth)])
    value = np.concatenate([16 * halves, *(16 * high + halves for high in range(16))])  # [NODES]
    below = np.minimum(rank[:, value], edges.shape[1] - 1)
    edge = np.take_along_axis(edges, below, 1)
    edge[below == 0] = -_OUTSIDE
    edge[below >= size[:, None]] = _OUTSIDE
    return {"node_edge": edge.astype(np.float32), "node_floor": (below * _LEAST).astype(np.float32)}


def _logit(place: int) -> float:
    """Logit of the middle of one of 256 parts of probability, of 12 bits behind the point."""
    return round(4096 * math.log((2 * place + 1) / (511 - 2 * place))) / 4096


def _probability(place: int) -> int:
    """Inverse: of logits between -12 and 12 in steps of 1/32, at the middle of a step, in units of 2^-16."""
    return min(max(round(2**16 / (1 + math.exp(12 - (place + 0.5) / 32))), 1), 2**16 - 1)


@lru_cache(maxsize=1)
def _tables() -> dict[str, NDArray[Any]]:
    # Rounded so coarsely that no library's logarithm or exponential function can make a difference: none of the exact
    # numbers is nearer than 6e-5 of a step to the middle between two steps.
    return {
        "stretch": np.array([_logit(i ^ 128) for i in range(256)], np.float32),
        "squash": np.array([_probability(i) for i in range(768)], np.uint16),
    }


def stage_arrays(channels: int, histories: int, rows: int) -> dict[str, NDArray[Any]]:
    """Everything but the counters for `histories` contexts, and batches of `rows` pixels."""
    weights = np.zeros(_INPUTS, np.float32)
    weights[0] = 1.0
    weights[2 : 2 + histories] = FIRST_WEIGHT

    def sets(*size: int) -> NDArray[np.float32]:
        # A third of each number, rounded; of three sets one is used.
        return np.broadcast_to(weights / np.float32(3), (channels, *size, _INPUTS))

    return {
        "logit": np.zeros((channels, _DEPTHS, rows), np.float32),
        "part": np.zeros((channels, _DEPTHS, rows), np.int32),
        "unsure": np.zeros((channels, rows), np.int32),
        "spread": np.zeros((channels, rows), np.int32),
        "cell": np.zeros((channels, rows, 2, MOST_HISTORIES), np.uint32),
        "key": np.zeros(MOST_HISTORIES, np.uint64),
        "by_node": sets(256),
        "by_spread": sets(_PHASES, _SPREADS, _AMBIGUITIES),
        "by_events": sets(_KNOWN),
        **_tables(),
    }
