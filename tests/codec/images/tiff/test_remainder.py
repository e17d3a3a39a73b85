"""The whole TIFF file from its pixels and the remainder: byte for byte, or the picture and every tag."""

import contextlib
import lzma
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, InputError, LimitError
from densezip.codec.images.picture import from_array
from densezip.codec.images.split import Split
from densezip.codec.images.tiff import dirs as tiffdirs
from densezip.codec.images.tiff import encoders as tiffencoders
from densezip.codec.images.tiff import tiff
from PIL import Image
from samples import MODES, array, file_of, picture, tiff16
from tiffs import (
    BYTE,
    LAYOUTS,
    LIMIT,
    LONG,
    RATIONAL,
    SHORT,
    TAGS,
    UNDEFINED,
    again,
    build,
    files,
    picture_of,
    with_directories,
)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", MODES)
def test_what_pillow_writes_comes_back_byte_for_byte_from_a_few_bytes(mode: str, compression: str | None) -> None:
    data = file_of(picture(mode, 150, 201), "TIFF", compression=compression)
    split = tiff.split(data, picture_of(data))
    assert split is not None
    assert again(data) == data
    palette = dict(picture_of(data).chunks).get("PLTE", b"")
    assert len(split.remainder) <= 16 + len(palette)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lzw_of_libtiff_comes_back_even_where_it_gives_up_its_table(channels: int, kind: str, predictor: bool) -> None:
    rng = np.random.default_rng(0)
    samples = array(channels, kind, 300, 200)
    samples[100:200] = rng.integers(0, 256, samples[100:200].shape)
    samples[200:220] = 7
    options = {"photometric": "rgb"} if channels == 3 else {}
    data = tiff16(samples, compression="lzw", predictor=predictor or None, rowsperstrip=300, **options)
    assert np.array_equal(picture_of(data).pixels, samples)
    assert again(data) == data


def test_what_fills_tiles_beyond_the_edge_is_kept() -> None:
    samples = array(3, "u1", 20, 20)
    plain = bytearray(build(samples, tile=(16, 16)))
    split = tiff.split(bytes(plain), picture_of(bytes(plain)))
    assert split is not None
    noise = np.random.default_rng(0).bytes(16 * 12 * 3)
    plain[8 + 768 + 12 : 8 + 768 + 48] = noise[:36]
    data = bytes(plain)
    assert again(data) == data
    zeros = np.pad(samples, ((0, 12), (0, 12), (0, 0)))
    edge = np.pad(samples, ((0, 12), (0, 12), (0, 0)), mode="edge")
    for padded in (zeros, edge):
        data = build(padded, tile=(16, 16), tags=((256, LONG, [20]), (257, LONG, [20])))
        split = tiff.split(data, picture_of(data))
        assert split is not None
        assert again(data) == data
        assert len(split.remainder) < 30


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("layout", ["one strip", "tiles", "directory first"])
def test_every_tag_and_directory_comes_back(layout: str, big: bool, order: str) -> None:
    data = with_directories(order, big=big, **LAYOUTS[layout])
    assert again(data) == data
    found = picture_of(data)
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + dict(found.chunks)["eXIf"])
    assert exif[270] == "a hill"
    assert exif[274] == 6
    assert exif.get_ifd(34665)[37510] == b"somebody's note"
    assert exif.get_ifd(34853)[1] == "N"
    assert {name for name, _ in found.chunks} == {"iCCP", "pHYs", "eXIf", "iTXt"}


def foreign(raw: bytes) -> bytes:
    """A zlib stream by a coder that nobody follows: uncompressed blocks of lengths drawn by lot."""
    rng = np.random.default_rng(len(raw))
    body, at = b"", 0
    while at < len(raw):
        part = raw[at : at + int(rng.integers(1, 20))]
        at += len(part)
        body += struct.pack("<BHH", at == len(raw), len(part), len(part) ^ 0xFFFF) + part
    return b"\x78\x9c" + body + zlib.adler32(raw).to_bytes(4, "big")


