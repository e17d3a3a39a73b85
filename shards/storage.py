"""Folders near and far, through fsspec: `/data/photos`, `s3://bucket/photos`, `memory://x`.

A file appears whole or not at all: local ones are renamed into place, and stores of objects publish at the end of a
write by themselves.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Iterator
from typing import Any

from .. import InputError, OutputError, UsageError

__all__ = ["Folder", "read_file"]

PART = ".densezip-shard-"
STALE_SECONDS = 3600


def _filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL or path, and the path in it.

    Raises:
        UsageError: fsspec is not there, or it does not know the URL's kind.
    """
    try:
        import fsspec
    except ImportError:
        raise UsageError("batches need fsspec: pip install 'densezip[batch]'") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error
    return filesystem, path


def read_file(url: str) -> bytes:
    """The content of a file.

    Raises:
        InputError: it cannot be read.
    """
    filesystem, path = _filesystem(url)
    try:
        content: bytes = filesystem.cat_file(path)
    except Exception as error:  # every store has errors of its own
        raise InputError(f"cannot be read: {_reason(error)}") from error
    return content


class Folder:
    """A folder that files are read from and published in.

    Args:
        url: its path, or its URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") or "/"
        self._filesystem, self._path = _filesystem(url)
        self._path = self._path.rstrip("/")
        self._local = "file" in _protocols(self._filesystem)
        if self._local:
            self.url = self._path  # absolute, for whoever works elsewhere

    def url_of(self, name: str) -> str:
        """The URL of a file in it."""
        return posixpath.join(self.url, name)

    def _place(self, name: str) -> str:
        return posixpath.join(self._path, name)

    def exists(self) -> bool:
        """Whether it is there."""
        return bool(self._filesystem.isdir(self._path))

    def files(self) -> Iterator[tuple[str, int]]:
        """(name, size) of every file below it, in the order of the names; unfinished and hidden ones are left out."""
        found = self._filesystem.find(self._path, detail=True)
        for path in sorted(found):
            name = posixpath.relpath(path, self._path)
            if not any(part.startswith(".") for part in name.split("/")):
                yield name, int(found[path]["size"])

    def size(self, name: str) -> int | None:
        """Bytes of a file in it, or None where it is not there."""
        try:
            return int(self._filesystem.info(self._place(name))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """The content of a file in it.

        Raises:
            InputError: it cannot be read.
        """
        return read_file(self.url_of(name))

    def publish(self, name: str, content: bytes) -> None:
        """Write a file, which appears whole or not at all, in the place of one of that name.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            if self._local:
                self._publish_locally(self._place(name), content)
            else:
                self._filesystem.pipe_file(self._place(name), content)
        except Exception as error:  # every store has errors of its own
            raise OutputError(f"{self.url_of(name)}: {_reason(error)}") from error

    def _publish_locally(self, path: str, content: bytes) -> None:
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        part = os.path.join(folder, f"{PART}{os.getpid()}-{os.urandom(4).hex()}.part")
        try:
            with open(part, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise

    def sweep(self) -> int:
        """Remove what killed processes left half-written, so old that nobody can still be at it; returns how many."""
        if not self._local:
            return 0
        count = 0
        for folder, _, names in os.walk(self._path):
            for name in names:
                if name.startswith(PART):
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):
                        if time.time() - os.stat(path).st_mtime > STALE_SECONDS:
                            os.unlink(path)
                            count += 1
        return count


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
