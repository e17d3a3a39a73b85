"""A VAE whose posterior is autoregressive: latents know those before them, and fit better than independent ones.

Two forms, of one masked network with outputs m and s for each latent, by the latents before it:

- "iaf": z0 is normal and independent, z = m(z0) + s(z0) z0. All of z is drawn in one pass; z gives z0 back only one
  latent after the other, so a coder takes as many passes as there are latents, on both sides.
- "maf": z = m(z) + s(z) z0. Drawing, and so training and the encoder, takes as many passes; a decoder knows z, and
  takes one.

Either way z_i is normal given those before it, with m_i + s_i μ_i for a mean and s_i σ_i for a deviation, and the codec
is that of a hierarchy (`variable.py`) of as many layers as there are latents.

Source: Kingma, Salimans et al., *Improved variational inference with inverse autoregressive flow* (2016), 3 and 4; the
other form: Papamakarios et al., *Masked autoregressive flow* (2017); the network: Germain et al., *MADE* (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .vae import Vae, VaeConfig
from .variable import Normal

__all__ = ["IafConfig", "IafVae"]

MOST_LOG_SCALE = 3.0
"""Of s, kept below this smoothly."""


@dataclass(frozen=True)
class IafConfig(VaeConfig):
    """What such a VAE is, beside its `VaeConfig`.

    Attributes:
        form: "iaf" or "maf".
        hidden: units of the masked network.
        context: numbers that it knows of the image.
    """

    form: str = "iaf"
    hidden: int = 160
    context: int = 32


class _Masked(nn.Module):
    """m and log s of each of K latents, by those before it and a context; 0 before training."""

    def __init__(self, latents: int, hidden: int, context: int) -> None:
        super().__init__()
        self.first, self.beside = nn.Linear(latents, hidden), nn.Linear(context, hidden, bias=False)
        self.last = nn.Linear(hidden, 2 * latents)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.zero_()
        order = torch.arange(latents)
        degree = torch.arange(hidden) % max(1, latents - 1)  # a unit sees the latents up to that one
        self.register_buffer("before", (degree[:, None] >= order).float(), persistent=False)
        self.register_buffer("after", (order[:, None] > degree).float().repeat(2, 1), persistent=False)

    before: Tensor
    after: Tensor

    def forward(self, z: Tensor, context: Tensor) -> Normal:
        """Of latents [B, K] and contexts [B, C]; both [B, K]."""
        inside = F.elu(F.linear(z, self.first.weight * self.before, self.first.bias) + self.beside(context))
        found = F.linear(inside, self.last.weight * self.after, self.last.bias).to(self.first.weight.dtype)
        mean, log_scale = found.chunk(2, 1)
        return mean, MOST_LOG_SCALE * torch.tanh(log_scale / MOST_LOG_SCALE)


@dataclass
class _Seen:
    """What is known of images: the first normal, the context, and for latents that were asked for already m and s."""

    mean: Tensor
    log_scale: Tensor
    context: Tensor
    above: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Normal] = field(default_factory=list)


class IafVae(Vae):
    """See the module."""

    config: IafConfig

    def __init__(self, config: IafConfig) -> None:
        super().__init__(config)
        if not config.side or config.form not in ("iaf", "maf"):
            raise UsageError(f"side = {config.side} (above 0), form = {config.form!r} (iaf or maf)")
        self.layers = config.latents
        self.to_context = nn.Linear(self.inner, config.context)
        self.masked = _Masked(config.latents, config.hidden, config.context)

    def features(self, x: Tensor) -> Any:
        """See `LatentVariable`."""
        found = self.inside(x).flatten(1)
        mean, log_scale = self.to_latents(found).to(self.ends.first.dtype).chunk(2, 1)
        return _Seen(mean, log_scale, self.to_context(found))

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        """See `LatentVariable`: N(0, 1), of one latent."""
        zeros = self.ends.first.new_zeros(batch[0], 1)
        return zeros, zeros

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        """See `LatentVariable`: of one latent, given those before it."""
        number, seen = len(above), features
        self._look(seen, above)
        shift, log_scale = seen.outputs[number]
        mean, first = seen.mean[:, number, None], seen.log_scale[:, number, None]
        return shift + torch.exp(log_scale) * mean, log_scale + first

    def _look(self, seen: _Seen, above: Sequence[Tensor]) -> None:
        """Brings `seen` to m and s of the latent after those above."""
        same = 0
        while same < min(len(above), len(seen.above)) and seen.above[same] is above[same]:
            same += 1
        if same == len(above) < len(seen.outputs):
            return
        del seen.above[same:], seen.inputs[same:], seen.outputs[same + 1 :]
        direct = self.config.form == "maf"
        if direct and len(above) > same:  # all inputs are known: one pass
            seen.above += above[same:]
            seen.inputs += above[same:]
            self._pass(seen, len(seen.outputs))
        elif not seen.outputs:
            self._pass(seen, 0)
        for z in above[same:] if not direct else ():
            shift, log_scale = seen.outputs[len(seen.above)]
            seen.above.append(z)
            seen.inputs.append((z.to(shift.dtype) - shift) * torch.exp(-log_scale))
            self._pass(seen, len(seen.above))

    def _pass(self, seen: _Seen, first: int) -> None:
        """Finds m and s of the latents from the first to that after the inputs."""
        known = len(seen.inputs)
        rest = seen.mean.new_zeros(len(seen.mean), self.config.latents - known)
        z = torch.cat([*(part.to(rest.dtype) for part in seen.inputs), rest], 1)
        shift, log_scale = self.masked(z, seen.context)
        seen.outputs += [(shift[:, i, None], log_scale[:, i, None]) for i in range(first, known + 1)]

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`."""
        return super().likelihood([torch.cat(list(latents), 1)], batch)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `LatentVariable`: divergences are samples, log q(z | x) - log p(z) of each latent."""
        z, costs = self._drawn(x, self.features(x))
        batch = (len(x), x.shape[2], x.shape[3])
        return self.family.log_prob(self.likelihood([z], batch), x).flatten(1).sum(1), costs.T

    def log_weights(self, x: Tensor, features: Any = None) -> tuple[Tensor, list[Tensor]]:
        """See `LatentVariable`."""
        z, costs = self._drawn(x, self.features(x) if features is None else features)
        found = self.family.log_prob(self.likelihood([z], (len(x), x.shape[2], x.shape[3])), x)
        return found.flatten(1).sum(1) - costs.sum(1), list(torch.split(z, 1, 1))

    def _drawn(self, x: Tensor, seen: _Seen) -> tuple[Tensor, Tensor]:
        """Latents of the posterior, and log q(z_i | z_<i, x) - log p(z_i) of each, both [B, K]."""
        noise = torch.randn_like(seen.mean)
        if self.config.form == "iaf":
            first = seen.mean + torch.exp(seen.log_scale) * noise
            shift, log_scale = self.masked(first, seen.context)
            z = shift + torch.exp(log_scale) * first
        else:
            parts = list[Tensor]()
            for i in range(self.config.latents):
                mean, log = self.posterior(parts, seen)
                parts.append(mean + torch.exp(log) * noise[:, i, None])
            z = torch.cat(parts, 1)
            log_scale = torch.cat([log for _, log in seen.outputs], 1)
        log_q = -0.5 * noise.square() - seen.log_scale - log_scale
        return z, log_q + 0.5 * z.square()
