"""Which faces of a cluster a tile may see, and how they are to be drawn: small ones staged, others listed.

Vertices come from ``placing.py``, pixels are for ``cover.py``. A small face of a cluster that lies in the image with all
its vertices, as nearly all do, takes the way without branches, `stage_plain`; `stage_any` is for the others. The
commonest change is another reason to leave a face out, in both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.cells import blocks_near
from depthraster.kernels.clusters import LANES, MAX_FACES, MAX_VERTICES
from depthraster.kernels.cover import LARGE, NOTHING, SMALL, WINDOW, WINDOWED, make_small
from depthraster.kernels.inverse import box_of
from depthraster.kernels.jit import inner
from depthraster.kernels.memory import aligned
from depthraster.kernels.planes import PLANE, THINNEST
from depthraster.kernels.simd import load4, most, store

__all__ = ["Scratch", "Tile", "scratch", "stage_any", "stage_plain"]

_V = MAX_VERTICES
_F = MAX_FACES

_ROOM = 1e-3  # plane pixels, far more than edges are widened by


class Scratch(NamedTuple):
    """What `tiles.draw_clusters` works in: one for each thread."""

    placed: npt.NDArray[np.float64]  # (8 MAX_VERTICES,) see `placing.place_vertices`
    sides: npt.NDArray[np.int32]  # (4 MAX_VERTICES,) see `placing.turn_out`
    staged: npt.NDArray[np.float64]  # (9 MAX_FACES,) see `cover.make_small`
    planes: npt.NDArray[np.float32]  # (14 MAX_FACES,) likewise
    boxes: npt.NDArray[
        np.int32
    ]  # (4 MAX_FACES,) last column and row of pixels, and the negatives of the first
    names: npt.NDArray[np.int32]  # (MAX_FACES,) indices of the faces that `stage_any` stages
    kinds: npt.NDArray[np.int32]  # (MAX_FACES,) what becomes of faces, see `cover.make_small`
    firsts: npt.NDArray[np.int32]  # (MAX_FACES,) the first pixels of staged faces
    windows: npt.NDArray[np.int32]  # (MAX_FACES,) numbers of the staged faces that one window shows
    small: npt.NDArray[np.int32]  # (MAX_FACES,) and of the others
    origins: npt.NDArray[np.int32]  # (2 MAX_FACES,) see `cover.make_small`
    others: npt.NDArray[np.int32]  # (MAX_FACES, 5) other faces: number in the cluster, rows, columns
    plane: npt.NDArray[np.float64]  # (PLANE,) see ``planes.py``
    clipped: npt.NDArray[np.float64]  # (3, 4) see `planes.clip_parallel`


def scratch() -> Scratch:
    """Return a `Scratch`."""
    return Scratch(
        aligned(8 * _V), aligned(4 * _V, np.int32), aligned(9 * _F),
        aligned(14 * _F, np.float32), aligned(4 * _F, np.int32), aligned(_F, np.int32), aligned(_F, np.int32),
        aligned(_F, np.int32), aligned(_F + 1, np.int32), aligned(_F + 1, np.int32), aligned(2 * _F, np.int32),
        aligned((_F, 5), np.int32), aligned(PLANE), aligned((3, 4)),
    )  # fmt: skip


class Tile(NamedTuple):
    """What staging wants to know of a tile."""

    n_rows: int
    n_cols: int
    u0: float  # pixels: the first pixel's centre, as vertices are placed
    v0: float
    u_last: float  # the last pixel's, counted from it
    v_last: float
    pad: float  # pixels around a face's vertices that are looked at, at least
    bulge: float  # and more, by the squared length of its edges (plane pixels)
    small_pad: float  # around those of staged faces
    small: float  # squared plane pixels: no larger faces are staged
    cull: bool


@inner
def _gather(corners, scratch):
    """Bring the numbers of the faces' vertices together, and the boxes around them."""
    placed, staged, boxes, sides = scratch.placed, scratch.staged, scratch.boxes, scratch.sides
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    for face in range(corners.shape[0] // 3):
        a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
        staged[face], staged[_F + face], staged[2 * _F + face] = xs[a], ys[a], ws[a]
        staged[3 * _F + face], staged[4 * _F + face], staged[5 * _F + face] = xs[b], ys[b], ws[b]
        staged[6 * _F + face], staged[7 * _F + face], staged[8 * _F + face] = xs[c], ys[c], ws[c]
        store(boxes, 4 * face, most(most(load4(sides, 4 * a), load4(sides, 4 * b)), load4(sides, 4 * c)))


@inner
def _fit(n, scratch):
    """Say of n faces where their pixels begin, and whether a window or no pixel at all holds those that are small."""
    boxes, kinds, firsts = scratch.boxes, scratch.kinds, scratch.firsts
    for i in range(((n + LANES - 1) // LANES) * LANES):
        last_col, last_row = boxes[4 * i], boxes[4 * i + 1]
        first_col, first_row = np.int32(-boxes[4 * i + 2]), np.int32(-boxes[4 * i + 3])
        # Less than 0 if either is, less than the window if both are. (Differences of int32 are int64 by themselves.)
        more = np.int32(last_col - first_col) | np.int32(last_row - first_row)
        firsts[i] = np.int32(np.int32(first_row * np.int32(STRIDE)) + first_col)
        kind = kinds[i]
        kind = NOTHING if (more < np.int32(0)) & (kind == SMALL) else kind  # between pixel centres
        kinds[i] = WINDOWED if (more < np.int32(WINDOW)) & (kind == SMALL) else kind


@inner
def stage_plain(corners, n, tile, lattice, scratch):
    """Stage the n faces of a cluster of which all vertices have a place in the image, and make planes of them.

    Returns how many a window holds, how many small ones it does not hold, and how many are ``others``.
    """
    kinds, windows, smalls = scratch.kinds, scratch.windows, scratch.small
    _gather(corners, scratch)
    make_small(n, tile.small, not tile.cull, lattice, scratch.staged, scratch.planes, scratch.origins, kinds)
    _fit(n, scratch)
    n_windows, n_rest = 0, 0
    for face in range(n):
        if n_windows < 0:  # never; it says that no index below is negative
            break
        kind = kinds[face]
        # Written in any case, and kept if it is so: which faces are seen cannot be foreseen.
        windows[n_windows] = face
        n_windows += kind == WINDOWED
        n_rest += kind > WINDOWED
    n_small, n_others = 0, 0
    if n_rest > 0:
        for face in range(n):
            if n_small < 0:
                break
            smalls[n_small] = face
            n_small += kinds[face] == SMALL
            if kinds[face] == LARGE:
                n_others += _list_other(corners, face, tile, scratch, n_others)
    return n_windows, n_small, n_others


@inner
def _list_other(corners, face, tile, scratch, at):
    """List a face that is not small; return how many: 0 if its pixels are beyond the tile, or 1."""
    placed, others = scratch.placed, scratch.others[at]
    xs, ys = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V]
    us, vs = placed[6 * _V : 7 * _V], placed[7 * _V : 8 * _V]
    a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
    abx, aby, acx, acy = xs[b] - xs[a], ys[b] - ys[a], xs[c] - xs[a], ys[c] - ys[a]
    pad = tile.pad + tile.bulge * 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
    others[0] = face
    others[1] = np.int32(np.ceil(max(min(vs[a], min(vs[b], vs[c])) - pad - tile.v0, 0.0)))
    others[2] = np.int32(np.floor(min(max(vs[a], max(vs[b], vs[c])) + pad - tile.v0, tile.v_last)))
    others[3] = np.int32(np.ceil(max(min(us[a], min(us[b], us[c])) - pad - tile.u0, 0.0)))
    others[4] = np.int32(np.floor(min(max(us[a], max(us[b], us[c])) + pad - tile.u0, tile.u_last)))
    return 1 if (others[1] <= others[2]) & (others[3] <= others[4]) else 0


@inner
def stage_any(corners, face_ids, tile, lattice, inverse, cells, bounds, scratch):
    """Stage the faces of a cluster of which vertices may have no place in the image, and make planes of them.

    Returns how many are small, and how many are ``others``.
    """
    u0, v0, u_last, v_last = tile.u0, tile.v0, tile.u_last, tile.v_last
    least_pad, bulge, small, cull, n_rows, n_cols = (
        tile.pad,
        tile.bulge,
        tile.small,
        tile.cull,
        tile.n_rows,
        tile.n_cols,
    )
    placed, staged, boxes, others = scratch.placed, scratch.staged, scratch.boxes, scratch.others
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    us, vs = placed[6 * _V : 7 * _V], placed[7 * _V : 8 * _V]
    n_staged, n_others = 0, 0
    for face in range(face_ids.shape[0]):
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
        boxes[4 * n_staged], boxes[4 * n_staged + 1] = np.int32(last_col), np.int32(last_row)
        boxes[4 * n_staged + 2], boxes[4 * n_staged + 3] = -np.int32(first_col), -np.int32(first_row)
        scratch.names[n_staged], scratch.small[n_staged] = face_ids[face], n_staged
        n_staged += 1
    both = not tile.cull
    make_small(n_staged, small, both, lattice, staged, scratch.planes, scratch.origins, scratch.kinds)
    return n_staged, n_others


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
