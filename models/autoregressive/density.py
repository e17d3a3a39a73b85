"""What an autoregressive model gives: a likelihood to train by, and one element's distribution at a time to code with.

The likelihood of a whole batch is one parallel pass. The scan goes through the same network step by step, as a decoder
has to, and computes at each step only what no step before has computed. Both have to agree: the scan is what the files
are made of, the likelihood is what is reported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ...codec.entropy.pmf import Pmf

__all__ = ["AutoregressiveModel", "Scan"]


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
            known: samples, int64 [B, C, H, W]; elements of this step and of later ones are 0, and are not looked at.

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


class AutoregressiveModel(nn.Module, ABC):
    """A density of images that is a product over elements, each given those before it.

    Attributes:
        config: a frozen dataclass of plain values; the class called with it makes the model.
        levels: values of a sample, 0 to levels - 1.
    """

    config: Any
    levels: int = 256

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
