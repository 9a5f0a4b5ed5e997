"""What lies before points, as a camera sees them: faces are drawn onto the points' own rays instead of onto pixels.

The rays come from ``bins.py``, laid out in blocks of eight. Faces come cluster by cluster, the near ones first. Boxes around
them, narrow numbers rounded outward, say which blocks they may matter to, eight blocks at a time; these pairs are listed
without a branch that nobody foresees, and then looked at exactly. Each point holds the nearest face before it; one that a
face hides whatever its slope is settled, and where all points of a block are settled, or nearer than what comes, so are
clusters and faces not looked at. All that decides is float64 and every ray is exact, whatever the lens: nothing is sampled.
After Johnson, Lee, Burns and Mark, "The irregular Z-buffer" (ACM Transactions on Graphics 2005) and Greene, Kass and
Miller, "Hierarchical Z-buffer visibility" (SIGGRAPH 1993).

Why no ray passes between two faces: edges are widened by what rounding may move a vertex, some 1e-15 of the greatest
coordinate that goes into it; what such a ray could extrapolate is cut to the face's own range of w.

The commonest change is what a face's box is held against: `_box` of vertices and `bins.Blocks.bounds`; what near enough
means is ``sight.py``'s.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load4, load8, store
from depthraster.kernels.bins import BEST, MARGIN, NAME, SIZE, SURE, N, along
from depthraster.kernels.clusters import LANES, MAX_FACES, MAX_VERTICES
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.memory import aligned
from depthraster.kernels.occlusion import bound_cluster
from depthraster.kernels.placing import place_vertices
from depthraster.kernels.shuffles import four
from depthraster.kernels.simd import (
    as_whole,
    bits_of,
    choose,
    least,
    least_lane,
    most,
    multiply_add,
    none_negative,
    popcount,
    splat_like,
    vector4,
)

__all__ = ["HideScratch", "hide_points", "hide_scratch", "nearest_w"]

_V = MAX_VERTICES
_OF_N, _OF_FACES = N.bit_length() - 1, MAX_FACES.bit_length() - 1  # shifts: dividing by them
_PLANE = 16  # numbers of a face, see `_planes`
_PAIRS = 4096  # of faces and blocks, that are listed before they are looked at
_ROUNDING = 2.0**-49  # 16 roundings
_EDGE_ON = 1e-10  # of the distance of a face's farthest corner, by which the camera has to be off its plane
_FARTHEST = 3e38  # of float32


class HideScratch(NamedTuple):
    """What `hide_points` works in."""

    placed: npt.NDArray[
        np.float64
    ]  # (6 MAX_VERTICES,) rows of X, Y, Z, x, y, w, see `placing.place_vertices`
    sides: npt.NDArray[np.float32]  # (5 MAX_VERTICES,) see `_box_vertices`
    boxes: npt.NDArray[np.float32]  # (8 MAX_VERTICES,) likewise
    box: npt.NDArray[np.float32]  # (8,) the face's or cluster's in hand
    limits: npt.NDArray[np.float32]  # (4,) the tile's columns, columns, rows, rows
    ends: npt.NDArray[np.int32]  # (4,) which of these a box reaches
    planes: npt.NDArray[np.float64]  # (_PLANE MAX_FACES,) see `_planes`
    chosen: npt.NDArray[np.int32]  # (MAX_FACES,) faces that are one of a pair
    pairs: npt.NDArray[np.int32]  # (_PAIRS,) block x MAX_FACES + face
    lists: npt.NDArray[np.int32]  # (256 x 8,) for each eight bits, which of them are set, x MAX_FACES


@cache
def _lists() -> npt.NDArray[np.int32]:
    """Return `HideScratch.lists`."""
    lists = aligned((256, 8), np.int32)
    for bits in range(256):
        of_bits = [MAX_FACES * k for k in range(8) if bits >> k & 1]
        lists[bits, : len(of_bits)] = of_bits
    return lists.reshape(-1)


def hide_scratch() -> HideScratch:
    """Return a `HideScratch`."""
    return HideScratch(
        aligned(6 * _V), aligned(5 * _V, np.float32), aligned(8 * _V, np.float32), aligned(8, np.float32),
        aligned(4, np.float32), aligned(4, np.int32), aligned(_PLANE * MAX_FACES), aligned(MAX_FACES, np.int32),
        aligned(_PAIRS, np.int32), _lists(),
    )  # fmt: skip


@lean_kernel
def nearest_w(scene, clusters, view, parallel, nearest):
    """Bound the w of each cluster from above; inf where one reaches behind the camera."""
    for k in range(clusters.shape[0]):
        c = clusters[k]
        z = (
            view[2, 0] * scene.centre[c, 0]
            + view[2, 1] * scene.centre[c, 1]
            + view[2, 2] * scene.centre[c, 2]
        )
        half = scene.half[c]
        z += view[2, 3] - (abs(view[2, 0]) * half[0] + abs(view[2, 1]) * half[1] + abs(view[2, 2]) * half[2])
        if parallel:
            nearest[k] = -z
        else:
            nearest[k] = 1.0 / z if z > 0.0 else np.inf


@inner
def _box_vertices(n, grid, left, top, parallel, size, guard, scratch):
    """Write what a face's box is the least of, over its vertices, for n of them; the same over all into ``scratch.box``.

    That is where a vertex lies, counted in the tile's bins: x, the columns less x, y, the rows less y, and the negative of
    w; all are less by more than rounding may make of them. A vertex without a place, behind the camera or beyond ``guard``,
    is everywhere, and nearest; its w becomes NaN.
    """
    placed, sides = scratch.placed, scratch.sides
    if parallel:
        for i in range(np.uint64(n)):
            placed[3 * _V + i], placed[4 * _V + i] = placed[i], placed[_V + i]
            placed[5 * _V + i] = -placed[2 * _V + i]
    across, down = np.float64(grid.tiles_x * grid.cols), np.float64(grid.tiles_y * grid.rows)
    n_cols, n_rows = np.float64(grid.cols), np.float64(grid.rows)
    fixed, growing = 8.0 * (_ROUNDING * guard + (size if parallel else 0.0)), 0.0 if parallel else 8.0 * size
    x_room, y_room = MARGIN * (across + n_cols), MARGIN * (down + n_rows)
    if n < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    for i in range(((n + LANES - 1) // LANES) * LANES):
        x, y, w = placed[3 * _V + i], placed[4 * _V + i], placed[5 * _V + i]
        is_placed = parallel | ((placed[2 * _V + i] > 0.0) & (abs(x) <= guard) & (abs(y) <= guard))
        placed[5 * _V + i] = w if is_placed else np.nan
        room = fixed + growing * w
        x, dx = along(x, grid.x0, grid.per_x, across) - left, room * grid.per_x + x_room
        y, dy = along(y, grid.y0, grid.per_y, down) - top, room * grid.per_y + y_room
        far = -w - MARGIN * abs(w)
        far = far if far > -_FARTHEST else -_FARTHEST
        far = far if far < _FARTHEST else _FARTHEST
        otherwise = -_FARTHEST if i < n else _FARTHEST  # beyond the last, it shall not be the least
        is_placed &= i < n
        sides[i] = np.float32(x - dx if is_placed else otherwise)
        sides[_V + i] = np.float32(n_cols - x - dx if is_placed else otherwise)
        sides[2 * _V + i] = np.float32(y - dy if is_placed else otherwise)
        sides[3 * _V + i] = np.float32(n_rows - y - dy if is_placed else otherwise)
        sides[4 * _V + i] = np.float32(far if is_placed else otherwise)
    for k in range(5):
        side = load8(sides, k * _V)
        for i in range(8, n, 8):
            side = least(side, load8(sides, k * _V + i))
        scratch.box[k] = least_lane(side)


@inner
def _bring_together(n, scratch):
    """Bring the sides of each vertex' box together: those of a face are the least of three."""
    sides, boxes = scratch.sides, scratch.boxes
    for i in range(np.uint64(n)):
        store(boxes, 8 * i, vector4(sides[i], sides[_V + i], sides[2 * _V + i], sides[3 * _V + i]))
        boxes[8 * i + 4] = sides[4 * _V + i]


