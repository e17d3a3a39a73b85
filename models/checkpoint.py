"""Checkpoints: weights and, for going on, everything else that a training knows; one safetensors file.

Tensors are named `model.*` (weights), and in files to go on from also `average.*` (their average), `optimizer.N.*` (of
parameter N), `adversary.*` and `adversary_optimizer.N.*` (of what is trained against the model, if anything is) and
`rng.RANK` (states of the random numbers of each process). The metadata has one entry, `densezip`: JSON
with the model's name and configuration, the data's specification and hash, and how far the training was.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..codec.errors import InputError, OutputError, WeightsError
from .registry import build
from .shapes import check_weights, weights_digest
from .shipped import known_digest

__all__ = ["load_model", "read_checkpoint", "write_checkpoint"]

KEY = "densezip"
LAYOUT = 1


def write_checkpoint(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Writes a file that is whole whenever it is there: beside its place first, then renamed.

    Args:
        path: of the file.
        tensors: by name; see the module.
        about: JSON-able; `model` (name) and `config` at least.

    Raises:
        OutputError: it cannot be written.
    """
    beside = path.with_name(path.name + ".part")
    kept = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        beside.touch()
        rights = beside.stat().st_mode  # of new files here; save_file gives them to the owner alone
        save_file(kept, beside, {KEY: json.dumps({"layout": LAYOUT, **about}, sort_keys=True)})
        beside.chmod(rights)
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: {error}") from error


def read_checkpoint(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a checkpoint.

    Raises:
        InputError: no such file, damaged, or not a checkpoint of densezip.
    """
    try:
        with safe_open(path, "pt", device=device) as file:
            about = json.loads((file.metadata() or {}).get(KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(about, dict) or "model" not in about or "config" not in about:
        raise InputError(f"{path} is a safetensors file, but not a checkpoint of densezip")
    if about.get("layout") != LAYOUT:
        raise InputError(f"{path} has layout {about.get('layout')}; this version reads {LAYOUT}")
    return tensors, about


def load_model(path: Path, device: str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """The model of a checkpoint, ready for evaluation, and the metadata.

    The averaged weights where the file has both.

    Raises:
        InputError: as for `read_checkpoint`, and where weights do not fit the configuration.
        WeightsError: a weight is not finite; a checkpoint that comes with densezip has other weights than it came with.
    """
    tensors, about = read_checkpoint(path, device)
    model = build(about["model"], about["config"])
    kind = "average." if any(name.startswith("average.") for name in tensors) else "model."
    weights = {name.removeprefix(kind): tensor for name, tensor in tensors.items() if name.startswith(kind)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{path}: {error}") from error
    check_weights(model, str(path))
    known, found = known_digest(path), weights_digest(model).hex()
    if known is not None and found != known:
        raise WeightsError(
            f"the weights {path} are damaged: their digest begins with {found[:16]}, not {known[:16]}; "
            "install densezip again (pip install --force-reinstall densezip)"
        )
    return model.to(device).eval(), about


def as_plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON-able values."""
    return dataclasses.asdict(config)


def generator_state(device: torch.device) -> Tensor:
    """State of the random numbers of this process, on the device that the training uses. uint8."""
    state = torch.get_rng_state()
    return torch.cat([state, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else state


def restore_generator(state: Tensor, device: torch.device) -> None:
    """Puts back what `generator_state` gave."""
    own = len(torch.get_rng_state())
    torch.set_rng_state(state[:own])
    if device.type == "cuda" and len(state) > own:
        torch.cuda.set_rng_state(state[own:], device)
