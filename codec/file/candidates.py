"""Which ways to code a picture are tried: every one is a candidate, and the smallest wins.

The promise: no file is more than 64 bytes larger than the smallest of lossless WebP (all of `WEBP_SETTINGS`), PNG (all
of `PNG_SETTINGS`) and the input file. WebP takes up to a hundred times as long as a fast model does, so it is spared
where figures of the picture show that it is hopeless, and in a picture too large for it one setting is chosen by a
sample. Which these are depends on the picture alone, never on the time that anything takes.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..fields import text, varint
from ..images.picture import Array, Picture
from .container import CRC_BYTES, Box, Payload, boxes
from .payload import (
    PNG_SETTINGS,
    WEBP_QUICKEST,
    WEBP_SETTINGS,
    WEBP_SLOWEST,
    Coder,
    Progress,
    encode_tiles,
    gain_of_search,
    png_coder,
    png_size,
    run_jobs,
    webp_coder,
    webp_size,
)
from .probes import FEW_COLOURS, MOST_ROWS, count_colours, look, sample_rows

__all__ = ["Choice", "choose"]

# The photo model is spared where there are no more colours, or a fast WebP takes fewer bits a sample.
SPARSE_COLOURS = 64
GRAPHIC_BPSP = 0.25
# A file as small as this is not worth the start of the coder of indices.
SMALL_FILE = 96
# Nor is one of these worth that of the coder of what programs made.
TINY_FILE = 72
# What programs made: in a larger picture the middle, of this side, is smaller than by the fastest photo model.
UNTRIED_PIXELS, MIDDLE_SIDE = 2**17, 128
# In pictures of no more pixels than the first, models of lower efforts are tried beside the effort's own; in those of
# no more than the second nothing is spared: estimates are wrong where headers are a part of the size.
LESSER_PIXELS = 2**14
TINY_PIXELS = 2**11
# WebP is tried in full on so many pixels, or, where it gets by with so many bytes, on as many as one tile of it has.
FULL_PIXELS = 2**20
FULL_BYTES = 2**20
FULL_GRAPHIC_PIXELS = 2**23
# Else it is tried on a sample of bands of rows. There its slowest setting must be below this fraction of the others',
# and of all coders those are spared of whose size the smallest is below this fraction.
TRIAL_PIXELS = 2**18
TRIAL_ROWS = 128
WORTH_THE_TIME = 0.97
CLEARLY_SMALLER = 0.9
# The share of runs of pixels that stand elsewhere too from which on the slowest setting is tried in a large picture.
MANY_REPEATS = 1 / 16
# The size by the fast setting is estimated from a quarter of the rows, in bands; from all of an image that is small,
# and from an eighth of one that is large. On 18 photographs the estimates were 2 % less to 6 % more than the size.
ESTIMATE_SHARE, ESTIMATE_PIXELS = 0.25, 2**16
LARGE_SHARE, LARGE_PIXELS = 0.125, 2**20
ESTIMATE_ROWS = 32
BLOCK_PIXELS, BLOCK_COLUMNS, BLOCK_THREADS = 2**20, 2**13, 4
# Of a picture of photographic kind the best WebP is no smaller than these fractions of the fast one: first of a noisy
# one (by bits a sample, in colour and in grey), then of a smooth one, then of those between.
NOISY_BPSP, NOISY_GREY_BPSP, NOISY_RATIO = 3.0, 2.0, 0.92
SMOOTH_BPSP, SMOOTH_RATIO = 1.0, 0.55
USUAL_RATIO = 0.88
# On a sample of so many pixels, a longer search leaves this much of the fast WebP's size of photographs, and more of
# nearly all. Where it leaves less, the best gains about twice as much (in logarithms).
USUAL_GAIN, GAIN_PIXELS, GAIN_COLUMNS, GAIN_ROWS = 0.93, 2**14, 2**9, 32
# The best PNG of 16-bit samples, over the fast one.
PNG_RATIO, PNG_TRIAL_PIXELS = 0.75, 2**17
# No model of photographs, and no WebP, gets below this fraction of the fast WebP's size where a picture's history does,
# unless the picture is so small that heads count. On pictures decoded from JPEG files the former were at 0.57 or more.
FAR_SMALLER, SMALL_PIXELS = 0.5, 2**14
# Below so many bits a sample, 16-bit samples are smoother than a camera's are.
SMOOTH_DEEP_BPSP = 2.0
# What is of photographic kind: colours are named again by their entropy at this multiple of the model's bits a pixel,
# unless so many of the sampled pixels have one of their own; and in colour, so many do at least.
NAMING_MARGIN = 1.25
FRESH, HARDLY_FRESH = 1 / 4, 1 / 16

# Progress is that of the first model tried, up to this; the rest is for what comes after it.
MODEL_SHARE = 0.95

Choice = tuple[Coder, list[bytes]]


def choose(
    picture: Picture,
    photo_coder: Callable[[int, int, int], Coder],
    indexed_coder: Callable[[int, int], Coder],
    rendered_coder: Callable[[int, int, int], Coder],
    threads: int,
    report: Callable[[float], None] | None,
    *,
    history_coder: Callable[[Array], Coder | None] | None = None,
    formats_only: bool = False,
) -> Choice:
    """The coder with the smallest tiles, and these.

    Args:
        picture: what to code.
        photo_coder: (height, width, bits per sample in memory: 8 or 16) -> the photo model's coder.
        indexed_coder: (height, width) -> the coder for images of at most `FEW_COLOURS` colours.
        rendered_coder: (height, width, bits per sample in memory: 8 or 16) -> the coder of what programs made.
        threads: number of tiles coded at once; 0 for all processors.
        report: called with the fraction done.
        history_coder: the picture [H, W, C] -> the coder of what it was before, if it shows traces; None for no look.
        formats_only: spare the models of photographs and of indices, for which the picture is tried in another form.
    """
    pixels = picture.pixels
    height, width, channels = pixels.shape
    search = _Search(pixels, threads, report)
    if picture.bits == 16:
        _choose_deep(search, picture, photo_coder, rendered_coder, formats_only=formats_only)
        return search.best()
    estimate = estimated_webp(pixels, threads)
    bpsp = 8 * estimate / pixels.size
    if history_coder is not None and picture.mode not in ("1", "P"):
        history = history_coder(pixels)
        if history is not None:
            size = search.attempt(history)
            if size < FAR_SMALLER * estimate and height * width > SMALL_PIXELS:
                return search.best()
    few, photograph = True, None
    if picture.mode not in ("1", "P"):
        colours = count_colours(pixels)
        few = colours <= FEW_COLOURS
        if colours > SPARSE_COLOURS and bpsp >= GRAPHIC_BPSP and not formats_only:
            photograph = photo_coder(height, width, 8)
            modelled = search.attempt_models(photograph)
            shown, scale = (pixels[:, :, :1], 3) if few and channels == 3 and _is_grey(pixels) else (pixels, 1)
            bound = webp_bound(estimate, scale * bpsp, shown.shape[2])
            if is_photograph(shown, modelled, bound) and modelled <= bound * gained_by_search(shown):
                return search.best()
    rendered = rendered_coder(height, width, 8)
    models = [rendered] if photograph is None or _may_be_rendered(pixels, rendered, photograph) else []
    if few and not formats_only:
        models.append(indexed_coder(height, width))
    if height * width <= FULL_PIXELS or (height * width <= FULL_GRAPHIC_PIXELS and estimate <= FULL_BYTES):
        size = search.attempt(webp_coder(height, width))
        for model in models:
            if size > (TINY_FILE if model is rendered else SMALL_FILE):
                search.attempt(model)
        search.attempt(_png(picture))
        return search.best()
    for coder in _by_trial(picture, models):
        search.attempt(coder)
    # A sample does not show what stands again far away: one setting that finds such copies takes next to no time,
    # another that finds more is worth its time where there are many.
    size = search.attempt(webp_coder(height, width, [WEBP_QUICKEST]))
    if look(pixels, 8 * size / (height * width)).repeats > MANY_REPEATS:
        search.attempt(webp_coder(height, width, [WEBP_SLOWEST]))
    return search.best()


def _choose_deep(
    search: "_Search",
    picture: Picture,
    photo_coder: Callable[[int, int, int], Coder],
    rendered_coder: Callable[[int, int, int], Coder],
    *,
    formats_only: bool,
) -> None:
    """Try what may be the smallest of 16-bit samples."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    modelled = None
    if not formats_only:
        modelled = search.attempt_models(photo_coder(height, width, 16))
        if 8 * modelled < SMOOTH_DEEP_BPSP * pixels.size:
            modelled = min(modelled, search.attempt(rendered_coder(height, width, 16)))
    sample = sample_rows(pixels, PNG_TRIAL_PIXELS, ESTIMATE_ROWS)
    estimate = png_size(sample) * pixels.size / sample.size
    if modelled is None or not is_photograph(pixels, modelled, PNG_RATIO * estimate):
        search.attempt(_png(picture, trial=height * width > FULL_PIXELS))


