"""Read an image file exactly, or say why not.

Each format has its own module; Pillow reads what it reads exactly. Everything is judged by the file's header before
pixels are decoded. A file that is sound but not coded is unsupported: it can still be kept whole. One that is damaged
is unreadable.
"""

from dataclasses import replace
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import NamedTuple

from PIL import Image

from ..errors import DensezipError, LimitError, UnreadableImageError, UnsupportedImageError
from . import jpegscan, opaque
from .limits import STRICT_PILLOW, check_pixels
from .opaque import OPAQUE, Kind
from .picture import Picture, from_pil
from .png.chunks import SIGNATURE
from .png.contents import text_of

__all__ = [
    "FORMATS",
    "InputImage",
    "Kind",
    "check_head",
    "check_jpeg",
    "check_pixels",
    "extensions",
    "module_of",
    "no_image",
    "read",
    "recognise",
]

# Formats that are read: (Pillow's names, the extensions that a file may carry; the first is the default).
# `opaque.OPAQUE` has those that are kept whole.
FORMATS = {
    "PNG": (("PNG",), ("png",)),
    "JPEG": (("JPEG", "MPO"), ("jpg", "jpeg", "jpe", "jfif", "mpo")),
    "WebP": (("WEBP",), ("webp",)),
    "TIFF": (("TIFF",), ("tif", "tiff")),
    "BMP": (("BMP",), ("bmp", "dib")),
    "GIF": (("GIF",), ("gif",)),
    "PNM": (("PPM",), ("ppm", "pgm", "pbm", "pnm", "pam")),
    "QOI": (("QOI",), ("qoi",)),
    "TGA": (("TGA",), ("tga", "targa", "icb", "vda", "vst")),
}
# The modules of those that are taken apart. They are loaded when a file of the format comes.
MODULES = {
    "PNG": "png.png",
    "TIFF": "tiff.tiff",
    "BMP": "formats.bmp",
    "GIF": "formats.gif",
    "WebP": "formats.webp",
    "PNM": "formats.pnm",
    "TGA": "formats.tga",
    "QOI": "formats.qoi",
}
MAGIC = (
    (SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"qoif", "QOI"),
)
NOT_IMAGES = ((b"%!PS", "PostScript"), (b"%PDF", "PDF"))


class InputImage(NamedTuple):
    """An image file that was read.

    Attributes:
        picture: its pixels and metadata.
        format: a key of `FORMATS`.
        lossy: whether the file's own coding is a lossy one.
    """

    picture: Picture
    format: str
    lossy: bool


def module_of(name: str) -> ModuleType:
    """The module of a format, a key of `MODULES`: `read`, `split`, `join`, `skeleton`, `beyond`."""
    return import_module(f".{MODULES[name]}", __package__)


def extensions() -> tuple[str, ...]:
    """The extensions of all files that are coded or kept whole."""
    coded = [extension for _, every in FORMATS.values() for extension in every]
    return (*coded, *(extension for every in OPAQUE.values() for extension in every))


def recognise(data: bytes) -> Kind | None:
    """What a file is by its first bytes, without decoding it; None for what is no image that we know."""
    kind = opaque.recognise(data)
    if kind is not None:
        return kind
    name = _sniff(data)
    if name == "JPEG":
        frame = _jpeg_frame(data)
        if frame == jpegscan.JPEG_LS:
            return Kind("JPEG-LS", OPAQUE["JPEG-LS"], opaque=True)
        return Kind(name, FORMATS[name][1], opaque=False, lossy=frame not in jpegscan.LOSSLESS)
    return Kind(name, FORMATS[name][1], opaque=False) if name else None


def check_head(head: bytes) -> None:
    """Refuse what is no image file from its first bytes, behind which there may be more.

    Raises:
        UnreadableImageError: no image file that is known begins like this.
    """
    if recognise(head) is None:
        from .formats import tga

        if not tga.begins_like_tga(head):
            raise no_image(head)