@inlined
def _reach(box, n_rows, n_cols, scratch):
    """Return which bins a box reaches: the first row, the row after the last, and the columns likewise."""
    limits, ends = scratch.limits, scratch.ends
    store(ends, 0, as_whole(most(least(four(box, 0), load4(limits, 0)), np.float32(0.0))))
    return np.int64(ends[2]), n_rows - ends[3], np.int64(ends[0]), n_cols - ends[1]


@inlined
def _blocks_met(box, bounds, stride, at):
    """Return which of eight blocks a box meets, of which it is not behind all: bits."""
    return bits_of(
        (load8(bounds, at) >= box[0])
        & (load8(bounds, stride + at) >= box[1])
        & (load8(bounds, 2 * stride + at) >= box[2])
        & (load8(bounds, 3 * stride + at) >= box[3])
        & (load8(bounds, 4 * stride + at) >= box[4])
    )


@inner
def _matters(n_rows, n_cols, blocks, scratch):
    """Whether anything in the box in hand may be before a ray of the tile."""
    box, first, bounds, stride = scratch.box, blocks.first, blocks.bounds, blocks.bounds.shape[0] // 5
    row0, row1, col0, col1 = _reach(load8(box, 0), n_rows, n_cols, scratch)
    for row in range(row0, row1):
        start, stop = np.int64(first[row * n_cols + col0]), np.int64(first[row * n_cols + col1])
        for at in range(start >> _OF_N, (stop + N - 1) >> _OF_N, 8):
            if _blocks_met(box, bounds, stride, at) != 0:
                return True
    return False


