"""Real NVP and NICE: what their layers see, and the noise that they learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.checkpoint import load_model, read_checkpoint
from densezip.models.flows.layers import Coupling, Part
from densezip.models.flows.norms import BatchNorm, Scale
from densezip.models.flows.nvp import RealNvp, RealNvpConfig
from densezip.models.registry import build
from densezip.models.training.data import open_data
from densezip.models.training.loop import train_model
from laws import check_model
from small_models import made, pictures, trained
from torch import Tensor


def _disturbed(config: RealNvpConfig, by: float = 0.1) -> RealNvp:
    """A flow whose weights are not 0, on the statistics of pictures."""
    torch.manual_seed(0)
    model = RealNvp(config)
    model.initialize(torch.from_numpy(pictures(50, config.channels)))
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(by * torch.randn_like(weights) * (weights.abs().max() == 0))
    return model.double().eval()


def _values(count: int, channels: int = 1, side: int = 8) -> Tensor:
    return 255 * torch.rand(count, channels, side, side, dtype=torch.float64)


def test_a_coupling_of_a_checkerboard_sees_one_colour_and_changes_the_other() -> None:
    model = _disturbed(RealNvpConfig(1, scales=1, checkerboards=1, couplings=0, filters=4, additive=True))
    y = _values(1)
    jacobian = torch.func.jacrev(lambda v: model.transform(v.view(1, 1, 8, 8))[0].flatten())(y.flatten())
    by_others = jacobian - torch.diag(jacobian.diagonal())
    changed = ((torch.arange(8)[:, None] + torch.arange(8)) % 2 == 0).flatten()
    assert bool((by_others[~changed] == 0).all())
    assert bool((by_others[changed][:, changed] == 0).all())
    assert bool((by_others[changed][:, ~changed] != 0).any())


@pytest.mark.parametrize("channels", [1, 3])
def test_all_pixels_and_colours_are_changed_and_half_leave_at_each_scale(channels: int) -> None:
    model = _disturbed(RealNvpConfig(channels, scales=2, checkerboards=2, couplings=3, filters=4))
    y = _values(2, channels, 4)
    z, log_det = model.transform(y)
    assert z.shape == y.shape
    assert torch.allclose(model.inverse(z), y, rtol=0, atol=1e-10)
    flat = torch.func.jacrev(lambda v: model.transform(v.view(1, channels, 4, 4))[0].flatten())(y[0].flatten())
    assert log_det[0].item() == pytest.approx(torch.linalg.slogdet(flat)[1].item(), abs=1e-9)
    (part,) = (layer for layer in model.layers if isinstance(layer, Part))
    assert part.channels == 2 * channels
    assert sum(isinstance(layer, Coupling) for layer in model.modules()) == 2 * 5


def test_volume_is_kept_by_all_but_the_scales_of_additive_flows() -> None:
    model = _disturbed(RealNvpConfig(1, scales=2, filters=4, additive=True))
    _, log_det = model.transform(_values(5))
    assert torch.allclose(log_det, log_det[0].expand(5), rtol=0, atol=1e-9)
    assert not any(isinstance(layer, BatchNorm) for layer in model.modules())
    assert sum(isinstance(layer, Scale) for layer in model.modules()) == 2


def test_batch_norm_takes_the_batch_in_training_and_running_averages_otherwise() -> None:
    torch.manual_seed(0)
    norm, x = BatchNorm(3, momentum=0.5), 5 + 2 * torch.randn(64, 3, 4, 4)
    for _ in range(30):
        z, log_det = norm(x)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(z.var((0, 2, 3)), torch.ones(3), atol=1e-2)
    assert log_det[0].item() == pytest.approx(-16 * x.std((0, 2, 3)).log().sum().item(), rel=1e-2)
    norm.eval()
    assert torch.allclose(norm(x)[0], z, atol=1e-3)
    assert torch.allclose(norm(x[:1])[0], norm(x)[0][:1], atol=1e-6)


def test_averaged_weights_have_statistics_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        "[model]\nchannels = 1\nscales = 1\nfilters = 4\n[training]\nsteps = 6\nbatch = 8\nevery = 6\nvalidation = 4\n"
        "rate = 0.05\nwarm_up = 1\n"
    )
    train_model("real-nvp", "deadleaves:size=8,count=600", str(path), tmp_path, device="cpu")
    average: Any = load_model(tmp_path / "best.safetensors")[0]
    images = torch.from_numpy(open_data("deadleaves:size=8,count=600").images[:500])
    latents = []
    other: Any = build("real-nvp", vars(average.config))
    for model in (average, other):
        tensors = read_checkpoint(tmp_path / "last.safetensors")[0]
        if model is not average:
            model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        with torch.no_grad():
            latents.append(model.eval().transform(images + 0.5)[0])
    own, last = ((z.var((0, 2, 3)) - 1).abs().max() for z in latents)
    assert own < 0.1  # the last layer but rearrangements is a batch normalization
    assert last > 2 * own


def _reported(model: Any, x: Tensor, times: int) -> float:
    """Bits of all images by the bound, the mean of several samples of the noise."""
    with torch.no_grad():
        nats = torch.stack([model.bound(x) for _ in range(times)]).mean(0)
    return -float(nats.sum()) / math.log(2)


def test_noise_is_uniform_before_training_and_the_density_that_of_the_flow_it_starts_from() -> None:
    torch.manual_seed(0)
    uniform, learned, x = trained("affine"), made("affine", noise=2), torch.from_numpy(pictures(50, seed=4))
    learned.start_from(uniform)
    with torch.no_grad():
        noise, log_q = learned.noise.draw(x, torch.float32)
    assert log_q.abs().max() < 1e-3
    assert noise.mean() == pytest.approx(0.5, abs=0.03)
    assert noise.var() == pytest.approx(1 / 12, abs=0.01)
    assert _reported(learned, x, 100) == pytest.approx(_reported(uniform, x, 100), rel=2e-3)
    with pytest.raises(UsageError, match="a RealNvp of the same settings"):
        made("additive", noise=2).start_from(uniform)


def test_learned_noise_costs_its_bound_and_comes_out_of_the_message() -> None:
    model = _disturbed(RealNvpConfig(1, scales=1, checkerboards=2, couplings=0, filters=4, noise=2), 0.02)
    x = torch.from_numpy(pictures(40, seed=5)).long()
    with torch.no_grad():
        assert model.noise is not None
        assert model.noise.draw(x, torch.float64)[1].abs().min() > 0.01  # nats: it is not uniform
    torch.manual_seed(0)
    assert check_model(model, x) == pytest.approx(_reported(model, x, 50), rel=0.01)


def test_learned_noise_beats_uniform_noise_after_joint_training() -> None:
    """Of two levels, where a smooth density of values is far from uniform within each."""
    torch.manual_seed(0)
    x = torch.from_numpy(pictures(200, seed=6) // 128 + 127)
    found = []
    for noise in (0, 2):
        torch.manual_seed(1)
        model: Any = RealNvp(RealNvpConfig(1, scales=1, checkerboards=2, couplings=0, filters=8, noise=noise))
        model.initialize(x)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(80):
            optimizer.zero_grad()
            (-model.bound(x).mean() / 64).backward()
            optimizer.step()
        found.append(_reported(model.eval(), x, 10) / x.numel())
    assert found[1] < found[0] - 0.05
