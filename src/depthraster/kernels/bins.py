"""The rays of points in bins of the plane they pass through, and laid out in blocks of `N` for loops that vectorize.

A plane's bins are rows of narrow columns, in tiles. `sort_points` brings the points of each tile together, so that what
follows stays in the processor's caches; `lay_out` sorts a tile's by bins and cuts every row into blocks, each as wide
as `N` rays make it: all are full, but for the last of a row. What is held before the rays is ``hiding.py``'s.

Coordinates are X, Y, Z across the plane; of a ray x = X / Z, y = Y / Z, and w = 1 / Z of the point or of what is before it
(x = X, y = Y, w = -Z where rays are parallel): the greater w, the nearer.

The commonest change is the size of a bin, `PER_BLOCK` and `COLUMNS`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load8
from depthraster.kernels.jit import inlined, inner, kernel, lean_kernel
from depthraster.kernels.memory import aligned_empty
from depthraster.kernels.simd import choose, least_lane, negative, splat_like

__all__ = [
    "BEST",
    "COLUMNS",
    "MARGIN",
    "NAME",
    "PER_BLOCK",
    "SIZE",
    "SURE",
    "Blocks",
    "Grid",
    "N",
    "Room",
    "along",
    "lay_out",
    "sides_of",
    "sort_points",
]

N = 8  # rays of a block
PER_BLOCK = 8  # rays, on average, of a square as high as a row
COLUMNS = 4  # into which such a square is divided
# Rows of a block: x, y; the w to be exceeded by a face that matters; that beyond which any face hides the point; the nearest
# face that matters, -1 for none. All in one array: with two the compiler could not know that they do not overlap.
BEST, SURE, NAME, SIZE = 2 * N, 3 * N, 4 * N, 5 * N
MARGIN = 2.0**-21  # of the greatest of several numbers: more than rounding all of them to float32 takes
_AT_ONCE = 256  # points that are projected at once: they stay in the cache
AHEAD = 16  # blocks' bounds are read in groups, also past the last


class Grid(NamedTuple):
    """The bins of a plane, in tiles; tiles and the bins of each are numbered row by row."""

    x0: float
    y0: float
    per_x: float  # bins per unit of x
    per_y: float
    tiles_x: int
    tiles_y: int
    rows: int  # of a tile's bins
    cols: int


class Blocks(NamedTuple):
    """The rays of a tile, by bins."""

    first: npt.NDArray[
        np.int32
    ]  # (bins + 1,) where a bin's rays begin, counted with the gaps after the last of rows
    xs: npt.NDArray[np.float64]  # (rays,) scratch: their x, y, w, and bins
    ys: npt.NDArray[np.float64]
    ws: npt.NDArray[np.float64]
    places: npt.NDArray[np.int32]
    rows: npt.NDArray[np.float64]  # (blocks x SIZE,) see `BEST`
    rays: npt.NDArray[np.int32]  # (blocks x N,) which rays these are, -1: none
    # (5, blocks + AHEAD) what a face's box is held against, see `hiding.py`, counted in the tile's bins: the greatest x, the
    # columns less the least x, the greatest y, the rows less the least y, and the negative of the least w to be exceeded
    bounds: npt.NDArray[np.float32]


class Room:
    """Memory for the blocks of one tile after the other; one for each thread."""

    def __init__(self) -> None:
        self._blocks = self._empty(0, 0, 0)

    @staticmethod
    def _empty(n_bins: int, n_rays: int, n: int) -> Blocks:
        return Blocks(
            np.empty(n_bins + 1, np.int32), np.empty(n_rays), np.empty(n_rays), np.empty(n_rays),
            np.empty(n_rays, np.int32), aligned_empty((n * SIZE,), np.float64),
            np.empty(n * N, np.int32), np.empty(5 * (n + AHEAD), np.float32),
        )  # fmt: skip

    def blocks(self, grid: Grid, n_rays: int) -> Blocks:
        """Return `Blocks` for as many rays, over those returned before."""
        n_bins, n, has = grid.rows * grid.cols, n_rays // N + grid.rows, self._blocks
        if len(has.places) < n_rays or len(has.rays) < n * N or len(has.first) <= n_bins:
            n_rays += n_rays // 4
            n = max(n_rays // N + grid.rows, len(has.rays) // N)
            has = self._blocks = self._empty(max(n_bins, len(has.first) - 1), n_rays, n)
        return has


@inlined
def along(value, origin, per, n):
    """Return where along one axis of n bins a value is, in bins; in the outermost if it is beyond."""
    at = (value - origin) * per
    at = at if at > 0.0 else 0.0
    return at if at < n else n


@kernel
def sides_of(points, which, centre, camera_from_chunk, sides):
    """Write which side of a cube around the camera the rays of points pass: 0 ... 5 for X, -X, Y, -Y, Z, -Z."""
    m = camera_from_chunk
    for k in range(which.shape[0]):
        i = which[k]
        px, py, pz = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
        x, y = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz, m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz
        z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz
        side, most = 0, abs(x)
        if abs(y) > most:
            side, most = 2, abs(y)
        if abs(z) > most:
            side = 4
        value = x if side == 0 else (y if side == 2 else z)
        sides[k] = side + (value < 0.0)


@inner
def _project(points, which, centre, axes, parallel, xs, ys, ws):
    """Write x, y and w of the rays of the points ``which``."""
    n = which.shape[0]
    if n > xs.shape[0]:  # never; it says that there is room for all
        return
    for k in range(n):
        i = np.uint64(which[k])
        xs[k], ys[k], ws[k] = points[i, 0], points[i, 1], points[i, 2]
    ox, oy, oz = centre[0], centre[1], centre[2]
    a0, a1, a2, b0, b1, b2 = axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2]
    c0, c1, c2 = axes[2, 0], axes[2, 1], axes[2, 2]
    for k in range(n):
        px, py, pz = xs[k] - ox, ys[k] - oy, ws[k] - oz
        z = c0 * px + c1 * py + c2 * pz
        w = -z if parallel else 1.0 / z
        scale = 1.0 if parallel else w
        xs[k], ys[k], ws[k] = (a0 * px + a1 * py + a2 * pz) * scale, (b0 * px + b1 * py + b2 * pz) * scale, w


@kernel
def sort_points(
    points, which, cells, centre, axes, parallel, grid, tiles, starts, sorted_which, sorted_cells
):
    """Bring the points of each tile together; ``starts`` (tiles + 1) zeros take where each tile's begin.

    ``which`` (n) of ``points`` these are, and a number of each, ``cells`` (n), ``sorted_which`` and ``sorted_cells`` take.
    ``centre`` (3) is the camera's, chunk frame, ``axes`` (3, 3) takes the chunk's axes to X, Y, Z; ``tiles`` (n) int32 is
    worked in.
    """
    n = which.shape[0]
    across, down = np.float64(grid.tiles_x * grid.cols), np.float64(grid.tiles_y * grid.rows)
    tiles_x, tiles_y = np.int32(grid.tiles_x), np.int32(grid.tiles_y)
    per_col, per_row = 1.0 / grid.cols, 1.0 / grid.rows
    xs, ys, ws = np.empty(_AT_ONCE), np.empty(_AT_ONCE), np.empty(_AT_ONCE)
    for start in range(0, n, _AT_ONCE):
        stop = min(start + _AT_ONCE, n)
        _project(points, which[start:stop], centre, axes, parallel, xs, ys, ws)
        own = tiles[start:stop]
        for k in range(own.shape[0]):
            col = np.int32(along(xs[k], grid.x0, grid.per_x, across) * per_col)
            row = np.int32(along(ys[k], grid.y0, grid.per_y, down) * per_row)
            own[k] = min(row, np.int32(tiles_y - 1)) * tiles_x + min(col, np.int32(tiles_x - 1))
        for k in range(own.shape[0]):
            starts[own[k] + 1] += 1
    for tile in range(1, starts.shape[0]):
        starts[tile] += starts[tile - 1]
    for k in range(n - 1, -1, -1):  # from behind, each tile's start comes to be where it ends
        tile = tiles[k]
        at = starts[tile]
        sorted_which[at], sorted_cells[at] = which[k], cells[k]
        starts[tile] = at + 1
    for tile in range(starts.shape[0] - 1, 0, -1):
        starts[tile] = starts[tile - 1]
    starts[0] = 0


@inner
def _bound(n_blocks, grid, left, top, across, down, blocks, bounds):
    """Write the bounds of blocks, and x0, x1, y0, y1 around all rays into ``bounds``."""
    rows, sides, stride = blocks.rows, blocks.bounds, blocks.bounds.shape[0] // 5
    if stride < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    n_cols, n_rows = np.float64(grid.cols), np.float64(grid.rows)
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for block in range(np.uint64(n_blocks)):
        at = block * SIZE
        x, y, best = load8(rows, at), load8(rows, at + N), load8(rows, at + BEST)
        beyond = splat_like(best, np.inf)
        some = beyond > best  # what is no ray does not count
        x_least, x_most = least_lane(choose(some, x, beyond)), -least_lane(choose(some, negative(x), beyond))
        y_least, y_most = least_lane(choose(some, y, beyond)), -least_lane(choose(some, negative(y), beyond))
        sides[block] = np.float32(along(x_most, grid.x0, grid.per_x, across) - left)
        sides[stride + block] = np.float32(n_cols - (along(x_least, grid.x0, grid.per_x, across) - left))
        sides[2 * stride + block] = np.float32(along(y_most, grid.y0, grid.per_y, down) - top)
        sides[3 * stride + block] = np.float32(n_rows - (along(y_least, grid.y0, grid.per_y, down) - top))
        sides[4 * stride + block] = np.float32(-least_lane(best))
        x0, x1, y0, y1 = min(x0, x_least), max(x1, x_most), min(y0, y_least), max(y1, y_most)
    for block in range(np.uint64(n_blocks), np.uint64(n_blocks + AHEAD)):
        sides[4 * stride + block] = -np.inf  # nothing is before none
    bounds[0], bounds[1], bounds[2], bounds[3] = x0, x1, y0, y1


@lean_kernel
def lay_out(points, which, cells, centre, axes, parallel, grid, tile, least, most, blocks, bounds):
    """Lay the rays of a tile's points out in blocks; return how many. ``bounds`` (4) takes x0, x1, y0, y1 around them.

    ``which`` (n) and ``cells`` (n) are the tile's, of `sort_points`, for the others see there. By its cell a ray finds in
    ``least`` and ``most`` (cells) how much nearer a face has to be, to hide its point if it lies flat, and however steep it
    is: relative to the face's own distance, or of parallel rays the distance.
    """
    n, n_rows, n_cols = which.shape[0], grid.rows, grid.cols
    first, places, rows, xs, ys, ws = (
        blocks.first,
        blocks.places,
        blocks.rows,
        blocks.xs,
        blocks.ys,
        blocks.ws,
    )
    across, down = np.float64(grid.tiles_x * n_cols), np.float64(grid.tiles_y * n_rows)
    left, top = np.float64(tile % grid.tiles_x * n_cols), np.float64(tile // grid.tiles_x * n_rows)
    _project(points, which, centre, axes, parallel, xs, ys, ws)
    for k in range(n):
        col = along(xs[k], grid.x0, grid.per_x, across) - left
        row = along(ys[k], grid.y0, grid.per_y, down) - top
        # Not beyond this tile's, to whose side rounding may have brought it.
        col, row = min(max(col, 0.0), n_cols - 1.0), min(max(row, 0.0), n_rows - 1.0)
        places[k] = np.int32(row) * np.int32(n_cols) + np.int32(col)
    for place in range(n_rows * n_cols + 1):
        first[place] = 0
    for k in range(n):
        first[places[k]] += 1
    at = np.int64(0)
    for row in range(n_rows):
        for place in range(row * n_cols, (row + 1) * n_cols):
            at += first[place]
            first[place] = at  # where the bin ends
        while at % N != 0:
            block, lane = at // N * SIZE, at % N
            rows[block + lane], rows[block + N + lane], rows[block + NAME + lane] = 0.0, 0.0, -1.0
            rows[block + BEST + lane], rows[block + SURE + lane] = np.inf, np.inf
            blocks.rays[at] = -1
            at += 1
    first[n_rows * n_cols] = at
    for k in range(n - 1, -1, -1):
        place = places[k]
        at = np.int64(first[place] - 1)
        first[place] = at  # in the end, where the bin begins
        if at < 0:  # never; it tells the compiler not to provide for negative indices below
            break
        block, lane = at // N * SIZE, at % N
        w, cell = ws[k], np.uint64(cells[k])
        unit = 1.0 if parallel else w
        rows[block + lane], rows[block + N + lane], rows[block + NAME + lane] = xs[k], ys[k], -1.0
        rows[block + BEST + lane], rows[block + SURE + lane] = w + unit * least[cell], w + unit * most[cell]
        blocks.rays[at] = k
    n_blocks = np.int64(first[n_rows * n_cols]) // N
    _bound(n_blocks, grid, left, top, across, down, blocks, bounds)
    return n_blocks
