"""Stripping: the same pixels, and nothing else but what changes how they look, if that is wanted."""

import struct
from io import BytesIO

import numpy as np
import pytest
from densezip.codec.images.exif import only_orientation
from densezip.codec.images.imagefile import FORMATS, read
from densezip.codec.images.picture import from_pil
from densezip.codec.images.png import chunks as pngchunks
from densezip.codec.images.strip import strip
from PIL import Image, ImageCms
from samples import file_of, picture, png_of, raw_png

LIMIT = 10**6
SECRET = b"secret place"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = orientation
    return exif.tobytes()


EXIF = exif_of(1)
SECRETIVE = {
    "PNG": png_of("RGB", exif=EXIF),
    "JPEG": file_of(picture("RGB"), "JPEG", exif=EXIF, comment=SECRET, icc_profile=SECRET * 10),
    "progressive JPEG": file_of(picture("RGB"), "JPEG", exif=EXIF, progressive=True, restart_marker_blocks=1),
    "WebP": file_of(picture("RGBA"), "WEBP", exif=EXIF, xmp=SECRET),
    "lossless WebP": file_of(picture("RGBA"), "WEBP", lossless=True, exif=EXIF, icc_profile=SECRET),
}


@pytest.mark.parametrize("name", SECRETIVE)
def test_a_stripped_file_has_the_same_pixels_and_no_metadata(name: str) -> None:
    data = SECRETIVE[name]
    kind = name.rsplit(" ", maxsplit=1)[-1]
    assert SECRET in data
    found = strip(data, kind)
    assert found is not None
    assert SECRET not in found
    assert np.array_equal(read(found, LIMIT).picture.pixels, read(data, LIMIT).picture.pixels)
    assert strip(found, kind) == found


def test_what_follows_a_jpeg_image_is_stripped_too() -> None:
    data = file_of(picture("L"), "JPEG")
    assert strip(data + SECRET, "JPEG") == strip(data, "JPEG")


def test_strip_keeps_what_alters_pixels() -> None:
    data = raw_png(1, 1, 8, 3, b"\0\0", ((b"gAMA", b"\0\0\xb1\x8f"), (b"PLTE", b"\1\2\3"), (b"tRNS", b"\7")))
    found = strip(data, "PNG")
    assert found is not None
    assert pngchunks.parse(found).chunks == (("PLTE", b"\1\2\3"), ("tRNS", b"\7"))


def test_formats_whose_metadata_is_not_known_are_not_stripped() -> None:
    assert {kind for kind in FORMATS if strip(file_of(picture("1"), "BMP"), kind) is None} >= {
        "TIFF",
        "BMP",
        "GIF",
        "PNM",
    }


LOOKED_AT = {
    "PNG": png_of("RGB", exif=exif_of(6), icc_profile=PROFILE),
    "JPEG": file_of(picture("RGB"), "JPEG", exif=exif_of(6), comment=SECRET, icc_profile=PROFILE),
    "WebP": file_of(picture("RGBA"), "WEBP", exif=exif_of(6), xmp=SECRET, icc_profile=PROFILE),
}


@pytest.mark.parametrize("kind", LOOKED_AT)
def test_orientation_and_profile_stay_where_looks_are_kept(kind: str) -> None:
    found = strip(LOOKED_AT[kind], kind, look=True)
    assert found is not None
    assert SECRET not in found
    with Image.open(BytesIO(found)) as image:
        assert image.getexif()[0x0112] == 6
        assert len(image.getexif()) == 1
        assert image.info["icc_profile"] == PROFILE
    assert strip(found, kind, look=True) == found
    bare = strip(found, kind)
    assert bare == strip(LOOKED_AT[kind], kind)
    assert bare is not None
    with Image.open(BytesIO(bare)) as image:
        assert not len(image.getexif())
        assert "icc_profile" not in image.info


def test_a_picture_is_stripped_as_a_file_is() -> None:
    image = picture("RGB")
    image.info = {"exif": exif_of(3), "icc_profile": PROFILE, "gamma": 0.45, "Author": "me", "dpi": (72, 72)}
    made = from_pil(image)
    assert [name for name, _ in made.stripped(look=True).chunks] == ["iCCP", "gAMA", "eXIf"]
    assert SECRET not in dict(made.stripped(look=True).chunks)["eXIf"]
    assert made.stripped().chunks == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_found_in_either_byte_order(order: str) -> None:
    def block(tag: int, kind: int, count: int, value: int) -> bytes:
        head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 2)
        other = struct.pack(order + "HHIHH", 256, 3, 1, 7, 0)
        return head + other + struct.pack(order + "HHIHH", tag, kind, count, value, 0) + bytes(4)

    assert only_orientation(block(274, 3, 1, 8))[18:20] == b"\0\x08"
    for upright in (block(274, 3, 1, 1), block(274, 3, 1, 9), block(274, 4, 1, 8), block(275, 3, 1, 8)):
        assert only_orientation(upright) == b""
    whole = block(274, 3, 1, 8)
    for length in range(len(whole) - 6):
        assert only_orientation(whole[:length]) == b""


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "MPO"])
def test_frames_are_no_metadata(kind: str) -> None:
    frames = [picture("RGB", seed=seed) for seed in range(3)]
    data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
    assert strip(data, {"WEBP": "WebP", "MPO": "JPEG"}.get(kind, kind)) is None
