"""The rays of pixel centres: exact at the nodes of a coarse grid, interpolated between, exact where that is not enough.

A ray is a point of the undistorted image plane in plane pixels, (f x, f y). Between nodes it is a cubic
polynomial in each direction through the four nearest nodes; cells of the grid where the fourth differences of
the nodes let it miss by more than 1.5e-6 pixel, or that reach out of the lens' domain, are marked for Newton's
iteration at every pixel. `fill_rays` lays the rays out in blocks, as ``blocks.py`` describes them.

The commonest change is another lens: nothing here depends on which, but for the call of ``unproject_frame``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.lens import unproject_frame, unproject_pixels

__all__ = ["WORK", "RayGrid", "fill_rays", "iterate_rays", "ray_grid"]

_N = BLOCK_PIXELS
_LANES = 10 * _N
WORK = _LANES + 40  # float64 numbers that `fill_rays` works in
_SPACINGS = (32, 16, 8)  # pixels; multiples of a block's sides, divisors of a tile's
_TOLERANCE = 1.5e-6  # plane pixels
_FEW = 0.02  # share of cells that may need the exact iteration before a finer grid is tried


class RayGrid(NamedTuple):
    """Rays at the nodes of a grid over an image."""

    nodes: npt.NDArray[np.float64]  # (rows, cols, 2) f x, f y at v = (row - 1) spacing, u = (col - 1) spacing
    exact: npt.NDArray[np.uint8]  # (rows - 3, cols - 3) 1: interpolation is not good enough in this cell
    spacing: int  # pixels
    radius: float  # the farthest imaged node from the axis, plane pixels


def ray_grid(lens: npt.NDArray[np.float64], width: int, height: int) -> RayGrid:
    """Return the grid of a lens over an image of width x height pixels; the last few are remembered."""
    return _ray_grid(lens.tobytes(), width, height)


@lru_cache(maxsize=8)
def _ray_grid(lens_bytes: bytes, width: int, height: int) -> RayGrid:
    lens = np.frombuffer(lens_bytes)
    for spacing in _SPACINGS:
        rows, cols = -(-height // spacing), -(-width // spacing)
        nodes = _nodes(lens, spacing, rows, cols)
        exact = (~(_interpolation_error(nodes) <= _TOLERANCE)).astype(np.uint8)
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


def _interpolation_error(nodes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
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
def _bicubic(nodes, node_row, node_col, cell):
    """Compute the bicubic polynomials of a cell: ``cell[4 (4 axis + k) + m]`` belongs to t^k along u times s^m along v.

    t and s run from 0 to 1 over the cell; node (node_row, node_col) is at t = s = -1.
    """
    for axis in range(2):
        for row in range(4):
            a, b = nodes[node_row + row, node_col, axis], nodes[node_row + row, node_col + 1, axis]
            c, d = nodes[node_row + row, node_col + 2, axis], nodes[node_row + row, node_col + 3, axis]
            # The cubic with values a, b, c, d at -1, 0, 1, 2.
            cell[16 * axis + row] = b
            cell[16 * axis + 4 + row] = c - a / 3.0 - b / 2.0 - d / 6.0
            cell[16 * axis + 8 + row] = (a + c) / 2.0 - b
            cell[16 * axis + 12 + row] = (d - a) / 6.0 + (b - c) / 2.0
    for k in range(8):
        a, b, c, d = cell[4 * k], cell[4 * k + 1], cell[4 * k + 2], cell[4 * k + 3]
        cell[4 * k] = b
        cell[4 * k + 1] = c - a / 3.0 - b / 2.0 - d / 6.0
        cell[4 * k + 2] = (a + c) / 2.0 - b
        cell[4 * k + 3] = (d - a) / 6.0 + (b - c) / 2.0


@inner
def _block_by_cubics(left, per_pixel, lanes, middle, block, ref):
    """Fill a block whose left edge is at ``left`` (0 .. 1) of its cell from the cubics of its pixel rows."""
    t = left + 0.5 * BLOCK_WIDTH * per_pixel
    x0 = middle[0] + t * (middle[1] + t * (middle[2] + t * middle[3]))
    y0 = middle[4] + t * (middle[5] + t * (middle[6] + t * middle[7]))
    for i in range(_N):
        t = left + lanes[8 * _N + i]
        x = lanes[i] + t * (lanes[_N + i] + t * (lanes[2 * _N + i] + t * lanes[3 * _N + i]))
        y = lanes[4 * _N + i] + t * (lanes[5 * _N + i] + t * (lanes[6 * _N + i] + t * lanes[7 * _N + i]))
        block[i] = np.float32(x - x0)
        block[_N + i] = np.float32(y - y0)
        block[2 * _N + i] = np.float32(0.0)
    # A block is so small a part of a cell that its rays are farthest at its corners, to a percent.
    right, low, last = BLOCK_WIDTH - 1, _N - BLOCK_WIDTH, _N - 1
    ref[0], ref[1] = x0, y0
    ref[2] = 1.01 * max(max(abs(block[0]), abs(block[right])), max(abs(block[low]), abs(block[last])))
    ref[3] = 1.01 * max(
        max(abs(block[_N]), abs(block[_N + right])), max(abs(block[_N + low]), abs(block[_N + last]))
    )


@lean_kernel
def fill_rays(nodes, exact, spacing, row0, col0, n_rows, n_cols, blocks, refs, work):
    """Lay the rays of the n_rows x n_cols pixels at (row0, col0), both multiples of ``spacing``, out in blocks.

    ``blocks`` (n, 3 N) float32 takes dx, dy from the block's reference ray and w: 0, or +inf for pixels that
    the lens does not image or that lie beyond the rectangle. ``refs`` (n, 4) float64 takes the reference ray
    in plane pixels and the greatest |dx| and |dy|. A pixel's ray depends only on its place in the image. Blocks in
    cells marked ``exact`` are left to `iterate_rays`; their number is returned. ``work`` (WORK) float64 is scratch.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    blocks_down = (n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT
    across, down = spacing // BLOCK_WIDTH, spacing // BLOCK_HEIGHT  # blocks per cell
    # Eight cubics' coefficients for each pixel of a block (x's four, y's four), and each pixel's step from
    # the block's left and upper edges: one value per pixel, so that the loop over pixels vectorizes.
    lanes, cell, middle = work[:_LANES], work[_LANES : _LANES + 32], work[_LANES + 32 : _LANES + 40]
    for i in range(_N):
        lanes[9 * _N + i] = ((i // BLOCK_WIDTH) + 0.5) / spacing
        lanes[8 * _N + i] = ((i % BLOCK_WIDTH) + 0.5) / spacing
    per_pixel = 1.0 / spacing  # exact: the spacing is a power of two
    n_left = 0
    for cell_row in range((n_rows + spacing - 1) // spacing):
        for cell_col in range((n_cols + spacing - 1) // spacing):
            node_row, node_col = row0 // spacing + cell_row, col0 // spacing + cell_col
            by_iteration = exact[node_row, node_col] != 0
            if not by_iteration:
                _bicubic(nodes, node_row, node_col, cell)
            for sub_row in range(min(down, blocks_down - cell_row * down)):
                block_row = cell_row * down + sub_row
                if not by_iteration:
                    # The cubics along u in the row of each pixel of a block, and in the blocks' middle.
                    top = sub_row * BLOCK_HEIGHT * per_pixel
                    for k in range(8):
                        c0, c1, c2, c3 = cell[4 * k], cell[4 * k + 1], cell[4 * k + 2], cell[4 * k + 3]
                        for i in range(_N):
                            s = top + lanes[9 * _N + i]
                            lanes[k * _N + i] = c0 + s * (c1 + s * (c2 + s * c3))
                        s = top + 0.5 * BLOCK_HEIGHT * per_pixel
                        middle[k] = c0 + s * (c1 + s * (c2 + s * c3))
                for sub_col in range(min(across, blocks_across - cell_col * across)):
                    block_col = cell_col * across + sub_col
                    index = block_row * blocks_across + block_col
                    if by_iteration:
                        n_left += 1
                    else:
                        left = sub_col * BLOCK_WIDTH * per_pixel
                        _block_by_cubics(left, per_pixel, lanes, middle, blocks[index], refs[index])
    # Pixels beyond the rectangle, in its last blocks.
    for row in range(blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols, blocks_across * BLOCK_WIDTH):
            index = (row // BLOCK_HEIGHT) * blocks_across + col // BLOCK_WIDTH
            blocks[index, 2 * _N + (row % BLOCK_HEIGHT) * BLOCK_WIDTH + col % BLOCK_WIDTH] = np.inf
    for row in range(n_rows, blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols):
            index = (row // BLOCK_HEIGHT) * blocks_across + col // BLOCK_WIDTH
            blocks[index, 2 * _N + (row % BLOCK_HEIGHT) * BLOCK_WIDTH + col % BLOCK_WIDTH] = np.inf
    return n_left


@lean_kernel
def iterate_rays(exact, spacing, lens, row0, col0, n_rows, n_cols, blocks, refs):
    """Replace what `fill_rays` has left in the cells marked ``exact`` by rays found pixel by pixel.

    A kernel of its own, so that those who never need it never wait for its compilation.
    """
    f = lens[0]
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    for index in range(blocks.shape[0]):
        first_row = index // blocks_across * BLOCK_HEIGHT
        first_col = index % blocks_across * BLOCK_WIDTH
        if exact[(row0 + first_row) // spacing, (col0 + first_col) // spacing] == 0:
            continue
        block, ref = blocks[index], refs[index]
        ref[0], ref[1], ref[2], ref[3] = 0.0, 0.0, 1e-3, 1e-3
        n_imaged = 0
        for i in range(_N):
            row, col = first_row + i // BLOCK_WIDTH, first_col + i % BLOCK_WIDTH
            x, y = unproject_frame(col0 + col + 0.5, row0 + row + 0.5, lens)
            imaged = np.isfinite(x) and row < n_rows and col < n_cols
            if imaged and n_imaged == 0:
                ref[0], ref[1] = f * x, f * y
            n_imaged += imaged
            dx = f * x - ref[0] if imaged else 0.0
            dy = f * y - ref[1] if imaged else 0.0
            block[i] = np.float32(dx)
            block[_N + i] = np.float32(dy)
            block[2 * _N + i] = np.float32(0.0) if imaged else np.float32(np.inf)
            ref[2], ref[3] = max(ref[2], abs(dx) * 1.0000002), max(ref[3], abs(dy) * 1.0000002)
