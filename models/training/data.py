"""Images to learn from, as one array: CIFAR-10, MNIST, folders of images, and what is made up.

A specification says what and where:

    cifar10:PATH       the official archive (cifar-10-python.tar.gz, cifar-10-binary.tar.gz) or its folder; a folder
                       of tile mosaics (train-0.webp, ..., test.webp) or one of them; a folder of 32x32 images
    mnist:PATH         the official idx files (.gz or not) in a folder; mosaics (train.png, test.png); image files
    binarized-mnist:PATH  the same as 0 and 1: each sample above a threshold of its own, which is drawn once for ever
    deadleaves         synthetic, grey; deadleaves:size=64,count=2000,noise=0 are the defaults; noise of so many levels
    swissroll          points of a plane as images of two samples; swissroll:count=10000 is the default
    heartbeat          sequences of 20 samples of 0 and 1 with a pulse at every fifth; heartbeat:count=10000
    digits             handwritten digits of 8x8 pixels in 17 levels, with their classes; scikit-learn has them
    PATH, folder:PATH  a folder of images, subfolders too: crops of `patch` pixels, or whole images of one size

The last 1,000 training images (a tenth, where there are fewer than 10,000) are kept apart for validation. A folder may
have subfolders `train`, `validation` (or `val`) and `test`; without `test`, all of it is the test set of an evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...codec.errors import UnreadableImageError, UsageError
from .archives import cifar_arrays, mnist_arrays
from .leaves import dead_leaves
from .toys import heartbeat, swiss_roll

__all__ = ["SPLITS", "Data", "open_data"]

SPLITS = ("train", "validation", "test")
VALIDATION = 1000
BINARIZED = "binarized-mnist"
MADE_UP = {
    "deadleaves": {"size": 64, "count": 2000, "noise": 0},
    "swissroll": {"count": 10_000},
    "heartbeat": {"count": 10_000},
}
"""What needs no files, with the defaults of its options."""

THRESHOLD_SEED = 0
"""Of the thresholds of binarized digits: with another they would be other data."""

DIGITS, DIGITS_TEST, DIGIT_STEP = "digits", 360, 15
"""How many of the digits are the test set, and what 17 levels are multiplied by to be about 0 to 255."""

SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".bmp"}

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Data:
    """Images of one size.

    Attributes:
        name: what they are, without where they were: "cifar10", "mnist", "binarized-mnist", "deadleaves:size=64", the
            name of a folder.
        split: "train", "validation" or "test".
        images: uint8 [N, C, H, W]
        labels: their classes from 0 on, where they are known. int64 [N]
    """

    name: str
    split: str
    images: Pixels
    labels: NDArray[np.int64] | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of shape and pixels, 64 hexadecimal digits: the same images in the same order."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()


def open_data(spec: str, split: str = "train", patch: int = 0, seed: int = 0) -> Data:
    """Reads or makes the images of a specification; see the module.

    Args:
        spec: the specification.
        split: "train", "validation" or "test".
        patch: for folders: side of square crops, as many as fill the area of each image; at random places for training,
            side by side for validation and test. 0 for whole images.
        seed: of the places of the crops.

    Raises:
        UsageError: no such kind of data, nothing at that path, or images of several sizes without `patch`.
        UnreadableImageError: a damaged file.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split!r}: {', '.join(SPLITS)}")
    kind, colon, rest = spec.partition(":")
    if kind in MADE_UP:
        return Data(spec, split, _made_up(kind, rest, split))
    if spec == DIGITS:
        return _digits(split)
    if colon and kind in {"cifar10", "mnist", BINARIZED, "folder"}:
        path = Path(rest).expanduser()
    else:
        kind, path = "folder", Path(spec).expanduser()
    if not path.exists():
        known = f"cifar10:PATH, mnist:PATH, {BINARIZED}:PATH, {', '.join(MADE_UP)}, {DIGITS} or a folder of images"
        raise UsageError(f"no data at {path}: --data takes {known}")
    if kind == "folder":
        images = _folder(path, split, patch, seed)
    elif kind == "cifar10":
        images = _split(_known(path, split, cifar_arrays, (32, 32, 3)), split)
    else:
        found, apart = _known(path, split, mnist_arrays, (28, 28, 1))
        images = _split((_binarized(found, split) if kind == BINARIZED else found, apart), split)
    if not len(images):
        raise UsageError(f"{spec} has no {split} images")
    return Data(path.name if kind == "folder" else kind, split, np.ascontiguousarray(images))


def _digits(split: str) -> Data:
    """The digits of the UCI repository that come with scikit-learn; the last ones are the test set."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("the digits come with scikit-learn: pip install scikit-learn") from error
    found = load_digits()
    images = (found.images[:, None] * DIGIT_STEP).astype(np.uint8)
    labels = found.target.astype(np.int64)
    first = len(images) - DIGITS_TEST
    kept = _kept(first)
    part = {"train": slice(first - kept), "validation": slice(first - kept, first), "test": slice(first, None)}[split]
    return Data(DIGITS, split, np.ascontiguousarray(images[part]), labels[part])


def _binarized(images: Pixels, split: str) -> Pixels:
    """1 with the probability of a sample's brightness, as in Salakhutdinov and Murray (2008), but once and for all."""
    drawn = np.random.default_rng((THRESHOLD_SEED, split == "test"))
    thresholds = drawn.integers(0, 255, images.shape, np.uint8)
    return (images > thresholds).astype(np.uint8)


