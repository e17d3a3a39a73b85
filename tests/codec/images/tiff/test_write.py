"""Writing TIFF files: every mode, with all the metadata that has a place there."""

import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from densezip.codec.images.imagefile import read
from densezip.codec.images.imagewrite import convert, write
from densezip.codec.images.info import XMP_KEYWORD
from densezip.codec.images.picture import Picture, from_array, from_pil
from densezip.codec.images.tiff import tiff
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import MODES, array, file_of, picture
from tiffs import ASCII, LONG, RATIONAL, SHORT, UNDEFINED, Tag, directory

LIMIT = 2**22


def camera_exif(order: str) -> bytes:
    """EXIF as a camera writes it: a description, resolution, EXIF with a note and a version, GPS, a thumbnail."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first: list[Tag] = [
        (270, ASCII, b"a hill\0"), (271, ASCII, b"maker\0"), (274, SHORT, [6]), (282, RATIONAL, [72, 1]),
        (283, RATIONAL, [72, 1]), (296, SHORT, [2]), (531, SHORT, [2]), (33432, ASCII, b"nobody\0"),
    ]  # fmt: skip
    size = len(directory([*first, (34665, LONG, [0]), (34853, LONG, [0])], 8, order))
    exif: list[Tag] = [(33434, RATIONAL, [1, 125]), (36864, UNDEFINED, b"0232"), (37500, UNDEFINED, bytes(range(99)))]
    inner = directory([*exif, (40965, LONG, [0])], 8 + size, order)
    exif.append((40965, LONG, [8 + size + len(inner)]))
    inner = directory(exif, 8 + size, order) + directory([(1, ASCII, b"R98\0")], 8 + size + len(inner), order)
    gps_at = 8 + size + len(inner)
    gps = directory(
        [(1, ASCII, b"N\0"), (2, RATIONAL, [48, 1, 8, 1, 30, 1]), (29, ASCII, b"2026:01:01\0")], gps_at, order
    )
    outer = directory([*first, (34665, LONG, [8 + size]), (34853, LONG, [gps_at])], 8, order)
    return b"".join([head, outer, inner, gps])


def pictures() -> dict[str, Picture]:
    every = {mode: from_pil(picture(mode)) for mode in MODES}
    every |= {f"{channels} channels of 16 bits": from_array(array(channels, "u2")) for channels in (1, 2, 3, 4)}
    grey = array(1) & 3
    every["grey of 2 bits"] = Picture(grey * np.uint8(85), "L", 2)
    every["grey of 4 bits"] = Picture((array(1) & 15) * np.uint8(17), "L", 4)
    every["4 colours"] = Picture(grey, "P", 2, (("PLTE", bytes(range(12))),))
    every["large"] = from_array(array(3, "u1", 700, 600))
    return every


def chunks_of(data: bytes) -> dict[str, bytes]:
    return dict(read(data, LIMIT).picture.chunks)


METADATA = (
    ("iCCP", b"ICC Profile\0\0" + zlib.compress(b"profile" * 50, 9)),
    ("pHYs", struct.pack(">IIB", 11811, 5906, 1)),
    ("iTXt", XMP_KEYWORD + b"\0\0\0\0\0<x:xmpmeta/>"),
)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", pictures())
def test_every_picture_and_its_metadata_read_back(name: str, order: str) -> None:
    wanted = pictures()[name]
    wanted = replace(wanted, chunks=(*wanted.chunks, *METADATA, ("eXIf", camera_exif(order))))
    data = write(wanted, "tif")
    found = read(data, LIMIT).picture
    assert (found.mode, found.bits) == (wanted.mode, wanted.bits)
    assert np.array_equal(found.pixels, wanted.pixels)
    held = dict(found.chunks)
    for chunk, body in METADATA:
        assert held[chunk] == body
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + held["eXIf"])
    assert (exif[270], exif[271], exif[274], exif[33432]) == ("a hill", "maker", 6, "nobody")
    assert exif.get_ifd(34665)[37500] == bytes(range(99))
    assert exif.get_ifd(34853)[2] == (48, 8, 30)
    assert chunks_of(write(found, "tif")) == held


@pytest.mark.parametrize("name", pictures())
def test_others_read_what_is_written(name: str) -> None:
    wanted = pictures()[name]
    data = tiff.write(wanted)
    if wanted.pixels.dtype == np.uint16:
        found: Any = imagecodecs.tiff_decode(data)
    else:
        with Image.open(BytesIO(data)) as image:
            found = np.asarray(image)
    assert np.array_equal(found, wanted.pixels.squeeze())


def test_a_camera_photograph_becomes_a_tiff_file_that_others_understand() -> None:
    jpeg = file_of(
        picture("RGB"), "JPEG", exif=b"Exif\0\0" + camera_exif(">"), icc_profile=b"profile" * 30, dpi=(72, 72)
    )
    with Image.open(BytesIO(jpeg)) as image:
        wanted = from_pil(image)
    with Image.open(BytesIO(write(wanted, "tiff"))) as found:
        assert found.info["icc_profile"] == b"profile" * 30
        assert found.info["dpi"] == (72, 72)
        tags = found.getexif()
        assert tags[271] == "maker"
        assert tags.get_ifd(34665)[33434] == 1 / 125
        assert tags.get_ifd(34853)[1] == "N"


@pytest.mark.parametrize("exif", [b"II*\0\x08\0\0\0", b"nonsense", camera_exif("<")[:60], b"MM\0*" + bytes(40)])
def test_damaged_exif_is_named_as_lost_and_the_picture_written(exif: bytes) -> None:
    wanted = Picture(array(3), "RGB", 8, (("eXIf", exif),))
    assert convert(wanted, "tif").lost[0] == "EXIF"
    found = read(write(wanted, "tif"), LIMIT).picture
    assert np.array_equal(found.pixels, wanted.pixels)


def test_what_has_no_place_in_tiff_is_named() -> None:
    held = (
        ("gAMA", bytes(4)), ("tEXt", b"Author\0me"), ("iTXt", b"Title\0\0\0\0\0yes"), ("pHYs", bytes(8) + b"\0"),
        ("iCCP", b"name\0\0no stream"), *METADATA,
    )  # fmt: skip
    lost = convert(Picture(array(3), "RGB", 8, held), "tif").lost
    assert lost == ("gamma", "text", "resolution", "ICC profile")


def test_what_of_exif_has_no_place_in_tiff_is_named() -> None:
    exif = bytearray(camera_exif("<"))
    assert convert(Picture(array(3), "RGB", 8, (("eXIf", bytes(exif)),)), "tif").lost == ()
    (count,) = struct.unpack_from("<H", exif, 8)
    struct.pack_into("<I", exif, 10 + 12 * count, 8)  # another directory
    held = Picture(array(3), "RGB", 8, (("eXIf", bytes(exif)),))
    assert convert(held, "tif").lost == ("EXIF thumbnail",)
    block = b"II*\0\x08\0\0\0" + directory([(270, ASCII, b"a hill\0"), (700, 1, b"<x/>12")], 8)
    assert convert(replace(held, chunks=(("eXIf", block),)), "tif").lost == ("EXIF tag 700",)


def test_compressed_xmp_is_unpacked() -> None:
    body = XMP_KEYWORD + b"\0\1\0en\0title\0" + zlib.compress(b"<x:xmpmeta/>")
    data = write(Picture(array(1), "L", 8, (("iTXt", body),)), "tif")
    assert chunks_of(data)["iTXt"].endswith(b"<x:xmpmeta/>")


def test_tags_of_exif_that_tell_of_pixels_do_not_get_into_the_file() -> None:
    tags: list[Tag] = [
        (256, LONG, [4000]),
        (259, SHORT, [6]),
        (270, ASCII, b"yes\0"),
        (330, LONG, [8]),
        (513, LONG, [8]),
    ]
    exif = b"II*\0\x08\0\0\0" + directory(tags, 8)
    found = read(write(Picture(array(3), "RGB", 8, (("eXIf", exif),)), "tif"), LIMIT).picture
    assert np.array_equal(found.pixels, array(3))
    assert b"yes" in dict(found.chunks)["eXIf"]


@given(
    across=st.integers(1, 2**31 - 1).filter(lambda value: abs(value * 0.0254 - 10**7) > 2), down=st.integers(1, 2**20)
)
def test_any_resolution_reads_back(across: int, down: int) -> None:
    body = struct.pack(">IIB", across, down, 1)
    found = chunks_of(tiff.write(Picture(array(1, "u1", 2, 2), "L", 8, (("pHYs", body),))))
    held = max(across, down) * 0.0254 < 10**7 - 1
    assert found.get("pHYs") == (body if held else None)
