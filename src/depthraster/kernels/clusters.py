"""Preparing a mesh: Morton keys of its faces, then clusters of faces with vertices of their own.

Everything here runs once per mesh, over ranges of faces that are independent of each other, so that the
caller can give each range to a thread and still get the same bits. Choosing bounds, buckets and ranges is ``curve.py``'s,
steps ``scene.py``'s; looking at clusters from a camera is ``select.py``'s.

A cluster holds at most ``MAX_FACES`` faces and ``MAX_VERTICES`` vertices, so that a vertex has a local number
of one byte. Its vertices are stored as x[n] y[n] z[n], one cluster after the other, so that loops over them
vectorize: as float64, or as int32 steps of the scene's lattice counted from the cluster's own centre. The
lattice is common to the scene: a vertex shared by two clusters is rounded to the same point in both, which
keeps the seam between them closed.

The commonest change is a new value per cluster: give `build_clusters` one more output array and ``scene.py``
one more field.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inlined, inner, kernel

__all__ = [
    "DIGIT_BITS",
    "LANES",
    "MAX_FACES",
    "MAX_VERTICES",
    "MIN_FACES",
    "build_clusters",
    "face_keys",
    "scatter_keys",
    "sort_bucket",
]

MAX_FACES = 128
MAX_VERTICES = 256
LANES = 16  # vertices are read in groups of this size; MAX_VERTICES and MAX_FACES are multiples of it
MIN_FACES = 64  # a cut is sought between this number of faces and MAX_FACES
DIGIT_BITS = 11  # of the keys, sorted at a time: counts fit the nearest cache
_HASH_SLOTS = 1024  # power of two, four times MAX_VERTICES: short probe sequences
_HASH_MASK = _HASH_SLOTS - 1

# Problems that `face_keys` reports, as (code, face, vertex).
VERTEX_MISSING = 1
VERTEX_NOT_FINITE = 2


@kernel
def face_keys(
    vertices, faces, start, stop, lo, per_unit, bits, spread, shift, keys, counts, bounds, keep_going
):  # fmt: skip
    """Write the sort key of each face and collect what is wrong with the mesh.

    The key is ``morton << 32 | face``. The Morton code interleaves ``bits[0..2]`` (together at most 32) bits of x, y and z;
    ``spread`` (3, 4, 256) says which bits of the key each byte of a coordinate becomes, see ``scene.py``.
    Coordinates outside ``lo .. lo + 2**bits / per_unit`` are clamped: they only sort less well. ``counts`` is
    increased for each good face at ``key >> shift``.

    A face with a missing vertex, or one that is not finite, gets the key ``2**64 - 1`` when ``keep_going``;
    otherwise the first is returned at once as ``(code, face, vertex, n_bad)``. ``bounds`` (2, 3) takes the
    least and greatest coordinates of the vertices that good faces use.
    """
    n_vertices = vertices.shape[0]
    top = np.empty(3, np.float64)
    for axis in range(3):
        top[axis] = 2.0 ** bits[axis] - 1.0
    cell = np.empty(3, np.uint64)
    lo0, lo1, lo2 = np.inf, np.inf, np.inf
    hi0, hi1, hi2 = -np.inf, -np.inf, -np.inf
    n_bad = 0
    code = 0
    bad_face = -1
    bad_vertex = -1
    third = 1.0 / 3.0
    for face in range(start, stop):
        i0 = np.int64(faces[face, 0])
        i1 = np.int64(faces[face, 1])
        i2 = np.int64(faces[face, 2])
        missing = (
            (i0 < 0) | (i1 < 0) | (i2 < 0) | (i0 >= n_vertices) | (i1 >= n_vertices) | (i2 >= n_vertices)
        )
        problem = 0
        if missing:
            problem = VERTEX_MISSING
            culprit = i0 if (i0 < 0 or i0 >= n_vertices) else (i1 if (i1 < 0 or i1 >= n_vertices) else i2)
        else:
            x0, y0, z0 = np.float64(vertices[i0, 0]), np.float64(vertices[i0, 1]), np.float64(vertices[i0, 2])
            x1, y1, z1 = np.float64(vertices[i1, 0]), np.float64(vertices[i1, 1]), np.float64(vertices[i1, 2])
            x2, y2, z2 = np.float64(vertices[i2, 0]), np.float64(vertices[i2, 1]), np.float64(vertices[i2, 2])
            finite0 = np.isfinite(x0) & np.isfinite(y0) & np.isfinite(z0)
            finite1 = np.isfinite(x1) & np.isfinite(y1) & np.isfinite(z1)
            finite2 = np.isfinite(x2) & np.isfinite(y2) & np.isfinite(z2)
            if not (finite0 & finite1 & finite2):
                problem = VERTEX_NOT_FINITE
                culprit = i0 if not finite0 else (i1 if not finite1 else i2)
        if problem != 0:
            n_bad += 1
            if code == 0:
                code, bad_face, bad_vertex = problem, face, culprit
            if not keep_going:
                return code, bad_face, bad_vertex, n_bad
            keys[face] = np.uint64(0xFFFFFFFFFFFFFFFF)
            continue
        lo0 = min(lo0, min(x0, min(x1, x2)))
        lo1 = min(lo1, min(y0, min(y1, y2)))
        lo2 = min(lo2, min(z0, min(z1, z2)))
        hi0 = max(hi0, max(x0, max(x1, x2)))
        hi1 = max(hi1, max(y0, max(y1, y2)))
        hi2 = max(hi2, max(z0, max(z1, z2)))
        cell[0] = np.uint64(min(max(((x0 + x1 + x2) * third - lo[0]) * per_unit, 0.0), top[0]))
        cell[1] = np.uint64(min(max(((y0 + y1 + y2) * third - lo[1]) * per_unit, 0.0), top[1]))
        cell[2] = np.uint64(min(max(((z0 + z1 + z2) * third - lo[2]) * per_unit, 0.0), top[2]))
        key = np.uint64(face)
        for axis in range(3):
            for byte in range((bits[axis] + 7) // 8):
                key |= spread[axis, byte, (cell[axis] >> np.uint64(8 * byte)) & np.uint64(255)]
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


@inlined
def _precedes(local, a, b):
    """Whether local vertex a comes before b in the order of x, then y, then z; without branches, which nobody foresees."""
    ax, ay, az = local[0, a], local[1, a], local[2, a]
    bx, by, bz = local[0, b], local[1, b], local[2, b]
    return (ax < bx) | ((ax == bx) & ((ay < by) | ((ay == by) & (az < bz))))


@inner
def _normal_cone(local, corners, first, stop, cone, work):
    """Axis and cosine of the half angle of a cone around the faces' normals; cosine -2 means "no cone".

    Faces without area have no normal and no say: no pixel can be seen on them. A face so thin that
    rounding could turn its normal ends the cone. ``work`` (9, MAX_FACES) is scratch.
    """
    cone[0], cone[1], cone[2], cone[3] = 0.0, 0.0, 0.0, -2.0
    n = stop - first
    if n < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    nx, ny, nz, ux, uy, uz = work[0], work[1], work[2], work[3], work[4], work[5]
    sides, norm, along = work[6], work[7], work[8]
    for i in range(n):
        a, b, c = corners[3 * (first + i)], corners[3 * (first + i) + 1], corners[3 * (first + i) + 2]
        px, py, pz = local[0, b] - local[0, a], local[1, b] - local[1, a], local[2, b] - local[2, a]
        qx, qy, qz = local[0, c] - local[0, a], local[1, c] - local[1, a], local[2, c] - local[2, a]
        nx[i], ny[i], nz[i] = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        sides[i] = (px * px + py * py + pz * pz) * (qx * qx + qy * qy + qz * qz)
    # Roots and quotients, which take their time, in loops that vectorize: over whole vectors, of which the rest is not used.
    whole = ((n + LANES - 1) // LANES) * LANES
    for i in range(whole):
        norm[i] = np.sqrt(nx[i] * nx[i] + ny[i] * ny[i] + nz[i] * nz[i])
        sides[i] = np.sqrt(sides[i])
    for i in range(n):
        if not norm[i] > 1e-7 * sides[i]:
            if norm[i] != 0.0:
                return
            norm[i] = np.inf  # no say
    for i in range(whole):
        ux[i], uy[i], uz[i] = nx[i] / norm[i], ny[i] / norm[i], nz[i] / norm[i]
    sum_x, sum_y, sum_z = 0.0, 0.0, 0.0
    for i in range(n):
        sum_x, sum_y, sum_z = sum_x + ux[i], sum_y + uy[i], sum_z + uz[i]
    length = np.sqrt(sum_x * sum_x + sum_y * sum_y + sum_z * sum_z)
    if not length > 1e-3:
        return
    sum_x, sum_y, sum_z = sum_x / length, sum_y / length, sum_z / length
    for i in range(whole):
        along[i] = (sum_x * nx[i] + sum_y * ny[i] + sum_z * nz[i]) / norm[i]
    least = 2.0
    for i in range(n):
        if norm[i] < np.inf:
            least = min(least, along[i])
    cone[0], cone[1], cone[2] = sum_x, sum_y, sum_z
    cone[3] = least - 1e-5  # room for the rounding to float32


@inner
def _best_cut(order, at, stop):
    """Where the cluster that begins at ``at`` should end: where the curve takes its greatest step.

    Clusters of whole cells of the curve are compact; a fixed number of faces would cut across cells and touch
    half as many tiles again.
    """
    last = at + MAX_FACES
    if stop <= last:
        return stop
    cut = last
    greatest = np.uint64(0)
    for place in range(at + MIN_FACES, last + 1):
        step = (order[place - 1] ^ order[place]) >> np.uint64(32)
        if step >= greatest:
            greatest = step
            cut = place
    return cut


@kernel
def build_clusters(
    vertices, faces, order, start, stop, origin, step, widest,
    face_ids, corners, turns, n_faces_of, n_vertices_of, wide_of, centre_of, half_of, cone_of, narrow, wide, vertex_ids,
):  # fmt: skip
    """Cut the sorted faces ``order[start:stop]`` into clusters and fill their arrays; return the numbers used.

    ``step`` is the lattice step (0: none, vertices stay as they are) and ``widest`` the greatest extent of a
    cluster whose vertices are stored as int32 steps; wider ones are stored as float64. Coordinates of
    clusters are relative to ``origin``. Outputs are written from their beginning: ``face_ids`` (the faces'
    indices in the file), ``corners`` (three local numbers per face), and per cluster the counts, ``wide_of``,
    ``centre_of`` (3), ``half_of`` (3, half the box's size, rounded up), ``cone_of`` (4); ``narrow`` and
    ``wide`` take the vertices, ``vertex_ids`` their indices in the file.

    Faces are turned so that their least vertex comes first: copies of one face then give the same bits
    whichever vertex the file begins with. ``turns`` takes which vertex of the file's is first then, 0, 1 or 2.
    """
    slots = np.empty(_HASH_SLOTS, np.int16)
    names = np.empty(MAX_VERTICES, np.int64)
    local = np.empty((3, MAX_VERTICES), np.float64)
    box = np.empty((2, 3), np.float64)
    work = np.zeros((9, MAX_FACES), np.float64)
    n_clusters = 0
    n_narrow = 0
    n_wide = 0
    n_ids = 0
    inverse_step = 1.0 / step if step > 0.0 else 0.0
    at = start
    while at < stop:
        slots[:] = -1
        n_vertices = 0
        first = at - start
        cut = _best_cut(order, at, stop)
        while at < cut:
            if n_vertices > MAX_VERTICES - 3:  # the next face might not find room
                break
            face = np.int64(order[at] & np.uint64(0xFFFFFFFF))
            face_ids[at - start] = face
            for corner in range(3):
                name = np.int64(faces[face, corner])
                slot = (np.uint64(name) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(54)
                while True:
                    number = slots[slot]
                    if number < 0:
                        number = n_vertices
                        slots[slot] = number
                        names[number] = name
                        n_vertices += 1
                        break
                    if names[number] == name:
                        break
                    slot = (slot + np.uint64(1)) & np.uint64(_HASH_MASK)
                corners[3 * (at - start) + corner] = number
            at += 1
        for number in range(n_vertices):
            for axis in range(3):
                local[axis, number] = np.float64(vertices[names[number], axis]) - origin[axis]
        if step > 0.0:
            for axis in range(3):
                for number in range(n_vertices):
                    local[axis, number] = np.rint(local[axis, number] * inverse_step) * step
        for face in range(first, at - start):
            a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
            b_first = _precedes(local, b, a) & (not _precedes(local, c, b))
            c_first = (not b_first) & _precedes(local, c, a)
            turns[face] = 1 if b_first else (2 if c_first else 0)
            corners[3 * face] = b if b_first else (c if c_first else a)
            corners[3 * face + 1] = c if b_first else (a if c_first else b)
            corners[3 * face + 2] = a if b_first else (b if c_first else c)

        for axis in range(3):
            box[0, axis], box[1, axis] = np.inf, -np.inf
            for number in range(n_vertices):
                box[0, axis] = min(box[0, axis], local[axis, number])
                box[1, axis] = max(box[1, axis], local[axis, number])
        extent = max(box[1, 0] - box[0, 0], max(box[1, 1] - box[0, 1], box[1, 2] - box[0, 2]))
        is_wide = not (step > 0.0 and extent <= widest)
        for axis in range(3):
            centre = box[0, axis] + 0.5 * (box[1, axis] - box[0, axis])
            if step > 0.0:
                centre = np.rint(centre * inverse_step) * step  # a lattice point: offsets are whole steps
            half = max(box[1, axis] - centre, centre - box[0, axis])
            centre_of[n_clusters, axis] = centre
            half_of[n_clusters, axis] = np.float32(half * (1.0 + 2e-7) + 1e-38)
            if is_wide:
                for number in range(n_vertices):
                    wide[n_wide + axis * n_vertices + number] = local[axis, number] - centre
            else:
                for number in range(n_vertices):
                    narrow[n_narrow + axis * n_vertices + number] = np.int32(
                        np.rint((local[axis, number] - centre) * inverse_step)
                    )
        _normal_cone(local, corners, first, at - start, cone_of[n_clusters], work)
        for number in range(n_vertices):
            vertex_ids[n_ids + number] = names[number]
        n_ids += n_vertices
        n_faces_of[n_clusters] = at - start - first
        n_vertices_of[n_clusters] = n_vertices
        wide_of[n_clusters] = is_wide
        if is_wide:
            n_wide += 3 * n_vertices
        else:
            n_narrow += 3 * n_vertices
        n_clusters += 1
    return n_clusters, n_narrow, n_wide
