"""Samples of a model: ancestral, element by element, and Metropolis within Gibbs for what has known pixels after it.

A scan draws every element given those before it: an exact sample of the model, but a hole that is filled so knows only
what lies above it. `metropolis` then draws pixels anew, given all others: a new value is proposed by the model's own
conditional distribution and accepted by the ratio of densities. Its stationary distribution is the model's, given the
known pixels.

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015), and its poster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ...codec.entropy.pmf import Categorical, Pmf
from ...codec.errors import UsageError
from .density import AutoregressiveModel
from .pixels import PixelModel
from .ride import Ride

__all__ = ["Sweep", "fill", "inpaint", "metropolis", "sample"]

TOGETHER = 4
"""Pixels of a RIDE that are proposed at once. All stand or fall together, since each may change the states of the next;
of more, fewer are accepted."""

MARGIN = 24
"""Known pixels around a hole that `inpaint` looks at."""


class Sweep(NamedTuple):
    """What a sweep of `metropolis` did.

    Attributes:
        accepted: fraction of the proposals.
        log_prob: of all images together after it, in nats.
    """

    accepted: float
    log_prob: float


@torch.no_grad()
def fill(model: AutoregressiveModel, x: Tensor, mask: Tensor, seed: int = 0, temperature: float = 1.0) -> Tensor:
    """Draw the masked pixels in the model's order, each given everything before it.

    Args:
        model: any autoregressive model.
        x: images; what is masked is not looked at. [B, C, H, W]
        mask: true where to draw. bool [H, W]
        seed: of the draws; equal seeds give equal images on one machine.
        temperature: probabilities are raised to 1 / temperature: below 1 nearer to the modes, 0 for the modes.

    Returns:
        int64 [B, C, H, W]

    Raises:
        UsageError: a temperature below 0.
    """
    if not temperature >= 0:
        raise UsageError(f"a temperature of {temperature}: 0 or more")
    random = torch.Generator().manual_seed(seed)
    wanted = mask.expand(x.shape[1:]).flatten()  # of every element
    known, device = torch.zeros_like(x, dtype=torch.int64), next(model.parameters()).device
    scan = model.scan(len(x), *x.shape[2:])
    for step, elements in enumerate(places.cpu() for places in scan.steps):
        parameters = scan.parameters(step, known.to(device)).double().cpu()
        values = x.flatten(1)[:, elements].long()
        drawn = wanted[elements]
        if bool(drawn.any()):
            chosen = drawn.expand(values.shape)
            values[chosen] = _draw(scan.pmf(parameters[chosen.flatten()]), int(chosen.sum()), temperature, random)
        known.view(len(x), -1)[:, elements] = values
    return known


def _draw(pmf: Pmf, lanes: int, temperature: float, random: torch.Generator) -> Tensor:
    """A symbol on each lane."""
    if temperature != 1:
        freqs = torch.stack([pmf.interval(torch.full((lanes,), symbol))[1] for symbol in range(pmf.size)], 1)
        # Every symbol has a few units for coding alone; cold draws must not find them, so the least is taken off.
        weights = (freqs - freqs.amin(1, keepdim=True)).double()
        weights /= weights.amax(1, keepdim=True).clamp(min=1)
        if temperature == 0:
            return freqs.argmax(1)
        pmf = Categorical(torch.where(weights.sum(1, keepdim=True) > 0, weights ** (1 / temperature), 1.0))
    return pmf.locate(torch.randint(0, 1 << pmf.precision, (lanes,), generator=random))


def sample(
    model: AutoregressiveModel, batch: int, height: int, width: int, seed: int = 0, temperature: float = 1.0
) -> Tensor:
    """Images drawn from a model, uint8 [batch, C, height, width]; see `fill`."""
    elements = sum(len(step) for step in model.scan(1, height, width).steps)
    blank = torch.zeros(batch, elements // (height * width), height, width, dtype=torch.int64)
    return fill(model, blank, torch.ones(height, width, dtype=torch.bool), seed, temperature).to(torch.uint8)


@torch.no_grad()
def metropolis(
    model: PixelModel,
    x: Tensor,
    mask: Tensor,
    sweeps: int,
    seed: int = 0,
    report: Callable[[int, Sweep], None] = lambda number, sweep: None,
) -> Tensor:
    """Draw the masked pixels anew, each given all others, some times over.

    All channels of a pixel are proposed from the model's conditional distribution given what comes before; accepted is
    by the densities of all that comes after. Of an MCGSM only the neighbourhoods that a pixel lies in change: pixels so
    far apart that none lies in two of those are proposed in one pass over the image, and accepted each by itself. The
    state of a RIDE carries a change on to everything after: a few pixels are proposed in one pass, and accepted
    together. A sweep takes 28 passes over the image for the former at a radius of 3, and a pass for every 4 masked
    pixels for the latter.

    Args:
        model: an MCGSM or RIDE.
        x: images to begin with. [B, C, H, W]
        mask: true where to draw. bool [H, W]
        sweeps: how often every masked pixel is proposed.
        seed: of all draws.
        report: called after each sweep, with its number and what it did.

    Returns:
        int64 [B, C, H, W]
    """
    random = torch.Generator().manual_seed(seed)
    chain = _Chain(model, x.long(), random)
    for number in range(sweeps):
        proposed = accepted = 0
        for places in _visits(model, mask, random):
            proposed += len(places) * len(x)
            accepted += chain.move(places)
        report(number, Sweep(accepted / max(proposed, 1), float(chain.log_probs.sum())))
    return chain.x


def _visits(model: PixelModel, mask: Tensor, random: torch.Generator) -> list[Tensor]:
    """Masked pixels in sets that are proposed at once; flat indices. None lies in the neighbourhood of another."""
    rows, columns = mask.nonzero().unbind(1)
    down, across = model.radius + 1, 2 * model.radius + 1
    # Of one colour are pixels whose windows of influence, `down` by `across` pixels, tile the plane.
    shift = torch.randint(0, down * across, (2,), generator=random)
    colour = (rows + shift[0]) % down * across + (columns + shift[1]) % across
    visits: list[Tensor] = []
    for number in torch.randperm(down * across, generator=random).tolist():
        places = (rows * mask.shape[1] + columns)[colour == number]
        if isinstance(model, Ride):
            visits += torch.split(places[torch.randperm(len(places), generator=random)], TOGETHER)
        else:
            visits.append(places)
    return [places for places in visits if len(places)]


class _Chain:
    """Images, and what is known of them: whitened values, states of pixels, log-probability of every sample."""

    def __init__(self, model: PixelModel, x: Tensor, random: torch.Generator) -> None:
        self.model, self.random, self.x = model, random, x.clone()
        self.height, self.width = x.shape[2:]
        self.values, self.states, self.log_probs = self._look(self.x)

    def _look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values [P, B, M · C + C], states [P, B, hidden] and log-probabilities [P, B] of all pixels."""
        model = self.model
        values = model.values(x)
        whitened = model.whitening(values)
        states = model.states(whitened, self.height, self.width)
        own = x.flatten(2).permute(2, 0, 1)
        found = model.experts.log_probs(model.seen(whitened, states), own, model.whitening, model.levels)
        return values, states, found.sum(-1)

    def move(self, places: Tensor) -> int:
        """Propose these pixels of all images, and keep what is accepted; the number of accepted pixels."""
        before = self.x.flatten(2)[..., places]  # [B, C, n]
        proposed, forward = self._propose(places)
        x = self.x.clone()
        x.flatten(2)[..., places] = proposed
        values, states, log_probs = self._look(x)
        backward = self._conditional(values[places], states[places], before.permute(2, 0, 1))
        change = (log_probs - self.log_probs).T.reshape(len(x), self.height, self.width)  # [B, H, W]
        if isinstance(self.model, Ride):
            ratio = (change.sum((1, 2)) + (backward - forward).sum(0))[:, None].expand(-1, len(places))
            uniform = torch.rand(len(x), 1, generator=self.random, dtype=torch.float64)
        else:
            ratio = _windows(change, self.model.radius).flatten(1)[:, places] + (backward - forward).T
            uniform = torch.rand(len(x), len(places), generator=self.random, dtype=torch.float64)
        accept = uniform.log() < ratio  # [B, n]
        if not bool(accept.all()):
            x.flatten(2)[..., places] = torch.where(accept[:, None], proposed, before)
            values, states, log_probs = self._look(x)
        self.x, self.values, self.states, self.log_probs = x, values, states, log_probs
        return int(accept.sum())

    def _propose(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [B, C, n] from the conditional distributions, and their log-probabilities [n, B]."""
        model, values = self.model, self.values[places].clone()
        channels = model.channels
        for channel in range(channels):
            seen = model.seen(model.whitening(values), self.states[places])
            linear = model.experts(seen.flatten(0, 1), channel)
            logits, means, log_scales = model.experts.mixture(linear, channel, model.whitening)
            weights = torch.softmax(logits.flatten(1).double(), -1)
            component = torch.multinomial(weights, 1, generator=self.random)
            scales = log_scales.exp().flatten()[component[:, 0]]
            mean = means.gather(1, component // log_scales.shape[1])[:, 0]
            noise = torch.randn(len(mean), generator=self.random, dtype=torch.float64).to(mean.dtype)
            drawn = (mean + scales * noise).round().clamp(0, model.levels - 1)
            values[..., channel - channels] = drawn.view(values.shape[:2])
        own = values[..., -channels:]
        return own.permute(1, 2, 0).long(), self._conditional(values, self.states[places], own)

    def _conditional(self, values: Tensor, states: Tensor, own: Tensor) -> Tensor:
        """Log-probability of samples [n, B, C] for pixels of these neighbourhoods and states, [n, B]."""
        model = self.model
        values = torch.cat([values[..., : -model.channels], own.to(values.dtype)], -1)
        seen = model.seen(model.whitening(values), states)
        return model.experts.log_probs(seen, own.contiguous(), model.whitening, model.levels).sum(-1)


def _windows(change: Tensor, radius: int) -> Tensor:
    """Sums over what a pixel has influence on: itself, its right, and `radius` rows below, [B, H, W]."""
    total = torch.zeros_like(change)
    height, width = change.shape[1:]
    for down in range(min(radius, height - 1) + 1):
        for right in range(-radius if down else 0, radius + 1):
            if abs(right) < width:
                target = total[:, : height - down, max(0, -right) : width - max(0, right)]
                target += change[:, down:, max(0, right) : width + min(0, right)]
    return total


def inpaint(
    model: AutoregressiveModel,
    x: Tensor,
    mask: Tensor,
    sweeps: int = 10,
    seed: int = 0,
    margin: int = MARGIN,
    report: Callable[[int, Sweep], None] = lambda number, sweep: None,
) -> Tensor:
    """Fill holes: drawn in the model's order first, then by sweeps of Metropolis within Gibbs.

    Everything is computed on the smallest rectangle around the holes and `margin` pixels more. For an MCGSM with a
    margin of its radius or more, nothing is lost by that; the states of a RIDE begin at the rectangle's borders, as in
    a patch that it was trained on.

    Args:
        model: an MCGSM or RIDE; any other autoregressive model with `sweeps` = 0.
        x: images. [B, C, H, W]
        mask: true where to draw. bool [H, W]
        sweeps: how often every masked pixel is drawn anew.
        seed: of all draws.
        margin: known pixels to look at, at least.
        report: see `metropolis`.

    Returns:
        uint8 [B, C, H, W]

    Raises:
        UsageError: a mask of another size than the images, or sweeps of a model that has no conditional proposals.
    """
    if mask.shape != x.shape[2:]:
        raise UsageError(
            f"a mask of {mask.shape[-1]}x{mask.shape[-2]} pixels for images of {x.shape[3]}x{x.shape[2]} pixels"
        )
    if sweeps and not isinstance(model, PixelModel):
        raise UsageError(f"Metropolis within Gibbs is for MCGSM and RIDE; this is a {type(model).__name__}")
    result = x.to(torch.uint8).clone()
    if not bool(mask.any()):
        return result
    rows, columns = (
        slice(max(0, int(where.min()) - margin), int(where.max()) + margin + 1) for where in mask.nonzero().unbind(1)
    )
    part, hole = x[..., rows, columns].long(), mask[rows, columns]
    part = fill(model, part, hole, seed)
    if sweeps and isinstance(model, PixelModel):
        part = metropolis(model, part, hole, sweeps, seed + 1, report)
    result[..., rows, columns] = part.to(torch.uint8)
    return result
