"""Distributions of samples: masses that sum to one, integers that agree with them, and channels that know others."""

from __future__ import annotations

import math

import pytest
import torch
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import SymbolError
from densezip.models.likelihoods import BernoulliFamily, Family, LogisticFamily, MixtureFamily
from laws import check_codec

FAMILIES = [BernoulliFamily(), LogisticFamily(), LogisticFamily(16), MixtureFamily(64, 1, 3), MixtureFamily(64, 3, 2)]


def parameters(family: Family, shape: tuple[int, int, int, int], seed: int = 0) -> torch.Tensor:
    """Random ones, on the grid, with scales of about a tenth of the range."""
    random = torch.Generator().manual_seed(seed)
    found = 0.3 * torch.randn(*shape, family.parameters, generator=random, dtype=torch.float64)
    if isinstance(family, MixtureFamily):
        found[..., 2 * family.components : 3 * family.components] -= 2
    elif family.levels > 2:
        found[..., 1] -= 2
    return (found / family.grid).round() * family.grid


def channels_of(family: Family) -> int:
    return family.channels if isinstance(family, MixtureFamily) else 2


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_masses_of_a_sample_sum_to_one(family: Family) -> None:
    """Of the last channel, for any values of those before it."""
    channels = channels_of(family)
    rows = parameters(family, (1, channels, 1, 1)).expand(family.levels, -1, -1, -1, -1)
    x = torch.randint(0, family.levels, (1, channels, 1, 1)).repeat(family.levels, 1, 1, 1)
    x[:, -1, 0, 0] = torch.arange(family.levels)
    assert family.log_prob(rows, x)[:, -1].exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_the_coded_size_is_the_likelihood_and_images_come_back(family: Family) -> None:
    shape = (6, channels_of(family), 5, 4)
    rows = parameters(family, shape)
    x = family.draw(rows, torch.Generator().manual_seed(0)).long()
    assert x.shape == shape
    net = check_codec(family.codec(rows), x.flatten(), lanes=8)
    assert net == pytest.approx(-float(family.log_prob(rows, x).sum()) / math.log(2), rel=2e-3)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_draws_have_the_expected_mean(family: Family) -> None:
    rows = parameters(family, (1, channels_of(family), 1, 1), seed=3)
    drawn = family.draw(rows.expand(20_000, -1, -1, -1, -1), torch.Generator().manual_seed(1)).double()
    # Logistics are cut at the ends of the range, which their mean does not know.
    assert torch.allclose(drawn.mean(0), family.mean(rows)[0], atol=0.02 * family.levels)


def test_a_channel_follows_the_one_before_it() -> None:
    family = MixtureFamily(256, 3, 1)
    rows = torch.tensor([0.0, 0.0, -4.0, 0.9, 0.0], dtype=torch.float64).expand(500, 3, 1, 1, -1)
    rows = rows.clone()
    rows[:, 0, ..., 2] = -1.0
    first, second, _ = family.draw(rows, torch.Generator().manual_seed(0)).double()[..., 0, 0].unbind(1)
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] > 0.95


def test_a_sample_outside_the_alphabet_leaves_the_message_as_it_was() -> None:
    family = MixtureFamily(16, 3, 2)
    codec, message = family.codec(parameters(family, (1, 3, 2, 2))), Message.random(4, 100)
    before = message.to_bytes()
    symbols = torch.zeros(12, dtype=torch.int64)
    symbols[0] = 16
    with pytest.raises(SymbolError, match="symbol 16; the alphabet is 0 to 15"):
        codec.push(message, symbols)
    assert message.to_bytes() == before


@pytest.mark.parametrize("family", FAMILIES[1:], ids=repr)
@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_gradients_are_finite_however_far_off_the_parameters_are(family: Family, extreme: float) -> None:
    rows = torch.full((1, channels_of(family), 2, 2, family.parameters), extreme, requires_grad=True)
    x = torch.tensor([0, 1, family.levels // 2, family.levels - 1]).view(1, 1, 2, 2).expand(rows.shape[:-1])
    found = family.log_prob(rows, x)
    assert bool(found.isfinite().all())
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert bool(rows.grad.isfinite().all())
