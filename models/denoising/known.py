"""Densities that are known, to try estimators on.

Three are in the plane; mixtures of normal distributions of any dimension, correlated and with heavy tails, are made
from a seed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .mixtures import NormalMixture

__all__ = ["PLANE", "eight", "plane_density", "plane_points", "random_mixture"]

PLANE = ("checkerboard", "spirals", "eight")
"""Names of those in the plane; all lie within -2 and 2."""

TURNS, WIDTH, THICK = 3 * math.pi, 1.8, 0.06
"""Of the spirals: angle at their ends, radius there, and deviation across."""

ANGLES = 2000
"""Of the sum that the density of the spirals is."""


def eight() -> NormalMixture:
    """Eight normal distributions on a circle."""
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    means = 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
    return NormalMixture(
        torch.full((8,), 1 / 8, dtype=torch.float64), means, 0.02 * torch.eye(2).double().expand(8, 2, 2).clone()
    )


def plane_points(name: str, count: int, random: torch.Generator) -> Tensor:
    """Points of one of `PLANE`, float64 [count, 2]; the generator is one of the CPU."""
    if name == "eight":
        return eight().sample(count, random)
    drawn = torch.rand(count, 2, dtype=torch.float64, generator=random)
    if name == "checkerboard":
        column = torch.randint(4, (count,), generator=random)
        row = 2 * torch.randint(2, (count,), generator=random) + column % 2
        return torch.stack([column, row], 1) + drawn - 2
    angle = TURNS * drawn[:, 0].sqrt()
    arm = (angle / TURNS * WIDTH)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    arm = torch.where(drawn[:, 1:] < 0.5, arm, -arm)
    return arm + THICK * torch.randn(count, 2, dtype=torch.float64, generator=random)


def plane_density(name: str, x: Tensor, sigma: float) -> Tensor:
    """The density of points of one of `PLANE` with noise of this deviation, at points [N, 2]: float64 [N]."""
    x = x.double()
    if name == "eight":
        return eight().blurred(sigma).log_density(x).exp()
    if name == "checkerboard":
        # Of a square, the product of two integrals of the noise.
        edges = torch.arange(-2, 3, dtype=torch.float64, device=x.device)
        below = 0.5 * (1 + torch.erf((edges - x[..., None]) / (sigma * math.sqrt(2))))  # [N, 2, 5]
        inside = below.diff(dim=-1)  # that a noisy coordinate came from this column, or row
        even = torch.arange(4, device=x.device)[:, None] % 2 == torch.arange(4, device=x.device) % 2
        return torch.einsum("nc,nr,cr->n", inside[:, 0], inside[:, 1], even.double()) / 8
    share = (torch.arange(ANGLES, dtype=torch.float64) + 0.5) / ANGLES
    angle = TURNS * share.sqrt()
    arm = (angle / TURNS * WIDTH)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    variance = THICK**2 + sigma**2
    apart = torch.cdist(x, torch.cat([arm, -arm]).to(x.device)).square()
    return torch.exp(-0.5 * apart / variance).mean(1) / (2 * math.pi * variance)


def random_mixture(dimensions: int, seed: int, components: int = 4, apart: float = 3.0) -> NormalMixture:
    """Normal distributions with correlations, each with a wide one of a fifth of the weight about the same mean.

    Args:
        dimensions: d.
        seed: of weights, means and covariances.
        components: pairs of a narrow and a wide one.
        apart: expected distance of two means, in deviations of a coordinate about.
    """
    random = torch.Generator().manual_seed(seed)
    weights = 0.5 + torch.rand(components, dtype=torch.float64, generator=random)
    means = torch.randn(components, dimensions, dtype=torch.float64, generator=random)
    means *= apart / math.sqrt(2 * dimensions)
    covariances = []
    for _ in range(components):
        turn = torch.randn(dimensions, dimensions, dtype=torch.float64, generator=random)
        axes = torch.linalg.qr(turn).Q
        spread = torch.exp(torch.rand(dimensions, dtype=torch.float64, generator=random) * 2 - 1)  # e^-1 to e
        covariances.append(axes * spread @ axes.T)
    both = torch.stack(covariances)
    weights = torch.cat([0.8 * weights, 0.2 * weights])
    return NormalMixture(weights / weights.sum(), means.repeat(2, 1), torch.cat([both, 4 * both]))
