"""The options that commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import DEFAULT_MAX_PIXELS

__all__ = ["decoding_options", "input_options", "output_options", "verbosity_options"]

F = TypeVar("F", bound=Callable[..., Any])


def _together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """One decorator that applies several, so that the first is the first in the help."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


input_options = _together(
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT..."),
    click.option("-r", "--recursive", is_flag=True, help="Go through folders."),
)

output_options = _together(
    click.option("-o", "--output", metavar="FILE", help="Write here; - is standard output. For one input."),
    click.option(
        "--output-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write below this folder, which is made as needed; with -r it mirrors the tree.",
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite files; print binary data to a terminal."),
    click.option("--rm", "remove", is_flag=True, help="Remove each source after its output was verified."),
)

decoding_options = _together(
    click.option(
        "-T",
        "--threads",
        default=0,
        show_default=True,
        metavar="N",
        type=click.IntRange(min=0),
        help="Tiles worked on at once; 0 for all processors.",
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

verbosity_options = _together(
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say how each image was coded, and how long it took."),
)
