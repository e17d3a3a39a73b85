"""JPEG files to .dz bytes and back, byte for byte.

The model is handed in, so that this layer knows none.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import ChecksumError, CorruptPayloadError, HeaderError, LimitError, UnsupportedImageError
from ..fields import Reader, varint
from ..images.jpeg.apart import Outline, check_blocks, put_together, read_outline, take_apart
from ..images.jpeg.frame import Frame, Rows
from ..images.jpeg.habits import DICTIONARY
from ..images.jpeg.scans import Planes, new_planes
from ..images.picture import digest
from .coding import checked
from .container import Container, Header, Payload, serialise
from .packing import WINDOW_BITS, pack, unpack
from .payload import Progress, run_jobs

__all__ = ["SegmentCoder", "outline_of", "recode", "recoded_bytes"]

# Beside the methods of packing.py, which have no dictionary.
WITH_DICTIONARY = 3
# A segment learns anew: a file of 2 MB in three of them took 0.6 % more than in one.
SEGMENT_BYTES = 3 * 2**19
MOST_SEGMENTS = 256
MOST_OUTLINE = 2**26
# What an outline may have beside bytes of the file: lists of leftovers.
SLACK = 2**20
# A length and the method of packing share a number.
METHOD_SHIFT = 2


@dataclass(frozen=True)
class SegmentCoder:
    """A model of coefficients.

    Attributes:
        model: its name.
        digest: of all that determines what it says.
        encode: (frames, planes of each, parts, progress) -> bytes.
        decode: (bytes, frames, planes to fill, parts, progress); raises CorruptPayloadError.
    """

    model: str
    digest: bytes
    encode: Callable[[Sequence[Frame], Sequence[Planes], Sequence[Rows], Callable[[int], None]], bytes]
    decode: Callable[[bytes, Sequence[Frame], Sequence[Planes], Sequence[Rows], Callable[[int], None]], None]


def _mcu_rows(frame: Frame) -> int:
    return -(-frame.height // frame.mcu[1])


def _blocks(frame: Frame) -> int:
    sizes = [frame.blocks(component) for component in range(len(frame.components))]
    return sum(columns * rows for columns, rows in sizes)


def segments_of(frames: Sequence[Frame], count: int) -> list[list[Rows]]:
    """The rows of all images, shared out among segments: nearly the same number of blocks for each.

    A row belongs to the segment in which its first block would be if all blocks were shared out exactly.
    """
    total, before = sum(map(_blocks, frames)), 0
    segments: list[list[Rows]] = [[] for _ in range(count)]
    for image, frame in enumerate(frames):
        rows, blocks = _mcu_rows(frame), _blocks(frame)
        # The first row of each segment: the least y with (before + blocks * y / rows) * count >= number * total.
        starts = [-(-(number * total - before * count) * rows // (blocks * count)) for number in range(count + 1)]
        starts = [min(max(start, 0), rows) for start in starts]
        for number in range(count):
            first, last = starts[number], starts[number + 1] if number + 1 < count else rows
            if first < last:
                segments[number].append(Rows(image, first, last))
        before += blocks
    return segments


def recode(
    data: bytes,
    extension: str,
    coder: SegmentCoder,
    threads: int,
    report: Callable[[float], None] | None,
    max_pixels: int,
) -> bytes:
    """A .dz file that gives a JPEG file back.

    Args:
        data: the file.
        extension: of it, without a dot.
        coder: the model.
        threads: number of segments coded at once; 0 for all processors.
        report: called with the fraction done.
        max_pixels: of the images in it; those above that are no images.

    Raises:
        UnsupportedImageError: this file would not come back; the message says why.
    """
    outline, planes = take_apart(data, max_pixels)
    frames = [image.frame for image in outline.images]
    count = min(max(1, len(data) // SEGMENT_BYTES), MOST_SEGMENTS, _mcu_rows(frames[0]))
    progress = Progress(sum(map(_blocks, frames)), report)

    def encode(parts: list[Rows]) -> bytes:
        return coder.encode(frames, planes, parts, progress.advance)

    tiles = list(run_jobs(encode, segments_of(frames, count), threads, progress))
    first = frames[0]
    header = Header(
        payload=Payload.JPEG,
        mode={1: "L", 3: "RGB"}.get(len(first.components), ""),
        width=first.width,
        height=first.height,
        checksum=digest(data),
        tile_width=first.width,
        tile_height=first.height,
        bits=8,
        lossy=True,
        model=coder.model,
        digest=coder.digest,
        stored_format=extension,
        length=len(data),
        segments=len(tiles),
    )
    return checked(serialise(header, [_pack(outline.pack()), *tiles]))


def _pack(outline: bytes) -> bytes:
    """The smallest form of an outline."""
    method, packed = pack(outline)
    deflater = zlib.compressobj(9, zlib.DEFLATED, WINDOW_BITS, 9, zdict=DICTIONARY)
    known = deflater.compress(outline) + deflater.flush()
    if len(known) < len(packed):
        method, packed = WITH_DICTIONARY, known
    return varint(len(outline) << METHOD_SHIFT | method) + packed


def outline_of(container: Container) -> Outline:
    """The outline that a file holds.

    Raises:
        ChecksumError: it is damaged.
        CorruptPayloadError: it makes no sense.
    """
    reader = Reader(container.tile(0), 0, HeaderError)
    try:
        number = reader.varint("length of the outline")
        length, method = number >> METHOD_SHIFT, number & (1 << METHOD_SHIFT) - 1
        packed = reader.take(reader.left, "outline")
    except HeaderError as error:
        raise CorruptPayloadError(f"the outline of a JPEG file: {error}") from None
    if length > MOST_OUTLINE or length > container.header.length + SLACK:
        raise CorruptPayloadError(f"an outline of {length} bytes for a file of {container.header.length}")
    if method != WITH_DICTIONARY:
        return read_outline(unpack(method, packed, length, CorruptPayloadError))
    try:
        inflater = zlib.decompressobj(WINDOW_BITS, zdict=DICTIONARY)
        data = inflater.decompress(packed, length + 1)
    except zlib.error as error:
        raise CorruptPayloadError(f"the outline of a JPEG file: {error}") from None
    if len(data) != length or not inflater.eof or inflater.unused_data:
        raise CorruptPayloadError(f"{len(packed)} packed bytes do not give the {length} announced")
    return read_outline(data)


def recoded_bytes(
    container: Container,
    coder: SegmentCoder,
    threads: int,
    report: Callable[[float], None] | None,
    most: int,
    max_pixels: int,
) -> bytes:
    """The JPEG file that a file holds.

    Args:
        container: with a payload of the kind JPEG.
        coder: the model that the header names.
        threads: number of segments decoded at once; 0 for all processors.
        report: called with the fraction done.
        most: bytes that the file may have.
        max_pixels: of all images in it.

    Raises:
        ChecksumError: it is damaged, or came out wrong.
        CorruptPayloadError: it cannot be what the encoder wrote.
        LimitError: it is longer than `most`, or its images have more than `max_pixels`.
    """
    header = container.header
    length = header.length
    if length > most:
        raise LimitError(f"a file of {length} bytes; the limit is {most} (--max-pixels)")
    outline = outline_of(container)
    frames = [image.frame for image in outline.images]
    if (frames[0].width, frames[0].height) != (header.width, header.height):
        raise CorruptPayloadError(
            f"a JPEG file of {frames[0].width}x{frames[0].height} pixels, announced as {header.width}x{header.height}"
        )
    pixels = sum(frame.width * frame.height for frame in frames)
    if pixels > max_pixels:
        raise LimitError(f"a JPEG file with images of {pixels} pixels; the limit is {max_pixels} (--max-pixels)")
    try:
        check_blocks(frames, length)
    except UnsupportedImageError as error:
        raise CorruptPayloadError(f"a JPEG file of {error}") from None
    if not 1 <= header.segments <= min(MOST_SEGMENTS, _mcu_rows(frames[0])):
        raise CorruptPayloadError(f"{header.segments} segments of a JPEG file")
    planes = [new_planes(frame) for frame in frames]
    progress = Progress(sum(map(_blocks, frames)), report)

    def decode(job: tuple[int, list[Rows]]) -> None:
        number, parts = job
        coder.decode(bytes(container.tile(1 + number)), frames, planes, parts, progress.advance)

    for _ in run_jobs(decode, list(enumerate(segments_of(frames, header.segments))), threads, progress):
        pass
    data = put_together(outline, planes, length)
    if digest(data) != header.checksum:
        raise ChecksumError(
            f"the JPEG file is wrong: its checksum is {digest(data).hex()}, not {header.checksum.hex()}"
        )
    return data
