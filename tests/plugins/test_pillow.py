"""Pillow opens and saves .dz files as any others."""

from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import densezip.pillow
import numpy as np
import pytest
from PIL import Image, ImageCms, UnidentifiedImageError
from samples import MODES, array, file_of, picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x0110] = "a camera"
    return made


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_every_mode_comes_back(mode: str) -> None:
    image = picture(mode)
    with Image.open(BytesIO(file_of(image, "DENSEZIP", effort=1))) as again:
        assert (again.format, again.mode, again.size) == ("DENSEZIP", image.mode, image.size)
        assert np.array_equal(np.asarray(again), np.asarray(image))
        assert again.getpalette() == image.getpalette()


def test_pixels_are_decoded_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(picture("RGB"), "DENSEZIP", effort=1, exif=exif())
    calls = []

    def decompress(packed: bytes) -> Any:
        calls.append(1)
        return densezip.decompress(packed)

    monkeypatch.setattr("densezip.plugins.pillow.decompress", decompress)
    image = Image.open(BytesIO(data))
    assert image.size == (31, 23)
    assert image.getexif()[0x0110] == "a camera"
    assert not calls
    image.load()
    image.load()
    assert calls == [1]


def test_metadata_is_saved_and_replaced_and_left_out() -> None:
    image = picture("RGB")
    first = Image.open(BytesIO(file_of(image, "DENSEZIP", effort=1, exif=exif(), icc_profile=PROFILE, dpi=(72, 72))))
    assert first.info["icc_profile"] == PROFILE
    assert first.info["dpi"] == pytest.approx((72, 72), abs=0.01)
    second = Image.open(BytesIO(file_of(first, "DENSEZIP", effort=1, icc_profile=None)))
    assert "icc_profile" not in second.info
    assert second.getexif()[0x0110] == "a camera"
    assert "exif" not in image.info  # the image that is saved stays as it is


def test_an_image_opened_by_its_path_lets_go_of_the_file(tmp_path: Path) -> None:
    picture("L").save(tmp_path / "a.dz", effort=1)
    image = Image.open(tmp_path / "a.dz")
    image.load()
    (tmp_path / "a.dz").unlink()
    image.save(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as again:
        assert np.array_equal(np.asarray(again), np.asarray(picture("L")))


def test_files_of_the_command_line_keep_their_metadata_in_pillow() -> None:
    data = densezip.compress(file_of(picture("P"), "PNG", dpi=(300, 300)), effort=1)
    image = Image.open(BytesIO(data))
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert image.convert("RGB").tobytes() == picture("P").convert("RGB").tobytes()


def test_a_jpeg_that_is_kept_opens_with_what_it_says() -> None:
    jpeg = file_of(picture("RGB"), "JPEG", exif=exif())
    image = Image.open(BytesIO(densezip.compress(jpeg)))
    assert image.getexif()[0x0110] == "a camera"
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(BytesIO(jpeg))))


@pytest.mark.parametrize("cut", [5, 30, -1])
def test_a_file_that_is_cut_short_is_no_image(cut: int) -> None:
    data = file_of(picture("RGB"), "DENSEZIP", effort=1)
    with pytest.raises(UnidentifiedImageError) as caught:
        Image.open(BytesIO(data[:cut]))
    assert isinstance(caught.value.__cause__, densezip.DensezipError)


def test_damaged_pixels_are_an_oserror() -> None:
    data = bytearray(file_of(picture("RGB"), "DENSEZIP", effort=1))
    data[-9] ^= 1
    with pytest.raises(OSError, match="damaged") as caught:
        Image.open(BytesIO(bytes(data))).load()
    assert isinstance(caught.value.__cause__ or caught.value, densezip.DensezipError | OSError)


def test_what_pillow_has_no_mode_for_is_refused_with_the_way_out() -> None:
    data = densezip.compress(array(3, "u2"), effort=1)
    with pytest.raises(UnidentifiedImageError, match=r"RGB;16.*densezip\.decompress"):
        Image.open(BytesIO(data))
    with pytest.raises(OSError, match="CMYK"):
        file_of(Image.new("CMYK", (2, 2)), "DENSEZIP")


def test_options_out_of_range_are_an_oserror() -> None:
    with pytest.raises(OSError, match="effort 11"):
        file_of(picture("L"), "DENSEZIP", effort=11)


def test_registering_twice_changes_nothing() -> None:
    before = Image.ID.count("DENSEZIP")
    densezip.pillow.register()
    assert Image.ID.count("DENSEZIP") == before == 1
    assert Image.registered_extensions()[".dz"] == "DENSEZIP"
    assert Image.MIME["DENSEZIP"] == "image/x-densezip"


def test_an_animation_that_is_kept_whole_says_how_it_comes_back() -> None:
    gif = file_of(picture("L"), "GIF", save_all=True, append_images=[picture("L", seed=1)])
    with pytest.raises(UnidentifiedImageError, match=r"kept whole; densezip\.export"):
        Image.open(BytesIO(densezip.compress(gif)))
