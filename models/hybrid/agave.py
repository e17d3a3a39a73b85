"""AGAVE: latents for the plan of an image, and a PixelCNN++ that is conditional on what they say, for its pixels.

A VAE decodes latents z to an image f(z), the means of an auxiliary image y that is made of x: x itself, x in fewer
colours, smaller, or grey. The PixelCNN++ sees f(z) through convolutions that are not masked. It could do without: where
nothing keeps information in the latents, the posterior becomes the prior. So y is reconstructed in training, too,

    E log p(x | f(z)) + E log p(y | f(z)) - λ KL(q(z | x) || p(z)),

and what the latents have to know for y is there for the pixels. A larger λ leaves less of it. The density of x has
neither λ nor y: what is reported, and coded, is E log p(x | f(z)) - KL.

Coding: bits-back for z, the cached scan of the PixelCNN++ for x given z. Without the latents the decoder is the
PixelCNN++ of the same sizes.

Source: Lucas and Verbeek, *Auxiliary guided autoregressive variational autoencoders* (2018); λ is `weight`. Ours has
latents in maps at a quarter of the side, independent under the prior, and adds features of f(z) to every block of the
PixelCNN++ from one stream of convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec
from ...codec.entropy.rans import Message
from ...codec.errors import UsageError
from ..autoregressive.density import ModelCodec
from ..autoregressive.pixelcnnpp import PixelCNNPP, PixelCNNPPConfig
from ..autoregressive.synthesis import fill
from ..latent.layers import FIRST_LOG_SCALE, Block, Conv, growing, shrinking, to_unit
from ..latent.variable import LatentVariable, Normal, checked_spread, divergences
from ..likelihoods import LogisticFamily

__all__ = ["AUXILIARIES", "Agave", "AgaveConfig"]

REDUCTION = 4
"""Of the side of an image, to that of its latents."""

LUMA = (0.299, 0.587, 0.114)


class Auxiliary(NamedTuple):
    """How an auxiliary image is made.

    Attributes:
        levels: values of a sample.
        reduction: of the side.
        grey: whether it has one channel.
    """

    levels: int
    reduction: int = 1
    grey: bool = False


AUXILIARIES = {
    "original": Auxiliary(256),
    "colours": Auxiliary(32),
    "half": Auxiliary(256, reduction=2),
    "quarter": Auxiliary(256, reduction=4),
    "grey": Auxiliary(16, grey=True),
    "none": Auxiliary(256),
}
"""By name; with "none" f(z) is an image like x that nothing but the PixelCNN++ asks for."""


@dataclass(frozen=True)
class AgaveConfig:
    """What an AGAVE is.

    Attributes:
        channels: of the images: 1 or 3.
        latents: maps of latents.
        latent_filters: features of the networks to and from the latents.
        latent_blocks: residual blocks of these, at each resolution.
        features: maps that are made of f(z) for the PixelCNN++.
        auxiliary: "original"; "colours": 32 for each channel; "half", "quarter": of the side; "grey", of 16 levels; or
            "none".
        weight: of the divergence in training, λ.
        bins: of a latent, for coding.
        spread: of these; see `LatentVariable`.
        filters: of the PixelCNN++, as are the rest; see `PixelCNNPPConfig`.
        blocks: see there.
        mixtures: see there.
        reach: see there.
        innovations: see there.
    """

    channels: int = 3
    latents: int = 8
    latent_filters: int = 32
    latent_blocks: int = 1
    features: int = 16
    auxiliary: str = "original"
    weight: float = 16.0
    bins: int = 1 << 10
    spread: float = 1.0
    filters: int = 32
    blocks: int = 1
    mixtures: int = 10
    reach: int = 2
    innovations: bool = False


class Agave(LatentVariable):
    """See the module. Its family, and `likelihood`, are those of the auxiliary image."""

    config: AgaveConfig
    family: LogisticFamily
    largest = 2**12
    first_images = PixelCNNPP.first_images

    def __init__(self, config: AgaveConfig) -> None:
        super().__init__()
        if config.auxiliary not in AUXILIARIES:
            raise UsageError(f"auxiliary = {config.auxiliary!r}: {', '.join(AUXILIARIES)}")
        self.config, self.channels, self.multiple = config, config.channels, REDUCTION
        self.bins, self.spread = config.bins, checked_spread(config.spread)
        self.auxiliary = AUXILIARIES[config.auxiliary]
        self.family = LogisticFamily(self.auxiliary.levels)
        filters, count = config.latent_filters, config.latent_blocks
        self.up = shrinking(config.channels, filters, count)
        self.to_latents = Conv(filters, 2 * config.latents)
        self.from_latents = Conv(config.latents, filters)
        # The decoder ends at the side of the auxiliary image; its last step is to four pixels a place, or to one.
        self.down = (
            nn.Sequential(*(Block(filters) for _ in range(2 * count)))
            if self.auxiliary.reduction == REDUCTION
            else growing(filters, count)
        )
        self.grown = 2 if self.auxiliary.reduction == 1 else 1
        shown = 1 if self.auxiliary.grey else config.channels
        self.out = Conv(filters, shown * self.grown**2, gain=0.5)
        self.log_scales = nn.Parameter(torch.full((shown,), FIRST_LOG_SCALE))
        self.stream = nn.Sequential(Conv(shown, config.features), Block(config.features), nn.ELU())
        self.pixels = PixelCNNPP(
            PixelCNNPPConfig(
                channels=config.channels,
                filters=config.filters,
                blocks=config.blocks,
                mixtures=config.mixtures,
                reach=config.reach,
                features=config.features,
                innovations=config.innovations,
            )
        )

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Lets the layers of the PixelCNN++ begin as its own do; see `PixelCNNPP.initialize`."""
        latents, _, _ = self.infer(x[:50])
        self.pixels.initialize(x, self.around(self.likelihood(latents, _batch(x[:50]))))

    def start_from(self, other: nn.Module) -> None:
        """Begins at an AGAVE of the same sizes, of another weight or auxiliary image, or at a PixelCNN++ as is in it.

        With the latter it has the density of that PixelCNN++, before training, and the cost of its latents.

        Raises:
            UsageError: another kind of model, or one of other sizes.
        """
        own, theirs = self.state_dict(), other.state_dict()
        if isinstance(other, PixelCNNPP):
            theirs = {f"pixels.{name}": value for name, value in theirs.items()}
            # Gains and biases of 0: what the features say adds nothing, but has a gradient.
            silent = {name for name in own if ".features." in name and not name.endswith("direction")}
            kept = {
                name: value for name, value in own.items() if ".features." in name or not name.startswith("pixels.")
            }
            theirs |= {name: torch.zeros_like(kept[name]) if name in silent else kept[name] for name in kept}
        elif not isinstance(other, Agave):
            theirs = {}
        if {name: value.shape for name, value in theirs.items()} != {name: value.shape for name, value in own.items()}:
            raise UsageError(
                f"a {type(other).__name__} to begin at; an AGAVE of the same sizes is needed, or the PixelCNN++ in it"
            )
        self.load_state_dict(theirs)

    def loss(self, x: Tensor) -> Tensor:
        """What is minimised for images [B, C, H, W], nats per dimension: with the auxiliary image, and λ."""
        latents, priors, posteriors = self.infer(x)
        rows = self.likelihood(latents, _batch(x))
        nats = self.pixels.log_prob(x, self.around(rows)) - self.config.weight * divergences(posteriors, priors).sum(0)
        if self.config.auxiliary != "none":
            nats = nats + self.family.log_prob(rows, self.auxiliary_image(x)).flatten(1).sum(1)
        return -nats.mean() / x[0].numel()

    def auxiliary_image(self, x: Tensor) -> Tensor:
        """The auxiliary image y of images [B, C, H, W], int64."""
        values = x.to(torch.get_default_dtype())
        if self.auxiliary.reduction > 1:
            values = F.avg_pool2d(values, self.auxiliary.reduction)
        if self.auxiliary.grey and self.channels == len(LUMA):
            values = (values * values.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
        return ((values.round() + 0.5) * (self.auxiliary.levels / 256)).floor().long()

    def features(self, x: Tensor) -> Any:
        """See `LatentVariable`: means and log-scales of the posterior. [B, 2 K, H / 4, W / 4]."""
        normal: Tensor = self.to_latents(self.up(F.pixel_unshuffle(to_unit(x, 256, self._dtype), 2)))
        return normal.to(self._dtype)

    def prior(self, above: Sequence[Tensor], batch: tuple[int, int, int]) -> Normal:
        """See `LatentVariable`: N(0, 1)."""
        zeros = self.log_scales.new_zeros(batch[0], self.config.latents, batch[1] // REDUCTION, batch[2] // REDUCTION)
        return zeros, zeros

    def posterior(self, above: Sequence[Tensor], features: Any) -> Normal:
        """See `LatentVariable`."""
        mean, log_scale = features.chunk(2, 1)
        return mean, log_scale

    def likelihood(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`: parameters of the auxiliary image; the means are f(z). [B, C', H', W', 2]."""
        inside = self.down(self.from_latents(latents[0].to(self._dtype)))
        means = F.pixel_shuffle(self.out(F.elu(inside)).to(self._dtype), self.grown)
        return torch.stack([means, self.log_scales[:, None, None].expand_as(means)], -1)

    def around(self, rows: Tensor) -> Tensor:
        """What the PixelCNN++ sees of f(z), from the parameters of the auxiliary image. [B, F, H, W]."""
        found: Tensor = self.stream(self._enlarged(rows[..., 0])).to(self._dtype)
        return found

    def log_likelihood(self, latents: Sequence[Tensor], x: Tensor) -> Tensor:
        """See `LatentVariable`."""
        return self.pixels.log_prob(x, self.around(self.likelihood(latents, _batch(x))))

    def expected(self, latents: Sequence[Tensor], batch: tuple[int, int, int]) -> Tensor:
        """See `LatentVariable`: f(z), at the size and in the levels of x. The mean of the pixels is not known."""
        found = self._enlarged(self.family.mean(self.likelihood(latents, batch)))
        return (found * (255 / (self.auxiliary.levels - 1))).expand(-1, self.channels, -1, -1)

    def draw(self, latents: Sequence[Tensor], batch: tuple[int, int, int], random: torch.Generator) -> Tensor:
        """See `LatentVariable`: pixel by pixel, in a scan."""
        blank = torch.zeros(batch[0], self.channels, *batch[1:], dtype=torch.int64)
        everywhere = torch.ones(batch[1:], dtype=torch.bool)
        features = self.around(self.likelihood(latents, batch))
        return fill(self.pixels, blank, everywhere, _seed(random), features=features).to(torch.uint8)

    def redraw(self, latents: Sequence[Tensor], x: Tensor, mask: Tensor, random: torch.Generator) -> Tensor:
        """See `LatentVariable`: a Metropolis step.

        Masked pixels are proposed in the order of the scan, given what is before them, and accepted by the density of
        the known pixels, which is all that the two ways to draw differ by.
        """
        features = self.around(self.likelihood(latents, _batch(x)))
        proposed = fill(self.pixels, x.cpu(), mask.cpu(), _seed(random), features=features).to(x)
        change = self.pixels.log_probs(proposed, features) - self.pixels.log_probs(x, features)
        odds = torch.where(mask, 0.0, change).flatten(1).sum(1).clamp(max=0).exp().cpu()
        taken = torch.rand(len(x), generator=random) < odds
        return torch.where(taken.to(x.device)[:, None, None, None], proposed, x)

    def conditional(
        self, calibration: Calibration, latents: Sequence[Tensor], shape: tuple[int, int, int, int]
    ) -> Codec[Tensor]:
        """See `LatentVariable`."""
        features = self.around(self.likelihood(latents, (shape[0], *shape[2:])))
        return _Flat(ModelCodec(self.pixels, calibration, shape, features=features))

    @property
    def _dtype(self) -> torch.dtype:
        return self.log_scales.dtype

    def _enlarged(self, images: Tensor) -> Tensor:
        """Of the side of x."""
        by = self.auxiliary.reduction
        return images if by == 1 else F.interpolate(images, scale_factor=float(by))


@dataclass(frozen=True)
class _Flat:
    """A codec of images, for their samples in one row."""

    codec: ModelCodec

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self.codec.push(message, symbols.view(self.codec.shape))

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self.codec.pop(message).flatten()


def _batch(x: Tensor) -> tuple[int, int, int]:
    return len(x), x.shape[2], x.shape[3]


def _seed(random: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=random))
