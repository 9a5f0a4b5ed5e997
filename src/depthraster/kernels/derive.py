"""What follows from the face that a pixel shows: where on it the pixel's ray meets it, and which way it looks there.

A finished tile has its rays in ``pixels`` and its faces in ``names``. Here each pixel's ray meets its face once more, in
float64 and from the face's vertices, which are exact where the tile's 1/Z is a float32. The vertices of a run of pixels
are gathered first, side by side, so that the loop over its pixels vectorizes; what is of the order of 1 from there on
(weights, directions, angles) is reckoned in float32, a vector at a time, and goes from the registers into the images.

The commonest change is another number per pixel: a row of the scratch that `_meet` fills, and a field of `Surface`. What is
looked up by a face's vertices is `interpolate_tile`'s; how a run gets into an image is ``channels.py``'s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load2, load4, load8, load16, prefetch, store
from depthraster.kernels.blocks import MAX_TILE, STRIDE
from depthraster.kernels.channels import RUN, write_one, write_three, write_three_of
from depthraster.kernels.faces import PLACES, vertex_ids_of
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.memory import aligned
from depthraster.kernels.shuffles import every_fourth, pair
from depthraster.kernels.simd import choose, most, multiply_add, root, splat_like
from depthraster.kernels.streaming import end_streams

__all__ = ["Surface", "derive_scratch", "derive_tile", "interpolate_tile", "nearest_tile"]

_N = RUN  # pixels of a row that are worked on together, a run
# Rows of a run's pixels in the scratch, see `DeriveScratch`; and where the numbers of `_prepare` are.
_PLACE, _POSITION, _VERTICES, _LOOSE_PLACE, _TILE = 0, 3 * _N, 6 * _N, 15 * _N, 19 * _N
_X, _Y, _TURN, _STEPS, _LOOSE = 0, _N, 2 * _N, 3 * _N, 12 * _N
_WEIGHTS, _NORMAL, _RAY, _SPARE = 0, 3 * _N, 6 * _N, 9 * _N
# In the numbers of `_prepare`: what takes a pixel to its ray and, where rays are parallel, to their origin in the scene's
# axes and in the frame of positions; the camera's centre; the frame of positions.
_RAYS, _ORIGINS, _MOVED, _CAMERA, _FRAME = _TILE, _TILE + 9, _TILE + 18, _TILE + 27, _TILE + 30


def _arctangent() -> tuple[np.float32, ...]:
    """Return the coefficients of atan(x) / x in x², 0 ... 1: numpy's own would not vectorize. It misses by 1e-8."""
    at = 0.5 - 0.5 * np.cos(np.pi * (np.arange(200) + 0.5) / 200)  # x²
    fit = np.polynomial.Polynomial.fit(at, np.arctan(np.sqrt(at)) / np.sqrt(at), 8, domain=(0, 1))
    return tuple(np.float32(c) for c in fit.convert().coef)


_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8 = _arctangent()
_HALF_PI, _PI = np.float32(0.5 * np.pi), np.float32(np.pi)
_ZERO, _ONE, _INFINITE, _NONE = np.float32(0.0), np.float32(1.0), np.float32(np.inf), np.float32(np.nan)


class Surface(NamedTuple):
    """The images that `derive_tile` writes; those without elements are not asked for."""

    barycentric: npt.NDArray[np.float32]  # (H, 3 W)
    normal: npt.NDArray[np.float32]  # (H, 3 W)
    position: npt.NDArray[np.float64]  # (H, 3 W)
    view_angle: npt.NDArray[np.float32]  # (H, W)


class DeriveScratch(NamedTuple):
    """What `derive_tile` works in: one for each thread; rows of a run's pixels."""

    # the place of the cluster, from the scene's origin; the position that is met; x, y, z of the vertices a, b, c from that
    # place, where a cluster is wide; the places pixel by pixel, x y z and one more; then the numbers of `_prepare`
    exact: npt.NDArray[np.float64]  # (19 N + 42,)
    # the ray; as `turns`; x, y, z of the vertices in steps; a of each pixel, x y z and one more, then b and c
    whole: npt.NDArray[np.int32]  # (24 N,)
    # weights of b, c, a; normal, of any length; ray, likewise; and room for a run that is not whole
    single: npt.NDArray[np.float32]  # (12 N,)
    wide_lanes: npt.NDArray[np.int64]  # (N,) pixels of faces in wide clusters
    found: npt.NDArray[np.uint32]  # (2 MAX_TILE,) of a row's faces, the place and the cluster
    turns: npt.NDArray[np.int32]  # (MAX_TILE,) which of the caller's vertices is a, -1 where there is no face
    ids: npt.NDArray[np.uint32]  # (3 N,) what `interpolate_tile` and `nearest_tile` work in


