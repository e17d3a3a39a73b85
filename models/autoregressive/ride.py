"""The recurrent image density estimator (RIDE): spatial LSTMs over causal neighbourhoods, and an MCGSM on their state.

A spatial LSTM keeps a state at every pixel, from the neighbourhood there and the states of the pixels to the left and
above: two recurrent inputs, two forget gates. Pixels of a diagonal do not depend on one another, so a whole diagonal is
one batched step. Everything is kept in the order of diagonals, where the cells of one are contiguous; the contributions
of the inputs are one matrix product beforehand, that of all gradients of weights is one afterwards.

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015). The state is shared
by the channels of a pixel, whose conditional distributions come in turn as in the MCGSM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ...codec.entropy.codecs import wavefront
from ...codec.errors import UsageError
from .causal import Whitening, neighbours
from .experts import Experts
from .mcgsm import Mcgsm
from .pixels import PixelModel, PixelScan

__all__ = ["Diagonals", "Ride", "RideConfig", "SpatialLstm"]

LARGEST_CELL = 16.0
"""Of a memory cell: forget gates may add up to two, and on large images memories could grow without bounds. The tanh
of this is 1 in any precision, so nothing else is changed by it."""


@dataclass(frozen=True)
class RideConfig:
    """What a RIDE is made of.

    Attributes:
        channels: 1 or 3.
        radius: of the causal neighbourhood: `radius` rows above and as many pixels to each side.
        hidden: units of each spatial LSTM.
        layers: 1 or more spatial LSTMs on top of one another.
        components: K, linear experts of the MCGSM.
        scales: S, scales of each expert.
        features: N, shared features of the factorized MCGSM; 0 for the full form.
        direct: whether the MCGSM sees the neighbourhood too, and not only the state.
    """

    channels: int = 3
    radius: int = 2
    hidden: int = 96
    layers: int = 1
    components: int = 16
    scales: int = 3
    features: int = 32
    direct: bool = True


class Diagonals:
    """The pixels of an image sorted by diagonal, and where the left and upper neighbours of each diagonal's are.

    Attributes:
        order: flat indices of the pixels. [H · W]
        place: where each pixel is in that order. [H · W]
        spans: for each diagonal the slice of its cells, and two pairs of slices: its cells that have a left neighbour
            and where those are, its cells that have an upper neighbour and where those are.
    """

    def __init__(self, height: int, width: int) -> None:
        self.order = torch.cat(wavefront(height, width, 1))
        self.place = torch.argsort(self.order)
        self.spans: list[tuple[slice, tuple[slice, slice], tuple[slice, slice]]] = []
        start, before, first_before = 0, 0, 0
        for diagonal in range(height + width - 1):
            first, last = max(0, diagonal - width + 1), min(height - 1, diagonal)  # rows
            stop = start + last - first + 1

            def cells(low: int, high: int, at: int = start - first) -> slice:
                return slice(at + low, at + high + 1)

            def earlier(low: int, high: int, at: int = before - first_before) -> slice:
                return slice(at + low, at + high + 1)

            left, up = min(last, diagonal - 1), max(first, 1)  # last row with a left, first with an upper neighbour
            self.spans.append(
                (
                    slice(start, stop),
                    (cells(first, left), earlier(first, left)),
                    (cells(up, last), earlier(up - 1, last - 1)),
                )
            )
            start, before, first_before = stop, start, first
        self.rows, self.columns = self.order // width, self.order % width


@lru_cache(8)
def _diagonals(height: int, width: int) -> Diagonals:
    return Diagonals(height, width)


def _gates(pre: Tensor) -> Tensor:
    """Input, left forget, upper forget and output gate, and the candidate, in place: [..., 5 · hidden]."""
    hidden = pre.shape[-1] // 5
    pre[..., : 4 * hidden].sigmoid_()
    # tanh by the sigmoid, which is four times faster here.
    pre[..., 4 * hidden :].mul_(2).sigmoid_().mul_(2).sub_(1)
    return pre


class _Recurrence(torch.autograd.Function):
    """States of all cells [P, B, hidden] from the contributions of the inputs [P, B, 5 · hidden], in diagonal order."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, left: Tensor, up: Tensor, plan: Diagonals) -> Tensor:
        gates, hidden = inputs.clone(), left.shape[0]
        states, cells, squashed = (inputs.new_empty(*inputs.shape[:2], hidden) for _ in range(3))
        for here, to_left, to_up in plan.spans:
            for (those, source), weight in ((to_left, left), (to_up, up)):
                if those.stop > those.start:
                    gates[those].flatten(0, 1).addmm_(states[source].flatten(0, 1), weight)
            i, _, _, o, g = torch.split(_gates(gates[here]), hidden, -1)
            cell = torch.mul(i, g, out=cells[here])
            for number, (those, source) in enumerate((to_left, to_up)):
                if those.stop > those.start:
                    forget = gates[those].narrow(-1, hidden * (1 + number), hidden)
                    cells[those].addcmul_(forget, cells[source])
            cell.clamp_(-LARGEST_CELL, LARGEST_CELL)
            torch.tanh(cell, out=squashed[here])
            torch.mul(o, squashed[here], out=states[here])
        ctx.plan = plan
        ctx.save_for_backward(gates, cells, squashed, states, left, up)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gates, cells, squashed, states, left, up = ctx.saved_tensors
        hidden, spans = left.shape[0], ctx.plan.spans
        by_state, by_cell = grads[0].clone(memory_format=torch.contiguous_format), torch.zeros_like(cells)
        by_gates = torch.zeros_like(gates)
        by_left, by_up = torch.zeros_like(left), torch.zeros_like(up)
        for here, to_left, to_up in reversed(spans):
            i, _, _, o, g = torch.split(gates[here], hidden, -1)
            di, _, _, do, dg = torch.split(by_gates[here], hidden, -1)
            tanh, grad = squashed[here], by_state[here]
            cell = by_cell[here].add_(grad * o * (1 - tanh * tanh))
            cell.mul_(cells[here].abs() < LARGEST_CELL)
            torch.mul(cell * i, 1 - g * g, out=dg)
            torch.mul(cell * g, i * (1 - i), out=di)
            torch.mul(grad * tanh, o * (1 - o), out=do)
            for number, (those, source) in enumerate((to_left, to_up)):
                if those.stop > those.start:
                    forget = gates[those].narrow(-1, hidden * (1 + number), hidden)
                    down = by_cell[those]
                    by_cell[source].addcmul_(forget, down)
                    torch.mul(
                        down * cells[source],
                        forget * (1 - forget),
                        out=by_gates[those].narrow(-1, hidden * (1 + number), hidden),
                    )
            for (those, source), weight in ((to_left, left), (to_up, up)):
                if those.stop > those.start:
                    by_state[source].flatten(0, 1).addmm_(by_gates[those].flatten(0, 1), weight.T)
        for edge, weight, step in ((ctx.plan.columns, by_left, 0), (ctx.plan.rows, by_up, 1)):
            _add_outer(weight, spans, edge, step, states, by_gates)
        return by_gates, by_left, by_up, None


