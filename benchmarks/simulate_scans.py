"""Make pictures with the history of scans that were stored as luma and chroma, from clean ones, for `photos.py`.

    python benchmarks/simulate_scans.py FOLDER SCANS && python benchmarks/photos.py SCANS

Scanners of the nineties stored luma in coarse steps, so that highlights had room, and chroma at half the resolution.
When such a scan becomes RGB, few of all colours occur, and the places of even and odd rows and columns differ. The same
is done here to pictures that have no such traces, so that a coder's gain by them can be measured.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["scan"]

Plane = npt.NDArray[np.float64]

# BT.601: what red, green and blue add to luma.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
# Differences of 8-bit RGB in a step of the stored numbers: luma, blue less luma, red less luma.
LUMA_STEP, BLUE_STEP, RED_STEP = 1.36, 2.22, 1.82


def halved(plane: Plane) -> Plane:
    """Each second sample of each second row, [ceil(H / 2), ceil(W / 2)], under a window of three by three."""
    for axis in (0, 1):
        padding = [(1, 1) if other == axis else (0, 0) for other in (0, 1)]
        before, here, after = (
            np.take(np.pad(plane, padding, "edge"), np.arange(start, start + plane.shape[axis], 2), axis)
            for start in (0, 1, 2)
        )
        plane = 0.25 * before + 0.5 * here + 0.25 * after
    return plane


def doubled(plane: Plane, height: int, width: int) -> Plane:
    """Samples between the stored ones are the mean of their neighbours, [height, width]."""
    for axis, length in ((0, height), (1, width)):
        index = np.arange(length)
        after = np.minimum((index + 1) // 2, plane.shape[axis] - 1)
        plane = 0.5 * (np.take(plane, index // 2, axis) + np.take(plane, after, axis))
    return plane


def scan(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture [H, W, 3] as it comes out of such a file."""
    red, green, blue = np.moveaxis(pixels.astype(np.float64), 2, 0)
    luma = RED * red + GREEN * green + BLUE * blue

    def stored(difference: Plane, step: float) -> Plane:
        return step * np.rint(doubled(np.rint(halved(difference) / step), *luma.shape))

    blue_less, red_less = stored(blue - luma, BLUE_STEP), stored(red - luma, RED_STEP)
    luma = LUMA_STEP * np.rint(luma / LUMA_STEP)
    green = luma - (BLUE * blue_less + RED * red_less) / GREEN
    whole: npt.NDArray[Any] = np.rint(np.stack([luma + red_less, green, luma + blue_less], 2))
    return np.asarray(np.clip(whole, 0, 255), np.uint8)


def main() -> None:
    """Write a PNG file for each picture of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="clean pictures: never JPEG, nor of chroma at half resolution")
    parser.add_argument("output", type=Path, help="folder for the scans, which is made")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.folder.iterdir()):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        Image.fromarray(scan(pixels)).save(options.output / f"{path.stem}.png")


if __name__ == "__main__":
    main()
