"""Refining of trained weights for what becomes of them while coding: the training follows the engine's own learning.

The engine goes on learning from every image, and starts each at the shipped weights. What these cost is therefore not
the code length that they give themselves, but that of the weights which they turn into, batch by batch. Here several
images are coded side by side. Each has its own difference from the common weights, which takes the engine's steps and
is forgotten at the image's end; the common weights take steps of their own along the mean of the gradients at all those
differing weights. (The step by which a difference would itself change with the common weights is left out.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from ...codec.entropy.rangecoder import POSITION
from ...codec.errors import InputError
from .engine import BATCH, SAMPLE_BYTES, Session, new_alphabet
from .gathering import Report, Source, planes, strip_of
from .observe import Observations, observe
from .shape import ModelSpec
from .torchnet import PhotoNet, mixture_nats
from .weights import GROUPS, weights_from_tensors

__all__ = ["Refining", "coded_rate", "refine"]

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Refining:
    """Choices of the refining.

    Attributes:
        steps: of the common weights. Each takes `BATCH` pixels of every lane.
        grey: part of these steps that the network for single planes takes.
        lanes: images side by side.
        strip: pixels of each image, in whole rows.
        rate: highest learning rate, reached after `warm_up` steps and lowered along a cosine to 2 %.
        average: decay of the average of the weights that is evaluated and shipped.
        every: steps between evaluations and checkpoints.
        crop: height and width of the middle of the images that are coded for an evaluation.
    """

    steps: int = 5_000
    grey: float = 0.3
    lanes: int = 16
    strip: float = 300_000
    rate: float = 7e-4
    warm_up: int = 200
    average: float = 0.998
    every: int = 2_500
    crop: int = 256


class _Lanes:
    """Images side by side: the features of the next pixels of each, and what the engine has learned from it."""

    def __init__(self, images: Iterator[Observations], square: dict[str, Tensor], n: int) -> None:
        self._images, self._square = images, square
        self._parts: list[Observations | None] = [None] * n
        self._place = [0] * n
        self.difference, self._mean, self._squares = (
            {name: torch.zeros(n, *first.shape) for name, first in square.items()} for _ in range(3)
        )

    def batch(self) -> list[Tensor]:
        """Inputs, extra inputs, distances, activities, whether values are lowest, or highest; [lanes, BATCH, ...].

        A lane whose image is at its end begins the next one.
        """
        taken = []
        for lane, old in enumerate(self._parts):
            part = old if old is not None and self._place[lane] + BATCH <= len(old.trunk) else self._next(lane)
            start = self._place[lane]
            taken.append([field[start : start + BATCH] for field in part])
            self._place[lane] += BATCH
        trunk, beside, distance, activity, end = (
            torch.from_numpy(np.stack(fields)) for fields in zip(*taken, strict=True)
        )
        return [trunk.float(), beside.float(), distance, activity, end < 0, end > 0]

    def _next(self, lane: int) -> Observations:
        """Begin the next image in a lane; the first ones at different places, so that they do not all end at once."""
        fresh = self._parts[lane] is None
        part = self._parts[lane] = next(self._images)
        self._place[lane] = BATCH * (lane * (len(part.trunk) // BATCH) // len(self._parts)) if fresh else 0
        for name, square in self._square.items():
            self.difference[name][lane] = self._mean[name][lane] = 0
            self._squares[name][lane] = square
        return part

    def learn(self, gradient: dict[str, Tensor], schedule: tuple[float, float, float]) -> None:
        """The engine's step of Adam in each lane, by the gradients [lanes, ...] there."""
        start, end, half = schedule
        places = torch.tensor(self._place, dtype=torch.float32)
        rate = end + (start - end) * half / (half + places)
        for name, g in gradient.items():
            mean = self._mean[name].mul_(0.9).add_(g, alpha=0.1)
            square = self._squares[name].mul_(0.99).addcmul_(g, g, value=0.01)
            self.difference[name] -= rate.view(-1, *[1] * (g.dim() - 1)) * mean / (square.sqrt() + 1e-7)


