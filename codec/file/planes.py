"""A picture's samples as those that a model takes: by what is lossless and exact, or a named error."""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptPayloadError, HeaderError, UnsupportedImageError
from ..images.modes import CHANNELS
from ..images.picture import Array
from .chainparts import colours

__all__ = ["Change", "change_for", "from_planes", "to_planes"]

Bytes = NDArray[np.uint8]
Samples = NDArray[Any]

SCALES = {"1": 255}
"""What the samples of a mode are held as where a model has all levels: black and white as the ends of grey."""

DOUBLED = 257
"""A 16-bit sample whose two bytes are equal is so many times one of 8 bits."""


class Change(IntFlag):
    """What was done to a picture's samples; part of the format."""

    REPEATED = 1  # grey, three times
    EQUAL = 2  # the first of three equal channels
    HALVED = 4  # 16 bits of which both bytes are equal, one of them
    SPREAD = 8  # 0 and 1, as 0 and 255


def change_for(pixels: Array, mode: str, bits: int, channels: int, levels: int) -> Change:
    """How samples [H, W, C] become those of a model.

    Args:
        pixels: of the picture.
        mode: of the picture.
        bits: per sample.
        channels: of the model, 1 or 3.
        levels: of the model, 2 to 256.

    Raises:
        UnsupportedImageError: they cannot, without loss.
    """
    what = f"a model of {channels} channels and {levels} levels"
    change = Change(0)
    colour: Samples = _colour(pixels, mode)
    if mode == "P":
        raise UnsupportedImageError(f"a palette image for {what}: indices are no shades; convert it to RGB first")
    if pixels.dtype.itemsize == 2:
        if not bool(((pixels >> 8) == (pixels & 0xFF)).all()):
            raise UnsupportedImageError(f"{bits} bits per sample for {what}")
        change |= Change.HALVED
        colour = colour & 0xFF
    if mode == "1" and levels > 2:
        change |= Change.SPREAD
    elif int(colour.max()) >= levels:
        raise UnsupportedImageError(f"samples up to {int(colour.max())} for {what}")
    if colour.shape[2] < channels:
        change |= Change.REPEATED
    elif colour.shape[2] > channels:
        if not bool((colour == colour[..., :1]).all()):
            raise UnsupportedImageError(f"a colour image for {what}")
        change |= Change.EQUAL
    return change


def to_planes(pixels: Array, mode: str, change: Change, channels: int) -> tuple[Bytes, bytes]:
    """What the model codes, uint8 [H, W, channels], and the bytes of the other planes: alpha, row by row."""
    colour: Samples = _colour(pixels, mode)
    rest: Samples = np.ascontiguousarray(pixels[..., colours(mode) :])
    if change & Change.HALVED:
        colour, rest = colour & 0xFF, rest & 0xFF
    if change & Change.SPREAD:
        colour = colour * SCALES["1"]
    if change & Change.EQUAL:
        colour = colour[..., :1]
    if change & Change.REPEATED:
        colour = np.repeat(colour, channels, 2)
    return np.ascontiguousarray(colour.astype(np.uint8)), rest.astype(np.uint8).tobytes()


def from_planes(planes: Bytes, rest: bytes, mode: str, change: int) -> Array:
    """The picture's samples [H, W, C].

    Raises:
        HeaderError: a change that does not go with the mode.
        CorruptPayloadError: planes that no picture was changed to.
    """
    own, wide = colours(mode), mode.endswith(";16")
    seen = 1 if change & Change.EQUAL else own * (3 if change & Change.REPEATED else 1)
    wrong: Any = (
        change >= 2 * max(Change)
        or bool(change & Change.HALVED) != wide
        or (change & Change.SPREAD and mode != "1")
        or mode == "P"
    )
    wrong = wrong or (change & Change.REPEATED and own != 1) or (change & Change.EQUAL and own != 3)
    if wrong or planes.shape[2] != seen:
        raise HeaderError(f"samples of {planes.shape[2]} channels, changed by {int(change)}, in mode {mode}")
    if change & Change.REPEATED:
        if not bool((planes == planes[..., :1]).all()):
            raise CorruptPayloadError("three channels of a grey image that are not equal")
        planes = planes[..., :1]
    if change & Change.SPREAD:
        if not bool(((planes == 0) | (planes == SCALES["1"])).all()):
            raise CorruptPayloadError("a black and white image of other shades")
        planes = planes // np.uint8(SCALES["1"])
    if change & Change.EQUAL:
        planes = np.repeat(planes, 3, 2)
    count = CHANNELS[mode] - own
    others = np.frombuffer(rest, np.uint8).reshape(*planes.shape[:2], count)
    samples = np.ascontiguousarray(np.concatenate([planes, others], 2))
    return samples.astype(np.uint16) * np.uint16(DOUBLED) if wide else samples


def _colour(pixels: Array, mode: str) -> Array:
    return pixels[..., : colours(mode)]
