"""Diffusions of what is known, in figures: `python benchmarks/diffusion.py RUN --json FILE --plot FILE`.

RUN is the checkpoint of a diffusion of `swissroll`, of `heartbeat`, or, with --digits PATH, of MNIST. Of the roll: by
how many bits a point the bound of one way forth, and that of many, miss the truth, which is an integral; in how many
steps the network's entropy is between what the way forth says of it; and three rows of pictures: the way forth, the way
back, and the drift, by which x^t is expected to move in a step. Of the heartbeat: the bound, and samples. Of digits:
how likely the test images are under normal distributions around samples (Parzen windows), beside the same around
training images. That says little of a density, and much of samples' sharpness; it is what was published of many models.

With --images SPEC, as cifar10:PATH, RUN is of such images: how near to the first test images it comes from noisy ones,
by each rule, beside non-local means, which is told the noise as well; and a picture of that and of filled holes, in
images that the model has made up.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.models.checkpoint import load_model
from densezip.models.latent.binomial import BinomialDiffusion
from densezip.models.latent.diffusion import Diffusion
from densezip.models.latent.products import RULES, denoise
from densezip.models.latent.schedule import entropy_bounds
from densezip.models.training.data import open_data
from densezip.models.training.toys import heartbeat, swiss_roll, swiss_roll_probabilities
from torch import Tensor
from torch.nn import functional as F

BITS = math.log(2)


def measure_roll(model: Diffusion, count: int, ways: int) -> dict[str, Any]:
    """Bits a point."""
    probabilities = swiss_roll_probabilities()
    sound = probabilities[probabilities > 0]
    x = torch.from_numpy(swiss_roll(count, 2))
    points = x[:, 0, 0].numpy()
    own = -np.log2(probabilities[points[:, 0], points[:, 1]]).mean()
    torch.manual_seed(0)
    bounds = -model.iw_bounds(x, [1, ways]).mean(1) / BITS
    scale = 2 * math.log2(float(model.scale))
    lower, upper = (2 * part / BITS for part in entropy_bounds(model.schedule()))
    inside = []
    for number in range(2, model.layers + 1):
        t = torch.full((count,), number)
        now = model.skip(model.begin(x), t)
        _, spread = model.step_back(now, t, model.schedule())
        mean = float(0.5 * torch.log(2 * math.pi * math.e * spread).flatten(1).sum(1).mean()) / BITS
        inside.append(float(lower[number - 2]) - 1e-6 <= mean <= float(upper[number - 2]) + 1e-6)
    return {
        "data": "swissroll",
        "points": count,
        "entropy_bits": float(-(sound * np.log2(sound)).sum()),
        "k_bits_of_variance_1": float(scale - bounds[0]),
        "gap_bits": float(bounds[0]) - float(own),
        "gap_bits_of_many_ways": float(bounds[1]) - float(own),
        "ways": ways,
        "steps_within_entropy_bounds": sum(inside),
        "steps": len(inside),
    }


def draw_roll(model: Diffusion, path: Path) -> None:
    """Forth, back and drift at some steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    x0 = model.begin(torch.from_numpy(swiss_roll(1500, 3)))
    places = [1, model.layers // 4, model.layers // 2, 3 * model.layers // 4, model.layers]
    random = torch.Generator().manual_seed(0)
    back, ways = model.start((1500, 1, 1, 2), random, 1.0), {}
    for number in range(model.layers, 0, -1):
        ways[number] = back
        back = model.back(back, number, random, 1.0) if number > 1 else back
    figure, rows = plt.subplots(3, len(places), figsize=(11, 6.8), layout="constrained", sharex=True, sharey=True)
    axis = torch.linspace(-2.2, 2.2, 15)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 1, 1, 2)
    for column, number in enumerate(places):
        t = torch.full((len(x0),), number)
        for row, points in ((0, model.skip(x0, t)), (1, ways[number])):
            rows[row, column].plot(*points[:, 0, 0].T.numpy(), ".", ms=1, color="C0")
        rows[0, column].set_title(f"t = {number}")
        there, _ = model.step_back(grid, torch.full((len(grid),), max(2, number)), model.schedule())
        rows[2, column].quiver(*grid[:, 0, 0].T.numpy(), *(there - grid)[:, 0, 0].T.numpy(), angles="xy", width=4e-3)
    for row, name in zip(rows, ("way forth", "way back", "drift"), strict=True):
        row[0].set_ylabel(name)
    for axes in rows.flat:
        axes.set_aspect("equal")
        axes.set_xlim(-2.6, 2.6)
        axes.set_ylim(-2.6, 2.6)
    figure.savefig(path, dpi=110)


