"""PNG files: what stands around the pixels comes back byte for byte."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import DensezipError, UnreadableImageError
from densezip.codec.images.imagefile import read
from densezip.codec.images.picture import Picture, from_pil, to_image
from densezip.codec.images.png import png
from densezip.codec.images.strip import strip
from PIL import Image
from samples import MODES, array, file_of, picture, png16, png_of, raw_png

LIMIT = 2**20
Chunks = tuple[tuple[bytes, bytes], ...]
GREY_ROWS = b"".join(b"\0" + bytes(range(row, row + 9)) for row in range(7))
MALFORMED: dict[str, tuple[bytes, bytes]] = {
    "a gamma of no bytes": (b"gAMA", b""),
    "chromaticities cut short": (b"cHRM", bytes(31)),
    "a resolution cut short": (b"pHYs", bytes(5)),
    "a profile of an unknown compression": (b"iCCP", b"name\0\7rest"),
    "a profile without a name": (b"iCCP", b"name"),
    "a profile that does not inflate": (b"iCCP", b"name\0\0rest"),
    "a colour key of 3 bytes": (b"tRNS", b"\0\1\2"),
    "text without a keyword": (b"tEXt", b"words"),
    "an empty private chunk": (b"prIv", b""),
    "an empty suggestion of a palette": (b"PLTE", b""),
}


def grey(before: Chunks = (), after: Chunks = ()) -> bytes:
    data: bytes = raw_png(9, 7, 8, 0, GREY_ROWS, before, after=after)
    return data


def split(data: bytes) -> tuple[Picture, bytes]:
    found = read(data, LIMIT).picture
    taken = png.split(data, found)
    assert taken is not None
    # What the joiner gets holds no chunks.
    return Picture(found.pixels, found.mode, found.bits), taken.remainder


def outside(data: bytes) -> tuple[list[bytes], bytes]:
    """Every chunk as it stands, one mark for all of IDAT, and what follows IEND."""
    parts: list[bytes] = []
    position = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        whole = data[position : position + 12 + length]
        position += len(whole)
        if kind != b"IDAT" or parts[-1] != b"IDAT":
            parts.append(b"IDAT" if kind == b"IDAT" else whole)
        if kind == b"IEND":
            return parts, data[position:]


def check_around_pixels(data: bytes) -> bytes:
    image, remainder = split(data)
    again = png.join(image, remainder)
    assert outside(again) == outside(data)
    found = read(again, LIMIT).picture
    assert (found.mode, found.bits) == (image.mode, image.bits)
    assert np.array_equal(found.pixels, image.pixels)
    assert split(again)[1] == remainder
    assert png.parse(png.skeleton(remainder)).chunks == png.parse(data).chunks
    return remainder


@pytest.mark.parametrize("mode", MODES)
def test_a_file_of_every_mode_comes_apart_and_together(mode: str) -> None:
    check_around_pixels(png_of(mode))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_16_bit_file_comes_apart_and_together(channels: int) -> None:
    assert len(check_around_pixels(png16(array(channels, "u2")))) <= 40


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (1, 3), (2, 3), (4, 3), (8, 3), (8, 6)])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (13, 9)])
@pytest.mark.parametrize("interlace", [0, 1])
def test_every_depth_and_size_comes_apart_and_together(
    depth: int, colour: int, width: int, height: int, interlace: int
) -> None:
    rng = np.random.default_rng(depth)
    bits = depth * (4 if colour == 6 else 1)
    rows = b""
    for top, left, down, right in png_passes(interlace):
        if left < width:
            for _ in range(top, height, down):
                rows += (
                    b"\0"
                    + rng.bytes(len(range(left, width, right)) * bits // 8 + 1)[
                        : -(-len(range(left, width, right)) * bits // 8)
                    ]
                )
    chunks: Chunks = ((b"PLTE", rng.bytes(3 * 2**depth)),) if colour == 3 else ()
    check_around_pixels(raw_png(width, height, depth, colour, rows, chunks, interlace=interlace))


def png_passes(interlace: int) -> tuple[tuple[int, int, int, int], ...]:
    adam7 = (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
    return adam7 if interlace else ((0, 0, 1, 1),)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_chunk_that_no_pixel_needs_is_kept_as_it_is(name: str) -> None:
    chunk = MALFORMED[name]
    data = grey((chunk, (b"tEXt", b"Title\0kept")), (chunk,))
    assert chunk[1] in check_around_pixels(data)
    image = to_image(read(data, LIMIT).picture)
    assert isinstance(image, Image.Image)
    assert image.info == {"Title": "kept"}


@pytest.mark.parametrize("name", ["zTXt", "iCCP"])
def test_a_chunk_that_inflates_to_more_than_a_mebibyte_is_kept(name: str) -> None:
    body = b"word\0\0" + zlib.compress(bytes(2**20 + 1))
    data = grey(((name.encode(), body), (b"tEXt", b"Title\0kept")))
    assert body in check_around_pixels(data)
    image = to_image(read(data, LIMIT).picture)
    assert isinstance(image, Image.Image)
    assert image.info["Title"] == "kept"
    assert len(image.info.get("icc_profile", b"")) == (2**20 + 1 if name == "iCCP" else 0)


def test_a_wrong_crc_is_kept_where_no_pixel_needs_the_chunk() -> None:
    data = bytearray(grey(((b"tEXt", b"Title\0wrong"), (b"gAMA", bytes(4)))))
    data[data.index(b"wrong")] ^= 1
    check_around_pixels(bytes(data))
    assert [name for name, _ in read(bytes(data), LIMIT).picture.chunks] == ["gAMA"]


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_a_wrong_crc_of_a_critical_chunk_is_refused(kind: bytes) -> None:
    data = bytearray(raw_png(2, 1, 8, 3, b"\0\0\0", ((b"PLTE", bytes(6)),)))
    data[data.index(kind) - 4 + 8 + int.from_bytes(data[data.index(kind) - 4 : data.index(kind)], "big")] ^= 1
    with pytest.raises(UnreadableImageError, match=f"wrong CRC in chunk {kind.decode()}"):
        read(bytes(data), LIMIT)


@pytest.mark.parametrize("behind", [b"\0", b"junk" * 1000, png_of("L")])
def test_bytes_behind_the_end_are_kept(behind: bytes) -> None:
    image, remainder = split(grey() + behind)
    assert png.join(image, remainder).endswith(behind)
    check_around_pixels(grey() + behind)


def test_an_end_with_something_in_it_is_kept() -> None:
    body = b"odd"
    end = struct.pack(">I", len(body)) + b"IEND" + body + struct.pack(">I", zlib.crc32(b"IEND" + body))
    check_around_pixels(grey()[:-12] + end)


PALETTES: dict[str, Chunks] = {
    "no palette": (),
    "empty": ((b"PLTE", b""),),
    "not a multiple of 3": ((b"PLTE", bytes(7)),),
    "of 257 entries": ((b"PLTE", bytes(771)),),
    "second palette": ((b"PLTE", bytes(6)), (b"PLTE", bytes(6))),
}


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnreadableImageError, match="palette"):
        read(raw_png(2, 1, 8, 3, b"\0\0\0", PALETTES[name]), LIMIT)


def test_a_palette_behind_the_pixels_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match=r"no palette|behind"):
        read(raw_png(2, 1, 8, 3, b"\0\0\0", after=((b"PLTE", bytes(6)),)), LIMIT)


def test_an_animation_is_not_taken_apart() -> None:
    frames = [picture("RGB", seed=seed) for seed in range(2)]
    data = file_of(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert png.split(data, from_pil(frames[0])) is None


def test_pixels_with_something_between_them_are_not_taken_apart() -> None:
    stream = zlib.compress(GREY_ROWS)
    data = grey()
    start = data.index(b"IDAT") - 4
    chunks = [
        png.chunk_bytes(b"IDAT", stream[:9]),
        png.chunk_bytes(b"tEXt", b"a\0b"),
        png.chunk_bytes(b"IDAT", stream[9:]),
    ]
    odd = data[:start] + b"".join(chunks) + png.chunk_bytes(b"IEND", b"")
    assert png.split(odd, read(data, LIMIT).picture) is None


def test_another_picture_than_the_files_is_not_taken_for_it() -> None:
    assert png.split(png_of("RGB"), from_pil(picture("L"))) is None
    assert png.split(png_of("RGB"), from_pil(picture("RGB", 5, 6))) is None
    with pytest.raises(DensezipError, match="mode L"):
        png.join(from_pil(picture("L")), split(png_of("RGB"))[1])


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_remainder_is_a_named_error_or_a_png_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, remainder = split(grey(((b"tEXt", b"Title\0kept"),), ((b"tIME", bytes(7)),)) + b"behind")
    for _ in range(200):
        damaged = bytearray(remainder)
        for _ in range(int(rng.integers(1, 4))):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        for work in (lambda part: png.join(image, part), png.skeleton):
            try:
                assert work(bytes(damaged[: rng.integers(len(damaged) + 1)])).startswith(png.SIGNATURE)
            except DensezipError:
                continue


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "I;16", "P", "LA"])
@pytest.mark.parametrize("left_over", [7, 300, (1, 2, 3), b"\1\2\3\4", b""])
def test_a_transparency_left_from_another_mode_makes_no_illegal_file(mode: str, left_over: Any) -> None:
    image = picture(mode)
    image.info["transparency"] = left_over
    try:
        found = from_pil(image)
    except DensezipError:
        return
    data = png.write(found.pixels, found.mode, found.bits, (*found.chunks, ("tRNS", b"\1")))
    with Image.open(BytesIO(data)) as again:
        again.load()
    assert mode == "P" or all(
        len(body) == 2 * found.pixels.shape[2] for name, body in png.parse(data).chunks if name == "tRNS"
    )


def exif(orientation: int, order: str = ">") -> bytes:
    entries = [(271, 2, 4, b"me\0\0"), (274, 3, 1, struct.pack(order + "HH", orientation, 0))]
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_strip_keeps_what_changes_the_look_and_nothing_else(orientation: int, order: str) -> None:
    look = ((b"gAMA", bytes(4)), (b"cHRM", bytes(32)), (b"sRGB", b"\0"), (b"cICP", bytes(4)), (b"tRNS", bytes(2)))
    rest = ((b"tEXt", b"a\0b"), (b"pHYs", bytes(9)), (b"prIv", b"x"), (b"eXIf", exif(orientation, order)))
    data = grey(look + rest, ((b"tIME", bytes(7)),)) + b"behind"
    found = strip(data, "PNG", look=True)
    assert found is not None
    kept = dict(png.parse(found).chunks)
    turned = kept.pop("eXIf", b"")
    assert list(kept) == [name.decode() for name, _ in look]
    assert b"behind" not in found
    assert b"me" not in turned
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + turned if turned else b"")
    assert tags.get(274) == (orientation if 2 <= orientation <= 8 else None)
    assert np.array_equal(read(found, LIMIT).picture.pixels, read(data, LIMIT).picture.pixels)
    bare = strip(data, "PNG")
    assert bare is not None
    assert [name for name, _ in png.parse(bare).chunks] == ["tRNS"]


@pytest.mark.parametrize("body", [b"", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"nonsense"])
def test_strip_drops_exif_that_it_cannot_read(body: bytes) -> None:
    found = strip(grey(((b"eXIf", body),)), "PNG")
    assert found is not None
    assert png.parse(found).chunks == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_16_bit_interlaced_file_is_read_in_silence(channels: int, capfd: pytest.CaptureFixture[str]) -> None:
    samples = array(channels, "u2", 11, 13)
    rows = b""
    for top, left, down, right in png_passes(1):
        for row in samples[top::down, left::right]:
            rows += b"\0" + row.astype(">u2").tobytes()
    data = raw_png(13, 11, 16, 0 if channels == 1 else 2, rows, interlace=1)
    assert np.array_equal(read(data, LIMIT).picture.pixels, samples)
    assert capfd.readouterr().err == ""
    check_around_pixels(data)


def test_a_filter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="filter of number 5"):
        read(raw_png(9, 7, 8, 0, GREY_ROWS[:20] + b"\5" + GREY_ROWS[21:]), LIMIT)


def test_pixels_that_end_too_early_are_refused() -> None:
    with pytest.raises(UnreadableImageError, match="69 of 70 bytes"):
        read(raw_png(9, 7, 8, 0, GREY_ROWS[:-1]), LIMIT)


def test_a_wrong_checksum_of_the_pixels_is_refused_in_whatever_chunk_it_stands() -> None:
    stream = zlib.compress(GREY_ROWS)
    start = grey().index(b"IDAT") - 4
    for sizes in ([len(stream)], [len(stream) - 2], [len(stream) - 4, 1, 1]):
        parts, at = [], 0
        wrong = stream[:-1] + bytes([stream[-1] ^ 1])
        for size in [*sizes, 4]:
            parts.append(png.chunk_bytes(b"IDAT", wrong[at : at + size]))
            at += size
        with pytest.raises(UnreadableImageError, match="incorrect data check"):
            read(grey()[:start] + b"".join(parts) + png.chunk_bytes(b"IEND", b""), LIMIT)
