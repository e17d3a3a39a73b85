"""PNG files come back byte for byte where the writer's choices can be found out."""

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from densezip.codec.errors import DensezipError
from densezip.codec.images.imagefile import read
from densezip.codec.images.picture import Picture
from densezip.codec.images.png import png
from PIL import Image
from samples import MODES, array, file_of, picture, raw_png

LIMIT = 2**22
HEIGHT, WIDTH = 61, 83


def check(data: bytes, *, exact: bool, most: int | None = None) -> bytes:
    """The remainder of a file, after everything that is promised of it was checked."""
    found = read(data, LIMIT).picture
    taken = png.split(data, found)
    assert taken is not None
    assert taken.exact is exact
    pixels = Picture(found.pixels, found.mode, found.bits)
    again = png.join(pixels, taken.remainder)
    assert (again == data) is exact
    second = read(again, LIMIT).picture
    assert np.array_equal(second.pixels, found.pixels)
    assert second.chunks == found.chunks
    back = png.split(again, second)
    assert back is not None
    assert back.exact
    assert back.remainder == taken.remainder
    assert most is None or len(taken.remainder) <= most, len(taken.remainder)
    return taken.remainder


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, *({"compress_level": level} for level in range(10))], ids=str
)
def test_what_pillow_writes_comes_back(mode: str, options: dict[str, Any]) -> None:
    data = file_of(picture(mode, HEIGHT, WIDTH), "PNG", **options)
    palette = 60 if mode == "P" else 0
    check(data, exact=True, most=24 + palette)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("level", [0, 1, 3, 6, 9])
def test_what_libpng_writes_comes_back(channels: int, kind: str, level: int) -> None:
    samples = array(channels, kind, HEIGHT, WIDTH)
    check(bytes(imagecodecs.png_encode(samples.squeeze(), level)), exact=True, most=36)


@pytest.mark.parametrize("strategy", range(5))
@pytest.mark.parametrize("filters", ["NONE", "SUB", "UP", "AVG", "PAETH", "ALL"])
def test_every_strategy_and_filter_of_libpng_comes_back(strategy: int, filters: str) -> None:
    samples = array(3, "u1", HEIGHT, WIDTH)
    chosen = imagecodecs.PNG.FILTER[filters if filters != "NONE" else "NO"] if filters == "NONE" else None
    options = {"filter": chosen} if chosen is not None else {"filter": imagecodecs.PNG.FILTER[filters]}
    data = bytes(imagecodecs.png_encode(samples, 6, strategy=imagecodecs.PNG.STRATEGY(strategy), **options))
    check(data, exact=True, most=36)


