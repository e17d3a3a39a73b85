"""Coding with an unnormalised density: a pixel given its causal neighbourhood, by a denoising density estimator (DDE).

A network s(c, v) is a logarithm of p(v | c) but for what does not depend on v, and learns so from noisy values v alone:

    loss = E |∂s/∂v (c, v + η) + η / σ²|²,    η ~ N(0, σ²),    c the neighbourhood, without noise.

Its minimum is the density that is blurred by the noise. A sample has one of 256 values, so what is missing is a sum
over these, and p(v | c) ∝ exp s(c, v) is an exact distribution to code with. The other objectives are the likelihood of
that distribution, and the loss with noise on the neighbours too, whose minimum is a joint density.

What depends on the neighbours is computed once, not for each value: it gives the shape of s along v, smooth kinks and a
tail (`kinks.py`), so that all 256 values, and all derivatives by v, are a few operations each. There v is about the
linear prediction, in units of a local scale, to which the noise is in proportion. As the blur is known, a step of the
heat equation backwards takes it off: s - σ²/2 (s'' + s'²).

Source: *Learning generative models using denoising density estimators*, section 3, equation (10), for densities without
a condition; coding, network and sharpening are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...codec.entropy.pmf import Categorical, Pmf
from ...codec.errors import UsageError
from .causal import Whitening, neighbours
from .density import AutoregressiveModel, Scan
from .kinks import Network, Shape
from .pixels import neighbourhoods_of, pixel_steps

__all__ = ["Dde", "DdeConfig"]

OBJECTIVES = ("dde", "likelihood", "joint")

STEP = 2.0**-8
"""Rounding of logits: a divergence of at most half the variance of the error, STEP² / 24 = 6e-7 nats."""

FLOOR = 2.0**-20
"""Added to every probability: 256 of them cost 3.5e-4 bits, and nothing that a density leaves out costs over 20."""

LEAST_SCALE = 0.3
"""Of a channel, in levels: about that of rounding to integers, sqrt(1 / 12)."""

TOGETHER = 2**22
"""Kinks times values that are in memory at once where no gradients are asked for."""

ROUNDS, ROWS = 40, 40_000
"""Of the fit of local scales, and pixels that it looks at."""


@dataclass(frozen=True)
class DdeConfig:
    """What a conditional DDE is, and how it learns.

    Attributes:
        channels: 1 or 3.
        radius: of the causal neighbourhood: `radius` rows above and as many pixels to each side.
        filters: features of the network's layers.
        layers: residual layers.
        kinks: J, of the log-density along a value.
        objective: "dde", "likelihood" or "joint"; see the head of the file.
        noise: deviation of the noise, in local scales.
        first: what the noise of "dde" is multiplied by at first, for narrow noise alone learns slowly.
        fall: steps in which that falls by a factor of 1.1, until it is 1.
        least: of the noise in levels, added in squares: values are integers, and this makes their density smooth.
        draws: of the noise for each pixel, each with both signs.
        pixels: of a step, at places that are drawn, the same ones in all of its images.
        sharpen: take the blur of the noise off; of no effect with the likelihood, which knows none.
    """

    channels: int = 1
    radius: int = 3
    filters: int = 96
    layers: int = 2
    kinks: int = 16
    objective: str = "likelihood"
    noise: float = 0.25
    first: float = 1.0
    fall: int = 100
    least: float = 0.4
    draws: int = 4
    pixels: int = 1024
    sharpen: bool = True


class Dde(AutoregressiveModel):
    """A conditional density without its constant; see the head of this file."""

    first_images = 500
    largest = 2**16
    scales: Tensor
    factor: Tensor

    def __init__(self, config: DdeConfig) -> None:
        super().__init__()
        if config.objective not in OBJECTIVES:
            raise UsageError(f"objective = {config.objective!r}: {', '.join(OBJECTIVES)}")
        self.config, self.channels = config, config.channels
        inputs = neighbours(config.radius) * config.channels
        self.whitening = Whitening(inputs, config.channels)
        # Of the square of each whitened value, and a constant, in that of the local scale.
        self.register_buffer("scales", torch.zeros(config.channels, inputs + config.channels))
        self.scales[:, -1] = 1
        self.register_buffer("factor", torch.tensor(config.first if config.objective == "dde" else 1.0))
        self.networks = nn.ModuleList(
            Network(inputs + channel + 2, config.filters, config.layers, config.kinks)
            for channel in range(config.channels)
        )

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training: some hundred images are enough. x int [B, C, H, W]."""
        values = self.values(x).flatten(0, 1)
        self.whitening.fit(values)
        places = torch.randint(len(values), (ROWS,), generator=torch.Generator().manual_seed(0))
        whitened = self.whitening(values[places.to(values.device)])
        for channel in range(self.channels):
            self._fit_scale(whitened, channel)

    def _fit_scale(self, whitened: Tensor, channel: int) -> None:
        """The likeliest weights of squares, for a normal residual of variance t² = w · c² + w_0.

        By products, as matrices are factorized without signs: no weight becomes negative.
        """
        end = self.whitening.inputs + channel
        target = whitened[:, end].square().double()
        squares = nn.functional.pad(whitened[:, :end].square().double(), (0, 1), value=1.0)
        weights = squares.new_full((end + 1,), 1 / (end + 1))
        least = (LEAST_SCALE / float(self.whitening.spread[channel])) ** 2
        for _ in range(ROUNDS):
            variance = squares @ weights
            weights *= ((target / variance**2) @ squares / ((1 / variance) @ squares)).sqrt()
            weights[-1].clamp_(min=least)
        self.scales[channel] = 0
        self.scales[channel, :end], self.scales[channel, -1] = weights[:-1].float(), weights[-1].float()

    def values(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Neighbourhood and pixel of some or all pixels of images [B, C, H, W]: [places, B, M · C + C]."""
        height, width = x.shape[-2:]
        places = torch.arange(height * width) if places is None else places
        return neighbourhoods_of(height, width, self.config.radius).at(x, places, self.whitening.center.dtype)

    def known(self, whitened: Tensor, channel: int) -> tuple[Tensor, Tensor, Tensor]:
        """What is known of a channel before it is, from whitened values of which those from it on are not looked at.

        Args:
            whitened: neighbourhood and pixel. [n, M · C + C]
            channel: which.

        Returns:
            Inputs of the network [n, M · C + channel + 2], the linear prediction [n, 1] and the local scale [n, 1] in
            levels.
        """
        end = self.whitening.inputs + channel
        x, spread = whitened[:, :end], self.whitening.spread[channel]
        mean = self.whitening.center[end] + x @ self.whitening.factor[end, :end, None]
        scale = torch.sqrt(x.square() @ self.scales[channel, :end, None] + self.scales[channel, -1])
        return torch.cat([torch.asinh(x / scale), scale.log(), mean / 128 - 1], 1), mean, scale * spread

    def noise(self, scale: Tensor) -> Tensor:
        """Deviation of the noise in local scales, as the training now has it, from those scales in levels."""
        return self.factor * torch.sqrt(self.config.noise**2 + (self.config.least / scale) ** 2)

    def logits(self, shape: Shape, mean: Tensor, scale: Tensor) -> Tensor:
        """Logarithms of the probabilities of all values, [n, 256], from shapes, predictions and scales of n pixels."""
        levels = torch.arange(self.levels, dtype=mean.dtype, device=mean.device)
        rows = max(1, len(mean) if torch.is_grad_enabled() else TOGETHER // (self.levels * self.config.kinks))
        found = []
        for first in range(0, len(mean), rows):
            some, its = shape.part(first, first + rows), scale[first : first + rows]
            z = (levels - mean[first : first + rows]) / its
            s = some.value(z)
            if self.config.sharpen and self.config.objective != "likelihood":
                # The heat equation for log-densities: by the variance, s changes as (s'' + s'²) / 2.
                half = self.noise(its).square() / 2
                slope, curvature = some.slopes_at(z)
                s = s - half * (curvature + slope.square())
            found.append(torch.log_softmax(s, -1))
        logits = torch.cat(found) if found else mean.expand(-1, self.levels)
        return torch.logaddexp(logits, logits.new_tensor(math.log(FLOOR))) - math.log1p(self.levels * FLOOR)

    def log_probs(self, x: Tensor) -> Tensor:
        """Log-probability of every sample given those before it, in nats: [B, C, H, W]."""
        whitened = self.whitening(self.values(x)).flatten(0, 1)
        own = x.flatten(2).permute(2, 0, 1).flatten(0, 1).long()  # [H · W · B, C]
        found = [self._row_probs(whitened, own, channel) for channel in range(self.channels)]
        return torch.stack(found, -1).view(-1, len(x), self.channels).permute(1, 2, 0).reshape(x.shape)

    def _row_probs(self, whitened: Tensor, own: Tensor, channel: int) -> Tensor:
        inputs, mean, scale = self.known(whitened, channel)
        network: Network = self._network(channel)
        return self.logits(network(inputs), mean, scale).gather(1, own[:, channel, None])[:, 0]

    def _network(self, channel: int) -> Any:
        return self.networks[channel]

    def log_prob(self, x: Tensor) -> Tensor:
        """See `AutoregressiveModel`."""
        return self.log_probs(x).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """The objective on some pixels of images [B, C, H, W]; see the head of the file.

        That of the DDE is without the constant E |η / σ|², and in units of the noise, so that every pixel counts alike.
        """
        drawn = torch.randperm(x.shape[2] * x.shape[3])[: -(-self.config.pixels // len(x))]
        values = self.values(x, drawn).flatten(0, 1)
        kinds = {"likelihood": self._likelihood, "dde": self._conditional, "joint": self._joint}
        kind = kinds[self.config.objective]
        if self.training:
            self.factor.mul_(1.1 ** (-1 / self.config.fall)).clamp_(min=1)
        return torch.stack([kind(values, channel) for channel in range(self.channels)]).mean()

    def _likelihood(self, values: Tensor, channel: int) -> Tensor:
        own = values[:, self.whitening.inputs :].long()
        return -self._row_probs(self.whitening(values), own, channel).mean()

    def _conditional(self, values: Tensor, channel: int) -> Tensor:
        inputs, mean, scale = self.known(self.whitening(values), channel)
        shape: Shape = self._network(channel)(inputs)
        own = values[:, self.whitening.inputs + channel, None]
        drawn = torch.randn(len(own), self.config.draws, dtype=own.dtype, device=own.device)
        drawn, width = torch.cat([drawn, -drawn], 1), self.noise(scale)
        slope = width * shape.slopes_at((own - mean) / scale + width * drawn)[0]
        return (slope * slope + 2 * slope * drawn).mean()

    def _joint(self, values: Tensor, channel: int) -> Tensor:
        """Noise of one deviation, the least one, on all values, by which the gradient is, too."""
        end, width = self.whitening.inputs + channel, self.config.least
        drawn = torch.randn_like(values[:, : end + 1])
        noisy = (values[:, : end + 1] + width * drawn).requires_grad_()
        with torch.enable_grad():
            padded = torch.cat([noisy, values[:, end + 1 :]], 1)
            inputs, mean, scale = self.known(self.whitening(padded), channel)
            s = self._network(channel)(inputs).value((noisy[:, end:] - mean) / scale, twice=True)
            (slope,) = torch.autograd.grad(s.sum(), noisy, create_graph=True)
        found: Tensor = (width * width * slope * slope + 2 * width * slope * drawn).sum(1).mean()
        return found

    def scan(self, batch: int, height: int, width: int) -> Scan:
        """See `AutoregressiveModel`."""
        return DdeScan(self, height, width)


class DdeScan(Scan):
    """A scan in the order of `pixel_steps`. Parameters of an element are the logits of all its values.

    Args:
        model: whose distributions these are.
        height: in pixels.
        width: in pixels.
    """

    def __init__(self, model: Dde, height: int, width: int) -> None:
        self.model, self.area = model, height * width
        self.steps = pixel_steps(model.channels, height, width, model.config.radius + 1)
        self.neighbourhoods = neighbourhoods_of(height, width, model.config.radius)
        self.grid = torch.full((model.levels,), STEP, dtype=torch.float64)

    @torch.no_grad()
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`."""
        places = self.steps[step] % self.area
        values = self.neighbourhoods.at(known, places, self.model.whitening.center.dtype)
        return self._rows(step, self.model.whitening(values))

    def _rows(self, step: int, whitened: Tensor) -> Tensor:
        """Parameters from whitened values [n, B, M · C + C] of a step's pixels."""
        channel = step % self.model.channels
        inputs, mean, scale = self.model.known(whitened.transpose(0, 1).flatten(0, 1), channel)
        return self.model.logits(self.model.networks[channel](inputs), mean, scale)

    @torch.no_grad()
    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """See `Scan`. The whitened values of all pixels in one pass."""
        whitened = self.model.whitening(self.model.values(x))
        for step, elements in enumerate(self.steps):
            yield self._rows(step, whitened[elements % self.area])

    def pmf(self, parameters: Tensor) -> Pmf:
        """See `Scan`."""
        return Categorical.from_logits(parameters)
