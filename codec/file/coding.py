"""Pictures to .dz bytes and back.

The model is handed in as a function that makes its coder, so that this layer knows no network.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import (
    ChecksumError,
    CorruptPayloadError,
    FormatError,
    HeaderError,
    LimitError,
    UnknownModelError,
    UnsupportedImageError,
)
from ..images.picture import Array, Picture, check_palette, checksum, digest
from ..images.source import Source
from .candidates import choose
from .container import Box, Container, Header, Payload, parse, serialise
from .enlarged import DIGEST as ENLARGED_DIGEST
from .enlarged import NAME as ENLARGED
from .enlarged import shrink, unwrap, wrap
from .packing import PLAIN, pack, unpack
from .payload import Coder, Progress, decode_tiles, png_coder, webp_coder
from .region import Region, tiles_in

__all__ = ["decode_picture", "encode_picture", "keep", "store", "stored_bytes"]


def encode_picture(
    picture: Picture,
    photo_coder: Callable[[int, int, int], Coder],
    indexed_coder: Callable[[int, int], Coder],
    rendered_coder: Callable[[int, int, int], Coder],
    threads: int,
    report: Callable[[float], None] | None,
    source: Source | None = None,
    history_coder: Callable[[Array], Coder | None] | None = None,
) -> bytes:
    """The smallest .dz file among the candidates, of the picture and of what is left without repeated rows and columns.

    Args:
        picture: what to code.
        photo_coder: (height, width, bits per sample in memory: 8 or 16) -> the photo model's coder.
        indexed_coder: (height, width) -> the coder for images of at most `FEW_COLOURS` colours.
        rendered_coder: (height, width, bits per sample in memory) -> the coder of what programs made.
        threads: number of tiles coded at once; 0 for all processors.
        report: called with the fraction done.
        source: the file that the picture came from. With its remainder, the picture's metadata is in that.
        history_coder: the picture [H, W, C] -> the coder of what it was before, if it shows traces; None for no look.

    Raises:
        UnreadableImageError: its palette has a length that no file can hold.
        UnsupportedImageError: its metadata make a header that a reader refuses.
    """
    check_palette(picture)
    pixels, mode = picture.pixels, picture.mode
    height, width = pixels.shape[:2]
    coders = photo_coder, indexed_coder, rendered_coder
    shrunk = shrink(pixels)
    header = Header(
        payload=Payload.MODEL,
        mode=mode,
        width=width,
        height=height,
        checksum=checksum(pixels),
        tile_width=width,
        tile_height=height,
        bits=picture.bits,
        array_ndim=picture.array_ndim,
        chunks=picture.chunks if source is None or source.remainder is None else (),
    )
    header, tiles = _coded_by(
        header,
        *choose(
            picture,
            *coders,
            threads,
            report,
            history_coder=history_coder,
            formats_only=shrunk is not None and shrunk.even,
        ),
    )
    if shrunk is not None:
        small = replace(picture, pixels=shrunk.pixels)
        size = replace(header, height=shrunk.pixels.shape[0], width=shrunk.pixels.shape[1])
        tile = wrap(shrunk, *_coded_by(size, *choose(small, *coders, threads, report)))
        if len(tile) + len(ENLARGED) + len(ENLARGED_DIGEST) < sum(map(len, tiles)):
            header = replace(header, payload=Payload.MODEL, model=ENLARGED, digest=ENLARGED_DIGEST)
            header, tiles = replace(header, tile_width=width, tile_height=height), [tile]
    if source is not None:
        header = replace(
            header, source_format=source.format, source_checksum=source.checksum, remainder=source.remainder
        )
    return checked(serialise(header, tiles))


def _coded_by(header: Header, coder: Coder, tiles: list[bytes]) -> tuple[Header, list[bytes]]:
    """A header for tiles of a coder."""
    height, width = min(header.height, coder.tile_height), min(header.width, coder.tile_width)
    named = replace(header, payload=coder.payload, model=coder.model, digest=coder.digest)
    return replace(named, tile_height=height, tile_width=width), tiles


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
    region: Region | None = None,
) -> Picture:
    """Decode every tile, or those of a region, and check every checksum of a file that is not a stored one.

    Args:
        container: a parsed file.
        known_coder: the coder of the model that the header names; raises UnknownModelError.
        threads: number of tiles decoded at once; 0 for all processors.
        report: called with the fraction done.
        region: the part that is wanted; None for the whole. The pixels' checksum is checked only if the region needs
            every tile, for it is of the whole.

    Raises:
        UnknownModelError: the model, or its weights, are not here.
        CorruptPayloadError: a tile cannot be what the encoder wrote.
        ChecksumError: a tile is damaged, or the pixels came out wrong.
    """
    header = container.header
    if region is not None and len(tiles_in(header.boxes(), region.box)) < header.tiles:
        pixels = _decode_pixels(container, known_coder, threads, report, region.box)
    else:
        pixels = _decode_pixels(container, known_coder, threads, report)
        _check(checksum(pixels), header.checksum, "pixels")
        pixels = pixels if region is None else region.of(pixels)
    return Picture(pixels, header.mode, header.bits, header.chunks, header.array_ndim)


def _decode_pixels(
    container: Container,
    known_coder: Callable[[Header], Coder],
    threads: int,
    report: Callable[[float], None] | None,
    window: Box | None = None,
) -> Array:
    """Decode every tile, or those of a window. An enlarged picture has one tile, which is always wanted whole."""
    header = container.header
    if header.payload is Payload.MODEL and (header.model, header.digest) == (ENLARGED, ENLARGED_DIGEST):
        inner, rows, columns = unwrap(container)
        small = _decode_pixels(inner, known_coder, threads, report)
        enlarged: Array = small[np.cumsum(rows) - 1][:, np.cumsum(columns) - 1]
        return enlarged
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
    wanted = header.boxes() if window is None else [box for _, box in tiles_in(header.boxes(), window)]
    progress = Progress(sum((low - top) * (right - left) for top, left, low, right in wanted), report)
    return decode_tiles(coder, container, threads, progress, window)


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


def _check(found: bytes, expected: bytes, what: str) -> None:
    if found != expected:
        raise ChecksumError(f"the {what} are wrong: their checksum is {found.hex()}, not {expected.hex()}")
