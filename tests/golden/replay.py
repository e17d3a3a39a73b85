"""Decode .dz files, encode their tiles again, and print what came out: `python replay.py [--library PATH] FILE...`.

The tests run this in processes that are kept to older processors' instructions, or use the core of another compiler.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import densezip
import numpy as np
from densezip.codec import native
from densezip.codec.file.container import parse
from densezip.models.photo import encode_tile, known_models


def replay(file: Path) -> dict[str, str]:
    """Hash of the decoded samples, and how encoding them again compares."""
    data = file.read_bytes()
    container = parse(data)
    header = container.header
    pixels = np.asarray(densezip.decompress(data, threads=1)).reshape(header.height, header.width, header.channels)
    model = next(m for m in known_models() if m == (header.model, header.digest))
    for number, (top, left, bottom, right) in enumerate(header.boxes()):
        coded = encode_tile(model, pixels[top:bottom, left:right], 8 * header.sample_bytes)
        if coded != container.tile(number):
            return {"tiles": f"tile {number} is encoded differently"}
    return {"pixels": hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest(), "tiles": "the same"}


def main(arguments: list[str]) -> None:
    """Print JSON by file name, and which kernels were used."""
    if arguments[0] == "--library":
        library = native.open_library(Path(arguments[1]))
        native.library = lambda: library  # type: ignore[assignment]
        arguments = arguments[2:]
    result: dict[str, object] = {Path(name).name: replay(Path(name)) for name in arguments}
    result["level"] = native.level()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
