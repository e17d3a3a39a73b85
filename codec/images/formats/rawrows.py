"""Samples that lie uncompressed in a file, row after row: packed and unpacked, and what the rows hold besides them.

A file of such a format is a head, the rows, and a tail. The head says where and how the samples lie, so that a file can
be made again from its pixels and the bytes around them; bytes of the rows that the pixels do not fix (the padding of a
row, bits that belong to no channel) are kept as a patch of what a writer would put there: zeros.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import CorruptPayloadError, DensezipError, HeaderError
from ...fields import Reader, varint

__all__ = [
    "Bytes", "Samples", "blob", "narrowed", "pack_bits", "patch", "patched", "reader", "remaking", "skip_patch",
    "take_blob", "unpack_bits", "widened",
]  # fmt: skip

Bytes: TypeAlias = npt.NDArray[np.uint8]
Samples: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Runs of a patch that lie no further apart are one run: to tell them apart would take as many bytes.
JOINED_GAP = 2
# A run for less than so many bytes: all the differences take less room and time than the runs.
MANY_RUNS, FEW_RUNS = 16, 1000
SAME, DENSE = 0, 1


def unpack_bits(rows: Bytes, width: int, bits: int) -> Bytes:
    """Samples of 1, 2, 4 or 8 bits, the first in the highest bits of its byte: [H, bytes of a row] to [H, width]."""
    if bits == 8:
        return rows[:, :width]
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    samples = (rows[:, :, None] >> shifts) & np.uint8(2**bits - 1)
    return samples.reshape(len(rows), -1)[:, :width]


def pack_bits(samples: Bytes, bits: int) -> Bytes:
    """What `unpack_bits` unpacks, with zeros behind a row's last sample: [H, W] to [H, bytes of a row]."""
    if bits == 8:
        return samples
    if bits == 1:
        return np.packbits(samples, axis=1)
    height, width = samples.shape
    per_byte = 8 // bits
    out = np.zeros((height, -(-width // per_byte)), np.uint8)
    for place in range(per_byte):
        part = samples[:, place::per_byte]
        out[:, : part.shape[1]] |= part << np.uint8(8 - bits * (place + 1))
    return out


def widened(samples: npt.NDArray[np.integer], maximum: int) -> Samples:
    """Samples of 0..maximum to 0..255, or to 0..65535 if there are more than 256 values: the nearest one of each."""
    top = 255 if maximum <= 255 else 65535
    table = (np.arange(maximum + 1, dtype=np.int64) * top + maximum // 2) // maximum
    return _mapped(table, samples, small=top == 255)


def narrowed(samples: Samples, maximum: int) -> Samples:
    """What `widened` was given."""
    top = 255 if samples.dtype == np.uint8 else 65535
    table = (np.arange(top + 1, dtype=np.int64) * maximum + top // 2) // top
    return _mapped(table, samples, small=top == 255)


def _mapped(table: npt.NDArray[np.int64], samples: npt.NDArray[np.integer], *, small: bool) -> Samples:
    out: Samples = (table.astype(np.uint8) if small else table.astype(np.uint16))[samples]
    return out


def patch(actual: bytes | memoryview, expected: bytes | memoryview) -> bytes:
    """The bytes of `actual` that differ from those of `expected`, which is of the same length.

    Returns:
        varint: 0 if none differ; 1 if many do, then (varint) the length of all and for each byte the difference
        (exclusive or); else the number of runs plus 1: for each, varint: bytes since the last run, varint: length, and
        its bytes.
    """
    found, wanted = np.frombuffer(actual, np.uint8), np.frombuffer(expected, np.uint8)
    places = np.flatnonzero(found != wanted)
    if not len(places):
        return varint(SAME)
    breaks = np.flatnonzero(np.diff(places) > 1 + JOINED_GAP)
    if len(breaks) > max(len(found) // MANY_RUNS, FEW_RUNS):
        return varint(DENSE) + blob((found ^ wanted).tobytes())
    starts = places[np.concatenate([[0], breaks + 1])].tolist()
    ends = (places[np.concatenate([breaks, [len(places) - 1]])] + 1).tolist()
    parts = [varint(DENSE + len(starts))]
    position = 0
    for start, end in zip(starts, ends, strict=True):
        parts += [varint(start - position), varint(end - start), bytes(actual[start:end])]
        position = end
    return b"".join(parts)


def patched(expected: bytes, remainder: Reader, what: str) -> bytes:
    """`expected` with the next patch of a remainder in it.

    Raises:
        CorruptPayloadError: the patch reaches over the end.
    """
    runs = remainder.varint(what) - DENSE
    if runs < 0:
        return expected
    if not runs:
        differences = np.frombuffer(remainder.take(remainder.varint(what), what), np.uint8)
        if len(differences) != len(expected):
            raise CorruptPayloadError(f"{what}: {len(differences)} differences in {len(expected)} bytes")
        return (np.frombuffer(expected, np.uint8) ^ differences).tobytes()
    if runs > remainder.left:
        raise CorruptPayloadError(f"{what}: {runs} runs in {remainder.left} bytes")
    out = bytearray(expected)
    position = 0
    for _ in range(runs):
        position += remainder.varint(what)
        data = remainder.take(remainder.varint(what), what)
        if position + len(data) > len(out):
            raise CorruptPayloadError(f"{what}: byte {position + len(data)} of {len(out)} is patched")
        out[position : position + len(data)] = data
        position += len(data)
    return bytes(out)


def skip_patch(remainder: Reader, what: str) -> bool:
    """Pass over the next patch of a remainder; whether there is anything in it."""
    runs = remainder.varint(what) - DENSE
    if not runs:
        remainder.take(remainder.varint(what), what)
    for _ in range(runs):
        remainder.varint(what)
        remainder.take(remainder.varint(what), what)
    return runs >= 0


def blob(data: bytes | memoryview) -> bytes:
    """Bytes after their number."""
    return varint(len(data)) + bytes(data)


def reader(remainder: bytes) -> Reader:
    """A cursor over a remainder."""
    return Reader(memoryview(remainder), 0, HeaderError)


def take_blob(remainder: Reader, what: str) -> bytes:
    """The next `blob` of a remainder."""
    return bytes(remainder.take(remainder.varint(what), what))


F = TypeVar("F", bound=Callable[..., bytes])


def remaking(kind: str) -> Callable[[F], F]:
    """Make each refusal of a function that makes a file of a remainder a `CorruptPayloadError`.

    A remainder was made of a sound file: what its reader refuses now, a damaged .dz file says.
    """

    def wrap(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*arguments: object) -> bytes:
            try:
                return function(*arguments)
            except CorruptPayloadError:
                raise
            except DensezipError as error:
                raise CorruptPayloadError(f"what lies around the pixels of a {kind} file: {error}") from error

        return wrapped  # type: ignore[return-value]

    return wrap
