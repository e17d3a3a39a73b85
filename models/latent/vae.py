"""A variational autoencoder of one layer of latents: N(0, 1) above, convolutions to and from them.

Latents are a vector for images of one size, or maps at a quarter of the side for images of any. Samples given them are
logistic, with scales that are learned for each channel or come from the latents for each pixel, a mixture of such, or
Bernoulli for images of two levels.

Source: Kingma and Welling, *Auto-encoding variational Bayes* (2014); the discretized logistic: Kingma, Salimans et al.
(2016), 5.2. Coding: `variable.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .layers import Conv, Ends, family_of, growing, shrinking, to_unit
from .variable import LatentVariable, Normal, checked_spread

__all__ = ["Vae", "VaeConfig"]

REDUCTION = 4
"""Of the side of an image, to that of the innermost features."""

SIZES = ("channels", "levels", "side", "latents", "filters", "blocks", "components")
"""Settings that give the weights their shapes."""


@dataclass(frozen=True)
class VaeConfig:
    """What a VAE is.

    Attributes:
        channels: of the images: 1 or 3.
        levels: values of a sample: 256, or 2.
        side: of the images, a multiple of 4, which then have one vector of latents; 0 for images of any size, with
            latents in maps of a quarter of the side.
        latents: of the vector, or maps.
        filters: features, at a half and at a quarter of the side.
        blocks: residual blocks at each of these, up and down.
        components: logistics of a sample.
        scales: "channel" or "pixel": what has log-scales of its own.
        bins: of a latent, for coding.
        spread: of these; see `LatentVariable`.
    """

    channels: int = 1
    levels: int = 256
    side: int = 28
    latents: int = 40
    filters: int = 32
    blocks: int = 2
    components: int = 1
    scales: str = "pixel"
    bins: int = 1 << 12
    spread: float = 1.0


class Vae(LatentVariable):
    """See the module."""

    config: VaeConfig

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        if config.side % REDUCTION or config.scales not in ("channel", "pixel"):
            raise UsageError(f"side = {config.side} (a multiple of 4), scales = {config.scales!r} (channel or pixel)")
        self.config, self.channels, self.levels = config, config.channels, config.levels
        self.bins, self.spread = config.bins, checked_spread(config.spread)
        self.size, self.multiple = (config.side, config.side) if config.side else None, REDUCTION
        self.family = family_of(config.levels, config.channels, config.components)
        filters, count = config.filters, config.blocks
        self.up = shrinking(config.channels, filters, count)
        self.inner = inner = filters * (config.side // REDUCTION) ** 2
        self.to_latents = nn.Linear(inner, 2 * config.latents) if inner else Conv(filters, 2 * config.latents)
        self.from_latents = nn.Linear(config.latents, inner) if inner else Conv(config.latents, filters)
        self.down = growing(filters, count)
        self.ends = Ends(filters, config.channels, self.family, config.scales)

    def start_from(self, other: nn.Module) -> None:
        """Begins at a VAE of one layer; one with more to its posterior has its density before training.

        Raises:
            UsageError: another kind of model, or one of other sizes.
        """
        if type(other) is not Vae or any(getattr(self.config, n) != getattr(other.config, n) for n in SIZES):
            raise UsageError(f"a {type(other).__name__} to begin at; a Vae of the same sizes is needed")
        self.load_state_dict({**self.state_dict(), **other.state_dict()})

    def inside(self, x: Tensor) -> Tensor:
        """Features of images, at a quarter of the side. [B, F, H / 4, W / 4]."""
        found: Tensor = self.up(F.pixel_unshuffle(to_unit(x, self.levels, self.ends.first.dtype), 2))
        return found

    def features(self, x: Tensor) -> Any:
        """See `LatentVariable`: means and log-scales of the posterior. [B, 2 K, ...]."""
        found = self.inside(x)
        normal: Tensor = self.to_latents(found.flatten(1) if self.config.side else found)
        return normal.to(self.ends.first.dtype)

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        """See `LatentVariable`: N(0, 1)."""
        maps = () if self.config.side else (batch[1] // REDUCTION, batch[2] // REDUCTION)
        zeros = self.ends.first.new_zeros(batch[0], self.config.latents, *maps)
        return zeros, zeros

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        """See `LatentVariable`."""
        mean, log_scale = features.chunk(2, 1)
        return mean, log_scale

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`."""
        inner = self.from_latents(latents[0].to(self.ends.first.dtype))
        if self.config.side:
            inner = inner.view(batch[0], self.config.filters, *([self.config.side // REDUCTION] * 2))
        found: Tensor = self.ends(self.down(inner))
        return found
