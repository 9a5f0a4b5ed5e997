"""`Layers`: the aligned images of one view that `render` returns together, and what each of them holds.

The kernels write 1/Z and the face index; what follows from them is made by ``derived.py`` and ``edges.py``; how layers look
is ``pictures.py``'s. The commonest change is a new layer: its name and description in `LAYERS`, a field of `Layers`, and
where it comes from: an array in ``derived.py``, written by ``kernels/derive.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthraster.pictures import draw_picture, plot_layers, png_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

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


@dataclass(frozen=True, eq=False, repr=False)
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
    _image: npt.NDArray[np.float32] | None = None  # of which depth and alpha are parts
    _background: float = 0.0  # of depth and range

    def __post_init__(self) -> None:
        for name in self.attributes:
            if name in LAYERS and getattr(self, name) is not None:
                raise ValueError(
                    f"attribute {name!r} has the name of a layer that is asked for, too; another is needed: rename it"
                )

    if not TYPE_CHECKING:  # to type checkers any name would be an attribute then

        def __getattr__(self, name: str) -> Any:
            hint = ""
            if name in vars(self).get("attributes", ()):
                hint = f": it is an attribute, layers.attributes[{name!r}]"
            raise AttributeError(f"Layers have no layer {name!r}{hint}", name=name, obj=self)

    def images(self) -> dict[str, npt.NDArray[Any]]:
        """Return the images that there are, by name: layers first, then attributes."""
        found = {name: getattr(self, name) for name in LAYERS if getattr(self, name) is not None}
        return found | self.attributes

    def picture(self, *names: str) -> Image:
        """Draw layers for the eye: each in colours of its own kind, with their scale. Notebooks show it by themselves.

        Depth and range are light near by and dark far away, evenly in the logarithm between the 1st and the 99th percentile
        of what is seen; view angles are light where faces are seen squarely; numbers of faces and labels have a colour each.
        Normals are red to the image's right, green upwards, blue towards the camera if they are along the camera's axes.

        Parameters
        ----------
        *names : str
            Layers or attributes; all that there are by default.

        Returns
        -------
        PIL.Image.Image
            RGB, some hundred pixels wide for each layer.

        Raises
        ------
        ValueError
            A name of which there is no image.
        """
        return draw_picture(self._chosen(names), self._seen())

    def plot(self, *names: str, axes: Any = None) -> Figure:
        """Plot layers with matplotlib (the extra ``plot``): axes are in pixels, scales in the layers' units.

        Parameters
        ----------
        *names : str
            Layers or attributes; all that there are by default.
        axes : matplotlib Axes or sequence of them, optional
            Where to plot, one for each; by default in a figure of their own.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            A name of which there is no image, or another number of axes.
        ImportError
            Without the extra.
        """
        return plot_layers(self._chosen(names), self._seen(), axes)

    def _repr_png_(self) -> bytes | None:
        images = self.images()
        return png_of(draw_picture(images, self._seen())) if images else None

    def __repr__(self) -> str:
        shown = [
            f"{name} {' x '.join(map(str, image.shape))} {image.dtype}"
            for name, image in self.images().items()
        ]
        return f"Layers({', '.join(shown)})"

    def _chosen(self, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
        images = self.images()
        for name in names:
            if name not in images:
                raise ValueError(
                    f"there is no image {name!r} here; {', '.join(images) or 'none'} there is: ask `render` for it"
                )
        if not images:
            raise ValueError("there are no images here; at least one is needed: ask `render` for layers")
        return {name: images[name] for name in names} if names else images

    def _seen(self) -> npt.NDArray[np.bool_]:
        """Return where a face is seen, as far as the images tell."""
        if self.face_index is not None:
            return np.asarray(self.face_index >= 0)
        if self.alpha is not None:
            return np.asarray(self.alpha > 0)
        if self.view_angle is not None:
            return ~np.isnan(self.view_angle)
        if self.position is not None:
            return ~np.isnan(self.position[..., 0])
        for vectors in (self.barycentric, self.normal):
            if vectors is not None:
                return np.asarray(vectors.any(axis=-1))
        for lengths in (self.depth, self.range):
            if lengths is not None:
                empty = (
                    np.isnan(lengths)
                    if np.isnan(self._background)
                    else lengths == np.float32(self._background)
                )
                return np.asarray(~empty)
        return np.ones(next(iter(self.images().values())).shape[:2], np.bool_)


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
