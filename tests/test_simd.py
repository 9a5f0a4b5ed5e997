"""Vectors as values: each function, lane by lane, is numpy's."""

from __future__ import annotations

import platform
import re

import numba
import numpy as np
import pytest

from depthraster.kernels.access import (
    before_line,
    fence,
    load2,
    load4,
    load8,
    load16,
    looked_up,
    prefetch,
    store,
    stream,
)
from depthraster.kernels.shuffles import (
    doubles_in,
    eight,
    every_fourth,
    every_third,
    fields_of_eight,
    four,
    fours,
    interleaved,
    lower_half,
    pair,
    pairs,
    shorts_in,
    singles_in,
    transposed8,
    transposed16,
    two,
    upper_half,
    wholes_in,
)
from depthraster.kernels.simd import (
    align_stack,
    as_double,
    as_float,
    as_int,
    as_single,
    as_whole,
    bits_of,
    choose,
    least,
    least_lane,
    lowest_bit,
    magnitude,
    most,
    multiply_add,
    nearest_whole,
    negative,
    none_negative,
    popcount,
    root,
    splat_like,
    vector4,
)

RNG = np.random.default_rng(0)


def test_parts_of_arrays_from_anywhere():
    @numba.njit
    def swapped(source, target, first):
        whole = pair(load8(source, first), pair(load4(source, first + 20), load4(source, 0)))
        store(target, 1, eight(whole, 1))
        store(target, 9, four(whole, 1))
        store(target, 13, splat_like(four(whole, 0), source[2]))
        store(target, 17, vector4(source[3], source[2], source[1], source[0]))

    for kind in (np.float32, np.int32, np.float64):
        source, target = np.arange(40).astype(kind), np.full(24, -1, kind)
        swapped(source, target, 5)
        expected = [-1, 25, 26, 27, 28, 0, 1, 2, 3, 9, 10, 11, 12, 2, 2, 2, 2, 3, 2, 1, 0, -1, -1, -1]
        np.testing.assert_array_equal(target, np.array(expected, kind))


def test_what_is_asked_for_ahead_may_lie_anywhere():
    @numba.njit
    def summed(source, ahead):
        total = 0.0
        for i in range(source.shape[0]):
            prefetch(source, i + ahead)
            total += source[i]
        return total

    for kind in (np.float32, np.int32, np.float64):
        for ahead in (-(10**6), 0, 7, 10**9):
            assert summed(np.arange(100).astype(kind), ahead) == 4950


@numba.njit
def _streamed(source, target, at):
    stream(target, at, load16(source, 3))
    fence()


def test_where_lines_begin():
    @numba.njit
    def before(array, index):
        return before_line(array, index)

    for kind in (np.float32, np.int32, np.float64):
        array = np.zeros(100, kind)
        for index in range(40):
            assert before(array, index) == -(array.ctypes.data + index * array.itemsize) % 64


def test_vectors_past_the_caches():
    for kind in (np.float32, np.int32, np.float64):
        source, target = np.arange(40).astype(kind), np.zeros(100, kind)
        at = -target.ctypes.data % (16 * target.itemsize) // target.itemsize
        _streamed(source, target, at)
        np.testing.assert_array_equal(target, np.pad(source[3:19], (at, 84 - at)))


def test_nearest_whole_numbers():
    @numba.njit
    def rounded(source, target):
        store(target, 0, nearest_whole(load16(source, 0)))

    source = np.array(
        [0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 1e6, -1e6, 2e9, -2e9, 3.7, -3.7, 7.5, -8.5],
        np.float32,
    )
    target = np.zeros(16, np.int32)
    rounded(source, target)
    np.testing.assert_array_equal(target, np.rint(source).astype(np.int32))


