"""Exponentials and distribution functions in operations that IEEE 754 fixes, so that they are the same bits everywhere.

A distribution that another machine is to read must not depend on a library of functions, nor on the device. What is
here uses +, -, ×, ÷, a square root, rounding down and the bits of a number, in a fixed order. The functions are written
once and run in two ways: on float64 tensors of any device, one operation after the other; and inside compiled loops,
one number after the other. Both give the same bits, for neither fuses nor reorders operations.

Accuracies: `exp`, `log` and `sigmoid` 1e-14 of the value, `ndtr` 2e-15, `ndtri` 2e-11 for probabilities above 1e-7 (and
1e-7 for any).
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="misc"
# ruff: noqa: PLW0108 (an overload is a function of the names of what it overloads)
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from .compiled import cached

__all__ = [
    "BINS",
    "BLOCK",
    "EXTRA_ROWS",
    "GAUSSIAN",
    "LOGISTIC",
    "edge",
    "exp",
    "find",
    "intervals",
    "log",
    "ndtr",
    "ndtri",
    "sigmoid",
    "standard",
]

# The operations: for tensors as they stand, for numbers as overloaded for the compiler.


def _where(condition, yes, no):
    return torch.where(condition, yes, no)


def _floor(x):
    return torch.floor(x)


def _sqrt(x):
    # On the CPU torch takes a library's square root, which is not always rounded to nearest.
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else torch.sqrt(x)


def _bits(x):
    return x.view(torch.int64)


def _number(bits):
    return bits.view(torch.float64)


def _float(integers):
    return integers.double()


@intrinsic
def _to_bits(typing, x):
    return types.int64(types.float64), lambda context, builder, sig, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic
def _from_bits(typing, x):
    return types.float64(types.int64), lambda context, builder, sig, args: builder.bitcast(args[0], ir.DoubleType())


overload(_where)(lambda condition, yes, no: lambda condition, yes, no: yes if condition else no)
overload(_floor)(lambda x: lambda x: np.floor(x))
overload(_sqrt)(lambda x: lambda x: np.sqrt(x))
overload(_bits)(lambda x: lambda x: _to_bits(x))  # type: ignore[call-arg]
overload(_number)(lambda bits: lambda bits: _from_bits(bits))  # type: ignore[call-arg]
overload(_float)(lambda integers: lambda integers: np.float64(integers))

_both = register_jitable(error_model="numpy", forceinline=True)
"""Decorator of a function that is called on tensors, and by compiled functions on numbers."""

_LARGEST = 700.0
"""Exponents are clamped to this, inside the range of normal numbers."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
"""ln 2 to 32 bits, so that its products with small integers are exact; and the rest of it."""
_LN2_LOW = 1.90821492927058770002e-10
_TWO_52 = 4503599627370496.0
_TWO_52_UNIT = 1 << 52
_TWO_52_BITS = 1075 << 52
"""2^52 as a number, as an integer, and the bits of the number: a small integer added to them is added to the number."""
_SHIFTER = 6755399441055744.0
"""1.5 · 2^52: a number of this size has an integer in its lowest bits."""
_MANTISSA = 52
_BIAS = 1023
_SQRT_TWO = 1.4142135623730951


@_both
def exp(x: Any) -> Any:
    """e^x, clamped to e^±700; a Taylor polynomial of degree 11 on |r| <= ln 2 / 2 and a power of two."""
    x = _where(x < _LARGEST, x, _LARGEST)
    x = _where(x > -_LARGEST, x, -_LARGEST)
    shifted = _floor(x * _LOG2_E + 0.5) + _SHIFTER
    k = shifted - _SHIFTER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (0.5 + r * (1 / 6))
    middle = (1 / 24 + r * (1 / 120)) + r2 * (1 / 720 + r * (1 / 5040))
    high = (1 / 40320 + r * (1 / 362880)) + r2 * (1 / 3628800 + r * (1 / 39916800))
    power = _number((_bits(shifted) << _MANTISSA) + (_BIAS << _MANTISSA))
    return (low + r4 * (middle + r4 * high)) * power


