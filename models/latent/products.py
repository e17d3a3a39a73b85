"""A Gaussian diffusion times what is known of an image: posteriors of noisy images, and of images with holes.

What is known is r(x) = N(y; x, s²) of every sample, s² = 0 where it is given and infinite where nothing is. Five rules
say how r goes into the way back:

- "matched": noise that an image has is noise that the diffusion adds: √ᾱ_t y is x^t of the step where (1 - ᾱ_t) / ᾱ_t =
  s², and the way back begins there, or between two steps. Exact, for noise of one deviation.
- "expected": r is multiplied with N(x̂, m), what the network says of x^0, in every step. Exact where samples are
  independent; else a sample hears of another's y only as x^t comes near to it.
- "constant": r(x^t) = r(x^0) is multiplied with every kernel p(x^(t-1) | x^t), a product of normal distributions.
- "perturbed": the same to first order: the kernel's mean is moved by its variance times the slope of log r.
- "fading": as "constant", with r^((T - t) / T) for x^t.

The last three are the paper's. None of them is the posterior, not even for many steps: a kernel times r is normalized
anew at every x^t, and what that drops is of the order of a step each time. Measured on normal distributions they are
the posterior of less noise than there is (see the tests).

Source: the diffusion paper, 2.5 and appendix C: (22), (23), (61).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.errors import UsageError
from .diffusion import Diffusion

__all__ = ["RULES", "Rule", "denoise", "posterior"]

Rule = Literal["matched", "expected", "constant", "perturbed", "fading"]
Drawn = Callable[[Tensor, Tensor], Tensor]
RULES: tuple[Rule, ...] = get_args(Rule)


@torch.no_grad()
def denoise(model: Diffusion, x: Tensor, noise: float, rule: Rule = "matched", draws: int = 1, seed: int = 0) -> Tensor:
    """Images without the noise that they have, in levels.

    Args:
        model: of such images without noise.
        x: noisy images, of any numbers. [B, C, H, W]
        noise: its standard deviation, in levels.
        rule: see the module.
        draws: ways back whose ends are averaged; 0 for what the network expects at once, which is the mean of all ways.
        seed: of the draws.

    Returns:
        Expected values given x^1 of each way, float [B, C, H, W].

    Raises:
        UsageError: a deviation that is not above 0; no draws of a rule that needs them.
        UnsupportedImageError: images of other channels or sizes than the model's.
    """
    if not 0 < noise < math.inf or draws < (rule != "matched") or rule not in RULES:
        raise UsageError(f"noise = {noise} (above 0), rule = {rule!r} ({', '.join(RULES)}), draws = {draws}")
    height, width = model.fitted(x.shape[2], x.shape[3])
    model.check(height, width, x.shape[1])
    dtype, (bottom, right) = model.falls.dtype, (height - x.shape[2], width - x.shape[3])
    known = F.pad(torch.ones_like(x, dtype=dtype), (0, right, 0, bottom))
    y = (F.pad(x.to(dtype), (0, right, 0, bottom), mode="replicate") - model.mean) / model.scale
    variance = torch.where(known > 0, (noise / float(model.scale)) ** 2, math.inf)
    random = torch.Generator().manual_seed(seed)
    ends = [posterior(model, y, variance, rule, random, at_once=not draws) for _ in range(max(1, draws))]
    values = torch.stack(ends).mean(0) * model.scale + model.mean
    return values[:, :, : x.shape[2], : x.shape[3]]


def posterior(
    model: Diffusion, y: Tensor, variance: Tensor, rule: Rule, random: torch.Generator, *, at_once: bool = False
) -> Tensor:
    """The end of one way back: what x^0 is expected to be given x^1 and what is known. [B, C, H, W], standardized.

    Args:
        model: the diffusion.
        y: what is known of x^0, standardized. [B, C, H, W]
        variance: of y about x^0; 0 to infinity. [B, C, H, W]
        rule: see the module; for "matched", variances that are not infinite are one number.
        random: of the draws.
        at_once: for "matched": only the network's expectation at the step where the way would begin.
    """
    schedule = model.schedule()

    def drawn(mean: Tensor, variance: Tensor) -> Tensor:
        return mean + torch.sqrt(variance) * torch.randn(mean.shape, generator=random, dtype=mean.dtype).to(mean.device)

    if rule == "matched":
        begin, now, expected = _matched(model, y, variance, drawn)
        if at_once or not begin:
            return expected
    else:
        begin, one = model.layers, torch.ones_like(y)
        # π times r, where r goes into x^T, too.
        now = drawn(*(_product(0 * one, one, y, variance) if rule in ("constant", "perturbed") else (0 * one, one)))
    for number in range(begin, 0, -1):
        t = torch.full((len(y),), number, dtype=torch.int64, device=y.device)
        expected, unsure = model.predict(now, t, schedule)
        if number == 1:
            return expected if rule == "matched" else _product(expected, unsure, y, variance)[0]
        if rule == "expected":
            expected, unsure = _product(expected, unsure, y, variance)
        mean, spread = model.average(expected, unsure, now, t, schedule)
        if rule == "perturbed":
            mean = mean + spread * torch.where(variance < math.inf, y - mean, 0) / variance
        elif rule == "constant":
            mean, spread = _product(mean, spread, y, variance)
        elif rule == "fading":
            mean, spread = _product(mean, spread, y, variance * (model.layers / (model.layers - number + 1)))
        now = drawn(mean, spread)
    raise AssertionError("a way back has an end")


def _matched(model: Diffusion, y: Tensor, variance: Tensor, drawn: Drawn) -> tuple[int, Tensor, Tensor]:
    """A step t of no more noise than y has, 0 where there is none, x^t there, and what x^0 is expected to be given y.

    The network is asked at this step and at the next one, between which the noise lies.
    """
    schedule = model.schedule()
    ratios = torch.log(schedule.noise[1:] / schedule.kept[1:])
    known = variance < math.inf
    share = float(variance[known].max()) if bool(known.any()) else math.inf
    noisy = torch.where(known, y, drawn(y, torch.full_like(y, min(share, 1.0))))
    number = int((ratios <= math.log(share)).sum()) if share < math.inf else model.layers
    after = min(number + 1, model.layers)
    weight = 0.0
    if 0 < number < after:
        weight = (math.log(share) - float(ratios[number - 1])) / float(ratios[after - 1] - ratios[number - 1])
    found = []
    for step in (max(1, number), after):
        t = torch.full((len(y),), step, dtype=torch.int64, device=y.device)
        found.append(model.predict(math.sqrt(float(schedule.kept[step])) * noisy, t, schedule))
    expected, unsure = (torch.lerp(low, high, weight) for low, high in zip(*found, strict=True))
    if not number:
        return 0, noisy, expected
    # Given x^0 and y, x^t / √ᾱ_t lies between them, as its noise does.
    ratio = math.exp(float(ratios[number - 1]))
    part = max(0.0, 1 - ratio / share)
    now = drawn(noisy + part * (expected - noisy), ratio * part + part**2 * unsure)
    return number, math.sqrt(float(schedule.kept[number])) * now, expected


def _product(mean: Tensor, variance: Tensor, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """N(mean, variance) times N(y; ., known): of known = 0 it is y, of infinity nothing changes."""
    weight = variance / (variance + known)
    return mean + weight * (y - mean), variance * (1 - weight)
