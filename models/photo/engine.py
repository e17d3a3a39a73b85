"""The compiled loop over pixels, seen from Python: memory, sizes and calls. The work is in this folder's C files.

A `Session` holds everything that one group of channels of one tile needs; `encode` and `decode` take it a few rows
further, so that Python can report progress and be interrupted between calls. Calls release the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy import rangecoder
from ...codec.native import ieee_arithmetic, kernel
from .adaptive import LINE, MOST_HISTORIES, counter_lines, node_arrays, ranks, stage_arrays
from .shape import ROW_MULTIPLE, ExpertSpec, ModelSpec, NetShape, padded
from .weights import PhotoWeights

__all__ = ["BATCH", "SAMPLE_BYTES", "Alphabet", "Session", "neighbours", "new_alphabet"]

BATCH = 128
"""Pixels between two steps of the learning while coding."""

SAMPLE_BYTES = 27
"""Most bytes that a sample takes: eight bits of probability 2^-16, and what the coder holds back."""

PAD = 10
"""Columns kept to the left and right of every row; no neighbour and no fed sample reaches farther."""

# As in engine.h, where these are explained.
_BATCH_ROWS = 144
_ROWS = 8
_MOST = 8
_MOST_FED = 3
_PHASES = 4
_MOST_STATES = 12
_LONGEST = 256
_WEIGHT_PLACES, _SUM_PLACES = 12, 22

PRIOR_VARIANCE = float.fromhex("0x1.47ae14p-7")
"""Variance of a regression weight before anything was seen: 0.01 as a float, which no rounding mode alters."""

_COUPLING_PRIOR = 0.9
"""Correlation of the channels' errors before anything was seen."""

_NUMBERS = (
    "width", "span", "channels", "experts", "reach", "components", "layers", "units",
    "hidden", "inputs", "input_rows", "joined", "outputs", "places", "seen", "fed_places",
    "largest", "symbols", "histories", "lines", "pixels",
)  # fmt: skip
_RATES = ("middle", "rate_start", "rate_end", "rate_half")
_ARRAYS = (
    "neighbour", "count", "used", "start", "fed", "states", "parting", "parted", "memory", "covariance",
    "scale", "gain", "diagonal", "weight", "coupling", "regressor", "fed_regressor", "values", "variance", "past",
    "raw", "error", "level", "ratio", "trust", "centre", "activity", "look", "place", "parameters",
    "mean", "square", "rounded", "transposed", "input", "branch", "stream", "join",
    "middle_units", "partial", "out", "out_gradient", "middle_gradient", "stream_gradient", "slope", "paired_units",
    "paired_slopes", "zero", "size", "value",
    "edge", "symbol", "lower", "upper", "probability", "rank", "node_edge", "node_floor",
    "logit", "part", "unsure", "spread", "counter", "cell", "key", "by_node", "by_spread",
    "by_events", "stretch", "squash", "coder",
)  # fmt: skip


