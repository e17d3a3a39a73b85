"""`densezip train`: the commands that need torch, which they import when they run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import DEFAULT_EFFORT, OutputError, UsageError
from ..models.registry import MODELS

if TYPE_CHECKING:
    from ..models.training.loop import Progress

__all__ = ["train"]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
OUT = click.Path(file_okay=False, path_type=Path)
BAR_STEPS = 10_000
"""Of the progress bar, which is drawn by the fraction done."""

# What training writes.
RESULTS = ("*.safetensors", "*.checkpoint.pt", "*.csv", "curve*.png")

RESUME = click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite the results of an earlier training in --out.")


class Models(click.Group):
    """The photo model's command, and one for each model of the registry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *MODELS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """By name."""
        return super().get_command(ctx, cmd_name) or (_density_model(cmd_name) if cmd_name in MODELS else None)


@click.group(
    cls=Models,
    no_args_is_help=False,
    epilog="""\b
Examples:
  densezip train photo --data my-photos --out weights
  densezip train pixelcnn++ --data cifar10:cifar-10-python.tar.gz --out run
""",
)
def train() -> None:
    """Train a model from images.

    This needs torch: pip install 'densezip[models]'.
    """


@contextlib.contextmanager
def _torch_or_say() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "torch":
            raise
        raise UsageError("training needs torch, which is missing: pip install 'densezip[models]'") from error


