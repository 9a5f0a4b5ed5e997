"""The rays of pixel centres: exact at the nodes of a coarse grid, interpolated between, exact where that is not enough.

A ray is a point of the undistorted image plane in plane pixels, (f x, f y). Between nodes it is a cubic polynomial in each
direction through the four nearest nodes; in each cell of the grid that polynomial is held against the exact ray in the
middle, where it is worst, and cells that miss by more than 5e-7 pixel, or reach out of the lens' domain, are marked
for Newton's iteration at every pixel. `fill_rays` lays the rays out in blocks, as ``blocks.py`` describes them.

The commonest change is another lens: nothing here depends on which, but for the call of ``unproject_frame``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.lens import unproject_frame

__all__ = ["RayGrid", "fill_rays", "ray_grid"]

_N = BLOCK_PIXELS
_SPACINGS = (32, 16, 8)  # pixels; multiples of a block's sides, divisors of a tile's
_TOLERANCE = 5e-7  # plane pixels
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
        nodes = np.empty((rows + 3, cols + 3, 2))
        exact = np.empty((rows, cols), np.uint8)
        n_exact = fill_nodes(lens, spacing, nodes, exact)
        if n_exact <= _FEW * exact.size:
            break
    for array in (nodes, exact):
        array.flags.writeable = False
    imaged = nodes[np.isfinite(nodes).all(axis=2)]
    radius = float(np.sqrt((imaged**2).sum(axis=1).max())) if len(imaged) else 0.0
    return RayGrid(nodes, exact, spacing, radius)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_nodes(lens, spacing, nodes, exact):
    """Compute the nodes of a grid, mark the cells that need exact rays, and return their number."""
    f = lens[0]
    for row in range(nodes.shape[0]):
        for col in range(nodes.shape[1]):
            x, y = unproject_frame((col - 1.0) * spacing, (row - 1.0) * spacing, lens)
            nodes[row, col, 0], nodes[row, col, 1] = f * x, f * y
    # Weights of the cubic through nodes at -1, 0, 1, 2, in the middle of its cell.
    weights = (-0.0625, 0.5625, 0.5625, -0.0625)
    n_exact = 0
    for row in range(exact.shape[0]):
        for col in range(exact.shape[1]):
            x, y = unproject_frame((col + 0.5) * spacing, (row + 0.5) * spacing, lens)
            guess_x, guess_y = 0.0, 0.0
            for i in range(4):
                for j in range(4):
                    weight = weights[i] * weights[j]
                    guess_x += weight * nodes[row + i, col + j, 0]
                    guess_y += weight * nodes[row + i, col + j, 1]
            good = (abs(guess_x - f * x) <= _TOLERANCE) & (abs(guess_y - f * y) <= _TOLERANCE)
            exact[row, col] = not good
            n_exact += not good
    return n_exact


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _cubic(a, b, c, d):
    """Return the coefficients, lowest first, of the cubic with values a, b, c, d at -1, 0, 1, 2."""
    return (
        b,
        c - a / 3.0 - b / 2.0 - d / 6.0,
        (a + c) / 2.0 - b,
        (d - a) / 6.0 + (b - c) / 2.0,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _block_by_iteration(lens, u0, v0, block, ref):
    """Fill a block whose first pixel's corner is (u0, v0) with exact rays; what is not imaged gets w = +inf."""
    f = lens[0]
    ref[0], ref[1], ref[2], ref[3] = 0.0, 0.0, 1e-3, 1e-3
    n_imaged = 0
    for i in range(_N):
        u = u0 + (i % BLOCK_WIDTH) + 0.5
        v = v0 + (i // BLOCK_WIDTH) + 0.5
        x, y = unproject_frame(u, v, lens)
        imaged = np.isfinite(x)
        if imaged and n_imaged == 0:
            ref[0], ref[1] = f * x, f * y
        n_imaged += imaged
        dx = f * x - ref[0] if imaged else 0.0
        dy = f * y - ref[1] if imaged else 0.0
        block[i] = np.float32(dx)
        block[_N + i] = np.float32(dy)
        block[2 * _N + i] = np.float32(0.0) if imaged else np.float32(np.inf)
        ref[2], ref[3] = max(ref[2], abs(dx) * 1.0000002), max(ref[3], abs(dy) * 1.0000002)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_rays(nodes, exact, spacing, lens, row0, col0, n_rows, n_cols, blocks, refs):
    """Lay the rays of the n_rows x n_cols pixels at (row0, col0), both multiples of ``spacing``, out in blocks.

    ``blocks`` (n, 3 N) float32 takes dx, dy from the block's reference ray and w: 0, or +inf for pixels that the lens
    does not image or that lie beyond the rectangle. ``refs`` (n, 4) float64 takes the reference ray in plane pixels and the
    greatest |dx| and |dy|. A pixel's ray depends only on its place in the image.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    blocks_down = (n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT
    across, down = spacing // BLOCK_WIDTH, spacing // BLOCK_HEIGHT  # blocks per cell
    per_pixel = 1.0 / spacing
    coefficients = np.empty((BLOCK_HEIGHT + 1, 8))
    for cell_row in range((n_rows + spacing - 1) // spacing):
        for cell_col in range((n_cols + spacing - 1) // spacing):
            node_row, node_col = row0 // spacing + cell_row, col0 // spacing + cell_col
            by_iteration = exact[node_row, node_col] != 0
            for sub_row in range(down):
                block_row = cell_row * down + sub_row
                if block_row >= blocks_down:
                    break
                if not by_iteration:
                    # The cubics along u in each pixel row of these blocks; last, in the blocks' middle.
                    for i in range(BLOCK_HEIGHT + 1):
                        t = (sub_row * BLOCK_HEIGHT + (i + 0.5 if i < BLOCK_HEIGHT else 0.5 * BLOCK_HEIGHT)) * per_pixel
                        w0 = -t * (t - 1.0) * (t - 2.0) / 6.0
                        w1 = (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0
                        w2 = -(t + 1.0) * t * (t - 2.0) / 2.0
                        w3 = (t + 1.0) * t * (t - 1.0) / 6.0
                        for axis in range(2):
                            a = (
                                w0 * nodes[node_row, node_col, axis] + w1 * nodes[node_row + 1, node_col, axis]
                                + w2 * nodes[node_row + 2, node_col, axis] + w3 * nodes[node_row + 3, node_col, axis]
                            )  # fmt: skip
                            b = (
                                w0 * nodes[node_row, node_col + 1, axis] + w1 * nodes[node_row + 1, node_col + 1, axis]
                                + w2 * nodes[node_row + 2, node_col + 1, axis]
                                + w3 * nodes[node_row + 3, node_col + 1, axis]
                            )  # fmt: skip
                            c = (
                                w0 * nodes[node_row, node_col + 2, axis] + w1 * nodes[node_row + 1, node_col + 2, axis]
                                + w2 * nodes[node_row + 2, node_col + 2, axis]
                                + w3 * nodes[node_row + 3, node_col + 2, axis]
                            )  # fmt: skip
                            d = (
                                w0 * nodes[node_row, node_col + 3, axis] + w1 * nodes[node_row + 1, node_col + 3, axis]
                                + w2 * nodes[node_row + 2, node_col + 3, axis]
                                + w3 * nodes[node_row + 3, node_col + 3, axis]
                            )  # fmt: skip
                            c0, c1, c2, c3 = _cubic(a, b, c, d)
                            coefficients[i, 4 * axis], coefficients[i, 4 * axis + 1] = c0, c1
                            coefficients[i, 4 * axis + 2], coefficients[i, 4 * axis + 3] = c2, c3
                for sub_col in range(across):
                    block_col = cell_col * across + sub_col
                    if block_col >= blocks_across:
                        break
                    index = block_row * blocks_across + block_col
                    block = blocks[index]
                    if by_iteration:
                        _block_by_iteration(
                            lens, float(col0 + block_col * BLOCK_WIDTH), float(row0 + block_row * BLOCK_HEIGHT),
                            block, refs[index],
                        )  # fmt: skip
                        continue
                    t = (sub_col * BLOCK_WIDTH + 0.5 * BLOCK_WIDTH) * per_pixel
                    middle = coefficients[BLOCK_HEIGHT]
                    x0 = middle[0] + t * (middle[1] + t * (middle[2] + t * middle[3]))
                    y0 = middle[4] + t * (middle[5] + t * (middle[6] + t * middle[7]))
                    for i in range(BLOCK_HEIGHT):
                        a0, a1, a2, a3 = coefficients[i, 0] - x0, coefficients[i, 1], coefficients[i, 2], coefficients[i, 3]
                        b0, b1, b2, b3 = coefficients[i, 4] - y0, coefficients[i, 5], coefficients[i, 6], coefficients[i, 7]
                        for j in range(BLOCK_WIDTH):
                            t = (sub_col * BLOCK_WIDTH + j + 0.5) * per_pixel
                            block[i * BLOCK_WIDTH + j] = np.float32(a0 + t * (a1 + t * (a2 + t * a3)))
                            block[_N + i * BLOCK_WIDTH + j] = np.float32(b0 + t * (b1 + t * (b2 + t * b3)))
                            block[2 * _N + i * BLOCK_WIDTH + j] = np.float32(0.0)
                    # A block is so small a part of a cell that its rays are farthest at its corners, to a percent.
                    top, bottom = (BLOCK_HEIGHT - 1) * BLOCK_WIDTH, _N - 1
                    rx = max(abs(block[0]), max(abs(block[BLOCK_WIDTH - 1]), max(abs(block[top]), abs(block[bottom]))))
                    ry = max(
                        abs(block[_N]),
                        max(abs(block[_N + BLOCK_WIDTH - 1]), max(abs(block[_N + top]), abs(block[_N + bottom]))),
                    )
                    refs[index, 0], refs[index, 1] = x0, y0
                    refs[index, 2], refs[index, 3] = 1.01 * rx, 1.01 * ry
    # Pixels beyond the rectangle, in its last blocks.
    for row in range(blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols, blocks_across * BLOCK_WIDTH):
            index = (row // BLOCK_HEIGHT) * blocks_across + col // BLOCK_WIDTH
            blocks[index, 2 * _N + (row % BLOCK_HEIGHT) * BLOCK_WIDTH + col % BLOCK_WIDTH] = np.inf
    for row in range(n_rows, blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols):
            index = (row // BLOCK_HEIGHT) * blocks_across + col // BLOCK_WIDTH
            blocks[index, 2 * _N + (row % BLOCK_HEIGHT) * BLOCK_WIDTH + col % BLOCK_WIDTH] = np.inf
