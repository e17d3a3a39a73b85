"""BMP files come back byte for byte, whatever their depth, header, masks and padding."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.formats import bmp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import array, file_of, picture
from wholefile import LIMIT, bare, check_mutations, comes_back

RGB, RLE8, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 3, 6
M565, M1555 = (0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F, 0x8000)


def bmp_file(
    width: int,
    height: int,
    bits: int,
    rows: bytes,
    *,
    header: int = 40,
    compression: int = RGB,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    dots: tuple[int, int] = (2835, 2835),
    gap: bytes = b"",
    tail: bytes = b"",
    profile: bytes = b"",
) -> bytes:
    """A BMP file laid out by hand; `rows` with their padding, in the file's order."""
    if header == 12:
        body = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        body = struct.pack("<IiiHHIIii", header, width, height, 1, bits, compression, len(rows), *dots)
        body = (body + bytes(8))[:header]
        body += b"".join(struct.pack("<I", mask) for mask in masks) if header >= 40 else b""
        body = body.ljust(header, b"\0")
    if profile:
        body = body[:56] + b"DEBM" + body[60:112] + struct.pack("<II", 0, len(profile)) + body[120:]
    offset = 14 + len(body) + len(palette) + len(gap)
    if profile:
        body = body[:112] + struct.pack("<I", offset + len(rows) - 14) + body[116:]
    size = offset + len(rows) + len(profile)
    start = struct.pack("<2sIHHI", b"BM", size, 0, 0, offset)
    return b"".join([start, body, palette, gap, rows, profile, tail])


def noise(width: int, height: int, bits: int, seed: int = 0) -> bytes:
    """Rows of noise whose padding is zero."""
    used, stride = -(-width * bits // 8), -(-width * bits // 32) * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, :used] = np.frombuffer(np.random.default_rng(seed).bytes(height * used), np.uint8).reshape(height, used)
    if bits < 8 and width * bits % 8:
        rows[:, used - 1] &= (0xFF00 >> width * bits % 8) & 0xFF
    return rows.tobytes()


def colours(count: int, step: int = 4) -> bytes:
    entries = np.random.default_rng(1).integers(0, 256, (count, step), dtype=np.uint8)
    return entries.tobytes()


@pytest.mark.parametrize("header", [12, 16, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 24, 32])
@pytest.mark.parametrize("width", [1, 7, 8, 13])
def test_every_depth_under_every_header_comes_back(header: int, bits: int, width: int) -> None:
    palette = colours(2**bits, 3 if header == 12 else 4) if bits <= 8 else b""
    data = bmp_file(width, 5, bits, noise(width, 5, bits), header=header, palette=palette)
    found, _ = comes_back(bmp, data)
    assert found.pixels.shape[:2] == (5, width)


@given(
    bits=st.sampled_from([1, 4, 8, 16, 24, 32]),
    width=st.integers(1, 33),
    height=st.integers(1, 5),
    up=st.booleans(),
    tail=st.binary(max_size=9),
    gap=st.binary(max_size=9),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_rows_padding_gap_and_tail_come_back(
    bits: int, width: int, height: int, up: bool, tail: bytes, gap: bytes, seed: int
) -> None:
    rows = np.random.default_rng(seed).bytes(-(-width * bits // 32) * 4 * height)
    palette = colours(2**bits) if bits <= 8 else b""
    comes_back(bmp, bmp_file(width, height if up else -height, bits, rows, palette=palette, gap=gap, tail=tail))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "RGBA"])
def test_what_is_usual_leaves_a_remainder_of_a_few_bytes(mode: str) -> None:
    image = picture(mode)
    found, remainder = comes_back(bmp, file_of(image, "BMP"))
    assert found.mode == mode
    assert np.array_equal(found.pixels.squeeze(), np.asarray(image))
    assert len(remainder) <= (16 if mode != "P" else 100)


def test_rows_of_a_negative_height_begin_at_the_top() -> None:
    rows = noise(4, 3, 24)
    upright, turned = (comes_back(bmp, bmp_file(4, height, 24, rows))[0] for height in (3, -3))
    assert np.array_equal(upright.pixels, turned.pixels[::-1])


def test_565_is_widened_to_the_nearest_of_256_and_comes_back() -> None:
    every = np.arange(65536, dtype="<u2").reshape(256, 256)
    found, _ = comes_back(bmp, bmp_file(256, 256, 16, every.tobytes(), compression=BITFIELDS, masks=M565))
    red, green, blue = every[::-1] >> 11, every[::-1] >> 5 & 63, every[::-1] & 31
    wanted = np.stack([np.round(red * 255 / 31), np.round(green * 255 / 63), np.round(blue * 255 / 31)], 2)
    assert found.mode == "RGB"
    assert np.array_equal(found.pixels, wanted)


def test_the_alpha_bit_of_1555_is_kept() -> None:
    every = np.arange(65536, dtype="<u2").reshape(256, 256)
    data = bmp_file(256, 256, 16, every.tobytes(), header=56, compression=BITFIELDS, masks=M1555)
    found, _ = comes_back(bmp, data)
    assert found.mode == "RGBA"
    assert np.array_equal(found.pixels[:, :, 3], np.where(every[::-1] >> 15, 255, 0))


@pytest.mark.parametrize(("fourth", "mode"), [("noise", "RGBA"), (0, "RGB"), (255, "RGB"), (128, "RGBA")])
def test_the_fourth_byte_without_a_name_is_alpha_if_anything_is_in_it(fourth: Any, mode: str) -> None:
    samples = array(4)
    if fourth != "noise":
        samples[:, :, 3] = fourth
    found, remainder = comes_back(bmp, bmp_file(31, 23, 32, samples.tobytes()))
    assert found.mode == mode
    assert np.array_equal(found.pixels[::-1], samples[:, :, [2, 1, 0, 3]][:, :, : len(mode)])
    assert len(remainder) < 40


def test_spare_bits_without_order_come_back() -> None:
    data = bmp_file(200, 150, 16, noise(200, 150, 16), tail=b"tail")
    found, remainder = comes_back(bmp, data)
    assert found.mode == "RGB"
    assert len(zlib.compress(remainder)) < len(data) / 8


def test_spare_bits_of_16_bit_pixels_come_back() -> None:
    values = array(1, "u2")[:, :, 0]
    padded = np.zeros((23, 32), "<u2")
    padded[:, :31] = values
    comes_back(bmp, bmp_file(31, 23, 16, padded.tobytes()))


MASKS: dict[str, tuple[int, tuple[int, ...], str]] = {
    "444": (16, (0xF00, 0xF0, 0xF), "RGB"),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000), "RGBA"),
    "321": (16, (0xE0, 0x18, 0x4), "RGB"),
    "bgr": (32, (0xFF, 0xFF00, 0xFF0000), "RGB"),
    "high bytes": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF), "RGBA"),
    "ten bits": (32, (0x3FF00000, 0xFFC00, 0x3FF), "RGB;16"),
    "ten bits and two of alpha": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000), "RGBA;16"),
    "11, 11 and 10": (32, (0xFFE00000, 0x1FFC00, 0x3FF), "RGB;16"),
    "sixteen and one": (32, (0xFFFF0000, 0x8000, 0x1), "RGB;16"),
}


