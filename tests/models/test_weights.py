"""Weights that are missing, damaged or not those that the package came with are an error with a name."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from densezip.models import shipped
from densezip.models.checkpoint import load_model
from densezip.models.photo import model_for_effort, tile, weights
from leaves import dead_leaves

PACKAGE = Path(weights.__file__).parent
PIXELS = dead_leaves(40, 48, 3, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package's weights, from which they are read; nothing is cached from before."""
    for file in PACKAGE.glob("*.safetensors"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    tile._weights.cache_clear()
    yield tmp_path
    tile._weights.cache_clear()


def missing(file: Path) -> None:
    file.unlink()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def one_bit_flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def another_models(file: Path) -> None:
    shutil.copy(file.with_name("photo-9.safetensors"), file)


DAMAGES = [missing, cut_short, empty, one_bit_flipped, another_models]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_neither_code_nor_decode(folder: Path, damage: Callable[[Path], None]) -> None:
    data = densezip.compress(PIXELS, effort=1)
    assert densezip.info(data).model == "photo-1"
    damage(folder / "photo-1.safetensors")
    tile._weights.cache_clear()
    with pytest.raises(densezip.WeightsError, match=r"photo-1\.safetensors .*install densezip again"):
        densezip.compress(PIXELS, effort=1)
    with pytest.raises(densezip.WeightsError, match=r"photo-1\.safetensors .*install densezip again"):
        densezip.decompress(data)
    assert densezip.info(data).model_digest == weights.SHIPPED["photo-1"].digest


def test_weights_that_are_sound_are_read_beside_damaged_ones(folder: Path) -> None:
    one_bit_flipped(folder / "photo-5.safetensors")
    missing(folder / "photo-9.safetensors")
    assert np.array_equal(np.asarray(densezip.decompress(densezip.compress(PIXELS, effort=1))), PIXELS)
    with pytest.raises(densezip.WeightsError, match="photo-5"):
        densezip.compress(PIXELS, effort=5)


def test_the_table_has_the_shipped_files_digests() -> None:
    for name, known in weights.SHIPPED.items():
        data = (PACKAGE / f"{name}.safetensors").read_bytes()
        assert weights.fingerprint(name, data) == known
        assert weights.table_line(name, data).strip() in (PACKAGE / "weights.py").read_text(encoding="utf-8")
    assert set(weights.SHIPPED) == set(weights.MODELS)
    assert model_for_effort(5).digest.hex() == weights.SHIPPED["photo-5"].digest


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one shipped checkpoint, in place of all."""
    for file in shipped.FOLDER.glob("mcgsm-*"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return tmp_path / "mcgsm-cifar10.safetensors"


def test_a_shipped_checkpoint_is_the_one_that_was_measured(checkpoints: Path) -> None:
    assert load_model(shipped.find_checkpoint("mcgsm-cifar10"))[1]["model"] == "mcgsm"
    assert [entry.name for entry in shipped.entries() if entry.trained_on] == ["mcgsm-cifar10"]


@pytest.mark.parametrize("damage", [cut_short, empty, one_bit_flipped])
def test_a_damaged_shipped_checkpoint_is_an_error_with_its_name(
    checkpoints: Path, damage: Callable[[Path], None]
) -> None:
    damage(checkpoints)
    with pytest.raises(densezip.DensezipError, match=r"mcgsm-cifar10\.safetensors"):
        load_model(checkpoints)


@pytest.mark.parametrize("damage", [cut_short, empty])
def test_the_list_of_models_names_a_checkpoint_that_is_cut_short(
    checkpoints: Path, damage: Callable[[Path], None]
) -> None:
    damage(checkpoints)
    with pytest.raises(densezip.WeightsError, match=r"mcgsm-cifar10\.safetensors is damaged"):
        shipped.entries()


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_the_list_of_models_names_damaged_figures(checkpoints: Path, text: str) -> None:
    checkpoints.with_suffix(".json").write_text(text)
    with pytest.raises(densezip.WeightsError, match=r"mcgsm-cifar10\.json"):
        shipped.entries()


def test_every_shipped_checkpoint_has_a_digest() -> None:
    files = list(shipped.FOLDER.glob("*.safetensors"))
    assert files
    for file in files:
        figures: dict[str, Any] = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        assert len(bytes.fromhex(figures["digest"])) == 32
        assert shipped.known_digest(file) == figures["digest"]
        load_model(file)
