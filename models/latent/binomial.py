"""Binomial diffusion: samples of 0 and 1 that are drawn anew, one by one, until all are; and the way back.

In step t a sample is drawn from B(ρ) with probability β_t, and stays otherwise. So q(x^t | x^0) = B(ᾱ_t x^0 +
(1 - ᾱ_t) ρ). β_t = 1 / (T - t + 1): every step erases as much of the image as any other, the last one what is left.
The network gives for each sample the probability f that x^0 is 1, and p(x^(t-1) | x^t) is q(x^(t-1) | x^t, x^0) on
average over that. The paper's network gives the result itself, f_b.

Source: the diffusion paper, table App.1 and D.1.2; with ρ for 1/2, the data's mean as in D.1.2. The rates of binomial
steps cannot be trained by gradients of draws that are held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.entropy import portable
from ...codec.entropy.calibrated import GRID, Calibration
from ...codec.entropy.codecs import Codec, Independent
from ...codec.entropy.localbitsback import Relabelled
from ...codec.entropy.pmf import Bernoulli
from ...codec.errors import UsageError
from .chain import MarkovChain, Shape
from .reverse import network_for
from .schedule import Schedule

__all__ = ["BinomialConfig", "BinomialDiffusion"]

RAREST = 1e-3
"""ρ is between this and 1 less this."""

MOST_LOGIT = 20.0
"""Of f, kept within this."""

LEAST = 1e-30
"""Below any probability that is not 0."""


@dataclass(frozen=True)
class BinomialConfig:
    """What a binomial diffusion is.

    Attributes:
        channels: of the images.
        size: height and width of the images; none for images of any size, where the network allows that.
        steps: T.
        network: "layered" for a few samples, or "residual"; see `reverse.py`.
        filters: units of a layer, or features.
        blocks: layers, or residual blocks at each resolution.
        bumps: functions of t that the network's outputs are mixed by.
    """

    channels: int = 1
    size: tuple[int, ...] = ()
    steps: int = 50
    network: str = "residual"
    filters: int = 32
    blocks: int = 2
    bumps: int = 8


class BinomialDiffusion(MarkovChain):
    """See the module."""

    config: BinomialConfig
    levels = 2
    first_images = 2000
    multiple = 4

    def __init__(self, config: BinomialConfig) -> None:
        super().__init__()
        if config.steps < 2:
            raise UsageError(f"steps = {config.steps}: 2 or more")
        self.config, self.channels, self.layers = config, config.channels, config.steps
        self.size = (config.size[0], config.size[1]) if config.size else None
        self.register_buffer("rate", torch.tensor(0.5))
        self.network = network_for(
            config.network, 1, self.channels, self.size, config.steps, config.filters, config.blocks, config.bumps
        )

    rate: Tensor

    def initialize(self, x: Tensor) -> None:
        """Takes ρ from images: the share of ones."""
        self.rate.copy_(x.double().mean().clamp(RAREST, 1 - RAREST))

    def schedule(self) -> Schedule:
        """Of the steps: quotients of integers, the same on every machine."""
        t = torch.arange(self.layers + 1, dtype=torch.float64)
        beta = torch.cat([torch.zeros(1, dtype=torch.float64), 1 / (self.layers - t[1:] + 1)])
        return Schedule((self.layers - t) / self.layers, beta)

    def probability(self, before: Tensor, t: Tensor, numbers: Tensor) -> Tensor:
        """Of a 1, where such a share of what was before is kept in each step."""
        kept = numbers.to(t.device)[t].to(before.dtype).view(-1, 1, 1, 1)
        return kept * before + (1 - kept) * self.rate.to(before.dtype)

    def before(self, zero: Tensor, one: Tensor, now: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The probabilities of 0 and of 1 in x^(t-1), given x^t and those in x^0."""
        schedule = self.schedule()
        bits = torch.zeros_like(now), torch.ones_like(now)
        after = [self.probability(bit, t, 1 - schedule.beta) for bit in bits]  # of a 1 in x^t
        seen = [torch.where(now > 0.5, ones, 1 - ones) for ones in after]  # of x^t, by Bayes
        found = []
        for bit in bits:
            was = self.probability(bit, t - 1, schedule.kept)
            parts = (1 - was) * seen[0], was * seen[1]
            found.append([part / (parts[0] + parts[1]) for part in parts])
        return zero * found[0][0] + one * found[1][0], zero * found[0][1] + one * found[1][1]

    def predict(self, now: Tensor, t: Tensor) -> Tensor:
        """Logits of a 1 in x^0, given x^t: [B, C, H, W].

        The network says what is expected there; what the sample of x^t itself says comes on top, by Bayes.
        """
        ones = [self.probability(bit, t, self.schedule().kept) for bit in (torch.zeros_like(now), torch.ones_like(now))]
        said = torch.where(now > 0.5, torch.log(ones[1] / ones[0]), torch.log((1 - ones[1]) / (1 - ones[0])))
        rate = torch.log(self.rate / (1 - self.rate)).to(now)
        found: Tensor = (rate + said + self.network(now, t)[:, 0]).clamp(-MOST_LOGIT, MOST_LOGIT)
        return found

    def step_back(self, now: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The probabilities of 0 and of 1 in x^(t-1), t > 1."""
        logits = self.predict(now, t)
        return self.before(torch.sigmoid(-logits), torch.sigmoid(logits), now, t)

    def begin(self, x: Tensor) -> Tensor:
        """See `MarkovChain`."""
        return x.to(next(self.parameters()).dtype)

    def skip(self, x0: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        return torch.bernoulli(self.probability(x0, t, self.schedule().kept).clamp(0, 1))

    def forth(self, before: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        return torch.bernoulli(self.probability(before, t, 1 - self.schedule().beta).clamp(0, 1))

    def log_forth(self, now: Tensor, before: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        ones = self.probability(before, t, 1 - self.schedule().beta)
        return _log_bits(now, 1 - ones, ones)

    def log_back(self, before: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        return _log_bits(before, *self.step_back(now, t))

    def log_top(self, last: Tensor) -> Tensor:
        """See `MarkovChain`: B(ρ)."""
        ones = self.rate.to(last).expand(last.shape)
        return _log_bits(last, 1 - ones, ones)

    def log_image(self, x: Tensor, x0: Tensor, first: Tensor) -> Tensor:
        """See `MarkovChain`: by the network, as every step."""
        logits = self.predict(first, torch.ones(len(first), dtype=torch.int64, device=first.device))
        return -F.binary_cross_entropy_with_logits(logits, x0, reduction="none").flatten(1).sum(1)

    def divergence(self, x0: Tensor, now: Tensor, t: Tensor) -> Tensor:
        """See `MarkovChain`."""
        pairs = zip(self.before(1 - x0, x0, now, t), self.step_back(now, t), strict=True)
        nats = [q * (torch.log(q.clamp(min=LEAST)) - torch.log(p)) for q, p in pairs]
        return (nats[0] + nats[1]).flatten(1).sum(1)

    def top_divergence(self, x0: Tensor) -> Tensor:
        """See `MarkovChain`: none, as nothing is left of x^0."""
        return torch.zeros(len(x0), dtype=x0.dtype, device=x0.device)

    def start(self, shape: Shape, random: torch.Generator, temperature: float) -> Tensor:
        """See `MarkovChain`."""
        return self._draw(self.rate.cpu().expand(shape), random, temperature)

    def back(self, now: Tensor, t: int, random: torch.Generator, temperature: float) -> Tensor:
        """See `MarkovChain`."""
        _, ones = self.step_back(now, torch.full((len(now),), t, device=now.device))
        return self._draw(ones.cpu(), random, temperature).to(now)

    def _draw(self, ones: Tensor, random: torch.Generator, temperature: float) -> Tensor:
        logits = torch.logit(ones.double(), 1e-12) / max(temperature, 1e-6)
        drawn = torch.rand(ones.shape, generator=random, dtype=torch.float64) < torch.sigmoid(logits)
        return drawn.to(next(self.parameters()).dtype)

    def image(self, first: Tensor, random: torch.Generator) -> Tensor:
        """See `MarkovChain`."""
        t = torch.ones(len(first), dtype=torch.int64, device=first.device)
        return self._draw(torch.sigmoid(self.predict(first, t)).cpu(), random, 1.0).to(torch.uint8)

    def top_codec(self, shape: Shape) -> Codec[Tensor]:
        """See `MarkovChain`."""
        return _bits(self._exact_logits(torch.zeros(shape, dtype=torch.float64), 0.0))

    def image_codec(self, calibration: Calibration, first: Tensor) -> Codec[Tensor]:
        """See `MarkovChain`."""
        values = first.double().to(self.rate.device)
        t = torch.ones(len(first), dtype=torch.int64, device=values.device)
        return self._calibrated(calibration, self.predict(values, t))

    def back_codec(self, calibration: Calibration, now: Tensor, t: int) -> Codec[Tensor]:
        """See `MarkovChain`."""
        values = now.double().to(self.rate.device)
        zeros, ones = self.step_back(values, torch.full((len(now),), t, device=values.device))
        return self._calibrated(calibration, torch.log(ones) - torch.log(zeros))

    def forth_codec(self, before: Tensor, t: int) -> Codec[Tensor]:
        """See `MarkovChain`."""
        return _bits(self._exact_logits(before.double(), 1 - float(self.schedule().beta[t])))

    def _exact_logits(self, before: Tensor, kept: float) -> Tensor:
        """Of what comes after, the same bits on every machine."""
        rate = self.rate.double().cpu()
        ones = torch.stack([(1 - kept) * rate, kept + (1 - kept) * rate])
        logits = portable.log(ones / (1 - ones))
        return torch.where(before > 0.5, logits[1], logits[0])

    @staticmethod
    def _calibrated(calibration: Calibration, logits: Tensor) -> Codec[Tensor]:
        return _bits(calibration.round(logits.cpu(), GRID))


def _bits(logits: Tensor) -> Codec[Tensor]:
    """Of 0 and 1, int64 of the shape of their logits."""
    flat = logits.reshape(-1)
    inner = Independent(lambda first, stop: Bernoulli(flat[first:stop]), len(flat))
    return Relabelled(inner, lambda x: x.reshape(-1), lambda x: x.view(logits.shape))


def _log_bits(x: Tensor, zeros: Tensor, ones: Tensor) -> Tensor:
    """Nats of images of 0 and 1 by the probabilities of both: [B]."""
    return torch.log(torch.where(x > 0.5, ones, zeros)).flatten(1).sum(1)
