"""What stands in the `info` of a PIL image, and its palette, as PNG chunks.

Anything may stand there. What is malformed, or has no meaning for the image's mode, is left out.
"""

import numbers
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UnreadableImageError, UnsupportedImageError
from .exif import EXIF_PREFIX
from .modes import Chunk

__all__ = ["DETAILS", "METRES_PER_INCH", "XMP_KEYWORD", "chunks_of_info"]

XMP_KEYWORD = b"XML:com.adobe.xmp"
METRES_PER_INCH = 0.0254
MAX_FIXED = 2**31 - 1  # PNG's numbers have no sign, and no top bit
# Samples of the colour that a tRNS chunk calls transparent; of a palette it holds the alpha of each entry.
TRANSPARENT_SAMPLES = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1, "RGB": 3}
MAX_PALETTE_ENTRIES = 256
# The tags of a TIFF file that describe its picture, and EXIF's and GPS's directories; others say how the file is made.
DESCRIPTIVE = (270, 271, 272, 274, 305, 306, 315, 33432)
DIRECTORIES = (34665, 34853)
# Entries of which Pillow makes one of each file that it opens: how the file was made, or what other entries say, too.
DETAILS = frozenset([
    "adobe", "adobe_transform", "background", "compression", "extension", "interlace", "jfif", "jfif_density",
    "jfif_unit", "jfif_version", "mp", "mpoffset", "progression", "progressive", "version",
    XMP_KEYWORD.decode(),
])  # fmt: skip


