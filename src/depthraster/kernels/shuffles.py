"""The lanes of short vectors, ``simd.py``'s, put together, taken apart and brought into another order.

Nothing is reckoned here: bits stay as they are. The commonest change is another order, as an intrinsic that says to LLVM
which lanes go where; of two ways to say the same, look at what becomes of it on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from depthraster.kernels.simd import Vector, lanes

__all__ = [
    "doubles_in",
    "eight",
    "every_fourth",
    "every_third",
    "fields_of_eight",
    "four",
    "fours",
    "interleaved",
    "lower_half",
    "pair",
    "pairs",
    "shorts_in",
    "singles_in",
    "transposed8",
    "transposed16",
    "two",
    "upper_half",
    "wholes_in",
]


@intrinsic
def pair(typing, low, high):
    """Return two vectors of a type as one."""

    def make(context, builder, sig, args):
        return builder.shuffle_vector(args[0], args[1], lanes(list(range(2 * low.n))))

    return Vector(low.lane, 2 * low.n)(low, high), make


def _part(n: int) -> Callable[..., Any]:
    def part(typing, value, number):
        if not isinstance(number, types.IntegerLiteral):
            return None
        first = n * number.literal_value

        def make(context, builder, sig, args):
            places = lanes(list(range(first, first + n)))
            return builder.shuffle_vector(args[0], ir.Constant(args[0].type, ir.Undefined), places)

        return Vector(value.lane, n)(value, number), make

    part.__doc__ = (
        f"Return one of the parts of {n} lanes that a vector is made of; the number is a constant, from 0."
    )
    return intrinsic(prefer_literal=True)(part)


two, four, eight = _part(2), _part(4), _part(8)


@intrinsic(prefer_literal=True)
def interleaved(typing, a, b, c, number):
    """Return a third of the lanes of three vectors taken in turn, a0 b0 c0 a1 ...; the number is a constant, from 0."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    places = [
        divmod(number.literal_value * a.n + lane, 3) for lane in range(a.n)
    ]  # which lane, of which vector

    def make(context, builder, sig, args):
        both = builder.shuffle_vector(
            args[0], args[1], lanes([lane + a.n * (which % 2) for lane, which in places])
        )
        every = [a.n + lane if which == 2 else k for k, (lane, which) in enumerate(places)]
        return builder.shuffle_vector(both, args[2], lanes(every))

    return a(a, b, c, number), make


@intrinsic(prefer_literal=True)
def every_third(typing, a, b, c, number):
    """Return every third lane of three vectors one after the other, from a lane on; its number is a constant, 0 to 2."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    places = [number.literal_value + 3 * lane for lane in range(a.n)]

    def make(context, builder, sig, args):
        both = builder.shuffle_vector(args[0], args[1], lanes([min(place, 2 * a.n - 1) for place in places]))
        last = [place - a.n if place >= 2 * a.n else lane for lane, place in enumerate(places)]
        return builder.shuffle_vector(both, args[2], lanes(last))

    return a(a, a, a, number), make


@intrinsic(prefer_literal=True)
def every_fourth(typing, a, b, c, d, number):
    """Return every fourth lane of four vectors one after the other, from a lane on; its number is a constant, 0 to 3."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    places = lanes([number.literal_value + 4 * lane for lane in range(a.n // 2)])

    def make(context, builder, sig, args):
        low, high = (builder.shuffle_vector(*args[k : k + 2], places) for k in (0, 2))
        return builder.shuffle_vector(low, high, lanes(list(range(a.n))))

    return a(a, a, a, a, number), make


@intrinsic(prefer_literal=True)
def fours(typing, a, b, c, d, number):
    """Return a quarter of the lanes of four vectors taken in turn, a0 b0 c0 d0 a1 ...; the number is a constant, from 0."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    first, n = number.literal_value * (a.n // 4), a.n // 4

    def make(context, builder, sig, args):
        places = lanes([place for lane in range(first, first + n) for place in (lane, a.n + lane)])
        low, high = (builder.shuffle_vector(*args[k : k + 2], places) for k in (0, 2))
        turns = [2 * lane + side for lane in range(n) for side in (0, 1, 2 * n, 2 * n + 1)]
        return builder.shuffle_vector(low, high, lanes(turns))

    return a(a, a, a, a, number), make


@intrinsic(prefer_literal=True)
def pairs(typing, a, b, number):
    """Return half of the lanes of two vectors taken in turn, a0 b0 a1 ...; the number is a constant, 0 or 1."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    first, n = number.literal_value * (a.n // 2), a.n // 2

    def make(context, builder, sig, args):
        places = [place for lane in range(first, first + n) for place in (lane, a.n + lane)]
        return builder.shuffle_vector(args[0], args[1], lanes(places))

    return a(a, a, number), make


