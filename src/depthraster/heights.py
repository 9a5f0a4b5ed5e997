"""Height fields: a mesh's top surface on a grid of cells, in memory (`height_field`) or straight to disk.

Where the cells lie is ``grid.py``'s. Each window of them is an orthographic view, drawn by ``render.py``; the height is that
of the point where a cell's ray meets the face, computed in double precision from the face's vertices. GeoTIFF is
``io/geotiff.py``'s, photos on height fields are ``orthophoto.py``'s. The commonest change is another thing to know of a
cell: a layer asked for in `_Windows`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.grid import Affine, Grid, Window, lay_grid, outer_edges
from depthraster.io.geotiff import BLOCK, crs_text, read_geotiff, refuse_unknown, write_geotiff
from depthraster.layers import Layers
from depthraster.pictures import Pictured, Shown, draw_picture
from depthraster.render import render
from depthraster.scene import Scene, thread_count

if TYPE_CHECKING:
    from PIL.Image import Image

    from depthraster.io.meshes import Mesh

__all__ = ["HeightField", "HeightFile", "height_field", "write_height_field"]

_COLS = 8 * BLOCK  # of a window: a row of tiles of a GeoTIFF, 50 MB of positions while it is drawn
_MOST_IN_MEMORY = 2**31  # cells, 16 GiB
_SHARE = 1e-6  # of a field's extent: what float32 may round heights by in a file

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class HeightField(Pictured):
    """Heights on a grid of cells: what `height_field` returns, or a raster of another origin.

    Parameters
    ----------
    heights : (H, W) array of float
        Height at the centre of each cell, the top row first; NaN where there is none. Kept as float64.
    affine : six floats
        a, b, c, d, e, f in rasterio's order (its ``transform``): x = a col + c and y = e row + f of a cell's upper left
        corner, so a > 0, e < 0, and b = d = 0; centres are at col + 0.5, row + 0.5.
    crs : str, int or object with to_wkt, optional
        The coordinate system of x, y and height, by any name that rasterio takes; a label, nothing is computed with it.
    axes : (3, 3) array of float, optional
        ``scene_from_grid``, a rotation that takes (x, y, height) to the scene's coordinates; none for x, y, z as they are.

    Raises
    ------
    TypeError, ValueError
        Arrays of another shape, an affine that is turned or mirrored.
    """

    heights: Array
    affine: Affine
    crs: str | None = None
    axes: Array = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        given: Any = self.heights
        masked = np.ma.isMaskedArray(given)  # as rasterio reads them
        heights = np.asarray(given.astype(np.float64).filled(np.nan) if masked else given)
        if heights.dtype.kind not in "fiu":
            raise TypeError(f"heights are of type {heights.dtype}; real numbers are needed: convert them")
        if heights.ndim != 2 or heights.size == 0:
            raise ValueError(
                f"heights have the shape {heights.shape}; (H, W) without zeros is needed: pass rows of cells"
            )
        affine = tuple(float(value) for value in tuple(self.affine)[:6])  # rasterio's own has nine
        ok = len(affine) == 6 and np.isfinite(affine).all() and affine[1] == 0.0 == affine[3]
        if not ok or not (affine[0] > 0.0 and affine[4] < 0.0):
            raise ValueError(
                f"the affine is {affine}; a > 0, b = 0, c, d = 0, e < 0, f, all finite, are needed: give the grid's rows "
                "from top to bottom, its columns from left to right"
            )
        axes = np.array(self.axes, np.float64)
        if axes.shape != (3, 3) or not np.allclose(axes.T @ axes, np.eye(3), rtol=0.0, atol=1e-9):
            raise ValueError(f"axes are {self.axes!r}; a (3, 3) rotation is needed: leave them out for none")
        axes.flags.writeable = False
        object.__setattr__(self, "heights", heights.astype(np.float64, copy=False))
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "crs", crs_text(self.crs))
        object.__setattr__(self, "axes", axes)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top: the outer edges of the cells."""
        return outer_edges(self.affine, self.heights.shape)

    @property
    def resolution(self) -> tuple[float, float]:
        """Width and height of a cell."""
        return self.affine[0], -self.affine[4]

    def points(self, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """Return where the surface is at the cells' centres, in the scene's coordinates.

        Parameters
        ----------
        rows, cols : slice, optional
            Which cells; all by default.

        Returns
        -------
        (h, w, 3) float64 array
            NaN where there is no height (x and y, too).
        """
        heights = self.heights[rows, cols]
        (a, _, c, _, e, f), (height, width) = self.affine, self.heights.shape
        x = c + a * (np.arange(width)[cols] + 0.5)
        y = f + e * (np.arange(height)[rows] + 0.5)
        points = np.empty((*heights.shape, 3))
        points[..., 0], points[..., 1], points[..., 2] = x, y[:, None], heights
        points[np.isnan(heights)] = np.nan
        return points if np.array_equal(self.axes, np.eye(3)) else points @ self.axes.T

    def to_mesh(self) -> Mesh:
        """Return the surface as a mesh, in the scene's coordinates: two faces between four centres that have heights.

        Returns
        -------
        Mesh
            ``vertices`` (V, 3) float64, the cells with heights row by row, and ``faces`` (F, 3), their fronts up.

        Raises
        ------
        ValueError
            There are no four cells side by side with heights.
        """
        from depthraster.io.meshes import Mesh

        seen = np.isfinite(self.heights)
        whole = seen[:-1, :-1] & seen[1:, :-1] & seen[:-1, 1:] & seen[1:, 1:]
        if not whole.any():
            raise ValueError(
                "the height field has no four cells side by side with heights, which a mesh needs: choose a finer resolution"
            )
        index = np.cumsum(seen).reshape(seen.shape) - 1
        corners = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        a, b, c, d = (corner[whole] for corner in corners)  # upper left, lower left, lower right, upper right
        faces = np.stack([a, b, c, a, c, d], axis=1).reshape(-1, 3)
        return Mesh(self.points()[seen], faces)

    def save(self, path: str | os.PathLike[str], dtype: npt.DTypeLike | None = None) -> None:
        """Write a GeoTIFF (the extra ``geo``): tiled, compressed, NaN for no data, with affine and coordinate system.

        Axes of a field's own have no place in it: `load` gives x, y and height, as if looked at along Z.

        Parameters
        ----------
        path : str or path
            Ends in ``.tif`` or ``.tiff``. Replaced if it exists, written whole or not at all.
        dtype : {"float32", "float64"}, optional
            By default float32 where that rounds no height by more than a millionth of the field's extent, else float64.

        Raises
        ------
        ImportError
            rasterio is not installed.
        ValueError
            A coordinate system that rasterio does not know, another suffix or type; a field with axes of its own and a
            coordinate system.
        OSError
            The file cannot be written.
        """
        left, bottom, right, top = self.bounds
        finite = self.heights[np.isfinite(self.heights)]
        reach = float(np.abs(finite).max()) if finite.size else 0.0
        kept = _file_type(dtype, reach, max(right - left, top - bottom))
        _check_label(self.crs, self.axes)
        rows = range(0, len(self.heights), BLOCK)
        pieces = (self.heights[row : row + BLOCK].astype(kept, copy=False) for row in rows)
        write_geotiff(
            path, (*self.heights.shape, 1), kept, self.affine, self.crs, pieces, nodata=np.nan, names=("height",),
            threads=thread_count(None),
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str], band: int = 1) -> HeightField:
        """Read a raster of heights (the extra ``geo``), such as `save` writes, or another program's elevation model.

        Parameters
        ----------
        path : str or path
            A GeoTIFF, or another format that rasterio reads.
        band : int
            Which of its bands, from 1.

        Raises
        ------
        ImportError
            rasterio is not installed.
        FormatError
            The file is no raster, damaged, without a place, or turned.
        OSError
            The file cannot be read.
        """
        found = read_geotiff(path, band)
        heights = found.pixels.astype(np.float64)
        heights[~found.valid] = np.nan
        return cls(heights, found.affine, found.crs)

    def picture(self) -> Image:
        """Draw the heights for the eye, low ones dark, with their scale. Notebooks show it by themselves.

        The colours go from the 1st to the 99th percentile of the heights: what covers less, such as a single tower, is as
        light as that.

        Returns
        -------
        PIL.Image.Image
            RGB, some hundred pixels wide.
        """
        return draw_picture(*self._shown()[:2])

    def _shown(self) -> Shown:
        return Shown({"height": self.heights}, np.isfinite(self.heights), self.bounds)

    def __repr__(self) -> str:
        (height, width), (left, bottom, right, top) = self.heights.shape, self.bounds
        label = "" if self.crs is None else f", crs={' '.join(self.crs.split())[:40]!r}"
        return (
            f"HeightField({height} x {width} cells, left={left:.10g}, bottom={bottom:.10g}, right={right:.10g}, "
            f"top={top:.10g}{label})"
        )


