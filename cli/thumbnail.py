"""`densezip thumbnail`: a small PNG of a .dz file, as file managers ask for it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import DEFAULT_MAX_PIXELS, decompress, export
from ..codec.file.container import check_magic, parse
from ..codec.file.inputs import most_bytes
from .sources import Source
from .targets import STDOUT_FILES, Targets

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["cached", "decoded", "thumbnail"]

LARGEST_SIZE = 4096
JPEG = ("jpg", "jpeg", "jpe", "jfif")
# The folders of the freedesktop thumbnail cache, and the largest side of what is in each.
CACHES = {"normal": 128, "large": 256, "x-large": 512, "xx-large": 1024}


@click.command(
    epilog="""\b
Examples:
  densezip thumbnail photo.png.dz small.png
  densezip thumbnail --size 512 photo.png.dz small.png
  densezip desktop-install                   for file managers
"""
)
@click.argument("source", metavar="INPUT", type=click.Path(readable=False))
@click.argument("output", metavar="OUTPUT", type=click.Path(allow_dash=True, readable=False))
@click.option(
    "--size",
    default=256,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, LARGEST_SIZE),
    help="Width and height at most, in pixels. Smaller images are not enlarged.",
)
def thumbnail(source: str, output: str, size: int) -> None:
    """Make a small PNG of a .dz file, upright, and replace OUTPUT by it.

    It is made from the preview that `compress --preview` gave the file, if that is half as large or more, or from a
    larger picture of this very file in the thumbnail cache of the desktop. Else a JPEG file is decoded at a fraction of
    its size, and of other files all pixels are, for they depend on one another.
    """
    given = Source(Path(source), Path(Path(source).name))
    targets = Targets(output, None, force=output not in STDOUT_FILES)
    target = targets.claim(given, output)
    small = cached(Path(source), size)
    if small is None:
        small = decoded(given.load(most_bytes(DEFAULT_MAX_PIXELS), check_magic).data, size)
    file = BytesIO()
    small.save(file, "PNG")
    try:
        targets.write(target, file.getvalue(), None)
    finally:
        targets.partials.close()


def cached(path: Path, size: int) -> Image.Image | None:
    """What the desktop's cache has of a file, if that is as it was then and the picture is larger than asked for.

    Source: freedesktop.org, *Thumbnail managing standard*, version 0.9.
    """
    from PIL import Image

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "thumbnails")
    with contextlib.suppress(OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        whole = path.resolve()
        name = hashlib.md5(whole.as_uri().encode("ascii"), usedforsecurity=False).hexdigest() + ".png"
        changed = int(whole.stat().st_mtime)
        for folder, largest in CACHES.items():
            # One of its size says that there is no more to see; one that is smaller may be all of a small image.
            if largest <= size or not (root / folder / name).is_file():
                continue
            with Image.open(root / folder / name, formats=["PNG"]) as image:
                image.load()
                times = str(image.info.get("Thumb::MTime", "")).partition(".")[0]
                if times == str(changed) and max(image.size) <= largest:
                    small = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
                    small.thumbnail((size, size), Image.Resampling.LANCZOS)
                    return small
    return None


def decoded(data: bytes, size: int) -> Image.Image:
    """The picture, made small; its preview, if that is at least half as large as what is wanted.

    Raises:
        DensezipError: it cannot be decoded.
    """
    from PIL import Image

    from ..codec.file.preview import preview_of
    from ..codec.images.picture import from_array
    from ..codec.images.thumbnails import shrunk, thumbnail_of

    header = parse(data).header
    preview = preview_of(header)
    if preview is not None and 2 * max(preview.size) >= min(size, max(header.width, header.height)):
        return shrunk(preview, size)
    if header.stored_format in JPEG:
        stored = export(data).data
        # What libjpeg makes of damage is for `decompress` to judge.
        unsound = contextlib.suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError)
        with unsound, Image.open(BytesIO(stored), formats=["JPEG"]) as image:
            image.draft(None, (2 * size, 2 * size))
            return shrunk(image, size)
    found = decompress(data)
    return shrunk(found, size) if isinstance(found, Image.Image) else thumbnail_of(from_array(found), size)