def _add_outer(
    weight: Tensor,
    spans: list[tuple[slice, tuple[slice, slice], tuple[slice, slice]]],
    edge: Tensor,
    step: int,
    states: Tensor,
    by_gates: Tensor,
) -> None:
    """Gradient of a recurrent matrix, one product over all cells that have such a neighbour.

    Args:
        weight: to add to. [hidden, 5 · hidden]
        spans: of the diagonals.
        edge: the coordinate of each cell along which its neighbour lies; there is none where it is 0. [P]
        step: 0 for left neighbours, 1 for upper ones.
        states: [P, B, hidden]
        by_gates: gradients of the gates before their nonlinearities. [P, B, 5 · hidden]
    """
    cells = edge.nonzero()[:, 0]
    edges = [(left, up)[step][1] for _, left, up in spans]
    sources = [torch.arange(source.start, source.stop) for source in edges]
    if len(cells):
        weight.addmm_(states[torch.cat(sources)].flatten(0, 1).T, by_gates[cells].flatten(0, 1))


class SpatialLstm(nn.Module):
    """A two-dimensional LSTM that runs from the upper left to the lower right.

    Args:
        inputs: D.
        hidden: units.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        # Forget gates begin at a half each, so that what flows down the many paths neither grows nor shrinks.
        self.bias = nn.Parameter(torch.zeros(5 * hidden))
        self.input = nn.Parameter(torch.randn(inputs, 5 * hidden) * (0.5 / inputs**0.5))
        self.left = nn.Parameter(torch.randn(hidden, 5 * hidden) * (0.5 / hidden**0.5))
        self.up = nn.Parameter(torch.randn(hidden, 5 * hidden) * (0.5 / hidden**0.5))

    def forward(self, x: Tensor, plan: Diagonals) -> Tensor:
        """States [P, B, hidden] of inputs [P, B, D], both in the order of the diagonals."""
        inputs = torch.addmm(self.bias, x.flatten(0, 1), self.input).view(*x.shape[:2], -1)
        inputs = inputs.to(self.left.dtype)  # under autocast the recurrence stays as precise as its weights
        result: Tensor = _Recurrence.apply(inputs, self.left, self.up, plan)  # type: ignore[no-untyped-call]
        return result

    def step(self, x: Tensor, left: tuple[Tensor, Tensor], up: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """States and cells of pixels, from inputs [n, D], and states and cells to the left and above [n, hidden]."""
        pre = torch.addmm(self.bias, x, self.input).addmm_(left[0], self.left).addmm_(up[0], self.up)
        i, f_left, f_up, o, g = _gates(pre).chunk(5, -1)
        cell = (i * g + f_left * left[1] + f_up * up[1]).clamp(-LARGEST_CELL, LARGEST_CELL)
        return o * torch.tanh(cell), cell


class Ride(PixelModel):
    """A recurrent image density estimator; see the head of this file."""

    def __init__(self, config: RideConfig) -> None:
        super().__init__()
        self.config, self.radius, self.channels = config, config.radius, config.channels
        inputs = neighbours(config.radius) * config.channels
        self.whitening = Whitening(inputs, config.channels)
        sizes = [inputs] + [config.hidden] * (config.layers - 1)
        lstms = nn.ModuleList(SpatialLstm(size, config.hidden) for size in sizes)
        self.lstms: Sequence[SpatialLstm] = lstms  # type: ignore[assignment]
        seen = config.hidden + inputs * config.direct
        self.experts = Experts(seen, config.channels, config.components, config.scales, config.features)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training: some hundred images are enough. x int [B, C, H, W]."""
        self.whitening.fit(self.values(x))
        factor = self.whitening.factor[-self.channels :]
        if not self.config.direct:
            factor = factor[:, -self.channels :]
        self.experts.start_at(torch.cat([factor.new_zeros(self.channels, self.config.hidden), factor], 1))

    @torch.no_grad()
    def start_from(self, other: Mcgsm | Ride) -> None:
        """Take over the experts of an MCGSM, which see the neighbourhood here too, or a RIDE of a smaller radius.

        The density is that of the other to begin with; what is left to learn is what the state adds to an MCGSM, for
        which `initialize` is not needed, or what a larger neighbourhood adds after it. Both models have the same
        channels and kinds of experts, an MCGSM the same radius and a RIDE the same states.

        Raises:
            UsageError: they have not, or the experts here see the state only.
        """
        if isinstance(other, Ride):
            self._grow_from(other)
            return
        mcgsm = other
        if not isinstance(mcgsm, Mcgsm):
            raise UsageError(f"a RIDE starts from an MCGSM or a RIDE, not from a {type(mcgsm).__name__}")
        shared = ("channels", "radius", "components", "scales", "features")
        differing = [name for name in shared if getattr(self.config, name) != getattr(mcgsm.config, name)]
        if differing or not self.config.direct:
            raise UsageError(f"experts to start from differ in {', '.join(differing) or 'what they see'}")
        self.whitening.load_state_dict(mcgsm.whitening.state_dict())
        own = dict(self.experts.named_parameters())
        for name, value in mcgsm.experts.named_parameters():
            if name == "weight":
                own[name][..., : self.config.hidden] = 0
                own[name][..., self.config.hidden :] = value
            else:
                own[name].copy_(value)

    def _grow_from(self, smaller: Ride) -> None:
        shared = ("channels", "hidden", "layers", "components", "scales", "features", "direct")
        differing = [name for name in shared if getattr(self.config, name) != getattr(smaller.config, name)]
        if not (self.config.features and self.config.direct):
            differing.append("form, which has to be factorized, of experts that see the neighbourhood")
        if smaller.radius >= self.radius:
            differing.append("radius, which has to be smaller")
        if differing:
            raise UsageError(f"a RIDE to start from differs in {', '.join(differing)}")
        hidden, channels = self.config.hidden, self.channels
        change = self.whitening.grow_from(smaller.whitening, self.radius, smaller.radius)
        own = dict(self.lstms.named_parameters())  # type: ignore[attr-defined]
        for name, value in smaller.lstms.named_parameters():  # type: ignore[attr-defined]
            first = name == "0.input"  # the one layer that sees the neighbourhood
            own[name].copy_(change[:-channels, :-channels].T @ value if first else value)
        kept = torch.eye(hidden, dtype=change.dtype, device=change.device)
        ratio = (smaller.whitening.spread / self.whitening.spread)[:, None]
        seen: Tensor = torch.block_diag(kept, change[:-1, :-1])  # type: ignore[no-untyped-call]
        self.experts.grow_from(smaller.experts, seen, ratio)

    def states(self, whitened: Tensor, height: int, width: int) -> Tensor:
        """See `PixelModel`."""
        plan = _diagonals(height, width)
        state = whitened[plan.order][..., : -self.channels]
        for lstm in self.lstms:
            state = lstm(state, plan)
        return state[plan.place]

    def seen(self, whitened: Tensor, state: Tensor) -> Tensor:
        """The state, the neighbourhood, and the pixel's own channels but the last."""
        first = 0 if self.config.direct else whitened.shape[-1] - self.channels
        return torch.cat([state, whitened[..., first:-1]], -1)

    def pixel_scan(self, batch: int, height: int, width: int) -> PixelScan:
        """See `PixelModel`."""
        return _RideScan(self, batch, height, width)


class _RideScan(PixelScan):
    """Keeps the states of all pixels, then the cells, of every layer; the last row is for what is outside: zeros."""

    def __init__(self, model: Ride, batch: int, height: int, width: int) -> None:
        super().__init__(model, height, width)
        self.lstms = model.lstms
        self.shape = (self.area + 1, batch, model.config.hidden)

    def begin(self, like: Tensor) -> None:
        """See `PixelScan`."""
        self.memory = [like.new_zeros(self.shape) for _ in self.lstms for _ in range(2)]

    def advance(self, places: Tensor, whitened: Tensor) -> Tensor:
        """See `PixelScan`. What is to the left and above is known."""
        left = torch.where(places % self.width > 0, places - 1, self.area)
        up = torch.where(places >= self.width, places - self.width, self.area)
        state = whitened[..., : -self.model.channels]
        for lstm, states, cells in zip(self.lstms, self.memory[::2], self.memory[1::2], strict=True):
            beside, above = ((states[at].flatten(0, 1), cells[at].flatten(0, 1)) for at in (left, up))
            found, cell = lstm.step(state.flatten(0, 1), beside, above)
            state = found.view(*state.shape[:2], -1)
            states[places], cells[places] = state, cell.view(state.shape)
        return state
