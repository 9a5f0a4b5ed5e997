"""Which of many points one camera sees: the work behind ``visibility.py``.

`Looking.at` reads top to bottom: the points are projected, the rays of those in the image sorted into the tiles of a plane
before the camera (of six for lenses that see all around), the mesh held before each tile's points, and what is before a
point judged. Tiles are independent, so threads take them as they come. The loops are in ``kernels/sight.py`` and
``kernels/hiding.py``. The commonest change is how many points share a tile: `_TILES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.footprint import CELL, plane_bounds, ray_steps
from depthraster.kernels import hiding, sight
from depthraster.kernels.select import clusters_in_tile
from depthraster.scene import Scene
from depthraster.transforms import check_transform, invert

__all__ = ["Looking", "Points"]

_POINTS = 512 * sight.GROUP  # that a thread projects at a time
_SAMPLE = 4096  # rays that say where bins are to be
_TILES = 24  # that a plane's rays are drawn in, at least

_EVERYWHERE = np.full(4, np.inf)
_EVERYWHERE.flags.writeable = False  # as `plane_bounds` are: another type would be compiled for anew

Array = npt.NDArray[np.float64]
Result = TypeVar("Result")


class Points:
    """Points to be looked at, in an order that suits the work; their arrays are all in that order.

    Attributes
    ----------
    coordinates : (n, 3) float64 array
        Chunk frame.
    boxes : (m, 6) float64 array
        Around groups of consecutive points, see `sight.take_in_order`; none if they are as given.
    """

    def __init__(
        self,
        coordinates: Array,
        boxes: Array,
        order: npt.NDArray[np.int64] | None,
        places: npt.NDArray[np.int64] | None,
    ) -> None:
        self.coordinates, self.boxes, self._order, self._places = coordinates, boxes, order, places

    @classmethod
    def as_given(cls, coordinates: Array) -> Points:
        """Take points (n, 3) as they are: for a single look."""
        return cls(coordinates, np.empty((0, 6)), None, None)

    @classmethod
    def in_order(cls, coordinates: Array) -> Points:
        """Put points (n, 3) into an order that keeps neighbours together: it takes as long as a look."""
        n = len(coordinates)
        order, places, ordered = np.empty(n, np.int64), np.empty(n, np.int64), np.empty((n, 3))
        boxes = np.empty((-(-n // sight.GROUP), 6))
        sight.order_points(coordinates, order)
        sight.take_in_order(coordinates, order, ordered, places, boxes)
        return cls(ordered, boxes, order, places)

    def index_of(self, which: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the indices, among the points given, of points by their place in this order."""
        return which if self._order is None else self._order[which]

    def place_of(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the places in this order of points by their index among those given."""
        return index if self._places is None else self._places[index]


class Looking:
    """Looks at the same points of the same scene from one camera after the other; for one thread at a time.

    Parameters
    ----------
    scene : Scene
    points : Points
    tolerance : float
        In pixels of surface slope, checked.
    threads : int
        How many it uses.
    """

    def __init__(self, scene: Scene, points: Points, tolerance: float, threads: int) -> None:
        self._scene, self._points, self._tolerance, self._threads = scene, points, tolerance, threads
        n = len(points.coordinates)
        self._status, self._pixel, self._depth = np.empty(n, np.uint8), np.empty((n, 2)), np.empty(n)
        self._inside, self._rays = np.empty(n, np.int64), np.empty((n, 4))
        self._rooms: list[hiding.Room] = []  # that no thread works in

    def at(
        self, transform: npt.ArrayLike, calibration: Calibration, *, inside_only: bool = False
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], Array, Array]:
        """Return which points are in the image, and status, pixels and depths of all; the next call reuses the arrays.

        With ``inside_only`` these are known of points in the image only; all others are `Sight.OUTSIDE` or `Sight.BEHIND`.
        """
        if not isinstance(calibration, Calibration):
            raise TypeError(
                f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
                "Calibration(width=..., height=..., f=...)"
            )
        checked = check_transform(transform)
        camera = _Camera(checked, calibration)
        n, as_range = len(self._points.coordinates), calibration.type == "spherical"
        bounds = plane_bounds(calibration) if inside_only else _EVERYWHERE

        def place(start: int) -> tuple[npt.NDArray[np.int64], Array]:
            stop = min(start + per_job, n)
            inside, rays = self._inside[start:stop], self._rays[start:stop]
            count = sight.place_points(
                self._points.coordinates, self._points.boxes, start, stop, camera.centre, camera.axes, camera.lens,
                calibration.width, calibration.height, bounds, as_range, CELL, camera.least.shape[1], self._status,
                self._pixel, self._depth, inside, rays,
            )  # fmt: skip
            return inside[:count], rays[:count]

        per_job = _POINTS if self._threads > 1 else max(n, 1)
        with _Threads(self._threads) as run:
            found = run(place, range(0, n, per_job))
            if not found:
                return self._inside, self._status, self._pixel, self._depth
            which, rays = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
            for plane, members in _planes(camera, rays):
                self._hide(run, camera, plane, which if members is None else which[members])
        return which, self._status, self._pixel, self._depth

    def _hide(self, run: _Threads, camera: _Camera, plane: _Plane, which: npt.NDArray[np.int64]) -> None:
        """Find which of the points ``which``, whose rays pass through a plane, the mesh hides."""
        arrays, parallel, rays = self._scene._arrays, camera.parallel, plane.rays
        grid = _grid(plane, parallel, self._threads)
        n_tiles, n_bins = grid.tiles_x * grid.tiles_y, grid.side**2
        order, starts = np.empty(len(rays), np.int32), np.zeros(n_tiles * n_bins + 1, np.int32)
        hiding.sort_rays(rays, parallel, grid, np.empty(len(rays), np.int32), starts, order)
        least, most = camera.least.reshape(-1), camera.most.reshape(-1)
        low, high = self._tolerance * least, self._tolerance * sight.STEEPEST * most
        origin = camera.centre - self._scene._origin
        view = np.column_stack([plane.axes, -plane.axes @ origin])
        # 16 roundings of the terms that X, Y and Z are sums of.
        size = 2.0**-49 * float((np.abs(plane.axes) @ (arrays.extent + np.abs(origin))).max())
        guard = 4.0 * float(np.abs(plane.bounds).max()) + 1.0
        places = self._scene._face_places()

        def hide(tile: int) -> None:
            own = starts[tile * n_bins : (tile + 1) * n_bins + 1]
            if own[0] == own[-1]:
                return
            room = self._rooms.pop() if self._rooms else hiding.Room()
            blocks, bounds = room.blocks(own), np.empty(4)
            hiding.lay_out(rays, parallel, own, order, low, high, blocks, bounds)
            bounds += (1e-9 * (guard + np.abs(bounds)) + size) * [-1.0, 1.0, -1.0, 1.0]
            chosen = np.empty(len(arrays.half), np.int32)
            n = clusters_in_tile(
                arrays.centre, arrays.half, arrays.cone, arrays.groups, arrays.extent, view, origin, bounds, parallel, False,
                np.empty((5, 4)), chosen,
            )  # fmt: skip
            nearest = np.empty(n)
            hiding.nearest_w(arrays, chosen[:n], view, parallel, nearest)
            by_distance = np.argsort(-nearest)
            hiding.hide_points(
                arrays, chosen[by_distance], nearest[by_distance], view, parallel, size, guard, grid, tile, blocks,
                room.scratch,
            )  # fmt: skip
            sight.judge_points(
                arrays, places, blocks.rows, blocks.own, blocks.rays, which, plane.axes, camera.lens, self._pixel,
                rays[:, 3], least, most, self._tolerance, self._status,
            )  # fmt: skip
            self._rooms.append(room)

        run(hide, range(n_tiles))


class _Threads:
    """Runs jobs in some threads, or in this one if that is all."""

    def __init__(self, n: int) -> None:
        self._pool = ThreadPoolExecutor(n) if n > 1 else None

    def __call__(self, work: Callable[[int], Result], jobs: Iterable[int]) -> list[Result]:
        return [work(job) for job in jobs] if self._pool is None else list(self._pool.map(work, jobs))

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


class _Camera:
    """A camera as the kernels take it."""

    def __init__(self, transform: Array, calibration: Calibration) -> None:
        self.centre = transform[:3, 3].copy()  # chunk frame
        self.axes = invert(transform)[:3, :3].copy()  # the linear part of camera_from_chunk
        self.calibration = calibration
        self.lens = calibration.lens_params()
        self.parallel = calibration.type == "orthographic"
        self.least, self.most = ray_steps(calibration)


class _Plane(NamedTuple):
    """A plane before the camera that rays pass through."""

    axes: Array  # (3, 3) from the chunk's axes to X, Y, Z across it
    bounds: Array  # (4,) x0, x1, y0, y1 around all rays of the image
    rays: Array  # (n, 4) X, Y, Z of their points along the axes, and the number of their cell


# From the camera's X, Y, Z to those of planes before it, for rays that pass the sides X, -X, Y, -Y, Z, -Z of a cube.
_SIDES = [turn * np.roll(np.eye(3), 1 + axis, axis=1) for axis in range(3) for turn in (1.0, -1.0)]


def _planes(camera: _Camera, rays: Array) -> Iterator[tuple[_Plane, npt.NDArray[np.bool_] | None]]:
    """Yield planes that rays in the image pass through, and which rays these are, None for all."""
    if not len(rays):
        return
    calibration = camera.calibration
    if camera.parallel:
        size = np.array([0.0, calibration.width, 0.0, calibration.height])
        yield _Plane(camera.axes, (size - np.repeat(camera.lens[1:3], 2)) / calibration.f, rays), None
    elif calibration.type == "frame":
        yield _Plane(camera.axes, plane_bounds(calibration), rays), None
    else:
        sides = np.empty(len(rays), np.uint8)
        hiding.side_of(rays, sides)
        for side, turn in enumerate(_SIDES):
            members = sides == side
            some = rays[members]
            if len(some):
                some[:, :3] = some[:, :3] @ turn.T
                yield _Plane(turn @ camera.axes, np.array([-1.0, 1.0, -1.0, 1.0]), some), members


def _grid(plane: _Plane, parallel: bool, threads: int) -> hiding.Grid:
    """Return square bins for a plane's rays: where some of them are, for the others come to the outermost bins."""
    n = len(plane.rays)
    some = plane.rays[:: max(n // _SAMPLE, 1)]
    at = some[:, :2] if parallel else some[:, :2] / some[:, 2:3]
    low, high = at.min(axis=0), at.max(axis=0)
    room = 0.01 * (high - low) + 1e-6 * (plane.bounds[1::2] - plane.bounds[0::2])
    low, (width, height) = low - room, high - low + 2.0 * room
    bins = n / hiding.PER_BIN  # no more than that along a line of points
    per_unit = min(np.sqrt(bins / (width * height)), max(bins, 1.0) / max(width, height))
    across, down = max(width * per_unit, 1.0), max(height * per_unit, 1.0)
    side = int(np.ceil(np.sqrt(across * down / max(_TILES, 4 * threads))))
    tiles_x, tiles_y = int(np.ceil(across / side)), int(np.ceil(down / side))
    return hiding.Grid(float(low[0]), float(low[1]), float(per_unit), float(per_unit), tiles_x, tiles_y, side)
