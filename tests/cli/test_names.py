"""What outputs are called, and that no two inputs take one name, in one run and over runs."""

import os
import shutil
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from command_line import Paint, listing, pixels, run
from densezip.cli import api
from densezip.cli.names import compressed_name, decompressed_name
from PIL import Image


@pytest.mark.parametrize(
    ("name", "source_format", "expected"),
    [
        ("photo.tif.dz", "tif", "photo.tif"),
        ("photo.tiff.dz", "tif", "photo.tiff"),
        ("photo.TIF.DZ", "tif", "photo.TIF"),
        ("photo.dz", "png", "photo.png"),
        ("my.holiday.dz", "png", "my.holiday.png"),
        ("photo.png.dz", "jpg", "photo.png"),
        ("photo.jpeg.dz", "jpg", "photo.jpeg"),
        ("photo.packed", "png", "photo.packed.png"),
        ("photo.png", "png", "photo.png.png"),
        (".dz", "png", ".dz.png"),
    ],
)
def test_decompressing_takes_off_what_compressing_added(name: str, source_format: str, expected: str) -> None:
    assert decompressed_name(name, source_format) == expected


def test_every_name_comes_back() -> None:
    for name in ("a.png", "a", "a.PNG", "a.tar.png", ".a.png", "a.dz.png"):
        assert compressed_name(name) == name + ".dz"
    assert decompressed_name(compressed_name("a.dz.png"), "png") == "a.dz.png"


@pytest.mark.parametrize("extension", ["png", "tif", "tiff", "bmp", "gif", "webp", "ppm", "pgm", "qoi", "jpg", "jpeg"])
def test_a_file_comes_back_under_its_name_and_format(tmp_path: Path, extension: str) -> None:
    source = tmp_path / f"photo.{extension}"
    image = Image.fromarray(np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3))
    (image.convert("L") if extension == "pgm" else image).save(source, lossless=True)
    before, shown = source.read_bytes(), pixels(source)
    assert run("compress", "-q", "--rm", source).exit_code == 0
    packed = tmp_path / f"photo.{extension}.dz"
    assert listing(tmp_path) == [packed.name]
    assert run("decompress", "-q", packed).exit_code == 0
    assert listing(tmp_path) == [source.name, packed.name]
    assert pixels(source) == shown
    if densezip.info(packed).exact == "file":
        assert source.read_bytes() == before


def test_a_file_that_is_not_decoded_comes_back_whole(tmp_path: Path) -> None:
    source = tmp_path / "scan.jxl"
    source.write_bytes(b"\xff\x0a" + bytes(range(200)))
    before = source.read_bytes()
    result = run("compress", "-v", "--rm", source)
    assert result.exit_code == 0
    assert "    kept whole: " in result.stderr
    assert run("info", tmp_path / "scan.jxl.dz").exit_code == 0
    shutil.copyfile(tmp_path / "scan.jxl.dz", tmp_path / "twin.dz")
    table = run("info", tmp_path / "scan.jxl.dz", tmp_path / "twin.dz").stdout.splitlines()
    assert table[1].split()[1:] == ["file", "jxl", str(tmp_path / "scan.jxl.dz")]
    (tmp_path / "twin.dz").unlink()
    assert run("test", tmp_path / "scan.jxl.dz").exit_code == 0
    assert run("decompress", "--rm", tmp_path / "scan.jxl.dz").exit_code == 0
    assert listing(tmp_path) == ["scan.jxl"]
    assert source.read_bytes() == before


def test_three_pictures_of_one_stem_survive_any_number_of_runs(tmp_path: Path) -> None:
    before = {}
    for seed, extension in enumerate(("jpg", "png", "tif")):
        noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"p.{extension}")
        before[extension] = pixels(tmp_path / f"p.{extension}")
    for _ in range(3):
        run("compress", "-q", "-f", "--rm", "-r", tmp_path)
    assert listing(tmp_path) == ["p.jpg.dz", "p.png.dz", "p.tif.dz"]
    for extension, expected in before.items():
        assert (
            run("decompress", "-q", tmp_path / f"p.{extension}.dz", "-o", tmp_path / "again.png", "-f").exit_code == 0
        )
        assert pixels(tmp_path / "again.png") == expected


def test_force_and_rm_replace_no_other_pictures_copy(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    first = pixels(source)
    assert run("compress", "--rm", source).exit_code == 0
    paint(shade=9)
    result = run("compress", "-f", "--rm", source)
    assert result.exit_code == 5
    assert result.stderr.count("\n") == 1
    assert "does not give back this file" in result.stderr
    assert source.exists()
    assert run("decompress", tmp_path / "photo.png.dz", "-o", tmp_path / "first.png").exit_code == 0
    assert pixels(tmp_path / "first.png") == first
    # Without --rm nothing is lost: both are there until the user says otherwise.
    assert run("compress", "-f", source).exit_code == 0
    assert run("compress", "-f", "--rm", "-e", "9", source).exit_code == 0
    assert not source.exists()


def test_force_and_rm_replace_nothing_that_is_no_densezip_file(paint: Paint, tmp_path: Path) -> None:
    source, target = paint(), tmp_path / "photo.png.dz"
    target.write_bytes(b"precious")
    assert run("compress", "-f", "--rm", source).exit_code == 5
    assert target.read_bytes() == b"precious"
    assert source.exists()


def test_decompressing_with_force_and_rm_replaces_no_other_picture(packed: Path, tmp_path: Path, paint: Paint) -> None:
    other = paint(shade=9).read_bytes()
    result = run("decompress", "-f", "--rm", packed)
    assert result.exit_code == 5
    assert (tmp_path / "photo.png").read_bytes() == other
    assert packed.exists()
    assert run("decompress", "-f", packed).exit_code == 0
    result = run("decompress", "-f", "--rm", packed)
    assert result.exit_code == 0
    assert listing(tmp_path) == ["photo.png"]


def test_two_files_that_would_become_one_are_refused(packed: Path, tmp_path: Path) -> None:
    twin = tmp_path / "photo.dz"
    shutil.copyfile(packed, twin)
    for options in ((), ("-f",), ("-f", "--rm")):
        for made in tmp_path.glob("*.png"):
            made.unlink()
        shutil.copyfile(twin, packed)
        result = run("decompress", *options, packed, twin)
        assert result.exit_code == 6
        assert f"densezip: {twin}: {tmp_path / 'photo.png'} is the output of {packed} already" in result.stderr
        assert twin.exists()


def test_names_that_a_disk_takes_for_one_are_told_by_the_file(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = paint("a.png"), paint("b.png", shade=9)
    original = api.compress

    def alias(data: api.Named, **options: Any) -> bytes:
        if data.getvalue() == second.read_bytes():
            # As if the disk took both names for one.
            os.link(tmp_path / "a.png.dz", tmp_path / "b.png.dz")
        return original(data, **options)

    monkeypatch.setattr(api, "compress", alias)
    for options in (("-f",), ()):
        result = run("compress", "-q", "-T", "1", *options, first, second)
        assert result.exit_code == 6
        assert "b.png.dz is the output of another input already" in result.stderr
        assert run("decompress", tmp_path / "a.png.dz", "-o", tmp_path / "again.png", "-f").exit_code == 0
        assert pixels(tmp_path / "again.png") == pixels(first)
        for made in tmp_path.glob("*.dz"):
            made.unlink()
