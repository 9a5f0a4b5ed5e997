"""What drawing into a depth buffer takes: planes close around the mesh, and from the buffer's values to Z."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from peers import Mesh

_BAND = 64  # rows made linear at a time, few enough for a cache


def near_and_far(mesh: Mesh, transform: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return distances of planes around the mesh, along the camera's axis: the closer, the finer a depth buffer."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    axis = transform[:3, 2]
    middle, half = axis @ (0.5 * (low + high) - transform[:3, 3]), 0.5 * np.abs(axis) @ (high - low)
    far = 1.001 * (middle + half)
    return max(0.999 * (middle - half), 1e-3 * far), far


def linearize(depth: npt.NDArray[np.float32], near: float, far: float, pool: ThreadPoolExecutor) -> None:
    """Turn a depth buffer's values, 0 at the near plane and 1 at the far one, into Z, in place."""

    def band(start: int) -> None:
        part = depth[start : start + _BAND]
        np.multiply(part, np.float32(near - far), out=part)
        np.add(part, np.float32(far), out=part)
        np.divide(np.float32(near * far), part, out=part)

    list(pool.map(band, range(0, len(depth), _BAND)))
