"""Models: networks and distributions that hand the codec integer probabilities.

Names are resolved on first use, so that importing this package imports neither numpy nor a model.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .photo import EFFORTS, ModelId, decode_tile, encode_tile, known_models, model_for_effort, tile_shape

__all__ = ["EFFORTS", "ModelId", "decode_tile", "encode_tile", "known_models", "model_for_effort", "tile_shape"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import photo

    value: object = getattr(photo, name)
    globals()[name] = value
    return value
