"""Lossless coders on a folder of photographs: size, speed, and the figures that densezip promises.

    python benchmarks/photos.py FOLDER --json photos.json --plot photos.png --memory 5

Every coder runs in this process on the same pixels, every round trip is compared, and times are ratios against JPEG XL
effort 9 measured in the same run. `readme_table.py` and `plot.py` make their outputs from the JSON alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import densezip
import numpy as np
from densezip.codec.file.container import parse
from densezip.models.photo import measure_bits, model_for_effort, tile_shape
from peers import Coder, Pixels, coders, webp_like
from PIL import Image

REFERENCE = "JPEG XL 9"
HERE = Path(__file__).parent
GAP_IMAGES = 4  # of about so many, evenly spaced, the model's own code length is measured
PACKAGES = ("densezip", "imagecodecs", "numpy", "pillow")


@dataclass
class Result:
    """What one coder did to all images; times in seconds, wall clock and of all its threads together."""

    name: str
    effort: int | None
    threads: int
    sizes: list[int] = field(default_factory=list)
    encode_seconds: float = 0.0
    encode_cpu_seconds: float = 0.0
    decode_seconds: float = 0.0
    decode_cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Figure:
    """A measured value against the bar that a release must reach, and the aim beyond it; smaller is better."""

    name: str
    value: float
    bar: float
    aim: float | None
    unit: str = ""

    @property
    def reached(self) -> str:
        """How far it got, in a word."""
        if self.value > self.bar:
            return "MISSED"
        return "aim" if self.aim is not None and self.value <= self.aim else "bar"


def load(folder: Path, limit: int | None) -> dict[str, Pixels]:
    """The images of a folder that are 8-bit grey or colour, by name; others are named and left out."""
    images: dict[str, Pixels] = {}
    for path in sorted(folder.iterdir()):
        if limit is not None and len(images) >= limit:
            break
        try:
            with Image.open(path) as image:
                if image.mode in ("L", "RGB", "RGBA"):
                    images[path.name] = np.asarray(image).copy()
                else:
                    print(f"left out: {path.name} has mode {image.mode}")
        except OSError:
            print(f"left out: {path.name} is no image")
    if not images:
        raise SystemExit(f"no 8-bit grey or colour images in {folder}")
    return images


def measure(coder: Coder, images: dict[str, Pixels]) -> Result:
    """Codes every image there and back.

    Raises:
        SystemExit: An image came back different.
    """
    result = Result(coder.name, coder.effort, coder.threads)
    for number, (name, pixels) in enumerate(images.items(), 1):
        print(f"\r\x1b[K{coder.name}: {number}/{len(images)}", end="", file=sys.stderr, flush=True)
        wall, cpu = time.perf_counter(), time.process_time()
        data = coder.encode(pixels)
        result.encode_seconds += time.perf_counter() - wall
        result.encode_cpu_seconds += time.process_time() - cpu
        wall, cpu = time.perf_counter(), time.process_time()
        again = coder.decode(data)
        result.decode_seconds += time.perf_counter() - wall
        result.decode_cpu_seconds += time.process_time() - cpu
        if coder.name == "WebP":
            again = webp_like(again, pixels)
        if again.dtype != pixels.dtype or not np.array_equal(again, pixels):
            raise SystemExit(f"{coder.name} changed the pixels of {name}")
        result.sizes.append(len(data))
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return result


def model_gap(effort: int, images: dict[str, Pixels], sizes: Sequence[int]) -> tuple[float, float]:
    """The file's bits, less the 2,000 that a file may cost, over the model's -log2 p of the pixels: worst and overall.

    Args:
        effort: Of the files.
        images: The pixels.
        sizes: Of the files of those images in bytes.
    """
    model = model_for_effort(effort)
    worst, file_bits, model_bits = 0.0, 0.0, 0.0
    # Some images show it: coding all of them once more takes minutes.
    stride = max(1, len(images) // GAP_IMAGES)
    for pixels, size in list(zip(images.values(), sizes, strict=True))[::stride]:
        volume = pixels.reshape(*pixels.shape[:2], -1)
        height, width = tile_shape(model, *volume.shape[:2])
        bits = sum(
            measure_bits(model, np.ascontiguousarray(volume[y : y + height, x : x + width]), 8)
            for y in range(0, volume.shape[0], height)
            for x in range(0, volume.shape[1], width)
        )
        worst = max(worst, (8 * size - 2000) / bits)
        file_bits += 8 * size
        model_bits += bits
    return worst, file_bits / model_bits


def container_bytes(images: dict[str, Pixels]) -> int:
    """What a .dz file of a 64x64 crop holds beside its tiles: the most, over the images that large."""
    crops = [pixels[:64, :64].copy() for pixels in images.values() if min(pixels.shape[:2]) >= 64]
    overheads = [0]
    for data in map(densezip.compress, crops):
        container = parse(data)
        overheads.append(len(data) - sum(len(container.tile(index)) for index in range(container.header.tiles)))
    return max(overheads)


def median_seconds(command: Sequence[str], repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return sorted(times)[repeats // 2]


def startup_seconds() -> float:
    """`densezip --version` over an empty Python program."""
    run = [sys.executable, "-c", "from densezip.cli.main import main; main()", "--version"]
    return median_seconds(run) - median_seconds([sys.executable, "-c", "pass"])


def small_file_seconds() -> float:
    """`densezip compress` of a 64x64 PNG file over an empty Python program."""
    pixels = np.arange(64 * 64 * 3).reshape(64, 64, 3) // 48
    with tempfile.TemporaryDirectory() as folder:
        source = str(Path(folder, "small.png"))
        Image.fromarray(pixels.astype(np.uint8)).save(source)
        run = [sys.executable, "-c", "from densezip.cli.main import main; main()", "compress", "-q", "-f", source]
        return median_seconds(run) - median_seconds([sys.executable, "-c", "pass"])


def peak_memory(folder: Path, efforts: Iterable[int]) -> dict[str, Any]:
    """Peak memory of the command on a 24-megapixel image, from `memory.py` in a process of its own."""
    run = [sys.executable, str(HERE / "memory.py"), str(folder), "--efforts", ",".join(map(str, efforts))]
    result: dict[str, Any] = json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout)
    return result


def processor() -> str:
    """The name of the CPU as its maker gives it, where the system says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def summarise(results: Sequence[Result], images: dict[str, Pixels]) -> list[dict[str, Any]]:
    """A row for each coder: totals, and ratios to the reference of the same run."""
    raw = sum(pixels.nbytes for pixels in images.values())
    megapixels = sum(pixels.shape[0] * pixels.shape[1] for pixels in images.values()) / 1e6
    reference = next(result for result in results if result.name == REFERENCE)
    return [
        {
            **asdict(result),
            "bytes": sum(result.sizes),
            "bpsp": 8 * sum(result.sizes) / raw,
            "size_ratio": sum(result.sizes) / sum(reference.sizes),
            "encode_ratio": result.encode_seconds / reference.encode_seconds,
            "decode_over_encode": result.decode_seconds / result.encode_seconds,
            "encode_seconds_per_megapixel": result.encode_seconds / megapixels,
            "decode_seconds_per_megapixel": result.decode_seconds / megapixels,
        }
        for result in results
    ]


