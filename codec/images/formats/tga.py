"""TGA: rows of samples behind 18 bytes, plain or run-length coded; the file comes back byte for byte.

Of run-length coded pixels, the first bytes of the packets say all that the pixels do not; they are kept only where they
are not those of a usual encoder.

Source: Truevision TGA File Format Specification, version 2.0.

Remainder: type, depth and attributes of the header, a patch of what these imply, the bytes before the pixels, the bits
of a pixel that belong to no channel, a patch of the rows, the packets, and what is behind the pixels (varint: 1 for a
plain footer, else 0, or 2 and more: where in the bytes that follow the extension area begins).
"""

import struct
from dataclasses import dataclass

import numpy as np

from ...errors import CorruptPayloadError, DensezipError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from ..limits import check_pixels
from ..modes import Chunk
from ..picture import Array, Picture
from ..split import PADDING, Split
from . import tgapackets, tgatail
from .chunks import text_chunk
from .rawrows import Bytes, blob, narrowed, patch, patched, reader, remaking, skip_patch, take_blob, widened

__all__ = ["beyond", "is_tga", "join", "read", "skeleton", "split"]

HEADER = struct.Struct("<BBBHHBHHHHBB")
PALETTE, COLOUR, GREY, RUNS = 1, 2, 3, 8
TYPES = (PALETTE, COLOUR, GREY, PALETTE + RUNS, COLOUR + RUNS, GREY + RUNS)
ATTRIBUTES, FROM_RIGHT, FROM_TOP = 0x0F, 0x10, 0x20
DEPTHS = {PALETTE: (8,), COLOUR: (15, 16, 24, 32), GREY: (8, 16)}
ENTRY_DEPTHS = (15, 16, 24, 32)
MOST_ATTRIBUTES = {8: (0, 8), 15: (0, 1), 16: (0, 1, 8), 24: (0, 8), 32: (0, 8)}
# Depths of a pixel that there are beside those that are coded.
ODD_DEPTHS = (1, 2, 4, 8, 15, 16, 24, 32)
FIVE_BITS = 31
MAX_SIDE = 0xFFFF


@dataclass(frozen=True)
class Layout:
    """What a header says.

    Attributes:
        offset: of the pixels in the file.
        kind: 1 palette, 2 colour, 3 grey; without the bit for run-length coding.
        runs: whether the pixels are run-length coded.
        width: in pixels.
        height: in pixels.
        depth: bits of a pixel.
        attributes: how many of them are alpha, as the header has it.
        from_right: whether a row begins at its right end.
        from_top: whether the first row is the upper one.
        palette: colours [256, 4], or [0, 4].
        alpha_palette: whether the fourth channel of the palette means anything.
        mode: of the picture.
    """

    offset: int
    kind: int
    runs: bool
    width: int
    height: int
    depth: int
    attributes: int
    from_right: bool
    from_top: bool
    palette: Bytes
    alpha_palette: bool
    mode: str

    @property
    def pixel(self) -> int:
        """Bytes of a pixel."""
        return (self.depth + 7) // 8

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return self.width * self.pixel


def is_tga(data: bytes) -> bool:
    """Whether a file may be a TGA file: there are no magic bytes, but few headers make sense."""
    if not begins_like_tga(data):
        return False
    try:
        layout = _parse(data)
    except UnsupportedImageError:
        return True
    return layout.runs or len(data) - layout.offset >= layout.row * layout.height


def begins_like_tga(head: bytes) -> bool:
    """Whether a file of which these are the first bytes may be a TGA file."""
    try:
        _parse(head)
    except UnreadableImageError:
        return False
    except UnsupportedImageError:
        pass
    return True


