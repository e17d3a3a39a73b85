"""Tiles of one message, in the order of pushing: they grow with it."""

import pytest
from densezip.codec.file.chained import GROUP_PIXELS, groups_of
from densezip.codec.file.chainparts import MOST_NEED, NEED_UNIT
from densezip.codec.file.container import Box, boxes

SIZES = [(1, 1), (61, 97), (64, 64), (9, 300), (512, 768), (7, 7)]


def area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("need", [0, 1, 5, 12 * NEED_UNIT, MOST_NEED])
@pytest.mark.parametrize("least", [None, 8, 16])
def test_every_pixel_is_in_one_tile_and_a_group_has_tiles_of_one_size(
    size: tuple[int, int], need: int, least: int | None
) -> None:
    height, width = size
    groups = groups_of(boxes(height, width, min(64, height), min(56, width)), need, least)
    seen = [[0] * width for _ in range(height)]
    for group, _ in groups:
        assert len({(bottom - top, right - left) for top, left, bottom, right in group}) == 1
        for top, left, bottom, right in group:
            for y in range(top, bottom):
                seen[y][left:right] = [number + 1 for number in seen[y][left:right]]
    assert all(number == 1 for row in seen for number in row)


@pytest.mark.parametrize("need", [5, 12 * NEED_UNIT, MOST_NEED])
def test_a_group_borrows_no_more_than_those_before_it_brought(need: int) -> None:
    pushed = 0
    for group, direct in groups_of(boxes(512, 768, 64, 64), need, 8):
        total = sum(area(box) for box in group)
        assert direct == (total * need > pushed * NEED_UNIT)
        assert not direct or (len(group) == 1 and total <= 64)
        assert total <= GROUP_PIXELS
        pushed += total


def test_tiles_become_as_large_as_they_may_be() -> None:
    groups = groups_of(boxes(512, 768, 64, 64), 2 * NEED_UNIT, 8)
    assert area(groups[0].boxes[0]) == 64
    assert area(groups[-1].boxes[0]) == 64 * 64
    assert sum(len(group.boxes) for group in groups if area(group.boxes[0]) < 64 * 64) < 40


def test_without_borrowing_equal_tiles_are_one_group() -> None:
    groups = groups_of(boxes(100, 130, 64, 64), 0, None)
    assert [[area(box) for box in group.boxes] for group in groups] == [[72], [128], [2304, 2304], [4096, 4096]]


def test_the_halves_of_a_tile_are_cut_at_multiples_of_the_least_side() -> None:
    for group, _ in groups_of(boxes(61, 97, 61, 56), MOST_NEED, 8):
        for top, left, bottom, right in group:
            assert top % 8 == 0
            assert (left if left < 56 else left - 56) % 8 == 0
            assert (bottom - top, right - left) != (61, 56)


@pytest.mark.parametrize("side", [8, 32, 100])
def test_no_more_than_an_eighth_of_a_picture_is_coded_without_the_model(side: int) -> None:
    groups = groups_of(boxes(side, side, side, side), MOST_NEED, 8)
    direct = sum(area(box) for group in groups if group.direct for box in group.boxes)
    assert direct <= side * side // 8
    assert (direct > 0) == (side > 8)
