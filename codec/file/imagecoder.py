"""A model as what codes pictures, and tiles of any size by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..entropy.calibrated import FLOAT64_BAND, Calibration
from ..entropy.codecs import Codec
from ..entropy.padding import padded

__all__ = ["Fitted", "ImageCoder", "tile_codec"]

Shape = tuple[int, int, int, int]
Fitted = Callable[[int, int], tuple[int, int]]
Codecs = Callable[[Calibration, Shape, Callable[[int], None]], Codec[Tensor]]


@dataclass(frozen=True)
class ImageCoder:
    """A model as what codes a picture.

    Attributes:
        name: by which a reader finds it, ASCII.
        digest: of its weights, and how finely it is coded; 4 bytes at least.
        channels: of its images, 1 or 3.
        levels: of its samples.
        borrows: whether a push pops first.
        tile: (height, width) of a picture -> of the tiles that it is cut into.
        fitted: (height, width) of a tile -> of the images that the model takes for it, no smaller.
        codec: (calibration, (B, C, H, W), called with pixels done) -> codec of so many images of a size that it takes.
        band: half the guard band of calibrated coding.
    """

    name: str
    digest: bytes
    channels: int
    levels: int
    borrows: bool
    tile: Callable[[int, int], tuple[int, int]]
    fitted: Fitted
    codec: Codecs
    band: float = FLOAT64_BAND


def tile_codec(
    coder: ImageCoder, calibration: Calibration, shape: Shape, advance: Callable[[int], None] = lambda pixels: None
) -> Codec[Tensor]:
    """Of tiles of any size, which are filled up to one that the model takes.

    Args:
        coder: the model.
        calibration: of all distributions.
        shape: (B, C, H, W) of the tiles.
        advance: called with pixels done.
    """
    size = coder.fitted(*shape[2:])
    inner = coder.codec(calibration, (*shape[:2], *size), advance)
    return padded(inner, shape, size, coder.levels)
