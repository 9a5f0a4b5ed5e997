"""`edge_layer`: where the surface that an image shows breaks off, as a mask.

The rule and the loop over pixels are in ``kernels/edges.py``. The commonest change is that rule.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.footprint import CELL, ray_steps
from depthraster.kernels.edges import mark_edges
from depthraster.numeric import real_number
from depthraster.scene import Scene
from depthraster.transforms import invert

__all__ = ["checked_tolerance", "edge_layer"]

_ROWS = 64  # that a thread takes at a time

Array = npt.NDArray[np.float64]


def checked_tolerance(tolerance: float, name: str) -> float:
    """Return a tolerance in pixels of surface slope, or raise TypeError or ValueError with its ``name``."""
    try:
        value = real_number(tolerance)
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
    least, _ = ray_steps(calibration)
    width, marks = edges.shape[1], edges.view(np.uint8)
    lens, axes, places = calibration.lens_params(), invert(transform)[:3, :3].copy(), scene._face_places()

    def mark(first: int) -> None:
        mark_edges(
            scene._arrays, places, axes, lens, tolerance, least, CELL, face_index, ranges,
            first, min(first + _ROWS, len(edges)), np.empty(width, np.float32), np.empty(width, np.int64), marks,
        )  # fmt: skip

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(mark, range(0, len(edges), _ROWS)))
