"""Strips and tiles as streams in the file, made again byte for byte from the samples.

Uncompressed ones always can be; PackBits, LZW and fax streams can if their encoder decided as those in tiffencoders do.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import CorruptPayloadError
from .picture import Array
from .predicted import OddNumberError, Player, Recorder
from .tiffencoders import ENCODERS, encode, habit_of
from .tifflayout import NONE, Layout
from .tiffsamples import BEFORE, EDGE, REVERSED, ZEROS, Block, blocks, decode, pack, raw_bytes, unpack

__all__ = ["Streams", "play", "record", "skip"]

LITERAL = 3


@dataclass(frozen=True)
class Streams:
    """The segments of a file: their bytes, or only their lengths if those are all that is known."""

    lengths: list[int]
    bodies: list[bytes] | None


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
    last = 0
    for index, (raw, stream) in enumerate(zip(raws, streams, strict=True)):
        wanted = stream.translate(REVERSED) if layout.reversed_bits else stream
        found = habit_of(raw, wanted, layout, last)
        if found is None:
            raise OddNumberError(f"strip or tile {index} was compressed by an encoder that is not known")
        habit, length = found
        last = recorder.number(last, lambda habit=habit: habit)  # type: ignore[misc]
        _record_rest(recorder, wanted[length:])
    return Streams([len(stream) for stream in streams], streams)


def _record_rest(recorder: Recorder, rest: bytes) -> None:
    """Bytes behind a stream that count as its own."""
    recorder.number(0, lambda: len(rest))
    recorder.data(len(rest), None, lambda: rest)


def _play_rest(player: Player) -> bytes:
    return player.data(player.number(0), None)


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
        last = 0
        for index, body in enumerate(bodies):
            last = player.number(last)
            if last >= ENCODERS[layout.compression][0]:
                raise CorruptPayloadError(f"a remainder with encoder {last} of compression {layout.compression}")
            bodies[index] = encode(body, layout, last) + _play_rest(player)
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
        _play_rest(player)
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
