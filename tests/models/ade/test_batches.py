"""Discriminators of mixed batches against what the best one says."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from densezip.models.ade.adversary import Adversary, Discriminator, MixedAdversary
from densezip.models.ade.batches import BatchStatistics, beta_weights, mix, optimal_share, share_loss
from torch import Tensor, nn

NORMAL: Any = torch.distributions.Normal
REAL, FAKE = NORMAL(0.7, 1.0), NORMAL(-0.7, 1.3)


def log_ratios(y: Tensor) -> Tensor:
    found: Tensor = REAL.log_prob(y) - FAKE.log_prob(y)
    return found


def network(width: int = 32) -> nn.Module:
    layers = [BatchStatistics.linear(1, width), nn.Tanh(), BatchStatistics.linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, BatchStatistics.linear(width, 1), nn.Flatten(-2))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_optimal_share_is_the_posterior_mean_over_all_choices(count: int, a: float, b: float) -> None:
    y = torch.randn(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    weights = beta_weights(count, a, b)
    over = above = 0.0
    for choice in itertools.product((0, 1), repeat=count):
        k = sum(choice)
        # P(choice), the mean of p^k (1 - p)^(B - k) under the beta distribution, by the rule of the middle.
        p = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
        prior = float((p ** (k + a - 1) * (1 - p) ** (count - k + b - 1)).mean())
        prior *= math.gamma(a + b) / math.gamma(a) / math.gamma(b)
        assert float(weights[k]) == pytest.approx(prior, rel=0.01)
        joint = float(weights[k]) * math.exp(float(log_ratios(y)[torch.tensor(choice).bool()].sum()))
        over, above = over + joint, above + joint * k / count
    assert float(optimal_share(log_ratios(y), weights)) == pytest.approx(above / over, rel=1e-9)


def test_of_one_sample_the_optimal_share_is_that_of_any_discriminator() -> None:
    y = torch.linspace(-3, 3, 7, dtype=torch.float64)
    found = optimal_share(log_ratios(y)[:, None], beta_weights(1))
    assert torch.allclose(found, torch.sigmoid(log_ratios(y)), rtol=1e-12)


@pytest.mark.parametrize("count", [2, 8])
def test_a_trained_discriminator_says_nearly_what_the_best_one_says(count: int) -> None:
    torch.manual_seed(0)
    adversary = MixedAdversary(network(), gamma=0.5, each=False, axis=1)
    optimizer = torch.optim.Adam(adversary.parameters(), 1e-2)
    for step in range(400):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 400)
        optimizer.zero_grad()
        adversary(REAL.sample((256, count, 1)), FAKE.sample((256, count, 1))).backward()
        optimizer.step()
    real, fake = REAL.sample((2000, count, 1)), FAKE.sample((2000, count, 1))
    (y, share), _ = mix(real, fake, 0.5, axis=1)
    best = optimal_share(log_ratios(y[..., 0]), beta_weights(count))
    with torch.no_grad():
        outputs = adversary.discriminator(y)
        said = torch.sigmoid(outputs.mean(-1)).double()
    assert (said - best).abs().mean() < 0.03
    assert best.std() > 0.15  # which a constant does not reach
    # No loss is below that of the best, but for these samples.
    least = share_loss(torch.logit(best)[..., None], share.double(), each=False)
    assert -0.005 < share_loss(outputs.double(), share.double(), each=False) - least < 0.01


def test_a_discriminator_of_batches_ignores_their_order_and_sees_their_spread() -> None:
    torch.manual_seed(0)
    y = torch.randn(6, 3, 8, 8)
    order = torch.randperm(6)
    batch = Discriminator(3, 4, statistics=True)
    first, second = batch(y), batch(y[order])
    assert torch.allclose(first[order], second, atol=1e-6)
    assert first.std() > 1e-4
    assert not torch.allclose(first[:3], batch(y[:3]), atol=1e-4)
    single = Discriminator(3, 4)
    assert torch.allclose(single(y)[:3], single(y[:3]), atol=1e-6)


def test_mixed_batches_hold_what_they_say_and_the_second_what_the_first_leaves() -> None:
    torch.manual_seed(0)
    real, fake = torch.ones(4000, 8, 2), torch.zeros(4000, 8, 2)
    (first, share), (second, rest) = mix(real, fake, 0.3, axis=1)
    assert torch.equal(first.mean((1, 2)), share)
    assert torch.equal(first + second, real)
    assert torch.allclose(share + rest, torch.ones(4000))
    # The drawn share is evenly below 0.3 or above 0.7; to its variance comes that of eight draws by it.
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(share.var()) == pytest.approx(0.35**2 + 0.3**2 / 12 + (0.85 * 0.15 - 0.0075) / 8, abs=0.005)
    pure = mix(real, fake, 0.0, axis=1)[0][1]
    assert bool(((pure == 0) | (pure == 1)).all())


def test_taking_the_loss_of_each_logit_is_no_less_than_that_of_their_mean() -> None:
    outputs, share = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([1 / 3])
    mean, each = (float(share_loss(outputs, share, flag)) for flag in (False, True))
    said = 1 / (1 + math.exp(-0.5))
    assert mean == pytest.approx(math.log(1 / 3 / said) / 3 + math.log(2 / 3 / (1 - said)) * 2 / 3, abs=1e-6)
    assert each > mean
    assert float(share_loss(torch.logit(torch.tensor([[0.25]])), torch.tensor([0.25]), True)) == pytest.approx(
        0, abs=1e-6
    )


def test_both_kinds_of_batches_push_a_generator_towards_what_is_real() -> None:
    torch.manual_seed(0)
    for each in (False, True):
        adversary = MixedAdversary(nn.Sequential(nn.Linear(1, 1), nn.Flatten(-2)), 0.3, each, axis=1)
        with torch.no_grad():
            for parameter in adversary.parameters():
                parameter.fill_(1.0)  # more is more real
        fake = torch.zeros(50, 4, 1, requires_grad=True)
        adversary.generator_loss(torch.ones(50, 4, 1), fake).backward()  # type: ignore[no-untyped-call]
        assert fake.grad is not None
        assert bool((fake.grad <= 0).all())
        assert float(fake.grad.mean()) < 0


def test_a_trained_discriminator_measures_the_divergence() -> None:
    """That of single samples is a log-ratio of densities, so its mean on what is drawn is KL(q | p) in nats."""
    torch.manual_seed(0)
    near = NORMAL(0.0, 1.0)
    shape = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))
    adversary = Adversary(shape)
    optimizer = torch.optim.Adam(adversary.parameters(), 1e-2)
    for step in range(500):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 500)
        optimizer.zero_grad()
        adversary(REAL.sample((512, 1)), near.sample((512, 1))).backward()
        optimizer.step()
    with torch.no_grad():
        found = float(adversary.generator_loss(REAL.sample((1, 1)), near.sample((20_000, 1))))
    assert found == pytest.approx(float(torch.distributions.kl_divergence(near, REAL)), abs=0.04)


def test_slopes_other_than_one_are_penalized() -> None:
    adversary = Adversary(nn.Sequential(nn.Linear(4, 1, bias=False), nn.Flatten(0)), penalty=10.0)
    plain = Adversary(adversary.discriminator)
    with torch.no_grad():
        next(adversary.parameters()).fill_(1.5)  # a slope of 3
    real, fake = torch.randn(5, 4), torch.randn(5, 4)
    assert float((adversary(real, fake) - plain(real, fake)).detach()) == pytest.approx(10 * (3 - 1) ** 2, rel=1e-4)
    adversary(real, fake).backward()
    (weights,) = adversary.parameters()
    assert weights.grad is not None
    assert float(weights.grad.min()) > 10


def test_spectral_norm_bounds_each_layer() -> None:
    torch.manual_seed(0)
    network = Discriminator(1, 4, spectral=True).train()
    for _ in range(30):
        network(torch.randn(2, 1, 8, 8))
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 14
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)
