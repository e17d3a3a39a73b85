"""Where the outputs go: never over the source, never by half, never over another file unless told to."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click

from .. import OutputError
from .sources import Source

__all__ = ["STDOUT", "Targets"]

STDOUT = "-"


@dataclass
class Targets:
    """Chooses, checks and writes the outputs of one command.

    Attributes:
        output: What `-o` names; `-` is standard output.
        folder: What `--output-dir` names.
        force: Overwrite files, and write binary data to a terminal.
        overwritten_by: The source of each output that this command wrote, by path and by file identity.
    """

    output: str | None
    folder: Path | None
    force: bool
    overwritten_by: dict[object, str] = field(default_factory=dict)

    def choose(self, source: Source, suffix: str) -> Path | None:
        """The output for `source`; `None` is standard output.

        Args:
            source: The input.
            suffix: What replaces the suffix of the source's name, with its dot.
        """
        if self.output is not None:
            return None if self.output == STDOUT else Path(self.output)
        if source.path is None:
            return None
        if self.folder is not None:
            return self.folder / source.relative.with_suffix(suffix)
        return source.path.with_suffix(suffix)

    @staticmethod
    def name(path: Path | None) -> str:
        """The name to print."""
        return "standard output" if path is None else click.format_filename(path)

    def check(self, path: Path | None, source: Source) -> None:
        """Refuses an output that must not be written, before any work is done for it.

        Raises:
            OutputError: It is the source itself, another input's output, there already, or in no writable folder.
        """
        if path is None:
            if sys.stdout.isatty() and not self.force:
                raise OutputError("standard output is a terminal: give -o FILE, or -f to print binary data")
            return
        name = self.name(path)
        earlier = next((self.overwritten_by[key] for key in _identities(path) if key in self.overwritten_by), None)
        if earlier is not None:
            raise OutputError(f"would overwrite {name}, just written from {earlier}: give one of them another -o")
        if os.path.lexists(path):
            if source.path is not None and path.exists() and path.samefile(source.path):
                raise OutputError(f"{name} is the input itself: give -o another name")
            if path.is_dir():
                raise OutputError(f"{name} is a folder: give --output-dir for a folder, -o for a file")
            if not self.force:
                raise OutputError(f"{name} exists: give -f to overwrite it")
        self._check_folder(path.parent)

    def write(
        self, path: Path | None, source: Source, data: bytes, *, verify: Callable[[bytes], object] | None = None
    ) -> None:
        """Writes an output whole or not at all, with the source's time and permissions as zstd and gzip keep them.

        Args:
            path: As `choose` gave it and `check` allowed it.
            source: The input that the output is made from.
            data: The content.
            verify: Called with the bytes read back from the disk, before they get their name. What it raises leaves no
                output behind. The bytes are on the disk for good when `write` returns: the source is about to go.

        Raises:
            OutputError: The output cannot be written.
        """
        if path is None:
            stream = sys.stdout.buffer
            stream.write(data)
            stream.flush()
            return
        # In the same folder, so that the rename cannot cross devices; hidden, so that folders in use do not pick it up.
        partial = path.with_name(f".densezip-{os.urandom(4).hex()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            status = source.stat()
            mode = 0o666 if status is None else status.st_mode & 0o777
            # Private images stay private from the first byte; the umask takes its bits as for any new file.
            with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(data)
                if verify is not None:
                    file.flush()
                    os.fsync(file.fileno())
            if status is not None:
                os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
            if verify is not None:
                verify(partial.read_bytes())
            # Again, since somebody may have put a file there while the work went on.
            self.check(path, source)
            os.replace(partial, path)
        except OSError as error:
            raise OutputError(f"cannot write {self.name(path)}: {error.strerror or error}") from error
        finally:
            # After the rename there is nothing left to remove; after anything else, Ctrl-C included, there is.
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        self.overwritten_by.update(dict.fromkeys(_identities(path), source.name))

    def _check_folder(self, folder: Path) -> None:
        """Refuses a folder that cannot take a file; below `--output-dir`, missing ones are made later."""
        while self.folder is not None and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        name = self.name(folder)
        if not folder.exists():
            raise OutputError(f"there is no folder {name}")
        if not folder.is_dir():
            raise OutputError(f"{name} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {name} is read-only")


def _identities(path: Path) -> list[object]:
    """What tells that two paths are one file: the resolved path, and the file's own number if it exists."""
    identities: list[object] = [os.path.join(os.path.realpath(path.parent), path.name)]
    with contextlib.suppress(OSError):
        status = path.lstat()
        identities.append((status.st_dev, status.st_ino))
    return identities
