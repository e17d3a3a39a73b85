"""Decode all golden files and make them again, and use the other coders of the core: `python golden.py`.

Run under valgrind, which notices what sanitizers do not: memory that is read before anything was written there.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import densezip
import numpy as np
from densezip.models import indexed
from densezip.models.rendered import tile as rendered
from leaves import gradient
from replay import replay

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def main() -> None:
    """Print what was done."""
    files = sorted(GOLDEN.glob("*.dz"))
    for file in files:
        if file.name == "progressive-e5.dz":
            source = (GOLDEN / "progressive.jpg").read_bytes()
            assert densezip.compress(source, effort=5) == file.read_bytes()
            assert densezip.export(file).data == source
        else:
            assert replay(file)["tiles"] == "the same", file.name
    few = gradient(15, 21, 3) // 64
    assert np.array_equal(indexed.decode_tile(indexed.encode_tile(few, int), few.shape, int), few)
    for depth in (8, 16):
        smooth = gradient(15, 21, 3).astype(f"u{depth // 8}") << (depth - 8)
        assert np.array_equal(rendered.decode_tile(rendered.encode_tile(smooth, int), smooth.shape, depth, int), smooth)
    png = (GOLDEN / "tiny.png").read_bytes()
    assert densezip.export(densezip.compress(png, effort=1)).data == png
    print(f"{len(files)} golden files and the other coders")


if __name__ == "__main__":
    main()
