"""Exponentials and distribution functions in operations that IEEE 754 fixes, so that they are the same bits everywhere.

A distribution that another machine is to read must not depend on a library of functions, nor on the device. What is
here uses +, -, ×, ÷, a square root, rounding down and the bits of a number, in a fixed order. The functions are written
twice: here in operations on float64 tensors of any device, and in portable.h for the compiled loops, which serve
tensors on the CPU. Both give the same bits, for neither fuses nor reorders operations.

Accuracies: `exp`, `log` and `sigmoid` 1e-14 of the value, `ndtr` 2e-15, `ndtri` 2e-11 for probabilities above 1e-7 (and
1e-7 for any).
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int64, c_void_p
from functools import wraps

import numpy as np
import torch
from torch import Tensor

from .. import native
from . import lanes

__all__ = [
    "BINS",
    "GAUSSIAN",
    "LOGISTIC",
    "Mixture",
    "edge",
    "exp",
    "log",
    "ndtr",
    "ndtri",
    "sigmoid",
    "standard",
]

_map = native.kernel("dz_map", None, c_int64, c_int64, c_void_p, c_void_p)


def _native(number: int) -> Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]:
    """Decorator of a function that compiled loops have under a number."""

    def decorate(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        @wraps(function)
        def served(x: Tensor) -> Tensor:
            if not lanes.served(x):
                return function(x)
            x = x.detach().double().contiguous()
            out = torch.empty_like(x)
            _map(number, x.numel(), x.data_ptr(), out.data_ptr())
            return out

        return served

    return decorate


def _bits(x: Tensor) -> Tensor:
    return x.view(torch.int64)


def _number(bits: Tensor) -> Tensor:
    return bits.view(torch.float64)


def _sqrt(x: Tensor) -> Tensor:
    # On the CPU torch takes a library's square root, which is not always rounded to nearest.
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else torch.sqrt(x)


_LARGEST = 700.0
"""Exponents are clamped to this, inside the range of normal numbers."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
"""ln 2 to 32 bits, so that its products with small integers are exact; and the rest of it."""
_LN2_LOW = 1.90821492927058770002e-10
_SHIFTER = 6755399441055744.0
"""1.5 · 2^52: a number of this size has an integer in its lowest bits."""
_MANTISSA = 52
_BIAS = 1023
_SQRT_TWO = 1.4142135623730951


@_native(0)
def exp(x: Tensor) -> Tensor:
    """e^x, clamped to e^±700; a Taylor polynomial of degree 11 within ln 2 / 2 of 0 and a power of two."""
    x = torch.where(x < _LARGEST, x, _LARGEST)
    x = torch.where(x > -_LARGEST, x, -_LARGEST)
    shifted = torch.floor(x * _LOG2_E + 0.5) + _SHIFTER
    k = shifted - _SHIFTER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (0.5 + r * (1 / 6))
    middle = (1 / 24 + r * (1 / 120)) + r2 * (1 / 720 + r * (1 / 5040))
    high = (1 / 40320 + r * (1 / 362880)) + r2 * (1 / 3628800 + r * (1 / 39916800))
    power = _number((_bits(shifted) << _MANTISSA) + (_BIAS << _MANTISSA))
    return (low + r4 * (middle + r4 * high)) * power


@_native(1)
def log(x: Tensor) -> Tensor:
    """Natural logarithm of a positive normal number, by the series of atanh about a power of two."""
    bits = _bits(x * _SQRT_TWO)
    exponent = (bits >> _MANTISSA) - _BIAS
    power = exponent.double()
    m = x * _number((_BIAS - exponent) << _MANTISSA)  # in [sqrt(1/2), sqrt(2))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = 1 / 13 + z * (1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21))))
    series = 1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * series)))))
    return power * _LN2_HIGH + (2.0 * s * series + power * _LN2_LOW)


@_native(2)
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-x))


@_native(3)
def ndtr(x: Tensor) -> Tensor:
    """Cumulative distribution of the standard normal.

    Source: the rational approximation of erfc by Hart et al., *Computer Approximations* (1968), number 5666. Beyond 37
    standard deviations it is constant.
    """
    a = torch.where(x < 0.0, -x, x)
    a = torch.where(a < 37.0, a, 37.0)
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
    return torch.where(x < 0.0, tail, 1.0 - tail)


def _rough_ndtri(p: Tensor) -> Tensor:
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
    return torch.where(p < 0.02425, tail / (below * q + 1.0), d * centre / (under * r + 1.0))


