"""What every density of images gives, whatever its shape: a rate to report, and a codec whose files take that rate.

A model is of one of three shapes, which decides how it is coded: `autoregressive` (directly, in steps), `latent`
(bits-back; where a posterior is all on one point, this and then the image) and `bijective` (local bits-back). The
classes of the three are `AutoregressiveModel`, `LatentVariable` and `Bijective`, in a room each; whoever
evaluates, codes or draws needs no more than `ImageModel`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..codec.entropy.calibrated import FLOAT64_BAND, Calibration
from ..codec.entropy.codecs import Codec
from ..codec.entropy.rans import Message
from ..codec.errors import UnsupportedImageError, WeightsError

__all__ = ["Advancing", "ImageModel", "check_weights", "coding_digest", "weights_digest"]

Advance = Callable[[int], None]


class ImageModel(nn.Module, ABC):
    """A density of images.

    Attributes:
        config: a frozen dataclass of plain values; the class called with it makes the model.
        channels: of its images.
        levels: values of a sample, 0 to levels - 1.
        size: (height, width) of all images that it takes, or None where it takes more than one size.
        multiple: what height and width are multiples of, where there is no one size.
        largest: pixels of the largest image that is coded whole; larger ones are cut.
        shape: "autoregressive", "latent" or "bijective".
        borrows: whether a push pops first, so that a message needs initial bits.
        band: half the guard band of calibrated coding, in steps.
        fineness: how finely latents are coded, in words: what a file needs beside the weights.
    """

    config: Any
    channels: int
    levels: int = 256
    size: tuple[int, int] | None = None
    multiple: int = 1
    largest: int = 2**12
    shape: str
    borrows: bool
    band: ClassVar[float] = FLOAT64_BAND

    @property
    def fineness(self) -> str:
        """See above; empty where nothing is latent."""
        return ""

    @abstractmethod
    def bound(self, x: Tensor) -> Tensor:
        """What is reported: the log-likelihood of each image or a lower bound on it, in nats; differentiable.

        A bound is that of one sample of whatever is drawn, from torch's generator.

        Args:
            x: samples, uint8 or int64. [B, C, H, W]

        Returns:
            [B], in the precision of the model.
        """

    @abstractmethod
    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """Images of one size, int64 [B, C, H, W] on the CPU. The model is in float64 and in evaluation mode.

        Args:
            calibration: through which the parameters of all distributions go.
            shape: (B, C, H, W)
            advance: called with a number of pixels of the batch whenever so many more are done.
        """

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """The least size that the model takes and that an image fits into.

        Raises:
            UnsupportedImageError: it is larger than the one size of the model.
        """
        if self.size is None:
            return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple
        if height > self.size[0] or width > self.size[1]:
            raise UnsupportedImageError(f"{width}x{height} pixels for a model of {self.size[1]}x{self.size[0]}")
        return self.size

    def check(self, height: int, width: int, channels: int) -> None:
        """Refuses images that the model is not for.

        Raises:
            UnsupportedImageError: of other channels, or of a size that it does not take.
        """
        name = type(self).__name__
        if channels != self.channels:
            raise UnsupportedImageError(f"images of {channels} channels for a {name} of {self.channels}")
        if self.fitted(height, width) != (height, width):
            takes = f"multiples of {self.multiple}" if self.size is None else f"{self.size[1]}x{self.size[0]}"
            raise UnsupportedImageError(f"images of {width}x{height} pixels for a {name}, which takes {takes}")


class Advancing:
    """A codec of a batch, without gradients, that says when the batch is done: where it cannot say more."""

    def __init__(self, codec: Codec[Tensor], shape: tuple[int, int, int, int], advance: Advance) -> None:
        self.codec, self.pixels, self.advance = codec, shape[0] * shape[2] * shape[3], advance

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        with torch.no_grad():
            self.codec.push(message, symbols)
        self.advance(self.pixels)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        with torch.no_grad():
            symbols = self.codec.pop(message)
        self.advance(self.pixels)
        return symbols


def coding_digest(model: ImageModel) -> bytes:
    """SHA-256 of a model's weights and of their fineness, if there is one: what a file names its model by."""
    weights = weights_digest(model)
    return hashlib.sha256(weights + model.fineness.encode()).digest() if model.fineness else weights


def weights_digest(model: nn.Module) -> bytes:
    """SHA-256 of a model's weights, by name, as float32."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + repr(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.digest()


def check_weights(model: nn.Module, name: str) -> None:
    """Refuses weights that are no numbers.

    Raises:
        WeightsError: NaN or infinity.
    """
    for key, tensor in model.state_dict().items():
        wrong = int((~tensor.isfinite()).sum()) if tensor.is_floating_point() else 0
        if wrong:
            raise WeightsError(f"{name}: {wrong} of {tensor.numel()} weights {key} are not finite")
