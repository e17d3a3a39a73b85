"""Discriminators that see a batch at once, in any order, and say how much of it is real.

A batch mixes real and generated samples: a share p of real ones is drawn from the two ends of [0, 1], then each sample
is real with probability p. The discriminator learns the share that came of it, by the divergence of Bernoulli
distributions; statistics of a batch then tell whether the generator leaves out some of what there is. For batches of
one sample this is the discriminator of any GAN.

Source: Lucas, Tallec, Verbeek, Ollivier, *Mixed batches and symmetric discriminators for GAN training* (2018): mixing
3.1, optimal discriminator 3.2 and its appendix A, layers 4.1 and 4.3; B their batch size, β which samples are real.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchStatistics", "beta_weights", "mix", "optimal_share", "share_loss"]


class BatchStatistics(nn.Module):
    """A linear layer of each sample, plus another one of the mean of all: equivariant under their order.

    The more samples, the less the mean weighs at first.

    Args:
        own: of a sample, without bias.
        common: of the mean, of the same shapes, without bias.
        outputs: features of either.
        axis: of the samples; that of features follows it.
        spatial: axes after features.
    """

    def __init__(self, own: nn.Module, common: nn.Module, outputs: int, axis: int, spatial: int) -> None:
        super().__init__()
        self.own, self.common, self.axis = own, common, axis
        self.bias = nn.Parameter(torch.zeros(outputs, *[1] * spatial))

    def forward(self, x: Tensor) -> Tensor:
        """Of x [..., B, F, ...], in its shape but for the features."""
        count = x.shape[self.axis]
        found: Tensor = self.bias + (count * self.own(x) + self.common(x.mean(self.axis, keepdim=True))) / (count + 1)
        return found

    @classmethod
    def linear(cls, inputs: int, outputs: int) -> BatchStatistics:
        """Of x [..., B, inputs]: [..., B, outputs]."""
        return cls(nn.Linear(inputs, outputs, False), nn.Linear(inputs, outputs, False), outputs, -2, 0)


def mix(real: Tensor, fake: Tensor, gamma: float, axis: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Two mixed batches, the second of what the first leaves over, and the share of real samples in each.

    Args:
        real: samples. [..., B, ...]
        fake: as many.
        gamma: the share is drawn from [0, gamma] and [1 - gamma, 1]: 0.5 for all of [0, 1].
        axis: of the samples of a batch; those before it are of batches beside each other.

    Returns:
        Samples of the shape of `real`, and shares of that of the axes before `axis`.
    """
    lead = real.shape[:axis]
    near = gamma * torch.rand(lead, device=real.device)
    share = torch.where(torch.rand(lead, device=real.device) < 0.5, near, 1 - near)
    chosen = torch.rand(real.shape[: axis + 1], device=real.device) < share[..., None]
    spread = chosen.view(*chosen.shape, *[1] * (real.dim() - chosen.dim()))
    found = chosen.to(real.dtype).mean(-1)
    return [(torch.where(spread, real, fake), found), (torch.where(spread, fake, real), 1 - found)]


def share_loss(outputs: Tensor, share: Tensor, each: bool) -> Tensor:
    """Divergence of Bernoulli distributions, from that of the true share to that of the predicted one, in nats.

    Args:
        outputs: logits of every sample of a batch. [..., B]
        share: of real samples. [...]
        each: take the loss of each logit and then the mean (M-BGAN); otherwise the other way round (BGAN).
    """
    if each:
        share = share[..., None].expand(outputs.shape)
    else:
        outputs = outputs.mean(-1)
    entropy = torch.special.entr(share) + torch.special.entr(1 - share)
    found: Tensor = (F.binary_cross_entropy_with_logits(outputs, share, reduction="none") - entropy).mean()
    return found


def beta_weights(count: int, a: float = 1.0, b: float = 1.0) -> Tensor:
    """Probability of each choice β of real samples by how many they are, for shares of a beta distribution.

    Returns:
        B(k + a, B - k + b) / B(a, b) for k = 0, ..., B. float64 [B + 1]
    """
    k = torch.arange(count + 1, dtype=torch.float64)
    first, second, both = (torch.tensor(value, dtype=torch.float64).lgamma() for value in (a, b, a + b))
    total = torch.tensor(count + a + b, dtype=torch.float64).lgamma()
    found: Tensor = torch.exp((k + a).lgamma() + (count - k + b).lgamma() - total - first - second + both)
    return found


def optimal_share(log_ratios: Tensor, weights: Tensor | Sequence[float]) -> Tensor:
    """What the best discriminator says: the expected share of real samples given those of a batch.

    Args:
        log_ratios: log p(y) / q(y) of every sample, p of real and q of generated ones. [..., B]
        weights: P(β) by the number of real samples. [B + 1]
    """
    count = log_ratios.shape[-1]
    ratios = torch.exp(log_ratios.double())
    # Sums over all choices of k samples of the product of their ratios, for each k.
    sums = torch.zeros(*ratios.shape[:-1], count + 1, dtype=torch.float64)
    sums[..., 0] = 1
    for number in range(count):
        sums[..., 1:] = sums[..., 1:] + ratios[..., number, None] * sums[..., :-1].clone()
    posterior = sums * torch.as_tensor(weights, dtype=torch.float64)
    share = torch.arange(count + 1, dtype=torch.float64) / count
    return (posterior * share).sum(-1) / posterior.sum(-1)
