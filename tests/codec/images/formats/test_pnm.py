"""PNM and PAM files come back byte for byte: any maximum, binary or plain, with comments and odd white space."""

import struct

import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.formats import pnm
from hypothesis import given
from hypothesis import strategies as st
from samples import array, file_of, picture
from wholefile import LIMIT, bare, check_mutations, comes_back


def ramp(count: int, maximum: int, seed: int = 0) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, maximum + 1, count)


def binary(kind: int, width: int, height: int, maximum: int, *, head: bytes = b"", tail: bytes = b"") -> bytes:
    values = ramp(width * height * (3 if kind == 6 else 1), maximum)
    head = head or b"P%d\n%d %d\n%d\n" % (kind, width, height, maximum)
    return head + values.astype(np.uint8 if maximum < 256 else ">u2").tobytes() + tail


def plain(kind: int, width: int, height: int, maximum: int, per_line: int, between: bytes = b" ") -> bytes:
    values = [b"%d" % value for value in ramp(width * height * (3 if kind == 3 else 1), maximum)]
    lines = [between.join(values[place : place + per_line]) for place in range(0, len(values), per_line)]
    head = b"P1\n%d %d\n" % (width, height) if kind == 1 else b"P%d\n%d %d\n%d\n" % (kind, width, height, maximum)
    return head + b"\n".join(lines) + b"\n"


@pytest.mark.parametrize("maximum", [1, 2, 3, 15, 31, 100, 254, 255, 256, 1023, 4095, 65534, 65535])
@pytest.mark.parametrize("kind", [5, 6])
def test_any_maximum_is_scaled_to_the_whole_range_and_comes_back(kind: int, maximum: int) -> None:
    data = binary(kind, 31, 23, maximum)
    found, remainder = comes_back(pnm, data)
    values = ramp(31 * 23 * (3 if kind == 6 else 1), maximum).reshape(found.pixels.shape)
    top = 1 if found.mode == "1" else 255 if maximum < 256 else 65535
    assert np.array_equal(found.pixels, np.floor(values * top / maximum + 0.5))
    assert len(remainder) < 24


@pytest.mark.parametrize("maximum", [1, 15, 255, 1000, 65535])
@pytest.mark.parametrize(
    ("kind", "per_line"), [(2, 31), (2, 1), (2, 7), (2, 10**6), (3, 93), (3, 12), (3, 3), (3, 10**6)]
)
def test_plain_files_of_lines_of_any_constant_length_come_back_from_a_few_bytes(
    kind: int, per_line: int, maximum: int
) -> None:
    found, remainder = comes_back(pnm, plain(kind, 31, 23, maximum, per_line))
    assert found.pixels.shape == (23, 31, 3 if kind == 3 else 1)
    assert len(remainder) < 40


@pytest.mark.parametrize("between", [b" ", b"", b"\t", b"  "])
def test_plain_bitmaps_come_back(between: bytes) -> None:
    data = plain(1, 31, 23, 1, 31, between)
    found, remainder = comes_back(pnm, data)
    assert found.mode == "1"
    assert np.array_equal(found.pixels.reshape(-1), 1 - ramp(31 * 23, 1))
    assert len(remainder) < 20


def test_lines_that_are_broken_at_a_width_come_back() -> None:
    words = [b"%d" % value for value in ramp(31 * 23 * 3, 255)]
    text, line = b"", b""
    for word in words:
        if len(line) + len(word) > 69:
            text, line = text + line + b"\n", b""
        line += word + b" "
    found, remainder = comes_back(pnm, b"P3\n31 23\n255\n" + text + line + b"\n")
    assert np.array_equal(found.pixels.reshape(-1), ramp(31 * 23 * 3, 255))
    assert len(remainder) < len(text) / 10


def test_another_space_between_pixels_than_between_their_channels_comes_back() -> None:
    pixels = ramp(31 * 23 * 3, 255).reshape(-1, 3)
    text = b"  ".join(b"%d %d %d" % tuple(pixel) for pixel in pixels.tolist())
    _, remainder = comes_back(pnm, b"P3\n31 23\n255\n" + text)
    assert len(remainder) < 30


