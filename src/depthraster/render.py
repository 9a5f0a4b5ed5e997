"""The pipeline: a scene, a camera's place and its calibration in, images out.

`_render_view` reads as the pipeline does: prepare the view, bound the tiles, bin the clusters, then per tile
rays, clusters, resolve. Tiles are independent, so threads take them as they come; each pixel is written by
one thread, once. The loops are in ``kernels``; preparing meshes is ``scene.py``'s, describing layers
``layers.py``'s.

The commonest change is a new image per view: an output array here, written by ``kernels/resolve.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.lens import second_derivative_bound
from depthraster.kernels.memory import aligned
from depthraster.kernels.rays import RayGrid, fill_rays, iterate_rays, ray_grid, ray_scratch
from depthraster.kernels.resolve import resolve_tile
from depthraster.kernels.select import bin_clusters, cluster_tiles, tile_bounds
from depthraster.kernels.tiles import draw_clusters, scratch
from depthraster.layers import Layers, checked_layers, normal_layer
from depthraster.scene import Scene, thread_count
from depthraster.transforms import check_transform, invert

__all__ = ["render", "render_depth"]

TILE = 384  # pixels, a multiple of every grid spacing; larger tiles share fewer clusters, smaller ones fit nearer caches


class _View(NamedTuple):
    """One camera, as the kernels need it."""

    matrix: npt.NDArray[np.float64]  # (3, 4) scene coordinates -> f X, f Y, Z
    camera: npt.NDArray[np.float64]  # (3,) the camera's centre, scene coordinates
    lens: npt.NDArray[np.float64]  # the lens' parameters
    grid: RayGrid  # exact rays at the nodes of a coarse grid
    guard: float  # squared distance from the axis, plane pixels, up to which `bulge` holds
    bulge: float  # pixels an edge leaves its chord by, per squared plane pixel of its length
    limit: float  # no ray is farther than this from the axis, plane pixels


def render_depth(
    mesh: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    cull_faces: bool = True,
    add_alpha: bool = True,
    *,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    threads: int | None = None,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Render the depth of a mesh as a calibrated camera sees it.

    Parameters
    ----------
    mesh : Scene, trimesh.Trimesh, (vertices, faces) pair, or path
        The mesh, in the chunk's frame. A `Scene` is prepared already; for several views of one mesh make it
        once.
    transform : (4, 4) array of float
        Camera to chunk (``chunk_from_camera``), camera axes X right, Y down, Z forward; a rotation and a
        translation, with a scale if need be. Depth is measured after its inverse, used as given.
    calibration : Calibration
        The lens and the size of the image.
    cull_faces : bool
        Leave out faces turned away: those for which ``dot(cross(v1 - v0, v2 - v0), C - v0) <= 0``, C the
        camera's centre.
    add_alpha : bool
        Add a second channel: 1.0 where a face is seen, 0.0 elsewhere.
    background : float
        Depth where no face is seen; any number, or NaN.
    depth : {"z", "range"}, optional
        Camera-frame Z (the default for frame cameras), or the Euclidean distance from the camera's centre.
    threads : int, optional
        Threads used, all processors by default. The result is the same, bit for bit, for any number.
    out : (height, width, 2 or 1) float32 array, C-contiguous, optional
        Where to write the image. Reusing one saves the time the system takes to hand out fresh memory.

    Returns
    -------
    (height, width, 2) float32 array, or (height, width, 1) without alpha
        Depth in chunk units (metres = depth * chunk scale), sampled at the pixels' centres, and alpha.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong kind, shape or value; the message says which and what is needed.
    FormatError, OSError
        A path that cannot be read as a mesh.
    """
    shape = (
        (calibration.height, calibration.width, 2 if add_alpha else 1)
        if isinstance(calibration, Calibration)
        else ()
    )
    view_arguments = _checked_view(transform, calibration, depth, background)
    if out is None:
        image = np.empty(shape, np.float32)
    else:
        image = _checked_out(out, shape)
    scene = Scene.from_mesh(mesh, threads=threads)
    none = np.empty((0, 0), np.float32)
    _render_view(scene, *view_arguments, bool(cull_faces), thread_count(threads), image, none, None)
    return image


