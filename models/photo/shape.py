"""Sizes of the photo models and the constants that engine and training share. Imports nothing slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "ERROR_PLACES",
    "EXPERT_PLACES",
    "LANES",
    "LOG_SCALE_RANGE",
    "MINIMUM_PROBABILITY",
    "PRECISION",
    "ROW_MULTIPLE",
    "SEEN_PLACES",
    "ExpertSpec",
    "ModelSpec",
    "NetShape",
    "padded",
]

PRECISION = 28
"""Bits of the integer distributions."""

MINIMUM_PROBABILITY = 2.0 ** (1 - PRECISION)
"""Least probability of a symbol: two units. One would do if sums of sigmoids were monotone to the last bit."""

LOG_SCALE_RANGE = 6.0
"""Log scales of the mixture, relative to the local activity, are clamped to ± this."""

LANES = 16
"""Values of float32 in 64 bytes, the widest vector register of today: outputs of a layer are a multiple of it."""

ROW_MULTIPLE = 4
"""Inputs of a layer are stored padded to a multiple of this, as the gradient's kernel wants."""

ERROR_PLACES = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
"""(dy, dx) of the past errors that measure the local activity."""

SEEN_PLACES = (*ERROR_PLACES, (-1, 2), (-1, -2), (-2, -1), (-2, 1), (0, -3), (-2, 2), (-2, -2), (-3, 0))
"""(dy, dx) of the past errors that the network sees."""

EXPERT_PLACES = 2
"""Of how many of `SEEN_PLACES` the network sees each expert's own error, not only the blend's."""


def padded(length: int, multiple: int = LANES) -> int:
    """Round a length up to a multiple."""
    return -(-length // multiple) * multiple


class NetShape(NamedTuple):
    """Sizes of one network.

    Attributes:
        channels: channels coded in turn, C.
        inputs: inputs of the trunk, D.
        extras: extra inputs of each channel's head, C numbers; 0 for the first.
        width: units of the trunk, H, a multiple of `LANES`.
        layers: layers of the trunk; all but the first are residual.
        hidden: units of a head, a multiple of `LANES`.
        components: components of a channel's mixture, J.
    """

    channels: int
    inputs: int
    extras: tuple[int, ...]
    width: int
    layers: int
    hidden: int
    components: int

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Every layer's name and (inputs, outputs) in the order of evaluation: the trunk's, then two for each head."""
        sizes = {"trunk.0": (self.inputs, self.width)}
        for layer in range(1, self.layers):
            sizes[f"trunk.{layer}"] = (self.width, self.width)
        for c in range(self.channels):
            sizes[f"head.{c}.hidden"] = (self.width + self.extras[c], self.hidden)
            sizes[f"head.{c}.out"] = (self.hidden, padded(3 * self.components))
        return sizes

    def multiply_adds(self) -> int:
        """Multiply-adds of one pixel's evaluation."""
        return sum(rows * columns for rows, columns in self.matrices().values())


class ExpertSpec(NamedTuple):
    """One linear expert.

    Attributes:
        neighbours: used of all channels.
        memory: forgetting factor.
        fed: samples of rows above that it learns again.
        states: 1; or 4, one for each phase (x mod 2, y mod 2); or 12, one for each phase and direction of change. In
            single planes of 16 bits 1 whatever it says.
        parting: pixels after which these learn each for itself, so that small images do not pay.
    """

    neighbours: int
    memory: float
    fed: int
    states: int = 1
    parting: int = 2048


@dataclass(frozen=True)
class ModelSpec:
    """One photo model: everything but its weights.

    Attributes:
        experts: the linear experts, K.
        reach: neighbours that the network sees beside the west pixel, of every channel.
        width: units of the trunk.
        layers: layers of the trunk.
        hidden: units of a head.
        components: components of a channel's mixture.
        schedule: rate of the learning while coding: at first, in the end, and pixels after which half of the
            difference is gone.
        histories: contexts of the last stage, which learns the values of samples of 8 bits.
        turned: whether the encoder looks for the orientation that is coded best; any model decodes all of them.
    """

    experts: tuple[ExpertSpec, ...]
    reach: int
    width: int
    layers: int
    hidden: int
    components: int
    schedule: tuple[float, float, float]
    histories: int
    turned: bool = False

    def shape(self, channels: int) -> NetShape:
        """Sizes of the network for grey (1) or colour (3)."""
        k = len(self.experts)
        inputs = channels * (self.reach + 1 + k + len(SEEN_PLACES) + k * EXPERT_PLACES + k + 4)
        extras = tuple((k + (k + 2) * c) if c else 0 for c in range(channels))
        return NetShape(channels, inputs, extras, self.width, self.layers, self.hidden, self.components)
