"""Noise of dequantization that is learned: u = σ(v) with v from logistic noise by couplings that know the image.

The bound is then log p(x + u) - log q(u | x), which is tighter: the flow of images need not be uniform within a level.
Before training the couplings do nothing, and u is uniform. A coder draws u from the message by q.

Source: Ho, Chen, Srinivas, Duan, Abbeel, *Flow++* (2019), 3.1; coded: Ho, Lohn, Abbeel (2019), 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.bijections import logit, squeeze
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec
from ...codec.entropy.grid import LogisticGrid
from ...codec.entropy.localbitsback import Grid, Relabelled
from .conditioner import Conditioner
from .layers import Coupling, Layer, Permute, composed

__all__ = ["Noise"]

KNOWN_BITS = 7
"""log2 of the halves of levels in a unit of what couplings know of the image: 64 levels, on any grid exactly."""


LOGIT_SIGMA = 2.0**-6
"""Of the noise that codes u by its logit: that of u is u (1 - u) times as wide, and two steps of the grid at least. A
logit is smooth over such distances."""


class Noise(nn.Module):
    """See the module.

    Args:
        channels: of the images.
        levels: values of a sample.
        couplings: each changes half of the noise, a checkerboard in turn; even.
        filters: features of a network.
        blocks: residual blocks of a network.
    """

    def __init__(self, channels: int, levels: int, couplings: int, filters: int, blocks: int) -> None:
        super().__init__()
        self.levels, self.wide = levels, 4 * channels
        wide, image = self.wide, range(self.wide, 2 * self.wide)
        board = [4 * c + place for places in ((0, 3), (1, 2)) for c in range(channels) for place in places]
        layers: list[Layer] = [Permute([*board, *image])]
        for _ in range(couplings):
            network = Conditioner(2 * wide - wide // 2, wide, filters, blocks)
            layers += [Coupling(network, 2 * wide, True, changed=wide // 2)]
            layers += [Permute([*range(wide // 2, wide), *range(wide // 2), *image])]
        self.layers: Sequence[Layer] = nn.ModuleList(layers)  # type: ignore[assignment]

    def draw(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Noise for integers x [B, C, H, W], of their shape, and the logarithm of its density in nats: [B]."""
        known = F.pixel_unshuffle((2 * x.to(dtype) - (self.levels - 1)) * 2.0**-KNOWN_BITS, 2)
        uniform = torch.rand(known.shape, dtype=dtype, device=x.device).clamp(1e-6, 1 - 1e-6)
        first = torch.logit(uniform)
        log_q = -_softplus_both(first)
        values = torch.cat([first, known], 1)
        for layer in reversed(self.layers):
            if isinstance(layer, Coupling):
                values, log_det = layer.undo(values)
                log_q = log_q + log_det
            else:
                values = layer.inverse(values)
        last = values[:, : self.wide]
        return F.pixel_shuffle(torch.sigmoid(last), 2), log_q + _softplus_both(last)

    def codec(self, x: Tensor, calibration: Calibration, grid: Grid) -> Codec[Tensor]:
        """Of noise for integers x [B, C, H, W], as indices of a grid."""
        known = squeeze(2).forward((2 * x - (self.levels - 1)) << (grid.bits - KNOWN_BITS))
        zeros = torch.zeros(known.shape, dtype=torch.float64)

        def alone(both: Tensor) -> Tensor:
            return both[:, : self.wide]

        def beside(noise: Tensor) -> Tensor:
            return torch.cat([noise, known], 1)

        prior = Relabelled(LogisticGrid(zeros, torch.ones_like(zeros), grid.bits), alone, beside)
        shape = (len(x), 2 * self.wide, *known.shape[2:])
        inner = composed(self.layers, calibration, shape).codec(prior, grid)
        wide = replace(grid, sigma=LOGIT_SIGMA)
        return logit().codec(squeeze(2).codec(Relabelled(inner, beside, alone), grid), wide)


def _softplus_both(values: Tensor) -> Tensor:
    """Minus the log-density of logistic values, which is that of σ(v) on a scale of v too; summed: [B]."""
    return (F.softplus(values) + F.softplus(-values)).flatten(1).sum(1)
