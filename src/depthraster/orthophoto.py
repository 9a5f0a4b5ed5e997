"""Orthophotos: a photo laid onto a height field, `orthorectify`, without what something else hides from the camera.

Which cells the camera sees, and at which pixel, is ``visibility.py``'s to say; between pixels scipy interpolates. Height
fields are ``heights.py``'s, files ``io/geotiff.py``'s. The commonest change is another way to resample: a line in `_ORDERS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Chunk
from depthraster.footprint import plane_bounds
from depthraster.grid import Affine, outer_edges
from depthraster.heights import HeightField, height_field
from depthraster.io.geotiff import BLOCK, write_geotiff
from depthraster.pictures import Pictured, Shown, draw_picture, in_colours
from depthraster.scene import Scene, thread_count
from depthraster.transforms import check_transform, invert
from depthraster.visibility import visible

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Orthophoto", "orthorectify"]

_ORDERS = {"nearest": 0, "bilinear": 1, "cubic": 3}  # of the splines
_SIDE = 256  # cells on a side of the squares that are left out where the camera cannot see them
_CELLS = 1 << 22  # that are looked at together
_CURVED = 0.01  # of a square's diagonal: more than a map's straight lines bend in the world

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Orthophoto(Pictured):
    """A photo on a grid of cells, as `orthorectify` returns it.

    Attributes
    ----------
    image : (H, W) or (H, W, C) array
        The photo's values at the cells' centres, in its type; the background where `mask` is False.
    mask : (H, W) bool array
        Which cells the photo shows: they have a height, are in the image, and nothing hides them.
    affine : six floats
        From (col, row) to (x, y), rasterio's order.
    crs : str or None
        The coordinate system of x and y.
    """

    image: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]
    affine: Affine
    crs: str | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a GeoTIFF (the extra ``geo``): tiled, compressed without loss, the mask inside.

        Parameters
        ----------
        path : str or path
            Ends in ``.tif`` or ``.tiff``. Replaced if it exists, written whole or not at all.

        Raises
        ------
        ImportError
            rasterio is not installed.
        TypeError, ValueError
            Pixels that a GeoTIFF has not, such as float16; a coordinate system that rasterio does not know.
        OSError
            The file cannot be written.
        """
        image = self.image.astype(np.uint8) if self.image.dtype == np.bool_ else self.image
        channels = image.shape[2] if image.ndim == 3 else 1
        pieces = (image[row : row + BLOCK] for row in range(0, len(image), BLOCK))
        write_geotiff(
            path, (*self.mask.shape, channels), image.dtype, self.affine, self.crs, pieces, mask=self.mask,
            threads=thread_count(None),
        )  # fmt: skip

    def picture(self) -> Image:
        """Draw the photo for the eye, in colours or grey. Notebooks show it by themselves.

        Values of another type than uint8 go from dark to light between their 1st and 99th percentile.

        Returns
        -------
        PIL.Image.Image
            RGB, some hundred pixels wide.
        """
        return draw_picture(*self._shown()[:2])

    def _shown(self) -> Shown:
        bounds = outer_edges(self.affine, self.mask.shape)
        return Shown({"orthophoto": in_colours(self.image, self.mask)}, self.mask, bounds)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.image.shape))
        return f"Orthophoto({shape} {self.image.dtype}, {self.mask.mean():.0%} seen)"


