"""Models by name: every architecture, and the checkpoints that come with densezip."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..codec.errors import InputError, WeightsError

__all__ = ["FOLDER", "VARIABLE", "Entry", "entries", "find_checkpoint", "folders", "known_digest"]

FOLDER = Path(__file__).with_name("checkpoints")

VARIABLE = "DENSEZIP_MODELS"
"""Of the environment: folders with checkpoints, separated as those of PATH."""


def folders() -> list[Path]:
    """Where checkpoints are looked for by name: that which comes with densezip, and those of `VARIABLE`."""
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [FOLDER, *(Path(folder) for folder in named if folder)]


@dataclass(frozen=True)
class Entry:
    """An architecture, or a checkpoint of one.

    Attributes:
        name: what commands call it.
        family: the architecture.
        shape: "autoregressive", "latent" or "bijective": how it is coded.
        trained_on: data, or None for an architecture.
        parameters: numbers in the checkpoint, or None.
        measured: figures by what they were measured on, or None.
    """

    name: str
    family: str
    shape: str
    trained_on: str | None = None
    parameters: int | None = None
    measured: dict[str, Any] | None = None


def entries() -> list[Entry]:
    """All architectures, then all shipped checkpoints.

    Raises:
        WeightsError: a shipped checkpoint is damaged.
    """
    from .registry import MODELS

    found = [Entry(name, name, entry.shape) for name, entry in MODELS.items()]
    for path in sorted(FOLDER.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:
                about = json.loads((file.metadata() or {})["densezip"])
                count = sum(_size(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)
            trained_on, family = about.get("data", {}), about["model"]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"the checkpoint {path} is damaged: {error}; install densezip again "
                "(pip install --force-reinstall densezip)"
            ) from error
        name = trained_on.get("name") if isinstance(trained_on, dict) else str(trained_on)
        found.append(Entry(path.stem, family, MODELS[family].shape, name, count, _figures(path)))
    return found


def _figures(path: Path) -> dict[str, Any] | None:
    """What was measured of a shipped checkpoint, from the file beside it."""
    beside = path.with_suffix(".json")
    try:
        figures = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else None
    except (OSError, ValueError) as error:
        raise WeightsError(f"the figures {beside} are damaged: {error}; install densezip again") from error
    return figures if isinstance(figures, dict) else None


def known_digest(path: Path) -> str | None:
    """The digest of a shipped checkpoint's weights, hexadecimal, as it was when it was measured; None for others."""
    figures = _figures(path) if path.parent == FOLDER else None
    return figures["digest"] if figures and isinstance(figures.get("digest"), str) else None


def _size(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def find_checkpoint(name: str) -> Path:
    """The file of a checkpoint: by its name in one of the `folders`, or a path.

    Raises:
        InputError: neither.
    """
    for folder in folders():
        found = folder / f"{name}.safetensors"
        if found.is_file():
            return found
    path = Path(name)
    if path.is_file():
        return path
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.safetensors"))) or "none yet"
    others = ", ".join(str(folder) for folder in folders()[1:])
    places = f" or that {VARIABLE} has ({others})" if others else f"; {VARIABLE} names no folder with others"
    raise InputError(f"no checkpoint {name!r}: neither a file nor one that comes with densezip ({known}){places}")
