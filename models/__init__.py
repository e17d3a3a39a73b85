"""Models: networks and distributions that hand the codec integer probabilities.

`measure` weighs a density of images, which is of one of three shapes: `AutoregressiveModel`, `LatentVariable`,
`Bijective`; codec/README.md has an example of each. Names are resolved on first use, so that importing this package
imports neither numpy nor a model.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .autoregressive.density import AutoregressiveModel, Scan
    from .denoising.estimator import DenoisingConfig, DenoisingDensity
    from .evaluation import Evaluation, measure
    from .flows.bijective import Bijective
    from .flows.layers import Coupling, Flow, Squeeze
    from .flows.norms import Standardize
    from .latent.variable import LatentVariable
    from .likelihoods import BernoulliFamily, LogisticFamily
    from .photo import EFFORTS, ModelId, decode_tile, encode_tile, known_models, model_for_effort, tile_shape
    from .shapes import ImageModel

__all__ = [
    "EFFORTS",
    "AutoregressiveModel",
    "BernoulliFamily",
    "Bijective",
    "Coupling",
    "DenoisingConfig",
    "DenoisingDensity",
    "Evaluation",
    "Flow",
    "ImageModel",
    "LatentVariable",
    "LogisticFamily",
    "ModelId",
    "Scan",
    "Squeeze",
    "Standardize",
    "decode_tile",
    "encode_tile",
    "known_models",
    "measure",
    "model_for_effort",
    "tile_shape",
]

_HOMES = {
    "AutoregressiveModel": "autoregressive.density",
    "BernoulliFamily": "likelihoods",
    "Bijective": "flows.bijective",
    "Coupling": "flows.layers",
    "DenoisingConfig": "denoising.estimator",
    "DenoisingDensity": "denoising.estimator",
    "Evaluation": "evaluation",
    "Flow": "flows.layers",
    "ImageModel": "shapes",
    "LatentVariable": "latent.variable",
    "LogisticFamily": "likelihoods",
    "Scan": "autoregressive.density",
    "Squeeze": "flows.layers",
    "Standardize": "flows.norms",
    "measure": "evaluation",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES.get(name, 'photo')}", __name__), name)
    globals()[name] = value
    return value
