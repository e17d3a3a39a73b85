"""Reading image files: exact, or refused with the reason."""

import contextlib
import struct
import warnings
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import InputError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.imagefile import read
from densezip.codec.images.picture import from_pil
from densezip.codec.images.png import png
from PIL import Image, ImageFile, PngImagePlugin
from samples import MODES, array, file_of, picture, png16, png_of, raw_png, tiff16

LIMIT = 2**20
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"


def pillow_samples(data: bytes) -> npt.NDArray[Any]:
    with Image.open(BytesIO(data)) as image:
        samples = np.asarray(image)
    return samples.astype("u1") if samples.dtype == bool else samples


WRITABLE = {
    "PNG": MODES,
    "TIFF": MODES,
    "BMP": ("1", "L", "RGB", "RGBA", "P"),
    "PPM": ("1", "L", "RGB", "I;16"),
    "WEBP": ("L", "LA", "RGB", "RGBA", "P"),
    "GIF": ("1", "L", "P"),
    "QOI": ("RGB", "RGBA"),
    "TGA": ("L", "LA", "RGB", "RGBA", "P"),
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in WRITABLE.items() for mode in modes])
def test_pixels_are_those_that_pillow_reads(kind: str, mode: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file_of(picture(mode), kind, **options)
    found = read(data, LIMIT)
    wanted = pillow_samples(data)
    # Pillow drops the fourth byte of a BMP file's pixels, which some writers keep an alpha channel in.
    colours = found.picture.pixels[:, :, :3] if (kind, mode) == ("BMP", "RGBA") else found.picture.pixels
    assert np.array_equal(colours.squeeze(), wanted)
    assert found.picture.mode == mode or kind in ("GIF", "WEBP")
    assert not found.lossy


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_keeps_every_bit(channels: int) -> None:
    samples = array(channels, "u2")
    found = read(png16(samples), LIMIT).picture
    assert found.pixels.dtype == np.uint16
    assert np.array_equal(found.pixels, samples)
    assert found.mode == {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]


def test_16_bit_rgb_png_with_a_colour_key_has_three_channels() -> None:
    samples = array(3, "u2", 5, 4)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    key = struct.pack(">3H", *samples[0, 0])
    found = read(raw_png(4, 5, 16, 2, rows, ((b"gAMA", struct.pack(">I", 45455)), (b"tRNS", key))), LIMIT).picture
    assert np.array_equal(found.pixels, samples)
    assert ("tRNS", key) in found.chunks


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff_keeps_every_bit(order: str, channels: int) -> None:
    samples = array(channels, "u2")
    options = {"photometric": "rgb"} if channels > 1 else {}
    if channels == 4:
        options["extrasample"] = "unassalpha"
    data = tiff16(samples, byteorder=order, **options)
    assert data.startswith(b"II" if order == "<" else b"MM")
    assert np.array_equal(read(data, LIMIT).picture.pixels, samples)


def test_a_16_bit_image_that_pillow_has_opened_as_8_bit_is_refused() -> None:
    with Image.open(BytesIO(png16(array(3, "u2")))) as image:
        assert image.mode == "RGB"
        with pytest.raises(UnsupportedImageError, match="16-bit"):
            from_pil(image)


@pytest.mark.parametrize(
    ("depth", "colour", "mode"), [(1, 0, "1"), (2, 0, "L"), (4, 0, "L"), (1, 3, "P"), (2, 3, "P"), (4, 3, "P")]
)
def test_depths_below_8_are_read_and_written_back(depth: int, colour: int, mode: str) -> None:
    rng = np.random.default_rng(depth)
    rows = b"".join(b"\0" + rng.bytes((13 * depth + 7) // 8) for _ in range(9))
    chunks: tuple[tuple[bytes, bytes], ...] = ((b"PLTE", rng.bytes(3 * 2**depth)),) if colour == 3 else ()
    data = raw_png(13, 9, depth, colour, rows, chunks)
    found = read(data, LIMIT).picture
    assert (found.mode, found.bits) == (mode, depth)
    assert np.array_equal(found.pixels[:, :, 0], pillow_samples(data))
    again = png.write(found.pixels, found.mode, found.bits, found.chunks)
    assert png.parse(again).depth == depth
    assert np.array_equal(read(again, LIMIT).picture.pixels, found.pixels)


def test_interlaced_png_is_read() -> None:
    passes = (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)  # Adam7
    samples = array(1, "u1", 9, 9)[:, :, 0]
    rows = b""
    for top, left, down, right in passes:
        for row in samples[top::down, left::right]:
            rows += b"\0" + row.tobytes()
    found = read(raw_png(9, 9, 8, 0, rows, interlace=1), LIMIT).picture
    assert np.array_equal(found.pixels[:, :, 0], samples)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_does_not_turn_pixels(orientation: int, kind: str) -> None:
    image = picture("RGB")
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found = read(file_of(image, kind, exif=exif, **options), LIMIT)
    assert found.picture.pixels.shape == (23, 31, 3)
    difference = np.abs(found.picture.pixels.astype(int) - np.asarray(image)).max()
    assert difference <= (3 if kind == "JPEG" else 0)
    kept = Image.Exif()
    kept.load(b"Exif\0\0" + dict(found.picture.chunks)["eXIf"])
    assert kept[274] == orientation


def tiff_16(samples: npt.NDArray[Any], order: str, orientation: int, photometric: int = 1) -> bytes:
    """A TIFF file of one strip, laid out by hand."""
    height, width, channels = samples.shape
    fields = [
        (256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
        (274, 3, orientation), (277, 3, channels), (278, 3, height), (279, 4, samples.nbytes),
    ]  # fmt: skip
    assert channels == 1
    directory = struct.pack(order + "H", len(fields))
    for tag, kind, value in fields:
        directory += struct.pack(order + ("HHIHxx" if kind == 3 else "HHII"), tag, kind, 1, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + samples.nbytes)
    return head + samples.astype(order + "u2").tobytes() + directory + bytes(4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_oriented_16_bit_tiff_is_not_turned(order: str, orientation: int) -> None:
    samples = array(1, "u2")
    assert np.array_equal(read(tiff_16(samples, order, orientation), LIMIT).picture.pixels, samples)


def test_a_16_bit_tiff_in_which_0_is_white_is_turned_about() -> None:
    samples = array(1, "u2")
    found = read(tiff_16(65535 - samples, "<", 1, photometric=0), LIMIT).picture
    assert np.array_equal(found.pixels, samples)


def animation(kind: str) -> Any:
    frames = [picture("RGB", seed=seed) for seed in range(3)]
    return file_of(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_animations_and_pages_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedImageError, match=r"animat|frames|pages"):
        read(animation(kind), LIMIT)


def tiff(mode: str) -> Any:
    return file_of(Image.new(mode, (5, 4)), "TIFF")


REFUSED = {
    "CMYK TIFF": (tiff("CMYK"), "colour space 5"),
    "LAB TIFF": (tiff("LAB"), "colour space 8"),
    "float TIFF": (tiff("F"), "bits per sample"),
    "signed TIFF": (tiff("I"), "bits per sample"),
    "CMYK JPEG": (file_of(Image.new("CMYK", (5, 4)), "JPEG"), "CMYK"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "JPEG 2000"),
    "JPEG XL": (b"\xff\x0a" + bytes(20), "JPEG XL"),
    "AVIF": (b"\0\0\0\x20ftypavif" + bytes(20), "AVIF"),
    "premultiplied TIFF": (
        tiff16(array(4), photometric="rgb", extrasample="assocalpha"),
        "premultiplied",
    ),
    "padded TIFF": (tiff16(array(4), photometric="rgb", extrasample="unspecified"), "extra"),
    "float32 TIFF": (tiff16(array(1)[:, :, 0].astype("f4")), "bits per sample"),
    "int16 TIFF": (tiff16(array(1)[:, :, 0].astype("i2")), "signed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_exactly_is_refused_with_the_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(UnsupportedImageError, match=reason):
        read(data, LIMIT)


@pytest.mark.parametrize("mode", ["CMYK", "F", "I", "LAB", "HSV", "YCbCr", "La", "RGBa", "RGBX", "PA"])
def test_pil_modes_that_are_not_coded_are_refused(mode: str) -> None:
    with pytest.raises(UnsupportedImageError, match=mode):
        from_pil(Image.new(mode, (3, 2)))


WHOLE = {
    "PNG": png_of("RGB"),
    "PNG 16": png16(array(3, "u2")),
    "JPEG": file_of(picture("RGB"), "JPEG"),
    "TIFF": file_of(picture("RGB"), "TIFF"),
    "TIFF 16": tiff16(array(3, "u2"), photometric="rgb"),
    "WebP": file_of(picture("RGB"), "WEBP", lossless=True),
    "BMP": file_of(picture("RGB"), "BMP"),
    "GIF": file_of(picture("P"), "GIF"),
    "PNM": file_of(picture("RGB"), "PPM"),
    "QOI": file_of(picture("RGB"), "QOI"),
    "TGA": file_of(picture("RGB"), "TGA"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_is_an_error_or_whole(kind: str) -> None:
    data = WHOLE[kind]
    whole = read(data, LIMIT).picture
    for length in {*range(0, len(data), 1 + len(data) // 150), *range(max(0, len(data) - 30), len(data))}:
        try:
            found = read(data[:length], LIMIT).picture
        except InputError:
            continue
        # Only what stands behind the last pixel may be missing.
        assert np.array_equal(found.pixels, whole.pixels), length


@pytest.mark.parametrize("kind", WHOLE)
def test_an_embedding_program_that_allows_truncated_images_does_not_reach_us(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = WHOLE[kind]
    with pytest.raises(UnreadableImageError):
        read(data[: len(data) * 2 // 3], LIMIT)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", WHOLE)
def test_a_damaged_file_is_a_named_error_or_an_image(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(WHOLE[kind])
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(InputError, LimitError):
            read(bytes(data), LIMIT)


@pytest.mark.parametrize("kind", WHOLE)
def test_the_limit_is_applied_to_the_header(kind: str) -> None:
    with pytest.raises(LimitError, match="31x23 is 713 pixels; the limit is 712"):
        read(WHOLE[kind], 712)


@pytest.mark.parametrize(
    "data",
    [
        raw_png(2**30, 2**30, 8, 2, b""),
        raw_png(60000, 60000, 1, 0, b""),
        b"P6 100000 100000 255\n",
        b"P5 100000 100000 65535\n",
        b"qoif" + struct.pack(">II", 2**30, 2**30) + b"\3\0" + bytes(8),
        b"GIF89a"
        + struct.pack("<HH", 65535, 65535)
        + b"\0\0\0,\0\0\0\0"
        + struct.pack("<HH", 65535, 65535)
        + b"\0\2\0;",
    ],
)
def test_decompression_bombs_meet_the_limit_and_no_warning(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LimitError):
            read(data, 2**28)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"hello, this is text", bytes(100), b"P6", b"P6 1", b"RIFF\0\0\0\0WEBP", b"BM", b"GIF89a"]
)
def test_what_is_no_image_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        read(data, LIMIT)


def test_png_chunks_are_kept_byte_for_byte_and_in_order() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    text.add_itxt("Title", "Über", lang="de", tkey="Titel")
    text.add_text("Comment", "c" * 200, zip=True)
    data = png_of("RGB", pnginfo=text, dpi=(300, 300), icc_profile=b"profile" * 20, exif=EXIF)
    kept = read(data, LIMIT).picture.chunks
    assert [name for name, _ in kept] == ["iCCP", "tEXt", "iTXt", "zTXt", "pHYs", "eXIf"]
    again = png.write(read(data, LIMIT).picture.pixels, "RGB", 8, kept)
    assert png.parse(again).chunks == kept


def test_chunks_after_the_pixels_are_kept() -> None:
    data = raw_png(1, 1, 8, 0, b"\0\7", after=((b"tEXt", b"Late\0yes"),))
    assert read(data, LIMIT).picture.chunks == (("tEXt", b"Late\0yes"),)


def test_lossy_files_are_known_as_such() -> None:
    assert read(file_of(picture("RGB"), "JPEG"), LIMIT).lossy
    assert read(file_of(picture("RGB"), "WEBP", quality=80), LIMIT).lossy
    assert read(file_of(picture("RGBA"), "WEBP", quality=80), LIMIT).lossy
    assert not read(file_of(picture("RGBA"), "WEBP", lossless=True, exif=EXIF), LIMIT).lossy


def test_warnings_of_libraries_reach_nobody_and_change_nothing(recwarn: pytest.WarningsRecorder) -> None:
    exif = Image.Exif()
    exif.update({0x010E: "a hill in the morning", 0x0112: 6})
    data = file_of(picture("RGB"), "JPEG", exif=exif)
    damaged = data.replace(b"\x00\x02\x01\x0e", b"\x00\x09\x01\x0e").replace(b"\x02\x00\x0e\x01", b"\x09\x00\x0e\x01")
    assert damaged != data
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with Image.open(BytesIO(damaged)) as image:
            image.getexif().items()
    assert len(recwarn) > 0
    recwarn.clear()
    filters = warnings.filters[:]
    for action in ("error", "always"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            assert read(damaged, LIMIT).format == "JPEG"
    assert len(recwarn) == 0
    assert warnings.filters[:] == filters
