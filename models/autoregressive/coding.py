"""Autoregressive models as codecs of images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...codec.entropy.calibrated import Calibration, autoregressive
from ...codec.entropy.rans import Message
from .density import AutoregressiveModel

__all__ = ["ModelCodec", "weights_digest"]


@dataclass(frozen=True)
class ModelCodec:
    """Images of one size by a model, int64 [B, C, H, W].

    A push takes one parallel pass over the images where the model has one, a pop goes step by step. The model should be
    in float64: the two then differ far less than the guard band of the calibration.

    Attributes:
        model: in evaluation mode.
        calibration: through which the parameters of all distributions go.
        shape: (B, C, H, W)
    """

    model: AutoregressiveModel
    calibration: Calibration
    shape: tuple[int, int, int, int]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`. Keeps two integers a sample, and the activations of a pass."""
        scan = self.model.scan(self.shape[0], *self.shape[2:])
        with torch.no_grad():
            passes = scan.parallel(symbols)
            codec = autoregressive(
                self.shape, self._steps(scan.steps), lambda *_: next(passes), scan.pmf, self.calibration, scan.grid
            )
            codec.push(message, symbols)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        scan = self.model.scan(self.shape[0], *self.shape[2:])
        steps = self._steps(scan.steps)
        with torch.no_grad():
            codec = autoregressive(self.shape, steps, scan.parameters, scan.pmf, self.calibration, scan.grid)
            return codec.pop(message)

    def _steps(self, steps: list[Tensor]) -> list[Tensor]:
        """Indices into all images, from those into one."""
        batch, channels, height, width = self.shape
        first = torch.arange(batch, device=steps[0].device)[:, None] * (channels * height * width)
        return [(first + places).reshape(-1) for places in steps]


def weights_digest(model: nn.Module) -> bytes:
    """SHA-256 of a model's weights, by name, as float32: what a file names its model by."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + repr(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.digest()
