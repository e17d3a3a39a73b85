"""A small network's images coded in one process and decoded in another: `python other_machine.py read|write FILE ...`.

The other process may have other threads, another instruction set, and evaluate the network for other numbers of images
at a time: all that changes the last bits of its outputs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.codec import LogisticMixture, autoregressive, exp, read_batch, wavefront, write_batch
from torch import Tensor

SHAPE = (16, 1, 9, 12)
COMPONENTS, WIDTH = 4, 48


def images() -> np.ndarray[Any, np.dtype[np.uint8]]:
    y, x = np.mgrid[:9, :12]
    noise = np.random.default_rng(0).normal(0, 6, (16, 9, 12))
    made: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(
        100 + 9 * np.arange(16)[:, None, None] / 3 + 5 * y - 3 * x + noise, 0, 255
    ).astype(np.uint8)
    return made


def network(dtype: torch.dtype) -> Any:
    """The parameters [B, P, H, W] of all pixels, from the five neighbours above and to the left of each."""
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, WIDTH, 3, padding=1), *[torch.nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(2)]]
    last = torch.nn.Conv2d(WIDTH, 3 * COMPONENTS, 1)
    with torch.no_grad():
        layers[0].weight[:, :, 1, 1:] = 0
        layers[0].weight[:, :, 2] = 0
    for layer in (*layers, last):
        layer.to(dtype)

    def run(known: Tensor) -> Tensor:
        h = known.to(dtype) / 64 - 2
        with torch.no_grad():
            for layer in layers:
                h = torch.tanh(layer(h))
            outputs: Tensor = last(h)
        return outputs * 4

    return run


def codec(calibration: Any, shape: tuple[int, ...], dtype: torch.dtype, batch: int) -> Any:
    count, _, height, width = shape
    places, run = wavefront(height, width, 2), network(dtype)
    offsets = torch.arange(count)[:, None] * height * width
    steps = [(offsets + place).reshape(-1) for place in places]

    def parameters(step: int, known: Tensor) -> Tensor:
        outputs = torch.cat([run(part) for part in torch.split(known, batch)])  # [B, P, H, W]
        rows: Tensor = outputs.flatten(2)[:, :, places[step]].transpose(1, 2).reshape(-1, 3 * COMPONENTS)
        return rows

    def pmf(rounded: Tensor) -> LogisticMixture:
        logits, means, log_scales = rounded.chunk(3, -1)
        return LogisticMixture(logits, 128 + 32 * means, exp(2 + log_scales / 4), 256)

    return autoregressive(shape, steps, parameters, pmf, calibration)


def main() -> None:
    action, file, precision, batch, threads, band = sys.argv[1:]
    torch.set_num_threads(int(threads))
    dtype = getattr(torch, precision)
    if action == "write":
        data, cost = write_batch(
            images(),
            lambda c: codec(c, SHAPE, dtype, int(batch)),
            model="small",
            digest=b"0001",
            lanes=16,
            band=float(band),
        )
        Path(file).write_bytes(data)
        print(cost.side / np.prod(SHAPE))
        return
    found = read_batch(
        Path(file).read_bytes(), lambda c, s: codec(c, s, dtype, int(batch)), model="small", digest=b"0001"
    )
    if not np.array_equal(found, images()):
        raise AssertionError


if __name__ == "__main__":
    main()