class HeightFile(NamedTuple):
    """What `write_height_field` has written.

    Attributes
    ----------
    width, height : int
        Number of columns and rows.
    affine : six floats
        As of `HeightField`.
    dtype : str
        ``"float32"`` or ``"float64"``.
    n_seen : int
        How many cells have a height.
    lowest, highest : float
        Least and greatest height; NaN where there is none.
    """

    width: int
    height: int
    affine: Affine
    dtype: str
    n_seen: int
    lowest: float
    highest: float


def height_field(
    scene: Any,
    bounds: Any = None,
    resolution: float | None = None,
    direction: npt.ArrayLike | None = None,
    *,
    up: npt.ArrayLike | None = None,
    crs: Any = None,
    threads: int | None = None,
) -> HeightField:
    """Make the height field of a mesh: of its top surface, the height at the centre of each cell of a grid.

    The grid's axes are x to the right, y up and height, back along the direction. Looking down along Z, as is the default,
    they are the scene's own X, Y and Z: a mesh in a projected coordinate system gives an elevation model in that system.
    From a chunk, ``chunk.to_world(mesh, "EPSG:32632")`` takes it there first.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh. Both sides of faces count, whichever way they are wound.
    bounds : Region or (left, bottom, right, top), optional
        What the cells shall cover, in the grid's axes. The upper left corner stays where it is; the lower right one moves
        outwards to whole cells. By default the whole mesh, in cells counted from 0, so that those of neighbouring meshes
        lie beside each other. A `Region` (``chunk.region``, with a mesh in the chunk's frame) is looked at along its own
        axes, and what is above or below it is cut away.
    resolution : float
        The side of a cell, in the scene's units.
    direction : (3,) array of float, optional
        Where to look, in the scene's coordinates; (0, 0, -1) by default, down. A facade is looked at from the side.
    up : (3,) array of float, optional
        What is towards the upper edge of the grid; by default Y, or Z where the direction is nearer to the horizontal.
    crs : str, int or object with to_wkt, optional
        The coordinate system that the scene is in, kept for `HeightField.save`; nothing is computed with it. One that
        rasterio does not know is refused, if that is installed.
    threads : int, optional
        Threads used, all processors by default. The result is the same for any number.

    Returns
    -------
    HeightField
        ``heights`` (H, W) float64, one sample at the centre of each cell, nothing averaged; NaN where there is no mesh.

    Raises
    ------
    TypeError, ValueError
        Bounds or regions of no size, a resolution that is not positive, finer than double precision tells coordinates
        apart, or that asks for more than 2**31 cells (16 GiB); a direction of no length; an unknown coordinate system; what
        `Scene` refuses.

    Warns
    -----
    UserWarning
        No cell sees the mesh.

    Notes
    -----
    Heights are those of the point where the cell's vertical meets the face, in double precision: off by about 1e-8 of the
    extent of the mesh's neighbourhood, wherever it lies (see `Scene`), times the face's slope. Whether a centre within 1e-3
    cells of the mesh's outline is on it or not is left to rounding. Of two surfaces closer than 1e-6 of the mesh's vertical
    extent either is taken.

    Examples
    --------
    >>> field = dr.height_field("terrain.ply", resolution=0.1, crs="EPSG:32632")  # doctest: +SKIP
    >>> field.save("dem.tif")  # doctest: +SKIP
    """
    label = crs_text(crs)
    refuse_unknown(label)
    n_threads = thread_count(threads)
    scene = Scene.from_mesh(scene, threads=threads)
    grid = lay_grid(scene, bounds, resolution, direction, up)
    if grid.n_cells > _MOST_IN_MEMORY:
        raise ValueError(
            f"the height field has {grid.width} x {grid.height} cells, {8 * grid.n_cells / 2**30:.0f} GiB; at most 2**31 "
            "cells (16 GiB) are kept in memory: choose a coarser resolution, or write_height_field, which writes to disk as "
            "it goes"
        )
    _check_label(label, grid.axes)
    heights, any_seen = np.empty((grid.height, grid.width)), False
    for window, part in _windows(scene, grid, n_threads):
        heights[window.slices] = part
        any_seen = any_seen or bool(np.isfinite(part).any())
    if not any_seen:
        _warn_of_no_heights(bounds)
    return HeightField(heights, grid.affine, label, grid.axes)


