"""Read an image file exactly, or say why not.

Each format has its own module; Pillow reads what it reads exactly. Everything is judged by the file's header before
pixels are decoded. A file that is sound but not coded is unsupported: it can still be kept whole. One that is damaged
is unreadable.
"""

import struct
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from ..errors import InputError, LimitError, UnreadableImageError, UnsupportedImageError
from . import bmp, gif, jpegscan, opaque, png, pnm, qoi, tga, webp
from .limits import check_pixels
from .modes import Chunk
from .opaque import OPAQUE, Kind
from .picture import Picture, chunks_of_info, from_pil

__all__ = ["FORMATS", "InputImage", "Kind", "check_pixels", "extensions", "read", "recognise"]

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
MAGIC = (
    (png.SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"qoif", "QOI"),
)
LOSSY = frozenset(["JPEG"])
NOT_IMAGES = ((b"%!PS", "PostScript"), (b"%PDF", "PDF"))

TIFF_BITS, TIFF_COMPRESSION, TIFF_PHOTOMETRIC, TIFF_ORIENTATION = 258, 259, 262, 274
TIFF_SAMPLES, TIFF_PLANAR, TIFF_COLOUR_MAP, TIFF_EXTRA, TIFF_FORMAT, TIFF_ICC = 277, 284, 320, 338, 339, 34675
TIFF_LOSSY_COMPRESSIONS = frozenset([6, 7, 34887, 34892, 50001, 50002])
TIFF_UNASSOCIATED_ALPHA = 2
# Description, make, model, orientation, software, date, artist, copyright; the EXIF and GPS directories.
TIFF_KEPT = (270, 271, 272, TIFF_ORIENTATION, 305, 306, 315, 33432)
EXIF_DIRECTORIES = (34665, 34853)


