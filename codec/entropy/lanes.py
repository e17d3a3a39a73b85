"""The arithmetic of `rans.Message` compiled: one loop over the lanes, for messages on the CPU; and checks of numbers.

`rans` has the same arithmetic in operations of torch, for other devices; the bits are the same.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

import numpy as np

from .compiled import cached

__all__ = [
    "SMALLEST",
    "first_no_interval",
    "first_not_finite",
    "first_not_positive",
    "first_outside",
    "pop",
    "push",
    "words_of_pop",
]

_WORD = 32
_HEAD = 63
_LEAST = np.uint64(1 << 31)

SMALLEST = 2.0**-1022
"""Positive numbers below this have reciprocals that are not finite."""


@cached
def first_no_interval(start, freq, precision):
    """The first lane whose start and freq are no interval of 2^precision, or -1."""
    end = np.int64(1) << precision
    for i in range(start.size):
        if start[i] < 0 or freq[i] < 1 or freq[i] > end or start[i] > end - freq[i]:
            return i
    return -1


@cached
def push(head, start, freq, precision, words, size):
    """Push a symbol on every lane; words that leave the heads go to words[size:].

    Returns the new size, or -1 where some start and freq are no interval; then nothing has changed.

    Args:
        head: [lanes] int64, changed.
        start: [lanes] int64
        freq: [lanes] int64
        precision: bits.
        words: [>= size + lanes] int32, changed.
        size: words in use.
    """
    shift, end = np.uint64(precision), np.int64(1) << precision
    wrong = 0
    for i in range(head.size):  # without an exit, so that it runs in vectors
        wrong |= start[i] | (freq[i] - 1) | (end - freq[i]) | (end - start[i] - freq[i])
    if wrong < 0:  # the sign bit of any
        return -1
    for i in range(head.size):
        state, count = np.uint64(head[i]), np.uint64(freq[i])
        if state >> np.uint64(_HEAD - precision) >= count:  # or the head would grow beyond its bits
            words[size] = np.int32(np.uint32(state & np.uint64(0xFFFFFFFF)))
            size += 1
            state >>= np.uint64(_WORD)
        quotient = state // count
        head[i] = np.int64((quotient << shift) + (state - quotient * count) + np.uint64(start[i]))
    return size


@cached
def first_outside(head, start, freq, precision):
    """The first lane whose slot is not in its interval, or -1."""
    mask = (np.int64(1) << precision) - 1
    for i in range(head.size):
        offset = (head[i] & mask) - start[i]
        if offset < 0 or offset >= freq[i]:
            return i
    return -1


@cached
def words_of_pop(head, start, freq, precision):
    """Words that a pop takes, or -1 where some start and freq are no interval, or do not hold their slot."""
    shift, mask = np.uint64(precision), (np.int64(1) << precision) - 1
    end = np.int64(1) << precision
    short, wrong = 0, 0
    for i in range(head.size):  # without an exit, so that it runs in vectors
        offset = (head[i] & mask) - start[i]
        wrong |= start[i] | (freq[i] - 1) | (end - freq[i]) | (end - start[i] - freq[i])
        wrong |= offset | (freq[i] - 1 - offset)
        state = np.uint64(freq[i]) * (np.uint64(head[i]) >> shift) + np.uint64(offset)
        short += 1 if state < _LEAST else 0
    return -1 if wrong < 0 else short


@cached
def pop(head, start, freq, precision, words):
    """Pop a symbol from every lane, whose interval holds its slot; `words` are those that are taken, [n] int32."""
    shift, mask = np.uint64(precision), (np.uint64(1) << np.uint64(precision)) - np.uint64(1)
    taken = 0
    for i in range(head.size):
        state = np.uint64(head[i])
        state = np.uint64(freq[i]) * (state >> shift) + (state & mask) - np.uint64(start[i])
        if state < _LEAST:
            state = (state << np.uint64(_WORD)) | np.uint64(np.uint32(words[taken]))
            taken += 1
        head[i] = np.int64(state)


@cached
def first_not_finite(values):
    """The first place of a flat array that holds no finite number, or -1."""
    wrong = 0
    for i in range(values.size):  # without an exit, so that it runs in vectors
        wrong += 0 if values[i] - values[i] == 0.0 else 1
    if wrong:
        for i in range(values.size):
            if values[i] - values[i] != 0.0:
                return i
    return -1


@cached
def first_not_positive(values):
    """The first place of a flat array that holds no positive, finite and normal number, or -1."""
    wrong = 0
    for i in range(values.size):
        wrong += 0 if values[i] >= SMALLEST and values[i] - values[i] == 0.0 else 1
    if wrong:
        for i in range(values.size):
            if not (values[i] >= SMALLEST and values[i] - values[i] == 0.0):
                return i
    return -1
