"""The coding core: speed against constriction, and what coding costs over the ideal.

    python benchmarks/coding.py --json coding.json

Every speed is a ratio against the peer in the same run, on the same symbols and distributions; every stream is decoded
and compared.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import constriction
import numpy as np
import torch
from densezip.codec import (
    BitsBack,
    FromPmf,
    GaussianBins,
    GaussianMixture,
    Independent,
    LogisticMixture,
    Message,
    Uniform,
)
from torch import Tensor

LANES = 1024
PUSHES = 200
SIZE = 256
BINS = 1 << 12
MIXTURE_SYMBOLS = 10**6
CHAINED_IMAGES, PIXELS = 100, 784


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _gaussians(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means, standard deviations and drawn symbols of `count` lanes; scales as photographs have them."""
    means = SIZE * (0.1 + 0.8 * torch.rand(count, generator=generator, dtype=torch.float64))
    scales = torch.exp(3 * torch.rand(count, generator=generator, dtype=torch.float64))
    drawn = means + scales * torch.randn(count, generator=generator, dtype=torch.float64)
    return means, scales, drawn.round().clamp(0, SIZE - 1).long()


def speed() -> dict[str, float]:
    """Symbols a second of a message, and of constriction one by one and all in one call."""
    generator = torch.Generator().manual_seed(0)
    batches = [_gaussians(generator, LANES) for _ in range(PUSHES)]
    message, popped = Message(LANES), []

    def codec(means: Tensor, scales: Tensor) -> FromPmf:
        zero = torch.zeros(LANES, 1, dtype=torch.float64)
        return FromPmf(GaussianMixture(zero, means[:, None], scales[:, None], SIZE))

    def ours() -> None:
        for means, scales, symbols in batches:
            codec(means, scales).push(message, symbols)
        for means, scales, _ in reversed(batches):
            popped.append(codec(means, scales).pop(message))

    family = constriction.stream.model.QuantizedGaussian(0, SIZE - 1)
    arrays = [(s.numpy().astype(np.int32), m.numpy(), d.numpy()) for m, d, s in batches]

    def vectorised() -> None:
        coder = constriction.stream.stack.AnsCoder()
        for symbols, means, scales in arrays:
            coder.encode_reverse(symbols, family, means, scales)
        for symbols, means, scales in reversed(arrays):
            if not (coder.decode(family, means, scales) == symbols).all():
                raise AssertionError

    few = arrays[: max(1, PUSHES // 20)]

    def one_by_one() -> None:
        coder = constriction.stream.stack.AnsCoder()
        for symbols, means, scales in few:
            for symbol, mean, scale in zip(symbols.tolist(), means.tolist(), scales.tolist(), strict=True):
                coder.encode_reverse(symbol, constriction.stream.model.QuantizedGaussian(0, SIZE - 1, mean, scale))
        for symbols, means, scales in reversed(few):
            for symbol, mean, scale in list(zip(symbols.tolist(), means.tolist(), scales.tolist(), strict=True))[::-1]:
                if coder.decode(constriction.stream.model.QuantizedGaussian(0, SIZE - 1, mean, scale)) != symbol:
                    raise AssertionError

    rates = {}
    for name, run, batch_count in (
        ("densezip", ours, PUSHES),
        ("call", vectorised, PUSHES),
        ("loop", one_by_one, len(few)),
    ):
        rates[name] = 2 * LANES * batch_count / _seconds(run)
    for found, (_, _, symbols) in zip(popped, reversed(batches), strict=True):
        if not torch.equal(found, symbols):
            raise AssertionError
    return rates


def over_ideal() -> float:
    """Coded bits over the model's own, of a million samples with a mixture of five logistic distributions each."""
    generator = torch.Generator().manual_seed(1)
    n = MIXTURE_SYMBOLS
    symbols = _gaussians(generator, n)[2]
    logits = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    means = symbols[:, None] + 6 * torch.randn(n, 5, generator=generator, dtype=torch.float64)
    scales = torch.exp(torch.randn(n, 5, generator=generator, dtype=torch.float64))
    weights = torch.softmax(logits, -1)
    lower = torch.where(symbols[:, None] > 0, torch.sigmoid((symbols[:, None] - 0.5 - means) / scales), 0.0)
    upper = torch.where(symbols[:, None] < SIZE - 1, torch.sigmoid((symbols[:, None] + 0.5 - means) / scales), 1.0)
    ideal = -float(torch.log2((weights * (upper - lower)).sum(-1)).sum())
    message = Message(LANES)
    codec = Independent(lambda a, b: LogisticMixture(logits[a:b], means[a:b], scales[a:b], SIZE), n)
    codec.push(message, symbols)
    coded = message.bits
    if not torch.equal(codec.pop(message), symbols):
        raise AssertionError
    return coded / ideal


def bits_back_over_bound() -> float:
    """Net bits of images chained in one message over the exact bound, by a linear Gaussian model of each pixel."""
    spread, noise = 8.0, 2.0
    scale = math.hypot(spread, noise)
    generator = torch.Generator().manual_seed(2)
    data = 128 + scale * torch.randn(CHAINED_IMAGES, PIXELS, generator=generator, dtype=torch.float64)
    data = data.round().clamp(0, SIZE - 1).long()

    def likelihood(latent: Tensor) -> FromPmf:
        mean = (128 + spread * GaussianBins.values(latent, BINS))[:, None]
        return FromPmf(GaussianMixture(torch.zeros_like(mean), mean, torch.full_like(mean, noise), SIZE))

    def posterior(symbols: Tensor) -> FromPmf:
        variance = 1 / (1 + spread**2 / noise**2)
        mean = variance * spread / noise**2 * (symbols.double() - 128)
        return FromPmf(GaussianBins(mean, torch.full_like(mean, math.sqrt(variance)), BINS))

    cdf = torch.special.ndtr((torch.arange(SIZE + 1).double() - 0.5 - 128) / scale)
    cdf[0], cdf[-1] = 0.0, 1.0
    bound = -float(torch.log2(torch.diff(cdf))[data].sum())
    codec = BitsBack(FromPmf(Uniform(BINS, 24)), likelihood, posterior)
    message = Message.random(PIXELS, 40 * PIXELS)
    before = message.bits
    for image in data:
        codec.push(message, image)
    net = message.bits - before
    for image in reversed(data):
        if not torch.equal(codec.pop(message), image):
            raise AssertionError
    return net / bound


def main() -> None:
    """Measure and print; write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates = speed()
    figures = [
        ("push and pop, 1,024 lanes, over a loop of constriction's", rates["densezip"] / rates["loop"], 20.0, 100.0),
        ("push and pop, 1,024 lanes, over one call of constriction's", rates["densezip"] / rates["call"], 0.3, 1.0),
        ("coded bits over ideal, mixture of 5, 10^6 symbols", over_ideal(), 1.0005, 1.0001),
        ("bits-back net bits over bound, 100 images", bits_back_over_bound(), 1.002, 1.0005),
    ]
    for name, value, bar, aim in figures:
        print(f"{name}: {value:.6g} (bar {bar}, aim {aim})")
    print(", ".join(f"{name} {rate / 1e6:.3f}" for name, rate in rates.items()), "million symbols a second")
    if arguments.json:
        result = {
            "figures": [{"name": n, "value": v, "bar": b, "aim": a} for n, v, b, a in figures],
            "symbols_per_second": rates,
            "machine": {"cpu": platform.processor() or platform.machine(), "threads": 1},
            "versions": {package: version(package) for package in ("densezip", "torch", "constriction")},
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
