"""The decimal samples of plain PNM files: read, and written again with the same white space between them.

White space is regular in most files: one text between the channels of a pixel, one between pixels, one at the end of a
line, and lines of some number of samples. This is what is kept; anything else is for the caller to keep whole.
"""

import ctypes
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import native
from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from .rawrows import blob, take_blob

__all__ = ["Spacing", "numbers", "parse_spacing", "read_spacing", "text", "write_spacing"]

Integers = npt.NDArray[np.int64]
Values = npt.NDArray[np.uint16]

SPACES = b" \t\n\v\f\r"
# A text between two numbers that is longer than this is no regular spacing.
MAX_SPACE = 16
FIRST, SECOND = re.compile(rb"(\s*)(\d+)"), re.compile(rb"\s*(\d+)\s*(\d+)")


@dataclass(frozen=True)
class Spacing:
    """The white space among the samples of a plain file.

    Attributes:
        pad: samples have blanks before them up to so many characters.
        lead: before the first sample.
        inner: behind a sample, by its channel, where its line goes on.
        outer: behind the last sample of a line.
        lines: [N, 2], samples of a line and number of such lines one after the other; the last line is not in it.
    """

    pad: int
    lead: bytes
    inner: tuple[bytes, ...]
    outer: bytes
    lines: Integers


@lru_cache(maxsize=1)
def _functions() -> tuple[Any, Any, Any]:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    read = native.function("dz_plain_read", number, pointer, size, size, number, pointer, pointer)
    space = native.function("dz_plain_space", size, pointer, size, size, *3 * (number,), pointer, size, pointer)
    write = native.function(
        "dz_plain_write", size, pointer, size, number, pointer, pointer, pointer, size, number, pointer, size
    )
    return read, space, write


def numbers(data: bytes, offset: int, count: int, *, bitmap: bool) -> tuple[Values, int]:
    """The first samples of a plain file, and where the last one ends.

    Args:
        data: of the file.
        offset: where its header ends.
        count: of samples.
        bitmap: whether each digit is a sample of its own.

    Raises:
        UnreadableImageError: there are fewer of them, or something else is among them.
        UnsupportedImageError: one is above 65535.
    """
    size = len(data) - offset
    if size < count:
        raise UnreadableImageError(f"a PNM file that is cut short: {count} samples in {size} bytes")
    source = np.frombuffer(data, np.uint8, size, offset)
    values = np.empty(count, np.uint16)
    found = np.zeros(1, np.int64)
    error = _functions()[0](source.ctypes.data, size, count, int(bitmap), values.ctypes.data, found.ctypes.data)
    place = offset + int(found[0])
    if error == -1:
        raise UnreadableImageError(f"a PNM file that is cut short: {size} bytes do not hold {count} samples")
    if error == -4:
        raise UnsupportedImageError(f"a PNM file with a sample above 65535 at byte {place}")
    if error:
        raise UnreadableImageError(f"a damaged PNM file: no number at byte {place}")
    return values, place


def parse_spacing(data: bytes, offset: int, end: int, values: Values, channels: int, *, bitmap: bool) -> Spacing | None:
    """The spacing of the samples that are read there; None if it is irregular."""
    distance = SECOND.match(data, offset, end)
    # The first two numbers say how far it is from one's end to the next one's; what of it is space between, is tried.
    step = distance.end(2) - distance.end(1) if distance and not bitmap else 0
    for pad in (0, *(step - space for space in range(3) if step - space > 1)):
        spacing = _padded_spacing(data, offset, end, len(values), channels, pad, bitmap=bitmap)
        if spacing is not None and text(values, spacing) == data[offset:end]:
            return spacing
    return None


def _padded_spacing(
    data: bytes, offset: int, end: int, count: int, channels: int, pad: int, *, bitmap: bool
) -> Spacing | None:
    """What the spacing is, if it is regular and blanks fill a number up to so many characters."""
    if pad > MAX_SPACE:
        return None
    source = np.frombuffer(data, np.uint8, end - offset, offset)
    lengths = np.empty(data.count(b"\n", offset, end), np.int32)
    places = np.empty(2 * (channels + 1), np.int64)
    lines = _functions()[1](
        source.ctypes.data, len(source), count, int(bitmap), pad, channels, lengths.ctypes.data, len(lengths),
        places.ctypes.data,
    )  # fmt: skip
    if lines < 0:
        return None
    body = data[offset:end]
    first = FIRST.match(body)
    lead = first[1] if first else b""
    width = len(first[2]) if first else 0
    while width < pad and lead.endswith(b" "):
        lead, width = lead[:-1], width + 1
    texts = [body[start : start + size] if start >= 0 else b"" for start, size in places.reshape(-1, 2).tolist()]
    if max(len(space) for space in (lead, *texts)) > MAX_SPACE:
        return None
    lengths = lengths[:lines]
    starts = np.flatnonzero(np.diff(lengths, prepend=-1))
    groups = np.stack([lengths[starts].astype(np.int64), np.diff(starts, append=len(lengths))], axis=1)
    return Spacing(pad, lead, tuple(texts[:-1]), texts[-1], groups)


def text(values: Values, spacing: Spacing) -> bytes:
    """Samples in decimal digits, with the white space before and between them."""
    texts = (*spacing.inner, spacing.outer)
    joined = np.frombuffer(b"".join(texts) or b" ", np.uint8)
    ends = np.cumsum([len(space) for space in texts], dtype=np.int64)
    source, lines = np.ascontiguousarray(values, np.uint16), np.ascontiguousarray(spacing.lines, np.int64)
    head = (source.ctypes.data, len(source), len(spacing.inner), joined.ctypes.data, ends.ctypes.data)
    tail = (lines.ctypes.data, len(lines), spacing.pad)
    out = np.empty(int(_functions()[2](*head, *tail, None, 0)), np.uint8)
    _functions()[2](*head, *tail, out.ctypes.data, len(out))
    return spacing.lead + out.tobytes()


def write_spacing(spacing: Spacing) -> bytes:
    """A spacing in a remainder."""
    parts = [varint(spacing.pad)]
    parts += [blob(space) for space in (spacing.lead, *spacing.inner, spacing.outer)]
    parts.append(varint(len(spacing.lines)))
    parts += [varint(number) for number in spacing.lines.reshape(-1).tolist()]
    return b"".join(parts)


def read_spacing(fields: Reader, channels: int, count: int) -> Spacing:
    """The spacing of a remainder, for so many samples.

    Raises:
        CorruptPayloadError: it makes no sense.
    """
    what = "the spacing of a PNM file"
    pad = fields.varint(what)
    texts = [take_blob(fields, what) for _ in range(channels + 2)]
    if pad > MAX_SPACE or any(len(space) > MAX_SPACE or space.strip(SPACES) for space in texts):
        raise CorruptPayloadError(f"{what}: texts of {[len(space) for space in texts]} bytes, not all white space")
    number = fields.varint(what)
    if 2 * number > fields.left:
        raise CorruptPayloadError(f"{what}: {number} kinds of lines in {fields.left} bytes")
    lines = [(fields.varint(what), fields.varint(what)) for _ in range(number)]
    total = sum(length * repeats for length, repeats in lines)
    if total >= count or any(not length or not repeats for length, repeats in lines):
        raise CorruptPayloadError(f"{what}: lines of {total} samples in all, of {count}")
    return Spacing(pad, texts[0], tuple(texts[1:-1]), texts[-1], np.array(lines, np.int64).reshape(-1, 2))
