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
    """`photo.tif.dz` gives `photo.tif`; a name that does not end as the format's files do gets that, too.

    Args:
        name: Of the .dz file, without its folder.
        source_format: The extension of the format that comes out, without a dot.
    """
    inner = name[: -len(DENSEZIP_SUFFIX)] if name.lower().endswith(DENSEZIP_SUFFIX) else name
    if inner == "":
        inner = name
    suffix = PurePath(inner).suffix
    if inner != name and suffix and api.same_format(suffix, source_format):
        return inner
    return f"{inner}.{source_format}"