@dataclass(frozen=True)
class InputImage:
    """An image file that was read.

    Attributes:
        picture: its pixels and metadata.
        format: a key of `FORMATS`.
        lossy: whether the file's own coding is a lossy one.
    """

    picture: Picture
    format: str
    lossy: bool


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
    if name == "JPEG" and _is_jpeg_ls(data):
        return Kind("JPEG-LS", OPAQUE["JPEG-LS"], opaque=True)
    return Kind(name, FORMATS[name][1], opaque=False, lossy=name in LOSSY) if name else None


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
        raise UnreadableImageError(_no_image(data))
    if found.opaque and found.name != "JPEG-LS":
        raise UnsupportedImageError(f"{found.name} files are not decoded")
    kind = "JPEG" if found.name == "JPEG-LS" else found.name
    try:
        with _STRICT:
            if kind == "PNG":
                return _read_png(data, max_pixels)
            if kind == "TIFF":
                return _read_tiff(data, max_pixels)
            if kind == "JPEG":
                return _read_jpeg(data, max_pixels)
            if kind in READERS:
                return InputImage(READERS[kind](data, max_pixels), kind, lossy=False)
            return InputImage(webp.read(data, max_pixels), kind, webp.is_lossy(data))
    except (InputError, LimitError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to.
        raise UnreadableImageError(f"a damaged {kind} file{_reason(error)}") from error


READERS = {"BMP": bmp.read, "GIF": gif.read, "PNM": pnm.read, "QOI": qoi.read, "TGA": tga.read}


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
    return "TGA" if tga.is_tga(data) else None


def _no_image(data: bytes) -> str:
    if not data:
        return "an empty file"
    for magic, kind in NOT_IMAGES:
        if data.startswith(magic):
            return f"a {kind} file: not an image file"
    return f"not an image file that densezip knows ({', '.join((*FORMATS, *OPAQUE))})"


def _reason(error: Exception) -> str:
    """What an exception of a library says, unless that is nothing that a user can read."""
    words = str(error).strip()
    return "" if not words or " at 0x" in words or isinstance(error, KeyError | IndexError) else f": {words}"


class _StrictPillow:
    """Pillow's global switches, held at their strict values while at least one reader is at work.

    `LOAD_TRUNCATED_IMAGES` would pass parts of images off as whole ones. The check for decompression bombs gives
    way to `max_pixels`, which is applied to every header.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.saved: tuple[bool, int | None] = (False, None)

    def __enter__(self) -> None:
        with self.lock:
            if not self.readers:
                self.saved = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
            self.readers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.readers -= 1
            if not self.readers:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = self.saved


_STRICT = _StrictPillow()


def _open(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Open with the one plugin that the file's first bytes call for; refuse what the header gives away."""
    image = Image.open(BytesIO(data), formats=FORMATS[kind][0])
    check_pixels(*image.size, max_pixels)
    return image


def _is_jpeg_ls(data: bytes) -> bool:
    try:
        return jpegscan.scan(data).frame == jpegscan.JPEG_LS
    except UnreadableImageError:
        return False


def _read_jpeg(data: bytes, max_pixels: int) -> InputImage:
    """Decode an ordinary JPEG file; what Pillow cannot decode is kept whole, if only its markers are all there."""
    file = jpegscan.scan(data)
    if file.uncommon:
        raise UnsupportedImageError(f"{file.uncommon}: not decoded")
    check_pixels(file.width, file.height, max_pixels)
    try:
        with _open(data, "JPEG", max_pixels) as image:
            return InputImage(from_pil(image), "JPEG", lossy=True)
    except (LimitError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedImageError(f"a JPEG file that Pillow does not decode{_reason(error)}") from error


def _read_png(data: bytes, max_pixels: int) -> InputImage:
    file = png.parse(data)
    check_pixels(file.width, file.height, max_pixels)
    if file.depth == 16:
        samples = png.decode16(data)
        channels = png.CHANNELS_OF_COLOUR_TYPE[file.colour_type]
        if samples.shape != (file.height, file.width, channels):
            raise UnreadableImageError(f"a PNG file that decodes to {samples.shape}")
        mode = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]
        return InputImage(Picture(samples, mode, 16, file.chunks), "PNG", lossy=False)
    with _open(data, "PNG", max_pixels) as image:
        picture = from_pil(image)
    return InputImage(Picture(picture.pixels, picture.mode, file.depth, file.chunks), "PNG", lossy=False)


def _read_tiff(data: bytes, max_pixels: int) -> InputImage:
    with _open(data, "TIFF", max_pixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise UnsupportedImageError("a TIFF file of several pages: animations and multi-page files are not coded")
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        bits = _tiff_bits(tags)
        chunks = _tiff_chunks(image, tags)
        lossy = tags.get(TIFF_COMPRESSION, 1) in TIFF_LOSSY_COMPRESSIONS
        if tags.get(TIFF_ORIENTATION, 1) == 1 and (bits < 16 or image.mode in ("I;16", "I;16B")):
            picture = from_pil(image)
            palette = tuple(chunk for chunk in picture.chunks if chunk[0] == "PLTE")
            return InputImage(Picture(picture.pixels, picture.mode, bits, palette + chunks), "TIFF", lossy)
        if bits < 16:
            # Pillow turns the pixels of such a file: it gets a copy that says that they are upright.
            upright = _read_tiff(_upright(data), max_pixels).picture
            palette = tuple(chunk for chunk in upright.chunks if chunk[0] == "PLTE")
            return InputImage(Picture(upright.pixels, upright.mode, bits, palette + chunks), "TIFF", lossy)
        size, channels = image.size, tags.get(TIFF_SAMPLES, 1)
        if tags.get(TIFF_ORIENTATION, 1) > 4:
            size = size[::-1]
    import imagecodecs

    samples = imagecodecs.tiff_decode(data)
    if samples.dtype != np.uint16 or samples.size != size[0] * size[1] * channels:
        raise UnreadableImageError(f"a TIFF file that decodes to {samples.dtype} {samples.shape}")
    if tags.get(TIFF_PLANAR, 1) == 2 and channels > 1:
        samples = np.moveaxis(samples.reshape(channels, size[1], size[0]), 0, 2)
    samples = np.ascontiguousarray(samples.reshape(size[1], size[0], channels))
    mode = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]
    return InputImage(Picture(samples, mode, 16, chunks), "TIFF", lossy)


def _tiff_bits(tags: Any) -> int:
    """Bits per sample of a TIFF file whose samples can be had exactly.

    Raises:
        UnsupportedImageError: Pillow would round them, invert them or leave some out.
    """
    depths = set(tags.get(TIFF_BITS, (1,)))
    channels, photometric = tags.get(TIFF_SAMPLES, 1), tags.get(TIFF_PHOTOMETRIC, 1)
    if depths - {1, 2, 4, 8, 16} or len(depths) != 1:
        raise UnsupportedImageError(f"a TIFF file with {sorted(depths)} bits per sample: 1, 2, 4, 8 and 16 are coded")
    if set(tags.get(TIFF_FORMAT, (1,))) != {1}:
        raise UnsupportedImageError("a TIFF file with signed or floating-point samples")
    if photometric not in (0, 1, 2, 3) and not (photometric == 6 and tags.get(TIFF_COMPRESSION) == 7):
        raise UnsupportedImageError(f"a TIFF file in colour space {photometric} (CMYK, LAB, ...)")
    extra = tags.get(TIFF_EXTRA, ())
    if set(extra) - {TIFF_UNASSOCIATED_ALPHA} or len(extra) > 1 or channels > 4:
        raise UnsupportedImageError(
            f"a TIFF file with extra samples of kind {tuple(extra)}, such as premultiplied alpha"
        )
    if photometric == 3 and any(
        value not in (value // 256 * 257, value // 256 * 256) for value in tags[TIFF_COLOUR_MAP]
    ):
        raise UnsupportedImageError("a TIFF file with a palette of 16-bit colours")
    depth = int(depths.pop())
    if photometric == 0 and depth == 16:
        raise UnsupportedImageError("a TIFF file of 16-bit samples in which 0 is white")
    return depth


def _tiff_chunks(image: Image.Image, tags: Any) -> tuple[Chunk, ...]:
    """A TIFF file's metadata; its tags on the layout of the file are left out."""
    exif = Image.Exif()
    source = image.getexif()
    for tag in TIFF_KEPT:
        if tag in tags:
            exif[tag] = tags[tag]
    for tag in EXIF_DIRECTORIES:
        if tag in source:
            exif.get_ifd(tag).update(source.get_ifd(tag))
            exif[tag] = exif.get_ifd(tag)
    probe = Image.new("L", (1, 1))
    probe.info = {"dpi": image.info.get("dpi"), "icc_profile": tags.get(TIFF_ICC), "xmp": image.info.get("xmp")}
    if len(exif):
        probe.info["exif"] = exif.tobytes()
    return chunks_of_info(probe)


def _upright(data: bytes) -> bytes:
    """A copy of a TIFF file with orientation 1 in its first directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    out = bytearray(data)
    for index in range(count):
        entry = start + (8 + 20 * index if big else 2 + 12 * index)
        if struct.unpack_from(order + "H", data, entry)[0] == TIFF_ORIENTATION:
            struct.pack_into(order + "H", out, entry + (12 if big else 8), 1)
            return bytes(out)
    raise UnreadableImageError("a TIFF file whose orientation is not in its first directory")
