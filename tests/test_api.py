"""Whole files: what goes in comes out, whatever it is, and the file is small."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.file import candidates, coding
from densezip.codec.file.container import parse
from densezip.codec.file.payload import Coder, encode_tiles
from densezip.codec.file.probes import FEW_COLOURS, count_colours
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import dead_leaves
from PIL import Image, PngImagePlugin
from samples import MODES, array, file_of, model_only, picture, png_of, raw_png


def best_webp(image: Image.Image) -> int:
    return len(file_of(image, "WEBP", lossless=True, method=6, quality=100, exact=True))


def back(data: bytes, **options: Any) -> npt.NDArray[Any]:
    """The array that went in."""
    found = densezip.decompress(data, **options)
    assert isinstance(found, np.ndarray)
    return found


def assert_same(found: Any, wanted: Image.Image) -> None:
    assert isinstance(found, Image.Image)
    assert (found.mode, found.size) == (wanted.mode, wanted.size)
    assert found.tobytes() == wanted.tobytes()
    assert found.getpalette() == wanted.getpalette()
    assert found.info.get("transparency") == wanted.info.get("transparency")


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_comes_back(mode: str) -> None:
    image = picture(mode)
    data = densezip.compress(image)
    assert_same(densezip.decompress(data), image)
    assert densezip.info(data).mode == mode
    assert densezip.verify(data) == densezip.info(data)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_file_comes_back(mode: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(file_of(picture(mode), kind))
    with Image.open(path) as image:
        image.load()
        data = densezip.compress(path)
        assert data == densezip.compress(str(path)) == densezip.compress(path.read_bytes())
        assert_same(densezip.decompress(data), image)
        exported, extension, _ = densezip.export(data, "png")
        assert extension == "png"
        with Image.open(BytesIO(exported)) as again:
            assert_same(again, image)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2"])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_an_array_comes_back(dtype: str, channels: int) -> None:
    samples = array(max(1, channels), dtype[-2:]).astype(dtype)
    samples = samples if channels else samples[:, :, 0]
    found = densezip.decompress(densezip.compress(samples))
    assert isinstance(found, np.ndarray)
    assert found.dtype == samples.dtype.newbyteorder("=")
    assert found.shape == samples.shape
    assert np.array_equal(found, samples)


@pytest.mark.parametrize("effort", [1, 5, 9])
@settings(max_examples=5, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 4),
    dtype=st.sampled_from(["u1", "u2"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_noise_of_any_shape_comes_back_from_the_photo_model_at_any_effort(
    effort: int, height: int, width: int, channels: int, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        model_only(patch)
        data = densezip.compress(samples, effort=effort)
    assert np.array_equal(back(data), samples)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_16_bit_grey_of_any_byte_order_comes_back(mode: str) -> None:
    samples = array(1, "u2")[:, :, 0]
    raw = samples.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    found = densezip.decompress(densezip.compress(Image.frombytes(mode, (31, 23), raw)))
    assert isinstance(found, Image.Image)
    assert found.mode == "I;16"
    assert np.array_equal(np.asarray(found), samples)


def test_several_threads_may_compress_at_once() -> None:
    sources = [file_of(picture("RGB", seed=seed), "PNG") for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(densezip.compress, sources))
    assert files == [densezip.compress(source) for source in sources]
    assert Image.MAX_IMAGE_PIXELS is not None


def test_views_and_fortran_order_come_back() -> None:
    samples = array(3)
    for view in (samples[::2, ::-1], np.asfortranarray(samples), samples.transpose(1, 0, 2)):
        assert np.array_equal(back(densezip.compress(view)), view)


def test_any_thread_count_writes_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from densezip.models import photo

    monkeypatch.setattr(photo, "tile_shape", lambda *_: (16, 16))
    model_only(monkeypatch)
    samples = array(3, height=40, width=50)
    files = {densezip.compress(samples, threads=threads) for threads in (0, 1, 2, 5)}
    assert len(files) == 1
    data = files.pop()
    assert densezip.info(data).payload == "model"
    assert (densezip.info(data).tiles, densezip.info(data).tile_size) == (12, (16, 16))
    for threads in (0, 1, 2, 5):
        assert np.array_equal(back(data, threads=threads), samples)


def test_colours_under_alpha_0_are_kept() -> None:
    samples = array(4)
    samples[:, :, 3] = 0
    image = Image.fromarray(samples, "RGBA")
    assert_same(densezip.decompress(densezip.compress(image)), image)


@pytest.mark.parametrize("transparency", [3, b"\0\1\2", bytes(256)])
def test_palette_and_transparency_are_kept(transparency: int | bytes) -> None:
    source = png_of("P", transparency=transparency)
    with Image.open(BytesIO(source)) as image:
        image.load()
        assert_same(densezip.decompress(densezip.compress(source)), image)
        assert_same(densezip.decompress(densezip.compress(image)), image)
        assert_same(densezip.decompress(densezip.compress(image, strip=True)), image)


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (1, 2, 3)), ("1", 255), ("I;16", 300)])
def test_colour_keys_are_kept(mode: str, key: Any) -> None:
    with Image.open(BytesIO(png_of(mode, transparency=key))) as image:
        image.load()
        assert image.info["transparency"] == key
        assert_same(densezip.decompress(densezip.compress(image)), image)
        assert_same(densezip.decompress(densezip.compress(png_of(mode, transparency=key))), image)


def test_a_palette_with_alpha_is_kept() -> None:
    image = picture("P")
    image.putpalette([value for index in range(11) for value in (index, 2 * index, 3 * index, 20 * index)], "RGBA")
    found = densezip.decompress(densezip.compress(image))
    assert isinstance(found, Image.Image)
    assert found.tobytes() == image.tobytes()
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def rich_png() -> Any:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    return png_of(
        "RGB", pnginfo=text, dpi=(300, 300), icc_profile=b"profile" * 9, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"
    )


def test_metadata_is_kept_and_listed_and_strip_drops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "store", lambda *_, **__: bytes(10**6))  # what is coded, not what is stored
    data = densezip.compress(rich_png())
    assert set(densezip.info(data).metadata) == {"icc", "exif", "xmp", "text", "resolution"}
    found = densezip.decompress(data)
    assert isinstance(found, Image.Image)
    with Image.open(BytesIO(rich_png())) as wanted:
        wanted.load()
        assert found.info == wanted.info
    exported = densezip.export(data)[0]
    assert exported.count(b"Author") == 1
    looked_at = densezip.compress(rich_png(), strip=True)
    assert set(densezip.info(looked_at).metadata) == {"icc"}
    bare = densezip.compress(rich_png(), strip="all")
    assert densezip.info(bare).metadata == {}
    assert len(bare) < len(looked_at) < len(data)


def test_strip_leaves_no_metadata_in_a_stored_file() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0 secret"
    source = file_of(picture("RGB"), "JPEG", exif=exif)
    assert densezip.export(densezip.compress(source)) == (source, "jpg", ())
    stripped = densezip.compress(source, strip="all")
    assert stripped == densezip.compress(source, strip=True)
    assert b"secret" not in stripped
    assert len(stripped) < len(source) + 64


@pytest.mark.parametrize(("name", "stored"), [("a.jpg", "jpg"), ("a.JPEG", "jpeg"), ("a.dat", "jpg")])
def test_a_jpeg_file_comes_back_byte_for_byte(name: str, stored: str, tmp_path: Path) -> None:
    source = file_of(picture("RGB"), "JPEG")
    (tmp_path / name).write_bytes(source)
    data = densezip.compress(tmp_path / name)
    about = densezip.info(data)
    assert (about.payload, about.stored_format, about.lossy_source) == ("jpeg", stored, True)
    assert len(data) < len(source)
    assert densezip.export(data) == (source, stored, ())
    assert densezip.export(data, ".jpg") == (source, stored, ())
    with Image.open(BytesIO(source)) as image:
        image.load()
        assert_same(densezip.decompress(data), image)
        with Image.open(BytesIO(densezip.export(data, "png")[0])) as exported:
            assert exported.tobytes() == image.tobytes()


def drawing() -> Image.Image:
    image = Image.new("RGB", (120, 90), (250, 250, 250))
    for number in range(12):
        image.paste((20 * number, 90, 255 - 20 * number), (9 * number, 3 * number, 9 * number + 30, 3 * number + 12))
    return image


@pytest.mark.parametrize(
    "image",
    [
        drawing(),
        drawing().convert("RGBA"),
        drawing().convert("L"),
        drawing().convert("1"),
        picture("RGB"),
        picture("LA"),
        Image.new("RGB", (64, 64), (1, 2, 3)),
        Image.fromarray(np.tile(array(3, height=8, width=8), (9, 9, 1))),
    ],
)
def test_a_file_is_never_larger_than_webp_or_the_input(image: Image.Image) -> None:
    source = file_of(image, "PNG", optimize=True)
    assert len(densezip.compress(source)) <= min(best_webp(image), len(source)) + 64
    assert len(densezip.compress(image)) <= best_webp(image) + 64


def test_a_16_bit_file_is_never_larger_than_png() -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (40, 50, 3)).astype("u2")
    for samples in (noise, noise // 256 * 257, array(3, "u2"), np.zeros((40, 50, 3), "u2")):
        assert len(densezip.compress(samples)) <= len(imagecodecs.png_encode(samples, 9)) + 64


def test_a_drawing_spares_the_photo_model_and_a_photograph_spares_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def encode(coder: Coder, *rest: Any) -> list[bytes]:
        asked.append(coder.model or coder.payload.name)
        return encode_tiles(coder, *rest)

    monkeypatch.setattr(candidates, "encode_tiles", encode)
    densezip.compress(drawing())
    # As it is, and without the rows and columns that repeat the one before.
    assert asked == ["WEBP", "rendered", "PNG", "WEBP", "rendered", "indexed", "PNG"]
    asked.clear()
    densezip.compress(Image.new("RGB", (64, 64), (1, 2, 3)))
    assert asked == ["WEBP", "PNG"] * 2
    asked.clear()
    densezip.compress(dead_leaves(160, 160, 3, 1))
    assert asked == ["photo-5"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colours_are_counted_up_to_the_first_few(channels: int) -> None:
    samples = array(channels) % 7
    assert count_colours(samples) == len(np.unique(samples.reshape(-1, channels), axis=0))
    assert count_colours(array(3, height=300, width=300)) > FEW_COLOURS


def test_images_beyond_webp_are_coded_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "TINY_FILE", 1000)
    monkeypatch.setattr(coding, "shrink", lambda _: None)
    for shape in ((3, 16390), (16390, 3)):
        image = Image.new("P", shape, 1)
        image.putpalette([1, 2, 3, 4, 5, 6])
        data = densezip.compress(image)
        assert densezip.info(data).tiles == 2
        assert_same(densezip.decompress(data), image)


def test_container_of_a_64x64_image_takes_at_most_40_bytes() -> None:
    for source in (array(3, height=64, width=64), picture("RGB", 64, 64)):
        data = densezip.compress(source)
        container = parse(data)
        assert len(data) - sum(len(container.tile(number)) for number in range(container.header.tiles)) <= 40


def test_small_depths_come_back_in_png() -> None:
    rows = b"".join(b"\0" + bytes([27 * y % 256, 93, 255 - y]) for y in range(90))
    source = raw_png(12, 90, 2, 0, rows, ((b"tRNS", b"\0\2"),))
    data = densezip.compress(source)
    assert densezip.info(data).depth == 2
    assert densezip.export(data)[0][24:26] == b"\2\0"
    assert np.array_equal(np.asarray(densezip.decompress(data)), np.asarray(Image.open(BytesIO(source))))


@pytest.mark.parametrize("source", [array(3), array(1), array(3, "u2"), drawing(), drawing().convert("1")])
def test_progress_rises_from_0_to_1(source: Any) -> None:
    heard: list[float] = []
    data = densezip.compress(source, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    heard.clear()
    densezip.decompress(data, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.parametrize("options", [{"effort": 0}, {"effort": 10}, {"threads": -1}])
def test_arguments_out_of_range_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(densezip.UsageError):
        densezip.compress(array(3), **options)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((2, 2), complex),
        np.zeros((2, 2), "datetime64[s]"),
        np.zeros(4, "u1"),
        np.zeros((0, 4), "u1"),
        np.zeros((2, 3, 0), "u1"),
    ],
)
def test_other_arrays_are_refused(samples: npt.NDArray[Any]) -> None:
    with pytest.raises(densezip.UnsupportedImageError, match="shape"):
        densezip.compress(samples)


@pytest.mark.parametrize("source", [array(3), picture("RGB"), png_of("RGB"), file_of(picture("RGB"), "JPEG")])
def test_the_limit_holds_on_both_sides(source: Any) -> None:
    with pytest.raises(densezip.LimitError, match="713"):
        densezip.compress(source, max_pixels=712)
    data = densezip.compress(source, max_pixels=713)
    for reader in (densezip.decompress, densezip.verify, densezip.export):
        with pytest.raises(densezip.LimitError, match="713"):
            reader(data, max_pixels=712)


def test_metadata_that_pillow_refuses_costs_no_pixels() -> None:
    source = raw_png(1, 1, 16, 0, b"\0\1\2", ((b"gAMA", b"?"), (b"tRNS", b"\0\7")))
    found = densezip.decompress(densezip.compress(source))
    assert isinstance(found, Image.Image)
    assert found.getpixel((0, 0)) == 258
    assert densezip.export(densezip.compress(source))[0].count(b"gAMA?") == 1


def test_a_truncated_pil_image_is_unreadable() -> None:
    with Image.open(BytesIO(png_of("RGB")[:-200])) as image, pytest.raises(densezip.UnreadableImageError):
        densezip.compress(image)


def test_what_is_no_image_is_a_usage_error() -> None:
    for source in (None, 3.5, [[1, 2], [3, 4]]):
        with pytest.raises(densezip.UsageError, match="type"):
            densezip.compress(source)  # type: ignore[arg-type]


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path, "a\0b"):
        with pytest.raises(densezip.UnreadableImageError, match="cannot be read"):
            densezip.compress(path)


def test_what_only_a_jpeg_file_holds_is_named_as_lost() -> None:
    plain = file_of(picture("RGB"), "JPEG")
    assert densezip.export(densezip.compress(plain), "png").lost == ()
    rich = file_of(picture("RGB"), "JPEG", comment=b"a hill") + b"behind the end"
    assert densezip.export(densezip.compress(rich), "png").lost == ("bytes behind the end",)
    assert densezip.export(densezip.compress(rich), "webp").lost == ("text", "bytes behind the end")
    assert densezip.export(densezip.compress(rich)) == (rich, "jpg", ())
