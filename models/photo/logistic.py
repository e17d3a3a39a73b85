"""The exponential function and the logistic distribution, with the same bits on every processor.

No function of the C library is used: e^x is a polynomial in a fixed order, times a power of two.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...codec.entropy.compiled import inlined
from .emit import FORM, I64, Emitter, Loop, data_of, emitter

__all__ = ["exponential", "logistic"]

_ARGUMENT_LIMIT = 44.0
_LOG2_E = 1.4426950408889634
_LN2 = 0.6931471805599453
_TAYLOR = (1.0, 1.0, 0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040)


def _exp_ir(e: Emitter, x: Any) -> Any:
    """e^x of a vector, by a polynomial in a fixed order and a power of two."""
    builder = e.builder

    def constant(value: float) -> Any:
        return ir.Constant(e.vector, [value] * e.lanes)

    def clamped(value: Any, comparison: str, bound: float) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, value, constant(bound)), value, constant(bound))

    x = clamped(clamped(x, ">", -_ARGUMENT_LIMIT), "<", _ARGUMENT_LIMIT)
    narrow, wide = ir.VectorType(ir.IntType(32), e.lanes), ir.VectorType(I64, e.lanes)
    shifted = builder.fadd(builder.fmul(x, constant(_LOG2_E)), constant(64.5))
    n = builder.sub(builder.fptosi(shifted, narrow), ir.Constant(narrow, [64] * e.lanes))
    r = builder.fsub(x, builder.fmul(builder.sitofp(n, e.vector), constant(_LN2)))
    terms, power = [constant(term) for term in _TAYLOR], r
    while len(terms) > 1:  # neighbours in pairs (Estrin's scheme), which is sooner done than one after the other
        pairs = zip(terms[::2], terms[1::2], strict=True)
        terms = [builder.fadd(low, builder.fmul(power, high)) for low, high in pairs]
        power = builder.fmul(power, power)
    exponent = builder.sext(builder.add(n, ir.Constant(narrow, [1023] * e.lanes)), wide)
    return builder.fmul(terms[0], builder.bitcast(builder.shl(exponent, ir.Constant(wide, [52] * e.lanes)), e.vector))


@intrinsic
def _exponential_ir(typing, x, out, length):
    signature = types.void(x, out, types.int64)

    def codegen(context, builder, sig, args):
        e = emitter(builder, sig.args[0])
        source, target = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 1))
        loop = Loop(builder, I64(0), args[2], e.lanes, [])
        e.store(_exp_ir(e, e.load(source, loop.index)), target, loop.index)
        loop.close([])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _logistic_ir(typing, edge, mean, sharpness, distance, cdf, o0, length):
    signature = types.void(types.float64, mean, sharpness, distance, cdf, types.int64, types.int64)

    def codegen(context, builder, sig, args):
        e = emitter(builder, sig.args[1])
        means, sharp, t, s = (data_of(context, builder, sig.args[k], args[k]) for k in (1, 2, 3, 4))
        x, one = e.spread(args[0]), ir.Constant(e.vector, [1.0] * e.lanes)
        loop = Loop(builder, I64(0), args[6], e.lanes, [])
        place = builder.add(args[5], loop.index)
        scaled = builder.fmul(builder.fsub(x, e.load(means, loop.index)), e.load(sharp, loop.index))
        e.store(scaled, t, place)
        e.store(builder.fdiv(one, builder.fadd(one, _exp_ir(e, builder.fneg(scaled)))), s, place)
        loop.close([])
        return context.get_dummy_value()

    return signature, codegen


@inlined
def _exponential_compiled(x, out, length):
    _exponential_ir(x, out, length)  # type: ignore[call-arg]


@inlined
def _logistic_compiled(edge, mean, sharpness, distance, cdf, o0, length):
    _logistic_ir(edge, mean, sharpness, distance, cdf, o0, length)  # type: ignore[call-arg]


def _exponential_plain(x: Any, out: Any, length: int) -> None:
    x = x[:length]
    x = np.where(x > -_ARGUMENT_LIMIT, x, -_ARGUMENT_LIMIT)
    x = np.where(x < _ARGUMENT_LIMIT, x, _ARGUMENT_LIMIT)
    n = (x * _LOG2_E + 64.5).astype(np.int32) - 64
    r = x - n * _LN2
    terms: list[Any] = list(_TAYLOR)
    while len(terms) > 1:
        terms = [low + r * high for low, high in zip(terms[::2], terms[1::2], strict=True)]
        r = r * r
    out[:length] = np.ldexp(terms[0], n)


def _logistic_plain(edge: float, mean: Any, sharpness: Any, distance: Any, cdf: Any, o0: int, length: int) -> None:
    scaled = (edge - mean[:length]) * sharpness[:length]
    power = np.zeros(length)
    _exponential_plain(-scaled, power, length)
    distance.reshape(-1)[o0 : o0 + length] = scaled
    cdf.reshape(-1)[o0 : o0 + length] = 1.0 / (1.0 + power)


exponential: Any = (_exponential_compiled, _exponential_plain)[FORM]
"""`exponential(x, out, length)`: out = e^x to 8e-9 of its value, for x clamped to ±44 (what is no number, to -44).

In float64, as the next one."""

logistic: Any = (_logistic_compiled, _logistic_plain)[FORM]
"""`logistic(edge, mean, sharpness, distance, cdf, o0, length)`: cumulative logistic distributions at one edge.

distance = (edge - mean) · sharpness and cdf = 1 / (1 + e^-distance), written from the flat index `o0` on."""
