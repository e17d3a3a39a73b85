"""A sampler that is learned from a density: a network g of normal noise z whose points are distributed as the data.

A second density s_q learns what g makes, s_p is that of the data, both of points with noise η. Every step of the
generator descends E [s_q(x) - s_p(x)] at x = g(z) + η, the Kullback-Leibler divergence of the blurred densities but for
a constant, and some steps of s_q follow. As a blur by a normal distribution can be undone, equal blurred
densities are equal densities, though hardly so in practice where the noise is wide.

Source: *Learning generative models using denoising density estimators*, section 4, algorithm 1 (whose step has the sign
of an ascent; it is a descent).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .estimator import DenoisingDensity

__all__ = ["Generator", "GeneratorConfig", "train_generator"]


@dataclass(frozen=True)
class GeneratorConfig:
    """What a generator is.

    Attributes:
        latents: numbers that it makes a point of.
        dimensions: d.
        filters: features of a layer.
        layers: after the first, residual; or dense, which see all features before.
        dense: which of the two.
        bounded: points lie within 0 and 1.
    """

    latents: int = 2
    dimensions: int = 2
    filters: int = 64
    layers: int = 4
    dense: bool = False
    bounded: bool = False


class Generator(nn.Module):
    """A network from latents to points."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        m, f = config.latents, config.filters
        self.first = nn.Linear(m, f)
        self.layers = nn.ModuleList(
            nn.Linear(m + f * (number + 1) if config.dense else f, f) for number in range(config.layers)
        )
        self.last = nn.Linear(m + f * (config.layers + 1) if config.dense else f, config.dimensions)

    def forward(self, z: Tensor) -> Tensor:
        """Latents [N, m] to points [N, d]."""
        y = nn.functional.silu(self.first(z))
        if self.config.dense:
            y = torch.cat([z, y], 1)
            for layer in self.layers:
                y = torch.cat([y, nn.functional.silu(layer(y))], 1)
        else:
            for layer in self.layers:
                y = y + nn.functional.silu(layer(y))
        x: Tensor = self.last(y)
        return torch.sigmoid(x) if self.config.bounded else x

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Begin at the normal distribution of the largest principal components of points [N, d], as many as latents.

        A generator whose points all lie close together at first is drawn to one mode. Dense ones only, whose last layer
        sees the latents.
        """
        m = self.config.latents
        spread, axes = torch.linalg.eigh(torch.cov(x.T.double()))
        self.last.weight[:, m:] *= 0.1
        self.last.weight[:, :m] = (axes[:, -m:] * spread[-m:].clamp(min=0).sqrt()).to(x.dtype)
        self.last.bias.copy_(x.mean(0))

    def latents(self, count: int) -> Tensor:
        """Normal latents [count, m], from torch's generator."""
        return torch.randn(count, self.config.latents, device=self.first.weight.device)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Points [count, d], from torch's generator."""
        drawn: Tensor = self(self.latents(count))
        return drawn

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, count: int) -> Tensor:
        """Points on the arc between two latents [m], their own first and last: [count, d]."""
        cosine = torch.dot(first, second) / (first.norm() * second.norm())
        angle = torch.arccos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
        way = torch.linspace(0, 1, count, device=first.device, dtype=first.dtype)[:, None]
        z = (torch.sin((1 - way) * angle) * first + torch.sin(way * angle) * second) / torch.sin(angle)
        drawn: Tensor = self(z)
        return drawn


def train_generator(
    generator: Generator,
    density: DenoisingDensity,
    sigma: float,
    *,
    steps: int = 2000,
    inner: int = 10,
    batch: int = 512,
    rate: float = 1e-3,
    density_rate: float = 1e-3,
    warm_up: int = 200,
    seed: int = 0,
    fraction: Callable[[int], float] | None = None,
) -> DenoisingDensity:
    """Teach a generator to draw from a density. Its weights become averaged ones.

    Args:
        generator: changed in place.
        density: s_p, learned from data with this noise; not changed.
        sigma: deviation of the noise.
        steps: of the generator.
        inner: steps of s_q for each.
        batch: points of a step.
        rate: of the generator, highest; falls along half a cosine.
        density_rate: of s_q, likewise.
        warm_up: steps of s_q before the first of the generator.
        seed: of latents and noise.
        fraction: of the training that is done at a step, which ends at 1; that of the steps by default.

    Returns:
        s_q, the density of what the generator makes.
    """
    torch.manual_seed(seed)
    done = fraction or (lambda step: step / steps)
    target, made = copy.deepcopy(density).requires_grad_(False), copy.deepcopy(density)
    average = copy.deepcopy(generator)
    outer = torch.optim.Adam(generator.parameters(), rate, betas=(0.5, 0.99))
    within = torch.optim.Adam(made.parameters(), density_rate, betas=(0.5, 0.99))

    def learn() -> None:
        within.zero_grad()
        torch.autograd.backward(made.loss(generator.sample(batch), sigma))
        nn.utils.clip_grad_norm_(made.parameters(), 10.0 * math.sqrt(density.config.dimensions))
        within.step()

    for _ in range(warm_up):
        learn()
    for step in range(steps):
        if done(step) >= 1:
            break
        share = 0.5 * (1 + math.cos(math.pi * done(step)))
        outer.param_groups[0]["lr"], within.param_groups[0]["lr"] = rate * share, density_rate * max(0.1, share)
        outer.zero_grad()
        x = generator(generator.latents(batch))
        x = x + sigma * torch.randn_like(x)
        torch.autograd.backward((made.energy(x) - target.energy(x)).mean())
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        outer.step()
        for _ in range(inner):
            learn()
        with torch.no_grad():
            weight = max(0.005, 9 / (10 + step))
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), weight)
    generator.load_state_dict(average.state_dict())
    return made
