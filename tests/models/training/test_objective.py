"""What a training shows and is measured by: transforms of images, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from densezip.codec.errors import UnsupportedImageError, UsageError
from densezip.models.autoregressive.ensemble import TRANSFORMS, transform
from densezip.models.training.data import Data
from densezip.models.training.objective import Objective, batch_of, check_data, evaluate
from densezip.models.training.recipe import Recipe
from small_models import made, pictures


def test_every_transform_of_an_image_is_shown_and_nothing_else() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    shown = batch_of(Data("one", "", image), Recipe(batch=200, transforms=True), 0, 0)
    known = {tuple(transform(torch.from_numpy(image), n).flatten().tolist()) for n in range(TRANSFORMS)}
    assert {tuple(x.flatten().tolist()) for x in shown} == known
    assert len(known) == TRANSFORMS


def test_transposes_of_what_is_not_square_are_refused() -> None:
    with pytest.raises(UsageError, match="4x3 pixels are not square"):
        batch_of(Data("one", "", np.zeros((1, 1, 3, 4), np.uint8)), Recipe(transforms=True), 0, 0)


@pytest.mark.parametrize("name", ["mcgsm", "vae", "affine"])
def test_a_measurement_is_the_bound_and_the_same_every_time(name: str) -> None:
    model, images = made(name), pictures(40)
    first, second = (evaluate(model, images, 16, torch.device("cpu")) for _ in range(2))
    assert first == second
    torch.manual_seed(1)
    with torch.no_grad():
        bound = -model.bound(torch.from_numpy(images)).mean().item() / 64 / np.log(2)
    assert first == pytest.approx(bound, rel=0.05)
    model.loss = lambda x: torch.ones(())  # a loss of its own is minimised, and not measured
    assert float(Objective(model)(torch.from_numpy(images))) == 1
    assert evaluate(model, images, 16, torch.device("cpu")) == first


@pytest.mark.parametrize(
    ("name", "images", "words"),
    [
        ("vae", pictures(2, side=12), "12x12 pixels for a model of 8x8"),
        ("maps", pictures(2, side=6), "which takes multiples of 4"),
        ("vae", pictures(2, channels=3), "3 channels for a Vae of 1"),
    ],
)
def test_images_that_a_model_does_not_take_are_refused_before_training(
    name: str, images: np.ndarray[Any, Any], words: str
) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        check_data(made(name), Data("some", "train", images))


def test_samples_beyond_the_levels_of_a_model_are_refused_before_training() -> None:
    with pytest.raises(UnsupportedImageError, match=r"samples up to \d+ for a model of 2 levels"):
        check_data(made("vae", levels=2), Data("some", "train", pictures(2)))
