"""VQ-VAE: codes are the nearest, two parts of a code, codebooks that follow what chooses them."""

from __future__ import annotations

import math

import densezip
import numpy as np
import pytest
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.rans import Message
from densezip.models.evaluation import measure
from densezip.models.hybrid.vqvae import VqVae
from small_models import SIDE, made, pictures, trained


def test_codes_name_the_nearest_vectors() -> None:
    model: VqVae = made("vq-vae")
    vectors = torch.randn(2, 2, 3, 4, 3)
    codes = model.nearest(vectors)
    distances = torch.cdist(vectors.transpose(0, 1).flatten(1, 3), model.codebook)  # [maps, n, K]
    assert torch.equal(codes.transpose(0, 1).flatten(1), distances.argmin(-1))
    assert torch.equal(model.lookup(codes)[1, 0, 2, 3], model.codebook[0, codes[1, 0, 2, 3]])
    assert torch.equal(model.nearest(model.lookup(codes)), codes)


def test_the_decoder_needs_no_encoder() -> None:
    model, other, x = trained("vq-vae").double(), trained("vq-vae").double(), torch.from_numpy(pictures(5)).long()
    with torch.no_grad():
        for name, weights in other.named_parameters():
            if name.startswith(("up.", "to_vectors.")):
                weights.zero_()
    message, calibration = Message.lending(4), Calibration(model.band)
    model.codec(calibration, (5, 1, SIDE, SIDE)).push(message, x)
    assert message.lent < 4  # heads that round up, of four lanes
    reader = Calibration.from_bytes(calibration.to_bytes())
    assert torch.equal(other.codec(reader, (5, 1, SIDE, SIDE)).pop(Message.from_bytes(message.to_bytes())), x)
    reader.finish()


def test_the_bound_is_a_code_of_two_parts_under_either_prior() -> None:
    model, x = trained("vq-vae"), torch.from_numpy(pictures(64, seed=3))
    alike = made("vq-vae", prior="uniform")
    alike.load_state_dict({name: value for name, value in model.state_dict().items() if "codes_prior" not in name})
    with torch.no_grad():
        codes, uniform = float(model.kl(x).mean()), float(alike.kl(x).mean())
        assert uniform == pytest.approx(2 * (SIDE // 4) ** 2 * math.log(12))
        assert codes < 0.98 * uniform  # codes know each other
        assert torch.allclose(model.elbo(x) + model.kl(x)[0], alike.elbo(x) + alike.kl(x)[0], atol=1e-3)
        assert torch.equal(model.iw_bound(x, 3), model.log_weights(x)[0].double())
    found = measure(alike, x.numpy())
    assert found.lossless
    assert found.pmf_bpd == pytest.approx(found.reported_bpd, rel=1e-3)


def test_one_image_takes_what_it_takes_among_many() -> None:
    model, images = trained("vq-vae"), pictures(6, seed=4)
    together, alone = measure(model, images), [measure(model, image[None]) for image in images]
    assert sum(found.pmf_bpd for found in alone) / 6 == pytest.approx(together.pmf_bpd, rel=1e-3)


def test_gradients_pass_the_choice_of_codes_but_not_to_the_prior() -> None:
    model, x = made("vq-vae", commitment=0.0).train(), torch.from_numpy(pictures(8))
    model.loss(x).backward()
    assert all(bool(p.grad.any()) for p in model.up.parameters())
    model.zero_grad()
    model.log_prior(model.encode(x)).sum().backward()
    assert all(p.grad is None for p in model.up.parameters())


def test_the_codebook_follows_what_chooses_it_and_begins_anew_where_nothing_does() -> None:
    model, x = made("vq-vae").train(), torch.from_numpy(pictures(32))
    with torch.no_grad():
        model.codebook[0, 0], model.uses[0, 0] = 1e3, 0.0
        vectors = model.vectors_of(x)
        before = (vectors - model.lookup(model.nearest(vectors))).square().mean()
        model.loss(x)
        distance = (vectors[:, 0].reshape(-1, 3) - model.codebook[0, 0]).norm(dim=1)
        assert distance.min() < 1e-5
        for _ in range(300):
            model.loss(x)
        assert (vectors - model.lookup(model.nearest(vectors))).square().mean() < 0.9 * before
        kept = model.codebook.clone()
        model.eval().loss(x)
    assert torch.equal(model.codebook, kept)
    assert bool((model.perplexity(x) > 1).all())
    assert bool((model.perplexity(x) <= 12).all())


def test_draws_look_like_the_data_and_holes_are_filled_by_them() -> None:
    model = trained("vq-vae")
    drawn = model.sample(64, SIDE, SIDE, seed=1)
    assert torch.equal(drawn, model.sample(64, SIDE, SIDE, seed=1))
    assert drawn.float().mean() == pytest.approx(128, abs=20)
    x, mask = torch.from_numpy(pictures(16, seed=8)), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[2:6, 2:6] = True
    filled = model.fill(torch.where(mask, 0, x), mask, 60, seed=2)
    assert torch.equal(filled[..., ~mask], x[..., ~mask])
    error = (filled.float() - x.float())[..., mask].mean(-1).abs().mean()
    assert error < x.float()[..., mask].mean(-1).std()


def test_reconstructions_are_near_and_interpolations_end_at_them() -> None:
    model, x = trained("vq-vae"), torch.from_numpy(pictures(8, seed=7))
    again = model.reconstruct(x)
    assert (again - x).abs().mean() < (x.float().mean((1, 2, 3), keepdim=True) - x).abs().mean()
    way = model.interpolate(x[0], x[1], 5)
    assert torch.allclose(way[0], again[0], atol=1e-2)
    assert torch.allclose(way[-1], again[1], atol=1e-2)


def test_images_of_two_levels_have_codes_too() -> None:
    model, images = made("vq-vae", levels=2), (pictures(20) > 128).astype(np.uint8)
    found = measure(model, images)
    assert found.lossless
    assert found.pmf_bpd == pytest.approx(found.reported_bpd, rel=5e-3)


@pytest.mark.parametrize("settings", [{"prior": "none"}, {"maps": 0}, {"codes": 1}])
def test_a_configuration_that_is_none_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(densezip.UsageError, match=r"prior = .* \(autoregressive or uniform\)"):
        made("vq-vae", **settings)
