"""`edge_layer`: where the surface that an image shows breaks off, as a mask.

The rule and the loop over pixels are in ``kernels/edges.py``; here is bounded how far apart neighbouring rays are, which
decides most pixels. The commonest change is that rule.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.kernels.edges import mark_edges
from depthraster.scene import Scene
from depthraster.transforms import invert

__all__ = ["checked_tolerance", "edge_layer"]

_CELL = 64  # pixels that share a bound
_ROWS = 32  # that a thread takes at a time

Array = npt.NDArray[np.float64]


def checked_tolerance(tolerance: float, name: str) -> float:
    """Return a tolerance in pixels of surface slope, or raise TypeError or ValueError with its ``name``."""
    try:
        value = float(tolerance)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is {tolerance!r}; a number of pixels is needed: pass e.g. {name}=2.0"
        ) from None
    if not 0.0 < value < np.inf:
        raise ValueError(
            f"{name} is {value}; a positive number of pixels of surface slope is needed: pass e.g. {name}=2.0"
        )
    return value


def edge_layer(
    scene: Scene,
    transform: Array,
    calibration: Calibration,
    tolerance: float,
    face_index: npt.NDArray[np.int32],
    ranges: npt.NDArray[np.float32],
    edges: npt.NDArray[np.bool_],
    threads: int,
) -> None:
    """Mark where the surface breaks off beside a pixel.

    Parameters
    ----------
    scene : Scene
    transform : (4, 4) float64 array
        Camera to chunk, checked.
    calibration : Calibration
    tolerance : float
        In pixels of surface slope, checked.
    face_index : (H, W) int32 array
    ranges : (H, W) float32 array
        What was rendered.
    edges : (H, W) bool array
        Where to write.
    threads : int
        How many to use.
    """
    least = _least_apart(calibration)
    lens, axes, places = calibration.lens_params(), invert(transform)[:3, :3].copy(), scene._face_places()

    def mark(first: int) -> None:
        mark_edges(
            scene._arrays, places, axes, lens, tolerance, least, _CELL, face_index, ranges,
            first, min(first + _ROWS, len(edges)), edges,
        )  # fmt: skip

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(mark, range(0, len(edges), _ROWS)))


def _least_apart(calibration: Calibration) -> Array:
    """Bound how far apart the rays of neighbouring pixels are from below, per cell of the image (rows, cols).

    The chord of the angle between them; of parallel rays their distance. 0 where the lens images nothing.
    """
    rows, cols = -(-calibration.height // _CELL), -(-calibration.width // _CELL)
    if calibration.type == "orthographic":
        return np.full((rows, cols), 0.9 / calibration.f)
    # Not beyond the image: a panorama may end there.
    u = np.minimum(np.arange(cols + 1) * _CELL, calibration.width - 1).astype(np.float64)
    v = np.minimum(np.arange(rows + 1) * _CELL, calibration.height - 1).astype(np.float64)
    nodes = np.stack(np.meshgrid(u, v), axis=-1)
    rays = calibration.unproject(np.stack([nodes, nodes + [1.0, 0.0], nodes + [0.0, 1.0]]))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    steps = np.nan_to_num(np.linalg.norm(rays[1:] - rays[0], axis=-1).min(axis=0), nan=0.0)
    # Between the corners of a cell a lens changes little, and by no more than this.
    least: Array = 0.9 * np.minimum.reduce(
        [steps[i : rows + i, j : cols + j] for i in (0, 1) for j in (0, 1)]
    )
    return least
