"""The files of the page, wherever they lie in the package: for our server, and for a folder that any other can host."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..codec.errors import OutputError
from ..models.jpeg.coder import MODELS as JPEG_MODELS
from ..models.photo.weights import MODELS as PHOTO_MODELS

__all__ = ["FILES", "TYPES", "read", "write_site"]

_PAGE = Path(__file__).parent
_PACKAGE = _PAGE.parent

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
"""What a browser has to be told of files by their suffixes; others are plain bytes."""


@lru_cache(maxsize=1)
def _tables() -> bytes:
    from .tables import tables

    return json.dumps(tables(), separators=(",", ":")).encode()


def _files() -> dict[str, Path | Callable[[], bytes]]:
    own = ("index.html", "style.css", "icon.svg", "core.wasm", "page/*.js", "decoder/*.js")
    found: dict[str, Path | Callable[[], bytes]] = {
        path.relative_to(_PAGE).as_posix(): path for pattern in own for path in sorted(_PAGE.glob(pattern))
    }
    for name in PHOTO_MODELS:
        found[f"models/{name}.safetensors"] = _PACKAGE / "models" / "photo" / f"{name}.safetensors"
    for name in JPEG_MODELS:
        found[f"models/{name}.weights"] = _PACKAGE / "models" / "jpeg" / f"{name}.weights"
    found["tables.json"] = _tables
    return found


FILES = _files()
"""Of each path below the page's address, where its file is, or what makes it. `files.json`, the list of files to be
opened, is not among them."""


def read(path: str) -> bytes:
    """One of `FILES`."""
    source = FILES[path]
    return source.read_bytes() if isinstance(source, Path) else source()


def write_site(folder: Path) -> int:
    """Write the page as a folder for any web server, with an empty list of files; returns the number of bytes.

    Raises:
        OutputError: a file cannot be written.
    """
    total = 0
    try:
        for path in [*FILES, "files.json"]:
            data = b"[]" if path == "files.json" else read(path)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            total += len(data)
    except OSError as error:
        raise OutputError(f"cannot write {error.filename or folder}: {error.strerror or error}") from error
    return total
