"""`densezip batch`: very many images, in shards that can be done anywhere, and again."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .. import DEFAULT_MAX_PIXELS, UsageError
from . import api
from .console import Console
from .options import effort_option
from .output import print_line

if TYPE_CHECKING:
    from ..shards.plan import Plan
    from ..shards.work import Outcome

__all__ = ["batch"]

FAILED = 6
"""Exit code where images or shards failed, as for several files of other commands."""

ENGINES = {"processes": "processes", "ray": "ray_data", "dask": "dask_client"}

SAID_EVERY = 10.0
"""Seconds between two lines of progress."""

plan_argument = click.argument("plan", metavar="PLAN")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")


class Part(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Which of several parts of the shards: I/N, with I from 0 to N-1."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two numbers."""
        number, _, count = str(value).partition("/")
        if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
            self.fail(f"{value!r}: wanted I/N with I from 0 to N-1, as 3/16", param, ctx)
        return int(number), int(count)


@click.group(
    epilog="""\b
Examples:
  densezip batch plan photos -o plan --target packed
  densezip batch run plan                     all processors; again to resume
  densezip batch run plan --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
  densezip batch run plan --engine ray
  densezip batch status plan
  densezip batch verify plan --decode

\b
Folders may be paths or URLs that fsspec knows, such as s3://bucket/photos.
This needs: pip install 'densezip[batch]', for Ray and Dask 'densezip[ray]', 'densezip[dask]'.
"""
)
def batch() -> None:
    """Compress very many images, on one machine or a cluster, and resume wherever it stopped.

    A plan names every image once. Its shards are done in any order, anywhere, and twice if need be: every file is
    decoded and compared, published under its planned name, and each shard leaves a receipt with sizes, digests and
    failures. What has a receipt is not done again.
    """


