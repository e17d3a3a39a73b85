"""What the command costs beside the work: its start, a first run on a new machine, the space that it takes.

    python benchmarks/startup.py --json startup.json

Times are the least of several runs, of the processor (the command's and the system's for it) and of the clock. A
machine that is busy with other things adds to both, to the clock's more. For a first run, the packages are copied to a
new folder with their compiled modules, and dropped from memory, with what no other process uses of Python itself.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import densezip
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


def run(arguments: list[str], **settings: str) -> Seconds:
    """Time a Python with settings in its environment."""
    environment = {**os.environ, **settings}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=environment)
    clock, after = time.perf_counter() - began, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Seconds(clock, spent)


def least(arguments: list[str], caches: Path, runs: int) -> Seconds:
    """The least times of several runs, which keep compiled modules in a folder, after one that does not count."""
    found = [run(arguments, PYTHONPYCACHEPREFIX=str(caches)) for _ in range(runs + 1)][1:]
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


def install(folder: Path) -> None:
    """Copy densezip and all that it needs, with compiled modules, into a new folder, where nobody else uses them."""
    packages: dict[str, Distribution] = {}
    needed("densezip", packages)
    for name, found in packages.items():
        for file in found.files or [] if name != "densezip" else []:
            if ".." not in file.parts and Path(str(file.locate())).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), folder / file)  # with its time, which its compiled module names
    outside = shutil.ignore_patterns(".*", "build", "tests", "benchmarks")
    shutil.copytree(Path(densezip.__file__).parent, folder / "densezip", ignore=outside)
    os.sync()  # what was not written yet cannot be dropped


def forget(files: Iterable[Path]) -> None:
    """Drop files from the system's memory, but for what other processes have mapped."""
    for file in files:
        if file.is_file() and hasattr(os, "posix_fadvise"):
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def first_and_second(arguments: list[str], folder: Path, runs: int) -> list[float]:
    """How much longer a run takes that finds nothing in memory than the next: of the clock, and of the processor."""
    install(folder)
    # Without the site's packages, so that there are only those of the folder.
    pairs = []
    for _ in range(runs):
        forget([*folder.rglob("*"), *Path(sysconfig.get_path("stdlib")).rglob("*.pyc")])
        pairs.append([run(["-S", *arguments], PYTHONPATH=str(folder)) for _ in range(2)])
    return [min(first[kind] for first, _ in pairs) / min(second[kind] for _, second in pairs) for kind in (0, 1)]


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
        ratio = first_and_second(compress(large), folder / "new", runs)
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
