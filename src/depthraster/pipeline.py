"""From a prepared scene and a checked view to pixels: the tiles, and what happens in each.

`_draw_one_by_one` reads as the pipeline does: per tile rays, the clusters that they may meet, faces, images. Tiles are
independent, so threads take them as they come; each pixel is written by one thread, once. How a lens' rays are found
and faces find their pixels is a `_Tiles`: `_FrameTiles` where one plane holds all rays, `_TurnedTiles` for every other
lens. The loops are in ``kernels``; what is drawn most, depth through a frame lens, is a loop there altogether
(``kernels/view.py``), with the same images.

The commonest change is a new lens; it is made in ``kernels/directions.py``, and nothing changes here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.derived import Derivation
from depthraster.kernels.blocks import BLOCK_WIDTH, MAX_TILE
from depthraster.kernels.cells import fill_cells
from depthraster.kernels.inverse import no_inverse
from depthraster.kernels.lens import second_derivative_bound
from depthraster.kernels.occlusion import front_to_back
from depthraster.kernels.rays import fill_rays, iterate_rays, lay_lattice, ray_grid, reaches
from depthraster.kernels.resolve import resolve_tile, resolve_turned
from depthraster.kernels.select import bound_rays, clusters_in_tile
from depthraster.kernels.tiles import draw_clusters
from depthraster.kernels.turned import iterate_directions, turned_tiles
from depthraster.kernels.view import draw_view
from depthraster.scene import Scene
from depthraster.transforms import invert
from depthraster.workroom import Workroom, workroom

__all__ = ["TILE", "TOGETHER", "Images", "draw_images"]

TILE = MAX_TILE  # a multiple of every grid spacing; larger tiles share fewer clusters, smaller ones fit nearer caches

TOGETHER = True  # whether tiles are drawn by ``kernels/view.py``, where they can be: images are the same, bit for bit

_SMALL = 32.0, 0.05  # plane pixels and radians: faces no larger are drawn in float32 around their own vertex
_FINEST = 2.0**-22  # plane pixels, of a tile's lattice: what reaches across whole tiles
_STREAMED = 1 << 25  # bytes: of larger images little would be left in the caches
_AT_ONCE = 16  # tiles between two looks for an interrupt
_FARTHEST = np.float32(0.0)  # 1/Z where no face is seen yet


class Images(NamedTuple):
    """What is drawn of one view, and how."""

    image: npt.NDArray[np.float32]  # (H, W, 2 or 1) depth and alpha
    ranges: npt.NDArray[np.float32]  # (H, W), or without elements: not asked for
    face_index: npt.NDArray[np.int32] | None  # (H, W)
    as_range: bool  # the depth is the range
    background: np.float32
    derivation: Derivation | None = None  # what follows from the faces; with face_index


class _Place(NamedTuple):
    """A tile: its number and its pixels."""

    number: int
    row0: int
    col0: int
    n_rows: int
    n_cols: int


class _Tiles(Protocol):
    """How the rays of one view are found, and faces drawn along them."""

    places: list[_Place]  # of all tiles; none has a side longer than `TILE`
    parallel: bool  # whether the rays are

    def lay_out(self, place: _Place, work: Workroom) -> bool:
        """Lay the tile's rays out; False where the lens images nothing."""

    def matrix(self, place: _Place) -> npt.NDArray[np.float64]:
        """Return (3, 4) scene coordinates -> f X, f Y, Z across the plane that the tile's rays are in."""

    def draw(
        self,
        arrays: Any,
        clusters: npt.NDArray[np.int32],
        hiding: bool,
        cull: bool,
        matrix: npt.NDArray[np.float64],
        place: _Place,
        work: Workroom,
    ) -> None:
        """Draw the faces of clusters into the pixels, ``hiding`` those that `front_to_back` has looked at, by `matrix`."""

    def resolve(self, place: _Place, work: Workroom, images: Images) -> None:
        """Write the tile's pixels."""


def _squares(width: int, height: int) -> list[_Place]:
    """Return tiles of one size, row by row."""
    corners = [(row0, col0) for row0 in range(0, height, TILE) for col0 in range(0, width, TILE)]
    return [
        _Place(number, row0, col0, min(TILE, height - row0), min(TILE, width - col0))
        for number, (row0, col0) in enumerate(corners)
    ]


