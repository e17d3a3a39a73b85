"""`densezip eval` and `densezip models`: what models there are, and what they really take."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click

from .. import UsageError
from .sources import STDIN, Source
from .targets import Targets

__all__ = ["evaluate", "models"]

DISAGREEMENT = 1
"""Exit code of an evaluation whose numbers do not agree."""


@click.command(
    "eval",
    epilog="""\b
Examples:
  densezip eval ride-cifar10 --data cifar10:cifar-10-python.tar.gz
  densezip eval run/best.safetensors --data photos --limit 20 --json out.json
  densezip eval mcgsm-cifar10 --data cifar10:tiles --limit 500 --json -
  densezip eval best:ride-cifar10 --data cifar10:tiles --limit 500
  densezip eval exact:ride-cifar10,mcgsm-cifar10 --data cifar10:tiles --limit 500
""",
)
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    required=True,
    metavar="SPEC",
    help="cifar10:PATH, mnist:PATH, binarized-mnist:PATH, deadleaves, swissroll, heartbeat, digits, or a folder.",
)
@click.option("--split", default="test", show_default=True, type=click.Choice(["train", "validation", "test"]))
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="The first N images only.")
@click.option("--batch", default=100, show_default=True, metavar="N", type=click.IntRange(min=1), help="Images a file.")
@click.option(
    "--ensemble",
    type=click.Choice(["best", "exact"]),
    help="Average the density over the eight flips and transposes of an image; the same as best:MODEL or exact:MODEL.",
)
@click.option("--single", default=0, metavar="N", type=click.IntRange(min=0), help="Also N files of one image each.")
@click.option(
    "--iw",
    "iw_samples",
    default=0,
    metavar="K",
    type=click.IntRange(min=0),
    help="Also the importance-weighted bound of a latent model by 1, 2, 5, ... K samples: no file is so small.",
)
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1 or auto.")
@click.option(
    "-T", "--threads", default=1, show_default=True, metavar="N", type=click.IntRange(min=1), help="Of torch."
)
@click.option("--json", "report", metavar="FILE", help="Write the figures there too; - prints nothing but them.")
def evaluate(
    model: str,
    data: str,
    split: str,
    limit: int | None,
    batch: int,
    ensemble: str | None,
    single: int,
    iw_samples: int,
    device: str,
    threads: int,
    report: str | None,
) -> None:
    """Code images for real and compare three rates.

    MODEL is a checkpoint, by path or by a name that `densezip models` lists. The images are coded to files, which are
    decoded and compared. Printed are bits per dimension: what the model reports, what its integer distributions take,
    and what the files take. Where they differ by more than 0.5 %, or a pixel is wrong, the exit code is 1.

    What is reported is the likelihood of an autoregressive model, and a bound for others: that by one sample of the
    posterior of latent variables, or of the noise of a flow. Their files hold what bits-back coding was lent, too.

    MODEL is also several MCGSMs and RIDEs of one radius, separated by commas: the distributions of each sample are
    averaged. With best: or exact: before it, reported is the average of the density over the transforms of each image.
    No order of pixels could code that: "best" files hold the transform of most density and say which it is, at most 3
    bits an image more; "exact" ones take the average by bits-back coding of the transform, and longer to decode.
    """
    if report is not None:
        # Before hours of work for it.
        Targets(report, None, force=True).claim(Source(None, Path(STDIN)), report)
    try:
        import torch

        from ..models.evaluation import measure
        from ..models.named import find_model
        from ..models.training.data import open_data
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "torch":
            raise
        raise UsageError("this needs torch, which is missing: pip install 'densezip[models]'") from error
    torch.set_num_threads(threads)
    chosen = find_model(model if ensemble is None else f"{ensemble}:{model}")
    loaded = chosen.load()
    opened = open_data(data, split)
    images = opened.images[:limit]
    quiet = report == "-"
    with click.progressbar(
        length=3 * len(images), label="report, encode, decode", file=sys.stderr, hidden=quiet or not sys.stderr.isatty()
    ) as bar:
        found = measure(
            loaded,
            images,
            name=chosen.name,
            data=f"{opened.name}/{split}",
            batch=batch,
            single=single,
            iw_samples=iw_samples,
            device=device,
            progress=bar.update,
        )
    written = json.dumps(dataclasses.asdict(found), indent=2)
    if report == "-":
        click.echo(written)
    else:
        click.echo(f"{found.model} on {found.images} images of {found.data}, bits per dimension:")
        click.echo(f"  reported        {found.reported_bpd:.5f}")
        click.echo(f"  distributions   {found.pmf_bpd:.5f}")
        lent = f", lent: {found.initial_bpd:.5f}" if found.initial_bpd else ""
        click.echo(f"  files           {found.file_bpd:.5f}   (exceptions: {found.side_bpd:.5f}{lent})")
        if found.single_bpd is not None:
            click.echo(f"  one image each  {found.single_bpd:.5f}")
        if found.iw_bpd is not None:
            click.echo(f"  weighted bound  {found.iw_bpd:.5f}   (by {found.iw_samples} samples; not a size)")
            for count, bpd in found.iw_curve[:-1]:
                click.echo(f"    by {count:<10} {bpd:.5f}")
        click.echo(f"  seconds an image: {found.encode_s:.3f} to encode, {found.decode_s:.3f} to decode")
        click.echo(f"  peak memory: {found.peak_memory_bytes / 2**20:.0f} MiB; lossless: {found.lossless}")
        if report is not None:
            Path(report).write_text(written + "\n", encoding="utf-8")
    if complaint := found.complaint():
        click.echo(f"densezip: {complaint}", err=True)
        click.get_current_context().exit(DISAGREEMENT)


@click.command(
    epilog="""\b
Examples:
  densezip models
  densezip models --json
"""
)
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def models(as_json: bool) -> None:
    """List the models and checkpoints that come with densezip."""
    from ..models.shipped import entries

    found = entries()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2))
        return
    click.echo(f"{'name':<22} {'family':<12} {'shape':<15} {'trained on':<12} {'parameters':>10}  coded bits/dim")
    for entry in found:
        bpd = f"{entry.measured['file_bpd']:.3f}" if entry.measured else ""
        count = "" if entry.parameters is None else f"{entry.parameters:,}"
        click.echo(
            f"{entry.name:<22} {entry.family:<12} {entry.shape:<15} {entry.trained_on or '':<12} {count:>10}  {bpd}"
        )
