"""Strips and tiles as streams in the file, made again byte for byte from the samples.

Uncompressed ones always can be; PackBits, LZW and fax streams can if their encoder decided as those in tiffencoders do,
deflated ones if `deflate` follows theirs.
"""

from dataclasses import dataclass

import numpy as np

from ...errors import CorruptPayloadError, HeaderError
from ..deflate import deflate
from ..picture import Array
from .encoders import ENCODERS, encode, habit_of
from .layout import NONE, OLD_ZIP, ZIP, Layout
from .predicted import OddNumberError, Player, Recorder
from .samples import BEFORE, EDGE, REVERSED, ZEROS, Block, blocks, decode, pack, raw_bytes, unpack

__all__ = ["Streams", "play", "record", "remade", "skip"]

LITERAL = 3
ZIPS = (ZIP, OLD_ZIP)
# How streams are deflated that could not be made again, and the beginning of the recipe of such.
METHOD = deflate.Method(1, 6, 0, 15, 8)
START = deflate.recipe_of(METHOD)
# So many streams of a file are analysed; the others have the same settings, or are replaced. An analysis takes a while.
MAX_ANALYSED = 100
# Data beyond a segment's samples that is kept: some writers fill up the last strip.
MAX_EXCESS = 2**20


@dataclass(frozen=True)
class Streams:
    """The segments of a file: their bytes, or only their lengths if those are all that is known, or not even these."""

    lengths: list[int]
    bodies: list[bytes] | None
    measured: bool = True


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
    found = Streams([len(stream) for stream in streams], streams)
    if layout.reversed_bits:
        streams = [stream.translate(REVERSED) for stream in streams]
    if layout.compression in ZIPS:
        _record_deflated(recorder, layout, raws, streams)
    elif layout.compression in ENCODERS:
        _record_encoded(recorder, layout, raws, streams)
    else:
        raise OddNumberError(f"compression {layout.compression} is not made again")
    return found


def _record_encoded(recorder: Recorder, layout: Layout, raws: list[bytes], streams: list[bytes]) -> None:
    """For each stream, the habit of its encoder, and what is behind its end."""
    last = 0
    for index, (raw, stream) in enumerate(zip(raws, streams, strict=True)):
        found = habit_of(raw, stream, layout, last)
        if found is None:
            raise OddNumberError(f"strip or tile {index} was compressed by an encoder that is not known")
        habit, length = found
        last = recorder.number(last, lambda habit=habit: habit)  # type: ignore[misc]
        _record_rest(recorder, stream[length:])


def _record_deflated(recorder: Recorder, layout: Layout, raws: list[bytes], streams: list[bytes]) -> None:
    """For each stream, its recipe, the bytes that it holds beyond the samples, and what is behind its end."""
    last, analysed = START, 0
    for index, (raw, stream) in enumerate(zip(raws, streams, strict=True)):
        found = (True, last, b"", b"") if deflate.replay(raw, last) == stream else None
        if found is None and analysed < MAX_ANALYSED:
            found = _recipe(raw, stream, layout.row_bytes)
            analysed += 1
        if found is None:
            raise OddNumberError(f"strip or tile {index} was deflated by an encoder that is not known")
        plain, recipe, excess, rest = found
        recorder.number(1, lambda plain=plain: int(plain))  # type: ignore[misc]
        recorder.number(len(last), lambda recipe=recipe: len(recipe))  # type: ignore[misc]
        recorder.data(len(recipe), last, lambda recipe=recipe: recipe)  # type: ignore[misc]
        last = recipe if plain else last
        _record_rest(recorder, excess)
        _record_rest(recorder, rest)


def _recipe(raw: bytes, stream: bytes, feed: int) -> tuple[bool, bytes, bytes, bytes] | None:
    """How a stream was deflated.

    Returns:
        whether the recipe holds nothing but settings, so that it is the same for most streams; the recipe; the data
        behind the samples; the bytes behind the stream.
    """
    most = len(raw) + MAX_EXCESS
    length = deflate.size_of(stream, most) or 0
    found = deflate.analyse(stream[:length], feed=feed, most=most)
    if found is None or not found[0].startswith(raw):
        return None
    whole, recipe = found
    return recipe[0] < deflate.NOTES, recipe, whole[len(raw) :], stream[length:]


def _play_deflated(player: Player, bodies: list[bytes]) -> list[bytes]:
    out, last = [], START
    for raw in bodies:
        plain, recipe = player.number(1), player.data(player.number(len(last)), last)
        whole = raw + _play_rest(player)
        try:
            stream = deflate.replay(whole, recipe)
        except HeaderError as error:
            raise CorruptPayloadError(f"a remainder with a damaged recipe: {error}") from None
        last = recipe if plain else last
        out.append(stream + _play_rest(player))
    return out


def _record_rest(recorder: Recorder, rest: bytes) -> None:
    """Bytes behind a stream that count as its own."""
    recorder.number(0, lambda: len(rest))
    recorder.data(len(rest), None, lambda: rest)


def _play_rest(player: Player) -> bytes:
    return player.data(player.number(0), None)


def remade(layout: Layout, raws: list[bytes]) -> list[bytes] | None:
    """Streams that `record` can write down, of the same data; None if there are none of this compression."""
    if layout.compression in ZIPS:
        streams = [deflate.deflate(raw, METHOD) for raw in raws]
    elif layout.compression in ENCODERS:
        streams = [encode(raw, layout, 0) for raw in raws]
    else:
        return None
    return [stream.translate(REVERSED) for stream in streams] if layout.reversed_bits else streams


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
    if layout.compression in ZIPS:
        bodies = _play_deflated(player, bodies)
    elif layout.compression in ENCODERS:
        last = 0
        for index, body in enumerate(bodies):
            last = player.number(last)
            if last >= ENCODERS[layout.compression][0]:
                raise CorruptPayloadError(f"a remainder with encoder {last} of compression {layout.compression}")
            bodies[index] = encode(body, layout, last) + _play_rest(player)
    elif layout.compression != NONE:
        raise CorruptPayloadError(f"a remainder with compression {layout.compression}")
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
    last = START
    for _ in range(layout.segments):
        if layout.compression in ZIPS:
            plain, recipe = player.number(1), player.data(player.number(len(last)), last)
            last = recipe if plain else last
            _play_rest(player)
        else:
            player.number(0)
        _play_rest(player)
    return Streams([0] * layout.segments, None, measured=False)


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
