"""Training of the photo models: features from the engine, gradient descent in torch, weights to safetensors.

The shipped weights were made in two steps, each on one thread (the layers are small: one serves them better than two):

1. `densezip train photo --data WEB --validation WEB-VAL --effort E --seed 0`: from scratch, on 195 photographs, with
   experts of one state each, strips of 0.4 of the height. (The files' SHA-256 begin with b8962c5a, f0766b09, 7b1fe9e2.)
2. `densezip train photo --start photo-E.safetensors --data WEB --data NATIVE --data NATIVE --validation WEB-VAL
   --validation NATIVE-VAL --effort E --seed 0`, at effort 9 with `--steps 2500`: refined, with the experts of today, on
   152 photographs from the web and 34 that never were JPEG, chosen by 15 and 10 others.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from ...codec.errors import InputError, OutputError, UsageError
from .gathering import Report, gather, image_files, sources_of
from .observe import Observations
from .refine import Refining, refine
from .shape import ModelSpec, NetShape
from .torchnet import PhotoNet, mixture_nats
from .weights import GROUPS, MODELS, table_line

__all__ = ["Recipe", "train_photo"]


Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """Choices of the training that do not change what the model is.

    Attributes:
        samples: pixels to learn from, drawn as rows from all images; colour, grey. 8.8 million take 5 to 9 GB of
            memory.
        strip: pixels of each image, in whole rows, that are passed through the experts.
        epochs: passes over the samples, for each round; every round draws its samples anew and goes on from the weights
            of the one before, at a quarter of its rate.
        batch: pixels of one step.
        rate: highest learning rate, reached after `warm_up` steps and lowered along a cosine to 2 %.
        decay: weight decay.
        average: decay of the average of the weights that is evaluated and shipped.
        every: steps between evaluations and checkpoints.
        validation: every how manieth image is kept for validation where no folder is given.
        moments: batches whose gradients are measured, with which the learning while coding begins.
    """

    samples: tuple[int, int] = (8_800_000, 4_400_000)
    strip: float = 120_000
    epochs: tuple[int, ...] = (5, 3)
    batch: int = 2048
    rate: float = 1.5e-3
    warm_up: int = 200
    decay: float = 1e-3
    average: float = 0.998
    every: int = 2000
    validation: int = 13
    moments: int = 400


def _nats(net: PhotoNet, data: Observations, index: Any) -> Tensor:
    """Mean negative log-likelihood of a pixel, all channels together, in nats."""
    trunk, beside, distance, activity, end = (torch.from_numpy(array[index]) for array in data)
    extras = list(torch.split(beside.float(), list(net.shape.extras[1:]), 1)) if net.shape.channels > 1 else []
    total = torch.zeros(())
    for c, out in enumerate(net(trunk.float(), extras)):
        total = total + mixture_nats(out, distance[:, c], activity[:, c], end[:, c] < 0, end[:, c] > 0).mean()
    return total


def _evaluate(net: PhotoNet, data: Observations) -> float:
    """Bits per sub-pixel over all of `data`."""
    n, total = len(data.trunk), 0.0
    with torch.no_grad():
        for start in range(0, n, 16384):
            stop = min(n, start + 16384)
            total += float(_nats(net, data, slice(start, stop))) * (stop - start)
    return total / n / net.shape.channels / math.log(2)


def _steps(n: int, batch: int, epochs: int, seed: int, first: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Numbered batches of sample indices from step `first` on: every epoch is one permutation of all samples."""
    each = n // batch
    for number in range(first, epochs * each):
        epoch, place = divmod(number, each)
        if number == first or place == 0:
            order = np.random.default_rng((seed, epoch)).permutation(n)
        yield number, np.sort(order[place * batch : (place + 1) * batch])


def _rate(number: int, steps: int, turn: int, recipe: Recipe) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * number / steps))
    return recipe.rate * 0.25**turn * min(1.0, (number + 1) / recipe.warm_up) * (0.02 + 0.98 * cosine)


