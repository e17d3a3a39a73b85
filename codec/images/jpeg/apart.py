"""A file of JPEG images without their coefficients, and the coefficients.

A file may hold several images: a thumbnail inside a segment of the first, pictures behind its end. Each in turn is
found in what is left of the file, and its entropy-coded bytes are cut out. What remains, the skeleton, has the markers
of all images, so that it tells with few numbers beside it where the bytes were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import CorruptPayloadError, FormatError, HeaderError, UnsupportedImageError
from ...fields import Reader, varint
from .frame import Frame, follow
from .scans import (
    BROKEN_RUNS,
    LIBJPEG_RUNS,
    ODD,
    SINGLE_RUNS,
    Leftover,
    Planes,
    new_planes,
    read_scan,
    write_scan,
)

__all__ = ["Image", "Outline", "check_blocks", "put_together", "read_outline", "take_apart"]

SOI = b"\xff\xd8\xff"
# A block takes one bit of its file at least: of the DC coefficient, however many scans leave it empty.
BLOCKS_A_BYTE = 8
MOST_IMAGES = 64
# A scan's entry: bits of its padding and of its runs, and whether there is a tail.
FIELD, RUNS_SHIFT, TAIL = 3, 2, 16


class Image(NamedTuple):
    """One image.

    Attributes:
        start: where it begins in the skeleton.
        lost: number of its entropy-coded bytes; 0 for the first image, of which it does not matter.
        frame: its markers; places are those in the skeleton.
        leftovers: of its scans.
    """

    start: int
    lost: int
    frame: Frame
    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True)
class Outline:
    """A file but for its coefficients.

    Attributes:
        images: in it.
        skeleton: its bytes but for those of scans.
    """

    images: tuple[Image, ...]
    skeleton: bytes

    def pack(self) -> bytes:
        """The outline as bytes."""
        out, last = bytearray(varint(len(self.images))), 0
        for image in self.images:
            if image is not self.images[0]:
                out += varint(image.start - last) + varint(image.lost)
                last = image.start
            entries = b"".join(map(_pack_leftover, image.leftovers))
            usual = all(left == Leftover() for left in image.leftovers)
            out += varint(0) if usual else varint(len(image.leftovers)) + entries
        return bytes(out) + self.skeleton


def take_apart(data: bytes, max_pixels: int) -> tuple[Outline, list[Planes]]:
    """A file's outline, and the coefficients of each of its images, proved to be enough.

    Args:
        data: a JPEG file.
        max_pixels: of all its images; one that has more than are left is none.

    Raises:
        UnsupportedImageError: this file would not come back; the message says why.
    """
    images: list[Image] = []
    planes: list[Planes] = []
    coded: list[list[bytes]] = []
    rest, position, left = data, 0, max_pixels
    while position >= 0 and len(images) < MOST_IMAGES:
        try:
            frame = follow(rest, position)
            if frame.width * frame.height > left:
                raise UnsupportedImageError(f"{frame.width}x{frame.height} pixels; the limit is {left}")
            found, leftovers = _read(rest, frame)
        except UnsupportedImageError:
            if not images:
                raise
        else:
            coded.append([rest[scan.start : scan.end] for scan in frame.scans])
            images.append(Image(position, sum(map(len, coded[-1])) if images else 0, frame, leftovers))
            planes.append(found)
            left -= frame.width * frame.height
            rest = _cut(rest, frame)
        position = rest.find(SOI, position + 1)
    # The last proof: the outline as a reader will see it, with the bytes that were written anew.
    try:
        outline = read_outline(Outline(tuple(images), rest).pack())
    except CorruptPayloadError as error:
        raise UnsupportedImageError(f"images inside one another: {error}") from None
    if [image.leftovers for image in outline.images] != [image.leftovers for image in images]:
        raise UnsupportedImageError("images inside one another")
    if _join(outline, coded) != data:
        raise UnsupportedImageError("images inside one another")
    return outline, planes


def _read(data: bytes, frame: Frame) -> tuple[Planes, tuple[Leftover, ...]]:
    """The coefficients of an image, and what else its scans' bytes need."""
    check_blocks([frame], sum(scan.end - scan.start for scan in frame.scans))
    planes = new_planes(frame)
    found = [read_scan(frame, scan, data, planes) for scan in frame.scans]
    leftovers = []
    for scan, left in zip(frame.scans, found, strict=True):
        original = data[scan.start : scan.end]
        usual = Leftover(left.padding, left.pads, LIBJPEG_RUNS, (), left.tail)
        for candidate in (usual, left):
            if write_scan(frame, scan, planes, candidate, len(original)) == original:
                leftovers.append(candidate)
                break
        else:
            raise UnsupportedImageError("its coefficients would be written in other bits")
    return planes, tuple(leftovers)


