"""Flows of several scales: latents that leave early."""

from __future__ import annotations

import torch
from densezip.codec.entropy.bijections import Affine, coupling, shifted
from densezip.codec.entropy.grid import GaussianGrid
from densezip.codec.entropy.localbitsback import Composition, Grid
from densezip.codec.entropy.scales import part
from laws import check_codec
from torch import Tensor

GRID = Grid()


def _inner(known: Tensor) -> Affine:
    wide = known.flatten(1)
    return Affine(torch.sin(wide[:, 2:4]), torch.exp(0.5 * torch.cos(wide[:, 2:4])))


def test_a_part_keeps_the_law_and_leaves_the_rest_alone() -> None:
    torch.manual_seed(0)
    layers = [coupling(slice(0, 2), _inner), shifted(slice(2, 4), lambda known: known[:, :2].flatten(1) ** 2)]
    flow = part(Composition(layers), 4)
    x = torch.randn(30, 6, dtype=torch.float64)
    z = flow.forward(x)
    assert torch.equal(z[:, 4:], x[:, 4:])
    assert not torch.allclose(z[:, :4], x[:, :4])
    assert torch.allclose(flow.inverse(z), x, rtol=0, atol=1e-12)
    zeros = torch.zeros(30, 6, dtype=torch.float64)
    prior = GaussianGrid(zeros, torch.ones_like(zeros), GRID.bits)
    check_codec(flow.codec(prior, GRID), torch.floor(x * 2**GRID.bits).long(), 10)


def test_a_part_of_a_part_keeps_it_too() -> None:
    torch.manual_seed(1)
    flow = part(Composition([part(shifted(slice(0, 1), lambda known: known[:, 1:2]), 2)]), 3)
    x = torch.randint(-(2**26), 2**26, (20, 5))
    zeros = torch.zeros(20, 5, dtype=torch.float64)
    check_codec(flow.codec(GaussianGrid(zeros, zeros + 1, GRID.bits), GRID), x, 7)
