"""What of tags and EXIF a conversion does not hold is named."""

import struct
from collections.abc import Callable

import pytest
from densezip.codec.images.imagefile import read
from densezip.codec.images.imagewrite import convert
from densezip.codec.images.source import beyond, beyond_whole, take_apart
from samples import array, raw_png
from tiffs import ASCII, LONG, RATIONAL, SHORT, UNDEFINED, Tag, build, directory

LIMIT = 10**6
HIDDEN = b"what nobody looks for"
RESOLUTION = struct.pack(">IIB", 2835, 2835, 1)
UNKNOWN_TYPE = 99


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in array(3, height=4, width=5))
    made: bytes = raw_png(5, 4, 8, 2, rows, chunks)
    return made


def tiff(*tags: Tag) -> bytes:
    made: bytes = build(array(3, height=4, width=5), tags=tags)
    return made


def exif(*tags: Tag) -> bytes:
    made: bytes = b"II*\0\x08\0\0\0" + directory(list(tags), 8)
    return made


def retyped(data: bytes, tag: int, start: int | None = None) -> bytes:
    """A TIFF file; an entry of the directory at `start`, by default the first one, is of a type that there is not."""
    out = bytearray(data)
    (first,) = struct.unpack_from("<I", data, 4)
    start = first if start is None else start
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<H", out, entry + 2, UNKNOWN_TYPE)
    assert out != data
    return bytes(out)


def with_exif(*tags: Tag, unknown: int = 0) -> bytes:
    """A TIFF file with an EXIF directory behind its end; `unknown` is the tag of an entry of an unknown type."""
    start = len(tiff((34665, LONG, [1])))
    assert start % 2 == 0
    data = tiff((34665, LONG, [start])) + directory(list(tags), start)
    return retyped(data, unknown, start) if unknown else data


ODD: dict[str, Callable[[], bytes]] = {
    "profile": lambda: retyped(tiff((34675, UNDEFINED, HIDDEN)), 34675),
    "short XMP": lambda: retyped(tiff((700, UNDEFINED, b"<x/>")), 700),
    "description": lambda: retyped(tiff((270, SHORT, [7])), 270),
    "comment in EXIF": lambda: with_exif((33434, RATIONAL, [1, 9]), (37510, UNDEFINED, HIDDEN), unknown=37510),
    "number in EXIF": lambda: with_exif((33434, RATIONAL, [1, 9]), (34855, SHORT, [100]), unknown=34855),
    "second number in EXIF": lambda: with_exif((34855, SHORT, [100]), (34855, SHORT, [200])),
    "damaged directory in EXIF": lambda: with_exif((33434, RATIONAL, [1, 9]), (40965, LONG, [10**6])),
}


@pytest.mark.parametrize("name", ODD)
def test_tiff_entries_that_nobody_can_read_are_named_as_lost(name: str) -> None:
    data = ODD[name]()
    source = take_apart(data, read(data, LIMIT))
    assert source is not None
    assert beyond(source)
    assert beyond_whole(data)


def test_of_exif_that_can_be_read_nothing_is_lost() -> None:
    data = with_exif((33434, RATIONAL, [1, 9]), (34855, SHORT, [100]), (37510, UNDEFINED, HIDDEN))
    source = take_apart(data, read(data, LIMIT))
    assert source is not None
    assert beyond(source) == beyond_whole(data) == ()


# What of EXIF a TIFF file does not hold, by what it is called.
OF_EXIF: dict[str, Callable[[], bytes]] = {
    "EXIF tag 282": lambda: png((b"pHYs", RESOLUTION), (b"eXIf", exif((282, RATIONAL, [300, 1])))),
    "bytes of EXIF that no tag speaks for": lambda: png((b"eXIf", exif((270, ASCII, b"hill\0")) + HIDDEN)),
    "EXIF tag 270": lambda: png((b"eXIf", retyped(exif((270, SHORT, [7])), 270))),
    "EXIF tag 330": lambda: png((b"eXIf", exif((330, LONG, [8])))),
    "EXIF": lambda: png((b"eXIf", HIDDEN)),
}


@pytest.mark.parametrize("name", OF_EXIF)
def test_what_tiff_does_not_hold_of_exif_is_named(name: str) -> None:
    found = read(OF_EXIF[name](), LIMIT).picture
    assert convert(found, "tif").lost == (name,)
    assert "EXIF" not in "".join(convert(found, "webp").lost)


def test_tiff_has_the_resolution_of_a_picture_once() -> None:
    tags = exif((282, RATIONAL, [72, 1]), (283, RATIONAL, [72, 1]), (296, SHORT, [2]))
    data = png((b"pHYs", RESOLUTION), (b"eXIf", tags))
    assert convert(read(data, LIMIT).picture, "tif").lost == ()