def test_numbers_lane_by_lane():
    @numba.njit
    def reckoned(a, b, c, out):
        x, y, z = load8(a, 0), load8(b, 0), load8(c, 0)
        store(out[0], 0, least(x, y))
        store(out[1], 0, most(x, y))
        store(out[2], 0, most(x, np.float32(0.25)))
        store(out[3], 0, choose(x > y, x, z))
        store(out[4], 0, choose((x > y) & (x == z), x, y))
        store(out[5], 0, choose((x > np.float32(0.5)) | (y > z), x, z))
        store(out[6], 0, choose(none_negative(x, y, z), x, y))
        store(out[7], 0, multiply_add(x, y, z))
        store(out[8], 0, multiply_add(x, np.float32(3.0), np.float32(-1.0)))

    for _ in range(50):
        a, b, c = RNG.choice([-2.0, -1.0, -0.5, 0.25, 0.5, 1.0, 3.0], (3, 8)).astype(np.float32)
        out = np.empty((9, 8), np.float32)
        reckoned(a, b, c, out)
        expected = (
            np.minimum(a, b), np.maximum(a, b), np.maximum(a, 0.25), np.where(a > b, a, c),
            np.where((a > b) & (a == c), a, b), np.where((a > 0.5) | (b > c), a, c),
            np.where((a >= 0) & (b >= 0) & (c >= 0), a, b), a * b + c, 3 * a - 1,
        )  # fmt: skip
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_arithmetic(kind):
    @numba.njit
    def reckoned(a, b, out):
        x, y = load8(a, 0), load8(b, 0)
        store(out[0], 0, x + y)
        store(out[1], 0, x - y)
        store(out[2], 0, x * y)
        store(out[3], 0, x / y)
        store(out[4], 0, x * b[1] + a[1])
        store(out[5], 0, root(y))
        store(out[6], 0, multiply_add(x, b[0], y))
        out[7, 0] = multiply_add(a[0], b[1], a[2])

    a, b = RNG.normal(size=8).astype(kind), RNG.uniform(0.5, 2, 8).astype(kind)
    out = np.zeros((8, 8), kind)
    reckoned(a, b, out)
    np.testing.assert_array_equal(out[:4], [a + b, a - b, a * b, a / b])
    close = 4 * np.finfo(kind).eps
    np.testing.assert_allclose(out[4], a * b[1] + a[1], rtol=0, atol=4 * close)
    np.testing.assert_array_equal(out[5], np.sqrt(b))
    np.testing.assert_allclose(out[6], a * b[0] + b, rtol=0, atol=4 * close)
    np.testing.assert_allclose(out[7, 0], a[0] * b[1] + a[2], rtol=0, atol=4 * close)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_vectors_in_turn(kind):
    @numba.njit
    def together(a, b, c, out):
        x, y, z = load8(a, 0), load8(b, 0), load8(c, 0)
        store(out, 1, interleaved(x, y, z, 0))
        store(out, 9, interleaved(x, y, z, 1))
        store(out, 17, interleaved(x, y, z, 2))
        x, y, z = load16(a, 0), load16(b, 0), load16(c, 0)
        store(out, 25, interleaved(x, y, z, 0))
        store(out, 41, interleaved(x, y, z, 1))
        store(out, 57, interleaved(x, y, z, 2))

    rows = np.arange(48).astype(kind).reshape(3, 16)
    out = np.full(74, -1, kind)
    together(*rows, out)
    expected = [-1, *rows[:, :8].T.ravel(), *rows.T.ravel(), -1]
    np.testing.assert_array_equal(out, np.array(expected, kind))


def test_what_is_not_a_number_gives_the_second():
    @numba.njit
    def chosen(a, b, out):
        store(out[0], 0, least(load4(a, 0), load4(b, 0)))
        store(out[1], 0, most(load4(a, 0), load4(b, 0)))

    a, b = np.array([np.nan, 1.0, np.inf, 2.0], np.float32), np.array([3.0, np.nan, 4.0, 5.0], np.float32)
    out = np.empty((2, 4), np.float32)
    chosen(a, b, out)
    np.testing.assert_array_equal(out, np.array([[3, np.nan, 4, 2], [3, np.nan, np.inf, 5]], np.float32))


def test_whole_numbers():
    @numba.njit
    def differences(a, b, out, whole):
        x = load4(a, 0) - b
        store(whole, 0, x)
        store(out, 0, as_float(x))
        store(whole, 4, most(x, load4(a, 4)))

    for _ in range(20):
        a = RNG.integers(-(2**31), 2**31, 8).astype(np.int32)
        b = np.int32(RNG.integers(-(2**31), 2**31))
        out, whole = np.empty(4, np.float32), np.empty(8, np.int32)
        differences(a, b, out, whole)
        with np.errstate(over="ignore"):
            expected = a[:4] - b  # they wrap
        np.testing.assert_array_equal(whole[:4], expected)
        np.testing.assert_array_equal(out, expected.astype(np.float32))
        np.testing.assert_array_equal(whole[4:], np.maximum(expected, a[4:]))


def test_doubles():
    @numba.njit
    def reckoned(a, b, c, out):
        x, y, z = load8(a, 0), load8(b, 0), load8(c, 0)
        store(out[0], 0, x + y)
        store(out[1], 0, x - 0.5)
        store(out[2], 0, negative(x))
        store(out[3], 0, multiply_add(x, y, z))
        store(out[4], 0, choose(none_negative(x, y, z), x, y))
        store(out[5], 0, magnitude(x))
        return least_lane(x)

    for _ in range(50):
        a, b, c = RNG.choice([-2.0, -1.0, -0.5, 0.25, 0.5, 1.0, 3.0], (3, 8))
        out = np.empty((6, 8))
        assert reckoned(a, b, c, out) == a.min()
        first = np.where((a >= 0) & (b >= 0) & (c >= 0), a, b)
        expected = a + b, a - 0.5, -a, a * b + c, first, np.abs(a)
        np.testing.assert_array_equal(out, expected)


