"""The models as coders of tiles, the shape in which the codec layer takes them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..codec.errors import UnknownModelError
from ..codec.file.container import Header, Payload
from ..codec.file.payload import Coder
from ..codec.native import ieee_arithmetic

if TYPE_CHECKING:
    from .photo import ModelId

__all__ = ["coder_for_effort", "coder_of_header", "indexed_coder"]


def coder_for_effort(effort: int, height: int, width: int, depth: int) -> Coder:
    """The coder for new files; as its `lesser`, those of lower efforts.

    Args:
        effort: 1 to 9.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: bits per sample in memory, 8 or 16.
    """
    from . import photo

    def coder(effort: int) -> Coder:
        model = photo.model_for_effort(effort)
        tile_height, tile_width = photo.tile_shape(model, height, width)
        return _photo_coder(model, min(tile_height, height), min(tile_width, width), depth)

    found = coder(effort)
    lesser = [coder(other) for other in photo.EFFORTS if other < effort]
    return replace(found, lesser=tuple(other for other in lesser if other.model != found.model))


def indexed_coder(height: int, width: int) -> Coder:
    """The coder for images of few colours.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
    """
    from . import indexed

    tile_height, tile_width = indexed.tile_shape(height, width)
    return Coder(
        Payload.MODEL,
        tile_height,
        tile_width,
        indexed.encode_tile,
        indexed.decode_tile,
        indexed.NAME,
        indexed.DIGEST,
    )


def coder_of_header(header: Header) -> Coder:
    """The coder that wrote a file.

    Raises:
        UnknownModelError: its model, or its weights, are not here.
    """
    from . import indexed, photo

    if (header.model, header.digest) == (indexed.NAME, indexed.DIGEST) and header.sample_bytes == 1:
        return replace(
            indexed_coder(header.height, header.width), tile_height=header.tile_height, tile_width=header.tile_width
        )
    known = photo.known_models()
    for model in known:
        if (model.name, model.digest) == (header.model, header.digest):
            return _photo_coder(model, header.tile_height, header.tile_width, 8 * header.sample_bytes)
    pairs = [*((model.name, model.digest) for model in known), (indexed.NAME, indexed.DIGEST)]
    names = ", ".join(f"{name} ({digest.hex()})" for name, digest in pairs)
    raise UnknownModelError(f"coded by model {header.model} ({header.digest.hex()}); this program knows {names}")


def _photo_coder(model: "ModelId", tile_height: int, tile_width: int, depth: int) -> Coder:
    from . import photo

    return Coder(
        Payload.MODEL,
        tile_height,
        tile_width,
        # On their way to the compiled core numpy rounds weights, in whatever way the process was set to.
        ieee_arithmetic()(lambda tile, advance: photo.encode_tile(model, tile, depth, advance)),
        ieee_arithmetic()(lambda data, shape, advance: photo.decode_tile(model, data, shape, depth, advance)),
        model.name,
        model.digest,
    )
