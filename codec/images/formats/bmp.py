"""BMP: rows of samples of 1 to 32 bits behind a header that says everything; the file comes back byte for byte.

Source: Microsoft, "Bitmap Storage" (BITMAPCOREHEADER, BITMAPINFOHEADER, BITMAPV4HEADER, BITMAPV5HEADER), and the OS/2
headers of 16 and 64 bytes. Run-length coded pixels, and a JPEG or PNG file inside, are not coded.

Remainder: the shape of the head (varints: preset, or 17 and its four numbers; flags and the numbers they announce), a
patch of the head that this shape implies, the bytes between it and the rows, the bits of a pixel that belong to no
channel, a patch of the rows, and the bytes behind them.
"""

import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import varint
from ..limits import check_pixels
from ..modes import Chunk
from ..picture import Array, Picture
from ..split import BEFORE, BEHIND, PADDING, Split
from .bmphead import (
    ALPHA_BITFIELDS,
    BITFIELDS,
    COLOUR_SPACE,
    CORE,
    EMBEDDED,
    FILE_HEADER,
    HEADERS,
    INFO,
    JPEG,
    MASKS,
    MAX_FIELD,
    PAD_8,
    PNG,
    PROFILE,
    RGB,
    RLE4,
    RLE8,
    SMALLEST_MASKS,
    V3,
    V5,
    Shape,
    read_shape,
    row_stride,
    take_head,
    unheld,
    usual_head,
    write_shape,
)  # fmt: skip
from .chunks import icc_chunk
from .rawrows import Bytes, narrowed, pack_bits, patch, patched, reader, remaking, skip_patch, unpack_bits, widened

__all__ = ["beyond", "join", "read", "skeleton", "split"]

OS2 = (16, 64)
# So many pixels of any depth below 32 bits leave room in their row.
SKELETON_WIDTH = 3
REFUSED = {
    RLE8: "that is run-length coded",
    RLE4: "that is run-length coded",
    JPEG: "with a JPEG file inside",
    PNG: "with a PNG file inside",
}


