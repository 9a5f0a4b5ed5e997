"""What lies before points, as a camera sees them: faces are drawn onto the points' own rays instead of onto pixels.

The rays of all points meet a plane before the camera, or one of several. They are sorted into bins there and, of each bin,
laid out in blocks of `_N`, for loops that vectorize. Faces come cluster by cluster, the near ones first. Each point
holds the nearest face before it; one that a face hides whatever its slope is settled and looked at no more, and where all
points of a bin are settled, or nearer than what comes, so are clusters and faces not. Everything is float64 and every
ray is exact, whatever the lens: nothing is sampled. After Johnson, Lee, Burns and Mark, "The irregular Z-buffer" (ACM
Transactions on Graphics 2005) and Greene, Kass and Miller, "Hierarchical Z-buffer visibility" (SIGGRAPH 1993).

Coordinates are X, Y, Z across the plane; of a ray x = X / Z, y = Y / Z, and w = 1 / Z of the point or of what is before it
(x = X, y = Y, w = -Z where rays are parallel): the greater w, the nearer. In (x, y) edges are straight and w is linear.

Why no ray passes between two faces: edges are widened by what rounding may move a vertex, some 1e-15 of the greatest
coordinate that goes into it; what such a ray could extrapolate is cut to the face's own range of w.

The commonest change is the size of a bin, `PER_BIN`, or of a block; what near enough means is ``sight.py``'s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.clusters import LANES, MAX_VERTICES
from depthraster.kernels.jit import inlined, inner, kernel, lean_kernel
from depthraster.kernels.memory import aligned

__all__ = [
    "PER_BIN",
    "Blocks",
    "Grid",
    "Room",
    "hide_points",
    "lay_out",
    "nearest_w",
    "side_of",
    "sort_rays",
]

_N = 8  # rays of a block
PER_BIN = 12  # rays of a bin, on average
_V = MAX_VERTICES
_ROUNDING = 2.0**-49  # 16 roundings
_EDGE_ON = 1e-10  # of the distance of a face's farthest corner, by which the camera has to be off its plane
# Rows of a block: x, y; the w to be exceeded by a face that matters; that beyond which any face hides the point; the nearest
# face that matters, -1 for none. All in one array: with two the compiler could not know that they do not overlap.
_BEST, _SURE, _NAME = 2 * _N, 3 * _N, 4 * _N


class Grid(NamedTuple):
    """The bins of a plane, in tiles of ``side`` x ``side``; they are numbered tile by tile, row by row in each."""

    x0: float
    y0: float
    per_x: float  # bins per unit of x
    per_y: float
    tiles_x: int
    tiles_y: int
    side: int


class Blocks(NamedTuple):
    """The rays of a tile, by bins."""

    first: npt.NDArray[np.int64]  # (bins + 1,) where a bin's blocks begin
    least: npt.NDArray[np.float64]  # (bins,) the least w to be exceeded
    rows: npt.NDArray[np.float64]  # (blocks, 5 N), see `_BEST`
    own: npt.NDArray[np.float64]  # (blocks, N) the points' own w
    rays: npt.NDArray[np.int64]  # (blocks, N) which rays these are, -1: none
    # (blocks, 8) x0, x1, y0, y1 around a block's rays, and the least w to be exceeded; a cache line each
    bounds: npt.NDArray[np.float64]


class HideScratch(NamedTuple):
    """What `hide_points` works in."""

    placed: npt.NDArray[np.float64]  # (6 MAX_VERTICES,) rows of X, Y, Z, x, y, w
    plane: npt.NDArray[np.float64]  # (16,) see `_planes`


def _hide_scratch() -> HideScratch:
    """Return a `HideScratch`."""
    return HideScratch(aligned(6 * _V), aligned(16))


@kernel
def side_of(rays, sides):
    """Write which side of a cube around the camera each ray passes: 0 ... 5 for X, -X, Y, -Y, Z, -Z."""
    for k in range(rays.shape[0]):
        x, y, z = rays[k, 0], rays[k, 1], rays[k, 2]
        side, most = 0, abs(x)
        if abs(y) > most:
            side, most = 2, abs(y)
        if abs(z) > most:
            side = 4
        value = x if side == 0 else (y if side == 2 else z)
        sides[k] = side + (value < 0.0)


@inner
def _bin_along(value, origin, per, n):
    """Return the bin along one axis, of n; monotonous, so that what lies between two values lies between their bins."""
    at = (value - origin) * per
    at = at if at > 0.0 else 0.0
    last = n - 1.0
    return np.int64(at if at < last else last)


@kernel
def sort_rays(rays, parallel, grid, bins, starts, order):
    """Sort rays by their bins: ``order`` (n) int32 takes their numbers, ``starts`` (bins + 1) zeros where each bin's begin.

    ``rays`` (n, 4) are X, Y, Z of their points, and a number that `lay_out` wants; ``bins`` (n) int32 is worked in.
    """
    across, down = grid.tiles_x * grid.side, grid.tiles_y * grid.side
    side, tiles_x = np.int32(grid.side), np.int32(grid.tiles_x)
    for k in range(rays.shape[0]):
        scale = 1.0 if parallel else 1.0 / rays[k, 2]
        col = np.int32(_bin_along(rays[k, 0] * scale, grid.x0, grid.per_x, across))
        row = np.int32(_bin_along(rays[k, 1] * scale, grid.y0, grid.per_y, down))
        tile_row, tile_col = row // side, col // side  # of 32 bits: twice as fast
        tile = tile_row * tiles_x + tile_col
        place = (tile * side + (row - tile_row * side)) * side + (col - tile_col * side)
        bins[k] = place
        starts[place + 1] += 1
    for place in range(1, starts.shape[0]):
        starts[place] += starts[place - 1]
    for k in range(rays.shape[0] - 1, -1, -1):  # from behind, each bin's start comes to be where it ends
        place = bins[k]
        order[starts[place]] = k
        starts[place] += 1
    for place in range(starts.shape[0] - 1, 0, -1):
        starts[place] = starts[place - 1]
    starts[0] = 0


class Room:
    """Memory for the blocks of one tile after the other; one for each thread."""

    def __init__(self) -> None:
        self._blocks = self._empty(0, 0)
        self.scratch = _hide_scratch()

    @staticmethod
    def _empty(n_bins: int, n: int) -> Blocks:
        return Blocks(
            np.empty(n_bins + 1, np.int64), np.empty(n_bins), _aligned_empty((n, 5 * _N)), np.empty((n, _N)),
            np.empty((n, _N), np.int64), _aligned_empty((n, 8)),
        )  # fmt: skip

    def blocks(self, starts: npt.NDArray[np.int32]) -> Blocks:
        """Return `Blocks` for the rays of the bins that begin at ``starts`` (bins + 1), over those returned before."""
        n_bins, n = len(starts) - 1, int((-(-np.diff(starts) // _N)).sum())
        has = self._blocks
        if len(has.rows) < n or len(has.least) < n_bins:
            has = self._blocks = self._empty(max(n_bins, len(has.least)), max(n + n // 4, len(has.rows)))
        return Blocks(
            has.first[: n_bins + 1], has.least[:n_bins], has.rows[:n], has.own[:n], has.rays[:n], has.bounds[:n]
        )  # fmt: skip


def _aligned_empty(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return an array whose data begins at a cache line; unlike `aligned`'s it is not cleared."""
    raw = np.empty(shape[0] * shape[1] + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + shape[0] * shape[1]].reshape(shape)


