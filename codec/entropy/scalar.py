"""One symbol at a time by the coders of the constriction library: the independent referee of `rans`, and a CPU coder.

They take the same distributions as a message does, on one lane. constriction rounds a distribution to 24 bits, of
which it keeps one unit for every symbol, so its files are not those of `Message`; they are as large, within a few bits.

A stack (`Stack`) gives back last what was pushed first, a queue (`QueueEncoder`, `QueueDecoder`) first what was encoded
first. Slow: each symbol takes a few calls from the library back to the distribution.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
import torch

from ..errors import SymbolError, TruncatedError
from .pmf import Pmf

__all__ = ["QueueDecoder", "QueueEncoder", "Stack"]

_WORD_BYTES = 4


def _model(pmf: Pmf) -> Any:
    """The distribution on the first lane, as constriction takes it: by its cumulative distribution at half integers."""
    if pmf.size == 1:
        return None  # nothing to code; constriction knows no such distribution
    total = float(1 << pmf.precision)

    def cdf(edge: float) -> float:
        symbol = int(np.floor(edge + 0.5))
        if symbol <= 0:
            return 0.0
        if symbol >= pmf.size:
            return 1.0
        return int(pmf.interval(torch.tensor([symbol]))[0]) / total

    def quantile(probability: float) -> float:
        slot = min(int(probability * total), (1 << pmf.precision) - 1)
        return float(pmf.locate(torch.tensor([slot])))

    return constriction.stream.model.CustomModel(cdf, quantile, 0, pmf.size - 1)


def _check(pmf: Pmf, symbol: int) -> None:
    if not 0 <= symbol < pmf.size:
        raise SymbolError(f"symbol {symbol}; the alphabet is 0 to {pmf.size - 1}")


def _words(data: bytes) -> np.ndarray[Any, np.dtype[np.uint32]]:
    if len(data) % _WORD_BYTES:
        raise TruncatedError(f"{len(data)} bytes are no whole number of words of {_WORD_BYTES}")
    return np.frombuffer(data, "<u4").astype(np.uint32)


class Stack:
    """A stack of symbols, by asymmetric numeral systems."""

    def __init__(self, data: bytes = b"") -> None:
        words = _words(data)
        self._coder = constriction.stream.stack.AnsCoder(words) if len(words) else constriction.stream.stack.AnsCoder()

    @property
    def bits(self) -> int:
        """Bits of `to_bytes` that hold information."""
        return int(self._coder.num_valid_bits())

    def push(self, pmf: Pmf, symbol: int) -> None:
        """Put a symbol on the stack; raises SymbolError for one that is not in the alphabet."""
        _check(pmf, symbol)
        model = _model(pmf)
        if model is not None:
            self._coder.encode_reverse(symbol, model)

    def pop(self, pmf: Pmf) -> int:
        """Take the symbol on top. How many there are has to be known: an empty stack goes on with zeros."""
        model = _model(pmf)
        return 0 if model is None else int(self._coder.decode(model))

    def to_bytes(self) -> bytes:
        """The stack written down, in words of 4 bytes."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class QueueEncoder:
    """A queue of symbols being written, by range coding."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, pmf: Pmf, symbol: int) -> None:
        """Append a symbol; raises SymbolError for one that is not in the alphabet."""
        _check(pmf, symbol)
        model = _model(pmf)
        if model is not None:
            self._coder.encode(symbol, model)

    def to_bytes(self) -> bytes:
        """The queue written down, in words of 4 bytes."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class QueueDecoder:
    """A queue of symbols being read."""

    def __init__(self, data: bytes) -> None:
        self._coder = constriction.stream.queue.RangeDecoder(_words(data))

    def decode(self, pmf: Pmf) -> int:
        """The next symbol. How many there are has to be known: a queue does not end where its words do."""
        model = _model(pmf)
        return 0 if model is None else int(self._coder.decode(model))