@pytest.mark.parametrize("name", MASKS)
def test_any_bit_masks_come_back(name: str) -> None:
    bits, masks, mode = MASKS[name]
    compression = ALPHA_BITFIELDS if len(masks) == 4 else BITFIELDS
    found, _ = comes_back(bmp, bmp_file(9, 6, bits, noise(9, 6, bits), compression=compression, masks=masks))
    assert found.mode == mode


@pytest.mark.parametrize(
    "masks", [(0xFF00, 0xFF0, 0xF), (0, 0xF0, 0xF), (0xA000, 0xF0, 0xF), (0xFFFF8000, 0x7FFE, 1), (1 << 20, 2, 1)]
)
def test_masks_that_no_channels_are_behind_are_refused(masks: tuple[int, ...]) -> None:
    bits = 32 if max(masks) > 2**30 else 16
    with pytest.raises(UnsupportedImageError, match=r"mask|bits per sample"):
        bmp.read(bmp_file(4, 4, bits, noise(4, 4, bits), compression=BITFIELDS, masks=masks), LIMIT)


def test_grey_and_black_and_white_palettes_are_no_palettes() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(256, 4)
    ramp[:, 3] = 0
    assert comes_back(bmp, bmp_file(5, 4, 8, noise(5, 4, 8), palette=ramp.tobytes()))[0].mode == "L"
    assert comes_back(bmp, bmp_file(5, 4, 1, noise(5, 4, 1), palette=bytes(4) + b"\xff\xff\xff\0"))[0].mode == "1"
    inverse = comes_back(bmp, bmp_file(5, 4, 1, noise(5, 4, 1), palette=b"\xff\xff\xff\0" + bytes(4)))[0]
    assert (inverse.mode, inverse.bits, inverse.chunks[0]) == ("P", 1, ("PLTE", b"\xff" * 3 + bytes(3)))


