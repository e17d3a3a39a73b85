"""Gaussian diffusion: images to white noise, and back by a network that says what was there and how surely.

Values are standardized. With signal ᾱ and noise 1 - ᾱ of a step (`schedule.py`), q(x^t | x^0) = N(√ᾱ_t x^0, 1 - ᾱ_t).
The network gives v and b of each sample; from these

    x̂ = √ᾱ_t x^t - √(1 - ᾱ_t) v        what x^0 is expected to be
    m = (1 - ᾱ_t) e^b                   its variance

and p(x^(t-1) | x^t) is what q(x^(t-1) | x^t, x^0) is on average over x^0 ~ N(x̂, m): mean and variance of it. Where v
and b are 0, as before training, that is the way back of white noise. With d_t, by which the ratio of signal to noise
falls in step t, and R = 1 + d_t m, a step's divergence is ½ (log R + 1 / R - 1 + d_t (x^0 - x̂)² / R).

The paper's f_μ and f_Σ are mean and variance above; it has another pair of numbers around the same beginning (64, 65).

The last step comes in two forms. "dequantized" is the paper's (44): uniform noise is added to the image, and x^0 given
x^1 is the first kernel turned round. "discretized" asks the network: the mass of N(x̂, m) on each level's bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...codec.entropy import portable
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.cells import NormalCells
from ...codec.entropy.codecs import Codec
from ...codec.entropy.grid import values_of
from ...codec.entropy.localbitsback import Dequantized, Relabelled
from ...codec.errors import UsageError
from ..likelihoods import GaussianFamily
from .chain import MarkovChain, Shape
from .reverse import network_for
from .schedule import Schedule, equal_ratios, equal_shares, gaussian_schedule

__all__ = ["Diffusion", "DiffusionConfig"]

LEAST_SURE, MOST_UNSURE = -8.0, 2.0
"""Of b: x^0 is known to a hundredth of the noise's deviation, or hardly at all."""

CELLS = 2.0
"""Cells in the narrowest deviation of a step, at least; the values in their middle have 1/50 more variance. Twice as
many take one more bit of each sample to begin with, and 7e-4 of the bits of a trained diffusion less in the end."""

REACH = 6.5
"""Deviations from the mean to the end of a window."""

LARGEST_WINDOW = 2**9

MEAN_GRID, LOG_GRID = 2.0**-5, 2.0**-8
"""Rounding steps of means, in cells, and of log-scales: 1e-5 bits."""


@dataclass(frozen=True)
class DiffusionConfig:
    """What a Gaussian diffusion is.

    Attributes:
        channels: of the images: 1 or 3.
        levels: values of a sample.
        size: height and width of the images; none for images of any size, where the network allows that.
        steps: T.
        schedule: "ratios" (of signal to noise fall evenly) or "shares" (of the signal are lost evenly): how β_2, ...,
            β_T begin.
        learned: whether these are trained.
        noise: deviation of the first step, in levels: √β_1.
        last: "discretized" or "dequantized".
        network: "residual", or "radial" for a few samples; see `reverse.py`.
        filters: features, or hidden units.
        blocks: residual blocks at each resolution.
        bumps: functions of t that the network's outputs are mixed by; from `steps` on, each t has outputs of its own.
    """

    channels: int = 3
    levels: int = 256
    size: tuple[int, ...] = ()
    steps: int = 50
    schedule: str = "ratios"
    learned: bool = False
    noise: float = 1.0
    last: str = "discretized"
    network: str = "residual"
    filters: int = 48
    blocks: int = 2
    bumps: int = 8


