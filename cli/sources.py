"""Where the inputs come from: files, patterns that no shell expanded, folders, standard input."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .. import InputError, UsageError
from ..codec.file.inputs import HEAD_BYTES, read_file, read_stream
from . import api
from .console import shown

__all__ = [
    "DENSEZIP_SUFFIX",
    "STDIN",
    "Loaded",
    "Source",
    "densezip_suffixes",
    "exact_name",
    "expand",
    "image_suffixes",
    "same_file",
]

Suffixes = Callable[[], frozenset[str]]

DENSEZIP_SUFFIX = ".dz"

STDIN = "-"


class Loaded(NamedTuple):
    """The content of an input.

    Attributes:
        data: Its bytes.
        status: Of the file that they were read from; `None` for standard input.
    """

    data: bytes
    status: os.stat_result | None


class Source(NamedTuple):
    """One input.

    Attributes:
        path: The file; `None` is standard input.
        relative: Where its output goes below `--output-dir`: below the folder that was named, or the bare name.
        problem: Why there is nothing to read here, known since the inputs were expanded. Raised by `read`, so that it
            is one outcome among those of the batch.
    """

    path: Path | None
    relative: Path
    problem: str | None = None

    @property
    def name(self) -> str:
        """The name to print."""
        return "standard input" if self.path is None else shown(self.path)

    @property
    def exact_name(self) -> str:
        """The name for programs, see `exact_name`; `-` is standard input."""
        return STDIN if self.path is None else exact_name(self.path)

    def status(self) -> os.stat_result | None:
        """Status of the file, whose time and permissions the output keeps; `None` for standard input.

        Raises:
            InputError: There is no such file.
        """
        if self.problem is not None:
            raise InputError(self.problem)
        if self.path is None:
            return None
        try:
            return self.path.stat()
        except OSError as error:
            raise self._unreadable(error) from None

    def head(self) -> bytes:
        """The beginning of a file.

        Raises:
            InputError: There is no such file, or it cannot be read.
            UsageError: Standard input is a terminal.
        """
        with self._open() as file:
            return file.read(HEAD_BYTES)

    def load(self, most: int, probe: Callable[[bytes], object]) -> Loaded:
        """The whole input, and which file that was.

        Args:
            most: Bytes; pipes and devices may have no end.
            probe: Raises for first bytes with which there is no need to read the others.

        Raises:
            InputError: There is no such file, or it cannot be read.
            LimitError: It is longer than `most`.
            UsageError: Standard input is a terminal.
        """
        with self._open() as file:
            if self.path is None:
                return Loaded(read_stream(file.read, most, probe), None)
            # Before the reading: what is written meanwhile makes it another file.
            status = os.fstat(file.fileno())
            return Loaded(read_file(file, most, probe), status)

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if self.problem is not None:
            raise InputError(self.problem)
        try:
            if self.path is not None:
                with open(self.path, "rb") as file:
                    yield file
                return
            if sys.stdin is None:
                raise InputError("standard input is closed")
            if sys.stdin.isatty():
                raise UsageError("standard input is a terminal: send a file to it, or name one")
            yield sys.stdin.buffer
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> InputError:
        if isinstance(error, FileNotFoundError):
            return InputError("no file matches" if glob.has_magic(str(self.path)) else "no such file")
        return InputError(f"cannot read: {error.strerror or error}")


def exact_name(path: Path) -> str:
    """The name of a file for programs: a byte that is not text is a lone surrogate, U+DC80 to U+DCFF, as in Python."""
    name = os.fspath(path)
    return name if name != STDIN else os.path.join(".", name)


def same_file(first: os.stat_result, second: os.stat_result) -> bool:
    """Whether nobody has replaced or changed the file between the two looks at it."""
    return all(
        getattr(first, name) == getattr(second, name) for name in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    ) and stat.S_ISREG(second.st_mode)


def image_suffixes() -> frozenset[str]:
    """Suffixes of the images in a folder.

    Going by the name and not by the content keeps to a rule that a person can predict: a damaged photo.png is an error
    that they hear of, a notes.txt is passed over.
    """
    return api.image_suffixes()


def densezip_suffixes() -> frozenset[str]:
    """Suffixes of what densezip writes."""
    return frozenset({DENSEZIP_SUFFIX})


def expand(inputs: Iterable[str], *, recursive: bool, suffixes: Suffixes) -> list[Source]:
    """Turns the arguments into sources, in order, each once.

    Args:
        inputs: Files, folders, patterns (`*.png`, `**/*.png`) or `-`.
        recursive: Go through folders; otherwise a folder is a source with a problem.
        suffixes: Gives the lower-case suffixes of the files that a folder is searched for; called for folders only.

    Returns:
        The sources. What is missing or cannot be read is among them, and says so when it is read.
    """
    sources: dict[str, Source] = {}
    for argument in inputs:
        for source in _expand_argument(argument, recursive, suffixes):
            # The problem is part of the key: a folder can be a source for two reasons.
            sources.setdefault(f"{source.path}\0{source.problem}", source)
    return list(sources.values())


def _expand_argument(argument: str, recursive: bool, suffixes: Suffixes) -> Iterator[Source]:
    if argument == STDIN:
        yield Source(None, Path(STDIN))
        return
    if not argument:
        yield Source(Path(), Path(), "an empty name")
        return
    # A file whose name has a bracket in it is that file, not a pattern.
    matches: Sequence[str] = [argument]
    if glob.has_magic(argument) and not os.path.lexists(argument):
        matches = sorted(glob.glob(argument, recursive=True)) or [argument]
    for match in map(Path, matches):
        # What may not be looked at is no folder here: it says so when it is read.
        if not os.path.isdir(match):
            yield Source(match, Path(match.name))
        elif recursive:
            yield from _walk(match, suffixes())
        else:
            yield Source(match, Path(match.name), "is a folder: give -r to go through it")


def _is_other(path: Path) -> bool:
    """Whether something in a folder is neither a file nor a link, nor kept from being looked at."""
    try:
        return not (path.is_symlink() or path.is_file())
    except OSError:
        return False


def _walk(folder: Path, suffixes: frozenset[str]) -> Iterator[Source]:
    """Every file below `folder` with one of the suffixes, in order of name; hidden ones and linked folders are left."""
    problems: list[OSError] = []
    found = False
    for parent, folders, names in os.walk(folder, onerror=problems.append):
        # Hidden folders hold thumbnails and version control, hidden files the ._ companions of other systems.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            # A pipe or a device in a folder would have to be waited for.
            if not name.startswith(".") and path.suffix.lower() in suffixes and not _is_other(path):
                found = True
                yield Source(path, path.relative_to(folder))
    for error in problems:
        where = Path(error.filename) if error.filename else folder
        yield Source(where, Path(where.name), f"cannot read this folder: {error.strerror}")
    if not found and not problems:
        wanted = "images" if DENSEZIP_SUFFIX not in suffixes else f"{DENSEZIP_SUFFIX} files"
        yield Source(folder, Path(folder.name), f"this folder has no {wanted}")
