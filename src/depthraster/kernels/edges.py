"""Where the surface that an image shows breaks off: pixels beside a jump in range that no slope explains.

Most pairs of neighbours are decided by their ranges alone, with bounds on the angle between their rays; only what is steep
asks for the planes of both faces and for the exact rays. The commonest change is the rule itself: `_breaks_off`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.directions import ORTHOGRAPHIC, direction_of
from depthraster.kernels.faces import vertices_of
from depthraster.kernels.jit import inlined, inner, lean_kernel

__all__ = ["STEEPEST", "mark_edges"]

_RUN = 512  # pixels that are picked out together
STEEPEST = 10.0  # of what slopes explain: no more than so many times the distance of the two rays


@inner
def _ray_of(row, col, lens):
    """Return the unit direction of a pixel's centre in the camera's frame; of parallel rays, their place instead."""
    if lens[14] == ORTHOGRAPHIC:
        return (col + 0.5 - lens[1]) / lens[0], (row + 0.5 - lens[2]) / lens[0], 0.0
    return direction_of(col + 0.5, row + 0.5, lens, False)


@inner
def _normal_of(scene, faces, name, axes):
    """Return the normal of a face in the camera's frame, of any length."""
    ax, ay, az, bx, by, bz, cx, cy, cz = vertices_of(scene, faces, name, 0.0, 0.0, 0.0)
    bx, by, bz, cx, cy, cz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    return (
        axes[0, 0] * nx + axes[0, 1] * ny + axes[0, 2] * nz,
        axes[1, 0] * nx + axes[1, 1] * ny + axes[1, 2] * nz,
        axes[2, 0] * nx + axes[2, 1] * ny + axes[2, 2] * nz,
    )


@inner
def _carried(length, nx, ny, nz, px, py, pz, qx, qy, qz, parallel):
    """Return the range on ray q of the plane that is met on ray p at ``length``; inf if q does not meet it."""
    if parallel:
        return length - (nx * (qx - px) + ny * (qy - py)) / nz
    here, there = nx * px + ny * py + nz * pz, nx * qx + ny * qy + nz * qz
    return length * here / there if here * there > 0.0 else np.inf


@inner
def _breaks_off(
    scene, faces, axes, lens, tolerance, row, col, other_row, other_col, own, other, mine, theirs
):
    """Whether the surface ends between two neighbouring pixels of different faces, the first of which shows one."""
    parallel = lens[14] == ORTHOGRAPHIC
    qx, qy, qz = _ray_of(other_row, other_col, lens)
    if not np.isfinite(qx):
        return False  # there is no neighbour, as beyond the image's border
    if other < 0:
        return True
    px, py, pz = _ray_of(row, col, lens)
    near = 1.0 if parallel else min(mine, theirs)
    apart = near * np.sqrt((px - qx) ** 2 + (py - qy) ** 2 + (pz - qz) ** 2)
    jump = abs(mine - theirs)
    if jump <= tolerance * apart:
        return False
    nx, ny, nz = _normal_of(scene, faces, own, axes)
    there = _carried(mine, nx, ny, nz, px, py, pz, qx, qy, qz, parallel)
    nx, ny, nz = _normal_of(scene, faces, other, axes)
    here = _carried(theirs, nx, ny, nz, qx, qy, qz, px, py, pz, parallel)
    if min(abs(there - theirs), abs(here - mine)) <= tolerance * apart:
        return False  # one lies on the other's plane, however steep that is
    return jump > tolerance * min(max(abs(there - mine), abs(here - theirs)), STEEPEST * apart)


