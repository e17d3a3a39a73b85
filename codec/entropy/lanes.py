"""The loops of lanes.kernels.c for tensors on the CPU: the arithmetic of `rans.Message`, and checks of numbers.

`rans` has the same arithmetic in operations of torch, for other devices; the bits are the same. Callers have seen to
shapes, types and devices: what is here hands over places in memory.
"""

from __future__ import annotations

from ctypes import c_int64, c_void_p

from torch import Tensor

from .. import native

__all__ = [
    "SMALLEST",
    "first_no_interval",
    "first_not_finite",
    "first_not_positive",
    "first_outside",
    "pop",
    "push",
    "served",
    "words_of_pop",
]

SMALLEST = 2.0**-1022
"""Positive numbers below this have reciprocals that are not finite."""

_first_no_interval = native.kernel("dz_first_no_interval", c_int64, c_int64, c_void_p, c_void_p, c_int64)
_push = native.kernel("dz_push", c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_int64)
_first_outside = native.kernel("dz_first_outside", c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64)
_words_of_pop = native.kernel("dz_words_of_pop", c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64)
_pop = native.kernel("dz_pop", c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_int64)
_first_unsound = native.kernel("dz_first_unsound", c_int64, c_int64, c_void_p, c_int64)


def served(tensor: Tensor) -> bool:
    """Whether compiled loops serve this tensor, sooner and with the same bits, or operations of torch."""
    return tensor.is_cpu


def first_no_interval(start: Tensor, freq: Tensor, precision: int) -> int:
    """The first lane whose start and freq [lanes] int64 are no interval of 2^precision, or -1."""
    start, freq = start.contiguous(), freq.contiguous()
    return int(_first_no_interval(len(start), start.data_ptr(), freq.data_ptr(), precision))


def push(head: Tensor, start: Tensor, freq: Tensor, precision: int, words: Tensor, size: int) -> int:
    """Push a symbol on every lane; words that leave the heads go to words[size:].

    Returns the new size, or -1 where some start and freq are no interval; then nothing has changed.

    Args:
        head: [lanes] int64, contiguous, changed.
        start: [lanes] int64
        freq: [lanes] int64
        precision: bits.
        words: [>= size + lanes] int32, contiguous, changed.
        size: words in use.
    """
    start, freq = start.contiguous(), freq.contiguous()
    pointers = (head.data_ptr(), start.data_ptr(), freq.data_ptr())
    grown: int = _push(head.numel(), *pointers, precision, words.data_ptr(), size, words.numel())
    return grown


def first_outside(head: Tensor, start: Tensor, freq: Tensor, precision: int) -> int:
    """The first lane whose slot is not in its interval, or -1; arguments as for `push`."""
    start, freq = start.contiguous(), freq.contiguous()
    return int(_first_outside(len(head), head.data_ptr(), start.data_ptr(), freq.data_ptr(), precision))


def words_of_pop(head: Tensor, start: Tensor, freq: Tensor, precision: int) -> int:
    """Words that a pop takes, or -1 where some start and freq are no interval, or do not hold their slot."""
    start, freq = start.contiguous(), freq.contiguous()
    return int(_words_of_pop(len(head), head.data_ptr(), start.data_ptr(), freq.data_ptr(), precision))


def pop(head: Tensor, start: Tensor, freq: Tensor, precision: int, words: Tensor, size: int) -> int:
    """Pop a symbol from every lane; arguments as for `push`.

    Returns the words that are left; or -1 where some start and freq are no interval or do not hold their slot, or -2
    where there are too few words; then nothing has changed.
    """
    start, freq = start.contiguous(), freq.contiguous()
    pointers = (head.data_ptr(), start.data_ptr(), freq.data_ptr())
    left: int = _pop(head.numel(), *pointers, precision, words.data_ptr(), size)
    return left


def first_not_finite(values: Tensor) -> int:
    """The first place of a contiguous float64 tensor, as it lies in memory, that holds no finite number, or -1."""
    return int(_first_unsound(values.numel(), values.data_ptr(), 0))


def first_not_positive(values: Tensor) -> int:
    """The first place that holds no positive, finite and normal number, or -1."""
    return int(_first_unsound(values.numel(), values.data_ptr(), 1))
