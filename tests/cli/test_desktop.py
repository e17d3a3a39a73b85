"""Thumbnails, and what a desktop is told of them."""

import configparser
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import densezip
import numpy as np
import pytest
from command_line import listing, run
from densezip.cli import thumbnail as module
from densezip.cli.desktop import entries
from densezip.codec.images import thumbnails
from PIL import Image, PngImagePlugin
from samples import MODES, array, file_of, picture

THUMBNAILER, TYPE = "thumbnailers/densezip.thumbnailer", "mime/packages/densezip.xml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop of its own, without programs."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    return tmp_path


def small(path: Path, size: int = 64, folder: Path | None = None) -> Image.Image:
    out = (folder or path.parent) / "small.png"
    result = run("thumbnail", path, out, "--size", str(size))
    assert result.exit_code == 0, result.stderr
    with Image.open(out) as image:
        image.load()
        return image.copy()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_a_thumbnail(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dz"
    path.write_bytes(densezip.compress(picture(mode, 40, 80), effort=1))
    found = small(path, 20)
    assert (found.format or "PNG", found.size) == ("PNG", (20, 10))
    assert found.mode == ("RGBA" if "A" in mode else "RGB")
    assert np.ptp(np.asarray(found)[..., 0]) > 0


@pytest.mark.usefixtures("home")
def test_bright_and_dark_of_16_bits_stay_so(tmp_path: Path) -> None:
    for channels in (1, 3):
        samples = np.full((8, 8, channels), 200 * 256, np.uint16)
        samples[:, 4:] = 20 * 256
        for data in (samples, Image.fromarray(samples[:, :, 0])):
            (tmp_path / "a.dz").write_bytes(densezip.compress(data, effort=1))
            found = np.asarray(small(tmp_path / "a.dz"))
            assert abs(int(found[0, 0, 0]) - 200) <= 1
            assert abs(int(found[0, 7, 0]) - 20) <= 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_thumbnail_is_upright_and_replaces_what_was_there(kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path, out = tmp_path / "a.dz", tmp_path / "small.png"
    path.write_bytes(densezip.compress(file_of(picture("RGB", 40, 80), kind, exif=exif), effort=1))
    out.write_bytes(b"made by mkstemp")
    assert small(path, 20).size == (10, 20)


@pytest.mark.usefixtures("home")
def test_a_stored_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.dz"
    path.write_bytes(densezip.compress(file_of(picture("RGB", 640, 1280), "JPEG")))
    monkeypatch.setattr(module, "decompress", None)
    sizes: list[tuple[int, int]] = []

    def shrunk(image: Image.Image, size: int) -> Image.Image:
        sizes.append(image.size)
        return image.resize((size, size // 2))

    monkeypatch.setattr(thumbnails, "shrunk", shrunk)
    assert small(path, 64).size == (64, 32)
    assert sizes == [(320, 160)]


@pytest.mark.usefixtures("home")
def test_errors_of_a_thumbnail_leave_nothing(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dz", tmp_path / "small.png"
    path.write_bytes(b"no such file")
    assert run("thumbnail", path, out).exit_code == 3
    assert run("thumbnail", tmp_path / "none.dz", out).exit_code == 3
    assert run("thumbnail", path, out, "--size", "0").exit_code == 2
    assert run("thumbnail", path, path).exit_code == 5
    assert listing(tmp_path) == ["a.dz"]


def cache(home: Path, path: Path, folder: str, shade: int, side: int, mtime: int) -> None:
    """Enters a picture into the cache, as a file manager does."""
    name = hashlib.md5(path.resolve().as_uri().encode()).hexdigest() + ".png"
    about = PngImagePlugin.PngInfo()
    about.add_text("Thumb::MTime", str(mtime))
    place = home / "cache" / "thumbnails" / folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (shade, 0, 0)).save(place, pnginfo=about)


def test_a_larger_picture_in_the_cache_spares_the_decoding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "a b.dz"
    path.write_bytes(densezip.compress(picture("L"), effort=1))
    now = int(time.time())
    os.utime(path, (now, now))
    cache(home, path, "normal", 1, 128, now)
    cache(home, path, "large", 2, 256, now)
    monkeypatch.setattr(module, "decompress", None)
    assert small(path, 128).getpixel((0, 0)) == (2, 0, 0)
    assert small(path, 100).size == (100, 100)
    monkeypatch.undo()
    # One that is as large as what is asked for may be less than there is; one of a changed file is of another.
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    assert small(path, 256).size == (31, 23)
    os.utime(path, (now + 9, now + 9))
    assert small(path, 100).size == (31, 23)


def test_a_damaged_cache_is_not_used(home: Path) -> None:
    path = home / "a.dz"
    path.write_bytes(densezip.compress(picture("L"), effort=1))
    cache(home, path, "large", 2, 256, int(path.stat().st_mtime))
    (place,) = (home / "cache" / "thumbnails" / "large").iterdir()
    place.write_bytes(place.read_bytes()[:60])
    assert small(path, 100).size == (31, 23)


def test_installing_writes_two_files_and_removing_takes_them_away(home: Path) -> None:
    result = run("desktop-install")
    assert result.exit_code == 0
    assert "update-mime-database is missing" in result.stderr
    assert {THUMBNAILER, TYPE} <= set(listing(home / "data"))
    assert run("desktop-install", "--user").exit_code == 0
    result = run("desktop-install", "--remove")
    assert result.exit_code == 0
    assert not [name for name in listing(home / "data") if (home / "data" / name).is_file()]
    assert "there is no" in run("desktop-install", "--remove").stderr


def test_files_of_others_are_left_alone(home: Path) -> None:
    path = home / "data" / THUMBNAILER
    path.parent.mkdir(parents=True)
    path.write_text("[Thumbnailer Entry]\nExec=mine\n")
    result = run("desktop-install")
    assert result.exit_code == 5
    assert "is not densezip's" in result.stderr
    run("desktop-install", "--remove")
    assert "mine" in path.read_text()


def test_the_thumbnailer_is_a_key_file_whose_command_makes_a_thumbnail(home: Path) -> None:
    assert run("desktop-install").exit_code == 0
    keys = configparser.ConfigParser(interpolation=None)
    keys.optionxform = str  # type: ignore[assignment,method-assign]
    keys.read(home / "data" / THUMBNAILER)
    assert keys.sections() == ["Thumbnailer Entry"]
    entry = keys["Thumbnailer Entry"]
    assert set(entry) == {"TryExec", "Exec", "MimeType"}
    assert os.access(entry["TryExec"], os.X_OK)
    assert entry["MimeType"] == "image/x-densezip;"
    source, out = home / "a picture;.dz", home / "out.png"
    source.write_bytes(densezip.compress(picture("RGB", 40, 80), effort=1))
    values = {"%s": "16", "%i": str(source), "%o": str(out), "%%": "%"}
    command = [values.get(word, word) for word in shlex.split(entry["Exec"])]
    subprocess.run(command, check=True, timeout=120, cwd=home)
    with Image.open(out) as image:
        assert image.size == (16, 8)


def test_a_command_with_odd_characters_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/50% off/it's/python")
    line = entries()[THUMBNAILER].splitlines()[3]
    words = shlex.split(line.removeprefix("Exec=").replace("\\\\", "\\"))
    assert words[0].replace("%%", "%") == "/opt/50% off/it's/python"


def test_the_mime_type_is_well_formed_and_names_our_magic(home: Path) -> None:
    assert run("desktop-install").exit_code == 0
    space = "{http://www.freedesktop.org/standards/shared-mime-info}"
    root = ET.parse(home / "data" / TYPE).getroot()
    assert root.tag == f"{space}mime-info"
    (kind,) = root
    assert (kind.tag, kind.get("type")) == (f"{space}mime-type", "image/x-densezip")
    assert [glob.get("pattern") for glob in kind.iter(f"{space}glob")] == ["*.dz"]
    (match,) = kind.iter(f"{space}match")
    value = match.get("value", "").encode("ascii").decode("unicode_escape").encode("latin-1")
    assert value == densezip.compress(array(1), effort=1)[: len(value)]
    assert len(value) == 4


@pytest.mark.skipif(shutil.which("update-mime-database") is None, reason="no shared-mime-info here")
def test_the_desktops_own_program_takes_the_mime_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert run("desktop-install").exit_code == 0
    assert "image/x-densezip:*.dz" in (tmp_path / "mime" / "globs2").read_text()
    assert b"\x89DZ\n" in (tmp_path / "mime" / "magic").read_bytes()
    assert run("desktop-install", "--remove").exit_code == 0
    assert "densezip" not in (tmp_path / "mime" / "globs2").read_text()
