"""What an image's rays take up: how far they reach, and how far apart those of neighbouring pixels are, bounded.

What is decided by it is ``edges.py``'s, ``visibility.py``'s and ``orthophoto.py``'s. The commonest change is the size of a
cell.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.kernels.rays import ray_grid

__all__ = ["CELL", "plane_bounds", "ray_steps"]

CELL = 64  # pixels that share a bound
_ROOM = 0.9, 1.1  # between the places looked at a lens changes little, and by no more than this
_ALONG = 24  # places to look at along the longer side of an image, at least

Array = npt.NDArray[np.float64]


@lru_cache(maxsize=8)
def ray_steps(calibration: Calibration) -> tuple[Array, Array]:
    """Return the least and the greatest distance of neighbouring pixels' rays per cell of an image, (rows, cols) each.

    The chord of the angle between them, 0 and inf where the lens does not image all of the cell; of parallel rays the
    distance. Those of the last calibrations are remembered.
    """
    rows, cols = -(-calibration.height // CELL), -(-calibration.width // CELL)
    if calibration.type == "orthographic":
        return np.full((rows, cols), _ROOM[0] / calibration.f), np.full(
            (rows, cols), _ROOM[1] / calibration.f
        )
    longer = max(calibration.width, calibration.height)
    side = min(CELL, longer)  # of a cell, pixels: of an only one no more than the image
    parts = -(-_ALONG * side // longer)
    # Not beyond the image: a panorama may end there.
    u = np.minimum(np.arange(cols * parts + 1) * (side / parts), calibration.width - 1.0)
    v = np.minimum(np.arange(rows * parts + 1) * (side / parts), calibration.height - 1.0)
    nodes = np.stack(np.meshgrid(u, v), axis=-1)
    rays = calibration.unproject(np.stack([nodes, nodes + [1.0, 0.0], nodes + [0.0, 1.0]]))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    steps = np.linalg.norm(rays[1:] - rays[0], axis=-1)
    low, high = np.nan_to_num(steps.min(axis=0), nan=0.0), np.nan_to_num(steps.max(axis=0), nan=np.inf)
    # A cell has all places from its first corner to its last.
    ends = rows * parts + 1 - parts, cols * parts + 1 - parts
    shifts = [
        (slice(i, ends[0] + i, parts), slice(j, ends[1] + j, parts))
        for i in range(parts + 1)
        for j in range(parts + 1)
    ]
    least = np.asarray(_ROOM[0] * np.minimum.reduce([low[at] for at in shifts]))
    most = np.asarray(_ROOM[1] * np.maximum.reduce([high[at] for at in shifts]))
    least.flags.writeable = most.flags.writeable = False
    return least, most


@lru_cache(maxsize=8)
def plane_bounds(calibration: Calibration) -> Array:
    """Return x0, x1, y0, y1 of X/Z and Y/Z that enclose what the image of a frame lens sees; infinite for others.

    Those of the last calibrations are remembered.
    """
    bounds = _plane_bounds(calibration)
    bounds.flags.writeable = False
    return bounds


def _plane_bounds(calibration: Calibration) -> Array:
    if calibration.type != "frame":
        return np.full(4, np.inf)
    grid = ray_grid(calibration.lens_params(), calibration.width, calibration.height)
    nodes = grid.nodes / calibration.f  # they reach beyond the image by one on each side
    if not np.isfinite(nodes).all():
        return np.array([-1.0, 1.0, -1.0, 1.0]) * calibration.valid_radius
    low, high = nodes.min(axis=(0, 1)), nodes.max(axis=(0, 1))
    return np.array([low[0], high[0], low[1], high[1]])
