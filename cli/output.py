"""Standard output and other streams, to which everything is written or an error says why not."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys

from .. import OutputError

__all__ = ["closed_streams_fail", "print_line", "silence", "stdout_is_terminal", "write_all", "write_stdout"]


def write_all(descriptor: int, data: bytes) -> None:
    """Writes to a file descriptor until nothing is left: a pipe or a full disk may take a part at a time.

    Raises:
        OSError: The rest cannot be written.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            # Somebody else made this stream one that does not wait.
            select.select([], [descriptor], [])


def write_stdout(data: bytes) -> None:
    """Writes bytes to standard output.

    Raises:
        BrokenPipeError: Its reader has gone.
        OutputError: It is closed, or its disk is full.
    """
    stream = sys.stdout
    try:
        if stream is None:
            raise OutputError("standard output is closed")
        stream.flush()
        try:
            descriptor = stream.fileno()
        except io.UnsupportedOperation:  # not a stream of the system, but one in memory
            stream.buffer.write(data)
            stream.flush()
            return
        write_all(descriptor, data)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EBADF:
            raise OutputError("standard output is closed") from error
        raise OutputError(f"cannot write standard output: {getattr(error, 'strerror', None) or error}") from error


def print_line(text: str) -> None:
    """Prints a line on standard output. Bytes of names that are no text in its encoding become question marks.

    Raises:
        BrokenPipeError: Its reader has gone.
        OutputError: It is closed, or its disk is full.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    write_stdout((text + os.linesep).encode(encoding, errors="replace"))


def stdout_is_terminal() -> bool:
    """Whether binary data would be shown to a person."""
    with contextlib.suppress(ValueError, AttributeError):
        return sys.stdout.isatty()
    return False


def silence() -> None:
    """Lets standard output go nowhere: its buffer cannot be written, and Python would say so at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def closed_streams_fail() -> None:
    """Makes standard streams that were closed when the process began ones whose use is an error.

    Otherwise the next file that is opened gets such a stream's number, and what is printed goes into that file.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the one that is missing.
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            if number == 1 and sys.stdout is None:
                sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
