"""The models as coders of tiles, the shape in which the codec layer takes them; density models, of whole pictures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias, cast

from ..codec.errors import UnknownModelError, UsageError
from ..codec.file.container import Container, Header, Payload
from ..codec.file.payload import Coder

if TYPE_CHECKING:
    from torch import nn

    from ..codec.images.history.decoder import Bytes
    from ..codec.images.picture import Array, Picture
    from ..codec.images.source import Source
    from .photo import ModelId

    Model: TypeAlias = str | PathLike[str] | nn.Module

__all__ = [
    "coder_for_effort",
    "coder_of_header",
    "decode_by_model",
    "encode_by_model",
    "history_coder",
    "indexed_coder",
    "rendered_coder",
]

Report = Callable[[float], None] | None


def coder_for_effort(effort: int, height: int, width: int, depth: int) -> Coder:
    """The coder for new files; as its `lesser`, those of lower efforts.

    Args:
        effort: 1 to 9; those between 1, 5 and 9 as `model_for_effort` says.
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


def rendered_coder(height: int, width: int, depth: int) -> Coder:
    """The coder for what programs made.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: bits per sample in memory, 8 or 16.
    """
    from .rendered import tile

    return _rendered_coder(*tile.tile_shape(height, width), depth)


def history_coder(effort: int) -> "Callable[[Array], Coder | None]":
    """What looks at a picture [H, W, C] of 8 bits and gives the coder of the JPEG file that it was, if it was one."""

    def look(pixels: "Array") -> Coder | None:
        from ..codec.file.history import colours_of, is_bounded
        from ..codec.images.history.traces import may_be_decoded

        channels = pixels.shape[2]
        colours = colours_of(channels)
        if colours not in (1, 3) or pixels.dtype != "uint8":
            return None
        shown = cast("Bytes", pixels if colours == channels else pixels[:, :, :colours].copy())
        if colours == 3 and bool((shown[:, :, :1] == shown).all()):
            shown = shown[:, :, :1].copy()
        if not may_be_decoded(shown):
            return None
        from ..codec.images.history.undo import undo

        history = undo(shown)
        if history is None or not is_bounded(history.canvas, *pixels.shape[:2]):
            return None
        from .jpeg import coder as coefficients
        from .jpeg import tile

        coder = coefficients.coder_for_effort(effort)
        return Coder(
            Payload.MODEL,
            pixels.shape[0],
            pixels.shape[1],
            lambda whole, advance: tile.encode_tile(cast("Bytes", whole), history, coder, advance),
            tile.decode_tile,
            tile.NAME,
            tile.DIGEST,
        )

    return look


def coder_of_header(header: Header) -> Coder:
    """The coder that wrote a file.

    Raises:
        UnknownModelError: its model, or its weights, are not here.
    """
    from ..codec.file.history import MODES
    from . import indexed, photo
    from .jpeg import tile as history
    from .rendered import tile as rendered

    if (header.model, header.digest) == (indexed.NAME, indexed.DIGEST) and header.sample_bytes == 1:
        return replace(
            indexed_coder(header.height, header.width), tile_height=header.tile_height, tile_width=header.tile_width
        )
    if (header.model, header.digest) == (rendered.NAME, rendered.DIGEST):
        return _rendered_coder(header.tile_height, header.tile_width, 8 * header.sample_bytes)
    if (header.model, header.digest) == (history.NAME, history.DIGEST) and header.mode in MODES:
        size = header.tile_height, header.tile_width
        return Coder(Payload.MODEL, *size, _never, history.decode_tile, history.NAME, history.DIGEST)
    known = photo.known_models()
    for model in known:
        if (model.name, model.digest) == (header.model, header.digest):
            return _photo_coder(model, header.tile_height, header.tile_width, 8 * header.sample_bytes)
    pairs = [*((model.name, model.digest) for model in known), (indexed.NAME, indexed.DIGEST)]
    pairs += [(rendered.NAME, rendered.DIGEST), (history.NAME, history.DIGEST)]
    names = ", ".join(f"{name} ({digest.hex()})" for name, digest in pairs)
    raise UnknownModelError(f"coded by model {header.model} ({header.digest.hex()}); this program knows {names}")


def _never(tile: "Array", advance: Callable[[int], None]) -> bytes:
    raise AssertionError("a picture's history is found before it is coded")


def _photo_coder(model: "ModelId", tile_height: int, tile_width: int, depth: int) -> Coder:
    from . import photo

    return Coder(
        Payload.MODEL,
        tile_height,
        tile_width,
        lambda tile, advance: photo.encode_tile(model, tile, depth, advance),
        lambda data, shape, advance: photo.decode_tile(model, data, shape, depth, advance),
        model.name,
        model.digest,
    )


def _rendered_coder(tile_height: int, tile_width: int, depth: int) -> Coder:
    from .rendered import tile

    return Coder(
        Payload.MODEL,
        tile_height,
        tile_width,
        tile.encode_tile,
        lambda data, shape, advance: tile.decode_tile(data, shape, depth, advance),
        tile.NAME,
        tile.DIGEST,
    )


def encode_by_model(picture: "Picture", model: "tuple[Model, str]", report: Report, source: "Source | None") -> bytes:
    """The .dz file of a picture by a density model.

    Args:
        picture: what to code.
        model: a checkpoint (name or path) or module, and the device that its network runs on.
        report: called with the fraction done.
        source: the file that the picture came from.
    """
    with _torch():
        from ..codec.file.chained import encode_chained
        from .coding import coder_for

        return encode_chained(picture, coder_for(*model), report, source)[0]


def decode_by_model(container: Container, model: "tuple[Model | None, str]", report: Report) -> "Picture":
    """The picture in such a file, by the model given, or by the one that its header names.

    Raises:
        UnknownModelError: the model is not here, or has other weights.
    """
    with _torch():
        from ..codec.file.chained import decode_chained
        from .coding import coder_of_chained

        return decode_chained(container, coder_of_chained(container.header, *model), report)


@contextmanager
def _torch() -> Iterator[None]:
    """With one thread of torch: most operations are small, and more threads take ten times as long for them.

    Raises:
        UsageError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise UsageError("density models need torch, which is missing: pip install 'densezip[models]'")
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
