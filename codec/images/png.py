"""PNG, as far as exactness needs it: every chunk of a file, and a writer for every depth, palette and chunk.

Pillow reads 16-bit colour PNG as 8-bit, drops the depth of 2- and 4-bit files and re-encodes the metadata; here the
chunks are kept as they are. `decode` (16-bit samples) leaves the pixels to libpng.

Source: PNG, third edition, W3C, sections 5 (chunks), 9 (filters) and 11.3 (ancillary chunks).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import UnreadableImageError, UnsupportedImageError
from .modes import CHANNELS, Chunk

__all__ = ["SIGNATURE", "PngFile", "decode16", "parse", "rebuild", "write"]

Array: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Bytes: TypeAlias = npt.NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
COLOUR_TYPE_OF_CHANNELS = {1: 0, 2: 4, 3: 2, 4: 6}
CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Chunks that must stand before PLTE (PNG, table 7).
BEFORE_PLTE = frozenset(["cHRM", "cICP", "gAMA", "iCCP", "mDCV", "cLLI", "sBIT", "sRGB"])
# Chunks that alter pixels: never stripped.
STRUCTURAL = frozenset(["PLTE", "tRNS"])
# Filtering works on this many bytes of samples at once; a few arrays of int16 of that size exist at a time.
FILTER_BLOCK = 2**20


@dataclass(frozen=True)
class PngFile:
    """What a PNG file holds besides its pixels.

    Attributes:
        width: in pixels.
        height: in pixels.
        depth: bits per sample.
        colour_type: as in IHDR.
        chunks: (name, data) of every chunk but IHDR, IDAT and IEND, in the file's order.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    chunks: tuple[Chunk, ...]


def parse(data: bytes) -> PngFile:
    """Check a PNG file's structure and every CRC in it.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: an animation.
    """
    view = memoryview(data)
    position = len(SIGNATURE)
    chunks: list[Chunk] = []
    header: tuple[int, int, int, int] | None = None
    pixels = False
    while True:
        if position + 12 > len(view):
            raise UnreadableImageError(f"a PNG file that is cut short after {len(view)} bytes")
        length = int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        end = position + 8 + length
        if end + 4 > len(view):
            raise UnreadableImageError(f"a PNG file that is cut short after {len(view)} bytes, in chunk {kind!r}")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise UnreadableImageError(f"a damaged PNG file: wrong CRC in chunk {kind!r} at byte {position}")
        body = view[position + 8 : end]
        if (kind == b"IHDR") != (header is None):
            raise UnreadableImageError(f"a damaged PNG file: chunk {kind!r} at byte {position}")
        if header is None:
            header = _header(body)
        elif kind == b"IEND":
            break
        elif kind == b"IDAT":
            pixels = True
        elif kind in (b"acTL", b"fcTL", b"fdAT"):
            raise UnsupportedImageError("an animated PNG: animations are not coded")
        elif kind[0] < ord("a") and kind != b"PLTE":
            raise UnsupportedImageError(f"a PNG file with an unknown critical chunk {kind!r}")
        elif not kind.isalpha():
            raise UnreadableImageError(f"a damaged PNG file: chunk {kind!r} at byte {position}")
        else:
            chunks.append((kind.decode("ascii"), bytes(body)))
        position = end + 4
    if not pixels:
        raise UnreadableImageError("a damaged PNG file: no pixels")
    return PngFile(*header, tuple(chunks))


def _header(body: memoryview) -> tuple[int, int, int, int]:
    if len(body) != 13:
        raise UnreadableImageError(f"a damaged PNG file: an IHDR of {len(body)} bytes")
    width, height, depth, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if not (width and height) or depth not in DEPTHS.get(colour, ()) or method or filtering or interlace > 1:
        raise UnreadableImageError(
            f"a damaged PNG file: {width}x{height} pixels, depth {depth}, colour type {colour}, "
            f"compression {method}, filter {filtering}, interlace {interlace}"
        )
    return width, height, depth, colour


def rebuild(data: bytes, keep: frozenset[str] = STRUCTURAL) -> bytes:
    """The same PNG file without the ancillary chunks that are not in `keep`."""
    view = memoryview(data)
    position = len(SIGNATURE)
    parts: list[bytes | memoryview] = [SIGNATURE]
    while position < len(view):
        length = int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        end = position + 12 + length
        if kind in (b"IHDR", b"IDAT", b"IEND") or kind.decode("latin-1") in keep:
            parts.append(view[position:end])
        position = end if kind != b"IEND" else len(view)
    return b"".join(parts)


