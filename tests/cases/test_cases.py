"""What users of image tools reported, one test a case: nothing that goes in is lost, and damage is named."""

from __future__ import annotations

import ctypes
import io
import platform
import struct
import zlib
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from command_line import listing, run
from PIL import Image, ImageCms, TiffImagePlugin
from samples import array, file_of, picture, png_of, raw_png, tiff16
from tiffs import LONG, SHORT, build

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def comes_back(source: bytes) -> densezip.Info:
    """Compress, and check that the same bytes come back."""
    data = densezip.compress(source, effort=1)
    assert densezip.export(data).data == source
    assert densezip.verify(data, original=source).exact == "file"
    return densezip.info(data)


@pytest.mark.parametrize("name", ["raw.dng", "raw.tif"])
def test_a_raw_picture_in_a_sub_directory_is_not_left_behind(name: str, tmp_path: Path) -> None:
    source = build(array(3), tags=((330, LONG, [8]), (50706, 1, b"\1\4\0\0")))
    (tmp_path / name).write_bytes(source)
    assert run("compress", "--rm", "-r", tmp_path).exit_code == 0
    assert listing(tmp_path) == [f"{name}.dz"]
    assert run("decompress", tmp_path / f"{name}.dz").exit_code == 0
    assert (tmp_path / name).read_bytes() == source


def test_three_pictures_of_one_stem_stay_three(tmp_path: Path) -> None:
    files = {
        f"p.{kind}": file_of(picture("RGB", seed=n), kind.upper()) for n, kind in enumerate(("png", "tiff", "jpeg"))
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for _ in range(3):
        run("compress", "-q", "-e1", "-f", "--rm", "-r", tmp_path)
    assert listing(tmp_path) == sorted(f"{name}.dz" for name in files)
    assert run("decompress", "-r", tmp_path).exit_code == 0
    assert all((tmp_path / name).read_bytes() == data for name, data in files.items())


@pytest.mark.skipif(platform.machine() != "x86_64" or platform.system() != "Linux", reason="numbers of its C library")
@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00])
def test_another_rounding_mode_changes_nothing(mode: int) -> None:
    library = ctypes.CDLL("libm.so.6")
    noise = np.random.default_rng(1).normal(0, 4, (40, 50, 3))
    pixels = (128 + 60 * np.sin(np.arange(50) / 17)[None, :, None] + noise).astype(np.uint8)
    wanted = densezip.compress(pixels, effort=1)
    assert densezip.info(wanted).model == "photo-1"
    assert library.fesetround(mode) == 0
    try:
        found = densezip.compress(pixels, effort=1)
        again = densezip.decompress(wanted)
        assert library.fegetround() == mode
    finally:
        library.fesetround(0)
    assert found == wanted
    np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("palette", [None, bytes(47)])
def test_a_palette_that_is_missing_or_no_palette_leaves_nothing(palette: bytes | None, tmp_path: Path) -> None:
    chunks = () if palette is None else ((b"PLTE", palette),)
    (tmp_path / "p.png").write_bytes(raw_png(2, 2, 8, 3, b"\0\0\1\0\1\0", chunks))
    assert run("compress", tmp_path / "p.png").exit_code == 3
    assert listing(tmp_path) == ["p.png"]


def sticker() -> np.ndarray[Any, Any]:
    """Something with colours of its own, many times."""
    one = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    return np.tile(one, (5, 5, 1))


def mandelbrot() -> np.ndarray[Any, Any]:
    """Bands around a fractal, in false colours."""
    y, x = np.mgrid[-1.2:1.2:120j, -2:0.8:140j]
    c, z, steps = x + 1j * y, np.zeros(x.shape, complex), np.zeros(x.shape, int)
    for _ in range(60):
        inside = np.abs(z) < 2
        z[inside] = z[inside] ** 2 + c[inside]
        steps += inside
    return np.stack([steps * 4, (steps * 9) % 256, 255 - steps * 4], 2).astype(np.uint8)


def false_colours() -> np.ndarray[Any, Any]:
    """A noisy field in a table of 256 colours."""
    rng = np.random.default_rng(1)
    field = np.clip(128 + 60 * np.sin(np.arange(130) / 20)[:, None] + rng.normal(0, 9, (130, 140)), 0, 255).astype(int)
    ramp = np.arange(256)
    table = np.stack([np.clip(3 * ramp, 0, 255), np.clip(3 * ramp - 255, 0, 255), np.clip(3 * ramp - 510, 0, 255)], 1)
    colours: np.ndarray[Any, Any] = table[field].astype(np.uint8)
    return colours


@pytest.mark.parametrize("make", [sticker, mandelbrot, false_colours])
def test_no_file_is_larger_than_the_best_of_webp_png_and_itself(make: Any) -> None:
    image = Image.fromarray(make())
    webp = min(len(file_of(image, "WEBP", lossless=True, method=m, quality=100, exact=True)) for m in (0, 4, 6))
    source = file_of(image, "PNG", optimize=True)
    sizes = [len(densezip.compress(source, effort=effort)) for effort in (1, 5, 9)]
    assert max(sizes) <= min(webp, len(source)) + 64
    assert sizes[2] <= 1.005 * min(sizes)
    assert len(densezip.compress(make(), effort=5)) <= min(webp, len(source)) + 64


