"""`--rm` removes what was proved to come back, and nothing else."""

import os
from pathlib import Path
from typing import Any

import densezip
import pytest
from command_line import Paint, listing, objects, pixels, run
from densezip.cli import api
from PIL import Image, PngImagePlugin


def with_metadata(path: Path) -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "irreplaceable")
    Image.new("RGB", (9, 5), (1, 2, 3)).save(path, pnginfo=info, exif=_exif())
    return path


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    return exif


def test_the_file_on_the_disk_is_compared_with_the_source(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint()
    data, seen = source.read_bytes(), []
    original = api.verify

    def record(written: bytes, **options: Any) -> densezip.Info:
        seen.append((written, options["original"]))
        return original(written, **options)

    monkeypatch.setattr(api, "verify", record)
    assert run("compress", "--rm", source).exit_code == 0
    assert seen == [((tmp_path / "photo.png.dz").read_bytes(), data)]


def test_a_densezip_file_of_another_picture_removes_nothing(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = paint(), paint("other.png", shade=9)
    wrong = densezip.compress(other)
    monkeypatch.setattr(api, "compress", lambda data, **options: wrong)
    result = run("compress", "--rm", source)
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert listing(tmp_path) == ["other.png", "photo.png"]


def test_a_densezip_file_without_the_metadata_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_metadata(tmp_path / "photo.png")
    poorer = densezip.compress(source, strip=True)
    monkeypatch.setattr(api, "compress", lambda data, **options: poorer)
    assert run("compress", "--rm", source).exit_code == 3
    assert listing(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("option", ["--strip", "--strip=all"])
def test_stripped_files_are_compared_by_their_pixels(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paint: Paint
) -> None:
    source = with_metadata(tmp_path / "photo.png")
    before = pixels(source)
    assert run("compress", option, "--rm", source).exit_code == 0
    assert listing(tmp_path) == ["photo.png.dz"]
    assert run("decompress", tmp_path / "photo.png.dz").exit_code == 0
    assert pixels(tmp_path / "photo.png") == before
    with Image.open(tmp_path / "photo.png") as image:
        assert "Comment" not in image.info
        assert not image.getexif()
    wrong = densezip.compress(paint("other.png"))
    monkeypatch.setattr(api, "compress", lambda data, **options: wrong)
    assert run("compress", "-f", option, "--rm", with_metadata(tmp_path / "third.png")).exit_code == 3
    assert (tmp_path / "third.png").exists()


def test_a_source_that_was_replaced_meanwhile_is_kept(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint()
    status = source.stat()
    original = api.compress

    def replace(data: api.Named, **options: Any) -> bytes:
        # Another file of the same size and time under the same name.
        changed = bytearray(data.getvalue())
        changed[-20] ^= 1
        twin = tmp_path / "twin"
        twin.write_bytes(changed)
        os.utime(twin, ns=(status.st_atime_ns, status.st_mtime_ns))
        twin.replace(source)
        return original(data, **options)

    monkeypatch.setattr(api, "compress", replace)
    result = run("compress", "--rm", source)
    assert result.exit_code == 5
    assert "has changed since it was read, and is kept" in result.stderr
    assert source.exists()


def test_a_source_with_its_output_is_removed_after_the_same_check(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    assert run("compress", source).exit_code == 0
    status = source.stat()
    # A picture of the same size in its place, with the same time: the header does not tell them apart.
    paint(shade=9)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("compress", "--rm", source).exit_code == 5
    assert source.exists()
    paint()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    result = run("compress", "--rm", source)
    assert result.exit_code == 0
    assert "the source was removed" in result.stderr
    assert listing(tmp_path) == ["photo.png.dz"]


def test_decompressing_removes_what_was_written_again(packed: Path, tmp_path: Path) -> None:
    assert run("decompress", "--rm", packed).exit_code == 0
    assert listing(tmp_path) == ["photo.png"]


def test_decompressing_compares_the_bytes_on_the_disk(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"rotten")
    result = run("decompress", "--rm", packed)
    assert result.exit_code == 3
    assert "the file on the disk is not what was written" in result.stderr
    assert listing(tmp_path) == ["photo.png.dz"]


def test_a_conversion_that_loses_something_says_so_and_removes_nothing(tmp_path: Path) -> None:
    with_metadata(tmp_path / "photo.png")
    packed = tmp_path / "photo.png.dz"
    assert run("compress", "--rm", tmp_path / "photo.png").exit_code == 0
    target = tmp_path / "photo.bmp"
    refused = run("decompress", "--rm", packed, "-o", target)
    assert refused.exit_code == 5
    assert refused.stderr.count("\n") == 1
    assert "cannot hold" in refused.stderr
    assert "EXIF" in refused.stderr
    assert listing(tmp_path) == ["photo.png.dz"]
    said = run("decompress", packed, "-o", target)
    assert said.exit_code == 0
    assert len([line for line in said.stderr.splitlines() if "cannot hold" in line and "EXIF" in line]) == 1
    assert run("decompress", "-q", "-f", packed, "-o", target).output == ""
    [found] = objects(run("decompress", "--json", "-f", packed, "-o", target))
    assert "EXIF" in found["lost"]


def test_a_conversion_of_what_may_hold_more_removes_nothing(paint: Paint, tmp_path: Path) -> None:
    trailing = paint("trailing.png")
    trailing.write_bytes(trailing.read_bytes() + b"bytes behind the end")
    Image.new("RGB", (5, 4)).save(tmp_path / "photo.tif", tiffinfo={65000: "a private tag"})
    for name in ("trailing.png", "photo.tif"):
        source, packed = tmp_path / name, tmp_path / f"{name}.dz"
        before = source.read_bytes()
        assert run("compress", "-q", "--rm", source).exit_code == 0
        target = tmp_path / ("out.tif" if name.endswith("png") else "out.png")
        result = run("decompress", "--rm", packed, "-o", target)
        assert result.exit_code == 5
        assert "cannot hold" in result.stderr
        assert not target.exists()
        # Nor if the output is there already.
        assert run("decompress", packed, "-o", target).exit_code == 0
        assert run("decompress", "-f", "--rm", packed, "-o", target).exit_code == 5
        assert packed.exists()
        assert run("decompress", "--rm", packed).exit_code == 0
        assert source.read_bytes() == before


def test_a_conversion_that_holds_everything_may_remove(paint: Paint, tmp_path: Path) -> None:
    before = pixels(paint())
    assert run("compress", "-q", "--rm", tmp_path / "photo.png").exit_code == 0
    assert run("decompress", "--rm", tmp_path / "photo.png.dz", "-o", tmp_path / "out.tif").exit_code == 0
    assert listing(tmp_path) == ["out.tif"]
    assert pixels(tmp_path / "out.tif") == before


def test_what_is_no_file_cannot_be_the_proof(paint: Paint, packed: Path) -> None:
    for args in (("compress", paint("a.png"), "-o", "/dev/null"), ("decompress", packed, "-o", "/dev/null")):
        result = run(*args, "--rm")
        assert result.exit_code == 5
        assert "needs a file for output" in result.stderr
    assert run("compress", paint("a.png"), "-o", "/dev/stdout", "--rm").exit_code == 2
