"""AGAVE: the PixelCNN++ in it, auxiliary images, latents that live by these, drawing around known pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
import torch
from densezip.models.autoregressive.pixelcnnpp import PixelCNNPP, PixelCNNPPConfig
from densezip.models.checkpoint import as_plain, load_model, write_checkpoint
from densezip.models.hybrid.agave import AUXILIARIES
from densezip.models.training.loop import train_model
from scans import check_scan
from small_models import SIDE, made, pictures


def pixelcnn(**changes: Any) -> PixelCNNPP:
    """As the one in the small AGAVE, without features."""
    torch.manual_seed(7)
    model = PixelCNNPP(
        PixelCNNPPConfig(**{"channels": 1, "filters": 4, "mixtures": 2, "reach": 1, "innovations": False, **changes})
    )
    model.initialize(torch.from_numpy(pictures(100)))
    return model.eval()


def learn(model: Any, steps: int) -> None:
    images = torch.from_numpy(pictures(256, model.channels, seed=1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        model.loss(images[torch.arange(32 * step, 32 * step + 32) % len(images)]).backward()
        optimizer.step()


def test_begun_at_a_pixelcnn_its_pixels_are_those_and_gradients_reach_the_latents() -> None:
    model, bare, x = made("agave"), pixelcnn(), torch.from_numpy(pictures(4))
    latents = [torch.randn(4, 2, 2, 2)]
    model.start_from(bare)
    assert torch.equal(model.log_likelihood(latents, x), bare.log_prob(x))
    assert sum(p.numel() for p in model.pixels.parameters()) == sum(p.numel() for p in bare.parameters()) + sum(
        p.numel() for name, p in model.pixels.named_parameters() if ".features." in name
    )
    model.loss(x).backward()
    assert all(bool(p.grad.any()) for name, p in model.named_parameters() if name.endswith(".features.gain"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(".features.gain"):
                p.add_(0.5)
        assert not torch.allclose(model.log_likelihood(latents, x), bare.log_prob(x))


def test_pixels_given_latents_scan_as_they_pass() -> None:
    model = made("agave").double()
    with torch.no_grad():
        features = model.around(model.likelihood([torch.randn(2, 2, 2, 2)], (2, SIDE, SIDE)))
    assert features.shape == (2, 4, SIDE, SIDE)
    scan = model.pixels.scan(2, SIDE, SIDE, features)
    check_scan(scan, (2, 1, SIDE, SIDE), lambda x: model.pixels.log_prob(x, features))


@pytest.mark.parametrize("name", AUXILIARIES)
def test_auxiliary_images_are_made_of_the_image(name: str) -> None:
    model = made("agave", channels=3, auxiliary=name)
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, SIDE, SIDE), dtype=np.uint8))
    x[0] = torch.tensor([0, 255])[torch.arange(SIDE) % 2]
    found, exact = model.auxiliary_image(x), x.double()
    expected = {
        "original": exact,
        "none": exact,
        "colours": (exact / 8).floor(),
        "half": exact.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1)).round(),
        "quarter": exact.unfold(2, 4, 4).unfold(3, 4, 4).mean((-2, -1)).round(),
        "grey": ((0.299 * exact[:, :1] + 0.587 * exact[:, 1:2] + 0.114 * exact[:, 2:]).round() / 16).floor(),
    }[name]
    assert torch.equal(found.double(), expected)
    assert int(found.max()) < model.family.levels
    latents = [torch.randn(5, 2, 2, 2)]
    assert model.likelihood(latents, (5, SIDE, SIDE)).shape == (*found.shape, 2)
    shown = model.expected(latents, (5, SIDE, SIDE))
    assert shown.shape == x.shape
    assert 0 <= shown.min() <= shown.max() <= 255


def test_latents_live_by_the_auxiliary_image_and_less_by_a_larger_weight() -> None:
    x = torch.from_numpy(pictures(50, seed=2))
    nats = {}
    for weight, auxiliary in ((1.0, "original"), (16.0, "original"), (1.0, "none")):
        model = made("agave", weight=weight, auxiliary=auxiliary)
        learn(model, 15)
        with torch.no_grad():
            nats[weight, auxiliary] = float(model.kl(x).mean())
    assert nats[1.0, "original"] > 4 * nats[16.0, "original"]
    assert nats[1.0, "original"] > 4 * nats[1.0, "none"]


def test_what_is_reported_has_neither_weight_nor_auxiliary_image() -> None:
    x, bounds = torch.from_numpy(pictures(3)), []
    for weight, auxiliary in ((1.0, "original"), (16.0, "original"), (1.0, "none")):
        model = made("agave", weight=weight, auxiliary=auxiliary)
        torch.manual_seed(0)
        bounds.append(model.bound(x))
        torch.manual_seed(0)
        if auxiliary == "none":
            assert torch.allclose(model.loss(x), -bounds[-1].mean() / SIDE**2)
        else:
            assert model.loss(x) > -bounds[-1].mean() / SIDE**2
    assert torch.equal(bounds[0], bounds[1])
    assert torch.equal(bounds[0], bounds[2])


def test_holes_are_drawn_anew_around_what_is_known() -> None:
    model, x = made("agave"), torch.from_numpy(pictures(8, seed=8))
    above, below = torch.zeros(SIDE, SIDE, dtype=torch.bool), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    above[:2], below[-2:] = True, True
    latents, random = [torch.randn(8, 2, 2, 2)], torch.Generator().manual_seed(0)
    # Nothing known comes after the last rows: every draw is taken.
    assert (model.redraw(latents, x, below, random) != x)[..., below].flatten(1).any(1).all()
    moved = [(model.redraw(latents, x, above, random) != x).flatten(1).any(1) for _ in range(6)]
    assert 0 < int(torch.stack(moved).sum()) < 48  # by the density of the rows below
    filled = model.fill(torch.where(above, 0, x), above, 2, seed=2)
    assert filled.dtype == torch.uint8
    assert torch.equal(filled[..., ~above], x[..., ~above])


def test_draws_given_latents_differ_and_repeat_with_their_seed() -> None:
    model = made("agave")
    latents = [torch.randn(1, 2, 2, 2).expand(3, -1, -1, -1)]
    one, again = (model.draw(latents, (3, SIDE, SIDE), torch.Generator().manual_seed(4)) for _ in range(2))
    assert one.dtype == torch.uint8
    assert torch.equal(one, again)
    assert not torch.equal(one[0], one[1])
    assert torch.equal(model.sample(2, SIDE, SIDE, seed=3), model.sample(2, SIDE, SIDE, seed=3))


def test_a_training_begins_at_latents_of_one_model_and_pixels_of_another(tmp_path: Path) -> None:
    own, bare = made("agave", seed=5), pixelcnn()
    paths = []
    for name, model in (("agave", own), ("pixelcnn++", bare)):
        paths.append(tmp_path / f"{name}.safetensors")
        tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
        write_checkpoint(paths[-1], tensors, {"model": name, "config": as_plain(model.config)})
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in as_plain(own.config).items())
    recipe = "steps = 1\nbatch = 2\nrate = 0.0\nvalidation = 2"
    (tmp_path / "agave.toml").write_text(f"[model]\n{settings}\n[training]\n{recipe}\n")
    best = train_model(
        "agave",
        "deadleaves:size=8,count=40",
        str(tmp_path / "agave.toml"),
        tmp_path / "out",
        device="cpu",
        start=",".join(str(path) for path in paths),
    )
    model, about = load_model(best)
    assert about["start"].count(",") == 1
    for key, value in model.state_dict().items():
        if ".features." in key:
            assert key.endswith("direction") or not value.any()
        elif key.startswith("pixels."):
            assert torch.equal(value, bare.state_dict()[key.removeprefix("pixels.")])
        else:
            assert torch.equal(value, own.state_dict()[key])


def test_what_is_no_beginning_is_refused() -> None:
    model = made("agave")
    other = made("agave", weight=3.0, auxiliary="none", seed=5)
    model.start_from(other)
    assert torch.equal(model.to_latents.weight, other.to_latents.weight)
    for wrong in (made("agave", latents=3), made("agave", auxiliary="half"), pixelcnn(filters=6), made("vae")):
        with pytest.raises(densezip.UsageError, match=f"a {type(wrong).__name__} to begin at"):
            model.start_from(wrong)
    with pytest.raises(densezip.UsageError, match=r"auxiliary = 'sepia': original, colours, half, quarter, grey, none"):
        made("agave", auxiliary="sepia")
