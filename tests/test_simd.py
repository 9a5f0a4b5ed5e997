"""Vectors as values: each function, lane by lane, is numpy's."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from depthraster.kernels.simd import (
    as_float,
    as_whole,
    before_line,
    bits_of,
    choose,
    eight,
    fence,
    four,
    interleaved,
    least,
    least_lane,
    load4,
    load8,
    load16,
    lowest_bit,
    most,
    multiply_add,
    nearest_whole,
    negative,
    none_negative,
    pair,
    popcount,
    prefetch,
    root,
    splat_like,
    store,
    stream,
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
        return least_lane(x)

    for _ in range(50):
        a, b, c = RNG.choice([-2.0, -1.0, -0.5, 0.25, 0.5, 1.0, 3.0], (3, 8))
        out = np.empty((5, 8))
        assert reckoned(a, b, c, out) == a.min()
        expected = a + b, a - 0.5, -a, a * b + c, np.where((a >= 0) & (b >= 0) & (c >= 0), a, b)
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
