"""Denoising density estimators, measured: densities that are known, samplers, and a codec beside an MCGSM.

    python benchmarks/dde.py densities --seconds 60 --json dde.json
    python benchmarks/dde.py plane --json dde.json --arrays plane.npz --plot dde-plane.png
    python benchmarks/dde.py digits --data mnist:PATH --seconds 300 --json dde.json --plot dde-digits.png
    python benchmarks/dde.py crops --data PHOTOS --out GREY
    python benchmarks/dde.py codes CHECKPOINT... --data folder:GREY --json dde.json

Each adds its part to the JSON. `densities`: mixtures of normal distributions in 6, 8, 21 and 43 dimensions; of each
the error of log Z, and by how much the density that was learned misses the truth. `plane`: densities beside the truth
at two widths of the noise, and generators at some. `digits`: a generator of MNIST. `crops`: grey crops of a folder of
photographs, to train on, to choose by and to code. `codes`: these in files by each checkpoint. The arrays are what the
pictures are drawn from (`draw`).
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
from densezip.models import measure
from densezip.models.checkpoint import load_model
from densezip.models.denoising.estimator import DenoisingConfig, DenoisingDensity
from densezip.models.denoising.generator import Generator, GeneratorConfig, train_generator
from densezip.models.denoising.known import PLANE, plane_density, plane_points, random_mixture
from densezip.models.denoising.mixtures import NormalMixture
from densezip.models.training.data import open_data
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

SIDE, REACH = 120, 2.4
"""Of the grid on which densities of the plane are compared, in cells, and half of it in units."""

WIDTHS = (0.05, 0.2, 0.5)
"""Of the noise, of the densities of the plane; and of generators, those of at least the second."""

STEPS = 10**9
"""Of a training that goes by the clock."""


class Clock:
    """The fraction of a training that may take so many seconds, at any step; and the last of these."""

    def __init__(self, seconds: float) -> None:
        self.begin, self.seconds, self.steps = time.monotonic(), seconds, 0

    def __call__(self, step: int) -> float:
        """At a step."""
        self.steps = step
        return min(1.0, (time.monotonic() - self.begin) / self.seconds)


def known_densities(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each number of dimensions; time is shared by their square roots."""
    rows, total = [], sum(math.sqrt(d) for d in args.dimensions)
    for d in args.dimensions:
        truth = random_mixture(d, d)
        random = torch.Generator().manual_seed(1)
        pool = truth.sample(args.points, random).float().to(args.device)
        torch.manual_seed(0)
        model = DenoisingDensity(DenoisingConfig(d, 64 if d < 16 else 256, 4)).to(args.device)
        timed = Clock(args.seconds * math.sqrt(d) / total)
        sigma = args.sigma
        model.fit(
            pool, sigma, steps=STEPS, batch=args.batch, rate=args.rate, start=2 * sigma, constant=False, fraction=timed
        )
        blurred = truth.blurred(sigma)
        there = NormalMixture(*(v.to(args.device) for v in (blurred.weights, blurred.means, blurred.covariances)))
        noisy = pool[:20_000] + sigma * torch.randn_like(pool[:20_000])
        fitted = NormalMixture.fit(noisy, 8)
        found = model.normalize(fitted.widened(3.0, 0.1), args.count)
        test = there.sample(args.count // 2, random)
        right, learned = there.log_density(test), model.log_density(test)
        # With the true density as proposal: where log Z lies indeed, to some 1e-3.
        exact = model.normalize(there, 4 * args.count, seed=7)
        single = NormalMixture.fit(noisy, 1).log_density(test)
        rows.append(
            {
                "dimensions": d,
                "sigma": sigma,
                "points": args.points,
                "steps": timed.steps,
                "log_z": found.value,
                "log_z_deviation": found.deviation,
                "log_z_effective_share": found.effective,
                "log_z_error": found.value - exact.value,
                "log_z_of_the_truth": _constant_of(there, fitted),
                "truth_nats": float(right.mean()),
                "learned_nats": float(learned.mean()),
                "gap_nats": float((right - learned).mean()),
                "gap_of_one_normal_nats": float((right - single).mean()),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


class _Known(DenoisingDensity):
    """A density that is known in place of one that was learned."""

    def __init__(self, truth: NormalMixture) -> None:
        super().__init__(DenoisingConfig(truth.dimensions, 1, 0))
        self.truth = truth

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        return self.truth.log_density(x)


def _constant_of(truth: NormalMixture, proposal: NormalMixture) -> float:
    """Of a density whose integral is 1, log Z by the proposal for what was learned: 0, but for its error."""
    return _Known(truth).to(truth.means.device).normalize(proposal.widened(3.0, 0.1)).value


def grid() -> torch.Tensor:
    """Points of the grid, [SIDE², 2]."""
    axis = (torch.arange(SIDE) + 0.5) / SIDE * 2 * REACH - REACH
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(-1, 2)


def plane(args: argparse.Namespace) -> tuple[list[dict[str, Any]], Arrays]:
    """Densities at all widths of the noise, and generators at the wider ones."""
    rows, arrays, cells, area = list[dict[str, Any]](), Arrays(), grid(), (2 * REACH / SIDE) ** 2
    for name in args.names:
        random = torch.Generator().manual_seed(0)
        points = plane_points(name, 50_000, random).float().to(args.device)
        for sigma in args.widths:
            torch.manual_seed(0)
            model = DenoisingDensity(DenoisingConfig(2, 48, 3)).to(args.device)
            model.fit(points, sigma, steps=args.steps, batch=512, start=max(0.3, sigma))
            learned = model.log_density(cells.to(args.device)).exp().cpu()
            truth = plane_density(name, cells, sigma)
            row = {"density": name, "sigma": sigma, "integral": float(learned.sum() * area)}
            row["kl_nats"] = _divergence(truth, learned, area)
            key = f"{name} {sigma:g}"
            arrays[f"truth {key}"], arrays[f"learned {key}"] = truth.numpy(), learned.numpy()
            if sigma >= WIDTHS[1]:
                torch.manual_seed(0)
                generator = Generator(GeneratorConfig(2, 2, 64, 3, dense=True)).to(args.device)
                generator.begin(points)
                rates: dict[str, Any] = {"rate": 4e-3, "density_rate": 5e-3}
                train_generator(generator, model, sigma, steps=args.steps, inner=3, batch=128, **rates)
                drawn = generator.sample(100_000).cpu()
                arrays[f"drawn {key}"] = drawn[:3000].numpy()
                for what, width in (("generator_kl_nats", 0.1), ("generator_blurred_kl_nats", sigma)):
                    there = plane_density(name, cells, width)
                    row[what] = _divergence(there, _histogram(drawn, width), area)
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows, arrays


def _divergence(truth: torch.Tensor, other: torch.Tensor, area: float) -> float:
    """Of the first density from the second on the grid, both made to integrate to 1 there."""
    p, q = truth / truth.sum(), (other / other.sum()).clamp(min=1e-12)
    return float(torch.where(p > 0, p * (p.clamp(min=1e-300) / q).log(), 0).sum())


def _histogram(points: torch.Tensor, sigma: float) -> torch.Tensor:
    """The density of points with noise, on the grid: a histogram, blurred."""
    edges = np.linspace(-REACH, REACH, SIDE + 1)
    counts = np.histogram2d(points[:, 1].numpy(), points[:, 0].numpy(), (edges, edges))[0]
    axis = np.arange(SIDE) * (2 * REACH / SIDE)
    kernel = np.exp(-0.5 * ((axis[:, None] - axis) / sigma) ** 2)
    return torch.from_numpy((kernel @ counts @ kernel.T).ravel())


def digits(args: argparse.Namespace) -> tuple[dict[str, Any], Arrays]:
    """A density of MNIST for a quarter of the time, a generator for the rest."""
    images = open_data(args.data).images
    points = torch.from_numpy(images.reshape(len(images), -1)).float().to(args.device) / 255
    held = torch.from_numpy(open_data(args.data, "validation").images.reshape(-1, 784)).float().to(args.device) / 255
    torch.manual_seed(0)
    sigma, shape = args.sigma, {"filters": args.filters, "layers": args.layers, "dense": True}
    model = DenoisingDensity(DenoisingConfig(784, **shape)).to(args.device)
    recipe = {"steps": STEPS, "batch": args.batch, "rate": args.rate}
    model.fit(points, sigma, **recipe, constant=False, fraction=Clock(args.seconds / 4))
    generator = Generator(GeneratorConfig(16, 784, **shape)).to(args.device)
    generator.begin(points[:20_000])
    timed, rates = Clock(0.75 * args.seconds), {"rate": args.rate / 4, "density_rate": args.rate / 2}
    train_generator(generator, model, sigma, steps=STEPS, inner=5, batch=args.batch, fraction=timed, **rates)
    torch.manual_seed(1)
    drawn = generator.sample(1000)
    with torch.no_grad():
        means = [float(model.energy(x + sigma * torch.randn_like(x)).mean()) for x in (held, drawn)]
        nearest = torch.cdist(drawn[:200], points).amin(1).mean()
        own = torch.cdist(held[:200], points).amin(1).mean()
    latents = generator.latents(16)
    ways = torch.cat([generator.interpolate(latents[2 * n], latents[2 * n + 1], 10) for n in range(8)])
    row = {
        "sigma": sigma,
        "generator_steps": timed.steps,
        "s_of_digits_over_drawn_nats": means[0] - means[1],
        "distance_to_nearest_drawn": float(nearest),
        "distance_to_nearest_held_out": float(own),
        "deviation_of_pixels": float(drawn.std(0).mean()),
        "deviation_of_pixels_held_out": float(held.std(0).mean()),
    }
    print(json.dumps(row), flush=True)
    bytes_of = {"drawn": drawn[:100], "ways": ways}
    return row, {name: (255 * value.clamp(0, 1)).round().byte().cpu().numpy() for name, value in bytes_of.items()}


def crops(photographs: Path, out: Path) -> None:
    """One from each photograph of `train` (every twelfth of which is for validation) and of `val`, which is coded."""
    from PIL import Image

    random, train = np.random.default_rng(0), sorted((photographs / "train").iterdir())
    parts = {
        "train": (256, [path for number, path in enumerate(train) if number % 12]),
        "validation": (96, train[::12]),
        "test": (128, sorted((photographs / "val").iterdir())),
    }
    for name, (side, paths) in parts.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in paths:
            with Image.open(path) as image:
                grey = image.convert("L")
            edge = min(side, *grey.size)
            x, y = ((length - edge) // 2 for length in grey.size)
            if name == "train":
                x, y = (int(random.integers(0, length - edge + 1)) for length in grey.size)
            grey.crop((x, y, x + edge, y + edge)).save(out / name / f"{path.stem}.png")


def codes(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The three numbers of each checkpoint on the test images."""
    rows = []
    images = open_data(args.data, "test", args.patch).images[: args.limit]
    for path in args.checkpoints:
        model, about = load_model(path)
        found = measure(model.eval(), images, batch=args.batch)
        if not found.lossless:
            raise SystemExit(f"{path}: not lossless")
        row = {
            "model": about["model"],
            "config": about["config"],
            "checkpoint": path.parent.name,
            "weights": sum(value.numel() for value in model.parameters()),
            "training_minutes": about.get("seconds", 0) / 60,
            "training_steps": about.get("step"),
            "images": list(images.shape),
            "reported_bpd": found.reported_bpd,
            "pmf_bpd": found.pmf_bpd,
            "file_bpd": found.file_bpd,
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def draw_plane(arrays: Arrays, path: Path) -> None:
    """A row for each density: truth and learned at both widths, then what generators draw."""
    plt = _pyplot()
    names = [name for name in PLANE if any(key.startswith(f"truth {name} ") for key in arrays)]
    order = ("truth", "learned", "drawn")
    columns = sorted(
        {" ".join(key.split()[::2]) for key in arrays}, key=lambda c: (float(c.split()[1]), order.index(c.split()[0]))
    )
    figure, axes = plt.subplots(
        len(names),
        len(columns),
        figsize=(1.9 * len(columns), 1.9 * len(names) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for row, name in zip(axes, names, strict=True):
        for place, column in zip(row, columns, strict=True):
            kind, width = column.split()
            values = arrays[f"{kind} {name} {width}"]
            if kind == "drawn":
                place.plot(*values.T, ".", ms=0.7, color="#30638e")
            else:
                top = arrays[f"truth {name} {width}"].max()
                shown = values.reshape(SIDE, SIDE)
                place.imshow(shown, origin="lower", extent=(-REACH, REACH) * 2, vmin=0, vmax=top, cmap="magma")
            place.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[], yticks=[], aspect="equal")
    for place, column in zip(axes[0], columns, strict=True):
        place.set_title("{}, σ = {}".format(*column.split()), fontsize=9)
    figure.savefig(path, dpi=110)


def draw_digits(arrays: Arrays, path: Path) -> None:
    """Drawn ones, and ways between two latents, side by side."""
    from PIL import Image

    def sheet(values: NDArray[Any]) -> NDArray[Any]:
        rows = len(values) // 10
        return values.reshape(rows, 10, 28, 28).transpose(0, 2, 1, 3).reshape(28 * rows, 280)

    gap = np.full((280, 12), 255, np.uint8)
    ways = np.pad(sheet(arrays["ways"]), ((0, 56), (0, 0)), constant_values=255)
    Image.fromarray(np.concatenate([sheet(arrays["drawn"]), gap, ways], 1)).save(path)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def options() -> argparse.ArgumentParser:
    """The arguments of all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["densities", "plane", "digits", "crops", "codes", "draw"])
    parser.add_argument("checkpoints", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--arrays", type=Path, help="what pictures are drawn from: written, by draw read")
    parser.add_argument("--out", type=Path, help="folder for the crops")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--steps", type=int, default=1500, help="of each density and generator of the plane")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[6, 8, 21, 43])
    parser.add_argument("--widths", type=float, nargs="+", default=WIDTHS, help="of the noise in the plane")
    parser.add_argument("--names", nargs="+", choices=PLANE, default=PLANE)
    parser.add_argument("--points", type=int, default=500_000)
    parser.add_argument("--count", type=int, default=50_000, help="points of an estimate of log Z")
    parser.add_argument("--sigma", type=float, help="deviation of the noise: 0.2, of digits 0.5")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=5e-3, help="of the densities")
    parser.add_argument("--filters", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--data", default="mnist:.")
    parser.add_argument("--patch", type=int, default=0)
    parser.add_argument("--limit", type=int)
    return parser


def main() -> None:
    torch.set_num_threads(1)
    args = options().parse_args()
    args.sigma = args.sigma or (0.5 if args.part == "digits" else 0.2)
    arrays = Arrays()
    if args.part == "crops":
        crops(Path(args.data), args.out)
        return
    if args.part == "draw":
        arrays = dict(np.load(args.arrays))
    elif args.part in {"plane", "digits"}:
        found, arrays = plane(args) if args.part == "plane" else digits(args)
        if args.arrays:
            np.savez_compressed(args.arrays, **arrays)  # type: ignore[arg-type]
    else:
        found = codes(args) if args.part == "codes" else known_densities(args)
    if args.json and args.part != "draw":
        report = json.loads(args.json.read_text()) if args.json.exists() else {}
        report[args.part] = found
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if args.plot and arrays:
        (draw_digits if "ways" in arrays else draw_plane)(arrays, args.plot)


if __name__ == "__main__":
    main()
