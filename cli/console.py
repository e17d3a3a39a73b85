"""What a person sees: one line for each result or error."""

from __future__ import annotations

import re
from pathlib import Path

import click

__all__ = ["Console", "shown"]

# What a terminal obeys; the end of a line does no more than that.
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
ENDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def shown(path: str | Path) -> str:
    """The name of a file for people, in one line: what is no text, or no character, becomes a replacement character."""
    return ENDS.sub("\N{REPLACEMENT CHARACTER}", click.format_filename(path))


class Console:
    """Standard error, for messages. Only the main thread writes to it.

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

    def draw(self, bar: str) -> None:
        """Draws a line that the next one replaces, on a terminal."""
        _say(f"\r\x1b[K{bar}", nl=False)
        self._bar_drawn = True

    def erase(self) -> None:
        """Removes that line."""
        if self._bar_drawn:
            _say("\r\x1b[K", nl=False)
            self._bar_drawn = False

    def _line(self, text: str) -> None:
        self.erase()
        # A name may hold anything, and what a terminal obeys is no business of a file.
        _say(CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def _say(text: str, *, nl: bool = True) -> None:
    """Writes to standard error; where there is no room for it, as on a full disk, the work goes on unsaid.

    Raises:
        BrokenPipeError: Its reader has gone.
    """
    try:
        click.echo(text, err=True, nl=nl)
    except BrokenPipeError:
        raise
    except OSError:
        pass
