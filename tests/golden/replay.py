"""Decode .dz files, encode their tiles again, and print what came out: `python replay.py [--damage] FILE...`.

`tests/test_photo_portability.py` runs this in processes that compile for other processors, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import densezip
import numba
import numpy as np
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.file.container import parse
from densezip.models.photo import decode_tile, encode_tile, known_models


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


def damage(file: Path) -> str:
    """Decode damaged tiles of a few pixels; anything but pixels or CorruptPayloadError ends the process."""
    container = parse(file.read_bytes())
    model = next(m for m in known_models() if m.name == container.header.model)
    coded, refused = bytes(container.tile(0)), 0
    for length in (0, 1, 2, 9):
        try:
            decode_tile(model, coded[:length] + bytes(length % 4), (3, 4, container.header.channels), 8)
        except CorruptPayloadError:
            refused += 1
    return f"{refused} of 4 refused"


def main(arguments: list[str]) -> None:
    """Print JSON by file name, and what compiled the code."""
    files = [Path(name) for name in arguments if not name.startswith("--")]
    result: dict[str, object] = {file.name: replay(file) for file in files}
    config: Any = numba.config
    result["target"] = "none" if config.DISABLE_JIT else config.CPU_NAME or "host"
    if "--damage" in arguments:
        result["damage"] = damage(files[0])
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
