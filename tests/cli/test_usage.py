"""The command line's words: wrong ones, help, version, and the command that needs more than was installed."""

import inspect
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from click.testing import CliRunner, Result
from densezip.cli import api, batch, version
from densezip.cli.main import app
from densezip.codec import native
from densezip.codec.errors import NativeCoreError
from densezip.codec.file.container import FORMAT_VERSION
from densezip.models.photo import train
from leaves import dead_leaves
from PIL import Image

TRAINING_OPTIONS = inspect.signature(train.train_photo).parameters.keys()


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


@pytest.mark.parametrize(
    "args",
    [
        ("compress",),
        ("compress", "a.png", "-e", "10"),
        ("compress", "a.png", "-T", "-1"),
        ("compress", "a.png", "b.png", "-o", "c.dz"),
        ("compress", "a.png", "-o", "c.dz", "--output-dir", "d"),
        ("compress", "-", "--output-dir", "d"),
        ("compress", "-", "--rm"),
        ("compress", "a.png", "--rm", "-o", "-"),
        ("compress", "a.png", "--no-such-option"),
        ("compress", "a.png", "--strip=some"),
        ("compress", "a.png", "--memory", "much"),
        ("compress", "a.png", "-f", "--skip-existing"),
        ("compress", "a.png", "--json", "-o", "-"),
        ("comprss", "a.png"),
        ("train",),
        (),
    ],
)
def test_wrong_command_lines_exit_with_2(args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2


def test_the_efforts_in_the_help_are_those_that_there_are() -> None:
    assert "1|5|9" in run("compress", "--help").stdout
    pixels = dead_leaves(24, 20, 3, 1)
    files = [densezip.compress(pixels, effort=effort) for effort in range(1, 10)]
    assert len({files[0], files[4], files[8]}) == 3
    assert files[1:4] + files[5:8] == [files[0], files[0], files[4], files[4], files[8], files[8]]


def test_an_image_in_place_of_a_command_gives_the_right_command() -> None:
    result = run("photo.png")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "did you mean: densezip compress photo.png" in result.stderr
    assert "did you mean: densezip decompress photo.dz" in run("photo.dz").stderr
    assert "did you mean: densezip compress" in run("comprss").stderr


@pytest.mark.parametrize("command", [(), ("compress",), ("decompress",), ("info",), ("test",), ("train", "photo")])
def test_help_shows_examples(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "\n  Examples:\n    densezip " in result.output
    assert "\b" not in result.output


@pytest.mark.parametrize(
    ("args", "strip"),
    [
        (("a.png",), False),
        (("--strip", "a.png"), True),
        (("a.png", "--strip"), True),
        (("--strip=look", "a.png"), True),
        (("--strip=all", "a.png"), "all"),
        (("--", "--strip"), False),
    ],
)
def test_strip_takes_a_value_after_an_equals_sign_only(
    args: tuple[str, ...], strip: bool | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []
    real = api.compress

    def record(data: api.Named, **options: Any) -> bytes:
        found.append(options["strip"])
        return real(data, **options)

    monkeypatch.setattr(api, "compress", record)
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "--strip"):
        Image.new("1", (3, 2)).save(tmp_path / name, "PNG")
    assert run("compress", *args).exit_code == 0
    assert found == [strip]


def test_the_help_says_what_strip_drops() -> None:
    text = " ".join(run("compress", "--help").output.split())
    assert "--strip [=all]" in text
    for kept in ("orientation", "ICC", "gamma", "chromaticities", "cICP", "sRGB", "transparency"):
        assert kept in text


def test_the_package_is_the_command() -> None:
    command = [sys.executable, "-m", "densezip", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"densezip {densezip.__version__}\n")


def test_shells_complete_commands_options_and_files() -> None:
    def complete(words: str, place: int) -> list[str]:
        environment = {
            **os.environ,
            "_DENSEZIP_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        }
        command = [sys.executable, "-m", "densezip"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.split()

    assert complete("densezip comp", 1) == ["plain,compress"]
    assert "plain,--skip-existing" in complete("densezip compress --sk", 2)
    assert complete("densezip compress ph", 2) == ["file,ph"]
    assert "_DENSEZIP_COMPLETE=bash_source" in run("--help").output


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_the_packages(option: str) -> None:
    first, *others = run(option).output.splitlines()
    assert first == f"densezip {densezip.__version__}"
    for fact in (platform.python_version(), np.__version__, "core: ", f"versions 2 to {FORMAT_VERSION}"):
        assert any(fact in line for line in others)


def test_the_version_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise NativeCoreError("the compiled core is missing")

    monkeypatch.setattr(native, "level", fail)
    monkeypatch.setattr(version, "LIBRARIES", ("no-such-library",))
    result = run("--version")
    assert result.exit_code == 0
    assert "core: the compiled core is missing\n" in result.output
    assert "no-such-library missing" in result.output


def test_the_help_lists_every_exit_code() -> None:
    def codes(kind: type[densezip.DensezipError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    listed = {int(code) for code in re.findall(r"^ +(\d+)  ", run("--help").output.partition("Exit codes:")[2], re.M)}
    signals = {batch.BROKEN_PIPE, batch.HANGUP, batch.INTERRUPTED, batch.TERMINATED}
    assert listed == {0, batch.PARTIAL} | signals | codes(densezip.DensezipError)
    assert NativeCoreError.exit_code == densezip.WeightsError.exit_code == 7


def test_a_report_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "no" / "report.json"):
        result = run("eval", "no-such-model", "--data", "deadleaves", "--json", name)
        assert result.exit_code == 5
        assert "folder" in result.stderr


def test_training_without_torch_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("densezip.models.photo.train")]:
        monkeypatch.delitem(sys.modules, name)
    result = run("train", "photo", "--data", tmp_path, "--out", tmp_path / "weights")
    assert result.exit_code == 2
    assert result.stderr == "densezip: training needs torch, which is missing: pip install 'densezip[models]'\n"
    assert not (tmp_path / "weights").exists()


def test_training_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(train, "train_photo", lambda *args, **options: calls.append((*args, options)))
    out = tmp_path / "weights"
    result = run("train", "photo", "--data", tmp_path, "--out", out, "-e", "9", "--seed", "7", "--resume")
    assert result.exit_code == 0
    [(data, folder, options)] = calls
    assert (data, folder) == ((tmp_path,), out)
    assert isinstance(options, dict)
    assert options.pop("report")
    refining = {"histories": False, "start": None, "steps": None}
    assert options == refining | {"validation": (), "effort": 9, "seed": 7, "threads": 1, "resume": True}
    # The real function takes these.
    assert options.keys() <= TRAINING_OPTIONS