def measure_heartbeat(model: BinomialDiffusion, count: int) -> dict[str, Any]:
    """Bits a sequence."""
    x = torch.from_numpy(heartbeat(count, 2))
    torch.manual_seed(0)
    bits = -float(model.bound(x).mean()) / BITS
    drawn = model.sample(count, 1, 20, seed=1).reshape(count, 20)
    sound = {tuple(sequence) for sequence in heartbeat(200, 0).reshape(200, 20).tolist()}
    right = sum(tuple(sequence) in sound for sequence in drawn.tolist())
    return {
        "data": "heartbeat",
        "sequences": count,
        "k_bits": -bits,
        "truth_bits": -math.log2(5),
        "sound": right / count,
    }


def log_windows(squares: Tensor, sigma: float, dimensions: int) -> Tensor:
    """Bits of points under normal distributions of one width around others, from squared distances: [points]."""
    log_kernel = -squares / (2 * sigma**2) - dimensions / 2 * math.log(2 * math.pi * sigma**2)
    return (torch.logsumexp(log_kernel, 1) - math.log(squares.shape[1])) / BITS


def measure_windows(around: Tensor, held: Tensor, test: Tensor) -> dict[str, float]:
    """Bits an image of the test, with the width that is best for images held out, and its standard error."""
    squares, widths = torch.cdist(held, around).square(), np.geomspace(0.05, 0.5, 30)
    dimensions = around.shape[1]
    sigma = max(widths, key=lambda width: float(log_windows(squares, width, dimensions).mean()))
    bits = torch.cat([log_windows(torch.cdist(x, around).square(), sigma, dimensions) for x in torch.split(test, 500)])
    return {"sigma": float(sigma), "bits": float(bits.mean()), "error": float(bits.std()) / math.sqrt(len(bits))}


def measure_digits(model: Diffusion, path: str, count: int) -> dict[str, Any]:
    """Bits an image of 784 values between 0 and 1."""
    device = next(model.parameters()).device

    def opened(split: str) -> Tensor:
        images = torch.from_numpy(open_data(f"mnist:{path}", split).images)
        return images.to(device).flatten(1).float() / 255

    drawn = [model.sample(min(500, count - first), 28, 28, seed=first) for first in range(0, count, 500)]
    samples = torch.cat(drawn).to(device).flatten(1).float() / 255
    held, test = opened("validation"), opened("test")
    return {
        "data": "mnist",
        "samples": count,
        "windows_around_samples": measure_windows(samples, held, test),
        "windows_around_training_images": measure_windows(opened("train")[:count], held, test),
    }


def psnr(found: Tensor, x: Tensor) -> float:
    """Decibels, the mean over images."""
    errors = (found.double().clamp(0, 255) - x.double()).square().flatten(1).mean(1)
    return float((10 * torch.log10(255**2 / errors)).mean())


def non_local_means(noisy: Tensor, noise: float) -> Tensor:
    """Of scikit-image, with its own advice for a known deviation."""
    from skimage.restoration import denoise_nl_means

    settings: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "fast_mode": False, "channel_axis": 0}
    found = [denoise_nl_means(image.numpy(), h=0.6 * noise, sigma=noise, **settings) for image in noisy.double()]
    return torch.from_numpy(np.stack(found))


