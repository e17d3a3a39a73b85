"""Where an image goes that a model draws: checked before the work, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import OutputError
from .options import FORCE
from .sources import Source
from .targets import Target, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Drawing", "drawing_options"]

F = TypeVar("F", bound=Callable[..., Any])


def drawing_options(function: F) -> F:
    """The options `-o` and `-f`."""
    output = click.option(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        type=click.Path(allow_dash=True, readable=False),
        help="Write here, in the format that the suffix names; - is PNG on standard output.",
    )
    return output(FORCE(function))


class Drawing:
    """The output of one drawing.

    Args:
        output: What `-o` names.
        force: Overwrite it.
        source: An image that must not be overwritten by what is made from it.

    Raises:
        OutputError: It exists, or is in no folder that takes files, or its format is not known.
    """

    def __init__(self, output: str, *, force: bool, source: Path | None = None) -> None:
        """Checks all that can be wrong before there is something to write."""
        self._targets = Targets(output, None, force)
        self._target: Target = self._targets.claim(Source(source, Path(source.name if source else "-")), output)
        if self._target.existing is not None and not force:
            raise OutputError(f"{self._target.name} exists: give -f to overwrite it")
        self._format = _format(self._target)

    def write(self, pixels: Pixels) -> None:
        """Writes an image [H, W, C], grey or RGB.

        Raises:
            OutputError: It cannot be written.
        """
        import numpy as np
        from PIL import Image

        squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        file = BytesIO()
        try:
            Image.fromarray(np.ascontiguousarray(squeezed)).save(file, self._format)
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(f"{self._target.name}: {error}") from error
        try:
            self._targets.write(self._target, file.getvalue(), None)
        finally:
            self._targets.partials.close()


def _format(target: Target) -> str:
    """Pillow's name of the format that the output's suffix stands for."""
    from PIL import Image

    suffix = os.path.splitext(target.path)[1].lower() if target.path is not None else ""
    if not target.is_file and not suffix:
        return "PNG"
    found = Image.registered_extensions().get(suffix, "")
    if found not in Image.SAVE:
        raise OutputError(f"{target.name}: no image format is known for the suffix {suffix!r}; .png is one")
    return found
