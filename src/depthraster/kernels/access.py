"""From memory into short vectors, ``simd.py``'s, and back; past the caches, or into them beforehand.

Places are not checked. The commonest change is a vector of another length: a line of `_loader`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from depthraster.kernels.simd import Vector

__all__ = [
    "before_line",
    "fence",
    "load2",
    "load4",
    "load8",
    "load16",
    "looked_up",
    "prefetch",
    "store",
    "stream",
]


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: Any) -> Any:
    """Return where the elements of a contiguous array from an index on are, as a vector's."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _loader(n: int) -> Callable[..., Any]:
    def load(typing, array, index):
        def make(context, builder, sig, args):
            vector = context.get_value_type(sig.return_type)
            place = _pointer(context, builder, sig.args[0], args[0], args[1], vector)
            return builder.load(place, align=sig.args[0].dtype.bitwidth // 8)

        return Vector(array.dtype, n)(array, index), make

    load.__doc__ = (
        f"Return {n} elements of a contiguous array as they lie, from an index on, which is not checked."
    )
    return intrinsic(load)


load2, load4, load8, load16 = _loader(2), _loader(4), _loader(8), _loader(16)


@intrinsic
def looked_up(typing, array, indices):
    """Return the elements of a one-dimensional contiguous array at a vector of indices, which are not checked."""

    def make(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        found = ir.Constant(context.get_value_type(sig.return_type), ir.Undefined)
        for lane in range(indices.n):
            place = ir.Constant(ir.IntType(32), lane)
            index = builder.sext(builder.extract_element(args[1], place), ir.IntType(64))
            found = builder.insert_element(found, builder.load(builder.gep(data, [index])), place)
        return found

    return Vector(array.dtype, indices.n)(array, indices), make


@intrinsic
def store(typing, array, index, value):
    """Write a vector to a contiguous array as it lies, from an index on, which is not checked."""

    def make(context, builder, sig, args):
        place = _pointer(context, builder, sig.args[0], args[0], args[1], args[2].type)
        builder.store(args[2], place, align=sig.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, value), make


@intrinsic
def stream(typing, array, index, value):
    """Write a vector as `store` does, but past the caches, to a place aligned to its size; a `fence` has to follow."""

    def make(context, builder, sig, args):
        place = _pointer(context, builder, sig.args[0], args[0], args[1], args[2].type)
        written = builder.store(args[2], place, align=sig.args[2].n * sig.args[0].dtype.bitwidth // 8)
        one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        written.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.void(array, index, value), make


@intrinsic
def fence(typing):
    """Have what `stream` has written be there for other threads before anything that is written later."""

    def make(context, builder, sig, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), make


@intrinsic
def before_line(typing, array, index):
    """Return how many bytes after an element of a contiguous array, as it lies, a cache line, of 64 bytes, begins."""

    def make(context, builder, sig, args):
        whole = ir.IntType(64)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.ptrtoint(builder.gep(data, [args[1]]), whole)
        return builder.and_(builder.neg(place), ir.Constant(whole, 63))

    return types.int64(array, index), make


@intrinsic
def prefetch(typing, array, index):
    """Ask for the cache line of an element of a one-dimensional contiguous array, which is not checked, to be read soon."""

    def make(context, builder, sig, args):
        byte = ir.IntType(8)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), byte.as_pointer())
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), whole, whole, whole])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(
            ask, [place, *(ir.Constant(whole, k) for k in (0, 3, 1))]
        )  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(array, index), make
