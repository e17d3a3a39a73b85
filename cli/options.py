"""The options that commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import DEFAULT_MAX_PIXELS
from .resources import MemorySize

__all__ = [
    "FORCE",
    "OptionalValue",
    "decoding_options",
    "input_options",
    "json_option",
    "model_options",
    "output_options",
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
        help="Write here; - is standard output. For one input. A device or a pipe is written to, through a link its "
        "target.",
    ),
    click.option(
        "--output-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write below this folder, which is made as needed; with -r it mirrors the tree.",
    ),
    FORCE,
    click.option(
        "--skip-existing",
        is_flag=True,
        help="Leave inputs alone whose output exists, however old. Without this, those are skipped whose output has "
        "the time that it was given when it was made from the input.",
    ),
    click.option(
        "--rm",
        "remove",
        is_flag=True,
        help="Remove each source once its output was read back from the disk and found to give back everything. With "
        "-f, an existing output is replaced only if it gives back this source.",
    ),
    click.option("-n", "--dry-run", is_flag=True, help="Say what would be done, from headers; write nothing."),
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

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line for each file, on standard output."
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
        help="Begin no further file that would take more than this, as 500M or 4G; by default half of the machine's "
        "memory. One file always runs.",
    ),
    click.option(
        "--max-pixels",
        default=DEFAULT_MAX_PIXELS,
        show_default=True,
        metavar="N",
        type=click.IntRange(min=1),
        help="Refuse larger images before memory is taken for them.",
    ),
)

model_options = _together(
    click.option(
        "--model",
        metavar="NAME|PATH",
        help="The density model that codes the pixels: a checkpoint, by its file or a name that `densezip models` "
        "lists or that is in a folder of DENSEZIP_MODELS. Decoding finds it by name. Needs torch.",
    ),
    click.option("--device", default="cpu", show_default=True, metavar="NAME", help="Of a model: cpu, cuda or auto."),
)

verbosity_options = _together(
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Say how each image was coded, whether file or picture is exact, and how long it took.",
    ),
)
