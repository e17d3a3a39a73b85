"""Files by density models: found by name and digest, the same pixels in another process, and small."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from densezip.cli.main import app
from densezip.codec.file.chained import encode_chained
from densezip.codec.file.chainparts import Growth, split_chain
from densezip.codec.file.container import parse, serialise
from densezip.codec.images.picture import from_array
from densezip.models.checkpoint import as_plain, load_model, write_checkpoint
from densezip.models.coding import coder_for
from densezip.models.shipped import find_checkpoint
from leaves import dead_leaves
from PIL import Image, PngImagePlugin
from small_models import made, pictures, trained

HEAD = 60
"""Bytes that a file may take beside its rate and a hundredth of that."""


@cache
def _model(name: str) -> Any:
    return made(name) if name == "mcgsm" else trained(name)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of checkpoints that DENSEZIP_MODELS names."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name, kind in (("mcgsm", "mcgsm"), ("vae", "vae"), ("affine", "real-nvp")):
        save(folder / f"my-{name}.safetensors", _model(name), kind)
    monkeypatch.setenv("DENSEZIP_MODELS", str(folder))
    return folder


def save(path: Path, model: Any, name: str, **changes: Any) -> None:
    about = {"model": name, "config": as_plain(model.config), **changes}
    write_checkpoint(path, {f"model.{key}": value for key, value in model.state_dict().items()}, about)


def png(pixels: np.ndarray[Any, Any], text: str = "") -> bytes:
    extra = PngImagePlugin.PngInfo()
    if text:
        extra.add_text("Comment", text)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=extra)
    return file.getvalue()


@pytest.mark.parametrize("name", ["mcgsm-cifar10", "ride-cifar10"])
def test_a_file_takes_the_models_own_rate(name: str) -> None:
    picture = dead_leaves(61, 97, 3, 2)
    data = densezip.compress(png(picture), model=name)
    model: Any = load_model(find_checkpoint(name))[0]
    with torch.no_grad():
        nats = -model.log_prob(torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()).item()
    assert len(data) <= 1.01 * nats / math.log(2) / 8 + HEAD


def test_another_process_finds_the_model_and_gives_the_file_back(tmp_path: Path) -> None:
    source = png(dead_leaves(30, 40, 3, 3), "a word")
    (tmp_path / "a.png.dz").write_bytes(densezip.compress(source, model="mcgsm-cifar10"))
    code = "import sys, densezip; sys.stdout.buffer.write(densezip.export(sys.argv[1]).data)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png.dz"], capture_output=True, check=True)
    assert done.stdout == source
    assert densezip.info((tmp_path / "a.png.dz").read_bytes()).exact == "file"


@pytest.mark.parametrize("name", ["my-mcgsm", "my-vae", "my-affine"])
def test_a_model_in_a_folder_is_found_by_name_and_digest(models: Path, name: str) -> None:
    picture = pictures(1, side=20)[0, 0][:, :13].copy()
    data = densezip.compress(png(picture), model=name)
    assert densezip.info(data).model == name
    assert densezip.verify(data, original=png(picture)).exact == "file"
    assert np.array_equal(np.asarray(densezip.decompress(data)), picture)


def test_several_models_and_ensembles_are_found_by_the_names_in_the_file(models: Path) -> None:
    save(models / "other.safetensors", made("mcgsm", seed=1), "mcgsm")
    picture = pictures(1, side=20)[0, 0][:, :13].copy()
    for name in ("my-mcgsm,other", "best:my-mcgsm", "exact:my-mcgsm,other"):
        data = densezip.compress(picture, model=name)
        assert densezip.info(data).model == name
        assert np.array_equal(np.asarray(densezip.decompress(data)), picture)
    with pytest.raises(densezip.UsageError, match=r"my-mcgsm,my-vae: MCGSMs and RIDEs are averaged.*not Vae"):
        densezip.compress(picture, model="my-mcgsm,my-vae")
    with pytest.raises(densezip.UsageError, match="an ensemble over transforms of what is no autoregressive model"):
        densezip.compress(picture, model="exact:my-vae")
    (models / "other.safetensors").unlink()
    with pytest.raises(densezip.UnknownModelError, match=f"{models}: nothing of the name other"):
        densezip.decompress(data)


def test_a_model_that_is_not_there_is_an_error_that_says_where_it_was_looked_for(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(densezip.InputError, match=rf"no checkpoint 'nobody'.*mcgsm-cifar10.*{models}"):
        densezip.compress(pictures(1)[0, 0], model="nobody")
    data = densezip.compress(pictures(1)[0, 0], model="my-mcgsm")
    digest = coder_for("my-mcgsm").digest[:4].hex()
    path = models / "my-mcgsm.safetensors"
    kept = path.read_bytes()
    save(path, made("mcgsm", seed=1), "mcgsm")
    with pytest.raises(densezip.UnknownModelError, match=rf"my-mcgsm \({digest}\).*not here.*{path}: has digest"):
        densezip.decompress(data)
    path.unlink()
    with pytest.raises(densezip.UnknownModelError, match=f"{models}: nothing of the name my-mcgsm"):
        densezip.decompress(data)
    other = models / "other.safetensors"
    other.write_bytes(kept)
    assert np.array_equal(np.asarray(densezip.decompress(data, model=other)), pictures(1)[0, 0])
    with pytest.raises(densezip.UnknownModelError, match=r"the model given is my-vae"):
        densezip.decompress(data, model="my-vae")


def test_a_name_in_a_file_leads_out_of_no_folder(models: Path) -> None:
    container = parse(densezip.compress(pictures(1)[0, 0], model="my-mcgsm"))
    data = serialise(replace(container.header, model="../models/my-mcgsm"), [bytes(container.tile(0))])
    with pytest.raises(densezip.UnknownModelError, match="which is not here"):
        densezip.decompress(data)


def test_checkpoints_that_are_none_are_refused(models: Path) -> None:
    model = made("mcgsm")
    save(models / "newer.safetensors", model, "mcgsm", layout=2)
    with pytest.raises(densezip.InputError, match="layout 2; this version reads 1"):
        densezip.compress(pictures(1)[0, 0], model="newer")
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    save(models / "nan.safetensors", model, "mcgsm")
    with pytest.raises(densezip.WeightsError, match=r"nan\.safetensors: \d+ of \d+ weights .* are not finite"):
        densezip.compress(pictures(1)[0, 0], model="nan")
    (models / "empty.safetensors").write_bytes(b"")
    with pytest.raises(densezip.InputError, match=r"empty\.safetensors"):
        densezip.compress(pictures(1)[0, 0], model="empty")
    with pytest.raises(densezip.UsageError, match="a model of type int"):
        densezip.compress(pictures(1)[0, 0], model=3)  # type: ignore[arg-type]
    with pytest.raises(densezip.UsageError, match="--device toaster"):
        densezip.compress(pictures(1)[0, 0], model="my-mcgsm", device="toaster")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1", "I;16"])
def test_pictures_of_other_kinds_are_changed_where_that_is_exact(mode: str, models: Path) -> None:
    grey = np.minimum(pictures(1, side=12)[0, 0], 250)
    array = {
        "L": grey,
        "LA": np.stack([grey, grey.T], -1),
        "RGB": np.repeat(grey[..., None], 3, 2),
        "RGBA": np.concatenate([np.repeat(grey[..., None], 3, 2), grey.T[..., None]], 2),
        "1": grey > 120,
        "I;16": grey.astype(np.uint16) * 257,
    }[mode]
    source = png(array)
    data = densezip.compress(source, model="my-mcgsm")
    assert densezip.info(data).payload == "chained"
    assert densezip.export(data).data == source


def damaged(data: bytes) -> list[bytes]:
    """Files with sound checksums whose tile was tampered with."""
    container = parse(data)
    parts = split_chain(container)
    tiles = [
        replace(parts, change=99).to_bytes(),
        replace(parts, tile=(1, 1)).to_bytes(),
        replace(parts, tile=(9, 10**6)).to_bytes(),
        replace(parts, side=b"").to_bytes(),
        replace(parts, message=parts.message[:-4]).to_bytes(),
        replace(parts, growth=Growth(200, 8, 4, 16, (7, 96))).to_bytes(),
        replace(parts, side=parts.side[:12]).to_bytes(),
        replace(parts, message=parts.message[:8]).to_bytes(),
        replace(parts, growth=Growth(10**6)).to_bytes(),
        container.tile(0)[:7],
        b"",
    ]
    return [serialise(container.header, [bytes(tile)]) for tile in tiles]


@pytest.mark.parametrize("name", ["my-mcgsm", "exact:my-mcgsm", "my-vae", "my-affine"])
def test_tampered_files_are_errors_with_a_name(models: Path, name: str) -> None:
    for data in damaged(densezip.compress(pictures(1, side=12)[0, 0], model=name)):
        with pytest.raises(densezip.DensezipError):
            densezip.decompress(data)


@pytest.mark.parametrize("size", [(64, 64), (100, 130)])
def test_what_a_flow_borrows_is_there_before_it(size: tuple[int, int]) -> None:
    """Coded by neighbours; what a message lends is some bytes, of hundreds for the first of whole tiles."""
    picture = from_array(dead_leaves(*size, 1, 3)[..., 0])
    _, cost = encode_chained(picture, coder_for(trained("affine")))
    assert 0 < cost.direct <= size[0] * size[1] // 3
    assert cost.initial < 0.02 * cost.net
    _, cost = encode_chained(picture, coder_for(made("mcgsm")))
    assert (cost.direct, cost.initial < 64) == (0, True)


def test_progress_goes_from_0_to_1() -> None:
    seen: list[float] = []
    data = densezip.compress(pictures(1, side=24)[0, 0], model=made("mcgsm"), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 10
    seen.clear()
    densezip.decompress(data, model=made("mcgsm"), progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 10


def test_the_command_line_compresses_tests_and_decompresses(models: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png(pictures(1, side=12)[0, 0], "kept"))
    run = CliRunner().invoke
    assert run(app, ["compress", "--model", "my-vae", str(source)]).exit_code == 0
    assert "model my-vae" in run(app, ["info", f"{source}.dz"]).stdout
    assert run(app, ["test", f"{source}.dz"]).exit_code == 0
    out = tmp_path / "b.png"
    assert run(app, ["decompress", f"{source}.dz", "-o", str(out)]).exit_code == 0
    assert out.read_bytes() == source.read_bytes()
    failed = run(app, ["compress", "--model", "nobody", str(source), "-o", str(tmp_path / "c.dz")])
    assert (failed.exit_code, "no checkpoint 'nobody'" in failed.stderr) == (3, True)
    assert not (tmp_path / "c.dz").exists()
    failed = run(
        app, ["compress", "--model", "my-vae", "-f", "-o", str(tmp_path / "c.dz"), str(source), "--device", "cuda:9"]
    )
    assert failed.exit_code == 2
    assert not (tmp_path / "c.dz").exists()


@pytest.mark.parametrize("name", ["my-vae", "my-affine"])
def test_models_of_every_shape_are_drawn_from_filled_and_evaluated(models: Path, tmp_path: Path, name: str) -> None:
    run, sheet = CliRunner().invoke, tmp_path / "sheet.png"
    done = run(app, ["sample", name, "--size", "8x8", "--count", "4", "-o", str(sheet)])
    assert done.exit_code == 0, done.stderr
    with Image.open(sheet) as drawn:
        assert drawn.size == (18, 18)
    assert run(app, ["sample", name, "--size", "9x8", "-o", str(tmp_path / "x.png")]).exit_code == 3
    image, mask = tmp_path / "i.png", tmp_path / "m.png"
    image.write_bytes(png(pictures(1)[0, 0]))
    mask.write_bytes(png(np.pad(np.full((3, 3), 255, np.uint8), ((2, 3), (2, 3)))))
    assert run(app, ["inpaint", name, str(image), "--mask", str(mask), "-o", str(tmp_path / "f.png")]).exit_code == 0
    folder = tmp_path / "data"
    folder.mkdir()
    for number, picture in enumerate(pictures(4)):
        (folder / f"{number}.png").write_bytes(png(picture[0]))
    done = run(app, ["eval", name, "--data", str(folder), "--split", "train", "--json", "-"])
    assert '"lossless": true' in done.stdout, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["my-mcgsm", "exact:my-mcgsm", "my-vae", "my-affine"])
@pytest.mark.parametrize(("there", "back"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_file_of_one_device_decodes_on_the_other(models: Path, name: str, there: str, back: str) -> None:
    picture = pictures(1, side=20)[0, 0]
    data = densezip.compress(picture, model=name, device=there)
    assert np.array_equal(np.asarray(densezip.decompress(data, device=back)), picture)