def test_masks_as_bits():
    @numba.njit
    def bits(a, b):
        x, y = load8(a, 0), load8(b, 0)
        some = bits_of((x >= y) & (x >= np.float32(0.0)))
        return some, popcount(some), bits_of(four(x, 1) > four(y, 1))

    for _ in range(50):
        a, b = RNG.integers(-2, 3, (2, 8)).astype(np.float32)
        some, n, last = bits(a, b)
        assert some == sum(1 << k for k in np.flatnonzero((a >= b) & (a >= 0)))
        assert n == ((a >= b) & (a >= 0)).sum()
        assert last == sum(1 << k for k in np.flatnonzero(a[4:] > b[4:]))


def test_floats_become_whole():
    @numba.njit
    def whole(a, out):
        store(out, 0, as_whole(load8(a, 0)))

    a, out = np.array([0.0, -0.0, 0.99, 1.0, -0.99, -1.5, 7e6, -7e6], np.float32), np.empty(8, np.int32)
    whole(a, out)
    np.testing.assert_array_equal(out, np.trunc(a))


def test_lowest_bits():
    @numba.njit
    def lowest(bits):
        return lowest_bit(bits)

    for k in range(64):
        assert lowest(np.uint64((2**63 + 5) << k & (2**64 - 1))) == k


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_lanes_in_another_order(kind):
    @numba.njit
    def ordered(a, out):
        p, q, r, s = load8(a, 0), load8(a, 8), load8(a, 16), load8(a, 24)
        store(out, 0, every_third(p, q, r, 0))
        store(out, 8, every_third(p, q, r, 1))
        store(out, 16, every_third(p, q, r, 2))
        store(out, 24, every_fourth(p, q, r, s, 0))
        store(out, 32, every_fourth(p, q, r, s, 1))
        store(out, 40, every_fourth(p, q, r, s, 2))
        store(out, 48, every_fourth(p, q, r, s, 3))
        store(out, 56, fours(p, q, r, s, 0))
        store(out, 64, fours(p, q, r, s, 1))
        store(out, 72, fours(p, q, r, s, 2))
        store(out, 80, fours(p, q, r, s, 3))
        store(out, 88, pairs(p, q, 0))
        store(out, 96, pairs(p, q, 1))
        store(out, 104, pair(pair(load2(a, 3), load2(a, 30)), pair(two(q, 3), two(p, 0))))

    a, out = np.arange(32).astype(kind), np.empty(112, kind)
    ordered(a, out)
    expected = [
        a[:24].reshape(8, 3).T, a.reshape(8, 4).T, a.reshape(4, 8).T, a[:16].reshape(2, 8).T, [3, 4, 30, 31, 14, 15, 0, 1],
    ]  # fmt: skip
    np.testing.assert_array_equal(out, np.concatenate([np.ravel(part) for part in expected]))


def test_fields_of_records():
    @numba.njit
    def taken(records, out):
        a, b = pair(load4(records, 0), load4(records, 16)), pair(load4(records, 4), load4(records, 20))
        c, d = pair(load4(records, 8), load4(records, 24)), pair(load4(records, 12), load4(records, 28))
        first, second, third, fourth = fields_of_eight(a, b, c, d)
        store(out[0], 0, first)
        store(out[1], 0, second)
        store(out[2], 0, third)
        store(out[3], 0, fourth)

    records, out = RNG.normal(size=(8, 4)), np.empty((4, 8))
    taken(records.ravel(), out)
    np.testing.assert_array_equal(out, records.T)


def test_columns_of_rows():
    @numba.njit
    def turn8(rows, columns):
        a, b, c, d, e, f, g, h = transposed8(
            load8(rows, 0), load8(rows, 8), load8(rows, 16), load8(rows, 24), load8(rows, 32), load8(rows, 40),
            load8(rows, 48), load8(rows, 56),
        )  # fmt: skip
        for k, column in enumerate((a, b, c, d, e, f, g, h)):
            store(columns, 8 * k, column)

    @numba.njit
    def turn16(rows, columns):
        found = transposed16(
            load16(rows, 0), load16(rows, 16), load16(rows, 32), load16(rows, 48), load16(rows, 64), load16(rows, 80),
            load16(rows, 96), load16(rows, 112), load16(rows, 128), load16(rows, 144), load16(rows, 160),
            load16(rows, 176), load16(rows, 192), load16(rows, 208), load16(rows, 224), load16(rows, 240),
        )  # fmt: skip
        for k, column in enumerate(found):
            store(columns, 16 * k, column)

    for turn, n in ((turn8, 8), (turn16, 16)):
        rows = RNG.integers(-(2**31), 2**31, n * n, np.int32)
        columns = np.zeros_like(rows)
        turn(rows, columns)
        np.testing.assert_array_equal(columns.reshape(n, n), rows.reshape(n, n).T)


