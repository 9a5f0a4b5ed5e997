"""Preparing a mesh: Morton keys of its faces, and sorting them; on the way the mesh is checked and measured.

Everything here runs once per mesh, over ranges of faces or buckets of keys that are independent of each other, so that the
caller can give each to a thread and still get the same bits. Choosing bounds, buckets and ranges is ``curve.py``'s, cutting
the order into clusters ``clusters.py``'s. The commonest change is another check: a problem that `face_keys` reports, and
its sentence in ``curve.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import prefetch
from depthraster.kernels.jit import inlined, kernel

__all__ = ["DIGIT_BITS", "VERTEX_MISSING", "face_keys", "scatter_keys", "sort_bucket"]

DIGIT_BITS = 11  # of the keys, sorted at a time: counts fit the nearest cache

# Problems that `face_keys` reports, as (code, face, vertex).
VERTEX_MISSING = 1
VERTEX_NOT_FINITE = 2

_AHEAD = 12  # faces whose vertices are asked for before they are looked at
_SOME = 256  # faces that are tried first
_FAR = 1000  # vertices: farther than the machine looks ahead by itself


@inlined
def _spanned(lo, hi, a, b, c):
    """Return the ends of what spans lo .. hi and three values."""
    some, more = a if a < b else b, a if a > b else b
    some, more = some if some < c else c, more if more > c else c
    return lo if lo < some else some, hi if hi > more else more


@kernel
def face_keys(
    vertices, faces, start, stop, lo, per_unit, bits, spread, shift, keys, counts, bounds, keep_going
):  # fmt: skip
    """Write the sort key of each face and collect what is wrong with the mesh.

    The key is ``morton << 32 | face``. The Morton code interleaves ``bits[0..2]`` (together at most 32) bits of x, y and z;
    ``spread`` (3, 4, 256) says which bits of the key each byte of a coordinate becomes, see ``curve.py``.
    Coordinates outside ``lo .. lo + 2**bits / per_unit`` are clamped: they only sort less well. ``counts`` is
    increased for each good face at ``key >> shift``.

    A face with a missing vertex, or one that is not finite, gets the key ``2**64 - 1`` when ``keep_going``;
    otherwise the first is returned at once as ``(code, face, vertex, n_bad)``. ``bounds`` (2, 3) takes the
    least and greatest coordinates of the vertices that good faces use.
    """
    n_vertices = np.uint64(vertices.shape[0])
    lo_x, lo_y, lo_z = lo[0], lo[1], lo[2]
    top_x, top_y, top_z = 2.0 ** bits[0] - 1.0, 2.0 ** bits[1] - 1.0, 2.0 ** bits[2] - 1.0
    byte = np.uint64(255)
    flat, last = vertices.ravel(), np.uint64(stop - 1)
    # Whether neighbours in the file are none in memory; asking ahead where they are takes longer than it saves.
    n_far = 0
    for face in range(start + 1, min(start + _SOME, stop)):
        n_far += abs(np.int64(faces[face, 0]) - np.int64(faces[face - 1, 0])) > _FAR
    scattered = 4 * n_far > _SOME
    lo0, lo1, lo2 = np.inf, np.inf, np.inf
    hi0, hi1, hi2 = -np.inf, -np.inf, -np.inf
    n_bad = 0
    code = 0
    bad_face = -1
    bad_vertex = -1
    third = 1.0 / 3.0
    for face in range(np.uint64(start), np.uint64(stop)):
        # Unsigned, for which the compiler does not provide as for negative ones: those are too great, then.
        i0, i1, i2 = np.uint64(faces[face, 0]), np.uint64(faces[face, 1]), np.uint64(faces[face, 2])
        if scattered:
            ahead = min(face + np.uint64(_AHEAD), last)
            for corner in range(3):
                prefetch(flat, 3 * np.int64(faces[ahead, corner]))
        problem = 0
        if (i0 >= n_vertices) | (i1 >= n_vertices) | (i2 >= n_vertices):
            problem = VERTEX_MISSING
            culprit = np.int64(i0 if i0 >= n_vertices else (i1 if i1 >= n_vertices else i2))
        else:
            x0, y0, z0 = np.float64(vertices[i0, 0]), np.float64(vertices[i0, 1]), np.float64(vertices[i0, 2])
            x1, y1, z1 = np.float64(vertices[i1, 0]), np.float64(vertices[i1, 1]), np.float64(vertices[i1, 2])
            x2, y2, z2 = np.float64(vertices[i2, 0]), np.float64(vertices[i2, 1]), np.float64(vertices[i2, 2])
            x, y, z = x0 + x1 + x2, y0 + y1 + y2, z0 + z1 + z2
            if not np.isfinite(x + y + z):  # which finite ones may be, too, if they are great
                finite0 = np.isfinite(x0) & np.isfinite(y0) & np.isfinite(z0)
                finite1 = np.isfinite(x1) & np.isfinite(y1) & np.isfinite(z1)
                finite2 = np.isfinite(x2) & np.isfinite(y2) & np.isfinite(z2)
                if not (finite0 & finite1 & finite2):
                    problem = VERTEX_NOT_FINITE
                    culprit = np.int64(i0 if not finite0 else (i1 if not finite1 else i2))
        if problem != 0:
            n_bad += 1
            if code == 0:
                code, bad_face, bad_vertex = problem, np.int64(face), culprit
            if not keep_going:
                return code, bad_face, bad_vertex, n_bad
            keys[face] = np.uint64(0xFFFFFFFFFFFFFFFF)
            continue
        lo0, hi0 = _spanned(lo0, hi0, x0, x1, x2)
        lo1, hi1 = _spanned(lo1, hi1, y0, y1, y2)
        lo2, hi2 = _spanned(lo2, hi2, z0, z1, z2)
        column = np.uint64(min(max((x * third - lo_x) * per_unit, 0.0), top_x))
        row = np.uint64(min(max((y * third - lo_y) * per_unit, 0.0), top_y))
        level = np.uint64(min(max((z * third - lo_z) * per_unit, 0.0), top_z))
        key = face
        for place in range(4):
            key |= (
                spread[0, place, column & byte]
                | spread[1, place, row & byte]
                | spread[2, place, level & byte]
            )
            column, row, level = column >> np.uint64(8), row >> np.uint64(8), level >> np.uint64(8)
            if (column | row | level) == np.uint64(0):
                break
        keys[face] = key
        counts[key >> shift] += 1
    bounds[0, 0], bounds[0, 1], bounds[0, 2] = lo0, lo1, lo2
    bounds[1, 0], bounds[1, 1], bounds[1, 2] = hi0, hi1, hi2
    return code, bad_face, bad_vertex, n_bad


@kernel
def scatter_keys(keys, start, stop, shift, places, sorted_keys):
    """Move each good key to the place of its bucket ``key >> shift``; ``places`` (buckets) goes on with each."""
    for i in range(start, stop):
        key = keys[i]
        if key != np.uint64(0xFFFFFFFFFFFFFFFF):
            bucket = key >> shift
            sorted_keys[places[bucket]] = key
            places[bucket] += 1


@kernel
def sort_bucket(keys, start, stop, low_bits, spare, counts):
    """Sort the keys of one bucket, ``keys[start:stop]``, of which the lowest ``low_bits`` of the Morton codes differ.

    Digit by digit, the lowest first; keys with one code stay in the order of their faces, which they come in. What is in
    order already is left. ``spare`` has the length of ``keys``, and its part of the bucket is written over; ``counts``
    (2 ** `DIGIT_BITS`) is scratch.
    """
    ascending = True
    for i in range(start + 1, stop):
        if keys[i] < keys[i - 1]:
            ascending = False
            break
    if ascending:
        return
    source, target = keys, spare
    n_passes = (low_bits + DIGIT_BITS - 1) // DIGIT_BITS
    mask = np.uint64((1 << DIGIT_BITS) - 1)
    for turn in range(n_passes):
        shift = np.uint64(32 + DIGIT_BITS * turn)
        counts[:] = 0
        for i in range(start, stop):
            counts[(source[i] >> shift) & mask] += 1
        place = start
        for digit in range(counts.shape[0]):
            place, counts[digit] = place + counts[digit], place
        for i in range(start, stop):
            digit = (source[i] >> shift) & mask
            target[counts[digit]] = source[i]
            counts[digit] += 1
        source, target = target, source
    if n_passes % 2:
        for i in range(
            start, stop
        ):  # not slices: a message about their sizes takes longer to compile than all of this
            keys[i] = spare[i]
