"""The shipped photo models: specifications, weights and identities. Imports neither numpy nor torch."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from ...codec.native import ieee_arithmetic
from .shape import ExpertSpec, ModelSpec, NetShape, padded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EFFORTS", "GROUPS", "MODELS", "ModelId", "PhotoWeights", "known_models", "load_weights", "model_for_effort"]

ENGINE_REVISION = 2
"""Counts the changes of the compiled engine that change what a file means."""

MODELS = {
    "photo-1": ModelSpec(
        experts=(ExpertSpec(5, 0.99, 0), ExpertSpec(8, 0.998, 0)),
        reach=10,
        width=32,
        layers=2,
        hidden=16,
        components=5,
        schedule=(5e-4, 5e-4, 1e4),
    ),
    "photo-5": ModelSpec(
        experts=(
            ExpertSpec(5, 0.98, 3),
            ExpertSpec(8, 0.99, 3),
            ExpertSpec(13, 0.9995, 0),
            ExpertSpec(21, 0.9998, 0),
        ),
        reach=18,
        width=96,
        layers=3,
        hidden=48,
        components=5,
        schedule=(4e-4, 2e-4, 1e5),
    ),
    "photo-9": ModelSpec(
        experts=(
            ExpertSpec(3, 0.96, 3),
            ExpertSpec(8, 0.98, 3),
            ExpertSpec(13, 0.995, 3),
            ExpertSpec(13, 0.9995, 0),
            ExpertSpec(21, 0.9998, 0),
            ExpertSpec(29, 0.9999, 0),
        ),
        reach=24,
        width=160,
        layers=4,
        hidden=80,
        components=7,
        schedule=(4e-4, 1.5e-4, 5e4),
        turned=True,
    ),
}

EFFORTS = (1, 5, 9)

CODING_ORDER = (1, 0, 2)
"""Colours are coded green, red, blue: green says most about the others."""

GROUPS = {"colour": 3, "grey": 1}
"""Each model has one network for single planes (grey images, alpha) and one for three colours."""


class ModelId(NamedTuple):
    """Identity of a model in a file: its name, and the first four bytes of a hash of all that determines its output."""

    name: str
    digest: bytes


class PhotoWeights(NamedTuple):
    """A model's weights for one group of channels, as flat vectors in the order of `NetShape.matrices`."""

    spec: ModelSpec
    shape: NetShape
    parameters: NDArray[np.float32]
    square: NDArray[np.float32]  # second moments with which the learning begins


def _read(name: str) -> bytes:
    return resources.files(__package__).joinpath(f"{name}.safetensors").read_bytes()


@lru_cache
def _identity(name: str) -> ModelId:
    digest = hashlib.sha256(f"{ENGINE_REVISION} {MODELS[name]!r}".encode() + _read(name)).digest()
    return ModelId(name, digest[:4])


def model_for_effort(effort: int) -> ModelId:
    """The model of an effort from 1 to 9: of 1 to 3 the fast one, of 7 to 9 the best one, else the default."""
    return _identity(f"photo-{1 if effort <= 3 else 5 if effort <= 6 else 9}")


def known_models() -> tuple[ModelId, ...]:
    """All models that can be decoded."""
    return tuple(_identity(name) for name in MODELS)


def load_weights(name: str, group: str) -> PhotoWeights:
    """The weights of a shipped model for `group`, "grey" or "colour"."""
    from safetensors.numpy import load

    return weights_from_tensors(MODELS[name], group, load(_read(name)))


def flat(shape: NetShape, tensors: dict[str, NDArray[Any]], weight: str, bias: str) -> NDArray[np.float32]:
    """One vector of a network's tensors `{layer}.{weight}` [inputs, outputs] and `{layer}.{bias}` [outputs]."""
    import numpy as np

    from .shape import ROW_MULTIPLE

    parts = []
    for name, (rows, columns) in shape.matrices().items():
        matrix = np.zeros((padded(rows, ROW_MULTIPLE), columns), np.float32)
        matrix[:rows] = tensors[f"{name}.{weight}"]
        parts += [matrix.ravel(), tensors[f"{name}.{bias}"].astype(np.float32)]
    return np.concatenate(parts)


def weights_from_tensors(spec: ModelSpec, group: str, tensors: dict[str, NDArray[Any]]) -> PhotoWeights:
    """The weights of `group` among named tensors such as `colour.trunk.0.weight`."""
    shape = spec.shape(GROUPS[group])
    own = {name.removeprefix(f"{group}."): value for name, value in tensors.items() if name.startswith(f"{group}.")}
    with ieee_arithmetic():
        square = flat(shape, own, "weight_rms", "bias_rms") ** 2
    return PhotoWeights(spec, shape, flat(shape, own, "weight", "bias"), square)