def chunks_of_info(image: Image.Image) -> tuple[Chunk, ...]:
    """The palette and metadata of a PIL image as PNG chunks.

    Anything may stand in `info`. Entries that are unknown, or that no chunk can hold, are left out.

    Raises:
        UnsupportedImageError: a transparency that is out of range.
        UnreadableImageError: a palette that is none.
    """
    info: Mapping[Any, Any] = image.info if isinstance(image.info, Mapping) else {}
    chunks: list[Chunk] = _palette(image) if image.mode == "P" else []
    key = _transparency(info.get("transparency"), image.mode)
    if key is not None and not any(name == "tRNS" for name, _ in chunks):
        chunks.append(("tRNS", key))
    if chunks and chunks[0][0] == "PLTE" and key is not None:
        # Colours that the image does not use can be left out of its palette; PNG wants one for each alpha.
        chunks[0] = ("PLTE", chunks[0][1].ljust(3 * len(key), b"\0"))
    profile, exif, xmp = _bytes(info.get("icc_profile")), _bytes(info.get("exif")), _bytes(info.get("xmp"))
    if profile:
        chunks.append(("iCCP", b"ICC Profile\0\0" + zlib.compress(profile, 9)))
    intent, chromaticity, dpi = (info.get(name) for name in ("srgb", "chromaticity", "dpi"))
    gamma = _fixed([info.get("gamma")], 100_000)
    if gamma:
        chunks.append(("gAMA", struct.pack(">I", *gamma)))
    if isinstance(intent, int) and 0 <= intent < 256:
        chunks.append(("sRGB", bytes([intent])))
    white = _fixed(chromaticity, 100_000) if isinstance(chromaticity, tuple) else None
    if white and len(white) == 8:
        chunks.append(("cHRM", struct.pack(">8I", *white)))
    resolution = _fixed(dpi, 1 / METRES_PER_INCH) if isinstance(dpi, tuple) else None
    if resolution and len(resolution) == 2 and all(resolution):
        chunks.append(("pHYs", struct.pack(">IIB", *resolution, 1)))
    elif (ratio := _fixed(info["aspect"], 1) if isinstance(info.get("aspect"), tuple) else None) and len(ratio) == 2:
        chunks.append(("pHYs", struct.pack(">IIB", *ratio, 0)))
    exif = exif or _exif(image)
    if exif.removeprefix(EXIF_PREFIX):
        chunks.append(("eXIf", exif.removeprefix(EXIF_PREFIX)))
    texts = _texts(image)
    if xmp and _bytes(texts.get(XMP_KEYWORD.decode())) != xmp:
        texts.pop(XMP_KEYWORD.decode(), None)
        chunks.append(("iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp))
    chunks += filter(None, (_text_chunk(keyword, text) for keyword, text in texts.items()))
    return tuple(chunks)


def _palette(image: Image.Image) -> list[Chunk]:
    """PLTE, and tRNS where the palette has an alpha."""
    try:
        alpha_palette = image.palette is not None and image.palette.mode == "RGBA"
        entries = bytes(image.getpalette("RGBA" if alpha_palette else "RGB") or b"")
    except Exception as error:  # Pillow raises whatever an odd palette leads it to.
        raise UnreadableImageError(f"a palette that cannot be read: {error}") from error
    if not alpha_palette:
        return [("PLTE", entries or b"\0\0\0")]
    table = np.frombuffer(entries or bytes(4), np.uint8).reshape(-1, 4)
    return [("PLTE", table[:, :3].tobytes()), ("tRNS", table[:, 3].tobytes())]


def _bytes(value: object) -> bytes:
    """Bytes or text as bytes; b"" for anything else."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        return value.encode() if isinstance(value, str) else b""
    except UnicodeEncodeError:  # half of a surrogate pair
        return b""


def _fixed(values: Iterable[object], scale: float) -> list[int] | None:
    """Numbers times `scale`, rounded, as PNG has them: 31 bits, no sign. None where one is no such number."""
    found = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        try:
            scaled = float(value) * scale  # a fraction of Pillow's over zero is NaN
        except OverflowError:
            return None
        if not 0 <= scaled < MAX_FIXED:
            return None
        found.append(round(scaled))
    return found


def _exif(image: Image.Image) -> bytes:
    """EXIF that was set in memory; b"" where it is none."""
    try:
        exif = image.getexif()
        if image.format == "TIFF":
            found, exif = exif, Image.Exif()
            exif.update({tag: found[tag] for tag in DESCRIPTIVE if tag in found})
            for tag in DIRECTORIES:
                if below := found.get_ifd(tag):
                    exif.get_ifd(tag).update(below)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # Pillow raises whatever an odd entry leads it to.
        return b""


def _texts(image: Image.Image) -> dict[str, str]:
    """Text: in `info`, but of other files than PNG only the comment; that of a PNG file may have a language, too."""
    found: dict[Any, Any] = dict(image.info) if isinstance(image.info, Mapping) else {}
    comment = found.get("comment")
    if image.format not in (None, "PNG"):
        found = {}
    of_file = getattr(image, "text", None)
    found |= {
        key: text
        for key, text in (of_file if isinstance(of_file, Mapping) else {}).items()
        if key not in found or found[key] == text
    }
    if isinstance(comment, bytes | bytearray | str) and comment:
        found["comment"] = comment if isinstance(comment, str) else _decoded(bytes(comment))
    return {
        key: text
        for key, text in found.items()
        if isinstance(key, str) and isinstance(text, str) and 0 < len(key) < 80 and "\0" not in key and key != "xmp"
    }


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _transparency(key: object, mode: str) -> bytes | None:
    """A `transparency` entry of PIL's info as the body of a tRNS chunk; None where that mode has no such entry.

    Raises:
        UnsupportedImageError: it has, but not with this value.
    """
    samples = 1 if mode == "P" else TRANSPARENT_SAMPLES.get(mode, 0)
    if isinstance(key, bytes | bytearray):
        if mode == "P" and len(key) > MAX_PALETTE_ENTRIES:
            raise UnsupportedImageError(
                f"a transparency of {len(key)} bytes: a palette has {MAX_PALETTE_ENTRIES} colours"
            )
        fits = bool(key) if mode == "P" else samples and len(key) == 2 * samples
        return bytes(key) if fits else None
    given: Sequence[object] = key if isinstance(key, tuple | list) else [key]
    values = [int(value) for value in given if isinstance(value, numbers.Integral)]
    if len(values) != samples or len(values) != len(given) or not values:
        return None
    most = MAX_PALETTE_ENTRIES if mode == "P" else 2**16
    if not 0 <= min(values) <= max(values) < most:
        raise UnsupportedImageError(f"a transparency of {str(key)[:40]} in mode {mode}: wanted 0 to {most - 1}")
    if mode == "P":
        return b"\xff" * values[0] + b"\0"
    if mode == "1":
        values = [1 if values[0] else 0]
    return struct.pack(f">{samples}H", *values)


def _text_chunk(keyword: str, text: str) -> Chunk | None:
    """A text as a chunk; None for what is no Unicode."""
    language, translated = (_plain(getattr(text, name, None)) for name in ("lang", "tkey"))
    try:
        if not language and not translated:
            return "tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        pass
    head = keyword.encode("latin-1", "replace") + b"\0\0\0" + language + b"\0" + translated + b"\0"
    try:
        return "iTXt", head + text.encode()
    except UnicodeEncodeError:
        return None


def _plain(value: object) -> bytes:
    """Text that may stand before a zero byte, as UTF-8; b"" for anything else."""
    found = _bytes(value) if isinstance(value, str) else b""
    return b"" if b"\0" in found else found
