"""Which points cameras see: `visible` for one camera, `visibility_table` for many.

A point is projected and compared with the range that the camera's image shows there; where the image leaves doubt, next to
edges and on rough surfaces, a ray is cast. Drawing the image is ``pipeline.py``'s, casting ``picking.py``'s, the rule is
``kernels/sight.py``'s. The commonest change is another thing to know of a point: an array of `Visibility`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.edges import checked_tolerance
from depthraster.footprint import CELL, plane_bounds, ray_steps
from depthraster.kernels import sight
from depthraster.picking import RayTree
from depthraster.pipeline import Images, draw_images
from depthraster.scene import Scene, thread_count
from depthraster.sparse import as_scipy
from depthraster.transforms import check_transform, invert
from depthraster.viewpoint import label_of, place_of

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["Sight", "Visibility", "VisibilityTable", "visibility_table", "visible"]

_POINTS = 1 << 15  # that a thread takes at a time
_LEAST_SCALE = 0.1  # that is chosen unasked: smaller images leave too much to rays

Array = npt.NDArray[np.float64]


class Sight(IntEnum):
    """How a camera sees a point: the codes of `Visibility.status`."""

    BEHIND = sight.BEHIND
    """Not imaged: behind the camera, or beyond the domain of its lens."""
    OUTSIDE = sight.OUTSIDE
    """Imaged beside the image."""
    OCCLUDED = sight.OCCLUDED
    """In the image, behind the mesh."""
    VISIBLE = sight.VISIBLE
    """In the image, and nothing of the mesh before it."""


class Visibility(NamedTuple):
    """How one camera sees points; the shapes are those of the points, () for a single one.

    Attributes
    ----------
    status : (...) uint8 array
        One of `Sight`.
    pixel : (..., 2) float64 array
        Where the point is imaged, u and v, also beside the image; NaN where it is not imaged.
    depth : (...) float64 array
        The point's Z in the camera's frame, or for spherical cameras its distance; chunk units, of every point.
    """

    status: npt.NDArray[np.uint8]
    pixel: Array
    depth: Array

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """(...) bool: which points the camera sees."""
        return np.asarray(self.status == sight.VISIBLE)


class VisibilityTable(NamedTuple):
    """Which of N points which of M cameras see: a sparse table, an entry for each pair, camera by camera.

    Attributes
    ----------
    point : (n,) int64 array
        Index of the point, ascending within a camera.
    view : (n,) int32 array
        Index of the camera, ascending.
    pixel : (n, 2) float64 array
        Where the camera images the point, u and v.
    depth : (n,) float64 array
        The point's Z in the camera's frame, or for spherical cameras its distance; chunk units.
    n_points, n_views : int
        N and M.
    labels : tuple of str
        Of the cameras; their numbers, where they have none.
    """

    point: npt.NDArray[np.int64]
    view: npt.NDArray[np.int32]
    pixel: Array
    depth: Array
    n_points: int
    n_views: int
    labels: tuple[str, ...]

    @property
    def views_per_point(self) -> npt.NDArray[np.int64]:
        """(N,) int64: how many cameras see each point."""
        return np.bincount(self.point, minlength=self.n_points)

    @property
    def points_per_view(self) -> npt.NDArray[np.int64]:
        """(M,) int64: how many points each camera sees."""
        return np.bincount(self.view, minlength=self.n_views)

    def of_view(self, view: int) -> slice:
        """Return which entries are a camera's."""
        first, last = np.searchsorted(self.view, [view, view + 1])
        return slice(int(first), int(last))

    def to_scipy(self) -> coo_array:
        """Return the table as an (N, M) ``scipy.sparse`` array of bool (the extra ``resample`` installs scipy).

        ``.tocsr()`` of it finds the cameras of a point at once.
        """
        ones = np.ones(len(self.point), np.bool_)
        return as_scipy(ones, self.point, self.view, (self.n_points, self.n_views))


