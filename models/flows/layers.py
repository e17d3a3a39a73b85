"""Layers of flows, each once as a torch module to learn and once as a bijection to code with; and what they make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.bijections import Affine, coupling, elementwise, permute, shifted, squeeze, unsqueeze
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.localbitsback import Bijection, Composition
from ...codec.entropy.scales import part
from .bijective import Bijective

__all__ = ["Coupling", "Flow", "Layer", "Part", "Permute", "Squeeze", "Unsqueeze"]

Shape = tuple[int, ...]


Pending = tuple[Tensor, Tensor]
"""Shift and scale of each channel [C], float64 on the CPU, that are yet to be applied: z = scale x + shift."""


class Layer(nn.Module, ABC):
    """An invertible map of values [B, C, H, W]."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(z, log of the Jacobian's determinant [B])."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """X."""

    @abstractmethod
    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """For the codec; `shape` is that of x, (B, C, H, W)."""

    def affine(self) -> Pending | None:
        """What the layer does, where that is one shift and one scale for each channel: a coupling takes it over."""
        return None

    def after(self, shape: Shape) -> Shape:
        """Of z, from that of x."""
        return shape

    def fit(self, x: Tensor) -> None:
        """Take the statistics of the first images that arrive here, before training."""

    def refit(self, x: Tensor) -> None:
        """Take those that stand for the statistics of a batch, for other weights than they were gathered with."""


@torch.no_grad()
def fit(layers: Sequence[Layer], x: Tensor, *, again: bool = False) -> None:
    """Layers take the statistics of values [B, C, H, W], one after the other; `again` for `Layer.refit`."""
    for layer in layers:
        (layer.refit if again else layer.fit)(x)
        x = layer(x)[0]


def through(layers: Sequence[Layer], x: Tensor) -> tuple[Tensor, Tensor]:
    """What layers make of x, and the logarithm of the Jacobian's determinant of all [B]."""
    total = x.new_zeros(len(x))
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total


def back_through(layers: Sequence[Layer], z: Tensor) -> Tensor:
    """What becomes z in layers."""
    for layer in reversed(layers):
        z = layer.inverse(z)
    return z


def composed(layers: Sequence[Layer], calibration: Calibration, shape: Shape) -> Bijection:
    """Layers for the codec, on values of a shape.

    Shifts and scales of channels wait for the next coupling that changes these: each layer that is coded takes a push
    and a pop of all that it changes.
    """
    found, pending = list[Bijection](), None
    for layer in layers:
        own = layer.affine()
        if own is not None:
            pending = own if pending is None else (own[0] + own[1] * pending[0], own[1] * pending[1])
            continue
        if pending is not None and isinstance(layer, Coupling) and not layer.additive:
            found.append(layer.bijection(calibration, shape, pending))
            pending[0][layer.changed], pending[1][layer.changed] = 0.0, 1.0
            continue
        if pending is not None and isinstance(layer, Permute):
            order = layer.order.cpu()
            pending = pending[0][order], pending[1][order]
        elif pending is not None:
            found.append(_elementwise(pending, shape))
            pending = None
        found.append(layer.bijection(calibration, shape))
        shape = layer.after(shape)
    return Composition(found if pending is None else [*found, _elementwise(pending, shape)])


def _elementwise(given: Pending, shape: Shape) -> Bijection:
    shift, scale = (values.repeat_interleave(shape[2] * shape[3]) for values in given)
    return elementwise(Affine(shift, scale))


class Squeeze(Layer):
    """Blocks of 2 x 2 pixels to channels."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return F.pixel_shuffle(z, 2)

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        return squeeze(2)

    def after(self, shape: Shape) -> Shape:
        """See `Layer`."""
        return shape[0], 4 * shape[1], shape[2] // 2, shape[3] // 2


class Unsqueeze(Layer):
    """Channels to blocks of 2 x 2 pixels: the inverse of `Squeeze`."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        return F.pixel_shuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return F.pixel_unshuffle(z, 2)

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        return unsqueeze(2)

    def after(self, shape: Shape) -> Shape:
        """See `Layer`."""
        return shape[0], shape[1] // 4, 2 * shape[2], 2 * shape[3]


