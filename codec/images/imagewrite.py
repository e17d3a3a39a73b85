"""Write a picture as an image file that holds all of it, or refuse.

PNG holds every picture. TIFF is written here, another format by Pillow, and read back: if the
pixels, the mode, the palette or the transparency came out different, the format could not hold them.
"""

import struct
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import DensezipError, OutputFormatError
from .exif import EXIF_PREFIX, only_orientation
from .imagefile import FORMATS, read
from .info import METRES_PER_INCH, XMP_KEYWORD
from .modes import Chunk
from .opaque import OPAQUE
from .picture import Picture, to_image
from .png.contents import TEXTS, profile_of, text_of
from .sheets import array_of, is_sheet

__all__ = ["Converted", "convert", "format_of_extension", "own_format", "write"]

WRITERS: dict[str, dict[str, Any]] = {
    "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4, "exact": True},
    "TIFF": {},
    "BMP": {"format": "BMP"},
    "GIF": {"format": "GIF", "optimize": False},
    "PNM": {"format": "PPM"},
    "QOI": {"format": "QOI", "colorspace": "sRGB"},
    "TGA": {"format": "TGA"},
}
# What people call the metadata that is not text or XMP, by the PNG chunk that holds it.
NAMES = {
    "PLTE": "palette",
    "tRNS": "transparency",
    "eXIf": "EXIF",
    "iCCP": "ICC profile",
    "pHYs": "resolution",
    "gAMA": "gamma",
    "cHRM": "chromaticities",
    "sRGB": "rendering intent",
    "cICP": "colour coding",
    "sBIT": "significant bits",
    "tIME": "time",
    "bKGD": "background",
    "hIST": "histogram",
    "sPLT": "suggested palette",
    "mDCV": "mastering display",
    "cLLI": "light level",
}
BI_BITFIELDS = 3
PAM_TYPES = {"L": "GRAYSCALE", "I": "GRAYSCALE", "LA": "GRAYSCALE_ALPHA", "RGB": "RGB", "RGBA": "RGB_ALPHA"}
COMMENTED = ("GIF", "PNM")
# What Pillow takes from us: by format, the entries of `info` that it writes.
KEPT = {"WebP": ("icc_profile", "exif", "xmp"), "BMP": ("dpi",)}


class Converted(NamedTuple):
    """An image file.

    Attributes:
        data: its bytes.
        extension: of its format, without a dot.
        lost: the metadata that it does not hold, as people call it.
    """

    data: bytes
    extension: str
    lost: tuple[str, ...]


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


def own_format(extension: str, own: str) -> bool:
    """Whether two extensions, with or without their dots, are of one format."""
    one, other = (name.lower().removeprefix(".") for name in (extension, own))
    every = [extensions for _, extensions in FORMATS.values()] + list(OPAQUE.values())
    return one == other or any(one in extensions and other in extensions for extensions in every)


def write(picture: Picture, extension: str) -> bytes:
    """The bytes of an image file that holds the picture: see `convert`."""
    return convert(picture, extension).data


def convert(picture: Picture, extension: str) -> Converted:
    """An image file that holds the picture, and as much of its metadata as the format has room for.

    Args:
        picture: what to write.
        extension: "png", "webp", "tiff", ... with or without a dot.

    Raises:
        OutputFormatError: the format is not known, or cannot hold these pixels.
    """
    if extension == "npy" and is_sheet(picture):
        file = BytesIO()
        np.save(file, array_of(picture), allow_pickle=False)
        return Converted(file.getvalue(), "npy", ())
    kind = format_of_extension(extension)
    data, back = _written(picture, kind, pam=extension.lower().removeprefix(".") == "pam")
    return Converted(data, extension.lower().removeprefix("."), _lost(picture, back, kind))


def _written(picture: Picture, kind: str, *, pam: bool) -> tuple[bytes, Picture]:
    """A file of a format, and what a reader has of it."""
    limit = picture.pixels.shape[0] * picture.pixels.shape[1]
    if kind == "PNG":
        from .png import png

        data = png.write(picture.pixels, picture.mode, picture.bits, picture.chunks)
        return data, replace(picture, chunks=png.parse(data).chunks)
    if kind == "JPEG":
        raise OutputFormatError("JPEG is lossy: it cannot hold this image")
    try:
        data = _pam(picture) if pam else _encode(picture, kind)
        if kind in COMMENTED:
            data = _with_comments(data, picture, kind)
        back = read(data, limit).picture
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
    return data, back


