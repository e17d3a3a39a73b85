"""The photo model: linear experts, a trained network that mixes them, and the learning of both while coding.

| file | what it holds |
| --- | --- |
| `shape.py` | sizes and constants, without imports |
| `weights.py` | the shipped models: specifications, weights, identities |
| `engine.py` | memory and calls of the compiled core, whose state is described in `engine.h` |
| `experts.kernels.c` | recursive least squares |
| `context.kernels.c` | what the network sees of a pixel |
| `network.kernels.c`, `products.h` | the network, in integers |
| `learning.kernels.c` | its learning: backward, Adam |
| `mixture.kernels.c` | discretized logistic mixtures as integer intervals, for 16 bits |
| `nodes.kernels.c` | the same mixtures along the binary tree of an 8-bit sample |
| `adaptive.kernels.c` | the last stage: counters that learn the image's own values, bit by bit |
| `tile.kernels.c` | the loop over pixels |
| `check.kernels.c` | single steps of these, for tests |
| `tile.py`, `measure.py` | tiles to bytes and back; the bits that each sample took |
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
