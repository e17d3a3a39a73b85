"""Lossless WebP: the pixels are coded anew, every other chunk of the file is kept as it is.

Source: WebP Container Specification, Google; WebP Lossless Bitstream Specification, section 3.4 (header).

Remainder: varint: 1 if the pixels' header says that there is alpha, plus 2 if there is more than pixels in the file;
then (varint) how many bytes are behind the end that the RIFF header announces, (varint) the length of the chunks before
the pixels, these, and what is behind the pixels.
"""

import struct
from io import BytesIO

import numpy as np
from PIL import Image

from ...errors import CorruptPayloadError, InputError, LimitError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from ..limits import check_pixels
from ..picture import Picture, from_pil
from ..split import BEHIND, Split
from .rawrows import blob, reader, remaking, take_blob

__all__ = ["beyond", "encode", "is_lossy", "join", "read", "skeleton", "split"]

RIFF = 12
LOSSY, LOSSLESS, EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
# The chunks that one picture alone has none of.
NOT_ONE_PICTURE = frozenset([LOSSY, b"ANIM", b"ANMF", b"ALPH"])
# In a VP8X chunk: where width and height stand. In a VP8L chunk: the bit of its fifth byte that announces alpha.
CANVAS, ALPHA_BYTE, ALPHA_BIT = 8 + 4, 4, 0x10
# The chunks that Pillow reads, by the name that it has for what is in them.
METADATA = {b"ICCP": "icc_profile", b"EXIF": "exif", b"XMP ": "xmp"}
# The flags of an extended header: for a profile, alpha, EXIF, XMP.
KNOWN_FLAGS = 0x20 | 0x10 | 0x08 | 0x04
PIXELS = frozenset([LOSSY, LOSSLESS, EXTENDED, b"ALPH"])
MAX_SIDE = 16384
HAS_ALPHA, HAS_MORE = 1, 2


def read(data: bytes, max_pixels: int) -> Picture:
    """The pixels and metadata of a WebP file.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: an animation.
        LimitError: more than `max_pixels` pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as image:
            check_pixels(*image.size, max_pixels)
            if image.mode not in ("RGB", "RGBA"):
                raise UnsupportedImageError(f"a WebP file that Pillow opens in mode {image.mode}")
            return from_pil(image)
    except (InputError, LimitError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file leads Pillow to
        raise UnreadableImageError("a damaged WebP file, or one that is cut short") from error


def is_lossy(data: bytes) -> bool:
    """Whether a file holds a lossy picture: in its first chunk, or in one after the extended header."""
    return any(name == LOSSY for name, _, _ in _chunks(data))


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a file but its pixels; None for a lossy one, and where it is not clear what the pixels are."""
    chunks = _chunks(data)
    names = [name for name, _, _ in chunks]
    size = 8 + int.from_bytes(data[4:8], "little")
    if names.count(LOSSLESS) != 1 or NOT_ONE_PICTURE & set(names) or not RIFF <= size <= len(data):
        return None
    _, start, end = chunks[names.index(LOSSLESS)]
    if end > size or end - start < 8 + 5:
        return None
    alpha = bool(data[start + 8 + ALPHA_BYTE] & ALPHA_BIT)
    if alpha and picture.mode != "RGBA":
        return None
    before, behind = data[RIFF:start], data[end:]
    more = bool(before or behind)
    parts = [varint(HAS_ALPHA * alpha + HAS_MORE * more)]
    if more:
        parts += [varint(len(data) - size), blob(before), behind]
    return Split(b"".join(parts), exact=False)


@remaking("WebP")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A WebP file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    height, width = picture.pixels.shape[:2]
    if picture.mode not in ("RGB", "RGBA") or max(height, width) >= MAX_SIDE:
        raise CorruptPayloadError(f"a WebP file around {width}x{height} pixels of mode {picture.mode}")
    return _file(Image.fromarray(np.ascontiguousarray(picture.pixels), picture.mode), reader(remainder), small=False)


@remaking("WebP")
def skeleton(remainder: bytes) -> bytes:
    """A WebP file of one pixel with the metadata of the file of a remainder."""
    return _file(Image.new("RGBA", (1, 1)), reader(remainder), small=True)


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as image:
            held = {name for name, key in METADATA.items() if image.info.get(key)}
    except Exception as error:  # whatever a damaged file leads Pillow to
        raise UnreadableImageError("a damaged WebP file") from error
    names, chunks = [], _chunks(data)
    for name, _, _ in chunks:
        if name in held:
            held.discard(name)  # a second one is not looked at
        elif name not in PIXELS:
            names.append(f"chunk {name.decode('latin-1').strip()}")
    if EXTENDED in data[RIFF : RIFF + 4] and (data[RIFF + 8] & ~KNOWN_FLAGS or any(data[RIFF + 9 : RIFF + 12])):
        names.append("header fields")
    if chunks and chunks[-1][2] < len(data):
        names.append(BEHIND)
    return tuple(dict.fromkeys(names))


def _file(image: Image.Image, fields: Reader, *, small: bool) -> bytes:
    kind = fields.varint("what is in a WebP file")
    if kind > HAS_ALPHA + HAS_MORE:
        raise CorruptPayloadError(f"what is in a WebP file: {kind}")
    beyond, before = 0, b""
    if kind & HAS_MORE:
        beyond = fields.varint("the bytes behind the end")
        before = take_blob(fields, "the chunks before the pixels")
    behind = bytes(fields.take(fields.left, "the chunks behind the pixels"))
    if beyond > len(behind) or (behind and not kind & HAS_MORE):
        raise CorruptPayloadError(f"{beyond} bytes behind the end, of {len(behind)}")
    if small and before[:4] == EXTENDED and len(before) >= CANVAS + 6:
        before = before[:CANVAS] + bytes(6) + before[CANVAS + 6 :]
    pixels = bytearray(_encode(image))
    pixels[8 + ALPHA_BYTE] = pixels[8 + ALPHA_BYTE] & ~ALPHA_BIT | (ALPHA_BIT if kind & HAS_ALPHA else 0)
    size = 4 + len(before) + len(pixels) + len(behind) - beyond
    return b"".join([b"RIFF", struct.pack("<I", size), b"WEBP", before, pixels, behind])


class _WebPFile(BytesIO):
    """A file in memory with a name: for a suffix Pillow loads that format's plugin alone, for a format several."""

    name = "picture.webp"


def encode(image: Image.Image, method: int, quality: int) -> bytes:
    """A file of a picture, without loss.

    Args:
        image: of a mode that WebP has.
        method: 0 (fast) to 6.
        quality: how long the encoder searches, 0 to 100.
    """
    file = _WebPFile()
    image.save(file, lossless=True, method=method, quality=quality, exact=True)
    return file.getvalue()


def _encode(image: Image.Image) -> bytes:
    """The chunk of a picture, with its padding."""
    data = encode(image, method=4, quality=100)
    for name, start, end in _chunks(data):
        if name == LOSSLESS:
            return data[start:end]
    raise CorruptPayloadError("WebP's encoder gave no lossless picture")


def _chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """The name of each whole chunk, where it begins and where it ends with its padding."""
    out: list[tuple[bytes, int, int]] = []
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    position = RIFF
    while position + 8 <= end:
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + length + length % 2
        if following > len(data):
            break
        out.append((data[position : position + 4], position, following))
        position = following
    return out
