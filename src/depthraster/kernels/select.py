"""Which clusters a tile can see: those that reach into the pyramid of its rays and are not turned away.

Everything is conservative: a cluster that is left out has no pixel in the tile, a cluster that is kept may have none
either. What pixels it really covers is ``tiles.py``'s business. Clusters follow one another along a space-filling
curve, so a group of consecutive ones is compact: tiles ask groups first, and what a view costs follows what it sees.

Coordinates are plane pixels: x = f X / Z and y = f Y / Z of the tile's image plane, Z the axis across it (x = f X and
y = f Y where rays are parallel). The commonest change is a new reason to skip a cluster: add it to `clusters_in_tile`
beside the others.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import load8
from depthraster.kernels.jit import inner, kernel, lean_kernel
from depthraster.kernels.simd import bits_of, least, lowest_bit, multiply_add, splat_like

__all__ = ["GROUP", "TOGETHER", "bound_rays", "clusters_in_tile", "group_boxes"]

GROUP = 32  # clusters
TOGETHER = 8  # groups are looked at

_NOWHERE = 1e300  # half a size that is none


@lean_kernel
def bound_rays(refs, bounds):
    """Bound the imaged rays of a tile's blocks; False if there are none.

    ``bounds`` (6) takes x0, x1, y0, y1 that enclose them, and the greatest half width and height of a block.
    """
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    wide, high = 0.0, 0.0
    for index in range(np.uint64(refs.shape[0])):
        x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
        if rx >= 0.0:  # else the block has none
            x0 = x - rx if x - rx < x0 else x0
            x1 = x + rx if x + rx > x1 else x1
            y0 = y - ry if y - ry < y0 else y0
            y1 = y + ry if y + ry > y1 else y1
            wide, high = max(wide, rx), max(high, ry)
    bounds[0], bounds[1], bounds[2], bounds[3] = x0 - 0.01, x1 + 0.01, y0 - 0.01, y1 + 0.01
    bounds[4], bounds[5] = wide, high
    return x0 <= x1


@kernel
def group_boxes(centre_of, half_of, boxes):
    """Enclose each group of `GROUP` clusters: ``boxes`` (6, groups) takes rows of centres and half sizes.

    Their number is rounded up to a multiple of `TOGETHER`; those that there are not have a size that reaches nothing.
    """
    for g in range(boxes.shape[1]):
        for axis in range(3):
            low, high = _NOWHERE, -_NOWHERE
            for c in range(g * GROUP, min((g + 1) * GROUP, centre_of.shape[0])):
                low = min(low, centre_of[c, axis] - half_of[c, axis])
                high = max(high, centre_of[c, axis] + half_of[c, axis])
            middle = 0.5 * (low + high)
            boxes[axis, g] = middle
            boxes[3 + axis, g] = max(high - middle, middle - low)


@inner
def _cone_faces_away(cone, radius, cx, cy, cz):
    """Whether no face of a cluster of a radius is turned towards the camera at (cx, cy, cz) from the cluster's centre.

    For every point p of the cluster and normal n of its cone, dot(n, C - p) <= |d| cos(angle) + radius, with
    d the way from the centre to the camera and the angle the least one between d and the cone. Where rays are parallel,
    the camera is infinitely far: d is any length of the way back along them, and the radius 0.
    """
    if cone[3] < -1.0:
        return False
    distance = np.sqrt(cx * cx + cy * cy + cz * cz)
    along = cone[0] * cx + cone[1] * cy + cone[2] * cz
    across = np.sqrt(max(distance * distance - along * along, 0.0))
    spread = np.sqrt(max(1.0 - cone[3] * cone[3], 0.0))
    if along > cone[3] * distance:  # the camera looks into the cone itself
        return False
    return along * cone[3] + across * spread < -(radius * 1.000001 + 1e-6 * distance)


@inner
def _is_outside(planes, x, y, z, hx, hy, hz):
    """Whether a box lies wholly on the far side of one of the planes."""
    for i in range(planes.shape[0]):
        a, b, c = planes[i, 0], planes[i, 1], planes[i, 2]
        if a * x + b * y + c * z + abs(a) * hx + abs(b) * hy + abs(c) * hz < planes[i, 3]:
            return True
    return False


@inner
def _groups_inside(planes, boxes, first):
    """Return the bits of those of `TOGETHER` groups that do not lie wholly on the far side of one of the planes."""
    n = boxes.shape[1]
    x, y, z = load8(boxes, first), load8(boxes, n + first), load8(boxes, 2 * n + first)
    hx, hy, hz = load8(boxes, 3 * n + first), load8(boxes, 4 * n + first), load8(boxes, 5 * n + first)
    room = splat_like(x, np.inf)
    for i in range(planes.shape[0]):
        a, b, c = planes[i, 0], planes[i, 1], planes[i, 2]
        reach = multiply_add(hx, abs(a), multiply_add(hy, abs(b), hz * abs(c)))
        room = least(multiply_add(x, a, multiply_add(y, b, multiply_add(z, c, reach))) - planes[i, 3], room)
    return np.uint64(~bits_of(splat_like(x, 0.0) > room) & 0xFF)


@inner
def _may_be_seen(centre, half, cone, view, camera, parallel, cull, planes):
    """Whether a cluster reaches into the pyramid of the planes and is not turned away; arguments as `clusters_in_tile`."""
    x, y, z = centre[0], centre[1], centre[2]
    if _is_outside(planes, x, y, z, np.float64(half[0]), np.float64(half[1]), np.float64(half[2])):
        return False
    if not cull:
        return True
    if parallel:
        return not _cone_faces_away(cone, 0.0, -view[2, 0], -view[2, 1], -view[2, 2])
    radius = np.sqrt(half[0] * half[0] + half[1] * half[1] + half[2] * half[2])
    return not _cone_faces_away(cone, radius, camera[0] - x, camera[1] - y, camera[2] - z)


@lean_kernel
def clusters_in_tile(
    centre_of, half_of, cone_of, boxes, extent, view, camera, bounds, parallel, cull, planes, chosen
):  # fmt: skip
    """List the clusters that a tile may see in ``chosen``, in their order; return their number.

    ``view`` (3, 4) maps points relative to the scene's origin to the tile's (f X, f Y, Z), ``bounds`` (x0, x1, y0, y1)
    encloses its rays, ``camera`` (3) is the camera's centre in the scene's coordinates, of which none is farther from 0
    than ``extent``. ``boxes`` are those of `group_boxes`; ``planes`` (5, 4) is scratch.
    """
    for i in range(5):
        axis, bound = (i // 2, bounds[i]) if i < 4 else (2, 0.0)
        sign = -1.0 if i in (1, 3) else 1.0
        along = 0.0 if parallel else bound
        size = 0.0
        for j in range(3):
            planes[i, j] = sign * (view[axis, j] - along * view[2, j])
            size += abs(view[axis, j]) + abs(along * view[2, j])
        offset = sign * (view[axis, 3] - along * view[2, 3] - (bound if parallel else 0.0))
        # A point is outside where its sum is less than this; the last term is rounding's.
        planes[i, 3] = -offset - 1e-9 * (
            abs(view[axis, 3]) + abs(along * view[2, 3]) + abs(bound) + size * extent
        )
    n = 0
    for first in range(0, boxes.shape[1], TOGETHER):
        inside = _groups_inside(planes, boxes, first)
        while inside != np.uint64(0):
            g = first + lowest_bit(inside)
            inside &= inside - np.uint64(1)
            for c in range(g * GROUP, min((g + 1) * GROUP, centre_of.shape[0])):
                if _may_be_seen(centre_of[c], half_of[c], cone_of[c], view, camera, parallel, cull, planes):
                    chosen[n] = c
                    n += 1
    return n