@pytest.mark.parametrize(("kind", "width"), [(2, 3), (2, 4), (3, 4), (3, 6)])
def test_numbers_that_are_filled_up_with_blanks_come_back(kind: int, width: int) -> None:
    words = [b"%*d" % (width, value) for value in ramp(31 * 23 * (1 if kind == 2 else 3), 255).tolist()]
    pixels = words if kind == 2 else [b"".join(words[place : place + 3]) + b" " for place in range(0, len(words), 3)]
    between = b" " if width == 3 else b""
    lines = [between.join(pixels[place : place + 31]) for place in range(0, len(pixels), 31)]
    _, remainder = comes_back(pnm, b"P%d\n31 23\n255\n" % kind + b" \n".join(lines) + b" \n")
    assert len(remainder) < 30


def test_irregular_white_space_is_not_taken_apart() -> None:
    data = b"P2\n4 2\n255\n1 2  3 4\n5 6 7 8\n"
    found = pnm.read(data, LIMIT)
    assert found.pixels.reshape(-1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert pnm.split(data, found) is None
    zeros = b"P2\n4 2\n255\n1 2 03 4\n5 6 7 8\n"
    assert pnm.split(zeros, pnm.read(zeros, LIMIT)) is None


@pytest.mark.parametrize(
    "head",
    [
        b"P5\n# made by hand\n31 23\n255\n",
        b"P5 31 23 255 ",
        b"P5\r\n31\t23\r\n255\n",
        b"P5\n0031 000023\n0255\n",
        b"P5\n# one\n# two\n 31 # three\n 23\n255\n",
    ],
)
def test_comments_and_odd_heads_come_back(head: bytes) -> None:
    found, _ = comes_back(pnm, binary(5, 31, 23, 255, head=head))
    assert [name for name, _ in found.chunks] == (["tEXt"] if b"#" in head else [])


def test_comments_are_texts_of_the_picture() -> None:
    data = binary(5, 3, 2, 255, head=b"P5\n# one\n#two\n3 2\n255\n")
    assert pnm.read(data, LIMIT).chunks == (("tEXt", b"Comment\0one\ntwo"),)


@given(width=st.integers(1, 40), height=st.integers(1, 6), tail=st.binary(max_size=6), seed=st.integers(0, 2**32 - 1))
def test_bitmaps_with_any_padding_and_tail_come_back(width: int, height: int, tail: bytes, seed: int) -> None:
    rows = np.random.default_rng(seed).bytes(-(-width // 8) * height)
    if not tail.lstrip().startswith(b"P"):
        comes_back(pnm, b"P4\n%d %d\n" % (width, height) + rows + tail)


def pam(width: int, height: int, depth: int, maximum: int, kind: bytes, *, turned: bool = False) -> bytes:
    lines = [b"WIDTH %d" % width, b"HEIGHT %d" % height]
    head = b"\n".join([b"P7", *lines[:: -1 if turned else 1], b"DEPTH %d" % depth, b"MAXVAL %d" % maximum])
    values = ramp(width * height * depth, maximum).astype(np.uint8 if maximum < 256 else ">u2")
    return head + (b"\nTUPLTYPE " + kind if kind else b"") + b"\nENDHDR\n" + values.tobytes()


@pytest.mark.parametrize("maximum", [1, 100, 255, 1023, 65535])
@pytest.mark.parametrize(
    ("depth", "kind", "mode"),
    [
        (1, b"GRAYSCALE", "L"),
        (2, b"GRAYSCALE_ALPHA", "LA"),
        (3, b"RGB", "RGB"),
        (4, b"RGB_ALPHA", "RGBA"),
        (3, b"", "RGB"),
    ],
)
def test_pam_files_come_back(depth: int, kind: bytes, mode: str, maximum: int) -> None:
    data = pam(31, 23, depth, maximum, kind)
    found, remainder = comes_back(pnm, data)
    deep = {"L": "I;16"}.get(mode, mode + ";16")
    assert found.mode == ("1" if (depth, maximum) == (1, 1) else mode if maximum < 256 else deep)
    assert maximum in (100, 1023) or len(remainder) < 4


def test_pam_heads_in_another_order_and_with_comments_come_back() -> None:
    comes_back(pnm, pam(31, 23, 3, 255, b"RGB", turned=True))
    data = pam(31, 23, 3, 255, b"RGB").replace(b"HEIGHT", b"# a comment\n\nHEIGHT  ")
    assert comes_back(pnm, data)[0].chunks == (("tEXt", b"Comment\0a comment"),)


def test_a_bitmap_of_pam_is_bright_where_it_is_1_and_one_of_pbm_dark() -> None:
    assert pnm.read(b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\0\1", LIMIT).pixels[
        0, 1
    ]
    assert not pnm.read(b"P4\n2 1\n\x40", LIMIT).pixels[0, 1]


@pytest.mark.parametrize(("depth", "kind"), [(4, b"CMYK"), (5, b""), (3, b"YCBCR"), (1, b"RGB")])
def test_pam_files_of_other_colours_are_not_coded(depth: int, kind: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="channels"):
        pnm.read(pam(3, 2, depth, 255, kind), LIMIT)


TWO = b"P3\n2 2\n255\n9 9 9 9 9 9 9 9 9 9 9 9\nP3\n2 2\n255\n9 9 9 9 9 9 9 9 9 9 9 9\n"


@pytest.mark.parametrize(
    "data", [TWO, 2 * binary(6, 3, 2, 255), 2 * binary(5, 3, 2, 1000), 2 * pam(3, 2, 3, 255, b"RGB")]
)
def test_more_than_one_picture_in_a_file_is_not_taken_for_one(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="more than one"):
        pnm.read(data, LIMIT)


def test_bytes_behind_the_picture_are_kept() -> None:
    comes_back(pnm, binary(6, 3, 2, 255, tail=b"\n\nnot an image"))
    comes_back(pnm, plain(2, 3, 2, 255, 3) + b"not an image")


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16"])
def test_what_pillow_writes_leaves_two_bytes(mode: str) -> None:
    found, remainder = comes_back(pnm, file_of(picture(mode), "PPM"))
    assert found.mode == mode
    assert np.array_equal(found.pixels.squeeze(), np.asarray(picture(mode)).astype(found.pixels.dtype))
    assert len(remainder) == 2


def test_samples_above_the_maximum_are_not_coded() -> None:
    with pytest.raises(UnsupportedImageError, match="200 where 100"):
        pnm.read(b"P5 2 1 100\n\x64\xc8", LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"P6", b"P6 1", b"P6 1 1", b"P6 0 1 255\n", b"P5 2 2 255\n\0\0\0", b"P5 2 2 0\n\0\0\0\0", b"P2 2 1 255\n1 x",
        b"P2 2 1 255\n1", b"P5 2 2 70000\n" + bytes(8), b"P7\nWIDTH 1\nENDHDR\n", b"P7\nWIDTH one\n", b"P4 2 2",
        b"P2 1 1 255\n" + b"1" * 40,
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        pnm.read(data, LIMIT)


def test_the_limit_is_applied_to_the_header() -> None:
    with pytest.raises(LimitError):
        pnm.read(b"P2 100000 100000 255\n", LIMIT)


def test_16_bit_samples_are_big_endian() -> None:
    assert pnm.read(b"P5 1 1 65535\n" + struct.pack(">H", 258), LIMIT).pixels[0, 0, 0] == 258


def test_a_remainder_of_another_picture_is_refused() -> None:
    found, remainder = comes_back(pnm, binary(6, 31, 23, 255))
    grey = pnm.read(file_of(picture("L"), "PPM"), LIMIT)
    for damaged, kept in ((remainder, grey), (b"", found), (remainder[:1], found)):
        with pytest.raises(CorruptPayloadError):
            pnm.join(bare(kept), damaged)


SEEDS: dict[str, bytes] = {
    "P6": binary(6, 31, 23, 255, tail=b"tail"),
    "P5 of 1000": binary(5, 13, 9, 1000),
    "P4": b"P4\n13 9\n" + array(1).tobytes()[:18],
    "P3": plain(3, 13, 9, 255, 13),
    "P1": plain(1, 13, 9, 1, 13, b""),
    "P7": pam(13, 9, 4, 255, b"RGB_ALPHA"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(pnm, SEEDS[name], 300)


@pytest.mark.parametrize(
    "data",
    [
        b"P1\n3 1\n10#one\n1\n",
        b"P2\n3 1\n255\n1 # one\n2 3\n",
        b"P3\n1 1\n9\n1#one\n2 3 # behind\n",
        b"P2 3 1 9\n#one\n1 2 3",
    ],
)
def test_comments_among_the_samples_are_read_over_and_the_file_is_not_taken_apart(data: bytes) -> None:
    found = pnm.read(data, LIMIT)
    plain = data.replace(b"#one", b"").replace(b"# one", b"")
    assert np.array_equal(found.pixels, pnm.read(plain, LIMIT).pixels)
    assert found.chunks == (("tEXt", b"Comment\0one"),)
    assert pnm.split(data, found) is None
