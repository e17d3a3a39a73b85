"""The training of the photo models learns, is repeatable, goes on where it was cut off, and refines what is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import InputError
from densezip.models.photo.weights import GROUPS, MODELS, table_line, weights_from_tensors
from leaves import dead_leaves
from PIL import Image
from safetensors.numpy import load_file

pytest.importorskip("torch")

from densezip.models.photo import train
from densezip.models.photo.gathering import image_files, sources_of
from densezip.models.photo.refine import Refining, coded_rate

SHIPPED = Path(train.__file__).parent
RECIPE = train.Recipe(samples=(5000, 3000), epochs=(2, 1), batch=256, rate=2e-3, warm_up=5, every=20, moments=4)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three pictures, a folder within it and a JPEG file among them."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "more").mkdir()
    for seed, name in enumerate(["a.png", "more/b.webp", "c.jpg"]):
        options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
        Image.fromarray(dead_leaves(64, 64, 3, seed)).save(folder / name, **options)
    return folder


def trained(photographs: Path, out: Path, said: list[str] | None = None, **options: Any) -> dict[str, Any]:
    choices = {"effort": 1, "validation": [photographs], "recipe": RECIPE, **options}
    file = train.train_photo([photographs], out, report=(said if said is not None else []).append, **choices)
    return load_file(file)


def rates(out: Path, name: str) -> list[float]:
    """Bits per sub-pixel of the validation, in the order of their measurement."""
    return [float(line.split(",")[2]) for line in (out / f"{name}.csv").read_text().splitlines()[1:]]


def test_a_training_learns_and_its_last_line_names_what_to_ship(photographs: Path, tmp_path: Path) -> None:
    said: list[str] = []
    tensors = trained(photographs, tmp_path, said, histories=True)
    for group in GROUPS:
        first, *others = rates(tmp_path, f"{group}-1") + rates(tmp_path, f"{group}-2")
        assert min(others) < first
        assert np.isfinite(weights_from_tensors(MODELS["photo-1"], group, tensors).square).all()
    assert said[-1] == table_line("photo-1", (tmp_path / "photo-1.safetensors").read_bytes())


def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOffError(Exception):
        pass

    whole = trained(photographs, tmp_path / "whole")
    note = train._note

    def cut(curve: Path, row: list[object]) -> None:
        note(curve, row)
        if curve.stem == "colour-2":
            raise CutOffError

    monkeypatch.setattr(train, "_note", cut)
    with pytest.raises(CutOffError):
        trained(photographs, tmp_path / "cut")
    monkeypatch.setattr(train, "_note", note)
    again = trained(photographs, tmp_path / "cut", resume=True)
    assert whole.keys() == again.keys()
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor, again[name])


@pytest.mark.parametrize("rate", [1e-3, 10.0])
def test_refined_weights_are_coded_in_less_or_stay(photographs: Path, tmp_path: Path, rate: float) -> None:
    start = SHIPPED / "photo-1.safetensors"
    said: list[str] = []
    recipe = Refining(steps=16, grey=0.5, lanes=4, strip=2000, rate=rate, warm_up=2, average=0.5, every=8, crop=48)
    tensors = trained(photographs, tmp_path, said, start=start, refining=recipe)
    before = load_file(start)
    assert tensors.keys() == before.keys()
    images = [np.ascontiguousarray(dead_leaves(64, 64, 3, seed)[:, :, [1, 0, 2]], np.uint16) for seed in range(2)]
    found, first = (coded_rate(MODELS["photo-1"], "colour", t, images) for t in (tensors, before))
    same = all(np.array_equal(tensors[name], before[name]) for name in before if name.startswith("colour."))
    if rate > 1:  # the steps are too large to be of use, so the start is what stays
        assert same
    else:
        assert found < first - 0.005
    assert sum("at first" in line for line in said) == len(GROUPS)


def test_weights_of_another_model_are_no_start(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"colour\.trunk\.0\.weight is \(159, 96\), not \(111, 32\)"):
        trained(photographs, tmp_path / "out", start=SHIPPED / "photo-5.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x08")
    with pytest.raises(InputError, match="cannot be read as weights"):
        trained(photographs, tmp_path / "out", start=tmp_path / "torn.safetensors")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_named_twice_counts_twice(photographs: Path, tmp_path: Path) -> None:
    files = image_files([photographs, photographs])
    assert len(files) == 6
    assert [source.remade for source in sources_of(files, True)] == [False, True] * 6
    assert not any(source.remade for source in sources_of(files, False))
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no PNG"):
        image_files([photographs, empty])
