"""Files in the making: none is left behind, and those that killed processes left are removed later."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Paint, listing, run
from densezip import OutputError
from densezip.cli import partial
from densezip.cli.partial import NAME, Partials

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes and signals as POSIX has them")

# Stops where a file is half written.
HALF = r"""
import os, signal, sys, time
from densezip.cli import targets
from densezip.cli.main import main

def half(descriptor, data):
    os.write(descriptor, data[:10])
    os.write(1, b"written\n")
    time.sleep(60)

# Whatever started the tests may ignore these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
targets.write_all = half
main()
"""


def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder: Path, pid: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as a process of this number would leave it."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        path, descriptor = Partials().create(folder, 0o600)
    os.close(descriptor)
    return path


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_signals_leave_no_half_file(number: int, code: int, paint: Paint, tmp_path: Path) -> None:
    names = [paint(f"{letter}.png").name for letter in "abc"]
    process = subprocess.Popen(
        [sys.executable, "-c", HALF, "compress", "-T", "2", *names],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # Both threads have begun.
    assert process.stdout.readline() + process.stdout.readline() == b"written\n" * 2
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    assert process.stderr.read().strip() == b""
    process.stdout.close()
    process.stderr.close()
    left = [name for name in listing(tmp_path) if name not in names]
    if number != signal.SIGKILL:
        assert left == []
        return
    assert len(left) == 2
    assert all(int(found[1]) == process.pid for name in left if (found := NAME.fullmatch(name)))


def test_ignored_hangups_stay_ignored(paint: Paint, tmp_path: Path) -> None:
    paint()
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import os, densezip.cli.api as api\nreal = api.compress\n"
        "def hang_up(data, **options):\n    os.kill(os.getpid(), signal.SIGHUP)\n    return real(data, **options)\n"
        "api.compress = hang_up\nfrom densezip.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "compress", "photo.png"], check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert listing(tmp_path) == ["photo.png", "photo.png.dz"]


def test_what_dead_processes_left_is_removed_by_the_next_run(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint()
    stale = leave(tmp_path, dead(), monkeypatch)
    young = leave(tmp_path, dead(), monkeypatch)
    living = leave(tmp_path, os.getppid(), monkeypatch)
    foreign = tmp_path / f".densezip-{dead()}-{'0' * 8}{'1' * 8}.part"
    other = tmp_path / f".densezip-{dead()}.part"
    for path in (foreign, other):
        path.write_bytes(b"not ours")
    monkeypatch.setattr(partial, "_age", lambda entry: 1.0 if entry.name == young.name else 3600.0)
    assert run("compress", "-q", source).exit_code == 0
    left = {path.name for path in tmp_path.iterdir()} - {"photo.png", "photo.png.dz"}
    assert left == {young.name, living.name, foreign.name, other.name}
    assert stale.name not in left


def test_the_age_of_a_file_is_not_that_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    os.utime(path, (0, 0))
    with os.scandir(tmp_path) as entries:
        [age] = map(partial._age, entries)
    assert abs(age) < 3600


def test_a_closed_set_removes_its_files_and_makes_no_more(tmp_path: Path) -> None:
    partials = Partials()
    path, descriptor = partials.create(tmp_path, 0o600)
    os.close(descriptor)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name.startswith(f".densezip-{os.getpid()}-")
    partials.close()
    assert listing(tmp_path) == []
    with pytest.raises(OutputError):
        partials.create(tmp_path, 0o600)
