"""The tile loop: vertices, faces, coverage and depth of one square of the image, on one thread.

A tile is made of blocks of ``BLOCK_WIDTH`` x ``BLOCK_HEIGHT`` pixels. A block keeps its pixels' rays and the nearest
1/Z so far in one row ``dx[N] dy[N] w[N]`` of float32 (w = +inf where the lens images nothing: no face is
nearer than that), with dx and dy counted from the block's float64 reference ray. In that form each face's three edge
functions and its 1/Z are linear in (dx, dy), whatever the lens, and the loop over the N pixels vectorizes.
``rays.py`` fills the blocks, ``select.py`` says which clusters concern a tile, ``resolve.py`` reads the result.

Why no pixel is lost between two faces: edges and 1/Z are planes A x + B y + D of float64, accurate to about
1e-12 pixel; rounding to float32 inside a block moves an edge by less than `_EDGE_ROUNDING` times
(|A| + |B|) times the block's half size, about 2e-6 pixel, and exactly that is added to D. So a pixel inside the
exact face is inside the rounded one. What a pixel 2e-6 pixel outside could extrapolate is cut to the face's own
range of 1/Z.

The commonest change is a new way for a face to be seen: add a branch in `draw_clusters` that makes a
plane record, and let `_draw_face` draw it.

Edge functions after Pineda, "A Parallel Algorithm for Polygon Rasterization" (SIGGRAPH 1988); faces that reach behind
the camera after Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates" (1997).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.clusters import MAX_VERTICES
from depthraster.kernels.lens import project_frame

__all__ = ["draw_clusters"]

# Sum of the roundings of A, B, D, two products and two sums in float32, each 2**-24, at most 6 of them on the
# same term; 8 leaves room.
_EDGE_ROUNDING = 8.0 * 2.0**-24

_N = BLOCK_PIXELS
_V = MAX_VERTICES


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _cover(block, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most):
    """Take the face's 1/Z into the block's pixels where it is inside all three edges and nearer."""
    for i in range(_N):
        dx = block[i]
        dy = block[_N + i]
        old = block[2 * _N + i]
        inside = (a0 * dx + b0 * dy + c0 >= 0.0) & (a1 * dx + b1 * dy + c1 >= 0.0) & (a2 * dx + b2 * dy + c2 >= 0.0)
        w = wa * dx + wb * dy + wc
        w = w if w > w_least else w_least
        w = w if w < w_most else w_most
        block[2 * _N + i] = w if inside & (w > old) else old


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _cover_named(block, names, name, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most):
    """`_cover`, and the face's index beside it; of equal depths the smaller index stays."""
    for i in range(_N):
        dx = block[i]
        dy = block[_N + i]
        old = block[2 * _N + i]
        held = names[i]
        inside = (a0 * dx + b0 * dy + c0 >= 0.0) & (a1 * dx + b1 * dy + c1 >= 0.0) & (a2 * dx + b2 * dy + c2 >= 0.0)
        w = wa * dx + wb * dy + wc
        w = w if w > w_least else w_least
        w = w if w < w_most else w_most
        nearer = inside & ((w > old) | ((w == old) & (name < held)))
        block[2 * _N + i] = w if nearer else old
        names[i] = name if nearer else held


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _draw_face(
    blocks, refs, names, name, row0, row1, col0, col1, blocks_across,
    a0, b0, d0, a1, b1, d1, a2, b2, d2, wa, wb, wd, w_least, w_most,
):  # fmt: skip
    """Draw one face, given as planes of plane pixels, into the blocks that pixels row0..row1, col0..col1 lie in."""
    first_row, last_row = row0 // BLOCK_HEIGHT, row1 // BLOCK_HEIGHT
    first_col, last_col = col0 // BLOCK_WIDTH, col1 // BLOCK_WIDTH
    many = (last_row - first_row + 1) * (last_col - first_col + 1) > 4
    fa0, fb0 = np.float32(a0), np.float32(b0)
    fa1, fb1 = np.float32(a1), np.float32(b1)
    fa2, fb2 = np.float32(a2), np.float32(b2)
    fwa, fwb = np.float32(wa), np.float32(wb)
    least, most = np.float32(w_least), np.float32(w_most)
    for block_row in range(first_row, last_row + 1):
        for block_col in range(first_col, last_col + 1):
            index = block_row * blocks_across + block_col
            x, y = refs[index, 0], refs[index, 1]
            c0 = a0 * x + b0 * y + d0
            c1 = a1 * x + b1 * y + d1
            c2 = a2 * x + b2 * y + d2
            if many:
                rx, ry = refs[index, 2], refs[index, 3]
                if (
                    (c0 + abs(a0) * rx + abs(b0) * ry < 0.0)
                    | (c1 + abs(a1) * rx + abs(b1) * ry < 0.0)
                    | (c2 + abs(a2) * rx + abs(b2) * ry < 0.0)
                ):
                    continue
            wc = wa * x + wb * y + wd
            if names is None:
                _cover(
                    blocks[index], fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                    fwa, fwb, np.float32(wc), least, most,
                )  # fmt: skip
            else:
                _cover_named(
                    blocks[index], names[index], name,
                    fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                    fwa, fwb, np.float32(wc), least, most,
                )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _draw_projected(
    blocks, refs, names, name, row0, row1, col0, col1, blocks_across, rx, ry,
    ax, ay, aw, bx, by, bw, cx, cy, cw, area,
):  # fmt: skip
    """Draw a face whose vertices are all in front of the camera, from their plane pixels and 1/Z."""
    sign = 1.0 if area > 0.0 else -1.0
    abx, aby, acx, acy, bcx, bcy = bx - ax, by - ay, cx - ax, cy - ay, cx - bx, cy - by
    # Edge from p to q: (q - p) x (point - p), positive on the face's side.
    a0, b0 = -aby * sign, abx * sign
    a1, b1 = -bcy * sign, bcx * sign
    a2, b2 = acy * sign, -acx * sign
    d0 = -(a0 * ax + b0 * ay) + (abs(a0) * rx + abs(b0) * ry)
    d1 = -(a1 * bx + b1 * by) + (abs(a1) * rx + abs(b1) * ry)
    d2 = -(a2 * ax + b2 * ay) + (abs(a2) * rx + abs(b2) * ry)
    ab2, ac2, bc2 = abx * abx + aby * aby, acx * acx + acy * acy, bcx * bcx + bcy * bcy
    longest2 = max(ab2, max(ac2, bc2))
    if area * area > 1e-12 * longest2:
        wa = ((bw - aw) * acy - (cw - aw) * aby) / area
        wb = ((cw - aw) * abx - (bw - aw) * acx) / area
    # A sliver narrower than 1e-6 pixel: rounding would turn its plane; 1/Z runs along its longest edge.
    elif longest2 == ab2:
        wa, wb = (bw - aw) * abx / ab2, (bw - aw) * aby / ab2
    elif longest2 == ac2:
        wa, wb = (cw - aw) * acx / ac2, (cw - aw) * acy / ac2
    else:
        wa, wb = (cw - bw) * bcx / bc2, (cw - bw) * bcy / bc2
    # The plane is held at the vertex it was measured from, a; for the last kind of sliver a lies on bc all the same.
    wd = aw - wa * ax - wb * ay
    _draw_face(
        blocks, refs, names, name, row0, row1, col0, col1, blocks_across,
        a0, b0, d0, a1, b1, d1, a2, b2, d2, wa, wb, wd, min(aw, min(bw, cw)), max(aw, max(bw, cw)),
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _draw_homogeneous(
    blocks, refs, names, name, row0, row1, col0, col1, blocks_across, rx, ry, bounds, cull, placed, a, b, c
):  # fmt: skip
    """Draw a face of which a vertex may lie behind the camera or outside the lens domain, without clipping it.

    The edge functions are the components of the ray in the base of the three vertices (Olano and Greer 1997,
    section 3), their sum is 1/Z; a ray that has all three positive meets the face in front of the camera.
    """
    az, bz, cz = placed[2 * _V + a], placed[2 * _V + b], placed[2 * _V + c]
    deepest = max(az, max(bz, cz))
    if not deepest > 0.0:
        return
    ax, ay = placed[a], placed[_V + a]
    bx, by = placed[b], placed[_V + b]
    cx, cy = placed[c], placed[_V + c]
    # b x c, c x a, a x b, each from a vertex and an edge: the products of nearly parallel vertices would cancel.
    ux, uy, uz = cx - bx, cy - by, cz - bz
    a0, b0, d0 = by * uz - bz * uy, bz * ux - bx * uz, bx * uy - by * ux
    ux, uy, uz = ax - cx, ay - cy, az - cz
    a1, b1, d1 = cy * uz - cz * uy, cz * ux - cx * uz, cx * uy - cy * ux
    ux, uy, uz = bx - ax, by - ay, bz - az
    a2, b2, d2 = ay * uz - az * uy, az * ux - ax * uz, ax * uy - ay * ux
    volume = ax * a0 + ay * b0 + az * d0
    if volume == 0.0 or not np.isfinite(volume) or (cull and volume > 0.0):
        return
    wa, wb, wd = (a0 + a1 + a2) / volume, (b0 + b1 + b2) / volume, (d0 + d1 + d2) / volume
    scale = max(max(abs(a0) + abs(b0), abs(a1) + abs(b1)), max(abs(a2) + abs(b2), abs(d0) + abs(d1) + abs(d2)))
    scale = (1.0 if volume > 0.0 else -1.0) / scale
    a0, b0, d0, a1, b1, d1, a2, b2, d2 = (
        a0 * scale, b0 * scale, d0 * scale, a1 * scale, b1 * scale, d1 * scale, a2 * scale, b2 * scale, d2 * scale
    )  # fmt: skip
    d0 += abs(a0) * rx + abs(b0) * ry
    d1 += abs(a1) * rx + abs(b1) * ry
    d2 += abs(a2) * rx + abs(b2) * ry
    if (
        (max(a0 * bounds[0], a0 * bounds[1]) + max(b0 * bounds[2], b0 * bounds[3]) + d0 < 0.0)
        | (max(a1 * bounds[0], a1 * bounds[1]) + max(b1 * bounds[2], b1 * bounds[3]) + d1 < 0.0)
        | (max(a2 * bounds[0], a2 * bounds[1]) + max(b2 * bounds[2], b2 * bounds[3]) + d2 < 0.0)
    ):
        return
    w_most = np.inf
    if min(az, min(bz, cz)) > 0.0:
        w_most = max(1.0 / az, max(1.0 / bz, 1.0 / cz))
    _draw_face(
        blocks, refs, names, name, row0, row1, col0, col1, blocks_across,
        a0, b0, d0, a1, b1, d1, a2, b2, d2, wa, wb, wd, 1.0 / deepest, w_most,
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _place_vertices(offsets, first, n, view, step, cx, cy, cz, lens, guard, placed):
    """Transform and project the n vertices of a cluster.

    ``offsets[first:]`` holds x[n] y[n] z[n] in steps from the cluster's centre (cx, cy, cz). ``placed`` takes, in rows of
    ``MAX_VERTICES``: f X, f Y, Z, then x, y (plane pixels), 1/Z, then u, v (pixels), NaN in u where the vertex is behind
    the camera or farther from the axis than ``guard`` (squared, plane pixels), where u and v mean nothing.
    """
    inverse_f = 1.0 / lens[0]
    a0, a1, a2 = view[0, 0] * step, view[0, 1] * step, view[0, 2] * step
    d0, d1, d2 = view[1, 0] * step, view[1, 1] * step, view[1, 2] * step
    z0, z1, z2 = view[2, 0] * step, view[2, 1] * step, view[2, 2] * step
    a3 = view[0, 0] * cx + view[0, 1] * cy + view[0, 2] * cz + view[0, 3]
    d3 = view[1, 0] * cx + view[1, 1] * cy + view[1, 2] * cz + view[1, 3]
    z3 = view[2, 0] * cx + view[2, 1] * cy + view[2, 2] * cz + view[2, 3]
    for i in range(n):
        p = np.float64(offsets[first + i])
        q = np.float64(offsets[first + n + i])
        r = np.float64(offsets[first + 2 * n + i])
        fx = a0 * p + a1 * q + a2 * r + a3
        fy = d0 * p + d1 * q + d2 * r + d3
        z = z0 * p + z1 * q + z2 * r + z3
        w = 1.0 / z
        placed[i] = fx
        placed[_V + i] = fy
        placed[2 * _V + i] = z
        placed[3 * _V + i] = fx * w
        placed[4 * _V + i] = fy * w
        placed[5 * _V + i] = w
    for i in range(n):
        x = placed[3 * _V + i]
        y = placed[4 * _V + i]
        u, v = project_frame(x * inverse_f, y * inverse_f, lens)
        near = (placed[2 * _V + i] > 0.0) & (x * x + y * y <= guard)
        placed[6 * _V + i] = u if near else np.nan
        placed[7 * _V + i] = v


@njit(nogil=True, cache=True, error_model="numpy")
def draw_clusters(
    scene, clusters, view, lens, guard, bulge, cull, bounds, row0, col0, n_rows, n_cols, blocks, refs, names, placed
):  # fmt: skip
    """Draw the faces of ``clusters`` into the tile of n_rows x n_cols pixels whose first pixel is (row0, col0).

    ``scene`` is the tuple of arrays of ``scene.py``. ``view`` (3, 4) maps points relative to the scene's origin to
    (f X, f Y, Z); ``guard`` bounds the squared distance from the axis (plane pixels) up to which ``bulge`` holds: an edge
    of squared length L2 leaves its chord in the image by at most ``bulge * L2`` pixels. ``bounds`` (x0, x1, y0, y1)
    encloses the tile's rays. ``names`` is None or an int32 array (blocks, N) that takes face indices.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    rx, ry = 0.0, 0.0
    for index in range(refs.shape[0]):
        rx, ry = max(rx, refs[index, 2]), max(ry, refs[index, 3])
    rx, ry = rx * _EDGE_ROUNDING, ry * _EDGE_ROUNDING
    u0, v0 = np.float64(col0) + 0.5, np.float64(row0) + 0.5  # the first pixel's centre
    u_last, v_last = np.float64(n_cols - 1), np.float64(n_rows - 1)
    for at in range(clusters.shape[0]):
        cluster = np.int64(clusters[at])
        n_vertices = np.int64(scene.n_vertices[cluster])
        first = scene.first_vertex[cluster]
        cx, cy, cz = scene.centre[cluster, 0], scene.centre[cluster, 1], scene.centre[cluster, 2]
        if scene.is_wide[cluster]:
            _place_vertices(scene.wide, first, n_vertices, view, 1.0, cx, cy, cz, lens, guard, placed)
        else:
            _place_vertices(scene.narrow, first, n_vertices, view, scene.step, cx, cy, cz, lens, guard, placed)
        for face in range(scene.first_face[cluster], scene.first_face[cluster + 1]):
            a = np.int64(scene.corners[3 * face])
            b = np.int64(scene.corners[3 * face + 1])
            c = np.int64(scene.corners[3 * face + 2])
            au, bu, cu = placed[6 * _V + a], placed[6 * _V + b], placed[6 * _V + c]
            if not (au + bu + cu == au + bu + cu):
                _draw_homogeneous(
                    blocks, refs, names, scene.face_ids[face], 0, n_rows - 1, 0, n_cols - 1, blocks_across, rx, ry,
                    bounds, cull, placed, a, b, c,
                )  # fmt: skip
                continue
            ax, ay = placed[3 * _V + a], placed[4 * _V + a]
            bx, by = placed[3 * _V + b], placed[4 * _V + b]
            cx_, cy_ = placed[3 * _V + c], placed[4 * _V + c]
            abx, aby, acx, acy = bx - ax, by - ay, cx_ - ax, cy_ - ay
            area = abx * acy - acx * aby
            if not abs(area) > 1e-40 or (cull and area > 0.0):  # edge-on or turned away
                continue
            # No edge is longer than 2 (ab2 + ac2), squared.
            pad = 0.01 + bulge * 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
            av, bv, cv = placed[7 * _V + a], placed[7 * _V + b], placed[7 * _V + c]
            first_col = max(np.ceil(min(au, min(bu, cu)) - pad - u0), 0.0)
            last_col = min(np.floor(max(au, max(bu, cu)) + pad - u0), u_last)
            first_row = max(np.ceil(min(av, min(bv, cv)) - pad - v0), 0.0)
            last_row = min(np.floor(max(av, max(bv, cv)) + pad - v0), v_last)
            if first_col > last_col or first_row > last_row:
                continue
            _draw_projected(
                blocks, refs, names, scene.face_ids[face], np.int64(first_row), np.int64(last_row),
                np.int64(first_col), np.int64(last_col), blocks_across, rx, ry,
                ax, ay, placed[5 * _V + a], bx, by, placed[5 * _V + b], cx_, cy_, placed[5 * _V + c], area,
            )  # fmt: skip
