"""A hierarchy of latents from the top down, with residual networks: many layers of maps at falling resolutions.

Bottom up, an image becomes features at each layer. From the top down a state is carried: at each layer it gives the
prior of the layer's latents, with the features their posterior, and takes the latents in. The posterior moves the prior
(its mean by so many of its deviations, its deviation by a factor), so that a layer with nothing to say costs nothing.

Source: Kingma, Salimans et al., *Improved variational inference with inverse autoregressive flow* (2016), section 4;
the posterior relative to the prior: Vahdat and Kautz, *NVAE* (2020), 3.2. Ours has no autoregressive flow, and
mixtures of logistics with channels in turn for samples. Coding: `variable.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.errors import UsageError
from .layers import Block, Conv, Ends, family_of, to_unit
from .variable import LatentVariable, Normal, checked_spread

__all__ = ["TopDown", "TopDownConfig"]

MOST_MOVE = 5.0
"""Log-scales of layers, and their change by the posterior, are kept below this smoothly."""


@dataclass(frozen=True)
class TopDownConfig:
    """What a top-down VAE is.

    Attributes:
        channels: of the images: 1 or 3.
        levels: values of a sample: 256, or 2.
        scales: resolutions, from half the side of an image on, each half the one before.
        layers: of latents, at each resolution.
        latents: maps of a layer.
        filters: features, at every resolution.
        components: logistics of a sample.
        bins: of a latent, for coding.
        spread: of these; see `LatentVariable`.
    """

    channels: int = 3
    levels: int = 256
    scales: int = 2
    layers: int = 3
    latents: int = 4
    filters: int = 32
    components: int = 5
    bins: int = 1 << 12
    spread: float = 1.0


@dataclass
class _Step:
    """A place on the way down: the latents that led to it, the state there, and the prior of the next layer."""

    latents: Tensor | None
    state: Tensor
    prior: Normal | None


class _Memo:
    """The last way down, so that layers in turn take one pass over the network, not one each. It is never copied."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.key: object = None

    def __deepcopy__(self, memo: object) -> _Memo:
        return _Memo()

    def __reduce__(self) -> tuple[type[_Memo], tuple[()]]:
        return _Memo, ()


class _Layer(nn.Module):
    """One layer of latents: prior and posterior by the state, and the state with latents in it."""

    def __init__(self, filters: int, latents: int) -> None:
        super().__init__()
        self.latents = latents
        self.before = Block(filters)
        self.prior = Conv(filters, 2 * latents, gain=0.3)
        self.change = Conv(2 * filters, 2 * latents, gain=0.3)
        self.inside = Conv(latents, filters, gain=0.5)


class TopDown(LatentVariable):
    """See the module."""

    config: TopDownConfig

    def __init__(self, config: TopDownConfig) -> None:
        super().__init__()
        if min(config.scales, config.layers, config.latents) < 1:
            raise UsageError(f"scales = {config.scales}, layers = {config.layers}, latents = {config.latents}: above 0")
        self.config, self.channels, self.levels = config, config.channels, config.levels
        self.bins, self.spread = config.bins, checked_spread(config.spread)
        self.layers, self.multiple = config.scales * config.layers, 2**config.scales
        self.family = family_of(config.levels, config.channels, config.components)
        filters = config.filters
        self.first = Conv(4 * config.channels, filters)
        self.up = nn.ModuleList(Block(filters) for _ in range(self.layers))
        self.shrink = nn.ModuleList(Conv(filters, filters, stride=2) for _ in range(config.scales - 1))
        self.top = nn.Parameter(torch.zeros(filters))
        self.down = nn.ModuleList(_Layer(filters, config.latents) for _ in range(self.layers))
        self.grow = nn.ModuleList(Conv(filters, filters) for _ in range(config.scales - 1))
        self.last = Block(filters)
        self.ends: nn.Module = Ends(filters, config.channels, self.family, "pixel")
        self._memo = _Memo()

    @property
    def _dtype(self) -> torch.dtype:
        return self.top.dtype

    def _layer(self, number: int) -> _Layer:
        return cast(_Layer, self.down[number])

    def features(self, x: Tensor) -> list[Tensor]:
        """See `LatentVariable`: of each layer, from the top down. [B, F, h, w]."""
        return self.features_of(to_unit(x, self.levels, self._dtype))

    def features_of(self, values: Tensor) -> list[Tensor]:
        """The same of values [B, C, H, W] that are about -1 to 1."""
        state = self.first(F.pixel_unshuffle(values, 2))
        found = list[Tensor]()
        for number, block in enumerate(self.up):
            if number and number % self.config.layers == 0:
                state = self.shrink[number // self.config.layers - 1](F.elu(state))
            state = block(state)
            found.append(state)
        return found[::-1]

    def posterior_parameters(self) -> list[nn.Parameter]:
        """Those that only posteriors use."""
        changes = (self._layer(number).change for number in range(self.layers))
        return [p for part in (self.first, self.up, self.shrink, *changes) for p in part.parameters()]

    def _step(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> _Step:
        """Where the latents of layers lead to; from where the last call with the same first ones was."""
        memo, key = self._memo, (self.top._version, torch.is_grad_enabled())
        if memo.key != key:
            memo.key, memo.steps = key, []
        same = 0
        while same < min(len(above), len(memo.steps) - 1) and memo.steps[same + 1].latents is above[same]:
            same += 1
        del memo.steps[same + 1 :]
        if not same:
            sides = [length // self.multiple for length in batch[1:]]
            top = self.top[:, None, None].expand(batch[0], -1, *sides)
            memo.steps = [self._arrived(0, None, top)]
        for number in range(same, len(above)):
            state = memo.steps[-1].state + self._layer(number).inside(above[number].to(self._dtype))
            memo.steps.append(self._arrived(number + 1, above[number], state))
        return memo.steps[-1]

    def _arrived(self, number: int, latents: Tensor | None, state: Tensor) -> _Step:
        """At a layer, or after the last one."""
        if number == self.layers:
            return _Step(latents, state, None)
        if number and number % self.config.layers == 0:
            state = self.grow[number // self.config.layers - 1](F.interpolate(F.elu(state), scale_factor=2.0))
        layer = self._layer(number)
        state = layer.before(state)
        mean, log_scale = layer.prior(F.elu(state)).to(self._dtype).chunk(2, 1)
        return _Step(latents, state, (mean, _soft(log_scale)))

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        """See `LatentVariable`."""
        found = self._step(above, batch).prior
        assert found is not None
        return found

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        """See `LatentVariable`."""
        number, beside = len(above), features[len(above)]
        shrunk = self.multiple >> number // self.config.layers  # the side of an image over that of the maps
        step = self._step(above, (len(beside), beside.shape[2] * shrunk, beside.shape[3] * shrunk))
        assert step.prior is not None
        mean, log_scale = step.prior
        both = self._layer(number).change(F.elu(torch.cat([step.state, beside], 1))).to(self._dtype)
        by, ratio = both.chunk(2, 1)
        return mean + torch.exp(log_scale) * by, log_scale + _soft(ratio)

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`."""
        found: Tensor = self.ends(self.inside(latents, batch))
        return found

    def inside(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """Features at half the side of the images, from all latents. [B, F, H / 2, W / 2]."""
        found: Tensor = self.last(self._step(latents, batch).state)
        return found


def _soft(values: Tensor) -> Tensor:
    return MOST_MOVE * torch.tanh(values / MOST_MOVE)
