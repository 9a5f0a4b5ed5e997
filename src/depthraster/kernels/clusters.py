"""Preparing a mesh: clusters of faces, in the order of their keys, with vertices of their own.

This runs once per mesh, over ranges of faces that are independent of each other, so that the caller can give each range to
a thread and still get the same bits. Putting faces in order is ``keys.py``'s, choosing steps ``scene.py``'s; looking at
clusters from a camera is ``select.py``'s.

A cluster holds at most ``MAX_FACES`` faces and ``MAX_VERTICES`` vertices, so that a vertex has a local number
of one byte. Its vertices are stored as x y z, x y z, ..., one cluster after the other, so that one of them is one
load: as float64, or as int32 steps of the scene's lattice counted from the cluster's own centre. The
lattice is common to the scene: a vertex shared by two clusters is rounded to the same point in both, which
keeps the seam between them closed.

The commonest change is a new value per cluster: give `build_clusters` one more output array and ``scene.py``
one more field.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import load8, prefetch
from depthraster.kernels.jit import inlined, inner, kernel
from depthraster.kernels.simd import least, least_lane, most, negative

__all__ = [
    "LANES",
    "MAX_FACES",
    "MAX_VERTICES",
    "MIN_FACES",
    "build_clusters",
]

MAX_FACES = 128
MAX_VERTICES = 256
LANES = 16  # vertices are read in groups of this size; MAX_VERTICES and MAX_FACES are multiples of it
MIN_FACES = 64  # a cut is sought between this number of faces and MAX_FACES
_N = MAX_FACES
_HASH_BITS = 10  # of the slots' numbers: four times MAX_VERTICES, for short probe sequences


@inlined
def _rank(x, y, z):
    """Return a number that says which of a face's vertices comes first: the same wherever the vertex is the same.

    The bits of the coordinates, mixed as D. Lemire and O. Kaser describe multiplicative hashing: different vertices of one
    rank are as good as none, and no branch, which nobody foresees, is taken for coordinates that agree.
    """
    rank = x * np.uint64(0x9E3779B97F4A7C15)
    rank = ((rank ^ (rank >> np.uint64(32))) + y) * np.uint64(0xBF58476D1CE4E5B9)
    rank = ((rank ^ (rank >> np.uint64(32))) + z) * np.uint64(0x94D049BB133111EB)
    return rank ^ (rank >> np.uint64(32))


@inlined
def _sum(values, first, n):
    """Return the sum of n values, a multiple of four, as four sums: none waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, n, 4):
        a, b = a + values[first + i], b + values[first + i + 1]
        c, d = c + values[first + i + 2], d + values[first + i + 3]
    return (a + b) + (c + d)


@inner
def _ends(values, first, n):
    """Return the least and the greatest of n values, whole vectors of them."""
    lo = hi = load8(values, first)
    for at in range(first + 8, first + n, 8):
        some = load8(values, at)
        lo, hi = least(some, lo), most(some, hi)
    return least_lane(lo), -least_lane(negative(hi))


