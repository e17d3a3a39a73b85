"""JPEG files as .dz files: byte for byte, bounded, and in segments that do not depend on one another."""

import contextlib
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import densezip
import numpy as np
import pytest
from densezip.codec.file import recoding
from densezip.codec.file.container import Payload, parse, serialise
from densezip.codec.file.recoding import segments_of
from densezip.codec.images.jpeg.apart import take_apart
from densezip.codec.images.jpeg.frame import follow
from jpegs import KINDS, jpeg
from PIL import Image
from wholefile import mutated


@pytest.mark.parametrize("effort", [1, 5, 9])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_file_is_recoded_and_comes_back(effort: int, mode: str) -> None:
    for kind in ("baseline", "progressive and fine", "restarts"):
        data = jpeg(mode, **KINDS[kind])
        coded = densezip.compress(data, effort=effort)
        assert len(coded) < len(data)
        assert densezip.export(coded) == (data, "jpg", ())
        about = densezip.verify(coded, original=data)
        assert (about.payload, about.model, about.exact) == ("jpeg", f"jpeg-{effort}", "file")
        assert (about.width, about.height, about.lossy_source) == (61, 45, True)


def test_a_jpeg_file_can_be_exported_as_pixels() -> None:
    data = jpeg(comment=b"a word")
    coded = densezip.compress(data)
    found = densezip.export(coded, "png")
    with Image.open(BytesIO(found.data)) as again, Image.open(BytesIO(data)) as before:
        assert np.array_equal(np.asarray(again), np.asarray(before))
        assert "a word" in again.info.values()
    assert found.lost == ()
    image = densezip.decompress(coded)
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(BytesIO(data))))


def test_info_says_what_kind_of_jpeg_file_it_was() -> None:
    about = densezip.info(densezip.compress(jpeg(quality=85, subsampling=1, progressive=True)))
    assert about.jpeg == "quality 85, 4:2:2, progressive"
    assert densezip.info(densezip.compress(jpeg("CMYK"))).mode == ""
    assert densezip.info(densezip.compress(jpeg(quality=85) + jpeg("L"))).jpeg == (
        "quality 85, 4:2:0, sequential, 1 more images inside"
    )


def test_damaged_files_are_kept_with_a_reason() -> None:
    data = jpeg()
    for damaged in (data[:3], data[:100], data[:-2], data.replace(b"\xff\xc4", b"\0\xc4", 1)):
        notices: list[str] = []
        kept = densezip.compress(damaged, notice=notices.append)
        assert densezip.info(kept).payload == "file"
        assert densezip.export(kept).data == damaged
        assert notices[0].startswith("kept whole: a JPEG file that would not come back: ")
        with pytest.raises(densezip.UnreadableImageError):
            densezip.compress(damaged, strip=True)


def test_what_would_not_come_back_is_kept_with_a_reason() -> None:
    said: list[str] = []
    data = jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")
    coded = densezip.compress(data, notice=said.append)
    assert densezip.export(coded).data == data
    assert densezip.info(coded).payload == "file"
    assert said == ["kept whole: a JPEG file that would not come back: 12 bits per sample"]


