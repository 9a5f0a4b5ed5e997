"""Images that follow from the faces that pixels show, made tile by tile while the tile's rays are at hand.

`Derivation` is what ``pipeline.py`` calls for each finished tile; the loops are in ``kernels/derive.py``, what the images
mean is said in ``layers.py``, arrays of the caller's are checked by ``attributes.py``. The commonest change is another
image: its array in `Derivation.__init__`, written by one of the kernels that `_Worker` calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.attributes import Prepared
from depthraster.kernels.blocks import STRIDE, Pixels
from depthraster.kernels.channels import RUN
from depthraster.kernels.derive import Deriving, Surface, derive_tile
from depthraster.kernels.drawn import Drawn
from depthraster.kernels.interpolate import ROWS, interpolate_tile, name_vertices, nearest_tile, take_tile
from depthraster.kernels.meeting import Meeting
from depthraster.scene import Scene

__all__ = ["DERIVED", "Derivation"]

DERIVED = frozenset(("barycentric", "normal", "position", "view_angle"))

Array = npt.NDArray[np.float64]


class Derivation:
    """The derived images of one view, and how they come about.

    Parameters
    ----------
    scene : Scene
    transform : (4, 4) float64 array
        Camera to chunk, checked.
    shape : (int, int)
        Height and width of the images.
    names : set of str
        Those of `DERIVED` that are asked for.
    axes : (3, 3) float64 array
        Takes unit vectors from the chunk's axes to those that normals are given along.
    frame : (4, 4) float64 array
        Takes points from the chunk to where positions are given.
    vertex_normals : (V, 3) float64 array or None
        Makes normals smooth.
    attributes : dict of Prepared
        By name.
    empty : callable
        Returns an array to write an image to, by its name, shape and dtype; attributes have names with a slash.
    """

    def __init__(
        self,
        scene: Scene,
        transform: Array,
        shape: tuple[int, int],
        names: frozenset[str],
        *,
        axes: Array,
        frame: Array,
        vertex_normals: Array | None,
        attributes: Mapping[str, Prepared],
        empty: Callable[[str, tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]],
    ) -> None:
        self._scene = scene
        self._places = scene._face_places()
        self._camera = transform[:3, 3] - scene._origin
        self._axes = np.ascontiguousarray(axes)
        self._frame = np.ascontiguousarray(frame[:3])
        self._frame[:, 3] += (
            self._frame[:, :3] @ transform[:3, 3]
        )  # positions come relative to the camera's centre
        self._vertex_normals = vertex_normals
        self._attributes = attributes
        self.images: dict[str, npt.NDArray[Any]] = {
            name: empty(
                name,
                shape if name == "view_angle" else (*shape, 3),
                np.float64 if name == "position" else np.float32,
            )
            for name in sorted(names)
        }
        self.attribute_images = {
            name: empty(f"attributes/{name}", (*shape, *attribute.shape), attribute.dtype)
            for name, attribute in attributes.items()
        }
        smooth = vertex_normals is not None and "normal" in names
        self._by_weights = smooth or any(attribute.on_vertices for attribute in attributes.values())
        self._surface = Surface(
            self._flat("barycentric", np.float32),
            np.empty((0, 0), np.float32) if smooth else self._flat("normal", np.float32),
            self._flat("position", np.float64),
            self._flat("view_angle", np.float32),
        )
        self._smooth = self._flat("normal", np.float32) if smooth else None

    @property
    def turns(self) -> npt.NDArray[np.uint8] | None:
        """What records of faces have of `CornerArrays`; None where no records are needed."""
        return self._scene._corners.turns if self.images or self._by_weights else None

    @property
    def looks_up(self) -> bool:
        """Whether anything is looked up that the caller has given for vertices or faces."""
        return self._smooth is not None or bool(self._attributes)

    def begin(self, drawn: Drawn, matrix: Array) -> Deriving:
        """Say what a tile's faces have to be recorded for, and return what derives its images.

        ``matrix`` (3, 4) is that of `pipeline._Tiles`, ``drawn`` has records.
        """
        linear = matrix[:, :3]
        drawn.axes[...] = self._axes @ (linear.T / np.linalg.norm(linear[2]))  # a chunk's scale may be any
        rays = np.asarray(np.linalg.inv(linear), np.float64)
        return Deriving(self._places, rays, self._axes, self._frame, self._surface)

    def _flat(self, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an image with its channels side by side, or one without elements where it is not asked for."""
        if name not in self.images:
            return np.empty((0, 0), dtype)
        image = self.images[name]
        return image.reshape(len(image), -1)

    def worker(self, largest: int, drawn: Drawn, meeting: Meeting) -> _Worker:
        """Return what derives tiles of up to ``largest`` pixels, one after the other; one for each thread."""
        return _Worker(self, largest, drawn, meeting)

    def leave_empty(self, row0: int, col0: int, n_rows: int, n_cols: int) -> None:
        """Write a tile in which the lens images nothing."""
        where = slice(row0, row0 + n_rows), slice(col0, col0 + n_cols)
        for name, image in self.images.items():
            image[where] = np.nan if name in ("position", "view_angle") else 0.0
        for name, image in self.attribute_images.items():
            image[where] = self._attributes[name].background


