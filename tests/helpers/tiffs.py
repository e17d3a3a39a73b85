"""TIFF files for the tests: a builder of our own, and files with every kind of layout and tag."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from densezip.codec.images.picture import Picture
from densezip.codec.images.tiff import tiff
from PIL import Image
from samples import MODES, array, file_of, picture

__all__ = [
    "ASCII",
    "BYTE",
    "LAYOUTS",
    "LIMIT",
    "LONG",
    "RATIONAL",
    "SHORT",
    "TAGS",
    "UNDEFINED",
    "Tag",
    "again",
    "build",
    "directory",
    "file",
    "files",
    "picture_of",
    "raw",
    "with_directories",
]

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}
LETTERS = {3: "H", 4: "I", 5: "I", 16: "Q"}

Tag = tuple[int, int, Any]


def directory(tags: list[Tag], position: int, order: str = "<", big: bool = False) -> bytes:
    """A directory at `position` with its values behind it; a tag is (number, type, bytes or numbers)."""
    room = 8 if big else 4
    values_at = position + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    entries, values = struct.pack(order + ("Q" if big else "H"), len(tags)), b""
    for tag, kind, content in sorted(tags, key=lambda item: item[0]):
        body = content
        if not isinstance(content, bytes):
            body = struct.pack(f"{order}{len(content)}{LETTERS[kind]}", *content)
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(body) // SIZES[kind])
        if len(body) <= room:
            entries += body.ljust(room, b"\0")
        else:
            entries += struct.pack(order + ("Q" if big else "I"), values_at + len(values))
            values += body + bytes(len(body) % 2)
    return entries + bytes(room) + values


def packed(samples: npt.NDArray[Any], bits: int, order: str) -> bytes:
    """Rows of samples, [rows, columns, channels], each filled up to whole bytes."""
    if bits == 16:
        return samples.astype(order + "u2").tobytes()
    rows = b""
    for row in samples:
        text = "".join(f"{int(value):0{bits}b}" for value in row.reshape(-1))
        text += "0" * (-len(text) % 8)
        rows += bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    return rows


def build(
    samples: npt.NDArray[Any],
    *,
    bits: int = 8,
    photometric: int | None = None,
    order: str = "<",
    big: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int | None = None,
    planar: int = 1,
    deflated: bool = False,
    coder: Callable[[bytes], bytes] = zlib.compress,
    predictor: int = 1,
    ahead: bool = False,
    tags: tuple[Tag, ...] = (),
    gap: bytes = b"",
    behind: bytes = b"",
    compression: int | None = None,
) -> bytes:
    """A TIFF file of raw samples [H, W, C].

    Args:
        samples: as they are to stand in the file.
        bits: of a sample.
        photometric: by default RGB for three channels or more, else 1.
        order: of the bytes.
        big: BigTIFF.
        tile: rows and columns of tiles, instead of strips; padded with 7.
        rows: in a strip.
        planar: 2 for planes.
        deflated: compress.
        coder: what compresses, by default to a zlib stream.
        predictor: 2 for differences.
        ahead: the directory before the samples.
        tags: beside those that are needed, or instead of them; a tag without content is left out.
        gap: bytes before each strip or tile.
        behind: bytes at the end.
        compression: what the tag says, if not the truth.
    """
    height, width, channels = samples.shape
    down, across = tile or (rows or height, width)
    parts: list[bytes] = []
    for plane in range(channels) if planar == 2 else (slice(None),):
        for top in range(0, height, down):
            for left in range(0, width, across):
                part = samples[top : top + down, left : left + across, plane].reshape(
                    min(down, height - top), min(across, width - left), -1
                )
                if tile:
                    fill = ((0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0))
                    part = np.pad(part, fill, constant_values=7 % 2**bits)
                if predictor == 2:
                    part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
                stream = packed(part, bits, order)
                parts.append(coder(stream) if deflated else stream)
    kind = LONG8 if big else LONG
    head = 16 if big else 8
    kept: dict[int, Tag] = {
        256: (256, LONG, [width]), 257: (257, LONG, [height]), 258: (258, SHORT, [bits] * channels),
        259: (259, SHORT, [compression or (8 if deflated else 1)]),
        262: (262, SHORT, [(2 if channels > 2 else 1) if photometric is None else photometric]),
        277: (277, SHORT, [channels]), 284: (284, SHORT, [planar]),
    }  # fmt: skip
    if channels in (2, 4):
        kept[338] = (338, SHORT, [2])
    if predictor > 1:
        kept[317] = (317, SHORT, [predictor])
    if tile:
        kept[322], kept[323] = (322, LONG, [across]), (323, LONG, [down])
    else:
        kept[278] = (278, LONG, [down])
    where, lengths = (324, 325) if tile else (273, 279)
    kept[lengths] = (lengths, kind, [len(stream) for stream in parts])
    kept[where] = (where, kind, [0] * len(parts))
    kept |= {tag[0]: tag for tag in tags}
    kept = {number: tag for number, tag in kept.items() if tag[2] is not None}

    start = head + (len(directory(list(kept.values()), head, order, big)) if ahead else 0)
    offsets, body = [], b""
    for stream in parts:
        body += gap
        offsets.append(start + len(body))
        body += stream
    body += bytes(len(body) % 2)
    if where in kept and not any(tag[0] == where for tag in tags):
        kept[where] = (where, kind, offsets)
    position = head if ahead else start + len(body)
    middle = directory(list(kept.values()), position, order, big)
    return file(middle + body if ahead else body + middle, position, order, big) + behind


def file(body: bytes, position: int, order: str = "<", big: bool = False) -> bytes:
    """A header that says where the first directory is, and what follows."""
    mark = b"II" if order == "<" else b"MM"
    return (
        mark
        + (struct.pack(order + "HHHQ", 43, 8, 0, position) if big else struct.pack(order + "HI", 42, position))
        + body
    )


LIMIT = 2**20


def raw(channels: int, bits: int, height: int = 23, width: int = 31) -> npt.NDArray[Any]:
    samples = array(channels, "u2" if bits == 16 else "u1", height, width)
    wanted: npt.NDArray[Any] = samples >> 3 & 2**bits - 1 if bits < 8 else samples
    return wanted


def picture_of(data: bytes) -> Picture:
    return tiff.read(data, LIMIT)[0]


def again(data: bytes) -> bytes:
    """The file from its pixels and its remainder."""
    found = picture_of(data)
    split = tiff.split(data, found)
    assert split is not None
    assert split.exact
    return tiff.join(replace(found, chunks=()), split.remainder)


LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rows": 4},
    "tiles": {"tile": (16, 16)},
    "planes": {"planar": 2, "rows": 5},
    "planes of tiles": {"planar": 2, "tile": (16, 16)},
    "directory first": {"ahead": True, "rows": 7},
    "gaps": {"rows": 7, "gap": b"gap", "behind": b"what follows the end"},
}


TAGS: tuple[Tag, ...] = (
    (269, ASCII, b"the document's name\0"),
    (270, ASCII, b"a hill\0"),
    (274, SHORT, [6]),
    (282, RATIONAL, [300, 1]),
    (283, RATIONAL, [300, 1]),
    (296, SHORT, [2]),
    (700, BYTE, b"<x:xmpmeta/>"),
    (33550, UNDEFINED, bytes(range(24))),
    (33723, UNDEFINED, b"IPTC" * 9),
    (34377, BYTE, b"8BIM" * 5),
    (34675, UNDEFINED, b"profile" * 20),
    (42112, ASCII, b"<GDALMetadata/>\0"),
    (50838, LONG, [12, 34]),
    (50839, BYTE, b"IJIJ" * 4),
)


def with_directories(order: str = "<", note: int = 37510, big: bool = False, **options: Any) -> bytes:
    """A file with every tag of `TAGS`, and EXIF, GPS and interoperability directories behind its end."""
    pointers: tuple[Tag, ...] = ((34665, LONG, [1]), (34853, LONG, [1]))
    size = len(build(array(3), order=order, big=big, tags=TAGS + pointers, **options))
    size += size % 2
    inner = directory([(1, ASCII, b"R98\0")], size, order, big)
    exif_at = size + len(inner)
    entries: list[Tag] = [(33434, RATIONAL, [1, 250]), (note, UNDEFINED, b"somebody's note"), (40965, LONG, [size])]
    exif = directory(entries, exif_at, order, big)
    gps_at = exif_at + len(exif)
    gps = directory([(1, ASCII, b"N\0"), (2, RATIONAL, [48, 1, 8, 1, 0, 1])], gps_at, order, big)
    pointers = ((34665, LONG, [exif_at]), (34853, LONG, [gps_at]))
    data = build(array(3), order=order, big=big, tags=TAGS + pointers, **options)
    return b"".join([data, bytes(size - len(data)), inner, exif, gps])


def files() -> dict[str, bytes]:
    found = {f"{mode} by Pillow": bytes(file_of(picture(mode), "TIFF")) for mode in MODES}
    found |= {f"{mode}, LZW": bytes(file_of(picture(mode), "TIFF", compression="tiff_lzw")) for mode in MODES}
    found["metadata"] = with_directories()
    found["big-endian metadata"] = with_directories(">", tile=(16, 16))
    found["metadata in BigTIFF"] = with_directories(">", big=True, rows=9, deflated=True)
    found["big"] = build(array(3, "u2"), bits=16, big=True, order=">", tile=(16, 32))
    found["bits"] = build(raw(1, 4), bits=4, photometric=0, rows=3, behind=b"behind")
    exif = Image.Exif()
    exif[274] = 3
    exif.get_ifd(34665)[37510] = b"a comment"
    found["LZW and EXIF"] = bytes(file_of(picture("RGB"), "TIFF", compression="tiff_lzw", exif=exif))
    return found
