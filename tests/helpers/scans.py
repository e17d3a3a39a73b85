"""What every autoregressive model keeps, stated once: the likelihood, the scan and causality agree."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from densezip.models.autoregressive.density import Scan
from densezip.models.autoregressive.pixels import PixelModel
from torch import Tensor, nn

__all__ = ["check_causality", "check_future", "check_scan", "pictures", "scanned", "train"]


def scanned(scan: Scan, x: Tensor) -> list[Tensor]:
    """Parameters of every step, as a decoder has them: later elements are 0."""
    known, found = torch.zeros_like(x), []
    for step, elements in enumerate(scan.steps):
        found.append(scan.parameters(step, known.clone()))
        known.flatten(1)[:, elements] = x.flatten(1)[:, elements]
    return found


def drawn(scan: Scan, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Images [B, C, H, W] from the model, as a decoder of random bits has them, and the logarithm of their mass [B]."""
    known, total = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape[0], dtype=torch.float64)
    for step, elements in enumerate(scan.steps):
        pmf = scan.pmf(scan.parameters(step, known))
        symbols = pmf.locate(torch.randint(0, 1 << pmf.precision, (shape[0] * len(elements),)))
        known.flatten(1)[:, elements] = symbols.view(shape[0], -1)
        total += torch.log(pmf.interval(symbols)[1] / 2**pmf.precision).view(shape[0], -1).sum(1)
    return known, total


@torch.no_grad()
def check_scan(scan: Scan, shape: tuple[int, ...], log_prob: Callable[[Tensor], Tensor]) -> None:
    """Of a model in double precision: steps cover the image, both ways to the parameters agree, and the pmfs have its
    likelihood, rounded parameters too.
    """
    assert torch.equal(torch.cat(scan.steps).sort().values, torch.arange(math.prod(shape[1:])))
    assert (torch.frexp(scan.grid).mantissa == 0.5).all()
    x, total = drawn(scan, shape)
    expected = log_prob(x)
    assert (abs(total - expected) < 1e-3 * x[0].numel()).all()
    slow, rounded_total = scanned(scan, x), torch.zeros_like(total)
    for step, (one, other) in enumerate(zip(slow, scan.parallel(x), strict=True)):
        assert one.dtype == torch.float64
        assert one.shape == (shape[0] * len(scan.steps[step]), len(scan.grid))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
        pmf = scan.pmf(torch.round(one / scan.grid) * scan.grid)
        symbols = x.flatten(1)[:, scan.steps[step]].flatten()
        rounded_total += torch.log(pmf.interval(symbols)[1] / 2**pmf.precision).view(shape[0], -1).sum(1)
    assert (abs(rounded_total - expected) < 1e-2 * x[0].numel()).all()
    assert all(torch.equal(one, other) for one, other in zip(slow, scanned(scan, x), strict=True))


def check_causality(scan: Scan, x: Tensor) -> None:
    """The parameters of a step stay when samples of that step and later ones change, and move with some before it."""
    first = torch.stack(list(scan.parallel(x)))
    moved = torch.zeros(len(scan.steps), dtype=torch.bool)
    for step in range(len(scan.steps)):
        y = x.clone()
        y.flatten(1)[:, scan.steps[step]] = 255 - y.flatten(1)[:, scan.steps[step]]
        second = torch.stack(list(scan.parallel(y)))
        torch.testing.assert_close(second[: step + 1], first[: step + 1], rtol=0, atol=1e-9)
        moved |= (second != first).flatten(1).any(1)
    assert moved[1:].all()


def train(net: nn.Module, x: Tensor, steps: int, rate: float) -> list[float]:
    """Losses of a density model, bits per dimension, on images x [B, C, H, W] from which it learns in so many steps."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -net.log_prob(x).mean() / (x[0].numel() * math.log(2))  # type: ignore[operator]
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def pictures(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Smooth ramps in random directions, with noise."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    slope = torch.randn(batch, 1, 2, 1, 1) * 8
    smooth = 128 + slope[:, :, 0] * (x - width / 2) + slope[:, :, 1] * (y - height / 2)
    return (smooth + 4 * torch.randn(batch, channels, height, width)).round().clamp(0, 255).long()


def check_future(net: PixelModel, channels: int) -> None:
    """Log-probabilities of a sample stay when those of later steps change, and some move when an earlier one does."""
    x = pictures(1, channels, 5, 6)
    steps = net.scan(1, 5, 6).steps
    first = net.log_probs(x).flatten()
    for number, elements in enumerate(steps):
        y = x.clone()
        y.flatten()[elements] = 255 - y.flatten()[elements]
        second = net.log_probs(y).flatten()
        for before in steps[:number]:
            assert torch.equal(first[before], second[before])
        assert number + 1 == len(steps) or any(not torch.equal(first[s], second[s]) for s in steps[number + 1 :])
