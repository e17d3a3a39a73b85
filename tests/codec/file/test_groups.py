"""Tiles of one message, in the order of pushing: they grow with it."""

from __future__ import annotations

import pytest
from densezip.codec.errors import CorruptPayloadError, TruncatedError
from densezip.codec.fields import Reader
from densezip.codec.file.chainparts import MOST_NEED, UNIT, Growth
from densezip.codec.file.container import boxes
from densezip.codec.file.groups import GROUP_PIXELS, area, groups_of, sides

SIZES = [(1, 1), (61, 97), (64, 64), (9, 300), (512, 768), (7, 7)]
GROWTHS = [
    None,
    Growth(1),
    Growth(12 * UNIT),
    Growth(5, 4),
    Growth(12 * UNIT, 8),
    Growth(3 * UNIT, 8, 20, 9, (12, 26)),
    Growth(MOST_NEED, 16, 255, 255, (8, 95)),
]


def as_it_is(height: int, width: int) -> tuple[int, int]:
    return height, width


def to_eights(height: int, width: int) -> tuple[int, int]:
    return -(-height // 8) * 8, -(-width // 8) * 8


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("fitted", [as_it_is, to_eights])
def test_every_pixel_is_in_one_tile_and_a_group_has_tiles_of_one_size(
    size: tuple[int, int], growth: Growth | None, fitted: object
) -> None:
    height, width = size
    assert callable(fitted)
    groups = groups_of(boxes(height, width, min(64, height), min(56, width)), growth, fitted)
    seen = [[0] * width for _ in range(height)]
    for group, _ in groups:
        assert len({sides(box) for box in group}) == 1
        for top, left, bottom, right in group:
            for y in range(top, bottom):
                seen[y][left:right] = [number + 1 for number in seen[y][left:right]]
    assert all(number == 1 for row in seen for number in row)


@pytest.mark.parametrize("growth", [Growth(5, 8, 3, 9), Growth(4 * UNIT, 8, 30, 7), Growth(4 * UNIT, 16, 20, 20)])
def test_a_group_borrows_no_more_than_those_before_it_brought(growth: Growth) -> None:
    brought = direct = 0
    for group in groups_of(boxes(512, 768, 64, 64), growth, as_it_is):
        total = sum(map(area, group.boxes))
        if group.direct:
            direct += total
            brought += total * growth.worth
        else:
            least = len(group.boxes) == 1 and total <= growth.side**2
            assert total * growth.need <= brought or least
            assert total <= GROUP_PIXELS
            brought += total * UNIT
    assert direct <= growth.direct * growth.side**2
    assert direct > (growth.direct - 1) * growth.side**2


def test_what_is_filled_up_borrows_too() -> None:
    groups = groups_of(boxes(61, 97, 61, 97), Growth(2 * UNIT, 4, 40), to_eights)
    brought = 0
    for group in groups:
        one = group.boxes[0]
        tall, wide = to_eights(*sides(one))
        assert group.direct or max(sides(one)) <= 4 or len(group.boxes) * tall * wide * 2 * UNIT <= brought
        brought += UNIT * sum(map(area, group.boxes))


def test_tiles_become_as_large_as_they_may_be() -> None:
    groups = groups_of(boxes(512, 768, 64, 64), Growth(2 * UNIT, 8, 2), as_it_is)
    assert area(groups[0].boxes[0]) == 128
    assert area(groups[-1].boxes[0]) == 64 * 64
    assert sum(len(group.boxes) for group in groups if area(group.boxes[0]) < 64 * 64) < 40


def test_without_borrowing_equal_tiles_are_one_group() -> None:
    groups = groups_of(boxes(100, 130, 64, 64), None, as_it_is)
    assert [[area(box) for box in group.boxes] for group in groups] == [[72], [128], [2304, 2304], [4096, 4096]]


def test_the_halves_of_a_tile_are_cut_at_multiples_of_the_least_side() -> None:
    for group, _ in groups_of(boxes(61, 97, 61, 56), Growth(MOST_NEED, 8), as_it_is):
        for top, left, bottom, right in group:
            assert top % 8 == 0
            assert (left if left < 56 else left - 56) % 8 == 0
            assert (bottom - top, right - left) != (61, 56)


@pytest.mark.parametrize("growth", [growth for growth in GROWTHS if growth])
def test_what_the_file_says_of_growth_is_read_again(growth: Growth) -> None:
    reader = Reader(memoryview(growth.to_bytes()), 0, TruncatedError)
    assert Growth.read(reader) == growth
    assert reader.left == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0", "borrow 0/16"),
        (b"\x81\x08\0", "borrow 1025/16"),
        (b"\1\1", r"sides of 2\^1"),
        (b"\1\x0a", r"sides of 2\^10"),
        (b"\1\3\1\0\x08\x08", "worth 0"),
        (b"\1\3\1\1\x07\x08", "scales 7 and 8"),
        (b"\1\3\1\1\x08\x60", "scales 8 and 96"),
    ],
)
def test_growth_that_no_encoder_writes_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(CorruptPayloadError, match=words):
        Growth.read(Reader(memoryview(data), 0, TruncatedError))
    for end in range(len(Growth(300, 8, 2).to_bytes())):
        with pytest.raises(TruncatedError):
            Growth.read(Reader(memoryview(Growth(300, 8, 2).to_bytes()[:end]), 0, TruncatedError))
