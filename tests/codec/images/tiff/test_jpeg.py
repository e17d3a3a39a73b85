"""JPEG in TIFF: the pixels that libtiff has, and not a word of a damaged file on standard error."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import DensezipError, UnreadableImageError
from densezip.codec.images.tiff import tiff
from PIL import Image
from samples import file_of, picture
from tiffs import LIMIT, build


def in_tiff(mode: str, **options: Any) -> bytes:
    return bytes(file_of(picture(mode).resize((83, 70)), "TIFF", compression="jpeg", **options))


@pytest.mark.parametrize("options", [{}, {"tiffinfo": {278: 16}}, {"quality": 30}])
@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "RGBA"])
def test_pixels_are_those_of_libtiff(mode: str, options: dict[str, Any]) -> None:
    source = "RGB" if mode == "YCbCr" else mode
    data = file_of(picture(source).resize((83, 70)).convert(mode), "TIFF", compression="jpeg", **options)
    found, lossy = tiff.read(data, LIMIT)
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image)
    assert lossy
    assert found.mode == source
    assert np.array_equal(found.pixels.squeeze(), expected)


def test_tiles_with_tables_and_colour_spaces_of_their_own_are_read() -> None:
    samples = np.asarray(picture("RGB").resize((40, 24)))

    def tile(raw: bytes) -> bytes:
        return bytes(file_of(Image.frombytes("RGB", (16, 16), raw), "JPEG", quality=95, comment=b"aside"))

    # Pillow's tiles are of luminance and chrominance, and say so in a marker; what the tag says counts.
    pictures = []
    for photometric in (6, 2):
        data = build(samples, tile=(16, 16), deflated=True, coder=tile, compression=7, photometric=photometric)
        pictures.append(tiff.read(data, LIMIT)[0].pixels)
    right, raw = pictures
    assert np.abs(right.astype(int) - samples).mean() < 12
    converted = np.asarray(Image.fromarray(raw, "YCbCr").convert("RGB"))
    assert np.abs(converted.astype(int) - right).max() <= 3


def test_damage_is_an_error_and_libraries_keep_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    data, rng = in_tiff("RGB"), np.random.default_rng(0)
    errors = 0
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(8, len(data), 3):
            damaged[place] = rng.integers(256)
        try:
            tiff.read(bytes(damaged), LIMIT)
        except DensezipError:
            errors += 1
    assert errors > 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("found", [b"\xff\xc0\x00\x11\x08\x00\x46\x00\x54", b"\xff\xc0\x00\x11\x08\x20\x00\x20\x00"])
def test_another_size_in_the_stream_is_an_error(found: bytes) -> None:
    data = in_tiff("RGB")
    frame = b"\xff\xc0\x00\x11\x08\x00\x46\x00\x53"
    assert data.count(frame) == 1
    with pytest.raises(UnreadableImageError, match="70 of 3"):
        tiff.read(data.replace(frame, found), LIMIT)
