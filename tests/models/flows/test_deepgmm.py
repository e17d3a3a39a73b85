"""Deep mixtures of Gaussians: what a path costs, what bounds say of the likelihood, and how they begin."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.flows.blocks import Blocks
from densezip.models.flows.deepgmm import DeepGmm, DeepGmmConfig
from laws import check_model
from small_models import pictures
from torch import Tensor

SMALL: dict[str, Any] = {"channels": 1, "side": 8, "patch": 2, "kernel": 3, "layers": 2, "choices": 3}
KINDS: dict[str, dict[str, Any]] = {
    "unshared, drawn by a gate": {"gate": 4},
    "unshared, best": {"gate": 0, "drawn": False},
    "shared, drawn by a gate": {"gate": 4, "shared": True},
    "shared, best": {"gate": 0, "shared": True, "drawn": False},
    "diagonal": {"gate": 0, "diagonals": 1},
    "shared diagonal": {"gate": 0, "shared": True, "diagonals": 2},
    "below only": {"gate": 4, "between": 0},
}


def _made(**settings: Any) -> Any:
    """A model whose weights are not those of its beginning, in float64."""
    torch.manual_seed(0)
    config = DeepGmmConfig(**{**SMALL, **settings})
    model = DeepGmm(config)
    model.initialize(torch.from_numpy(pictures(300, config.channels, config.side)))
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
        for layer in model.mixtures:
            if layer.gate is not None:
                last: Any = layer.gate[2]
                last.weight.add_(0.5 * torch.randn_like(last.weight))
    return model.double().eval()


def _values(model: Any, count: int, side: int = 8, seed: int = 2) -> Tensor:
    images = torch.from_numpy(pictures(count, model.channels, side, seed))
    torch.manual_seed(seed)
    return images + torch.rand(images.shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_by_a_path_a_mixture_is_one_linear_map(kind: str) -> None:
    model = _made(**KINDS[kind])
    y = _values(model, 3)
    z, log_det, _, path = model.along(y)
    assert torch.allclose(model.back(z, path), y, rtol=0, atol=1e-9)
    first = [choice[:1] for choice in path]
    jacobian = torch.func.jacrev(lambda v: model.along(v.view(y[:1].shape), first)[0].flatten())(y[0].flatten())
    assert log_det[0].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-9)
    moved = y[:1] + 3 * torch.randn_like(y[:1])
    by_matrix = z[:1].flatten() + jacobian @ (moved - y[:1]).flatten()
    assert torch.allclose(model.along(moved, first)[0].flatten(), by_matrix, rtol=0, atol=1e-8)


def _of_all_paths(model: Any, y: Tensor) -> Tensor:
    """Nats of values under every path, with those of the path: [paths, B]."""
    groups = 1 if model.config.shared else y.shape[2] * y.shape[3] // model.config.patch**2
    choices, layers, count = model.config.choices, model.config.layers, len(y)
    paths = torch.tensor(list(itertools.product(range(choices), repeat=layers * groups))).view(-1, layers, groups)
    given = [path.repeat_interleave(count, 0) for path in paths.unbind(1)]
    for layer in model.mixtures:
        layer.drawn = False  # odds are then those of the prior
    z, log_det, log_prior, _ = model.along(y.repeat(len(paths), 1, 1, 1), given)
    for layer in model.mixtures:
        layer.drawn = model.config.drawn
    nats: Tensor = log_det + log_prior + model.latent_log_prob(z)
    return nats.view(len(paths), count)


@pytest.mark.parametrize("shared", [False, True])
def test_the_likelihood_is_between_the_best_path_and_that_with_the_number_of_paths(shared: bool) -> None:
    size: dict[str, Any] = {"side": 4, "shared": shared, "choices": 2 if not shared else 4}
    model = _made(gate=0, drawn=False, **size)
    y = _values(model, 5, 4)
    nats = _of_all_paths(model, y)
    assert math.log(len(nats)) == pytest.approx(model.log_paths(4, 4))
    whole, best = nats.logsumexp(0), nats.amax(0)
    bound = model.log_prob(y)
    assert bool((bound <= best + 1e-9).all())
    assert bool((best <= whole).all())
    assert bool((whole <= best + model.log_paths(4, 4)).all())
    # Choices of one layer alone are nearly as good as a search over all paths.
    assert (best - bound).mean() < 0.1 * model.log_paths(4, 4)


@pytest.mark.parametrize("settings", [{"gate": 4}, {"gate": 0}, {"gate": 4, "shared": True}])
def test_one_layer_that_draws_reports_the_likelihood_itself(settings: dict[str, Any]) -> None:
    model = _made(layers=1, side=4, **settings)
    y = _values(model, 20, 4)
    model.train()  # latents are normal, which choices take them for
    whole = _of_all_paths(model, y).logsumexp(0)
    for _ in range(3):
        assert torch.allclose(model.log_prob(y), whole, rtol=0, atol=1e-8)


def test_draws_have_the_density_of_one_layer_with_its_gate() -> None:
    """The mean over draws of g(y) / p(y) is the integral of g, 1 for a density g."""
    model = _made(layers=1, side=2, below=1, gate=4)
    torch.manual_seed(3)
    with torch.no_grad():
        y = model.inverse(torch.randn(20_000, 4, 1, 1, dtype=torch.float64))
        middle: Any = torch.distributions.MultivariateNormal(y.flatten(1).mean(0), 0.4 * y.flatten(1).T.cov())
        ratio = torch.exp(middle.log_prob(y.flatten(1)) - model.log_prob(y))
    assert ratio.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", ["shared, drawn by a gate", "unshared, best", "diagonal"])
def test_files_take_the_bound_whatever_the_choices(kind: str) -> None:
    model = _made(**KINDS[kind])
    x = torch.from_numpy(pictures(5, seed=4)).long()
    with torch.no_grad():
        torch.manual_seed(0)
        reported = -float(torch.stack([model.bound(x) for _ in range(10)]).mean(0).sum()) / math.log(2)
    assert check_model(model, x) == pytest.approx(reported, rel=0.015)


def test_choices_begin_as_the_kinds_of_blocks_that_there_are() -> None:
    torch.manual_seed(0)
    kind = torch.rand(400, 9) < 0.4
    stripes = torch.randn(400, 9, 2, 1).repeat(1, 1, 1, 2), torch.randn(400, 9, 1, 2).repeat(1, 1, 2, 1)
    x = torch.where(kind[..., None, None], 2 * stripes[0], stripes[1]).flatten(2) + 0.1 * torch.randn(400, 9, 4)
    layer = Blocks(4, 2)
    layer.fit(x.mT.reshape(400, 4, 3, 3))
    found = layer.choose(x.mT.reshape(400, 4, 3, 3)) == 1
    agreement = float((found == kind).float().mean())
    assert max(agreement, 1 - agreement) > 0.95


def test_half_convolutions_change_one_colour_of_a_checkerboard_by_the_other() -> None:
    torch.manual_seed(0)
    model = DeepGmm(DeepGmmConfig(channels=1, patch=4, below=1, layers=1, kernel=3)).double()
    first = list(model.layers)[:-1]
    nn_weights = [weights for layer in first for weights in layer.parameters()]
    with torch.no_grad():
        for weights in nn_weights:
            weights.normal_()

    def mixed(v: Tensor) -> Tensor:
        x = v.view(1, 1, 8, 8)
        for layer in first:
            x = layer(x)[0]
        for layer in reversed(first[:-1]):
            x = layer.inverse(x)
        return x.flatten()

    by_others = torch.func.jacrev(mixed)(torch.randn(64, dtype=torch.float64)) - torch.eye(64, dtype=torch.float64)
    changed = ((torch.arange(8)[:, None] + torch.arange(8)) % 2 == 0).flatten()
    assert by_others[~changed].abs().max() < 1e-9
    assert by_others[changed][:, changed].abs().max() < 1e-9
    assert by_others[changed][:, ~changed].abs().min() > 1e-6


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"patch": 3}, "patch = 3"),
        ({"patch": 1}, "patch = 1"),
        ({"kernel": 4}, "kernel = 4"),
        ({"layers": 0}, "layers = 0"),
        ({"diagonals": 3, "layers": 2}, "diagonals = 3"),
        ({"shared": True, "side": 6, "patch": 4}, "side = 6"),
    ],
)
def test_settings_that_make_no_mixture_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        DeepGmm(DeepGmmConfig(**settings))
