"""The Gaussian of whole images: it is that of the training images, and takes no steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import UsageError
from densezip.models.checkpoint import load_model
from densezip.models.flows.gaussian import Gaussian, GaussianConfig
from densezip.models.training.data import open_data
from densezip.models.training.loop import train_model
from small_models import made, pictures


def test_training_finds_the_moments_of_all_images(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text("[model]\nside = 8\n[training]\nsteps = 1\nrate = 0.0\nevery = 1\nflip = false\n")
    spec = "deadleaves:size=8,count=700,noise=4"
    train_model("gaussian", spec, str(path), tmp_path, device="cpu")
    model: Any = load_model(tmp_path / "best.safetensors")[0]
    images = open_data(spec).images.astype(np.float64).reshape(-1, 64)
    layer = model.layers[0]
    assert np.allclose(layer.center.detach().numpy(), images.mean(0) + 0.5, atol=0.1)
    inverse = torch.linalg.inv(layer.factor.detach().double().tril() / 64)
    expected = np.cov(images.T) + np.eye(64) / 12
    assert np.allclose((inverse @ inverse.T).numpy(), expected, rtol=0.02, atol=5)
    with torch.no_grad():
        z = model.transform(torch.from_numpy(images).float().view(-1, 1, 8, 8) + 0.5)[0].flatten(1)
    assert torch.allclose(z.T.cov(), torch.eye(64), atol=0.1)


def test_only_the_noise_and_the_deviations_borrow_bits() -> None:
    """24 bits of noise for a sample, and those of the layer beside it: the triangular map takes none."""
    model, x = made("gaussian").double(), torch.from_numpy(pictures(4)).long()
    message = Message.lending(16)
    model.codec(Calibration(model.band), tuple(x.shape)).push(message, x)
    assert message.lent < 45 * x.numel()


def test_what_is_reported_counts_the_tails_of_the_coder() -> None:
    """Of pictures whose latents are far out, as a Gaussian alone would have them in more bits than they take."""
    model, x = made("gaussian").double(), torch.from_numpy(pictures(8)).long()
    with torch.no_grad():
        for layer in model.layers:
            layer.factor.mul_(4)
    message = Message.lending(16)
    model.codec(Calibration(model.band), tuple(x.shape)).push(message, x)
    net = message.bits - message.lent
    with torch.no_grad():
        reported = -float(torch.stack([model.bound(x) for _ in range(20)]).mean(0).sum()) / math.log(2)
        alone = -float(torch.stack([model.train().bound(x) for _ in range(20)]).mean(0).sum()) / math.log(2)
    assert net == pytest.approx(reported, rel=0.03)
    assert alone > 1.5 * reported


def test_a_gaussian_without_size_is_refused() -> None:
    with pytest.raises(UsageError, match="side = 0"):
        Gaussian(GaussianConfig(side=0))
