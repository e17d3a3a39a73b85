"""What a latent-variable model gives: Gaussian latents from the top down, and a distribution of the samples under them.

A model names four networks; bound, codec, samples, reconstructions and interpolations follow. Latents of a layer
are normal, given those above: p(z_l | z_<l) = N(μ, σ²), and a posterior q(z_l | z_<l, x) = N(m, s²) beside it. A
one-layer VAE has one layer, and usually the prior N(0, 1).

Coding. A latent is z = μ + σ t u, with u on bins of equal mass under N(0, 1) and a spread t of 1 or more. The prior of
u is N(0, 1 / t²), the posterior N((m - μ) / (σ t), (s / (σ t))²). At t = 1 the prior is uniform and free of rounding,
but its tails have wide bins, in which a narrow posterior is blurred. All layers are popped before the samples are
pushed, so initial bits are the sum of all. μ and σ are rounded by the calibration before z is made of them, so that
both sides have one z. The encoder rounds prior and posterior of a layer in turn, the decoder first all priors and the
likelihood, and then the posteriors: what the encoder writes about the former is laid on top of the latter.

Source: Townsend, Bird, Barber, *Practical lossless compression with latent variables* (2019); hierarchies: Kingma,
Salimans et al. (2016), whose top-down posterior this is; importance weights: Burda, Grosse, Salakhutdinov (2015).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...codec.entropy.calibrated import GRID, Calibration
from ...codec.entropy.codecs import Codec, Independent
from ...codec.entropy.pmf import GaussianBins, Uniform, default_precision
from ...codec.entropy.portable import exp
from ...codec.entropy.rans import Message
from ...codec.errors import UsageError
from ..likelihoods import Family
from ..shapes import Advance
from .bounds import LatentModel

__all__ = ["LatentVariable", "Normal", "checked_spread", "divergences"]

MEAN_GRID = 2.0**-12
"""Rounding step of posterior means, in units of the prior's deviation: nothing is lost while bins are no finer."""

MOST_SPREAD = 64.0
"""Of bins, in deviations of the prior: more would leave hardly a bin in it."""

LEAST_LOG, MOST_LOG = -12.0, 12.0
"""Log-scales of latents are kept between these, so that no posterior breaks down to a scale of 0 or infinity."""

Normal = tuple[Tensor, Tensor]
"""Means and logarithms of standard deviations, of one shape [B, ...]."""


