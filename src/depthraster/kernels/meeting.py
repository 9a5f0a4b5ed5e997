"""Where the rays of a run of pixels meet their faces, in float64 and from the faces' vertices themselves.

It is for faces of which records (``drawn.py``) do not say enough, and right for any. The vertices of a run of pixels are
gathered first, side by side, so that the loop over its pixels vectorizes. The commonest change is another number per pixel:
a row of the scratch that `_meet` fills.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load2, load4, load8, load16, store
from depthraster.kernels.channels import RUN
from depthraster.kernels.faces import cluster_of
from depthraster.kernels.jit import inner
from depthraster.kernels.memory import aligned
from depthraster.kernels.shuffles import every_fourth, pair
from depthraster.kernels.simd import multiply_add

__all__ = ["NORMAL", "POSITION", "SPARE", "WEIGHTS", "Meeting", "meet", "meeting", "prepare", "row_of"]

_N = RUN  # pixels of a row that are worked on together, a run
# Rows of a run's pixels in the scratch, see `Meeting`; and where the numbers of `prepare` are.
_PLACE, POSITION, _VERTICES, _LOOSE_PLACE, _TILE = 0, 3 * _N, 6 * _N, 15 * _N, 19 * _N
_X, _Y, _TURN, _STEPS, _LOOSE = 0, _N, 2 * _N, 3 * _N, 12 * _N
WEIGHTS, NORMAL, SPARE = 0, 3 * _N, 6 * _N
# In the numbers of `prepare`: what takes a pixel to its ray and, where rays are parallel, to their origin in the scene's
# axes and in the frame of positions; the camera's centre; the frame of positions.
_RAYS, _ORIGINS, _MOVED, _CAMERA, _FRAME = _TILE, _TILE + 9, _TILE + 18, _TILE + 27, _TILE + 30


class Meeting(NamedTuple):
    """What `meet` works in: one for each thread; rows of a run's pixels."""

    # the place of the cluster, from the scene's origin; the position that is met; x, y, z of the vertices a, b, c from that
    # place, where a cluster is wide; the places pixel by pixel, x y z and one more; then the numbers of `prepare`
    exact: npt.NDArray[np.float64]  # (19 N + 42,)
    # the ray; which of the caller's vertices is a, -1 where there is no face; x, y, z of the vertices in steps; a of each
    # pixel, x y z and one more, then b and c
    whole: npt.NDArray[np.int32]  # (24 N,)
    # weights of b, c, a; normal, of any length; and room for a run that is not whole
    single: npt.NDArray[np.float32]  # (9 N,)
    places: npt.NDArray[np.int32]  # (N,) of the faces in the scene
    clusters: npt.NDArray[np.uint32]  # (N,) that they are in
    wide_lanes: npt.NDArray[np.int64]  # (N,) pixels of faces in wide clusters


def meeting() -> Meeting:
    """Return a `Meeting`."""
    return Meeting(
        aligned(19 * _N + 42), aligned(24 * _N, np.int32), aligned(9 * _N, np.float32), aligned(_N, np.int32),
        aligned(_N, np.uint32), aligned(_N, np.int64),
    )  # fmt: skip


@inner
def prepare(lattice, camera, rays, parallel, frame, exact):
    """Write what is the same for all pixels of a tile, for `meet`: linear in steps of the lattice."""
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
def _gather(scene, work):
    """Write the vertices of a run's faces in steps of the scene's lattice; return how many have none, in wide clusters.

    No branch depends on which clusters the faces are in: they change too often to be foreseen.
    """
    whole, exact, narrow, corners = work.whole, work.exact, scene.narrow, scene.corners
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    n_wide = 0
    for i in range(np.uint64(_N)):
        place, cluster = np.uint64(work.places[i]), np.uint64(work.clusters[i])
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
def _with_wide(scene, n_wide, work):
    """Write the vertices of a run's faces as float64, some of which are in wide clusters."""
    exact, whole, corners = work.exact, work.whole, scene.corners
    for i in range(9 * _N):
        exact[_VERTICES + i] = scene.step * whole[_STEPS + i]
    for lane in range(n_wide):
        i = work.wide_lanes[lane]
        place, cluster = np.int64(work.places[i]), np.int64(work.clusters[i])
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
        single[WEIGHTS + i], single[WEIGHTS + _N + i] = np.float32(beta), np.float32(gamma)
        single[WEIGHTS + 2 * _N + i] = np.float32(rest - gamma)
        size = np.abs(inverse) if along != 0.0 else 0.0
        single[NORMAL + i], single[NORMAL + _N + i] = np.float32(nx * size), np.float32(ny * size)
        single[NORMAL + 2 * _N + i] = np.float32(nz * size)
        beta, gamma = beta * step, gamma * step
        px = multiply_add(gamma, cx, multiply_add(beta, bx, ax))
        py = multiply_add(gamma, cy, multiply_add(beta, by, ay))
        pz = multiply_add(gamma, cz, multiply_add(beta, bz, az))
        hit = whole[_TURN + i] >= 0
        x = multiply_add(m02, pz, multiply_add(m01, py, multiply_add(m00, px, m03)))
        y = multiply_add(m12, pz, multiply_add(m11, py, multiply_add(m10, px, m13)))
        z = multiply_add(m22, pz, multiply_add(m21, py, multiply_add(m20, px, m23)))
        exact[POSITION + i] = x if hit else np.nan
        exact[POSITION + _N + i] = y if hit else np.nan
        exact[POSITION + 2 * _N + i] = z if hit else np.nan


@inner
def row_of(rows, first):
    """Return a row of float32 as a vector; by halves, as `_meet` writes it: a load waits for two stores at once."""
    return pair(load8(rows, first), load8(rows, first + 8))


@inner
def meet(scene, faces, parallel, x, y, turn, work):
    """Meet the faces whose places are in ``work.places``: write rows of weights, normals and positions.

    ``scene`` is the tuple of arrays of ``scene.py`` and ``faces`` its `FacePlaces`; ``x``, ``y`` and ``turn`` are vectors
    of a run's rays and of which of the caller's vertices is a, -1 where no face is seen. `prepare` has to have been called.
    """
    exact, whole, single = work.exact, work.whole, work.single
    for i in range(_N):
        work.clusters[i] = cluster_of(faces, np.int64(work.places[i]))
    n_wide = _gather(scene, work)
    _sort_out(work)
    store(whole, _TURN, turn)
    store(whole, _X, x)
    store(whole, _Y, y)
    if parallel:
        _add_linear(exact, _PLACE, whole, exact, _ORIGINS)
    if n_wide == 0:
        _meet(whole[_STEPS:], scene.step, exact, whole, single)
    else:
        _with_wide(scene, n_wide, work)
        _meet(exact[_VERTICES:], 1.0, exact, whole, single)
    if parallel:
        _add_linear(exact, POSITION, whole, exact, _MOVED)
