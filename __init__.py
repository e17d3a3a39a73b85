"""densezip: lossless image compression in which the likelihood of a trained model is the file size.

    >>> import densezip
    >>> data = densezip.compress("photo.png")       # bytes of a .dz file
    >>> image = densezip.decompress(data)           # the same pixels, mode, depth and metadata
    >>> densezip.info(data).bpsp                    # bits per sub-pixel, from the file's size

Importing the package imports the standard library only; numpy, Pillow and the model come with the first image.
"""

import _signal  # type: ignore[import-not-found]  # what signal is made of, without enumerations that take time
import gc
import os
import sys

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler and (
    sys.argv[:1] == ["-m"] or os.path.basename((sys.argv or [""])[0]) in ("densezip", "densezip.exe")
):
    # This process is the command. While it is being loaded nothing is begun: a Ctrl-C ends it without a word.
    _signal.signal(_signal.SIGINT, lambda number, frame: os._exit(128 + number))
    # Nor is what modules define garbage: to look for some every 700 objects takes a tenth of a short run.
    gc.set_threshold(50_000)

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from .codec.arguments import check_callables, check_extension, check_number, check_strip
from .codec.errors import (
    BadMagicError,
    ChecksumError,
    CorruptPayloadError,
    DensezipError,
    FormatError,
    HeaderError,
    InputError,
    LimitError,
    NativeCoreError,
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
from .codec.file.container import Payload, check_magic, parse
from .codec.file.info import Exported, Info, describe
from .codec.file.inputs import bytes_of, most_bytes, take_in
from .contents import JPEG_MAGIC, open_container, picture_of, recode_jpeg, source_of, stored_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from .codec.file.payload import Coder
    from .contents import File
    from .models.coders import Model

    Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
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
    "NativeCoreError",
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
    "heatmap",
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
    strip: bool | str = False,
    model: "Model | None" = None,
    device: str = "cpu",
    history: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> bytes:
    """Compress an image without loss.

    Args:
        image: path of an image file, the bytes of one, a file object open for reading bytes, a PIL image, or a uint8 or
            uint16 array [H, W] or [H, W, C] with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). Other arrays are
            coded plane by plane, each plane with others as context where that helps: [..., H, W], or [..., H, W, C]
            where C is less than H and W; bool, integers of 8 to 64 bits, floats of 16, 32 or 64.
        effort: 1 (fast), 5 or 9 (small). Of the others, 2 and 3 count as 1, 4 and 6 as 5, 7 and 8 as 9.
        threads: number of tiles coded at once; 0 for all processors.
        strip: True drops the metadata that does not change how the image looks; orientation, colour profile, gamma and
            transparency stay. "all" drops these, too, but for transparency.
        model: code the pixels by this density model instead, and by nothing else: a checkpoint by name or path, or a
            torch module (`densezip.models`). Who decodes has to have it. `effort` and `threads` do not matter then.
        device: where its network runs: "cpu", "cuda", "cuda:1" or "auto".
        history: look whether the pixels were decoded from a JPEG file, and code what that held where it is smaller.
        max_pixels: refuse larger images before decoding them, and files of over 8 bytes for each and 64 MiB more.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.
        notice: called with a sentence where something deserves a word, such as why a file is kept whole.

    Returns:
        The bytes of a .dz file.

    Raises:
        UsageError: an argument out of range or of another type.
        UnreadableImageError: not an image file that we know, damaged or cut short.
        UnsupportedImageError: an image or array of a kind that is not coded (a file of such a kind is kept whole); one
            that the given model does not take without loss.
        InputError: there is no such model.
        LimitError: more than `max_pixels` pixels.
        WeightsError: the weights of the model are missing or damaged.
    """
    check_number("effort", effort, 1, 9)
    check_number("threads", threads, 0)
    check_number("max_pixels", max_pixels, 0)
    check_strip(strip)
    check_callables(progress=progress, notice=notice)
    taken = take_in(image, strip, max_pixels)
    from .codec.file.coding import encode_picture, keep, store

    if taken.reason and notice is not None and not (taken.data or b"").startswith(JPEG_MAGIC):
        notice(f"kept whole: {taken.reason}")
    if taken.left_out and notice is not None:
        notice(f"not kept of the image's info: {', '.join(taken.left_out)}")
    if (file := taken.data) is not None and (taken.lossy or taken.reason):
        recoded = recode_jpeg(file, taken.extension, effort, threads, max_pixels, progress, notice)
        if recoded is not None and len(recoded) < len(file):
            return recoded
        taken = taken.with_pixels()
        if taken.picture is None:
            return keep(file, taken.extension, lossy=taken.lossy)
        kept = store(taken.picture, file, taken.extension, lossy=taken.lossy)
        return kept if taken.lossy else min(kept, keep(file, taken.extension, lossy=False), key=len)
    if model is not None:
        from .models.coders import encode_by_model

        return encode_by_model(taken.picture, (model, device), progress, taken.source)

    def photo(height: int, width: int, depth: int) -> "Coder":
        from .models.coders import coder_for_effort

        return coder_for_effort(effort, height, width, depth)

    def indexed(height: int, width: int) -> "Coder":
        from .models.coders import indexed_coder

        return indexed_coder(height, width)

    def rendered(height: int, width: int, depth: int) -> "Coder":
        from .models.coders import rendered_coder

        return rendered_coder(height, width, depth)

    def before(pixels: "Array") -> "Coder | None":
        from .models.coders import history_coder

        return history_coder(effort)(pixels)

    from .codec.images.sheets import grouped, is_sheet

    coders = photo, indexed, rendered
    picture = taken.picture
    if is_sheet(picture):
        picture = grouped(picture, lambda part: len(encode_picture(part, *coders, threads, None)))
    data = encode_picture(picture, *coders, threads, progress, taken.source, history_coder=before if history else None)
    if taken.data is not None and len(taken.data) < len(data):
        data = min(data, store(taken.picture, taken.data, taken.extension, lossy=False), key=len)
    if progress is not None:
        progress(1.0)
    return data


def decompress(
    source: "File",
    *,
    threads: int = 0,
    model: "Model | None" = None,
    device: str = "cpu",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
    region: tuple[int, int, int, int] | None = None,
) -> "Image.Image | Array":
    """Decode a .dz file to an image.

    Args:
        source: a .dz file: its path, its bytes, or a file object open for reading bytes.
        threads: number of tiles decoded at once; 0 for all processors.
        model: of a file coded by a density model, the checkpoint (name or path) or torch module; None for one of its
            name and digest among those that come with densezip, and in the folders that DENSEZIP_MODELS names.
        device: where its network runs, as for `compress`.
        max_pixels: refuse larger images before anything is allocated.
        progress: called with the fraction done, from 0 to 1, from any thread, one call at a time.
        region: (x, y, width, height) of a part, in pixels as they are stored (no orientation is applied): what a crop
            of the whole would give, from the tiles that it lies in; what has no tiles is decoded whole. Their CRCs
            are checked, but the checksum over all pixels only where every tile is needed. EXIF sizes become the part's.

    Returns:
        An array where an array went in and where Pillow has no such mode (16-bit colour); else a PIL image.

    Raises:
        UsageError: an argument out of range or of another type.
        FormatError: damaged, or not a .dz file (see its subclasses); UnknownModelError: its model is not here.
        LimitError: more than `max_pixels` pixels.
        UnsupportedImageError: the file was kept whole because its pixels cannot be read; `export` gives it back.
    """
    container = open_container(source, threads, max_pixels, progress)
    from .codec.images.picture import to_image
    from .codec.images.sheets import array_of, is_sheet

    stored = stored_file(container, threads, max_pixels, progress)
    picture = picture_of(container, stored, threads, (model, device), max_pixels, progress, region=region)
    return array_of(picture) if is_sheet(picture) else to_image(picture)


def export(
    source: "File",
    extension: str | None = None,
    *,
    threads: int = 0,
    model: "Model | None" = None,
    device: str = "cpu",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
    region: tuple[int, int, int, int] | None = None,
) -> Exported:
    """Decode a .dz file to the bytes of an image file.

    Args:
        source: as for `decompress`.
        extension: "png", "webp", "tiff", "ppm", "bmp", ... with or without a dot. None for the file that went in, byte
            for byte or at least its pixels and every byte outside them (`Info.exact`); for images and arrays PNG.
        threads: as for `decompress`.
        model: as for `decompress`.
        device: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.
        region: as for `decompress`; a part is a file of its own, in the format that went in where that can hold it.

    Returns:
        The file, its extension, and what its format could not hold.

    Raises:
        UsageError: an argument out of range or of another type.
        OutputFormatError: that format is unknown or cannot hold these pixels.
        FormatError: damaged, or not a .dz file (see its subclasses).
        LimitError: more than `max_pixels` pixels.
    """
    check_extension(extension)
    container = open_container(source, threads, max_pixels, progress)
    header = container.header
    from .codec.images.imagewrite import convert, format_of_extension, own_format
    from .codec.images.source import beyond, beyond_whole, put_together

    own = header.stored_format or header.source_format or ("npy" if header.is_sheet else "")
    wanted = (extension or own or "png").lower().removeprefix(".")
    same = region is None and bool(own) and (extension is None or own_format(wanted, own))
    stored = stored_file(container, threads, max_pixels, progress)
    if stored is not None and same:
        return Exported(stored, own)
    if header.is_sheet and wanted != "npy":
        raise OutputFormatError(f"an array that is no image: npy can hold it, {wanted} cannot")
    if not header.is_sheet and (not same or header.remainder is None) and (region is None or extension is not None):
        format_of_extension(wanted)  # before the work, not after it
    picture = picture_of(
        container, stored, threads, (model, device), max_pixels, progress, with_metadata=not same, region=region
    )
    if same and header.remainder is not None:
        return Exported(put_together(source_of(header), picture), own)
    if extension is None:
        try:
            return Exported(*convert(picture, wanted))
        except OutputFormatError:
            wanted = "png"
    data, extension, lost = convert(picture, wanted)
    more = beyond(source_of(header)) if stored is None else beyond_whole(stored)
    return Exported(data, extension, tuple(dict.fromkeys(lost + more)))


def info(source: "File") -> Info:
    """Read the header of a .dz file, and of a batch how many images it has.

    Args:
        source: as for `decompress`.

    Raises:
        FormatError: damaged, or not a .dz file. Pixels are neither decoded nor checked: see `verify`.
    """
    return describe(parse(bytes_of(source, sys.maxsize, check_magic)[0]))


def heatmap(
    source: "File", *, by_channel: bool = False, threads: int = 0, max_pixels: int = DEFAULT_MAX_PIXELS
) -> "npt.NDArray[np.float32]":
    """Bits of the pixels of a .dz file: float32 [H, W], or of its samples, [H, W, C]; without headers and metadata.

    Of the photo model -log2 of the probability by which each sample was coded, in the time of decompressing and
    compressing; of images of few colours what each row took, of other payloads what each tile took, spread evenly.

    Args:
        source: as for `decompress`, and so are `threads`, `max_pixels` and what is raised.
        by_channel: give the bits of each sample, not their sum over a pixel.
        threads: number of tiles at work at once.
        max_pixels: refuse larger images.
    """
    container = open_container(source, threads, max_pixels, None)
    from .models.heat import heat_of

    heat = heat_of(container, threads)
    return heat.bits if by_channel else heat.bits.sum(axis=2)


def verify(
    source: "File",
    *,
    original: "File | None" = None,
    pixels_only: bool = False,
    threads: int = 0,
    model: "Model | None" = None,
    device: str = "cpu",
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
        model: as for `decompress`.
        device: as for `decompress`.
        max_pixels: as for `decompress`.
        progress: as for `decompress`.

    Raises:
        FormatError: damaged, or not a .dz file (see its subclasses).
        ChecksumError: among them: `original` does not come back.
        LimitError: more than `max_pixels` pixels.
    """
    container = open_container(source, threads, max_pixels, progress)
    header = container.header
    wanted = None if original is None else bytes_of(original, most_bytes(max_pixels), len, "an original file")[0]
    from .codec.images.source import gives_back, put_together, same_pixels

    stored = stored_file(container, threads, max_pixels, progress)
    if stored is not None:
        back = wanted is None or stored == wanted
        if header.payload is Payload.STORED or (header.payload is Payload.JPEG and not back and header.mode):
            picture = picture_of(container, stored, threads, (model, device), max_pixels, progress)
            back = back or (pixels_only and wanted is not None and same_pixels(picture, wanted))
    else:
        picture = picture_of(container, None, threads, (model, device), max_pixels, progress, with_metadata=False)
        if wanted is None:
            back = header.remainder is None or bool(put_together(source_of(header), picture))
        elif header.remainder is None or pixels_only:
            back = pixels_only and same_pixels(picture, wanted)
        else:
            back = gives_back(source_of(header), picture, wanted)
    if not back:
        raise ChecksumError("this is not what the original file becomes: it would not come back")
    return describe(container)
