"""The file comes back, not only the picture: byte for byte, or its pixels and every byte outside them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.images.imagefile import read
from PIL import Image, PngImagePlugin, TiffImagePlugin
from samples import array, file_of, picture, png_of, raw_png, tiff16

TRAIL = b"what follows the picture" * 3
LIMIT = 10**6


def rich_png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    text.add(b"prVt", b"a private chunk")
    text.add(b"prVu", b"another, behind the pixels", after_idat=True)
    made: bytes = png_of("RGB", pnginfo=text, dpi=(300, 300), icc_profile=b"profile" * 9)
    return made


Build = Callable[[], bytes]
# What comes back byte for byte, always.
EXACT: dict[str, Build] = {
    "BMP": lambda: file_of(picture("RGB"), "BMP"),
    "BMP of 1 bit": lambda: file_of(picture("1"), "BMP"),
    "BMP with alpha": lambda: file_of(picture("RGBA"), "BMP"),
    "BMP with a tail": lambda: file_of(picture("P"), "BMP") + TRAIL,
    "PPM": lambda: file_of(picture("RGB"), "PPM"),
    "PGM with a comment": lambda: b"P5\n# a hill\n31 23 255\n" + array(1).tobytes(),
    "PBM": lambda: file_of(picture("1"), "PPM"),
    "PGM of 12 bits": lambda: b"P5\n31 23\n4095\n" + (array(1, "u2") >> 4).astype(">u2").tobytes(),
    "TIFF": lambda: file_of(picture("RGB"), "TIFF"),
    "TIFF with alpha": lambda: file_of(picture("LA"), "TIFF"),
    "TIFF of 16 bits": lambda: tiff16(array(3, "u2")),
    "TIFF, big-endian": lambda: tiff16(array(1, "u2"), byteorder=">"),
    "TIFF with a tail": lambda: file_of(picture("L"), "TIFF") + TRAIL,
}
# What is outside of the pixel stream comes back, whatever becomes of that.
KEPT: dict[str, Build] = {
    "PNG": lambda: png_of("RGB"),
    "PNG with a palette": lambda: png_of("P", transparency=3),
    "PNG of 16 bits": lambda: file_of(picture("I;16"), "PNG"),
    "PNG with metadata": rich_png,
    "PNG with a tail": lambda: png_of("LA") + TRAIL,
}
EVERY = EXACT | KEPT


@pytest.fixture(autouse=True)
def _never_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as small as these would be kept whole: a length that none has makes them be taken apart."""
    from densezip.codec.file import coding

    monkeypatch.setattr(coding, "store", lambda *_, **__: bytes(10**6))


@pytest.mark.parametrize("name", EXACT)
def test_an_uncompressed_file_comes_back_byte_for_byte(name: str) -> None:
    source = EXACT[name]()
    data = densezip.compress(source)
    assert densezip.info(data).exact == "file"
    exported = densezip.export(data)
    assert exported.data == source
    assert exported.lost == ()
    assert densezip.verify(data, original=source) == densezip.info(data)


@pytest.mark.parametrize("name", EVERY)
def test_pixels_and_metadata_come_back(name: str) -> None:
    source = EVERY[name]()
    data = densezip.compress(source)
    about = densezip.info(data)
    assert about.format_version == 4
    assert about.exact in ("file", "picture")
    exported = densezip.export(data)
    assert exported.extension == about.source_format
    before, after = read(source, LIMIT).picture, read(exported.data, LIMIT).picture
    assert np.array_equal(before.pixels, after.pixels)
    assert before.chunks == after.chunks
    # Compressing what came back gives the same file: nothing drifts.
    assert densezip.export(densezip.compress(exported.data)).data == exported.data
    assert densezip.verify(data, original=source)
    image = densezip.decompress(data)
    if isinstance(image, Image.Image):
        assert np.array_equal(np.asarray(image), before.pixels.squeeze())


@pytest.mark.parametrize("name", EVERY)
def test_another_file_is_not_what_comes_back(name: str) -> None:
    source = EVERY[name]()
    data = densezip.compress(source)
    other = densezip.compress(file_of(picture("RGB", seed=5), "BMP"))
    for original in (source + b"x", source[:-1] + bytes([source[-1] ^ 1])):
        if name.startswith("PNG") and original[:-1] == source[:-1]:
            continue  # a CRC that is wrong, or no PNG file at all
        with pytest.raises(densezip.DensezipError):
            densezip.verify(data, original=original)
    with pytest.raises(densezip.ChecksumError, match="come back"):
        densezip.verify(other, original=source)