class Permute(Layer):
    """Channels in another order: z[i] = x[order[i]]."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("back", torch.argsort(self.order), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return z[:, self.back]

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        return permute(self.order.cpu(), 1)


class Part(Layer):
    """More layers for the first channels; the others leave here: they are latents already.

    Args:
        layers: of them, which keep their shape.
        channels: how many go on.
    """

    def __init__(self, layers: Sequence[Layer], channels: int) -> None:
        super().__init__()
        made = nn.ModuleList(layers)
        self.layers: Sequence[Layer] = made  # type: ignore[assignment]
        self.channels = channels

    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        fit(self.layers, x[:, : self.channels])

    def refit(self, x: Tensor) -> None:
        """See `Layer`."""
        fit(self.layers, x[:, : self.channels], again=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        inner, total = through(self.layers, x[:, : self.channels])
        return torch.cat([inner, x[:, self.channels :]], 1), total

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        inner = back_through(self.layers, z[:, : self.channels])
        return torch.cat([inner, z[:, self.channels :]], 1)

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        return part(composed(self.layers, calibration, (shape[0], self.channels, *shape[2:])), self.channels)


class Coupling(Layer):
    """Some of the channels, plus what a network makes of the others; and times, unless it is additive.

    Logarithms of scales are bounded by a gain that is learned. An additive coupling is coded exactly on the grid,
    without noise or initial bits.

    Source: Dinh, Krueger, Bengio, *NICE* (2015); Dinh, Sohl-Dickstein, Bengio, *Real NVP* (2017).

    Args:
        network: from the kept channels [B, K, H, W] to [B, M, H, W] of the M changed ones, or to 2 M where it scales.
        channels: C, of x.
        first: whether the first ceil(C / 2) channels are changed, else the last floor(C / 2).
        additive: only shift.
        changed: how many channels are changed, where it is not that half.
    """

    def __init__(
        self, network: nn.Module, channels: int, first: bool, additive: bool = False, changed: int | None = None
    ) -> None:
        super().__init__()
        count = (channels + first) // 2 if changed is None else changed
        self.network, self.additive = network, additive
        self.changed, self.kept = slice(0, count), slice(count, channels)
        if not first:
            self.changed, self.kept = slice(channels - count, channels), slice(0, channels - count)
        self.gain = nn.Parameter(torch.ones(1))

    def _given(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log-scale of the changed channels; x is of any place and precision."""
        found = self.network(x[:, self.kept].to(self.gain.device, self.gain.dtype))
        if self.additive:
            return found, torch.zeros_like(found)
        shift, raw = found.chunk(2, 1)
        return shift, self.gain * torch.tanh(raw)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        shift, log_scale = self._given(x)
        z = x.clone()
        z[:, self.changed] = x[:, self.changed] * torch.exp(log_scale) + shift
        return z, log_scale.flatten(1).sum(1)

    def undo(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """X, and the logarithm of the determinant that `forward` has there [B]."""
        shift, log_scale = self._given(z)
        x = z.clone()
        x[:, self.changed] = (z[:, self.changed] - shift) * torch.exp(-log_scale)
        return x, log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return self.undo(z)[0]

    def bijection(self, calibration: Calibration, shape: Shape, before: Pending | None = None) -> Bijection:
        """See `Layer`; `before` it, channels are shifted and scaled, those that are kept only for the network."""
        area = shape[2] * shape[3]
        place = slice(self.changed.start * area, self.changed.stop * area)
        known_shift, known_scale = (torch.zeros(1), torch.ones(1)) if before is None else (v.clone() for v in before)
        known_shift, known_scale = known_shift.double()[:, None, None], known_scale.double()[:, None, None]

        def given(known: Tensor) -> tuple[Tensor, Tensor]:
            shift, log_scale = self._given(known.view(-1, *shape[1:]) * known_scale + known_shift)
            return shift.cpu().double(), log_scale.cpu().double()

        if self.additive:
            return shifted(place, lambda known: given(known)[0].flatten(1), calibration.round)
        own_shift, own_scale = (v if before is None else v[self.changed] for v in (known_shift, known_scale))

        def affine(known: Tensor) -> Affine:
            shift, log_scale = given(known)
            scale = torch.exp(log_scale)
            return Affine((scale * own_shift + shift).flatten(1), (scale * own_scale).flatten(1))

        return coupling(place, affine)


class Flow(Bijective):
    """Layers one after the other.

    Args:
        config: see `ImageModel`.
        channels: of the images.
        layers: from the values to the latents. `initialize` fits those that begin with statistics of the data.
    """

    first_images = 500

    def __init__(self, config: Any, channels: int, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.config, self.channels = config, channels
        made = nn.ModuleList(layers)
        self.layers: Sequence[Layer] = made  # type: ignore[assignment]
        self.multiple = 2 ** sum(isinstance(layer, Squeeze) for layer in self.modules())

    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training. x int [B, C, H, W]."""
        fit(self.layers, x + torch.rand(x.shape, device=x.device))

    def refit(self, x: Tensor) -> None:
        """Take the statistics of batch normalization anew, for averaged weights. x int [B, C, H, W]."""
        if all(type(layer).refit is Layer.refit for layer in self.modules() if isinstance(layer, Layer)):
            return
        fit(self.layers, x + torch.rand(x.shape, device=x.device), again=True)

    def transform(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `Bijective`."""
        return through(self.layers, y)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijective`."""
        return back_through(self.layers, z)

    def latent_shape(self, shape: Shape) -> Shape:
        """See `Bijective`."""
        for layer in self.layers:
            shape = layer.after(shape)
        return shape

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Bijective`."""
        return composed(self.layers, calibration, shape)
