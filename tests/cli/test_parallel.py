"""Several files at once: the same results, in the same order, within processors and memory."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click import BadParameter
from command_line import Paint, listing, objects, run
from densezip.cli import api
from densezip.cli.batch import run_batch
from densezip.cli.console import Console
from densezip.cli.convert import ENCODING_BYTES, Compression
from densezip.cli.resources import MemorySize, Resources, machine_memory, processors
from densezip.cli.sources import Source


class Meeting:
    """Work that ends when as many are at it as the test expects, and notes how many there were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, expected: int) -> None:
        self.most = 0
        self.threads: list[int] = []
        self._now = 0
        self._changed = threading.Condition()
        self._expected = expected
        self._real = api.compress
        monkeypatch.setattr(api, "compress", self)

    def __call__(self, data: api.Named, **options: Any) -> bytes:
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self.threads.append(options["threads"])
            self._changed.notify_all()
            # Where more are let in than expected, these come soon after.
            self._changed.wait_for(lambda: self.most > self._expected, timeout=0.1)
            assert self._changed.wait_for(lambda: self.most >= self._expected, timeout=20)
        made = self._real(data, **options)
        with self._changed:
            self._now -= 1
        return made


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_so_many_files_are_worked_on_as_there_are_threads(
    threads: int, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = Meeting(monkeypatch, threads)
    for number in range(6):
        paint(f"{number}.png", shade=number)
    assert run("compress", "-T", threads, "-r", tmp_path).exit_code == 0
    assert meeting.most == threads
    assert meeting.threads == [1] * 6


def test_few_files_share_the_threads(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Meeting(monkeypatch, 2)
    for number in range(2):
        paint(f"{number}.png", shade=number)
    assert run("compress", "-T", "9", "-r", tmp_path).exit_code == 0
    assert meeting.threads == [4, 4]
    alone = Meeting(monkeypatch, 1)
    assert run("compress", "-f", "-T", "9", tmp_path / "0.png").exit_code == 0
    assert alone.threads == [9]


def test_all_processors_are_the_default(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Meeting(monkeypatch, 1)
    assert run("compress", paint()).exit_code == 0
    assert meeting.threads == [processors()]


def test_the_budget_of_memory_lets_in_what_fits(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = Compression().memory(paint("0.png").read_bytes())
    assert need >= ENCODING_BYTES * 13 * 7
    for number in range(5):
        paint(f"{number}.png", shade=number)
    for budget, files in ((1, 1), (2 * need - 1, 1), (2 * need + 500, 2), (100 * need, 4)):
        meeting = Meeting(monkeypatch, files)
        assert run("compress", "-f", "-T", "4", "--memory", budget, "-r", tmp_path).exit_code == 0
        assert meeting.most == files
        # A file that has the memory for itself has the threads, too.
        assert meeting.threads[0] == 4 // files
        monkeypatch.undo()


def test_a_large_file_is_not_overtaken_for_ever() -> None:
    resources = Resources(threads=3, memory=10, files=3)
    order, begun = [], threading.Event()

    def take(name: str, need: int, *, after: threading.Event | None = None) -> None:
        with resources.share(need):
            order.append(name)
            begun.set()
            if after is not None:
                after.wait(20)

    go = threading.Event()
    first = threading.Thread(target=take, args=("small", 6), kwargs={"after": go})
    first.start()
    assert begun.wait(20)
    waiting = [threading.Thread(target=take, args=(name, need)) for name, need in (("large", 9), ("tiny", 1))]
    for index, thread in enumerate(waiting):
        thread.start()
        while len(resources._queue) <= index:
            time.sleep(0.001)
    assert order == ["small"]
    go.set()
    for thread in (first, *waiting):
        thread.join(20)
    assert order == ["small", "large", "tiny"]


def test_the_bytes_are_those_of_one_file_alone(paint: Paint, tmp_path: Path) -> None:
    for number in range(6):
        paint(f"{number}.png", shade=number)
    assert run("compress", "-q", "-T", "4", "-r", tmp_path).exit_code == 0
    for number in range(6):
        made = tmp_path / f"{number}.png.dz"
        assert run("compress", "-T", "1", tmp_path / f"{number}.png", "-o", "-").stdout_bytes == made.read_bytes()


def test_what_is_said_comes_in_the_order_of_the_files(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(paint(f"{number}.png", shade=number)) for number in range(6)]
    damaged = tmp_path / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:50])
    slow = (tmp_path / "0.png").read_bytes()
    real, others = api.compress, threading.Semaphore(0)

    def wait(data: api.Named, **options: Any) -> bytes:
        if data.getvalue() == slow:
            # The first is the last to be ready.
            for _ in range(4):
                assert others.acquire(timeout=20)
            return real(data, **options)
        try:
            return real(data, **options)
        finally:
            others.release()

    monkeypatch.setattr(api, "compress", wait)
    result = run("compress", "-f", "-T", "2", *names)
    assert result.exit_code == 6
    said = [line.removeprefix("densezip: ").split(": ")[0] for line in result.stderr.splitlines()]
    assert said == [*names, "6 files"]
    found = objects(run("compress", "-f", "--json", "-T", "2", *names))
    assert [entry["input"] for entry in found] == names


def test_one_fault_does_not_stop_the_other_threads(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [paint(f"{number}.png", shade=number) for number in range(5)]
    bad, real = names[2].read_bytes(), api.compress

    def crash(data: api.Named, **options: Any) -> bytes:
        if data.getvalue() == bad:
            raise ZeroDivisionError("by zero")
        return real(data, **options)

    monkeypatch.setattr(api, "compress", crash)
    result = run("compress", "-T", "3", *names)
    assert result.exit_code == 6
    assert result.stderr.count("internal error, please report it: ZeroDivisionError") == 1
    assert len(list(tmp_path.glob("*.dz"))) == 4


def test_work_that_nobody_waits_for_ends() -> None:
    ended = threading.Event()

    def job(task: Any) -> None:
        report = task.progress()
        try:
            if task.source.relative.name == "1":
                raise BrokenPipeError
            while True:
                report(0.5)
        finally:
            if task.source.relative.name == "0":
                ended.set()

    sources = [Source(Path(name), Path(name)) for name in "10"]
    with pytest.raises(BrokenPipeError):
        run_batch(sources, job, Console(quiet=True), lambda *_: None, resources=Resources(2, None, 2))
    assert ended.wait(20)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_ends_all_threads_at_once(paint: Paint, tmp_path: Path) -> None:
    code = (
        "import os, signal, time, densezip.cli.api as api\n"
        "real = api.compress\n"
        "def slow(data, **options):\n"
        "    if data.getvalue() == open('3.png', 'rb').read():\n        return real(data, **options)\n"
        "    os.write(1, b'.')\n    time.sleep(60)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "api.compress = slow\nfrom densezip.cli.main import main; main()"
    )
    names = [paint(f"{number}.png", shade=number).name for number in (0, 3, 1, 2)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "compress", "-T", "3", *names],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(3) == b"..."
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - started < 10
    # What was done before is said, although a file before it was not done.
    assert process.stderr.read().startswith(b"3.png: ")
    process.stdout.close()
    process.stderr.close()
    assert listing(tmp_path) == sorted([*names, "3.png.dz"])


def test_sizes_of_memory_are_read_as_people_write_them() -> None:
    read = MemorySize().convert
    expected = {"1": 1, "500M": 500 * 2**20, "4G": 2**32, "4g": 2**32, "1.5K": 1536, "2GiB": 2**31, "3 MB": 3 * 2**20}
    assert {text: read(text, None, None) for text in expected} == expected
    for text in ("", "0", "-1", "4X", "G", "1e9", "4GG"):
        with pytest.raises(BadParameter):
            read(text, None, None)
    assert Resources(0, None, 1).memory == machine_memory() // 2
    assert 2**20 < machine_memory() < 2**50
