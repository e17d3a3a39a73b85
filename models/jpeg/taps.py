"""The recipe of the linear predictors of `coefficients.kernels.c`: `python -m densezip.models.jpeg.taps FOLDER OUT`.

Regresses each coefficient, and its magnitude, on what the coder knows of its neighbourhood (predict.h), in the
coefficients of the JPEG files of a folder. Errors are weighted by the magnitude that is expected, so that quiet blocks
count as much as busy ones.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codec.errors import UnsupportedImageError
from ...codec.images.jpeg.apart import take_apart
from .engine import REGRESSED, SCALED, ZIGZAG, in_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BLOCKS = 2500
"""Blocks of each component of each file."""

RIDGE = 1e-4
"""Of the mean power of an input."""

INNER = [at for at in ZIGZAG if at // 8 and at % 8]
PADDED = 2


def known(row: int, column: int) -> tuple[list[int], list[int]]:
    """Columns of this row, and rows of this column, that are coded before."""
    if row == 0:
        return list(range(1, column)), list(range(1, 8))
    if column == 0:
        return list(range(1, 8)), list(range(1, row))
    return list(range(1, column)), list(range(1, row))


class Sampled:
    """Blocks of a component, with their neighbours.

    Args:
        planes: of an image, float32 [rows, columns, 64], times their steps.
        number: of the component.
        steps: of the component, float32 [64].
    """

    def __init__(self, planes: list[Floats], number: int, steps: Floats, rng: np.random.Generator) -> None:
        plane = planes[number]
        rows, columns, _ = plane.shape
        self.steps = steps
        wide = np.zeros((rows + PADDED, columns + 2 * PADDED, 64), np.float32)
        wide[PADDED:, PADDED:-PADDED] = plane
        pick = rng.choice(rows * columns, min(BLOCKS, rows * columns), replace=False)
        y, x = pick // columns + PADDED, pick % columns + PADDED
        self.own = wide[y, x]
        self.left, self.above, self.corner, self.ahead = (
            wide[y, x - 1],
            wide[y - 1, x],
            wide[y - 1, x - 1],
            wide[y - 1, x + 1],
        )
        self.left2, self.above2 = wide[y, x - 2], wide[y - 2, x]
        luma = planes[0]
        self.fine = (int(luma.shape[1] >= 1.5 * columns), int(luma.shape[0] >= 1.5 * rows))
        ly = np.minimum((y - PADDED) << self.fine[1], luma.shape[0] - 1)
        lx = np.minimum((x - PADDED) << self.fine[0], luma.shape[1] - 1)
        self.luma = np.abs(luma[ly, lx]) * (number > 0)
        same = number >= 2 and planes[1].shape == plane.shape
        self.chroma = planes[1][y - PADDED, x - PADDED] if same else np.zeros_like(self.own)

    def coded(self, row: int, column: int) -> NDArray[np.bool_]:
        """Where this coefficient is coded: where not all of the rest are zero."""
        at = row * 8 + column
        if row and column:
            rest = INNER[INNER.index(at) :]
        else:
            rest = [column * 8 for column in range(row, 8)] if column == 0 else list(range(column, 8))
        found: NDArray[np.bool_] = (self.own[:, rest] != 0).any(1)
        return found

    def inputs(self, row: int, column: int, keep: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Inputs of both predictors but for the mean itself, [N, REGRESSED] and [N, SCALED]."""
        at, along, down = row * 8 + column, slice(row * 8, row * 8 + 8), slice(column, 64, 8)

        def bare(blocks: Floats, where: slice) -> Floats:
            values = blocks[keep][:, where].copy()
            if where.start == 0:
                values[:, 0] = 0
            return values

        count = int(keep.sum())
        r, c = np.zeros((count, 8), np.float32), np.zeros((count, 8), np.float32)
        columns, rows = known(row, column)
        r[:, columns] = self.own[keep][:, [row * 8 + i for i in columns]]
        c[:, rows] = self.own[keep][:, [i * 8 + column for i in rows]]
        west, north = bare(self.left, along), bare(self.above, down)
        dc = [block[keep][:, 0] for block in (self.left, self.corner, self.above, self.ahead)]
        single = [block[keep][:, at] for block in (self.corner, self.ahead, self.left2, self.above2, self.chroma)]
        around = np.stack([dc[0] - dc[1], dc[2] - dc[1], dc[3] - dc[2], *single], 1)
        luma = self.luma[keep][:, (row >> self.fine[1]) * 8 + (column >> self.fine[0])]
        zero = np.zeros_like(luma)
        sizes = np.stack([*np.abs(single[:4]), luma, np.abs(single[4]), zero, zero + self.steps[at]], 1)
        parts = [west, north, r, c, bare(self.left, down), bare(self.above, along)]
        return np.concatenate([west, north, r, c, around], 1), np.concatenate([*np.abs(parts), sizes], 1)


def solve(gram: NDArray[Any], moment: NDArray[Any]) -> NDArray[Any]:
    """Weights of a regression that is held back a little."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-12))
    scaled = gram / np.outer(scale, scale) + RIDGE * np.eye(len(gram))
    found: NDArray[Any] = np.linalg.solve(scaled, moment / scale) / scale
    return np.where(np.diag(gram) > 1e-9, found, 0)


def fit(samples: list[list[Sampled]]) -> Floats:
    """The taps, [3, 64, REGRESSED + SCALED]: of each class of components, the samples of each file."""
    taps = np.zeros((3, 64, REGRESSED + SCALED), np.float32)
    for number, files in enumerate(samples):
        for at in range(1, 64):
            row, column = divmod(at, 8)
            data = []
            for sampled in files:
                keep = sampled.coded(row, column)
                if keep.any():
                    data.append((*sampled.inputs(row, column, keep), sampled.own[keep, at], sampled.steps[at]))
            if not data:
                continue
            signed, sizes = np.concatenate([d[0] for d in data]), np.concatenate([d[1] for d in data])
            target = np.concatenate([d[2] for d in data])
            steps = np.concatenate([np.full(len(d[2]), d[3]) for d in data])
            expected = sizes[:, 48:52].mean(1) + steps
            for _ in range(2):
                weight = 1 / expected**2
                mean = solve(signed.T @ (signed * weight[:, None]), signed.T @ (target * weight))
                sizes[:, 54] = np.abs(signed @ mean)
                scale = solve(sizes.T @ (sizes * weight[:, None]), sizes.T @ (np.abs(target) * weight))
                expected = np.maximum(sizes @ scale, 0.1 * steps) + 0.2 * steps
            taps[number, at, :REGRESSED], taps[number, at, REGRESSED:] = mean, scale
            if at % 9 == 1:
                fitted = 1 - ((target - signed @ mean) ** 2 * weight).sum() / (target**2 * weight).sum()
                print(number, at, len(target), f"{fitted:.3f}", flush=True)
    return taps


def main(folder: str, out: str) -> None:
    """Write the taps for the files of a folder."""
    rng = np.random.default_rng(1)
    samples: list[list[Sampled]] = [[], [], []]
    for path in sorted(Path(folder).iterdir()):
        try:
            outline, planes = take_apart(path.read_bytes(), 2**26)
        except UnsupportedImageError:
            continue
        frame = outline.images[0].frame
        steps = [in_rows(step) for step in frame.steps]
        scaled = [plane * step for plane, step in zip(planes[0], steps, strict=True)]
        for number in range(min(3, len(scaled))):
            samples[number].append(Sampled(scaled, number, steps[number], rng))
    np.save(out, fit(samples).astype(np.float16))


if __name__ == "__main__":
    main(*sys.argv[1:])
