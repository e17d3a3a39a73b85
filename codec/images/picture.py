"""`Picture`: the pixels of an image as samples, with all that is needed to give the same image back.

Metadata is held as PNG chunks, whatever file it came from: a published vocabulary for palettes, colour keys, ICC,
EXIF, XMP, text, gamma and resolution, and exact for PNG files, whose chunks are kept byte for byte.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import UnreadableImageError, UnsupportedImageError
from .exif import only_orientation
from .info import DETAILS, chunks_of_info
from .modes import CHANNELS, CHECKSUM_BYTES, LOOK, Chunk
from .png import chunks as pngchunks
from .png import write as pngwrite
from .png.contents import profile_of

__all__ = [
    "Array",
    "Picture",
    "check_palette",
    "checksum",
    "digest",
    "from_array",
    "from_pil",
    "is_image",
    "left_out",
    "to_image",
]

Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

MODES_OF_CHANNELS = {
    (1, np.dtype(np.uint8)): "L",
    (2, np.dtype(np.uint8)): "LA",
    (3, np.dtype(np.uint8)): "RGB",
    (4, np.dtype(np.uint8)): "RGBA",
    (1, np.dtype(np.uint16)): "I;16",
    (2, np.dtype(np.uint16)): "LA;16",
    (3, np.dtype(np.uint16)): "RGB;16",
    (4, np.dtype(np.uint16)): "RGBA;16",
}
PIL_MODES = frozenset(["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
PIL_16_BIT_GREY = frozenset(["I;16", "I;16B", "I;16L", "I;16N"])
WHY_NOT = {
    "CMYK": "CMYK",
    "F": "floating-point samples",
    "I": "32-bit integer samples",
    "LAB": "the LAB colour space",
    "HSV": "the HSV colour space",
    "YCbCr": "the YCbCr colour space",
    "PA": "a palette with an alpha plane",
    "La": "premultiplied alpha",
    "RGBa": "premultiplied alpha",
    "RGBX": "padded RGB",
}
MAX_PALETTE = 768
# Copying out of Pillow goes by bands of about this many pixels, so that only one copy of the image is made.
BAND_PIXELS = 2**20


@dataclass(frozen=True)
class Picture:
    """An image.

    Attributes:
        pixels: [H, W, C], uint8 or uint16; 0 and 1 in mode "1", palette indices in mode "P".
        mode: one of `modes.MODES`.
        bits: bits per sample in the source: 1, 2, 4, 8 or 16. Grey samples of 2 and 4 bits are scaled to 0..255.
        chunks: PLTE, tRNS and metadata as PNG chunks.
        array_ndim: 0 for an image; 2 or 3 for an array [H, W] or [H, W, C].
    """

    pixels: Array
    mode: str
    bits: int
    chunks: tuple[Chunk, ...] = ()
    array_ndim: int = 0

    def stripped(self, *, look: bool = False) -> "Picture":
        """The same pixels, without the metadata that does not alter them.

        Args:
            look: keep what changes how they look, too: orientation, colour profile, gamma.
        """
        kept: list[Chunk] = []
        for name, data in self.chunks:
            if name in pngchunks.STRUCTURAL or (look and name in LOOK):
                kept.append((name, data))
            elif look and name == "eXIf" and only_orientation(data):
                kept.append((name, only_orientation(data)))
        return replace(self, chunks=tuple(kept))


def checksum(pixels: Array) -> bytes:
    """BLAKE2b with 8 bytes of output, over the samples in C order, 16-bit ones little-endian. About 1 GB a second."""
    if pixels.dtype == np.uint16:
        pixels = pixels.astype("<u2", copy=False)
    return digest(np.ascontiguousarray(pixels).data)


def digest(data: bytes | memoryview) -> bytes:
    """BLAKE2b with 8 bytes of output."""
    return hashlib.blake2b(data, digest_size=CHECKSUM_BYTES).digest()


def is_image(array: npt.NDArray[Any]) -> bool:
    """Whether an array is [H, W] or [H, W, C] with C from 1 to 4, uint8 or uint16."""
    channels = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    return (channels, array.dtype.newbyteorder("=")) in MODES_OF_CHANNELS


def from_array(array: npt.NDArray[Any]) -> Picture:
    """A picture of an array [H, W] or [H, W, C], uint8 or uint16; no copy is made of a contiguous one.

    Raises:
        UnsupportedImageError: another dtype, or another shape.
    """
    pixels = array[:, :, None] if array.ndim == 2 else array
    if not is_image(array):
        raise UnsupportedImageError(
            f"an array of shape {list(array.shape)} and type {array.dtype}: "
            "wanted uint8 or uint16, [H, W] or [H, W, C] with C from 1 to 4"
        )
    if 0 in pixels.shape:
        raise UnsupportedImageError(f"an array of shape {list(array.shape)} has no pixels")
    samples = cast(Array, np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("=")))
    return Picture(samples, MODES_OF_CHANNELS[samples.shape[2], samples.dtype], 8 * samples.itemsize, (), array.ndim)


def from_pil(image: Image.Image) -> Picture:
    """A picture of a PIL image's pixels, palette, transparency and metadata.

    Raises:
        UnsupportedImageError: a mode that is not coded, or an animation.
        UnreadableImageError: its file, which Pillow reads only now, is damaged.
    """
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedImageError(f"{image.n_frames} frames: animations and multi-page files are not coded")  # type: ignore[attr-defined]
    for tile in getattr(image, "tile", ()):
        if ";16" in str(tile[3]) and image.mode not in PIL_16_BIT_GREY:
            raise UnsupportedImageError(
                f"Pillow opens this 16-bit image as 8-bit {image.mode}: give its path, or an array of its samples"
            )
    if image.mode not in PIL_MODES | PIL_16_BIT_GREY:
        raise UnsupportedImageError(f"mode {image.mode}: {WHY_NOT.get(image.mode, 'it')} is not coded")
    if not image.width or not image.height:
        raise UnsupportedImageError(f"an image of {image.width}x{image.height} pixels")
    try:
        image.load()
    except Exception as error:  # Pillow raises whatever damaged data, or an odd palette, leads it to.
        raise UnreadableImageError(f"damaged, or cut short: {error}") from error
    mode = "I;16" if image.mode in PIL_16_BIT_GREY else image.mode
    bits = {"1": 1, "I;16": 16}.get(mode, 8)
    return Picture(_samples(image), mode, bits, chunks_of_info(image))


def _samples(image: Image.Image) -> Array:
    """The samples of a loaded PIL image, [H, W, C], native byte order."""
    sixteen = image.mode in PIL_16_BIT_GREY
    channels = 1 if sixteen else CHANNELS[image.mode]
    out = cast(Array, np.empty((image.height, image.width, channels), np.uint16 if sixteen else np.uint8))
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        # `crop` of another class than ImageFile keeps the mode; asarray turns "1" to booleans and I;16B to ">u2".
        band = np.asarray(image.crop((0, top, image.width, bottom)))
        out[top:bottom] = band.reshape(bottom - top, image.width, channels)
    return out


def check_palette(picture: Picture) -> None:
    """Refuse a palette that no file can hold.

    Raises:
        UnreadableImageError: its length is not 3 bytes for each of 1 to 256 colours.
    """
    size = len(dict(picture.chunks).get("PLTE", b""))
    if picture.mode == "P" and (size % 3 or not 3 <= size <= MAX_PALETTE):
        raise UnreadableImageError(f"a palette of {size} bytes: wanted 3 for each of 1 to 256 colours")


def to_image(picture: Picture) -> Image.Image | Array:
    """The PIL image, or the array where an array went in or Pillow has no such mode (16-bit colour)."""
    pixels = picture.pixels
    if picture.array_ndim:
        return pixels[:, :, 0] if picture.array_ndim == 2 else pixels
    if picture.mode not in PIL_MODES:
        return pixels
    height, width, channels = pixels.shape
    flat = pixels[:, :, 0] if channels == 1 else pixels
    if picture.mode == "1":
        image = Image.fromarray(flat.astype(bool))
    elif picture.mode == "I;16":
        image = Image.frombytes("I;16", (width, height), flat.astype("<u2", copy=False).tobytes())
    else:
        image = Image.frombytes(picture.mode, (width, height), np.ascontiguousarray(flat))
    if picture.mode == "P":
        image.putpalette(dict(picture.chunks).get("PLTE", b""))
    image.info = _info(picture, picture.chunks)
    return image


def _info(picture: Picture, chunks: tuple[Chunk, ...]) -> dict[Any, Any]:
    """What Pillow makes of the chunks: it reads them from a file of one pixel, as it would from the whole image's."""
    sound = pngchunks.sound_chunks(chunks, picture.mode)
    info = _probe(picture, sound)
    if info is not None:
        return info
    # Pillow refuses one of them, in one way or another: the others are none the worse for it.
    palette = tuple(chunk for chunk in sound if chunk[0] == "PLTE")
    found: dict[Any, Any] = {}
    for chunk in sound:
        if chunk[0] != "PLTE":
            found |= _probe(picture, (*palette, chunk)) or {}
        if chunk[0] == "iCCP" and "icc_profile" not in found and (profile := profile_of(chunk[1])):
            found["icc_profile"] = profile
    return found


def left_out(image: Image.Image, picture: Picture) -> tuple[str, ...]:
    """The entries of a PIL image's `info` that its picture does not have."""
    given: Any = image.info if isinstance(image.info, Mapping) else {}
    held = _info(picture, picture.chunks)
    return tuple(
        str(name) for name, value in given.items() if name not in DETAILS and value is not None and name not in held
    )


def _probe(picture: Picture, chunks: tuple[Chunk, ...]) -> dict[Any, Any] | None:
    probe = pngwrite.write(np.zeros_like(picture.pixels[:1, :1]), picture.mode, picture.bits, chunks)
    try:
        with Image.open(BytesIO(probe), formats=["PNG"]) as one:
            one.load()
            return {name: value for name, value in one.info.items() if value is not None}
    except Exception:
        return None
