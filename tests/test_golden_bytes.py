"""Files written once, byte for byte: they decode for as long as format version 2 is read."""

from pathlib import Path

import densezip
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

GOLDEN = {
    "indexed": (
        "89445a0a02301005181407696e6465786564000000013b943b2cbe9c455234ddafb77f2404504c54450c000000ff000000ff000909"
        "ff26eb4ad50300b97f5b06974e946388273b49cdaf669c58c8e2aeb773ebbad5361ee4d2337ee04824eeac34eb81f244e5da8a7c23"
        "18a6da5d"
    ),
    "webp": (
        "89445a0a0224110518143b943b2cbe9c45526acb71d01a2404504c54450c000000ff000000ff000909ff93a820bb52494646620000"
        "00574542505650384c550000002f17c0040085c2b66d1bdbfaffe9a6bb3d20a2ff0adcb6519ac131fec2850a8a14933e5b761a74c8"
        "d2be64db097d5fd41d4ff67dd15f27d05db023245baf2280edd0a76ed32e772726705ff7df7fff1fffff976d0500"
    ),
    "png": (
        "89445a0a021182080403d9f419683e7cd93c604dca5d44b2bf863f89504e470d0a1a0a0000000d4948445200000004000000031002"
        "0000006b06e5d2000000274944415408d76364606060646062e644878ccc2f985f32bf421662814096172088a2fa05080200eee109"
        "76cb17613a0000000049454e44ae426082"
    ),
    "stored": ("89445a0a0215030103020370706d55d2e3e15b8df77711748916f15b14f05850350a3320320a3235350a000102030405"),
}


def palette_image() -> npt.NDArray[np.uint8]:
    """What the first two hold, as indices [20, 24]."""
    down, across = np.mgrid[0:20, 0:24]
    indices: npt.NDArray[np.uint8] = (((across // 5 + down // 3) % 4) ^ (across * down % 7 == 0)).astype(np.uint8)
    return indices


@pytest.mark.parametrize("name", ["indexed", "webp"])
def test_a_palette_image_of_version_2_decodes(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name])
    about = densezip.verify(data)
    assert name in (about.model, about.payload)
    assert (about.format_version, about.mode) == (2, "P")
    image = densezip.decompress(data)
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), palette_image())
    assert image.getpalette() == [0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 255]


def test_a_16_bit_array_of_version_2_decodes() -> None:
    samples = np.add.outer(np.arange(3) * 1000, np.arange(4) * 777)[:, :, None] + np.arange(3)
    found = densezip.decompress(bytes.fromhex(GOLDEN["png"]))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint16
    assert np.array_equal(found, samples)


def test_a_stored_file_of_version_2_decodes() -> None:
    data = bytes.fromhex(GOLDEN["stored"])
    assert densezip.export(data) == (b"P5\n3 2\n255\n\0\1\2\3\4\5", "ppm", ())
    image = densezip.decompress(data)
    assert isinstance(image, Image.Image)
    assert image.tobytes() == bytes(range(6))


def test_the_indexed_model_still_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from densezip.codec.file import candidates

    monkeypatch.setattr(candidates, "SMALL_FILE", 0)
    image = Image.fromarray(palette_image())
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 255])
    assert densezip.compress(image).hex() == GOLDEN["indexed"]


def test_a_jpeg_file_that_was_recoded_once_comes_back() -> None:
    folder = Path(__file__).parent / "golden"
    coded = (folder / "progressive-e5.dz").read_bytes()
    original = (folder / "progressive.jpg").read_bytes()
    assert densezip.info(coded).jpeg == "quality 82, 4:2:0, progressive, 1 more images inside"
    assert densezip.export(coded) == (original, "jpg", ())
    assert densezip.compress(original, effort=5) == coded


@pytest.mark.parametrize(
    ("name", "mode", "version"),
    [("chained", "", 5), ("chained-best", "best", 5), ("chained-exact", "exact", 5), ("chained-grown", "exact", 9)],
)
def test_a_file_by_a_density_model_that_was_written_once_decodes(
    name: str, mode: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(__file__).parent / "golden"
    monkeypatch.setenv("DENSEZIP_MODELS", str(folder))
    file = folder / f"{name}.dz"
    about = densezip.info(file.read_bytes())
    assert (about.payload, about.model) == ("chained", f"{mode}:mcgsm-grey" if mode else "mcgsm-grey")
    assert about.format_version == version
    with Image.open(folder / "grey.png") as image:
        assert np.array_equal(np.asarray(densezip.decompress(file.read_bytes())), np.asarray(image))


def test_a_picture_that_was_a_jpeg_file_still_comes_back() -> None:
    folder = Path(__file__).parent / "golden"
    coded = (folder / "decoded-e5.dz").read_bytes()
    assert densezip.info(coded).history == "quality 82, 4:2:0"
    with Image.open(folder / "decoded.png") as picture:
        assert np.array_equal(np.asarray(densezip.decompress(coded)), np.asarray(picture))


def test_a_file_with_a_preview_that_was_written_once_decodes() -> None:
    folder = Path(__file__).parent / "golden"
    coded = (folder / "tiny-preview.dz").read_bytes()
    about = densezip.verify(coded)
    assert (about.format_version, about.model, about.preview) == (7, "photo-1", 86)
    small = densezip.preview(coded)
    assert small is not None
    with Image.open(folder / "tiny.png") as picture:
        assert small.size == picture.size
        assert np.array_equal(np.asarray(densezip.decompress(coded)), np.asarray(picture))
