"""How far a batch is: a bar on a terminal, elsewhere a line now and then, and nothing for short work."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection

from .console import Console
from .task import Task

__all__ = ["Meter"]

# Shorter work is over before a bar is read.
PROGRESS_AFTER_SECONDS = 1.0
BAR_WIDTH = 24
# Where nobody draws a bar: logs of long runs say that they are alive.
LINE_AFTER_SECONDS = 60.0
LINE_EVERY_SECONDS = 30.0
# Before the first percent an estimate of the time is noise.
LEAST_FRACTION = 0.01
# Without progress for so long, and for longer than the time that was left, nobody knows how long it will take.
STALLED_SECONDS = 3.0


class Meter:
    """Adds up the progress of the files of a batch.

    Args:
        console: Where it is shown.
        tasks: All files. One that turns out to take no work, because it is skipped or refused, counts for nothing.
    """

    def __init__(self, console: Console, tasks: Collection[Task]) -> None:
        """Begins at nothing done."""
        self._console = console
        self._tasks = len(tasks)
        self._finished = 0
        self._total = sum(task.weight for task in tasks)
        self._done = 0.0
        self._started = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._last = self._started, 0.0
        self._next_line = LINE_AFTER_SECONDS
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def finish(self, task: Task) -> None:
        """Counts a file as done."""
        self._finished += 1
        if task.worked:
            self._done += task.weight
        else:
            self._total -= task.weight

    def tick(self, running: Collection[Task]) -> None:
        """Shows how far it is, if it is time for that."""
        if self._console.quiet or not running:
            return
        now = time.monotonic()
        seconds = now - self._started
        done = self._done + sum(task.weight * task.fraction for task in running)
        fraction = min(max(done / self._total, 0.0), 1.0) if self._total > 0 else 0.0
        if self._first is None and done > 0:
            # What comes before is not work but the loading, at times the compiling, of what does it.
            self._first = now, fraction
        if fraction != self._last[1]:
            self._last = now, fraction
        left = self._left(now, fraction)
        name = next(iter(running)).source.name
        if self._tasks > 1:
            name = f"{self._finished} of {self._tasks} files, {name}"
        if self._terminal:
            if seconds >= PROGRESS_AFTER_SECONDS:
                self._draw(name, fraction, left)
        elif seconds >= self._next_line:
            self._next_line = seconds + LINE_EVERY_SECONDS
            time_left = "" if left is None else f", about {left:.0f} s left"
            self._console.status(f"densezip: {name}: {fraction:.0%} after {seconds:.0f} s{time_left}")

    def _left(self, now: float, fraction: float) -> float | None:
        if self._first is None:
            return None
        began, before = self._first
        if fraction - before < LEAST_FRACTION:
            return None
        last, _ = self._last
        left = (last - began) * (1 - fraction) / (fraction - before)
        return left if now - last <= max(STALLED_SECONDS, left) else None

    def _draw(self, name: str, fraction: float, left: float | None) -> None:
        bar = "#" * round(fraction * BAR_WIDTH)
        text = f"{fraction:4.0%} [{bar:<{BAR_WIDTH}}] " + ("" if left is None else f"{left:.0f} s left")
        import shutil

        room = shutil.get_terminal_size().columns - len(text) - 2
        self._console.draw(f"{_shorten(name, room)} {text}")


def _shorten(text: str, width: int) -> str:
    """Cuts the front, since the end of a path says more."""
    if len(text) <= width:
        return text
    return "..." + text[len(text) - width + 3 :] if width > 3 else ""
