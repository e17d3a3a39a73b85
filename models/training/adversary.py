"""Whom a training sets against a model: parameters with a loss and an optimizer of their own, one step before each.

A model has an adversary where its `make_adversary` gives one. Then `adversary_loss(x, adversary)` is what this learns
by, and `loss(x, adversary)` what the model does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...codec.errors import InputError
from .optimizers import load_states, make_optimizer, states_of
from .recipe import Recipe

__all__ = ["Opponent"]


class Opponent:
    """An adversary in training.

    Args:
        adversary: it learns in place.
        recipe: that of the model: optimizer and clipping are the same.
        world: processes of the training.
    """

    def __init__(self, adversary: nn.Module, recipe: Recipe, world: int) -> None:
        self.adversary, self.recipe, self.world = adversary, recipe, world
        self.optimizer = make_optimizer(recipe, adversary)

    @classmethod
    def of(cls, model: nn.Module, recipe: Recipe, world: int, device: torch.device) -> Opponent | None:
        """That of a model, if it has one."""
        make: Any = getattr(model, "make_adversary", None)
        adversary = None if make is None else make()
        return None if adversary is None else cls(adversary.to(device), recipe, world)

    def step(self, model: Any, x: Tensor, rate: float, cast: AbstractContextManager[Any]) -> None:
        """One update, against a model as it is, by this process's images of a batch.

        Raises:
            InputError: the gradient is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        with cast:
            loss = model.adversary_loss(x, self.adversary)
        loss.backward()
        if self.world > 1:
            for parameter in self.adversary.parameters():
                assert parameter.grad is not None
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.world
        norm = float(nn.utils.clip_grad_norm_(self.adversary.parameters(), self.recipe.clip))
        if not math.isfinite(norm):
            raise InputError("the gradient of the adversary is not finite; a lower rate may help")
        self.optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        """What going on needs, by names that begin with "adversary"."""
        found = {f"adversary.{name}": value for name, value in self.adversary.state_dict().items()}
        return found | states_of(self.optimizer, "adversary_optimizer.")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes back to where `tensors` was called; others are passed over."""
        kept = {name.removeprefix("adversary."): t for name, t in tensors.items() if name.startswith("adversary.")}
        self.adversary.load_state_dict(kept)
        load_states(self.optimizer, tensors, "adversary_optimizer.")
