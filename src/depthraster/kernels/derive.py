"""What follows from the face that a pixel shows: where on it the pixel's ray meets it, and which way it looks there.

A finished tile has its rays in ``pixels``, the faces that they show in a `Drawn`, with what is the same for all pixels of
a face. A run of sixteen pixels takes the records of its faces, turns them into a vector of each field, and what follows
goes from the registers into the images: in float32 what is of the order of 1 (weights, directions, angles) or small beside
the rest (the change of Z across a face), in float64 positions. Runs with faces of which records do not say enough are
``meeting.py``'s.

The commonest change is another number per pixel: a field of `Surface`, written where the others are. What is looked up by a
face's vertices is ``interpolate.py``'s; how a run gets into an image is ``channels.py``'s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load8, load16, prefetch, store
from depthraster.kernels.blocks import STRIDE
from depthraster.kernels.channels import RUN, write_half, write_one, write_three
from depthraster.kernels.drawn import EXACTLY, FIELDS
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.meeting import NORMAL, POSITION, SPARE, WEIGHTS, meet, prepare, row_of
from depthraster.kernels.shuffles import doubles_in, eight, pairs, singles_in, transposed16
from depthraster.kernels.simd import (
    align_stack,
    as_double,
    as_float,
    bits_of,
    choose,
    least,
    most,
    multiply_add,
    negative,
    root,
    splat_like,
)
from depthraster.kernels.streaming import end_streams

__all__ = ["Deriving", "Surface", "derive_tile"]

_N = RUN  # pixels of a row that are worked on together, a run
_AHEAD = 2 * _N  # pixels whose records are asked for before they are needed


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


class Deriving(NamedTuple):
    """What is the same for all tiles of a plane, see `derive_tile`."""

    faces: Any  # `FacePlaces`
    rays: npt.NDArray[np.float64]  # (3, 3)
    axes: npt.NDArray[np.float64]  # (3, 3)
    frame: npt.NDArray[np.float64]  # (3, 4)
    surface: Surface


@inlined
def _records(records, names):
    """Return the fields of the records of a run's faces; of an empty one where no face is seen."""
    return transposed16(
        _record(records, names[0]), _record(records, names[1]), _record(records, names[2]), _record(records, names[3]),
        _record(records, names[4]), _record(records, names[5]), _record(records, names[6]), _record(records, names[7]),
        _record(records, names[8]), _record(records, names[9]), _record(records, names[10]), _record(records, names[11]),
        _record(records, names[12]), _record(records, names[13]), _record(records, names[14]), _record(records, names[15]),
    )  # fmt: skip


@inlined
def _record(records, name):
    return load16(records, FIELDS * (np.int64(name) + 1))


@inlined
def _weight(dx, dy, along_x, along_y):
    """Return what is linear in dx and dy, of which no less than the last product is rounded."""
    part = dy * along_y
    return multiply_add(dx, along_x, part) + multiply_add(dy, along_y, negative(part))


@inlined
def _by_record(dx, dy, b_x, b_y, c_x, c_y, to_b, to_c):
    """Return the weights of a, b and c, and what is left of a's Z, less 1, its sign changed.

    In the plane of rays weights are linear; in space each counts by its vertex' 1/Z. They are kept within the face: rays
    that coverage lets pass beside it do so by some 1e-6 pixel.
    """
    zero, one = splat_like(dx, _ZERO), splat_like(dx, _ONE)
    b = least(most(_weight(dx, dy, b_x, b_y), zero), one)
    c = least(most(_weight(dx, dy, c_x, c_y), zero), one - b)
    gain = multiply_add(b, to_b, c * to_c)
    inverse = one / (gain + one)
    b = least(multiply_add(b, to_b, b) * inverse, one)
    rest = one - b
    c = least(multiply_add(c, to_c, c) * inverse, rest)
    return rest - c, b, c, gain * inverse


@inlined
def _in_order(a, b, c, turn):
    """Return the weights in the order in which the caller's mesh has the vertices; 0 where no face is seen."""
    zero = splat_like(a, _ZERO)
    first, second, third = turn == np.int32(0), turn == np.int32(1), turn == np.int32(2)
    return (
        choose(first, a, choose(second, c, choose(third, b, zero))),
        choose(first, b, choose(second, a, choose(third, c, zero))),
        choose(first, c, choose(second, b, choose(third, a, zero))),
    )


@inlined
def _angle(x, y, z, u, v, w, hit):
    """Return the angles between normals (x, y, z) and the ways back of rays (u, v, w).

    NaN where no face is seen, pi/2 of a face without area, whose normal is 0 0 0.
    """
    cx, cy, cz = y * w - z * v, z * u - x * w, x * v - y * u
    across = root(multiply_add(cz, cz, multiply_add(cy, cy, cx * cx)))
    back = multiply_add(z, w, multiply_add(y, v, x * u))  # > 0 of a face whose back is seen
    zero = splat_like(x, _ZERO)
    has_area = multiply_add(z, z, multiply_add(y, y, x * x)) > zero
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


