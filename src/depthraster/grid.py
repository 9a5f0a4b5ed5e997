"""`Grid`: where the cells of a height field lie, laid over a scene once and looked at window by window.

It turns what users say (bounds or a region, a resolution, a direction) into whole cells, and a window of cells into the
orthographic camera that sees it. Rendering the windows is ``heights.py``'s. The commonest change is another way to say where
the cells shall lie: a branch of `lay_grid`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Region
from depthraster.numeric import real_number
from depthraster.scene import Scene

__all__ = ["Affine", "Grid", "Window", "lay_grid", "outer_edges"]

_MOST_CELLS = 2**37  # half a terabyte of float32
_MOST_SIDE = 2**31 - 1  # what a TIFF's reader counts to
_SLACK = 1e-3  # cells: what bounds may be off by whole ones without another row or column
_FINEST = 1000  # steps of double precision that a cell has at least, where the coordinates are greatest

Array = npt.NDArray[np.float64]
Affine = tuple[float, float, float, float, float, float]


class Window(NamedTuple):
    """A rectangle of cells."""

    row0: int
    col0: int
    n_rows: int
    n_cols: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the window is in an array of all cells."""
        return slice(self.row0, self.row0 + self.n_rows), slice(self.col0, self.col0 + self.n_cols)


def outer_edges(affine: Affine, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of cells (H, W, ...) whose affine is that of rasterio, without shear."""
    a, _, left, _, e, top = affine
    return left, top + e * shape[0], left + a * shape[1], top


class Grid(NamedTuple):
    """Square cells over a scene, in axes x (to the right), y (up the grid) and height (back along the view)."""

    left: float  # x of the outer edge of the first column
    top: float  # y of the outer edge of the first row
    resolution: float
    width: int
    height: int
    axes: Array  # (3, 3) scene_from_grid: takes x, y, height to the scene's coordinates
    seen: tuple[float, float, float, float]  # left, bottom, right, top of what the scene may cover
    seen_heights: tuple[float, float]  # its least and greatest height
    lowest: float  # heights below do not count, -inf: all do
    highest: float  # where the view begins: nothing above is seen

    @property
    def affine(self) -> Affine:
        """From (col, row) to (x, y), in rasterio's order: a, b, c, d, e, f."""
        return self.resolution, 0.0, self.left, 0.0, -self.resolution, self.top

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return self.width * self.height

    def windows(self, rows: int, cols: int) -> Iterator[Window]:
        """Yield windows of so many rows and columns that cover the grid, row by row; those at its end are smaller."""
        for row0 in range(0, self.height, rows):
            for col0 in range(0, self.width, cols):
                yield Window(row0, col0, min(rows, self.height - row0), min(cols, self.width - col0))

    def is_empty(self, window: Window) -> bool:
        """Return whether nothing of the scene can be in a window."""
        left, top = (
            self.left + window.col0 * self.resolution,
            self.top - window.row0 * self.resolution,
        )
        right, bottom = left + window.n_cols * self.resolution, top - window.n_rows * self.resolution
        return right < self.seen[0] or self.seen[2] < left or top < self.seen[1] or self.seen[3] < bottom

    def camera(self, window: Window) -> tuple[Array, Calibration]:
        """Return the transform (scene from camera) and the orthographic calibration that see a window's cells as pixels."""
        x = self.left + (window.col0 + 0.5 * window.n_cols) * self.resolution
        y = self.top - (window.row0 + 0.5 * window.n_rows) * self.resolution
        transform = np.eye(4)
        transform[:3, :3] = self.axes * [1.0, -1.0, -1.0]
        transform[:3, 3] = self.axes @ [x, y, self.highest]
        f = 1.0 / self.resolution
        return transform, Calibration(width=window.n_cols, height=window.n_rows, f=f, type="orthographic")


def lay_grid(scene: Scene, bounds: Any, resolution: Any, direction: Any, up: Any) -> Grid:
    """Lay a grid over a scene; arguments and errors are those of `height_field`."""
    cell = _checked_resolution(resolution)
    if isinstance(bounds, Region):
        if direction is not None or up is not None:
            raise ValueError(
                "bounds are a region and direction or up is given; a region is looked at along its own axes: leave "
                "direction and up out, or pass bounds as left, bottom, right, top"
            )
        axes = _region_axes(bounds)
    else:
        axes = _axes(direction, up)
    low, high = _extent(scene, axes)
    lowest, highest = -math.inf, math.inf
    if isinstance(bounds, Region):
        middle, half = axes.T @ bounds.center, 0.5 * bounds.size
        left, bottom, lowest = (middle - half).tolist()
        right, top, highest = (middle + half).tolist()
    elif bounds is None:  # whole cells, counted from 0: fields of neighbouring meshes have the same
        left, bottom = (np.floor(low[:2] / cell + _SLACK) * cell).tolist()
        right, top = (np.ceil(high[:2] / cell - _SLACK) * cell).tolist()
        right, top = max(right, left + cell), max(top, bottom + cell)  # a mesh on edge has no extent
    else:
        left, bottom, right, top = _checked_bounds(bounds)
    reach = max(abs(left), abs(bottom), abs(right), abs(top))
    if not cell >= _FINEST * np.spacing(reach):
        raise ValueError(
            f"the resolution is {cell:g} at coordinates of {reach:.10g}, where double precision has steps of "
            f"{np.spacing(reach):.1g}; at least {_FINEST} of them are needed: choose a coarser resolution"
        )
    width, height = _count(right - left, cell), _count(top - bottom, cell)
    if width > _MOST_SIDE or height > _MOST_SIDE or width * height > _MOST_CELLS:
        raise ValueError(
            f"{right - left:g} x {top - bottom:g} at a resolution of {cell:g} are {width:.4g} x {height:.4g} cells, "
            f"{_size(width * height)} of float32; at most 2**37 cells (512 GiB) are possible: choose a coarser "
            "resolution or smaller bounds, which are left, bottom, right, top"
        )
    # The camera is just above the mesh: the nearer it is, the finer are the steps of the depth by which surfaces are told
    # apart. But above it, however coordinates are rounded.
    rounding = float(np.spacing(max(reach, abs(low[2]), abs(high[2]))))
    above = float(high[2]) + 0.01 * float(high[2] - low[2]) + _FINEST * rounding
    seen = float(low[0]), float(low[1]), float(high[0]), float(high[1])
    return Grid(
        float(left), float(top), cell, int(width), int(height), axes, seen, (float(low[2]), float(high[2])), float(lowest),
        min(float(highest), above),
    )  # fmt: skip


def _size(cells: float) -> str:
    """Return what so many cells of float32 take, in words."""
    size, unit = 4.0 * cells, "bytes"
    for name in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024.0:
            break
        size, unit = size / 1024.0, name
    return f"{size:.4g} {unit}"


def _count(side: float, cell: float) -> float:
    """Return how many cells cover a side, a whole number but for infinity."""
    cells = side / cell
    return max(1, math.ceil(cells - _SLACK)) if math.isfinite(cells) else cells


def _checked_resolution(resolution: Any) -> float:
    if resolution is None:
        raise TypeError("the resolution is missing; the side of a cell is needed: pass e.g. resolution=0.1")
    try:
        cell = real_number(resolution)
    except (TypeError, ValueError):
        raise TypeError(
            f"the resolution is {resolution!r}; a number, the side of a cell, is needed: pass e.g. resolution=0.1"
        ) from None
    if not (math.isfinite(cell) and cell > 0.0 and math.isfinite(1.0 / cell)):
        raise ValueError(
            f"the resolution is {resolution!r}; a positive, finite side of a cell is needed: pass e.g. resolution=0.1"
        )
    return cell


def _checked_bounds(bounds: Any) -> tuple[float, float, float, float]:
    try:
        values = np.asarray(bounds, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"bounds are a {type(bounds).__name__}; left, bottom, right, top or a Region is needed: pass four numbers"
        ) from None
    if values.shape != (4,):
        raise ValueError(
            f"bounds have the shape {values.shape}; four numbers are needed: pass left, bottom, right, top"
        )
    left, bottom, right, top = values.tolist()
    if not np.isfinite(values).all() or not (right > left and top > bottom):
        raise ValueError(
            f"bounds are left {left:.9g}, bottom {bottom:.9g}, right {right:.9g}, top {top:.9g}, which is no area; right "
            "greater than left and top greater than bottom are needed: pass left, bottom, right, top"
        )
    return left, bottom, right, top


def _region_axes(region: Region) -> Array:
    """Return the axes of a region, or raise ValueError where it is no box."""
    if not np.isfinite(region.center).all() or not (np.isfinite(region.size) & (region.size > 0.0)).all():
        raise ValueError(
            f"the region has its centre at {region.center.tolist()} and the size {region.size.tolist()}; finite numbers, "
            "and sizes greater than 0, are needed: set the region anew, or pass bounds"
        )
    axes = np.array(region.rotation)
    if not np.allclose(axes.T @ axes, np.eye(3), rtol=0.0, atol=1e-6) or not np.linalg.det(axes) > 0.0:
        raise ValueError(
            f"the region's rotation is {axes.tolist()}, which is none; three perpendicular unit vectors, right-handed, are "
            "needed: set the region anew, or pass bounds"
        )
    u, _, v = np.linalg.svd(axes)  # the nearest rotation: files have some digits only
    return np.asarray(u @ v, np.float64)


def _axes(direction: Any, up: Any) -> Array:
    """Return the grid's axes in the scene's coordinates, as columns: x, y and height."""
    if direction is None and up is None:
        return np.eye(3)
    looking = _checked_direction((0.0, 0.0, -1.0) if direction is None else direction, "direction")
    height = -looking
    if up is None:
        # Y, as maps have north; of what is seen from the side Z, as facades stand.
        upwards = np.array([0.0, 1.0, 0.0] if abs(height[2]) >= math.sqrt(0.5) - 1e-9 else [0.0, 0.0, 1.0])
    else:
        upwards = _checked_direction(up, "up")
    across = np.cross(upwards, height)
    length = float(np.linalg.norm(across))
    if not length > 1e-6:
        raise ValueError(
            f"up {upwards.tolist()} lies along the direction {looking.tolist()}; another is needed: pass what shall be "
            "towards the upper edge of the grid"
        )
    across /= length
    return np.stack([across, np.cross(height, across), height], axis=1) + 0.0  # + 0.0: no negative zeros


def _checked_direction(value: Any, name: str) -> Array:
    try:
        vector = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is {value!r}; three numbers are needed: pass e.g. {name}=(0, 0, -1)"
        ) from None
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else math.nan
    if not (math.isfinite(length) and length > 0.0):
        raise ValueError(
            f"{name} is {value!r}; three finite numbers, not all 0, are needed: pass e.g. {name}=(0, 0, -1)"
        )
    return np.asarray(vector / length)


def _extent(scene: Scene, axes: Array) -> tuple[Array, Array]:
    """Return the least and greatest x, y and height that the scene may have."""
    if np.array_equal(axes, np.eye(3)):
        return scene.bounds[0], scene.bounds[1]
    arrays = scene._arrays
    centre, half = arrays.centre @ axes, arrays.half.astype(np.float64) @ np.abs(axes)
    origin = axes.T @ scene._origin
    return (centre - half).min(axis=0) + origin, (centre + half).max(axis=0) + origin
