"""densezip: lossless image compression in which the likelihood of a trained model is the file size.

    >>> import densezip
    >>> data = densezip.compress("photo.png")       # bytes of a .dz file
    >>> image = densezip.decompress(data)           # the same pixels, mode, depth and metadata
    >>> densezip.info(data).bpsp                    # bits per sub-pixel, from the file's size

Importing the package imports the standard library only; numpy, Pillow and the model come with the first image.
"""

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

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
from .codec.file.inputs import bytes_of, take_in

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from .codec.file.payload import Coder
    from .codec.images.picture import Picture
    from .codec.images.source import Source as SourceFile

    Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    File: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO
    Source: TypeAlias = Image.Image | Array | File

__all__ = [
    "DEFAULT_EFFORT",
    "DEFAULT_MAX_PIXELS",
    "BadMagicError",
    "ChecksumError",
    "CorruptPayloadError",
    "DensezipError",
    "Exported",
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

JPEG_MAGIC = b"\xff\xd8\xff"
DEFAULT_EFFORT = 5
DEFAULT_MAX_PIXELS = 2**28


class Exported(NamedTuple):
    """An image file made of a .dz file.

    Attributes:
        data: the bytes of the file.
        extension: of its format, without a dot ("png", "jpg", ...).
        lost: what its format could not hold ("EXIF", "ICC profile", ...); empty where the source's own file came back.
    """

    data: bytes
    extension: str
    lost: tuple[str, ...] = ()


def compress(
    image: "Source",
    *,
    effort: int = DEFAULT_EFFORT,
    threads: int = 0,
    strip: bool | str = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> bytes:
    """Compress an image without loss.

    Args:
        image: path of an image file, the bytes of one, a file object open for reading bytes, a PIL image, or a uint8 or
            uint16 array [H, W] or [H, W, C] with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
        effort: 1 (fast) to 9 (small).
        threads: number of tiles coded at once; 0 for all processors.
        strip: True drops the metadata that does not change how the image looks; orientation, colour profile, gamma and
            transparency stay. "all" drops these, too, but for transparency.
        max_pixels: refuse larger images before decoding them.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.
        notice: called with a sentence where something deserves a word, such as why a file is kept whole.

    Returns:
        The bytes of a .dz file.

    Raises:
        UsageError: an argument out of range or of another type.
        UnreadableImageError: not an image file that we know, damaged or cut short.
        UnsupportedImageError: an image or array of a kind that is not coded (a file of such a kind is kept whole).
        LimitError: more than `max_pixels` pixels.
        WeightsError: the weights of the model are missing or damaged.
    """
    _check_number("effort", effort, 1, 9)
    _check_numbers(threads, max_pixels)
    if not (isinstance(strip, bool) or strip == "all"):
        raise UsageError(f"strip={strip!r}: False, True or 'all'")
    taken = take_in(image, strip, max_pixels)
    from .codec.file.coding import encode_picture, keep, store

    if taken.reason and notice is not None and not (taken.data or b"").startswith(JPEG_MAGIC):
        notice(f"kept whole: {taken.reason}")
    if taken.data is not None and (taken.lossy or taken.reason):
        recoded = _recoded(taken.data, taken.extension, effort, threads, max_pixels, progress, notice)
        if recoded is not None and len(recoded) < len(taken.data):
            return recoded
        if taken.picture is None:
            return keep(taken.data, taken.extension, lossy=taken.lossy)
        kept = store(taken.picture, taken.data, taken.extension, lossy=taken.lossy)
        return kept if taken.lossy else min(kept, keep(taken.data, taken.extension, lossy=False), key=len)

    def photo(height: int, width: int, depth: int) -> "Coder":
        from .models.coders import coder_for_effort

        return coder_for_effort(effort, height, width, depth)

    def indexed(height: int, width: int) -> "Coder":
        from .models.coders import indexed_coder

        return indexed_coder(height, width)

    data = encode_picture(taken.picture, photo, indexed, threads, progress, taken.source)
    if taken.data is not None and len(taken.data) < len(data):
        data = min(data, store(taken.picture, taken.data, taken.extension, lossy=False), key=len)
    if progress is not None:
        progress(1.0)
    return data


def _recoded(
    data: bytes,
    extension: str,
    effort: int,
    threads: int,
    max_pixels: int,
    progress: Callable[[float], None] | None,
    notice: Callable[[str], None] | None,
) -> bytes | None:
    """A .dz file that gives a JPEG file back; None for another file, and where a JPEG file would not come back."""
    if not data.startswith(JPEG_MAGIC):
        return None
    from .codec.file.recoding import recode
    from .models.jpeg.coder import coder_for_effort

    try:
        return recode(data, extension, coder_for_effort(effort), threads, progress, max_pixels)
    except UnsupportedImageError as error:
        if notice is not None:
            notice(f"kept whole: a JPEG file that would not come back: {error}")
    return None


def decompress(
    source: "File",
    *,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> "Image.Image | Array":
    """Decode a .dz file to an image.

    Args:
        source: a .dz file: its path, its bytes, or a file object open for reading bytes.
        threads: number of tiles decoded at once; 0 for all processors.
        max_pixels: refuse larger images before anything is allocated.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.

    Returns:
        An array where an array went in and where Pillow has no such mode (16-bit colour); else a PIL image.

    Raises:
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
        UnsupportedImageError: the file was kept whole because its pixels cannot be read; `export` gives it back.
    """
    container = _open(source, threads, max_pixels)
    from .codec.images.picture import to_image

    return to_image(_picture(container, threads, max_pixels, progress))


def export(
    source: "File",
    extension: str | None = None,
    *,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> Exported:
    """Decode a .dz file to the bytes of an image file.

    Args:
        source: as for `decompress`.
        extension: "png", "webp", "tiff", "ppm", "bmp", ... with or without a dot. None for the file that went in, byte
            for byte or at least its pixels and every byte outside them (`Info.exact`); for images and arrays PNG.
        threads: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.

    Returns:
        The file, its extension, and what its format could not hold.

    Raises:
        OutputFormatError: that format is unknown or cannot hold these pixels.
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
    """
    container = _open(source, threads, max_pixels)
    header = container.header
    from .codec.images.imagewrite import convert, format_of_extension, own_format
    from .codec.images.source import beyond, beyond_jpeg, put_together

    own = header.stored_format or header.source_format
    wanted = (extension or own or "png").lower().removeprefix(".")
    same = bool(own) and (extension is None or own_format(wanted, own))
    kept = header.payload in (Payload.STORED, Payload.FILE, Payload.JPEG)
    original = _file_bytes(container, threads, max_pixels, progress) if kept else b""
    if kept and same:
        return Exported(original, own)
    if not same or header.remainder is None:
        format_of_extension(wanted)  # before the work, not after it
    if kept:
        picture = _kept_picture(header, original, max_pixels)
    else:
        picture = _picture(container, threads, max_pixels, progress, with_metadata=not same)
    if same and header.remainder is not None:
        return Exported(put_together(_source(header), picture), own)
    if extension is None:
        try:
            return Exported(*convert(picture, wanted))
        except OutputFormatError:
            wanted = "png"
    data, extension, lost = convert(picture, wanted)
    if header.payload in (Payload.STORED, Payload.JPEG) and own_format("jpg", own):
        lost += beyond_jpeg(original)
    return Exported(data, extension, lost if header.remainder is None else lost + beyond(_source(header)))


def info(source: "File") -> Info:
    """Read the header of a .dz file, and of a batch how many images it has.

    Args:
        source: as for `decompress`.

    Raises:
        FormatError: damaged, or not a .dz file. Pixels are neither decoded nor checked: see `verify`.
    """
    return describe(parse(bytes_of(source)[0]))


def verify(
    source: "File",
    *,
    original: "File | None" = None,
    pixels_only: bool = False,
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
) -> Info:
    """Decode a .dz file, check every checksum, put its source together, and throw it all away.

    Args:
        source: as for `decompress`.
        original: the file that went in: it has to come back, byte for byte, or in its pixels and every byte outside the
            pixel stream.
        pixels_only: of that file only the pixels have to come back, since its metadata was stripped.
        threads: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.

    Raises:
        FormatError: damaged, or not a .dz file (see its subclasses).
        ChecksumError: among them: `original` does not come back.
        LimitError: more than `max_pixels` pixels.
    """
    container = _open(source, threads, max_pixels)
    header = container.header
    wanted = None if original is None else bytes_of(original)[0]
    from .codec.images.source import gives_back, put_together, same_pixels

    if header.payload in (Payload.STORED, Payload.FILE, Payload.JPEG):
        original_bytes = _file_bytes(container, threads, max_pixels, progress)
        back = wanted is None or original_bytes == wanted
        if header.payload is Payload.STORED or (header.payload is Payload.JPEG and not back and header.mode):
            picture = _kept_picture(header, original_bytes, max_pixels)
            back = back or (pixels_only and wanted is not None and same_pixels(picture, wanted))
    else:
        picture = _picture(container, threads, max_pixels, progress, with_metadata=False)
        if wanted is None:
            back = header.remainder is None or bool(put_together(_source(header), picture))
        elif header.remainder is None or pixels_only:
            back = pixels_only and same_pixels(picture, wanted)
        else:
            back = gives_back(_source(header), picture, wanted)
    if not back:
        raise ChecksumError("this is not what the original file becomes: it would not come back")
    return describe(container)


def _check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"{name}={value!r}: an integer is wanted, not {type(value).__name__}")
    if int(value) < least or (most is not None and int(value) > most):
        raise UsageError(f"{name} {value}: from {least}" + ("" if most is None else f" to {most}"))


def _check_numbers(threads: int, max_pixels: int) -> None:
    _check_number("threads", threads, 0)
    _check_number("max_pixels", max_pixels, 0)


def _open(source: "File", threads: int, max_pixels: int) -> Container:
    """Parse, and refuse what is too large before anything is allocated."""
    _check_numbers(threads, max_pixels)
    container = parse(bytes_of(source)[0])
    width, height = container.header.width, container.header.height
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")
    return container


def _picture(
    container: Container,
    threads: int,
    max_pixels: int,
    progress: Callable[[float], None] | None,
    *,
    with_metadata: bool = True,
) -> "Picture":
    """The picture in a .dz file of any kind; its metadata costs a look at the remainder."""
    header = container.header
    if header.payload in (Payload.STORED, Payload.FILE, Payload.JPEG):
        return _kept_picture(header, _file_bytes(container, threads, max_pixels, progress), max_pixels)
    from .codec.file.coding import decode_picture

    def known(header: Header) -> "Coder":
        from .models.coders import coder_of_header

        return coder_of_header(header)

    picture = decode_picture(container, known, threads, progress)
    if progress is not None:
        progress(1.0)
    if with_metadata and header.remainder is not None:
        from .codec.images.source import with_metadata as add

        picture = add(_source(header), picture)
    return picture


def _source(header: Header) -> "SourceFile":
    from .codec.images.source import Source as SourceFile

    return SourceFile(header.source_format, header.remainder, header.source_checksum)


def _file_bytes(container: Container, threads: int, max_pixels: int, progress: Callable[[float], None] | None) -> bytes:
    """The file that went in, of a payload of the kind STORED, FILE or JPEG."""
    header, most = container.header, _most_bytes(max_pixels)
    if header.payload is not Payload.JPEG:
        from .codec.file.coding import stored_bytes

        return stored_bytes(container, most)
    from .codec.file.recoding import recoded_bytes
    from .models.jpeg.coder import coder_of_header

    coder = coder_of_header(header.model, header.digest)
    return recoded_bytes(container, coder, threads, progress, most, max_pixels)


def _kept_picture(header: Header, data: bytes, max_pixels: int) -> "Picture":
    """The picture in a file that went in."""
    from .codec.images.imagefile import read

    try:
        picture = read(data, max_pixels).picture
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"a {header.stored_format} file that was kept whole: {error}") from None
    except InputError as error:
        raise CorruptPayloadError(f"the stored {header.stored_format} file: {error}") from error
    if (
        header.payload in (Payload.STORED, Payload.JPEG)
        and header.mode
        and (picture.mode, *picture.pixels.shape[:2])
        != (
            header.mode,
            header.height,
            header.width,
        )
    ):
        raise CorruptPayloadError(
            f"the stored {header.stored_format} file is {picture.mode} {picture.pixels.shape[1]}x"
            f"{picture.pixels.shape[0]}, the header says {header.mode} {header.width}x{header.height}"
        )
    return picture


def _most_bytes(max_pixels: int) -> int:
    """The longest file that is unpacked where images may have so many pixels: four samples of 16 bits for each."""
    return 8 * max_pixels
