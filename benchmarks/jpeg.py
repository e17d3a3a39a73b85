"""JPEG files made smaller: densezip beside JPEG XL, in one run. `python benchmarks/jpeg.py FOLDER --json OUT`.

Every file has to come back byte for byte. One thread; times are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import densezip
import imagecodecs


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
    """Densezip at some efforts, and JPEG XL where imagecodecs transcodes."""
    found = {f"densezip -e {effort}": _densezip(effort) for effort in efforts}
    if imagecodecs.JPEGXL.available:
        found["JPEG XL"] = Coder(
            lambda data: bytes(imagecodecs.jpegxl_encode_jpeg(data)),
            lambda data: bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)),
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
            except (RuntimeError, ValueError):
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
        "densezip": densezip.__version__,
        "imagecodecs": imagecodecs.__version__,
    }


def main() -> None:
    """Measure the JPEG files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--efforts", default="1,5,9", help="of densezip, with commas between them")
    options = parser.parse_args()
    files = sorted(file for file in options.folder.iterdir() if file.read_bytes()[:3] == b"\xff\xd8\xff")
    figures = measure(files, tuple(int(effort) for effort in options.efforts.split(",")))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
