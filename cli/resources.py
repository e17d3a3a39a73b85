"""Processors and memory, shared by the files that are worked on at once."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

__all__ = ["MemorySize", "Resources", "processors"]

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# Where a container has less memory than the machine.
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Of a machine that does not say how much it has.
ASSUMED_MEMORY = 2**32


class MemorySize(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A number of bytes, with K, M, G or T for powers of 1,024."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """At least one byte."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]?)(?:i?B)?", str(value).strip(), re.IGNORECASE)
        size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
        if size < 1:
            self.fail(f"{value!r} is not a size such as 500M or 4G", param, ctx)
        return size


def processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container that this process is in."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        total = ASSUMED_MEMORY
    for name in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(name).read_text(encoding="ascii")))
    return max(1, total)


class Resources:
    """Lets files begin in their order, each when its memory fits, and tells each how many threads it gets.

    Args:
        threads: All there are; 0 for all processors.
        memory: Bytes that the files at work may take together; `None` for half of the machine's. One file always runs,
            however large.
        files: How many there are.
    """

    def __init__(self, threads: int, memory: int | None, files: int) -> None:
        """Begins with nothing taken."""
        self.threads = threads or processors()
        half = machine_memory() // 2
        self.memory = memory or half
        # No input may be longer: one file always runs, but for those that no memory of this machine can hold.
        self.longest = max(self.memory, half)
        self.workers = max(1, min(self.threads, files))
        self._files = files
        self._running = 0
        self._used = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def share(self, need: int) -> Iterator[int]:
        """Waits until `need` bytes are free, and gives the number of threads for this file.

        A large file is not overtaken by small ones, which would let it wait for the end of the batch.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(
                lambda: self._queue[0] is ticket and (not self._running or self._used + need <= self.memory)
            )
            self._queue.popleft()
            self._running += 1
            self._used += need
            # So many files like this one can run at once: they get all threads among them.
            at_once = min(self.threads, max(self._files, self._running), max(1, self.memory // max(1, need)))
            self._changed.notify_all()
        try:
            yield max(1, self.threads // at_once)
        finally:
            with self._changed:
                self._running -= 1
                self._used -= need
                self._changed.notify_all()

    def finished(self) -> None:
        """One of the files needs nothing any more."""
        with self._changed:
            self._files -= 1
