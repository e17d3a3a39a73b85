"""Lossless WebP files come back as pictures: the same pixels, and every byte outside of them."""

import struct

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError
from densezip.codec.images.formats import webp
from PIL import Image
from samples import array, file_of, picture
from wholefile import LIMIT, bare, check_mutations, picture_comes_back

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"


def riff(*chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + (b"\xee" if len(data) % 2 else b"") for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body + tail


def extended(width: int, height: int, flags: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def pixels_of(data: bytes) -> tuple[bytes, bytes]:
    place = data.index(b"VP8L")
    (length,) = struct.unpack_from("<I", data, place + 4)
    return b"VP8L", data[place + 8 : place + 8 + length]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_plain_lossless_file_leaves_one_byte(mode: str) -> None:
    found, remainder = picture_comes_back(webp, file_of(picture(mode), "WEBP", lossless=True, exact=True))
    assert found.mode == mode
    assert np.array_equal(found.pixels, np.asarray(picture(mode)))
    assert len(remainder) == 1


def test_colours_under_full_transparency_come_back() -> None:
    samples = array(4)
    samples[:, :, 3] = np.where(samples[:, :, 0] % 2, 0, 255)
    data = file_of(Image.fromarray(samples, "RGBA"), "WEBP", lossless=True, exact=True)
    assert np.array_equal(picture_comes_back(webp, data)[0].pixels, samples)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_metadata_that_pillow_writes_comes_back(mode: str) -> None:
    data = file_of(picture(mode), "WEBP", lossless=True, icc_profile=b"p" * 201, exif=EXIF, xmp=b"<x:xmpmeta/>")
    found, remainder = picture_comes_back(webp, data)
    assert [name for name, _ in found.chunks] == ["iCCP", "eXIf", "iTXt"]
    again = webp.join(bare(found), remainder)
    place, end = data.index(b"VP8L"), data.index(b"EXIF")
    assert again.startswith(b"RIFF")
    assert again[12:place] == data[12:place]
    assert again.endswith(data[end:])


def test_unknown_chunks_their_order_their_padding_and_trailing_bytes_come_back() -> None:
    pixels = pixels_of(file_of(picture("RGB"), "WEBP", lossless=True))
    data = riff(
        extended(31, 23, 0x08), (b"abcd", b"odd"), pixels, (b"wxyz", b"more"), (b"EXIF", EXIF), tail=b"behind the end"
    )
    found, remainder = picture_comes_back(webp, data)
    again = webp.join(bare(found), remainder)
    assert b"abcd\3\0\0\0odd\xee" in again
    assert again.endswith(data[data.index(b"wxyz") :])
    assert struct.unpack_from("<I", again, 4)[0] == len(again) - 8 - len(b"behind the end")


def test_an_opaque_alpha_channel_stays_one() -> None:
    samples = array(4)
    samples[:, :, 3] = 255
    data = bytearray(file_of(Image.fromarray(samples, "RGBA"), "WEBP", lossless=True, exact=True))
    data[data.index(b"VP8L") + 8 + 4] |= 0x10
    assert picture_comes_back(webp, bytes(data))[0].mode == "RGBA"


@pytest.mark.parametrize("options", [{"quality": 80}, {"quality": 80, "exif": EXIF}])
def test_a_lossy_file_is_not_taken_apart(options: dict[str, int | bytes]) -> None:
    for mode in ("RGB", "RGBA"):
        data = file_of(picture(mode), "WEBP", **options)
        assert webp.is_lossy(data)
        assert webp.split(data, webp.read(data, LIMIT)) is None


def test_what_is_cut_short_is_damaged_and_the_limit_is_applied_first() -> None:
    data = file_of(picture("RGB"), "WEBP", lossless=True)
    for length in (0, 5, 12, 20, 40, len(data) * 2 // 3):
        with pytest.raises(UnreadableImageError):
            webp.read(data[:length], LIMIT)
    with pytest.raises(LimitError):
        webp.read(data, 100)


def test_a_remainder_that_makes_no_sense_is_refused() -> None:
    found, _ = picture_comes_back(webp, file_of(picture("RGB"), "WEBP", lossless=True))
    for remainder in (b"", b"\7", b"\0more", b"\2\5\0", b"\2\0\x50"):
        with pytest.raises(CorruptPayloadError):
            webp.join(bare(found), remainder)


SEEDS: dict[str, bytes] = {
    "RGB": file_of(picture("RGB"), "WEBP", lossless=True, exif=EXIF, icc_profile=b"profile"),
    "RGBA": file_of(picture("RGBA", 9, 7), "WEBP", lossless=True) + b"tail",
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(webp, SEEDS[name], 100)
