"""Optimizers by name, and their states as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...codec.errors import UsageError
from .recipe import Recipe

__all__ = ["load_states", "make_optimizer", "states_of"]

OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}


def make_optimizer(recipe: Recipe, module: nn.Module) -> torch.optim.Optimizer:
    """Of all parameters.

    Raises:
        UsageError: no such optimizer.
    """
    if recipe.optimizer not in OPTIMIZERS:
        raise UsageError(f"optimizer = {recipe.optimizer!r}: {' or '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[recipe.optimizer]
    made: torch.optim.Optimizer = kind(module.parameters(), lr=recipe.rate, betas=(recipe.beta1, recipe.beta2))
    return made


def states_of(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """`PREFIX N.KEY` of parameter N."""
    return {
        f"{prefix}{number}.{key}": torch.as_tensor(value)
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_states(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Puts back what `states_of` gave."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            number, _, key = name.removeprefix(prefix).partition(".")
            states.setdefault(int(number), {})[key] = value.cpu() if key == "step" else value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
