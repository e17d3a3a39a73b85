"""What a flow gives: a density of continuous values, and the same map as a bijection of the codec.

Samples are integers; with noise u in [0, 1), uniform or learned, they become values y = x + u, in levels. What is
reported is the log-density of y for one u, less that of u: a bound. The coded cost is a sample of the same, as
bits-back coding returns noise.

Source: Ho, Lohn, Abbeel, *Compression with flows via local bits-back coding* (2019).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.calibratedgrid import FLOW_BAND, CalibratedGaussian
from ...codec.entropy.codecs import Codec, Scrambled
from ...codec.entropy.grid import GaussianGrid, standard_log_density
from ...codec.entropy.localbitsback import SEED, Bijection, Dequantized, Grid, LocalBitsBack
from ..shapes import Advance, Advancing, ImageModel

__all__ = ["Bijective"]

UNIT_BITS = 7
"""log2 of the levels in a unit of the values that are coded: about 1, as those that layers work on."""

PROPOSAL = 4.0
"""Levels: the first width of the steps by which `fill` moves pixels; it is adapted."""


class LearnedNoise(Protocol):
    """A density of the noise u in [0, 1) of each sample, given the images."""

    def draw(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Noise for integers x [B, C, H, W], and the logarithm of its density, in nats: [B]."""
        ...

    def codec(self, x: Tensor, calibration: Calibration, grid: Grid) -> Codec[Tensor]:
        """Of noise for integers x, as indices of a grid."""
        ...


