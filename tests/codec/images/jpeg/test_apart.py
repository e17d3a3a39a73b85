"""JPEG files taken apart into an outline and coefficients, and put together again."""

import contextlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from densezip.codec.errors import CorruptPayloadError, UnsupportedImageError
from densezip.codec.images.jpeg.apart import Outline, put_together, read_outline, take_apart
from densezip.codec.images.jpeg.describe import quality, sampling
from densezip.codec.images.jpeg.scans import Leftover
from jpegs import KINDS, USUAL, jpeg, rewritten, scan_of
from PIL import Image
from wholefile import mutated

LIMIT = 2**20
# Of 16 bits each for AC.
EVERY_SYMBOL = (*USUAL[:4], *(bytes(15) + bytes([255]) + bytes(range(255)),) * 4)


def comes_back(data: bytes) -> Outline:
    """Check that a file comes back from what a reader has of it."""
    outline, planes = take_apart(data, LIMIT)
    read = read_outline(outline.pack())
    assert read == outline
    assert put_together(read, planes, len(data)) == data
    return outline


def decodes(data: bytes) -> None:
    """Check that libjpeg takes a file that was made by hand for a sound one."""
    Image.open(BytesIO(data)).load()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("side", [1, 45])
def test_what_pillow_writes_comes_back(kind: str, mode: str, side: int) -> None:
    outline = comes_back(jpeg(mode, side, side + 16, **KINDS[kind]))
    assert all(left == Leftover() for left in outline.images[0].leftovers)


def test_scans_of_single_components_come_back() -> None:
    data = rewritten(jpeg(), [(scan_of([i]), Leftover()) for i in (1, 0, 2)])
    decodes(data)
    outline = comes_back(data)
    assert outline.images[0].frame.blocks(0) == (8, 6)
    both = rewritten(jpeg(), [(scan_of([0]), Leftover()), (scan_of([1, 2], interval=2), Leftover())])
    decodes(both)
    comes_back(both)


@pytest.mark.parametrize(
    "shape", [[(1, 1), (2, 2), (1, 1)], [(4, 1), (1, 1), (2, 1)], [(3, 2), (1, 2), (3, 1)], [(1, 4), (1, 1), (1, 2)]]
)
def test_any_sampling_comes_back(shape: list[tuple[int, int]]) -> None:
    comes_back(rewritten(jpeg(), [(scan_of([0, 1, 2]), Leftover())], sampling=shape))
    comes_back(rewritten(jpeg(), [(scan_of([i], interval=3), Leftover()) for i in range(3)], sampling=shape))


def test_padding_of_any_kind_comes_back() -> None:
    scan = scan_of([0, 1, 2], interval=2)
    zeros = comes_back(rewritten(jpeg(), [(scan, Leftover(padding=0))]))
    assert zeros.images[0].leftovers[0].padding == 0
    count = 6
    odd = Leftover(2, bytes(np.random.default_rng(0).integers(0, 256, count, np.uint8)))
    found = comes_back(rewritten(jpeg(), [(scan, odd)])).images[0].leftovers[0]
    assert found.padding == 2
    assert len(found.pads) == count


def test_fill_bytes_and_bytes_behind_scans_and_the_end_come_back() -> None:
    data = rewritten(
        jpeg(), [(scan_of([0, 1, 2]), Leftover())], before=b"\xff\xff", between=b"\xff\xd3\xff", behind=b"more"
    )
    outline = comes_back(data)
    assert outline.images[0].leftovers[0].tail == b"\xff\xd3\xff"
    assert outline.skeleton.endswith(b"\xff\xd9more")


def progressive(left: Leftover, low: int = 0) -> bytes:
    """A file of three scans, or of five that refine one another."""
    scans = [(scan_of([0, 1, 2], last=0, tables=EVERY_SYMBOL), Leftover())]
    scans += [(scan_of([0], first=1, low=low, tables=EVERY_SYMBOL), left)]
    if low:
        scans += [(scan_of([0], first=1, high=1, low=0, tables=EVERY_SYMBOL), left)]
    data: bytes = rewritten(jpeg(quality=60), scans)
    return data