@train.command(
    epilog="""\b
Examples:
  densezip train photo --data my-photos --out weights
  densezip train photo --data my-photos --out weights -e 9 --seed 7
  densezip train photo --data my-photos --out weights -e 9 --seed 7 --resume
"""
)
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="DIR",
    type=FOLDER,
    help="Photographs; subfolders too. Several folders: give it again; one named twice counts twice.",
)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=OUT,
    help="Where weights, checkpoints and loss curves go; made as needed.",
)
@click.option(
    "--validation",
    multiple=True,
    metavar="DIR",
    type=FOLDER,
    help="Other photographs to measure by; without them, some of --data are kept apart for that.",
)
@click.option(
    "--histories",
    is_flag=True,
    help="Learn also from what video, JPEG and sensors would have left of each photograph.",
)
@click.option(
    "--start",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Refine these weights of the same effort for what the learning while coding makes of them.",
)
@click.option("--steps", metavar="N", type=click.IntRange(min=1), help="Of the refining.  [default: 5000]")
@click.option(
    "-e",
    "--effort",
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="1|5|9",
    type=click.IntRange(1, 9),
    help="The effort that the model is for.",
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
@RESUME
@FORCE
def photo(data: tuple[Path, ...], out: Path, force: bool, **options: Any) -> None:
    """Train the model for photographs that densezip ships."""
    _check_out(out, force=force, resume=options["resume"])
    with _torch_or_say():
        from ..models.photo.train import train_photo

        train_photo(data, out, report=click.echo, **options)


def _density_model(name: str) -> click.Command:
    """The command that trains a model of the registry."""

    @click.command(
        name=name,
        short_help=f"Train {name}.",
        help=f"Train {name}; writes best.safetensors, last.safetensors, curve.csv and curve.png.",
        epilog=f"""\b
--data takes
  cifar10:PATH   the official archive, its folder, tile mosaics, or PNG files
  mnist:PATH     the official idx files, mosaics, or PNG files; binarized-mnist:PATH for 0 and 1
  deadleaves     synthetic; deadleaves:size=64,count=2000,noise=0 are the defaults
  swissroll, heartbeat  points of a spiral, sequences of pulses: distributions that are known
  digits         handwritten digits of 8x8 pixels with their classes, which scikit-learn has
  DIR            a folder of images; set patch under [training] for crops

\b
Examples:
  densezip train {name} --data cifar10:cifar-10-python.tar.gz --out run
  densezip train {name} --data my-images --config my.toml --out run --minutes 60
  densezip train {name} --data deadleaves --out run --resume
  torchrun --nproc-per-node 8 $(which densezip) train {name} --config paper \\
    --data cifar10:cifar-10-python.tar.gz --out run --precision bf16
""",
    )
    @click.option("--data", "spec", required=True, metavar="SPEC", help="Images to learn from, see below.")
    @click.option(
        "--config",
        default="small",
        show_default=True,
        metavar="FILE|PRESET",
        help="A TOML file with [model] and [training], or a preset: small (a processor core, an hour) or paper.",
    )
    @click.option("--out", required=True, metavar="DIR", type=OUT, help="Where everything goes; made as needed.")
    @click.option(
        "--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Of all randomness."
    )
    @click.option(
        "--minutes",
        metavar="M",
        type=click.FloatRange(min=0, min_open=True),
        help="End by the clock, if that comes before the last step; the learning rate follows.",
    )
    @RESUME
    @FORCE
    @click.option(
        "--start",
        metavar="CHECKPOINT",
        help="Begin at a trained model of the same settings; ride also takes an MCGSM of like experts, ride and "
        "mcgsm one of a smaller radius, iaf-vae a vae of like sizes, agave the pixelcnn++ in it or another "
        "agave, real-nvp with learned noise one without. Several, separated by commas, in turn.",
    )
    @click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, or auto.")
    @click.option(
        "--precision",
        default="fp32",
        show_default=True,
        type=click.Choice(["fp32", "bf16"]),
        help="Of the network's arithmetic; weights and likelihood are float32.",
    )
    @click.option(
        "-T",
        "--threads",
        metavar="N",
        type=click.IntRange(min=1),
        help="Of torch, on the CPU; by default as many as it takes.",
    )
    @click.option("--tensorboard", is_flag=True, help="Write events for TensorBoard to --out, too.")
    def command(spec: str, config: str, out: Path, threads: int | None, force: bool, **options: Any) -> None:
        _check_out(out, force=force, resume=options["resume"])
        with _torch_or_say():
            import torch

            from ..models.training.loop import train_model

            if threads is not None:
                torch.set_num_threads(threads)
            with _bar(name) as report:
                best = train_model(name, spec, config, out, report=report, **options)
            if _first_process():
                click.echo(best)

    return command


def _check_out(out: Path, *, force: bool, resume: bool) -> None:
    """Refuses a folder before hours of work for it.

    Raises:
        OutputError: It takes no files, or has the results of another training.
    """
    folder = out.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {click.format_filename(folder)} cannot be written to")
    if force or resume or not out.is_dir() or not _first_process():
        return
    there = sorted(path.name for pattern in RESULTS for path in out.glob(pattern))
    if there:
        raise OutputError(
            f"{click.format_filename(out)} has {there[0]}, of another training: give --resume to go on with it, or -f "
            "to overwrite it"
        )


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Any]:
    """A progress bar on a terminal; elsewhere a line for every measurement."""
    if not sys.stderr.isatty() or not _first_process():
        yield _line
        return

    last: dict[str, float] = {}

    def shown(progress: Progress | None) -> str | None:
        if progress is None:
            return None
        measured = f", {last['bpd']:.3f} on validation" if last else ""
        return f"{progress.bpd:.3f} bpd{measured}, {progress.rate:.1f} images/s"

    with click.progressbar(
        length=BAR_STEPS, label=name, file=sys.stderr, item_show_func=shown, show_percent=True
    ) as bar:

        def report(progress: Progress) -> None:
            if progress.validation is not None:
                last["bpd"] = progress.validation
            bar.update(int(progress.fraction * BAR_STEPS) - bar.pos, progress)

        yield report


def _line(progress: Progress) -> None:
    if progress.validation is not None:
        click.echo(
            f"step {progress.step}: {progress.bpd:.4f} bpd, {progress.validation:.4f} on validation, "
            f"{progress.rate:.1f} images/s, {progress.remaining / 60:.0f} minutes left",
            err=True,
        )
