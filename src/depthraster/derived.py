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
from depthraster.kernels.blocks import Pixels
from depthraster.kernels.derive import Surface, derive_scratch, derive_tile, interpolate_tile, nearest_tile
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

    def _flat(self, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an image with its channels side by side, or one without elements where it is not asked for."""
        if name not in self.images:
            return np.empty((0, 0), dtype)
        image = self.images[name]
        return image.reshape(len(image), -1)

    def worker(self, largest: int) -> _Worker:
        """Return what derives tiles of up to ``largest`` pixels, one after the other; one for each thread."""
        return _Worker(self, largest)

    def leave_empty(self, row0: int, col0: int, n_rows: int, n_cols: int) -> None:
        """Write a tile in which the lens images nothing."""
        where = slice(row0, row0 + n_rows), slice(col0, col0 + n_cols)
        for name, image in self.images.items():
            image[where] = np.nan if name in ("position", "view_angle") else 0.0
        for name, image in self.attribute_images.items():
            image[where] = self._attributes[name].background


class _Worker:
    """Derives the tiles of one thread."""

    def __init__(self, derivation: Derivation, largest: int) -> None:
        self._of = derivation
        self._scratch = derive_scratch()
        # Weights of a tile, where they are needed and nobody has asked for them.
        own = derivation._by_weights and "barycentric" not in derivation.images
        self._weights = np.empty(3 * largest if own else 0, np.float32)
        looked_up = any(not attribute.interpolated for attribute in derivation._attributes.values())
        self._ids = np.empty(largest if looked_up else 0, np.int64)

    def __call__(
        self,
        tile: tuple[int, int, int, int],
        lattice: Array,
        pixels: Pixels,
        names: npt.NDArray[np.int32],
        face_index: npt.NDArray[np.int32],
        rays: Array,
        parallel: bool,
        streamed: bool,
    ) -> None:
        """Derive a tile.

        Parameters
        ----------
        tile : (row0, col0, n_rows, n_cols)
            Its pixels.
        lattice, pixels, names : arrays
            Its rays and faces, as ``kernels/blocks.py`` describes them.
        face_index : (H, W) int32 array
            The image of faces, this tile in it written.
        rays : (3, 3) float64 array
            Takes (x, y, 1), plane pixels, to directions along the scene's axes; with ``parallel`` rays, see `derive_tile`.
        streamed : bool
            Whether images are written past the caches.
        """
        of = self._of
        row0, col0, n_rows, n_cols = tile
        arrays, corners = of._scene._arrays, of._scene._corners
        surface, at = of._surface, (row0, col0)
        if self._weights.size:
            weights = self._weights[: 3 * n_rows * n_cols].reshape(n_rows, -1)
            surface, at = surface._replace(barycentric=weights), (0, 0)
        if of.images or self._weights.size:
            derive_tile(
                arrays, of._places, lattice, pixels, names, of._camera, rays, parallel, of._axes, of._frame,
                *tile, *at, surface, streamed, of._by_weights, self._scratch,
            )  # fmt: skip
        lookup = (arrays, corners, of._places, names, surface.barycentric, *at)
        if of._smooth is not None:
            interpolate_tile(
                *lookup, of._axes, *tile, of._vertex_normals, np.float32(0.0), of._smooth, self._scratch.ids
            )
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
                    self._scratch.ids,
                )
                continue
            where = slice(row0, row0 + n_rows), slice(col0, col0 + n_cols)
            if attribute.interpolated:  # then converted: rounded, if that is to integers
                mean = np.empty((n_rows, n_cols * channels), attribute.values.dtype)
                nothing = attribute.values.dtype.type(0)
                interpolate_tile(
                    *lookup, None, 0, 0, n_rows, n_cols, attribute.values, nothing, mean, self._scratch.ids
                )
                if attribute.dtype.kind in "iu":
                    np.rint(mean, out=mean)
                image[where] = mean.reshape(image[where].shape)
                image[where][face_index[where] < 0] = attribute.background
                continue
            if attribute.on_vertices:
                ids = self._ids[: n_rows * n_cols].reshape(n_rows, n_cols)
                nearest_tile(*lookup, n_rows, n_cols, ids, self._scratch.ids)
            else:
                ids = face_index[where].astype(np.int64)
            found = attribute.values.take(ids.reshape(-1), axis=0, mode="clip")
            found[ids.reshape(-1) < 0] = attribute.background
            image[where] = found.reshape(image[where].shape)