_SQRT_TWO_PI = 2.5066282746310002


@_native(4)
def ndtri(p: Tensor) -> Tensor:
    """The inverse of `ndtr` on (0, 1): the approximation of Acklam and a step of Halley's rule."""
    lower = torch.where(p < 0.5, p, 1.0 - p)
    x = _rough_ndtri(lower)
    step = (ndtr(x) - lower) * _SQRT_TWO_PI * exp(0.5 * (x * x))
    x = x - step / (1.0 + 0.5 * (x * step))
    return torch.where(p < 0.5, x, -x)


# Families of distributions, by a code.

LOGISTIC, GAUSSIAN, BINS = 0, 1, 2
"""Logistic and normal distributions on integers; normal ones on bins of equal mass under the standard normal."""


def edge(kind: int, edges: Tensor, size: int) -> Tensor:
    """The lower end of the bin of each symbol, float64."""
    # A number for divisor would be replaced by its reciprocal on some devices.
    return ndtri(edges.double() / torch.full_like(edges, size).double()) if kind == BINS else edges.double() - 0.5


def standard(kind: int, distance: Tensor) -> Tensor:
    """The family's cumulative distribution with mean 0 and scale 1."""
    return sigmoid(distance) if kind == LOGISTIC else ndtr(distance)


_BLOCK = 512
"""Lanes that the compiled loops evaluate together: enough for vectors, few enough for the nearest cache."""

_EXTRA_ROWS = 3
"""Rows of their scratch beside three for each component."""

_MIXTURE = (c_int64, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_void_p)
_intervals = native.kernel("dz_intervals", c_int64, *_MIXTURE, c_void_p, c_void_p, c_void_p)
_find = native.kernel("dz_find", c_int64, *_MIXTURE, c_void_p, c_void_p)


class Mixture:
    """The compiled loops for a mixture of a family, on every lane of the CPU.

    Args:
        kind: a family.
        logits: finite. [lanes, J] float64
        means: finite. [lanes, J] float64
        scales: finite, at least `lanes.SMALLEST`. [lanes, J] float64
        size: symbols of the alphabet.
        precision: bits; 2^precision is at least twice the size.
    """

    def __init__(self, kind: int, logits: Tensor, means: Tensor, scales: Tensor, size: int, precision: int) -> None:
        self._hold(kind, tuple(values.T.double().contiguous() for values in (logits, means, scales)), size, precision)

    def _hold(self, kind: int, parameters: tuple[Tensor, ...], size: int, precision: int) -> None:
        self._parameters = parameters  # [J, lanes]
        components, count = self._parameters[0].shape
        pointers = (values.data_ptr() for values in self._parameters)
        self._arguments = (kind, components, count, *pointers, size, precision)
        self._rows = 3 * components + _EXTRA_ROWS

    def some(self, first: int, stop: int) -> Mixture:
        """That of the lanes first to stop - 1."""
        found = object.__new__(Mixture)
        parameters = tuple(values[:, first:stop].contiguous() for values in self._parameters)
        found._hold(self._arguments[0], parameters, *self._arguments[-2:])
        return found

    def intervals(self, symbols: Tensor) -> tuple[Tensor, Tensor] | None:
        """Start and freq of each lane's symbol [lanes] int64; None where a symbol is not in the alphabet."""
        symbols = symbols.contiguous()
        start, freq, scratch = torch.empty_like(symbols), torch.empty_like(symbols), self._scratch()
        pointers = (symbols.data_ptr(), start.data_ptr(), freq.data_ptr())
        return (start, freq) if _intervals(*self._arguments, scratch.data_ptr(), *pointers) < 0 else None

    def find(self, slots: Tensor) -> Tensor | None:
        """The symbol whose interval holds each lane's slot [lanes] int64; None where a slot is outside 2^precision.

        The search begins at a guess and follows Newton's rule inside the bracket found so far; if that does not end
        soon, it halves the bracket. Every bracket ends with the one symbol whose interval holds the slot.
        """
        slots = slots.contiguous()
        symbols, scratch = torch.empty_like(slots), self._scratch()
        wrong = _find(*self._arguments, scratch.data_ptr(), slots.data_ptr(), symbols.data_ptr())
        return symbols if wrong < 0 else None

    def _scratch(self) -> Tensor:
        return torch.empty(self._rows * _BLOCK, dtype=torch.float64)
