"""Models by name: every architecture, and the checkpoints that come with densezip."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ..codec.errors import InputError

__all__ = ["FOLDER", "Entry", "entries", "find_checkpoint"]

FOLDER = Path(__file__).with_name("checkpoints")


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
    """All architectures, then all shipped checkpoints."""
    from .registry import MODELS

    found = [Entry(name, name, "autoregressive") for name in MODELS]
    for path in sorted(FOLDER.glob("*.safetensors")):
        with safe_open(path, "np") as file:
            about = json.loads(file.metadata()["densezip"])
            count = sum(_size(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)
        measured = path.with_suffix(".json")
        figures = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else None
        trained_on = about.get("data", {})
        name = trained_on.get("name") if isinstance(trained_on, dict) else str(trained_on)
        found.append(Entry(path.stem, about["model"], "autoregressive", name, count, figures))
    return found


def _size(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def find_checkpoint(name: str) -> Path:
    """The file of a checkpoint: a shipped one by its name, or a path.

    Raises:
        InputError: neither.
    """
    shipped = FOLDER / f"{name}.safetensors"
    if shipped.exists():
        return shipped
    path = Path(name)
    if path.is_file():
        return path
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.safetensors"))) or "none yet"
    raise InputError(f"no checkpoint {name!r}: neither a file nor one that comes with densezip ({known})")
