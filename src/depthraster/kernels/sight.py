"""Whether cameras see points: where the image has them, and whether what lies before them is near enough not to hide them.

`place_points` says which points are in the image, `judge_points` what becomes of those that have a face before them;
which one, if any, is found by ``hiding.py`` in between. The commonest change is the rule for what is near enough: in
`judge_points`, and the bounds on it, `STEEPEST` times what a pixel is wide, in ``visibility.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.bins import BEST, NAME, SIZE, N
from depthraster.kernels.directions import FRAME, ORTHOGRAPHIC, direction_of, project_direction
from depthraster.kernels.faces import vertices_of
from depthraster.kernels.jit import inner, kernel
from depthraster.kernels.lens import project_frame
from depthraster.kernels.simd import lowest_bit

__all__ = [
    "BEHIND",
    "GROUP",
    "OCCLUDED",
    "OUTSIDE",
    "STEEPEST",
    "VISIBLE",
    "judge_points",
    "list_visible",
    "mark_visible",
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
def take_in_order(points, order, first, last, ordered, boxes):
    """Write points as ``order`` has them into ``ordered`` (n, 3).

    ``boxes`` (groups, 6) takes centre and half size of the box around each `GROUP` points that follow one another. Only the
    groups first .. last - 1 are done.
    """
    n = order.shape[0]
    for group in range(first, last):
        x0, x1, y0, y1, z0, z1 = np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf
        for i in range(group * GROUP, min((group + 1) * GROUP, n)):
            k = order[i]
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


@inner
def _turn(n, m, ox, oy, oz, group):
    """Turn the first n points of a group, chunk frame, into the camera's."""
    m00, m01, m02, m10, m11, m12 = m[0, 0], m[0, 1], m[0, 2], m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    xs, ys, zs = group[0], group[1], group[2]
    for i in range(np.uint64(n)):
        px, py, pz = xs[i] - ox, ys[i] - oy, zs[i] - oz
        xs[i] = m00 * px + m01 * py + m02 * pz
        ys[i] = m10 * px + m11 * py + m12 * pz
        zs[i] = m20 * px + m21 * py + m22 * pz


@inner
def _image(n, lens, group):
    """Write where the first n points of a group, camera's frame, are imaged: u and v, NaN where they are not."""
    xs, ys, zs, us, vs = group[0], group[1], group[2], group[3], group[4]
    if lens[14] != FRAME:
        for i in range(np.uint64(n)):
            us[i], vs[i] = project_direction(xs[i], ys[i], zs[i], lens)
        return
    for i in range(np.uint64(n)):  # as `project_direction`, in a loop that vectorizes
        x, y, z = xs[i], ys[i], zs[i]
        x, y = x / z, y / z
        u, v = project_frame(x, y, lens)
        imaged = (z > 0.0) & (x * x + y * y <= lens[13])
        us[i], vs[i] = u if imaged else np.nan, v if imaged else np.nan


