"""The options that commands share, each declared once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import DEFAULT_EFFORT, DEFAULT_MAX_PIXELS
from .resources import MemorySize

__all__ = [
    "FORCE",
    "OptionalValue",
    "decoding_options",
    "effort_option",
    "input_options",
    "json_option",
    "model_options",
    "output_options",
    "quiet_option",
    "region_option",
    "strip_option",
    "verbosity_options",
]

F = TypeVar("F", bound=Callable[..., Any])


def _together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """One decorator that applies several, so that the first is the first in the help."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class OptionalValue(click.Command):
    """A command with `--strip`, which takes a value after an equals sign or none: the next word is never its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gives the bare option its value."""
        end = args.index("--") if "--" in args else len(args)
        bare = {"--strip": "--strip=look"}
        return super().parse_args(ctx, [bare.get(arg, arg) for arg in args[:end]] + args[end:])


FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite files; print binary data to a terminal.")

# Only for completion: what is wrong with a name is said by those who use it.
FILE = click.Path(allow_dash=True, readable=False)

input_options = _together(
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=FILE),
    click.option("-r", "--recursive", is_flag=True, help="Go through folders."),
)

output_options = _together(
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=FILE,
        help="Write here, and not beside the input; - is standard output. For one input only. A device or a pipe is "
        "written to, and through a link its target.",
    ),
    click.option(
        "--output-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write into this folder, which is made as needed; with -r into folders below it, as those of the inputs.",
    ),
    FORCE,
    click.option(
        "--skip-existing",
        is_flag=True,
        help="Skip every input whose output exists. Without this, those are skipped whose output is up to date: it has "
        "the input's time, which it got when it was made from that, and the image's size.",
    ),
    click.option(
        "--rm",
        "remove",
        is_flag=True,
        help="Remove each input once its output was read back from the disk and found to give back everything. With "
        "-f, an existing output is replaced only if it gives back this input.",
    ),
    click.option("-n", "--dry-run", is_flag=True, help="Say what would be done, from headers; write nothing."),
)

effort_option = click.option(
    "-e",
    "--effort",
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="1|5|9",
    type=click.IntRange(1, 9),
    help="How hard to try: 1 is fast, 9 is small. Of the others, 2 and 3 count as 1, 4 and 6 as 5, 7 and 8 as 9.",
)

strip_option = click.option(
    "--strip",
    is_flag=False,
    flag_value="look",
    metavar="[=all]",
    type=click.Choice(["look", "all"]),
    help="Drop metadata: EXIF, XMP, text, times, resolution, thumbnails and all that is not known. What changes the "
    "look is kept: orientation, ICC profile, gamma, chromaticities, cICP, sRGB, transparency. --strip=all drops these, "
    "too, but for transparency and palettes: the picture may look different.",
)


class RegionText(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """x,y,width,height in pixels. Whether it is inside of an image is seen when that is known."""

    name = "X,Y,W,H"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Four integers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[+-]?[0-9]{1,10}(,[+-]?[0-9]{1,10}){3}", value):
            self.fail(f"{value!r} is not x,y,width,height such as 100,50,640,480", param, ctx)
        return tuple(int(number) for number in value.split(","))


region_option = click.option(
    "--region",
    type=RegionText(),
    help="Decode a part only: columns to the left of it, rows above it, its width and height, in pixels as they are "
    "stored. Takes the time of the tiles that it lies in. Needs -o.",
)

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object for each file, one a line, on standard output, in place of text.",
)

decoding_options = _together(
    click.option(
        "-T",
        "--threads",
        default=0,
        show_default=True,
        metavar="N",
        type=click.IntRange(min=0),
        help="Files, and tiles of large images, worked on at once; 0 for all processors.",
    ),
    click.option(
        "--memory",
        metavar="SIZE",
        type=MemorySize(),
        help="Work on no more files at once than fit into this, as 500M or 4G; by default half of the machine's "
        "memory. One file always runs, but for one that is longer than this and than that half.",
    ),
    click.option(
        "--max-pixels",
        default=DEFAULT_MAX_PIXELS,
        show_default=True,
        metavar="N",
        type=click.IntRange(min=1),
        help="Refuse images of more pixels before memory is taken for them, and files of more than 8 bytes for each "
        "and 64 MiB.",
    ),
)

model_options = _together(
    click.option(
        "--model",
        metavar="NAME|PATH",
        help="The density model that codes the pixels: a checkpoint, by its file or a name that `densezip models` "
        "lists or that is in a folder of DENSEZIP_MODELS. Decoding finds it by name. Several, separated by commas, "
        "are averaged; best: or exact: before it is for an ensemble, as for `densezip eval`. Needs torch.",
    ),
    click.option("--device", default="cpu", show_default=True, metavar="NAME", help="Of a model: cpu, cuda or auto."),
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")

verbosity_options = _together(
    quiet_option,
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Say of each file how it is coded, whether file or picture comes back exactly, and how long it took.",
    ),
)
