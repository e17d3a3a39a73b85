"""What is said of work that takes its time."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from densezip.cli.console import Console
from densezip.cli.progress import Meter
from densezip.cli.sources import Source
from densezip.cli.task import Task, Turns


class Clock:
    """The time, as a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("densezip.cli.progress.time", SimpleNamespace(monotonic=lambda: self.now))


def tasks(*weights: float) -> list[Task]:
    made = []
    for index, weight in enumerate(weights):
        name = Path(f"{index}.png")
        task = Task(index, Source(name, name), Turns())
        task.weight = weight
        made.append(task)
    return made


def test_long_work_without_a_terminal_says_every_half_minute_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    [task] = tasks(1)
    meter = Meter(Console(), [task])
    report = task.progress()
    for second in range(0, 151):
        clock.now = 1000.0 + second
        report(second / 300)
        meter.tick([task])
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "densezip: 0.png: 20% after 60 s, about 240 s left",
        "densezip: 0.png: 30% after 90 s, about 210 s left",
        "densezip: 0.png: 40% after 120 s, about 180 s left",
        "densezip: 0.png: 50% after 150 s, about 150 s left",
    ]


def test_short_or_quiet_work_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(monkeypatch)
    for quiet, seconds in ((False, 59), (True, 300)):
        [task] = tasks(1)
        meter = Meter(Console(quiet=quiet), [task])
        for second in range(seconds + 1):
            clock.now += 1 if second else 0
            task.progress()(second / 1000)
            meter.tick([task])
    assert capsys.readouterr().err == ""


def test_the_time_before_the_first_progress_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    [task] = tasks(1)
    meter = Meter(Console(), [task])
    # Half a minute of compiling, then a percent a second.
    for second in range(0, 62):
        clock.now = 1000.0 + second
        task.progress()(max(0, second - 30) / 100)
        meter.tick([task])
    [line] = capsys.readouterr().err.splitlines()
    assert line == "densezip: 0.png: 30% after 60 s, about 70 s left"


def test_files_that_take_no_work_do_not_change_the_estimate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    skipped, done, running, waiting = tasks(1000, 2, 4, 4)
    meter = Meter(Console(), [skipped, done, running, waiting])
    meter.finish(skipped)
    done.progress()(1.0)
    meter.finish(done)
    running.progress()(0.75)
    clock.now += 60
    meter.tick([running])
    assert capsys.readouterr().err == "densezip: 2 of 4 files, 2.png: 50% after 60 s\n"


def test_no_time_is_promised_when_nothing_moves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    [task] = tasks(1)
    meter = Meter(Console(), [task])
    for second in range(0, 200):
        clock.now = 1000.0 + second
        task.progress()(min(second / 100, 0.95))
        meter.tick([task])
    assert capsys.readouterr().err.splitlines()[1:] == [
        "densezip: 0.png: 90% after 90 s, about 10 s left",
        "densezip: 0.png: 95% after 120 s",
        "densezip: 0.png: 95% after 150 s",
        "densezip: 0.png: 95% after 180 s",
    ]


def test_a_part_of_the_work_reports_its_share() -> None:
    [task] = tasks(1)
    task.progress(0.5, 0.75)(0.5)
    assert task.fraction == 0.625
    task.progress()(2.0)
    assert task.fraction == 1.0
    assert task.worked
