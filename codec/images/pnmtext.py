"""The decimal samples of plain PNM files: read, and written again with the same white space between them.

White space is regular in most files: one text between the channels of a pixel, one between pixels, one at the end of a
line, and lines of some number of samples. This is what is kept; anything else is for the caller to keep whole.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import CorruptPayloadError, UnreadableImageError
from ..fields import Reader, varint
from .rawrows import Bytes, blob, take_blob

__all__ = ["Spacing", "numbers", "parse_spacing", "read_spacing", "text", "write_spacing"]

Integers = npt.NDArray[np.int64]

SPACES = b" \t\n\v\f\r"
MAX_DIGITS = 9
# A text between two numbers that is longer than this is no regular spacing.
MAX_SPACE = 16


@dataclass(frozen=True)
class Spacing:
    """The white space among the samples of a plain file.

    Attributes:
        lead: before the first sample.
        inner: behind a sample, by its channel, where its line goes on.
        outer: behind the last sample of a line.
        lines: (samples of a line, number of such lines one after the other); the last line is not in it.
    """

    lead: bytes
    inner: tuple[bytes, ...]
    outer: bytes
    lines: tuple[tuple[int, int], ...]


def numbers(data: bytes, offset: int, count: int, *, bitmap: bool) -> tuple[Integers, Integers, Integers]:
    """The first samples of a plain file: their values, and where they begin and end.

    Args:
        data: of the file.
        offset: where its header ends.
        count: of samples.
        bitmap: whether each digit is a sample of its own.

    Raises:
        UnreadableImageError: there are fewer of them, or something else is among them.
    """
    if len(data) - offset < count:
        raise UnreadableImageError(f"a PNM file that is cut short: {count} samples in {len(data) - offset} bytes")
    body = np.frombuffer(data, np.uint8, len(data) - offset, offset)
    digit = (body >= ord("0")) & (body <= ord("9"))
    starts = digit.copy()
    if not bitmap:
        starts[1:] &= ~digit[:-1]
    begin = np.flatnonzero(starts)[:count]
    if len(begin) < count:
        raise UnreadableImageError(f"a PNM file that is cut short: {len(begin)} of {count} samples")
    if bitmap:
        end = begin + 1
    else:
        behind = ~digit
        behind[1:] &= digit[:-1]
        behind[0] = False
        end = np.flatnonzero(behind)[:count]
        if len(end) < count:
            end = np.append(end, len(body))
    known = digit[: end[-1]] | np.isin(body[: end[-1]], np.frombuffer(SPACES, np.uint8))
    if not known.all():
        place = int(np.argmin(known))
        raise UnreadableImageError(f"a damaged PNM file: no number at byte {offset + place}")
    longest = int((end - begin).max())
    if longest > MAX_DIGITS:
        raise UnreadableImageError(f"a damaged PNM file: a number of {longest} digits")
    values = np.zeros(count, np.int64)
    for place in range(longest):
        inside = end - begin > place
        values[inside] = values[inside] * 10 + body[begin[inside] + place] - ord("0")
    return values, begin + offset, end + offset


def parse_spacing(data: bytes, offset: int, begin: Integers, end: Integers, channels: int) -> Spacing | None:
    """The spacing of samples that begin and end there; None if it is irregular (the caller compares)."""
    gaps = begin[1:] - end[:-1]
    if (len(gaps) and int(gaps.max()) > MAX_SPACE) or begin[0] - offset > MAX_SPACE:
        return None
    body = np.frombuffer(data, np.uint8)
    newlines = np.concatenate([[0], np.cumsum(body[: end[-1]] == ord("\n"))])
    breaks = newlines[begin[1:]] > newlines[end[:-1]]
    ends = np.flatnonzero(breaks)

    def between(places: Integers) -> bytes:
        return data[end[places[0]] : begin[places[0] + 1]] if len(places) else b""

    inside = np.flatnonzero(~breaks)
    inner = tuple(between(inside[inside % channels == channel]) for channel in range(channels))
    lines: list[tuple[int, int]] = []
    if len(ends):
        lengths = np.diff(ends, prepend=-1)
        starts = np.flatnonzero(np.diff(lengths, prepend=-1))
        repeats = np.diff(starts, append=len(lengths))
        lines = list(zip(lengths[starts].tolist(), repeats.tolist(), strict=True))
    return Spacing(data[offset : begin[0]], inner, between(ends), tuple(lines))


def text(values: Integers, spacing: Spacing) -> bytes:
    """Samples in decimal digits, with the white space before and between them."""
    count, channels = len(values), len(spacing.inner)
    # For each sample but the last one, which text stands behind it: by channel, or `channels` at a line's end.
    kinds = np.arange(count) % channels
    ends = np.cumsum(np.repeat(*np.array(spacing.lines, np.int64).reshape(-1, 2).T)) - 1
    kinds[ends] = channels
    kinds[-1] = channels + 1
    texts = (*spacing.inner, spacing.outer, b"")
    digits = np.ones(count, np.int64)
    power = 10
    while power <= int(values.max()):
        digits += values >= power
        power *= 10
    sizes = digits + np.array([len(space) for space in texts])[kinds]
    begin = np.cumsum(sizes) - sizes + len(spacing.lead)
    out: Bytes = np.zeros(int(sizes.sum()) + len(spacing.lead), np.uint8)
    out[: len(spacing.lead)] = np.frombuffer(spacing.lead, np.uint8)
    rest = values.copy()
    for place in range(int(digits.max())):
        inside = digits > place
        out[begin[inside] + digits[inside] - 1 - place] = rest[inside] % 10 + ord("0")
        rest //= 10
    for kind, space in enumerate(texts):
        behind = (begin + digits)[kinds == kind]
        for place, byte in enumerate(space):
            out[behind + place] = byte
    return out.tobytes()


def write_spacing(spacing: Spacing) -> bytes:
    """A spacing in a remainder."""
    parts = [blob(space) for space in (spacing.lead, *spacing.inner, spacing.outer)]
    parts.append(varint(len(spacing.lines)))
    parts += [varint(number) for line in spacing.lines for number in line]
    return b"".join(parts)


def read_spacing(fields: Reader, channels: int, count: int) -> Spacing:
    """The spacing of a remainder, for so many samples.

    Raises:
        CorruptPayloadError: it makes no sense.
    """
    what = "the spacing of a PNM file"
    texts = [take_blob(fields, what) for _ in range(channels + 2)]
    if any(len(space) > MAX_SPACE or space.strip(SPACES) for space in texts):
        raise CorruptPayloadError(f"{what}: texts of {[len(space) for space in texts]} bytes, not all white space")
    number = fields.varint(what)
    if 2 * number > fields.left:
        raise CorruptPayloadError(f"{what}: {number} kinds of lines in {fields.left} bytes")
    lines = tuple((fields.varint(what), fields.varint(what)) for _ in range(number))
    total = sum(length * repeats for length, repeats in lines)
    if total >= count or any(not length or not repeats for length, repeats in lines):
        raise CorruptPayloadError(f"{what}: lines of {total} samples in all, of {count}")
    return Spacing(texts[0], tuple(texts[1:-1]), texts[-1], lines)
