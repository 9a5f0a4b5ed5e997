"""What an image's rays take up: how far they reach, and how far apart those of neighbouring pixels are, bounded.

What is decided by it is ``edges.py``'s, ``visibility.py``'s and ``orthophoto.py``'s. The commonest change is the size of a
cell.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from depthraster.calibration import Calibration
from depthraster.kernels.rays import ray_grid

__all__ = ["CELL", "plane_bounds", "ray_steps"]

CELL = 64  # pixels that share a bound
# Between two places that are looked at a smooth step is off from those there by an eighth of a second difference. Second
# differences change as well: eight times as much is taken for possible, of the step no less than the first of these parts.
# The others are for images of less than four places a side, and for places beside what the lens does not image.
_LEAST_ROOM, _FEW_ROOM, _RIM_ROOM = 0.005, 0.1, 0.5
_BACKWARDS = -0.9  # Z of directions near the one straight back, towards which a fisheye's steps become none
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
        step = np.full((rows, cols), 1.0 / calibration.f)
        return step * (1.0 - _LEAST_ROOM), step * (1.0 + _LEAST_ROOM)
    longer = max(calibration.width, calibration.height)
    side = min(CELL, longer)  # of a cell, pixels: of an only one no more than the image
    parts = -(-_ALONG * side // longer)
    u, v = (
        np.minimum(np.arange(n * parts + 1) * (side / parts), length)
        for n, length in ((cols, calibration.width), (rows, calibration.height))
    )
    steps, backwards = _steps(calibration, u, v)
    room = _room(steps, backwards, parts / side if max(rows, cols) > 1 else 0.0)
    low = np.nan_to_num((steps * np.maximum(1.0 - room, 0.0)).min(axis=0), nan=0.0)
    high = np.nan_to_num((steps * (1.0 + room)).max(axis=0), nan=np.inf)
    # A cell has all places from its first corner to its last.
    ends = rows * parts + 1 - parts, cols * parts + 1 - parts
    shifts = [
        (slice(i, ends[0] + i, parts), slice(j, ends[1] + j, parts))
        for i in range(parts + 1)
        for j in range(parts + 1)
    ]
    least = np.asarray(np.minimum.reduce([low[at] for at in shifts]))
    most = np.asarray(np.maximum.reduce([high[at] for at in shifts]))
    least.flags.writeable = most.flags.writeable = False
    return least, most


def _steps(calibration: Calibration, u: Array, v: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return how far apart rays are at the places (v, u), across and down (2, rows, cols), and which look backwards.

    From a place to the one a pixel farther, or back where the lens images nothing there, as at a panorama's end.
    """
    nodes = np.stack(np.meshgrid(u, v), axis=-1)
    ways = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    rays = calibration.unproject(nodes + ways[:, None, None])
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    steps = np.linalg.norm(rays[1:] - rays[0], axis=-1)
    return np.where(np.isfinite(steps[:2]), steps[:2], steps[2:]), rays[0, ..., 2] < _BACKWARDS


def _room(steps: Array, backwards: npt.NDArray[np.bool_], per_pixel: float) -> Array:
    """Return the part of steps (2, rows, cols) that those around the places may be less, or more, by.

    That is up to the next places, and a pixel farther, since a cell's first pixel has a neighbour in the one before;
    ``per_pixel`` is the part of the way to the next place that a pixel is.
    """
    room = np.zeros(steps.shape)
    for axis in (1, 2):
        if steps.shape[axis] < 4:  # the last place may be nearer to the one before
            return np.full(steps.shape, _FEW_ROOM)
        # A place between two has the second differences at both, and at the ends those next to them.
        room += _most_around(np.abs(np.diff(steps, 2, axis=axis)), 2, axis)
        room += _most_around(np.abs(np.diff(steps, axis=axis)), 1, axis) * per_pixel
    with np.errstate(invalid="ignore", divide="ignore"):
        room = np.where(np.isfinite(room), room / steps, np.where(backwards, 1.0, _RIM_ROOM))
    return np.maximum(room, _LEAST_ROOM)


def _most_around(differences: Array, order: int, axis: int) -> Array:
    """Return the greatest of the differences, of first or second order, around each place that they are of."""
    widths = [(0, 0)] * differences.ndim
    widths[axis] = (order, order)
    padded = np.pad(differences, widths, mode="edge")
    return np.asarray(sliding_window_view(padded, order + 1, axis=axis).max(axis=-1))


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
