"""The rays of pixel centres: exact at the nodes of a coarse grid, interpolated between, exact where that is not enough.

A ray is a point of the undistorted image plane in plane pixels, (f x, f y). Between nodes it is a cubic
polynomial in each direction through the four nearest nodes; cells of the grid where the fourth differences of
the nodes let it miss by more than 1.5e-6 pixel, or that reach out of the lens' domain, are marked for Newton's
iteration at every pixel. `fill_rays` lays the rays out on the lattice of a tile, as ``blocks.py`` describes.

The commonest change is another lens: nothing here depends on which, but for the call of ``unproject_frame``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load8, load16, store
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH, MAX_TILE, STRIDE
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.lens import unproject_frame, unproject_pixels
from depthraster.kernels.memory import aligned
from depthraster.kernels.shuffles import eight
from depthraster.kernels.simd import multiply_add, nearest_whole, splat_like

__all__ = [
    "RayGrid",
    "RayScratch",
    "fill_rays",
    "interpolation_error",
    "iterate_rays",
    "lay_lattice",
    "ray_grid",
    "ray_scratch",
    "reaches",
    "store_rays",
]

_N = BLOCK_PIXELS
_SPACINGS = (32, 16, 8)  # pixels; multiples of a block's sides, divisors of a tile's
_LEAST_SPACING = 8  # that `fill_rays` takes
_FARTHEST = 2147483000.0  # steps from the lattice's middle, what int32 holds
_W = 2 * (MAX_TILE // _LEAST_SPACING + 3)  # numbers in a tile's row of nodes
_TOLERANCE = 1.5e-6  # plane pixels
_FEW = 0.02  # share of cells that may need the exact iteration before a finer grid is tried


class RayGrid(NamedTuple):
    """Rays at the nodes of a grid over an image."""

    nodes: npt.NDArray[np.float64]  # (rows, cols, 2) f x, f y at v = (row - 1) spacing, u = (col - 1) spacing
    exact: npt.NDArray[np.uint8]  # (rows - 3, cols - 3) 1: interpolation is not good enough in this cell
    spacing: int  # pixels
    radius: float  # the farthest imaged node from the axis, plane pixels


class RayScratch(NamedTuple):
    """What `fill_rays` works in: one for each thread."""

    work: npt.NDArray[np.float64]  # (7 _W,) see `_cubics_down` and `_cubics_across`
    cubics: npt.NDArray[np.float64]  # (4 _W,) see `_cubics_across`
    slopes: npt.NDArray[np.float32]  # (12 _W,) likewise
    lanes: npt.NDArray[np.float32]  # (10 N,) see `_row_of_blocks`
    rays: npt.NDArray[np.float64]  # (2, N) of a block, for `iterate_rays`


def ray_scratch() -> RayScratch:
    """Return a `RayScratch`."""
    return RayScratch(
        aligned(7 * _W),
        aligned(4 * _W),
        aligned(12 * _W, np.float32),
        aligned(10 * _N, np.float32),
        aligned((2, _N)),
    )


def ray_grid(lens: npt.NDArray[np.float64], width: int, height: int) -> RayGrid:
    """Return the grid of a lens over an image of width x height pixels; the last few are remembered."""
    return _ray_grid(lens.tobytes(), width, height)


@lru_cache(maxsize=8)
def _ray_grid(lens_bytes: bytes, width: int, height: int) -> RayGrid:
    lens = np.frombuffer(lens_bytes)
    for spacing in _SPACINGS:
        rows, cols = -(-height // spacing), -(-width // spacing)
        nodes = _nodes(lens, spacing, rows, cols)
        exact = (~(interpolation_error(nodes) <= _TOLERANCE)).astype(np.uint8)
        if exact.mean() <= _FEW:
            break
    for array in (nodes, exact):
        array.flags.writeable = False
    imaged = nodes[np.isfinite(nodes).all(axis=2)]
    radius = float(np.sqrt((imaged**2).sum(axis=1).max())) if len(imaged) else 0.0
    return RayGrid(nodes, exact, spacing, radius)


def _nodes(lens: npt.NDArray[np.float64], spacing: int, rows: int, cols: int) -> npt.NDArray[np.float64]:
    """Return the exact rays of a grid with a node more before and two after rows x cols cells."""
    u, v = np.meshgrid((np.arange(cols + 3) - 1.0) * spacing, (np.arange(rows + 3) - 1.0) * spacing)
    rays = np.empty((u.size, 3))
    unproject_pixels(np.column_stack([u.ravel(), v.ravel()]), lens, rays)
    return np.ascontiguousarray(rays[:, :2] * lens[0]).reshape(rows + 3, cols + 3, 2)


def interpolation_error(nodes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bound what the cubics of each cell miss, plane pixels; NaN or inf where they cannot be used.

    A cubic through four nodes misses by at most 9/16 / 4! of the fourth difference, here the greatest of those around
    the cell, and half as much again.
    """
    rows, cols = nodes.shape[0] - 3, nodes.shape[1] - 3
    if rows < 2 or cols < 2:
        return np.full((rows, cols), np.inf)  # no five nodes in line
    across, down = np.abs(np.diff(nodes, 4, axis=1)), np.abs(np.diff(nodes, 4, axis=0))
    across = np.maximum.reduce([across[i : i + rows] for i in range(4)])
    down = np.maximum.reduce([down[:, i : i + cols] for i in range(4)])
    # Of the five nodes in line, the first belongs to the cell or stands before it.
    before, with_it = np.maximum(np.arange(cols) - 1, 0), np.minimum(np.arange(cols), cols - 2)
    across = np.maximum(across[:, before], across[:, with_it])
    before, with_it = np.maximum(np.arange(rows) - 1, 0), np.minimum(np.arange(rows), rows - 2)
    down = np.maximum(down[before], down[with_it])
    error: npt.NDArray[np.float64] = 1.5 * (9.0 / 16.0 / 24.0) * (across + down).max(axis=2)
    return error


