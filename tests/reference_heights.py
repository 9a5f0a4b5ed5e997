"""The slow twin of height fields: float64, each cell's centre against each face, no cleverness.

A face is over a centre if the centre is on it or on its edges, seen along the grid's height axis; of all that are, the
highest counts. Faces that stand on edge have no area there and count for nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Heights(NamedTuple):
    height: np.ndarray  # (H, W) of the highest face over a centre, NaN for none
    sure: np.ndarray  # (H, W) no face's edge is nearer than `near` cells
    slope: np.ndarray  # (H, W) of that face, height per length
    least: (
        np.ndarray
    )  # (H, W) of faces that are over the centre or nearer to it than `near` cells; NaN for none
    most: np.ndarray


def heights(vertices, faces, x, y, cell: float, axes=None, near: float = 1e-3) -> Heights:
    """Heights at x (W,) and y (H,), in the axes of the grid (3, 3), the columns x, y and height."""
    points = np.asarray(vertices, float) if axes is None else np.asarray(vertices, float) @ axes
    shape = len(y), len(x)
    px, py = (p.ravel() for p in np.meshgrid(x, y))
    height, slope = np.full(px.shape, -np.inf), np.zeros(px.shape)
    sure = np.ones(px.shape, bool)
    least, most = np.full(px.shape, np.inf), np.full(px.shape, -np.inf)
    for a, b, c in points[np.asarray(faces)]:
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        room = 2 * near * cell
        close = np.flatnonzero(
            (px >= low[0] - room) & (px <= high[0] + room) & (py >= low[1] - room) & (py <= high[1] + room)
        )
        qx, qy = px[close], py[close]
        distance = np.min([_to_segment(qx, qy, *ends) for ends in ((a, b), (b, c), (c, a))], axis=0)
        sure[close[distance < near * cell]] = False
        # Relative to a vertex, or the products would round at the size of the coordinates.
        ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
        area = ux * vy - uy * vx
        touched = distance < near * cell
        if area != 0.0:
            beta = ((qx - a[0]) * vy - (qy - a[1]) * vx) / area
            gamma = (ux * (qy - a[1]) - uy * (qx - a[0])) / area
            inside = (beta >= 0.0) & (gamma >= 0.0) & (beta + gamma <= 1.0)
            z = a[2] + beta * (b[2] - a[2]) + gamma * (c[2] - a[2])
            normal = np.cross(b - a, c - a)
            better = inside & (z > height[close])
            height[close[better]] = z[better]
            slope[close[better]] = np.hypot(normal[0], normal[1]) / abs(normal[2])
            here = close[inside]
            least[here], most[here] = np.minimum(least[here], z[inside]), np.maximum(most[here], z[inside])
        # What is touched by an edge may have any height of the face.
        here = close[touched]
        least[here], most[here] = np.minimum(least[here], low[2]), np.maximum(most[here], high[2])
    nothing = np.isinf(height)
    height[nothing] = np.nan
    return Heights(*(array.reshape(shape) for array in (height, sure, slope, least, most)))


def _to_segment(x, y, start, end):
    """The distance of points from a segment, in the plane."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    square = dx * dx + dy * dy
    px, py = x - start[0], y - start[1]
    t = np.clip((px * dx + py * dy) / square, 0.0, 1.0) if square > 0.0 else 0.0
    return np.hypot(px - t * dx, py - t * dy)


def assert_same(field, vertices, faces, axes=None) -> Heights:
    """Assert that a height field is the twin's: the same cells, heights within 1e-6 of the mesh's extent."""
    (a, _, c, _, e, f), (rows, cols) = field.affine, field.heights.shape
    x, y = c + a * (np.arange(cols) + 0.5), f + e * (np.arange(rows) + 0.5)
    twin = heights(vertices, faces, x, y, a, axes)
    extent = float(np.ptp(np.asarray(vertices)[np.asarray(faces).ravel()], axis=0).max())
    got = field.heights
    wrong = twin.sure & (np.isnan(got) != np.isnan(twin.height))
    assert not wrong.any(), f"{wrong.sum()} cells differ in coverage, e.g. {np.argwhere(wrong)[0]}"
    both = twin.sure & ~np.isnan(got) & (twin.slope < 115.0)  # 89.5 degrees
    room = 1e-6 * extent + 1e-5 * a * twin.slope
    off = np.abs(got - twin.height)
    assert (off <= room)[both].all(), f"heights differ by up to {np.max((off / room)[both])} of what they may"
    # Next to edges: whichever face it is, it is one of those that are there.
    edge = ~twin.sure & ~np.isnan(got)
    assert (got >= twin.least - 1e-6 * extent)[edge].all() and (got <= twin.most + 1e-6 * extent)[edge].all()
    return twin
