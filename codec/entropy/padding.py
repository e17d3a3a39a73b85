"""Images in a codec of larger ones: what is beyond the image is a latent variable, drawn around its edge.

A codec of one size, or of multiples of some number, takes an image that is filled up on its right and lower side. What
the fill costs is given back by bits-back coding: pixels beyond are popped from a distribution around the nearest pixel
of the image, and after decoding they are pushed again. What remains to be paid is how far that distribution is from
what the codec expects there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .codecs import BitsBack, Codec, Independent
from .halves import LARGEST_WHOLE
from .pmf import LogisticMixture
from .rans import Message

__all__ = ["padded"]

LEAST_SCALE = 0.25
"""Levels. Of the samples beyond an image without any differences."""


def padded(codec: Codec[Tensor], shape: tuple[int, int, int, int], size: tuple[int, int], levels: int) -> Codec[Tensor]:
    """A codec of images int64 [B, C, h, w].

    Args:
        codec: of larger ones, [B, C, H, W].
        shape: (B, C, h, w)
        size: (H, W)
        levels: values of a sample, 512 at most.
    """
    if tuple(shape[2:]) == tuple(size):
        return codec
    if levels > LARGEST_WHOLE:
        raise ValueError(f"{levels} levels")
    beyond = torch.ones(size, dtype=torch.bool)
    beyond[: shape[2], : shape[3]] = False
    return BitsBack(codec, lambda full: _Inside(full, shape), lambda x: _Beyond(x, beyond, levels))


@dataclass(frozen=True)
class _Inside:
    """The image in a full one, which costs nothing."""

    full: Tensor
    shape: tuple[int, int, int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self.full[:, :, : self.shape[2], : self.shape[3]].contiguous()


@dataclass(frozen=True)
class _Beyond:
    """Full images, given what is inside."""

    inside: Tensor
    beyond: Tensor  # [H, W] bool
    levels: int

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self._codec().push(message, symbols[:, :, self.beyond].reshape(-1))

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        full = self._edges().long()
        full[:, :, self.beyond] = self._codec().pop(message).view(*full.shape[:2], -1)
        return full

    def _edges(self) -> Tensor:
        """The nearest sample of the image, everywhere: float64, whole numbers."""
        height, width = self.inside.shape[2:]
        wanted = self.beyond.shape
        return F.pad(self.inside.double(), (0, wanted[1] - width, 0, wanted[0] - height), mode="replicate")

    def _codec(self) -> Independent:
        means = self._edges()[:, :, self.beyond]  # [B, C, n]
        x = self.inside.double()
        # Sums of whole numbers are the same in any order; then one division, the same everywhere.
        moved = (x[:, :, 1:] - x[:, :, :-1]).abs().sum((2, 3)) + (x[..., 1:] - x[..., :-1]).abs().sum((2, 3))
        scales = (moved / (2 * x[0, 0].numel())).clamp(min=LEAST_SCALE)[..., None].expand(means.shape)
        means, scales = means.reshape(-1, 1), scales.reshape(-1, 1)
        zeros = torch.zeros_like(means)
        return Independent(
            lambda a, b: LogisticMixture(zeros[a:b], means[a:b], scales[a:b], self.levels), means.shape[0]
        )
