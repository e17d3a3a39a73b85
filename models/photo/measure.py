"""What every sample of a coded tile took, in bits: the model's own probabilities, made visible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy import rangecoder
from ..alphabets import listed_values
from .engine import SAMPLE_BYTES, Session, new_alphabet
from .tile import (
    CHUNK_PIXELS,
    CONSTANT,
    KIND_BITS,
    SPARSE,
    Progress,
    _groups,
    _Reader,
    _share,
    _turn,
    _turn_back,
    _weights,
    decode_tile,
)
from .weights import ModelId

__all__ = ["measure_tile"]


def measure_tile(
    model: ModelId, data: bytes, shape: tuple[int, int, int], depth: int, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Bits of each sample of a tile, [H, W, C]: -log2 of the probability by which it was coded.

    The tile is decoded, and coded once more as it was coded, which takes about the time of both.

    Args:
        model: that coded it.
        data: the tile.
        shape: [H, W, C] of it.
        depth: bits per sample, 8 or 16.
        progress: called with the number of pixels done since the last call.

    Raises:
        CorruptPayloadError: no encoder wrote this.
    """
    both = _share(progress, 2)
    pixels = decode_tile(model, data, shape, depth, both)
    bits = np.zeros(shape, np.float32)
    reader, groups = _Reader(data), _groups(shape[2])
    report = _share(both, len(groups))
    for number, (group, channels) in enumerate(groups):
        first = reader.take(1)[0]
        orientation, kind = first >> KIND_BITS, first & (1 << KIND_BITS) - 1
        if kind == CONSTANT:
            reader.take(len(channels) * (2 if depth > 8 else 1))
            if report is not None:
                report(shape[0] * shape[1])
            continue
        values = [np.arange(1 << depth)] * len(channels)
        if kind == SPARSE:
            values = listed_values(reader.take(reader.varint()), len(channels), depth)
        if number < len(groups) - 1:
            reader.take(reader.varint())
        symbols = np.ascontiguousarray(_turn(pixels[:, :, channels], orientation).astype(np.uint16))
        if kind == SPARSE:
            for place, listed in enumerate(values):
                symbols[:, :, place] = np.searchsorted(listed, symbols[:, :, place])
        weights = _weights(model.name, group)
        height, width, _ = symbols.shape
        session = Session(weights.spec, weights.shape, weights, new_alphabet(values), width, depth, height)
        bits[:, :, channels] = _turn_back(_bits(session, symbols, report), orientation)
    return bits


def _bits(session: Session, symbols: NDArray[np.uint16], progress: Progress | None) -> NDArray[Any]:
    """Of each symbol [H, W, C]. What is coded is thrown away, band by band."""
    height, width, channels = symbols.shape
    rows = max(1, CHUNK_PIXELS // width)
    room = np.zeros(rows * width * channels * SAMPLE_BYTES + rangecoder.FLUSH_BYTES, np.uint8)
    probability = np.zeros(rows * width * channels)
    bits = np.zeros(symbols.shape, np.float32)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        # Each band begins behind zeros, at which a carry from it ends: the bytes are not wanted, only what they cost.
        room[: rangecoder.FLUSH_BYTES] = 0
        session.coder[rangecoder.POSITION] = rangecoder.FLUSH_BYTES
        session.encode(symbols, top, bottom, room, probability)
        part = probability[: (bottom - top) * width * channels]
        bits[top:bottom] = -np.log2(part).reshape(bottom - top, width, channels)
        if progress is not None:
            progress((bottom - top) * width)
    return bits