def derive_scratch() -> DeriveScratch:
    """Return a `DeriveScratch`."""
    return DeriveScratch(
        aligned(19 * _N + 42), aligned(24 * _N, np.int32), aligned(12 * _N, np.float32), aligned(_N, np.int64),
        aligned(2 * MAX_TILE, np.uint32), aligned(MAX_TILE, np.int32), aligned(3 * _N, np.uint32),
    )  # fmt: skip


@inner
def _prepare(lattice, camera, rays, parallel, frame, exact):
    """Write what is the same for all pixels of a tile, for `_meet`: linear in steps of the lattice."""
    for k in range(3):
        across, down = rays[k, 0] * lattice[2], rays[k, 1] * lattice[2]
        first = rays[k, 0] * lattice[0] + rays[k, 1] * lattice[1]
        exact[_CAMERA + k] = camera[k]
        # The pixel moves the ray's direction, or else its origin; that is taken off the vertices.
        exact[_RAYS + k], exact[_RAYS + 3 + k] = 0.0 if parallel else across, 0.0 if parallel else down
        exact[_RAYS + 6 + k] = rays[k, 2] if parallel else first + rays[k, 2]
        exact[_ORIGINS + k], exact[_ORIGINS + 3 + k], exact[_ORIGINS + 6 + k] = -across, -down, -first
        for m in range(4):
            exact[_FRAME + 4 * k + m] = frame[k, m]
    for row in range(3):
        for k in range(3):
            at = _ORIGINS + 3 * row
            exact[_MOVED + 3 * row + k] = -(
                frame[k, 0] * exact[at] + frame[k, 1] * exact[at + 1] + frame[k, 2] * exact[at + 2]
            )


