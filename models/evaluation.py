"""A model weighed: the rate that it reports, that of its integer distributions, and the size of decoded files."""

from __future__ import annotations

import copy
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..codec.entropy.calibrated import Calibration
from ..codec.entropy.codecs import Codec
from ..codec.entropy.rans import Message
from ..codec.errors import UnsupportedImageError, UsageError
from ..codec.file.batch import BatchCost, read_batch, write_batch
from ..codec.file.chained import decode_chained, encode_chained, lanes_for
from ..codec.file.container import parse
from ..codec.file.groups import group_sizes
from ..codec.images.picture import from_array
from .autoregressive.choices import Mode
from .autoregressive.density import AutoregressiveModel
from .autoregressive.ensemble import Ensemble
from .coding import coder_for, device_of
from .latent.bounds import LatentModel
from .named import as_image_model
from .shapes import ImageModel, check_weights, coding_digest, weights_digest

__all__ = ["MOST_DISAGREEMENT", "Evaluation", "measure"]

Images = NDArray[np.uint8]
Shape = tuple[int, int, int, int]

MOST_DISAGREEMENT = 0.005
"""Of the three numbers, relative to what is reported."""

HEAD_BITS = 1200
"""Of a file beside its message: header, name and digest of the model, checksums, heads of a few lanes."""

SEED = 0
"""Of what is drawn for a bound that is reported."""