def orthorectify(
    image: npt.ArrayLike,
    surface: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    *,
    scene: Any = None,
    chunk: Chunk | None = None,
    bounds: Any = None,
    resolution: float | None = None,
    resampling: Literal["nearest", "bilinear", "cubic"] = "bilinear",
    tolerance: float = 2.0,
    background: float = 0,
    crop: bool = False,
    threads: int | None = None,
) -> Orthophoto:
    """Lay a photo onto a height field: each cell gets what the photo shows of it, unless something hides it.

    Parameters
    ----------
    image : (h, w) or (h, w, C) array
        The photo as it was taken, not undistorted: of the size of the calibration, with any number of channels.
    surface : HeightField, or what `Scene.from_mesh` takes
        The cells and their heights; or a mesh, in the frame of ``transform``, of which `height_field` is made with
        ``bounds`` and ``resolution``.
    transform, calibration
        The camera, as for `render_depth`.
    scene : Scene, or what `Scene.from_mesh` takes, optional
        What may hide cells, in the frame of ``transform``. By default the mesh that is the ``surface``, or the height field
        itself (`HeightField.to_mesh`), whose walls are sloped over a cell.
    chunk : Chunk, optional
        Whose frame ``transform`` is in, where the height field is in world coordinates: in its `HeightField.crs`, or where
        there is none, where the chunk's own transform leads.
    bounds, resolution : optional
        As for `height_field`, where the surface is a mesh.
    resampling : {"nearest", "bilinear", "cubic"}
        How values between pixels come about: the pixel's own, by scipy's splines of order 1, or 3 (the extra ``resample``).
        Labels need "nearest". Each cell is one sample at its centre: of cells much larger than the photo's pixels, shrink
        the photo first (`Calibration.scaled` does the same to the lens).
    tolerance : float
        By how much something must be nearer to hide a cell, in pixels of surface slope, as for `visible`.
    background : float
        Value of cells that the photo does not show.
    crop : bool
        Only the rows and columns that the photo shows some of; by default all of the height field's.
    threads : int, optional
        Threads used, all processors by default.

    Returns
    -------
    Orthophoto

    Raises
    ------
    TypeError, ValueError
        An image of another size than the calibration's, a background that its type does not hold, bounds or a chunk where
        they mean nothing, another resampling; with ``crop`` a photo that shows nothing; otherwise as `visible` and
        `height_field`.
    ImportError
        scipy is needed and not installed; pyproj, for a named coordinate system.
    """
    photo = _as_photo(image)
    _check_photo(photo, calibration, resampling)
    empty = _checked_background(background, photo.dtype)
    to_camera = invert(check_transform(transform))
    if chunk is not None and not isinstance(chunk, Chunk):
        raise TypeError(
            f"the chunk is a {type(chunk).__name__}; a depthraster.Chunk is needed: pass what load_chunk returns"
        )
    if isinstance(surface, HeightField):
        if bounds is not None or resolution is not None:
            raise ValueError(
                "bounds or resolution is given with a height field, which has its own; a mesh is needed for them: leave "
                "them out, or pass the mesh as surface"
            )
        cells = surface
        hiding = Scene.from_mesh(_hiding(cells, chunk) if scene is None else scene, threads=threads)
    else:
        if chunk is not None:
            raise ValueError(
                "a chunk is given with a mesh as surface, which is in the chunk's frame already; a height field in world "
                "coordinates is needed for it: leave the chunk out, or make the field of chunk.to_world(mesh, crs)"
            )
        mesh = Scene.from_mesh(surface, threads=threads)
        cells = height_field(mesh, bounds, resolution, threads=threads)
        hiding = mesh if scene is None else Scene.from_mesh(scene, threads=threads)
    places, pixels = [np.empty((2, 0), np.intp)], [np.empty((0, 2))]
    for at_cells in _candidates(cells, chunk, to_camera, calibration):
        points = _placed(cells, chunk, at_cells)
        found = visible(hiding, points, transform, calibration, tolerance, threads=threads)
        places.append(at_cells[:, found.visible])
        pixels.append(found.pixel[found.visible])
    (rows, cols), at = np.concatenate(places, axis=1), np.concatenate(pixels)
    (height, width), (a, b, c, d, e, f) = cells.heights.shape, cells.affine
    if crop:
        if not rows.size:
            raise ValueError(
                "the photo shows none of the height field's cells; some are needed to crop to: check the frames of the "
                "field and of the transform, or pass crop=False"
            )
        row0, col0 = int(rows.min()), int(cols.min())
        rows, cols = rows - row0, cols - col0
        height, width, c, f = int(rows.max()) + 1, int(cols.max()) + 1, c + a * col0, f + e * row0
    mask = np.zeros((height, width), np.bool_)
    mask[rows, cols] = True
    made = np.full((height, width, *photo.shape[2:]), empty, photo.dtype)
    planes = made.reshape(height, width, -1)  # a view
    for k, values in enumerate(_sampled(photo, at, resampling)):
        planes[rows, cols, k] = values
    return Orthophoto(made, mask, (a, b, c, d, e, f), cells.crs)


def _hiding(cells: HeightField, chunk: Chunk | None) -> Any:
    """Return the height field as the mesh that hides its cells from a camera in the chunk's frame."""
    mesh = cells.to_mesh()
    return mesh if chunk is None else chunk.from_world(mesh, cells.crs)


