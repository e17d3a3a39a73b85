"""Samples of a picture as a model takes them: exactly, or a named error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, HeaderError, UnsupportedImageError
from densezip.codec.file.planes import Change, change_for, from_planes, to_planes
from densezip.codec.images.modes import CHANNELS
from numpy.typing import NDArray

RANDOM = np.random.default_rng(0)


def samples(mode: str, equal: bool = False) -> NDArray[Any]:
    count, wide = CHANNELS[mode], mode.endswith(";16")
    found: NDArray[Any] = RANDOM.integers(0, 2 if mode == "1" else 256, (5, 7, count)).astype(
        np.uint16 if wide else np.uint8
    )
    if equal:
        found[..., :3] = found[..., :1]
    return found * np.uint16(257) if wide else found


@pytest.mark.parametrize(
    ("mode", "channels", "equal", "change"),
    [
        ("L", 1, False, Change(0)),
        ("L", 3, False, Change.REPEATED),
        ("LA", 1, False, Change(0)),
        ("LA", 3, False, Change.REPEATED),
        ("RGB", 3, False, Change(0)),
        ("RGB", 1, True, Change.EQUAL),
        ("RGBA", 3, False, Change(0)),
        ("RGBA", 1, True, Change.EQUAL),
        ("1", 1, False, Change.SPREAD),
        ("1", 3, False, Change.SPREAD | Change.REPEATED),
        ("I;16", 1, False, Change.HALVED),
        ("RGBA;16", 3, False, Change.HALVED),
        ("RGB;16", 1, True, Change.HALVED | Change.EQUAL),
    ],
)
def test_samples_come_back_from_those_of_a_model(mode: str, channels: int, equal: bool, change: Change) -> None:
    pixels = samples(mode, equal)
    found = change_for(pixels, mode, 8, channels, 256)
    assert found == change
    planes, rest = to_planes(pixels, mode, found, channels)
    assert planes.shape == (5, 7, channels)
    assert planes.dtype == np.uint8
    again = from_planes(planes, rest, mode, found)
    assert again.dtype == pixels.dtype
    assert np.array_equal(again, pixels)


def test_bits_stay_bits_for_a_model_of_two_levels() -> None:
    assert change_for(samples("1"), "1", 1, 1, 2) == Change(0)


@pytest.mark.parametrize(
    ("mode", "channels", "levels", "words"),
    [
        ("RGB", 1, 256, "a colour image for a model of 1 channels"),
        ("P", 3, 256, "palette"),
        ("L", 1, 2, r"samples up to \d+ for a model of 1 channels and 2 levels"),
    ],
)
def test_what_would_lose_something_is_refused(mode: str, channels: int, levels: int, words: str) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        change_for(samples(mode), mode, 8, channels, levels)


def test_16_bits_are_refused_unless_both_bytes_are_equal() -> None:
    with pytest.raises(UnsupportedImageError, match="16 bits per sample"):
        change_for(samples("I;16") + np.uint16(1), "I;16", 16, 1, 256)


@pytest.mark.parametrize(
    ("mode", "channels", "change", "error"),
    [
        ("L", 3, Change(0), HeaderError),
        ("L", 1, Change.REPEATED, HeaderError),
        ("RGB", 3, Change.EQUAL, HeaderError),
        ("I;16", 1, Change(0), HeaderError),
        ("L", 1, Change.SPREAD, HeaderError),
        ("P", 1, Change(0), HeaderError),
        ("L", 1, 16, HeaderError),
        ("L", 3, Change.REPEATED, CorruptPayloadError),
        ("1", 1, Change.SPREAD, CorruptPayloadError),
    ],
)
def test_changes_that_no_writer_makes_are_refused(
    mode: str, channels: int, change: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        from_planes(RANDOM.integers(1, 255, (5, 7, channels), np.uint8), b"", mode, change)
