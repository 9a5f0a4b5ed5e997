"""What the caller has at vertices, looked up by the faces that pixels show and the weights that ``derive.py`` has written.

The commonest change is another way to take one value of three: a kernel beside `nearest_tile`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import STRIDE
from depthraster.kernels.channels import RUN
from depthraster.kernels.faces import vertex_ids_of
from depthraster.kernels.jit import inner, lean_kernel

__all__ = ["interpolate_tile", "nearest_tile"]

_N = RUN  # pixels of a row that are worked on together, a run


@lean_kernel
def interpolate_tile(
    scene, corners, faces, names, barycentric, row_b, col_b, axes, row0, col0, n_rows, n_cols, values, background, image, ids
):  # fmt: skip
    """Write the mean of ``values`` (V, C) at the vertices of each pixel's face, by its weights, into ``image`` (H, C W).

    ``corners`` is the tuple of arrays of ``scene.py`` that names vertices; weights are those of `derive_tile`. With
    ``axes`` (3, 3) what is interpolated is normals, made unit again and taken to the image's axes. ``ids`` (3 N) is worked
    in.
    """
    if row0 < 0 or col0 < 0 or row_b < 0 or col_b < 0:  # never; as in `derive_tile`
        return
    channels = values.shape[1]
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at = min(_N, n_cols - col), row * STRIDE + col
            _vertices_of_run(scene, corners, faces, names[at : at + _N], ids)
            weights = barycentric[row_b + row, 3 * (col_b + col) : 3 * (col_b + col + width)]
            line = image[row0 + row, channels * (col0 + col) : channels * (col0 + col + width)]
            for j in range(width):
                seen = names[at + j] >= 0
                first, second, third = values[ids[j]], values[ids[_N + j]], values[ids[2 * _N + j]]
                beta, gamma = np.float64(weights[3 * j + 1]), np.float64(weights[3 * j + 2])
                if axes is None:
                    for m in range(channels):
                        value = np.float64(first[m])  # what is the same at all vertices stays the same
                        mean = value + beta * (second[m] - value) + gamma * (third[m] - value)
                        line[channels * j + m] = mean if seen else background
                else:
                    alpha = np.float64(weights[3 * j])
                    x = alpha * first[0] + beta * second[0] + gamma * third[0]
                    y = alpha * first[1] + beta * second[1] + gamma * third[1]
                    z = alpha * first[2] + beta * second[2] + gamma * third[2]
                    length = np.sqrt(x * x + y * y + z * z)
                    scale = 1.0 / length if (length > 0.0) & seen else 0.0
                    for m in range(3):
                        line[3 * j + m] = scale * (axes[m, 0] * x + axes[m, 1] * y + axes[m, 2] * z)


@inner
def _vertices_of_run(scene, corners, faces, names, ids):
    """Write the caller's indices of the vertices of a run's faces, those of some face where none is seen."""
    for i in range(_N):
        va, vb, vc = vertex_ids_of(scene, corners, faces, max(names[i], np.int32(0)))
        ids[i], ids[_N + i], ids[2 * _N + i] = np.uint32(va), np.uint32(vb), np.uint32(vc)


@lean_kernel
def nearest_tile(scene, corners, faces, names, barycentric, row_b, col_b, n_rows, n_cols, nearest, ids):
    """Write into ``nearest`` (n_rows, n_cols) the vertex with the greatest weight of each pixel's face, -1 for none.

    Of equal weights the vertex that comes first in the face is taken. ``ids`` (3 N) is worked in.
    """
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at = min(_N, n_cols - col), row * STRIDE + col
            _vertices_of_run(scene, corners, faces, names[at : at + _N], ids)
            for j in range(width):
                place = 3 * (col_b + col + j)
                alpha, beta = barycentric[row_b + row, place], barycentric[row_b + row, place + 1]
                gamma = barycentric[row_b + row, place + 2]
                which = 0 if (alpha >= beta) & (alpha >= gamma) else (1 if beta >= gamma else 2)
                nearest[row, col + j] = ids[which * _N + j] if names[at + j] >= 0 else -1