def _in_chunk(cells: HeightField, chunk: Chunk | None, points: Array) -> Array:
    """Return points (n, 3) in the axes of a grid in the frame that a camera's transform leads to."""
    moved = points if np.array_equal(cells.axes, np.eye(3)) else points @ cells.axes.T
    return moved if chunk is None else np.asarray(chunk.from_world(moved, cells.crs))


def _placed(cells: HeightField, chunk: Chunk | None, at: npt.NDArray[np.intp]) -> Array:
    """Return where the surface is at the centres of cells, rows and columns (2, n)."""
    (a, _, c, _, e, f), (rows, cols) = cells.affine, at
    points = np.stack([c + a * (cols + 0.5), f + e * (rows + 0.5), cells.heights[rows, cols]], axis=1)
    return _in_chunk(cells, chunk, points)


def _candidates(
    cells: HeightField, chunk: Chunk | None, to_camera: Array, calibration: Calibration
) -> Iterator[npt.NDArray[np.intp]]:
    """Yield rows and columns (2, n) of cells that have heights, leaving out squares that cannot be in the image."""
    waiting: list[npt.NDArray[np.intp]] = []
    n, limits = 0, plane_bounds(calibration)
    for row in range(0, len(cells.heights), _SIDE):
        band = cells.heights[row : row + _SIDE]
        starts = np.arange(0, band.shape[1], _SIDE)
        known = np.where(np.isfinite(band), band, np.nan)
        low = np.fmin.reduceat(np.fmin.reduce(known, axis=0), starts)
        high = np.fmax.reduceat(np.fmax.reduce(known, axis=0), starts)
        some = ~np.isnan(low)
        starts = starts[some]
        boxes = _boxes(cells, starts, row, low[some], high[some])
        corners = _in_chunk(cells, chunk, boxes.reshape(-1, 3)) @ to_camera[:3, :3].T + to_camera[:3, 3]
        for col in starts[_may_be_imaged(corners.reshape(boxes.shape), limits)]:
            found = np.argwhere(np.isfinite(band[:, col : col + _SIDE])).T + [[row], [col]]
            waiting.append(found)
            n += found.shape[1]
            if n >= _CELLS:
                yield np.concatenate(waiting, axis=1)
                waiting, n = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=1)


def _boxes(cells: HeightField, cols: npt.NDArray[np.intp], row: int, low: Array, high: Array) -> Array:
    """Return the corners (n, 8, 3) of the boxes that squares of cells are in, in the axes of the grid."""
    a, _, c, _, e, f = cells.affine
    boxes = np.empty((len(cols), 2, 2, 2, 3))
    boxes[:, 0, ..., 0] = (c + a * cols)[:, None, None]
    boxes[:, 1, ..., 0] = (c + a * (cols + _SIDE))[:, None, None]
    boxes[:, :, 0, :, 1], boxes[:, :, 1, :, 1] = f + e * row, f + e * (row + _SIDE)
    boxes[..., 0, 2], boxes[..., 1, 2] = low[:, None, None], high[:, None, None]
    return boxes.reshape(-1, 8, 3)


def _may_be_imaged(corners: Array, limits: Array) -> npt.NDArray[np.bool_]:
    """Return in which of n boxes with corners (n, 8, 3), its own frame, a camera may image something; (n,).

    ``limits`` are its `plane_bounds`.
    """
    x0, x1, y0, y1 = limits.tolist()
    if not np.isfinite([x0, x1, y0, y1]).all():
        return np.ones(len(corners), np.bool_)
    room = _CURVED * np.linalg.norm(np.ptp(corners, axis=1), axis=1)[:, None]
    x, y, z = np.moveaxis(corners, 2, 0)
    # Positive beyond one of the five planes around what is imaged.
    beyond = (
        (x0 * z - x) / np.hypot(1.0, x0), (x - x1 * z) / np.hypot(1.0, x1), (y0 * z - y) / np.hypot(1.0, y0),
        (y - y1 * z) / np.hypot(1.0, y1), -z,
    )  # fmt: skip
    return np.asarray(~np.any([(side > room).all(axis=1) for side in beyond], axis=0))


