"""The page's decoders in Node: the same samples as Python's, bit for bit, and an error for whatever is damaged."""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from densezip.web.site import write_site
from dzfiles import GOLDEN_FILES, animation, drawing, every_payload, samples_of
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational
from samples import file_of, picture

ROOT = Path(densezip.__file__).parent
NODE = shutil.which("node")
SCRIPT = Path(__file__).parent / "decode.mjs"
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    return folder


@pytest.fixture(scope="module")
def build() -> Iterator[Any]:
    """native/build.py, which is in no package."""
    sys.path.insert(0, str(ROOT / "native"))
    try:
        yield importlib.import_module("build")
    finally:
        sys.path.pop(0)


def decode(site: Path, folder: Path, files: list[bytes], heat: bool = False) -> list[dict[str, Any]]:
    """What the decoders of the page say of each file."""
    assert NODE is not None
    paths = []
    for number, data in enumerate(files):
        paths.append(folder / f"{number}.dz")
        paths[-1].write_bytes(data)
    command = [NODE, str(SCRIPT), str(site), "heat" if heat else "", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_node
def test_every_golden_file_has_the_same_samples(site: Path, tmp_path: Path) -> None:
    files = [path.read_bytes() for path in GOLDEN_FILES]
    chained = 0
    for path, data, found in zip(GOLDEN_FILES, files, decode(site, tmp_path, files), strict=True):
        if densezip.info(data).payload == "chained":
            chained += 1
            assert (found["kind"], "torch" in found["error"]) == ("UnsupportedError", True), path.name
            continue
        assert found.get("sha256") == hashlib.sha256(samples_of(data)).hexdigest(), (path.name, found)
        assert found["progress"] == pytest.approx(1)
    assert chained == 3


@needs_node
def test_every_payload_has_the_same_samples(site: Path, tmp_path: Path) -> None:
    files = every_payload()
    kinds = set()
    for (name, data), found in zip(files.items(), decode(site, tmp_path, [*files.values()]), strict=True):
        assert found.get("sha256") == hashlib.sha256(samples_of(data)).hexdigest(), (name, found)
        about = densezip.info(data)
        kinds.add(about.model or about.payload)
        if about.mode == "P":
            assert found["palette"] >= 4 * 4, name
    assert kinds >= {"photo-1", "indexed", "rendered", "enlarged", "webp", "png"}


@needs_node
def test_files_that_were_kept_come_back(site: Path, tmp_path: Path) -> None:
    lossy = file_of(picture("RGB"), "WEBP", quality=50)
    files = [
        densezip.compress(lossy),
        densezip.compress(animation()),
        densezip.compress(file_of(picture("RGB"), "JPEG")),
    ]
    assert {densezip.info(data).payload for data in files} == {"stored", "file", "jpeg"}
    for data, found in zip(files, decode(site, tmp_path, files), strict=True):
        assert found.get("sha256") == hashlib.sha256(samples_of(data)).hexdigest(), found


@needs_node
def test_bits_are_those_that_python_measures(site: Path, tmp_path: Path) -> None:
    photos = [path.read_bytes() for path in GOLDEN_FILES if path.name in ("rgb-e1.dz", "rgba-e5.dz", "grey16-e1.dz")]
    files = [*photos, every_payload()["indexed"], every_payload()["webp la"]]
    details = ["sample"] * len(photos) + ["row", "tile"]
    for data, found, detail in zip(files, decode(site, tmp_path, files, heat=True), details, strict=True):
        wanted = densezip.heatmap(data, by_channel=True)
        assert found["detail"] == detail
        np.testing.assert_allclose(np.array(found["bits"]).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-4)


@needs_node
def test_metadata_are_told_in_words(site: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x10F], exif[0x110], exif[0x13B] = "Maker", "Model 5", "A. Person"
    exif.get_ifd(0x8769).update({0x829A: IFDRational(1, 200), 0x829D: 2.8, 0x8827: 200, 0x9003: "2024:05:06 07:08:09"})
    text = PngInfo()
    text.add_text("Title", "A drawing")
    text.add_text("Long", "letters " * 20, zip=True)
    text.add_itxt("Langue", "été", "fr")
    png = file_of(drawing(), "PNG", exif=exif, pnginfo=text, dpi=(300, 300))
    array = densezip.compress(np.asarray(drawing()))
    jpeg = file_of(drawing(), "JPEG", exif=exif)
    first, second, third = decode(site, tmp_path, [densezip.compress(png), array, densezip.compress(jpeg)])
    rows = dict(first["rows"])
    camera = {"Camera": "Maker Model 5", "Artist": "A. Person", "Taken": "2024-05-06 07:08:09"}
    camera["Exposure"] = "1/200 s · f/2.8 · ISO 200"
    assert rows == {**camera, "Title": "A drawing", "Long": ("letters " * 20), "Langue": "été", "Resolution": "300 dpi"}
    assert second["rows"] == []
    assert dict(third["rows"]) == camera


@needs_node
def test_damage_is_an_error_in_words(site: Path, tmp_path: Path) -> None:
    rng = random.Random(4)
    files = []
    payloads = every_payload()
    for name in (
        "webp rgba 4",
        "png RGB",
        "rendered RGB",
        "indexed",
        "enlarged unevenly",
        "palette of a png",
        "photo I;16",
    ):
        data = payloads[name]
        for _ in range(4):
            hurt = bytearray(data)
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
            files.append(bytes(hurt))
        files += [data[: rng.randrange(len(data))], data + b"\0", b""]
    for found in decode(site, tmp_path, files):
        assert found.get("known"), found
        assert found["error"]


@needs_node
def test_tiles_that_no_encoder_wrote_are_refused_or_decoded(site: Path, tmp_path: Path) -> None:
    """Behind right CRCs: what the checksums at the end would catch must not run wild before."""
    from densezip.codec.file.container import parse, serialise

    rng = random.Random(5)
    files = []
    for data in every_payload().values():
        container = parse(data)
        tiles = [bytearray(container.tile(number)) for number in range(container.header.tiles)]
        place = rng.randrange(min(len(tiles[0]), 40))
        tiles[0][place] ^= 1 << rng.randrange(8)
        files.append(serialise(container.header, [bytes(tile) for tile in tiles]))
    refused = 0
    for found in decode(site, tmp_path, files):
        assert "error" not in found or found["known"], found
        refused += "error" in found
    assert refused > len(files) / 2


@needs_node
def test_a_file_of_a_density_model_says_what_it_needs(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    small = picture("RGB", 16, 16)
    found = decode(site, tmp_path, [densezip.compress(small, model="mcgsm-cifar10")])[0]
    assert found["known"]
    assert found["kind"] == "UnsupportedError"
    assert "torch" in found["error"]


@needs_node
def test_the_core_of_the_page_names_the_sources(build: Any) -> None:
    assert NODE is not None
    script = """
        const module = new WebAssembly.Module(require("fs").readFileSync(process.argv[1]));
        console.log(new WebAssembly.Instance(module).exports.dz_sources() >>> 0);
    """
    done = subprocess.run([NODE, "-e", script, str(ROOT / build.WASM_FILE)], capture_output=True, text=True, check=True)
    assert int(done.stdout) == build.digest(ROOT, build.wasm_sources(ROOT)), "run `python native/build.py --wasm`"


def test_the_core_of_the_page_is_compiled_from_the_sources(build: Any, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    assert build.compile_wasm(ROOT, tmp_path / "core.wasm").read_bytes() == (ROOT / build.WASM_FILE).read_bytes()


def test_no_script_is_long() -> None:
    for path in (ROOT / "web").rglob("*.js"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
