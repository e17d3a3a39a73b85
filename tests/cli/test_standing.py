"""A second run with other options: what was made with less effort, or with other metadata, is made again."""

import os
from pathlib import Path

import densezip
import numpy as np
import pytest
from command_line import objects, run
from PIL import Image, PngImagePlugin


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture for the photo model, with metadata of both kinds."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    text.add(b"gAMA", (45455).to_bytes(4, "big"))
    path = tmp_path / "photo.png"
    small.resize((150, 130), Image.Resampling.BICUBIC).save(path, pnginfo=text)
    return path


def models(photo: Path) -> str | None:
    return densezip.info(photo.with_name("photo.png.dz")).model


def test_more_effort_is_made_again_if_it_is_asked_for(photo: Path) -> None:
    for options, model, redone in (
        (("-e", "1"), "photo-1", True),
        ((), "photo-1", False),  # the default is no wish
        (("-e", "1"), "photo-1", False),
        (("-e", "4"), "photo-5", True),
        (("-e", "6"), "photo-5", False),
        (("-e", "1"), "photo-5", False),
    ):
        result = run("compress", photo, *options)
        assert result.exit_code == 0
        assert models(photo) == model
        assert ("up to date" not in result.stderr) == redone
        assert densezip.export(photo.with_name("photo.png.dz")).data == photo.read_bytes()


def test_other_metadata_are_made_again(photo: Path) -> None:
    target = photo.with_name("photo.png.dz")
    every = {"": "file", "--strip": None, "--strip=all": None}
    made: dict[str, bytes] = {}
    for _ in range(2):
        for option, exact in every.items():
            args = ["compress", "-e", "1", str(photo), *filter(None, [option])]
            assert "up to date" not in run(*args).stderr
            made.setdefault(option, target.read_bytes())
            assert target.read_bytes() == made[option]
            assert (densezip.info(target).exact in ("file", "picture")) == (exact is not None)
            assert "up to date" in run(*args).stderr
    assert len(set(made.values())) == 3


def test_a_stored_file_is_compared_with_its_source(tmp_path: Path) -> None:
    photo, target = tmp_path / "a.jpg", tmp_path / "a.jpg.dz"
    Image.linear_gradient("L").save(photo, comment=b"to be dropped")
    for options, kept in (([], True), (["--strip"], False), (["--strip"], False), ([], True), ([], True)):
        assert run("compress", photo, *options).exit_code == 0
        assert (densezip.export(target).data == photo.read_bytes()) == kept
    assert "up to date" in run("compress", photo).stderr


def test_what_is_stored_without_its_metadata_is_not_called_exact(tmp_path: Path) -> None:
    photo, plain = tmp_path / "a.jpg", tmp_path / "plain.jpg"
    Image.linear_gradient("L").save(photo, comment=b"to be dropped")
    Image.linear_gradient("L").save(plain)
    found = objects(run("compress", "--json", "--strip", photo, plain))
    assert [each["exact"] for each in found] == [None, "file"]
    assert "file exact" not in run("compress", "-f", "-v", "--strip", photo).stderr
    assert "file exact" in run("compress", "-f", "-v", photo).stderr


def test_a_file_of_another_picture_is_not_made_again(photo: Path) -> None:
    target, status = photo.with_name("photo.png.dz"), photo.stat()
    assert run("compress", "-q", "-e", "1", photo).exit_code == 0
    before = target.read_bytes()
    with Image.open(photo) as image:
        changed = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    changed.save(photo)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(photo, ns=times)
    for options in (["-e", "5"], ["--strip"]):
        result = run("compress", photo, *options)
        assert result.exit_code == 5
        assert "exists: give -f" in result.stderr
    assert target.read_bytes() == before


def test_a_dry_run_says_what_would_be_made_again(photo: Path) -> None:
    assert run("compress", "-q", "-e", "1", photo).exit_code == 0
    assert "made with other options" in run("compress", "-n", "-e", "5", photo).stderr
    assert models(photo) == "photo-1"


@pytest.mark.parametrize("options", [(), ("--strip",), ("--strip=all",)])
def test_a_source_goes_when_what_was_asked_for_is_there(photo: Path, options: tuple[str, ...]) -> None:
    pixels = np.asarray(Image.open(photo))
    assert run("compress", "-q", "-e", "1", *options, photo).exit_code == 0
    inode = photo.with_name("photo.png.dz").stat().st_ino
    result = run("compress", "-e", "1", "--rm", *options, photo)
    assert result.exit_code == 0, result.stderr
    assert not photo.exists()
    assert photo.with_name("photo.png.dz").stat().st_ino == inode
    assert np.array_equal(np.asarray(densezip.decompress(photo.with_name("photo.png.dz"))), pixels)


def test_a_source_goes_after_it_was_made_again(photo: Path) -> None:
    source = photo.read_bytes()
    assert run("compress", "-q", "-e", "1", "--strip", photo).exit_code == 0
    [found] = objects(run("compress", "-e", "4", "--rm", "--json", photo))
    assert (found["status"], found["removed"]) == ("coded", True)
    assert not photo.exists()
    assert densezip.export(photo.with_name("photo.png.dz")).data == source