def _sampled(photo: npt.NDArray[Any], pixels: Array, resampling: str) -> Iterator[npt.NDArray[Any]]:
    """Yield the values of each of a photo's channels at pixels (n, 2), in its type."""
    planes = photo.reshape(*photo.shape[:2], -1)
    if resampling == "nearest":
        rows = np.clip(pixels[:, 1].astype(np.intp), 0, photo.shape[0] - 1)
        cols = np.clip(pixels[:, 0].astype(np.intp), 0, photo.shape[1] - 1)
        for k in range(planes.shape[2]):
            yield planes[rows, cols, k]
        return
    indices = np.stack([pixels[:, 1], pixels[:, 0]]) - 0.5  # rows and columns count from the first centre
    kept = np.dtype(np.float32) if photo.dtype == np.float16 else photo.dtype  # scipy has no float16
    through = np.float64 if kept.kind in "iu" else kept
    for k in range(planes.shape[2]):
        plane = np.ascontiguousarray(planes[..., k], kept)
        found = _ndimage().map_coordinates(
            plane, indices, order=_ORDERS[resampling], mode="nearest", output=through
        )
        if photo.dtype.kind in "iu":
            limits = np.iinfo(photo.dtype)
            found = np.clip(np.rint(found), limits.min, limits.max)  # cubic splines overshoot
        yield found.astype(photo.dtype)


def _as_photo(image: Any) -> npt.NDArray[Any]:
    if image is None or isinstance(image, (str, os.PathLike, HeightField)):
        raise TypeError(
            f"the image is a {type(image).__name__}; an (h, w) or (h, w, C) array is needed: pass the photo's pixels, e.g. "
            "numpy.asarray(PIL.Image.open(path))"
        )
    return np.asarray(image)


def _check_photo(photo: npt.NDArray[Any], calibration: Any, resampling: str) -> None:
    if not isinstance(calibration, Calibration):
        raise TypeError(
            f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
            "Calibration(width=..., height=..., f=...)"
        )
    if resampling not in _ORDERS:
        raise ValueError(
            f"resampling is {resampling!r}; one of {', '.join(_ORDERS)} is needed: pass one of them"
        )
    if photo.dtype.kind not in "biuf":
        raise TypeError(
            f"the image's pixels are {photo.dtype}; real numbers are needed: pass an (h, w) or (h, w, C) array"
        )
    if (photo.dtype.kind == "b" or photo.dtype.name in ("int64", "uint64")) and resampling != "nearest":
        raise TypeError(
            f"the image's pixels are {photo.dtype}, between which there is nothing that double precision holds; "
            "resampling='nearest' is needed: pass that, or convert the image"
        )
    size = calibration.height, calibration.width
    if photo.ndim not in (2, 3) or photo.size == 0:
        raise ValueError(
            f"the image has the shape {photo.shape}; (h, w) or (h, w, C), none of them 0, is needed: pass the photo's pixels"
        )
    if photo.shape[:2] != size:
        raise ValueError(
            f"the image has the shape {photo.shape} and the calibration {size[0]} rows and {size[1]} columns; the same are "
            "needed: pass the photo in full size, or calibration.scaled(factor) for a smaller one"
        )
    if resampling == "cubic" and photo.dtype.kind == "f" and not np.isfinite(photo).all():
        raise ValueError(
            "the image has pixels that are not finite, which would spoil all others of a cubic spline; finite ones are "
            "needed: pass resampling='bilinear', or fill them"
        )
    if resampling != "nearest":
        _ndimage()


def _checked_background(background: Any, dtype: np.dtype[Any]) -> Any:
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            value = np.asarray(background).astype(dtype) if np.ndim(background) == 0 else None
    except (TypeError, ValueError, OverflowError):
        value = None
    number = isinstance(background, (bool, int, float, np.number, np.bool_))
    same = (
        number
        and value is not None
        and (value == background or (value != value and background != background))
    )
    if not (same or (number and dtype.kind == "f" and value is not None)):
        raise ValueError(
            f"background is {background!r}; a number that {dtype} holds is needed: pass one, or convert the image"
        )
    return value


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ImportError:
        raise ImportError(
            "values between pixels are asked for, and scipy is not installed; it is needed for that: pip install "
            "'depthraster[resample]', or pass resampling='nearest'"
        ) from None
    return ndimage