@inner
def _unit(x, y, z, hit, axes):
    """Return normals, of any length and along the scene's axes, as unit vectors along the image's; else 0 0 0."""
    square = multiply_add(z, z, multiply_add(y, y, x * x))
    zero = splat_like(square, _ZERO)
    seen = hit & (square > zero) & (splat_like(square, _INFINITE) > square)
    scale = splat_like(square, _ONE) / root(square)
    x, y, z = choose(seen, x * scale, zero), choose(seen, y * scale, zero), choose(seen, z * scale, zero)
    return _turned(x, y, z, axes)


@inner
def _turned(x, y, z, axes):
    """Return vectors along the scene's axes as they are along the image's."""
    return (
        multiply_add(
            x, np.float32(axes[0, 0]), multiply_add(y, np.float32(axes[0, 1]), z * np.float32(axes[0, 2]))
        ),
        multiply_add(
            x, np.float32(axes[1, 0]), multiply_add(y, np.float32(axes[1, 1]), z * np.float32(axes[1, 2]))
        ),
        multiply_add(
            x, np.float32(axes[2, 0]), multiply_add(y, np.float32(axes[2, 1]), z * np.float32(axes[2, 2]))
        ),
    )


@inner
def _ray_along(frame, row, rays, lattice, parallel):
    """Return what a ray has along a frame's axis: by a step of the lattice across, by one down, and where it begins."""
    across = frame[row, 0] * rays[0, 0] + frame[row, 1] * rays[1, 0] + frame[row, 2] * rays[2, 0]
    down = frame[row, 0] * rays[0, 1] + frame[row, 1] * rays[1, 1] + frame[row, 2] * rays[2, 1]
    first = frame[row, 0] * rays[0, 2] + frame[row, 1] * rays[1, 2] + frame[row, 2] * rays[2, 2]
    if parallel:
        return 0.0, 0.0, first
    return across * lattice[2], down * lattice[2], across * lattice[0] + down * lattice[1] + first


@inner
def _ray_along_in_single(frame, row, rays, lattice, parallel):
    """Do what `_ray_along` does, in float32 and where a chunk's scale is one."""
    across, down, first = _ray_along(frame, row, rays, lattice, parallel)
    per = 1.0 / np.sqrt(rays[0, 2] ** 2 + rays[1, 2] ** 2 + rays[2, 2] ** 2)
    return np.float32(across * per), np.float32(down * per), np.float32(first * per)


@inlined
def _linear(x, y, across, down, first):
    """Return what rays have along an axis, see `_ray_along`."""
    return multiply_add(x, across, multiply_add(y, down, first))


@inlined
def _z(z, part, names):
    """Return a's Z less a part of it, in float64; NaN where no face is seen."""
    return choose(names > np.int32(-1), multiply_add(negative(z), as_double(part), z), splat_like(z, np.nan))


@inlined
def _positions(half, x, y, part, name, low, high, reach):
    """Return the positions of a half of a run's pixels, 0 or 1; ``reach`` has `_ray_along` and the start for each axis."""
    x_x, x_y, x_0, x_start, y_x, y_y, y_0, y_start, z_x, z_y, z_0, z_start = reach
    dx, dy = as_double(eight(x, half)), as_double(eight(y, half))
    z = _z(doubles_in(pairs(low, high, half)), eight(part, half), eight(name, half))
    return (
        multiply_add(z, _linear(dx, dy, x_x, x_y, x_0), x_start),
        multiply_add(z, _linear(dx, dy, y_x, y_y, y_0), y_start),
        multiply_add(z, _linear(dx, dy, z_x, z_y, z_0), z_start),
    )


@inlined
def _met(half, exact):
    """Return the positions of a half of a run's pixels that `meet` has written."""
    at = POSITION + 8 * half
    return load8(exact, at), load8(exact, at + _N), load8(exact, at + 2 * _N)


