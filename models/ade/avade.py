"""AV-ADE: a V-ADE that learns by its likelihood, and by what tells its images from real ones.

The flow learns by likelihood alone. The VAE behind it also moves what it draws: the means of its likelihood for latents
of the prior, which the flow takes back to images, where an adversary judges them. What is learned is a V-ADE: it is
evaluated, drawn from and coded as one.

Two controls: without a flow (`scales` 0) this is a VAE of isotropic normal pixels with an adversary (AV-GDE). A GAN
whose density can be coded comes in two trainings: first the generator learns by its adversary alone (`learns`
"generator"), then posteriors and the deviation by likelihood, around that generator as it is ("inference").

Source: Lucas, Shmelkov, Alahari, Schmid, Verbeek, *Adaptive density estimation for generative models* (2019), 3.2 and
algorithm 1, with the means of (6); batch-statistics discriminators: `batches.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn

from ...codec.errors import UsageError
from .adversary import Adversary, Discriminator, MixedAdversary, frozen
from .vade import Vade, VadeConfig

__all__ = ["AvAde", "AvAdeConfig"]

LEARNS = ("both", "generator", "inference")
BATCHES = ("single", "bgan", "m-bgan")


@dataclass(frozen=True)
class AvAdeConfig(VadeConfig):
    """What an AV-ADE is, and how it learns.

    Attributes:
        learns: "both", or the "generator" alone, or the "inference" around it alone; see the module.
        weight: of the adversary's loss, which is in nats, beside the nats of an image.
        critic: features of the discriminator's first block.
        penalty: of the discriminator's slopes; 0 for none.
        spectral: whether its weights are divided by their spectral norms.
        batches: whether it judges a "single" image, or a mixed batch: "bgan" or "m-bgan".
        gamma: of mixed batches, see `batches.mix`.
    """

    learns: str = "both"
    weight: float = 100.0
    critic: int = 32
    penalty: float = 100.0
    spectral: bool = False
    batches: str = "single"
    gamma: float = 0.3


class AvAde(Vade):
    """See the module."""

    config: AvAdeConfig

    def __init__(self, config: AvAdeConfig) -> None:
        if config.learns not in LEARNS:
            raise UsageError(f"learns = {config.learns!r}: {', '.join(LEARNS)}")
        if config.batches not in BATCHES:
            raise UsageError(f"batches = {config.batches!r}: {', '.join(BATCHES)}")
        if config.learns != "both" and config.scales:
            raise UsageError(f"learns = {config.learns!r} is for scales = 0, not {config.scales}")
        if min(config.weight, config.penalty) < 0 or config.critic < 2 or not 0 <= config.gamma <= 0.5:
            raise UsageError(
                f"weight = {config.weight}, penalty = {config.penalty}: 0 or more; critic = {config.critic}: "
                f"2 or more; gamma = {config.gamma}: 0 to 0.5"
            )
        super().__init__(config)
        if config.learns != "both":
            self.requires_grad_(config.learns == "generator")
            for parameter in (self.vae.log_scale, *self.vae.posterior_parameters()):
                parameter.requires_grad_(config.learns == "inference")

    def make_adversary(self) -> Adversary | None:
        """Whom a training sets against it; None where likelihood is all."""
        config = self.config
        if config.learns == "inference":
            return None
        mixed = config.batches != "single"
        network = Discriminator(config.channels, config.critic, config.spectral, mixed)
        if mixed:
            return MixedAdversary(network, config.gamma, config.batches == "m-bgan", config.penalty)
        return Adversary(network, config.penalty)

    def loss(self, x: Tensor, adversary: Adversary | None = None) -> Tensor:
        """What it learns by, with an adversary or by likelihood alone, in nats per dimension. x int [B, C, H, W]."""
        total = x.new_zeros((), dtype=torch.float32)
        if adversary is None or self.config.learns == "both":
            total = total - self.bound(x).mean()
        if adversary is not None:
            with frozen(cast(nn.Module, self.layers)), frozen(adversary):
                judged = adversary.generator_loss(*self._judged(x))
            total = total + self.config.weight * judged
        return total / x[0].numel()

    def adversary_loss(self, x: Tensor, adversary: Adversary) -> Tensor:
        """What the adversary learns by. x int [B, C, H, W]."""
        with torch.no_grad():
            real, fake = self._judged(x)
        found: Tensor = adversary(real, fake)
        return found

    def _judged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images with noise, and as many of the model's, about -1 to 1."""
        dtype = next(self.parameters()).dtype
        real = x.to(dtype) + torch.rand(x.shape, dtype=dtype, device=x.device)
        both = (real, self.means(len(x), x.shape[2], x.shape[3]))
        real, fake = (values * (2 / self.levels) - 1 for values in both)
        return real, fake

    def start_from(self, other: nn.Module) -> None:
        """Begins at a V-ADE or AV-ADE of the same sizes, however it was trained.

        Raises:
            UsageError: another kind of model, or one of other sizes.
        """
        names = [field.name for field in fields(VadeConfig)]
        if not isinstance(other, Vade) or any(getattr(other.config, n) != getattr(self.config, n) for n in names):
            raise UsageError(f"a {type(other).__name__} to begin at; a V-ADE of the same sizes is needed")
        self.load_state_dict(other.state_dict())