def decode16(data: bytes) -> npt.NDArray[np.uint16]:
    """The samples of a 16-bit PNG file, [H, W, C].

    Raises:
        UnreadableImageError: damaged or cut short.
    """
    import imagecodecs

    # libpng expands tRNS to an alpha plane and is told nothing of gamma: it gets the pixels alone.
    try:
        samples = imagecodecs.png_decode(rebuild(data, frozenset()))
    except imagecodecs.PngError as error:
        raise UnreadableImageError(f"a damaged PNG file: {error}") from None
    if samples.dtype != np.uint16:
        raise UnreadableImageError(f"a 16-bit PNG file that decodes to {samples.dtype}")
    out: npt.NDArray[np.uint16] = samples.reshape(*samples.shape[:2], -1)
    return out


def write(pixels: Array, mode: str, bits: int, chunks: tuple[Chunk, ...] = (), level: int = 6) -> bytes:
    """Make a PNG file.

    Args:
        pixels: [H, W, C], uint8 or uint16.
        mode: one of `modes.MODES`.
        bits: bits per sample in the file; 2- and 4-bit grey samples stand in `pixels` scaled to 0..255.
        chunks: PLTE, tRNS and ancillary chunks, written as they are.
        level: of zlib.

    Returns:
        The bytes of the file. About 0.3 s a megapixel of RGB.
    """
    height, width = pixels.shape[:2]
    colour = 3 if mode == "P" else COLOUR_TYPE_OF_CHANNELS[CHANNELS[mode]]
    parts = [SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))]
    order = {"PLTE": 1}
    for name, data in sorted(chunks, key=lambda chunk: 0 if chunk[0] in BEFORE_PLTE else order.get(chunk[0], 2)):
        parts.append(_chunk(name.encode("ascii"), data))
    adaptive = bits >= 8 and mode != "P"
    strategy = zlib.Z_FILTERED if adaptive else zlib.Z_DEFAULT_STRATEGY
    deflater = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, strategy)
    row_bytes = -(-width * CHANNELS[mode] * bits // 8)
    rows = max(1, FILTER_BLOCK // row_bytes)
    above = np.zeros((1, row_bytes), np.uint8)
    for top in range(0, height, rows):
        raw = _row_bytes(pixels[top : top + rows], mode, bits)
        filtered = _filter(raw, above, max(1, CHANNELS[mode] * bits // 8), adaptive=adaptive)
        above = raw[-1:]
        parts.append(_chunk(b"IDAT", deflater.compress(filtered.tobytes())))
    parts += [_chunk(b"IDAT", deflater.flush()), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    if kind == b"IDAT" and not data:
        return b""
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))])


def _row_bytes(pixels: Array, mode: str, bits: int) -> Bytes:
    """Rows of samples as PNG packs them: [H, bytes of a row]."""
    height, width = pixels.shape[:2]
    if bits == 16:
        return pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    samples = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, -1)
    if bits == 8:
        return samples
    if mode == "L":
        samples = samples // np.uint8(255 // (2**bits - 1))
    per_byte = 8 // bits
    padded = np.zeros((height, -(-width // per_byte) * per_byte), np.uint8)
    padded[:, :width] = samples
    groups = padded.reshape(height, -1, per_byte)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    packed: Bytes = np.bitwise_or.reduce(groups << shifts, axis=2).astype(np.uint8)
    return packed


def _filter(rows: Bytes, above: Bytes, step: int, *, adaptive: bool) -> Bytes:
    """Prefix each row with its filter type; adaptive: the filter with the least sum of absolute values."""
    height, width = rows.shape
    out = np.zeros((height, 1 + width), np.uint8)
    if not adaptive:
        out[:, 1:] = rows
        return out
    up = np.concatenate([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    corner = np.zeros_like(rows)
    corner[:, step:] = up[:, :-step]
    best = np.full(height, np.iinfo(np.int64).max)
    for kind in range(5):
        filtered = rows - _prediction(kind, left, up, corner)
        cost = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        better = cost < best
        best[better] = cost[better]
        out[better, 0] = kind
        out[better, 1:] = filtered[better]
    return out


def _prediction(kind: int, left: Bytes, up: Bytes, corner: Bytes) -> Bytes:
    if kind == 0:
        return np.zeros_like(left)
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth: Bytes = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
    return paeth