@inner
def _planes(ax, ay, aw, bx, by, bw, cx, cy, cw, room, plane):
    """Write the planes of a face around its vertex a: A, B, D of the three edges and of w; False if it is seen edge-on."""
    abx, aby, acx, acy, bcx, bcy = bx - ax, by - ay, cx - ax, cy - ay, cx - bx, cy - by
    area = abx * acy - acx * aby
    if not area * area > 4.0 * room * room * (abx * abx + aby * aby + acx * acx + acy * acy):
        return False
    sign = 1.0 if area > 0.0 else -1.0
    widened = 4.0 * room
    plane[0], plane[1], plane[2] = -aby * sign, abx * sign, widened * (abs(aby) + abs(abx))
    plane[3], plane[4], plane[5] = -bcy * sign, bcx * sign, abs(area) + widened * (abs(bcy) + abs(bcx))
    plane[6], plane[7], plane[8] = acy * sign, -acx * sign, widened * (abs(acy) + abs(acx))
    inverse = 1.0 / area
    plane[9] = ((bw - aw) * acy - (cw - aw) * aby) * inverse
    plane[10] = ((cw - aw) * abx - (bw - aw) * acx) * inverse
    plane[11] = aw
    plane[12], plane[13] = min(aw, min(bw, cw)), max(aw, max(bw, cw))
    plane[14], plane[15] = ax, ay
    return True


@inner
def _homogeneous_planes(placed, a, b, c, size, farthest, plane):
    """Write the planes of a face of which not all is in front of the camera, around (0, 0); False if it is not seen."""
    ax, ay, az = placed[a], placed[_V + a], placed[2 * _V + a]
    bx, by, bz = placed[b], placed[_V + b], placed[2 * _V + b]
    cx, cy, cz = placed[c], placed[_V + c], placed[2 * _V + c]
    deepest = max(az, max(bz, cz))
    if not deepest > 0.0:
        return False
    px, py, pz = bx - ax, by - ay, bz - az
    qx, qy, qz = cx - ax, cy - ay, cz - az
    nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
    volume = ax * nx + ay * ny + az * nz
    far_a, far_b, far_c = (
        abs(ax) + abs(ay) + abs(az),
        abs(bx) + abs(by) + abs(bz),
        abs(cx) + abs(cy) + abs(cz),
    )
    far = max(far_a, max(far_b, far_c))
    if not abs(volume) > _EDGE_ON * far * (abs(nx) + abs(ny) + abs(nz)):
        return False
    sign = 1.0 if volume > 0.0 else -1.0
    plane[0], plane[1], plane[2] = (
        (ay * bz - az * by) * sign,
        (az * bx - ax * bz) * sign,
        (ax * by - ay * bx) * sign,
    )
    plane[3], plane[4], plane[5] = (
        (by * cz - bz * cy) * sign,
        (bz * cx - bx * cz) * sign,
        (bx * cy - by * cx) * sign,
    )
    plane[6], plane[7], plane[8] = (
        (cy * az - cz * ay) * sign,
        (cz * ax - cx * az) * sign,
        (cx * ay - cy * ax) * sign,
    )
    plane[2] += farthest * (4.0 * size * (far_a + far_b) + _ROUNDING * far_a * far_b)
    plane[5] += farthest * (4.0 * size * (far_b + far_c) + _ROUNDING * far_b * far_c)
    plane[8] += farthest * (4.0 * size * (far_c + far_a) + _ROUNDING * far_c * far_a)
    plane[9], plane[10], plane[11] = nx / volume, ny / volume, nz / volume
    plane[12], plane[13] = 1.0 / deepest, np.inf
    if min(az, min(bz, cz)) > 0.0:
        plane[13] = max(1.0 / az, max(1.0 / bz, 1.0 / cz))
    plane[14], plane[15] = 0.0, 0.0
    return True