@inner
def _normal_cone(local, corners, first, stop, cone, work):
    """Axis and cosine of the half angle of a cone around the faces' normals; cosine -2 means "no cone".

    Faces without area have no normal and no say: no pixel can be seen on them. A face so thin that
    rounding could turn its normal ends the cone. ``work`` (6 MAX_FACES) is scratch.
    """
    cone[0], cone[1], cone[2], cone[3] = 0.0, 0.0, 0.0, -2.0
    n = stop - first
    if n < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    whole = (
        (n + LANES - 1) // LANES
    ) * LANES  # loops over whole vectors, of which the rest are faces without area
    for i in range(n):
        place = np.uint64(3 * (first + i))
        a, b, c = corners[place], corners[place + np.uint64(1)], corners[place + np.uint64(2)]
        x, y, z = local[a], local[MAX_VERTICES + a], local[2 * MAX_VERTICES + a]
        work[i], work[_N + i] = local[b] - x, local[MAX_VERTICES + b] - y
        work[2 * _N + i], work[3 * _N + i] = local[2 * MAX_VERTICES + b] - z, local[c] - x
        work[4 * _N + i], work[5 * _N + i] = local[MAX_VERTICES + c] - y, local[2 * MAX_VERTICES + c] - z
    for side in range(6):
        for i in range(n, whole):
            work[side * _N + i] = 0.0
    for i in range(whole):
        px, py, pz = work[i], work[_N + i], work[2 * _N + i]
        qx, qy, qz = work[3 * _N + i], work[4 * _N + i], work[5 * _N + i]
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        square = nx * nx + ny * ny + nz * nz
        thin = not square > 1e-14 * ((px * px + py * py + pz * pz) * (qx * qx + qy * qy + qz * qz))
        inverse = np.nan if thin & (square != 0.0) else (0.0 if thin else 1.0 / np.sqrt(square))
        work[i], work[_N + i], work[2 * _N + i] = nx * inverse, ny * inverse, nz * inverse
    sum_x, sum_y, sum_z = _sum(work, 0, whole), _sum(work, _N, whole), _sum(work, 2 * _N, whole)
    length = np.sqrt(sum_x * sum_x + sum_y * sum_y + sum_z * sum_z)
    if not length > 1e-3:  # also where a face is thin: then it is NaN
        return
    sum_x, sum_y, sum_z = sum_x / length, sum_y / length, sum_z / length
    for i in range(whole):
        x, y, z = work[i], work[_N + i], work[2 * _N + i]
        work[3 * _N + i] = (sum_x * x + sum_y * y + sum_z * z) if (x * x + y * y + z * z) > 0.0 else 2.0
    least_cosine, _ = _ends(work, 3 * _N, whole)
    cone[0], cone[1], cone[2] = sum_x, sum_y, sum_z
    cone[3] = least_cosine - 1e-5  # room for the rounding to float32


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

    Faces are turned so that the vertex of least `_rank` comes first: copies of one face then give the same bits
    whichever vertex the file begins with. ``turns`` takes which vertex of the file's is first then, 0, 1 or 2.
    """
    # A hash table of the cluster's vertices; what a key begins with says of which cluster it is.
    keys = np.zeros(1 << _HASH_BITS, np.uint64)
    numbers = np.zeros(1 << _HASH_BITS, np.uint8)
    names = np.zeros(MAX_VERTICES + 1, np.int64)
    local = np.zeros(3 * MAX_VERTICES, np.float64)
    bits = local.view(np.uint64)
    ranks = np.empty(MAX_VERTICES, np.uint64)
    work = np.empty(6 * _N, np.float64)
    flat, flat_vertices = faces.ravel(), vertices.ravel()
    n_clusters = 0
    n_narrow = 0
    n_wide = 0
    n_ids = 0
    inverse_step = 1.0 / step if step > 0.0 else 0.0
    at = start
    while at < stop:
        epoch = np.uint64(n_clusters + 1) << np.uint64(32)
        n_vertices = 0
        first = at - start
        cut = _best_cut(order, at, stop)
        for ahead in range(min(cut, stop), min(cut + MAX_FACES, stop)):
            prefetch(flat, np.int64(order[np.uint64(ahead)] & np.uint64(0xFFFFFFFF)) * 3)
        while at < cut:
            if n_vertices > MAX_VERTICES - 3:  # the next face might not find room
                break
            face = order[np.uint64(at)] & np.uint64(0xFFFFFFFF)
            place = np.uint64(
                at - start
            )  # unsigned, for which the compiler does not provide as for negative ones
            face_ids[place] = face
            for corner in range(3):
                name = np.uint64(faces[face, corner])
                key = epoch | name
                slot = (name * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _HASH_BITS)
                other = (
                    keys[slot] ^ key
                )  # 0: this vertex, less than 2**32: another vertex of this cluster, which is seldom
                while other - np.uint64(1) < np.uint64(0xFFFFFFFF):
                    slot = (slot + np.uint64(1)) & np.uint64((1 << _HASH_BITS) - 1)
                    other = keys[slot] ^ key
                # Known or new, which nobody foresees, the same is done.
                is_new = other != np.uint64(0)
                known = np.uint64(numbers[slot])
                number = np.uint64(n_vertices) if is_new else known
                keys[slot] = key
                numbers[slot] = number
                names[np.uint64(n_vertices)] = name
                prefetch(flat_vertices, np.int64(name) * 3)
                n_vertices += is_new
                corners[np.uint64(3) * place + np.uint64(corner)] = number
            at += 1
        if n_vertices < 1 or first < 0 or n_narrow < 0 or n_wide < 0 or n_ids < 0:
            return -1, 0, 0  # never; it tells the compiler not to provide for negative indices below
        # Of zeros, there is one: bits are looked at below.
        for number in range(n_vertices):
            for axis in range(3):
                value = np.float64(vertices[names[number], axis]) - origin[axis]
                local[axis * MAX_VERTICES + number] = value + 0.0
        # Whole vectors from here on, which end with the last vertex over and over.
        whole = ((n_vertices + LANES - 1) // LANES) * LANES
        for axis in range(3):
            for number in range(n_vertices, whole):
                local[axis * MAX_VERTICES + number] = local[axis * MAX_VERTICES + n_vertices - 1]
        if step > 0.0:
            for i in range(3 * MAX_VERTICES):
                local[i] = np.rint(local[i] * inverse_step) * step + 0.0
        for number in range(whole):
            ranks[number] = _rank(bits[number], bits[MAX_VERTICES + number], bits[2 * MAX_VERTICES + number])
        for place in range(np.uint64(first), np.uint64(at - start)):
            at_a = np.uint64(3) * place
            at_b, at_c = at_a + np.uint64(1), at_a + np.uint64(2)
            a, b, c = np.uint64(corners[at_a]), np.uint64(corners[at_b]), np.uint64(corners[at_c])
            second = (ranks[b] < ranks[a]) & (ranks[b] <= ranks[c])
            third = (ranks[c] < ranks[a]) & (ranks[c] < ranks[b])
            turn = np.uint64(second) + np.uint64(2) * np.uint64(third)
            turned = a | b << np.uint64(8) | c << np.uint64(16)
            turned = (turned | turned << np.uint64(24)) >> (np.uint64(8) * turn)
            turns[place] = turn
            corners[at_a], corners[at_b], corners[at_c] = (
                turned,
                turned >> np.uint64(8),
                turned >> np.uint64(16),
            )
        extent = 0.0
        for axis in range(3):
            lo, hi = _ends(local, axis * MAX_VERTICES, whole)
            extent = max(extent, hi - lo)
            centre = lo + 0.5 * (hi - lo)
            if step > 0.0:
                centre = np.rint(centre * inverse_step) * step  # a lattice point: offsets are whole steps
            half = max(hi - centre, centre - lo)
            centre_of[n_clusters, axis] = centre
            half_of[n_clusters, axis] = np.float32(half * (1.0 + 2e-7) + 1e-38)
        is_wide = not (step > 0.0 and extent <= widest)
        for axis in range(3):
            centre = centre_of[n_clusters, axis]
            if is_wide:
                for number in range(n_vertices):
                    wide[n_wide + 3 * number + axis] = local[axis * MAX_VERTICES + number] - centre
            else:
                for number in range(n_vertices):
                    narrow[n_narrow + 3 * number + axis] = np.int32(
                        np.rint((local[axis * MAX_VERTICES + number] - centre) * inverse_step)
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
