"""A diffusion: latents are a chain that forgets an image step by step, and a network that goes the way back.

x^0 is the image. Forth, x^t comes of x^(t-1) by a kernel that is known, q(x^t | x^(t-1)), until nothing is left and x^T
has a distribution π that needs no network. Back, p(x^(t-1) | x^t) is of the same family, with parameters by a network.
The bound is

    log p(x | x^1) - Σ_{t=2..T} KL(q(x^(t-1) | x^t, x^0) || p(x^(t-1) | x^t)) - KL(q(x^T | x^0) || π)

for one x^t ~ q(x^t | x^0) of each step; a training draws one step for each image. What is reported is its other form,
by one way forth: Σ_t log p(x^(t-1) | x^t) / q(x^t | x^(t-1)) + log π(x^T), whose exponential has the mean p(x). The
posterior is a Markov chain upwards: it is coded by `BitSwap`, with the initial bits of one layer.

Source: Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli, *Deep unsupervised learning using nonequilibrium
thermodynamics* (2015). The bound is (14) with the edge of (44) left in: its mean is K for data of mean 0, variance 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import BitSwap, Codec, Scrambled
from ..shapes import Advance, Advancing
from .bounds import LatentModel

__all__ = ["MarkovChain"]

Shape = tuple[int, int, int, int]


class MarkovChain(LatentModel):
    """A density of images by such a chain. `layers` are its steps, T.

    Tensors t are numbers of steps, int64 [B], one for each image.
    """

    @abstractmethod
    def begin(self, x: Tensor) -> Tensor:
        """x^0 of images [B, C, H, W] int, with noise where it is dequantized; in the precision of the model."""

    @abstractmethod
    def skip(self, x0: Tensor, t: Tensor) -> Tensor:
        """x^t drawn from q(x^t | x^0)."""

    @abstractmethod
    def forth(self, before: Tensor, t: Tensor) -> Tensor:
        """x^t drawn from q(x^t | x^(t-1))."""

    @abstractmethod
    def log_forth(self, now: Tensor, before: Tensor, t: Tensor) -> Tensor:
        """Nats of q(x^t | x^(t-1)): [B]."""

    @abstractmethod
    def log_back(self, before: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """Nats of p(x^(t-1) | x^t), t > 1: [B]."""

    @abstractmethod
    def log_top(self, last: Tensor) -> Tensor:
        """Nats of π(x^T): [B]."""

    @abstractmethod
    def log_image(self, x: Tensor, x0: Tensor, first: Tensor) -> Tensor:
        """Nats of the image given x^1, [B]; `x0` is what `begin` has made of it."""

    @abstractmethod
    def divergence(self, x0: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """Nats of KL(q(x^(t-1) | x^t, x^0) || p(x^(t-1) | x^t)), t > 1: [B]."""

    @abstractmethod
    def top_divergence(self, x0: Tensor) -> Tensor:
        """Nats of KL(q(x^T | x^0) || π): [B]."""

    @abstractmethod
    def start(self, shape: Shape, random: torch.Generator, temperature: float) -> Tensor:
        """x^T drawn from π, on the CPU."""

    @abstractmethod
    def back(self, now: Tensor, t: int, random: torch.Generator, temperature: float) -> Tensor:
        """x^(t-1) drawn from p(x^(t-1) | x^t), t > 1."""

    @abstractmethod
    def image(self, first: Tensor, random: torch.Generator) -> Tensor:
        """Images drawn given x^1, uint8 [B, C, H, W] on the CPU."""

    @abstractmethod
    def top_codec(self, shape: Shape) -> Codec[Tensor]:
        """Of x^T, int64 [B, C, H, W]: what is coded of normal values are cells of a grid."""

    @abstractmethod
    def image_codec(self, calibration: Calibration, first: Tensor) -> Codec[Tensor]:
        """Of x^0 as it is coded, given x^1."""

    @abstractmethod
    def back_codec(self, calibration: Calibration, now: Tensor, t: int) -> Codec[Tensor]:
        """Of x^(t-1) given x^t, t > 1. Parameters are rounded now."""

    @abstractmethod
    def forth_codec(self, before: Tensor, t: int) -> Codec[Tensor]:
        """Of x^t given x^(t-1): exact, without a network. At t = 1 what is before is x^0 as it is coded."""

    def whole_codec(self, inner: Codec[Tensor]) -> Codec[Tensor]:
        """Of images, given that of x^0 as it is coded: the same, unless that has noise."""
        return inner

    def all_steps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Terms of the bound by one draw of each step: [B] of the image, and divergences [T, B] from the top down."""
        x0 = self.begin(x)
        found = [self.top_divergence(x0)]
        for number in range(self.layers, 1, -1):
            t = _step(x0, number)
            found.append(self.divergence(x0, self.skip(x0, t), t))
        first = self.skip(x0, _step(x0, 1))
        return self.log_image(x, x0, first), torch.stack(found)

    def elbo(self, x: Tensor) -> Tensor:
        """See `LatentModel`: of one way forth, as images are coded. It varies less than draws of each step apart."""
        return self.log_weights(x)[0]

    def kl(self, x: Tensor) -> Tensor:
        """See `LatentModel`: of every step, from the last one down."""
        return self.all_steps(x)[1]

    def loss(self, x: Tensor) -> Tensor:
        """Minus the bound in nats a sample, by one step for each image, spread over all steps; for training."""
        x0 = self.begin(x)
        spread = (torch.randperm(len(x)) + torch.rand(len(x))) / len(x)
        t = (1 + (spread * self.layers).long()).clamp(max=self.layers).to(x.device)
        now, total = self.skip(x0, t), self.top_divergence(x0)
        for some, take in ((t == 1, self._first_loss), (t > 1, self._other_loss)):
            places = some.nonzero()[:, 0]
            if len(places):
                part = take(x[places], x0[places], now[places], t[places])
                total = total.index_add(0, places, self.layers * part.to(total.dtype))
        return total.mean() / x[0].numel()

    def _first_loss(self, x: Tensor, x0: Tensor, now: Tensor, t: Tensor) -> Tensor:
        return -self.log_image(x, x0, now)

    def _other_loss(self, x: Tensor, x0: Tensor, now: Tensor, t: Tensor) -> Tensor:
        return self.divergence(x0, now, t)

    def log_weights(self, x: Tensor, features: Any = None) -> tuple[Tensor, list[Tensor]]:
        """See `LatentModel`: of one way forth, from the top down. Many give p(x), see `iw_bounds`."""
        x0 = self.begin(x)
        way, total = [x0], torch.zeros(len(x), dtype=x0.dtype, device=x0.device)
        for number in range(1, self.layers + 1):
            t = _step(x0, number)
            way.append(self.forth(way[-1], t))
            back = self.log_image(x, x0, way[1]) if number == 1 else self.log_back(way[-2], way[-1], t)
            total = total + back - self.log_forth(way[-1], way[-2], t)
        return total + self.log_top(way[-1]), way[:0:-1]

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """See `LatentModel`; the temperature is of the noise of every step."""
        self.check(height, width, self.channels)
        random = torch.Generator().manual_seed(seed)
        now = self.start((count, self.channels, height, width), random, temperature).to(self._device)
        for t in range(self.layers, 1, -1):
            now = self.back(now, t, random, temperature)
        return self.image(now, random)

    @torch.no_grad()
    def fill(self, x: Tensor, mask: Tensor, sweeps: int, seed: int = 0) -> Tensor:
        """See `LatentModel`: the way back, with what is known taken from a way forth of its own.

        That alone knows what is known by its noisy values only. A sweep goes each step forth and back once more, so
        that what is drawn and what is known agree.

        Source: the clamped posterior of the paper, 2.5.3, with noise on what is known; the repeated steps are those of
        Lugmayr et al., *RePaint* (2022).
        """
        self.check(x.shape[2], x.shape[3], x.shape[1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random = torch.Generator().manual_seed(seed)
            x0 = self.begin(torch.where(mask, 0, x))
            now = self.start((len(x), *x.shape[1:]), random, 1.0).to(x0)
            for number in range(self.layers, 1, -1):
                t = _step(x0, number)
                for again in range(sweeps + 1):
                    before = self.back(torch.where(mask, now, self.skip(x0, t)), number, random, 1.0)
                    if again < sweeps:
                        now = self.forth(torch.where(mask, before, self.skip(x0, t - 1)), t)
                now = before
            drawn = self.image(torch.where(mask, now, self.skip(x0, _step(x0, 1))), random).to(x.device)
        return torch.where(mask, drawn, x.to(torch.uint8))

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def codec(self, calibration: Calibration, shape: Shape, advance: Advance = lambda pixels: None) -> Codec[Tensor]:
        """See `ImageModel`: bits-back along the chain."""
        values = math.prod(shape)

        def back(t: int) -> Callable[[Tensor], Codec[Tensor]]:
            return lambda now: Scrambled(self.back_codec(calibration, now, t), values, t)

        def forth(t: int) -> Callable[[Tensor], Codec[Tensor]]:
            return lambda before: self.forth_codec(before, t)

        likelihoods = [
            lambda first: Scrambled(self.image_codec(calibration, first), values, 1),
            *(back(t) for t in range(2, self.layers + 1)),
        ]
        chain = BitSwap(self.top_codec(shape), likelihoods, [forth(t) for t in range(1, self.layers + 1)])
        return Advancing(self.whole_codec(chain), shape, advance)


def _step(x: Tensor, number: int) -> Tensor:
    """The number for every image."""
    return torch.full((len(x),), number, dtype=torch.int64, device=x.device)
