"""Density models by what commands and files call them: a checkpoint, several that are averaged, an ensemble of that.

NAME               a checkpoint: its path, or its name in a folder of `shipped.folders`
NAME,NAME          the average of the distributions of each sample, of MCGSMs and RIDEs of one radius
best:NAME,...      the average over the eight transforms of an image; files hold the likeliest of them
exact:NAME,...     the same; files take the average, by bits-back coding of the transform
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from ..codec.errors import UsageError
from .autoregressive.choices import Mode
from .autoregressive.density import AutoregressiveModel
from .autoregressive.ensemble import Ensemble, Mixture
from .autoregressive.pixels import PixelModel
from .checkpoint import load_model
from .shapes import ImageModel
from .shipped import find_checkpoint

__all__ = ["Named", "as_image_model", "find_model", "split_name"]

SHAPES = "AutoregressiveModel, LatentVariable or Bijective"


@dataclass(frozen=True)
class Named:
    """A model that is yet to be read.

    Attributes:
        paths: checkpoints; of several, the average is meant.
        mode: of an ensemble over transforms, or None.
    """

    paths: tuple[Path, ...]
    mode: Mode | None = None

    @property
    def name(self) -> str:
        """What a file calls it: without folders."""
        return f"{self.mode}:" * (self.mode is not None) + ",".join(path.stem for path in self.paths)

    @property
    def changed(self) -> tuple[int, ...]:
        """When each checkpoint was last written."""
        return tuple(path.stat().st_mtime_ns for path in self.paths)

    def load(self) -> ImageModel:
        """The model, on the CPU.

        Raises:
            InputError: a checkpoint is damaged, or of another version.
            UsageError: models that cannot be averaged, or that are no densities of images.
        """
        members = [as_image_model(load_model(path)[0]) for path in self.paths]
        model = members[0]
        if len(members) > 1:
            kinds = [type(member).__name__ for member in members if not isinstance(member, PixelModel)]
            if kinds:
                raise UsageError(f"{self.name}: MCGSMs and RIDEs are averaged, which code in one order; not {kinds[0]}")
            model = Mixture(cast(list[PixelModel], members))
        if self.mode is None:
            return model
        if not isinstance(model, AutoregressiveModel):
            raise UsageError(f"{self.name}: an ensemble over transforms of what is no autoregressive model")
        return Ensemble(model, self.mode)


def split_name(name: str) -> tuple[Mode | None, list[str]]:
    """The mode, and the names of the checkpoints."""
    head, colon, rest = name.partition(":")
    mode: Any = head if colon and head in get_args(Mode) else None
    return mode, (rest if mode else name).split(",")


def find_model(name: str) -> Named:
    """The checkpoints of a model; see the module.

    Raises:
        InputError: one is not there.
    """
    mode, parts = split_name(name)
    whole = ",".join(parts)
    if len(parts) > 1 and Path(whole).is_file():
        parts = [whole]
    return Named(tuple(find_checkpoint(part) for part in parts), mode)


def as_image_model(model: object) -> ImageModel:
    """A torch module as a density of images.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(model, ImageModel):
        raise UsageError(f"a {type(model).__name__} is no density of images: derive it from {SHAPES}")
    return model
