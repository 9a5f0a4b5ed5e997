"""Which of many points one camera sees: the work behind ``visibility.py``.

`Looking._look` reads top to bottom: the points are projected, the rays of those in the image sorted into the tiles of a
plane before the camera (of six for lenses that see all around), the mesh held before each tile's points, and what is
before a point judged. Tiles are independent, so threads take them as they come. The loops are in ``kernels/sight.py``,
``kernels/bins.py`` and ``kernels/hiding.py``. The commonest change is how many points share a tile: `_PER_TILE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.footprint import CELL, plane_bounds, ray_steps
from depthraster.kernels import bins, hiding, sight
from depthraster.kernels.select import clusters_in_tile
from depthraster.scene import Scene
from depthraster.transforms import check_transform, invert

__all__ = ["Looking", "Points"]

_GROUPS = 512  # of points, that a thread works at at a time
_SAMPLE = 4096  # rays that say where bins are to be
_TILES = 24  # that a plane's rays are laid out in, at least
_PER_TILE = 16384  # rays of a tile, about, at most: what is looked at of them stays in the cache

_EVERYWHERE = np.full(4, np.inf)
_EVERYWHERE.flags.writeable = False  # as `plane_bounds` are: another type would be compiled for anew

Array = npt.NDArray[np.float64]
Result = TypeVar("Result")


class Points:
    """Points to be looked at, in an order that suits the work.

    Attributes
    ----------
    coordinates : (n, 3) float64 array
        Chunk frame.
    boxes : (m, 6) float64 array
        Around groups of consecutive points, see `sight.take_in_order`; none if they are as given.
    order : (n,) int64 array
        The index of each among the points given; none if they are as given.
    given : (n, 3) float64 array
        The coordinates as given.
    """

    def __init__(self, given: Array, coordinates: Array, boxes: Array, order: npt.NDArray[np.int64]) -> None:
        self.given, self.coordinates, self.boxes, self.order = given, coordinates, boxes, order

    @classmethod
    def as_given(cls, coordinates: Array) -> Points:
        """Take points (n, 3) as they are: for a single look."""
        return cls(coordinates, coordinates, np.empty((0, 6)), np.empty(0, np.int64))

    @classmethod
    def in_order(cls, coordinates: Array, threads: int) -> Points:
        """Put points (n, 3) into an order that keeps neighbours together: it takes as long as a look."""
        n = len(coordinates)
        order, ordered = np.empty(n, np.int64), np.empty((n, 3))
        n_groups = -(-n // sight.GROUP)
        boxes = np.empty((n_groups, 6))
        sight.order_points(coordinates, order)

        def take(first: int) -> None:
            last = min(first + _GROUPS, n_groups)
            sight.take_in_order(coordinates, order, first, last, ordered, boxes)

        with _Threads(threads) as run:
            run(take, range(0, n_groups, _GROUPS))
        return cls(coordinates, ordered, boxes, order)


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
        self._status = np.empty(n, np.uint8)
        self._inside, self._cells = np.empty(n, np.int64), np.empty(n, np.int32)
        self._bits = np.zeros(len(points.order) // 64 + 1, np.uint64)
        self._by_tile = _ByTile(0)
        self._rooms: list[tuple[bins.Room, hiding.HideScratch]] = []  # that no thread works in

    def at(
        self, transform: npt.ArrayLike, calibration: Calibration
    ) -> tuple[npt.NDArray[np.uint8], Array, Array]:
        """Return status, pixels and depths of all points; the next call writes over the status."""
        n = len(self._points.coordinates)
        pixel, depth = np.empty((n, 2)), np.empty(n)
        self._look(_Camera(transform, calibration), pixel, depth, _EVERYWHERE)
        return self._status, pixel, depth

    def visible_from(
        self, transform: npt.ArrayLike, calibration: Calibration
    ) -> tuple[npt.NDArray[np.int64], Array, Array]:
        """Return which points are visible, their indices among those given, ascending, and their pixels and depths.

        The points have to be in order.
        """
        camera, points = _Camera(transform, calibration), self._points
        inside = self._look(camera, np.empty((0, 2)), np.empty(0), plane_bounds(calibration))
        n = sight.mark_visible(inside, self._status, points.order, self._bits)
        point, pixel, depth = np.empty(n, np.int64), np.empty((n, 2)), np.empty(n)
        sight.list_visible(
            self._bits, points.given, camera.centre, camera.axes, camera.lens, camera.as_range, point,
            pixel, depth,
        )  # fmt: skip
        return point, pixel, depth

    def _look(self, camera: _Camera, pixel: Array, depth: Array, bounds: Array) -> npt.NDArray[np.int64]:
        """Find the status of points, and pixels and depths if there are arrays for them; return which are in the image."""
        calibration, n = camera.calibration, len(self._points.coordinates)

        def place(start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
            stop = min(start + per_job, n)
            inside, cells = self._inside[start:stop], self._cells[start:stop]
            count = sight.place_points(
                self._points.coordinates, self._points.boxes, start, stop, camera.centre, camera.axes, camera.lens,
                calibration.width, calibration.height, bounds, camera.as_range, CELL, camera.least.shape[1], self._status,
                pixel, depth, inside, cells,
            )  # fmt: skip
            return inside[:count], cells[:count]

        per_job = _GROUPS * sight.GROUP if self._threads > 1 else max(n, 1)
        with _Threads(self._threads) as run:
            found = run(place, range(0, n, per_job))
            if not found:
                return self._inside
            which, cells = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
            for plane in _planes(camera, self._points.coordinates, which, cells):
                self._hide(run, camera, plane)
        return which

    def _hide(self, run: _Threads, camera: _Camera, plane: _Plane) -> None:
        """Find which of the points whose rays pass through a plane the mesh hides."""
        arrays, parallel = self._scene._arrays, camera.parallel
        points, centre = self._points.coordinates, camera.centre
        grid = _grid(plane, points, centre, parallel, self._threads)
        n, n_tiles = len(plane.which), grid.tiles_x * grid.tiles_y
        if len(self._by_tile.tiles) < n:
            self._by_tile = _ByTile(min(n + n // 4, len(self._inside)))
        which, cells, starts = (
            self._by_tile.which[:n],
            self._by_tile.cells[:n],
            np.zeros(n_tiles + 1, np.int32),
        )
        bins.sort_points(
            points, plane.which, plane.cells, centre, plane.axes, parallel, grid, self._by_tile.tiles, starts, which, cells
        )  # fmt: skip
        least, most = camera.least.reshape(-1), camera.most.reshape(-1)
        low, high = self._tolerance * least, self._tolerance * sight.STEEPEST * most
        origin = centre - self._scene._origin
        view = np.column_stack([plane.axes, -plane.axes @ origin])
        # 16 roundings of the terms that X, Y and Z are sums of.
        size = 2.0**-49 * float((np.abs(plane.axes) @ (arrays.extent + np.abs(origin))).max())
        guard = 4.0 * float(np.abs(plane.bounds).max()) + 1.0
        places = self._scene._face_places()

        def hide(tile: int) -> None:
            own = slice(starts[tile], starts[tile + 1])
            if own.start == own.stop:
                return
            room, scratch = self._rooms.pop() if self._rooms else (bins.Room(), hiding.hide_scratch())
            blocks, bounds = room.blocks(grid, own.stop - own.start), np.empty(4)
            n_blocks = bins.lay_out(
                points, which[own], cells[own], centre, plane.axes, parallel, grid, tile, low, high, blocks, bounds
            )  # fmt: skip
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
                arrays, chosen[by_distance], nearest[by_distance], view, parallel, size, guard, grid, tile, blocks, scratch
            )  # fmt: skip
            sight.judge_points(
                arrays, places, blocks, n_blocks, which[own], cells[own], points, centre, camera.axes, plane.axes,
                camera.lens, least, most, self._tolerance, self._status,
            )  # fmt: skip
            self._rooms.append((room, scratch))

        run(hide, range(n_tiles))


class _ByTile:
    """Memory for up to n points, tile by tile."""

    def __init__(self, n: int) -> None:
        self.which, self.cells = np.empty(n, np.int64), np.empty(n, np.int32)
        self.tiles = np.empty(n, np.int32)


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

    def __init__(self, transform: npt.ArrayLike, calibration: Calibration) -> None:
        if not isinstance(calibration, Calibration):
            raise TypeError(
                f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
                "Calibration(width=..., height=..., f=...)"
            )
        transform = check_transform(transform)
        self.centre = transform[:3, 3].copy()  # chunk frame
        self.axes = invert(transform)[:3, :3].copy()  # the linear part of camera_from_chunk
        self.calibration = calibration
        self.lens = calibration.lens_params()
        self.parallel, self.as_range = calibration.type == "orthographic", calibration.type == "spherical"
        self.least, self.most = ray_steps(calibration)


class _Plane(NamedTuple):
    """A plane before the camera that rays pass through."""

    axes: Array  # (3, 3) from the chunk's axes to X, Y, Z across it
    bounds: Array  # (4,) x0, x1, y0, y1 around all rays of the image
    which: npt.NDArray[np.int64]  # (n,) the points of these rays
    cells: npt.NDArray[np.int32]  # (n,) and their cells


# From the camera's X, Y, Z to those of planes before it, for rays that pass the sides X, -X, Y, -Y, Z, -Z of a cube.
_SIDES = [turn * np.roll(np.eye(3), 1 + axis, axis=1) for axis in range(3) for turn in (1.0, -1.0)]


def _planes(
    camera: _Camera, points: Array, which: npt.NDArray[np.int64], cells: npt.NDArray[np.int32]
) -> Iterator[_Plane]:
    """Yield planes that the rays of the points ``which``, all in the image, pass through."""
    if not len(which):
        return
    calibration = camera.calibration
    if camera.parallel:
        size = np.array([0.0, calibration.width, 0.0, calibration.height])
        bounds = (size - np.repeat(camera.lens[1:3], 2)) / calibration.f
        yield _Plane(camera.axes, bounds, which, cells)
    elif calibration.type == "frame":
        yield _Plane(camera.axes, plane_bounds(calibration), which, cells)
    else:
        sides = np.empty(len(which), np.uint8)
        bins.sides_of(points, which, camera.centre, camera.axes, sides)
        for side, turn in enumerate(_SIDES):
            some = sides == side
            if some.any():
                bounds = np.array([-1.0, 1.0, -1.0, 1.0])
                yield _Plane(turn @ camera.axes, bounds, which[some], cells[some])


def _grid(plane: _Plane, points: Array, centre: Array, parallel: bool, threads: int) -> bins.Grid:
    """Return square bins for a plane's rays: where some of them are, for the others come to the outermost bins."""
    n = len(plane.which)
    some = (points[plane.which[:: max(n // _SAMPLE, 1)]] - centre) @ plane.axes.T
    at = some[:, :2] if parallel else some[:, :2] / some[:, 2:3]
    low, high = at.min(axis=0), at.max(axis=0)
    room = 0.01 * (high - low) + 1e-6 * (plane.bounds[1::2] - plane.bounds[0::2])
    low, (width, height) = low - room, high - low + 2.0 * room
    squares = n / bins.PER_BLOCK  # no more than that along a line of points
    per_unit = min(np.sqrt(squares / (width * height)), max(squares, 1.0) / max(width, height))
    across, down = max(width * per_unit, 1.0), max(height * per_unit, 1.0)
    side = int(np.ceil(np.sqrt(across * down / max(_TILES, 4 * threads, n / _PER_TILE))))
    return bins.Grid(
        float(low[0]), float(low[1]), float(bins.COLUMNS * per_unit), float(per_unit), int(np.ceil(across / side)),
        int(np.ceil(down / side)), side, bins.COLUMNS * side,
    )  # fmt: skip