class _FrameTiles:
    """A lens that sees one plane: all tiles are of that plane."""

    parallel = False

    def __init__(self, calibration: Calibration, camera_from_scene: npt.NDArray[np.float64]) -> None:
        self._lens = calibration.lens_params()
        f = self._lens[0]
        self._matrix = camera_from_scene.copy()
        self._matrix[:2] *= f
        self._grid = ray_grid(self._lens, calibration.width, calibration.height)
        self.places = _squares(calibration.width, calibration.height)
        self._nodes = self._grid.nodes.reshape(len(self._grid.nodes), -1)
        # The farthest ray from the axis, with room for what lies between nodes; never beyond the lens' domain.
        radius = min(calibration.valid_radius, 1.1 * self._grid.radius / f)
        self._guard = (radius * f) ** 2  # plane pixels, squared; as far as the next holds
        # Pixels an edge leaves its chord by, per squared plane pixel of its length.
        self._bulge = second_derivative_bound(self._lens, radius) / (8.0 * f * f)
        self._small = min(_SMALL[0], _SMALL[1] * f) ** 2

    def lay_out(self, place: _Place, work: Workroom) -> bool:
        grid, corner = self._grid, place[1:3]
        iterate = partial(iterate_rays, grid.exact, grid.spacing, self._lens, _FARTHEST, *corner)
        return _lay_out(
            self._nodes, grid.exact, grid.spacing, _FARTHEST, corner, place, _FINEST, 2.0 * _SMALL[0], iterate, work
        )  # fmt: skip

    def matrix(self, place: _Place) -> npt.NDArray[np.float64]:
        return self._matrix

    def draw(
        self,
        arrays: Any,
        clusters: npt.NDArray[np.int32],
        hiding: bool,
        cull: bool,
        matrix: npt.NDArray[np.float64],
        place: _Place,
        work: Workroom,
    ) -> None:
        draw_clusters(
            arrays, clusters, matrix, self._lens[0], self._lens, self._guard, self._bulge, self._small, None, None,
            False, cull, work.bounds, *place[1:], work.lattice, work.pixels, work.refs, work.drawn, hiding, work.occlusion,
            work.drawing,
        )  # fmt: skip

    def can_be_drawn_together(self, images: Images) -> bool:
        """Whether `draw_together` draws these images."""
        looks_up = images.derivation is not None and images.derivation.looks_up
        return not looks_up and not self._grid.exact.any()

    def draw_together(
        self,
        waiting: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
        arrays: Any,
        camera: npt.NDArray[np.float64],
        cull: bool,
        work: Workroom,
        images: Images,
    ) -> None:
        """Draw the ``places`` from number ``waiting[0]`` on, which all threads count, and write their pixels."""
        grid, deriving = self._grid, None
        if images.derivation is not None and work.drawn is not None:
            deriving = images.derivation.begin(work.drawn, self._matrix)
        while draw_view(
            _AT_ONCE, waiting, places, self._nodes, grid.exact, grid.spacing, _FARTHEST, _FINEST, 2.0 * _SMALL[0], arrays,
            camera, self._matrix, self._lens, self._guard, self._bulge, self._small, cull, work.bounds, work.planes,
            work.chosen, work.lattice, work.pixels, work.all_refs, work.drawn, work.names, work.filling, work.occlusion,
            work.drawing,
            self.parallel, deriving, False, work.meeting, images.as_range, *_outputs(images), work.lines,
        ):  # fmt: skip
            pass

    def resolve(self, place: _Place, work: Workroom, images: Images) -> None:
        _resolve_plane(self._lens[0], place, work, images)


