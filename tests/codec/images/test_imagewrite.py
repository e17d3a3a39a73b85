"""Writing image files: all of the picture, or a refusal."""

from io import BytesIO

import numpy as np
import pytest
from densezip.codec.errors import OutputFormatError
from densezip.codec.images.imagefile import read
from densezip.codec.images.imagewrite import convert, write
from densezip.codec.images.picture import Picture, from_array, from_pil
from densezip.codec.images.png import png
from densezip.codec.images.png import write as pngwrite
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import MODES, array, file_of, picture

LIMIT = 2**20
SECRET = b"taken at home"
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + SECRET


def pictures() -> dict[str, Picture]:
    every = {mode: from_pil(picture(mode)) for mode in MODES}
    return every | {f"{channels} channels of 16 bits": from_array(array(channels, "u2")) for channels in (2, 3, 4)}


HELD = {
    "png": set(pictures()),
    "webp": {"RGB", "RGBA"},
    "tiff": {"1", "L", "LA", "RGB", "RGBA", "P", "I;16"} | {f"{n} channels of 16 bits" for n in (2, 3, 4)},
    "ppm": {"1", "L", "RGB", "I;16", "3 channels of 16 bits"},
    "bmp": {"1", "L", "RGB", "RGBA", "P"},
    "gif": {"L", "P"},
    "qoi": {"RGB", "RGBA"},
    "tga": {"L", "LA", "RGB", "RGBA", "P"},
    "jpg": set(),
}


@pytest.mark.parametrize("extension", HELD)
@pytest.mark.parametrize("name", pictures())
def test_a_format_holds_the_picture_or_is_refused(extension: str, name: str) -> None:
    wanted = pictures()[name]
    if name not in HELD[extension]:
        with pytest.raises(OutputFormatError):
            write(wanted, extension)
        return
    found = read(write(wanted, extension), LIMIT).picture
    assert found.mode == wanted.mode
    assert np.array_equal(found.pixels, wanted.pixels)
    palette = dict(wanted.chunks).get("PLTE", b"")
    assert dict(found.chunks).get("PLTE", b"").startswith(palette)


@pytest.mark.parametrize("extension", ["xyz", "", "jp2", "png.exe"])
def test_an_unknown_extension_is_refused(extension: str) -> None:
    with pytest.raises(OutputFormatError, match="no format is known"):
        write(from_pil(picture("L")), extension)


@pytest.mark.parametrize("extension", ["webp", "tiff", "bmp", "ppm"])
def test_a_colour_key_is_not_lost_silently(extension: str) -> None:
    keyed = Picture(array(3), "RGB", 8, (("tRNS", bytes(6)),))
    with pytest.raises(OutputFormatError, match="transparency"):
        write(keyed, extension)
    assert dict(read(write(keyed, "png"), LIMIT).picture.chunks) == dict(keyed.chunks)


@pytest.mark.parametrize("extension", ["png", "webp", "tiff"])
def test_metadata_goes_where_the_format_has_room(extension: str) -> None:
    image = picture("RGB")
    exif = Image.Exif()
    exif[0x010E] = "a hill"
    image.info = {"icc_profile": b"p" * 200, "exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>"}
    back = read(write(from_pil(image), extension), LIMIT).picture
    with Image.open(BytesIO(write(back, "png"))) as found:
        found.load()
        assert found.info["icc_profile"] == b"p" * 200
        assert found.getexif()[0x010E] == "a hill"
        assert found.info["xmp"] == b"<x:xmpmeta/>"


def described(mode: str) -> Picture:
    image = picture(mode)
    exif = Image.Exif()
    exif[274] = 6
    image.info = {"icc_profile": b"p" * 200, "exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>", "dpi": (300, 300)}
    plain = from_pil(image)
    return Picture(
        plain.pixels,
        plain.mode,
        plain.bits,
        (*plain.chunks, ("gAMA", bytes([0, 0, 177, 143])), ("tEXt", b"Author\0me")),
    )


