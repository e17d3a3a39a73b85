"""What a person sees: one line for each result or error, and a progress bar when there is something to wait for."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import click

__all__ = ["Console"]

T = TypeVar("T")

# Shorter work is over before a bar is read.
PROGRESS_AFTER_SECONDS = 1.0
REDRAW_SECONDS = 0.1
BAR_WIDTH = 24


class Console:
    """Standard error, for messages and progress.

    Attributes:
        quiet: Errors only.
        verbose: Details of each file.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        """Sets how much is said."""
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self._bar_drawn = False

    def status(self, text: str) -> None:
        """A result line."""
        if not self.quiet:
            self._line(text)

    def detail(self, text: str) -> None:
        """A line for those who asked for more."""
        if self.verbose:
            self._line(text)

    def error(self, name: str | None, message: object) -> None:
        """One error is one line, quiet or not."""
        text = " ".join(str(message).split())
        self._line("densezip: " + (text if name is None else f"{name}: {text}"))

    def run(self, label: str, work: Callable[[Callable[[float], None]], T]) -> T:
        """Runs `work` and returns what it returns, drawing its progress meanwhile.

        The work goes on in a thread: compiled code holds the thread that runs it for many seconds, and the main thread
        must stay free to draw and to hear Ctrl-C.

        Args:
            label: What the bar is about.
            work: Called with a function that takes the fraction done, 0 to 1, from any thread.
        """
        fraction = 0.0
        results: list[T] = []
        errors: list[BaseException] = []

        def report(done: float) -> None:
            nonlocal fraction
            fraction = done

        def target() -> None:
            try:
                results.append(work(report))
            except BaseException as error:  # handed over to the main thread below
                errors.append(error)

        thread = threading.Thread(target=target, daemon=True)
        started = time.monotonic()
        shown = not self.quiet and sys.stderr.isatty()
        thread.start()
        try:
            while thread.is_alive():
                # The timeout lets a Ctrl-C through on systems where waiting for a lock does not.
                thread.join(REDRAW_SECONDS)
                seconds = time.monotonic() - started
                if shown and thread.is_alive() and seconds >= PROGRESS_AFTER_SECONDS:
                    self._draw(label, fraction, seconds)
        finally:
            self._erase()
        if errors:
            raise errors[0]
        return results[0]

    def _draw(self, label: str, fraction: float, seconds: float) -> None:
        fraction = min(max(fraction, 0.0), 1.0)
        bar = "#" * round(fraction * BAR_WIDTH)
        # Before the first percent the estimate is noise.
        left = f"{seconds * (1 - fraction) / fraction:.0f} s left" if fraction >= 0.01 else ""
        text = f"{fraction:4.0%} [{bar:<{BAR_WIDTH}}] {left}"
        room = shutil.get_terminal_size().columns - len(text) - 2
        click.echo(f"\r\x1b[K{_shorten(label, room)} {text}", err=True, nl=False)
        self._bar_drawn = True

    def _erase(self) -> None:
        if self._bar_drawn:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._bar_drawn = False

    def _line(self, text: str) -> None:
        self._erase()
        click.echo(text, err=True)


def _shorten(text: str, width: int) -> str:
    """Cuts the front, since the end of a path says more."""
    if len(text) <= width:
        return text
    return "..." + text[len(text) - width + 3 :] if width > 3 else ""
