"""What follows from the face that a pixel shows: where on it the pixel's ray meets it, and which way it looks there.

A finished tile has its rays in ``pixels`` and its faces in ``names``. Here each pixel's ray meets its face once more, in
float64 and from the face's vertices, which are exact where the tile's 1/Z is a float32. The vertices of a run of pixels
are gathered first, side by side, so that the loop over its pixels vectorizes.

The commonest change is another number per pixel: a row of the scratch that `_meet` fills, and a field of `Surface`. What is
looked up by a face's vertices is `interpolate_tile`'s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import STRIDE
from depthraster.kernels.faces import PLACES, vertex_ids_of
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.memory import aligned

__all__ = ["Surface", "derive_scratch", "derive_tile", "interpolate_tile", "nearest_tile"]

_N = 16  # pixels of a row that are worked on together, a run
# Rows of a run's pixels in the scratch, see `derive_scratch`.
_WEIGHTS, _POSITION, _NORMAL, _HIT, _PLACE, _TURN = 9 * _N, 12 * _N, 15 * _N, 18 * _N, 19 * _N, 22 * _N


def _arctangent() -> tuple[np.float32, ...]:
    """Return the coefficients of atan(x) / x in x², 0 ... 1: numpy's own would not vectorize. It misses by 1e-8."""
    at = 0.5 - 0.5 * np.cos(np.pi * (np.arange(200) + 0.5) / 200)  # x²
    fit = np.polynomial.Polynomial.fit(at, np.arctan(np.sqrt(at)) / np.sqrt(at), 8, domain=(0, 1))
    return tuple(np.float32(c) for c in fit.convert().coef)


_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8 = _arctangent()
_HALF_PI = np.float32(0.5 * np.pi)


class Surface(NamedTuple):
    """The images that `derive_tile` writes; those without elements are not asked for."""

    barycentric: npt.NDArray[np.float32]  # (H, 3 W)
    normal: npt.NDArray[np.float32]  # (H, 3 W)
    position: npt.NDArray[np.float64]  # (H, 3 W)
    view_angle: npt.NDArray[np.float32]  # (H, W)


class DeriveScratch(NamedTuple):
    """What `derive_tile` works in: one for each thread; rows of a run's pixels."""

    # x, y, z of the face's vertices a, b, c from the camera's centre; their weights; the position from the camera's centre;
    # the normal; 1 where there is a face, else 0; the place of the cluster; which of the caller's vertices is a
    exact: npt.NDArray[np.float64]  # (23 N,)
    written: npt.NDArray[np.float32]  # (3 N,) what goes into an image
    steps: npt.NDArray[np.int32]  # (9 N,) as the first rows of `exact`
    wide_lanes: npt.NDArray[np.int64]  # (N, 3) pixels of faces in wide clusters: number, place and cluster
    ids: npt.NDArray[np.uint32]  # (3 N,) what `interpolate_tile` and `nearest_tile` work in


def derive_scratch() -> DeriveScratch:
    """Return a `DeriveScratch`."""
    return DeriveScratch(
        aligned(23 * _N), aligned(3 * _N, np.float32), aligned(9 * _N, np.int32), aligned((_N, 3), np.int64),
        aligned(3 * _N, np.uint32),
    )  # fmt: skip


