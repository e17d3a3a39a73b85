"""A picture back to the coefficients of the JPEG file that it was decoded from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .colours import lacks, luma_range, on_lattice
from .component import Component, find_common_steps
from .decoder import BLOCK, Bytes, Canvas, to_rgb, upsample
from .search import coarsen, descend
from .traces import grid_of

__all__ = ["History", "decode", "undo"]

SAMPLINGS = ((2, 2), (2, 1), (1, 2))
"""(across, down) by which chroma may be coarser."""

# Of fine chroma samples in the middle so many may not come of coarser ones: any number, or more if others fail clearly.
MIDDLE = 384
UNEXPLAINED, MOST_UNEXPLAINED, CLEARLY = 0.006, 0.03, 0.5
REACH = 4
OUTSIDE = 3
# The share of blocks that do not fit from which on another sampling is tried.
MISFIT = 0.5
PROJECTIONS = 2
FEW_ROUNDS = 2
ROUNDS_AT_END = 6


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
        return np.ascontiguousarray(luma)[:, :, None]
    chroma = [fine_of(coarse, canvas, height, width) for coarse in samples[1:]]
    return to_rgb(np.ascontiguousarray(luma), chroma[0], chroma[1])


def fine_of(coarse: Bytes, canvas: Canvas, height: int, width: int) -> Bytes:
    """Chroma of our pixels."""
    fine = upsample(coarse, canvas)[canvas.top : canvas.top + height, canvas.left : canvas.left + width]
    return cast(Bytes, np.ascontiguousarray(fine))


def undo(pixels: Bytes) -> History | None:
    """The history of a picture [h, w, 1 or 3]; None where it has none."""
    if pixels.shape[2] == 1:
        grey = np.ascontiguousarray(pixels[:, :, 0])
        top, left = _margins(grey)
        canvas = Canvas(pixels.shape[0] + top, pixels.shape[1] + left, top, left, 1, 1)
        only = Component(grey, grey, canvas)
        if not find_common_steps([only], chroma=False):
            return None
        only.round_off()
        only.finish()
        return History(canvas, (only.steps,), (only.plane,), (only.corrected(),))
    planes = on_lattice(pixels)
    return _undo_colour(pixels, planes, *_margins(planes[0]))


def _margins(luma: Bytes) -> tuple[int, int]:
    """Rows and columns that the first blocks lack of a picture that was cut out."""
    top, left = grid_of(luma) or (0, 0)
    return -top % BLOCK, -left % BLOCK


def _undo_colour(pixels: Bytes, planes: Sequence[Bytes], top: int, left: int) -> History | None:
    """The history of a picture, above and to the left of which there was more, which is not known.

    Args:
        pixels: [h, w, 3].
        planes: what `on_lattice` says of them.
        top: rows above.
        left: columns to the left.
    """
    luma, *fine, known = (np.pad(plane, ((top, 0), (left, 0)), "edge") for plane in planes)
    known[:top], known[:, :left] = OUTSIDE, OUTSIDE
    sure = (known == 1).astype(np.uint8)
    if not sure.any():
        return None
    height, width = luma.shape
    canvas, coarse = _sampled(fine, sure, Canvas(height, width, 0, 0, 1, 1))
    if canvas.across * canvas.down > 1:
        # Blocks of chroma are twice as large, so that there may be eight more rows or columns of pixels.
        small = grid_of(coarse[0]) or (0, 0)
        more = [
            BLOCK if factor == 2 and margin < BLOCK and at == BLOCK // 2 else 0
            for factor, at, margin in zip((canvas.down, canvas.across), small, (top, left), strict=True)
        ]
        if any(more):
            return _undo_colour(pixels, planes, top + more[0], left + more[1])
    chroma = [_chroma(part, whole, sure, canvas) for part, whole in zip(coarse, fine, strict=True)]
    if not find_common_steps(chroma, chroma=True):
        return None
    for part in chroma:
        part.round_off()
    if canvas.across * canvas.down > 1 and min(part.misfit() for part in chroma) > MISFIT:
        # Where hardly a block fits, fine chroma may have been made of coarse one before it was coded as it was.
        whole = canvas._replace(across=1, down=1)
        others = [_chroma(each, each, sure, whole) for each in fine]
        if find_common_steps(others, chroma=True):
            for part in others:
                part.round_off()
            if sum(part.bits() for part in others) < sum(part.bits() for part in chroma):
                canvas, chroma = whole, others
    pixels = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
    own = Component(luma, luma, canvas)
    open_pixels = bool((known == 0).any())
    for number in range(PROJECTIONS + 1):
        last = number == PROJECTIONS or not open_pixels
        if last:
            for part in chroma:
                part.finish()
        rounds = ROUNDS_AT_END if last else 1
        coarse = [_refined(part, whole, sure, canvas, rounds) for part, whole in zip(chroma, fine, strict=True)]
        shown = [fine_of(part, canvas, height, width) for part in coarse]
        low, high = luma_range(pixels, *shown)
        low[known == OUTSIDE], high[known == OUTSIDE] = 255, 0
        own.bound(low, high)
        if number == 0 and not find_common_steps([own], chroma=False):
            return None
        own.round_off()
        if last:
            break
        # Move chroma to where the pixels that reach the end of a channel can be what they are.
        changes = lacks(pixels, known, own.corrected(), (shown[0], shown[1]), canvas, chroma[0].planes.shape)
        for part, change in zip(chroma, changes, strict=True):
            part.move(change)
    own.finish()
    parts = own, *chroma
    return History(
        canvas._replace(top=top, left=left),
        tuple(part.steps for part in parts),
        tuple(part.plane for part in parts),
        (own.corrected(), *coarse),
    )


def _sampled(fine: list[Bytes], sure: Bytes, canvas: Canvas) -> tuple[Canvas, list[Bytes]]:
    """How coarse chroma was, and its samples."""
    height, width = (min(side, MIDDLE) & ~1 for side in sure.shape)
    top, left = ((side - part) // 4 * 2 for side, part in zip(sure.shape, (height, width), strict=True))
    part = slice(top, top + height), slice(left, left + width)
    known = np.ascontiguousarray(sure[part])
    away = np.pad(known == 1, REACH)  # near to what is unknown nothing is sure
    for axis in (0, 1):
        away = np.logical_and.reduce([np.roll(away, shift, axis) for shift in range(-REACH, REACH + 1)])
    away = away[REACH:-REACH, REACH:-REACH]
    if not away.any():
        away = known == 1
    if not away.any():  # the middle tells nothing
        return canvas, [coarsen(each, sure, canvas) for each in fine]
    wrong = []
    for across, down in SAMPLINGS:
        middle = Canvas(height, width, 0, 0, across, down)
        bad = []
        for each in fine:
            whole = np.ascontiguousarray(each[part])
            made = upsample(coarsen(whole, known, middle, FEW_ROUNDS, pairs=False), middle)
            bad.append((made != whole)[away].mean())
        wrong.append(max(bad))
    order = sorted(range(len(SAMPLINGS)), key=lambda number: wrong[number])
    best, second = wrong[order[0]], wrong[order[1]]
    if best <= UNEXPLAINED or (best <= MOST_UNEXPLAINED and best <= CLEARLY * second):
        across, down = SAMPLINGS[order[0]]
        canvas = canvas._replace(across=across, down=down)
    return canvas, [coarsen(each, sure, canvas) for each in fine]


def _chroma(coarse: Bytes, fine: Bytes, sure: Bytes, canvas: Canvas) -> Component:
    """A component of coarse samples, which are known where the fine ones are that are made of them."""
    rows, columns = canvas.coarse()
    known = (sure == 1) & (upsample(coarse, canvas) == fine)
    wide = np.pad(known, ((0, -canvas.height % canvas.down), (0, -canvas.width % canvas.across)), "edge")
    parts = [wide[y :: canvas.down, x :: canvas.across] for y in range(canvas.down) for x in range(canvas.across)]
    whole, some = np.logical_and.reduce(parts), np.logical_or.reduce(parts)
    small = Canvas(rows, columns, canvas.top // canvas.down, canvas.left // canvas.across, 1, 1)
    low, high = coarse - (~whole & (coarse > 0)), coarse + (~whole & (coarse < 255))
    low[~some], high[~some] = 0, 255
    return Component(low, high, small, coarse)


def _refined(part: Component, fine: Bytes, sure: Bytes, canvas: Canvas, rounds: int) -> Bytes:
    """The samples of coarse chroma, corrected so that they give the fine ones that are sure."""
    samples = part.corrected()
    rows, columns = canvas.coarse()
    pairs = rounds == ROUNDS_AT_END
    samples[:rows, :columns] = descend(samples[:rows, :columns], fine, sure, canvas, rounds, pairs=pairs)
    return samples
