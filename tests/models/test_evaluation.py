"""`densezip eval` and `densezip models`: three numbers that agree, from files that were decoded."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from densezip.cli.main import app
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.checkpoint import as_plain, write_checkpoint
from densezip.models.evaluation import Evaluation, measure
from PIL import Image

CONFIG = McgsmConfig(radius=1, components=2, scales=2, features=4)


def _images(count: int = 30) -> np.ndarray[Any, np.dtype[np.uint8]]:
    y, x = np.mgrid[:16, :16]
    noise = np.random.default_rng(0).normal(0, 5, (count, 3, 16, 16))
    images: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(90 + 3 * y + 2 * x + noise, 0, 255).astype(np.uint8)
    return images


def _model() -> Mcgsm:
    torch.manual_seed(0)
    model = Mcgsm(CONFIG)
    model.initialize(torch.from_numpy(_images()))
    return model.eval()


def test_three_numbers_agree_and_files_decode() -> None:
    found = measure(_model(), _images(), batch=20)
    assert found.lossless
    assert found.pmf_bpd == pytest.approx(found.reported_bpd, rel=1e-3)
    # One lane's head, the header and the exceptions' head, in two files.
    assert found.pmf_bpd < found.file_bpd < found.pmf_bpd + 2 * 800 / found.images / 768
    assert 0 < found.side_bpd < 0.02


def test_an_ensemble_is_weighed_and_its_files_decode() -> None:
    images = _images(6)
    alone, best, exact = (measure(_model(), images, batch=6, ensemble=e) for e in (None, "best", "exact"))
    assert best.lossless
    assert exact.lossless
    assert (alone.ensemble, best.ensemble, exact.ensemble) == ("", "best", "exact")
    # The average is at least the eighth part of one transform's density, and the best transform is not above it.
    bits = 3 / 768
    assert best.reported_bpd == exact.reported_bpd <= alone.reported_bpd + bits
    assert best.reported_bpd - 1e-3 <= best.pmf_bpd <= best.reported_bpd + bits + 1e-3
    assert exact.pmf_bpd == pytest.approx(exact.reported_bpd, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"lossless": False}, "pixels differ"),
        ({"pmf_bpd": 3.02}, r"integer distributions take 3.02000 bits/dim where 3.00000 are reported: \+0.67%"),
        ({"file_bpd": 2.9}, "files take 2.9"),
        ({"file_bpd": float("nan")}, "files take nan"),
    ],
)
def test_an_evaluation_complains_of_numbers_that_disagree(change: dict[str, Any], words: str) -> None:
    sound = Evaluation("m", "", "d", 1, 99, 3.0, 3.001, 3.002, 0.001, 1.0, 1.0, True, 1, 1, "")
    complaint = dataclasses.replace(sound, **change).complaint()
    assert bool(complaint) == bool(words)
    assert re.search(words, complaint)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    write_checkpoint(
        path,
        {f"model.{k}": v for k, v in _model().state_dict().items()},
        {"model": "mcgsm", "config": as_plain(CONFIG)},
    )
    return path


def test_eval_prints_one_object(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(_images(12)):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:02}.png")
    args = ["eval", str(checkpoint), "--data", str(folder), "--limit", "8", "--json", "-"]
    assert CliRunner().invoke(app, args).exit_code == 0
    # Where the head of a file is not allowed for, so few samples do not make up for it: said, and the exit code is 1.
    monkeypatch.setattr("densezip.models.evaluation.HEAD_BITS", 0)
    done = CliRunner().invoke(app, args)
    found = json.loads(done.stdout)
    assert {
        "model",
        "data",
        "images",
        "reported_bpd",
        "pmf_bpd",
        "file_bpd",
        "side_bpd",
        "encode_s",
        "decode_s",
        "lossless",
    } <= set(found)
    assert (found["images"], found["lossless"]) == (8, True)
    assert done.exit_code == 1
    assert "where" in done.stderr


def test_eval_takes_several_models_and_their_ensembles(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(_images(2)):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:02}.png")
    for name, mode in ((f"{checkpoint},{checkpoint}", ""), (f"best:{checkpoint}", "best")):
        done = CliRunner().invoke(app, ["eval", name, "--data", str(folder), "--json", "-"])
        found = json.loads(done.stdout)
        assert (found["lossless"], found["ensemble"]) == (True, mode)
        assert found["model"] == name.replace(str(checkpoint), "mine")


def test_eval_of_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "nothing", "--data", str(tmp_path)])
    assert done.exit_code == 3
    assert "no checkpoint 'nothing'" in done.stderr


def test_models_lists_architectures_and_checkpoints() -> None:
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    names = {entry["name"] for entry in listed}
    assert {"pixelcnn++", "pixelcnn", "mcgsm", "ride", "vae", "topdown"} <= names
    for entry in listed:
        assert entry["shape"] in {"autoregressive", "latent", "bijective"}
        if entry["parameters"] is not None:
            assert entry["trained_on"]
            assert entry["measured"]["lossless"]
            assert entry["measured"]["file_bpd"] > 0
    assert "mcgsm" in CliRunner().invoke(app, ["models"]).stdout
