"""A PixelCNN of several classes of images, by conditional weight normalization.

All classes share the directions of weights; the lengths of these, and biases, are each class's own. So the density of
one class is an ordinary PixelCNN, and is coded as one. Who knows the class of an image codes it by that (`given`).
Otherwise the class is a latent variable with an exact posterior, and files take what the average over classes says.

Source: Lucas, Shmelkov, Alahari, Schmid, Verbeek, *Adaptive density estimation for generative models* (2019), appendix
on class-conditional models: w = g(y) v / |v|, with biases by the class y, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...codec.entropy.calibrated import Calibration
from ...codec.entropy.codecs import Codec
from ...codec.errors import UsageError
from ..shapes import Advance, ImageModel
from .choices import ChoiceCodec, ChosenCodec
from .pixelcnn import PixelCNN, PixelCNNConfig
from .synthesis import sample

__all__ = ["ClassPixelCNN", "ClassPixelCNNConfig"]


@dataclass(frozen=True)
class ClassPixelCNNConfig(PixelCNNConfig):
    """What a PixelCNN of classes is.

    Attributes:
        classes: how many.
    """

    classes: int = 10


class _Density(nn.Module):
    """A PixelCNN whose call is its density."""

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.network = PixelCNN(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.network.log_prob(x)


class ClassPixelCNN(ImageModel):
    """See the module.

    Attributes:
        classes: how many there are.
    """

    config: ClassPixelCNNConfig
    shape = "latent"
    borrows = True

    def __init__(self, config: ClassPixelCNNConfig) -> None:
        super().__init__()
        if config.classes < 2:
            raise UsageError(f"classes = {config.classes}: 2 or more")
        self.config, self.channels, self.classes = config, config.channels, config.classes
        settings = {field.name: getattr(config, field.name) for field in fields(PixelCNNConfig)}
        self.shared = _Density(PixelCNNConfig(**settings))
        self.lengths, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for name, layer in self._layers().items():
            self.lengths[name] = _norm(layer).expand(config.classes, -1).clone()
            assert layer.bias is not None
            self.biases[name] = layer.bias.detach().expand(config.classes, -1).clone()
            layer.bias.requires_grad_(False).zero_()

    def _layers(self) -> dict[str, nn.Conv2d]:
        """Those with weights, by names without dots."""
        found = self.shared.named_modules()
        return {name.replace(".", "-"): layer for name, layer in found if isinstance(layer, nn.Conv2d)}

    def weights(self, number: int) -> dict[str, Tensor]:
        """Those of one class, by their names in `shared`."""
        found = dict[str, Tensor]()
        for key, layer in self._layers().items():
            name = key.replace("-", ".")
            scale = (self.lengths[key][number] / _norm(layer))[:, None, None, None]
            found |= {f"{name}.weight": layer.weight * scale, f"{name}.bias": self.biases[key][number]}
        return found

    def of(self, number: int) -> PixelCNN:
        """The density of one class, as a model of its own that does not learn."""
        like = next(self.parameters())
        model = PixelCNN(self.shared.network.config).to(like.device, like.dtype)
        own = {name.removeprefix("network."): value.detach() for name, value in self.weights(number).items()}
        model.load_state_dict(own)
        return model.eval().requires_grad_(False)

    def given(self, x: Tensor, labels: Tensor) -> Tensor:
        """Log-probability of images [B, C, H, W] given their classes [B], in nats: [B]."""
        found = next(self.parameters()).new_zeros(len(x))
        for number in sorted(set(labels.tolist())):
            members = (labels == number).nonzero()[:, 0]
            each = functional_call(self.shared, self.weights(number), (x[members],))
            found = found.index_put((members,), each.to(found.dtype))
        return found

    def log_probs(self, x: Tensor) -> Tensor:
        """Of images [B, C, H, W] in each class, in nats: [classes, B]."""
        return torch.stack([functional_call(self.shared, self.weights(y), (x,)) for y in range(self.classes)])

    def bound(self, x: Tensor) -> Tensor:
        """See `ImageModel`: the average over classes, exactly."""
        return torch.logsumexp(self.log_probs(x), 0) - math.log(self.classes)

    def loss(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Minus the log-probability given the classes, where they are known, in nats per dimension."""
        found = self.bound(x) if labels is None else self.given(x, labels)
        return -found.mean() / x[0].numel()

    def codec(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance = lambda pixels: None
    ) -> Codec[Tensor]:
        """See `ImageModel`: classes by bits-back."""

        @torch.no_grad()
        def log_probs(x: Tensor) -> Tensor:
            return self.log_probs(x.to(next(self.parameters()).device)).cpu()

        each = self._of_class(calibration, shape, advance)
        return ChoiceCodec(each, log_probs, self.classes, shape, "exact", calibration)

    def codec_given(
        self,
        labels: Tensor,
        calibration: Calibration,
        shape: tuple[int, int, int, int],
        advance: Advance = lambda pixels: None,
    ) -> Codec[Tensor]:
        """The codec of images whose classes [B] both sides know."""
        return ChosenCodec(self._of_class(calibration, shape, advance), labels, shape)

    def _of_class(
        self, calibration: Calibration, shape: tuple[int, int, int, int], advance: Advance
    ) -> Callable[[int, int], Codec[Tensor]]:
        return lambda number, count: self.of(number).codec(calibration, (count, *shape[1:]), advance)

    def sample_class(self, number: int, count: int, height: int, width: int, seed: int = 0) -> Tensor:
        """Images drawn from one class, uint8 [count, C, H, W]."""
        return sample(self.of(number), count, height, width, seed)

    def sample(self, count: int, height: int, width: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Images drawn from all classes in turn, uint8 [count, C, H, W]; for the temperature see `synthesis.sample`."""
        found = torch.zeros(count, self.channels, height, width, dtype=torch.uint8)
        for number in range(min(self.classes, count)):
            members = torch.arange(number, count, self.classes)
            found[members] = sample(self.of(number), len(members), height, width, seed + number, temperature)
        return found


def _norm(layer: nn.Conv2d) -> Tensor:
    """Lengths of the weights of each output, of those that are used. [outputs]."""
    mask = getattr(layer, "mask", None)
    found: Tensor = (layer.weight if mask is None else layer.weight * mask).flatten(1).norm(dim=1)
    return found.clamp(min=1e-12)  # an output of a mask that hides all inputs has none
