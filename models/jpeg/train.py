"""The recipe of the weights with which mixing begins: `python -m densezip.models.jpeg.train FOLDER OUT`.

Each JPEG file of a folder is coded with fresh counters from the present weights, which then take a step towards those
that the file has learnt. What comes out are weights from which files learn quickly.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ...codec.errors import UnsupportedImageError
from ...codec.images.jpeg.apart import take_apart
from ...codec.images.jpeg.frame import Rows
from .coder import MODELS, taps
from .engine import Session, pack_weights

STEP = 0.1
"""Of the present weights towards those of a file."""

ROUNDS = 2
MOST_BYTES = 130_000


def main(folder: str, out: str, *names: str) -> None:
    """Write the weights of the models, of all unless some are named."""
    rng, files = np.random.default_rng(1), []
    for path in sorted(Path(folder).iterdir()):
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            continue
        try:
            files.append(take_apart(data, 2**26))
        except UnsupportedImageError:
            continue
    for name in names or MODELS:
        model, arrays = MODELS[name], None
        for number in range(ROUNDS):
            total = 0
            for index in rng.permutation(len(files)):
                outline, planes = files[index]
                session = Session(model.inputs, 2**14, taps())
                learnt = [*session.weights, session.second]
                if arrays is None:
                    arrays = [array.copy() for array in learnt]
                for array, present in zip(learnt, arrays, strict=True):
                    array[:] = present
                for at, image in enumerate(outline.images):
                    session.code(image.frame, planes[at], Rows(at, 0, 2**16), lambda _: None)
                total += len(session.finish())
                for array, own in zip(learnt, arrays, strict=True):
                    own[:] += STEP * (array - own)
            print(name, number, total, flush=True)
        assert arrays is not None
        Path(out, f"{name}.weights").write_bytes(pack_weights(arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])
