"""Dense linear algebra with one fixed order of operations on every processor.

Each kernel is vectorised across outputs, never across a sum, so that the order of the additions, and with it every
bit of the result, does not depend on the width of the vector registers. The loops are emitted as LLVM vector code
because a compiler left to itself does not keep the accumulators of a matrix-vector product in registers; LLVM splits
the vectors to what the processor has. No operation is ever fused or reassociated (no fast-math flag is set anywhere).

With `NUMBA_DISABLE_JIT=1` the same functions run in numpy, one vector operation at a time, with the same bits.

Operands are whole arrays with the flat index of their first element: taking a slice in compiled code costs more than
a small matrix-vector product does. Lengths along the vectorised axis are multiples of 64 bytes.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...codec.compiled import compiled, inlined

__all__ = ["accumulate_outer", "affine", "affine_many", "affine_relu", "dot", "downdate", "exponential", "logistic"]

_I64 = ir.IntType(64)


class _Loop:
    """A counted LLVM loop `for i in range(start, stop, step)` whose carried values live in registers."""

    def __init__(self, builder: ir.IRBuilder, start: Any, stop: Any, step: int, carried: list[Any]) -> None:
        self._builder, self._step = builder, step
        entry = builder.block
        self._head = builder.append_basic_block("head")
        self._body = builder.append_basic_block("body")
        self._exit = builder.append_basic_block("exit")
        builder.branch(self._head)
        builder.position_at_end(self._head)
        self.index = builder.phi(_I64)
        self.index.add_incoming(start, entry)
        self.values = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, entry)
            self.values.append(phi)
        builder.cbranch(builder.icmp_signed("<", self.index, stop), self._body, self._exit)
        builder.position_at_end(self._body)

    def close(self, carried: list[Any]) -> None:
        builder = self._builder
        self.index.add_incoming(builder.add(self.index, _I64(self._step)), builder.block)
        for phi, value in zip(self.values, carried, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(self._head)
        builder.position_at_end(self._exit)


class _Emitter:
    """Loads, stores and broadcasts of vectors of one scalar type."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, size: int, lanes: int) -> None:
        self.builder, self.scalar, self.size, self.lanes = builder, scalar, size, lanes
        self.vector = ir.VectorType(scalar, lanes)

    def at(self, base: Any, index: Any, kind: ir.Type) -> Any:
        """Pointer to element `index` (in scalars) of the array at the integer address `base`."""
        address = self.builder.add(base, self.builder.mul(index, _I64(self.size)))
        return self.builder.inttoptr(address, kind.as_pointer())

    def load(self, base: Any, index: Any) -> Any:
        return self.builder.load(self.at(base, index, self.vector), align=self.size, typ=self.vector)

    def store(self, value: Any, base: Any, index: Any) -> None:
        self.builder.store(value, self.at(base, index, self.vector), align=self.size)

    def broadcast(self, base: Any, index: Any) -> Any:
        """The scalar at `index`, in every lane."""
        value = self.builder.load(self.at(base, index, self.scalar), align=self.size, typ=self.scalar)
        return self.spread(value)

    def spread(self, value: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, mask)


def _emitter(builder: ir.IRBuilder, array: Any) -> _Emitter:
    if array.dtype == types.float32:
        return _Emitter(builder, ir.FloatType(), 4, 16)
    return _Emitter(builder, ir.DoubleType(), 8, 8)


