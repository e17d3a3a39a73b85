"""`densezip train`: the only command that needs torch, which it imports when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import DEFAULT_EFFORT, UsageError

__all__ = ["train"]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  densezip train photo --data my-photos --out weights
""",
)
def train() -> None:
    """Train a model from a folder of images.

    This needs torch: pip install 'densezip[models]'.
    """


@train.command(
    epilog="""\b
Examples:
  densezip train photo --data my-photos --out weights
  densezip train photo --data my-photos --out weights -e 9 --seed 7
  densezip train photo --data my-photos --out weights -e 9 --seed 7 --resume
"""
)
@click.option("--data", required=True, metavar="DIR", type=FOLDER, help="Lossless photographs; subfolders too.")
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where weights, checkpoints and loss curves go; made as needed.",
)
@click.option(
    "--validation",
    metavar="DIR",
    type=FOLDER,
    help="Other photographs to measure by; without them, some of --data are kept apart for that.",
)
@click.option(
    "-e",
    "--effort",
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 9),
    help="The effort that the model is for: 1, 5 or 9.",
)
@click.option(
    "--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Of all randomness."
)
@click.option(
    "-T",
    "--threads",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="Of torch; more than one pays with many cores only.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
def photo(data: Path, out: Path, **options: Any) -> None:
    """Train the model for photographs that densezip ships."""
    try:
        from ..models.photo.train import train_photo

        train_photo(data, out, report=click.echo, **options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "torch":
            raise
        raise UsageError("training needs torch, which is missing: pip install 'densezip[models]'") from error
