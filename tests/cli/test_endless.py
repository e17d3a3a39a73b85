"""Inputs without an end, or longer than any memory: refused from their first bytes, or at a limit with a name."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import densezip
import pytest
from command_line import Paint, objects, run
from densezip.codec.file import inputs
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices and pipes as POSIX has them")

# An address space that no more than the program itself and one image fit into.
LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
    "from densezip.cli.main import main; main()"
)
ENDLESS = "import os\nwhile True: os.write(1, b'yes\\n' * 1000)"


@pytest.mark.parametrize("command", ["compress", "decompress", "info", "test"])
def test_a_device_without_end_is_refused_by_its_first_bytes(command: str, tmp_path: Path) -> None:
    options = [] if command in ("info", "test") else ["-o", str(tmp_path / "out.png")]
    result = run(command, "/dev/zero", *options)
    assert result.exit_code == 3
    assert "not a" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_without_end_is_refused_by_its_first_bytes() -> None:
    source = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "compress", "-"],
        check=False,
        stdin=source.stdout,
        capture_output=True,
        timeout=60,
    )
    assert source.stdout is not None
    source.stdout.close()
    source.wait()
    assert done.returncode == 3
    assert done.stderr.startswith(b"densezip: standard input: not an image file")


def test_what_begins_as_an_image_is_read_to_the_limit_only(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_BESIDE", 10**6)
    picture = paint().read_bytes()
    long = picture + bytes(2 * 10**6)
    result = run("compress", "-", "--max-pixels", "1000", stdin=long)
    assert result.exit_code == 4
    assert result.stderr == (
        "densezip: standard input: longer than 1008000 bytes, a limit that follows from --max-pixels and the memory\n"
    )

    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1, /) -> bytes:
            assert size > 0
            part = (picture if not self.taken else b"").ljust(size, b"\0")[: 1 + size // 2]
            self.taken += len(part)
            return part

    for function in (densezip.compress, densezip.decompress, densezip.export, densezip.verify):
        endless = Endless()
        with pytest.raises((densezip.LimitError, densezip.BadMagicError)):
            function(endless, max_pixels=1000)  # type: ignore[arg-type]
        assert endless.taken < 3 * 10**6


def test_a_file_that_is_too_long_is_refused_unread(paint: Paint, tmp_path: Path) -> None:
    huge = paint()
    os.truncate(huge, 2**42)  # a hole
    for result in (run("compress", huge), run("compress", "--memory", "1", huge)):
        assert result.exit_code == 4
        assert "longer than" in result.stderr
    with pytest.raises(densezip.LimitError):
        densezip.compress(huge)
    assert run("info", huge).exit_code in (3, 4)


def test_short_reads_are_continued_and_odd_ones_are_errors(paint: Paint) -> None:
    picture = paint().read_bytes()

    class Reader:
        def __init__(self, parts: list[object]) -> None:
            self.parts = parts

        def read(self, size: int) -> object:
            return self.parts.pop(0)

    split: list[object] = [picture[:5], bytearray(picture[5:9]), memoryview(picture[9:]), b""]
    assert densezip.compress(Reader(split)) == densezip.compress(picture)  # type: ignore[arg-type]
    for odd in ("text", None, 5):
        with pytest.raises(densezip.UsageError, match="wanted bytes"):
            densezip.compress(Reader([picture[:5], odd]))  # type: ignore[arg-type]


def test_a_named_pipe_is_read_once_and_whole(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    pipe = tmp_path / "pipe.png"
    for command, data in (("compress", source.read_bytes()), ("decompress", densezip.compress(source))):
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        assert run(command, pipe, "-o", tmp_path / f"{command}.png").exit_code == 0
        writer.join()
        pipe.unlink()
    assert (tmp_path / "compress.png").read_bytes() == densezip.compress(source)
    assert densezip.compress(tmp_path / "decompress.png") == densezip.compress(source)


def test_standard_input_begins_where_it_stands(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    (tmp_path / "mixed").write_bytes(b"a line\n" + source.read_bytes())
    with open(tmp_path / "mixed", "rb", buffering=0) as file:
        file.read(7)
        done = subprocess.run(
            [sys.executable, "-m", "densezip", "compress", "-"], stdin=file, capture_output=True, check=True
        )
    assert done.stdout == densezip.compress(source)


def test_a_dry_run_knows_pictures_that_go_on_behind_their_beginning(tmp_path: Path) -> None:
    Image.effect_noise((400, 400), 99).convert("RGB").save(tmp_path / "a.tga")
    assert (tmp_path / "a.tga").stat().st_size > inputs.HEAD_BYTES
    [found] = objects(run("compress", "-n", "--json", tmp_path / "a.tga"))
    assert found["error"] is None