def check_blocks(frames: Sequence[Frame], size: int) -> None:
    """Refuse images of more blocks than files of a length can hold.

    Raises:
        UnsupportedImageError: more than those.
    """
    blocks = 0
    for frame in frames:
        for component in range(len(frame.components)):
            columns, rows = frame.blocks(component)
            blocks += columns * rows
    if blocks > BLOCKS_A_BYTE * size:
        raise UnsupportedImageError(f"{blocks} blocks in {size} bytes")


def _cut(data: bytes, frame: Frame) -> bytes:
    parts, last = [], 0
    for scan in frame.scans:
        parts.append(data[last : scan.start])
        last = scan.end
    return b"".join([*parts, data[last:]])


def _join(outline: Outline, coded: Sequence[Sequence[bytes]]) -> bytes:
    """A skeleton with the entropy-coded bytes of all scans of all images."""
    inserts = []
    for image, scans in zip(outline.images, coded, strict=True):
        inserts += [(scan.start, data) for scan, data in zip(image.frame.scans, scans, strict=True)]
    parts, last = [], 0
    for place, data in sorted(inserts):
        parts += [outline.skeleton[last:place], data]
        last = place
    return b"".join([*parts, outline.skeleton[last:]])


def put_together(outline: Outline, planes: Sequence[Planes], most: int) -> bytes:
    """The file again.

    Args:
        outline: of it.
        planes: the coefficients of its images.
        most: bytes that it may have.

    Raises:
        CorruptPayloadError: these coefficients and this outline do not make a file of that length.
    """
    coded = []
    try:
        for image, own in zip(outline.images, planes, strict=True):
            pairs = zip(image.frame.scans, image.leftovers, strict=True)
            coded.append([write_scan(image.frame, scan, own, left, most) for scan, left in pairs])
            most -= sum(map(len, coded[-1]))
            if most < 0:
                raise CorruptPayloadError("a JPEG file that becomes longer than it was")
    except UnsupportedImageError as error:
        raise CorruptPayloadError(f"a JPEG file cannot be written again: {error}") from error
    return _join(outline, coded)


def read_outline(packed: bytes) -> Outline:
    """What `Outline.pack` made.

    Raises:
        CorruptPayloadError: it makes no sense.
    """
    reader = Reader(memoryview(packed), 0, HeaderError)
    try:
        count, start = reader.varint("number of images"), 0
        if not 1 <= count <= MOST_IMAGES:
            raise CorruptPayloadError(f"{count} images in a JPEG file")
        cuts: list[tuple[int, int]] = []
        entries: list[tuple[Leftover, ...]] = []
        for number in range(count):
            if number:
                start += reader.varint("place of an image")
                cuts.append((start, reader.varint("length of an image")))
            scans = reader.varint("scans with leftovers")
            if scans > reader.left:
                raise CorruptPayloadError(f"{scans} scans in {reader.left} bytes")
            entries.append(tuple(_read_leftover(reader) for _ in range(scans)))
        skeleton = bytes(reader.take(reader.left, "skeleton"))
        images = []
        for (place, lost), leftovers in zip([(0, 0), *cuts], entries, strict=True):
            frame = follow(skeleton, place, cuts)
            images.append(Image(place, lost, frame, leftovers or (Leftover(),) * len(frame.scans)))
            if len(images[-1].leftovers) != len(frame.scans):
                raise CorruptPayloadError(f"leftovers of {len(leftovers)} scans where there are {len(frame.scans)}")
    except (FormatError, UnsupportedImageError) as error:
        raise CorruptPayloadError(f"the outline of a JPEG file: {error}") from error
    return Outline(tuple(images), skeleton)


def _pack_leftover(left: Leftover) -> bytes:
    out = bytearray([left.padding | left.runs << RUNS_SHIFT | (TAIL if left.tail else 0)])
    if left.padding == ODD:
        out += varint(len(left.pads)) + left.pads
    if left.runs == BROKEN_RUNS:
        last = 0
        out += varint(len(left.broken))
        for block in left.broken:
            out += varint(block - last)
            last = block
    if left.tail:
        out += varint(len(left.tail)) + left.tail
    return bytes(out)


def _read_leftover(reader: Reader) -> Leftover:
    flags = reader.take(1, "leftovers of a scan")[0]
    padding, runs = flags & FIELD, flags >> RUNS_SHIFT & FIELD
    if padding > ODD or runs > SINGLE_RUNS or flags >= 2 * TAIL:
        raise CorruptPayloadError(f"leftovers of a scan with the flags {flags:#04x}")
    pads, broken, tail = b"", [], b""
    if padding == ODD:
        pads = bytes(reader.take(reader.varint("bytes of padding"), "padding"))
    if runs == BROKEN_RUNS:
        last, count = 0, reader.varint("broken runs")
        if count > reader.left:
            raise CorruptPayloadError(f"{count} broken runs in {reader.left} bytes")
        for _ in range(count):
            last += reader.varint("broken run")
            broken.append(last)
    if flags & TAIL:
        tail = bytes(reader.take(reader.varint("bytes behind a scan"), "bytes behind a scan"))
    return Leftover(padding, pads, runs, tuple(broken), tail)
