"""What lies along lines of sight, without an image: `pick_point` casts rays through a scene's clusters.

The search is ``kernels/picking.py``'s; here rays come in as arrays, are checked and shared out among threads. The commonest
change is another thing to know of a hit: a field of `Picks`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.picking import FANOUT, cluster_tree, pick
from depthraster.scene import Scene, thread_count

__all__ = ["Picks", "RayTree", "pick_point"]

_RAYS = 4096  # that a thread takes at a time
_FARTHEST = 1e100  # chunk units between the two points of a ray: products of three lengths are still finite, and not 0


class Picks(NamedTuple):
    """What rays meet; the shapes are those of the rays, () for a single one.

    Attributes
    ----------
    point : (..., 3) float64 array
        Where a ray meets the mesh first, chunk frame and units; NaN where it meets nothing.
    face_index : (...) int32 array
        The face there, by its index in the mesh given; -1 where there is none.
    t : (...) float64 array
        The point is origin + t (target - origin); NaN where there is none.
    """

    point: npt.NDArray[np.float64]
    face_index: npt.NDArray[np.int32]
    t: npt.NDArray[np.float64]

    def __repr__(self) -> str:
        if np.ndim(self.face_index) == 0:
            return f"Picks(point={self.point}, face_index={self.face_index}, t={self.t})"
        return f"Picks({np.size(self.face_index)} rays, {np.count_nonzero(np.asarray(self.face_index) >= 0)} hits)"


def pick_point(
    scene: Any,
    origin: npt.ArrayLike,
    target: npt.ArrayLike,
    endpoints: Literal[0, 1, 2] = 1,
    *,
    threads: int | None = None,
) -> Picks:
    """Find where rays first meet a mesh.

    Both sides of faces are met, and their edges belong to them: no ray passes between two faces that share an edge, nor
    between all of those around a vertex.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh. A `Scene` is prepared already; for several calls make it once.
    origin : (..., 3) array of float
        Where rays begin, chunk frame and units.
    target : (..., 3) array of float
        Another point on each, any distance away; origin and target are broadcast against each other.
    endpoints : {0, 1, 2}
        How many of the two points end the ray: with 2 only what lies from the origin to the target is met, with 1 also
        what lies behind the target, with 0 also what lies before the origin. A point of the mesh that is one of the ends
        is met, as far as rounding tells.
    threads : int, optional
        Threads used, all processors by default. The result is the same, bit for bit, for any number.

    Returns
    -------
    Picks
        Of several meeting points the one nearest to the origin (with ``endpoints=0`` on either side of it); where two
        faces are met in one, the one with the smaller index.

    Raises
    ------
    TypeError, ValueError
        Points that are no numbers, have another shape or are not finite, targets that are the origin or beyond reason (1e100
        chunk units), another number of endpoints, or what `Scene` refuses.

    Notes
    -----
    After Woop, Benthin and Wald, "Watertight Ray/Triangle Intersection", JCGT 2 (2013), in double precision: ``t`` is off by
    about 1e-15 of the distance, or of the distance between the scene's centre and the origin if that is greater, divided
    by the cosine of the angle between ray and normal: of the mesh as a `Scene` keeps it, on a lattice if it is large.
    So a segment that ends on the mesh, or a ray that begins there, may meet that very face or not: end or begin it a little
    off the face, or ask `visible`.
    """
    if isinstance(endpoints, bool) or endpoints not in (0, 1, 2):
        raise ValueError(
            f"endpoints is {endpoints!r}; 0 (a line), 1 (a ray) or 2 (a segment) is needed: pass one of them"
        )
    origins, targets = _points(origin, "origin"), _points(target, "target")
    n_threads = thread_count(threads)
    try:
        shape = np.broadcast_shapes(origins.shape, targets.shape)
    except ValueError:
        raise ValueError(
            f"origin has the shape {origins.shape} and target {targets.shape}; shapes that fit each other are needed: pass "
            "one origin, or one for each target"
        ) from None
    scene = Scene.from_mesh(scene, threads=threads)
    # Less the scene's origin first: a ray far from the chunk's keeps its digits.
    starts = np.ascontiguousarray(np.broadcast_to(origins - scene._origin, shape)).reshape(-1, 3)
    with np.errstate(over="ignore"):
        directions = np.ascontiguousarray(np.broadcast_to(targets - origins, shape)).reshape(-1, 3)
    if not (directions != 0.0).any(axis=1).all():
        which = int(np.argmin((directions != 0.0).any(axis=1)))
        raise ValueError(
            f"ray {which} has its origin {origins.reshape(-1, 3)[which % (origins.size // 3)].tolist()} for its target; two "
            "different points are needed: move one, or leave the ray out"
        )
    reach = np.abs(directions).max(axis=1, initial=0.0)
    far = (reach < 1.0 / _FARTHEST) | (reach > _FARTHEST)
    if far.any():
        which = int(np.argmax(far))
        raise ValueError(
            f"the two points of ray {which} are {reach[which]:.3g} apart; {1.0 / _FARTHEST:g} to {_FARTHEST:g} is needed: "
            "take another target on the ray"
        )
    t_least = -np.inf if endpoints == 0 else 0.0
    t_most = 1.0 if endpoints == 2 else np.inf
    t, face_index = RayTree(scene).cast(starts, directions, t_least, t_most, n_threads)
    point = starts + t[:, None] * directions + scene._origin
    return Picks(point.reshape(shape), face_index.reshape(shape[:-1]), t.reshape(shape[:-1]))


class RayTree:
    """A tree over a scene's clusters, for casting rays through it; making one takes 4 ns per cluster."""

    def __init__(self, scene: Scene) -> None:
        self._arrays = scene._arrays
        sizes = [len(self._arrays.centre)]
        while len(sizes) == 1 or sizes[-1] > 1:  # a node above all, even of a single cluster
            sizes.append(-(-sizes[-1] // FANOUT))
        self._starts = np.cumsum([0, *sizes])
        self._boxes = np.empty((self._starts[-1] - sizes[0], 6, FANOUT))
        cluster_tree(self._arrays.centre, self._arrays.half, self._starts, self._boxes)

    def cast(
        self,
        origins: npt.NDArray[np.float64],
        directions: npt.NDArray[np.float64],
        t_least: float,
        t_most: float,
        threads: int,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return what rays meet nearest to their origins.

        Parameters
        ----------
        origins, directions : (n, 3) float64 arrays
            Relative to the scene's origin; directions are not zero.
        t_least, t_most : float
            The part of the rays that is looked at, in units of their directions.
        threads : int
            How many to use.

        Returns
        -------
        t : (n,) float64 array
            Along the direction; NaN where nothing is met.
        face_index : (n,) int32 array
            -1 where nothing is met.
        """
        arrays = self._arrays
        t, face_index = np.empty(len(origins)), np.empty(len(origins), np.int32)

        def cast(start: int) -> None:
            rays = slice(start, start + _RAYS)
            pick(
                arrays.first_face, arrays.first_vertex, arrays.n_vertices, arrays.is_wide, arrays.centre, arrays.corners,
                arrays.face_ids, arrays.narrow, arrays.wide, arrays.step, self._starts, self._boxes, origins[rays],
                directions[rays], t_least, t_most, t[rays], face_index[rays],
            )  # fmt: skip

        if len(origins) <= _RAYS:
            cast(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(cast, range(0, len(origins), _RAYS)))
        return t, face_index


def _points(value: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    try:
        points = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} makes no array of numbers; (..., 3) numbers are needed: pass x, y, z"
        ) from None
    if points.ndim == 0 or points.shape[-1] != 3:
        raise ValueError(f"{name} has the shape {points.shape}; (..., 3) is needed: pass x, y, z")
    bad = ~np.isfinite(points).all(axis=-1)
    if bad.any():
        flat = np.flatnonzero(bad)
        raise ValueError(
            f"{len(flat)} of {bad.size} points of {name} are not finite, the first at {flat[0]}; finite numbers are needed: "
            "leave those rays out (pixels that a lens does not image have no direction)"
        )
    return points
