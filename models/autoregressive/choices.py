"""Images that are each coded in one of several ways: which one is known, or is written, or is a latent variable.

By bits-back the way is drawn from its posterior, which is computed exactly, by the density of every way. That costs
what the average of the densities says; the bits that would name a way have to be in the message to begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec, Independent
from ...codec.entropy.pmf import Categorical, Uniform
from ...codec.entropy.rans import Message

__all__ = ["ChoiceCodec", "ChosenCodec", "Mode"]

Mode = Literal["best", "exact"]

POSTERIOR_GRID = 0.25
"""Of the logarithms of a posterior over ways, in nats. Sums over whole images differ more between machines than
single parameters do, so the step is wide; it costs 0.003 nats an image."""

LEAST = -64.0
"""Of these logarithms, relative to the greatest: what is below is never drawn."""


@dataclass(frozen=True)
class ChosenCodec:
    """A codec of images [B, C, H, W], each in a way that both sides know.

    Attributes:
        codec: (way, count) -> a codec of so many images in one way, int64 [count, C, H, W].
        ways: of each image. int64 [B]
        shape: of the images, (B, C, H, W).
    """

    codec: Callable[[int, int], Codec[Tensor]]
    ways: Tensor
    shape: tuple[int, int, int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        for members, codec in reversed(self._groups()):
            codec.push(message, symbols[members].contiguous())

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        symbols = torch.zeros(self.shape, dtype=torch.int64, device=message.device)
        for members, codec in self._groups():
            symbols[members] = codec.pop(message)
        return symbols

    def _groups(self) -> list[tuple[Tensor, Codec[Tensor]]]:
        """The images of each way, and their codec."""
        groups = []
        for way in sorted(set(self.ways.tolist())):
            members = (self.ways == way).nonzero()[:, 0]
            groups.append((members, self.codec(way, len(members))))
        return groups


@dataclass(frozen=True)
class ChoiceCodec:
    """A codec of images [B, C, H, W], each in a way that it chooses.

    In mode "exact" it keeps the law of codecs both ways, and needs the logarithm of `count` in the message to begin
    with for each image. In mode "best" pop undoes push but not the reverse: of a stream in which an image stands in
    another way than its best, which no push writes, the way is forgotten.

    Attributes:
        codec: see `ChosenCodec`.
        log_probs: images [B, C, H, W] -> nats of each of them in each way. [count, B]
        count: of ways, which are equally probable.
        shape: of the images, (B, C, H, W).
        mode: "best" or "exact".
        calibration: through which the posterior of mode "exact" goes.
    """

    codec: Callable[[int, int], Codec[Tensor]]
    log_probs: Callable[[Tensor], Tensor]
    count: int
    shape: tuple[int, int, int, int]
    mode: Mode
    calibration: Calibration

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        exact = self.mode == "exact"
        ways = self._posterior(symbols).pop(message) if exact else self.log_probs(symbols).argmax(0)
        ChosenCodec(self.codec, ways, self.shape).push(message, symbols)
        self._prior.push(message, ways)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        ways = self._prior.pop(message)
        symbols = ChosenCodec(self.codec, ways, self.shape).pop(message)
        if self.mode == "exact":
            self._posterior(symbols).push(message, ways)
        return symbols

    @property
    def _prior(self) -> Independent:
        return Independent(lambda first, stop: Uniform(self.count), self.shape[0])

    def _posterior(self, symbols: Tensor) -> Codec[Tensor]:
        log_probs = self.log_probs(symbols).T.contiguous()  # [B, count]
        below = (log_probs - log_probs.amax(1, keepdim=True)).clamp(min=LEAST)
        return self.calibration.codec(below, Categorical.from_logits, POSTERIOR_GRID)
