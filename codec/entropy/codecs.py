"""Codecs that are made of codecs: what is pushed on a message by one is popped by the same one, exactly.

Everything here keeps one law: `pop` undoes `push`, symbols and message, to the last bit. Codecs that keep it are put
together by the few ways below to codecs that keep it too, up to whole models.

    FromPmf            one symbol on each lane
    Independent        any number of independent symbols, lanes at a time
    Chain              items in turn, each knowing those before
    Substack           a codec on some of the lanes
    Autoregressive     steps, each of which depends on all before it
    BitsBack           latent variables that cost their net information only
    BitSwap            a Markov chain of them, with the initial bits of one
    supplied           items by bits-back coding, whose initial bits are items that are sent anyway

Source: the algebra of pushes and pops is that of bits-back with asymmetric numeral systems, Townsend, Bird and Barber
(2019); the recursion over a chain is Bit-Swap, Kingma, Abbeel and Ho (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from ..errors import MessageExhaustedError, SymbolError
from . import halves
from .pmf import Pmf
from .rans import Message

__all__ = [
    "Autoregressive",
    "BitSwap",
    "BitsBack",
    "Chain",
    "Codec",
    "FromPmf",
    "Independent",
    "Scrambled",
    "Substack",
    "least_direct",
    "supplied",
    "wavefront",
]

_AT_ONCE = 4096
"""Symbols whose intervals are found by one call, where there are fewer lanes."""

S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B")


class Codec(Protocol[S]):
    """Pushes symbols of some kind on a message, and pops them.

    Law: pop after push returns the symbols and restores the message; push after pop restores it too.
    """

    def push(self, message: Message, symbols: S) -> None:
        """Put symbols on the message."""
        ...

    def pop(self, message: Message) -> S:
        """Take them from it."""
        ...


@dataclass(frozen=True)
class FromPmf:
    """One symbol on each lane, [lanes] int64, by a distribution."""

    pmf: Pmf

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        for interval in reversed(halves.intervals(self.pmf, symbols)):
            message.push(*interval)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return halves.pop(message, self.pmf)


@dataclass(frozen=True)
class Independent:
    """`count` independent symbols, [count] int64, as many at a time as there are lanes.

    Attributes:
        pmf: (first, stop) -> the distributions of the symbols first to stop - 1, one on each lane.
        count: number of symbols; the last ones take the first lanes only.
    """

    pmf: Callable[[int, int], Pmf]
    count: int

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        if symbols.shape != (self.count,):
            raise SymbolError(f"symbols of shape {list(symbols.shape)}; [{self.count}] is needed")
        pushes = _intervals(self.pmf, symbols, message.lanes)  # all before the first push: an error leaves no half
        for start, freq, precision in reversed(pushes):
            message.part(0, len(start)).push(start, freq, precision)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        parts = [
            FromPmf(self.pmf(first, stop)).pop(message.part(0, stop - first))
            for first, stop in spans(self.count, message.lanes)
        ]
        return torch.cat([torch.zeros(0, dtype=torch.int64, device=message.device), *parts])


def _intervals(make: Callable[[int, int], Pmf], symbols: Tensor, lanes: int) -> list[tuple[Tensor, Tensor, int]]:
    """Start, freq and precision of every push, in the order of popping; distributions are made for many at once."""
    found: list[tuple[Tensor, Tensor, int]] = []
    most = lanes * max(1, _AT_ONCE // lanes)
    for first, stop in spans(len(symbols), most):
        parts = halves.intervals(make(first, stop), symbols[first:stop])
        for a, b in spans(stop - first, lanes):
            found += [(start[a:b], freq[a:b], precision) for start, freq, precision in parts]
    return found


def spans(count: int, lanes: int) -> list[tuple[int, int]]:
    """(first, stop) of the symbols of each push."""
    return [(first, min(first + lanes, count)) for first in range(0, count, lanes)]


@dataclass(frozen=True)
class Chain:
    """Items one after the other, each coded knowing those before it; the symbols are a list of them.

    The prior of a hierarchy of latents from the top down is one, and its posterior is another for every x.

    Attributes:
        links: for each item a function from the list of the items before it to its codec.
    """

    links: Sequence[Callable[[list[Any]], Codec[Any]]]

    def push(self, message: Message, symbols: Sequence[Any]) -> None:
        """See `Codec`."""
        items = list(symbols)
        if len(items) != len(self.links):
            raise SymbolError(f"{len(items)} items for a chain of {len(self.links)}")
        for number in reversed(range(len(items))):
            self.links[number](items[:number]).push(message, items[number])

    def pop(self, message: Message) -> list[Any]:
        """See `Codec`."""
        items: list[Any] = []
        for link in self.links:
            items.append(link(list(items)).pop(message))
        return items


@dataclass(frozen=True)
class Substack(Generic[S]):
    """A codec on the lanes first to stop - 1 of a message."""

    codec: Codec[S]
    first: int
    stop: int

    def push(self, message: Message, symbols: S) -> None:
        """See `Codec`."""
        self.codec.push(message.part(self.first, self.stop), symbols)

    def pop(self, message: Message) -> S:
        """See `Codec`."""
        return self.codec.pop(message.part(self.first, self.stop))


@dataclass(frozen=True)
class Autoregressive:
    """An array that is coded in steps: where each step's elements are, and how they depend on the steps before.

    A step codes its elements of all images of a batch at once. With `wavefront` for steps, a model of local context
    takes about W + k H of them for H x W pixels instead of H W.

    Attributes:
        shape: of the array. Elements may come in any order; every one belongs to one step.
        steps: for each step the flat indices of its elements. Each [n] int64
        pmf: (step, array) -> the distributions of the step's elements, given the elements of the steps before. The
            others are zero: a model that looks at them is caught by the law, not by the coder.
    """

    shape: tuple[int, ...]
    steps: Sequence[Tensor]
    pmf: Callable[[int, Tensor], Callable[[int, int], Pmf]]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`. All steps are evaluated first, in order, as in decoding: 2 arrays of integers are kept."""
        if tuple(symbols.shape) != tuple(self.shape):
            raise SymbolError(f"symbols of shape {list(symbols.shape)}; {list(self.shape)} is needed")
        if not torch.equal(
            torch.cat(list(self.steps)).sort().values, torch.arange(symbols.numel(), device=symbols.device)
        ):
            raise SymbolError(f"the steps do not name each of {symbols.numel()} elements once")
        known, flat = torch.zeros_like(symbols), symbols.reshape(-1)
        pushes: list[tuple[Tensor, Tensor, int]] = []
        for number, places in enumerate(self.steps):
            pushes += _intervals(self.pmf(number, known), flat[places], message.lanes)
            known.view(-1)[places] = flat[places]
        for start, freq, precision in reversed(pushes):
            message.part(0, len(start)).push(start, freq, precision)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        known = torch.zeros(self.shape, dtype=torch.int64, device=message.device)
        for number, places in enumerate(self.steps):
            known.view(-1)[places] = Independent(self.pmf(number, known), len(places)).pop(message)
        return known


