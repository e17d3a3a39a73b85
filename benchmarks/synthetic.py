"""Lossless coders on pictures that are no photographs: maps, gradients, smooth 16-bit fields, enlargements, drawings.

    python benchmarks/synthetic.py --json synthetic.json

Every picture is made from a seed (`generated.py`), every coder runs on the same pixels, and every round trip is
compared. What counts is the worst ratio to the better one of JPEG XL effort 9 and lossless WebP by its best setting, of
pictures that take those 512 bytes or more: in smaller files the container, some 40 bytes with its checksums, decides.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from densezip.codec.file.container import parse
from densezip.codec.file.payload import WEBP_SETTINGS
from generated import pictures
from peers import Coder, densezip_coder, jpegxl, pillow_decode, pillow_encode, webp_like
from photos import PACKAGES, numbers, processor

Pixels = npt.NDArray[Any]

LEAST_BYTES = 512


def best_webp(pixels: Pixels) -> bytes:
    best = b""
    for method, quality in WEBP_SETTINGS:
        data: bytes = pillow_encode(pixels, format="WEBP", lossless=True, method=method, quality=quality, exact=True)
        best = min(best or data, data, key=len)
    return best


def png(pixels: Pixels) -> Coder:
    """PNG: by Pillow, but 16-bit colour, which it does not know."""
    if pixels.dtype == np.uint8:
        return Coder("PNG", lambda image: pillow_encode(image, format="PNG", optimize=True), pillow_decode)
    import imagecodecs

    return Coder(
        "PNG",
        lambda image: bytes(imagecodecs.png_encode(image, 9)),
        lambda data: np.asarray(imagecodecs.png_decode(data)),
    )


def coders(pixels: Pixels, efforts: Sequence[int]) -> list[Coder]:
    """Those that can code a picture."""
    webp = [Coder("WebP", best_webp, pillow_decode)] if pixels.dtype == np.uint8 else []
    return [png(pixels), *webp, jpegxl(9), *(densezip_coder(effort, 1) for effort in efforts)]


def measure(name: str, pixels: Pixels, efforts: Sequence[int]) -> dict[str, Any]:
    """Sizes in bytes and times in seconds of all coders on one picture.

    Raises:
        SystemExit: a coder changed it.
    """
    sizes: dict[str, int] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for coder in coders(pixels, efforts):
        started = time.process_time()
        data = coder.encode(pixels)
        coded = time.process_time()
        again = coder.decode(data)
        seconds[coder.name] = (coded - started, time.process_time() - coded)
        if coder.name == "WebP":
            again = webp_like(again, pixels)
        if again.dtype != pixels.dtype or not np.array_equal(again, pixels):
            raise SystemExit(f"{coder.name} changed the pixels of {name}")
        sizes[coder.name] = len(data)
    rival = min(sizes[other] for other in ("JPEG XL 9", "WebP") if other in sizes)
    ratios = {effort: sizes[f"densezip {effort}"] / rival for effort in efforts}
    header = parse(data).header  # of the last coder's, densezip
    return {
        "name": name,
        "shape": list(pixels.shape),
        "dtype": str(pixels.dtype),
        "sizes": sizes,
        "seconds": seconds,
        "ratios": ratios,
        "counts": rival >= LEAST_BYTES,
        "coded_by": header.model or header.payload.name,
    }


def print_report(report: dict[str, Any]) -> None:
    """A line for each picture, the worst one first."""
    efforts = report["efforts"]
    names = ["PNG", "WebP", "JPEG XL 9", *(f"densezip {effort}" for effort in efforts)]
    heads = [*names, *(f"/ best, {effort}" for effort in efforts)]
    print(f"{'':<28}" + "".join(f"{head:>12}" for head in heads))
    for row in report["pictures"]:
        sizes = "".join(f"{row['sizes'].get(name, ''):>12}" for name in names)
        ratios = "".join(f"{row['ratios'][effort]:>12.3f}" for effort in efforts)
        print(f"{row['name']:<28}{sizes}{ratios}  {row['coded_by']}{'' if row['counts'] else ' (tiny)'}")
    for effort in efforts:
        print(f"worst ratio at effort {effort}: {report['worst'][effort]:.3f} (bar 1.02, aim 0.9)")


def main() -> None:
    """Measures, prints, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--efforts", type=numbers, default=[1, 5, 9], help="of densezip, as 1,5,9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="pictures whose names hold this")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    rows = []
    for name, pixels in pictures(options.seed).items():
        if options.only in name:
            print(f"\r\x1b[K{name}", end="", file=sys.stderr, flush=True)
            rows.append(measure(name, pixels, options.efforts))
            # The run takes long: what is known is said, in case that it does not come to its end.
            ratios = ", ".join(f"{ratio:.3f} at effort {effort}" for effort, ratio in rows[-1]["ratios"].items())
            print(f"\r\x1b[K{name}: {ratios}", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if not rows:
        raise SystemExit(f"no picture's name holds {options.only!r}")
    rows.sort(key=lambda row: -max(row["ratios"].values()))
    report = {
        "seed": options.seed,
        "efforts": options.efforts,
        "pictures": rows,
        "worst": {
            effort: max((row["ratios"][effort] for row in rows if row["counts"]), default=0.0)
            for effort in options.efforts
        },
        "machine": {"cpu": processor()},
        "versions": {package: version(package) for package in PACKAGES},
    }
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
