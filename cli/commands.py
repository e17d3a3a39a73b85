"""`compress`, `decompress`, `info` and `test`: what they are called with."""

from __future__ import annotations

from typing import Any

import click

from .. import DEFAULT_EFFORT, Info, verify
from .. import info as read_info
from .batch import run_batch
from .console import Console
from .convert import Compression, Decompression, convert_all
from .options import decoding_options, input_options, output_options, verbosity_options
from .report import as_json, describe, summary, table
from .sources import Source, densezip_suffixes, expand

__all__ = ["compress", "decompress", "info", "test"]


@click.command(
    epilog="""\b
Examples:
  densezip compress photo.png                write photo.dz
  densezip compress -e 9 *.png               smallest files, slowest
  densezip compress photo.png -o small.dz
  densezip compress -r album --output-dir packed --rm
  cat photo.png | densezip compress - > photo.dz
"""
)
@input_options
@output_options
@click.option(
    "-e",
    "--effort",
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 9),
    help="1 is fast, 9 is small.",
)
@click.option("--strip", is_flag=True, help="Drop metadata that does not alter pixels.")
@decoding_options
@verbosity_options
@click.pass_context
def compress(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    effort: int,
    strip: bool,
    threads: int,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
    **where: Any,
) -> None:
    """Make .dz files from images.

    INPUT is an image file, a pattern such as '*.png', a folder (with -r) or - for standard input. The output is named
    after the input and put beside it, the input is kept, and no file is overwritten without -f. Folders are searched
    for image files by suffix; hidden files are left out.
    """
    conversion = Compression(threads=threads, max_pixels=max_pixels, effort=effort, strip=strip)
    ctx.exit(convert_all(inputs, conversion, Console(quiet=quiet, verbose=verbose), **where))


@click.command(
    epilog="""\b
Examples:
  densezip decompress photo.dz               write photo.png
  densezip decompress photo.dz -o photo.tiff
  densezip decompress -r packed --output-dir album
  densezip decompress photo.dz -o - | display -
"""
)
@input_options
@output_options
@decoding_options
@verbosity_options
@click.pass_context
def decompress(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    threads: int,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
    **where: Any,
) -> None:
    """Make images from .dz files.

    The image has the same pixels, mode, depth and metadata. The output is a PNG file, or the original file where its
    bytes were kept (JPEG). -o with another suffix writes that format if it can hold the image without loss.
    """
    conversion = Decompression(threads=threads, max_pixels=max_pixels)
    ctx.exit(convert_all(inputs, conversion, Console(quiet=quiet, verbose=verbose), **where))


@click.command(
    epilog="""\b
Examples:
  densezip info photo.dz
  densezip info --json *.dz | jq .bpsp
  densezip info -r packed
"""
)
@input_options
@click.option("--json", "as_lines", is_flag=True, help="Print one JSON object a line for each file.")
@click.option("-v", "--verbose", is_flag=True, help="Say everything about each of several files.")
@click.pass_context
def info(ctx: click.Context, /, *, inputs: tuple[str, ...], recursive: bool, as_lines: bool, verbose: bool) -> None:
    """Say what .dz files hold, from their headers."""
    rows: list[tuple[str, Info]] = []

    def job(source: Source) -> None:
        header = read_info(source.read())
        if as_lines:
            click.echo(as_json(source.name, header))
        else:
            rows.append((source.name, header))

    sources = expand(inputs, recursive=recursive, suffixes=densezip_suffixes)
    code = run_batch(sources, job, Console())
    if len(sources) == 1 or verbose:
        click.echo("\n\n".join(describe(name, header) for name, header in rows), nl=bool(rows))
    elif rows:
        click.echo(table(rows))
    ctx.exit(code)


@click.command(
    epilog="""\b
Examples:
  densezip test photo.dz
  densezip test -q -r packed && echo all is well
"""
)
@input_options
@decoding_options
@verbosity_options
@click.pass_context
def test(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    recursive: bool,
    threads: int,
    max_pixels: int,
    quiet: bool,
    verbose: bool,
) -> None:
    """Decode .dz files, check every checksum, and write nothing."""
    console = Console(quiet=quiet, verbose=verbose)

    def job(source: Source) -> None:
        data = source.read()
        header = console.run(
            source.name,
            lambda progress: verify(data, threads=threads, max_pixels=max_pixels, progress=progress),
        )
        if not quiet:
            click.echo(f"{source.name}: OK" + (f", {summary(header)}" if verbose else ""))

    ctx.exit(run_batch(expand(inputs, recursive=recursive, suffixes=densezip_suffixes), job, console))