def test_segments_do_not_depend_on_one_another_or_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(height=200, width=120, quality=90) + jpeg("L", 64, 64)
    alone = densezip.compress(data)
    monkeypatch.setattr(recoding, "SEGMENT_BYTES", len(data) // 4)
    coded = densezip.compress(data, threads=1)
    assert densezip.info(coded).tiles == 4
    assert densezip.compress(data, threads=3) == coded
    assert densezip.export(coded, threads=1).data == densezip.export(coded, threads=3).data == data
    assert len(alone) < len(coded) < 1.5 * len(alone)


@pytest.mark.parametrize("count", [1, 2, 5, 19])
def test_segments_share_out_every_row_once(count: int) -> None:
    frames = [follow(jpeg(height=height, width=width), 0) for height, width in ((300, 40), (16, 16), (90, 200))]
    segments = segments_of(frames, count)
    assert len(segments) == count
    for image, frame in enumerate(frames):
        rows = [y for parts in segments for part in parts if part.image == image for y in range(part.first, part.last)]
        assert rows == list(range(-(-frame.height // 16)))


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])
def test_every_level_of_kernels_writes_the_same_bytes(level: str, tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(jpeg(height=100, width=150, quality=90))
    script = "import sys, densezip; sys.stdout.buffer.write(densezip.compress(sys.argv[1], effort=int(sys.argv[2])))"
    for effort in (1, 9):
        done = subprocess.run(
            [sys.executable, "-c", script, str(source), str(effort)],
            env={**os.environ, "DENSEZIP_KERNELS": level},
            capture_output=True,
            check=True,
        )
        assert done.stdout == densezip.compress(source, effort=effort)


def test_a_segment_that_goes_on_behind_its_bytes_is_refused_long_before_its_end() -> None:
    coded = parse(densezip.compress(jpeg(height=400, width=2000), effort=1))
    segment = bytes(coded.tile(1))
    advanced: list[float] = []
    short = serialise(coded.header, [bytes(coded.tile(0)), segment[: len(segment) // 10]])
    with pytest.raises(densezip.FormatError, match="goes on behind"):
        densezip.export(short, progress=advanced.append)
    assert max(advanced, default=0) < 0.5


def test_the_limit_is_that_of_all_images_in_a_file() -> None:
    both = jpeg() + jpeg(seed=1)
    assert len(take_apart(both, 2 * 45 * 61)[0].images) == 2
    assert len(take_apart(both, 2 * 45 * 61 - 1)[0].images) == 1
    coded = densezip.compress(both, effort=1)
    assert densezip.export(coded, max_pixels=2 * 45 * 61).data == both
    with pytest.raises(densezip.LimitError, match="5490 pixels; the limit is 5489"):
        densezip.export(coded, max_pixels=2 * 45 * 61 - 1)


def test_a_bomb_is_refused_before_anything_is_allocated() -> None:
    data = jpeg().replace(b"\xff\xc0\0\x11\x08\0\x2d\0\x3d", b"\xff\xc0\0\x11\x08\xff\xdc\xff\xdc")
    small = jpeg().replace(b"\xff\xc0\0\x11\x08\0\x2d\0\x3d", b"\xff\xc0\0\x11\x08\x1f\xff\x1f\xff")
    tracemalloc.start()
    with pytest.raises(densezip.LimitError):
        densezip.compress(data)
    for bomb in (data, small):
        with pytest.raises(densezip.UnsupportedImageError):
            take_apart(bomb, 2**40)
        kept = densezip.compress(bomb, max_pixels=2**40)
        assert densezip.export(kept).data == bomb
        with pytest.raises(densezip.UnsupportedImageError, match=r"in [0-9]+ bytes"):
            densezip.decompress(kept, max_pixels=2**40)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_a_header_that_lies_is_refused_before_anything_is_allocated() -> None:
    coded = parse(densezip.compress(jpeg(), effort=1))
    tiles = [bytes(coded.tile(number)) for number in range(2)]
    for change in ({"width": 60}, {"length": 10}, {"length": 2**50}, {"segments": 0}, {"digest": b"1234"}):
        header = replace(coded.header, **change)
        lying = serialise(header, tiles[: header.tiles])
        tracemalloc.start()
        with pytest.raises(densezip.DensezipError):
            densezip.export(lying)
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()


def test_damaged_tiles_lead_to_named_errors() -> None:
    rng = np.random.default_rng(5)
    for kind in ("baseline", "progressive", "restarts"):
        data = jpeg(**KINDS[kind])
        coded = parse(densezip.compress(data, effort=1))
        assert coded.header.payload is Payload.JPEG
        for number in range(60):
            tiles = [bytes(coded.tile(0)), bytes(coded.tile(1))]
            tiles[number % 2] = mutated(tiles[number % 2], rng)
            with contextlib.suppress(densezip.FormatError):
                assert densezip.export(serialise(coded.header, tiles)).data == data
