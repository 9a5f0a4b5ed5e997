"""`faces_seen`: which faces of a mesh cameras see, and how large.

Rendering the views one after the other is ``views.py``'s; here their pixels are counted. The commonest change is another sum
over the pixels of a face: beside the counts of ``kernels/counting.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.counting import collect_counts, count_faces
from depthraster.scene import Scene
from depthraster.sparse import as_scipy, entries_of
from depthraster.views import render_views

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["FacesSeen", "faces_seen"]


class FacesSeen(NamedTuple):
    """Which of F faces M cameras see: a sparse table, an entry for each pair, camera by camera.

    Attributes
    ----------
    face : (n,) int32 array
        Index of the face in the mesh given, ascending within a camera.
    view : (n,) int32 array
        Index of the camera, ascending.
    pixels : (n,) int32 array
        How many pixels of the camera's image show the face.
    n_faces, n_views : int
        F, those that were dropped included, and M.
    labels : tuple of str
        Of the cameras; their numbers, where they have none.
    """

    face: npt.NDArray[np.int32]
    view: npt.NDArray[np.int32]
    pixels: npt.NDArray[np.int32]
    n_faces: int
    n_views: int
    labels: tuple[str, ...]

    @property
    def pixels_per_face(self) -> npt.NDArray[np.int64]:
        """(F,) int64: how many pixels of all images show each face."""
        totals = np.bincount(self.face, weights=self.pixels, minlength=self.n_faces)
        return totals.astype(np.int64)  # exact: below 2**53

    @property
    def views_per_face(self) -> npt.NDArray[np.int64]:
        """(F,) int64: how many cameras see each face."""
        return np.bincount(self.face, minlength=self.n_faces)

    def of_view(self, view: int) -> slice:
        """Return which entries, a slice of the arrays, are a camera's, by its number."""
        return entries_of(self.view, view, self.n_views)

    def to_scipy(self) -> coo_array:
        """Return the pixels as an (F, M) ``scipy.sparse`` array (the extra ``resample`` installs scipy)."""
        return as_scipy(self.pixels, self.face, self.view, (self.n_faces, self.n_views))

    def __repr__(self) -> str:
        return f"FacesSeen({self.n_faces} faces x {self.n_views} views, {np.size(self.face)} pairs seen)"


def faces_seen(
    scene: Any,
    views: Iterable[Any],
    *,
    cull_faces: bool = True,
    progress: Callable[[int, int | None], object] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
) -> FacesSeen:
    """Find which faces each of many cameras sees, and how large: in pixels of its image.

    A face that lies between the centres of pixels is seen by none; take larger images for smaller faces
    (``calibration.scaled(2)``).

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame.
    views, progress, threads, executor
        The M cameras and the rest, as for `render_views`.
    cull_faces : bool
        As for `render_depth`.

    Returns
    -------
    FacesSeen

    Raises
    ------
    TypeError, ValueError
        As `render_views`, and of a camera that cannot be rendered; the message begins with its label.
    """
    scene = Scene.from_mesh(scene, threads=threads)
    counts = np.zeros(scene._given[1], np.int32)
    labels: list[str] = []
    found: list[tuple[npt.NDArray[np.int32], ...]] = []
    for view in render_views(
        scene,
        views,
        "face_index",
        cull_faces=cull_faces,
        progress=progress,
        threads=threads,
        executor=executor,
    ):
        face_index = view.layers.face_index
        assert face_index is not None  # it was asked for
        faces = np.empty(count_faces(face_index, counts), np.int32)
        pixels = np.empty_like(faces)
        collect_counts(counts, faces, pixels)
        found.append((faces, np.full(len(faces), view.index, np.int32), pixels))
        labels.append(view.label)
    nothing = np.empty(0, np.int32)
    columns = zip((nothing, nothing, nothing), *found, strict=True)
    face, view_of, pixels_of = (np.concatenate(parts) for parts in columns)
    return FacesSeen(face, view_of, pixels_of, scene._given[1], len(labels), tuple(labels))
