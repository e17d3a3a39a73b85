"""The benchmark programs run, and what they write belongs together; their figures are no business of tests."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
import pytest
import torch
from densezip.models.checkpoint import as_plain, write_checkpoint
from densezip.models.registry import build
from jpegs import jpeg
from leaves import dead_leaves
from PIL import Image
from small_models import made, pictures

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(program: str, *args: str | Path) -> str:
    command = [sys.executable, BENCHMARKS / program, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_start_benchmark_measures_times_and_space(tmp_path: Path) -> None:
    data = tmp_path / "startup.json"
    run("startup.py", "--runs", "1", "--large", "60", "--json", data)
    report = json.loads(data.read_text())
    assert report["small_picture_over_pass"]["cpu"] > 0
    assert report["first_run_over_second"]["cpu"] > 0
    packages = report["installed_megabytes_by_package"]
    assert {"densezip", "numpy", "pillow"} <= set(packages)
    assert report["installed_megabytes"] == pytest.approx(sum(packages.values()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[0:66, 0:70]
    noise = np.random.default_rng(0).integers(0, 9, (66, 70, 3))
    pixels = (np.stack([x + y, 2 * x, 120 - y], axis=-1) + noise).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "colour.png")
    Image.fromarray(pixels[..., 1]).save(folder / "grey.png")
    Image.new("1", (5, 5)).save(folder / "drawing.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_the_photo_benchmark_writes_json_plot_and_tables_that_agree(folder: Path, tmp_path: Path) -> None:
    data, plot, readme = tmp_path / "photos.json", tmp_path / "photos.png", tmp_path / "README.md"
    options: list[str | Path] = ["--efforts", "1", "--threads", "1", "--json", data, "--plot", plot]
    printed = run("photos.py", folder, *options)
    report = json.loads(data.read_text())
    assert list(report["images"]) == ["colour.png", "grey.png"]
    names = [row["name"] for row in report["coders"]]
    assert names == ["PNG", "JPEG 2000", "JPEG-LS", "WebP", "JPEG XL 7", "JPEG XL 9", "densezip 1"]
    for row in report["coders"]:
        assert row["bytes"] == sum(row["sizes"])
        assert row["bpsp"] == pytest.approx(8 * row["bytes"] / (66 * 70 * 4))
        assert f"{row['bytes']:,}" in printed
    assert 0 < report["container_bytes"] <= 48
    with Image.open(plot) as image:
        assert image.width > image.height > 0

    frame = "before\n\n{}\n{}\n\nafter\n"
    begin, end = "<!-- results: made by benchmarks/readme_table.py, do not edit -->", "<!-- end of results -->"
    readme.write_text(frame.format(begin, end))
    run("readme_table.py", data, readme)
    once = readme.read_text()
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert f"| **densezip 1** | {report['coders'][-1]['size_ratio']:.1%} |" in once
    run("readme_table.py", data, readme)
    assert readme.read_text() == once
    assert begin in (BENCHMARKS.parent / "README.md").read_text()


def test_simulated_scans_have_few_colours_and_chroma_that_is_interpolated(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").unlink()
    run("simulate_scans.py", folder, tmp_path / "scans")
    with Image.open(folder / "colour.png") as clean, Image.open(tmp_path / "scans" / "colour.png") as scanned:
        before, after = np.asarray(clean).astype(int), np.asarray(scanned).astype(int)
    assert np.abs(before - after).mean() < 8
    assert len(np.unique(after.reshape(-1, 3), axis=0)) < 0.9 * len(np.unique(before.reshape(-1, 3), axis=0))

    def uneven(picture: npt.NDArray[np.int_]) -> float:
        """How far odd columns are from the mean of their neighbours in red less blue, of which luma is no part."""
        chroma = picture[..., 0] - picture[..., 2]
        return float(np.abs((chroma[:, :-2:2] + chroma[:, 2::2]) / 2 - chroma[:, 1:-1:2]).mean())

    assert uneven(after) < 0.5 * uneven(before)


@pytest.mark.skipif(not shutil.which("cjxl"), reason="no program of libjxl")
def test_jpeg_xl_by_its_own_program_is_lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    coder = importlib.import_module("peers").best_jpegxl()
    pixels = dead_leaves(40, 30, 3, 1)
    assert np.array_equal(coder.decode(coder.encode(pixels)), pixels)


def test_the_jpeg_benchmark_gets_every_file_back_and_says_what_it_became(tmp_path: Path) -> None:
    data = jpeg(height=64, width=80)
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "notes.txt").write_text("not an image")
    run("jpeg.py", tmp_path, "--efforts", "1", "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["files"], report["bytes"]) == (1, len(data))
    found = report["coders"]["densezip -e 1"]
    assert found["ratio"] == pytest.approx(len(densezip.compress(data, effort=1)) / len(data), abs=1e-4)
    assert found["kept"] == []


def test_the_jpeg_benchmark_measures_pixels_beside_the_files_that_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(height=64, width=80, quality=80))
    run("jpeg.py", tmp_path, "--pixels", "--efforts", "1", "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["files"][0]["history"].startswith("quality 80")
    assert report["share at most 1.02 of the JPEG"] == (report["of the JPEG files"] <= 1.02)
    # A second run measures what is new, and keeps what it finds.
    report["files"][0]["seconds"] = [1, 2, 4, 8]
    (tmp_path / "report.json").write_text(json.dumps(report))
    (tmp_path / "b.jpg").write_bytes(jpeg("L", height=40, width=48, quality=80))
    run("jpeg.py", tmp_path, "--pixels", "--efforts", "1", "--json", tmp_path / "report.json", "--minutes", "0")
    again = json.loads((tmp_path / "report.json").read_text())
    assert (again["files"], again["pictures to do"]) == (report["files"], 1)
    run("jpeg.py", tmp_path, "--pixels", "--efforts", "1", "--json", tmp_path / "report.json")
    again = json.loads((tmp_path / "report.json").read_text())
    assert [row["name"] for row in again["files"]] == ["a.jpg", "b.jpg"]
    assert (again["files"][0], again["pictures to do"]) == (report["files"][0], 0)


def test_the_batch_benchmark_measures_all_three_ways(tmp_path: Path) -> None:
    options = ["--images", "2", "--side", "12", "--rounds", "1", "--listed", "1000"]
    printed = run("batch.py", *options, "--json", tmp_path / "batch.json")
    report = json.loads((tmp_path / "batch.json").read_text())
    found, book = report["throughput"], report["bookkeeping"]
    assert set(found["clock_seconds"]) == {"one", "batch", "independent"}
    assert found["ratio"] == pytest.approx(found["ceiling"] * found["of_ceiling"])
    assert f"{found['ratio']:.2f} (bar 1.7" in printed
    assert 150 < book["plan_bytes"] < book["receipt_bytes"] < 500


def test_peak_memory_is_that_of_the_command(folder: Path) -> None:
    report = json.loads(run("memory.py", folder, "--efforts", "1", "--size", "96", "64"))
    result = report["efforts"]["1"]
    # A Python with numpy and Pillow takes tens of megabytes; a wrong unit would be off by a thousand.
    assert 2e7 < result["compress_peak_bytes"] < 4e9
    assert 1e7 < result["decompress_peak_bytes"] < 4e9


def test_the_benchmark_of_models_measures_peers_models_ensembles_pictures_and_the_scan(tmp_path: Path) -> None:
    data, plot, images = tmp_path / "models.json", tmp_path / "models.png", tmp_path / "test"
    images.mkdir()
    y, x = np.mgrid[0:32, 0:32]
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 9, (32, 32, 3))
        pixels = (np.stack([x + y, 2 * x, 120 - y], axis=-1) + noise).astype(np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    options: list[str | Path] = ["--models", "mcgsm-cifar10", "--ensembles", "mcgsm-cifar10", "--batch", "1"]
    options += ["--photo", images / "0.png", "--sizes", "31x20", "--ablations", "mcgsm-cifar10"]
    run("models.py", tmp_path, *options, "--json", data, "--plot", plot)
    report = json.loads(data.read_text())
    assert [row["name"] for row in report["peers"]] == ["PNG", "WebP", "JPEG XL 9", "densezip 9"]
    assert [row["ensemble"] for row in report["models"]] == ["", "best", "exact"]
    for row in report["models"]:
        assert row["lossless"]
        assert row["reported_bpd"] == pytest.approx(row["pmf_bpd"], rel=1e-2)
    assert report["scan"]["ratio"] > 1
    (ablation,) = report["ablations"]
    assert (ablation["trained_images"], ablation["parameters"]) == (24000, 20496)
    (picture,) = report["pictures"]
    assert picture["own_bytes"] < picture["bytes"] < 1.01 * picture["own_bytes"] + 60
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_the_benchmark_of_deep_mixtures_joins_variants_and_draws_them(tmp_path: Path) -> None:
    data, out, plot = tmp_path / "deepgmm.json", tmp_path / "out", tmp_path / "deepgmm.png"
    options: list[str | Path] = ["--data", "deadleaves:size=8,count=60", "--json", data, "--out", out]
    for names in ("full,shared-1x4", "gated-1"):
        run("deepgmm.py", *options, "--variants", names, "--steps", "2", "--batch", "4")
    found = json.loads(data.read_text())["variants"]
    assert list(found) == ["full", "shared-1x4", "gated-1"]
    assert found["shared-1x4"]["upper"] == pytest.approx(found["shared-1x4"]["lower"] + np.log(4))
    assert found["gated-1"]["upper"] is None
    assert found["gated-1"]["steps"] == 2
    run("deepgmm.py", *options[:2], "--draw", plot, out / "gated-1" / "best.safetensors")
    with Image.open(plot) as image:
        assert image.width > 100


def test_the_look_into_latents_measures_layers_bounds_and_bins(tmp_path: Path) -> None:
    path, data, plot = tmp_path / "small.safetensors", tmp_path / "latent.json", tmp_path / "latent.png"
    model = made("topdown")
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    write_checkpoint(path, tensors, {"model": "topdown", "config": as_plain(model.config)})
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pictures(4)):
        Image.fromarray(image[0]).save(tmp_path / "images" / f"{number}.png")
    shutil.copy(path, tmp_path / "other.safetensors")
    for checkpoint, spreads in ((tmp_path / "other.safetensors", ("4",)), (path, ("1", "4"))):
        options = ["--samples", "3", "--weighed", "2", "--single", "1", "--bits", "6", "12", "--spreads", *spreads]
        run("latent.py", checkpoint, "--data", tmp_path / "images", *options, "--json", data, "--plot", plot)
    other, report = json.loads(data.read_text())["models"]
    assert (other["model"], report["model"]) == ("other", "small")
    assert other["bins"] == report["bins"][2:]
    assert len(report["divergence"]) == 2
    assert [count for count, _ in report["weighted"]] == [1, 2, 3]
    assert report["weighted"][0][1] > report["weighted"][2][1]
    coarse, fine, *spread = report["bins"]
    assert (coarse["bins"], fine["bins"]) == (64, 4096)
    assert min(coarse["single_bpd"], fine["single_bpd"]) > fine["net_bpd"]
    assert [(row["bins"], row["spread"]) for row in spread] == [(64, 4), (4096, 4)]
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_agaves_are_measured_by_their_weights_and_shown(tmp_path: Path) -> None:
    for name, model in (
        ("agave-1", made("agave")),
        ("agave-9", made("agave", weight=9.0)),
        ("agave-half", made("agave", auxiliary="half")),
        ("pixelcnn++", made("pixelcnn++")),
    ):
        tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
        about = {"model": name.partition("-")[0], "config": as_plain(model.config)}
        start = {"start": "of another"} if name.endswith("half") else {}
        write_checkpoint(tmp_path / f"{name}.safetensors", tensors, about | start)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pictures(6)):
        Image.fromarray(image[0]).save(tmp_path / "images" / f"{number}.png")
    names = ("agave-1", "agave-9", "agave-half", "pixelcnn++")
    *runs, peer = (tmp_path / f"{name}.safetensors" for name in names)
    data, plot, picture, rows = (tmp_path / name for name in ("agave.json", "plot.png", "picture.png", "rows.png"))
    outputs: list[str | Path] = ["--json", data, "--plot", plot, "--picture", picture, "--compare", rows]
    run("agave.py", *runs, "--peer", peer, "--data", tmp_path / "images", *outputs)
    report = json.loads(data.read_text())
    assert [row["weight"] for row in report["runs"]] == [1.0, 9.0, 1.0]
    assert [bool(row["begun_at"]) for row in report["runs"]] == [False, False, True]
    for row in report["runs"]:
        assert row["reported_bpd"] == pytest.approx(row["kl_bpd"] + row["pixels_bpd"])
        assert row["kl_bpd"] > 0
    assert report["peer"]["reported_bpd"] > 0
    with Image.open(plot) as image:
        assert image.width > image.height > 0
    with Image.open(picture) as image:
        assert image.size == (2 * (10 * 10 - 2), 2 * (8 * 10 - 2))
    with Image.open(rows) as image:
        assert image.size == (2 * (10 * 10 - 2), 2 * (1 * 10 - 2))


@pytest.mark.parametrize(
    ("kind", "settings", "figure"),
    [
        ("diffusion", {"size": (1, 2), "network": "radial", "steps": 4}, "gap_bits_of_many_ways"),
        ("binomial", {"size": (1, 20), "network": "layered", "steps": 4}, "sound"),
    ],
)
def test_figures_of_known_diffusions_are_measured_and_drawn(
    kind: str, settings: dict[str, Any], figure: str, tmp_path: Path
) -> None:
    model: Any = build(kind, {"channels": 1, "filters": 4, "blocks": 1, **settings})
    path, data, plot = tmp_path / "small.safetensors", tmp_path / "figures.json", tmp_path / "figures.png"
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    write_checkpoint(path, tensors, {"model": kind, "config": as_plain(model.config)})
    run("diffusion.py", path, "--count", "20", "--ways", "3", "--json", data, "--plot", plot)
    assert figure in json.loads(data.read_text())
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def save(path: Path, kind: str, model: Any) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    write_checkpoint(path, tensors, {"model": kind, "config": as_plain(model.config), "step": 0})


def test_what_a_diffusion_takes_out_of_images_and_how_near_its_digits_come(tmp_path: Path) -> None:
    colours, grey, data, plot = (tmp_path / name for name in ("c.safetensors", "g.safetensors", "f.json", "f.png"))
    save(colours, "diffusion", build("diffusion", {"channels": 3, "steps": 4, "filters": 8, "blocks": 1, "bumps": 3}))
    small = {"channels": 1, "size": (28, 28), "steps": 2, "filters": 8, "blocks": 1}
    save(grey, "diffusion", build("diffusion", small))
    for number, image in enumerate(pictures(3, channels=3)):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "images" / f"{number}.png")
    run("diffusion.py", colours, "--images", tmp_path / "images", "--ways", "2", "--json", data, "--plot", plot)
    for row in json.loads(data.read_text())["decibels"]:
        assert row["noisy"] == pytest.approx(20 * np.log10(255 / row["noise"]), abs=0.6)
        assert row["non-local means"] > row["noisy"] > 0
    with Image.open(plot) as image:
        assert image.height == 7 * 2 * (8 + 2)
    for split in ("train", "validation", "test"):
        (tmp_path / "digits" / split).mkdir(parents=True)
        for number, image in enumerate(pictures(4, side=28, seed=len(split))):
            Image.fromarray(image[0]).save(tmp_path / "digits" / split / f"{number}.png")
    run("diffusion.py", grey, "--digits", tmp_path / "digits", "--count", "3", "--json", data)
    windows = json.loads(data.read_text())
    assert windows["windows_around_training_images"]["bits"] > windows["windows_around_samples"]["bits"]


def test_what_an_adversary_gives_is_measured_and_drawn(tmp_path: Path) -> None:
    path, data, plot = tmp_path / "small.safetensors", tmp_path / "adversarial.json", tmp_path / "adversarial.png"
    save(path, "v-ade", made("v-ade", channels=3))
    for split, count in (("train", 8), ("test", 120)):
        (tmp_path / "images" / split).mkdir(parents=True)
        for number, image in enumerate(pictures(count, channels=3, seed=count)):
            Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "images" / split / f"{number}.png")
    options = ["--minutes", "0.01", "--limit", "4", "--coded", "4", "--count", "60", "--steps", "20"]
    places: list[str | Path] = ["--features", tmp_path / "f.safetensors", "--json", data, "--plot", plot]
    run("adversarial.py", f"A={path}", "--data", tmp_path / "images", *options, *places)
    report = json.loads(data.read_text())
    (row,) = report["models"]
    assert row["first_file_bpd"] > row["first_pmf_bpd"] > 0
    assert row["first_reported_bpd"] == pytest.approx(row["reported_bpd"], rel=0.02)
    assert row["means"]["distance"] > report["other_images"]["distance"] > 0
    assert all(0 <= row[kind][by] <= 1 for kind in ("means", "draws") for by in ("linear", "convolutional"))
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_densities_by_denoising_are_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, plot, photographs = tmp_path / "figures.json", tmp_path / "plane.png", tmp_path / "photographs"
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    program = importlib.import_module("dde")

    def part(*args: str | Path) -> None:
        monkeypatch.setattr(sys, "argv", ["dde.py", *map(str, args), "--json", str(data)])
        program.main()

    part("densities", "--dimensions", "3", "--seconds", "0.1", "--points", "2000", "--count", "2000")
    part("plane", "--names", "eight", "--widths", "0.5", "--steps", "3", "--plot", plot)
    for name in ("train/a", "train/b", "val/c"):
        (photographs / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dead_leaves(40, 30, 3, 1)).save(photographs / f"{name}.png")
    grey, small = tmp_path / "grey", tmp_path / "small.safetensors"
    part("crops", "--data", photographs, "--out", grey)
    tensors = {f"model.{name}": value for name, value in made("dde").state_dict().items()}
    write_checkpoint(small, tensors, {"model": "dde", "config": as_plain(made("dde").config)})
    part("codes", small, "--data", f"folder:{grey}")
    report = json.loads(data.read_text())
    (density,), (coded,) = report["densities"], report["codes"]
    assert abs(density["log_z_error"]) < 0.05
    assert density["gap_nats"] > -0.05
    (plane,) = report["plane"]
    assert plane["integral"] == pytest.approx(0.95, abs=0.05)  # some of a wide blur lies outside of the grid
    assert plane["generator_blurred_kl_nats"] > 0
    assert coded["images"] == [1, 1, 30, 30]
    assert 0 < coded["file_bpd"] - coded["pmf_bpd"] < 2
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_modes_that_generators_cover_are_counted_and_drawn(tmp_path: Path) -> None:
    data, plot = tmp_path / "modes.json", tmp_path / "modes.png"
    run("modes.py", "--iterations", "3", "--batch", "8", "--width", "8", "--json", data, "--plot", plot)
    report = json.loads(data.read_text())
    assert [row["batch"] for row in report["optimum"]] == [1, 2, 4, 8]
    assert set(report["trained"]) == {
        f"{kind}, {name}" for kind in ("GAN", "BGAN", "M-BGAN") for name in ("ring", "grid")
    }
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_what_classes_give_is_measured_and_drawn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"channels": 1, "filters": 4, "layers": 1, "first": 3}
    paths = [tmp_path / f"{name}.safetensors" for name in ("classes", "plain")]
    save(paths[0], "class-pixelcnn", build("class-pixelcnn", {**small, "classes": 10}))
    save(paths[1], "pixelcnn", build("pixelcnn", small))
    data, plot = tmp_path / "classes.json", tmp_path / "classes.png"
    run("classes.py", *paths, "--count", "2", "--limit", "6", "--json", data, "--plot", plot)
    report = json.loads(data.read_text())
    # Untrained, all classes are one: by bits-back the class costs nothing.
    for kind in ("given", "latent"):
        assert report[kind]["net_bpd"] == pytest.approx(report[kind]["reported_bpd"], rel=0.02)
    assert report["latent"]["reported_bpd"] == pytest.approx(report["given"]["reported_bpd"], rel=1e-4)
    assert report["samples"]["real_on_real"] > 0.6
    with Image.open(plot) as image:
        assert image.width > 0


@pytest.mark.parametrize(
    ("name", "page", "plot"),
    [
        ("photos", "README.md", "benchmarks/photos.png"),
        ("photos", "docs/choose.md", "../benchmarks/photos.png"),
        ("photos", "docs/reproduce.md", None),
        ("coding", "docs/reproduce.md", None),
        ("models", "docs/choose.md", "../benchmarks/models.png"),
        ("systems", "docs/choose.md", None),
        ("jpeg", "docs/reproduce.md", None),
        ("batch", "docs/scale.md", None),
    ],
)
def test_tables_are_those_of_the_measurements(name: str, page: str, plot: str | None, tmp_path: Path) -> None:
    text = (BENCHMARKS.parent / page).read_text()
    copy = tmp_path / "page.md"
    copy.write_text(text)
    run("readme_table.py", BENCHMARKS / f"{name}.json", copy, *(["--plot", plot] if plot else []))
    assert copy.read_text() == text


def test_the_benchmark_of_synthetic_pictures_names_the_worst_first(tmp_path: Path) -> None:
    data = tmp_path / "synthetic.json"
    printed = run("synthetic.py", "--efforts", "1", "--only", "small", "--json", data)
    report = json.loads(data.read_text())
    names = [row["name"] for row in report["pictures"]]
    assert sorted(names) == ["linear-rgb-small", "map-violet-256-small"]
    ratios = [
        row["sizes"]["densezip 1"] / min(row["sizes"]["WebP"], row["sizes"]["JPEG XL 9"]) for row in report["pictures"]
    ]
    assert ratios == [row["ratios"]["1"] for row in report["pictures"]] == sorted(ratios, reverse=True)
    assert (
        report["worst"]["1"] == max(r for r, row in zip(ratios, report["pictures"], strict=True) if row["counts"]) < 1
    )
    assert printed.index(names[0]) < printed.index(names[1])


def test_the_benchmark_of_textures_fills_a_hole_and_draws_what_it_did(tmp_path: Path) -> None:
    folder, data, plot = tmp_path / "textures", tmp_path / "t.json", tmp_path / "t.png"
    folder.mkdir()
    y, x = np.mgrid[0:80, 0:150]
    stripes = 128 + 60 * np.sin(x / 2 + y / 5) + np.random.default_rng(0).normal(0, 9, x.shape)
    Image.fromarray(np.clip(stripes, 0, 255).astype(np.uint8)).save(folder / "stripes.png")
    small = ["--side", "16", "--crops", "40", "--hole", "5", "--radius", "2", "--hidden", "4", "--steps", "8"]
    run("textures.py", folder, *small, "--sweeps", "2", "--json", data, "--plot", plot)
    (row,) = json.loads(data.read_text())["rows"]
    assert row["texture"] == "stripes"
    for model in ("mcgsm", "ride"):
        assert 0 < row[model]["bpd"] < 8
        assert len(row[model]["accepted"]) == 2
        assert all(0 < accepted <= 1 for accepted in row[model]["accepted"])
    with Image.open(plot) as image:
        assert image.width > image.height > 0


def test_the_benchmark_of_dead_leaves_has_a_curve_and_its_spread(tmp_path: Path) -> None:
    data, plot = tmp_path / "d.json", tmp_path / "d.png"
    small = ["--radii", "1", "2", "--size", "12", "--images", "40", "--test", "4", "--first", "8", "--steps", "8"]
    run("deadleaves.py", *small, "--hidden", "3", "--seeds", "2", "--json", data, "--plot", plot)
    rows = json.loads(data.read_text())["rows"]
    assert [(row["seed"], row["radius"], row["model"]) for row in rows[:3]] == [
        (0, 1, "mcgsm"),
        (0, 1, "ride"),
        (0, 2, "mcgsm"),
    ]
    assert len(rows) == 8
    assert all(row["kept_at"] in range(9) for row in rows)
    with Image.open(plot) as image:
        assert image.width > image.height > 0
