"""The frame lens, one point at a time: plane to pixel, pixel to plane, and bounds on both.

A lens is a vector of 16 float64: ``f, u0 = width/2 + cx, v0 = height/2 + cy, b1, b2, k1..k4, p1..p4``, the
squared valid radius, and two unused. Plane coordinates are x = X/Z, y = Y/Z in the camera's frame (X right, Y
down, Z forward); pixels have their origin at the image's outer top-left corner. Arrays of points are
``calibration.py``'s, grids of rays ``rays.py``'s.

The formula is that of Metashape's manual, appendix "Camera models", frame cameras; p3 and p4 as in its
versions 1.2 to 1.5. The commonest change is a new lens: three functions like those of ``frame`` and the same
bounds.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inlined, inner, kernel
from depthraster.kernels.simd import multiply_add

__all__ = [
    "project_frame",
    "project_frame_jacobian",
    "project_points",
    "rounding_bound",
    "second_derivative_bound",
    "unproject_frame",
    "unproject_pixels",
]

_NEWTON_STEPS = 30
_RESIDUAL = 1e-9  # pixels; what `unproject_frame` promises


@inlined
def _distortion(x, y, lens):
    """Return the squared radius of a plane point, what it is multiplied by, what is added to it, and how much of that."""
    r2, xy = multiply_add(x, x, y * y), 2.0 * x * y
    radial = multiply_add(
        r2, multiply_add(r2, multiply_add(r2, multiply_add(r2, lens[8], lens[7]), lens[6]), lens[5]), 1.0
    )
    p1, p2 = lens[9], lens[10]
    tx = multiply_add(p1, multiply_add(2.0 * x, x, r2), p2 * xy)
    ty = multiply_add(p2, multiply_add(2.0 * y, y, r2), p1 * xy)
    return r2, radial, tx, ty, multiply_add(r2, multiply_add(r2, lens[12], lens[11]), 1.0)


@inlined
def _pixel(x, y, radial, tx, ty, fade, lens):
    """Return the pixel of a plane point, given its `_distortion`."""
    xd, yd = multiply_add(x, radial, tx * fade), multiply_add(y, radial, ty * fade)
    return multiply_add(xd, lens[0] + lens[3], multiply_add(yd, lens[4], lens[1])), multiply_add(
        yd, lens[0], lens[2]
    )


@inner
def project_frame(x, y, lens):
    """Return the pixel (u, v) of the plane point (x, y), inside the valid domain or not."""
    _, radial, tx, ty, fade = _distortion(x, y, lens)
    return _pixel(x, y, radial, tx, ty, fade, lens)


@inner
def project_frame_jacobian(x, y, lens):
    """Return u, v, du/dx, du/dy, dv/dx, dv/dy at the plane point (x, y); u and v to the bit those of `project_frame`."""
    r2, radial, tx, ty, fade = _distortion(x, y, lens)
    u, v = _pixel(x, y, radial, tx, ty, fade, lens)
    k1, k2, k3, k4 = lens[5], lens[6], lens[7], lens[8]
    p1, p2, p3, p4 = lens[9], lens[10], lens[11], lens[12]
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + r2 * (3.0 * k3 + r2 * 4.0 * k4)))  # d radial / dx = slope x
    fade_slope = 2.0 * (p3 + r2 * 2.0 * p4)
    xx = radial + x * x * slope + (6.0 * p1 * x + 2.0 * p2 * y) * fade + tx * fade_slope * x
    xy = x * y * slope + (2.0 * p1 * y + 2.0 * p2 * x) * fade + tx * fade_slope * y
    yx = x * y * slope + (2.0 * p2 * x + 2.0 * p1 * y) * fade + ty * fade_slope * x
    yy = radial + y * y * slope + (6.0 * p2 * y + 2.0 * p1 * x) * fade + ty * fade_slope * y
    fx, f, skew = lens[0] + lens[3], lens[0], lens[4]
    return u, v, xx * fx + yx * skew, xy * fx + yy * skew, yx * f, yy * f


@inner
def _undistorted_radius(distorted, lens):
    """Return the radius in the valid domain whose radial distortion gives ``distorted``, or the domain's end.

    The distorted radius grows there, so a bracketed Newton iteration always finds it.
    """
    low = 0.0
    high = np.sqrt(lens[13])
    if not np.isfinite(high):
        high = max(distorted, 1e-3)
        for _ in range(200):
            r2 = high * high
            if high * (1.0 + r2 * (lens[5] + r2 * (lens[6] + r2 * (lens[7] + r2 * lens[8])))) >= distorted:
                break
            high *= 2.0
    r = min(distorted, high)
    step = high - low
    for _ in range(120):
        r2 = r * r
        value = r * (1.0 + r2 * (lens[5] + r2 * (lens[6] + r2 * (lens[7] + r2 * lens[8])))) - distorted
        slope = 1.0 + r2 * (3.0 * lens[5] + r2 * (5.0 * lens[6] + r2 * (7.0 * lens[7] + r2 * 9.0 * lens[8])))
        if value > 0.0:
            high = r
        else:
            low = r
        following = r - value / slope if slope > 0.0 else 0.5 * (low + high)
        # Newton's steps may go round in a circle inside the bracket: where one is no shorter than half the last, halve it.
        if not (following >= low and following <= high and abs(following - r) <= 0.5 * step):
            following = 0.5 * (low + high)
        step = abs(following - r)
        if abs(following - r) <= 1e-14 * r:
            return following
        r = following
    return r


@inlined
def _most_tangential(lens, r2):
    """Bound the tangential distortion at a squared radius: by 3 P r^2 D, P = |p1| + |p2|."""
    return 3.0 * (abs(lens[9]) + abs(lens[10])) * r2 * (1.0 + r2 * (abs(lens[11]) + r2 * abs(lens[12])))


@inner
def _reach(lens):
    """Return a distorted radius beyond which nothing of the valid domain is imaged; the greatest float if there is none.

    At the domain's end the radial distortion is greatest.
    """
    r2 = lens[13]
    if not np.isfinite(r2):
        return 1.7976931348623157e308
    radial = 1.0 + r2 * (lens[5] + r2 * (lens[6] + r2 * (lens[7] + r2 * lens[8])))
    return 1.000001 * (np.sqrt(r2) * abs(radial) + _most_tangential(lens, r2))


@inner
def unproject_frame(u, v, lens):
    """Return the plane point (x, y) that the lens images at the pixel (u, v); (NaN, NaN) where there is none.

    Newton's iteration, begun at the solution without tangential distortion and kept inside the valid domain;
    a result counts only if it projects back to within 1e-9 pixel (or the rounding of u and v, where that is
    more).
    """
    yd = (v - lens[2]) / lens[0]
    xd = (u - lens[1] - yd * lens[4]) / (lens[0] + lens[3])
    distorted = np.sqrt(xd * xd + yd * yd)
    if not distorted <= _reach(lens):
        return np.nan, np.nan
    ratio = _undistorted_radius(distorted, lens) / distorted if distorted > 0.0 else 1.0
    x, y = xd * ratio, yd * ratio
    allowed = max(_RESIDUAL, 4e-16 * (abs(u) + abs(v) + abs(lens[1]) + abs(lens[2])))
    best = np.inf
    best_x, best_y = np.nan, np.nan
    for _ in range(_NEWTON_STEPS):
        found_u, found_v, ux, uy, vx, vy = project_frame_jacobian(x, y, lens)
        du, dv = found_u - u, found_v - v
        residual = max(abs(du), abs(dv))
        determinant = ux * vy - uy * vx
        # A negative determinant is the far side of a fold, whatever the residual.
        if residual < best and x * x + y * y <= lens[13] and determinant > 0.0:
            best, best_x, best_y = residual, x, y
        elif residual >= best and best <= allowed:
            break  # rounding is all that is left
        if residual == 0.0 or determinant == 0.0:
            break
        step_x = (vy * du - uy * dv) / determinant
        step_y = (ux * dv - vx * du) / determinant
        # Never out of the domain, where the polynomial leads anywhere.
        share = 1.0
        for _ in range(20):
            next_x, next_y = x - share * step_x, y - share * step_y
            if next_x * next_x + next_y * next_y <= lens[13]:
                break
            share *= 0.5
        x, y = next_x, next_y
    if best <= allowed:
        return best_x, best_y
    return np.nan, np.nan


@kernel
def second_derivative_bound(lens, radius):
    """Bound the second derivatives of u and v along any direction, within ``radius`` of the axis (pixels per unit squared).

    The vector field (x, y) r^2i has second derivatives of at most 2i (2i + 1) r^(2i - 1); the tangential
    terms, with P = |p1| + |p2|, are at most 3 P r^2, their slopes 6 P r and their second derivatives 6 P.
    """
    bound = 0.0
    r2 = radius * radius
    power = radius
    for i in range(4):
        if lens[5 + i] != 0.0:
            bound += abs(lens[5 + i]) * (2.0 * i + 2.0) * (2.0 * i + 3.0) * power
        power *= r2
    tangential = abs(lens[9]) + abs(lens[10])
    if tangential != 0.0:
        fade = 1.0
        if lens[11] != 0.0:
            fade += 6.0 * abs(lens[11]) * r2
        if lens[12] != 0.0:
            fade += 15.0 * abs(lens[12]) * r2 * r2
        bound += 6.0 * tangential * fade
    return bound * max(abs(lens[0] + lens[3]) + abs(lens[4]), lens[0])


@inner
def rounding_bound(lens, radius, pixels):
    """Bound what float32 rounds u and v by, within ``radius`` of the axis, counted from a pixel no farther than ``pixels``.

    A sum of products is off by the number of roundings on the way of any term, times their unit 2**-24, times the sum of
    the terms' sizes (N. Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1). x is rounded three times,
    r^2 eight, so r^8 x 35 times, and it is added and scaled by fewer than 29 more.
    """
    r2 = radius * radius
    radial = 1.0 + r2 * (abs(lens[5]) + r2 * (abs(lens[6]) + r2 * (abs(lens[7]) + r2 * abs(lens[8]))))
    size = radius * radial + _most_tangential(lens, r2)
    size *= max(abs(lens[0] + lens[3]) + abs(lens[4]), lens[0])
    return 2.0**-24 * (64.0 * size + 4.0 * (abs(lens[1]) + abs(lens[2]) + pixels))


@kernel
def project_points(points, lens, pixels):
    """Project points (n, 3) to pixels (n, 2), NaN where not imaged."""
    for i in range(points.shape[0]):
        pixels[i, 0], pixels[i, 1] = np.nan, np.nan
        if points[i, 2] > 0.0:
            x, y = points[i, 0] / points[i, 2], points[i, 1] / points[i, 2]
            if x * x + y * y <= lens[13]:
                pixels[i, 0], pixels[i, 1] = project_frame(x, y, lens)


@kernel
def unproject_pixels(pixels, lens, directions):
    """Unproject pixels (n, 2) to directions (n, 3) with Z = 1, NaN where not imaged."""
    for i in range(pixels.shape[0]):
        x, y = unproject_frame(pixels[i, 0], pixels[i, 1], lens)
        directions[i, 0], directions[i, 1] = x, y
        directions[i, 2] = 1.0 if np.isfinite(x) else np.nan
