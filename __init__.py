"""densezip: lossless image compression in which the likelihood of a trained model is the file size.

    >>> import densezip
    >>> data = densezip.compress("photo.png")       # bytes of a .dz file
    >>> image = densezip.decompress(data)           # the same pixels, mode, depth and metadata
    >>> densezip.info(data).bpsp                    # bits per sub-pixel, from the file's size

Importing the package imports the standard library only; numpy, Pillow and the model come with the first image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from .codec.errors import (
    BadMagicError,
    ChecksumError,
    CorruptPayloadError,
    DensezipError,
    FormatError,
    HeaderError,
    InputError,
    LimitError,
    OutputError,
    OutputFormatError,
    TrailingDataError,
    TruncatedError,
    UnknownModelError,
    UnreadableImageError,
    UnsupportedImageError,
    UnsupportedVersionError,
    UsageError,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    Source: TypeAlias = Image.Image | Array | str | PathLike[str] | bytes

__all__ = [
    "DEFAULT_EFFORT",
    "DEFAULT_MAX_PIXELS",
    "BadMagicError",
    "ChecksumError",
    "CorruptPayloadError",
    "DensezipError",
    "FormatError",
    "HeaderError",
    "Info",
    "InputError",
    "LimitError",
    "OutputError",
    "OutputFormatError",
    "TrailingDataError",
    "TruncatedError",
    "UnknownModelError",
    "UnreadableImageError",
    "UnsupportedImageError",
    "UnsupportedVersionError",
    "UsageError",
    "__version__",
    "compress",
    "decompress",
    "export",
    "info",
    "verify",
]

__version__ = "0.1.0"

DEFAULT_EFFORT = 5
DEFAULT_MAX_PIXELS = 2**28


@dataclass(frozen=True)
class Info:
    """What the header of a .dz file says.

    Attributes:
        format_version: of the file.
        width: in pixels.
        height: in pixels.
        mode: "1", "L", "LA", "RGB", "RGBA", "P", "I;16" (16-bit grey), "LA;16", "RGB;16" or "RGBA;16".
        depth: bits per sample in the source: 1, 2, 4, 8 or 16.
        channels: samples per pixel; 1 for a palette image.
        source: "image", or "array" where `decompress` gives an ndarray.
        payload: "model", "webp", "png" or "stored".
        model: name of the model, or None where the payload is not a model's.
        model_digest: 8 hexadecimal digits that name the model's weights, or None.
        portable: whether the file decodes to the same pixels on every machine.
        tiles: number of independently decodable tiles.
        tile_size: (width, height) of a tile in pixels.
        stored_format: the extension of a stored file without its dot, such as "jpg", or None.
        lossy_source: the input was a lossy file (JPEG, lossy WebP), whose bytes are stored as they were.
        size: of the .dz file, in bytes.
        bpsp: bits of file per sub-pixel (per sample).
        ratio: raw size of the samples over the file's size.
        metadata: name of each part kept -> bytes, before compression.
    """

    format_version: int
    width: int
    height: int
    mode: str
    depth: int
    channels: int
    source: str
    payload: str
    model: str | None
    model_digest: str | None
    portable: bool
    tiles: int
    tile_size: tuple[int, int]
    stored_format: str | None
    lossy_source: bool
    size: int
    bpsp: float
    ratio: float
    metadata: Mapping[str, int]


def compress(
    image: "Source",
    *,
    effort: int = DEFAULT_EFFORT,
    threads: int = 0,
    strip: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """Compress an image without loss.

    Args:
        image: path of an image file, the bytes of one, a PIL image, or a uint8 or uint16 array [H, W] or
            [H, W, C] with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
        effort: 1 (fast) to 9 (small).
        threads: number of tiles coded at once; 0 for all processors.
        strip: drop the metadata that does not alter pixels.
        max_pixels: refuse larger images before decoding them.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.

    Returns:
        The bytes of a .dz file.

    Raises:
        UsageError: an argument out of range.
        UnreadableImageError: not an image file that we know, damaged or cut short.
        UnsupportedImageError: animations, CMYK, floating point, ...
        LimitError: more than `max_pixels` pixels.
    """
    raise NotImplementedError


def decompress(
    data: bytes,
    *,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> "Image.Image | Array":
    """Decode a .dz file to the image that went in.

    Args:
        data: bytes of a .dz file.
        threads: number of tiles decoded at once; 0 for all processors.
        max_pixels: refuse larger images before anything is allocated.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.

    Returns:
        An array where an array went in and where Pillow has no such mode (16-bit colour); else a PIL image.

    Raises:
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
    """
    raise NotImplementedError


def export(
    data: bytes,
    extension: str | None = None,
    *,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> tuple[bytes, str]:
    """Decode a .dz file to the bytes of an image file.

    Args:
        data: bytes of a .dz file.
        extension: "png", "webp", "tiff", "ppm", "bmp", ... with or without a dot; None for the bytes of the
            original file where they are stored, and PNG otherwise.
        threads: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.

    Returns:
        The bytes of the image file, and its extension without a dot ("png", "jpg", ...).

    Raises:
        OutputFormatError: that format is unknown or cannot hold this image losslessly.
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
    """
    raise NotImplementedError


def info(data: bytes) -> Info:
    """Read the header of a .dz file and nothing else.

    Args:
        data: bytes of a .dz file.

    Raises:
        FormatError: damaged, or not a .dz file. The payload is neither decoded nor checked: see `verify`.
    """
    raise NotImplementedError


def verify(
    data: bytes,
    *,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> Info:
    """Decode a .dz file, check every checksum, and throw the pixels away.

    Args:
        data: bytes of a .dz file.
        threads: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.

    Raises:
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
    """
    raise NotImplementedError
