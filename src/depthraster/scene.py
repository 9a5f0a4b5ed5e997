"""`Scene`: a mesh checked, ordered along a space-filling curve and cut into clusters, once for all views.

It takes vertices and faces as the caller has them and keeps nothing of them but what the kernels need, about
20 bytes per face. Reading files, its own included, is ``io``'s, looking at a scene is ``render.py``'s, the loops over
faces are ``kernels/clusters.py``'s.

The commonest change is a new value per cluster: a field of `ClusterArrays`, an output of `build_clusters`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.curve import faces_in_order, ranges_of
from depthraster.kernels.clusters import LANES, MAX_FACES, MAX_VERTICES, MIN_FACES, build_clusters
from depthraster.kernels.faces import PLACES
from depthraster.kernels.select import GROUP, TOGETHER, group_boxes

__all__ = ["ClusterArrays", "CornerArrays", "Scene", "thread_count"]

_MAX_FACES = 2**31 - 1  # face indices are int32
# What a scene's arrays depend on; one saved with other values is refused.
_LAYOUT = {
    "faces per cluster": MAX_FACES,
    "vertices per cluster": MAX_VERTICES,
    "lanes": LANES,
    "clusters per group": GROUP,
}


class ClusterArrays(NamedTuple):
    """The prepared mesh as the kernels see it; n clusters, F faces, coordinates relative to the scene's origin."""

    first_face: npt.NDArray[np.int64]  # (n + 1,) faces of cluster c: first_face[c] .. first_face[c + 1]
    first_vertex: npt.NDArray[np.int64]  # (n,) where its x y z begin in `narrow` or `wide`
    n_vertices: npt.NDArray[np.int32]  # (n,)
    is_wide: npt.NDArray[np.bool_]  # (n,)
    centre: npt.NDArray[np.float64]  # (n, 3)
    half: npt.NDArray[np.float32]  # (n, 3) half the size of the box around the centre
    cone: npt.NDArray[np.float32]  # (n, 4) axis of the faces' normals, cosine of the half angle, -2: no cone
    corners: npt.NDArray[np.uint8]  # (3 F,) local vertex numbers, and some more that mean nothing
    face_ids: npt.NDArray[np.int32]  # (F,) index of the face in the caller's mesh
    narrow: npt.NDArray[np.int32]  # x y z of vertices, in lattice steps from their cluster's centre
    wide: npt.NDArray[np.float64]  # those of clusters too wide for that
    groups: npt.NDArray[np.float64]  # (6, m) boxes of groups of consecutive clusters, see `group_boxes`
    step: float  # the lattice step, 0 where there is none
    extent: float  # no coordinate is farther than this from the scene's origin


class CornerArrays(NamedTuple):
    """Which of the caller's vertices the faces' corners are, for what is looked up by them."""

    first_id: npt.NDArray[np.int64]  # (n + 1,) vertices of cluster c: first_id[c] .. first_id[c + 1]
    vertex_ids: npt.NDArray[np.uint32]  # index of the vertex in the caller's mesh, cluster by cluster
    turns: npt.NDArray[np.uint8]  # (F,) by place: which of the face's corners, as given, is its first here


def thread_count(threads: int | None) -> int:
    """Return ``threads``, or the number of processors this process may use."""
    if threads is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)):
        raise TypeError(
            f"threads is {threads!r}; a positive whole number or None is needed: pass e.g. threads=2"
        )
    if threads < 1:
        raise ValueError(
            f"threads is {threads}; at least 1 is needed: pass a positive number, or None for all processors"
        )
    return int(threads)


class FacePlaces(NamedTuple):
    """Where faces are by their index in the caller's mesh."""

    places: npt.NDArray[np.int32]  # place in `face_ids`; of faces that were dropped anything
    # By place // PLACES: the cluster that holds the first of these places; and by place: 4 x what is to be added to that,
    # plus `CornerArrays.turns`.
    clusters: npt.NDArray[np.int32]
    hints: npt.NDArray[np.uint8]


