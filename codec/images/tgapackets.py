"""The run-length packets of TGA files: unpacked, and packed again in the same packets.

A packet's first byte says how many pixels it holds and whether these are all the same; with these bytes and the pixels
the packets are known. Encoders nearly all choose the same: what is alike is one packet, what is not is another.
"""

import numpy as np
import numpy.typing as npt

from ..errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ..fields import Reader, varint
from .rawrows import Bytes, blob, take_blob

__all__ = ["pack", "read_heads", "skip_heads", "unpack", "write_heads"]

RUN, LONGEST = 0x80, 128
# How the packets are known: a row is packed by itself, the whole picture at once, or by the first bytes as they are.
BY_ROW, AT_ONCE, LISTED = range(3)


def unpack(data: bytes, offset: int, count: int, pixel: int) -> tuple[Bytes, bytes, int]:
    """The pixels [count, bytes of a pixel], the first bytes of the packets, and where they end.

    Raises:
        UnreadableImageError: the data ends too early.
        UnsupportedImageError: a packet goes on behind the last pixel.
    """
    if count > LONGEST * (len(data) - offset):
        raise UnreadableImageError(f"a TGA file that is cut short: {count} pixels in {len(data) - offset} bytes")
    heads = bytearray()
    done, position, end = 0, offset, len(data)
    while done < count:
        if position >= end:
            raise UnreadableImageError(f"a TGA file that is cut short: {done} of {count} pixels")
        head = data[position]
        length = (head & 127) + 1
        heads.append(head)
        done += length
        position += 1 + (pixel if head >= RUN else length * pixel)
    if position > end:
        raise UnreadableImageError(f"a TGA file that is cut short: {end - offset} of {position - offset} bytes")
    if done > count:
        raise UnsupportedImageError(f"a TGA file with a packet of pixels up to {done} of {count}")
    packets, within, starts = _places(bytes(heads), pixel)
    source = offset + starts[packets] + 1 + within * pixel
    body = np.frombuffer(data, np.uint8)
    out = np.empty((count, pixel), np.uint8)
    for byte in range(pixel):
        out[:, byte] = body[source + byte]
    return out, bytes(heads), position


def pack(pixels: Bytes, heads: bytes) -> bytes:
    """The packets of pixels [count, bytes of a pixel]."""
    pixel = pixels.shape[1]
    packets, within, starts = _places(heads, pixel)
    first = np.frombuffer(heads, np.uint8)
    lengths = np.where(first >= RUN, 1, (first & 127).astype(np.int64) + 1) * pixel
    out = np.empty(len(first) + int(lengths.sum()), np.uint8)
    out[starts] = first
    target = starts[packets] + 1 + within * pixel
    for byte in range(pixel):
        out[target + byte] = pixels[:, byte]
    return out.tobytes()


def _places(heads: bytes, pixel: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each pixel its packet, and which one in its data it is; for each packet where it begins."""
    first = np.frombuffer(heads, np.uint8)
    counts = (first & 127).astype(np.int64) + 1
    sizes = 1 + np.where(first >= RUN, 1, counts) * pixel
    starts = np.cumsum(sizes) - sizes
    packets = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(packets)) - np.repeat(np.cumsum(counts) - counts, counts)
    within[first[packets] >= RUN] = 0
    return packets, within, starts


def usual_heads(pixels: Bytes, row: int) -> bytes:
    """The first bytes of the packets of a usual encoder that packs so many pixels at a time.

    Two alike pixels begin a packet of such, and end one of unlike pixels; both have up to 128.
    """
    count = len(pixels)
    changes = np.ones(count, bool)
    changes[1:] = (pixels[1:] != pixels[:-1]).any(axis=1)
    changes[::row] = True
    starts = np.flatnonzero(changes)
    lengths = np.diff(starts, append=count)
    # Stretches of single pixels become one entry: they are joined up to the end of a row.
    rows = starts // row
    single = lengths == 1
    begins = np.ones(len(starts), bool)
    begins[1:] = ~(single[1:] & single[:-1]) | (rows[1:] != rows[:-1])
    entries = np.flatnonzero(begins)
    sizes = np.add.reduceat(lengths, entries)
    out = bytearray()
    waiting = 0  # a pixel that is left of a run begins the stretch of unlike pixels behind it
    ends = (starts[entries] + sizes) % row == 0
    for length, alike, at_end in zip(sizes.tolist(), (~single[entries]).tolist(), ends.tolist(), strict=True):
        if alike:
            if waiting:
                out.append(waiting - 1)
            out += bytes([RUN | LONGEST - 1]) * (length // LONGEST)
            waiting = length % LONGEST
            if waiting > 1:
                out.append(RUN | waiting - 1)
                waiting = 0
        else:
            waiting += length
            out += bytes([LONGEST - 1]) * (waiting // LONGEST)
            waiting %= LONGEST
        if at_end and waiting:
            out.append(waiting - 1)
            waiting = 0
    if waiting:
        out.append(waiting - 1)
    return bytes(out)


def write_heads(heads: bytes, pixels: Bytes, width: int) -> bytes:
    """The first bytes of the packets in a remainder."""
    for kind, row in ((BY_ROW, width), (AT_ONCE, len(pixels))):
        if usual_heads(pixels, row) == heads:
            return varint(kind)
    return varint(LISTED) + blob(heads)


def read_heads(fields: Reader, pixels: Bytes, width: int) -> bytes:
    """What `write_heads` was given.

    Raises:
        CorruptPayloadError: the packets do not hold as many pixels.
    """
    kind = fields.varint("packets")
    if kind in (BY_ROW, AT_ONCE):
        return usual_heads(pixels, width if kind == BY_ROW else len(pixels))
    heads = take_blob(fields, "packets")
    held = int((np.frombuffer(heads, np.uint8) & 127).sum(dtype=np.int64)) + len(heads)
    if kind != LISTED or held != len(pixels):
        raise CorruptPayloadError(f"packets of kind {kind}, of {held} pixels, around {len(pixels)}")
    return heads


def skip_heads(fields: Reader) -> None:
    """Pass over what `write_heads` wrote."""
    if fields.varint("packets") == LISTED:
        take_blob(fields, "packets")