# Effort: size, encode time and decode time over the reference's size and encode time, each as (bar, aim).
PROMISES = {
    9: ((0.86, 0.82), (2.5, 1.3), (3.0, 1.8)),
    5: ((0.87, 0.84), (0.8, 0.45), (1.0, 0.6)),
    1: ((0.90, 0.87), (0.25, 0.12), (0.35, 0.2)),
}


def figures(report: dict[str, Any]) -> list[Figure]:
    """Everything that was promised and measured."""
    rows = {row["effort"]: row for row in report["coders"] if row["effort"] is not None and row["threads"] == 1}
    promised = [(effort, row, *PROMISES[effort]) for effort, row in rows.items() if effort in PROMISES]
    found = [
        *(Figure(f"size at effort {n} / {REFERENCE}", row["size_ratio"], *size) for n, row, size, _, _ in promised),
        *(
            Figure(f"compress time at effort {n} / {REFERENCE}", row["encode_ratio"], *t)
            for n, row, _, t, _ in promised
        ),
        *(
            Figure(f"decompress time at effort {n} / {REFERENCE}'s compress", ratio, *t)
            for n, row, _, _, t in promised
            if (ratio := row["encode_ratio"] * row["decode_over_encode"])
        ),
    ]
    for effort, (worst, _) in report["model_gap"].items():
        found.append(Figure(f"(file bits - 2,000) / model bits, effort {effort}, the worst image", worst, 1.001, None))
    for effort, memory in (report["memory"] or {"efforts": {}})["efforts"].items():
        peak = max(memory["compress_peak_bytes"], memory["decompress_peak_bytes"]) / 1e9
        found.append(Figure(f"peak memory, 24 megapixels, effort {effort}", peak, 0.6, 0.4, "GB"))
    found.append(Figure("header and container, 64x64 image", report["container_bytes"], 48, None, "bytes"))
    found.append(Figure("densezip --version over python -c pass", report["startup_seconds"], 0.6, 0.2, "s"))
    found.append(
        Figure("densezip compress of a 64x64 PNG over python -c pass", report["small_file_seconds"], 0.35, 0.15, "s")
    )
    return found


