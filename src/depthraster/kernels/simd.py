"""Short vectors of numbers as values in kernels: for loops that the compiler would not make vectors of by itself.

``access.py`` makes vectors of an array's elements and writes them back, ``shuffles.py`` brings lanes into another order.
Here they are reckoned with, by + - * and / (floats), << and >> (whole numbers), compared by >, >= and ==, and masks, as
whole numbers, taken together by & and |. The functions do as their names say, lane by lane; a scalar as the second operand
counts for every lane, and some take scalars alone, for what is done to one face as to many. Vectors are LLVM's own, so that
each machine gets the widest instructions that it has. The commonest change is another operation: a line of `_OPERATIONS`,
or an intrinsic.
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
    "Vector",
    "align_stack",
    "as_double",
    "as_float",
    "as_int",
    "as_single",
    "as_whole",
    "bits_of",
    "choose",
    "lanes",
    "least",
    "least_lane",
    "lowest_bit",
    "magnitude",
    "most",
    "multiply_add",
    "nearest_whole",
    "negative",
    "none_negative",
    "popcount",
    "root",
    "splat_like",
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


@intrinsic
def align_stack(typing):
    """Have a kernel keep the vectors that it has no register for at cache lines; said once, anywhere in the kernel.

    The compiler would leave them wherever the caller's stack ends, at 16 bytes: three times of four each is across two
    lines, and maybe one across two pages. Deriving layers then takes 1.2 times as long, at worst twice.
    """

    def make(context, builder, sig, args):
        attributes = builder.function.attributes
        attributes.alignstack = 64
        attributes.add("nounwind")  # true of all kernels; where there is none, llvmlite forgets the other
        return context.get_dummy_value()

    return types.void(), make


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
    operator.lshift: lambda builder, lane, a, b: builder.shl(a, b),  # whole numbers only
    operator.rshift: lambda builder, lane, a, b: builder.ashr(a, b),  # likewise, signed
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


def _lane_of(kind: types.Type) -> types.Type:
    return kind.lane if isinstance(kind, Vector) else kind


def _beside(builder: Any, sig: Any, args: Any) -> Any:
    """Return the second of two arguments as what the first is, a vector or a scalar."""
    first = sig.args[0]
    return _as_vector(builder, sig.args[1], args[1], first.n) if isinstance(first, Vector) else args[1]


def lanes(places: list[int]) -> Any:
    """Return numbers of lanes as LLVM takes them to say which go where."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)


@intrinsic
def as_float(typing, value):
    """Return lanes of int32 as float32."""

    def make(context, builder, sig, args):
        return builder.sitofp(args[0], context.get_value_type(sig.return_type))

    return Vector(types.float32, value.n)(value), make


@intrinsic
def as_int(typing, value):
    """Return lanes of fewer bits, without a sign, as int32."""

    def make(context, builder, sig, args):
        return builder.zext(args[0], context.get_value_type(sig.return_type))

    return Vector(types.int32, value.n)(value), make


@intrinsic
def as_double(typing, value):
    """Return lanes of int32 or of floats as float64."""

    def make(context, builder, sig, args):
        kind = context.get_value_type(sig.return_type)
        if kind == args[0].type:
            return args[0]
        return (builder.fpext if isinstance(value.lane, types.Float) else builder.sitofp)(args[0], kind)

    return Vector(types.float64, value.n)(value), make


@intrinsic
def as_single(typing, value):
    """Return lanes of float64 as float32."""

    def make(context, builder, sig, args):
        return builder.fptrunc(args[0], context.get_value_type(sig.return_type))

    return Vector(types.float32, value.n)(value), make


@intrinsic
def as_whole(typing, value):
    """Return lanes of floats as int32, without what comes after the point; they have to fit."""

    def make(context, builder, sig, args):
        return builder.fptosi(args[0], context.get_value_type(sig.return_type))

    return Vector(types.int32, value.n)(value), make


@intrinsic
def nearest_whole(typing, value):
    """Return the nearest int32 to lanes of floats, of two the even one; they have to fit."""

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
    """Return the negatives of floats, or of one."""

    def make(context, builder, sig, args):
        return builder.fneg(args[0])

    return value(value), make


@intrinsic
def magnitude(typing, value):
    """Return floats, or one, without their signs."""

    def make(context, builder, sig, args):
        other = builder.fneg(args[0])
        return builder.select(_compared(builder, ">", _lane_of(value), args[0], other), args[0], other)

    return value(value), make


@intrinsic
def least_lane(typing, value):
    """Return the least of a vector's lanes, of which none is NaN."""

    def make(context, builder, sig, args):
        part, n = args[0], value.n
        while n > 1:
            n //= 2
            nothing = ir.Constant(part.type, ir.Undefined)
            low, high = (builder.shuffle_vector(part, nothing, lanes(list(range(k, k + n)))) for k in (0, n))
            part = builder.select(_compared(builder, "<", value.lane, low, high), low, high)
        return builder.extract_element(part, ir.Constant(ir.IntType(32), 0))

    return value.lane(value), make


@intrinsic
def splat_like(typing, vector, value):
    """Return a vector like another, with a value in every lane; of a scalar, the value."""

    def make(context, builder, sig, args):
        return _splat(builder, args[1], vector.n) if isinstance(vector, Vector) else args[1]

    return vector(vector, _lane_of(vector)), make


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
    """Return a where the mask holds, and b elsewhere; both may be scalars, by a truth."""

    def make(context, builder, sig, args):
        mask = args[0] if isinstance(sig.args[0], Vector) else context.is_true(builder, sig.args[0], args[0])
        return builder.select(mask, *args[1:])

    return a(mask, a, b), make


@intrinsic
def least(typing, a, b):
    """Return the lesser, b where one is NaN; b may be a scalar, or both."""

    def make(context, builder, sig, args):
        other = _beside(builder, sig, args)
        return builder.select(_compared(builder, "<", _lane_of(a), args[0], other), args[0], other)

    return a(a, b), make


@intrinsic
def most(typing, a, b):
    """Return the greater, b where one is NaN; b may be a scalar, or both."""

    def make(context, builder, sig, args):
        other = _beside(builder, sig, args)
        return builder.select(_compared(builder, ">", _lane_of(a), args[0], other), args[0], other)

    return a(a, b), make