def _data(context: Any, builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
    """The address of an array's first element, as an integer."""
    return builder.ptrtoint(context.make_array(kind)(context, builder, value).data, _I64)


def _affine_ir(blocks: int, relu: bool) -> Any:
    @intrinsic
    def emit(typing, weight, w0, rows, columns, x, x0, bias, b0, out, o0):
        i64 = types.int64
        signature = types.void(weight, i64, i64, i64, x, i64, bias, i64, out, i64)

        def codegen(context, builder, sig, args):
            e = _emitter(builder, sig.args[0])
            w, v, b, o = (_data(context, builder, sig.args[k], args[k]) for k in (0, 4, 6, 8))
            w0, rows, columns, x0, b0, o0 = (args[k] for k in (1, 2, 3, 5, 7, 9))
            step = [_I64(k * e.lanes) for k in range(blocks)]
            loop = _Loop(builder, _I64(0), rows, 1, [e.load(b, builder.add(b0, k)) for k in step])
            xi = e.broadcast(v, builder.add(x0, loop.index))
            start = builder.add(w0, builder.mul(loop.index, columns))
            loop.close(
                [
                    builder.fadd(total, builder.fmul(xi, e.load(w, builder.add(start, k))))
                    for total, k in zip(loop.values, step, strict=True)
                ]
            )
            zero = ir.Constant(e.vector, None)
            for total, k in zip(loop.values, step, strict=True):
                result = builder.select(builder.fcmp_ordered(">", total, zero), total, zero) if relu else total
                e.store(result, o, builder.add(o0, k))
            return context.get_dummy_value()

        return signature, codegen

    return emit


def _affine_pair(relu: bool) -> tuple[Any, Any]:
    """The compiled and the numpy form of `affine`."""
    block1, block2, block4, block6 = (_affine_ir(blocks, relu) for blocks in (1, 2, 4, 6))

    @inlined
    def compiled(weight, w0, rows, columns, x, x0, bias, b0, out, o0):
        lanes = 64 // weight.itemsize
        done = 0
        while columns - done >= 6 * lanes:
            block6(weight, w0 + done, rows, columns, x, x0, bias, b0 + done, out, o0 + done)
            done += 6 * lanes
        while columns - done >= 4 * lanes:
            block4(weight, w0 + done, rows, columns, x, x0, bias, b0 + done, out, o0 + done)
            done += 4 * lanes
        while columns - done >= 2 * lanes:
            block2(weight, w0 + done, rows, columns, x, x0, bias, b0 + done, out, o0 + done)
            done += 2 * lanes
        while done < columns:
            block1(weight, w0 + done, rows, columns, x, x0, bias, b0 + done, out, o0 + done)
            done += lanes

    def plain(
        weight: Any, w0: int, rows: int, columns: int, x: Any, x0: int, bias: Any, b0: int, out: Any, o0: int
    ) -> None:
        matrix = weight.reshape(-1)[w0 : w0 + rows * columns].reshape(rows, columns)
        total = bias.reshape(-1)[b0 : b0 + columns].copy()
        for xi, row in zip(x.reshape(-1)[x0 : x0 + rows], matrix, strict=True):
            total += xi * row
        out.reshape(-1)[o0 : o0 + columns] = np.where(total > 0, total, total.dtype.type(0)) if relu else total

    return compiled, plain


_AFFINE, _AFFINE_RELU = _affine_pair(relu=False), _affine_pair(relu=True)


_PIXELS = 4
"""Vectors that `affine_many` multiplies with a weight each time that it loads it."""


@intrinsic
def _affine_many_ir(typing, weight, w0, rows, columns, x, x0, x_step, bias, b0, b_step, out, o0, o_step):
    i64 = types.int64
    signature = types.void(weight, i64, i64, i64, x, i64, i64, bias, i64, i64, out, i64, i64)

    def codegen(context, builder, sig, args):
        e = _emitter(builder, sig.args[0])
        w, v, b, o = (_data(context, builder, sig.args[k], args[k]) for k in (0, 4, 7, 10))
        w0, rows, columns, x0, x_step, b0, b_step, o0, o_step = (args[k] for k in (1, 2, 3, 5, 6, 8, 9, 11, 12))
        each = [_I64(k) for k in range(_PIXELS)]
        places = [builder.add(b0, builder.mul(b_step, k)) for k in each]
        loop = _Loop(builder, _I64(0), rows, 1, [e.load(b, place) for place in places])
        row = e.load(w, builder.add(w0, builder.mul(loop.index, columns)))
        first = builder.add(x0, loop.index)
        sums = []
        for total, k in zip(loop.values, each, strict=True):
            xi = e.broadcast(v, builder.add(first, builder.mul(x_step, k)))
            sums.append(builder.fadd(total, builder.fmul(xi, row)))
        loop.close(sums)
        for total, k in zip(loop.values, each, strict=True):
            e.store(total, o, builder.add(o0, builder.mul(o_step, k)))
        return context.get_dummy_value()

    return signature, codegen


@compiled
def _affine_many_compiled(weight, w0, rows, columns, x, x0, x_step, bias, b0, b_step, out, o0, o_step, count):
    lanes = 64 // weight.itemsize
    for p in range(0, count, _PIXELS):
        xp, bp, op = x0 + p * x_step, b0 + p * b_step, o0 + p * o_step
        for done in range(0, columns, lanes):
            _affine_many_ir(  # type: ignore[call-arg]
                weight, w0 + done, rows, columns, x, xp, x_step, bias, bp + done, b_step, out, op + done, o_step
            )


def _affine_many_plain(
    weight: Any, w0: int, rows: int, columns: int, x: Any, x0: int, x_step: int,
    bias: Any, b0: int, b_step: int, out: Any, o0: int, o_step: int, count: int,
) -> None:  # fmt: skip
    for p in range(count):
        _AFFINE[1](weight, w0, rows, columns, x, x0 + p * x_step, bias, b0 + p * b_step, out, o0 + p * o_step)


def _outer_ir(rows: int, blocks: int) -> Any:
    @intrinsic
    def emit(typing, a, a0, a_step, g, g0, g_step, out, o0, o_step, count):
        i64 = types.int64
        signature = types.void(a, i64, i64, g, i64, i64, out, i64, i64, i64)

        def codegen(context, builder, sig, args):
            e = _emitter(builder, sig.args[0])
            left, right, o = (_data(context, builder, sig.args[k], args[k]) for k in (0, 3, 6))
            a0, a_step, g0, g_step, o0, o_step, count = (args[k] for k in (1, 2, 4, 5, 7, 8, 9))
            zero = ir.Constant(e.vector, None)
            loop = _Loop(builder, _I64(0), count, 1, [zero] * (rows * blocks))
            a_row = builder.add(a0, builder.mul(loop.index, a_step))
            g_row = builder.add(g0, builder.mul(loop.index, g_step))
            vectors = [e.load(right, builder.add(g_row, _I64(k * e.lanes))) for k in range(blocks)]
            sums = []
            for r in range(rows):
                ai = e.broadcast(left, builder.add(a_row, _I64(r)))
                sums += [builder.fadd(loop.values[r * blocks + k], builder.fmul(ai, vectors[k])) for k in range(blocks)]
            loop.close(sums)
            for r in range(rows):
                row = builder.add(o0, builder.mul(o_step, _I64(r)))
                for k in range(blocks):
                    e.store(loop.values[r * blocks + k], o, builder.add(row, _I64(k * e.lanes)))
            return context.get_dummy_value()

        return signature, codegen

    return emit


_outer4x2, _outer4x1 = _outer_ir(4, 2), _outer_ir(4, 1)


@compiled
def _outer_compiled(a, a0, a_step, g, g0, columns, out, o0, rows, count):
    lanes = 64 // a.itemsize
    for row in range(0, rows, 4):
        done = 0
        place = o0 + row * columns
        while columns - done >= 2 * lanes:
            _outer4x2(a, a0 + row, a_step, g, g0 + done, columns, out, place + done, columns, count)
            done += 2 * lanes
        while done < columns:
            _outer4x1(a, a0 + row, a_step, g, g0 + done, columns, out, place + done, columns, count)
            done += lanes


def _outer_plain(
    a: Any, a0: int, a_step: int, g: Any, g0: int, columns: int, out: Any, o0: int, rows: int, count: int
) -> None:
    left, right = a.reshape(-1), g.reshape(-1)
    total = np.zeros((rows, columns), a.dtype)
    for p in range(count):
        x = left[a0 + p * a_step :][:rows]
        total += x[:, None] * right[g0 + p * columns :][None, :columns]
    out.reshape(-1)[o0 : o0 + rows * columns] = total.ravel()


@intrinsic
def _dot_ir(typing, a, a0, b, b0, length):
    signature = a.dtype(a, types.int64, b, types.int64, types.int64)

    def codegen(context, builder, sig, args):
        e = _emitter(builder, sig.args[0])
        left, right = (_data(context, builder, sig.args[k], args[k]) for k in (0, 2))
        loop = _Loop(builder, _I64(0), args[4], e.lanes, [ir.Constant(e.vector, None)])
        place = [builder.add(args[k], loop.index) for k in (1, 3)]
        product = builder.fmul(e.load(left, place[0]), e.load(right, place[1]))
        loop.close([builder.fadd(loop.values[0], product)])
        total = builder.extract_element(loop.values[0], ir.Constant(ir.IntType(32), 0))
        for lane in range(1, e.lanes):
            total = builder.fadd(total, builder.extract_element(loop.values[0], ir.Constant(ir.IntType(32), lane)))
        return total

    return signature, codegen


@inlined
def _dot_compiled(a, a0, b, b0, length):
    return _dot_ir(a, a0, b, b0, length)  # type: ignore[call-arg]


def _dot_plain(a: Any, a0: int, b: Any, b0: int, length: int) -> Any:
    lanes = 64 // a.itemsize
    products = a.reshape(-1)[a0 : a0 + length] * b.reshape(-1)[b0 : b0 + length]
    sums = np.zeros(lanes, a.dtype)
    for part in products.reshape(-1, lanes):
        sums += part
    total = sums[0]
    for lane in range(1, lanes):
        total = total + sums[lane]
    return total


@intrinsic
def _downdate_ir(typing, matrix, m0, length, g, scale):
    signature = types.void(matrix, types.int64, types.int64, g, types.float64)

    def codegen(context, builder, sig, args):
        e = _emitter(builder, sig.args[0])
        m, v = (_data(context, builder, sig.args[k], args[k]) for k in (0, 3))
        factor = e.spread(args[4])
        rows = _Loop(builder, _I64(0), args[2], 1, [])
        gj = e.broadcast(v, rows.index)
        start = builder.add(args[1], builder.mul(rows.index, args[2]))
        columns = _Loop(builder, _I64(0), args[2], e.lanes, [])
        place = builder.add(start, columns.index)
        value = builder.fsub(e.load(m, place), builder.fmul(gj, e.load(v, columns.index)))
        e.store(builder.fmul(value, factor), m, place)
        columns.close([])
        rows.close([])
        return context.get_dummy_value()

    return signature, codegen


@inlined
def _downdate_compiled(matrix, m0, length, g, scale):
    _downdate_ir(matrix, m0, length, g, scale)  # type: ignore[call-arg]


def _downdate_plain(matrix: Any, m0: int, length: int, g: Any, scale: float) -> None:
    block = matrix[m0 : m0 + length * length].reshape(length, length)
    block[:] = (block - g[:length, None] * g[None, :length]) * scale


_ARGUMENT_LIMIT = 44.0
_LOG2_E = 1.4426950408889634
_LN2 = 0.6931471805599453
_TAYLOR = (1.0, 1.0, 0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040)


def _exp_ir(e: _Emitter, x: Any) -> Any:
    """e^x of a vector, by a polynomial in a fixed order and a power of two."""
    builder = e.builder

    def constant(value: float) -> Any:
        return ir.Constant(e.vector, [value] * e.lanes)

    def clamped(value: Any, comparison: str, bound: float) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, value, constant(bound)), value, constant(bound))

    x = clamped(clamped(x, ">", -_ARGUMENT_LIMIT), "<", _ARGUMENT_LIMIT)
    narrow, wide = ir.VectorType(ir.IntType(32), e.lanes), ir.VectorType(_I64, e.lanes)
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
        e = _emitter(builder, sig.args[0])
        source, target = (_data(context, builder, sig.args[k], args[k]) for k in (0, 1))
        loop = _Loop(builder, _I64(0), args[2], e.lanes, [])
        e.store(_exp_ir(e, e.load(source, loop.index)), target, loop.index)
        loop.close([])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _logistic_ir(typing, edge, mean, sharpness, distance, cdf, o0, length):
    signature = types.void(types.float64, mean, sharpness, distance, cdf, types.int64, types.int64)

    def codegen(context, builder, sig, args):
        e = _emitter(builder, sig.args[1])
        means, sharp, t, s = (_data(context, builder, sig.args[k], args[k]) for k in (1, 2, 3, 4))
        x, one = e.spread(args[0]), ir.Constant(e.vector, [1.0] * e.lanes)
        loop = _Loop(builder, _I64(0), args[6], e.lanes, [])
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


