"""PixelCNN++: a convolutional density of images, every pixel a mixture of discretized logistics.

Two streams of features run through the network. The down stream at a pixel has seen the rows above it; the right stream
has seen these and what is left of the pixel. Both shrink twice and grow again, with skips between equal sizes. The
channels of a pixel come from one distribution, in turn: the means of green and blue move with the channels known.

Source: Salimans, Karpathy, Chen, Kingma, *PixelCNN++* (2017), sections 2.1 to 2.5 and the published code. What differs,
for short trainings (the first two but with `innovations = false`, the plain network):
 - the best linear prediction of a pixel from `reach` pixels around goes straight into the means, and the network also
   sees what it left over at those pixels (the innovations), whitened: most of what neighbours share is taken away;
 - the first layer sees `reach` pixels, not one or two, and a linear filter of their innovations is added to the outputs
   of the head, so that every logistic has a linear predictor of its own, as in an MCGSM;
 - coupling is to the residual, mean_g + c (x_r - mean_r), where the paper has mean_g + c x_r: the same family;
 - growing is a 2x2 transposed convolution in both streams (the paper's has three columns in the down stream).
"""

from __future__ import annotations

from torch import Tensor

from .pixelcnnpp_config import PixelCNNPPConfig
from .pixelcnnpp_network import Network
from .pixelcnnpp_scan import PixelCNNPPScan

__all__ = ["PixelCNNPP", "PixelCNNPPConfig"]


class PixelCNNPP(Network):
    """The network with its density, as an autoregressive model. See the module."""

    def scan(self, batch: int, height: int, width: int, features: Tensor | None = None) -> PixelCNNPPScan:
        """The incremental evaluation, see `AutoregressiveModel`; `features` as for `log_prob`."""
        return PixelCNNPPScan(self, batch, height, width, features)
