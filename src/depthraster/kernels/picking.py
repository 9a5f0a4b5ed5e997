"""Rays against the prepared mesh, one at a time: through a tree over the clusters, then each face of those that are met.

All of it is float64. A ray goes from its origin by ``t`` times its direction. What an image shows is ``tiles.py``'s; here
nothing is sampled, and rays may lie anywhere. The commonest change is another answer per ray: an output of `pick`.

Why no ray is lost between two faces: the face test is that of Woop, Benthin and Wald, "Watertight Ray/Triangle
Intersection" (JCGT 2013), whose edges are computed from the same two points by both faces that share them; but a vertex
that two clusters have may differ in its last bit, so an edge takes what is within the rounding of its own computation,
about 1e-15 of the distance. What such a ray could extrapolate is cut to the face's own range. The walk through the tree
leaves the same room around boxes (Ize, "Robust BVH Ray Traversal", JCGT 2013).
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.clusters import LANES, MAX_VERTICES
from depthraster.kernels.jit import inner, kernel

__all__ = ["FANOUT", "cluster_tree", "pick"]

FANOUT = 8  # children of a node, whose boxes are looked at together
_DEPTH = 10  # levels of a tree over 2**31 / MIN_FACES clusters, with room
_ROUNDING = (
    16.0 * 2.0**-53
)  # of a vertex seen from the ray, relative to the greatest coordinate that goes into it
_ROOM = 1.0 + 8.0 * 2.0**-53  # for the rounding of where a ray enters and leaves a box


@kernel
def cluster_tree(centre, half, starts, boxes):
    """Fill the boxes of a tree: ``boxes`` (nodes, 6, FANOUT), least and greatest coordinates of each node's children.

    Level 0 are the clusters, in their order along the space-filling curve; node i of a level holds the nodes
    ``FANOUT i .. FANOUT i + FANOUT - 1`` of the level below. ``starts`` (levels + 1) says where each level begins in the
    count of all; ``boxes`` begins with that of level 1.
    """
    for level in range(1, starts.shape[0] - 1):
        below, own = starts[level - 1], starts[level]
        for node in range(own, starts[level + 1]):
            box = boxes[node - starts[1]]
            for lane in range(FANOUT):
                child = below + FANOUT * (node - own) + lane
                for axis in range(3):
                    low, high = np.inf, -np.inf
                    if child < own and level == 1:
                        middle, reach = centre[child, axis], np.float64(half[child, axis])
                        low, high = middle - reach, middle + reach
                    elif child < own:
                        for k in range(FANOUT):
                            low = min(low, boxes[child - starts[1], axis, k])
                            high = max(high, boxes[child - starts[1], 3 + axis, k])
                    box[axis, lane], box[3 + axis, lane] = low, high


@inner
def _enter(box, ox, oy, oz, ix, iy, iz, t_least, t_most, at):
    """Write how far from t = 0 a ray's part t_least .. t_most first is in each of a node's boxes: the least |t|; inf: not.

    (ix, iy, iz) is one by the direction, nowhere infinite.
    """
    for k in range(FANOUT):
        x0, x1 = (box[0, k] - ox) * ix, (box[3, k] - ox) * ix
        y0, y1 = (box[1, k] - oy) * iy, (box[4, k] - oy) * iy
        z0, z1 = (box[2, k] - oz) * iz, (box[5, k] - oz) * iz
        near, far = x0 if x0 < x1 else x1, x1 if x0 < x1 else x0
        low, high = y0 if y0 < y1 else y1, y1 if y0 < y1 else y0
        near, far = low if low > near else near, high if high < far else far
        low, high = z0 if z0 < z1 else z1, z1 if z0 < z1 else z0
        near, far = low if low > near else near, high if high < far else far
        near, far = near / _ROOM if near > 0.0 else near * _ROOM, far * _ROOM if far > 0.0 else far / _ROOM
        near, far = t_least if t_least > near else near, t_most if t_most < far else far
        distance = near if near > 0.0 else (-far if far < 0.0 else 0.0)
        at[k] = distance if (near <= far) & (box[0, k] <= box[3, k]) else np.inf


@inner
def _enter_level(box, origin, inverse, t_least, t_most, at):
    """Do what `_enter` does for a ray that keeps its place along an axis, where ``inverse`` (3) is infinite."""
    for k in range(FANOUT):
        near, far, beside = t_least, t_most, box[0, k] > box[3, k]
        for axis in range(3):
            low, high = box[axis, k] - origin[axis], box[3 + axis, k] - origin[axis]
            if abs(inverse[axis]) == np.inf:
                beside |= low > 0.0 or high < 0.0
                continue
            first, last = low * inverse[axis], high * inverse[axis]
            if first > last:
                first, last = last, first
            near = max(near, first / _ROOM if first > 0.0 else first * _ROOM)
            far = min(far, last * _ROOM if last > 0.0 else last / _ROOM)
        distance = near if near > 0.0 else (-far if far < 0.0 else 0.0)
        at[k] = np.inf if beside or near > far else distance


@inner
def _see(
    n, xs, ys, zs, step, middle_x, middle_y, middle_z, from_x, from_y, from_z, shear_x, shear_y, room, seen
):  # fmt: skip
    """Write the first n vertices as a ray sees them: x and y across it, z along, and which sides of it they are clear of."""
    # Whole vectors only: what is read past the last vertex is memory of ours, what it gives is not used.
    for i in range(((n + LANES - 1) // LANES) * LANES):
        z = (middle_z + zs[3 * i] * step) - from_z
        x = ((middle_x + xs[3 * i] * step) - from_x) - shear_x * z
        y = ((middle_y + ys[3 * i] * step) - from_y) - shear_y * z
        seen[0, i], seen[1, i], seen[2, i] = x, y, z
        # A bit for each side.
        clear = (1.0 if x < -room else 0.0) + (2.0 if x > room else 0.0)
        seen[3, i] = clear + (4.0 if y < -room else 0.0) + (8.0 if y > room else 0.0)


@inner
def _pick_in_cluster(
    cluster, first_face, first_vertex, n_vertices, is_wide, centre, corners, face_ids, narrow, wide, step, box, lane,
    origin, direction, t_least, t_most, seen, sides, best, best_face,
):  # fmt: skip
    """Return the t and the index of the nearest face of a cluster that the ray meets, or those given if none is nearer.

    ``seen`` (4, MAX_VERTICES) and ``sides`` (MAX_VERTICES) are worked in: see `_see`.
    """
    kz = 0
    if abs(direction[1]) > abs(direction[kz]):
        kz = 1
    if abs(direction[2]) > abs(direction[kz]):
        kz = 2
    kx, ky = (kz + 1) % 3, (kz + 2) % 3
    along = direction[kz]
    shear_x, shear_y = direction[kx] / along, direction[ky] / along
    first, n = first_vertex[cluster], np.int64(n_vertices[cluster])
    from_x, from_y, from_z = origin[kx], origin[ky], origin[kz]
    middle_x, middle_y, middle_z = centre[cluster, kx], centre[cluster, ky], centre[cluster, kz]
    greatest = 0.0
    for axis in range(3):
        greatest = max(greatest, abs(origin[axis]) + max(abs(box[axis, lane]), abs(box[3 + axis, lane])))
    room = _ROUNDING * greatest
    t_room = room / abs(along)
    if n < 0 or first < 0:  # never; it tells the compiler not to provide for negative indices below
        return best, best_face
    # The scene's coordinate is put together first, which is exact on its lattice: then it is the same in all clusters.
    if is_wide[cluster]:
        at = wide[first : first + 3 * (n + LANES)]
        _see(
            n, at[kx:], at[ky:], at[kz:], 1.0, middle_x, middle_y, middle_z, from_x, from_y, from_z,
            shear_x, shear_y, room, seen,
        )  # fmt: skip
    else:
        steps = narrow[first : first + 3 * (n + LANES)]
        _see(
            n, steps[kx:], steps[ky:], steps[kz:], step, middle_x, middle_y, middle_z, from_x, from_y,
            from_z, shear_x, shear_y, room, seen,
        )  # fmt: skip
    for i in range(n):
        sides[i] = np.uint8(seen[3, i])
    for place in range(np.uint64(first_face[cluster]), np.uint64(first_face[cluster + 1])):
        corner = place + place + place
        a, b, c = corners[corner], corners[corner + np.uint64(1)], corners[corner + np.uint64(2)]
        if sides[a] & sides[b] & sides[c]:  # the whole face is on one side
            continue
        ax, bx, cx = seen[0, a], seen[0, b], seen[0, c]
        ay, by, cy = seen[1, a], seen[1, b], seen[1, c]
        u, v, w = cx * by - cy * bx, ax * cy - ay * cx, bx * ay - by * ax
        whole = u + (v + w)  # in an order that gives a face turned round the same, but for the sign
        if whole == 0.0:  # seen along its edge: the faces beside it are met instead
            continue
        room_u = room * (abs(cx) + abs(by) + abs(cy) + abs(bx))
        room_v = room * (abs(ax) + abs(cy) + abs(ay) + abs(cx))
        room_w = room * (abs(bx) + abs(ay) + abs(by) + abs(ax))
        if whole > 0.0:
            if u < -room_u or v < -room_v or w < -room_w:
                continue
        elif u > room_u or v > room_v or w > room_w:
            continue
        at, bt, ct = seen[2, a] / along, seen[2, b] / along, seen[2, c] / along
        t = (u * at + (v * bt + w * ct)) / whole
        t = min(max(t, min(at, min(bt, ct))), max(at, max(bt, ct)))
        if t < t_least - t_room or t > t_most + t_room:
            continue
        t = min(max(t, t_least), t_most)
        face = face_ids[place]
        if best_face < 0 or abs(t) < abs(best) or (abs(t) == abs(best) and face < best_face):
            best, best_face = t, face
    return best, best_face


@kernel
def pick(
    first_face, first_vertex, n_vertices, is_wide, centre, corners, face_ids, narrow, wide, step, starts, boxes,
    origins, directions, t_least, t_most, ts, faces,
):  # fmt: skip
    """Find what each ray meets nearest to its origin: ``ts`` (n,) along its direction, ``faces`` (n,) int32, -1 for none.

    ``origins`` and ``directions`` (n, 3) are in the scene's coordinates, relative to its origin; directions are not zero.
    Only ``t_least <= t <= t_most`` is looked at. Of faces at the same |t| the one with the smaller index is taken.
    """
    seen = np.empty((4, MAX_VERTICES))
    sides = np.empty(MAX_VERTICES, np.uint8)
    waiting = np.empty(_DEPTH * FANOUT, np.int64)
    waiting_at = np.empty(_DEPTH * FANOUT)
    inverse, at = np.empty(3), np.empty(FANOUT)
    n_levels = starts.shape[0] - 1
    for ray in range(origins.shape[0]):
        origin, direction = origins[ray], directions[ray]
        level_ray = False
        for axis in range(3):
            inverse[axis] = 1.0 / direction[axis] if direction[axis] != 0.0 else np.inf
            level_ray |= abs(inverse[axis]) == np.inf
        ox, oy, oz, ix, iy, iz = origin[0], origin[1], origin[2], inverse[0], inverse[1], inverse[2]
        best, best_face = np.nan, -1
        waiting[0], waiting_at[0] = starts[n_levels] - 1, 0.0
        n_waiting = 1
        while n_waiting > 0:
            n_waiting -= 1
            node = waiting[n_waiting]
            if best_face >= 0 and waiting_at[n_waiting] > abs(best):
                continue
            if node < starts[1]:
                best, best_face = _pick_in_cluster(
                    node, first_face, first_vertex, n_vertices, is_wide, centre, corners, face_ids, narrow, wide, step,
                    boxes[node // FANOUT], node % FANOUT, origin, direction, t_least, t_most, seen, sides, best, best_face,
                )  # fmt: skip
                continue
            level = 1
            while node >= starts[level + 1]:
                level += 1
            first = starts[level - 1] + FANOUT * (node - starts[level])
            box = boxes[node - starts[1]]
            if level_ray:
                _enter_level(box, origin, inverse, t_least, t_most, at)
            else:
                _enter(box, ox, oy, oz, ix, iy, iz, t_least, t_most, at)
            base = n_waiting
            for lane in range(FANOUT):
                enters = at[lane]
                if enters == np.inf or (best_face >= 0 and enters > abs(best)):
                    continue
                slot = n_waiting  # the nearest is taken first, so it comes last
                while slot > base and waiting_at[slot - 1] < enters:
                    waiting[slot], waiting_at[slot] = waiting[slot - 1], waiting_at[slot - 1]
                    slot -= 1
                waiting[slot], waiting_at[slot] = first + lane, enters
                n_waiting += 1
        ts[ray], faces[ray] = best, best_face
