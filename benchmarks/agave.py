"""AGAVE by its weights and auxiliary images: `python benchmarks/agave.py RUN... --peer RUN --data SPEC --json FILE`.

Each RUN is the checkpoint of an AGAVE. Of each, on test images, in bits per dimension: what is reported, the part of it
that latents take, that of the pixels given them, and what the VAE in it takes for its auxiliary image; and by how much
the latents of an image help its pixels, over those of another image. The peer is the PixelCNN++ of the same sizes. The
plot (`--plot FILE`) has those that were trained from the start by their weights, and those that began at another model
by their auxiliary images.

The picture (`--picture FILE`) is of the first one: f(z) for latents of the prior, with samples of the pixels given
them; the same for the latents of test images; two ways between the latents of images, above samples along them. That
of `--compare FILE` has a row of each: f(z) for latents of the prior, and samples of the pixels given it, twice.
"""

from __future__ import annotations

import argparse
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.models.checkpoint import load_model
from densezip.models.hybrid.agave import Agave
from densezip.models.latent.variable import divergences
from densezip.models.shipped import find_checkpoint
from densezip.models.training.data import open_data
from PIL import Image

BITS = math.log(2)
WIDE = 10
"""Images of a row of the picture."""

GAP = 2


@torch.no_grad()
def measure_run(model: Agave, images: torch.Tensor) -> dict[str, Any]:
    """Bits per dimension."""
    torch.manual_seed(0)
    nats = torch.zeros(4, dtype=torch.float64)
    for x in torch.split(images, 50):
        latents, priors, posteriors = model.infer(x)
        rows = model.likelihood(latents, (len(x), *x.shape[2:]))
        nats += torch.stack(
            [
                model.log_likelihood(latents, x).sum(),
                -divergences(posteriors, priors).sum(),
                model.family.log_prob(rows, model.auxiliary_image(x)).sum(),
                model.log_likelihood([z.roll(1, 0) for z in latents], x).sum(),
            ]
        ).double()
    pixels, kl, auxiliary, others = (-nats / BITS / images.numel()).tolist()
    return {
        "weight": model.config.weight,
        "auxiliary": model.config.auxiliary,
        "reported_bpd": pixels + kl,
        "kl_bpd": kl,
        "pixels_bpd": pixels,
        "vae_bpd": auxiliary + kl,
        "other_latents_bpd": others - pixels,
    }


