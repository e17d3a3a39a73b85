"""Several files at once. One bad file does not stop the others, and the exit code says what happened to all of them.

The work goes on in threads: compiled code holds the thread that runs it for many seconds, and the main thread must stay
free to show progress and to hear Ctrl-C. What is said of the files comes in the order of the files.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from .. import DensezipError, LimitError
from ..models import firstuse
from .api import Progress
from .console import Console
from .progress import Meter
from .resources import Resources
from .sources import Source

__all__ = ["BROKEN_PIPE", "HANGUP", "INTERRUPTED", "PARTIAL", "TERMINATED", "Task", "run_batch"]

# Exit codes. 0 is success, 1 a fault of ours, 2 a wrong command line, and every DensezipError has its own.
CRASH = 1
PARTIAL = 6
# What a shell reports of a program that a signal ended: SIGHUP, SIGINT, SIGPIPE, SIGTERM.
HANGUP = 128 + 1
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13
TERMINATED = 128 + 15

REDRAW_SECONDS = 0.1


class Cancelled(BaseException):
    """Raised in work that nobody waits for any more."""


class Turns:
    """Lets the tasks of a batch pass one after the other, in order: what depends on earlier ones is always the same."""

    def __init__(self) -> None:
        """The first is next."""
        self._next = 0
        self._passed: set[int] = set()
        self._changed = threading.Condition()

    def wait(self, index: int) -> None:
        """Returns when all tasks before this one have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == index)

    def leave(self, index: int) -> None:
        """This task has passed, or will never come."""
        with self._changed:
            self._passed.add(index)
            while self._next in self._passed:
                self._passed.remove(self._next)
                self._next += 1
            self._changed.notify_all()


class Task:
    """One file of a batch: how far it is, and what came of it.

    Attributes:
        source: The input.
        weight: What share of the work it is expected to be.
        fraction: Done of it.
        worked: There was something to do.
        result: What the job gave back.
        error: What it failed by.
    """

    def __init__(self, index: int, source: Source, turns: Turns) -> None:
        """Begins with nothing done."""
        self.source = source
        self.weight = _weight(source)
        self.fraction = 0.0
        self.worked = False
        self.cancelled = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.trace = ""
        self._index = index
        self._turns = turns

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """What is done inside is done for all earlier files before, and for all later ones after."""
        self._turns.wait(self._index)
        try:
            yield
        finally:
            self._turns.leave(self._index)

    def progress(self, begin: float = 0.0, end: float = 1.0) -> Progress:
        """What reports the progress of a part of the work, from any thread."""

        def report(done: float) -> None:
            if self.cancelled:
                raise Cancelled
            self.worked = self.worked or done > 0
            self.fraction = begin + (end - begin) * min(max(done, 0.0), 1.0)

        return report

    def run(self, job: Callable[[Task], Any]) -> None:
        """Does the work, whatever happens."""
        try:
            self.result = job(self)
        except BaseException as error:  # handed over to the main thread
            self.error = error
            self.trace = traceback.format_exc()
        finally:
            self._turns.leave(self._index)

    def failure(self) -> tuple[int, str] | None:
        """The exit code and the message, if it failed.

        Raises:
            BrokenPipeError: Nobody reads standard output any more, so there is nothing left to do for the others.
        """
        error = self.error
        if error is None:
            return None
        if isinstance(error, BrokenPipeError):
            raise error
        if isinstance(error, DensezipError):
            return error.exit_code, str(error)
        if isinstance(error, MemoryError):
            return LimitError.exit_code, "not enough memory for this image"
        # A fault of ours. It must not cost the other files either.
        return CRASH, f"internal error, please report it: {type(error).__name__}: {error}"


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
    firstuse.tell(console.notice)
    workers.start()
    try:
        while said < len(tasks):
            task = workers.wait(REDRAW_SECONDS)
            if task is not None:
                finished.add(task)
                meter.finish(task)
            console.say_notices()
            while said < len(tasks) and tasks[said] in finished:
                finished.discard(tasks[said])
                codes.add(_say(tasks[said], console, done))
                said += 1
            meter.tick(workers.running())
    finally:
        workers.stop()
        firstuse.tell(None)
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


def _weight(source: Source) -> float:
    """The size of a file is what its work goes by; what cannot be asked for it takes none."""
    if source.path is None or source.problem is not None:
        return 1.0
    try:
        return 1.0 + source.path.stat().st_size
    except OSError:
        return 1.0
