"""Samples of a model: ancestral, element by element, and Metropolis within Gibbs for what has known pixels after it.

A scan draws every element given those before it: an exact sample of the model, but a hole that is filled so knows only
what lies above it. `metropolis` then draws pixels anew, given all others: a new value is proposed by the model's own
conditional distribution and accepted by the ratio of densities. Its stationary distribution is the model's, given the
known pixels; for a RIDE nearly so, see `REACH`.

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015), and its poster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ...codec.entropy.pmf import Categorical, Pmf
from ...codec.errors import UsageError
from .density import AutoregressiveModel, conditional_scan
from .pixels import PixelModel, neighbourhoods_of
from .ride import Ride

__all__ = ["Sweep", "fill", "inpaint", "metropolis", "sample"]

REACH = 16
"""Pixels to the right of one and below it whose states change with it in a RIDE. States forget, but not all: of what a
pixel changes in the log-probability of others, some 4 % come later on photographs. This is left out of a move, and
computed after each sweep."""

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
def fill(
    model: AutoregressiveModel,
    x: Tensor,
    mask: Tensor,
    seed: int = 0,
    temperature: float = 1.0,
    features: Tensor | None = None,
) -> Tensor:
    """Draw the masked pixels in the model's order, each given everything before it.

    Args:
        model: any autoregressive model.
        x: images; what is masked is not looked at. [B, C, H, W]
        mask: true where to draw. bool [H, W]
        seed: of the draws; equal seeds give equal images on one machine.
        temperature: probabilities are raised to 1 / temperature: below 1 nearer to the modes, 0 for the modes.
        features: extra feature maps of a model that is conditional on them. [B, F, H, W]

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
    scan = conditional_scan(model, (len(x), *x.shape[2:]), features)
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
    by the densities of all that comes after. Of an MCGSM only the neighbourhoods that a pixel lies in change. The state
    of a RIDE carries a change on, so far as it does not forget it: `REACH` pixels. So only a window is computed after a
    proposal, and pixels whose windows do not overlap are proposed together, and accepted each by itself: a sweep takes
    28 such steps for an MCGSM with a radius of 3, and 340 for a RIDE.

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
        chain.look()
        report(number, Sweep(accepted / max(proposed, 1), float(chain.log_probs.sum())))
    return chain.x.cpu()


def _reach(model: PixelModel) -> tuple[int, int]:
    """How far a pixel has influence: to the left, and to the right and down."""
    return model.radius, max(model.radius, REACH) if isinstance(model, Ride) else model.radius


def _visits(model: PixelModel, mask: Tensor, random: torch.Generator) -> list[Tensor]:
    """Masked pixels in sets that are proposed at once; flat indices. Their windows do not overlap."""
    rows, columns = mask.nonzero().unbind(1)
    left, right = _reach(model)
    down, across = right + 1, left + right + 1
    # Of one colour are pixels whose windows, `down` by `across` pixels, tile the plane.
    shift = torch.randint(0, down * across, (2,), generator=random)
    colour = (rows + shift[0]) % down * across + (columns + shift[1]) % across
    visits = [
        (rows * mask.shape[1] + columns)[colour == number]
        for number in torch.randperm(down * across, generator=random).tolist()
    ]
    return [places for places in visits if len(places)]


