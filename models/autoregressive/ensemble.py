"""Ensembles: the average of a density over transformed images, or over several models.

An image has eight transforms: flips, and transposes of those. A model that scans from the upper left has a density of
every one, and their average is a density too (`ensemble_log_prob`, which is what is reported). What of that can be
coded, and how:

- Several models of one order of steps: the average of the distributions *of each element* is a distribution of that
  order again, coded like any model (`Mixture`). It is not the average of the densities of whole images.
- Transforms have different orders, so there is no order in which elements of the average could be coded. Either the
  best transform is chosen for every image (`ChoiceCodec`, mode "best"): at most 3 bits an image more than the best,
  and at most 3 bits more than the average. Or the transform is a latent variable, drawn from its posterior (mode
  "exact"): by bits-back that costs what the average says, but the decoder has to compute the posterior too, by a pass
  over every transform.

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015), on ensembles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec
from ...codec.entropy.pmf import GaussianMixture, Pmf
from ...codec.entropy.portable import exp
from ...codec.entropy.rans import Message
from ...codec.errors import UsageError
from ..shapes import Advance, ImageModel
from .choices import ChoiceCodec, Mode
from .density import TOGETHER, AutoregressiveModel, Scan
from .pixels import PixelModel, PixelScan

__all__ = [
    "TRANSFORMS",
    "Ensemble",
    "Mixture",
    "MixtureConfig",
    "best_transform",
    "ensemble_log_prob",
    "transform",
    "transform_log_probs",
    "undo",
]

TRANSFORMS = 8
"""Bit 0 flips left and right, bit 1 up and down, bit 2 transposes after that."""


def transform(x: Tensor, number: int) -> Tensor:
    """One of the eight transforms of images [..., H, W]."""
    x = x.flip([axis for bit, axis in ((1, -1), (2, -2)) if number & bit])
    return x.transpose(-1, -2) if number & 4 else x


def undo(x: Tensor, number: int) -> Tensor:
    """The inverse of `transform`."""
    x = x.transpose(-1, -2) if number & 4 else x
    return x.flip([axis for bit, axis in ((1, -1), (2, -2)) if number & bit])


def transform_log_probs(model: AutoregressiveModel, x: Tensor, count: int = TRANSFORMS) -> Tensor:
    """Log-probability of every transform, or the first `count`, of images [B, C, H, W], in nats: [count, B]."""
    return torch.stack([model.log_prob(transform(x, number).contiguous()) for number in range(count)])


def ensemble_log_prob(model: AutoregressiveModel, x: Tensor) -> Tensor:
    """Logarithm of the average of the densities of all transforms of images [B, C, H, W], in nats: [B]."""
    return torch.logsumexp(transform_log_probs(model, x), 0) - math.log(TRANSFORMS)


def best_transform(model: AutoregressiveModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """The transform of most density for each of the images [B, C, H, W], and its log-probability in nats: [B], [B]."""
    log_probs, numbers = transform_log_probs(model, x).max(0)
    return numbers, log_probs


class Ensemble(ImageModel):
    """The average of an autoregressive model's density over the eight transforms of an image, as a model that codes.

    Args:
        model: that is averaged.
        mode: "best" codes the transform of most density; "exact" has the transform as a latent variable.

    Raises:
        UsageError: a model of one size that is not square, so that a transposed image has no density.
    """

    def __init__(self, model: AutoregressiveModel, mode: Mode = "exact") -> None:
        super().__init__()
        if model.size is not None and model.size[0] != model.size[1]:
            raise UsageError(f"transposed images for a model of {model.size[1]}x{model.size[0]} pixels")
        # Under the name of its mode, so that the digest of an ensemble tells it from its model and the other mode.
        self.add_module(mode, model)
        self.mode, self.config = mode, model.config
        self.channels, self.levels, self.size, self.multiple = model.channels, model.levels, model.size, model.multiple
        self.largest, self.borrows = model.largest, mode == "exact"
        self.shape = "latent" if self.borrows else "autoregressive"

    def bound(self, x: Tensor) -> Tensor:
        """Logarithm of the average density of all transforms, in nats: [B].

        In mode "best", files take up to 3 bits an image more.
        """
        return ensemble_log_prob(self.averaged, x)

    @property
    def averaged(self) -> AutoregressiveModel:
        """The model."""
        found: Any = self.get_submodule(self.mode)
        model: AutoregressiveModel = found
        return model

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`."""
        _, channels, height, width = shape

        def transformed(number: int, count: int) -> Codec[Tensor]:
            sides = (width, height) if number & 4 else (height, width)
            return _Transformed(self.averaged.codec(calibration, (count, channels, *sides), advance), number)

        return ChoiceCodec(transformed, self._log_probs, TRANSFORMS, shape, self.mode, calibration)

    @torch.no_grad()
    def _log_probs(self, x: Tensor) -> Tensor:
        """Nats of all transforms [8, B] on the CPU, so many images at a time as fit into memory."""
        device = next(self.parameters()).device
        parts = torch.split(x, max(1, TOGETHER // (x.shape[2] * x.shape[3])))
        return torch.cat([transform_log_probs(self.averaged, part.to(device)).cpu() for part in parts], 1)


@dataclass(frozen=True)
class _Transformed:
    """A codec of images that codes a transform of them.

    Attributes:
        codec: of the transforms.
        number: which.
    """

    codec: Codec[Tensor]
    number: int

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self.codec.push(message, transform(symbols, self.number).contiguous())

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return undo(self.codec.pop(message), self.number)


@dataclass(frozen=True)
class MixtureConfig:
    """What a mixture of models is made of.

    Attributes:
        members: for each model the name of its class and its configuration.
    """

    members: tuple[tuple[str, dict[str, Any]], ...]


class Mixture(AutoregressiveModel):
    """The average, element by element, of models that share their order: MCGSMs and RIDEs of one radius.

    The mixture of mixtures is a mixture of Gaussians again: logits of all models side by side.

    Args:
        members: two or more models.

    Raises:
        UsageError: they differ in channels or radius.
    """

    def __init__(self, members: Sequence[PixelModel]) -> None:
        super().__init__()
        orders = {(member.channels, member.radius) for member in members}
        if len(orders) != 1:
            raise UsageError(f"a mixture of models of different orders: (channels, radius) are {sorted(orders)}")
        self.config = MixtureConfig(tuple((type(member).__name__, asdict(member.config)) for member in members))
        self.channels = members[0].channels
        self.members: Sequence[PixelModel] = nn.ModuleList(members)  # type: ignore[assignment]

    def log_prob(self, x: Tensor) -> Tensor:
        """See `AutoregressiveModel`."""
        each = torch.stack([member.log_probs(x) for member in self.members])  # [M, B, C, H, W]
        return (torch.logsumexp(each, 0) - math.log(len(each))).flatten(1).sum(1)

    def scan(self, batch: int, height: int, width: int) -> Scan:
        """See `AutoregressiveModel`."""
        return _MixtureScan([member.pixel_scan(batch, height, width) for member in self.members])


class _MixtureScan(Scan):
    """Scans of all members; their parameters side by side."""

    def __init__(self, scans: list[PixelScan]) -> None:
        self.scans, self.steps = scans, scans[0].steps
        self.grid = torch.cat([scan.grid for scan in scans])

    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`."""
        return torch.cat([scan.parameters(step, known) for scan in self.scans], 1)

    def pmf(self, parameters: Tensor) -> Pmf:
        """See `Scan`. Logits of each member come as logarithms of weights, so that all members count alike."""
        parts = torch.split(parameters, [len(scan.grid) for scan in self.scans], -1)
        mixtures = [scan.mixture(part) for scan, part in zip(self.scans, parts, strict=True)]
        logits, means, log_scales = (torch.cat(values, -1) for values in zip(*mixtures, strict=True))
        return GaussianMixture(logits, means, exp(log_scales), 256)