@lean_kernel
def lay_out(rays, parallel, starts, order, least, most, blocks, bounds):
    """Lay the rays of a tile out in blocks; ``bounds`` (4) takes x0, x1, y0, y1 around them.

    ``starts`` (bins + 1) are the tile's, of `sort_rays`. A ray's fourth number says where in ``least`` and ``most`` (cells)
    it finds how much nearer a face has to be, to hide its point if it lies flat, and however steep it is: relative to the
    face's own distance, or of parallel rays the distance.
    """
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    block = np.int64(0)
    for place in range(starts.shape[0] - 1):
        blocks.first[place], blocks.least[place] = block, np.inf
        for start in range(starts[place], starts[place + 1], _N):
            row = blocks.rows[block]
            left, right, top, bottom, lowest = np.inf, -np.inf, np.inf, -np.inf, np.inf
            n = min(_N, starts[place + 1] - start)
            for i in range(n):
                k = order[start + i]
                x, y, z = rays[k, 0], rays[k, 1], rays[k, 2]
                cell = np.int64(rays[k, 3])
                w = -z if parallel else 1.0 / z
                scale, unit = (1.0, 1.0) if parallel else (w, w)
                x, y, near = x * scale, y * scale, w + unit * least[cell]
                row[i], row[_N + i], row[_BEST + i], row[_SURE + i] = x, y, near, w + unit * most[cell]
                row[_NAME + i] = -1.0
                blocks.own[block, i], blocks.rays[block, i] = w, k
                left, right = x if x < left else left, x if x > right else right
                top, bottom = y if y < top else top, y if y > bottom else bottom
                lowest = near if near < lowest else lowest
            for i in range(n, _N):
                row[i], row[_N + i], row[_BEST + i], row[_SURE + i], row[_NAME + i] = (
                    0.0,
                    0.0,
                    np.inf,
                    np.inf,
                    -1.0,
                )
                blocks.rays[block, i] = -1
            one = blocks.bounds[block]
            one[0], one[1], one[2], one[3], one[4] = left, right, top, bottom, lowest
            x0, x1, y0, y1 = min(x0, left), max(x1, right), min(y0, top), max(y1, bottom)
            blocks.least[place] = min(blocks.least[place], lowest)
            block += 1
    blocks.first[starts.shape[0] - 1] = block
    bounds[0], bounds[1], bounds[2], bounds[3] = x0, x1, y0, y1


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
def _rectangle(scene, c, view, parallel, room):
    """Return x0, x1, y0, y1 around a cluster that is in front of the camera."""
    hx, hy, hz = np.float64(scene.half[c, 0]), np.float64(scene.half[c, 1]), np.float64(scene.half[c, 2])
    px, py, pz = scene.centre[c, 0], scene.centre[c, 1], scene.centre[c, 2]
    x = view[0, 0] * px + view[0, 1] * py + view[0, 2] * pz + view[0, 3]
    y = view[1, 0] * px + view[1, 1] * py + view[1, 2] * pz + view[1, 3]
    z = view[2, 0] * px + view[2, 1] * py + view[2, 2] * pz + view[2, 3]
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for corner in range(8):
        qx = hx if corner & 1 else -hx
        qy = hy if corner & 2 else -hy
        qz = hz if corner & 4 else -hz
        scale = 1.0
        if not parallel:
            scale = 1.0 / (z + (view[2, 0] * qx + view[2, 1] * qy + view[2, 2] * qz))
        u = (x + (view[0, 0] * qx + view[0, 1] * qy + view[0, 2] * qz)) * scale
        v = (y + (view[1, 0] * qx + view[1, 1] * qy + view[1, 2] * qz)) * scale
        x0, x1, y0, y1 = min(x0, u), max(x1, u), min(y0, v), max(y1, v)
    return x0 - room, x1 + room, y0 - room, y1 + room


