"""All shipped density models against PNG, WebP and JPEG XL, in one run: what learning buys, and what decoding costs.

    python benchmarks/models.py PATH --json benchmarks/models.json --plot benchmarks/models.png --photo PHOTO
    python benchmarks/readme_table.py benchmarks/models.json docs/choose.md --plot ../benchmarks/models.png

PATH is the official archive of CIFAR-10, a folder of PNG files, or tile mosaics. Every file is written, decoded and
compared. The peers have an image a file, as people use them; models have 100. An ensemble averages the density over
flips and transposes; files have the best of them (best:), or the average (exact:). Models with latent variables and
flows report a bound, and their files hold what they were lent.

With --photo, pictures of 97x61 and 768x512 pixels are cut out of it, kept by each model (`densezip.compress`), and
given back by another process: their files over the model's own rate, and what bits-back coding was lent, which is in
the files.

With --ablations, checkpoints of trainings that differ in one choice are weighed too, with the time and the images that
each had; with --mnist and --mnist-models, models of MNIST on its first 1,000 test images.

The last figure is the time in which a decoder gets the parameters of a batch: with what it has computed before, and by
a pass of the network for every pixel.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from densezip.codec.file.chained import encode_chained
from densezip.codec.file.container import boxes
from densezip.codec.images.picture import from_array
from densezip.models.autoregressive.choices import Mode
from densezip.models.autoregressive.density import AutoregressiveModel
from densezip.models.checkpoint import load_model, read_checkpoint
from densezip.models.coding import coder_for
from densezip.models.evaluation import measure
from densezip.models.named import Named, find_model
from densezip.models.shapes import ImageModel
from densezip.models.shipped import entries, find_checkpoint
from densezip.models.training.data import open_data
from peers import coders
from PIL import Image

PEERS = ("PNG", "WebP", "JPEG XL 9", "densezip 9")
PIXELS = 96
"""Whose parameters are timed: three rows of 32, with the start of a row in each."""


def measure_peers(images: np.ndarray[Any, np.dtype[np.uint8]]) -> list[dict[str, Any]]:
    """Bits per dimension and seconds of one file for each image [N, C, H, W]."""
    rows = []
    for coder in coders([9], [1]):
        if coder.name not in PEERS:
            continue
        size, encode, decode = 0, 0.0, 0.0
        for image in images:
            pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
            began = time.perf_counter()
            data = coder.encode(pixels)
            between = time.perf_counter()
            again = coder.decode(data)
            decode += time.perf_counter() - between
            encode += between - began
            if not np.array_equal(again, pixels):
                raise SystemExit(f"{coder.name} has changed an image")
            size += len(data)
        row = {"name": coder.name, "file_bpd": 8 * size / images.size}
        rows.append(row | {"encode_s": encode / len(images), "decode_s": decode / len(images)})
        print(f"{coder.name}: {row['file_bpd']:.4f} bits/dim", flush=True)
    return rows


def measure_models(
    names: Sequence[str], images: np.ndarray[Any, np.dtype[np.uint8]], data: str, ensembles: Sequence[str]
) -> list[dict[str, Any]]:
    """What `densezip eval` measures, of models and of ensembles of some of them."""
    rows = []
    for name in names:
        found = find_model(name)
        model, called = found.load(), name_of(found)
        modes: list[Mode | None] = [None, "best", "exact"]
        for ensemble in modes[: 1 + 2 * (name in ensembles)]:
            evaluation = measure(model, images, name=called, data=data, ensemble=ensemble)
            if not evaluation.lossless:
                raise SystemExit(f"{name} has changed an image")
            row = dataclasses.asdict(evaluation) | {"complaint": evaluation.complaint()} | training_of(found)
            row["parameters"] = sum(parameter.numel() for parameter in model.parameters())
            rows.append(row)
            kind = f"{ensemble}:{called}" if ensemble else called
            rates = f"{row['reported_bpd']:.4f} reported, {row['file_bpd']:.4f} bits/dim in files"
            print(f"{kind}: {rates} {row['complaint']}", flush=True)
    return rows


def name_of(model: Named) -> str:
    """Of a checkpoint that a training left, the name of its folder."""
    return ",".join(path.parent.name if path.stem == "best" else path.stem for path in model.paths)


def training_of(model: Named) -> dict[str, Any]:
    """How long the last of a model's trainings was, and how many images it saw; nothing of an average of several."""
    if len(model.paths) > 1:
        return {}
    about = read_checkpoint(model.paths[0])[1]
    return {"trained_s": about["seconds"], "trained_images": about["step"] * about["recipe"]["batch"]}


