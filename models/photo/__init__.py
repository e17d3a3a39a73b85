"""The photo model: linear experts, a trained network that mixes them, and the learning of both while coding.

| file | what it holds |
| --- | --- |
| `shape.py` | sizes and constants, without imports |
| `weights.py` | the shipped models: specifications, weights, identities |
| `emit.py` | vectors and loops as LLVM code |
| `kernels.py` | dense linear algebra with one order of operations everywhere |
| `logistic.py` | the exponential and logistic functions, likewise |
| `experts.py` | recursive least squares |
| `context.py` | what the network sees of a pixel |
| `network.py` | the network: forward, backward, Adam |
| `mixture.py` | discretized logistic mixtures as integer intervals |
| `engine.py` | the compiled loop over pixels |
| `tile.py` | tiles to bytes and back |
| `observe.py`, `torchnet.py`, `train.py` | training; the last two need torch |

Importing this package imports none of the slow ones.
"""

from typing import TYPE_CHECKING, Any

from .weights import EFFORTS, ModelId, known_models, model_for_effort

if TYPE_CHECKING:
    from .tile import decode_tile, encode_tile, measure_bits, tile_shape

__all__ = [
    "EFFORTS",
    "ModelId",
    "decode_tile",
    "encode_tile",
    "known_models",
    "measure_bits",
    "model_for_effort",
    "tile_shape",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import tile

        return getattr(tile, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
