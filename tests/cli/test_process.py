"""The command line as a process of its own: imports, signals, pipes, terminals, names that are not text."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import densezip
import pytest
from PIL import Image

# Work that takes as long as a test needs, in place of the coder's.
SLOW = """
import signal
import time
import densezip.cli.api as api
import densezip.cli.progress as progress
from densezip.cli.main import main

real = api.compress

def slow(data, *, progress, **options):
    for step in range({steps}):
        progress(step / {steps})
        open("started", "w").close()
        time.sleep(0.1)
    return real(data, progress=progress, **options)

# Whatever started the tests may ignore interrupts, as a shell does for what it runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
api.compress = slow
progress.PROGRESS_AFTER_SECONDS = {after}
main()
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX has them")


def command(*args: str | bytes | Path) -> list[str | bytes | Path]:
    return [sys.executable, "-c", "from densezip.cli.main import main; main()", *args]


def slow_command(*args: str | Path, steps: int = 600, after: float = 1) -> list[str | Path]:
    return [sys.executable, "-c", SLOW.format(steps=steps, after=after), *args]


def make_image(path: Path) -> Path:
    Image.new("1", (9, 5), 1).save(path)
    return path


def read_terminal(master: int) -> str:
    """Everything written to a terminal whose other end is closed."""
    text = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so at the end
            chunk = b""
        if not chunk:
            os.close(master)
            return text.decode(errors="replace")
        text += chunk


@pytest.mark.parametrize(("args", "needed"), [(("--version",), []), (("info", "photo.png.dz"), ["PIL", "numpy"])])
def test_quick_commands_import_nothing_slow(args: tuple[str, ...], needed: list[str], tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    subprocess.run(command("compress", "-q", "photo.png"), check=True, cwd=tmp_path)
    code = (
        "import sys, atexit; from densezip.cli.main import app\n"
        "atexit.register(lambda: print('imported', sorted({'numpy', 'PIL', 'numba', 'torch', 'imagecodecs'}"
        " & set(sys.modules))))\n"
        "app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"imported {needed}\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_work_leaves_nothing_behind(number: int, code: int, tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    process = subprocess.Popen(slow_command("compress", "photo.png"), cwd=tmp_path, stderr=subprocess.PIPE)
    while not (tmp_path / "started").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    # Far sooner than the work itself, a minute, would take.
    assert process.wait(timeout=20) == code
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "started"]


def test_an_interrupt_while_it_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    for stop in ("codec.errors", "codec.file.info", "cli.main", "cli.jobs"):
        # A module that asks for the interrupt itself stands for one that takes long.
        code = (
            "import os, runpy, signal, sys\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            f"        if name == 'densezip.{stop}':\n            os.kill(os.getpid(), signal.SIGINT)\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "sys.meta_path.insert(0, Finder())\nsys.argv[0] = '/usr/bin/densezip'\n"
            "from densezip.cli.main import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "compress", "photo.png"], capture_output=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (130, b"")
    assert os.listdir(tmp_path) == ["photo.png"]


def test_a_program_that_imports_the_package_keeps_its_interrupts() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import densezip; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_closed_pipe_ends_without_a_word(tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    for args in (("info", "--json", *["photo.png.dz"] * 3), ("decompress", "photo.png.dz", "-o", "-")):
        subprocess.run(command("compress", "-q", "-f", "photo.png"), check=True, cwd=tmp_path)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command(*args), stdout=writer, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
        os.close(writer)
        assert done.returncode == 141
        assert done.stderr == b""


def test_binary_data_goes_to_a_terminal_with_force_only(tmp_path: Path) -> None:
    data = make_image(tmp_path / "photo.png").read_bytes()
    outputs = []
    for options in ((), ("-f",)):
        master, slave = os.openpty()
        done = subprocess.run(
            command("compress", "-", *options),
            input=data,
            stdout=slave,
            stderr=subprocess.PIPE,
            check=False,
            cwd=tmp_path,
        )
        os.close(slave)
        outputs.append((done.returncode, done.stderr.decode(), read_terminal(master)))
    refused, forced = outputs
    assert refused[0] == 5
    assert refused[1].startswith("densezip: standard input: standard output is a terminal")
    assert refused[2] == ""
    assert forced[0] == 0
    assert "DZ" in forced[2]


def test_standard_input_from_a_terminal_is_refused() -> None:
    master, slave = os.openpty()
    done = subprocess.run(command("compress", "-"), stdin=slave, capture_output=True, text=True, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert done.stderr.startswith("densezip: standard input: standard input is a terminal")


def test_progress_is_drawn_on_a_terminal_and_for_long_work_only(tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    drawn = {}
    for name, after, options in (("short", 1000, ()), ("long", 0.2, ()), ("quiet", 0.2, ("-q",))):
        master, slave = os.openpty()
        args = slow_command("compress", "-f", *options, "photo.png", steps=5, after=after)
        subprocess.run(args, stderr=slave, check=True, cwd=tmp_path)
        os.close(slave)
        drawn[name] = read_terminal(master)
    assert "% [" not in drawn["short"]
    assert "% [###" in drawn["long"]
    assert "photo.png: " in drawn["long"]
    assert drawn["quiet"] == ""
    piped = subprocess.run(
        slow_command("compress", "-f", "photo.png", steps=5, after=0.2),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert piped.stdout == ""
    assert piped.stderr.count("\n") == 1
    assert "#" not in piped.stderr


def test_libraries_warn_nobody_who_did_not_ask(tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    code = (
        "import warnings, densezip.cli.api as api\nreal = api.compress\n"
        "def warn(data, **options):\n    warnings.warn('odd EXIF')\n    return real(data, **options)\n"
        "api.compress = warn\nfrom densezip.cli.main import main; main()"
    )
    for options, asked in (([], False), (["-W", "default"], True)):
        args = [sys.executable, *options, "-c", code, "compress", "-q", "-f", "photo.png"]
        done = subprocess.run(args, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert ("odd EXIF" in done.stderr) == asked
        assert asked or done.stderr == ""


def test_names_that_are_not_text_work_and_are_printable(tmp_path: Path) -> None:
    make_image(tmp_path / "photo.png")
    try:
        os.rename(tmp_path / "photo.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system has text names only")
    done = subprocess.run(command("compress", b"caf\xe9.png"), capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert b"caf\xe9.png.dz" in os.listdir(os.fsencode(tmp_path))
    assert "caf�.png: " in done.stderr.decode()
    done = subprocess.run(command("info", "--json", b"caf\xe9.png.dz"), capture_output=True, cwd=tmp_path, check=True)
    assert os.fsencode(json.loads(done.stdout)["file"]) == b"caf\xe9.png.dz"
    done = subprocess.run(command("compress", "--json", b"caf\xe9.png"), capture_output=True, cwd=tmp_path, check=True)
    found = json.loads(done.stdout)
    with open(tmp_path / found["input"], "rb") as source, open(tmp_path / found["output"], "rb") as made:
        assert densezip.export(made).data == source.read()
    failed = subprocess.run(
        command("compress", b"caf\xe9.png", "-o", "/dev/full"), capture_output=True, check=False, cwd=tmp_path
    )
    assert failed.returncode == 5
    assert failed.stderr.count(b"\n") == 1
