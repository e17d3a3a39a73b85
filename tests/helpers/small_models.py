"""One small model of every shape, in seconds: what is general about shapes is tested on these."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from densezip.models.ade.vade import Vade, VadeConfig
from densezip.models.autoregressive.dde import Dde, DdeConfig
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from densezip.models.autoregressive.pixelcnnpp import PixelCNNPP, PixelCNNPPConfig
from densezip.models.autoregressive.ride import Ride, RideConfig
from densezip.models.flows.deepgmm import DeepGmm, DeepGmmConfig
from densezip.models.flows.gaussian import Gaussian, GaussianConfig
from densezip.models.flows.nvp import RealNvp, RealNvpConfig
from densezip.models.hybrid.agave import Agave, AgaveConfig
from densezip.models.hybrid.vqvae import VqVae, VqVaeConfig
from densezip.models.latent.diffusion import Diffusion, DiffusionConfig
from densezip.models.latent.iaf import IafConfig, IafVae
from densezip.models.latent.topdown import TopDown, TopDownConfig
from densezip.models.latent.vae import Vae, VaeConfig
from densezip.models.shapes import ImageModel

__all__ = ["MODELS", "SIDE", "Small", "made", "pictures", "trained"]

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
class Small:
    """A model to be made: its class, and its configuration."""

    model: Callable[[Any], ImageModel]
    config: Any


MODELS = {
    "mcgsm": Small(Mcgsm, McgsmConfig(channels=1, radius=1, components=2, scales=2, features=4)),
    "dde": Small(Dde, DdeConfig(channels=1, radius=1, filters=8, layers=1, kinks=4)),
    "ride": Small(Ride, RideConfig(channels=1, radius=1, hidden=4, components=2, scales=2, features=4)),
    "pixelcnn": Small(PixelCNN, PixelCNNConfig(channels=1, filters=4, layers=1, first=3)),
    "pixelcnn++": Small(PixelCNNPP, PixelCNNPPConfig(channels=1, filters=4, blocks=1, mixtures=2, reach=1)),
    "vae": Small(Vae, VaeConfig(side=SIDE, latents=4, filters=12, blocks=1, scales="channel")),
    "maps": Small(Vae, VaeConfig(side=0, latents=1, filters=12, blocks=1, components=2, spread=4)),
    "iaf": Small(IafVae, IafConfig(side=SIDE, latents=4, filters=12, blocks=1, hidden=16)),
    "maf": Small(IafVae, IafConfig(side=SIDE, latents=4, filters=12, blocks=1, hidden=16, form="maf")),
    "topdown": Small(TopDown, TopDownConfig(channels=1, scales=2, layers=1, latents=2, filters=12, components=1)),
    "agave": Small(
        Agave,
        AgaveConfig(
            channels=1, latents=2, latent_filters=8, features=4, weight=1.0, filters=4, mixtures=2, reach=1, bins=256
        ),
    ),
    "vq-vae": Small(
        VqVae,
        VqVaeConfig(
            channels=1, maps=2, codes=12, width=3, filters=12, blocks=1, components=1, prior_filters=8, prior_layers=1
        ),
    ),
    "affine": Small(RealNvp, RealNvpConfig(channels=1, scales=2, checkerboards=1, couplings=1, filters=8)),
    "additive": Small(
        RealNvp, RealNvpConfig(channels=1, scales=1, checkerboards=2, couplings=2, filters=8, additive=True)
    ),
    "gaussian": Small(Gaussian, GaussianConfig(channels=1, side=SIDE)),
    "deep-gmm": Small(
        DeepGmm, DeepGmmConfig(channels=1, patch=2, below=2, between=2, kernel=3, layers=2, choices=2, gate=4)
    ),
    "v-ade": Small(
        Vade, VadeConfig(channels=1, checkerboards=1, couplings=1, flow_filters=8, layers=1, levels=1, filters=8)
    ),
    "isotropic": Small(Vade, VadeConfig(channels=1, scales=0, layers=1, levels=1, latents=2, filters=8)),
    "diffusion": Small(Diffusion, DiffusionConfig(channels=1, steps=8, noise=3.0, filters=12, blocks=1, bumps=3)),
    "dequantized": Small(
        Diffusion,
        DiffusionConfig(
            channels=1, steps=8, noise=3.0, filters=12, blocks=1, bumps=3, learned=True, last="dequantized"
        ),
    ),
}


def made(name: str, seed: int = 0, **changes: Any) -> Any:
    """A model with fixed weights, its statistics taken from pictures."""
    torch.manual_seed(seed)
    kind = MODELS[name]
    model: Any = kind.model(type(kind.config)(**{**vars(kind.config), **changes}))
    if hasattr(model, "initialize"):
        model.initialize(torch.from_numpy(pictures(100, model.channels)))
    return model.eval()


def trained(name: str, **changes: Any) -> Any:
    """The same after some steps of training; mixtures take longer to be near to anything."""
    return copy.deepcopy(_trained(name, **changes))


@functools.cache
def _trained(name: str, **changes: Any) -> Any:
    steps = {"maps": 120, "vq-vae": 120}.get(name, 60)
    model, images = made(name, **changes), torch.from_numpy(pictures(256, changes.get("channels", 1), seed=1))
    model.train(name == "vq-vae")  # whose codebook follows in training only
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        x = images[torch.arange(64 * step, 64 * step + 64) % len(images)]
        loss = model.loss(x) if hasattr(model, "loss") else -model.bound(x).mean() / x[0].numel()
        loss.backward()
        optimizer.step()
    return model.eval()
