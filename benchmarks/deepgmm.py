"""What parts of a deep mixture of Gaussians are worth: `python benchmarks/deepgmm.py --data SPEC --json FILE`.

Trains variants of `deep-gmm`, one after the other for equal time or steps, and says the likelihood of validation images
in nats, with values scaled to [-1, 1]: a lower bound by the path that is chosen, and for paths of equal probability the
upper bound by the same path, if it is the best. Results join those that the file has. Variants (`--variants` for some):

- halves-N: N half-convolutions and one linear map for each place: a Gaussian. `full` is the one with all covariances;
- shared-LxJ: L layers, an image having one of J choices in each; three half-convolutions below;
- below-L: L layers, each place having one of 4 choices; between-L: three half-convolutions between layers, too;
- gated-L: and gating networks.

`--out` keeps the checkpoints; `--draw FILE CHECKPOINT ...` draws filters and samples of some instead of training.

Source: van den Oord, Dambre, *Locally-connected transformations for deep GMMs* (2015), tables 1 to 3, figures 5 and 6.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.models.checkpoint import load_model, read_checkpoint
from densezip.models.flows.deepgmm import DeepGmm
from densezip.models.training.data import open_data
from densezip.models.training.loop import train_model
from torch import Tensor

ONE = {"gate": 0, "drawn": False}
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"halves-{n}": {**ONE, "layers": 1, "choices": 1, "shared": True, "below": n} for n in range(5)},
    **{
        f"shared-{n}x{choices}": {**ONE, "layers": n, "choices": choices, "shared": True, "between": 0}
        for n, choices in ((1, 4), (3, 4), (8, 4), (1, 32))
    },
    **{f"below-{n}": {**ONE, "layers": n, "between": 0} for n in (1, 2, 3)},
    **{f"between-{n}": {**ONE, "layers": n} for n in (2, 3, 5)},
    **{f"gated-{n}": {"drawn": False, "layers": n} for n in (1, 2, 3, 5)},
}
RECIPE = "rate = 2e-3\nwarm_up = 100\naverage = 0.998\nevery = 250\nvalidation = 500\n"
ROWS, FILTERS = 6, 8


def train(name: str, spec: str, folder: Path, given: argparse.Namespace) -> Path:
    """The checkpoint of a variant."""
    if name == "full":
        model, found = "gaussian", dict[str, Any]()
    else:
        model, found = "deep-gmm", VARIANTS[name]
    channels, _, side = open_data(spec, "validation").images.shape[1:]
    values = {**found, "channels": channels} | ({"side": side} if name == "full" or found.get("shared") else {})
    toml = [f"{key} = {str(value).lower()}" for key, value in values.items()]
    recipe = "steps = 1\nrate = 0.0\nbatch = 2\n" if name == "full" else RECIPE
    settings = {} if name == "full" else {"steps": given.steps, "batch": given.batch}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text("\n".join(["[model]", *toml, "[training]", recipe]))
    options: dict[str, Any] = {"minutes": given.minutes, "device": given.device, "settings": settings}
    best = train_model(model, spec, str(path), folder, **options)
    (folder / "last.safetensors").unlink()
    return best


@torch.no_grad()
def nats(model: Any, images: Tensor) -> float:
    """Mean log-likelihood of images, or the bound on it, of values scaled to [-1, 1]."""
    torch.manual_seed(0)
    found = torch.cat([model.bound(x) for x in torch.split(images, 100)]).double().mean()
    return float(found) + images[0].numel() * math.log(model.levels / 2)


def measure(name: str, path: Path, spec: str, device: str) -> dict[str, Any]:
    """Of one variant's checkpoint."""
    model: Any = load_model(path, device)[0]
    about = read_checkpoint(path)[1]
    images = torch.from_numpy(open_data(spec, "validation").images).to(device)
    lower = nats(model, images)
    uniform = isinstance(model, DeepGmm) and not model.config.gate
    return {
        "lower": lower,
        "upper": lower + model.log_paths(*images.shape[2:]) if uniform else None,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "steps": about["step"],
        "seconds": about["seconds"],
        "images": len(images),
    }


