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

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...codec.entropy.compiled import compiled, inlined
from .emit import FORM, I64, Loop, data_of, emitter

__all__ = ["accumulate_outer", "affine", "affine_many", "affine_relu", "dot", "downdate"]


def _affine_ir(blocks: int, relu: bool) -> Any:
    @intrinsic
    def emit(typing, weight, w0, rows, columns, x, x0, bias, b0, out, o0):
        i64 = types.int64
        signature = types.void(weight, i64, i64, i64, x, i64, bias, i64, out, i64)

        def codegen(context, builder, sig, args):
            e = emitter(builder, sig.args[0])
            w, v, b, o = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 4, 6, 8))
            w0, rows, columns, x0, b0, o0 = (args[k] for k in (1, 2, 3, 5, 7, 9))
            step = [I64(k * e.lanes) for k in range(blocks)]
            loop = Loop(builder, I64(0), rows, 1, [e.load(b, builder.add(b0, k)) for k in step])
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
        e = emitter(builder, sig.args[0])
        w, v, b, o = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 4, 7, 10))
        w0, rows, columns, x0, x_step, b0, b_step, o0, o_step = (args[k] for k in (1, 2, 3, 5, 6, 8, 9, 11, 12))
        each = [I64(k) for k in range(_PIXELS)]
        places = [builder.add(b0, builder.mul(b_step, k)) for k in each]
        loop = Loop(builder, I64(0), rows, 1, [e.load(b, place) for place in places])
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
            e = emitter(builder, sig.args[0])
            left, right, o = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 3, 6))
            a0, a_step, g0, g_step, o0, o_step, count = (args[k] for k in (1, 2, 4, 5, 7, 8, 9))
            zero = ir.Constant(e.vector, None)
            loop = Loop(builder, I64(0), count, 1, [zero] * (rows * blocks))
            a_row = builder.add(a0, builder.mul(loop.index, a_step))
            g_row = builder.add(g0, builder.mul(loop.index, g_step))
            vectors = [e.load(right, builder.add(g_row, I64(k * e.lanes))) for k in range(blocks)]
            sums = []
            for r in range(rows):
                ai = e.broadcast(left, builder.add(a_row, I64(r)))
                sums += [builder.fadd(loop.values[r * blocks + k], builder.fmul(ai, vectors[k])) for k in range(blocks)]
            loop.close(sums)
            for r in range(rows):
                row = builder.add(o0, builder.mul(o_step, I64(r)))
                for k in range(blocks):
                    e.store(loop.values[r * blocks + k], o, builder.add(row, I64(k * e.lanes)))
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
        e = emitter(builder, sig.args[0])
        left, right = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 2))
        loop = Loop(builder, I64(0), args[4], e.lanes, [ir.Constant(e.vector, None)])
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
        e = emitter(builder, sig.args[0])
        m, v = (data_of(context, builder, sig.args[k], args[k]) for k in (0, 3))
        factor = e.spread(args[4])
        rows = Loop(builder, I64(0), args[2], 1, [])
        gj = e.broadcast(v, rows.index)
        start = builder.add(args[1], builder.mul(rows.index, args[2]))
        columns = Loop(builder, I64(0), args[2], e.lanes, [])
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


affine: Any = _AFFINE[FORM]
"""`affine(weight, w0, rows, columns, x, x0, bias, b0, out, o0)`: out = bias + x @ weight, the rows added in order.

weight is [rows, columns] from the flat index `w0`, x [rows], bias and out [columns]: rows·columns multiply-adds."""

affine_relu: Any = _AFFINE_RELU[FORM]
"""The same, with negative outputs replaced by zero."""

affine_many: Any = (_affine_many_compiled, _affine_many_plain)[FORM]
"""`affine_many(weight, w0, rows, columns, x, x0, x_step, bias, b0, b_step, out, o0, o_step, count)`: many `affine`.

The same sums for `count` vectors x, a multiple of 4, which begin `x_step` elements apart; likewise bias and out. Faster
than one at a time where the weights do not fit into the cache nearest to the processor."""

accumulate_outer: Any = (_outer_compiled, _outer_plain)[FORM]
"""`accumulate_outer(a, a0, a_step, g, g0, columns, out, o0, rows, count)`: sums of outer products.

out [rows, columns] = sum over p < count, in order, of the outer product of a[a0 + p·a_step :][: rows] and
g[g0 + p·columns :][: columns]; rows is a multiple of 4."""

dot: Any = (_dot_compiled, _dot_plain)[FORM]
"""`dot(a, a0, b, b0, length)`: inner product in one 64-byte vector of partial sums, which are then added in order."""

downdate: Any = (_downdate_compiled, _downdate_plain)[FORM]
"""`downdate(matrix, m0, length, g, scale)`: matrix [length, length] = (matrix - g gᵀ) · scale.

What is symmetric stays so to the last bit."""
