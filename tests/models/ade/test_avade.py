"""AV-ADE: what learns from the adversary and what does not, and that it is coded as a V-ADE."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.ade.avade import AvAde, AvAdeConfig
from densezip.models.ade.vade import VadeConfig
from densezip.models.checkpoint import load_model, read_checkpoint
from densezip.models.training.loop import Progress, train_model
from small_models import made, pictures
from torch import Tensor

DATA = "deadleaves:size=8,count=40"
TRAINING = "[training]\nsteps = {steps}\nbatch = 4\nrate = 2e-3\nwarm_up = 2\nevery = 3\nvalidation = 4\n"
SIZES = (
    "[model]\ncheckerboards = 1\ncouplings = 1\nflow_filters = 8\nlayers = 1\nlevels = 1\nfilters = 8\nscales = {}\n"
)


def config(folder: Path, scales: int = 1, more: str = "", steps: int = 6) -> str:
    path = folder / f"{scales}{abs(hash(more))}.toml"
    path.write_text(SIZES.format(scales) + more + TRAINING.format(steps=steps))
    return str(path)


def adversarial(name: str = "v-ade", **changes: Any) -> AvAde:
    other = made(name)
    model = AvAde(AvAdeConfig(**asdict(other.config), critic=4, **changes))
    model.start_from(other)
    return model


def gradients(model: AvAde, *against: Any) -> dict[str, Tensor]:
    """Of the loss, by name, for the same noise."""
    torch.manual_seed(0)
    model.zero_grad()
    model.loss(torch.from_numpy(pictures(8, seed=1)), *against).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_flow_learns_by_likelihood_alone_and_what_it_decodes_by_both() -> None:
    model = adversarial()
    adversary = model.make_adversary()
    assert adversary is not None
    alone, both = gradients(model), gradients(model, adversary)
    assert alone.keys() == both.keys()
    changed = {name for name in alone if not torch.equal(alone[name], both[name])}
    assert {name.partition(".")[0] for name in changed} == {"vae"}
    assert "vae.ends.weight" in changed
    assert not {name for name in changed if ".change." in name or name == "vae.log_scale"}  # posterior, deviation
    assert all(p.grad is None and p.requires_grad for p in adversary.parameters())


def test_the_adversary_learns_and_the_model_does_not_meanwhile() -> None:
    model = adversarial(batches="bgan")
    adversary = model.make_adversary()
    assert adversary is not None
    model.adversary_loss(torch.from_numpy(pictures(8, seed=1)), adversary).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in adversary.parameters())


def test_it_is_the_density_that_a_v_ade_of_its_weights_is() -> None:
    model, other, x = adversarial().eval(), made("v-ade"), torch.from_numpy(pictures(20, seed=2))
    bounds = []
    for each in (model, other):
        torch.manual_seed(0)
        bounds.append(each.bound(x))
    assert torch.equal(*bounds)
    assert model.state_dict().keys() == other.state_dict().keys()


def test_means_are_what_the_flow_makes_of_the_likelihoods_means() -> None:
    """Where the likelihood has hardly any noise, draws and means are one distribution: here with no flow."""
    model = made("isotropic")
    with torch.no_grad():
        model.vae.log_scale.fill_(-1)
        torch.manual_seed(0)
        means = model.means(400, 8, 8)
    draws = model.sample(400, 8, 8).float() + 0.5
    assert means.shape == (400, 1, 8, 8)
    assert float(means.mean()) == pytest.approx(float(draws.mean()), abs=0.5)
    assert float(means.std()) == pytest.approx(float(draws.std()), rel=0.1)


def test_the_inference_of_a_gan_learns_around_a_generator_that_stays(tmp_path: Path) -> None:
    gan, around = 'learns = "generator"\ncritic = 4\n', 'learns = "inference"\n'
    first = train_model("av-ade", DATA, config(tmp_path, 0, gan), tmp_path / "gan", device="cpu")
    second = train_model("av-ade", DATA, config(tmp_path, 0, around), tmp_path / "all", device="cpu", start=str(first))
    before, after = (load_model(path)[0].state_dict() for path in (first, second))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    fresh = train_model("av-ade", DATA, config(tmp_path, 0, gan, steps=1), tmp_path / "one", device="cpu")
    begun = load_model(fresh)[0].state_dict()
    moved = {name for name in before if not torch.equal(before[name], begun[name])}
    assert changed == {name for name in before if name.startswith(("vae.first", "vae.up")) or ".change." in name} | {
        "vae.log_scale"
    }
    assert "vae.ends.weight" in moved
    assert not moved & changed
    assert not [name for name in read_checkpoint(tmp_path / "all" / "last.safetensors")[0] if "adversary" in name]


def test_going_on_with_an_adversary_gives_the_bits_of_never_stopping(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise StopError

    settings = config(tmp_path, more="critic = 4\nspectral = true\n")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train_model("av-ade", DATA, settings, whole, device="cpu")
    with pytest.raises(StopError):
        train_model("av-ade", DATA, settings, halves, device="cpu", report=stop)
    train_model("av-ade", DATA, settings, halves, device="cpu", resume=True)
    one, other = (read_checkpoint(path / "last.safetensors")[0] for path in (whole, halves))
    assert one.keys() == other.keys()
    assert {"adversary", "adversary_optimizer"} < {name.partition(".")[0] for name in one}
    assert all(torch.equal(one[name], other[name]) for name in one)
    # The last weights are the best: likelihood is not all.
    best, about = read_checkpoint(whole / "best.safetensors")
    assert about["step"] == 6
    assert all(torch.equal(one["average." + name.removeprefix("model.")], best[name]) for name in best)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learns": "all"}, "learns = 'all': both, generator, inference"),
        ({"learns": "generator"}, "learns = 'generator' is for scales = 0, not 1"),
        ({"batches": "mixed"}, "batches = 'mixed': single, bgan, m-bgan"),
        ({"gamma": 0.7}, r"gamma = 0.7: 0 to 0.5"),
        ({"critic": 1}, "critic = 1: 2 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AvAde(AvAdeConfig(**changes))


def test_a_v_ade_of_other_sizes_is_no_beginning() -> None:
    model = AvAde(AvAdeConfig(**{**asdict(VadeConfig(channels=1)), "filters": 12}))
    with pytest.raises(UsageError, match="a Vade to begin at; a V-ADE of the same sizes is needed"):
        model.start_from(made("v-ade"))
    with pytest.raises(UsageError, match="a RealNvp to begin at"):
        model.start_from(made("affine"))
