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
    Affine,
    BitsBack,
    Calibration,
    Chain,
    Composition,
    Dequantized,
    FromPmf,
    GaussianBins,
    GaussianGrid,
    GaussianMixture,
    Grid,
    Independent,
    LocalBitsBack,
    LogisticMixture,
    Message,
    Uniform,
    coupling,
    elementwise,
    least_direct,
    supplied,
)
from densezip.codec.entropy.calibrated import FLOAT32_BAND, FLOAT64_BAND, GRID
from torch import Tensor

LANES = 1024
PUSHES = 200
REPEATS = 5
SIZE = 256
BINS = 1 << 12
MIXTURE_SYMBOLS = 10**6
CHAINED_IMAGES, PIXELS = 100, 784
FLOW_PIXELS, NOISE_DRAWS = 48, 32


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
    """Symbols a second: of a message, with intervals given and from normal distributions; of constriction, two ways."""
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

    given = [(*codec(m, d).pmf.interval(s), 24) for m, d, s in batches]
    bare = Message(LANES)

    def intervals() -> None:
        for interval in given:
            bare.push(*interval)
        for interval in reversed(given):
            bare.pop(*interval)

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

    intervals()  # compiles, or loads what was compiled
    ours()
    popped.clear()
    rates: dict[str, float] = {}
    for _ in range(REPEATS):  # in turn, so that what else the machine does meets all alike
        for name, run, batch_count in (
            ("densezip, intervals given", intervals, PUSHES),
            ("densezip", ours, PUSHES),
            ("call", vectorised, PUSHES),
            ("loop", one_by_one, len(few)),
        ):
            popped.clear()
            rates[name] = max(rates.get(name, 0.0), 2 * LANES * batch_count / _seconds(run))
    popped.clear()
    ours()
    for found, (_, _, symbols) in zip(popped, reversed(batches), strict=True):
        if not torch.equal(found, symbols):
            raise AssertionError
    return rates


def over_ideal() -> float:
    """Coded bits over the model's own, of a million samples with a mixture of five logistic distributions each."""
    generator = torch.Generator().manual_seed(1)
    n = MIXTURE_SYMBOLS
    centres = _gaussians(generator, n)[0]
    logits = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    means = centres[:, None] + 6 * torch.randn(n, 5, generator=generator, dtype=torch.float64)
    scales = torch.exp(torch.randn(n, 5, generator=generator, dtype=torch.float64))
    weights = torch.softmax(logits, -1)
    chosen = torch.multinomial(weights, 1, generator=generator)
    noise = torch.logit(torch.rand(n, 1, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12))
    drawn = means.gather(1, chosen) + scales.gather(1, chosen) * noise
    symbols = drawn[:, 0].round().clamp(0, SIZE - 1).long()
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


def _linear_gaussian(spread: float, noise: float) -> BitsBack[Tensor, Tensor]:
    """Of each pixel: 128 + spread z + noise with z standard normal; its posterior is known, so the bound is exact."""

    def likelihood(latent: Tensor) -> FromPmf:
        mean = (128 + spread * GaussianBins.values(latent, BINS))[:, None]
        return FromPmf(GaussianMixture(torch.zeros_like(mean), mean, torch.full_like(mean, noise), SIZE))

    def posterior(symbols: Tensor) -> FromPmf:
        variance = 1 / (1 + spread**2 / noise**2)
        mean = variance * spread / noise**2 * (symbols.double() - 128)
        return FromPmf(GaussianBins(mean, torch.full_like(mean, math.sqrt(variance)), BINS))

    return BitsBack(FromPmf(Uniform(BINS, 24)), likelihood, posterior)


