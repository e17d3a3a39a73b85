"""QOI files come back byte for byte if their encoder did as the specification says."""

import struct

import imagecodecs
import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.formats import qoi
from hypothesis import given
from hypothesis import strategies as st
from samples import array, file_of, picture
from wholefile import LIMIT, bare, check_mutations, comes_back

END = bytes(7) + b"\1"


def head(width: int, height: int, channels: int, space: int = 0) -> bytes:
    return struct.pack(">4sIIBB", b"qoif", width, height, channels, space)


@given(
    channels=st.integers(3, 4),
    width=st.integers(1, 70),
    height=st.integers(1, 9),
    colours=st.integers(1, 80),
    spread=st.sampled_from([1, 4, 20, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_the_reference_encoder_writes_comes_back(
    channels: int, width: int, height: int, colours: int, spread: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    table = (rng.integers(0, spread, (colours, channels)) + rng.integers(256)).astype(np.uint8)
    samples = table[rng.integers(0, colours, (height, width))]
    data = bytes(imagecodecs.qoi_encode(samples))
    found, remainder = comes_back(qoi, data)
    assert np.array_equal(found.pixels, samples)
    assert len(remainder) == 1


@pytest.mark.parametrize("channels", [3, 4])
def test_photographs_and_constant_pictures_come_back(channels: int) -> None:
    for samples in (array(channels, height=200, width=300), np.zeros((90, 70, channels), np.uint8)):
        data = bytes(imagecodecs.qoi_encode(samples))
        assert np.array_equal(comes_back(qoi, data)[0].pixels, samples)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_pillow_writes_is_read(mode: str) -> None:
    data = file_of(picture(mode), "QOI")
    assert np.array_equal(qoi.read(data, LIMIT).pixels, np.asarray(picture(mode)))


def test_colour_space_and_tail_are_kept() -> None:
    pixels = b"\xfe\x64\x96\xc8\xc2"
    comes_back(qoi, head(2, 2, 3, 1) + pixels + END)
    comes_back(qoi, head(2, 2, 3, 7) + pixels + END + b"and more")
    comes_back(qoi, head(2, 2, 3, 0) + pixels)


def test_operations_that_no_specified_encoder_chooses_are_not_replayed() -> None:
    data = head(2, 1, 3) + b"\xfe\1\2\3\xfe\1\2\3" + END
    found = qoi.read(data, LIMIT)
    assert found.pixels.tolist() == [[[1, 2, 3], [1, 2, 3]]]
    assert qoi.split(data, found) is None
    with pytest.raises(UnsupportedImageError, match="behind its last pixel"):
        qoi.read(head(2, 1, 3) + b"\xc5" + END, LIMIT)


@pytest.mark.parametrize(
    "data", [b"qoif", head(0, 1, 3), head(1, 1, 5) + b"\xc0", head(9, 9, 3), head(2, 1, 4) + b"\xff\0\0"]
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        qoi.read(data, LIMIT)


def test_the_limit_is_applied_to_the_header() -> None:
    with pytest.raises(LimitError):
        qoi.read(head(2**30, 2**30, 3), LIMIT)
    with pytest.raises(UnreadableImageError, match="cut short"):
        qoi.read(head(2**10, 2**10, 4) + bytes(100), LIMIT)


def test_a_remainder_that_makes_no_sense_is_refused() -> None:
    found, _ = comes_back(qoi, bytes(imagecodecs.qoi_encode(array(3))))
    for remainder in (b"", b"\0tail", b"\xff\xff\xff\x01"):
        with pytest.raises(CorruptPayloadError):
            qoi.join(bare(found), remainder)


SEEDS: dict[str, bytes] = {
    "RGB": bytes(imagecodecs.qoi_encode(array(3))),
    "RGBA": bytes(imagecodecs.qoi_encode(array(4, height=9, width=7))) + b"tail",
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(qoi, SEEDS[name], 300)
