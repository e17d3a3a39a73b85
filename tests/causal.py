"""What every autoregressive model keeps, stated once: the likelihood, the scan and causality agree."""

from __future__ import annotations

import math

import torch
from densezip.models.density import AutoregressiveModel, Scan

__all__ = ["check_causality", "check_scan", "scanned"]


def scanned(scan: Scan, x: torch.Tensor) -> list[torch.Tensor]:
    """Parameters of every step, as a decoder has them: later elements are 0."""
    known, found = torch.zeros_like(x), []
    for step, elements in enumerate(scan.steps):
        found.append(scan.parameters(step, known.clone()))
        known.flatten(1)[:, elements] = x.flatten(1)[:, elements]
    return found


def check_scan(model: AutoregressiveModel, scan: Scan, x: torch.Tensor, log_prob: torch.Tensor) -> None:
    """In double precision: steps cover the image, both ways to the parameters agree, and the pmfs have its likelihood."""
    batch, elements = x.shape[0], torch.cat(scan.steps)
    assert torch.equal(elements.sort().values, torch.arange(x[0].numel()))
    assert (torch.frexp(scan.grid).mantissa == 0.5).all()
    total = torch.zeros(batch, dtype=torch.float64)
    slow = scanned(scan, x)
    for step, (one, other) in enumerate(zip(slow, scan.parallel(x), strict=True)):
        assert one.dtype == torch.float64
        assert one.shape == (batch * len(scan.steps[step]), len(scan.grid))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
        rounded = torch.round(one / scan.grid) * scan.grid
        symbols = x.flatten(1)[:, scan.steps[step]].flatten()
        pmf = scan.pmf(rounded)
        total += torch.log(pmf.interval(symbols)[1] / 2**pmf.precision).view(batch, -1).sum(1)
    # A pmf gives every symbol 2 units of 2^24 at least, so it can be shorter than the density says, hardly ever longer.
    slack = 1e-3 * math.log(2) * x[0].numel()
    assert (total > log_prob - slack).all()
    likely = log_prob > -x[0].numel() * 8 * math.log(2)
    torch.testing.assert_close(total[likely], log_prob[likely], rtol=1e-3, atol=slack)
    again = scanned(scan, x)
    assert all(torch.equal(one, other) for one, other in zip(slow, again, strict=True))


def check_causality(scan: Scan, x: torch.Tensor) -> None:
    """The parameters of a step stay when samples of that step and later ones change, and move with some before it."""
    first = torch.stack([p for p in scan.parallel(x)])
    moved = torch.zeros(len(scan.steps), dtype=torch.bool)
    for step in range(len(scan.steps)):
        y = x.clone()
        y.flatten(1)[:, scan.steps[step]] = 255 - y.flatten(1)[:, scan.steps[step]]
        second = torch.stack([p for p in scan.parallel(y)])
        torch.testing.assert_close(second[: step + 1], first[: step + 1], rtol=0, atol=1e-9)
        moved |= (second != first).flatten(1).any(1)
    assert moved[1:].all()
