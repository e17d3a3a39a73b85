"""Images that are coded by their neighbours alone."""

import math
from itertools import pairwise

import pytest
import torch
from densezip.codec.entropy.neighbours import ByNeighbours, scale_of, step_for
from densezip.codec.entropy.rans import Message
from laws import check_codec
from leaves import dead_leaves
from torch import Tensor

STEPS = range(8, 96)


def images(channels: int, height: int, width: int) -> Tensor:
    return torch.stack(
        [torch.from_numpy(dead_leaves(height, width, channels, seed)).permute(2, 0, 1) for seed in range(2)]
    ).long()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("lanes", [1, 5])
def test_images_come_back(size: tuple[int, int], channels: int, lanes: int) -> None:
    x = images(channels, *size)
    check_codec(ByNeighbours((*x.shape,), 256, (20, 15)), x, lanes)


def test_a_slope_is_expected_to_go_on() -> None:
    y, x = torch.arange(6)[:, None], torch.arange(6)
    slope = (3 * y + 5 * x + 20).expand(1, 1, 6, 6).long()
    first, _ = ByNeighbours((1, 1, 6, 6), 256, (0, 0)).distances(slope)
    apart = torch.cat([torch.zeros(1), first]).view(6, 6)
    assert apart[0, 1:].tolist() == [5] * 5
    assert apart[1:, 0].tolist() == [3] * 5
    assert torch.equal(apart[1:, 1:], torch.full((5, 5), 3.0))  # the plane is above both, and the median is the left


def test_the_scales_that_fit_take_less_than_others() -> None:
    x = images(3, 16, 16)
    shape = (*x.shape,)
    first, others = (step_for(float(part.mean()), STEPS) for part in ByNeighbours(shape, 256, (0, 0)).distances(x))

    def bits(steps: tuple[int, int]) -> float:
        message = Message.lending(4)
        ByNeighbours(shape, 256, steps).push(message, x)
        return message.bits - message.lent

    fitted = bits((first, others))
    assert fitted < bits((first + 12, others))
    assert fitted < bits((first, others + 12))
    assert fitted < 6 * x.numel()


def test_scales_grow_by_at_most_an_eighth_and_are_found_again() -> None:
    scales = [scale_of(step) for step in STEPS]
    assert (scales[0], scales[-1]) == (0.25, 480)
    assert all(1 < b / a <= 1.125 for a, b in pairwise(scales))
    assert [step_for(2 * math.log(2) * scale, STEPS) for scale in scales] == list(STEPS)
