"""The entropy-coded bytes of a JPEG image to coefficients and back, by the compiled functions beside this file."""

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UnsupportedImageError
from ...native import function
from .frame import Frame, Scan

__all__ = ["Leftover", "Planes", "new_planes", "read_scan", "write_scan"]

Planes = list[NDArray[np.int16]]
"""Of each component its coefficients [rows, columns, 64], those of a block in rows of ascending frequency."""

LIBJPEG_RUNS, BROKEN_RUNS, SINGLE_RUNS = 1, 0, 2
ZEROS, ONES, ODD = 0, 1, 2
MOST_BREAKS = 2**16
# What one block may take, as in scanwrite.c.
SLACK = 2048
REASONS = {
    -1: "its coefficients end too early",
    -2: "a bit pattern that is no code",
    -3: "a coefficient out of range",
    -4: "a restart marker is missing",
    -5: f"runs of empty blocks broken more than {MOST_BREAKS} times",
    -6: "more bytes than it had",
}


class _Table(ctypes.Structure):
    """`Table` of scan.h, member for member."""

    _fields_ = (
        ("count", ctypes.c_uint8 * 16),
        ("symbol", ctypes.c_uint8 * 256),
        ("look", ctypes.c_uint16 * 1024),
        ("end", ctypes.c_int32 * 17),
        ("offset", ctypes.c_int32 * 17),
        ("code", ctypes.c_uint16 * 256),
        ("length", ctypes.c_uint8 * 256),
    )


class _Part(ctypes.Structure):
    _fields_ = (
        ("blocks", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("stride", "across", "down", "dc", "ac")),
    )


class _Scan(ctypes.Structure):
    _fields_ = (
        ("part", _Part * 4),
        *(
            (name, ctypes.c_int64)
            for name in ("parts", "columns", "rows", "interval", "first", "last", "high", "low", "progressive")
        ),
        ("table", ctypes.c_void_p),
        ("pad", ctypes.c_void_p),
        ("pads", ctypes.c_int64),
        ("padding", ctypes.c_int64),
        ("broken", ctypes.c_void_p),
        ("breaks", ctypes.c_int64),
        ("most_breaks", ctypes.c_int64),
        ("runs", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Leftover:
    """What a scan's bytes say beside its coefficients.

    Attributes:
        padding: `ONES` or `ZEROS` fill the last byte of each interval, or for `ODD` the bits of `pads`.
        pads: a byte for each interval.
        runs: how runs of empty blocks are broken: as libjpeg does, all of them, or before the blocks in `broken`.
        broken: ascending numbers of blocks.
        tail: bytes between the last coefficient and the next marker.
    """

    padding: int = ONES
    pads: bytes = b""
    runs: int = LIBJPEG_RUNS
    broken: tuple[int, ...] = ()
    tail: bytes = b""


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return {
        "table": function("dz_jpeg_table", number, pointer),
        "read": function("dz_jpeg_read_scan", number, pointer, pointer, number),
        "write": function("dz_jpeg_write_scan", number, pointer, pointer, number),
    }


def new_planes(frame: Frame) -> Planes:
    """Coefficients of zero for every block that the scans of a frame speak of."""
    planes = []
    for component in range(len(frame.components)):
        columns, rows = frame.blocks(component)
        planes.append(np.zeros((rows, columns, 64), np.int16))
    return planes


def grid(frame: Frame, scan: Scan) -> tuple[int, int]:
    """Columns and rows of MCUs of a scan."""
    if len(scan.parts) == 1:
        return frame.used(scan.parts[0].component)
    width, height = frame.mcu
    return -(-frame.width // width), -(-frame.height // height)


def intervals(frame: Frame, scan: Scan) -> int:
    """Number of a scan's intervals between restarts."""
    columns, rows = grid(frame, scan)
    return -(-columns * rows // scan.interval) if scan.interval else 1


class _Job:
    """A scan as the compiled functions take it, with the memory that it points to."""

    def __init__(self, frame: Frame, scan: Scan, planes: Planes) -> None:
        self.tables = (_Table * 8)()
        self.pads = np.zeros(intervals(frame, scan), np.uint8)
        self.broken = np.zeros(0, np.int64)
        self.scan = job = _Scan()
        for number, content in enumerate(scan.tables):
            if content:
                ctypes.memmove(self.tables[number].count, content[:16], 16)
                ctypes.memmove(self.tables[number].symbol, content[16:], len(content) - 16)
            if _functions()["table"](ctypes.addressof(self.tables[number])) and content:
                raise UnsupportedImageError("a Huffman table with more codes than their lengths allow")
        alone = len(scan.parts) == 1
        for number, part in enumerate(scan.parts):
            plane, component = planes[part.component], frame.components[part.component]
            job.part[number] = _Part(
                plane.ctypes.data,
                plane.shape[1],
                1 if alone else component.across,
                1 if alone else component.down,
                part.dc,
                part.ac,
            )
        job.parts = len(scan.parts)
        job.columns, job.rows = grid(frame, scan)
        job.interval, job.first, job.last, job.high, job.low = scan.interval, scan.first, scan.last, scan.high, scan.low
        job.progressive = frame.progressive
        job.table = ctypes.addressof(self.tables)
        job.pad, job.pads = self.pads.ctypes.data, self.pads.size

    def breaks(self, broken: NDArray[np.int64], used: int) -> None:
        """Give it a list of broken runs, of which the first `used` count."""
        self.broken = broken
        self.scan.broken, self.scan.breaks, self.scan.most_breaks = broken.ctypes.data, used, broken.size


def read_scan(frame: Frame, scan: Scan, data: bytes, planes: Planes) -> Leftover:
    """Read a scan's coefficients into `planes`, and check that they give the same bytes.

    Raises:
        UnsupportedImageError: they do not; the message says why.
    """
    coded = np.frombuffer(data, np.uint8)[scan.start : scan.end]
    job = _Job(frame, scan, planes)
    job.breaks(np.zeros(MOST_BREAKS, np.int64), 0)
    used = _functions()["read"](ctypes.addressof(job.scan), coded.ctypes.data, coded.size)
    if used < 0:
        raise UnsupportedImageError(REASONS[used])
    raw = job.scan
    pads = job.pads.tobytes() if raw.padding == ODD else b""
    broken = tuple(job.broken[: raw.breaks].tolist()) if raw.runs == BROKEN_RUNS else ()
    return Leftover(int(raw.padding), pads, int(raw.runs), broken, coded[used:].tobytes())


def write_scan(frame: Frame, scan: Scan, planes: Planes, left: Leftover, most: int) -> bytes:
    """The bytes of a scan, at most about `most` of them.

    Raises:
        UnsupportedImageError: they would be more, or a code is missing.
    """
    job = _Job(frame, scan, planes)
    if left.padding == ODD:
        if len(left.pads) != job.pads.size:
            raise UnsupportedImageError(f"{len(left.pads)} bytes of padding for {job.pads.size} intervals")
        job.pads[:] = np.frombuffer(left.pads, np.uint8)
    job.scan.padding, job.scan.runs = left.padding, left.runs
    job.breaks(np.array(left.broken, np.int64), len(left.broken))
    out = np.empty(most + SLACK, np.uint8)
    used = _functions()["write"](ctypes.addressof(job.scan), out.ctypes.data, out.size)
    if used < 0:
        raise UnsupportedImageError(REASONS[used])
    return out[:used].tobytes() + left.tail
