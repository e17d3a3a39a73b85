"""What `compress` and `decompress` do to the bytes of one input, and what they have in common for all."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import ChecksumError, InputError, OutputError, UsageError, compress, export, info, verify
from ..codec.file.container import MAGIC
from .batch import run_batch
from .console import Console
from .report import sizes_text, summary
from .sources import DENSEZIP_SUFFIX, Source, densezip_suffixes, expand, image_suffixes
from .targets import STDOUT, Targets

__all__ = ["Compression", "Conversion", "Decompression", "convert_all"]

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Conversion(ABC):
    """One direction of the work.

    Attributes:
        threads: Tiles worked on at once; 0 for all processors.
        max_pixels: Larger images are refused.
    """

    threads: int
    max_pixels: int

    @abstractmethod
    def suffixes(self) -> frozenset[str]:
        """Suffixes of the files that a folder is searched for."""

    @abstractmethod
    def suffix(self, data: bytes) -> str:
        """Suffix of the output for the input `data`; raises at once for an input that is bound to fail."""

    @abstractmethod
    def convert(self, data: bytes, path: Path | None, progress: Progress) -> bytes:
        """The output's bytes. `path` is the output that `-o` named, if any: its suffix says how to write it."""

    @abstractmethod
    def verify(self, written: bytes, result: bytes, progress: Progress) -> None:
        """Raises unless `written`, which is `result` read back from the disk, decodes to what went in."""

    @abstractmethod
    def remarks(self, data: bytes, result: bytes) -> tuple[str, str]:
        """What to say of this file to everybody (often nothing), and to those who asked for more."""


@dataclass(frozen=True)
class Compression(Conversion):
    """From image files to .dz files.

    Attributes:
        effort: 1 (fast) to 9 (small).
        strip: Drop the metadata that does not alter pixels.
    """

    effort: int
    strip: bool

    def suffixes(self) -> frozenset[str]:
        """Those of images."""
        return image_suffixes()

    def suffix(self, data: bytes) -> str:
        """`.dz`, whatever the image."""
        if data.startswith(MAGIC):
            raise InputError("this is a densezip file already")
        return DENSEZIP_SUFFIX

    def convert(self, data: bytes, path: Path | None, progress: Progress) -> bytes:
        """The .dz file."""
        return compress(
            data,
            effort=self.effort,
            threads=self.threads,
            strip=self.strip,
            max_pixels=self.max_pixels,
            progress=progress,
        )

    def verify(self, written: bytes, result: bytes, progress: Progress) -> None:
        """Decodes the file; its checksum was taken from the pixels that went in."""
        verify(written, threads=self.threads, max_pixels=self.max_pixels, progress=progress)

    def remarks(self, data: bytes, result: bytes) -> tuple[str, str]:
        """A word on lossy files, whose pixels cannot be coded in fewer bytes than the files have."""
        header = info(result)
        return " (already lossy: kept as it is)" if header.lossy_source else "", summary(header)


@dataclass(frozen=True)
class Decompression(Conversion):
    """From .dz files to image files."""

    def suffixes(self) -> frozenset[str]:
        """`.dz`."""
        return densezip_suffixes()

    def suffix(self, data: bytes) -> str:
        """That of the original if its bytes are stored, and PNG otherwise."""
        return f".{info(data).stored_format or 'png'}"

    def convert(self, data: bytes, path: Path | None, progress: Progress) -> bytes:
        """The image file."""
        extension = path.suffix if path is not None else ""
        return export(data, extension or None, threads=self.threads, max_pixels=self.max_pixels, progress=progress)[0]

    def verify(self, written: bytes, result: bytes, progress: Progress) -> None:
        """Compares with what was written: `export` has checked the pixels themselves."""
        if written != result:
            raise ChecksumError("the file on the disk is not what was written")

    def remarks(self, data: bytes, result: bytes) -> tuple[str, str]:
        """How the file was coded."""
        return "", summary(info(data))


def convert_all(
    inputs: tuple[str, ...],
    conversion: Conversion,
    console: Console,
    *,
    recursive: bool,
    output: str | None,
    output_dir: Path | None,
    force: bool,
    remove: bool,
) -> int:
    """Converts every input and returns the exit code of the batch.

    Raises:
        UsageError: The options do not fit the inputs.
    """
    sources = expand(inputs, recursive=recursive, suffixes=conversion.suffixes)
    _check_options(sources, output=output, output_dir=output_dir, remove=remove)
    targets = Targets(output, output_dir, force)
    done: list[tuple[int, int]] = []

    def job(source: Source) -> None:
        data = source.read()
        status = source.stat()
        path = targets.choose(source, conversion.suffix(data))
        targets.check(path, source)
        named = None if output is None else path
        started = time.monotonic()
        result = console.run(source.name, lambda progress: conversion.convert(data, named, progress))
        seconds = time.monotonic() - started

        def verify_written(written: bytes) -> None:
            console.run(f"{source.name} (verifying)", lambda progress: conversion.verify(written, result, progress))

        targets.write(path, source, result, verify=verify_written if remove else None)
        if remove and status is not None:
            _remove(source, status)
        remark, detail = conversion.remarks(data, result)
        console.status(f"{source.name}: {sizes_text(len(data), len(result))}, {targets.name(path)}{remark}")
        console.detail(f"    {detail}, {seconds:.2f} s")
        done.append((len(data), len(result)))

    code = run_batch(sources, job, console)
    if len(sources) > 1:
        before, after = (sum(sizes) for sizes in zip((0, 0), *done, strict=True))
        console.status(f"{len(done)} of {len(sources)} files: {sizes_text(before, after)}")
    return code


def _check_options(sources: list[Source], *, output: str | None, output_dir: Path | None, remove: bool) -> None:
    """Refuses combinations that have no sensible meaning, before anything is done."""
    piped = any(source.path is None for source in sources)
    if output is not None and output_dir is not None:
        raise UsageError("-o and --output-dir exclude each other")
    if output is not None and len(sources) != 1:
        raise UsageError(f"-o takes one input, not {len(sources)}: give --output-dir")
    if piped and output_dir is not None:
        raise UsageError("standard input has no name to put into --output-dir: give -o")
    if remove and (piped or output == STDOUT):
        raise UsageError("--rm needs a file for input and a file for output")


def _remove(source: Source, status: os.stat_result) -> None:
    """Removes an input whose output is safe; of a link, the link.

    Raises:
        OutputError: It cannot be removed, or is no longer the file that `status` was taken of.
    """
    if source.path is None or not source.path.is_file():
        return
    try:
        now = source.path.stat()
        if (now.st_mtime_ns, now.st_size) != (status.st_mtime_ns, status.st_size):
            raise OutputError("it has changed since it was read, and is kept")
        source.path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove it: {error.strerror or error}") from error