@dataclass(frozen=True)
class Evaluation:
    """What a model takes for images, in bits per dimension (sample), and how long.

    Attributes:
        model: its name.
        ensemble: "best" or "exact" for the average of the density over the eight transforms of each image: files then
            hold the transform of most density, or one drawn from its posterior by bits-back. "" for the model alone.
        data: what the images are.
        images: how many.
        dimensions: samples of an image.
        reported_bpd: -log2 of the model's own likelihood, or of the ensemble's; of a latent model the bound by one
            sample of the posterior, of a flow that by one sample of the noise.
        pmf_bpd: information of the integer distributions that the coder was handed: the net growth of the message.
        file_bpd: bits of the files on disk, all of them.
        side_bpd: exceptions of calibrated coding, a part of the files.
        encode_s: seconds an image.
        decode_s: seconds an image.
        lossless: whether the decoded files had the pixels that went in.
        batch: images in each file.
        peak_memory_bytes: of the process.
        digest: of the model's weights, hexadecimal.
        shape: "autoregressive", "latent" or "bijective".
        initial_bpd: bits that were lent for bits-back coding, a part of the files: once for each.
        single_bpd: files of one image each, the first so many as were asked for; None where none were.
        iw_bpd: the importance-weighted bound of a latent model, None where it was not asked for. No file is so small.
        iw_samples: how many samples that takes of each image.
        iw_curve: (number of samples, bound) for 1, 2, 5, 10, ... samples and for all, of the same draws.
    """

    model: str
    ensemble: str
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
    shape: str = "autoregressive"
    initial_bpd: float = 0.0
    single_bpd: float | None = None
    iw_bpd: float | None = None
    iw_samples: int = 0
    iw_curve: tuple[tuple[int, float], ...] = ()

    def complaint(self) -> str:
        """Why the three numbers cannot be trusted; empty where they agree."""
        if not self.lossless:
            return "the decoded pixels differ from those that were coded"
        lent = 0.0 if self.shape == "autoregressive" else self.initial_bpd
        files = "files without what they were lent" if lent else "files"
        heads = HEAD_BITS * -(-self.images // self.batch) / (self.images * self.dimensions)
        chosen = 3 / self.dimensions if self.ensemble == "best" else 0.0  # bits that name a transform
        numbers = (("integer distributions", self.pmf_bpd, chosen), (files, self.file_bpd - lent, chosen + heads))
        for name, value, over in numbers:
            gap = value / self.reported_bpd - 1
            if not -MOST_DISAGREEMENT <= gap <= MOST_DISAGREEMENT + over / self.reported_bpd:
                return f"the {name} take {value:.5f} bits/dim where {self.reported_bpd:.5f} are reported: {gap:+.2%}"
        return ""


def measure(
    model: nn.Module,
    images: Images | Tensor,
    *,
    name: str = "",
    data: str = "images",
    batch: int = 100,
    ensemble: Mode | None = None,
    single: int = 0,
    iw_samples: int = 0,
    device: str = "cpu",
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Weigh a model: what it reports, what its distributions take, and what decoded files take.

    Images are coded for real: a batch to a file, tiles of which are in one message, so that bits-back coding pays its
    initial bits once. All files are decoded and compared. The density of an ensemble is the average over the eight
    transforms of an image. Mode "best" codes the transform of most density, and which it is: no more than 3 bits an
    image above the average, and mostly less. Mode "exact" takes the average, and longer to decode; see `Ensemble`.

    Args:
        model: an `AutoregressiveModel`, `LatentVariable` or `Bijective`, in float32 as trained.
        images: uint8 [N, C, H, W], or [N, H, W] for grey ones.
        name: of the model, ASCII; by default that of its class.
        data: what the images are.
        batch: images in each file.
        ensemble: weigh the ensemble of an autoregressive model, "best" or "exact", not the model alone.
        single: so many images are also coded to a file of their own each, as `densezip.compress` makes it.
        iw_samples: of a latent model, also the importance-weighted bound by so many samples.
        device: where networks run: "cpu", "cuda", "cuda:1" or "auto".
        progress: called with the number of images done, three times for each.

    Raises:
        UsageError: a module of none of the three shapes; an ensemble of what is not autoregressive; no such device.
        UnsupportedImageError: no images, or of other channels or sizes than the model's.
        WeightsError: weights that are not finite.
        CodingError: the model gives what is no distribution; see its subclasses.
    """
    model = as_image_model(model)
    images = _checked(model, images)
    name = name or type(model).__name__
    check_weights(model, name)
    if ensemble:
        if not isinstance(model, AutoregressiveModel):
            raise UsageError(f"an ensemble over transforms of {name}, which is no autoregressive model")
        model = Ensemble(model, ensemble)
    if iw_samples and not isinstance(model, LatentModel):
        raise UsageError(f"an importance-weighted bound of {name}, which has no latent variables")
    digest = weights_digest(model)
    weighed = _Weighed(model, name, device)
    nats, size, found = 0.0, _Sizes(), []
    seconds = {"encode": 0.0, "decode": 0.0}
    lossless = True
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for first in range(0, len(images), batch):
            part = images[first : first + batch]
            nats -= weighed.nats(torch.from_numpy(part))
            progress(len(part))
            began = time.perf_counter()
            written, cost = weighed.write(part)
            seconds["encode"] += time.perf_counter() - began
            progress(len(part))
            began = time.perf_counter()
            again = weighed.read(written)
            seconds["decode"] += time.perf_counter() - began
            lossless = lossless and np.array_equal(again, part.transpose(0, 2, 3, 1))
            progress(len(part))
            size.add(cost)
        if single:
            coder = coder_for(model, device)
            for image in images[:single]:
                picture = from_array(np.ascontiguousarray(image.transpose(1, 2, 0)))
                written = encode_chained(picture, coder)[0]
                lossless = lossless and np.array_equal(decode_chained(parse(written), coder).pixels, picture.pixels)
                found.append(8 * len(written) / image.size)
        counts = _counts(iw_samples)
        iw_nats = torch.zeros(len(counts), dtype=torch.float64)
        if counts and isinstance(weighed.model, LatentModel):
            for x in torch.split(torch.from_numpy(images), batch):
                iw_nats -= weighed.model.iw_bounds(x.to(weighed.device), counts).sum(1).cpu()
    curve = [float(value) for value in iw_nats / math.log(2) / images.size]
    unit = 1 if sys.platform == "darwin" else 1024
    return Evaluation(
        model=name,
        ensemble=model.mode if isinstance(model, Ensemble) else "",
        data=data,
        images=len(images),
        dimensions=images[0].size,
        reported_bpd=nats / math.log(2) / images.size,
        pmf_bpd=size.net / images.size,
        file_bpd=size.file / images.size,
        side_bpd=size.side / images.size,
        encode_s=seconds["encode"] / len(images),
        decode_s=seconds["decode"] / len(images),
        lossless=lossless,
        batch=batch,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        digest=digest.hex(),
        shape=model.shape,
        initial_bpd=size.initial / images.size,
        single_bpd=sum(found) / len(found) if found else None,
        iw_bpd=curve[-1] if curve else None,
        iw_samples=iw_samples,
        iw_curve=tuple(zip(counts, curve, strict=True)),
    )


def _counts(most: int) -> list[int]:
    """1, 2, 5, 10, 20, ... below a number, and the number; none for 0."""
    steps = [m * 10**e for e in range(len(str(most))) for m in (1, 2, 5)]
    return [*(n for n in steps if n < most), *([most] if most else [])]


def _checked(model: ImageModel, images: Images | Tensor) -> Images:
    """As an array uint8 [N, C, H, W] that the model takes."""
    found: Any = images.cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    found = found[:, None] if found.ndim == 3 else found
    if found.ndim != 4 or found.dtype != np.uint8 or not found.size:
        raise UnsupportedImageError(f"images {found.dtype} {list(found.shape)}; uint8 [N, C, H, W] is needed")
    model.check(found.shape[2], found.shape[3], found.shape[1])
    if int(found.max()) >= model.levels:
        raise UnsupportedImageError(f"samples up to {int(found.max())} for a model of {model.levels} levels")
    whole: Images = np.ascontiguousarray(found)
    return whole


@dataclass
class _Sizes:
    """Of all files, in bits."""

    file: float = 0.0
    net: float = 0.0
    side: float = 0.0
    initial: float = 0.0

    def add(self, cost: BatchCost) -> None:
        self.file, self.net = self.file + cost.file, self.net + cost.net
        self.side, self.initial = self.side + cost.side, self.initial + cost.initial


class _Weighed:
    """A model in two precisions, and its files."""

    def __init__(self, model: ImageModel, name: str, device: str) -> None:
        self.device, self.name, self.digest = device_of(device), name, coding_digest(model)
        self.model = copy.deepcopy(model).to(self.device).eval()
        self.exact = copy.deepcopy(self.model).double()

    def nats(self, x: Tensor) -> float:
        """Of images together, as reported."""
        return float(self.model.bound(x.to(self.device)).double().sum())

    def write(self, part: Images) -> tuple[bytes, BatchCost]:
        """A file of images [B, C, H, W]."""
        shape = (len(part), *part.shape[1:])
        return write_batch(
            np.ascontiguousarray(part.transpose(0, 2, 3, 1)),
            lambda calibration: _InGroups(self.exact, calibration, shape),
            model=self.name,
            digest=self.digest,
            lanes=lanes_for(part.size, borrows=self.model.borrows, levels=self.model.levels),
            band=self.model.band,
        )

    def read(self, data: bytes) -> NDArray[Any]:
        """The images [B, H, W, C]."""
        return read_batch(data, lambda c, shape: _InGroups(self.exact, c, shape), model=self.name, digest=self.digest)


@dataclass(frozen=True)
class _InGroups:
    """Images one group after the other, the first to be pushed being the smallest; see `chained`."""

    model: ImageModel
    calibration: Calibration
    shape: Shape

    @property
    def sizes(self) -> list[int]:
        """Of the groups, in the order of pushing, which begins with the last image."""
        return group_sizes(self.shape[0], self.shape[2] * self.shape[3], borrows=self.model.borrows)

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        for part in reversed(torch.split(symbols, self.sizes[::-1])):
            self._of(len(part)).push(message, part)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return torch.cat([self._of(size).pop(message) for size in reversed(self.sizes)])

    def _of(self, count: int) -> Codec[Tensor]:
        return self.model.codec(self.calibration, (count, *self.shape[1:]))
