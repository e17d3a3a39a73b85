"""What the header of a .dz file says, for people. Standard library only, but for the metadata of a source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import CorruptPayloadError, DensezipError, TruncatedError
from ..fields import Reader
from ..images.modes import Chunk
from .container import Container, Header, Payload
from .history import DIGEST as HISTORY_DIGEST
from .history import NAME as HISTORY

__all__ = ["Exported", "Info", "describe"]

# Names for the PNG chunks that most files have; other chunks keep their own.
NAMES = {
    "PLTE": "palette",
    "arRy": "array",
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


class Exported(NamedTuple):
    """An image file made of a .dz file.

    Attributes:
        data: the bytes of the file.
        extension: of its format, without a dot ("png", "jpg", ...).
        lost: what its format could not hold ("EXIF", "ICC profile", ...); empty where the source's own file came back.
    """

    data: bytes
    extension: str
    lost: tuple[str, ...] = ()


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
        source: "image", or "array" where `decompress` gives an ndarray. Of one that is no image, width, height and mode
            are those of the sheet that its planes lie on.
        payload: "model", "webp", "png", "stored", "batch", "jpeg", "chained", or "file": one that was not looked
            into, whose width, height, depth, channels and bpsp are 0 and whose mode is empty.
        jpeg: of a JPEG file its quality as libjpeg counts it, sampling, and whether it is progressive; else None.
        history: of pixels coded by what the JPEG file held that they were, its quality and sampling; else None.
        model: name of the model, or None where the payload is not a model's.
        model_digest: 8 hexadecimal digits that name the model's weights, or None.
        portable: whether the file decodes to the same pixels on every machine.
        calibrated: whether a batch or chained tiles hold the exceptions of calibrated coding, and so decode on every
            machine whose arithmetic stays within their guard band; elsewhere that is an error with a name.
        images: 1, or of a batch how many lie below one another in `height`.
        tiles: number of tiles: independently decodable ones, but for those of the payload "chained".
        tile_size: (width, height) of a tile in pixels.
        stored_format: the extension of a stored file without its dot, such as "jpg", or None.
        lossy_source: the input was a lossy file (JPEG, lossy WebP), which comes back byte for byte.
        source_format: the extension of the file that the image came from, without a dot ("png", "tif"); None for
            images and arrays.
        exact: "file" if that file comes back byte for byte, "picture" if its pixels and every byte outside the pixel
            stream do, None if there was no file or its metadata was stripped. Of payload "stored" and
            of lossy sources it is "file" always: nothing says whether the bytes that are stored were stripped.
        size: of the .dz file, in bytes.
        bpsp: bits of file per sub-pixel (per sample).
        ratio: raw size of the samples over the file's size; of a file that was not looked into, its size.
        metadata: name of each part kept -> bytes, before compression. A stored file keeps its metadata itself.
        preview: bytes of the small picture of it, 0 where there is none.
    """

    format_version: int
    width: int
    height: int
    mode: str
    depth: int
    channels: int
    source: str
    payload: str
    jpeg: str | None
    history: str | None
    model: str | None
    model_digest: str | None
    portable: bool
    calibrated: bool
    images: int
    tiles: int
    tile_size: tuple[int, int]
    stored_format: str | None
    lossy_source: bool
    source_format: str | None
    exact: str | None
    size: int
    bpsp: float
    ratio: float
    metadata: Mapping[str, int]
    preview: int = 0


def describe(container: Container) -> Info:
    """The header of a parsed file."""
    header = container.header
    samples = header.width * header.height * header.channels
    metadata: dict[str, int] = {}
    for chunk in _chunks(header):
        metadata[_name(chunk)] = metadata.get(_name(chunk), 0) + len(chunk[1])
    images, exceptions = _batch(container) if header.payload is Payload.BATCH else (1, 0)
    tiles, tile_size = header.tiles, (header.tile_width, header.tile_height)
    if header.payload is Payload.CHAINED:
        from .chainparts import split_chain

        parts = split_chain(container)
        (tall, wide), exceptions = parts.tile, len(parts.side)
        tiles, tile_size = -(-header.width // wide) * -(-header.height // tall), (wide, tall)
    return Info(
        format_version=container.version,
        width=header.width,
        height=header.height,
        mode=header.mode,
        depth=header.bits,
        channels=header.channels,
        source="array" if header.array_ndim else "image",
        payload=header.payload.name.lower(),
        jpeg=_jpeg(container) if header.payload is Payload.JPEG else None,
        history=_history(container) if (header.model, header.digest) == (HISTORY, HISTORY_DIGEST) else None,
        model=header.model or None,
        model_digest=header.digest.hex() or None,
        portable=header.payload not in (Payload.BATCH, Payload.CHAINED),
        calibrated=exceptions > 0,
        images=images,
        tiles=header.segments or tiles,
        tile_size=tile_size,
        stored_format=header.stored_format or None,
        lossy_source=header.lossy,
        source_format=header.stored_format or header.source_format or None,
        exact=_exact(header),
        size=container.size,
        bpsp=8 * container.size / samples if samples else 0.0,
        ratio=(samples * header.bits / 8 if samples else header.length or header.packing[1]) / container.size,
        metadata=metadata,
        preview=len(header.preview),
    )


def _chunks(header: Header) -> tuple[Chunk, ...]:
    """The metadata. That of a file is read from its remainder, which takes more than the standard library."""
    if not header.remainder:
        return header.chunks
    from ..images.source import Source, metadata

    try:
        return metadata(Source(header.source_format, header.remainder))
    except DensezipError:
        return ()  # pixels may come back all the same: `verify` says what is wrong


def _jpeg(container: Container) -> str:
    """What a JPEG file was, which its outline says."""
    from ..images.jpeg.describe import in_words
    from .recoding import outline_of

    return in_words([image.frame for image in outline_of(container).images])


def _history(container: Container) -> str:
    """What JPEG file a picture was."""
    from .history import described

    header = container.header
    if header.tiles != 1:
        raise CorruptPayloadError(f"a picture that was a JPEG file in {header.tiles} tiles")
    return described(container.tile(0), (header.height, header.width, header.channels))


def _exact(header: Header) -> str | None:
    if header.source_checksum or header.payload in (Payload.STORED, Payload.FILE, Payload.JPEG):
        return "file"
    return None if header.remainder is None else "picture"


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