@inner
def _look_up(scene, faces, names, found, turns):
    """Find the places and the clusters of a row's faces, of some face where there is none, and their vertices' turns."""
    for i in range(names.shape[0]):
        place = np.uint64(faces.places[max(names[i], 0)])
        hint = faces.hints[place]
        cluster = np.uint32(faces.clusters[place // np.uint64(PLACES)]) + np.uint32(hint >> 2)
        found[i], found[MAX_TILE + i] = np.uint32(place), cluster
        prefetch(scene.corners, np.int64(3 * place))
        turns[i] = np.int32(hint & 3) | (names[i] >> 31)


@inner
def _gather(scene, faces, names, places, clusters, work):
    """Write the vertices of a run's faces in steps of the scene's lattice; return how many have none, in wide clusters.

    No branch depends on which clusters the faces are in: they change too often to be foreseen.
    """
    whole, exact, narrow, corners = work.whole, work.exact, scene.narrow, scene.corners
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    n_wide = 0
    for i in range(np.uint64(_N)):
        place, cluster = np.uint64(places[i]), np.uint64(clusters[i])
        at = _LOOSE_PLACE + np.int64(4 * i)
        store(exact, at, load2(scene.centre, np.int64(three * cluster)))
        exact[at + 2] = scene.centre[cluster, 2]
        if scene.is_wide[cluster]:
            work.wide_lanes[n_wide] = i
            n_wide += 1
            continue
        first, corner = scene.first_vertex[cluster], three * place
        a, b, c = np.int64(corners[corner]), np.int64(corners[corner + one]), np.int64(corners[corner + two])
        at = _LOOSE + np.int64(4 * i)
        store(whole, at, load4(narrow, first + 3 * a))
        store(whole, at + 4 * _N, load4(narrow, first + 3 * b))
        store(whole, at + 8 * _N, load4(narrow, first + 3 * c))
    return n_wide


@inner
def _sort_out(work):
    """Write what `_gather` has written pixel by pixel as rows of x, y and z."""
    whole, exact = work.whole, work.exact
    for k in range(3):
        at, row = _LOOSE + 4 * k * _N, _STEPS + 3 * k * _N
        a, b, c, d = load16(whole, at), load16(whole, at + 16), load16(whole, at + 32), load16(whole, at + 48)
        store(whole, row, every_fourth(a, b, c, d, 0))
        store(whole, row + _N, every_fourth(a, b, c, d, 1))
        store(whole, row + 2 * _N, every_fourth(a, b, c, d, 2))
    for half in range(2):
        at, row = _LOOSE_PLACE + 32 * half, _PLACE + 8 * half
        p, q, r, s = load8(exact, at), load8(exact, at + 8), load8(exact, at + 16), load8(exact, at + 24)
        store(exact, row, every_fourth(p, q, r, s, 0))
        store(exact, row + _N, every_fourth(p, q, r, s, 1))
        store(exact, row + 2 * _N, every_fourth(p, q, r, s, 2))


@inner
def _with_wide(scene, places, clusters, n_wide, work):
    """Write the vertices of a run's faces as float64, some of which are in wide clusters."""
    exact, whole, corners = work.exact, work.whole, scene.corners
    for i in range(9 * _N):
        exact[_VERTICES + i] = scene.step * whole[_STEPS + i]
    for lane in range(n_wide):
        i = work.wide_lanes[lane]
        place, cluster = np.int64(places[i]), np.int64(clusters[i])
        for k in range(3):
            at = scene.first_vertex[cluster] + 3 * np.int64(corners[3 * place + k])
            for axis in range(3):
                exact[_VERTICES + (3 * k + axis) * _N + i] = scene.wide[at + axis]


@inner
def _add_linear(rows, first, whole, exact, at):
    """Add to each of three rows of a run what is linear in its pixels' x and y, by the numbers at ``at``."""
    for k in range(3):
        across, down, start = exact[at + k], exact[at + 3 + k], exact[at + 6 + k]
        row = first + k * _N
        for i in range(_N):
            rows[row + i] += start + (across * whole[_X + i] + down * whole[_Y + i])


@inner
def _meet(vertices, step, exact, whole, single):
    """Let each of a run's pixels meet its face: weights, position and the face's normal, along the scene's axes.

    ``vertices`` (9 N) are those of the faces from their clusters' places, in units of ``step``. After Möller and Trumbore,
    "Fast, Minimum Storage Ray/Triangle Intersection" (1997). Weights are kept within the face: rays that coverage lets pass
    beside it do so by some 1e-6 pixel. The normal is divided by its product with the ray, without the sign, so that it is
    of an ordinary size however small the face is; 0 0 0 of a face without area.
    """
    ux, uy, uz, vx, vy, vz = (
        exact[_RAYS],
        exact[_RAYS + 1],
        exact[_RAYS + 2],
        exact[_RAYS + 3],
        exact[_RAYS + 4],
        exact[_RAYS + 5],
    )
    wx, wy, wz = exact[_RAYS + 6], exact[_RAYS + 7], exact[_RAYS + 8]
    camera_x, camera_y, camera_z = exact[_CAMERA], exact[_CAMERA + 1], exact[_CAMERA + 2]
    m = _FRAME
    m00, m01, m02, m03 = exact[m], exact[m + 1], exact[m + 2], exact[m + 3]
    m10, m11, m12, m13 = exact[m + 4], exact[m + 5], exact[m + 6], exact[m + 7]
    m20, m21, m22, m23 = exact[m + 8], exact[m + 9], exact[m + 10], exact[m + 11]
    per_step = 1.0 / step
    for i in range(_N):
        x, y = np.float64(whole[_X + i]), np.float64(whole[_Y + i])
        dx = multiply_add(vx, y, multiply_add(ux, x, wx))
        dy = multiply_add(vy, y, multiply_add(uy, x, wy))
        dz = multiply_add(vz, y, multiply_add(uz, x, wz))
        fx, fy, fz = np.float64(vertices[i]), np.float64(vertices[_N + i]), np.float64(vertices[2 * _N + i])
        ax = multiply_add(fx, step, exact[_PLACE + i] - camera_x)
        ay = multiply_add(fy, step, exact[_PLACE + _N + i] - camera_y)
        az = multiply_add(fz, step, exact[_PLACE + 2 * _N + i] - camera_z)
        bx, by, bz = vertices[3 * _N + i] - fx, vertices[4 * _N + i] - fy, vertices[5 * _N + i] - fz
        cx, cy, cz = vertices[6 * _N + i] - fx, vertices[7 * _N + i] - fy, vertices[8 * _N + i] - fz
        nx = multiply_add(by, cz, -(bz * cy))
        ny = multiply_add(bz, cx, -(bx * cz))
        nz = multiply_add(bx, cy, -(by * cx))
        along = multiply_add(dz, nz, multiply_add(dy, ny, dx * nx))
        inverse = 1.0 / along
        qx = multiply_add(dy, az, -(dz * ay))
        qy = multiply_add(dz, ax, -(dx * az))
        qz = multiply_add(dx, ay, -(dy * ax))
        scale = inverse * per_step
        beta = multiply_add(qz, cz, multiply_add(qy, cy, qx * cx)) * -scale
        gamma = multiply_add(qz, bz, multiply_add(qy, by, qx * bx)) * scale
        beta = beta if beta > 0.0 else 0.0  # also where it is none, of a face without area
        beta = beta if beta < 1.0 else 1.0
        rest = 1.0 - beta
        gamma = gamma if gamma > 0.0 else 0.0
        gamma = gamma if gamma < rest else rest
        single[_WEIGHTS + i], single[_WEIGHTS + _N + i] = np.float32(beta), np.float32(gamma)
        single[_WEIGHTS + 2 * _N + i] = np.float32(rest - gamma)
        size = np.abs(inverse) if along != 0.0 else 0.0
        single[_NORMAL + i], single[_NORMAL + _N + i] = np.float32(nx * size), np.float32(ny * size)
        single[_NORMAL + 2 * _N + i] = np.float32(nz * size)
        single[_RAY + i], single[_RAY + _N + i] = np.float32(dx), np.float32(dy)
        single[_RAY + 2 * _N + i] = np.float32(dz)
        beta, gamma = beta * step, gamma * step
        px = multiply_add(gamma, cx, multiply_add(beta, bx, ax))
        py = multiply_add(gamma, cy, multiply_add(beta, by, ay))
        pz = multiply_add(gamma, cz, multiply_add(beta, bz, az))
        hit = whole[_TURN + i] >= 0
        x = multiply_add(m02, pz, multiply_add(m01, py, multiply_add(m00, px, m03)))
        y = multiply_add(m12, pz, multiply_add(m11, py, multiply_add(m10, px, m13)))
        z = multiply_add(m22, pz, multiply_add(m21, py, multiply_add(m20, px, m23)))
        exact[_POSITION + i] = x if hit else np.nan
        exact[_POSITION + _N + i] = y if hit else np.nan
        exact[_POSITION + 2 * _N + i] = z if hit else np.nan


@inner
def _row(rows, first):
    """Return a row of float32 as a vector; by halves, as `_meet` writes it: a load waits for two stores at once."""
    return pair(load8(rows, first), load8(rows, first + 8))


@inner
def _weights(single, turn):
    """Return the weights in the order in which the caller's mesh has the vertices; 0 where no face is seen."""
    b, c, a = _row(single, _WEIGHTS), _row(single, _WEIGHTS + _N), _row(single, _WEIGHTS + 2 * _N)
    zero = splat_like(a, _ZERO)
    first, second, third = turn == np.int32(0), turn == np.int32(1), turn == np.int32(2)
    return (
        choose(first, a, choose(second, c, choose(third, b, zero))),
        choose(first, b, choose(second, a, choose(third, c, zero))),
        choose(first, c, choose(second, b, choose(third, a, zero))),
    )


@inner
def _angle(x, y, z, single, hit, has_area):
    """Return the angles between normals (x, y, z) and ways back; NaN where no face is seen, pi/2 of one without area."""
    u, v, w = _row(single, _RAY), _row(single, _RAY + _N), _row(single, _RAY + 2 * _N)
    cx, cy, cz = y * w - z * v, z * u - x * w, x * v - y * u
    across = root(multiply_add(cz, cz, multiply_add(cy, cy, cx * cx)))
    back = multiply_add(z, w, multiply_add(y, v, x * u))  # > 0 of a face whose back is seen
    zero = splat_like(x, _ZERO)
    along = most(back, zero - back)
    steep = across > along
    t = choose(steep, along, across) / choose(steep, across, along)
    s = t * t
    s2 = s * s
    s4 = s2 * s2
    low = multiply_add(s2, multiply_add(s, _A3, _A2), multiply_add(s, _A1, _A0))
    high = multiply_add(s2, multiply_add(s, _A7, _A6), multiply_add(s, _A5, _A4))
    angle = t * multiply_add(s4, multiply_add(s4, _A8, high), low)
    half_pi = splat_like(s, _HALF_PI)
    angle = choose(steep, half_pi - angle, angle)
    angle = choose(back > zero, splat_like(s, _PI) - angle, angle)
    return choose(hit, choose(has_area, angle, half_pi), splat_like(s, _NONE))


@lean_kernel
def derive_tile(
    scene, faces, lattice, pixels, names, camera, rays, parallel, axes, frame, row0, col0, n_rows, n_cols,
    row_b, col_b, surface, streamed, read_again, work,
):  # fmt: skip
    """Write what follows from the faces that a tile's pixels show into the images of a `Surface`.

    ``scene`` is the tuple of arrays of ``scene.py`` and ``faces`` its `FacePlaces`; ``camera`` (3) is the camera's centre in
    the scene's coordinates. ``rays`` (3, 3) takes (x, y, 1), plane pixels of the tile, to the ray's direction along the
    scene's axes; with ``parallel`` rays, its first two columns take (x, y) to their origin, and the third is their
    direction. ``axes`` (3, 3) takes normals from the scene's axes to those of the image, ``frame`` (3, 4) positions relative
    to the camera's centre to the image's. The tile is n_rows x n_cols pixels at (row0, col0); of ``barycentric``, which may
    be an image of the tile alone, at (row_b, col_b). Where no face is seen there are 0 0 0 for weights and normals, NaN for
    the others. With ``streamed`` images are written past the caches, but for ``barycentric`` where that is ``read_again``.
    ``work`` is a `DeriveScratch`.
    """
    exact, whole, single, found = work.exact, work.whole, work.single, work.found
    if (
        row0 < 0 or col0 < 0 or row_b < 0 or col_b < 0
    ):  # never; it tells the compiler not to provide for negative indices
        return
    _prepare(lattice, camera, rays, parallel, frame, exact)
    f00, f01, f02 = np.float32(axes[0, 0]), np.float32(axes[0, 1]), np.float32(axes[0, 2])
    f10, f11, f12 = np.float32(axes[1, 0]), np.float32(axes[1, 1]), np.float32(axes[1, 2])
    f20, f21, f22 = np.float32(axes[2, 0]), np.float32(axes[2, 1]), np.float32(axes[2, 2])
    with_weights, with_positions = surface.barycentric.size > 0, surface.position.size > 0
    with_normals, with_angles = surface.normal.size > 0, surface.view_angle.size > 0
    n_looked_up = (n_cols + _N - 1) // _N * _N
    for row in range(n_rows):
        _look_up(scene, faces, names[row * STRIDE : row * STRIDE + n_looked_up], found, work.turns)
        for col in range(0, n_cols, _N):
            width, at, left = min(_N, n_cols - col), row * STRIDE + col, col0 + col
            places, clusters = found[col : col + _N], found[MAX_TILE + col : MAX_TILE + col + _N]
            n_wide = _gather(scene, faces, names[at : at + _N], places, clusters, work)
            turn = load16(work.turns, col)
            _sort_out(work)
            store(whole, _TURN, turn)
            store(whole, _X, load16(pixels.x, at))
            store(whole, _Y, load16(pixels.y, at))
            if parallel:
                _add_linear(exact, _PLACE, whole, exact, _ORIGINS)
            if n_wide == 0:
                _meet(whole[_STEPS:], scene.step, exact, whole, single)
            else:
                _with_wide(scene, places, clusters, n_wide, work)
                _meet(exact[_VERTICES:], 1.0, exact, whole, single)
            if with_weights:
                a, b, c = _weights(single, turn)
                line = surface.barycentric[row_b + row, 3 * (col_b + col) : 3 * (col_b + col + width)]
                write_three(line, a, b, c, single, _SPARE, streamed and not read_again)
            if with_normals or with_angles:
                x, y, z = _row(single, _NORMAL), _row(single, _NORMAL + _N), _row(single, _NORMAL + 2 * _N)
                square = multiply_add(z, z, multiply_add(y, y, x * x))
                zero = splat_like(square, _ZERO)
                hit = turn > np.int32(-1)
                has_area = (square > zero) & (splat_like(square, _INFINITE) > square)
                if with_angles:
                    angle = _angle(x, y, z, single, hit, has_area)
                    write_one(
                        surface.view_angle[row0 + row, left : left + width], angle, single, _SPARE, streamed
                    )
                if with_normals:
                    seen = hit & has_area
                    scale = splat_like(square, _ONE) / root(square)
                    x, y, z = (
                        choose(seen, x * scale, zero),
                        choose(seen, y * scale, zero),
                        choose(seen, z * scale, zero),
                    )
                    a = multiply_add(x, f00, multiply_add(y, f01, z * f02))
                    b = multiply_add(x, f10, multiply_add(y, f11, z * f12))
                    c = multiply_add(x, f20, multiply_add(y, f21, z * f22))
                    line = surface.normal[row0 + row, 3 * left : 3 * (left + width)]
                    write_three(line, a, b, c, single, _SPARE, streamed)
            if with_positions:
                if parallel:
                    _add_linear(exact, _POSITION, whole, exact, _MOVED)
                line = surface.position[row0 + row, 3 * left : 3 * (left + width)]
                write_three_of(line, exact, _POSITION, streamed)
    if streamed:
        end_streams()


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
