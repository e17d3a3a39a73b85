"""What `compress` and `decompress` have in common: one input from its claim on a name to its removal, and the batch."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .. import OutputError, UsageError
from ..codec.file.inputs import most_bytes
from .batch import run_batch
from .console import Console, shown
from .convert import KEPT, Conversion, Converted
from .output import print_line
from .report import result_as_json, sizes_text, summary
from .resources import Resources
from .sources import Loaded, Source, expand, same_file
from .standing import Made, Standing
from .targets import STDOUT_FILES, Target, Targets
from .task import Task

__all__ = ["Options", "convert_all"]

# The second half of a file's progress where everything is decoded again.
VERIFYING_FROM = 0.5
# Disks keep times to 100 ns, a microsecond, a second, or two.
CLOCKS = (1, 100, 1000, 10**9, 2 * 10**9)
SKIPPED, FAILED = "skipped", "failed"


class Options(NamedTuple):
    """How a command converts.

    Attributes:
        recursive: Go through folders.
        output: What `-o` names.
        output_dir: What `--output-dir` names.
        force: Overwrite files.
        skip_existing: Leave inputs alone whose output exists.
        remove: Remove each source after its output was verified.
        threads: For all files together; 0 for all processors.
        memory: Bytes for all files at work together; `None` for half of the machine's.
        as_json: One JSON object for each file on standard output, in place of the lines on standard error.
        dry_run: Say what would be done.
    """

    recursive: bool = False
    output: str | None = None
    output_dir: Path | None = None
    force: bool = False
    skip_existing: bool = False
    remove: bool = False
    threads: int = 0
    memory: int | None = None
    as_json: bool = False
    dry_run: bool = False


@dataclass
class Outcome:
    """What was done to one input.

    Attributes:
        status: "coded", "decoded", "kept", "skipped"; with --dry-run what would be.
        target: The output.
        text: A line about it, or what follows its name in one.
        before: Size of the input.
        after: Size of the output.
        converted: The output, without its bytes, and the header of the .dz file.
        seconds: That the conversion took.
        removed: The input was removed.
    """

    status: str
    target: Target
    text: str
    before: int | None = None
    after: int | None = None
    converted: Converted | None = None
    seconds: float | None = None
    removed: bool = False


def convert_all(inputs: tuple[str, ...], conversion: Conversion, console: Console, options: Options) -> int:
    """Converts every input and returns the exit code of the batch.

    Raises:
        UsageError: The options do not fit the inputs.
    """
    sources = expand(inputs, recursive=options.recursive, suffixes=conversion.suffixes)
    _check_options(sources, options)
    targets = Targets(options.output, options.output_dir, options.force)
    resources = Resources(options.threads, options.memory, len(sources))
    job = Job(conversion, targets, resources, options)
    record = Record(conversion, console, options, len(sources))
    try:
        code = run_batch(sources, job, console, record.add, resources=resources)
    finally:
        targets.partials.close()
    record.close()
    return code


@dataclass(frozen=True)
class Job:
    """The work for one input."""

    conversion: Conversion
    targets: Targets
    resources: Resources
    options: Options

    def __call__(self, task: Task) -> Outcome:
        """Does it, in a thread.

        Raises:
            DensezipError: Whatever was wrong with this input.
        """
        conversion, source = self.conversion, task.source
        status = source.status()
        loaded = self._load(source) if conversion.named_by_content else None
        name = conversion.name(source.relative.name, loaded.data if loaded is not None else b"")
        with task.turn():
            target = self.targets.claim(source, name)
        found = self._existing(source, status, target, loaded)
        if isinstance(found, Outcome):
            return found
        target = found
        if self.options.remove and not target.is_file:
            raise OutputError("--rm needs a file for output: this one cannot be read again")
        output = None if self.options.output is None or target.path is None else target.path
        if self.options.dry_run:
            word = conversion.unforeseen
            # What comes out of a pipe would be missing when it is wanted.
            if loaded is not None or (status is not None and stat.S_ISREG(status.st_mode)):
                word = conversion.foresee(loaded.data if loaded is not None else source.head(), output)
            size = None if status is None else status.st_size
            text = f"would be written to {target.name}" + ", made with other options" * target.outdated
            return Outcome(word, target, text, size)
        loaded = loaded or self._load(source)
        conversion.check(loaded.data, output)
        with self.resources.share(conversion.memory(loaded.data)) as threads:
            return self._convert(task, loaded, target, output, threads)

    def _load(self, source: Source) -> Loaded:
        most = min(self.resources.longest, most_bytes(self.conversion.max_pixels))
        return source.load(most, self.conversion.probe)

    def _existing(
        self, source: Source, status: os.stat_result | None, target: Target, loaded: Loaded | None
    ) -> Outcome | Target:
        """What follows from an output that is there already; the target if the work has to be done.

        Raises:
            OutputError: It may not be replaced.
        """
        options = self.options
        if target.existing is None or target.path is None or options.force:
            return target
        if options.skip_existing:
            return Outcome(SKIPPED, target, f"skipped: {target.name} exists", _size(status), target.existing.st_size)
        standing = self._standing(source, status, target, loaded)
        if standing is Standing.OUTDATED:
            return target._replace(outdated=True)
        if standing is Standing.OTHER:
            raise OutputError(f"{target.name} exists: give -f to overwrite it, or --skip-existing")
        if options.remove and not options.dry_run:
            return target
        text = f"skipped: {target.name} is up to date"
        return Outcome(SKIPPED, target, text, _size(status), target.existing.st_size)

    def _standing(
        self, source: Source, status: os.stat_result | None, target: Target, loaded: Loaded | None
    ) -> Standing:
        """What the output is to this input, if it has the time of it, see `Targets.write`."""
        existing = target.existing
        if status is None or existing is None or target.path is None or not stat.S_ISREG(status.st_mode):
            return Standing.OTHER
        time_of_source = status.st_mtime_ns
        if all(existing.st_mtime_ns != time_of_source - time_of_source % clock for clock in CLOCKS):
            return Standing.OTHER
        with contextlib.suppress(OSError):
            head = source.head() if loaded is None else loaded.data
            made = Made(head, status.st_size, lambda: (loaded or self._load(source)).data)
            return self.conversion.standing(target.path.read_bytes(), made)
        return Standing.OTHER

    def _convert(self, task: Task, loaded: Loaded, target: Target, output: Path | None, threads: int) -> Outcome:
        conversion, remove, existing = self.conversion, self.options.remove, target.existing
        begin = 0.0
        if remove and existing is not None and target.path is not None and not target.outdated:
            # It may be the only copy of another picture, or the one that this source was changed from.
            begin = VERIFYING_FROM / 2
            old = _read_back(target.path)
            report, current = task.progress(0, begin), not self.options.force
            if not conversion.stands_for(old, loaded.data, output, threads, report, current=current):
                raise OutputError(
                    f"{target.name} exists and does not give back this file: --rm does not replace what may be the "
                    "only copy of something else"
                )
            if not (self.options.force and conversion.again):
                _remove(task.source, loaded.status)
                text = f"skipped: {target.name} is up to date, and the source was removed"
                return Outcome(SKIPPED, target, text, len(loaded.data), len(old), removed=True)
        started = time.monotonic()
        end = VERIFYING_FROM if remove else 1.0
        result = conversion.convert(loaded.data, task.source.relative.name, output, threads, task.progress(begin, end))
        seconds = time.monotonic() - started
        lost = ", ".join(result.lost)
        if remove and lost:
            raise OutputError(f"{target.name} cannot hold {lost}: nothing was written or removed")

        def verify(written: bytes) -> None:
            conversion.verify(written, loaded.data, result, threads, task.progress(end, 1.0))

        like = loaded.status
        self.targets.write(target, result.data, like, verify=verify if remove else None, guarded=remove)
        if remove:
            _remove(task.source, loaded.status)
        status = KEPT if conversion.kept(result.header) else conversion.word
        sizes = sizes_text(len(loaded.data), len(result.data))
        text = f"{sizes}, {target.name}{conversion.remark(result.header)}"
        after = len(result.data)
        light = result._replace(data=b"")
        return Outcome(status, target, text, len(loaded.data), after, light, seconds, removed=remove)


@dataclass
class Record:
    """Says what became of each input, and of all."""

    conversion: Conversion
    console: Console
    options: Options
    files: int
    counts: Counter[str] = field(default_factory=Counter)
    before: int = 0
    after: int = 0

    def add(self, task: Task, error: str | None, code: int) -> None:
        """One input has ended."""
        outcome: Outcome | None = task.result
        self.counts[FAILED if outcome is None else outcome.status] += 1
        if self.options.as_json:
            print_line(self._json(task, outcome, error, code))
        if outcome is None:
            return
        converted = outcome.converted
        name = task.source.name
        if converted is not None:
            self.before += outcome.before or 0
            self.after += outcome.after or 0
            if converted.lost:
                self.console.status(f"{name}: {outcome.target.name} cannot hold {', '.join(converted.lost)}")
        if self.options.as_json:
            return
        if outcome.status == SKIPPED and self.files > 1 and not self.options.dry_run:
            self.console.detail(f"{name}: {outcome.text}")
        else:
            self.console.status(f"{name}: {outcome.text}")
        if converted is not None:
            self.console.detail(f"    {summary(converted.header)}, {outcome.seconds:.2f} s")
            for notice in converted.notices:
                self.console.detail(f"    {notice}")

    def close(self) -> None:
        """All inputs have ended."""
        if self.files <= 1 or self.options.as_json:
            return
        # The words that there are, in an order that is always the same.
        order = dict.fromkeys((self.conversion.word, self.conversion.unforeseen, KEPT, SKIPPED, FAILED))
        counted = [f"{self.counts[word]} {word}" for word in order if self.counts[word]] or ["nothing done"]
        would = "would be: " if self.options.dry_run else ""
        sizes = f": {sizes_text(self.before, self.after)}" if self.before else ""
        self.console.status(f"{self.files} files: {would}{', '.join(counted)}{sizes}")

    def _json(self, task: Task, outcome: Outcome | None, error: str | None, code: int) -> str:
        source = task.source
        fields: dict[str, object] = {
            "input": source.exact_name,
            "output": None if outcome is None else outcome.target.exact_name,
            "status": FAILED if outcome is None else outcome.status,
        }
        if self.options.dry_run:
            fields["dry_run"] = True
        if outcome is not None:
            converted = outcome.converted
            fields |= {"input_size": outcome.before, "output_size": outcome.after, "removed": outcome.removed}
            if converted is not None and outcome.seconds is not None:
                fields |= {"exact": converted.header.exact, "seconds": round(outcome.seconds, 3)}
                if converted.lost:
                    fields["lost"] = list(converted.lost)
        return result_as_json(fields, error, code)


def _check_options(sources: list[Source], options: Options) -> None:
    """Refuses combinations that have no sensible meaning, before anything is done."""
    piped = any(source.path is None for source in sources)
    to_stdout = options.output in STDOUT_FILES or (piped and options.output is None)
    if options.output is not None and options.output_dir is not None:
        raise UsageError("-o and --output-dir exclude each other")
    if options.force and options.skip_existing:
        raise UsageError("--force and --skip-existing exclude each other")
    if options.output is not None and len(sources) != 1:
        raise UsageError(f"-o takes one input, not {len(sources)}: give --output-dir")
    if piped and options.output_dir is not None:
        raise UsageError("standard input has no name to put into --output-dir: give -o")
    if options.remove and (piped or to_stdout):
        raise UsageError("--rm needs a file for input and a file for output")
    if options.as_json and to_stdout:
        raise UsageError("--json prints on standard output, where the output goes: give -o FILE")


def _size(status: os.stat_result | None) -> int | None:
    return None if status is None else status.st_size


def _read_back(path: Path) -> bytes:
    """An output that is there already, once it is on the disk for good."""
    try:
        with open(path, "rb") as file:
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
            return file.read()
    except OSError as error:
        raise OutputError(f"cannot read {shown(path)}: {error.strerror or error}") from error


def _remove(source: Source, status: os.stat_result | None) -> None:
    """Removes an input whose output is safe; of a link, the link.

    Raises:
        OutputError: It cannot be removed, or is no longer the file that `status` was taken of.
    """
    if source.path is None or status is None:
        return
    try:
        if not same_file(status, source.path.stat()):
            raise OutputError("it has changed since it was read, and is kept")
        source.path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove it: {error.strerror or error}") from error