@inner
def _list_pairs(corners, n_rows, n_cols, blocks, next_face, next_row, next_block, scratch):
    """List pairs of faces and blocks that meet, from a face, row and block on, until the list is full.

    Returns how many pairs, and how many faces, are in the lists, and the face, row and block to go on from.
    """
    boxes, box, lists, pairs, chosen = (
        scratch.boxes,
        scratch.box,
        scratch.lists,
        scratch.pairs,
        scratch.chosen,
    )
    first, bounds, stride = blocks.first, blocks.bounds, blocks.bounds.shape[0] // 5
    n, n_chosen = 0, 0
    for face in range(next_face, corners.shape[0] // 3):
        if (n < 0) | (n_chosen < 0) | (face < 0):  # never; it says that no index below is negative
            break
        a, b, c = (
            np.int64(corners[3 * face]),
            np.int64(corners[3 * face + 1]),
            np.int64(corners[3 * face + 2]),
        )
        of_face = least(least(load8(boxes, 8 * a), load8(boxes, 8 * b)), load8(boxes, 8 * c))
        store(box, 0, of_face)
        row0, row1, col0, col1 = _reach(of_face, n_rows, n_cols, scratch)
        begun = n
        for row in range(max(row0, next_row), row1):
            start, stop = first[np.uint64(row * n_cols + col0)], first[np.uint64(row * n_cols + col1)]
            for at in range(max(np.int64(start) >> _OF_N, next_block), (np.int64(stop) + N - 1) >> _OF_N, 8):
                if n > _PAIRS - 8:
                    chosen[n_chosen] = face
                    return n, n_chosen + 1, face, row, at
                bits = _blocks_met(box, bounds, stride, at)
                # Written in any case, and kept by counting them: which blocks are met cannot be foreseen.
                store(pairs, n, load8(lists, 8 * bits) + np.int32(at * MAX_FACES + face))
                n += popcount(bits)
            next_block = 0
        next_row, next_block = 0, 0
        chosen[n_chosen] = face
        n_chosen += n > begun
    return n, n_chosen, corners.shape[0] // 3, 0, 0


@inner
def _make_planes(corners, n, parallel, size, guard, scratch):
    """Make the planes of the n faces that are listed."""
    placed = scratch.placed
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    farthest = 1.0 + 2.0 * guard
    for i in range(n):
        face = np.int64(scratch.chosen[i])
        a, b, c = (
            np.int64(corners[3 * face]),
            np.int64(corners[3 * face + 1]),
            np.int64(corners[3 * face + 2]),
        )
        plane = scratch.planes[_PLANE * face : _PLANE * (face + 1)]
        aw, bw, cw = ws[a], ws[b], ws[c]
        if np.isnan(aw + bw + cw):
            seen = _homogeneous_planes(placed, a, b, c, size, farthest, plane)
        else:
            room = size * (1.0 if parallel else max(aw, max(bw, cw))) + _ROUNDING * guard
            seen = _planes(xs[a], ys[a], aw, xs[b], ys[b], bw, xs[c], ys[c], cw, room, plane)
        if not seen:
            for k in range(_PLANE):  # no ray is inside of it
                plane[k] = -1.0 if k == 2 else 0.0


@inner
def _cover(rows, at, plane, name, behind):
    """Take a face's w into the rays of a block that pass through it, where it is before the point and nearer than others.

    Of equal w the smaller face stays. A point that is hidden for sure is beyond everything from then on. No w counts that
    is greater than ``behind``.
    """
    dx, dy = load8(rows, at) - plane[14], load8(rows, at + N) - plane[15]
    inside = none_negative(
        multiply_add(dy, plane[1], multiply_add(dx, plane[0], plane[2])),
        multiply_add(dy, plane[4], multiply_add(dx, plane[3], plane[5])),
        multiply_add(dy, plane[7], multiply_add(dx, plane[6], plane[8])),
    )
    w = multiply_add(dy, plane[10], multiply_add(dx, plane[9], plane[11]))
    w = least(most(w, plane[12]), plane[13])
    best, held = load8(rows, at + BEST), load8(rows, at + NAME)
    nearer = inside & (splat_like(w, behind) >= w) & ((w > best) | ((w == best) & (held > name)))
    w = choose(w > load8(rows, at + SURE), splat_like(w, np.inf), w)
    store(rows, at + BEST, choose(nearer, w, best))
    store(rows, at + NAME, choose(nearer, splat_like(held, name), held))


@lean_kernel
def hide_points(
    scene, clusters, nearest, view, parallel, size, guard, grid, tile, blocks, scratch
):  # fmt: skip
    """Hold the faces of ``clusters`` before the points of one tile of a grid.

    ``scene`` is the tuple of arrays of ``scene.py``; ``view`` (3, 4) maps points relative to the scene's origin to X, Y, Z;
    ``nearest`` are the clusters' of `nearest_w`, descending. ``size`` bounds the rounding of X, Y and Z, ``guard`` the
    distance from the axis up to which faces are projected, beyond the grid. ``tile`` is its number, ``blocks`` are its
    rays, ``scratch`` is a `HideScratch`.
    """
    placed, box, n_rows, n_cols = scratch.placed, scratch.box, grid.rows, grid.cols
    rows, bounds, stride = blocks.rows, blocks.bounds, blocks.bounds.shape[0] // 5
    across, down = np.float64(grid.tiles_x * n_cols), np.float64(grid.tiles_y * n_rows)
    left, top = np.float64(tile % grid.tiles_x * n_cols), np.float64(tile // grid.tiles_x * n_rows)
    x_room, y_room = MARGIN * (across + n_cols), MARGIN * (down + n_rows)
    scratch.limits[0], scratch.limits[1], scratch.limits[2], scratch.limits[3] = (
        n_cols,
        n_cols,
        n_rows,
        n_rows,
    )
    behind = 0.0 if parallel else np.inf  # w of what is behind the camera is greater
    for i in range(clusters.shape[0]):
        cluster = np.int64(clusters[i])
        cx, cy, cz = scene.centre[cluster, 0], scene.centre[cluster, 1], scene.centre[cluster, 2]
        greatest = nearest[i]
        for k in range(8):
            box[k] = -_FARTHEST
        if greatest < np.inf:
            greatest += 1e-9 * abs(greatest) + size * (1.0 if parallel else greatest * greatest)
            room = 16.0 * (size * (1.0 if parallel else greatest) + _ROUNDING * guard)
            x0, x1, y0, y1, _ = bound_cluster(view, cx, cy, cz, scene.half[cluster], 0.0, parallel)
            box[0] = along(x0 - room, grid.x0, grid.per_x, across) - left - x_room
            box[1] = n_cols - (along(x1 + room, grid.x0, grid.per_x, across) - left) - x_room
            box[2] = along(y0 - room, grid.y0, grid.per_y, down) - top - y_room
            box[3] = n_rows - (along(y1 + room, grid.y0, grid.per_y, down) - top) - y_room
            box[4] = min(max(-greatest - MARGIN * abs(greatest), -_FARTHEST), _FARTHEST)
        if not _matters(n_rows, n_cols, blocks, scratch):
            continue
        n_vertices, start = np.int64(scene.n_vertices[cluster]), scene.first_vertex[cluster]
        if scene.is_wide[cluster]:
            place_vertices(
                scene.wide, start, n_vertices, view, 1.0, cx, cy, cz, placed
            )  # fmt: skip
        else:
            place_vertices(
                scene.narrow, start, n_vertices, view, scene.step, cx, cy, cz, placed
            )  # fmt: skip
        _box_vertices(n_vertices, grid, left, top, parallel, size, guard, scratch)
        if not _matters(n_rows, n_cols, blocks, scratch):  # what it really takes is less than its box
            continue
        _bring_together(n_vertices, scratch)
        first_face, end_face = scene.first_face[cluster], scene.first_face[cluster + 1]
        corners, face_ids = scene.corners[3 * first_face : 3 * end_face], scene.face_ids[first_face:end_face]
        face, row, block = 0, 0, 0
        while face < end_face - first_face:
            n, n_chosen, face, row, block = _list_pairs(
                corners, n_rows, n_cols, blocks, face, row, block, scratch
            )
            _make_planes(corners, n_chosen, parallel, size, guard, scratch)
            for k in range(n):
                pair = np.int64(scratch.pairs[k])
                met, number = pair >> _OF_FACES, pair & (MAX_FACES - 1)
                plane = scratch.planes[_PLANE * number : _PLANE * (number + 1)]
                _cover(rows, met * SIZE, plane, np.float64(face_ids[number]), behind)
            for k in range(n):
                met = np.int64(scratch.pairs[k]) >> _OF_FACES
                bounds[4 * stride + met] = -least_lane(load8(rows, met * SIZE + BEST))
