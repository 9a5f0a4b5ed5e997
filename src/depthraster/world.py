"""What may be taken between a chunk and the world, points or a mesh in any form, as plain coordinates and back.

Where it is taken is ``chunk.py``'s and ``crs.py``'s. The commonest change is another form of a mesh: in `taken_apart`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from depthraster.io.meshes import Mesh

__all__ = ["checked_offset", "put_together", "taken_apart"]

Array = npt.NDArray[np.float64]


def taken_apart(points: Any) -> tuple[Array, Any, tuple[int, ...]]:
    """Return coordinates as (n, 3) float64, the faces of a mesh or None, and the shape that the coordinates had."""
    faces = None
    if isinstance(points, (str, os.PathLike)):
        from depthraster.io.meshes import load_mesh

        points = load_mesh(points)
    if hasattr(points, "vertices") and hasattr(points, "faces"):
        points, faces = points.vertices, points.faces
    elif isinstance(points, (tuple, list)) and len(points) == 2 and np.ndim(points[0]) == 2:
        points, faces = points
    vertices = np.asarray(points, dtype=np.float64)
    if vertices.ndim == 0 or vertices.shape[-1] != 3:
        raise ValueError(f"points have the shape {vertices.shape}; (..., 3) is needed: pass x, y, z")
    return vertices.reshape(-1, 3), faces, vertices.shape


def put_together(vertices: Array, faces: Any, shape: tuple[int, ...]) -> Array | Mesh:
    """Return coordinates in the shape that they had, or the mesh that they are the vertices of."""
    if faces is None:
        return vertices.reshape(shape)
    from depthraster.io.meshes import Mesh

    return Mesh(vertices, np.asarray(faces))


def checked_offset(offset: npt.ArrayLike) -> Array:
    """Return an offset as (3,) float64, or raise ValueError."""
    array = np.asarray(offset, dtype=np.float64)
    if array.shape != (3,) or not np.isfinite(array).all():
        raise ValueError(f"offset is {offset!r}; three finite numbers are needed: pass x, y, z")
    return array