LOST = {
    "png": (),
    "webp": ("resolution", "gamma", "text"),
    "bmp": ("ICC profile", "EXIF", "orientation", "XMP", "gamma", "text"),
    "qoi": ("ICC profile", "resolution", "EXIF", "orientation", "XMP", "gamma", "text"),
    "ppm": ("ICC profile", "resolution", "EXIF", "orientation", "XMP", "gamma", "text"),
    "tga": ("ICC profile", "resolution", "EXIF", "orientation", "XMP", "gamma", "text"),
}


@pytest.mark.parametrize("extension", LOST)
def test_what_a_format_does_not_hold_is_named(extension: str) -> None:
    assert set(convert(described("RGB"), extension).lost) == set(LOST[extension])
    assert convert(from_array(array(3)), extension).lost == ()


def test_tiff_holds_profile_exif_and_xmp() -> None:
    assert not {"ICC profile", "EXIF", "XMP", "orientation", "resolution"} & set(convert(described("RGB"), "tiff").lost)


def test_a_palette_is_not_named_and_every_other_chunk_is() -> None:
    assert set(convert(described("P"), "gif").lost) == set(LOST["qoi"])
    odd = Picture(array(3), "RGB", 8, (("vpAg", b"data"), ("tIME", bytes(7))))
    assert convert(odd, "bmp").lost == ("chunk vpAg", "time")
    with pytest.raises(OutputFormatError):
        convert(odd, "xyz")


@given(
    depth=st.sampled_from([1, 2, 4, 8]),
    width=st.integers(1, 40),
    height=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_png_of_any_depth_and_size_reads_back(depth: int, width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 2**depth, (height, width, 1), dtype=np.uint8)
    chunks = (("PLTE", rng.bytes(3 * 2**depth)), ("tRNS", rng.bytes(2**depth)))
    found = read(png.write(indices, "P", depth, chunks), LIMIT).picture
    assert np.array_equal(found.pixels, indices)
    assert found.chunks == chunks
    assert found.bits == depth


@given(channels=st.integers(1, 4), dtype=st.sampled_from(["u1", "u2"]), seed=st.integers(0, 2**32 - 1))
def test_png_of_noise_reads_back(channels: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2)
    top = np.iinfo(dtype).max + 1
    samples = rng.choice([0, 1, top // 2, top - 1], (height, width, channels)).astype(dtype)
    wanted = from_array(samples)
    assert np.array_equal(read(write(wanted, "png"), LIMIT).picture.pixels, samples)


def test_filters_make_png_about_as_small_as_pillow_does() -> None:
    image = picture("RGB", 200, 300)
    assert len(write(from_pil(image), "png")) <= 1.02 * len(file_of(image, "PNG"))


def test_png_filters_go_on_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(from_array(array(3, "u2")), "png")
    monkeypatch.setattr(pngwrite, "FILTER_BLOCK", 31 * 6 * 2)
    assert np.array_equal(read(write(from_array(array(3, "u2")), "png"), LIMIT).picture.pixels, array(3, "u2"))
    assert len(write(from_array(array(3, "u2")), "png")) <= len(whole) + 12 * 12


def test_alpha_in_a_bitmap_is_announced_by_its_header() -> None:
    wanted = from_array(array(4))
    data = write(wanted, "bmp")
    assert np.array_equal(read(data, LIMIT).picture.pixels, wanted.pixels)
    with Image.open(BytesIO(data)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image), wanted.pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_pam_holds_alpha(channels: int, dtype: str) -> None:
    wanted = from_array(array(channels, dtype))
    data = write(wanted, "pam")
    assert data.startswith(b"P7\n")
    back = read(data, LIMIT).picture
    assert (back.mode, back.bits) == (wanted.mode, wanted.bits)
    assert np.array_equal(back.pixels, wanted.pixels)
    with pytest.raises(OutputFormatError, match="PAM"):
        write(from_pil(picture("P")), "pam")
