"""What is handed in to be compressed: a path, bytes, an open file, an image or an array; and .dz files to be read."""

import io
import os
import stat
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import DensezipError, LimitError, UnreadableImageError, UnsupportedImageError, UsageError

__all__ = ["HEAD_BYTES", "Input", "bytes_of", "most_bytes", "read_file", "read_stream", "take_in"]

# Enough for what the header of an image file says.
HEAD_BYTES = 2**18
CHUNK_BYTES = 2**20
# What a file may have beside its samples.
MOST_BESIDE = 2**26
FILE = "a .dz file: its path, its bytes or a file object"
IMAGE = "a path, bytes, a file object, an array or an image"


class Input(NamedTuple):
    """What to compress.

    Attributes:
        picture: the pixels, and without a source their metadata; None where they were not looked at.
        data: a file that may be kept whole instead; None where there is none.
        extension: of that file, without a dot.
        lossy: whether that file's own coding is a lossy one, so that pixels are not worth a trial.
        source: the file without its pixels; None for images, arrays and files that are kept whole.
        reason: why there is nothing to do but to keep the file whole; empty if there is.
        left_out: the entries of a PIL image's `info` that are not kept.
        later: looks at the pixels of a JPEG file, which are wanted only where its coefficients are not coded; None
            where there is nothing to look at any more.
    """

    picture: Any = None
    data: bytes | None = None
    extension: str = ""
    lossy: bool = False
    source: Any = None
    reason: str = ""
    left_out: tuple[str, ...] = ()
    later: Callable[[], "Input"] | None = None

    def with_pixels(self) -> "Input":
        """The same after a look at the pixels; raises as `take_in`."""
        return self if self.later is None else self.later()


def most_bytes(max_pixels: int) -> int:
    """Of the longest file that is read where images may have so many pixels: four samples of 16 bits, and metadata."""
    return 8 * max_pixels + MOST_BESIDE


def read_file(file: BinaryIO, most: int, probe: Callable[[bytes], object]) -> bytes:
    """What is in a file of the system, from its beginning, or comes out of a pipe or a device.

    Args:
        file: open for reading bytes.
        most: bytes; a pipe may have no end.
        probe: raises for first bytes with which there is no need to read the others.

    Raises:
        LimitError: it is longer than `most`.
        OSError: it cannot be read.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        return read_stream(file.read, most, probe)
    if status.st_size > most:
        raise _too_long(most)
    probe(file.read(HEAD_BYTES))
    file.seek(0)
    # In one piece; somebody may be writing more of it.
    data = file.read(status.st_size)
    return data + read_stream(file.read, most - len(data))


def read_stream(read: Callable[[int], Any], most: int, probe: Callable[[bytes], object] | None = None) -> bytes:
    """Everything that `read` gives, asked for a number of bytes again and again; it may give fewer each time.

    Args:
        read: as that of a file object.
        most: bytes; there may be no end.
        probe: raises for first bytes with which there is no need to read the others.

    Raises:
        LimitError: there are more than `most`.
        UsageError: it gives something else.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        part = read(HEAD_BYTES - size if size < HEAD_BYTES else CHUNK_BYTES)
        if not isinstance(part, bytes | bytearray | memoryview):
            raise UsageError(f"a file object that gives {type(part).__name__}: wanted bytes")
        parts.append(bytes(part))
        size += len(parts[-1])
        if probe is not None and (not part or size >= HEAD_BYTES):
            probe(b"".join(parts))
            probe = None
        if not part:
            return b"".join(parts)
        if size > most:
            raise _too_long(most)


def _too_long(most: int) -> LimitError:
    return LimitError(f"longer than {most} bytes, a limit that follows from --max-pixels and the memory")


def bytes_of(source: object, most: int, probe: Callable[[bytes], object], wanted: str = FILE) -> tuple[bytes, str]:
    """The content of a file, and its suffix without a dot in small letters, where a path gives one.

    Args:
        source: a path, bytes, or a file object that is open for reading bytes.
        most: bytes of a file.
        probe: raises for first bytes with which there is no need to read the others.
        wanted: what such a source is called in errors.

    Raises:
        UsageError: none of these.
        UnreadableImageError: it cannot be read.
        LimitError: it is longer than `most`.
    """
    if isinstance(source, bytes):
        return source, ""
    if isinstance(source, bytearray | memoryview):
        return bytes(source), ""
    try:
        if isinstance(source, str | PathLike):
            path = Path(_path(source))
            with open(path, "rb") as file:
                return read_file(file, most, probe), path.suffix.lower().removeprefix(".")
        read = getattr(source, "read", None)
        if isinstance(source, io.TextIOBase):
            raise UsageError("a file object open for text: open it for bytes, as open(path, 'rb') does")
        if isinstance(source, type) or not callable(read):
            raise UsageError(f"an input of type {type(source).__name__}: wanted {wanted}")
        # What is in memory already is not read in parts.
        data = read() if isinstance(source, io.BytesIO) else read_stream(read, most, probe)
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    name = getattr(source, "name", "")
    return data, Path(name).suffix.lower().removeprefix(".") if isinstance(name, str) else ""


