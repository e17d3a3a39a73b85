"""Diffusions against what is known: normal distributions, whose way back is exact, and pulses at every fifth place."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import UsageError
from densezip.models.checkpoint import as_plain, write_checkpoint
from densezip.models.latent.binomial import BinomialConfig, BinomialDiffusion
from densezip.models.latent.diffusion import Diffusion, DiffusionConfig
from densezip.models.latent.products import RULES, Rule, denoise, posterior
from densezip.models.latent.schedule import Schedule, entropy_bounds
from densezip.models.training.toys import heartbeat, swiss_roll, swiss_roll_probabilities
from laws import check_model
from PIL import Image
from small_models import made, pictures, trained
from torch import Tensor

MIDDLE, LEVELS = 127.5, 25.0


class Normal(Diffusion):
    """The diffusion of two samples ~ N(127.5, 25² C) in levels, with the way back that a perfect network would have."""

    def __init__(self, correlation: float, steps: int, last: str = "dequantized", schedule: str = "ratios") -> None:
        super().__init__(
            DiffusionConfig(
                channels=1, size=(1, 2), steps=steps, last=last, network="radial", filters=1, schedule=schedule
            )
        )
        self.double()
        self.mean.fill_(MIDDLE)
        self.scale.fill_(LEVELS)
        self.covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)

    def predict(self, now: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
        kept, noise = schedule.kept[t].view(-1, 1, 1), schedule.noise[t].view(-1, 1, 1)
        gain = torch.sqrt(kept) * self.covariance @ torch.linalg.inv(kept * self.covariance + noise * torch.eye(2))
        left = self.covariance - torch.sqrt(kept) * gain @ self.covariance
        mean = (gain @ now.reshape(-1, 2, 1)).view(now.shape)
        return mean, torch.diagonal(left, dim1=1, dim2=2).reshape(now.shape)

    def images(self, count: int) -> Tensor:
        random = torch.Generator().manual_seed(0)
        white = torch.randn(count, 2, generator=random, dtype=torch.float64)
        values = white @ torch.linalg.cholesky(self.covariance).T * LEVELS + MIDDLE
        levels: Tensor = values.round().clamp(0, 255).long()
        return levels.view(count, 1, 1, 2)

    def truth(self, x: Tensor) -> Tensor:
        white = (x.double().flatten(1) - MIDDLE) / LEVELS
        normal = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), self.covariance)
        found: Tensor = normal.log_prob(white) - 2 * math.log(LEVELS)  # type: ignore[no-untyped-call]
        return found


@pytest.mark.parametrize("last", ["dequantized", "discretized"])
def test_the_bound_is_below_the_truth_and_tight_for_many_steps(last: str) -> None:
    torch.manual_seed(0)
    gaps = []
    for steps in (5, 40):
        model = Normal(0.9, steps, last)
        x = model.images(1500)
        with torch.no_grad():
            gaps.append(float((model.truth(x) - model.bound(x)).mean()))
    assert gaps[0] > 3 * gaps[1] > 0
    assert gaps[1] < 0.1


def test_the_bound_is_that_of_the_paper_for_data_of_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    model = Normal(0.9, 10)
    x = model.images(4000)
    x0 = (x.double() - MIDDLE) / LEVELS
    model.mean.add_(float(x0.mean()) * LEVELS)
    model.scale.mul_(float((x0 - x0.mean()).square().mean().sqrt()))
    schedule = model.schedule()
    with torch.no_grad():
        image, divergences = model.all_steps(x)
    entropies = torch.log(schedule.noise[-1]) - torch.log(schedule.beta[1]) - math.log(2 * math.pi * math.e)
    paper = -divergences[1:].sum(0).mean() + entropies - 2 * torch.log(model.scale)
    assert float((image - divergences.sum(0)).mean()) == pytest.approx(float(paper), abs=0.05)
    with torch.no_grad():
        assert float(model.bound(x).mean()) == pytest.approx(float(paper), abs=0.1)


def test_one_way_forth_is_an_unbiased_likelihood_and_many_give_it() -> None:
    torch.manual_seed(0)
    model = Normal(0.9, 8)
    x = model.images(200)
    with torch.no_grad():
        elbo = torch.stack([model.elbo(x) for _ in range(20)]).mean()
    bounds = model.iw_bounds(x, [1, 200]).mean(1)
    assert float(bounds[0]) == pytest.approx(float(elbo), abs=0.05)
    truth = float(model.truth(x).mean())
    assert truth - 0.15 < float(bounds[1]) < truth + 0.05
    assert bounds[1] > bounds[0] + 0.2


@pytest.mark.parametrize("last", ["dequantized", "discretized"])
def test_images_are_coded_at_the_bound_of_one_way_forth(last: str) -> None:
    torch.manual_seed(0)
    model = Normal(0.9, 20, last)
    x = model.images(150)
    with torch.no_grad():
        bits = -float(torch.stack([model.bound(x) for _ in range(20)]).mean()) / math.log(2)
    message, calibration = Message.random(16, 2**12), Calibration(model.band)
    before, begun = message.to_bytes(), message.bits
    model.codec(calibration, (150, 1, 1, 2)).push(message, x)
    assert (message.bits - begun) / 150 == pytest.approx(bits, rel=0.02)
    assert torch.equal(model.codec(Calibration.from_bytes(calibration.to_bytes()), (150, 1, 1, 2)).pop(message), x)
    assert message.to_bytes() == before


@pytest.mark.parametrize("kind", ["ratios", "shares"])
def test_the_entropy_of_every_step_back_lies_between_its_bounds(kind: str) -> None:
    model = Normal(0.9, 12, schedule=kind)
    schedule = model.schedule()
    lower, upper = entropy_bounds(schedule)
    spread = torch.linalg.eigvalsh(model.covariance)
    variances = schedule.kept[:, None] * spread + schedule.noise[:, None]  # of x^t along each axis
    # H(x^(t-1) | x^t) = H(x^t | x^(t-1)) + H(x^(t-1)) - H(x^t), of two samples.
    exact = 2 * upper + 0.5 * (torch.log(variances[1:-1]) - torch.log(variances[2:])).sum(1)
    assert bool((2 * lower < exact).all())
    assert bool((exact < 2 * upper).all())


def test_schedules_are_the_same_in_exact_operations_and_have_gradients() -> None:
    for kind in ("ratios", "shares"):
        model = made("dequantized", schedule=kind)
        exact, other = model.schedule(exact=True), model.schedule()
        assert torch.allclose(exact.kept, other.kept, rtol=1e-12)
        assert torch.allclose(exact.beta, other.beta, rtol=1e-9)
        assert bool((exact.kept.diff() < 0).all())
        assert float(exact.beta[1]) == pytest.approx((3.0 / float(model.scale)) ** 2, rel=1e-6)
    torch.manual_seed(0)
    model.loss(torch.from_numpy(pictures(64))).backward()
    assert float(model.falls.grad.abs().min()) > 0
    assert not made("diffusion").falls.requires_grad


def test_before_training_values_are_white_noise() -> None:
    torch.manual_seed(0)
    model = made("dequantized").double()
    x = torch.from_numpy(pictures(200))
    with torch.no_grad():
        image, divergences = model.all_steps(x)
    white = (x.double() - model.mean) / model.scale
    nats = -0.5 * (white.square() + math.log(2 * math.pi)).flatten(1).sum(1) - 64 * torch.log(model.scale)
    assert float((image - divergences.sum(0)).mean()) == pytest.approx(float(nats.mean()), rel=5e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 1}, "2 or more"),
        ({"last": "none"}, "discretized or dequantized"),
        ({"schedule": "none"}, "ratios or shares"),
        ({"network": "radial"}, "with a size"),
    ],
)
def test_configurations_that_are_none_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made("diffusion", **settings)
    with pytest.raises(UsageError, match="2 or more"):
        BinomialDiffusion(BinomialConfig(steps=1))


class Pulses(BinomialDiffusion):
    """The diffusion of the heartbeat with a perfect way back: there are only five sequences."""

    def __init__(self, steps: int) -> None:
        super().__init__(BinomialConfig(size=(1, 20), steps=steps, network="layered", filters=2, blocks=1))
        self.double()
        self.rate.fill_(0.2)
        self.five = torch.stack([(torch.arange(20) % 5 == k).double() for k in range(5)])

    def predict(self, now: Tensor, t: Tensor) -> Tensor:
        ones = self.schedule().kept[t].view(-1, 1, 1) * (self.five - 0.2) + 0.2
        seen = torch.log(torch.where(now.reshape(-1, 1, 20) > 0.5, ones, 1 - ones)).sum(2)
        return torch.logit(torch.softmax(seen, 1) @ self.five, 1e-9).view(now.shape)


def test_pulses_cost_which_of_five_they_are_and_are_coded_at_that() -> None:
    torch.manual_seed(0)
    model = Pulses(100)
    x = torch.from_numpy(heartbeat(100, 0))
    with torch.no_grad():
        bits = -float(model.bound(x).mean()) / math.log(2)
    assert math.log2(5) < bits < math.log2(5) + 0.15
    net = check_model(Pulses(20), x[:6].long(), lanes=8)
    assert 6 * math.log2(5) - 6 < net < 6 * math.log2(5) + 20
    assert set(model.sample(50, 1, 20, seed=1).sum((1, 2, 3)).tolist()) == {4}


def test_a_binomial_diffusion_learns_and_its_samples_are_bits() -> None:
    torch.manual_seed(0)
    model = BinomialDiffusion(BinomialConfig(channels=1, steps=8, filters=8, blocks=1, bumps=3))
    images = torch.from_numpy((pictures(200) > 128).astype(np.uint8))
    model.initialize(images)
    with torch.no_grad():
        before = float(model.bound(images).mean())
        entropy = 64 * float(model.rate * torch.log(model.rate) + (1 - model.rate) * torch.log(1 - model.rate))
    assert before == pytest.approx(entropy, rel=0.02)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(images[:64]))
        optimizer.step()
    with torch.no_grad():
        assert float(model.bound(images).mean()) > 0.7 * before
    net = check_model(model.eval().double(), images[:4].long())
    with torch.no_grad():
        bits = -float(torch.stack([model.bound(images[:4]) for _ in range(20)]).mean(0).sum()) / math.log(2)
    assert net == pytest.approx(bits, abs=20)  # one draw, whose deviation is 5 bits
    assert set(model.sample(4, 8, 8).flatten().tolist()) == {0, 1}


def test_probabilities_of_the_roll_are_those_of_its_points() -> None:
    found = swiss_roll_probabilities()
    assert found.sum() == pytest.approx(1)
    points = swiss_roll(4000, 0)[:, 0, 0]
    entropy = -float((found[found > 0] * np.log2(found[found > 0])).sum())
    assert -float(np.log2(found[points[:, 0], points[:, 1]]).mean()) == pytest.approx(entropy, abs=0.08)


NOISE = 0.8


def ends(model: Normal, rule: Rule, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Means over ways back, and the closed form, of x^0 given what is seen of it with noise."""
    y = seen.expand(4000, 1, 1, 2)
    found = posterior(model, y, torch.full_like(y, NOISE**2), rule, torch.Generator().manual_seed(0))
    gain = model.covariance @ torch.linalg.inv(model.covariance + NOISE**2 * torch.eye(2, dtype=torch.float64))
    return found.mean(0).flatten(), gain @ seen


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_posteriors_are_those_of_normal_distributions_where_the_rule_is_exact(correlation: float) -> None:
    seen = torch.tensor([1.2, -0.3], dtype=torch.float64)
    far = {}
    for rule in RULES:
        found, exact = ends(Normal(correlation, 60), rule, seen)
        far[rule] = float((found - exact).abs().max())
    assert far["matched"] < 0.04
    if not correlation:
        assert far["expected"] < 0.04
    # The rules of the paper count what is seen more than once.
    assert min(far[rule] for rule in ("constant", "perturbed")) > 0.06