@inner
def _cubics_down(nodes, first, n, work):
    """Write the cubics along v between the second and the third of four rows of nodes, n numbers from ``first`` on.

    The coefficient of s^m is ``work[m _W + i]``; s runs from 0 to 1 over the cell, the rows are at -1, 0, 1 and 2.
    """
    for i in range(n):
        a, b, c, d = nodes[0, first + i], nodes[1, first + i], nodes[2, first + i], nodes[3, first + i]
        work[i] = b
        work[_W + i] = c - a / 3.0 - b / 2.0 - d / 6.0
        work[2 * _W + i] = (a + c) / 2.0 - b
        work[3 * _W + i] = (d - a) / 6.0 + (b - c) / 2.0


@inner
def _cubic_across(values, n, cubic):
    """Write the cubics along u through the values at four nodes, x beside y: t^k has ``cubic[k _W + i]``."""
    for i in range(n):
        a, b, c, d = values[i], values[i + 2], values[i + 4], values[i + 6]
        cubic[i] = b
        cubic[_W + i] = c - a / 3.0 - b / 2.0 - d / 6.0
        cubic[2 * _W + i] = (a + c) / 2.0 - b
        cubic[3 * _W + i] = (d - a) / 6.0 + (b - c) / 2.0


@inner
def _cubics_across(s, n, work, cubics, slopes):
    """Turn the cubics of `_cubics_down` into those along u at s (``cubics``), and of their slopes along v there.

    ``slopes[(4 (m - 1) + k) _W + i]`` (s' - s)^m is what the coefficient of t^k gains on the way from s to s'.
    """
    for i in range(n + 6):
        c0, c1, c2, c3 = work[i], work[_W + i], work[2 * _W + i], work[3 * _W + i]
        work[4 * _W + i] = c0 + s * (c1 + s * (c2 + s * c3))
        work[5 * _W + i] = c1 + s * (2.0 * c2 + s * 3.0 * c3)
        work[6 * _W + i] = c2 + s * 3.0 * c3
    _cubic_across(work[4 * _W : 5 * _W], n, cubics)
    _cubic_across(work[5 * _W : 6 * _W], n, slopes[: 4 * _W])
    _cubic_across(work[6 * _W : 7 * _W], n, slopes[4 * _W : 8 * _W])
    _cubic_across(work[3 * _W : 4 * _W], n, slopes[8 * _W :])


@inner
def _cubic(t, a, b, c, d):
    """Return a + b t + c t^2 + d t^3."""
    return multiply_add(t, multiply_add(t, multiply_add(t, d, c), b), a)


@inner
def _four(lanes, at):
    """Return the coefficients of 16 pixels' cubics."""
    return load16(lanes, at), load16(lanes, at + _N), load16(lanes, at + 2 * _N), load16(lanes, at + 3 * _N)


