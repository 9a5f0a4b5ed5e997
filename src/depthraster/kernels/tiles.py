"""The tile loop: vertices, faces, coverage and depth of one square of the image, on one thread.

A tile is made of blocks of ``BLOCK_WIDTH`` x ``BLOCK_HEIGHT`` pixels. A block keeps its pixels' rays and the
nearest 1/Z so far in one row ``dx[N] dy[N] w[N]`` of float32 (w = +inf where the lens images nothing: no face
is nearer than that), with dx and dy counted from the block's float64 reference ray. In that form each face's
three edge functions and its 1/Z are linear in (dx, dy), whatever the lens, and the loop over the N pixels
vectorizes. ``rays.py`` fills the blocks, ``select.py`` says which clusters concern a tile, ``occlusion.py`` which of
them are hidden, ``resolve.py`` reads the result.

Why no pixel is lost between two faces: edges and 1/Z are planes A x + B y + D of float64, accurate to about
1e-12 pixel; rounding to float32 inside a block moves an edge by less than `_EDGE_ROUNDING` times (|A| + |B|)
times the block's half size, about 2e-6 pixel, and exactly that is added to D. So a pixel inside the exact
face is inside the rounded one. What a pixel 2e-6 pixel outside could extrapolate is cut to the face's own
range of 1/Z.

The commonest change is a new way for a face to be seen: a function in ``planes.py`` that makes a plane record, and a
branch in `draw_clusters` that lets `_draw_large` draw it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.cells import blocks_near
from depthraster.kernels.clusters import LANES, MAX_FACES, MAX_VERTICES
from depthraster.kernels.inverse import box_of, pixels_of
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.lens import project_frame
from depthraster.kernels.memory import aligned
from depthraster.kernels.occlusion import is_hidden, look_again
from depthraster.kernels.planes import (
    PLANE,
    THINNEST,
    clip_parallel,
    homogeneous_planes,
    inverse_depth_plane,
    is_seen,
    projected_planes,
)

__all__ = ["Scratch", "draw_clusters", "scratch"]

# Sum of the roundings of A, B, distances, thresholds, products and sums in float32, each 2**-24, at most 7 of
# them on the same term; 10 leaves room.
_EDGE_ROUNDING = 10.0 * 2.0**-24

_N = BLOCK_PIXELS
_V = MAX_VERTICES
_F = MAX_FACES
_ROW_SHIFT = BLOCK_HEIGHT.bit_length() - 1
_COL_SHIFT = BLOCK_WIDTH.bit_length() - 1

_ROOM = 1e-3  # plane pixels, far more than edges are widened by

_TOO_NEAR = 1e-9  # of a cluster's size, before the camera: nearer vertices are not projected
_STEEP = 4.0  # times that 1/Z may change within half a block, before it is computed in float64


class Scratch(NamedTuple):
    """What `draw_clusters` works in: one for each thread."""

    placed: npt.NDArray[np.float64]  # (8 MAX_VERTICES,) see `_place_vertices`
    staged: npt.NDArray[np.float64]  # (10 MAX_FACES,) see `_make_small`
    planes: npt.NDArray[np.float32]  # (14 MAX_FACES,) likewise
    boxes: npt.NDArray[
        np.int32
    ]  # (MAX_FACES, 5) of staged faces: first and last row and column of blocks, index
    others: npt.NDArray[
        np.int32
    ]  # (MAX_FACES, 5) other faces: number in the cluster, rows and columns of pixels
    plane: npt.NDArray[np.float64]  # (PLANE,) see ``planes.py``
    clipped: npt.NDArray[np.float64]  # (3, 4) see `planes.clip_parallel`


def scratch() -> Scratch:
    """Return a `Scratch`."""
    return Scratch(
        aligned(8 * _V), aligned(10 * _F), aligned(14 * _F, np.float32), aligned((_F, 5), np.int32),
        aligned((_F, 5), np.int32), aligned(PLANE), aligned((3, 4)),
    )  # fmt: skip


@inlined
def _cover(block, names, name, x, y, a0, b0, t0, a1, b1, t1, a2, b2, t2, wa, wb, wc, w_least, w_most):
    """Take a face's 1/Z into the block's pixels where it is inside all three edges and nearer than what is there.

    (x, y) is the block's reference ray, counted from the point where the edges' sums A dx + B dy are compared
    with t and where 1/Z is wc. With ``names`` not None the face's index goes beside it; of equal depths the
    smaller stays.
    """
    for i in range(_N):
        dx = block[i] + x
        dy = block[_N + i] + y
        old = block[2 * _N + i]
        inside = (a0 * dx + b0 * dy >= t0) & (a1 * dx + b1 * dy >= t1) & (a2 * dx + b2 * dy >= t2)
        w = wa * dx + wb * dy + wc
        w = w if w > w_least else w_least
        w = w if w < w_most else w_most
        if names is None:
            block[2 * _N + i] = w if inside & (w > old) else old
        else:
            held = names[i]
            nearer = inside & ((w > old) | ((w == old) & (name < held)))
            block[2 * _N + i] = w if nearer else old
            names[i] = name if nearer else held


@inner
def _cover_steep(block, names, name, a0, b0, t0, a1, b1, t1, a2, b2, t2, wa, wb, wc, w_least, w_most):
    """Do what `_cover` does, around the block's reference ray and with 1/Z in float64.

    Where it all but vanishes within a block that it is large in elsewhere, float32 would lose the digits of what is left.
    """
    for i in range(_N):
        dx, dy, old = block[i], block[_N + i], block[2 * _N + i]
        inside = (a0 * dx + b0 * dy >= t0) & (a1 * dx + b1 * dy >= t1) & (a2 * dx + b2 * dy >= t2)
        w = np.float32(wa * np.float64(dx) + wb * np.float64(dy) + wc)
        w = min(max(w, w_least), w_most)
        if names is None:
            block[2 * _N + i] = w if inside & (w > old) else old
        else:
            nearer = inside & ((w > old) | ((w == old) & (name < names[i])))
            block[2 * _N + i] = w if nearer else old
            names[i] = name if nearer else names[i]


@inner
def _draw_large(blocks, refs, names, name, row0, row1, col0, col1, blocks_across, plane):
    """Draw a face of any size, given as float64 planes, into the blocks of pixels row0..row1, col0..col1.

    The planes are measured anew at each block's reference ray, so that float32 sees distances inside a block only.
    """
    a0, b0, d0, a1, b1, d1 = plane[0], plane[1], plane[2], plane[3], plane[4], plane[5]
    a2, b2, d2, wa, wb, wd = plane[6], plane[7], plane[8], plane[9], plane[10], plane[11]
    zero = np.float32(0.0)
    fa0, fb0 = np.float32(a0), np.float32(b0)
    fa1, fb1 = np.float32(a1), np.float32(b1)
    fa2, fb2 = np.float32(a2), np.float32(b2)
    fwa, fwb = np.float32(wa), np.float32(wb)
    least, most = np.float32(plane[12]), np.float32(plane[13])
    for block_row in range(row0 // BLOCK_HEIGHT, row1 // BLOCK_HEIGHT + 1):
        for block_col in range(col0 // BLOCK_WIDTH, col1 // BLOCK_WIDTH + 1):
            index = block_row * blocks_across + block_col
            x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
            c0 = a0 * x + b0 * y + d0
            c1 = a1 * x + b1 * y + d1
            c2 = a2 * x + b2 * y + d2
            outside = (
                (c0 + abs(a0) * rx + abs(b0) * ry < 0.0)
                | (c1 + abs(a1) * rx + abs(b1) * ry < 0.0)
                | (c2 + abs(a2) * rx + abs(b2) * ry < 0.0)
            )
            if outside:
                continue
            w = wa * x + wb * y + wd
            if abs(wa) * rx + abs(wb) * ry > _STEEP * abs(w):
                _cover_steep(
                    blocks[index], None if names is None else names[index], name,
                    fa0, fb0, -np.float32(c0), fa1, fb1, -np.float32(c1), fa2, fb2, -np.float32(c2),
                    wa, wb, w, least, most,
                )  # fmt: skip
                continue
            _cover(
                blocks[index], None if names is None else names[index], name, zero, zero,
                fa0, fb0, -np.float32(c0), fa1, fb1, -np.float32(c1), fa2, fb2, -np.float32(c2),
                fwa, fwb, np.float32(w), least, most,
            )  # fmt: skip


@inner
def _make_small(n, rx, ry, staged, planes):
    """Turn n staged small faces, all in front of the camera, into planes around their vertex a.

    ``staged`` holds rows of ``MAX_FACES``: x, y, 1/Z of the vertices a, b, c, and twice the signed area.
    ``planes`` takes such rows of float32: A, B and the threshold of the edges ab, bc, ca, slopes and value at
    a of 1/Z, and its bounds.
    """
    for i in range(((n + LANES - 1) // LANES) * LANES):
        ax, ay, aw = staged[i], staged[_F + i], staged[2 * _F + i]
        bx, by, bw = staged[3 * _F + i], staged[4 * _F + i], staged[5 * _F + i]
        cx, cy, cw = staged[6 * _F + i], staged[7 * _F + i], staged[8 * _F + i]
        area = staged[9 * _F + i]
        sign = 1.0 if area > 0.0 else -1.0
        abx, aby, acx, acy, bcx, bcy = bx - ax, by - ay, cx - ax, cy - ay, cx - bx, cy - by
        # No pixel of a block that the face touches is farther than this from a.
        ex = (max(abs(abx), abs(acx)) + 2.0 * rx) * _EDGE_ROUNDING
        ey = (max(abs(aby), abs(acy)) + 2.0 * ry) * _EDGE_ROUNDING
        planes[i] = np.float32(-aby * sign)
        planes[_F + i] = np.float32(abx * sign)
        planes[2 * _F + i] = np.float32(-(abs(aby) * ex + abs(abx) * ey))
        planes[3 * _F + i] = np.float32(-bcy * sign)
        planes[4 * _F + i] = np.float32(bcx * sign)
        planes[5 * _F + i] = np.float32(-(abs(area) + abs(bcy) * ex + abs(bcx) * ey))
        planes[6 * _F + i] = np.float32(acy * sign)
        planes[7 * _F + i] = np.float32(-acx * sign)
        planes[8 * _F + i] = np.float32(-(abs(acy) * ex + abs(acx) * ey))
        wa, wb, wc = inverse_depth_plane(abx, aby, acx, acy, area, aw, bw, cw)
        planes[9 * _F + i] = np.float32(wa)
        planes[10 * _F + i] = np.float32(wb)
        planes[11 * _F + i] = np.float32(wc)
        planes[12 * _F + i] = np.float32(min(aw, min(bw, cw)))
        planes[13 * _F + i] = np.float32(max(aw, max(bw, cw)))


@inner
def _draw_small(n, blocks, refs, names, blocks_across, boxes, loosely, staged, planes):
    """Draw n small faces, made by `_make_small`, into the blocks of their boxes.

    A block's reference ray is counted from the face's vertex a: both float64, their difference some tens of
    pixels at most, which float32 holds to 2e-6. Where the boxes are ``loosely`` drawn, blocks are first asked whether the
    face comes near.
    """
    for i in range(n):
        ax, ay = staged[i], staged[_F + i]
        if loosely:
            x_lo, x_hi, y_lo, y_hi = _rectangle(staged, i)
        for block_row in range(boxes[i, 0], boxes[i, 1] + 1):
            for block_col in range(boxes[i, 2], boxes[i, 3] + 1):
                index = np.uint64(block_row * blocks_across + block_col)
                if loosely:
                    x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
                    if (x - rx > x_hi) | (x + rx < x_lo) | (y - ry > y_hi) | (y + ry < y_lo):
                        continue
                _cover(
                    blocks[index], None if names is None else names[index], boxes[i, 4],
                    np.float32(refs[index, 0] - ax), np.float32(refs[index, 1] - ay),
                    planes[i], planes[_F + i], planes[2 * _F + i],
                    planes[3 * _F + i], planes[4 * _F + i], planes[5 * _F + i],
                    planes[6 * _F + i], planes[7 * _F + i], planes[8 * _F + i],
                    planes[9 * _F + i], planes[10 * _F + i], planes[11 * _F + i], planes[12 * _F + i], planes[13 * _F + i],
                )  # fmt: skip


@inner
def _rectangle(staged, i):
    """Return x and y of the rectangle around a staged face, with room for what edges are widened by."""
    ax, bx, cx = staged[i], staged[3 * _F + i], staged[6 * _F + i]
    ay, by, cy = staged[_F + i], staged[4 * _F + i], staged[7 * _F + i]
    return (
        min(ax, min(bx, cx)) - _ROOM, max(ax, max(bx, cx)) + _ROOM,
        min(ay, min(by, cy)) - _ROOM, max(ay, max(by, cy)) + _ROOM,
    )  # fmt: skip


@inner
def _place_vertices(
    offsets, first, n, view, step, cx, cy, cz, lens, guard, nearest, inverse, parallel, placed
):  # fmt: skip
    """Transform and project the n vertices of a cluster.

    ``offsets[first:]`` holds x[n] y[n] z[n] in steps from the cluster's centre (cx, cy, cz). ``placed``
    takes, in rows of ``MAX_VERTICES``: f X, f Y, Z, then x, y (plane pixels), 1/Z, then u, v (pixels), NaN in u where the
    vertex is not more than ``nearest`` before the camera or farther from the axis than ``guard`` (squared, plane pixels),
    where u and v mean nothing. Without a lens u and v are those of ``inverse`` and u is infinite where that does not
    reach; with ``parallel`` rays x, y and 1/Z are f X, f Y and -Z.
    """
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
        p = np.float64(offsets[i])
        q = np.float64(offsets[n + i])
        r = np.float64(offsets[2 * n + i])
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
    if inverse is not None:
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
            u = us[i] if within else np.inf
            us[i] = u if near else np.nan
    if lens is not None:
        inverse_f = 1.0 / lens[0]
        for i in range(whole):
            x = placed[3 * _V + i]
            y = placed[4 * _V + i]
            u, v = project_frame(x * inverse_f, y * inverse_f, lens)
            near = (placed[2 * _V + i] > nearest) & (x * x + y * y <= guard)
            placed[6 * _V + i] = u if near else np.nan
            placed[7 * _V + i] = v


@inner
def _box_by_rays(x_lo, x_hi, y_lo, y_hi, inverse, cells, bounds):
    """Return least and greatest u and v, pixels of the tile, where rays may lie in a rectangle of the tile's plane."""
    if np.isfinite(inverse.frame[8]):
        return box_of(inverse, x_lo, x_hi, y_lo, y_hi)
    first_row, last_row, first_col, last_col = blocks_near(cells, bounds, x_lo, x_hi, y_lo, y_hi)
    return (
        np.float64(first_col * BLOCK_WIDTH), np.float64((last_col + 1) * BLOCK_WIDTH),
        np.float64(first_row * BLOCK_HEIGHT), np.float64((last_row + 1) * BLOCK_HEIGHT),
    )  # fmt: skip


