"""Pictures to .dz bytes and back: every way to code a picture is a candidate, and the smallest wins.

The model is handed in as a function that makes its coder, so that this layer knows no network.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import ChecksumError, CorruptPayloadError, HeaderError, LimitError, UnknownModelError
from ..images.picture import Array, Picture, checksum, digest
from ..images.source import Source
from .container import Container, Header, Payload, serialise
from .packing import PLAIN, pack, unpack
from .payload import Coder, Progress, decode_tiles, encode_tiles, png_coder, webp_coder, webp_size

__all__ = ["count_colours", "decode_picture", "encode_picture", "keep", "store", "stored_bytes"]

# Which candidates are tried: these rules spare time, and break no promise about WebP or the input file.
# A photograph has more colours than this and takes WebP this many bits per sample: else the photo model is spared.
SPARSE_COLOURS = 64
GRAPHIC_BPSP = 0.25
# WebP at its best is spared where the photo model is below this fraction of a fast WebP, in an image of at least so
# many bits per sample. Best over fast was 0.95 to 1.04 on photographs; it is far less only in images of few bits.
HOPELESS_RATIO = 0.92
PHOTOGRAPH_BPSP = 1.0
# The coder of indices takes an image of so many colours. Grey photographs have no more, and are spared it unless WebP
# says that they are drawings; and a file that is as small as this already is not worth its start.
FEW_COLOURS = 256
DRAWING_BPSP = 1.0
SMALL_FILE = 96
# Progress is that of the first model tried, up to this; the rest is for what comes after it.
MODEL_SHARE = 0.95
COUNTING_PIXELS = 2**18


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
    """
    pixels, mode = picture.pixels, picture.mode
    height, width, channels = pixels.shape
    found: list[tuple[int, Coder, list[bytes]]] = []

    def share(fraction: float) -> None:
        if report is not None:
            report(MODEL_SHARE * fraction)

    def attempt(coder: Coder) -> int:
        first = coder.payload is Payload.MODEL and all(other.payload is not Payload.MODEL for _, other, _ in found)
        progress = Progress(height * width, share if report is not None and first else None)
        tiles = encode_tiles(coder, pixels, threads, progress)
        found.append((sum(map(len, tiles)), coder, tiles))
        return found[-1][0]

    colours, bpsp, hopeless = 0, 0.0, False
    if mode not in ("1", "P") and picture.bits < 16:
        fast = webp_size(pixels, threads)
        colours, bpsp = count_colours(pixels), 8 * fast / pixels.size
        if colours > SPARSE_COLOURS and bpsp >= GRAPHIC_BPSP:
            modelled = attempt(photo_coder(height, width, 8))
            hopeless = bpsp >= PHOTOGRAPH_BPSP and modelled <= HOPELESS_RATIO * fast
    if picture.bits == 16:
        attempt(photo_coder(height, width, 16))
        attempt(png_coder(mode, height, width))
    elif not hopeless:
        size = attempt(webp_coder(height, width))
        few = colours <= FEW_COLOURS and (channels >= 3 or colours <= SPARSE_COLOURS or bpsp < DRAWING_BPSP)
        if few and size > SMALL_FILE:
            attempt(indexed_coder(height, width))
    _, coder, tiles = min(found, key=lambda candidate: candidate[0])
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
    return serialise(header, tiles)


def count_colours(pixels: Array) -> int:
    """The number of different pixels of 8-bit samples, or some number above `FEW_COLOURS`. Photographs end at once."""
    height, width, channels = pixels.shape
    rows = max(1, COUNTING_PIXELS // width)
    seen = np.zeros(0, np.uint32)
    for top in range(0, height, rows):
        packed = np.zeros((min(rows, height - top), width), np.uint32)
        for channel in range(channels):
            packed = packed << np.uint32(8) | pixels[top : top + rows, :, channel]
        seen = np.union1d(seen, packed)
        if len(seen) > FEW_COLOURS:
            break
    return len(seen)


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
    elif header.payload is Payload.PNG and header.sample_bytes == 2:
        coder = png_coder(header.mode, header.height, header.width)
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
    return serialise(header, [original])


def keep(original: bytes, extension: str, *, lossy: bool) -> bytes:
    """A .dz file that holds an input file into which nobody looked, packed unless its own coding is a lossy one."""
    method, packed = (PLAIN, original) if lossy else pack(original)
    header = Header(Payload.FILE, "", 0, 0, digest(original), 0, 0, 0, lossy=lossy)
    header = replace(header, stored_format=extension, packing=(method, len(original)))
    return serialise(header, [packed])


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
