"""One file of a batch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import DensezipError, LimitError
from .api import Progress
from .sources import Source

__all__ = ["CRASH", "Cancelled", "Task", "Turns"]

# The exit code of a fault of ours.
CRASH = 1


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
        ended: There is nothing more to come of it.
        result: What the job gave back.
        error: What it failed by.
    """

    def __init__(self, index: int, source: Source, turns: Turns) -> None:
        """Begins with nothing done."""
        self.source = source
        self.weight = _weight(source)
        self.fraction = 0.0
        self.worked = False
        self.ended = False
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
            import traceback

            self.error = error
            self.trace = traceback.format_exc()
        finally:
            self.ended = True
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


def _weight(source: Source) -> float:
    """The size of a file is what its work goes by; what cannot be asked for it takes none."""
    if source.path is None or source.problem is not None:
        return 1.0
    try:
        return 1.0 + source.path.stat().st_size
    except OSError:
        return 1.0