def visible(
    scene: Any,
    points: npt.ArrayLike,
    transform: npt.ArrayLike,
    calibration: Calibration,
    tolerance: float = 2.0,
    *,
    scale: float | None = None,
    threads: int | None = None,
) -> Visibility:
    """Find which points a camera sees, and where.

    A point in the image is visible if no face lies before it; both sides of faces hide. As a point on a surface is as likely
    before it as behind it, a face may be nearer by what the surface changes over some pixels, the ``tolerance``: so much
    times the pixel's width there, times the tangent of the angle at which the face is seen, but 1 at least and 4 at most (45
    and 76 degrees).

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame. A `Scene` is prepared already; for several calls make it once.
    points : (..., 3) array of float
        Chunk frame and units.
    transform, calibration
        The camera, as for `render_depth`.
    tolerance : float
        In pixels of surface slope, see above.
    scale : float, optional
        Size of the image by which most points are decided, relative to the camera's own, at most 1. What hides a point and
        is thinner than one of its pixels may be missed. By default such a pixel is as large as the tolerance.
    threads : int, optional
        Threads used, all processors by default. The result is the same for any number.

    Returns
    -------
    Visibility

    Raises
    ------
    TypeError, ValueError
        Points that are no numbers, have another shape or are not finite; otherwise as `render_depth`.
    """
    coordinates = _checked_points(points)
    looking = _Looking(scene, tolerance, scale, threads)
    status, pixel, depth = looking.at(coordinates.reshape(-1, 3), transform, calibration)
    shape = coordinates.shape[:-1]
    return Visibility(status.reshape(shape), pixel.reshape(*shape, 2), depth.reshape(shape))


def visibility_table(
    scene: Any,
    points: npt.ArrayLike,
    views: Iterable[Any],
    tolerance: float = 2.0,
    *,
    scale: float | None = None,
    progress: Callable[[int, int | None], object] | None = None,
    threads: int | None = None,
) -> VisibilityTable:
    """Find which of many points each of many cameras sees.

    Parameters
    ----------
    scene, tolerance, scale, threads
        As for `visible`.
    points : (N, 3) array of float
        Chunk frame and units.
    views : iterable
        The M cameras, as for `render_views`.
    progress : callable, optional
        Called as ``progress(n_done, n_views)`` after each; ``n_views`` is None where ``views`` has no length.

    Returns
    -------
    VisibilityTable

    Raises
    ------
    TypeError, ValueError
        As `visible`; of a camera, the message begins with its label.
    """
    coordinates = _checked_points(points)
    if coordinates.ndim != 2:
        raise ValueError(
            f"points have the shape {coordinates.shape}; (N, 3) is needed for a table: reshape them to one row per point"
        )
    looking = _Looking(scene, tolerance, scale, threads)
    total = len(views) if isinstance(views, Sized) else None
    labels: list[str] = []
    found: list[tuple[npt.NDArray[Any], ...]] = []
    for index, view in enumerate(views):
        label = label_of(view, index)
        try:
            status, pixel, depth = looking.at(coordinates, *place_of(view), inside_only=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"view {label!r}: {error}") from error
        which = np.flatnonzero(status == sight.VISIBLE)
        found.append((which, np.full(len(which), index, np.int32), pixel[which], depth[which]))
        labels.append(label)
        if progress is not None:
            progress(index + 1, total)
    empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, 2)), np.empty(0))
    point, view_of, pixel_of, depth_of = (np.concatenate(parts) for parts in zip(empty, *found, strict=True))
    return VisibilityTable(point, view_of, pixel_of, depth_of, len(coordinates), len(labels), tuple(labels))


