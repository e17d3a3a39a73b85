"""Everything that the compiled core does, on honest and on hostile files: `python workout.py COUNT SEED`.

Run with a core that has sanitizers compiled in. Python's checks stand before the C code as they do for a user, so what
is found here can be reached by a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import densezip
import numpy as np
import pytest
from fuzz import fuzz
from samples import array, model_only


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


def main() -> None:
    """The round trips, and as many mutations as the first argument says."""
    trips = round_trips()
    outcomes, wrong = fuzz(int(sys.argv[1]), int(sys.argv[2]))
    if wrong:
        raise SystemExit(wrong[0])
    print(f"{trips} round trips, {sum(outcomes.values())} mutations")


if __name__ == "__main__":
    main()
