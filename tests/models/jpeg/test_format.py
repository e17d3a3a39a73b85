"""Second decoders, written from the description of the format, give what the first ones do."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import densezip
import numpy as np
import pytest
import second_history
import second_jpeg
from densezip.codec.file import recoding
from densezip.codec.file.container import Payload, parse
from densezip.codec.images.history.decoder import Canvas, samples_of
from densezip.codec.images.history.undo import History, decode
from densezip.codec.images.jpeg.habits import standard_steps
from densezip.codec.images.jpeg.scans import Leftover
from densezip.models.jpeg.coder import coder_for_effort
from densezip.models.jpeg.tile import decode_tile, encode_tile
from jpegs import KINDS, USUAL, jpeg, rewritten, scan_of
from PIL import Image
from second_coefficients import ZIGZAG

# Of 16 bits each for AC.
FULL = (*USUAL[:4], *(bytes(15) + bytes([255]) + bytes(range(255)),) * 4)


def _second(packed: bytes) -> bytes:
    container = parse(packed)
    assert container.header.payload is Payload.JPEG
    tiles = [bytes(container.tile(number)) for number in range(container.header.tiles)]
    return bytes(second_jpeg.decode(container.header.model, tiles))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_decoder_writes_files_of_every_kind(kind: str) -> None:
    data = jpeg("RGB", 17, 35, **KINDS[kind])
    assert _second(densezip.compress(data, effort=1)) == data


@pytest.mark.parametrize("effort", [1, 5, 9])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_second_decoder_decodes_every_model(mode: str, effort: int) -> None:
    data = jpeg(mode, 17, 24) if mode == "CMYK" else jpeg(mode, 33, 45)
    assert _second(densezip.compress(data, effort=effort)) == data


def _other_bytes() -> list[bytes]:
    """Files with all that a scan's bytes may say beside its coefficients."""
    scan = scan_of([0, 1, 2], interval=2)
    flat = BytesIO()
    Image.new("L", (80, 80), 99).save(flat, "JPEG", progressive=True)
    runs = [
        rewritten(
            flat.getvalue(),
            [(scan_of([0], last=0, tables=FULL), Leftover()), (scan_of([0], first=1, tables=FULL), left)],
        )
        for left in (Leftover(runs=2), Leftover(runs=0, broken=(3, 9)))
    ]
    small = jpeg("L", 12, 14)
    segment = b"\xff\xe1" + (2 + len(small)).to_bytes(2, "big") + small
    data = jpeg(height=20, width=30)
    return [
        *runs,
        rewritten(data, [(scan, Leftover(2, bytes([9, 38])))], between=b"\xff\xd3", behind=b"more"),
        rewritten(data, [(scan_of([i]), Leftover(padding=0)) for i in (1, 0, 2)], before=b"\xff\xff"),
        data[:2] + segment + data[2:] + jpeg(height=9, progressive=True),
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_second_decoder_writes_odd_bytes_thumbnails_and_what_follows_an_image(number: int) -> None:
    data = _other_bytes()[number]
    assert _second(densezip.compress(data, effort=1)) == data


def test_a_second_decoder_finds_the_rows_of_every_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(height=90, width=24) + jpeg("L", 41, 30)
    monkeypatch.setattr(recoding, "SEGMENT_BYTES", len(data) // 4)
    packed = densezip.compress(data, effort=1)
    assert parse(packed).header.segments == 4
    assert _second(packed) == data


def _history(across: int, down: int, channels: int, seed: int) -> tuple[History, Any]:
    """What a JPEG file of noise held, of which a part is shown; samples and pixels differ here and there."""
    rng = np.random.default_rng(seed)
    height, width, top, left = 29, 37, 5 * (seed % 2), 11 * (seed % 2)
    canvas = Canvas(top + height + 3, left + width, top, left, across, down)
    own = np.full(64, 255, np.int32) if seed % 3 == 0 else _standard(75, chroma=False)
    steps = (own, *[_standard(60, chroma=True)] * 2)[:channels]
    planes, samples = [], []
    for number, table in enumerate(steps):
        rows, columns = canvas.coarse() if number else (canvas.height, canvas.width)
        size = 9 / (1 + np.arange(64) // 8 + np.arange(64) % 8)
        plane = np.rint(rng.laplace(0, 1, (-(-rows // 8), -(-columns // 8), 64)) * size).astype(np.int16)
        made = samples_of(plane, table)[0]
        planes.append(plane)
        samples.append(made + _sparse(made.shape, rng))
    pixels = decode(canvas, samples, height, width)
    return History(canvas, steps, tuple(planes), tuple(samples)), pixels + _sparse(pixels.shape, rng)


def _sparse(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    return (rng.integers(0, 256, shape) * (rng.random(shape) < 0.02)).astype(np.uint8)


def _standard(quality: int, *, chroma: bool) -> Any:
    table = np.zeros(64, np.int32)
    table[ZIGZAG] = list(standard_steps(quality, chroma=chroma))
    return table


@pytest.mark.parametrize(
    ("across", "down", "channels", "seed"),
    [(1, 1, 1, 1), (1, 1, 3, 2), (2, 1, 3, 3), (1, 2, 3, 4), (2, 2, 3, 5), (2, 2, 3, 6)],
)
def test_a_second_decoder_gives_the_same_pixels_of_a_history(across: int, down: int, channels: int, seed: int) -> None:
    history, pixels = _history(across, down, channels, seed)
    tile = encode_tile(pixels, history, coder_for_effort(5), lambda _: None)
    assert np.array_equal(decode_tile(tile, pixels.shape, lambda _: None), pixels)
    assert np.array_equal(second_history.decode(tile, *pixels.shape), pixels)


def test_a_second_decoder_gives_three_channels_that_are_alike() -> None:
    history, grey = _history(1, 1, 1, 7)
    pixels = grey.repeat(3, 2)
    tile = encode_tile(pixels, history, coder_for_effort(1), lambda _: None)
    assert np.array_equal(second_history.decode(tile, *pixels.shape), pixels)


@pytest.mark.parametrize(("channels", "copies"), [(1, 1), (1, 3), (3, 1)])
def test_a_second_decoder_gives_alpha(channels: int, copies: int) -> None:
    history, colours = _history(1, 1, channels, 7)
    alpha = np.arange(colours[..., :1].size).reshape(*colours.shape[:2], 1) % 251 // 50
    pixels = np.concatenate([colours.repeat(copies, 2), alpha.astype(np.uint8)], 2)
    tile = encode_tile(pixels, history, coder_for_effort(1), lambda _: None)
    assert np.array_equal(decode_tile(tile, pixels.shape, lambda _: None), pixels)
    assert np.array_equal(second_history.decode(tile, *pixels.shape), pixels)
