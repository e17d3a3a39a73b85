"""Read an image file exactly, or say why not.

Pillow reads what it reads exactly; 16-bit colour, which it rounds to 8 bits without a word, goes through imagecodecs.
Everything is judged by the file's header before pixels are decoded.
"""

import struct
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from ..errors import InputError, LimitError, UnreadableImageError, UnsupportedImageError
from . import png
from .modes import Chunk
from .picture import Array, Picture, chunks_of_info, from_pil

__all__ = ["FORMATS", "InputImage", "check_pixels", "read"]

# name: (Pillow's names, the extensions that a file of this format may carry; the first is the default)
FORMATS = {
    "PNG": (("PNG",), ("png",)),
    "JPEG": (("JPEG", "MPO"), ("jpg", "jpeg", "jpe", "jfif")),
    "WebP": (("WEBP",), ("webp",)),
    "TIFF": (("TIFF",), ("tif", "tiff")),
    "BMP": (("BMP",), ("bmp", "dib")),
    "GIF": (("GIF",), ("gif",)),
    "PNM": (("PPM",), ("ppm", "pgm", "pbm", "pnm")),
    "QOI": (("QOI",), ("qoi",)),
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
KNOWN_BUT_NOT_READ = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"%!PS", "PostScript"),
    (b"%PDF", "PDF"),
    (b"\0\0\1\0", "ICO"),
)

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


def read(data: bytes, max_pixels: int) -> InputImage:
    """Read an image file.

    Args:
        data: the bytes of the file.
        max_pixels: refuse larger images before decoding them.

    Raises:
        UnreadableImageError: not an image file that we know, damaged or cut short.
        UnsupportedImageError: an image that cannot be read exactly, or is not coded.
        LimitError: more than `max_pixels` pixels.
    """
    kind = _sniff(data)
    try:
        with _STRICT:
            if kind == "PNG":
                return _read_png(data, max_pixels)
            if kind == "PNM":
                return _read_pnm(data, max_pixels)
            if kind == "TIFF":
                return _read_tiff(data, max_pixels)
            with _open(data, kind, max_pixels) as image:
                if kind == "WebP" and image.mode not in ("RGB", "RGBA"):
                    raise UnsupportedImageError(f"a WebP file that Pillow opens in mode {image.mode}")
                return InputImage(from_pil(image), kind, kind == "JPEG" or (kind == "WebP" and _is_lossy_webp(data)))
    except (InputError, LimitError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to.
        raise UnreadableImageError(f"a damaged {kind} file: {error or type(error).__name__}") from error


def _sniff(data: bytes) -> str:
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "PNM"
    if data[4:8] == b"ftyp":
        raise UnsupportedImageError("AVIF and HEIF files are not read")
    for magic, kind in KNOWN_BUT_NOT_READ:
        if data.startswith(magic):
            raise UnsupportedImageError(f"{kind} files are not read")
    if not data:
        raise UnreadableImageError("an empty file")
    raise UnreadableImageError(f"not an image file that densezip reads ({', '.join(FORMATS)})")


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


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image that is too large.

    Raises:
        LimitError: more than `max_pixels` pixels.
    """
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")


def _open(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Open with the one plugin that the file's first bytes call for; refuse what the header gives away."""
    image = Image.open(BytesIO(data), formats=FORMATS[kind][0])
    check_pixels(*image.size, max_pixels)
    return image


def _is_lossy_webp(data: bytes) -> bool:
    """Whether a WebP file holds a lossy 'VP8 ' frame: its first chunk, or one after the extended header."""
    position = 12
    while position + 8 <= len(data):
        if data[position : position + 4] == b"VP8 ":
            return True
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False


def _read_png(data: bytes, max_pixels: int) -> InputImage:
    file = png.parse(data)
    check_pixels(file.width, file.height, max_pixels)
    return InputImage(png.read(data, file), "PNG", lossy=False)


def _read_pnm(data: bytes, max_pixels: int) -> InputImage:
    kind, fields, offset = _pnm_header(data)
    width, height = fields[:2]
    check_pixels(width, height, max_pixels)
    maximum = fields[2] if len(fields) > 2 else 255
    if maximum not in (255, 65535) or (maximum == 65535 and kind in b"23"):
        raise UnsupportedImageError(f"a PNM file with a maximum of {maximum}: 255 is coded, and 65535 in binary files")
    channels = 3 if kind == b"6" else 1
    row = (width + 7) // 8 if kind == b"4" else width * channels * (2 if maximum > 255 else 1)
    if kind in b"456" and data[offset + row * height :].strip():
        raise UnsupportedImageError("a PNM file with more than one image in it")
    if maximum == 255:
        with _open(data, "PNM", max_pixels) as image:
            return InputImage(from_pil(image), "PNM", lossy=False)
    if len(data) - offset < row * height:
        raise UnreadableImageError(f"a PNM file that is cut short: {len(data) - offset} of {row * height} bytes")
    samples: Array = (
        np.frombuffer(data, ">u2", row * height // 2, offset).astype(np.uint16).reshape(height, width, channels)
    )
    return InputImage(Picture(samples, "RGB;16" if channels == 3 else "I;16", 16), "PNM", lossy=False)


def _pnm_header(data: bytes) -> tuple[bytes, list[int], int]:
    """The digit of the kind, the numbers of the header, and where the samples begin."""
    kind, position = data[1:2], 2
    fields: list[int] = []
    while len(fields) < (2 if kind in b"14" else 3):
        while data[position : position + 1].isspace() or data[position : position + 1] == b"#":
            comment = data[position : position + 1] == b"#"
            position = data.find(b"\n", position) + 1 or len(data) if comment else position + 1
        start = position
        while data[position : position + 1].isdigit():
            position += 1
        if not 0 < position - start < 10:
            raise UnreadableImageError(f"a damaged PNM file: no number at byte {start} of the header")
        fields.append(int(data[start:position]))
    if 0 in fields:
        raise UnreadableImageError(f"a damaged PNM file: its header says {fields}")
    return kind, fields, position + 1


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
