"""What the command costs beside the work: its start, a first run on a new machine, the space that it takes.

    python benchmarks/startup.py --json startup.json

Times are the least of several runs, of the processor (the command's and the system's for it) and of the clock. A
machine that is busy with other things adds to both, to the clock's more.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 64
LARGE = 725  # half a megapixel


class Seconds(NamedTuple):
    """Time of a command: of the clock, and of the processor."""

    clock: float
    processor: float


def picture(height: int, width: int) -> Image.Image:
    """Hills with noise, coded like a photograph."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(40, 215, (7, 9, 3), np.uint8))
    hills = coarse.resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(hills, float) + rng.normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def run(arguments: list[str], caches: Path) -> Seconds:
    """Time a Python that keeps its compiled modules in a folder of its own."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(caches)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=environment)
    clock, after = time.perf_counter() - began, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Seconds(clock, spent)


def least(arguments: list[str], caches: Path, runs: int) -> Seconds:
    """The least times of several runs after one that does not count."""
    run(arguments, caches)
    found = [run(arguments, caches) for _ in range(runs)]
    return Seconds(min(each.clock for each in found), min(each.processor for each in found))


def needed(name: str, seen: dict[str, Distribution]) -> None:
    """Add a package and all that it needs, without extras."""
    if name in seen:
        return
    try:
        seen[name] = distribution(name)
    except PackageNotFoundError:  # for another system
        return
    for line in seen[name].requires or []:
        if "extra ==" not in line and (found := re.match(r"[\w.-]+", line)):
            needed(found[0].lower().replace("_", "-"), seen)


def installed() -> dict[str, int]:
    """Bytes of the files of densezip and of every package that it needs; of an editable densezip but a few."""
    packages: dict[str, Distribution] = {}
    needed("densezip", packages)
    sizes = {}
    for name, found in packages.items():
        places = [Path(str(file.locate())) for file in found.files or []]
        sizes[name] = sum(place.stat().st_size for place in places if place.is_file())
    return sizes


def measure(runs: int, side: int) -> dict[str, object]:
    """All figures, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.png", folder / "large.png"
        picture(SIDE, SIDE).save(small)
        picture(side, side).save(large)

        def compress(file: Path) -> list[str]:
            return ["-m", "densezip", "compress", "--quiet", "--force", str(file)]

        nothing = least(["-c", "pass"], folder / "caches", runs)
        start = least(compress(small), folder / "caches", runs)
        # A first run finds no compiled module; pip compiles all of them, so a user's is quicker than this.
        first = [run(compress(large), folder / f"new{number}") for number in range(runs)]
        second = [run(compress(large), folder / f"new{number}") for number in range(runs)]
    ratio = [min(each[kind] for each in first) / min(each[kind] for each in second) for kind in (0, 1)]
    sizes = installed()
    return {
        "small_picture_over_pass": {"clock": start.clock - nothing.clock, "cpu": start.processor - nothing.processor},
        "first_run_over_second": {"clock": ratio[0], "cpu": ratio[1]},
        "installed_megabytes": sum(sizes.values()) / 1e6,
        "installed_megabytes_by_package": {package: size / 1e6 for package, size in sizes.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each command")
    parser.add_argument("--large", type=int, default=LARGE, help="pixels of a side of the picture of the first run")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.runs, arguments.large), indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
