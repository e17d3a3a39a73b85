import math

import pytest
import torch
from densezip.codec.entropy.codecs import Autoregressive, Codec
from densezip.codec.entropy.pmf import Pmf
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.density import AutoregressiveModel
from densezip.models.autoregressive.ensemble import (
    TRANSFORMS,
    Mixture,
    TransformCodec,
    best_transform,
    ensemble_log_prob,
    transform,
    transform_log_probs,
    undo,
)
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.ride import Ride, RideConfig
from laws import check_codec
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


def scan_codec(model: AutoregressiveModel, channels: int) -> "type[Codec[torch.Tensor]]":
    """A codec of images of one size from a scan."""

    def make(batch: int, height: int, width: int) -> Codec[torch.Tensor]:
        scan = model.scan(batch, height, width)
        size = channels * height * width
        steps = [(torch.arange(batch)[:, None] * size + step).flatten() for step in scan.steps]

        def pmf(step: int, known: torch.Tensor):  # type: ignore[no-untyped-def]
            parameters = scan.parameters(step, known)

            def part(first: int, stop: int) -> Pmf:
                return scan.pmf(parameters[first:stop])

            return part

        return Autoregressive((batch, channels, height, width), steps, pmf)

    return make  # type: ignore[return-value]


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
def test_transform_codec_gives_images_back_at_the_ensembles_rate(mode: str) -> None:
    model, x = mcgsm(), pictures(3, 1, 4, 5)
    with torch.no_grad():
        rates = transform_log_probs(model, x) / math.log(2)
    codec = TransformCodec(
        scan_codec(model, 1),
        lambda y: transform_log_probs(model, y).detach(),
        (3, 1, 4, 5),
        mode,  # type: ignore[arg-type]
    )
    if mode == "exact":
        bits = check_codec(codec, x, 8)
        expected = -float((torch.logsumexp(rates * math.log(2), 0) / math.log(2) - 3).sum())
    else:
        message = Message.random(8, 4096)
        before, begun = message.to_bytes(), message.bits
        codec.push(message, x)
        bits = message.bits - begun
        assert torch.equal(codec.pop(message), x)
        assert message.to_bytes() == before
        expected = -float((rates.max(0).values - 3).sum())
    assert bits == pytest.approx(expected, abs=1)


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
