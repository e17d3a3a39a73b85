"""V-ADE: a VAE behind a flow, and without one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.ade.behind import SPEED
from densezip.models.ade.vade import Vade, VadeConfig
from densezip.models.evaluation import measure
from densezip.models.flows.norms import Standardize
from laws import check_model
from small_models import made, pictures, trained


def test_a_vae_whose_latents_say_nothing_is_a_normal_density_of_pixels() -> None:
    """Then the bound is the closed form, whatever is drawn of the latents, and the coded cost is that."""
    model: Any = made("isotropic").double()
    with torch.no_grad():
        for weights in (*model.vae.ends.parameters(), *model.vae.down[0].change.parameters()):
            weights.zero_()
        model.vae.log_scale.fill_(-0.6875 / SPEED)  # on the grid
    x = torch.from_numpy(pictures(30, seed=1)).long()
    (first,) = (layer for layer in model.layers if isinstance(layer, Standardize))
    normal: Any = torch.distributions.Normal(first.center, math.exp(-0.6875) * first.spread)
    y = x + torch.rand(x.shape, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(model.log_prob(y), normal.log_prob(y).flatten(1).sum(1), rtol=1e-9)
    bits = -float(normal.log_prob(x + 0.5).sum()) / math.log(2)
    assert check_model(model, x) == pytest.approx(bits, rel=0.01)


def test_a_deviation_between_two_steps_of_the_grid_is_not_noted_for_every_sample() -> None:
    """As of weights in float16, which are often there."""
    model: Any = made("isotropic")
    with torch.no_grad():
        model.vae.log_scale.fill_((-0.6875 + 2.0**-9) / SPEED)
    found = measure(model, pictures(20, seed=1), batch=20)
    assert found.side_bpd < 0.5


@pytest.mark.parametrize("log_scale", [-9.0, -6.0, -3.0, 0.0, 4.0])
def test_any_deviation_has_a_grid(log_scale: float) -> None:
    model = made("v-ade").double().eval()
    with torch.no_grad():
        model.vae.log_scale.fill_(log_scale / SPEED)
    assert 0 <= model.vae.bits <= model.grid.bits
    check_model(model, torch.from_numpy(pictures(3, seed=1)).long())


def test_a_flow_before_it_is_learned_with_it() -> None:
    model, fresh = trained("v-ade"), made("v-ade")
    x = torch.from_numpy(pictures(100, seed=2))
    with torch.no_grad():
        assert model.bound(x).mean() > fresh.bound(x).mean() + 10
    (old, new) = (next(layer for layer in m.layers if hasattr(layer, "gain")) for m in (fresh, model))
    assert not torch.equal(old.network.direct.weight, new.network.direct.weight)


def test_weights_of_latents_average_to_no_less_than_the_bound() -> None:
    model, x = trained("v-ade"), torch.from_numpy(pictures(20, seed=3))
    with torch.no_grad():
        z = model.transform(x + 0.5)[0]
        weights = torch.stack([model.latent_log_weight(z) for _ in range(200)])
        bounds = torch.stack([model.latent_log_prob(z) for _ in range(200)]).mean(0)
    assert weights.mean() == pytest.approx(float(bounds.mean()), abs=0.5)  # nats: both are means of one quantity
    assert bool((torch.logsumexp(weights, 0) - math.log(200) > bounds).all())


def test_scales_that_are_no_number_of_scales_are_refused() -> None:
    with pytest.raises(UsageError, match="scales = -1: 0 or more"):
        Vade(VadeConfig(scales=-1))