def render(
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    layers: str | Iterable[str] = ("depth",),
    *,
    cull_faces: bool = True,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    threads: int | None = None,
) -> Layers:
    """Render several aligned images of one view in one pass.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame.
    transform, calibration, cull_faces, depth, threads
        As for `render_depth`.
    layers : str or iterable of str
        Any of ``"depth"``, ``"alpha"``, ``"range"``, ``"face_index"``, ``"normal"``.
    background : float
        Value of ``depth`` and ``range`` where no face is seen.

    Returns
    -------
    Layers
        With an (H, W) array for each layer asked for.

    Raises
    ------
    TypeError, ValueError
        As `render_depth`; and for layers that do not exist.
    """
    names = checked_layers(layers)
    view_arguments = _checked_view(transform, calibration, depth, background)
    scene = Scene.from_mesh(scene, threads=threads)
    shape = (calibration.height, calibration.width)
    image = np.empty((*shape, 2 if "alpha" in names else 1), np.float32)
    ranges = np.empty(shape if "range" in names else (0, 0), np.float32)
    face_index = np.empty(shape, np.int32) if names & {"face_index", "normal"} else None
    _render_view(scene, *view_arguments, bool(cull_faces), thread_count(threads), image, ranges, face_index)
    return Layers(
        depth=image[..., 0] if "depth" in names else None,
        alpha=image[..., 1] if "alpha" in names else None,
        range=ranges if "range" in names else None,
        face_index=face_index if "face_index" in names else None,
        normal=None
        if "normal" not in names or face_index is None
        else normal_layer(scene, check_transform(transform), face_index, thread_count(threads)),
    )


def _checked_view(
    transform: npt.ArrayLike, calibration: Calibration, depth: str | None, background: float
) -> tuple[npt.NDArray[np.float64], Calibration, bool, np.float32]:
    if not isinstance(calibration, Calibration):
        raise TypeError(
            f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
            "Calibration(width=..., height=..., f=...)"
        )
    if calibration.type != "frame":
        raise ValueError(f"the lens is {calibration.type}, which is not rendered yet; a frame lens is needed")
    if depth not in (None, "z", "range"):
        raise ValueError(
            f"depth is {depth!r}; 'z' or 'range' is needed: pass one of them, or None for the default"
        )
    try:
        value = np.float32(float(background))
    except (TypeError, ValueError):
        raise TypeError(f"background is {background!r}; a number is needed: pass a float, or NaN") from None
    return check_transform(transform), calibration, depth == "range", value


