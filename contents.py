"""What is in a .dz file, for the public functions: its container, the file that went in, its picture."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from .codec.arguments import check_callables, check_number
from .codec.errors import LimitError, UnsupportedImageError, UsageError
from .codec.file.container import Container, Header, Payload, check_magic, parse
from .codec.file.inputs import Input, bytes_of, most_bytes
from .codec.file.region import region_of

if TYPE_CHECKING:
    from .codec.file.payload import Coder
    from .codec.images.picture import Array, Picture
    from .codec.images.source import Source as SourceFile
    from .models.coders import Model

File: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A file: its path, its bytes, or a file object open for reading bytes."""

JPEG_MAGIC = b"\xff\xd8\xff"

__all__ = ["coded", "open_container", "picture_of", "source_of", "stored_file", "whole_picture"]


def open_container(source: File, threads: int, max_pixels: int, progress: object) -> Container:
    """Parse, and refuse what is too large before anything is allocated."""
    check_number("threads", threads, 0)
    check_number("max_pixels", max_pixels, 0)
    check_callables(progress=progress)
    container = parse(bytes_of(source, most_bytes(max_pixels), check_magic)[0])
    width, height = container.header.width, container.header.height
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")
    return container


def stored_file(
    container: Container, threads: int, max_pixels: int, progress: Callable[[float], None] | None
) -> bytes | None:
    """The file that was kept whole or recoded, checked; None where its pixels are coded."""
    header, most = container.header, most_bytes(max_pixels)
    if header.payload is Payload.JPEG:
        from .codec.file.recoding import recoded_bytes
        from .models.jpeg.coder import coder_of_header

        coder = coder_of_header(header.model, header.digest)
        return recoded_bytes(container, coder, threads, progress, most, max_pixels)
    if header.payload not in (Payload.STORED, Payload.FILE):
        return None
    from .codec.file.coding import stored_bytes

    return stored_bytes(container, most)


def picture_of(
    container: Container,
    stored: bytes | None,
    threads: int,
    model: tuple[Model | None, str],
    max_pixels: int,
    progress: Callable[[float], None] | None,
    *,
    with_metadata: bool = True,
    region: object = None,
) -> Picture:
    """The picture in a .dz file of any kind, or a part of it; its metadata costs a look at the remainder.

    `model` goes with its device.
    """
    header = container.header
    from .codec.file.coding import decode_picture
    from .codec.file.part import described_as_part, part_of, stored_picture

    if stored is not None:
        return part_of(stored_picture(header, stored, max_pixels), region)
    if header.is_sheet and region is not None:
        raise UsageError("a region of an array that is no image: decompress it, and take a part of that")
    part = region_of(region, header.width, header.height)

    def known(header: Header) -> Coder:
        from .models.coders import coder_of_header

        return coder_of_header(header)

    if header.payload is Payload.CHAINED:
        from .models.coders import decode_by_model

        picture = part_of(decode_by_model(container, model, progress), region)
    else:
        picture = decode_picture(container, known, threads, progress, part)
    if progress is not None:
        progress(1.0)
    if with_metadata and header.remainder is not None:
        from .codec.images.source import with_metadata as add

        picture = add(source_of(header), picture)
    return picture if part is None else described_as_part(picture)


def source_of(header: Header) -> SourceFile:
    """The file that the picture came from, without its pixels."""
    from .codec.images.source import Source as SourceFile

    return SourceFile(header.source_format, header.remainder, header.source_checksum)


def coded(
    taken: Input,
    effort: int,
    threads: int,
    model: tuple[Model | None, str],
    history: bool,
    max_pixels: int,
    progress: Callable[[float], None] | None,
    notice: Callable[[str], None] | None,
) -> bytes:
    """The smallest .dz file of what was taken in, without a preview. Arguments are those of `densezip.compress`.

    `model` goes with its device.
    """
    from .codec.file.coding import encode_picture, keep, store

    if taken.reason and notice is not None and not (taken.data or b"").startswith(JPEG_MAGIC):
        notice(f"kept whole: {taken.reason}")
    if taken.left_out and notice is not None:
        notice(f"not kept of the image's info: {', '.join(taken.left_out)}")
    if (file := taken.data) is not None and (taken.lossy or taken.reason):
        recoded = recode_jpeg(file, taken.extension, effort, threads, max_pixels, progress, notice)
        if recoded is not None and len(recoded) < len(file):
            return recoded
        taken = taken.with_pixels()
        if taken.picture is None:
            return keep(file, taken.extension, lossy=taken.lossy)
        kept = store(taken.picture, file, taken.extension, lossy=taken.lossy)
        return kept if taken.lossy else min(kept, keep(file, taken.extension, lossy=False), key=len)
    module, device = model
    if module is not None:
        from .models.coders import encode_by_model

        return encode_by_model(taken.picture, (module, device), progress, taken.source)

    def photo(height: int, width: int, depth: int) -> Coder:
        from .models.coders import coder_for_effort

        return coder_for_effort(effort, height, width, depth)

    def indexed(height: int, width: int) -> Coder:
        from .models.coders import indexed_coder

        return indexed_coder(height, width)

    def rendered(height: int, width: int, depth: int) -> Coder:
        from .models.coders import rendered_coder

        return rendered_coder(height, width, depth)

    def before(pixels: Array) -> Coder | None:
        from .models.coders import history_coder

        return history_coder(effort)(pixels)

    from .codec.images.sheets import grouped, is_sheet

    coders = photo, indexed, rendered
    picture = taken.picture
    if is_sheet(picture):
        picture = grouped(picture, lambda part: len(encode_picture(part, *coders, threads, None)))
    data = encode_picture(picture, *coders, threads, progress, taken.source, history_coder=before if history else None)
    if taken.data is not None and len(taken.data) < len(data):
        data = min(data, store(taken.picture, taken.data, taken.extension, lossy=False), key=len)
    if progress is not None:
        progress(1.0)
    return data


def whole_picture(taken: Input) -> Picture:
    """The picture that was taken in, with the metadata of the file that it is from."""
    picture: Picture = taken.picture
    if taken.source is None or taken.source.remainder is None:
        return picture
    from .codec.images.source import with_metadata

    return with_metadata(taken.source, picture)


def recode_jpeg(
    data: bytes,
    extension: str,
    effort: int,
    threads: int,
    max_pixels: int,
    progress: Callable[[float], None] | None,
    notice: Callable[[str], None] | None,
) -> bytes | None:
    """A .dz file that gives a JPEG file back; None for another file, and where a JPEG file would not come back."""
    if not data.startswith(JPEG_MAGIC):
        return None
    from .codec.file.recoding import recode
    from .models.jpeg.coder import coder_for_effort

    try:
        return recode(data, extension, coder_for_effort(effort), threads, progress, max_pixels)
    except UnsupportedImageError as error:
        if notice is not None:
            notice(f"kept whole: a JPEG file that would not come back: {error}")
    return None
