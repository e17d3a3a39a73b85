"""Samples of a TIFF file's strips and tiles: decoded and put together, and cut apart again."""

import lzma
import zlib
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ...errors import UnreadableImageError, UnsupportedImageError
from ..picture import Array
from .dirs import Tiff
from .encoders import habit_of
from .jpeg import decode_jpeg, tables
from .layout import (
    CCITT,
    CCITT_FAX_3,
    CCITT_FAX_4,
    JPEG,
    LZMA,
    LZW,
    NONE,
    OLD_ZIP,
    PACKBITS,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_OFFSETS,
    WEBP,
    ZIP,
    ZSTD,
    Layout,
)

__all__ = ["Block", "blocks", "decode", "from_picture", "gather", "interpret", "pack", "places", "raw_bytes", "unpack"]

# A segment's samples, [rows, columns, channels in it], padding included.
Block: TypeAlias = npt.NDArray[Any]

ZEROS, EDGE, BEFORE = 0, 1, 2
# Memory that an LZMA stream may ask for.
MAX_LZMA = 2**28
REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def places(tiff: Tiff, layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the segments are and how many bytes each has.

    Raises:
        UnreadableImageError: not as many as the layout calls for, or not all of them inside the file.
    """
    offsets = tiff.numbers(TILE_OFFSETS if layout.tiled else STRIP_OFFSETS)
    counts = tiff.numbers(TILE_COUNTS if layout.tiled else STRIP_COUNTS)
    wanted = layout.segments
    if not counts and wanted == 1 and layout.compression == NONE:
        counts = (raw_bytes(layout, 0),)
    if len(offsets) != wanted or len(counts) != wanted:
        raise UnreadableImageError(
            f"a damaged TIFF file: {len(offsets)} places and {len(counts)} lengths of its {wanted} strips or tiles"
        )
    for offset, count in zip(offsets, counts, strict=True):
        if offset + count > len(tiff.data):
            raise UnreadableImageError(
                f"a TIFF file that is cut short: {count} bytes of pixels at byte {offset} of {len(tiff.data)}"
            )
    return offsets, counts


def raw_bytes(layout: Layout, index: int) -> int:
    """Bytes of a segment when it is not compressed."""
    return layout.row_bytes * layout.box(index)[5]


def decode(stream: bytes, layout: Layout, index: int) -> bytes:
    """A segment's bytes before compression and after prediction.

    Args:
        stream: as it lies in the file.
        layout: the file's.
        index: which segment.

    Raises:
        UnreadableImageError: damaged, or cut short.
        UnsupportedImageError: a kind of LZW of before 1992, or lossy WebP.
    """
    wanted = raw_bytes(layout, index)
    if layout.reversed_bits:
        stream = stream.translate(REVERSED)
    try:
        raw = _decompress(stream, layout, index, wanted)
    except (UnreadableImageError, UnsupportedImageError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableImageError(
            f"a damaged TIFF file: strip or tile {index} is no stream of compression {layout.compression}"
        ) from error
    if len(raw) < wanted:
        raise UnreadableImageError(f"a damaged TIFF file: strip or tile {index} has {len(raw)} of {wanted} bytes")
    return raw[:wanted]


def _decompress(stream: bytes, layout: Layout, index: int, wanted: int) -> bytes:
    import imagecodecs

    kind = layout.compression
    if kind == NONE:
        return stream
    if kind in (ZIP, OLD_ZIP):
        return zlib.decompressobj().decompress(stream, wanted)
    if kind == LZMA:
        return lzma.LZMADecompressor(memlimit=MAX_LZMA).decompress(stream, wanted)
    if kind == LZW:
        if stream[:1] == b"\0" and stream[1:2] and stream[1] & 1:
            raise UnsupportedImageError("a TIFF file with LZW as it was before TIFF 6.0")
        return bytes(imagecodecs.lzw_decode(stream, out=wanted))
    if kind == PACKBITS:
        return bytes(imagecodecs.packbits_decode(stream, out=wanted))
    if kind == ZSTD:
        return bytes(imagecodecs.zstd_decode(stream[: _zstd_end(stream)], out=wanted))
    if kind == WEBP:
        if stream[:4] != b"RIFF" or stream[12:16] != b"VP8L":
            raise UnsupportedImageError("a TIFF file with lossy WebP in it")
        rows, width = layout.box(index)[5], layout.across
        # Behind a byte that is always the same, 14 bits each.
        size = int.from_bytes(stream[21:25], "little")
        if (size & 0x3FFF, size >> 14 & 0x3FFF) != (width - 1, rows - 1):
            raise UnreadableImageError(f"a damaged TIFF file: strip or tile {index} holds WebP of another size")
        return bytes(np.ascontiguousarray(imagecodecs.webp_decode(stream)).reshape(rows, width, layout.together))
    if kind in CCITT:
        rows = layout.box(index)[5]
        if kind == CCITT_FAX_4:
            bits = imagecodecs.ccittfax4_decode(stream, height=rows, width=layout.across)
        elif kind == CCITT_FAX_3:
            bits = imagecodecs.ccittfax3_decode(stream, height=rows, width=layout.across, t4options=layout.fax_options)
        else:
            bits = imagecodecs.ccittrle_decode(stream, height=rows, width=layout.across)
        raw = np.packbits(np.asarray(bits).reshape(rows, layout.across) != 0, axis=1).tobytes()
        # The decoder makes something of anything. What encodes to the same stream again is sound.
        if habit_of(raw, stream, layout) is None:
            raise UnsupportedImageError(
                f"a TIFF file whose {CCITT[kind]} data is damaged, or coded in an unusual way, in strip or tile {index}"
            )
        return raw
    raise UnsupportedImageError(f"a TIFF file with compression {kind}")


def _zstd_end(stream: bytes) -> int:
    """Where a Zstandard frame ends; what is behind it would be an error to its decoder.

    Source: RFC 8878, section 3.1.1.
    """
    descriptor = stream[4]
    at = 5 + (not descriptor & 32) + (0, 1, 2, 4)[descriptor & 3]
    at += (descriptor >> 5 & 1, 2, 4, 8)[descriptor >> 6]
    last = 0
    while not last and at + 3 <= len(stream):
        header = int.from_bytes(stream[at : at + 3], "little")
        last = header & 1
        at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
    return at + (4 if descriptor & 4 else 0)


def unpack(raw: bytes | memoryview, layout: Layout, index: int) -> Block:
    """A segment's samples from its bytes; prediction undone."""
    rows, bits = layout.box(index)[5], layout.bits
    samples: Block
    if layout.reversed_bits and layout.compression == NONE:
        raw = bytes(raw).translate(REVERSED)
    if bits == 16:
        samples = np.frombuffer(raw, layout.order + "u2").astype(np.uint16)
    else:
        samples = np.frombuffer(raw, np.uint8)
        if bits == 1:
            samples = np.unpackbits(samples)
        elif bits < 8:
            shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
            samples = samples[:, None] >> shifts & np.uint8(2**bits - 1)
    block = samples.reshape(rows, layout.padded, layout.together)
    if layout.predictor == 2:
        block = np.add.accumulate(block, axis=1, dtype=block.dtype)
    return block


def pack(block: Block, layout: Layout) -> bytes:
    """`unpack`, backwards; the bits of a byte are not reversed."""
    bits = layout.bits
    if layout.predictor == 2:
        block = np.concatenate([block[:, :1], block[:, 1:] - block[:, :-1]], axis=1)
    if bits == 16:
        return block.astype(layout.order + "u2").tobytes()
    if bits == 1:
        return np.packbits(block.reshape(-1)).tobytes()
    if bits < 8:
        parts = block.reshape(-1, 8 // bits)
        out = parts[:, 0]
        for column in range(1, 8 // bits):
            out = out << np.uint8(bits) | parts[:, column]
        return out.tobytes()
    return block.tobytes()


def gather(tiff: Tiff, layout: Layout) -> Array:
    """All of a file's samples as they are, [H, W, C].

    Raises:
        UnreadableImageError: damaged, or cut short.
        UnsupportedImageError: see `decode`.
    """
    offsets, counts = places(tiff, layout)
    out = cast(
        Array, np.empty((layout.height, layout.width, layout.channels), np.uint16 if layout.bits == 16 else np.uint8)
    )
    shared = tables(tiff) if layout.compression == JPEG else b""
    for index in range(layout.segments):
        plane, top, left, rows, columns, _ = layout.box(index)
        stream = tiff.data[offsets[index] : offsets[index] + counts[index]]
        if layout.compression == NONE:
            raw = stream[: raw_bytes(layout, index)]
        elif layout.compression == JPEG:
            raw = decode_jpeg(stream, shared, layout, index)
        else:
            raw = decode(stream, layout, index)
        if len(raw) < raw_bytes(layout, index):
            raise UnreadableImageError(
                f"a damaged TIFF file: strip or tile {index} has {len(raw)} of {raw_bytes(layout, index)} bytes"
            )
        block = unpack(raw, layout, index)[:rows, :columns]
        out[top : top + rows, left : left + columns, plane : plane + layout.together] = block
    return out


def interpret(samples: Array, layout: Layout) -> Array:
    """A file's samples as a picture's, where 0 is black, and grey of 2 and 4 bits goes to 255."""
    if layout.photometric == 3:
        return samples
    if layout.photometric == 0:
        samples = samples.copy()
        samples[:, :, 0] = 2**layout.bits - 1 - samples[:, :, 0]
    return samples * np.uint8(255 // (2**layout.bits - 1)) if layout.bits in (2, 4) else samples


def from_picture(pixels: Array, layout: Layout) -> Array:
    """`interpret`, backwards.

    Raises:
        ValueError: samples that no file of this layout gives.
    """
    top = 2**layout.bits - 1
    samples = pixels
    if layout.photometric != 3 and layout.bits in (2, 4):
        samples = pixels // np.uint8(255 // top)
    if layout.bits < 8 and samples.size and int(samples.max()) > top:
        raise ValueError(f"a sample of {int(samples.max())} in {layout.bits} bits")
    if layout.photometric == 0:
        samples = samples.copy()
        samples[:, :, 0] = top - samples[:, :, 0]
    return samples


def blocks(samples: Array, layout: Layout, padding: int) -> list[Block]:
    """The segments of a picture's samples.

    Args:
        samples: as the file has them.
        layout: the file's.
        padding: what stands right of the picture and below it: `ZEROS`; `EDGE`, its last column and row; `BEFORE`, what
            the segment before had there, as programs do that use one buffer for all.
    """
    out: list[Block] = []
    for index in range(layout.segments):
        plane, top, left, rows, columns, whole = layout.box(index)
        inside: Block = samples[top : top + rows, left : left + columns, plane : plane + layout.together]
        if (rows, columns) == (whole, layout.padded):
            out.append(inside)
        elif padding == EDGE:
            out.append(np.pad(inside, ((0, whole - rows), (0, layout.padded - columns), (0, 0)), mode="edge"))
        else:
            block: Block = np.zeros((whole, layout.padded, layout.together), samples.dtype)
            if padding == BEFORE and out and out[-1].shape == block.shape:
                block = out[-1].copy()
            block[:rows, :columns] = inside
            out.append(block)
    return out
