"""A density of vectors by denoising: a scalar network that becomes the logarithm of a blurred density.

Of points x with noise η ~ N(0, σ²) a network s learns, by

    loss = E |∇s(x + η) + η / σ²|²,

the logarithm of the density p * N(0, σ²) of such noisy points, but for a constant C. This is log Z = log ∫ exp s, by
importance sampling from a normal mixture that was fitted to noisy points. Any differentiable network would do; here it
is a residual one of smooth activations, on whitened points, added to the logarithm of a normal distribution, so that it
falls off far from the data. Of modes that lie apart the loss hardly sees the weights, since it sees slopes only.

Source: *Learning generative models using denoising density estimators*, section 3, equation (10), and section 5.3; a
mixture as proposal, whitening and the normal distribution below are ours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...codec.errors import UsageError
from .mixtures import NormalMixture

__all__ = ["Constant", "DenoisingConfig", "DenoisingDensity"]

POINTS = 10_000
"""That whitening and a proposal are fitted to."""

COMPONENTS = 8
"""Of a proposal."""

TOGETHER = 2**14
"""Points that go through the network at once."""

SHARPNESS = 3.0
"""Of the activation. With 1, the same steps leave several times the divergence from what is known."""

Points = Tensor | Callable[[int], Tensor]
"""Data [N, d], or what draws so many of them."""


@dataclass(frozen=True)
class DenoisingConfig:
    """What the network is.

    Attributes:
        dimensions: d.
        filters: features of a layer.
        layers: residual layers, or dense ones, which see all features before.
        dense: which of the two.
    """

    dimensions: int = 2
    filters: int = 64
    layers: int = 5
    dense: bool = False


class Constant(NamedTuple):
    """An estimate of log Z.

    Attributes:
        value: the mean of some estimates, which is kept.
        deviation: among them.
        effective: effective number of points of an estimate, as a share of them: 1 where the proposal is the density.
    """

    value: float
    deviation: float
    effective: float


def smooth(x: Tensor) -> Tensor:
    """The activation: a softplus, three times as sharp as the usual one, which learns slowly, and 0 at 0."""
    return nn.functional.softplus(x, SHARPNESS) - math.log(2) / SHARPNESS


class DenoisingDensity(nn.Module):
    """A density of vectors; see the head of this file.

    Attributes:
        sigma: deviation of the noise that it learned with, 0 before; the density is blurred by so much.
        log_z: logarithm of its integral, 0 until `normalize`.
    """

    sigma: Tensor
    log_z: Tensor
    center: Tensor
    inverse: Tensor

    def __init__(self, config: DenoisingConfig) -> None:
        super().__init__()
        self.config = config
        d, f = config.dimensions, config.filters
        for name, value in {
            "sigma": torch.zeros(()),
            "log_z": torch.zeros((), dtype=torch.float64),
            "center": torch.zeros(d),
            "inverse": torch.eye(d),
        }.items():
            self.register_buffer(name, value)
        self.first = nn.Linear(d, f)
        self.layers = nn.ModuleList(
            nn.Linear(d + f * (number + 1) if config.dense else f, f) for number in range(config.layers)
        )
        self.last = nn.Linear(d + f * (config.layers + 1) if config.dense else f, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def energy(self, x: Tensor) -> Tensor:
        """s, the logarithm of the density but for a constant, of points [N, d]: [N]; differentiable, twice too."""
        z = (x - self.center) @ self.inverse.T
        y = smooth(self.first(z))
        if self.config.dense:
            y = torch.cat([z, y], 1)
            for layer in self.layers:
                y = torch.cat([y, smooth(layer(y))], 1)
        else:
            for layer in self.layers:
                y = y + smooth(layer(y))
        found: Tensor = self.last(y)[:, 0] - 0.5 * z.square().sum(1)
        return found

    def score(self, x: Tensor) -> Tensor:
        """The gradient of s at points [N, d], to be derived further where the weights are: [N, d]."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
        return found

    def loss(self, x: Tensor, sigma: float) -> Tensor:
        """The objective on points [N, d] in units of the noise, without its constant d, the mean square of η / σ.

        Each point has one noise with both signs, whose large terms cancel.
        """
        noise = torch.randn_like(x)
        slope = sigma * self.score(torch.cat([x + sigma * noise, x - sigma * noise]))
        return (slope.square() + 2 * slope * torch.cat([noise, -noise])).sum(1).mean()

    @torch.no_grad()
    def whiten(self, x: Tensor, sigma: float) -> None:
        """Takes mean and covariance of points [N, d] with noise: where s begins, and what the network sees."""
        x = x.double()
        covariance = torch.cov(x.T).reshape(x.shape[1], x.shape[1])
        covariance = covariance + sigma**2 * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        self.center.copy_(x.mean(0))
        self.inverse.copy_(torch.linalg.inv(torch.linalg.cholesky(covariance)))

    def fit(
        self,
        data: Points,
        sigma: float,
        *,
        steps: int = 4000,
        batch: int = 1024,
        rate: float = 1e-2,
        start: float | None = None,
        seed: int = 0,
        fraction: Callable[[int], float] | None = None,
        constant: bool = True,
    ) -> DenoisingDensity:
        """Learn a density, from whatever the weights are, and its constant.

        Args:
            data: points [N, d], or a function that draws a number of them, on the model's device.
            sigma: deviation of the noise.
            steps: of Adam; its rate falls along half a cosine.
            batch: points of a step.
            rate: highest.
            start: deviation of the noise at first; it falls to `sigma` in equal ratios during the first half.
            seed: of batches and noise.
            fraction: of the training that is done at a step, which ends at 1; that of the steps by default.
            constant: estimate log Z, too, which takes some seconds, and in hundreds of dimensions is of no use.

        Returns:
            The model, with averaged weights.

        Raises:
            UsageError: data of other dimensions; a sigma that is not above 0.
        """
        if not sigma > 0:
            raise UsageError(f"sigma = {sigma}: above 0 is needed")
        torch.manual_seed(seed)
        draw = data if callable(data) else lambda count: data[torch.randint(len(data), (count,), device=data.device)]
        first = draw(POINTS)
        if first.ndim != 2 or first.shape[1] != self.config.dimensions:
            raise UsageError(f"points {list(first.shape)} for a density of {self.config.dimensions} dimensions")
        self.whiten(first, sigma)
        average = copy.deepcopy(self)
        optimizer = torch.optim.Adam(self.parameters(), rate, betas=(0.9, 0.99))
        for step in range(steps):
            done = fraction(step) if fraction else step / steps
            if done >= 1:
                break
            optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * done))
            now = sigma * ((start or sigma) / sigma) ** max(0.0, 1 - 2 * done)
            optimizer.zero_grad()
            torch.autograd.backward(self.loss(draw(batch).to(self.center.dtype), now))
            nn.utils.clip_grad_norm_(self.parameters(), 10.0 * math.sqrt(self.config.dimensions))
            optimizer.step()
            with torch.no_grad():
                weight = max(0.002, 9 / (10 + step))
                torch._foreach_lerp_(list(average.parameters()), list(self.parameters()), weight)
        self.load_state_dict(average.state_dict())
        self.sigma.fill_(sigma)
        if constant:
            noisy = first + sigma * torch.randn_like(first)
            self.normalize(NormalMixture.fit(noisy, COMPONENTS, seed).widened(3.0, 0.1), seed=seed)
        return self

    @torch.no_grad()
    def normalize(self, proposal: NormalMixture, count: int = 51_200, repeats: int = 5, seed: int = 0) -> Constant:
        """Estimate log Z, and keep it.

        Args:
            proposal: a density that is nowhere much lower than this one; on the model's device.
            count: points of an estimate.
            repeats: estimates, whose mean is kept.
            seed: of the points.
        """
        random, found, effective = torch.Generator().manual_seed(seed), [], []
        for _ in range(repeats):
            x = proposal.sample(count, random)
            weights = self._energies(x) - proposal.log_density(x)
            found.append(float(torch.logsumexp(weights, 0)) - math.log(count))
            share = torch.softmax(weights, 0)
            effective.append(1 / float(share.square().sum()) / count)
        values = torch.tensor(found, dtype=torch.float64)
        self.log_z.copy_(values.mean())
        deviation = float(values.std()) if repeats > 1 else math.nan
        return Constant(float(values.mean()), deviation, sum(effective) / repeats)

    def _energies(self, x: Tensor) -> Tensor:
        """Of s without gradients, some points at a time; float64 [N]."""
        parts = torch.split(x.to(self.center.dtype), TOGETHER)
        return torch.cat([self.energy(part).double() for part in parts])

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Tensor:
        """Natural logarithm of the density, blurred by `sigma`, at points [N, d]: float64 [N]; after `fit`."""
        return self._energies(x) - self.log_z
