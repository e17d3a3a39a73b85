"""The blocks of a GIF file: the screen, extensions, pictures and what follows them. Standard library only.

Source: GIF89a specification, CompuServe 1990; Adobe's and the ICC's application extensions.
"""

import struct
from dataclasses import dataclass

from ...errors import UnreadableImageError
from ..modes import Chunk
from .chunks import icc_chunk, text_chunk, xmp_chunk

__all__ = ["DESCRIPTOR", "SCREEN", "Frame", "Gif", "colours_of", "parse"]

SCREEN, DESCRIPTOR = struct.Struct("<6sHHBBB"), struct.Struct("<BHHHHB")
EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
TEXT, CONTROL, COMMENT, APPLICATION = 0x01, 0xF9, 0xFE, 0xFF
TABLE, INTERLACED = 0x80, 0x40
# Of a picture's flags: whether its colours are sorted, and two bits without a meaning.
UNUSED = 0x38
XMP, ICC = b"XMP DataXMP", b"ICCRGBG1012"
# Behind an XMP packet stand bytes that lead a reader that takes it for blocks to its end.
XMP_MAGIC = 257


@dataclass(frozen=True)
class Frame:
    """One picture of a file.

    Attributes:
        place: where its descriptor begins.
        box: left, top, width and height in pixels.
        interlaced: whether its rows are in four passes.
        table: its own colours, or none.
        literal_bits: of an index, for the LZW codes.
        blocks: where the first data block begins.
        sizes: of the data blocks, without the length before each.
        end: where the last data block ends.
    """

    place: int
    box: tuple[int, int, int, int]
    interlaced: bool
    table: bytes
    literal_bits: int
    blocks: int
    sizes: tuple[int, ...]
    end: int

    def stream(self, data: bytes) -> bytes:
        """The codes of the picture, out of their blocks."""
        parts = []
        position = self.blocks
        for size in self.sizes:
            parts.append(data[position + 1 : position + 1 + size])
            position += 1 + size
        return b"".join(parts)


@dataclass(frozen=True)
class Gif:
    """What is in a file.

    Attributes:
        width: of the screen, in pixels.
        height: of the screen, in pixels.
        table: the colours of all pictures, or none.
        frames: the first two pictures at most: a file of two is an animation.
        transparent: the index that stands for no colour in the first picture, or None.
        chunks: comments, ICC profile and XMP.
        others: what people call all else that is in the blocks.
        end: where the last block ends, or the mark behind it.
    """

    width: int
    height: int
    table: bytes
    frames: tuple[Frame, ...]
    transparent: int | None
    chunks: tuple[Chunk, ...]
    others: tuple[str, ...]
    end: int


def colours_of(flags: int) -> int:
    """Bytes of the colours that a byte of flags announces."""
    return 3 << (flags & 7) + 1 if flags & TABLE else 0


def parse(data: bytes) -> Gif:
    """Follow the blocks to the end, or to the second picture.

    Raises:
        UnreadableImageError: damaged, or cut short before the first picture's end.
    """
    if len(data) < SCREEN.size or data[:6] not in (b"GIF87a", b"GIF89a"):
        raise UnreadableImageError(f"a damaged GIF file, or one that is cut short: {len(data)} bytes")
    _, width, height, flags, background, aspect = SCREEN.unpack_from(data)
    position = SCREEN.size + colours_of(flags)
    table = data[SCREEN.size : position]
    frames: list[Frame] = []
    chunks: list[Chunk] = []
    others = ["background colour"] * bool(background) + ["pixel aspect ratio"] * bool(aspect)
    transparent: int | None = None
    while position < len(data) and len(frames) < 2 and data[position] in (EXTENSION, IMAGE):
        if data[position] == IMAGE:
            frames.append(_frame(data, position))
            own = data[position + DESCRIPTOR.size - 1]
            if own & UNUSED or (own & 7 and not own & TABLE):
                others.append("header fields")
            position = frames[-1].end + 1
            continue
        label, start = data[position + 1 : position + 2], position + 2
        sizes, end = _blocks(data, start)
        if label and label[0] == CONTROL and not frames and sizes and sizes[0] >= 4:
            transparent = data[start + 4] if data[start + 1] & 1 else None
            if data[start + 1] & ~1 or any(data[start + 2 : start + 4]) or sizes != (4,):
                others.append("display control")
        elif label:
            found = _metadata(label[0], data, start, sizes, end)
            chunks += found
            others += [] if found or not sizes else [_name(label[0], data, start, sizes)]
        position = end + 1
    position += data[position : position + 1] == bytes([TRAILER])
    if not frames:
        raise UnreadableImageError(f"a damaged GIF file, or one that is cut short: no picture in {len(data)} bytes")
    if frames[0].table and table not in (b"", frames[0].table):
        others.append("second palette")
    return Gif(width, height, table, tuple(frames), transparent, tuple(chunks), tuple(others), position)


def _name(label: int, data: bytes, start: int, sizes: tuple[int, ...]) -> str:
    """What people call an extension that is no metadata."""
    if label == APPLICATION and sizes[0] == len(XMP):
        name = data[start + 1 : start + 9].decode("latin-1").strip(" \0")
        return f"application extension {name if name.isprintable() else ascii(name)}"
    return {CONTROL: "display control", TEXT: "text drawn over it"}.get(label, f"extension {label:02X}")


def _blocks(data: bytes, start: int) -> tuple[tuple[int, ...], int]:
    """The sizes of the blocks that begin there, and where the last one ends: there the zero behind them stands."""
    sizes: list[int] = []
    position = start
    while position < len(data) and data[position]:
        sizes.append(data[position])
        position += 1 + data[position]
    if position > len(data):
        raise UnreadableImageError(f"a GIF file that is cut short after {len(data)} bytes")
    return tuple(sizes), position


def _frame(data: bytes, place: int) -> Frame:
    if place + DESCRIPTOR.size + 2 > len(data):
        raise UnreadableImageError(f"a GIF file that is cut short after {len(data)} bytes")
    _, left, top, width, height, flags = DESCRIPTOR.unpack_from(data, place)
    start = place + DESCRIPTOR.size
    end_of_table = start + colours_of(flags)
    if end_of_table >= len(data):
        raise UnreadableImageError(f"a GIF file that is cut short after {len(data)} bytes")
    sizes, end = _blocks(data, end_of_table + 1)
    return Frame(
        place, (left, top, width, height), bool(flags & INTERLACED), data[start:end_of_table], data[end_of_table],
        end_of_table + 1, sizes, end,
    )  # fmt: skip


def _metadata(label: int, data: bytes, start: int, sizes: tuple[int, ...], end: int) -> list[Chunk]:
    if label == COMMENT:
        comment = Frame(0, (0, 0, 0, 0), False, b"", 0, start, sizes, end).stream(data)
        return [text_chunk("Comment", comment)] if comment else []
    name = data[start + 1 : start + 12]
    if label != APPLICATION or not sizes or sizes[0] != len(XMP):
        return []
    if name == XMP:
        packet = data[start + 12 : end]
        return [xmp_chunk(packet[:-XMP_MAGIC])] if len(packet) > XMP_MAGIC else []
    if name == ICC:
        profile = Frame(0, (0, 0, 0, 0), False, b"", 0, start + 12, sizes[1:], end).stream(data)
        return [icc_chunk(profile)] if profile else []
    return []
