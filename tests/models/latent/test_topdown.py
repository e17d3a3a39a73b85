"""The top-down hierarchy: one pass for all layers, silent layers, bins."""

from __future__ import annotations

import copy

import densezip
import pytest
import torch
from densezip.models.evaluation import measure
from densezip.models.latent.topdown import TopDown, TopDownConfig
from small_models import made, pictures, trained


def deep() -> TopDown:
    """Four layers, two at each of two resolutions."""
    model: TopDown = made("topdown", layers=2)
    return model


def test_layers_in_turn_take_one_pass_of_the_network() -> None:
    model = deep()
    calls = list[int]()
    for name, module in model.named_modules():
        if name.endswith(".before"):
            module.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        model.elbo(torch.from_numpy(pictures(3)))
    # The first layer has nothing above it to know it by: its state is made for prior, posterior and the next.
    assert len(calls) <= model.layers + 3


def test_what_was_kept_is_used_for_the_same_latents_and_weights_only() -> None:
    model, x = deep(), torch.from_numpy(pictures(3))
    with torch.no_grad():
        latents, _, _ = model.infer(x)
        kept = [model.prior(latents[:n], (3, 8, 8))[0] for n in range(model.layers)]
        fresh = [copy.deepcopy(model).prior(latents[:n], (3, 8, 8))[0] for n in range(model.layers)]
        assert all(torch.equal(a, b) for a, b in zip(kept, fresh, strict=True))
        before = model.likelihood(latents, (3, 8, 8))
        model.top.add_(1)
        assert not torch.equal(model.likelihood(latents, (3, 8, 8)), before)
        others = [latents[0], *(z + 1 for z in latents[1:])]
        assert torch.equal(model.likelihood(others, (3, 8, 8)), copy.deepcopy(model).likelihood(others, (3, 8, 8)))
        assert model.likelihood([z[:1] for z in latents], (1, 8, 8)).shape == (1, 1, 8, 8, 2)


def test_a_posterior_that_moves_nothing_costs_nothing() -> None:
    model, x = deep(), torch.from_numpy(pictures(3))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.startswith(("down.2.change", "down.3.change")):
                weights.zero_()
        nats = model.kl(x).mean(1)
    assert (nats[:2] > 0).all()
    assert (nats[2:] == 0).all()


def test_coarse_bins_lend_less() -> None:
    model, images = trained("topdown"), pictures(4, seed=9)
    model.bins = 1 << 6
    coarse = measure(model, images)
    model.bins = 1 << 12
    fine = measure(model, images)
    latents = 2 * (2**2 + 4**2)
    assert 0.8 * 6 * latents < 64 * (fine.initial_bpd - coarse.initial_bpd) * len(images) < 1.6 * 6 * latents
    assert coarse.lossless
    assert coarse.pmf_bpd > 0.999 * fine.pmf_bpd


def test_a_hierarchy_without_layers_is_refused() -> None:
    with pytest.raises(densezip.UsageError, match="layers = 0"):
        TopDown(TopDownConfig(layers=0))