def test_noise_is_taken_out_at_once_as_by_the_linear_filter_that_is_best() -> None:
    model = Normal(0.9, 60)
    clean = model.images(400).double()
    noisy = clean + 20 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = {draws: float((denoise(model, noisy, 20.0, draws=draws) - clean).square().mean()) for draws in (0, 1, 8)}
    noise = (20 / LEVELS) ** 2 * torch.eye(2, dtype=torch.float64)
    gain = model.covariance @ torch.linalg.inv(model.covariance + noise)
    best = ((noisy - MIDDLE).flatten(1) @ gain.T).view(noisy.shape) + MIDDLE
    assert torch.allclose(denoise(model, noisy, 20.0, draws=0), best, atol=0.5)
    assert errors[0] < errors[8] < errors[1] < 400
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.3)


def test_what_cannot_be_denoised_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        denoise(made("diffusion"), torch.from_numpy(pictures(1)), 0.0)
    odd = denoise(made("diffusion"), torch.from_numpy(pictures(1))[:, :, :7, :5], 9.0, rule="expected")
    assert odd.shape == (1, 1, 7, 5)


def test_the_command_takes_noise_out_of_a_file(tmp_path: Path) -> None:
    model = trained("diffusion")
    checkpoint = tmp_path / "model.safetensors"
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    write_checkpoint(checkpoint, tensors, {"model": "diffusion", "config": as_plain(model.config)})
    clean = pictures(1, seed=9)[0, 0].astype(float)
    noisy = (clean + np.random.default_rng(0).normal(0, 25, clean.shape)).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    result = run("denoise", checkpoint, tmp_path / "noisy.png", "--noise", "25", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "out.png") as image:
        found = np.asarray(image).astype(float)
    assert np.square(found - clean).mean() < 0.7 * np.square(noisy - clean).mean()
    wrong = run(
        "denoise", checkpoint, tmp_path / "noisy.png", "--noise", "25", "--rule", "no", "-o", tmp_path / "x.png"
    )
    assert (wrong.exit_code, "matched, expected" in wrong.stderr) == (2, True)
    other = run("denoise", "vae-mnist", tmp_path / "noisy.png", "--noise", "25", "-o", tmp_path / "x.png")
    assert (other.exit_code, "a Gaussian diffusion is needed" in other.stderr) == (2, True)
    assert not (tmp_path / "x.png").exists()