def _path(source: str | PathLike[Any]) -> str:
    name = fspath(source)
    if not isinstance(name, str):
        raise UsageError(f"a path of bytes, {name!r}: decode it with os.fsdecode")
    return name


def take_in(image: object, strip: bool | str, max_pixels: int) -> Input:
    """Look at what is to be compressed.

    Args:
        image: as for `densezip.compress`.
        strip: False, True or "all", likewise.
        max_pixels: refuse larger images before decoding them.

    Raises:
        UsageError: of a type that is no image.
        UnreadableImageError: damaged or cut short, and no JPEG file that is taken as it is; or no image file that is
            known.
        UnsupportedImageError: an image or array of a kind that is not coded; metadata that cannot be dropped.
        LimitError: more than `max_pixels` pixels.
    """
    import numpy as np
    from PIL import Image

    from ..images import imagefile
    from ..images.picture import from_array, from_pil, is_image, left_out
    from ..images.sheets import samples_of, sheet_of

    if isinstance(image, np.ndarray):
        if isinstance(image, np.ma.MaskedArray):
            raise UnsupportedImageError("a masked array: fill it first, for its mask is not kept")
        if is_image(image):
            imagefile.check_pixels(image.shape[1], image.shape[0], max_pixels)
            return Input(from_array(image))
        imagefile.check_pixels(*samples_of(image), max_pixels)
        return Input(sheet_of(image))
    if isinstance(image, Image.Image):
        imagefile.check_pixels(*image.size, max_pixels)
        picture = from_pil(image)
        if strip:
            return Input(picture.stripped(look=strip is True))
        return Input(picture, left_out=left_out(image, picture))
    data, suffix = bytes_of(image, most_bytes(max_pixels), imagefile.check_head, IMAGE)
    kind = imagefile.recognise(data)
    if kind is None:
        raise imagefile.no_image(data)
    # A raw picture may well be called .tif: a file that is kept whole keeps its suffix, too.
    fitting = imagefile.extensions() if kind.opaque else kind.extensions
    extension = suffix if suffix in fitting else kind.extensions[0]
    whole = Input(None, data, extension, kind.lossy)

    def unread(error: DensezipError) -> Input:
        if isinstance(error, UnsupportedImageError):
            return _unread(whole, kind.name, str(error), strip)
        if isinstance(error, UnreadableImageError) and kind.name == "JPEG" and not strip:
            # Cut short or damaged, it still shows a picture in most programs: its bytes come back.
            return whole._replace(reason=str(error))
        raise error

    def look() -> Input:
        try:
            found = imagefile.read(data, max_pixels)
        except DensezipError as error:
            return unread(error)
        return _with_pixels(whole, found, strip)

    if strip or not (kind.name == "JPEG" and kind.lossy):
        return look()
    try:
        imagefile.check_jpeg(data, max_pixels)
    except DensezipError as error:
        return unread(error)
    return whole._replace(later=look)


def _unread(whole: Input, name: str, reason: str, strip: bool | str) -> Input:
    """A sound file whose pixels are not coded."""
    if not strip:
        return whole._replace(reason=reason)
    from ..images.strip import strip as strip_file

    data = strip_file(whole.data or b"", name, look=strip is True)
    if data is None:
        raise UnsupportedImageError(f"{reason}; and its metadata cannot be dropped")
    return whole._replace(data=data, reason=reason)


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
        return whole._replace(picture=picture, data=data, lossy=found.lossy, source=Source(name) if name else None)
    if found.lossy:
        return whole._replace(picture=found.picture, lossy=True)
    source = take_apart(whole.data or b"", found)
    if source is None:
        return whole._replace(picture=found.picture, reason=f"a {found.format} file that cannot be put together again")
    return whole._replace(picture=found.picture, source=source)
