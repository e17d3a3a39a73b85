"""What an autoregressive model gives: a likelihood to train by, and one element's distribution at a time to code with.

The likelihood of a whole batch is one parallel pass. The scan goes through the same network step by step, as a decoder
has to, and computes at each step only what no step before has computed. Both have to agree: the scan is what the files
are made of, the likelihood is what is reported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...codec.entropy.calibrated import Calibration, autoregressive
from ...codec.entropy.codecs import Codec
from ...codec.entropy.pmf import Pmf
from ...codec.entropy.rans import Message
from ..shapes import Advance, ImageModel

__all__ = ["AutoregressiveModel", "ModelCodec", "Scan", "conditional_scan"]

TOGETHER = 2**15
"""Pixels of a pass over images: their activations are in memory at once, and the passes of a larger batch in turn."""


class Scan(ABC):
    """The steps of an image's elements, and their distributions, each knowing all steps before.

    Attributes:
        steps: for each step the elements that are coded at once, as flat indices into one image [C, H, W], int64 [n].
            The same for all images of the batch; every element is in one step.
        grid: rounding step of each parameter, for calibrated coding: powers of two. [P] float64
    """

    steps: list[Tensor]
    grid: Tensor

    @abstractmethod
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """Parameters of the distributions of a step's elements. Called with step = 0, 1, 2, ... in turn; 0 starts anew.

        Args:
            step: number of the step.
            known: samples, int64 [B, C, H, W], where the model is; elements of this step and of later ones are 0, and
                are not looked at.

        Returns:
            [B · n, P], row b · n + i for element i of image b, in the precision of the model.
        """

    @abstractmethod
    def pmf(self, parameters: Tensor) -> Pmf:
        """Distributions over the levels on m lanes.

        Args:
            parameters: such rows as `parameters` gives, rounded to the grid. float64 [m, P]
        """

    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """What `parameters` gives for every step in turn, where all is known: for the encoder.

        A scan that can replaces this by one parallel pass; the last bits may then differ.

        Args:
            x: samples. int64 [B, C, H, W]
        """
        known = torch.zeros_like(x)
        for step, elements in enumerate(self.steps):
            yield self.parameters(step, known)
            known.flatten(1)[:, elements] = x.flatten(1)[:, elements]


class AutoregressiveModel(ImageModel):
    """A density of images that is a product over elements, each given those before it."""

    shape = "autoregressive"
    borrows = False
    largest = 2**14

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-likelihood of each image, in nats; differentiable.

        Args:
            x: samples, uint8 or int64. [B, C, H, W]

        Returns:
            [B], in the precision of the model.
        """

    @abstractmethod
    def scan(self, batch: int, height: int, width: int) -> Scan:
        """The incremental evaluation, for `batch` images of one size."""

    def bound(self, x: Tensor) -> Tensor:
        """The log-likelihood itself."""
        return self.log_prob(x)

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`."""
        return ModelCodec(self, calibration, shape, advance)


@dataclass(frozen=True)
class ModelCodec:
    """Images of one size by a model, int64 [B, C, H, W].

    A push takes one parallel pass over the images where the model has one, a pop goes step by step. The model should be
    in float64: the two then differ far less than the guard band of the calibration. The network runs where its weights
    are, everything else on the CPU.

    Attributes:
        model: in evaluation mode.
        calibration: through which the parameters of all distributions go.
        shape: (B, C, H, W)
        advance: as for `ImageModel.codec`.
        features: extra feature maps of a model that is conditional on them, where it is. [B, F, H, W]
    """

    model: AutoregressiveModel
    calibration: Calibration
    shape: tuple[int, int, int, int]
    advance: Advance = lambda pixels: None
    features: Tensor | None = None

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`. Keeps two integers a sample, and the activations of a pass."""
        with torch.no_grad():
            count = max(1, TOGETHER // (self.shape[2] * self.shape[3]))
            there, firsts = symbols.to(_device(self.model)), range(0, self.shape[0], count)
            passes = [self._scan(first, first + count).parallel(there[first : first + count]) for first in firsts]
            self._codec(self._scan(), lambda step, known: torch.cat([next(rows).cpu() for rows in passes])).push(
                message, symbols
            )

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        scan, device = self._scan(), _device(self.model)
        if device.type == "cpu":
            with torch.no_grad():
                return self._codec(scan, scan.parameters).pop(message)
        there = torch.zeros(self.shape, dtype=torch.int64, device=device)

        def parameters(step: int, known: Tensor) -> Tensor:
            if step:  # only what is new travels
                before = scan.steps[step - 1].cpu()
                there.flatten(1)[:, before.to(device)] = known.flatten(1)[:, before].to(device)
            return scan.parameters(step, there).cpu()

        with torch.no_grad():
            return self._codec(scan, parameters).pop(message)

    def _scan(self, first: int = 0, stop: int | None = None) -> Scan:
        """Of the images first to stop - 1."""
        count = len(range(self.shape[0])[first:stop])
        features = None if self.features is None else self.features[first:stop]
        return conditional_scan(self.model, (count, *self.shape[2:]), features)

    def _codec(self, scan: Scan, parameters: Callable[[int, Tensor], Tensor]) -> Codec[Tensor]:
        """In the steps of all images, which are those of one side by side."""
        batch, channels, height, width = self.shape
        first = torch.arange(batch)[:, None] * (channels * height * width)
        steps = [(first + places.cpu()).reshape(-1) for places in scan.steps]
        done = 0

        def advancing(step: int, known: Tensor) -> Tensor:
            nonlocal done
            before, done = done // channels, done + len(steps[step])
            self.advance(done // channels - before)
            return parameters(step, known)

        return autoregressive(self.shape, steps, advancing, scan.pmf, self.calibration, scan.grid.cpu())


def conditional_scan(model: AutoregressiveModel, batch: tuple[int, int, int], features: Tensor | None) -> Scan:
    """The scan of (B, H, W) images, given the feature maps [B, F, H, W] of a model that takes such."""
    conditional: Any = model
    return model.scan(*batch) if features is None else conditional.scan(*batch, features)


def _device(model: ImageModel) -> torch.device:
    return next(model.parameters()).device
