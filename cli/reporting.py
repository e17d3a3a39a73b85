"""`densezip report`: a page about images, measured here and now."""

from __future__ import annotations

from pathlib import Path

import click

from .. import OutputError, __version__
from .batch import run_batch
from .comparison import Comparison, compare
from .console import Console
from .options import FORCE, effort_option, input_options, quiet_option
from .resources import Resources
from .sources import Source, densezip_suffixes, expand, image_suffixes
from .targets import Targets
from .task import Task

__all__ = ["report"]

LIBRARIES = ("pillow", "imagecodecs")


@click.command(
    epilog="""\b
Examples:
  densezip report photo.png -o report.html
  densezip report -r album -e 9 -o album.html
"""
)
@input_options
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(allow_dash=True, readable=False),
    help="Write the page here; - is standard output.",
)
@FORCE
@effort_option
@quiet_option
@click.pass_context
def report(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    recursive: bool,
    output: str,
    force: bool,
    effort: int,
    quiet: bool,
) -> None:
    """Write a page that compares sizes and times with PNG, WebP and JPEG XL, and shows where the bits went.

    INPUT is an image, or a .dz file, which is taken as it is. Each image is coded by every coder with one thread,
    decoded and compared. The page is one file, with all pictures in it.
    """
    console = Console(quiet=quiet)
    sources = expand(inputs, recursive=recursive, suffixes=lambda: image_suffixes() | densezip_suffixes())
    targets = Targets(output, None, force)
    target = targets.claim(Source(None, Path("-")), output)
    if target.existing is not None and not force:
        raise OutputError(f"{target.name} exists: give -f to overwrite it")
    found: list[Comparison] = []
    resources = Resources(1, None, len(sources))

    def job(task: Task) -> Comparison:
        data = task.source.load(resources.longest, lambda _: None).data
        return compare(data, task.source.relative.name, task.source.name, effort, task.progress())

    def done(task: Task, error: str | None, code: int) -> None:
        if error is None:
            found.append(task.result)

    code = run_batch(sources, job, console, done)
    if found:
        from .reportpage import page

        try:
            targets.write(target, page(found, _versions()).encode("utf-8", "replace"), None)
        finally:
            targets.partials.close()
    ctx.exit(code)


def _versions() -> str:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"Made by densezip {__version__} with {libraries}."
