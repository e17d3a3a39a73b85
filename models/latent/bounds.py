"""What every density by latent variables gives, whatever its latents are: bounds, a codec by bits-back, samples."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..shapes import ImageModel

__all__ = ["LatentModel"]


class LatentModel(ImageModel):
    """A density of images p(x) = E p(x, z) / q(z | x) with latents z from a posterior q(z | x).

    Attributes:
        layers: of latents.
    """

    shape = "latent"
    borrows = True
    largest = 2**12
    layers: int = 1

    def features(self, x: Tensor) -> Any:
        """What is computed once of images [B, C, H, W] int, for any number of `log_weights`."""
        return None

    @abstractmethod
    def elbo(self, x: Tensor) -> Tensor:
        """The bound on the log-likelihood by one sample of the posterior, in nats: [B]."""

    @abstractmethod
    def kl(self, x: Tensor) -> Tensor:
        """Nats of the divergence of each layer's posterior from its prior: [layers, B]."""

    @abstractmethod
    def log_weights(self, x: Tensor, features: Any = None) -> tuple[Tensor, list[Tensor]]:
        """Nats of p(x, z) / q(z | x) for one z of the posterior, [B], and that z; `features` where they are known."""

    @abstractmethod
    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Images drawn from the model, uint8 [count, C, H, W]; the temperature is of the latents."""

    @abstractmethod
    def fill(self, x: Tensor, mask: Tensor, sweeps: int, seed: int = 0) -> Tensor:
        """Draw pixels [B, C, H, W] where a mask [H, W] is true, given the others; more sweeps come nearer to that."""

    def bound(self, x: Tensor) -> Tensor:
        """See `ImageModel`: the `elbo`."""
        return self.elbo(x)

    @torch.no_grad()
    def iw_bounds(self, x: Tensor, counts: Sequence[int]) -> Tensor:
        """Importance-weighted bounds by so many samples, in nats and float64: [len(counts), B]. No file is so small.

        All are of the same draws: a bound by fewer samples than the most is the mean over groups of so many.
        """
        features = self.features(x)
        weights = torch.stack([self.log_weights(x, features)[0].double() for _ in range(max(counts))])
        groups = [weights[: len(weights) // k * k].view(-1, k, len(x)) for k in counts]
        return torch.stack([(torch.logsumexp(g, 1) - math.log(g.shape[1])).mean(0) for g in groups])

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """The bound by k samples: [B]."""
        return self.iw_bounds(x, [k])[0]
