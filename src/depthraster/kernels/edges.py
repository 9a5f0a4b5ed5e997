"""Where the surface that an image shows breaks off: pixels beside a jump in range that no slope explains.

Most pairs of neighbours are decided by their ranges alone, with bounds on the angle between their rays; only what is steep
asks for the planes of both faces and for the exact rays. The commonest change is the rule itself: `_breaks_off`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import load16, store
from depthraster.kernels.directions import ORTHOGRAPHIC, direction_of
from depthraster.kernels.faces import vertices_of
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.simd import bits_of, least, lowest_bit, magnitude

__all__ = ["STEEPEST", "mark_edges"]

_N = 16  # pixels of a row that are looked at together, a run
_ALL = (1 << _N) - 1
_NOWHERE = np.zeros(_N, np.uint8)
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
    scene, faces, axes, lens, tolerance, steps, spacing, face_index, ranges, first, last, low, above, edges
):  # fmt: skip
    """Write ``edges`` (H, W) uint8, 0 or 1, of the rows first .. last - 1: where the surface breaks off towards a neighbour.

    That is where one of 4 neighbours shows no face, or lies on neither face's plane and the range jumps by more than slopes
    explain: ``tolerance`` times as much as the range changes from the one ray to the other along the steeper of the two
    planes, but `STEEPEST` times the distance of the two rays there at most. Less than ``tolerance`` times that distance,
    a slope of 45 degrees, is no jump, and near enough to a plane. ``axes`` (3, 3) takes the scene's axes to the camera's,
    ``lens`` is that of ``lens.py``. ``steps`` (rows, cols) bounds the angle between neighbouring rays in cells of
    ``spacing`` pixels (of parallel rays, their distance) from below. All images are contiguous; ``low`` (W) float32 and
    ``above`` (W) int64 are worked in.
    """
    height, width = face_index.shape
    parallel = lens[14] == ORTHOGRAPHIC
    if first < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    n_runs = (width + _N - 2) // _N if width > _N else 0  # all but the last column
    for row in range(first, last):
        start = row * width
        if row == first or row % spacing == 0:
            for col in range(width):
                low[col] = np.float32(tolerance * steps[row // spacing, col // spacing])
        if row == first:
            for run in range(n_runs):
                col = _first_of(run, width)
                above[run] = _ALL
                if row > 0:
                    at = start + col
                    above[run] = _near_bits(face_index, ranges, at, at - width, low, col, parallel)
        beside = 1  # there is no neighbour to the left
        for run in range(n_runs):
            col = _first_of(run, width)
            at = start + col
            right = _near_bits(face_index, ranges, at, at + 1, low, col, parallel)
            below = _ALL
            if row + 1 < height:
                below = _near_bits(face_index, ranges, at, at + width, low, col, parallel)
            # The last run may begin within the one before; its first pixel is looked at alone then.
            left = right << 1 | (beside if col == _N * run else 0)
            name = load16(face_index, at)
            picked = bits_of(name > np.int32(-1)) & ~(right & left & below & above[run])
            beside, above[run] = right >> (_N - 1), below
            store(edges, at, load16(_NOWHERE, 0))
            while picked != 0:
                lane = lowest_bit(np.uint64(picked))
                picked &= picked - 1
                edges[row, col + lane] = _is_edge(
                    scene, faces, axes, lens, tolerance, low[col + lane], row, col + lane, face_index, ranges
                )
        for col in range(width - 1 if n_runs > 0 else 0, width):
            edges[row, col] = face_index[row, col] >= 0 and _is_edge(
                scene, faces, axes, lens, tolerance, low[col], row, col, face_index, ranges
            )


@inlined
def _first_of(run, width):
    """Return the first column of a run; the last one ends before the last column."""
    return min(_N * run, width - 1 - _N)


@inlined
def _near_bits(face_index, ranges, at, other, low, col, parallel):
    """Return which of a run's pixels, from number ``at`` on, surely show the surface that those from ``other`` on show.

    ``low`` is that of `_is_near`, from column ``col`` on.
    """
    return bits_of(
        _is_near(
            load16(face_index, at), load16(ranges, at), load16(face_index, other), load16(ranges, other),
            load16(low, col), parallel,
        )
    )  # fmt: skip


@inlined
def _is_near(name, mine, other, theirs, low, parallel):
    """Whether a neighbour, or each of a vector of them, surely shows the same surface.

    ``low`` is the range between neighbours that no slope need explain, for a range of 1 or, of ``parallel`` rays, for any.
    """
    limit = low
    if not parallel:
        limit = low * least(mine, theirs)
    return (name == other) | (((name | other) > np.int32(-1)) & (limit >= magnitude(mine - theirs)))


@inner
def _is_edge(scene, faces, axes, lens, tolerance, low, row, col, face_index, ranges):
    """Whether the surface breaks off beside a pixel."""
    own, mine = face_index[row, col], np.float64(ranges[row, col])
    parallel = lens[14] == ORTHOGRAPHIC
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
        if _is_near(own, ranges[row, col], other, there, low, parallel):
            continue
        theirs = np.float64(there)
        if _breaks_off(
            scene, faces, axes, lens, tolerance, row, col, other_row, other_col, own, other, mine, theirs
        ):
            return True
    return False