@_both
def log(x: Any) -> Any:
    """Natural logarithm of a positive normal number, by the series of atanh about a power of two."""
    bits = _bits(x * _SQRT_TWO)
    exponent = (bits >> _MANTISSA) - _BIAS
    power = _float(exponent)
    m = x * _number((_BIAS - exponent) << _MANTISSA)  # in [sqrt(1/2), sqrt(2))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = 1 / 13 + z * (1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21))))
    series = 1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * series)))))
    return power * _LN2_HIGH + (2.0 * s * series + power * _LN2_LOW)


@_both
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-x))


@_both
def ndtr(x: Any) -> Any:
    """Cumulative distribution of the standard normal.

    Source: the rational approximation of erfc by Hart et al., *Computer Approximations* (1968), number 5666. Beyond 37
    standard deviations it is constant.
    """
    a = _where(x < 0.0, -x, x)
    a = _where(a < 37.0, a, 37.0)
    p = 3.52624965998911e-02 * a + 0.700383064443688
    p = p * a + 6.37396220353165
    p = p * a + 33.912866078383
    p = p * a + 112.079291497871
    p = p * a + 221.213596169931
    p = p * a + 220.206867912376
    q = 8.83883476483184e-02 * a + 1.75566716318264
    q = q * a + 16.064177579207
    q = q * a + 86.7807322029461
    q = q * a + 296.564248779674
    q = q * a + 637.333633378831
    q = q * a + 793.826512519948
    q = q * a + 440.413735824752
    tail = exp(-0.5 * (a * a)) * (p / q)
    return _where(x < 0.0, tail, 1.0 - tail)


@_both
def _rough_ndtri(p):
    """The inverse of `ndtr` to nine digits, for p in (0, 1/2].

    Source: the rational approximations of Acklam (2003).
    """
    q = _sqrt(-2.0 * log(p))
    tail = -7.784894002430293e-03 * q - 3.223964580411365e-01
    tail = tail * q - 2.400758277161838e00
    tail = tail * q - 2.549732539343734e00
    tail = tail * q + 4.374664141464968e00
    tail = tail * q + 2.938163982698783e00
    below = 7.784695709041462e-03 * q + 3.224671290700398e-01
    below = below * q + 2.445134137142996e00
    below = below * q + 3.754408661907416e00
    d = p - 0.5
    r = d * d
    centre = -3.969683028665376e01 * r + 2.209460984245205e02
    centre = centre * r - 2.759285104469687e02
    centre = centre * r + 1.383577518672690e02
    centre = centre * r - 3.066479806614716e01
    centre = centre * r + 2.506628277459239e00
    under = -5.447609879822406e01 * r + 1.615858368580409e02
    under = under * r - 1.556989798598866e02
    under = under * r + 6.680131188771972e01
    under = under * r - 1.328068155288572e01
    return _where(p < 0.02425, tail / (below * q + 1.0), d * centre / (under * r + 1.0))


_SQRT_TWO_PI = 2.5066282746310002


@_both
def ndtri(p: Any) -> Any:
    """The inverse of `ndtr` on (0, 1): the approximation of Acklam and a step of Halley's rule."""
    lower = _where(p < 0.5, p, 1.0 - p)
    x = _rough_ndtri(lower)
    step = (ndtr(x) - lower) * _SQRT_TWO_PI * exp(0.5 * (x * x))
    x = x - step / (1.0 + 0.5 * (x * step))
    return _where(p < 0.5, x, -x)


# Families of distributions, by a code, and the compiled loops over lanes.

LOGISTIC, GAUSSIAN, BINS = 0, 1, 2
"""Logistic and normal distributions on integers; normal ones on bins of equal mass under the standard normal."""


def edge(kind: int, edges: Any, size: int) -> Any:
    """The lower end of the bin of each symbol, float64."""
    # A number for divisor would be replaced by its reciprocal on some devices.
    return ndtri(edges.double() / torch.full_like(edges, size).double()) if kind == BINS else edges.double() - 0.5


def standard(kind: int, distance: Any) -> Any:
    """The family's cumulative distribution with mean 0 and scale 1."""
    return sigmoid(distance) if kind == LOGISTIC else ndtr(distance)


