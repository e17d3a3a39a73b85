"""`densezip sample`, `inpaint` and `denoise`: what a model makes up. They import torch when they run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import UsageError
from .drawing import Drawing, drawing_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["denoise", "inpaint", "sample"]

T = TypeVar("T")

DEVICE = click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="NAME",
    help="cpu, cuda, cuda:1 or auto: where it is computed.",
)

CHECKPOINT = click.Path(exists=True, dir_okay=False, path_type=Path)
LARGEST_SIDE = 65535
GAP = 2
"""Pixels between the images of a sheet."""
WIDE = 10
"""Images of a row of reconstructions."""


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """HxW, in pixels."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Two numbers of at least 1."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", value)
        height, width = (int(found[1]), int(found[2])) if found else (0, 0)
        if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
            self.fail(f"{value!r} is not a height and a width such as 32x48", param, ctx)
        return height, width


@click.command(
    epilog="""\b
Examples:
  densezip sample ride-cifar10 --size 32x32 --count 16 -o sheet.png
  densezip sample out/best.safetensors --size 128x128 --temperature 0.9 -o texture.png
  densezip sample vae-mnist --reconstruct mnist:tiles --count 20 -o again.png
  densezip sample vae-mnist --interpolate mnist:tiles --count 8 --steps 10 -o ways.png
"""
)
@click.argument("model", metavar="MODEL")
@click.option("--size", type=Size(), help="Height and width of an image; 32x32, or the one size of the model.")
@click.option("--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Of the draws.")
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    metavar="T",
    type=click.FloatRange(min=0),
    help="Below 1 draws what is likelier, 0 the likeliest value of every sample.",
)
@click.option(
    "--count", default=1, show_default=True, metavar="N", type=click.IntRange(1, 4096), help="Images on the sheet."
)
@click.option(
    "--reconstruct",
    metavar="SPEC",
    help="Instead: rows of test images, as for eval --data, above what their latents say of them.",
)
@click.option("--interpolate", metavar="SPEC", help="Instead: a row from a test image to the next, between latents.")
@click.option(
    "--steps",
    default=8,
    show_default=True,
    metavar="N",
    type=click.IntRange(2, 256),
    help="Images of a row of --interpolate.",
)
@DEVICE
@drawing_options
def sample(
    model: str,
    size: tuple[int, int] | None,
    seed: int,
    temperature: float,
    count: int,
    reconstruct: str | None,
    interpolate: str | None,
    steps: int,
    device: str,
    output: str,
    force: bool,
) -> None:
    """Draw images from a model.

    MODEL is a checkpoint: a path, or a name that `densezip models` lists. Several images are laid out on one sheet. The
    temperature is that of every sample's distribution for autoregressive models, and of the latents for others.

    With --reconstruct or --interpolate, a model with latent variables draws expected images, no samples: of the
    latents of test images, or on the way between two.
    """
    if reconstruct and interpolate:
        raise UsageError("--reconstruct or --interpolate, not both")
    drawing = Drawing(output, force=force)

    def work() -> Pixels:
        from ..models import synthesis

        net = _density(model, device)
        if reconstruct:
            x = _images(net, reconstruct, count)
            return _rows(_in_turn(_shown(net, x), _shown(net, synthesis.reconstruct(net, x)), WIDE))
        if interpolate:
            x = _images(net, interpolate, 2 * count)
            ways = [synthesis.interpolate(net, a, b, steps) for a, b in zip(x[::2], x[1::2], strict=False)]
            return _rows([_shown(net, way) for way in ways])
        height, width = size or net.size or (32, 32)
        return _sheet(_shown(net, synthesis.sample(net, count, height, width, seed, temperature)))

    drawing.write(_with_torch(work))


@click.command(
    epilog="""\b
Example:
  densezip inpaint out/best.safetensors photo.png --mask hole.png -o whole.png
"""
)
@click.argument("model", metavar="MODEL")
@click.argument("image", metavar="IMAGE", type=CHECKPOINT)
@click.option("--mask", required=True, metavar="FILE", type=CHECKPOINT, help="Of the same size; white is drawn anew.")
@click.option(
    "--sweeps",
    default=10,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=0),
    help="How often every pixel of the hole is drawn anew given all others, after the first fill.",
)
@click.option("--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Of the draws.")
@DEVICE
@drawing_options
def inpaint(model: str, image: Path, mask: Path, sweeps: int, seed: int, device: str, output: str, force: bool) -> None:
    """Fill a hole in an image by what a model expects there.

    MODEL is a checkpoint, trained on images like this one. MCGSM and RIDE know what lies all around the hole. Other
    autoregressive models take --sweeps 0: their fill does not know what lies below the hole. Latent-variable models and
    flows take images of their own size, and some hundred sweeps.
    """
    drawing = Drawing(output, force=force, source=image)

    def work() -> Pixels:
        import numpy as np
        import torch

        from ..models.autoregressive.synthesis import Sweep
        from ..models.synthesis import inpaint as draw

        net = _density(model, device)
        pixels = _read(image, "L" if net.channels == 1 else "RGB")
        hole = _read(mask, "L")[..., 0] >= 128

        def report(number: int, sweep: Sweep) -> None:
            click.echo(f"sweep {number + 1} of {sweeps}: {sweep.accepted:.0%} of the proposals accepted", err=True)

        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
        return np.asarray(draw(net, x, torch.from_numpy(hole), sweeps, seed, report=report)[0].permute(1, 2, 0))

    drawing.write(_with_torch(work))