def measure_images(model: Diffusion, x: Tensor, draws: int) -> dict[str, Any]:
    """Decibels of images [B, C, H, W] with noise taken out of them."""
    rows, device = [], model.mean.device
    for noise in (10, 25):
        noisy = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(noise))
        row = {"noise": noise, "noisy": psnr(noisy, x), "non-local means": psnr(non_local_means(noisy, noise), x)}
        for rule in RULES:
            many, name = (0, "expected") if rule == "matched" else (draws, f"{draws} draws")
            for count, what in ((1, "one draw"), (many, name)):
                row[f"{rule}, {what}"] = psnr(denoise(model, noisy.to(device), noise, rule, count).cpu(), x)
        print(row, flush=True)
        rows.append(row)
    return {"images": len(x), "decibels": rows}


def draw_images(model: Diffusion, x: Tensor, path: Path) -> None:
    """Rows: images, with noise of 50, without it again; with a hole, filled three times."""
    from PIL import Image

    noisy = x + 50 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    rows = [x, noisy, denoise(model, noisy, 50, draws=0)]
    height, width = x.shape[2:]
    hole = torch.zeros(height, width, dtype=torch.bool)
    hole[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    rows += [torch.where(hole, 255, x), *(model.fill(x, hole, 3, seed) for seed in range(3))]
    framed = [F.pad(row.double().clamp(0, 255), (1, 1, 1, 1), value=255.0) for row in rows]
    sheet = torch.cat([torch.cat(list(row), 2) for row in framed], 1).permute(1, 2, 0).round().byte().numpy()
    Image.fromarray(sheet.repeat(2, 0).repeat(2, 1).squeeze()).save(path)


def draw_heartbeat(model: BinomialDiffusion, path: Path) -> None:
    """Sequences on the way back, from noise on the right to samples on the left."""
    from PIL import Image

    random = torch.Generator().manual_seed(0)
    now, shown = model.start((40, 1, 1, 20), random, 1.0), list[Any]()
    places = {model.layers, model.layers // 2, model.layers // 4, model.layers // 10, 1}
    for number in range(model.layers, 0, -1):
        if number in places:
            shown.insert(0, now[:, 0, 0].numpy())
        now = model.back(now, number, random, 1.0) if number > 1 else now
    shown.insert(0, model.image(now, random)[:, 0, 0].numpy())
    gap = np.full((40, 2), 0.5)
    sheet = np.concatenate([part for one in shown for part in (one, gap)][:-1], 1)
    Image.fromarray((255 * np.kron(sheet, np.ones((6, 6)))).astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="points, sequences, or samples of digits")
    parser.add_argument("--digits", metavar="PATH", help="of MNIST, for a diffusion of it")
    parser.add_argument("--images", metavar="SPEC", help="of a diffusion of them, to take noise out of")
    parser.add_argument("--device", default="cpu", help="where the network of digits and of --images is")
    parser.add_argument("--ways", type=int, default=20, help="forth, for the bound by many")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, _ = load_model(args.model)
    with torch.no_grad():
        if args.images and isinstance(model, Diffusion):
            x = torch.from_numpy(open_data(args.images, "test").images[: args.count])
            found = measure_images(model.to(args.device).eval(), x, args.ways)
        elif args.digits and isinstance(model, Diffusion):
            found = measure_digits(model.to(args.device).eval(), args.digits, args.count)
        elif isinstance(model, Diffusion) and model.size == (1, 2):
            found = measure_roll(model.eval(), args.count, args.ways)
        elif isinstance(model, BinomialDiffusion) and model.size == (1, 20):
            found = measure_heartbeat(model.eval(), args.count)
        else:
            raise SystemExit(f"{args.model} is no diffusion of swissroll or heartbeat, nor of --digits")
        print(json.dumps(found, indent=1))
        if args.json:
            args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        if args.plot and args.images and isinstance(model, Diffusion):
            draw_images(model.cpu(), model.sample(16, x.shape[2], x.shape[3], seed=5), args.plot)
        elif args.plot and isinstance(model, Diffusion) and not args.digits:
            draw_roll(model, args.plot)
        elif args.plot and isinstance(model, BinomialDiffusion):
            draw_heartbeat(model, args.plot)


if __name__ == "__main__":
    main()
