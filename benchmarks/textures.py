"""Textures: a factorized MCGSM and a RIDE trained on one picture each, what they make up, and a hole that they fill.

    python benchmarks/textures.py FOLDER --json textures.json --plot textures.png

FOLDER has pictures of one texture each, of 512 x 512 pixels or so: `skimage/data` has brick, grass and gravel, for
example. The left part of a picture is for training, in crops and their mirror images; in the middle of the right
part, which no model has seen, a hole of 71 x 71 pixels is filled: drawn in the model's order first, then by Metropolis
within Gibbs. What lies above and below that chooses the weights: so little is overfitted soon. The RIDE goes on from
the MCGSM, with small steps: at those of the MCGSM its state learns the picture by heart before it learns the texture.

Source: Theis and Bethge, *Generative image modeling using spatial LSTMs* (2015), and its poster, on Brodatz textures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deadleaves import bits, train
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.pixels import PixelModel
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.autoregressive.synthesis import Sweep, inpaint, sample
from PIL import Image
from torch import Tensor

EXPERTS: dict[str, Any] = {"channels": 1, "components": 16, "scales": 4, "features": 32}
BURN_IN = 32
"""Rows and columns of a synthesis that are cut off: they begin at a border of grey."""

HELD = 100
"""Columns on the right that are for the hole; between them and the others, `APART` are for neither."""
APART = 4


def crops(picture: np.ndarray[Any, Any], side: int, count: int, seed: int) -> Tensor:
    """Squares of a picture at random places and their mirror images, [2 count, 1, side, side]."""
    random = np.random.default_rng(seed)
    height, width = picture.shape
    rows, columns = random.integers(0, height - side + 1, count), random.integers(0, width - side + 1, count)
    found = [picture[y : y + side, x : x + side] for y, x in zip(rows, columns, strict=True)]
    squares = torch.from_numpy(np.stack(found)[:, None]).long()
    return torch.cat([squares, squares.flip(-1)])


def measure(path: Path, args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Figures and pictures of one texture."""
    with Image.open(path) as image:
        picture = np.asarray(image.convert("L"))
    seen, unseen = picture[:, : -HELD - APART], picture[:, -HELD:]
    images = crops(seen, args.side, args.crops, 1)
    size = args.hole + 2 * BURN_IN
    top = (unseen.shape[0] - size) // 2
    if top < 1:
        raise SystemExit(f"{path}: a hole of {args.hole} rows needs more than {size} in a picture")
    window = torch.from_numpy(unseen[top : top + size].copy())[None, None]
    validation = torch.from_numpy(np.stack([unseen[:top], unseen[-top:]])[:, None]).long()
    mask = torch.zeros(window.shape[2:], dtype=torch.bool)
    left = (HELD - args.hole) // 2
    mask[BURN_IN : BURN_IN + args.hole, left : left + args.hole] = True
    pictures = {"texture": seen[:size, :HELD], "hole": np.where(mask.numpy(), 255, window[0, 0].numpy())}
    row: dict[str, Any] = {"texture": path.stem}
    torch.manual_seed(0)
    mcgsm = Mcgsm(McgsmConfig(radius=args.radius, **EXPERTS))
    mcgsm.initialize(images[:256])
    ride = Ride(RideConfig(radius=args.radius, hidden=args.hidden, **EXPERTS))
    models: tuple[tuple[str, PixelModel], ...] = (("mcgsm", mcgsm), ("ride", ride))
    for name, model in models:
        if name == "ride":
            ride.start_from(mcgsm)
        steps, rate = (args.steps, args.rate) if name == "mcgsm" else (args.ride_steps, args.ride_rate)
        trained = train(model, images, validation, steps, args.batch, rate, seed=3)
        model.eval()
        row[name] = {"bpd": bits(model, window.long()), "kept_at": trained["kept_at"], "train_s": trained["seconds"]}
        began = time.process_time()
        drawn = sample(model, 1, size + BURN_IN, HELD + 2 * BURN_IN, seed=4)
        row[name]["sample_s"] = time.process_time() - began
        pictures[name] = drawn[0, 0, BURN_IN:, BURN_IN : BURN_IN + HELD].numpy()
        accepted: list[float] = []

        def report(number: int, sweep: Sweep, to: list[float] = accepted) -> None:
            to.append(sweep.accepted)

        began = time.process_time()
        filled = inpaint(model, window, mask, args.sweeps, 5, report=report)
        row[name] |= {"fill_s": time.process_time() - began, "accepted": accepted}
        pictures[f"{name}, filled"] = filled[0, 0].numpy()
        print(f"{path.stem}, {name}: {row[name]}", flush=True)
    return row, pictures


def draw(found: list[dict[str, np.ndarray[Any, Any]]], path: Path) -> None:
    """A row for each texture: itself, what each model makes up, a hole, what each model fills in."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = ("texture", "mcgsm", "ride", "hole", "mcgsm, filled", "ride, filled")
    labels = ("texture", "MCGSM", "RIDE", "a hole elsewhere", "filled by MCGSM", "filled by RIDE")
    ratio = found[0]["hole"].shape[0] / found[0]["hole"].shape[1]
    shape = (1.35 * len(titles), 1.35 * ratio * len(found) + 0.3)
    figure, axes = plt.subplots(len(found), len(titles), figsize=shape, squeeze=False, layout="constrained")
    for line, pictures in zip(axes, found, strict=True):
        for place, title, label in zip(line, titles, labels, strict=True):
            place.imshow(pictures[title], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            place.set_axis_off()
            if line is axes[0]:
                place.set_title(label, fontsize=8)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures of a texture each")
    parser.add_argument("--side", type=int, default=64, help="of the crops to train on")
    parser.add_argument("--crops", type=int, default=1000)
    parser.add_argument("--hole", type=int, default=71, help="side of the hole")
    parser.add_argument("--radius", type=int, default=5, help="of the neighbourhoods")
    parser.add_argument("--hidden", type=int, default=32, help="units of the spatial LSTM")
    parser.add_argument("--steps", type=int, default=400, help="of training of the MCGSM")
    parser.add_argument("--ride-steps", type=int, default=1200, help="of the RIDE after it")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-2, help="of learning of the MCGSM")
    parser.add_argument("--ride-rate", type=float, default=1.5e-3, help="of the RIDE after it")
    parser.add_argument("--sweeps", type=int, default=5, help="of Metropolis within Gibbs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found = [measure(path, args) for path in sorted(args.folder.iterdir()) if path.suffix == ".png"]
    if args.json:
        settings = {key: value for key, value in vars(args).items() if not isinstance(value, Path)}
        args.json.write_text(json.dumps(settings | {"rows": [row for row, _ in found]}, indent=1) + "\n")
    if args.plot:
        draw([pictures for _, pictures in found], args.plot)


if __name__ == "__main__":
    main()
