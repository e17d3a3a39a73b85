"""Pictures to .dz bytes and back.

The model is handed in as a function that makes its coder, so that this layer knows no network.
"""

from collections.abc import Callable
from dataclasses import replace

from ..errors import (
    ChecksumError,
    CorruptPayloadError,
    FormatError,
    HeaderError,
    InputError,
    LimitError,
    UnknownModelError,
    UnsupportedImageError,
)
from ..images.imagefile import read
from ..images.picture import Picture, check_palette, checksum, digest
from ..images.source import Source
from .candidates import choose
from .container import Container, Header, Payload, parse, serialise
from .packing import PLAIN, pack, unpack
from .payload import Coder, Progress, decode_tiles, png_coder, webp_coder

__all__ = ["decode_picture", "encode_picture", "keep", "store", "stored_bytes", "stored_picture"]


def encode_picture(
    picture: Picture,
    photo_coder: Callable[[int, int, int], Coder],
    indexed_coder: Callable[[int, int], Coder],
    threads: int,
    report: Callable[[float], None] | None,
    source: Source | None = None,
) -> bytes:
    """The smallest .dz file among the candidates.

    Args:
        picture: what to code.
        photo_coder: (height, width, bits per sample in memory: 8 or 16) -> the photo model's coder.
        indexed_coder: (height, width) -> the coder for images of at most `FEW_COLOURS` colours.
        threads: number of tiles coded at once; 0 for all processors.
        report: called with the fraction done.
        source: the file that the picture came from. With its remainder, the picture's metadata is in that.

    Raises:
        UnreadableImageError: its palette has a length that no file can hold.
        UnsupportedImageError: its metadata make a header that a reader refuses.
    """
    check_palette(picture)
    pixels, mode = picture.pixels, picture.mode
    height, width = pixels.shape[:2]
    coder, tiles = choose(picture, photo_coder, indexed_coder, threads, report)
    header = Header(
        payload=coder.payload,
        mode=mode,
        width=width,
        height=height,
        checksum=checksum(pixels),
        tile_width=min(width, coder.tile_width),
        tile_height=min(height, coder.tile_height),
        bits=picture.bits,
        array_ndim=picture.array_ndim,
        model=coder.model,
        digest=coder.digest,
        chunks=picture.chunks if source is None or source.remainder is None else (),
    )
    if source is not None:
        header = replace(
            header, source_format=source.format, source_checksum=source.checksum, remainder=source.remainder
        )
    return checked(serialise(header, tiles))


def checked(data: bytes) -> bytes:
    """A file that was just laid out, if it can be read.

    Raises:
        UnsupportedImageError: the picture's metadata make a header that a reader refuses.
    """
    try:
        parse(data)
    except FormatError as error:
        raise UnsupportedImageError(f"no file can hold this picture: {error}") from error
    return data


def decode_picture(
    container: Container,
    known_coder: Callable[[Header], Coder],
    threads: int,
    report: Callable[[float], None] | None,
) -> Picture:
    """Decode every tile and check every checksum of a file that is not a stored one.

    Args:
        container: a parsed file.
        known_coder: the coder of the model that the header names; raises UnknownModelError.
        threads: number of tiles decoded at once; 0 for all processors.
        report: called with the fraction done.

    Raises:
        UnknownModelError: the model, or its weights, are not here.
        CorruptPayloadError: a tile cannot be what the encoder wrote.
        ChecksumError: a tile is damaged, or the pixels came out wrong.
    """
    header = container.header
    if header.payload is Payload.MODEL:
        coder = known_coder(header)
    elif header.payload is Payload.WEBP and header.sample_bytes == 1:
        coder = webp_coder(header.height, header.width)
    elif header.payload is Payload.PNG:
        coder = png_coder(header.mode, header.bits, header.height, header.width)
    elif header.payload is Payload.BATCH:
        raise UnknownModelError(
            f"a batch coded by the model {header.model} ({header.digest.hex()}), which is not densezip's own: "
            "densezip.codec.read_batch decodes it with that model's codec"
        )
    else:
        raise HeaderError(f"a {header.payload.name} payload in mode {header.mode}")
    pixels = decode_tiles(coder, container, threads, Progress(header.width * header.height, report))
    _check(checksum(pixels), header.checksum, "pixels")
    return Picture(pixels, header.mode, header.bits, header.chunks, header.array_ndim)


def store(picture: Picture, original: bytes, extension: str, *, lossy: bool) -> bytes:
    """A .dz file that holds the input file. Its checksum is of those bytes: decoders of JPEG differ in pixels."""
    height, width = picture.pixels.shape[0], picture.pixels.shape[1]
    header = Header(
        payload=Payload.STORED,
        mode=picture.mode,
        width=width,
        height=height,
        checksum=digest(original),
        tile_width=width,
        tile_height=height,
        bits=picture.bits,
        lossy=lossy,
        stored_format=extension,
    )
    return checked(serialise(header, [original]))


def keep(original: bytes, extension: str, *, lossy: bool) -> bytes:
    """A .dz file that holds an input file into which nobody looked, packed unless its own coding is a lossy one."""
    method, packed = (PLAIN, original) if lossy else pack(original)
    header = Header(Payload.FILE, "", 0, 0, digest(original), 0, 0, 0, lossy=lossy)
    header = replace(header, stored_format=extension, packing=(method, len(original)))
    return checked(serialise(header, [packed]))


def stored_bytes(container: Container, most: int) -> bytes:
    """The input file that a stored one holds.

    Args:
        container: with a payload of the kind STORED or FILE.
        most: bytes.

    Raises:
        ChecksumError: it is damaged.
        CorruptPayloadError: it cannot be unpacked.
        LimitError: it is longer than `most`.
    """
    header, data = container.header, bytes(container.tile(0))
    if header.payload is Payload.FILE:
        method, length = header.packing
        if length > most:
            raise LimitError(f"a file of {length} bytes; the limit is {most} (--max-pixels)")
        data = unpack(method, data, length, CorruptPayloadError)
    _check(digest(data), header.checksum, "bytes of the stored file")
    return data


def stored_picture(container: Container, max_pixels: int, most: int) -> Picture:
    """The picture in the input file that a stored one holds.

    Args:
        container: with a payload of the kind STORED or FILE.
        max_pixels: refuse larger images.
        most: bytes.

    Raises:
        CorruptPayloadError: it is not the picture that the header announces.
        UnsupportedImageError: its pixels cannot be read.
    """
    header = container.header
    data = stored_bytes(container, most)
    try:
        picture = read(data, max_pixels).picture
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"a {header.stored_format} file that was kept whole: {error}") from None
    except InputError as error:
        raise CorruptPayloadError(f"the stored {header.stored_format} file: {error}") from error
    if header.payload is Payload.STORED and (picture.mode, *picture.pixels.shape[:2]) != (
        header.mode,
        header.height,
        header.width,
    ):
        raise CorruptPayloadError(
            f"the stored {header.stored_format} file is {picture.mode} {picture.pixels.shape[1]}x"
            f"{picture.pixels.shape[0]}, the header says {header.mode} {header.width}x{header.height}"
        )
    return picture


def _check(found: bytes, expected: bytes, what: str) -> None:
    if found != expected:
        raise ChecksumError(f"the {what} are wrong: their checksum is {found.hex()}, not {expected.hex()}")