class _TurnedTiles:
    """A lens that sees more than a plane, or nothing but parallel rays: each tile has a plane of its own."""

    def __init__(self, calibration: Calibration, camera_from_scene: npt.NDArray[np.float64]) -> None:
        self._lens = calibration.lens_params()
        self._camera_from_scene = camera_from_scene
        self._tiles = turned_tiles(self._lens, calibration.width, calibration.height)
        self.places = [_Place(number, *tile[:4]) for number, tile in enumerate(self._tiles)]
        self.parallel = calibration.type == "orthographic"
        self._small = (_SMALL[0] if self.parallel else min(_SMALL[0], _SMALL[1] * calibration.f)) ** 2

    def lay_out(self, place: _Place, work: Workroom) -> bool:
        tile = self._tiles[place.number]
        if tile.turn is None:
            return False
        nothing = np.float32(-np.inf) if self.parallel else _FARTHEST
        iterate = partial(
            iterate_directions, tile.exact, tile.spacing, self._lens, tile.turn, nothing, *place[1:3]
        )
        # Each tile's plane has a scale of its own: the lattice is as fine as can be.
        finest, room = _FINEST**2, 2.0 * float(np.sqrt(self._small))
        if not _lay_out(
            tile.nodes, tile.exact, tile.spacing, nothing, (0, 0), place, finest, room, iterate, work
        ):
            return False
        work.inverse = tile.inverse
        x0, x1, y0, y1, *_ = work.bounds.tolist()
        least_x, most_x, least_y, most_y, *_, missed, _ = tile.inverse.frame.tolist()
        if not (missed < np.inf and least_x <= x0 and x1 <= most_x and least_y <= y0 and y1 <= most_y):
            work.inverse = no_inverse(work.bounds[:4])
            fill_cells(work.refs, -(-place.n_cols // BLOCK_WIDTH), work.bounds, work.cells)
        return True

    def matrix(self, place: _Place) -> npt.NDArray[np.float64]:
        matrix = self._turn(place) @ self._camera_from_scene
        matrix[:2] *= self._lens[0]
        return matrix

    def draw(
        self,
        arrays: Any,
        clusters: npt.NDArray[np.int32],
        hiding: bool,
        cull: bool,
        matrix: npt.NDArray[np.float64],
        place: _Place,
        work: Workroom,
    ) -> None:
        guard = (4.0 * self._lens[0]) ** 2  # beyond, plane pixels would lose digits
        draw_clusters(
            arrays, clusters, matrix, self._lens[0], None, guard, 0.0, self._small, work.inverse, work.cells,
            self.parallel, cull, work.bounds, *place[1:], work.lattice, work.pixels, work.refs, work.drawn, hiding,
            work.occlusion, work.drawing,
        )  # fmt: skip

    def resolve(self, place: _Place, work: Workroom, images: Images) -> None:
        if images.as_range and not self.parallel:  # a length is the same in every tile's frame
            _resolve_plane(self._lens[0], place, work, images)
            return
        axis = self._turn(place)[:, 2].copy()
        resolve_turned(
            work.lattice, work.pixels, work.names, self._lens[0], axis, self.parallel, *place[1:], *_outputs(images),
            work.lines,
        )  # fmt: skip

    def _turn(self, place: _Place) -> npt.NDArray[np.float64]:
        turn = self._tiles[place.number].turn
        assert turn is not None  # `lay_out` has said so
        return turn


def _lay_out(
    nodes: npt.NDArray[np.float64],
    exact: npt.NDArray[np.uint8],
    spacing: int,
    nothing: np.float32,
    corner: tuple[int, int],
    place: _Place,
    finest: float,
    room: float,
    iterate: Callable[..., float],
    work: Workroom,
) -> bool:
    """Lay a tile's rays out on a lattice that reaches them all; False where the lens images nothing.

    ``corner`` is the tile's first row and column among the nodes; ``iterate`` does what `fill_rays` leaves.
    """
    where = place.n_rows, place.n_cols, work.lattice, work.pixels, work.refs, work.filling
    while True:
        lay_lattice(nodes, spacing, *corner, place.n_rows, place.n_cols, finest, room, work.lattice)
        if not fill_rays(nodes, exact, spacing, nothing, *corner, *where):
            break
        far = iterate(*where)
        if reaches(work.lattice, far):
            break
        room += far
    return bool(bound_rays(work.refs, work.bounds))


def _are_streamed(images: Images) -> bool:
    return images.image.nbytes > _STREAMED


def _outputs(images: Images) -> tuple[Any, ...]:
    """Return the last arguments of the resolving kernels but one."""
    image = images.image
    pixels = image.reshape(len(image), -1)  # a view: the image is contiguous
    face_index = np.empty((0, 0), np.int32) if images.face_index is None else images.face_index
    with_alpha, streamed = image.shape[2] == 2, _are_streamed(images)
    return images.background, with_alpha, pixels, images.ranges, face_index, streamed


def _resolve_plane(f: float, place: _Place, work: Workroom, images: Images) -> None:
    resolve_tile(
        work.lattice, work.pixels, work.names, f, *place[1:], images.as_range, *_outputs(images), work.lines
    )


def _leave_empty(place: _Place, images: Images) -> None:
    """Write a tile in which the lens images nothing."""
    where = slice(place.row0, place.row0 + place.n_rows), slice(place.col0, place.col0 + place.n_cols)
    images.image[where] = 0.0
    images.image[(*where, 0)] = images.background
    if images.ranges.size:
        images.ranges[where] = images.background
    if images.face_index is not None:
        images.face_index[where] = -1
    if images.derivation is not None:
        images.derivation.leave_empty(*place[1:])


def draw_images(
    scene: Scene,
    transform: npt.NDArray[np.float64],
    calibration: Calibration,
    cull: bool,
    threads: int,
    images: Images,
) -> None:
    """Draw a scene as a camera sees it.

    Parameters
    ----------
    scene : Scene
    transform : (4, 4) float64 array
        Camera to chunk, checked.
    calibration : Calibration
    cull : bool
        Leave out faces turned away.
    threads : int
        How many to use.
    images : Images
        Where to draw; all are written whole.
    """
    arrays = scene._arrays
    camera = transform[:3, 3] - scene._origin
    camera_from_scene = invert(transform)[:3]
    # Not through the chunk's origin, which may be far away.
    camera_from_scene[:, 3] = -camera_from_scene[:, :3] @ camera
    make: type[_FrameTiles] | type[_TurnedTiles] = (
        _FrameTiles if calibration.type == "frame" else _TurnedTiles
    )
    tiles: _Tiles = make(calibration, camera_from_scene)
    if TOGETHER and isinstance(tiles, _FrameTiles) and tiles.can_be_drawn_together(images):
        waiting, places = np.zeros(1, np.int64), np.array([place[1:] for place in tiles.places], np.int64)
        draw = partial(tiles.draw_together, waiting, places, arrays, camera, cull)
        stop: Callable[[], object] = partial(waiting.fill, len(tiles.places))
    else:
        left = iter(tiles.places)  # next() on it is atomic
        draw = partial(_draw_one_by_one, tiles, left, arrays, camera, cull)
        stop = partial(deque, left, 0)

    def work() -> None:
        turns = None if images.derivation is None else images.derivation.turns
        with workroom(len(arrays.half), images.face_index is not None, turns) as room:
            draw(room, images)

    _share(work, stop, min(threads, len(tiles.places)))


def _draw_one_by_one(
    tiles: _Tiles,
    places: Iterator[_Place],
    arrays: Any,
    camera: npt.NDArray[np.float64],
    cull: bool,
    work: Workroom,
    images: Images,
) -> None:
    """Draw the tiles that are left of ``places``, which all threads take from, and write their pixels."""
    largest = max(place.n_rows * place.n_cols for place in tiles.places)
    derive = None
    if images.derivation is not None and work.drawn is not None:
        derive = images.derivation.worker(largest, work.drawn, work.meeting)
    for place in places:
        work.begin(place.n_rows, place.n_cols)
        if not tiles.lay_out(place, work):
            _leave_empty(place, images)
            continue
        matrix = tiles.matrix(place)
        if derive is not None:
            derive.begin(matrix)
        n = clusters_in_tile(
            arrays.centre, arrays.half, arrays.cone, arrays.groups, arrays.extent, matrix, camera,
            work.bounds, tiles.parallel, cull, work.planes, work.chosen,
        )  # fmt: skip
        clusters = work.chosen[:n]
        hiding = front_to_back(
            arrays.centre, arrays.half, arrays.extent, matrix, work.bounds, tiles.parallel, clusters, work.occlusion
        )  # fmt: skip
        tiles.draw(arrays, clusters, hiding, cull, matrix, place, work)
        if derive is not None:
            derive.derive(place[1:], work.lattice, work.pixels, tiles.parallel, _are_streamed(images))
        tiles.resolve(place, work, images)
        if derive is not None and images.face_index is not None:
            derive.look_up(place[1:], images.face_index)


def _share(work: Callable[[], None], stop: Callable[[], object], threads: int) -> None:
    """Run ``work`` in this thread and in others; where it fails or is interrupted, ``stop`` has all of them end."""

    def run() -> None:
        try:
            work()
        except BaseException:
            stop()
            raise

    if threads == 1:
        run()
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        try:
            others = [pool.submit(run) for _ in range(threads - 1)]
            run()
            for future in others:
                future.result()
        except BaseException:  # an interrupt may come between any two lines
            stop()
            raise