@batch.command("plan")
@click.argument("source", metavar="DIR|MANIFEST")
@click.option("-o", "--output", "folder", required=True, metavar="PLAN", help="Folder of the plan, which is made.")
@click.option("--target", metavar="DIR", help="Folder of the .dz files; by default `packed` in that of the plan.")
@click.option("--manifest", is_flag=True, help="The source is a manifest, whatever it is called.")
@click.option("--shard-size", metavar="N", type=click.IntRange(min=1), help="Images in a shard; by default up to 1000.")
@effort_option
@click.option("--strip", type=click.Choice(["look", "all"]), help="Drop metadata, as `compress` does.")
@click.option("--max-pixels", default=DEFAULT_MAX_PIXELS, show_default=True, metavar="N", type=click.IntRange(min=1))
@quiet_option
def make(
    source: str,
    folder: str,
    target: str | None,
    manifest: bool,
    shard_size: int | None,
    effort: int,
    strip: str | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """List the images of a folder, or of a manifest, and cut the list into shards.

    A manifest is a file of JSON lines or Parquet with `path` (or `url`), and perhaps `size`, `digest` (SHA-256) and
    `name`. Of a folder, image files are taken by suffix; hidden ones are left out.
    """
    from ..shards.plan import images_of_folder, images_of_manifest, make_plan

    if manifest or source.lower().endswith((".jsonl", ".ndjson", ".parquet")):
        items = images_of_manifest(source)
    else:
        items = images_of_folder(source, api.image_suffixes())
    plan = make_plan(
        items,
        folder,
        target or f"{folder.rstrip('/')}/packed",
        shard_size=shard_size or 0,
        effort=effort,
        strip={None: False, "look": True}.get(strip, "all"),
        max_pixels=max_pixels,
    )
    Console(quiet=quiet).status(f"{plan.images} images in {plan.shards} shards, to be published in {plan.target}")


@batch.command("run")
@plan_argument
@click.option("--shard", "part", default="0/1", metavar="I/N", type=Part(), help="Every N-th shard from the I-th on.")
@click.option(
    "--engine", default="processes", show_default=True, type=click.Choice(list(ENGINES)), help="Who does the shards."
)
@click.option("--address", metavar="URL", help="Of a running Ray or Dask cluster; by default one is started here.")
@click.option(
    "-T", "--workers", default=0, show_default=True, metavar="N", type=click.IntRange(min=0),
    help="Shards done at once here; 0 for all processors.",
)  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Do shards again in which images failed.")
@quiet_option
@click.pass_context
def run(
    ctx: click.Context,
    plan: str,
    part: tuple[int, int],
    engine: str,
    address: str | None,
    workers: int,
    retry_failed: bool,
    quiet: bool,
) -> None:
    """Do the shards that have no receipt yet.

    Stop it whenever you like: run it again, and what was begun is done again. The exit code is 6 where images or shards
    failed.
    """
    from ..shards.plan import open_plan
    from ..shards.progress import missing_shards

    if engine == "processes" and address:
        raise UsageError("--address is for --engine ray and dask")
    opened, console = open_plan(plan), Console(quiet=quiet)
    shards = missing_shards(opened, part, retry_failed=retry_failed)
    if not shards:
        console.status("every shard is done")
        return
    options: dict[str, Any] = {"workers": workers}
    if engine != "processes":
        options["address"] = address
    do: Callable[..., Iterator[Outcome]] = importlib.import_module(
        f"..shards.engines.{ENGINES[engine]}", __package__
    ).run
    if not _follow(do(opened, shards, **options), len(shards), console):
        ctx.exit(FAILED)


def _follow(outcomes: Iterable[Outcome], shards: int, console: Console) -> bool:
    """Say what comes of the shards; whether all went well."""
    began = said = time.monotonic()
    done = published = failures = broken = source_size = size = 0
    for outcome in outcomes:
        done += 1
        published += outcome.published
        failures += outcome.failures
        source_size += outcome.source_size
        size += outcome.size
        if outcome.error:
            broken += 1
            console.error(f"shard {outcome.shard}", outcome.error)
        now = time.monotonic()
        if now - said > SAID_EVERY and done < shards:
            said = now
            left = (now - began) / done * (shards - done)
            console.status(f"{done} of {shards} shards, {published} images, about {left:.0f} s left")
    share = f", {size / source_size:.1%} of their size" if source_size else ""
    console.status(
        f"{done - broken} shards done, {broken} not; {published} images kept{share}, {failures} failed, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return not failures and not broken


@batch.command("status")
@plan_argument
@click.option("--failures", "list_failures", is_flag=True, help="Name every image that failed, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_context
def show(ctx: click.Context, plan: str, list_failures: bool, as_json: bool) -> None:
    """Say what is done. The exit code is 6 while shards are missing or images failed."""
    from ..shards import progress
    from ..shards.plan import open_plan

    opened = open_plan(plan)
    sums = progress.status(opened)
    if as_json:
        print_line(json.dumps(asdict(sums)))
    else:
        print_line(f"{sums.shards_done} of {sums.shards} shards done")
        print_line(f"{sums.published} of {sums.images} images kept, {sums.failures} failed")
        if sums.source_size:
            share = sums.size / sums.source_size
            print_line(f"{sums.size} bytes of {sums.source_size} ({share:.1%}), published in {opened.target}")
    if list_failures:
        for failure in progress.failures(opened):
            print_line(
                json.dumps(asdict(failure)) if as_json else f"{failure.source}: {failure.error}: {failure.reason}"
            )
    if sums.shards_done < sums.shards or sums.failures:
        ctx.exit(FAILED)


@batch.command("verify")
@plan_argument
@click.option("--shard", "part", default="0/1", metavar="I/N", type=Part(), help="Every N-th shard from the I-th on.")
@click.option("--decode", is_flag=True, help="Decode every file too, and check its pixels.")
@click.option(
    "-T", "--workers", default=0, show_default=True, metavar="N", type=click.IntRange(min=0),
    help="Shards looked at at once; 0 for all processors.",
)  # fmt: skip
@quiet_option
@click.pass_context
def check(ctx: click.Context, plan: str, part: tuple[int, int], decode: bool, workers: int, quiet: bool) -> None:
    """Compare every published file with its receipt. The exit code is 6 where one is missing or other.

    What killed runs left half-written, an hour ago or more, is removed.
    """
    from ..shards.plan import open_plan
    from ..shards.storage import Folder

    opened, console = open_plan(plan), Console(quiet=quiet)
    swept = sum(Folder(url).sweep() for url in (opened.target, opened.folder))
    if swept:
        console.status(f"{swept} half-written files of killed runs removed")
    wrong = 0
    for name, reason in _wrong_files(opened, part, decode, workers or os.cpu_count() or 1):
        wrong += 1
        console.error(name, reason)
    console.status(f"{wrong} files are missing or other" if wrong else "every file is what its receipt says")
    if wrong:
        ctx.exit(FAILED)


def _wrong_files(plan: Plan, part: tuple[int, int], decode: bool, workers: int) -> Iterator[tuple[str, str]]:
    """What `verify_shard` finds, of several shards at once: most of the time goes by in C code and in waiting."""
    from concurrent.futures import ThreadPoolExecutor

    from ..shards.progress import shards_of, verify_shard

    with ThreadPoolExecutor(workers) as pool:
        try:
            for found in pool.map(lambda shard: verify_shard(plan, shard, decode=decode), shards_of(plan, part)):
                yield from found
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
