"""`Layers`: the aligned images of one view that `render` returns together, and what each of them holds.

The kernels write 1/Z and the face index; what follows from them is made by ``derived.py`` and ``edges.py``; how layers look
is ``pictures.py``'s. The commonest change is a new layer: its name and description in `LAYERS`, a field of `Layers`, and
where it comes from: an array in ``derived.py``, written by ``kernels/derive.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LAYERS", "Layers", "checked_layers", "pixel_bytes"]

LAYERS = {
    "depth": "float32 (H, W): Z in the camera's frame, or the range where that is the depth asked for; chunk units",
    "alpha": "float32 (H, W): 1.0 where a face is seen, 0.0 elsewhere",
    "range": "float32 (H, W): Euclidean distance from the camera's centre; chunk units",
    "face_index": "int32 (H, W): index of the face seen, in the order of the mesh given; -1 elsewhere",
    "barycentric": "float32 (H, W, 3): weights of the face's vertices where the ray meets it; 0 0 0 elsewhere",
    "normal": "float32 (H, W, 3): unit normal of the face seen, along the camera's axes; 0 0 0 elsewhere",
    "position": "float64 (H, W, 3): where the ray meets the face, chunk frame; NaN elsewhere",
    "view_angle": "float32 (H, W): angle between the face's normal and the way back to the camera, radians; NaN elsewhere",
    "edge": "bool (H, W): where the surface breaks off beside the pixel",
}

_BYTES = {"barycentric": 12, "normal": 12, "position": 24, "edge": 1}  # of a pixel; 4 of the others


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
    barycentric : (H, W, 3) float32 array
        Weights of the face's three vertices in the order in which the mesh given has them, where the pixel's ray meets the
        face: each 0 to 1, together 1. 0 0 0 where no face is seen.
    normal : (H, W, 3) float32 array
        The face's own unit normal, or with ``vertex_normals`` the interpolated one, along the axes of ``normal_frame``: by
        default the camera's (X right, Y down, Z forward). The face's own points to the side from which the face's vertices
        run counter-clockwise: towards the camera, or away from it for a face whose back is seen (``cull_faces=False``).
        0 0 0 where no face is seen.
    position : (H, W, 3) float64 array
        Where the pixel's ray meets the face, in ``position_frame``: by default the chunk's. NaN where no face is seen.
        Double precision, which coordinates in UTM or geocentric need.
    view_angle : (H, W) float32 array
        The angle between the face's own normal and the way from there to the camera, radians: 0 where the face is seen
        squarely, up to pi/2; more for a back. NaN where no face is seen.
    edge : (H, W) bool array
        True where a face is seen and the surface breaks off towards a pixel to the left or right, above or below: no face
        is seen there, or the range jumps by more than ``edge_tolerance`` times what the slopes of the two faces explain.
        See docs/conventions.md.
    attributes : dict of str to (H, W, ...) array
        The attributes asked for, by name, in the types that they were given in.
    """

    depth: npt.NDArray[np.float32] | None = None
    alpha: npt.NDArray[np.float32] | None = None
    range: npt.NDArray[np.float32] | None = None
    face_index: npt.NDArray[np.int32] | None = None
    barycentric: npt.NDArray[np.float32] | None = None
    normal: npt.NDArray[np.float32] | None = None
    position: npt.NDArray[np.float64] | None = None
    view_angle: npt.NDArray[np.float32] | None = None
    edge: npt.NDArray[np.bool_] | None = None
    attributes: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    _image: npt.NDArray[np.float32] | None = field(
        default=None, repr=False
    )  # of which depth and alpha are parts


def checked_layers(layers: str | Iterable[str], may_be_none: bool = False) -> frozenset[str]:
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
    if not names and not may_be_none:
        raise ValueError(f"no layers were named; at least one is needed: ask for some of {', '.join(LAYERS)}")
    return frozenset(names)


def pixel_bytes(names: Iterable[str]) -> int:
    """Return how many bytes the images of layers take per pixel."""
    return sum(_BYTES.get(name, 4) for name in names)