@inner
def _row_of_blocks(n, per_pixel, at, cubics, slopes, nothing, lanes, lattice, corner, pixels, refs):
    """Fill the n blocks of a cell's row of blocks from the cubics that begin at ``at``; ``corner`` is their first pixel.

    A pixel's ray less its block's is what the cubics gain between the block's middle and the pixel's row, taken at the
    pixel, and what the middle's gain between the block's centre and the pixel. Both are small: float32 holds them.
    ``lanes`` takes one value per pixel and coefficient of the former, so that the loop over pixels vectorizes; behind
    them it has each pixel's steps t and s from the block's centre.
    """
    if at < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    x01, x02, x03 = slopes[at], slopes[4 * _W + at], slopes[8 * _W + at]
    x11, x12, x13 = slopes[_W + at], slopes[5 * _W + at], slopes[9 * _W + at]
    x21, x22, x23 = slopes[2 * _W + at], slopes[6 * _W + at], slopes[10 * _W + at]
    x31, x32, x33 = slopes[3 * _W + at], slopes[7 * _W + at], slopes[11 * _W + at]
    y01, y02, y03 = slopes[at + 1], slopes[4 * _W + at + 1], slopes[8 * _W + at + 1]
    y11, y12, y13 = slopes[_W + at + 1], slopes[5 * _W + at + 1], slopes[9 * _W + at + 1]
    y21, y22, y23 = slopes[2 * _W + at + 1], slopes[6 * _W + at + 1], slopes[10 * _W + at + 1]
    y31, y32, y33 = slopes[3 * _W + at + 1], slopes[7 * _W + at + 1], slopes[11 * _W + at + 1]
    for i in range(_N):
        s = lanes[9 * _N + i]
        lanes[i] = s * (x01 + s * (x02 + s * x03))
        lanes[_N + i] = s * (x11 + s * (x12 + s * x13))
        lanes[2 * _N + i] = s * (x21 + s * (x22 + s * x23))
        lanes[3 * _N + i] = s * (x31 + s * (x32 + s * x33))
        lanes[4 * _N + i] = s * (y01 + s * (y02 + s * y03))
        lanes[5 * _N + i] = s * (y11 + s * (y12 + s * y13))
        lanes[6 * _N + i] = s * (y21 + s * (y22 + s * y23))
        lanes[7 * _N + i] = s * (y31 + s * (y32 + s * y33))
    x0, x1, x2, x3 = cubics[at], cubics[_W + at], cubics[2 * _W + at], cubics[3 * _W + at]
    y0, y1, y2, y3 = cubics[at + 1], cubics[_W + at + 1], cubics[2 * _W + at + 1], cubics[3 * _W + at + 1]
    # How far a pixel may be from its block's centre: both gains at their most.
    along, aside = 0.5 * (BLOCK_WIDTH - 1) * per_pixel, 0.5 * (BLOCK_HEIGHT - 1) * per_pixel
    first = abs(x01) + abs(x11) + abs(x21) + abs(x31)
    second, third = abs(x02) + abs(x12) + abs(x22) + abs(x32), abs(x03) + abs(x13) + abs(x23) + abs(x33)
    rx = aside * (first + aside * (second + aside * third)) + along * (
        abs(x1) + 2.0 * abs(x2) + 3.0 * abs(x3)
    )
    first = abs(y01) + abs(y11) + abs(y21) + abs(y31)
    second, third = abs(y02) + abs(y12) + abs(y22) + abs(y32), abs(y03) + abs(y13) + abs(y23) + abs(y33)
    ry = aside * (first + aside * (second + aside * third)) + along * (
        abs(y1) + 2.0 * abs(y2) + 3.0 * abs(y3)
    )
    rx, ry = 1.000001 * rx + lattice[2], 1.000001 * ry + lattice[2]
    per_step = 1.0 / lattice[2]
    steps = np.float32(per_step)
    empty = splat_like(load8(pixels.w, corner), nothing)
    for k in range(n):
        t = (k + 0.5) * (BLOCK_WIDTH * per_pixel)
        refs[k, 0] = x0 + t * (x1 + t * (x2 + t * x3))
        refs[k, 1] = y0 + t * (y1 + t * (y2 + t * y3))
        refs[k, 2], refs[k, 3] = rx, ry
        dx1, dy1 = (
            np.float32(x1 + t * (2.0 * x2 + t * 3.0 * x3)),
            np.float32(y1 + t * (2.0 * y2 + t * 3.0 * y3)),
        )
        dx2, dy2 = np.float32(x2 + t * 3.0 * x3), np.float32(y2 + t * 3.0 * y3)
        dx3, dy3 = np.float32(x3), np.float32(y3)
        centre = np.float32(t)
        # The reference ray goes to the lattice, and the pixels' are counted from there.
        column = np.rint((refs[k, 0] - lattice[0]) * per_step)
        line = np.rint((refs[k, 1] - lattice[1]) * per_step)
        x, y = lattice[0] + column * lattice[2], lattice[1] + line * lattice[2]
        x_left, y_left = np.float32((refs[k, 0] - x) * per_step), np.float32((refs[k, 1] - y) * per_step)
        refs[k, 0], refs[k, 1] = x, y
        ix, iy, place = np.int32(column), np.int32(line), corner + k * BLOCK_WIDTH
        for row in range(0, BLOCK_HEIGHT, 2):
            i, there = row * BLOCK_WIDTH, place + row * STRIDE
            step = load16(lanes, 8 * _N + i)
            shifted = step + centre
            a, b, c, d = _four(lanes, i)
            dx = _cubic(shifted, a, b, c, d)
            a, b, c, d = _four(lanes, 4 * _N + i)
            dy = _cubic(shifted, a, b, c, d)
            ex, ey = _cubic(step, dx, dx1, dx2, dx3), _cubic(step, dy, dy1, dy2, dy3)
            xs = nearest_whole(multiply_add(ex, steps, x_left)) + ix
            ys = nearest_whole(multiply_add(ey, steps, y_left)) + iy
            store(pixels.x, there, eight(xs, 0))
            store(pixels.x, there + STRIDE, eight(xs, 1))
            store(pixels.y, there, eight(ys, 0))
            store(pixels.y, there + STRIDE, eight(ys, 1))
            store(pixels.w, there, empty)
            store(pixels.w, there + STRIDE, empty)


