"""Whether the .dz file that is there already is what its source would become with the options given."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from .. import DensezipError
from ..codec.file.container import Container, Payload, parse
from ..codec.file.inputs import Input, take_in
from ..codec.file.preview import takes_preview
from . import api
from .headers import dimensions

__all__ = ["Made", "Standing", "standing_of"]


class Standing(Enum):
    """What an output is that is there already, and has the time of the input.

    Attributes:
        CURRENT: What would be made, or as good as that.
        OUTDATED: Made of this very input, with other options.
        OTHER: Nobody knows.
    """

    CURRENT = 1
    OUTDATED = 2
    OTHER = 3


class Made(NamedTuple):
    """The file that an output seems to be made of.

    Attributes:
        head: Its first bytes.
        size: In bytes.
        whole: Gives all of it; called where the rest does not do.
    """

    head: bytes
    size: int
    whole: Callable[[], bytes]


def standing_of(
    existing: bytes, source: Made, *, strip: api.Strip, effort: int | None, preview: bool, max_pixels: int
) -> Standing:
    """Looks at the header, and at pixels and metadata of the source where options may have changed.

    Args:
        existing: The .dz file.
        source: What it seems to be made of.
        strip: As `densezip.compress` has it.
        effort: That the file has to have been coded with at least; `None` for any.
        preview: As `densezip.compress` has it. One that is not asked for is as good.
        max_pixels: As `densezip.compress` has it.
    """
    try:
        container = parse(existing)
        header = container.header
        size = dimensions(source.head)
        # A stored file may have no size of its own.
        if size is not None and header.width and size != (header.width, header.height):
            return Standing.OTHER
        if strip:
            kept = header.remainder is not None
            as_asked = not kept and _matches(container, source.whole(), strip, max_pixels)
        else:
            as_asked = _length(container) == source.size if _is_stored(container) else header.remainder is not None
        lacking = preview and not header.preview and takes_preview(header)
        if as_asked and not lacking and not (effort and _took_less(header.model, effort)):
            return Standing.CURRENT
        others = [other for other in (False, True, "all") if other != strip]
        whole = source.whole()
        if any(_matches(container, whole, each, max_pixels) for each in (strip, *others)):
            return Standing.OUTDATED
    except DensezipError:
        pass
    return Standing.OTHER


def _is_stored(container: Container) -> bool:
    """Whether it is the file that was kept, not its picture."""
    return container.header.payload in (Payload.STORED, Payload.FILE, Payload.JPEG)


def _length(container: Container) -> int:
    """Of a file that was kept."""
    header = container.header
    if header.payload is Payload.JPEG:
        return header.length
    return header.packing[1] if header.payload is Payload.FILE else len(container.tile(0))


def _took_less(model: str, effort: int) -> bool:
    """Whether a model is that of a lower effort; other coders are the same at every effort."""
    from ..models.photo import model_for_effort

    kind, _, own = model.rpartition("-")
    asked = model_for_effort(effort).name.rpartition("-")[2]
    return kind in ("photo", "jpeg") and own.isdecimal() and int(own) < int(asked)


def _matches(container: Container, source: bytes, strip: bool | str, max_pixels: int) -> bool:
    """Whether a file holds what is taken in of a source with this option."""
    try:
        taken: Input = take_in(source, strip, max_pixels)
        if not _is_stored(container):
            taken = taken.with_pixels()
    except DensezipError:
        return False  # metadata that cannot be dropped
    header = container.header
    from ..codec.images.picture import checksum, digest

    if _is_stored(container):
        return taken.data is not None and digest(taken.data) == header.checksum
    if taken.picture is None:
        return False
    remainder = None if taken.source is None else taken.source.remainder
    same = remainder == header.remainder and (remainder is not None or taken.picture.chunks == header.chunks)
    return same and checksum(taken.picture.pixels) == header.checksum
