"""What lies behind a message: the stack of words that its heads do not hold, and the bits that a lending one lends."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MessageExhaustedError

__all__ = ["LEAST", "LEAST_BITS", "LENT_SEED", "Loan", "Tail", "draw_words", "lent_heads"]

LEAST_BITS = 31
LEAST = 1 << LEAST_BITS
"""A head is at least this. With one word more it is below 2^63, the end of the signed integers that torch has."""

LENT_SEED = 0
"""Of the words that a lending message begins with; part of the format of batches."""


class Tail:
    """Words beyond the heads, a stack in one buffer that doubles when it is full."""

    def __init__(self, words: Tensor, lender: Any = None) -> None:
        self._set(words)
        self._size = len(words)
        self._lender = lender
        self.lent = 0

    def _set(self, words: Tensor) -> None:
        self.words, self._capacity = words, len(words)

    def __len__(self) -> int:
        return self._size

    def room(self, count: int) -> Tensor:
        """The buffer, with room for `count` words behind those in use; `resize` says how many were written there."""
        if self._size + count > self._capacity:
            grown = self.words.new_zeros(2 * (self._size + count))
            grown[: self._size] = self.words[: self._size]
            self._set(grown)
        return self.words

    def resize(self, size: int) -> None:
        """So many words are in use now."""
        self._size = size

    def append(self, words: Tensor) -> None:
        """Put words [n] int32 on top, the last one topmost."""
        size = self._size + len(words)
        self.room(len(words))[self._size : size] = words
        self._size = size

    def need(self, count: int) -> None:
        """See that there are `count` words.

        Raises:
            MessageExhaustedError: there are not so many, and nobody lends.
        """
        if count > self._size and self._lender is not None:
            self._borrow(count - self._size)
        if count > self._size:
            raise MessageExhaustedError(f"{count} words are to be popped where {self._size} are left")

    def take(self, count: int) -> Tensor:
        """The topmost words, which are no longer in use; raises as `need` does."""
        self.need(count)
        self._size -= count
        return self.words[self._size : self._size + count]

    def _borrow(self, count: int) -> None:
        """Lay words under the others."""
        drawn = torch.from_numpy(draw_words(self._lender, count)[::-1].copy()).to(self.words.device)
        self._set(torch.cat([drawn, self.all()]))
        self._size += count
        self.lent += count

    def all(self) -> Tensor:
        """The words in use. [n] int32."""
        return self.words[: self._size]


class Loan:
    """Heads that a lending message may lend, which lanes were lent theirs, and which were not used yet."""

    def __init__(self, heads: Tensor, fresh: Tensor | None = None, lent: Tensor | None = None) -> None:
        self.heads = heads  # [lanes] int64
        self.fresh = torch.ones_like(heads, dtype=torch.bool) if fresh is None else fresh
        self.lent = torch.zeros_like(heads, dtype=torch.bool) if lent is None else lent

    def part(self, first: int, stop: int) -> Loan:
        """Of the lanes first to stop - 1, shared with this one."""
        return Loan(self.heads[first:stop], self.fresh[first:stop], self.lent[first:stop])

    def lend(self, head: Tensor) -> None:
        """Give the heads [lanes] int64 that were not used yet theirs."""
        head[self.fresh] = self.heads[self.fresh]
        self.lent |= self.fresh
        self.fresh.fill_(False)


def draw_words(generator: Any, count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Random words; raw, because only these are promised to stay the same in every version of numpy."""
    words: np.ndarray[Any, np.dtype[np.int32]] = (generator.random_raw(count) & 0xFFFFFFFF).astype("u4").view("i4")
    return words


def lent_heads(lanes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Heads of 32 bits, random below the topmost: of one bit of information at most, as late words follow them."""
    digits = np.random.PCG64(LENT_SEED + 1).random_raw(lanes) & (LEAST - 1)
    heads: np.ndarray[Any, np.dtype[np.int64]] = digits.astype(np.int64) + LEAST
    return heads
