"""What is handed in to be compressed: a path, bytes, an open file, an image or an array; and .dz files to be read."""

import io
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..errors import UnreadableImageError, UnsupportedImageError, UsageError

__all__ = ["Input", "bytes_of", "take_in"]


@dataclass(frozen=True)
class Input:
    """What to compress.

    Attributes:
        picture: the pixels, and without a source their metadata; None where they were not looked at.
        data: a file that may be kept whole instead; None where there is none.
        extension: of that file, without a dot.
        lossy: whether that file's own coding is a lossy one, so that pixels are not worth a trial.
        source: the file without its pixels; None for images, arrays and files that are kept whole.
        reason: why there is nothing to do but to keep the file whole; empty if there is.
        left_out: the entries of a PIL image's `info` that are not kept.
    """

    picture: Any = None
    data: bytes | None = None
    extension: str = ""
    lossy: bool = False
    source: Any = None
    reason: str = ""
    left_out: tuple[str, ...] = ()


def bytes_of(source: object) -> tuple[bytes, str]:
    """The content of a file, and its suffix without a dot in small letters, where a path gives one.

    Args:
        source: a path, anything with the buffer protocol, or a file object that is open for reading bytes.

    Raises:
        UsageError: none of these.
        UnreadableImageError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source, ""
    if isinstance(source, bytearray | memoryview):
        return bytes(source), ""
    if isinstance(source, str | PathLike):
        try:
            path = Path(fspath(source))
            return path.read_bytes(), path.suffix.lower().removeprefix(".")
        except TypeError:
            raise UsageError(f"a path of bytes, {source!r}: decode it with os.fsdecode") from None
        except (OSError, ValueError) as error:
            raise UnreadableImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if isinstance(source, io.TextIOBase):
        raise UsageError("a file object open for text: open it for bytes, as open(path, 'rb') does")
    read = getattr(source, "read", None)
    if not callable(read):
        raise UsageError(
            f"an input of type {type(source).__name__}: wanted a path, bytes, a file object, an array or an image"
        )
    try:
        data = read()
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"a file object that gives {type(data).__name__}: wanted bytes")
    name = getattr(source, "name", "")
    return bytes(data), Path(name).suffix.lower().removeprefix(".") if isinstance(name, str) else ""


def take_in(image: object, strip: bool | str, max_pixels: int) -> Input:
    """Look at what is to be compressed.

    Args:
        image: as for `densezip.compress`.
        strip: False, True or "all", likewise.
        max_pixels: refuse larger images before decoding them.

    Raises:
        UsageError: of a type that is no image.
        UnreadableImageError: damaged, cut short, or no image file that is known.
        UnsupportedImageError: an image or array of a kind that is not coded; metadata that cannot be dropped.
        LimitError: more than `max_pixels` pixels.
    """
    import numpy as np
    from PIL import Image

    from ..images import imagefile
    from ..images.picture import from_array, from_pil, left_out

    if isinstance(image, np.ndarray):
        height, width = image.shape[:2] if image.ndim >= 2 else (0, 0)
        imagefile.check_pixels(width, height, max_pixels)
        if isinstance(image, np.ma.MaskedArray):
            raise UnsupportedImageError("a masked array: fill it first, for its mask is not kept")
        return Input(from_array(image))
    if isinstance(image, Image.Image):
        imagefile.check_pixels(*image.size, max_pixels)
        picture = from_pil(image)
        if strip:
            return Input(picture.stripped(look=strip is True))
        return Input(picture, left_out=left_out(image, picture))
    data, suffix = bytes_of(image)
    kind = imagefile.recognise(data)
    if kind is None:
        imagefile.read(data, max_pixels)  # raises, and says what it is
        raise UnreadableImageError("no image file that is known")
    # A raw picture may well be called .tif: a file that is kept whole keeps its suffix, too.
    fitting = imagefile.extensions() if kind.opaque else kind.extensions
    extension = suffix if suffix in fitting else kind.extensions[0]
    whole = Input(None, data, extension, kind.lossy)
    try:
        found = imagefile.read(data, max_pixels)
    except UnsupportedImageError as error:
        return _unread(whole, kind.name, str(error), strip)
    return _with_pixels(whole, found, strip)


def _unread(whole: Input, name: str, reason: str, strip: bool | str) -> Input:
    """A sound file whose pixels are not coded."""
    if not strip:
        return replace(whole, reason=reason)
    from ..images.strip import strip as strip_file

    data = strip_file(whole.data or b"", name, look=strip is True)
    if data is None:
        raise UnsupportedImageError(f"{reason}; and its metadata cannot be dropped")
    return replace(whole, data=data, reason=reason)


def _with_pixels(whole: Input, found: Any, strip: bool | str) -> Input:
    """A file whose pixels were read."""
    from ..images.source import Source, format_name, take_apart

    if strip:
        from ..images.strip import strip as strip_file

        look = strip is True
        data = strip_file(whole.data or b"", found.format, look=look)
        if data is None and found.lossy:
            raise UnsupportedImageError(f"a lossy {found.format} file whose metadata cannot be dropped")
        picture, name = found.picture.stripped(look=look), format_name(found.format)
        return replace(whole, picture=picture, data=data, lossy=found.lossy, source=Source(name) if name else None)
    if found.lossy:
        return replace(whole, picture=found.picture, lossy=True)
    source = take_apart(whole.data or b"", found)
    if source is None:
        return replace(whole, picture=found.picture, reason=f"a {found.format} file that cannot be put together again")
    return replace(whole, picture=found.picture, source=source)
