"""Write a picture as an image file that holds all of it, or refuse.

PNG holds every picture. TIFF is written here, another format by Pillow, and read back: if the
pixels, the mode, the palette or the transparency came out different, the format could not hold them.
"""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DensezipError, OutputFormatError
from . import png, tiff
from .imagefile import FORMATS, read
from .picture import Picture, to_image

__all__ = ["format_of_extension", "write"]

WRITERS: dict[str, dict[str, Any]] = {
    "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4, "exact": True},
    "TIFF": {},
    "BMP": {"format": "BMP"},
    "GIF": {"format": "GIF", "optimize": False},
    "PNM": {"format": "PPM"},
    "QOI": {"format": "QOI"},
}
# What Pillow takes from us: by format, the entries of `info` that it writes.
KEPT = {"WebP": ("icc_profile", "exif", "xmp"), "BMP": ("dpi",)}


def format_of_extension(extension: str) -> str:
    """The format, a key of `imagefile.FORMATS`, of a file extension with or without its dot.

    Raises:
        OutputFormatError: an extension of no format that is written.
    """
    wanted = extension.lower().removeprefix(".")
    for kind, (_, extensions) in FORMATS.items():
        if wanted in extensions:
            return kind
    known = ", ".join(extension for kind in ("PNG", *WRITERS) for extension in FORMATS[kind][1])
    raise OutputFormatError(f"no format is known for the extension {extension!r}; these are: {known}")


def write(picture: Picture, extension: str) -> bytes:
    """The bytes of an image file that holds the picture.

    Args:
        picture: what to write.
        extension: "png", "webp", "tiff", ... with or without a dot.

    Raises:
        OutputFormatError: the format is not known, or cannot hold this picture.
    """
    kind = format_of_extension(extension)
    if kind == "PNG":
        return png.write(picture.pixels, picture.mode, picture.bits, picture.chunks)
    if kind == "JPEG":
        raise OutputFormatError("JPEG is lossy: it cannot hold this image")
    try:
        data = _encode(picture, kind)
        back = read(data, picture.pixels.shape[0] * picture.pixels.shape[1]).picture
    except OutputFormatError:
        raise
    except (DensezipError, OSError, ValueError, TypeError, KeyError) as error:
        raise OutputFormatError(f"{kind} cannot hold an image of mode {picture.mode}: {error}") from error
    if back.mode != picture.mode:
        raise OutputFormatError(f"{kind} cannot hold an image of mode {picture.mode}: it reads back as {back.mode}")
    if not _same_colours(picture, back):
        raise OutputFormatError(f"{kind} cannot hold this image's palette or transparency")
    if not np.array_equal(back.pixels, picture.pixels):
        raise OutputFormatError(f"{kind} does not keep the pixels of this image of mode {picture.mode}")
    return data


def _encode(picture: Picture, kind: str) -> bytes:
    if kind == "TIFF":
        return tiff.write(picture)
    image = to_image(replace(picture, array_ndim=0))
    if isinstance(image, Image.Image):
        options = dict(WRITERS[kind])
        for name in KEPT.get(kind, ()):
            if image.info.get(name):
                options[name] = image.info[name]
        file = BytesIO()
        image.save(file, **options)
        return file.getvalue()
    if kind == "PNM" and picture.mode == "RGB;16":
        height, width = picture.pixels.shape[:2]
        return b"P6\n%d %d\n65535\n" % (width, height) + picture.pixels.astype(">u2").tobytes()
    raise OutputFormatError(f"{kind} cannot hold an image of mode {picture.mode}; PNG can")


def _same_colours(wanted: Picture, found: Picture) -> bool:
    """Whether the transparency is the same, and the palette, save for entries added at its end."""
    before, after = dict(wanted.chunks), dict(found.chunks)
    palette = before.get("PLTE", b"")
    return after.get("PLTE", b"")[: len(palette)] == palette and after.get("tRNS") == before.get("tRNS")