def _checked_out(out: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape:
        what = (
            f"{out.dtype} array of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        )
        raise ValueError(
            f"out is a {what}; a float32 array of shape {shape} is needed: make it with np.empty"
        )
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            "out is not C-contiguous and writeable, which is needed: pass a fresh array, not a view"
        )
    return out


def _view(scene: Scene, transform: npt.NDArray[np.float64], calibration: Calibration) -> _View:
    camera_from_chunk = invert(transform)
    camera = transform[:3, 3] - scene._origin
    matrix = np.empty((3, 4))
    matrix[:, :3] = camera_from_chunk[:3, :3]
    matrix[:, 3] = (
        -camera_from_chunk[:3, :3] @ camera
    )  # not through the chunk's origin, which may be far away
    lens = calibration.lens_params()
    f = lens[0]
    matrix[:2] *= f
    grid = ray_grid(lens, calibration.width, calibration.height)
    # The farthest ray from the axis, with room for what lies between nodes; never beyond the lens' domain.
    radius = min(calibration.valid_radius, 1.1 * grid.radius / f)
    limit = min(calibration.valid_radius, 1e6) * f
    bulge = second_derivative_bound(lens, radius) / (8.0 * f * f)
    return _View(matrix, camera, lens, grid, (radius * f) ** 2, bulge, limit)


def _binned_clusters(
    scene: Scene, view: _View, cull: bool, bounds: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the clusters of each tile one after the other, and where each tile's begin (tiles + 1)."""
    arrays = scene._arrays
    n_rows, n_cols = bounds.shape[:2]
    ranges = np.empty((len(arrays.half), 4), np.int32)
    counts = np.zeros(n_rows * n_cols + 1, np.int64)
    cluster_tiles(
        0, len(ranges), arrays.centre, arrays.half, arrays.cone, view.matrix, view.camera, cull,
        np.minimum.accumulate(bounds[..., 0].min(axis=0)[::-1])[::-1].copy(),
        np.maximum.accumulate(bounds[..., 1].max(axis=0)),
        np.minimum.accumulate(bounds[..., 2].min(axis=1)[::-1])[::-1].copy(),
        np.maximum.accumulate(bounds[..., 3].max(axis=1)),
        ranges, counts,
    )  # fmt: skip
    places = np.cumsum(counts)
    clusters = np.empty(places[-1], np.int32)
    bin_clusters(ranges, n_cols, places[:-1].copy(), clusters)
    return clusters, places


def _render_view(
    scene: Scene,
    transform: npt.NDArray[np.float64],
    calibration: Calibration,
    as_range: bool,
    background: np.float32,
    cull: bool,
    threads: int,
    image: npt.NDArray[np.float32],
    ranges: npt.NDArray[np.float32],
    face_index: npt.NDArray[np.int32] | None,
) -> None:
    width, height = calibration.width, calibration.height
    view = _view(scene, transform, calibration)
    n_rows, n_cols = -(-height // TILE), -(-width // TILE)
    bounds = np.empty((n_rows, n_cols, 4))
    grid = view.grid
    tile_bounds(grid.nodes, grid.spacing, height, width, TILE, view.limit, bounds)
    clusters, places = _binned_clusters(scene, view, cull, bounds)
    nodes = grid.nodes.reshape(len(grid.nodes), -1)
    no_names = np.empty((0, 0), np.int32)
    pixels = image.reshape(height, -1)  # a view: the image is contiguous

    def draw(tiles: Iterable[int]) -> None:
        n_blocks = (TILE // BLOCK_HEIGHT) * (TILE // BLOCK_WIDTH)
        all_blocks = aligned((n_blocks, 3 * BLOCK_PIXELS), np.float32)
        all_refs = aligned((n_blocks, 4))
        all_names = None if face_index is None else aligned((n_blocks, BLOCK_PIXELS), np.int32)
        drawing, filling = scratch(), ray_scratch()
        resolving = aligned(3 * BLOCK_PIXELS, np.float32)
        for tile in tiles:
            row, col = divmod(tile, n_cols)
            row0, col0 = row * TILE, col * TILE
            tile_rows, tile_cols = min(TILE, height - row0), min(TILE, width - col0)
            used = -(-tile_rows // BLOCK_HEIGHT) * -(-tile_cols // BLOCK_WIDTH)
            blocks, refs = all_blocks[:used], all_refs[:used]
            names = None
            if all_names is not None:
                names = all_names[:used]
                names.fill(-1)
            place = row0, col0, tile_rows, tile_cols, blocks, refs
            if fill_rays(nodes, grid.exact, grid.spacing, *place, filling):
                iterate_rays(grid.exact, grid.spacing, view.lens, *place)
            draw_clusters(
                scene._arrays, clusters[places[tile] : places[tile + 1]], view.matrix, view.lens, view.guard, view.bulge,
                cull, bounds[row, col], row0, col0, tile_rows, tile_cols, blocks, refs, names, drawing,
            )  # fmt: skip
            resolve_tile(
                blocks, refs, names, view.lens[0], row0, col0, tile_rows, tile_cols, background, as_range,
                image.shape[2] == 2, pixels, ranges, no_names if face_index is None else face_index, resolving,
            )  # fmt: skip

    _share(draw, n_rows * n_cols, threads)


def _share(work: Callable[[Iterable[int]], None], n: int, threads: int) -> None:
    """Run ``work`` in several threads that take the numbers below n from one iterator as they come."""
    numbers = iter(range(n))  # next() on it is atomic
    threads = min(threads, n)
    if threads == 1:
        work(numbers)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, numbers) for _ in range(threads)]:
            future.result()
