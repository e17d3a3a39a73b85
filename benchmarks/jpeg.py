"""JPEG files made smaller: densezip beside others, in one run. `python benchmarks/jpeg.py FOLDER --json OUT`.

Every file has to come back byte for byte. One thread; times are those of the processor. Lepton is measured where
`lepton-jpeg-python` is installed; of brunsli, which no package brings, the figures are those that its authors give.
With `--pixels --efforts 5` it is their pixels that are made smaller, beside JPEG XL at effort 9 and beside the files
themselves: the smallest pictures first, and OUT is written after each of them. A run that was stopped, or that
`--minutes` ended, goes on where it was.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import densezip
import imagecodecs
import numpy as np
from PIL import Image

try:
    import lepton_jpeg_python as lepton
except ImportError:
    lepton = None

PUBLISHED = {
    "brunsli": {"ratio": 0.78, "source": "google/brunsli, README.md: a 22 % decrease in file size"},
    "lepton": {"ratio": 0.78, "source": "microsoft/lepton_jpeg_rust, README.md: up to 22 %"},
}
"""What authors say of their coders, on files of their own."""
SIDE = 2**16
TIMES = ("compress", "decompress", "compress, JPEG XL 9", "decompress, JPEG XL 9")


class Coder(NamedTuple):
    """A way to make a JPEG file smaller and get it back."""

    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]


def _densezip(effort: int) -> Coder:
    return Coder(
        lambda data: densezip.compress(data, effort=effort, threads=1),
        lambda data: densezip.export(data, threads=1).data,
    )


def coders(efforts: tuple[int, ...]) -> dict[str, Coder]:
    """Densezip at some efforts, JPEG XL where imagecodecs transcodes, and lepton where it is installed."""
    found = {f"densezip -e {effort}": _densezip(effort) for effort in efforts}
    if imagecodecs.JPEGXL.available:
        found["JPEG XL"] = Coder(
            lambda data: bytes(imagecodecs.jpegxl_encode_jpeg(data)),
            lambda data: bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)),
        )
    if lepton is not None:
        options = {"max_partitions": 1, "max_jpeg_width": SIDE, "max_jpeg_height": SIDE}
        found["lepton"] = Coder(
            lambda data: bytes(lepton.compress_bytes(data, options)), lambda data: bytes(lepton.decompress_bytes(data))
        )
    return found


def measure(files: list[Path], efforts: tuple[int, ...]) -> dict[str, Any]:
    """Sizes and speeds of all coders on all files; a file that a coder does not give back counts as it is."""
    for coder in coders(efforts).values():  # what is loaded once does not count
        coder.decode(coder.encode(files[0].read_bytes()))
    rows, total = {}, sum(file.stat().st_size for file in files)
    for name, coder in coders(efforts).items():
        size, encoding, decoding, kept = 0, 0.0, 0.0, []
        for file in files:
            data = file.read_bytes()
            started = time.process_time()
            try:
                coded = coder.encode(data)
                middle = time.process_time()
                back = coder.decode(coded)
            except Exception:  # each library has errors of its own
                if name.startswith("densezip"):
                    raise
                coded, middle, back = data, time.process_time(), b""
            encoding, decoding = encoding + middle - started, decoding + time.process_time() - middle
            if back != data or len(coded) >= len(data):
                if back != data and name.startswith("densezip"):
                    raise AssertionError(f"{file} does not come back")
                kept.append(file.name)
            size += min(len(coded), len(data)) if back == data else len(data)
        rows[name] = {
            "ratio": round(size / total, 4),
            "compress, MB/s": round(total / encoding / 1e6, 3),
            "decompress, MB/s": round(total / decoding / 1e6, 3),
            "kept": kept,
        }
        print(
            f"{name:16} {rows[name]['ratio']:.4f} {rows[name]['compress, MB/s']:8} {rows[name]['decompress, MB/s']:8}"
        )
    return {
        "files": len(files),
        "bytes": total,
        "coders": rows,
        "published": PUBLISHED,
        "densezip": densezip.__version__,
        "imagecodecs": imagecodecs.__version__,
    }


def measure_pixels(file: Path, effort: int) -> dict[str, Any]:
    """Sizes and times of a picture decoded, as a PNG file: beside JPEG XL at effort 9, and the JPEG file."""
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        pixels, png = np.asarray(image), io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", compress_level=1)
    times = [time.process_time()]
    packed = densezip.compress(png.getvalue(), effort=effort, threads=1)
    times.append(time.process_time())
    back = np.asarray(densezip.decompress(packed, threads=1))
    times.append(time.process_time())
    peer = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=9, numthreads=1)
    times.append(time.process_time())
    imagecodecs.jpegxl_decode(peer, numthreads=1)
    times.append(time.process_time())
    if not np.array_equal(back, pixels):
        raise AssertionError(f"the pixels of {file} do not come back")
    took = [round(after - before, 3) for before, after in itertools.pairwise(times)]
    print(f"{file.name[:40]:40} {len(packed) / len(data):.3f} {len(packed) / len(peer):.3f}", *took, flush=True)
    return {
        "name": file.name,
        "pixels": pixels.shape[0] * pixels.shape[1],
        "history": densezip.info(packed).history,
        "jpeg": len(data),
        "densezip": len(packed),
        "JPEG XL 9": len(peer),
        "seconds": took,
    }


def summary(rows: list[dict[str, Any]], effort: int, missing: int) -> dict[str, Any]:
    """The figures of all pictures so far."""
    seconds = {name: sum(row["seconds"][i] for row in rows) for i, name in enumerate(TIMES)}
    size = {key: sum(row[key] for row in rows) for key in ("jpeg", "densezip", "JPEG XL 9")}
    return {
        "effort": effort,
        "pictures": len(rows),
        "pictures to do": missing,
        "share at most 1.02 of the JPEG": round(np.mean([row["densezip"] <= 1.02 * row["jpeg"] for row in rows]), 4),
        "of the JPEG files": round(size["densezip"] / size["jpeg"], 4),
        "of JPEG XL 9": round(size["densezip"] / size["JPEG XL 9"], 4),
        "compress time of JPEG XL 9's": round(seconds["compress"] / seconds["compress, JPEG XL 9"], 3),
        "decompress time of JPEG XL 9's": round(seconds["decompress"] / seconds["decompress, JPEG XL 9"], 3),
        "decompress time of JPEG XL 9's compress time": round(
            seconds["decompress"] / seconds["compress, JPEG XL 9"], 3
        ),
        "files": rows,
        "densezip version": densezip.__version__,
        "imagecodecs": imagecodecs.__version__,
    }


def _pixels_of(file: Path) -> int:
    """Pixels of a picture in grey or colour; 0 for others."""
    with Image.open(file) as image:
        return image.width * image.height if image.mode in ("L", "RGB") else 0


def measure_all_pixels(files: list[Path], options: argparse.Namespace, effort: int) -> dict[str, Any]:
    """Measure the pixels of files, the smallest first, but for those that the last run has measured."""
    rows: list[dict[str, Any]] = []
    if options.json is not None and options.json.exists():
        before = json.loads(options.json.read_text())
        same = (effort, densezip.__version__, imagecodecs.__version__)
        if tuple(before.get(key) for key in ("effort", "densezip version", "imagecodecs")) == same:
            rows = before["files"]
    done = {(row["name"], row["jpeg"]) for row in rows}
    sizes = {file: _pixels_of(file) for file in files}
    wanted = sorted((file for file in files if 0 < sizes[file] <= options.most_pixels), key=lambda file: sizes[file])
    wanted = [file for file in wanted if (file.name, file.stat().st_size) not in done]
    started, figures = time.monotonic(), summary(rows, effort, len(wanted)) if rows else {}
    for number, file in enumerate(wanted):
        if time.monotonic() - started > 60 * options.minutes:
            break
        rows.append(measure_pixels(file, effort))
        figures = summary(rows, effort, len(wanted) - number - 1)
        if options.json is not None:
            options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(*(f"{key}: {value}" for key, value in figures.items() if key != "files"), sep="\n")
    return figures


def main() -> None:
    """Measure the JPEG files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--efforts", default="1,5,9", help="of densezip, with commas between them")
    parser.add_argument("--pixels", action="store_true", help="measure their pixels, as PNG files, by the first effort")
    parser.add_argument("--most-pixels", type=int, default=2**28, help="leave out larger pictures")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin with no other picture after these")
    options = parser.parse_args()
    files = sorted(file for file in options.folder.iterdir() if file.read_bytes()[:3] == b"\xff\xd8\xff")
    efforts = tuple(int(effort) for effort in options.efforts.split(","))
    figures = measure_all_pixels(files, options, efforts[0]) if options.pixels else measure(files, efforts)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