@intrinsic
def fields_of_eight(typing, a, b, c, d):
    """Return the numbers of eight records of four, each as a vector; a has the records 0 and 4, b 1 and 5, and so on."""

    def make(context, builder, sig, args):
        fields = []
        for first in (0, 1):
            turns = lanes([place for lane in range(first, 8, 2) for place in (lane, 8 + lane)])
            low, high = (builder.shuffle_vector(*args[k : k + 2], turns) for k in (0, 2))
            for k in (0, 2):
                places = lanes([k, k + 1, k + 8, k + 9, k + 4, k + 5, k + 12, k + 13])
                fields.append(builder.shuffle_vector(low, high, places))
        return context.make_tuple(builder, sig.return_type, [fields[k] for k in (0, 2, 1, 3)])

    return types.UniTuple(a, 4)(a, a, a, a), make


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of n vectors of n lanes of 32 bits.

    First within parts of four lanes, which is what machines do fast, then part by part.
    """
    n = len(rows)
    halves = [[4 * (lane // 4) + 2 * k + lane % 4 // 2 + n * (lane % 2) for lane in range(n)] for k in (0, 1)]
    twos = [[4 * (lane // 4) + 2 * k + lane % 2 + n * (lane % 4 // 2) for lane in range(n)] for k in (0, 1)]
    mixed: list[Any] = [None] * n
    for part in range(0, n, 4):
        a, b, c, d = rows[part : part + 4]
        for k in (0, 1):
            low, high = (builder.shuffle_vector(*both, lanes(halves[k])) for both in ((a, b), (c, d)))
            for m in (0, 1):
                mixed[part + 2 * k + m] = builder.shuffle_vector(low, high, lanes(twos[m]))
    # Now lane 4 p + r of mixed[4 q + k] is what column 4 p + k has in row 4 q + r.
    step = 4
    while step < n:
        lows = [lane - step + n if lane & step else lane for lane in range(n)]
        highs = [lane + n if lane & step else lane + step for lane in range(n)]
        for first in range(n):
            if not first & step:
                a, b = mixed[first], mixed[first + step]
                mixed[first], mixed[first + step] = (
                    builder.shuffle_vector(a, b, lanes(k)) for k in (lows, highs)
                )
        step *= 2
    return mixed


def _all_transposed(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return context.make_tuple(builder, sig.return_type, _transpose(builder, list(args)))


@intrinsic
def transposed8(typing, a, b, c, d, e, f, g, h):
    """Return the columns of eight vectors of eight lanes of 32 bits."""
    return types.UniTuple(a, 8)(a, a, a, a, a, a, a, a), _all_transposed


@intrinsic
def transposed16(typing, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p):  # noqa: E741
    """Return the columns of sixteen vectors of sixteen lanes of 32 bits."""
    return types.UniTuple(a, 16)(*[a] * 16), _all_transposed


def _half(first: int) -> Callable[..., Any]:
    def half(typing, value):
        def make(context, builder, sig, args):
            whole = ir.VectorType(ir.IntType(64), value.n)
            bits = builder.lshr(builder.bitcast(args[0], whole), ir.Constant(whole, [first] * value.n))
            return builder.trunc(bits, context.get_value_type(sig.return_type))

        return Vector(types.int32, value.n)(value), make

    half.__doc__ = f"Return the bits from number {first} on of lanes of 64 bits, as int32."
    return intrinsic(half)


lower_half, upper_half = _half(0), _half(32)


def _seen_as(lane: types.Type) -> Callable[..., Any]:
    def seen_as(typing, value):
        n = value.n * value.lane.bitwidth // lane.bitwidth

        def make(context, builder, sig, args):
            return builder.bitcast(args[0], context.get_value_type(sig.return_type))

        return Vector(lane, n)(value), make

    seen_as.__doc__ = f"Return the bits of a vector as lanes of {lane}."
    return intrinsic(seen_as)


shorts_in, wholes_in = _seen_as(types.int16), _seen_as(types.int32)
singles_in, doubles_in = _seen_as(types.float32), _seen_as(types.float64)