class _Looking:
    """What is the same for all cameras."""

    def __init__(self, scene: Any, tolerance: float, scale: float | None, threads: int | None) -> None:
        self._tolerance = checked_tolerance(tolerance, "tolerance")
        if scale is None:
            scale = min(max(1.0 / self._tolerance, _LEAST_SCALE), 1.0)
        if not isinstance(scale, (int, float, np.number)) or not 0.0 < scale <= 1.0:
            raise ValueError(
                f"scale is {scale!r}; more than 0, up to 1, is needed: pass e.g. 0.5 for images of half the size"
            )
        self._scale = float(scale)
        self._threads = thread_count(threads)
        self._scene = Scene.from_mesh(scene, threads=threads)
        self._tree = RayTree(self._scene)
        self._image: npt.NDArray[np.float32] | None = None
        self._room: tuple[npt.NDArray[np.uint8], Array, Array, Array] | None = None

    def at(
        self, points: Array, transform: npt.ArrayLike, calibration: Calibration, *, inside_only: bool = False
    ) -> tuple[npt.NDArray[np.uint8], Array, Array]:
        """Return status, pixels and depths of points (n, 3) as a camera sees them, in arrays that the next call reuses.

        With ``inside_only`` they are known of points in the image only; all others are `Sight.OUTSIDE` or `Sight.BEHIND`.
        """
        if not isinstance(calibration, Calibration):
            raise TypeError(
                f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
                "Calibration(width=..., height=..., f=...)"
            )
        checked = check_transform(transform)
        ranges = self._ranges(checked, calibration.scaled(self._scale) if self._scale < 1.0 else calibration)
        least, most = ray_steps(calibration)
        lens, camera_from_chunk = calibration.lens_params(), invert(checked)[:3, :3].copy()
        n = len(points)
        if self._room is None or len(self._room[0]) != n:
            self._room = np.empty(n, np.uint8), np.empty((n, 2)), np.empty(n), np.empty(n)
        status, pixel, depth, lengths = self._room
        as_range = calibration.type == "spherical"
        bounds = plane_bounds(calibration) if inside_only else np.full(4, np.inf)

        def look(start: int) -> None:
            some = slice(start, start + _POINTS)
            sight.sight_points(
                points[some], checked[:3, 3], camera_from_chunk, lens, calibration.width, calibration.height, bounds,
                self._scale, ranges, least, most, CELL, self._tolerance, as_range, status[some], pixel[some], depth[some],
                lengths[some],
            )  # fmt: skip

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(look, range(0, n, _POINTS)))
        undecided = np.flatnonzero(status == sight.UNDECIDED)
        if len(undecided):
            self._settle(points, checked, calibration, undecided, status, pixel, lengths)
        return status, pixel, depth

    def _ranges(self, transform: Array, calibration: Calibration) -> npt.NDArray[np.float32]:
        """Return the image of ranges, infinite where no face is seen; the next one is drawn over it."""
        shape = (calibration.height, calibration.width, 1)
        if self._image is None or self._image.shape != shape:
            self._image = np.empty(shape, np.float32)
        nothing = np.empty((0, 0), np.float32)
        images = Images(self._image, nothing, None, True, np.float32(np.inf))
        draw_images(self._scene, transform, calibration, False, self._threads, images)
        return self._image[..., 0]

    def _settle(
        self,
        points: Array,
        transform: Array,
        calibration: Calibration,
        undecided: npt.NDArray[np.int64],
        status: npt.NDArray[np.uint8],
        pixel: Array,
        lengths: Array,
    ) -> None:
        """Decide points by rays, in an order that keeps neighbours together."""
        at = pixel[undecided].astype(np.int64) // 16
        undecided = undecided[np.argsort(at[:, 1] * (calibration.width // 16 + 1) + at[:, 0], kind="stable")]
        targets = points[undecided]
        if calibration.type == "orthographic":
            directions = lengths[undecided, None] * transform[:3, 2]
        else:
            directions = targets - transform[:3, 3]
        starts = (targets - self._scene._origin) - directions
        ts, met = self._tree.cast(starts, directions, 0.0, 1.0, self._threads)
        places = self._scene._face_places()
        lens = calibration.lens_params()

        def settle(start: int) -> None:
            some = slice(start, start + _POINTS)
            sight.settle_points(
                self._scene._arrays, places, undecided[some], ts[some], met[some], directions[some], pixel, lengths, lens,
                self._tolerance, status,
            )  # fmt: skip

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(settle, range(0, len(undecided), _POINTS)))


def _checked_points(value: npt.ArrayLike) -> Array:
    try:
        points = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            "points make no array of numbers; (..., 3) numbers are needed: pass x, y, z"
        ) from None
    if points.ndim == 0 or points.shape[-1] != 3:
        raise ValueError(f"points have the shape {points.shape}; (..., 3) is needed: pass x, y, z")
    bad = ~np.isfinite(points).all(axis=-1)
    if bad.any():
        raise ValueError(
            f"{np.count_nonzero(bad)} of {bad.size} points are not finite, the first at {np.flatnonzero(bad)[0]}; finite "
            "numbers are needed: leave those points out"
        )
    return np.ascontiguousarray(points)
