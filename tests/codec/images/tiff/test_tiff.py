"""TIFF files: exact samples, or a refusal with the reason."""

import struct
import tracemalloc

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.imagefile import read
from densezip.codec.images.tiff import dirs as tiffdirs
from densezip.codec.images.tiff import tiff
from PIL import Image
from samples import MODES, array, file_of, picture
from tiffs import (
    ASCII,
    BYTE,
    LAYOUTS,
    LIMIT,
    LONG,
    SHORT,
    again,
    build,
    directory,
    file,
    files,
    picture_of,
    raw,
)

MODES_OF_CHANNELS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_samples_and_files_are_exact(bits: int, channels: int, order: str, big: bool, layout: str) -> None:
    samples = raw(channels, bits)
    data = build(samples, bits=bits, order=order, big=big, **LAYOUTS[layout])
    found = picture_of(data)
    assert np.array_equal(found.pixels, samples)
    mode = MODES_OF_CHANNELS[channels]
    assert (found.mode, found.bits) == (mode if bits == 8 else "I;16" if channels == 1 else mode + ";16", bits)
    assert again(data) == data


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_deflated_samples_are_exact(predictor: int, order: str, bits: int, layout: str) -> None:
    samples = raw(3, bits)
    data = build(samples, bits=bits, order=order, deflated=True, predictor=predictor, **LAYOUTS[layout])
    assert np.array_equal(picture_of(data).pixels, samples)
    assert again(data) == data