def _split(images: tuple[Pixels, bool], split: str) -> Pixels:
    """The training images without, or only, those kept for validation; a test set as it is."""
    array, apart = images
    if split == "test" or apart:
        return array
    kept = _kept(len(array))
    return array[len(array) - kept :] if split == "validation" else array[: len(array) - kept]


def _kept(count: int) -> int:
    return min(VALIDATION, -(-count // 10)) if count > 1 else 0


def _known(
    path: Path, split: str, official: Callable[[Path, bool], Pixels | None], shape: tuple[int, int, int]
) -> tuple[Pixels, bool]:
    """[N, C, H, W] of a data set in whichever form it has, and whether that is a split already."""
    found = official(path, split == "test")
    if found is not None:
        return found, False
    wanted = "test" if split == "test" else "train"
    if path.is_file():
        return _tiles(path, shape), False
    mosaics = sorted(p for p in path.iterdir() if p.stem.partition("-")[0] == wanted and p.suffix.lower() in SUFFIXES)
    if mosaics:
        return np.concatenate([_tiles(p, shape) for p in mosaics]), False
    files, apart = _files(path, split)
    images = [_pixels(file, shape[2]) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape[1:] != shape[:2]:
            raise UsageError(f"{file} is {image.shape[2]}x{image.shape[1]}; these images are {shape[1]}x{shape[0]}")
    return np.stack(images), apart


def _tiles(path: Path, shape: tuple[int, int, int]) -> Pixels:
    """[N, C, H, W] of a mosaic, row by row."""
    height, width, channels = shape
    pixels = _pixels(path, channels)
    rows, columns = pixels.shape[1] // height, pixels.shape[2] // width
    if (rows * height, columns * width) != pixels.shape[1:] or not rows * columns:
        raise UsageError(f"{path} is {pixels.shape[2]}x{pixels.shape[1]}: no mosaic of {width}x{height} tiles")
    split = pixels.reshape(channels, rows, height, columns, width).transpose(1, 3, 0, 2, 4)
    return np.ascontiguousarray(split).reshape(-1, channels, height, width)


def _pixels(path: Path, channels: int) -> Pixels:
    """[C, H, W] of an image file."""
    try:
        with Image.open(path) as image:
            array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(f"{path}: {error}") from error
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _files(path: Path, split: str) -> tuple[list[Path], bool]:
    """Image files of a split, and whether the folder has one of its own for it."""
    names = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}[split]
    own = [path / name for name in names if (path / name).is_dir()]
    if not own and split == "validation" and (path / "train").is_dir():
        path = path / "train"
    files = sorted(p for p in (own[0] if own else path).rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(f"no images in {own[0] if own else path} ({', '.join(sorted(SUFFIXES))})")
    apart = bool(own) and (split != "train" or any((path / name).is_dir() for name in ("validation", "val")))
    return files, apart


def _folder(path: Path, split: str, patch: int, seed: int) -> Pixels:
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder of images")
    files, apart = _files(path, split)
    if split != "test" and not apart:
        kept = _kept(len(files))
        files = files[len(files) - kept :] if split == "validation" else files[: len(files) - kept]
    channels = _channels(files)
    rng = np.random.default_rng(seed)
    parts: list[Pixels] = []
    for file in files:
        image = _pixels(file, channels)
        if not patch:
            if parts and image.shape != parts[0].shape[1:]:
                other = "x".join(map(str, parts[0].shape[:1:-1]))
                size = "x".join(map(str, image.shape[:0:-1]))
                raise UsageError(f"{file} is {size}, others are {other}: set patch (the side of crops) in the config")
            parts.append(image[None])
            continue
        rows, columns = image.shape[1] // patch, image.shape[2] // patch
        if not rows * columns:
            continue
        if split == "train":
            places = rng.integers((0, 0), (image.shape[1] - patch + 1, image.shape[2] - patch + 1), (rows * columns, 2))
        else:
            places = np.mgrid[:rows, :columns].reshape(2, -1).T * patch
        parts.append(np.stack([image[:, y : y + patch, x : x + patch] for y, x in places]))
    if not parts:
        raise UsageError(f"no {split} image in {path} is as large as {patch}x{patch}")
    return np.concatenate(parts)


def _channels(files: Sequence[Path]) -> int:
    """1 where all images are grey, else 3."""
    for file in files:
        try:
            with Image.open(file) as image:
                if image.mode not in {"1", "L", "LA"}:
                    return 3
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableImageError(f"{file}: {error}") from error
    return 1


def _made_up(kind: str, options: str, split: str) -> Pixels:
    values = dict(MADE_UP[kind])
    for part in filter(None, options.split(",")):
        name, _, value = part.partition("=")
        if name not in values or not value.isdecimal() or int(value) < (name != "noise"):
            takes = " and ".join(f"{known}=N" for known in values)
            defaults = ",".join(f"{known}={number}" for known, number in MADE_UP[kind].items())
            raise UsageError(f"{kind}:{options}: takes {takes}, such as {kind}:{defaults}")
        values[name] = int(value)
    count, seed = values["count"] if split == "train" else -(-values["count"] // 10), SPLITS.index(split)
    if kind == "deadleaves":
        return dead_leaves(count, values["size"], seed, values["noise"])
    return (swiss_roll if kind == "swissroll" else heartbeat)(count, seed)
