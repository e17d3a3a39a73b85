"""Normal distributions on cells of a coarse grid."""

from __future__ import annotations

import math

import pytest
import torch
from densezip.codec.entropy.cells import NormalCells
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import DistributionError, SymbolError
from laws import check_codec

MEANS = torch.linspace(-300, 300, 301, dtype=torch.float64)
SCALES = 2 + 4 * torch.rand(301, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def drawn() -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.floor(MEANS + SCALES * torch.randn(301, generator=random, dtype=torch.float64)).long()


def test_cells_cost_their_density() -> None:
    cells = drawn()
    white = (cells + 0.5 - MEANS) / SCALES
    nats = 0.5 * white.square() + torch.log(SCALES) + 0.5 * math.log(2 * math.pi)
    net = check_codec(NormalCells(MEANS, SCALES, 80), cells, 8)
    assert net == pytest.approx(float(nats.sum()) / math.log(2), rel=2e-3)


def test_cells_far_from_the_window_come_back() -> None:
    cells = drawn().view(7, 43)
    cells[0, 3], cells[2, 5], cells[6, 42] = cells[0, 3] + 41, cells[2, 5] - 9000, cells[6, 42] + 10**6
    check_codec(NormalCells(MEANS.view(7, 43), SCALES.view(7, 43), 80), cells, 8)


def test_what_cannot_be_coded_is_refused_before_anything_is_pushed() -> None:
    message = Message.random(8, 100)
    before = message.to_bytes()
    with pytest.raises(SymbolError, match="steps beyond a window of 80"):
        NormalCells(MEANS, SCALES, 80).push(message, drawn() + 10**8)
    with pytest.raises(SymbolError, match="cells"):
        NormalCells(MEANS, SCALES, 80).push(message, drawn()[:5])
    assert message.to_bytes() == before
    for means, scales in ((MEANS * math.nan, SCALES), (MEANS, 0 * SCALES), (MEANS * 1e12, SCALES)):
        with pytest.raises(DistributionError, match="at 0 of 301"):
            NormalCells(means, scales, 80)
