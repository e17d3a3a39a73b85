"""The laws of densities of images: one body for every model, and one for every shape."""

from __future__ import annotations

import math
from typing import Any

import densezip
import numpy as np
import pytest
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.rans import Message
from densezip.models import measure, registry
from densezip.models.flows.bijective import Bijective
from densezip.models.flows.layers import Coupling
from densezip.models.shapes import coding_digest, weights_digest
from densezip.models.training.recipe import presets, read_config
from laws import check_model
from numpy.typing import NDArray
from small_models import MODELS, SIDE, made, pictures, trained

HIERARCHIES = ["vae", "maps", "iaf", "maf", "topdown"]
CHAINS = ["diffusion", "dequantized"]
LATENT = [*HIERARCHIES, *CHAINS]
MAPS = ["affine", "additive", "v-ade", "isotropic", "gaussian"]
FLOWS = [*MAPS, "deep-gmm"]


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_pop_inverts_push_and_the_cost_is_the_bound(name: str) -> None:
    model = trained(name) if name in LATENT + FLOWS else made(name)
    images = torch.from_numpy(pictures(6, seed=2))
    with torch.no_grad():
        torch.manual_seed(0)
        reported = -float(torch.stack([model.bound(images) for _ in range(50)]).mean(0).sum()) / math.log(2)
    net = check_model(model.double(), images.long())
    assert net == pytest.approx(reported, rel=0.03)  # the coded is one sample


def test_three_numbers_agree_and_files_give_the_images_back(name: str) -> None:
    model = trained(name) if name in LATENT + FLOWS else made(name)
    images = pictures(24, seed=3)
    found = measure(model, images, single=1)
    assert found.lossless
    assert found.shape == model.shape
    # A sample of the bound each: these are few images, whose bound under so small a hierarchy varies by 1.6 percent.
    assert found.pmf_bpd == pytest.approx(found.reported_bpd, rel=0.06 if name == "topdown" else 0.015)
    assert (found.initial_bpd > 0.01) == model.borrows
    over = (found.file_bpd - found.initial_bpd - found.pmf_bpd) * images.size
    assert 0 < over < 1200  # bits of the head, of a lane and of exceptions
    assert found.single_bpd is not None
    assert found.single_bpd > found.file_bpd


@pytest.mark.parametrize("size", [(13, 11), (1, 1)])
def test_a_picture_of_any_size_comes_back(name: str, size: tuple[int, int]) -> None:
    model = made(name)
    picture = np.resize(pictures(1, side=32, seed=4)[0, 0], (32, 32))[: size[0], : size[1]].copy()
    data = densezip.compress(picture, model=model)
    found = densezip.info(data)
    assert (found.payload, found.model, found.portable) == ("chained", type(model).__name__, False)
    assert np.array_equal(np.asarray(densezip.decompress(data, model=model)), picture)


@pytest.mark.parametrize("kind", LATENT)
def test_latents_borrow_for_the_first_image_only(kind: str) -> None:
    model, images = trained(kind), pictures(12, seed=5)
    alone, together = (measure(model, images[:n]) for n in (1, 12))
    assert 12 * together.initial_bpd < 1.5 * alone.initial_bpd


@pytest.mark.parametrize("kind", LATENT)
def test_the_weighted_bound_rises_with_its_samples(kind: str) -> None:
    model, x = trained(kind), torch.from_numpy(pictures(20, seed=6))
    torch.manual_seed(0)
    one, many = model.iw_bound(x, 1).mean(), model.iw_bound(x, 100).mean()
    assert many > one
    with torch.no_grad():
        elbo = torch.stack([model.elbo(x) for _ in range(50)]).mean()
        weights = torch.stack([model.log_weights(x)[0] for _ in range(50)]).mean()
    assert weights == pytest.approx(float(elbo), rel=1e-2)
    assert model.kl(x).shape == (model.layers, 20)


@pytest.mark.parametrize("kind", HIERARCHIES)
def test_reconstructions_are_near_and_interpolations_end_at_them(kind: str) -> None:
    model, x = trained(kind), torch.from_numpy(pictures(8, seed=7))
    again = model.reconstruct(x)
    assert (again - x).abs().mean() < (x.float().mean((1, 2, 3), keepdim=True) - x).abs().mean()
    way = model.interpolate(x[0], x[1], 5)
    assert torch.allclose(way[0], again[0], atol=1e-2)
    assert torch.allclose(way[-1], again[1], atol=1e-2)


@pytest.mark.parametrize("kind", MAPS)
def test_a_flow_is_inverted_and_its_volume_is_that_of_its_jacobian(kind: str) -> None:
    model: Bijective = trained(kind).double()
    y = torch.rand(2, 1, *(model.size or (4, 4)), dtype=torch.float64) * 255
    z, log_det = model.transform(y)
    assert torch.allclose(model.inverse(z), y, rtol=0, atol=1e-10)
    jacobian = torch.func.jacrev(lambda v: model.transform(v.view(y[:1].shape))[0].flatten())(y[0].flatten())
    assert log_det[0].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-9)


