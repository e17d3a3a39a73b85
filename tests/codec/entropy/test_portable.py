"""The arithmetic of distributions: accurate, and the same bits compiled and by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from densezip.codec.entropy import lanes, pmf, portable, rans
from torch import Tensor

RANGES = {
    "exp": torch.linspace(-800, 800, 40_001, dtype=torch.float64),
    "log": torch.exp(torch.linspace(-600, 600, 40_001, dtype=torch.float64)),
    "sigmoid": torch.linspace(-800, 800, 40_001, dtype=torch.float64),
    "ndtr": torch.linspace(-45, 45, 40_001, dtype=torch.float64),
    "ndtri": torch.cat(
        [torch.logspace(-200, -1, 20_000, dtype=torch.float64), torch.linspace(0.001, 0.999999, 20_000)]
    ),
}
EXACT: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": lambda x: torch.exp(x.clamp(-700, 700)),
    "log": torch.log,
    "sigmoid": torch.sigmoid,
    "ndtr": torch.special.ndtr,
    "ndtri": torch.special.ndtri,
}


@pytest.mark.parametrize(
    ("name", "relative", "absolute"),
    [("exp", 2e-14, 0), ("log", 1e-15, 1e-15), ("sigmoid", 2e-14, 1e-300), ("ndtr", 0, 3e-15), ("ndtri", 0, 1e-7)],
)
def test_functions_are_as_accurate_as_stated(name: str, relative: float, absolute: float) -> None:
    found, exact = getattr(portable, name)(RANGES[name]), EXACT[name](RANGES[name])
    assert ((found - exact).abs() <= relative * exact.abs() + absolute).all()


def test_quantiles_that_coders_use_are_accurate() -> None:
    p = torch.logspace(-7, -0.30103, 5000, dtype=torch.float64)
    assert (portable.ndtri(p) - torch.special.ndtri(p)).abs().max() <= 2e-11


@pytest.mark.parametrize("name", RANGES)
def test_compiled_functions_give_the_bits_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, x = getattr(portable, name), RANGES[name]
    compiled = function(x)
    monkeypatch.setattr(lanes, "served", lambda _: False)
    assert torch.equal(compiled.view(torch.int64), function(x).view(torch.int64))


@pytest.mark.parametrize("count", [0, 1, 3, 17])
def test_functions_keep_the_shape_and_serve_what_is_not_contiguous(count: int) -> None:
    x = torch.randn(3, count, 2, dtype=torch.float64).transpose(0, 2)
    assert torch.equal(portable.exp(x).reshape(-1), portable.exp(x.reshape(-1)))
    assert portable.exp(x).shape == (2, count, 3)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("kind", [pmf.LogisticMixture, pmf.GaussianMixture, pmf.GaussianBins])
def test_compiled_distributions_and_messages_give_the_bits_of_torch(
    kind: Any, components: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on other devices are operations of torch: here on the CPU."""
    count, generator = 1500, torch.Generator().manual_seed(components)

    def normal() -> Tensor:
        return torch.randn(count, components, generator=generator, dtype=torch.float64)

    logits, means, scales = normal(), 128 + 60 * normal(), torch.exp(2 * normal())
    symbols = torch.randint(0, 256, (count,), generator=generator)
    parameters = (means[:, 0] / 64 - 2, scales[:, 0]) if kind is pmf.GaussianBins else (logits, means, scales)

    def run() -> bytes:
        message, made = rans.Message(count), kind(*parameters, 256)
        for _ in range(3):
            start, freq = made.interval(symbols)
            message.push(start, freq, made.precision)
        data = message.to_bytes()
        assert torch.equal(made.locate(message.peek(made.precision)), symbols)
        start, freq = made.interval(symbols)
        message.pop(start, freq, made.precision)
        return data + message.to_bytes()

    compiled = run()
    monkeypatch.setattr(lanes, "served", lambda _: False)
    assert run() == compiled
