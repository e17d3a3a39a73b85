"""Models as what codes pictures: found by name and digest, or path, loaded once, in float64 on some device."""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from itertools import islice, product
from os import PathLike, fspath
from typing import Any

import torch
from torch import nn

from ..codec.errors import InputError, UnknownModelError, UsageError
from ..codec.file.container import DIGEST_BYTES, Header
from ..codec.file.imagecoder import ImageCoder
from .named import Named, as_image_model, find_model, split_name
from .shapes import ImageModel, check_weights, coding_digest
from .shipped import folders

__all__ = ["coder_for", "coder_of_chained", "device_of"]

MOST_CANDIDATES = 64
"""Combinations of checkpoints of the names in a file that are tried: many folders may have each."""


def device_of(name: str) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", or "auto", which takes a GPU where there is one.

    Raises:
        UsageError: no such device here.
    """
    try:
        device = torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))
    except RuntimeError:
        raise UsageError(f"--device {name}: cpu, cuda, cuda:1 or auto") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: cpu, cuda, cuda:1 or auto")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch sees no GPU here")
    return device


def coder_for(model: str | PathLike[str] | nn.Module, device: str = "cpu") -> ImageCoder:
    """What codes pictures by a model.

    Args:
        model: a checkpoint, by name or path, or several (see `named`); or a module.
        device: where the network runs.

    Raises:
        InputError: no such checkpoint.
        UsageError: models that cannot be averaged; a module that is no density of images; a device that is not there.
        WeightsError: weights that are not finite.
    """
    if isinstance(model, nn.Module):
        return _coder(as_image_model(model), type(model).__name__, device)
    try:
        found = find_model(fspath(model))
    except TypeError:
        raise UsageError(f"a model of type {type(model).__name__}: wanted a name, a path or a torch module") from None
    return _loaded(found, found.changed, device)


def coder_of_chained(header: Header, model: str | PathLike[str] | nn.Module | None, device: str) -> ImageCoder:
    """What decodes a chained file.

    Args:
        header: of the file.
        model: by which it was coded; None to look for a checkpoint of its name among those that come with densezip, and
            in the folders of the environment variable DENSEZIP_MODELS.
        device: where the network runs.

    Raises:
        UnknownModelError: the model is not here, or has other weights.
    """
    wanted = f"model {header.model} ({header.digest.hex()})"
    if model is not None:
        found = coder_for(model, device)
        if found.digest[:DIGEST_BYTES] != header.digest:
            own = f"{found.name} ({found.digest[:DIGEST_BYTES].hex()})"
            raise UnknownModelError(f"coded by {wanted}; the model given is {own}")
        return found
    mode, names = split_name(header.model)
    places, looked = [], []
    for name in names:
        here = [folder / f"{name}.safetensors" for folder in folders()] if _plain(name) else []
        places.append([path for path in here if path.is_file()])
        looked += [f"{path.parent}: nothing of the name {name}" for path in here if not path.is_file()]
    for paths in islice(product(*places), MOST_CANDIDATES):
        candidate = Named(paths, mode)
        try:
            found = _loaded(candidate, candidate.changed, device)
        except (InputError, UsageError) as error:
            looked.append(str(error))
            continue
        if found.digest[:DIGEST_BYTES] == header.digest:
            return found
        looked.append(f"{', '.join(str(path) for path in paths)}: has digest {found.digest[:DIGEST_BYTES].hex()}")
    raise UnknownModelError(
        f"coded by {wanted}, which is not here. Looked in {'; '.join(looked)}. "
        "Give the model (--model PATH), or put its checkpoint into a folder that DENSEZIP_MODELS names"
    )


def _plain(name: str) -> bool:
    """Whether a name cannot lead out of a folder."""
    return name not in (".", "..") and not any(letter in name for letter in "/\\:")


@lru_cache(4)
def _loaded(model: Named, changed: tuple[int, ...], device: str) -> ImageCoder:
    """Of files as they were at a time: they are read once for many pictures."""
    return _coder(model.load(), model.name, device)


def _coder(model: ImageModel, name: str, device: str) -> ImageCoder:
    check_weights(model, name)
    if not (name.isascii() and name.isprintable()):
        name = model.shape
    digest = coding_digest(model)
    exact: Any = copy.deepcopy(model).to(device_of(device)).double().eval()
    return ImageCoder(
        name=name,
        digest=digest,
        channels=model.channels,
        levels=model.levels,
        borrows=model.borrows,
        tile=lambda height, width: _tile(model, height, width),
        fitted=model.fitted,
        codec=exact.codec,
        band=model.band,
    )


def _tile(model: ImageModel, height: int, width: int) -> tuple[int, int]:
    """Tiles of a picture: the whole, up to twice the largest; else nearly square ones of nearly equal size."""
    if model.size is not None:
        return min(height, model.size[0]), min(width, model.size[1])
    if height * width <= 2 * model.largest:
        return height, width
    side = math.isqrt(model.largest)
    # A narrow picture has longer tiles.
    wide = _even(width, max(side, model.largest // height), model.multiple)
    return _even(height, max(side, model.largest // wide), model.multiple), wide


def _even(length: int, most: int, multiple: int) -> int:
    """The length of as few equal parts as none is longer than `most` of, a multiple but for a whole."""
    parts = -(-length // most)
    if parts == 1:
        return length
    return min(length, -(-length // (parts * multiple)) * multiple)