class _Worker:
    """Derives the tiles of one thread."""

    def __init__(self, derivation: Derivation, largest: int, drawn: Drawn, meeting: Meeting) -> None:
        self._of, self._drawn, self._meeting = derivation, drawn, meeting
        self._ids_of_run, self._values_of_run = np.empty(3 * RUN, np.uint32), np.zeros(ROWS * RUN)
        self._deriving: Deriving | None = None
        # Weights of a tile, where they are needed and nobody has asked for them.
        own = derivation._by_weights and "barycentric" not in derivation.images
        self._weights = np.empty(3 * largest if own else 0, np.float32)
        given = derivation._attributes.values()
        nearest = any(attribute.on_vertices and not attribute.interpolated for attribute in given)
        self._ids = np.empty(largest if nearest else 0, np.int64)

    def begin(self, matrix: Array) -> None:
        """Say what the next tile's faces have to be recorded for, if they are; ``matrix`` as for `Derivation.begin`."""
        self._deriving = self._of.begin(self._drawn, matrix) if self._drawn.ids.size else None

    def derive(
        self, tile: tuple[int, int, int, int], lattice: Array, pixels: Pixels, parallel: bool, streamed: bool
    ) -> None:
        """Write what follows from where on its face a pixel lies; names become indices of the caller's mesh.

        Parameters
        ----------
        tile : (row0, col0, n_rows, n_cols)
            Its pixels.
        lattice, pixels : arrays
            Its rays, as ``kernels/blocks.py`` describes them.
        parallel : bool
            Whether rays are.
        streamed : bool
            Whether images are written past the caches.
        """
        of, deriving = self._of, self._deriving
        if deriving is None:
            return
        surface, at = self._surface(tile)
        derive_tile(
            of._scene._arrays, deriving.faces, lattice, pixels, self._drawn, of._camera, deriving.rays, parallel,
            deriving.axes, deriving.frame, *tile, *at, surface, streamed, of._by_weights, self._meeting,
        )  # fmt: skip

    def _surface(self, tile: tuple[int, int, int, int]) -> tuple[Surface, tuple[int, int]]:
        """Return the images to write, and where the tile begins in that of weights, which may be the tile's own."""
        if not self._weights.size:
            return self._of._surface, tile[:2]
        weights = self._weights[: 3 * tile[2] * tile[3]].reshape(tile[2], -1)
        return self._of._surface._replace(barycentric=weights), (0, 0)

    def look_up(self, tile: tuple[int, int, int, int], face_index: npt.NDArray[np.int32]) -> None:
        """Write what the caller has given for vertices and faces; ``face_index`` (H, W), the tile in it, is written."""
        of = self._of
        row0, col0, n_rows, n_cols = tile
        surface, at = self._surface(tile)
        if of._by_weights:
            name_vertices(of._scene._arrays, of._scene._corners, of._places, self._drawn)
        lookup, work = (self._drawn, surface.barycentric, *at), (self._ids_of_run, self._values_of_run)
        if of._smooth is not None:
            interpolate_tile(*lookup, of._axes, *tile, of._vertex_normals, np.float32(0.0), of._smooth, *work)
        for name, attribute in of._attributes.items():
            image = of.attribute_images[name]
            channels = attribute.values.shape[1]
            if attribute.interpolated and attribute.dtype == attribute.values.dtype:
                flat = image.reshape(len(image), -1)
                interpolate_tile(
                    *lookup,
                    None,
                    *tile,
                    attribute.values,
                    attribute.values.dtype.type(attribute.background),
                    flat,
                    *work,
                )
                continue
            where = slice(row0, row0 + n_rows), slice(col0, col0 + n_cols)
            if attribute.interpolated:  # then converted: rounded, if that is to integers
                mean = np.empty((n_rows, n_cols * channels), attribute.values.dtype)
                nothing = attribute.values.dtype.type(0)
                interpolate_tile(*lookup, None, 0, 0, n_rows, n_cols, attribute.values, nothing, mean, *work)
                if attribute.dtype.kind in "iu":
                    np.rint(mean, out=mean)
                image[where] = mean.reshape(image[where].shape)
                image[where][face_index[where] < 0] = attribute.background
                continue
            if attribute.on_vertices:
                nearest_tile(
                    *lookup,
                    n_rows,
                    n_cols,
                    self._ids[: n_rows * n_cols].reshape(n_rows, n_cols),
                    self._ids_of_run,
                )
                take_tile(self._ids, n_cols, *tile, *_as_bits(attribute, image))
            else:
                take_tile(self._drawn.names, STRIDE, *tile, *_as_bits(attribute, image))


def _as_bits(
    attribute: Prepared, image: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return an attribute's values, background and image as whole numbers with the same bits: of few types."""
    kind = np.dtype(f"u{min(attribute.dtype.itemsize, 8)}")
    background = np.full(attribute.values.shape[1], attribute.background, attribute.dtype)
    return attribute.values.view(kind), background.view(kind), image.reshape(len(image), -1).view(kind)