def test_bytes_become_whole():
    @numba.njit
    def widen(numbers, found):
        store(found, 0, as_int(load8(numbers, 0)))

    numbers, found = np.array([0, 1, 127, 128, 254, 255, 7, 8], np.uint8), np.zeros(8, np.int32)
    widen(numbers, found)
    np.testing.assert_array_equal(found, numbers)


def test_elements_here_and_there():
    @numba.njit
    def look_up(numbers, places, found):
        store(found, 0, looked_up(numbers, load8(places, 0)))

    for dtype in (np.int32, np.float64):
        numbers, places = RNG.permutation(100).astype(dtype), RNG.integers(0, 100, 8, np.int32)
        found = np.zeros(8, dtype)
        look_up(numbers, places, found)
        np.testing.assert_array_equal(found, numbers[places])


def test_bits_as_other_lanes():
    @numba.njit
    def seen(a, b, shorts, wholes, doubles, singles):
        p, q = load8(a, 0), load8(b, 0)
        store(shorts, 0, most(shorts_in(p), shorts_in(q)))
        store(shorts, 32, shorts_in(p) + shorts_in(q))
        store(wholes, 0, lower_half(p))
        store(wholes, 8, upper_half(p))
        store(wholes, 16, (lower_half(p) << np.int32(5)) >> np.int32(9))
        store(doubles, 0, doubles_in(pairs(wholes_in(p), wholes_in(q), 1)))
        store(singles, 0, singles_in(wholes_in(q)))

    a, b = RNG.integers(-(2**63), 2**63, (2, 8))
    shorts, wholes, doubles = np.empty(64, np.int16), np.empty(24, np.int32), np.empty(8)
    singles = np.empty(16, np.float32)
    seen(a.view(np.float64), b.view(np.float64), shorts, wholes, doubles, singles)
    np.testing.assert_array_equal(singles.view(np.int64), b)
    p, q = a.view(np.int16), b.view(np.int16)
    np.testing.assert_array_equal(shorts, np.concatenate([np.maximum(p, q), p + q]))
    p, q = a.view(np.int32), b.view(np.int32)
    np.testing.assert_array_equal(wholes, np.concatenate([p[::2], p[1::2], (p[::2] << 5) >> 9]))
    np.testing.assert_array_equal(doubles.view(np.int32), np.stack([p[8:], q[8:]], axis=1).ravel())


def test_other_kinds_of_numbers():
    @numba.njit
    def changed(doubles, wholes, single, double):
        store(single, 0, as_single(load8(doubles, 0)))
        store(double, 0, as_double(load8(wholes, 0)))
        store(double, 8, as_double(load8(single, 0)))

    doubles, wholes = RNG.normal(size=8), RNG.integers(-(2**31), 2**31, 8).astype(np.int32)
    single, double = np.empty(8, np.float32), np.empty(16)
    changed(doubles, wholes, single, double)
    np.testing.assert_array_equal(single, doubles.astype(np.float32))
    np.testing.assert_array_equal(double, np.concatenate([wholes, doubles.astype(np.float32)]))


def test_scalars_as_vectors_of_one():
    @numba.njit
    def reckoned(a, b):
        return least(a, b), most(a, b), choose(a > b, a, b), splat_like(a, b), negative(a)

    for a, b in ((1.0, 2.0), (-3.0, -4.0), (np.nan, 5.0), (np.inf, 0.0)):
        expected = (a if a < b else b, a if a > b else b, a if a > b else b, b, -a)
        np.testing.assert_array_equal(reckoned(a, b), expected)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="knows the assembly of x86-64 only")
def test_stack_is_aligned_where_asked_for():
    @numba.njit
    def plain(source, target):
        store(target, 0, load8(source, 0))

    @numba.njit
    def aligned(source, target):
        align_stack()
        store(target, 0, load8(source, 0))

    for function, expected in ((plain, False), (aligned, True)):
        target = np.zeros(8)
        function(np.arange(8.0), target)
        np.testing.assert_array_equal(target, np.arange(8.0))
        assembly = "\n".join(function.inspect_asm().values())
        assert (re.search(r"and\w*\s+\$-64,\s*%rsp", assembly) is not None) == expected
