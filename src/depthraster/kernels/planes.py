"""The planes of one face: three edge functions and 1/Z, linear across a tile's plane, in float64.

Every way in which a face can lie has a function here that gives the same record, `PLANE` numbers: in front of the camera,
partly behind it, along parallel rays. What pixels are inside is ``tiles.py``'s. The commonest change is a new way to be
seen: a function that fills such a record, and a branch in `tiles.draw_clusters`.

Edge functions after Pineda, "A Parallel Algorithm for Polygon Rasterization" (SIGGRAPH 1988); faces that
reach behind the camera after Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates"
(1997).
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.clusters import MAX_VERTICES
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.simd import choose, most, multiply_add, negative, splat_like

__all__ = [
    "PLANE",
    "THIN",
    "THINNEST",
    "clip_parallel",
    "homogeneous_planes",
    "inverse_depth_plane",
    "inverse_depth_slopes",
    "is_seen",
    "projected_planes",
]

# A, B, D of the edges ab, bc, ca (positive on the face's side) and of 1/Z, and the bounds of 1/Z.
PLANE = 14

_V = MAX_VERTICES

_EDGE_ON = 1e-10  # of the distance of a face's farthest corner, by which the camera has to be off its plane
_NO_WIDTH = 1e-12  # of the distance of a face's farthest corner
# Squared width, in plane pixels, below which a face is seen edge-on: what is left is rounding, which knows no end along
# the face. Its neighbours' edges, widened by far more, close what it leaves.
THINNEST = 1e-20
THIN = 1e-12  # below which 1/Z is no plane that rounding leaves alone, see `inverse_depth_plane`


@inner
def projected_planes(rx, ry, xs, ys, ws, a, b, c, plane):
    """Give the planes of a face whose vertices are all in front of the camera, from their plane pixels and 1/Z.

    ``plane`` takes A, B, D of the edges ab, bc, ca (positive on the face's side) and of 1/Z, and the bounds of 1/Z.
    """
    ax, ay, aw = xs[a], ys[a], ws[a]
    bx, by, bw = xs[b], ys[b], ws[b]
    cx, cy, cw = xs[c], ys[c], ws[c]
    abx, aby, acx, acy, bcx, bcy = bx - ax, by - ay, cx - ax, cy - ay, cx - bx, cy - by
    area = abx * acy - acx * aby
    sign = 1.0 if area > 0.0 else -1.0
    # Edge from p to q: (q - p) x (point - p).
    a0, b0 = -aby * sign, abx * sign
    a1, b1 = -bcy * sign, bcx * sign
    a2, b2 = acy * sign, -acx * sign
    plane[0], plane[1], plane[2] = a0, b0, (abs(a0) * rx + abs(b0) * ry) - (a0 * ax + b0 * ay)
    plane[3], plane[4], plane[5] = a1, b1, (abs(a1) * rx + abs(b1) * ry) - (a1 * bx + b1 * by)
    plane[6], plane[7], plane[8] = a2, b2, (abs(a2) * rx + abs(b2) * ry) - (a2 * ax + b2 * ay)
    wa, wb, wc = inverse_depth_plane(abx, aby, acx, acy, area, aw, bw, cw)
    plane[9], plane[10], plane[11] = wa, wb, wc - wa * ax - wb * ay
    plane[12], plane[13] = min(aw, min(bw, cw)), max(aw, max(bw, cw))


@inlined
def inverse_depth_slopes(abx, aby, acx, acy, to_b, to_c):
    """Return the slopes of 1/Z along x and y times the area, of a face or a vector of them, by its gain towards b and c."""
    return multiply_add(to_b, acy, negative(to_c * aby)), multiply_add(to_c, abx, negative(to_b * acx))


@inlined
def inverse_depth_plane(abx, aby, acx, acy, area, aw, bw, cw):
    """Return the slopes of 1/Z along x and y, and its value at vertex a, of a face or of a vector of them."""
    bcx, bcy = acx - abx, acy - aby
    ab2, ac2 = multiply_add(abx, abx, aby * aby), multiply_add(acx, acx, acy * acy)
    longest2 = most(multiply_add(bcx, bcx, bcy * bcy), most(ac2, ab2))
    # A face narrower than 1e-6 pixel: rounding would turn its plane. 1/Z runs along its longest edge instead.
    thin = longest2 * THIN >= area * area
    by_ab, by_ac = ab2 == longest2, ac2 == longest2
    to_b, to_c = bw - aw, cw - aw
    gain = choose(by_ab, to_b, choose(by_ac, to_c, cw - bw))
    along_x = choose(by_ab, abx, choose(by_ac, acx, bcx))
    along_y = choose(by_ab, aby, choose(by_ac, acy, bcy))
    # One division, which takes longer than all the rest.
    per = splat_like(area, 1.0) / choose(thin, longest2, area)
    wa, wb = inverse_depth_slopes(abx, aby, acx, acy, to_b, to_c)
    wa, wb = per * choose(thin, gain * along_x, wa), per * choose(thin, gain * along_y, wb)
    wc = multiply_add(negative(wa), abx, multiply_add(negative(wb), aby, bw))
    return wa, wb, choose(thin, choose(by_ab | by_ac, aw, wc), aw)


@inner
def is_seen(xs, ys, a, b, c, cull):
    """Whether a face has an area in the plane, and is turned towards the camera if that is asked for."""
    abx, aby, acx, acy = xs[b] - xs[a], ys[b] - ys[a], xs[c] - xs[a], ys[c] - ys[a]
    area = abx * acy - acx * aby
    size2 = 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
    return (area * area > THINNEST * size2) & ((area < 0.0) | (not cull))


@inner
def clip_parallel(xs, ys, ws, a, b, c, clipped):
    """Cut a face seen along parallel rays to what is in front of the camera; return the number of its vertices.

    ``clipped`` takes rows of x, y and -Z, of at most four vertices in the face's order.
    """
    n = 0
    p = c
    for q in (a, b, c):
        if (ws[p] < 0.0) != (ws[q] < 0.0):
            t = ws[p] / (ws[p] - ws[q])
            clipped[0, n] = xs[p] + t * (xs[q] - xs[p])
            clipped[1, n] = ys[p] + t * (ys[q] - ys[p])
            clipped[2, n] = -0.0
            n += 1
        if ws[q] < 0.0:
            clipped[0, n], clipped[1, n], clipped[2, n] = xs[q], ys[q], ws[q]
            n += 1
        p = q
    return n


@inner
def homogeneous_planes(f, rx, ry, bounds, cull, placed, a, b, c, plane):
    """Give the planes, as `projected_planes`, of a face of which a vertex may lie anywhere; False if it is not seen.

    For vertices behind the camera or outside the lens domain, without clipping: the edge functions are the components
    of the ray in the base of the three vertices (Olano and Greer 1997, section 3), their sum is 1/Z; a ray that has
    all three positive meets the face in front of the camera.
    """
    az, bz, cz = placed[2 * _V + a], placed[2 * _V + b], placed[2 * _V + c]
    deepest = max(az, max(bz, cz))
    if not deepest > 0.0:
        return False
    ax, ay = placed[a], placed[_V + a]
    bx, by = placed[b], placed[_V + b]
    cx, cy = placed[c], placed[_V + c]
    # b x c, c x a, a x b, each from a vertex and an edge: the products of nearly parallel vertices would
    # cancel.
    ux, uy, uz = cx - bx, cy - by, cz - bz
    a0, b0, d0 = by * uz - bz * uy, bz * ux - bx * uz, bx * uy - by * ux
    ux, uy, uz = ax - cx, ay - cy, az - cz
    a1, b1, d1 = cy * uz - cz * uy, cz * ux - cx * uz, cx * uy - cy * ux
    ux, uy, uz = bx - ax, by - ay, bz - az
    a2, b2, d2 = ay * uz - az * uy, az * ux - ax * uz, ax * uy - ay * ux
    volume = ax * a0 + ay * b0 + az * d0
    # A camera in the face's own plane sees nothing of it; rounding alone must not put it before or behind. Its height over
    # the plane is volume / normal, against the distance of the farthest corner, both times f.
    nx, ny, nz = (a0 + a1 + a2) * f, (b0 + b1 + b2) * f, d0 + d1 + d2
    far = max(
        ax * ax + ay * ay + az * az * f * f,
        max(bx * bx + by * by + bz * bz * f * f, cx * cx + cy * cy + cz * cz * f * f),
    )
    normal = nx * nx + ny * ny + nz * nz
    edge_on = volume * volume * f * f <= _EDGE_ON * _EDGE_ON * far * normal
    # The same holds for a face that is no wider than rounding; its normal is.
    px, py, pz, qx, qy, qz = bx - ax, by - ay, (bz - az) * f, cx - ax, cy - ay, (cz - az) * f
    length = max(px * px + py * py + pz * pz, qx * qx + qy * qy + qz * qz)
    flat = normal <= _NO_WIDTH * _NO_WIDTH * far * length
    if edge_on or flat or not np.isfinite(volume):
        return False
    if cull and volume > 0.0:
        return False
    wa, wb, wd = (a0 + a1 + a2) / volume, (b0 + b1 + b2) / volume, (d0 + d1 + d2) / volume
    scale = max(
        max(abs(a0) + abs(b0), abs(a1) + abs(b1)), max(abs(a2) + abs(b2), abs(d0) + abs(d1) + abs(d2))
    )
    scale = (1.0 if volume > 0.0 else -1.0) / scale
    a0, b0, d0, a1, b1, d1, a2, b2, d2 = (
        a0 * scale, b0 * scale, d0 * scale, a1 * scale, b1 * scale, d1 * scale, a2 * scale, b2 * scale, d2 * scale
    )  # fmt: skip
    d0 += abs(a0) * rx + abs(b0) * ry
    d1 += abs(a1) * rx + abs(b1) * ry
    d2 += abs(a2) * rx + abs(b2) * ry
    if (
        (max(a0 * bounds[0], a0 * bounds[1]) + max(b0 * bounds[2], b0 * bounds[3]) + d0 < 0.0)
        | (max(a1 * bounds[0], a1 * bounds[1]) + max(b1 * bounds[2], b1 * bounds[3]) + d1 < 0.0)
        | (max(a2 * bounds[0], a2 * bounds[1]) + max(b2 * bounds[2], b2 * bounds[3]) + d2 < 0.0)
    ):
        return False
    plane[0], plane[1], plane[2], plane[3], plane[4], plane[5] = a0, b0, d0, a1, b1, d1
    plane[6], plane[7], plane[8], plane[9], plane[10], plane[11] = a2, b2, d2, wa, wb, wd
    plane[12], plane[13] = 1.0 / deepest, np.inf
    if min(az, min(bz, cz)) > 0.0:
        plane[13] = max(1.0 / az, max(1.0 / bz, 1.0 / cz))
    return True