@kernel
def place_points(
    points, boxes, first, last, centre, camera_from_chunk, lens, width, height, bounds, as_range, spacing, cols, status,
    pixels, depths, inside, cells,
):  # fmt: skip
    """Find which of the points first .. last - 1 of ``points`` (n, 3) are in the image; return how many.

    ``centre`` (3) is the camera's, chunk frame, ``camera_from_chunk`` (3, 3) linear. ``inside`` (last - first) takes which
    are in the image, ``cells`` (last - first) int32 the numbers of their cells, of ``spacing`` pixels, ``cols`` in a row.
    ``status`` (n) takes `VISIBLE` in the image and otherwise `OUTSIDE` or `BEHIND`, ``pixels`` (n, 2) u and v, NaN where
    there are none, ``depths`` (n) Z, or the range with ``as_range``. Where ``pixels`` and ``depths`` are empty, nothing is
    said of points outside the image.

    ``boxes`` are those of `take_in_order`, and ``first`` is a multiple of `GROUP`: groups outside of ``bounds`` (4), x0,
    x1, y0, y1 of X/Z and Y/Z, or behind the camera, are left out. With no boxes there are none such.
    """
    ox, oy, oz = centre[0], centre[1], centre[2]
    group, numbers, within = np.empty((5, GROUP)), np.empty(GROUP, np.int32), np.empty(GROUP, np.uint8)
    xs, ys, zs, us, vs = group[0], group[1], group[2], group[3], group[4]
    in_full, bounded, per_cell = pixels.shape[0] > 0, bounds[1] < np.inf, 1.0 / spacing
    n = 0
    for start in range(first, last, GROUP):
        stop = min(start + GROUP, last)
        if bounded and boxes.shape[0] > 0:  # noqa: SIM102
            if _is_beside(boxes[start // GROUP], camera_from_chunk, ox, oy, oz, bounds):
                continue
        count = np.uint64(stop - start)
        own = points[start:stop]
        for i in range(count):
            xs[i], ys[i], zs[i] = own[i, 0], own[i, 1], own[i, 2]
        _turn(count, camera_from_chunk, ox, oy, oz, group)
        _image(count, lens, group)
        for i in range(count):
            u, v = us[i], vs[i]
            is_within = (u >= 0.0) & (u < width) & (v >= 0.0) & (v < height)
            within[i] = is_within
            u, v = u if is_within else 0.0, v if is_within else 0.0
            numbers[i] = np.int32(v * per_cell) * np.int32(cols) + np.int32(u * per_cell)
        for i in range(count):
            # Written in any case, and kept by counting it: there is no branch to be guessed.
            if n < 0:  # never; it says that no index below is negative
                break
            inside[n], cells[n], status[start + i] = start + i, numbers[i], VISIBLE
            n += within[i]
        if in_full:
            for i in range(count):
                x, y, z, u, v = xs[i], ys[i], zs[i], us[i], vs[i]
                pixels[start + i, 0], pixels[start + i, 1] = u, v
                depths[start + i] = np.sqrt(x * x + y * y + z * z) if as_range else z
                status[start + i] = VISIBLE if within[i] else (OUTSIDE if np.isfinite(u + v) else BEHIND)
    return n


@kernel
def mark_visible(inside, status, order, bits):
    """Set the bits, of ``bits`` uint64, of the points that are visible; return how many there are.

    ``inside`` are those in the image, ``order`` says which number each has.
    """
    n = 0
    for k in range(inside.shape[0]):
        i = inside[k]
        if status[i] == VISIBLE:
            number = np.uint64(order[i])
            bits[number >> np.uint64(6)] |= np.uint64(1) << (number & np.uint64(63))
            n += 1
    return n


@kernel
def list_visible(bits, points, centre, camera_from_chunk, lens, as_range, numbers, pixels, depths):
    """List the points of which ``bits`` are set, and clear these: ``numbers`` (n) int64 takes them, ascending.

    ``points`` are in the order of the numbers; for the others see `place_points`.
    """
    n = 0
    for k in range(bits.shape[0]):
        left = bits[k]
        while left != np.uint64(0):
            numbers[n] = np.uint64(k * 64) + np.uint64(lowest_bit(left))
            left &= left - np.uint64(1)
            n += 1
        bits[k] = 0
    group = np.empty((5, GROUP))
    xs, ys, zs, us, vs = group[0], group[1], group[2], group[3], group[4]
    for start in range(0, n, GROUP):
        count = np.uint64(min(GROUP, n - start))
        for i in range(count):
            at = np.uint64(numbers[start + i])
            xs[i], ys[i], zs[i] = points[at, 0], points[at, 1], points[at, 2]
        _turn(count, camera_from_chunk, centre[0], centre[1], centre[2], group)
        _image(count, lens, group)
        for i in range(count):
            pixels[start + i, 0], pixels[start + i, 1] = us[i], vs[i]
            x, y, z = xs[i], ys[i], zs[i]
            depths[start + i] = np.sqrt(x * x + y * y + z * z) if as_range else z


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


@inner
def _step_at(x, y, z, m, lens):
    """Return `_step` where a point is imaged, of which (x, y, z) is the way from the camera in the chunk's frame."""
    u, v = project_direction(
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
        lens,
    )
    return _step(u, v, lens)


@kernel
def judge_points(
    scene, faces, blocks, n_blocks, which, cells, points, centre, camera_from_chunk, axes, lens, least, most, tolerance,
    status,
):  # fmt: skip
    """Say which points are hidden by what ``hiding.py`` has found before them.

    ``blocks`` are those of a tile, so many, see ``bins.py``; ``which`` (n) are its points, ``cells`` (n) theirs. ``axes``
    (3, 3) takes the chunk's axes to those across the tile's plane; for the others see `place_points`. A point is visible if
    the face is nearer than the point by no more than ``tolerance`` times what the range changes per pixel along the face's
    plane, where it is steepest; the plane is taken to lie at 45 degrees at least, and to be no steeper than `STEEPEST`.
    ``least`` and ``most`` (cells) bound how far apart rays of neighbouring pixels are.
    """
    parallel = lens[14] == ORTHOGRAPHIC
    rows, members = blocks.rows, blocks.rays
    for place in range(np.uint64(n_blocks * N)):
        k = members[place]
        if k < 0:
            continue
        at = (place // np.uint64(N)) * np.uint64(SIZE) + place % np.uint64(N)
        i, best, name = which[np.uint64(k)], rows[at + np.uint64(BEST)], rows[at + np.uint64(NAME)]
        status[np.uint64(i)] = OCCLUDED if name >= 0.0 else VISIBLE
        if (name < 0.0) | (best == np.inf):
            continue
        # How much nearer the face is, of parallel rays so far, of others relative to its own distance: the ranges of one
        # ray are to each other as 1 / w.
        px, py, pz = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
        z = axes[2, 0] * px + axes[2, 1] * py + axes[2, 2] * pz
        short = best + z if parallel else best / (1.0 / z) - 1.0
        x, y = (0.0, 0.0) if parallel else (rows[at], rows[at + np.uint64(N)])
        slope = _slope(scene, faces, np.int64(name), axes, x, y)
        if short <= tolerance * least[cells[k]] * slope or (
            short <= tolerance * most[cells[k]] * slope
            and short <= tolerance * _step_at(px, py, pz, camera_from_chunk, lens) * slope
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
