"""Outputs of commands that draw and train: checked before the work, overwritten only when told to."""

import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import listing, run
from densezip.cli import sample as module
from densezip.cli.drawing import Drawing
from densezip.models.photo import train
from PIL import Image


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no model be loaded."""

    def never(*args: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(module, "_with_torch", never)
    monkeypatch.setattr(train, "train_photo", never)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there.png", "exists: give -f to overwrite it"),
        ("missing/new.png", "there is no folder"),
        ("new.xyz", "no image format is known for the suffix '.xyz'"),
        ("new", "no image format is known for the suffix ''"),
        (".", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(name: str, message: str, tmp_path: Path) -> None:
    for image in ("there.png", "image.png", "mask.png"):
        Image.new("L", (4, 4)).save(tmp_path / image)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    inpaint = ("inpaint", "model", tmp_path / "image.png", "--mask", tmp_path / "mask.png")
    denoise = ("denoise", "model", tmp_path / "image.png", "--noise", "5")
    for args in (("sample", "model"), inpaint, denoise):
        result = run(*args, "-o", tmp_path / name)
        assert result.exit_code == 5
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("no_work")
def test_an_image_is_not_overwritten_by_what_is_made_from_it(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    Image.new("L", (4, 4)).save(image)
    result = run("inpaint", "model", image, "--mask", image, "-f", "-o", image)
    assert result.exit_code == 5
    assert "is the input itself" in result.stderr


@pytest.mark.parametrize(("name", "kind"), [("new.png", "PNG"), ("new.webp", "WEBP"), ("new.bmp", "BMP")])
def test_a_drawing_is_written_in_the_format_of_its_name(name: str, kind: str, tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    (tmp_path / name).write_bytes(b"old")
    Drawing(str(tmp_path / name), force=True).write(pixels)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
        assert image.size == (5, 4)
    assert listing(tmp_path) == [name]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("model", ["photo", "pixelcnn++"])
def test_training_overwrites_no_earlier_results(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "best.safetensors").write_bytes(b"days of work")
    args = ("train", model, "--data", str(tmp_path), "--out", str(out))
    result = run(*args)
    assert result.exit_code == 5
    assert "has best.safetensors, of another training" in result.stderr
    assert (out / "best.safetensors").read_bytes() == b"days of work"
    # Past this check, the next thing that is missing is torch.
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("densezip.models.photo.train")]:
        monkeypatch.delitem(sys.modules, name)
    for option in ("-f", "--resume"):
        assert "torch, which is missing" in run(*args, option).stderr


@pytest.mark.usefixtures("no_work")
def test_training_needs_a_folder_that_takes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = run("train", "photo", "--data", tmp_path, "--out", tmp_path / "file" / "out")
    assert result.exit_code == 5
    assert "cannot be written to" in result.stderr
    monkeypatch.setattr("os.access", lambda *args: False)
    assert run("train", "pixelcnn++", "--data", "deadleaves", "--out", tmp_path / "out").exit_code == 5
