"""One small model of every shape, in seconds: what is general about shapes is tested on these."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from densezip.models import registry
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from densezip.models.autoregressive.pixelcnnpp import PixelCNNPP, PixelCNNPPConfig
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.flows.layers import Coupling, Flow, Squeeze, Standardize
from densezip.models.latent.vae import Vae, VaeConfig
from densezip.models.latent.variable import LatentVariable, Normal
from densezip.models.likelihoods import LogisticFamily
from densezip.models.shapes import ImageModel
from torch import Tensor, nn

__all__ = ["MODELS", "SIDE", "Small", "made", "pictures", "register", "trained"]

SIDE = 8


def pictures(count: int, channels: int = 1, side: int = SIDE, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Slopes of random directions with noise: [count, C, side, side]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    slope = random.normal(0, 6, (count, 2, 1, 1, 1))
    level = random.normal(128, 20, (count, 1, 1, 1)) + random.normal(0, 4, (count, channels, 1, 1))
    values = level + slope[:, 0] * y + slope[:, 1] * x + random.normal(0, 4, (count, channels, side, side))
    found: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(values, 0, 255).astype(np.uint8)
    return found


@dataclass(frozen=True)
class HierarchyConfig:
    """Of the two layers."""

    channels: int = 1
    latents: int = 4
    hidden: int = 32


class Hierarchy(LatentVariable):
    """Two layers of latents from the top down, for images of any size that is a multiple of 4."""

    layers = 2
    multiple = 4
    largest = 64
    family = LogisticFamily()

    def __init__(self, config: HierarchyConfig) -> None:
        super().__init__()
        self.config, self.channels = config, config.channels
        c, k, h = config.channels, config.latents, config.hidden
        self.up = nn.ModuleList([nn.Conv2d(c, h, 2, stride=2), nn.Conv2d(h, h, 2, stride=2)])
        self.top = nn.Conv2d(h, 2 * k, 1)
        self.grow = nn.ConvTranspose2d(k, h, 2, stride=2)
        self.middle = nn.Conv2d(h, 2 * k, 1)
        self.change = nn.Conv2d(2 * h, 2 * k, 1)
        self.out = nn.ConvTranspose2d(h + k, c, 2, stride=2)
        self.log_scale = nn.Parameter(torch.full((1,), -2.0))

    def features(self, x: Tensor) -> list[Tensor]:
        low = torch.tanh(self.up[0](x.to(self.log_scale.dtype) / 127.5 - 1))
        return [torch.tanh(self.up[1](low)), low]

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        if not above:
            zeros = self.log_scale.new_zeros(batch[0], self.config.latents, batch[1] // 4, batch[2] // 4)
            return zeros, zeros
        mean, log_scale = self.middle(torch.tanh(self.grow(above[0].to(self.log_scale.dtype)))).chunk(2, 1)
        return mean, log_scale

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        if not above:
            mean, log_scale = self.top(features[0]).chunk(2, 1)
            return mean, log_scale - 1
        state = torch.tanh(self.grow(above[0].to(self.log_scale.dtype)))
        mean, log_scale = self.middle(state).chunk(2, 1)
        by, ratio = self.change(torch.cat([state, features[1]], 1)).chunk(2, 1)
        return mean + by, log_scale + ratio - 1

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        state = torch.tanh(self.grow(latents[0].to(self.log_scale.dtype)))
        mean = self.out(torch.cat([state, latents[1].to(state.dtype)], 1))
        return torch.stack([mean, self.log_scale.expand(mean.shape)], -1)


@dataclass(frozen=True)
class FlowConfig:
    """Of the flows: one of couplings that scale, and one of couplings that add."""

    channels: int = 1
    hidden: int = 16
    additive: bool = False


class SmallFlow(Flow):
    """Four couplings between the channels of a squeezed image."""

    largest = 64

    def __init__(self, config: FlowConfig) -> None:
        wide = 4 * config.channels
        layers: list[Any] = [Standardize(config.channels), Squeeze()]
        for number in range(4):
            outputs = wide // 2 * (1 if config.additive else 2)
            network = nn.Sequential(
                nn.Conv2d(wide // 2, config.hidden, 3, padding=1), nn.Tanh(), nn.Conv2d(config.hidden, outputs, 1)
            )
            layers.append(Coupling(network, wide, first=number % 2 == 0, additive=config.additive))
        super().__init__(config, config.channels, layers)


@dataclass(frozen=True)
class Small:
    """A model to be made: its class, and its configuration."""

    model: Callable[[Any], ImageModel]
    config: Any


MODELS = {
    "mcgsm": Small(Mcgsm, McgsmConfig(channels=1, radius=1, components=2, scales=2, features=4)),
    "ride": Small(Ride, RideConfig(channels=1, radius=1, hidden=4, components=2, scales=2, features=4)),
    "pixelcnn": Small(PixelCNN, PixelCNNConfig(channels=1, filters=4, layers=1, first=3)),
    "pixelcnn++": Small(PixelCNNPP, PixelCNNPPConfig(channels=1, filters=4, blocks=1, mixtures=2, reach=1)),
    "vae": Small(Vae, VaeConfig(side=SIDE, latents=4, filters=12, blocks=1, scales="channel")),
    "maps": Small(Vae, VaeConfig(side=0, latents=1, filters=12, blocks=1, components=2)),
    "hierarchy": Small(Hierarchy, HierarchyConfig(latents=2)),
    "affine": Small(SmallFlow, FlowConfig()),
    "additive": Small(SmallFlow, FlowConfig(additive=True)),
}


def made(name: str, seed: int = 0, **changes: Any) -> Any:
    """A model with fixed weights, its statistics taken from pictures."""
    torch.manual_seed(seed)
    kind = MODELS[name]
    model: Any = kind.model(type(kind.config)(**{**vars(kind.config), **changes}))
    if hasattr(model, "initialize"):
        model.initialize(torch.from_numpy(pictures(100, model.channels)))
    return model.eval()


def trained(name: str, steps: int = 60, **changes: Any) -> Any:
    """The same after some steps of training."""
    model, images = made(name, **changes), torch.from_numpy(pictures(256, changes.get("channels", 1), seed=1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        x = images[torch.arange(64 * step, 64 * step + 64) % len(images)]
        (-model.bound(x).mean() / x[0].numel()).backward()
        optimizer.step()
    return model.eval()


def register(monkeypatch: Any) -> None:
    """Let the registry know those that are no models of the package."""
    monkeypatch.setitem(sys.modules, "densezip.models.small", sys.modules[__name__])
    for name, model, config, shape in (
        ("hierarchy", "Hierarchy", "HierarchyConfig", "latent"),
        ("flow", "SmallFlow", "FlowConfig", "bijective"),
    ):
        monkeypatch.setitem(registry.MODELS, name, registry.Architecture("small", model, config, shape))
