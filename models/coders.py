"""The models as coders of tiles, the shape in which the codec layer takes them."""

from ..codec.container import Header, Payload
from ..codec.errors import UnknownModelError
from ..codec.payload import Coder
from . import photo

__all__ = ["coder_for_effort", "coder_of_header"]


def coder_for_effort(effort: int, height: int, width: int, depth: int) -> Coder:
    """The coder for new files.

    Args:
        effort: 1 to 9.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: bits per sample in memory, 8 or 16.
    """
    model = photo.model_for_effort(effort)
    tile_height, tile_width = photo.tile_shape(model, height, width)
    return _coder(model, min(tile_height, height), min(tile_width, width), depth)


def coder_of_header(header: Header) -> Coder:
    """The coder that wrote a file.

    Raises:
        UnknownModelError: its model, or its weights, are not here.
    """
    known = photo.known_models()
    for model in known:
        if (model.name, model.digest) == (header.model, header.digest):
            return _coder(model, header.tile_height, header.tile_width, 8 * header.sample_bytes)
    names = ", ".join(f"{model.name} ({model.digest.hex()})" for model in known)
    raise UnknownModelError(f"coded by model {header.model} ({header.digest.hex()}); this program knows {names}")


def _coder(model: photo.ModelId, tile_height: int, tile_width: int, depth: int) -> Coder:
    return Coder(
        Payload.MODEL,
        tile_height,
        tile_width,
        lambda tile, advance: photo.encode_tile(model, tile, depth, advance),
        lambda data, shape, advance: photo.decode_tile(model, data, shape, depth, advance),
        model.name,
        model.digest,
    )
