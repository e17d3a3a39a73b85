"""V-ADE: a VAE behind a flow, so that pixels are not independent given the latents.

Dequantized images y become features h = f(y) by a flow; a VAE with a normal likelihood of one deviation is the density
of h. With the flow, distances between images are measured where that is right. Without one (`scales` 0), this is the
VAE of isotropic normal pixels that V-ADE is compared with.

Coding: y by local bits-back through f, with h for latents; h by bits-back with the latents of the VAE.

Source: Lucas, Shmelkov, Alahari, Schmid, Verbeek, *Adaptive density estimation for generative models* (2019), 3; f and
the likelihood: their section 3.2. The VAE: `..latent.topdown`; the flow: `..flows.nvp`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec
from ...codec.entropy.grid import Coarser
from ...codec.entropy.localbitsback import Grid
from ...codec.errors import UsageError
from ..flows.layers import Flow, Layer
from ..flows.norms import Standardize, Whiten
from ..flows.nvp import RealNvpConfig, scales
from ..latent.topdown import TopDownConfig
from .behind import Behind

__all__ = ["Vade", "VadeConfig"]


@dataclass(frozen=True)
class VadeConfig:
    """What a V-ADE is.

    Attributes:
        channels: of the images: 1 or 3.
        scales: of the flow; 0 for none.
        checkerboards: couplings of the flow between halves of a checkerboard, at each scale.
        couplings: of the flow between channels, at each scale.
        flow_filters: features of its networks.
        blocks: residual blocks of these.
        levels: resolutions of latents, from half the side of an image on.
        layers: of latents, at each of these.
        latents: maps of a layer.
        filters: features of the VAE.
        bins: of a latent, for coding.
        spread: of these; see `LatentVariable`.
    """

    channels: int = 3
    scales: int = 1
    checkerboards: int = 3
    couplings: int = 3
    flow_filters: int = 32
    blocks: int = 1
    levels: int = 2
    layers: int = 2
    latents: int = 8
    filters: int = 32
    bins: int = 1 << 12
    spread: float = 1.0


class Vade(Flow):
    """See the module."""

    config: VadeConfig

    def __init__(self, config: VadeConfig) -> None:
        if config.scales < 0:
            raise UsageError(f"scales = {config.scales}: 0 or more")
        first: list[Layer] = [Standardize(config.channels)]
        if config.scales:
            flow = RealNvpConfig(
                channels=config.channels,
                scales=config.scales,
                checkerboards=config.checkerboards,
                couplings=config.couplings,
                filters=config.flow_filters,
                blocks=config.blocks,
            )
            first = [Whiten(config.channels), *scales(flow, config.channels)]
        super().__init__(config, config.channels, first)
        inner = TopDownConfig(
            channels=config.channels,
            scales=config.levels,
            layers=config.layers,
            latents=config.latents,
            filters=config.filters,
            bins=config.bins,
            spread=config.spread,
        )
        self.vae = Behind(inner)
        self.multiple = max(self.multiple, self.vae.multiple)

    @property
    def fineness(self) -> str:
        """See `ImageModel`."""
        return f"{super().fineness}; {self.vae.fineness}"

    def latent_log_prob(self, z: Tensor) -> Tensor:
        """See `Bijective`: the bound by one sample of the posterior."""
        return self.vae.elbo(z)

    def latent_log_weight(self, z: Tensor) -> Tensor:
        """See `Bijective`."""
        return self.vae.log_weights(z)[0]

    def latent_codec(self, calibration: Calibration, shape: tuple[int, ...], grid: Grid) -> Codec[Tensor]:
        """See `Bijective`."""
        return Coarser(self.vae.codec(calibration, (shape[0], shape[1], shape[2], shape[3])), grid.bits - self.vae.bits)

    def means(self, count: int, height: int, width: int) -> Tensor:
        """Images of the means of the VAE's likelihood, without its noise, for latents from the prior; differentiable.

        Returns:
            Values in levels. [count, C, height, width]
        """
        batch = (count, height, width)
        return self.inverse(self.vae.likelihood(self.vae.draw_latents(batch), batch)[..., 0])

    def draw_latents(self, shape: tuple[int, ...], seed: int, temperature: float) -> Tensor:
        """See `Bijective`; the temperature is that of the latents of the VAE."""
        return self.vae.sample(shape[0], shape[2], shape[3], seed, temperature)
