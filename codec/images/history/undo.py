"""A picture back to the coefficients of the JPEG file that it was decoded from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .decoder import BLOCK, Bytes, Canvas, luma_range, on_lattice, samples_of, to_rgb, upsample
from .search import Floats, coarsen, mend, to_frequencies, to_samples
from .steps import find_steps

__all__ = ["History", "decode", "undo"]

SAMPLINGS = ((2, 2), (2, 1), (1, 2), (1, 1))
"""(across, down) by which chroma may be coarser, the coarsest first."""

# Of known fine chroma samples so many may not come of coarser ones.
MOST_UNEXPLAINED = 0.02
# Blocks without which nothing can be said of steps.
FEWEST_BLOCKS = 16
LARGEST = 1023
ROUNDS = 6
# Moves for each block: of few that are wrong, and of many.
TRIES, FEW_TRIES = 60, 12
MANY = 0.25
OPEN = 1e4


@dataclass(frozen=True)
class History:
    """What a JPEG file held, and what its decoder makes wrong of it.

    Attributes:
        canvas: the picture of which ours is a part.
        steps: of quantization of each component, in rows [64].
        planes: coefficients of each component, [rows, columns, 64].
        samples: of each component, [rows, columns], as they are to be after correction.
    """

    canvas: Canvas
    steps: tuple[NDArray[np.int32], ...]
    planes: tuple[NDArray[np.int16], ...]
    samples: tuple[Bytes, ...]


def decode(canvas: Canvas, samples: Sequence[Bytes], height: int, width: int) -> Bytes:
    """The pixels [height, width, C] of corrected samples."""
    luma = samples[0][canvas.top : canvas.top + height, canvas.left : canvas.left + width]
    if len(samples) == 1:
        return cast(Bytes, np.ascontiguousarray(luma)[:, :, None])
    chroma = [fine_of(coarse, canvas, height, width) for coarse in samples[1:]]
    return to_rgb(np.ascontiguousarray(luma), chroma[0], chroma[1])


def fine_of(coarse: Bytes, canvas: Canvas, height: int, width: int) -> Bytes:
    """Chroma of our pixels."""
    fine = upsample(coarse, canvas)[canvas.top : canvas.top + height, canvas.left : canvas.left + width]
    return cast(Bytes, np.ascontiguousarray(fine))


def undo(pixels: Bytes, *, thorough: bool = True) -> History | None:
    """The history of a picture [h, w, 1 or 3]; None where it has none."""
    height, width, channels = pixels.shape
    if channels == 1:
        canvas = Canvas(height, width, 0, 0, 1, 1)
        steps, plane, samples = _fit(pixels[:, :, 0], pixels[:, :, 0], canvas, chroma=False) or (None, None, None)
        if steps is None:
            return None
        return History(canvas, (steps,), (plane,), (samples,))
    luma, blue, red, known = on_lattice(pixels)
    sure = (known == 1).astype(np.uint8)
    for across, down in SAMPLINGS:
        canvas = Canvas(height, width, 0, 0, across, down)
        coarse = [coarsen(fine, sure, canvas) for fine in (blue, red)]
        wrong = [(upsample(part, canvas) != fine) & (sure == 1) for part, fine in zip(coarse, (blue, red), strict=True)]
        if max(map(np.sum, wrong)) <= MOST_UNEXPLAINED * sure.sum():
            break
    fitted = _fit_chroma(coarse, [sure.astype(bool) & ~bad for bad in wrong], canvas)
    if fitted is None:
        return None
    steps, planes, corrected = fitted
    low, high = luma_range(pixels, *(fine_of(part, canvas, height, width) for part in corrected))
    own = _fit(low, high, canvas, chroma=False, guess=luma)
    if own is None:
        return None
    return History(canvas, (own[0], steps, steps), (own[1], *planes), (own[2], *corrected))


def _blocks(samples: NDArray[np.generic]) -> NDArray[np.generic]:
    """Samples [8 r, 8 c] as blocks [r * c, 64]."""
    rows, columns = samples.shape[0] // BLOCK, samples.shape[1] // BLOCK
    return samples.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, 64)


def _bounds(low: Bytes, high: Bytes, canvas: Canvas) -> tuple[Floats, Floats]:
    """Real bounds of the samples of whole blocks, which are open outside and where nothing is known."""
    shape = canvas.top + low.shape[0], canvas.left + low.shape[1]
    whole = [-(-side // BLOCK) * BLOCK for side in shape]
    bounds = np.full((2, *whole), OPEN, np.float32)
    bounds[0] = -OPEN
    free = low > high
    inside = slice(canvas.top, shape[0]), slice(canvas.left, shape[1])
    bounds[0][inside] = np.where(free | (low == 0), -OPEN, low - np.float32(0.5))
    bounds[1][inside] = np.where(free | (high == 255), OPEN, high + np.float32(0.5))
    return cast(Floats, _blocks(bounds[0])), cast(Floats, _blocks(bounds[1]))


def _padded(samples: Bytes, canvas: Canvas) -> Floats:
    """Samples of whole blocks [n, 64]: those at the edges are repeated."""
    shape = canvas.top + samples.shape[0], canvas.left + samples.shape[1]
    after = [-side % BLOCK for side in shape]
    wide = np.pad(samples, ((canvas.top, after[0]), (canvas.left, after[1])), "edge")
    return cast(Floats, _blocks(wide).astype(np.float32))


def _quantized(frequencies: Floats, steps: NDArray[np.int32]) -> NDArray[np.int16]:
    return np.clip(np.rint(frequencies / steps.astype(np.float32)), -LARGEST, LARGEST).astype(np.int16)


def _fit(
    low: Bytes, high: Bytes, canvas: Canvas, *, chroma: bool, guess: Bytes | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int16], Bytes] | None:
    """Steps, coefficients and samples of a component whose samples have bounds [h, w]."""
    middle = low if guess is None else np.clip(guess, np.minimum(low, high), np.maximum(low, high))
    found = _known(low, high, middle, canvas)
    if found is None:
        return None
    steps = find_steps(found, chroma=chroma)
    plane = _solve(low, high, middle, canvas, steps)
    return steps, plane, _corrected(plane, steps, low, high, canvas)


def _known(low: Bytes, high: Bytes, middle: Bytes, canvas: Canvas) -> Floats | None:
    """Coefficients of the blocks all of whose samples are known; None where there are too few."""
    least, most = _bounds(low, high, canvas)
    whole = (most - least < 1.5).all(1)
    if whole.sum() < FEWEST_BLOCKS:
        return None
    return to_frequencies(_padded(middle, canvas)[whole])


def _solve(low: Bytes, high: Bytes, middle: Bytes, canvas: Canvas, steps: NDArray[np.int32]) -> NDArray[np.int16]:
    """Coefficients whose samples lie within bounds, as far as can be."""
    least, most = _bounds(low, high, canvas)
    rows = -(-(canvas.top + low.shape[0]) // BLOCK)
    plane = _quantized(to_frequencies(_padded(middle, canvas)), steps)
    wide = steps.astype(np.float32)
    out = _excess(to_samples(plane * wide), least, most)
    for _ in range(ROUNDS):
        open_ = np.flatnonzero((out > 0) & (most - least > 1.5).any(1))
        if not len(open_):
            break
        inside = np.clip(to_samples(plane[open_] * wide), least[open_], most[open_])
        tried = _quantized(to_frequencies(inside), steps)
        after = _excess(to_samples(tried * wide), least[open_], most[open_])
        better = after < out[open_]
        if not better.any():
            break
        plane[open_[better]], out[open_[better]] = tried[better], after[better]
    bad = np.flatnonzero(out > 0)
    if len(bad):
        mended = np.ascontiguousarray(plane[bad])
        mend(mended, steps, least[bad], most[bad], TRIES if len(bad) < MANY * len(plane) else FEW_TRIES)
        plane[bad] = mended
    return plane.reshape(rows, -1, 64)


def _excess(samples: Floats, least: Floats, most: Floats) -> Floats:
    found: Floats = ((samples - np.clip(samples, least, most)) ** 2).sum(1)
    return found


def _corrected(plane: NDArray[np.int16], steps: NDArray[np.int32], low: Bytes, high: Bytes, canvas: Canvas) -> Bytes:
    """The samples of coefficients, moved inside the bounds where there are any."""
    samples, _ = samples_of(plane, steps)
    part = samples[canvas.top : canvas.top + low.shape[0], canvas.left : canvas.left + low.shape[1]]
    part[...] = np.where(low > high, part, np.clip(part, low, np.maximum(low, high)))
    return samples


def _fit_chroma(
    coarse: list[Bytes], sure: list[NDArray[np.bool_]], canvas: Canvas
) -> tuple[NDArray[np.int32], list[NDArray[np.int16]], list[Bytes]] | None:
    """Steps, which both components share, coefficients and samples."""
    rows, columns = canvas.coarse()
    bounds = []
    for part, known in zip(coarse, sure, strict=True):
        wide = np.pad(known, ((0, -canvas.height % canvas.down), (0, -canvas.width % canvas.across)), "edge")
        whole = wide.reshape(rows, canvas.down, columns, canvas.across).all(axis=(1, 3))
        bounds.append((np.where(whole, part, 255), np.where(whole, part, 0)))
    small = Canvas(rows, columns, canvas.top // canvas.down, canvas.left // canvas.across, 1, 1)
    found = [_known(low, high, part, small) for (low, high), part in zip(bounds, coarse, strict=True)]
    known_blocks = [part for part in found if part is not None]
    if not known_blocks:
        return None
    steps = find_steps(np.concatenate(known_blocks), chroma=True)
    planes = [_solve(low, high, part, small, steps) for (low, high), part in zip(bounds, coarse, strict=True)]
    samples = [_corrected(plane, steps, low, high, small) for plane, (low, high) in zip(planes, bounds, strict=True)]
    return steps, planes, samples