@pytest.mark.parametrize(
    "layout", [{}, {"rows": 12}, {"tile": (16, 16), "gap": b"odd"}, {"ahead": True}, {"big": True}]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stream_of_an_unknown_coder_is_replaced_and_all_else_moved_along(order: str, layout: dict[str, Any]) -> None:
    data = with_directories(order, deflated=True, coder=foreign, **layout)
    found = picture_of(data)
    split = tiff.split(data, found)
    assert split is not None
    assert not split.exact
    made = tiff.join(replace(found, chunks=()), split.remainder)
    assert made != data
    back = picture_of(made)
    assert np.array_equal(back.pixels, found.pixels)
    assert back.chunks == found.chunks
    assert tiff.split(made, back) == Split(split.remainder, exact=True)
    before, after = tiffdirs.parse(data), tiffdirs.parse(made)
    assert [(entry.tag, entry.kind, entry.count) for entry in before.first.entries] == [
        (entry.tag, entry.kind, entry.count) for entry in after.first.entries
    ]
    for tag, *_ in TAGS:
        assert after.raw(tag) == before.raw(tag) != b""


def test_a_file_that_may_hold_offsets_of_its_own_is_not_moved() -> None:
    noted = with_directories(note=37500, deflated=True, coder=foreign)
    assert tiff.split(noted, picture_of(noted)) is None
    for tag, kept in ((65001, False), (50838, True)):
        data = build(array(3), deflated=True, coder=foreign, tags=((tag, LONG, [300]),), behind=b"something private")
        split = tiff.split(data, picture_of(data))
        assert (split is not None) is kept


@pytest.mark.parametrize("name", files())
def test_the_skeleton_has_the_metadata_and_one_pixel(name: str) -> None:
    data = files()[name]
    whole = picture_of(data)
    split = tiff.split(data, whole)
    assert split is not None
    skeleton = tiff.skeleton(split.remainder)
    found = picture_of(skeleton)
    assert found.chunks == whole.chunks == tiff.metadata(skeleton)
    assert (found.mode, found.bits) == (whole.mode, whole.bits)
    assert found.pixels.shape[:2] == (1, 1)
    assert len(skeleton) < len(split.remainder) + 2500


def test_metadata_costs_little_more_than_its_bytes() -> None:
    profile, note = np.random.default_rng(0).bytes(1000), np.random.default_rng(1).bytes(500)
    plain, full = build(array(3)), build(array(3), tags=((34675, UNDEFINED, profile), (33723, UNDEFINED, note)))
    sizes = []
    for data in (plain, full):
        split = tiff.split(data, picture_of(data))
        assert split is not None
        sizes.append(len(zlib.compress(split.remainder, 9)))
    assert sizes[1] - sizes[0] < 1500 + 40


def test_strips_that_share_bytes_are_not_taken_apart() -> None:
    samples = np.tile(array(1, "u1", 5, 31), (2, 1, 1))
    data = build(samples, rows=5, tags=((273, LONG, [8, 8]),))
    assert np.array_equal(picture_of(data).pixels, samples)
    assert tiff.split(data, picture_of(data)) is None


def test_a_jpeg_in_tiff_is_lossy_and_stays_whole() -> None:
    data = file_of(picture("RGB"), "TIFF", compression="jpeg")
    found, lossy = tiff.read(data, LIMIT)
    assert lossy
    assert tiff.split(data, found) is None


def test_values_shared_by_two_tags_come_back() -> None:
    data = bytearray(build(array(3), tags=((282, RATIONAL, [72, 1]), (283, RATIONAL, [72, 1]))))
    (start,) = struct.unpack_from("<I", data, 4)
    places = {}
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        places[struct.unpack_from("<H", data, at)[0]] = at + 8
    data[places[283] : places[283] + 4] = data[places[282] : places[282] + 4]
    assert again(bytes(data)) == bytes(data)


@pytest.mark.parametrize("name", files())
def test_mutations_of_a_remainder_make_a_file_or_a_named_error(name: str) -> None:
    data = files()[name]
    found = picture_of(data)
    split = tiff.split(data, found)
    assert split is not None
    plain = replace(found, chunks=())
    rng = np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(split.remainder)
        for at in rng.integers(0, len(bad), int(rng.integers(1, 4))):
            bad[at] = int(rng.integers(256))
        if rng.random() < 0.3:
            at = int(rng.integers(len(bad)))
            del bad[at : at + int(rng.integers(1, 5))]
        mutated = bytes(bad)
        with contextlib.suppress(CorruptPayloadError):
            assert tiff.join(plain, mutated)[:2] in (b"II", b"MM")
        with contextlib.suppress(CorruptPayloadError):
            assert tiff.skeleton(mutated)[:2] in (b"II", b"MM")
    for length in range(len(split.remainder)):
        with pytest.raises(CorruptPayloadError):
            tiff.join(plain, split.remainder[:length])
    with pytest.raises(CorruptPayloadError, match="too many"):
        tiff.join(plain, split.remainder + b"\0")


@pytest.mark.parametrize("name", files())
def test_mutations_of_a_file_come_back_or_are_refused(name: str) -> None:
    data = files()[name]
    rng = np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            bad[int(rng.integers(len(bad)))] = int(rng.choice([0, 1, 2, 127, 255, int(rng.integers(256))]))
        try:
            found = tiff.read(bytes(bad), LIMIT)[0]
        except (InputError, LimitError):
            continue
        split = tiff.split(bytes(bad), found)
        if split is not None:
            made = tiff.join(replace(found, chunks=()), split.remainder)
            assert (made == bad) == split.exact
            assert np.array_equal(picture_of(made).pixels, found.pixels)


def test_a_remainder_belongs_to_pictures_of_one_size_and_mode() -> None:
    data = build(array(3))
    split = tiff.split(data, picture_of(data))
    assert split is not None
    for other in (array(3, "u1", 23, 32), array(4), array(3, "u2")):
        with pytest.raises(CorruptPayloadError, match="pixels of mode"):
            tiff.join(from_array(other), split.remainder)


ODD: dict[str, dict[str, Any]] = {
    "no lengths": {"tags": ((279, LONG, None),)},
    "endless strips": {"tags": ((278, LONG, [2**32 - 1]),)},
    "no rows a strip": {"tags": ((278, LONG, None),)},
    "a strip longer than its rows": {"tags": ((279, LONG, [23 * 31 * 3 + 9]),)},
    "lengths of 16 bits": {"rows": 4, "tags": ((279, SHORT, [4 * 31 * 3] * 5 + [3 * 31 * 3]),)},
    "sizes of 16 bits": {"tags": ((256, SHORT, [31]), (257, SHORT, [23]))},
    "one number of bits for all": {"tags": ((258, SHORT, [8]),)},
    "no planar configuration": {"tags": ((284, SHORT, None),)},
    "a tag without a value": {"tags": ((65000, BYTE, b"1234"), (65001, UNDEFINED, b""))},
    "zeros behind the end": {"behind": bytes(70_000)},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_sound_files_come_back(name: str) -> None:
    data = build(array(3), **ODD[name])
    assert np.array_equal(picture_of(data).pixels, array(3))
    assert again(data) == data


def test_entries_of_unknown_types_and_out_of_order_come_back() -> None:
    data = bytearray(build(array(3), tags=((65000, BYTE, b"1234"), (65001, BYTE, b"5678"))))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    last = start + 2 + 12 * (count - 1)
    struct.pack_into("<HHI", data, last, 65001, 777, 2**32 - 1)
    data[last - 12 : last], data[last : last + 12] = data[last : last + 12], data[last - 12 : last]
    assert again(bytes(data)) == bytes(data)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_streams_of_a_library_come_back_as_a_picture_whatever_its_version(
    mode: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file_of(picture(mode, 150, 200), "TIFF", compression=compression, dpi=(300, 300), description="a hill")
    found = picture_of(data)
    split = tiff.split(data, found)
    assert split is not None
    assert not split.exact
    plain = replace(found, chunks=())
    habits, encoder = tiffencoders.ENCODERS[34925 if compression == "lzma" else 50000]
    made = tiff.join(plain, split.remainder)
    assert tiff.split(made, found) == split
    # Another version, whose streams are a byte longer here and there.
    longer = (habits, lambda raw, layout, habit: encoder(raw, layout, habit) + bytes(len(raw) % 5))
    monkeypatch.setitem(tiffencoders.ENCODERS, 34925 if compression == "lzma" else 50000, longer)
    other = tiff.join(plain, split.remainder)
    for file in (made, other):
        back = picture_of(file)
        assert np.array_equal(back.pixels, found.pixels)
        assert back.chunks == found.chunks


def test_streams_of_a_library_with_exif_stay_whole() -> None:
    data = with_directories(deflated=True, coder=lzma.compress, compression=34925)
    assert np.array_equal(picture_of(data).pixels, array(3))
    assert tiff.split(data, picture_of(data)) is None
