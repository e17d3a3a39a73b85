"""How a model is trained: the recipe, and the configuration files that hold it beside the model's settings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...codec.errors import UsageError
from ..registry import config_class, make_config

__all__ = ["Recipe", "presets", "read_config"]

PRESETS = Path(__file__).parents[1] / "presets"


@dataclass(frozen=True)
class Recipe:
    """Choices of a training that do not change what the model is.

    Attributes:
        steps: updates of the weights.
        batch: images of a step, over all processes.
        rate: highest learning rate of Adam, reached after `warm_up` steps, lowered along half a cosine to 0 at the end.
        warm_up: steps.
        beta1: decay of Adam's average of gradients.
        beta2: decay of its average of squares.
        clip: largest norm of the gradient; larger ones are scaled down.
        average: highest decay of the average of the weights, which is what is measured and kept; at step n it is
            (1 + n) / (10 + n) at most, so that the first weights are soon forgotten.
        flip: mirror every other image.
        transforms: show every image in one of its eight flips and transposes, drawn anew; square images only.
        optimizer: "adam" or "adamax".
        patch: side of the crops from folders of images; 0 for whole images.
        every: steps between measurements on the validation images and checkpoints.
        validation: number of validation images to measure by.
    """

    steps: int = 10000
    batch: int = 16
    rate: float = 1e-3
    warm_up: int = 200
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    average: float = 0.999
    flip: bool = True
    transforms: bool = False
    optimizer: str = "adam"
    patch: int = 0
    every: int = 500
    validation: int = 200


def presets(model: str) -> list[str]:
    """Names of the configurations that are shipped for a model."""
    return sorted(p.stem.removeprefix(model + "-") for p in PRESETS.glob(f"{model}-*.toml"))


def read_config(model: str, config: str) -> tuple[dict[str, Any], Recipe]:
    """A configuration: [model] with the settings of the model, [training] with those of `Recipe`.

    Args:
        model: name, for its presets.
        config: path of a TOML file, or the name of a preset ("small", "paper").

    Returns:
        The model's settings as plain values, and the recipe.

    Raises:
        UsageError: no such file or preset, not TOML, an unknown setting, or a value of the wrong type.
    """
    path = PRESETS / f"{model}-{config}.toml" if config in presets(model) else Path(config)
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        known = ", ".join(presets(model)) or "none"
        raise UsageError(f"{config}: {error.strerror}; presets of {model}: {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    if unknown := set(tables) - {"model", "training"}:
        raise UsageError(f"{path}: unknown table [{min(unknown)}]; [model] and [training] are read")
    settings = tables.get("model", {})
    make_config(config_class(model), settings, f"{path} [model]")
    return settings, make_config(Recipe, tables.get("training", {}), f"{path} [training]")