class Scene:
    """A mesh prepared for rendering: checked, centred, ordered, clustered; immutable, shared by views and threads.

    Parameters
    ----------
    vertices : (V, 3) array of float
        Vertices in the chunk's frame and units. float64 and float32 are used as they are, other numbers are
        converted to float64. Only read during the call.
    faces : (F, 3) array of int
        Vertex indices, counter-clockwise seen from outside. Only read during the call.
    invalid : {"error", "drop"}
        What to do with faces that use a vertex that is missing or not finite: refuse the mesh, naming the
        first, or leave them out with a warning that counts them.
    threads : int, optional
        Threads used for the preparation, all processors by default. The result does not depend on it.

    Raises
    ------
    TypeError, ValueError
        Arrays of the wrong kind or shape, no faces, more than 2**31 - 1 faces, or invalid faces.

    Notes
    -----
    Vertices are stored relative to the scene's origin, either as float64 or, in scenes of more than a few
    thousand faces, rounded to a lattice whose step is 2**-32 of the extent of a large cluster (about 1e-8 of
    that cluster's own extent, so about 1e-6 pixel or less where the cluster fills the image).
    """

    __slots__ = ("_arrays", "_bounds", "_corners", "_given", "_n_dropped", "_origin", "_places")
    _places: FacePlaces  # made when they are first asked for

    def __init__(
        self,
        vertices: npt.ArrayLike,
        faces: npt.ArrayLike,
        *,
        invalid: Literal["error", "drop"] = "error",
        threads: int | None = None,
    ) -> None:
        self._prepare(vertices, faces, invalid, thread_count(threads), "auto")

    @classmethod
    def from_mesh(
        cls, mesh: Any, *, invalid: Literal["error", "drop"] = "error", threads: int | None = None
    ) -> Scene:
        """Make a scene of whatever holds a mesh.

        Parameters
        ----------
        mesh : Scene, trimesh.Trimesh, (vertices, faces) pair, or path
            A `Scene` is returned as it is. A path is read with `load_mesh`.
        invalid, threads
            As for `Scene`.
        """
        if isinstance(mesh, Scene):
            return mesh
        if isinstance(mesh, (str, os.PathLike)):
            from depthraster.io.meshes import load_mesh

            mesh = load_mesh(mesh)
        if hasattr(mesh, "vertices") and hasattr(mesh, "faces"):
            return cls(mesh.vertices, mesh.faces, invalid=invalid, threads=threads)
        if isinstance(mesh, (tuple, list)) and len(mesh) == 2:
            return cls(mesh[0], mesh[1], invalid=invalid, threads=threads)
        raise TypeError(
            f"the mesh is a {type(mesh).__name__}; a Scene, a trimesh.Trimesh, a (vertices, faces) pair or a path is "
            "needed: pass one of them"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the prepared scene to a file that `open` maps into memory: a cache, for this version and processor.

        Parameters
        ----------
        path : str or path
            Replaced if it exists, written whole or not at all; about 20 bytes per face.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        from depthraster.io.scene_files import write_scene_file

        arrays = self._arrays._asdict() | self._corners._asdict()
        values = {
            "bounds": self._bounds.tolist(), "origin": self._origin.tolist(), "n_dropped": self._n_dropped,
            "given": self._given, "step": arrays.pop("step"), "extent": arrays.pop("extent"),
        }  # fmt: skip
        write_scene_file(path, _LAYOUT, values, arrays)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = False) -> Scene:
        """Open a scene that `save` wrote, without reading it: pages are loaded as views need them, and shared.

        Parameters
        ----------
        path : str or path
            The file; it must stay as it is as long as the scene is in use.
        verify : bool
            Read all of it first and compare with its checksums. The header's is compared in any case.

        Raises
        ------
        FormatError
            The file is no scene, damaged, cut short, or made by another version or another kind of processor.
        OSError
            It cannot be read.
        """
        from depthraster.io.scene_files import read_scene_file

        values, arrays = read_scene_file(path, _LAYOUT, verify)
        scene = cls.__new__(cls)
        bounds, origin = np.array(values["bounds"]), np.array(values["origin"])
        bounds.flags.writeable = origin.flags.writeable = False
        scene._corners = CornerArrays(**{name: arrays.pop(name) for name in CornerArrays._fields})
        scene._arrays = ClusterArrays(**arrays, step=values["step"], extent=values["extent"])
        scene._given = values["given"][0], values["given"][1]
        scene._bounds, scene._origin, scene._n_dropped = bounds, origin, values["n_dropped"]
        return scene

    @classmethod
    def _with_storage(
        cls, vertices: npt.ArrayLike, faces: npt.ArrayLike, storage: Literal["auto", "narrow", "wide"]
    ) -> Scene:
        """Make a scene whose vertices are stored in a given way, for tests."""
        scene = cls.__new__(cls)
        scene._prepare(vertices, faces, "error", thread_count(None), storage)
        return scene

    @property
    def n_faces(self) -> int:
        """Number of faces that can be seen: those given, less those dropped."""
        return int(self._arrays.face_ids.size)

    @property
    def n_dropped(self) -> int:
        """Number of invalid faces left out, with ``invalid="drop"``."""
        return self._n_dropped

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """(2, 3) float64: least and greatest coordinates of the vertices that faces use, chunk frame."""
        return self._bounds

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the prepared mesh takes."""
        arrays = (*self._arrays, *self._corners)
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    def _face_places(self) -> FacePlaces:
        """Return where faces lie in the clusters by their index; five bytes per face, made when first asked for."""
        try:
            return self._places
        except AttributeError:
            ids = self._arrays.face_ids
            places = np.zeros(self._given[1], np.int32)
            places[ids] = np.arange(len(ids), dtype=np.int32)
            first_face = self._arrays.first_face
            cluster = np.repeat(np.arange(len(first_face) - 1, dtype=np.int32), np.diff(first_face))
            clusters = cluster[::PLACES].copy()
            cluster -= np.repeat(clusters, PLACES)[
                : len(ids)
            ]  # less than PLACES, so that four times it is a byte
            found = FacePlaces(places, clusters, (4 * cluster).astype(np.uint8) | self._corners.turns)
            for array in found:
                array.flags.writeable = False
            object.__setattr__(self, "_places", found)  # of two threads that come here, the later one's stay
            return found

    def __repr__(self) -> str:
        return f"Scene(n_faces={self.n_faces}, nbytes={self.nbytes})"

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError(f"a Scene cannot be changed, {name} was set: make a new Scene instead")
        object.__setattr__(self, name, value)

    def _prepare(
        self,
        vertices_like: npt.ArrayLike,
        faces_like: npt.ArrayLike,
        invalid: str,
        threads: int,
        storage: str,
    ) -> None:
        if invalid not in ("error", "drop"):
            raise ValueError(f"invalid is {invalid!r}; 'error' or 'drop' is needed: pass one of them")
        vertices = _checked_vertices(vertices_like)
        faces = _checked_faces(faces_like)
        with ThreadPoolExecutor(threads) as pool:
            order, bounds, n_dropped = faces_in_order(vertices, faces, invalid, pool)
            origin = 0.5 * bounds[0] + 0.5 * bounds[1]
            step, widest = _lattice(vertices, faces, order, origin, storage)
            of_faces, of_clusters = _clustered(vertices, faces, order, origin, step, widest, pool)
            del order  # which is as large as what follows
            arrays, corners = _joined(of_faces, of_clusters, step)
        for array in (bounds, origin, *arrays[:-2], *corners):
            array.flags.writeable = False
        self._arrays = arrays
        self._corners = corners
        self._given = len(vertices), len(faces)
        self._bounds = bounds
        self._origin = origin
        self._n_dropped = n_dropped


def _as_array(value: npt.ArrayLike, name: str, needed: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} make no array ({error}); a {needed} is needed: pass rows of equal length"
        ) from None


def _checked_vertices(vertices_like: npt.ArrayLike) -> npt.NDArray[Any]:
    vertices = _as_array(vertices_like, "vertices", "(V, 3) array of numbers")
    if vertices.dtype.kind not in "fiu":
        raise TypeError(
            f"vertices are of type {vertices.dtype}; real numbers are needed: pass a (V, 3) float array"
        )
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(
            f"vertices have the shape {vertices.shape}; (V, 3) is needed: pass one row x, y, z per vertex"
        )
    if vertices.dtype not in (np.float64, np.float32) or not vertices.dtype.isnative:
        vertices = vertices.astype(np.float64)
    return np.ascontiguousarray(vertices)


def _checked_faces(faces_like: npt.ArrayLike) -> npt.NDArray[Any]:
    faces = _as_array(faces_like, "faces", "(F, 3) array of vertex indices")
    if faces.size == 0:
        raise ValueError(
            f"the mesh has no faces (shape {faces.shape}); at least one is needed: a point cloud must be meshed first"
        )
    if faces.dtype.kind not in "iu":
        raise TypeError(
            f"faces are of type {faces.dtype}; integers are needed: pass a (F, 3) array of vertex indices"
        )
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces have the shape {faces.shape}; (F, 3) is needed: triangulate the mesh first")
    if len(faces) > _MAX_FACES:
        raise ValueError(f"the mesh has {len(faces)} faces; at most {_MAX_FACES} are possible: split it")
    if faces.dtype not in (np.int32, np.int64) or not faces.dtype.isnative:
        # uint64 beyond int64 becomes negative, which is refused as a missing vertex.
        faces = faces.astype(np.int64 if faces.dtype.itemsize >= 4 else np.int32)
    return np.ascontiguousarray(faces)


def _lattice(
    vertices: npt.NDArray[Any],
    faces: npt.NDArray[Any],
    order: npt.NDArray[np.uint64],
    origin: npt.NDArray[np.float64],
    storage: str,
) -> tuple[float, float]:
    """Choose the lattice step and the greatest extent of a cluster stored in steps; (0, 0) for no lattice.

    Small scenes need none. In others the extents of some clusters' worth of faces are measured; the lattice
    is made for those up to four times the 99th percentile, and the few that are wider (a stray face, a skirt
    around a terrain) keep float64.
    """
    if storage == "wide" or (storage == "auto" and len(order) < 64 * MAX_FACES):
        return 0.0, 0.0
    n_groups = max(len(order) // MAX_FACES, 1)
    starts = np.linspace(0, n_groups - 1, min(n_groups, 1024)).astype(np.int64) * MAX_FACES
    places = np.minimum(starts[:, np.newaxis] + np.arange(MAX_FACES), len(order) - 1)
    some = order[places] & np.uint64(0xFFFFFFFF)
    names = faces[some.astype(np.int64)].reshape(len(starts), -1)
    extents = np.zeros(len(starts))
    for axis in range(3):
        along = vertices[:, axis][names]
        extents = np.maximum(extents, along.max(axis=1).astype(np.float64) - along.min(axis=1))
    share = 0.99 if storage == "auto" else 1.0
    widest = 4.0 * float(np.sort(extents)[int(share * (len(extents) - 1))])
    # 2**31 steps to each side of the centre, less room for rounding to the lattice. A power of two: products
    # with it are exact.
    if not (widest > 1e-290 and np.isfinite(widest)):
        return 0.0, 0.0
    return 2.0 ** np.ceil(np.log2(widest / (2.0**32 - 16))), widest


def _clustered(
    vertices: npt.NDArray[Any],
    faces: npt.NDArray[Any],
    order: npt.NDArray[np.uint64],
    origin: npt.NDArray[np.float64],
    step: float,
    widest: float,
    pool: ThreadPoolExecutor,
) -> tuple[tuple[npt.NDArray[Any], ...], list[list[npt.NDArray[Any]]]]:
    """Cut the order into clusters; return arrays by face, and by cluster or vertex in pieces."""
    n_faces = len(order)
    face_ids = np.empty(n_faces, np.int32)
    corners = np.zeros(3 * (n_faces + LANES), np.uint8)  # the kernels read whole vectors of faces
    turns = np.empty(n_faces, np.uint8)

    def build(item: tuple[int, int]) -> tuple[npt.NDArray[Any], ...]:
        start, stop = item
        n = stop - start
        most = n // MIN_FACES + 2
        n_faces_of, n_vertices_of = np.empty(most, np.int64), np.empty(most, np.int32)
        wide_of = np.empty(most, np.bool_)
        centre_of, half_of = np.empty((most, 3)), np.empty((most, 3), np.float32)
        cone_of = np.empty((most, 4), np.float32)
        # Room for the worst case, three vertices per face; pages that are not touched cost nothing.
        narrow, wide, ids = np.empty(9 * n, np.int32), np.empty(9 * n, np.float64), np.empty(3 * n, np.uint32)
        used, n_narrow, n_wide = build_clusters(
            vertices, faces, order, start, stop, origin, step, widest,
            face_ids[start:stop], corners[3 * start : 3 * stop], turns[start:stop], n_faces_of, n_vertices_of, wide_of,
            centre_of, half_of, cone_of, narrow, wide, ids,
        )  # fmt: skip
        return (
            n_faces_of[:used], n_vertices_of[:used], wide_of[:used], centre_of[:used], half_of[:used], cone_of[:used],
            narrow[:n_narrow].copy(), wide[:n_wide].copy(), ids[: n_vertices_of[:used].sum()].copy(),
        )  # fmt: skip

    pieces = [list(part) for part in zip(*pool.map(build, ranges_of(n_faces)), strict=True)]
    return (face_ids, corners, turns), pieces


def _joined(
    of_faces: tuple[npt.NDArray[Any], ...], parts: list[list[npt.NDArray[Any]]], step: float
) -> tuple[ClusterArrays, CornerArrays]:
    """Join what `_clustered` returns to the arrays that a scene keeps; the pieces are used up."""
    face_ids, corners, turns = of_faces
    # The kernels read vertices in whole vectors, so up to LANES - 1 vertices past the last one.
    parts[6].append(np.zeros(3 * LANES, np.int32))
    parts[7].append(np.zeros(3 * LANES, np.float64))
    joined = []
    # Each is let go when it is joined: all of them twice would be the most memory that preparing takes.
    while parts:
        joined.append(np.concatenate(parts.pop(0)))
    n_faces_of, n_vertices, is_wide, centre, half, cone, narrow, wide, vertex_ids = joined
    first_face = np.concatenate([[0], np.cumsum(n_faces_of)])
    first_id = np.concatenate([[0], np.cumsum(n_vertices, dtype=np.int64)])
    numbers = 3 * n_vertices.astype(np.int64)
    first_vertex = np.where(
        is_wide,
        np.cumsum(np.where(is_wide, numbers, 0)) - numbers,
        np.cumsum(np.where(is_wide, 0, numbers)) - numbers,
    )
    groups = np.empty((6, -(-len(half) // (GROUP * TOGETHER)) * TOGETHER))
    group_boxes(centre, half, groups)
    arrays = ClusterArrays(
        first_face,
        first_vertex,
        n_vertices,
        is_wide,
        centre,
        half,
        cone,
        corners,
        face_ids,
        narrow,
        wide,
        groups,
        float(step),
        float(np.abs(groups[:3]).max() + groups[3:].max()),
    )
    return arrays, CornerArrays(first_id, vertex_ids, turns)