def test_a_short_palette_is_filled_with_black() -> None:
    entries = colours(5)
    data = bytearray(bmp_file(5, 4, 8, noise(5, 4, 8), palette=entries))
    struct.pack_into("<I", data, 46, 5)
    found, _ = comes_back(bmp, bytes(data))
    table = np.frombuffer(dict(found.chunks)["PLTE"], np.uint8).reshape(256, 3)
    assert np.array_equal(table[:5], np.frombuffer(entries, np.uint8).reshape(5, 4)[:, 2::-1])
    assert not table[5:].any()


def test_the_profile_of_the_fifth_header_and_the_bytes_behind_it_are_kept() -> None:
    profile = bytes(range(200))
    data = bmp_file(31, 23, 24, noise(31, 23, 24), header=124, profile=profile, tail=b"and more")
    found, remainder = comes_back(bmp, data)
    assert zlib.decompress(dict(found.chunks)["iCCP"].removeprefix(b"ICC Profile\0\0")) == profile
    assert len(remainder) < 240


def test_resolution_is_kept() -> None:
    found, _ = comes_back(bmp, bmp_file(3, 2, 24, noise(3, 2, 24), dots=(11811, 5906)))
    assert dict(found.chunks)["pHYs"] == struct.pack(">IIB", 11811, 5906, 1)


def test_bytes_behind_the_picture_are_kept() -> None:
    comes_back(bmp, bmp_file(31, 23, 24, noise(31, 23, 24), tail=np.random.default_rng(0).bytes(1000)))


def test_missing_padding_behind_the_last_row_stays_missing() -> None:
    whole = bmp_file(3, 4, 24, noise(3, 4, 24))
    for missing in (1, 2, 3):
        comes_back(bmp, whole[:-missing])
    with pytest.raises(UnreadableImageError, match="cut short"):
        bmp.read(whole[:-4], LIMIT)


@pytest.mark.parametrize("compression", [1, 2, 4, 5])
def test_compressed_pixels_are_not_coded(compression: int) -> None:
    with pytest.raises(UnsupportedImageError, match="BMP"):
        bmp.read(bmp_file(4, 4, 8, bytes(16), palette=colours(256), compression=compression), LIMIT)


def test_pillow_sees_the_same_pixels(tmp_path: Any) -> None:
    for bits, masks in ((24, ()), (8, ()), (4, ()), (1, ())):
        data = bmp_file(31, 23, bits, noise(31, 23, bits), masks=masks, palette=colours(2**bits) if bits < 24 else b"")
        (tmp_path / "a.bmp").write_bytes(data)
        with Image.open(tmp_path / "a.bmp") as image:
            found = bmp.read(data, LIMIT)
            assert np.array_equal(np.asarray(image).reshape(found.pixels.shape), found.pixels)


def test_the_limit_is_applied_to_the_header() -> None:
    with pytest.raises(LimitError):
        bmp.read(bmp_file(2**30, 2**30, 24, b""), LIMIT)


def test_a_remainder_of_another_picture_is_refused() -> None:
    found, remainder = comes_back(bmp, bmp_file(31, 23, 24, noise(31, 23, 24)))
    grey = bmp.read(file_of(picture("L"), "BMP"), LIMIT)
    with pytest.raises(CorruptPayloadError, match="around a picture"):
        bmp.join(bare(grey), remainder)
    with pytest.raises(CorruptPayloadError):
        bmp.join(bare(found), remainder[:1])
    with pytest.raises(CorruptPayloadError):
        bmp.join(bare(found), b"")


SEEDS: dict[str, bytes] = {
    "24": bmp_file(31, 23, 24, noise(31, 23, 24), tail=b"tail"),
    "8": bmp_file(13, 9, 8, noise(13, 9, 8), palette=colours(256), gap=b"gap"),
    "1": bmp_file(13, 9, 1, noise(13, 9, 1), palette=colours(2), header=12),
    "565": bmp_file(14, 9, 16, noise(14, 9, 16), compression=BITFIELDS, masks=M565),
    "32": bmp_file(13, 9, 32, array(4, height=9, width=13).tobytes(), header=124, profile=b"profile"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(bmp, SEEDS[name], 300)
