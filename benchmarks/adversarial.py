"""What an adversary gives and costs: samples that are nearer to images, and bits.

    python benchmarks/adversarial.py NAME=CHECKPOINT ... --data SPEC --features FILE --json FILE --plot FILE

For each checkpoint of a `v-ade` or `av-ade`, of the same sizes:

- reported: bits per dimension of test images by the bound; coded: what the first of these take in a decoded message;
- distance: the Frechet distance between samples and test images, by features of a small network of our own, which has
  learned by which quarter turn images were rotated. It is no FID: figures of papers have other features;
- linear, convolutional: the share of unseen samples and test images that a fresh classifier tells apart: a linear one
  of the same features, and a small convolutional network of pixels. 0.5 is chance.

Samples are of two kinds: means of the likelihood, as an adversary sees them, and draws, which are of the density that
is coded. FILE has the features; where it is not, they are learned for so many --minutes and written.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from densezip.models.ade.vade import Vade
from densezip.models.checkpoint import load_model
from densezip.models.evaluation import measure
from densezip.models.shipped import find_checkpoint
from densezip.models.training.data import open_data
from densezip.models.training.objective import evaluate
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Images = np.ndarray[Any, np.dtype[np.uint8]]

SHOWN = 10
"""Samples of a row of the picture."""


class Features(nn.Module):
    """A small network from images to features, and from these to four quarter turns."""

    def __init__(self, channels: int, filters: int = 24) -> None:
        super().__init__()
        layers, wide = list[nn.Module](), channels
        for number in range(4):
            more = filters * 2 ** min(number, 2)
            layers += [nn.Conv2d(wide, more, 3, stride=1 + (number > 0), padding=1, bias=False)]
            layers += [nn.BatchNorm2d(more), nn.ReLU()]
            wide = more
        self.layers, self.turns, self.width = nn.Sequential(*layers), nn.Linear(wide, 4), wide

    def forward(self, x: Tensor) -> Tensor:
        """Of values in levels [B, C, H, W]: [B, features]."""
        found: Tensor = self.layers(x.float() / 127.5 - 1).mean((2, 3))
        return found


def turned(x: Tensor) -> tuple[Tensor, Tensor]:
    """Square images in all four quarter turns, and by how many they are turned."""
    return torch.cat([x.rot90(k, (2, 3)) for k in range(4)]), torch.arange(4).repeat_interleave(len(x)).to(x.device)


def learn_features(images: Images, minutes: float, device: str) -> Features:
    """Learns quarter turns of training images, until the time is over; square images."""
    torch.manual_seed(0)
    network = Features(images.shape[1]).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    random, began, share, smooth = np.random.default_rng(0), time.monotonic(), 0.0, 0.0
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * share))
        x = torch.from_numpy(images[random.integers(0, len(images), 32)]).to(device)
        x, turns = turned(torch.where(torch.rand(len(x), 1, 1, 1, device=device) < 0.5, x, x.flip(3)))
        found = network.turns(network(x))
        optimizer.zero_grad()
        loss: Any = F.cross_entropy(found, turns)
        loss.backward()
        optimizer.step()
        smooth += 0.01 * (float((found.argmax(1) == turns).float().mean()) - smooth)
        share = (time.monotonic() - began) / (60 * minutes)
    print(f"features: {smooth:.3f} of the last training images are turned back", flush=True)
    return network.cpu().eval()


@torch.no_grad()
def in_parts(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of images, some at a time."""
    return torch.cat([function(part) for part in torch.split(x, 250)])


def frechet(first: Tensor, second: Tensor) -> float:
    """Squared Frechet distance of the normal distributions of the moments of two samples [N, F]."""
    (mean, cov), (other_mean, other_cov) = ((x.double().mean(0), torch.cov(x.double().T)) for x in (first, second))
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    middle = torch.linalg.eigvalsh(root @ other_cov @ root).clamp(min=0).sqrt().sum()
    return float((mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * middle)


class Convolutional(nn.Sequential):
    """Logits of images being real."""

    def __init__(self, channels: int) -> None:
        convs = list[nn.Module]()
        for inputs, outputs in ((channels, 16), (16, 32), (32, 32)):
            convs += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        super().__init__(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))


def told_apart(network: nn.Module, real: Tensor, fake: Tensor, steps: int) -> float:
    """The share of the second halves that a network tells apart, having learned on the first halves."""
    half = min(len(real), len(fake)) // 2
    random = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3, weight_decay=1e-4)
    labels = torch.cat([torch.ones(32), torch.zeros(32)])
    network.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        chosen = torch.randint(half, (64,), generator=random)
        logits = network(torch.cat([real[chosen[:32]], fake[chosen[32:]]]))[:, 0]
        optimizer.zero_grad()
        loss: Any = F.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
    network.eval()
    right = [(in_parts(network, x[half : 2 * half])[:, 0] > 0) == truth for x, truth in ((real, True), (fake, False))]
    return float(torch.cat(right).float().mean())


