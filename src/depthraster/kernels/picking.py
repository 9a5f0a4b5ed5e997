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

from depthraster.kernels.clusters import MAX_VERTICES
from depthraster.kernels.jit import inner, kernel

__all__ = ["FANOUT", "cluster_tree", "pick"]

FANOUT = 4  # children of a node
_DEPTH = 20  # levels of a tree over 2**31 / MIN_FACES clusters, with room
_ROUNDING = (
    16.0 * 2.0**-53
)  # of a vertex seen from the ray, relative to the greatest coordinate that goes into it
_ROOM = 1.0 + 8.0 * 2.0**-53  # for the rounding of where a ray enters and leaves a box


@kernel
def cluster_tree(centre, half, starts, boxes):
    """Fill the boxes of a tree: ``boxes`` (nodes, 6), least and greatest coordinates.

    Level 0 are the clusters, in their order along the space-filling curve; node i of a level holds the nodes
    ``FANOUT i .. FANOUT i + FANOUT - 1`` of the level below. ``starts`` (levels + 1) says where each level's nodes begin.
    """
    for c in range(centre.shape[0]):
        for axis in range(3):
            boxes[c, axis] = centre[c, axis] - np.float64(half[c, axis])
            boxes[c, 3 + axis] = centre[c, axis] + np.float64(half[c, axis])
    for level in range(1, starts.shape[0] - 1):
        below, own, end = starts[level - 1], starts[level], starts[level + 1]
        for node in range(own, end):
            first = below + FANOUT * (node - own)
            last = min(first + FANOUT, own)
            for axis in range(3):
                low, high = boxes[first, axis], boxes[first, 3 + axis]
                for child in range(first + 1, last):
                    low = min(low, boxes[child, axis])
                    high = max(high, boxes[child, 3 + axis])
                boxes[node, axis], boxes[node, 3 + axis] = low, high


@inner
def _enters(box, origin, inverse, t_least, t_most):
    """How far from t = 0 a ray's part t_least .. t_most first is in a box: the least |t|; inf where it misses.

    ``inverse`` (3) is one by the direction; it is infinite along an axis that the ray keeps its place on.
    """
    enter, leave = t_least, t_most
    for axis in range(3):
        low, high = box[axis] - origin[axis], box[3 + axis] - origin[axis]
        if abs(inverse[axis]) == np.inf:
            if low > 0.0 or high < 0.0:
                return np.inf
            continue
        near, far = low * inverse[axis], high * inverse[axis]
        if near > far:
            near, far = far, near
        enter = max(enter, near / _ROOM if near > 0.0 else near * _ROOM)
        leave = min(leave, far * _ROOM if far > 0.0 else far / _ROOM)
    if enter > leave:
        return np.inf
    if enter > 0.0:
        return enter
    return -leave if leave < 0.0 else 0.0


@inner
def _pick_in_cluster(
    cluster, first_face, first_vertex, n_vertices, is_wide, centre, corners, face_ids, narrow, wide, step, box,
    origin, direction, t_least, t_most, seen, sides, best, best_face,
):  # fmt: skip
    """Return the t and the index of the nearest face of a cluster that the ray meets, or those given if none is nearer.

    ``seen`` (3, MAX_VERTICES) and ``sides`` (MAX_VERTICES) are worked in: the vertices from the ray, x and y across it, z
    the t at which it passes them, and which side of it they are on.
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
    # The scene's coordinate is put together first, which is exact on its lattice: then it is the same in all clusters.
    if is_wide[cluster]:
        for i in range(n):
            z = (middle_z + wide[first + kz * n + i]) - from_z
            seen[0, i] = ((middle_x + wide[first + kx * n + i]) - from_x) - shear_x * z
            seen[1, i] = ((middle_y + wide[first + ky * n + i]) - from_y) - shear_y * z
            seen[2, i] = z / along
    else:
        for i in range(n):
            z = (middle_z + narrow[first + kz * n + i] * step) - from_z
            seen[0, i] = ((middle_x + narrow[first + kx * n + i] * step) - from_x) - shear_x * z
            seen[1, i] = ((middle_y + narrow[first + ky * n + i] * step) - from_y) - shear_y * z
            seen[2, i] = z / along
    greatest = 0.0
    for axis in range(3):
        greatest = max(greatest, abs(origin[axis]) + max(abs(box[axis]), abs(box[3 + axis])))
    room = _ROUNDING * greatest
    t_room = room / abs(along)
    for i in range(n):  # which sides of the ray a vertex is clear of, a bit each
        x, y = seen[0, i], seen[1, i]
        sides[i] = (x < -room) | ((x > room) << 1) | ((y < -room) << 2) | ((y > room) << 3)
    for place in range(first_face[cluster], first_face[cluster + 1]):
        a, b, c = corners[3 * place], corners[3 * place + 1], corners[3 * place + 2]
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
        at, bt, ct = seen[2, a], seen[2, b], seen[2, c]
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
    seen = np.empty((3, MAX_VERTICES))
    sides = np.empty(MAX_VERTICES, np.uint8)
    waiting = np.empty(_DEPTH * FANOUT, np.int64)
    waiting_at = np.empty(_DEPTH * FANOUT)
    inverse = np.empty(3)
    n_levels = starts.shape[0] - 1
    for ray in range(origins.shape[0]):
        origin, direction = origins[ray], directions[ray]
        for axis in range(3):
            inverse[axis] = 1.0 / direction[axis] if direction[axis] != 0.0 else np.inf
        best, best_face = np.nan, -1
        waiting[0] = starts[n_levels] - 1
        waiting_at[0] = _enters(boxes[waiting[0]], origin, inverse, t_least, t_most)
        n_waiting = 1 if waiting_at[0] < np.inf else 0
        while n_waiting > 0:
            n_waiting -= 1
            node = waiting[n_waiting]
            if best_face >= 0 and waiting_at[n_waiting] > abs(best):
                continue
            if node < starts[1]:
                best, best_face = _pick_in_cluster(
                    node, first_face, first_vertex, n_vertices, is_wide, centre, corners, face_ids, narrow, wide, step,
                    boxes[node], origin, direction, t_least, t_most, seen, sides, best, best_face,
                )  # fmt: skip
                continue
            level = 1
            while node >= starts[level + 1]:
                level += 1
            first = starts[level - 1] + FANOUT * (node - starts[level])
            base = n_waiting
            for child in range(first, min(first + FANOUT, starts[level])):
                at = _enters(boxes[child], origin, inverse, t_least, t_most)
                if at == np.inf or (best_face >= 0 and at > abs(best)):
                    continue
                slot = n_waiting  # the nearest is taken first, so it comes last
                while slot > base and waiting_at[slot - 1] < at:
                    waiting[slot], waiting_at[slot] = waiting[slot - 1], waiting_at[slot - 1]
                    slot -= 1
                waiting[slot], waiting_at[slot] = child, at
                n_waiting += 1
        ts[ray], faces[ray] = best, best_face