@pytest.mark.parametrize("damage", [(b"a private", b"a Private"), (b"behind", b"behinD"), (b"Author", b"author")])
def test_a_byte_beside_the_pixels_counts(damage: tuple[bytes, bytes]) -> None:
    source = rich_png()
    data = densezip.compress(source)

    def crc(file: bytes) -> bytes:
        out, position = bytearray(file), 8
        while position < len(out):
            end = position + 8 + int.from_bytes(out[position : position + 4], "big")
            out[end : end + 4] = zlib.crc32(out[position + 4 : end]).to_bytes(4, "big")
            position = end + 4
        return bytes(out)

    assert crc(source) == source
    with pytest.raises(densezip.ChecksumError):
        densezip.verify(data, original=crc(source.replace(*damage)))


@pytest.mark.parametrize("name", EVERY)
def test_little_is_added_where_there_is_no_metadata(name: str) -> None:
    if any(word in name for word in ("tail", "metadata", "comment")):
        pytest.skip("it has some")
    source = EVERY[name]()
    bare = densezip.compress(source, strip="all")
    assert len(densezip.compress(source)) - len(bare) <= (
        20 if "12 bits" in name else 16
    )  # a maximum of its own is a fact to be kept


def test_metadata_costs_no_more_than_its_own_deflated_size() -> None:
    exif = Image.Exif()
    exif.update({0x010E: "a hill in the morning", 0x010F: "Maker", 0x0110: "Model 5", 0x0112: 6, 0x0131: "Program 1.0"})
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x829D: 5.6, 0x9003: "2026:05:04 03:02:01", 0x927C: bytes(range(200))})
    for kind, extra in (("PNG", 30), ("TIFF", 60)):
        plain = densezip.compress(file_of(picture("RGB"), kind))
        rich = densezip.compress(file_of(picture("RGB"), kind, exif=exif))
        assert len(rich) - len(plain) <= len(zlib.compress(exif.tobytes(), 9)) + extra


@pytest.mark.parametrize("name", ["BMP", "PNG with metadata", "TIFF"])
def test_a_stripped_file_keeps_its_format_and_pixels(name: str) -> None:
    source = EVERY[name]()
    data = densezip.compress(source, strip="all")
    about = densezip.info(data)
    assert (about.exact, about.metadata) == (None, {})
    exported = densezip.export(data)
    assert exported.extension == about.source_format
    assert np.array_equal(read(exported.data, LIMIT).picture.pixels, read(source, LIMIT).picture.pixels)
    assert densezip.verify(data, original=source, pixels_only=True)
    for other, pixels_only in ((file_of(picture("RGB", seed=3), "BMP"), True), (source, False)):
        with pytest.raises(densezip.ChecksumError):
            densezip.verify(data, original=other, pixels_only=pixels_only)


