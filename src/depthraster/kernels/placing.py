"""The vertices of a cluster, transformed and projected for one tile.

What becomes of the faces between them is for ``staging.py`` to say, which lenses there are for ``lens.py`` and
``inverse.py``. The commonest change is another number that all faces need of a vertex: a row of `place_vertices`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.clusters import LANES, MAX_VERTICES
from depthraster.kernels.inverse import pixels_of
from depthraster.kernels.jit import inner
from depthraster.kernels.lens import project_frame
from depthraster.kernels.simd import multiply_add

__all__ = ["place_vertices", "turn_out"]

_V = MAX_VERTICES


@inner
def place_vertices(
    offsets, first, n, view, step, cx, cy, cz, lens, guard, nearest, inverse, parallel, placed
):  # fmt: skip
    """Transform and project the n vertices of a cluster.

    ``offsets[first:]`` holds x[n] y[n] z[n] in steps from the cluster's centre (cx, cy, cz). ``placed``
    takes, in rows of ``MAX_VERTICES``: f X, f Y, Z, then x, y (plane pixels), 1/Z, then u, v (pixels), NaN in u where the
    vertex is not more than ``nearest`` before the camera or farther from the axis than ``guard`` (squared, plane pixels),
    where u and v mean nothing. Without a lens u and v are those of ``inverse`` and u is infinite where that does not
    reach; with ``parallel`` rays x, y and 1/Z are f X, f Y and -Z.
    """
    a0, a1, a2 = view[0, 0] * step, view[0, 1] * step, view[0, 2] * step
    d0, d1, d2 = view[1, 0] * step, view[1, 1] * step, view[1, 2] * step
    z0, z1, z2 = view[2, 0] * step, view[2, 1] * step, view[2, 2] * step
    a3 = view[0, 0] * cx + view[0, 1] * cy + view[0, 2] * cz + view[0, 3]
    d3 = view[1, 0] * cx + view[1, 1] * cy + view[1, 2] * cz + view[1, 3]
    z3 = view[2, 0] * cx + view[2, 1] * cy + view[2, 2] * cz + view[2, 3]
    # Whole vectors only: what is read past the last vertex is memory of ours, what it gives is not used.
    if n < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    offsets = offsets[first : first + 3 * n + LANES]
    whole = ((n + LANES - 1) // LANES) * LANES
    for i in range(whole):
        p = np.float64(offsets[i])
        q = np.float64(offsets[n + i])
        r = np.float64(offsets[2 * n + i])
        fx = multiply_add(a0, p, multiply_add(a1, q, multiply_add(a2, r, a3)))
        fy = multiply_add(d0, p, multiply_add(d1, q, multiply_add(d2, r, d3)))
        z = multiply_add(z0, p, multiply_add(z1, q, multiply_add(z2, r, z3)))
        w = 1.0 / z
        placed[i] = fx
        placed[_V + i] = fy
        placed[2 * _V + i] = z
        placed[3 * _V + i] = fx * w
        placed[4 * _V + i] = fy * w
        placed[5 * _V + i] = w
    if inverse is not None:
        if parallel:
            for i in range(whole):
                placed[3 * _V + i], placed[4 * _V + i] = placed[i], placed[_V + i]
                placed[5 * _V + i] = -placed[2 * _V + i]
        us, vs = placed[6 * _V : 7 * _V], placed[7 * _V : 8 * _V]
        x0, x1, y0, y1 = inverse.frame[0], inverse.frame[1], inverse.frame[2], inverse.frame[3]
        pixels_of(inverse, whole, placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], us, vs)
        for i in range(whole):
            x, y, z = placed[3 * _V + i], placed[4 * _V + i], placed[2 * _V + i]
            within = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            near = (z > nearest) & (parallel | (x * x + y * y <= guard))
            u = us[i] if within else np.inf
            us[i] = u if near else np.nan
    if lens is not None:
        inverse_f = 1.0 / lens[0]
        for i in range(whole):
            x = placed[3 * _V + i]
            y = placed[4 * _V + i]
            u, v = project_frame(x * inverse_f, y * inverse_f, lens)
            near = (placed[2 * _V + i] > nearest) & (x * x + y * y <= guard)
            placed[6 * _V + i] = u if near else np.nan
            placed[7 * _V + i] = v


@inner
def turn_out(n, tile, placed, sides):
    """Write the sides of the boxes of pixels around n vertices; False if any vertex has no place in the image.

    ``sides`` takes the last column and row and the negatives of the first ones of each, beside one another: the greatest of
    each over a face's vertices are the sides of its own box.
    """
    is_whole = True
    u0, v0, pad, u_last, v_last = tile.u0, tile.v0, tile.small_pad, tile.u_last, tile.v_last
    for i in range(((n + LANES - 1) // LANES) * LANES):
        u, v = placed[6 * _V + i] - u0, placed[7 * _V + i] - v0
        is_whole &= (i >= n) | (abs(u) < np.inf)
        sides[4 * i] = np.int32(np.floor(min(max(u + pad, -1.0), u_last)))
        sides[4 * i + 1] = np.int32(np.floor(min(max(v + pad, -1.0), v_last)))
        sides[4 * i + 2] = np.int32(np.floor(min(max(pad - u, -1.0 - u_last), 0.0)))
        sides[4 * i + 3] = np.int32(np.floor(min(max(pad - v, -1.0 - v_last), 0.0)))
    return is_whole
