"""A deep mixture of Gaussians of images, locally connected.

An image, as blocks of pixels at each of fewer places, goes through layers that choose one of several linear maps at
every place (`Blocks`). Below them, and between them, half-convolutions mix places: half of the values of each, plus a
linear convolution of the other half. By every path of choices an image is a linear map of white noise: the density is
a mixture of as many Gaussians as there are paths.

What is reported is a bound: the likelihood of one path and what the path costs. With choices that are drawn, the cost
is that of the draw, less what bits-back coding returns.

Source: van den Oord, Dambre, *Locally-connected transformations for deep GMMs* (2015). Ours whitens colours first, and
finds the choices of a layer anew for every image of a batch, by what that layer says of them, in place of rounds of
expectation and maximization with a search over paths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...codec.entropy.localbitsback import Grid
from ...codec.errors import UsageError
from .blocks import Blocks
from .layers import Coupling, Flow, Layer, Permute, Squeeze
from .norms import Whiten

__all__ = ["DeepGmm", "DeepGmmConfig"]


@dataclass(frozen=True)
class DeepGmmConfig:
    """What a deep mixture is.

    Attributes:
        channels: of the images: 1 or 3.
        side: of the images, where places have maps of their own; else they are of any size.
        patch: side of a block of pixels, a power of 2.
        below: half-convolutions before the first layer of choices.
        between: half-convolutions between two layers.
        kernel: side of their filters, odd.
        layers: of choices.
        choices: maps of a layer.
        shared: an image has one choice in a layer, and every place its own maps; else every place has a choice.
        diagonals: of the layers, how many of the last only scale and shift.
        gate: features of the gating networks; 0 for paths of equal probability.
        drawn: choices are drawn, and coded by bits-back; else they are the best ones.
    """

    channels: int = 3
    side: int = 32
    patch: int = 4
    below: int = 3
    between: int = 3
    kernel: int = 5
    layers: int = 3
    choices: int = 4
    shared: bool = False
    diagonals: int = 0
    gate: int = 32
    drawn: bool = True


def _half_convolutions(count: int, channels: int, kernel: int) -> list[Layer]:
    found: list[Layer] = []
    for turn in range(count):
        network = nn.Conv2d(channels // 2, channels // 2, kernel, padding=kernel // 2)
        for zero in network.parameters():
            nn.init.zeros_(zero)
        found.append(Coupling(network, channels, turn % 2 == 0, additive=True))
    return found


class DeepGmm(Flow):
    """See the module."""

    config: DeepGmmConfig
    grid = Grid(14, 2.0**-12)  # its maps are steep: the grid of other flows takes 0.4 % more of it

    def __init__(self, config: DeepGmmConfig) -> None:
        halvings = max(config.patch, 1).bit_length() - 1
        if config.patch != 1 << halvings or not halvings or config.kernel % 2 == 0:
            raise UsageError(f"patch = {config.patch}, kernel = {config.kernel}: a power of 2 above 1, an odd number")
        numbers = (config.below, config.between, config.diagonals, config.layers - config.diagonals, config.gate)
        if min(config.layers, config.choices, config.kernel) < 1 or min(numbers) < 0:
            raise UsageError(
                f"layers = {config.layers}, choices = {config.choices}, kernel = {config.kernel} above 0, below = "
                f"{config.below}, between = {config.between}, gate = {config.gate}, diagonals = {config.diagonals} "
                "not below, which are no more than the layers"
            )
        if config.shared and (config.side < config.patch or config.side % config.patch):
            raise UsageError(f"side = {config.side}: a multiple of patch = {config.patch}")
        area = config.patch**2
        wide, places = config.channels * area, (config.side // config.patch) ** 2 if config.shared else 0
        # The first pixels of a channel's block, by quarters: what is left of each block of 2 x 2 in the picture.
        board = [
            c * area + quarter * area // 4 + place
            for quarters in ((0, 3), (1, 2))
            for c in range(config.channels)
            for quarter in quarters
            for place in range(area // 4)
        ]
        layers: list[Layer] = [Whiten(config.channels), *(Squeeze() for _ in range(halvings)), Permute(board)]
        layers += _half_convolutions(config.below, wide, config.kernel)
        for number in range(config.layers):
            layers += _half_convolutions(config.between if number else 0, wide, config.kernel)
            diagonal = number >= config.layers - config.diagonals
            layers.append(Blocks(wide, config.choices, places, diagonal, config.gate, config.drawn))
        super().__init__(config, config.channels, layers)
        self.size = (config.side, config.side) if config.shared else None
        self.first_images = 8000 if config.shared else 1000  # of each place, or of all

    @property
    def mixtures(self) -> list[Blocks]:
        """The layers of choices, from the data on."""
        return [layer for layer in self.layers if isinstance(layer, Blocks)]

    def along(self, y: Tensor, path: list[Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Latents of values y [B, C, H, W] by a path, or that which the layers choose.

        Args:
            y: values in levels.
            path: the choices of each layer.

        Returns:
            Latents; nats of the Jacobian's determinant, and of the odds of the path, each [B]; and the path.
        """
        log_det, log_odds, own = y.new_zeros(len(y)), y.new_zeros(len(y)), list[Tensor]()
        for layer in self.layers:
            if isinstance(layer, Blocks):
                own.append(layer.choose(y) if path is None else path[len(own)])
                y, more, odds = layer.along(y, own[-1])
                log_odds = log_odds + odds
            else:
                y, more = layer(y)
            log_det = log_det + more
        return y, log_det, log_odds, own

    def back(self, z: Tensor, path: list[Tensor]) -> Tensor:
        """The values of latents, by a path."""
        left = list(path)
        for layer in reversed(self.layers):
            z = layer.back(z, left.pop()) if isinstance(layer, Blocks) else layer.inverse(z)
        return z

    def log_paths(self, height: int, width: int) -> float:
        """The logarithm of the number of paths for images of a size."""
        choices = 1 if self.config.shared else height * width // self.config.patch**2
        return self.config.layers * choices * math.log(self.config.choices)

    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """See `Bijective`: the path is drawn, too."""
        where = next(self.parameters()).device
        with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
            torch.manual_seed(seed)
            return super().sample(count, height, width, seed, temperature)