@torch.no_grad()
def filters(model: DeepGmm, side: int) -> Tensor:
    """What noise makes most of in the image, by some choices of the first layer: [rows, FILTERS, C, h, w].

    Rotations of noise are nothing in a Gaussian: shown are the directions that a choice makes longest, in turn.
    """
    place, first = side // model.config.patch, model.mixtures[0]
    below = list(model.layers)[: list(model.layers).index(first)]
    shown = range(0, model.config.choices, -(-model.config.choices // ROWS))
    rows = []
    for choice in shown:
        along = torch.linalg.svd(torch.linalg.inv(first.matrix[choice])).Vh[:FILTERS]
        z = torch.zeros(FILTERS + 1, along.shape[1], place, place)
        z[:FILTERS, :, place // 2, place // 2] = along
        x = first.back(z, torch.full((len(z), place**2), choice))
        for layer in reversed(below):
            x = layer.inverse(x)
        rows.append(x[:-1] - x[-1:])
    found = torch.stack(rows)
    start, stop = (model.config.patch * (place // 2 + by) for by in (-1, 2))
    return found[..., start:stop, start:stop]


def draw(target: Path, paths: list[Path], side: int) -> None:
    """Filters and samples of checkpoints, one beside the other."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(paths), figsize=(4 * len(paths), 6.6), height_ratios=(1, 1.9), squeeze=False)
    for column, path in enumerate(paths):
        model: Any = load_model(path)[0]
        if model.config.shared:
            raise SystemExit(f"{path}: filters are drawn of layers whose places share them")
        found = filters(model, side)
        found = found / found.abs().amax((2, 3, 4), keepdim=True)
        samples = model.sample(16, side, side, seed=0).double() / 255
        layers = model.config.layers
        for axis, values, title in (
            (axes[0, column], _tiled(found.flatten(0, 1) / 2 + 0.5, FILTERS), "a row for a choice"),
            (axes[1, column], _tiled(samples, 4), f"{layers} layer{'s'[: layers > 1]}"),
        ):
            axis.imshow(values, cmap="gray", vmin=0, vmax=1)
            axis.set_title(("filters: " if axis is axes[0, column] else "samples: ") + title, fontsize=10)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(target, dpi=72)


def _tiled(images: Tensor, columns: int) -> np.ndarray[Any, Any]:
    """Images [N, C, H, W] as one, with lines between them."""
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), value=1.0)
    count, channels, height, width = padded.shape
    whole = padded.view(count // columns, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    tiled: np.ndarray[Any, Any] = whole.reshape(-1, columns * width, channels).squeeze(-1).numpy()
    return tiled


def main(arguments: list[str] | None = None) -> None:
    """Of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="training images, as for densezip train")
    parser.add_argument("--json", type=Path, help="where results are written, and joined to those there are")
    parser.add_argument("--variants", default=",".join(["full", *VARIANTS]), help="names, separated by commas")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training of each, at most")
    parser.add_argument("--steps", type=int, default=10**6, help="of training of each, at most")
    parser.add_argument("--batch", type=int, default=100, help="images of a step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder that keeps the checkpoints")
    parser.add_argument("--draw", nargs="+", type=Path, metavar=("FILE", "CHECKPOINT"), help="a picture, no training")
    given = parser.parse_args(arguments)
    if given.draw:
        draw(given.draw[0], given.draw[1:], open_data(given.data, "validation").images.shape[2])
        return
    names = given.variants.split(",")
    if unknown := set(names) - {"full", *VARIANTS}:
        parser.error(f"no variant {min(unknown)}: full, {', '.join(VARIANTS)}")
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            began = time.monotonic()
            folder = (given.out or Path(temporary)) / name
            path = train(name, given.data, folder, given)
            row = measure(name, path, given.data, given.device)
            shown = f"{row['lower']:.0f} nats" + (f" to {row['upper']:.0f}" if row["upper"] else "")
            print(f"{name}: {shown}, {row['steps']} steps, {time.monotonic() - began:.0f} s", flush=True)
            if given.json:
                before = json.loads(given.json.read_text()) if given.json.exists() else {"variants": {}}
                about = {key: getattr(given, key) for key in ("device", "minutes", "steps", "batch")}
                rows = {**before["variants"], name: row}
                found = {"data": given.data.partition(":")[0], **about, "torch": torch.__version__, "variants": rows}
                given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