def judge(fake: Tensor, real: Tensor, features: Features, steps: int) -> dict[str, float]:
    """Three figures of samples [N, C, H, W] against images, uint8."""
    torch.manual_seed(0)
    ours, theirs = in_parts(features, fake), in_parts(features, real)
    spread = theirs.std(0) + 1e-6
    linear = nn.Linear(features.width, 1)
    found = {"distance": frechet(ours, theirs), "linear": told_apart(linear, theirs / spread, ours / spread, steps)}
    first, second = (x.float() / 127.5 - 1 for x in (real, fake))
    return found | {"convolutional": told_apart(Convolutional(real.shape[1]), first, second, steps)}


@torch.no_grad()
def drawn(model: Vade, kind: str, count: int, height: int, width: int) -> Tensor:
    """Samples, uint8 [count, C, H, W], of a kind: "means" or "draws"."""
    if kind == "draws":
        return torch.cat([model.sample(100, height, width, seed) for seed in range(-(-count // 100))])[:count]
    torch.manual_seed(0)
    parts = [model.means(100, height, width) for _ in range(-(-count // 100))]
    return torch.cat(parts)[:count].floor().clamp(0, model.levels - 1).to(torch.uint8)


def draw(found: dict[str, Any], samples: dict[str, Tensor], path: Path) -> None:
    """Bits per dimension against distance, and samples of each model."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(13, 0.9 * len(samples) + 0.4), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1, 2.1))
    left, right = parts
    axes = left.subplots()
    for row in found["models"]:
        place = row["reported_bpd"], row["means"]["distance"]
        axes.plot(*place, "o", ms=6)
        axes.annotate(row["name"], place, (5, 5), textcoords="offset points")
    axes.set_yscale("log")
    axes.margins(0.2)
    axes.set_xlabel("bits per dimension, bound")
    axes.set_ylabel("Frechet distance of means, our features")
    axes.spines[["top", "right"]].set_visible(False)
    for (name, images), cell in zip(samples.items(), right.subplots(len(samples), 1, squeeze=False)[:, 0], strict=True):
        strip = torch.cat(list(images[: 2 * SHOWN]), 2).permute(1, 2, 0)
        cell.imshow(strip.squeeze(2), cmap="gray", vmin=0, vmax=255)
        cell.set_axis_off()
        cell.set_title(name, loc="left", fontsize=9, pad=2)
    figure.savefig(path, dpi=130)


def settings() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME=CHECKPOINT")
    parser.add_argument("--data", required=True, help="as of densezip train")
    parser.add_argument("--features", type=Path, required=True, help="weights of the network whose features are used")
    parser.add_argument("--minutes", type=float, default=5, help="of learning features, where there are none yet")
    parser.add_argument("--device", default="cpu", help="for learning features")
    parser.add_argument("--limit", type=int, default=500, help="weigh the first so many test images")
    parser.add_argument("--coded", type=int, default=500, help="and code the first so many of these")
    parser.add_argument("--count", type=int, default=2000, help="samples of each model, and test images")
    parser.add_argument("--steps", type=int, default=400, help="of classifiers")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def main() -> None:
    args = settings()
    torch.set_num_threads(1)
    if not args.features.exists():
        learned = learn_features(open_data(args.data).images, args.minutes, args.device)
        save_file(learned.state_dict(), args.features)
    opened = open_data(args.data, "test")
    images, (channels, height, width) = opened.images, opened.images.shape[1:]
    features = Features(channels).eval()
    features.load_state_dict(load_file(args.features))
    real = torch.from_numpy(images[: args.count])
    with torch.no_grad():
        turns = in_parts(lambda x: features.turns(features(turned(x)[0])).argmax(1), real)
    truth = torch.cat([turned(part)[1] for part in torch.split(real, 250)])
    found: dict[str, Any] = {
        "data": f"{opened.name}/test",
        "images": args.limit,
        "first": args.coded,
        "samples": len(real),
    }
    found["turned_back"] = float((turns == truth).float().mean())
    others = torch.from_numpy(images[args.count : 2 * args.count])
    if len(others):
        found["other_images"] = judge(others, real, features, args.steps)
    print(f"{found['turned_back']:.3f} turned back; other images {found.get('other_images')}", flush=True)
    samples: dict[str, Tensor] = {}
    found["models"] = []
    for name, _, path in (entry.partition("=") for entry in args.models):
        model, about = load_model(find_checkpoint(path))
        if not isinstance(model, Vade):
            raise SystemExit(f"{path} is no v-ade")
        some = images[: args.coded]
        weighed = measure(model, some, batch=len(some))
        if not weighed.lossless:
            raise SystemExit(f"{name} has changed an image")
        row: dict[str, Any] = {"name": name, "model": about["model"], "step": about["step"]}
        row |= {"weights": sum(p.numel() for p in model.parameters())}
        row["reported_bpd"] = evaluate(model, images[: args.limit], 100, torch.device("cpu"))
        row |= {f"first_{kind}_bpd": getattr(weighed, f"{kind}_bpd") for kind in ("reported", "pmf", "file")}
        for kind in ("means", "draws"):
            fake = drawn(model, kind, args.count, height, width)
            row[kind] = judge(fake, real, features, args.steps)
            samples[f"{name}, {kind}"] = fake[: 2 * SHOWN]
        found["models"].append(row)
        print(json.dumps(row), flush=True)
    found["versions"] = {name: version(name) for name in ("densezip", "torch")}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.plot and samples:
        draw(found, samples, args.plot)


if __name__ == "__main__":
    main()
