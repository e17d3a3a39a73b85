"""Plans: every image once, in a fixed order, cut into shards.

A plan is a folder: `plan.json` with the options, `shards/00000.jsonl` and so on with a line for each image, and
`receipts/00000.json` for the shards that are done.
"""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from .. import DEFAULT_EFFORT, DEFAULT_MAX_PIXELS, FormatError, InputError, UsageError, __version__
from .storage import Folder, read_file

__all__ = ["Item", "Plan", "images_of_folder", "images_of_manifest", "make_plan", "open_plan"]

VERSION = 1
SHARD_SIZE = 1000
"""Most images in a shard: seconds to minutes of work, and few enough receipts for millions of images."""

LEAST_SHARDS = 64
"""So many shards at least, where there are so many images, for machines with many cores."""

SUFFIX = ".dz"


@dataclass(frozen=True, slots=True)
class Item:
    """An image of a plan.

    Attributes:
        source: its path or URL.
        target: the name below the plan's target folder that its `.dz` file gets.
        size: bytes of the source, where the manifest says so; it is checked then.
        digest: SHA-256 of the source in hexadecimal digits, likewise.
    """

    source: str
    target: str
    size: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Plan:
    """The options of a plan.

    Attributes:
        target: folder that the `.dz` files are published in.
        images: how many there are.
        shards: how many shards they are cut into.
        effort: as for `densezip.compress`.
        strip: False, True or "all", as for `densezip.compress`.
        max_pixels: larger images are failures.
        version: of the plan's files.
        densezip: version of the package that made it.
        folder: where the plan is; not part of its file.
    """

    target: str
    images: int
    shards: int
    effort: int = DEFAULT_EFFORT
    strip: bool | str = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    version: int = VERSION
    densezip: str = __version__
    folder: str = ""

    def items(self, shard: int) -> list[Item]:
        """The images of a shard.

        Raises:
            FormatError: the file of the shard is damaged.
            InputError: it cannot be read.
        """
        text = read_file(posixpath.join(self.folder, _shard_name(shard)))
        try:
            return [Item(**json.loads(line)) for line in text.decode().splitlines()]
        except (ValueError, TypeError) as error:
            raise FormatError(f"{_shard_name(shard)} of the plan is damaged: {error}") from error


def _shard_name(shard: int) -> str:
    return f"shards/{shard:05d}.jsonl"


def images_of_folder(url: str, suffixes: Iterable[str]) -> list[Item]:
    """The images below a folder, by suffix, in the order of their names.

    Raises:
        InputError: there is no such folder.
    """
    folder, wanted = Folder(url), tuple(f".{suffix.lstrip('.').lower()}" for suffix in suffixes)
    if not folder.exists():
        raise InputError(f"no folder {url}")
    return [Item(folder.url_of(name), name + SUFFIX) for name, _ in folder.files() if name.lower().endswith(wanted)]


def images_of_manifest(url: str) -> list[Item]:
    """The images that a file lists: JSON lines or Parquet with `path` (or `url`), and perhaps `size`, `digest`, `name`.

    Without a `name` an image is called as its path says below the longest folder that all paths share.

    Raises:
        InputError: it cannot be read.
        FormatError: a line is no JSON, or names no path.
    """
    content = read_file(url)
    rows = _rows_of_parquet(content) if content[:4] == b"PAR1" else _rows_of_lines(content, url)
    # Of millions of rows only what is needed is kept.
    found = []
    for number, row in enumerate(rows, 1):
        source = (row.get("path") or row.get("url")) if isinstance(row, dict) else None
        if not isinstance(source, str):
            raise FormatError(f"{url}, line {number}: no path and no url")
        found.append((source, row.get("name"), row.get("size"), row.get("digest")))
    folders = {posixpath.dirname(source) for source, *_ in found}
    shared = posixpath.commonpath(folders) if folders else ""
    return [
        Item(source, (name or posixpath.relpath(source, shared or ".")) + SUFFIX, size, digest)
        for source, name, size, digest in found
    ]


def _rows_of_lines(content: bytes, url: str) -> Iterator[Any]:
    for line in io.BytesIO(content):
        if not line.isspace():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise FormatError(f"{url} is no file of JSON lines: {error}") from error


def _rows_of_parquet(content: bytes) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("a manifest in Parquet needs pyarrow: pip install pyarrow") from None
    for batch in pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)).iter_batches():
        yield from batch.to_pylist()


def _line(item: Item) -> str:
    fields = {"source": item.source, "target": item.target, "size": item.size, "digest": item.digest}
    return json.dumps({name: value for name, value in fields.items() if value is not None}) + "\n"


def _cut(items: list[Item], size: int) -> Iterator[list[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def make_plan(
    items: list[Item],
    folder: str,
    target: str,
    *,
    shard_size: int = 0,
    effort: int = DEFAULT_EFFORT,
    strip: bool | str = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Plan:
    """Write a plan; its options come last, so that one that is there is whole.

    Args:
        items: the images; the order of their targets is the plan's.
        folder: where the plan goes.
        target: folder that the `.dz` files will be published in.
        shard_size: images in a shard; 0 for at most 1,000, and fewer where that would make under 64 shards.
        effort: as for `densezip.compress`.
        strip: as for `densezip.compress`.
        max_pixels: as for `densezip.compress`.

    Raises:
        UsageError: there is a plan already, there are no images, or two of them would take one name.
        OutputError: it cannot be written.
    """
    where = Folder(folder)
    if where.size("plan.json") is not None:
        raise UsageError(f"there is a plan in {folder} already: remove it, or run it")
    if not items:
        raise UsageError("no images")
    items = sorted(items, key=lambda item: item.target)
    for one, other in pairwise(items):
        if one.target == other.target:
            raise UsageError(f"{one.source} and {other.source} would both become {one.target}")
    for item in items:
        if item.target.startswith("/") or ".." in Path(item.target).parts:
            raise UsageError(f"{item.source} would become {item.target}, outside the target folder")
    size = shard_size or max(1, min(SHARD_SIZE, len(items) // LEAST_SHARDS))
    count = 0
    for count, shard in enumerate(_cut(items, size), 1):
        where.publish(_shard_name(count - 1), "".join(map(_line, shard)).encode())
    plan = Plan(Folder(target).url, len(items), count, effort, strip, max_pixels, folder=where.url)
    options = {name: value for name, value in asdict(plan).items() if name != "folder"}
    where.publish("plan.json", (json.dumps(options, indent=2) + "\n").encode())
    return plan


def open_plan(folder: str) -> Plan:
    """The plan in a folder.

    Raises:
        InputError: there is none.
        FormatError: it is damaged, or of another version.
    """
    where = Folder(folder)
    try:
        text = where.read("plan.json")
    except InputError as error:
        raise InputError(f"no plan in {folder}: {error}") from error
    try:
        options = json.loads(text)
        plan = Plan(**options, folder=where.url)
    except (ValueError, TypeError) as error:
        raise FormatError(f"the plan in {folder} is damaged: {error}") from error
    if plan.version != VERSION:
        raise FormatError(f"the plan in {folder} is of version {plan.version}; this is for version {VERSION}")
    return plan
