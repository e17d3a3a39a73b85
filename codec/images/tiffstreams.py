"""Strips and tiles as streams in the file, made again byte for byte from the samples.

Uncompressed ones always can be. PackBits and LZW streams can if libtiff wrote them, or an encoder that decides alike:
its rules are followed in tiffcodecs.c, which hangs on no library's version.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .. import native
from ..errors import CorruptPayloadError
from .picture import Array
from .predicted import OddNumberError, Player, Recorder
from .tifflayout import LZW, NONE, PACKBITS, Layout
from .tiffsamples import BEFORE, EDGE, REVERSED, ZEROS, Block, blocks, decode, pack, raw_bytes, unpack

__all__ = ["Streams", "play", "record", "skip"]

LITERAL = 3
# The code at which the table is cleared, whether by the ratio as well, whether the end has room for one more string:
# libtiff; encoders without its look at the ratio.
LZW_HABITS = ((4094, 1, 1), (4094, 0, 1), (4094, 0, 0), (4095, 0, 1), (4095, 0, 0), (4096, 0, 1), (4096, 0, 0))
PACKBITS_HABITS = (0, 1)  # row by row; all of a segment at once


@dataclass(frozen=True)
class Streams:
    """The segments of a file: their bytes, or only their lengths if those are all that is known."""

    lengths: list[int]
    bodies: list[bytes] | None


@cache
def _encoders() -> tuple[Callable[..., int], Callable[..., int]]:
    """The functions of tiffcodecs.c."""
    byte, length, number = ctypes.c_char_p, ctypes.c_int64, ctypes.c_int32
    return (
        native.function("dz_lzw_encode", length, byte, length, ctypes.c_void_p, length, number, number, number),
        native.function("dz_packbits_encode", length, byte, length, length, ctypes.c_void_p, length),
    )


def _lzw(raw: bytes, _: Layout, habit: int) -> bytes:
    # At most a code of 12 bits for a byte, one to clear the table for every 254, and those of the start and the end.
    room = 2 * len(raw) + 16
    out = np.empty(room, np.uint8)
    return out[: _encoders()[0](raw, len(raw), out.ctypes.data, room, *LZW_HABITS[habit])].tobytes()


def _packbits(raw: bytes, layout: Layout, habit: int) -> bytes:
    width = layout.row_bytes if habit == 0 else len(raw)
    rows = len(raw) // width
    room = 2 * len(raw) + 2 * rows + 2
    out = np.empty(room, np.uint8)
    return out[: _encoders()[1](raw, rows, width, out.ctypes.data, room)].tobytes()


ENCODERS: dict[int, tuple[int, Callable[[bytes, Layout, int], bytes]]] = {
    LZW: (len(LZW_HABITS), _lzw),
    PACKBITS: (len(PACKBITS_HABITS), _packbits),
}


def record(recorder: Recorder, layout: Layout, samples: Array, streams: list[bytes]) -> Streams:
    """Write down what a file's streams have beyond their samples.

    Raises:
        OddNumberError: they cannot be made again.
    """
    raws = [decode(stream, layout, index) for index, stream in enumerate(streams)]
    form = LITERAL
    for candidate in (ZEROS, EDGE, BEFORE):
        cut = blocks(samples, layout, candidate)
        if all(pack(block, layout) == raw for block, raw in zip(cut, raws, strict=True)):
            form = candidate
            break
    recorder.number(ZEROS, lambda: form)
    if form == LITERAL:
        for index, raw in enumerate(raws):
            for edge in _edges(unpack(raw, layout, index), layout, index):
                recorder.data(edge.nbytes, None, lambda edge=edge: edge.astype(_wire(edge)).tobytes())  # type: ignore[misc]
    if layout.compression == NONE:
        return Streams([len(stream) for stream in streams], streams)
    if layout.compression not in ENCODERS:
        raise OddNumberError(f"compression {layout.compression} is not made again")
    habits, encode = ENCODERS[layout.compression]
    last = 0
    for index, (raw, stream) in enumerate(zip(raws, streams, strict=True)):
        wanted = stream.translate(REVERSED) if layout.reversed_bits else stream
        order = [last, *(habit for habit in range(habits) if habit != last)]
        found = next((habit for habit in order if encode(raw, layout, habit) == wanted), None)
        if found is None:
            raise OddNumberError(f"strip or tile {index} was compressed by an encoder that is not known")
        last = recorder.number(last, lambda found=found: found)  # type: ignore[misc]
    return Streams([len(stream) for stream in streams], streams)


def play(player: Player, layout: Layout, samples: Array) -> Streams:
    """The streams of `record` again.

    Raises:
        CorruptPayloadError: what was written makes no sense.
    """
    form = player.number(ZEROS)
    if form > LITERAL:
        raise CorruptPayloadError(f"a remainder with padding of kind {form}")
    cut = blocks(samples, layout, ZEROS if form == LITERAL else form)
    if form == LITERAL:
        for index in range(len(cut)):
            cut[index] = cut[index].copy()
            for edge in _edges(cut[index], layout, index):
                edge[...] = _as_samples(player.data(edge.nbytes, None), edge, layout)
    bodies = [pack(block, layout) for block in cut]
    if layout.compression != NONE:
        if layout.compression not in ENCODERS:
            raise CorruptPayloadError(f"a remainder with compression {layout.compression}")
        habits, encode = ENCODERS[layout.compression]
        last = 0
        for index, body in enumerate(bodies):
            last = player.number(last)
            if last >= habits:
                raise CorruptPayloadError(f"a remainder with encoder {last} of {habits}")
            bodies[index] = encode(body, layout, last)
    if layout.reversed_bits:
        bodies = [body.translate(REVERSED) for body in bodies]
    return Streams([len(body) for body in bodies], bodies)


def skip(player: Player, layout: Layout) -> Streams:
    """Pass over what `record` wrote, without the samples; lengths of compressed streams are 0.

    Raises:
        CorruptPayloadError: what was written makes no sense.
    """
    if player.number(ZEROS) == LITERAL:
        size = 2 if layout.bits == 16 else 1
        for index in range(layout.segments):
            _, _, _, rows, columns, whole = layout.box(index)
            player.data((whole * layout.padded - rows * columns) * layout.together * size, None)
    if layout.compression == NONE:
        return Streams([raw_bytes(layout, index) for index in range(layout.segments)], None)
    for _ in range(layout.segments):
        player.number(0)
    return Streams([0] * layout.segments, None)


def _edges(block: Block, layout: Layout, index: int) -> list[Block]:
    """The parts of a segment that are not of the picture: right of it and below it."""
    _, _, _, rows, columns, _ = layout.box(index)
    return [edge for edge in (block[:rows, columns:], block[rows:]) if edge.size]


def _wire(block: Block) -> str:
    return "<u2" if block.dtype.itemsize == 2 else "u1"


def _as_samples(data: bytes, edge: Block, layout: Layout) -> Block:
    values: Block = np.frombuffer(data, _wire(edge)).reshape(edge.shape)
    if layout.bits < 8 and int(values.max()) >= 2**layout.bits:
        raise CorruptPayloadError(f"a remainder with a sample of {int(values.max())} in {layout.bits} bits")
    return values
