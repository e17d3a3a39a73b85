"""Pillow: `.dz` as one of its image formats.

`Image.open` looks at the header and the metadata; `load`, and whatever needs pixels, decodes. `save` takes the options

- `effort`: 1 (fast), 5 or 9 (small), 5 if it is not given,
- `preview`: True adds a small picture for file managers to a large one,
- `threads`: 0, if it is not given, for all processors,
- `exif`, `icc_profile`, `xmp`, `dpi`: in the place of those in `image.info`; `None` leaves one out.

Errors are Pillow's (`UnidentifiedImageError` when opening, `OSError` when loading and saving), whose `__cause__` is the
`DensezipError`. 16-bit colour, which Pillow has no mode for, is refused; `densezip.decompress` gives it as an array.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from .. import DensezipError, UnsupportedImageError, compress, decompress
from ..codec.file.coding import stored_bytes
from ..codec.file.container import MAGIC, Header, Payload, parse
from ..codec.file.recoding import outline_of
from ..codec.images.modes import CHANNELS
from ..codec.images.picture import PIL_MODES, Picture, to_image
from ..codec.images.source import Source, metadata

__all__ = ["DensezipImageFile", "register"]

FORMAT = "DENSEZIP"
EXTENSION = ".dz"
MIME = "image/x-densezip"

OPTIONS = ("effort", "preview", "threads")
METADATA = ("exif", "icc_profile", "xmp", "dpi")
"""Entries of `info` that `save` takes as options, as Pillow's own formats do."""


class DensezipImageFile(ImageFile.ImageFile):
    """An image in a `.dz` file, as `Image.open` gives it."""

    format = FORMAT
    format_description = "densezip lossless image"

    def _open(self) -> None:
        """Read the header and the metadata."""
        assert self.fp is not None
        self._packed: bytes | None = self.fp.read()
        try:
            container = parse(self._packed)
            header = container.header
            if header.payload is Payload.FILE:
                raise UnsupportedImageError(
                    f"a {header.stored_format} file that was kept whole; densezip.export gives it back"
                )
            if header.is_sheet:
                raise UnsupportedImageError("an array that is no image; densezip.decompress gives it")
            if header.mode not in PIL_MODES:
                raise UnsupportedImageError(
                    f"mode {header.mode}, which Pillow does not have; densezip.decompress gives an array"
                )
            if header.payload is Payload.STORED:
                self._take_info(stored_bytes(container, len(self._packed)))
            elif header.payload is Payload.JPEG:
                self._take_info(outline_of(container).skeleton)
            else:
                self._take_metadata(header)
        except DensezipError as error:
            raise UnidentifiedImageError(f"a densezip file that cannot be opened: {error}") from error
        self._mode, self._size = header.mode, (header.width, header.height)
        self.tile = []

    def _take_info(self, file: bytes) -> None:
        """What Pillow finds in the first bytes of another image file."""
        with Image.open(BytesIO(file)) as image:
            self.info = image.info

    def _take_metadata(self, header: Header) -> None:
        """What Pillow has in `info`, and the palette: from an image of one pixel with the same metadata."""
        chunks = header.chunks if header.remainder is None else metadata(Source(header.source_format, header.remainder))
        pixel = np.zeros((1, 1, CHANNELS[header.mode]), np.uint16 if header.bits == 16 else np.uint8)
        image = to_image(Picture(pixel, header.mode, header.bits, chunks))
        assert isinstance(image, Image.Image)
        self.info, self.palette = image.info, image.palette

    def load(self) -> Any:
        """Decode the pixels, once."""
        if self._packed is not None:
            try:
                image = decompress(self._packed)
            except DensezipError as error:
                raise OSError(f"a damaged densezip file: {error}") from error
            if not isinstance(image, Image.Image):
                image = Image.fromarray(image)
            self.im, self._packed = image.im, None
            if image.palette is not None:
                self.palette = image.palette
            if self._exclusive_fp and self.fp is not None:
                self.fp.close()
            self.fp = None
        return Image.Image.load(self)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], _name: str | bytes) -> None:
    """Write an image; what `save` was given goes before what the image has."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    given = {name: options[name] for name in METADATA if name in options}
    if given:
        image = image.copy()
        image.info |= {name: value for name, value in given.items() if value is not None}
        for name, value in given.items():
            if value is None:
                image.info.pop(name, None)
    exif = image.info.get("exif")
    if isinstance(exif, Image.Exif):
        image.info["exif"] = exif.tobytes()
    try:
        data = compress(image, **{name: options[name] for name in OPTIONS if name in options})
    except DensezipError as error:
        raise OSError(f"cannot be saved as densezip: {error}") from error
    file.write(data)


def register() -> None:
    """Make `.dz` known to Pillow. A second call changes nothing."""
    Image.init()  # Pillow's own formats first: they are looked up in the order in which they came
    Image.register_open(FORMAT, DensezipImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)
