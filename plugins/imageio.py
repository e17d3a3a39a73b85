"""imageio, version 3: `import densezip.plugins.imageio`, and then `imageio.v3` reads and writes `.dz` files.

`imread` gives the samples: 16-bit colour as it is, palette images as the colours of their palette, as imageio does for
other formats. `imwrite` takes `effort` and `threads`. `improps` and `immeta` decode no pixels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from io import BytesIO
from types import EllipsisType
from typing import Any, cast

import imageio.v3  # noqa: F401  its formats first
import numpy as np
import numpy.typing as npt
from imageio.config import PluginConfig, known_plugins
from imageio.config.extensions import FileExtension, known_extensions
from imageio.core.request import URI_BYTES, InitializationError, IOMode, Request
from imageio.core.v3_plugin_api import ImageProperties, PluginV3
from PIL import Image, UnidentifiedImageError

from .. import compress, decompress, info
from ..codec.file.container import MAGIC, parse
from .pillow import EXTENSION, DensezipImageFile

__all__ = ["DensezipPlugin", "register"]

NAME = "densezip"


class DensezipPlugin(PluginV3):
    """One `.dz` file, read or written. A file holds one image, of index 0.

    Args:
        request: what imageio knows of the file.

    Raises:
        InitializationError: it is no `.dz` file, so that imageio tries another plugin.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._packed = b""
        if request.mode.io_mode is IOMode.read:
            file = request.get_file()
            head = file.read(len(MAGIC))
            if head != MAGIC:
                raise InitializationError(f"{request.raw_uri!r:.80} is no densezip file")
            self._packed = head + file.read()
        elif (request.extension or request.format_hint) != EXTENSION:
            raise InitializationError(f"densezip writes {EXTENSION} files")

    def read(self, *, index: int | EllipsisType = 0, threads: int = 0) -> npt.NDArray[Any]:
        """The samples [H, W] or [H, W, C], or an array of another kind; with `...` as the index, [1, H, W, ...].

        Raises:
            IndexError: another index than 0.
            DensezipError: damaged.
        """
        _check_index(index)
        image = decompress(self._packed, threads=threads)
        if isinstance(image, Image.Image) and image.mode == "P":
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        pixels = np.asarray(image)
        return pixels[None] if index is ... else pixels

    def iter(self, **options: Any) -> Iterator[npt.NDArray[Any]]:
        """The one image."""
        yield self.read(**options)

    def write(self, ndimage: Any, *, effort: int = 5, threads: int = 0) -> bytes | None:
        """Write one image [H, W] or [H, W, C], of any number of channels and type of numbers that is coded.

        Returns:
            The bytes where the target is `<bytes>`.

        Raises:
            ValueError: several images.
            DensezipError: samples of a type that is not coded.
        """
        pixels = np.asarray(ndimage)
        if pixels.ndim == 4 and pixels.shape[0] == 1:
            pixels = pixels[0]
        if pixels.ndim > 3 or (isinstance(ndimage, list) and isinstance(ndimage[0], np.ndarray) and len(ndimage) > 1):
            raise ValueError(f"an array of shape {list(pixels.shape)}: a densezip file holds one image")
        image = Image.fromarray(pixels) if pixels.dtype == bool else pixels
        file = self.request.get_file()
        file.write(compress(image, effort=effort, threads=threads))
        if self.request._uri_type == URI_BYTES:
            return cast(BytesIO, file).getvalue()
        return None

    def properties(self, index: int | EllipsisType = 0) -> ImageProperties:
        """Shape and type of what `read` gives."""
        _check_index(index)
        about, header = info(self._packed), parse(self._packed).header
        batch = index is ...
        if header.is_sheet:
            array = np.asarray(decompress(self._packed))
            shape, dtype = array.shape, array.dtype
            return ImageProperties((1, *shape) if batch else shape, dtype, 1 if batch else None, batch)
        channels, dtype = about.channels, np.dtype(np.uint16 if about.depth == 16 else np.uint8)
        if about.mode == "P":
            channels = 4 if self._image().has_transparency_data else 3
        shape = (about.height, about.width, channels)[: 3 if channels > 1 or header.array_ndim == 3 else 2]
        return ImageProperties(
            shape=(1, *shape) if batch else shape,
            dtype=np.dtype(bool) if about.mode == "1" else dtype,
            n_images=1 if batch else None,
            is_batch=batch,
        )

    def metadata(self, index: int | EllipsisType = 0, exclude_applied: bool = True) -> dict[str, Any]:
        """EXIF, ICC profile, text and the like under Pillow's names, and `mode`."""
        _check_index(index)
        found: dict[str, Any] = {"mode": info(self._packed).mode}
        with contextlib.suppress(UnidentifiedImageError):  # of a mode that Pillow does not have
            found |= {str(name): value for name, value in self._image().info.items()}
        if exclude_applied:
            found.pop("transparency", None)
        return found

    def _image(self) -> Image.Image:
        """The file as Pillow opens it, undecoded."""
        return DensezipImageFile(BytesIO(self._packed))


def _check_index(index: int | EllipsisType) -> None:
    if index not in (0, ..., None):
        raise IndexError(f"image {index} of a file that holds one")


def register() -> None:
    """Make `.dz` known to imageio. A second call changes nothing."""
    known_plugins[NAME] = PluginConfig(NAME, DensezipPlugin.__name__, __name__)
    extension = FileExtension(extension=EXTENSION, priority=[NAME], name="densezip lossless image")
    known_extensions[EXTENSION] = [extension]


register()
