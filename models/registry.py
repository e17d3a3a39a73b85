"""The table of models that are trained, evaluated and coded by name.

Reading the table imports no model, and not torch either.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "Architecture", "build", "config_class", "make_config"]


class Architecture(NamedTuple):
    """Where a model is.

    Attributes:
        module: within this package.
        model: name of its class there.
        config: name of the class of its configuration.
        shape: "autoregressive", "latent" or "bijective": how it is coded.
    """

    module: str
    model: str
    config: str
    shape: str


MODELS: dict[str, Architecture] = {
    "pixelcnn++": Architecture("autoregressive.pixelcnnpp", "PixelCNNPP", "PixelCNNPPConfig", "autoregressive"),
    "mcgsm": Architecture("autoregressive.mcgsm", "Mcgsm", "McgsmConfig", "autoregressive"),
    "dde": Architecture("autoregressive.dde", "Dde", "DdeConfig", "autoregressive"),
    "ride": Architecture("autoregressive.ride", "Ride", "RideConfig", "autoregressive"),
    "pixelcnn": Architecture("autoregressive.pixelcnn", "PixelCNN", "PixelCNNConfig", "autoregressive"),
    "class-pixelcnn": Architecture("autoregressive.classes", "ClassPixelCNN", "ClassPixelCNNConfig", "latent"),
    "vae": Architecture("latent.vae", "Vae", "VaeConfig", "latent"),
    "iaf-vae": Architecture("latent.iaf", "IafVae", "IafConfig", "latent"),
    "diffusion": Architecture("latent.diffusion", "Diffusion", "DiffusionConfig", "latent"),
    "binomial": Architecture("latent.binomial", "BinomialDiffusion", "BinomialConfig", "latent"),
    "topdown": Architecture("latent.topdown", "TopDown", "TopDownConfig", "latent"),
    "agave": Architecture("hybrid.agave", "Agave", "AgaveConfig", "latent"),
    "vq-vae": Architecture("hybrid.vqvae", "VqVae", "VqVaeConfig", "latent"),
    "real-nvp": Architecture("flows.nvp", "RealNvp", "RealNvpConfig", "bijective"),
    "gaussian": Architecture("flows.gaussian", "Gaussian", "GaussianConfig", "bijective"),
    "deep-gmm": Architecture("flows.deepgmm", "DeepGmm", "DeepGmmConfig", "bijective"),
    "v-ade": Architecture("ade.vade", "Vade", "VadeConfig", "bijective"),
    "av-ade": Architecture("ade.avade", "AvAde", "AvAdeConfig", "bijective"),
}


def _entry(name: str) -> Architecture:
    if name not in MODELS:
        raise UsageError(f"no model {name!r}: {', '.join(MODELS)}")
    return MODELS[name]


def config_class(name: str) -> Any:
    """The frozen dataclass that configures a model; raises UsageError for a name that is not in the table."""
    entry = _entry(name)
    return getattr(importlib.import_module(f".{entry.module}", __package__), entry.config)


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
    entry = _entry(name)
    made: nn.Module = getattr(importlib.import_module(f".{entry.module}", __package__), entry.model)(
        make_config(config_class(name), config, name)
    )
    return made