@_both
def _small_float(integer):
    """An integer from 0 to 2^51 as a number; in vectors, for which processors lack the conversion."""
    return _number(integer + _TWO_52_BITS) - _TWO_52


@_both
def _small_integer(x):
    """A number from 0 to 2^51, rounded down."""
    return _bits(_floor(x) + _TWO_52) & (_TWO_52_UNIT - 1)


# Scratch has rows of BLOCK lanes: weights, sharpnesses and means of J components, then these.
_TOTAL, _AT, _BELOW = -1, -2, -3
EXTRA_ROWS = 3
"""Rows of scratch beside three for each component."""

BLOCK = 512
"""Lanes that are evaluated together: enough for vectors, few enough for the nearest cache."""

# Loops below run over whole rows from 0, so that the compiler makes vectors of them.


@_both
def _begin(logits, means, scales, first, n, scratch):
    """The parameters of n lanes into scratch: weights, which are not normalised, their sums, sharpnesses and means."""
    components = logits.shape[0]
    total = scratch[_TOTAL]
    row = logits[0, first : first + n]
    for i in range(n):
        total[i] = row[i]
    for j in range(1, components):
        row = logits[j, first : first + n]
        for i in range(n):
            total[i] = max(total[i], row[i])
    for j in range(components):
        row, scale = logits[j, first : first + n], scales[j, first : first + n]
        weight, sharp = scratch[j], scratch[components + j]
        for i in range(n):
            weight[i] = exp(row[i] - total[i])
        for i in range(n):
            sharp[i] = 1.0 / scale[i]
        row, mean = means[j, first : first + n], scratch[2 * components + j]
        for i in range(n):
            mean[i] = row[i]
    weight = scratch[0]
    for i in range(n):
        total[i] = weight[i]
    for j in range(1, components):
        weight = scratch[j]
        for i in range(n):
            total[i] += weight[i]


@_both
def _starts(kind, components, n, scratch, symbols, offset, size, precision, out):
    """Starts of the intervals of `symbols` + offset, of n lanes, into `out`."""
    total, at, below = scratch[_TOTAL], scratch[_AT], scratch[_BELOW]
    last = max(1, size - 1)
    for i in range(n):
        at[i] = _small_float(min(max(symbols[i] + offset, 1), last))
    if kind == BINS:
        whole = np.float64(size)
        for i in range(n):
            at[i] = ndtri(at[i] / whole)
    else:
        for i in range(n):
            at[i] -= 0.5
    for i in range(n):
        below[i] = 0.0
    for j in range(components):
        weight, sharp, mean = scratch[j], scratch[components + j], scratch[2 * components + j]
        if kind == LOGISTIC:
            for i in range(n):
                below[i] += weight[i] * sigmoid((at[i] - mean[i]) * sharp[i])
        else:
            for i in range(n):
                below[i] += weight[i] * ndtr((at[i] - mean[i]) * sharp[i])
    end = np.int64(1) << precision
    free = np.float64(end - 2 * size)
    for i in range(n):
        symbol = symbols[i] + offset
        inner = _small_integer(min(max(below[i] / total[i], 0.0), 1.0) * free) + 2 * symbol
        inner = end if symbol >= size else inner
        out[i] = 0 if symbol <= 0 else inner


@cached
def intervals(kind, logits, means, scales, size, precision, symbols, scratch, start, freq):
    """Fill in the interval of each lane's symbol; returns the first lane whose symbol is not there, or -1.

    Args:
        kind: a family.
        logits: [J, lanes] float64
        means: [J, lanes] float64
        scales: [J, lanes] float64
        size: symbols of the alphabet.
        precision: bits.
        symbols: [lanes] int64
        scratch: [3 J + EXTRA_ROWS, BLOCK] float64
        start: [lanes] int64
        freq: [lanes] int64
    """
    for i in range(symbols.size):
        if symbols[i] < 0 or symbols[i] >= size:
            return i
    components = means.shape[0]
    for first in range(0, symbols.size, BLOCK):
        n = min(BLOCK, symbols.size - first)
        _begin(logits, means, scales, first, n, scratch)
        sought, low, high = symbols[first : first + n], start[first : first + n], freq[first : first + n]
        _starts(kind, components, n, scratch, sought, 0, size, precision, low)
        _starts(kind, components, n, scratch, sought, 1, size, precision, high)
        for i in range(n):
            high[i] -= low[i]
    return -1


