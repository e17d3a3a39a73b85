"""One bad file does not stop the others, and the exit code says what happened to all of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable

from .. import DensezipError, LimitError
from .console import Console
from .sources import Source

__all__ = ["BROKEN_PIPE", "INTERRUPTED", "PARTIAL", "TERMINATED", "run_batch"]

# Exit codes. 0 is success, 1 a fault of ours, 2 a wrong command line, and every DensezipError has its own.
CRASH = 1
PARTIAL = 6
# What a shell reports of a program that a signal ended: SIGINT, SIGPIPE, SIGTERM.
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13
TERMINATED = 128 + 15


def run_batch(sources: Iterable[Source], job: Callable[[Source], None], console: Console) -> int:
    """Does `job` for every source and reports the errors.

    Returns:
        The exit code: the one that all sources share, or `PARTIAL` if they differ.
    """
    codes = set()
    for source in sources:
        try:
            job(source)
        except BrokenPipeError:
            # Nobody reads standard output any more, so there is nothing left to do for the other sources either.
            raise
        except DensezipError as error:
            console.error(source.name, error)
            codes.add(error.exit_code)
        except MemoryError:
            console.error(source.name, "not enough memory for this image")
            codes.add(LimitError.exit_code)
        except Exception as error:
            # A fault of ours. It must not cost the other files either.
            console.error(source.name, f"internal error, please report it: {type(error).__name__}: {error}")
            console.detail(traceback.format_exc())
            codes.add(CRASH)
        else:
            codes.add(0)
    return codes.pop() if len(codes) == 1 else PARTIAL
