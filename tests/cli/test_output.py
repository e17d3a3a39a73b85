"""Where outputs go that are not plain files, and what happens when they cannot go there."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import densezip
import numpy as np
import pytest
from command_line import Paint, listing, pixels, run
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices and pipes as POSIX has them")

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")


def command(*args: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "densezip", *args]


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command does whose standard streams a shell has set up."""
    return subprocess.run(
        ["sh", "-c", line.replace("densezip", f"{sys.executable} -m densezip")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A .dz file that holds more than a pipe does."""
    source = tmp_path / "noise.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (700, 700, 3), dtype=np.uint8)).save(source, quality=98)
    assert run("compress", "-q", source).exit_code == 0
    return tmp_path / "noise.jpg.dz"


@FULL
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "line",
    [
        "densezip decompress noise.jpg.dz -o - >/dev/full",
        "densezip decompress noise.jpg.dz -o /dev/full",
        "densezip info noise.jpg.dz >/dev/full",
        "densezip --version >/dev/full",
    ],
)
def test_a_full_disk_is_one_line_and_exit_code_5(large: Path, line: str, unbuffered: str) -> None:
    done = shell(line, large.parent, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@FULL
@pytest.mark.parametrize(
    ("line", "code", "made"),
    [
        ("compress a.jpg b.jpg", 0, ["a.jpg.dz", "b.jpg.dz"]),
        ("compress missing.jpg a.jpg", 6, ["a.jpg.dz"]),
        ("nonsense", 2, []),
    ],
)
def test_messages_that_find_no_room_stop_nothing(line: str, code: int, made: list[str], tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.linear_gradient("L").save(tmp_path / name)
    assert shell(f"densezip {line} 2>/dev/full", tmp_path).returncode == code
    assert listing(tmp_path) == sorted(["a.jpg", "b.jpg", *made])


def test_a_full_disk_leaves_no_part_of_a_file(large: Path, tmp_path: Path) -> None:
    # A limit on the size of files stands for a disk that fills up: a part of the data fits.
    before = listing(tmp_path)
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from densezip.cli.main import main; main()"
    )
    for unbuffered in ("", "1"):
        args: list[str | Path] = [sys.executable, "-c", code, "decompress", large]
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        named = subprocess.run([*args, "-o", "b.jpg"], capture_output=True, check=False, cwd=tmp_path, env=environment)
        assert named.returncode == 5
        assert named.stderr.count(b"\n") == 1
        assert listing(tmp_path) == before
        with open(tmp_path / "redirected", "wb") as file:
            piped = subprocess.run(
                [*args, "-o", "-"], stdout=file, stderr=subprocess.PIPE, check=False, cwd=tmp_path, env=environment
            )
        assert piped.returncode == 5
        assert piped.stderr.count(b"\n") == 1
        (tmp_path / "redirected").unlink()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_slow_readers_get_everything(large: Path, unbuffered: str) -> None:
    expected = densezip.export(large.read_bytes())[0]
    reader, writer = os.pipe()
    # Other programs leave pipes behind that do not wait.
    os.set_blocking(writer, False)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen(command("decompress", large, "-o", "-"), stdout=writer, env=environment)
    os.close(writer)
    found = b""
    while chunk := os.read(reader, 10_000):
        found += chunk
    os.close(reader)
    assert process.wait() == 0
    assert found == expected


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_ends_it_without_a_word(large: Path, unbuffered: str) -> None:
    process = subprocess.Popen(
        command("decompress", large, "-o", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.parametrize(
    "line",
    [
        "densezip decompress noise.jpg.dz -o - >&-",
        "densezip decompress -o - - <noise.jpg.dz >&-",
        "densezip info noise.jpg.dz >&-",
        "densezip test noise.jpg.dz >&-",
        "densezip --version >&-",
    ],
)
def test_a_closed_standard_output_is_an_error(large: Path, line: str) -> None:
    done = shell(line, large.parent)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert "internal error" not in done.stderr


def test_files_do_not_get_the_numbers_of_closed_streams(large: Path, tmp_path: Path) -> None:
    done = shell("densezip decompress -v noise.jpg.dz -o b.jpg >&- 2>&- <&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "noise.jpg").read_bytes()
    closed = shell("densezip compress - <&-", tmp_path)
    assert closed.returncode == 3
    assert closed.stderr == "densezip: standard input: standard input is closed\n"


def test_a_device_is_written_to_and_stays_one(paint: Paint, packed: Path) -> None:
    before = os.stat("/dev/null")
    for options in ((), ("-f",)):
        assert run("compress", paint("a.png"), "-o", "/dev/null", *options).exit_code == 0
        assert run("decompress", packed, "-o", "/dev/null", *options).exit_code == 0
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_rdev) == (before.st_ino, before.st_rdev)


@pytest.mark.parametrize("options", [(), ("-f",)])
def test_a_pipe_is_written_to_and_stays_one(paint: Paint, tmp_path: Path, options: tuple[str, ...]) -> None:
    pipe, source = tmp_path / "pipe", paint()
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    assert run("compress", source, "-o", pipe, *options).exit_code == 0
    reader.join()
    assert found == [densezip.compress(source)]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_open_files_are_written_to_by_their_numbers(packed: Path, tmp_path: Path) -> None:
    for line in ("-o /dev/stdout >a.png", "-o /dev/fd/3 3>b.png"):
        assert shell(f"densezip decompress -q photo.png.dz {line}", tmp_path).returncode == 0
    assert pixels(tmp_path / "a.png") == pixels(tmp_path / "b.png")


@pytest.mark.parametrize("exists", [False, True])
def test_a_links_target_is_written(packed: Path, tmp_path: Path, exists: bool) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "photo.png", tmp_path / "link.png"
    link.symlink_to(target)
    if exists:
        target.write_bytes(b"precious")
        refused = run("decompress", packed, "-o", link)
        assert refused.exit_code == 5
        assert target.read_bytes() == b"precious"
    number = target.stat().st_ino if exists else None
    assert run("decompress", packed, "-o", link, *(["-f"] if exists else [])).exit_code == 0
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.stat().st_ino != number
    with Image.open(link) as image:
        assert image.size == (13, 7)


def test_a_link_that_leads_nowhere_is_an_error(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost").symlink_to("no/such/folder.png")
    for name in ("loop", "lost"):
        result = run("decompress", packed, "-o", tmp_path / name)
        assert result.exit_code == 5
        assert result.stderr.count("\n") == 1
    assert listing(tmp_path) == ["loop", "lost", "photo.png.dz"]


def test_a_pipe_in_the_way_of_a_name_is_left_alone(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    os.mkfifo(tmp_path / "photo.png.dz")
    for options in ((), ("-f",), ("-f", "--rm")):
        result = run("compress", source, *options)
        assert result.exit_code == 5
        assert "is no file" in result.stderr
    assert stat.S_ISFIFO((tmp_path / "photo.png.dz").stat().st_mode)


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.jxl", "x.avif", "x.foo"])
def test_lossy_and_unknown_formats_are_refused_before_the_work(
    packed: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("the file was decoded")

    monkeypatch.setattr("densezip.cli.api.export", never)
    result = run("decompress", packed, "-o", tmp_path / name)
    assert result.exit_code == 5
    assert result.stderr.count("\n") == 1
    assert listing(tmp_path) == ["photo.png.dz"]


def test_a_format_that_cannot_hold_the_image_is_refused(tmp_path: Path) -> None:
    Image.new("RGBA", (5, 4), (1, 2, 3, 4)).save(tmp_path / "photo.png")
    assert run("compress", "-q", tmp_path / "photo.png").exit_code == 0
    result = run("decompress", tmp_path / "photo.png.dz", "-o", tmp_path / "photo.ppm")
    assert result.exit_code == 5
    assert not (tmp_path / "photo.ppm").exists()


def test_names_are_one_line_of_plain_text(paint: Paint, tmp_path: Path) -> None:
    # A name could end a line, and go on with what looks like a message; or have a terminal do something.
    source = paint("a\nb\x1b[31m\x9b\u2028.png")
    shown = f"{tmp_path}/a\ufffdb\ufffd[31m\ufffd\ufffd.png"
    for command, name in (("compress", source), ("info", f"{source}.dz"), ("test", f"{source}.dz")):
        result = run(command, name)
        assert result.exit_code == 0
        assert shown in result.output
        assert not any(mark in result.output for mark in ("a\nb", "\x1b", "\x9b", "\u2028"))
    assert run("compress", "--json", "-f", source).output.count("\n") == 1


def test_a_name_that_is_too_long_is_refused_before_the_work(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint("n" * 249 + ".png")

    def never(*args: object, **options: object) -> bytes:
        raise AssertionError("the file was coded")

    with monkeypatch.context() as patch:
        patch.setattr("densezip.cli.api.compress", never)
        result = run("compress", "--rm", source)
    assert result.exit_code == 5
    assert "too long" in result.stderr
    assert run("compress", source, "-o", tmp_path / ("n" * 252 + ".dz")).exit_code == 0
    assert source.exists()


def test_a_folder_that_is_none_is_one_line_and_an_error(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    no_folder = tmp_path / "file"
    no_folder.write_bytes(b"")
    for name in (no_folder / "a.dz", tmp_path / "no" / "a.dz"):
        result = run("compress", source, "-o", name)
        assert result.exit_code == 5
        assert result.stderr.count("\n") == 1
    assert run("compress", source, "--output-dir", no_folder).exit_code == 2
