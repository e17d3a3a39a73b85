"""Where the outputs go: never over the source, never by half, never over another file unless told to."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .. import OutputError
from .console import shown
from .output import stdout_is_terminal, write_all, write_stdout
from .partial import Partials
from .sources import Source, exact_name, same_file

__all__ = ["STDOUT_FILES", "Target", "Targets"]

STDOUT = "-"
STDOUT_FILES = frozenset([STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
# Names for what is open already, be it a file: it is written to, and not replaced by a file of that name.
OPEN_FILES = ("/dev/fd/", "/dev/stderr", "/proc/self/fd/")


class Target(NamedTuple):
    """One output.

    Attributes:
        path: The file; `None` is standard output.
        stream: It is a device or a pipe, which is written to and stays what it is.
        existing: Status of the file that is there already.
        outdated: That was made of the same input with other options: it may be replaced.
    """

    path: Path | None
    stream: bool = False
    existing: os.stat_result | None = None
    outdated: bool = False

    @property
    def name(self) -> str:
        """The name to print."""
        return "standard output" if self.path is None else shown(self.path)

    @property
    def exact_name(self) -> str:
        """The name for programs, see `sources.exact_name`; `-` is standard output."""
        return STDOUT if self.path is None else exact_name(self.path)

    @property
    def is_file(self) -> bool:
        """Whether the output will be a file that can be read again."""
        return self.path is not None and not self.stream


@dataclass
class Targets:
    """Chooses, checks and writes the outputs of one command, for several threads.

    Attributes:
        output: What `-o` names; `-` is standard output.
        folder: What `--output-dir` names.
        force: Overwrite files, and write binary data to a terminal.
    """

    output: str | None
    folder: Path | None
    force: bool
    partials: Partials = field(default_factory=Partials)
    _claimed: dict[str, str] = field(default_factory=dict)
    _written: dict[tuple[int, int], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, source: Source, name: str) -> Target:
        """The output for `source`, which no other input of this command gets after this.

        Args:
            source: The input.
            name: What the output is called, where the command line does not say it.

        Raises:
            OutputError: It must not be written: it is the source itself, another input's output, or in no folder that
                takes files. A file that exists is no error here, see `Target.existing`.
        """
        target = self._choose(source, name)
        try:
            return self._claim(source, target)
        except OSError as error:
            raise OutputError(f"cannot write {target.name}: {error.strerror or error}") from error

    def _claim(self, source: Source, target: Target) -> Target:
        path = target.path
        if path is None:
            if stdout_is_terminal() and not self.force:
                raise OutputError("standard output is a terminal: give -o FILE, or -f to print binary data")
            return target
        if target.stream:
            return target
        _check_name(path)
        with self._lock:
            earlier = self._claimed.setdefault(_key(path), source.name)
        if earlier != source.name:
            raise OutputError(f"{target.name} is the output of {earlier} already: give one of them another -o")
        if os.path.lexists(path):
            if source.path is not None and path.exists() and path.samefile(source.path):
                raise OutputError(f"{target.name} is the input itself: give -o another name")
            if path.is_dir():
                raise OutputError(f"{target.name} is a folder: give --output-dir for a folder, -o for a file")
            status = path.lstat()
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise OutputError(f"{target.name} is no file: name it with -o to write to it")
            target = Target(path, existing=status)
        self._check_folder(path.parent)
        return target

    def _choose(self, source: Source, name: str) -> Target:
        if self.output is not None:
            return self._named(self.output)
        if source.path is None:
            return Target(None)
        if self.folder is not None:
            return Target(self.folder / source.relative.with_name(name))
        return Target(source.path.with_name(name))

    def _named(self, output: str) -> Target:
        """What `-o` names: through a link, its target; a device or a pipe as it is."""
        if output in STDOUT_FILES:
            return Target(None)
        path = Path(output)
        try:
            status = path.stat()
        except FileNotFoundError:
            status = None
        except OSError as error:
            raise OutputError(f"cannot write {Target(path).name}: {error.strerror or error}") from error
        special = status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))
        if special or output.startswith(OPEN_FILES):
            if status is not None and stat.S_ISBLK(status.st_mode) and not self.force:
                raise OutputError(f"{Target(path).name} is a disk: give -f to write over its beginning")
            return Target(path, stream=True)
        return Target(Path(os.path.realpath(path)) if path.is_symlink() else path)

    def write(
        self,
        target: Target,
        data: bytes,
        like: os.stat_result | None,
        *,
        verify: Callable[[bytes], object] | None = None,
        guarded: bool = False,
    ) -> None:
        """Writes an output whole or not at all, with the source's time and permissions as zstd and gzip keep them.

        Args:
            target: As `claim` gave it.
            data: The content.
            like: Status of the source.
            verify: Called with the bytes read back from the disk, before they get their name. What it raises leaves no
                output behind. The bytes are on the disk for good when `write` returns: the source is about to go.
            guarded: Replace the file that was there when the output was claimed only, and no other.

        Raises:
            BrokenPipeError: The output is a pipe whose reader has gone.
            OutputError: The output cannot be written.
        """
        if target.path is None:
            write_stdout(data)
            return
        try:
            if target.stream:
                self._write_stream(target.path, data)
            else:
                self._write_file(target.path, target, data, like, verify, guarded)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write {target.name}: {error.strerror or error}") from error

    @staticmethod
    def _write_stream(path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def _write_file(
        self,
        path: Path,
        target: Target,
        data: bytes,
        like: os.stat_result | None,
        verify: Callable[[bytes], object] | None,
        guarded: bool,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        ordinary = like is not None and stat.S_ISREG(like.st_mode)
        # Private images stay private from the first byte; the umask takes its bits as for any new file.
        mode = like.st_mode & 0o777 if like is not None and ordinary else 0o666
        partial, descriptor = self.partials.create(path.parent, mode)
        try:
            try:
                write_all(descriptor, data)
                if verify is not None:
                    os.fsync(descriptor)
                    _forget(descriptor)
            finally:
                os.close(descriptor)
            if like is not None and ordinary:
                os.utime(partial, ns=(like.st_atime_ns, like.st_mtime_ns))
            if verify is not None:
                verify(partial.read_bytes())
            with self._lock:
                self._give_name(partial, target, path, guarded)
                status = path.lstat()
                self._written[status.st_dev, status.st_ino] = target.name
            if verify is not None:
                sync_folder(path.parent)
        finally:
            # After the file got its name there is nothing left to remove; after anything else there is.
            self.partials.remove(partial)

    def _give_name(self, partial: Path, target: Target, path: Path, guarded: bool) -> None:
        """Replaces what may be replaced, which is looked at again: somebody may have put a file there meanwhile."""
        existing = None
        with contextlib.suppress(FileNotFoundError):
            existing = path.lstat()
        if existing is not None:
            if (existing.st_dev, existing.st_ino) in self._written:
                # Names that differ in case only are one file on some disks.
                raise OutputError(f"{target.name} is the output of another input already: give one of them another -o")
            if not (self.force or target.outdated):
                raise OutputError(f"{target.name} exists: give -f to overwrite it")
            if (guarded or target.outdated) and (target.existing is None or not same_file(target.existing, existing)):
                raise OutputError(f"{target.name} was written by somebody else meanwhile, and is kept")
            os.replace(partial, path)
            return
        try:
            # Fails if the name is taken, however short a time ago.
            os.link(partial, path)
        except FileExistsError:
            raise OutputError(f"{target.name} exists: give -f to overwrite it") from None
        except OSError:  # a disk without hard links
            os.replace(partial, path)

    def _check_folder(self, folder: Path) -> None:
        """Refuses a folder that cannot take a file; below `--output-dir`, missing ones are made later."""
        while self.folder is not None and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        name = shown(folder)
        if not folder.exists():
            raise OutputError(f"there is no folder {name}")
        if not folder.is_dir():
            raise OutputError(f"{name} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {name} is read-only")


def _check_name(path: Path) -> None:
    """Refuses a name that no file can have, before the work for it.

    Raises:
        OutputError: It is too long, for one.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {shown(path)}: {getattr(error, 'strerror', None) or error}") from error


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk for good, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _forget(descriptor: int) -> None:
    """Lets the system drop its copy of a file in memory, so that reading it back asks the disk."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _key(path: Path) -> str:
    return os.path.join(os.path.realpath(path.parent), path.name)
