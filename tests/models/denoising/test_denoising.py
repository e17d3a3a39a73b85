"""Densities by denoising against densities that are known."""

import math

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.denoising.estimator import DenoisingConfig, DenoisingDensity
from densezip.models.denoising.generator import Generator, GeneratorConfig, train_generator
from densezip.models.denoising.known import PLANE, plane_density, plane_points, random_mixture
from densezip.models.denoising.mixtures import NormalMixture


def one_normal(variances: list[float]) -> NormalMixture:
    one = torch.ones(1, dtype=torch.float64)
    return NormalMixture(
        one, torch.zeros(1, len(variances)).double(), torch.diag(torch.tensor(variances).double())[None]
    )


def exactly(truth: NormalMixture) -> DenoisingDensity:
    """A density whose s is known: the network has no part in it."""
    model = DenoisingDensity(DenoisingConfig(truth.dimensions, 4, 0))
    model.energy = truth.log_density  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("dimensions", [6, 43])
def test_the_constant_of_a_density_is_found(dimensions: int) -> None:
    """From points alone: the mixture is wide, correlated, and has heavy tails."""
    truth = random_mixture(dimensions, 3)
    points = truth.sample(4000, torch.Generator().manual_seed(0))
    model = exactly(truth)
    found = model.normalize(NormalMixture.fit(points, 4).widened(3.0, 0.1), count=20_000, repeats=2)
    assert found.value == pytest.approx(0, abs=0.02 if dimensions == 6 else 0.1)
    assert 0 < found.effective <= 1
    again = model.normalize(truth, count=1000)
    assert again.value == pytest.approx(0, abs=1e-6)
    assert again.effective == pytest.approx(1)


@pytest.mark.parametrize("name", PLANE)
def test_densities_in_the_plane_are_those_of_their_points(name: str) -> None:
    points = plane_points(name, 40_000, torch.Generator().manual_seed(0))
    noisy = points + 0.2 * torch.randn(points.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    axis = (torch.arange(60) + 0.5) / 10 - 3
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(-1, 2)
    density = plane_density(name, cells, 0.2)
    assert float(density.sum()) / 100 == pytest.approx(1, abs=2e-3)
    for low, high in ((-3, 0), (-1, 1)):  # of the first coordinate
        inside = ((cells[:, 0] > low) & (cells[:, 0] < high)).double()
        share = ((noisy[:, 0] > low) & (noisy[:, 0] < high)).double().mean()
        assert float((density * inside).sum()) / 100 == pytest.approx(float(share), abs=0.02)


def test_noise_adds_to_the_variance_and_a_wide_part_to_the_tails() -> None:
    truth = one_normal([1.0, 4.0])
    blurred = truth.blurred(0.5)
    torch.testing.assert_close(blurred.covariances[0].diagonal(), torch.tensor([1.25, 4.25]).double())
    wide, far = truth.widened(9.0, 0.25), torch.tensor([[6.0, 12.0]])
    assert wide.log_density(far) > truth.log_density(far) + 10
    assert float(wide.log_density(torch.zeros(1, 2)) - truth.log_density(torch.zeros(1, 2))) == pytest.approx(
        math.log(0.75 + 0.25 / 9)
    )


def test_the_loss_is_least_at_the_logarithm_of_the_blurred_density() -> None:
    """A normal distribution is what s begins as: then whitened points are all it needs."""
    points = one_normal([1.0, 0.25]).sample(20_000, torch.Generator().manual_seed(0)).float()
    model = DenoisingDensity(DenoisingConfig(2, 4, 1))
    torch.nn.init.zeros_(model.last.weight)
    losses = []
    for width in (0.15, 0.3, 0.6):
        model.whiten(points, width)
        torch.manual_seed(0)
        losses.append(model.loss(points, 0.3).item())
    assert losses[1] < min(losses[0], losses[2])
    expected = -sum(0.09 / (variance + 0.09) for variance in (1.0, 0.25))
    assert losses[1] == pytest.approx(expected, abs=0.03)


def test_a_density_with_two_humps_is_learned_with_its_constant() -> None:
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
    truth = NormalMixture(torch.tensor([0.3, 0.7]).double(), means, 0.3 * torch.eye(2).double().expand(2, 2, 2).clone())
    random = torch.Generator().manual_seed(0)
    points = truth.sample(20_000, random).float()
    torch.manual_seed(0)
    model = DenoisingDensity(DenoisingConfig(2, 24, 2)).fit(points, 0.3, steps=250, batch=256, start=0.6)
    blurred = truth.blurred(0.3)
    test = blurred.sample(4000, random)
    gap = float((blurred.log_density(test) - model.log_density(test)).mean())
    single = NormalMixture.fit(points + 0.3 * torch.randn(points.shape), 1)
    assert -0.01 < gap < 0.03
    assert gap < 0.5 * float((blurred.log_density(test) - single.log_density(test)).mean())
    assert float(model.sigma) == pytest.approx(0.3)


def test_a_generator_comes_to_draw_from_the_density() -> None:
    """From a point near the middle to a narrow distribution elsewhere: its mean and its deviations."""
    truth = NormalMixture(
        torch.ones(1).double(),
        torch.tensor([[1.0, -0.5]]).double(),
        torch.diag(torch.tensor([1.0, 0.1]).double())[None],
    )
    points = truth.sample(20_000, torch.Generator().manual_seed(0)).float()
    torch.manual_seed(0)
    model = DenoisingDensity(DenoisingConfig(2, 8, 1)).fit(points, 0.3, steps=60, batch=256, constant=False)
    generator = Generator(GeneratorConfig(2, 2, 16, 1))
    train_generator(generator, model, 0.3, steps=250, inner=3, batch=128, rate=1e-2, density_rate=1e-2, warm_up=60)
    drawn = generator.sample(4000)
    assert torch.allclose(drawn.mean(0), torch.tensor([1.0, -0.5]), atol=0.15)
    assert torch.allclose(drawn.var(0), torch.tensor([1.0, 0.1]), rtol=0.3, atol=0.05)


def test_interpolations_begin_and_end_at_their_points() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(4, 9, 8, 2, dense=True, bounded=True))
    first, second = generator.latents(2)
    way = generator.interpolate(first, second, 5)
    with torch.no_grad():
        torch.testing.assert_close(way[[0, -1]], generator(torch.stack([first, second])))
    assert way.shape == (5, 9)
    assert 0 < float(way.min()) < float(way.max()) < 1


def test_what_cannot_be_learned_is_refused() -> None:
    model = DenoisingDensity(DenoisingConfig(3, 4, 1, dense=True))
    with pytest.raises(UsageError, match=r"points \[10000, 2\] for a density of 3 dimensions"):
        model.fit(torch.zeros(10, 2), 0.1)
    with pytest.raises(UsageError, match="sigma = 0: above 0"):
        model.fit(torch.zeros(10, 3), 0)
    with pytest.raises(UsageError, match="3 points for 8 normal distributions in 2 dimensions"):
        NormalMixture.fit(torch.zeros(3, 2), 8)
