"""JPEG files of every kind, made in memory: by Pillow, and by hand where Pillow would not write them."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from densezip.codec.images.jpeg.frame import Frame, Part, Scan, follow
from densezip.codec.images.jpeg.habits import DICTIONARY
from densezip.codec.images.jpeg.scans import Leftover, Planes, new_planes, read_scan, write_scan
from PIL import Image

__all__ = ["KINDS", "USUAL", "jpeg", "rewritten", "scan_of"]

# Options of Pillow for files of many kinds.
KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "fine": {"quality": 98, "subsampling": 0},
    "coarse": {"quality": 8},
    "4:2:2": {"subsampling": 1, "optimize": True},
    "progressive": {"progressive": True},
    "progressive and fine": {"progressive": True, "quality": 97, "subsampling": 0},
    "restarts": {"restart_marker_blocks": 3},
    "restarts of rows": {"restart_marker_rows": 1, "progressive": True},
    "comment": {"comment": b"a comment", "dpi": (72, 72)},
}


def jpeg(mode: str = "RGB", height: int = 45, width: int = 61, seed: int = 0, **options: Any) -> bytes:
    """A JPEG file by Pillow: ramps, edges and noise."""
    rng = np.random.default_rng(seed)
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    y, x = np.mgrid[:height, :width]
    shapes = 60 * ((x // 13 + y // 9) % 2) + 2.0 * x
    samples = shapes[:, :, None] + y[:, :, None] * np.arange(channels) + rng.normal(0, 5, (height, width, channels))
    image = Image.fromarray(np.clip(samples, 0, 255).astype(np.uint8)[:, :, 0 if mode == "L" else slice(None)])
    assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if mode == "CMYK":
        image = Image.frombytes("CMYK", image.size, image.tobytes())
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def _usual_tables() -> tuple[bytes, ...]:
    """The tables of annex K, from the file of a picture that Pillow writes with them."""
    return follow(jpeg(), 0).scans[0].tables


USUAL = _usual_tables()
assert all(table in DICTIONARY for table in USUAL)


def scan_of(components: Sequence[int], interval: int = 0, **changes: Any) -> Scan:
    """A sequential scan of some components, with the tables of annex K."""
    parts = tuple(Part(component, min(component, 1), 4 + min(component, 1)) for component in components)
    return replace(Scan(parts, 0, 63, 0, 0, interval, USUAL, 0, 0), **changes)


def rewritten(
    data: bytes,
    scans: Sequence[tuple[Scan, Leftover]],
    sampling: Sequence[tuple[int, int]] | None = None,
    before: bytes = b"",
    between: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """A JPEG file whose coefficients are those of another one, or random ones, in other scans.

    Args:
        data: a file that Pillow wrote.
        scans: of the new one, and what else their bytes shall say.
        sampling: blocks of each component in an MCU, with new coefficients; None for those of the file.
        before: put before each scan's marker.
        between: put between the entropy-coded bytes of a scan and the next marker.
        behind: put behind the end.
    """
    frame = follow(data, 0)
    planes = new_planes(frame)
    for scan in frame.scans:
        read_scan(frame, scan, data, planes)
    progressive = any((scan.first, scan.last) != (0, 63) for scan, _ in scans)
    parts = frame.components
    if sampling is not None:
        parts = tuple(replace(part, across=x, down=y) for part, (x, y) in zip(parts, sampling, strict=True))
    made = Frame(frame.width, frame.height, progressive, parts, frame.steps, [scan for scan, _ in scans])
    if sampling is not None:
        planes = _random_planes(made)
    out = bytearray(b"\xff\xd8")
    for number, steps in enumerate(dict.fromkeys(frame.steps)):
        out += _segment(0xDB, bytes([number]) + bytes(steps))
    head = bytes([8]) + made.height.to_bytes(2, "big") + made.width.to_bytes(2, "big") + bytes([len(parts)])
    shape = b"".join(bytes([part.name, part.across << 4 | part.down, part.table]) for part in parts)
    out += _segment(0xC2 if progressive else 0xC0, head + shape)
    for scan, left in scans:
        for number, table in enumerate(scan.tables):
            if table:
                out += _segment(0xC4, bytes([number // 4 << 4 | number % 4]) + table)
        out += _segment(0xDD, scan.interval.to_bytes(2, "big")) + before
        names = b"".join(bytes([parts[p.component].name, p.dc << 4 | p.ac - 4]) for p in scan.parts)
        out += _segment(
            0xDA, bytes([len(scan.parts)]) + names + bytes([scan.first, scan.last, scan.high << 4 | scan.low])
        )
        out += write_scan(made, scan, _aligned(made, planes), left, 10**6) + between
    return bytes(out) + b"\xff\xd9" + behind


def _aligned(frame: Frame, planes: Planes) -> Planes:
    """Coefficients with as many blocks as the scans of a frame speak of."""
    found = new_planes(frame)
    for to, plane in zip(found, planes, strict=True):
        rows, columns = min(to.shape[0], plane.shape[0]), min(to.shape[1], plane.shape[1])
        to[:rows, :columns] = plane[:rows, :columns]
    return found


def _random_planes(frame: Frame) -> Planes:
    rng = np.random.default_rng(4)
    planes = new_planes(frame)
    for plane in planes:
        plane[:] = np.rint(rng.laplace(0, 1, plane.shape) * 8 / (1 + np.arange(64) // 8 + np.arange(64) % 8))
    return planes


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (2 + len(body)).to_bytes(2, "big") + body
