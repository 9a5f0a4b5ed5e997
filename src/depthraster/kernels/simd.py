"""Short vectors of numbers as values in kernels: for loops that the compiler would not make vectors of by itself.

`load4`, `load8`, `load16` and `pair` make vectors of an array's elements, `store` and `stream` write them back, and
`prefetch` has the elements come nearer beforehand; vectors are reckoned with by + - * and / (floats), compared by >, >= and
==, and masks are taken together by & and |. The functions do as their names say, lane by lane; a scalar as the second
operand counts for every lane. Vectors are LLVM's own, so that each machine gets the widest instructions that it has. The
commonest change is another operation: a line of `_OPERATIONS`, or an intrinsic.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

__all__ = [
    "as_float",
    "as_whole",
    "before_line",
    "bits_of",
    "choose",
    "eight",
    "fence",
    "four",
    "interleaved",
    "least",
    "least_lane",
    "load4",
    "load8",
    "load16",
    "lowest_bit",
    "most",
    "multiply_add",
    "nearest_whole",
    "negative",
    "none_negative",
    "pair",
    "popcount",
    "prefetch",
    "root",
    "splat_like",
    "store",
    "stream",
    "vector4",
]


class Vector(types.Type):
    """The type of n lanes of a scalar type."""

    def __init__(self, lane: types.Type, n: int) -> None:
        self.lane, self.n = lane, n
        super().__init__(name=f"Vector({lane}, {n})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        lane = ir.IntType(1) if kind.lane == types.boolean else manager.lookup(kind.lane).get_value_type()
        super().__init__(manager, kind, ir.VectorType(lane, kind.n))


def _splat(builder: Any, value: Any, n: int) -> Any:
    kind = ir.VectorType(value.type, n)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    every = ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), every)


def _as_vector(builder: Any, kind: types.Type, value: Any, n: int) -> Any:
    return value if isinstance(kind, Vector) else _splat(builder, value, n)


def _compared(builder: Any, sign: str, lane: types.Type, a: Any, b: Any) -> Any:
    compare = builder.fcmp_ordered if isinstance(lane, types.Float) else builder.icmp_signed
    return compare(sign, a, b)


def _either(whole: str, real: str) -> Callable[..., Any]:
    """Return what makes an operation by the builder's method for whole numbers, or by that for floats."""
    return lambda builder, lane, a, b: getattr(builder, real if isinstance(lane, types.Float) else whole)(
        a, b
    )


_OPERATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    operator.add: _either("add", "fadd"),
    operator.sub: _either("sub", "fsub"),
    operator.mul: _either("mul", "fmul"),
    operator.truediv: lambda builder, lane, a, b: builder.fdiv(a, b),  # floats only
    operator.and_: lambda builder, lane, a, b: builder.and_(a, b),
    operator.or_: lambda builder, lane, a, b: builder.or_(a, b),
    operator.gt: lambda builder, lane, a, b: _compared(builder, ">", lane, a, b),
    operator.ge: lambda builder, lane, a, b: _compared(builder, ">=", lane, a, b),
    operator.eq: lambda builder, lane, a, b: _compared(builder, "==", lane, a, b),
}
_GIVE_MASKS = (operator.gt, operator.ge, operator.eq)


def _provide(symbol: Callable[..., Any], make: Callable[..., Any]) -> None:
    @infer_global(symbol)
    class Template(AbstractTemplate):  # type: ignore[misc,unused-ignore]
        def generic(self, args: Any, kws: Any) -> Any:
            if (
                kws
                or len(args) != 2
                or not isinstance(args[0], Vector)
                or args[1] not in (args[0], args[0].lane)
            ):
                return None
            return signature(Vector(types.boolean, args[0].n) if symbol in _GIVE_MASKS else args[0], *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return make(
            builder, sig.args[0].lane, args[0], _as_vector(builder, sig.args[1], args[1], sig.args[0].n)
        )

    lower_builtin(symbol, Vector, types.Any)(lower)


for _symbol, _make in _OPERATIONS.items():
    _provide(_symbol, _make)


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
        f"Return {n} elements of a one-dimensional contiguous array, from an index on, which is not checked."
    )
    return intrinsic(load)


load4, load8, load16 = _loader(4), _loader(8), _loader(16)


@intrinsic
def store(typing, array, index, value):
    """Write a vector to a one-dimensional contiguous array, from an index on, which is not checked."""

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
    """Return how many bytes after an element of a one-dimensional contiguous array a cache line, of 64 bytes, begins."""

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


def _lanes(places: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)


@intrinsic
def pair(typing, low, high):
    """Return two vectors of a type as one."""

    def make(context, builder, sig, args):
        return builder.shuffle_vector(args[0], args[1], _lanes(list(range(2 * low.n))))

    return Vector(low.lane, 2 * low.n)(low, high), make


def _part(n: int) -> Callable[..., Any]:
    def part(typing, value, number):
        if not isinstance(number, types.IntegerLiteral):
            return None
        first = n * number.literal_value

        def make(context, builder, sig, args):
            places = _lanes(list(range(first, first + n)))
            return builder.shuffle_vector(args[0], ir.Constant(args[0].type, ir.Undefined), places)

        return Vector(value.lane, n)(value, number), make

    part.__doc__ = (
        f"Return one of the parts of {n} lanes that a vector is made of; the number is a constant, from 0."
    )
    return intrinsic(prefer_literal=True)(part)


four, eight = _part(4), _part(8)