@pytest.mark.parametrize("strip", [False, "all"])
def test_what_is_not_looked_into_is_kept_whole(strip: bool | str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [picture("P", seed=seed) for seed in range(3)]
    pages = file_of(
        frames[0].convert("RGB"), "TIFF", save_all=True, append_images=[f.convert("RGB") for f in frames[1:]]
    )
    animation = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    dicom = bytes(128) + b"DICM" + bytes(3000)
    for source, extension in ((pages, "tif"), (animation, "gif"), (dicom, "dcm")):
        if strip:
            with pytest.raises(densezip.UnsupportedImageError, match="cannot be dropped"):
                densezip.compress(source, strip=strip)
            continue
        notices: list[str] = []
        data = densezip.compress(source, notice=notices.append)
        assert len(notices) == 1
        assert notices[0].startswith("kept whole: ")
        about = densezip.info(data)
        assert (about.payload, about.exact, about.source_format, about.width) == ("file", "file", extension, 0)
        assert len(data) < len(source) + 64
        assert densezip.export(data) == (source, extension, ())
        assert densezip.verify(data, original=source)
        with pytest.raises(densezip.ChecksumError):
            densezip.verify(data, original=source + b"x")
        with pytest.raises(densezip.UnsupportedImageError, match="kept whole"):
            densezip.decompress(data)
        with monkeypatch.context() as patch:
            patch.setattr("densezip.codec.file.inputs.MOST_BESIDE", 0)
            with pytest.raises(densezip.LimitError, match="max-pixels"):
                densezip.export(data, max_pixels=len(source) // 8 - 1)


def test_a_damaged_file_is_refused_and_not_kept() -> None:
    for source in (
        png_of("RGB")[:-300],
        file_of(picture("RGB"), "BMP")[:-9],
        tiff16(array(3, "u2"))[:900],
        b"",
        b"text",
    ):
        with pytest.raises(densezip.UnreadableImageError):
            densezip.compress(source)


def test_what_a_target_cannot_hold_is_named() -> None:
    data = densezip.compress(rich_png())
    assert densezip.export(data, "png").lost == ()
    assert set(densezip.export(data, "ppm").lost) >= {"ICC profile", "XMP", "text", "resolution", "chunk prVt"}
    assert "ICC profile" not in densezip.export(data, "webp").lost
    with pytest.raises(densezip.OutputFormatError, match="JPEG is lossy"):
        densezip.export(data, "jpg")


def test_what_is_no_metadata_of_the_picture_is_named_as_lost_too() -> None:
    assert densezip.export(densezip.compress(png_of("RGB") + TRAIL), "webp").lost == ("bytes behind the end",)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550] = (1.0, 1.0, 0.0)
    tags[270] = "a hill"
    data = densezip.compress(file_of(picture("RGB"), "TIFF", tiffinfo=tags))
    assert densezip.export(data, "png").lost == ("TIFF tag 33550",)
    assert densezip.export(data, "tiff").lost == ()


def test_a_path_bytes_and_open_files_are_all_the_same(tmp_path: Path) -> None:
    source, packed = tmp_path / "a.png", tmp_path / "a.png.dz"
    source.write_bytes(png_of("RGB"))
    data = densezip.compress(source)
    packed.write_bytes(data)
    with source.open("rb") as file:
        assert densezip.compress(file) == data
    for given in (bytearray(source.read_bytes()), memoryview(source.read_bytes()), io.BytesIO(source.read_bytes())):
        assert densezip.compress(given) == data
    every: list[Any]
    with packed.open("rb") as file:
        every = [packed, str(packed), data, bytearray(data), memoryview(data), io.BytesIO(data), file]
        for one in every:
            assert densezip.info(one) == densezip.info(data)
            if isinstance(one, io.IOBase):
                one.seek(0)
            assert np.array_equal(np.asarray(densezip.decompress(one)), np.asarray(picture("RGB")))
    assert densezip.verify(packed, original=source) == densezip.info(packed)


@pytest.mark.parametrize(
    "arguments",
    [
        {"effort": "5"},
        {"effort": 5.0},
        {"effort": True},
        {"effort": None},
        {"threads": "2"},
        {"threads": 1.5},
        {"max_pixels": "many"},
        {"strip": "some"},
        {"strip": 1},
    ],
)
def test_arguments_of_another_type_are_usage_errors(arguments: dict[str, object]) -> None:
    with pytest.raises(densezip.UsageError):
        densezip.compress(array(3), **arguments)  # type: ignore[arg-type]


def test_what_is_no_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(densezip.UsageError, match="for text"):
        densezip.compress(io.StringIO("text"))  # type: ignore[arg-type]
    nonsense: list[Any] = [None, 3, [1], array(3), object()]
    for given in nonsense:
        for call in (densezip.decompress, densezip.info, densezip.verify, densezip.export):
            with pytest.raises(densezip.UsageError):
                call(given)
    with pytest.raises(densezip.UnreadableImageError, match="cannot be read"):
        densezip.info(tmp_path / "none.dz")
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(densezip.UnreadableImageError, match="cannot be read"):
        densezip.info(closed)


def test_a_masked_array_is_refused() -> None:
    masked = np.ma.masked_array(array(3), array(3) > 100)
    with pytest.raises(densezip.UnsupportedImageError, match="mask"):
        densezip.compress(masked)


def test_a_pixel_less_remainder_that_makes_no_sense_is_an_error() -> None:
    from dataclasses import replace

    from densezip.codec.file.container import parse, serialise

    data = densezip.compress(file_of(picture("RGB"), "BMP"))
    container = parse(data)
    tiles = [bytes(container.tile(number)) for number in range(container.header.tiles)]
    for remainder in (b"", b"\xff" * 20, (container.header.remainder or b"") + b"x"):
        changed = serialise(replace(container.header, remainder=remainder), tiles)
        for call in (densezip.export, densezip.verify):
            with pytest.raises(densezip.FormatError):
                call(changed)
    other = serialise(replace(container.header, source_checksum=b"abcd"), tiles)
    with pytest.raises(densezip.ChecksumError, match="came out wrong"):
        densezip.export(other)


def test_a_png_with_one_row_filter_of_each_kind_comes_back() -> None:
    rows = b"".join(bytes([kind]) + bytes(range(kind, kind + 36)) for kind in (0, 1, 2, 3, 4))
    source = raw_png(12, 5, 8, 2, rows)
    data = densezip.compress(source)
    assert densezip.verify(data, original=source)
