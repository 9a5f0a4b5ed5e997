"""`Layers`: the aligned images of one view that `render` returns together, and those that follow from the others.

The kernels write 1/Z and the face index; what the images hold is said here. The commonest change is a new
layer: its name and description in `LAYERS`, a field of `Layers`, and where it comes from: a function here, called in
``render.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthraster.kernels.surface import face_normals
from depthraster.scene import Scene

__all__ = ["LAYERS", "Layers", "checked_layers", "normal_layer"]

_ROWS = 64  # of an image that a thread takes at a time

LAYERS = {
    "depth": "float32 (H, W): Z in the camera's frame, or the range where that is the depth asked for; chunk units",
    "alpha": "float32 (H, W): 1.0 where a face is seen, 0.0 elsewhere",
    "range": "float32 (H, W): Euclidean distance from the camera's centre; chunk units",
    "face_index": "int32 (H, W): index of the face seen, in the order of the mesh given; -1 elsewhere",
    "normal": "float32 (H, W, 3): unit normal of the face seen, along the camera's axes; 0 0 0 elsewhere",
}


@dataclass(frozen=True, eq=False)
class Layers:
    """Images of one view, aligned to the pixel; those not asked for are None.

    Attributes
    ----------
    depth, alpha, range : (H, W) float32 arrays
        Z (or range) in chunk units; 1.0 or 0.0; Euclidean distance in chunk units. Where no face is seen,
        depth and range are the background value.
    face_index : (H, W) int32 array
        Index of the face in the mesh given, -1 where none is seen.
    normal : (H, W, 3) float32 array
        The face's own unit normal, not smoothed, along the camera's axes (X right, Y down, Z forward). It points to the
        side from which the face's vertices run counter-clockwise: towards the camera, or away from it for a face whose
        back is seen (``cull_faces=False``). 0 0 0 where none is seen.
    """

    depth: npt.NDArray[np.float32] | None = None
    alpha: npt.NDArray[np.float32] | None = None
    range: npt.NDArray[np.float32] | None = None
    face_index: npt.NDArray[np.int32] | None = None
    normal: npt.NDArray[np.float32] | None = None


def checked_layers(layers: str | Iterable[str]) -> frozenset[str]:
    """Return the names of layers as a set, or raise ValueError naming the one that does not exist."""
    try:
        names = [layers] if isinstance(layers, str) else list(layers)
    except TypeError:
        raise TypeError(
            f"layers is {layers!r}; names are needed: ask for some of {', '.join(LAYERS)}"
        ) from None
    for name in names:
        if name not in LAYERS:
            raise ValueError(
                f"there is no layer {name!r}; the layers are {', '.join(LAYERS)}: ask for some of them"
            )
    if not names:
        raise ValueError(f"no layers were named; at least one is needed: ask for some of {', '.join(LAYERS)}")
    return frozenset(names)


def normal_layer(
    scene: Scene, transform: npt.NDArray[np.float64], face_index: npt.NDArray[np.int32], threads: int
) -> npt.NDArray[np.float32]:
    """Return the normals of the faces that pixels show.

    Parameters
    ----------
    scene : Scene
        What was rendered.
    transform : (4, 4) float64 array
        ``chunk_from_camera``, checked to be a similarity.
    face_index : (H, W) int32 array
        The face that each pixel shows, -1 for none.
    threads : int
        Threads used.

    Returns
    -------
    (H, W, 3) float32 array
        See `Layers`; off by 1e-5 rad or less, but for faces smaller than 1e-4 of their neighbourhood, or much thinner than
        long.
    """
    arrays = scene._arrays
    places = scene._face_places()
    axes = np.ascontiguousarray(transform[:3, :3].T) / np.cbrt(np.linalg.det(transform[:3, :3]))
    normals = np.empty((*face_index.shape, 3), np.float32)

    def fill(start: int) -> None:
        rows = slice(start, start + _ROWS)
        face_normals(
            face_index[rows].reshape(-1), places, arrays.first_face, arrays.first_vertex, arrays.n_vertices,
            arrays.is_wide, arrays.corners, arrays.narrow, arrays.wide, axes, normals[rows].reshape(-1, 3),
        )  # fmt: skip

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, len(face_index), _ROWS)))
    return normals