class Diffusion(MarkovChain):
    """See the module."""

    config: DiffusionConfig
    first_images = 2000
    multiple = 4

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        kinds = {"ratios": equal_ratios, "shares": equal_shares}
        if config.steps < 2 or config.schedule not in kinds or config.last not in ("discretized", "dequantized"):
            raise UsageError(
                f"steps = {config.steps} (2 or more), schedule = {config.schedule!r} (ratios or shares), "
                f"last = {config.last!r} (discretized or dequantized)"
            )
        self.config, self.channels, self.levels, self.layers = config, config.channels, config.levels, config.steps
        self.size = (config.size[0], config.size[1]) if config.size else None
        self.family = GaussianFamily(config.levels)
        self.register_buffer("mean", torch.tensor((config.levels - 1) / 2))
        scale = config.levels / 4
        self.register_buffer("scale", torch.tensor(scale))
        beta = (config.noise / scale) ** 2
        self.falls = nn.Parameter(kinds[config.schedule](config.steps, beta).float(), requires_grad=config.learned)
        self.network = network_for(
            config.network, 2, self.channels, self.size, config.steps, config.filters, config.blocks, config.bumps
        )

    mean: Tensor
    scale: Tensor

    def initialize(self, x: Tensor) -> None:
        """Takes mean and deviation of samples from images, so that x^0 has mean 0 and variance 1."""
        self.mean.copy_(x.double().mean())
        self.scale.copy_(x.double().std().clamp(min=1.0))

    def schedule(self, *, exact: bool = False) -> Schedule:
        """Of the steps; with gradients, or the same bits on every machine."""
        return gaussian_schedule((self.config.noise / self.scale.double()).square(), self.falls, exact)

    def predict(self, now: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
        """What x^0 is expected to be given x^t, and its variance: [B, C, H, W] each."""
        kept, noise = _of(schedule.kept, t, now), _of(schedule.noise, t, now)
        v, b = self.network(now, t).unbind(1)
        expected = torch.sqrt(kept) * now - torch.sqrt(noise) * v
        # An image is between its darkest and its lightest level.
        low, high = (-1 - self.mean) / self.scale, (self.levels - self.mean) / self.scale
        return expected.clamp(low.to(now), high.to(now)), noise * torch.exp(b.clamp(LEAST_SURE, MOST_UNSURE))

    def step_back(self, now: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
        """Mean and variance of p(x^(t-1) | x^t), t > 1."""
        return self.average(*self.predict(now, t, schedule), now, t, schedule)

    def average(
        self, expected: Tensor, variance: Tensor, now: Tensor, t: Tensor, schedule: Schedule
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance of x^(t-1) given x^t, on average over x^0 ~ N(expected, variance)."""
        kept, beta, noise = schedule.kept, schedule.beta, schedule.noise
        by_image = torch.sqrt(kept[t - 1]) * beta[t] / noise[t]
        by_now = torch.sqrt(1 - beta[t]) * noise[t - 1] / noise[t]
        by_image, by_now = (part.to(now.dtype).view(-1, 1, 1, 1) for part in (by_image, by_now))
        return by_image * expected + by_now * now, _of(schedule.least, t, now) + by_image.square() * variance

    def begin(self, x: Tensor) -> Tensor:
        """See `MarkovChain`."""
        values = x.to(self.falls.dtype)
        if self.config.last == "dequantized":
            values = values + torch.rand_like(values) - 0.5
        return (values - self.mean.to(values)) / self.scale.to(values)

    def skip(self, x0: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        schedule = self.schedule()
        kept, noise = _of(schedule.kept, t, x0), _of(schedule.noise, t, x0)
        return torch.sqrt(kept) * x0 + torch.sqrt(noise) * torch.randn_like(x0)

    def forth(self, before: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        beta = _of(self.schedule().beta, t, before)
        return torch.sqrt(1 - beta) * before + torch.sqrt(beta) * torch.randn_like(before)

    def log_forth(self, now: Tensor, before: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        beta = _of(self.schedule().beta, t, now)
        return _log_normal(now, torch.sqrt(1 - beta) * before, beta)

    def log_back(self, before: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        return _log_normal(before, *self.step_back(now, t, self.schedule()))

    def log_top(self, last: Tensor) -> Tensor:
        """See `MarkovChain`: N(0, 1)."""
        return _log_normal(last, torch.zeros_like(last), torch.ones_like(last))

    def log_image(self, x: Tensor, x0: Tensor, first: Tensor) -> Tensor:
        """See `MarkovChain`. Dequantized: of the image with the noise that it has in `x0`."""
        if self.config.last == "discretized":
            return self.family.log_prob(self.rows(first), x).flatten(1).sum(1)
        beta = self.schedule().beta[1].to(first.dtype)
        nats = _log_normal(x0, torch.sqrt(1 - beta) * first, beta.expand(first.shape))
        return nats - x0[0].numel() * torch.log(self.scale.to(first))

    def rows(self, first: Tensor) -> Tensor:
        """Parameters of the samples, given x^1, of the discretized last step. [B, C, H, W, 2]."""
        t = torch.ones(len(first), dtype=torch.int64, device=first.device)
        return self.as_rows(*self.predict(first, t, self.schedule()))

    def as_rows(self, expected: Tensor, variance: Tensor) -> Tensor:
        """The same from mean and variance of x^0."""
        half = (self.levels - 1) / 2
        mean = (expected * self.scale.to(expected) + self.mean.to(expected)) / half - 1
        return torch.stack([mean, 0.5 * torch.log(variance) + torch.log(self.scale.to(expected) / half)], -1)

    def divergence(self, x0: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        schedule = self.schedule()
        expected, variance = self.predict(now, t, schedule)
        ratios = schedule.kept[1:] / schedule.noise[1:]  # of step 1 and on
        fall = (ratios[t - 2] - ratios[t - 1]).to(x0.dtype).view(-1, 1, 1, 1)
        ratio = 1 + fall * variance
        nats = 0.5 * (torch.log(ratio) + 1 / ratio - 1 + fall * (x0 - expected).square() / ratio)
        return nats.flatten(1).sum(1)

    def top_divergence(self, x0: Tensor) -> Tensor:
        """See `MarkovChain`."""
        kept = self.schedule().kept[-1].to(x0.dtype)
        return 0.5 * (kept * (x0.square() - 1) - torch.log1p(-kept)).flatten(1).sum(1)

    def start(self, shape: Shape, random: torch.Generator, temperature: float) -> Tensor:
        """See `MarkovChain`."""
        return temperature * torch.randn(shape, generator=random, dtype=self.falls.dtype)

    def back(self, now: Tensor, t: int, random: torch.Generator, temperature: float) -> Tensor:
        """See `MarkovChain`."""
        mean, variance = self.step_back(now, torch.full((len(now),), t, device=now.device), self.schedule())
        noise = torch.randn(now.shape, generator=random, dtype=now.dtype).to(now.device)
        return mean + temperature * torch.sqrt(variance) * noise

    def image(self, first: Tensor, random: torch.Generator) -> Tensor:
        """See `MarkovChain`."""
        if self.config.last == "discretized":
            return self.family.draw(self.rows(first), random)
        beta = self.schedule().beta[1].to(first.dtype)
        noise = torch.randn(first.shape, generator=random, dtype=first.dtype).to(first.device)
        values = (torch.sqrt(1 - beta) * first + torch.sqrt(beta) * noise) * self.scale + self.mean
        return values.round().clamp(0, self.levels - 1).to(torch.uint8).cpu()

    @property
    def fineness(self) -> str:
        """See `ImageModel`."""
        return f"{CELLS} cells"

    def steps_of_cells(self, schedule: Schedule) -> list[float]:
        """Sizes of the cells that x^1, ..., x^T are coded by: powers of two."""
        variances = torch.minimum(schedule.beta[1:], torch.cat([schedule.least[2:], schedule.beta[-1:]]))
        return [2.0 ** (math.frexp(math.sqrt(v) / CELLS)[1] - 1) for v in variances.tolist()]

    def values(self, cells: Tensor, t: int) -> Tensor:
        """x^t in the middle of its cells."""
        return (cells.double() + 0.5) * self.steps_of_cells(self.schedule(exact=True))[t - 1]

    def top_codec(self, shape: Shape) -> Codec[Tensor]:
        """See `MarkovChain`."""
        step = self.steps_of_cells(self.schedule(exact=True))[-1]
        zeros = torch.zeros(shape, dtype=torch.float64)
        return NormalCells(zeros, torch.full((), 1 / step, dtype=torch.float64), _window(1 / step))

    def forth_codec(self, before: Tensor, t: int) -> Codec[Tensor]:
        """See `MarkovChain`."""
        schedule = self.schedule(exact=True)
        step, beta = self.steps_of_cells(schedule)[t - 1], schedule.beta[t]
        values = self._coded(before) if t == 1 else self.values(before, t - 1)
        scale = torch.sqrt(beta) / step
        return NormalCells(torch.sqrt(1 - beta) * values / step, scale, _window(float(scale)))

    def _coded(self, cells: Tensor) -> Tensor:
        """x^0 of what is coded of it: levels, or parts of them."""
        mean, scale = self.mean.double().cpu(), self.scale.double().cpu()
        if self.config.last == "discretized":
            return (cells.double() - mean) / scale
        return (values_of(cells, self._bits) - 0.5 - mean) / scale

    @property
    def _bits(self) -> int:
        """log2 of the parts of a level that dequantized values are coded by."""
        return max(0, math.ceil(math.log2(CELLS / self.config.noise)))

    def whole_codec(self, inner: Codec[Tensor]) -> Codec[Tensor]:
        """See `MarkovChain`."""
        return inner if self.config.last == "discretized" else Dequantized(inner, self._bits)

    def image_codec(self, calibration: Calibration, first: Tensor) -> Codec[Tensor]:
        """See `MarkovChain`."""
        values = self.values(first, 1)
        if self.config.last == "discretized":
            rows = calibration.round(self.rows(self._there(values)).cpu(), self.family.grid)
            return Relabelled(self.family.codec(rows), lambda x: x.reshape(-1), lambda x: x.view(first.shape))
        beta, cells = self.schedule(exact=True).beta[1], 2.0**self._bits
        mean, scale = self.mean.double().cpu(), self.scale.double().cpu()
        deviation = torch.sqrt(beta) * scale * cells
        means = (torch.sqrt(1 - beta) * values * scale + mean + 0.5) * cells
        return NormalCells(means, deviation, _window(float(deviation)))

    def back_codec(self, calibration: Calibration, now: Tensor, t: int) -> Codec[Tensor]:
        """See `MarkovChain`."""
        schedule = self.schedule(exact=True)
        step = self.steps_of_cells(schedule)[t - 2]
        values = self._there(self.values(now, t))
        mean, variance = self.step_back(values, torch.full((len(now),), t, device=values.device), self.schedule())
        rows = torch.stack([mean / step, 0.5 * torch.log(variance) - math.log(step)]).cpu()
        grid = torch.tensor([MEAN_GRID, LOG_GRID], dtype=torch.float64).view(2, *[1] * mean.dim())
        mean, log_scale = calibration.round(rows, grid)
        widest = schedule.least[t] + schedule.kept[t - 1] * schedule.beta[t] ** 2 / schedule.noise[t] * math.exp(
            MOST_UNSURE
        )
        return NormalCells(mean, portable.exp(log_scale), _window(math.sqrt(float(widest)) / step))

    def _there(self, values: Tensor) -> Tensor:
        return values.to(self.falls.device)


def _of(numbers: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """Those of each image's step, to go with images [B, C, H, W]."""
    return numbers.to(x.device)[t].to(x.dtype).view(-1, 1, 1, 1)


def _log_normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Nats of images: [B]."""
    nats = -0.5 * ((x - mean).square() / variance + torch.log(variance) + math.log(2 * math.pi))
    return nats.flatten(1).sum(1)


def _window(scale: float) -> int:
    """Cells to look at, of a deviation in cells."""
    return min(2 * math.ceil(REACH * scale), LARGEST_WINDOW)
