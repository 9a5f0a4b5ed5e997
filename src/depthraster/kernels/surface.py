"""What is known of a face of the prepared mesh by its index: where it lies, which way it looks.

Clusters keep faces in an order of their own; `face_normals` finds them by ``places``, which ``scene.py`` makes. The
commonest change is another number per pixel that follows from its face: a kernel beside `face_normals`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inner, kernel

__all__ = ["face_normals"]


@inner
def _cluster_of(first_face, place, guess):
    """Return the cluster that holds a place of `face_ids`; ``guess`` is tried first, for neighbours lie in one."""
    if first_face[guess] <= place and place < first_face[guess + 1]:
        return guess
    low = 0
    high = first_face.shape[0] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if first_face[middle] <= place:
            low = middle
        else:
            high = middle
    return low


@kernel
def face_normals(
    face_index, places, first_face, first_vertex, n_vertices, is_wide, corners, narrow, wide, axes, normals
):  # fmt: skip
    """Write the unit normals of pixels' faces: ``normals`` (n, 3) float32 for ``face_index`` (n,), 0 0 0 where that is -1.

    The normal is that of the face's winding, counter-clockwise seen from its tip; ``axes`` (3, 3) are the axes that it
    is given along, one a row. A face without area has none: 0 0 0.
    """
    cluster = 0
    last = -1
    x, y, z = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for i in range(face_index.shape[0]):
        face = face_index[i]
        if face != last:
            last = face
            x, y, z = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            if face >= 0:
                place = np.int64(places[face])
                cluster = _cluster_of(first_face, place, cluster)
                first, n = first_vertex[cluster], np.int64(n_vertices[cluster])
                a, b, c = corners[3 * place], corners[3 * place + 1], corners[3 * place + 2]
                # Of narrow vertices the length of a step cancels, and differences are exact.
                if is_wide[cluster]:
                    px, py = wide[first + b] - wide[first + a], wide[first + n + b] - wide[first + n + a]
                    pz = wide[first + 2 * n + b] - wide[first + 2 * n + a]
                    qx, qy = wide[first + c] - wide[first + a], wide[first + n + c] - wide[first + n + a]
                    qz = wide[first + 2 * n + c] - wide[first + 2 * n + a]
                else:
                    ax, ay = np.float64(narrow[first + a]), np.float64(narrow[first + n + a])
                    az = np.float64(narrow[first + 2 * n + a])
                    px, py = np.float64(narrow[first + b]) - ax, np.float64(narrow[first + n + b]) - ay
                    pz = np.float64(narrow[first + 2 * n + b]) - az
                    qx, qy = np.float64(narrow[first + c]) - ax, np.float64(narrow[first + n + c]) - ay
                    qz = np.float64(narrow[first + 2 * n + c]) - az
                nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
                length = np.sqrt(nx * nx + ny * ny + nz * nz)
                if length > 0.0:
                    nx, ny, nz = nx / length, ny / length, nz / length
                    x = np.float32(axes[0, 0] * nx + axes[0, 1] * ny + axes[0, 2] * nz)
                    y = np.float32(axes[1, 0] * nx + axes[1, 1] * ny + axes[1, 2] * nz)
                    z = np.float32(axes[2, 0] * nx + axes[2, 1] * ny + axes[2, 2] * nz)
        normals[i, 0], normals[i, 1], normals[i, 2] = x, y, z
