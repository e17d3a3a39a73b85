"""Peak memory of `densezip compress` and `decompress` on a large image made from a folder of photographs.

    python benchmarks/memory.py FOLDER --efforts 5

Prints JSON. This program stays small, because Linux counts the memory of a program that starts another one towards the
peak of the one started; so the image is made in a process of its own, by this file with --make.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RUN = [sys.executable, "-c", "from densezip.cli.main import main; main()"]
# What the system gives the peak in.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def make_image(folder: Path, path: Path, width: int, height: int) -> None:
    """Tiles photographs over the whole image, twice, at different offsets, and blends: no part repeats another."""
    import numpy as np
    from PIL import Image

    photos = []
    for file in sorted(folder.iterdir()):
        try:
            with Image.open(file) as image:
                photos.append(np.asarray(image.convert("RGB")))
        except OSError:
            continue
    if not photos:
        raise SystemExit(f"no images in {folder}")
    generator = np.random.default_rng(0)
    # float16 holds sums of two bytes exactly, and large canvases twice over.
    canvas = np.zeros((height, width, 3), np.float16)
    # Unequal weights, so that one photograph shows and the other disturbs it.
    for weight, step in ((0.8, 480), (0.2, 352)):
        for y in range(0, height, step):
            for x in range(0, width, step):
                photo = photos[generator.integers(len(photos))]
                turned = np.rot90(photo, int(generator.integers(4)))[:: generator.choice((-1, 1))]
                rows, columns = min(step, height - y), min(step, width - x)
                patch = np.pad(
                    turned[:rows, :columns],
                    ((0, max(0, rows - turned.shape[0])), (0, max(0, columns - turned.shape[1])), (0, 0)),
                    mode="symmetric",
                )
                canvas[y : y + rows, x : x + columns] += (weight * patch).astype(np.float16)
    Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8)).save(path, compress_level=1)


def measure(*args: str | Path) -> tuple[int, float]:
    """Runs the command and returns its peak memory in bytes and its time in seconds."""
    started = time.perf_counter()
    process = subprocess.Popen([*RUN, *args], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"densezip {args[0]} ended with {process.returncode}")
    return usage.ru_maxrss * PEAK_UNIT, time.perf_counter() - started


def main() -> None:
    """Makes the image, then measures each effort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of photographs")
    parser.add_argument("--efforts", default="5", metavar="1,5,9")
    parser.add_argument("--size", type=int, nargs=2, default=(6000, 4000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--make", type=Path, metavar="FILE.png", help="only make the image")
    options = parser.parse_args()
    if options.make is not None:
        make_image(options.folder, options.make, *options.size)
        return
    report: dict[str, Any] = {"size": list(options.size), "efforts": {}}
    with tempfile.TemporaryDirectory() as folder:
        image, packed, again = (Path(folder, name) for name in ("large.png", "large.dz", "again.png"))
        size = map(str, options.size)
        subprocess.run(
            [sys.executable, __file__, str(options.folder), "--make", str(image), "--size", *size], check=True
        )
        for effort in options.efforts.split(","):
            peak, seconds = measure("compress", "-qf", "-e", effort, image, "-o", packed)
            result = {"compress_peak_bytes": peak, "compress_seconds": seconds, "file_bytes": packed.stat().st_size}
            peak, seconds = measure("decompress", "-qf", packed, "-o", again)
            report["efforts"][effort] = {**result, "decompress_peak_bytes": peak, "decompress_seconds": seconds}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
