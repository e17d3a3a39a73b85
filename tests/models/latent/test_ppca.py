"""Bits-back coding against a closed form: probabilistic PCA, whose posterior is exact and whose density is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from densezip.codec.entropy.pmf import GaussianMixture, Pmf
from densezip.models.latent.variable import LatentVariable, Normal
from densezip.models.likelihoods import Family
from laws import check_model
from torch import Tensor

SIDE, LATENTS, DEVIATION = 4, 3, 6.0


@dataclass(frozen=True)
class GaussianFamily(Family):
    """A normal distribution of one deviation for all samples. Rows: the mean, in levels."""

    levels: int = 256

    @property
    def parameters(self) -> int:
        return 1

    @property
    def grid(self) -> Tensor:
        return torch.full((1,), 2.0**-8, dtype=torch.float64)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        white = (x.double() - parameters[..., 0]) / DEVIATION
        return -0.5 * white.square() - math.log(DEVIATION * math.sqrt(2 * math.pi))

    def pmf(self, rows: Tensor) -> Pmf:
        return GaussianMixture(torch.zeros_like(rows), rows, torch.full_like(rows, DEVIATION), self.levels)

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters[..., 0]


class Ppca(LatentVariable):
    """x = W z + μ + noise with orthogonal columns of W, so that the posterior is normal with independent latents.

    Source: Tipping and Bishop, *Probabilistic principal component analysis* (1999).
    """

    channels, size, family = 1, (SIDE, SIDE), GaussianFamily()

    def __init__(self, bins: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        rotation, _ = torch.linalg.qr(torch.randn(SIDE**2, LATENTS, generator=random, dtype=torch.float64))
        self.weights = torch.nn.Parameter(rotation * torch.tensor([60.0, 40.0, 25.0], dtype=torch.float64))
        self.bins = bins

    def features(self, x: Tensor) -> Tensor:
        return (x.double().flatten(1) - 128) @ self.weights

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        return (torch.zeros(batch[0], LATENTS, dtype=torch.float64),) * 2

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        precision = self.weights.square().sum(0) + DEVIATION**2  # of z, times the variance of the noise
        mean = features / precision
        return mean, (0.5 * torch.log(DEVIATION**2 / precision)).expand(mean.shape)

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        mean: Tensor = latents[0] @ self.weights.T + 128
        return mean.view(batch[0], 1, SIDE, SIDE, 1)

    def images(self, count: int) -> Tensor:
        """Drawn from the model, rounded."""
        random = torch.Generator().manual_seed(1)
        z = torch.randn(count, LATENTS, generator=random, dtype=torch.float64)
        noise = torch.randn(count, SIDE**2, generator=random, dtype=torch.float64)
        y = z @ self.weights.detach().T + 128 + DEVIATION * noise
        return y.round().clamp(0, 255).long().view(count, 1, SIDE, SIDE)

    def closed_form(self, x: Tensor) -> Tensor:
        """Nats of log N(x; μ, W Wᵀ + σ² I), [B]."""
        weights = self.weights.detach()
        covariance = weights @ weights.T + DEVIATION**2 * torch.eye(SIDE**2, dtype=torch.float64)
        mean = torch.full((SIDE**2,), 128.0, dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal(mean, covariance)
        found: Tensor = normal.log_prob(x.double().flatten(1))  # type: ignore[no-untyped-call]
        return found


def test_net_bits_are_the_marginal_likelihood() -> None:
    model = Ppca(bins=1 << 12)
    x = model.images(40)
    nats = model.closed_form(x)
    net = check_model(model, x, lanes=16)
    assert net == pytest.approx(-float(nats.sum()) / math.log(2), rel=3e-3)
    # The posterior is exact: every sample of it gives the marginal likelihood of each image, and more give no more.
    with torch.no_grad():
        assert torch.allclose(model.log_weights(x)[0], nats, atol=1e-6)
    assert torch.allclose(model.iw_bounds(x, [1, 7]), nats.expand(2, -1), atol=1e-6)


def test_coarse_bins_cost_more_and_fine_ones_nothing() -> None:
    x = Ppca(1 << 12).images(40)
    nets = [check_model(Ppca(bins=bins), x, lanes=16) for bins in (1 << 4, 1 << 8, 1 << 12, 1 << 14)]
    assert nets[0] > 1.05 * nets[2]
    assert nets[0] > nets[1] > nets[2]
    assert nets[2] == pytest.approx(nets[3], rel=1e-3)
