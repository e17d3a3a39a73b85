"""A preview: a small picture beside the pixels, on which they do not depend."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from command_line import run
from densezip.cli import thumbnail
from densezip.codec.errors import HeaderError, LimitError
from densezip.codec.file import preview
from densezip.codec.file.container import MOST_PREVIEW, parse, serialise
from densezip.codec.file.preview import preview_of, with_preview
from densezip.codec.images.picture import from_array
from leaves import dead_leaves
from PIL import Image
from samples import file_of

LEAST = 64 * 80
GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(autouse=True)
def _smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of these tests count as large."""
    monkeypatch.setattr(preview, "LEAST_PIXELS", LEAST)


def two_colours(height: int = 64, width: int = 80) -> Image.Image:
    """A picture that is coded at once: green, and red from the middle on."""
    image = Image.new("RGB", (width, height), (0, 200, 0))
    image.paste((200, 0, 0), (width // 2, 0, width, height))
    return image


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6  # the row at the top is the right side
    return exif


@pytest.mark.parametrize("kind", ["image", "array", "PNG", "JPEG", "BMP", "palette", "16 bits"])
def test_large_pictures_of_every_kind_have_one_if_it_is_asked_for(kind: str) -> None:
    image, given = two_colours(), {"PNG": {"exif": turned()}, "JPEG": {"exif": turned()}, "BMP": {}}
    source: Any = image
    if kind in given:
        source = file_of(image, kind, **given[kind])
    elif kind == "palette":
        source = file_of(image.quantize(4), "BMP")
    elif kind != "image":
        source = np.asarray(image) if kind == "array" else np.asarray(image).astype(np.uint16) * 257
    plain, data = (densezip.compress(source, effort=1, preview=wanted) for wanted in (False, True))
    assert densezip.preview(plain) is None
    about = densezip.info(data)
    assert about.format_version == 7
    assert 0 < about.preview <= MOST_PREVIEW
    # Two lengths that grow by a byte, and the byte of a source that there is not.
    assert 0 < len(data) - len(plain) - about.preview <= 4
    found = densezip.preview(data)
    assert found is not None
    upright = "exif" in given.get(kind, {})
    assert found.size == ((64, 80) if upright else (80, 64))
    first, last = ((30, 8), (30, 72)) if upright else ((8, 30), (72, 30))
    for place, colour in ((first, (0, 200, 0)), (last, (200, 0, 0))):
        assert np.abs(np.subtract(np.asarray(found)[place[::-1]].astype(int), colour)).max() < 12
    if not isinstance(source, np.ndarray):
        assert densezip.export(data) == densezip.export(plain)
    np.testing.assert_array_equal(np.asarray(densezip.decompress(data)), np.asarray(densezip.decompress(plain)))


def test_small_pictures_and_planes_of_arrays_have_none() -> None:
    for source in (two_colours(63, 81), np.zeros((2, 64, 80), np.uint8)):
        data = densezip.compress(source, effort=1, preview=True)
        assert densezip.preview(data) is None
        assert densezip.info(data).format_version < 7
        assert data == densezip.compress(source, effort=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_noise_fits_too(channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 400, channels), np.uint8)
    made = parse(with_preview(densezip.compress(np.zeros_like(noise), effort=1), from_array(noise))).header
    found = preview_of(made)
    assert found is not None
    assert found.size[0] >= preview.SIDE // 2
    assert found.mode == ("RGBA" if channels == 4 else "RGB")


def test_a_preview_of_nonsense_is_none_and_costs_no_pixel() -> None:
    data = (GOLDEN / "tiny-preview.dz").read_bytes()
    container = parse(data)
    large = file_of(Image.new("RGB", (2000, 20)), "WEBP")
    for nonsense in (b"x", container.header.preview[:-40], bytes(MOST_PREVIEW), large):
        forged = serialise(replace(container.header, preview=nonsense), [bytes(container.tile(0))])
        assert densezip.preview(forged) is None
        np.testing.assert_array_equal(np.asarray(densezip.decompress(forged)), np.asarray(densezip.decompress(data)))
        assert thumbnail.decoded(forged, 8).size == (8, 5)


def test_a_preview_of_more_than_its_room_is_refused_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    container = parse((GOLDEN / "tiny-preview.dz").read_bytes())
    longer, tiles = replace(container.header, preview=bytes(MOST_PREVIEW + 1)), [bytes(container.tile(0))]
    with pytest.raises(LimitError, match="4097"):
        serialise(longer, tiles)
    with monkeypatch.context() as changed:
        changed.setattr("densezip.codec.file.container.MOST_PREVIEW", MOST_PREVIEW + 1)
        data = serialise(longer, tiles)
    with pytest.raises(HeaderError, match="4097"):
        parse(data)


def test_a_thumbnail_is_made_of_the_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(preview, "SIDE", 16)
    monkeypatch.setattr(preview, "SETTINGS", ((16, 80),))
    path, out = tmp_path / "a.dz", tmp_path / "a.png"
    path.write_bytes(densezip.compress(two_colours(), effort=1, preview=True))
    decoded: list[bytes] = []

    def decompress(data: bytes) -> Image.Image:
        decoded.append(data)
        return two_colours()

    monkeypatch.setattr(thumbnail, "decompress", decompress)
    for size, wanted, times in ((10, (10, 8), 0), (16, (16, 13), 0), (32, (16, 13), 0), (64, (64, 51), 1)):
        assert run("thumbnail", path, out, "--size", str(size)).exit_code == 0
        with Image.open(out) as image:
            assert (image.size, len(decoded)) == (wanted, times)


def test_a_second_run_that_asks_for_a_preview_adds_it(tmp_path: Path) -> None:
    path, packed = tmp_path / "a.png", tmp_path / "a.png.dz"
    two_colours().save(path)
    for options, there, redone in (
        ((), False, True),
        (("--preview",), True, True),
        (("--preview",), True, False),
        (("--no-preview",), True, False),  # one that is there does no harm
    ):
        before = packed.stat().st_ino if packed.exists() else None
        assert run("compress", "-e", "1", path, *options).exit_code == 0
        assert ((densezip.info(packed).preview > 0), packed.stat().st_ino != before) == (there, redone)
    assert "preview" in run("info", packed).stdout
    two_colours(20, 20).save(path)
    assert run("compress", "-f", "--preview", path).exit_code == 0
    assert "up to date" in run("compress", "--preview", path).stderr
    assert densezip.info(packed).preview == 0


def test_pillow_saves_one() -> None:
    import densezip.pillow

    file = BytesIO()
    two_colours().save(file, "DENSEZIP", effort=1, preview=True)
    assert densezip.preview(file.getvalue()) is not None


def test_a_model_of_ones_own_leaves_room_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LEAST_PIXELS", 0)
    model = GOLDEN / "mcgsm-grey.safetensors"
    grey = dead_leaves(12, 14, 1, 3)[:, :, 0]
    data = densezip.compress(grey, model=model, preview=True)
    assert densezip.preview(data) is not None
    np.testing.assert_array_equal(np.asarray(densezip.decompress(data, model=model)), grey)