def _lost(picture: Picture, back: Picture, kind: str) -> tuple[str, ...]:
    """What a picture has beside its pixels and what was read back has not, each once, in the picture's order."""
    names: dict[str, None] = {}
    for chunk in picture.chunks:
        if kind == "TIFF" and chunk[0] == "eXIf":  # has tags in the place of a block
            from .tiff import tiff

            names |= dict.fromkeys(tiff.lost_of_exif(chunk[1], picture.chunks))
        elif not any(_same_content(chunk, other) for other in back.chunks):
            names[_name(chunk)] = None
            if chunk[0] == "eXIf" and only_orientation(chunk[1]):
                names["orientation"] = None
    return tuple(names)


def _name(chunk: Chunk) -> str:
    """What people call a piece of metadata."""
    name, data = chunk
    if name in TEXTS:
        return "XMP" if data.split(b"\0", 1)[0] == XMP_KEYWORD else "text"
    return NAMES.get(name, f"chunk {name}")


def _same_content(wanted: Chunk, found: Chunk) -> bool:
    """Whether a format holds one piece of metadata as the other."""
    one, other = wanted[0], found[0]
    if one in TEXTS and other in TEXTS:
        (keyword, text), (held, texts) = text_of(wanted), text_of(found)
        # Some formats have one comment of several lines for several comments.
        return keyword.lower() == held.lower() and (text == texts or f"\n{text}\n" in f"\n{texts}\n")
    if one != other:
        return False
    if one == "iCCP":
        return profile_of(wanted[1]) == profile_of(found[1])
    if one == "pHYs" and len(wanted[1]) == len(found[1]) == 9:
        # Dots to the inch, or to the metre: one is rounded to the other.
        (*sizes, unit), (*others, same) = struct.unpack(">IIB", wanted[1]), struct.unpack(">IIB", found[1])
        return unit == same and all(abs(size - it) <= 1 for size, it in zip(sizes, others, strict=True))
    if one in ("PLTE", "tRNS"):
        return True  # compared by `_same_colours`
    return wanted[1].removeprefix(EXIF_PREFIX) == found[1].removeprefix(EXIF_PREFIX)


def _with_comments(data: bytes, picture: Picture, kind: str) -> bytes:
    """A GIF or PNM file with the comments of a picture."""
    texts = [
        text.encode() for chunk in picture.chunks for keyword, text in [text_of(chunk)] if keyword.lower() == "comment"
    ]
    if kind == "PNM":
        lines = b"\n".join(texts).split(b"\n") if texts else []
        return data[:3] + b"".join(b"# %s\n" % line for line in lines) + data[3:]
    blocks = [
        b"".join(bytes([len(text[at : at + 255])]) + text[at : at + 255] for at in range(0, len(text), 255))
        for text in texts
    ]
    return data[:-1] + b"".join(b"!\xfe" + block + b"\0" for block in blocks) + data[-1:]


def _encode(picture: Picture, kind: str) -> bytes:
    if kind == "TIFF":
        from .tiff import tiff

        return tiff.write(picture)
    image = to_image(replace(picture, array_ndim=0))
    if kind == "BMP" and picture.mode == "RGBA" and isinstance(image, Image.Image):
        return _bmp_with_alpha(picture, image.info.get("dpi", (0, 0)))
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


def _pam(picture: Picture) -> bytes:
    """A PAM file, which unlike its older relatives holds alpha."""
    if picture.mode.removesuffix(";16") not in PAM_TYPES or picture.bits < 8:
        raise OutputFormatError(f"PAM cannot hold an image of mode {picture.mode} with {picture.bits} bits; PNG can")
    height, width, channels = picture.pixels.shape
    most = 2**picture.bits - 1
    name = PAM_TYPES[picture.mode.removesuffix(";16")]
    head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {most}\nTUPLTYPE {name}\nENDHDR\n"
    return head.encode() + (picture.pixels if most == 255 else picture.pixels.astype(">u2")).tobytes()


def _bmp_with_alpha(picture: Picture, dpi: tuple[float, float]) -> bytes:
    """A BMP file with a header of version 4, which says that the fourth byte is alpha; Pillow's leaves that open."""
    height, width = picture.pixels.shape[:2]
    rows = picture.pixels[::-1, :, (2, 1, 0, 3)].tobytes()
    resolution = (round(float(value) / METRES_PER_INCH) for value in dpi)
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, BI_BITFIELDS, len(rows), *resolution, 0, 0)
    head += struct.pack("<IIII4s48x", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows


def _same_colours(wanted: Picture, found: Picture) -> bool:
    """Whether the transparency is the same, and the palette, save for entries added at its end."""
    before, after = dict(wanted.chunks), dict(found.chunks)
    palette = before.get("PLTE", b"")
    return after.get("PLTE", b"")[: len(palette)] == palette and after.get("tRNS") == before.get("tRNS")