@lean_kernel
def mark_edges(
    scene, faces, axes, lens, tolerance, least, spacing, face_index, ranges, first, last, low, edges
):  # fmt: skip
    """Write ``edges`` (H, W) bool of the rows first .. last - 1: where the surface breaks off towards one of 4 neighbours.

    That is where the neighbour shows no face, or lies on neither face's plane and the range jumps by more than slopes
    explain: ``tolerance`` times as much as the range changes from the one ray to the other along the steeper of the two
    planes, but `STEEPEST` times the distance of the two rays there at most. Less than ``tolerance`` times that distance,
    a slope of 45 degrees, is no jump, and near enough to a plane. ``axes`` (3, 3) takes the scene's axes to the camera's,
    ``lens`` is that of ``lens.py``. ``least`` (rows, cols) bounds the angle between neighbouring rays in cells of
    ``spacing`` pixels (of parallel rays, their distance) from below; ``low`` (W) float32 is worked in.
    """
    height, width = face_index.shape
    parallel = lens[14] == ORTHOGRAPHIC
    if first < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    for row in range(first, last):
        if row == first or row % spacing == 0:
            for col in range(width):
                low[col] = np.float32(tolerance * least[row // spacing, col // spacing])
        up, down = max(row - 1, 0), min(row + 1, height - 1)
        for start in range(0, width, _RUN):
            stop = min(start + _RUN, width)
            inner_start, inner_stop = max(start, 1), min(stop, width - 1)
            n_picked = _pick_out(
                inner_stop - inner_start, low[inner_start:], parallel,
                face_index[row, inner_start - 1 :], face_index[up, inner_start:], face_index[down, inner_start:],
                ranges[row, inner_start - 1 :], ranges[up, inner_start:], ranges[down, inner_start:],
                edges[row, inner_start:],
            )  # fmt: skip
            if start == 0:
                edges[row, 0] = face_index[row, 0] >= 0
                n_picked += 1
            if stop == width:
                edges[row, width - 1] = face_index[row, width - 1] >= 0
                n_picked += 1
            if n_picked == 0:
                continue
            for col in range(start, stop):
                if edges[row, col]:
                    edges[row, col] = _is_edge(
                        scene, faces, axes, lens, tolerance, low[col], row, col, face_index, ranges
                    )


@inner
def _is_edge(scene, faces, axes, lens, tolerance, low, row, col, face_index, ranges):
    """Whether the surface breaks off beside a pixel."""
    own, mine = face_index[row, col], np.float64(ranges[row, col])
    along, aside = _without_slope(low, lens[14] == ORTHOGRAPHIC)
    for side in range(4):
        other_row = row + (side == 1) - (side == 3)
        other_col = col + (side == 0) - (side == 2)
        if (
            other_row < 0
            or other_row >= face_index.shape[0]
            or other_col < 0
            or other_col >= face_index.shape[1]
        ):
            continue
        other, there = face_index[other_row, other_col], ranges[other_row, other_col]
        if _is_near(own, ranges[row, col], other, there, along, aside):
            continue
        theirs = np.float64(there)
        if _breaks_off(
            scene, faces, axes, lens, tolerance, row, col, other_row, other_col, own, other, mine, theirs
        ):
            return True
    return False


@inner
def _pick_out(n, low, parallel, own, above, below, here, higher, lower, picked):
    """Mark those of n pixels that show a face and may be at an edge: not if all neighbours are surely near; count them.

    ``own`` and ``here``, the faces and ranges of the row itself, begin one pixel before the others. ``low`` is the range
    between neighbours that no slope need explain, for a range of 1 or, of ``parallel`` rays, for any.
    """
    for i in range(n):
        name, length = own[i + 1], here[i + 1]
        along, aside = _without_slope(low[i], parallel)
        picked[i] = (name >= 0) & ~(
            _is_near(name, length, own[i], here[i], along, aside)
            & _is_near(name, length, own[i + 2], here[i + 2], along, aside)
            & _is_near(name, length, above[i], higher[i], along, aside)
            & _is_near(name, length, below[i], lower[i], along, aside)
        )
    n_picked = 0
    for i in range(n):
        n_picked += picked[i]
    return n_picked


@inlined
def _without_slope(low, parallel):
    """Return what a range may change by between neighbours on a surface that has no slope: per range, and in any case."""
    return np.float32(0.0) if parallel else low, low if parallel else np.float32(0.0)


@inlined
def _is_near(name, length, other, there, along, aside):
    """Whether a neighbour surely shows the same surface."""
    nearer = length if length < there else there
    return (other == name) | ((other >= 0) & (abs(length - there) <= along * nearer + aside))