def _images(
    sources: list[Source], spec: ModelSpec, channels: int, strip: float, rng: np.random.Generator
) -> Iterator[Observations]:
    """Features of all pixels of a strip of each image, for ever, every time in another order."""
    while True:
        for number in rng.permutation(len(sources)):
            pixels = strip_of(sources[number], channels, strip, rng)
            yield observe(pixels, spec, np.ones(pixels.shape[0], bool))


def coded_rate(spec: ModelSpec, group: str, tensors: Tensors, images: list[NDArray[np.uint16]]) -> float:
    """Bits per sub-pixel that the engine takes for images [H, W, C] in coding order."""
    weights = weights_from_tensors(spec, group, tensors)
    alphabet = new_alphabet([np.arange(256)] * GROUPS[group])
    size = 0
    for pixels in images:
        height, width, _ = pixels.shape
        session = Session(spec, weights.shape, weights, alphabet, width, 8, height)
        data = np.zeros(pixels.size * SAMPLE_BYTES, np.uint8)
        session.encode(pixels, 0, height, data)
        size += int(session.coder[POSITION])
    return 8 * size / sum(pixels.size for pixels in images)


def _middles(sources: list[Source], channels: int, side: int) -> list[NDArray[np.uint16]]:
    """The middle of each image in coding order, up to side x side pixels."""
    rng = np.random.default_rng(0)  # not used: these images are as they are
    result = []
    for source in sources:
        pixels = planes(source, channels, rng)
        top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
        result.append(np.ascontiguousarray(pixels[top : top + side, left : left + side], np.uint16))
    return result


def _parameters(group: str, net: PhotoNet, tensors: Tensors, suffix: str = "") -> dict[str, Tensor]:
    """Tensors of a group by the names of the network's parameters."""
    return {
        f"{kind}.{name.replace('.', '_')}": torch.from_numpy(tensors[f"{group}.{name}.{kind}{suffix}"].copy())
        for name in net.shape.matrices()
        for kind in ("weight", "bias")
    }