def read(data: bytes, max_pixels: int) -> Picture:
    """The pixels and metadata of a TGA file.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: a kind of TGA that is not coded.
        LimitError: more than `max_pixels` pixels.
    """
    layout = _parse(data)
    check_pixels(layout.width, layout.height, max_pixels)
    rows, _, _ = _rows(data, layout)
    layout = _with_alpha(rows, layout)
    return Picture(_unpack(rows, layout), layout.mode, 8, _chunks(data, layout))


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a TGA file but its pixels."""
    plain = _parse(data)
    rows, heads, end = _rows(data, plain)
    layout = _with_alpha(rows, plain)
    value = _constant(rows, layout)
    expected = _pack(picture.pixels, layout, value)
    header = data[: HEADER.size]
    parts = [
        bytes([data[2], data[16], data[17]]),
        patch(header, _header(data[2], data[16], data[17], layout.width, layout.height)),
        blob(data[HEADER.size : layout.offset]),
        varint(value),
        patch(rows.tobytes(), expected),
    ]
    if layout.runs:
        parts.append(tgapackets.write_heads(heads, rows.reshape(-1, layout.pixel), layout.width))
    return Split(b"".join([*parts, tgatail.write_tail(data, end)]), exact=True)


@remaking("TGA")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A TGA file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    height, width = picture.pixels.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise CorruptPayloadError(f"{width}x{height} pixels in a TGA file")
    fields = reader(remainder)
    head, layout = _take_head(fields, width, height)
    value = fields.varint("spare bits")
    # Whether the fourth byte is an alpha channel is not said by every header: the mode says it.
    if layout.mode == "RGB" and picture.mode == "RGBA" and layout.depth == 32:
        layout = _renamed(layout, "RGBA")
    if layout.mode != picture.mode or value & ~_spare(layout):
        raise CorruptPayloadError(f"a TGA file of mode {layout.mode} around a picture of mode {picture.mode}")
    pixels = patched(_pack(picture.pixels, layout, value), fields, "the rows of a TGA file")
    if layout.runs:
        rows = np.frombuffer(pixels, np.uint8).reshape(-1, layout.pixel)
        pixels = tgapackets.pack(rows, tgapackets.read_heads(fields, rows, width))
    return b"".join([head, pixels, tgatail.take_tail(fields)[0]])


@remaking("TGA")
def skeleton(remainder: bytes) -> bytes:
    """A TGA file of two pixels with the metadata of the file of a remainder."""
    fields = reader(remainder)
    head, layout = _take_head(fields, 2, 1)
    fields.varint("spare bits")
    # Something in the rows that is no pixel: it is in the second one.
    last = b"\xff" if skip_patch(fields, "the rows") else b"\0"
    if layout.runs:
        tgapackets.skip_heads(fields)
    tail, area = tgatail.take_tail(fields)
    start = b"".join([head, b"\1" * layout.runs, bytes(layout.pixel), last * layout.pixel])
    return start + tgatail.moved(tail, area, len(start))


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    layout = _parse(data)
    names = ["palette"] if data[1] and layout.kind != PALETTE else []
    if any(data[8:12]):
        names.append("place on the screen")
    if not data[1] and any(data[3:8]):
        names.append("header fields")
    rows, _, end = _rows(data, layout)
    layout = _with_alpha(rows, layout)
    # A colour of 15 or 16 bits of the palette has a highest bit that belongs to no channel.
    entries = data[HEADER.size + data[0] : layout.offset] if layout.kind == PALETTE and data[7] <= 16 else b""
    packed = _pack(_unpack(rows, layout), layout, _constant(rows, layout))
    if packed != rows.tobytes() or any(byte >> 7 for byte in entries[1::2]):
        names.append(PADDING)
    return (*names, *tgatail.beyond(data, end))


def _header(kind: int, depth: int, flags: int, width: int, height: int) -> bytes:
    """The header that a usual writer makes; palettes of 256 colours of 24 bits."""
    palette = kind % RUNS == PALETTE
    return HEADER.pack(
        0, int(palette), kind, 0, 256 if palette else 0, 24 if palette else 0, 0, 0, width, height, depth, flags
    )


def _take_head(fields: Reader, width: int, height: int) -> tuple[bytes, Layout]:
    what = "the head of a TGA file"
    kind, depth, flags = fields.take(3, what)
    header = patched(_header(kind, depth, flags, width, height), fields, what)
    head = header + take_blob(fields, what)
    layout = _parse(head)
    if (layout.width, layout.height, layout.offset) != (width, height, len(head)):
        raise CorruptPayloadError(f"{what}: {layout.width}x{layout.height} pixels around {width}x{height}")
    return head, layout


def _parse(data: bytes) -> Layout:
    if len(data) < HEADER.size:
        raise UnreadableImageError(f"a TGA file that is cut short: {len(data)} bytes")
    name, has_palette, code, first, count, entry, _, _, width, height, depth, flags = HEADER.unpack_from(data)
    kind, runs = code % RUNS, code >= RUNS
    attributes = flags & ATTRIBUTES
    palette_fits = has_palette == (kind == PALETTE) or (has_palette == 1 and entry in ENTRY_DEPTHS)
    if (
        code not in TYPES
        or not (width and height and palette_fits)
        or depth not in DEPTHS[kind]
        or flags >> 6
        or attributes not in MOST_ATTRIBUTES[depth]
    ):
        raise _refusal(data, f"type {code}, {width}x{height} pixels of {depth} bits, flags {flags}")
    start = HEADER.size + name
    size = count * ((entry + 7) // 8) if has_palette else 0
    offset = start + size
    if offset > len(data):
        raise UnreadableImageError(f"a TGA file that is cut short: {len(data)} bytes")
    palette, alpha_palette = np.zeros((0, 4), np.uint8), False
    if kind == PALETTE:
        if entry not in ENTRY_DEPTHS or first + count > 256 or not count:
            raise _refusal(data, f"{count} colours of {entry} bits from {first} on")
        palette = _palette(data[start:offset], entry, first)
        alpha_palette = entry == 32
    mode = {PALETTE: "P", GREY: "LA" if depth == 16 else "L", COLOUR: "RGB"}[kind]
    if kind == COLOUR and attributes and depth != 24:
        mode = "RGBA"
    return Layout(
        offset, kind, runs, width, height, depth, attributes, bool(flags & FROM_RIGHT), bool(flags & FROM_TOP),
        palette, alpha_palette, mode,
    )  # fmt: skip


def _refusal(data: bytes, what: str) -> DensezipError:
    """Why a file is not read: it is of a kind that is not coded, or no TGA file at all."""
    if tgatail.is_signed(data) or _is_odd(data):
        return UnsupportedImageError(f"a TGA file of a kind that is not coded: {what}")
    return UnreadableImageError(f"no TGA file: {what}")


def _is_odd(data: bytes) -> bool:
    """Whether a header makes sense, though its pixels are not coded, and the file has just the room for these."""
    name, has_palette, code, _, count, entry, _, _, width, height, depth, flags = HEADER.unpack_from(data)
    if code not in TYPES or has_palette > 1 or depth not in ODD_DEPTHS or flags >> 6 or not (width and height):
        return False
    size = HEADER.size + name + has_palette * count * -(-entry // 8)
    # One bit a pixel is packed by some writers, and takes a byte in files of others.
    rows = [size + height * -(-width * depth // 8), size + height * width * -(-depth // 8)]
    return (size < len(data) <= max(rows)) if code >= RUNS else len(data) in rows


def _palette(entries: bytes, bits: int, first: int) -> Bytes:
    """The 256 colours that an index can have, red, green, blue, alpha; those that the file leaves out are black."""
    out = np.zeros((256, 4), np.uint8)
    out[:, 3] = 255
    raw = np.frombuffer(entries, np.uint8).reshape(-1, (bits + 7) // 8)
    part = out[first : first + len(raw)]
    if bits <= 16:
        values = raw.view("<u2")[:, 0]
        for channel in range(3):
            part[:, channel] = widened(values >> (10 - 5 * channel) & FIVE_BITS, FIVE_BITS)
    else:
        part[:, :3] = raw[:, 2::-1]
        if bits == 32:
            part[:, 3] = raw[:, 3]
    return out


def _rows(data: bytes, layout: Layout) -> tuple[Bytes, bytes, int]:
    """The rows [H, bytes of a row] in the file's order; the first bytes of the packets; and where the pixels end."""
    size = layout.row * layout.height
    if layout.runs:
        pixels, heads, end = tgapackets.unpack(data, layout.offset, layout.width * layout.height, layout.pixel)
        return pixels.reshape(layout.height, layout.row), heads, end
    if len(data) - layout.offset < size:
        raise UnreadableImageError(f"a TGA file that is cut short: {len(data) - layout.offset} of {size} bytes")
    rows = np.frombuffer(data, np.uint8, size, layout.offset).reshape(layout.height, layout.row)
    return rows, b"", layout.offset + size


