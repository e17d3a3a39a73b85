"""What the command line asks of the public API, in one place.

Commands call `api.compress` and so on, and never the package itself: what they need beyond it is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from .. import ChecksumError, DensezipError, Info, OutputFormatError
from .. import compress as _compress
from .. import export as _export
from .. import info as _info
from .. import verify as _verify

__all__ = [
    "Exported",
    "Progress",
    "Strip",
    "check_target",
    "compress",
    "exact",
    "export",
    "image_suffixes",
    "info",
    "probe",
    "same_format",
    "source_format",
    "verify",
    "verify_stripped",
]

Progress = Callable[[float], None]
Strip: TypeAlias = bool | Literal["all"]


class Exported(NamedTuple):
    """An image file made from a .dz file.

    Attributes:
        data: its bytes.
        extension: without a dot.
        lost: what that format could not hold, such as "EXIF".
    """

    data: bytes
    extension: str
    lost: tuple[str, ...]


def compress(data: bytes, *, effort: int, threads: int, strip: Strip, max_pixels: int, progress: Progress) -> bytes:
    """The bytes of a .dz file."""
    return _compress(data, effort=effort, threads=threads, strip=bool(strip), max_pixels=max_pixels, progress=progress)


def export(data: bytes, extension: str | None, *, threads: int, max_pixels: int, progress: Progress) -> Exported:
    """The bytes of an image file; without an extension the source's own format."""
    made, used = _export(data, extension, threads=threads, max_pixels=max_pixels, progress=progress)
    if extension is None or same_format(extension, source_format(_info(data))):
        return Exported(made, used, ())
    from ..codec.images.imagefile import read

    kept = {name for name, _ in read(made, max_pixels).picture.chunks}
    header = _info(data)
    names = {"icc": "ICC profile", "exif": "EXIF", "xmp": "XMP"}
    chunks = {"icc": "iCCP", "exif": "eXIf", "resolution": "pHYs", "gamma": "gAMA", "srgb": "sRGB"}
    chunks |= {"chromaticity": "cHRM", "palette": "PLTE", "transparency": "tRNS"}
    texts = bool(kept & {"tEXt", "zTXt", "iTXt"})
    lost = [
        names.get(name, name)
        for name in header.metadata
        if not (texts if name in ("xmp", "text") else chunks.get(name, name) in kept)
    ]
    return Exported(made, used, tuple(lost))


def info(data: bytes) -> Info:
    """What the header of a .dz file says."""
    return _info(data)


def verify(
    data: bytes,
    *,
    original: bytes | None = None,
    threads: int,
    max_pixels: int,
    progress: Progress | None = None,
) -> Info:
    """Decodes a .dz file and checks every checksum, and that it gives back `original`.

    Raises:
        ChecksumError: It gives back something else.
        FormatError: It is damaged.
    """
    header = _verify(data, threads=threads, max_pixels=max_pixels, progress=progress)
    if original is not None:
        back = _export(data, None, threads=threads, max_pixels=max_pixels)[0]
        if back != original and not _same_picture(back, original, max_pixels, chunks=True):
            raise ChecksumError("this is not the picture that it was made from")
    return header


def verify_stripped(
    data: bytes, original: bytes, *, threads: int, max_pixels: int, progress: Progress | None = None
) -> None:
    """Decodes a .dz file made without metadata, and compares its pixels with those of `original`.

    Raises:
        ChecksumError: They differ.
        FormatError: It is damaged.
    """
    back = _export(data, None, threads=threads, max_pixels=max_pixels, progress=progress)[0]
    if back == original:
        return
    try:
        same = _same_picture(back, original, max_pixels, chunks=False)
    except DensezipError as error:
        raise ChecksumError(f"its pixels cannot be compared with the source's: {error}") from error
    if not same:
        raise ChecksumError("its pixels are not those of the source")


def _same_picture(first: bytes, second: bytes, max_pixels: int, *, chunks: bool) -> bool:
    import numpy as np

    from ..codec.images.imagefile import read

    one, other = (read(data, max_pixels).picture for data in (first, second))
    same = one.mode == other.mode and np.array_equal(one.pixels, other.pixels)
    return bool(same and (not chunks or one.chunks == other.chunks))


def exact(header: Info) -> str | None:
    """Says "file" where the source comes back byte for byte, "picture" where its pixels and all else do; or nothing."""
    if hasattr(header, "exact"):
        return str(header.exact) if header.exact else None
    if header.source == "array":
        return None
    return "file" if header.payload == "stored" else "picture"


def source_format(header: Info) -> str:
    """The extension, without a dot, of the format that went in; PNG for what was no file."""
    return str(getattr(header, "source_format", None) or header.stored_format or "png")


def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of image files, each with its dot."""
    from ..codec.images.imagefile import FORMATS

    return frozenset(f".{extension}" for _, extensions in FORMATS.values() for extension in extensions)


def same_format(first: str, second: str) -> bool:
    """Whether two extensions, with or without a dot, are of one format: "tif" and "tiff" are."""
    from ..codec.images.imagefile import FORMATS

    one, other = (extension.lower().removeprefix(".") for extension in (first, second))
    return one == other or any({one, other} <= set(extensions) for _, extensions in FORMATS.values())


def check_target(extension: str, header: Info) -> None:
    """Refuses an output format for a .dz file before anything is decoded.

    Raises:
        OutputFormatError: It is unknown, or lossy and not the source's own.
    """
    if same_format(extension, source_format(header)):
        return
    from ..codec.images.imagewrite import format_of_extension

    kind = format_of_extension(extension)
    if kind == "JPEG":
        raise OutputFormatError("JPEG is lossy: it cannot hold this image")


def probe(head: bytes) -> None:
    """Refuses what is no image, from the first bytes of a file.

    Raises:
        InputError: No format begins like this.
    """
    from ..codec.images.imagefile import _sniff

    _sniff(head)
