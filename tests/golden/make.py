"""Make the golden files: `python tests/golden/make.py --force`, after a change of the format, an engine or weights.

Each picture X.png gives a file X-eN.dz for every effort N listed; grey.png also files by a density model, which is here
too, by itself and as an ensemble, and tiny.png one with a preview. Without --force nothing that exists is replaced:
from 1.0 on, files that are here must decode for ever.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import densezip
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "helpers"))

from leaves import dead_leaves, gradient  # noqa: E402 (helpers of the tests are no package)

ROWS_A_STRIP = 24
PIXELS_A_TILE = 200
CHAINED = {"chained": "", "chained-best": "best", "chained-exact": "exact", "chained-grown": "exact"}
"""With the mode of the ensemble. chained-exact is of a format before tiles grew."""


def _with_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([pixels, 255 - gradient(*pixels.shape[:2], 1)], 2)


PICTURES: dict[str, tuple[NDArray[Any], tuple[int, ...]]] = {
    "rgb": (dead_leaves(40, 48, 3, 1), (1, 5, 9)),
    "grey": (dead_leaves(17, 33, 1, 2), (1, 5, 9)),
    "rgba": (_with_alpha(dead_leaves(30, 28, 3, 3)), (1, 5, 9)),
    "grey16": (dead_leaves(30, 24, 1, 4, 16), (1, 5, 9)),
    "sparse16": (dead_leaves(60, 64, 1, 5).astype(np.uint16) * 257, (1,)),
    "strips": (dead_leaves(70, 64, 1, 6), (1,)),
    # Small enough for the second decoder, and just large enough for a step of learning.
    "tiny": (dead_leaves(9, 16, 3, 7), (1, 5, 9)),
}


def main(force: bool) -> None:
    """Write what is missing, or everything."""
    from densezip.models.photo import tile

    for name, (pixels, efforts) in PICTURES.items():
        image = Image.fromarray(pixels.squeeze())
        png = FOLDER / f"{name}.png"
        if force or not png.exists():
            image.save(png, optimize=True)
        usual = tile.TILE_PIXELS
        tile.TILE_PIXELS = ROWS_A_STRIP * image.width if name == "strips" else usual
        for effort in efforts:
            file = FOLDER / f"{name}-e{effort}.dz"
            if file.exists() and not force:
                print(f"{file.name} exists; --force replaces it")
                continue
            data = densezip.compress(image, effort=effort)
            about = densezip.info(data)
            if not (about.model or "").startswith("photo-"):
                raise SystemExit(f"{file.name}: {about.payload} is smallest, which tests no photo model")
            file.write_bytes(data)
            print(f"{file.name}: {len(data)} bytes")
        tile.TILE_PIXELS = usual
    chained(force)
    previewed(force)


def previewed(force: bool) -> None:
    """A file with a preview, which the writer gives to larger pictures only."""
    from densezip.codec.file import preview

    file, usual = FOLDER / "tiny-preview.dz", preview.LEAST_PIXELS
    preview.LEAST_PIXELS = 0
    if force or not file.exists():
        file.write_bytes(densezip.compress(Image.open(FOLDER / "tiny.png"), effort=1, preview=True))
        print(f"{file.name}: {file.stat().st_size} bytes")
    preview.LEAST_PIXELS = usual


def chained(force: bool) -> None:
    """Files by a density model, of several tiles, and the model."""
    import torch
    from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
    from densezip.models.checkpoint import as_plain, write_checkpoint

    path, image = FOLDER / "mcgsm-grey.safetensors", Image.open(FOLDER / "grey.png")
    if force or not path.exists():
        torch.manual_seed(0)
        model = Mcgsm(McgsmConfig(channels=1, radius=1, components=2, scales=2, features=2))
        model.initialize(torch.from_numpy(dead_leaves(64, 64, 1, 8)).permute(2, 0, 1)[None])
        weights = {f"model.{name}": value for name, value in model.state_dict().items()}
        write_checkpoint(path, weights, {"model": "mcgsm", "config": as_plain(model.config)})
    usual, Mcgsm.largest = Mcgsm.largest, PIXELS_A_TILE
    for name, mode in CHAINED.items():
        file = FOLDER / f"{name}.dz"
        if force or not file.exists():
            file.write_bytes(densezip.compress(image, model=f"{mode}:{path}" if mode else path))
            print(f"{file.name}: {file.stat().st_size} bytes")
    Mcgsm.largest = usual


if __name__ == "__main__":
    main("--force" in sys.argv[1:])