@inner
def _place_vertices(offsets, first, n, view, step, cx, cy, cz, parallel, guard, placed):
    """Write X, Y, Z, x, y, w of a cluster's n vertices; w is NaN of those behind the camera or beyond ``guard``."""
    a0, a1, a2 = view[0, 0] * step, view[0, 1] * step, view[0, 2] * step
    d0, d1, d2 = view[1, 0] * step, view[1, 1] * step, view[1, 2] * step
    z0, z1, z2 = view[2, 0] * step, view[2, 1] * step, view[2, 2] * step
    a3 = view[0, 0] * cx + view[0, 1] * cy + view[0, 2] * cz + view[0, 3]
    d3 = view[1, 0] * cx + view[1, 1] * cy + view[1, 2] * cz + view[1, 3]
    z3 = view[2, 0] * cx + view[2, 1] * cy + view[2, 2] * cz + view[2, 3]
    # Whole vectors only: what is read past the last vertex is memory of ours, what it gives is not used.
    if n < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    offsets = offsets[first : first + 3 * n + LANES]
    whole = ((n + LANES - 1) // LANES) * LANES
    for i in range(whole):
        p, q, r = np.float64(offsets[i]), np.float64(offsets[n + i]), np.float64(offsets[2 * n + i])
        x = a0 * p + a1 * q + a2 * r + a3
        y = d0 * p + d1 * q + d2 * r + d3
        z = z0 * p + z1 * q + z2 * r + z3
        w = 1.0 / z
        placed[i], placed[_V + i], placed[2 * _V + i] = x, y, z
        x, y = x * w, y * w
        placed[3 * _V + i], placed[4 * _V + i] = x, y
        placed[5 * _V + i] = w if (z > 0.0) & (abs(x) <= guard) & (abs(y) <= guard) else np.nan
    if parallel:
        for i in range(whole):
            placed[3 * _V + i], placed[4 * _V + i] = placed[i], placed[_V + i]
            placed[5 * _V + i] = -placed[2 * _V + i]


@inner
def _extent(placed, n):
    """Return x0, x1, y0, y1 around a cluster's vertices and their greatest w; inf where one has none."""
    x0, x1, y0, y1, most, sound = (
        placed[3 * _V],
        placed[3 * _V],
        placed[4 * _V],
        placed[4 * _V],
        placed[5 * _V],
        True,
    )
    for i in range(np.uint64(n)):
        x, y, w = placed[3 * _V + i], placed[4 * _V + i], placed[5 * _V + i]
        x0, x1 = x if x < x0 else x0, x if x > x1 else x1
        y0, y1 = y if y < y0 else y0, y if y > y1 else y1
        most = w if w > most else most
        sound &= w == w
    return x0, x1, y0, y1, most if sound else np.inf


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


@inlined
def _cover(
    row, name, ax, ay, a0, b0, d0, a1, b1, d1, a2, b2, d2, wa, wb, wd, least, most, behind
):  # fmt: skip
    """Take a face's w into the rays of a block that pass through it, where it is before the point and nearer than others.

    Of equal w the smaller face stays. A point that is hidden for sure is beyond everything from then on. No w counts that
    is greater than ``behind``.
    """
    for i in range(_N):
        dx, dy, best, held = row[i] - ax, row[_N + i] - ay, row[_BEST + i], row[_NAME + i]
        inside = (
            (a0 * dx + b0 * dy + d0 >= 0.0)
            & (a1 * dx + b1 * dy + d1 >= 0.0)
            & (a2 * dx + b2 * dy + d2 >= 0.0)
        )
        w = wa * dx + wb * dy + wd
        w = w if w > least else least
        w = w if w < most else most
        nearer = inside & (w <= behind) & ((w > best) | ((w == best) & (name < held)))
        w = np.inf if w > row[_SURE + i] else w
        row[_BEST + i] = w if nearer else best
        row[_NAME + i] = name if nearer else held


@inner
def _least_of(row):
    """Return the least w to be exceeded of a block."""
    a, b = min(row[_BEST], row[_BEST + 1]), min(row[_BEST + 2], row[_BEST + 3])
    c, d = min(row[_BEST + 4], row[_BEST + 5]), min(row[_BEST + 6], row[_BEST + 7])
    return min(min(a, b), min(c, d))


@inner
def _matters(least, most, side, row0, row1, col0, col1):
    """Whether any of a rectangle of bins has a point that something of w up to ``most`` may be before."""
    for row in range(row0, row1 + 1):
        for col in range(col0, col1 + 1):
            if most > least[row * side + col]:
                return True
    return False


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
    placed, plane, side = scratch.placed, scratch.plane, grid.side
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    across, down = grid.tiles_x * side, grid.tiles_y * side
    left, top = (tile % grid.tiles_x) * side, (tile // grid.tiles_x) * side
    first, least = blocks.first, blocks.least
    farthest = 1.0 + 2.0 * guard
    behind = 0.0 if parallel else np.inf  # w of what is behind the camera is greater
    for at in range(clusters.shape[0]):
        cluster = np.int64(clusters[at])
        most = nearest[at]
        row0, row1, col0, col1 = 0, side - 1, 0, side - 1
        if most < np.inf:
            most += 1e-9 * abs(most) + size * (1.0 if parallel else most * most)
            room = size * (1.0 if parallel else most) + _ROUNDING * guard
            x0, x1, y0, y1 = _rectangle(scene, cluster, view, parallel, 16.0 * room)
            col0 = max(_bin_along(x0, grid.x0, grid.per_x, across) - left, 0)
            col1 = min(_bin_along(x1, grid.x0, grid.per_x, across) - left, side - 1)
            row0 = max(_bin_along(y0, grid.y0, grid.per_y, down) - top, 0)
            row1 = min(_bin_along(y1, grid.y0, grid.per_y, down) - top, side - 1)
        if not _matters(least, most, side, row0, row1, col0, col1):
            continue
        n_vertices, start = np.int64(scene.n_vertices[cluster]), scene.first_vertex[cluster]
        cx, cy, cz = scene.centre[cluster, 0], scene.centre[cluster, 1], scene.centre[cluster, 2]
        if scene.is_wide[cluster]:
            _place_vertices(scene.wide, start, n_vertices, view, 1.0, cx, cy, cz, parallel, guard, placed)
        else:
            _place_vertices(
                scene.narrow, start, n_vertices, view, scene.step, cx, cy, cz, parallel, guard, placed
            )
        x0, x1, y0, y1, most = _extent(placed, n_vertices)
        if most < np.inf:  # all of it is in front: what it really takes is less than its box
            room = size * (1.0 if parallel else most) + _ROUNDING * guard
            col0 = max(_bin_along(x0 - 8.0 * room, grid.x0, grid.per_x, across) - left, 0)
            col1 = min(_bin_along(x1 + 8.0 * room, grid.x0, grid.per_x, across) - left, side - 1)
            row0 = max(_bin_along(y0 - 8.0 * room, grid.y0, grid.per_y, down) - top, 0)
            row1 = min(_bin_along(y1 + 8.0 * room, grid.y0, grid.per_y, down) - top, side - 1)
            if not _matters(least, most, side, row0, row1, col0, col1):
                continue
        first_face, end_face = scene.first_face[cluster], scene.first_face[cluster + 1]
        corners, face_ids = scene.corners[3 * first_face : 3 * end_face], scene.face_ids[first_face:end_face]
        for face in range(end_face - first_face):
            a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
            ax, bx, cx, ay, by, cy, aw, bw, cw = xs[a], xs[b], xs[c], ys[a], ys[b], ys[c], ws[a], ws[b], ws[c]
            most = max(aw, max(bw, cw))
            ready = np.isnan(aw + bw + cw)
            room = 0.0
            if ready:
                if not _homogeneous_planes(placed, a, b, c, size, farthest, plane):
                    continue
                most = plane[13]
                x0, x1, y0, y1 = -np.inf, np.inf, -np.inf, np.inf
                row0, row1, col0, col1 = 0, side - 1, 0, side - 1
            else:
                room = size * (1.0 if parallel else most) + _ROUNDING * guard
                x0, x1 = min(ax, min(bx, cx)) - 8.0 * room, max(ax, max(bx, cx)) + 8.0 * room
                y0, y1 = min(ay, min(by, cy)) - 8.0 * room, max(ay, max(by, cy)) + 8.0 * room
                col0 = max(_bin_along(x0, grid.x0, grid.per_x, across) - left, 0)
                col1 = min(_bin_along(x1, grid.x0, grid.per_x, across) - left, side - 1)
                row0 = max(_bin_along(y0, grid.y0, grid.per_y, down) - top, 0)
                row1 = min(_bin_along(y1, grid.y0, grid.per_y, down) - top, side - 1)
            for row in range(row0, row1 + 1):
                for col in range(col0, col1 + 1):
                    place = row * side + col
                    if not most > least[place]:
                        continue
                    lowest = np.inf
                    for k in range(first[place], first[place + 1]):
                        bounds = blocks.bounds[k]
                        if not (
                            (most > bounds[4])
                            & (x0 <= bounds[1])
                            & (x1 >= bounds[0])
                            & (y0 <= bounds[3])
                            & (y1 >= bounds[2])
                        ):
                            lowest = min(lowest, bounds[4])
                            continue
                        if not ready:
                            ready = True
                            if not _planes(ax, ay, aw, bx, by, bw, cx, cy, cw, room, plane):
                                most = -np.inf
                                lowest = min(lowest, bounds[4])
                                continue
                        u0, u1, v0, v1 = (
                            bounds[0] - plane[14],
                            bounds[1] - plane[14],
                            bounds[2] - plane[15],
                            bounds[3] - plane[15],
                        )
                        if (
                            (
                                max(plane[0] * u0, plane[0] * u1)
                                + max(plane[1] * v0, plane[1] * v1)
                                + plane[2]
                                < 0.0
                            )
                            | (
                                max(plane[3] * u0, plane[3] * u1)
                                + max(plane[4] * v0, plane[4] * v1)
                                + plane[5]
                                < 0.0
                            )
                            | (
                                max(plane[6] * u0, plane[6] * u1)
                                + max(plane[7] * v0, plane[7] * v1)
                                + plane[8]
                                < 0.0
                            )
                        ):
                            lowest = min(lowest, bounds[4])
                            continue
                        _cover(
                            blocks.rows[k], np.float64(face_ids[face]), plane[14], plane[15], plane[0], plane[1], plane[2],
                            plane[3], plane[4], plane[5], plane[6], plane[7], plane[8], plane[9], plane[10], plane[11],
                            plane[12], plane[13], behind,
                        )  # fmt: skip
                        bounds[4] = _least_of(blocks.rows[k])
                        lowest = min(lowest, bounds[4])
                    least[place] = lowest