class _Search:
    """The candidates tried so far."""

    def __init__(self, pixels: Array, threads: int, report: Callable[[float], None] | None) -> None:
        self.pixels, self.threads, self.report = pixels, threads, report
        self.found: list[tuple[int, Coder, list[bytes]]] = []
        self.reports = True

    def attempt(self, coder: Coder) -> int:
        """Try a coder; what it takes in a file, in bytes. Of all, only the smallest tiles are kept."""
        first = coder.payload is Payload.MODEL and self.reports
        self.reports = self.reports and not first
        progress = Progress(self.pixels.shape[0] * self.pixels.shape[1], self._share if first else None)
        tiles = encode_tiles(coder, self.pixels, self.threads, progress)
        size = sum(len(tile) + len(varint(len(tile))) + CRC_BYTES for tile in tiles)
        size += len(text(coder.model) + coder.digest) if coder.model else 0
        self.found = [min([*self.found, (size, coder, tiles)], key=lambda candidate: candidate[0])]
        return size

    def attempt_models(self, coder: Coder) -> int:
        """Try a model, and those of lower efforts in a small picture; the size of the smallest."""
        small = self.pixels.shape[0] * self.pixels.shape[1] <= LESSER_PIXELS
        return min(self.attempt(each) for each in (coder, *(coder.lesser if small else ())))

    def best(self) -> Choice:
        """The smallest so far."""
        _, coder, tiles = self.found[0]
        return coder, tiles

    def _share(self, fraction: float) -> None:
        if self.report is not None:
            self.report(MODEL_SHARE * fraction)