def test_tags_of_maps_and_of_microscopes_come_back() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.update({33550: (1.0, 1.0, 0.0), 42113: "nan", 33723: b"\x1c\x02\0\0\2\0\1", 269: "a document"})
    comes_back(file_of(picture("RGB"), "TIFF", tiffinfo=tags))


def bmp(bits: int, pixels: bytes, masks: tuple[int, ...] = ()) -> bytes:
    """A BMP file of 4x2 pixels, by hand."""
    info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, 3 if masks else 0, len(pixels), 0, 0, 0, 0)
    head = info + struct.pack(f"<{len(masks)}I", *masks)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels


def test_alpha_that_a_bitmap_does_not_announce_comes_back() -> None:
    comes_back(bmp(32, bytes(range(32))))
    comes_back(bmp(16, struct.pack("<8H", *range(0x1234, 0x123C)), (0x7C00, 0x3E0, 0x1F, 0x8000)))


def test_a_bitmap_of_5_6_and_5_bits_is_exact() -> None:
    source = bmp(
        16, struct.pack("<8H", 0, 0xFFFF, 0xF800, 0x07E0, 0x001F, 0x1234, 0xABCD, 0x8410), (0xF800, 0x7E0, 0x1F)
    )
    comes_back(source)
    found = np.asarray(densezip.decompress(densezip.compress(source)))
    assert found[1, 1].tolist() == [255, 255, 255]
    assert found[1, 2].tolist() == [255, 0, 0]


def test_profiles_comments_and_bytes_behind_the_picture_come_back() -> None:
    comes_back(file_of(picture("P"), "GIF", comment=b"a hill"))
    comes_back(file_of(picture("RGB"), "BMP") + b"behind the picture")
    comes_back(png_of("RGB") + b"behind the picture")


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_a_chunk_of_over_a_mebibyte_is_no_damage(name: bytes) -> None:
    body = (b"profile\0\0" if name == b"iCCP" else b"text\0\0") + zlib.compress(bytes(2**20 + 1))
    comes_back(raw_png(2, 1, 8, 0, b"\0\1\2", ((name, body),)))


@pytest.mark.parametrize("chunk", [(b"pHYs", b"\0"), (b"gAMA", b""), (b"cHRM", bytes(9)), (b"iCCP", b"a\0\7junk")])
def test_a_malformed_chunk_that_touches_no_pixel_is_kept(chunk: tuple[bytes, bytes]) -> None:
    comes_back(raw_png(2, 1, 8, 0, b"\0\1\2", (chunk,)))


def patched_jpeg(marker: int, bits: int = 8) -> bytes:
    """A JPEG file that says it has another kind of frame, or other samples."""
    data = bytearray(file_of(picture("L"), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4] = marker, bits
    return bytes(data)


def test_jpeg_of_every_kind_is_kept_as_it_is() -> None:
    frames = [picture("RGB", seed=seed) for seed in range(2)]
    for source in (
        file_of(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        file_of(frames[0].convert("CMYK"), "JPEG"),
        patched_jpeg(0xC1, 12),
    ):
        assert comes_back(source).lossy_source
    assert not comes_back(patched_jpeg(0xC3)).lossy_source  # lossless JPEG


def test_sound_tiff_files_are_exact_or_kept_and_never_called_damaged() -> None:
    for source in (
        tiff16(array(2, "u2"), extrasample="unassalpha"),
        build(array(3, "u2"), bits=16, order=">", big=True),
        build(array(3), photometric=1),
        build(array(1), tags=((339, SHORT, [3]),)),
    ):
        comes_back(source)


def test_transparency_left_from_another_mode_makes_no_illegal_file() -> None:
    image = picture("RGB")
    image.info["transparency"] = 7
    with Image.open(io.BytesIO(densezip.export(densezip.compress(image)).data)) as found:
        found.load()
        assert found.mode == "RGB"


def test_the_second_picture_in_a_file_is_kept() -> None:
    comes_back(b"P3 1 1 255 1 2 3\nP3 1 1 255 4 5 6\n")
    comes_back(file_of(picture("L"), "PPM") + file_of(picture("L", seed=1), "PPM"))


@pytest.mark.parametrize("target", ["tiff", "bmp", "ppm", "qoi", "webp"])
def test_a_conversion_says_what_it_cannot_hold(target: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a hill"
    (tmp_path / "p.png").write_bytes(png_of("RGB", exif=exif.tobytes(), icc_profile=PROFILE, dpi=(300, 300)))
    run("compress", "-q", "-e1", tmp_path / "p.png")
    result = run("decompress", tmp_path / "p.png.dz", "-o", tmp_path / f"out.{target}")
    assert result.exit_code == 0
    named = {"tiff": [], "bmp": ["ICC profile", "EXIF"], "webp": ["resolution"]}.get(target, ["ICC profile", "EXIF"])
    assert all(name in result.stderr for name in named), result.stderr
    assert bool(result.stderr.strip()) or not named
    packed = (tmp_path / "p.png.dz").read_bytes()
    if named:
        assert run("decompress", "-f", "--rm", tmp_path / "p.png.dz", "-o", tmp_path / f"out.{target}").exit_code == 5
        assert (tmp_path / "p.png.dz").read_bytes() == packed
