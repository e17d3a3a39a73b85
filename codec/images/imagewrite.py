"""Write a picture as an image file that holds all of it, or refuse.

PNG holds every picture. Another format is written by Pillow (by imagecodecs for 16-bit colour) and read back: if the
pixels, the mode, the palette or the transparency came out different, the format could not hold them.
"""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DensezipError, OutputFormatError
from . import png
from .imagefile import FORMATS, read
from .modes import Chunk
from .picture import EXIF_PREFIX, XMP_KEYWORD, Picture, to_image

__all__ = ["format_of_extension", "lost", "write"]

TIFF_XMP = 700
WRITERS: dict[str, dict[str, Any]] = {
    "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4, "exact": True},
    "TIFF": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "BMP": {"format": "BMP"},
    "GIF": {"format": "GIF", "optimize": False},
    "PNM": {"format": "PPM"},
    "QOI": {"format": "QOI"},
    "TGA": {"format": "TGA"},
}
# What Pillow takes from us: by format, the entries of `info` that it writes.
KEPT = {"WebP": ("icc_profile", "exif", "xmp"), "TIFF": ("icc_profile", "exif", "xmp", "dpi"), "BMP": ("dpi",)}
# What a user calls the metadata that is not text, EXIF or XMP, by the PNG chunk that holds it.
NAMES = {
    "eXIf": "EXIF", "iCCP": "ICC profile", "pHYs": "resolution", "gAMA": "gamma", "cHRM": "chromaticities",
    "sRGB": "sRGB", "cICP": "coding-independent code points", "sBIT": "significant bits", "tIME": "time",
    "bKGD": "background", "hIST": "histogram", "sPLT": "suggested palette", "mDCV": "mastering display",
    "cLLI": "light level",
}  # fmt: skip
TEXTS = frozenset(["tEXt", "zTXt", "iTXt"])
ORIENTATION = 274


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


def lost(picture: Picture, extension: str) -> tuple[str, ...]:
    """What a picture has beside its pixels that a format does not keep.

    Nothing is assumed of a format: a picture of one pixel with all the metadata is written and read back.

    Args:
        picture: what is to be written.
        extension: as for `write`; or the name of a format.

    Returns:
        names for a user, in the order of the picture's metadata: "EXIF", "ICC profile", "XMP", "text", ...; nothing
        where `write` refuses the picture.

    Raises:
        OutputFormatError: the format is not known.
    """
    kind = extension if extension in FORMATS else format_of_extension(extension)
    if kind == "PNG":
        return ()
    one = replace(picture, pixels=picture.pixels[:1, :1], array_ndim=0)
    try:
        kept = {_what(chunk) for chunk in read(write(one, FORMATS[kind][1][0]), 1).picture.chunks}
    except OutputFormatError:
        return ()
    names: dict[str, None] = {}
    for chunk in picture.chunks:
        if chunk[0] in png.STRUCTURAL or _what(chunk) in kept:
            continue
        names[_what(chunk)[0]] = None
        if chunk[0] == "eXIf" and _is_turned(chunk[1]):
            names["orientation"] = None
    return tuple(names)


def _what(chunk: Chunk) -> tuple[str, bytes]:
    """What a user calls a piece of metadata, and the keyword of a text."""
    name, data = chunk
    keyword = data.split(b"\0", 1)[0]
    if name in TEXTS:
        return ("XMP", b"") if keyword == XMP_KEYWORD else ("text", keyword)
    return NAMES.get(name, f"chunk {name}"), b""


def _is_turned(exif: bytes) -> bool:
    """Whether EXIF says that the picture is to be shown turned."""
    tags = Image.Exif()
    try:
        tags.load(EXIF_PREFIX + exif)
        return tags.get(ORIENTATION, 1) not in (0, 1)
    except Exception:  # whatever malformed EXIF leads Pillow to
        return False


def _encode(picture: Picture, kind: str) -> bytes:
    image = to_image(replace(picture, array_ndim=0))
    if isinstance(image, Image.Image):
        options = dict(WRITERS[kind])
        for name in KEPT.get(kind, ()):
            if image.info.get(name):
                options[name] = image.info[name]
        if kind == "TIFF":
            options["exif"] = _tiff_directory(options.pop("exif", b""), options.pop("xmp", b""))
        file = BytesIO()
        image.save(file, **options)
        return file.getvalue()
    if kind == "PNM" and picture.mode == "RGB;16":
        height, width = picture.pixels.shape[:2]
        return b"P6\n%d %d\n65535\n" % (width, height) + picture.pixels.astype(">u2").tobytes()
    if kind == "TIFF" and picture.mode in ("RGB;16", "RGBA;16"):
        import imagecodecs

        extra = "unassalpha" if picture.mode == "RGBA;16" else None
        icc = _probe_info(picture).get("icc_profile")
        return bytes(imagecodecs.tiff_encode(picture.pixels, photometric="rgb", extrasample=extra, iccprofile=icc))
    raise OutputFormatError(f"{kind} cannot hold an image of mode {picture.mode}; PNG can")


def _tiff_directory(exif: bytes, xmp: bytes | str) -> Image.Exif:
    """EXIF and XMP as the tags of a TIFF file, where both live beside the tags of the image."""
    tags = Image.Exif()
    if exif:
        tags.load(EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX))
    if xmp:
        tags[TIFF_XMP] = xmp.encode() if isinstance(xmp, str) else xmp
    return tags


def _probe_info(picture: Picture) -> dict[Any, Any]:
    """`info` as PIL would have it, had it the picture's mode."""
    one = Picture(np.zeros((1, 1, 1), np.uint8), "L", 8, tuple(c for c in picture.chunks if c[0] not in png.STRUCTURAL))
    image = to_image(one)
    return image.info if isinstance(image, Image.Image) else {}


def _same_colours(wanted: Picture, found: Picture) -> bool:
    """Whether the transparency is the same, and the palette, save for entries added at its end."""
    before, after = dict(wanted.chunks), dict(found.chunks)
    palette = before.get("PLTE", b"")
    return after.get("PLTE", b"")[: len(palette)] == palette and after.get("tRNS") == before.get("tRNS")
