"""Layers of flows, each once as a torch module to learn and once as a bijection to code with; and what they make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.bijections import Affine, conv1x1, coupling, elementwise, part, permute, reshape, shifted, squeeze
from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.localbitsback import Bijection, Composition
from .bijective import Bijective

__all__ = ["BatchNorm", "Coupling", "Flow", "Layer", "Part", "Permute", "Scale", "Squeeze", "Standardize", "Whiten"]

Shape = tuple[int, ...]

LEAST_VARIANCE = 1e-5
"""Added to variances and deviations, so that none is 0."""


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

    def after(self, shape: Shape) -> Shape:
        """Of z, from that of x."""
        return shape

    def fit(self, x: Tensor) -> None:
        """Take the statistics of the first images that arrive here, before training."""


class Standardize(Layer):
    """From levels to about mean 0 and variance 1, fitted to the first images of a training."""

    center: Tensor
    spread: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.full((channels, 1, 1), 128.0))
        self.register_buffer("spread", torch.full((channels, 1, 1), 64.0))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`: the moments."""
        values = x.double()
        self.center.copy_(values.mean((0, 2, 3))[:, None, None])
        self.spread.copy_(values.std((0, 2, 3))[:, None, None].clamp(min=0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        area = x.shape[2] * x.shape[3]
        return (x - self.center) / self.spread, (-self.spread.log().sum() * area).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return z * self.spread + self.center

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        scale = (1 / self.spread.cpu().double()).expand(shape[1:]).flatten()
        return elementwise(Affine(-self.center.cpu().double().expand(shape[1:]).flatten() * scale, scale))


class Whiten(Layer):
    """From levels to values of mean 0 whose differences between neighbours are uncorrelated, as colours are not.

    A matrix at every pixel, fitted to the first images of a training; values have variances of about 1.
    """

    center: Tensor
    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.full((channels,), 128.0))
        self.register_buffer("matrix", torch.eye(channels) / 64)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        values = x.double().movedim(1, -1)
        steps = (values[:, :, 1:] - values[:, :, :-1]).flatten(0, -2)
        _, vectors = torch.linalg.eigh(steps.T @ steps / len(steps))
        rows = values.flatten(0, -2)
        spread = (rows @ vectors).std(0).clamp(min=0.5)
        self.center.copy_(rows.mean(0))
        self.matrix.copy_(vectors.T / spread[:, None])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        area = x.shape[2] * x.shape[3]
        found = torch.einsum("ij,bjhw->bihw", self.matrix, x - self.center[:, None, None])
        return found, (torch.linalg.slogdet(self.matrix)[1] * area).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(self.matrix), z) + self.center[:, None, None]

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        matrix, center = self.matrix.cpu().double(), self.center.cpu().double()
        return conv1x1(matrix, -matrix @ center)


class _Affine(Layer):
    """Each channel by one shift and one scale."""

    @abstractmethod
    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shift and log-scale [C] for z = x exp(log-scale) + shift; x where they may depend on it, in training."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        shift, log_scale = self._given(x)
        z = x * torch.exp(log_scale)[:, None, None] + shift[:, None, None]
        return z, (log_scale.sum() * (x.shape[2] * x.shape[3])).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        shift, log_scale = self._given(None)
        return (z - shift[:, None, None]) * torch.exp(-log_scale)[:, None, None]

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        area = shape[2] * shape[3]
        shift, log_scale = (part.detach().cpu().double().repeat_interleave(area) for part in self._given(None))
        return elementwise(Affine(shift, torch.exp(log_scale)))


