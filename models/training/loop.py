"""The one training loop: any model with a `log_prob`, or a `loss` of its own, on any data.

Nothing depends on when it was stopped: batches are a function of seed, step and process, and a checkpoint holds
weights, averages, the optimizer and the states of the random numbers. Going on gives the bits that never stopping
gives (with a budget of minutes, the learning rate follows the clock instead).

Several processes (`torchrun`) share each step's batch; gradients are averaged, and process 0 measures and writes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...codec.errors import InputError, OutputError, UsageError
from ..checkpoint import as_plain, generator_state, load_model, read_checkpoint, restore_generator, write_checkpoint
from ..registry import build, make_config
from ..shipped import find_checkpoint
from .adversary import Opponent
from .curve import Curve
from .data import Data, open_data
from .objective import Objective, batch_of, check_data, evaluate, labels_of
from .optimizers import load_states, make_optimizer, states_of
from .recipe import Recipe, read_config

__all__ = ["Progress", "evaluate", "train_model"]


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
        step: updates done.
        fraction: of the training, 0 to 1.
        bpd: smoothed training loss, bits per dimension (nats / ln 2 per sample for a loss that is not a likelihood).
        rate: images a second.
        remaining: seconds until the end, at this pace.
        validation: bits per dimension on the validation images, at a step at which it was measured, else None.
    """

    step: int
    fraction: float
    bpd: float
    rate: float
    remaining: float
    validation: float | None = None


@dataclass
class _Place:
    """The process among several."""

    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls, device: torch.device) -> _Place:
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError("--device cuda: torch sees no GPU here")
        if ":" not in name:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    return device


