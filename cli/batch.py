"""Several files at once. One bad file does not stop the others, and the exit code says what happened to all of them.

The work goes on in threads: compiled code holds the thread that runs it for many seconds, and the main thread must stay
free to show progress and to hear Ctrl-C. What is said of the files comes in the order of the files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from .console import Console
from .progress import Meter
from .resources import Resources
from .sources import Source
from .task import CRASH, Task, Turns

__all__ = ["BROKEN_PIPE", "HANGUP", "INTERRUPTED", "PARTIAL", "TERMINATED", "run_batch"]

# Exit codes. 0 is success, 1 a fault of ours, 2 a wrong command line, and every DensezipError has its own.
PARTIAL = 6
# What a shell reports of a program that a signal ended: SIGHUP, SIGINT, SIGPIPE, SIGTERM.
HANGUP = 128 + 1
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13
TERMINATED = 128 + 15

REDRAW_SECONDS = 0.1


def run_batch(
    sources: Sequence[Source],
    job: Callable[[Task], Any],
    console: Console,
    done: Callable[[Task, str | None, int], None],
    *,
    resources: Resources | None = None,
) -> int:
    """Does `job` for every source, several at a time, and reports the errors.

    Args:
        sources: The inputs.
        job: The work for one of them, in a thread of its own. What it returns is the task's `result`.
        console: Takes errors and progress.
        done: Called in the main thread, in the order of the sources, with a task that has ended, its error if it
            failed, and its exit code.
        resources: How many are worked on at once; without, one.

    Returns:
        The exit code: the one that all sources share, or `PARTIAL` if they differ.
    """
    turns = Turns()
    tasks = [Task(index, source, turns) for index, source in enumerate(sources)]
    workers = Workers(tasks, job, resources)
    meter = Meter(console, tasks)
    codes, said, finished = set(), 0, set()
    workers.start()
    try:
        while said < len(tasks):
            task = workers.wait(REDRAW_SECONDS)
            if task is not None:
                finished.add(task)
                meter.finish(task)
            while said < len(tasks) and tasks[said] in finished:
                finished.discard(tasks[said])
                codes.add(_say(tasks[said], console, done))
                said += 1
            meter.tick(workers.running())
    except (KeyboardInterrupt, SystemExit):
        # What was done is said, though files before it were not. The interrupt may have come between two steps above.
        console.erase()
        for task in tasks[said:]:
            if task.ended:
                _say(task, console, done)
        raise
    finally:
        workers.stop()
        console.erase()
    return codes.pop() if len(codes) == 1 else PARTIAL


class Workers:
    """The threads that do the work of a batch.

    Args:
        tasks: What to do, in this order.
        job: Does one of them.
        resources: How many threads; without, one.
    """

    def __init__(self, tasks: Sequence[Task], job: Callable[[Task], Any], resources: Resources | None) -> None:
        """Begins nothing."""
        self._tasks = tasks
        self._job = job
        self._resources = resources
        self._waiting = iter(tasks)
        self._running: dict[Task, None] = {}
        self._ended: SimpleQueue[Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Lets the threads begin. They end with the process, whatever they are at."""
        for _ in range(min(len(self._tasks), self._resources.workers if self._resources is not None else 1)):
            threading.Thread(target=self._work, daemon=True).start()

    def wait(self, seconds: float) -> Task | None:
        """A task that has ended, or `None` after some time: on some systems a Ctrl-C is heard between waits only."""
        try:
            task = self._ended.get(timeout=seconds)
        except Empty:
            return None
        with self._lock:
            del self._running[task]
        return task

    def running(self) -> list[Task]:
        """The tasks at work."""
        with self._lock:
            return list(self._running)

    def stop(self) -> None:
        """Begins no further task, and ends the others as soon as they look up."""
        with self._lock:
            self._stopped = True
        for task in self._tasks:
            task.cancelled = True

    def _work(self) -> None:
        while True:
            with self._lock:
                task = None if self._stopped else next(self._waiting, None)
                if task is None:
                    return
                self._running[task] = None
            task.run(self._job)
            if self._resources is not None:
                self._resources.finished()
            self._ended.put(task)


def _say(task: Task, console: Console, done: Callable[[Task, str | None, int], None]) -> int:
    """Reports a task that has ended; returns its exit code."""
    failure = task.failure()
    code, message = (0, None) if failure is None else failure
    if message is not None:
        console.error(task.source.name, message)
        if code == CRASH:
            console.detail(task.trace)
    done(task, message, code)
    return code
