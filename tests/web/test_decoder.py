"""The page's decoders in Node: the same samples as Python's, bit for bit, and an error for whatever is damaged."""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
import pytest
import tiffs
from densezip.codec.file.container import Payload, parse, serialise
from densezip.codec.file.payload import Coder, png_coder
from densezip.codec.images.history.decoder import Canvas
from densezip.codec.images.history.decoder import samples_of as samples_of_plane
from densezip.codec.images.history.steps import ZIGZAG
from densezip.codec.images.history.undo import History
from densezip.codec.images.history.undo import decode as shown_pixels
from densezip.codec.images.jpeg.habits import standard_steps
from densezip.codec.images.sheets import grouped, sheet_of
from densezip.codec.images.source import Source, metadata
from densezip.models.jpeg import tile
from densezip.models.jpeg.coder import coder_for_effort
from densezip.web.site import write_site
from dzfiles import GOLDEN_FILES, animation, coded, drawing, every_payload, samples_of
from leaves import dead_leaves
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
    assert chained == 4


@needs_node
def test_every_payload_has_the_same_samples(site: Path, tmp_path: Path) -> None:
    files = every_payload()
    kinds = set()
    for (name, data), found in zip(files.items(), decode(site, tmp_path, [*files.values()]), strict=True):
        assert found.get("sha256") == hashlib.sha256(samples_of(data)).hexdigest(), (name, found)
        about = densezip.info(data)
        kinds.add(about.model or about.payload)
        if about.mode == "P":
            assert len(found["palette"]) >= 4 * 4, name
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


