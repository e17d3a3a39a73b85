"""How many modes of mixtures in the plane generators cover that learn from single samples, and from mixed batches.

    python benchmarks/modes.py --json benchmarks/modes.json --plot benchmarks/modes.png

Three adversaries of the same generator, on a ring of 8 and a grid of 25 narrow normal distributions: a discriminator
of single samples (GAN), and of mixed groups of a batch, with the loss of the mean output (BGAN) or of each output
(M-BGAN). A group gives one label, so that large groups of a batch teach little. A
mode is covered when at least a quarter of its share of the samples is within four deviations of it; near are samples
within four deviations of any mode. Beside it, how far a discriminator that was trained on two normal densities is from
the best one, which is known, by the size of the batch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from densezip.models.ade.adversary import MixedAdversary, frozen
from densezip.models.ade.batches import BatchStatistics, beta_weights, mix, optimal_share
from torch import Tensor, nn

COUNT = 2500
"""Samples that are judged."""

SHOWN_AT = (0.01, 0.1, 0.3, 1.0)
"""Shares of the training at which samples are drawn for the picture."""


@dataclass(frozen=True)
class Kind:
    """An adversary.

    Attributes:
        name: as shown.
        together: whether samples are judged in groups, not one by one.
        each: see `MixedAdversary`.
    """

    name: str
    together: bool
    each: bool


KINDS = (Kind("GAN", False, False), Kind("BGAN", True, False), Kind("M-BGAN", True, True))

RATE = 1e-3
"""Of learning, in the first half; then it falls to 0."""


def ring() -> tuple[Tensor, float]:
    """Means [8, 2], and the deviation of all."""
    angle = torch.arange(8) * (torch.pi / 4)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1), 0.05


def grid() -> tuple[Tensor, float]:
    """Means [25, 2], and the deviation of all."""
    line = torch.arange(-2, 3).float()
    return torch.cartesian_prod(line, line), 0.05


MIXTURES: dict[str, Callable[[], tuple[Tensor, float]]] = {"ring": ring, "grid": grid}


def draw_of(mixture: tuple[Tensor, float], count: int) -> Tensor:
    """Samples [count, 2]."""
    means, deviation = mixture
    return means[torch.randint(len(means), (count,))] + deviation * torch.randn(count, 2)


def covered(samples: Tensor, mixture: tuple[Tensor, float]) -> tuple[int, float]:
    """Modes that are covered, and the share of samples near to any; see the module."""
    means, deviation = mixture
    near = torch.cdist(samples, means) < 4 * deviation
    return int((near.float().mean(0) > 0.25 / len(means)).sum()), float(near.any(1).float().mean())


def batched(width: int, inputs: int = 2) -> nn.Module:
    """From batches of points [G, B, inputs] to logits [G, B], by three layers."""
    layers = list[nn.Module]()
    for wide in (inputs, width, width):
        layers += [BatchStatistics.linear(wide, width), nn.ReLU()]
    return nn.Sequential(*layers, BatchStatistics.linear(width, 1), nn.Flatten(-2))


def train(
    kind: Kind, mixture: tuple[Tensor, float], settings: argparse.Namespace, seed: int
) -> tuple[list[Tensor], dict[str, Any]]:
    """Samples on the way, and figures of the last; a step of the adversary for each of the generator."""
    torch.manual_seed(seed)
    width, batch, iterations = settings.width, settings.batch, settings.iterations
    layers = [nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    generator = nn.Sequential(*layers, nn.Linear(width, 2))
    adversary = MixedAdversary(batched(width), settings.gamma, kind.each, axis=1)
    # With more momentum, or a longer memory for squares, the two chase one another around the modes.
    optimizers = [torch.optim.Adam(module.parameters(), RATE, (0.5, 0.99)) for module in (generator, adversary)]
    shape, seen = (-1, settings.group if kind.together else 1, 2), list[Tensor]()
    moments = [max(1, round(share * iterations)) for share in SHOWN_AT]
    began = time.process_time()
    for iteration in range(1, iterations + 1):
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - (iteration - 1) / iterations))
            optimizer.zero_grad()
        with torch.no_grad():
            fake = generator(torch.randn(batch, 2))
        adversary(draw_of(mixture, batch).view(shape), fake.view(shape)).backward()
        optimizers[1].step()
        fake = generator(torch.randn(batch, 2))
        with frozen(adversary):
            loss: Any = adversary.generator_loss(draw_of(mixture, batch).view(shape), fake.view(shape))
        loss.backward()
        optimizers[0].step()
        if iteration in moments:
            with torch.no_grad():
                seen.append(generator(torch.randn(COUNT, 2)))
    modes, near = covered(seen[-1], mixture)
    return seen, {"modes": modes, "near": near, "seconds": time.process_time() - began}


def measure_optimum(counts: list[int], iterations: int, width: int) -> list[dict[str, float]]:
    """Mean distance of what a trained discriminator says from the share that the best one says, by size of batch."""
    normal: Any = torch.distributions.Normal
    real, fake, rows = normal(0.7, 1.0), normal(-0.7, 1.3), list[dict[str, float]]()
    for count in counts:
        torch.manual_seed(count)
        adversary = MixedAdversary(batched(width, 1), 0.5, each=False, axis=1)
        optimizer = torch.optim.Adam(adversary.parameters(), 3e-3)
        for step in range(iterations):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * (1 - step / iterations)
            optimizer.zero_grad()
            adversary(real.sample((256, count, 1)), fake.sample((256, count, 1))).backward()
            optimizer.step()
        y, _ = mix(real.sample((COUNT, count, 1)), fake.sample((COUNT, count, 1)), 0.5, axis=1)[0]
        best = optimal_share((real.log_prob(y) - fake.log_prob(y))[..., 0], beta_weights(count))
        with torch.no_grad():
            said = torch.sigmoid(adversary.discriminator(y).mean(-1))
        rows.append({"batch": count, "distance": float((said - best).abs().mean()), "spread": float(best.std())})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def draw(seen: dict[tuple[str, str], list[Tensor]], found: dict[str, Any], path: Path) -> None:
    """Samples of every adversary on the way."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    wide = len(SHOWN_AT)
    figure, cells = plt.subplots(
        len(KINDS), wide * len(MIXTURES), figsize=(1.6 * wide * len(MIXTURES), 1.8 * len(KINDS)), layout="constrained"
    )
    for (name, mixture), samples in seen.items():
        row = [kind.name for kind in KINDS].index(name)
        means, _ = MIXTURES[mixture]()
        result = found["trained"][f"{name}, {mixture}"][0]
        for number, points in enumerate(samples):
            axes = cells[row, list(MIXTURES).index(mixture) * wide + number]
            axes.scatter(*means.T, s=70, facecolors="none", edgecolors="#d1495b", lw=0.6)
            axes.scatter(*points[:800].T, s=1.5, color="#22223b", alpha=0.4, lw=0)
            axes.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
            last = f"{result['modes']} of {len(means)} modes" if number == wide - 1 else ""
            axes.set_title(last or f"{round(SHOWN_AT[number] * found['iterations'])}", fontsize=8)
            if not number:
                axes.set_ylabel(name, fontsize=9)
    figure.savefig(path, dpi=140)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=4000, help="of generators")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--group", type=int, default=4, help="samples of a batch that are judged together")
    parser.add_argument("--width", type=int, default=128, help="of the three layers of each network")
    parser.add_argument("--gamma", type=float, default=0.3, help="of mixed batches")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {name: getattr(args, name) for name in ("iterations", "batch", "group", "width", "gamma")}
    found["optimum"] = measure_optimum([1, 2, 4, 8], min(args.iterations, 1000), 64)
    found["trained"], seen = {}, dict[tuple[str, str], list[Tensor]]()
    for mixture, make in MIXTURES.items():
        for kind in KINDS:
            rows = found["trained"].setdefault(f"{kind.name}, {mixture}", [])
            for seed in range(args.seeds):
                samples, row = train(kind, make(), args, seed)
                seen.setdefault((kind.name, mixture), samples)
                rows.append(row)
                print(f"{kind.name}, {mixture}: {json.dumps(row)}", flush=True)
    found["versions"] = {name: version(name) for name in ("densezip", "torch")}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.plot:
        draw(seen, found, args.plot)


if __name__ == "__main__":
    main()