def _renamed(layout: Layout, mode: str) -> Layout:
    return Layout(**(vars(layout) | {"mode": mode}))


def _with_alpha(rows: Bytes, layout: Layout) -> Layout:
    """A fourth byte without a name is an alpha channel if it is not the same everywhere."""
    if layout.mode != "RGB" or layout.depth != 32:
        return layout
    fourth = rows.reshape(-1)[3::4]
    constant = fourth[0] in (0, 255) and (fourth == fourth[0]).all()
    return layout if constant else _renamed(layout, "RGBA")


def _spare(layout: Layout) -> int:
    """The bits of a pixel that belong to no channel."""
    if layout.mode != "RGB":
        return 0
    return {15: 0x8000, 16: 0x8000, 32: 0xFF000000}.get(layout.depth, 0)


def _constant(rows: Bytes, layout: Layout) -> int:
    """What these bits are: those of the first pixel."""
    return int.from_bytes(rows[0, : layout.pixel].tobytes(), "little") & _spare(layout)


def _turned(pixels: Bytes, layout: Layout) -> Bytes:
    """Pixels in the file's order from the picture's, and back."""
    pixels = pixels if layout.from_top else pixels[::-1]
    return pixels[:, ::-1] if layout.from_right else pixels


def _unpack(rows: Bytes, layout: Layout) -> Bytes:
    pixels = _turned(rows.reshape(layout.height, layout.width, layout.pixel), layout)
    if layout.kind != COLOUR:
        return np.ascontiguousarray(pixels)
    if layout.depth > 16:
        order = [2, 1, 0, 3] if layout.mode == "RGBA" else [2, 1, 0]
        return np.ascontiguousarray(pixels[:, :, order])
    values = np.ascontiguousarray(pixels).view("<u2")[:, :, 0]
    out = np.empty((layout.height, layout.width, len(layout.mode)), np.uint8)
    for channel in range(3):
        out[:, :, channel] = widened(values >> (10 - 5 * channel) & FIVE_BITS, FIVE_BITS)
    if layout.mode == "RGBA":
        out[:, :, 3] = np.where(values >> 15, 255, 0)
    return out


