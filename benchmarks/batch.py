"""What `densezip batch` costs and gains: throughput against one process, and what plans and receipts take.

    python benchmarks/batch.py --json batch.json

The same images are done three ways, in turn, in several rounds: by *one* process that does one shard after the other;
by `densezip batch run` with some workers; and by as many *independent* processes at the same time, each with its share
of the shards and no one to ask. The last is what the machine can give: two threads of one core, or a busy machine, give
less than two. Times are the least of the rounds, by the clock, start of Python included.

Beside the ratio of times, processor time that the workers take over that of the one process is reported: what the
batch would lose on processors of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import densezip
import numpy as np
from densezip.shards.plan import Item, images_of_folder, images_of_manifest, make_plan, open_plan
from densezip.shards.progress import status
from densezip.shards.work import Published, Receipt
from PIL import Image

BAR = 1.7  # of two workers on two cores
LISTED = 100_000  # entries of the manifest that is planned
SHARDS_A_WORKER = 8
ONE = """
import sys
from densezip.shards.work import run_shard
for shard in range(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])):
    run_shard(sys.argv[1], shard)
"""


def picture(seed: int, height: int, width: int) -> Image.Image:
    """Hills with noise, coded like a photograph."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (7, 9, 3), np.uint8))
    hills = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float)
    return Image.fromarray(np.clip(np.rint(hills + rng.normal(0, 3, hills.shape)), 0, 255).astype(np.uint8))


def timed(commands: list[list[str]]) -> tuple[float, float]:
    """Seconds of the clock and of the processor until all of these commands, begun together, have ended."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    if any(process.wait() for process in running):
        raise SystemExit(f"one of these failed: {commands}")
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def throughput(folder: Path, images: int, side: int, effort: int, workers: int, rounds: int) -> dict[str, Any]:
    """Times of the three ways."""
    source = folder / "images"
    source.mkdir()
    for seed in range(images):
        picture(seed, side, side + side // 3).save(source / f"{seed:04}.png")
    items = images_of_folder(str(source), (".png",))
    size = max(1, images // (workers * SHARDS_A_WORKER))
    times: dict[str, list[tuple[float, float]]] = {"one": [], "batch": [], "independent": []}
    for number in range(rounds):
        for way, found in times.items():
            place = folder / f"{way}{number}"
            shards = make_plan(items, str(place), str(place / "out"), shard_size=size, effort=effort).shards
            parts = {"one": 1, "independent": workers}.get(way, 0)
            command = [sys.executable, "-m", "densezip", "batch", "run", str(place), "-q", "-T", str(workers)]
            by_hand = [[sys.executable, "-c", ONE, str(place), str(part), str(shards)] for part in range(parts)]
            found.append(timed([[*each, str(parts)] for each in by_hand] or [command]))
            done = status(open_plan(str(place)))
            if (done.published, done.failures) != (images, 0):
                raise SystemExit(f"{done.published} of {images} images kept")
    clock = {way: min(each[0] for each in found) for way, found in times.items()}
    processor = {way: min(each[1] for each in found) for way, found in times.items()}
    return {
        "images": images,
        "effort": effort,
        "workers": workers,
        "source_bytes": sum(path.stat().st_size for path in source.iterdir()),
        "clock_seconds": clock,
        "processor_seconds": processor,
        "rounds": {way: [round(each[0], 3) for each in found] for way, found in times.items()},
        "ratio": clock["one"] / clock["batch"],
        "ceiling": clock["one"] / clock["independent"],
        "of_ceiling": clock["independent"] / clock["batch"],
        "processor_ratio": processor["batch"] / processor["one"],
        "bar": BAR if workers == 2 else None,
    }


def bookkeeping(folder: Path, listed: int) -> dict[str, Any]:
    """What an image takes in a manifest, a plan and a receipt, in bytes and microseconds of the processor."""
    names = [f"s3://bucket/photographs/{number // 1000:05}/{number:08}.jpg" for number in range(listed)]
    digest = "0123456789abcdef" * 4
    manifest = folder / "manifest.jsonl"
    lines = [json.dumps({"path": name, "size": 2_000_000, "digest": digest}) for name in names]
    manifest.write_text("\n".join(lines))
    began, memory = time.process_time(), _memory()
    plan = make_plan(images_of_manifest(str(manifest)), str(folder / "plan"), str(folder / "out"), shard_size=1000)
    planning, memory = time.process_time() - began, max(0, _memory() - memory)
    shards = sum(path.stat().st_size for path in (folder / "plan" / "shards").iterdir())
    receipts = folder / "plan" / "receipts"
    receipts.mkdir()
    for shard in range(plan.shards):
        kept = [_published(item, digest) for item in plan.items(shard)]
        (receipts / f"{shard:05}.json").write_bytes(Receipt(shard, kept).to_json())
    began = time.process_time()
    found = status(plan)
    counting = time.process_time() - began
    if found.published != listed:
        raise SystemExit(f"{found.published} of {listed} images counted")
    return {
        "listed": listed,
        "manifest_bytes": manifest.stat().st_size / listed,
        "plan_bytes": shards / listed,
        "receipt_bytes": sum(path.stat().st_size for path in receipts.iterdir()) / listed,
        "plan_microseconds": 1e6 * planning / listed,
        "plan_memory_bytes": memory / listed,
        "status_microseconds": 1e6 * counting / listed,
    }


def _published(item: Item, digest: str) -> Published:
    return Published(item.source, item.target, 2_000_000, digest, 1_500_000, digest)


def _memory() -> int:
    """The most that this process has had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--images", type=int, default=64, help="how many are coded, a multiple of 8 for each worker")
    parser.add_argument("--side", type=int, default=240, help="their height in pixels; they are a third wider")
    parser.add_argument("--effort", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--listed", type=int, default=LISTED, help="images of the plan that is made and counted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "book").mkdir()
        report: dict[str, Any] = {
            # First, while this process is small: the most memory that it ever had is what is measured.
            "bookkeeping": bookkeeping(folder / "book", options.listed),
            "throughput": throughput(
                folder, options.images, options.side, options.effort, options.workers, options.rounds
            ),
            "densezip": densezip.__version__,
            "processors": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
    found = report["throughput"]
    print(f"{found['workers']} workers / one process: {found['ratio']:.2f} (bar {BAR} on two cores)")
    print(f"independent processes / one: {found['ceiling']:.2f}; batch of that: {found['of_ceiling']:.1%}")
    print(f"processor time over one process's: {found['processor_ratio']:.3f}")
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
