"""The loops for every generation of processors give the same bits, whatever the process did to its arithmetic."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from densezip.codec import native
from densezip.codec.entropy import portable
from densezip.codec.entropy.pmf import GaussianBins, GaussianMixture, LogisticMixture
from densezip.codec.entropy.rans import Message
from densezip.models import indexed
from densezip.models.training.leaves import dead_leaves
from torch import Tensor

LANES = 1029  # two blocks and some


def digest() -> str:
    """Of what all loops of the coding core and the coder of few colours make."""
    hashed = hashlib.sha256()
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    x = 300 * normal(2000)
    for function in (portable.exp, portable.sigmoid, portable.ndtr):
        hashed.update(function(x).numpy().tobytes())
    for function in (portable.log, portable.ndtri):
        hashed.update(function(torch.sigmoid(x / 40)).numpy().tobytes())
    symbols = torch.from_numpy(rng.integers(0, 256, LANES))
    logits, means, scales = normal(LANES, 3), 128 + 60 * normal(LANES, 3), (2 * normal(LANES, 3)).exp()
    scales[::7] = 2.0**1023  # their reciprocals are subnormal
    means[::14] = 2.0**1021
    message = Message.random(LANES, 5000)
    for pmf in (
        LogisticMixture(logits, means, scales, 256),
        GaussianMixture(logits, means, scales, 256, 11),
        GaussianBins(means[:, 0] / 64 - 2, scales[:, 0].clamp(max=1e9), 256),
    ):
        message.push(*pmf.interval(symbols), pmf.precision)
        found = pmf.locate(message.peek(pmf.precision))
        assert torch.equal(found, symbols)
        drawn = pmf.locate(torch.from_numpy(rng.integers(0, 1 << pmf.precision, LANES)))
        message.push(*pmf.interval(drawn), pmf.precision)
        hashed.update(message.to_bytes())
        message.pop(*pmf.interval(drawn), pmf.precision)
    hashed.update(message.to_bytes())
    hashed.update(indexed.encode_tile(dead_leaves(1, 40, 1)[0, 0, :, :, None] // 16, lambda _: None))
    return hashed.hexdigest()


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest as this process has it."""
    return digest()


@pytest.mark.parametrize("level", sorted(native.LEVELS))
def test_every_level_of_kernels_gives_the_same_bits(level: str, expected: str) -> None:
    command = [sys.executable, __file__]
    environment = {**os.environ, "DENSEZIP_KERNELS": level}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == [str(min(native.LEVELS[level], native.level())), expected]


@pytest.fixture
def flushed() -> Iterator[None]:
    """A process that lets subnormal numbers count as zero."""
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("flushed")
def test_subnormal_numbers_are_not_flushed(expected: str) -> None:
    smallest = torch.full((1,), 2.0**-1022, dtype=torch.float64)
    assert float(smallest * 0.5) == 0
    assert digest() == expected
    assert float(smallest * 0.5) == 0  # as it was before


UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}
"""FE_UPWARD of the C library."""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the rounding mode is set as the C library of Linux has it"
)
def test_the_rounding_mode_is_to_nearest_and_then_as_it_was() -> None:
    library, upward = ctypes.CDLL(None), UPWARD[os.uname().machine]
    x = torch.linspace(0.01, 0.49, 5001, dtype=torch.float64)
    functions = (portable.exp, portable.log, portable.sigmoid, portable.ndtr, portable.ndtri)
    before = [function(x) for function in functions]
    pmf = LogisticMixture(x[:, None], 128 + x[:, None], x[:, None], 256)
    symbols = torch.full((len(x),), 128)
    interval = pmf.interval(symbols)
    message, other = Message(len(x)), Message(len(x))
    message.push(*interval, pmf.precision)
    try:
        assert library.fesetround(upward) == 0
        after = [function(x) for function in functions]
        again = pmf.interval(symbols)
        other.push(*interval, pmf.precision)
        mode = library.fegetround()
    finally:
        library.fesetround(0)
    assert mode == upward
    for one, two in zip((*before, *interval), (*after, *again), strict=True):
        assert torch.equal(one, two)
    assert message.to_bytes() == other.to_bytes()


if __name__ == "__main__":
    print(native.level(), digest())
