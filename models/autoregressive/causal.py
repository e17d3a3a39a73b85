"""Causal neighbourhoods of pixels, and the fixed linear transformation that whitens them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Neighbourhoods", "Whitening", "neighbours", "offsets"]

OUTSIDE = 128
"""Value of what lies above an image: the middle of the range."""


def neighbours(radius: int) -> int:
    """Pixels of a causal neighbourhood: `radius` rows above, 2 · radius + 1 pixels each, and `radius` to the left."""
    return 2 * radius * (radius + 1)


def offsets(radius: int) -> list[tuple[int, int]]:
    """Rows down and columns right of each pixel of a neighbourhood, in the order of its values."""
    above = [(-up, right) for up in range(radius, 0, -1) for right in range(-radius, radius + 1)]
    return above + [(0, -left) for left in range(radius, 0, -1)]


class Neighbourhoods:
    """Where the causal neighbours of every pixel are, borders included.

    Rows above the image are all 128. Past the left or right border a row above repeats its outermost pixel; before the
    first pixel of its own row a pixel sees the one above that. So all that a pixel sees lies in rows above, at most
    `radius` to the right, or to the left in its row: `wavefront(height, width, radius + 1)` is a valid order.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        radius: of the neighbourhood, 1 or more.
    """

    def __init__(self, height: int, width: int, radius: int) -> None:
        down, right = torch.tensor(offsets(radius)).unbind(1)  # [M]
        row = torch.arange(height)[:, None, None] + down
        column = (torch.arange(width)[:, None] + right).expand(height, width, -1)
        row = torch.where((column < 0) & (down == 0), row - 1, row)  # [H, W, M]
        source = row * width + column.clamp(0, width - 1)
        self.outside = (row < 0).reshape(height * width, -1)  # [H · W, M]
        self.source = torch.where(row < 0, 0, source).reshape(height * width, -1)

    def at(self, x: Tensor, places: Tensor, dtype: torch.dtype) -> Tensor:
        """Neighbourhoods of some pixels, and their own samples.

        Args:
            x: samples. [B, C, H, W]
            places: flat indices of pixels. [n] int64
            dtype: of the result.

        Returns:
            For each neighbour its channels, then the channels of the pixel itself. [n, B, M · C + C]
        """
        source = torch.cat([self.source[places], places[:, None]], 1)  # [n, M + 1]
        outside = nn.functional.pad(self.outside[places], (0, 1))
        found = x.flatten(2).index_select(2, source.flatten().to(x.device)).to(dtype)  # [B, C, n · (M + 1)]
        found = found.view(*x.shape[:2], *source.shape).masked_fill(outside.to(x.device), OUTSIDE)
        return found.permute(2, 0, 3, 1).flatten(2)


class Whitening(nn.Module):
    """Neighbourhood and pixel to uncorrelated values of variance 1, each a function of itself and those before it.

    The inverse of the Cholesky factor of the covariance: whitened values of the neighbourhood do not depend on the
    pixel, that of a channel only on earlier ones, and a row of the factor is the best linear prediction of a channel.

    Args:
        inputs: values of the neighbourhood.
        channels: of the pixel, which follow.
    """

    center: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("center", torch.full((inputs + channels,), float(OUTSIDE)))
        self.register_buffer("factor", torch.eye(inputs + channels) * 64.0)
        self.register_buffer("inverse", torch.eye(inputs + channels) / 64.0)

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """Take the statistics of values as `Neighbourhoods.at` gives them, [..., inputs + channels]."""
        values = values.flatten(0, -2).double()
        center = values.mean(0)
        values = values - center
        covariance = values.T @ values / len(values)
        # Rounding to integers is noise of variance 1 / 12, which bounds from below what can be known of a direction.
        factor = torch.linalg.cholesky(covariance + torch.eye(len(center), device=center.device) / 12)
        self.center.copy_(center)
        self.factor.copy_(factor)
        identity = torch.eye(len(center), dtype=factor.dtype, device=factor.device)
        self.inverse.copy_(torch.linalg.solve_triangular(factor, identity, upper=False))

    @torch.no_grad()
    def grow_from(self, smaller: Whitening, radius: int, smaller_radius: int) -> Tensor:
        """Take over the centers of a smaller neighbourhood.

        Args:
            smaller: of that neighbourhood, and the same channels.
            radius: of the neighbourhood here.
            smaller_radius: of that one.

        Returns:
            Its whitened values from those here, a triangular matrix. [M' · C + C, M · C + C]
        """
        channels = len(self.center) - self.inputs
        places = {offset: number for number, offset in enumerate(offsets(radius))}
        pixels = [places[offset] for offset in offsets(smaller_radius)] + [len(places)]
        common = (torch.tensor(pixels)[:, None] * channels + torch.arange(channels)).flatten()
        self.center[common] = smaller.center
        change: Tensor = smaller.inverse.double() @ self.factor.double()[common]
        return change.to(self.factor.dtype)

    def forward(self, values: Tensor) -> Tensor:
        """Whitened values, of the same shape."""
        return (values - self.center) @ self.inverse.T

    @property
    def spread(self) -> Tensor:
        """Standard deviation of each channel about its linear prediction, in levels, [C]."""
        return self.factor.diagonal()[self.inputs :]