def filtered(samples: Any, kinds: Any) -> bytes:
    """The rows of 8-bit samples [H, W, C], filtered one by one as the standard says."""
    rows = samples.reshape(len(samples), -1).astype(int)
    step, out = samples.shape[2], b""
    for y, row in enumerate(rows):
        up = rows[y - 1] if y else np.zeros_like(row)
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], up[:-step]
        guess = left + up - corner
        a, b, c = abs(guess - left), abs(guess - up), abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
        values = row - (np.zeros_like(row), left, up, (left + up) // 2, paeth)[kinds[y]]
        out += bytes([kinds[y]]) + (values % 256).astype("u1").tobytes()
    return out


def one_png(rows: bytes, colour: int, height: int = HEIGHT, width: int = WIDTH, **options: Any) -> bytes:
    data: bytes = raw_png(width, height, 8, colour, rows, **options)
    return data


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_filters_by_no_rule_come_back(channels: int, seed: int) -> None:
    samples = array(channels, "u1", HEIGHT, WIDTH)
    kinds = np.random.default_rng(seed).integers(0, 5, HEIGHT)
    check(one_png(filtered(samples, kinds), {1: 0, 2: 4, 3: 2, 4: 6}[channels]), exact=True, most=24 + HEIGHT)


@pytest.mark.parametrize("kind", range(5))
def test_one_filter_with_an_exception_comes_back(kind: int) -> None:
    kinds = np.full(HEIGHT, kind)
    kinds[[0, 7]] = (kind + 1) % 5, (kind + 2) % 5
    check(one_png(filtered(array(3, "u1", HEIGHT, WIDTH), kinds), 2), exact=True, most=24)


def cut(data: bytes, sizes: list[int]) -> bytes:
    """The file with the bytes of its pixels in chunks of these sizes, and the rest in one."""
    stream, start = idat(data)
    parts, at = [], 0
    for size in [*sizes, len(stream)]:
        parts.append(stream[at : at + size])
        at += size
    return data[:start] + b"".join(png.chunk_bytes(b"IDAT", part) for part in parts) + png.chunk_bytes(b"IEND", b"")


def idat(data: bytes) -> tuple[bytes, int]:
    start = data.index(b"IDAT") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    return data[start + 8 : start + 8 + length], start


@pytest.mark.parametrize(
    ("sizes", "most"), [([], 24), ([500] * 20, 24), ([1] * 700, 40), ([0, 0, 5, 0, 100], 40), ([3, 300, 2], 40)]
)
def test_chunks_of_any_size_come_back(sizes: list[int], most: int) -> None:
    check(cut(file_of(picture("RGB", HEIGHT, WIDTH), "PNG"), sizes), exact=True, most=most)


def test_bytes_behind_the_deflated_pixels_come_back() -> None:
    stream, start = idat(file_of(picture("RGB", HEIGHT, WIDTH), "PNG"))
    head = file_of(picture("RGB", HEIGHT, WIDTH), "PNG")[:start]
    data = head + png.chunk_bytes(b"IDAT", stream + b"slack") + png.chunk_bytes(b"IEND", b"")
    assert b"slack" in check(data, exact=True, most=32)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_interlaced_files_come_back(mode: str) -> None:
    image = picture(mode, HEIGHT, WIDTH)
    samples = np.asarray(image).astype("u1").reshape(HEIGHT, WIDTH, -1)
    rows = b""
    for top, left, down, right in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        part = samples[top::down, left::right]
        if mode == "1":
            packed = np.packbits(part[:, :, 0], axis=1)
            rows += b"".join(b"\0" + row.tobytes() for row in packed)
        else:
            rows += filtered(part, np.full(len(part), 0 if mode == "P" else 4))
    colour, depth = {"L": (0, 8), "RGB": (2, 8), "P": (3, 8), "1": (0, 1)}[mode]
    chunks = ((b"PLTE", bytes(768)),) if mode == "P" else ()
    check(raw_png(WIDTH, HEIGHT, depth, colour, rows, chunks, interlace=1), exact=True)


def test_bits_behind_the_last_pixel_of_a_row_are_pixels_of_no_one() -> None:
    rows = b"".join(b"\0" + bytes([0b10110101, 0b11100101]) for _ in range(4))
    check(raw_png(11, 4, 1, 0, rows), exact=False, most=1)
    clean = b"".join(b"\0" + bytes([0b10110101, 0b11100000]) for _ in range(4))
    check(raw_png(11, 4, 1, 0, clean), exact=True)


def test_an_unknown_coder_gives_the_same_pixels() -> None:
    rows = filtered(array(3, "u1", 300, 300), np.full(300, 1))
    stream = bytes(imagecodecs.deflate_encode(rows, 12))
    header = one_png(b"", 2, 300, 300)
    start = header.index(b"IDAT") - 4
    check(header[:start] + png.chunk_bytes(b"IDAT", stream) + png.chunk_bytes(b"IEND", b""), exact=False, most=1)


@pytest.mark.parametrize("mode", MODES)
def test_what_we_write_ourselves_needs_no_word(mode: str) -> None:
    image = picture(mode, HEIGHT, WIDTH)
    found = read(file_of(image, "PNG"), LIMIT).picture
    plain = Picture(found.pixels, found.mode, found.bits)
    taken = png.split(file_of(image, "PNG"), found)
    assert taken is not None
    # The choices of the writer are the last part of a remainder: without them it is that of a file of ours.
    ours = png.join(plain, bytes([taken.remainder[0] & 0x5F]) if mode != "P" else _without_choices(taken.remainder))
    check(ours, exact=True, most=1 if mode != "P" else 60)


def _without_choices(remainder: bytes) -> bytes:
    palette = remainder.index(b"PLTE")
    return bytes([remainder[0] & 0x7F]) + remainder[1 : palette + 5 + 3 * 11] + b"\0"


def test_rows_that_do_not_fill_the_picture_are_refused_by_the_reader_or_not_exact() -> None:
    rows = filtered(array(1, "u1", HEIGHT, WIDTH), np.zeros(HEIGHT, int))
    data = one_png(rows + b"more than rows", 0)
    check(data, exact=False)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_choices_are_a_named_error_or_a_png_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = ({}, {"optimize": True}, {"compress_level": 1})[seed % 3]
    data = cut(file_of(picture("RGB", HEIGHT, WIDTH), "PNG", **options), [0, 7, 7] if seed > 2 else [])
    found = read(data, LIMIT).picture
    taken = png.split(data, found)
    assert taken is not None
    for _ in range(200):
        damaged = bytearray(taken.remainder)
        for _ in range(int(rng.integers(1, 3))):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            made = png.join(found, bytes(damaged[: rng.integers(len(damaged) + 1)]))
        except DensezipError:
            continue
        assert made.startswith(png.SIGNATURE)


def test_the_rest_of_the_file_costs_what_it_holds() -> None:
    image = picture("RGB", HEIGHT, WIDTH)
    exif = Image.Exif()
    exif[271] = "a camera"
    plain, more = file_of(image, "PNG"), file_of(image, "PNG", exif=exif)
    assert len(check(more, exact=True)) - len(check(plain, exact=True)) <= len(more) - len(plain)
    assert struct.pack(">I", zlib.crc32(b"IEND")) in more
