"""`Layers`: the aligned images of one view that `render` returns together.

The kernels write 1/Z and the face index; what the images hold is said here. The commonest change is a new
layer: its name and description in `LAYERS`, a field of `Layers`, and where it comes from in ``render.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LAYERS", "Layers", "checked_layers"]

LAYERS = {
    "depth": "float32 (H, W): Z in the camera's frame, or the range where that is the depth asked for; chunk units",
    "alpha": "float32 (H, W): 1.0 where a face is seen, 0.0 elsewhere",
    "range": "float32 (H, W): Euclidean distance from the camera's centre; chunk units",
    "face_index": "int32 (H, W): index of the face seen, in the order of the mesh given; -1 elsewhere",
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
    """

    depth: npt.NDArray[np.float32] | None = None
    alpha: npt.NDArray[np.float32] | None = None
    range: npt.NDArray[np.float32] | None = None
    face_index: npt.NDArray[np.int32] | None = None


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