def _move(average: dict[str, Tensor], net: PhotoNet, share: float) -> None:
    """Move an average of the weights by that share towards those of now."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            average[name].lerp_(p, share)


def _note(curve: Path, row: list[object]) -> None:
    with curve.open("a", newline="") as file:
        csv.writer(file).writerow(row)


def _train_group(
    group: str,
    turn: int,
    begin: Tensors,
    shape: NetShape,
    data: Observations,
    held_out: Observations,
    out: Path,
    recipe: Recipe,
    seed: int,
    resume: bool,
    report: Report,
) -> Tensors:
    """Train the network of one group for one round; its tensors are the best average of the weights by validation."""
    torch.manual_seed(seed)
    net = PhotoNet(shape)
    if begin:
        _put(group, net, begin)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.decay)
    average = {name: p.detach().clone() for name, p in net.named_parameters()}
    checkpoint, curve = out / f"{group}-{turn + 1}.checkpoint.pt", out / f"{group}-{turn + 1}.csv"
    n = len(data.trunk)
    steps, first, best, running = recipe.epochs[turn] * (n // recipe.batch), 0, math.inf, math.nan
    best_average = {name: p.clone() for name, p in average.items()}
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        average, best_average = state["average"], state["best_average"]
        first, best, running = state["step"], state["best"], state["running"]
        report(f"{group}: resumed at step {first}")
    else:
        curve.write_text("step,train_bpd,validation_bpd,seconds\n")
        if begin:
            best = _evaluate(net, held_out)
            report(f"{group}: validation {best:.4f} bpd at first")
    report(f"{group}: {net.shape.multiply_adds()} multiply-adds a pixel, {n} samples, {steps} steps")
    began = time.monotonic()
    for number, index in _steps(n, recipe.batch, recipe.epochs[turn], seed, first):
        for settings in optimiser.param_groups:
            settings["lr"] = _rate(number, steps, turn, recipe)
        loss = _nats(net, data, index)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        bpd = float(loss.detach()) / net.shape.channels / math.log(2)
        running = bpd if math.isnan(running) else 0.99 * running + 0.01 * bpd
        keep = min(recipe.average, (number + 1) / (number + 11))
        _move(average, net, 1 - keep)
        if (number + 1) % recipe.every == 0 or number + 1 == steps:
            present = {name: p.detach().clone() for name, p in net.named_parameters()}
            net.load_state_dict(average)
            rate = _evaluate(net, held_out)
            net.load_state_dict(present)
            seconds = time.monotonic() - began
            report(
                f"{group}: step {number + 1} of {steps}, train {running:.4f}, validation {rate:.4f}, {seconds:.0f} s"
            )
            _note(curve, [number + 1, f"{running:.5f}", f"{rate:.5f}", f"{seconds:.0f}"])
            if rate < best:
                best, best_average = rate, {name: p.clone() for name, p in average.items()}
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            state |= {"best_average": best_average, "step": number + 1, "best": best, "running": running}
            torch.save(state, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    net.load_state_dict(best_average)
    return _tensors(group, net, data, seed, recipe.moments)


def _tensors(group: str, net: PhotoNet, data: Observations, seed: int, count: int) -> Tensors:
    """Weights, and the root mean square of their gradients over batches as the engine's learning sees them."""
    rng = np.random.default_rng(seed)
    batch = 128
    square = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for _ in range(count):
        start = int(rng.integers(0, max(1, len(data.trunk) - batch)))
        net.zero_grad()
        _nats(net, data, slice(start, start + batch)).backward()  # type: ignore[no-untyped-call]
        for name, p in net.named_parameters():
            if p.grad is not None:
                square[name] += p.grad**2 / count
    tensors = {}
    for name in net.shape.matrices():
        for kind, parameters in (("weight", net.weight), ("bias", net.bias)):
            key = name.replace(".", "_")
            tensors[f"{group}.{name}.{kind}"] = parameters[key].detach().numpy().copy()
            tensors[f"{group}.{name}.{kind}_rms"] = square[f"{kind}.{key}"].sqrt().numpy()
    return tensors


def _put(group: str, net: PhotoNet, tensors: Tensors) -> None:
    """Load the weights that `_tensors` named."""
    with torch.no_grad():
        for name in net.shape.matrices():
            for kind, parameters in (("weight", net.weight), ("bias", net.bias)):
                parameters[name.replace(".", "_")].copy_(torch.from_numpy(tensors[f"{group}.{name}.{kind}"]))