class LatentVariable(LatentModel):
    """A density of images p(x) = ∫ p(x | z) p(z) dz with a posterior q(z | x).

    Attributes:
        layers: of latents, from the top down.
        bins: for each latent. More cost initial bits, log2 of them each, and fewer blur the posterior.
        spread: of bins, in deviations of the prior: 1, or more where posteriors are narrow in its tails.
        family: the distribution of a sample given the latents.
    """

    layers: int = 1
    bins: int = 1 << 12
    spread: float = 1.0
    family: Family

    @property
    def fineness(self) -> str:
        """See `ImageModel`."""
        return f"{self.bins} bins, spread {self.spread}"

    @abstractmethod
    def features(self, x: Tensor) -> Any:
        """What the posteriors see of images [B, C, H, W] int: computed once, bottom up."""

    @abstractmethod
    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        """The next layer's latents, given the values of those above.

        Args:
            above: latents of the layers before this one, of which there are len(above).
            batch: (B, H, W) of the images.
        """

    @abstractmethod
    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        """The same given the image, too; of the shape of the prior."""

    @abstractmethod
    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """Parameters of every sample, given all latents. [B, C, H, W, P]."""

    # Samples that know more than the latents are what a model makes of these.

    def log_likelihood(self, latents: Sequence[Tensor], x: Tensor) -> Tensor:
        """Nats of images given all latents. [B]."""
        return self.family.log_prob(self.likelihood(latents, (len(x), *x.shape[2:])), x).flatten(1).sum(1)

    def expected(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """Expected images given all latents, in levels. [B, C, H, W]."""
        return self.family.mean(self.likelihood(latents, batch))

    def draw(self, latents: Sequence[Tensor], batch: tuple[int, int, int], random: torch.Generator) -> Tensor:
        """Images drawn given all latents, uint8 [B, C, H, W] on the CPU."""
        return self.family.draw(self.likelihood(latents, batch), random)

    def redraw(self, latents: Sequence[Tensor], x: Tensor, mask: Tensor, random: torch.Generator) -> Tensor:
        """Images with the masked pixels drawn anew, given the latents and all other pixels; see `fill`."""
        return torch.where(mask, self.draw(latents, (len(x), *x.shape[2:]), random).to(x.device), x)

    def conditional(
        self, calibration: Calibration, latents: Sequence[Tensor], shape: tuple[int, int, int, int]
    ) -> Codec[Tensor]:
        """Codec of images given all latents, int64, flat."""
        parameters = self.likelihood(latents, (shape[0], *shape[2:]))
        return self.family.codec(calibration.round(parameters.cpu(), self.family.grid))

    def infer(
        self, x: Tensor, scale: float = 1.0, features: Any = None
    ) -> tuple[list[Tensor], list[Normal], list[Normal]]:
        """Latents drawn from the posterior, with priors and posteriors of the layers; `scale` 0 takes the means."""
        features, latents = self.features(x) if features is None else features, list[Tensor]()
        priors, posteriors = list[Normal](), list[Normal]()
        for _ in range(self.layers):
            priors.append(_within(self.prior(latents, (len(x), *x.shape[2:]))))
            mean, log_scale = _within(self.posterior(latents, features))
            posteriors.append((mean, log_scale))
            latents.append(mean + scale * torch.exp(log_scale) * torch.randn_like(mean))
        return latents, priors, posteriors

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of log p(x | z) for one z of the posterior, [B], and of the KL divergence of each layer, [layers, B]."""
        latents, priors, posteriors = self.infer(x)
        return self.log_likelihood(latents, x), divergences(posteriors, priors)

    def kl(self, x: Tensor) -> Tensor:
        """See `LatentModel`."""
        return self.terms(x)[1]

    def elbo(self, x: Tensor) -> Tensor:
        """See `LatentModel`."""
        reconstruction, nats = self.terms(x)
        return reconstruction - nats.sum(0)

    def log_weights(self, x: Tensor, features: Any = None) -> tuple[Tensor, list[Tensor]]:
        """See `LatentModel`."""
        latents, priors, posteriors = self.infer(x, features=features)
        total = self.log_likelihood(latents, x)
        for z, p, q in zip(latents, priors, posteriors, strict=True):
            total = total + (_log_normal(z, p) - _log_normal(z, q)).flatten(1).sum(1)
        return total, latents

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Images drawn from the model, uint8 [count, C, H, W]; the temperature is of the latents."""
        self.check(height, width, self.channels)
        random = torch.Generator().manual_seed(seed)
        latents = self.draw_latents((count, height, width), random, temperature)
        return self.draw(latents, (count, height, width), random)

    def draw_latents(
        self, batch: tuple[int, int, int], random: torch.Generator | None = None, temperature: float = 1.0
    ) -> list[Tensor]:
        """Latents of all layers, from their priors; differentiable.

        Args:
            batch: (B, H, W) of the images.
            random: whence, on the CPU; without it from torch's generator, where the weights are.
            temperature: by which deviations are multiplied.
        """
        latents = list[Tensor]()
        for _ in range(self.layers):
            mean, log_scale = _within(self.prior(latents, batch))
            if random is None:
                noise = torch.randn_like(mean)
            else:
                noise = torch.randn(mean.shape, generator=random, dtype=mean.dtype).to(mean.device)
            latents.append(mean + temperature * torch.exp(log_scale) * noise)
        return latents

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Expected images under the means of the posteriors of images [B, C, H, W], in levels, of the same shape."""
        return self.expected(self.infer(x, scale=0.0)[0], (len(x), *x.shape[2:]))

    @torch.no_grad()
    def interpolate(self, first: Tensor, last: Tensor, steps: int) -> Tensor:
        """Expected images [steps, C, H, W] on the way from one [C, H, W] to another; see `path`."""
        return self.expected(self.path(first, last, steps), (steps, *first.shape[1:]))

    def path(self, first: Tensor, last: Tensor, steps: int) -> list[Tensor]:
        """Latents on the way from those of one image [C, H, W] to those of another, each [steps, ...].

        The way is straight in the posterior means, each in the deviations of its prior on that way.
        """
        x = torch.stack([first, last])
        latents, priors, _ = self.infer(x, scale=0.0)
        batch, path = (steps, *x.shape[2:]), list[Tensor]()
        for z, (mean, log_scale) in zip(latents, priors, strict=True):
            ends = (z - mean) * torch.exp(-log_scale)
            share = torch.linspace(0, 1, steps, dtype=z.dtype, device=z.device).view(-1, *[1] * (z.dim() - 1))
            there = _within(self.prior(path, batch))
            path.append(there[0] + torch.exp(there[1]) * torch.lerp(ends[:1], ends[1:], share))
        return path

    @torch.no_grad()
    def fill(self, x: Tensor, mask: Tensor, sweeps: int, seed: int = 0) -> Tensor:
        """Draw masked pixels given the others: latents by Metropolis steps, then the pixels given these.

        The stationary distribution of the sweeps is the model's, given the known pixels.

        Args:
            x: images. [B, C, H, W]
            mask: true where to draw. bool [H, W]
            sweeps: how often; each costs a pass for the posterior and one for the likelihood.
            seed: of the draws.
        """
        self.check(x.shape[2], x.shape[3], x.shape[1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random = torch.Generator().manual_seed(seed)
            known = self.expected(self.infer(x)[0], (len(x), *x.shape[2:])).round().to(torch.uint8)
            x = torch.where(mask, known, x)
            _, latents = self.log_weights(x)
            for _ in range(sweeps):
                # The pixels have changed, and with them the weight of the latents: p(x, z) / q(z | x).
                weight = self._weight(x, latents)
                proposed, others = self.log_weights(x)
                taken = torch.rand(len(x)) < torch.exp((proposed - weight).clamp(max=0)).cpu()
                latents = [
                    torch.where(taken.to(z.device).view(-1, *[1] * (z.dim() - 1)), new, z)
                    for z, new in zip(latents, others, strict=True)
                ]
                x = self.redraw(latents, x, mask, random)
        return x

    def _weight(self, x: Tensor, latents: Sequence[Tensor]) -> Tensor:
        """Nats of p(x, z) / q(z | x) of given latents. [B]."""
        features, batch = self.features(x), (len(x), *x.shape[2:])
        total = self.log_likelihood(latents, x)
        for number, z in enumerate(latents):
            p, q = _within(self.prior(latents[:number], batch)), _within(self.posterior(latents[:number], features))
            total = total + (_log_normal(z, p) - _log_normal(z, q)).flatten(1).sum(1)
        return total

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`: bits-back over all layers."""
        return _TopDown(self, calibration, shape, advance)


def checked_spread(spread: float) -> float:
    """A spread of bins as a configuration has it.

    Raises:
        UsageError: below 1, or above `MOST_SPREAD`.
    """
    if not 1 <= spread <= MOST_SPREAD:
        raise UsageError(f"spread = {spread}: 1 to {MOST_SPREAD:g}")
    return float(spread)


def _within(normal: Normal) -> Normal:
    return normal[0], normal[1].clamp(LEAST_LOG, MOST_LOG)


def divergences(posteriors: Sequence[Normal], priors: Sequence[Normal]) -> Tensor:
    """Of each layer's posterior from its prior, in nats. [layers, B]."""
    return torch.stack([_divergence(q, p) for q, p in zip(posteriors, priors, strict=True)])


def _divergence(q: Normal, p: Normal) -> Tensor:
    """Of normal distributions, in nats: [B]."""
    ratio = 2 * (q[1] - p[1])
    distance = (q[0] - p[0]) * torch.exp(-p[1])
    return 0.5 * (distance.square() + torch.exp(ratio) - 1 - ratio).flatten(1).sum(1)


def _log_normal(z: Tensor, normal: Normal) -> Tensor:
    """Log-density of each value."""
    white = (z - normal[0]) * torch.exp(-normal[1])
    return -0.5 * white.square() - normal[1] - 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class _TopDown:
    """Bits-back with all layers' latents popped before the samples are pushed; see the module."""

    model: LatentVariable
    calibration: Calibration
    shape: tuple[int, int, int, int]
    advance: Advance

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        apart = self.calibration.apart()
        mark, bins, values = apart.mark(), list[Tensor](), list[Tensor]()
        with torch.no_grad():
            features = self.model.features(self._there(symbols))
            for _ in range(self.model.layers):
                prior = self._prior(apart, values)
                codec = self._posterior(values, features, prior)
                bins.append(codec.pop(message))
                values.append(self._value(bins[-1], prior))
            self._conditional(apart, values).push(message, symbols.reshape(-1))
        apart.turn(mark)
        self.calibration.join(apart)
        for found in reversed(bins):
            self._binned(found.numel()).push(message, found)
        self.advance(self.shape[0] * self.shape[2] * self.shape[3])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        apart = self.calibration.apart()
        mark, bins, values, priors = apart.mark(), list[Tensor](), list[Tensor](), list[Normal]()
        with torch.no_grad():
            for _ in range(self.model.layers):
                priors.append(self._prior(apart, values))
                bins.append(self._binned(priors[-1][0].numel()).pop(message))
                values.append(self._value(bins[-1], priors[-1]))
            symbols = self._conditional(apart, values).pop(message).view(self.shape)
            apart.turn(mark)
            features = self.model.features(self._there(symbols))
            for number in reversed(range(self.model.layers)):
                self._posterior(values[:number], features, priors[number]).push(message, bins[number])
        self.calibration.join(apart)
        self.advance(self.shape[0] * self.shape[2] * self.shape[3])
        return symbols

    def _there(self, x: Tensor) -> Tensor:
        """Where the network is."""
        return x.to(next(self.model.parameters()).device)

    @property
    def _batch(self) -> tuple[int, int, int]:
        return self.shape[0], self.shape[2], self.shape[3]

    def _binned(self, count: int) -> Codec[Tensor]:
        """Codec of so many bins under their priors, flat."""
        size, spread = self.model.bins, self.model.spread
        if spread == 1:
            return Independent(lambda first, stop: Uniform(size), count)
        mean, whole = torch.zeros(count, dtype=torch.float64), default_precision(size)  # in two parts it takes longer
        prior = GaussianBins(mean, torch.full_like(mean, 1 / spread), size, whole)
        return Independent(prior.some, count)

    def _prior(self, calibration: Calibration, above: Sequence[Tensor]) -> Normal:
        """Rounded, so that it is the same on both sides."""
        mean, log_scale = (
            part.cpu() for part in _within(self.model.prior([self._there(z) for z in above], self._batch))
        )
        return calibration.round(mean, GRID), calibration.round(log_scale, GRID)

    def _value(self, bins: Tensor, prior: Normal) -> Tensor:
        """The latents that bins stand for."""
        found = GaussianBins.values(bins, self.model.bins).view(prior[0].shape)
        return prior[0] + found * self._unit(prior)

    def _unit(self, prior: Normal) -> Tensor:
        """Of the values u of bins."""
        return exp(prior[1]) * self.model.spread

    def _posterior(self, above: Sequence[Tensor], features: Any, prior: Normal) -> Codec[Tensor]:
        """Codec of the bins of a layer, flat."""
        mean, log_scale = _within(self.model.posterior([self._there(z) for z in above], features))
        mean = (mean.cpu() - prior[0]) / self._unit(prior)
        log_scale = log_scale.cpu() - prior[1] - math.log(self.model.spread)
        rows = torch.stack([mean.flatten(), log_scale.flatten()], 1)
        grid = torch.tensor([MEAN_GRID, GRID], dtype=torch.float64)
        return self.calibration.codec(
            rows, lambda rounded: GaussianBins(rounded[:, 0], exp(rounded[:, 1]), self.model.bins), grid
        )

    def _conditional(self, calibration: Calibration, latents: Sequence[Tensor]) -> Codec[Tensor]:
        """Codec of the samples, flat."""
        return self.model.conditional(calibration, [self._there(z) for z in latents], self.shape)