def estimated_webp(pixels: Array, threads: int) -> float:
    """An estimate of the size as lossless WebP by a fast setting, in bytes. About 0.1 s a megapixel."""
    height, width = pixels.shape[:2]
    area = height * width
    share = min(1.0, max(LARGE_SHARE if area >= LARGE_PIXELS else ESTIMATE_SHARE, ESTIMATE_PIXELS / area))
    rows = min(max(1, BLOCK_PIXELS // min(width, BLOCK_COLUMNS)), MOST_ROWS)

    def block(box: Box) -> tuple[int, int]:
        top, left, bottom, right = box
        part = pixels[top:bottom, left:right]
        sample = sample_rows(part, round(share * (bottom - top) * (right - left)), ESTIMATE_ROWS)
        return webp_size(sample), sample.size

    grid = boxes(height, width, rows, BLOCK_COLUMNS)
    workers = min(threads or os.cpu_count() or 1, BLOCK_THREADS)
    sizes, counts = zip(*run_jobs(block, grid, workers, Progress(1, None)), strict=True)
    return float(sum(sizes) * pixels.size / sum(counts))


def webp_bound(estimate: float, bpsp: float, channels: int) -> float:
    """What the best WebP takes at least of a picture of photographic kind.

    Args:
        estimate: of its size by the fast setting, in bytes.
        bpsp: the same, in bits a sample.
        channels: samples a pixel.
    """
    if bpsp >= (NOISY_BPSP if channels >= 3 else NOISY_GREY_BPSP):
        return NOISY_RATIO * estimate
    return (SMOOTH_RATIO if bpsp < SMOOTH_BPSP else USUAL_RATIO) * estimate


def is_photograph(pixels: Array, modelled: int, bound: float) -> bool:
    """Whether what can copy and name colours again, and does not learn, is hopeless.

    Args:
        pixels: [H, W, C].
        modelled: bytes that a model takes.
        bound: bytes that the other takes at least, if there is nothing to be copied or named.
    """
    area = pixels.shape[0] * pixels.shape[1]
    if area <= TINY_PIXELS or modelled > bound:
        return False
    bits_a_pixel = 8 * modelled / area
    found = look(pixels, bits_a_pixel)
    if pixels.shape[2] >= 3 and found.fresh < HARDLY_FRESH:
        return False
    if found.fresh < FRESH and found.entropy < NAMING_MARGIN * bits_a_pixel:
        return False
    return modelled <= bound * (1 - 2 * found.repeats)


def gained_by_search(pixels: Array) -> float:
    """By what the bound falls where WebP gains by a longer search: what was interpolated, rendered or drawn."""
    left = max(0, pixels.shape[1] - GAIN_COLUMNS) // 2
    gain = gain_of_search(sample_rows(pixels[:, left : left + GAIN_COLUMNS], GAIN_PIXELS, GAIN_ROWS))
    return float(min(1.0, gain / USUAL_GAIN) ** 2)


def _may_be_rendered(pixels: Array, rendered: Coder, photograph: Coder) -> bool:
    """Whether the coder of what programs made may be smaller than the photo model. 0.2 s in a large picture."""
    height, width = pixels.shape[:2]
    if height * width <= UNTRIED_PIXELS:
        return True
    top, left = max(0, height - MIDDLE_SIDE) // 2, max(0, width - MIDDLE_SIDE) // 2
    middle = pixels[top : top + MIDDLE_SIDE, left : left + MIDDLE_SIDE].copy()
    fastest = [*photograph.lesser, photograph][0]
    return len(rendered.encode(middle, _ignored)) <= len(fastest.encode(middle, _ignored))


def _ignored(_: int) -> None:
    """Progress that nobody looks at."""


def _is_grey(pixels: Array) -> bool:
    sample = sample_rows(pixels, TRIAL_PIXELS, ESTIMATE_ROWS)
    return bool((sample[:, :, :1] == sample).all())


def _png(picture: Picture, *, trial: bool = False) -> Coder:
    """PNG by all settings, or by the one that is best on a sample."""
    height, width = picture.pixels.shape[:2]

    def coder(settings: Sequence[tuple[str, str]]) -> Coder:
        return png_coder(picture.mode, picture.bits, height, width, settings)

    if not trial or picture.bits < 8:
        return coder(PNG_SETTINGS)
    return coder([min(PNG_SETTINGS, key=lambda setting: _trial(picture, coder([setting])))])


def _by_trial(picture: Picture, models: Sequence[Coder]) -> Sequence[Coder]:
    """Those of WebP and PNG by one setting each, and the models, that are smallest on a sample."""
    height, width = picture.pixels.shape[:2]
    sizes = {each: _trial(picture, webp_coder(height, width, [each])) for each in WEBP_SETTINGS}
    setting = min((each for each in sizes if each != WEBP_SLOWEST), key=lambda each: sizes[each])
    if sizes[WEBP_SLOWEST] < WORTH_THE_TIME * sizes[setting]:
        setting = WEBP_SLOWEST
    webp, png = webp_coder(height, width, [setting]), _png(picture, trial=True)
    found = [(sizes[setting], webp), (_trial(picture, png), png)]
    found += [(_trial(picture, model), model) for model in models]
    smallest = min(size for size, _ in found)
    return [coder for size, coder in found if CLEARLY_SMALLER * size <= smallest]


def _trial(picture: Picture, coder: Coder) -> int:
    """The size of the sample of a large picture by a coder."""
    sample = sample_rows(picture.pixels[:, :BLOCK_COLUMNS], TRIAL_PIXELS, TRIAL_ROWS)
    whole = replace(coder, tile_height=sample.shape[0], tile_width=sample.shape[1])
    return sum(map(len, encode_tiles(whole, sample, 1, Progress(sample.size, None))))
