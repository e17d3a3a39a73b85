"""What the header of a .dz file says, for people. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import CorruptPayloadError, TruncatedError
from ..fields import Reader
from ..images.modes import Chunk
from .container import Container, Payload

__all__ = ["Info", "describe"]

# Names for the PNG chunks that most files have; other chunks keep their own.
NAMES = {
    "PLTE": "palette",
    "tRNS": "transparency",
    "iCCP": "icc",
    "eXIf": "exif",
    "gAMA": "gamma",
    "cHRM": "chromaticity",
    "sRGB": "srgb",
    "pHYs": "resolution",
    "tEXt": "text",
    "zTXt": "text",
    "iTXt": "text",
}


@dataclass(frozen=True)
class Info:
    """What the header of a .dz file says.

    Attributes:
        format_version: of the file.
        width: in pixels.
        height: in pixels.
        mode: "1", "L", "LA", "RGB", "RGBA", "P", "I;16" (16-bit grey), "LA;16", "RGB;16" or "RGBA;16".
        depth: bits per sample in the source: 1, 2, 4, 8 or 16.
        channels: samples per pixel; 1 for a palette image.
        source: "image", or "array" where `decompress` gives an ndarray.
        payload: "model", "webp", "png" or "stored".
        model: name of the model, or None where the payload is not a model's.
        model_digest: 8 hexadecimal digits that name the model's weights, or None.
        portable: whether the file decodes to the same pixels on every machine.
        calibrated: whether a batch holds the exceptions of calibrated coding, and so decodes on every machine whose
            arithmetic stays within their guard band; elsewhere that is an error with a name.
        images: 1, or of a batch how many lie below one another in `height`.
        tiles: number of independently decodable tiles.
        tile_size: (width, height) of a tile in pixels.
        stored_format: the extension of a stored file without its dot, such as "jpg", or None.
        lossy_source: the input was a lossy file (JPEG, lossy WebP), whose bytes are stored as they were.
        size: of the .dz file, in bytes.
        bpsp: bits of file per sub-pixel (per sample).
        ratio: raw size of the samples over the file's size.
        metadata: name of each part kept -> bytes, before compression. A stored file keeps its metadata itself.
    """

    format_version: int
    width: int
    height: int
    mode: str
    depth: int
    channels: int
    source: str
    payload: str
    model: str | None
    model_digest: str | None
    portable: bool
    calibrated: bool
    images: int
    tiles: int
    tile_size: tuple[int, int]
    stored_format: str | None
    lossy_source: bool
    size: int
    bpsp: float
    ratio: float
    metadata: Mapping[str, int]


def describe(container: Container) -> Info:
    """The header of a parsed file."""
    header = container.header
    samples = header.width * header.height * header.channels
    metadata: dict[str, int] = {}
    for chunk in header.chunks:
        metadata[_name(chunk)] = metadata.get(_name(chunk), 0) + len(chunk[1])
    images, exceptions = _batch(container) if header.payload is Payload.BATCH else (1, 0)
    return Info(
        format_version=container.version,
        width=header.width,
        height=header.height,
        mode=header.mode,
        depth=header.bits,
        channels=header.channels,
        source="array" if header.array_ndim else "image",
        payload=header.payload.name.lower(),
        model=header.model or None,
        model_digest=header.digest.hex() or None,
        portable=header.payload is not Payload.BATCH,
        calibrated=exceptions > 0,
        images=images,
        tiles=header.tiles,
        tile_size=(header.tile_width, header.tile_height),
        stored_format=header.stored_format or None,
        lossy_source=header.lossy,
        size=container.size,
        bpsp=8 * container.size / samples,
        ratio=samples * header.bits / 8 / container.size,
        metadata=metadata,
    )


def _batch(container: Container) -> tuple[int, int]:
    """How many images a batch has, and the length of its exceptions."""
    reader = Reader(container.tile(0), 0, TruncatedError)
    images = reader.varint("number of images")
    if not images or container.header.height % images:
        raise CorruptPayloadError(f"{images} images in {container.header.height} rows")
    return images, len(reader.take(reader.varint("length of the exceptions"), "exceptions"))


def _name(chunk: Chunk) -> str:
    name, data = chunk
    return "xmp" if name == "iTXt" and data.startswith(b"XML:com.adobe.xmp\0") else NAMES.get(name, name)