@lean_kernel
def lay_lattice(nodes, spacing, row0, col0, n_rows, n_cols, finest, room, lattice):
    """Choose the lattice of a tile from the nodes of its rays: around their middle, as fine as int32 allows.

    ``nodes`` and the rectangle are those of `fill_rays`; ``finest`` is the least step, a power of two, and ``room`` (plane
    pixels) how much farther than the nodes the lattice reaches: more than the size of faces drawn on it.
    """
    first_row, first_col = row0 // spacing, 2 * (col0 // spacing)
    last_row = first_row + (n_rows + spacing - 1) // spacing + 2
    last_col = first_col + 2 * ((n_cols + spacing - 1) // spacing + 2)
    half = 0.0
    for axis in range(2):
        low, high = np.inf, -np.inf
        for i in range(first_row, last_row + 1):
            for j in range(first_col + axis, last_col + axis + 1, 2):
                value = nodes[i, j]
                if np.isfinite(value):
                    low, high = min(low, value), max(high, value)
        if not low <= high:
            low, high = 0.0, 0.0
        lattice[axis] = np.rint(0.5 * (low + high))
        half = max(half, high - lattice[axis])
    step = finest
    while (half + room) / step > _FARTHEST:
        step *= 2.0
    lattice[2] = step


def reaches(lattice: npt.NDArray[np.float64], far: float) -> bool:
    """Whether a lattice reaches as far from its middle, plane pixels."""
    return far <= _FARTHEST * float(lattice[2])


@lean_kernel
def fill_rays(nodes, exact, spacing, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, scratch):
    """Lay the rays of the n_rows x n_cols pixels at (row0, col0), both multiples of ``spacing``, out on a lattice.

    ``pixels`` and ``refs`` are as ``blocks.py`` says; w becomes ``nothing`` (0: farther than any face), or +inf for pixels
    that the lens does not image or that lie beyond the rectangle. A pixel's ray depends only on its place in the image,
    and on the lattice's step. Blocks in cells marked ``exact`` are left to `iterate_rays`; their number is returned.
    ``nodes`` are the grid's as (rows, 2 cols), ``scratch`` is a `RayScratch`.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    blocks_down = (n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT
    across, down = spacing // BLOCK_WIDTH, spacing // BLOCK_HEIGHT  # blocks per cell
    cells_across = (n_cols + spacing - 1) // spacing
    per_pixel = 1.0 / spacing  # exact: the spacing is a power of two
    work, cubics, slopes, lanes = scratch.work, scratch.cubics, scratch.slopes, scratch.lanes
    for i in range(_N):
        lanes[8 * _N + i] = np.float32(((i % BLOCK_WIDTH) - 0.5 * (BLOCK_WIDTH - 1)) * per_pixel)
        lanes[9 * _N + i] = np.float32(((i // BLOCK_WIDTH) - 0.5 * (BLOCK_HEIGHT - 1)) * per_pixel)
    n_left = 0
    for cell_row in range((n_rows + spacing - 1) // spacing):
        node_row, node_col = row0 // spacing + cell_row, col0 // spacing
        _cubics_down(nodes[node_row : node_row + 4], 2 * node_col, 2 * (cells_across + 3), work)
        for sub_row in range(min(down, blocks_down - cell_row * down)):
            _cubics_across(
                (sub_row + 0.5) * (BLOCK_HEIGHT * per_pixel), 2 * cells_across, work, cubics, slopes
            )
            first = (cell_row * down + sub_row) * blocks_across
            for cell_col in range(cells_across):
                n = min(across, blocks_across - cell_col * across)
                if exact[node_row, node_col + cell_col] != 0:
                    n_left += n
                    continue
                index = first + cell_col * across
                _row_of_blocks(
                    n,
                    per_pixel,
                    2 * cell_col,
                    cubics,
                    slopes,
                    nothing,
                    lanes,
                    lattice,
                    (cell_row * down + sub_row) * BLOCK_HEIGHT * STRIDE + cell_col * spacing,
                    pixels,
                    refs[index : index + n],
                )
    # Pixels beyond the rectangle, in its last blocks.
    for row in range(blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols if row < n_rows else 0, blocks_across * BLOCK_WIDTH):
            pixels.w[row * STRIDE + col] = np.inf
    return n_left


@lean_kernel
def iterate_rays(exact, spacing, lens, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, scratch):
    """Replace what `fill_rays` has left in the cells marked ``exact`` by rays found pixel by pixel.

    Returns how far from the lattice's middle they reach: if `reaches` says that it does not, make one with so much more
    room, and begin again. A kernel of its own, so that those who never need it never wait for its compilation.
    """
    f, rays = lens[0], scratch.rays
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    farthest = 0.0
    for index in range(refs.shape[0]):
        first_row = index // blocks_across * BLOCK_HEIGHT
        first_col = index % blocks_across * BLOCK_WIDTH
        if exact[(row0 + first_row) // spacing, (col0 + first_col) // spacing] == 0:
            continue
        for i in range(_N):
            row, col = first_row + i // BLOCK_WIDTH, first_col + i % BLOCK_WIDTH
            x, y = np.nan, np.nan
            if row < n_rows and col < n_cols:
                x, y = unproject_frame(col0 + col + 0.5, row0 + row + 0.5, lens)
            rays[0, i], rays[1, i] = f * x, f * y
        far = store_rays(rays, nothing, lattice, first_row * STRIDE + first_col, pixels, refs[index])
        farthest = max(farthest, far)
    return farthest


@inner
def store_rays(rays, nothing, lattice, first, pixels, ref):
    """Write a block, from the pixel ``first`` on, and its reference from the rays (2, N) of its pixels, NaN for none.

    The reference is the middle of the rays: the less they differ from it, the more digits are left of that. Returns how far
    from the lattice's middle they reach; what it does not reach becomes not imaged.
    """
    x_lo, x_hi, y_lo, y_hi = np.inf, -np.inf, np.inf, -np.inf
    for i in range(_N):
        x, y = rays[0, i], rays[1, i]
        if np.isfinite(x + y):
            x_lo, x_hi, y_lo, y_hi = min(x_lo, x), max(x_hi, x), min(y_lo, y), max(y_hi, y)
    per_step = 1.0 / lattice[2]
    far = 0.0
    if x_lo <= x_hi:
        ref[0] = lattice[0] + np.rint((0.5 * (x_lo + x_hi) - lattice[0]) * per_step) * lattice[2]
        ref[1] = lattice[1] + np.rint((0.5 * (y_lo + y_hi) - lattice[1]) * per_step) * lattice[2]
        ref[2] = max(1e-3, 0.5000001 * (x_hi - x_lo) + lattice[2])
        ref[3] = max(1e-3, 0.5000001 * (y_hi - y_lo) + lattice[2])
        far = max(
            max(abs(x_lo - lattice[0]), abs(x_hi - lattice[0])),
            max(abs(y_lo - lattice[1]), abs(y_hi - lattice[1])),
        )
    else:
        ref[0], ref[1], ref[2], ref[3] = 0.0, 0.0, -1.0, -1.0
    reached = far * per_step <= _FARTHEST
    for i in range(_N):
        at = first + (i // BLOCK_WIDTH) * STRIDE + i % BLOCK_WIDTH
        imaged = reached and np.isfinite(rays[0, i] + rays[1, i])
        pixels.x[at] = np.int32(np.rint((rays[0, i] - lattice[0]) * per_step)) if imaged else np.int32(0)
        pixels.y[at] = np.int32(np.rint((rays[1, i] - lattice[1]) * per_step)) if imaged else np.int32(0)
        pixels.w[at] = nothing if imaged else np.float32(np.inf)
    return far