@pytest.mark.parametrize("layout", ["one strip", "strips", "tiles", "gaps"])
@pytest.mark.parametrize("photometric", [0, 1, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_and_palette_of_every_depth_are_exact(bits: int, photometric: int, layout: str) -> None:
    samples = raw(1, bits)
    colours = np.random.default_rng(bits).integers(0, 256, 3 << bits)
    tags = ((320, SHORT, [257 * int(value) for value in colours]),) if photometric == 3 else ()
    data = build(samples, bits=bits, photometric=photometric, tags=tags, **LAYOUTS[layout])
    found = picture_of(data)
    assert found.bits == bits
    if photometric == 3:
        assert found.mode == "P"
        assert np.array_equal(found.pixels, samples)
        assert dict(found.chunks)["PLTE"] == bytes(colours.reshape(3, -1).T.astype(np.uint8).tobytes())
    else:
        assert found.mode == ("1" if bits == 1 else "L")
        wanted = samples if photometric else 2**bits - 1 - samples
        assert np.array_equal(found.pixels, wanted * (1 if bits == 1 else 255 // (2**bits - 1)))
    assert again(data) == data


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("mode", MODES)
def test_what_pillow_writes_is_read_as_pillow_reads_it(mode: str, compression: str | None) -> None:
    image = picture(mode)
    data = file_of(image, "TIFF", compression=compression)
    assert np.array_equal(picture_of(data).pixels.squeeze(), np.asarray(image))


def scan(height: int, width: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Black on white as a page has it: runs of all lengths, rows much like those above, empty and full ones."""
    rng = np.random.default_rng(seed)
    page = np.ones((height, width), bool)
    for _ in range(max(1, height * width // 600)):
        top, left = rng.integers(0, height), rng.integers(0, width)
        page[top : top + rng.integers(1, 9), left : left + rng.integers(1, 2 + width // 2)] ^= True
    page[0] = rng.random() < 0.5
    return page


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (2, 7), (40, 63), (64, 80), (30, 2560), (20, 6000)])
@pytest.mark.parametrize("group", ["tiff_ccitt", "group3", "group4"])
def test_fax_is_exact_and_comes_back_byte_for_byte(group: str, size: tuple[int, int]) -> None:
    for seed in range(5):
        page = scan(*size, seed)
        data = file_of(Image.fromarray(page), "TIFF", compression=group)
        assert np.array_equal(picture_of(data).pixels[:, :, 0], page)
        assert again(data) == data


def test_fax_whose_ends_of_lines_fill_a_byte_comes_back() -> None:
    data = file_of(Image.fromarray(scan(40, 63)), "TIFF", compression="group3", tiffinfo={292: 4})
    assert tiffdirs.parse(data).numbers(292) == (4,)
    assert np.array_equal(picture_of(data).pixels[:, :, 0], scan(40, 63))
    assert again(data) == data


@pytest.mark.parametrize("group", ["group3", "group4"])
def test_damaged_fax_is_refused_though_decoders_make_something_of_it(group: str) -> None:
    data = file_of(Image.fromarray(scan(200, 200)), "TIFF", compression=group)
    assert len(data) > 350
    whole = picture_of(data).pixels
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        bad = bytearray(data)
        bad[int(rng.integers(12, 100))] ^= 1 << int(rng.integers(8))
        try:
            found = picture_of(bytes(bad))
        except UnsupportedImageError:
            refused += 1
            continue
        # What passes is a stream of another picture, and comes back as such.
        assert not np.array_equal(found.pixels, whole)
        assert again(bytes(bad)) == bytes(bad)
    assert refused > 30


def test_bits_filled_from_the_lowest_on_are_turned_about() -> None:
    samples = raw(1, 1)
    data = bytearray(build(samples, bits=1, tags=((266, SHORT, [2]),)))
    size = 23 * 4
    data[8 : 8 + size] = bytes(int(f"{value:08b}"[::-1], 2) for value in data[8 : 8 + size])
    assert np.array_equal(picture_of(bytes(data)).pixels, samples)
    assert again(bytes(data)) == bytes(data)


RAW_TAGS = {
    "sub-directory": (330, LONG, [8]),
    "DNG": (50706, BYTE, b"\1\4\0\0"),
    "CFA": (33421, SHORT, [2, 2]),
    "thumbnail": (513, LONG, [8]),
    "reduced": (254, LONG, [1]),
}


REFUSED: dict[str, tuple[bytes, str]] = {
    name: (build(array(3), tags=(tag,)), f"{tag[0]}|camera raw") for name, tag in RAW_TAGS.items()
} | {
    "pages": (bytes(file_of(picture("L"), "TIFF", save_all=True, append_images=[picture("L")])), "several pages"),
    "ImageJ stack": (build(array(1), tags=((270, ASCII, b"ImageJ=1.53\nimages=3\nslices=3\n\0"),)), "stack of 3"),
    "three bands of grey": (build(array(3), photometric=1), "3 samples a pixel, 0 of them extra"),
    "premultiplied": (build(array(4), tags=((338, SHORT, [1]),)), "premultiplied"),
    "CMYK": (build(array(4), photometric=5, tags=((338, SHORT, None),)), "colour space 5"),
    "float": (build(array(1), tags=((339, SHORT, [3]),)), "floating"),
    "12 bits": (build(array(1), tags=((258, SHORT, [12]),)), "bits per sample"),
    "LERC": (build(array(1), compression=34887), "compression 34887"),
    "predictor 3": (build(array(1), deflated=True, tags=((317, SHORT, [3]),)), "predictor 3"),
    "palette of 16 bits": (
        build(raw(1, 1), bits=1, photometric=3, tags=((320, SHORT, [0, 1, 2, 3, 4, 5]),)), "16-bit colours",
    ),
    "old LZW": (build(np.full((2, 8, 1), 9, "u1"), compression=5).replace(b"\t" * 16, b"\0\1" * 8), "LZW"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_exact_picture_is_refused_with_the_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(UnsupportedImageError, match=reason):
        read(data, LIMIT)


DAMAGED: dict[str, bytes] = {
    "no strips": build(array(3), tags=((273, LONG, None),)),
    "a strip too few": build(array(3), rows=5, tags=((278, LONG, [4]),)),
    "a strip outside": build(array(3), tags=((273, LONG, [10**6]),)),
    "a strip too short": build(array(3), tags=((279, LONG, [100]),)),
    "no width": build(array(3), tags=((256, LONG, [0]),)),
    "a directory outside": file(b"", 10**6),
    "a directory in the header": file(bytes(20), 4),
    "a width of text": build(array(3), tags=((256, ASCII, b"31\0"),)),
    "two widths": build(array(3), tags=((256, LONG, [31, 31]),)),
    "no palette": build(raw(1, 4), bits=4, photometric=3),
    "a damaged deflate stream": build(array(3), deflated=True).replace(b"\x78\x9c", b"\x78\x9d", 1),
    "PackBits that ends early": build(array(3), compression=32773),
    "BigTIFF of 4-byte offsets": b"II+\0\4\0\0\0" + bytes(40),
    "half a header": b"II*\0\x08",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_said_to_be_so(name: str) -> None:
    with pytest.raises(UnreadableImageError, match="TIFF") as caught:
        read(DAMAGED[name], LIMIT)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize("name", files())
def test_a_file_that_is_cut_short_is_unreadable_or_whole(name: str) -> None:
    data = files()[name]
    whole = picture_of(data)
    for length in range(0, len(data), 1 + len(data) // 200):
        try:
            found = picture_of(data[:length])
        except UnreadableImageError:
            continue
        assert np.array_equal(found.pixels, whole.pixels)


def test_sizes_beyond_the_limit_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(LimitError, match="limit"):
        tiff.read(build(array(1), tags=((256, LONG, [2**31]), (257, LONG, [2**31]))), 2**40)
    with pytest.raises(UnsupportedImageError, match="parts"):
        tiff.read(build(array(1), tile=(16, 16), tags=((322, LONG, [2**20]), (323, LONG, [2**20]))), LIMIT)


@pytest.mark.parametrize("compression", [5, 8, 32773, 34925, 50000])
def test_errors_of_decoders_do_not_get_through(compression: int) -> None:
    data = bytearray(build(array(1), compression=compression))
    data[8:100] = b"\x80" + np.random.default_rng(0).bytes(91)
    with pytest.raises(UnreadableImageError, match="damaged TIFF file: strip or tile 0") as caught:
        picture_of(bytes(data))
    assert "imcd" not in str(caught.value).lower()


def test_webp_in_tiff_is_read_if_it_is_lossless() -> None:
    samples = array(3)
    for lossless in (True, False):
        stream = bytes(imagecodecs.webp_encode(samples, lossless=lossless, level=80))
        stream += bytes(len(stream) % 2)
        body = directory(
            [(256, LONG, [31]), (257, LONG, [23]), (258, SHORT, [8, 8, 8]), (259, SHORT, [50001]), (262, SHORT, [2]),
             (273, LONG, [8]), (277, SHORT, [3]), (279, LONG, [len(stream)])], 8 + len(stream),
        )  # fmt: skip
        data = file(stream + body, 8 + len(stream))
        if lossless:
            assert np.array_equal(picture_of(data).pixels, samples)
        else:
            with pytest.raises(UnsupportedImageError, match="lossy"):
                picture_of(data)


def test_tags_that_all_claim_the_whole_file_cost_neither_memory_nor_time() -> None:
    size = 2**20
    tags = [
        (256, LONG, [31]),
        (257, LONG, [23]),
        (258, SHORT, [8]),
        (262, SHORT, [1]),
        (273, LONG, [8]),
        (279, LONG, [713]),
    ]
    first = struct.pack("<H", 4006) + directory(tags, 0)[2 : 2 + 12 * 6]
    first += b"".join(struct.pack("<HHII", 270, ASCII, size, 8) for _ in range(4000)) + bytes(4)
    data = file(bytes(size) + first, 8 + size)
    tracemalloc.start()
    try:
        found = picture_of(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()
    tiff.split(data, found)


def test_a_tag_with_millions_of_numbers_is_refused() -> None:
    data = build(array(1), tags=((258, SHORT, [8] * (2**20 + 1)),))
    with pytest.raises(UnreadableImageError, match="1048577 values"):
        picture_of(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bits_from_the_lowest_on_are_turned_in_samples_of_16_bits_too(order: str) -> None:
    samples = array(1, "u2", 9, 11)
    plain = build(samples, bits=16, order=order)
    raw = samples.astype(order + "u2").tobytes()
    assert plain.count(raw) == 1
    turned = build(samples, bits=16, order=order, tags=((266, SHORT, [2]),))
    turned = turned.replace(raw, raw.translate(bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))))
    assert np.array_equal(read(turned, LIMIT).picture.pixels, samples)
    assert np.array_equal(imagecodecs.tiff_decode(turned), samples[:, :, 0])