def print_report(report: dict[str, Any]) -> None:
    print(f"\n{len(report['images'])} images, {report['megapixels']:.2f} megapixels, {report['machine']['cpu']}\n")
    heads = ("", "bytes", "bpsp", "size /", "encode", "encode /", "decode", "dec/enc")
    units = ("", "", "", REFERENCE, "s", REFERENCE, "s", "")
    for head in (heads, units):
        print(f"{head[0]:<24}" + "".join(f"{text:>12}" for text in head[1:]))
    for row in report["coders"]:
        print(
            f"{row['name']:<24}{row['bytes']:>12,}{row['bpsp']:>12.3f}{row['size_ratio']:>12.4f}"
            f"{row['encode_seconds']:>12.2f}{row['encode_ratio']:>12.3f}{row['decode_seconds']:>12.2f}"
            f"{row['decode_over_encode']:>12.2f}"
        )
    print(f"\n{'figure':<62}{'measured':>14}{'bar':>8}{'aim':>8}")
    for figure in report["figures"]:
        aim = "" if figure["aim"] is None else f"{figure['aim']:g}"
        value = f"{figure['value']:.4g} {figure['unit']}".strip()
        print(f"{figure['name']:<62}{value:>14}{figure['bar']:>8g}{aim:>8}  {figure['reached']}")


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Measures, prints, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw rate against time")
    parser.add_argument("--efforts", type=numbers, default=[1, 5, 9], metavar="1,5,9")
    parser.add_argument("--threads", type=numbers, default=[1, 0], metavar="1,0", help="0 is all processors")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--memory", type=numbers, default=[], metavar="5", help="efforts to measure memory of")
    parser.add_argument("--best-jpegxl", action="store_true", help="also JPEG XL by the best settings of cjxl")
    options = parser.parse_args()

    images = load(options.folder, options.limit)
    # What is read at the first use belongs to no image.
    warm = next(iter(images.values()))[:16, :16].copy()
    for effort in options.efforts:
        densezip.decompress(densezip.compress(warm, effort=effort))
    results = [measure(coder, images) for coder in coders(options.efforts, options.threads, best=options.best_jpegxl)]
    single = {result.effort: result for result in results if result.effort is not None and result.threads == 1}
    report: dict[str, Any] = {
        "images": {name: list(pixels.shape) for name, pixels in images.items()},
        "megapixels": sum(pixels.shape[0] * pixels.shape[1] for pixels in images.values()) / 1e6,
        "coders": summarise(results, images),
        "model_gap": {effort: model_gap(effort, images, result.sizes) for effort, result in single.items()},
        "memory": peak_memory(options.folder, options.memory) if options.memory else None,
        "container_bytes": container_bytes(images),
        "startup_seconds": startup_seconds(),
        "small_file_seconds": small_file_seconds(),
        "machine": {"cpu": processor(), "processors": os.cpu_count(), "system": platform.system()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "models": {model.name: model.digest.hex() for model in map(model_for_effort, options.efforts)},
    }
    report["figures"] = [{**asdict(figure), "reached": figure.reached} for figure in figures(report)]
    print_report(report)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot is not None:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "photos.json")
            data.write_text(json.dumps(report))
            subprocess.run([sys.executable, str(HERE / "plot.py"), str(data), str(options.plot)], check=True)


if __name__ == "__main__":
    main()