@inner
def _gather(scene, faces, names, ox, oy, oz, work):
    """Write the vertices of a run's faces, counted from (ox, oy, oz).

    Integers are gathered first and become coordinates together, which vectorizes; wide clusters have none of them. No
    branch depends on which clusters the faces are in: they change too often to be foreseen.
    """
    steps, wide_lanes, exact, narrow, corners = (
        work.steps,
        work.wide_lanes,
        work.exact,
        scene.narrow,
        scene.corners,
    )
    one = np.uint64(1)
    n_wide = 0
    for i in range(_N):
        name = names[i]
        place = np.uint64(faces.places[max(name, 0)])
        hint = faces.hints[place]
        cluster = np.uint64(faces.clusters[place // np.uint64(PLACES)]) + np.uint64(hint >> 2)
        exact[_PLACE + i], exact[_PLACE + _N + i] = (
            scene.centre[cluster, 0] - ox,
            scene.centre[cluster, 1] - oy,
        )
        exact[_PLACE + 2 * _N + i] = scene.centre[cluster, 2] - oz
        exact[_HIT + i] = 1.0 if name >= 0 else 0.0
        exact[_TURN + i] = np.float64(hint & 3)
        if scene.is_wide[cluster]:
            wide_lanes[n_wide, 0], wide_lanes[n_wide, 1], wide_lanes[n_wide, 2] = i, place, cluster
            n_wide += 1
            continue
        first, n = np.uint64(scene.first_vertex[cluster]), np.uint64(scene.n_vertices[cluster])
        corner, twice = place + place + place, n + n
        a, b = first + np.uint64(corners[corner]), first + np.uint64(corners[corner + one])
        c = first + np.uint64(corners[corner + one + one])
        steps[i], steps[_N + i], steps[2 * _N + i] = narrow[a], narrow[a + n], narrow[a + twice]
        steps[3 * _N + i], steps[4 * _N + i], steps[5 * _N + i] = narrow[b], narrow[b + n], narrow[b + twice]
        steps[6 * _N + i], steps[7 * _N + i], steps[8 * _N + i] = narrow[c], narrow[c + n], narrow[c + twice]
    _converted(scene.step, steps, exact)
    for lane in range(n_wide):
        i, place, cluster = wide_lanes[lane, 0], wide_lanes[lane, 1], wide_lanes[lane, 2]
        first, n = scene.first_vertex[cluster], np.int64(scene.n_vertices[cluster])
        for k in range(3):
            at = first + np.int64(corners[3 * place + k])
            for axis in range(3):
                exact[(3 * k + axis) * _N + i] = exact[_PLACE + axis * _N + i] + scene.wide[at + axis * n]


@inner
def _converted(step, steps, exact):
    """Turn steps of the lattice into coordinates."""
    for i in range(_N):
        x, y, z = exact[_PLACE + i], exact[_PLACE + _N + i], exact[_PLACE + 2 * _N + i]
        exact[i], exact[_N + i] = x + steps[i] * step, y + steps[_N + i] * step
        exact[2 * _N + i], exact[3 * _N + i] = z + steps[2 * _N + i] * step, x + steps[3 * _N + i] * step
        exact[4 * _N + i], exact[5 * _N + i] = y + steps[4 * _N + i] * step, z + steps[5 * _N + i] * step
        exact[6 * _N + i], exact[7 * _N + i] = x + steps[6 * _N + i] * step, y + steps[7 * _N + i] * step
        exact[8 * _N + i] = z + steps[8 * _N + i] * step


@inner
def _meet(x_steps, y_steps, lattice, rays, parallel, exact):
    """Let each of a run's pixels meet its face: weights, position and the face's normal, along the scene's axes.

    After Möller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection" (1997). Weights are kept within the face:
    rays that coverage lets pass beside it do so by some 1e-6 pixel.
    """
    m00, m01, m02 = rays[0, 0], rays[0, 1], rays[0, 2]
    m10, m11, m12 = rays[1, 0], rays[1, 1], rays[1, 2]
    m20, m21, m22 = rays[2, 0], rays[2, 1], rays[2, 2]
    x0, y0, step = lattice[0], lattice[1], lattice[2]
    moved = 1.0 if parallel else 0.0  # whether the pixel moves the ray's origin, or its direction
    turned = 1.0 - moved
    for i in range(_N):
        x, y = x0 + step * x_steps[i], y0 + step * y_steps[i]
        ox, oy, oz = m00 * x + m01 * y, m10 * x + m11 * y, m20 * x + m21 * y
        dx, dy, dz = turned * ox + m02, turned * oy + m12, turned * oz + m22
        ox, oy, oz = moved * ox, moved * oy, moved * oz
        ax, ay, az = exact[i], exact[_N + i], exact[2 * _N + i]
        bx, by, bz = exact[3 * _N + i] - ax, exact[4 * _N + i] - ay, exact[5 * _N + i] - az
        cx, cy, cz = exact[6 * _N + i] - ax, exact[7 * _N + i] - ay, exact[8 * _N + i] - az
        nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        tx, ty, tz = ox - ax, oy - ay, oz - az
        qx, qy, qz = ty * dz - tz * dy, tz * dx - tx * dz, tx * dy - ty * dx
        inverse = 1.0 / (dx * nx + dy * ny + dz * nz)
        beta = -(qx * cx + qy * cy + qz * cz) * inverse
        gamma = (qx * bx + qy * by + qz * bz) * inverse
        beta = beta if beta > 0.0 else 0.0  # also where it is none, of a face without area
        beta = beta if beta < 1.0 else 1.0
        gamma = gamma if gamma > 0.0 else 0.0
        gamma = gamma if gamma < 1.0 - beta else 1.0 - beta
        exact[_WEIGHTS + i] = 1.0 - beta - gamma
        exact[_WEIGHTS + _N + i] = beta
        exact[_WEIGHTS + 2 * _N + i] = gamma
        exact[_POSITION + i] = ax + beta * bx + gamma * cx
        exact[_POSITION + _N + i] = ay + beta * by + gamma * cy
        exact[_POSITION + 2 * _N + i] = az + beta * bz + gamma * cz
        exact[_NORMAL + i], exact[_NORMAL + _N + i], exact[_NORMAL + 2 * _N + i] = nx, ny, nz


@inner
def _unit_normals(exact):
    """Make the normals of a run's faces unit; 0 0 0 of those without area."""
    for i in range(_N):
        nx, ny, nz = exact[_NORMAL + i], exact[_NORMAL + _N + i], exact[_NORMAL + 2 * _N + i]
        square = nx * nx + ny * ny + nz * nz
        scale = 1.0 / np.sqrt(square) if square > 0.0 else 0.0
        exact[_NORMAL + i], exact[_NORMAL + _N + i] = nx * scale, ny * scale
        exact[_NORMAL + 2 * _N + i] = nz * scale


@inner
def _angles(rays, parallel, exact, written):
    """Write the angles between normals and ways back; NaN where no face is seen.

    Half the angle between two unit vectors has the tangent |u - v| / |u + v| (W. Kahan), which is exact near 0, too.
    """
    turned = np.float32(0.0 if parallel else 1.0)
    fixed = np.float32(1.0) - turned
    dx, dy, dz = (
        fixed * np.float32(rays[0, 2]),
        fixed * np.float32(rays[1, 2]),
        fixed * np.float32(rays[2, 2]),
    )
    for i in range(_N):
        vx = turned * np.float32(exact[_POSITION + i]) + dx
        vy = turned * np.float32(exact[_POSITION + _N + i]) + dy
        vz = turned * np.float32(exact[_POSITION + 2 * _N + i]) + dz
        nx, ny = np.float32(exact[_NORMAL + i]), np.float32(exact[_NORMAL + _N + i])
        nz = np.float32(exact[_NORMAL + 2 * _N + i])
        scale = np.float32(-1.0) / np.sqrt(vx * vx + vy * vy + vz * vz)
        vx, vy, vz = vx * scale, vy * scale, vz * scale
        sx, sy, sz, ex, ey, ez = nx + vx, ny + vy, nz + vz, nx - vx, ny - vy, nz - vz
        opposite, adjacent = ex * ex + ey * ey + ez * ez, sx * sx + sy * sy + sz * sz
        wide = opposite > adjacent
        t = np.sqrt((adjacent if wide else opposite) / (opposite if wide else adjacent))
        s = t * t
        angle = t * (
            _A0 + s * (_A1 + s * (_A2 + s * (_A3 + s * (_A4 + s * (_A5 + s * (_A6 + s * (_A7 + s * _A8)))))))
        )
        angle = (_HALF_PI - angle) if wide else angle
        written[i] = (angle + angle) if exact[_HIT + i] != 0.0 else np.float32(np.nan)


@inner
def _turned_normals(matrix, exact, written):
    """Take the normals to other axes by a matrix (3, 3); 0 where no face is seen."""
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for i in range(_N):
        x, y, z = exact[_NORMAL + i], exact[_NORMAL + _N + i], exact[_NORMAL + 2 * _N + i]
        hit, zero = exact[_HIT + i] != 0.0, np.float32(0.0)
        written[i] = np.float32(m00 * x + m01 * y + m02 * z) if hit else zero
        written[_N + i] = np.float32(m10 * x + m11 * y + m12 * z) if hit else zero
        written[2 * _N + i] = np.float32(m20 * x + m21 * y + m22 * z) if hit else zero


@inner
def _moved_positions(matrix, exact):
    """Take the positions to another frame by a matrix (3, 4); NaN where no face is seen."""
    m00, m01, m02, m03 = matrix[0, 0], matrix[0, 1], matrix[0, 2], matrix[0, 3]
    m10, m11, m12, m13 = matrix[1, 0], matrix[1, 1], matrix[1, 2], matrix[1, 3]
    m20, m21, m22, m23 = matrix[2, 0], matrix[2, 1], matrix[2, 2], matrix[2, 3]
    for i in range(_N):
        x, y, z = exact[_POSITION + i], exact[_POSITION + _N + i], exact[_POSITION + 2 * _N + i]
        hit = exact[_HIT + i] != 0.0
        exact[_POSITION + i] = m00 * x + m01 * y + m02 * z + m03 if hit else np.nan
        exact[_POSITION + _N + i] = m10 * x + m11 * y + m12 * z + m13 if hit else np.nan
        exact[_POSITION + 2 * _N + i] = m20 * x + m21 * y + m22 * z + m23 if hit else np.nan


@inner
def _weights(exact, written):
    """Round the weights to float32, in the order in which the caller's mesh has the vertices; 0 where no face is seen."""
    for i in range(_N):
        hit, turn = exact[_HIT + i] != 0.0, exact[_TURN + i]
        a = np.float32(exact[_WEIGHTS + i]) if hit else np.float32(0.0)
        b = np.float32(exact[_WEIGHTS + _N + i]) if hit else np.float32(0.0)
        c = np.float32(exact[_WEIGHTS + 2 * _N + i]) if hit else np.float32(0.0)
        written[i] = a if turn == 0.0 else (c if turn == 1.0 else b)
        written[_N + i] = b if turn == 0.0 else (a if turn == 1.0 else c)
        written[2 * _N + i] = c if turn == 0.0 else (b if turn == 1.0 else a)


@inner
def _write_three(line, first, rows):
    """Write three rows of a run's pixels as channels of a line of an image."""
    if line.shape[0] == 3 * _N:  # the number of pixels known, the loop is unrolled
        for j in range(_N):
            k = np.uint64(first + j)
            line[3 * j], line[3 * j + 1], line[3 * j + 2] = rows[k], rows[_N + k], rows[2 * _N + k]
        return
    for j in range(line.shape[0] // 3):
        k = first + j
        line[3 * j], line[3 * j + 1], line[3 * j + 2] = rows[k], rows[_N + k], rows[2 * _N + k]


@lean_kernel
def derive_tile(
    scene, faces, lattice, pixels, names, camera, rays, parallel, axes, frame, row0, col0, n_rows, n_cols,
    row_b, col_b, surface, work,
):  # fmt: skip
    """Write what follows from the faces that a tile's pixels show into the images of a `Surface`.

    ``scene`` is the tuple of arrays of ``scene.py`` and ``faces`` its `FacePlaces`; ``camera`` (3) is the camera's centre in
    the scene's coordinates. ``rays`` (3, 3) takes (x, y, 1), plane pixels of the tile, to the ray's direction along the
    scene's axes; with ``parallel`` rays, its first two columns take (x, y) to their origin, and the third is their
    direction. ``axes`` (3, 3) takes normals from the scene's axes to those of the image, ``frame`` (3, 4) positions relative
    to the camera's centre to the image's. The tile is n_rows x n_cols pixels at (row0, col0); of ``barycentric``, which may
    be an image of the tile alone, at (row_b, col_b). Where no face is seen there are 0 0 0 for weights and normals, NaN for
    the others. ``work`` is a `DeriveScratch`.
    """
    exact, written = work.exact, work.written
    ox, oy, oz = camera[0], camera[1], camera[2]
    if (
        row0 < 0 or col0 < 0 or row_b < 0 or col_b < 0
    ):  # never; it tells the compiler not to provide for negative indices
        return
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at = min(_N, n_cols - col), row * STRIDE + col
            _gather(scene, faces, names[at : at + _N], ox, oy, oz, work)
            _meet(pixels.x[at : at + _N], pixels.y[at : at + _N], lattice, rays, parallel, exact)
            left = col0 + col
            if surface.barycentric.size > 0:
                _weights(exact, written)
                _write_three(
                    surface.barycentric[row_b + row, 3 * (col_b + col) : 3 * (col_b + col + width)],
                    0,
                    written,
                )
            if surface.normal.size > 0 or surface.view_angle.size > 0:
                _unit_normals(exact)
            if surface.view_angle.size > 0:
                _angles(rays, parallel, exact, written)
                line = surface.view_angle[row0 + row, left : left + width]
                for j in range(width):
                    line[j] = written[j]
            if surface.normal.size > 0:
                _turned_normals(axes, exact, written)
                _write_three(surface.normal[row0 + row, 3 * left : 3 * (left + width)], 0, written)
            if surface.position.size > 0:
                _moved_positions(frame, exact)
                _write_three(surface.position[row0 + row, 3 * left : 3 * (left + width)], _POSITION, exact)


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
