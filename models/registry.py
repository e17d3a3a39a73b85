"""The table of models that are trained, evaluated and coded by name.

Reading the table imports no model, and not torch either.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..codec.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "build", "config_class", "make_config"]

MODELS: dict[str, tuple[str, str, str]] = {
    # name: module, class of the model, class of its configuration
    "pixelcnn++": ("autoregressive.pixelcnnpp", "PixelCNNPP", "PixelCNNPPConfig"),
    "mcgsm": ("autoregressive.mcgsm", "Mcgsm", "McgsmConfig"),
    "ride": ("autoregressive.ride", "Ride", "RideConfig"),
    "pixelcnn": ("autoregressive.pixelcnn", "PixelCNN", "PixelCNNConfig"),
}


def _entry(name: str) -> tuple[str, str, str]:
    if name not in MODELS:
        raise UsageError(f"no model {name!r}: {', '.join(MODELS)}")
    return MODELS[name]


def config_class(name: str) -> Any:
    """The frozen dataclass that configures a model; raises UsageError for a name that is not in the table."""
    module, _, config = _entry(name)
    return getattr(importlib.import_module(f".{module}", __package__), config)


def make_config(kind: Any, values: Mapping[str, Any], what: str) -> Any:
    """A configuration dataclass from plain values, checked by name and type.

    Args:
        kind: the dataclass.
        values: by field name.
        what: what it configures, for messages.

    Raises:
        UsageError: an unknown name, or a value of another type than the field's default.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise UsageError(f"{what} has no setting {name!r}: {', '.join(fields)}")
        default = fields[name].default
        found = tuple(value) if isinstance(value, list) else value
        if isinstance(default, float) and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if default is not dataclasses.MISSING and type(found) is not type(default):
            raise UsageError(f"{what}: {name} = {value!r}, wanted {type(default).__name__}, such as {default!r}")
        checked[name] = found
    return kind(**checked)


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """A new model from its name and the plain values of its configuration."""
    module, model, _ = _entry(name)
    made: nn.Module = getattr(importlib.import_module(f".{module}", __package__), model)(
        make_config(config_class(name), config, name)
    )
    return made
