"""What an output is called: the suffix is added, as gzip and zstd do, so that no two inputs take one name."""

from __future__ import annotations

from pathlib import PurePath

from . import api
from .sources import DENSEZIP_SUFFIX

__all__ = ["compressed_name", "decompressed_name"]


def compressed_name(name: str) -> str:
    """`photo.tif` gives `photo.tif.dz`."""
    return name + DENSEZIP_SUFFIX


def decompressed_name(name: str, source_format: str) -> str:
    """`photo.tif.dz` gives `photo.tif`; a name that does not end as image files do gets a suffix.

    A suffix of another format stays, too: `photo.jpg` that holds a PNG picture was called so when it went in.

    Args:
        name: Of the .dz file, without its folder.
        source_format: The extension of the format that comes out, without a dot.
    """
    inner = name[: -len(DENSEZIP_SUFFIX)] if name.lower().endswith(DENSEZIP_SUFFIX) else name
    if inner == "":
        inner = name
    suffix = PurePath(inner).suffix
    if inner != name and suffix.lower() in api.image_suffixes():
        return inner
    return f"{inner}.{source_format}"