def train_model(
    name: str,
    spec: str,
    config: str,
    out: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str = "fp32",
    tensorboard: bool = False,
    settings: Mapping[str, Any] | None = None,
    start: str | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Trains a model; writes best.safetensors, last.safetensors, curve.csv and curve.png.

    Args:
        name: of the model, as in the registry.
        spec: of the data, see `data.open_data`.
        config: TOML file or preset.
        out: folder, made as needed.
        seed: of weights, order, mirroring and dropout.
        minutes: of training, measurements included: the learning rate then reaches 0 by the clock, or at the last step
            where that comes first.
        resume: go on from last.safetensors.
        device: "auto", "cpu", "cuda" or "cuda:1".
        precision: "fp32" or "bf16" (autocast; weights and likelihood stay in float32).
        tensorboard: write its events too, where it is installed.
        settings: of the recipe, by name, in place of those of the configuration.
        start: checkpoint, by name or path, of a model of the same settings to train on, or of another one that this one
            can begin at (see its `start_from`), or several, separated by commas, that it begins at in turn; the
            checkpoints written name their hashes.
        report: called after every step.

    Returns:
        Path of the best weights by validation.

    Raises:
        UsageError: of the configuration or the data; a batch that the processes cannot share; nothing to resume.
        UnsupportedImageError: images of other channels, sizes or levels than the model's.
        InputError: a checkpoint of another model or configuration, or of other data; no checkpoint to start from.
        OutputError: `out` cannot be written.
    """
    if precision not in {"fp32", "bf16"}:
        raise UsageError(f"precision {precision!r}: fp32 or bf16")
    values, recipe = read_config(name, config)
    recipe = make_config(Recipe, {**as_plain(recipe), **(settings or {})}, "the recipe")
    where = _device(device)
    data = open_data(spec, "train", recipe.patch, seed)
    held = open_data(spec, "validation", recipe.patch, seed).images[: recipe.validation]
    values = {"channels": int(data.images.shape[1]), **values}
    place = _Place.join(where)
    if recipe.batch % place.world:
        raise UsageError(f"a batch of {recipe.batch} images for {place.world} processes")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: {error.strerror}") from error
    torch.manual_seed(seed)
    model = build(name, values).to(where)
    check_data(model, data)
    about = {
        "model": name,
        "config": as_plain(model.config),
        "recipe": as_plain(recipe),
        "data": data.name,
        "data_hash": data.hash,
        "seed": seed,
    }
    parts = [] if start is None else [start] if Path(start).is_file() else start.split(",")
    begins = [_beginning(model, name, part, about) for part in parts]
    run = _Run(model, recipe, about, out, where, place, minutes)
    if resume:
        run.resume()
    else:
        initialize = getattr(model, "initialize", None)
        if initialize is not None:
            initialize(_first_images(model, data, recipe, seed, 0).to(where))
        for begin in begins:
            begin()
        run.average.load_state_dict(model.state_dict())
        torch.manual_seed(seed + place.rank)
    with Curve(out, run.step, tensorboard) if place.rank == 0 else _Nothing() as curve:
        run.go(data, held, seed, precision, curve, report)
    return out / "best.safetensors"


def _beginning(model: nn.Module, name: str, start: str, about: dict[str, Any]) -> Callable[[], None]:
    """What lets a model begin at another one, whose hash goes into `about`: at all weights of one of its own kind."""
    path = find_checkpoint(start)
    other, its = load_model(path, str(next(model.parameters()).device))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about["start"] = f"{about['start']},{digest}" if "start" in about else digest
    if its["model"] == name and as_plain(getattr(other, "config", None)) == about["config"]:
        return lambda: _same(model, other)
    start_from = getattr(model, "start_from", None)
    if start_from is None:
        raise UsageError(f"{name} starts from {name} of the same settings only; {path.name} is another")
    return lambda: start_from(other)


def _first_images(model: nn.Module, data: Data, recipe: Recipe, seed: int, step: int) -> Tensor:
    """As many images as a model takes statistics of, at most all."""
    most = min(len(data.images), getattr(model, "first_images", 0))
    wide = replace(recipe, batch=max(recipe.batch, most))
    return batch_of(data, wide, seed, step)


def _same(model: nn.Module, other: nn.Module) -> None:
    model.load_state_dict(other.state_dict())


class _Nothing:
    """Takes the curve's place in processes that do not write one."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class _Run:
    """The state of a training."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        about: dict[str, Any],
        out: Path,
        device: torch.device,
        place: _Place,
        minutes: float | None,
    ) -> None:
        self.model, self.recipe, self.about, self.out = model, recipe, about, out
        self.device, self.place, self.minutes = device, place, minutes
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizer = make_optimizer(recipe, model)
        self.opponent = Opponent.of(model, recipe, place.world, device)
        self.step, self.seconds, self.best = 0, 0.0, math.inf

    def fraction(self) -> float:
        """Of the training that is done: by steps, or by the clock where that is further."""
        done = self.step / self.recipe.steps
        if self.minutes is not None:
            done = max(done, self.seconds / (60 * self.minutes))
        return min(1.0, done)

    def rate(self) -> float:
        """The learning rate of the next step."""
        warm = min(1.0, (self.step + 1) / max(1, self.recipe.warm_up))
        return self.recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * self.fraction()))

    def go(
        self,
        data: Data,
        held: np.ndarray[Any, Any],
        seed: int,
        precision: str,
        curve: Curve | None,
        report: Callable[[Progress], None],
    ) -> None:
        """Steps until the end."""
        opponent = self.opponent
        objective: nn.Module = Objective(self.model, None if opponent is None else opponent.adversary)
        if self.place.world > 1:
            ids = [self.device] if self.device.type == "cuda" else None
            objective = DistributedDataParallel(objective, device_ids=ids)
        self.model.train()
        smooth = 0.0
        first, before = self.step, self.fraction()
        start = time.monotonic()
        began = start - self.seconds
        while not self._finished():
            rate = self.rate()
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            x, given = self._batch(data, seed)
            cast = torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16")
            if opponent is not None:
                opponent.step(self.model, x, rate, cast)
            self.optimizer.zero_grad()
            with cast:
                loss = objective(x, *given)
            loss.backward()
            norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip))
            if not math.isfinite(norm):
                raise InputError(f"step {self.step}: the gradient is not finite; a lower rate may help")
            self.optimizer.step()
            self.step += 1
            self._average()
            self.seconds = self._agreed(time.monotonic() - began)
            kept = min(0.98, 1 - 1 / (self.step - first))
            smooth = kept * smooth + (1 - kept) * float(loss.detach()) / math.log(2)
            bpd = None
            if self.step % self.recipe.every == 0 or self._finished():
                self._refit(data, seed)
                bpd = self._measure(held, curve, smooth, rate, norm)
                self.seconds = self._agreed(time.monotonic() - began)
                self._save(bpd)
            if self.place.rank == 0:
                passed, done = time.monotonic() - start, self.fraction() - before
                left = (1 - self.fraction()) / done * passed if done > 0 else math.inf
                images = (self.step - first) * self.recipe.batch
                report(Progress(self.step, self.fraction(), smooth, images / passed, left, bpd))

    def _batch(self, data: Data, seed: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The images of the next step for this process; for a model of classes also which these are."""
        chosen = data, self.recipe, seed, self.step, (self.place.rank, self.place.world)
        labels = labels_of(*chosen) if getattr(self.model, "classes", 0) else None
        return batch_of(*chosen).to(self.device), () if labels is None else (labels.to(self.device),)

    def _agreed(self, seconds: float) -> float:
        """The clock of process 0, by which all stop at the same step."""
        if self.place.world == 1 or self.minutes is None:
            return seconds
        shared = torch.tensor([seconds], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def _finished(self) -> bool:
        return self.fraction() >= 1.0

    def _average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
            for mine, other in zip(self.average.buffers(), self.model.buffers(), strict=True):
                mine.copy_(other)

    def _refit(self, data: Data, seed: int) -> None:
        """The averaged weights' own statistics of batch normalization, where there are any: not those of the last."""
        refit: Any = getattr(self.average, "refit", None)
        if refit is not None:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                torch.manual_seed(seed)
                refit(_first_images(self.average, data, self.recipe, seed, self.step).to(self.device))

    def _measure(
        self, held: np.ndarray[Any, Any], curve: Curve | None, smooth: float, rate: float, norm: float
    ) -> float:
        """Bits per dimension of the averaged weights on the validation images, the same in every process."""
        bpd = torch.zeros(1, dtype=torch.float64, device=self.device)
        if self.place.rank == 0:
            bpd[0] = evaluate(self.average, held, self.recipe.batch, self.device)
            if curve is not None:
                curve.add(self.step, self.step * self.recipe.batch, self.seconds, rate, norm, smooth, float(bpd))
        if self.place.world > 1:
            dist.broadcast(bpd, 0)
        return float(bpd)

    def _save(self, bpd: float) -> None:
        """The checkpoint to go on from; and the best weights, if these are."""
        states = [generator_state(self.device).cpu()]
        if self.place.world > 1:
            shared: list[Any] = [None] * self.place.world
            dist.all_gather_object(shared, states[0])
            states = shared
        # What has an adversary is more than its likelihood: the last is the best.
        improved = bpd < self.best or self.opponent is not None
        self.best = min(self.best, bpd)
        if self.place.rank:
            return
        done = {"step": self.step, "seconds": self.seconds, "best": self.best, "validation_bpd": bpd}
        average = {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()} | average
        tensors |= states_of(self.optimizer, "optimizer.")
        if self.opponent is not None:
            tensors |= self.opponent.tensors()
        tensors |= {f"rng.{rank}": state for rank, state in enumerate(states)}
        write_checkpoint(self.out / "last.safetensors", tensors, self.about | done)
        if improved:
            best = {f"model.{name.removeprefix('average.')}": value for name, value in average.items()}
            write_checkpoint(self.out / "best.safetensors", best, self.about | done)

    def resume(self) -> None:
        """Goes back to where last.safetensors was written."""
        path = self.out / "last.safetensors"
        if not path.exists():
            raise UsageError(f"nothing to resume: no {path}")
        tensors, about = read_checkpoint(path, str(self.device))
        for key in ("model", "config", "recipe", "data_hash", "seed", "start"):
            # Through JSON, which has lists for tuples.
            if about.get(key) != json.loads(json.dumps(self.about.get(key))):
                raise InputError(f"{path} was trained with another {key}: {about.get(key)}, now {self.about.get(key)}")
        self.model.load_state_dict(_named(tensors, "model."))
        self.average.load_state_dict(_named(tensors, "average."))
        load_states(self.optimizer, tensors, "optimizer.")
        if self.opponent is not None:
            self.opponent.load(tensors)
        generators = _named(tensors, "rng.")
        if len(generators) != self.place.world:
            raise InputError(f"{path} was trained by {len(generators)} processes, now {self.place.world}")
        restore_generator(generators[str(self.place.rank)].cpu(), self.device)
        self.step, self.seconds, self.best = about["step"], about["seconds"], about["best"]


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
