"""Uses an installed densezip as a user would, from outside its sources: the command, then the Python API.

`.ci/run` calls this in an environment that holds the wheel and its dependencies and nothing else.
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import densezip
import numpy as np
from PIL import Image


def smooth_noise(height: int, width: int, seed: int) -> np.ndarray:
    """Something like a photograph: large soft shapes under a little noise, uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (9 + 7 * c) + c) + np.cos(y / (11 - 2 * c)) for c in range(3)]
    image = 128 + 40 * np.stack(waves, axis=-1) + generator.normal(0, 4, (height, width, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def main() -> None:
    """Compresses, tests and decompresses one image and compares the pixels."""
    extras = [name for name in ("torch", "matplotlib", "pytest") if importlib.util.find_spec(name)]
    assert not extras, f"this environment should have no extras: {extras}"
    pixels = smooth_noise(96, 128, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        source, packed, again = (Path(folder, name) for name in ("photo.png", "photo.png.dz", "again.png"))
        Image.fromarray(pixels).save(source)
        commands: list[list[str | Path]] = [
            ["densezip", "--version"],
            ["densezip", "compress", "-v", source],
            ["densezip", "info", packed],
            ["densezip", "test", packed],
            [sys.executable, "-m", "densezip", "test", packed],
            ["densezip", "decompress", packed, "-o", again],
        ]
        for command in commands:
            subprocess.run(command, check=True)
        with Image.open(again) as image:
            assert image.mode == "RGB"
            assert np.array_equal(np.asarray(image), pixels)
        header = densezip.info(packed.read_bytes())
        assert header.payload == "model", f"the shipped model was not used: {header}"
        assert packed.stat().st_size < source.stat().st_size
    assert np.array_equal(np.asarray(densezip.decompress(densezip.compress(pixels, effort=1))), pixels)
    print(f"densezip {densezip.__version__} works as installed at {Path(densezip.__file__).parent}")


main()
