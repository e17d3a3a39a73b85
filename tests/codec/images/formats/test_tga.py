"""TGA files come back byte for byte: plain and run-length coded, from any corner, with any palette and extension."""

import struct

import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.formats import tga
from densezip.codec.images.imagefile import recognise
from hypothesis import given
from hypothesis import strategies as st
from samples import array, file_of, picture
from wholefile import LIMIT, bare, check_mutations, comes_back

PALETTE, COLOUR, GREY, RUNS = 1, 2, 3, 8
SIGNATURE = b"TRUEVISION-XFILE.\0"


def tga_file(
    width: int,
    height: int,
    kind: int,
    depth: int,
    pixels: bytes,
    *,
    flags: int = 0,
    name: bytes = b"",
    palette: tuple[int, int, int] = (0, 0, 0),
    tail: bytes = b"",
) -> bytes:
    """A TGA file laid out by hand; `palette`: first index, number of colours, bits of each."""
    first, count, bits = palette
    colours = np.random.default_rng(1).bytes(count * ((bits + 7) // 8))
    head = struct.pack(
        "<BBBHHBHHHHBB", len(name), bool(count), kind, first, count, bits, 0, 0, width, height, depth, flags
    )
    return head + name + colours + pixels + tail


def noise(width: int, height: int, depth: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(width * height * ((depth + 7) // 8))


@given(
    case=st.sampled_from([(COLOUR, 15), (COLOUR, 16), (COLOUR, 24), (COLOUR, 32), (GREY, 8), (GREY, 16)]),
    width=st.integers(1, 20), height=st.integers(1, 9), corner=st.sampled_from([0, 0x10, 0x20, 0x30]),
    alpha=st.booleans(), name=st.binary(max_size=9), tail=st.binary(max_size=30), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_plain_files_of_any_kind_come_back(
    case: tuple[int, int], width: int, height: int, corner: int, alpha: bool, name: bytes, tail: bytes, seed: int
) -> None:
    kind, depth = case
    flags = corner | ({15: 1, 16: 1 if kind == COLOUR else 8, 32: 8}.get(depth, 0) if alpha else 0)
    comes_back(
        tga, tga_file(width, height, kind, depth, noise(width, height, depth, seed), flags=flags, name=name, tail=tail)
    )


@pytest.mark.parametrize("palette", [(0, 256, 24), (0, 16, 24), (10, 100, 32), (3, 20, 16), (0, 256, 15)])
@pytest.mark.parametrize("corner", [0, 0x20])
def test_palettes_come_back(palette: tuple[int, int, int], corner: int) -> None:
    found, _ = comes_back(tga, tga_file(9, 7, PALETTE, 8, noise(9, 7, 8), palette=palette, flags=corner))
    assert found.mode == "P"
    assert [name for name, _ in found.chunks] == (["PLTE", "tRNS"] if palette[2] == 32 else ["PLTE"])


@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_what_pillow_writes_leaves_a_remainder_of_a_few_bytes(mode: str, rle: bool) -> None:
    image = picture(mode, 30, 700)
    found, remainder = comes_back(tga, file_of(image, "TGA", **({"compression": "tga_rle"} if rle else {})))
    assert found.mode == mode
    assert np.array_equal(found.pixels.squeeze(), np.asarray(image))
    assert len(remainder) < (16 if mode != "P" else 90)


def packed(pixels: npt.NDArray[np.uint8], lengths: list[int]) -> bytes:
    """Packets of given lengths: of one pixel if all in it are alike and it has more than one, else of each."""
    out, done = b"", 0
    for length in lengths:
        part = pixels[done : done + length]
        alike = length > 1 and (part == part[0]).all()
        out += bytes([length - 1 | (0x80 if alike else 0)]) + (part[:1] if alike else part).tobytes()
        done += length
    assert done == len(pixels)
    return out


@given(
    pixel=st.integers(1, 4), width=st.integers(1, 300), height=st.integers(1, 3), spread=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_packets_of_any_length_come_back(pixel: int, width: int, height: int, spread: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(0, spread + 1, (width * height, 1), dtype=np.uint8), pixel, axis=1)
    lengths, left = [], width * height
    while left:
        lengths.append(min(left, int(rng.integers(1, 129))))
        left -= lengths[-1]
    kind = GREY if pixel < 3 else COLOUR
    flags = 8 if pixel in (2, 4) else 0
    data = tga_file(width, height, kind + RUNS, 8 * pixel, packed(pixels, lengths), flags=flags, tail=b"tail")
    found, _ = comes_back(tga, data)
    assert np.array_equal(found.pixels[::-1].reshape(-1, pixel), pixels)


def test_a_usual_encoder_that_does_not_stop_at_the_end_of_a_row_leaves_a_few_bytes() -> None:
    pixels = np.zeros((30 * 40, 1), np.uint8)
    data = tga_file(30, 40, GREY + RUNS, 8, packed(pixels, [128] * 9 + [48]))
    assert len(comes_back(tga, data)[1]) < 12


def test_1555_is_widened_to_the_nearest_of_256_and_its_alpha_kept() -> None:
    every = np.arange(65536, dtype="<u2").reshape(256, 256)
    for flags, mode in ((0x21, "RGBA"), (0x20, "RGB")):
        found, _ = comes_back(tga, tga_file(256, 256, COLOUR, 16, every.tobytes(), flags=flags))
        assert found.mode == mode
        assert np.array_equal(found.pixels[:, :, 0], np.round((every >> 10 & 31) * 255 / 31))
        assert mode == "RGB" or np.array_equal(found.pixels[:, :, 3], np.where(every >> 15, 255, 0))


@pytest.mark.parametrize(("fourth", "mode"), [(None, "RGBA"), (0, "RGB"), (255, "RGB"), (7, "RGBA")])
def test_a_fourth_byte_without_a_name_is_alpha_if_anything_is_in_it(fourth: int | None, mode: str) -> None:
    samples = array(4)
    if fourth is not None:
        samples[:, :, 3] = fourth
    found, remainder = comes_back(tga, tga_file(31, 23, COLOUR, 32, samples.tobytes(), flags=0x20))
    assert found.mode == mode
    assert np.array_equal(found.pixels, samples[:, :, [2, 1, 0, 3]][:, :, : len(mode)])
    assert len(remainder) < 20


def test_extension_and_developer_areas_are_kept_and_author_and_comment_are_metadata() -> None:
    body = tga_file(9, 7, COLOUR, 24, noise(9, 7, 24), name=b"a name")
    area = struct.pack("<H", 495) + b"Ann".ljust(41, b"\0") + b"one".ljust(81, b"\0") + b"two".ljust(81, b"\0")
    area = area.ljust(495, b"\1")[:205] + bytes(162) + area.ljust(495, b"\1")[367:]
    footer = struct.pack("<II", len(body) + 10, len(body)) + SIGNATURE
    found, _ = comes_back(tga, body + b"developer " + area + footer)
    assert found.chunks == (("tEXt", b"Title\0a name"), ("tEXt", b"Author\0Ann"), ("tEXt", b"Comment\0one\ntwo"))


@pytest.mark.parametrize(
    "head",
    [
        (0, 0, 5, 0, 0, 0, 0, 0, 4, 4, 24, 0), (0, 2, 2, 0, 0, 0, 0, 0, 4, 4, 24, 0),
        (0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 24, 0),
        (0, 0, 2, 0, 0, 0, 0, 0, 4, 4, 23, 0), (0, 0, 2, 0, 0, 0, 0, 0, 4, 4, 24, 0xC0),
        (0, 0, 1, 0, 0, 0, 0, 0, 4, 4, 8, 0), (0, 0, 2, 0, 0, 0, 0, 0, 4, 4, 24, 5),
        (0, 0, 2, 0, 0, 0, 0, 0, 400, 4, 24, 0),
    ],
)  # fmt: skip
def test_a_header_that_makes_no_sense_is_no_tga_file(head: tuple[int, ...]) -> None:
    data = struct.pack("<BBBHHBHHHHBB", *head) + bytes(100)
    assert recognise(data) is None
    with pytest.raises(UnreadableImageError):
        tga.read(data, LIMIT)


def test_what_is_cut_short_is_damaged() -> None:
    plain = tga_file(9, 7, COLOUR, 24, noise(9, 7, 24))
    runs = tga_file(9, 7, COLOUR + RUNS, 24, packed(array(3, height=7, width=9).reshape(-1, 3), [63]))
    for data in (plain, runs):
        for length in (1, 17, 18, 30, len(data) - 1):
            with pytest.raises(UnreadableImageError):
                tga.read(data[:length], LIMIT)


def test_a_packet_that_goes_on_behind_the_last_pixel_is_not_coded() -> None:
    with pytest.raises(UnsupportedImageError, match="packet"):
        tga.read(tga_file(3, 1, GREY + RUNS, 8, b"\x83\7"), LIMIT)
    with pytest.raises(UnsupportedImageError, match="colours"):
        tga.read(tga_file(9, 7, PALETTE, 8, noise(9, 7, 8), palette=(200, 100, 24)), LIMIT)


def test_the_limit_is_applied_to_the_header() -> None:
    with pytest.raises(LimitError):
        tga.read(tga_file(60000, 60000, COLOUR, 24, b""), LIMIT)
    with pytest.raises(UnreadableImageError, match="cut short"):
        tga.read(tga_file(1000, 1000, COLOUR + RUNS, 24, bytes(100)), LIMIT)


def test_a_remainder_of_another_picture_is_refused() -> None:
    found, remainder = comes_back(tga, file_of(picture("RGB"), "TGA"))
    grey = tga.read(file_of(picture("L"), "TGA"), LIMIT)
    for damaged, kept in ((remainder, grey), (b"", found), (remainder[:3], found)):
        with pytest.raises(CorruptPayloadError):
            tga.join(bare(kept), damaged)


SEEDS: dict[str, bytes] = {
    "24": tga_file(31, 23, COLOUR, 24, noise(31, 23, 24), name=b"name", tail=b"tail"),
    "32": tga_file(13, 9, COLOUR, 32, array(4, height=9, width=13).tobytes()),
    "16": tga_file(13, 9, COLOUR, 16, noise(13, 9, 16), flags=1),
    "palette": tga_file(13, 9, PALETTE, 8, noise(13, 9, 8), palette=(3, 20, 16)),
    "runs": file_of(picture("L", 30, 40), "TGA", compression="tga_rle"),
    "listed": tga_file(20, 6, GREY + RUNS, 8, packed(np.zeros((120, 1), np.uint8), [50, 7, 1, 1, 1, 60])),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(tga, SEEDS[name], 300)


@pytest.mark.parametrize(
    "data",
    [
        file_of(picture("1"), "TGA"),
        file_of(picture("1"), "TGA")[:-26],
        tga_file(9, 7, GREY, 1, bytes(7 * 2)),
        tga_file(9, 7, PALETTE, 16, bytes(9 * 7 * 2), palette=(0, 300, 24)),
        tga_file(9, 7, 32, 8, bytes(50), palette=(0, 256, 24), tail=bytes(8) + SIGNATURE),
    ],
)
def test_a_kind_that_is_not_coded_is_recognised_and_kept(data: bytes) -> None:
    found = recognise(data)
    assert found is not None
    assert found.name == "TGA"
    with pytest.raises(UnsupportedImageError, match="not coded"):
        tga.read(data, LIMIT)
    assert recognise(data[: len(data) // 2]) is None