def write_height_field(
    path: str | os.PathLike[str],
    scene: Any,
    bounds: Any = None,
    resolution: float | None = None,
    direction: npt.ArrayLike | None = None,
    *,
    up: npt.ArrayLike | None = None,
    crs: Any = None,
    dtype: npt.DTypeLike | None = None,
    progress: Callable[[int, int | None], object] | None = None,
    threads: int | None = None,
) -> HeightFile:
    """Write the height field of a mesh to a GeoTIFF (the extra ``geo``) window by window, in the memory of a few windows.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif`` or ``.tiff``. Replaced if it exists, written whole or not at all: tiled, compressed, with the
        affine, the coordinate system and NaN for no data; as BigTIFF where it may become too large for a TIFF.
    scene, bounds, resolution, direction, up, threads
        As for `height_field`.
    crs : str, int or object with to_wkt, optional
        The coordinate system that the scene is in, by any name that rasterio takes.
    dtype : {"float32", "float64"}, optional
        By default float32 where that rounds no height by more than a millionth of the field's extent, else float64.
    progress : callable, optional
        Called as ``progress(n_done, n_windows)`` after each window.

    Returns
    -------
    HeightFile

    Raises
    ------
    ImportError
        rasterio is not installed.
    TypeError, ValueError
        As `height_field`, but for the number of cells: up to 2**37 (512 GiB of float32) are possible; a coordinate system
        that rasterio does not know, another suffix or type.
    OSError
        The file cannot be written.

    Warns
    -----
    UserWarning
        No cell sees the mesh.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"the path is a {type(path).__name__}; that of the file to be written is needed: pass it first, then the mesh"
        )
    n_threads = thread_count(threads)
    scene = Scene.from_mesh(scene, threads=threads)
    grid = lay_grid(scene, bounds, resolution, direction, up)
    label = crs_text(crs)
    _check_label(label, grid.axes)
    low, high = max(grid.seen_heights[0], grid.lowest), min(grid.seen_heights[1], grid.highest)
    kept = _file_type(dtype, max(abs(low), abs(high)), max(grid.width, grid.height) * grid.resolution)
    total = -(-grid.width // _COLS) * -(-grid.height // BLOCK)
    n_seen, lowest, highest = 0, np.inf, -np.inf

    def pieces() -> Iterator[npt.NDArray[Any]]:
        nonlocal n_seen, lowest, highest
        for done, (_, heights) in enumerate(_windows(scene, grid, n_threads), 1):
            seen = heights[~np.isnan(heights)].astype(kept) if any(heights.strides) else np.empty(0)
            if seen.size:
                n_seen += seen.size
                lowest, highest = min(lowest, float(seen.min())), max(highest, float(seen.max()))
                yield heights.astype(kept)
            else:
                yield np.broadcast_to(kept.type(np.nan), heights.shape)
            if progress is not None:
                progress(done, total)

    write_geotiff(
        path, (grid.height, grid.width, 1), kept, grid.affine, label, pieces(), nodata=np.nan, names=("height",),
        threads=n_threads,
    )  # fmt: skip
    if not n_seen:
        lowest = highest = np.nan
        _warn_of_no_heights(bounds)
    return HeightFile(grid.width, grid.height, grid.affine, kept.name, n_seen, float(lowest), float(highest))


def _warn_of_no_heights(bounds: Any) -> None:
    why = (
        "is it on edge, or smaller than a cell?"
        if bounds is None
        else "are the bounds in the mesh's coordinates?"
    )
    warnings.warn(f"no cell sees the mesh; {why}", stacklevel=3)


def _windows(scene: Scene, grid: Grid, threads: int) -> Iterator[tuple[Window, Array]]:
    """Yield windows and their heights (h, w), in an array that the next one is written over, or without strides."""
    to_grid = np.eye(4)
    to_grid[:3, :3] = grid.axes.T
    layers: Layers | None = None
    for window in grid.windows(BLOCK, _COLS):
        if grid.is_empty(window):
            yield window, np.broadcast_to(np.nan, (window.n_rows, window.n_cols))
            continue
        transform, calibration = grid.camera(window)
        layers = render(
            scene, transform, calibration, ("position",), cull_faces=False, position_frame=to_grid, threads=threads,
            out=layers,
        )  # fmt: skip
        assert layers.position is not None
        heights = layers.position[..., 2]
        if np.isfinite(grid.lowest):
            heights[heights < grid.lowest] = np.nan
        yield window, heights


def _file_type(dtype: npt.DTypeLike | None, reach: float, extent: float) -> np.dtype[Any]:
    """Return the type that heights up to ``reach`` are kept in, of a field of an extent."""
    if dtype is None:
        rounding = 0.5 * float(np.spacing(np.float32(reach)))
        return np.dtype(np.float32 if rounding <= _SHARE * extent else np.float64)
    kept = np.dtype(dtype)
    if kept not in (np.float32, np.float64):
        raise ValueError(
            f"dtype is {kept}; float32 or float64 is needed for heights: pass one of them, or None"
        )
    return kept


def _check_label(crs: str | None, axes: Array) -> None:
    if crs is not None and not np.array_equal(axes, np.eye(3)):
        raise ValueError(
            f"a coordinate system, {' '.join(crs.split())[:40]!r}, is named for a field that is not looked at along Z, "
            "whose x and y are not that system's: leave crs out, or leave direction and region out"
        )