@pytest.mark.parametrize("low", [0, 1])
def test_runs_of_empty_blocks_come_back_however_they_are_broken(low: int) -> None:
    ordinary = progressive(Leftover(), low)
    decodes(ordinary)
    assert all(left.runs == 1 for left in comes_back(ordinary).images[0].leftovers)
    # A picture without detail is one long run.
    flat = Image.new("L", (80, 80), 99)
    file = BytesIO()
    flat.save(file, "JPEG", progressive=True)
    comes_back(file.getvalue())
    for runs, broken in ((2, ()), (0, (3, 4, 9, 17))):
        scans = [
            (scan_of([0], last=0, tables=EVERY_SYMBOL), Leftover()),
            (scan_of([0], first=1, low=low, tables=EVERY_SYMBOL), Leftover(runs=runs, broken=broken)),
        ]
        data = rewritten(file.getvalue(), scans)
        decodes(data)
        left = comes_back(data).images[0].leftovers[1]
        assert (left.runs, left.broken) == (runs, broken)


def test_images_inside_and_behind_a_file_are_found() -> None:
    small, other = jpeg("L", 16, 24, quality=40), jpeg(height=20, progressive=True)
    main = jpeg()
    segment = b"\xff\xe1" + (2 + 6 + len(small)).to_bytes(2, "big") + b"Exif\0\0" + small
    data = main[:2] + segment + main[2:] + other + other[: len(other) // 2]
    outline = comes_back(data)
    assert [image.frame.height for image in outline.images] == [45, 16, 20]
    assert len(outline.skeleton) < len(data) - 900


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12 bits"),
        (lambda d: d.replace(b"\xff\xc0", b"\xff\xc9"), "arithmetic"),
        (lambda d: d.replace(b"\xff\xc0", b"\xff\xc3"), "lossless"),
        (lambda d: d[:-40] + d[-2:], "too early|other bits|out of range|no code"),
        (lambda d: d[:-2], "end is missing"),
        (lambda d: d.replace(b"\xff\xc4", b"\xff\xe4"), "table is missing"),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x2d\0\x3d", b"\xff\xc0\0\x11\x08\xff\xdc\xff\xdc"), "pixels"),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x2d\0\x3d", b"\xff\xc0\0\x11\x08\x03\xff\x03\xff"), "blocks"),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x2d", b"\xff\xc0\0\x11\x08\0\0"), "0 pixels"),
    ],
)
def test_a_file_that_would_not_come_back_is_refused_with_a_reason(change: object, reason: str) -> None:
    data = change(jpeg())  # type: ignore[operator]
    assert data != jpeg()
    with pytest.raises(UnsupportedImageError, match=reason):
        take_apart(data, LIMIT)


def test_damaged_files_come_back_or_are_refused() -> None:
    rng = np.random.default_rng(7)
    seeds = [jpeg(**KINDS[kind]) for kind in ("baseline", "progressive", "restarts")]
    back = 0
    for number in range(600):
        data = mutated(seeds[number % 3], rng)
        with contextlib.suppress(UnsupportedImageError):
            outline, planes = take_apart(data, LIMIT)
            assert put_together(outline, planes, len(data)) == data
            back += 1
    assert back > 40


def test_damaged_outlines_are_refused_or_make_other_files() -> None:
    rng = np.random.default_rng(8)
    for kind in ("baseline", "progressive and fine", "restarts"):
        data = jpeg(**KINDS[kind])
        outline, planes = take_apart(data, LIMIT)
        packed = replace(outline, skeleton=outline.skeleton + b"behind").pack()
        for _ in range(150):
            with contextlib.suppress(CorruptPayloadError):
                found = read_outline(mutated(packed, rng))
                shapes = [image.frame.blocks(i) for image in found.images for i in range(len(image.frame.components))]
                if shapes == [plane.shape[1::-1] for plane in planes[0]]:
                    put_together(found, planes, len(data))


def test_quality_and_sampling_are_those_that_pillow_was_asked_for() -> None:
    for wanted in (30, 50, 75, 92):
        assert quality(take_apart(jpeg(quality=wanted), LIMIT)[0].images[0].frame.steps[0]) == wanted
    names = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
    for number, name in names.items():
        assert sampling(take_apart(jpeg(subsampling=number), LIMIT)[0].images[0].frame) == name
    assert len(USUAL) == 8