_FORM = 1 if numba.config.DISABLE_JIT else 0  # type: ignore[attr-defined]

affine: Any = _AFFINE[_FORM]
"""`affine(weight, w0, rows, columns, x, x0, bias, b0, out, o0)`: out = bias + x @ weight, the rows added in order.

weight is [rows, columns] from the flat index `w0`, x [rows], bias and out [columns]: rows·columns multiply-adds."""

affine_relu: Any = _AFFINE_RELU[_FORM]
"""The same, with negative outputs replaced by zero."""

affine_many: Any = (_affine_many_compiled, _affine_many_plain)[_FORM]
"""`affine_many(weight, w0, rows, columns, x, x0, x_step, bias, b0, b_step, out, o0, o_step, count)`: many `affine`.

The same sums for `count` vectors x, a multiple of 4, which begin `x_step` elements apart; likewise bias and out. Faster
than one at a time where the weights do not fit into the cache nearest to the processor."""

accumulate_outer: Any = (_outer_compiled, _outer_plain)[_FORM]
"""`accumulate_outer(a, a0, a_step, g, g0, columns, out, o0, rows, count)`: sums of outer products.

out [rows, columns] = sum over p < count, in order, of the outer product of a[a0 + p·a_step :][: rows] and
g[g0 + p·columns :][: columns]; rows is a multiple of 4."""

dot: Any = (_dot_compiled, _dot_plain)[_FORM]
"""`dot(a, a0, b, b0, length)`: inner product in one 64-byte vector of partial sums, which are then added in order."""

downdate: Any = (_downdate_compiled, _downdate_plain)[_FORM]
"""`downdate(matrix, m0, length, g, scale)`: matrix [length, length] = (matrix - g gᵀ) · scale.

What is symmetric stays so to the last bit."""

exponential: Any = (_exponential_compiled, _exponential_plain)[_FORM]
"""`exponential(x, out, length)`: out = e^x to 8e-9 of its value, for x clamped to ±44 (what is no number, to -44).

No function of the C library is used, so that every processor gets the same bits. In float64, as the next one."""

logistic: Any = (_logistic_compiled, _logistic_plain)[_FORM]
"""`logistic(edge, mean, sharpness, distance, cdf, o0, length)`: cumulative logistic distributions at one edge.

distance = (edge - mean) · sharpness and cdf = 1 / (1 + e^-distance), written from the flat index `o0` on."""
