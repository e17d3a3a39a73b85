"""A picture back to the coefficients of the JPEG file that it was decoded from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .decoder import BLOCK, Bytes, Canvas, luma_range, on_lattice, samples_of, to_rgb, upsample
from .search import Floats, coarsen, descend, mend, to_frequencies, to_samples
from .steps import find_steps
from .traces import grid_of

__all__ = ["History", "decode", "undo"]

SAMPLINGS = ((2, 2), (2, 1), (1, 2))
"""(across, down) by which chroma may be coarser."""

# Of fine chroma samples in the middle so many may not come of coarser ones: any number, or more if others fail clearly.
MIDDLE = 384
UNEXPLAINED, MOST_UNEXPLAINED, CLEARLY = 0.006, 0.03, 0.5
REACH = 4
OUTSIDE = 3
# The share of blocks that do not fit from which on another sampling is tried, and what a wrong sample takes, in bits.
MISFIT, WRONG_BITS = 0.5, 6
# Blocks without which nothing can be said of steps.
FEWEST_BLOCKS = 16
LARGEST = 1023
HALF = np.float32(0.5)
ROUNDS = 6
PROJECTIONS = 2
# Of descents to coarse chroma, which need not be the last word before the end.
FEW_ROUNDS, ROUNDS_AT_END = 2, 6
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
        return np.ascontiguousarray(luma)[:, :, None]
    chroma = [fine_of(coarse, canvas, height, width) for coarse in samples[1:]]
    return to_rgb(np.ascontiguousarray(luma), chroma[0], chroma[1])


def fine_of(coarse: Bytes, canvas: Canvas, height: int, width: int) -> Bytes:
    """Chroma of our pixels."""
    fine = upsample(coarse, canvas)[canvas.top : canvas.top + height, canvas.left : canvas.left + width]
    return cast(Bytes, np.ascontiguousarray(fine))


def undo(pixels: Bytes, *, thorough: bool = True) -> History | None:
    """The history of a picture; None where it has none.

    Args:
        pixels: [h, w, 1 or 3].
        thorough: search for coefficients of blocks where rounding does not find them.
    """
    if pixels.shape[2] == 1:
        top, left = _margins(pixels[:, :, 0])
        canvas = Canvas(pixels.shape[0] + top, pixels.shape[1] + left, top, left, 1, 1)
        grey = _Component(pixels[:, :, 0], pixels[:, :, 0], canvas)
        if not grey.find_steps([grey], chroma=False):
            return None
        grey.round_off()
        grey.finish(thorough=thorough)
        return History(grey.canvas, (grey.steps,), (grey.plane,), (grey.corrected(),))
    top, left = _margins(on_lattice(pixels)[0])
    return _undo_colour(pixels, top, left, thorough=thorough)


def _margins(luma: Bytes) -> tuple[int, int]:
    """Rows and columns that the first blocks lack of a picture that was cut out."""
    top, left = grid_of(luma) or (0, 0)
    return -top % BLOCK, -left % BLOCK


def _undo_colour(pixels: Bytes, top: int, left: int, *, thorough: bool) -> History | None:
    """The history of a picture, above and to the left of which there was more, which is not known."""
    pixels = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
    height, width, _ = pixels.shape
    luma, *fine, known = on_lattice(pixels)
    known[:top], known[:, :left] = OUTSIDE, OUTSIDE
    sure = (known == 1).astype(np.uint8)
    if not sure.any():
        return None
    canvas, coarse = _sampled(fine, sure, Canvas(height, width, 0, 0, 1, 1))
    if canvas.across * canvas.down > 1:
        # Blocks of chroma are twice as large, so that there may be eight more rows or columns of pixels.
        small = grid_of(coarse[0]) or (0, 0)
        more = [
            BLOCK if factor == 2 and margin < BLOCK and at == BLOCK // 2 else 0
            for factor, at, margin in zip((canvas.down, canvas.across), small, (top, left), strict=True)
        ]
        if any(more):
            return _undo_colour(pixels[top:, left:], top + more[0], left + more[1], thorough=thorough)
    chroma = [_chroma(part, whole, sure, canvas) for part, whole in zip(coarse, fine, strict=True)]
    if not chroma[0].find_steps(chroma, chroma=True):
        return None
    for part in chroma:
        part.round_off()
    if canvas.across * canvas.down > 1 and min((part.out > 0).mean() for part in chroma) > MISFIT:
        # Where hardly a block fits, fine chroma may have been made of coarse one before it was coded as it was.
        whole = canvas._replace(across=1, down=1)
        others = [_chroma(each, each, sure, whole) for each in fine]
        if others[0].find_steps(others, chroma=True):
            for part in others:
                part.round_off()
            if sum(part.bits() for part in others) < sum(part.bits() for part in chroma):
                canvas, chroma = whole, others
    own = _Component(luma, luma, canvas)
    unknown = np.flatnonzero(known.ravel() == 0)
    for number in range(PROJECTIONS + 1):
        last = number == PROJECTIONS or not len(unknown)
        if last:
            for part in chroma:
                part.finish(thorough=thorough)
        rounds = ROUNDS_AT_END if last else 1
        coarse = [_refined(part, whole, sure, canvas, rounds) for part, whole in zip(chroma, fine, strict=True)]
        shown = [fine_of(part, canvas, height, width) for part in coarse]
        low, high = luma_range(pixels, *shown)
        low[known == OUTSIDE], high[known == OUTSIDE] = 255, 0
        own.bound(low, high)
        if number == 0 and not own.find_steps([own], chroma=False):
            return None
        own.round_off()
        if last:
            break
        _project(pixels, own, chroma, shown, unknown, canvas)
    own.finish(thorough=thorough)
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
            made = upsample(coarsen(whole, known, middle, FEW_ROUNDS), middle)
            bad.append((made != whole)[away].mean())
        wrong.append(max(bad))
    order = sorted(range(len(SAMPLINGS)), key=lambda number: wrong[number])
    best, second = wrong[order[0]], wrong[order[1]]
    if best <= UNEXPLAINED or (best <= MOST_UNEXPLAINED and best <= CLEARLY * second):
        across, down = SAMPLINGS[order[0]]
        canvas = canvas._replace(across=across, down=down)
    return canvas, [coarsen(each, sure, canvas) for each in fine]


def _chroma(coarse: Bytes, fine: Bytes, sure: Bytes, canvas: Canvas) -> _Component:
    """A component of coarse samples, which are known where the fine ones are that are made of them."""
    rows, columns = canvas.coarse()
    known = (sure == 1) & (upsample(coarse, canvas) == fine)
    wide = np.pad(known, ((0, -canvas.height % canvas.down), (0, -canvas.width % canvas.across)), "edge")
    whole = wide.reshape(rows, canvas.down, columns, canvas.across).all(axis=(1, 3))
    small = Canvas(rows, columns, canvas.top // canvas.down, canvas.left // canvas.across, 1, 1)
    some = wide.reshape(rows, canvas.down, columns, canvas.across).any(axis=(1, 3))
    slack = np.where(some, (~whole).astype(np.int16), 255)
    low, high = np.maximum(coarse - slack, 0).astype(np.uint8), np.minimum(coarse + slack, 255).astype(np.uint8)
    component = _Component(low, high, small)
    component.guess = _padded(coarse, small)
    return component


def _refined(part: _Component, fine: Bytes, sure: Bytes, canvas: Canvas, rounds: int) -> Bytes:
    """The samples of coarse chroma, corrected so that they give the fine ones that are sure."""
    samples = part.corrected()
    rows, columns = canvas.coarse()
    samples[:rows, :columns] = descend(samples[:rows, :columns], fine, sure, canvas, rounds)
    return samples


def _project(
    pixels: Bytes,
    own: _Component,
    chroma: list[_Component],
    shown: list[Bytes],
    unknown: NDArray[np.int64],
    canvas: Canvas,
) -> None:
    """Move chroma to where the pixels that reach the end of a channel can be what they are.

    The least change of luma and chroma is the inverse of what red, green and blue lack.
    """
    luma = own.corrected()[: pixels.shape[0], : pixels.shape[1]].ravel()[unknown].astype(np.float32)
    blue, red = (plane.ravel()[unknown].astype(np.float32) - 128 for plane in shown)
    wanted = pixels.reshape(-1, 3)[unknown].astype(np.float32)
    made = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], 1)
    lacks = wanted - made
    lacks = np.where(((wanted == 255) & (lacks < 0)) | ((wanted == 0) & (lacks > 0)), 0, lacks)
    lacks[np.abs(lacks) < 1] = 0
    change = lacks @ np.array([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]], np.float32)
    y, x = unknown // pixels.shape[1] // canvas.down, unknown % pixels.shape[1] // canvas.across
    for number, part in enumerate(chroma):
        shift = np.zeros((2, *canvas.coarse()), np.float32)
        np.add.at(shift[0], (y, x), change[:, number])
        np.add.at(shift[1], (y, x), 1)
        part.move(shift[0] / np.maximum(shift[1], 1))


class _Component:
    """A component at work.

    Args:
        low: the least that each sample may be [h, w].
        high: the most; where that is less than the least nothing is known.
        canvas: on which they lie.
    """

    def __init__(self, low: Bytes, high: Bytes, canvas: Canvas) -> None:
        self.canvas = canvas
        self.steps = np.ones(64, np.int32)
        self.bound(low, high)
        self.guess = _padded(low, canvas)

    def bound(self, low: Bytes, high: Bytes) -> None:
        """Set the bounds."""
        self.low, self.high = low, high
        self.least, self.most = _bounds(low, high, self.canvas)

    def find_steps(self, alike: list[_Component], *, chroma: bool) -> bool:
        """Find the steps of components that share them, by the blocks that are known; False where these are too few."""
        found = []
        for part in alike:
            whole = (part.most - part.least < 1.5).all(1)  # one value each
            middle = np.clip(part.guess, part.least + HALF, part.most - HALF)
            found.append(to_frequencies(middle[whole]))
        known = np.concatenate(found)
        if len(known) < FEWEST_BLOCKS:
            return False
        steps = find_steps(known, chroma=chroma)
        for part in alike:
            part.steps = steps
        return True

    def _samples(self, blocks: NDArray[np.int16]) -> Floats:
        return to_samples(blocks.astype(np.float32) * self.steps.astype(np.float32))

    def _quantized(self, samples: Floats) -> NDArray[np.int16]:
        scaled = np.rint(to_frequencies(samples) / self.steps.astype(np.float32))
        return np.clip(scaled, -LARGEST, LARGEST).astype(np.int16)

    def round_off(self) -> None:
        """Coefficients by rounding; where samples are open, again and again from the samples that they give."""
        inside = np.clip(self.guess, self.least + HALF, self.most - HALF)
        self.blocks = self._quantized(np.where(self.least < self.most, inside, self.guess))
        self.out = _excess(self._samples(self.blocks), self.least, self.most)
        for _ in range(ROUNDS):
            bad = np.flatnonzero(self.out > 0)
            bad = bad[(self.most[bad] - self.least[bad] > 1.5).any(1)]
            if not len(bad):
                break
            tried = self._quantized(np.clip(self._samples(self.blocks[bad]), self.least[bad], self.most[bad]))
            after = _excess(self._samples(tried), self.least[bad], self.most[bad])
            better = after < self.out[bad]
            if not better.any():
                break
            self.blocks[bad[better]], self.out[bad[better]] = tried[better], after[better]

    def bits(self) -> float:
        """About what the coefficients take, and the samples that they make wrong."""
        sizes = np.abs(self.blocks[self.blocks != 0].astype(np.float32))
        samples = self._samples(self.blocks)
        wrong = np.count_nonzero((samples < self.least) | (samples > self.most))
        return float((2 * np.log2(1 + sizes) + 2).sum()) + WRONG_BITS * wrong

    def move(self, shift: Floats) -> None:
        """Move samples [h, w] from what the coefficients give, where they are open, and round again."""
        moved = np.flatnonzero(cast(Floats, _blocks(_whole(np.abs(shift), self.canvas))).any(1))
        if not len(moved):
            return
        change = cast(Floats, _blocks(_whole(shift, self.canvas)))[moved]
        least, most = self.least[moved], self.most[moved]
        target = np.clip(self._samples(self.blocks[moved]) + change, least, most)
        tried = self._quantized(target)
        self.blocks[moved] = tried
        self.out[moved] = _excess(self._samples(tried), least, most)

    def finish(self, *, thorough: bool) -> None:
        """Search where samples are out of bounds."""
        bad = np.flatnonzero(self.out > 0)
        if len(bad) and thorough:
            mended = np.ascontiguousarray(self.blocks[bad])
            tries = TRIES if len(bad) < MANY * len(self.blocks) else FEW_TRIES
            mend(mended, self.steps, self.least[bad], self.most[bad], tries)
            self.blocks[bad] = mended

    @property
    def plane(self) -> NDArray[np.int16]:
        """The coefficients, [rows, columns, 64]."""
        rows = -(-(self.canvas.top + self.low.shape[0]) // BLOCK)
        return self.blocks.reshape(rows, -1, 64)

    def corrected(self) -> Bytes:
        """The samples of the coefficients, moved inside the bounds where there are any."""
        samples, _ = samples_of(self.plane, self.steps)
        top, left = self.canvas.top, self.canvas.left
        part = samples[top : top + self.low.shape[0], left : left + self.low.shape[1]]
        part[...] = np.where(self.low > self.high, part, np.clip(part, self.low, np.maximum(self.low, self.high)))
        return samples


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


def _whole(samples: Floats, canvas: Canvas) -> Floats:
    """Samples of whole blocks, 0 around ours."""
    shape = canvas.top + samples.shape[0], canvas.left + samples.shape[1]
    return np.pad(samples, ((canvas.top, -shape[0] % BLOCK), (canvas.left, -shape[1] % BLOCK)))


def _padded(samples: Bytes, canvas: Canvas) -> Floats:
    """Samples of whole blocks [n, 64]: those at the edges are repeated."""
    shape = canvas.top + samples.shape[0], canvas.left + samples.shape[1]
    wide = np.pad(samples, ((canvas.top, -shape[0] % BLOCK), (canvas.left, -shape[1] % BLOCK)), "edge")
    return cast(Floats, _blocks(wide).astype(np.float32))


def _excess(samples: Floats, least: Floats, most: Floats) -> Floats:
    found: Floats = ((samples - np.clip(samples, least, most)) ** 2).sum(1)
    return found
