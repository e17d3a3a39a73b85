"""What is minimised, on which images, and by what a training is measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...codec.errors import UnsupportedImageError, UsageError
from ..shapes import ImageModel
from .data import Data
from .recipe import Recipe

__all__ = ["Objective", "batch_of", "check_data", "evaluate", "labels_of"]


class Objective(nn.Module):
    """The loss of a batch in nats per dimension, as a module, for gradients that are shared between processes."""

    def __init__(self, model: nn.Module, adversary: nn.Module | None = None) -> None:
        super().__init__()
        self.model = model
        self._against = () if adversary is None else (adversary,)  # no part of it: it does not learn here

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of images [B, C, H, W], and their classes [B] for a model of classes."""
        model: Any = self.model
        given = () if labels is None else (labels,)
        if not hasattr(model, "loss"):
            return _reported(self.model, x).mean()
        loss: Tensor = model.loss(x, *self._against, *given)
        return loss


def _reported(model: nn.Module, x: Tensor) -> Tensor:
    """Minus what a model reports of each image, in nats per dimension: its likelihood, or the bound on it."""
    found: Any = model
    nats: Tensor = found.bound(x) if isinstance(model, ImageModel) else found.log_prob(x)
    return -nats / x[0].numel()


def check_data(model: nn.Module, data: Data) -> None:
    """Refuses images that a model is not for, before it is trained.

    Raises:
        UnsupportedImageError: of other channels, or of a size or of levels that it does not take; of other classes.
    """
    if isinstance(model, ImageModel):
        model.check(data.images.shape[2], data.images.shape[3], data.images.shape[1])
        if int(data.images.max()) >= model.levels:
            raise UnsupportedImageError(f"samples up to {data.images.max()} for a model of {model.levels} levels")
    classes = getattr(model, "classes", 0)
    if classes and (data.labels is None or data.labels.max() >= classes):
        known = "no classes" if data.labels is None else f"{data.labels.max() + 1} classes"
        raise UnsupportedImageError(f"images of {known} for a model of {classes}")


def batch_of(data: Data, recipe: Recipe, seed: int, step: int, place: tuple[int, int] = (0, 1)) -> Tensor:
    """The images of a step for this process: every epoch is one permutation of all images; uint8 [b, C, H, W].

    Raises:
        UsageError: transposes of images that are not square.
    """
    images = torch.from_numpy(data.images[_chosen(data, recipe, seed, step, place)])
    rank, share = place[0], len(images)
    if not (recipe.flip or recipe.transforms):
        return images
    drawn = torch.from_numpy(np.random.default_rng((seed, step, rank)).random(share))[:, None, None, None]
    if not recipe.transforms:
        return torch.where(drawn < 0.5, images.flip(3), images)
    if images.shape[2] != images.shape[3]:
        raise UsageError(f"transforms = true: images of {images.shape[3]}x{images.shape[2]} pixels are not square")
    number = (8 * drawn).long()  # as in `ensemble.transform`: bit 0 left and right, 1 up and down, 2 transposed
    for bit, moved in enumerate((1, 2, 4)):
        images = torch.where((number >> bit & 1) == 1, _moved(images, moved), images)
    return images


def labels_of(data: Data, recipe: Recipe, seed: int, step: int, place: tuple[int, int] = (0, 1)) -> Tensor | None:
    """The classes of the images of `batch_of`, where the data have them. int64 [b]."""
    return None if data.labels is None else torch.from_numpy(data.labels[_chosen(data, recipe, seed, step, place)])


def _chosen(data: Data, recipe: Recipe, seed: int, step: int, place: tuple[int, int]) -> list[int]:
    """Which images a step takes."""
    n, (rank, world) = len(data.images), place
    share = recipe.batch // world
    first = step * recipe.batch + rank * share
    epoch = -1
    index = []
    for position in range(first, first + share):
        if position // n != epoch:
            epoch = position // n
            order = np.random.default_rng((seed, epoch)).permutation(n)
        index.append(int(order[position % n]))
    return index


def _moved(images: Tensor, transform: int) -> Tensor:
    """Flipped left and right (1) or up and down (2), or transposed (4)."""
    return images.transpose(2, 3) if transform == 4 else images.flip(4 - transform)


def evaluate(model: nn.Module, images: np.ndarray[Any, Any], batch: int, device: torch.device) -> float:
    """Mean over images of what the model reports, bits per dimension: of a bound, by the same draws every time.

    That is not its loss, where this has other terms or weights.
    """
    total = 0.0
    was = model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        for part in torch.split(torch.from_numpy(images), batch):
            total += float(_reported(model, part.to(device)).sum())
    model.train(was)
    return total / len(images) / math.log(2)