def wavefront(height: int, width: int, slope: int) -> list[Tensor]:
    """Steps of an image for a model whose pixels depend on no pixel further right than `slope` - 1 in the row above.

    Returns:
        The flat indices of the pixels of each of at most width + slope · (height - 1) steps.
    """
    step = torch.arange(width) + slope * torch.arange(height)[:, None]  # [H, W]
    order = torch.argsort(step.reshape(-1), stable=True)
    return [places for places in torch.split(order, torch.bincount(step.reshape(-1)).tolist()) if len(places)]


@dataclass(frozen=True)
class BitsBack(Generic[A, B]):
    """Data x with a latent z: costs -log2 p(x, z) + log2 q(z | x), whose mean is the negative bound.

    A push first pops z, from bits that are in the message already; a message without enough raises
    MessageExhaustedError. So the first push needs *initial bits*, which the last pop gives back. For a hierarchy of
    latents z is a list, and prior and posterior are chains; for a Markov chain of them see `BitSwap`.

    Attributes:
        prior: codec of z.
        likelihood: z -> codec of x.
        posterior: x -> codec of z.
    """

    prior: Codec[A]
    likelihood: Callable[[A], Codec[B]]
    posterior: Callable[[B], Codec[A]]

    def push(self, message: Message, symbols: B) -> None:
        """See `Codec`."""
        latent = self.posterior(symbols).pop(message)
        self.likelihood(latent).push(message, symbols)
        self.prior.push(message, latent)

    def pop(self, message: Message) -> B:
        """See `Codec`."""
        latent = self.prior.pop(message)
        symbols = self.likelihood(latent).pop(message)
        self.posterior(symbols).push(message, latent)
        return symbols


