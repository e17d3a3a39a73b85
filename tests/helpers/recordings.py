"""The engine's memory before a tile is coded, for `tests/models/photo/replay.c`, which needs no Python."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from densezip.codec.entropy import rangecoder
from densezip.models.photo.engine import _ARRAYS, SAMPLE_BYTES, Session, _Engine, new_alphabet
from densezip.models.photo.weights import load_weights, model_for_effort
from numpy.typing import NDArray

__all__ = ["coded_tile", "recorded", "room", "session"]

Symbols = NDArray[np.uint16]


def session(effort: int, symbols: Symbols, depth: int) -> Session:
    """A fresh session for a tile [H, W, C]."""
    height, width, channels = symbols.shape
    weights = load_weights(model_for_effort(effort).name, {1: "grey", 3: "colour"}[channels])
    alphabet = new_alphabet([np.arange(1 << depth)] * channels)
    return Session(weights.spec, weights.shape, weights, alphabet, width, depth, height)


def room(symbols: Symbols) -> int:
    """Bytes that suffice for a tile."""
    return symbols.size * SAMPLE_BYTES + rangecoder.FLUSH_BYTES


def coded_tile(state: Session, symbols: Symbols) -> tuple[bytes, bytes]:
    """What the encoder leaves, the coder's state and the whole buffer, and the finished bytes of a tile."""
    data = np.zeros(room(symbols), np.uint8)
    state.encode(symbols, 0, symbols.shape[0], data)
    left = state.coder.tobytes() + data.tobytes()
    return left, data[: rangecoder.finish(state.coder, data)].tobytes()


def recorded(state: Session, symbols: Symbols, data: bytes | int) -> bytes:
    """What `replay.c` reads: for the decoder with the coded bytes, for the encoder with the room for them."""
    if isinstance(data, bytes):
        rangecoder.start_decoding(state.coder, np.frombuffer(data, np.uint8))
    engine = bytes(state._engine)
    parts: list[Any] = [struct.pack("<q", len(engine)), engine, struct.pack("<q", len(_ARRAYS))]
    for name in _ARRAYS:
        raw = state.arrays[name].tobytes()
        parts += [struct.pack("<qq", getattr(_Engine, name).offset, len(raw)), raw]
    parts += [struct.pack("<qq", symbols.shape[0], symbols[0].size), symbols.tobytes()]
    parts += [struct.pack("<q", data)] if isinstance(data, int) else [struct.pack("<q", len(data)), data]
    return b"".join(parts)
