"""`densezip train`: the only command that needs torch, which it imports when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from .. import DEFAULT_EFFORT, UsageError

__all__ = ["train"]


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  densezip train photo --data my-photos --out photo-5.safetensors
""",
)
def train() -> None:
    """Train a model from a folder of images.

    This needs torch: pip install 'densezip[models]'.
    """


@train.command(
    epilog="""\b
Examples:
  densezip train photo --data my-photos --out photo-5.safetensors
  densezip train photo --data my-photos --out photo-9.safetensors -e 9 --minutes 600
  densezip train photo --data my-photos --out photo-9.safetensors -e 9 --minutes 900 --resume
"""
)
@click.option(
    "--data",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of training images.",
)
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the weights go; the checkpoint and the loss curve go beside it.",
)
@click.option(
    "-e",
    "--effort",
    default=DEFAULT_EFFORT,
    show_default=True,
    type=click.IntRange(1, 9),
    help="The effort that the network is for.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of everything random.")
@click.option("--minutes", default=60.0, show_default=True, type=click.FloatRange(min=0), help="When to stop.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint beside --out.")
def photo(*, data: Path, out: Path, effort: int, seed: int, minutes: float, resume: bool) -> None:
    """Train the model for photographs that densezip ships."""
    try:
        from ..models.photo.train import train_photo

        train_photo(data=data, out=out, effort=effort, seed=seed, minutes=minutes, resume=resume)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "torch":
            raise
        raise UsageError("training needs torch, which is not installed: pip install 'densezip[models]'") from error