@torch.no_grad()
def show(model: Agave, images: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Rows of images, uint8 [10, C, H, W]; all samples are drawn in one scan."""
    size, count = (int(images.shape[2]), int(images.shape[3])), WIDE
    torch.manual_seed(seed)
    mean, log_scale = model.prior([], (2, *size))
    prior = mean + torch.exp(log_scale) * torch.randn_like(mean)
    own = model.infer(images[:2], scale=0.0)[0][0]
    ways = [model.path(images[2 * n + 2], images[2 * n + 3], count)[0] for n in range(2)]
    latents = torch.cat([*(z.expand(count, *z.shape) for z in (*prior, *own)), *ways])
    batch = (len(latents), *size)
    shown = torch.split(model.expected([latents], batch).round().clamp(0, 255).byte(), count)
    drawn = torch.split(model.draw([latents], batch, torch.Generator().manual_seed(seed)), count)
    rows = [torch.cat([f[:1], x[1:]]) for f, x in zip(shown[:4], drawn[:4], strict=True)]
    return [*rows, shown[4], drawn[4], shown[5], drawn[5]]


@torch.no_grad()
def compare(model: Agave, size: tuple[int, int], seed: int) -> torch.Tensor:
    """A row of images, uint8 [10, C, H, W]: twice f(z) for latents of the prior, and samples given it."""
    torch.manual_seed(seed)
    mean, log_scale = model.prior([], (2, *size))
    prior = (mean + torch.exp(log_scale) * torch.randn_like(mean)).repeat_interleave(WIDE // 2, 0)
    drawn = model.draw([prior], (WIDE, *size), torch.Generator().manual_seed(seed))
    drawn[:: WIDE // 2] = model.expected([prior], (WIDE, *size)).round().clamp(0, 255).byte()[:: WIDE // 2]
    return drawn


def write_picture(rows: list[torch.Tensor], path: Path) -> None:
    """Rows of images on white, at twice their size."""
    _, channels, height, width = rows[0].shape
    sheet = np.full((len(rows) * (height + GAP) - GAP, WIDE * (width + GAP) - GAP, channels), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row.permute(0, 2, 3, 1).numpy()):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[top : top + height, left : left + width] = image
    image = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST).save(path, optimize=True)


def draw_rates(found: dict[str, Any], path: Path) -> None:
    """Rates against the weight of the divergence, and by auxiliary images."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (whole, latents, vae, targets) = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    runs = sorted((row for row in found["runs"] if not row["begun_at"]), key=lambda row: row["weight"])
    weights = [row["weight"] for row in runs]
    whole.plot(weights, [row["reported_bpd"] for row in runs], marker="o", label="AGAVE")
    whole.plot(weights, [row["pixels_bpd"] for row in runs], marker="o", ls=":", label="its pixels, given latents")
    if found["peer"]:
        whole.axhline(found["peer"]["reported_bpd"], color="0.5", lw=1, label="PixelCNN++")
    whole.legend(loc="lower right")
    latents.plot(weights, [row["kl_bpd"] for row in runs], marker="o", color="C2")
    vae.plot(weights, [row["vae_bpd"] for row in runs], marker="o", color="C3")
    names = ("reported, bits per dimension", "KL divergence, bits per dimension", "VAE alone, bits per dimension")
    for axes, name in zip((whole, latents, vae), names, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("weight of the divergence in training")
        axes.set_ylabel(name)
    latents.set_ylim(bottom=0)
    begun = [row for row in found["runs"] if row["begun_at"]]
    for shift, (key, name) in enumerate((("kl_bpd", "latents"), ("other_latents_bpd", "pixels by another's latents"))):
        places = [place + 0.4 * shift for place in range(len(begun))]
        targets.bar(places, [row[key] for row in begun], 0.4, label=name)
    targets.set_xticks([place + 0.2 for place in range(len(begun))], [row["auxiliary"] for row in begun])
    targets.set_ylabel("bits per dimension")
    targets.legend(loc="upper right")
    for axes in (whole, latents, vae, targets):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{found['images']} images of {found['data']}")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="checkpoints, by name or path; the picture is of the first")
    parser.add_argument("--peer", help="the PixelCNN++")
    parser.add_argument("--data", required=True, help="as of densezip eval")
    parser.add_argument("--limit", type=int, default=500, help="the first so many test images")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--compare", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_data(args.data, "test")
    images = torch.from_numpy(opened.images[: args.limit])
    found: dict[str, Any] = {"data": f"{opened.name}/test", "images": len(images), "runs": [], "peer": None}
    models = []
    for name in args.runs:
        model, about = load_model(find_checkpoint(name))
        if not isinstance(model, Agave):
            raise SystemExit(f"{name} is no AGAVE")
        models.append(model)
        trained = {"begun_at": about.get("start"), "step": about.get("step"), "seconds": about.get("seconds")}
        found["runs"].append({**measure_run(model, images), **trained})
        print(name, *(f"{key} {value}" for key, value in found["runs"][-1].items()), sep="\n  ", flush=True)
    if args.peer:
        peer, about = load_model(find_checkpoint(args.peer))
        density: Any = peer
        with torch.no_grad():
            nats = sum(float(density.log_prob(x).double().sum()) for x in torch.split(images, 50))
        bpd = -nats / BITS / images.numel()
        found["peer"] = {"reported_bpd": bpd, "step": about.get("step"), "seconds": about.get("seconds")}
        print(f"peer: {bpd:.4f}", flush=True)
    found["versions"] = {name: version(name) for name in ("densezip", "torch")}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw_rates(found, args.plot)
    if args.picture:
        write_picture(show(models[0], images, args.seed), args.picture)
    if args.compare:
        begun = [m for m, row in zip(models, found["runs"], strict=True) if row["begun_at"]] or models
        write_picture(
            [compare(m, (int(images.shape[2]), int(images.shape[3])), args.seed) for m in begun], args.compare
        )


if __name__ == "__main__":
    main()
