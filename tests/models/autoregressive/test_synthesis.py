from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from densezip.cli.main import app
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from densezip.models.autoregressive.pixels import PixelModel
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.autoregressive.synthesis import Sweep, _Chain, _visits, fill, inpaint, metropolis, sample
from densezip.models.checkpoint import write_checkpoint
from PIL import Image
from scans import pictures

SETTINGS: dict[str, Any] = {"radius": 1, "components": 2, "scales": 2, "features": 3}


def model(kind: str, channels: int = 1) -> PixelModel:
    torch.manual_seed(1)
    made: PixelModel
    if kind == "mcgsm":
        made = Mcgsm(McgsmConfig(channels=channels, **SETTINGS)).double()
    else:
        made = Ride(RideConfig(channels=channels, hidden=3, **SETTINGS)).double()
    made.initialize(pictures(8, channels, 8, 8))
    return made


@pytest.mark.parametrize(("kind", "channels"), [("mcgsm", 1), ("ride", 3)])
def test_samples_are_repeatable_and_of_the_wanted_size(kind: str, channels: int) -> None:
    net = model(kind, channels)
    one, other = sample(net, 2, 3, 5, seed=4), sample(net, 2, 3, 5, seed=4)
    assert one.dtype == torch.uint8
    assert one.shape == (2, channels, 3, 5)
    assert torch.equal(one, other)
    assert not torch.equal(one, sample(net, 2, 3, 5, seed=5))


def test_any_autoregressive_model_can_be_sampled() -> None:
    torch.manual_seed(0)
    assert sample(PixelCNN(PixelCNNConfig(channels=3, filters=6, layers=1)).double(), 2, 3, 4).shape == (2, 3, 3, 4)


@torch.no_grad()
def test_samples_have_the_models_distribution() -> None:
    """First pixels against the probabilities of their values."""
    net = model("mcgsm")
    drawn = sample(net, 4000, 1, 1, seed=1).flatten().double()
    values = torch.arange(256)
    probs = net.log_prob(values.view(256, 1, 1, 1)).exp()
    mean = float((probs * values).sum())
    deviation = float((probs * (values - mean) ** 2).sum()) ** 0.5
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * deviation / 4000**0.5)
    assert float(drawn.std()) == pytest.approx(deviation, rel=0.1)


@torch.no_grad()
def test_cold_samples_are_likelier() -> None:
    net = model("ride")
    rates = [float(net.log_prob(sample(net, 8, 4, 4, 0, t).long()).mean()) for t in (0.0, 0.5, 1.0, 2.0)]
    assert rates == sorted(rates, reverse=True)
    assert torch.equal(sample(net, 1, 4, 4, 0, 0.0), sample(net, 1, 4, 4, 9, 0.0))
    with pytest.raises(UsageError, match="temperature of -1"):
        sample(net, 1, 2, 2, temperature=-1)


@pytest.mark.parametrize("kind", ["mcgsm", "ride"])
def test_known_pixels_stay(kind: str) -> None:
    net, x = model(kind, 3), pictures(2, 3, 6, 7)
    mask = torch.zeros(6, 7, dtype=torch.bool)
    mask[2:4, 3:5] = True
    for found in (fill(net, x, mask), metropolis(net, x, mask, 2), inpaint(net, x, mask, 1, margin=1)):
        assert torch.equal(found.long()[..., ~mask], x[..., ~mask])
        assert not torch.equal(found.long()[..., mask], x[..., mask])


@pytest.mark.parametrize("kind", ["mcgsm", "ride"])
@torch.no_grad()
def test_a_chains_records_are_those_of_its_images(kind: str) -> None:
    """After any accepted and refused moves."""
    net, random = model(kind, 3), torch.Generator().manual_seed(0)
    chain = _Chain(net, pictures(3, 3, 5, 6), random)
    accepted = proposed = 0
    for places in _visits(net, torch.ones(5, 6, dtype=torch.bool), random):
        accepted += chain.move(places)
        proposed += 3 * len(places)
    assert 0 < accepted < proposed == 90
    torch.testing.assert_close(chain.log_probs.sum(0), net.log_prob(chain.x))
    before = [chain.states.clone(), *(memory.clone() for memory in chain.scan.memory)]
    chain.look()
    torch.testing.assert_close([chain.states, *chain.scan.memory], before)


@pytest.mark.parametrize("kind", ["mcgsm", "ride"])
@torch.no_grad()
def test_metropolis_has_the_conditional_distribution_given_pixels_after_the_hole(kind: str) -> None:
    """One missing pixel between others, of which all 256 values can be tried: the chains' mean is that of the model."""
    net, hole = model(kind), torch.zeros(3, 3, dtype=torch.bool)
    hole[1, 1] = True
    x = torch.tensor([[90, 100, 110], [95, 0, 120], [110, 112, 115]]).view(1, 1, 3, 3)
    tried = x.repeat(256, 1, 1, 1)
    tried[:, 0, 1, 1] = torch.arange(256)
    probs = torch.softmax(net.log_prob(tried), 0)
    mean = float((probs * torch.arange(256)).sum())
    deviation = float((probs * (torch.arange(256) - mean) ** 2).sum()) ** 0.5
    begun = fill(net, x.repeat(1000, 1, 1, 1), hole, seed=2)
    drawn = metropolis(net, begun, hole, 30, seed=3)[:, 0, 1, 1].double()
    first = float(begun[:, 0, 1, 1].double().mean())
    assert abs(first - mean) > 8 * deviation / 1000**0.5  # without sweeps the test fails
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * deviation / 1000**0.5)
    assert float(drawn.std()) == pytest.approx(deviation, rel=0.15)


