import math
from dataclasses import replace

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.causal import Neighbourhoods, Whitening
from densezip.models.autoregressive.gaussians import log_masses, mixture_log_prob
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from laws import check_tensor_pmf
from scans import check_future, check_scan, pictures, train

SMALL = McgsmConfig(channels=3, radius=2, components=3, scales=2, features=4)


def model(**settings: int) -> Mcgsm:
    torch.manual_seed(1)
    made = Mcgsm(replace(SMALL, **settings)).double()
    made.initialize(pictures(4, made.channels, 12, 12))
    return made


def mixtures(n: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    logits, means = torch.randn(n, 3, 2, dtype=dtype), torch.rand(n, 3, dtype=dtype) * 300 - 20
    return logits, means, torch.tensor([[-2.5, 0.0], [1.0, 2.0], [3.0, 4.5]], dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masses_of_all_values_sum_to_one(dtype: torch.dtype) -> None:
    parts = mixtures(20, dtype)
    values = [mixture_log_prob(torch.full((20,), y), parts[0], parts[1], parts[2]).exp() for y in range(256)]
    total = torch.stack(values).sum(0)
    torch.testing.assert_close(total, torch.ones(20, dtype=dtype), rtol=0, atol=1e-5)


def test_masses_are_those_of_the_error_function_far_out_too() -> None:
    x, means = torch.tensor([0, 255, 128, 128, 200]), torch.tensor([[40.0], [40.0], [128.0], [100.0], [0.0]])
    log_scales = torch.tensor([[0.0, 1.0, -2.5]])
    found = log_masses(x, means, log_scales)
    double = log_masses(x, means.double(), log_scales.double())
    torch.testing.assert_close(found.double(), double, rtol=1e-5, atol=1e-5)
    # 27.5 deviations out: the upper edge's tail alone, by its asymptotic series.
    z = 27.5
    tail = -z * z / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log(1 - 1 / z**2 + 3 / z**4 - 15 / z**6)
    assert float(double[3, 0, 0]) == pytest.approx(tail, abs=1e-6)
    assert float(double[2, 0, 0]) == pytest.approx(math.log(math.erf(0.5 / math.sqrt(2))), abs=1e-12)


def test_fused_derivatives_are_the_derivatives() -> None:
    logits, means, log_scales = (part[:6] for part in mixtures(6, torch.float64))
    x = torch.tensor([0, 255, 3, 77, 128, 254])
    parts = tuple(part.requires_grad_() for part in (logits, means, log_scales))
    assert torch.autograd.gradcheck(lambda *p: mixture_log_prob(x, *p), parts)


def test_rare_samples_keep_their_logarithm_and_derivatives() -> None:
    """Where every mass is below the smallest float32."""
    parts = tuple(
        part.requires_grad_() for part in (torch.zeros(2, 1, 2), torch.tensor([[10.0], [250.0]]), torch.zeros(1, 2))
    )
    log_prob = mixture_log_prob(torch.tensor([200, 5]), parts[0], parts[1], parts[2])
    assert (log_prob < -10000).all()
    by_logits, by_means, by_scales = torch.autograd.grad(log_prob.sum(), parts)
    assert float(by_means[0]) == pytest.approx(189.5, rel=1e-3)
    assert float(by_means[1]) == pytest.approx(-244.5, rel=1e-3)
    assert torch.isfinite(by_logits).all()
    assert (by_scales > 10000).all()


def test_whitened_values_are_uncorrelated_and_depend_on_earlier_ones_only() -> None:
    torch.manual_seed(0)
    values = (torch.randn(4000, 5) @ torch.randn(5, 5) * 20 + 100).double()
    whitening = Whitening(3, 2).double()
    whitening.fit(values)
    white = whitening(values).detach()
    torch.testing.assert_close(white.T @ white / 4000, torch.eye(5).double(), rtol=0, atol=2e-2)
    moved = values.clone()
    moved[:, 3] += 50
    assert torch.equal(whitening(moved)[:, :3], white[:, :3])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (6, 1), (5, 7), (3, 2)])
def test_neighbourhoods_lie_before_their_pixel_in_the_wavefront(height: int, width: int) -> None:
    found = Neighbourhoods(height, width, 2)
    at = torch.arange(height * width)
    step = at % width + 3 * (at // width)
    assert ((step[found.source] < step[:, None]) | found.outside).all()


@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "features"),
    [
        (2, 3, 5, 6, 4),
        (1, 3, 5, 6, 0),
        (2, 1, 6, 5, 4),
        (1, 1, 4, 4, 0),
        (3, 3, 1, 1, 4),
        (1, 3, 1, 7, 4),
        (2, 1, 7, 1, 0),
    ],
)
def test_mcgsm_scan_agrees_with_the_parallel_pass(
    batch: int, channels: int, height: int, width: int, features: int
) -> None:
    net = model(channels=channels, features=features)
    check_scan(net.scan(batch, height, width), (batch, channels, height, width), net.log_prob)


def test_mcgsm_pmfs_are_distributions() -> None:
    net, x = model(), pictures(2, 3, 4, 4)
    scan = net.scan(2, 4, 4)
    for step, parameters in enumerate(scan.parallel(x)):
        if step in (0, 4, 8):
            check_tensor_pmf(scan.pmf(parameters), 256, len(parameters))


@pytest.mark.parametrize(("channels", "features"), [(1, 4), (3, 4), (3, 0)])
def test_mcgsm_ignores_future_samples(channels: int, features: int) -> None:
    check_future(model(channels=channels, features=features), channels)


def test_experts_start_at_the_best_linear_prediction() -> None:
    """Means are within a few per cent of those of least squares, and beat the channel's own mean by far."""
    net, x = model(components=1), pictures(8, 3, 12, 12)
    scan = net.scan(8, 12, 12)
    assert isinstance(scan.steps, list)
    errors, spread = [], []
    for elements, parameters in zip(scan.steps, scan.parallel(x), strict=True):
        truth = x.flatten(1)[:, elements].flatten().double()
        errors.append((scan.mixture(parameters)[1][:, 0] - truth).square())  # type: ignore[attr-defined]
        spread.append((truth - 128).square())
    assert float(torch.cat(errors).mean()) < 0.35 * float(torch.cat(spread).mean())


@pytest.mark.parametrize("features", [4, 0])
def test_mcgsm_learns(features: int) -> None:
    net = model(features=features, components=4)
    x = pictures(32, 3, 8, 8)
    losses = train(net, x, 25, 2e-2)
    assert losses[-1] < losses[0] - 0.15


@pytest.mark.parametrize("settings", [{}, {"channels": 1}])
def test_a_larger_neighbourhood_starts_at_the_density_of_a_smaller_one(settings: dict[str, int]) -> None:
    small, large = model(radius=1, **settings), model(radius=3, **settings)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    large.start_from(small)
    x = pictures(3, small.channels, 9, 7)
    torch.testing.assert_close(large.log_prob(x), small.log_prob(x))
    with pytest.raises(UsageError, match="radius, which has to be smaller"):
        small.start_from(large)
    with pytest.raises(UsageError, match="differs in components"):
        large.start_from(model(radius=1, components=2, **settings))
    with pytest.raises(UsageError, match="form, which has to be factorized"):
        model(radius=3, features=0, **settings).start_from(model(radius=1, features=0, **settings))