def read(data: bytes, max_pixels: int) -> InputImage:
    """Read an image file.

    Args:
        data: the bytes of the file.
        max_pixels: refuse larger images before decoding them.

    Raises:
        UnreadableImageError: not an image file that we know, damaged or cut short.
        UnsupportedImageError: a sound image that cannot be read exactly, or is not coded.
        LimitError: more than `max_pixels` pixels.
    """
    found = recognise(data)
    if found is None:
        raise no_image(data)
    if found.opaque and found.name != "JPEG-LS":
        raise UnsupportedImageError(f"{found.name} files are not decoded")
    kind = "JPEG" if found.name == "JPEG-LS" else found.name
    try:
        with STRICT_PILLOW:
            if kind == "PNG":
                return _read_png(data, max_pixels)
            if kind == "TIFF":
                from .tiff import tiff

                picture, lossy = tiff.read(data, max_pixels)
                return InputImage(picture, kind, lossy)
            if kind == "JPEG":
                return _read_jpeg(data, max_pixels)
            module = module_of(kind)
            return InputImage(module.read(data, max_pixels), kind, kind == "WebP" and module.is_lossy(data))
    except (DensezipError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to.
        raise UnreadableImageError(f"a damaged {kind} file{_reason(error)}") from error


def _sniff(data: bytes) -> str | None:
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6") and data[2:3].isspace():
        return "PNM"
    if data.startswith(b"P7\n"):
        return "PNM"
    # No magic bytes: anything else goes first.
    from .formats import tga

    return "TGA" if tga.is_tga(data) else None


def no_image(data: bytes) -> UnreadableImageError:
    """What to say of a file that is not recognised, from its first bytes."""
    if not data:
        return UnreadableImageError("an empty file")
    for magic, kind in NOT_IMAGES:
        if data.startswith(magic):
            return UnreadableImageError(f"a {kind} file: not an image file")
    return UnreadableImageError("not an image file of a format that densezip knows")


def _reason(error: Exception) -> str:
    """What an exception of a library says, unless that is nothing that a user can read."""
    words = str(error).strip()
    return "" if not words or " at 0x" in words or isinstance(error, KeyError | IndexError) else f": {words}"


def _open(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Open with the one plugin that the file's first bytes call for; refuse what the header gives away."""
    image = Image.open(BytesIO(data), formats=FORMATS[kind][0])
    check_pixels(*image.size, max_pixels)
    return image


def _jpeg_frame(data: bytes) -> int:
    try:
        return jpegscan.scan(data).frame
    except UnreadableImageError:
        return 0


def check_jpeg(data: bytes, max_pixels: int) -> jpegscan.JpegFile:
    """Look at a JPEG file, but not at its pixels.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: of an uncommon kind, which is not decoded.
        LimitError: more than `max_pixels` pixels.
    """
    file = jpegscan.scan(data)
    if file.uncommon:
        raise UnsupportedImageError(f"{file.uncommon}: not decoded")
    check_pixels(file.width, file.height, max_pixels)
    if file.width * file.height > jpegscan.PIXELS_A_BYTE * len(data):
        raise UnsupportedImageError(f"a JPEG file of {file.width}x{file.height} pixels in {len(data)} bytes")
    return file


def _read_jpeg(data: bytes, max_pixels: int) -> InputImage:
    """Decode an ordinary JPEG file; what Pillow cannot decode is kept whole, if only its markers are all there."""
    from .formats.chunks import text_chunk

    file = check_jpeg(data, max_pixels)
    try:
        with _open(data, "JPEG", max_pixels) as image:
            picture = from_pil(image)
            comments = tuple(text_chunk("Comment", comment) for comment in file.comments if comment)
            # Pillow has but the last one.
            others = tuple(chunk for chunk in picture.chunks if text_of(chunk)[0] != "comment")
            return InputImage(replace(picture, chunks=others + comments), "JPEG", lossy=True)
    except (LimitError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedImageError(f"a JPEG file that Pillow does not decode{_reason(error)}") from error


def _read_png(data: bytes, max_pixels: int) -> InputImage:
    from .png import png

    file = png.parse(data)
    check_pixels(file.width, file.height, max_pixels)
    return InputImage(png.read(data, file), "PNG", lossy=False)
