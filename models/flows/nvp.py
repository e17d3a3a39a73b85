"""Real NVP and NICE: couplings between the two colours of a checkerboard, and between channels, at several scales.

A scale squeezes blocks of 2 x 2 pixels to channels, where a checkerboard is a choice of channels: networks see half of
the pixels, and no place that is masked. Couplings change one half by the other, in turn; first halves of checkerboards,
then channels. Then half of the values leave as latents, and the others go on to the next scale.

Where couplings scale, batch normalization follows each. Where they only add (NICE), latents are scaled at the end, and
all couplings are coded on the grid itself, without noise.

Source: Dinh, Sohl-Dickstein, Bengio, *Density estimation using real NVP* (2017), 3; Dinh, Krueger, Bengio, *NICE*
(2015). Ours whiten colours first, and begin with a linear prediction beside the residual network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from ...codec.entropy.localbitsback import Grid
from ...codec.errors import UsageError
from .conditioner import Conditioner
from .layers import Coupling, Flow, Layer, Part, Permute, Squeeze, Unsqueeze
from .noise import Noise
from .norms import BatchNorm, Scale, Whiten

__all__ = ["RealNvp", "RealNvpConfig", "scales"]


LOGIT_GRID = Grid(22, 2.0**-12)
"""Of a flow with learned noise, whose logit is steep towards the ends of a level: there parts of 2^-15 are told."""


@dataclass(frozen=True)
class RealNvpConfig:
    """What a real NVP is.

    Attributes:
        channels: of the images: 1 or 3.
        scales: how often blocks of 2 x 2 pixels become channels.
        checkerboards: couplings between the halves of a checkerboard, at each scale.
        couplings: between channels, at each scale.
        filters: features of a network.
        blocks: residual blocks of a network.
        additive: couplings only shift: NICE.
        noise: couplings of the noise of dequantization, an even number; 0 for uniform noise.
    """

    channels: int = 3
    scales: int = 3
    checkerboards: int = 3
    couplings: int = 3
    filters: int = 32
    blocks: int = 1
    additive: bool = False
    noise: int = 0


def _coupling(config: RealNvpConfig, channels: int, filters: int, first: bool, changed: int) -> list[Layer]:
    outputs = changed * (1 if config.additive else 2)
    network = Conditioner(channels - changed, outputs, filters, config.blocks)
    found: list[Layer] = [Coupling(network, channels, first, config.additive, changed)]
    return found if config.additive else [*found, BatchNorm(channels)]


def scales(config: RealNvpConfig, channels: int, number: int = 0) -> list[Layer]:
    """The layers of a scale and of those after it, for so many channels; they keep the shape."""
    wide, filters = 4 * channels, config.filters
    # Of the four pixels of a block, the first and the last have one colour of the checkerboard.
    board = [4 * c + place for places in ((0, 3), (1, 2)) for c in range(channels) for place in places]
    found: list[Layer] = [Squeeze(), Permute(board)]
    for turn in range(config.checkerboards):
        found += _coupling(config, wide, filters, turn % 2 == 0, wide // 2)
    colours = channels == config.channels == 3
    if colours:  # each in turn, by the two others
        by_place = [board.index(4 * c + place) for c in range(channels) for place in range(4)]
        found.append(Permute(by_place))
        for _ in range(config.couplings):
            found += _coupling(config, wide, filters, True, 4)
            found.append(Permute([*range(4, wide), *range(4)]))
        back = 4 * config.couplings
        found.append(Permute([(by_place.index(i) - back) % wide for i in range(wide)]))
    else:
        mixed = [half + i for i in range(0, wide // 2) for half in (0, wide // 2)]
        found.append(Permute(mixed))
        for turn in range(config.couplings):
            found += _coupling(config, wide, filters, turn % 2 == 0, wide // 2)
        found.append(Permute([mixed.index(i) for i in range(wide)]))
    if config.additive:
        found.append(Scale(wide))
    if number + 1 < config.scales:
        found.append(Part(scales(config, wide // 2, number + 1), wide // 2))
    return [*found, Permute([board.index(i) for i in range(wide)]), Unsqueeze()]


class RealNvp(Flow):
    """See the module."""

    config: RealNvpConfig

    def __init__(self, config: RealNvpConfig) -> None:
        least = min(config.scales, config.checkerboards + config.couplings, config.filters)
        if least < 1 or min(config.checkerboards, config.couplings, config.blocks) < 0:
            raise UsageError(
                f"scales = {config.scales}, checkerboards = {config.checkerboards}, couplings = {config.couplings}, "
                f"filters = {config.filters}, blocks = {config.blocks}: above 0"
            )
        if config.noise < 0 or config.noise % 2:
            raise UsageError(f"noise = {config.noise}: an even number of couplings")
        super().__init__(config, config.channels, [Whiten(config.channels), *scales(config, config.channels)])
        if config.noise:
            self.grid = LOGIT_GRID
            self.noise = Noise(config.channels, self.levels, config.noise, config.filters, config.blocks)

    def start_from(self, other: nn.Module) -> None:
        """Begins at one of uniform noise, otherwise of the same settings: the density is then the same.

        Raises:
            UsageError: another kind of model, or one of other settings.
        """
        if type(other) is not RealNvp or replace(other.config, noise=self.config.noise) != self.config:
            raise UsageError(
                f"a {type(other).__name__} to begin at; a RealNvp of the same settings but noise is needed"
            )
        self.load_state_dict({**self.state_dict(), **other.state_dict()})
