"""Layers of a deep mixture of Gaussians: linear maps of the values at each place, chosen among several.

The choice is a latent variable: its prior is uniform, or what a gating network makes of the values on the side of the
noise, which are there first when an image is drawn. It costs what that gives it; and where it is drawn from a
posterior, instead of the best one being taken, bits-back coding returns what the draw took.

The posterior is that of this layer alone, as if its outputs were independent and normal: of the last layer it is exact.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...codec.entropy.calibrated import GRID, Calibration
from ...codec.entropy.codecs import Codec, Independent, Scrambled
from ...codec.entropy.linear import Linear
from ...codec.entropy.localbitsback import SEED, Bijection, Grid
from ...codec.entropy.pmf import Categorical, Uniform
from ...codec.entropy.rans import Message
from .layers import Layer, Shape

__all__ = ["Blocks"]

ROUNDS = 5
"""Of expectation and maximization, on the first images of a training."""

SHRINKAGE = 4.0
"""Of the covariance of a choice towards that of all: so many times as many blocks as channels count for half of it."""

LEAST_VARIANCE = 1e-4
"""Of the first images in any direction, as a part of the mean variance."""

LEAST_LOGIT = -20.0
"""Of a choice, below the best: what is less likely costs more than the rest of a block."""


class Blocks(Layer):
    """At every place a linear map of its C values, z = A_j x + b_j, with j one of several choices.

    Source: van den Oord, Dambre, *Locally-connected transformations for deep GMMs* (2015), 2.1 and 3. Their A, and
    their order of layers, is that of generation: the inverse of ours.

    Args:
        channels: C.
        choices: how many maps.
        places: where it is not 0, each of so many places has maps of its own, and an image has one choice for all
            places (the paper's shared blocks); else all places have the same maps, and each its choice (unshared).
        diagonal: values are scaled and shifted, not mixed.
        gate: features of the gating network; 0 for a uniform prior of choices.
        drawn: choices are drawn from the posterior; else the best ones are taken.
    """

    def __init__(
        self, channels: int, choices: int, places: int = 0, diagonal: bool = False, gate: int = 0, drawn: bool = False
    ) -> None:
        super().__init__()
        self.choices, self.places, self.diagonal, self.drawn = choices, places, diagonal, drawn
        shape = (choices, places, channels) if places else (choices, channels)
        start = torch.ones(shape) if diagonal else torch.eye(channels).expand(*shape, channels).clone()
        self.weight = nn.Parameter(start)
        self.bias = nn.Parameter(0.1 * torch.randn(shape))
        self.gate: nn.Sequential | None = None
        if gate:
            self.gate = nn.Sequential(nn.Linear(channels, gate), nn.ReLU(), nn.Linear(gate, choices))
            for zero in self.gate[2].parameters():
                nn.init.zeros_(zero)

    @property
    def matrix(self) -> Tensor:
        """A of every choice: [J, C, C], or [J, P, C, C]."""
        return torch.diag_embed(self.weight) if self.diagonal else self.weight

    def _all(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What every choice makes of values [B, P, C]: z [B, P, J, C]; log |det A_j| of it, and its log-probability.

        The latter two are [B, P, J], or [B, 1, J] where an image has one choice.
        """
        name = "bpi,jpki->bpjk" if self.places else "bpi,jki->bpjk"
        if self.diagonal:
            z = x[:, :, None] * (self.weight.transpose(0, 1) if self.places else self.weight)
        else:
            z = torch.einsum(name, x, self.weight)
        z = z + (self.bias.transpose(0, 1) if self.places else self.bias)
        log_det = self.weight.abs().log().sum(-1) if self.diagonal else torch.linalg.slogdet(self.weight)[1]
        log_det = (log_det.sum(1) if self.places else log_det).expand(len(x), 1 if self.places else x.shape[1], -1)
        return z, log_det, self.log_prior(z).diagonal(dim1=2, dim2=3)

    def log_prior(self, z: Tensor) -> Tensor:
        """Of every choice, given values [B, P, K, C] on the side of the noise: [B, P, K, J], or [B, 1, K, J]."""
        groups = 1 if self.places else z.shape[1]
        if self.gate is None:
            return z.new_full((len(z), groups, z.shape[2], self.choices), -math.log(self.choices))
        logits = self.gate(z)
        return torch.log_softmax(logits.mean(1, keepdim=True) if self.places else logits, -1)

    def _scores(self, z: Tensor, log_det: Tensor, log_prior: Tensor) -> Tensor:
        """Log-densities of choices under this layer alone, but for a constant: [B, P, J] or [B, 1, J]."""
        nats = -0.5 * z.square().sum(-1)
        return (nats.sum(1, keepdim=True) if self.places else nats) + log_det + log_prior

    def scores(self, x: Tensor) -> Tensor:
        """Those of values [B, P, C]; their odds are the posterior."""
        return self._scores(*self._all(x))

    @torch.no_grad()
    def choose(self, x: Tensor) -> Tensor:
        """Of values [B, C, H, W], the best choices or drawn ones: [B, P], or [B, 1] where an image has one."""
        return self._chosen(self.scores(_to_places(x)))

    def _chosen(self, scores: Tensor) -> Tensor:
        if not self.drawn:
            return scores.argmax(-1)
        odds = torch.softmax(scores.detach(), -1)
        return torch.multinomial(odds.flatten(0, -2), 1).view(scores.shape[:-1])

    def along(self, x: Tensor, choice: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Z of x [B, C, H, W] by given choices or its own; log |det J|; and log-odds of the prior to the draw. [B]."""
        with torch.autocast(x.device.type, enabled=False):
            z, log_det, log_prior = self._all(_to_places(x))
            scores = self._scores(z, log_det, log_prior)
            choice = self._chosen(scores) if choice is None else choice
            odds = log_prior - torch.log_softmax(scores, -1) if self.drawn else log_prior
            z = torch.take_along_dim(z, choice.expand(-1, z.shape[1])[:, :, None, None], 2)[:, :, 0]
            nats = [torch.take_along_dim(part, choice[..., None], 2).flatten(1).sum(1) for part in (log_det, odds)]
            return _to_maps(z, x.shape), nats[0], nats[1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`. The logarithm has that of the odds of the choices added: a bound is made of it."""
        z, log_det, log_odds = self.along(x)
        return z, log_det + log_odds

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`: by choices that are drawn from their prior."""
        values = _to_places(z)
        prior = self.log_prior(values[:, :, None])[:, :, 0]
        choice = torch.multinomial(prior.exp().flatten(0, -2), 1).view(prior.shape[:-1])
        return self.back(z, choice)

    def back(self, z: Tensor, choice: Tensor) -> Tensor:
        """X by given choices [B, P], or [B, 1]."""
        values, found = _to_places(z), torch.empty_like(_to_places(z))
        inverted, choice = torch.linalg.inv(self.matrix), choice.expand(-1, values.shape[1])
        for number in range(self.choices):
            x = torch.einsum(
                "bpi,pki->bpk" if self.places else "bpi,ki->bpk", values - self.bias[number], inverted[number]
            )
            found = torch.where((choice == number)[..., None], x, found)
        return _to_maps(found, z.shape)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`: expectation and maximization on the values themselves, from choices by their distance."""
        u = _to_places(x).double()
        u = u if self.places else u.reshape(-1, 1, u.shape[2])  # [N, P, C] for one choice each
        mean, scatter = _moments(u)
        least = LEAST_VARIANCE * scatter.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        scatter = scatter + least * torch.eye(u.shape[2], dtype=u.dtype, device=u.device)
        white = (u - mean)[:, :, None] @ _whitening(scatter, self.diagonal)
        choice = white.square().sum((1, 2, 3)).argsort().argsort() * self.choices // len(u)
        for _ in range(ROUNDS if self.choices > 1 else 1):
            for number in range(self.choices):
                some = u[choice == number]
                its, own = _moments(some) if len(some) else (mean, scatter)
                few = SHRINKAGE / (SHRINKAGE + len(some) / u.shape[2]) if self.choices > 1 else 0.0
                matrix = _whitening(
                    (1 - few) * own + few * scatter + least * torch.eye(u.shape[2]).to(u), self.diagonal
                )
                shift = -(matrix @ its[..., None])[..., 0]
                matrix = matrix.diagonal(dim1=-2, dim2=-1) if self.diagonal else matrix
                self.weight[number] = (matrix if self.places else matrix[0]).to(self.weight)
                self.bias[number] = (shift if self.places else shift[0]).to(self.bias)
            if self.choices > 1:
                parts = torch.split(u.to(self.weight), 4096 // u.shape[1])
                choice = torch.cat([self.scores(part).argmax(-1).flatten() for part in parts])

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        layer = copy.deepcopy(self).cpu().double()
        return _Chosen(layer, Linear(layer.matrix.detach(), layer.bias.detach()), calibration, shape)


@dataclass(frozen=True)
class _Chosen(Bijection):
    """Of values [B, C, H, W], with choices that no array holds: forth they are made, back they are drawn.

    Attributes:
        layer: in float64 on the CPU.
        maps: of all choices.
        calibration: of the posterior and the prior of choices.
        shape: (B, C, H, W)
    """

    layer: Blocks
    maps: Linear
    calibration: Calibration
    shape: Shape

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.layer.along(x)[0]

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.layer.inverse(z)

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`."""
        return _Coded(self, prior, grid)

    def choice(self, logits: Tensor) -> Codec[Tensor]:
        """Of choices, flat, from their log-probabilities [B, P, J] or [B, 1, J]."""
        rows = logits.flatten(0, -2)
        rows = (rows - rows.amax(-1, keepdim=True)).clamp(min=LEAST_LOGIT)
        return self.calibration.codec(rows, Categorical.from_logits, GRID)

    def posterior(self, values: Tensor) -> Tensor | Codec[Tensor]:
        """Given values [B, P, C]: the best choices, flat, or the codec of drawn ones."""
        scores = self.layer.scores(values)
        return self.choice(scores) if self.layer.drawn else scores.argmax(-1).flatten()

    def prior(self, values: Tensor) -> Codec[Tensor]:
        """Of choices, flat, given values [B, P, C] on the side of the noise."""
        if self.layer.gate is not None:
            return self.choice(self.layer.log_prior(values[:, :, None])[:, :, 0])
        count = len(values) * (1 if self.layer.places else values.shape[1])
        return Independent(lambda first, stop: Uniform(self.layer.choices), count)

    def by(self, choice: Tensor) -> Linear:
        """The maps of choices, flat."""
        wide = choice.view(self.shape[0], -1).expand(-1, self.shape[2] * self.shape[3])
        return self.maps.chosen(wide)


@dataclass(frozen=True)
class _Coded:
    """Codec of one such layer."""

    bijection: _Chosen
    after: Codec[Tensor]
    grid: Grid

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        x = _to_places(symbols)
        found = self.bijection.posterior(self.grid.values(x))
        choice = found if isinstance(found, Tensor) else found.pop(message)
        linear = self.bijection.by(choice)
        z = linear.posterior(x, self.grid).pop(message)
        Scrambled(linear.likelihood(z, self.grid), x.numel(), SEED).push(message, x)
        self.bijection.prior(self.grid.values(z)).push(message, choice)
        self.after.push(message, _to_maps(z, symbols.shape))

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        z = _to_places(self.after.pop(message))
        choice = self.bijection.prior(self.grid.values(z)).pop(message)
        linear = self.bijection.by(choice)
        x = Scrambled(linear.likelihood(z, self.grid), z.numel(), SEED).pop(message)
        linear.posterior(x, self.grid).push(message, z)
        if self.bijection.layer.drawn:
            found = self.bijection.posterior(self.grid.values(x))
            assert not isinstance(found, Tensor)
            found.push(message, choice)
        return _to_maps(x, self.bijection.shape)


def _to_places(x: Tensor) -> Tensor:
    """[B, P, C] of [B, C, H, W]."""
    return x.flatten(2).mT


def _to_maps(values: Tensor, shape: Shape | torch.Size) -> Tensor:
    """Back again."""
    return values.mT.reshape(shape)


def _moments(u: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance at each place of values [N, P, C]: [P, C] and [P, C, C]."""
    mean = u.mean(0)
    centred = (u - mean).transpose(0, 1)
    return mean, centred.mT @ centred / len(u)


def _whitening(scatter: Tensor, diagonal: bool) -> Tensor:
    """The symmetric matrix that makes a covariance the identity; or that makes variances 1."""
    if diagonal:
        return torch.diag_embed(scatter.diagonal(dim1=-2, dim2=-1).rsqrt())
    values, vectors = torch.linalg.eigh(scatter.cpu())  # many small ones are no work for a GPU
    whitening: Tensor = (vectors * values.rsqrt()[..., None, :]) @ vectors.mT
    return whitening.to(scatter.device)
