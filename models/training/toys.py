"""Two distributions that are known: a spiral in the plane, and sequences with a pulse at every fifth place.

As images of integers they can be trained on, coded and weighed like any other; as they are known, it can be said by how
much a model misses them.

Source: the diffusion paper, figures 1 and 2, and appendix D.1.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...codec.entropy.portable import ndtr

__all__ = ["heartbeat", "swiss_roll", "swiss_roll_probabilities"]

TURN_FROM, TURN_TO = 1.5 * np.pi, 4.5 * np.pi
"""Angles at the ends of the roll, which are its radii, too."""

LEVELS_EACH = 7.0
"""Levels in a unit of the plane; the middle is at level 127.5."""

NOISE = 1.0
"""Deviation about the roll, in units."""

ANGLES = 20_000
"""Of the sum that the probabilities are."""

PERIOD, LENGTH = 5, 20


def swiss_roll(count: int, seed: int) -> NDArray[np.uint8]:
    """Points of a plane of 256 x 256 levels as images of two samples: [count, 1, 1, 2]."""
    random = np.random.default_rng(seed)
    angle = TURN_FROM + (TURN_TO - TURN_FROM) * random.random(count)
    points = np.stack([angle * np.cos(angle), angle * np.sin(angle)], 1) + NOISE * random.standard_normal((count, 2))
    levels = np.clip(np.rint(127.5 + LEVELS_EACH * points), 0, 255)
    found: NDArray[np.uint8] = levels.astype(np.uint8).reshape(count, 1, 1, 2)
    return found


def swiss_roll_probabilities() -> NDArray[np.float64]:
    """Of each point, [256, 256], first sample first: the integral over the roll, by the rule of the middle."""
    share = (np.arange(ANGLES) + 0.5) / ANGLES
    angle = TURN_FROM + (TURN_TO - TURN_FROM) * share
    edges = np.arange(255) + 0.5
    masses = []
    for place in (angle * np.cos(angle), angle * np.sin(angle)):
        below = ndtr(torch.from_numpy((edges[:, None] - 127.5 - LEVELS_EACH * place) / (LEVELS_EACH * NOISE))).numpy()
        masses.append(np.diff(below, axis=0, prepend=0, append=1))
    found: NDArray[np.float64] = masses[0] @ masses[1].T / ANGLES
    return found


def heartbeat(count: int, seed: int) -> NDArray[np.uint8]:
    """Sequences of 0 and 1 with a 1 at every fifth place, from one of the first five on: [count, 1, 1, 20]."""
    first = np.random.default_rng(seed).integers(0, PERIOD, count)
    found: NDArray[np.uint8] = (np.arange(LENGTH) % PERIOD == first[:, None]).astype(np.uint8)
    return found.reshape(count, 1, 1, LENGTH)
