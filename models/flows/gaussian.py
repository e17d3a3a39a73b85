"""One Gaussian of whole images, with all covariances: what linear relations between pixels are worth.

Mean and covariance are those of the first images that a training shows, all of them, in closed form. The covariance is
kept as a triangular map to white noise, z = L (y - mean), which is the inverse of its Cholesky factor: a flow whose
every value depends on all before it. It is coded as a unit triangular map, which adds whole steps of the grid, and the
deviations by local bits-back.

Pictures are not normal: some latents are far out, where the coder has more mass than a normal density: what is reported
counts that, and is less than the Gaussian alone.

Source: the baseline of van den Oord, Dambre, *Locally-connected transformations for deep GMMs* (2015), 4.4 and 4.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...codec.entropy.bijections import Affine, elementwise
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.linear import UnitTriangular
from ...codec.entropy.localbitsback import Bijection, Composition
from ...codec.errors import UsageError
from .bijective import UNIT_BITS
from .layers import Flow, Layer, Shape

__all__ = ["Gaussian", "GaussianConfig"]

LEVEL = 64.0
"""Levels in a unit of the triangular map, so that its numbers are neither large nor small."""

SHIFT_STEP = 2.0**-12
"""Levels: that of what is added to a value for those before it, whose rounding shows beside no deviation."""

LEAST_VARIANCE = 0.01
"""Of an image in any direction, in squares of levels: below the 1/12 that dequantization adds."""


@dataclass(frozen=True)
class GaussianConfig:
    """What a Gaussian is.

    Attributes:
        channels: of the images: 1 or 3.
        side: of the images.
    """

    channels: int = 3
    side: int = 32


class Triangular(Layer):
    """A linear map of D values with a lower triangular matrix, fitted so that what comes out is white.

    Args:
        size: D.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.full((size,), 2 * LEVEL))
        self.factor = nn.Parameter(torch.eye(size))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`; in parts, as these are many."""
        size, count = len(self.center), len(x)
        total, squares = (torch.zeros(shape, dtype=torch.float64, device=x.device) for shape in ((size,), (size, size)))
        for part in torch.split(x.flatten(1), 1000):
            values = part.double() - 2 * LEVEL
            total += values.sum(0)
            squares += values.mT @ values
        mean = total / count
        covariance = squares / count - mean[:, None] * mean
        covariance.diagonal().add_(LEAST_VARIANCE)
        root = torch.linalg.cholesky(covariance)
        eye = torch.eye(size, dtype=root.dtype, device=root.device)
        self.factor.copy_(LEVEL * torch.linalg.solve_triangular(root, eye, upper=False))
        self.center.copy_(mean + 2 * LEVEL)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        lower = self.factor.tril() / LEVEL
        z = (x.flatten(1) - self.center) @ lower.mT
        return z.view(x.shape), lower.diagonal().abs().log().sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        x: Tensor = torch.linalg.solve_triangular(self.factor.tril() / LEVEL, z.flatten(1).mT, upper=False)
        return (x.mT + self.center).view(z.shape)

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        lower, center = self.factor.detach().cpu().double().tril() / LEVEL, self.center.detach().cpu().double()
        scale = lower.diagonal()
        mixed = UnitTriangular(lower / scale[:, None], calibration.round, SHIFT_STEP)
        return Composition([mixed, elementwise(Affine(-lower @ center, scale * 2.0**UNIT_BITS))])


class Gaussian(Flow):
    """See the module."""

    config: GaussianConfig
    first_images = 1 << 20

    def __init__(self, config: GaussianConfig) -> None:
        if min(config.channels, config.side) < 1:
            raise UsageError(f"channels = {config.channels}, side = {config.side}: above 0")
        super().__init__(config, config.channels, [Triangular(config.channels * config.side**2)])
        self.size = (config.side, config.side)
