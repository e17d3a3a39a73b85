"""Mixtures of conditional Gaussian scale mixtures (MCGSM): a pixel given its causal neighbourhood, by linear experts.

The experts, full and factorized, and the source: see `experts`. The x of a channel is the causal neighbourhood in all
channels, and the earlier channels of the pixel, whitened.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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

    def states(self, whitened: Tensor, height: int, width: int) -> Tensor:
        """None: no numbers for each pixel."""
        return whitened[..., :0]

    def seen(self, whitened: Tensor, state: Tensor) -> Tensor:
        """The neighbourhood, and the pixel's own channels but the last."""
        return whitened[..., :-1]

    def pixel_scan(self, batch: int, height: int, width: int) -> PixelScan:
        """See `PixelModel`."""
        return _McgsmScan(self, height, width)


class _McgsmScan(PixelScan):
    """What is new in every step is the neighbourhoods of its pixels."""

    def state(self, step: int, places: Tensor, whitened: Tensor) -> Tensor:
        """See `PixelScan`."""
        return whitened[..., :0]