def _pack(pixels: Array, layout: Layout, spare: int) -> bytes:
    """The rows of a file; `spare`: the bits of each pixel that belong to no channel."""
    turned = _turned(pixels.astype(np.uint8, copy=False), layout)
    if layout.kind != COLOUR:
        return turned.tobytes()
    out = np.empty((layout.height, layout.width, layout.pixel), np.uint8)
    if layout.depth > 16:
        out[:, :, :3] = turned[:, :, 2::-1]
        if layout.depth == 32:
            out[:, :, 3] = turned[:, :, 3] if layout.mode == "RGBA" else spare >> 24
        return out.tobytes()
    values = out.view("<u2")[:, :, 0]
    values[:] = spare
    for channel in range(3):
        values |= narrowed(turned[:, :, channel], FIVE_BITS).astype(np.uint16) << np.uint16(10 - 5 * channel)
    if layout.mode == "RGBA":
        values |= (turned[:, :, 3].astype(np.uint16) >> 7) << 15
    return out.tobytes()


def _chunks(data: bytes, layout: Layout) -> tuple[Chunk, ...]:
    """The palette, the image's identification, and author and comments of the extension area."""
    chunks: list[Chunk] = []
    if layout.mode == "P":
        chunks.append(("PLTE", layout.palette[:, :3].tobytes()))
        if layout.alpha_palette:
            chunks.append(("tRNS", layout.palette[:, 3].tobytes()))
    name = data[HEADER.size : HEADER.size + data[0]].rstrip(b"\0 ")
    if name:
        chunks.append(text_chunk("Title", name))
    area = tgatail.extension(data)
    if area is not None:
        author, lines = tgatail.texts(data, area)
        comment = b"\n".join(lines).rstrip()
        chunks += [text_chunk("Author", author)] if author else []
        chunks += [text_chunk("Comment", comment)] if comment else []
    return tuple(chunks)
