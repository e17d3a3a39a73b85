"""Models that go through an image pixel by pixel: linear experts on a causal neighbourhood, and perhaps on a state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from ...codec.entropy.codecs import wavefront
from ...codec.entropy.pmf import GaussianMixture, Pmf
from ...codec.entropy.portable import exp
from .causal import Neighbourhoods, Whitening
from .density import AutoregressiveModel, Scan
from .experts import Experts

__all__ = ["PixelModel", "PixelScan", "neighbourhoods_of", "pixel_steps"]

GRIDS = {"logits": 2.0**-10, "means": 2.0**-10, "log_scales": 2.0**-12}
"""Rounding steps of the parameters: a rounded mixture costs less than 1e-5 bits a sample more."""

LEAST_LOGIT = -40.0
"""Of a component's weight, as a logarithm: below half a unit of any precision, so the rest need not be told apart."""


@lru_cache(8)
def neighbourhoods_of(height: int, width: int, radius: int) -> Neighbourhoods:
    """Kept, since images of a data set have one size."""
    return Neighbourhoods(height, width, radius)


class PixelModel(AutoregressiveModel):
    """A model whose experts see the causal neighbourhood of a pixel, and a state that depends on pixels before it.

    Attributes:
        first_images: how many a training shows to `initialize`, for their statistics.
        radius: of the neighbourhood, in pixels.
        whitening: of neighbourhood and pixel.
        experts: of the channels in turn.
    """

    first_images = 500
    largest = 2**16
    radius: int
    whitening: Whitening
    experts: Experts

    @property
    def dtype(self) -> torch.dtype:
        """Of all computations."""
        return self.whitening.center.dtype

    def values(self, x: Tensor) -> Tensor:
        """Neighbourhood and pixel of all pixels of images [B, C, H, W], in the order of rows: [H · W, B, M · C + C]."""
        height, width = x.shape[-2:]
        places = torch.arange(height * width)
        return neighbourhoods_of(height, width, self.radius).at(x, places, self.dtype)

    @abstractmethod
    def states(self, whitened: Tensor, height: int, width: int) -> Tensor:
        """States of all pixels [H · W, B, hidden] from the whitened values of all [H · W, B, M · C + C]."""

    @abstractmethod
    def seen(self, whitened: Tensor, state: Tensor) -> Tensor:
        """Inputs of the experts, then the earlier channels, from values and states of some pixels: [..., D + C - 1]."""

    @abstractmethod
    def pixel_scan(self, batch: int, height: int, width: int) -> PixelScan:
        """The scan, as one whose parameters are those of mixtures."""

    def scan(self, batch: int, height: int, width: int) -> Scan:
        """See `AutoregressiveModel`."""
        return self.pixel_scan(batch, height, width)

    def log_prob(self, x: Tensor) -> Tensor:
        """See `AutoregressiveModel`."""
        return self.log_probs(x).flatten(1).sum(1)

    def log_probs(self, x: Tensor) -> Tensor:
        """Log-probability of every sample given those before it, in nats: [B, C, H, W]."""
        whitened = self.whitening(self.values(x))
        inputs = self.seen(whitened, self.states(whitened, *x.shape[-2:]))
        own = x.flatten(2).permute(2, 0, 1)
        found = self.experts.log_probs(inputs, own, self.whitening, self.levels)
        return found.permute(1, 2, 0).reshape(x.shape)


def pixel_steps(channels: int, height: int, width: int, slope: int) -> list[Tensor]:
    """Steps of a wavefront of pixels, the channels of each in turn: flat indices into [C, H, W]."""
    fronts = wavefront(height, width, slope)
    return [channel * height * width + places for places in fronts for channel in range(channels)]


class PixelScan(Scan):
    """A scan in the order of `pixel_steps`, whose distributions are mixtures of K · S Gaussians.

    Parameters of an element are K · S logits, K means and K · S log-scales.

    Attributes:
        memory: what is kept of every pixel, each [H · W and perhaps more, B, n].

    Args:
        model: whose distributions these are.
        height: in pixels.
        width: in pixels.
    """

    def __init__(self, model: PixelModel, height: int, width: int) -> None:
        self.model, self.height, self.width, self.area = model, height, width, height * width
        self.steps = pixel_steps(model.channels, height, width, model.radius + 1)
        self.neighbourhoods = neighbourhoods_of(height, width, model.radius)
        _, K, S = model.experts.shape
        sizes = {"logits": K * S, "means": K, "log_scales": K * S}
        self.grid = torch.cat([torch.full((sizes[name],), GRIDS[name], dtype=torch.float64) for name in sizes])
        self.memory: list[Tensor] = []
        self.last = model.whitening.center  # states at the pixels of this step

    def begin(self, like: Tensor) -> None:
        """Forget all pixels; `like` has the type of what is kept."""

    def advance(self, places: Tensor, whitened: Tensor) -> Tensor:
        """States of pixels [n, B, hidden] from their whitened values [n, B, M · C + C], and what is kept of others."""
        return whitened[..., :0]

    def state(self, step: int, places: Tensor, whitened: Tensor) -> Tensor:
        """States of a step's pixels [n, B, hidden]: computed with the first of their channels."""
        if step == 0:
            self.begin(whitened)
        if step % self.model.channels == 0:
            self.last = self.advance(places, whitened)
        return self.last

    @torch.no_grad()
    def parameters(self, step: int, known: Tensor) -> Tensor:
        """See `Scan`."""
        places = self.steps[step] % self.area
        whitened = self.model.whitening(self.neighbourhoods.at(known, places, self.model.dtype))
        return self._rows(step, self.model.seen(whitened, self.state(step, places, whitened)))

    def _rows(self, step: int, seen: Tensor) -> Tensor:
        """Parameters from the inputs of the experts for a step's pixels [n, B, D + C - 1]."""
        experts, channel = self.model.experts, step % self.model.channels
        linear = experts(seen.transpose(0, 1).flatten(0, 1), channel)
        logits, means, log_scales = experts.mixture(linear, channel, self.model.whitening)
        logits = torch.log_softmax(logits.flatten(1), -1).clamp(min=LEAST_LOGIT)
        return torch.cat([logits, means, log_scales.flatten().expand(len(means), -1)], 1)

    def mixture(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and log-scales from rows of parameters, each [m, K · S]."""
        _, K, S = self.model.experts.shape
        logits, means, log_scales = torch.split(parameters, [K * S, K, K * S], -1)
        return logits, means.repeat_interleave(S, -1), log_scales

    def pmf(self, parameters: Tensor) -> Pmf:
        """See `Scan`."""
        logits, means, log_scales = self.mixture(parameters)
        return GaussianMixture(logits, means, exp(log_scales), 256)

    @torch.no_grad()
    def parallel(self, x: Tensor) -> Iterator[Tensor]:
        """See `Scan`. States of all pixels in one pass, then the experts of each step."""
        whitened = self.model.whitening(self.model.values(x))
        seen = self.model.seen(whitened, self.model.states(whitened, self.height, self.width))
        for step, elements in enumerate(self.steps):
            yield self._rows(step, seen[elements % self.area])
