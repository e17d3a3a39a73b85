import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from densezip.cli.main import app
from densezip.cli.train import _bar
from densezip.codec.errors import InputError, UsageError
from densezip.models.checkpoint import load_model, read_checkpoint, write_checkpoint
from densezip.models.registry import MODELS, build, config_class
from densezip.models.training.data import open_data
from densezip.models.training.loop import Progress, evaluate, train_model
from densezip.models.training.recipe import Recipe, presets, read_config

DATA = "deadleaves:size=8,count=40"
CONFIG = """
[model]
filters = 6
mixtures = 2
dropout = 0.2

[training]
steps = {steps}
batch = 4
rate = 3e-3
warm_up = 3
every = {every}
validation = 4
"""


def config(folder: Path, steps: int = 8, every: int = 4) -> str:
    path = folder / "small.toml"
    path.write_text(CONFIG.format(steps=steps, every=every))
    return str(path)


def test_training_writes_weights_curve_and_progress(tmp_path: Path) -> None:
    seen: list[Progress] = []
    best = train_model("pixelcnn++", DATA, config(tmp_path, 24, 8), tmp_path / "out", report=seen.append, device="cpu")
    assert [p.step for p in seen] == list(range(1, 25))
    assert seen[-1].fraction == 1.0
    assert seen[-1].remaining == 0.0
    measured = [p.validation for p in seen if p.validation is not None]
    assert len(measured) == 3
    assert measured[-1] < measured[0]
    with (tmp_path / "out" / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [8, 16, 24]
    assert float(rows[-1]["validation_bpd"]) == pytest.approx(measured[-1], rel=1e-5)
    assert (tmp_path / "out" / "curve.png").read_bytes()[:4] == b"\x89PNG"
    model, about = load_model(best)
    held = open_data(DATA, "validation").images
    assert evaluate(model, held, 4, torch.device("cpu")) == pytest.approx(min(measured), abs=1e-6)
    data = open_data(DATA)
    assert about["data_hash"] == data.hash
    assert about["config"] == {**about["config"], "channels": 1, "filters": 6, "dropout": 0.2}
    assert (about["model"], about["step"], about["seed"]) == ("pixelcnn++", 24, 0)
    names = {name.partition(".")[0] for name in read_checkpoint(tmp_path / "out" / "last.safetensors")[0]}
    assert names == {"model", "average", "optimizer", "rng"}


def test_going_on_gives_the_bits_of_never_stopping(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise StopError

    settings = config(tmp_path, 9, 3)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train_model("pixelcnn++", DATA, settings, whole, seed=3, device="cpu")
    with pytest.raises(StopError):
        train_model("pixelcnn++", DATA, settings, halves, seed=3, device="cpu", report=stop)
    assert read_checkpoint(halves / "last.safetensors")[1]["step"] == 6
    train_model("pixelcnn++", DATA, settings, halves, seed=3, device="cpu", resume=True)
    one, other = (read_checkpoint(path / "last.safetensors")[0] for path in (whole, halves))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    steps = [row.partition(",")[0] for row in (halves / "curve.csv").read_text().splitlines()]
    assert steps == ["step", "3", "6", "9"]


def test_seeds_matter(tmp_path: Path) -> None:
    for seed in (0, 1):
        train_model("pixelcnn++", DATA, config(tmp_path, 2, 2), tmp_path / str(seed), seed=seed, device="cpu")
    one, other = (read_checkpoint(tmp_path / name / "last.safetensors")[0] for name in "01")
    assert not torch.equal(one["model.head.direction"], other["model.head.direction"])


def test_a_budget_of_minutes_ends_the_training_with_the_rate_at_zero(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = config(tmp_path, 10**6, 10**6)
    train_model("pixelcnn++", DATA, settings, out, minutes=0.02, device="cpu")
    with (out / "curve.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert 1.2 <= float(row["seconds"]) < 10
    assert float(row["rate"]) < 3e-4


def test_bf16_trains_the_same_weights_in_float32(tmp_path: Path) -> None:
    train_model("pixelcnn", DATA, config_pixelcnn(tmp_path), tmp_path / "out", precision="bf16", device="cpu")
    tensors, _ = read_checkpoint(tmp_path / "out" / "best.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def config_pixelcnn(folder: Path) -> str:
    path = folder / "pixelcnn.toml"
    path.write_text(
        "[model]\nfilters = 4\nlayers = 1\nfirst = 3\n[training]\nsteps = 2\nbatch = 2\nevery = 2\nvalidation = 2\n"
    )
    return str(path)


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """Gradients of two halves of a batch are averaged: up to rounding, one process with the whole batch."""
    path = tmp_path / "flat.toml"
    path.write_text(CONFIG.format(steps=4, every=2).replace("dropout = 0.2", "") + "flip = false\n")
    code = (
        "import sys, torch\nfrom pathlib import Path\nfrom densezip.models.training.loop import train_model\n"
        "torch.set_num_threads(1)\n"
        f"train_model('pixelcnn++', {DATA!r}, {str(path)!r}, Path(sys.argv[1]), device='cpu')\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(script), str(tmp_path / "two")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    train_model("pixelcnn++", DATA, str(path), tmp_path / "one", device="cpu")
    one, two = (read_checkpoint(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    for name in one[0]:
        if name.startswith("model."):
            torch.testing.assert_close(one[0][name], two[0][name], rtol=1e-3, atol=1e-4)
    assert {"rng.0", "rng.1"} <= two[0].keys()
    assert (tmp_path / "two" / "curve.csv").read_text().count("\n") == 3
    with pytest.raises(InputError, match="2 processes, now 1"):
        train_model("pixelcnn++", DATA, str(path), tmp_path / "two", device="cpu", resume=True)


def test_every_preset_of_every_model_is_read_and_makes_a_model() -> None:
    for name in MODELS:
        assert "small" in presets(name), name
        # What has latent variables, or is a flow, has no paper's sizes; nobody coded with `dde` before.
        assert "paper" in presets(name) or MODELS[name].shape != "autoregressive" or name == "dde", name
        for preset in presets(name):
            settings, recipe = read_config(name, preset)
            assert isinstance(recipe, Recipe)
            with torch.device("meta"):
                model = build(name, {"channels": 3, **settings})
            assert isinstance(model.config, config_class(name))
            json.dumps(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nfilter = 3", "no setting 'filter': channels, filters"),
        ("[training]\nsteps = 'many'", "steps = 'many', wanted int"),
        ("[training]\nflip = 1", "flip = 1, wanted bool"),
        ("[optimizer]\n", r"unknown table \[optimizer\]"),
        ("steps = ", "small.toml"),
    ],
)
def test_wrong_configurations_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "small.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_config("pixelcnn++", str(path))


def test_what_cannot_be_trained_or_resumed_says_why(tmp_path: Path) -> None:
    settings = config(tmp_path, 2, 2)
    with pytest.raises(UsageError, match="no model 'pixelrnn': pixelcnn"):
        train_model("pixelrnn", DATA, settings, tmp_path)
    with pytest.raises(UsageError, match="presets of pixelcnn"):
        train_model("pixelcnn++", DATA, "huge", tmp_path)
    with pytest.raises(UsageError, match="nothing to resume"):
        train_model("pixelcnn++", DATA, settings, tmp_path / "none", resume=True, device="cpu")
    with pytest.raises(UsageError, match="fp32 or bf16"):
        train_model("pixelcnn++", DATA, settings, tmp_path, precision="fp8")
    train_model("pixelcnn++", DATA, settings, tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match="another data_hash"):
        train_model("pixelcnn++", "deadleaves:size=8,count=41", settings, tmp_path / "out", resume=True, device="cpu")
    with pytest.raises(InputError, match="another seed"):
        train_model("pixelcnn++", DATA, settings, tmp_path / "out", seed=1, resume=True, device="cpu")


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for data in (b"", b"not a checkpoint", b"\xff" * 64):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x\.safetensors"):
            read_checkpoint(path)
    model = build("pixelcnn", {"filters": 4, "layers": 1, "first": 3})
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    about = {"model": "pixelcnn", "config": {"filters": 4, "layers": 1, "first": 3}}
    write_checkpoint(path, weights, about)
    again, found = load_model(path)
    assert found == {**about, "layout": 1}
    assert not again.training
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    write_checkpoint(path, weights, {**about, "config": {"filters": 8, "layers": 1, "first": 3}})
    with pytest.raises(InputError, match="size mismatch"):
        load_model(path)
    write_checkpoint(path, weights, {**about, "layout": 2})
    with pytest.raises(InputError, match="layout 2"):
        read_checkpoint(path)
    from safetensors.torch import save_file

    save_file(weights, path)
    with pytest.raises(InputError, match="not a checkpoint of densezip"):
        read_checkpoint(path)
    assert os.listdir(tmp_path) == ["x.safetensors"]


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_trains_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("train", "pixelcnn", "--data", DATA, "--config", config_pixelcnn(tmp_path), "--device", "cpu")
    done = command(*arguments, "--out", out, "--seed", 5)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out / 'best.safetensors'}\n"
    assert "step 2: " in done.stderr
    assert "on validation" in done.stderr
    _, about = load_model(out / "best.safetensors")
    assert about["seed"] == 5
    refused = command(*arguments, "--out", out, "--seed", 6, "--resume")
    assert refused.exit_code == InputError.exit_code
    assert "another seed: 5, now 6" in refused.stderr


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_command_explains_every_model(name: str) -> None:
    shown = command("train", name, "--help").output
    assert f"densezip train {name} --data cifar10:" in shown
    assert "torchrun" in shown
    assert name in command("train", "--help").output


def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    wrong = command("train", "pixelcnn++", "--data", "cifar10:/no/such", *out)
    assert wrong.exit_code == UsageError.exit_code
    assert wrong.stderr.startswith("densezip: no data at /no/such: --data takes cifar10:PATH")
    wrong = command("train", "pixelcnn++", "--data", DATA, "--config", "large", *out)
    assert "presets of pixelcnn++: paper, plain, small" in wrong.stderr
    wrong = command("train", "pixelcnn++", "--data", DATA, "--minutes", "0", *out)
    assert wrong.exit_code == UsageError.exit_code
    wrong = command("train", "pixelrnn", "--data", DATA, *out)
    assert "No such command 'pixelrnn'" in wrong.stderr


def test_the_bar_of_a_terminal_shows_rate_and_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    with _bar("pixelcnn") as report:
        report(Progress(5, 0.5, 3.25, 12.5, 60.0, 3.5))
        report(Progress(10, 1.0, 3.0, 12.5, 0.0))
    text = screen.getvalue()
    assert "100%" in text
    assert "3.000 bpd, 3.500 on validation, 12.5 images/s" in text


def test_a_ride_starts_from_a_trained_mcgsm(tmp_path: Path) -> None:
    experts = "channels = 1\nradius = 1\ncomponents = 2\nscales = 2\nfeatures = 3\n"
    steps = "[training]\nsteps = {}\nbatch = 2\nrate = 1e-3\nevery = 2\nvalidation = 4\n"
    for name, own, count in (("mcgsm", "", 4), ("ride", "hidden = 4\n", 2)):
        (tmp_path / f"{name}.toml").write_text(f"[model]\n{experts}{own}" + steps.format(count))
    mcgsm = train_model("mcgsm", DATA, str(tmp_path / "mcgsm.toml"), tmp_path / "mcgsm", device="cpu")
    first = read_checkpoint(mcgsm)[1]["validation_bpd"]
    ride = train_model(
        "ride",
        DATA,
        str(tmp_path / "ride.toml"),
        tmp_path / "ride",
        device="cpu",
        start=str(mcgsm),
        settings={"rate": 0.0},
    )
    about = read_checkpoint(ride)[1]
    assert about["validation_bpd"] == pytest.approx(first, abs=1e-5)  # without learning it is the MCGSM
    assert about["start"]
    with pytest.raises(InputError, match="another start"):
        train_model(
            "ride",
            DATA,
            str(tmp_path / "ride.toml"),
            tmp_path / "ride",
            device="cpu",
            settings={"rate": 0.0},
            resume=True,
        )
    with pytest.raises(UsageError, match="pixelcnn starts from pixelcnn of the same settings only"):
        train_model("pixelcnn", DATA, "small", tmp_path / "no", device="cpu", start=str(mcgsm))
    with pytest.raises(InputError, match="no checkpoint"):
        train_model("ride", DATA, str(tmp_path / "ride.toml"), tmp_path / "no", device="cpu", start="nothing")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_goes_on_from_a_model_of_the_same_settings(tmp_path: Path, precision: str) -> None:
    experts = "channels = 1\nradius = 1\nhidden = 3\ncomponents = 2\nscales = 2\nfeatures = 3\n"
    steps = (
        "[training]\nsteps = 4\nbatch = 2\nrate = 1e-3\nevery = 4\nvalidation = 4\nflip = false\ntransforms = true\n"
    )
    (tmp_path / "ride.toml").write_text(f"[model]\n{experts}{steps}")
    settings = str(tmp_path / "ride.toml")
    first = train_model("ride", DATA, settings, tmp_path / "a", device="cpu", precision=precision)
    still = {"rate": 0.0}
    other = train_model("ride", DATA, settings, tmp_path / "b", device="cpu", start=str(first), settings=still)
    assert read_checkpoint(other)[1]["validation_bpd"] == pytest.approx(read_checkpoint(first)[1]["validation_bpd"])
    (tmp_path / "ride.toml").write_text(f"[model]\n{experts}{steps}".replace("hidden = 3", "hidden = 4"))
    with pytest.raises(UsageError, match="a RIDE to start from differs in hidden, radius"):
        train_model("ride", DATA, settings, tmp_path / "c", device="cpu", start=str(first))