@dataclass(frozen=True)
class BitSwap:
    """Data under a Markov chain of latents x - z1 - ... - zn, where every layer borrows what the one before has pushed.

    So the initial bits are those of one layer, not of all. Layers are many in a diffusion: they come in a loop.

    Attributes:
        prior: codec of the topmost latent zn.
        likelihoods: p(x | z1), p(z1 | z2), ..., each the codec of the lower for a given upper variable.
        posteriors: q(z1 | x), q(z2 | z1), ..., each the codec of the upper for a given lower variable.
    """

    prior: Codec[Any]
    likelihoods: Sequence[Callable[[Any], Codec[Any]]]
    posteriors: Sequence[Callable[[Any], Codec[Any]]]

    def push(self, message: Message, symbols: Any) -> None:
        """See `Codec`."""
        for likelihood, posterior in zip(self.likelihoods, self.posteriors, strict=True):
            latent = posterior(symbols).pop(message)
            likelihood(latent).push(message, symbols)
            symbols = latent
        self.prior.push(message, symbols)

    def pop(self, message: Message) -> Any:
        """See `Codec`."""
        latent = self.prior.pop(message)
        for likelihood, posterior in reversed(list(zip(self.likelihoods, self.posteriors, strict=True))):
            symbols = likelihood(latent).pop(message)
            posterior(symbols).push(message, latent)
            latent = symbols
        return latent


@dataclass(frozen=True)
class Scrambled:
    """A codec that scrambles the heads of the message behind its symbols.

    What is popped next would else be made of the very bits that were pushed last: where a value stands in its
    distribution is where the next one stands in its own. If a model is not quite right these places are not quite
    random, and a chain of latents goes on from its own errors: measured on a diffusion of eight steps, up to five times
    as many bits as its bound.

    Attributes:
        codec: of `count` values.
        count: number of lanes that it uses; with more than there are, all. They were popped from before: what is lent
            is lent before it is scrambled.
        seed: of the bits that are flipped; another one for each layer.
    """

    codec: Codec[Any]
    count: int
    seed: int

    def push(self, message: Message, symbols: Any) -> None:
        """See `Codec`."""
        self.codec.push(message, symbols)
        message.part(0, min(self.count, message.lanes)).scramble(self.seed)

    def pop(self, message: Message) -> Any:
        """See `Codec`."""
        message.part(0, min(self.count, message.lanes)).scramble(self.seed)
        return self.codec.pop(message)


def supplied(codec: Codec[A], direct: Codec[A], count: int, direct_count: int) -> Chain:
    """A chain of `count` items by bits-back coding, whose initial bits are items that have to be sent anyway.

    The last `direct_count` items are coded without latents and pushed first; the others borrow from them. So a file of
    its own pays for poorer compression of a few items (tiles of an image, images of a batch), not for initial bits.

    Args:
        codec: of an item, by bits-back coding.
        direct: of an item, needing no initial bits.
        count: of items.
        direct_count: of items by the direct codec; `least_direct` finds the number.
    """
    if not 0 <= direct_count <= count:
        raise SymbolError(f"{direct_count} of {count} items coded directly")
    number = count - direct_count
    return Chain([*[lambda _: codec] * number, *[lambda _: direct] * direct_count])


def least_direct(codec: Codec[A], direct: Codec[A], items: Sequence[A], lanes: int) -> int:
    """The least number of items that have to be coded directly, for `supplied` on a message of so many lanes.

    Tries one after the other, all items only where one more than those coded directly is found to do. The codecs are
    used for nothing but trials, so they should not write into a calibration that is needed later. The message that the
    number is meant for is `Message.lending(lanes, words=False)`.
    """
    for number in range(len(items)):
        try:
            for count in (number + 1, len(items)):
                message = Message.lending(lanes, words=False)
                supplied(codec, direct, count, number).push(message, items[-count:])
        except MessageExhaustedError:
            continue
        return number
    return len(items)