class _Chain:
    """Images, and what is known of them: states of pixels, and the log-probability of each given those before it.

    Attributes:
        x: images, where the model is. int64 [B, C, H, W]
        log_probs: in nats. [H · W, B]
    """

    def __init__(self, model: PixelModel, x: Tensor, random: torch.Generator) -> None:
        self.model, self.random = model, random
        self.device = model.whitening.center.device
        self.x = x.to(self.device, copy=True)
        self.height, self.width = x.shape[2:]
        self.neighbourhoods = neighbourhoods_of(self.height, self.width, model.radius)
        self.scan = model.pixel_scan(len(x), self.height, self.width)
        left, right = _reach(model)
        self.window = _diagonals(left, right, right)
        self.look()

    def look(self) -> None:
        """Compute everything from the images."""
        everything = torch.zeros(1, dtype=torch.int64)
        cells, _, fronts = self._windows(everything, _diagonals(0, self.width - 1, self.height - 1))
        whitened = self._whitened(cells)
        self.scan.begin(whitened)
        states = self._states(cells, whitened, fronts)
        self.states, self.log_probs = torch.empty_like(states), whitened.new_empty(len(cells), len(self.x))
        self.states[cells], self.log_probs[cells] = states, self._log_probs(cells, whitened, states)

    def move(self, places: Tensor) -> int:
        """Propose these pixels of all images, and keep what is accepted; the number of accepted pixels."""
        flat = self.x.flatten(2)  # a view
        before = flat[..., places]  # [B, C, n]
        cells, owners, fronts = self._windows(places, self.window)
        kept = [memory[cells] for memory in self.scan.memory]
        proposed, forward = self._propose(places)
        flat[..., places] = proposed
        whitened = self._whitened(cells)
        states = self._states(cells, whitened, fronts)
        log_probs = self._log_probs(cells, whitened, states)
        backward = self._conditional(self._values(places), self.states[places], before.permute(2, 0, 1))
        change = (log_probs - self.log_probs[cells]).double()
        ratio = (backward - forward).double().index_add_(0, owners.to(self.device), change)  # [n, B]
        uniform = torch.rand(ratio.shape, generator=self.random, dtype=torch.float64)
        accept = uniform.log().to(self.device) < ratio
        flat[..., places] = torch.where(accept.T[:, None], proposed, before)
        kind = accept[owners][..., None]
        self.states[cells] = torch.where(kind, states, self.states[cells])
        self.log_probs[cells] = torch.where(kind[..., 0], log_probs, self.log_probs[cells])
        for memory, old in zip(self.scan.memory, kept, strict=True):
            memory[cells] = torch.where(kind, memory[cells], old)
        return int(accept.sum())

    def _windows(self, places: Tensor, window: list[Tensor]) -> tuple[Tensor, Tensor, list[slice]]:
        """The pixels after some, in diagonals: flat indices, whose window each lies in, and where each diagonal is."""
        cells, owners, fronts, first = [], [], [], 0
        rows, columns = places // self.width, places % self.width
        for offsets in window:
            row, column = rows + offsets[:, :1], columns + offsets[:, 1:]  # [m, n]
            inside = (row < self.height) & (column >= 0) & (column < self.width)
            if not bool(inside.any()):
                continue
            cells.append((row * self.width + column)[inside])
            owners.append(inside.nonzero()[:, 1])
            fronts.append(slice(first, first + len(cells[-1])))
            first += len(cells[-1])
        return torch.cat(cells), torch.cat(owners), fronts

    def _values(self, places: Tensor) -> Tensor:
        return self.neighbourhoods.at(self.x, places, self.model.dtype)

    def _whitened(self, places: Tensor) -> Tensor:
        whitened: Tensor = self.model.whitening(self._values(places))
        return whitened

    def _states(self, cells: Tensor, whitened: Tensor, fronts: list[slice]) -> Tensor:
        """Of pixels, one diagonal after the other: [N, B, hidden]."""
        return torch.cat([self.scan.advance(cells[front], whitened[front]) for front in fronts])

    def _log_probs(self, cells: Tensor, whitened: Tensor, states: Tensor) -> Tensor:
        """Of pixels, [N, B]."""
        model, own = self.model, self.x.flatten(2)[..., cells].permute(2, 0, 1)
        found = model.experts.log_probs(model.seen(whitened, states), own, model.whitening, model.levels)
        return found.sum(-1)

    def _propose(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [B, C, n] from the conditional distributions, and their log-probabilities [n, B]."""
        model, values = self.model, self._values(places)
        channels = model.channels
        for channel in range(channels):
            seen = model.seen(model.whitening(values), self.states[places])
            linear = model.experts(seen.flatten(0, 1), channel)
            logits, means, log_scales = model.experts.mixture(linear, channel, model.whitening)
            weights = torch.softmax(logits.flatten(1).double(), -1).cpu()
            component = torch.multinomial(weights, 1, generator=self.random).to(self.device)
            scales = log_scales.exp().flatten()[component[:, 0]]
            mean = means.gather(1, component // log_scales.shape[1])[:, 0]
            noise = torch.randn(len(mean), generator=self.random, dtype=torch.float64).to(mean)
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


def _diagonals(left: int, right: int, down: int) -> list[Tensor]:
    """Offsets (down, right) of a pixel and what comes after it in a window, in the order of diagonals: each [m, 2]."""
    cells = [(row, column) for row in range(down + 1) for column in range(-left if row else 0, right + 1)]
    by_diagonal: dict[int, list[tuple[int, int]]] = {}
    for row, column in cells:
        by_diagonal.setdefault(row + column, []).append((row, column))
    return [torch.tensor(by_diagonal[number]) for number in sorted(by_diagonal)]


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