class _Refined:
    """The common weights of a group's network on their way: steps, their average, the best average by coded size."""

    def __init__(self, group: str, net: PhotoNet, tensors: Tensors, recipe: Refining) -> None:
        self._group, self._net, self._tensors, self._recipe = group, net, tensors, recipe
        self.weights = {name: p.requires_grad_() for name, p in _parameters(group, net, tensors).items()}
        self._optimiser = torch.optim.Adam(self.weights.values(), lr=recipe.rate, betas=(0.9, 0.99))
        self._average = {name: p.detach().clone() for name, p in self.weights.items()}
        self._best_average = {name: p.clone() for name, p in self._average.items()}
        self.best, self.number, self.steps = (
            math.inf,
            0,
            recipe.steps if group == "colour" else round(recipe.grey * recipe.steps),
        )

    def step(self, gradient: dict[str, Tensor]) -> None:
        """One step by the mean of gradients [lanes, ...]."""
        recipe, number = self._recipe, self.number
        for name, p in self.weights.items():
            p.grad = gradient[name].mean(0)
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * number / self.steps))
        rise = min(1.0, (number + 1) / recipe.warm_up)
        self._optimiser.param_groups[0]["lr"] = recipe.rate * rise * (0.02 + 0.98 * cosine)
        self._optimiser.step()
        keep = min(recipe.average, (number + 1) / (number + 11))
        with torch.no_grad():
            for name, p in self.weights.items():
                self._average[name].lerp_(p, 1 - keep)
        self.number += 1

    def evaluate(self, rate: Callable[[Tensors], float]) -> float:
        """The rate of the average of now, which is kept if it is the best so far."""
        found = rate(self._named(self._average))
        if found < self.best:
            self.best, self._best_average = found, {name: p.clone() for name, p in self._average.items()}
        return found

    def result(self) -> Tensors:
        """The group's tensors with the best average."""
        return self._named(self._best_average)

    def save(self, file: Path) -> None:
        """Write a checkpoint."""
        state: dict[str, Any] = {"weights": {name: p.detach() for name, p in self.weights.items()}}
        state |= {"optimiser": self._optimiser.state_dict(), "average": self._average}
        state |= {"best_average": self._best_average, "best": self.best, "number": self.number}
        torch.save(state, file.with_suffix(".tmp"))
        file.with_suffix(".tmp").replace(file)

    def load(self, file: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(file, weights_only=True)
        with torch.no_grad():
            for name, p in self.weights.items():
                p.copy_(state["weights"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self._average, self._best_average = state["average"], state["best_average"]
        self.best, self.number = state["best"], state["number"]

    def _named(self, values: dict[str, Tensor]) -> Tensors:
        result = {name: tensor for name, tensor in self._tensors.items() if name.startswith(f"{self._group}.")}
        for name in self._net.shape.matrices():
            for kind in ("weight", "bias"):
                value = values[f"{kind}.{name.replace('.', '_')}"]
                result[f"{self._group}.{name}.{kind}"] = value.detach().numpy().copy()
        return result


def refine(
    group: str,
    spec: ModelSpec,
    tensors: Tensors,
    sources: list[Source],
    held_out: list[Source],
    out: Path,
    recipe: Refining,
    seed: int,
    resume: bool,
    report: Report,
) -> Tensors:
    """Refine the weights of one group; returns its tensors, the best by what the engine takes for held-out images.

    A checkpoint and a loss curve are written to `out`. A training that is resumed goes on with other images.

    Raises:
        InputError: all images are too small.
    """
    channels = GROUPS[group]
    sources = [source for source in sources if source.pixels >= BATCH]
    if not sources:
        raise InputError(f"no image has {BATCH} pixels")
    net = PhotoNet(spec.shape(channels))
    common = _Refined(group, net, tensors, recipe)
    checkpoint, curve = out / f"{group}-refined.checkpoint.pt", out / f"{group}-refined.csv"
    crops = _middles(held_out, channels, recipe.crop)

    def rate(found: Tensors) -> float:
        return coded_rate(spec, group, found, crops)

    if resume and checkpoint.exists():
        common.load(checkpoint)
        report(f"{group}: resumed at step {common.number}")
    else:
        curve.write_text("step,train_bpd,validation_bpd,seconds\n")
        report(f"{group}: {common.evaluate(rate):.4f} bpd coded, at first")
    square = {name: p**2 for name, p in _parameters(group, net, tensors, "_rms").items()}
    rng = np.random.default_rng((seed, channels, common.number))
    lanes = _Lanes(_images(sources, spec, channels, recipe.strip, rng), square, recipe.lanes)
    slopes = vmap(grad_and_value(partial(_nats, net)))
    running, began = math.nan, time.monotonic()
    while common.number < common.steps:
        fields = lanes.batch()
        with torch.no_grad():
            own = {name: p + lanes.difference[name] for name, p in common.weights.items()}
        gradient, loss = slopes(own, *fields)
        lanes.learn(gradient, spec.schedule)
        common.step(gradient)
        bpd = float(loss.mean()) / channels / math.log(2)
        running = bpd if math.isnan(running) else 0.995 * running + 0.005 * bpd
        if common.number % recipe.every == 0 or common.number == common.steps:
            found, seconds = common.evaluate(rate), time.monotonic() - began
            step = f"step {common.number} of {common.steps}"
            report(f"{group}: {step}, train {running:.4f}, coded {found:.4f}, {seconds:.0f} s")
            with curve.open("a") as file:
                file.write(f"{common.number},{running:.5f},{found:.5f},{seconds:.0f}\n")
            common.save(checkpoint)
    return common.result()


def _nats(net: PhotoNet, weights: dict[str, Tensor], *fields: Tensor) -> Tensor:
    """Mean negative log-likelihood of a pixel in nats by the network with other weights."""
    trunk, beside, distance, activity, first, last = fields
    extras = list(torch.split(beside, list(net.shape.extras[1:]), 1)) if net.shape.channels > 1 else []
    outs = functional_call(net, weights, (trunk, extras))
    parts = [mixture_nats(o, distance[:, c], activity[:, c], first[:, c], last[:, c]) for c, o in enumerate(outs)]
    return torch.stack(parts).sum(0).mean()