def test_a_flow_borrows_no_more_than_its_grid_asks_for() -> None:
    """What is within a level, and the noise beyond the first layer: 38 bits of each sample where steps are 2^-24."""
    model = trained("affine").double()
    x = torch.from_numpy(pictures(20)).long()
    message = Message.lending(16)
    model.codec(Calibration(model.band), (20, *x.shape[1:])).push(message, x)
    assert message.lent < 18 * x.numel()


@pytest.mark.parametrize("kind", ["vae", "affine", "v-ade", "diffusion"])
def test_a_file_names_how_finely_its_model_is_coded(kind: str) -> None:
    model = made(kind)
    assert model.fineness
    assert coding_digest(model) != weights_digest(model)
    assert coding_digest(made("mcgsm")) == weights_digest(made("mcgsm"))


def test_additive_couplings_need_no_bits_to_begin_with() -> None:
    """Only the noise of dequantization and that of the scales beside them are lent."""
    model = made("additive").double()
    bare = made("additive").double()
    bare.layers = torch.nn.ModuleList(layer for layer in bare.layers if not isinstance(layer, Coupling))
    x = torch.from_numpy(pictures(4)).long()
    lent = []
    for flow in (model, bare):
        message = Message.lending(16)
        flow.codec(Calibration(flow.band), tuple(x.shape)).push(message, x)
        lent.append(message.lent)
    assert lent[0] == lent[1]


@pytest.mark.parametrize("kind", LATENT + FLOWS)
def test_draws_look_like_the_data_and_holes_are_filled_by_them(kind: str) -> None:
    model = trained(kind)
    drawn = model.sample(64, SIDE, SIDE, seed=1)
    assert drawn.shape == (64, 1, SIDE, SIDE)
    assert drawn.float().mean() == pytest.approx(128, abs=20)
    assert torch.equal(drawn, model.sample(64, SIDE, SIDE, seed=1))
    x, mask = torch.from_numpy(pictures(16, seed=8)), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[2:6, 2:6] = True
    filled = model.fill(torch.where(mask, 0, x), mask, 40, seed=2)
    assert torch.equal(filled[..., ~mask], x[..., ~mask])
    # Its mean over the hole follows the slope around it.
    error = (filled.float() - x.float())[..., mask].mean(-1).abs().mean()
    assert error < x.float()[..., mask].mean(-1).std()


def test_what_is_no_density_is_refused() -> None:
    with pytest.raises(densezip.UsageError, match=r"a Linear is no density .*LatentVariable"):
        measure(torch.nn.Linear(2, 2), pictures(2))
    with pytest.raises(densezip.UsageError, match="no latent variables"):
        measure(made("mcgsm"), pictures(2), iw_samples=2)
    with pytest.raises(densezip.UsageError, match="no autoregressive model"):
        measure(made("vae"), pictures(2), ensemble="best")
    with pytest.raises(densezip.UsageError, match="no density"):
        densezip.compress(pictures(1)[0, 0], model=torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("kind", "images", "words"),
    [
        ("mcgsm", pictures(2, channels=3), "images of 3 channels for a Mcgsm of 1"),
        ("vae", pictures(2, side=12), "12x12 pixels for a model of 8x8"),
        ("vae", pictures(2, side=6), "6x6 pixels for a Vae, which takes 8x8"),
        ("topdown", pictures(2, side=6), "which takes multiples of 4"),
        ("vae", pictures(2)[:0], "uint8"),
        ("vae", pictures(2).astype(np.float32), "float32"),
    ],
)
def test_images_of_other_kinds_are_refused(kind: str, images: NDArray[Any], words: str) -> None:
    with pytest.raises(densezip.DensezipError, match=words):
        measure(made(kind), images)


@pytest.mark.parametrize("kind", ["mcgsm", "vae", "affine"])
def test_weights_that_are_no_numbers_are_refused(kind: str) -> None:
    model = made(kind)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = math.nan
    with pytest.raises(densezip.WeightsError, match=r"1 of \d+ weights .* are not finite"):
        measure(model, pictures(2))
    with pytest.raises(densezip.WeightsError, match="not finite"):
        densezip.compress(pictures(1)[0, 0], model=model)


def test_a_posterior_that_breaks_down_is_kept_within_bounds() -> None:
    model = made("vae")
    with torch.no_grad():
        model.to_latents.bias[4:] = 1e6
    assert bool(model.elbo(torch.from_numpy(pictures(2))).isfinite().all())
    picture = pictures(1)[0, 0]
    assert np.array_equal(
        np.asarray(densezip.decompress(densezip.compress(picture, model=model), model=model)), picture
    )


@pytest.mark.parametrize(
    "kind", [name for name, entry in registry.MODELS.items() if entry.module.startswith("latent.")]
)
def test_all_that_a_latent_model_computes_lies_where_its_weights_are(kind: str) -> None:
    """On a device without memory, with which no tensor of the processor mixes: a GPU refuses the same.

    The networks of other rooms use operations that such a device does not have.
    """
    for preset in presets(kind):
        settings, _ = read_config(kind, preset)
        with torch.device("meta"):
            net: Any = registry.build(kind, {"channels": 3, **settings}).eval()
        image = torch.zeros(2, net.channels, *(net.size or (32, 32)), dtype=torch.uint8, device="meta")
        assert net.bound(image).device.type == "meta", preset