class BatchNorm(_Affine):
    """Each channel to mean 0 and variance 1: in training those of the batch, otherwise running averages.

    Source: Dinh et al. (2017), 3.7.

    Args:
        channels: C.
        momentum: share of the running averages that stays at each step.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.98) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        self.mean.copy_(x.mean((0, 2, 3)))
        self.variance.copy_(x.var((0, 2, 3)))

    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, variance = self.mean, self.variance
        if self.training and x is not None:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            with torch.no_grad():
                self.mean.lerp_(mean, 1 - self.momentum)
                self.variance.lerp_(variance, 1 - self.momentum)
        log_scale = -0.5 * torch.log(variance + LEAST_VARIANCE)
        return -mean * torch.exp(log_scale), log_scale


class Scale(_Affine):
    """Each channel times a number that is learned, and shifted: where nothing else gives latents their variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift, self.log_scale = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        self.log_scale.copy_(-torch.log(x.std((0, 2, 3)) + LEAST_VARIANCE))
        self.shift.copy_(-x.mean((0, 2, 3)) * torch.exp(self.log_scale))

    def _given(self, x: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.shift, self.log_scale


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

    What the layers make of theirs takes the place of those channels, whatever its shape.

    Args:
        layers: of them.
        channels: how many go on.
    """

    def __init__(self, layers: Sequence[Layer], channels: int) -> None:
        super().__init__()
        made = nn.ModuleList(layers)
        self.layers: Sequence[Layer] = made  # type: ignore[assignment]
        self.channels = channels

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """See `Layer`."""
        x = x[:, : self.channels]
        for layer in self.layers:
            layer.fit(x)
            x = layer(x)[0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Layer`."""
        inner, total = x[:, : self.channels], x.new_zeros(len(x))
        for layer in self.layers:
            inner, log_det = layer(inner)
            total = total + log_det
        return torch.cat([inner.reshape(x[:, : self.channels].shape), x[:, self.channels :]], 1), total

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        inside = z[:, : self.channels]
        inner = inside.reshape(self._inside(z.shape))
        for layer in reversed(self.layers):
            inner = layer.inverse(inner)
        return torch.cat([inner, z[:, self.channels :]], 1)

    def _inside(self, shape: Shape) -> Shape:
        """Of what the layers make."""
        shape = (shape[0], self.channels, *shape[2:])
        for layer in self.layers:
            shape = layer.after(shape)
        return shape

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        found, here = list[Bijection](), (shape[0], self.channels, *shape[2:])
        last = here
        for layer in self.layers:
            found.append(layer.bijection(calibration, last))
            last = layer.after(last)
        found.append(reshape(last[1:], here[1:]))
        return part(Composition(found), self.channels)


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

    def inverse(self, z: Tensor) -> Tensor:
        """See `Layer`."""
        shift, log_scale = self._given(z)
        x = z.clone()
        x[:, self.changed] = (z[:, self.changed] - shift) * torch.exp(-log_scale)
        return x

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Layer`."""
        area = shape[2] * shape[3]
        place = slice(self.changed.start * area, self.changed.stop * area)

        def given(known: Tensor) -> tuple[Tensor, Tensor]:
            shift, log_scale = self._given(known.view(-1, *shape[1:]))
            return shift.cpu().double().flatten(1), log_scale.cpu().double().flatten(1)

        if self.additive:
            return shifted(place, lambda known: given(known)[0], calibration.round)

        def affine(known: Tensor) -> Affine:
            shift, log_scale = given(known)
            return Affine(shift, torch.exp(log_scale))

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

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the statistics of the data, before training. x int [B, C, H, W]."""
        y = x + torch.rand(x.shape, device=x.device)
        for layer in self.layers:
            layer.fit(y)
            y = layer(y)[0]

    def transform(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `Bijective`."""
        total = y.new_zeros(len(y))
        for layer in self.layers:
            y, log_det = layer(y)
            total = total + log_det
        return y, total

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijective`."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def latent_shape(self, shape: Shape) -> Shape:
        """See `Bijective`."""
        for layer in self.layers:
            shape = layer.after(shape)
        return shape

    def bijection(self, calibration: Calibration, shape: Shape) -> Bijection:
        """See `Bijective`."""
        found = []
        for layer in self.layers:
            found.append(layer.bijection(calibration, shape))
            shape = layer.after(shape)
        return Composition(found)
