"""A hierarchical VAE of continuous values, independent and normal given the latents, with one deviation for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.codecs import Codec
from ...codec.entropy.grid import GaussianGrid, values_of
from ...codec.entropy.pmf import Pmf
from ...codec.entropy.portable import exp
from ..flows.bijective import Bijective
from ..latent.layers import Conv
from ..latent.topdown import TopDown, TopDownConfig
from ..likelihoods import Family

__all__ = ["Behind", "NormalFamily"]

LEAST_LOG = -6.0
"""Of the deviation, kept above this: five times the noise of local bits-back coding, on the grid of flows."""

CELLS = 32
"""Cells in a deviation, where the grid of flows is as fine: see `GaussianGrid`."""

LOG_STEP = 2.0**-8
"""Rounding of the logarithm of the deviation, for coding."""

SPEED = 8.0
"""How many times faster than weights the logarithm of the deviation learns: it is one number, with far to go."""


@dataclass(frozen=True)
class NormalFamily(Family):
    """Values that are normal, coded as indices of a grid. Rows: mean, log-scale, which is the same for all."""

    @property
    def parameters(self) -> int:
        """See `Family`."""
        return 2

    @property
    def grid(self) -> Tensor:
        """See `Family`. A sixteenth of the narrowest scale."""
        return torch.tensor([2.0**-13, LOG_STEP], dtype=torch.float64)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Family`: the density of values x."""
        white = (x - parameters[..., 0]) * torch.exp(-parameters[..., 1])
        return -0.5 * white.square() - parameters[..., 1] - 0.5 * math.log(2 * math.pi)

    def codec(self, parameters: Tensor) -> Codec[Tensor]:
        """See `Family`: of indices."""
        rows = parameters.flatten(0, -2)
        return GaussianGrid(rows[:, 0], exp(rows[:, 1]), _bits(float(rows[:, 1].min())))

    def pmf(self, rows: Tensor) -> Pmf:
        """Values have too many indices for one distribution; see `codec`."""
        raise NotImplementedError

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Family`: the expected value."""
        return parameters[..., 0]

    def draw(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """Values drawn by parameters [B, C, H, W, P], of their precision and on their device."""
        mean, log_scale = parameters[..., 0], parameters[..., 1]
        noise = torch.randn(mean.shape, generator=random, dtype=mean.dtype).to(mean.device)
        return mean + torch.exp(log_scale) * noise


def _bits(log_scale: float) -> int:
    """Of a grid that is as fine as a deviation asks for, and no finer than that of flows."""
    return min(max(0, math.ceil(math.log2(CELLS) - log_scale / math.log(2))), Bijective.grid.bits)


class Behind(TopDown):
    """A `TopDown` of values that are about -3 to 3; coded as indices of a grid.

    Args:
        config: its settings; `levels` and `components` say nothing here.
    """

    def __init__(self, config: TopDownConfig) -> None:
        super().__init__(config)
        self.family = NormalFamily()
        self.ends = Conv(config.filters, 4 * config.channels, gain=0.1)
        self.log_scale = nn.Parameter(torch.zeros(()))

    @property
    def bits(self) -> int:
        """Of the grid."""
        return _bits(float(self._log_scale.detach()))

    @property
    def _log_scale(self) -> Tensor:
        log_scale = (SPEED * self.log_scale).clamp(min=LEAST_LOG)
        # Between two steps of its grid, that of all samples would have to be noted in a file.
        return log_scale if self.training else torch.round(log_scale / LOG_STEP) * LOG_STEP

    def features(self, x: Tensor) -> list[Tensor]:
        """See `LatentVariable`. Of values, or of indices int64."""
        return self.features_of(x if x.is_floating_point() else values_of(x, self.bits))

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`."""
        mean = F.pixel_shuffle(self.ends(F.elu(self.inside(latents, batch))).to(self._dtype), 2)
        return torch.stack([mean, self._log_scale.expand(mean.shape)], -1)
