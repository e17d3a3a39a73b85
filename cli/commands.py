"""`compress`, `decompress`, `info` and `test`: what they are called with."""

from __future__ import annotations

import time
from typing import Any

import click
from click.core import ParameterSource

from .. import Info, UsageError
from ..codec.file.container import check_magic
from ..codec.file.inputs import most_bytes
from . import api
from .batch import run_batch
from .console import Console
from .convert import Compression, Decompression, decoding_memory
from .drawing import Drawing
from .jobs import Options, convert_all
from .options import (
    FORCE,
    OptionalValue,
    decoding_options,
    effort_option,
    input_options,
    json_option,
    model_options,
    output_options,
    region_option,
    strip_option,
    verbosity_options,
)
from .output import print_line
from .report import as_json as info_as_json
from .report import describe, result_as_json, summary, table
from .resources import Resources
from .sources import densezip_suffixes, expand
from .targets import STDOUT_FILES
from .task import Task

__all__ = ["compress", "decompress", "info", "test"]


@click.command(
    cls=OptionalValue,
    epilog="""\b
Examples:
  densezip compress photo.png                write photo.png.dz
  densezip compress -e 9 *.png               smallest files, slowest
  densezip compress photo.png -o small.dz
  densezip compress --model ride-cifar10 photo.png
  densezip compress -r album --output-dir packed --rm
  densezip compress -r -n album              what would be done
  densezip compress --strip photo.jpg        without metadata
  densezip compress -- -odd-name.png         a name with a dash in front
  cat photo.png | densezip compress - > photo.png.dz
""",
)
@input_options
@output_options
@effort_option
@strip_option
@click.option(
    "--no-history",
    is_flag=True,
    help="Do not look whether the pixels were decoded from a JPEG file, whose coefficients take a fraction of them.",
)
@click.option(
    "--preview/--no-preview",
    default=False,
    help="Add a small picture of at most 4 KiB to images of a million pixels or more, for file managers. It comes on "
    "top of what the file takes, and programs that know no format version 7 refuse the file.",
)
@model_options
@decoding_options
@json_option
@verbosity_options
@click.pass_context
def compress(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    effort: int,
    strip: str | None,
    no_history: bool,
    preview: bool,
    model: str | None,
    device: str,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Make .dz files from images.

    INPUT is an image file, a pattern such as '*.png', a folder (with -r) or - for standard input. The output is called
    as the input with .dz added and put beside it, the input is kept, and no file is overwritten without -f. Folders are
    searched for image files by suffix; hidden files are left out.

    What is up to date is skipped. It is coded again if it was coded with another --strip, without a --preview, or with
    less effort than an -e that is given. To replace any other file of that name takes -f.
    """
    dropped: api.Strip = "all" if strip == "all" else strip is not None
    asked = ctx.get_parameter_source("effort") is ParameterSource.COMMANDLINE
    conversion = Compression(
        max_pixels=max_pixels,
        model=model,
        device=device,
        effort=effort,
        strip=dropped,
        effort_matters=asked,
        history=not no_history,
        preview=preview,
    )
    ctx.exit(convert_all(inputs, conversion, Console(quiet=quiet, verbose=verbose), Options(**options)))


@click.command(
    epilog="""\b
Examples:
  densezip decompress photo.png.dz           write photo.png
  densezip decompress photo.png.dz -o photo.tiff
  densezip decompress -r packed --output-dir album
  densezip decompress --rm *.dz              back to images
  densezip decompress photo.png.dz -o - | display -
  densezip decompress --region 100,50,640,480 photo.png.dz -o part.png
"""
)
@input_options
@output_options
@region_option
@model_options
@decoding_options
@json_option
@verbosity_options
@click.pass_context
def decompress(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    region: tuple[int, int, int, int] | None,
    model: str | None,
    device: str,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Make images from .dz files.

    INPUT is a .dz file, a pattern such as '*.dz', a folder (with -r) or - for standard input. The file that went in
    comes back, beside it and under its old name: the same bytes, or the same pixels and everything beside them. -o with
    another suffix writes that format if it can hold the image without loss; what else it cannot hold is said, and with
    --rm an error. What is up to date is skipped, and no file is overwritten without -f.
    """
    if region is not None and (options["output"] is None or options["remove"]):
        raise UsageError("--region needs -o, for a part is not called as the whole, and excludes --rm")
    conversion = Decompression(max_pixels=max_pixels, model=model, device=device, region=region)
    ctx.exit(convert_all(inputs, conversion, Console(quiet=quiet, verbose=verbose), Options(**options)))


@click.command(
    epilog="""\b
Examples:
  densezip info photo.png.dz
  densezip info --json *.dz | jq .bpsp
  densezip info -v *.dz                everything about each
  densezip info -r packed              a table
  densezip info --heatmap heat.png photo.png.dz
"""
)
@input_options
@json_option
@click.option(
    "--heatmap",
    metavar="FILE",
    type=click.Path(readable=False),
    help="Also draw where the bits of one file went, as a picture with a legend. Takes the time of decompressing and "
    "compressing it.",
)
@FORCE
@click.option("-v", "--verbose", is_flag=True, help="Say everything about each of several files.")
@click.pass_context
def info(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    recursive: bool,
    as_json: bool,
    verbose: bool,
    heatmap: str | None,
    force: bool,
) -> None:
    """Say what .dz files hold, from their headers.

    Of one file everything is said, of several a line each and their sum. Nothing is decoded: `densezip test` does that.
    """
    rows: list[tuple[str, Info]] = []

    def job(task: Task) -> Info:
        data = task.source.load(resources.longest, check_magic).data
        header = api.info(data)
        if drawing is not None:
            drawing.write(api.draw_heatmap(data, task.progress()))
        return header

    def done(task: Task, error: str | None, code: int) -> None:
        if error is not None:
            return
        if as_json:
            print_line(info_as_json(task.source.exact_name, task.result))
        else:
            rows.append((task.source.name, task.result))

    sources = expand(inputs, recursive=recursive, suffixes=densezip_suffixes)
    if heatmap is not None and len(sources) != 1:
        raise UsageError(f"--heatmap takes one file, not {len(sources)}")
    if heatmap in STDOUT_FILES:
        raise UsageError("--heatmap needs a file: what is said goes to standard output")
    drawing = None if heatmap is None else Drawing(heatmap, force=force, source=sources[0].path)
    resources = Resources(1, None, len(sources))
    code = run_batch(sources, job, Console(), done)
    if rows and (len(sources) == 1 or verbose):
        print_line("\n\n".join(describe(name, header) for name, header in rows))
    elif rows:
        print_line(table(rows))
    ctx.exit(code)


@click.command(
    epilog="""\b
Examples:
  densezip test photo.png.dz
  densezip test -q -r packed && echo all is well
  densezip test --json -r packed | jq -r 'select(.status == "failed") | .input'
"""
)
@input_options
@model_options
@decoding_options
@json_option
@verbosity_options
@click.pass_context
def test(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    recursive: bool,
    threads: int,
    memory: int | None,
    model: str | None,
    device: str,
    max_pixels: int,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Decode .dz files, check every checksum, and write nothing.

    A line says of each file that it is well, or on standard error what is wrong with it.
    """

    def job(task: Task) -> tuple[Info, float]:
        data = task.source.load(min(resources.longest, most_bytes(max_pixels)), check_magic).data
        with resources.share(decoding_memory(data, max_pixels)) as share:
            started = time.monotonic()
            progress = task.progress()
            header = api.verify(
                data, threads=share, model=model, device=device, max_pixels=max_pixels, progress=progress
            )
            return header, time.monotonic() - started

    def done(task: Task, error: str | None, code: int) -> None:
        name = task.source.name
        if as_json:
            fields: dict[str, object] = {"input": task.source.exact_name, "status": "failed"}
            if error is None:
                header, seconds = task.result
                fields |= {"status": "ok", "input_size": header.size, "exact": header.exact}
                fields["seconds"] = round(seconds, 3)
            print_line(result_as_json(fields, error, code))
        elif error is None and not quiet:
            print_line(f"{name}: OK" + (f", {summary(task.result[0])}" if verbose else ""))

    sources = expand(inputs, recursive=recursive, suffixes=densezip_suffixes)
    resources = Resources(threads, memory, len(sources))
    ctx.exit(run_batch(sources, job, Console(quiet=quiet, verbose=verbose), done, resources=resources))
