"""Pictures that were JPEG files: they come back, take about what the file takes, and damage is named."""

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from typing import Any

import densezip
import numpy as np
import pytest
from command_line import run
from densezip.codec.errors import CorruptPayloadError, DensezipError
from densezip.codec.file.container import parse, serialise
from densezip.codec.file.history import NAME
from densezip.models.jpeg.differences import Differences
from PIL import Image

HEIGHT, WIDTH = 93, 109


def scene(seed: int = 0) -> Any:
    """Smooth colours with noise and, in a corner, colours that are clipped."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [90 * np.sin(x / 9 + y / 13), 80 * np.cos(x / 17 - y / 7), 100 * np.sin((x + y) / 11)]
    bright = 120 * np.exp(-((x - 90) ** 2 + (y - 70) ** 2) / 300)
    picture = 120 + bright[..., None] + np.stack(waves, -1) + rng.normal(0, 8, (HEIGHT, WIDTH, 3))
    return picture.clip(0, 255).astype(np.uint8)


def decoded(mode: str = "RGB", side: int = HEIGHT, **options: Any) -> tuple[bytes, Any]:
    """A JPEG file and its pixels."""
    file = BytesIO()
    Image.fromarray(scene()[:side, : side + WIDTH - HEIGHT]).convert(mode).save(file, "JPEG", **options)
    return file.getvalue(), np.asarray(Image.open(BytesIO(file.getvalue())))


@pytest.mark.parametrize("quality", [60, 90])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_decoded_jpeg_takes_what_the_file_takes(quality: int, subsampling: str) -> None:
    data, pixels = decoded(quality=quality, subsampling=subsampling)
    packed = densezip.compress(pixels)
    found = densezip.info(packed)
    assert found.model == NAME
    assert found.history == f"quality {quality}, {subsampling}"
    assert len(packed) < 1.02 * len(data)
    assert np.array_equal(np.asarray(densezip.decompress(packed)), pixels)


@pytest.mark.parametrize("mode", ["L", "4:4:4", "4:2:0"])
@pytest.mark.parametrize("corner", [(3, 5), (8, 8), (0, 13)])
def test_what_was_cut_out_of_a_decoded_jpeg_is_known_too(mode: str, corner: tuple[int, int]) -> None:
    options: dict[str, Any] = {} if mode == "L" else {"subsampling": mode}
    _, pixels = decoded("L" if mode == "L" else "RGB", quality=75, **options)
    cut = pixels[corner[0] :, corner[1] :]
    packed = densezip.compress(cut, effort=1)
    assert densezip.info(packed).history is not None
    assert np.array_equal(np.asarray(densezip.decompress(packed)), cut)
    assert len(packed) < 0.8 * len(densezip.compress(cut, effort=5, history=False))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("opaque", [True, False])
def test_alpha_is_coded_apart(mode: str, opaque: bool) -> None:
    data, colours = decoded(mode, quality=80)
    colours = colours.reshape(*colours.shape[:2], -1)
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    if not opaque:
        alpha[20:60, 30:80] = 128
    pixels = np.concatenate([colours, alpha], 2)
    packed = densezip.compress(pixels, effort=1)
    found = densezip.info(packed)
    assert (found.mode, found.model) == (f"{mode}A", NAME)
    assert found.history == ("quality 80, grey" if mode == "L" else "quality 80, 4:2:0")
    assert len(packed) < 1.02 * len(data) + 60
    assert np.array_equal(np.asarray(densezip.decompress(packed)), pixels)


def test_the_finest_quality_comes_back_too() -> None:
    _, pixels = decoded(side=40, quality=100, subsampling=0)
    assert np.array_equal(np.asarray(densezip.decompress(densezip.compress(pixels, effort=1))), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_coded_once(channels: int) -> None:
    data, grey = decoded("L", quality=85)
    pixels = grey if channels == 1 else np.stack([grey] * channels, -1)
    packed = densezip.compress(pixels, effort=1)
    found = densezip.info(packed)
    assert (found.model, found.history) == (NAME, "quality 85, grey")
    assert len(packed) < len(data)
    assert np.array_equal(np.asarray(densezip.decompress(packed)), pixels)


def test_pixels_that_were_painted_over_come_back() -> None:
    _, pixels = decoded(quality=80)
    painted = pixels.copy()
    painted[40:43, 30:50] = 255
    packed = densezip.compress(painted)
    assert densezip.info(packed).model == NAME
    assert np.array_equal(np.asarray(densezip.decompress(packed)), painted)


def test_another_process_with_older_instructions_decodes_the_same() -> None:
    _, pixels = decoded(quality=70)
    packed = densezip.compress(pixels, effort=1)
    program = "import sys, densezip; sys.stdout.buffer.write(densezip.decompress(sys.stdin.buffer.read()).tobytes())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        input=packed,
        capture_output=True,
        check=True,
        env={"DENSEZIP_KERNELS": "x86-64", "PATH": ""},
    )
    assert found.stdout == pixels.tobytes()


def test_history_is_left_out_on_demand(tmp_path: Any) -> None:
    _, pixels = decoded(quality=80)
    assert densezip.info(densezip.compress(pixels, effort=1, history=False)).model != NAME
    source = tmp_path / "a.png"
    Image.fromarray(pixels).save(source)
    for options, expected in (([], True), (["--no-history"], False)):
        out = tmp_path / f"{len(options)}.dz"
        result = run("compress", "-e1", source, "-o", out, *options)
        assert result.exit_code == 0
        assert (densezip.info(out).history is not None) is expected


def test_pictures_without_a_history_are_coded_as_before() -> None:
    pixels = scene(1)[:40, :40]
    assert densezip.compress(pixels, effort=1) == densezip.compress(pixels, effort=1, history=False)


def changed(change: Any) -> bytes:
    container = parse(densezip.compress(decoded(quality=80)[1], effort=1))
    assert container.header.model == NAME
    return serialise(container.header, [change(bytes(container.tile(0)))])


@pytest.mark.parametrize(
    "change",
    [
        lambda tile: b"",
        lambda tile: tile[:9],
        lambda tile: tile[:40],
        lambda tile: b"\x08" + tile[1:],
        lambda tile: tile[:1] + b"\x20" + tile[2:],
        lambda tile: tile[:16].replace(b"jpeg", b"\0peg") + tile[16:],
        lambda tile: tile + bytes(100),
    ],
)
def test_a_damaged_tile_is_named(change: Any) -> None:
    with pytest.raises(CorruptPayloadError):
        densezip.decompress(changed(change))


def test_damage_anywhere_is_an_error_with_a_name() -> None:
    container = parse(densezip.compress(decoded(quality=50)[1], effort=1))
    tile = bytes(container.tile(0))
    rng = np.random.default_rng(4)
    for _ in range(25):
        hurt = bytearray(tile)
        hurt[int(rng.integers(len(tile)))] ^= int(rng.integers(1, 256))
        with pytest.raises(DensezipError):
            densezip.decompress(serialise(container.header, [bytes(hurt)]))


def test_differences_of_every_size_come_back() -> None:
    rng = np.random.default_rng(6)
    planes = [
        rng.integers(-255, 256, (13, 21)).astype(np.int16),
        (rng.integers(-255, 256, (40, 33)) * (rng.random((40, 33)) < 0.01)).astype(np.int16),
        np.zeros((1, 1), np.int16),
    ]
    classes = [rng.integers(0, 16, plane.shape).astype(np.uint8) for plane in planes]
    stream = Differences()
    for plane, known in zip(planes, classes, strict=True):
        stream.code(plane.copy(), known)
    data = stream.finish()
    back = Differences(data)
    for plane, known in zip(planes, classes, strict=True):
        found = np.full_like(plane, 9)
        back.code(found, known)
        assert np.array_equal(found, plane)
    back.finish()
    short = Differences(data[:40])
    with pytest.raises(CorruptPayloadError):
        short.code(np.zeros((400, 400), np.int16), np.zeros((400, 400), np.uint8))


def test_a_small_picture_takes_no_memory_for_a_large_canvas() -> None:
    container = parse(densezip.compress(decoded(quality=50)[1], effort=1))
    tile = bytes(container.tile(0))
    margins = bytes([tile[0], 31, 31, 31, 31]) + tile[5:]
    thin = replace(container.header, width=1, tile_width=1, height=60_000, tile_height=60_000)
    with pytest.raises(CorruptPayloadError, match="1x60000 in a JPEG file of 63x60062"):
        densezip.decompress(serialise(thin, [margins]))


def test_colours_of_which_none_is_sure_are_no_history() -> None:
    y, x = np.mgrid[:128, :128]
    values = np.clip(x + y, 0, 255)
    false = np.stack([np.clip(3 * values - 256 * k, 0, 255) for k in range(3)], -1).astype(np.uint8)
    data = densezip.compress(false)
    assert np.array_equal(np.asarray(densezip.decompress(data)), false)
