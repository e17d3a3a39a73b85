"""What the compiled kernels are emitted with: loops, and vectors of 64 bytes, as LLVM code.

LLVM splits the vectors to what the processor has; the order of the operations stays the one that was written.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types

__all__ = ["FORM", "I64", "Emitter", "Loop", "data_of", "emitter"]

FORM = 1 if numba.config.DISABLE_JIT else 0  # type: ignore[attr-defined]
"""Which of a kernel's two forms is used: compiled, or in numpy with `NUMBA_DISABLE_JIT=1`."""

I64 = ir.IntType(64)


class Loop:
    """A counted LLVM loop `for i in range(start, stop, step)` whose carried values live in registers."""

    def __init__(self, builder: ir.IRBuilder, start: Any, stop: Any, step: int, carried: list[Any]) -> None:
        self._builder, self._step = builder, step
        entry = builder.block
        self._head = builder.append_basic_block("head")
        self._body = builder.append_basic_block("body")
        self._exit = builder.append_basic_block("exit")
        builder.branch(self._head)
        builder.position_at_end(self._head)
        self.index = builder.phi(I64)
        self.index.add_incoming(start, entry)
        self.values = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, entry)
            self.values.append(phi)
        builder.cbranch(builder.icmp_signed("<", self.index, stop), self._body, self._exit)
        builder.position_at_end(self._body)

    def close(self, carried: list[Any]) -> None:
        """End the body; the values that it carries to its next run."""
        builder = self._builder
        self.index.add_incoming(builder.add(self.index, I64(self._step)), builder.block)
        for phi, value in zip(self.values, carried, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(self._head)
        builder.position_at_end(self._exit)


class Emitter:
    """Loads, stores and broadcasts of vectors of one scalar type."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, size: int, lanes: int) -> None:
        self.builder, self.scalar, self.size, self.lanes = builder, scalar, size, lanes
        self.vector = ir.VectorType(scalar, lanes)

    def at(self, base: Any, index: Any, kind: ir.Type) -> Any:
        """Pointer to element `index` (in scalars) of the array at the integer address `base`."""
        address = self.builder.add(base, self.builder.mul(index, I64(self.size)))
        return self.builder.inttoptr(address, kind.as_pointer())

    def load(self, base: Any, index: Any) -> Any:
        """The vector that begins at element `index`."""
        return self.builder.load(self.at(base, index, self.vector), align=self.size, typ=self.vector)

    def store(self, value: Any, base: Any, index: Any) -> None:
        """Write a vector to element `index` and on."""
        self.builder.store(value, self.at(base, index, self.vector), align=self.size)

    def broadcast(self, base: Any, index: Any) -> Any:
        """The scalar at `index`, in every lane."""
        value = self.builder.load(self.at(base, index, self.scalar), align=self.size, typ=self.scalar)
        return self.spread(value)

    def spread(self, value: Any) -> Any:
        """A scalar value in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, mask)


def emitter(builder: ir.IRBuilder, array: Any) -> Emitter:
    """For the element type of an array, float32 or float64."""
    if array.dtype == types.float32:
        return Emitter(builder, ir.FloatType(), 4, 16)
    return Emitter(builder, ir.DoubleType(), 8, 8)


def data_of(context: Any, builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
    """The address of an array's first element, as an integer."""
    return builder.ptrtoint(context.make_array(kind)(context, builder, value).data, I64)
