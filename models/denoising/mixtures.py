"""Mixtures of normal distributions of vectors: known densities, what they become with noise, and proposals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...codec.errors import UsageError

__all__ = ["NormalMixture"]

ROUNDS = 30
"""Of expectation and maximization."""


@dataclass(frozen=True)
class NormalMixture:
    """A mixture of K normal distributions in d dimensions, float64.

    Attributes:
        weights: of the components, which sum to 1. [K]
        means: [K, d]
        covariances: [K, d, d]
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def dimensions(self) -> int:
        """Of a point."""
        return self.means.shape[1]

    def log_density(self, x: Tensor) -> Tensor:
        """Natural logarithm of the density at points [N, d]: float64 [N]."""
        return torch.logsumexp(self._joint(x.double()), 1)

    def _joint(self, x: Tensor) -> Tensor:
        """Logarithms of the densities of components times their weights, [N, K]."""
        found, half = [], 0.5 * self.dimensions * math.log(2 * math.pi)
        for weight, mean, factor in zip(self.weights, self.means, torch.linalg.cholesky(self.covariances), strict=True):
            white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
            found.append(weight.log() - 0.5 * white.square().sum(0) - factor.diagonal().log().sum() - half)
        return torch.stack(found, 1)

    def sample(self, count: int, random: torch.Generator) -> Tensor:
        """Points, float64 [count, d]; the generator is one of the CPU."""
        which = torch.multinomial(self.weights.cpu(), count, replacement=True, generator=random)
        drawn = torch.randn(count, self.dimensions, dtype=torch.float64, generator=random).to(self.means.device)
        factors, which = torch.linalg.cholesky(self.covariances), which.to(self.means.device)
        return self.means[which] + torch.einsum("nij,nj->ni", factors[which], drawn)

    def blurred(self, sigma: float) -> NormalMixture:
        """The density of a point with isotropic normal noise of this deviation."""
        noise = sigma**2 * torch.eye(self.dimensions, dtype=torch.float64, device=self.means.device)
        return NormalMixture(self.weights, self.means, self.covariances + noise)

    def widened(self, factor: float, share: float) -> NormalMixture:
        """With as many components more, of `factor` times the covariances, which have this share of the weight.

        A proposal's tails should not end before those of what it is for.
        """
        weights = torch.cat([self.weights * (1 - share), self.weights * share])
        return NormalMixture(weights, self.means.repeat(2, 1), torch.cat([self.covariances, factor * self.covariances]))

    @classmethod
    def fit(cls, x: Tensor, components: int, seed: int = 0) -> NormalMixture:
        """By expectation and maximization from random points; more rounds would change little in a proposal.

        Args:
            x: points. [N, d]
            components: K.
            seed: of the points at which components begin.

        Raises:
            UsageError: fewer points than components, or than dimensions.
        """
        x = x.double()
        count, dimensions = x.shape
        if count < max(components, dimensions + 1):
            raise UsageError(f"{count} points for {components} normal distributions in {dimensions} dimensions")
        random = torch.Generator().manual_seed(seed)
        first = torch.randperm(count, generator=random)[:components].to(x.device)
        spread = torch.cov(x.T).reshape(dimensions, dimensions)
        ridge = 1e-6 * spread.diagonal().mean() * torch.eye(dimensions, dtype=x.dtype, device=x.device)
        start = (spread + ridge).expand(components, -1, -1).clone()
        found = cls(x.new_full((components,), 1 / components), x[first].clone(), start)
        for _ in range(ROUNDS if components > 1 else 1):
            shares = torch.softmax(found._joint(x), 1)  # [N, K]
            # As if a few points of the whole lay in every component: none dies, none becomes a point.
            total = shares.sum(0) + dimensions
            means = (shares.T @ x + dimensions * x.mean(0)) / total[:, None]
            covariances = torch.stack(
                [
                    ((x - mean).T * share) @ (x - mean) + dimensions * (spread + torch.outer(gap, gap))
                    for mean, share, gap in zip(means, shares.T, x.mean(0) - means, strict=True)
                ]
            )
            found = cls(total / total.sum(), means, covariances / total[:, None, None] + ridge)
        return found
