"""The autoregressive posterior: one density however it is drawn, passes of its network, where it begins."""

from __future__ import annotations

from typing import Any

import densezip
import pytest
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.rans import Message
from small_models import made, pictures, trained

FORMS = ["iaf", "maf"]


@pytest.mark.parametrize("form", FORMS)
def test_latents_drawn_at_once_have_the_density_of_those_in_turn(form: str) -> None:
    model, x = trained(form).double(), torch.from_numpy(pictures(5))
    with torch.no_grad():
        weights, latents = model.log_weights(x)
        assert torch.allclose(weights, model._weight(x, latents), atol=1e-9)
        _, posterior = model.posterior(latents[:-1], model.features(x))
    assert posterior.std() > 0
    assert [z.shape for z in latents] == [(5, 1)] * model.layers


@pytest.mark.parametrize("form", FORMS)
def test_a_latent_depends_on_those_before_it_only(form: str) -> None:
    model = trained(form).double()
    z = torch.randn(4, dtype=torch.float64)
    context = torch.randn(1, model.config.context, dtype=torch.float64)
    jacobian: Any = torch.func.jacrev(lambda v: model.masked(v[None], context)[0][0])(z)
    assert (jacobian.triu() == 0).all()
    assert (jacobian.tril(-1)[1:].abs().sum(1) > 0).all()


@pytest.mark.parametrize(("form", "encoder", "decoder"), [("iaf", 4, 4), ("maf", 4, 1)])
def test_a_decoder_of_the_direct_form_takes_one_pass(form: str, encoder: int, decoder: int) -> None:
    model, x = made(form).double(), torch.from_numpy(pictures(2)).long()
    message, calibration, calls = Message.random(16, 4096), Calibration(model.band), list[int]()
    model.masked.register_forward_hook(lambda *_: calls.append(1))
    model.codec(calibration, tuple(x.shape)).push(message, x)
    pushed = len(calls)
    calibration = Calibration.from_bytes(calibration.to_bytes())
    assert torch.equal(model.codec(calibration, tuple(x.shape)).pop(message), x)
    assert (pushed, len(calls) - pushed) == (encoder, decoder)


@pytest.mark.parametrize("form", FORMS)
def test_it_begins_at_the_density_of_a_vae(form: str) -> None:
    vae, model, x = trained("vae"), made(form, scales="channel", seed=5), torch.from_numpy(pictures(300))
    model.start_from(vae)
    with torch.no_grad():
        bounds = [torch.stack([m.elbo(x) for _ in range(20)]).mean() for m in (vae, model)]
    assert bounds[1] == pytest.approx(float(bounds[0]), rel=2e-3)


@pytest.mark.parametrize("name", ["topdown", "maps", "iaf"])
def test_what_is_no_vae_of_like_sizes_is_no_beginning(name: str) -> None:
    with pytest.raises(densezip.UsageError, match="a Vae of the same sizes is needed"):
        made("iaf").start_from(made(name))


def test_a_vae_of_more_blocks_is_no_beginning() -> None:
    for blocks in (0, 2):
        with pytest.raises(densezip.UsageError, match="a Vae of the same sizes is needed"):
            made("iaf").start_from(made("vae", blocks=blocks))


@pytest.mark.parametrize("settings", [{"side": 0}, {"form": "flow"}])
def test_a_posterior_of_no_form_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(densezip.UsageError, match="iaf or maf"):
        made("iaf", **settings)
