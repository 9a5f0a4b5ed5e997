"""The vertices of a cluster, transformed and projected for one tile.

Coverage and depth follow from places in the plane of rays. Where in the image a vertex is only says which pixels are
looked at: float32 is enough for that, where boxes of pixels are as much larger as it rounds by (`lens.rounding_bound`).
What becomes of the faces is for ``staging.py`` to say, which lenses there are for ``lens.py`` and ``inverse.py``. The
commonest change is another number that all faces need of a vertex: a row of `place_vertices`, and a place in what
`turn_out` writes.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import load8, load16, store
from depthraster.kernels.clusters import LANES, MAX_VERTICES
from depthraster.kernels.inverse import pixels_of
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.shuffles import doubles_in, every_third, fours, pair, pairs
from depthraster.kernels.simd import (
    as_double,
    as_single,
    as_whole,
    bits_of,
    choose,
    least,
    most,
    multiply_add,
    negative,
    splat_like,
)

__all__ = ["RECORD", "image_vertices", "place_vertices", "turn_out"]

RECORD = 4  # float64 numbers that `turn_out` writes of a vertex

_V = MAX_VERTICES


@inner
def place_vertices(offsets, first, n, view, step, cx, cy, cz, placed):
    """Transform the n vertices of a cluster, and project them into the plane of rays.

    ``offsets[first:]`` holds x y z of each in steps from the cluster's centre (cx, cy, cz). ``placed`` takes, in rows of
    ``MAX_VERTICES``: f X, f Y, Z, then x, y (plane pixels), 1/Z.
    """
    a0, a1, a2 = view[0, 0] * step, view[0, 1] * step, view[0, 2] * step
    d0, d1, d2 = view[1, 0] * step, view[1, 1] * step, view[1, 2] * step
    z0, z1, z2 = view[2, 0] * step, view[2, 1] * step, view[2, 2] * step
    a3 = view[0, 0] * cx + view[0, 1] * cy + view[0, 2] * cz + view[0, 3]
    d3 = view[1, 0] * cx + view[1, 1] * cy + view[1, 2] * cz + view[1, 3]
    z3 = view[2, 0] * cx + view[2, 1] * cy + view[2, 2] * cz + view[2, 3]
    # Whole vectors only: what is read past the last vertex is memory of ours, what it gives is not used.
    for i in range(0, n, 8):
        at = first + 3 * i
        some, more, rest = load8(offsets, at), load8(offsets, at + 8), load8(offsets, at + 16)
        p = as_double(every_third(some, more, rest, 0))
        q = as_double(every_third(some, more, rest, 1))
        r = as_double(every_third(some, more, rest, 2))
        fx = multiply_add(p, a0, multiply_add(q, a1, multiply_add(r, a2, a3)))
        fy = multiply_add(p, d0, multiply_add(q, d1, multiply_add(r, d2, d3)))
        z = multiply_add(p, z0, multiply_add(q, z1, multiply_add(r, z2, z3)))
        w = splat_like(z, 1.0) / z
        store(placed, i, fx)
        store(placed, _V + i, fy)
        store(placed, 2 * _V + i, z)
        store(placed, 3 * _V + i, fx * w)
        store(placed, 4 * _V + i, fy * w)
        store(placed, 5 * _V + i, w)


@inner
def image_vertices(n, lens, guard, nearest, inverse, parallel, row0, col0, placed, places):
    """Say where in the image the n vertices are that `place_vertices` has placed.

    ``places`` (float32) takes a row of u and one of v: pixels from the tile's first one, (row0, col0). u is NaN where the
    vertex is not more than ``nearest`` before the camera or farther from the axis than ``guard`` (squared, plane pixels).
    Without a lens they are those of ``inverse``, and u is infinite where that does not reach; with ``parallel`` rays x, y
    and 1/Z become f X, f Y and -Z.
    """
    if inverse is not None:
        whole = ((n + LANES - 1) // LANES) * LANES
        if parallel:
            for i in range(whole):
                placed[3 * _V + i], placed[4 * _V + i] = placed[i], placed[_V + i]
                placed[5 * _V + i] = -placed[2 * _V + i]
        us, vs = placed[6 * _V : 7 * _V], placed[7 * _V : 8 * _V]
        x0, x1, y0, y1 = inverse.frame[0], inverse.frame[1], inverse.frame[2], inverse.frame[3]
        pixels_of(inverse, whole, placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], us, vs)
        for i in range(whole):
            x, y, z = placed[3 * _V + i], placed[4 * _V + i], placed[2 * _V + i]
            within = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            near = (z > nearest) & (parallel | (x * x + y * y <= guard))
            u = us[i] - 0.5 if within else np.inf
            places[i], places[_V + i] = np.float32(u if near else np.nan), np.float32(vs[i] - 0.5)
    if lens is not None:
        per_f, least_z, most_r2 = np.float32(1.0 / lens[0]), np.float32(nearest), np.float32(guard)
        k1, k2, k3, k4 = np.float32(lens[5]), np.float32(lens[6]), np.float32(lens[7]), np.float32(lens[8])
        p1, p2, p3, p4 = np.float32(lens[9]), np.float32(lens[10]), np.float32(lens[11]), np.float32(lens[12])
        fx, fy, skew = np.float32(lens[0] + lens[3]), np.float32(lens[0]), np.float32(lens[4])
        u0, v0 = np.float32(lens[1] - (col0 + 0.5)), np.float32(lens[2] - (row0 + 0.5))
        one = np.float32(1.0)
        for i in range(0, n, LANES):
            x, y, z = _singly(placed, 3 * _V + i), _singly(placed, 4 * _V + i), _singly(placed, 2 * _V + i)
            is_near = (splat_like(x, most_r2) >= multiply_add(x, x, y * y)) & (z > least_z)
            # As `lens.project_frame` has it.
            x, y = x * per_f, y * per_f
            r2, xy = multiply_add(x, x, y * y), (x + x) * y
            radial = multiply_add(
                multiply_add(multiply_add(multiply_add(r2, k4, k3), r2, k2), r2, k1), r2, one
            )
            fade = multiply_add(multiply_add(r2, p4, p3), r2, one)
            tx = multiply_add(multiply_add(x + x, x, r2), p1, xy * p2)
            ty = multiply_add(multiply_add(y + y, y, r2), p2, xy * p1)
            x, y = multiply_add(x, radial, tx * fade), multiply_add(y, radial, ty * fade)
            u = multiply_add(x, fx, multiply_add(y, skew, u0))
            store(places, i, choose(is_near, u, splat_like(u, np.float32(np.nan))))
            store(places, _V + i, multiply_add(y, fy, v0))


@inner
def turn_out(n, tile, placed, places, records):
    """Write `RECORD` numbers of each of n vertices, side by side; False if any vertex has no place in the image.

    These are x, y and 1/Z, and then four int16 in one: the last column and row of the box of pixels around the vertex and
    the negatives of the first ones. The greatest of each over a face's vertices are the sides of its own box.
    """
    pad, none = np.float32(tile.small_pad), np.float32(0.0)
    u_end, v_end = np.float32(tile.n_cols), np.float32(tile.n_rows)
    missing = np.int64(0)
    for i in range(0, n, LANES):
        u, v = load16(places, i), load16(places, _V + i)
        has_place = splat_like(u, np.float32(np.inf)) > most(u, negative(u))
        missing |= ~bits_of(has_place) & ((1 << min(n - i, LANES)) - 1)
        # Counted from one before the first pixel, or from the last: so cutting off what follows the point is rounding down.
        last_col = as_whole(least(most(u + (pad + np.float32(1.0)), none), u_end)) - np.int32(1)
        last_row = as_whole(least(most(v + (pad + np.float32(1.0)), none), v_end)) - np.int32(1)
        first_col = as_whole(least(most(splat_like(u, pad + u_end) - u, none), u_end)) - np.int32(u_end)
        first_row = as_whole(least(most(splat_like(v, pad + v_end) - v, none), v_end)) - np.int32(v_end)
        lasts, firsts = _together(last_col, last_row), _together(first_col, first_row)
        _put_records(records, i, placed, doubles_in(pairs(lasts, firsts, 0)))
        _put_records(records, i + 8, placed, doubles_in(pairs(lasts, firsts, 1)))
    return missing == 0


@inlined
def _singly(numbers, at):
    """Return sixteen numbers as float32."""
    return pair(as_single(load8(numbers, at)), as_single(load8(numbers, at + 8)))


@inlined
def _together(low, high):
    """Return two small whole numbers as one, in each lane."""
    return (low & np.int32(0xFFFF)) | (high << np.int32(16))


@inner
def _put_records(records, i, placed, sides):
    """Write the records of eight vertices from number i on."""
    x, y, w = load8(placed, 3 * _V + i), load8(placed, 4 * _V + i), load8(placed, 5 * _V + i)
    store(records, RECORD * i, fours(x, y, w, sides, 0))
    store(records, RECORD * i + 8, fours(x, y, w, sides, 1))
    store(records, RECORD * i + 16, fours(x, y, w, sides, 2))
    store(records, RECORD * i + 24, fours(x, y, w, sides, 3))