class Bijective(ImageModel):
    """A density of images by an invertible map to latents: independent normal ones, unless they have another density.

    Attributes:
        grid: how finely it is coded. Measured on flows of CIFAR-10: this takes 0.1 % more than 24 bits and noise of
            2^-12, and borrows 13 bits a sample to begin with, of 38.
        noise: that of dequantization, where it is learned; None for uniform noise.
    """

    shape = "bijective"
    borrows = True
    largest = 2**12
    band = FLOW_BAND
    grid = Grid(12, 2.0**-11)
    noise: LearnedNoise | None

    def __init__(self) -> None:
        super().__init__()
        self.noise = None

    @property
    def fineness(self) -> str:
        """See `ImageModel`."""
        return f"grid of {self.grid.bits} bits, noise {self.grid.sigma}"

    @abstractmethod
    def transform(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of values y [B, C, H, W] in levels, and the logarithm of the Jacobian's determinant [B], in nats."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """The values of latents."""

    @abstractmethod
    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the latents of values [B, C, H, W]."""

    @abstractmethod
    def bijection(self, calibration: Calibration, shape: tuple[int, ...]) -> Bijection:
        """The map for the codec, of values [B, C, H, W] in units of 2^UNIT_BITS levels.

        Networks run where their weights are, the rest on the CPU.
        """

    def latent_log_prob(self, z: Tensor) -> Tensor:
        """Log-density of latents, or a bound on it, in nats: [B].

        Normal while it learns; else as coded, where a value that is far out has more: of pictures some are.
        """
        each = _normal_log_density(z) if self.training else standard_log_density(z)
        return each.flatten(1).sum(1)

    def latent_log_weight(self, z: Tensor) -> Tensor:
        """The logarithm of an unbiased estimate of the density of latents, in nats: [B]; it slopes everywhere."""
        return _normal_log_density(z).flatten(1).sum(1)

    def latent_codec(self, calibration: Calibration, shape: tuple[int, ...], grid: Grid) -> Codec[Tensor]:
        """Of latents of a shape, as indices of the grid."""
        zeros = torch.zeros(shape, dtype=torch.float64)
        return GaussianGrid(zeros, torch.ones_like(zeros), grid.bits)

    def draw_latents(self, shape: tuple[int, ...], seed: int, temperature: float) -> Tensor:
        """Of a shape, where the weights are."""
        some, random = next(self.parameters()), torch.Generator().manual_seed(seed)
        return temperature * torch.randn(shape, generator=random, dtype=some.dtype).to(some.device)

    def log_prob(self, y: Tensor) -> Tensor:
        """Log-density of values y [B, C, H, W], or a bound on it, in nats: [B]."""
        z, log_det = self.transform(y)
        return log_det + self.latent_log_prob(z)

    def dequantized_bound(self, x: Tensor) -> Tensor:
        """The bound on the log-likelihood of integers x [B, C, H, W] by one sample of the noise, in nats: [B]."""
        dtype = next(self.parameters()).dtype
        if self.noise is not None:
            noise, log_q = self.noise.draw(x, dtype)
            return self.log_prob(x.to(dtype) + noise) - log_q
        return self.log_prob(x.to(dtype) + torch.rand(x.shape, dtype=dtype, device=x.device))

    def bound(self, x: Tensor) -> Tensor:
        """See `ImageModel`: the `dequantized_bound`."""
        return self.dequantized_bound(x)

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`: local bits-back coding of dequantized samples."""
        return Advancing(self._codec(calibration, shape), shape, advance)

    def _codec(self, calibration: Calibration, shape: tuple[int, int, int, int]) -> Codec[Tensor]:
        grid = Grid(self.grid.bits, self.grid.sigma, CalibratedGaussian(calibration))
        prior = Scrambled(self.latent_codec(calibration, self.latent_shape(shape), grid), math.prod(shape), SEED)
        learned = self.noise
        fine = replace(grid, bits=grid.bits - UNIT_BITS)
        noise = None if learned is None else lambda x: learned.codec(x, calibration, fine)
        return Dequantized(LocalBitsBack(self.bijection(calibration, shape), prior, grid), fine.bits, noise)

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Images drawn from the model, uint8 [count, C, H, W]; the temperature is of the latents."""
        self.check(height, width, self.channels)
        z = self.draw_latents(self.latent_shape((count, self.channels, height, width)), seed, temperature)
        return self.inverse(z).floor().clamp(0, self.levels - 1).to(torch.uint8)

    def fill(self, x: Tensor, mask: Tensor, sweeps: int, seed: int = 0) -> Tensor:
        """Draw masked pixels given the others, by Langevin steps that are accepted by the ratio of densities.

        The noise of the known pixels stays as it is drawn once. The stationary distribution is the model's.

        Args:
            x: images. [B, C, H, W]
            mask: true where to draw. bool [H, W]
            sweeps: Langevin steps; each costs a pass and its gradient.
            seed: of the draws.
        """
        self.check(x.shape[2], x.shape[3], x.shape[1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            dtype = next(self.parameters()).dtype
            hole = mask.to(dtype)
            known = x.to(dtype) + torch.rand(x.shape, dtype=dtype, device=x.device)
            outside = 1 - hole
            middle = (known * outside).sum((2, 3), keepdim=True) / outside.sum().clamp(min=1)
            y, step = known * outside + middle * hole, torch.full((len(x),), PROPOSAL, dtype=dtype, device=x.device)
            here, slope = self._slope(y, hole)
            for number in range(sweeps):
                by = step.view(-1, 1, 1, 1)
                drift = y + 0.5 * by**2 * slope
                proposed = drift + by * torch.randn_like(y) * hole
                there, back = self._slope(proposed.clamp(0, self.levels), hole)
                forth = -(((proposed - drift) / by) ** 2).flatten(1).sum(1) / 2
                again = -(((y - proposed - 0.5 * by**2 * back) / by) ** 2).flatten(1).sum(1) / 2
                inside = ((proposed >= 0) & (proposed < self.levels)).flatten(1).all(1)
                odds = torch.where(inside, there - here + again - forth, -torch.inf)
                taken = torch.rand(len(x), dtype=dtype, device=x.device) < torch.exp(odds.clamp(max=0))
                if number < sweeps // 2:  # then the steps are those of one chain
                    step = step * torch.where(taken, 1.1, 0.9)
                one = taken.view(-1, 1, 1, 1)
                y, slope = torch.where(one, proposed, y), torch.where(one, back, slope)
                here = torch.where(taken, there, here)
        return torch.where(mask, y.floor().clamp(0, self.levels - 1).to(torch.uint8), x.to(torch.uint8))

    def _slope(self, y: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Log-density of values, and its gradient in the hole."""
        y = y.detach().requires_grad_()
        with torch.enable_grad():
            z, log_det = self.transform(y)
            found = log_det + self.latent_log_weight(z)
            (slope,) = torch.autograd.grad(found.sum(), y)
        return found.detach(), slope * hole


def _normal_log_density(z: Tensor) -> Tensor:
    return -0.5 * (z.square() + math.log(2 * math.pi))