@click.command(
    epilog="""\b
Examples:
  densezip denoise out/best.safetensors noisy.png --noise 25 -o clean.png
  densezip denoise out/best.safetensors noisy.png --noise 25 --rule expected --draws 8 -o clean.png
"""
)
@click.argument("model", metavar="MODEL")
@click.argument("image", metavar="IMAGE", type=CHECKPOINT)
@click.option(
    "--noise",
    required=True,
    metavar="SIGMA",
    type=click.FloatRange(min=0, min_open=True),
    help="Standard deviation of the noise, in levels.",
)
@click.option(
    "--rule",
    default="matched",
    show_default=True,
    metavar="NAME",
    help="matched, expected, constant, perturbed or fading: how the noisy image goes into the way back.",
)
@click.option(
    "--draws",
    default=None,
    metavar="N",
    type=click.IntRange(0, 1024),
    help="Ways back that are averaged: 1 is a draw, many come near to the expected image. By default 0 for --rule "
    "matched, which is the expected image at once, and 1 for others.",
)
@click.option("--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Of the draws.")
@DEVICE
@drawing_options
def denoise(
    model: str,
    image: Path,
    noise: float,
    rule: str,
    draws: int | None,
    seed: int,
    device: str,
    output: str,
    force: bool,
) -> None:
    """Take normal noise out of an image, by what a diffusion says of images without.

    MODEL is a checkpoint of a Gaussian diffusion, trained on images like this one before the noise came.
    """
    drawing = Drawing(output, force=force, source=image)

    def work() -> Pixels:
        import numpy as np
        import torch

        from ..models.synthesis import denoise as clean

        net = _density(model, device)
        pixels = _read(image, "L" if net.channels == 1 else "RGB")
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(next(net.parameters()).device)
        found = clean(net, x, noise, rule, (rule != "matched") if draws is None else draws, seed)
        return np.ascontiguousarray(found[0].round().clamp(0, net.levels - 1).byte().permute(1, 2, 0).cpu().numpy())

    drawing.write(_with_torch(work))


def _with_torch(work: Callable[[], T]) -> T:
    try:
        return work()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "torch":
            raise
        raise UsageError("models need torch, which is missing: pip install 'densezip[models]'") from error


def _density(name: str, device: str) -> Any:
    from ..models.coding import device_of
    from ..models.named import find_model

    return find_model(name).load().to(device_of(device))


def _read(path: Path, mode: str) -> Pixels:
    """Pixels [H, W, C] of an image."""
    import numpy as np
    from PIL import Image

    from ..codec.errors import UnreadableImageError

    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert(mode))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"{path}: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _images(net: Any, spec: str, count: int) -> Any:
    """The first test images of a specification, on the device of a model that takes them."""
    from dataclasses import replace

    import torch

    from ..models.training.data import open_data
    from ..models.training.objective import check_data

    data = open_data(spec, "test")
    data = replace(data, images=data.images[:count])
    check_data(net, data)
    return torch.from_numpy(data.images).to(next(net.parameters()).device)


def _shown(net: Any, images: Any) -> Pixels:
    """Images in levels, as pixels of 0 to 255."""
    pixels: Pixels = (images.double() * (255 / (net.levels - 1))).round().clamp(0, 255).byte().cpu().numpy()
    return pixels


def _in_turn(first: Pixels, second: Pixels, wide: int) -> list[Pixels]:
    """Rows of so many images, one of these above one of those."""
    places = range(0, len(first), wide)
    return [images[place : place + wide] for place in places for images in (first, second)]


def _sheet(images: Pixels) -> Pixels:
    """Images [B, C, H, W] side by side, about as many rows as columns. [H, W, C]."""
    import numpy as np

    count, _, height, width = images.shape
    columns = min(count, max(1, int(np.ceil(np.sqrt(count * height / width)))))
    return _rows([images[place : place + columns] for place in range(0, count, columns)])


def _rows(rows: list[Pixels]) -> Pixels:
    """Rows of images, each [B, C, H, W], white where one is shorter. [H, W, C]."""
    import numpy as np

    (_, channels, height, width), columns = rows[0].shape, max(len(row) for row in rows)
    sheet = np.full((channels, len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[:, top : top + height, left : left + width] = image
    return sheet.transpose(1, 2, 0)