def test_two_missing_pixels_that_see_each_other_have_the_joint_distribution() -> None:
    net, hole = model("ride"), torch.zeros(2, 3, dtype=torch.bool)
    hole[0, 0] = hole[0, 2] = True
    x = torch.tensor([[0, 120, 0], [100, 120, 140]]).view(1, 1, 2, 3)
    tried = x.repeat(128 * 128, 1, 1, 1)
    values = torch.arange(0, 256, 2)
    tried[:, 0, 0, 0], tried[:, 0, 0, 2] = values.repeat_interleave(128), values.repeat(128)
    with torch.no_grad():
        probs = torch.softmax(net.log_prob(tried), 0)
    means = [float((probs * tried[:, 0, 0, column]).sum()) for column in (0, 2)]
    drawn = metropolis(net, fill(net, x.repeat(1200, 1, 1, 1), hole), hole, 15, seed=3)[:, 0, 0].double()
    for column, mean in zip((0, 2), means, strict=True):
        assert float(drawn[:, column].mean()) == pytest.approx(mean, abs=4 * float(drawn[:, column].std()) / 1200**0.5)


def test_inpaint_looks_at_a_window_and_reports_sweeps() -> None:
    net, x = model("mcgsm"), pictures(1, 1, 12, 14)
    mask = torch.zeros(12, 14, dtype=torch.bool)
    mask[5:7, 6] = True
    sweeps: list[Sweep] = []
    found = inpaint(net, x, mask, 3, margin=2, report=lambda number, sweep: sweeps.append(sweep))
    assert len(sweeps) == 3
    assert all(0 <= sweep.accepted <= 1 for sweep in sweeps)
    y = x.clone()
    y[..., :2, :], y[..., :3] = 0, 0  # outside the window
    assert torch.equal(inpaint(net, y, mask, 3, margin=2)[..., mask], found[..., mask])
    assert torch.equal(inpaint(net, x, torch.zeros_like(mask)), x.to(torch.uint8))
    with pytest.raises(UsageError, match="a mask of 3x2 pixels for images of 14x12"):
        inpaint(net, x, torch.zeros(2, 3, dtype=torch.bool))
    other = PixelCNN(PixelCNNConfig(filters=4, layers=1)).double()
    with pytest.raises(UsageError, match="this is a PixelCNN"):
        inpaint(other, x, mask)
    assert inpaint(other, x, mask, 0).shape == x.shape


def checkpoint(path: Path, channels: int) -> str:
    net = model("ride", channels).float()
    about = {"model": "ride", "config": {"channels": channels, "hidden": 3, **SETTINGS}}
    write_checkpoint(path, {f"model.{name}": value for name, value in net.state_dict().items()}, about)
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_sample_and_inpaint_write_pngs(tmp_path: Path, channels: int) -> None:
    net, sheet = checkpoint(tmp_path / "m.safetensors", channels), tmp_path / "sheet.png"
    run = CliRunner().invoke(app, ["sample", net, "--size", "4x6", "--count", "5", "--seed", "2", "-o", str(sheet)])
    assert run.exit_code == 0, run.output
    with Image.open(sheet) as image:
        assert image.mode == ("L" if channels == 1 else "RGB")
        assert image.size == (2 * 8 - 2, 3 * 6 - 2)
        image.save(tmp_path / "image.png")
    mask = np.zeros((16, 14), np.uint8)
    mask[4:6, 4:7] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    args = ["inpaint", net, str(tmp_path / "image.png"), "--mask", str(tmp_path / "mask.png"), "--sweeps", "2"]
    run = CliRunner().invoke(app, [*args, "-o", str(out)])
    assert run.exit_code == 0, run.output
    assert "sweep 2 of 2" in run.output
    with Image.open(sheet) as before, Image.open(out) as after:
        same = np.asarray(before) == np.asarray(after)
    assert same[mask == 0].all()
    assert not same[mask > 0].all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["mcgsm", "ride"])
def test_a_hole_is_filled_on_a_gpu(kind: str) -> None:
    net, x, mask = model(kind, 3), pictures(2, 3, 6, 7), torch.zeros(6, 7, dtype=torch.bool)
    mask[2:4, 3:5] = True
    found = inpaint(net.to("cuda"), x, mask, 2, margin=2)
    assert torch.equal(found.long()[..., ~mask], x[..., ~mask])
    assert not torch.equal(found.long()[..., mask], x[..., mask])


def test_a_device_that_is_not_there_draws_nothing(tmp_path: Path) -> None:
    net, out = checkpoint(tmp_path / "m.safetensors", 1), tmp_path / "out.png"
    Image.fromarray(np.full((6, 6), 255, np.uint8)).save(tmp_path / "i.png")
    args = ["inpaint", net, str(tmp_path / "i.png"), "--mask", str(tmp_path / "i.png"), "-o", str(out)]
    run = CliRunner().invoke(app, [*args, "--device", "toaster"])
    assert (run.exit_code, "--device toaster" in run.output, out.exists()) == (2, True, False)


def test_sample_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    net, out = checkpoint(tmp_path / "m.safetensors", 1), str(tmp_path / "out.png")
    for args, message, code in [
        ([net, "--size", "0x4", "-o", out], "not a height and a width", 2),
        ([net, "--size", "2x2", "-o", str(tmp_path / "none" / "out.png")], "there is no folder", 5),
        ([str(tmp_path / "m.txt"), "-o", out], "no checkpoint", 3),
    ]:
        run = CliRunner().invoke(app, ["sample", *args])
        assert message in run.output
        assert run.exit_code == code
    assert CliRunner().invoke(app, ["sample", __file__, "-o", out]).exit_code == 3
