import math

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.choices import Mode
from densezip.models.autoregressive.ensemble import (
    TRANSFORMS,
    Ensemble,
    Mixture,
    best_transform,
    ensemble_log_prob,
    transform,
    transform_log_probs,
    undo,
)
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.shapes import weights_digest
from laws import check_model
from scans import check_scan, pictures


def mcgsm(channels: int = 1, seed: int = 1) -> Mcgsm:
    torch.manual_seed(seed)
    made = Mcgsm(McgsmConfig(channels=channels, radius=1, components=2, scales=2, features=3)).double()
    made.initialize(pictures(4, channels, 8, 8))
    return made


def ride(channels: int = 1) -> Ride:
    torch.manual_seed(3)
    made = Ride(RideConfig(channels=channels, radius=1, hidden=3, components=3, scales=1, features=2)).double()
    made.initialize(pictures(4, channels, 8, 8))
    return made


def test_transforms_are_eight_and_undone() -> None:
    x = torch.arange(6).view(1, 1, 2, 3)
    found = [transform(x, number) for number in range(TRANSFORMS)]
    assert len({(tuple(y.shape), tuple(y.flatten().tolist())) for y in found}) == 8
    for number, y in enumerate(found):
        assert torch.equal(undo(y, number), x)


@torch.no_grad()
def test_ensemble_is_the_average_density_and_the_same_for_every_transform() -> None:
    model, x = mcgsm(3), pictures(3, 3, 4, 5)
    each = torch.stack([model.log_prob(transform(x, number)) for number in range(TRANSFORMS)])
    found = ensemble_log_prob(model, x)
    torch.testing.assert_close(found.exp(), each.exp().mean(0))
    torch.testing.assert_close(ensemble_log_prob(model, transform(x, 5)), found)
    numbers, best = best_transform(model, x)
    assert torch.equal(best, each[numbers, torch.arange(3)])
    assert (best >= found).all()
    assert (best - math.log(8) <= found).all()


@pytest.mark.parametrize("mode", ["best", "exact"])
def test_files_of_an_ensemble_take_its_rate_and_the_transforms(mode: Mode) -> None:
    model, x = mcgsm(), pictures(3, 1, 4, 5)
    with torch.no_grad():
        rates = transform_log_probs(model, x) / math.log(2)
        average = -float(ensemble_log_prob(model, x).sum()) / math.log(2)
    bits = check_model(Ensemble(model, mode), x, lanes=8)
    expected = average if mode == "exact" else -float((rates.max(0).values - 3).sum())
    # The bits that draw a transform, three of less than a bit each, are rounded to a grid.
    assert bits == pytest.approx(expected, abs=1)
    assert average < expected + 1e-9


def test_the_digest_of_an_ensemble_is_that_of_its_mode() -> None:
    model = mcgsm()
    assert len({weights_digest(found) for found in (model, Ensemble(model, "best"), Ensemble(model, "exact"))}) == 3


def test_an_ensemble_of_a_model_that_takes_no_transposed_images_is_refused() -> None:
    model = mcgsm()
    model.size = (4, 5)
    with pytest.raises(UsageError, match="transposed images for a model of 5x4 pixels"):
        Ensemble(model)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 4, 5), (1, 1, 4), (1, 1, 1)])
def test_mixture_scan_agrees_with_the_parallel_pass(channels: int, height: int, width: int) -> None:
    model = Mixture([mcgsm(channels), ride(channels)])
    check_scan(model.scan(2, height, width), (2, channels, height, width), model.log_prob)


@torch.no_grad()
def test_mixture_averages_the_probabilities_of_each_sample() -> None:
    members, x = [mcgsm(seed=1), mcgsm(seed=2), ride()], pictures(2, 1, 4, 4)
    each = torch.stack([member.log_probs(x).exp() for member in members])
    torch.testing.assert_close(Mixture(members).log_prob(x), each.mean(0).log().flatten(1).sum(1))


def test_mixture_refuses_models_of_different_orders() -> None:
    other = Mcgsm(McgsmConfig(channels=1, radius=2, components=2, scales=2, features=3))
    with pytest.raises(UsageError, match="different orders"):
        Mixture([mcgsm(), other])
