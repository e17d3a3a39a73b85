"""The compiled loop over pixels: experts, network, coder and learning, the same code for encoding and decoding.

A `Session` holds everything that one group of channels of one tile needs; `advance` takes it a few rows further, so
that Python can report progress and be interrupted between calls. Everything inside releases the interpreter's lock.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy import rangecoder
from ...codec.entropy.compiled import cached, compiled
from ...codec.entropy.rangecoder import consume, encode, slot
from .context import Context, adapt_experts, begin_row, condition, end_row, look, new_context, reveal
from .mixture import Alphabet, Mixture, cumulative, density, expectation, gradient, nearest, new_mixture, prepare
from .network import BATCH, Network, backward, head, new_network, step, trunk
from .shape import PRECISION
from .weights import PhotoWeights

__all__ = ["DECODE", "ENCODE", "Session", "advance", "new_session", "source_digest"]

ENCODE, DECODE = 0, 1

_PIXELS, _BITS, _SOURCE = 0, 1, 2
"""Places in `Session.tally`: pixels coded, -log2 p of the model's own probabilities, and which source was compiled."""


_NEWTON_STEPS = 6
"""Steps of the decoder's search before it turns to halving; two or three are the rule."""


class Session(NamedTuple):
    """State of coding one group of channels."""

    context: Context
    network: Network
    mixture: Mixture
    alphabet: Alphabet
    coder: NDArray[np.uint64]
    schedule: NDArray[np.float64]  # [3] see `ModelSpec`
    middle: float  # of the sample range
    tally: NDArray[np.float64]
    interval: NDArray[np.int64]  # [2] scratch of the search
    trunk_input: NDArray[np.float64]
    extra_input: NDArray[np.float64]


def new_session(weights: PhotoWeights, alphabet: Alphabet, width: int, depth: int) -> Session:
    """A session for a tile `width` pixels wide."""
    spec, shape = weights.spec, weights.shape
    return Session(
        new_context(spec.experts, shape.channels, spec.reach, width),
        new_network(shape, weights.parameters, weights.square),
        new_mixture(shape.components),
        alphabet,
        rangecoder.new_state(),
        np.array(spec.schedule),
        float(1 << (depth - 1)),
        np.zeros(3),
        np.zeros(2, np.int64),
        np.zeros(shape.inputs),
        np.zeros(max(1, *shape.extras)),
    )


@compiled
def _find(mixture, alphabet, c, target, interval):
    """The symbol whose interval holds `target`; its interval goes to `interval`.

    Where the search looks has no influence on what it finds. It begins at the mixture's mean and follows Newton's rule
    inside the bracket found so far; if that does not end soon, it halves the bracket.
    """
    low, high = 0, alphabet.size[c] - 1  # the symbol is one of these or between them
    at = nearest(alphabet, c, expectation(mixture))
    tries = 1
    while low < high:
        start, stop = cumulative(mixture, alphabet, c, at), cumulative(mixture, alphabet, c, at + 1)
        if target < start:
            edge, found = at, start
            high = at - 1
        elif target >= stop:
            edge, found = at + 1, stop
            low = at + 1
        else:
            low = high = at
            break
        if tries < _NEWTON_STEPS:
            tries += 1
            at = nearest(alphabet, c, alphabet.edges[c, edge] + float(target - found) / density(mixture, edge))
            at = min(max(at, low), high)
        else:
            at = (low + high) >> 1
    interval[0] = cumulative(mixture, alphabet, c, low)
    interval[1] = cumulative(mixture, alphabet, c, low + 1)
    return low


def source_digest() -> int:
    """A number that changes with any source file of the engine, for the key of the compiled code's cache."""
    digest = hashlib.sha256()
    for file in ("emit", "kernels", "logistic", "experts", "context", "network", "mixture", "shape", "engine"):
        digest.update(Path(__file__).with_name(f"{file}.py").read_bytes())
    for file in ("rangecoder", "compiled"):
        digest.update(Path(rangecoder.__file__).with_name(f"{file}.py").read_bytes())
    return int.from_bytes(digest.digest()[:4])


def _build(source: int) -> Any:
    """Declare the compiled loop. numba's cache looks at this file and at values in closures only, hence `source`."""

    def advance(session, mode, symbols, first_row, last_row, data, measure):
        """See `advance`."""
        session.tally[_SOURCE] = source
        context, network, mixture = session.context, session.network, session.mixture
        width, channels = symbols.shape[1], symbols.shape[2]
        inputs, extras = session.trunk_input, session.extra_input
        alphabet, interval = session.alphabet, session.interval
        done = session.tally[_PIXELS]
        for y in range(first_row, last_row):
            begin_row(context, y, session.middle)
            for x in range(width):
                b = int(done) % BATCH
                look(context, y, x, inputs)
                for i in range(inputs.size):
                    network.inputs[b, i] = inputs[i]
                trunk(network, b)
                for c in range(channels):
                    for i in range(condition(context, y, x, c, extras)):
                        network.joined[c, b, network.width + i] = extras[i]
                    head(network, c, b)
                    out = network.out[c, b]
                    activity = context.activity[c]
                    prepare(mixture, out, context.centre[c], activity)
                    if mode == ENCODE:
                        symbol = int(symbols[y, x, c])
                        interval[0] = cumulative(mixture, alphabet, c, symbol)
                        interval[1] = cumulative(mixture, alphabet, c, symbol + 1)
                        encode(session.coder, data, interval[0], interval[1] - interval[0], PRECISION)
                    else:
                        symbol = _find(mixture, alphabet, c, slot(session.coder, PRECISION), interval)
                        consume(session.coder, data, interval[0], interval[1] - interval[0], PRECISION)
                        symbols[y, x, c] = symbol
                    p = gradient(mixture, alphabet, c, symbol, out, activity, network.out_gradient[c, b])
                    if measure:
                        session.tally[_BITS] -= np.log2(p)
                    reveal(context, y, x, c, float(alphabet.values[c, symbol]))
                adapt_experts(context, y, x, width)
                done += 1.0
                if b == BATCH - 1:
                    start, end, half = session.schedule
                    backward(network, BATCH)
                    step(network, end + (start - end) * half / (half + done), 1.0 / BATCH)
            end_row(context, y, width)
        session.tally[_PIXELS] = done

    return cached(advance)


advance: Any = _build(source_digest())
"""`advance(session, mode, symbols, first_row, last_row, data, measure)`: code some rows of a tile.

Codes the rows [first_row, last_row) of `symbols` [H, W, C] uint16: reads them when encoding, fills them in when
decoding. `data` is the buffer of coded bytes, in which there must be room for `rangecoder.FLUSH_BYTES` a sample when
encoding. With `measure`, the model's own code length is added up in `session.tally`; no coded byte depends on it.
"""
