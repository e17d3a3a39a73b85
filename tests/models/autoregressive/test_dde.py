import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.dde import FLOOR, Dde, DdeConfig
from densezip.models.autoregressive.kinks import Kinks, Network, Shape
from laws import check_tensor_pmf
from scans import check_scan, pictures

SMALL = DdeConfig(channels=3, radius=2, filters=12, layers=1, kinks=5, pixels=256)


def model(**settings: Any) -> Dde:
    torch.manual_seed(1)
    made = Dde(replace(SMALL, **settings)).double()
    made.initialize(pictures(4, made.channels, 12, 12))
    return made


def shape(rows: int) -> Shape:
    torch.manual_seed(0)
    found: Shape = Network(3, 8, 1, 5).double()(2 * torch.randn(rows, 3, dtype=torch.float64))
    return found


def test_derivatives_of_a_shape_are_its_derivatives() -> None:
    some = shape(6)
    z = torch.linspace(-9, 9, 40, dtype=torch.float64).expand(6, -1).clone().requires_grad_()
    slope, curvature = some.slopes_at(z)
    (first,) = torch.autograd.grad(some.value(z, twice=True).sum(), z, create_graph=True)
    torch.testing.assert_close(slope, first)
    torch.testing.assert_close(curvature, torch.autograd.grad(first.sum(), z)[0])


def test_kinks_that_are_summed_in_turn_have_the_values_and_derivatives_of_all_at_once() -> None:
    some, z = shape(3), torch.linspace(-4, 4, 7, dtype=torch.float64).repeat(3, 1)
    torch.testing.assert_close(some.value(z), some.value(z, twice=True))
    parts = [v.detach().requires_grad_() for v in (z, some.slopes, some.places, some.widths)]
    assert torch.autograd.gradcheck(Kinks.apply, parts)


@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "objective"),
    [(2, 3, 5, 6, "likelihood"), (2, 1, 6, 5, "dde"), (3, 3, 1, 1, "dde"), (1, 1, 1, 7, "joint"), (2, 1, 7, 1, "dde")],
)
def test_dde_scan_agrees_with_the_parallel_pass(
    batch: int, channels: int, height: int, width: int, objective: str
) -> None:
    net = model(channels=channels, objective=objective)
    check_scan(net.scan(batch, height, width), (batch, channels, height, width), net.log_prob)


def test_dde_pmfs_are_distributions_with_a_floor() -> None:
    net, x = model(), pictures(2, 3, 4, 4)
    scan = net.scan(2, 4, 4)
    for step, parameters in enumerate(scan.parallel(x)):
        assert float(parameters.min()) >= math.log(FLOOR) - 1e-3
        torch.testing.assert_close(parameters.exp().sum(1), torch.ones(len(parameters), dtype=torch.float64))
        if step in (0, 4, 8):
            check_tensor_pmf(scan.pmf(parameters), 256, len(parameters))


@pytest.mark.parametrize("channels", [1, 3])
def test_dde_ignores_future_samples(channels: int) -> None:
    net, x = model(channels=channels), pictures(1, channels, 5, 6)
    steps, first = net.scan(1, 5, 6).steps, net.log_probs(x).flatten()
    for number, elements in enumerate(steps):
        y = x.clone()
        y.flatten()[elements] = 255 - y.flatten()[elements]
        second = net.log_probs(y).flatten()
        for before in steps[:number]:
            assert torch.equal(first[before], second[before])
        assert number + 1 == len(steps) or any(not torch.equal(first[s], second[s]) for s in steps[number + 1 :])


@pytest.mark.parametrize("objective", ["dde", "likelihood", "joint"])
def test_dde_learns_by_every_objective(objective: str) -> None:
    """None but the second sees the likelihood that it is measured by."""
    net, x = model(channels=1, objective=objective, least=2.0 if objective == "joint" else 0.4), pictures(64, 1, 8, 8)
    before = net.log_prob(x).mean().item()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(net.loss(x))
        optimizer.step()
    assert net.log_prob(x).mean().item() > before + 0.1 * 64


def test_the_local_scale_is_that_of_the_residual() -> None:
    """Of data whose residual is as wide as a neighbour is far from the middle."""
    torch.manual_seed(0)
    net = Dde(replace(SMALL, channels=1, radius=1)).double()
    x = pictures(64, 1, 16, 16)
    noisy = torch.where(torch.arange(16) < 8, 128, (128 + 30 * torch.randn(64, 1, 16, 16)).round().clamp(0, 255)).long()
    net.initialize(torch.cat([x, noisy]))
    whitened = net.whitening(net.values(noisy))[:, 0]
    quiet, loud = (net.known(whitened, 0)[2].view(16, 16)[2:, part].mean() for part in (slice(2, 6), slice(10, 14)))
    assert float(loud) > 4 * float(quiet)


def test_sharpening_takes_the_blur_of_the_noise_off() -> None:
    """A shape that is that of a normal distribution with the noise becomes that without, to the second order."""
    net = model(channels=1, objective="dde", noise=0.3, first=1.0, least=1e-6)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    # One kink, wide and steep, is a parabola: curvature -1 / (1 + 0.3²).
    width = 0.02 * one
    parabola = Shape(-one / width / (1 + 0.3**2), zero, width, zero, one, zero, 0 * one, zero)
    levels, scale = torch.arange(256, dtype=torch.float64), 20.0 * one
    sharp = net.logits(parabola, 128.0 * one, scale)[0]
    net.config = replace(net.config, sharpen=False)
    plain = net.logits(parabola, 128.0 * one, scale)[0]
    variance = [float((p.exp() * (levels - 128).square()).sum()) / 400 for p in (sharp, plain)]
    assert variance[1] == pytest.approx(1.09, abs=0.01)
    assert variance[0] == pytest.approx(1.0, abs=0.02)


def test_an_objective_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="objective = 'score': dde, likelihood, joint"):
        model(objective="score")
