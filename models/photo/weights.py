"""The shipped photo models: specifications, weights and identities. Imports neither numpy nor torch.

The digests of the weights are known to the package, so that weights that are damaged, or not those that it came with,
neither write files that nobody can read nor decode any. After a training, or a change of `MODELS` or of the engine,
the line that `table_line` makes goes into `SHIPPED`; `densezip train photo` prints it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...codec.errors import WeightsError
from ...codec.native import ieee_arithmetic
from .shape import ExpertSpec, ModelSpec, NetShape, padded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "EFFORTS",
    "GROUPS",
    "MODELS",
    "SHIPPED",
    "ModelId",
    "PhotoWeights",
    "known_models",
    "load_weights",
    "model_for_effort",
    "table_line",
]

FOLDER = Path(__file__).parent

ENGINE_REVISION = 5
"""Counts the changes of the compiled engine that change what a file means."""

MODELS = {
    "photo-1": ModelSpec(
        experts=(ExpertSpec(5, 0.99, 0), ExpertSpec(16, 0.9995, 0, 12)),
        reach=10,
        width=32,
        layers=2,
        hidden=16,
        components=5,
        schedule=(5e-4, 5e-4, 1e4),
        histories=3,
    ),
    "photo-5": ModelSpec(
        experts=(
            ExpertSpec(5, 0.98, 3),
            ExpertSpec(8, 0.99, 3),
            ExpertSpec(13, 0.9995, 0, 12),
            ExpertSpec(26, 0.9998, 0, 4),
        ),
        reach=18,
        width=96,
        layers=3,
        hidden=48,
        components=5,
        schedule=(4e-4, 2e-4, 1e5),
        histories=4,
    ),
    "photo-9": ModelSpec(
        experts=(
            ExpertSpec(3, 0.96, 3),
            ExpertSpec(8, 0.98, 3),
            ExpertSpec(13, 0.995, 3),
            ExpertSpec(13, 0.9995, 0, 12),
            ExpertSpec(21, 0.9998, 0, 4),
            ExpertSpec(29, 0.9999, 0, 4),
        ),
        reach=24,
        width=160,
        layers=4,
        hidden=80,
        components=7,
        schedule=(4e-4, 1.5e-4, 5e4),
        histories=4,
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


class Shipped(NamedTuple):
    """What is known of a shipped file of weights.

    Attributes:
        digest: 8 hexadecimal digits, which name the model in files: of `ENGINE_REVISION`, the model's specification and
            the weights.
        sha256: of the file of weights, hexadecimal.
    """

    digest: str
    sha256: str


SHIPPED = {
    "photo-1": Shipped("31ab718c", "a3a31967e8e804e97e95ce53fff4fb66f027c960bf98f13e4ab264d16efa7d34"),
    "photo-5": Shipped("efa14658", "68c55e202d437c060cffbf6b18763261f6825176ed3c50142e64f394d2ce2cf7"),
    "photo-9": Shipped("60ca5027", "7b1fe9e29fb1f2264c4041080c13aecbf658b77cbdf34cd779fad7a0e0891aa9"),
}


def fingerprint(name: str, data: bytes) -> Shipped:
    """The digests of the bytes of a file of weights for the model `name`."""
    digest = hashlib.sha256(f"{ENGINE_REVISION} {MODELS[name]!r}".encode() + data).hexdigest()
    return Shipped(digest[:8], hashlib.sha256(data).hexdigest())


def table_line(name: str, data: bytes) -> str:
    """The line of `SHIPPED` for the bytes of a file of weights."""
    found = fingerprint(name, data)
    return f'    "{name}": Shipped("{found.digest}", "{found.sha256}"),'


def _read(name: str) -> bytes:
    """The bytes of a shipped file of weights.

    Raises:
        WeightsError: it is missing, damaged, or another than the package came with.
    """
    file = FOLDER / f"{name}.safetensors"
    remedy = "install densezip again (pip install --force-reinstall densezip)"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"the weights {file} cannot be read: {error.strerror or error}; {remedy}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHIPPED[name].sha256:
        raise WeightsError(
            f"the weights {file} are damaged: {len(data)} bytes whose SHA-256 begins with {found[:16]}, "
            f"not {SHIPPED[name].sha256[:16]}; {remedy}"
        )
    return data


def _identity(name: str) -> ModelId:
    return ModelId(name, bytes.fromhex(SHIPPED[name].digest))


def model_for_effort(effort: int) -> ModelId:
    """The model of an effort from 1 to 9: of 1 to 3 the fast one, of 7 to 9 the best one, else the default."""
    return _identity(f"photo-{1 if effort <= 3 else 5 if effort <= 6 else 9}")


def known_models() -> tuple[ModelId, ...]:
    """All models that can be decoded."""
    return tuple(_identity(name) for name in MODELS)


def load_weights(name: str, group: str) -> PhotoWeights:
    """The weights of a shipped model for `group`, "grey" or "colour".

    Raises:
        WeightsError: their file is missing or damaged.
    """
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