DECODE = """import sys, time, numpy as np, densezip
began = time.perf_counter()
again = densezip.decompress(sys.argv[1])
print(int(np.array_equal(again, np.load(sys.argv[2]))), time.perf_counter() - began)
"""


def measure_pictures(
    names: Sequence[str], photo: np.ndarray[Any, np.dtype[np.uint8]], sizes: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Files of pictures by each model, decoded in another process, and what is in them; see `own_bits`."""
    rows = []
    for name in names:
        coder = coder_for(find_checkpoint(name), "cpu")
        model, _ = load_model(find_checkpoint(name))
        assert isinstance(model, ImageModel)
        for width, height in sizes:
            picture = np.ascontiguousarray(photo[:height, :width])
            began = time.perf_counter()
            data, cost = encode_chained(from_array(picture), coder)
            encode = time.perf_counter() - began
            with tempfile.TemporaryDirectory() as folder:
                file, pixels = Path(folder, "a.dz"), Path(folder, "a.npy")
                file.write_bytes(data)
                np.save(pixels, picture)
                done = subprocess.run(
                    [sys.executable, "-c", DECODE, file, pixels], capture_output=True, check=True, text=True
                )
            same, decode = done.stdout.split()
            if same != "1":
                raise SystemExit(f"{name} has changed a picture")
            own = own_bits(model, picture, coder.tile(height, width)) / 8
            row = {"model": name, "width": width, "height": height, "bytes": len(data), "own_bytes": own}
            row |= {"net_bytes": cost.net / 8, "lent_bytes": cost.initial / 8, "direct": cost.direct / (width * height)}
            rows.append(row | {"encode_s": encode, "decode_s": float(decode)})
            over = f"{len(data) / own:.4f} of the model's own rate, {cost.initial / 8:.0f} bytes were lent"
            print(
                f"{name}: {width}x{height} in {len(data)} bytes, {over}; decoded in {float(decode):.1f} s", flush=True
            )
    return rows


@torch.no_grad()
def own_bits(model: ImageModel, picture: np.ndarray[Any, np.dtype[np.uint8]], tile: tuple[int, int]) -> float:
    """What a model reports for the tiles of a picture, filled up from their edges where it takes no such size."""
    bits, (height, width) = 0.0, picture.shape[:2]
    for top, left, bottom, right in boxes(height, width, *tile):
        x = torch.from_numpy(picture[top:bottom, left:right].copy()).permute(2, 0, 1)[None]
        tall, wide = model.fitted(bottom - top, right - left)
        filled = F.pad(x.double(), (0, wide - x.shape[3], 0, tall - x.shape[2]), mode="replicate").long()
        bits -= float(model.bound(filled).double().sum()) / math.log(2)
    return bits


def measure_scan(name: str, images: np.ndarray[Any, np.dtype[np.uint8]], batch: int) -> dict[str, Any]:
    """Seconds a pixel of all images of a batch: the scan over the first rows, and a whole pass for each pixel."""
    model, _ = load_model(find_checkpoint(name))
    assert isinstance(model, AutoregressiveModel)
    exact = copy.deepcopy(model).double()
    done, step = 0, 0
    x = torch.from_numpy(np.resize(images, (batch, *images.shape[1:]))).long()
    with torch.no_grad():
        scan = exact.scan(batch, *x.shape[2:])
        began = time.perf_counter()
        while done < PIXELS * x.shape[1]:  # a step is a channel of a pixel, or of a diagonal of them
            scan.parameters(step, x)
            done, step = done + len(scan.steps[step]), step + 1
        cached = (time.perf_counter() - began) / (done / x.shape[1])
        began = time.perf_counter()
        exact.log_prob(x)
        recomputed = time.perf_counter() - began
    print(f"{name}: a pixel takes {cached:.4f} s with a cache, {recomputed:.4f} s without", flush=True)
    return {
        "model": name,
        "batch": batch,
        "cached_s": cached,
        "recomputed_s": recomputed,
        "ratio": recomputed / cached,
    }


def draw(found: dict[str, Any], path: Path) -> None:
    """Bars of bits per dimension."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    bars = [(row["name"], row["file_bpd"], "0.6") for row in found["peers"]]
    for row in found["models"]:
        name = f"{row['ensemble']}:{row['model']}" if row["ensemble"] else row["model"]
        bars.append((name, row["file_bpd"], "tab:blue"))
    bars.sort(key=lambda bar: -bar[1])
    figure, axes = plt.subplots(figsize=(6, 0.4 + 0.32 * len(bars)), layout="constrained")
    drawn = axes.barh([bar[0] for bar in bars], [bar[1] for bar in bars], color=[bar[2] for bar in bars])
    axes.bar_label(drawn, fmt="%.3f", padding=2)
    axes.set_xlim(0, 1.15 * max(bar[1] for bar in bars))
    axes.set_xlabel(f"bits per dimension, files of {found['images']} test images of CIFAR-10")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="of CIFAR-10")
    shipped = [entry.name for entry in entries() if entry.name.endswith("-cifar10")]
    parser.add_argument("--models", nargs="+", default=shipped, help="checkpoints, by name or path")
    parser.add_argument("--ensembles", nargs="*", default=["ride-cifar10"], help="those also measured as ensembles")
    parser.add_argument("--scan", default="pixelcnn++-cifar10", help="the one whose decoding is timed")
    parser.add_argument("--batch", type=int, default=64, help="images whose decoding is timed together")
    parser.add_argument("--limit", type=int, default=500, help="the first so many test images")
    parser.add_argument("--photo", type=Path, help="of which pictures are kept by each model")
    parser.add_argument("--sizes", nargs="+", default=["97x61", "768x512"], help="of these pictures, WIDTHxHEIGHT")
    parser.add_argument("--ablations", nargs="+", default=[], help="checkpoints of trainings that differ in a choice")
    parser.add_argument("--mnist", help="path of MNIST")
    parser.add_argument("--mnist-models", nargs="+", default=[], help="checkpoints of it, by name or path")
    parser.add_argument("--mnist-limit", type=int, default=1000, help="the first so many test images")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_data(f"cifar10:{args.path}", "test")
    images = opened.images[: args.limit]
    found: dict[str, Any] = {"data": f"{opened.name}/test", "images": len(images)}
    found["peers"] = measure_peers(images)
    found["scan"] = measure_scan(args.scan, images, args.batch)
    found["models"] = measure_models(args.models, images, found["data"], args.ensembles)
    found["ablations"] = measure_models(args.ablations, images, found["data"], [])
    if args.mnist:
        digits = open_data(f"mnist:{args.mnist}", "test").images[: args.mnist_limit]
        found["mnist"] = measure_models(args.mnist_models, digits, "mnist/test", [])
    if args.photo:
        with Image.open(args.photo) as image:
            photo = np.asarray(image.convert("RGB"))
        sizes = [(int(width), int(height)) for width, height in (size.split("x") for size in args.sizes)]
        found["pictures"] = measure_pictures(args.models, photo, sizes)
    found["versions"] = {name: version(name) for name in ("densezip", "torch", "imagecodecs", "pillow")}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw(found, args.plot)


if __name__ == "__main__":
    main()
