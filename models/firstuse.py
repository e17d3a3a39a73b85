"""Compiled code is loaded before its first use, and a user who waits for a compiler is told so."""

import threading
from collections.abc import Callable

__all__ = ["FirstUse", "tell"]

# Loading from the cache takes less, compiling far more.
PATIENCE_SECONDS = 1.5

_listener: Callable[[str], None] | None = None


def tell(listener: Callable[[str], None] | None) -> None:
    """Sets who is told that a user waits for a compiler, from any thread. Nobody is, unless this says so."""
    global _listener  # noqa: PLW0603
    _listener = listener


class FirstUse:
    """Loads compiled code once for a process, from whatever thread comes first.

    Args:
        notice: what to say when it takes long because it is compiled, to whom `tell` named.
        load: makes the first call.
    """

    def __init__(self, notice: str, load: Callable[[], None]) -> None:
        self.notice = notice
        self.load = load
        self.lock = threading.Lock()
        self.loaded = threading.Event()

    def wait(self) -> None:
        """Return when the code is loaded."""
        if self.loaded.is_set():
            return
        with self.lock:
            if self.loaded.is_set():
                return
            timer = threading.Timer(PATIENCE_SECONDS, self._say)
            timer.daemon = True
            timer.start()
            try:
                self.load()
            finally:
                timer.cancel()
            self.loaded.set()

    def _say(self) -> None:
        if _listener is not None:
            _listener(self.notice)