@_both
def _guess(kind, components, n, scratch, slots, size, precision, symbols):
    """Symbols from which to search for slots; they have no influence on what is found."""
    total, p, value = scratch[_TOTAL], scratch[_AT], scratch[_BELOW]
    unit = 1.0 / np.float64(np.int64(1) << precision)
    for i in range(n):
        p[i] = (_small_float(slots[i]) + 0.5) * unit
    if kind == LOGISTIC:
        for i in range(n):
            p[i] = log(p[i] / (1.0 - p[i]))
    else:
        for i in range(n):
            lower = min(p[i], 1.0 - p[i])
            deviation = _rough_ndtri(lower)
            p[i] = deviation if p[i] < 0.5 else -deviation
    for i in range(n):
        value[i] = 0.0
    for j in range(components):
        weight, sharp, mean = scratch[j], scratch[components + j], scratch[2 * components + j]
        for i in range(n):
            value[i] += weight[i] * (mean[i] + p[i] / sharp[i])
    for i in range(n):
        value[i] = value[i] / total[i]
    if kind == BINS:
        for i in range(n):
            value[i] = ndtr(value[i]) * size - 0.5
    top = size - 1.0
    for i in range(n):
        symbols[i] = _small_integer(min(max(value[i] + 0.5, 0.0), top))


_NEWTON_STEPS = 6


@cached
def find(kind, logits, means, scales, size, precision, slots, scratch, bounds, symbols):
    """Find the symbol whose interval holds each lane's slot.

    The search begins at a guess and follows Newton's rule inside the bracket found so far; if that does not end soon,
    it halves the bracket. Every bracket ends with the one symbol whose interval holds the slot.

    Args:
        kind: a family.
        logits: [J, lanes] float64
        means: [J, lanes] float64
        scales: [J, lanes] float64
        size: symbols of the alphabet.
        precision: bits.
        slots: [lanes] int64
        scratch: [3 J + EXTRA_ROWS, BLOCK] float64
        bounds: [7, BLOCK] int64
        symbols: [lanes] int64
    """
    components = means.shape[0]
    lane, slot, at = bounds[0], bounds[1], bounds[2]
    low, high, start, stop = bounds[3], bounds[4], bounds[5], bounds[6]
    for first in range(0, slots.size, BLOCK):
        n = min(BLOCK, slots.size - first)
        _begin(logits, means, scales, first, n, scratch)
        for i in range(n):
            slot[i] = slots[first + i]
        _guess(kind, components, n, scratch, slot, size, precision, at)
        for i in range(n):
            lane[i], low[i], high[i] = first + i, 0, size - 1  # the symbol is one of these or between them
        tries = 0
        while n:
            _starts(kind, components, n, scratch, at, 0, size, precision, start)
            _starts(kind, components, n, scratch, at, 1, size, precision, stop)
            missing = 0  # lanes that go on are moved together
            for i in range(n):
                if start[i] <= slot[i] < stop[i]:
                    symbols[lane[i]] = at[i]
                    continue
                below, above, width = low[i], high[i], np.float64(stop[i] - start[i])
                if slot[i] < start[i]:
                    above = at[i] - 1
                    step = np.float64(slot[i] - start[i]) / width
                else:
                    below = at[i] + 1
                    step = np.float64(slot[i] - stop[i]) / width + 1.0
                if tries < _NEWTON_STEPS:
                    target = np.floor(np.float64(at[i]) + step)
                    at[missing] = np.int64(min(max(target, np.float64(below)), np.float64(above)))
                else:
                    at[missing] = (below + above) >> 1
                lane[missing], slot[missing], low[missing], high[missing] = lane[i], slot[i], below, above
                for row in range(3 * components):
                    scratch[row, missing] = scratch[row, i]
                scratch[_TOTAL, missing] = scratch[_TOTAL, i]
                missing += 1
            n = missing
            tries += 1
