"""Everything that the compiled core does, on honest and on hostile files: `python workout.py COUNT SEED`.

Run with a core that has sanitizers compiled in. Python's checks stand before the C code as they do for a user, so what
is found here can be reached by a file.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import densezip
import numpy as np
import pytest
from fuzz import fuzz
from fuzz_jpeg import fuzz_jpeg
from PIL import Image
from samples import array, file_of, model_only


def round_trips() -> int:
    """Code and decode by the photo model: all efforts, depths, numbers of channels, and shapes that end oddly."""
    count = 0
    with pytest.MonkeyPatch.context() as patch:
        model_only(patch)
        for shape in ((1, 1), (1, 300), (140, 1), (9, 11), (23, 31)):
            for channels in (1, 2, 3, 4):
                for depth in ("u1", "u2"):
                    for effort in (1, 5, 9)[count % 2 :: 2]:
                        samples = array(channels, depth, *shape, seed=count).squeeze(2 if channels == 1 else ())
                        packed = densezip.compress(samples, effort=effort)
                        assert np.array_equal(np.asarray(densezip.decompress(packed)), samples)
                        count += 1
    return count


def histories() -> int:
    """Decoded JPEG files of every sampling: what finds their coefficients, and what decodes them."""
    count, waves = 0, 120 + 130 * np.sin(np.add.outer(np.arange(45), 2 * np.arange(59))[..., None] / (7, 11, 17))
    picture = Image.fromarray(waves.clip(0, 255).astype(np.uint8))
    for mode in ("L", "RGB"):
        for subsampling in (0, 1, 2):
            for quality in (30, 80, 97):
                file = file_of(picture.convert(mode), "JPEG", quality=quality, subsampling=subsampling)
                pixels = np.asarray(Image.open(BytesIO(file)))
                packed = densezip.compress(pixels, effort=5 if quality == 80 else 1)
                assert np.array_equal(np.asarray(densezip.decompress(packed)), pixels)
                count += 1
    return count


def main() -> None:
    """The round trips, as many mutations as the first argument says, and as many of JPEG files and their .dz files."""
    trips, (count, seed) = round_trips() + histories(), map(int, sys.argv[1:])
    outcomes, wrong = fuzz(count, seed)
    coded, decoded, more = fuzz_jpeg(count, seed)
    if wrong or more:
        raise SystemExit([*wrong, *more][0])
    mutations = sum(sum(each.values()) for each in (outcomes, coded, decoded))
    print(f"{trips} round trips, {mutations} mutations")


if __name__ == "__main__":
    main()
