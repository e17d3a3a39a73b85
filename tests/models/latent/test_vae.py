"""The VAE of one layer: images of two levels and of 256, sheets by its latents, checkpoints of half the size."""

from __future__ import annotations

from pathlib import Path

import densezip
import numpy as np
import pytest
import torch
from command_line import run
from densezip.models.checkpoint import as_plain, load_model, write_checkpoint
from densezip.models.evaluation import measure
from densezip.models.half import halve
from densezip.models.latent.vae import Vae, VaeConfig
from PIL import Image
from small_models import SIDE, made, pictures, trained


def test_images_of_two_levels_are_coded_at_their_bound() -> None:
    torch.manual_seed(0)
    model = Vae(VaeConfig(levels=2, side=SIDE, latents=2, filters=8, blocks=1)).eval()
    images = (pictures(40) > 128).astype(np.uint8)
    found = measure(model, images)
    assert found.lossless
    assert found.pmf_bpd == pytest.approx(found.reported_bpd, rel=2e-2)
    assert set(np.unique(model.sample(4, SIDE, SIDE).numpy())) == {0, 1}
    with pytest.raises(densezip.UnsupportedImageError, match="model of 2 levels"):
        measure(model, pictures(2))


def test_maps_are_for_any_size_and_a_vector_for_one() -> None:
    maps = made("maps")
    assert maps.prior([], (2, 12, 20))[0].shape == (2, 1, 3, 5)
    assert maps.reconstruct(torch.from_numpy(np.zeros((1, 1, 12, 20), np.uint8))).shape == (1, 1, 12, 20)
    assert made("vae").size == (SIDE, SIDE)


@pytest.mark.parametrize("settings", [{"side": 30}, {"scales": "none"}])
def test_a_configuration_that_is_none_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(densezip.UsageError, match="a multiple of 4"):
        made("vae", **settings)


def test_scales_of_a_channel_do_not_depend_on_the_latents() -> None:
    z = [torch.randn(5, 4)]
    for scales, shared in (("channel", True), ("pixel", False)):
        log_scales = made("vae", scales=scales).likelihood(z, (5, SIDE, SIDE))[..., 1]
        assert bool((log_scales == log_scales[:1, :, :1, :1]).all()) == shared


def test_bins_with_a_spread_lose_nothing_in_the_tails_of_the_prior() -> None:
    gaps = []
    for spread in (1.0, 4.0):
        model = trained("vae", spread=spread)
        with (
            torch.no_grad()
        ):  # the same likelihood by latents that lie three deviations further out, and are narrow there
            model.to_latents.bias[:4] += 3.0
            model.to_latents.bias[4:] -= 1.0
            model.from_latents.bias -= 3.0 * model.from_latents.weight.sum(1)
        found = measure(model, pictures(100, seed=3))
        assert found.lossless
        gaps.append(found.pmf_bpd / found.reported_bpd - 1)
    assert gaps[0] > 0.02
    assert -0.01 < gaps[1] < 0.002


@pytest.mark.parametrize("name", ["vae", "topdown", "agave"])
@pytest.mark.parametrize("spread", [0.5, 100.0, float("nan")])
def test_bins_that_do_not_reach_as_far_as_the_prior_are_refused(name: str, spread: float) -> None:
    with pytest.raises(densezip.UsageError, match=r"spread = .*: 1 to 64"):
        made(name, spread=spread)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "vae.safetensors"
    model = trained("vae")
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    write_checkpoint(path, tensors, {"model": "vae", "config": as_plain(model.config)})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pictures(12)):
        Image.fromarray(image[0]).save(tmp_path / "images" / f"{number:02}.png")
    return tmp_path / "images"


def test_half_the_size_has_nearly_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    halve(checkpoint, tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * checkpoint.stat().st_size
    whole, half = (load_model(path)[0].state_dict() for path in (checkpoint, tmp_path / "half.safetensors"))
    assert all(torch.allclose(whole[name], half[name], rtol=1e-3, atol=1e-6) for name in whole)
    assert half["ends.first"].dtype == torch.float32


def test_sheets_have_images_above_reconstructions_and_rows_between_two(checkpoint: Path, folder: Path) -> None:
    sheet = folder.parent / "sheet.png"
    result = run("sample", checkpoint, "--reconstruct", folder, "--count", "12", "-o", sheet)
    assert result.exit_code == 0, result.stderr
    with Image.open(sheet) as image:
        pixels = np.asarray(image).astype(float)
    step = SIDE + 2
    assert pixels.shape == (4 * step - 2, 10 * step - 2)  # ten and two, with those below
    images = pictures(12)
    for place in range(12):
        row, column = place // 10 * 2, place % 10
        top, below = (pixels[r * step : r * step + SIDE, column * step :][:, :SIDE] for r in (row, row + 1))
        assert np.array_equal(top, images[place, 0])
        assert 0 < np.abs(below - top).mean() < 25
    assert (pixels[2 * step : 3 * step - 2, 2 * step :] == 255).all()
    result = run("sample", checkpoint, "--interpolate", folder, "--count", "3", "--steps", "5", "-f", "-o", sheet)
    assert result.exit_code == 0, result.stderr
    with Image.open(sheet) as image:
        assert image.size == (5 * step - 2, 3 * step - 2)
    assert run("sample", checkpoint, "--count", "3", "-f", "-o", sheet).exit_code == 0  # of the size of the model


def test_sheets_that_cannot_be_drawn_are_refused(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "sheet.png")
    both = run("sample", checkpoint, "--reconstruct", folder, "--interpolate", folder, *out)
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    plain = run("sample", "mcgsm-cifar10", "--interpolate", folder, *out)
    assert plain.exit_code != 0
    Image.new("L", (12, 12)).save(tmp_path / "images" / "12.png")
    other = run("sample", checkpoint, "--reconstruct", folder, *out)
    assert other.exit_code != 0
    assert not (tmp_path / "sheet.png").exists()
