"""VQ-VAE: an image by codes, the nearest of a codebook to what a network makes of it, and pixels by the codes.

The posterior is all on one set of codes, so the bound log p(x | codes) + log p(codes) is what a code of two parts
takes: first the codes, by a gated PixelCNN over their maps (or as if all were alike), then the pixels, which are
independent given the codes. Nothing is borrowed, and an image alone takes what it takes among many.

Gradients pass the choice of a code as if it were none; vectors of the codebook follow the means of what chooses them,
and those that nothing chooses begin anew at some of the batch. The prior learns with the rest, from codes as they are.

Source: van den Oord, Vinyals, Kavukcuoglu, *Neural discrete representation learning* (2017), 3 and appendix A.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec, Independent
from ...codec.entropy.pmf import Uniform
from ...codec.entropy.rans import Message
from ...codec.errors import UsageError
from ..autoregressive.density import ModelCodec
from ..autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from ..autoregressive.synthesis import fill
from ..latent.bounds import LatentModel
from ..latent.layers import Conv, Ends, family_of, growing, shrinking, to_unit
from ..shapes import Advance, Advancing

__all__ = ["VqVae", "VqVaeConfig"]

REDUCTION = 4
"""Of the side of an image, to that of its codes."""

DECAY = 0.95
"""Of the averages that the codebook follows, at each step."""

LEAST_USE = 0.05
"""Of what a vector would be chosen if all were alike; one that is chosen less begins anew."""

PRECISION = 24
"""Bits of the uniform distribution of codes, of which there need not be a power of two."""

ROUNDS = 8
"""Times that a hole is reconstructed before it is drawn: its codes and those around it come to fit."""


@dataclass(frozen=True)
class VqVaeConfig:
    """What a VQ-VAE is.

    Attributes:
        channels: of the images: 1 or 3.
        levels: values of a sample: 256, or 2.
        maps: codes at each place of a quarter of the side, each with a codebook of its own.
        codes: vectors of a codebook.
        width: numbers of a vector.
        filters: features, at a half and at a quarter of the side.
        blocks: residual blocks at each of these, up and down.
        components: logistics of a sample.
        commitment: weight of the distance of features from the vectors that they choose.
        prior: of the codes: "autoregressive", or "uniform".
        prior_filters: features of the autoregressive prior, a multiple of `maps`.
        prior_layers: of it.
    """

    channels: int = 3
    levels: int = 256
    maps: int = 1
    codes: int = 256
    width: int = 8
    filters: int = 48
    blocks: int = 2
    components: int = 5
    commitment: float = 0.5
    prior: str = "autoregressive"
    prior_filters: int = 32
    prior_layers: int = 4


class VqVae(LatentModel):
    """See the module.

    Attributes:
        codebook: vectors. [maps, K, D]
        uses: how often each was chosen of late, by step. [maps, K]
        sums: of what chose it. [maps, K, D]
    """

    config: VqVaeConfig
    borrows = False
    largest = 2**14
    first_images = 500
    codebook: Tensor
    uses: Tensor
    sums: Tensor

    def __init__(self, config: VqVaeConfig) -> None:
        super().__init__()
        if config.prior not in ("autoregressive", "uniform") or min(config.maps, config.codes - 1, config.width) < 1:
            raise UsageError(
                f"prior = {config.prior!r} (autoregressive or uniform), maps = {config.maps} (1 or more), codes = "
                f"{config.codes} (2 or more), width = {config.width} (1 or more)"
            )
        self.config, self.channels, self.levels, self.multiple = config, config.channels, config.levels, REDUCTION
        self.family = family_of(config.levels, config.channels, config.components)
        filters, inside = config.filters, config.maps * config.width
        self.up = shrinking(config.channels, filters, config.blocks)
        self.to_vectors = Conv(filters, inside, 1)
        self.from_vectors = Conv(inside, filters)
        self.down = growing(filters, config.blocks)
        self.ends = Ends(filters, config.channels, self.family, "pixel")
        books = torch.randn(config.maps, config.codes, config.width)
        self.register_buffer("codebook", books)
        self.register_buffer("uses", torch.ones(config.maps, config.codes))
        self.register_buffer("sums", books.clone())
        self.codes_prior = (
            PixelCNN(
                PixelCNNConfig(
                    channels=config.maps,
                    filters=config.prior_filters,
                    layers=config.prior_layers,
                    first=5,
                    levels=config.codes,
                    embedding=config.width,
                )
            )
            if config.prior == "autoregressive"
            else None
        )

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Begins with codebooks of what the network makes of images [B, C, H, W]."""
        found = _rows(self.vectors_of(x))
        for number, vectors in enumerate(found):
            chosen = vectors[torch.randint(len(vectors), (self.config.codes,), device=x.device)]
            self.codebook[number], self.sums[number] = chosen, chosen
        self.uses.fill_(1.0)

    def vectors_of(self, x: Tensor) -> Tensor:
        """What the network makes of images, before a code is chosen for it. [B, maps, h, w, D]."""
        found = self.to_vectors(self.up(F.pixel_unshuffle(to_unit(x, self.levels, self.codebook.dtype), 2)))
        return torch.unflatten(found.to(self.codebook.dtype), 1, (self.config.maps, -1)).movedim(2, -1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """The codes of vectors [B, maps, h, w, D]. int64 [B, maps, h, w]."""
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            # The square of the vector itself is the same for all codes.
            products = torch.einsum("bmhwd,mkd->bmhwk", vectors, self.codebook)
            distances = self.codebook.square().sum(-1)[:, None, None] - 2 * products
            return distances.argmin(-1)

    def encode(self, x: Tensor) -> Tensor:
        """The codes of images [B, C, H, W]. int64 [B, maps, H / 4, W / 4]."""
        return self.nearest(self.vectors_of(x))

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors that codes [B, maps, h, w] stand for. [B, maps, h, w, D]."""
        return torch.stack([F.embedding(c, book) for c, book in zip(codes.unbind(1), self.codebook, strict=True)], 1)

    def likelihood(self, vectors: Tensor) -> Tensor:
        """Parameters of every sample, given vectors [B, maps, h, w, D]. [B, C, H, W, P]."""
        inside = self.from_vectors(vectors.movedim(-1, 2).flatten(1, 2))
        found: Tensor = self.ends(self.down(inside))
        return found

    def log_prior(self, codes: Tensor) -> Tensor:
        """Nats of codes [B, maps, h, w]: [B]."""
        if self.codes_prior is not None:
            return self.codes_prior.log_prob(codes).to(self.codebook.dtype)
        return self.codebook.new_full((len(codes),), -codes[0].numel() * math.log(self.config.codes))

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nats of the pixels given the codes and of the codes, [B] each, and the codes."""
        codes = self.encode(x)
        pixels = self.family.log_prob(self.likelihood(self.lookup(codes)), x).flatten(1).sum(1)
        return pixels, self.log_prior(codes), codes

    def elbo(self, x: Tensor) -> Tensor:
        """See `LatentModel`; there is one set of codes to draw."""
        pixels, prior, _ = self.terms(x)
        return pixels + prior

    def kl(self, x: Tensor) -> Tensor:
        """See `LatentModel`: all that the codes take."""
        return -self.terms(x)[1][None]

    def log_weights(self, x: Tensor, features: Any = None) -> tuple[Tensor, list[Tensor]]:
        """See `LatentModel`; always the same."""
        pixels, prior, codes = self.terms(x)
        return pixels + prior, [codes]

    def loss(self, x: Tensor) -> Tensor:
        """What is minimised for images [B, C, H, W], nats per dimension; in training the codebook moves along."""
        vectors = self.vectors_of(x)
        codes = self.nearest(vectors)
        chosen = self.lookup(codes)
        if self.training:
            self._follow(vectors.detach(), codes)
        passed = vectors + (chosen - vectors).detach()
        nats = self.family.log_prob(self.likelihood(passed), x).flatten(1).sum(1) + self.log_prior(codes)
        return -nats.mean() / x[0].numel() + self.config.commitment * (vectors - chosen).square().mean()

    @torch.no_grad()
    def _follow(self, vectors: Tensor, codes: Tensor) -> None:
        """Moves the codebook to the means of what chose its vectors, of late."""
        for number, (found, taken) in enumerate(zip(_rows(vectors), codes.transpose(0, 1).flatten(1), strict=True)):
            one_hot = F.one_hot(taken, self.config.codes).to(found.dtype)
            alike = len(found) / self.config.codes
            self.uses[number].lerp_(one_hot.sum(0) / alike, 1 - DECAY)
            self.sums[number].lerp_(one_hot.T @ found / alike, 1 - DECAY)
            anew = (self.uses[number] < LEAST_USE)[:, None]
            others = found[torch.randint(len(found), (self.config.codes,), device=found.device)]
            self.sums[number] = torch.where(anew, others, self.sums[number])
            self.uses[number] = torch.where(anew[:, 0], 1.0, self.uses[number])
            self.codebook[number] = self.sums[number] / self.uses[number][:, None]

    @torch.no_grad()
    def perplexity(self, x: Tensor) -> Tensor:
        """Of the codes of images, by how often each is chosen: as many as would do if all were alike. [maps]."""
        found = []
        for taken in self.encode(x).transpose(0, 1).flatten(1):
            share = torch.bincount(taken, minlength=self.config.codes) / len(taken)
            found.append(torch.exp(-torch.special.xlogy(share, share).sum()))
        return torch.stack(found)

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """See `LatentModel`; the temperature is that of each code."""
        self.check(height, width, self.channels)
        random, device = torch.Generator().manual_seed(seed), self.codebook.device
        shape = (count, self.config.maps, height // REDUCTION, width // REDUCTION)
        codes = torch.randint(self.config.codes, shape, generator=random)
        if self.codes_prior is not None:
            codes = fill(self.codes_prior, codes, torch.ones(shape[2:], dtype=torch.bool), seed, temperature)
        return self.family.draw(self.likelihood(self.lookup(codes.to(device))), random)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Expected images given the codes of images [B, C, H, W], in levels, of the same shape."""
        return self.family.mean(self.likelihood(self.lookup(self.encode(x))))

    @torch.no_grad()
    def interpolate(self, first: Tensor, last: Tensor, steps: int) -> Tensor:
        """Expected images [steps, C, H, W] on the way between the vectors of two images [C, H, W]."""
        ends = self.lookup(self.encode(torch.stack([first, last])))
        share = torch.linspace(0, 1, steps, dtype=ends.dtype, device=ends.device).view(-1, 1, 1, 1, 1)
        return self.family.mean(self.likelihood(torch.lerp(ends[:1], ends[1:], share)))

    @torch.no_grad()
    def fill(self, x: Tensor, mask: Tensor, sweeps: int, seed: int = 0) -> Tensor:
        """See `LatentModel`: one code of each image by a Metropolis step, then the pixels given the codes.

        Proposed is any code at any place, so that a sweep changes little; the stationary distribution is exact.
        """
        self.check(x.shape[2], x.shape[3], x.shape[1])
        random, device = torch.Generator().manual_seed(seed), x.device
        for _ in range(ROUNDS):
            x = torch.where(mask, self.reconstruct(x).round().to(x.dtype), x)
        codes = self.encode(x)
        nats, rows = self._joint(x, codes)
        for _ in range(sweeps):
            place = torch.randint(codes[0].numel(), (len(x), 1), generator=random).to(device)
            code = torch.randint(self.config.codes, (len(x), 1), generator=random).to(device)
            proposed = codes.flatten(1).scatter(1, place, code).view(codes.shape)
            others, rows_of = self._joint(x, proposed)
            odds = (others - nats).clamp(max=0).exp().cpu()
            taken = (torch.rand(len(x), generator=random) < odds).to(device)[:, None, None, None]
            codes = torch.where(taken, proposed, codes)
            rows = torch.where(taken[..., None], rows_of, rows)
            x = torch.where(mask, self.family.draw(rows, random).to(x), x)
            nats, _ = self._joint(x, codes)
        return x

    def _joint(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of images and codes, [B], and the parameters of the pixels."""
        rows = self.likelihood(self.lookup(codes))
        return self.family.log_prob(rows, x).flatten(1).sum(1) + self.log_prior(codes), rows

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`: the codes, then the pixels."""
        return Advancing(_TwoParts(self, calibration, shape), shape, advance)


def _rows(vectors: Tensor) -> Tensor:
    """Of vectors [B, maps, h, w, D], those of each map: [maps, B · h · w, D]."""
    return vectors.transpose(0, 1).flatten(1, 3)


@dataclass(frozen=True)
class _TwoParts:
    """Codes and pixels of images: the codes come off the message first, and tell the distributions of the pixels."""

    model: VqVae
    calibration: Calibration
    shape: tuple[int, int, int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        codes = self.model.encode(symbols.to(self.model.codebook.device)).cpu()
        self._pixels(codes).push(message, symbols.reshape(-1))
        self._codes().push(message, codes)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        codes = self._codes().pop(message)
        return self._pixels(codes).pop(message).view(self.shape)

    def _codes(self) -> Codec[Tensor]:
        shape = (self.shape[0], self.model.config.maps, self.shape[2] // REDUCTION, self.shape[3] // REDUCTION)
        if self.model.codes_prior is not None:
            return ModelCodec(self.model.codes_prior, self.calibration, shape)
        return _Alike(self.model.config.codes, shape)

    def _pixels(self, codes: Tensor) -> Codec[Tensor]:
        rows = self.model.likelihood(self.model.lookup(codes.to(self.model.codebook.device)))
        return self.model.family.codec(self.calibration.round(rows.cpu(), self.model.family.grid))


@dataclass(frozen=True)
class _Alike:
    """Codes [B, maps, h, w], every one as likely as another."""

    codes: int
    shape: tuple[int, int, int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        self._flat().push(message, symbols.flatten())

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        return self._flat().pop(message).view(self.shape)

    def _flat(self) -> Codec[Tensor]:
        return Independent(lambda first, stop: Uniform(self.codes, PRECISION), math.prod(self.shape))
