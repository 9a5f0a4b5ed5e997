"""Polygons to triangles, in the order of the polygons, with their winding.

Mesh files hold polygons of any number of corners, convex or not. Most are triangles and quads and are cut in whole
arrays; only those that no fan from one corner can cut are taken one by one. Which faces a file has is its reader's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["triangulate"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Cutting ears takes time with the square of the corners: a second for this many.
_MAX_CONCAVE = 5000


def triangulate(corners: npt.NDArray[np.integer], sizes: Ints, vertices: Floats) -> Ints:
    """Cut polygons into triangles.

    A polygon of n corners becomes n - 2 triangles, which stand where the polygon stood. Convex polygons become fans from
    their first corner; concave ones are cut inside their outline, as seen along their mean normal. A polygon that
    crosses itself or has corners that are not finite is cut somehow.

    Parameters
    ----------
    corners : (N,) array of int
        Vertex indices of all polygons, one after the other; all must exist.
    sizes : (P,) int64 array
        Number of corners of each polygon, 3 or more, together N.
    vertices : (V, 3) float64 array
        Coordinates.

    Returns
    -------
    (N - 2 P, 3) int64 array
        Vertex indices of the triangles.

    Raises
    ------
    ValueError
        A concave polygon has more than 5000 corners.
    """
    first = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    target = first - 2 * np.arange(len(sizes))
    faces = np.empty((int(sizes.sum()) - 2 * len(sizes), 3), np.int64)
    for size in np.flatnonzero(
        np.bincount(sizes)
    ):  # numpy.unique would import what takes longer than a small mesh
        chosen = np.flatnonzero(sizes == size)
        polygons = corners[first[chosen][:, None] + np.arange(size)].astype(np.int64)
        faces[target[chosen][:, None] + np.arange(size - 2)] = _same_size(polygons, vertices)
    return faces


def _same_size(polygons: Ints, vertices: Floats) -> Ints:
    """Return the triangles (m, n - 2, 3) of m polygons (m, n)."""
    n = polygons.shape[1]
    faces = _fans(polygons)
    if n == 3:
        return faces
    turned = np.flatnonzero(_turned(faces, vertices))
    # A fan from another corner cuts every quad and pentagon that does not cross itself, and most others.
    for start in range(1, min(n, 8)):
        if not len(turned):
            return faces
        fans = _fans(np.roll(polygons[turned], -start, axis=1))
        good = ~_turned(fans, vertices)
        faces[turned[good]] = fans[good]
        turned = turned[~good]
    if n > _MAX_CONCAVE and len(turned):
        raise ValueError(f"a face has {n} corners and is concave; at most {_MAX_CONCAVE} are possible")
    for k in turned if n > 5 else ():
        faces[k] = _cut_ears(polygons[k], vertices)
    return faces


def _fans(polygons: Ints) -> Ints:
    n = polygons.shape[1]
    apex = np.repeat(polygons[:, :1], n - 2, axis=1)
    return np.stack([apex, polygons[:, 1:-1], polygons[:, 2:]], axis=-1)


def _turned(faces: Ints, vertices: Floats) -> npt.NDArray[np.bool_]:
    """Tell which polygons have a triangle that faces away from their mean normal: it lies outside the outline."""
    with np.errstate(invalid="ignore", over="ignore"):
        origin = vertices[faces[:, 0, 0]][:, None, :]
        a, b, c = (vertices[faces[:, :, k]] - origin for k in range(3))
        normals = np.cross(b - a, c - a)
        mean = normals.sum(axis=1, keepdims=True)
        outside: npt.NDArray[np.bool_] = ((normals * mean).sum(axis=-1) < 0).any(axis=1)  # NaN: not turned
        return outside


def _cut_ears(polygon: Ints, vertices: Floats) -> Ints:
    """Return the triangles (n - 2, 3) of one polygon by cutting off ears (Meisters 1975), in the plane of its normal."""
    points = vertices[polygon] - vertices[polygon[0]]
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)  # Newell: twice the vector area
    axis = int(np.argmax(np.abs(normal)))
    plane = points[:, [(axis + 1) % 3, (axis + 2) % 3]]  # the other two axes keep the sense of turning ...
    if normal[axis] < 0:
        plane = plane[:, ::-1]  # ... seen from the front
    left = list(range(len(polygon)))
    faces = []
    k = misses = 0
    while len(left) > 3 and misses < len(left):
        k %= len(left)
        before, here, after = left[k - 1], left[k], left[(k + 1) % len(left)]
        if _is_ear(plane, left, before, here, after):
            faces.append((before, here, after))
            del left[k]
            misses = 0
        else:
            misses += 1
            k += 1  # after a cut, the next corner stands at k: every other one is cut, and triangles stay fat
    # Three corners are left, or an outline that crosses itself: those have no ears in the end.
    faces.extend((left[0], left[i], left[i + 1]) for i in range(1, len(left) - 1))
    triangles: Ints = polygon[np.array(faces)]
    return triangles


def _is_ear(plane: Floats, left: list[int], before: int, here: int, after: int) -> bool:
    a, b, c = plane[before], plane[here], plane[after]
    if not _side(a, b, c) > 0:
        return False
    others = plane[left]
    inside = (_side(a, b, others) >= 0) & (_side(b, c, others) >= 0) & (_side(c, a, others) >= 0)
    # Corners at the same place as the ear's (a hole joined by a double edge) do not count.
    same = (others == a).all(axis=1) | (others == b).all(axis=1) | (others == c).all(axis=1)
    return not (inside & ~same).any()


def _side(a: Floats, b: Floats, p: Floats) -> npt.NDArray[np.float64]:
    """Return twice the area of triangle a b p: positive where p is left of a → b; p may be many points."""
    return np.asarray((b[0] - a[0]) * (p[..., 1] - a[1]) - (b[1] - a[1]) * (p[..., 0] - a[0]))
