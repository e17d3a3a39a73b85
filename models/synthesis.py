"""Images that a model makes up, whatever its shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..codec.errors import UsageError
from .autoregressive import synthesis as ancestral
from .autoregressive.classes import ClassPixelCNN
from .autoregressive.density import AutoregressiveModel
from .flows.bijective import Bijective
from .hybrid.vqvae import VqVae
from .latent import products
from .latent.bounds import LatentModel
from .latent.diffusion import Diffusion
from .latent.variable import LatentVariable
from .shapes import ImageModel

__all__ = ["denoise", "inpaint", "interpolate", "reconstruct", "sample"]


def sample(model: ImageModel, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
    """Images drawn from a model, uint8 [count, C, height, width].

    Args:
        model: of any shape. An autoregressive one draws element by element, others all at once.
        count: of images.
        height: in pixels.
        width: in pixels.
        seed: of the draws; equal seeds give equal images on one machine.
        temperature: below 1 for what is likelier: of every element's distribution, or of the latents.

    Raises:
        UnsupportedImageError: a size that the model does not take.
        UsageError: a temperature below 0.
    """
    if not temperature >= 0:
        raise UsageError(f"a temperature of {temperature}: 0 or more")
    model.check(height, width, model.channels)
    if isinstance(model, AutoregressiveModel):
        return ancestral.sample(model, count, height, width, seed, temperature)
    if isinstance(model, LatentModel | Bijective | ClassPixelCNN):
        return model.sample(count, height, width, seed, temperature)
    raise UsageError(f"no samples of a {type(model).__name__}; of the models in it there are")


def reconstruct(model: ImageModel, x: Tensor) -> Tensor:
    """What a model expects of images by the latents that it finds in them, in levels. [B, C, H, W].

    Args:
        model: with latent variables.
        x: images. [B, C, H, W]

    Raises:
        UsageError: a model without latent variables.
        UnsupportedImageError: images of other channels or sizes than the model's.
    """
    return _latent(model, x).reconstruct(x)


def interpolate(model: ImageModel, first: Tensor, last: Tensor, steps: int) -> Tensor:
    """What a model expects on the way from the latents of one image [C, H, W] to those of another: [steps, C, H, W].

    Raises:
        UsageError: a model without latent variables.
        UnsupportedImageError: images of other channels or sizes than the model's.
    """
    return _latent(model, first[None]).interpolate(first, last, steps)


def _latent(model: ImageModel, x: Tensor) -> LatentVariable | VqVae:
    """A model with latents, for images that it takes."""
    if not isinstance(model, LatentVariable | VqVae):
        raise UsageError(f"a {type(model).__name__} has no latent variables to draw by")
    model.check(x.shape[2], x.shape[3], x.shape[1])
    return model


def inpaint(
    model: ImageModel,
    x: Tensor,
    mask: Tensor,
    sweeps: int = 10,
    seed: int = 0,
    report: Callable[[int, ancestral.Sweep], None] = lambda number, sweep: None,
) -> Tensor:
    """Fill holes in images by what a model expects there, given all that is known.

    Args:
        model: of any shape. MCGSM and RIDE take Metropolis steps within Gibbs, other autoregressive models `sweeps` =
            0; latent models draw latents and pixels in turn, flows take Langevin steps: both need hundreds of sweeps.
        x: images. [B, C, H, W]
        mask: true where to draw. bool [H, W]
        sweeps: how often everything masked is drawn anew.
        seed: of all draws.
        report: called after each sweep of an autoregressive model.

    Returns:
        uint8 [B, C, H, W]

    Raises:
        UsageError: a mask of another size than the images, or sweeps of a model that has none.
        UnsupportedImageError: images of other channels or sizes than the model's.
    """
    if mask.shape != x.shape[2:]:
        raise UsageError(f"a mask of {mask.shape[1]}x{mask.shape[0]} pixels for images of {x.shape[3]}x{x.shape[2]}")
    model.check(x.shape[2], x.shape[3], x.shape[1])
    if isinstance(model, AutoregressiveModel):
        return ancestral.inpaint(model, x, mask, sweeps, seed, report=report)
    if isinstance(model, LatentModel | Bijective):
        return model.fill(x, mask, sweeps, seed)
    raise UsageError(f"no samples of a {type(model).__name__}; of the models in it there are")


def denoise(model: ImageModel, x: Tensor, noise: float, rule: Any = "matched", draws: int = 0, seed: int = 0) -> Tensor:
    """Images [B, C, H, W] without normal noise of so many levels; see `latent.products.denoise`.

    Raises:
        UsageError: a model that is no Gaussian diffusion; a rule that is none, or noise that is not above 0.
        UnsupportedImageError: images of other channels or sizes than the model's.
    """
    if not isinstance(model, Diffusion):
        raise UsageError(f"a {type(model).__name__} to take noise out by; a Gaussian diffusion is needed")
    return products.denoise(model, x, noise, rule, draws, seed)
