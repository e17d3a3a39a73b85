"""Mixtures of conditional Gaussian scale mixtures (MCGSM): a pixel given its causal neighbourhood, by linear experts.

The experts, full and factorized, and the source: see `experts`. The x of a channel is the causal neighbourhood in all
channels, and the earlier channels of the pixel, whitened.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...codec.errors import UsageError
from .causal import Whitening, neighbours
from .experts import Experts
from .pixels import PixelModel, PixelScan

__all__ = ["Mcgsm", "McgsmConfig"]


@dataclass(frozen=True)
class McgsmConfig:
    """What an MCGSM is made of.

    Attributes:
        channels: 1 or 3.
        radius: of the causal neighbourhood: `radius` rows above and as many pixels to each side.
        components: K, linear experts.
        scales: S, scales of each expert.
        features: N, shared features of the factorized form; 0 for the full form, a matrix for each component.
    """

    channels: int = 3
    radius: int = 3
    components: int = 16
    scales: int = 4
    features: int = 48


class Mcgsm(PixelModel):
    """A mixture of conditional Gaussian scale mixtures, full or factorized; see the head of this file."""

    def __init__(self, config: McgsmConfig) -> None:
        super().__init__()
        self.config, self.radius, self.channels = config, config.radius, config.channels
        inputs = neighbours(config.radius) * config.channels
        self.whitening = Whitening(inputs, config.channels)
        self.experts = Experts(inputs, config.channels, config.components, config.scales, config.features)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training: some hundred images are enough. x int [B, C, H, W]."""
        self.whitening.fit(self.values(x))
        self.experts.start_at(self.whitening.factor[-self.channels :])

    @torch.no_grad()
    def start_from(self, smaller: Mcgsm) -> None:
        """Begin at the density of a trained MCGSM with a smaller neighbourhood, after `initialize`.

        What is linear in the whitened smaller neighbourhood is linear in the larger one, in whatever way that is
        whitened. Both models are on one device.

        Raises:
            UsageError: models of other channels or experts, not of a smaller radius, or of the full form, whose
                matrices grow with the neighbourhood.
        """
        if not isinstance(smaller, Mcgsm):
            raise UsageError(f"an MCGSM starts from another one, not from a {type(smaller).__name__}")
        shared = ("channels", "components", "scales", "features")
        differing = [n for n in shared if getattr(self.config, n) != getattr(smaller.config, n)]
        if not self.config.features:
            differing.append("form, which has to be factorized")
        if smaller.radius >= self.radius:
            differing.append("radius, which has to be smaller")
        if differing:
            raise UsageError(f"an MCGSM to start from differs in {', '.join(differing)}")
        mine, theirs = self.whitening, smaller.whitening
        change = mine.grow_from(theirs, self.radius, smaller.radius)[:-1, :-1]
        ratio = (theirs.spread / mine.spread)[:, None]  # means and scales are in units of the spread
        self.experts.grow_from(smaller.experts, change, ratio)

    def states(self, whitened: Tensor, height: int, width: int) -> Tensor:
        """None: no numbers for each pixel."""
        return whitened[..., :0]

    def seen(self, whitened: Tensor, state: Tensor) -> Tensor:
        """The neighbourhood, and the pixel's own channels but the last."""
        return whitened[..., :-1]

    def pixel_scan(self, batch: int, height: int, width: int) -> PixelScan:
        """See `PixelModel`."""
        return PixelScan(self, height, width)