@lean_kernel
def draw_clusters(
    scene, clusters, view, f, lens, guard, bulge, small, inverse, cells, parallel, cull, bounds, row0, col0, n_rows, n_cols,
    blocks, refs, names, hiding, occlusion, scratch,
):  # fmt: skip
    """Draw the faces of ``clusters`` into the tile of n_rows x n_cols pixels whose first pixel is (row0, col0).

    ``scene`` is the tuple of arrays of ``scene.py``. ``view`` (3, 4) maps points relative to the scene's
    origin to (f X, f Y, Z) in the frame of the tile's plane; ``guard`` bounds the squared distance from the axis (plane
    pixels) up to which ``bulge`` holds: an edge of squared length L2 leaves its chord in the image by at most
    ``bulge * L2`` pixels. Faces up to a squared size ``small`` (plane pixels) are drawn from distances to their own
    vertex in float32: it has to be few enough pixels for that, and a small angle. ``bounds`` is what `select.bound_rays`
    says of the tile's rays. ``names`` is None or an int32 array (blocks, N) that takes face indices. With ``hiding``,
    ``occlusion`` is what `occlusion.front_to_back` made of the clusters, and those that are hidden by then are left out.
    ``scratch`` is a `Scratch`.

    Either ``lens`` says where vertices lie in the image, and ``inverse`` and ``cells`` are None; or ``lens`` is None and
    ``inverse``, an `inverse.Inverse`, says so, or, where that has no polynomial, ``cells``, a table of `cells.fill_cells`.
    Then ``view`` is of the tile's own plane, and with ``parallel`` rays blocks hold -Z in the place of 1/Z.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    rx0, ry0 = bounds[4], bounds[5]
    rx, ry = rx0 * _EDGE_ROUNDING, ry0 * _EDGE_ROUNDING
    # The first pixel's centre, of the image or of the tile: as vertices are placed.
    u0, v0, least_pad, loosely = np.float64(col0) + 0.5, np.float64(row0) + 0.5, 0.01, False
    if inverse is not None:
        u0, v0, least_pad, bulge = 0.5, 0.5, inverse.frame[8], inverse.frame[9]
        loosely = least_pad == np.inf
    u_last, v_last = np.float64(n_cols - 1), np.float64(n_rows - 1)
    placed, staged, planes, boxes = scratch.placed, scratch.staged, scratch.planes, scratch.boxes
    others, plane, clipped = scratch.others, scratch.plane, scratch.clipped
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    us, vs = placed[6 * _V : 7 * _V], placed[7 * _V : 8 * _V]
    scale = np.sqrt(view[2, 0] * view[2, 0] + view[2, 1] * view[2, 1] + view[2, 2] * view[2, 2])
    covered = 0.0
    for at in range(clusters.shape[0]):
        if hiding:
            if covered >= 1.0:
                look_again(blocks, refs, bounds, occlusion)
                covered = 0.0
            if is_hidden(at, occlusion):
                continue
            covered += occlusion.cover[at]
        cluster = np.int64(clusters[at])
        n_vertices = np.int64(scene.n_vertices[cluster])
        first = scene.first_vertex[cluster]
        cx, cy, cz = scene.centre[cluster, 0], scene.centre[cluster, 1], scene.centre[cluster, 2]
        nearest = 0.0
        if not parallel:
            half = scene.half[cluster]
            nearest = _TOO_NEAR * scale * (half[0] + half[1] + half[2])
        if scene.is_wide[cluster]:
            _place_vertices(
                scene.wide, first, n_vertices, view, 1.0, cx, cy, cz, lens, guard, nearest, inverse, parallel, placed,
            )  # fmt: skip
        else:
            _place_vertices(
                scene.narrow, first, n_vertices, view, scene.step, cx, cy, cz, lens, guard, nearest, inverse, parallel,
                placed,
            )  # fmt: skip
        first_face, end_face = scene.first_face[cluster], scene.first_face[cluster + 1]
        corners = scene.corners[3 * first_face : 3 * end_face]
        face_ids = scene.face_ids[first_face:end_face]
        n_staged, n_others = 0, 0
        for face in range(end_face - first_face):
            if n_staged < 0:  # never; it tells the compiler not to provide for negative indices below
                break
            a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
            au, bu, cu = us[a], us[b], us[c]
            if np.isnan(au + bu + cu):
                others[n_others, 0], others[n_others, 1], others[n_others, 2] = face, 0, n_rows - 1
                others[n_others, 3], others[n_others, 4] = 0, n_cols - 1
                n_others += 1
                continue
            ax, ay = xs[a], ys[a]
            bx, by = xs[b], ys[b]
            cx, cy = xs[c], ys[c]
            abx, aby, acx, acy = bx - ax, by - ay, cx - ax, cy - ay
            area = abx * acy - acx * aby
            # No edge is longer than the root of this.
            size2 = 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
            pad = least_pad + bulge * size2
            av, bv, cv = vs[a], vs[b], vs[c]
            u_lo, u_hi = min(au, min(bu, cu)) - pad, max(au, max(bu, cu)) + pad
            v_lo, v_hi = min(av, min(bv, cv)) - pad, max(av, max(bv, cv)) + pad
            if inverse is not None:  # noqa: SIM102 - the compiler drops it where inverse is None, but not an `and`
                if au + bu + cu == np.inf:
                    u_lo, u_hi, v_lo, v_hi = _box_by_rays(
                        min(ax, min(bx, cx)) - _ROOM, max(ax, max(bx, cx)) + _ROOM,
                        min(ay, min(by, cy)) - _ROOM, max(ay, max(by, cy)) + _ROOM, inverse, cells, bounds,
                    )  # fmt: skip
            first_col, last_col = np.ceil(max(u_lo - u0, 0.0)), np.floor(min(u_hi - u0, u_last))
            first_row, last_row = np.ceil(max(v_lo - v0, 0.0)), np.floor(min(v_hi - v0, v_last))
            # Edge-on, turned away, or between pixel centres.
            if not (
                (area * area > THINNEST * size2)
                & ((area < 0.0) | (not cull))
                & (first_col <= last_col)
                & (first_row <= last_row)
            ):
                continue
            if size2 > small:
                others[n_others, 0] = face
                others[n_others, 1], others[n_others, 2] = np.int32(first_row), np.int32(last_row)
                others[n_others, 3], others[n_others, 4] = np.int32(first_col), np.int32(last_col)
                n_others += 1
                continue
            staged[n_staged], staged[_F + n_staged], staged[2 * _F + n_staged] = ax, ay, ws[a]
            staged[3 * _F + n_staged], staged[4 * _F + n_staged], staged[5 * _F + n_staged] = bx, by, ws[b]
            staged[6 * _F + n_staged], staged[7 * _F + n_staged], staged[8 * _F + n_staged] = cx, cy, ws[c]
            staged[9 * _F + n_staged] = area
            boxes[n_staged, 0] = np.int32(first_row) >> _ROW_SHIFT
            boxes[n_staged, 1] = np.int32(last_row) >> _ROW_SHIFT
            boxes[n_staged, 2] = np.int32(first_col) >> _COL_SHIFT
            boxes[n_staged, 3] = np.int32(last_col) >> _COL_SHIFT
            boxes[n_staged, 4] = face_ids[face]
            n_staged += 1

        _make_small(n_staged, rx0, ry0, staged, planes)
        _draw_small(n_staged, blocks, refs, names, blocks_across, boxes, loosely, staged, planes)
        for i in range(n_others):
            face = others[i, 0]
            a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
            n_parts = 1
            if np.isnan(us[a] + us[b] + us[c]):
                if parallel:
                    n_parts = clip_parallel(xs, ys, ws, a, b, c, clipped) - 2
                elif not homogeneous_planes(f, rx, ry, bounds, cull, placed, a, b, c, plane):
                    continue
            else:
                projected_planes(rx, ry, xs, ys, ws, a, b, c, plane)
            for part in range(n_parts):
                if parallel and np.isnan(us[a] + us[b] + us[c]):
                    if not is_seen(clipped[0], clipped[1], 0, part + 1, part + 2, cull):
                        continue
                    projected_planes(rx, ry, clipped[0], clipped[1], clipped[2], 0, part + 1, part + 2, plane)
                _draw_large(
                    blocks, refs, names, face_ids[face], others[i, 1], others[i, 2], others[i, 3], others[i, 4],
                    blocks_across, plane,
                )  # fmt: skip
