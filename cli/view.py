"""`densezip view`: .dz files in a browser, by a page that decodes them itself."""

from __future__ import annotations

import contextlib
import webbrowser
from io import BytesIO
from pathlib import Path

import click

from .. import DensezipError, InputError, UsageError
from .console import Console, shown
from .sources import densezip_suffixes, expand

__all__ = ["view"]

THUMBNAIL = 256


@click.command(
    epilog="""\b
Examples:
  densezip view photo.png.dz
  densezip view album                       all .dz files of a folder
  densezip view --no-browser album          say where, and open nothing
  densezip view --export public             the page as a folder, for a web server
"""
)
@click.argument("inputs", metavar="[INPUTS]...", nargs=-1, type=click.Path(readable=False))
@click.option("--no-browser", is_flag=True, help="Print the address of the page; do not open a browser.")
@click.option(
    "--export",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the page into FOLDER and end. There it opens what is dropped on it.",
)
def view(inputs: tuple[str, ...], *, no_browser: bool, export: Path | None) -> None:
    """Look at .dz files in a browser: the picture, its metadata, where the bits went.

    A page is served to this machine only, at an address that nobody can guess, until Ctrl-C. It decodes the files
    itself, and needs no network. Of a folder all .dz files below it are listed.
    """
    console = Console()
    if export is not None:
        if inputs:
            raise UsageError("--export writes the page alone: files are opened in it later")
        from ..web.site import write_site

        console.status(f"wrote {write_site(export)} bytes into {shown(export)}")
        return
    from ..web.server import Server, Shown

    files = []
    for source in expand(inputs, recursive=True, suffixes=densezip_suffixes):
        if source.path is None:
            raise UsageError("standard input cannot be viewed: give a file")
        if source.problem:
            raise InputError(f"{source.name}: {source.problem}")
        if not source.path.is_file():
            raise InputError(f"{source.name}: there is no such file")
        files.append(Shown(source.relative.as_posix(), source.path.resolve()))
    with Server(files, _thumbnail if len(files) > 1 else None) as server:
        if no_browser or not webbrowser.open(server.address):
            click.echo(server.address)
        else:
            console.status(f"{server.address} is open in the browser; Ctrl-C ends it")
        # The usual end of a server is no failure.
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _thumbnail(path: Path) -> bytes:
    """A small PNG of a file.

    Raises:
        ValueError: there is none.
    """
    from .thumbnail import cached, decoded

    small = cached(path, THUMBNAIL)
    try:
        small = small or decoded(path.read_bytes(), THUMBNAIL)
    except DensezipError as error:
        raise ValueError(str(error)) from error
    file = BytesIO()
    small.save(file, "PNG")
    return file.getvalue()
