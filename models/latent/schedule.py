"""How fast a diffusion forgets: signal and noise of every step, as numbers that are the same on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...codec.entropy import portable

__all__ = ["Schedule", "entropy_bounds", "equal_ratios", "equal_shares", "gaussian_schedule"]

LEAST_RATIO = 0.01
"""Of signal to noise at the last step: what is left of an image costs 1e-5 bits a sample."""


@dataclass(frozen=True)
class Schedule:
    """Of the steps t = 0, ..., T, float64 [T + 1] each.

    Attributes:
        kept: ᾱ_t, the share of the variance (for bits: of the samples) of x^0 that x^t still has; 1 at t = 0.
        beta: β_t, the share of x^(t-1) that is lost in step t; 0 at t = 0.
    """

    kept: Tensor
    beta: Tensor

    @property
    def noise(self) -> Tensor:
        """1 - ᾱ_t."""
        return 1 - self.kept

    @property
    def least(self) -> Tensor:
        """Of normal values: the variance of x^(t-1) given x^t and x^0; at t = 1, where that is 0, β_1."""
        before = torch.cat([self.noise[:1], self.noise[:-1]])
        found = self.beta * before / self.noise.clamp(min=1e-300)
        return torch.cat([found[:1], self.beta[1:2], found[2:]])


def gaussian_schedule(first: Tensor, log_falls: Tensor, exact: bool) -> Schedule:
    """The schedule of normal values, from where it begins and how it goes on.

    Args:
        first: β_1, a number.
        log_falls: logarithms of by how much the log-ratio of signal to noise falls, from step 1 to 2 and so on. [T - 1]
        exact: in operations that are the same bits on every machine; without gradients.
    """
    logarithms, noise = log_falls.double(), first.double().reshape(1)
    if exact:
        total, falls = 0.0, [0.0]
        for fall in portable.exp(logarithms.detach().cpu()).tolist():
            total += fall
            falls.append(total)
        noise = noise.detach().cpu()
        beginning = portable.log((1 - noise) / noise)
        kept = portable.sigmoid(beginning - torch.tensor(falls, dtype=torch.float64))
    else:
        fallen = torch.cat([torch.zeros_like(noise), torch.cumsum(torch.exp(logarithms), 0)])
        kept = torch.sigmoid(torch.log((1 - noise) / noise) - fallen)
    kept = torch.cat([torch.ones_like(noise), kept])
    return Schedule(kept, torch.cat([torch.zeros_like(noise), 1 - kept[1:] / kept[:-1]]))


def equal_ratios(steps: int, first: float) -> Tensor:
    """`log_falls` of a ratio of signal to noise that falls by one factor every step, to `LEAST_RATIO`."""
    whole = math.log((1 - first) / first) - math.log(LEAST_RATIO)
    return torch.full((steps - 1,), math.log(whole / (steps - 1)))


def equal_shares(steps: int, first: float) -> Tensor:
    """`log_falls` of a signal of which every step but the first loses the same share of what there was.

    Source: the diffusion paper, 2.4.1: β_t = 1 / (T - t + 1). Its last step leaves nothing; here a little is left.
    """
    kept = (1 - first) * (steps - torch.arange(1, steps + 1, dtype=torch.float64)) / (steps - 1)
    ratios = torch.log(kept / (1 - kept)).clamp(min=math.log(LEAST_RATIO / 4))
    return torch.log((ratios[:-1] - ratios[1:]).clamp(min=1e-3))


def entropy_bounds(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Between what the entropy of x^(t-1) given x^t is, for t = 2, ..., T: nats of a normal value, [T - 1] each.

    They hold for all data of variance 1, and need the way forth only.

    Source: the diffusion paper, (24) and appendix A.
    """
    upper = 0.5 * (torch.log(schedule.beta[2:]) + math.log(2 * math.pi * math.e))
    return upper + 0.5 * (torch.log(schedule.noise[1:-1]) - torch.log(schedule.noise[2:])), upper
