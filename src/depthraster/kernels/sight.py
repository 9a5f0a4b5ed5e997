"""Whether cameras see points: where the image has them, and whether what lies before them is near enough not to hide them.

`place_points` says which points are in the image, `judge_points` what becomes of those that have a face before them;
which one, if any, is found by ``hiding.py`` in between. The commonest change is the rule for what is near enough: in
`judge_points`, and the bounds on it, `STEEPEST` times what a pixel is wide, in ``visibility.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.directions import ORTHOGRAPHIC, direction_of, project_direction
from depthraster.kernels.faces import vertices_of
from depthraster.kernels.jit import inner, kernel

__all__ = [
    "BEHIND",
    "GROUP",
    "OCCLUDED",
    "OUTSIDE",
    "STEEPEST",
    "VISIBLE",
    "judge_points",
    "order_points",
    "place_points",
    "take_in_order",
]

BEHIND, OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2, 3
GROUP = 64  # points that have a box
STEEPEST = 4.0  # the greatest tangent of the angle at which a face is taken to be seen


@inner
def _spread(value):
    """Put two zeros between the bits of a number below 64."""
    value = (value | (value << 8)) & 0x300F
    value = (value | (value << 4)) & 0x30C3
    return (value | (value << 2)) & 0x9249


@kernel
def order_points(points, order):
    """Give an order, ``order`` (n) int64, in which neighbours among ``points`` (n, 3) follow one another.

    That is by cells of a space-filling curve, 64 along the longest axis: what is looked up for one point then lies where
    it did for the last.
    """
    n = points.shape[0]
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(n):
        for axis in range(3):
            low[axis], high[axis] = min(low[axis], points[i, axis]), max(high[axis], points[i, axis])
    size = 0.0
    for axis in range(3):
        size = max(size, high[axis] - low[axis])
    per_cell = 64.0 / size if size > 0.0 else 0.0
    cells, starts = np.empty(n, np.int32), np.zeros(64 * 64 * 64 + 1, np.int64)
    for i in range(n):
        cell = 0
        for axis in range(3):
            cell |= _spread(np.int64(min((points[i, axis] - low[axis]) * per_cell, 63.0))) << axis
        cells[i] = cell
        starts[cell + 1] += 1
    for cell in range(1, starts.shape[0]):
        starts[cell] += starts[cell - 1]
    for i in range(n):
        cell = cells[i]
        order[starts[cell]] = i
        starts[cell] += 1


@kernel
def take_in_order(points, order, ordered, places, boxes):
    """Write points as ``order`` has them into ``ordered`` (n, 3), and where each of them comes into ``places`` (n) int64.

    ``boxes`` (groups, 6) takes centre and half size of the box around each `GROUP` points that follow one another.
    """
    n = order.shape[0]
    for group in range(boxes.shape[0]):
        x0, x1, y0, y1, z0, z1 = np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf
        for i in range(group * GROUP, min((group + 1) * GROUP, n)):
            k = order[i]
            places[k] = i
            x, y, z = points[k, 0], points[k, 1], points[k, 2]
            ordered[i, 0], ordered[i, 1], ordered[i, 2] = x, y, z
            x0, x1, y0, y1, z0, z1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y), min(z0, z), max(z1, z)
        box = boxes[group]
        box[0], box[1], box[2] = 0.5 * (x0 + x1), 0.5 * (y0 + y1), 0.5 * (z0 + z1)
        box[3], box[4], box[5] = x1 - box[0], y1 - box[1], z1 - box[2]


@inner
def _is_beside(box, m, ox, oy, oz, bounds):
    """Whether all of a box is out of ``bounds``, or behind the camera; of what is just at them this may say anything."""
    px, py, pz = box[0] - ox, box[1] - oy, box[2] - oz
    for side in range(5):
        axis, sign = side // 2, -1.0 if side % 2 == 1 else 1.0
        bound = bounds[side] if side < 4 else 0.0
        a, b, c = m[2, 0], m[2, 1], m[2, 2]
        if side < 4:
            a, b, c = (
                sign * (m[axis, 0] - bound * a),
                sign * (m[axis, 1] - bound * b),
                sign * (m[axis, 2] - bound * c),
            )
        if a * px + b * py + c * pz + abs(a) * box[3] + abs(b) * box[4] + abs(c) * box[5] < 0.0:
            return True
    return False


@kernel
def place_points(
    points, boxes, first, last, centre, camera_from_chunk, lens, width, height, bounds, as_range, spacing, cols, status,
    pixels, depths, inside, rays,
):  # fmt: skip
    """Project the points first .. last - 1 of ``points`` (n, 3); return how many are in the image.

    ``centre`` (3) is the camera's, chunk frame, ``camera_from_chunk`` (3, 3) linear. Points outside of ``bounds`` (4), x0,
    x1, y0, y1 of X/Z and Y/Z, are not looked at any further: they are outside the image, or behind the camera; ``boxes``
    are those of `take_in_order`, or none, and ``first`` is a multiple of `GROUP`. ``status``
    (n) takes `VISIBLE` in the image and otherwise `OUTSIDE` or `BEHIND`, ``pixels`` (n, 2) u and v, NaN for points that
    are not imaged, ``depths`` (n) Z, or the range with ``as_range``. ``inside`` (last - first) takes which are in the
    image, ``rays`` (last - first, 4) their X, Y, Z in the camera's frame and the number of their cell, of ``spacing``
    pixels, ``cols`` of them in a row.
    """
    m = camera_from_chunk
    m00, m01, m02, m10, m11, m12 = m[0, 0], m[0, 1], m[0, 2], m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    ox, oy, oz = centre[0], centre[1], centre[2]
    x0, x1, y0, y1 = bounds[0], bounds[1], bounds[2], bounds[3]
    bounded = x1 < np.inf
    n = 0
    for start in range(first, last, GROUP):
        stop = min(start + GROUP, last)
        if bounded and boxes.shape[0] > 0:  # noqa: SIM102
            if _is_beside(boxes[start // GROUP], m, ox, oy, oz, bounds):
                for i in range(start, stop):
                    status[i] = OUTSIDE
                continue
        for i in range(start, stop):
            px, py, pz = points[i, 0] - ox, points[i, 1] - oy, points[i, 2] - oz
            x, y = m00 * px + m01 * py + m02 * pz, m10 * px + m11 * py + m12 * pz
            z = m20 * px + m21 * py + m22 * pz
            # Written in any case, and kept by counting it: there is no branch to be guessed.
            inside[n], status[i] = i, OUTSIDE
            rays[n, 0], rays[n, 1], rays[n, 2] = x, y, z
            near = (z > 0.0) & (x >= x0 * z) & (x <= x1 * z) & (y >= y0 * z) & (y <= y1 * z)
            n += near | (not bounded)
    n_near = n
    n = 0
    for k in range(n_near):
        i, x, y, z = inside[k], rays[k, 0], rays[k, 1], rays[k, 2]
        u, v = project_direction(x, y, z, lens)
        pixels[i, 0], pixels[i, 1] = u, v
        depths[i] = np.sqrt(x * x + y * y + z * z) if as_range else z
        within = (u >= 0.0) & (u < width) & (v >= 0.0) & (v < height)
        status[i] = VISIBLE if within else (OUTSIDE if np.isfinite(u + v) else BEHIND)
        inside[n], rays[n, 0], rays[n, 1], rays[n, 2] = i, x, y, z
        rays[n, 3] = np.float64((np.int64(v) // spacing) * cols + np.int64(u) // spacing) if within else 0.0
        n += within
    return n


@inner
def _step(u, v, lens):
    """Return how far apart the rays of neighbouring pixels are at (u, v): the greater of across and down.

    The chord of the angle; of parallel rays the distance. Towards the other side where the lens images nothing beyond.
    """
    if lens[14] == ORTHOGRAPHIC:
        return 1.0 / lens[0]
    x, y, z = direction_of(u, v, lens, False)
    greatest = 0.0
    for axis in range(2):
        du, dv = (1.0, 0.0) if axis == 0 else (0.0, 1.0)
        p, q, r = direction_of(u + du, v + dv, lens, False)
        if not np.isfinite(p):
            p, q, r = direction_of(u - du, v - dv, lens, False)
        if np.isfinite(p):
            greatest = max(greatest, np.sqrt((p - x) ** 2 + (q - y) ** 2 + (r - z) ** 2))
    return greatest


@kernel
def judge_points(
    scene, faces, rows, own, members, points, axes, lens, pixels, cells, least, most, tolerance, status
):
    """Say which points are hidden by what ``hiding.py`` has found before them.

    ``rows``, ``own`` and ``members`` are its blocks'; ``points`` says which point each ray is of, ``cells`` its cell.
    ``axes`` (3, 3) takes the scene's axes to those that the rays are given along. A point is visible if the face is nearer
    than the point by no more than ``tolerance`` times what the range changes per pixel along the face's plane, where it is
    steepest; the plane is taken to lie at 45 degrees at least, and to be no steeper than `STEEPEST`. ``least`` and ``most``
    (cells) bound how far apart rays of neighbouring pixels are.
    """
    parallel = lens[14] == ORTHOGRAPHIC
    n_lanes = members.shape[1]
    for block in range(members.shape[0]):
        for lane in range(n_lanes):
            k, name = members[block, lane], np.int64(rows[block, 4 * n_lanes + lane])
            if k < 0 or name < 0:
                continue
            i = points[k]
            x, y, best = rows[block, lane], rows[block, n_lanes + lane], rows[block, 2 * n_lanes + lane]
            status[i] = OCCLUDED
            if best == np.inf:
                continue
            # How much nearer the face is, of parallel rays so far, of others relative to its own distance: the ranges of
            # one ray are to each other as 1 / w.
            short = best - own[block, lane] if parallel else best / own[block, lane] - 1.0
            slope = _slope(scene, faces, name, axes, 0.0 if parallel else x, 0.0 if parallel else y)
            cell = np.int64(cells[k])
            if short <= tolerance * least[cell] * slope or (
                short <= tolerance * most[cell] * slope
                and short <= tolerance * _step(pixels[i, 0], pixels[i, 1], lens) * slope
            ):
                status[i] = VISIBLE


@inner
def _slope(scene, faces, name, axes, x, y):
    """Return the tangent of the angle between the ray (x, y, 1) and a face's normal, between 1 and `STEEPEST`."""
    ax, ay, az, bx, by, bz, cx, cy, cz = vertices_of(scene, faces, name, 0.0, 0.0, 0.0)
    bx, by, bz, cx, cy, cz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    dx = axes[0, 0] * x + axes[1, 0] * y + axes[2, 0]
    dy = axes[0, 1] * x + axes[1, 1] * y + axes[2, 1]
    dz = axes[0, 2] * x + axes[1, 2] * y + axes[2, 2]
    along = abs(nx * dx + ny * dy + nz * dz)
    qx, qy, qz = ny * dz - nz * dy, nz * dx - nx * dz, nx * dy - ny * dx
    across = np.sqrt(qx * qx + qy * qy + qz * qz)
    return min(max(across / along if along > 0.0 else np.inf, 1.0), STEEPEST)
