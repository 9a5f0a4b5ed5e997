"""What the caller has for vertices and faces, by the faces that pixels show and the weights that ``derive.py`` has written.

Values at vertices are interpolated, or that of the nearest vertex is taken; what is looked up as it is, is moved as bits.
The commonest change is another way to take one value of three: a kernel beside `nearest_tile`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import STRIDE
from depthraster.kernels.channels import RUN
from depthraster.kernels.drawn import FIELDS, PLACE
from depthraster.kernels.faces import vertex_ids_of
from depthraster.kernels.jit import inner, lean_kernel

__all__ = ["ROWS", "interpolate_tile", "name_vertices", "nearest_tile", "take_tile"]

_N = RUN  # pixels of a row that are worked on together, a run
# Rows of a run's pixels: means; values at the three vertices; weights of the second and the third; three channels of means.
_VALUES, _WEIGHTS, _NORMAL = _N, 4 * _N, 6 * _N
ROWS = 9


@lean_kernel
def name_vertices(scene, corners, faces, drawn):
    """Write the caller's indices of the vertices of all recorded faces of a tile, for the other kernels here.

    ``corners`` is the tuple of arrays of ``scene.py`` that names vertices, ``faces`` its `FacePlaces`.
    """
    vertices, records = drawn.vertices, drawn.records
    vertices[0], vertices[1], vertices[2] = 0, 0, 0  # of no face: some vertex
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for number in range(one, np.uint64(drawn.recorded[0] + 1)):
        place = records[np.uint64(FIELDS) * number + np.uint64(PLACE)]
        first = three * number
        a, b, c = vertex_ids_of(scene, corners, faces, np.int64(place))
        vertices[first], vertices[first + one], vertices[first + two] = a, b, c


@inner
def _vertices_of_run(drawn, at, ids):
    """Write the caller's indices of the vertices of a run's faces, those of some vertex where none is seen."""
    one, two, three, n = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(_N)
    numbers, vertices, start = drawn.numbers, drawn.vertices, np.uint64(at)
    for i in range(n):
        first = three * np.uint64(np.int64(numbers[start + i]) + 1)
        ids[i], ids[n + i], ids[two * n + i] = vertices[first], vertices[first + one], vertices[first + two]


@inner
def _means(values, ids, channel, rows):
    """Write a run's means of one channel, by its weights, into the first row."""
    found, beta, gamma = rows[_VALUES:], rows[_WEIGHTS:], rows[_WEIGHTS + _N :]
    for i in range(np.uint64(3 * _N)):
        found[i] = values[np.uint64(ids[i]), np.uint64(channel)]
    for i in range(_N):
        value = found[i]  # what is the same at all vertices stays the same
        rows[i] = value + beta[i] * (found[_N + i] - value) + gamma[i] * (found[2 * _N + i] - value)


@lean_kernel
def interpolate_tile(
    drawn, barycentric, row_b, col_b, axes, row0, col0, n_rows, n_cols, values, background, image, ids, rows
):  # fmt: skip
    """Write the mean of ``values`` (V, C) at the vertices of each pixel's face, by its weights, into ``image`` (H, C W).

    ``drawn`` and the weights are as `derive_tile` and `name_vertices` have left them. With ``axes`` (3, 3) what is
    interpolated is normals, made unit again and taken to the image's axes. ``ids`` (3 N) and ``rows`` (`ROWS` N), float64,
    are worked in.
    """
    if row0 < 0 or col0 < 0 or row_b < 0 or col_b < 0:  # never; as in `derive_tile`
        return
    channels = values.shape[1]
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at = min(_N, n_cols - col), row * STRIDE + col
            _vertices_of_run(drawn, at, ids)
            weights = barycentric[row_b + row, 3 * (col_b + col) : 3 * (col_b + col + width)]
            line = image[row0 + row, channels * (col0 + col) : channels * (col0 + col + width)]
            seen = drawn.names[at : at + width]
            for j in range(width):
                rows[_WEIGHTS + j], rows[_WEIGHTS + _N + j] = weights[3 * j + 1], weights[3 * j + 2]
            if axes is None:
                for m in range(channels):
                    _means(values, ids, m, rows)
                    for j in range(width):
                        line[channels * j + m] = rows[j] if seen[j] >= 0 else background
            else:
                for m in range(3):
                    _means(values, ids, m, rows)
                    for j in range(_N):
                        rows[_NORMAL + m * _N + j] = rows[j]
                for j in range(width):
                    x, y, z = rows[_NORMAL + j], rows[_NORMAL + _N + j], rows[_NORMAL + 2 * _N + j]
                    length = np.sqrt(x * x + y * y + z * z)
                    scale = 1.0 / length if (length > 0.0) & (seen[j] >= 0) else 0.0
                    for m in range(3):
                        line[3 * j + m] = scale * (axes[m, 0] * x + axes[m, 1] * y + axes[m, 2] * z)


@lean_kernel
def nearest_tile(drawn, barycentric, row_b, col_b, n_rows, n_cols, nearest, ids):
    """Write into ``nearest`` (n_rows, n_cols) the vertex with the greatest weight of each pixel's face, -1 for none.

    Of equal weights the vertex that comes first in the face is taken. ``drawn`` and ``ids`` are as in `interpolate_tile`.
    """
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at = min(_N, n_cols - col), row * STRIDE + col
            _vertices_of_run(drawn, at, ids)
            for j in range(width):
                place = 3 * (col_b + col + j)
                alpha, beta = barycentric[row_b + row, place], barycentric[row_b + row, place + 1]
                gamma = barycentric[row_b + row, place + 2]
                which = 0 if (alpha >= beta) & (alpha >= gamma) else (1 if beta >= gamma else 2)
                nearest[row, col + j] = ids[which * _N + j] if drawn.names[at + j] >= 0 else -1


@lean_kernel
def take_tile(numbers, stride, row0, col0, n_rows, n_cols, values, background, image):
    """Write the rows of ``values`` (n, C) that each pixel's number says into ``image`` (H, C W), bits of any kind.

    ``numbers`` has a row of the tile's pixels each ``stride`` numbers; less than 0 is none, and gets ``background`` (C).
    """
    if row0 < 0 or col0 < 0 or stride < 0:  # never; as in `derive_tile`
        return
    channels = values.shape[1]
    for row in range(n_rows):
        some = numbers[row * stride : row * stride + n_cols]
        line = image[row0 + row, channels * col0 : channels * (col0 + n_cols)]
        for m in range(channels):
            nothing = background[m]
            for col in range(n_cols):
                found = values[max(some[col], 0), m]
                line[channels * col + m] = found if some[col] >= 0 else nothing