@intrinsic(prefer_literal=True)
def interleaved(typing, a, b, c, number):
    """Return a third of the lanes of three vectors taken in turn, a0 b0 c0 a1 ...; the number is a constant, from 0."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    places = [
        divmod(number.literal_value * a.n + lane, 3) for lane in range(a.n)
    ]  # which lane, of which vector

    def make(context, builder, sig, args):
        two = builder.shuffle_vector(
            args[0], args[1], _lanes([lane + a.n * (which % 2) for lane, which in places])
        )
        every = [a.n + lane if which == 2 else k for k, (lane, which) in enumerate(places)]
        return builder.shuffle_vector(two, args[2], _lanes(every))

    return a(a, b, c, number), make


@intrinsic
def as_float(typing, value):
    """Return lanes of int32 as float32."""

    def make(context, builder, sig, args):
        return builder.sitofp(args[0], context.get_value_type(sig.return_type))

    return Vector(types.float32, value.n)(value), make


@intrinsic
def as_whole(typing, value):
    """Return lanes of float32 as int32, without what comes after the point; they have to fit."""

    def make(context, builder, sig, args):
        return builder.fptosi(args[0], context.get_value_type(sig.return_type))

    return Vector(types.int32, value.n)(value), make


@intrinsic
def nearest_whole(typing, value):
    """Return the nearest int32 to lanes of float32, of two the even one; they have to fit."""

    def make(context, builder, sig, args):
        kind = ir.FunctionType(args[0].type, [args[0].type])
        name = f"llvm.rint.v{value.n}f{value.lane.bitwidth}"
        rounded = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)
        return builder.fptosi(rounded, context.get_value_type(sig.return_type))

    return Vector(types.int32, value.n)(value), make


@intrinsic
def bits_of(typing, mask):
    """Return a mask as a whole number: its lanes are the bits, the first the lowest."""

    def make(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(mask.n)), ir.IntType(64))

    return types.int64(mask), make


@intrinsic
def popcount(typing, bits):
    """Return how many bits of an int64 are set."""

    def make(context, builder, sig, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), make


@intrinsic
def lowest_bit(typing, bits):
    """Return the number of the lowest bit of a uint64 that is set; one has to be."""

    def make(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), make


@intrinsic
def negative(typing, value):
    """Return the negatives of floats."""

    def make(context, builder, sig, args):
        return builder.fneg(args[0])

    return value(value), make


@intrinsic
def least_lane(typing, value):
    """Return the least of a vector's lanes, of which none is NaN."""

    def make(context, builder, sig, args):
        part, n = args[0], value.n
        while n > 1:
            n //= 2
            nothing = ir.Constant(part.type, ir.Undefined)
            low, high = (builder.shuffle_vector(part, nothing, _lanes(list(range(k, k + n)))) for k in (0, n))
            part = builder.select(_compared(builder, "<", value.lane, low, high), low, high)
        return builder.extract_element(part, ir.Constant(ir.IntType(32), 0))

    return value.lane(value), make


@intrinsic
def splat_like(typing, vector, value):
    """Return a vector like another, with a value in every lane."""

    def make(context, builder, sig, args):
        return _splat(builder, args[1], vector.n)

    return Vector(vector.lane, vector.n)(vector, vector.lane), make


@intrinsic
def vector4(typing, a, b, c, d):
    """Return four scalars of a type as a vector."""

    def make(context, builder, sig, args):
        value = ir.Constant(ir.VectorType(args[0].type, 4), ir.Undefined)
        for place, arg in enumerate(args):
            value = builder.insert_element(value, arg, ir.Constant(ir.IntType(32), place))
        return value

    return Vector(a, 4)(a, a, a, a), make


@intrinsic
def multiply_add(typing, a, b, c):
    """Return a b + c, rounded once where the machine does that fast and twice elsewhere; b and c may be scalars, or all."""

    def make(context, builder, sig, args):
        if isinstance(a, Vector):
            args = args[0], *(_as_vector(builder, sig.args[k], args[k], a.n) for k in (1, 2))
        lane = a.lane if isinstance(a, Vector) else a
        name = f"llvm.fmuladd.{f'v{a.n}' if isinstance(a, Vector) else ''}f{lane.bitwidth}"
        kind = ir.FunctionType(args[0].type, [args[0].type] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return a(a, b, c), make


@intrinsic
def root(typing, value):
    """Return the square roots."""

    def make(context, builder, sig, args):
        kind = ir.FunctionType(args[0].type, [args[0].type])
        name = f"llvm.sqrt.v{value.n}f{value.lane.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return value(value), make


@intrinsic
def none_negative(typing, a, b, c):
    """Return a mask of the lanes in which none of three is less than 0: which of two zeros counts as less is not said."""

    def make(context, builder, sig, args):
        whole = ir.VectorType(ir.IntType(a.lane.bitwidth), a.n)
        bits = builder.or_(
            builder.or_(*(builder.bitcast(v, whole) for v in args[:2])), builder.bitcast(args[2], whole)
        )
        return builder.icmp_signed(">=", bits, ir.Constant(whole, [0] * a.n))

    return Vector(types.boolean, a.n)(a, b, c), make


@intrinsic
def choose(typing, mask, a, b):
    """Return a where the mask holds, and b elsewhere."""

    def make(context, builder, sig, args):
        return builder.select(*args)

    return a(mask, a, b), make


@intrinsic
def least(typing, a, b):
    """Return the lesser, b where one is NaN; b may be a scalar."""

    def make(context, builder, sig, args):
        other = _as_vector(builder, sig.args[1], args[1], a.n)
        return builder.select(_compared(builder, "<", a.lane, args[0], other), args[0], other)

    return a(a, b), make


@intrinsic
def most(typing, a, b):
    """Return the greater, b where one is NaN; b may be a scalar."""

    def make(context, builder, sig, args):
        other = _as_vector(builder, sig.args[1], args[1], a.n)
        return builder.select(_compared(builder, ">", a.lane, args[0], other), args[0], other)

    return a(a, b), make
