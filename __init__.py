"""densezip: lossless image compression in which the likelihood of a trained model is the file size.

    >>> import densezip
    >>> data = densezip.compress("photo.png")       # bytes of a .dz file
    >>> image = densezip.decompress(data)           # the same pixels, mode, depth and metadata
    >>> densezip.info(data).bpsp                    # bits per sub-pixel, from the file's size

Importing the package imports the standard library only; numpy, Pillow and the model come with the first image.
"""

from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
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
    WeightsError,
)
from .codec.file.container import Container, Header, Payload, parse
from .codec.file.info import Info, describe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from .codec.file.payload import Coder
    from .codec.images.picture import Picture

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
    "WeightsError",
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
    if not 1 <= effort <= 9:
        raise UsageError(f"effort {effort}: from 1 (fast) to 9 (small)")
    _check_threads(threads)
    picture, original, extension, lossy = _take_in(image, strip, max_pixels)
    from .codec.file.coding import encode_picture, store

    if original is not None and lossy:
        return store(picture, original, extension, lossy=True)

    def photo(height: int, width: int, depth: int) -> "Coder":
        from .models.coders import coder_for_effort

        return coder_for_effort(effort, height, width, depth)

    def indexed(height: int, width: int) -> "Coder":
        from .models.coders import indexed_coder

        return indexed_coder(height, width)

    data = encode_picture(picture, photo, indexed, threads, progress)
    if original is not None and len(original) < len(data):
        data = min(data, store(picture, original, extension, lossy=False), key=len)
    if progress is not None:
        progress(1.0)
    return data


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
    container = _open(data, threads, max_pixels)
    from .codec.images.picture import to_image

    if container.header.payload is Payload.STORED:
        return to_image(_stored_picture(container, max_pixels))
    return to_image(_decode(container, threads, progress))


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
    container = _open(data, threads, max_pixels)
    from .codec.file.coding import stored_bytes
    from .codec.images.imagewrite import format_of_extension, write

    if container.header.payload is Payload.STORED:
        stored = container.header.stored_format
        if extension is None or format_of_extension(extension) == format_of_extension(stored):
            return stored_bytes(container), stored
        return write(_stored_picture(container, max_pixels), extension), extension.lower().removeprefix(".")
    wanted = (extension or "png").lower().removeprefix(".")
    format_of_extension(wanted)  # before the work, not after it
    return write(_decode(container, threads, progress), wanted), wanted


def info(data: bytes) -> Info:
    """Read the header of a .dz file, and of a batch how many images it has.

    Args:
        data: bytes of a .dz file.

    Raises:
        FormatError: damaged, or not a .dz file. Pixels are neither decoded nor checked: see `verify`.
    """
    return describe(parse(data))


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
    container = _open(data, threads, max_pixels)
    if container.header.payload is Payload.STORED:
        _stored_picture(container, max_pixels)
    else:
        _decode(container, threads, progress)
    return describe(container)


def _check_threads(threads: int) -> None:
    if threads < 0:
        raise UsageError(f"{threads} threads: 0 for all processors, or a number of them")


def _take_in(image: "Source", strip: bool, max_pixels: int) -> "tuple[Picture, bytes | None, str, bool]":
    """The picture; and where a file may be stored as it is, its bytes, extension, and whether it is lossy."""
    import numpy as np
    from PIL import Image

    from .codec.images import imagefile
    from .codec.images.picture import from_array, from_pil

    if isinstance(image, np.ndarray | Image.Image):
        height, width = image.shape[:2] if isinstance(image, np.ndarray) and image.ndim >= 2 else (0, 0)
        if isinstance(image, Image.Image):
            width, height = image.size
        imagefile.check_pixels(width, height, max_pixels)
        picture = from_array(image) if isinstance(image, np.ndarray) else from_pil(image)
        return picture.stripped() if strip else picture, None, "", False
    suffix = ""
    if isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
    else:
        try:
            path = Path(fspath(image))
            data = path.read_bytes()
        except TypeError:
            raise UsageError(f"an image of type {type(image).__name__}: wanted a path, bytes, array or image") from None
        except (OSError, ValueError) as error:
            raise UnreadableImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        suffix = path.suffix.lower().removeprefix(".")
    read = imagefile.read(data, max_pixels)
    extensions = imagefile.FORMATS[read.format][1]
    extension = suffix if suffix in extensions else extensions[0]
    if not strip:
        return read.picture, data, extension, read.lossy
    from .codec.images.strip import strip as strip_file

    return read.picture.stripped(), strip_file(data, read.format), extension, read.lossy


def _open(data: bytes, threads: int, max_pixels: int) -> Container:
    """Parse, and refuse what is too large before anything is allocated."""
    _check_threads(threads)
    container = parse(data)
    width, height = container.header.width, container.header.height
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")
    return container


def _decode(container: Container, threads: int, progress: Callable[[float], None] | None) -> "Picture":
    from .codec.file.coding import decode_picture

    def known(header: Header) -> "Coder":
        from .models.coders import coder_of_header

        return coder_of_header(header)

    picture = decode_picture(container, known, threads, progress)
    if progress is not None:
        progress(1.0)
    return picture


def _stored_picture(container: Container, max_pixels: int) -> "Picture":
    from .codec.file.coding import stored_bytes
    from .codec.images.imagefile import read

    header = container.header
    try:
        picture = read(stored_bytes(container), max_pixels).picture
    except InputError as error:
        raise CorruptPayloadError(f"the stored {header.stored_format} file: {error}") from error
    if (picture.mode, *picture.pixels.shape[:2]) != (header.mode, header.height, header.width):
        raise CorruptPayloadError(
            f"the stored {header.stored_format} file is {picture.mode} {picture.pixels.shape[1]}x"
            f"{picture.pixels.shape[0]}, the header says {header.mode} {header.width}x{header.height}"
        )
    return picture
