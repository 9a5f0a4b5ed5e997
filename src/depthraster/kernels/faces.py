"""A face of the prepared mesh by its index: where it lies, which of the caller's vertices it has.

Clusters keep faces in an order of their own, and turned so that a certain vertex comes first; `FacePlaces` and
`CornerArrays`, both ``scene.py``'s, lead back. The commonest change is another thing to know of a face: a function beside
`vertices_of`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inner

__all__ = ["PLACES", "cluster_of", "corners_of", "vertex_ids_of", "vertices_of"]

PLACES = 64  # of `face_ids`, that share an entry of `FacePlaces.clusters`


@inner
def cluster_of(faces, place):
    """Return the cluster that holds a place of `face_ids`, without a branch."""
    at = np.uint64(
        place
    )  # unsigned, here and below, for which the compiler does not provide as for negative ones
    return np.int64(faces.clusters[at // np.uint64(PLACES)]) + np.int64(faces.hints[at] >> 2)


@inner
def corners_of(scene, faces, place):
    """Return the local numbers of a face's vertices in the order in which the caller's mesh has them."""
    shift = np.int64(faces.hints[np.uint64(place)] & 3) * 2
    first, corners = 3 * place, scene.corners
    # Turned by 0, 1, 2: the first of the caller's is at 0, 2, 1, the second at 1, 0, 2, the third at 2, 1, 0.
    return (
        np.int64(corners[np.uint64(first + ((0b011000 >> shift) & 3))]),
        np.int64(corners[np.uint64(first + ((0b100001 >> shift) & 3))]),
        np.int64(corners[np.uint64(first + ((0b000110 >> shift) & 3))]),
    )


@inner
def vertices_of(scene, faces, name, ox, oy, oz):
    """Return x, y, z of a face's three vertices in the caller's order, counted from (ox, oy, oz).

    ``scene`` is the tuple of arrays of ``scene.py``; ``faces`` are its `FacePlaces`, (ox, oy, oz) is in the scene's
    coordinates.
    """
    place = np.int64(faces.places[name])
    cluster = cluster_of(faces, place)
    first = scene.first_vertex[cluster]
    a, b, c = corners_of(scene, faces, place)
    a, b, c = first + 3 * a, first + 3 * b, first + 3 * c
    x, y, z = scene.centre[cluster, 0] - ox, scene.centre[cluster, 1] - oy, scene.centre[cluster, 2] - oz
    if scene.is_wide[cluster]:
        at = scene.wide
        return (
            x + at[a], y + at[a + 1], z + at[a + 2], x + at[b], y + at[b + 1], z + at[b + 2], x + at[c], y + at[c + 1],
            z + at[c + 2],
        )  # fmt: skip
    steps, step = scene.narrow, scene.step
    return (
        x + steps[a] * step, y + steps[a + 1] * step, z + steps[a + 2] * step, x + steps[b] * step,
        y + steps[b + 1] * step, z + steps[b + 2] * step, x + steps[c] * step, y + steps[c + 1] * step,
        z + steps[c + 2] * step,
    )  # fmt: skip


@inner
def vertex_ids_of(scene, corners, faces, place):
    """Return the caller's indices of the vertices of the face at a place, in the caller's order.

    ``corners`` is the tuple of arrays of ``scene.py`` that names vertices.
    """
    first = corners.first_id[np.uint64(cluster_of(faces, place))]
    a, b, c = corners_of(scene, faces, place)
    ids = corners.vertex_ids
    return ids[np.uint64(first + a)], ids[np.uint64(first + b)], ids[np.uint64(first + c)]
