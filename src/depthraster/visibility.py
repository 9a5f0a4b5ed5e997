"""Which points cameras see: `visible` for one camera, `visibility_table` for many.

How that is found is ``looking.py``'s, the rule is ``kernels/sight.py``'s. The commonest change is another thing to know of a
point: an array of `Visibility`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.edges import checked_tolerance
from depthraster.kernels import sight
from depthraster.looking import Looking, Points
from depthraster.scene import Scene, thread_count
from depthraster.sparse import as_scipy, entries_of
from depthraster.viewpoint import label_of, many_views, place_of

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["Sight", "Visibility", "VisibilityTable", "visibility_table", "visible"]

_AT_ONCE = 8  # cameras at most: each takes 29 bytes per point
_AHEAD = 2  # cameras per thread that may wait for an earlier one to be ready

Array = npt.NDArray[np.float64]
Columns = tuple[npt.NDArray[Any], ...]


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
        return np.asarray(np.asarray(self.status) == sight.VISIBLE)

    def __repr__(self) -> str:
        if np.ndim(self.status) == 0:
            status = np.asarray(self.status).item()
            name = next((known.name for known in Sight if known == status), status)
            return f"Visibility(status={name}, pixel={self.pixel}, depth={self.depth})"
        return f"Visibility({np.size(self.status)} points, {np.count_nonzero(self.visible)} visible)"


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
        """Return which entries, a slice of the arrays, are a camera's, by its number."""
        return entries_of(self.view, view, self.n_views)

    def to_scipy(self) -> coo_array:
        """Return the table as an (N, M) ``scipy.sparse`` array of bool (the extra ``resample`` installs scipy).

        ``.tocsr()`` of it finds the cameras of a point at once.
        """
        ones = np.ones(len(self.point), np.bool_)
        return as_scipy(ones, self.point, self.view, (self.n_points, self.n_views))

    def __repr__(self) -> str:
        return f"VisibilityTable({self.n_points} points x {self.n_views} views, {np.size(self.point)} pairs visible)"


def visible(
    scene: Any,
    points: npt.ArrayLike,
    transform: npt.ArrayLike,
    calibration: Calibration,
    tolerance: float = 2.0,
    *,
    threads: int | None = None,
) -> Visibility:
    """Find which points a camera sees, and where.

    A point in the image is visible if no face lies before it; both sides of faces hide. As a point on a surface is as likely
    before it as behind it, a face may be nearer by what the surface changes over some pixels, the ``tolerance``: so much
    times the pixel's width there, times the tangent of the angle at which the face is seen, but 1 at least and 4 at most (45
    and 76 degrees). Faces are held against each point's own ray; nothing is missed for being thinner than a pixel.

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
    coordinates, tolerance = _checked_points(points), checked_tolerance(tolerance, "tolerance")
    n_threads = thread_count(threads)
    scene = Scene.from_mesh(scene, threads=threads)
    looking = Looking(scene, Points.as_given(coordinates.reshape(-1, 3)), tolerance, n_threads)
    status, pixel, depth = looking.at(transform, calibration)
    shape = coordinates.shape[:-1]
    return Visibility(status.reshape(shape), pixel.reshape(*shape, 2), depth.reshape(shape))


def visibility_table(
    scene: Any,
    points: npt.ArrayLike,
    views: Iterable[Any],
    tolerance: float = 2.0,
    *,
    progress: Callable[[int, int | None], object] | None = None,
    threads: int | None = None,
) -> VisibilityTable:
    """Find which of many points each of many cameras sees.

    Parameters
    ----------
    scene, tolerance, threads
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
    tolerance, n_threads = checked_tolerance(tolerance, "tolerance"), thread_count(threads)
    views = many_views(views)
    scene = Scene.from_mesh(scene, threads=threads)
    total = len(views) if isinstance(views, Sized) else None
    # Each thread has cameras of its own, as far as there are enough.
    at_once = min(n_threads, _AT_ONCE, n_threads if total is None else max(total, 1))
    several = Points.in_order(coordinates, n_threads)
    idle = [Looking(scene, several, tolerance, -(-n_threads // at_once)) for _ in range(at_once)]

    def look(index: int, view: Any) -> tuple[str, Columns]:
        label, looking = label_of(view, index), idle.pop()
        try:
            return label, looking.visible_from(*place_of(view))
        except (TypeError, ValueError) as error:
            raise type(error)(f"view {label!r}: {error}") from error
        finally:
            idle.append(looking)

    labels: list[str] = []
    counts: list[int] = []
    point, pixel, depth = _Column(np.int64), _Column(np.float64, 2), _Column(np.float64)
    for label, found in _in_order(look, views, at_once):
        labels.append(label)
        counts.append(len(found[0]))
        for column, part in zip((point, pixel, depth), found, strict=True):
            column.append(part, 0 if total is None else total - len(labels))
        if progress is not None:
            progress(len(labels), total)
    view_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return VisibilityTable(
        point.array, view_of, pixel.array, depth.array, len(coordinates), len(labels), tuple(labels)
    )


class _Column:
    """An array that grows: while threads look, what they have found is put in its place."""

    def __init__(self, dtype: npt.DTypeLike, width: int | None = None) -> None:
        self._memory, self._n = np.empty((0,) if width is None else (0, width), dtype), 0

    @property
    def array(self) -> npt.NDArray[Any]:
        """Return what there is."""
        return self._memory[: self._n]

    def append(self, part: npt.NDArray[Any], n_to_come: int) -> None:
        """Add a part, after which as many are to come as far as is known."""
        stop = self._n + len(part)
        if stop > len(self._memory):
            # Memory that nothing is written to costs nothing.
            grown = np.empty((stop + max(stop, n_to_come * len(part) * 5 // 4), *part.shape[1:]), part.dtype)
            grown[: self._n] = self.array
            self._memory = grown
        self._memory[self._n : stop] = part
        self._n = stop


def _in_order(
    look: Callable[[int, Any], tuple[str, Columns]], views: Iterable[Any], at_once: int
) -> Iterator[tuple[str, Columns]]:
    """Yield what ``look`` returns for each view and its number, in their order; it works at several at once."""
    pending: deque[Future[tuple[str, Columns]]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for index, view in enumerate(views):
                pending.append(pool.submit(look, index, view))
                if len(pending) > _AHEAD * at_once:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for one in pending:
                one.cancel()


def _checked_points(value: npt.ArrayLike) -> Array:
    try:
        points = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            "points make no array of numbers; (..., 3) numbers are needed: pass x, y, z"
        ) from None
    if points.ndim == 0 or points.shape[-1] != 3:
        raise ValueError(f"points have the shape {points.shape}; (..., 3) is needed: pass x, y, z")
    if not np.isfinite(points).all():
        bad = ~np.isfinite(points).all(axis=-1)
        raise ValueError(
            f"{np.count_nonzero(bad)} of {bad.size} points are not finite, the first at {np.flatnonzero(bad)[0]}; finite "
            "numbers are needed: leave those points out"
        )
    return np.ascontiguousarray(points)
