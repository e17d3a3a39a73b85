"""Images coded by your own codec, as a .dz file: one image or a batch of one size, in one message.

The file has what every .dz file has: the name and digest of the model, which the reader must bring, and a checksum of
the samples. Beside the message it holds the exceptions of calibrated coding, and the initial bits of bits-back coding
are in it, so that its size is the honest cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..entropy.calibrated import FLOAT64_BAND, Calibration
from ..entropy.codecs import Codec
from ..entropy.rans import Message
from ..errors import (
    ChecksumError,
    CorruptPayloadError,
    DistributionError,
    HeaderError,
    IntervalError,
    LimitError,
    MessageExhaustedError,
    SymbolError,
    TruncatedError,
    UnknownModelError,
    UnsupportedImageError,
    UsageError,
)
from ..fields import Reader, varint
from ..images.picture import checksum
from .container import DIGEST_BYTES, Header, Payload, parse, serialise

__all__ = ["BatchCost", "read_batch", "write_batch"]

Array = NDArray[np.uint8] | NDArray[np.uint16]

DEFAULT_MAX_PIXELS = 2**28
"""What `read_batch` takes unless told otherwise, all images together."""

_MODES = {(1, 1): "L", (2, 1): "LA", (3, 1): "RGB", (4, 1): "RGBA", (1, 2): "I;16", (2, 2): "LA;16"} | {
    (3, 2): "RGB;16",
    (4, 2): "RGBA;16",
}


@dataclass(frozen=True)
class BatchCost:
    """What a batch costs, in bits.

    Attributes:
        file: of the whole file.
        net: information that the codec added to the message: what many more images would cost.
        initial: lent for bits-back coding, in the file.
        side: exceptions of calibrated coding.
    """

    file: int
    net: float
    initial: float
    side: int


def write_batch(
    images: Array,
    codec: Callable[[Calibration], Codec[Tensor]],
    *,
    model: str,
    digest: bytes,
    lanes: int,
    band: float = FLOAT64_BAND,
) -> tuple[bytes, BatchCost]:
    """Code images of one size.

    Args:
        images: [B, H, W] or [B, H, W, C] with 1 to 4 channels, uint8 or uint16.
        codec: of all of them, [B, C, H, W] int64; made for the calibration that its parameters pass through.
        model: the name by which a reader finds the codec, ASCII.
        digest: of the model's weights; 4 bytes at least, of which the first 4 are kept.
        lanes: of the message; a codec with as many independent symbols a step keeps all of them at work.
        band: half the guard band of calibrated coding.

    Returns:
        The file, and what it costs.

    Raises:
        UnsupportedImageError: not such an array, or an empty one.
        UsageError: a name, digest or number of lanes that no file can have.
        CodingError: the codec cannot code them; see its subclasses.
    """
    images = cast(Array, np.asarray(images))
    images = cast(Array, images.astype(images.dtype.newbyteorder("=")))
    samples = images[..., None] if images.ndim == 3 else images
    mode = _MODES.get((samples.shape[-1], samples.dtype.itemsize)) if samples.ndim == 4 else None
    if mode is None or samples.dtype.kind != "u" or not samples.size:
        raise UnsupportedImageError(
            f"an array {samples.dtype} {list(images.shape)}; uint8 or uint16 [B, H, W] or [B, H, W, C] is needed"
        )
    if len(digest) < DIGEST_BYTES:
        raise UsageError(f"a digest of {len(digest)} bytes; {DIGEST_BYTES} are needed")
    if not (model and model.isascii() and model.isprintable()):
        raise UsageError(f"a model called {model!r}; a name of printable ASCII letters is needed")
    if lanes < 1:
        raise UsageError(f"a message of {lanes} lanes")
    calibration, message = Calibration(band), Message.lending(lanes)
    codec(calibration).push(message, torch.from_numpy(samples.astype(np.int64)).permute(0, 3, 1, 2).contiguous())
    side = calibration.to_bytes() if calibration.parameters else b""
    tile = varint(len(samples)) + varint(len(side)) + side + message.to_bytes()
    tall = samples.reshape(-1, *samples.shape[2:])
    header = Header(
        payload=Payload.BATCH,
        mode=mode,
        width=tall.shape[1],
        height=tall.shape[0],
        checksum=checksum(cast(Any, tall)),
        tile_width=tall.shape[1],
        tile_height=tall.shape[0],
        bits=8 * samples.dtype.itemsize,
        array_ndim=2 if images.ndim == 3 else 3,
        model=model,
        digest=digest[:DIGEST_BYTES],
    )
    data = serialise(header, [tile])
    return data, BatchCost(8 * len(data), message.bits - message.lent, message.lent, 8 * len(side))


def read_batch(
    data: bytes,
    codec: Callable[[Calibration, tuple[int, int, int, int]], Codec[Tensor]],
    *,
    model: str,
    digest: bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Array:
    """Decode what `write_batch` wrote.

    Args:
        data: the file.
        codec: (calibration, (B, C, H, W)) -> the codec that wrote it.
        model: name of the model that the codec is of.
        digest: of its weights.
        max_pixels: refuse a file of more, before anything of that size is allocated.

    Returns:
        The images, of the shape and dtype that were written.

    Raises:
        UnknownModelError: the file was written by another model.
        CalibrationError: this machine's arithmetic is outside the guard band.
        FormatError: the file is damaged (see its subclasses).
        LimitError: it has more than `max_pixels` pixels.
    """
    container = parse(data)
    header = container.header
    if header.payload is not Payload.BATCH:
        raise HeaderError(f"a payload of kind {header.payload.name}, not a batch")
    if header.mode not in _MODES.values():
        raise HeaderError(f"a batch in mode {header.mode}")
    if header.width * header.height > max_pixels:
        raise LimitError(f"{header.width}x{header.height} pixels in all: the limit is {max_pixels}")
    if (header.model, header.digest) != (model, digest[:DIGEST_BYTES]):
        own = f"{model} ({digest[:DIGEST_BYTES].hex()})"
        raise UnknownModelError(f"coded by model {header.model} ({header.digest.hex()}); this is {own}")
    reader = Reader(container.tile(0), 0, TruncatedError)
    count = reader.varint("number of images")
    if not count or header.height % count:
        raise CorruptPayloadError(f"{count} images in {header.height} rows")
    side = bytes(reader.take(reader.varint("length of the exceptions"), "exceptions"))
    message = Message.from_bytes(bytes(reader.take(reader.left, "message")))
    calibration = Calibration.from_bytes(side or Calibration().to_bytes())
    shape = (count, header.channels, header.height // count, header.width)
    try:
        symbols = codec(calibration, shape).pop(message)
    except (DistributionError, IntervalError, MessageExhaustedError, SymbolError) as error:
        raise CorruptPayloadError(f"the message cannot be what the codec wrote: {error}") from error
    if tuple(symbols.shape) != shape:
        raise CorruptPayloadError(f"the codec gives {list(symbols.shape)}, where the file has {list(shape)}")
    calibration.finish()
    if not message.is_lent_only:
        raise CorruptPayloadError(f"{message.bits:.0f} bits are left in the message that no encoder began with")
    dtype = np.uint16 if header.sample_bytes == 2 else np.uint8
    if int(symbols.min()) < 0 or int(symbols.max()) > np.iinfo(dtype).max:
        raise CorruptPayloadError(f"samples from {int(symbols.min())} to {int(symbols.max())} as {np.dtype(dtype)}")
    samples = np.ascontiguousarray(symbols.permute(0, 2, 3, 1).cpu().numpy().astype(dtype))
    tall = samples.reshape(-1, *samples.shape[2:])
    if checksum(cast(Any, tall)) != header.checksum:
        raise ChecksumError("the images are wrong: their checksum is not the file's")
    return cast(Array, samples[..., 0] if header.array_ndim == 2 else samples)
