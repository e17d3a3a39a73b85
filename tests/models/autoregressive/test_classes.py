"""Densities of classes: shared directions of weights, and classes as latent variables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.codecs import Codec
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import UnsupportedImageError, UsageError
from densezip.models.autoregressive.classes import ClassPixelCNN, ClassPixelCNNConfig
from densezip.models.synthesis import sample
from densezip.models.training.loop import train_model
from laws import check_model
from torch import Tensor

CLASSES = 3


def pictures(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images of three brightnesses, by class, with noise."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    noise = torch.randint(0, 9, (count, 1, 6, 6), generator=random)
    return (40 + 70 * labels[:, None, None, None] + noise).to(torch.uint8), labels


def model_of(steps: int = 0) -> ClassPixelCNN:
    torch.manual_seed(0)
    model = ClassPixelCNN(ClassPixelCNNConfig(channels=1, filters=6, layers=1, first=3, classes=CLASSES))
    with torch.no_grad():
        for values in (*model.lengths.values(), *model.biases.values()):
            values.add_(0.1 * torch.randn(values.shape))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 2e-2)
    for step in range(steps):
        optimizer.zero_grad()
        model.loss(*pictures(30, seed=step + 1)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


def test_the_density_of_a_class_is_that_of_an_ordinary_network() -> None:
    model, (x, labels) = model_of().double(), pictures(9)
    with torch.no_grad():
        each = torch.stack([model.of(number).log_prob(x) for number in range(CLASSES)])
        assert torch.allclose(model.log_probs(x), each, rtol=1e-10)
        assert torch.allclose(model.given(x, labels), each[labels, torch.arange(9)], rtol=1e-10)
        assert torch.allclose(model.bound(x), each.exp().mean(0).log(), rtol=1e-10)


def test_classes_share_directions_and_have_lengths_and_biases_of_their_own() -> None:
    model = model_of()
    weights = [model.weights(number) for number in range(CLASSES)]
    for name, first in weights[0].items():
        second = weights[1][name]
        assert not torch.allclose(first, second)
        if name.endswith("weight"):
            one, other = (w.flatten(1) / w.flatten(1).norm(dim=1, keepdim=True) for w in (first, second))
            assert torch.allclose((one * other).sum(1).abs(), torch.ones(len(one)), atol=1e-5)
    key = next(iter(model.lengths))
    used = weights[2][key.replace("-", ".") + ".weight"].flatten(1).norm(dim=1)
    assert torch.allclose(used, model.lengths[key][2].abs(), rtol=1e-5)


def test_files_take_the_average_over_classes() -> None:
    model, (x, _) = model_of(60).double(), pictures(12, seed=99)
    with torch.no_grad():
        bits = -float(model.bound(x).sum()) / math.log(2)
    assert check_model(model, x.long()) == pytest.approx(bits, rel=0.01)


def test_an_image_costs_its_class_more_than_what_is_given() -> None:
    """Where classes are plain to see, by bits-back just the bits of the class; either decodes."""
    model, (x, labels) = model_of(60).double(), pictures(12, seed=98)
    x, shape, grown = x.long(), (12, 1, 6, 6), []
    for given in (True, False):

        def codec(calibration: Calibration, given: bool = given) -> Codec[Tensor]:
            return model.codec_given(labels, calibration, shape) if given else model.codec(calibration, shape)

        message, calibration = Message.random(64, 4000), Calibration(model.band)
        begun = message.bits
        codec(calibration).push(message, x)
        grown.append(message.bits - begun)
        calibration = Calibration.from_bytes(calibration.to_bytes())
        assert torch.equal(codec(calibration).pop(message), x)
        assert message.bits == pytest.approx(begun, abs=1e-6)
    assert grown[1] - grown[0] == pytest.approx(12 * math.log2(CLASSES), abs=2)


def test_samples_are_of_their_class() -> None:
    model = model_of(60)
    means = torch.stack([model.sample_class(number, 6, 6, 6).float().mean() for number in range(CLASSES)])
    assert torch.allclose(means, torch.tensor([44.0, 114.0, 184.0]), atol=12)
    both = sample(model, 7, 6, 6)
    assert both.shape == (7, 1, 6, 6)
    assert [int(row) for row in ((both.float().mean((1, 2, 3)) - 44) / 70).round()] == [0, 1, 2, 0, 1, 2, 0]


def test_classes_are_learned_from_data_that_have_them(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        "[model]\nfilters = 4\nlayers = 1\nfirst = 3\n"
        "[training]\nsteps = 3\nbatch = 20\nevery = 3\nvalidation = 4\nflip = false\n"
    )
    best = train_model("class-pixelcnn", "digits", str(path), tmp_path / "out", device="cpu")
    assert best.exists()
    with pytest.raises(UnsupportedImageError, match="images of no classes for a model of 10"):
        train_model("class-pixelcnn", "deadleaves:size=8,count=40", str(path), tmp_path / "other", device="cpu")
    path.write_text(path.read_text().replace("[model]", "[model]\nclasses = 5"))
    with pytest.raises(UnsupportedImageError, match="images of 10 classes for a model of 5"):
        train_model("class-pixelcnn", "digits", str(path), tmp_path / "other", device="cpu")
    with pytest.raises(UsageError, match="classes = 1: 2 or more"):
        ClassPixelCNN(ClassPixelCNNConfig(classes=1))