def _read_start(file: Path, spec: ModelSpec) -> Tensors:
    """Weights to begin with.

    Raises:
        InputError: they cannot be read, or are of another model.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read as weights: {error}") from error
    for group, channels in GROUPS.items():
        for name, sizes in spec.shape(channels).matrices().items():
            key = f"{group}.{name}.weight"
            found = tensors[key].shape if key in tensors else None
            if found != sizes:
                raise InputError(f"{file} holds weights of another model: {key} is {found}, not {sizes}")
    return tensors


def _draw_curves(out: Path, curves: list[str]) -> None:
    """Loss curves as a picture, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(7, 3.2 * len(curves)), layout="constrained")
    for place, curve in enumerate(curves):
        rows = np.genfromtxt(out / f"{curve}.csv", delimiter=",", names=True)
        axes = figure.add_subplot(len(curves), 1, place + 1)
        for column, label in (("train_bpd", "training"), ("validation_bpd", "validation")):
            axes.plot(np.atleast_1d(rows["step"]), np.atleast_1d(rows[column]), label=label)
        axes.set(title=curve, xlabel="step", ylabel="bits per sub-pixel")
        axes.legend()
    figure.savefig(out / "curves.png", dpi=120)


def train_photo(
    data: Sequence[Path],
    out: Path,
    *,
    effort: int = 5,
    validation: Sequence[Path] = (),
    histories: bool = False,
    start: Path | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    threads: int = 1,
    recipe: Recipe | None = None,
    refining: Refining | None = None,
    report: Report = print,
) -> Path:
    """Train the model of an effort (1, 5 or 9) and write `photo-E.safetensors`, loss curves and checkpoints to `out`.

    Args:
        data: folders of photographs, searched with their subfolders. JPEG files count as what they decode to.
        out: folder for the results; made if need be.
        effort: which model.
        validation: folders of other photographs to choose by; without any, every 13th of `data` is kept for that.
        histories: learn, beside every photograph, from one that is made from it (`with_history`).
        start: weights of that effort, which are refined for the engine's own learning (`refine`).
        steps: of the refining; by default those of its recipe.
        seed: of all randomness.
        resume: go on from the last checkpoint in `out`.
        threads: of torch. One is best unless cores are plentiful.
        recipe: of the training; by default `Recipe()`.
        refining: recipe of the refining; by default `Refining()`.
        report: called with lines of progress.

    Returns:
        The file of weights. Put in place of the package's file of that name, and its digests in place of that model's
        line in `weights.SHIPPED` (the report ends with the new line), it is used from then on, as another model.

    Raises:
        UsageError: no such effort.
        InputError: no images, or `start` holds other weights.
        OutputError: `out` can't be written.
    """
    name = f"photo-{effort}"
    if name not in MODELS:
        raise UsageError(f"no photo model has effort {effort}: choose one of 1, 5, 9")
    recipe, refining, spec = recipe or Recipe(), refining or Refining(), MODELS[name]
    refining = refining if steps is None else replace(refining, steps=steps)
    begin = _read_start(start, spec) if start else {}
    files = image_files(data)
    held = image_files(validation) if validation else files[:: recipe.validation]
    files = files if validation else [f for f in files if f not in set(held)]
    if not files:
        folders = ", ".join(map(str, data))
        raise InputError(f"{folders} holds too few images: {len(held)}, all needed for validation")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}") from error
    torch.set_num_threads(threads)
    choices = {**vars(refining if start else recipe), "histories": histories, "seed": seed, "torch": torch.__version__}
    made_by = {"recipe": json.dumps(choices)}
    held_sources, sources = sources_of(held, False), sources_of(files, histories)
    tensors: Tensors = {}
    curves: list[str] = []
    for group, channels in GROUPS.items():
        if start:
            curves.append(f"{group}-refined")
            tensors |= refine(group, spec, begin, sources, held_sources, out, refining, seed, resume, report)
            continue
        samples = recipe.samples[0 if group == "colour" else 1]
        own: Tensors = {}
        rng = np.random.default_rng((seed, channels))
        held_out = gather(held_sources, spec, channels, samples // 12, math.inf, rng, report)
        for turn in range(len(recipe.epochs)):
            curves.append(f"{group}-{turn + 1}")
            finished = out / f"{curves[-1]}.safetensors"
            if resume and finished.exists():
                own = load_file(finished)
                continue
            if turn > 0:
                rng = np.random.default_rng((seed, channels, turn))
            training = gather(sources, spec, channels, samples, recipe.strip, rng, report)
            shape = spec.shape(channels)
            own = _train_group(group, turn, own, shape, training, held_out, out, recipe, seed, resume, report)
            del training
            save_file(own, finished, made_by)
        tensors |= own
    save_file(tensors, out / f"{name}.safetensors", made_by)
    _draw_curves(out, curves)
    finished = out / f"{name}.safetensors"
    report(f"to ship {finished}, put it in models/photo, and in place of that model's line of SHIPPED in weights.py:")
    report(table_line(name, finished.read_bytes()))
    return finished
