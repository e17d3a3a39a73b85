"""A look into a model with latent variables: `python benchmarks/latent.py MODEL --data SPEC --json FILE --plot FILE`.

Three things of a checkpoint, on test images:

- divergence: bits per dimension of each layer's posterior from its prior, from the top down;
- weighted: the importance-weighted bound by 1, 2, 5, ... samples. It comes near to the likelihood; no file is so small;
- bins: what images take by how finely latents are coded, for each number and spread of bins: net in one message, and as
  pictures of a file each. Coarse bins blur the posterior, fine ones borrow more.

The JSON file keeps what it has of other models, and the picture shows all of them.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.models.checkpoint import load_model
from densezip.models.evaluation import measure
from densezip.models.latent.variable import LatentVariable
from densezip.models.shipped import find_checkpoint
from densezip.models.training.data import open_data

Images = np.ndarray[Any, np.dtype[np.uint8]]


def measure_divergence(model: LatentVariable, images: Images) -> list[float]:
    """Bits per dimension of each layer."""
    with torch.no_grad():
        parts = [model.kl(x).double().sum(1) for x in torch.split(torch.from_numpy(images), 100)]
    return [float(nats) / math.log(2) / images.size for nats in torch.stack(parts).sum(0)]


def measure_bins(
    model: LatentVariable, images: Images, single: int, spreads: list[float], bits: list[int]
) -> list[dict[str, Any]]:
    """What images take, chained and alone, for each spread and number of bins."""
    rows = []
    for spread, power in product(spreads, bits):
        other = copy.deepcopy(model)
        other.bins, other.spread = 1 << power, spread
        found = measure(other, images, batch=len(images), single=single)
        if not found.lossless:
            raise SystemExit(f"2^{power} bins have changed an image")
        rows.append(
            {
                "bins": other.bins,
                "spread": spread,
                "reported_bpd": found.reported_bpd,
                "net_bpd": found.pmf_bpd,
                "chained_bpd": found.file_bpd,
                "single_bpd": found.single_bpd,
            }
        )
        shown = ", ".join(f"{name} {value:.4f}" for name, value in list(rows[-1].items())[2:])
        print(f"2^{power} bins, spread {spread:g}: {shown}", flush=True)
    return rows


def draw(models: list[dict[str, Any]], path: Path) -> None:
    """Three panels of each."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(12, 3.4 * len(models)), layout="constrained")
    for part, found in zip(figure.subfigures(len(models), squeeze=False)[:, 0], models, strict=True):
        layers, curve, bins = part.subplots(1, 3)
        layers.bar(range(1, len(found["divergence"]) + 1), found["divergence"])
        layers.set_xlim(0.3, len(found["divergence"]) + 0.7)
        layers.xaxis.get_major_locator().set_params(integer=True)
        layers.set_xlabel("layer of latents, from the top down")
        layers.set_ylabel("KL divergence, bits per dimension")
        curve.plot(*zip(*found["weighted"], strict=True), marker="o", ms=3)
        curve.set_xscale("log")
        curve.set_xlabel("samples of the posterior")
        curve.set_ylabel("weighted bound, bits per dimension")
        for number, spread in enumerate(sorted({row["spread"] for row in found["bins"]})):
            rows = [row for row in found["bins"] if row["spread"] == spread]
            for name, label, mark in (
                ("single_bpd", "file of one image", "s"),
                ("net_bpd", "net, in one message", "o"),
            ):
                style = {"color": f"C{number}", "marker": mark, "ls": "-" if mark == "o" else "--", "ms": 4}
                values = [row[name] for row in rows]
                bins.plot([row["bins"] for row in rows], values, label=f"{label}, spread {spread:g}", **style)
        bins.axhline(found["bins"][-1]["reported_bpd"], color="0.6", lw=1, label="bound")
        bins.set_xscale("log", base=2)
        bins.set_yscale("log")
        bins.yaxis.set_major_formatter("{x:g}")
        bins.yaxis.set_minor_formatter("{x:g}")
        bins.set_xlabel("bins of a latent")
        bins.set_ylabel("bits per dimension")
        bins.legend(fontsize="x-small", loc="best")
        for axes in (layers, curve, bins):
            axes.spines[["top", "right"]].set_visible(False)
        few = f"; weighted bound: {found['weighed']}" if found["weighed"] < found["images"] else ""
        part.suptitle(f"{found['model']}, {found['images']} images of {found['data']}{few}")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a checkpoint, by name or path")
    parser.add_argument("--data", required=True, help="as of densezip eval")
    parser.add_argument("--limit", type=int, default=100, help="the first so many test images")
    parser.add_argument("--samples", type=int, default=1000, help="of the posterior, for the weighted bound")
    parser.add_argument("--weighed", type=int, help="so many images for that; by default all")
    parser.add_argument("--single", type=int, default=10, help="so many of them are also coded alone")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 6, 8, 10, 12, 14], help="log2 of the bins")
    parser.add_argument("--spreads", type=float, nargs="+", default=[1.0, 4.0], help="of the bins, in deviations")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = find_checkpoint(args.model)
    model, _ = load_model(path)
    if not isinstance(model, LatentVariable):
        raise SystemExit(f"{args.model} has no latent variables")
    opened = open_data(args.data, "test")
    images = opened.images[: args.limit]
    found: dict[str, Any] = {"model": path.stem, "data": f"{opened.name}/test", "images": len(images)}
    found["divergence"] = measure_divergence(model, images)
    print("divergence of each layer:", ", ".join(f"{value:.4f}" for value in found["divergence"]), flush=True)
    found["bins"] = measure_bins(model, images, args.single, args.spreads, args.bits)
    found["weighed"] = len(images[: args.weighed])
    found["weighted"] = measure(model, images[: args.weighed], iw_samples=args.samples).iw_curve
    print("weighted bound:", ", ".join(f"{count}: {value:.4f}" for count, value in found["weighted"]), flush=True)
    found["versions"] = {name: version(name) for name in ("densezip", "torch")}
    known = json.loads(args.json.read_text(encoding="utf-8"))["models"] if args.json and args.json.exists() else []
    models = [*(row for row in known if row["model"] != found["model"]), found]
    if args.json:
        args.json.write_text(json.dumps({"models": models}, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw(models, args.plot)


if __name__ == "__main__":
    main()