def was_jpeg(
    size: tuple[int, int], canvas: Canvas, *, grey: bool, single: bool = False, alpha: bool = False
) -> tuple[bytes, bytes]:
    """A picture that is coded as what a decoder makes of coefficients, with corrections; its samples, and its file."""
    rng = np.random.default_rng(7)
    height, width = size
    rows, columns = canvas.coarse()
    sides = [(canvas.height, canvas.width), *([] if grey else [(rows, columns)] * 2)]
    steps = [rng.integers(1, 99, 64).astype(np.int32), np.zeros(64, np.int32)]
    steps[1][ZIGZAG] = np.frombuffer(standard_steps(40, chroma=True), np.uint8)
    planes, samples = [], []
    for number, (high, wide) in enumerate(sides):
        plane = rng.integers(-6, 7, (-(-high // 8), -(-wide // 8), 64)).astype(np.int16) // (
            1 + np.arange(64, dtype=np.int16)
        )
        plane[-1, -1, :2] = 1023, -1023  # more than samples hold
        made, _ = samples_of_plane(plane, steps[min(number, 1)])
        made[rng.random(made.shape) < 0.02] += 3
        planes.append(plane)
        samples.append(made)
    tables = [steps[min(number, 1)] for number in range(len(planes))]
    pixels = shown_pixels(canvas, samples, height, width)
    pixels[rng.random(pixels.shape) < 0.02] -= 1
    pixels[height // 2, : width // 2] = 255
    if single:
        pixels = np.repeat(pixels, 3, 2)
    if alpha:
        pixels = np.concatenate([pixels, rng.integers(0, 3, (height, width, 1)).astype(np.uint8)], 2)
    history = History(canvas, tuple(tables), tuple(planes), tuple(samples))

    def encode(whole: Any, advance: Callable[[int], None]) -> bytes:
        return tile.encode_tile(whole, history, coder_for_effort((1, 5, 9)[width % 3]), advance)

    coder = Coder(Payload.MODEL, height, width, encode, tile.decode_tile, tile.NAME, tile.DIGEST)
    return pixels.tobytes(), coded(coder, pixels, ("L", "LA", "RGB", "RGBA")[pixels.shape[2] - 1], 8)


@needs_node
def test_pictures_that_were_jpeg_files_come_back(site: Path, tmp_path: Path) -> None:
    made = [
        was_jpeg((30, 43), Canvas(30, 43, 0, 0, 1, 1), grey=True),
        was_jpeg((30, 43), Canvas(37, 45, 5, 2, 1, 1), grey=True, single=True),
        was_jpeg((1, 1), Canvas(9, 9, 3, 4, 1, 1), grey=True),
        was_jpeg((20, 19), Canvas(20, 19, 0, 0, 1, 1), grey=True, alpha=True),
        was_jpeg((20, 19), Canvas(20, 19, 0, 0, 1, 1), grey=True, single=True, alpha=True),
        was_jpeg((20, 19), Canvas(20, 19, 0, 0, 2, 2), grey=False, alpha=True),
    ]
    for across in (1, 2):
        for down in (1, 2):
            made.append(was_jpeg((30, 43), Canvas(30, 43, 0, 0, across, down), grey=False))
            made.append(was_jpeg((21, 31), Canvas(41, 49, 9, 13, across, down), grey=False))
            made.append(was_jpeg((5, 3), Canvas(5, 3, 0, 0, across, down), grey=False))
    files = [data for _, data in made]
    for (samples, data), found in zip(made, decode(site, tmp_path, files), strict=True):
        assert samples_of(data) == samples
        assert found.get("sha256") == hashlib.sha256(samples).hexdigest(), (densezip.info(data).history, found)
        assert found["progress"] == pytest.approx(1)


@needs_node
def test_damaged_pictures_that_were_jpeg_files_are_refused(site: Path, tmp_path: Path) -> None:
    container = parse(was_jpeg((30, 43), Canvas(37, 45, 5, 2, 2, 2), grey=False)[1])
    good, rng = bytes(container.tile(0)), random.Random(6)
    bad = [
        b"",
        good[:9],
        good[:-9],
        good + b"\1" * 40,
        b"\x08" + good[1:],
        b"\4" + good[1:],
        good[:1] + b"\x20" + good[2:],
    ]
    for place in [*range(17), *(rng.randrange(17, len(good)) for _ in range(8))]:
        bad.append(good[:place] + bytes([good[place] ^ 1 << rng.randrange(8)]) + good[place + 1 :])
    for hurt, found in zip(
        bad, decode(site, tmp_path, [serialise(container.header, [hurt]) for hurt in bad]), strict=True
    ):
        assert found.get("known"), (hurt[:20].hex(), found)


def arrays() -> list[npt.NDArray[Any]]:
    """Of every type, and of several shapes, with all that floating-point numbers can be."""
    rng = np.random.default_rng(3)
    smooth = np.cumsum(rng.normal(size=(5, 9, 12)), 2)
    edges = [np.nan, np.inf, -np.inf, -0.0, 1e-40, -3.5]
    found: list[npt.NDArray[Any]] = [(smooth * 20).astype(kind) for kind in ("i1", "i2", "i4", "i8", "f2", "f4", "f8")]
    for array in found[-3:]:
        array[2, 3, :6] = edges
    found += [(abs(smooth) * 2**59).astype(np.uint64), (smooth * 2**57).astype(np.int64), smooth > 0]
    found += [abs(smooth * 9).astype(kind) for kind in ("u1", "u2", "u4")]
    whole = rng.integers(0, 65536, (7, 40))
    found += [
        (whole.astype(np.float32) / 65535).astype(np.float16),
        whole / 65535,
        (whole % 256).astype(np.float32) / 255,
    ]
    found += [whole.astype(np.float32), rng.integers(0, 65536, (9, 9)).astype(np.float16)]
    colours = dead_leaves(12, 15, 3, 5)
    found += [colours.astype(np.float32) / 255, colours.astype(np.int16) - 99]
    found.append(np.concatenate([colours, colours // 2], 2))
    found.append(np.stack([colours, colours[::-1]]))
    return found


def sheet_file(array: npt.NDArray[Any], *, beside: bool) -> bytes:
    """A file of an array, coded as PNG: of its planes by themselves, or where there are three, side by side."""
    picture = grouped(sheet_of(array), lambda found: found.pixels.shape[2] if not beside else -found.pixels.shape[2])
    height, width, _ = picture.pixels.shape
    coder = png_coder(picture.mode, picture.bits, height, width)
    container = parse(coded(coder, picture.pixels, picture.mode, picture.bits))
    header = replace(container.header, chunks=picture.chunks, array_ndim=picture.array_ndim)
    return serialise(header, [bytes(container.tile(0))])


def indexed_tga(width: int, height: int, bits: int, first: int, count: int, *, runs: bool) -> bytes:
    """A TGA file with a name in front of its palette of so many bits."""
    rng = np.random.default_rng(bits)
    head = struct.pack("<BBBHHBHHHHBB", 4, 1, 9 if runs else 1, first, count, bits, 0, 0, width, height, 8, 32)
    colours = rng.bytes(count * ((bits + 7) // 8))
    indices = (first + np.arange(width * height) // 40 % count).astype(np.uint8).tobytes()
    rows = b"".join(bytes([0, index]) for index in indices) if runs else indices
    return head + b"name" + colours + rows


def indexed_files() -> dict[str, bytes]:
    """Files with palettes, by what is special about them."""
    found = {}
    for bits, colours in ((8, 200), (8, 11), (4, 16), (1, 2)):
        image = drawing(61, 45).quantize(colours)
        image.putpalette(np.random.default_rng(bits + colours).bytes(3 * colours))
        for kind in ("BMP", "TIFF"):
            found[f"{kind} of {colours} colours"] = file_of(image, kind, bits=bits)
        for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
            found[f"{compression} of {colours}"] = file_of(image, "TIFF", compression=compression, dpi=(72, 72))
    indices = np.asarray(drawing(31, 23).quantize(99))[:, :, None]
    values = np.random.default_rng(1).integers(0, 65536, 768)
    layouts: list[dict[str, Any]] = [
        {"ahead": True},
        {"deflated": True, "tile": (16, 32), "tags": tiffs.TAGS},
        {"deflated": True, "rows": 8, "big": True},
        {"order": ">", "rows": 7, "gap": b"gap", "tags": tiffs.TAGS[:3], "behind": b"end"},
    ]
    for number, options in enumerate(layouts):
        entries = values // 256 * (256 if number % 2 else 257)
        tags = ((320, tiffs.SHORT, entries.tolist()), *options.pop("tags", ()))
        found[f"TIFF {number}"] = tiffs.build(indices, photometric=3, tags=tags, **options)
    for bits, first, count in ((15, 0, 256), (16, 3, 20), (24, 0, 256), (24, 9, 40), (32, 10, 100)):
        found[f"TGA {bits} {first}"] = indexed_tga(90, 70, bits, first, count, runs=bits == 24)
    old = struct.pack("<2sIHHIIHHHH", b"BM", 26 + 768 + 4800, 0, 0, 26 + 768, 12, 80, 60, 1, 8)
    found["BMP of OS/2"] = old + np.random.default_rng(2).bytes(768) + bytes(i // 40 for i in range(4800))
    return found


@needs_node
def test_the_colours_of_indexed_files_are_those_of_the_files(site: Path, tmp_path: Path) -> None:
    files = indexed_files()
    packed = {name: densezip.compress(data, effort=1) for name, data in files.items()}
    for (name, data), found in zip(packed.items(), decode(site, tmp_path, [*packed.values()]), strict=True):
        header = parse(data).header
        assert (header.mode, header.remainder is not None) == ("P", True), name
        chunks = dict(metadata(Source(header.source_format, header.remainder)))
        colours = np.frombuffer(chunks["PLTE"], np.uint8).reshape(-1, 3)
        alpha = np.full((len(colours), 1), 255, np.uint8)
        if "tRNS" in chunks:
            alpha[: len(chunks["tRNS"]), 0] = np.frombuffer(chunks["tRNS"], np.uint8)
        assert found.get("palette") == np.hstack([colours, alpha]).ravel().tolist(), (name, found)


@needs_node
def test_arrays_that_are_no_images_come_back(site: Path, tmp_path: Path) -> None:
    given = [array for array in arrays() for _ in range(2)]
    files = [sheet_file(array, beside=bool(number % 2)) for number, array in enumerate(given)]
    files[-1] = densezip.compress(given[-1], effort=1)
    groups = set()
    for array, data, found in zip(given, files, decode(site, tmp_path, files), strict=True):
        np.testing.assert_array_equal(densezip.decompress(data), array)
        what = f"{array.dtype} {array.shape} {found}"
        assert found.get("sha256") == hashlib.sha256(array.tobytes()).hexdigest(), what
        assert found["array"] == {"type": str(array.dtype), "shape": list(array.shape)}, what
        assert data[4] == 6, what
        groups.add(found["mode"].startswith("RGB"))
    assert groups == {False, True}


@needs_node
def test_another_size_than_that_of_an_array_is_refused(site: Path, tmp_path: Path) -> None:
    numbers: Any = np.arange(96, dtype=np.int16).reshape(2, 6, 8)
    container = parse(densezip.compress(numbers))
    ((name, data),) = container.header.chunks
    tiles = [bytes(container.tile(0))]
    lies = [data[:4] + bytes(shape) for shape in ((2, 6, 9), (2, 7, 8), (2, 8, 6), (0, 6, 8), (2, 6))]
    lies += [bytes([12]) + data[1:], data[:2] + b"\2" + data[3:], data[:1] + b"\4" + data[2:], data + b"\1"]
    files = [serialise(replace(container.header, chunks=((name, lie),)), tiles) for lie in lies]
    old = bytearray(serialise(container.header, tiles))
    old[4] = 5
    end = len(old) - len(tiles[0]) - 4
    old[end : end + 4] = zlib.crc32(old[:end]).to_bytes(4, "little")
    for found in decode(site, tmp_path, [*files, bytes(old)]):
        assert found.get("kind") == "DamagedError", found
    assert "version 6" in found["error"]


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
