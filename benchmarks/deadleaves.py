"""Dead leaves: MCGSM and RIDE at several sizes of the causal neighbourhood, in the manner of the poster's plot.

For each size both models have the same experts and see the same number of images: an MCGSM is trained, and then goes
on as it is and with a spatial LSTM beside it; with the next size, each goes on from that of the size before. Of every
training the weights are kept that are best on validation images. Seeds draw weights, training images and their order;
test images are the same. The question is whether a larger neighbourhood stops helping the MCGSM, whose experts are
linear, and whether the state of the RIDE adds to it at every size.

    python benchmarks/deadleaves.py --json deadleaves.json --plot deadleaves.png

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015), on dead leaves.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.pixels import PixelModel
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.training.leaves import dead_leaves
from torch import Tensor

EXPERTS: dict[str, Any] = {"channels": 1, "components": 8, "scales": 3, "features": 16}
MEASUREMENTS = 8
"""On validation images, during a training."""


def bits(model: PixelModel, images: Tensor) -> float:
    """Bits per dimension of images."""
    with torch.no_grad():
        nats = -torch.cat([model.log_prob(part) for part in torch.split(images, 32)]).mean()
    return float(nats) / images[0].numel() / math.log(2)


def train(
    model: PixelModel, images: Tensor, validation: Tensor, steps: int, batch: int, rate: float, seed: int
) -> dict[str, Any]:
    """Train with Adam and a cosine of rates; the model has the averaged weights that were best by validation then."""
    begun = time.process_time()
    parameters = list(model.parameters())
    averages = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, rate, betas=(0.9, 0.99))
    order = torch.from_numpy(np.random.default_rng(seed).integers(0, len(images), (steps, batch)))
    best, kept, kept_at = bits(model, validation), [average.clone() for average in averages], 0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.505 + 0.495 * math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        loss = -model.log_prob(images[order[step]]).mean() / images[0].numel()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(averages, parameters, strict=True):
                average.lerp_(parameter, 1 - min(0.99, (1 + step) / (10 + step)))
        if (step + 1) % max(1, steps // MEASUREMENTS) == 0:
            trained = [parameter.detach().clone() for parameter in parameters]
            put(parameters, averages)
            if (found := bits(model, validation)) < best:
                best, kept, kept_at = found, [average.clone() for average in averages], step + 1
            put(parameters, trained)
    put(parameters, kept)
    return {
        "validation_bpd": best,
        "kept_at": kept_at,
        "parameters": sum(p.numel() for p in parameters),
        "seconds": time.process_time() - begun,
    }


@torch.no_grad()
def put(parameters: list[torch.nn.Parameter], values: list[Tensor]) -> None:
    """Set the parameters of a model."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    test, validation = (torch.from_numpy(dead_leaves(args.test, args.size, seed=seed)).long() for seed in (2, 3))
    rows = []
    for seed in range(args.seeds):
        rows += measure_seed(args, seed, validation, test)
    settings = {k: v for k, v in vars(args).items() if k not in ("json", "plot")}
    return {"data": f"dead leaves, grey, {args.size}x{args.size}", "torch": torch.__version__, **settings, "rows": rows}


def measure_seed(args: argparse.Namespace, seed: int, validation: Tensor, test: Tensor) -> list[dict[str, Any]]:
    """Both models at all sizes."""
    images = torch.from_numpy(dead_leaves(args.images, args.size, seed=1000 + seed)).long()
    rows: list[dict[str, Any]] = []
    before: dict[str, PixelModel] = {}
    for radius in args.radii:
        torch.manual_seed(seed)
        mcgsm, ride = (
            Mcgsm(McgsmConfig(radius=radius, **EXPERTS)),
            Ride(RideConfig(radius=radius, hidden=args.hidden, **EXPERTS)),
        )
        models: dict[str, Any] = {"mcgsm": mcgsm, "ride": ride}
        for model in models.values():
            model.initialize(images[:256])
        if before:
            for name, model in models.items():
                model.start_from(before[name])
        else:
            train(mcgsm, images, validation, args.first, args.batch, args.rate, seed=2 * seed)
            ride.start_from(mcgsm)
        for name, model in models.items():
            row = {"model": name, "seed": seed, "radius": radius, "pixels": 2 * radius * (radius + 1)}
            row |= train(model, images, validation, args.steps, args.batch, args.rate / 2, seed=2 * seed + 1)
            row["bpd"] = bits(model, test)
            print(f"seed {seed}, {name} radius {radius}: {row['bpd']:.4f} bpd, {row['seconds']:.0f} s", flush=True)
            rows.append(row)
        before = models
    return rows


def curve(found: dict[str, Any], model: str) -> tuple[list[int], list[float], list[float]]:
    """Pixels of the neighbourhoods, the mean over seeds of what a model takes, and its standard deviation."""
    pixels = sorted({row["pixels"] for row in found["rows"]})
    each = [[r["bpd"] for r in found["rows"] if (r["model"], r["pixels"]) == (model, size)] for size in pixels]
    return pixels, [float(np.mean(bpd)) for bpd in each], [float(np.std(bpd, ddof=len(bpd) > 1)) for bpd in each]


def draw(found: dict[str, Any], path: Path) -> None:
    """Bits per dimension against the number of pixels of the neighbourhood: mean over seeds, and the spread."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    for name, label, marker in (("mcgsm", "MCGSM", "o"), ("ride", "RIDE", "s")):
        pixels, mean, spread = curve(found, name)
        axes.errorbar(pixels, mean, spread, marker=marker, capsize=3, label=label)
    axes.set_xlabel("pixels of the causal neighbourhood")
    axes.set_ylabel(f"bits per dimension, test; {found['seeds']} seeds")
    axes.set_title(found["data"], fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radii", type=int, nargs="+", default=[1, 2, 3, 5], help="of the neighbourhoods")
    parser.add_argument("--size", type=int, default=32, help="side of an image")
    parser.add_argument("--images", type=int, default=10000, help="to train on")
    parser.add_argument("--test", type=int, default=200, help="to measure by, and as many to choose weights by")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of everything")
    parser.add_argument("--first", type=int, default=2000, help="steps of training of the first MCGSM")
    parser.add_argument("--steps", type=int, default=1000, help="of both models at each size")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--hidden", type=int, default=32, help="units of the spatial LSTM")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found = measure(args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.plot:
        draw(found, args.plot)


if __name__ == "__main__":
    main()
