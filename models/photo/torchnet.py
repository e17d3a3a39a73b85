"""The photo network in torch, for training: the same function as `network`, differentiable and batched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .shape import LOG_SCALE_RANGE, MINIMUM_PROBABILITY, NetShape

__all__ = ["PhotoNet", "mixture_nats"]


class PhotoNet(nn.Module):
    """Trunk and one head per channel; see `shape.NetShape` for the sizes. Weights are [inputs, outputs]."""

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        self.shape = shape
        self.weight, self.bias = nn.ParameterDict(), nn.ParameterDict()
        for name, (rows, columns) in shape.matrices().items():
            gain = 0.01 if name.endswith("out") else 1.0  # begin with equal components on the experts' predictions
            key = name.replace(".", "_")  # torch allows no dots in parameter names
            self.weight[key] = nn.Parameter(torch.randn(rows, columns) * gain * rows**-0.5)
            self.bias[key] = nn.Parameter(torch.zeros(columns))

    def _affine(self, key: str, x: Tensor) -> Tensor:
        return torch.addmm(self.bias[key], x, self.weight[key])

    def forward(self, trunk: Tensor, extras: list[Tensor]) -> list[Tensor]:
        """Mixture parameters of each channel.

        Args:
            trunk: inputs of the trunk. [B, D]
            extras: extra inputs of every head but the first. C - 1 of [B, E_c]

        Returns:
            C tensors [B, 3, J]: logits, offsets in activities, log scales in activities.
        """
        h = torch.relu(self._affine("trunk_0", trunk))  # [B, H]
        for layer in range(1, self.shape.layers):
            h = h + torch.relu(self._affine(f"trunk_{layer}", h))
        results = []
        for c in range(self.shape.channels):
            u = torch.cat([h, extras[c - 1]], 1) if c else h
            v = torch.relu(self._affine(f"head_{c}_hidden", u))
            out = self._affine(f"head_{c}_out", v)[:, : 3 * self.shape.components]
            results.append(out.reshape(-1, 3, self.shape.components))
        return results


def mixture_nats(out: Tensor, distance: Tensor, activity: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Negative log-likelihood of the discretized logistic mixture in nats, [B].

    Args:
        out: a head's output. [B, 3, J]
        distance: (value - centre) / activity for every component's centre. [B, J]
        activity: [B]
        first: whether the value is the lowest of the alphabet, whose bin takes the lower tail. [B]
        last: likewise for the highest. [B]
    """
    weight = torch.softmax(out[:, 0], -1)
    sharpness = torch.exp(-out[:, 2].clamp(-LOG_SCALE_RANGE, LOG_SCALE_RANGE))
    half = (0.5 / activity)[:, None]
    upper = (distance + half - out[:, 1]) * sharpness
    lower = (distance - half - out[:, 1]) * sharpness
    # The difference of two sigmoids is accurate where both are small, so the bin is mirrored to the left of the centre.
    mirrored = upper + lower > 0
    high = torch.where(mirrored, -lower, upper)
    low = torch.where(mirrored, -upper, lower)
    high_open = torch.where(mirrored, first[:, None], last[:, None])
    low_open = torch.where(mirrored, last[:, None], first[:, None])
    probability = torch.sigmoid(high).masked_fill(high_open, 1.0) - torch.sigmoid(low).masked_fill(low_open, 0.0)
    return -torch.log((weight * probability).sum(-1) + MINIMUM_PROBABILITY)