@dataclass(frozen=True)
class Layout:
    """How the pixels lie in a file.

    Attributes:
        shape: of the head.
        width: in pixels.
        height: in pixels.
        palette: [N, 3], red, green, blue; empty without one.
        masks: of red, green, blue and alpha in a pixel of 16 or 32 bits; 0 for none.
        mode: of the picture.
        sample_bits: of its samples.
    """

    shape: Shape
    width: int
    height: int
    palette: Bytes
    masks: tuple[int, ...]
    mode: str
    sample_bits: int

    @property
    def row(self) -> int:
        """Bytes of a row without its padding."""
        return -(-self.width * self.shape.bits // 8)

    @property
    def stride(self) -> int:
        """Bytes of a row."""
        return -(-self.width * self.shape.bits // 32) * 4

    @property
    def spare(self) -> int:
        """The bits of a pixel that belong to no channel."""
        if self.shape.bits not in (16, 32):
            return 0
        every: int = 2**self.shape.bits - 1
        return every & ~(self.masks[0] | self.masks[1] | self.masks[2] | self.masks[3])


def read(data: bytes, max_pixels: int) -> Picture:
    """The pixels and metadata of a BMP file.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: pixels that are not coded.
        LimitError: more than `max_pixels` pixels.
    """
    layout = _parse(data, max_pixels)
    return Picture(_unpack(_rows(data, layout), layout), layout.mode, layout.sample_bits, _chunks(data, layout))


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a BMP file but its pixels: the file comes back byte for byte."""
    layout = _parse(data, picture.pixels.size)
    shape = layout.shape
    end = shape.offset + layout.stride * layout.height - shape.short
    rows = _rows(data, layout)
    spare = _constant(rows, layout)
    expected = _pack(picture.pixels, layout, spare)
    remainder = b"".join(
        [
            write_shape(shape),
            patch(data[: shape.known], usual_head(shape, layout.width, layout.height)),
            data[shape.known : shape.offset],
            varint(spare),
            patch(memoryview(data)[shape.offset : end], memoryview(expected)[: end - shape.offset]),
            data[end:],
        ]
    )
    return Split(remainder, exact=True)


@remaking("BMP")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A BMP file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    height, width = picture.pixels.shape[:2]
    fields = reader(remainder)
    shape = read_shape(fields)
    if max(height, width) > MAX_FIELD:
        raise CorruptPayloadError(f"{width}x{height} pixels in a BMP file")
    head = take_head(fields, shape, width, height)
    # Whether four bytes hold an alpha channel is not said by every head: the mode says it.
    layout = _layout(head, shape, alpha=picture.mode in ("RGBA", "RGBA;16"))
    if (layout.width, layout.height, layout.mode, layout.shape) != (width, height, picture.mode, shape):
        raise CorruptPayloadError(
            f"a BMP file of {layout.width}x{layout.height}, {layout.mode}, around a picture of "
            f"{width}x{height}, {picture.mode}"
        )
    spare = fields.varint("spare bits")
    if spare & ~layout.spare:
        raise CorruptPayloadError(f"spare bits {spare:#x} of {layout.spare:#x}")
    if layout.mode == "P" or layout.shape.bits < 8:
        _check_range(picture.pixels, layout)
    rows = _pack(picture.pixels, layout, spare)
    rows = patched(rows[: len(rows) - shape.short], fields, "the rows of a BMP file")
    return b"".join([head, rows, fields.take(fields.left, "the tail")])


@remaking("BMP")
def skeleton(remainder: bytes) -> bytes:
    """A BMP file of three pixels with the metadata of the file of a remainder."""
    fields = reader(remainder)
    shape = replace(read_shape(fields), short=0)
    head = take_head(fields, shape, SKELETON_WIDTH, 1)
    fields.varint("spare bits")
    row = bytearray(row_stride(SKELETON_WIDTH, shape.bits))
    if skip_patch(fields, "the rows"):
        # Something in the rows that is no pixel: the last pixel of 16 and 32 bits is unlike the first, too.
        first = 2 * shape.bits // 8 if shape.bits in (16, 32) else -1
        row[first:] = b"\xff" * len(row[first:])
    return b"".join([head, row, fields.take(fields.left, "the tail")])


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    layout = _parse(data, MAX_FIELD**2)
    shape = layout.shape
    end = shape.offset + layout.stride * layout.height - shape.short
    names = list(unheld(data, shape, layout.width, layout.height, layout.palette.tobytes()))
    rows = _rows(data, layout)
    if _pack(_unpack(rows, layout), layout, _constant(rows, layout)) != rows.tobytes():
        names.append(PADDING)
    start, size = _profile(data, shape)
    if any(data[shape.meant : min(shape.offset, start)]) or any(data[max(start + size, shape.meant) : shape.offset]):
        names.append(BEFORE)
    behind = data[end : max(start, end)] or data[max(start + size, end) :]
    return (*names, BEHIND) if behind else tuple(names)


def _parse(data: bytes, max_pixels: int) -> Layout:
    if len(data) < FILE_HEADER + 4 or data[:2] != b"BM":
        raise UnreadableImageError(f"a damaged BMP file, or one that is cut short: {len(data)} bytes")
    offset, header = struct.unpack_from("<II", data, 10)
    if header not in HEADERS:
        raise UnreadableImageError(f"a damaged BMP file: a header of {header} bytes")
    if not FILE_HEADER + header <= offset <= len(data):
        raise UnreadableImageError(f"a damaged BMP file: pixels at byte {offset} of {len(data)}")
    width, height, bits, compression = _size(data, header)
    if not 0 < width <= MAX_FIELD or not 0 < abs(height) <= MAX_FIELD:
        raise UnreadableImageError(f"a damaged BMP file: {width}x{height} pixels")
    check_pixels(width, abs(height), max_pixels)
    if header in OS2 and compression:
        raise UnsupportedImageError(f"an OS/2 bitmap of compression {compression}")
    if compression in REFUSED:
        raise UnsupportedImageError(f"a BMP file {REFUSED[compression]}")
    if compression not in (RGB, BITFIELDS, ALPHA_BITFIELDS):
        raise UnreadableImageError(f"a damaged BMP file: compression {compression}")
    if bits not in (1, 2, 4, 8, 16, 24, 32) or (compression and bits not in (16, 32)):
        raise UnsupportedImageError(f"a BMP file of {bits} bits per pixel, compression {compression}")
    stride = row_stride(width, bits)
    short = max(0, offset + stride * abs(height) - len(data))
    if short > stride - -(-width * bits // 8):
        raise UnreadableImageError(
            f"a BMP file that is cut short: {len(data) - offset} of {stride * abs(height)} bytes of pixels"
        )
    profile = 0
    end = offset + stride * abs(height) - short
    if header == V5 and data[COLOUR_SPACE : COLOUR_SPACE + 4] == EMBEDDED:
        start = FILE_HEADER + struct.unpack_from("<I", data, PROFILE)[0]
        profile = start - end + 1 if end <= start <= len(data) else 0
    shape = Shape(header, bits, compression, offset, height < 0, short, profile)
    layout = _layout(data, shape, alpha=False)
    if bits == 32 and layout.spare == PAD_8 and not compression and layout.mode == "RGB":
        # The fourth byte has no name, but some writers keep an alpha channel in it.
        fourth = _rows(data, layout).reshape(-1)[3::4]
        if fourth[0] not in (0, 255) or (fourth != fourth[0]).any():
            layout = _layout(data, shape, alpha=True)
    return layout


def _size(head: bytes, header: int) -> tuple[int, int, int, int]:
    """Width, height, bits per pixel and compression."""
    if len(head) < FILE_HEADER + min(header, INFO):
        raise UnreadableImageError(f"a BMP file that is cut short: {len(head)} bytes")
    if header == CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
        return width, height, bits, RGB
    width, height, _, bits = struct.unpack_from("<iiHH", head, 18)
    return width, height, bits, struct.unpack_from("<I", head, 30)[0] if header > 16 else RGB


def _layout(head: bytes, shape: Shape, *, alpha: bool) -> Layout:
    """How the pixels lie; `alpha`: the fourth byte that a head of 32 bits does not name is an alpha channel."""
    width, height, bits, compression = _size(head, shape.header)
    named = Shape(shape.header, bits, compression, shape.offset, height < 0, shape.short, shape.profile)
    palette = _palette(head, named) if bits <= 8 else np.zeros((0, 3), np.uint8)
    masks = _masks(head, named)
    if alpha and masks == SMALLEST_MASKS[32] and bits == 32 and not compression:
        masks = (*masks[:3], PAD_8)
    mode, sample_bits = _mode(bits, palette, masks)
    return Layout(named, width, abs(height), palette, masks, mode, sample_bits)


def _palette(head: bytes, shape: Shape) -> Bytes:
    """The colours that a pixel can have, [2^bits, 3]; those that the file leaves out are black."""
    out = np.zeros((2**shape.bits, 3), np.uint8)
    step = 3 if shape.header == CORE else 4
    used = struct.unpack_from("<I", head, 46)[0] if shape.header >= INFO else 0
    start = FILE_HEADER + shape.header
    count = min(used or 2**shape.bits, 2**shape.bits, (shape.offset - start) // step, (len(head) - start) // step)
    if count > 0:
        entries = np.frombuffer(head, np.uint8, count * step, start).reshape(count, step)
        out[:count] = entries[:, 2::-1]
    return out


def _masks(head: bytes, shape: Shape) -> tuple[int, ...]:
    if shape.bits not in (16, 32):
        return (0, 0, 0, 0)
    if not shape.compression:
        return SMALLEST_MASKS[shape.bits]
    count = 4 if shape.header >= V3 or shape.compression == ALPHA_BITFIELDS else 3
    if min(shape.offset, len(head)) < MASKS + 4 * count:
        raise UnreadableImageError("a damaged BMP file: no room for its bit masks")
    masks = (*struct.unpack_from(f"<{count}I", head, MASKS), 0)[:4]
    together = 0
    for index, mask in enumerate(masks):
        low = mask & -mask
        if (not mask and index < 3) or mask >= 2**shape.bits or mask & together or (mask + low) & mask:
            raise UnsupportedImageError(f"a BMP file with the bit masks {[hex(mask) for mask in masks]}")
        if mask.bit_count() > 16:
            raise UnsupportedImageError(f"a BMP file of {mask.bit_count()} bits per sample")
        together |= mask
    return masks


def _mode(bits: int, palette: Bytes, masks: tuple[int, ...]) -> tuple[str, int]:
    if bits <= 8:
        if bits == 1 and palette.tolist() == [[0] * 3, [255] * 3]:
            return "1", 1
        if bits == 8 and np.array_equal(palette, np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)):
            return "L", 8
        return "P", bits
    deep = ";16" if max(mask.bit_count() for mask in masks) > 8 else ""
    return ("RGBA" if masks[3] else "RGB") + deep, 16 if deep else 8


def _rows(data: bytes, layout: Layout) -> Bytes:
    """The rows with their padding, [H, stride], in the file's order."""
    size = layout.stride * layout.height
    raster = memoryview(data)[layout.shape.offset : layout.shape.offset + size]
    if layout.shape.short:
        raster = memoryview(bytes(raster) + bytes(layout.shape.short))
    return np.frombuffer(raster, np.uint8).reshape(layout.height, layout.stride)


def _constant(rows: Bytes, layout: Layout) -> int:
    """What the bits of a pixel are that belong to no channel: those of the first."""
    if not layout.spare:
        return 0
    return int(rows[0, : layout.shape.bits // 8].view(f"<u{layout.shape.bits // 8}")[0]) & layout.spare


def _unpack(rows: Bytes, layout: Layout) -> Array:
    bits = layout.shape.bits
    if not layout.shape.top_down:
        rows = rows[::-1]
    if bits <= 8:
        return np.ascontiguousarray(unpack_bits(rows, layout.width, bits))[:, :, None]
    if bits == 24:
        return np.ascontiguousarray(rows[:, : layout.row].reshape(layout.height, layout.width, 3)[:, :, ::-1])
    values = rows[:, : layout.row].view(f"<u{bits // 8}")
    channels = [mask for mask in layout.masks if mask]
    out: Array = np.empty((layout.height, layout.width, len(channels)), np.uint16 if layout.sample_bits > 8 else "u1")
    for index, mask in enumerate(channels):
        low = mask & -mask
        samples = (values & values.dtype.type(mask)) >> values.dtype.type(low.bit_length() - 1)
        # A channel of fewer bits than the widest one is brought to the same range.
        out[:, :, index] = _to_range(samples, mask // low, deep=layout.sample_bits > 8)
    return out


def _to_range(samples: npt.NDArray[np.unsignedinteger], maximum: int, *, deep: bool) -> Array:
    if not deep:
        return samples.astype(np.uint8) if maximum == 255 else widened(samples, maximum)
    top = 65535
    table = (np.arange(maximum + 1, dtype=np.int64) * top + maximum // 2) // maximum
    out: Array = table.astype(np.uint16)[samples]
    return out


def _pack(pixels: Array, layout: Layout, spare: int) -> bytes:
    """The rows of a file, with their padding zero."""
    bits = layout.shape.bits
    out = np.zeros((layout.height, layout.stride), np.uint8)
    if bits <= 8:
        out[:, : layout.row] = pack_bits(pixels[:, :, 0].astype(np.uint8, copy=False), bits)
    elif bits == 24:
        out[:, : layout.row] = pixels[:, :, ::-1].reshape(layout.height, -1)
    else:
        values = out[:, : layout.row].view(f"<u{bits // 8}")
        kind = values.dtype.type
        values |= kind(spare)
        for index, mask in enumerate(mask for mask in layout.masks if mask):
            low = mask & -mask
            samples = narrowed(pixels[:, :, index], mask // low)
            values |= samples.astype(values.dtype) << kind(low.bit_length() - 1)
    return (out if layout.shape.top_down else out[::-1]).tobytes()


def _check_range(pixels: Array, layout: Layout) -> None:
    if (highest := int(pixels.max())) >= 2**layout.shape.bits:
        raise CorruptPayloadError(f"a sample of {highest} in {layout.shape.bits} bits")


def _chunks(data: bytes, layout: Layout) -> tuple[Chunk, ...]:
    """The palette, the resolution and the ICC profile."""
    chunks: list[Chunk] = []
    if layout.mode == "P":
        chunks.append(("PLTE", layout.palette.tobytes()))
    if layout.shape.header >= INFO:
        across, down = struct.unpack_from("<ii", data, 38)
        if across > 0 and down > 0:
            chunks.append(("pHYs", struct.pack(">IIB", across, down, 1)))
    start, size = _profile(data, layout.shape)
    if size:
        chunks.append(icc_chunk(data[start : start + size]))
    return tuple(chunks)


def _profile(data: bytes, shape: Shape) -> tuple[int, int]:
    """Where the ICC profile begins, and its bytes; the file's end if there is none."""
    if shape.header == V5 and data[COLOUR_SPACE : COLOUR_SPACE + 4] == EMBEDDED:
        start, size = struct.unpack_from("<II", data, PROFILE)
        if FILE_HEADER + start + size <= len(data):
            return FILE_HEADER + start, size
    return len(data), 0
