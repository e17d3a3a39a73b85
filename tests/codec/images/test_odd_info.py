"""Whatever stands in the `info` of a PIL image, and whatever its palette is: kept, or left out; never a crash."""

from fractions import Fraction
from io import BytesIO
from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.errors import UnsupportedImageError
from densezip.codec.images.info import chunks_of_info
from densezip.codec.images.picture import Picture, check_palette
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImagePalette
from PIL.TiffImagePlugin import IFDRational
from samples import picture

NAMES = (
    "transparency",
    "icc_profile",
    "gamma",
    "srgb",
    "chromaticity",
    "dpi",
    "exif",
    "xmp",
    "XML:com.adobe.xmp",
    "comment",
    "Author",
    "nul\0key",
    "\ud800",
    "日本",
    3,
    None,
)
ODD: list[Any] = [
    None,
    True,
    -1,
    7,
    256,
    2**40,
    10**400,
    0.45455,
    float("nan"),
    float("inf"),
    -0.5,
    1e300,
    "text",
    "日本",
    "\ud800",
    "a\0b",
    "",
    b"bytes",
    b"",
    bytearray(b"array"),
    memoryview(b"view"),
    (),
    (1, 2),
    (300, 300),
    (0, 0),
    ("300", "300"),
    (float("nan"), 72),
    (IFDRational(1, 0), IFDRational(72, 1)),
    (Fraction(72), Fraction(72)),
    (1, 2, 3),
    ("1", 2, 3),
    (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    (0.3, None, 0.6, 0.3, 0.3, 0.6, 0.1, 0.1),
    (-1.0,) * 8,
    [1, 2, 3],
    [],
    {"a": 1},
    np.int64(5),
    np.float32(0.5),
    object(),
]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_any_value_of_any_entry_is_kept_or_left_out(mode: str) -> None:
    seen = set()
    for name in NAMES:
        for value in ODD:
            image = picture(mode, 3, 4)
            image.info[name] = value
            try:
                chunks = chunks_of_info(image)
            except UnsupportedImageError:
                assert name == "transparency"
                continue
            if chunks in seen:
                continue
            seen.add(chunks)
            data = densezip.compress(image)
            found = densezip.decompress(data)
            assert isinstance(found, Image.Image)
            assert found.tobytes() == image.tobytes(), (name, value)
            with Image.open(BytesIO(densezip.export(data)[0])) as exported:
                assert exported.size == (4, 3)


@settings(max_examples=200, deadline=None)
@given(
    mode=st.sampled_from(["L", "RGB", "P"]),
    info=st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=90),
        st.sampled_from(ODD)
        | st.text()
        | st.binary(max_size=300)
        | st.floats()
        | st.integers()
        | st.lists(st.floats()),
        max_size=4,
    ),
)
def test_entries_together_make_chunks_that_a_file_can_hold(mode: str, info: dict[Any, Any]) -> None:
    image = picture(mode, 3, 4)
    image.info.update(info)
    try:
        chunks = chunks_of_info(image)
    except UnsupportedImageError:
        assert "transparency" in info
        return
    for name, body in chunks:
        assert len(name) == 4
        assert isinstance(body, bytes)


def test_what_makes_sense_is_kept() -> None:
    image = picture("RGB", 3, 4)
    image.info = {
        "gamma": np.float32(0.5),
        "srgb": 1,
        "dpi": (Fraction(72), IFDRational(72, 1)),
        "icc_profile": bytearray(b"profile"),
        "transparency": [1, np.int64(2), 3],
        "chromaticity": (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    }
    assert {name for name, _ in chunks_of_info(image)} == {"gAMA", "sRGB", "pHYs", "iCCP", "tRNS", "cHRM"}
    found = densezip.decompress(densezip.compress(image))
    assert isinstance(found, Image.Image)
    assert (found.info["icc_profile"], found.info["gamma"]) == (b"profile", 0.5)


def test_a_transparency_left_from_a_palette_makes_a_png_that_opens() -> None:
    image = picture("RGB")
    image.info["transparency"] = 7
    with Image.open(BytesIO(densezip.export(densezip.compress(image))[0])) as found:
        assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize("entries", [b"", b"\1\2", b"\1\2\3\4", bytes(range(47)), bytes(768)])
@pytest.mark.parametrize("raw", [False, True])
def test_a_palette_of_any_length_gives_a_file_that_opens(entries: bytes, raw: bool) -> None:
    image = Image.new("P", (5, 4), 2)
    image.palette = ImagePalette.raw("RGB", entries) if raw else ImagePalette.ImagePalette("RGB", list(entries))
    data = densezip.compress(image)
    assert densezip.info(data).mode == "P"
    found = densezip.decompress(data)
    assert isinstance(found, Image.Image)
    assert found.tobytes() == image.tobytes()


def test_an_image_without_a_palette_comes_back() -> None:
    image = Image.new("P", (5, 4), 2)
    image.palette = None
    found = densezip.decompress(densezip.compress(image))
    assert isinstance(found, Image.Image)
    assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [0, 2, 47, 769, 771])
def test_a_palette_that_no_file_can_hold_is_refused(size: int) -> None:
    with pytest.raises(densezip.InputError, match=f"a palette of {size} bytes"):
        check_palette(Picture(np.zeros((1, 1, 1), np.uint8), "P", 8, (("PLTE", bytes(size)),)))


@pytest.mark.parametrize(
    ("mode", "value"), [("P", 256), ("P", -1), ("P", bytes(257)), ("L", 2**16), ("RGB", (0, 0, -1)), ("I;16", 10**9)]
)
def test_a_transparency_out_of_range_is_refused_with_its_number(mode: str, value: Any) -> None:
    image = picture(mode, 3, 4)
    image.info["transparency"] = value
    with pytest.raises(UnsupportedImageError, match="a transparency of"):
        densezip.compress(image)


@pytest.mark.parametrize("value", [200, bytes(range(256)), b"\0\1"])
def test_a_transparency_of_colours_that_the_palette_leaves_out_is_kept(value: Any) -> None:
    image = picture("P", 3, 4)
    image.info["transparency"] = value
    found = densezip.decompress(densezip.compress(image))
    assert isinstance(found, Image.Image)
    assert found.info["transparency"] == value
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def reopened(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


def test_what_pillow_has_of_a_file_is_kept_or_named() -> None:
    exif = Image.Exif()
    exif[270] = "a hill"
    exif.get_ifd(34665)[33434] = IFDRational(1, 125)
    with reopened(picture("RGB"), "TIFF", exif=exif.tobytes()) as image:
        assert image.getexif().get_ifd(34665)
        found = densezip.decompress(densezip.compress(image))
    assert isinstance(found, Image.Image)
    assert found.getexif()[270] == "a hill"
    assert found.getexif().get_ifd(34665)[33434] == 1 / 125
    for kind, options in (("GIF", {"comment": b"a hill"}), ("JPEG", {"comment": b"a hill"})):
        with reopened(picture("L"), kind, **options) as image:
            found = densezip.decompress(densezip.compress(image))
        assert isinstance(found, Image.Image)
        assert found.info["comment"] == "a hill"
    with reopened(picture("RGB"), "PNG") as image:
        image.info |= {"Author": "me", "xmp": b"<x/>", "aspect": (2, 1), "unheard of": object()}
        said: list[str] = []
        found = densezip.decompress(densezip.compress(image, notice=said.append))
    assert isinstance(found, Image.Image)
    assert (found.info["Author"], found.info["xmp"], found.info["aspect"]) == ("me", b"<x/>", (2, 1))
    assert said == ["not kept of the image's info: unheard of"]