class _Engine(ctypes.Structure):
    """`Engine` of engine.h, member for member."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_double) for name in _RATES),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    ]


class Alphabet(NamedTuple):
    """The values that each of C channels can take, and the edges of their bins; L values in the largest alphabet."""

    size: NDArray[np.int64]  # [C]
    values: NDArray[np.int64]  # [C, L], ascending
    edges: NDArray[np.float64]  # [C, L + 1]; the outermost two are not used: the end bins take the tails


def new_alphabet(values: list[NDArray[np.int64]]) -> Alphabet:
    """The alphabet of each channel from its ascending values: the bins of neighbours meet half way."""
    size = np.array([v.size for v in values], np.int64)
    table = np.zeros((len(values), int(size.max())), np.int64)
    edges = np.zeros((len(values), int(size.max()) + 1))
    for c, v in enumerate(values):
        table[c, : v.size] = v
        edges[c, 1 : v.size] = (v[1:] + v[:-1]) * 0.5
    return Alphabet(size, table, edges)


def neighbours(count: int) -> NDArray[np.int64]:
    """The `count` nearest causal neighbours as (dy, dx), nearest first, without the west pixel, their reference."""
    places = [(dy, dx) for dy in range(-6, 1) for dx in range(-6, 7) if dy < 0 or dx < 0]
    places.sort(key=lambda p: (p[0] ** 2 + p[1] ** 2, p[1] > 0, -p[0], p[1]))
    return np.array(places[1 : count + 1], np.int64)


def _expert_arrays(specs: tuple[ExpertSpec, ...], channels: int, reach: int) -> dict[str, NDArray[Any]]:
    """Fresh experts for an image of `channels`, with room for the `reach` neighbours that the network sees."""
    used = np.array([s.neighbours * channels for s in specs], np.int64)
    count = np.array([padded(int(n)) for n in used], np.int64)
    number = np.array([s.states for s in specs], np.int64)
    size = number * count**2
    start = np.cumsum(size) - size
    # What stands behind the regressors has no influence, but is written and read: a whole pixel, and the padding.
    largest = padded(max(reach * channels, int(used.max())) + 4)
    states = (len(specs), _MOST_STATES)
    covariance, diagonal = np.zeros(int(size.sum()), np.float32), np.zeros((*states, largest), np.float32)
    for k, n in enumerate(count):
        # The rows of the padding are zero and stay so.
        matrices = covariance[start[k] : start[k] + size[k]].reshape(-1, n, n)
        regressor = np.arange(used[k])
        matrices[:, regressor, regressor] = PRIOR_VARIANCE
        diagonal[k, :, : used[k]] = PRIOR_VARIANCE
    coupling = np.full((1 + _PHASES, channels, channels, _MOST), _COUPLING_PRIOR)
    coupling[:, np.arange(channels), np.arange(channels)] = 1.0
    return {
        "neighbour": neighbours(max(reach, *(s.neighbours for s in specs))),
        "count": count,
        "used": used,
        "start": start,
        "fed": np.array([s.fed for s in specs], np.int64),
        "states": number,
        "parting": np.array([s.parting for s in specs], np.int64),
        "parted": np.zeros(len(specs), np.int64),
        "memory": np.array([s.memory for s in specs]),
        "covariance": covariance,
        "scale": np.ones(states, np.float32),
        "gain": np.zeros((*states, largest), np.float32),
        "diagonal": diagonal,
        "weight": np.zeros((*states, channels, largest), np.float32),
        "coupling": coupling,
        "regressor": np.zeros(largest, np.float32),
        "fed_regressor": np.zeros((_MOST_FED, largest), np.float32),
    }


def _context_arrays(spec: ModelSpec, shape: NetShape, width: int) -> dict[str, NDArray[Any]]:
    """Empty ring buffers for a tile `width` pixels wide, and what is known of the pixels of a batch."""
    span, k, c = width + 2 * PAD, len(spec.experts), shape.channels
    return {
        "values": np.zeros((_ROWS, span, 4)),
        "variance": np.ones((_ROWS, span)),
        "past": np.zeros((_ROWS, span, 2 + k, 4)),
        "raw": np.zeros((4, _MOST)),
        "error": np.ones((4, _MOST)),  # the experts that there are not keep it: no denormal numbers arise
        "level": np.ones((_PHASES, 4)),
        "ratio": np.ones(4),
        "trust": np.zeros((_MOST, 4)),
        "centre": np.zeros((c, k + 1, _BATCH_ROWS)),
        "activity": np.ones((c, _BATCH_ROWS)),
        "look": np.zeros((4, padded(shape.inputs, 16)), np.float32),
    }


def _network_arrays(shape: NetShape, parameters: NDArray[Any], square: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """A network that starts from copies of the flat `parameters` and, for Adam, of the flat second moments `square`."""
    place, at, pair = [], 0, 0
    for inputs, columns in shape.matrices().values():
        rows = padded(inputs, ROW_MULTIPLE)
        place.append((at, rows, columns, at + rows * columns, pair))
        at += rows * columns + columns
        pair += rows // 2 * columns + columns
    if parameters.shape != (at,) or square.shape != (at,):
        raise ValueError(f"{parameters.size} weights and {square.size} moments for a network of {at}")

    def batch(*size: int, before: tuple[int, ...] = (), dtype: Any = np.int16) -> NDArray[Any]:
        return np.zeros((*before, _BATCH_ROWS, *size), dtype)

    c, out = (shape.channels,), padded(3 * shape.components)
    most = [max(column) for column in zip(*place, strict=True)]
    return {
        "place": np.array(place, np.int64),
        "parameters": parameters,
        "mean": np.zeros(at, np.float32),
        "square": square,
        "rounded": np.concatenate([_rounded(parameters, *each[:4]) for each in place]),
        "transposed": np.zeros(max(rows // 2 * columns for _, rows, columns, *_ in place), np.int32),
        "input": batch(padded(shape.inputs, ROW_MULTIPLE)),
        "branch": batch(shape.width, before=(shape.layers,)),
        "stream": batch(shape.width, before=(shape.layers,)),
        "join": batch(padded(shape.width + max(shape.extras), ROW_MULTIPLE), before=c),
        "middle_units": batch(shape.hidden, before=c),
        "partial": np.zeros((*c, shape.hidden), np.int32),
        "out": batch(out, before=c, dtype=np.float32),
        "out_gradient": batch(out, before=c, dtype=np.float32),
        "middle_gradient": batch(shape.hidden, dtype=np.int32),
        "stream_gradient": batch(shape.width, dtype=np.int32),
        "slope": batch(most[2]),
        "paired_units": np.zeros((BATCH // 2, most[1]), np.int32),
        "paired_slopes": np.zeros((BATCH // 2, most[2]), np.int32),
        "zero": np.zeros(most[2], np.int32),
    }


def _rounded(parameters: NDArray[Any], first: int, rows: int, columns: int, bias: int) -> NDArray[np.int32]:
    """A layer's weights as integers, two rows in one, and its biases."""
    weights = np.rint(np.clip(parameters[first:bias] * np.float32(2**_WEIGHT_PLACES), -32767, 32767)).astype(np.int32)
    low, high = weights.reshape(rows // 2, 2, columns).swapaxes(0, 1)
    biases = np.clip(parameters[bias : bias + columns] * np.float32(2**_SUM_PLACES), -(2.0**30), 2.0**30)
    return np.concatenate([(low & 0xFFFF | high << 16).ravel(), biases.astype(np.int32)])


def _zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that begin at a multiple of 64 bytes, in memory that is not touched yet."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + 64, np.uint8)
    first = -room.ctypes.data % 64
    found: NDArray[Any] = room[first : first + size].view(dtype).reshape(shape)
    return found


def _aligned(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Copies of arrays that begin at multiples of 64 bytes: a vector that crosses two lines of the cache is slow.

    All are in one piece of memory: small pictures spend much of their time here.
    """
    ends = list(accumulate(padded(array.nbytes, 64) for array in arrays.values()))
    room, first, result = _zeros((ends[-1],), np.uint8), 0, {}
    for (name, array), end in zip(arrays.items(), ends, strict=True):
        result[name] = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
        result[name][...] = array
        first = end
    return result


@lru_cache(maxsize=1)
def _kernels() -> tuple[Any, Any, Any]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    size = kernel("dz_photo_engine_size", number)()
    if size != ctypes.sizeof(_Engine):
        raise AssertionError(f"the engine's state is {size} bytes in C, {ctypes.sizeof(_Engine)} in Python")
    return (
        kernel("dz_photo_encode", number, pointer, pointer, number, number, pointer, ctypes.c_uint64, pointer),
        kernel("dz_photo_decode", number, pointer, pointer, number, number, pointer, ctypes.c_uint64),
        kernel("dz_photo_observe", None, *(pointer,) * 3, number, ctypes.c_double, *(pointer,) * 5),
    )


class Session:
    """State of coding one group of channels.

    Args:
        spec: the model.
        shape: its network for this group.
        weights: None where the network is not evaluated, for training data.
        alphabet: of each channel.
        width: pixels of a row of the tile.
        depth: bits per sample.
        height: rows of the tile.

    Attributes:
        arrays: all of the state, by the names in engine.h.
    """

    @ieee_arithmetic()  # what is computed here, in whatever mode the caller's thread is, is a part of the model
    def __init__(
        self,
        spec: ModelSpec,
        shape: NetShape,
        weights: PhotoWeights | None,
        alphabet: Alphabet,
        width: int,
        depth: int,
        height: int = 1,
    ) -> None:
        channels = shape.channels
        experts = spec.experts
        if channels == 1 and depth == 16:
            # What was never stored as colours has no phases: measurements, to which more states are a price alone.
            experts = tuple(expert._replace(states=1) for expert in experts)
        histories = spec.histories if depth == 8 else 0
        lines = counter_lines(width * height) if histories else 1
        size = sum((padded(i, ROW_MULTIPLE) + 1) * o for i, o in shape.matrices().values())
        nothing = np.zeros(size, np.float32)
        parameters, square = (weights.parameters, weights.square) if weights else (nothing, nothing)
        rank = ranks(alphabet.values, alphabet.size)
        tables = {
            "size": alphabet.size,
            "value": alphabet.values,
            "edge": alphabet.edges,
            "symbol": np.zeros((channels, _BATCH_ROWS), np.int64),
            "lower": np.zeros((channels, _BATCH_ROWS), np.int64),
            "upper": np.zeros((channels, _BATCH_ROWS), np.int64),
            "probability": np.zeros((channels, _BATCH_ROWS)),
            "rank": rank,
            "coder": rangecoder.new_state(),
        }
        self.arrays = _aligned(
            _expert_arrays(experts, channels, spec.reach)
            | _context_arrays(spec, shape, width)
            | _network_arrays(shape, parameters, square)
            | tables
            | stage_arrays(channels, histories, _BATCH_ROWS)
            | node_arrays(alphabet.edges, alphabet.size, rank)
        )
        self.arrays["counter"] = _zeros((max(1, histories), lines, LINE), np.uint16)
        fed = max((s.neighbours for s in spec.experts if s.fed), default=0)
        places = self.arrays["neighbour"].shape[0]
        numbers = {
            "width": width,
            "span": width + 2 * PAD,
            "channels": channels,
            "experts": len(spec.experts),
            "reach": spec.reach,
            "components": shape.components,
            "layers": shape.layers,
            "units": shape.width,
            "hidden": shape.hidden,
            "inputs": shape.inputs,
            "input_rows": self.arrays["input"].shape[-1],
            "joined": self.arrays["join"].shape[-1],
            "outputs": self.arrays["out"].shape[-1],
            "places": places,
            "seen": places,
            "fed_places": fed,
            "largest": self.arrays["regressor"].shape[-1],
            "symbols": alphabet.values.shape[1],
            "histories": histories,
            "lines": lines,
        }
        rates = dict(zip(_RATES, (float(1 << (depth - 1)), *spec.schedule), strict=True))
        pointers = {name: self.arrays[name].ctypes.data for name in _ARRAYS}
        # What the C files have room for on their stacks, and the sizes that their blocks divide.
        if not (
            1 <= channels <= 3
            and len(spec.experts) <= _MOST
            and spec.histories <= MOST_HISTORIES
            and shape.components <= _MOST
            and all(s.states in (1, _PHASES, _MOST_STATES) for s in spec.experts)
            and max(s.fed for s in spec.experts) <= _MOST_FED
            and self.arrays["regressor"].shape[-1] <= _LONGEST
            and shape.width % 16 == shape.hidden % 16 == shape.inputs % channels == 0
        ):
            raise ValueError(f"the engine has no room for {spec}")
        self._engine = _Engine(**numbers, **rates, **pointers)

    @property
    def coder(self) -> NDArray[np.uint64]:
        """State of the range coder."""
        return self.arrays["coder"]

    def _rows(self, symbols: NDArray[np.uint16], first: int, last: int) -> None:
        shape = (symbols.shape[0], self._engine.width, self._engine.channels)
        if symbols.shape != shape or symbols.dtype != np.uint16 or not symbols.flags.c_contiguous:
            raise ValueError(f"symbols {symbols.dtype} {symbols.shape} where uint16 {shape} are needed")
        if not 0 <= first <= last <= shape[0]:
            raise ValueError(f"rows {first} to {last} of {shape[0]}")

    def encode(
        self,
        symbols: NDArray[np.uint16],
        first: int,
        last: int,
        data: NDArray[np.uint8],
        probability: NDArray[np.float64] | None = None,
    ) -> None:
        """Encode the rows [first, last) of `symbols` [H, W, C] into `data`.

        There must be room for `SAMPLE_BYTES` a sample. `probability` takes the model's own of each sample.
        """
        self._rows(symbols, first, last)
        samples = (last - first) * symbols.shape[1] * symbols.shape[2]
        if probability is not None and (probability.size < samples or probability.dtype != np.float64):
            raise ValueError(f"room for {probability.size} probabilities of {samples}")
        result = _kernels()[0](
            ctypes.addressof(self._engine),
            symbols.ctypes.data,
            first,
            last,
            data.ctypes.data,
            data.size,
            None if probability is None else probability.ctypes.data,
        )
        if result != 0:
            raise ValueError(("", "the buffer is too small", "a symbol is outside its alphabet")[-result])

    def decode(self, symbols: NDArray[np.uint16], first: int, last: int, data: NDArray[np.uint8]) -> None:
        """Decode the rows [first, last) of `symbols` [H, W, C] from `data`."""
        self._rows(symbols, first, last)
        engine = ctypes.addressof(self._engine)
        _kernels()[1](engine, symbols.ctypes.data, first, last, data.ctypes.data, data.size)

    def observe(self, symbols: NDArray[np.uint16], keep: NDArray[np.bool_], highest: int, *out: NDArray[Any]) -> None:
        """Write training data of all rows: see `observe.observe`, which makes the arrays `out`."""
        self._rows(symbols, 0, symbols.shape[0])
        if keep.shape != symbols.shape[:1] or int(symbols.max(initial=0)) > highest:
            raise ValueError(f"{keep.size} rows of {symbols.shape[0]}, and samples up to {symbols.max(initial=0)}")
        pointers = [array.ctypes.data for array in (symbols, keep)]
        engine = ctypes.addressof(self._engine)
        _kernels()[2](engine, *pointers, symbols.shape[0], float(highest), *(array.ctypes.data for array in out))
