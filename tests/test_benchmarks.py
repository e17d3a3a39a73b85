"""The benchmark programs run, and what they write belongs together; their figures are no business of tests."""

import json
import subprocess
import sys
from pathlib import Path

import densezip
import numpy as np
import pytest
from jpegs import jpeg
from PIL import Image

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
    options += ["--photo", images / "0.png", "--sizes", "31x20"]
    run("models.py", tmp_path, *options, "--json", data, "--plot", plot)
    report = json.loads(data.read_text())
    assert [row["name"] for row in report["peers"]] == ["PNG", "WebP", "JPEG XL 9", "densezip 9"]
    assert [row["ensemble"] for row in report["models"]] == [False, True]
    for row in report["models"]:
        assert row["lossless"]
        assert row["reported_bpd"] == pytest.approx(row["pmf_bpd"], rel=1e-2)
    assert report["scan"]["ratio"] > 1
    (picture,) = report["pictures"]
    assert picture["own_bytes"] < picture["bytes"] < 1.01 * picture["own_bytes"] + 60
    with Image.open(plot) as image:
        assert image.width > image.height > 0


@pytest.mark.parametrize("name", ["photos", "coding", "models"])
def test_tables_of_the_readme_are_those_of_the_measurements(name: str, tmp_path: Path) -> None:
    text = (BENCHMARKS.parent / "README.md").read_text()
    copy = tmp_path / "README.md"
    copy.write_text(text)
    plot = f"benchmarks/{name}.png"
    options = ["--plot", plot] if (BENCHMARKS.parent / plot).exists() else []
    run("readme_table.py", BENCHMARKS / f"{name}.json", copy, *options)
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
