"""A model weighed: the rate that it reports, that of its integer distributions, and the size of decoded files."""

from __future__ import annotations

import copy
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec.entropy.calibrated import Calibration
from ..codec.entropy.codecs import Codec
from ..codec.file.batch import read_batch, write_batch
from .autoregressive.coding import ModelCodec, weights_digest
from .autoregressive.density import AutoregressiveModel
from .autoregressive.ensemble import TRANSFORMS, TransformCodec, transform_log_probs

__all__ = ["MOST_DISAGREEMENT", "Evaluation", "evaluate_model"]

MOST_DISAGREEMENT = 0.005
"""Of the three numbers, relative to what is reported."""

SAMPLES_PER_LANE = 20_000
MOST_LANES = 64
"""Lanes of a file's message: more are faster, and each costs 38 bits at the end, here 0.002 bits a sample."""


@dataclass(frozen=True)
class Evaluation:
    """What a model takes for images, in bits per dimension (sample), and how long.

    Attributes:
        model: its name.
        ensemble: whether this is the average of the density over the eight transforms of each image.
        data: what the images are.
        images: how many.
        dimensions: samples of an image.
        reported_bpd: -log2 of the model's own likelihood, or of the ensemble's.
        pmf_bpd: information of the integer distributions that the coder was handed.
        file_bpd: bits of the files on disk, all of them.
        side_bpd: exceptions of calibrated coding, a part of the files.
        encode_s: seconds an image.
        decode_s: seconds an image.
        lossless: whether the decoded files had the pixels that went in.
        batch: images in each file.
        peak_memory_bytes: of the process.
        digest: of the model's weights, hexadecimal.
    """

    model: str
    ensemble: bool
    data: str
    images: int
    dimensions: int
    reported_bpd: float
    pmf_bpd: float
    file_bpd: float
    side_bpd: float
    encode_s: float
    decode_s: float
    lossless: bool
    batch: int
    peak_memory_bytes: int
    digest: str

    def complaint(self) -> str:
        """Why the three numbers cannot be trusted; empty where they agree."""
        if not self.lossless:
            return "the decoded pixels differ from those that were coded"
        for name, value in (("integer distributions", self.pmf_bpd), ("files", self.file_bpd)):
            gap = value / self.reported_bpd - 1
            chosen = 3 / self.dimensions / self.reported_bpd if self.ensemble else 0.0  # bits that name a transform
            if not -MOST_DISAGREEMENT <= gap <= MOST_DISAGREEMENT + chosen:
                return f"the {name} take {value:.5f} bits/dim where {self.reported_bpd:.5f} are reported: {gap:+.2%}"
        return ""


def evaluate_model(
    model: AutoregressiveModel,
    name: str,
    images: NDArray[np.uint8],
    data: str,
    batch: int = 100,
    progress: Callable[[int], None] = lambda _: None,
    ensemble: bool = False,
) -> Evaluation:
    """Report, code, decode and compare.

    The density of an ensemble is the average over the eight transforms of an image (`ensemble`). What is coded is the
    transform of most density, and which it is: no more than 3 bits an image above the average, and mostly less.

    Args:
        model: in float32, as trained.
        name: of the model, ASCII.
        images: uint8 [N, C, H, W]
        data: what they are.
        batch: images in each file.
        progress: called with the number of images done, three times for each.
        ensemble: weigh the ensemble, not the model alone.
    """
    model = model.eval()
    exact = copy.deepcopy(model).double()
    digest = weights_digest(model)

    def made(calibration: Calibration, shape: tuple[int, int, int, int], log_probs: Tensor | None) -> Codec[Tensor]:
        if not ensemble:
            return ModelCodec(exact, calibration, shape)
        return TransformCodec(
            lambda count, height, width: ModelCodec(exact, calibration, (count, shape[1], height, width)),
            lambda x: transform_log_probs(model, x) if log_probs is None else log_probs,
            shape,
        )

    nats, net, size, side = 0.0, 0.0, 0, 0
    seconds = {"encode": 0.0, "decode": 0.0}
    lossless = True
    for first in range(0, len(images), batch):
        part = images[first : first + batch]
        began = time.perf_counter()
        with torch.no_grad():
            log_probs = transform_log_probs(model, torch.from_numpy(part), TRANSFORMS if ensemble else 1).double()
        nats -= float((torch.logsumexp(log_probs, 0) - math.log(len(log_probs))).sum())
        if ensemble:  # the choice of a transform is a part of encoding
            seconds["encode"] += time.perf_counter() - began
        progress(len(part))
        shape = (len(part), *part.shape[1:])
        pixels = np.ascontiguousarray(part.transpose(0, 2, 3, 1))
        began = time.perf_counter()
        data_bytes, cost = write_batch(
            pixels,
            lambda calibration, shape=shape, known=log_probs: made(calibration, shape, known),  # type: ignore[misc]
            model=name,
            digest=digest,
            lanes=min(max(1, part.size // SAMPLES_PER_LANE), MOST_LANES),
        )
        seconds["encode"] += time.perf_counter() - began
        progress(len(part))
        began = time.perf_counter()
        found = read_batch(data_bytes, lambda c, s: made(c, s, None), model=name, digest=digest)
        seconds["decode"] += time.perf_counter() - began
        lossless = lossless and np.array_equal(found, pixels)
        progress(len(part))
        net, size, side = net + cost.net, size + cost.file, side + cost.side
    unit = 1 if sys.platform == "darwin" else 1024
    return Evaluation(
        model=name,
        ensemble=ensemble,
        data=data,
        images=len(images),
        dimensions=images[0].size,
        reported_bpd=nats / math.log(2) / images.size,
        pmf_bpd=net / images.size,
        file_bpd=size / images.size,
        side_bpd=side / images.size,
        encode_s=seconds["encode"] / len(images),
        decode_s=seconds["decode"] / len(images),
        lossless=lossless,
        batch=batch,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        digest=digest.hex(),
    )