@lean_kernel
def derive_tile(
    scene, faces, lattice, pixels, drawn, camera, rays, parallel, axes, frame, row0, col0, n_rows, n_cols,
    row_b, col_b, surface, streamed, read_again, work,
):  # fmt: skip
    """Write what follows from the faces that a tile's pixels show into the images of a `Surface`.

    ``scene`` is the tuple of arrays of ``scene.py`` and ``faces`` its `FacePlaces`; ``camera`` (3) is the camera's centre in
    the scene's coordinates. ``drawn`` is the tile's `Drawn`, with records; its names become the caller's indices of the
    faces. ``rays`` (3, 3) takes (x, y, 1), plane pixels of the tile, to the ray's direction along the scene's axes; with
    ``parallel`` rays, its first two columns take (x, y) to their origin, and the third is their direction. ``axes`` (3, 3)
    takes normals from the scene's axes to those of the image, ``frame`` (3, 4) positions relative to the camera's centre to
    the image's. The tile is n_rows x n_cols pixels at (row0, col0); of ``barycentric``, which may be an image of the tile
    alone, at (row_b, col_b). Where no face is seen there are 0 0 0 for weights and normals, NaN for the others. With
    ``streamed`` images are written past the caches, but for ``barycentric`` where that is ``read_again``; the numbers of
    records are kept then, too. ``work`` is a `Meeting`.
    """
    align_stack()
    if (
        row0 < 0 or col0 < 0 or row_b < 0 or col_b < 0
    ):  # never; it tells the compiler not to provide for negative indices
        return
    single, exact, names = work.single, work.exact, drawn.names
    prepare(lattice, camera, rays, parallel, frame, exact)
    u_x, u_y, u_0 = _ray_along_in_single(axes, 0, rays, lattice, parallel)
    v_x, v_y, v_0 = _ray_along_in_single(axes, 1, rays, lattice, parallel)
    w_x, w_y, w_0 = _ray_along_in_single(axes, 2, rays, lattice, parallel)
    reach = (
        *_ray_along(frame, 0, rays, lattice, parallel), frame[0, 3],
        *_ray_along(frame, 1, rays, lattice, parallel), frame[1, 3],
        *_ray_along(frame, 2, rays, lattice, parallel), frame[2, 3],
    )  # fmt: skip
    with_weights, with_positions = surface.barycentric.size > 0, surface.position.size > 0
    with_normals, with_angles = surface.normal.size > 0, surface.view_angle.size > 0
    for row in range(n_rows):
        for col in range(0, n_cols, _N):
            width, at, left = min(_N, n_cols - col), row * STRIDE + col, col0 + col
            (
                column, down, b_x, b_y, c_x, c_y, to_b, to_c, low, high, normal_x, normal_y, normal_z, ids, place, kind,
            ) = _records(drawn.records, names[at : at + _N])  # fmt: skip
            for i in range(np.uint64(at + _AHEAD), np.uint64(at + _AHEAD + _N)):
                prefetch(drawn.records, FIELDS * (np.int64(names[i]) + 1))
            name = load16(names, at)
            hit = name > np.int32(-1)
            none = splat_like(name, np.int32(-1))
            store(names, at, choose(hit, ids, none))
            if read_again:
                store(drawn.numbers, at, name)
            turn = choose(hit, kind & np.int32(EXACTLY - 1), none)
            x, y = load16(pixels.x, at), load16(pixels.y, at)
            exactly = bits_of(hit & (kind > np.int32(EXACTLY - 1))) != 0
            if exactly:
                store(work.places, 0, place)
                meet(scene, faces, parallel, x, y, turn, work)
                a = row_of(single, WEIGHTS + 2 * _N)
                b, c, part = row_of(single, WEIGHTS), row_of(single, WEIGHTS + _N), splat_like(a, _ZERO)
            else:
                a, b, c, part = _by_record(
                    as_float(x - column), as_float(y - down), singles_in(b_x), singles_in(b_y), singles_in(c_x),
                    singles_in(c_y), singles_in(to_b), singles_in(to_c),
                )  # fmt: skip
            if with_weights:
                a, b, c = _in_order(a, b, c, turn)
                write_three(
                    surface.barycentric, row_b + row, col_b + col, width, a, b, c, single, SPARE,
                    streamed and not read_again,
                )  # fmt: skip
            if with_angles or with_normals:
                if exactly:
                    p, q, r = _unit(
                        row_of(single, NORMAL), row_of(single, NORMAL + _N), row_of(single, NORMAL + 2 * _N), hit, axes
                    )  # fmt: skip
                else:
                    zero = splat_like(a, _ZERO)
                    p = choose(hit, singles_in(normal_x), zero)
                    q = choose(hit, singles_in(normal_y), zero)
                    r = choose(hit, singles_in(normal_z), zero)
                if with_angles:
                    fx, fy = as_float(x), as_float(y)
                    u, v, w = (
                        _linear(fx, fy, u_x, u_y, u_0),
                        _linear(fx, fy, v_x, v_y, v_0),
                        _linear(fx, fy, w_x, w_y, w_0),
                    )
                    angle = _angle(p, q, r, u, v, w, hit)
                    write_one(surface.view_angle, row0 + row, left, width, angle, single, SPARE, streamed)
                if with_normals:
                    write_three(surface.normal, row0 + row, left, width, p, q, r, single, SPARE, streamed)
            if with_positions:
                if exactly:
                    one, other = _met(0, exact), _met(1, exact)
                else:
                    one = _positions(0, x, y, part, name, low, high, reach)
                    other = _positions(1, x, y, part, name, low, high, reach)
                where = surface.position, row0 + row, left, width
                write_half(*where, 0, *one, exact, POSITION, streamed)
                write_half(*where, 1, *other, exact, POSITION, streamed)
    if streamed:
        end_streams()
