"""Whether points are seen: projected, compared with the ranges that an image shows around them, doubts named.

`sight_points` decides most points by the four pixels around them; those near an edge or a rough surface it leaves for rays,
and `settle_points` judges what these meet. Rays are ``picking.py``'s. The commonest change is the rule for what is near
enough: in `settle_points`, and the bounds on it in `_by_image`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.directions import ORTHOGRAPHIC, direction_of, project_direction
from depthraster.kernels.faces import vertices_of
from depthraster.kernels.jit import inner, kernel

__all__ = [
    "BEHIND",
    "OCCLUDED",
    "OUTSIDE",
    "STEEPEST",
    "UNDECIDED",
    "VISIBLE",
    "settle_points",
    "sight_points",
]

BEHIND, OUTSIDE, OCCLUDED, VISIBLE, UNDECIDED = 0, 1, 2, 3, 4
STEEPEST = 4.0  # the greatest tangent of the angle at which a face is taken to be seen
_TOGETHER = 512  # points


@kernel
def sight_points(
    points, centre, camera_from_chunk, lens, width, height, bounds, scale, ranges, least, most, spacing, tolerance, as_range,
    status, pixels, depths, lengths,
):  # fmt: skip
    """Project points (n, 3) and decide by ``ranges`` which are seen.

    ``centre`` (3) is the camera's, chunk frame, ``camera_from_chunk`` (3, 3) linear. Points outside of ``bounds`` (4), x0,
    x1, y0, y1 of X/Z and Y/Z, are not looked at any further: they are outside the image, or behind the camera. ``ranges``
    (H, W) are those of the image of width x height pixels times ``scale``, inf where no face is seen. ``least`` and
    ``most`` bound how far apart neighbouring rays are in cells of ``spacing`` pixels of the image, see ``footprint.py``.
    ``status`` (n) takes one of the codes above, ``pixels`` (n, 2) u and v, NaN for points that are not imaged, ``depths``
    (n) Z, or the range with ``as_range``, ``lengths`` (n) the range (of parallel rays: Z).
    """
    parallel = lens[14] == ORTHOGRAPHIC
    m = camera_from_chunk
    bounded = bounds[1] < np.inf
    around, places = np.empty((_TOGETHER, 4), np.float32), np.empty((_TOGETHER, 2), np.int32)
    for first in range(0, points.shape[0], _TOGETHER):
        last = min(first + _TOGETHER, points.shape[0])
        for i in range(first, last):
            px, py, pz = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz
            if bounded and not (
                (z > 0.0)
                & (x >= bounds[0] * z)
                & (x <= bounds[1] * z)
                & (y >= bounds[2] * z)
                & (y <= bounds[3] * z)
            ):
                status[i] = OUTSIDE
                places[i - first, 0], places[i - first, 1] = 0, 0
                continue
            u, v = project_direction(x, y, z, lens)
            length = z if parallel else np.sqrt(x * x + y * y + z * z)
            pixels[i, 0], pixels[i, 1], lengths[i] = u, v, length
            depths[i] = length if as_range else z
            inside = (u >= 0.0) & (u < width) & (v >= 0.0) & (v < height)
            status[i] = UNDECIDED if inside else (OUTSIDE if np.isfinite(u + v) else BEHIND)
            places[i - first, 0] = np.int32(np.floor(v * scale - 0.5)) if inside else 0
            places[i - first, 1] = np.int32(np.floor(u * scale - 0.5)) if inside else 0
        # By themselves, so that the processor waits for many of them at a time.
        for i in range(last - first):
            row, col = np.int64(places[i, 0]), np.int64(places[i, 1])
            above, below = min(max(row, 0), ranges.shape[0] - 1), min(row + 1, ranges.shape[0] - 1)
            left, right = min(max(col, 0), ranges.shape[1] - 1), min(col + 1, ranges.shape[1] - 1)
            around[i, 0], around[i, 1] = ranges[above, left], ranges[above, right]
            around[i, 2], around[i, 3] = ranges[below, left], ranges[below, right]
        for i in range(first, last):
            if status[i] == UNDECIDED:
                u, v = pixels[i, 0], pixels[i, 1]
                row, col = np.int64(v) // spacing, np.int64(u) // spacing
                s, t = u * scale - 0.5 - places[i - first, 1], v * scale - 0.5 - places[i - first, 0]
                low, high = tolerance * least[row, col], tolerance * most[row, col]
                status[i] = _by_image(around[i - first], s, t, lengths[i], scale, low, high, parallel)


@inner
def _by_image(around, s, t, length, scale, low, high, parallel):
    """Return what the ranges of the four pixels around a point say of it, whose own is ``length``.

    The point is (s, t) pixels of the image of ranges from the first of them; ``low`` and ``high`` bound its allowance for a
    face at 45 degrees, relative to the range.
    """
    a, b = np.float64(around[0]), np.float64(around[1])
    c, d = np.float64(around[2]), np.float64(around[3])
    near, far = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
    unit = 1.0 if parallel else near
    if length <= near + low * unit:
        return VISIBLE
    if far == np.inf:
        return UNDECIDED
    if length > far + STEEPEST * high * (1.0 if parallel else far):
        return OCCLUDED
    # A surface without a jump between the four: where it is at the point's own place, and how it slopes there.
    if far - near > STEEPEST * high * unit / scale:
        return UNDECIDED
    there = (1.0 - t) * ((1.0 - s) * a + s * b) + t * ((1.0 - s) * c + s * d)
    bent = abs(a - b - c + d)
    slope = scale * np.sqrt(max(abs(b - a), abs(d - c)) ** 2 + max(abs(c - a), abs(d - b)) ** 2)
    unit = 1.0 if parallel else there
    if length <= there + 0.5 * max(low * unit, min(low / high * slope, STEEPEST * low * unit)) - 0.5 * bent:
        return VISIBLE
    return UNDECIDED


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
def settle_points(scene, faces, undecided, ts, met, directions, pixels, lengths, lens, tolerance, status):
    """Decide the points ``undecided`` (m) by what the rays to them meet first.

    ``ts`` and ``met`` (m) are the rays' t and face, -1 for none; ``directions`` (m, 3) are along the scene's axes and reach
    the points at t = 1. A point is visible if the face is nearer than the point by no more than ``tolerance`` times what the
    range changes per pixel along the face's plane, where it is steepest; the plane is taken to lie at 45 degrees at least,
    and to be no steeper than `STEEPEST`.
    """
    parallel = lens[14] == ORTHOGRAPHIC
    for k in range(undecided.shape[0]):
        i = undecided[k]
        if met[k] < 0 or ts[k] >= 1.0:
            status[i] = VISIBLE
            continue
        ax, ay, az, bx, by, bz, cx, cy, cz = vertices_of(scene, faces, met[k], 0.0, 0.0, 0.0)
        bx, by, bz, cx, cy, cz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
        nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        dx, dy, dz = directions[k, 0], directions[k, 1], directions[k, 2]
        along = abs(nx * dx + ny * dy + nz * dz)
        qx, qy, qz = ny * dz - nz * dy, nz * dx - nx * dz, nx * dy - ny * dx
        across = np.sqrt(qx * qx + qy * qy + qz * qz)
        slope = min(max(across / along if along > 0.0 else np.inf, 1.0), STEEPEST)
        there = ts[k] * lengths[i]
        step = _step(pixels[i, 0], pixels[i, 1], lens) * (1.0 if parallel else there)
        status[i] = VISIBLE if lengths[i] - there <= tolerance * step * slope else OCCLUDED