def bits_back_over_bound() -> float:
    """Net bits of images chained in one message over the exact bound, by a linear Gaussian model of each pixel."""
    spread, noise = 8.0, 2.0
    scale = math.hypot(spread, noise)
    generator = torch.Generator().manual_seed(2)
    data = 128 + scale * torch.randn(CHAINED_IMAGES, PIXELS, generator=generator, dtype=torch.float64)
    data = data.round().clamp(0, SIZE - 1).long()
    cdf = torch.special.ndtr((torch.arange(SIZE + 1).double() - 0.5 - 128) / scale)
    cdf[0], cdf[-1] = 0.0, 1.0
    bound = -float(torch.log2(torch.diff(cdf))[data].sum())
    codec, message = _linear_gaussian(spread, noise), Message.lending(PIXELS)
    for image in data:
        codec.push(message, image)
    net = message.bits - message.lent
    for image in reversed(data):
        if not torch.equal(codec.pop(message), image):
            raise AssertionError
    return net / bound


def local_bits_back_over_bound() -> float:
    """Net bits of integer images chained in one message over the dequantized bound of a flow with two couplings.

    The noise that is coded is one sample, so the ratio varies by about 5e-4 with it.
    """
    torch.manual_seed(3)
    n, half = FLOW_PIXELS, torch.arange(FLOW_PIXELS // 2)
    network = torch.nn.Sequential(torch.nn.Linear(n, 64), torch.nn.Tanh(), torch.nn.Linear(64, n)).double()

    def conditioner(known: Tensor) -> Affine:
        shift, log_scale = network(known).detach().chunk(2, -1)
        return Affine(shift, torch.exp(torch.tanh(log_scale)))

    spread = 20.0
    unit = Affine(torch.full((1,), -128 / spread).double(), torch.full((1,), 1 / spread).double())
    flow = Composition([elementwise(unit), coupling(half, conditioner), coupling(half + n // 2, conditioner)])
    grid = Grid()
    zeros = torch.zeros(1, n, dtype=torch.float64)
    # Data of the flow itself: its latents are normal.
    data = flow.inverse(torch.randn(CHAINED_IMAGES, n, dtype=torch.float64)).floor().clamp(0, SIZE - 1)

    def log2_density(x: Tensor) -> Tensor:
        z = flow.forward(x)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda row: flow.forward(row[None])[0]))(x)
        normal = -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
        nats: Tensor = normal + torch.linalg.slogdet(jacobian).logabsdet
        return nats / math.log(2)

    draws = [log2_density(data + torch.rand_like(data)).sum() for _ in range(NOISE_DRAWS)]
    bound = -float(torch.stack(draws).mean())
    codec = Dequantized(LocalBitsBack(flow, GaussianGrid(zeros, zeros + 1, grid.bits), grid), grid.bits)
    chain = Chain([lambda _: codec] * CHAINED_IMAGES)
    images, message = list(data.long()[:, None]), Message.lending(n)
    chain.push(message, images)
    net = message.bits - message.lent
    if not all(torch.equal(a, b) for a, b in zip(chain.pop(message), images, strict=True)):
        raise AssertionError
    return net / bound


def one_image() -> dict[str, float]:
    """Bits a dimension of one image of 28 rows by bits-back coding: net, with a loan, and with rows that supply it."""
    generator = torch.Generator().manual_seed(5)
    scale, noise = 8.0, 2.0
    drawn = 128 + math.hypot(scale, noise) * torch.randn(28, 28, generator=generator, dtype=torch.float64)
    rows = list(drawn.round().clamp(0, SIZE - 1).long())
    codec, direct = _linear_gaussian(scale, noise), Independent(lambda a, b: Uniform(SIZE), 28)
    lending = Message.lending(28)
    supplied(codec, direct, 28, 0).push(lending, rows)
    number = least_direct(codec, direct, rows, 28)
    message = Message.lending(28, words=False)
    supplied(codec, direct, 28, number).push(message, rows)
    return {
        "net": (lending.bits - lending.lent) / 784,
        "file with a loan": 8 * len(lending.to_bytes()) / 784,
        "file with rows sent directly": 8 * len(message.to_bytes()) / 784,
        "rows sent directly": float(number),
    }


def side_information() -> dict[str, dict[str, float]]:
    """What calibration costs by the precision of a network, and how far apart its outputs are for other batches."""
    result = {}
    for dtype, band in ((torch.float32, FLOAT32_BAND), (torch.float64, FLOAT64_BAND)):
        torch.manual_seed(0)
        layers: list[torch.nn.Module] = [torch.nn.Conv2d(3, 64, 3, padding=1)]
        for _ in range(6):
            layers += [torch.nn.ELU(), torch.nn.Conv2d(64, 64, 3, padding=1)]
        network = torch.nn.Sequential(*layers, torch.nn.ELU(), torch.nn.Conv2d(64, 3 * 15, 1)).to(dtype)
        x = (torch.rand(16, 3, 32, 32) * 2 - 1).to(dtype)
        with torch.no_grad():
            together, alone = 4 * network(x), 4 * torch.cat([network(image) for image in torch.split(x, 1)])
        calibration = Calibration(band)
        calibration.round(together.reshape(-1, 45))
        result[str(dtype).removeprefix("torch.")] = {
            "bits_per_dim": 8 * len(calibration.to_bytes()) / x.numel(),
            "band_steps": band,
            "deviation_steps": float((together - alone).abs().max()) / GRID,
        }
    return result


def on_gpu() -> dict[str, float] | None:
    """Symbols a second of a message with 65,536 lanes on a GPU, where there is one, and that its bits are the CPU's."""
    if not torch.cuda.is_available():
        return None
    lanes, generator = 65536, torch.Generator().manual_seed(0)
    zero = torch.zeros(lanes, 1, dtype=torch.float64)
    rates, written = {}, []
    for device in ("cpu", "cuda"):
        batches = [tuple(t.to(device) for t in _gaussians(generator, lanes)) for _ in range(8)]
        generator.manual_seed(0)
        made = [(GaussianMixture(zero.to(device), m[:, None], d[:, None], SIZE), s) for m, d, s in batches]
        message = Message(lanes, device)
        given = [(*pmf.interval(s), pmf.precision) for pmf, s in made]

        def run(message: Message = message, given: list[Any] = given) -> None:
            for interval in given:
                message.push(*interval)
            for interval in reversed(given):
                message.pop(*interval)
            if message.device.type == "cuda":
                torch.cuda.synchronize()

        run()
        rates[device] = 2 * lanes * len(given) / _seconds(run)
        for interval in given:
            message.push(*interval)
        written.append(message.to_bytes())
    if written[0] != written[1]:
        raise AssertionError
    return rates


def main() -> None:
    """Measure and print; write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates = speed()
    given = rates["densezip, intervals given"]
    figures = [
        ("symbols a second, push and pop, 1,024 lanes / a loop of constriction's", given / rates["loop"], 20.0, 100.0),
        (
            "symbols a second with normal distributions / one call of constriction's",
            rates["densezip"] / rates["call"],
            0.3,
            1.0,
        ),
        ("coded bits / ideal, mixture of 5, 10^6 symbols", over_ideal(), 1.0005, 1.0001),
        ("bits-back net bits / bound, 100 images", bits_back_over_bound(), 1.002, 1.0005),
        ("local bits-back net bits / dequantized bound, 100 images", local_bits_back_over_bound(), 1.01, 1.003),
    ]
    for name, value, bar, aim in figures:
        print(f"{name}: {value:.6g} (bar {bar}, aim {aim})")
    print(", ".join(f"{name} {rate / 1e6:.3f}" for name, rate in rates.items()), "million symbols a second")
    image, side, gpu = one_image(), side_information(), on_gpu()
    print("one image, bits a dimension:", ", ".join(f"{name} {value:.4g}" for name, value in image.items()))
    for precision, found in side.items():
        print(f"calibration in {precision}:", ", ".join(f"{name} {value:.3g}" for name, value in found.items()))
    print("GPU, symbols a second:", gpu or "there is none")
    if arguments.json:
        result: dict[str, Any] = {
            "figures": [{"name": n, "value": v, "bar": b, "aim": a} for n, v, b, a in figures],
            "symbols_per_second": rates,
            "one_image_bits_per_dim": image,
            "calibration": side,
            "gpu_symbols_per_second": gpu,
            "machine": {"cpu": platform.processor() or platform.machine(), "threads": 1},
            "versions": {package: version(package) for package in ("densezip", "torch", "constriction")},
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
