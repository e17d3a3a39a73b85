"""What a PixelCNN++ is made of, for its layers, its network and its scan."""

from dataclasses import dataclass

__all__ = ["HALF_RANGE", "PixelCNNPPConfig"]

HALF_RANGE = 127.5
"""Levels in a unit: samples are x / 127.5 - 1 inside the network."""


@dataclass(frozen=True)
class PixelCNNPPConfig:
    """What a PixelCNN++ is.

    Attributes:
        channels: of the images: 1 or 3.
        filters: features of each stream, at every size.
        blocks: residual blocks at each size, in each half (the growing half has one more at the larger two sizes).
        mixtures: logistics of a pixel's mixture.
        reach: rows above, and pixels to either side, that the first layer and the linear filters see.
        dropout: probability.
        features: extra feature maps that the network is conditional on; 0 for none.
        innovations: whether the network sees what a linear prediction leaves over, whitened, and predicts relative to
            it, as an MCGSM does: a hybrid of both. Without it is the paper's: samples alone.

    The paper's network has 160 filters, 5 blocks, 10 mixtures, a reach of 1 (2 above in the down stream), dropout 0.5.
    """

    channels: int = 3
    filters: int = 40
    blocks: int = 1
    mixtures: int = 5
    reach: int = 3
    dropout: float = 0.0
    features: int = 0
    innovations: bool = True
