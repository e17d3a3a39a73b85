"""Files in the making: hidden, named after the process that makes them, and gone when it ends.

What a killed process left behind is removed by the next run that writes into the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import threading
import time
from pathlib import Path

from .. import OutputError

__all__ = ["Partials"]

NAME = re.compile(r"\.densezip-([0-9]{1,10})-([0-9a-f]{8})[0-9a-f]{8}\.part")
# A process may be starting elsewhere under the number that a file names: what is young is left alone.
STALE_SECONDS = 60


class Partials:
    """The files in the making of one command, from several threads."""

    def __init__(self) -> None:
        """Begins with none."""
        self._lock = threading.Lock()
        self._paths: set[Path] = set()
        self._swept: set[Path] = set()
        self._closed = False

    def create(self, folder: Path, mode: int) -> tuple[Path, int]:
        """A new file in `folder` and a descriptor that writes to it.

        Args:
            folder: That of the output, so that giving the file its name crosses no device.
            mode: Permissions from the first byte on, before the umask takes its bits.

        Raises:
            OSError: It cannot be made.
            OutputError: The command is ending.
        """
        with self._lock:
            if self._closed:
                raise OutputError("interrupted")
            if folder not in self._swept:
                self._swept.add(folder)
                _sweep(folder)
            path = folder / f".densezip-{os.getpid()}-{_host()}{os.urandom(4).hex()}.part"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, mode)
            self._paths.add(path)
            return path, descriptor

    def remove(self, path: Path) -> None:
        """Removes a file that got no name; one that did is no longer there."""
        with self._lock:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            self._paths.discard(path)

    def close(self) -> None:
        """Removes every file, and lets threads that still run make no more."""
        with self._lock:
            self._closed = True
            for path in self._paths:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            self._paths.clear()


def _sweep(folder: Path) -> None:
    """Removes the files in `folder` of processes of this machine that are no more."""
    if os.name != "posix":
        return  # no harmless question tells whether a process lives
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = NAME.fullmatch(entry.name)
            if found is None or found[2] != _host() or _alive(int(found[1])):
                continue
            with contextlib.suppress(OSError):
                if _age(entry) > STALE_SECONDS:
                    os.unlink(entry.path)


def _age(entry: os.DirEntry[str]) -> float:
    """Seconds since a file was last touched in any way: its time of modification may be the source's already."""
    return time.time() - entry.stat(follow_symlinks=False).st_ctime


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _host() -> str:
    """Eight digits for where process numbers mean what they mean here: the machine, and the container on it."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.blake2b(f"{platform.node()}\0{space}".encode(errors="replace"), digest_size=4).hexdigest()
